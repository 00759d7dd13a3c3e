//! The fault matrix of a whole run over a memory pair: every kind of fault, at messages of every phase, by either side.
//!
//! The faulty side runs the honest program above a channel that commits one fault when it sends its message number `at`.
//! Over the real link the frame's step number and TLS catch what changes bytes on the way; here they are absent, so that what
//! the protocols themselves notice is seen. Against a semi-honest peer a changed mask or share need not be noticed: such cells
//! are counted as *undetected* with how far the model moved, and nothing is promised about them but an end without a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/party.rs"]
mod party;

use colift::data::Side;
use colift::error::{Exit, Failure};
use colift::run::{Outcome, Ran};
use colift::scoring;
use colift::session::Recorded;
use colift_channel::fault::{Fault, Faulty};
use colift_channel::memory::{MemoryChannel, pair, pair_with_idle};
use colift_channel::record::{Direction, Entry, Recorder};
use colift_channel::{Channel, Kind};
use colift_primitives::rng::os_bytes;
use party::{Content, Ended, ScoreWorld, Sizes, Terms, World, numbers, play, play_scoring, score_world, score_world_with, world};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long an end waits: far above the longest computation between two messages.
const IDLE: Duration = Duration::from_secs(3);
/// How long a cell may take: a run, and both ends' waits one after the other, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Cells at a time: the silent ones wait most of their time.
const THREADS: usize = 4;
/// The seed that chooses garbage, flipped bits and the extra messages.
const SEED_VARIABLE: &str = "COLIFT_FAULT_SEED";
/// 1: every fault at every chosen message (several minutes).
const EVERY_VARIABLE: &str = "COLIFT_FAULT_EVERY";
/// How many messages of each side are tried besides those of every phase.
const EXTRA_VARIABLE: &str = "COLIFT_FAULT_EXTRA";
/// A weight that moved less is the honest one: rounding is random, and a standard error is ten times more here.
const TOLERANCE: f64 = 0.02;

/// Tables as small as a training takes.
const TINY: Sizes = Sizes { owner_rows: 150, partner_rows: 140, common: 130, test: 20, owner_columns: 2, partner_columns: 2 };

/// Phases in the order of a run.
const PHASES: [&str; 11] =
    ["terms", "matching", "split", "columns", "setup", "first step", "middle step", "last step", "end check", "openings", "finished"];

/// The phase of a sent message by its kind, where the kind tells it.
fn phase_of_kind(code: u16) -> Option<&'static str> {
    Some(match code {
        0x0120 => "terms",
        0x0201..=0x0205 => "matching",
        0x0582 => "split",
        0x0121 | 0x0502 => "columns",
        0x0301..=0x0311 | 0x0401 => "setup",
        0x0580 | 0x0581 | 0x0583 | 0x0586 => "openings",
        0x0122 => "finished",
        _ => return None,
    })
}

/// Which messages of one side are spoilt: every one before the training and after the end check's bit, and in the training
/// those of its first step, of a middle one, the last one, and of the end check.
fn chosen(sent: &[u16], extra: usize, seed: u64) -> BTreeMap<usize, &'static str> {
    let mut chosen: BTreeMap<usize, &str> = sent.iter().enumerate().filter_map(|(at, code)| Some((at, phase_of_kind(*code)?))).collect();
    let last_setup = sent.iter().rposition(|code| phase_of_kind(*code) == Some("setup")).unwrap();
    let bit = sent.iter().position(|code| *code == 0x0581).unwrap();
    // The gate shows where a step begins: the last one is the end check's.
    let gates: Vec<usize> = (0..sent.len()).filter(|at| matches!(sent[*at], 0x0420 | 0x0421)).collect();
    let (middle, check) = (gates[gates.len() / 3], gates[gates.len() - 1]);
    let last = *gates.iter().rfind(|at| **at + 10 < check).unwrap();
    let mut add = |at: usize, phase| {
        chosen.entry(at).or_insert(phase);
    };
    (last_setup + 1..last_setup + 9).for_each(|at| add(at, "first step"));
    [middle, middle + 3].into_iter().for_each(|at| add(at, "middle step"));
    add(last, "last step");
    [check + (bit - check) / 2, bit - 2].into_iter().for_each(|at| add(at, "end check"));
    let mut prg = numbers(seed);
    (0..extra).for_each(|_| add(last_setup + 1 + prg.below((bit - last_setup) as u64) as usize, "middle step"));
    chosen
}

