//! The block-accumulate code: compresses the noise to half its length, the same linear map on both sides.
//!
//! Its generator is a systematic block-diagonal matrix, then twice a permutation and an accumulator; what is computed here is
//! the transpose, on vectors of field elements: accumulate, permute, accumulate, permute, and then
//! out\[i\] = u\[i\] + Σ_j m(i, j)·u\[half + 32·⌊i/32⌋ + j\], m random bits. Everything about the code is public and fixed by
//! the length, so memory is touched at public places only. Permutations are Feistel networks of four rounds on `left` × `right`.
//! A value goes first to the cache-sized bucket of its new place, then to the place inside it: memory is streamed, not jumped in.
//!
//! **Source** Block-Diagonal Codes (Rindal and others), depth 3, blocks of 32; see [`Lpn`].

use super::Lpn;
use bytemuck::Pod;
use colift_primitives::buffer::Buffer;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed};
use rayon::prelude::*;
use zeroize::Zeroize;

/// Rows and columns of a block.
const BLOCK: usize = 32;
/// Indices made at a time.
const BATCH: usize = 64;
/// Values of a bucket: fits the second-level cache, and place numbers fit 16 bits.
const BUCKET: usize = 1 << 13;
/// Outputs of a bucket of the last layer, which share a stream of random bits.
const HALF_BUCKET: usize = BUCKET / 2;
/// Inputs looked up together in a table of their sums.
const GROUP: usize = 4;
const GROUPS: usize = BLOCK / GROUP;
const ROUNDS: usize = 4;

/// What the code adds up: one field element, or two side by side.
pub trait Word: Default + Pod + Zeroize + Send + Sync {
    /// The sum.
    #[must_use]
    fn plus(self, other: Self) -> Self;
}

impl Word for u128 {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self ^ other
    }
}

impl Word for [u128; 2] {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        [self[0] ^ other[0], self[1] ^ other[1]]
    }
}

/// The code for one length.
pub struct Code {
    half: usize,
    permutations: [Permutation; 2],
    streams: Vec<Seed>,
}

impl Code {
    /// The code of these sizes.
    #[must_use]
    pub fn new(lpn: &Lpn) -> Self {
        let digest = PartHash::new("colift block-accumulate code v1").number(lpn.noise_len() as u64).number(lpn.right as u64).finish();
        let mut seed = [0u8; 16];
        seed.copy_from_slice(&digest[..16]);
        let mut prg = Prg::from_seed(&Seed::from_bytes(seed));
        let mut permutation = || Permutation {
            left: (lpn.noise_len() / lpn.right) as u32,
            right: lpn.right as u32,
            keys: std::array::from_fn(|_| prg.next_u64() as u32),
        };
        let permutations = [permutation(), permutation()];
        let streams = (0..lpn.len().div_ceil(HALF_BUCKET)).map(|_| prg.next_seed()).collect();
        Self { half: lpn.len(), permutations, streams }
    }

