//! Outputs of the oblivious pseudo-random function: from field values to tags and proofs.
//!
//! The output for a name (key, element) at field value v is, against a malicious peer, SHA-256 of a session block, v and the key:
//! 128 bits of tag and 128 of proof, a random oracle. Against a semi-honest one it is the tweakable correlation-robust hash
//! of v under the tweak key: its upper L = 40 + ⌈log₂ nm⌉ bits are the tag, the rest is the proof.

use super::names::halves;
use super::sort::sort_records;
use crate::params::tag_bits;
use colift_correlation::Security;
use colift_primitives::aes::TweakableHash;
use colift_primitives::buffer::Buffer;
use colift_primitives::gf128;
use colift_primitives::hash::PartHash;
use colift_primitives::okvs::Rows;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Outputs made at a time.
const BATCH: usize = 256;

/// Outputs by ascending tag.
pub struct Outputs {
    /// Tags in the upper bits; where there are no proofs of their own, the rest is the proof.
    values: Buffer<u128>,
    proofs: Option<Buffer<u128>>,
    rows: Buffer<u32>,
    bits: u32,
}

/// How outputs are made.
pub struct OutputHash {
    security: Security,
    prefix: Sha256,
    /// Bits of a tag.
    pub bits: u32,
}

impl OutputHash {
    /// For a session and both sizes.
    #[must_use]
    pub fn new(security: Security, session: &[u8; 32], sizes: [usize; 2]) -> Self {
        let mut block = [0u8; 64];
        block[..32].copy_from_slice(&PartHash::new("colift matching output v1").part(session).finish());
        let bits = if security == Security::Malicious { 128 } else { tag_bits(sizes[0], sizes[1]) };
        Self { security, prefix: Sha256::new_with_prefix(block), bits }
    }

    /// The outputs for decoded values v, each shifted by `shift` and, on the sender's side, by `delta` times the element.
    #[must_use]
    pub fn outputs(&self, rows: Rows, mut values: Buffer<u128>, shift: u128, delta: Option<u128>) -> Outputs {
        let mut proofs = self.hash(rows.pairs(), &mut values, shift, delta);
        let mut order = rows.into_order();
        // Tags are pseudo-random; which memory is touched from here on follows them.
        sort_records(&mut values, proofs.as_deref_mut(), &mut order);
        Outputs { values, proofs, rows: order, bits: self.bits }
    }

    /// Replaces decoded values by outputs, in their order; their proofs, where these are apart. In time that follows the sizes alone.
    pub(super) fn hash(&self, pairs: &[[u128; 2]], values: &mut [u128], shift: u128, delta: Option<u128>) -> Option<Buffer<u128>> {
        let random_oracle = self.security == Security::Malicious;
        let mut proofs = Buffer::<u128>::scratch(if random_oracle { values.len() } else { 0 });
        let hash = TweakableHash::new();
        let each = |values: &mut [u128], proofs: &mut [u128], pairs: &[[u128; 2]]| {
            if let Some(delta) = delta {
                let mut elements = [0u128; BATCH];
                elements.iter_mut().zip(pairs).for_each(|(slot, [_, element])| *slot = *element);
                gf128::add_scaled(values, &elements, delta);
            }
            values.iter_mut().for_each(|value| *value ^= shift);
            if random_oracle {
                for ((value, proof), [key, _]) in values.iter_mut().zip(proofs).zip(pairs) {
                    let digest = self.prefix.clone().chain_update(value.to_le_bytes()).chain_update(key.to_le_bytes()).finalize();
                    [*value, *proof] = halves(&digest.into());
                }
            } else {
                hash.hash_with(values, pairs.iter().map(|[key, _]| *key));
            }
        };
        let batches = values.par_chunks_mut(BATCH).zip(pairs.par_chunks(BATCH)).with_min_len(8);
        if random_oracle {
            batches.zip(proofs.par_chunks_mut(BATCH)).for_each(|((values, pairs), proofs)| each(values, proofs, pairs));
        } else {
            batches.for_each(|(values, pairs)| each(values, &mut [], pairs));
        }
        random_oracle.then_some(proofs)
    }
}

impl Outputs {
    /// Bits of a tag.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Tags, ascending: strictly so where there was no collision.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = u128> + Clone {
        let rest = u128::BITS - self.bits;
        self.values.iter().map(move |value| value >> rest)
    }

    /// Whether two outputs have one tag.
    #[must_use]
    pub fn collide(&self) -> bool {
        self.tags().zip(self.tags().skip(1)).any(|(one, two)| one == two)
    }

    /// The row of the id at a rank.
    #[must_use]
    pub fn row(&self, rank: usize) -> Option<u32> {
        self.rows.get(rank).copied()
    }

    /// The proof of having the outputs at these ranks, in this order: a hash of their proof parts.
    #[must_use]
    pub fn proof(&self, session: &[u8; 32], ranks: impl Iterator<Item = usize>) -> [u8; 32] {
        let start = PartHash::new("colift matching proof v1").part(session).finish();
        let mut hash = Sha256::new_with_prefix(start);
        let (parts, kept) = match &self.proofs {
            Some(proofs) => (&**proofs, u128::MAX),
            None => (&*self.values, u128::MAX >> self.bits.min(u128::BITS - 1)),
        };
        let (mut batch, mut held) = ([[0u8; 16]; BATCH], 0);
        for rank in ranks {
            if held == BATCH {
                hash.update(batch.as_flattened());
                held = 0;
            }
            if let Some(slot) = batch.get_mut(held) {
                *slot = (parts.get(rank).copied().unwrap_or_default() & kept).to_le_bytes();
            }
            held += 1;
        }
        hash.update(batch.as_flattened().get(..16 * held).unwrap_or_default());
        hash.finalize().into()
    }
}