/// The weights of one side that ended well, and the owner's scores in the order of its table.
fn weights(outcome: &Outcome) -> Vec<f64> {
    match outcome {
        Outcome::Owner(outcome) => {
            let mut scores = outcome.scores.clone().unwrap_or_default();
            scores.sort_by_key(|(row, _)| *row);
            let scores = scores.into_iter().map(|(_, score)| score);
            outcome.trained.intercept.into_iter().chain(outcome.trained.coefficients.iter().copied()).chain(scores).collect()
        }
        Outcome::Partner(outcome) => outcome.trained.coefficients.clone(),
        Outcome::Overlap(_) => Vec::new(),
    }
}

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// A side refused the message or a check of the protocol.
    Protocol,
    /// A side saw the link end or waited too long.
    Link,
    /// The end check said no.
    EndCheck,
    /// The terms, sizes or data no longer fit together.
    Terms,
    /// Both sides have the honest model and scores.
    Harmless,
    /// A side has another model or other scores than the honest ones, and it did not notice.
    Undetected,
}

struct Cell {
    fault: Fault,
    owner: bool,
    at: usize,
    phase: &'static str,
    code: u16,
    seed: u64,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.owner { "owner" } else { "partner" };
        write!(f, "{:?} at message {} ({:#06x}, {}) of the {side}, seed {}", self.fault, self.at, self.code, self.phase, self.seed)
    }
}

/// The two ends of a channel of which one commits the cell's fault.
fn ends(cell: &Cell) -> (Faulty<impl Channel>, Faulty<impl Channel>) {
    let (a, b) = pair_with_idle(IDLE);
    let at = |owner: bool| if cell.owner == owner { cell.at as u64 } else { u64::MAX };
    (Faulty::new(a, cell.fault, at(true), cell.seed), Faulty::new(b, cell.fault, at(false), cell.seed))
}

/// What a side that ended well has, as numbers.
fn numbers_of<T>(ended: Ended<T>, of: impl Fn(&T) -> Vec<f64>) -> Ended<Vec<f64>> {
    ended.map(|result| result.map(|outcome| of(&outcome)))
}

/// Runs a cell of a training; a list of what must not have happened, and how it ended.
fn run(world: &World, honest: &[Vec<f64>; 2], cell: &Cell) -> (Vec<String>, Verdict) {
    let start = Instant::now();
    let ((owner, fired_a), (partner, fired_b)) = play(world, ends(cell), |a| a.fired(), |b| b.fired());
    judge(cell, start, [numbers_of(owner, weights), numbers_of(partner, weights)], honest, fired_a || fired_b)
}

/// Runs a cell of a scoring.
fn run_scoring(world: &ScoreWorld, honest: &[Vec<f64>; 2], cell: &Cell) -> (Vec<String>, Verdict) {
    let start = Instant::now();
    let ((owner, fired_a), (partner, fired_b)) = play_scoring(world, ends(cell), |a| a.fired(), |b| b.fired());
    judge(cell, start, [numbers_of(owner, scores), numbers_of(partner, scores)], honest, fired_a || fired_b)
}

/// The owner's scores in the order of its table, or its decisions.
fn scores(outcome: &scoring::Outcome) -> Vec<f64> {
    let Some(scored) = &outcome.scored else { return Vec::new() };
    let Some(decisions) = &scored.decisions else { return scored.scores.clone() };
    let bits = decisions.top.iter().chain(&decisions.yes).map(|bit| f64::from(u8::from(*bit)));
    decisions.deciles.iter().map(|decile| f64::from(*decile)).chain(bits).collect()
}

/// What must not have happened, and how the cell ended.
fn judge(cell: &Cell, start: Instant, ended: [Ended<Vec<f64>>; 2], honest: &[Vec<f64>; 2], fired: bool) -> (Vec<String>, Verdict) {
    let mut wrong = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    let mut moved: f64 = 0.0;
    for ((side, ended), honest) in ["owner", "partner"].into_iter().zip(ended).zip(honest) {
        match ended {
            Err(panic) => wrong.push(format!("{cell}: the {side} panicked: {panic}")),
            Ok(Err(failure)) => failures.push(failure),
            Ok(Ok(weights)) => {
                let distance = weights
                    .iter()
                    .zip(honest)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, |most: f64, d| if d > most || d.is_nan() { d } else { most });
                moved = if weights.len() == honest.len() { moved.max(distance) } else { f64::INFINITY };
            }
        }
    }
    if !failures.is_empty() && !fired {
        wrong.push(format!("{cell}: an honest run failed: {}", failures[0]));
    }
    if start.elapsed() > PATIENCE {
        wrong.push(format!("{cell}: took {:?}", start.elapsed()));
    }
    if let Some(failure) = failures.iter().find(|failure| failure.exit == Exit::Internal) {
        wrong.push(format!("{cell}: exit 1, a fault of ours: {failure}"));
    }
    let is = |exit: Exit| failures.iter().any(|failure| failure.exit == exit);
    let verdict = match () {
        () if failures.len() < 2 && (moved > TOLERANCE || moved.is_nan()) => Verdict::Undetected,
        () if failures.is_empty() => Verdict::Harmless,
        () if is(Exit::Protocol) => Verdict::Protocol,
        () if is(Exit::NotConverged) => Verdict::EndCheck,
        () if failures.iter().all(|failure| failure.exit == Exit::PeerGone) => Verdict::Link,
        () => Verdict::Terms,
    };
    // What changes neither bytes nor their order inside a message of the right kind must never pass.
    let visible = matches!(cell.fault, Fault::Cut | Fault::Oversized | Fault::WrongKind | Fault::Short | Fault::Silence);
    if visible && matches!(verdict, Verdict::Harmless | Verdict::Undetected) {
        wrong.push(format!("{cell}: {verdict:?}"));
    }
    (wrong, verdict)
}

