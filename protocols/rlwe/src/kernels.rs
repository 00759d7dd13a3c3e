//! The hot loops over residues, compiled twice: portably, and for AVX2 where the CPU has it (chosen at run time).
//!
//! The bodies are plain safe loops that the compiler vectorises; `unsafe` is only the call of a function compiled for a
//! feature that was detected.
#![allow(unsafe_code)]

use crate::modulus::Modulus;
use crate::ntt::vector_unit_present;
use std::sync::OnceLock;

/// True where the AVX2 versions run.
fn vectors() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(vector_unit_present)
}

/// Defines a function whose body is compiled portably and for AVX2.
macro_rules! kernel {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $body:block) => {
        $(#[$doc])*
        pub fn $name($($arg: $type),*) {
            mod versions {
                #[allow(unused_imports)]
                use super::*;

                #[inline(always)]
                pub fn portable($($arg: $type),*) $body

                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,popcnt")]
                pub fn avx2($($arg: $type),*) {
                    portable($($arg),*);
                }
            }
            #[cfg(target_arch = "x86_64")]
            if vectors() {
                // SAFETY: AVX2 was detected, and every CPU that has it has popcnt.
                unsafe { versions::avx2($($arg),*) };
                return;
            }
            versions::portable($($arg),*);
        }
    };
}

kernel! {
    /// sums += a ∘ b in 64 bits; the caller bounds the number of terms.
    fn multiply_accumulate(sums: &mut [u64], a: &[u32], b: &[u32]) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += u64::from(*a) * u64::from(*b);
        }
    }
}

kernel! {
    /// residues = x mod q for signed x with |x| < 2^30: shifted to positive by a multiple of q, then one 32-bit Barrett step.
    fn reduce_small(residues: &mut [u32], coefficients: &[i64], modulus: Modulus) {
        let q = modulus.value();
        let factor = (1u64 << 32) / u64::from(q);
        let shift = (1u32 << 30).div_ceil(q) * q;
        for (residue, x) in residues.iter_mut().zip(coefficients) {
            let positive = (*x as i32 as u32).wrapping_add(shift);
            let quotient = ((u64::from(positive) * factor) >> 32) as u32;
            let rest = positive.wrapping_sub(quotient.wrapping_mul(q));
            *residue = rest.min(rest.wrapping_sub(q));
        }
    }
}

kernel! {
    /// a += b modulo q.
    fn add(a: &mut [u32], b: &[u32], q: u32) {
        for (a, b) in a.iter_mut().zip(b) {
            let sum = *a + *b;
            *a = sum.min(sum.wrapping_sub(q));
        }
    }
}

kernel! {
    /// a −= b modulo q.
    fn subtract(a: &mut [u32], b: &[u32], q: u32) {
        for (a, b) in a.iter_mut().zip(b) {
            let difference = a.wrapping_sub(*b);
            *a = difference.min(difference.wrapping_add(q));
        }
    }
}

kernel! {
    /// Centred binomial errors from 64 random bits each: the bits of `coins` against as many bits above them.
    fn binomial(errors: &mut [i64], words: &[u64], coins: u32) {
        let mask = (1u64 << coins) - 1;
        for (error, word) in errors.iter_mut().zip(words) {
            *error = i64::from((word & mask).count_ones()) - i64::from((word >> coins & mask).count_ones());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use colift_primitives::rng::{Prg, Seed};

    #[test]
    fn kernels_equal_their_definitions() {
        let mut prg = Prg::from_seed(&Seed::from_bytes([4; 16]));
        for q in crate::PRIMES {
            let modulus = Modulus::new(q);
            let n = 1003;
            let a: Vec<u32> = (0..n).map(|_| modulus.reduce(prg.next_u64())).collect();
            let b: Vec<u32> = (0..n).map(|i| if i < 3 { q - 1 } else { modulus.reduce(prg.next_u64()) }).collect();
            let mut sums = vec![7u64; n];
            multiply_accumulate(&mut sums, &a, &b);
            let (mut plus, mut minus) = (a.clone(), a.clone());
            add(&mut plus, &b, q);
            subtract(&mut minus, &b, q);
            let mut signed: Vec<i64> = (0..n).map(|_| (prg.next_u64() % (1 << 31)) as i64 - (1 << 30)).collect();
            signed[..6].copy_from_slice(&[0, 1, -1, i64::from(q), (1 << 30) - 1, 1 - (1 << 30)]);
            let mut residues = vec![0; n];
            reduce_small(&mut residues, &signed, modulus);
            for i in 0..n {
                assert_eq!(sums[i], 7 + u64::from(a[i]) * u64::from(b[i]));
                assert_eq!((plus[i], minus[i]), (modulus.add(a[i], b[i]), modulus.sub(a[i], b[i])));
                assert_eq!(residues[i], modulus.reduce_signed(signed[i]));
            }
        }
        let words = [0, u64::MAX, 0b101, 1 << 21];
        let mut errors = [0; 4];
        binomial(&mut errors, &words, 21);
        assert_eq!(errors, [0, 0, 2, -1]);
    }
}
