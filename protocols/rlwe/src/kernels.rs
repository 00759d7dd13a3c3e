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
    /// Four times [`multiply_accumulate`] with one pass over the sums.
    fn multiply_accumulate_four(sums: &mut [u64], a: [&[u32]; 4], b: [&[u32]; 4]) {
        let n = sums.len();
        let (a, b) = (a.map(|a| &a[..n]), b.map(|b| &b[..n]));
        for i in 0..n {
            let product = |k: usize| u64::from(a[k][i]) * u64::from(b[k][i]);
            sums[i] += (product(0) + product(1)) + (product(2) + product(3));
        }
    }
}

/// What [`reduce`] needs of a prime: q, −q⁻¹ modulo 2^32, 2^32 mod q and 2^64 mod q.
#[derive(Clone, Copy)]
struct Montgomery {
    q: u32,
    negative_inverse: u32,
    power_32: u32,
    power_64: u32,
}

impl Montgomery {
    fn new(modulus: Modulus) -> Self {
        let q = modulus.value();
        // Newton's iteration doubles the correct bits; q·q ≡ 1 modulo 8 is the start.
        let inverse = (0..4).fold(q, |x, _| x.wrapping_mul(2u32.wrapping_sub(q.wrapping_mul(x))));
        let power_32 = modulus.reduce(1 << 32);
        Self { q, negative_inverse: inverse.wrapping_neg(), power_32, power_64: modulus.mul(power_32, power_32) }
    }

    /// x·2^-32 mod q in [0, 2q] for x ≤ 2^32·(q + 1) (Montgomery 1985): 32-bit products only, which vectorise.
    #[inline(always)]
    fn shrink(self, x: u64) -> u32 {
        let m = (x as u32).wrapping_mul(self.negative_inverse);
        ((x + u64::from(m) * u64::from(self.q)) >> 32) as u32
    }

    /// x mod q for x ≤ 2^32·(q + 1).
    #[inline(always)]
    fn reduce(self, x: u64) -> u32 {
        let rest = self.shrink(u64::from(self.shrink(x)) * u64::from(self.power_64));
        let rest = rest.min(rest.wrapping_sub(self.q));
        rest.min(rest.wrapping_sub(self.q))
    }

    /// x mod q for any x.
    #[inline(always)]
    fn reduce_any(self, x: u64) -> u32 {
        self.reduce((x >> 32) * u64::from(self.power_32) + (x & 0xFFFF_FFFF))
    }
}

kernel! {
    /// residues = sums mod q.
    fn reduce(residues: &mut [u32], sums: &[u64], modulus: Modulus) {
        let prime = Montgomery::new(modulus);
        for (residue, sum) in residues.iter_mut().zip(sums) {
            *residue = prime.reduce_any(*sum);
        }
    }
}

kernel! {
    /// sums = sums mod q.
    fn reduce_in_place(sums: &mut [u64], modulus: Modulus) {
        let prime = Montgomery::new(modulus);
        for sum in sums {
            *sum = u64::from(prime.reduce_any(*sum));
        }
    }
}

kernel! {
    /// product = a ∘ b modulo q.
    fn multiply(product: &mut [u32], a: &[u32], b: &[u32], modulus: Modulus) {
        let prime = Montgomery::new(modulus);
        for ((product, a), b) in product.iter_mut().zip(a).zip(b) {
            *product = prime.reduce(u64::from(*a) * u64::from(*b));
        }
    }
}

kernel! {
    /// residues = x mod q for signed x with |x| < 2^30: shifted to positive by a multiple of q, then one 32-bit Barrett step.
    fn reduce_small(residues: &mut [u32], coefficients: &[i32], modulus: Modulus) {
        let q = modulus.value();
        let factor = (1u64 << 32) / u64::from(q);
        let shift = (1u32 << 30).div_ceil(q) * q;
        for (residue, x) in residues.iter_mut().zip(coefficients) {
            let positive = (*x as u32).wrapping_add(shift);
            let quotient = ((u64::from(positive) * factor) >> 32) as u32;
            let rest = positive.wrapping_sub(quotient.wrapping_mul(q));
            *residue = rest.min(rest.wrapping_sub(q));
        }
    }
}

kernel! {
    /// residues = factor·x mod q for signed x with |x| < 2^51: two halves of 26 bits, each times a constant (Shoup).
    fn scale_wide(residues: &mut [u32], values: &[i64], factor: u32, modulus: Modulus) {
        let q = modulus.value();
        let high_factor = modulus.mul(factor, modulus.reduce(1 << 26));
        let (low_shoup, high_shoup) = (modulus.shoup(factor), modulus.shoup(high_factor));
        // 2^51·factor too much, which is taken off again.
        let excess = modulus.mul(high_factor, modulus.reduce(1 << 25));
        for (residue, x) in residues.iter_mut().zip(values) {
            let positive = x.wrapping_add(1 << 51) as u64;
            let low = modulus.mul_shoup_lazy((positive & ((1 << 26) - 1)) as u32, factor, low_shoup);
            let high = modulus.mul_shoup_lazy((positive >> 26) as u32, high_factor, high_shoup);
            let low = low.min(low.wrapping_sub(q));
            let high = high.min(high.wrapping_sub(q));
            let sum = low + high;
            let sum = sum.min(sum.wrapping_sub(q));
            let rest = sum.wrapping_sub(excess);
            *residue = rest.min(rest.wrapping_add(q));
        }
    }
}

