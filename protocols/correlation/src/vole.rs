//! **Purpose** vector oblivious linear evaluation over GF(2^128), silent: millions of rows from a fifth of a megabyte of messages.
//!
//! **Functionality** the sender gets a uniform Δ and b, the receiver a and c, c pseudo-random, with **a = b + c·Δ**, `length`
//! rows. Nobody puts anything in.
//!
//! **Security** with [`Security::Malicious`] against malicious peers, aborts terminal: the base rows are checked as in
//! [`bit_vole`], and the trees by a random evaluation at a point that the receiver draws after the sender's messages.
//! A sender that passes with false trees has guessed on which side of them noise positions lie (LPN with static leakage: on
//! average one bit before it is caught); a receiver that passes has guessed bits of Δ. With
//! [`Security::SemiHonest`] the checks are left out. Silent mode rests on dual LPN with regular noise over GF(2^128) for a
//! block-accumulate code ([`Lpn`]); [`VoleMode::Conservative`] does without and pays 512 bytes a row. Tree nodes are hashed
//! with AES keyed by session, tree and level; whatever involves Δ goes through the correlation-robust TMMO.
//!
//! **Cost** silent, t trees of depth d, λ = 1 if malicious, else 0: base OT (8,192 + 32 bytes) and its trees (4,096), ⌈(128(t + λ) + t·d)/128⌉ + λ
//! blocks of 512 bytes from the receiver, t(32·d + 16) bytes from the sender, and 112 bytes of checks. t = 144, d = 15 at 2^20.
//!
//! **Messages** base OT and rows as in [`bit_vole`] · sender: tree corrections · malicious: receiver: point of the tree check
//! · sender: digest of its evaluation.
//!
//! **Source** ePrint 2019/1159 (BCGI+) for VOLE from trees and dual LPN; ePrint 2021/1150 and 2022/320 for values per tree;
//! tree check ePrint 2020/925 (Wolverine) Fig. 7, the point known to the receiver beforehand as in Silver; code: [`Lpn`].
//!
//! **Example**
//! ```
//! use colift_correlation::vole::{VoleMode, VoleParams, receive, send};
//! use colift_correlation::{Role, Security};
//! use colift_primitives::gf128::multiply;
//! let params = VoleParams { length: 1000, security: Security::Malicious, mode: VoleMode::Silent, session: [7; 32] };
//! let (mut x, mut y) = colift_channel::memory::pair();
//! let peer = std::thread::spawn(move || receive(&mut y, Role::Second, &params));
//! let sent = send(&mut x, Role::First, &params)?;
//! let received = peer.join().unwrap()?;
//! let rows = sent.b.iter().zip(received.a.iter().zip(received.c.iter()));
//! assert!(rows.clone().count() == 1000 && rows.clone().all(|(b, (a, c))| *a == b ^ multiply(*c, *sent.delta)));
//! # Ok::<(), colift_correlation::CorrelationError>(())
//! ```

mod code;
mod lpn;
mod trees;

use crate::bit_vole::{self, BitVoleReceiver, BitVoleSender, pack_elements};
use crate::{CorrelationError, Role, Security};
use code::{Code, Noise};
use colift_channel::{Channel, Kind, Meter};
use colift_primitives::buffer::Buffer;
use colift_primitives::gf128;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, os_bytes};
pub use lpn::Lpn;
use subtle::ConstantTimeEq;
use trees::{Forest, Growth, Regrowth};
use zeroize::Zeroizing;

const TREES: Kind = Kind { code: 0x0333, name: "VOLE: tree corrections" };
const POINT: Kind = Kind { code: 0x0334, name: "VOLE: point of the tree check" };
const EVALUATION: Kind = Kind { code: 0x0335, name: "VOLE: evaluation of the tree check" };

/// Most rows.
pub const MOST_LENGTH: usize = 1 << 28;
/// Field elements of one frame in conservative mode: 1 MiB of messages.
const FRAME_ELEMENTS: usize = 1 << 11;
/// Powers kept for the tree check.
const POWERS: usize = 1 << 10;

/// Where the rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VoleMode {
    /// Every row from OT extension: no assumption on codes, 512 bytes a row.
    Conservative,
    /// Trees and dual LPN.
    Silent,
}

/// What both sides agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoleParams {
    /// Rows wanted.
    pub length: usize,
    /// Which peer is withstood.
    pub security: Security,
    /// Where the rows come from.
    pub mode: VoleMode,
    /// Tag of this run, fresh each time.
    pub session: [u8; 32],
}

impl VoleParams {
    fn check(&self) -> Result<Lpn, CorrelationError> {
        if self.length > MOST_LENGTH {
            return Err(CorrelationError::TooLong { length: self.length, most: MOST_LENGTH });
        }
        Ok(Lpn::for_length(self.length))
    }

    /// Field elements from OT extension in silent mode: a noise value for each tree, and one for the check.
    fn base_elements(&self, lpn: &Lpn) -> usize {
        lpn.weight + usize::from(self.security == Security::Malicious)
    }

