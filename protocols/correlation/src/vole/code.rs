//! The block-accumulate code: compresses the noise to half its length, the same linear map on both sides.
//!
//! Its generator is a systematic block-diagonal matrix, then twice a permutation and an accumulator; what is computed here is
//! the transpose, on vectors of field elements: accumulate, permute, accumulate, permute, and then
//! out\[i\] = u\[i\] + Σ_j m(i, j)·u\[half + 32·⌊i/32⌋ + j\], m random bits. Everything about the code is public and fixed by
//! the length, so memory is touched at public places only. Permutations are Feistel networks of four rounds on `left` × `right`.
//! A value goes first to the cache-sized bucket of its new place, then to the place inside it: memory is streamed, not jumped in.
//!
//! **Source** Block-Diagonal Codes (Rindal and others), depth 3, blocks of 32; see [`Lpn`].

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::Lpn;
use colift_primitives::buffer::Buffer;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed};
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Rows and columns of a block.
const BLOCK: usize = 32;
/// Indices made at a time.
const BATCH: usize = 64;
/// Values of a bucket: fits the second-level cache, and place numbers fit 16 bits.
const BUCKET: usize = 1 << 13;
/// Distance of two buckets in memory: not a power of two, or all would crowd into a few sets of the caches.
const STRIDE: usize = BUCKET + 20;
/// Outputs of a bucket of the last layer, which share a stream of random bits.
const HALF_BUCKET: usize = BUCKET / 2;
/// Inputs looked up together in a table of their sums.
const GROUP: usize = 4;
const GROUPS: usize = BLOCK / GROUP;
const ROUNDS: usize = 4;
/// Sums of the sparse vector: their numbers fit a byte.
const MOST_SUMS: usize = 256;

/// The sparse vector that the receiver compresses beside its leaves: one value in each tree.
pub struct Noise<'a> {
    /// Places among all leaves, ascending.
    pub places: &'a [usize],
    /// The value at each place.
    pub values: &'a [u128],
}

impl Noise<'_> {
    /// The sums of the first 0, 1, … values: all that the first accumulator gives.
    fn sums(&self) -> Zeroizing<[u128; MOST_SUMS]> {
        let mut sums = Zeroizing::new([0; MOST_SUMS]);
        let mut sum = 0;
        for (slot, value) in sums.iter_mut().skip(1).zip(self.values) {
            sum ^= value;
            *slot = sum;
        }
        sums
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

    /// Begins to compress leaves.
    #[must_use]
    pub fn begin(&self) -> Compression<'_> {
        self.begin_both(Noise { places: &[], values: &[] })
    }

    /// Begins to compress leaves and, beside them, a sparse vector with at most 255 places.
    #[must_use]
    pub fn begin_both<'a>(&'a self, noise: Noise<'a>) -> Compression<'a> {
        let buckets = (2 * self.half).div_ceil(BUCKET);
        Compression {
            code: self,
            noise,
            sums: Buffer::scratch(buckets * STRIDE),
            marks: Buffer::scratch(buckets * STRIDE),
            cursors: (0..buckets).map(|bucket| bucket * STRIDE).collect(),
            sum: 0,
            steps: 0,
            read: 0,
        }
    }
}

/// A compression that takes its leaves piece by piece: layer 1 accumulates and sends each sum to its bucket, with its place there
/// and the number of noise values so far.
pub struct Compression<'a> {
    code: &'a Code,
    noise: Noise<'a>,
    sums: Buffer<u128>,
    marks: Buffer<u32>,
    cursors: Vec<usize>,
    sum: u128,
    steps: usize,
    read: usize,
}

