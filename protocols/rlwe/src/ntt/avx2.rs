//! The transform on AVX2: eight 32-bit lanes, the same lazy butterflies as the portable twin, bit for bit after reduction.
//!
//! Callers check the CPU at run time ([`super::vector_unit_present`]). The last three stages pair values inside a vector: two
//! vectors are shuffled so that partners meet, and shuffled back.
#![allow(unsafe_code)]

use crate::ring::N;
use std::arch::x86_64::*;

/// Butterflies with at least this many neighbours run on whole vectors.
const LANES: usize = 8;

/// Twiddles of the three short stages (4, 2 and 1 neighbours), laid out as the shuffles need them.
#[derive(Debug)]
pub struct ShortStages {
    /// (w, Shoup constant), eight of each for two vectors of values.
    stages: [Vec<(__m256i, __m256i)>; 3],
}

// SAFETY: plain numbers.
unsafe impl Send for ShortStages {}
// SAFETY: plain numbers, never changed after construction.
unsafe impl Sync for ShortStages {}

impl ShortStages {
    /// Lays out the twiddles of a table; the caller has checked for AVX2.
    pub fn new(twiddles: &[(u32, u32)]) -> Self {
        assert!(twiddles.len() == N);
        // Group of each lane of the first operand, within the groups of two vectors.
        let lanes: [[usize; 8]; 3] = [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 2, 2, 1, 1, 3, 3], [0, 1, 4, 5, 2, 3, 6, 7]];
        let stage = |index: usize| {
            let groups = (N / 8) << index;
            let per_pair = 2 << index;
            (0..N / 16)
                .map(|pair| {
                    let at = |lane: usize| twiddles[groups + pair * per_pair + lanes[index][lane]];
                    let pick = |part: fn((u32, u32)) -> u32| {
                        let v: [u32; 8] = std::array::from_fn(|lane| part(at(lane)));
                        // SAFETY: eight 32-bit numbers are one vector.
                        unsafe { std::mem::transmute::<[u32; 8], __m256i>(v) }
                    };
                    (pick(|t| t.0), pick(|t| t.1))
                })
                .collect()
        };
        Self { stages: [stage(0), stage(1), stage(2)] }
    }
}

/// Forward transform from the stage with butterflies `half` ≥ 8 apart; the caller has checked for AVX2.
pub fn forward(q: u32, twiddles: &[(u32, u32)], short: &ShortStages, values: &mut [u32], half: usize) {
    assert!(values.len() == N && twiddles.len() == N && half.is_power_of_two() && (LANES..N).contains(&half));
    // SAFETY: AVX2 was detected when the table was built; the lengths are asserted above.
    unsafe { forward_vectors(q, twiddles, short, values, half) };
}

/// Backward transform; the caller has checked for AVX2.
pub fn backward(q: u32, twiddles: &[(u32, u32)], short: &ShortStages, scale: (u32, u32), values: &mut [u32]) {
    assert!(values.len() == N && twiddles.len() == N);
    // SAFETY: as in `forward`.
    unsafe { backward_vectors(q, twiddles, short, scale, values) };
}

/// x·w mod q in [0, 2q), eight lanes with a Shoup constant each.
#[inline]
#[target_feature(enable = "avx2")]
fn mul_shoup(x: __m256i, w: __m256i, w_shoup: __m256i, q: __m256i) -> __m256i {
    let even = _mm256_srli_epi64(_mm256_mul_epu32(x, w_shoup), 32);
    let odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(w_shoup, 32));
    let quotient = _mm256_blend_epi32(even, odd, 0b1010_1010);
    _mm256_sub_epi32(_mm256_mullo_epi32(x, w), _mm256_mullo_epi32(quotient, q))
}

/// x − m where that is not negative: reduction from [0, 2m) to [0, m).
#[inline]
#[target_feature(enable = "avx2")]
fn reduce_once(x: __m256i, m: __m256i) -> __m256i {
    _mm256_min_epu32(x, _mm256_sub_epi32(x, m))
}

/// A twiddle in all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn spread(twiddle: (u32, u32)) -> (__m256i, __m256i) {
    (_mm256_set1_epi32(twiddle.0 as i32), _mm256_set1_epi32(twiddle.1 as i32))
}

