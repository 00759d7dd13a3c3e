//! Samplers: uniform residues, ternary secrets, centred binomial errors, bounded flooding.

use crate::kernels;
use crate::params::ERROR_BOUND;
use crate::ring::{N, Poly, Ring};
use colift_primitives::rng::Prg;

/// Uniform residues modulo each of the first `primes` primes, by rejection; the same stream gives the same polynomial.
pub fn uniform(prg: &mut Prg, primes: usize) -> Poly {
    let mut poly = Poly::zero(primes);
    let mut words = vec![0u8; 4 * N + 4 * N / 8];
    for index in 0..primes {
        let q = Ring::shared().modulus(index).value();
        let mask = q.next_power_of_two() - 1;
        let residues = poly.residues_mut(index);
        let mut filled = 0;
        while filled < N {
            prg.fill(&mut words);
            for word in words.chunks_exact(4) {
                let x = u32::from_le_bytes([word[0], word[1], word[2], word[3]]) & mask;
                if x < q && filled < N {
                    residues[filled] = x;
                    filled += 1;
                }
            }
        }
    }
    poly
}

/// Uniform coefficients in {−1, 0, 1}.
pub fn ternary(prg: &mut Prg) -> Vec<i32> {
    let mut coefficients = Vec::with_capacity(N);
    while coefficients.len() < N {
        let mut bits = prg.next_u64();
        for _ in 0..32 {
            if bits & 3 != 3 && coefficients.len() < N {
                coefficients.push((bits & 3) as i32 - 1);
            }
            bits >>= 2;
        }
    }
    coefficients
}

/// Centred binomial errors of 21 coin pairs: variance 10.5, never beyond ±21.
pub fn error(prg: &mut Prg) -> Vec<i32> {
    let mut words = vec![0u64; N];
    prg.fill_u64(&mut words);
    let mut errors = vec![0i32; N];
    kernels::binomial(&mut errors, &words, ERROR_BOUND as u32);
    errors
}

/// Uniform in [−2^bits, 2^bits) modulo each prime, in coefficient form; `bits` ≤ 126.
pub fn flood(prg: &mut Prg, bits: u32, primes: usize) -> Poly {
    let mut poly = Poly::zero(primes);
    let mut bytes = vec![0u8; 16 * N];
    prg.fill(&mut bytes);
    let bound = 1u128 << bits;
    for (i, word) in bytes.chunks_exact(16).enumerate() {
        let mut wide = [0u8; 16];
        wide.copy_from_slice(word);
        let x = u128::from_le_bytes(wide) & (2 * bound - 1);
        for index in 0..primes {
            let modulus = Ring::shared().modulus(index);
            poly.residues[index * N + i] = modulus.sub(modulus.reduce_wide(x), modulus.reduce_wide(bound));
        }
    }
    poly
}

#[cfg(test)]
mod tests {
    use super::*;
    use colift_primitives::rng::Seed;

    #[test]
    fn errors_have_the_stated_variance_and_bound() {
        let mut prg = Prg::from_seed(&Seed::from_bytes([7; 16]));
        let mut sum = 0i64;
        for _ in 0..20 {
            for e in error(&mut prg) {
                assert!(i64::from(e.abs()) <= ERROR_BOUND);
                sum += i64::from(e * e);
            }
        }
        let variance = sum as f64 / (20 * N) as f64;
        assert!((variance - 10.5).abs() < 0.2, "variance {variance}");
        let secret = ternary(&mut prg);
        let zeros = secret.iter().filter(|x| **x == 0).count();
        assert!((zeros as f64 / N as f64 - 1.0 / 3.0).abs() < 0.03);
    }

    #[test]
    fn uniform_residues_stay_below_their_prime_and_fill_the_range() {
        let mut prg = Prg::from_seed(&Seed::from_bytes([9; 16]));
        let poly = uniform(&mut prg, 6);
        for index in 0..6 {
            let q = f64::from(Ring::shared().modulus(index).value());
            let mean = poly.residues(index).iter().map(|x| f64::from(*x)).sum::<f64>() / N as f64;
            assert!(poly.residues(index).iter().all(|x| f64::from(*x) < q));
            assert!((mean / q - 0.5).abs() < 0.02);
        }
    }
}
