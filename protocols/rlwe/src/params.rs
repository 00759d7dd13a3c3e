//! Primes, plaintext moduli and worst-case noise: parameters under which decryption cannot fail.
//!
//! The chain is three primes of 22 bits, where replies live after the modulus switch (a plaintext modulus of 2^50 needs
//! 2^64), and three of 30 bits. An operation takes the shortest chain its worst-case noise fits; [`NoiseBudget::level`]
//! recomputes the bound each time and refuses otherwise. Source: `docs/COSTS.md`; limits of log₂ q: ePrint 2024/463.

use crate::error::RlweError;
use crate::ring::N;

/// The modulus chain, all ≡ 1 mod 16384.
pub const PRIMES: [u32; 6] = [4_079_617, 4_046_849, 3_850_241, 1_073_692_673, 1_073_643_521, 1_073_479_681];

/// Largest absolute value of a fresh error coefficient (centred binomial of 21 coin pairs, variance 10.5).
pub const ERROR_BOUND: i64 = 21;

/// log₂ of the largest allowed modulus at N = 8192 (ternary secret, 128 bits against quantum search).
const SECURITY_LIMIT: f64 = 165.0;

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

    /// The shortest chain that the worst case fits, given the reply's chain. The bound is q/(2t) before the switch and
    /// q'/(2t) after it, where the switch itself adds at most (N + 1) units in all. A masked reply whose noise fits its own chain
    /// needs no switch; a flooded one always has one.
    ///
    /// # Errors
    /// Config class when even the whole chain is too short.
    pub fn level(&self, reply: Level) -> Result<Level, RlweError> {
        let clean = self.clean_bits().exp2();
        let noise = if self.flooding.is_some() { clean + f64::from(self.flood_bits()).exp2() } else { clean };
        let t = (self.plaintext.modulus() as f64).log2();
        let mut needed = 0.0;
        let shortest = reply.primes() + usize::from(self.flooding.is_some());
        for primes in shortest..=PRIMES.len() {
            let level = Level(primes);
            debug_assert!(level.bits() <= SECURITY_LIMIT);
            let switched = if level == reply { 0.0 } else { (N + 1) as f64 };
            let after = (noise.log2() + reply.bits() - level.bits()).exp2() + switched;
            needed = noise.log2() + 1.0 + t;
            if needed < level.bits() && after.log2() + 1.0 + t < reply.bits() {
                return Ok(level);
            }
        }
        Err(RlweError::NoiseTooLarge { operation: self.operation, needed: needed.ceil() as u32, given: Level::FULL.bits() as u32 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn primes_are_prime_and_fit_the_transform() {
        for q in PRIMES {
            assert_eq!((q - 1) % (2 * N as u32), 0);
            assert!(q < 1 << 30);
            assert!((2..).take_while(|d| d * d <= q).all(|d| q % d != 0));
        }
        assert!(Level::FULL.bits() <= SECURITY_LIMIT);
        let mut sorted = PRIMES.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), PRIMES.len());
    }

    #[test]
    fn budgets_of_the_design_fit_their_chains() {
        let forward =
            NoiseBudget { operation: "forward", plaintext: Plaintext::PowerOfTwo(50), mass: 50.0 * N as f64 * 32_768.0, flooding: None };
        assert_eq!(forward.level(Level::REPLY).unwrap().primes(), 4);
        let narrow = NoiseBudget { plaintext: Plaintext::PowerOfTwo(32), mass: 27f64.exp2(), ..forward };
        assert_eq!(narrow.level(Level::REPLY).unwrap(), Level::REPLY);
        let gate = NoiseBudget {
            operation: "gate",
            plaintext: Plaintext::Prime(crate::slots::PRIME_10_BITS),
            mass: 24.0 * N as f64 * 22f64.exp2(),
            flooding: Some(54),
        };
        assert_eq!(gate.level(Level::SLOT_REPLY).unwrap().primes(), 5);
        let hopeless = NoiseBudget { mass: 110f64.exp2(), ..forward };
        assert!(matches!(hopeless.level(Level::REPLY), Err(RlweError::NoiseTooLarge { .. })));
    }
}