    /// Compresses the noise; `noise` is used as scratch. Another length than the code's gives an empty vector.
    #[must_use]
    pub fn compress<W: Word>(&self, noise: &mut [W]) -> Buffer<W> {
        if noise.len() != 2 * self.half {
            return Buffer::zeroed(0);
        }
        // Layer 1: accumulate, send each sum to its bucket.
        let (mut first_buffer, mut places_buffer) = (Buffer::<W>::zeroed(noise.len()), Buffer::<u16>::zeroed(noise.len()));
        let (first, places) = (&mut *first_buffer, &mut *places_buffer);
        let mut cursors: Vec<usize> = (0..noise.len()).step_by(BUCKET).collect();
        let mut sum = W::default();
        self.permutations[0].for_each(0, noise.len(), |index, to| {
            sum = sum.plus(noise[index]);
            let cursor = &mut cursors[to / BUCKET];
            first[*cursor] = sum;
            places[*cursor] = (to % BUCKET) as u16;
            *cursor += 1;
        });
        // Layer 2: put each bucket in order, accumulate, send to the buckets of layer 3: those hold pieces of both halves.
        let mut second_buffer = Buffer::<u16>::zeroed(noise.len());
        let places_of_second = &mut *second_buffer;
        let mut cursors: Vec<usize> = (0..self.half).step_by(HALF_BUCKET).map(|start| 2 * start).collect();
        let mut ordered_buffer = Buffer::<W>::zeroed(BUCKET);
        let ordered = &mut *ordered_buffer;
        let mut sum = W::default();
        for ((bucket, values), places) in first.chunks(BUCKET).enumerate().zip(places.chunks(BUCKET)) {
            for (value, place) in values.iter().zip(places) {
                ordered[usize::from(*place) % BUCKET] = *value;
            }
            self.permutations[1].for_each(bucket * BUCKET, values.len(), |index, to| {
                sum = sum.plus(ordered[index]);
                let (row, upper) = if to < self.half { (to, 0) } else { (to - self.half, HALF_BUCKET) };
                let cursor = &mut cursors[row / HALF_BUCKET];
                noise[*cursor] = sum;
                places_of_second[*cursor] = (row % HALF_BUCKET + upper) as u16;
                *cursor += 1;
            });
        }
        drop(first_buffer);
        // Layer 3: put each bucket in order, then the blocks.
        let mut out = Buffer::<W>::zeroed(self.half);
        let inputs = noise.par_chunks(BUCKET).zip(places_of_second.par_chunks(BUCKET)).zip(&self.streams);
        out.par_chunks_mut(HALF_BUCKET).zip(inputs).for_each(|(out, ((values, places), stream))| {
            let mut ordered_buffer = Buffer::<W>::zeroed(BUCKET);
            let ordered = &mut *ordered_buffer;
            for (value, place) in values.iter().zip(places) {
                ordered[usize::from(*place) % BUCKET] = *value;
            }
            let (lower, upper) = ordered.split_at(HALF_BUCKET);
            let mut prg = Prg::from_seed(stream);
            let mut bits = [0u8; 4 * BLOCK];
            let blocks = lower.as_chunks::<BLOCK>().0.iter().zip(upper.as_chunks::<BLOCK>().0);
            for (out, (lower, upper)) in out.chunks_mut(BLOCK).zip(blocks) {
                let tables = sums_of_groups(upper);
                prg.fill(&mut bits);
                for ((out, value), row) in out.iter_mut().zip(lower).zip(bits.as_chunks::<4>().0) {
                    let row = u32::from_le_bytes(*row) as usize;
                    let sums = tables.iter().enumerate().map(|(group, table)| table[row >> (GROUP * group) & 15]);
                    *out = sums.fold(*value, W::plus);
                }
            }
        });
        out
    }
}

/// All sums of each four inputs: entry s of table g adds those inputs of group g whose bit is set in s.
fn sums_of_groups<W: Word>(values: &[W; BLOCK]) -> [[W; 16]; GROUPS] {
    let mut tables = [[W::default(); 16]; GROUPS];
    for (table, values) in tables.iter_mut().zip(values.as_chunks::<GROUP>().0) {
        for (bit, value) in values.iter().enumerate() {
            for lower in 0..1 << bit {
                table[(1 << bit) + lower] = table[lower].plus(*value);
            }
        }
    }
    tables
}

/// A public permutation of 0..left·right.
struct Permutation {
    left: u32,
    right: u32,
    keys: [u32; ROUNDS],
}

impl Permutation {
    /// Calls `each(i, image of start + i)` for i below `count`.
    #[inline(always)]
    fn for_each(&self, start: usize, count: usize, mut each: impl FnMut(usize, usize)) {
        let mut at = [0u32; BATCH];
        for done in (0..count).step_by(BATCH) {
            self.fill((start + done) as u32, &mut at);
            for (index, to) in (done..count).zip(&at) {
                each(index, *to as usize);
            }
        }
    }

    /// The images of `first`, `first` + 1, …; those beyond the domain are meaningless but inside it.
    #[inline(always)]
    fn fill<const N: usize>(&self, first: u32, out: &mut [u32; N]) {
        // Numbers below 2^32 in 64-bit lanes, as the widening multiplication wants them.
        let (mut left, mut right) = ([0u64; N], [0u64; N]);
        let (rows, columns) = (u64::from(self.left), u64::from(self.right));
        let (mut l, mut r) = (u64::from(first / self.right % self.left), u64::from(first % self.right));
        for (slot_l, slot_r) in left.iter_mut().zip(right.iter_mut()) {
            (*slot_l, *slot_r) = (l, r);
            r += 1;
            if r == columns {
                (l, r) = (if l + 1 == rows { 0 } else { l + 1 }, 0);
            }
        }
        for keys in self.keys.as_chunks::<2>().0 {
            for (l, r) in left.iter_mut().zip(right.iter_mut()) {
                *l = add(*l, mix(*r, keys[0]), rows);
                *r = add(*r, mix(*l, keys[1]), columns);
            }
        }
        for (slot, (l, r)) in out.iter_mut().zip(left.iter().zip(&right)) {
            *slot = (l * columns + r) as u32;
        }
    }
}

