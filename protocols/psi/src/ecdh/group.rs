//! Ids to group elements: hash_to_ristretto255 of RFC 9380, appendix B, under a tag bound to the session.
//!
//! expand_message_xmd with SHA-512 gives 64 uniform bytes, RFC 9496's one-way map turns them into an element.

use curve25519_dalek::ristretto::RistrettoPoint;
use sha2::{Digest, Sha512};

/// Bytes of a SHA-512 digest and of its input block.
const DIGEST: usize = 64;
const BLOCK: usize = 128;
/// Longest domain-separation tag of RFC 9380 without its over-long rule.
const MAX_TAG: usize = 255;

/// A random oracle from byte strings into ristretto255.
pub struct GroupHash {
    /// SHA-512 that has absorbed one block of zeros (Z_pad).
    padded: Sha512,
    /// The domain-separation tag followed by its length (DST_prime).
    tag: Vec<u8>,
}

impl GroupHash {
    /// The oracle of one session: suite ristretto255_XMD:SHA-512_R255MAP_RO_ under our tag and the session's.
    #[must_use]
    pub fn of_session(session: &[u8; 32]) -> Self {
        Self::new(&[b"colift-matching-V01-", session.as_slice(), b"-with-ristretto255_XMD:SHA-512_R255MAP_RO_"].concat())
    }

    /// The oracle of a tag of at most 255 bytes; what is beyond is dropped.
    pub(super) fn new(tag: &[u8]) -> Self {
        let mut tag = tag.get(..MAX_TAG).unwrap_or(tag).to_vec();
        tag.push(tag.len() as u8);
        Self { padded: Sha512::new_with_prefix([0; BLOCK]), tag }
    }

    /// expand_message_xmd (RFC 9380, §5.3.1) to L ≤ 255·64 bytes.
    pub(super) fn expand<const L: usize>(&self, message: &[u8]) -> [u8; L] {
        const { assert!(L <= 255 * DIGEST) };
        let first = self.padded.clone().chain_update(message).chain_update((L as u16).to_be_bytes());
        let b0: [u8; DIGEST] = first.chain_update([0]).chain_update(&self.tag).finalize().into();
        let (mut out, mut previous) = ([0u8; L], [0u8; DIGEST]);
        for (chunk, index) in out.chunks_mut(DIGEST).zip(1u8..) {
            let mixed = std::array::from_fn::<u8, DIGEST, _>(|i| b0[i] ^ previous[i]);
            previous = Sha512::new_with_prefix(mixed).chain_update([index]).chain_update(&self.tag).finalize().into();
            chunk.copy_from_slice(&previous[..chunk.len()]);
        }
        out
    }

    /// hash_to_ristretto255.
    #[must_use]
    pub fn point(&self, id: &[u8]) -> RistrettoPoint {
        RistrettoPoint::from_uniform_bytes(&self.expand(id))
    }
}

#[cfg(test)]
mod tests;
