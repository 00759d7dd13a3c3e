//! Keys placed into bins, with the three slots and the dense factors of each row.

use super::{OkvsParams, core, peel};
use crate::aes::KeyedHash;
use crate::buffer::Buffer;
use crate::gf128;
use crate::rng::{Prg, Seed};
use rayon::prelude::*;

/// Keys hashed in one go.
const BATCH: usize = 256;

/// Rows of keys, bin after bin. Public functions of keys and seed; the keys are secret, so are the rows.
pub struct Rows {
    params: OkvsParams,
    order: Buffer<u32>,
    starts: Vec<usize>,
    slots: Buffer<[u16; 3]>,
    factors: Buffer<u64>,
}

impl Rows {
    /// Places keys under a seed. Keys are pseudo-random 128-bit names; the same key always has the same row.
    #[must_use]
    pub fn place(params: &OkvsParams, seed: &Seed, keys: &[u128]) -> Self {
        let mut prg = Prg::from_seed(seed);
        let slot_hash = KeyedHash::new(prg.next_u128());
        let mut hash_buffer = Buffer::<u128>::zeroed(keys.len());
        let hashes = &mut *hash_buffer;
        keys.par_chunks(BATCH).zip(hashes.par_chunks_mut(BATCH)).with_min_len(16).for_each(|(keys, out)| slot_hash.hash_each(keys, out));
        let bin = |hash: u128| scale((hash >> 96) as u32, params.bins as u32) as usize;
        // Counting sort by bin.
        let mut starts = vec![0usize; params.bins + 1];
        for hash in hashes.iter() {
            if let Some(count) = starts.get_mut(bin(*hash) + 1) {
                *count += 1;
            }
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let (mut order_buffer, mut slot_buffer) = (Buffer::<u32>::zeroed(keys.len()), Buffer::<[u16; 3]>::zeroed(keys.len()));
        let mut sorted_buffer = Buffer::<u128>::zeroed(keys.len());
        let (order, slots, sorted) = (&mut *order_buffer, &mut *slot_buffer, &mut *sorted_buffer);
        for (index, (hash, key)) in (0u32..).zip(hashes.iter().zip(keys)) {
            let place = &mut next[bin(*hash)];
            order[*place] = index;
            slots[*place] = distinct_slots(*hash, params.sparse as u32);
            sorted[*place] = *key;
            *place += 1;
        }
        // Dense factors: 64 bits each, two from a hash.
        let mut factors = Buffer::<u64>::zeroed(keys.len() * params.dense);
        let hashers: Vec<KeyedHash> = (0..params.dense.div_ceil(2)).map(|_| KeyedHash::new(prg.next_u128())).collect();
        sorted.par_chunks(BATCH).zip(factors.par_chunks_mut(BATCH * params.dense)).with_min_len(16).for_each(|(keys, factors)| {
            let mut out = [0u128; BATCH];
            for (pair, hasher) in hashers.iter().enumerate() {
                hasher.hash_each(keys, &mut out);
                for (row, hash) in factors.chunks_exact_mut(params.dense).zip(out) {
                    let halves = [hash as u64, (hash >> 64) as u64];
                    row[2 * pair..].iter_mut().zip(halves).for_each(|(factor, half)| *factor = half);
                }
            }
        });
        Self { params: *params, order: order_buffer, starts, slots: slot_buffer, factors }
    }

    /// The index of the key at each place, in the order of [`Rows::decode`].
    #[must_use]
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The bins: rows of each, and its part of a vector.
    fn bins(&self) -> impl IndexedParallelIterator<Item = Bin<'_>> {
        self.starts.par_windows(2).map(|window| {
            let range = window[0]..window[1];
            let factors = &self.factors[window[0] * self.params.dense..window[1] * self.params.dense];
            Bin { order: &self.order[range.clone()], slots: &self.slots[range], factors, dense: self.params.dense }
        })
    }

