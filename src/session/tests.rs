//! Homes, keys and pins on disk; links and pairing over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::contract::ProxyChoice;
use crate::data::Side;
use crate::error::{Exit, Failure};
use colift_channel::tls::{Fingerprint, Limits, Listener, TlsChannel};
use colift_channel::{Channel, ChannelError, Kind, StopFlag};
use std::ffi::OsString;
use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HELLO: Kind = Kind { code: 0x0901, name: "hello" };

struct Party {
    _folder: TempDir,
    home: Home,
    identity: Identity,
}

fn party() -> Party {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("deep").join("home"));
    let identity = Identity::init(&home).unwrap();
    Party { _folder: folder, home, identity }
}

impl Party {
    fn pins(&self, peers: &[&Party]) -> Pins {
        let mut pins = Pins::load(&self.home).unwrap();
        for (i, peer) in peers.iter().enumerate() {
            pins.add(&format!("peer-{i}"), peer.identity.fingerprint()).unwrap();
        }
        pins
    }
}

fn limits() -> Limits {
    let second = Duration::from_secs(1);
    Limits { connect: 2 * second, handshake: second, idle: 2 * second, ..Limits::default() }
}

fn mode(path: &Path) -> u32 {
    metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn failure<T>(outcome: Result<T, Failure>) -> Failure {
    outcome.err().unwrap()
}

#[test]
fn the_home_follows_the_environment() {
    let home = |set: &[(&str, &str)]| {
        Home::from_variables(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
            .map(|home| home.path().display().to_string())
    };
    let all = [("COLIFT_HOME", "/a"), ("XDG_CONFIG_HOME", "/b"), ("HOME", "/c")];
    assert_eq!(home(&all).unwrap(), "/a");
    assert_eq!(home(&all[1..]).unwrap(), "/b/colift");
    assert_eq!(home(&all[2..]).unwrap(), "/c/.config/colift");
    assert_eq!(home(&[("COLIFT_HOME", ""), ("XDG_CONFIG_HOME", "relative"), ("HOME", "/c")]).unwrap(), "/c/.config/colift");
    assert_eq!(home(&[]).unwrap_err().exit, Exit::Usage);
}

#[test]
fn init_makes_one_private_key_and_keeps_it() {
    let me = party();
    let key = me.home.path().join("identity.pkcs8");
    assert_eq!((mode(me.home.path()), mode(&key)), (0o700, 0o600));
    let bytes = std::fs::read(&key).unwrap();
    assert_eq!(Identity::load(&me.home).unwrap().fingerprint(), me.identity.fingerprint());
    let again = failure(Identity::init(&me.home));
    assert_eq!((again.exit, again.id), (Exit::Usage, 424));
    assert_eq!(std::fs::read(&key).unwrap(), bytes);
    // Nothing is left lying about.
    assert_eq!(std::fs::read_dir(me.home.path()).unwrap().count(), 1);
    assert_ne!(party().identity.fingerprint(), me.identity.fingerprint());
}

#[test]
fn looser_modes_are_refused_with_the_command_that_mends_them() {
    let me = party();
    let key = me.home.path().join("identity.pkcs8");
    for loose in [0o640, 0o604, 0o620, 0o610, 0o601] {
        set_mode(&key, loose);
        let refused = failure(Identity::load(&me.home));
        assert_eq!((refused.exit, refused.id), (Exit::Usage, 425));
        assert_eq!(refused.hint_text(), format!("chmod 600 '{}'", key.display()));
    }
    set_mode(&key, 0o600);
    for loose in [0o750, 0o701, 0o755, 0o777] {
        set_mode(me.home.path(), loose);
        let refused = failure(Identity::load(&me.home));
        assert_eq!(refused.hint_text(), format!("chmod 700 '{}'", me.home.path().display()));
        assert_eq!(failure(Identity::init(&me.home)).id, 425);
    }
    set_mode(me.home.path(), 0o700);
    assert!(Identity::load(&me.home).is_ok());
    me.pins(&[&party()]);
    let peers = me.home.path().join("peers.toml");
    assert_eq!(mode(&peers), 0o600);
    set_mode(&peers, 0o644);
    assert_eq!(failure(Pins::load(&me.home)).id, 425);
}

impl Failure {
    fn hint_text(&self) -> String {
        self.remedy.clone().unwrap_or_default()
    }
}

#[test]
fn missing_and_damaged_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(failure(Identity::load(&Home::at(folder.path().join("none")))).id, 426);
    let me = party();
    let key = me.home.path().join("identity.pkcs8");
    let mut bytes = std::fs::read(&key).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&key, &bytes).unwrap();
    assert_eq!(failure(Identity::load(&me.home)).id, 427);
    assert!(Pins::load(&me.home).unwrap().list().is_empty());
    me.pins(&[&party()]);
    let peers = me.home.path().join("peers.toml");
    let good = std::fs::read_to_string(&peers).unwrap();
    for bad in [
        good.replace("schema = 1", "schema = 2"),
        good.replace("revoked = false", "revoked = 0"),
        good.replace("revoked = false", ""),
        good.replace("revoked", "other = 1\nrevoked"),
        good.replace("fingerprint = \"", "fingerprint = \"0"),
        "\u{0}".into(),
    ] {
        assert_ne!(bad, good);
        std::fs::write(&peers, bad).unwrap();
        assert_eq!(failure(Pins::load(&me.home)).id, 431);
    }
}

