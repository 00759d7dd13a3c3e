//! The negacyclic number-theoretic transform of length 8192 modulo one prime: portable, and an AVX2 kernel chosen at run time.
//!
//! Forward: Cooley–Tukey, natural order in, bit-reversed out, values kept below 4q (Harvey's lazy butterflies). Backward:
//! Gentleman–Sande, bit-reversed in, natural out. Twiddles are powers of a 16384th root of unity with Shoup constants.

use crate::modulus::Modulus;
use crate::ring::{LOG_N, N};

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Twiddle tables of one prime.
#[derive(Debug)]
pub struct NttTable {
    pub(crate) modulus: Modulus,
    /// psi^bitrev(i) and its Shoup constant.
    forward: Vec<(u32, u32)>,
    /// psi^-bitrev(i) and its Shoup constant.
    backward: Vec<(u32, u32)>,
    /// N⁻¹ and its Shoup constant.
    scale: (u32, u32),
    /// Twiddles for the vector kernel, where the CPU has one.
    #[cfg(target_arch = "x86_64")]
    vectors: Option<[avx2::ShortStages; 2]>,
}

impl NttTable {
    /// Builds the tables; q must be a prime with q ≡ 1 mod 16384.
    pub fn new(modulus: Modulus) -> Self {
        let q = modulus.value();
        let root = primitive_root(modulus);
        let inverse = modulus.inverse(root);
        let with_shoup = |w: u32| (w, modulus.shoup(w));
        let table = |root: u32| {
            let mut power = vec![1u32; N];
            for i in 1..N {
                power[i] = modulus.mul(power[i - 1], root);
            }
            (0..N).map(|i| with_shoup(power[i.reverse_bits() >> (usize::BITS as usize - LOG_N)])).collect::<Vec<_>>()
        };
        let n_inverse = modulus.inverse((N as u64 % u64::from(q)) as u32);
        let (forward, backward) = (table(root), table(inverse));
        Self {
            modulus,
            scale: with_shoup(n_inverse),
            #[cfg(target_arch = "x86_64")]
            vectors: vector_unit_present().then(|| [avx2::ShortStages::new(&forward), avx2::ShortStages::new(&backward)]),
            forward,
            backward,
        }
    }

    /// Coefficients (reduced, natural order) to values (reduced, bit-reversed order), in place.
    pub fn forward(&self, values: &mut [u32]) {
        self.forward_short(values, N);
    }

    /// The same for a polynomial of `length` coefficients; what lies beyond them is ignored. Stages whose upper halves are zero
    /// only copy: a polynomial of 256 coefficients takes 8 stages of 13.
    pub fn forward_short(&self, values: &mut [u32], length: usize) {
        debug_assert!(values.len() == N && length <= N);
        let length = length.min(N);
        let filled = length.next_power_of_two().clamp(16, N);
        values[length..filled].fill(0);
        let (head, rest) = values.split_at_mut(filled);
        rest.chunks_exact_mut(filled).for_each(|chunk| chunk.copy_from_slice(head));
        #[cfg(target_arch = "x86_64")]
        if let Some([short, _]) = &self.vectors {
            avx2::forward(self.modulus.value(), &self.forward, short, values, filled / 2);
            return;
        }
        forward_stages(self.modulus, &self.forward, values, filled / 2);
        reduce_fully(self.modulus, values);
    }

    /// Values (reduced, bit-reversed order) to coefficients (reduced, natural order), in place.
    pub fn backward(&self, values: &mut [u32]) {
        debug_assert_eq!(values.len(), N);
        #[cfg(target_arch = "x86_64")]
        if let Some([_, short]) = &self.vectors {
            avx2::backward(self.modulus.value(), &self.backward, short, self.scale, values);
            return;
        }
        backward_stages(self.modulus, &self.backward, values);
        scale_fully(self.modulus, self.scale, values);
    }
}

/// True where the AVX2 kernels are used: the CPU has it, and the environment does not ask for the portable ones (to compare both).
pub fn vector_unit_present() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::env::var_os("COLIFT_PORTABLE").is_none() && std::arch::is_x86_feature_detected!("avx2")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// The forward stages from the one with butterflies `half` apart; values stay below 4q.
fn forward_stages(modulus: Modulus, twiddles: &[(u32, u32)], values: &mut [u32], mut half: usize) {
    let two_q = 2 * modulus.value();
    let mut groups = N / 2 / half;
    while groups < N {
        for (group, chunk) in values.chunks_exact_mut(2 * half).enumerate() {
            let (w, w_shoup) = twiddles[groups + group];
            let (low, high) = chunk.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                let u = if *x >= two_q { *x - two_q } else { *x };
                let v = modulus.mul_shoup_lazy(*y, w, w_shoup);
                *x = u + v;
                *y = u + two_q - v;
            }
        }
        groups *= 2;
        half /= 2;
    }
}

