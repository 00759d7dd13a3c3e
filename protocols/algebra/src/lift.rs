//! The exact lift: shares modulo T become shares of a public multiple modulo 2^50. The only truncation anywhere.
//!
//! **Purpose.** After the gate (from a prime t to 2^50) and wherever a product's scale must shrink (gradients, Hessian, solver).
//!
//! **Functionality.** Shares of v modulo T, |v| < T/4·31/32, and a public factor f; both get shares of f·v modulo 2^50, off by at
//! most two units.
//!
//! **Why it is exact.** One party adds about T/4, so V = v + T/4 lies in \[0, T/2). With signed shares x' = x − T·top(x), where
//! top(x) says whether x is in the upper half, V = x'_1 + x'_2 + T·top_1·top_2 over the integers: the only joint term is the
//! product of two private bits, one correlated oblivious transfer with payload round(f·T).
//!
//! **Security.** Semi-honest, that of the oblivious transfer; nothing opens. No probabilistic truncation: no error beyond
//! rounding, whatever the number of rows.
//!
//! **Cost.** One correlated OT of 50 bits an element, one round. Up to 4,096 elements the second role receives all of them; of
//! more each role receives half, so that both directions carry equal loads.
//! **Messages.** Those of the oblivious transfer. **Source.** The wrap identity is folklore (SecureNN, CrypTFlow2's
//! faithful truncation); our own form with one OT.

use crate::engine::Engine;
use crate::error::AlgebraError;
use crate::ring50::{self, MASK};
use colift_channel::{Channel, Meter};
use colift_correlation::{Role, ot_extension, pair};

/// Elements that are lifted with the same factor.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// This party's shares modulo `modulus`.
    pub shares: &'a [u64],
    /// The modulus T: 2^50 or the gate's prime.
    pub modulus: u64,
    /// The public factor, the same bits on both sides.
    pub factor: f64,
}

/// From so many units in a quarter of the modulus on, the offset is a multiple of a unit: at most a thirty-second away from T/4.
const LEAST_UNITS: i128 = 16;

/// A public real factor as a 40-bit integer over a power of two, so that both parties round alike.
#[derive(Clone, Copy, Debug)]
struct Factor {
    numerator: i128,
    shift: u32,
}

impl Factor {
    fn new(factor: f64) -> Self {
        let mut shift = 0;
        let mut scaled = factor;
        while scaled.abs() < (1u64 << 40) as f64 && shift < 100 {
            scaled *= 2.0;
            shift += 1;
        }
        Self { numerator: scaled.round() as i128, shift }
    }

    /// round(f·x).
    fn rounded(self, x: i128) -> i128 {
        let product = x * self.numerator;
        if self.shift == 0 { product } else { (product + (1 << (self.shift - 1))) >> self.shift }
    }

    /// round(f·x) modulo 2^50.
    fn times(self, x: i128) -> u64 {
        (self.rounded(x) as u64) & MASK
    }

    /// The multiple of 1/f next to T/4: f times it has no rounding error, which would be the same for every element, a bias of up
    /// to half a unit.
    fn offset(self, t: u64) -> u64 {
        let units = self.rounded(i128::from(t / 4));
        if units.abs() < LEAST_UNITS {
            return t / 4;
        }
        let nearest = ((units << self.shift) + self.numerator / 2) / self.numerator;
        u64::try_from(nearest).unwrap_or(t / 4)
    }
}

/// Elements from which both directions share the transfers.
const SHARED: usize = 4096;

/// Of so many elements the first ones of which the first role is the OT sender.
fn firsts(elements: usize) -> usize {
    if elements > SHARED { elements / 2 } else { elements }
}

/// Lifts several batches with one oblivious transfer call; returns the shares batch by batch.
///
/// # Errors
/// Channel and Peer classes of the oblivious transfer.
pub fn lift(engine: &mut Engine, channel: &mut dyn Channel, batches: &[Batch<'_>]) -> Result<Vec<Vec<u64>>, AlgebraError> {
    let first = engine.role == Role::First;
    let mut tops = Vec::new();
    let mut payloads = Vec::new();
    let mut shares: Vec<Vec<u64>> = Vec::with_capacity(batches.len());
    for batch in batches {
        let (factor, t) = (Factor::new(batch.factor), batch.modulus);
        let (offset, wrap) = (factor.offset(t), factor.times(i128::from(t)));
        let lifted = batch.shares.iter().map(|share| {
            let x = if first { (share + offset) % t } else { *share };
            let top = x > (t - 1) / 2;
            tops.push(top);
            payloads.push(if top { wrap } else { 0 });
            let signed = i128::from(x) - if top { i128::from(t) } else { 0 };
            let own = factor.times(signed);
            if first { ring50::sub(own, factor.times(i128::from(offset))) } else { own }
        });
        shares.push(lifted.collect());
    }
    let at = firsts(tops.len());
    let (mine, theirs) = if first { (0..at, at..tops.len()) } else { (at..tops.len(), 0..at) };
    let products = match (first, theirs.is_empty()) {
        (true, true) => engine.ot.sender().correlate(channel, &payloads, ring50::BITS)?,
        (false, _) if mine.is_empty() => engine.ot.receiver().correlate(channel, &tops, ring50::BITS)?,
        _ => {
            let (sent, received) = engine.ot.correlate_both(channel, &payloads[mine], &tops[theirs], ring50::BITS)?;
            if first { [sent, received].concat() } else { [received, sent].concat() }
        }
    };
    for (share, product) in shares.iter_mut().flatten().zip(products) {
        *share = ring50::add(*share, product);
    }
    Ok(shares)
}

/// Notes the messages of [`lift`] on this many elements, all batches together.
pub fn declare(meter: &mut Meter, role: Role, elements: usize) {
    let at = firsts(elements);
    match role {
        Role::First if at == elements => ot_extension::declare_sender(meter, elements, ring50::BITS),
        Role::Second if at == elements => ot_extension::declare_receiver(meter, elements, ring50::BITS),
        Role::First => pair::declare_both(meter, at, elements - at, ring50::BITS),
        Role::Second => pair::declare_both(meter, elements - at, at, ring50::BITS),
    }
}

#[cfg(test)]
#[path = "lift/tests.rs"]
mod tests;
