//! The first frames of every link: both programs say what they are, and refuse versions that do not meet or equal roles.
//!
//! **Messages.** `greeting`, both ways: magic (8 bytes), lowest and highest wire version (u16 each, little-endian), role
//! (1 owner, 2 partner), length and ASCII text of the program version. At most 256 bytes; a later version may append, and
//! what it appends is skipped.

use crate::data::Side;
use crate::error::{Exit, Failure};
use colift_channel::{Channel, Kind};

/// Lowest and highest wire version this program speaks.
pub const WIRE_VERSIONS: (u16, u16) = (2, 2);
/// The highest wire version that only unreleased programs spoke.
const UNRELEASED: u16 = 1;

const GREETING: Kind = Kind { code: 0x0101, name: "greeting" };
const MAGIC: &[u8; 8] = b"colift//";
const MAX_GREETING: usize = 256;
const MAX_VERSION_TEXT: usize = 32;
const FIXED: usize = MAGIC.len() + 2 + 2 + 1 + 1;

/// What the two programs found out about each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The wire version to speak: the highest that both know.
    pub wire: u16,
    /// The peer's role, the other one than ours.
    pub peer_side: Side,
    /// The peer's program version: letters, digits and `.-+_` only.
    pub peer_version: String,
}

/// Exchanges greetings.
///
/// # Errors
/// Exit code 2: both programs have the same role. 16: no common version; both are named. 19: the peer sent something else.
pub fn greet(channel: &mut impl Channel, side: Side) -> Result<Greeting, Failure> {
    greet_as(channel, side, WIRE_VERSIONS, env!("CARGO_PKG_VERSION"))
}

pub(super) fn greet_as(channel: &mut impl Channel, side: Side, wire: (u16, u16), program: &str) -> Result<Greeting, Failure> {
    channel.send(GREETING, &encode(side, wire, program))?;
    let Told { side: peer_side, wire: peer_wire, program: peer_version } = decode(&channel.receive_at_most(GREETING, MAX_GREETING)?)?;
    let common = wire.1.min(peer_wire.1);
    if common < wire.0.max(peer_wire.0) {
        let what = format!(
            "the programs' versions do not meet: ours is {program} (wire {}), the peer's is {peer_version} (wire {})",
            range(wire),
            range(peer_wire)
        );
        let remedy = match [("this", wire), ("the other", peer_wire)].into_iter().find(|(_, versions)| versions.1 <= UNRELEASED) {
            Some((side, _)) => format!("{side} side's program is an unreleased version: install a release there"),
            None => "install the newer of the two versions on both sides".to_owned(),
        };
        return Err(Failure::new(Exit::Version, 441, what).hint(remedy));
    }
    // A role that only a later version knows cannot get here: that version would not have met ours.
    match peer_side {
        Some(peer_side) if peer_side == side => Err(Failure::new(Exit::Usage, 442, format!("both programs are colift-{side}"))
            .hint(format!("one of the two sides runs colift-{}", side.peer()))),
        Some(peer_side) => Ok(Greeting { wire: common, peer_side, peer_version }),
        None => Err(garbled()),
    }
}

fn range((lowest, highest): (u16, u16)) -> String {
    if lowest == highest { lowest.to_string() } else { format!("{lowest} to {highest}") }
}

fn garbled() -> Failure {
    Failure::new(Exit::Protocol, 443, "the peer's greeting cannot be read")
}

fn encode(side: Side, wire: (u16, u16), program: &str) -> Vec<u8> {
    let text = program.as_bytes();
    let text = text.get(..MAX_VERSION_TEXT).unwrap_or(text);
    let mut bytes = Vec::with_capacity(FIXED + text.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&wire.0.to_le_bytes());
    bytes.extend_from_slice(&wire.1.to_le_bytes());
    bytes.push(match side {
        Side::Owner => 1,
        Side::Partner => 2,
    });
    bytes.push(text.len() as u8);
    bytes.extend_from_slice(text);
    bytes
}

/// A greeting as it was told.
struct Told {
    /// None: a role unknown to us.
    side: Option<Side>,
    wire: (u16, u16),
    program: String,
}

