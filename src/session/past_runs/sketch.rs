//! Keyed sketches of sets of ids: how many ids two sets do not share, if they are few, from 16 bytes each.
//!
//! **Sketch** t sums Σ x^(2j−1), j = 1 … t, over GF(2^128), of the hashes x of all ids: 16·t bytes whatever their number. Sums of two
//! sketches are those of the symmetric difference, and the even powers follow by squaring. If d ≤ t elements differ, the shortest linear
//! recurrence of s_1 … s_2t has length d exactly (Berlekamp–Massey), so a small difference is *never* missed unless two of n ids
//! share a keyed hash (≤ n²·2^-129). A difference above t is taken for one below k ≤ t − 8 only if 16 elements of the field
//! happen to follow a recurrence: ≤ 2^-2048 for hashes that are random. (BCH codes as in ePrint 2003/235, PinSketch, §6.3.)
//!
//! **Cost** t multiplications an id: a second of one core for ten million ids at t = 32.

use colift_primitives::gf128;
use colift_primitives::hash::PartHash;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Sums beyond the smallest difference that is asked about.
const MARGIN: u64 = 8;
/// Capacities are multiples of this, so that sketches of one peer compare.
pub(super) const STEP: u64 = 32;
/// Ids hashed at a time.
const BATCH: usize = 256;

/// A set of ids as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    pub(super) ids: u64,
    pub(super) sums: Vec<u128>,
}

impl Sketch {
    /// Of distinct ids under a key, for questions about differences below `min_difference`.
    pub(super) fn of<I: AsRef<[u8]> + Sync>(key: &[u8], ids: &[I], min_difference: u64) -> Self {
        let capacity = (min_difference + MARGIN).next_multiple_of(STEP) as usize;
        let mut block = [0u8; 64];
        block[..32].copy_from_slice(&PartHash::new("colift ledger v1").part(key).finish());
        let prefix = Sha256::new_with_prefix(block);
        let of_batch = |ids: &[I]| {
            let hash = |id: &I| {
                let digest: [u8; 32] = prefix.clone().chain_update(id.as_ref()).finalize().into();
                digest.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
            };
            let mut powers: Vec<u128> = ids.iter().map(hash).collect();
            let squares: Vec<u128> = powers.iter().map(|x| gf128::multiply(*x, *x)).collect();
            let sum = |powers: &[u128]| powers.iter().fold(0, |sum, power| sum ^ power);
            let mut sums = vec![0u128; capacity];
            for slot in &mut sums {
                *slot = sum(&powers);
                powers.iter_mut().zip(&squares).for_each(|(power, square)| *power = gf128::multiply(*power, *square));
            }
            sums
        };
        let add = |mut one: Vec<u128>, other: Vec<u128>| {
            one.iter_mut().zip(other).for_each(|(one, other)| *one ^= other);
            one
        };
        let sums = ids.par_chunks(BATCH).map(of_batch).reduce(|| vec![0; capacity], add);
        Self { ids: ids.len() as u64, sums }
    }

    /// How many ids differ, exactly; None where they are more than both sketches tell.
    pub(super) fn difference(&self, other: &Self) -> Option<u64> {
        let odd: Vec<u128> = self.sums.iter().zip(&other.sums).map(|(one, other)| one ^ other).collect();
        if self.ids.abs_diff(other.ids) > odd.len() as u64 {
            return None;
        }
        // What follows no recurrence has one of about half its length, which is the number of sums.
        let length = recurrence(&all_powers(&odd));
        (length < odd.len()).then_some(length as u64)
    }
}

/// s_1 … s_2t from the odd ones: s_2j = s_j² in characteristic 2.
fn all_powers(odd: &[u128]) -> Vec<u128> {
    let mut all: Vec<u128> = Vec::with_capacity(2 * odd.len());
    for (half, sum) in odd.iter().enumerate() {
        all.push(*sum);
        let root = all.get(half).copied().unwrap_or_default();
        all.push(gf128::multiply(root, root));
    }
    all
}

/// Length of the shortest linear recurrence of a sequence: Berlekamp and Massey.
fn recurrence(sequence: &[u128]) -> usize {
    let (mut current, mut before) = (vec![1u128], vec![1u128]);
    let (mut length, mut gap, mut scale) = (0usize, 1usize, 1u128);
    for place in 0..sequence.len() {
        let terms = current.iter().zip(sequence.get(..=place).unwrap_or_default().iter().rev());
        let error = terms.take(length + 1).fold(0, |sum, (factor, term)| sum ^ gf128::multiply(*factor, *term));
        if error == 0 {
            gap += 1;
            continue;
        }
        let factor = gf128::multiply(error, gf128::invert(scale));
        let kept = current.clone();
        current.resize(current.len().max(before.len() + gap), 0);
        current.iter_mut().skip(gap).zip(&before).for_each(|(slot, term)| *slot ^= gf128::multiply(factor, *term));
        if 2 * length <= place {
            (length, before, scale, gap) = (place + 1 - length, kept, error, 1);
        } else {
            gap += 1;
        }
    }
    length
}
