//! **Purpose** any number of correlated OTs with a ring payload from 128 base OTs.
//!
//! **Functionality** per OT the sender puts in a correlation c mod 2^bits, the receiver a bit x; they get additive shares
//! s (sender) and r (receiver) with **s + r = x·c mod 2^bits**. Inside: rows q = t + x·Δ over GF(2)^128 (a = b + c·Δ).
//! A wide OT ([`Wide`](crate::pair::Wide)): c is a vector of `width` numbers under one x.
//!
//! **Forms** the rows come from 128 columns of two generators each ([`Form::Columns`]), or from 32 trees of sixteen
//! ([`Form::Trees`]): a quarter of the receiver's bytes for twice the generators' and one message more at setup.
//!
//! **Security** semi-honest. The receiver's columns are masked by a PRG of the base seeds. The sender's payload is masked
//! by the tweakable correlation-robust hash TMMO; every OT of a direction has its own tweak, a wide one as many as its pad
//! has blocks of 128 bits. A *malicious* receiver could
//! send columns that belong to no choice vector and learn bits of Δ: no check against that is made here.
//!
//! **Cost** n OTs: the receiver sends 16·128·⌈n/128⌉ bytes, of trees 4·128·⌈n/128⌉, the sender ⌈n·width·bits/8⌉, in frames of at most 2^16 OTs; two
//! one-way flights, whatever n. Frames are cut at 2^16 OTs and each rounds up on its own.
//!
//! **Messages** receiver: 128 columns T_j ⊕ PRG(k_j1) ⊕ x, T_j = PRG(k_j0), or of each tree the sum of all leaves' streams ⊕ x, column
//! after column, padded to 128 rows ·
//! sender: H(q) − H(q ⊕ Δ) + c, packed to `bits` bits.
//!
//! **Source** Ishai, Kilian, Nissim, Petrank (CRYPTO 2003) in the form of ePrint 2013/552 (ALSZ), §5; hash of ePrint
//! 2019/074. Trees: ePrint 2022/192 (SoftSpokenOT), k = 4. Deviation: ring payloads of a stated width.
//!
//! **Example**
//! ```
//! use colift_correlation::{CotReceiver, CotSender, Role};
//! let (mut a, mut b) = colift_channel::memory::pair();
//! let peer = std::thread::spawn(move || CotReceiver::setup(&mut b, Role::Second)?.correlate(&mut b, &[true, false], 50));
//! let s = CotSender::setup(&mut a, Role::First)?.correlate(&mut a, &[1000, 1000], 50)?;
//! let r = peer.join().unwrap()?;
//! assert_eq!((s[0] + r[0]) % (1 << 50), 1000);
//! assert_eq!((s[1] + r[1]) % (1 << 50), 0);
//! # Ok::<(), colift_correlation::CorrelationError>(())
//! ```

use crate::base_ot::{self, BaseReceiver, BaseSender};
use crate::bit_vole::small_trees::{self, Leaves};
use crate::columns::{correct, expand};
use crate::{CorrelationError, Role};
use colift_channel::{Channel, Kind, Meter};
use colift_primitives::aes::TweakableHash;
use colift_primitives::bits::{Bits, mask, pack, packed_bytes, transpose_columns, unpack};
use colift_primitives::rng::{Prg, Seed, os_bytes};
use zeroize::Zeroizing;

const COLUMNS: Kind = Kind { code: 0x0320, name: "OT extension: columns" };
const PAYLOAD: Kind = Kind { code: 0x0321, name: "OT extension: payload" };

/// Most OTs of one frame: 1 MiB of columns.
pub const FRAME_OTS: usize = 1 << 16;
/// Widest ring.
pub const MAX_BITS: u32 = 64;

/// Where the rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 128 columns: 16 bytes an OT.
    Columns,
    /// 32 trees for four columns each: 4 bytes an OT.
    Trees,
}

impl Form {
    /// Bytes of the receiver's message for so many rows.
    fn message_bytes(self, rows: usize) -> usize {
        match self {
            Self::Columns => 16 * rows,
            Self::Trees => 4 * rows,
        }
    }
}

/// The sender's generators: of each column that of one bit of Δ, or of each tree all leaves but one.
enum SenderStreams {
    Columns(Vec<Prg>),
    Trees(Vec<Leaves>),
}

/// The receiver's generators.
enum ReceiverStreams {
    Columns(Vec<[Prg; 2]>),
    Trees(Vec<Leaves>),
}

