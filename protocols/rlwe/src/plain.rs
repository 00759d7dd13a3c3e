//! Plaintexts on both sides of a product: the evaluator's integer polynomials and the encryptor's encoded messages.

use crate::kernels;
use crate::modulus::Modulus;
use crate::params::{Level, PRIMES, Plaintext};
use crate::ring::{Poly, Ring};

/// An integer polynomial known to the evaluator, transformed.
#[derive(Clone, Debug)]
pub struct PlainPoly(pub(crate) Poly);

impl PlainPoly {
    /// From signed coefficients below 2^51 in absolute value.
    #[must_use]
    pub fn wide(coefficients: &[i64], level: Level) -> Self {
        let mut poly = Poly::from_wide(coefficients, level.primes());
        poly.transform();
        Self(poly)
    }

    /// From signed coefficients below 2^30 in absolute value.
    #[must_use]
    pub fn new(coefficients: &[i32], level: Level) -> Self {
        let mut poly = Self::zero(level);
        poly.set(coefficients);
        poly
    }

    /// The zero polynomial.
    #[must_use]
    pub fn zero(level: Level) -> Self {
        Self(Poly::zero(level.primes()))
    }

    /// Becomes the polynomial of these coefficients, at most N of them, below 2^30 in absolute value. The fewer, the faster.
    pub fn set(&mut self, coefficients: &[i32]) {
        self.0.set_small(coefficients);
        self.0.transform_short(coefficients.len());
    }

    /// The transformed polynomial.
    #[must_use]
    pub fn poly(&self) -> &Poly {
        &self.0
    }
}

/// ⌊q·m/t⌉ modulo each prime, in coefficient form, for N messages below t. With r = q·m mod t taken in (−t/2, t/2] the
/// rounded quotient is (q·m − r)/t exactly, which is −r·t⁻¹ modulo every prime of q.
pub(crate) fn encode(messages: &[u64], plaintext: Plaintext, level: Level) -> Poly {
    let t = plaintext.modulus();
    let q_mod_t = PRIMES[..level.primes()].iter().fold(1u128, |q, p| q * u128::from(*p) % u128::from(t)) as u64;
    let centred: Vec<i64> = messages
        .iter()
        .map(|m| {
            let r = match plaintext {
                Plaintext::PowerOfTwo(_) => m.wrapping_mul(q_mod_t) & (t - 1),
                Plaintext::Prime(_) => m * q_mod_t % t,
            };
            if r > t / 2 { r as i64 - t as i64 } else { r as i64 }
        })
        .collect();
    let mut poly = Poly::zero(level.primes());
    for index in 0..level.primes() {
        let modulus: Modulus = Ring::shared().modulus(index);
        let factor = modulus.sub(0, modulus.inverse(modulus.reduce(t)));
        kernels::scale_wide(poly.residues_mut(index), &centred, factor, modulus);
    }
    poly
}
