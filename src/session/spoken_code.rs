//! **Purpose** pairing by a short spoken code: one person reads eight digits to the other, and both programs pin each other's key.
//!
//! **Functionality** the inviting program draws a code and waits; the accepting one dials and is told the code. Both accept any key that
//! the other side proves to own, prove to each other that they know the same code, and only then pin. Both show both fingerprints.
//!
//! **Security** SPAKE2 over the group of Ed25519 (ePrint 2003/038 and 2019/1194, RFC 9382), the code as its password, both
//! fingerprints and the TLS exporter as its identities; then each side confirms the key with a MAC of its own, the accepting side first.
//! Whoever stands in the middle, or dials without the code, has one guess of 10^8 at it: the invitation ends with the first one, and the
//! code is drawn anew for each. What crosses the link says nothing about the code, so it cannot be searched for afterwards.
//! A code overheard while the invitation stands lets a stranger in: read it on a line that you trust.
//!
//! **Cost** two messages each way, one wait each.
//!
//! **Messages** greeting; accepting → inviting: element (33 bytes); inviting → accepting: element (33); accepting → inviting: confirmation
//! (32); inviting → accepting: confirmation (32).
//!
//! **Source** the crate `spake2` of RustCrypto (MIT OR Apache-2.0), which draws its own randomness from the operating system.

use super::greeting::greet;
use super::home::Home;
use super::identity::Identity;
use super::link::{LinkSpec, not_ourselves};
use super::pairing::{Met, with_anyone};
use super::pins::{Pin, Pins};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::progress::Progress;
use colift_channel::tls::{Fingerprint, Limits};
use colift_channel::{Channel, Kind, StopFlag};
use colift_primitives::hash::PartHash;
use colift_primitives::rng::os_bytes;
use spake2::{Ed25519Group, Identity as Name, Password, Spake2};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const ELEMENT: Kind = Kind { code: 0x0105, name: "pairing element" };
const CONFIRMATION: Kind = Kind { code: 0x0106, name: "pairing confirmation" };
/// Bytes of an element: a sign of its role and a point.
const ELEMENT_BYTES: usize = 33;
const DIGITS: usize = 8;

/// Eight digits that one person reads to the other.
#[derive(Clone, PartialEq, Eq)]
pub struct SpokenCode(Zeroizing<String>);

impl SpokenCode {
    /// A fresh one.
    ///
    /// # Errors
    /// Exit code 1: no randomness.
    pub fn draw() -> Result<Self, Failure> {
        let bytes = os_bytes::<16>().map_err(|error| Failure::of_class(error.class(), error.to_string()))?;
        // 128 bits over 10^8: even but for 2^-101.
        let number = u128::from_le_bytes(*bytes) % 100_000_000;
        Ok(Self(Zeroizing::new(format!("{number:08}"))))
    }

    /// As a person types it: eight digits, with blanks or hyphens anywhere.
    ///
    /// # Errors
    /// Exit code 2: something else.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self(Zeroizing::new(digits)));
        }
        Err(Failure::new(Exit::Usage, 455, "a pairing code has eight digits").hint("such as 4821-7730, as the inviting program printed it"))
    }
}

impl fmt::Display for SpokenCode {
    /// In two groups, as it is read aloud.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        write!(f, "{first}-{second}")
    }
}

/// Pairs with the one who knows the code; `invites` is the side that drew it. Returns the new pin.
///
/// # Errors
/// Exit code 2: the name is unfit or taken, both sides have one key or one role. 10: nobody was met, or the peer went. 11: the peer does
/// not know the code; nothing was pinned. 16: versions do not meet. 19: the peer broke the protocol.
#[allow(clippy::too_many_arguments)]
pub fn pair_by_code(
    home: &Home,
    identity: &Identity,
    side: Side,
    name: &str,
    spec: &LinkSpec,
    (code, invites): (&SpokenCode, bool),
    limits: &Limits,
    stop: &StopFlag,
    progress: &dyn Progress,
) -> Result<Pin, Failure> {
    with_anyone(home, identity, name, spec, limits, stop, progress, |link, pins| agree(link, identity, pins, side, name, code, invites))
}

fn agree(
    met: &mut Met<'_>,
    identity: &Identity,
    pins: &Pins,
    side: Side,
    name: &str,
    code: &SpokenCode,
    invites: bool,
) -> Result<(), Failure> {
    let (own, peer, session, link) = (identity.fingerprint(), met.peer, met.session, &mut met.channel);
    not_ourselves(identity, peer)?;
    greet(link, side)?;
    prove(link, (own, peer), &session, code, invites)?;
    pins.may_add(name, Some(peer)).map(drop)
}

