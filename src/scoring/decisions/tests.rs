//! Decisions without scores against those of the same job with scores; what is opened, and at what cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::tests::{Half, ROWS, file, job_with};
use super::super::{Outcome, Prepared, over};
use super::*;
use crate::error::Exit;
use crate::progress::Silent;
use crate::resources::StageClock;
use crate::run::decisions::declare;
use crate::training::heads::Reading;
use crate::training::opening::OPENING_KINDS;
use colift_channel::memory::pair;
use colift_channel::{ChannelError, Counters, Kind, Meter};
use std::cell::Cell;

/// Users of the training that both sides bring; the owner brings as many others.
const COMMON: usize = 300;
const ANSWERS: &str = "output = [\"yes_no\", \"top_share\", \"decile\"]\ntop_share = 0.29\nthreshold = 0.3";

fn hidden(opens: &str) -> String {
    format!("{opens}\nreveal = [\"overlap_to_both\", \"decisions_to_owner\"]")
}

fn open(opens: &str) -> String {
    format!("{opens}\nreveal = [\"overlap_to_both\", \"scores_to_owner\"]")
}

/// Both sides' prepared scoring, the owner's file beginning at `first`.
fn prepared(first: usize) -> [Prepared; 2] {
    [(Side::Owner, first), (Side::Partner, 0)].map(|(side, first)| Half::new(side).prepare(&file(side, first)).unwrap())
}

/// The same scoring under a job with these lines.
fn under(prepared: &Prepared, opens: &str) -> Prepared {
    let job = job_with(prepared.job.side(), std::path::Path::new("."), "new.csv", opens);
    Prepared { job, model: prepared.model.clone(), table: prepared.table.clone() }
}

/// One message: whether this end sent it, its kind and payload.
type Seen = (bool, u16, Vec<u8>);

/// A channel that keeps what crosses it and changes payloads of decisions on their way.
struct Watched<C> {
    inner: C,
    seen: Vec<Seen>,
    flip: Option<u8>,
}

impl<C: Channel> Channel for Watched<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        let mut payload = payload.to_vec();
        if let Some(flip) = self.flip.filter(|_| kind.code == 0x0586) {
            payload[0] ^= flip;
        }
        self.inner.send(kind, &payload)?;
        self.seen.push((true, kind.code, payload));
        Ok(())
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        let payload = self.inner.receive_at_most(kind, cap)?;
        self.seen.push((false, kind.code, payload.clone()));
        Ok(payload)
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

/// Runs both sides; their outcomes and what each end saw.
fn both(owner: &Prepared, partner: &Prepared, flip: Option<u8>) -> [(Outcome, Vec<Seen>); 2] {
    let (a, b) = pair();
    let run = |prepared: &Prepared, inner| {
        let mut channel = Watched { inner, seen: Vec::new(), flip };
        let outcome = over(&mut channel, &[7; 32], prepared, &mut StageClock::new(prepared.job.side()), &Silent).unwrap();
        (outcome, channel.seen)
    };
    std::thread::scope(|scope| {
        let partner = scope.spawn(move || run(partner, b));
        [run(owner, a), partner.join().unwrap()]
    })
}

/// Decisions with and without scores of the same job, and the predictor of each user that scores tell.
fn two_ways(owner: &Prepared, partner: &Prepared, opens: &str, predictor: impl Fn(f64) -> f64) -> (Decisions, Decisions, Vec<f64>) {
    let [with, without] = [open(opens), hidden(opens)].map(|opens| {
        let [(outcome, _), _] = both(&under(owner, &opens), &under(partner, &opens), None);
        outcome.scored.unwrap()
    });
    let terms = under(owner, &open(opens)).job.shared().score().unwrap().clone();
    assert!(without.scores.is_empty() && with.decisions.is_none() && with.joint == without.joint);
    let plain = Decisions::of_scores(&with.scores, &owner.table.ids, &terms);
    (plain, without.decisions.unwrap(), with.scores.iter().map(|score| predictor(*score)).collect())
}

