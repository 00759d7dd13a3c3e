//! The trigonometric gate: a function of a shared value in one round trip.
//!
//! **Purpose.** σ(z) and σ′(z) of shared logits.
//!
//! **Functionality.** Both hold shares of z modulo 2^50; the owner (holder) has Fourier series f = a_0 + Σ a_k cos kθ + b_k sin
//! kθ with θ = 2π·c·z/2^50 for a public integer c. Both get shares of f(z) modulo 2^50 with 20 fraction bits. With phases
//! θ_o + θ_p = θ (mod 2π, wrap-around included)
//!
//! f = a_0 + Σ_k \[a_k cos kθ_o + b_k sin kθ_o\]·cos kθ_p + \[b_k cos kθ_o − a_k sin kθ_o\]·sin kθ_p.
//!
//! **Security.** Semi-honest. The partner uploads its rounded sines and cosines encrypted; the owner multiplies by its own,
//! masks and floods ([`colift_rlwe::reply`], 2^-54 · 8192 a reply). The coefficients stay with the owner: the partner learns
//! neither the function nor the base rate. Rounding is stochastic and unbiased, with secret coins.
//!
//! **Cost.** [`GatePlan::cost`]: 2K uploads and one reply a function for each 8,192 rows (a shorter block packs several terms
//! into one ciphertext), then one lift an element: two rounds.
//! **Messages.** `phases` (partner → owner), `gate reply` (owner → partner), the lift's.
//! **Source.** Our design (docs/protocols/training.md); slot packing of BFV.

use crate::engine::{Cost, Engine};
use crate::error::AlgebraError;
use crate::lift::{self, Batch, lift};
use crate::ring50;
use colift_channel::{Channel, HEADER_BYTES, Kind, Meter};
use colift_correlation::Role;
use colift_primitives::rng::Prg;
use colift_rlwe::{Accumulator, Ciphertext, Level, N, NoiseBudget, PlainPoly, SlotEncoder, encrypt, receive_ciphertext, reply};
use rayon::prelude::*;
use std::f64::consts::TAU;

const PHASES: Kind = Kind { code: 0x0420, name: "phases" };
const REPLY: Kind = Kind { code: 0x0421, name: "gate reply" };

/// Bits of flooding over the worst-case noise.
const FLOODING: u32 = 54;

/// Fraction bits of the gate's results.
pub const RESULT_BITS: u32 = 20;

/// A Fourier series in the phase of z.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// a_0.
    pub constant: f64,
    /// (a_k, b_k) for k = 1, 2, …
    pub harmonics: Vec<(f64, f64)>,
}

/// Public shape of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatePlan {
    /// Number of rows.
    pub rows: usize,
    /// Number of functions of the same z.
    pub functions: usize,
    /// Harmonics K of every series.
    pub harmonics: usize,
    /// Fraction bits of the rounded sines and cosines, 10 or 13.
    pub bits: u32,
    /// The integer c: the period in z is 2^50 / c units.
    pub frequency: u64,
}

impl GatePlan {
    /// Rows of every block: 8,192, and what is left.
    fn blocks(&self) -> impl Iterator<Item = usize> {
        let rows = self.rows;
        (0..rows.div_ceil(N)).map(move |block| N.min(rows - block * N))
    }

    /// Terms (a cosine or a sine each) that share a ciphertext in a block of this many rows: a short block has room for several.
    fn packed_terms(&self, rows: usize) -> usize {
        (N / rows).clamp(1, 2 * self.harmonics)
    }

    /// Ciphertexts of a block of this many rows.
    fn uploads(&self, rows: usize) -> usize {
        (2 * self.harmonics).div_ceil(self.packed_terms(rows))
    }

    fn budget(&self, encoder: &SlotEncoder) -> NoiseBudget {
        NoiseBudget {
            operation: "trigonometric gate",
            plaintext: encoder.plaintext(),
            products: 2 * self.harmonics,
            support: N,
            coefficient_bits: 2 * self.bits + 2,
            flooding: Some(FLOODING),
        }
    }

    /// The chain of primes its worst-case noise needs.
    ///
    /// # Errors
    /// Config class: too many harmonics for any chain.
    pub fn level(&self) -> Result<Level, AlgebraError> {
        Ok(self.budget(&SlotEncoder::for_fraction_bits(self.bits)).level(Level::SLOT_REPLY)?)
    }

