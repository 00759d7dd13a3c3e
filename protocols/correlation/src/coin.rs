//! **Purpose** a joint coin: 128 public bits that neither side could choose, for public matrices and encryption seeds.
//!
//! **Functionality** both roles put in nothing and get the same uniform seed.
//!
//! **Security** malicious with abort: SHA-256 as a hiding and binding commitment (random-oracle model). First may refuse
//! to open after it has seen the result: then the run ends on both sides, and nothing depended on the coin yet.
//!
//! **Cost** 3 messages, 112 bytes of payload and 3 headers; First waits once, Second twice.
//!
//! **Messages** First: SHA-256(domain, 16-byte contribution, 32-byte blinding) · Second: 16-byte contribution · First:
//! contribution and blinding.
//!
//! **Source** Blum, "Coin flipping by telephone" (1981).
//!
//! **Example**
//! ```
//! use colift_correlation::{Role, coin};
//! let (mut a, mut b) = colift_channel::memory::pair();
//! let peer = std::thread::spawn(move || coin::toss(&mut b, Role::Second).map(|seed| *seed.as_bytes()));
//! let ours = coin::toss(&mut a, Role::First)?;
//! assert_eq!(Ok(*ours.as_bytes()), peer.join().unwrap());
//! # Ok::<(), colift_correlation::CorrelationError>(())
//! ```

use crate::{CorrelationError, Role};
use colift_channel::{Channel, Kind, Meter};
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Seed, os_bytes};
use subtle::ConstantTimeEq;

const COMMITMENT: Kind = Kind { code: 0x0301, name: "joint coin: commitment" };
const CONTRIBUTION: Kind = Kind { code: 0x0302, name: "joint coin: contribution" };
const OPENING: Kind = Kind { code: 0x0303, name: "joint coin: opening" };

const SHARE: usize = 16;
const BLINDING: usize = 32;

/// Tosses the coin.
///
/// # Errors
/// Abort class: First opened something else than it had committed to. Otherwise the link's errors.
pub fn toss(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Seed, CorrelationError> {
    match role {
        Role::First => first(channel),
        Role::Second => second(channel),
    }
}

fn first(channel: &mut (impl Channel + ?Sized)) -> Result<Seed, CorrelationError> {
    let opening = os_bytes::<{ SHARE + BLINDING }>()?;
    // Step 1: commit.
    channel.send(COMMITMENT, &commitment(opening.as_slice()))?;
    // Step 2: the peer's contribution.
    let theirs = channel.receive(CONTRIBUTION, SHARE)?;
    // Step 3: open.
    channel.send(OPENING, opening.as_slice())?;
    Ok(combine(&opening[..SHARE], &theirs))
}

fn second(channel: &mut (impl Channel + ?Sized)) -> Result<Seed, CorrelationError> {
    let ours = os_bytes::<SHARE>()?;
    // Step 1: the peer's commitment.
    let committed = channel.receive(COMMITMENT, 32)?;
    // Step 2: our contribution.
    channel.send(CONTRIBUTION, ours.as_slice())?;
    // Step 3: check the opening.
    let opening = channel.receive(OPENING, SHARE + BLINDING)?;
    if !bool::from(commitment(&opening).as_slice().ct_eq(&committed)) {
        return Err(CorrelationError::CoinOpening);
    }
    let (theirs, _) = opening.split_at_checked(SHARE).ok_or(CorrelationError::CoinOpening)?;
    Ok(combine(theirs, ours.as_slice()))
}

fn commitment(opening: &[u8]) -> [u8; 32] {
    PartHash::new("colift joint coin commitment").part(opening).finish()
}

fn combine(first: &[u8], second: &[u8]) -> Seed {
    let digest = PartHash::new("colift joint coin").part(first).part(second).finish();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Seed::from_bytes(bytes)
}

/// Notes the messages of [`toss`] as `role` sees them.
pub fn declare(meter: &mut Meter, role: Role) {
    match role {
        Role::First => {
            meter.sent(32);
            meter.received(SHARE);
            meter.sent(SHARE + BLINDING);
        }
        Role::Second => {
            meter.received(32);
            meter.sent(SHARE);
            meter.received(SHARE + BLINDING);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_channel::memory::pair;
    use colift_testkit::run_pair;

    #[test]
    fn both_get_the_same_coin_at_the_declared_cost() {
        let (a, b, sent_a, sent_b) = run_pair(|c| toss(c, Role::First).unwrap(), |c| toss(c, Role::Second).unwrap());
        assert_eq!(a.as_bytes(), b.as_bytes());
        for (role, measured) in [(Role::First, sent_a), (Role::Second, sent_b)] {
            let mut meter = Meter::default();
            declare(&mut meter, role);
            assert_eq!(meter.counters(), measured);
        }
        let (c, ..) = run_pair(|c| toss(c, Role::First).unwrap(), |c| toss(c, Role::Second).unwrap());
        assert_ne!(a.as_bytes(), c.as_bytes());
    }

    #[test]
    fn a_changed_opening_aborts() {
        for bit in 0..8 * (SHARE + BLINDING) {
            let (mut a, mut b) = pair();
            let mut opening = [7u8; SHARE + BLINDING];
            a.send(COMMITMENT, &commitment(&opening)).unwrap();
            opening[bit / 8] ^= 1 << (bit % 8);
            a.send(OPENING, &opening).unwrap();
            assert_eq!(toss(&mut b, Role::Second).err(), Some(CorrelationError::CoinOpening));
        }
    }

    #[test]
    fn short_messages_are_refused() {
        let (mut a, mut b) = pair();
        a.send(COMMITMENT, &[0; 31]).unwrap();
        assert!(matches!(toss(&mut b, Role::Second).err(), Some(CorrelationError::Channel(_))));
    }
}
