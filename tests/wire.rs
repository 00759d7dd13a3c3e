//! What crosses the wire in a whole run over a memory pair: only what public sizes fix, only what the job lists, only masks.
//!
//! Every message of `run::over` on small made-up tables is recorded at both ends. [`KINDS`] is the complete list of message
//! kinds of a run: a new kind fails here until it is placed, with what it may carry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/party.rs"]
mod party;

use colift::contract::{Disclosure, RateBucket};
use colift::data::{Column, Split};
use colift::error::Exit;
use colift::recipe::Recipe;
use colift::run::owner::OwnerOutcome;
use colift::run::partner::PartnerOutcome;
use colift::run::{Outcome, Prepared};
use colift::training::cost::{declare_training, declare_with};
use colift::training::heads::Head;
use colift::training::opening::OPENING_KINDS;
use colift::training::schedule::{Extra, PublicSizes, Schedule};
use colift::training::secure::Trained;
use colift::training::twin::logits;
use colift_channel::memory::pair;
use colift_channel::record::{Direction, Entry, Recorder};
use colift_channel::{Counters, Meter};
use colift_psi::ecdh::{declare_count, declare_match};
use colift_rlwe::{N, PRIMES, packed_bytes, unpack_residues};
use party::{Content, EVERYTHING, Ended, SMALL, Sizes, Tape, Terms, World, play, play_scoring, score_world, score_world_with, world};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What a message may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    /// Terms and sizes that both sides may know.
    Public,
    /// Fresh random coins, masks, ciphertexts, shares of what stays shared.
    Masked,
    /// What this item of the reveal list opens.
    Opening(Disclosure),
}
use Carries::{Masked, Opening, Public};

/// Every message of a run after the greeting (docs/WIRE.md).
const KINDS: [(u16, &str, Carries); 41] = [
    (0x0120, "shared part of the job", Public),
    (0x0121, "number of columns", Public),
    (0x0122, "end of the run", Public),
    (0x0201, "matching: parameters and size", Public),
    (0x0202, "matching: masked ids", Masked),
    (0x0203, "matching: double-masked tags", Masked),
    (0x0204, "matching: overlap", Opening(Disclosure::OverlapToBoth)),
    (0x0205, "matching: matched positions", Opening(Disclosure::OverlapToBoth)),
    (0x0210, "matching: commitment to a shift", Masked),
    (0x0211, "matching: seed of the store", Masked),
    (0x0212, "matching: masked store", Masked),
    (0x0213, "matching: opened shift", Masked),
    (0x0214, "matching: tags", Masked),
    (0x0215, "matching: number of matches", Opening(Disclosure::OverlapToBoth)),
    (0x0216, "matching: matches and proof", Opening(Disclosure::OverlapToBoth)),
    (0x0301, "joint coin: commitment", Masked),
    (0x0302, "joint coin: contribution", Masked),
    (0x0303, "joint coin: opening", Masked),
    (0x0310, "base OT: receiver's points", Masked),
    (0x0311, "base OT: sender's key", Masked),
    (0x0320, "OT extension: columns", Masked),
    (0x0321, "OT extension: payload", Masked),
    (0x0330, "VOLE: columns", Masked),
    (0x0331, "VOLE: hash seed of the column check", Masked),
    (0x0332, "VOLE: column check", Masked),
    (0x0333, "VOLE: tree corrections", Masked),
    (0x0334, "VOLE: point of the tree check", Masked),
    (0x0335, "VOLE: evaluation of the tree check", Masked),
    (0x0336, "VOLE: sums of the columns' trees", Masked),
    (0x0401, "public key", Masked),
    (0x0410, "uploaded ciphertext", Masked),
    (0x0411, "masked product", Masked),
    (0x0420, "gate upload", Masked),
    (0x0421, "gate reply", Masked),
    (0x0502, "number of users that are ranked", Public),
    (0x0580, "shares of own weights", Opening(Disclosure::OwnWeights)),
    (0x0581, "end check", Opening(Disclosure::ConvergedAndInRange)),
    (0x0584, "shares of own variances", Opening(Disclosure::OwnStandardErrors)),
    (0x0585, "share of the squared residuals", Opening(Disclosure::ResidualVarianceToOwner)),
    (0x0586, "partner's shares of the decisions", Opening(Disclosure::DecisionsToOwner)),
    (0x0582, "train or test of the matched rows", Opening(Disclosure::SplitToPartner)),
];
/// The last one, apart only because an array's length is checked.
const SCORES: (u16, &str, Carries) = (0x0583, "partner's part of the scores", Opening(Disclosure::ScoresToOwner));

fn kinds() -> impl Iterator<Item = (u16, &'static str, Carries)> {
    KINDS.into_iter().chain([SCORES])
}

fn carries(code: u16) -> Carries {
    kinds().find(|kind| kind.0 == code).unwrap_or_else(|| panic!("kind {code:#06x} is not in the table of this test: place it")).2
}

