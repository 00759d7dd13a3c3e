//! The link over loopback: what must work, and how each fault ends on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::frames::{ABORT, GIVE_UP, GO_ON, KEEP_ALIVE, Parser, SEGMENT, header};
use super::*;
use crate::HEADER_BYTES;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{scope, sleep, spawn};

const HELLO: Kind = Kind { code: 0x0901, name: "hello" };
const DATA: Kind = Kind { code: 0x0902, name: "data" };
const MILLIS: fn(u64) -> Duration = Duration::from_millis;

fn key() -> IdentityKey {
    IdentityKey::from_pkcs8(&IdentityKey::generate_pkcs8().unwrap()).unwrap()
}

fn pinned(key: &IdentityKey) -> ExpectedPeer {
    ExpectedPeer::Pinned(key.fingerprint())
}

fn limits() -> Limits {
    Limits { connect: MILLIS(3000), handshake: MILLIS(1500), idle: MILLIS(3000), ..Limits::default() }
}

type Outcome = Result<TlsChannel, ChannelError>;

/// Connects through `address_of` (which may put a proxy between); either end has its own key, expectation and limits.
fn connect(
    (near, near_expects): (&IdentityKey, ExpectedPeer),
    (far, far_expects): (&IdentityKey, ExpectedPeer),
    (near_limits, far_limits): (&Limits, &Limits),
    address_of: impl FnOnce(String) -> String,
) -> (Outcome, Outcome) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = address_of(listener.local_address().unwrap().to_string());
    let stop = StopFlag::new();
    scope(|s| {
        let dialled = s.spawn(|| dial(&address, far, far_expects, far_limits, &stop));
        let accepted = listener.accept(near, near_expects, near_limits, &stop);
        (accepted, dialled.join().unwrap())
    })
}

fn pair_with(near_limits: &Limits, far_limits: &Limits) -> (TlsChannel, TlsChannel) {
    let (near, far) = (key(), key());
    let (a, b) = connect((&near, pinned(&far)), (&far, pinned(&near)), (near_limits, far_limits), |address| address);
    (a.unwrap(), b.unwrap())
}

fn pair() -> (TlsChannel, TlsChannel) {
    pair_with(&limits(), &limits())
}

fn send_raw(link: &TlsChannel, bytes: &[u8]) {
    link.outbox().raw(&link.shared.connection, bytes).unwrap();
}

#[test]
fn both_ends_know_each_other_and_count_alike() {
    let (near, far) = (key(), key());
    let connect = || connect((&near, pinned(&far)), (&far, pinned(&near)), (&limits(), &limits()), |address| address);
    let (a, b) = connect();
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.peer(), b.peer()), (far.fingerprint(), near.fingerprint()));
    assert_eq!(a.session_id(), b.session_id());
    let (c, _d) = connect();
    assert_ne!(a.session_id(), c.unwrap().session_id());
    let (mut m, mut n) = crate::memory::pair();
    let talk = |x: &mut dyn Channel, y: &mut dyn Channel| {
        x.send(HELLO, b"hi").unwrap();
        x.send(DATA, &vec![7; 3 * SEGMENT]).unwrap();
        assert_eq!(y.receive(HELLO, 2).unwrap(), b"hi");
        assert_eq!(y.receive_at_most(DATA, 1 << 20).unwrap(), vec![7; 3 * SEGMENT]);
        y.send(HELLO, b"").unwrap();
        assert_eq!(x.receive(HELLO, 0).unwrap(), b"");
        (x.counters(), y.counters())
    };
    assert_eq!(talk(&mut a, &mut b), talk(&mut m, &mut n));
}

#[test]
fn any_key_is_let_in_for_pairing_only() {
    let (near, far) = (key(), key());
    let any = ExpectedPeer::AnyForPairing;
    let (a, b) = connect((&near, any), (&far, any), (&limits(), &limits()), |address| address);
    assert_eq!((a.unwrap().peer(), b.unwrap().peer()), (far.fingerprint(), near.fingerprint()));
}

