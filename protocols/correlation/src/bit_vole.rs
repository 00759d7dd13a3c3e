//! **Purpose** OT extension in its raw form, a subfield VOLE with bits: the base of silent VOLE. Malicious or semi-honest.
//!
//! **Functionality** the sender holds Δ ∈ GF(2^128), the receiver puts in bits c_i; sender gets b_i, receiver a_i with
//! **a = b + c·Δ**. [`pack_elements`] turns 128 rows into one row whose c is any field element.
//!
//! **Security** Semi-honest: columns masked by PRGs, four bits of Δ to a tree (`small_trees`): u, and with it c + u, is pseudo-random
//! to whoever lacks one leaf. Malicious: the sender draws a universal hash of columns *after* trees and columns came (polynomials over
//! GF(2^128) with random coefficients; 128 rows of fresh random bits mask it), the receiver answers with the hash of c and a digest of
//! the 128 column hashes, the sender compares. This checks the trees as well, without a check of their own. Trees and messages fix,
//! for each tree j and each value δ of its four bits, the columns q_ji(δ) that the sender would hold. Let S_j be the values that
//! pass with the receiver's answer. For δ, δ′ ∈ S_j: where bit i is the same, q_ji(δ) + q_ji(δ′) hashes to 0, so it is 0; where it
//! differs, it hashes to the claimed hash of c. All these differences, over all trees, bits and pairs, have one hash, so they are
//! one vector c, and q_ji(δ) = a_ji + δ_i·c on all of S_j: the receiver holds a true row. Wrong only if two of fewer than 2^16 fixed
//! vectors collide: ≤ 2^32·2^-128. A receiver thus passes exactly when Δ lies in the product of the S_j that it chose, with
//! probability Π |S_j|/16: it has guessed that much about Δ, and a wrong guess is a terminal abort. Seeds of base OT are pads of one
//! block each; the receiver of OT may bias those it gets (as in [`base_ot`]), which changes only what it reads itself.
//! Outputs hashed into pads go through the correlation-robust TMMO.
//!
//! **Cost** n rows in malicious form are n' = ⌈n/128⌉·128 + 128 rows, in semi-honest form without the 128. The receiver sends
//! 4·n' bytes and, malicious, 48 more after a wait for 16. Base OT: 8,192 bytes from the sender, 32 and 4,096 from the receiver.
//!
//! **Messages** base OT · receiver: sums of the trees' levels · receiver: for each tree u ⊕ c · malicious: sender: hash seed · receiver:
//! hash of c, digest.
//!
//! **Source** small-field VOLE from trees and its check: ePrint 2022/192 (SoftSpokenOT), §3 and Fig. 7, with k = 4 bits to a tree; the
//! check first in PSS (ASIACRYPT 2017). Deviations: the receiver sends a digest of its column hashes, not the hashes: the sender
//! knows what they must be; trees have no check of their own, see above.
//!
//! **Example** see [`vole`](crate::vole), the user.

pub(crate) mod small_trees;

use crate::base_ot::{self, BaseReceiver, BaseSender};
use crate::columns::COLUMNS_A_TASK;
use crate::{CorrelationError, Role, Security};
use colift_channel::{Channel, Kind, Meter};
use colift_primitives::bits::transpose_columns;
use colift_primitives::gf128;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed, os_bytes};
use rayon::prelude::*;
use small_trees::Leaves;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const COLUMNS: Kind = Kind { code: 0x0330, name: "VOLE: columns" };
const HASH_SEED: Kind = Kind { code: 0x0331, name: "VOLE: hash seed of the column check" };
const CHECK: Kind = Kind { code: 0x0332, name: "VOLE: column check" };
pub(crate) const SUMS: Kind = Kind { code: 0x0336, name: "VOLE: sums of the columns' trees" };

/// Bits of Δ to a tree.
const LEVELS: usize = 4;
/// Leaves of a tree.
const LEAVES: usize = 1 << LEVELS;
/// Trees.
const TREES: usize = base_ot::COUNT / LEVELS;

/// Bytes of the receiver's answer to the check: the hash of c and a digest.
const CHECK_BYTES: usize = 16 + 32;
/// Rows are made in whole blocks.
pub const BLOCK: usize = 128;
/// Most rows of one call: 4 MiB of messages.
pub const MOST_ROWS: usize = 1 << 20;