/// A recorded run: how each side ended and what it saw.
struct Recorded {
    owner: (Ended, Vec<Entry>),
    partner: (Ended, Vec<Entry>),
}

fn recorded(world: &World) -> Recorded {
    let (a, b) = pair();
    let log = |recorder: Recorder<_>| recorder.into_parts().1;
    let (owner, partner) = play(world, (Recorder::new(a), Recorder::new(b)), log, log);
    Recorded { owner, partner }
}

impl Recorded {
    /// Both logs of a run that ended well.
    fn logs(&self, name: &str) -> [&[Entry]; 2] {
        for (side, ended) in [("owner", &self.owner.0), ("partner", &self.partner.0)] {
            match ended {
                Ok(Ok(_)) => {}
                Ok(Err(failure)) => panic!("{name}, {side}: {failure}"),
                Err(panic) => panic!("{name}, {side}: {panic}"),
            }
        }
        [&self.owner.1, &self.partner.1]
    }
}

/// Fails with the first entry that differs, instead of two logs of thousands of lines.
fn same(name: &str, left: &[Entry], right: &[Entry]) {
    if let Some(at) = left.iter().zip(right).position(|(a, b)| a != b) {
        panic!("{name}: message {at} is {:?} on one input and {:?} on the other", left[at], right[at]);
    }
    assert_eq!(left.len(), right.len(), "{name}: one log is longer");
}

/// Fails unless two logs are alike up to the bits that their end checks opened: the same up to the first check's, and after the last
/// one's; where both took as many steps between, the same throughout.
fn alike(name: &str, left: &[Entry], right: &[Entry]) {
    let checks = |log: &[Entry]| (0..log.len()).filter(|at| log[*at].kind.code == 0x0581).collect::<Vec<_>>();
    let (ours, theirs) = (checks(left), checks(right));
    if left.len() == right.len() && ours.len() == theirs.len() {
        return same(name, left, right);
    }
    let ends = |checks: &[usize]| (checks[1] + 1, checks[checks.len() - 1] + 1);
    let ((first, last), (others_first, others_last)) = (ends(&ours), ends(&theirs));
    same(name, &left[..first], &right[..others_first]);
    same(name, &left[last..], &right[others_last..]);
}

/// As [`alike`]; columns that follow from each other have fewer weights, a number that is told, so only what is before it is the same.
fn alike_by(content: Content, name: &str, left: &[Entry], right: &[Entry]) {
    if !matches!(content, Content::Duplicated | Content::Collinear) {
        return alike(name, left, right);
    }
    let columns = |log: &[Entry]| log.iter().rposition(|entry| entry.kind.code == 0x0121).unwrap() + 1;
    assert_eq!(columns(left), columns(right), "{name}");
    same(name, &left[..columns(left)], &right[..columns(right)]);
}

/// The steps that a training took after the planned ones, as both sides have them.
fn extra(run: &Recorded) -> Vec<Vec<Extra>> {
    let of = |first: &Trained, more: &[Trained]| std::iter::once(first).chain(more).map(|head| head.extra.clone()).collect::<Vec<_>>();
    let (Ok(Ok(Outcome::Owner(owner))), Ok(Ok(Outcome::Partner(partner)))) = (&run.owner.0, &run.partner.0) else { panic!("no outcome") };
    let (ours, theirs) = (of(&owner.trained, &owner.more_trained), of(&partner.trained, &partner.more_trained));
    assert_eq!(ours, theirs);
    ours
}

/// The end of a run: the owner says it, the partner answers.
fn declare_end(meter: &mut Meter, owner: bool) {
    if owner {
        meter.sent(0);
        meter.received(0);
    } else {
        meter.received(0);
        meter.sent(0);
    }
}

#[test]
fn kinds_lengths_and_order_follow_from_public_sizes_only() {
    let terms = Terms::default();
    let first = recorded(&world(SMALL, Content::Normal, 1, &terms));
    let [owner, partner] = first.logs("first");
    assert!(owner.len() > 100);
    for (index, content) in Content::ALL.into_iter().enumerate() {
        let name = format!("{content:?}");
        let other = recorded(&world(SMALL, content, 100 + index as u64, &terms));
        let [others_owner, others_partner] = other.logs(&name);
        alike_by(content, &name, owner, others_owner);
        alike_by(content, &name, partner, others_partner);
    }
    // The two ends saw the same messages, each direction in its order.
    for (own, peers) in [(owner, partner), (partner, owner)] {
        let sent = own.iter().filter(|e| e.direction == Direction::Sent).map(|e| (e.kind, e.length));
        assert!(sent.eq(peers.iter().filter(|e| e.direction == Direction::Received).map(|e| (e.kind, e.length))));
    }
    println!("{} inputs, {} messages at each end", 1 + Content::ALL.len(), owner.len());
}