#[test]
fn a_wrong_key_is_told_on_both_sides() {
    let (near, far, other) = (key(), key(), key());
    let mismatch = |expected: &IdentityKey, got: &IdentityKey| ChannelError::KeyMismatch {
        expected: expected.fingerprint().groups(),
        got: got.fingerprint().groups(),
    };
    // The listener has pinned another key: the dialler completes its handshake first and learns it from the alert, at any
    // moment of its first frame.
    for _ in 0..20 {
        let (a, b) = connect((&near, pinned(&other)), (&far, pinned(&near)), (&limits(), &limits()), |address| address);
        assert_eq!((a.unwrap_err(), b.unwrap_err()), (mismatch(&other, &far), ChannelError::KeyRefused));
    }
    // The dialler has pinned another key.
    let (a, b) = connect((&near, pinned(&far)), (&far, pinned(&other)), (&limits(), &limits()), |address| address);
    assert_eq!((a.unwrap_err(), b.unwrap_err()), (ChannelError::KeyRefused, mismatch(&other, &near)));
}

/// Knowing the pinned public key is not enough: the handshake must be signed by its private half.
#[test]
fn a_shown_key_without_its_private_half_is_refused() {
    let (near, far) = (key(), key());
    let thief = |victim: &IdentityKey| {
        let mut thief = key();
        thief.certified = Arc::new(rustls::sign::CertifiedKey::new(victim.certified.cert.clone(), thief.certified.key.clone()));
        thief
    };
    let short = Limits { connect: MILLIS(600), ..limits() };
    for expected in [[pinned(&far), pinned(&near)], [ExpectedPeer::AnyForPairing; 2]] {
        let (a, b) = connect((&near, expected[0]), (&thief(&far), expected[1]), (&short, &short), |address| address);
        assert!(a.is_err() && b.is_err(), "dialling");
        let (a, b) = connect((&thief(&near), expected[0]), (&far, expected[1]), (&short, &short), |address| address);
        assert!(a.is_err() && b.is_err(), "listening");
    }
}

#[test]
fn large_messages_cross_without_waiting_for_each_other() {
    let (mut a, mut b) = pair();
    let length = 32 << 20;
    let exchange = |link: &mut TlsChannel, own: u8, other: u8| {
        link.send(DATA, &vec![own; length]).unwrap();
        for _ in 0..4 {
            link.send(DATA, &vec![own; length / 4]).unwrap();
        }
        assert!(link.receive(DATA, length).unwrap().iter().all(|&byte| byte == other));
        for _ in 0..4 {
            assert!(link.receive(DATA, length / 4).unwrap().iter().all(|&byte| byte == other));
        }
    };
    scope(|s| {
        s.spawn(|| exchange(&mut a, 1, 2));
        s.spawn(|| exchange(&mut b, 2, 1));
    });
}

#[test]
fn a_full_queue_pauses_the_sender_and_loses_nothing() {
    let small = Limits { queue_bytes: 1 << 20, ..limits() };
    let (mut a, mut b) = pair_with(&small, &small);
    let sender = spawn(move || {
        for i in 0..64_u8 {
            a.send(DATA, &vec![i; 1 << 19]).unwrap();
        }
        a.close();
    });
    sleep(MILLIS(300));
    assert!(!sender.is_finished());
    for i in 0..64_u8 {
        assert_eq!(b.receive(DATA, 1 << 19).unwrap(), vec![i; 1 << 19]);
    }
    assert_eq!(b.receive(DATA, 1), Err(ChannelError::Closed { waiting_for: "data" }));
    sender.join().unwrap();
}

