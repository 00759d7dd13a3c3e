//! One block of a gate: what a party encrypts, what it multiplies, what it opens.

use super::plan::{Block, Function, GatePlan};
use crate::engine::Engine;
use crate::error::AlgebraError;
use crate::ring50;
use colift_primitives::rng::Prg;
use colift_rlwe::{Accumulator, Ciphertext, Level, N, PlainPoly, Poly, SlotEncoder, encrypt, receive_ciphertext, reply};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Products added up in one pass over a sum.
const BATCH: usize = 4;
/// Moves roundings to where truncation rounds down; slots are smaller.
const OFFSET: f64 = (1u32 << 29) as f64;

/// One party's side of a gate: its shares of z, and on the owner's side the functions.
pub(super) struct Side<'a> {
    pub plan: &'a GatePlan,
    pub encoder: SlotEncoder,
    pub level: Level,
    pub shares: &'a [u64],
    pub functions: &'a [Function<'a>],
}

/// A block's masked reply for one function, and this party's share of it modulo t.
pub(super) type Reply = (Vec<u8>, Vec<u64>);

impl Side<'_> {
    fn prime(&self) -> u64 {
        u64::from(self.encoder.prime())
    }

    /// This party's factors of a block, rounded, term after term: on the owner's side those of the function on its first `wanted`
    /// rows, on the partner's its cosines and sines.
    fn slots(&self, block: &Block, function: Option<(&Function<'_>, usize)>, prg: &mut Prg) -> Vec<i32> {
        let (plan, scale) = (self.plan, f64::from(self.plan.bits).exp2());
        let shares = &self.shares[block.start..][..block.rows];
        let weights: Option<Vec<f64>> = function.map(|(function, wanted)| {
            // A short second function leaves the other rows' results unused.
            (0..block.rows).map(|i| if i < wanted { function.at(block.start + i) * scale } else { 0.0 }).collect()
        });
        let angles = |multiple: u64| shares.iter().map(|share| (TAU * turn(*share, multiple)).sin_cos()).collect::<Vec<_>>();
        let base = angles(plan.frequency);
        let mut now = base.clone();
        let mut slots = vec![0; plan.terms() * block.rows];
        let mut coins = vec![0u64; block.rows];
        for (pair, out) in slots.chunks_exact_mut(2 * block.rows).enumerate() {
            if pair == plan.harmonics {
                now = angles(plan.frequency / 2);
            } else if pair > 0 {
                for ((sin, cos), (s, c)) in now.iter_mut().zip(&base) {
                    (*sin, *cos) = (*sin * c + *cos * s, *cos * c - *sin * s);
                }
            }
            prg.fill_u64(&mut coins);
            let (cosines, sines) = out.split_at_mut(block.rows);
            let places = cosines.iter_mut().zip(sines).zip(now.iter().zip(&coins));
            if let (Some((function, _)), Some(weights)) = (function, &weights) {
                // The factor of cos kθ_p is a cos kθ_o + b sin kθ_o, that of sin kθ_p is b cos kθ_o − a sin kθ_o.
                let (a, b) = function.series.harmonics[pair];
                for (((on_cos, on_sin), ((sin, cos), coin)), weight) in places.zip(weights) {
                    *on_cos = round_stochastic(weight * (a * cos + b * sin), *coin as u32);
                    *on_sin = round_stochastic(weight * (b * cos - a * sin), (*coin >> 32) as u32);
                }
            } else {
                for ((on_cos, on_sin), ((sin, cos), coin)) in places {
                    *on_cos = round_stochastic(cos * scale, *coin as u32);
                    *on_sin = round_stochastic(sin * scale, (*coin >> 32) as u32);
                }
            }
        }
        slots
    }

    /// Uploader: the ciphertexts of a block's own factors.
    pub fn encrypt(&self, engine: &mut Engine, block: &Block) -> Vec<Vec<u8>> {
        let packed = self.plan.packed_terms(block.rows);
        let function = self.functions.first().map(|function| (function, block.rows));
        let slots = self.slots(block, function, &mut Prg::from_seed(&engine.prg.next_seed()));
        let parts = slots.chunks(packed * block.rows);
        let work: Vec<_> = parts.map(|part| (part, engine.own_uniform.next_stream(), engine.prg.next_seed())).collect();
        let (secret, encoder) = (&engine.secret, &self.encoder);
        work.into_par_iter()
            .map(|(part, mut uniform, seed)| {
                let coefficients: Vec<u64> = encoder.to_coefficients(part).into_iter().map(u64::from).collect();
                encrypt(secret, &coefficients, encoder.plaintext(), self.level, &mut uniform, &mut Prg::from_seed(&seed))
            })
            .collect()
    }

    /// Evaluator: multiplies the peer's uploads by own factors; for each function of the block one masked, flooded reply.
    pub fn multiply(&self, engine: &mut Engine, block: &Block, frames: &[Vec<u8>]) -> Result<Vec<Reply>, AlgebraError> {
        let (packed, t, level) = (self.plan.packed_terms(block.rows), self.prime(), self.level);
        let streams: Vec<_> = frames.iter().map(|_| engine.peer_uniform.next_stream()).collect();
        let uploads = frames
            .par_iter()
            .zip(streams)
            .map(|(frame, mut uniform)| receive_ciphertext(frame, level, &mut uniform))
            .collect::<Result<Vec<_>, _>>()?;
        let budget = self.plan.budget(&self.encoder);
        let key = &engine.peer_key;
        let mut replies = Vec::new();
        for (index, wanted) in block.functions().enumerate() {
            let mut prg = Prg::from_seed(&engine.prg.next_seed());
            let function = self.functions.get(index).map(|function| (function, wanted));
            let slots = self.slots(block, function, &mut prg);
            let parts: Vec<&[i32]> = slots.chunks(packed * block.rows).collect();
            let factors: Vec<PlainPoly> = parts.par_iter().map(|part| PlainPoly::new(&self.encoder.to_centred(part), level)).collect();
            let sum = |half: fn(&Ciphertext) -> &Poly| {
                let mut sum = Accumulator::new(level);
                for (factors, uploads) in factors.chunks(BATCH).zip(uploads.chunks(BATCH)) {
                    sum.add_products(&factors.iter().map(PlainPoly::poly).zip(uploads.iter().map(half)).collect::<Vec<_>>());
                }
                sum
            };
            let (c0, c1) = rayon::join(|| sum(|upload| &upload.c0), || sum(|upload| &upload.c1));
            let mask: Vec<u64> = (0..N).map(|_| prg.below(t)).collect();
            let message = reply::flooded(c0, c1, key, &budget, level, &mask, &mut prg);
            let masks = self.encoder.to_slots(&mask);
            replies.push((message, sum_terms(&masks, block.rows, packed, t).take(wanted).map(|mask| (t - mask) % t).collect()));
        }
        Ok(replies)
    }

    /// Uploader: its shares modulo t of a block's results, from the reply of one function.
    pub fn open(&self, engine: &Engine, block: &Block, wanted: usize, frame: &[u8]) -> Result<Vec<u64>, AlgebraError> {
        let slots = self.encoder.to_slots(&reply::open_flooded(&engine.secret, frame, self.encoder.plaintext())?);
        Ok(sum_terms(&slots, block.rows, self.plan.packed_terms(block.rows), self.prime()).take(wanted).collect())
    }

    /// Owner: adds the constants of its functions to its shares, all rows of the gate.
    pub fn add_constants(&self, shares: &mut [Vec<u64>]) {
        let (scale, t) = (f64::from(2 * self.plan.bits).exp2(), self.prime() as i64);
        for (shares, function) in shares.iter_mut().zip(self.functions) {
            let constant = function.series.constant * scale;
            for (row, share) in shares.iter_mut().enumerate() {
                *share = ((function.at(row) * constant).round() as i64 + *share as i64).rem_euclid(t) as u64;
            }
        }
    }
}

/// Fraction of a turn that a share makes, exact modulo 2^50.
#[inline]
fn turn(share: u64, multiple: u64) -> f64 {
    let phase = share.wrapping_mul(multiple) & ring50::MASK;
    phase as f64 / f64::from(ring50::BITS).exp2()
}

/// Unbiased rounding of |x| < 2^29 to an integer with a secret coin.
#[inline]
fn round_stochastic(x: f64, coin: u32) -> i32 {
    let coin = (f64::from(coin) + 0.5) * f64::from(-32).exp2();
    (x + coin + OFFSET) as i32 - OFFSET as i32
}

/// Adds up the terms that share a reply: slot i of every one of the `packed` segments of `rows` slots, modulo t.
fn sum_terms(slots: &[u32], rows: usize, packed: usize, t: u64) -> impl Iterator<Item = u64> {
    (0..rows).map(move |i| (0..packed).map(|segment| u64::from(slots[segment * rows + i])).sum::<u64>() % t)
}
