//! Secret and public keys. The uniform half of every key and upload comes from common randomness (a joint coin).

use crate::encrypt::CommonRandomness;
use crate::error::RlweError;
use crate::pack::{pack_residues, packed_bytes, unpack_residues};
use crate::params::Level;
use crate::ring::{N, Poly};
use crate::sample;
use colift_primitives::rng::Prg;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A ternary secret, transformed, modulo the whole chain. Zeroised, never printed.
pub struct SecretKey {
    pub(crate) secret: Poly,
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl SecretKey {
    /// A fresh key.
    pub fn generate(prg: &mut Prg) -> Self {
        let mut coefficients = sample::ternary(prg);
        let mut secret = Poly::from_small(&coefficients, Level::FULL.primes());
        coefficients.zeroize();
        secret.transform();
        Self { secret }
    }
}

/// (b, a) with b = −a·s + e, transformed, modulo the whole chain.
#[derive(Clone, Debug)]
pub struct PublicKey {
    pub(crate) b: Poly,
    pub(crate) a: Poly,
}

impl PublicKey {
    /// Bytes of the message that carries b.
    #[must_use]
    pub fn bytes() -> usize {
        packed_bytes(N, Level::FULL.primes())
    }

    /// The public key of `secret`; `common` must stand where the peer's does.
    pub fn generate(secret: &SecretKey, common: &mut CommonRandomness, prg: &mut Prg) -> Self {
        let a = common.next_uniform(Level::FULL);
        let mut b = Poly::from_small(&sample::error(prg), Level::FULL.primes());
        b.transform();
        b.sub_assign(&a.product(&secret.secret));
        Self { b, a }
    }

    /// b on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let views: Vec<&[u32]> = (0..Level::FULL.primes()).map(|index| self.b.residues(index)).collect();
        pack_residues(&views)
    }

    /// Reads the peer's b.
    ///
    /// # Errors
    /// Peer class: malformed.
    pub fn from_bytes(bytes: &[u8], common: &mut CommonRandomness) -> Result<Self, RlweError> {
        let a = common.next_uniform(Level::FULL);
        let b = Poly { residues: unpack_residues(bytes, N, Level::FULL.primes())?.concat() };
        Ok(Self { b, a })
    }
}
