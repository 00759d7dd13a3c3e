//! Puts pseudo-random numbers in order: by leading bits into cache-sized buckets, then inside each by some bits that follow.

use colift_primitives::buffer::Buffer;
use rayon::prelude::*;

/// Numbers a bucket is meant to hold.
const BUCKET: usize = 1 << 10;
/// Most leading bits.
const MOST_LEVEL: u32 = 20;
/// Bits of a bucket's index in an entry.
const INDEX: u32 = 16;

/// More numbers than this at one place are not spread evenly.
const MOST_CROWDED: u32 = 64;

/// Buckets of numbers by their leading bits.
struct Buckets {
    level: u32,
    starts: Vec<usize>,
}

impl Buckets {
    fn of(numbers: impl ExactSizeIterator<Item = u128>) -> Self {
        let level = (numbers.len() / BUCKET).max(1).ilog2().min(MOST_LEVEL);
        let mut buckets = Self { level, starts: vec![0usize; (1 << level) + 1] };
        for number in numbers {
            let bucket = buckets.bucket(number);
            buckets.starts[bucket + 1] += 1;
        }
        for i in 1..buckets.starts.len() {
            buckets.starts[i] += buckets.starts[i - 1];
        }
        buckets
    }

    fn bucket(&self, number: u128) -> usize {
        (number >> 64) as usize >> (63 - self.level) >> 1
    }

    /// Each number's place in the order of buckets.
    fn places(&self) -> impl FnMut(u128) -> usize {
        let mut next = self.starts.clone();
        move |number| {
            let place = &mut next[self.bucket(number)];
            *place += 1;
            *place - 1
        }
    }

    /// A list cut into the parts of the buckets.
    fn cut<'a, T>(&self, mut list: &'a mut [T]) -> Vec<&'a mut [T]> {
        let mut parts = Vec::with_capacity(self.starts.len());
        for window in self.starts.windows(2) {
            let (part, rest) = list.split_at_mut(window[1] - window[0]);
            parts.push(part);
            list = rest;
        }
        parts
    }

    /// The ascending order of a bucket's numbers; equal ones in the order of their indices.
    fn order(&self, part: &[u128]) -> Vec<u64> {
        if part.len() > 1 << INDEX {
            let mut order: Vec<u64> = (0..part.len() as u64).collect();
            order.sort_by_key(|index| part[*index as usize]);
            return order;
        }
        let entry = |(index, number): (u64, &u128)| ((number << self.level >> 64) as u64) >> INDEX << INDEX | index;
        let entries: Vec<u64> = (0..).zip(part).map(entry).collect();
        let mut order = sort_spread(&entries);
        let index = |entry: &u64| entry & ((1 << INDEX) - 1);
        // Numbers that agree in all bits of an entry are rare: put them in order by the rest.
        for run in order.chunk_by_mut(|one, two| one >> INDEX == two >> INDEX).filter(|run| run.len() > 1) {
            run.sort_by_key(|entry| part[index(entry) as usize]);
        }
        order.iter_mut().for_each(|entry| *entry = index(entry));
        order
    }
}

/// Sorts distinct numbers that are spread evenly, a few thousand of them: each to where its leading bits say, then neighbours in
/// order. Numbers that are not spread are sorted the slow way.
fn sort_spread(numbers: &[u64]) -> Vec<u64> {
    let level = numbers.len().max(2).ilog2();
    let slot = |number: u64| (number >> (64 - level)) as usize;
    let mut next = vec![0u32; (1 << level) + 1];
    for number in numbers {
        next[slot(*number) + 1] += 1;
    }
    if next.iter().any(|count| *count > MOST_CROWDED) {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        return sorted;
    }
    for i in 1..next.len() {
        next[i] += next[i - 1];
    }
    let mut sorted = vec![0; numbers.len()];
    for number in numbers {
        let place = &mut next[slot(*number)];
        sorted[*place as usize] = *number;
        *place += 1;
    }
    for i in 1..sorted.len() {
        let (number, mut to) = (sorted[i], i);
        while to > 0 && sorted[to - 1] > number {
            sorted[to] = sorted[to - 1];
            to -= 1;
        }
        sorted[to] = number;
    }
    sorted
}

/// Whether two of these numbers may be equal: `false` is certain, `true` nearly so where they are spread evenly.
fn may_repeat(numbers: &[u64], table: &mut Vec<u32>) -> bool {
    // Twice as many slots as numbers, found by the leading bits; what a slot holds are the bits that follow.
    let level = (2 * numbers.len()).max(2).next_power_of_two().ilog2();
    table.clear();
    table.resize(1 << level, 0);
    numbers.iter().any(|number| {
        let (mut slot, held) = ((number >> (64 - level)) as usize, (number >> 16) as u32 | 1);
        for _ in 0..MOST_CROWDED {
            match table[slot] {
                0 => {
                    table[slot] = held;
                    return false;
                }
                other if other == held => return true,
                _ => slot = (slot + 1) & ((1 << level) - 1),
            }
        }
        true
    })
}