fn from_environment<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn every_fault_in_every_phase_ends_both_sides_by_name() {
    let seed: u64 = from_environment(SEED_VARIABLE).unwrap_or_else(|| u64::from_le_bytes(*os_bytes::<8>().unwrap()) >> 16);
    let extra: usize = from_environment(EXTRA_VARIABLE).unwrap_or(0);
    let every = from_environment::<u8>(EVERY_VARIABLE) == Some(1);
    println!("{SEED_VARIABLE}={seed} {EXTRA_VARIABLE}={extra} {EVERY_VARIABLE}={}", u8::from(every));
    let world = world(TINY, Content::Normal, 3, &Terms::default());
    let (a, b) = pair();
    let log = |recorder: Recorder<_>| recorder.into_parts().1;
    let ((owner, owner_log), (partner, partner_log)) = play(&world, (Recorder::new(a), Recorder::new(b)), log, log);
    let honest = [weights(&owner.unwrap().unwrap()), weights(&partner.unwrap().unwrap())];
    let sent = |log: &[Entry]| log.iter().filter(|e| e.direction == Direction::Sent).map(|e| e.kind.code).collect::<Vec<u16>>();
    let mut cells = Vec::new();
    for (owner, sent) in [(true, sent(&owner_log)), (false, sent(&partner_log))] {
        let chosen = chosen(&sent, extra, seed);
        assert!(chosen.len() >= 25, "{} messages", chosen.len());
        let phases: BTreeSet<&str> = chosen.values().copied().collect();
        let missing: Vec<&str> = PHASES.into_iter().filter(|phase| !phases.contains(phase) && (owner || *phase != "split")).collect();
        assert!(missing.is_empty(), "no message of {missing:?}");
        for (at, phase) in chosen {
            for (index, fault) in Fault::ALL.into_iter().enumerate() {
                // A third of the cells in an everyday run, chosen by the seed; over runs every fault meets every phase.
                if !every && !(at + index + seed as usize).is_multiple_of(3) {
                    continue;
                }
                cells.push(Cell { fault, owner, at, phase, code: sent[at], seed: seed.wrapping_add(cells.len() as u64) });
            }
        }
    }
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run(&world, &honest, cell);
                    results.lock().unwrap().push((cell, result));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    assert_eq!(results.len(), cells.len());
    let mut table: BTreeMap<(usize, String), BTreeMap<Verdict, usize>> = BTreeMap::new();
    let mut undetected: BTreeMap<(String, u16), usize> = BTreeMap::new();
    for (cell, (_, verdict)) in &results {
        let phase = PHASES.into_iter().position(|phase| phase == cell.phase).unwrap();
        *table.entry((phase, format!("{:?}", cell.fault))).or_default().entry(*verdict).or_default() += 1;
        if *verdict == Verdict::Undetected {
            *undetected.entry((format!("{:?}", cell.fault), cell.code)).or_default() += 1;
        }
    }
    for ((phase, fault), verdicts) in &table {
        println!("{:<12} {fault:<10} {verdicts:?}", PHASES[*phase]);
    }
    println!("{} cells; undetected over a channel without TLS: {undetected:x?}", results.len());
    let wrong: Vec<String> = results.into_iter().flat_map(|(_, (wrong, _))| wrong).collect();
    assert!(wrong.is_empty(), "{SEED_VARIABLE}={seed}:\n{}", wrong.join("\n"));
}

#[test]
fn every_fault_at_every_message_of_a_scoring_ends_both_sides_by_name() {
    let seed: u64 = from_environment(SEED_VARIABLE).unwrap_or_else(|| u64::from_le_bytes(*os_bytes::<8>().unwrap()) >> 16);
    println!("{SEED_VARIABLE}={seed}");
    let world = score_world(TINY, Content::Normal, 3);
    let honest = spoil_scoring(&world, seed, |_, _| true);
    assert_eq!((honest[0].len(), honest[1].len()), (TINY.owner_rows, 0));
}