    /// Bytes of the uploads (partner) and the replies (owner), without the lift.
    ///
    /// # Errors
    /// As [`GatePlan::level`].
    pub fn cost(&self) -> Result<Cost, AlgebraError> {
        let upload = Ciphertext::upload_bytes(self.level()?) + HEADER_BYTES;
        Ok(Cost {
            encryptor_bytes: (self.blocks().map(|rows| self.uploads(rows)).sum::<usize>() * upload) as u64,
            holder_bytes: (self.blocks().count() * self.functions * (reply::flooded_bytes() + HEADER_BYTES)) as u64,
        })
    }
}

/// Notes the messages of [`evaluate`].
///
/// # Errors
/// As [`GatePlan::level`].
pub fn declare(meter: &mut Meter, role: Role, plan: &GatePlan) -> Result<(), AlgebraError> {
    let upload = Ciphertext::upload_bytes(plan.level()?);
    let uploads = |rows: usize| (0..plan.uploads(rows)).map(|_| upload);
    let replies = || (0..plan.functions).map(|_| reply::flooded_bytes());
    if role == Role::First {
        for rows in plan.blocks() {
            uploads(rows).for_each(|length| meter.received(length));
            replies().for_each(|length| meter.sent(length));
        }
    } else {
        plan.blocks().flat_map(uploads).for_each(|length| meter.sent(length));
        plan.blocks().flat_map(|_| replies()).for_each(|length| meter.received(length));
    }
    lift::declare(meter, role, plan.functions * plan.rows);
    Ok(())
}

/// Fraction of a turn that harmonic k makes of a share, exact modulo 2^50.
#[inline]
fn turn(share: u64, frequency: u64, k: usize) -> f64 {
    let phase = share.wrapping_mul(frequency).wrapping_mul(k as u64) & ring50::MASK;
    phase as f64 / f64::from(ring50::BITS).exp2()
}