impl Compression<'_> {
    /// Takes the next leaves; those beyond the code's length are not read.
    pub fn take(&mut self, leaves: &[u128]) {
        let (first, count) = (self.read, leaves.len().min(2 * self.code.half - self.read));
        let (sums, marks) = (&mut *self.sums, &mut *self.marks);
        let (mut sum, mut taken) = (self.sum, self.steps);
        // The leaves up to the next noise value share their number of steps.
        let mut ends = self.noise.places.iter().skip(taken).map(|place| place - first).take_while(|end| *end < count);
        let mut start = 0;
        while start < count {
            let end = ends.next().unwrap_or(count);
            let mark = (taken as u32) << BUCKET.ilog2();
            self.code.permutations[0].for_each(first + start, end - start, |index, to| {
                sum ^= leaves[start + index];
                let cursor = &mut self.cursors[to / BUCKET];
                sums[*cursor] = sum;
                marks[*cursor] = (to % BUCKET) as u32 | mark;
                *cursor += 1;
            });
            taken += usize::from(end < count);
            start = end;
            if end == count {
                break;
            }
        }
        (self.sum, self.steps, self.read) = (sum, taken, first + count);
    }

    /// The compressed leaves; empty unless all were taken.
    #[must_use]
    pub fn finish(self) -> Buffer<u128> {
        let [out] = self.finish_all(|sum, _| [sum]);
        out
    }

    /// The compressed leaves, and the compressed noise.
    #[must_use]
    pub fn finish_both(self) -> [Buffer<u128>; 2] {
        let sums = self.noise.sums();
        self.finish_all(|sum, steps| [sum, sums[steps % MOST_SUMS]])
    }

    /// The other layers; `all` gives the sums of every vector from the sum of the leaves and the number of noise values.
    fn finish_all<const K: usize>(self, all: impl Fn(u128, usize) -> [u128; K]) -> [Buffer<u128>; K] {
        let (code, length) = (self.code, 2 * self.code.half);
        if self.read != length {
            return std::array::from_fn(|_| Buffer::zeroed(0));
        }
        let (first, marks, buckets) = (&*self.sums, &*self.marks, self.cursors.len());
        let sizes = (0..buckets).map(|bucket| BUCKET.min(length - bucket * BUCKET));
        // Layer 2: put each bucket in order, accumulate, send to the buckets of layer 3: those hold pieces of both halves.
        let mut second_buffers: [Buffer<u128>; K] = std::array::from_fn(|_| Buffer::scratch(buckets * STRIDE));
        let mut places_buffer = Buffer::<u16>::scratch(buckets * STRIDE);
        let (mut second, places_of_second) = (second_buffers.each_mut().map(|buffer| &mut **buffer), &mut *places_buffer);
        let mut cursors: Vec<usize> = (0..buckets).map(|bucket| bucket * STRIDE).collect();
        let (mut ordered_buffer, mut taken_buffer) = (Buffer::<u128>::zeroed(BUCKET), Buffer::<u8>::zeroed(BUCKET));
        let (ordered, taken) = (&mut *ordered_buffer, &mut *taken_buffer);
        let mut sums = [0; K];
        for (((bucket, size), values), marks) in sizes.enumerate().zip(first.chunks(STRIDE)).zip(marks.chunks(STRIDE)) {
            for (value, mark) in values.iter().zip(marks).take(size) {
                let place = *mark as usize % BUCKET;
                ordered[place] = *value;
                taken[place] = (mark >> BUCKET.ilog2()) as u8;
            }
            code.permutations[1].for_each(bucket * BUCKET, size, |index, to| {
                let (row, upper) = if to < code.half { (to, 0) } else { (to - code.half, HALF_BUCKET) };
                let cursor = &mut cursors[row / HALF_BUCKET];
                for ((sum, value), second) in sums.iter_mut().zip(all(ordered[index], usize::from(taken[index]))).zip(&mut second) {
                    *sum ^= value;
                    second[*cursor] = *sum;
                }
                places_of_second[*cursor] = (row % HALF_BUCKET + upper) as u16;
                *cursor += 1;
            });
        }
        drop((self.sums, self.marks));
        // Layer 3: put each bucket in order, then the blocks.
        second_buffers.map(|second| {
            let mut out = Buffer::<u128>::scratch(code.half);
            let inputs = second.par_chunks(STRIDE).zip(places_buffer.par_chunks(STRIDE)).zip(&code.streams);
            out.par_chunks_mut(HALF_BUCKET)
                .zip(inputs)
                .for_each(|(out, ((values, places), stream))| last_layer(out, values, places, stream));
            out
        })
    }
}

/// Puts a bucket in order, then its blocks: each output is an input plus random others of its block.
fn last_layer(out: &mut [u128], values: &[u128], places: &[u16], stream: &Seed) {
    let mut ordered_buffer = Buffer::<u128>::zeroed(BUCKET);
    let ordered = &mut *ordered_buffer;
    for (value, place) in values.iter().zip(places).take(2 * out.len()) {
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
            *out = sums.fold(*value, |sum, other| sum ^ other);
        }
    }
}