/// Labels of other tasks, and who pays, change nothing that is seen either.
#[test]
fn runs_of_other_tasks_follow_from_public_sizes_only() {
    for task in ["linear", "gamma", "hurdle"] {
        let mut reveal = EVERYTHING.to_vec();
        reveal.extend((task == "hurdle").then_some("residual_variance_to_owner"));
        // Users with much in common between labels and columns, and none: the made labels are tame in both.
        let terms = Terms { task, reveal: Some(&reveal), ..Terms::default() };
        let first = recorded(&world(SMALL, Content::Normal, 1, &terms));
        let [owner, partner] = first.logs(task);
        for (content, seed) in [(Content::Noise, 701), (Content::Binary, 702)] {
            let name = format!("{task}, {content:?}");
            let other = recorded(&world(SMALL, content, seed, &terms));
            let [others_owner, others_partner] = other.logs(&name);
            alike(&name, owner, others_owner);
            alike(&name, partner, others_partner);
        }
    }
}

#[test]
fn a_hurdle_opens_two_trainings_and_one_variance_and_costs_what_is_declared() {
    let mut reveal = EVERYTHING.to_vec();
    reveal.push("residual_variance_to_owner");
    let world = world(SMALL, Content::Normal, 3, &Terms { task: "hurdle", reveal: Some(&reveal), ..Terms::default() });
    let run = recorded(&world);
    let logs = run.logs("hurdle");
    let count = |log: &[Entry], code: u16| log.iter().filter(|entry| entry.kind.code == code && entry.direction == Direction::Sent).count();
    let extra = extra(&run);
    let checks = 2 + extra.iter().map(Vec::len).sum::<usize>();
    for (code, owners, partners) in [(0x0580, 2, 2), (0x0581, checks, checks), (0x0583, 0, 2), (0x0584, 0, 0), (0x0585, 0, 1)] {
        assert_eq!((count(logs[0], code), count(logs[1], code)), (owners, partners), "{code:#06x}");
    }
    for ended in [&run.owner.0, &run.partner.0] {
        let mut items = items(ended.as_ref().unwrap().as_ref().unwrap());
        items.sort();
        let mut listed = reveal.clone();
        listed.sort_unstable();
        assert_eq!(items, listed);
    }
    let terms = world.owner.job.shared().training().unwrap();
    let columns = (SMALL.owner_columns, SMALL.partner_columns);
    let schedule = |(label, head): (usize, Head)| {
        let schedule = Schedule::new(head.sizes(terms, label, SMALL.common - SMALL.test, columns)).unwrap();
        schedule.with_residual_variance(head == Head::LogAmount)
    };
    let schedules: Vec<Schedule> = Head::all(terms).map(schedule).collect();
    let (owner, partner) = declare_with(&schedules.iter().zip(extra).collect::<Vec<_>>()).unwrap();
    for (log, declared) in logs.into_iter().zip([owner, partner]) {
        let first = log.iter().position(|entry| entry.kind.code == 0x0301).unwrap();
        let last = log.iter().rposition(|entry| matches!(entry.kind.code, 0x0580 | 0x0585)).unwrap();
        assert_eq!(counted(&log[first..=last]), declared.counters());
    }
    // The variance is that of the residuals in the clear.
    let (Ok(Ok(Outcome::Owner(owner))), Ok(Ok(Outcome::Partner(partner)))) = (&run.owner.0, &run.partner.0) else { panic!("no outcome") };
    let plain = plain_variance(&world, owner, partner);
    let opened = owner.reading.variances[0];
    println!("variance {opened:.6} opened, {plain:.6} in the clear");
    assert!((opened - plain).abs() < 1e-3 * plain, "{opened} opened, {plain} in the clear");
}

/// The mean squared residual of the training payers' log amounts, with both sides' files and weights.
fn plain_variance(world: &World, owner: &OwnerOutcome, partner: &PartnerOutcome) -> f64 {
    let (table, others) = (&world.owner.table, &world.partner.table);
    let split = table.split.as_ref().unwrap();
    let theirs: BTreeMap<&String, usize> = others.ids.iter().zip(0..).collect();
    let rows = (0..table.rows()).filter(|row| split[*row] == Split::Train && table.labels[0][*row] > 0.0);
    let (own, their): (Vec<usize>, Vec<usize>) = rows.filter_map(|row| Some((row, *theirs.get(&table.ids[row])?))).unzip();
    let part = |recipe: &Recipe, columns: &[Column], rows: &[usize], head: &Trained| {
        let x = recipe.apply_rows(columns, rows).unwrap().features;
        logits(x.view(), &head.coefficients, head.intercept.unwrap_or(0.0))
    };
    let a = part(&owner.recipe, &table.columns, &own, &owner.more_trained[0]);
    let b = part(&partner.recipe, &others.columns, &their, &partner.more_trained[0]);
    let squares = own.iter().zip(a.iter().zip(&b)).map(|(row, (a, b))| (table.labels[0][*row].ln() - a - b).powi(2));
    squares.sum::<f64>() / own.len() as f64
}