#[test]
fn pins_are_added_listed_and_revoked_for_good() {
    let (me, first, second) = (party(), party(), party());
    let (one, two) = (first.identity.fingerprint(), second.identity.fingerprint());
    let mut pins = Pins::load(&me.home).unwrap();
    let pin = pins.add("bank", one).unwrap();
    assert_eq!((pin.name.as_str(), pin.fingerprint, pin.revoked), ("bank", one, false));
    assert_eq!(pins.add("bank", one).unwrap(), pin);
    assert_eq!(failure(pins.add("shop", one)).id, 433);
    assert_eq!(failure(pins.add("bank", two)).id, 434);
    for unfit in ["", "a b", "\u{1b}[2J", &"x".repeat(65)] {
        assert_eq!(failure(pins.add(unfit, two)).id, 432);
    }
    // Another process adds one meanwhile: nothing is lost.
    Pins::load(&me.home).unwrap().add("shop", two).unwrap();
    assert_eq!(failure(pins.check(two)).id, 413);
    pins.revoke("bank").unwrap();
    let reread = Pins::load(&me.home).unwrap();
    assert_eq!(reread.list(), pins.list());
    assert_eq!(reread.list().iter().map(|pin| (pin.name.as_str(), pin.revoked)).collect::<Vec<_>>(), [("bank", true), ("shop", false)]);
    assert_eq!((failure(reread.check(one)).exit, failure(reread.check(one)).id), (Exit::PeerKey, 414));
    assert!(reread.check(two).is_ok());
    assert_eq!(failure(pins.add("bank", one)).id, 414);
    assert_eq!(failure(pins.revoke("nobody")).id, 435);
    // The name is free for a new key, and a fingerprint names a peer too.
    let three = party().identity.fingerprint();
    pins.add("bank", three).unwrap();
    assert_eq!(pins.revoke(&three.groups()).unwrap().fingerprint, three);
}

/// Runs both ends of a connection.
fn link(
    (near, near_pins, near_expects): (&Party, &Pins, Fingerprint),
    (far, far_pins, far_expects): (&Party, &Pins, Fingerprint),
) -> (Result<TlsChannel, Failure>, Result<TlsChannel, Failure>) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let dial = LinkSpec::dial(listener.local_address().unwrap().to_string(), ProxyChoice::Off);
    let (listen, stop) = (LinkSpec::bound(listener), StopFlag::new());
    std::thread::scope(|s| {
        let dialled = s.spawn(|| connect(&far.identity, far_pins, far_expects, &dial, &limits(), &stop));
        let accepted = connect(&near.identity, near_pins, near_expects, &listen, &limits(), &stop);
        (accepted, dialled.join().unwrap())
    })
}

#[test]
fn pinned_peers_meet_and_greet() {
    let (near, far) = (party(), party());
    let (near_print, far_print) = (near.identity.fingerprint(), far.identity.fingerprint());
    let (a, b) = link((&near, &near.pins(&[&far]), far_print), (&far, &far.pins(&[&near]), near_print));
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    std::thread::scope(|s| {
        let far = s.spawn(|| greet(&mut b, Side::Partner));
        assert_eq!(greet(&mut a, Side::Owner).unwrap().peer_side, Side::Partner);
        assert_eq!(far.join().unwrap().unwrap().peer_side, Side::Owner);
    });
    a.send(HELLO, b"x").unwrap();
    assert_eq!(b.receive(HELLO, 1).unwrap(), b"x");
}