#[test]
fn what_was_sent_before_the_end_still_arrives() {
    let (mut a, mut b) = pair();
    a.send(HELLO, b"last").unwrap();
    drop(a);
    sleep(MILLIS(100));
    assert_eq!(b.receive(HELLO, 4).unwrap(), b"last");
    assert_eq!(b.receive(HELLO, 4), Err(ChannelError::Closed { waiting_for: "hello" }));
    assert_eq!(b.send(HELLO, b"x"), Err(ChannelError::Closed { waiting_for: "hello" }));
}

#[test]
fn a_cut_link_ends_every_wait() {
    let (mut a, mut b) = pair();
    scope(|s| {
        let waiting = s.spawn(|| b.receive(HELLO, 4));
        sleep(MILLIS(50));
        // No farewell: as when the peer is killed.
        a.socket.shutdown(Shutdown::Both).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(ChannelError::Closed { waiting_for: "hello" }));
    });
    assert!(matches!(a.send(DATA, &[0; 1000]), Err(ChannelError::Closed { .. })));
}

#[test]
fn a_silent_peer_is_left_and_a_computing_one_is_not() {
    let mute = Limits { keep_alive: Duration::from_secs(3600), ..limits() };
    let impatient = Limits { idle: MILLIS(400), ..limits() };
    let (mut a, mut b) = pair_with(&impatient, &mute);
    let started = Instant::now();
    assert_eq!(a.receive(HELLO, 1), Err(ChannelError::Timeout { waiting_for: "hello", seconds: 1 }));
    assert!(started.elapsed() >= MILLIS(400) && started.elapsed() < MILLIS(800));
    // The failure is final.
    b.send(HELLO, b"x").unwrap();
    sleep(MILLIS(50));
    assert!(a.receive(HELLO, 1).is_err());

    let lively = Limits { keep_alive: MILLIS(100), ..limits() };
    let (mut a, mut b) = pair_with(&impatient, &lively);
    let before = b.counters();
    let computing = spawn(move || {
        sleep(MILLIS(1200));
        b.send(HELLO, b"x").unwrap();
        (b.counters(), b)
    });
    assert_eq!(a.receive(HELLO, 1).unwrap(), b"x");
    let (after, _b) = computing.join().unwrap();
    assert_eq!((after.messages_sent - before.messages_sent, a.counters().messages_received), (1, 1));
    assert_eq!(a.counters().bytes_received, 1 + HEADER_BYTES as u64);
}

#[test]
fn the_total_deadline_ends_even_a_lively_link() {
    let lively = Limits { keep_alive: MILLIS(50), ..limits() };
    let (mut a, _b) = pair_with(&Limits { total: MILLIS(600), ..limits() }, &lively);
    let started = Instant::now();
    assert_eq!(a.receive(HELLO, 1), Err(ChannelError::Timeout { waiting_for: "hello", seconds: 1 }));
    assert!(started.elapsed() < MILLIS(900));
    assert!(matches!(a.watch().check("sums"), Err(ChannelError::Timeout { .. })));
}

#[test]
fn lengths_and_kinds_are_judged_by_the_header() {
    let (mut a, mut b) = pair();
    a.send(HELLO, &[0; 100]).unwrap();
    let oversized = Err(ChannelError::Oversized { kind: "hello", claimed: 100, cap: 10 });
    assert_eq!(b.receive(HELLO, 10), oversized);
    assert_eq!(b.receive(HELLO, 100), oversized, "the first error is final");

    // The claim alone decides, before any payload has come.
    let (a, mut b) = pair();
    send_raw(&a, &header(1, HELLO.code, 1 << 25));
    assert!(matches!(b.receive(HELLO, 10), Err(ChannelError::Oversized { claimed: 0x200_0000, cap: 10, .. })));

    let (a, mut b) = pair();
    send_raw(&a, &header(1, HELLO.code, u32::MAX));
    assert!(matches!(b.receive(HELLO, MAX_FRAME), Err(ChannelError::Oversized { claimed: 0xffff_ffff, cap: MAX_FRAME, .. })));

    let (mut a, mut b) = pair();
    a.send(DATA, b"x").unwrap();
    assert_eq!(b.receive(HELLO, 1), Err(ChannelError::WrongKind { expected: "hello", got: DATA.code }));

    let (mut a, mut b) = pair();
    a.send(HELLO, b"x").unwrap();
    assert_eq!(b.receive(HELLO, 2), Err(ChannelError::WrongLength { kind: "hello", expected: 2, got: 1 }));

    let (mut a, _b) = pair();
    assert!(matches!(a.send(DATA, &vec![0; MAX_FRAME + 1]), Err(ChannelError::TooLarge { .. })));
    for code in [KEEP_ALIVE, ABORT] {
        assert!(matches!(a.send(Kind { code, name: "x" }, b""), Err(ChannelError::ReservedKind { .. })));
    }
    assert!(a.send(DATA, b"").is_ok());
}