    /// Frames of field elements in conservative mode.
    fn frames(&self) -> impl Iterator<Item = usize> + use<> {
        let length = self.length;
        (0..length).step_by(FRAME_ELEMENTS).map(move |start| FRAME_ELEMENTS.min(length - start))
    }
}

/// The sender's rows. Wiped on drop.
pub struct VoleSent {
    /// Δ.
    pub delta: Zeroizing<u128>,
    /// b.
    pub b: Buffer<u128>,
}

/// The receiver's rows. Wiped on drop.
pub struct VoleReceived {
    /// a = b + c·Δ.
    pub a: Buffer<u128>,
    /// c, pseudo-random.
    pub c: Buffer<u128>,
}

/// Makes the rows as the side with Δ; `role` is this party's own.
///
/// # Errors
/// Config class: too many rows; no randomness. Peer class: an invalid point. Abort class: a check failed. The link's errors.
pub fn send(channel: &mut (impl Channel + ?Sized), role: Role, params: &VoleParams) -> Result<VoleSent, CorrelationError> {
    let lpn = params.check()?;
    let mut base = BitVoleSender::setup(channel, role)?;
    let delta = Zeroizing::new(base.delta());
    if params.mode == VoleMode::Conservative {
        let mut b = Buffer::<u128>::zeroed(params.length);
        for (b, count) in b.chunks_mut(FRAME_ELEMENTS).zip(params.frames()) {
            b.copy_from_slice(&pack_elements(&base.rows(channel, count * bit_vole::BLOCK, params.security)?));
        }
        return Ok(VoleSent { delta, b });
    }
    // Step 1: base rows: noise values, then the bits that choose the paths.
    let (values, forest) = (params.base_elements(&lpn), Forest::new(&lpn, &params.session));
    let rows = base.rows(channel, values * bit_vole::BLOCK + forest.paths(), params.security)?;
    let (of_values, of_paths) = rows.split_at(values * bit_vole::BLOCK);
    let base_b = Zeroizing::new(pack_elements(of_values));
    // Steps 2 and 3: trees, and their check, for which all leaves are kept; without it the code takes them as they grow.
    let (code, growth) = (Code::new(&lpn), Growth::new(&forest, *delta, &base_b, of_paths)?);
    let (mut compression, mut corrections) = (code.begin(), vec![0u8; forest.bytes()]);
    if params.security == Security::Malicious {
        let mut memory = forest.memory(lpn.weight);
        let leaves = growth.grow(forest.all(), &mut memory, &mut corrections);
        channel.send(TREES, &corrections)?;
        let point = channel.receive(POINT, 16)?;
        let point = u128::from_le_bytes(*point.first_chunk().ok_or(CorrelationError::TreeCheck)?);
        let mut evaluation = Evaluation::new(point);
        evaluation.take(leaves);
        let sum = evaluation.sum ^ base_b.get(lpn.weight).copied().unwrap_or_default();
        channel.send(EVALUATION, &digest_of(params, sum))?;
        compression.take(leaves);
    } else {
        let mut memory = forest.memory(forest.groups().map(|trees| trees.len()).max().unwrap_or_default());
        for trees in forest.groups() {
            compression.take(growth.grow(trees, &mut memory, &mut corrections));
        }
        channel.send(TREES, &corrections)?;
    }
    // Step 4: the rest of the code.
    let mut b = compression.finish();
    b.truncate(params.length);
    Ok(VoleSent { delta, b })
}