#[test]
fn a_wrong_key_ends_both_sides_with_exit_code_11() {
    let (near, far, other) = (party(), party(), party());
    let (near_print, far_print, other_print) = (near.identity.fingerprint(), far.identity.fingerprint(), other.identity.fingerprint());
    // The listener expects another peer.
    let (a, b) = link((&near, &near.pins(&[&other]), other_print), (&far, &far.pins(&[&near]), near_print));
    let (a, b) = (failure(a), failure(b));
    assert_eq!(((a.exit, a.id), (b.exit, b.id)), ((Exit::PeerKey, 411), (Exit::PeerKey, 412)));
    assert!(a.what.contains(&far_print.groups()) && a.what.contains(&other_print.groups()));
    // The dialler does.
    let (a, b) = link((&near, &near.pins(&[&other, &far]), far_print), (&far, &far.pins(&[&near, &other]), other_print));
    let (a, b) = (failure(a), failure(b));
    assert_eq!(((a.exit, a.id), (b.exit, b.id)), ((Exit::PeerKey, 412), (Exit::PeerKey, 411)));
}

#[test]
fn unpinned_revoked_and_own_keys_are_refused_before_anything_is_sent() {
    let (me, peer) = (party(), party());
    let (stop, nowhere) = (StopFlag::new(), LinkSpec::dial("127.0.0.1:1", ProxyChoice::Off));
    let attempt = |pins: &Pins, expected| failure(connect(&me.identity, pins, expected, &nowhere, &limits(), &stop));
    let started = Instant::now();
    let mut pins = me.pins(&[]);
    let refused = attempt(&pins, peer.identity.fingerprint());
    assert_eq!((refused.exit, refused.id), (Exit::PeerKey, 413));
    pins.add("peer", peer.identity.fingerprint()).unwrap();
    pins.revoke("peer").unwrap();
    let refused = attempt(&pins, peer.identity.fingerprint());
    assert_eq!((refused.exit, refused.id), (Exit::PeerKey, 414));
    let refused = attempt(&pins, me.identity.fingerprint());
    assert_eq!((refused.exit, refused.id), (Exit::Usage, 415));
    assert!(started.elapsed() < Duration::from_millis(500), "none of these waits");
}

#[test]
fn nobody_there_is_exit_code_10_and_a_bad_address_exit_code_2() {
    let (me, peer, stop) = (party(), party(), StopFlag::new());
    let (pins, expected) = (me.pins(&[&peer]), peer.identity.fingerprint());
    let limits = Limits { connect: Duration::from_millis(400), ..limits() };
    let attempt = |spec| failure(connect(&me.identity, &pins, expected, &spec, &limits, &stop));
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap().to_string();
    let refused = attempt(LinkSpec::listen(address.clone()));
    assert_eq!((refused.exit, refused.id), (Exit::Usage, 403));
    let refused = attempt(LinkSpec::bound(listener));
    assert_eq!((refused.exit, refused.id), (Exit::PeerGone, 402));
    let refused = attempt(LinkSpec::dial(address, ProxyChoice::Off));
    assert_eq!((refused.exit, refused.id), (Exit::PeerGone, 401));
    assert_eq!(attempt(LinkSpec::listen("nonsense")).exit, Exit::Usage);
    stop.raise();
    assert_eq!(attempt(LinkSpec::dial("127.0.0.1:1", ProxyChoice::Off)).exit, Exit::Interrupted);
}

/// Pairs two parties; returns both outcomes and what both were shown.
#[allow(clippy::type_complexity)]
fn paired(
    (near, near_side, near_answer): (&Party, Side, bool),
    (far, far_side, far_answer): (&Party, Side, bool),
) -> ([Result<Pin, Failure>; 2], [Option<PairingView>; 2]) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let dial = LinkSpec::dial(listener.local_address().unwrap().to_string(), ProxyChoice::Off);
    let (listen, stop) = (LinkSpec::bound(listener), StopFlag::new());
    let run = |me: &Party, side, spec, answer| {
        let mut shown = None;
        let mut confirm = |view: &PairingView| {
            shown = Some(view.clone());
            answer
        };
        let outcome = pair(&me.home, &me.identity, side, "peer", spec, &limits(), &stop, &crate::progress::Silent, &mut confirm);
        (outcome, shown)
    };
    std::thread::scope(|s| {
        let far = s.spawn(|| run(far, far_side, &dial, far_answer));
        let near = run(near, near_side, &listen, near_answer);
        let far = far.join().unwrap();
        ([near.0, far.0], [near.1, far.1])
    })
}