/// Marks are as many as in the clear, and where they differ the user stands within `unit` of the lowest that is marked there: a tie.
fn same_marks(plain: &[bool], found: &[bool], z: &[f64], unit: f64, what: &str) {
    let count = |marks: &[bool]| marks.iter().filter(|mark| **mark).count();
    assert_eq!(count(found), count(plain), "{what}");
    let cut = z.iter().zip(plain).filter(|(_, mark)| **mark).map(|(z, _)| *z).fold(f64::MAX, f64::min);
    for (user, (plain, found)) in plain.iter().zip(found).enumerate() {
        assert!(plain == found || (z[user] - cut).abs() <= unit, "{what}: user {user} at {}, the cut at {cut}", z[user]);
    }
}

/// Decisions are those of the scores, but where users stand within `unit` of each other, or within a rounding of the line.
fn same_but_for_ties((plain, found, z): (Decisions, Decisions, Vec<f64>), unit: f64, line: f64, what: &str) {
    assert_eq!((found.deciles.len(), found.top.len(), found.yes.len()), (plain.deciles.len(), plain.top.len(), plain.yes.len()), "{what}");
    for (user, (plain, found)) in plain.yes.iter().zip(&found.yes).enumerate() {
        assert!(plain == found || (z[user] - line).abs() < 1e-9 * line.abs().max(1.0), "{what}: user {user}");
    }
    same_marks(&plain.top, &found.top, &z, unit, what);
    for tenth in 1..10 {
        let marks = |deciles: &[u8]| deciles.iter().map(|decile| *decile <= tenth).collect::<Vec<bool>>();
        same_marks(&marks(&plain.deciles), &marks(&found.deciles), &z, unit, &format!("{what}, tenth {tenth}"));
    }
    assert!(found.deciles.iter().all(|decile| (1..=10).contains(decile)));
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

#[test]
fn decisions_are_those_of_the_scores_but_for_ties() {
    let [owner, partner] = prepared(ROWS - COMMON);
    let unit = 1.0 / 65_536.0 + 1e-9;
    for opens in [ANSWERS, "output = [\"yes_no\"]\nthreshold = 0.3", "output = [\"top_share\"]\ntop_share = 0.4", "output = [\"decile\"]"] {
        let found = two_ways(&owner, &partner, opens, logit);
        let joint = found.2.len();
        assert_eq!(joint, ROWS, "users of both kinds are decided");
        same_but_for_ties(found, unit, logit(0.3), opens);
    }
}

#[test]
fn decisions_of_every_task_with_one_predictor_are_those_of_the_scores() {
    let unit = 1.0 / 65_536.0 + 1e-9;
    for task in [Task::Linear, Task::Poisson, Task::Gamma, Task::LogNormal] {
        let [mut owner, partner] = prepared(ROWS - COMMON);
        let factor = if task == Task::Linear { 37.5 } else { 1.0 };
        let variances = if task == Task::LogNormal { vec![0.8] } else { Vec::new() };
        // A cap that some amounts meet.
        let log_cap = if task == Task::LogNormal { 1.0 } else { 12.0 };
        owner.model.task = task;
        owner.model.reading = Some(Reading { partner_factors: vec![factor], variances, log_cap });
        let own = owner.model.own_model.as_mut().unwrap();
        own.variances = if task == Task::LogNormal { vec![0.5] } else { Vec::new() };
        if task == Task::Linear {
            // Numbers around a thousand, whose unit only the owner knows.
            (owner.model.intercept, own.intercept) = (Some(1000.0), 1003.0);
        }
        let back = |score: f64| if task == Task::Linear { score / factor } else { score.ln() };
        let threshold = if task == Task::Linear { 1001.0 } else { 0.9 };
        let opens = format!("output = [\"yes_no\", \"top_share\", \"decile\"]\ntop_share = 0.6\nthreshold = {threshold}");
        let found = two_ways(&owner, &partner, &opens, back);
        assert!(found.0.yes.iter().any(|yes| *yes) && !found.0.yes.iter().all(|yes| *yes), "{task:?}");
        if task == Task::LogNormal {
            // Capped amounts are equal in the clear and not on shares: ties, too.
            let z = &found.2;
            let capped = z.iter().filter(|z| **z >= log_cap - 1e-12).count();
            assert!((1..z.len()).contains(&capped), "{capped}");
        }
        same_but_for_ties(found, unit, back(threshold), &format!("{task:?}"));
    }
    // A threshold above the cap: nobody reaches it.
    assert_eq!(predictor_of(Task::LogNormal, 3.0, 1.0), f64::INFINITY);
    assert_eq!(predictor_of(Task::LogNormal, 2.0, 1.0), 2f64.ln());
}

#[test]
fn only_the_decisions_are_opened_and_at_the_declared_cost() {
    let [owner, partner] = prepared(ROWS - COMMON);
    let opens = hidden(ANSWERS);
    let (owner, partner) = (under(&owner, &opens), under(&partner, &opens));
    let [(ours, owners_log), (theirs, partners_log)] = both(&owner, &partner, None);
    // Messages that open: the partner's, of four bits, one and one a user, and none of the owner's.
    let opening = |log: &[Seen]| -> Vec<(bool, u16, usize)> {
        let listed = log.iter().filter(|(_, code, _)| OPENING_KINDS.contains(code));
        listed.map(|(sent, code, payload)| (*sent, *code, payload.len())).collect()
    };
    let lengths = [(4 * ROWS).div_ceil(8), ROWS.div_ceil(8), COMMON.div_ceil(8)];
    assert_eq!(opening(&owners_log), lengths.map(|length| (false, 0x0586, length)));
    assert_eq!(opening(&partners_log), lengths.map(|length| (true, 0x0586, length)));
    // All others are the matching's, masks of the oblivious transfers, terms and sizes.
    let rest = [0x0120, 0x0122, 0x0310, 0x0311, 0x0320, 0x0321, 0x0502];
    for (_, code, _) in owners_log.iter().chain(&partners_log) {
        assert!(
            rest.contains(code) || *code == 0x0586 || (0x0201..0x0220).contains(code) || (0x0330..0x0340).contains(code),
            "{code:#06x}"
        );
    }
    // The lists and the receipts' facts say the same, with the same counts.
    for (outcome, own) in [(&ours, true), (&theirs, false)] {
        let listed: Vec<(&str, u64)> =
            outcome.facts.opened.iter().map(|counted| (counted.item.as_str(), if own { counted.learned } else { counted.told })).collect();
        let decisions = "decisions_to_owner";
        let (all, common) = (ROWS as u64, COMMON as u64);
        assert_eq!(listed, [("overlap_to_both", common), (decisions, all), (decisions, all), (decisions, common)]);
        let words = outcome.report.opened.iter().find(|opened| opened.item == decisions).unwrap();
        assert!(words.to == "owner" && words.what.contains("no score"), "{}", words.what);
        let count = |log: &[Seen], sent: bool| {
            let mut kinds = std::collections::BTreeMap::new();
            log.iter().filter(|seen| seen.0 == sent).for_each(|seen| *kinds.entry(seen.1).or_insert(0) += 1);
            kinds
        };
        let (side, log) = if own { (Side::Owner, &owners_log) } else { (Side::Partner, &partners_log) };
        outcome.facts.check_wire(side, &count(log, true), &count(log, false)).unwrap();
        let mut more = count(log, own);
        *more.entry(0x0586).or_insert(0) += 1;
        let (sent, received) = if own { (more, count(log, false)) } else { (count(log, true), more) };
        assert_eq!(outcome.facts.check_wire(side, &sent, &received).unwrap_err().exit, Exit::Policy);
    }
    // The release alone, from its oblivious transfers to its last opening, costs what is declared.
    for (role, log) in [(Role::First, &owners_log), (Role::Second, &partners_log)] {
        let of = |code: u16, back: bool| {
            let mut at = log.iter().enumerate().filter(|(_, seen)| seen.1 == code).map(|(at, _)| at);
            if back { at.next_back() } else { at.next() }.unwrap()
        };
        let (mut measured, mut declared) = (Meter::default(), Meter::default());
        for (sent, _, payload) in &log[of(0x0502, false) + 1..=of(0x0586, true)] {
            if *sent { measured.sent(payload.len()) } else { measured.received(payload.len()) }
        }
        let terms = owner.job.shared().score().unwrap();
        declare(&mut declared, role, terms, Sizes { users: ROWS, matched: COMMON, top: top_users(0.29, ROWS) });
        assert_eq!(measured.counters(), declared.counters(), "{role:?}");
    }
}

#[test]
fn what_is_opened_is_the_decision_and_a_mask_on_the_wire() {
    let [owner, partner] = prepared(ROWS - COMMON);
    let opens = hidden("output = [\"yes_no\"]\nthreshold = 0.3");
    let (owner, partner) = (under(&owner, &opens), under(&partner, &opens));
    let answers = |flip: Option<u8>| {
        let [(ours, _), (_, log)] = both(&owner, &partner, flip);
        let sent = log.into_iter().find(|seen| seen.1 == 0x0586).unwrap().2;
        (ours.scored.unwrap().decisions.unwrap().yes, sent)
    };
    let (honest, _) = answers(None);
    // The owner's answer is its own share and the partner's bit, and nothing else: other bits in the first byte turn just those eight.
    let (turned, _) = answers(Some(0b1010_0001));
    assert_eq!(honest.iter().zip(&turned).filter(|(a, b)| a != b).count(), 3);
    // The same users time and again: the partner's bits are fresh coins, whatever the answers. 40 × 300 bits; beyond 5 deviations once in 10^6.
    let ones = Cell::new(0u32);
    let mut first_user = 0;
    for _ in 0..40 {
        let (again, sent) = answers(None);
        assert_eq!(again, honest);
        ones.set(ones.get() + sent.iter().map(|byte| byte.count_ones()).sum::<u32>());
        first_user += u32::from(sent[0] & 1);
    }
    assert!((5_726..=6_274).contains(&ones.get()) && (4..=36).contains(&first_user), "{} ones, {first_user}", ones.get());
}

#[test]
fn parts_out_of_range_are_cut_and_told_and_nobody_common_needs_no_protocol() {
    assert_eq!(partner_parts(&[0.0, 1.0 / 256.0, -300.0, 300.0, 127.9]).1, 2);
    assert_eq!(partner_parts(&[-300.0, 300.0, -1.0]).0.answers, [1, 65_535, 32_768 - 256]);
    assert!(cut_note(0).is_none() && cut_note(2).unwrap().contains("2 users"));
    let [owner, partner] = prepared(4 * ROWS);
    let lines = format!("{ANSWERS}\nmin_overlap = 0");
    let found = two_ways(&owner, &partner, &lines, logit);
    assert_eq!(found.0, found.1, "the owner decides alone, in the same way");
    let [(ours, log), (theirs, _)] = both(&under(&owner, &hidden(&lines)), &under(&partner, &hidden(&lines)), None);
    assert!(!log.iter().any(|(_, code, _)| *code == 0x0586 || *code == 0x0320));
    assert_eq!(ours.facts.opened.iter().map(|counted| counted.learned + counted.told).sum::<u64>(), 0);
    assert_eq!(theirs.report.matched, 0);
}

#[test]
fn models_with_several_predictors_are_refused_before_the_network() {
    for side in [Side::Owner, Side::Partner] {
        let half = Half::new(side);
        let [owner, partner] = prepared(0);
        let mut model = if side == Side::Owner { owner.model } else { partner.model };
        let head = crate::model::MoreHead { intercept: model.intercept, coefficients: model.coefficients.clone() };
        model.task = Task::Hurdle;
        model.more_heads = vec![head.clone()];
        if side == Side::Owner {
            model.reading = Some(Reading { partner_factors: vec![1.0], variances: vec![1.0], log_cap: 12.0 });
            let own = model.own_model.as_mut().unwrap();
            (own.more_heads, own.variances) = (vec![head], vec![1.0]);
            own.more_heads[0].coefficients = own.coefficients.clone();
        }
        std::fs::write(half.folder.path().join("model.json"), model.to_json().unwrap()).unwrap();
        std::fs::write(half.folder.path().join("new.csv"), file(side, 0)).unwrap();
        let opens = hidden("output = [\"top_share\"]\ntop_share = 0.5");
        let refused = super::super::prepare(job_with(side, half.folder.path(), "new.csv", &opens)).err().unwrap();
        assert_eq!((refused.exit, refused.id), (Exit::Usage, 840), "{refused}");
        assert!(refused.what.contains("one predictor, this one has 2") && refused.remedy.unwrap().contains("scores_to_owner"));
    }
}

#[test]
fn another_number_of_users_than_the_matching_told_is_refused() {
    let run = |told: u64, known: Option<u64>| {
        let (mut a, mut b) = pair();
        agree::users(&mut a, Some(told), 0, 0, None).unwrap();
        agree::users(&mut b, None, 10, 100, known)
    };
    assert_eq!((run(10, Some(10)).unwrap(), run(100, None).unwrap()), (10, 100));
    for (told, known) in [(11, Some(10)), (9, None), (101, None)] {
        assert_eq!(run(told, known).unwrap_err().exit, Exit::Protocol);
    }
}
