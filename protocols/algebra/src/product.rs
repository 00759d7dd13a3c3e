//! Matrix products between a matrix known to one party and a matrix encrypted by the other.
//!
//! **Purpose.** Every linear step of a training: logits Xw, gradients Xᵀr, Hessian blocks, share × share products.
//!
//! **Functionality.** Holder: A (R × C, bounded integers). Encryptor: B (C × K, modulo 2^50). Both get additive shares of
//! A·B modulo 2^50, off by at most one unit an entry.
//!
//! **Security.** Semi-honest. The holder sees ring-LWE ciphertexts under the encryptor's key; the encryptor sees masked replies
//! ([`colift_rlwe::reply`]). Sizes and bit bounds are public. Not protected: an encryptor that sends malformed ciphertexts.
//!
//! **Cost.** [`Plan::cost`]: uploads ⌈C/a⌉·⌈K/b⌉ of one ciphertext half, replies ⌈R/m⌉·⌈K/b⌉, for a tile of m rows × a inner ×
//! b right columns, m·a·b ≤ 8192, chosen to minimise their sum. One round when both directions run together after uploads.
//!
//! **Messages.** `uploaded ciphertext` (encryptor → holder), `masked product` (holder → encryptor), one frame each.
//!
//! **Source.** Packing after Huang et al., Cheetah (ePrint 2022/207): A tile Σ A_ij x^(i·ab + a−1−j), B tile Σ B_jk x^(ka + j);
//! coefficient i·ab + ka + a−1 of the product is Σ_j A_ij·B_jk.

use crate::engine::{Cost, Engine};
use crate::error::AlgebraError;
use crate::overlap;
use crate::ring50;
use colift_channel::{Channel, HEADER_BYTES, Kind, Meter};
use colift_primitives::rng::{Prg, Seed};
use colift_rlwe::{Accumulator, Ciphertext, Level, N, NoiseBudget, PlainPoly, Plaintext, Poly, encrypt, receive_ciphertext, reply};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

const UPLOAD: Kind = Kind { code: 0x0410, name: "uploaded ciphertext" };
const REPLY: Kind = Kind { code: 0x0411, name: "masked product" };

/// Uploads made, or read, at once: those of a wave travel while the next one is computed.
const UPLOAD_WAVE: usize = 16;

/// Products added up in one pass over a sum.
const BATCH: usize = 4;

/// Public shape of a product A (rows × inner) · B (inner × columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Rows of A.
    pub rows: usize,
    /// Columns of A, rows of B.
    pub inner: usize,
    /// Columns of B.
    pub columns: usize,
    /// Bits of the largest absolute entry of A.
    pub entry_bits: u32,
    /// Bits of the largest sum of the absolute entries of a row of A.
    pub row_bits: u32,
    /// k of the modulus 2^k of B and of the shares, at most 50.
    pub modulus_bits: u32,
}

impl Shape {
    /// A product modulo 2^50 of which nothing but the largest entry is known.
    #[must_use]
    pub fn new(rows: usize, inner: usize, columns: usize, entry_bits: u32) -> Self {
        Self {
            rows,
            inner,
            columns,
            entry_bits,
            row_bits: entry_bits + inner.max(1).next_power_of_two().ilog2(),
            modulus_bits: ring50::BITS,
        }
    }

    fn plaintext(&self) -> Plaintext {
        Plaintext::PowerOfTwo(self.modulus_bits)
    }

    /// Bound on the sum of the absolute entries of a row.
    fn row_mass(&self) -> f64 {
        f64::from(self.row_bits).exp2().min(self.inner as f64 * f64::from(self.entry_bits).exp2())
    }
}

/// Where a tile of A goes in a polynomial: entry (rows.start + r, inner.start + c) is coefficient r·stride + last − c.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Rows of A.
    pub rows: Range<usize>,
    /// Columns of A.
    pub inner: Range<usize>,
    /// From row to row.
    pub stride: usize,
    /// Coefficient of the first entry.
    pub last: usize,
}

impl Tile {
    /// Writes the tile's rows: `row(i)` gives the entries of row i of A in the tile's inner columns, in their order.
    pub fn write_rows<R: Iterator<Item = i32>>(&self, out: &mut [i32], row: impl Fn(usize) -> R) {
        for (r, i) in self.rows.clone().enumerate() {
            let slots = out[r * self.stride..][..self.last + 1].iter_mut().rev();
            slots.zip(row(i)).for_each(|(slot, entry)| *slot = entry);
        }
    }
}

