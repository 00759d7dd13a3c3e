//! **Purpose** 128 random OTs over ristretto255: the seeds from which OT extension grows.
//!
//! **Functionality** the receiver puts in 128 choice bits c_i; the sender gets seeds (k_i0, k_i1), the receiver k_i,c_i.
//!
//! **Security** semi-honest use, below a semi-honest extension. Choices: (r_i0, r_i1) is uniform in G² whatever c_i, so the
//! sender learns nothing, perfectly. Seeds: k_i,1−c needs a·(r_i,1−c + H(r_ic)), a Diffie–Hellman value of a point whose
//! logarithm nobody knows: CDH and random oracles, and one a serves all 128 (the points are independent and rerandomise).
//! The paper proves the one-OT form UC-secure against malicious parties, who may bias their *own* seeds; we do not lean on
//! that. Keys are bound to index, direction and exchange. Canonical decoding, identity refused. Constant-time selection.
//!
//! **Cost** one round: 32 bytes from the sender and 8,192 from the receiver, independent of each other.
//!
//! **Messages** receiver: (r_i0, r_i1), r_ic = b_i·G − H_ic(r_i,1−c), r_i,1−c uniform without known logarithm · sender: a·G.
//! Keys: k_ij = hash(a·(r_ij + H_ij(r_i,1−j))); the receiver's is hash(b_i·(a·G)).
//!
//! **Source** ePrint 2019/706, §4 with Diffie–Hellman key agreement. H is SHA-512 followed by RFC 9496's one-way map.
//!
//! **Example** see [`OtPair::setup`](crate::OtPair::setup), the only user.

use crate::{CorrelationError, Role};
use colift_channel::Kind;
use colift_primitives::PrimitivesError;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Seed, os_bytes};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rayon::prelude::*;
use sha2::{Digest, Sha512};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// OTs made at once: the computational security parameter.
pub const COUNT: usize = 128;
/// OTs a worker thread takes at least.
const OTS_A_TASK: usize = 8;
/// Bytes of the receiver's message.
pub const POINTS_BYTES: usize = 64 * COUNT;
/// Bytes of the sender's message.
pub const KEY_BYTES: usize = 32;

/// The receiver's message.
pub const POINTS: Kind = Kind { code: 0x0310, name: "base OT: receiver's points" };
/// The sender's message.
pub const KEY: Kind = Kind { code: 0x0311, name: "base OT: sender's key" };

/// The sender between its two steps.
pub struct BaseSender {
    direction: Role,
    secret: Zeroizing<Scalar>,
    public: [u8; 32],
}

impl BaseSender {
    /// Step 1: makes the key. `direction` is the role of the OT *extension's* sender, who is the receiver here.
    ///
    /// # Errors
    /// Config class: no randomness.
    pub fn start(direction: Role) -> Result<Self, CorrelationError> {
        let secret = random_scalar()?;
        let public = RistrettoPoint::mul_base(&secret).compress().to_bytes();
        Ok(Self { direction, secret, public })
    }

    /// The message [`KEY`].
    #[must_use]
    pub fn message(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }

    /// Step 2: both seeds of every OT, from the receiver's message of [`POINTS_BYTES`].
    ///
    /// # Errors
    /// Peer class: a point is invalid.
    pub fn finish(self, points: &[u8]) -> Result<Vec<[Seed; 2]>, CorrelationError> {
        let (pairs, _) = points.as_chunks::<64>();
        let each = |(index, pair): (usize, &[u8; 64])| {
            let (r0, r1) = split(pair);
            let (p0, p1) = (decode(r0, POINTS.name)?, decode(r1, POINTS.name)?);
            let key = |choice: u8, point: RistrettoPoint, other: &[u8; 32]| {
                let shared = *self.secret * (point + to_group(self.direction, index, choice, other));
                seed(self.direction, index, choice, pair, &self.public, &shared)
            };
            Ok([key(0, p0, r1), key(1, p1, r0)])
        };
        pairs.par_iter().enumerate().with_min_len(OTS_A_TASK).map(each).collect()
    }
}

/// The receiver between its two steps.
pub struct BaseReceiver {
    direction: Role,
    choices: Zeroizing<u128>,
    secrets: Vec<Zeroizing<Scalar>>,
    message: Vec<u8>,
}

impl BaseReceiver {
    /// Step 1: makes the points for these choices, bit i being the i-th.
    ///
    /// # Errors
    /// Config class: no randomness.
    pub fn start(direction: Role, choices: u128) -> Result<Self, CorrelationError> {
        let mut message = vec![0; POINTS_BYTES];
        let each = |(index, pair): (usize, &mut [u8; 64])| {
            let choice = (choices >> index & 1) as u8;
            let secret = random_scalar()?;
            let other = RistrettoPoint::from_uniform_bytes(&*os_bytes::<64>()?).compress().to_bytes();
            let chosen = RistrettoPoint::mul_base(&secret) - to_group(direction, index, choice, &other);
            let chosen = chosen.compress().to_bytes();
            let choice = Choice::from(choice);
            let points = [<[u8; 32]>::conditional_select(&chosen, &other, choice), <[u8; 32]>::conditional_select(&other, &chosen, choice)];
            pair.copy_from_slice(points.as_flattened());
            Ok(secret)
        };
        let pairs = message.as_chunks_mut::<64>().0.par_iter_mut();
        let secrets = pairs.enumerate().with_min_len(OTS_A_TASK).map(each).collect::<Result<Vec<_>, CorrelationError>>()?;
        Ok(Self { direction, choices: Zeroizing::new(choices), secrets, message })
    }

