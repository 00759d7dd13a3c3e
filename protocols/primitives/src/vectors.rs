//! What published vectors are checked against, for `verify`: the functions that the protocols use, on bytes. No secrets here.

use crate::aes::{KeyedHash, TweakableHash};
use sha2::{Digest, Sha256, Sha512};

/// AES-128 of one block, through the keyed hash that the program uses.
#[must_use]
pub fn aes128(key: &[u8; 16], plain: &[u8; 16]) -> [u8; 16] {
    let plain = u128::from_le_bytes(*plain);
    (keyed_hash(u128::from_le_bytes(*key), plain) ^ plain).to_le_bytes()
}

/// AES_k(x) ⊕ x.
#[must_use]
pub fn keyed_hash(key: u128, x: u128) -> u128 {
    let mut out = [0];
    KeyedHash::new(key).hash_each(&[x], &mut out);
    out[0]
}

/// TMMO.
#[must_use]
pub fn tweakable_hash(x: u128, tweak: u128) -> u128 {
    TweakableHash::new().hash(x, tweak)
}

/// SHA-256.
#[must_use]
pub fn sha256(message: &[u8]) -> Vec<u8> {
    Sha256::digest(message).to_vec()
}

/// SHA-512.
#[must_use]
pub fn sha512(message: &[u8]) -> Vec<u8> {
    Sha512::digest(message).to_vec()
}