/// The entries of A, a tile at a time.
#[derive(Clone, Copy)]
pub enum Entries<'a> {
    /// Below 2^30: writes a tile's entries to their coefficients, which are zero before.
    Small(&'a (dyn Fn(&Tile, &mut [i32]) + Sync)),
    /// Below 2^51: entry (i, j).
    Wide(&'a (dyn Fn(usize, usize) -> i64 + Sync)),
}

/// How a product is tiled; a public function of its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    shape: Shape,
    /// Rows, inner columns and right columns of a tile.
    tile: (usize, usize, usize),
    level: Level,
}

impl Plan {
    /// The cheapest tiling of a shape. With `fixed_upload` the uploads are not counted (they serve many products). A training
    /// asks for the same few shapes again and again, so each is searched for once in a process.
    ///
    /// # Errors
    /// Config class: the worst-case noise fits no chain, or an empty shape.
    pub fn new(shape: Shape, fixed_upload: bool) -> Result<Self, AlgebraError> {
        static KNOWN: Mutex<BTreeMap<(Shape, bool), Plan>> = Mutex::new(BTreeMap::new());
        let key = (shape, fixed_upload);
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(plan) = known {
            return Ok(plan);
        }
        let plan = Self::search(shape, fixed_upload)?;
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(key, plan);
        Ok(plan)
    }

    /// Looks at every tiling.
    fn search(shape: Shape, fixed_upload: bool) -> Result<Self, AlgebraError> {
        if shape.rows == 0 || shape.inner == 0 || shape.columns == 0 {
            return Err(AlgebraError::Parameters("a matrix product with an empty side".into()));
        }
        let mut best: Option<(usize, Plan)> = None;
        for b in distinct_quotients(shape.columns) {
            for a in distinct_quotients(shape.inner) {
                let largest = N / a.saturating_mul(b);
                if largest == 0 {
                    continue;
                }
                let m = even_share(shape.rows, largest);
                let tile = (m, a, b);
                let budget = NoiseBudget {
                    operation: "matrix product",
                    plaintext: shape.plaintext(),
                    mass: m as f64 * shape.row_mass(),
                    flooding: None,
                };
                let Ok(level) = budget.level(Level::REPLY) else { continue };
                let plan = Plan { shape, tile, level };
                let bytes = plan.reply_bytes() + if fixed_upload { plan.uploads() * 1024 } else { plan.upload_bytes() };
                if best.is_none_or(|(least, _)| bytes < least) {
                    best = Some((bytes, plan));
                }
            }
        }
        best.map(|(_, plan)| plan)
            .ok_or_else(|| AlgebraError::Parameters(format!("no parameters carry a product of entries with {} bits", shape.entry_bits)))
    }

    /// The same uploads for a matrix A of another height; its tiles are no higher, so their noise is no larger.
    #[must_use]
    pub fn with_rows(self, rows: usize) -> Self {
        let (m, a, b) = self.tile;
        Self { shape: Shape { rows, ..self.shape }, tile: (even_share(rows, m), a, b), ..self }
    }

    fn inner_tiles(&self) -> usize {
        self.shape.inner.div_ceil(self.tile.1)
    }

    fn row_tiles(&self) -> usize {
        self.shape.rows.div_ceil(self.tile.0)
    }

    fn column_tiles(&self) -> usize {
        self.shape.columns.div_ceil(self.tile.2)
    }

    /// Number of uploaded ciphertexts.
    #[must_use]
    pub fn uploads(&self) -> usize {
        self.inner_tiles() * self.column_tiles()
    }

    /// Bytes of all uploads, with headers.
    #[must_use]
    pub fn upload_bytes(&self) -> usize {
        self.uploads() * (Ciphertext::upload_bytes(self.level) + HEADER_BYTES)
    }

    /// Bytes of all replies, with headers.
    #[must_use]
    pub fn reply_bytes(&self) -> usize {
        self.replies().map(|length| length + HEADER_BYTES).sum()
    }

