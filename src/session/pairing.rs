//! Pairing: two people compare what their programs show, and only then either program pins the other's key.
//!
//! **Functionality.** Both programs connect accepting any key that the other proves to own, show both fingerprints and a short
//! comparison code, ask their person, exchange the answers, and pin if both agreed.
//!
//! **Security.** Whoever stands in the middle has two links with different keys, and the code differs between the two ends
//! except with probability 10⁻⁹: it hashes both fingerprints, the TLS exporter and a nonce of either side, and the dialler is
//! bound to its nonce by a commitment before it sees the listener's (otherwise keys could be searched until the short codes
//! agree). Comparing the full fingerprints needs no such argument. If the link breaks between the two answers, one side may
//! have pinned and the other not: pairing again mends it.
//!
//! **Messages.** greeting; dialler → listener: commitment (32 bytes); listener → dialler: nonce (32); dialler → listener: nonce
//! (32); both ways: answer (1).
//!
//! **Source.** Vaudenay, CRYPTO 2005 (short authenticated strings), Fig. 1 with SHA-256 as commitment.

use super::greeting::greet;
use super::home::Home;
use super::identity::Identity;
use super::link::{LinkSpec, not_ourselves, open};
use super::pins::{Pin, Pins};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::progress::{Progress, Watched};
use colift_channel::tls::{ExpectedPeer, Fingerprint, Limits, TlsChannel};
use colift_channel::{Channel, Kind, StopFlag};
use colift_primitives::hash::PartHash;
use colift_primitives::rng::os_bytes;

const COMMITMENT: Kind = Kind { code: 0x0102, name: "pairing commitment" };
const NONCE: Kind = Kind { code: 0x0103, name: "pairing nonce" };
const ANSWER: Kind = Kind { code: 0x0104, name: "the other person's answer" };

/// What is shown to the person before they answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingView {
    /// Our key, as the other program shows it for its peer.
    pub own: Fingerprint,
    /// The peer's key.
    pub peer: Fingerprint,
    /// Nine digits in groups of three: equal on both sides, unless somebody stands in between.
    pub code: String,
    /// The peer's role.
    pub peer_side: Side,
    /// The peer's program version.
    pub peer_version: String,
}

/// Pairs with whoever is met, if both people agree; returns the new pin. `name` is what our side calls the peer. Waits are told to
/// `progress`.
///
/// # Errors
/// Exit code 2: the name is unfit or taken, both sides have one key or one role. 10: nobody was met, or the peer went.
/// 11: one of the two people refused, or the peer's key was revoked. 16: versions do not meet. 19: the peer broke the protocol.
// Each argument is a thing of its own that the command line decides; a struct would only rename them.
#[allow(clippy::too_many_arguments)]
pub fn pair(
    home: &Home,
    identity: &Identity,
    side: Side,
    name: &str,
    spec: &LinkSpec,
    limits: &Limits,
    stop: &StopFlag,
    progress: &dyn Progress,
    confirm: &mut dyn FnMut(&PairingView) -> bool,
) -> Result<Pin, Failure> {
    let dials = spec.dials();
    with_anyone(home, identity, name, spec, limits, stop, progress, |link, pins| agree(link, identity, pins, side, name, dials, confirm))
}

/// Meets whoever proves to own a key, and pins that key under `name` if `agree` says so; else tells the peer why not.
///
/// # Errors
/// As [`pair`] and as `agree`.
#[allow(clippy::too_many_arguments)]
pub(super) fn with_anyone(
    home: &Home,
    identity: &Identity,
    name: &str,
    spec: &LinkSpec,
    limits: &Limits,
    stop: &StopFlag,
    progress: &dyn Progress,
    agree: impl FnOnce(&mut Met<'_>, &Pins) -> Result<(), Failure>,
) -> Result<Pin, Failure> {
    let mut pins = Pins::load(home)?;
    pins.may_add(name, None)?;
    progress.waiting(spec.awaited());
    let opened = open(identity, ExpectedPeer::AnyForPairing, spec, limits, stop);
    progress.arrived();
    let mut link = opened?;
    let (peer, session) = (link.peer(), *link.session_id());
    match agree(&mut Met { channel: Watched::new(&mut link, progress), peer, session }, &pins) {
        Ok(()) => {
            let pin = pins.add(name, peer);
            progress.waiting("the peer to take the last messages");
            link.close();
            progress.arrived();
            pin
        }
        Err(failure) => {
            link.abort(failure.exit as u8);
            Err(failure)
        }
    }
}

/// Whoever was met, before anything is pinned.
pub(super) struct Met<'a> {
    /// The link, whose waits are told.
    pub(super) channel: Watched<'a, &'a mut TlsChannel>,
    /// The key that they proved to own.
    pub(super) peer: Fingerprint,
    /// A value of this link alone.
    pub(super) session: [u8; 32],
}