/// The side that holds Δ. Wiped on drop.
pub struct BitVoleSender {
    delta: Zeroizing<u128>,
    trees: Vec<Leaves>,
}

/// The side that holds the bits.
pub struct BitVoleReceiver {
    trees: Vec<Leaves>,
}

impl BitVoleSender {
    /// Base OT with the bits of a fresh Δ as choices, then the trees; `role` is this party's own.
    ///
    /// # Errors
    /// Peer class: an invalid point. Config class: no randomness. The link's errors.
    pub fn setup(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let delta = Zeroizing::new(u128::from_le_bytes(*os_bytes::<16>()?));
        let base = BaseReceiver::start(role, *delta)?;
        channel.send(base_ot::POINTS, base.message())?;
        let key = channel.receive(base_ot::KEY, base_ot::KEY_BYTES)?;
        let seeds = base.finish(&key)?;
        let sums = channel.receive(SUMS, small_trees::BYTES)?;
        let trees = small_trees::regrow(*delta, &seeds, &sums);
        Ok(Self { delta, trees })
    }

    /// Δ.
    #[must_use]
    pub fn delta(&self) -> u128 {
        *self.delta
    }

    /// The b of n rows, rounded up to whole blocks.
    ///
    /// # Errors
    /// Config class: more than [`MOST_ROWS`]. Abort class: the check failed. The link's errors.
    pub fn rows(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        n: usize,
        security: Security,
    ) -> Result<Zeroizing<Vec<u128>>, CorrelationError> {
        let rows = padded(n, security)?;
        // Step 1: columns; those where Δ has a 1 get the peer's correction.
        let message = channel.receive(COLUMNS, message_bytes(rows))?;
        let delta = *self.delta;
        let columns = small_trees::correct(&message, rows, delta, &mut self.trees);
        // Step 2: the check. Hash of column j must be the peer's plus Δ_j times the hash of c.
        if security == Security::Malicious {
            let seed = Seed::from_os()?;
            channel.send(HASH_SEED, seed.as_bytes())?;
            let answer = channel.receive(CHECK, CHECK_BYTES)?;
            let (of_c, digest) = answer.split_first_chunk::<16>().ok_or(CorrelationError::ColumnCheck)?;
            let of_c = u128::from_le_bytes(*of_c);
            let mut hashes = hash_columns(&seed, &columns, rows);
            hashes.iter_mut().enumerate().for_each(|(j, hash)| *hash ^= of_c & (delta >> j & 1).wrapping_neg());
            if !bool::from(digest_of(&hashes).as_slice().ct_eq(digest)) {
                return Err(CorrelationError::ColumnCheck);
            }
        }
        let mut b = Zeroizing::new(transpose_columns(&columns, rows).unwrap_or_default());
        b.truncate(n.next_multiple_of(BLOCK));
        Ok(b)
    }
}

impl BitVoleReceiver {
    /// Base OT and the trees; `role` is this party's own.
    ///
    /// # Errors
    /// Peer class: an invalid point. Config class: no randomness. The link's errors.
    pub fn setup(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let base = BaseSender::start(role.peer())?;
        channel.send(base_ot::KEY, base.message())?;
        let points = channel.receive(base_ot::POINTS, base_ot::POINTS_BYTES)?;
        let (sums, trees) = small_trees::grow(&base.finish(&points)?)?;
        channel.send(SUMS, &sums)?;
        Ok(Self { trees })
    }