#[test]
fn keep_alives_carry_plain_words_of_one_length() {
    let lively = Limits { keep_alive: MILLIS(50), ..limits() };
    let (a, b) = pair_with(&lively, &lively);
    let (near, far) = (a.pulse(), b.pulse());
    assert_eq!((near.heard(), far.heard()), (None, None));
    near.tell("training, 41 %\u{1b}[2J and more than thirty-two bytes");
    let deadline = Instant::now() + Duration::from_secs(5);
    while far.heard().is_none() && Instant::now() < deadline {
        std::thread::sleep(MILLIS(10));
    }
    assert_eq!(far.heard().unwrap(), "training, 41 %?[2J and more than");
    // An older program says nothing, and a newer one may not say more.
    let (a, mut b) = pair();
    send_raw(&a, &[&header(1, KEEP_ALIVE, 0)[..], &header(2, HELLO.code, 0)].concat());
    assert_eq!(b.receive(HELLO, 0), Ok(Vec::new()));
    let (a, mut b) = pair();
    send_raw(&a, &[&header(1, KEEP_ALIVE, 33)[..], &[0; 33]].concat());
    assert!(matches!(b.receive(HELLO, 0), Err(ChannelError::BadRecord { .. })));
}

#[test]
fn repeated_and_skipped_frames_are_seen() {
    for (sent, got) in [(0, 0), (2, 2), (u64::MAX, u64::MAX)] {
        let (a, mut b) = pair();
        send_raw(&a, &header(sent, HELLO.code, 0));
        assert_eq!(b.receive(HELLO, 0), Err(ChannelError::WrongStep { kind: "hello", expected: 1, got }));
        assert!(matches!(b.send(HELLO, b""), Err(ChannelError::WrongStep { .. })));
    }
}

#[test]
fn malformed_control_frames_and_marks_are_refused() {
    let long_keep_alive = [&header(1, KEEP_ALIVE, 1)[..], &[0]].concat();
    let long_abort = [&header(1, ABORT, 2)[..], &[0, 0]].concat();
    let bad_mark = [&header(1, DATA.code, SEGMENT as u32 + 1)[..], &vec![0; SEGMENT], &[2]].concat();
    for bytes in [long_keep_alive, long_abort, bad_mark] {
        let (a, mut b) = pair();
        for part in bytes.chunks(1 << 15) {
            send_raw(&a, part);
        }
        assert!(matches!(b.receive(DATA, SEGMENT + 1), Err(ChannelError::BadRecord { .. })));
    }
}