/// Cooley–Tukey butterfly: (x mod 2q) ± w·y, below 4q.
#[inline]
#[target_feature(enable = "avx2")]
fn forward_butterfly(x: __m256i, y: __m256i, w: (__m256i, __m256i), q: (__m256i, __m256i)) -> (__m256i, __m256i) {
    let u = reduce_once(x, q.1);
    let v = mul_shoup(y, w.0, w.1, q.0);
    (_mm256_add_epi32(u, v), _mm256_sub_epi32(_mm256_add_epi32(u, q.1), v))
}

/// Gentleman–Sande butterfly: x + y and (x − y)·w, below 2q.
#[inline]
#[target_feature(enable = "avx2")]
fn backward_butterfly(x: __m256i, y: __m256i, w: (__m256i, __m256i), q: (__m256i, __m256i)) -> (__m256i, __m256i) {
    let difference = _mm256_sub_epi32(_mm256_add_epi32(x, q.1), y);
    (reduce_once(_mm256_add_epi32(x, y), q.1), mul_shoup(difference, w.0, w.1, q.0))
}

/// Brings the partners of short stage `stage` of two vectors face to face; its own inverse but for the last stage.
#[inline]
#[target_feature(enable = "avx2")]
fn face<const STAGE: usize>(a: __m256i, b: __m256i) -> (__m256i, __m256i) {
    match STAGE {
        0 => (_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)),
        1 => (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)),
        _ => {
            let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
            (_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xDD)))
        }
    }
}

/// Undoes [`face`].
#[inline]
#[target_feature(enable = "avx2")]
fn side_by_side<const STAGE: usize>(x: __m256i, y: __m256i) -> (__m256i, __m256i) {
    match STAGE {
        0 => (_mm256_permute2x128_si256(x, y, 0x20), _mm256_permute2x128_si256(x, y, 0x31)),
        1 => (_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y)),
        _ => (_mm256_unpacklo_epi32(x, y), _mm256_unpackhi_epi32(x, y)),
    }
}