    /// Payload of every reply, in the order they are sent.
    fn replies(&self) -> impl Iterator<Item = usize> {
        let ((m, _, b), Shape { rows, columns, .. }) = (self.tile, self.shape);
        let tiles = (0..self.row_tiles()).flat_map(move |i| (0..self.column_tiles()).map(move |k| (i, k)));
        tiles.map(move |(i, k)| reply::masked_bytes(m.min(rows - i * m) * b.min(columns - k * b)))
    }

    /// Notes the encryptor's uploads, sent or received.
    pub fn declare_uploads(&self, mut note: impl FnMut(usize)) {
        (0..self.uploads()).for_each(|_| note(Ciphertext::upload_bytes(self.level)));
    }

    /// Notes the holder's replies, sent or received.
    pub fn declare_replies(&self, note: impl FnMut(usize)) {
        self.replies().for_each(note);
    }

    /// Notes the messages of a product of which this party is the holder: [`receive_upload`] and [`multiply`].
    pub fn declare_held(&self, meter: &mut Meter) {
        self.declare_uploads(|length| meter.received(length));
        self.declare_replies(|length| meter.sent(length));
    }

    /// Notes the messages of a product of which this party is the encryptor: [`upload`] and [`receive_product`].
    pub fn declare_asked(&self, meter: &mut Meter) {
        self.declare_uploads(|length| meter.sent(length));
        self.declare_replies(|length| meter.received(length));
    }

    /// Bytes of memory that either side's part of the product takes at most, beside its entries and shares: the uploads, the sums
    /// and factors of the tiles under work, two waves of replies.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let (threads, poly) = (rayon::current_num_threads(), self.level.primes() * N * size_of::<u32>());
        let uploads = 2 * poly * self.uploads() + 2 * UPLOAD_WAVE * Ciphertext::upload_bytes(self.level);
        let work = threads * (2 * 2 * poly * self.column_tiles() + BATCH * poly);
        let wave = 4 * threads * self.column_tiles() * (reply::masked_bytes(N) + N * size_of::<u64>());
        (uploads + work + wave) as u64
    }

    /// Bytes the encryptor sends (`upload`) and the holder sends (`reply`).
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost { encryptor_bytes: self.upload_bytes() as u64, holder_bytes: self.reply_bytes() as u64 }
    }

    /// Makes `factor` the polynomial of a tile of A.
    fn factor(&self, rows: &Range<usize>, tile: usize, entries: Entries<'_>, factor: &mut PlainPoly, scratch: &mut Vec<i32>) {
        let (_, a, b) = self.tile;
        let inner = tile * a..self.shape.inner.min((tile + 1) * a);
        let tile = Tile { rows: rows.clone(), inner, stride: a * b, last: a - 1 };
        let length = (rows.len() - 1) * tile.stride + a;
        match entries {
            Entries::Small(write) => {
                scratch.clear();
                scratch.resize(length, 0);
                write(&tile, scratch);
                factor.set(scratch);
            }
            Entries::Wide(entry) => {
                let mut coefficients = vec![0i64; N];
                for (r, i) in tile.rows.clone().enumerate() {
                    for (c, j) in tile.inner.clone().enumerate() {
                        coefficients[r * tile.stride + tile.last - c] = entry(i, j);
                    }
                }
                *factor = PlainPoly::wide(&coefficients, self.level);
            }
        }
    }

    /// Row and column ranges of tile (i, k), and the coefficients that carry its entries, row by row.
    fn positions(&self, i: usize, k: usize) -> Vec<usize> {
        let (m, a, b) = self.tile;
        let rows = m.min(self.shape.rows - i * m);
        let columns = b.min(self.shape.columns - k * b);
        (0..rows).flat_map(|r| (0..columns).map(move |c| r * a * b + c * a + a - 1)).collect()
    }
}

/// All values ⌈n/k⌉ up to N: the only tile widths worth trying.
fn distinct_quotients(n: usize) -> Vec<usize> {
    let mut quotients: Vec<usize> = (1..=n.min(4 * 128)).map(|k| n.div_ceil(k)).chain(1..=n.min(128)).filter(|q| *q <= N).collect();
    quotients.sort_unstable();
    quotients.dedup();
    quotients
}

/// The smallest tile height that needs as few tiles as `largest` does.
fn even_share(rows: usize, largest: usize) -> usize {
    let largest = largest.min(rows);
    rows.div_ceil(rows.div_ceil(largest))
}

