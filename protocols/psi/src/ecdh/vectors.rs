//! Hashing to the group and masking, on bytes: for published vectors.

use super::group::GroupHash;
use super::mask::Mask;
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;

/// expand_message_xmd with SHA-512 (RFC 9380, §5.3.1) to 32 or 128 bytes; None for another length.
#[must_use]
pub fn expand(tag: &[u8], message: &[u8], length: usize) -> Option<Vec<u8>> {
    let hash = GroupHash::new(tag);
    match length {
        32 => Some(hash.expand::<32>(message).to_vec()),
        128 => Some(hash.expand::<128>(message).to_vec()),
        _ => None,
    }
}

/// The one-way map of RFC 9496, encoded.
#[must_use]
pub fn map(input: &[u8; 64]) -> [u8; 32] {
    RistrettoPoint::from_uniform_bytes(input).compress().to_bytes()
}

/// An encoding times a small number, by the masking of a run; None where decoding refuses it, as it does the identity.
#[must_use]
pub fn multiple(encoding: Option<&[u8; 32]>, factor: u64) -> Option<[u8; 32]> {
    let encoding = encoding.copied().unwrap_or(RISTRETTO_BASEPOINT_COMPRESSED.to_bytes());
    Mask::of(Scalar::from(factor)).points(&[encoding]).ok()?.first().copied()
}

/// An id hashed under a tag and masked; None where the exponent is not canonical.
#[must_use]
pub fn masked(tag: &[u8], id: &[u8], exponent: &[u8; 32]) -> Option<[u8; 32]> {
    let exponent: Option<Scalar> = Scalar::from_canonical_bytes(*exponent).into();
    Mask::of(exponent?).ids(&GroupHash::new(tag), &[id], &[0]).first().copied()
}