/// Unbiased rounding of x·2^bits to an integer with a secret coin.
#[inline]
fn round_stochastic(x: f64, scale: f64, prg: &mut Prg) -> i64 {
    let coin = (prg.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    (x * scale + coin).floor() as i64
}

/// Evaluates the functions on shares `z`; the owner (first role) passes its series, the partner an empty slice. Returns this
/// party's shares function by function, with [`RESULT_BITS`] fraction bits.
///
/// # Errors
/// Config class: series that do not match the plan; Channel and Peer classes.
pub fn evaluate(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    plan: &GatePlan,
    z: &[u64],
    series: &[Series],
) -> Result<Vec<Vec<u64>>, AlgebraError> {
    if z.len() != plan.rows {
        return Err(AlgebraError::Parameters(format!("the gate expects {} rows, got {}", plan.rows, z.len())));
    }
    let encoder = SlotEncoder::for_fraction_bits(plan.bits);
    let level = plan.level()?;
    let raw = if engine.role == Role::First {
        if series.len() != plan.functions || series.iter().any(|s| s.harmonics.len() != plan.harmonics) {
            return Err(AlgebraError::Parameters("the series do not have the gate's harmonics".into()));
        }
        hold(engine, channel, plan, &encoder, level, z, series)?
    } else {
        ask(engine, channel, plan, &encoder, level, z)?
    };
    let prime = u64::from(encoder.prime());
    let factor = f64::from(RESULT_BITS as i32 - 2 * plan.bits as i32).exp2();
    let batches: Vec<Batch<'_>> = raw.iter().map(|shares| Batch { shares, modulus: prime, factor }).collect();
    lift(engine, channel, &batches)
}

/// Partner: uploads its phases, returns its shares modulo t.
fn ask(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    plan: &GatePlan,
    encoder: &SlotEncoder,
    level: Level,
    z: &[u64],
) -> Result<Vec<Vec<u64>>, AlgebraError> {
    let scale = f64::from(plan.bits).exp2();
    for block in z.chunks(N) {
        // Step 1: the ciphertexts of this block's cosines and sines.
        let packed = plan.packed_terms(block.len());
        let work: Vec<_> =
            (0..plan.uploads(block.len())).map(|index| (index, engine.own_uniform.next_stream(), engine.prg.next_seed())).collect();
        let secret = &engine.secret;
        let messages: Vec<Vec<u8>> = work
            .into_par_iter()
            .map(|(index, mut uniform, seed)| {
                let mut prg = Prg::from_seed(&seed);
                let mut slots = Vec::with_capacity(N);
                for term in (index * packed..2 * plan.harmonics).take(packed) {
                    slots.extend(block.iter().map(|share| {
                        let (sin, cos) = (TAU * turn(*share, plan.frequency, term / 2 + 1)).sin_cos();
                        round_stochastic(if term % 2 == 0 { cos } else { sin }, scale, &mut prg)
                    }));
                }
                let coefficients: Vec<u64> = encoder.to_coefficients(&slots).into_iter().map(u64::from).collect();
                encrypt(secret, &coefficients, encoder.plaintext(), level, &mut uniform, &mut prg)
            })
            .collect();
        for message in messages {
            channel.send(PHASES, &message)?;
        }
    }
    // Step 3: the masked, flooded replies.
    let mut shares = vec![Vec::with_capacity(z.len()); plan.functions];
    for block in z.chunks(N) {
        for share in &mut shares {
            let frame = channel.receive(REPLY, reply::flooded_bytes())?;
            let slots = encoder.to_slots(&reply::open_flooded(&engine.secret, &frame, encoder.plaintext())?);
            share.extend(sum_terms(&slots, block.len(), plan.packed_terms(block.len()), u64::from(encoder.prime())));
        }
    }
    Ok(shares)
}

/// Owner: multiplies the uploads by its own phases, returns its shares modulo t.
fn hold(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    plan: &GatePlan,
    encoder: &SlotEncoder,
    level: Level,
    z: &[u64],
    series: &[Series],
) -> Result<Vec<Vec<u64>>, AlgebraError> {
    let (scale, length, t) = (f64::from(plan.bits).exp2(), Ciphertext::upload_bytes(level), u64::from(encoder.prime()));
    let budget = plan.budget(encoder);
    let mut shares = vec![Vec::with_capacity(z.len()); plan.functions];
    for block in z.chunks(N) {
        let packed = plan.packed_terms(block.len());
        let frames = (0..plan.uploads(block.len())).map(|_| channel.receive(PHASES, length)).collect::<Result<Vec<_>, _>>()?;
        let streams: Vec<_> = frames.iter().map(|_| engine.peer_uniform.next_stream()).collect();
        let uploads = frames
            .into_par_iter()
            .zip(streams)
            .map(|(frame, mut uniform)| receive_ciphertext(&frame, level, &mut uniform))
            .collect::<Result<Vec<_>, _>>()?;
        // Step 2: for each function one reply.
        let seeds: Vec<_> = series.iter().map(|_| engine.prg.next_seed()).collect();
        let key = &engine.peer_key;
        let replies: Vec<(Vec<u8>, Vec<u64>)> = series
            .par_iter()
            .zip(seeds)
            .map(|(series, seed)| {
                let mut prg = Prg::from_seed(&seed);
                let (mut c0, mut c1) = (Accumulator::new(level), Accumulator::new(level));
                for (index, upload) in uploads.iter().enumerate() {
                    let mut slots = Vec::with_capacity(N);
                    for term in (index * packed..2 * plan.harmonics).take(packed) {
                        // The factor of cos kθ_p is a cos kθ_o + b sin kθ_o, that of sin kθ_p is b cos kθ_o − a sin kθ_o.
                        let (a, b) = series.harmonics[term / 2];
                        let (on_cos, on_sin) = if term % 2 == 0 { (a, b) } else { (b, -a) };
                        slots.extend(block.iter().map(|share| {
                            let (sin, cos) = (TAU * turn(*share, plan.frequency, term / 2 + 1)).sin_cos();
                            round_stochastic(on_cos * cos + on_sin * sin, scale, &mut prg)
                        }));
                    }
                    let plain = PlainPoly::new(&encoder.to_centred(&slots), level);
                    c0.add_product(plain.poly(), &upload.c0);
                    c1.add_product(plain.poly(), &upload.c1);
                }
                let mask: Vec<u64> = (0..N).map(|_| prg.below(t)).collect();
                let message = reply::flooded(c0, c1, key, &budget, level, &mask, &mut prg);
                let constant = (series.constant * scale * scale).round() as i64;
                let own = sum_terms(&encoder.to_slots(&mask), block.len(), packed, t)
                    .map(|m| (constant - m as i64).rem_euclid(t as i64) as u64)
                    .collect();
                (message, own)
            })
            .collect();
        for ((message, own), share) in replies.into_iter().zip(&mut shares) {
            channel.send(REPLY, &message)?;
            share.extend::<Vec<u64>>(own);
        }
    }
    Ok(shares)
}

/// Adds up the terms that share a reply: slot i of every one of the `packed` segments of `rows` slots, modulo t.
fn sum_terms(slots: &[u32], rows: usize, packed: usize, t: u64) -> impl Iterator<Item = u64> {
    (0..rows).map(move |i| (0..packed).map(|segment| u64::from(slots[segment * rows + i])).sum::<u64>() % t)
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
