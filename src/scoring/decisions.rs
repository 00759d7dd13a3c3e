//! Both sides' parts of a predictor as the whole numbers that decisions are computed from, and what comes back ([`crate::run::decisions`]).
//!
//! Common order: common users as aligned, then the owner's others by canonical id. The partner's part counts in steps of 1/256, as with
//! `scores_to_owner`, and is cut at ±127.99; the owner's is divided by its secret factor of the partner's part, so that both add up.
//! For ranks it is taken from the owner's median and rounded to 2^-16; predictors that are equal then are a tie, decided by the common
//! order. A yes needs no rounding: the owner's part says from which of the partner's steps on it is one.

use super::rank::{Decisions, top_users};
use super::{Prepared, Reading};
use crate::align::Aligned;
use crate::contract::{ScoreTerms, Task};
use crate::data::Side;
use crate::data::wording::grouped;
use crate::error::{Exit, Failure};
use crate::progress::Progress;
use crate::recipe::Unfamiliar;
use crate::run::agree;
use crate::run::decisions::{FINE_BITS, PART_BITS, Parts, Released, Sizes, ranks, release};
use crate::training::opening::Ledger;
use colift_channel::Channel;
use colift_correlation::Role;

/// The partner's steps in one unit.
const STEPS: f64 = 256.0;
/// Half the range of a part in the partner's steps.
const HALF: i64 = 1 << (PART_BITS - 1);

/// One side's release.
pub(super) struct Release<'a> {
    pub(super) channel: &'a mut dyn Channel,
    pub(super) role: Role,
    pub(super) ledger: &'a mut Ledger,
    pub(super) prepared: &'a Prepared,
    pub(super) aligned: &'a Aligned,
    pub(super) progress: &'a dyn Progress,
}

/// What a side has afterwards.
pub(super) struct Decided {
    /// The owner's, in the order of its table.
    pub(super) decisions: Option<Decisions>,
    /// Users that were ranked on shares.
    pub(super) ranked: usize,
    pub(super) notes: Vec<String>,
    /// Of users that the owner's own model decided.
    pub(super) unfamiliar: Vec<Unfamiliar>,
}

impl Release<'_> {
    /// Runs it; `mine` are the own predictors of the common users.
    pub(super) fn run(self, mine: &[f64]) -> Result<Decided, Failure> {
        let Prepared { job, table, .. } = self.prepared;
        let shared = job.shared();
        let terms = shared.score().ok_or_else(|| Failure::new(Exit::Internal, 842, "decisions without the terms of a scoring"))?;
        let matched = self.aligned.rows.len();
        let owner = job.side() == Side::Owner;
        let mut users = if owner { table.rows() } else { 0 };
        if ranks(terms) {
            let own = owner.then_some(users as u64);
            let known = Some(self.aligned.peer_rows).filter(|_| shared.more_keys().is_empty());
            users = agree::users(self.channel, own, matched as u64, shared.max_rows(Side::Owner), known)? as usize;
        }
        let sizes = Sizes { users, matched, top: terms.top_share.map_or(0, |share| top_users(share, users)) };
        let ranked = if ranks(terms) && matched > 0 { users } else { 0 };
        // The end of the stage is told by the caller.
        let told = |done, total| self.progress.stage("scoring", done, total + 1);
        if !owner {
            let (parts, cut) = partner_parts(mine);
            release(self.channel, self.role, self.ledger, (terms, sizes), &parts, &told)?;
            return Ok(Decided { decisions: None, ranked, notes: cut_note(cut).into_iter().collect(), unfamiliar: Vec::new() });
        }
        let own = OwnerPart::new(self.prepared, &self.aligned.rows, mine, terms)?;
        let (parts, cut) = own.parts(terms);
        let released = release(self.channel, self.role, self.ledger, (terms, sizes), &parts, &told)?;
        let decisions = own.decisions(self.prepared, &self.aligned.rows, released, terms);
        let notes = cut_note(if ranked > 0 { cut } else { 0 }).into_iter().collect();
        Ok(Decided { decisions: Some(decisions), ranked, notes, unfamiliar: own.unfamiliar })
    }
}

/// The partner's numbers, and how many parts lay outside of the range.
fn partner_parts(mine: &[f64]) -> (Parts, usize) {
    let mut cut = 0;
    let mut step = |z: &f64| {
        let step = (z * STEPS).round();
        let kept = step.clamp(1.0 - HALF as f64, HALF as f64 - 1.0);
        cut += usize::from(kept != step);
        (kept as i64 + HALF) as u64
    };
    let numbers: Vec<u64> = mine.iter().map(&mut step).collect();
    (Parts { ranks: numbers.clone(), answers: numbers }, cut)
}

fn cut_note(cut: usize) -> Option<String> {
    (cut > 0).then(|| {
        let users = grouped(cut as u64);
        format!("the own part of the score of {users} users lies beyond ±128 units and was cut there: decisions about them may differ from those with scores")
    })
}

/// The owner's side of it.
struct OwnerPart {
    /// Rows of users that the partner lacks, by canonical id.
    others: Vec<usize>,
    /// Own parts of the common users in the partner's unit.
    joint: Vec<f64>,
    /// Whole predictors of the others, in the same unit.
    alone: Vec<f64>,
    /// Predictions of the others.
    scores: Vec<f64>,
    /// The threshold in that unit; infinite where no prediction can reach it.
    line: f64,
    unfamiliar: Vec<Unfamiliar>,
}