/// The OT sender's side of one direction: holds Δ. Wiped on drop.
pub struct CotSender {
    delta: Zeroizing<u128>,
    streams: SenderStreams,
    tweak: u128,
    hash: TweakableHash,
}

/// The OT receiver's side of one direction.
pub struct CotReceiver {
    streams: ReceiverStreams,
    tweak: u128,
    hash: TweakableHash,
}

/// A receiver's request that waits for the payload: its pads and choices.
pub struct Pending {
    pads: Zeroizing<Vec<u64>>,
    choices: Zeroizing<Vec<bool>>,
    width: usize,
    bits: u32,
}

impl CotSender {
    /// Sets one direction up, alone; [`OtPair::setup`](crate::OtPair::setup) sets both up in one round.
    ///
    /// # Errors
    /// Peer class: invalid points. Config class: no randomness. The link's errors.
    pub fn setup(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let (base, delta) = Self::start(role)?;
        channel.send(base_ot::POINTS, base.message())?;
        let key = channel.receive(base_ot::KEY, base_ot::KEY_BYTES)?;
        Ok(Self::from_base(delta, base.finish(&key)?))
    }

    pub(crate) fn start(role: Role) -> Result<(BaseReceiver, Zeroizing<u128>), CorrelationError> {
        let delta = Zeroizing::new(u128::from_le_bytes(*os_bytes::<16>()?));
        Ok((BaseReceiver::start(role, *delta)?, delta))
    }

    pub(crate) fn from_base(delta: Zeroizing<u128>, seeds: Vec<Seed>) -> Self {
        Self { delta, streams: SenderStreams::Columns(seeds.iter().map(Prg::from_seed).collect()), tweak: 0, hash: TweakableHash::new() }
    }

    /// As [`CotSender::from_base`], with trees regrown from the peer's sums.
    pub(crate) fn from_trees(delta: Zeroizing<u128>, seeds: &[Seed], sums: &[u8]) -> Self {
        let trees = small_trees::regrow(*delta, seeds, sums);
        Self { delta, streams: SenderStreams::Trees(trees), tweak: 0, hash: TweakableHash::new() }
    }

    fn form(&self) -> Form {
        match self.streams {
            SenderStreams::Columns(_) => Form::Columns,
            SenderStreams::Trees(_) => Form::Trees,
        }
    }

    /// Correlated OTs: this side's additive shares s with s + r = x·c mod 2^bits.
    ///
    /// # Errors
    /// Config class: `bits` outside 1..=64. The link's errors.
    pub fn correlate(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        correlations: &[u64],
        bits: u32,
    ) -> Result<Vec<u64>, CorrelationError> {
        let mut payloads = Vec::new();
        let shares = self.prepare(channel, correlations, 1, bits, &mut payloads)?;
        send_payloads(channel, payloads)?;
        Ok(shares)
    }

    /// Step 1 on vectors of `width` numbers, one OT after the other: receives every frame of columns; the frames of payload are appended, to be sent by [`send_payloads`].
    /// No ping-pong, so two flights in all.
    pub(crate) fn prepare(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        correlations: &[u64],
        width: usize,
        bits: u32,
        payloads: &mut Vec<Vec<u8>>,
    ) -> Result<Vec<u64>, CorrelationError> {
        check_width(bits)?;
        check_vectors(correlations.len(), width)?;
        let mut shares = Vec::with_capacity(correlations.len());
        for chunk in correlations.chunks(FRAME_OTS * width) {
            let columns = channel.receive(COLUMNS, self.form().message_bytes(padded(chunk.len() / width)))?;
            payloads.push(self.answer(columns, chunk, width, bits, &mut shares));
        }
        Ok(shares)
    }

