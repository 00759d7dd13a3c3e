//! Primes, plaintext moduli and worst-case noise: parameters under which decryption cannot fail.
//!
//! The chain is three primes of 22 bits, where replies live after the modulus switch (a plaintext modulus of 2^50 needs
//! 2^64), and three of 30 bits. An operation takes the shortest chain its worst-case noise fits; [`NoiseBudget::level`]
//! recomputes the bound each time and refuses otherwise. What makes a set of parameters good is [`Parameters::new`] alone: the
//! start-up check of a training goes through it, and so does every plan. Source: `docs/COSTS.md`; limits of log₂ q: ePrint
//! 2024/463.

use crate::error::RlweError;
use crate::ring::N;
use std::sync::OnceLock;

/// The modulus chain, all ≡ 1 mod 16384.
pub const PRIMES: [u32; 6] = [4_079_617, 4_046_849, 3_850_241, 1_073_692_673, 1_073_643_521, 1_073_479_681];

/// Largest absolute value of a fresh error coefficient (centred binomial of 21 coin pairs, variance 10.5).
pub const ERROR_BOUND: i64 = 21;

/// log₂ of the largest allowed modulus at N = 8192 (ternary secret, 128 bits against quantum search).
pub const SECURITY_LIMIT: f64 = 165.0;

/// Least bits of flooding that hide a reply's noise: 40 for one event, more where there are many (docs/SECURITY.md).
const LEAST_FLOODING: u32 = 40;
/// Most bits of a flooding bound that the sampler makes.
const MOST_FLOOD_BITS: u32 = 126;
/// Largest power-of-two plaintext: what the rounding of replies carries.
const MOST_PLAINTEXT_BITS: u32 = 50;

/// A prefix of the modulus chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(usize);

impl Level {
    /// Two 22-bit primes: replies of slot-packed products.
    pub const SLOT_REPLY: Level = Level(2);
    /// Three 22-bit primes: replies modulo 2^50.
    pub const REPLY: Level = Level(3);
    /// The whole chain.
    pub const FULL: Level = Level(PRIMES.len());

    /// Number of primes.
    #[must_use]
    pub const fn primes(self) -> usize {
        self.0
    }

    /// log₂ of the product of the primes.
    #[must_use]
    pub fn bits(self) -> f64 {
        PRIMES[..self.0].iter().map(|q| f64::from(*q).log2()).sum()
    }

    /// Bytes of one packed coefficient's residues, in bits.
    #[must_use]
    pub fn packed_bits(self) -> usize {
        PRIMES[..self.0].iter().map(|q| prime_bits(*q)).sum()
    }
}

/// Bits that hold a residue of this prime.
pub(crate) fn prime_bits(q: u32) -> usize {
    (u32::BITS - q.leading_zeros()) as usize
}

/// What the messages are counted modulo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// 2^k, coefficient packing.
    PowerOfTwo(u32),
    /// A prime for slot packing.
    Prime(u32),
}

impl Plaintext {
    /// The modulus t.
    #[must_use]
    pub fn modulus(self) -> u64 {
        match self {
            Self::PowerOfTwo(bits) => 1 << bits,
            Self::Prime(t) => u64::from(t),
        }
    }
}

/// What an evaluation adds up, for its worst-case noise.
#[derive(Clone, Copy, Debug)]
pub struct NoiseBudget {
    /// Name for the error message.
    pub operation: &'static str,
    /// Plaintext modulus of the ciphertexts.
    pub plaintext: Plaintext,
    /// Bound on the sum of the absolute coefficients of all plaintext polynomials of one reply together.
    pub mass: f64,
    /// Bits of flooding over the worst case; `None` where the reply is masked over the whole modulus.
    pub flooding: Option<u32>,
}

impl NoiseBudget {
    /// log₂ of the worst-case noise before flooding: fresh errors and encoding errors spread by the plaintexts, and the fresh
    /// encryption of zero.
    #[must_use]
    pub fn clean_bits(&self) -> f64 {
        let bound = ERROR_BOUND as f64;
        (self.mass * (bound + 0.5) + 2.0 * N as f64 * bound + bound).log2()
    }

    /// log₂ of the flooding bound, zero bits where there is none.
    #[must_use]
    pub fn flood_bits(&self) -> u32 {
        self.flooding.map_or(0, |over| (self.clean_bits().ceil() as u32) + over)
    }

    /// The shortest chain that the worst case fits, given the reply's chain: the shortest prefix of [`PRIMES`] with which
    /// [`Parameters::new`] agrees. A masked reply whose noise fits its own chain needs no switch; a flooded one always has one.
    ///
    /// # Errors
    /// Config class when even the whole chain is too short.
    pub fn level(&self, reply: Level) -> Result<Level, RlweError> {
        let chain = Chain::shared()?;
        let shortest = reply.primes() + usize::from(self.flooding.is_some());
        let mut outcome = Err(RlweError::BadParameters("a reply longer than the chain"));
        for primes in shortest..=PRIMES.len() {
            outcome = Parameters::new(chain, primes, reply.primes(), *self).map(|_| Level(primes));
            if !matches!(outcome, Err(RlweError::NoiseTooLarge { .. })) {
                break;
            }
        }
        outcome
    }
}

