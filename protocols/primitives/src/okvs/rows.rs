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
    pairs: Buffer<[u128; 2]>,
    starts: Vec<usize>,
    slots: Buffer<[u16; 3]>,
    hashers: Vec<KeyedHash>,
}

impl Rows {
    /// Places keys, each with a value, under a seed. Keys are pseudo-random 128-bit names; a key's row does not depend on its
    /// value.
    #[must_use]
    pub fn place(params: &OkvsParams, seed: &Seed, pairs: &[[u128; 2]]) -> Self {
        let mut prg = Prg::from_seed(seed);
        let slot_hash = KeyedHash::new(prg.next_u128());
        let mut hash_buffer = Buffer::<u128>::scratch(pairs.len());
        let hashes = &mut *hash_buffer;
        let batches = pairs.par_chunks(BATCH).zip(hashes.par_chunks_mut(BATCH)).with_min_len(16);
        batches.for_each(|(pairs, out)| slot_hash.hash_each(&keys_of(pairs)[..pairs.len()], out));
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
        let (mut order_buffer, mut slot_buffer) = (Buffer::<u32>::scratch(pairs.len()), Buffer::<[u16; 3]>::scratch(pairs.len()));
        let mut pair_buffer = Buffer::<[u128; 2]>::scratch(pairs.len());
        let (order, slots, sorted) = (&mut *order_buffer, &mut *slot_buffer, &mut *pair_buffer);
        for (index, (hash, pair)) in (0u32..).zip(hashes.iter().zip(pairs)) {
            let place = &mut next[bin(*hash)];
            order[*place] = index;
            slots[*place] = distinct_slots(*hash, params.sparse as u32);
            sorted[*place] = *pair;
            *place += 1;
        }
        let hashers = (0..params.dense.div_ceil(2)).map(|_| KeyedHash::new(prg.next_u128())).collect();
        Self { params: *params, order: order_buffer, pairs: pair_buffer, starts, slots: slot_buffer, hashers }
    }

    /// The index of the key at each place, in the order of [`Rows::decode`].
    #[must_use]
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The same, when the rest is no longer needed.
    #[must_use]
    pub fn into_order(self) -> Buffer<u32> {
        self.order
    }

    /// Key and value at each place, in the order of [`Rows::decode`].
    #[must_use]
    pub fn pairs(&self) -> &[[u128; 2]] {
        &self.pairs
    }

    /// The bins: rows of each, and its part of a vector.
    fn bins(&self) -> impl IndexedParallelIterator<Item = Bin<'_>> {
        self.starts.par_windows(2).map(|window| {
            let range = window[0]..window[1];
            Bin { pairs: &self.pairs[range.clone()], slots: &self.slots[range], hashers: &self.hashers, dense: self.params.dense }
        })
    }

    /// A store that maps each key to its value; `None` when the seed is unlucky, two keys are equal or there are more keys
    /// than the sizes were made for.
    #[must_use]
    pub fn encode(&self) -> Option<Buffer<u128>> {
        if self.order.len() > self.params.items {
            return None;
        }
        let mut store = Buffer::<u128>::zeroed(self.params.len());
        let parts = store.par_chunks_mut(self.params.bin_len());
        self.bins().zip(parts).try_for_each(|(bin, part)| encode_bin(&self.params, &bin, part))?;
        Some(store)
    }

    /// The values of all keys in a store, in the order of [`Rows::order`]; a store of another length gives zeros.
    #[must_use]
    pub fn decode(&self, store: &[u128]) -> Buffer<u128> {
        if store.len() != self.params.len() {
            return Buffer::zeroed(self.order.len());
        }
        let mut values = Buffer::<u128>::scratch(self.order.len());
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
            bin.add_dense(values, dense);
        });
        values
    }
}

/// The rows of one bin.
pub(super) struct Bin<'a> {
    pairs: &'a [[u128; 2]],
    /// Three distinct sparse columns of each row.
    pub slots: &'a [[u16; 3]],
    hashers: &'a [KeyedHash],
    dense: usize,
}

impl Bin<'_> {
    /// The dense factors of a row: 64 bits each, two from a hash of its key.
    pub fn factors(&self, row: usize) -> Vec<u64> {
        let mut factors = vec![0; self.dense];
        self.fill_factors(self.pairs.get(row..=row).unwrap_or_default(), &mut factors);
        factors
    }

    /// The factors of at most a batch of rows, row by row.
    fn fill_factors(&self, pairs: &[[u128; 2]], factors: &mut [u64]) {
        let (keys, mut out) = (keys_of(pairs), [0u128; BATCH]);
        for (pair, hasher) in self.hashers.iter().enumerate() {
            hasher.hash_each(keys.get(..pairs.len()).unwrap_or_default(), &mut out);
            for (row, hash) in factors.chunks_exact_mut(self.dense.max(1)).zip(out) {
                let halves = [hash as u64, (hash >> 64) as u64];
                row[2 * pair..].iter_mut().zip(halves).for_each(|(factor, half)| *factor = half);
            }
        }
    }

    /// Adds to each value its row's dense factors times the dense part of the store.
    fn add_dense(&self, values: &mut [u128], dense: &[u128]) {
        let mut factors = vec![0; BATCH * self.dense];
        for (values, pairs) in values.chunks_mut(BATCH).zip(self.pairs.chunks(BATCH)) {
            self.fill_factors(pairs, &mut factors);
            gf128::add_short_products(values, &factors, dense);
        }
    }
}

/// Solves one bin into its part of the store, which is all zeros.
fn encode_bin(params: &OkvsParams, bin: &Bin<'_>, part: &mut [u128]) -> Option<()> {
    if bin.slots.len() > params.capacity {
        return None;
    }
    let peeled = peel::peel(bin.slots, params.sparse);
    let mut wanted: Vec<u128> = bin.pairs.iter().map(|[_, value]| *value).collect();
    let (sparse, dense) = part.split_at_mut(params.sparse);
    if !peeled.core.is_empty() {
        core::solve(bin, &peeled.core, &wanted, sparse, dense)?;
        bin.add_dense(&mut wanted, dense);
    }
    // Backwards, each row has one column that no later row has touched.
    for (row, column) in peeled.pairs.iter().rev() {
        let (row, column) = (usize::from(*row), usize::from(*column));
        let others = bin.slots[row].iter().fold(0, |sum, slot| sum ^ sparse[usize::from(*slot)]);
        sparse[column] ^= wanted[row] ^ others;
    }
    Some(())
}

/// The keys of at most a batch of pairs.
fn keys_of(pairs: &[[u128; 2]]) -> [u128; BATCH] {
    let mut keys = [0; BATCH];
    keys.iter_mut().zip(pairs).for_each(|(slot, [key, _])| *slot = *key);
    keys
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
