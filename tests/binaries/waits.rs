//! No wait without its cause, no silence: both real programs, every line of stderr with its time, in every way to wait that there is.

use crate::shaped::{Shape, start};
use crate::world::{Ended, HANG, Program, SIDES, World, set, synthetic, together};
use colift::data::Side;
use nix::sys::signal::Signal;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Longest silence: ten seconds and what a busy machine adds.
const SILENCE: Duration = Duration::from_millis(11_500);
/// A wait is named within five seconds, and what a busy machine adds.
const NAMED: Duration = Duration::from_millis(6_500);
/// How long the waits here last: two silences would show.
const LONG: Duration = Duration::from_secs(14);
/// The same as a flag.
const LONG_FLAG: [&str; 2] = ["--connect-timeout", "14"];

/// Fails where the program kept silent for too long between its start and its end.
fn never_silent(ended: &Ended, about: &str) {
    let mut last = (ended.started, "its start".to_owned());
    let end = (ended.started + ended.took, "its end".to_owned());
    for next in ended.lines.iter().cloned().chain([end]) {
        let gap = next.0.saturating_duration_since(last.0);
        assert!(
            gap <= SILENCE,
            "{about}: the {} said nothing for {gap:?} between `{}` and `{}`:\n{}",
            ended.side,
            last.1,
            next.1,
            ended.err
        );
        last = next;
    }
}

/// Fails unless a line with all these words came soon after `since`.
fn named(ended: &Ended, since: Instant, words: &[&str], about: &str) {
    let found = ended.lines.iter().find(|(at, line)| *at >= since && words.iter().all(|words| line.contains(words)));
    let (at, _) = found.unwrap_or_else(|| panic!("{about}: the {} never says {words:?}:\n{}", ended.side, ended.err));
    let after = at.saturating_duration_since(since);
    assert!(after <= NAMED, "{about}: the {} says {words:?} after {after:?}:\n{}", ended.side, ended.err);
}

/// When a line with these words came.
fn when(ended: &Ended, words: &str) -> Instant {
    ended.lines.iter().find(|(_, line)| line.contains(words)).unwrap_or_else(|| panic!("no `{words}`:\n{}", ended.err)).0
}

/// A run whose peer never comes, as lines or as events.
fn alone(side: Side, more: &[&str]) {
    let world = World::new();
    world.jobs(|_, _| {});
    let ended = world.start(side, &[&["run", "--job", "job.toml"], &LONG_FLAG[..], more].concat()).ended(HANG);
    let about = format!("the {side} alone {more:?}");
    assert_eq!(ended.code, Some(10), "{}", ended.err);
    never_silent(&ended, &about);
    let words: &[&str] = match side {
        Side::Owner => &["waiting ", " s for the partner to dial"],
        Side::Partner => &["waiting ", " s for the owner to answer", "Connection refused"],
    };
    let read = if more.is_empty() { when(&ended, "reading done") } else { when(&ended, "\"event\":\"done\"") };
    named(&ended, read, words, &about);
    assert!(ended.lines.iter().filter(|(_, line)| line.contains(words[1])).count() >= 2, "{}", ended.err);
    if !more.is_empty() {
        let mut waits = 0;
        for (_, line) in ended.lines.iter().filter(|(_, line)| line.starts_with('{')) {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            if event["event"] == "waiting" {
                waits += 1;
                assert!(event["cause"].as_str().unwrap().contains(words[1]) && event["seconds"].as_f64().unwrap() >= 2.0, "{line}");
            }
        }
        assert!(waits >= 2, "{}", ended.err);
    }
}

/// A command that waits for a peer that never comes, ended by its own deadline or by hand.
fn lonely(world: &World, side: Side, arguments: &[&str], words: &[&str]) {
    let program = world.start(side, arguments);
    let about = arguments.join(" ");
    if !arguments.contains(&LONG_FLAG[0]) {
        std::thread::sleep(LONG);
        program.signal(Signal::SIGINT);
    }
    let ended = program.ended(HANG);
    assert!(matches!(ended.code, Some(10 | 20)), "{about}: {:?}\n{}", ended.code, ended.err);
    never_silent(&ended, &about);
    named(&ended, ended.started, words, &about);
}

