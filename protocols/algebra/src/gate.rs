//! The trigonometric gate: a function of a shared value in one round trip.
//!
//! **Purpose.** σ(z) and σ′(z) of shared logits.
//!
//! **Functionality.** Both hold shares of z modulo 2^50; the owner (holder) has Fourier series f = a_0 + Σ a_k cos kθ + b_k sin
//! kθ with θ = 2π·c·z/2^50 for a public integer c, and for each function, where it wants, a private factor m_i, |m_i| ≤ 1, a row.
//! Both get shares of m_i·f(z_i) modulo 2^50 with the plan's fraction bits. With phases θ_o + θ_p = θ (mod 2π, wrap-around
//! included)
//!
//! f = a_0 + Σ_k \[a_k cos kθ_o + b_k sin kθ_o\]·cos kθ_p + \[b_k cos kθ_o − a_k sin kθ_o\]·sin kθ_p.
//!
//! m_i multiplies the brackets before they are rounded and a_0 where the owner adds it: neither bytes nor noise change.
//!
//! A plan may add the half harmonic, k = 1/2 (c even): it changes its sign from one period to the next, so that a function with
//! it tells logits from their aliases.
//!
//! **Security.** Semi-honest. The partner uploads its rounded sines and cosines encrypted; the owner multiplies by its own,
//! masks and floods ([`colift_rlwe::reply`], 2^-54 · 8192 a reply). The coefficients stay with the owner: the partner learns
//! neither the function nor the base rate nor any m_i. Rounding is stochastic and unbiased, with secret coins.
//!
//! **Cost.** [`GatePlan::cost`]: 2K uploads (two more with the half harmonic) and one reply a function for each 8,192 rows (a shorter block packs several terms
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

/// Fraction bits of residuals: what a training asks of the first function.
pub const RESULT_BITS: u32 = 20;

/// A Fourier series in the phase of z.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// a_0.
    pub constant: f64,
    /// (a_k, b_k) for k = 1, 2, …
    pub harmonics: Vec<(f64, f64)>,
}

/// A function the owner evaluates.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// Its series.
    pub series: &'a Series,
    /// A factor in \[−1, 1\] for each row that has the function; `None` for 1.
    pub factor: Option<&'a [f64]>,
}

impl Function<'_> {
    /// The factor of a row.
    fn at(&self, row: usize) -> f64 {
        self.factor.map_or(1.0, |factor| factor[row])
    }
}

/// Public shape of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatePlan {
    /// Number of rows.
    pub rows: usize,
    /// Fraction bits of the first function's results.
    pub first_bits: u32,
    /// The first so many rows have a second function of the same z.
    pub second_rows: usize,
    /// Fraction bits of the second function's results.
    pub second_bits: u32,
    /// Harmonics K of every series, without the half harmonic.
    pub harmonics: usize,
    /// Whether the series end with the half harmonic.
    pub half: bool,
    /// Fraction bits of the rounded sines and cosines, 10 or 13.
    pub bits: u32,
    /// The integer c: the period in z is 2^50 / c units.
    pub frequency: u64,
}