/// Makes the rows as the side without Δ; `role` is this party's own.
///
/// # Errors
/// As [`send`].
pub fn receive(channel: &mut (impl Channel + ?Sized), role: Role, params: &VoleParams) -> Result<VoleReceived, CorrelationError> {
    let lpn = params.check()?;
    let mut base = BitVoleReceiver::setup(channel, role)?;
    let mut prg = Prg::from_os()?;
    if params.mode == VoleMode::Conservative {
        let c = Buffer::collect(params.length, std::iter::repeat_with(|| prg.next_u128()));
        let mut a = Buffer::<u128>::zeroed(params.length);
        for (a, c) in a.chunks_mut(FRAME_ELEMENTS).zip(c.chunks(FRAME_ELEMENTS)) {
            a.copy_from_slice(&pack_elements(&base.rows(channel, c, params.security)?));
        }
        return Ok(VoleReceived { a, c });
    }
    // Step 1: noise of one position and one value a tree; for the check also the value that it will have at a random point.
    let (values, forest) = (params.base_elements(&lpn), Forest::new(&lpn, &params.session));
    let positions = Zeroizing::new((0..lpn.weight).map(|_| prg.below(lpn.leaves as u64) as usize).collect::<Vec<usize>>());
    let mut noise = Zeroizing::new((0..lpn.weight).map(|_| prg.next_u128()).collect::<Vec<u128>>());
    let point = Zeroizing::new(u128::from_le_bytes(*os_bytes::<16>()?));
    if values > lpn.weight {
        let terms = noise.iter().zip(forest.places(&positions));
        let sum = terms.fold(0, |sum, (value, place)| sum ^ gf128::multiply(*value, power(*point, place + 1)));
        noise.push(sum);
    }
    let mut bits = Zeroizing::new(noise.to_vec());
    bits.extend(forest.choices(&positions).iter());
    let rows = base.rows(channel, &bits, params.security)?;
    let (of_values, of_paths) = rows.split_at(values * bit_vole::BLOCK);
    let base_a = Zeroizing::new(pack_elements(of_values));
    // Step 2: trees; the code and the check take the leaves as they grow.
    let corrections = channel.receive(TREES, forest.bytes())?;
    let places: Zeroizing<Vec<usize>> = Zeroizing::new(forest.places(&positions).collect());
    let code = Code::new(&lpn);
    let mut compression = code.begin_both(Noise { places: &places, values: noise.get(..lpn.weight).unwrap_or_default() });
    let mut evaluation = Evaluation::new(*point);
    let regrowth = Regrowth::new(&forest, &positions, &base_a, of_paths, &corrections);
    let mut memory = forest.memory(forest.groups().map(|trees| trees.len()).max().unwrap_or_default());
    for trees in forest.groups() {
        let leaves = regrowth.grow(trees, &mut memory);
        compression.take(leaves);
        if params.security == Security::Malicious {
            evaluation.take(leaves);
        }
    }
    drop(memory);
    // Step 3: the tree check.
    if params.security == Security::Malicious {
        channel.send(POINT, &point.to_le_bytes())?;
        let sum = evaluation.sum ^ base_a.get(lpn.weight).copied().unwrap_or_default();
        let theirs = channel.receive(EVALUATION, 32)?;
        if !bool::from(digest_of(params, sum).as_slice().ct_eq(&theirs)) {
            return Err(CorrelationError::TreeCheck);
        }
    }
    // Step 4: the rest of the code, on both vectors.
    let [mut a, mut c] = compression.finish_both();
    a.truncate(params.length);
    c.truncate(params.length);
    Ok(VoleReceived { a, c })
}

/// Σ values\[i\]·point^(i+1), value by value. Secret as the values are.
struct Evaluation {
    powers: Vec<u128>,
    point: u128,
    scale: u128,
    sum: u128,
}

impl Evaluation {
    fn new(point: u128) -> Self {
        let mut powers = vec![0u128; POWERS];
        gf128::fill_powers(&mut powers, point);
        Self { powers, point, scale: 1, sum: 0 }
    }

    /// Takes the next values.
    fn take(&mut self, values: &[u128]) {
        let step = self.powers.last().copied().unwrap_or_default();
        for chunk in values.chunks(POWERS) {
            self.sum ^= gf128::multiply(gf128::inner_product(chunk, &self.powers), self.scale);
            let step = if chunk.len() == POWERS { step } else { power(self.point, chunk.len()) };
            self.scale = gf128::multiply(self.scale, step);
        }
    }
}

/// base^exponent.
fn power(base: u128, exponent: usize) -> u128 {
    (0..usize::BITS).rev().fold(1, |sum, bit| {
        let square = gf128::multiply(sum, sum);
        if exponent >> bit & 1 == 1 { gf128::multiply(square, base) } else { square }
    })
}

fn digest_of(params: &VoleParams, evaluation: u128) -> [u8; 32] {
    PartHash::new("colift VOLE tree check v1").part(&params.session).part(&evaluation.to_le_bytes()).finish()
}

/// Notes the messages of [`send`].
pub fn declare_send(meter: &mut Meter, params: &VoleParams) {
    bit_vole::declare_setup_sender(meter);
    if params.mode == VoleMode::Conservative {
        params.frames().for_each(|count| bit_vole::declare_sender(meter, count * bit_vole::BLOCK, params.security));
        return;
    }
    let lpn = Lpn::for_length(params.length);
    let forest = Forest::new(&lpn, &params.session);
    bit_vole::declare_sender(meter, params.base_elements(&lpn) * bit_vole::BLOCK + forest.paths(), params.security);
    meter.sent(forest.bytes());
    if params.security == Security::Malicious {
        meter.received(16);
        meter.sent(32);
    }
}

/// Notes the messages of [`receive`].
pub fn declare_receive(meter: &mut Meter, params: &VoleParams) {
    bit_vole::declare_setup_receiver(meter);
    if params.mode == VoleMode::Conservative {
        params.frames().for_each(|count| bit_vole::declare_receiver(meter, count * bit_vole::BLOCK, params.security));
        return;
    }
    let lpn = Lpn::for_length(params.length);
    let forest = Forest::new(&lpn, &params.session);
    bit_vole::declare_receiver(meter, params.base_elements(&lpn) * bit_vole::BLOCK + forest.paths(), params.security);
    meter.received(forest.bytes());
    if params.security == Security::Malicious {
        meter.sent(16);
        meter.received(32);
    }
}

#[cfg(test)]
mod tests;