#[test]
fn garbage_before_the_handshake_does_not_end_the_wait() {
    let (near, far) = (key(), key());
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap().to_string();
    let stop = StopFlag::new();
    let limits = Limits { handshake: MILLIS(400), ..limits() };
    scope(|s| {
        let accepted = s.spawn(|| listener.accept(&near, pinned(&far), &limits, &stop));
        let mut silent = Vec::new();
        for i in 0..100_u8 {
            let mut socket = TcpStream::connect(&address).unwrap();
            match i % 4 {
                0 => drop(socket),
                1 => socket.write_all(&[i; 5000]).unwrap(),
                // A TLS record that never ends, and an unencrypted "access denied" alert.
                2 => socket.write_all(&[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc]).unwrap(),
                _ => socket.write_all(&[21, 3, 3, 0, 2, 2, 49]).unwrap(),
            }
            if i % 8 == 1 {
                silent.push(TcpStream::connect(&address).unwrap());
            }
        }
        // A TLS program without our protocol name or key.
        let mut stranger = stranger();
        let mut socket = TcpStream::connect(&address).unwrap();
        assert!(stranger.complete_io(&mut socket).is_err());
        assert!(!accepted.is_finished());
        let mut b = dial(&address, &far, pinned(&near), &limits, &stop).unwrap();
        let mut a = accepted.join().unwrap().unwrap();
        b.send(HELLO, b"x").unwrap();
        assert_eq!(a.receive(HELLO, 1).unwrap(), b"x");
    });
}

/// A TLS 1.3 end that dials without a key of its own.
fn stranger() -> rustls::ClientConnection {
    #[derive(Debug)]
    struct Anyone;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};
    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    rustls::ClientConnection::new(Arc::new(config), "colift.invalid".try_into().unwrap()).unwrap()
}

#[test]
fn nobody_there_is_told_after_the_connect_deadline() {
    let limits = Limits { connect: MILLIS(500), ..limits() };
    let (near, far, stop) = (key(), key(), StopFlag::new());
    let started = Instant::now();
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let timeout = listener.accept(&near, pinned(&far), &limits, &stop).unwrap_err();
    assert_eq!(timeout, ChannelError::Timeout { waiting_for: "the peer to connect", seconds: 1 });
    let address = listener.local_address().unwrap().to_string();
    drop(listener);
    assert!(matches!(dial(&address, &far, pinned(&near), &limits, &stop), Err(ChannelError::Io { doing: "dialling", .. })));
    assert!(started.elapsed() < MILLIS(2500));
    assert!(matches!(Listener::bind("nonsense"), Err(ChannelError::Io { doing: "listening", .. })));
}

#[test]
fn the_dialler_may_start_first_and_another_program_on_the_port_is_no_end() {
    let (near, far, stop) = (key(), key(), StopFlag::new());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    scope(|s| {
        let dialled = s.spawn(|| dial(&address, &far, pinned(&near), &limits(), &stop));
        // First an unrelated program answers, then nobody, then our peer.
        other.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(other);
        sleep(MILLIS(300));
        let listener = Listener::bind(&address).unwrap();
        listener.accept(&near, pinned(&far), &limits(), &stop).unwrap();
        dialled.join().unwrap().unwrap();
    });
}

#[test]
fn the_stop_flag_ends_every_wait() {
    let quickly = |started: Instant| assert!(started.elapsed() < MILLIS(500), "{:?}", started.elapsed());
    let raise_soon = |stop: &StopFlag| {
        let stop = stop.clone();
        spawn(move || {
            sleep(MILLIS(200));
            stop.raise();
        })
    };
    // Listening and dialling.
    let (near, far) = (key(), key());
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let stop = StopFlag::new();
    let started = Instant::now();
    raise_soon(&stop);
    assert!(matches!(listener.accept(&near, pinned(&far), &limits(), &stop), Err(ChannelError::Interrupted { .. })));
    quickly(started);
    // A port that accepts and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let stop = StopFlag::new();
    let started = Instant::now();
    raise_soon(&stop);
    let address = mute.local_addr().unwrap().to_string();
    assert!(matches!(dial(&address, &far, pinned(&near), &limits(), &stop), Err(ChannelError::Interrupted { .. })));
    quickly(started);
    // Receiving; the peer then learns our exit code.
    let (mut a, mut b) = pair();
    let started = Instant::now();
    raise_soon(&a.stop);
    // Both ends of the test share one flag: give the far end its own.
    b.stop = StopFlag::new();
    assert_eq!(a.receive(HELLO, 1), Err(ChannelError::Interrupted { waiting_for: "hello" }));
    quickly(started);
    assert!(matches!(a.watch().check("sums"), Err(ChannelError::Interrupted { .. })));
    a.abort(20);
    assert_eq!(b.receive(HELLO, 1), Err(ChannelError::PeerStopped { code: 20, waiting_for: "hello" }));
}