/// A peer that is frozen in the midst of the training and goes on later.
fn frozen_peer() {
    let world = World::new();
    world.jobs(|_, _| {});
    let [owner, partner] = SIDES.map(|side| world.start_run(side, &["--idle-timeout", "60"]));
    partner.wait_for("training begins");
    partner.signal(Signal::SIGSTOP);
    let since = Instant::now();
    std::thread::sleep(LONG);
    partner.signal(Signal::SIGCONT);
    let [owner, partner] = [owner, partner].map(|program| program.ended(HANG));
    never_silent(&owner, "a frozen peer");
    named(&owner, since, &["waiting ", " s for the partner"], "a frozen peer");
    assert!(owner.err.contains("not heard for"), "{}", owner.err);
    // It was suspended, so that nobody can blame it for its silence.
    for ended in [owner, partner] {
        ended.fine();
    }
}

/// A run over a slow line with a long way.
fn slow_line() {
    let world = World::new();
    let port = start(world.port, Shape { rate: 20e6, delay: Duration::from_millis(40) });
    world.jobs(|side, job| {
        if side == Side::Partner {
            set(job, "private.link.dial", format!("127.0.0.1:{port}"));
        }
    });
    for ended in world.run_both(&["--idle-timeout", "60"]) {
        never_silent(ended.fine(), "a slow line");
        println!("a slow line: the {} took {:?} and said {} lines", ended.side, ended.took, ended.lines.len());
        assert!(ended.took > SILENCE, "the line is too fast to show anything: {:?}", ended.took);
    }
}

/// A file that comes in slowly, and the peer that waits meanwhile.
fn slow_file() {
    let world = World::new();
    world.jobs(|side, job| {
        if side == Side::Partner {
            set(job, "private.data", "-");
        }
    });
    let owner = world.start_run(Side::Owner, &["--connect-timeout", "60"]);
    let command = world.command(Side::Partner, &["run", "--job", "job.toml"]);
    let mut partner = Program::start_with(Side::Partner, command, Stdio::piped());
    let text = std::fs::read(synthetic(Side::Partner)).unwrap();
    let mut input = partner.input();
    let (first, rest) = text.split_at(text.len() / 2);
    input.write_all(first).unwrap();
    std::thread::sleep(LONG);
    input.write_all(rest).unwrap();
    drop(input);
    let [owner, partner] = [owner, partner].map(|program| program.ended(HANG));
    for ended in [&owner, &partner] {
        never_silent(ended.fine(), "a slow file");
    }
    named(&partner, partner.started, &["reading: ", " s"], "a slow file");
    named(&owner, when(&owner, "reading done"), &["waiting ", " s for the partner to dial"], "a slow file");
}

#[test]
fn every_wait_names_its_cause_and_nothing_is_silent_for_ten_seconds() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, _| {});
    std::fs::write(
        world.place(Side::Partner).join("mine.toml"),
        format!("[private]\ndata = \"{}\"\nid = \"id\"\nlink = {{ dial = \"127.0.0.1:1\" }}\n", synthetic(Side::Partner).display()),
    )
    .unwrap();
    let ports: Vec<String> = (0..4).map(|_| format!("127.0.0.1:{}", crate::world::free_port())).collect();
    let (told, key) = (["waiting ", " s for the partner to dial"], world.print(Side::Partner));
    let (dialled, own) = (["waiting ", " s for the owner to answer"], world.print(Side::Owner));
    let lonely_ones: [(Side, Vec<&str>, [&str; 2]); 8] = [
        (Side::Owner, vec!["pair", "--listen", &ports[0], "--expect", key], told),
        (Side::Partner, vec!["pair", "--dial", "127.0.0.1:1", "--expect", own], dialled),
        (Side::Owner, vec!["pair", "invite", "--listen", &ports[1]], told),
        (Side::Partner, vec!["pair", "accept", "4821-7730", "--dial", "127.0.0.1:1"], dialled),
        (Side::Owner, [&["plan", "job.toml"], &LONG_FLAG[..]].concat(), told),
        (Side::Partner, [&["plan", "--join", "mine.toml"], &LONG_FLAG[..]].concat(), dialled),
        (Side::Owner, [&["doctor", "--listen", &ports[2]], &LONG_FLAG[..]].concat(), told),
        (Side::Partner, [&["doctor", "--dial", "127.0.0.1:1"], &LONG_FLAG[..]].concat(), dialled),
    ];
    std::thread::scope(|scope| {
        for (side, arguments, words) in &lonely_ones {
            scope.spawn(|| lonely(&world, *side, arguments, words));
        }
        for side in SIDES {
            scope.spawn(move || alone(side, &[]));
            scope.spawn(move || alone(side, &["--events", "jsonl"]));
        }
        scope.spawn(frozen_peer);
        scope.spawn(slow_line);
        scope.spawn(slow_file);
    });
}
