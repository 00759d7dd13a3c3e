//! GF(2^128) on the CPU's carry-less multiplier: the same functions as the portable form, tested against it.
//!
//! Callers check the CPU at run time ([`present`]). `unsafe` is only the call of a function compiled for detected features.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

/// Whether this CPU multiplies without carry.
pub fn present() -> bool {
    is_x86_feature_detected!("pclmulqdq") && is_x86_feature_detected!("sse4.1")
}

/// a·b; the caller has checked [`present`].
pub fn multiply(a: u128, b: u128) -> u128 {
    // SAFETY: the caller has checked the features.
    unsafe { store(reduce(product(load(a), load(b)))) }
}

/// sums += values·factor; the caller has checked [`present`].
pub fn add_scaled(sums: &mut [u128], values: &[u128], factor: u128) {
    // SAFETY: the caller has checked the features.
    unsafe { add_scaled_vectors(sums, values, factor) }
}

/// Σ a·b; the caller has checked [`present`].
pub fn inner_product(a: &[u128], b: &[u128]) -> u128 {
    // SAFETY: the caller has checked the features.
    unsafe { inner_product_vectors(a, b) }
}

/// sums += short factors times values; the caller has checked [`present`], and that there are values.
pub fn add_short_products(sums: &mut [u128], short: &[u64], values: &[u128]) {
    // SAFETY: the caller has checked the features.
    unsafe { add_short_product_vectors(sums, short, values) }
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn load(a: u128) -> __m128i {
    _mm_set_epi64x((a >> 64) as i64, a as i64)
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn store(a: __m128i) -> u128 {
    u128::from(_mm_cvtsi128_si64(a) as u64) | u128::from(_mm_extract_epi64(a, 1) as u64) << 64
}

/// The 256-bit product as low and high half.
#[target_feature(enable = "pclmulqdq,sse4.1")]
fn product(a: __m128i, b: __m128i) -> (__m128i, __m128i) {
    let low = _mm_clmulepi64_si128(a, b, 0x00);
    let high = _mm_clmulepi64_si128(a, b, 0x11);
    let middle = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x10), _mm_clmulepi64_si128(a, b, 0x01));
    (_mm_xor_si128(low, _mm_slli_si128(middle, 8)), _mm_xor_si128(high, _mm_srli_si128(middle, 8)))
}

/// Folds the high half down: x^128 = x^7 + x^2 + x + 1, first its upper word, then its lower one.
#[target_feature(enable = "pclmulqdq,sse4.1")]
fn reduce((low, high): (__m128i, __m128i)) -> __m128i {
    let polynomial = _mm_set_epi64x(0, 0x87);
    let upper = _mm_clmulepi64_si128(high, polynomial, 0x01);
    let low = _mm_xor_si128(low, _mm_slli_si128(upper, 8));
    let high = _mm_xor_si128(high, _mm_srli_si128(upper, 8));
    _mm_xor_si128(low, _mm_clmulepi64_si128(high, polynomial, 0x00))
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn add_scaled_vectors(sums: &mut [u128], values: &[u128], factor: u128) {
    let factor = load(factor);
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum ^= store(reduce(product(load(*value), factor)));
    }
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn inner_product_vectors(a: &[u128], b: &[u128]) -> u128 {
    let mut sum = (_mm_setzero_si128(), _mm_setzero_si128());
    for (a, b) in a.iter().zip(b) {
        let term = product(load(*a), load(*b));
        sum = (_mm_xor_si128(sum.0, term.0), _mm_xor_si128(sum.1, term.1));
    }
    store(reduce(sum))
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn add_short_product_vectors(sums: &mut [u128], short: &[u64], values: &[u128]) {
    for (sum, factors) in sums.iter_mut().zip(short.chunks_exact(values.len())) {
        let (mut low, mut middle) = (_mm_setzero_si128(), _mm_setzero_si128());
        for (value, factor) in values.iter().zip(factors) {
            let (value, factor) = (load(*value), _mm_cvtsi64_si128(*factor as i64));
            low = _mm_xor_si128(low, _mm_clmulepi64_si128(value, factor, 0x00));
            middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(value, factor, 0x01));
        }
        let halves = (_mm_xor_si128(low, _mm_slli_si128(middle, 8)), _mm_srli_si128(middle, 8));
        *sum ^= store(reduce_short(halves));
    }
}

/// As [`reduce`] for a high half of at most 64 bits.
#[target_feature(enable = "pclmulqdq,sse4.1")]
fn reduce_short((low, high): (__m128i, __m128i)) -> __m128i {
    _mm_xor_si128(low, _mm_clmulepi64_si128(high, _mm_set_epi64x(0, 0x87), 0x00))
}