impl GatePlan {
    /// Rows of every block, 8,192 and what is left, and how many of them have a second function.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (rows, second) = (self.rows, self.second_rows.min(self.rows));
        (0..rows).step_by(N).map(move |start| (N.min(rows - start), N.min(second.saturating_sub(start))))
    }

    /// Number of functions.
    #[must_use]
    pub fn functions(&self) -> usize {
        1 + usize::from(self.second_rows > 0)
    }

    /// Rows of every function.
    fn wanted(&self) -> impl Iterator<Item = usize> {
        [self.rows, self.second_rows.min(self.rows)].into_iter().filter(|rows| *rows > 0)
    }

    /// The owner's functions must have the plan's harmonics, and factors that neither widen results nor noise.
    fn check(&self, functions: &[Function<'_>]) -> Result<(), AlgebraError> {
        let wrong = |what: &str| Err(AlgebraError::Parameters(what.into()));
        if functions.len() != self.functions() || functions.iter().any(|f| f.series.harmonics.len() != self.pairs()) {
            return wrong("the series do not have the gate's harmonics");
        }
        for (factor, rows) in functions.iter().zip(self.wanted()).filter_map(|(f, rows)| Some((f.factor?, rows))) {
            if factor.len() != rows {
                return wrong("the gate needs one factor for each row");
            }
            if factor.iter().any(|m| m.is_nan() || m.abs() > 1.0) {
                return wrong("a factor of a gate's row is beyond 1");
            }
        }
        Ok(())
    }

    /// Pairs of a cosine and a sine.
    fn pairs(&self) -> usize {
        self.harmonics + usize::from(self.half)
    }

    /// Terms: a cosine or a sine each.
    fn terms(&self) -> usize {
        2 * self.pairs()
    }

    /// Units of 2π/2^50 by which a unit of z turns pair number `pair`.
    fn multiple(&self, pair: usize) -> u64 {
        if pair < self.harmonics { self.frequency * (pair as u64 + 1) } else { self.frequency / 2 }
    }

    /// Elements that are lifted.
    fn lifted(&self) -> usize {
        self.rows + self.second_rows.min(self.rows)
    }

    /// Terms (a cosine or a sine each) that share a ciphertext in a block of this many rows: a short block has room for several.
    fn packed_terms(&self, rows: usize) -> usize {
        (N / rows).clamp(1, self.terms())
    }

    /// Ciphertexts of a block of this many rows.
    fn uploads(&self, rows: usize) -> usize {
        self.terms().div_ceil(self.packed_terms(rows))
    }

    fn budget(&self, encoder: &SlotEncoder) -> NoiseBudget {
        NoiseBudget {
            operation: "trigonometric gate",
            plaintext: encoder.plaintext(),
            mass: (self.terms() * N) as f64 * f64::from(2 * self.bits + 2).exp2(),
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
            encryptor_bytes: (self.blocks().map(|(rows, _)| self.uploads(rows)).sum::<usize>() * upload) as u64,
            holder_bytes: (self.blocks().map(functions).sum::<usize>() * (reply::flooded_bytes() + HEADER_BYTES)) as u64,
        })
    }
}

/// Notes the messages of [`evaluate`].
///
/// # Errors
/// As [`GatePlan::level`].
pub fn declare(meter: &mut Meter, role: Role, plan: &GatePlan) -> Result<(), AlgebraError> {
    let upload = Ciphertext::upload_bytes(plan.level()?);
    let uploads = |block: (usize, usize)| (0..plan.uploads(block.0)).map(|_| upload);
    let replies = |block: (usize, usize)| (0..functions(block)).map(|_| reply::flooded_bytes());
    if role == Role::First {
        for block in plan.blocks() {
            uploads(block).for_each(|length| meter.received(length));
            replies(block).for_each(|length| meter.sent(length));
        }
    } else {
        plan.blocks().flat_map(uploads).for_each(|length| meter.sent(length));
        plan.blocks().flat_map(replies).for_each(|length| meter.received(length));
    }
    lift::declare(meter, role, plan.lifted());
    Ok(())
}

/// Functions of a block, given its rows and those with a second function.
fn functions(block: (usize, usize)) -> usize {
    1 + usize::from(block.1 > 0)
}

/// Fraction of a turn that a share makes, exact modulo 2^50.
#[inline]
fn turn(share: u64, multiple: u64) -> f64 {
    let phase = share.wrapping_mul(multiple) & ring50::MASK;
    phase as f64 / f64::from(ring50::BITS).exp2()
}