kernel! {
    /// residues = (residues − tail)/dropped modulo q, where tail is read in (−dropped/2, dropped/2]: one step of a modulus switch.
    fn switch_down(residues: &mut [u32], tail: &[u32], dropped: u32, modulus: Modulus) {
        let q = modulus.value();
        let inverse = modulus.inverse(modulus.reduce(u64::from(dropped)));
        let shoup = modulus.shoup(inverse);
        let factor = (1u64 << 32) / u64::from(q);
        let shift = (1u32 << 30).div_ceil(q) * q;
        for (residue, tail) in residues.iter_mut().zip(tail) {
            let centred = tail.wrapping_sub(if *tail > dropped / 2 { dropped } else { 0 });
            // residue − tail, positive and congruent.
            let positive = residue.wrapping_add(shift).wrapping_sub(centred);
            let quotient = ((u64::from(positive) * factor) >> 32) as u32;
            let rest = positive.wrapping_sub(quotient.wrapping_mul(q));
            let value = modulus.mul_shoup_lazy(rest, inverse, shoup);
            *residue = value.min(value.wrapping_sub(q));
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
    fn binomial(errors: &mut [i32], words: &[u64], coins: u32) {
        let mask = (1u64 << coins) - 1;
        for (error, word) in errors.iter_mut().zip(words) {
            *error = (word & mask).count_ones() as i32 - (word >> coins & mask).count_ones() as i32;
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
            let mut signed: Vec<i32> = (0..n).map(|_| (prg.next_u64() % (1 << 31)) as i32 - (1 << 30)).collect();
            signed[..6].copy_from_slice(&[0, 1, -1, q as i32, (1 << 30) - 1, 1 - (1 << 30)]);
            let mut residues = vec![0; n];
            reduce_small(&mut residues, &signed, modulus);
            let mut fourfold = sums.clone();
            multiply_accumulate_four(&mut fourfold, [&a, &b, &a, &b], [&b, &a, &a, &b]);
            let mut product = vec![0; n];
            multiply(&mut product, &a, &b, modulus);
            let mut any: Vec<u64> = (0..n).map(|_| prg.next_u64()).collect();
            any[..4].copy_from_slice(&[0, u64::MAX, u64::from(q), u64::MAX << 32]);
            let (mut reduced, mut in_place) = (vec![0; n], any.clone());
            reduce(&mut reduced, &any, modulus);
            reduce_in_place(&mut in_place, modulus);
            let mut wide: Vec<i64> = (0..n).map(|_| (prg.next_u64() % (1 << 52)) as i64 - (1 << 51)).collect();
            wide[..4].copy_from_slice(&[0, -1, (1 << 51) - 1, -(1 << 51)]);
            let mut scaled = vec![0; n];
            scale_wide(&mut scaled, &wide, a[9], modulus);
            let dropped = crate::PRIMES[5];
            let tail: Vec<u32> =
                (0..n).map(|i| if i < 3 { dropped / 2 + i as u32 } else { (prg.next_u64() % u64::from(dropped)) as u32 }).collect();
            let mut switched = a.clone();
            if q != dropped {
                switch_down(&mut switched, &tail, dropped, modulus);
            }
            for i in 0..n {
                let (x, y) = (u64::from(a[i]), u64::from(b[i]));
                assert_eq!(sums[i], 7 + x * y);
                assert_eq!(fourfold[i], sums[i] + 2 * x * y + x * x + y * y);
                assert_eq!(product[i], modulus.mul(a[i], b[i]));
                assert_eq!((reduced[i], in_place[i]), (modulus.reduce(any[i]), u64::from(modulus.reduce(any[i]))));
                assert_eq!(scaled[i], modulus.mul(modulus.reduce_signed(wide[i]), a[9]));
                assert_eq!((plus[i], minus[i]), (modulus.add(a[i], b[i]), modulus.sub(a[i], b[i])));
                assert_eq!(residues[i], modulus.reduce_signed(i64::from(signed[i])));
                if q != dropped {
                    let centred = i64::from(tail[i]) - if tail[i] > dropped / 2 { i64::from(dropped) } else { 0 };
                    let back = modulus.add(modulus.mul(switched[i], modulus.reduce(u64::from(dropped))), modulus.reduce_signed(centred));
                    assert_eq!(back, a[i]);
                }
            }
        }
        let words = [0, u64::MAX, 0b101, 1 << 21];
        let mut errors = [0; 4];
        binomial(&mut errors, &words, 21);
        assert_eq!(errors, [0, 0, 2, -1]);
    }
}