#[test]
fn a_peer_that_connects_and_stops_at_once_is_heard() {
    // Its farewell may arrive together with the "ready" frame: the wait then ends with it and does not go on for another peer.
    for _ in 0..20 {
        let (near, far) = (key(), key());
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap().to_string();
        let stop = StopFlag::new();
        let heard = scope(|s| {
            s.spawn(|| dial(&address, &far, pinned(&near), &limits(), &stop).unwrap().abort(20));
            listener.accept(&near, pinned(&far), &limits(), &stop).and_then(|mut link| link.receive(HELLO, 1))
        });
        assert!(matches!(heard, Err(ChannelError::PeerStopped { code: 20, .. })), "{heard:?}");
    }
}

#[test]
fn an_abort_is_heard_while_waiting_computing_and_in_the_middle_of_a_message() {
    // The peer waits.
    let (a, mut b) = pair();
    scope(|s| {
        let waiting = s.spawn(|| b.receive(HELLO, 1));
        sleep(MILLIS(50));
        let started = Instant::now();
        a.abort(14);
        assert_eq!(waiting.join().unwrap(), Err(ChannelError::PeerStopped { code: 14, waiting_for: "hello" }));
        assert!(started.elapsed() < MILLIS(500));
    });
    // The peer computes and has messages queued: an interruption goes first, a verdict comes after them.
    let (mut a, mut b) = pair();
    a.send(HELLO, b"x").unwrap();
    a.abort(20);
    b.shared.inbox.wait_for_end(Instant::now() + MILLIS(500), None);
    assert_eq!(b.receive(HELLO, 1), Err(ChannelError::PeerStopped { code: 20, waiting_for: "hello" }));
    let (mut a, mut b) = pair();
    a.send(HELLO, b"x").unwrap();
    a.abort(1);
    let heard = b.shared.inbox.wait_for_end(Instant::now() + MILLIS(500), None);
    assert_eq!(heard, Some(End::Stopped(1)));
    assert_eq!(b.watch().check("sums"), Err(ChannelError::PeerStopped { code: 1, waiting_for: "sums" }));
    assert_eq!(b.receive(HELLO, 1).unwrap(), b"x");
    assert_eq!(b.receive(HELLO, 1), Err(ChannelError::PeerStopped { code: 1, waiting_for: "hello" }));
    assert_eq!(b.send(HELLO, b""), Err(ChannelError::PeerStopped { code: 1, waiting_for: "hello" }));
    // We are stopped inside a long message, because the peer's queue is full.
    let small = Limits { queue_bytes: 1 << 20, ..limits() };
    let (mut a, mut b) = pair_with(&small, &small);
    b.stop = StopFlag::new();
    let stop = a.stop.clone();
    let sender = spawn(move || {
        let outcome = loop {
            if let Err(error) = a.send(DATA, &vec![0; 8 << 20]) {
                break error;
            }
        };
        assert!(a.outbox_is_inside());
        a.abort(20);
        outcome
    });
    sleep(MILLIS(300));
    stop.raise();
    sleep(MILLIS(300));
    let outcome = loop {
        if let Err(error) = b.receive(DATA, 8 << 20) {
            break error;
        }
    };
    assert_eq!(sender.join().unwrap(), ChannelError::Interrupted { waiting_for: "data" });
    assert_eq!(outcome, ChannelError::PeerStopped { code: 20, waiting_for: "data" });
}

impl TlsChannel {
    fn outbox_is_inside(&self) -> bool {
        self.outbox().is_inside_message()
    }
}

