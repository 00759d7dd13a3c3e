//! Faults of the link between the two programs: cut, turned bits, garbage, silence, strangers, and a peer with the right key that lies.

use crate::path::bytes_each_way;
use crate::proxy::{Fault, Proxy, Way};
use crate::world::{Ended, HANG, Program, World, overlap_only, results, set, together};
use colift::data::Side;
use colift_channel::tls::{ExpectedPeer, IdentityKey, Limits, TlsChannel, dial};
use colift_channel::{Channel, Kind, StopFlag};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Runs both programs through a relay with a fault; both must end with one of these codes and leave nothing.
fn run_with(fault: Fault, training: bool, connect: &str, codes: &[i32]) -> [Ended; 2] {
    let world = World::new();
    let proxy = Proxy::start(world.port, fault);
    world.jobs(|side, job| {
        if !training {
            overlap_only(job);
        }
        if side == Side::Partner {
            set(job, "private.link.dial", format!("127.0.0.1:{}", proxy.port));
        }
    });
    let ended = world.run_both(&["--connect-timeout", connect]);
    let about = format!("{fault:?}");
    assert!(proxy.committed(), "{about}: the fault was never reached");
    for side in &ended {
        side.failed(codes, &[], &about);
        assert!(side.took < Duration::from_secs(60), "{about}: the {} took {:?}", side.side, side.took);
        world.left_nothing(side.side, &about);
    }
    println!("{about}: owner {:?}, partner {:?}", ended[0].code, ended[1].code);
    ended
}

/// A share of the bytes of one way of a whole run.
fn share(way: Way, share: f64) -> u64 {
    let (dialler, listener) = bytes_each_way();
    (share * if way == Way::Dialler { dialler } else { listener }) as u64
}

#[test]
fn a_cut_link_ends_both_sides() {
    bytes_each_way();
    let _machine = together();
    // Before the handshake's end: either side tries again until its deadline.
    std::thread::scope(|scope| {
        for (way, at) in [(Way::Dialler, 0), (Way::Dialler, 90), (Way::Listener, 60), (Way::Listener, 500)] {
            scope.spawn(move || run_with(Fault::Cut(way, at), false, "3", &[10]));
        }
    });
    // In the midst of greeting, terms and matching.
    for (way, at) in [(Way::Dialler, 1_500), (Way::Listener, 2_500), (Way::Dialler, 12_000)] {
        run_with(Fault::Cut(way, at), true, "3", &[10]);
    }
    // In the training.
    for (way, part) in [(Way::Dialler, 0.01), (Way::Listener, 0.2), (Way::Dialler, 0.5), (Way::Listener, 0.8), (Way::Dialler, 0.99)] {
        run_with(Fault::Cut(way, share(way, part)), true, "3", &[10]);
    }
}

#[test]
fn a_turned_bit_or_foreign_bytes_are_never_taken() {
    bytes_each_way();
    let _machine = together();
    std::thread::scope(|scope| {
        for fault in [
            Fault::Flip(Way::Dialler, 50),
            Fault::Flip(Way::Listener, 200),
            Fault::Garbage(Way::Dialler, 0),
            Fault::Garbage(Way::Listener, 0),
        ] {
            scope.spawn(move || run_with(fault, false, "3", &[10, 19]));
        }
    });
    for fault in [
        Fault::Flip(Way::Dialler, 1_500),
        Fault::Flip(Way::Listener, share(Way::Listener, 0.02)),
        Fault::Flip(Way::Dialler, share(Way::Dialler, 0.5)),
        Fault::Garbage(Way::Listener, share(Way::Listener, 0.3)),
        Fault::Garbage(Way::Dialler, share(Way::Dialler, 0.05)),
    ] {
        let ended = run_with(fault, true, "3", &[10, 19]);
        // Whoever read the bytes says so.
        let reader = match fault {
            Fault::Flip(Way::Dialler, _) | Fault::Garbage(Way::Dialler, _) => Side::Owner,
            _ => Side::Partner,
        };
        ended[reader as usize].failed(&[19], &["cannot be read"], &format!("{fault:?}"));
    }
}

#[test]
fn a_silent_link_ends_both_sides_at_the_idle_deadline() {
    bytes_each_way();
    let _machine = together();
    std::thread::scope(|scope| {
        for (way, at) in [(Way::Dialler, 2_000), (Way::Listener, share(Way::Listener, 0.3))] {
            scope.spawn(move || {
                for side in run_with(Fault::Stall(way, at), true, "20", &[10]) {
                    assert!(side.err.contains("no answer within 5 s"), "{}", side.err);
                }
            });
        }
    });
}