    /// The a of the rows whose bits c are given, 128 to a block, bit i of block k being that of row 128·k + i.
    ///
    /// # Errors
    /// Config class: more than [`MOST_ROWS`]; no randomness. The link's errors.
    pub fn rows(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        c: &[u128],
        security: Security,
    ) -> Result<Zeroizing<Vec<u128>>, CorrelationError> {
        let rows = padded(BLOCK * c.len(), security)?;
        let mut c = Zeroizing::new(c.to_vec());
        if security == Security::Malicious {
            c.push(u128::from_le_bytes(*os_bytes::<16>()?));
        }
        // Step 1: columns.
        let packed = Zeroizing::new(c.iter().flat_map(|block| block.to_le_bytes()).collect::<Vec<u8>>());
        let (message, own) = small_trees::expand(&packed, rows, &mut self.trees);
        channel.send(COLUMNS, &message)?;
        // Step 2: the answer to the check.
        if security == Security::Malicious {
            let seed = channel.receive(HASH_SEED, 16)?;
            let seed = Seed::from_bytes(*seed.first_chunk().ok_or(CorrelationError::ColumnCheck)?);
            let of_c = hash_columns(&seed, &packed, rows);
            let digest = digest_of(&hash_columns(&seed, &own, rows));
            let of_c: Vec<u8> = of_c.iter().flat_map(|hash| hash.to_le_bytes()).collect();
            channel.send(CHECK, &[of_c.as_slice(), &digest].concat())?;
        }
        let mut a = Zeroizing::new(transpose_columns(&own, rows).unwrap_or_default());
        a.truncate(rows - security_rows(security));
        Ok(a)
    }
}

/// Rows that only mask the check.
fn security_rows(security: Security) -> usize {
    if security == Security::Malicious { BLOCK } else { 0 }
}

/// Bytes of the receiver's message: one column in four.
fn message_bytes(rows: usize) -> usize {
    TREES * rows / 8
}

/// Rows on the wire for n wanted ones.
fn padded(n: usize, security: Security) -> Result<usize, CorrelationError> {
    if n > MOST_ROWS {
        return Err(CorrelationError::TooLong { length: n, most: MOST_ROWS });
    }
    Ok(n.next_multiple_of(BLOCK) + security_rows(security))
}

/// The hash of each column of `rows` bits: Σ χ_i·block_i over all blocks but the last, plus the last.
fn hash_columns(seed: &Seed, columns: &[u8], rows: usize) -> Vec<u128> {
    let mut prg = Prg::from_seed(seed);
    let mut factors: Vec<u128> = (1..rows / BLOCK).map(|_| prg.next_u128()).collect();
    factors.push(1);
    let hash = |column: &[u8]| {
        let blocks: Zeroizing<Vec<u128>> = Zeroizing::new(column.as_chunks().0.iter().map(|bytes| u128::from_le_bytes(*bytes)).collect());
        gf128::inner_product(&blocks, &factors)
    };
    columns.par_chunks(rows / 8).with_min_len(COLUMNS_A_TASK).map(hash).collect()
}

fn digest_of(hashes: &[u128]) -> [u8; 32] {
    let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect());
    PartHash::new("colift VOLE column check v1").part(&bytes).finish()
}

/// 128 rows to one with a field element as c: Σ x^j·row_j, for a and for b alike.
#[must_use]
pub fn pack_elements(rows: &[u128]) -> Vec<u128> {
    rows.chunks_exact(BLOCK).map(|rows| rows.iter().rev().fold(0, |sum, row| gf128::double(sum) ^ row)).collect()
}

/// Notes the base OT and the trees as the sender sees it.
pub fn declare_setup_sender(meter: &mut Meter) {
    meter.sent(base_ot::POINTS_BYTES);
    meter.received(base_ot::KEY_BYTES);
    meter.received(small_trees::BYTES);
}

/// Notes the base OT and the trees as the receiver sees it.
pub fn declare_setup_receiver(meter: &mut Meter) {
    meter.sent(base_ot::KEY_BYTES);
    meter.received(base_ot::POINTS_BYTES);
    meter.sent(small_trees::BYTES);
}

/// Notes the messages of n rows as the sender sees them.
pub fn declare_sender(meter: &mut Meter, n: usize, security: Security) {
    meter.received(message_bytes(n.next_multiple_of(BLOCK) + security_rows(security)));
    if security == Security::Malicious {
        meter.sent(16);
        meter.received(CHECK_BYTES);
    }
}

/// Notes the messages of n rows as the receiver sees them.
pub fn declare_receiver(meter: &mut Meter, n: usize, security: Security) {
    meter.sent(message_bytes(n.next_multiple_of(BLOCK) + security_rows(security)));
    if security == Security::Malicious {
        meter.received(16);
        meter.sent(CHECK_BYTES);
    }
}

#[cfg(test)]
mod tests;