/// The same where decisions are computed on shares: of each kind of message the first ones and the last one.
#[test]
fn faults_at_messages_of_a_release_of_decisions_end_both_sides_by_name() {
    let seed: u64 = from_environment(SEED_VARIABLE).unwrap_or_else(|| u64::from_le_bytes(*os_bytes::<8>().unwrap()) >> 16);
    println!("{SEED_VARIABLE}={seed}");
    let lines = "output = [\"yes_no\", \"top_share\", \"decile\"]\ntop_share = 0.3\nthreshold = 0.6\n\
                 reveal = [\"overlap_to_both\", \"decisions_to_owner\"]";
    let world = score_world_with(TINY, Content::Normal, 3, lines);
    let honest = spoil_scoring(&world, seed, |place, of| place < 2 || place + 1 == of);
    assert_eq!((honest[0].len(), honest[1].len()), (3 * TINY.owner_rows, 0));
}

/// Commits every fault at the chosen messages of either side, by place among those of its kind and their number; the honest results.
fn spoil_scoring(world: &ScoreWorld, seed: u64, chosen: impl Fn(usize, usize) -> bool) -> [Vec<f64>; 2] {
    let (a, b) = pair();
    let log = |recorder: Recorder<_>| recorder.into_parts().1;
    let ((owner, owner_log), (partner, partner_log)) = play_scoring(world, (Recorder::new(a), Recorder::new(b)), log, log);
    let honest = [scores(&owner.unwrap().unwrap()), scores(&partner.unwrap().unwrap())];
    let mut cells = Vec::new();
    for (owner, log) in [(true, &owner_log), (false, &partner_log)] {
        let sent: Vec<u16> = log.iter().filter(|entry| entry.direction == Direction::Sent).map(|entry| entry.kind.code).collect();
        for (at, code) in sent.iter().copied().enumerate() {
            let of_kind = |codes: &[u16]| codes.iter().filter(|other| **other == code).count();
            if chosen(of_kind(&sent[..at]), of_kind(&sent)) {
                let phase = phase_of_kind(code).or(matches!(code, 0x0320..=0x0336).then_some("shares")).expect("a phase for every message");
                cells.extend(Fault::ALL.map(|fault| Cell { fault, owner, at, phase, code, seed: seed.wrapping_add(at as u64) }));
            }
        }
    }
    assert!(cells.len() >= 14 * Fault::ALL.len(), "{}", cells.len());
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run_scoring(world, &honest, cell);
                    results.lock().unwrap().push((cell, result));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let mut table: BTreeMap<(&str, String), BTreeMap<Verdict, usize>> = BTreeMap::new();
    for (cell, (_, verdict)) in &results {
        *table.entry((cell.phase, format!("{:?}", cell.fault))).or_default().entry(*verdict).or_default() += 1;
    }
    for ((phase, fault), verdicts) in &table {
        println!("{phase:<12} {fault:<10} {verdicts:?}");
    }
    let wrong: Vec<String> = results.into_iter().flat_map(|(_, (wrong, _))| wrong).collect();
    assert!(wrong.is_empty(), "{SEED_VARIABLE}={seed}:\n{}", wrong.join("\n"));
    honest
}

/// A program of one side, or of both, that opens one value more than its list says: the run is withheld on both sides.
#[test]
fn a_run_with_one_more_opened_value_is_withheld() {
    const WEIGHTS: Kind = Kind { code: 0x0580, name: "shares of own weights" };
    let world = world(TINY, Content::Normal, 7, &Terms::default());
    for planted in [false, true] {
        let (a, b) = pair();
        let end = |side: Side| {
            move |mut channel: Recorded<MemoryChannel>| {
                if planted {
                    // As a changed program would: the share of one more weight, both ways.
                    channel.send(WEIGHTS, &[0; 7]).unwrap();
                    channel.receive_at_most(WEIGHTS, 7).unwrap();
                }
                (side, channel.transcript())
            }
        };
        let ends = play(&world, (Recorded::new(a), Recorded::new(b)), end(Side::Owner), end(Side::Partner));
        for (ended, (side, transcript)) in <[_; 2]>::from(ends) {
            let outcome = ended.unwrap().unwrap();
            let checked = outcome.facts().check_wire(side, &transcript.sent.kinds, &transcript.received.kinds);
            match checked {
                Ok(()) => assert!(!planted, "{side}: an opened value went unnoticed"),
                Err(failure) => assert!(planted && failure.exit == Exit::Policy && failure.id == 557, "{side}: {failure}"),
            }
        }
    }
}