#[test]
fn a_run_by_vole_follows_from_public_sizes_only() {
    let terms = Terms { matching: "vole", ..Terms::default() };
    let first = recorded(&world(SMALL, Content::Normal, 1, &terms));
    let [owner, partner] = first.logs("first");
    let seen: BTreeSet<u16> = owner.iter().map(|entry| entry.kind.code).collect();
    let matching = (0x0210..=0x0216).chain(0x0330..=0x0336);
    assert!(matching.into_iter().all(|code| seen.contains(&code)) && !seen.contains(&0x0205));
    for entry in owner.iter().chain(partner) {
        assert_eq!(kinds().find(|kind| kind.0 == entry.kind.code).map(|kind| kind.1), Some(entry.kind.name));
    }
    for (index, content) in Content::ALL.into_iter().enumerate() {
        let name = format!("{content:?}");
        let other = recorded(&world(SMALL, content, 500 + index as u64, &terms));
        let [others_owner, others_partner] = other.logs(&name);
        alike_by(content, &name, owner, others_owner);
        alike_by(content, &name, partner, others_partner);
    }
}

#[test]
fn a_run_that_does_not_converge_looks_the_same_up_to_its_listed_bits() {
    let terms = Terms { range: [-2.0, 2.0], extra_steps: 0, ..Terms::default() };
    let well = recorded(&world(SMALL, Content::Noise, 5, &terms));
    let badly = recorded(&world(SMALL, Content::Strong, 6, &terms));
    let [owner, partner] = well.logs("noise");
    for ((ended, log), full) in [(&badly.owner, owner), (&badly.partner, partner)] {
        assert_eq!(ended.as_ref().unwrap().as_ref().err().unwrap().exit, Exit::NotConverged);
        let last = full.iter().rposition(|entry| carries(entry.kind.code) == Opening(Disclosure::ConvergedAndInRange)).unwrap();
        same("up to the end check", log, &full[..=last]);
    }
}

#[test]
fn a_training_that_needs_more_memory_than_allowed_ends_before_anything_is_encrypted() {
    // The table is small; the training's tables and keys alone are more.
    let run = recorded(&world(SMALL, Content::Normal, 9, &Terms { owner_memory: Some("8M"), ..Terms::default() }));
    assert_eq!(run.owner.0.as_ref().unwrap().as_ref().err().unwrap().exit, Exit::Cap);
    assert!(run.partner.0.as_ref().unwrap().is_err());
    // Neither keys nor oblivious transfers nor ciphertexts: none of the correlation's and the algebra's kinds.
    let (owners, secret) = (&run.owner.1, 0x0300..0x0500);
    assert!(owners.iter().any(|entry| entry.kind.code == 0x0121) && !owners.iter().any(|entry| secret.contains(&entry.kind.code)));
    assert!(!run.partner.1.iter().any(|entry| entry.direction == Direction::Received && secret.contains(&entry.kind.code)));
    recorded(&world(SMALL, Content::Normal, 9, &Terms { owner_memory: Some("1G"), ..Terms::default() })).logs("allowed");
}

#[test]
fn an_overlap_run_shows_sizes_only() {
    let terms = Terms { task: "overlap", reveal: None, ..Terms::default() };
    let first = recorded(&world(SMALL, Content::Normal, 1, &terms));
    let [owner, partner] = first.logs("first");
    for (index, content) in Content::ALL.into_iter().enumerate() {
        let other = recorded(&world(SMALL, content, 200 + index as u64, &terms));
        let [others_owner, others_partner] = other.logs("other");
        same("owner", owner, others_owner);
        same("partner", partner, others_partner);
    }
}

/// The items of a run's own list of openings.
fn items(outcome: &Outcome) -> Vec<String> {
    let opened = match outcome {
        Outcome::Overlap(outcome) => &outcome.opened,
        Outcome::Owner(outcome) => &outcome.details.opened,
        Outcome::Partner(outcome) => &outcome.report.opened,
    };
    opened.iter().map(|opened| opened.item.clone()).collect()
}

