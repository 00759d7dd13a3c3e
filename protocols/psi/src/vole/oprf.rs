//! Outputs of the oblivious pseudo-random function: from field values to tags and proofs.
//!
//! The output for a name (key, element) at field value v is, against a malicious peer, SHA-256 of a session block, v and the key:
//! 128 bits of tag and 128 of proof, a random oracle. Against a semi-honest one it is the tweakable correlation-robust hash
//! of v under the tweak key: the tag's L = 40 + ⌈log₂ nm⌉ bits, the rest is the proof.

use super::names::halves;
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

/// Tags and proofs at each place of the rows.
pub struct Outputs {
    /// Tags of [`Outputs::bits`] bits.
    pub tags: Buffer<u128>,
    proofs: Buffer<u128>,
    /// Bits of a tag.
    pub bits: u32,
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
    pub fn outputs(&self, rows: &Rows, mut values: Buffer<u128>, shift: u128, delta: Option<u128>) -> Outputs {
        let mut proofs = Buffer::<u128>::zeroed(values.len());
        let hash = TweakableHash::new();
        let batches = values.par_chunks_mut(BATCH).zip(proofs.par_chunks_mut(BATCH)).zip(rows.pairs().par_chunks(BATCH));
        batches.with_min_len(8).for_each(|((values, proofs), pairs)| {
            if let Some(delta) = delta {
                let mut elements = [0u128; BATCH];
                elements.iter_mut().zip(pairs).for_each(|(slot, [_, element])| *slot = *element);
                gf128::add_scaled(values, &elements, delta);
            }
            values.iter_mut().for_each(|value| *value ^= shift);
            if self.security == Security::Malicious {
                for ((value, proof), [key, _]) in values.iter_mut().zip(proofs).zip(pairs) {
                    let digest = self.prefix.clone().chain_update(value.to_le_bytes()).chain_update(key.to_le_bytes()).finalize();
                    [*value, *proof] = halves(&digest.into());
                }
            } else {
                hash.hash_with(values, pairs.iter().map(|[key, _]| *key));
                for (value, proof) in values.iter_mut().zip(proofs) {
                    (*value, *proof) = (*value & ((1 << self.bits) - 1), *value >> self.bits);
                }
            }
        });
        Outputs { tags: values, proofs, bits: self.bits }
    }
}

impl Outputs {
    /// The proof of having the outputs at these places, in this order: a hash of their proof halves.
    #[must_use]
    pub fn proof(&self, session: &[u8; 32], places: impl Iterator<Item = usize>) -> [u8; 32] {
        let start = PartHash::new("colift matching proof v1").part(session).finish();
        let mut hash = Sha256::new_with_prefix(start);
        for place in places {
            hash.update(self.proofs.get(place).copied().unwrap_or_default().to_le_bytes());
        }
        hash.finalize().into()
    }
}