/// All sums of each four inputs: entry s of table g adds those inputs of group g whose bit is set in s.
fn sums_of_groups(values: &[u128; BLOCK]) -> [[u128; 16]; GROUPS] {
    let mut tables = [[0; 16]; GROUPS];
    for (table, values) in tables.iter_mut().zip(values.as_chunks::<GROUP>().0) {
        for (bit, value) in values.iter().enumerate() {
            for lower in 0..1 << bit {
                table[(1 << bit) + lower] = table[lower] ^ *value;
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
    fn fill(&self, first: u32, out: &mut [u32; BATCH]) {
        #[cfg(target_arch = "x86_64")]
        if avx2::present() {
            return avx2::fill(self, first, out);
        }
        self.fill_portable(first, out);
    }

    /// As [`Permutation::fill`], in whatever vectors the caller is compiled for.
    #[inline(always)]
    fn fill_portable<const N: usize>(&self, first: u32, out: &mut [u32; N]) {
        // Numbers below 2^32 in 64-bit lanes, as the widening multiplication wants them.
        let (mut left, mut right) = ([0u64; N], [0u64; N]);
        let (rows, columns) = (u64::from(self.left), u64::from(self.right));
        let (mut l, mut r) = (u64::from(first / self.right % self.left), u64::from(first % self.right));
        if r + N as u64 <= columns {
            left = [l; N];
            right.iter_mut().zip(r..).for_each(|(slot, r)| *slot = r);
        } else {
            for (slot_l, slot_r) in left.iter_mut().zip(right.iter_mut()) {
                (*slot_l, *slot_r) = (l, r);
                r += 1;
                if r == columns {
                    (l, r) = (if l + 1 == rows { 0 } else { l + 1 }, 0);
                }
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
    fn vectors_agree_with_the_portable_form() {
        for length in [1, 40_000, 1 << 20, 1 << 28] {
            let lpn = Lpn::for_length(length);
            for permutation in Code::new(&lpn).permutations {
                for start in [0, 1, lpn.noise_len() / 3, lpn.noise_len() - BATCH] {
                    let (mut fast, mut portable) = ([0; BATCH], [0; BATCH]);
                    permutation.fill(start as u32, &mut fast);
                    permutation.fill_portable(start as u32, &mut portable);
                    assert_eq!(fast, portable, "{length} {start}");
                }
            }
        }
    }

    #[test]
    fn the_map_is_linear_and_both_vectors_agree() {
        let lpn = Lpn::for_length(9300);
        let code = Code::new(&lpn);
        let (x, y) = (random(lpn.noise_len()), random(lpn.noise_len()));
        let run = |values: &[u128]| {
            let mut compression = code.begin();
            compression.take(values);
            compression.finish().to_vec()
        };
        let sum: Vec<u128> = x.iter().zip(&y).map(|(x, y)| x ^ y).collect();
        let expected: Vec<u128> = run(&x).iter().zip(run(&y)).map(|(x, y)| x ^ y).collect();
        assert_eq!(run(&sum), expected);
        // The sparse vector gives what it gives in full; places at both ends and next to each other.
        let places = [0, 1, 7, 5000, lpn.noise_len() - 2, lpn.noise_len() - 1];
        let values = random(places.len());
        let mut full = vec![0; lpn.noise_len()];
        places.iter().zip(&values).for_each(|(place, value)| full[*place] = *value);
        let noise = Noise { places: &places, values: &values };
        let mut compression = code.begin_both(noise);
        // In pieces that end before, at and behind places of the noise.
        for piece in [0..1, 1..1, 1..7, 7..9, 9..5000, 5000..5001, 5001..x.len()] {
            compression.take(&x[piece]);
        }
        let [leaves, sparse] = compression.finish_both();
        assert_eq!((leaves.to_vec(), sparse.to_vec()), (run(&x), run(&full)));
        assert!(run(&x[1..]).is_empty());
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
            let mut compression = code.begin();
            compression.take(&noise);
            total += compression.finish().iter().filter(|value| **value == 1).count();
        }
        let share = total as f64 / (20 * lpn.len()) as f64;
        assert!((0.3..0.7).contains(&share), "{share}");
    }
}