#[test]
fn every_opened_value_is_on_the_jobs_list_and_every_listed_item_is_opened_once() {
    let training = ["converged_and_in_range", "overlap_to_both", "own_weights", "split_to_partner"];
    let scores = ["converged_and_in_range", "overlap_to_both", "own_weights", "scores_to_owner", "split_to_partner"];
    let lists: [(&str, &[&str]); 4] =
        [("logistic", &EVERYTHING), ("logistic", &training), ("logistic", &scores), ("overlap", &["overlap_to_both"])];
    // Weights of each side, the intercept with the owner's.
    let weights = |count: usize| (50 * count).div_ceil(8);
    let (owners, partners) = (SMALL.owner_columns + 1, SMALL.partner_columns);
    for (task, list) in lists {
        let run = recorded(&world(SMALL, Content::Normal, 7, &Terms { task, reveal: Some(list), ..Terms::default() }));
        let logs = run.logs(task);
        let listed: BTreeSet<Disclosure> = list.iter().map(|name| Disclosure::from_name(name).unwrap()).collect();
        // The wire: only kinds of the table, under their names, and openings of listed items only.
        for (side, log) in ["owner", "partner"].into_iter().zip(logs) {
            for entry in log {
                let known = kinds().find(|kind| kind.0 == entry.kind.code).map(|kind| kind.1);
                assert_eq!(known, Some(entry.kind.name), "{task} {list:?}: a message kind that the table does not have");
                if let Opening(item) = carries(entry.kind.code) {
                    assert!(listed.contains(&item), "{task} {list:?}: the {side} saw '{}', {item} is not listed", entry.kind.name);
                }
            }
        }
        // Exactly these values, once each: (code, bytes the owner sent, bytes the partner sent).
        let mut expected = vec![(0x0204, Some(8), Some(8))];
        if task == "logistic" {
            let positions = Some(4 * SMALL.common);
            expected.push((0x0205, positions, positions));
            expected.push((0x0580, Some(weights(partners)), Some(weights(owners))));
            expected.push((0x0581, Some(1), Some(1)));
            expected.push((0x0582, Some(SMALL.common.div_ceil(8)), None));
        }
        if listed.contains(&Disclosure::ScoresToOwner) {
            expected.push((0x0583, None, Some(4 * SMALL.test)));
        }
        for (log, owner) in [(logs[0], true), (logs[1], false)] {
            let mut sent: Vec<(u16, usize)> = log
                .iter()
                .filter(|entry| entry.direction == Direction::Sent && matches!(carries(entry.kind.code), Opening(_)))
                .map(|entry| (entry.kind.code, entry.length))
                .collect();
            sent.sort_unstable();
            let side = |(code, a, b): &(u16, Option<usize>, Option<usize>)| (if owner { *a } else { *b }).map(|length| (*code, length));
            assert_eq!(sent, expected.iter().filter_map(side).collect::<Vec<_>>(), "{task} {list:?}");
        }
        // Both sides' own lists of what was opened.
        for ended in [&run.owner.0, &run.partner.0] {
            let mut items = items(ended.as_ref().unwrap().as_ref().unwrap());
            items.sort();
            assert_eq!(items, list, "{task}");
        }
    }
    // Every code kept for openings is in the table, and the table's training openings have such codes.
    for (code, name, carries) in kinds() {
        let opening = matches!(carries, Opening(item) if item != Disclosure::OverlapToBoth);
        assert_eq!(opening, OPENING_KINDS.contains(&code), "{name}");
    }
}

#[test]
fn a_scoring_shows_sizes_and_the_listed_scores_only_and_costs_what_is_declared() {
    let scored = |content: Content, seed: u64| {
        let world = score_world(SMALL, content, seed);
        let (a, b) = pair();
        let log = |recorder: Recorder<_>| recorder.into_parts().1;
        let ((owner, ours), (partner, theirs)) = play_scoring(&world, (Recorder::new(a), Recorder::new(b)), log, log);
        let [owner, partner] = [owner, partner].map(|ended| ended.unwrap().unwrap());
        assert!(owner.scored.unwrap().scores.iter().all(|score| (0.0..=1.0).contains(score)) && partner.scored.is_none());
        for report in [&owner.report, &partner.report] {
            let items: Vec<&str> = report.opened.iter().map(|opened| opened.item.as_str()).collect();
            assert_eq!(items, ["overlap_to_both", "scores_to_owner"]);
        }
        ([ours, theirs], world.owner.job.shared().canonical().len())
    };
    let (first, terms) = scored(Content::Normal, 1);
    for (index, content) in Content::ALL.into_iter().enumerate() {
        let (other, _) = scored(content, 300 + index as u64);
        same(&format!("{content:?}, owner"), &first[0], &other[0]);
        same(&format!("{content:?}, partner"), &first[1], &other[1]);
    }
    for (log, own) in first.iter().zip([true, false]) {
        let opened: Vec<(u16, usize)> = log
            .iter()
            .filter(|entry| entry.direction == Direction::Sent && matches!(carries(entry.kind.code), Opening(_)))
            .map(|entry| (entry.kind.code, entry.length))
            .collect();
        let mut expected = vec![(0x0204, 8), (0x0205, 4 * SMALL.common)];
        expected.extend((!own).then_some((0x0583, 4 * SMALL.common)));
        assert_eq!(opened, expected);
        let (mine, theirs) = if own { (SMALL.owner_rows, SMALL.partner_rows) } else { (SMALL.partner_rows, SMALL.owner_rows) };
        let mut meter = Meter::default();
        meter.sent(terms);
        meter.received(terms);
        declare_match(&mut meter, mine, theirs, SMALL.common);
        if own {
            meter.received(4 * SMALL.common)
        } else {
            meter.sent(4 * SMALL.common)
        }
        declare_end(&mut meter, own);
        assert_eq!(counted(log), meter.counters());
    }
}