    /// Rows q from the peer's columns; the payload; this side's shares are appended.
    fn answer(&mut self, message: Vec<u8>, correlations: &[u64], width: usize, bits: u32, shares: &mut Vec<u64>) -> Vec<u8> {
        let count = correlations.len() / width;
        let rows = padded(count);
        let delta = *self.delta;
        let columns = match &mut self.streams {
            SenderStreams::Columns(generators) => {
                let mut columns = Zeroizing::new(message);
                correct(&mut columns, rows, delta, generators);
                columns
            }
            SenderStreams::Trees(trees) => small_trees::correct(&message, rows, delta, trees),
        };
        let mut zero = Zeroizing::new(transpose_columns(&columns, rows).unwrap_or_default());
        zero.truncate(count);
        let one = Zeroizing::new(zero.iter().map(|q| q ^ delta).collect::<Vec<u128>>());
        let zero = pads(&self.hash, &zero, self.tweak, width, bits);
        let one = pads(&self.hash, &one, self.tweak, width, bits);
        self.tweak += tweaks(count, width, bits);
        shares.extend(zero.iter().map(|pad| pad.wrapping_neg() & mask(bits)));
        let each = zero.iter().zip(one.iter()).zip(correlations);
        let payload: Vec<u64> = each.map(|((zero, one), c)| zero.wrapping_sub(*one).wrapping_add(*c)).collect();
        pack(&payload, bits)
    }
}

/// Sends what [`CotSender::prepare`] left.
pub(crate) fn send_payloads(channel: &mut (impl Channel + ?Sized), payloads: Vec<Vec<u8>>) -> Result<(), CorrelationError> {
    for payload in payloads {
        channel.send(PAYLOAD, &payload)?;
    }
    Ok(())
}

/// Blocks of 128 bits that a vector's pad takes.
fn blocks(width: usize, bits: u32) -> usize {
    width.div_ceil((128 / bits) as usize)
}

/// Tweaks that so many OTs use.
fn tweaks(count: usize, width: usize, bits: u32) -> u128 {
    (count * blocks(width, bits)) as u128
}

/// The pads of rows: `width` numbers of `bits` bits each, as many to a hash as fit.
fn pads(hash: &TweakableHash, rows: &[u128], tweak: u128, width: usize, bits: u32) -> Zeroizing<Vec<u64>> {
    let (each, blocks) = ((128 / bits) as usize, blocks(width, bits));
    let mut hashed: Zeroizing<Vec<u128>> = Zeroizing::new(rows.iter().flat_map(|row| std::iter::repeat_n(*row, blocks)).collect());
    hash.hash_each(&mut hashed, tweak);
    let numbers = hashed.chunks(blocks.max(1)).flat_map(|row| {
        let fields = row.iter().flat_map(|block| (0..each as u32).map(move |field| (block >> (field * bits)) as u64 & mask(bits)));
        fields.take(width)
    });
    Zeroizing::new(numbers.collect())
}

impl CotReceiver {
    /// Sets one direction up, alone; `role` is this party's own.
    ///
    /// # Errors
    /// Peer class: invalid points. Config class: no randomness. The link's errors.
    pub fn setup(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let base = Self::start(role)?;
        channel.send(base_ot::KEY, base.message())?;
        let points = channel.receive(base_ot::POINTS, base_ot::POINTS_BYTES)?;
        Ok(Self::from_base(base.finish(&points)?))
    }

    pub(crate) fn start(role: Role) -> Result<BaseSender, CorrelationError> {
        BaseSender::start(role.peer())
    }

    pub(crate) fn from_base(seeds: Vec<[Seed; 2]>) -> Self {
        let columns = seeds.iter().map(|[zero, one]| [Prg::from_seed(zero), Prg::from_seed(one)]).collect();
        Self { streams: ReceiverStreams::Columns(columns), tweak: 0, hash: TweakableHash::new() }
    }

    /// As [`CotReceiver::from_base`], with fresh trees; also the message of their sums.
    pub(crate) fn from_trees(seeds: &[[Seed; 2]]) -> Result<(Self, Vec<u8>), CorrelationError> {
        let (sums, trees) = small_trees::grow(seeds)?;
        Ok((Self { streams: ReceiverStreams::Trees(trees), tweak: 0, hash: TweakableHash::new() }, sums))
    }

    /// Correlated OTs: this side's additive shares r with s + r = x·c mod 2^bits.
    ///
    /// # Errors
    /// Config class: `bits` outside 1..=64. Peer class: a malformed payload. The link's errors.
    pub fn correlate(&mut self, channel: &mut (impl Channel + ?Sized), choices: &[bool], bits: u32) -> Result<Vec<u64>, CorrelationError> {
        self.request(channel, choices, 1, bits)?.finish(channel)
    }