/// Passes bytes both ways and flips one bit of the byte number `at` of what the dialler sends.
fn flipping_proxy(target: String, at: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    spawn(move || {
        let near = listener.accept().unwrap().0;
        let far = TcpStream::connect(target).unwrap();
        let pass = |mut from: TcpStream, mut to: TcpStream, at: usize| {
            spawn(move || {
                let (mut buffer, mut passed) = ([0; 1 << 12], 0);
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    if let Some(byte) = at.checked_sub(passed).and_then(|i| buffer[..count].get_mut(i)) {
                        *byte ^= 4;
                    }
                    passed += count;
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            })
        };
        pass(far.try_clone().unwrap(), near.try_clone().unwrap(), usize::MAX);
        pass(near, far, at);
    });
    address
}

#[test]
fn a_flipped_bit_on_the_way_is_an_error_on_both_sides() {
    let (near, far) = (key(), key());
    let (a, b) = connect((&near, pinned(&far)), (&far, pinned(&near)), (&limits(), &limits()), |address| flipping_proxy(address, 20_000));
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    // The far end may learn it while it still sends, or afterwards.
    let sent = b.send(DATA, &vec![1; 100_000]);
    assert!(matches!(sent, Ok(()) | Err(ChannelError::BadRecord { .. })), "{sent:?}");
    assert!(matches!(a.receive(DATA, 100_000), Err(ChannelError::BadRecord { .. })));
    assert!(matches!(b.receive(HELLO, 1), Err(ChannelError::BadRecord { .. })));
}

/// The parser gives the same messages however the bytes are portioned, and forgets a message that is given up.
#[test]
fn portions_do_not_matter() {
    let mut stream = Vec::new();
    stream.extend(header(0, HELLO.code, 3));
    stream.extend(b"abc");
    stream.extend(header(1, KEEP_ALIVE, 0));
    let long: Vec<u8> = (0..2 * SEGMENT + 5).map(|i| (i * 7) as u8).collect();
    stream.extend(header(2, DATA.code, long.len() as u32));
    for (i, segment) in long.chunks(SEGMENT).enumerate() {
        stream.extend((i > 0).then_some(GO_ON));
        stream.extend(segment);
    }
    stream.extend(header(3, DATA.code, 1 << 20));
    stream.extend(vec![9; SEGMENT]);
    stream.push(GIVE_UP);
    stream.extend(header(4, HELLO.code, 0));
    let end = [&header(5, ABORT, 1)[..], &[13]].concat();
    for portion in [1, 2, 13, 14, 15, 1000, SEGMENT, SEGMENT + 15, stream.len()] {
        let (inbox, mut parser, stop) = (Inbox::new(1 << 30), Parser::new(), StopFlag::new());
        for part in stream.chunks(portion) {
            parser.feed(part, &inbox).unwrap();
        }
        let patience = Patience { stop: &stop, idle: MILLIS(50), total: MILLIS(50), total_at: after(MILLIS(5000)) };
        assert_eq!(inbox.take(HELLO, 3, &patience).unwrap(), b"abc");
        assert_eq!(inbox.take(DATA, long.len(), &patience).unwrap(), long);
        assert_eq!(inbox.take(HELLO, 0, &patience).unwrap(), b"");
        assert!(matches!(inbox.take(HELLO, 0, &patience), Err(ChannelError::Timeout { .. })));
        let last: Vec<_> = end.chunks(portion).map(|part| parser.feed(part, &inbox)).collect();
        assert_eq!(last.last().unwrap(), &Err(End::Stopped(13)));
    }
}

/// Empty messages cannot fill the memory either.
#[test]
fn the_queue_is_capped_for_empty_messages_too() {
    let inbox = Arc::new(Inbox::new(10_000));
    let filler = spawn({
        let inbox = inbox.clone();
        move || (0..1000).for_each(|_| inbox.announce(HELLO.code, 0))
    });
    sleep(MILLIS(200));
    assert!(!filler.is_finished());
    inbox.discard();
    filler.join().unwrap();
}