/// How many numbers equal an earlier one.
#[must_use]
pub fn repeats(numbers: impl ExactSizeIterator<Item = u128> + Clone) -> u64 {
    let buckets = Buckets::of(numbers.clone());
    // The middle of a number stands for it: equal ones agree there, and few others do.
    let mut short = Buffer::<u64>::scratch(numbers.len());
    let (slots, mut place) = (&mut *short, buckets.places());
    for number in numbers.clone() {
        slots[place(number)] = (number << buckets.level >> 64) as u64;
    }
    let parts = buckets.cut(slots).into_par_iter().with_min_len(16);
    if !parts.map_init(Vec::new, |table, part| may_repeat(part, table)).any(|repeat| repeat) {
        return 0;
    }
    let mut all: Buffer<u128> = Buffer::collect(numbers.len(), numbers);
    all.par_sort_unstable();
    all.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
}

/// Sorts records of a number, perhaps a second one, and a row by the first number.
pub fn sort_records(numbers: &mut [u128], mut seconds: Option<&mut [u128]>, rows: &mut [u32]) {
    let buckets = Buckets::of(numbers.iter().copied());
    // To the buckets, memory streamed; then each bucket in order, back to where the records were.
    let mut first_buffer = Buffer::<u128>::scratch(numbers.len());
    let mut second_buffer = Buffer::<u128>::scratch(seconds.as_ref().map_or(0, |seconds| seconds.len()));
    let mut row_buffer = Buffer::<u32>::scratch(rows.len());
    let (first, second, row) = (&mut *first_buffer, &mut *second_buffer, &mut *row_buffer);
    let mut place = buckets.places();
    for (index, (number, from)) in numbers.iter().zip(rows.iter()).enumerate() {
        let place = place(*number);
        first[place] = *number;
        row[place] = *from;
        if let Some(seconds) = &seconds {
            second[place] = seconds[index];
        }
    }
    let from = buckets.cut(first).into_par_iter().zip(buckets.cut(row));
    let to = buckets.cut(numbers).into_par_iter().zip(buckets.cut(rows));
    let mut none: Vec<(&[u128], &mut [u128])> = Vec::new();
    match seconds.take() {
        Some(seconds) => none.extend(buckets.cut(second).into_iter().map(|part| &*part).zip(buckets.cut(seconds))),
        None => none.resize_with(buckets.starts.len() - 1, Default::default),
    }
    from.zip(to).zip(none).with_min_len(16).for_each(|(((first, row), (numbers, rows)), (second, seconds))| {
        let order = buckets.order(first);
        for (((number, to), from), slot) in numbers.iter_mut().zip(rows).zip(&order).zip(0..) {
            let from = *from as usize;
            (*number, *to) = (first[from], row[from]);
            if let Some(to) = seconds.get_mut(slot) {
                *to = second[from];
            }
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_primitives::rng::{Prg, Seed};

    /// Spread out, and such as agree in their leading or following bits, or repeat.
    fn lists() -> Vec<Vec<u128>> {
        let mut prg = Prg::from_seed(&Seed::from_bytes([3; 16]));
        let mut lists = Vec::new();
        for (live, shift) in [(128, 0), (1, 127), (12, 116), (40, 0), (20, 30), (128, 60), (90, 38), (0, 0)] {
            for count in [0usize, 1, 2, 1023, 2048, 5000, 100_000] {
                let number = |prg: &mut Prg| if live == 0 { 7 } else { prg.next_u128() >> (128 - live) << shift };
                lists.push((0..count).map(|_| number(&mut prg)).collect());
            }
        }
        lists
    }

    #[test]
    fn records_are_sorted_and_stay_whole() {
        for (numbers, with_seconds) in lists().into_iter().zip([true, false, true].into_iter().cycle()) {
            let records: Vec<(u128, u32)> = numbers.iter().copied().zip(0..).collect();
            let (mut first, mut rows) = (numbers.clone(), (0..numbers.len() as u32).collect::<Vec<_>>());
            let mut seconds: Vec<u128> = numbers.iter().zip(0u128..).map(|(number, index)| number.wrapping_mul(3) ^ index).collect();
            let expected_seconds = seconds.clone();
            sort_records(&mut first, with_seconds.then_some(&mut seconds), &mut rows);
            let mut expected = records.clone();
            expected.sort_unstable();
            assert_eq!(first.iter().copied().zip(rows.iter().copied()).collect::<Vec<_>>(), expected, "{}", numbers.len());
            if with_seconds {
                assert!(seconds.iter().zip(&rows).all(|(second, row)| *second == expected_seconds[*row as usize]));
            }
        }
    }

    #[test]
    fn repeats_are_counted_exactly() {
        for numbers in lists() {
            let distinct = numbers.iter().collect::<std::collections::HashSet<_>>().len();
            assert_eq!(repeats(numbers.iter().copied()), (numbers.len() - distinct) as u64);
        }
    }
}
