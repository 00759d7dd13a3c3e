//! Polynomials of Z_q\[x\]/(x^N+1) in residue form, and the lazy accumulator behind every product.

use crate::kernels;
use crate::modulus::Modulus;
use crate::ntt::NttTable;
use crate::params::{Level, PRIMES};
use std::sync::OnceLock;
use zeroize::Zeroize;

/// log₂ of the ring degree.
pub(crate) const LOG_N: usize = 13;
/// Ring degree.
pub const N: usize = 1 << LOG_N;

/// The tables of all primes, built once per process.
#[derive(Debug)]
pub struct Ring {
    tables: Vec<NttTable>,
}

impl Ring {
    /// The process's ring.
    #[must_use]
    pub fn shared() -> &'static Ring {
        static RING: OnceLock<Ring> = OnceLock::new();
        RING.get_or_init(|| Ring { tables: PRIMES.iter().map(|q| NttTable::new(Modulus::new(*q))).collect() })
    }

    /// Table of prime number `index`.
    pub(crate) fn table(&self, index: usize) -> &NttTable {
        &self.tables[index]
    }

    /// Modulus number `index` of the chain.
    #[must_use]
    pub fn modulus(&self, index: usize) -> Modulus {
        self.tables[index].modulus
    }
}

/// A polynomial modulo the first `level.primes()` primes: residues prime by prime, N each. Whether it holds coefficients or
/// transformed values is the owner's knowledge; the methods say what they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poly {
    pub(crate) residues: Vec<u32>,
}

impl Poly {
    /// The zero polynomial.
    #[must_use]
    pub fn zero(primes: usize) -> Self {
        Self { residues: vec![0; primes * N] }
    }

    /// Number of primes.
    #[must_use]
    pub fn primes(&self) -> usize {
        self.residues.len() / N
    }

    /// Residues modulo prime `index`.
    #[must_use]
    pub fn residues(&self, index: usize) -> &[u32] {
        &self.residues[index * N..(index + 1) * N]
    }

    pub(crate) fn residues_mut(&mut self, index: usize) -> &mut [u32] {
        &mut self.residues[index * N..(index + 1) * N]
    }

    /// From signed coefficients of any size, in coefficient form.
    #[must_use]
    pub fn from_signed(coefficients: &[i64], primes: usize) -> Self {
        let mut poly = Self::zero(primes);
        let small = coefficients.iter().all(|x| x.unsigned_abs() < 1 << 30);
        for index in 0..primes {
            let modulus = Ring::shared().modulus(index);
            if small {
                kernels::reduce_small(poly.residues_mut(index), coefficients, modulus);
                continue;
            }
            for (residue, x) in poly.residues_mut(index).iter_mut().zip(coefficients) {
                *residue = modulus.reduce_signed(*x);
            }
        }
        poly
    }

    /// Coefficient form to transformed form, in place.
    pub fn transform(&mut self) {
        for index in 0..self.primes() {
            Ring::shared().table(index).forward(self.residues_mut(index));
        }
    }

    /// Transformed form to coefficient form, in place.
    pub fn untransform(&mut self) {
        for index in 0..self.primes() {
            Ring::shared().table(index).backward(self.residues_mut(index));
        }
    }

    /// self += other (same form, same primes).
    pub fn add_assign(&mut self, other: &Poly) {
        for index in 0..self.primes() {
            let modulus = Ring::shared().modulus(index);
            kernels::add(self.residues_mut(index), other.residues(index), modulus.value());
        }
    }

    /// self −= other (same form, same primes).
    pub fn sub_assign(&mut self, other: &Poly) {
        for index in 0..self.primes() {
            let modulus = Ring::shared().modulus(index);
            kernels::subtract(self.residues_mut(index), other.residues(index), modulus.value());
        }
    }

    /// self ∘ other, both transformed; the product has self's number of primes (other may have more).
    #[must_use]
    pub fn product(&self, other: &Poly) -> Poly {
        let mut result = self.clone();
        for index in 0..self.primes() {
            let modulus = Ring::shared().modulus(index);
            for (a, b) in result.residues_mut(index).iter_mut().zip(other.residues(index)) {
                *a = modulus.mul(*a, *b);
            }
        }
        result
    }
}

impl Zeroize for Poly {
    fn zeroize(&mut self) {
        self.residues.zeroize();
    }
}

/// Sum of products of transformed polynomials, reduced lazily: products of 30-bit residues are added up in 64 bits.
#[derive(Clone, Debug)]
pub struct Accumulator {
    sums: Vec<u64>,
    pending: usize,
}

/// Products of two residues below 2^30 that fit 64 bits beside a reduced value.
const LAZY_TERMS: usize = 15;

impl Accumulator {
    /// An empty sum.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self { sums: vec![0; level.primes() * N], pending: 0 }
    }

    /// Adds a ∘ b; both must have at least the accumulator's primes and be transformed.
    pub fn add_product(&mut self, a: &Poly, b: &Poly) {
        if self.pending == LAZY_TERMS {
            self.reduce();
        }
        kernels::multiply_accumulate(&mut self.sums, &a.residues, &b.residues);
        self.pending += 1;
    }

    fn reduce(&mut self) {
        for (index, sums) in self.sums.chunks_exact_mut(N).enumerate() {
            let modulus = Ring::shared().modulus(index);
            for sum in sums {
                *sum = u64::from(modulus.reduce(*sum));
            }
        }
        self.pending = 0;
    }

    /// The sum in transformed form.
    #[must_use]
    pub fn finish(mut self) -> Poly {
        self.reduce();
        Poly { residues: self.sums.iter().map(|x| *x as u32).collect() }
    }
}