#[target_feature(enable = "avx2")]
unsafe fn forward_vectors(q: u32, twiddles: &[(u32, u32)], short: &ShortStages, values: &mut [u32], mut half: usize) {
    let q = (_mm256_set1_epi32(q as i32), _mm256_set1_epi32((2 * q) as i32));
    let mut groups = N / 2 / half;
    // Two stages at a time: each value is loaded and stored once for both.
    while half >= 2 * LANES {
        let quarter = half / 2;
        for (group, chunk) in values.chunks_exact_mut(2 * half).enumerate() {
            let first = spread(twiddles[groups + group]);
            let (left, right) = (spread(twiddles[2 * (groups + group)]), spread(twiddles[2 * (groups + group) + 1]));
            let (low, high) = chunk.split_at_mut(half);
            let ((x0, x1), (x2, x3)) = (low.split_at_mut(quarter), high.split_at_mut(quarter));
            let pairs = x0.chunks_exact_mut(LANES).zip(x1.chunks_exact_mut(LANES));
            for ((x0, x1), (x2, x3)) in pairs.zip(x2.chunks_exact_mut(LANES).zip(x3.chunks_exact_mut(LANES))) {
                // SAFETY: the four chunks hold exactly eight values each.
                unsafe {
                    let (p0, p1) = (x0.as_mut_ptr().cast(), x1.as_mut_ptr().cast());
                    let (p2, p3) = (x2.as_mut_ptr().cast(), x3.as_mut_ptr().cast());
                    let (a, c) = forward_butterfly(_mm256_loadu_si256(p0), _mm256_loadu_si256(p2), first, q);
                    let (b, d) = forward_butterfly(_mm256_loadu_si256(p1), _mm256_loadu_si256(p3), first, q);
                    let (a, b) = forward_butterfly(a, b, left, q);
                    let (c, d) = forward_butterfly(c, d, right, q);
                    _mm256_storeu_si256(p0, a);
                    _mm256_storeu_si256(p1, b);
                    _mm256_storeu_si256(p2, c);
                    _mm256_storeu_si256(p3, d);
                }
            }
        }
        groups *= 4;
        half /= 4;
    }
    while half >= LANES {
        for (group, chunk) in values.chunks_exact_mut(2 * half).enumerate() {
            let w = spread(twiddles[groups + group]);
            let (low, high) = chunk.split_at_mut(half);
            for (x, y) in low.chunks_exact_mut(LANES).zip(high.chunks_exact_mut(LANES)) {
                // SAFETY: both chunks hold exactly eight values.
                unsafe {
                    let (px, py) = (x.as_mut_ptr().cast(), y.as_mut_ptr().cast());
                    let (a, b) = forward_butterfly(_mm256_loadu_si256(px), _mm256_loadu_si256(py), w, q);
                    _mm256_storeu_si256(px, a);
                    _mm256_storeu_si256(py, b);
                }
            }
        }
        groups *= 2;
        half /= 2;
    }
    let [four, two, one] = &short.stages;
    for (((pair, w4), w2), w1) in values.chunks_exact_mut(2 * LANES).zip(four).zip(two).zip(one) {
        // SAFETY: the chunk holds exactly sixteen values.
        unsafe {
            let (pa, pb) = (pair.as_mut_ptr().cast(), pair.as_mut_ptr().add(LANES).cast());
            let (x, y) = face::<0>(_mm256_loadu_si256(pa), _mm256_loadu_si256(pb));
            let (x, y) = forward_butterfly(x, y, *w4, q);
            let (a, b) = side_by_side::<0>(x, y);
            let (x, y) = face::<1>(a, b);
            let (x, y) = forward_butterfly(x, y, *w2, q);
            let (a, b) = side_by_side::<1>(x, y);
            let (x, y) = face::<2>(a, b);
            let (x, y) = forward_butterfly(x, y, *w1, q);
            let (a, b) = side_by_side::<2>(reduce_once(reduce_once(x, q.1), q.0), reduce_once(reduce_once(y, q.1), q.0));
            _mm256_storeu_si256(pa, a);
            _mm256_storeu_si256(pb, b);
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn backward_vectors(q: u32, twiddles: &[(u32, u32)], short: &ShortStages, scale: (u32, u32), values: &mut [u32]) {
    let q = (_mm256_set1_epi32(q as i32), _mm256_set1_epi32((2 * q) as i32));
    let scale = (_mm256_set1_epi32(scale.0 as i32), _mm256_set1_epi32(scale.1 as i32));
    let [four, two, one] = &short.stages;
    for (((pair, w4), w2), w1) in values.chunks_exact_mut(2 * LANES).zip(four).zip(two).zip(one) {
        // SAFETY: the chunk holds exactly sixteen values.
        unsafe {
            let (pa, pb) = (pair.as_mut_ptr().cast(), pair.as_mut_ptr().add(LANES).cast());
            let (x, y) = face::<2>(_mm256_loadu_si256(pa), _mm256_loadu_si256(pb));
            let (x, y) = backward_butterfly(x, y, *w1, q);
            let (a, b) = side_by_side::<2>(x, y);
            let (x, y) = face::<1>(a, b);
            let (x, y) = backward_butterfly(x, y, *w2, q);
            let (a, b) = side_by_side::<1>(x, y);
            let (x, y) = face::<0>(a, b);
            let (x, y) = backward_butterfly(x, y, *w4, q);
            let (a, b) = side_by_side::<0>(x, y);
            _mm256_storeu_si256(pa, a);
            _mm256_storeu_si256(pb, b);
        }
    }
    let mut half = LANES;
    while half < N {
        let groups = N / half / 2;
        for (group, chunk) in values.chunks_exact_mut(2 * half).enumerate() {
            let w = spread(twiddles[groups + group]);
            let (low, high) = chunk.split_at_mut(half);
            for (x, y) in low.chunks_exact_mut(LANES).zip(high.chunks_exact_mut(LANES)) {
                // SAFETY: both chunks hold exactly eight values.
                unsafe {
                    let (px, py) = (x.as_mut_ptr().cast(), y.as_mut_ptr().cast());
                    let (a, b) = backward_butterfly(_mm256_loadu_si256(px), _mm256_loadu_si256(py), w, q);
                    _mm256_storeu_si256(px, a);
                    _mm256_storeu_si256(py, b);
                }
            }
        }
        half *= 2;
    }
    for chunk in values.chunks_exact_mut(LANES) {
        // SAFETY: the chunk holds exactly eight values.
        unsafe {
            let p = chunk.as_mut_ptr().cast();
            _mm256_storeu_si256(p, reduce_once(mul_shoup(_mm256_loadu_si256(p), scale.0, scale.1, q.0), q.0));
        }
    }
}