fn decode(bytes: &[u8]) -> Result<Told, Failure> {
    let (fixed, rest) = bytes.split_first_chunk::<FIXED>().ok_or_else(garbled)?;
    let (magic, numbers) = fixed.split_first_chunk::<8>().ok_or_else(garbled)?;
    let &[low0, low1, high0, high1, role, length] = numbers else { return Err(garbled()) };
    let wire = (u16::from_le_bytes([low0, low1]), u16::from_le_bytes([high0, high1]));
    let text = rest.get(..usize::from(length)).ok_or_else(garbled)?;
    if magic != MAGIC || wire.0 > wire.1 || text.is_empty() || text.len() > MAX_VERSION_TEXT {
        return Err(garbled());
    }
    let side = match role {
        1 => Some(Side::Owner),
        2 => Some(Side::Partner),
        _ => None,
    };
    // Shown to a person: nothing but plain characters may pass.
    let plain = |&byte: &u8| if byte.is_ascii_alphanumeric() || b".-+_".contains(&byte) { char::from(byte) } else { '?' };
    Ok(Told { side, wire, program: text.iter().map(plain).collect() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_channel::memory::pair;
    use colift_testkit::run_pair;

    #[test]
    fn versions_that_meet_take_the_highest_common_one() {
        let (a, b, ..) = run_pair(|c| greet_as(c, Side::Owner, (1, 3), "0.3.0"), |c| greet_as(c, Side::Partner, (2, 5), "0.5.1-rc+x"));
        assert_eq!(a, Ok(Greeting { wire: 3, peer_side: Side::Partner, peer_version: "0.5.1-rc+x".into() }));
        assert_eq!(b, Ok(Greeting { wire: 3, peer_side: Side::Owner, peer_version: "0.3.0".into() }));
        let (a, ..) = run_pair(|c| greet(c, Side::Owner), |c| greet(c, Side::Partner));
        assert_eq!(a.unwrap().wire, WIRE_VERSIONS.1);
    }

    #[test]
    fn versions_that_do_not_meet_are_both_named_on_both_sides() {
        let old = run_pair(|c| greet_as(c, Side::Owner, (1, 1), "0.0.9"), |c| greet_as(c, Side::Partner, (2, 2), "0.1.0"));
        let remedies = [old.0, old.1].map(|failure| failure.unwrap_err().remedy.unwrap());
        assert_eq!(
            remedies,
            ["this", "the other"].map(|side| format!("{side} side's program is an unreleased version: install a release there"))
        );
        let (a, b, ..) = run_pair(|c| greet_as(c, Side::Owner, (1, 2), "0.1.0"), |c| greet_as(c, Side::Partner, (3, 3), "0.4.0"));
        let (a, b) = (a.unwrap_err(), b.unwrap_err());
        assert_eq!((a.exit, b.exit), (Exit::Version, Exit::Version));
        assert_eq!(a.what, "the programs' versions do not meet: ours is 0.1.0 (wire 1 to 2), the peer's is 0.4.0 (wire 3)");
        assert_eq!(b.what, "the programs' versions do not meet: ours is 0.4.0 (wire 3), the peer's is 0.1.0 (wire 1 to 2)");
    }

    #[test]
    fn two_programs_of_one_role_are_refused_on_both_sides() {
        for side in [Side::Owner, Side::Partner] {
            let (a, b, ..) = run_pair(|c| greet(c, side), |c| greet(c, side));
            for failure in [a.unwrap_err(), b.unwrap_err()] {
                assert_eq!((failure.exit, failure.id), (Exit::Usage, 442));
            }
        }
    }

    #[test]
    fn what_is_no_greeting_is_refused_and_what_is_appended_is_not() {
        let good = encode(Side::Partner, WIRE_VERSIONS, "0.1.0");
        let answer = |bytes: &[u8]| {
            let (mut a, mut b) = pair();
            b.send(GREETING, bytes).unwrap();
            greet(&mut a, Side::Owner)
        };
        assert!(answer(&good).is_ok());
        assert!(answer(&[&good[..], &[0xff; 9]].concat()).is_ok());
        for length in 0..good.len() {
            assert_eq!(answer(&good[..length]).unwrap_err().exit, Exit::Protocol, "{length} bytes");
        }
        for (at, value) in [(0, b'C'), (12, 0), (12, 3), (13, 0), (13, 33), (13, 255)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(answer(&bad).unwrap_err().id, 443, "byte {at} = {value}");
        }
        // Lowest above highest.
        let upside_down = encode(Side::Partner, (2, 1), "0.1.0");
        assert_eq!(answer(&upside_down).unwrap_err().id, 443);
        assert_eq!(answer(&[0; 257]).unwrap_err().exit, Exit::Protocol);
        // Control characters of the peer's never reach a terminal.
        let shown = answer(&encode(Side::Partner, WIRE_VERSIONS, "1\u{1b}[2J\n")).unwrap().peer_version;
        assert_eq!(shown, "1??2J?");
    }
}
