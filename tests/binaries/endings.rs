//! Killed, frozen and interrupted programs at every phase: the other side ends in time with a named error, and nothing is left.

use crate::path::bytes_of_a_run;
use crate::proxy::{Fault, Proxy};
use crate::rehearsal;
use crate::world::{HANG, Program, SIDES, World, alone, names, overlap_only, set, synthetic, together};
use colift::data::Side;
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The idle deadline that the toolkit sets, and what may come on top of it on a busy machine.
const IN_TIME: Duration = Duration::from_secs(5 + 5);

/// Where in a run something happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// In the midst of masking the ids of a larger file.
    Matching,
    /// When this share of all the run's bytes has passed.
    Training(f64),
    /// When the owner's or the partner's program says that the evaluation begins.
    Evaluation(Side),
}

/// Both programs, brought to a phase.
struct Running {
    world: World,
    owner: Program,
    partner: Program,
    proxy: Proxy,
}

impl Running {
    fn at(phase: Phase) -> Self {
        let world = World::new();
        let proxy = Proxy::start(world.port, Fault::None);
        match phase {
            Phase::Matching => large_overlap(&world, proxy.port),
            Phase::Training(_) => world.jobs(|side, job| through(side, job, proxy.port)),
            Phase::Evaluation(_) => large_test(&world, proxy.port),
        }
        let [owner, partner] = SIDES.map(|side| world.start_run(side, &[]));
        let running = Self { world, owner, partner, proxy };
        match phase {
            Phase::Matching => {
                running.owner.wait_for("matching begins");
                running.partner.wait_for("matching begins");
                running.wait_for_bytes(50_000);
            }
            Phase::Training(share) => {
                running.owner.wait_for("training begins");
                running.partner.wait_for("training begins");
                running.wait_for_bytes((share * bytes_of_a_run()) as u64);
            }
            Phase::Evaluation(Side::Owner) => running.owner.wait_for("evaluation begins"),
            Phase::Evaluation(Side::Partner) => running.partner.wait_for("evaluation begins"),
        }
        running
    }