#[test]
fn strangers_at_the_port_hurt_nobody() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, job| overlap_only(job));
    let owner = world.start_run(Side::Owner, &[]);
    owner.wait_for("reading done");
    let reach = || {
        let deadline = Instant::now() + HANG;
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, world.port)) {
                Ok(stream) => return stream,
                Err(_) => assert!(Instant::now() < deadline, "the owner never listened"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // One that says nothing and stays, one that leaves at once, and three that talk.
    let silent = reach();
    drop(reach());
    for words in [&b"GET / HTTP/1.1\r\nHost: owner\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0], &[0u8; 70_000]] {
        let mut stream = reach();
        let _ = stream.write_all(words);
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 100, "a stranger got {} bytes", answer.len());
    }
    let partner = world.start_run(Side::Partner, &[]);
    for ended in [owner.ended(HANG), partner.ended(HANG)] {
        assert!(ended.fine().out.starts_with("503 common users"), "{}", ended.out);
    }
    drop(silent);

    // The dialler meets a stranger.
    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = stranger.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in stranger.incoming().take(40) {
            let _ = stream.and_then(|mut stream| stream.write_all(b"220 mail.example.net ESMTP\r\n"));
        }
    });
    let other = World::new();
    other.job(Side::Partner, |job| {
        overlap_only(job);
        set(job, "private.link.dial", format!("127.0.0.1:{port}"));
    });
    other.start_run(Side::Partner, &["--connect-timeout", "1"]).ended(HANG).failed(&[10], &["was reached, but"], "a stranger listens");
    other.left_nothing(Side::Partner, "a stranger listens");
}