/// The lower half times the constant, a product of two numbers below 2^32.
#[inline(always)]
fn widening(value: u64, constant: u64) -> u64 {
    (value & 0xffff_ffff) * (constant & 0xffff_ffff)
}

/// Adds a hash below 2^32, scaled to 0..bound, modulo the bound.
#[inline(always)]
fn add(value: u64, hash: u64, bound: u64) -> u64 {
    let sum = value + (widening(hash, bound) >> 32);
    if sum >= bound { sum - bound } else { sum }
}

/// A keyed mixing function to 32 bits: twice a product folded onto itself.
#[inline(always)]
fn mix(value: u64, key: u32) -> u64 {
    let once = widening(value ^ u64::from(key), 0x9e37_79b1);
    let once = once ^ once >> 32 ^ 0x7f4a_7c15;
    let twice = widening(once, 0xc2b2_ae3d);
    (twice ^ twice >> 32) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn random(count: usize) -> Vec<u128> {
        let mut prg = Prg::from_os().unwrap();
        (0..count).map(|_| prg.next_u128()).collect()
    }

    #[test]
    fn permutations_hit_every_place_once() {
        for length in [1, 5000, 40_000] {
            let lpn = Lpn::for_length(length);
            for permutation in Code::new(&lpn).permutations {
                let (mut seen, mut at) = (vec![false; lpn.noise_len()], [0u32; BATCH]);
                for start in (0..lpn.noise_len()).step_by(BATCH) {
                    permutation.fill(start as u32, &mut at);
                    for index in &at[..BATCH.min(lpn.noise_len() - start)] {
                        assert!(!std::mem::replace(&mut seen[*index as usize], true));
                    }
                }
                let mut displaced = 0;
                permutation.fill(0, &mut at);
                at.iter().zip(at.iter().skip(1)).for_each(|(one, two)| displaced += usize::from(one.abs_diff(*two) > 16));
                assert!(displaced > BATCH / 2);
            }
        }
    }

    #[test]
    fn the_map_is_linear_and_both_widths_agree() {
        let lpn = Lpn::for_length(9300);
        let code = Code::new(&lpn);
        let (x, y) = (random(lpn.noise_len()), random(lpn.noise_len()));
        let run = |values: &[u128]| code.compress(&mut values.to_vec()).to_vec();
        let sum: Vec<u128> = x.iter().zip(&y).map(|(x, y)| x ^ y).collect();
        let expected: Vec<u128> = run(&x).iter().zip(run(&y)).map(|(x, y)| x ^ y).collect();
        assert_eq!(run(&sum), expected);
        let mut pairs: Vec<[u128; 2]> = x.iter().zip(&y).map(|(x, y)| [*x, *y]).collect();
        let pairs = code.compress(&mut pairs);
        assert_eq!(pairs.iter().map(|pair| pair[0]).collect::<Vec<_>>(), run(&x));
        assert_eq!(pairs.iter().map(|pair| pair[1]).collect::<Vec<_>>(), run(&y));
        assert!(code.compress(&mut x[1..].to_vec()).is_empty());
    }

    /// Each unit vector touches about half of the output: the accumulators spread it, the blocks mix it.
    #[test]
    fn single_positions_spread() {
        let lpn = Lpn::for_length(1);
        let code = Code::new(&lpn);
        let mut prg = Prg::from_os().unwrap();
        let mut total = 0;
        for _ in 0..20 {
            let mut noise = vec![0u128; lpn.noise_len()];
            noise[prg.below(lpn.noise_len() as u64) as usize] = 1;
            total += code.compress(&mut noise).iter().filter(|value| **value == 1).count();
        }
        let share = total as f64 / (20 * lpn.len()) as f64;
        assert!((0.3..0.7).contains(&share), "{share}");
    }
}