/// Unbiased rounding of x·2^bits to an integer with a secret coin.
#[inline]
fn round_stochastic(x: f64, scale: f64, prg: &mut Prg) -> i32 {
    let coin = (prg.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    (x * scale + coin).floor() as i32
}

/// Evaluates the functions on shares `z`; the owner (first role) passes its functions, the partner an empty slice. Returns this
/// party's shares function by function, with the plan's `first_bits` and `second_bits` fraction bits.
///
/// # Errors
/// Config class: series or factors that do not match the plan; Channel and Peer classes.
pub fn evaluate(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    plan: &GatePlan,
    z: &[u64],
    functions: &[Function<'_>],
) -> Result<Vec<Vec<u64>>, AlgebraError> {
    if z.len() != plan.rows {
        return Err(AlgebraError::Parameters(format!("the gate expects {} rows, got {}", plan.rows, z.len())));
    }
    let encoder = SlotEncoder::for_fraction_bits(plan.bits);
    let level = plan.level()?;
    let raw = if engine.role == Role::First {
        plan.check(functions)?;
        hold(engine, channel, plan, &encoder, level, z, functions)?
    } else {
        ask(engine, channel, plan, &encoder, level, z)?
    };
    let prime = u64::from(encoder.prime());
    let factor = |bits: u32| f64::from(bits as i32 - 2 * plan.bits as i32).exp2();
    let results = raw.iter().zip([plan.first_bits, plan.second_bits]);
    let batches: Vec<Batch<'_>> = results.map(|(shares, bits)| Batch { shares, modulus: prime, factor: factor(bits) }).collect();
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
                for term in (index * packed..plan.terms()).take(packed) {
                    let multiple = plan.multiple(term / 2);
                    slots.extend(block.iter().map(|share| {
                        let (sin, cos) = (TAU * turn(*share, multiple)).sin_cos();
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
    let mut shares = vec![Vec::with_capacity(z.len()); plan.functions()];
    for (rows, second) in plan.blocks() {
        for (share, wanted) in shares.iter_mut().zip([rows, second]).filter(|(_, wanted)| *wanted > 0) {
            let frame = channel.receive(REPLY, reply::flooded_bytes())?;
            let slots = encoder.to_slots(&reply::open_flooded(&engine.secret, &frame, encoder.plaintext())?);
            share.extend(sum_terms(&slots, rows, plan.packed_terms(rows), u64::from(encoder.prime())).take(wanted));
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
    functions: &[Function<'_>],
) -> Result<Vec<Vec<u64>>, AlgebraError> {
    let (scale, length, t) = (f64::from(plan.bits).exp2(), Ciphertext::upload_bytes(level), u64::from(encoder.prime()));
    let budget = plan.budget(encoder);
    let mut shares = vec![Vec::with_capacity(z.len()); plan.functions()];
    for (number, (block, (rows, second))) in z.chunks(N).zip(plan.blocks()).enumerate() {
        let start = number * N;
        let packed = plan.packed_terms(block.len());
        let frames = (0..plan.uploads(block.len())).map(|_| channel.receive(PHASES, length)).collect::<Result<Vec<_>, _>>()?;
        let streams: Vec<_> = frames.iter().map(|_| engine.peer_uniform.next_stream()).collect();
        let uploads = frames
            .into_par_iter()
            .zip(streams)
            .map(|(frame, mut uniform)| receive_ciphertext(&frame, level, &mut uniform))
            .collect::<Result<Vec<_>, _>>()?;
        // Step 2: for each function one reply.
        let wanted: Vec<_> = [rows, second].into_iter().zip(functions).filter(|(wanted, _)| *wanted > 0).collect();
        let seeds: Vec<_> = wanted.iter().map(|_| engine.prg.next_seed()).collect();
        let key = &engine.peer_key;
        let replies: Vec<(Vec<u8>, Vec<u64>)> = wanted
            .into_par_iter()
            .zip(seeds)
            .map(|((wanted, function), seed)| {
                // A short second function leaves the other rows' results unused.
                let factors: Vec<f64> = (0..block.len()).map(|i| if i < wanted { function.at(start + i) } else { 0.0 }).collect();
                let mut prg = Prg::from_seed(&seed);
                let (mut c0, mut c1) = (Accumulator::new(level), Accumulator::new(level));
                let mut batch: Vec<(PlainPoly, &Ciphertext)> = Vec::with_capacity(4);
                for (index, upload) in uploads.iter().enumerate() {
                    let mut slots = Vec::with_capacity(N);
                    for term in (index * packed..plan.terms()).take(packed) {
                        // The factor of cos kθ_p is a cos kθ_o + b sin kθ_o, that of sin kθ_p is b cos kθ_o − a sin kθ_o.
                        let (a, b) = function.series.harmonics[term / 2];
                        let (on_cos, on_sin) = if term % 2 == 0 { (a, b) } else { (b, -a) };
                        let multiple = plan.multiple(term / 2);
                        slots.extend(block.iter().zip(&factors).map(|(share, factor)| {
                            let (sin, cos) = (TAU * turn(*share, multiple)).sin_cos();
                            round_stochastic(factor * (on_cos * cos + on_sin * sin), scale, &mut prg)
                        }));
                    }
                    batch.push((PlainPoly::new(&encoder.to_centred(&slots), level), upload));
                    if batch.len() == 4 || index + 1 == uploads.len() {
                        c0.add_products(&batch.iter().map(|(plain, upload)| (plain.poly(), &upload.c0)).collect::<Vec<_>>());
                        c1.add_products(&batch.iter().map(|(plain, upload)| (plain.poly(), &upload.c1)).collect::<Vec<_>>());
                        batch.clear();
                    }
                }
                let mask: Vec<u64> = (0..N).map(|_| prg.below(t)).collect();
                let message = reply::flooded(c0, c1, key, &budget, level, &mask, &mut prg);
                let constant = function.series.constant * scale * scale;
                let own = sum_terms(&encoder.to_slots(&mask), block.len(), packed, t)
                    .zip(&factors)
                    .map(|(mask, factor)| ((factor * constant).round() as i64 - mask as i64).rem_euclid(t as i64) as u64)
                    .take(wanted)
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