/// A modulus chain whose primes carry the transform, distinct, and whose product is within the security limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Vec<u32>);

impl Chain {
    /// Checks a chain.
    ///
    /// # Errors
    /// Config class: a number that is no prime ≡ 1 mod 16384 below 2^30, one twice, none at all, or log₂ q > [`SECURITY_LIMIT`].
    pub fn new(primes: &[u32]) -> Result<Self, RlweError> {
        if primes.is_empty() {
            return Err(RlweError::BadParameters("an empty modulus chain"));
        }
        if !primes.iter().all(|q| carries_transform(*q)) {
            return Err(RlweError::BadParameters("a modulus that is no prime = 1 mod 16384 below 2^30"));
        }
        if primes.iter().enumerate().any(|(index, q)| primes[..index].contains(q)) {
            return Err(RlweError::BadParameters("a modulus chain with a prime twice"));
        }
        let chain = Self(primes.to_vec());
        if chain.bits(primes.len()) > SECURITY_LIMIT {
            return Err(RlweError::BadParameters("log2 q above 165 at N = 8192"));
        }
        Ok(chain)
    }

    /// The chain of this program, [`PRIMES`], checked once in a process.
    ///
    /// # Errors
    /// As [`Chain::new`].
    pub fn shared() -> Result<&'static Chain, RlweError> {
        static CHAIN: OnceLock<Result<Chain, RlweError>> = OnceLock::new();
        CHAIN.get_or_init(|| Chain::new(&PRIMES)).as_ref().map_err(Clone::clone)
    }

    /// log₂ of the product of the first `primes` primes.
    fn bits(&self, primes: usize) -> f64 {
        self.0.iter().take(primes).map(|q| f64::from(*q).log2()).sum()
    }
}

/// Whether q is a prime below 2^30 with 2N-th roots of unity.
fn carries_transform(q: u32) -> bool {
    q > 1 && q % (2 * N as u32) == 1 && q < 1 << 30 && (2..).take_while(|d| d * d <= q).all(|d| !q.is_multiple_of(d))
}

/// Parameters of one operation under which decryption cannot fail: the only way to them is the check.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    primes: usize,
}

impl Parameters {
    /// Checks that the worst case of `budget` fits the first `primes` primes of a chain and, after the switch, its first `reply`
    /// primes. The bound is q/(2t) before the switch and q'/(2t) after it, where the switch itself adds at most (N + 1) units in
    /// all.
    ///
    /// # Errors
    /// Config class: `NoiseTooLarge` where a decryption could fail; `BadParameters` where the set is malformed, floods less than
    /// 40 bits or more than the sampler makes, or floods without a switch.
    pub fn new(chain: &Chain, primes: usize, reply: usize, budget: NoiseBudget) -> Result<Self, RlweError> {
        let refuse = |what| Err(RlweError::BadParameters(what));
        if reply == 0 || reply > primes || primes > chain.0.len() {
            return refuse("a reply longer than the chain");
        }
        match budget.plaintext {
            Plaintext::PowerOfTwo(bits) if (1..=MOST_PLAINTEXT_BITS).contains(&bits) => {}
            Plaintext::Prime(t) if carries_transform(t) && !chain.0.contains(&t) => {}
            Plaintext::PowerOfTwo(_) | Plaintext::Prime(_) => return refuse("a plaintext modulus that nothing carries"),
        }
        if !(budget.mass.is_finite() && budget.mass >= 0.0) {
            return refuse("a noise budget without a bound");
        }
        if let Some(over) = budget.flooding {
            if reply == primes {
                return refuse("a flooded reply without a modulus switch");
            }
            if over < LEAST_FLOODING || budget.clean_bits().ceil() + f64::from(over) > f64::from(MOST_FLOOD_BITS) {
                return refuse("flooding of less than 40 bits over the noise, or more than can be drawn");
            }
        } else if matches!(budget.plaintext, Plaintext::Prime(_)) {
            return refuse("a slot-packed reply without flooding");
        }
        let clean = budget.clean_bits().exp2();
        let noise = if budget.flooding.is_some() { clean + f64::from(budget.flood_bits()).exp2() } else { clean };
        let t = (budget.plaintext.modulus() as f64).log2();
        let (before, after) = (chain.bits(primes), chain.bits(reply));
        let switched = if primes == reply { 0.0 } else { (N + 1) as f64 };
        let left = (noise.log2() + after - before).exp2() + switched;
        let needed = noise.log2() + 1.0 + t;
        if needed < before && left.log2() + 1.0 + t < after {
            return Ok(Self { primes });
        }
        Err(RlweError::NoiseTooLarge { operation: budget.operation, needed: needed.ceil() as u32, given: before as u32 })
    }

    /// Primes of the uploads.
    #[must_use]
    pub fn primes(&self) -> usize {
        self.primes
    }
}

#[cfg(test)]
#[path = "params/tests.rs"]
mod tests;