/// The encryptor's matrix on its way: ciphertexts held by the holder.
#[derive(Clone, Debug)]
pub struct Uploaded {
    ciphertexts: Vec<Ciphertext>,
}

/// Encryptor: encrypts B and sends it. `entry(j, k)` is B's entry, of which the modulus's bits count.
///
/// # Errors
/// Channel class.
pub fn upload(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    plan: &Plan,
    entry: &(dyn Fn(usize, usize) -> u64 + Sync),
) -> Result<(), AlgebraError> {
    let (_, a, b) = plan.tile;
    let streams: Vec<_> = (0..plan.uploads()).map(|_| engine.own_uniform.next_stream()).collect();
    let secrets: Vec<_> = (0..plan.uploads()).map(|_| engine.prg.next_seed()).collect();
    let secret = &engine.secret;
    let (plaintext, mask) = (plan.shape.plaintext(), plan.shape.plaintext().modulus() - 1);
    let mut work = streams.into_iter().zip(secrets).enumerate();
    let waves = std::iter::from_fn(|| Some(work.by_ref().take(UPLOAD_WAVE).collect::<Vec<_>>()).filter(|wave| !wave.is_empty()));
    let make = |wave: Vec<(usize, (Prg, Seed))>| {
        let made = wave.into_par_iter().map(|(index, (mut uniform, seed))| {
            let mut prg = Prg::from_seed(&seed);
            let (j0, k0) = (index / plan.column_tiles() * a, index % plan.column_tiles() * b);
            let mut coefficients = vec![0u64; N];
            for j in 0..a.min(plan.shape.inner - j0) {
                for k in 0..b.min(plan.shape.columns - k0) {
                    coefficients[k * a + j] = entry(j0 + j, k0 + k) & mask;
                }
            }
            encrypt(secret, &coefficients, plaintext, plan.level, &mut uniform, &mut prg)
        });
        made.collect::<Vec<Vec<u8>>>()
    };
    overlap::produce(waves, make, |messages| Ok(messages.iter().try_for_each(|message| channel.send(UPLOAD, message))?))
}

/// Holder: receives what [`upload`] sends.
///
/// # Errors
/// Channel class; Peer class for malformed ciphertexts.
pub fn receive_upload(engine: &mut Engine, channel: &mut dyn Channel, plan: &Plan) -> Result<Uploaded, AlgebraError> {
    let (length, count) = (Ciphertext::upload_bytes(plan.level), plan.uploads());
    let mut ciphertexts = Vec::with_capacity(count);
    let peer_uniform = &mut engine.peer_uniform;
    let fetch = |first: usize| {
        let frames = (first..count.min(first + UPLOAD_WAVE)).map(|_| channel.receive(UPLOAD, length));
        Ok(frames.collect::<Result<Vec<_>, _>>()?)
    };
    overlap::consume((0..count).step_by(UPLOAD_WAVE), fetch, |frames| {
        let streams: Vec<_> = frames.iter().map(|_| peer_uniform.next_stream()).collect();
        let read = frames.par_iter().zip(streams).map(|(frame, mut uniform)| receive_ciphertext(frame, plan.level, &mut uniform));
        ciphertexts.append(&mut read.collect::<Result<Vec<_>, _>>()?);
        Ok::<_, AlgebraError>(())
    })?;
    Ok(Uploaded { ciphertexts })
}

