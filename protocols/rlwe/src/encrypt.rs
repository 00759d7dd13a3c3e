//! Seeded secret-key encryption: the uniform half comes from common randomness, so only c0 crosses the wire.
//!
//! **Functionality.** c = (−a·s + e + ⌊q·m/t⌉, a). **Security.** IND-CPA under ring-LWE; a is common, e fresh from the
//! operating system's generator. **Cost.** [`Ciphertext::upload_bytes`] bytes a ciphertext, no round of its own.

use crate::error::RlweError;
use crate::keys::SecretKey;
use crate::pack::{pack_residues, packed_bytes, unpack_residues};
use crate::params::{Level, Plaintext};
use crate::plain::encode;
use crate::ring::{N, Poly};
use crate::sample;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed};

/// The stream of uniform polynomials that both parties expand alike from a joint coin. Both must draw in the same order.
pub struct CommonRandomness {
    seed: Seed,
    drawn: u64,
}

impl CommonRandomness {
    /// A stream for one direction: `seed` is a joint coin, derived once for each direction.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next uniform polynomial, to be read as transformed values.
    pub fn next_uniform(&mut self, level: Level) -> Poly {
        let mut prg = self.next_stream();
        sample::uniform(&mut prg, level.primes())
    }

    /// The generator of the next polynomial, so that several can be expanded in parallel.
    pub fn next_stream(&mut self) -> Prg {
        self.drawn += 1;
        let digest = PartHash::new("colift uniform half").part(self.seed.as_bytes()).number(self.drawn).finish();
        let mut key = [0u8; 16];
        key.copy_from_slice(&digest[..16]);
        Prg::from_seed(&Seed::from_bytes(key))
    }
}

/// A ciphertext (c0, c1), both transformed, phase c0 + c1·s.
#[derive(Clone, Debug)]
pub struct Ciphertext {
    /// Carries the message.
    pub c0: Poly,
    /// The uniform half.
    pub c1: Poly,
}

impl Ciphertext {
    /// Bytes of one upload at this level.
    #[must_use]
    pub fn upload_bytes(level: Level) -> usize {
        packed_bytes(N, level.primes())
    }
}

/// Encrypts N messages below t (coefficients); `uniform` is the stream of this ciphertext's common half. Returns the upload.
pub fn encrypt(secret: &SecretKey, messages: &[u64], plaintext: Plaintext, level: Level, uniform: &mut Prg, prg: &mut Prg) -> Vec<u8> {
    let a = sample::uniform(uniform, level.primes());
    let mut c0 = encode(messages, plaintext, level);
    c0.add_assign(&Poly::from_small(&sample::error(prg), level.primes()));
    c0.transform();
    c0.sub_assign(&a.product(&secret.secret));
    let views: Vec<&[u32]> = (0..level.primes()).map(|index| c0.residues(index)).collect();
    pack_residues(&views)
}

/// Reads an upload; `uniform` is the stream of this ciphertext's common half.
///
/// # Errors
/// Peer class: malformed.
pub fn receive_ciphertext(bytes: &[u8], level: Level, uniform: &mut Prg) -> Result<Ciphertext, RlweError> {
    let c1 = sample::uniform(uniform, level.primes());
    let c0 = Poly { residues: unpack_residues(bytes, N, level.primes())?.concat() };
    Ok(Ciphertext { c0, c1 })
}

/// Decrypts a fresh ciphertext exactly, for tests of the key holder's own uploads.
#[must_use]
pub fn decrypt_exact(secret: &SecretKey, ciphertext: &Ciphertext, plaintext: Plaintext) -> Vec<u64> {
    let mut phase = ciphertext.c1.product(&secret.secret);
    phase.add_assign(&ciphertext.c0);
    phase.untransform();
    crate::reply::round_phase(&phase, plaintext)
}