#[test]
fn pairing_pins_both_keys_if_both_people_agree() {
    // Owner listens, then the other way round.
    for (near_side, far_side) in [(Side::Owner, Side::Partner), (Side::Partner, Side::Owner)] {
        let (near, far) = (party(), party());
        let (near_print, far_print) = (near.identity.fingerprint(), far.identity.fingerprint());
        let ([a, b], [shown_a, shown_b]) = paired((&near, near_side, true), (&far, far_side, true));
        assert_eq!((a.unwrap().fingerprint, b.unwrap().fingerprint), (far_print, near_print));
        let (shown_a, shown_b) = (shown_a.unwrap(), shown_b.unwrap());
        assert_eq!(shown_a.code, shown_b.code);
        assert_eq!((shown_a.own, shown_a.peer), (shown_b.peer, shown_b.own));
        assert_eq!((shown_a.own, shown_a.peer_side), (near_print, far_side));
        // The pins are good for a run.
        let (a, b) = link((&near, &near.pins(&[]), far_print), (&far, &far.pins(&[]), near_print));
        assert!(a.is_ok() && b.is_ok());
    }
}

#[test]
fn pairing_pins_nothing_if_one_person_refuses() {
    for (near_answer, far_answer, ids) in [(true, false, (452, 451)), (false, true, (451, 452)), (false, false, (451, 451))] {
        let (near, far) = (party(), party());
        let ([a, b], _) = paired((&near, Side::Owner, near_answer), (&far, Side::Partner, far_answer));
        let (a, b) = (failure(a), failure(b));
        assert_eq!((a.exit, b.exit), (Exit::PeerKey, Exit::PeerKey));
        assert_eq!((a.id, b.id), ids);
        assert!(near.pins(&[]).list().is_empty() && far.pins(&[]).list().is_empty());
    }
}

#[test]
fn pairing_with_oneself_or_ones_like_is_refused_on_both_sides() {
    let (near, far) = (party(), party());
    let ([a, b], shown) = paired((&near, Side::Owner, true), (&far, Side::Owner, true));
    assert_eq!((failure(a).id, failure(b).id), (442, 442));
    assert_eq!(shown, [None, None]);
    let ([a, b], shown) = paired((&near, Side::Owner, true), (&near, Side::Partner, true));
    assert_eq!((failure(a).id, failure(b).id), (415, 415));
    assert_eq!(shown, [None, None]);
}

#[test]
fn a_revoked_key_cannot_come_back_by_pairing() {
    let (near, far) = (party(), party());
    near.pins(&[&far]).revoke("peer-0").unwrap();
    let ([a, b], [shown, _]) = paired((&near, Side::Owner, true), (&far, Side::Partner, true));
    let (a, b) = (failure(a), failure(b));
    assert_eq!((a.exit, a.id, shown), (Exit::PeerKey, 414, None));
    assert_eq!((b.exit, b.id), (Exit::PeerKey, 462));
    assert!(far.pins(&[]).list().is_empty());
}

#[test]
fn the_peers_exit_code_becomes_ours_where_the_verdict_is_shared() {
    let stopped = |code| Failure::from(ChannelError::PeerStopped { code, waiting_for: "hello" }).exit;
    let shared = [11, 12, 14, 15, 16, 20].map(stopped);
    assert_eq!(shared, [Exit::PeerKey, Exit::Contract, Exit::Overlap, Exit::NotConverged, Exit::Version, Exit::Interrupted]);
    assert_eq!([0, 1, 2, 10, 13, 17, 18, 19, 30, 255].map(stopped), [Exit::PeerGone; 10]);
    let broken = Failure::from(ChannelError::BadRecord { reason: "x".into() });
    assert_eq!(broken.exit, Exit::Protocol);
}