#[test]
fn a_scoring_that_opens_decisions_shows_sizes_and_masked_bits_only() {
    let lines = "output = [\"yes_no\", \"top_share\", \"decile\"]\ntop_share = 0.3\nthreshold = 0.6\n\
                 reveal = [\"overlap_to_both\", \"decisions_to_owner\"]";
    let scored = |content: Content, seed: u64| {
        let world = score_world_with(SMALL, content, seed, lines);
        let (a, b) = pair();
        let log = |recorder: Recorder<_>| recorder.into_parts().1;
        let ((owner, ours), (partner, theirs)) = play_scoring(&world, (Recorder::new(a), Recorder::new(b)), log, log);
        let [owner, partner] = [owner, partner].map(|ended| ended.unwrap().unwrap());
        let scored = owner.scored.unwrap();
        assert!(scored.scores.is_empty() && partner.scored.is_none());
        let decisions = scored.decisions.unwrap();
        assert_eq!(decisions.top.iter().filter(|top| **top).count(), SMALL.owner_rows * 3 / 10);
        assert_eq!((decisions.deciles.len(), decisions.yes.len()), (SMALL.owner_rows, SMALL.owner_rows));
        for report in [&owner.report, &partner.report] {
            let items: Vec<&str> = report.opened.iter().map(|opened| opened.item.as_str()).collect();
            assert_eq!(items, ["overlap_to_both", "decisions_to_owner"]);
        }
        [ours, theirs]
    };
    let first = scored(Content::Normal, 1);
    for (index, content) in Content::ALL.into_iter().enumerate() {
        let other = scored(content, 400 + index as u64);
        same(&format!("{content:?}, owner"), &first[0], &other[0]);
        same(&format!("{content:?}, partner"), &first[1], &other[1]);
    }
    for (log, own) in first.iter().zip([true, false]) {
        let opened = log.iter().filter(|entry| entry.direction == Direction::Sent && matches!(carries(entry.kind.code), Opening(_)));
        let opened: Vec<(u16, usize)> = opened.map(|entry| (entry.kind.code, entry.length)).collect();
        let mut expected = vec![(0x0204, 8), (0x0205, 4 * SMALL.common)];
        if !own {
            // Four bits a decile, one a membership, one an answer.
            expected.extend(
                [SMALL.owner_rows.div_ceil(2), SMALL.owner_rows.div_ceil(8), SMALL.common.div_ceil(8)].map(|bytes| (0x0586, bytes)),
            );
        }
        assert_eq!(opened, expected);
    }
}

/// Counts in equal cells, and their distance from evenness as a standard normal value (Wilson and Hilferty).
#[derive(Clone, Debug, Default)]
struct Cells(Vec<u64>);

impl Cells {
    fn add(&mut self, cells: usize, cell: usize) {
        self.0.resize(cells, 0);
        self.0[cell] += 1;
    }

    fn unevenness(&self) -> f64 {
        let (total, cells) = (self.0.iter().sum::<u64>() as f64, self.0.len() as f64);
        let expected = total / cells;
        assert!(expected >= 5.0, "too few values for a test: {expected} in a cell");
        let chi: f64 = self.0.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
        let freedom = cells - 1.0;
        ((chi / freedom).cbrt() - (1.0 - 2.0 / (9.0 * freedom))) / (2.0 / (9.0 * freedom)).sqrt()
    }
}

