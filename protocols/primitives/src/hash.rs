//! Domain-separated SHA-256 with length-prefixed parts, HMAC (RFC 2104) and HKDF (RFC 5869).
//!
//! # Example
//! ```
//! use colift_primitives::hash::PartHash;
//! let one = PartHash::new("example").part(b"ab").part(b"c").finish();
//! let two = PartHash::new("example").part(b"a").part(b"bc").finish();
//! assert_ne!(one, two);
//! ```

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const BLOCK: usize = 64;

/// SHA-256 over a domain and parts, each with its length first: no two lists of parts collide by concatenation.
pub struct PartHash(Sha256);

impl PartHash {
    /// Starts a hash of this domain.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self(Sha256::new()).part(domain.as_bytes())
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number as a part.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.part(&number.to_le_bytes())
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// HMAC-SHA-256: a pseudo-random function of the message under the key.
#[must_use]
pub fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    HmacKey::new(key).hmac(message)
}

/// An HMAC-SHA-256 key with its two pads absorbed: half the work per message.
pub struct HmacKey {
    inner: Sha256,
    outer: Sha256,
}

impl HmacKey {
    /// Absorbs the key.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let mut padded = Zeroizing::new([0u8; BLOCK]);
        if key.len() > BLOCK {
            let digest: [u8; 32] = Sha256::digest(key).into();
            padded[..32].copy_from_slice(&digest);
        } else {
            padded[..key.len()].copy_from_slice(key);
        }
        let keyed = |pad: u8| Sha256::new_with_prefix(Zeroizing::new(padded.map(|byte| byte ^ pad)).as_slice());
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    /// The pseudo-random value of a message.
    #[must_use]
    pub fn hmac(&self, message: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(message).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

/// HKDF-SHA-256: fills `out` (at most 8,160 bytes; the rest stays 0) with keys derived from secret material.
pub fn derive(salt: &[u8], secret: &[u8], info: &[u8], out: &mut [u8]) {
    let key = Zeroizing::new(hmac(salt, secret));
    let mut previous = Zeroizing::new(Vec::new());
    for (chunk, counter) in out.chunks_mut(32).zip(1..=255u8) {
        let message = Zeroizing::new([previous.as_slice(), info, &[counter]].concat());
        let block = Zeroizing::new(hmac(key.as_slice(), &message));
        chunk.copy_from_slice(&block[..chunk.len()]);
        *previous = block.to_vec();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn hmac_meets_rfc_4231() {
        let tag = hmac(&[0x0b; 20], b"Hi There");
        assert_eq!(tag.to_vec(), bytes("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
        let tag = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(tag.to_vec(), bytes("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
        let tag = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(tag.to_vec(), bytes("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
    }

    #[test]
    fn derive_meets_rfc_5869() {
        let mut out = [0u8; 42];
        derive(&bytes("000102030405060708090a0b0c"), &[0x0b; 22], &bytes("f0f1f2f3f4f5f6f7f8f9"), &mut out);
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(out.to_vec(), bytes(expected));
        derive(b"", &[0x0b; 22], b"", &mut out);
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(out.to_vec(), bytes(expected));
    }

    #[test]
    fn parts_and_domains_separate() {
        let base = PartHash::new("a").part(b"x").finish();
        assert_ne!(base, PartHash::new("b").part(b"x").finish());
        assert_ne!(base, PartHash::new("a").part(b"x").part(b"").finish());
        assert_ne!(base, PartHash::new("ax").finish());
        assert_eq!(PartHash::new("a").number(7).finish(), PartHash::new("a").part(&7u64.to_le_bytes()).finish());
        let mut written = Vec::new();
        written.extend_from_slice(&1u64.to_le_bytes());
        written.extend_from_slice(b"a");
        written.extend_from_slice(&1u64.to_le_bytes());
        written.extend_from_slice(b"x");
        assert_eq!(base.to_vec(), Sha256::digest(&written).to_vec());
    }
}
