//! Masking: the secret exponent of one run, applied to ids and to the peer's points, over all cores.
//!
//! The stored scalar is a/2, so that the batched "double and compress" of curve25519-dalek yields a·P at an eighth of the
//! cost of single compressions. Multiplications take constant time in the scalar.

use super::group::GroupHash;
use crate::PsiError;
use colift_primitives::rng::os_bytes;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// A group element on the wire.
pub type Encoding = [u8; 32];

/// Points a worker thread takes at once: one shared inversion for all of them.
const BATCH: usize = 128;

/// The secret exponent. Wiped on drop; no Debug, no Clone.
pub struct Mask {
    half: Zeroizing<Scalar>,
}

impl Mask {
    /// A fresh exponent.
    ///
    /// # Errors
    /// Config class: no randomness.
    pub fn random() -> Result<Self, PsiError> {
        Ok(Self::of(Scalar::from_bytes_mod_order_wide(&*os_bytes::<64>()?)))
    }

    pub(super) fn of(scalar: Scalar) -> Self {
        Self { half: Zeroizing::new(scalar.div_by_2()) }
    }

    /// a·H(id) for each id.
    pub fn ids<I: AsRef<[u8]> + Sync>(&self, hash: &GroupHash, ids: &[I], rows: &[u32]) -> Vec<Encoding> {
        let masked = |row: &u32| ids.get(*row as usize).map(|id| *self.half * hash.point(id.as_ref()));
        rows.par_chunks(BATCH).flat_map_iter(|rows| compress(&rows.iter().filter_map(masked).collect::<Vec<_>>())).collect()
    }

    /// a·P for each of the peer's points.
    ///
    /// # Errors
    /// Peer class: an encoding that is not canonical, or the identity.
    pub fn points(&self, points: &[Encoding]) -> Result<Vec<Encoding>, PsiError> {
        let batches: Result<Vec<Vec<Encoding>>, PsiError> = points
            .par_chunks(BATCH)
            .map(|batch| {
                let masked: Result<Vec<RistrettoPoint>, PsiError> =
                    batch.iter().map(|encoding| Ok(*self.half * decode(encoding)?)).collect();
                Ok(compress(&masked?))
            })
            .collect();
        Ok(batches?.concat())
    }
}

fn compress(points: &[RistrettoPoint]) -> Vec<Encoding> {
    RistrettoPoint::double_and_compress_batch(points).into_iter().map(|point| point.to_bytes()).collect()
}

/// Canonical decoding (RFC 9496, §4.3.1), identity refused.
fn decode(encoding: &Encoding) -> Result<RistrettoPoint, PsiError> {
    CompressedRistretto(*encoding).decompress().filter(|point| !point.is_identity()).ok_or(PsiError::InvalidPoint)
}

#[cfg(test)]
mod tests;