/// The exchange over an open link; Ok when both people agreed.
fn agree(
    met: &mut Met<'_>,
    identity: &Identity,
    pins: &Pins,
    side: Side,
    name: &str,
    dials: bool,
    confirm: &mut dyn FnMut(&PairingView) -> bool,
) -> Result<(), Failure> {
    let (own, peer, session, link) = (identity.fingerprint(), met.peer, met.session, &mut met.channel);
    not_ourselves(identity, peer)?;
    let greeting = greet(link, side)?;
    let code = comparison_code(link, dials, own, peer, &session)?;
    pins.may_add(name, Some(peer))?;
    let view = PairingView { own, peer, code, peer_side: greeting.peer_side, peer_version: greeting.peer_version };
    let agreed = confirm(&view);
    link.send(ANSWER, &[u8::from(agreed)])?;
    let answer = link.receive(ANSWER, 1)?;
    let refused = |id, who: &str| {
        Failure::new(Exit::PeerKey, id, format!("{who} did not agree: nothing was pinned"))
            .hint("if the codes differed, somebody may stand between the two machines: compare the full fingerprints by phone")
    };
    match (agreed, answer.as_slice()) {
        (true, [1]) => Ok(()),
        (false, [0 | 1]) => Err(refused(451, "you")),
        (true, [0]) => Err(refused(452, "the other person")),
        _ => Err(Failure::new(Exit::Protocol, 453, "the peer's answer cannot be read")),
    }
}

/// Commitment, nonces, and the code from everything both sides know.
fn comparison_code(
    channel: &mut impl Channel,
    dials: bool,
    own: Fingerprint,
    peer: Fingerprint,
    session: &[u8; 32],
) -> Result<String, Failure> {
    let nonce: [u8; 32] = *os_bytes::<32>().map_err(|error| Failure::of_class(error.class(), error.to_string()))?;
    let commit = |nonce: &[u8]| PartHash::new("colift pairing commitment 1").part(session).part(nonce).finish();
    let theirs = if dials {
        // Step 1 (Fig. 1): bound to our nonce before we see theirs.
        channel.send(COMMITMENT, &commit(&nonce))?;
        // Step 2.
        let theirs = channel.receive(NONCE, 32)?;
        // Step 3.
        channel.send(NONCE, &nonce)?;
        theirs
    } else {
        // Step 1 (Fig. 1).
        let commitment = channel.receive(COMMITMENT, 32)?;
        // Step 2.
        channel.send(NONCE, &nonce)?;
        // Step 3.
        let theirs = channel.receive(NONCE, 32)?;
        if commitment != commit(&theirs) {
            return Err(Failure::new(Exit::Protocol, 454, "the peer's pairing nonce does not fit its commitment"));
        }
        theirs
    };
    let (ours, theirs) = ((own, nonce.as_slice()), (peer, theirs.as_slice()));
    let (dialler, listener) = if dials { (ours, theirs) } else { (theirs, ours) };
    let digest = PartHash::new("colift pairing code 1")
        .part(session)
        .part(dialler.0.as_bytes())
        .part(listener.0.as_bytes())
        .part(dialler.1)
        .part(listener.1)
        .finish();
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = digest;
    let digits = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) % 1_000_000_000;
    Ok(format!("{:03}-{:03}-{:03}", digits / 1_000_000, digits / 1_000 % 1_000, digits % 1_000))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_testkit::run_pair;

    fn print(text: &str) -> Fingerprint {
        Fingerprint::of_spki(text.as_bytes())
    }

    #[test]
    fn codes_agree_between_honest_ends_only() {
        let (a, b, session) = (print("a"), print("b"), [7; 32]);
        let (x, y, cx, cy) = run_pair(|c| comparison_code(c, false, a, b, &session), |c| comparison_code(c, true, b, a, &session));
        let code = x.unwrap();
        assert_eq!(Ok(&code), y.as_ref());
        assert_eq!((code.len(), code.split('-').count()), (11, 3));
        assert_eq!((cx.messages_sent, cy.messages_sent), (1, 2));
        // Another key, as with somebody in between.
        let (x, y, ..) = run_pair(|c| comparison_code(c, false, a, print("m"), &session), |c| comparison_code(c, true, b, a, &session));
        assert_ne!(x, y);
        // Another run shows another code.
        let (x, ..) = run_pair(|c| comparison_code(c, false, a, b, &session), |c| comparison_code(c, true, b, a, &session));
        assert_ne!(x.unwrap(), code);
    }

    #[test]
    fn a_nonce_that_was_not_committed_to_is_refused() {
        let (outcome, ..) = run_pair(
            |c| comparison_code(c, false, print("a"), print("b"), &[7; 32]),
            |c| {
                c.send(COMMITMENT, &[1; 32]).unwrap();
                c.receive(NONCE, 32).unwrap();
                c.send(NONCE, &[2; 32]).unwrap();
            },
        );
        assert_eq!(outcome.unwrap_err().id, 454);
        // A commitment of another connection is of no use either.
        let commitment = PartHash::new("colift pairing commitment 1").part(&[8; 32]).part(&[2; 32]).finish();
        let (outcome, ..) = run_pair(
            |c| comparison_code(c, false, print("a"), print("b"), &[7; 32]),
            |c| {
                c.send(COMMITMENT, &commitment).unwrap();
                c.receive(NONCE, 32).unwrap();
                c.send(NONCE, &[2; 32]).unwrap();
            },
        );
        assert_eq!(outcome.unwrap_err().exit, Exit::Protocol);
    }
}
