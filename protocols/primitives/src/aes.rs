//! Fixed-key AES as a tweakable correlation-robust hash: TMMO of ePrint 2019/074, H(x, i) = π(π(x) ⊕ i) ⊕ π(x).
//!
//! π is AES-128 under a public constant key. In the ideal-permutation model H is tweakable circular correlation robust
//! (ePrint 2019/074, theorem 5): it may hash values offset by a secret Δ, as OT extension does, provided that no tweak
//! is used twice.
//!
//! [`KeyedHash`] is the one-call form x ↦ AES_k(x) ⊕ x under a public key drawn for the run (Matyas, Meyer, Oseas): for tree
//! nodes and for placing keys of a store, where no secret offset is involved.

use aes::Aes128;
use aes::cipher::{Array, Block, BlockCipherEncrypt, KeyInit};

/// The first 128 bits of the fraction of π.
const KEY: [u8; 16] = 0x243f_6a88_85a3_08d3_1319_8a2e_0370_7344_u128.to_be_bytes();
/// Blocks encrypted in one call.
const BATCH: usize = 64;

/// The hash, with its key expanded.
pub struct TweakableHash {
    cipher: Aes128,
}

impl Default for TweakableHash {
    fn default() -> Self {
        Self::new()
    }
}

impl TweakableHash {
    /// Expands the public constant key.
    #[must_use]
    pub fn new() -> Self {
        Self { cipher: Aes128::new(&Array::from(KEY)) }
    }

    /// H(x, tweak).
    #[must_use]
    pub fn hash(&self, x: u128, tweak: u128) -> u128 {
        let mut values = [x];
        self.hash_each(&mut values, tweak);
        values[0]
    }

    /// Replaces the j-th value x by H(x, first + j).
    pub fn hash_each(&self, values: &mut [u128], first: u128) {
        let mut tweak = first;
        self.hash_with(
            values,
            std::iter::repeat_with(|| {
                let now = tweak;
                tweak = tweak.wrapping_add(1);
                now
            }),
        );
    }

    /// Replaces the j-th value x by H(x, j-th tweak), as far as there are tweaks.
    pub fn hash_with(&self, values: &mut [u128], tweaks: impl IntoIterator<Item = u128>) {
        let mut tweaks = tweaks.into_iter();
        let mut blocks = [Block::<Aes128>::default(); BATCH];
        let mut inner = [0u128; BATCH];
        for chunk in values.chunks_mut(BATCH) {
            let blocks = &mut blocks[..chunk.len()];
            for (block, x) in blocks.iter_mut().zip(chunk.iter()) {
                *block = Array::from(x.to_le_bytes());
            }
            self.cipher.encrypt_blocks(blocks);
            for ((block, inner), tweak) in blocks.iter_mut().zip(inner.iter_mut()).zip(tweaks.by_ref()) {
                *inner = u128::from_le_bytes(block.0);
                *block = Array::from((*inner ^ tweak).to_le_bytes());
            }
            self.cipher.encrypt_blocks(blocks);
            for ((x, block), inner) in chunk.iter_mut().zip(blocks.iter()).zip(inner.iter()) {
                *x = u128::from_le_bytes(block.0) ^ inner;
            }
        }
    }
}

/// x ↦ AES_k(x) ⊕ x for a public key: one-way and pseudo-random on unknown inputs in the ideal-cipher model.
pub struct KeyedHash {
    cipher: Aes128,
}

impl KeyedHash {
    /// Expands the key.
    #[must_use]
    pub fn new(key: u128) -> Self {
        Self { cipher: Aes128::new(&Array::from(key.to_le_bytes())) }
    }

    /// outputs\[i\] = AES_k(inputs\[i\]) ⊕ inputs\[i\], as far as both reach.
    pub fn hash_each(&self, inputs: &[u128], outputs: &mut [u128]) {
        let mut blocks = [Block::<Aes128>::default(); BATCH];
        for (inputs, outputs) in inputs.chunks(BATCH).zip(outputs.chunks_mut(BATCH)) {
            let blocks = &mut blocks[..inputs.len()];
            for (block, x) in blocks.iter_mut().zip(inputs) {
                *block = Array::from(x.to_le_bytes());
            }
            self.cipher.encrypt_blocks(blocks);
            for ((output, block), x) in outputs.iter_mut().zip(blocks.iter()).zip(inputs) {
                *output = u128::from_le_bytes(block.0) ^ x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_cipher_meets_fips_197() {
        // FIPS-197 appendix C.1.
        let cipher = Aes128::new(&Array::from(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.to_be_bytes()));
        let mut block = Array::from(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes());
        cipher.encrypt_block(&mut block);
        assert_eq!(u128::from_be_bytes(block.0), 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a);
        // FIPS-197 appendix B.
        let cipher = Aes128::new(&Array::from(0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes()));
        let mut block = Array::from(0x3243_f6a8_885a_308d_3131_98a2_e037_0734_u128.to_be_bytes());
        cipher.encrypt_block(&mut block);
        assert_eq!(u128::from_be_bytes(block.0), 0x3925_841d_02dc_09fb_dc11_8597_196a_0b32);
    }

    #[test]
    fn the_keyed_hash_adds_its_input() {
        let key = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.swap_bytes();
        let input = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.swap_bytes();
        let inputs = vec![input; 131];
        let mut outputs = vec![0; 131];
        KeyedHash::new(key).hash_each(&inputs, &mut outputs);
        let expected = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.swap_bytes() ^ input;
        assert!(outputs.iter().all(|output| *output == expected));
    }

    #[test]
    fn batches_equal_the_formula() {
        let hash = TweakableHash::new();
        let permute = |x: u128| {
            let mut block = Array::from(x.to_le_bytes());
            hash.cipher.encrypt_block(&mut block);
            u128::from_le_bytes(block.0)
        };
        let inputs: Vec<u128> = (0..150u128).map(|j| j.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).collect();
        let mut outputs = inputs.clone();
        hash.hash_each(&mut outputs, u128::MAX - 70);
        for (j, (x, h)) in inputs.iter().zip(&outputs).enumerate() {
            let tweak = (u128::MAX - 70).wrapping_add(j as u128);
            assert_eq!(*h, permute(permute(*x) ^ tweak) ^ permute(*x));
            assert_eq!(*h, hash.hash(*x, tweak));
        }
    }
}
