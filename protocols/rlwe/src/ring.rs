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

    /// From signed coefficients below 2^51 in absolute value, in coefficient form.
    #[must_use]
    pub fn from_wide(coefficients: &[i64], primes: usize) -> Self {
        let mut poly = Self::zero(primes);
        for index in 0..primes {
            kernels::scale_wide(poly.residues_mut(index), coefficients, 1, Ring::shared().modulus(index));
        }
        poly
    }

    /// From signed coefficients below 2^30 in absolute value, in coefficient form.
    #[must_use]
    pub fn from_small(coefficients: &[i32], primes: usize) -> Self {
        let mut poly = Self::zero(primes);
        poly.set_small(coefficients);
        poly
    }

    /// The same into a polynomial that exists; coefficients beyond the slice keep their residues.
    pub(crate) fn set_small(&mut self, coefficients: &[i32]) {
        for index in 0..self.primes() {
            kernels::reduce_small(self.residues_mut(index), coefficients, Ring::shared().modulus(index));
        }
    }

    /// Coefficient form to transformed form, in place.
    pub fn transform(&mut self) {
        self.transform_short(N);
    }

    /// The same for a polynomial of `length` coefficients; what lies beyond them is ignored.
    pub(crate) fn transform_short(&mut self, length: usize) {
        for index in 0..self.primes() {
            Ring::shared().table(index).forward_short(self.residues_mut(index), length);
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
        let mut result = Self::zero(self.primes());
        for index in 0..self.primes() {
            let modulus = Ring::shared().modulus(index);
            kernels::multiply(result.residues_mut(index), self.residues(index), other.residues(index), modulus);
        }
        result
    }
}

impl Zeroize for Poly {
    fn zeroize(&mut self) {
        self.residues.zeroize();
    }
}

/// Sum of products of transformed polynomials, reduced lazily: products of residues are added up in 64 bits.
#[derive(Clone, Debug)]
pub struct Accumulator {
    sums: Vec<u64>,
    pending: usize,
    /// Products that fit 64 bits beside a reduced value.
    room: usize,
}

impl Accumulator {
    /// An empty sum.
    #[must_use]
    pub fn new(level: Level) -> Self {
        let largest = PRIMES[..level.primes()].iter().copied().max().map_or(1, u64::from);
        let room = ((u64::MAX - largest) / (largest * largest)) as usize;
        Self { sums: vec![0; level.primes() * N], pending: 0, room }
    }

    /// Adds a ∘ b for every pair; all must have at least the accumulator's primes and be transformed.
    pub fn add_products<'p>(&mut self, pairs: &[(&'p Poly, &'p Poly)]) {
        for part in pairs.chunks(4) {
            if self.pending + part.len() > self.room {
                self.reduce();
            }
            if let [p, q, r, s] = part {
                let (left, right) = ([p.0, q.0, r.0, s.0], [p.1, q.1, r.1, s.1]);
                kernels::multiply_accumulate_four(
                    &mut self.sums,
                    left.map(|p| p.residues.as_slice()),
                    right.map(|p| p.residues.as_slice()),
                );
            } else {
                for (a, b) in part {
                    kernels::multiply_accumulate(&mut self.sums, &a.residues, &b.residues);
                }
            }
            self.pending += part.len();
        }
    }

    fn reduce(&mut self) {
        for (index, sums) in self.sums.chunks_exact_mut(N).enumerate() {
            kernels::reduce_in_place(sums, Ring::shared().modulus(index));
        }
        self.pending = 0;
    }

    /// The sum in transformed form.
    #[must_use]
    pub fn finish(self) -> Poly {
        let mut poly = Poly::zero(self.sums.len() / N);
        for (index, sums) in self.sums.chunks_exact(N).enumerate() {
            kernels::reduce(poly.residues_mut(index), sums, Ring::shared().modulus(index));
        }
        poly
    }
}