/// The backward stages; values stay below 2q.
fn backward_stages(modulus: Modulus, twiddles: &[(u32, u32)], values: &mut [u32]) {
    let two_q = 2 * modulus.value();
    let mut groups = N / 2;
    while groups >= 1 {
        let half = N / groups / 2;
        for (group, chunk) in values.chunks_exact_mut(2 * half).enumerate() {
            let (w, w_shoup) = twiddles[groups + group];
            let (low, high) = chunk.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                let (u, v) = (*x, *y);
                let sum = u + v;
                *x = if sum >= two_q { sum - two_q } else { sum };
                *y = modulus.mul_shoup_lazy(u + two_q - v, w, w_shoup);
            }
        }
        groups /= 2;
    }
}

fn reduce_fully(modulus: Modulus, values: &mut [u32]) {
    let (q, two_q) = (modulus.value(), 2 * modulus.value());
    for value in values {
        let x = if *value >= two_q { *value - two_q } else { *value };
        *value = if x >= q { x - q } else { x };
    }
}

fn scale_fully(modulus: Modulus, scale: (u32, u32), values: &mut [u32]) {
    let q = modulus.value();
    for value in values {
        let x = modulus.mul_shoup_lazy(*value, scale.0, scale.1);
        *value = if x >= q { x - q } else { x };
    }
}

/// The smallest-generator power that is a primitive 16384th root of unity.
fn primitive_root(modulus: Modulus) -> u32 {
    let order = 2 * N as u64;
    let cofactor = (u64::from(modulus.value()) - 1) / order;
    let mut base = 2;
    loop {
        let root = modulus.pow(base, cofactor);
        if modulus.pow(root, order / 2) == modulus.value() - 1 {
            return root;
        }
        base += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_primitives::rng::{Prg, Seed};

    fn random(modulus: Modulus, seed: u8) -> Vec<u32> {
        let mut prg = Prg::from_seed(&Seed::from_bytes([seed; 16]));
        (0..N).map(|_| modulus.reduce(prg.next_u64())).collect()
    }

    fn portable(modulus: Modulus) -> NttTable {
        NttTable {
            #[cfg(target_arch = "x86_64")]
            vectors: None,
            ..NttTable::new(modulus)
        }
    }

    #[test]
    fn round_trip_and_negacyclic_product() {
        for q in crate::PRIMES.into_iter().chain([crate::slots::PRIME_10_BITS, crate::slots::PRIME_13_BITS]) {
            let modulus = Modulus::new(q);
            let table = portable(modulus);
            let a = random(modulus, 1);
            let mut b = a.clone();
            table.forward(&mut b);
            table.backward(&mut b);
            assert_eq!(a, b);
            // x^5 · a shifts by five and negates what wraps.
            let mut monomial = vec![0u32; N];
            monomial[5] = 1;
            let mut c = a.clone();
            table.forward(&mut monomial);
            table.forward(&mut c);
            let mut product: Vec<u32> = monomial.iter().zip(&c).map(|(x, y)| modulus.mul(*x, *y)).collect();
            table.backward(&mut product);
            for i in 0..N {
                let expected = if i >= 5 { a[i - 5] } else { modulus.sub(0, a[N + i - 5]) };
                assert_eq!(product[i], expected);
            }
        }
    }

    #[test]
    fn vector_kernel_equals_portable_twin() {
        if !vector_unit_present() {
            println!("SKIPPED: no AVX2 on this machine");
            return;
        }
        for (k, q) in crate::PRIMES.into_iter().enumerate() {
            let modulus = Modulus::new(q);
            let (fast, slow) = (NttTable::new(modulus), portable(modulus));
            for seed in 0..5 {
                let mut a = random(modulus, 10 * k as u8 + seed);
                if seed == 4 {
                    a.fill(q - 1);
                }
                for length in [0, 1, 16, 17, 163, 4_096, 4_097] {
                    let (mut c, mut d, mut e) = (a.clone(), a.clone(), a.clone());
                    fast.forward_short(&mut c, length);
                    slow.forward_short(&mut d, length);
                    e[length..].fill(0);
                    slow.forward(&mut e);
                    assert!(c == e && d == e, "{length} coefficients");
                }
                let mut b = a.clone();
                fast.forward(&mut a);
                slow.forward(&mut b);
                assert_eq!(a, b);
                fast.backward(&mut a);
                slow.backward(&mut b);
                assert_eq!(a, b);
            }
        }
    }
}
