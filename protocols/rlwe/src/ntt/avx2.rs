//! The transform on AVX2: eight 32-bit lanes, the same lazy butterflies as the portable twin, bit for bit after reduction.
//!
//! The only unsafe code of this crate. Callers check the CPU at run time ([`super::vector_unit_present`]).
#![allow(unsafe_code)]

use crate::modulus::Modulus;
use crate::ring::N;
use std::arch::x86_64::*;

/// Butterflies with at least this many neighbours run on vectors; the last stages run portably.
const LANES: usize = 8;

/// Forward transform; the caller has checked for AVX2.
pub fn forward(q: u32, twiddles: &[(u32, u32)], values: &mut [u32]) {
    assert!(values.len() == N && twiddles.len() == N);
    // SAFETY: AVX2 was detected when the table was built; the lengths are asserted above.
    unsafe { forward_vectors(q, twiddles, values) };
    let modulus = Modulus::new(q);
    super::forward_stages(modulus, twiddles, values, N / LANES, N);
    super::reduce_fully(modulus, values);
}

/// Backward transform; the caller has checked for AVX2.
pub fn backward(q: u32, twiddles: &[(u32, u32)], scale: (u32, u32), values: &mut [u32]) {
    assert!(values.len() == N && twiddles.len() == N);
    let modulus = Modulus::new(q);
    super::backward_stages(modulus, twiddles, values, N, N / LANES);
    // SAFETY: as in `forward`.
    unsafe { backward_vectors(q, twiddles, values) };
    super::scale_fully(modulus, scale, values);
}

/// x·w mod q in [0, 2q), eight lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn mul_shoup(x: __m256i, w: __m256i, w_shoup: __m256i, q: __m256i) -> __m256i {
    let even = _mm256_srli_epi64(_mm256_mul_epu32(x, w_shoup), 32);
    let odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), w_shoup);
    let quotient = _mm256_blend_epi32(even, odd, 0b1010_1010);
    _mm256_sub_epi32(_mm256_mullo_epi32(x, w), _mm256_mullo_epi32(quotient, q))
}

#[target_feature(enable = "avx2")]
unsafe fn forward_vectors(q: u32, twiddles: &[(u32, u32)], values: &mut [u32]) {
    let (q1, q2) = (_mm256_set1_epi32(q as i32), _mm256_set1_epi32((2 * q) as i32));
    let (mut groups, mut half) = (1, N / 2);
    while half >= LANES {
        for (group, chunk) in values.chunks_exact_mut(2 * half).enumerate() {
            let (w, s) = twiddles[groups + group];
            let (w, s) = (_mm256_set1_epi32(w as i32), _mm256_set1_epi32(s as i32));
            let (low, high) = chunk.split_at_mut(half);
            for (x, y) in low.chunks_exact_mut(LANES).zip(high.chunks_exact_mut(LANES)) {
                // SAFETY: both chunks hold exactly eight values.
                unsafe {
                    let (px, py) = (x.as_mut_ptr().cast(), y.as_mut_ptr().cast());
                    let (a, b) = (_mm256_loadu_si256(px), _mm256_loadu_si256(py));
                    let u = _mm256_min_epu32(a, _mm256_sub_epi32(a, q2));
                    let v = mul_shoup(b, w, s, q1);
                    _mm256_storeu_si256(px, _mm256_add_epi32(u, v));
                    _mm256_storeu_si256(py, _mm256_sub_epi32(_mm256_add_epi32(u, q2), v));
                }
            }
        }
        groups *= 2;
        half /= 2;
    }
}

#[target_feature(enable = "avx2")]
unsafe fn backward_vectors(q: u32, twiddles: &[(u32, u32)], values: &mut [u32]) {
    let (q1, q2) = (_mm256_set1_epi32(q as i32), _mm256_set1_epi32((2 * q) as i32));
    let mut half = LANES;
    while half < N {
        let groups = N / half / 2;
        for (group, chunk) in values.chunks_exact_mut(2 * half).enumerate() {
            let (w, s) = twiddles[groups + group];
            let (w, s) = (_mm256_set1_epi32(w as i32), _mm256_set1_epi32(s as i32));
            let (low, high) = chunk.split_at_mut(half);
            for (x, y) in low.chunks_exact_mut(LANES).zip(high.chunks_exact_mut(LANES)) {
                // SAFETY: both chunks hold exactly eight values.
                unsafe {
                    let (px, py) = (x.as_mut_ptr().cast(), y.as_mut_ptr().cast());
                    let (a, b) = (_mm256_loadu_si256(px), _mm256_loadu_si256(py));
                    let sum = _mm256_add_epi32(a, b);
                    _mm256_storeu_si256(px, _mm256_min_epu32(sum, _mm256_sub_epi32(sum, q2)));
                    let difference = _mm256_sub_epi32(_mm256_add_epi32(a, q2), b);
                    _mm256_storeu_si256(py, mul_shoup(difference, w, s, q1));
                }
            }
        }
        half *= 2;
    }
}