/// Holder: multiplies its A with the uploaded B, sends the masked replies, returns its share (rows × columns, row-major).
/// A's entries and the sums of their rows must fit the plan's bits.
///
/// # Errors
/// Channel class.
pub fn multiply(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    plan: &Plan,
    uploaded: &Uploaded,
    entries: Entries<'_>,
) -> Result<Vec<u64>, AlgebraError> {
    let (m, _, _) = plan.tile;
    let (rows, columns) = (plan.shape.rows, plan.shape.columns);
    let mut share = vec![0u64; rows * columns];
    let seeds: Vec<_> = (0..plan.row_tiles()).map(|_| engine.prg.next_seed()).collect();
    let key = &engine.peer_key;
    // A few row tiles at a time: the replies of a wave are sent while the next is computed, and memory stays small.
    let wave = 2 * rayon::current_num_threads();
    let make = |(first, seeds): (usize, &[Seed])| {
        let replies = seeds
            .par_iter()
            .enumerate()
            .map(|(offset, seed)| {
                let (mut prg, i0) = (Prg::from_seed(seed), (first + offset) * m);
                let rows = i0..rows.min(i0 + m);
                let mut sums: Vec<_> =
                    (0..plan.column_tiles()).map(|_| (Accumulator::new(plan.level), Accumulator::new(plan.level))).collect();
                let mut factors: [PlainPoly; BATCH] = std::array::from_fn(|_| PlainPoly::zero(plan.level));
                let mut scratch = Vec::new();
                let tiles: Vec<usize> = (0..plan.inner_tiles()).collect();
                for batch in tiles.chunks(BATCH) {
                    for (factor, jt) in factors.iter_mut().zip(batch) {
                        plan.factor(&rows, *jt, entries, factor, &mut scratch);
                    }
                    for (k, (c0, c1)) in sums.iter_mut().enumerate() {
                        let with = |half: fn(&Ciphertext) -> &Poly| {
                            let ciphertexts = batch.iter().map(|jt| half(&uploaded.ciphertexts[jt * plan.column_tiles() + k]));
                            factors.iter().map(PlainPoly::poly).zip(ciphertexts).collect::<Vec<_>>()
                        };
                        c0.add_products(&with(|ciphertext| &ciphertext.c0));
                        c1.add_products(&with(|ciphertext| &ciphertext.c1));
                    }
                }
                sums.into_iter()
                    .enumerate()
                    .map(|(k, (c0, c1))| reply::masked(c0, c1, key, plan.shape.plaintext(), &plan.positions(first + offset, k), &mut prg))
                    .collect()
            })
            .collect::<Vec<Vec<(Vec<u8>, Vec<u64>)>>>();
        (first, replies)
    };
    overlap::produce(seeds.chunks(wave).enumerate().map(|(w, seeds)| (w * wave, seeds)), make, |(first, replies)| {
        for (offset, row) in replies.into_iter().enumerate() {
            for (k, (message, values)) in row.into_iter().enumerate() {
                channel.send(REPLY, &message)?;
                scatter(plan, first + offset, k, &values, &mut share);
            }
        }
        Ok::<_, AlgebraError>(())
    })?;
    Ok(share)
}

/// Encryptor: receives the replies and returns its share (rows × columns, row-major).
///
/// # Errors
/// Channel class; Peer class for malformed replies.
pub fn receive_product(engine: &Engine, channel: &mut dyn Channel, plan: &Plan) -> Result<Vec<u64>, AlgebraError> {
    let tiles: Vec<(usize, usize)> = (0..plan.row_tiles()).flat_map(|i| (0..plan.column_tiles()).map(move |k| (i, k))).collect();
    let mut share = vec![0u64; plan.shape.rows * plan.shape.columns];
    let fetch = |wave: &'_ [(usize, usize)]| {
        let length = |(i, k): &(usize, usize)| reply::masked_bytes(plan.positions(*i, *k).len());
        let frames = wave.iter().map(|tile| channel.receive(REPLY, length(tile))).collect::<Result<Vec<_>, _>>()?;
        Ok((wave.to_vec(), frames))
    };
    overlap::consume(tiles.chunks(4 * rayon::current_num_threads()), fetch, |(wave, frames)| {
        let opened = frames
            .par_iter()
            .zip(&wave)
            .map(|(frame, (i, k))| reply::open_masked(&engine.secret, frame, plan.shape.plaintext(), &plan.positions(*i, *k)))
            .collect::<Result<Vec<_>, _>>()?;
        for (values, (i, k)) in opened.iter().zip(&wave) {
            scatter(plan, *i, *k, values, &mut share);
        }
        Ok::<_, AlgebraError>(())
    })?;
    Ok(share)
}

/// Writes a tile's entries into the row-major share.
fn scatter(plan: &Plan, i: usize, k: usize, values: &[u64], share: &mut [u64]) {
    let (m, _, b) = plan.tile;
    let columns = b.min(plan.shape.columns - k * b);
    for (index, value) in values.iter().enumerate() {
        share[(i * m + index / columns) * plan.shape.columns + k * b + index % columns] = *value;
    }
}

#[cfg(test)]
#[path = "product/tests.rs"]
mod tests;