    /// A store that maps each key to the value with its index; `None` when the seed is unlucky, two keys are equal or there
    /// are more keys than the sizes were made for.
    #[must_use]
    pub fn encode(&self, values: &[u128]) -> Option<Buffer<u128>> {
        if values.len() != self.order.len() {
            return None;
        }
        let mut store = Buffer::<u128>::zeroed(self.params.len());
        let parts = store.par_chunks_mut(self.params.bin_len());
        self.bins().zip(parts).try_for_each(|(bin, part)| encode_bin(&self.params, &bin, values, part))?;
        Some(store)
    }

    /// The values of all keys in a store, in the order of [`Rows::order`]; a store of another length gives zeros.
    #[must_use]
    pub fn decode(&self, store: &[u128]) -> Buffer<u128> {
        let mut values = Buffer::<u128>::zeroed(self.order.len());
        if store.len() != self.params.len() {
            return values;
        }
        let mut parts = Vec::with_capacity(self.params.bins);
        let mut rest = &mut *values;
        for window in self.starts.windows(2) {
            let (part, others) = rest.split_at_mut(window[1] - window[0]);
            parts.push(part);
            rest = others;
        }
        self.bins().zip(parts.into_par_iter()).zip(store.par_chunks(self.params.bin_len())).for_each(|((bin, values), part)| {
            let (sparse, dense) = part.split_at(self.params.sparse);
            for (value, slots) in values.iter_mut().zip(bin.slots) {
                *value = slots.iter().fold(0, |sum, slot| sum ^ sparse[usize::from(*slot)]);
            }
            gf128::add_short_products(values, bin.factors, dense);
        });
        values
    }
}

/// The rows of one bin.
pub(super) struct Bin<'a> {
    order: &'a [u32],
    /// Three distinct sparse columns of each row.
    pub slots: &'a [[u16; 3]],
    factors: &'a [u64],
    dense: usize,
}

impl Bin<'_> {
    /// The dense factors of a row.
    pub fn factors(&self, row: usize) -> &[u64] {
        self.factors.get(row * self.dense..(row + 1) * self.dense).unwrap_or_default()
    }
}

/// Solves one bin into its part of the store, which is all zeros.
fn encode_bin(params: &OkvsParams, bin: &Bin<'_>, values: &[u128], part: &mut [u128]) -> Option<()> {
    if bin.slots.len() > params.capacity {
        return None;
    }
    let peeled = peel::peel(bin.slots, params.sparse);
    let value = |row: usize| values.get(*bin.order.get(row)? as usize).copied();
    let mut wanted = (0..bin.slots.len()).map(value).collect::<Option<Vec<u128>>>()?;
    let (sparse, dense) = part.split_at_mut(params.sparse);
    if !peeled.core.is_empty() {
        core::solve(bin, &peeled.core, &wanted, sparse, dense)?;
        gf128::add_short_products(&mut wanted, bin.factors, dense);
    }
    // Backwards, each row has one column that no later row has touched.
    for (row, column) in peeled.pairs.iter().rev() {
        let (row, column) = (usize::from(*row), usize::from(*column));
        let others = bin.slots[row].iter().fold(0, |sum, slot| sum ^ sparse[usize::from(*slot)]);
        sparse[column] ^= wanted[row] ^ others;
    }
    Some(())
}

/// ⌊x·bound / 2^32⌋.
fn scale(x: u32, bound: u32) -> u32 {
    ((u64::from(x) * u64::from(bound)) >> 32) as u32
}

/// Three distinct numbers below `bound` ≥ 3 from the lower 96 bits of a hash.
fn distinct_slots(hash: u128, bound: u32) -> [u16; 3] {
    let (a, b, c) = (scale(hash as u32, bound), scale((hash >> 32) as u32, bound - 1), scale((hash >> 64) as u32, bound - 2));
    let b = b + u32::from(b >= a);
    let (low, high) = (a.min(b), a.max(b));
    let c = c + u32::from(c >= low);
    let c = c + u32::from(c >= high);
    [a as u16, b as u16, c as u16]
}