    /// Step 1 alone, for vectors of `width` numbers: sends the columns. Several directions may send theirs before anyone waits.
    ///
    /// # Errors
    /// As [`CotReceiver::correlate`].
    pub fn request(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        choices: &[bool],
        width: usize,
        bits: u32,
    ) -> Result<Pending, CorrelationError> {
        check_width(bits)?;
        check_vectors(0, width)?;
        let mut pads = Zeroizing::new(Vec::with_capacity(choices.len() * width));
        for chunk in choices.chunks(FRAME_OTS) {
            let columns = self.columns(chunk, width, bits, &mut pads);
            channel.send(COLUMNS, &columns)?;
        }
        Ok(Pending { pads, choices: Zeroizing::new(choices.to_vec()), width, bits })
    }

    /// The message's columns; the pads H(t) are appended.
    fn columns(&mut self, choices: &[bool], width: usize, bits: u32, own_pads: &mut Vec<u64>) -> Vec<u8> {
        let rows = padded(choices.len());
        let mut packed = Zeroizing::new(Bits::from_bools(choices.iter().copied()).to_bytes());
        packed.resize(rows / 8, 0);
        let (message, own) = match &mut self.streams {
            ReceiverStreams::Columns(generators) => expand(&packed, rows, generators),
            ReceiverStreams::Trees(trees) => small_trees::expand(&packed, rows, trees),
        };
        let mut rows_t = Zeroizing::new(transpose_columns(&own, rows).unwrap_or_default());
        rows_t.truncate(choices.len());
        own_pads.extend(pads(&self.hash, &rows_t, self.tweak, width, bits).iter());
        self.tweak += tweaks(choices.len(), width, bits);
        message
    }
}

impl Pending {
    /// Step 2: receives the payload and gives the shares.
    ///
    /// # Errors
    /// Peer class: a malformed payload. The link's errors.
    pub fn finish(self, channel: &mut (impl Channel + ?Sized)) -> Result<Vec<u64>, CorrelationError> {
        let mut shares = Vec::with_capacity(self.pads.len());
        let (width, bits) = (self.width, self.bits);
        for (pads, choices) in self.pads.chunks(FRAME_OTS * width).zip(self.choices.chunks(FRAME_OTS)) {
            let payload = channel.receive(PAYLOAD, packed_bytes(pads.len(), bits))?;
            let payload = unpack(&payload, pads.len(), bits).ok_or(CorrelationError::UnusedBits { message: PAYLOAD.name })?;
            let chosen = choices.iter().flat_map(|x| std::iter::repeat_n(u64::from(*x).wrapping_neg(), width));
            let each = pads.iter().zip(chosen).zip(&payload);
            shares.extend(each.map(|((pad, chosen), d)| pad.wrapping_add(d & chosen) & mask(bits)));
        }
        Ok(shares)
    }
}

fn check_width(bits: u32) -> Result<(), CorrelationError> {
    if (1..=MAX_BITS).contains(&bits) { Ok(()) } else { Err(CorrelationError::Width { bits, most: MAX_BITS }) }
}

/// Vectors of one number or more, and whole ones only.
fn check_vectors(length: usize, width: usize) -> Result<(), CorrelationError> {
    let whole = width > 0 && length.is_multiple_of(width);
    if whole { Ok(()) } else { Err(CorrelationError::LengthsDiffer { left: length, right: width }) }
}

/// Rows of a frame of n OTs.
fn padded(n: usize) -> usize {
    n.next_multiple_of(128)
}

fn frames(n: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(FRAME_OTS).map(move |start| FRAME_OTS.min(n - start))
}

/// Payload lengths of the column frames of n OTs.
pub(crate) fn column_frames(n: usize, form: Form) -> impl Iterator<Item = usize> {
    frames(n).map(move |count| form.message_bytes(padded(count)))
}

/// Payload lengths of the answer's frames, for vectors of `width` numbers.
pub(crate) fn payload_frames(n: usize, width: usize, bits: u32) -> impl Iterator<Item = usize> {
    frames(n).map(move |count| packed_bytes(count * width, bits))
}

/// Notes the messages of n correlated OTs as the OT sender sees them.
pub fn declare_sender(meter: &mut Meter, n: usize, bits: u32) {
    column_frames(n, Form::Columns).for_each(|length| meter.received(length));
    payload_frames(n, 1, bits).for_each(|length| meter.sent(length));
}

/// Notes the messages of n correlated OTs as the OT receiver sees them.
pub fn declare_receiver(meter: &mut Meter, n: usize, bits: u32) {
    column_frames(n, Form::Columns).for_each(|length| meter.sent(length));
    payload_frames(n, 1, bits).for_each(|length| meter.received(length));
}

#[cfg(test)]
mod tests;