/// A small HTTP proxy that asks for `user:secret` (base64 of it below) and knows CONNECT only; the requests that it got.
fn connect_proxy(answer: Option<&'static str>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, requests) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let noted = requests.clone();
    std::thread::spawn(move || {
        for mut dialler in listener.incoming().map_while(Result::ok) {
            let (mut request, mut byte) = (Vec::new(), [0u8; 1]);
            while !request.ends_with(b"\r\n\r\n") && dialler.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            noted.lock().unwrap().push(request.clone());
            if let Some(answer) = answer {
                let _ = dialler.write_all(answer.as_bytes());
                continue;
            }
            if !request.contains("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n") {
                let _ = dialler.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(' ')).unwrap().0;
            // The peer may start later: until then the proxy cannot reach it.
            let Ok(peer) = TcpStream::connect(target) else {
                let _ = dialler.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
                continue;
            };
            dialler.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            for (mut from, mut to) in [(dialler.try_clone().unwrap(), peer.try_clone().unwrap()), (peer, dialler)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (port, requests)
}

#[test]
fn a_whole_run_passes_through_an_http_proxy() {
    let _machine = together();
    let world = World::new();
    let (port, requests) = connect_proxy(None);
    let job = |proxy: String| {
        world.jobs(|side, job| {
            if side == Side::Partner {
                set(job, "private.link.proxy", proxy.clone());
            }
        });
    };
    job(format!("http://user:secret@127.0.0.1:{port}"));
    // The dialler first: the proxy cannot reach the listener yet.
    let partner = world.start_run(Side::Partner, &[]);
    partner.wait_for("it answered 502: it cannot reach the peer");
    let owner = world.start_run(Side::Owner, &[]);
    for ended in [owner.ended(HANG), partner.ended(HANG)] {
        assert!(!ended.fine().err.contains("secret") && !ended.err.contains("dXNl"), "{}", ended.err);
        let log = results(&world, ended.side, &ended).join("run.log");
        assert!(!std::fs::read_to_string(log).unwrap().contains("secret"));
    }
    let asked = requests.lock().unwrap().clone();
    assert!(asked.len() >= 2 && asked.iter().all(|request| request.starts_with(&format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", world.port))));
    // Doctor with a flag, both sides at once.
    let address = format!("127.0.0.1:{}", world.port);
    let through = format!("http://user:secret@127.0.0.1:{port}");
    let [owner, partner] = [
        world.start(Side::Owner, &["doctor", "--listen", &address]),
        world.start(Side::Partner, &["doctor", "--dial", &address, "--proxy", &through]),
    ]
    .map(|program| program.ended(HANG));
    assert!(owner.fine().out.contains("round trip") && partner.fine().out.contains("round trip"));

    // A refusal ends the try at once and says what to do; no password in it.
    for (user, words) in [("", "it wants a user"), ("user:wrong@", "it did not accept the user and password")] {
        job(format!("http://{user}127.0.0.1:{port}"));
        let ended = world.start_run(Side::Partner, &[]).ended(HANG);
        ended.failed(&[10], &["E0480", "with status 407", words, &format!("127.0.0.1:{port}")], words);
        assert!(!ended.err.contains("wrong") && ended.took < Duration::from_secs(10), "{:?}: {}", ended.took, ended.err);
        assert_eq!(world.left(Side::Partner).len(), 1, "{words}: something besides the good run is left");
    }
    for (answer, words) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "its rules forbid CONNECT"),
        ("HTTP/1.1 405 Method Not Allowed\r\n\r\n", "check that it is an HTTP proxy"),
        ("220 mail.example.net ESMTP\r\n\r\n", "its answer is not HTTP"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "whether the proxy may reach that address"),
    ] {
        let (port, _) = connect_proxy(Some(answer));
        job(format!("http://127.0.0.1:{port}"));
        world.start_run(Side::Partner, &["--connect-timeout", "1"]).ended(HANG).failed(&[10], &[words], words);
    }
    // The environment's proxy is not for this very machine, and the job's word goes before it.
    job("none".to_owned());
    let partner = || {
        world.sign(Side::Partner, "job.toml");
        let mut command = world.command(Side::Partner, &["run", "--job", "job.toml", "--connect-timeout", "20"]);
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env_remove("NO_PROXY").env_remove("no_proxy");
        Program::start(Side::Partner, command)
    };
    let (owner, partner) = (world.start_run(Side::Owner, &[]), partner());
    for ended in [owner.ended(HANG), partner.ended(HANG)] {
        ended.fine();
    }
}

const GREETING: Kind = Kind { code: 0x0101, name: "greeting" };
const TERMS: Kind = Kind { code: 0x0120, name: "shared part of the job" };
const SIGNATURE: Kind = Kind { code: 0x0123, name: "signature of the contract" };
const OTHER: Kind = Kind { code: 0x0999, name: "nothing of the protocol" };

/// A partner with the right key that speaks as it likes; returns how the owner ended.
fn owner_meets(speak: impl FnOnce(&mut TlsChannel)) -> Ended {
    let world = World::new();
    world.jobs(|_, job| overlap_only(job));
    let owner = world.start_run(Side::Owner, &[]);
    let key = IdentityKey::from_pkcs8(&std::fs::read(world.home(Side::Partner).join("identity.pkcs8")).unwrap()).unwrap();
    let expected = ExpectedPeer::Pinned(world.print(Side::Owner).parse().unwrap());
    let address = format!("127.0.0.1:{}", world.port);
    let limits = Limits { connect: Duration::from_secs(20), idle: Duration::from_secs(10), ..Limits::default() };
    let mut link = dial(&address, &key, expected, &limits, &StopFlag::new()).unwrap();
    speak(&mut link);
    let ended = owner.ended(HANG);
    world.left_nothing(Side::Owner, "a lying peer");
    ended
}

/// A greeting of these wire versions and this role.
fn greeting(low: u16, high: u16, role: u8) -> Vec<u8> {
    let mut bytes = b"colift//".to_vec();
    bytes.extend(low.to_le_bytes());
    bytes.extend(high.to_le_bytes());
    bytes.extend([role, 5]);
    bytes.extend(b"9.9.9");
    bytes
}

#[test]
fn a_peer_with_the_right_key_that_lies_is_named() {
    let _machine = together();
    let fine = greeting(2, 2, 2);
    owner_meets(|link| link.send(GREETING, &greeting(7, 9, 2)).unwrap()).failed(
        &[16],
        &["versions do not meet", "9.9.9", "7 to 9"],
        "later versions",
    );
    owner_meets(|link| link.send(GREETING, &greeting(2, 2, 1)).unwrap()).failed(&[2], &["both programs are colift-owner"], "same role");
    owner_meets(|link| link.send(GREETING, b"hello").unwrap()).failed(&[19], &["greeting cannot be read"], "no greeting");
    owner_meets(|link| link.send(GREETING, &[7; 300]).unwrap()).failed(&[19], &["300 bytes", "at most 256"], "an oversized frame");
    owner_meets(|link| link.send(OTHER, &fine).unwrap()).failed(&[19], &["0x0999", "greeting"], "another kind");
    let say = |text: &'static [u8]| {
        let fine = fine.clone();
        move |link: &mut TlsChannel| {
            link.send(GREETING, &fine).unwrap();
            // Of another contract: the owner looks where the two differ.
            link.send(SIGNATURE, &[0; 132]).unwrap();
            link.send(TERMS, text).unwrap();
        }
    };
    owner_meets(say(b"\xff\xfe")).failed(&[19], &["not UTF-8"], "a job that is no text");
    owner_meets(say(b"task = \"overlap\"")).failed(&[19], &["the peer's job was refused"], "a job without its fields");
    owner_meets(say(b"contract = 99")).failed(&[16], &["contract version 99"], "a later contract");
    let unsigned = |link: &mut TlsChannel| {
        link.send(GREETING, &fine).unwrap();
        link.receive_at_most(GREETING, 256).unwrap();
        let mut shown = link.receive(SIGNATURE, 132).unwrap();
        shown[127] ^= 1;
        link.send(SIGNATURE, &shown).unwrap();
    };
    owner_meets(unsigned).failed(&[12], &["signature of the contract is not by the key"], "a contract that the peer did not sign");
    // A peer that stops says with which code.
    for (code, wanted) in [(13, 10), (14, 14), (1, 10), (12, 12), (20, 20), (77, 10)] {
        let world = World::new();
        world.jobs(|_, job| overlap_only(job));
        let owner = world.start_run(Side::Owner, &[]);
        let key = IdentityKey::from_pkcs8(&std::fs::read(world.home(Side::Partner).join("identity.pkcs8")).unwrap()).unwrap();
        let expected = ExpectedPeer::Pinned(world.print(Side::Owner).parse().unwrap());
        let link = dial(&format!("127.0.0.1:{}", world.port), &key, expected, &Limits::default(), &StopFlag::new()).unwrap();
        link.abort(code);
        owner.ended(HANG).failed(&[wanted], &["the other side"], &format!("the peer stopped with {code}"));
        world.left_nothing(Side::Owner, "the peer stopped");
    }
}