impl OwnerPart {
    fn new(prepared: &Prepared, matched: &[usize], mine: &[f64], terms: &ScoreTerms) -> Result<Self, Failure> {
        let Prepared { model, table, .. } = prepared;
        let (task, reading) = (model.task, model.reading());
        let mut common = vec![false; table.rows()];
        matched.iter().for_each(|row| common[*row] = true);
        let mut others: Vec<usize> = (0..table.rows()).filter(|row| !common[*row]).collect();
        others.sort_unstable_by(|a, b| table.ids[*a].cmp(&table.ids[*b]));
        let (shift, factor) = reading.line(task);
        if factor <= 0.0 {
            return Err(Failure::new(
                Exit::Data,
                843,
                "the model's unit of the partner's part is not above 0, so nothing can be compared in it",
            ));
        }
        let (mut alone, mut scores, mut unfamiliar) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(own) = &model.own_model {
            let predictors = own.predictors_of(&table.columns, &others)?;
            let own = Reading::alone(&own.variances, reading.log_cap);
            scores = own.predict(task, &predictors.values, None).pop().unwrap_or_default();
            let (own_shift, _) = own.line(task);
            let cap = if task == Task::LogNormal { reading.log_cap } else { f64::MAX };
            alone = predictors.values.first().map_or(Vec::new(), |z| z.iter().map(|z| (z + own_shift).min(cap) / factor).collect());
            unfamiliar = predictors.unfamiliar;
        }
        let line = terms.threshold.map_or(0.0, |threshold| predictor_of(task, threshold, reading.log_cap)) / factor;
        let joint = mine.iter().map(|z| (z + shift) / factor).collect();
        Ok(Self { others, joint, alone, scores, line, unfamiliar })
    }

    /// The numbers, and how many parts lay outside of the range of ranks.
    fn parts(&self, terms: &ScoreTerms) -> (Parts, usize) {
        let (mut ranking, mut cut) = (Vec::new(), 0);
        if ranks(terms) {
            let middle = median(self.joint.iter().chain(&self.alone).copied().collect());
            let (half, fine) = (1i64 << (PART_BITS + FINE_BITS - 1), STEPS * f64::from(1u32 << FINE_BITS));
            let mut number = |z: &f64| {
                let wanted = ((z - middle) * fine).round();
                let kept = wanted.clamp(-half as f64, half as f64 - 1.0);
                cut += usize::from(kept != wanted);
                (kept as i64 + half) as u64
            };
            ranking = self.joint.iter().map(&mut number).collect();
            // A partner's part of 0 stands for no part.
            ranking.extend(self.alone.iter().map(|z| number(z) + ((HALF as u64) << FINE_BITS)));
        }
        // Yes where part + own ≥ line: from this step of the partner's on.
        let from = |z: &f64| ((self.line - z) * STEPS).ceil().clamp(1.0 - HALF as f64, HALF as f64) as i64;
        let answer = |z: &f64| (HALF - from(z)) as u64;
        let answers = if terms.threshold.is_some() { self.joint.iter().map(answer).collect() } else { Vec::new() };
        (Parts { ranks: ranking, answers }, cut)
    }

    /// Released decisions in the order of the table, with those that the own model makes alone.
    fn decisions(&self, prepared: &Prepared, matched: &[usize], released: Released, terms: &ScoreTerms) -> Decisions {
        let ids = &prepared.table.ids;
        let order: Vec<usize> = matched.iter().chain(&self.others).copied().collect();
        if matched.is_empty() {
            let mut scores = vec![f64::NAN; ids.len()];
            self.others.iter().zip(&self.scores).for_each(|(row, score)| scores[*row] = *score);
            return Decisions::of_scores(&scores, ids, terms);
        }
        let own_yes = terms.threshold.into_iter().flat_map(|threshold| self.scores.iter().map(move |score| *score >= threshold));
        Decisions {
            deciles: in_table(&order, released.deciles),
            top: in_table(&order, released.top),
            yes: in_table(&order, released.yes.into_iter().chain(own_yes).collect()),
        }
    }
}

/// The predictor at which a prediction reaches the threshold; infinite where none does.
fn predictor_of(task: Task, threshold: f64, log_cap: f64) -> f64 {
    match task {
        Task::Logistic | Task::Hurdle => (threshold / (1.0 - threshold)).ln(),
        Task::Linear => threshold,
        Task::Poisson | Task::Gamma => threshold.ln(),
        Task::LogNormal if threshold.ln() > log_cap => f64::INFINITY,
        Task::LogNormal => threshold.ln(),
    }
}

/// The middle value, 0 without one.
fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Entries in the common order, in the table's; nothing stays nothing.
fn in_table<T: Copy + Default>(order: &[usize], entries: Vec<T>) -> Vec<T> {
    if entries.is_empty() {
        return entries;
    }
    let mut placed = vec![T::default(); order.len()];
    order.iter().zip(entries).for_each(|(row, entry)| placed[*row] = entry);
    placed
}

#[cfg(test)]
mod tests;
