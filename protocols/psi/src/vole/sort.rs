//! Sorts pseudo-random numbers with their indices: by leading bits into small buckets, then inside each.

use colift_primitives::buffer::Buffer;
use rayon::prelude::*;

/// Numbers a bucket is meant to hold.
const BUCKET: usize = 1 << 10;
/// Most buckets.
const MOST_BUCKETS: u32 = 12;

/// Bits of a number that the sorted form keeps: the upper ones, above an index of 32 bits.
pub const KEPT: u32 = 96;

/// For numbers of `bits` bits, index ↦ number: the ascending list of (upper [`KEPT`] bits of the number)·2^32 + index.
#[must_use]
pub fn sort(count: usize, bits: u32, number: impl Fn(usize) -> u128) -> Buffer<u128> {
    let drop = bits.saturating_sub(KEPT);
    let joined = |index: usize| number(index) >> drop << 32 | index as u128;
    let level = (count / BUCKET).max(1).ilog2().min(MOST_BUCKETS);
    let shift = bits.min(KEPT) + 32 - level.min(bits);
    let bucket = |joined: u128| (joined >> shift.min(127)) as usize & ((1 << level) - 1);
    let mut starts = vec![0usize; (1 << level) + 1];
    for index in 0..count {
        starts[bucket(joined(index)) + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    let mut buffer = Buffer::<u128>::zeroed(count);
    let (sorted, mut next) = (&mut *buffer, starts.clone());
    for index in 0..count {
        let joined = joined(index);
        let place = &mut next[bucket(joined)];
        sorted[*place] = joined;
        *place += 1;
    }
    let (mut rest, mut parts) = (sorted, Vec::with_capacity(starts.len()));
    for window in starts.windows(2) {
        let (part, others) = rest.split_at_mut(window[1] - window[0]);
        parts.push(part);
        rest = others;
    }
    parts.into_par_iter().with_min_len(16).for_each(|part| part.sort_unstable());
    buffer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_primitives::rng::{Prg, Seed};

    #[test]
    fn every_width_and_size_is_sorted() {
        let mut prg = Prg::from_seed(&Seed::from_bytes([3; 16]));
        for bits in [40, 41, 80, 96, 97, 104, 128] {
            for count in [0usize, 1, 2, 1023, 2048, 5000, 100_000] {
                let numbers: Vec<u128> = (0..count).map(|_| prg.next_u128() >> (128 - bits)).collect();
                let sorted = sort(count, bits, |index| numbers[index]);
                let drop = bits.saturating_sub(KEPT);
                let mut expected: Vec<u128> = numbers.iter().zip(0u128..).map(|(n, i)| n >> drop << 32 | i).collect();
                expected.sort_unstable();
                assert_eq!(*sorted, expected, "{bits} {count}");
            }
        }
    }
}