/// Both sides' proof that they know the code.
fn prove(
    channel: &mut dyn Channel,
    (own, peer): (Fingerprint, Fingerprint),
    session: &[u8; 32],
    code: &SpokenCode,
    invites: bool,
) -> Result<(), Failure> {
    let (inviting, accepting) = if invites { (own, peer) } else { (peer, own) };
    let named = |who: &Fingerprint| Name::new(&PartHash::new("colift spoken code v1").part(session).part(who.as_bytes()).finish());
    let (password, a, b) = (Password::new(code.0.as_bytes()), named(&inviting), named(&accepting));
    // Step 1: elements, the accepting side's first.
    let (state, element) =
        if invites { Spake2::<Ed25519Group>::start_a(&password, &a, &b) } else { Spake2::<Ed25519Group>::start_b(&password, &a, &b) };
    let theirs = if invites {
        let theirs = channel.receive(ELEMENT, ELEMENT_BYTES)?;
        channel.send(ELEMENT, &element)?;
        theirs
    } else {
        channel.send(ELEMENT, &element)?;
        channel.receive(ELEMENT, ELEMENT_BYTES)?
    };
    let key = state.finish(&theirs).map_err(|_| Failure::new(Exit::Protocol, 456, "the peer's pairing element is malformed"))?;
    let key = Zeroizing::new(key);
    // Step 2: confirmations; the inviting side shows its own only to one who has shown the right one.
    let confirmation = |role: &str| {
        let hash = PartHash::new("colift spoken code confirmation v1").part(&key).part(role.as_bytes());
        hash.part(session).part(inviting.as_bytes()).part(accepting.as_bytes()).finish()
    };
    let wrong = || {
        Failure::new(Exit::PeerKey, 457, "the other side does not know the same code: nothing was pinned")
            .hint("invite again: each invitation has a code of its own, for one try; read it on a line that you trust")
    };
    let check = |channel: &mut dyn Channel, role: &str| -> Result<(), Failure> {
        let theirs = channel.receive(CONFIRMATION, 32)?;
        if bool::from(confirmation(role).as_slice().ct_eq(&theirs)) { Ok(()) } else { Err(wrong()) }
    };
    if invites {
        check(channel, "accepting")?;
        channel.send(CONFIRMATION, &confirmation("inviting"))?;
    } else {
        channel.send(CONFIRMATION, &confirmation("accepting"))?;
        check(channel, "inviting")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_testkit::run_pair;

    fn print(text: &str) -> Fingerprint {
        Fingerprint::of_spki(text.as_bytes())
    }

    fn code(text: &str) -> SpokenCode {
        SpokenCode::parse(text).unwrap()
    }

    /// How both ends of one try end.
    fn play(codes: [&str; 2], prints: [[&str; 2]; 2], sessions: [u8; 2]) -> [Result<(), u16>; 2] {
        let end = |side: usize| {
            let (code, keys) = (code(codes[side]), (print(prints[side][0]), print(prints[side][1])));
            let session = [sessions[side]; 32];
            move |c: &mut colift_channel::memory::MemoryChannel| {
                let ended = prove(c, keys, &session, &code, side == 0);
                ended.map_err(|failure| failure.id)
            }
        };
        let (a, b, ..) = run_pair(end(0), end(1));
        [a, b]
    }

    #[test]
    fn only_the_same_code_between_the_same_keys_on_one_link_pairs() {
        let honest = [["a", "b"], ["b", "a"]];
        assert_eq!(play(["4821-7730", "4821 7730"], honest, [7, 7]), [Ok(()), Ok(())]);
        for (codes, prints, sessions) in [
            (["48217730", "48217731"], honest, [7, 7]),
            // Somebody in between has other keys, and other links.
            (["48217730", "48217730"], [["a", "m"], ["b", "a"]], [7, 7]),
            (["48217730", "48217730"], honest, [7, 8]),
        ] {
            let [inviting, accepting] = play(codes, prints, sessions);
            assert_eq!(inviting, Err(457));
            // The inviting side shows nothing more, so the accepting one meets a closed link.
            assert!(accepting.is_err());
        }
    }

    #[test]
    fn codes_are_eight_digits_however_they_are_typed() {
        assert_eq!(code("4821-7730").to_string(), "4821-7730");
        assert_eq!(code(" 48 21 77 30 ").to_string(), "4821-7730");
        for bad in ["", "4821773", "482177301", "4821-773x"] {
            assert_eq!(SpokenCode::parse(bad).err().unwrap().id, 455, "{bad}");
        }
        let drawn: std::collections::BTreeSet<String> = (0..50).map(|_| SpokenCode::draw().unwrap().to_string()).collect();
        assert!(drawn.len() > 48 && drawn.iter().all(|code| code.len() == 9));
    }

    #[test]
    fn malformed_elements_are_refused() {
        let (a, ..) = run_pair(
            |c| prove(c, (print("a"), print("b")), &[7; 32], &code("48217730"), true),
            |c| {
                c.send(ELEMENT, &[0xff; ELEMENT_BYTES]).unwrap();
                c.receive(ELEMENT, ELEMENT_BYTES).unwrap();
            },
        );
        assert_eq!(a.unwrap_err().exit, Exit::Protocol);
    }
}
