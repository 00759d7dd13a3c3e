//! One party's keys and correlations for a run.

use crate::error::AlgebraError;
use colift_channel::{Channel, Kind, Meter};
use colift_correlation::{OtPair, Role, coin, pair};
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed};
use colift_rlwe::{CommonRandomness, PublicKey, SecretKey};

const KEY: Kind = Kind { code: 0x0401, name: "public key" };

/// Declared bytes of a one-directional protocol, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes the encryptor sends.
    pub encryptor_bytes: u64,
    /// Bytes the holder sends.
    pub holder_bytes: u64,
}

/// What one party carries through all algebra of a run: its secret key, the peer's public key, both directions' common
/// randomness, its generator for secrets, its oblivious transfers. Never written to disk; a resumed run starts a new one.
pub struct Engine {
    pub(crate) role: Role,
    pub(crate) secret: SecretKey,
    pub(crate) peer_key: PublicKey,
    pub(crate) own_uniform: CommonRandomness,
    pub(crate) peer_uniform: CommonRandomness,
    pub(crate) prg: Prg,
    pub(crate) ot: OtPair,
}

impl Engine {
    /// Sets up both parties: a joint coin, one key each way, base oblivious transfers both ways. The owner is
    /// [`Role::First`].
    ///
    /// # Errors
    /// Channel class; Peer class for malformed messages; Abort class when the coin's opening is wrong.
    pub fn setup(channel: &mut dyn Channel, role: Role) -> Result<Self, AlgebraError> {
        let coin = coin::toss(channel, role)?;
        let stream = |direction: &str| {
            let digest = PartHash::new("colift common randomness").part(coin.as_bytes()).part(direction.as_bytes()).finish();
            let mut seed = [0u8; 16];
            seed.copy_from_slice(&digest[..16]);
            CommonRandomness::new(Seed::from_bytes(seed))
        };
        let (first, second) = (stream("first encrypts"), stream("second encrypts"));
        let (mut own_uniform, mut peer_uniform) = if role == Role::First { (first, second) } else { (second, first) };
        let mut prg = Prg::from_os().map_err(|_| colift_rlwe::RlweError::Randomness)?;
        let secret = SecretKey::generate(&mut prg);
        let public = PublicKey::generate(&secret, &mut own_uniform, &mut prg);
        channel.send(KEY, &public.to_bytes())?;
        let peer_key = PublicKey::from_bytes(&channel.receive(KEY, PublicKey::bytes())?, &mut peer_uniform)?;
        let ot = OtPair::setup(channel, role)?;
        Ok(Self { role, secret, peer_key, own_uniform, peer_uniform, prg, ot })
    }

    /// Notes the messages of [`Engine::setup`].
    pub fn declare_setup(meter: &mut Meter, role: Role) {
        coin::declare(meter, role);
        meter.sent(PublicKey::bytes());
        meter.received(PublicKey::bytes());
        pair::declare_setup(meter);
    }

    /// This party's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The party's oblivious transfers.
    pub fn transfers(&mut self) -> &mut OtPair {
        &mut self.ot
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_testkit::run_pair;

    #[test]
    fn a_setup_costs_what_is_declared_and_both_hold_each_others_keys() {
        let run = |role| {
            move |channel: &mut colift_channel::memory::MemoryChannel| {
                let engine = Engine::setup(channel, role).unwrap();
                (engine.role(), PublicKey::to_bytes(&engine.peer_key), channel.counters())
            }
        };
        let (a, b, ..) = run_pair(run(Role::First), run(Role::Second));
        assert_ne!(a.1, b.1);
        for (role, _, measured) in [a, b] {
            let mut meter = Meter::default();
            Engine::declare_setup(&mut meter, role);
            assert_eq!(measured, meter.counters(), "{role:?}");
        }
    }
}