/// Sorts the values of a masked message, or of the shares of weights, into the cells of its class.
fn sort_into(cells: &mut BTreeMap<String, Cells>, sender: &str, code: u16, payload: &[u8]) {
    let name = kinds().find(|kind| kind.0 == code).unwrap().1;
    let mut residues = |part: &str, bytes: &[u8], count: usize, primes: usize| {
        for (values, prime) in unpack_residues(bytes, count, primes).unwrap().iter().zip(PRIMES) {
            let cells = cells.entry(format!("{name}{part}, from the {sender}")).or_default();
            values.iter().for_each(|value| cells.add(64, (u64::from(*value) * 64 / u64::from(prime)) as usize));
        }
    };
    let whole = |length: usize| (1..=PRIMES.len()).find(|primes| packed_bytes(N, *primes) == length).unwrap();
    match code {
        0x0401 | 0x0410 | 0x0420 => residues("", payload, N, whole(payload.len())),
        0x0411 => {
            let (c1, c0) = payload.split_at(packed_bytes(N, 3));
            residues(", c1", c1, N, 3);
            residues(", c0", c0, c0.len() / 3 * 8 / 22, 3);
        }
        0x0421 => {
            let (c1, c0) = payload.split_at(packed_bytes(N, 2));
            residues(", c1", c1, N, 2);
            residues(", c0", c0, N, 2);
        }
        _ => {
            // Encoded points are field elements: their outer bytes have fixed bits. A packed message's last byte may.
            let even: Box<dyn Iterator<Item = &u8>> = match code {
                0x0202 | 0x0310 | 0x0311 => Box::new(payload.chunks(32).flat_map(|point| &point[1..31])),
                0x0321 | 0x0580 => Box::new(payload.split_last().unwrap().1.iter()),
                _ => Box::new(payload.iter()),
            };
            let cells = cells.entry(format!("{name}, from the {sender}")).or_default();
            even.for_each(|byte| {
                cells.add(16, usize::from(byte & 15));
                cells.add(16, usize::from(byte >> 4));
            });
        }
    }
}

#[test]
fn masked_messages_are_uniform_and_no_block_ever_repeats() {
    const RUNS: usize = 5;
    let world = world(SMALL, Content::Normal, 11, &Terms::default());
    let mut cells = BTreeMap::new();
    // The tags of common ids go both ways in a run, which is how they are found: the partner's are kept apart.
    let (mut blocks, mut tags): (Vec<u128>, Vec<u128>) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let (a, b) = pair();
        let ((owner, owners), (partner, partners)) = play(&world, (Tape::new(a), Tape::new(b)), |a| a.sent, |b| b.sent);
        assert!(matches!((owner, partner), (Ok(Ok(_)), Ok(Ok(_)))));
        for (sender, tape) in [("owner", &owners), ("partner", &partners)] {
            for (code, payload) in tape {
                if carries(*code) == Masked || *code == 0x0580 {
                    sort_into(&mut cells, sender, *code, payload);
                    if run < 2 {
                        let kept = if (sender, *code) == ("partner", 0x0203) { &mut tags } else { &mut blocks };
                        kept.extend(payload.as_chunks::<16>().0.iter().map(|block| u128::from_le_bytes(*block)));
                    }
                }
            }
        }
    }
    let classes = cells.len();
    for (name, cells) in &cells {
        let (count, unevenness) = (cells.0.iter().sum::<u64>(), cells.unevenness());
        println!("{name}: {count} values, {unevenness:+.2}");
        // Six standard deviations: one false alarm in 10^9 a class.
        assert!(unevenness < 6.0, "{name}: {unevenness}");
    }
    let masked = kinds().filter(|kind| kind.2 == Masked).count();
    assert!(classes > masked, "{classes} classes of {masked} kinds");
    let count = blocks.len();
    assert!(count > 100_000 && tags.len() > 100);
    for blocks in [&mut blocks, &mut tags] {
        blocks.par_sort_unstable();
        let twice = blocks.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert_eq!(twice, 0, "16-byte blocks that repeat, of {}", blocks.len());
    }
    println!("{classes} classes; {count} blocks of two runs, none twice");
}

/// What a recorded log counts.
fn counted(log: &[Entry]) -> Counters {
    let mut meter = Meter::default();
    for entry in log {
        match entry.direction {
            Direction::Sent => meter.sent(entry.length),
            Direction::Received => meter.received(entry.length),
        }
    }
    meter.counters()
}

fn schedule(sizes: Sizes, prepared: &Prepared) -> Schedule {
    let terms = prepared.job.shared().training().unwrap();
    let public = PublicSizes {
        logit_range: terms.logit_range.map(|[low, high]| (low, high)),
        ..PublicSizes::logistic(sizes.common - sizes.test, sizes.owner_columns, sizes.partner_columns, terms.rate(0).unwrap().ends())
    };
    Schedule::new(public).unwrap()
}

