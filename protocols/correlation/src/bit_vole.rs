//! **Purpose** OT extension in its raw form, a subfield VOLE with bits: the base of silent VOLE. Malicious or semi-honest.
//!
//! **Functionality** the sender holds Δ ∈ GF(2^128), the receiver puts in bits c_i; sender gets b_i, receiver a_i with
//! **a = b + c·Δ**. [`pack_elements`] turns 128 rows into one row whose c is any field element.
//!
//! **Security** Semi-honest: IKNP with PRG-masked columns. Malicious: the receiver's columns must all hold the same c. The
//! sender draws a universal hash of columns *after* they came (polynomials over GF(2^128) with random coefficients; 128 rows
//! of fresh random bits mask it), the receiver answers with the hash of c and a digest of the 128 column hashes, the sender
//! compares. A receiver that passes with wrong columns has guessed the bits of Δ that they touch: each guess is right with
//! probability 1/2, a wrong one is a terminal abort. Base OT as in [`base_ot`]: the receiver may bias its own seeds only.
//! Outputs hashed into pads go through the correlation-robust TMMO.
//!
//! **Cost** n rows in malicious form are n' = ⌈n/128⌉·128 + 128 rows, in semi-honest form without the 128. The receiver sends
//! 16·n' bytes and, malicious, 48 more after a wait for 16. Base OT: 8,192 bytes from the sender, 32 from the receiver.
//!
//! **Messages** base OT · receiver: columns T_j ⊕ PRG(k_j1) ⊕ c · malicious: sender: hash seed · receiver: hash of c, digest.
//!
//! **Source** columns ALSZ, ePrint 2013/552; check of ePrint 2022/192 (SoftSpokenOT) Fig. 7 for k = 1, first in PSS (ASIACRYPT
//! 2017). Deviation: the receiver sends a digest of its column hashes, not the hashes: the sender knows what they must be.
//!
//! **Example** see [`vole`](crate::vole), the user.

use crate::base_ot::{self, BaseReceiver, BaseSender};
use crate::columns::{COLUMNS_A_TASK, correct, expand};
use crate::{CorrelationError, Role, Security};
use colift_channel::{Channel, Kind, Meter};
use colift_primitives::bits::transpose_columns;
use colift_primitives::gf128;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed, os_bytes};
use rayon::prelude::*;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

const COLUMNS: Kind = Kind { code: 0x0330, name: "VOLE: columns" };
const HASH_SEED: Kind = Kind { code: 0x0331, name: "VOLE: hash seed of the column check" };
const CHECK: Kind = Kind { code: 0x0332, name: "VOLE: column check" };

/// Bytes of the receiver's answer to the check: the hash of c and a digest.
const CHECK_BYTES: usize = 16 + 32;
/// Rows are made in whole blocks.
pub const BLOCK: usize = 128;
/// Most rows of one call: 16 MiB of columns.
pub const MOST_ROWS: usize = 1 << 20;

/// The side that holds Δ. Wiped on drop.
pub struct BitVoleSender {
    delta: Zeroizing<u128>,
    columns: Vec<Prg>,
}

/// The side that holds the bits.
pub struct BitVoleReceiver {
    columns: Vec<[Prg; 2]>,
}

impl BitVoleSender {
    /// Base OT with the bits of a fresh Δ as choices; `role` is this party's own.
    ///
    /// # Errors
    /// Peer class: an invalid point. Config class: no randomness. The link's errors.
    pub fn setup(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let delta = Zeroizing::new(u128::from_le_bytes(*os_bytes::<16>()?));
        let base = BaseReceiver::start(role, *delta)?;
        channel.send(base_ot::POINTS, base.message())?;
        let key = channel.receive(base_ot::KEY, base_ot::KEY_BYTES)?;
        Ok(Self { delta, columns: base.finish(&key)?.iter().map(Prg::from_seed).collect() })
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
        let mut columns = channel.receive(COLUMNS, 16 * rows)?;
        let delta = *self.delta;
        correct(&mut columns, rows, delta, &mut self.columns);
        let mut columns = Zeroizing::new(columns);
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
        columns.zeroize();
        b.truncate(n.next_multiple_of(BLOCK));
        Ok(b)
    }
}

impl BitVoleReceiver {
    /// Base OT; `role` is this party's own.
    ///
    /// # Errors
    /// Peer class: an invalid point. Config class: no randomness. The link's errors.
    pub fn setup(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let base = BaseSender::start(role.peer())?;
        channel.send(base_ot::KEY, base.message())?;
        let points = channel.receive(base_ot::POINTS, base_ot::POINTS_BYTES)?;
        let seeds = base.finish(&points)?;
        Ok(Self { columns: seeds.iter().map(|[zero, one]| [Prg::from_seed(zero), Prg::from_seed(one)]).collect() })
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
        let (message, own) = expand(&packed, rows, &mut self.columns);
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

/// Notes the base OT as the sender sees it.
pub fn declare_setup_sender(meter: &mut Meter) {
    meter.sent(base_ot::POINTS_BYTES);
    meter.received(base_ot::KEY_BYTES);
}

/// Notes the base OT as the receiver sees it.
pub fn declare_setup_receiver(meter: &mut Meter) {
    meter.sent(base_ot::KEY_BYTES);
    meter.received(base_ot::POINTS_BYTES);
}

/// Notes the messages of n rows as the sender sees them.
pub fn declare_sender(meter: &mut Meter, n: usize, security: Security) {
    meter.received(16 * (n.next_multiple_of(BLOCK) + security_rows(security)));
    if security == Security::Malicious {
        meter.sent(16);
        meter.received(CHECK_BYTES);
    }
}

/// Notes the messages of n rows as the receiver sees them.
pub fn declare_receiver(meter: &mut Meter, n: usize, security: Security) {
    meter.sent(16 * (n.next_multiple_of(BLOCK) + security_rows(security)));
    if security == Security::Malicious {
        meter.received(16);
        meter.sent(CHECK_BYTES);
    }
}

#[cfg(test)]
mod tests;