    fn wait_for_bytes(&self, wanted: u64) {
        let deadline = Instant::now() + HANG;
        while self.proxy.passed().0 + self.proxy.passed().1 < wanted {
            assert!(Instant::now() < deadline, "{wanted} bytes never passed");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The program of this side, the other one, and their world.
    fn split(self, victim: Side) -> (Program, Program, World, Proxy) {
        let (own, other) = if victim == Side::Owner { (self.owner, self.partner) } else { (self.partner, self.owner) };
        (own, other, self.world, self.proxy)
    }
}

fn through(side: Side, job: &mut toml::Table, port: u16) {
    if side == Side::Partner {
        set(job, "private.link.dial", format!("127.0.0.1:{port}"));
    }
}

/// Two files of 12,000 users: their matching takes half a second or more.
fn large_overlap(world: &World, port: u16) {
    for (side, first) in [(Side::Owner, 0), (Side::Partner, 4_000)] {
        let mut text = String::from("id,extra\n");
        for row in first..first + 12_000 {
            writeln!(text, "user{row}@example.net,{}", row % 7).unwrap();
        }
        std::fs::write(world.place(side).join("large.csv"), text).unwrap();
    }
    world.jobs(|side, job| {
        overlap_only(job);
        set(job, "shared.max_rows.owner", 50_000);
        set(job, "shared.max_rows.partner", 50_000);
        set(job, "private.data", "large.csv");
        job["private"].as_table_mut().unwrap().remove("split");
        through(side, job, port);
    });
}

/// Two files whose evaluation takes a while: most users are test users.
fn large_test(world: &World, port: u16) {
    let columns = [(Side::Owner, "id,label,a,b"), (Side::Partner, "id,c,d,e,f,g")];
    for (side, header) in columns {
        let mut text = format!("{header}\n");
        let mut state = 88_172_645_463_325_252u64 + side as u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f64 / f64::from(1u32 << 24)
        };
        for row in 0..24_000 {
            write!(text, "user{row}@example.net").unwrap();
            if side == Side::Owner {
                write!(text, ",{}", u8::from(draw() < 0.3)).unwrap();
            }
            for _ in 0..if side == Side::Owner { 2 } else { 5 } {
                write!(text, ",{:.4}", draw()).unwrap();
            }
            text.push('\n');
        }
        std::fs::write(world.place(side).join("large.csv"), text).unwrap();
    }
    world.jobs(|side, job| {
        set(job, "shared.max_rows.owner", 50_000);
        set(job, "shared.max_rows.partner", 50_000);
        set(job, "shared.test_share", 0.9);
        set(job, "private.data", "large.csv");
        job["private"].as_table_mut().unwrap().remove("split");
        through(side, job, port);
    });
}

/// A share drawn anew in each run of the tests.
fn drawn() -> f64 {
    0.02 + 0.95 * (RandomState::new().hash_one(0u8) >> 11) as f64 / (1u64 << 53) as f64
}

fn kill_at(victim: Side, phase: Phase) {
    let about = format!("the {victim} killed at {phase:?}");
    let running = Running::at(phase);
    let (dead, alive, world, _proxy) = running.split(victim);
    dead.signal(Signal::SIGKILL);
    let since = Instant::now();
    let ended = alive.ended(HANG);
    let survived = since.elapsed();
    assert_eq!(dead.ended(HANG).signal, Some(Signal::SIGKILL as i32), "{about}: it had ended before");
    ended.failed(&[10], &["the peer"], &about);
    assert!(survived < IN_TIME, "{about}: the other side took {survived:?}");
    world.left_nothing(ended.side, &about);
}

#[test]
fn a_killed_peer_is_noticed_while_matching_and_evaluating() {
    bytes_of_a_run();
    let _machine = together();
    for side in SIDES {
        kill_at(side, Phase::Matching);
        kill_at(side, Phase::Evaluation(side));
    }
}

#[test]
fn a_killed_peer_is_noticed_anywhere_in_the_training() {
    bytes_of_a_run();
    let _machine = together();
    for (side, share) in [
        (Side::Owner, 0.02),
        (Side::Partner, 0.1),
        (Side::Owner, 0.3),
        (Side::Partner, 0.6),
        (Side::Owner, 0.9),
        (Side::Partner, 0.97),
        (Side::Owner, drawn()),
        (Side::Partner, drawn()),
    ] {
        kill_at(side, Phase::Training(share));
    }
}

#[test]
fn a_peer_killed_before_it_is_met_is_absent() {
    let _machine = together();
    for victim in SIDES {
        let world = World::new();
        world.jobs(|_, _| {});
        let dead = world.start_run(victim, &[]);
        dead.wait_for("reading done");
        dead.signal(Signal::SIGKILL);
        dead.ended(HANG);
        let ended = world.start_run(victim.peer(), &["--connect-timeout", "1"]).ended(HANG);
        ended.failed(&[10], &["try: "], "killed before it was met");
        world.left_nothing(ended.side, "killed before it was met");
    }
}

#[test]
fn a_frozen_peer_is_given_up_at_the_idle_deadline() {
    bytes_of_a_run();
    let _machine = together();
    let (frozen, alive, world, _proxy) = Running::at(Phase::Training(0.2)).split(Side::Partner);
    frozen.signal(Signal::SIGSTOP);
    let since = Instant::now();
    let ended = alive.ended(HANG);
    let waited = since.elapsed();
    ended.failed(&[10], &["no answer within 5 s"], "frozen");
    assert!(waited >= Duration::from_secs(4) && waited < IN_TIME, "{waited:?}");
    frozen.signal(Signal::SIGCONT);
    frozen.ended(HANG).failed(&[10], &["the peer"], "thawed");
    for side in SIDES {
        world.left_nothing(side, "frozen");
    }
}

/// Interrupts one side and holds both ends.
fn interrupt_at(side: Side, phase: Phase, signal: Signal) {
    let about = format!("the {side} got {signal} at {phase:?}");
    let (own, other, world, _proxy) = Running::at(phase).split(side);
    own.signal(signal);
    let since = Instant::now();
    let ended = own.ended(HANG);
    let took = since.elapsed();
    let peer = other.ended(HANG);
    let peer_took = since.elapsed();
    ended.failed(&[20], &["nterrupted"], &about);
    peer.failed(&[20], &["the other side was stopped by hand"], &about);
    println!("{about}: {took:?}, the other side {peer_took:?}");
    assert!(took <= Duration::from_secs(2), "{about}: it took {took:?}");
    assert!(peer_took <= Duration::from_secs(4), "{about}: the other side took {peer_took:?}");
    for side in SIDES {
        world.left_nothing(side, &about);
    }
}

#[test]
fn ctrl_c_ends_both_sides_at_every_phase() {
    bytes_of_a_run();
    let _machine = alone();
    for side in SIDES {
        interrupt_at(side, Phase::Matching, Signal::SIGINT);
        interrupt_at(side, Phase::Training(0.03), Signal::SIGINT);
        interrupt_at(side, Phase::Training(0.7), if side == Side::Owner { Signal::SIGINT } else { Signal::SIGTERM });
        interrupt_at(side, Phase::Evaluation(side), Signal::SIGINT);
    }
}

#[test]
fn ctrl_c_ends_the_wait_for_an_absent_peer() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, _| {});
    for side in SIDES {
        let waiting = world.start_run(side, &[]);
        waiting.wait_for("reading done");
        std::thread::sleep(Duration::from_millis(100));
        waiting.signal(Signal::SIGINT);
        let since = Instant::now();
        waiting.ended(HANG).failed(&[20], &["nterrupted"], "waiting alone");
        assert!(since.elapsed() <= Duration::from_secs(2), "{:?}", since.elapsed());
        world.left_nothing(side, "waiting alone");
    }
}

#[test]
fn ctrl_c_at_a_rehearsal_ends_all_three_programs() {
    let _machine = together();
    for words in ["owner: reading", "owner: training begins"] {
        let folder = TempDir::new().unwrap();
        let more = ["--id-kind", "email"];
        let command = rehearsal::command(folder.path(), &synthetic(Side::Owner), &synthetic(Side::Partner), "label", &more);
        let parent = Program::start(Side::Owner, command);
        parent.wait_for(words);
        parent.signal(Signal::SIGINT);
        let since = Instant::now();
        // The pipes of all three are awaited: none may live on.
        let ended = parent.ended(HANG);
        ended.failed(&[20], &["ended with exit code"], words);
        assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
        assert_eq!(names(folder.path()), Vec::<String>::new(), "{words}: something was left behind");
    }
}