#[test]
fn a_whole_run_costs_what_is_declared() {
    let large = Sizes { owner_rows: 9_300, partner_rows: 8_900, common: 8_800, test: 300, owner_columns: 4, partner_columns: 7 };
    for sizes in [SMALL, large] {
        let world = world(sizes, Content::Normal, 3, &Terms::default());
        let run = recorded(&world);
        let logs = run.logs("run");
        // The training alone: from the first message of the joint coin to the shares of weights.
        let (planned, extra) = (schedule(sizes, &world.owner), extra(&run));
        let (owner, partner) = declare_with(&[(&planned, extra[0].clone())]).unwrap();
        for (log, declared) in logs.into_iter().zip([owner, partner]) {
            let first = log.iter().position(|entry| entry.kind.code == 0x0301).unwrap();
            let last = log.iter().rposition(|entry| entry.kind.code == 0x0580).unwrap();
            assert_eq!(counted(&log[first..=last]), declared.counters());
        }
        // The whole run, as bytes: what stands around the training is declared too.
        for (log, own, training) in [(logs[0], true, owner), (logs[1], false, partner)] {
            let terms = world.owner.job.shared().canonical().len();
            let (mine, theirs) = if own { (sizes.owner_rows, sizes.partner_rows) } else { (sizes.partner_rows, sizes.owner_rows) };
            let mut meter = Meter::default();
            meter.sent(terms);
            meter.received(terms);
            declare_match(&mut meter, mine, theirs, sizes.common);
            let split = sizes.common.div_ceil(8);
            let scores = 4 * sizes.test;
            if own {
                meter.sent(split)
            } else {
                meter.received(split)
            }
            meter.sent(4);
            meter.received(4);
            if own {
                meter.received(scores)
            } else {
                meter.sent(scores)
            }
            declare_end(&mut meter, own);
            let (around, measured, training) = (meter.counters(), counted(log), training.counters());
            assert_eq!(measured.bytes_sent, around.bytes_sent + training.bytes_sent);
            assert_eq!(measured.bytes_received, around.bytes_received + training.bytes_received);
            assert_eq!(measured.messages_sent, around.messages_sent + training.messages_sent);
            assert_eq!(measured.messages_received, around.messages_received + training.messages_received);
            println!(
                "{sizes:?}: {} MB sent, {} messages, {} rounds",
                measured.bytes_sent / 1_000_000,
                measured.messages_sent,
                measured.rounds
            );
        }
    }
}

#[test]
fn an_overlap_run_costs_what_is_declared() {
    let terms = Terms { task: "overlap", reveal: None, ..Terms::default() };
    let world = world(SMALL, Content::Normal, 3, &terms);
    let run = recorded(&world);
    let length = world.owner.job.shared().canonical().len();
    let (mine, theirs) = (SMALL.owner_rows, SMALL.partner_rows);
    for (log, owner, own, peer) in [(&run.owner.1, true, mine, theirs), (&run.partner.1, false, theirs, mine)] {
        let mut meter = Meter::default();
        meter.sent(length);
        meter.received(length);
        declare_count(&mut meter, own, peer);
        declare_end(&mut meter, owner);
        assert_eq!(counted(log), meter.counters());
    }
}

/// `tests/baselines/costs.csv`: what trainings of stated public sizes cost, so that a change of cost is a change of that file.
#[test]
fn costs_of_stated_sizes_are_as_committed() {
    let sizes = [(1_000, 5), (26_399, 21), (100_000, 50), (1_000_000, 50)];
    let header = "train_rows,owner_columns,partner_columns,owner_bytes,partner_bytes,owner_rounds,partner_rounds";
    let mut text = format!("{header}\n");
    for (rows, columns) in sizes {
        let public = PublicSizes::logistic(rows, columns, columns, (0.05, 0.2));
        let (owner, partner) = declare_training(&Schedule::new(public).unwrap()).unwrap();
        let (owner, partner) = (owner.counters(), partner.counters());
        assert_eq!((owner.bytes_sent, owner.messages_sent), (partner.bytes_received, partner.messages_received));
        assert_eq!((partner.bytes_sent, partner.messages_sent), (owner.bytes_received, owner.messages_received));
        let figures = [owner.bytes_sent, partner.bytes_sent, owner.rounds, partner.rounds].map(|figure| figure.to_string());
        text += &format!("{rows},{columns},{columns},{}\n", figures.join(","));
    }
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/baselines/costs.csv")).unwrap_or_default();
    assert!(committed == text, "tests/baselines/costs.csv does not hold these costs; if the change is meant, make it:\n{text}");
}

/// Declared bytes of both sides at a million rows.
fn declared_bytes(columns: usize, rate: f64) -> u64 {
    let bucket = RateBucket::for_rate(rate).unwrap();
    let public = PublicSizes::logistic(1_000_000, columns, columns, (bucket.low(), bucket.high()));
    let (owner, partner) = declare_training(&Schedule::new(public).unwrap()).unwrap();
    let (owner, partner) = (owner.counters(), partner.counters());
    println!("10^6 x ({columns} + {columns}), {rate}: {} + {} bytes", owner.bytes_sent, partner.bytes_sent);
    owner.bytes_sent + partner.bytes_sent
}

#[test]
fn traffic_of_a_million_rows_grows_by_less_than_two_fifths_from_20_to_200_columns() {
    for rate in [0.03, 0.1] {
        let (few, middle, many) = (declared_bytes(10, rate), declared_bytes(50, rate), declared_bytes(100, rate));
        println!("rate {rate}: {few} bytes at 20 columns, {middle} at 100, {many} at 200: x {:.3}", many as f64 / few as f64);
        assert!(few < middle && middle < many && many as f64 / (few as f64) < 1.4);
    }
}