    /// The message [`POINTS`].
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Step 2: the chosen seed of every OT, from the sender's message.
    ///
    /// # Errors
    /// Peer class: the key is not a valid point.
    pub fn finish(self, key: &[u8]) -> Result<Vec<Seed>, CorrelationError> {
        let key: &[u8; 32] = key.try_into().map_err(|_| CorrelationError::InvalidPoint { message: KEY.name })?;
        let point = decode(key, KEY.name)?;
        let (pairs, _) = self.message.as_chunks::<64>();
        let each = self.secrets.par_iter().zip(pairs).enumerate().with_min_len(OTS_A_TASK);
        Ok(each
            .map(|(index, (secret, pair))| {
                let choice = (*self.choices >> index & 1) as u8;
                seed(self.direction, index, choice, pair, key, &(**secret * point))
            })
            .collect())
    }
}

fn random_scalar() -> Result<Zeroizing<Scalar>, PrimitivesError> {
    Ok(Zeroizing::new(Scalar::from_bytes_mod_order_wide(&*os_bytes::<64>()?)))
}

fn split(pair: &[u8; 64]) -> (&[u8; 32], &[u8; 32]) {
    // A 64-byte array always holds two 32-byte ones.
    match pair.as_chunks::<32>().0 {
        [first, second] => (first, second),
        _ => (&[0; 32], &[0; 32]),
    }
}

/// Canonical decoding, identity refused.
fn decode(bytes: &[u8; 32], message: &'static str) -> Result<RistrettoPoint, CorrelationError> {
    let point = CompressedRistretto(*bytes).decompress().filter(|point| !point.is_identity());
    point.ok_or(CorrelationError::InvalidPoint { message })
}

/// H_ij: a random oracle into the group.
fn to_group(direction: Role, index: usize, choice: u8, point: &[u8; 32]) -> RistrettoPoint {
    let digest = Sha512::new_with_prefix(b"colift base OT to group v1")
        .chain_update([direction.byte(), index as u8, choice])
        .chain_update(point)
        .finalize();
    RistrettoPoint::from_uniform_bytes(&digest.into())
}

fn seed(direction: Role, index: usize, choice: u8, pair: &[u8; 64], key: &[u8; 32], shared: &RistrettoPoint) -> Seed {
    let shared = Zeroizing::new(shared.compress().to_bytes());
    let digest = Zeroizing::new(
        PartHash::new("colift base OT seed")
            .part(&[direction.byte(), index as u8, choice])
            .part(pair)
            .part(key)
            .part(shared.as_slice())
            .finish(),
    );
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Seed::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_testkit::{hex, vectors};

    #[test]
    fn the_receiver_gets_exactly_the_chosen_seeds() {
        for choices in [0, u128::MAX, 0x0123_4567_89ab_cdef_f0e1_d2c3_b4a5_9687] {
            let sender = BaseSender::start(Role::First).unwrap();
            let receiver = BaseReceiver::start(Role::First, choices).unwrap();
            assert_eq!((receiver.message().len(), sender.message().len()), (POINTS_BYTES, KEY_BYTES));
            let (key, points) = (*sender.message(), receiver.message().to_vec());
            let (both, chosen) = (sender.finish(&points).unwrap(), receiver.finish(&key).unwrap());
            assert_eq!((both.len(), chosen.len()), (COUNT, COUNT));
            for (index, (pair, seed)) in both.iter().zip(&chosen).enumerate() {
                let choice = (choices >> index & 1) as usize;
                assert_eq!(pair[choice].as_bytes(), seed.as_bytes());
                assert_ne!(pair[1 - choice].as_bytes(), seed.as_bytes());
            }
        }
    }

    #[test]
    fn directions_do_not_share_seeds() {
        let (sender, receiver) = (BaseSender::start(Role::First).unwrap(), BaseReceiver::start(Role::Second, 5).unwrap());
        let (key, points) = (*sender.message(), receiver.message().to_vec());
        let (both, chosen) = (sender.finish(&points).unwrap(), receiver.finish(&key).unwrap());
        assert!(both.iter().zip(&chosen).all(|(pair, seed)| pair.iter().all(|other| other.as_bytes() != seed.as_bytes())));
    }

    #[test]
    fn invalid_points_are_refused() {
        let good = BaseReceiver::start(Role::First, 0).unwrap().message().to_vec();
        let file = vectors("rfc9496/v1/ristretto255.json");
        let listed = file["invalid_encodings"].as_object().unwrap().values().flat_map(|list| list.as_array().unwrap());
        let mut all: Vec<[u8; 32]> = listed.map(|text| hex(text).try_into().unwrap()).collect();
        assert_eq!(all.len(), 29);
        all.push([0; 32]);
        for bad in all {
            for at in [0, 32, POINTS_BYTES - 32] {
                let mut points = good.clone();
                points[at..at + 32].copy_from_slice(&bad);
                let result = BaseSender::start(Role::First).unwrap().finish(&points);
                assert!(matches!(result.err(), Some(CorrelationError::InvalidPoint { .. })));
            }
            let receiver = BaseReceiver::start(Role::First, 1).unwrap();
            assert!(matches!(receiver.finish(&bad).err(), Some(CorrelationError::InvalidPoint { .. })));
        }
    }
}
