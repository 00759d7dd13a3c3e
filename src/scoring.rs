//! Batch scoring: users of both sides get the score of a stored model, each side applying its own half.
//!
//! `prepare` loads and checks the own half and reads the own file, before a network byte; `over` does the rest: terms →
//! matching → the partner's rounded part of the logits to the owner → the owner's part added; or, where the job opens decisions only
//! (`decisions.rs`), both parts into a protocol that ends with those. Users that the partner lacks get
//! the owner's own model. No label and no split is needed. Nothing is written here: the caller writes what an [`Outcome`]
//! holds, with the help of [`rank`] and [`mod@write`].

mod decisions;
mod half;
pub mod rank;
#[cfg(test)]
mod tests;
pub mod write;

use crate::align::Aligned;
use crate::contract::{Disclosure, Job, Task};
use crate::data::wording::{counted, grouped};
use crate::data::{IdProblem, Side, Table, TableSpec, Warning, read_table};
use crate::error::{Exit, Failure};
use crate::model::ModelFile;
use crate::progress::Progress;
use crate::recipe::Unfamiliar;
use crate::report::{NotScored, ScoreReport, ScoredUsers, UnfamiliarCells};
use crate::resources::StageClock;
use crate::run::{
    FEWEST_PARTNER_COLUMNS, Facts, Forgetful, Keep, KeptMatching, Opening, Ran, agree, align_table, matching_terms, opened, scores,
};
use crate::scoring::rank::Decisions;
use crate::training::heads::{Head, Reading, rising};
use crate::training::opening::Ledger;
use crate::training::twin::sigmoid;
use colift_channel::Channel;
use colift_correlation::Role;
use colift_primitives::hash::PartHash;

/// A job, the own half of its model, and the checked table of one side.
pub struct Prepared {
    /// The checked job of one side.
    pub job: Job,
    /// This side's half.
    pub model: ModelFile,
    /// The side's file; rows without a usable id are left out and listed in it.
    pub table: Table,
}

impl Prepared {
    /// Hash of everything that a scoring takes from this side, its half of the model among it: the same for every attempt of it.
    ///
    /// # Errors
    /// Exit code 1: the model cannot be written as text.
    pub fn fingerprint(&self) -> Result<[u8; 32], Failure> {
        let model = self.model.to_json()?;
        Ok(PartHash::new("colift scoring v1").part(&self.table.fingerprint()).part(model.as_bytes()).finish())
    }
}

/// What a scoring ends with.
pub struct Outcome {
    /// Counts and what was opened; cost is filled in by the caller.
    pub report: ScoreReport,
    /// Each row's score, for the owner.
    pub scored: Option<Scored>,
    /// For people: what the files had that the training had not.
    pub notes: Vec<String>,
    /// What the receipt says.
    pub facts: Facts,
}

impl Ran for Outcome {
    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// The owner's scores, or decisions without scores, one a row of its table.
pub struct Scored {
    /// Decisions that were released without scores; every list of scores is empty then.
    pub decisions: Option<Decisions>,
    /// Predictions: probabilities, or expected numbers or amounts; of several labels the last one's.
    pub scores: Vec<f64>,
    /// Labels before it by name, with their predictions.
    pub earlier: Vec<(String, Vec<f64>)>,
    /// The last label's name, where there are several.
    pub label: Option<String>,
    /// Of a hurdle the probability to pay.
    pub probabilities: Option<Vec<f64>>,
    /// Whether the joint model gave it; otherwise the owner's own model did.
    pub joint: Vec<bool>,
}

/// Loads and checks the own half of the job's model, then reads and checks the own file as its recipe says; sends nothing.
///
/// # Errors
/// Exit 2, 11, 13, 16: the model file is not the one that the job needs (E0801 to E0805), or cannot be read. Exit 13 for data
/// that fail a check, E0724 and E0726 among them; E0806 where no row has a usable id. Exit 17 above the agreed number of rows.
pub fn prepare(job: Job) -> Result<Prepared, Failure> {
    let model = half::load(&job)?;
    let mut table = read_table(&spec(&job, &model), job.side())?;
    let file = job.private().data.display().to_string();
    if table.rows() == 0 {
        let what = format!("none of the {} rows has a usable id", grouped(table.counts.rows));
        return Err(Failure::new(Exit::Data, 806, what).at(file).hint("check `id` and `id_kind`"));
    }
    job.shared().check_rows(job.side(), table.rows() as u64)?;
    // Not a row yet: whether every column is there, and of its type.
    let fits = model.logits_of(&table.columns, &[]).and_then(|_| match &model.own_model {
        Some(own) => own.logits_of(&table.columns, &[]).map(drop),
        None => Ok(()),
    });
    fits.map_err(|mut failure| {
        failure.place = Some(failure.place.map_or_else(|| file.clone(), |place| format!("{file}, {place}")));
        failure
    })?;
    // A few new users may well be alike, and the model's recipe cuts extremes.
    table
        .warnings
        .retain(|warning| !matches!(warning, Warning::ConstantColumn { .. } | Warning::ExtremeValues { .. } | Warning::ManyLevels { .. }));
    Ok(Prepared { job, model, table })
}

/// How the own file is read: the columns that the half needs, with the types that they had in training, and nothing else.
fn spec(job: &Job, model: &ModelFile) -> TableSpec {
    let mut spec = job.table_spec();
    spec.wishes = model.recipe.reading();
    if let Some(own) = &model.own_model {
        for (column, wish) in own.recipe.reading() {
            spec.wishes.entry(column).or_insert(wish);
        }
    }
    spec.only = Some(spec.wishes.keys().cloned().collect());
    spec.skip_invalid_ids = true;
    spec
}

/// Runs a prepared scoring over an authenticated channel. `session` is a value that only this link has.
///
/// # Errors
/// Exit 12: the jobs differ. Exit 14: fewer common users than the job's minimum. Exit 19: the peer broke the protocol. The
/// link's failures.
pub fn over(
    channel: &mut dyn Channel,
    session: &[u8; 32],
    prepared: &Prepared,
    clock: &mut StageClock,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    over_keeping(channel, session, prepared, &mut Forgetful, clock, progress)
}

/// As [`over`]; the matching is kept, and that of an earlier attempt is not repeated.
///
/// # Errors
/// As [`over`]; exit code 2 for a kept matching that is damaged.
pub fn over_keeping(
    channel: &mut dyn Channel,
    session: &[u8; 32],
    prepared: &Prepared,
    keep: &mut dyn Keep,
    clock: &mut StageClock,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let (job, table, model) = (&prepared.job, &prepared.table, &prepared.model);
    let role = if job.side() == Side::Owner { Role::First } else { Role::Second };
    let mut ledger = Ledger::new(&job.shared().terms().reveal.iter().copied().collect::<Vec<_>>());

    clock.begin("match");
    agree::terms(channel, job.shared())?;
    let kept = keep.matching()?;
    let opened_before = usize::from(kept.is_some());
    let aligned = match kept {
        Some(KeptMatching { rows, peer_rows, .. }) => {
            progress.note("the matching of an earlier attempt is kept");
            Aligned { rows, peer_rows }
        }
        None => {
            let Aligned { rows, peer_rows } = align_table(channel, role, job, table, &matching_terms(job, session), progress)?;
            let kept = KeptMatching { rows, peer_rows, split: None };
            keep.keep_matching(&kept)?;
            Aligned { rows: kept.rows, peer_rows }
        }
    };
    let matched = aligned.rows.len();
    ledger.note(Disclosure::OverlapToBoth, matched, matched)?;
    clock.end(channel.counters());

    clock.begin("score");
    progress.stage("scoring", 0, 1);
    let mine = model.predictors_of(&table.columns, &aligned.rows)?;
    let mut unfamiliar = mine.unfamiliar;
    let mut notes = first_look(prepared);
    let mut ranked = 0;
    let scored = match job.side() {
        _ if job.shared().reveals(Disclosure::DecisionsToOwner) => {
            let release = decisions::Release { channel: &mut *channel, role, ledger: &mut ledger, prepared, aligned: &aligned, progress };
            let decided = release.run(mine.values.first().map(Vec::as_slice).unwrap_or_default())?;
            ranked = decided.ranked;
            notes.extend(decided.notes);
            Unfamiliar::add(&mut unfamiliar, decided.unfamiliar);
            decided.decisions.map(|decisions| Scored::decided(decisions, &aligned.rows, table.rows()))
        }
        Side::Partner => {
            for head in &mine.values {
                scores::send(channel, &mut ledger, head)?;
            }
            None
        }
        Side::Owner => {
            let mut scored = Scored::empty(model, table.rows());
            aligned.rows.iter().for_each(|row| scored.joint[*row] = true);
            let others: Vec<usize> = (0..table.rows()).filter(|row| !scored.joint[*row]).collect();
            let reading = model.reading();
            if let Some(own) = &model.own_model {
                let alone = own.predictors_of(&table.columns, &others)?;
                let reading = Reading::alone(&own.variances, reading.log_cap);
                scored.fill(model, &others, reading.predict(model.task, &alone.values, None), last_head(model, &alone.values, None));
                Unfamiliar::add(&mut unfamiliar, alone.unfamiliar);
            }
            let mut parts = Vec::new();
            for _ in &mine.values {
                parts.push(scores::receive(channel, &mut ledger, matched)?);
            }
            let predictions = reading.predict(model.task, &mine.values, Some(&parts));
            scored.fill(model, &aligned.rows, predictions, last_head(model, &mine.values, Some(&parts)));
            Some(scored)
        }
    };
    let sizes = Opening { matched, functions: mine.values.len(), ranked, ..Opening::default() };
    let facts = Facts { opened_before, ..Facts::new(&ledger, job.shared(), job.side(), sizes)? };
    agree::finished(channel, job.side())?;
    progress.stage("scoring", 1, 1);
    clock.end(channel.counters());

    let mut report = counts(prepared, matched as u64, aligned.peer_rows);
    report.opened = opened(&ledger, job.side(), "common users");
    for found in unfamiliar.iter().map(ToString::to_string) {
        progress.note(&format!("warning: {found}"));
        notes.push(found);
    }
    report.unfamiliar = unfamiliar.into_iter().map(cells).collect();
    Ok(Outcome { report, scored, notes, facts })
}

/// Predictors of the last label's first head.
fn last_head(model: &ModelFile, own: &[Vec<f64>], partner: Option<&[Vec<f64>]>) -> Vec<f64> {
    let own = Head::first_of_last(model.task, own).map(Vec::as_slice).unwrap_or_default();
    match partner.and_then(|parts| Head::first_of_last(model.task, parts)) {
        Some(part) => own.iter().zip(part).map(|(a, b)| a + b).collect(),
        None => own.to_vec(),
    }
}

impl Scored {
    fn empty(model: &ModelFile, rows: usize) -> Self {
        let none = || vec![f64::NAN; rows];
        Self {
            decisions: None,
            scores: none(),
            earlier: model.earlier_labels.iter().map(|label| (label.clone(), none())).collect(),
            label: model.label.clone().filter(|_| !model.earlier_labels.is_empty()),
            probabilities: (model.task == Task::Hurdle).then(none),
            joint: vec![false; rows],
        }
    }

    /// Decisions alone, with the rows that both sides know.
    fn decided(decisions: Decisions, matched: &[usize], rows: usize) -> Self {
        let mut joint = vec![false; rows];
        matched.iter().for_each(|row| joint[*row] = true);
        Self { decisions: Some(decisions), scores: Vec::new(), earlier: Vec::new(), label: None, probabilities: None, joint }
    }

    /// Writes the predictions of some rows, label by label; later labels are raised to earlier ones.
    fn fill(&mut self, model: &ModelFile, rows: &[usize], mut predictions: Vec<Vec<f64>>, last: Vec<f64>) {
        rising(&mut predictions);
        let labels = self.earlier.iter_mut().map(|(_, scores)| scores).chain([&mut self.scores]);
        for (scores, predictions) in labels.zip(predictions) {
            rows.iter().zip(predictions).for_each(|(row, prediction)| scores[*row] = prediction);
        }
        if let Some(probabilities) = self.probabilities.as_mut().filter(|_| model.task == Task::Hurdle) {
            rows.iter().zip(last).for_each(|(row, z)| probabilities[*row] = sigmoid(z));
        }
    }
}

fn counts(prepared: &Prepared, matched: u64, peer_users: u64) -> ScoreReport {
    let table = &prepared.table;
    let of = |problem: IdProblem| table.skipped.iter().filter(|(_, found)| *found == problem).count() as u64;
    let users = table.rows() as u64;
    ScoreReport {
        side: prepared.job.side().name().to_owned(),
        model_id: prepared.model.model_id.clone(),
        rows: table.counts.rows,
        users,
        peer_users,
        matched,
        scored: (prepared.job.side() == Side::Owner).then(|| ScoredUsers { joint: matched, own: users - matched }),
        not_scored: NotScored { id_empty: of(IdProblem::Empty), id_not_of_kind: of(IdProblem::NotOfKind) },
        ..ScoreReport::default()
    }
}

fn cells(found: Unfamiliar) -> UnfamiliarCells {
    UnfamiliarCells { column: found.column, unseen: found.unseen, missing: found.missing }
}

/// What a person should know before the peer is met: about the file, rows without a score, and how much each score tells.
#[must_use]
pub fn first_look(prepared: &Prepared) -> Vec<String> {
    let Prepared { job, model, table } = prepared;
    let mut notes: Vec<String> = table.warnings.iter().map(ToString::to_string).collect();
    if let Some((first, _)) = table.skipped.first() {
        let rows = counted(table.skipped.len() as u64, "row has", "rows have");
        notes.push(format!("{rows} no usable id and cannot be scored, first row {}: see not_scored.csv", grouped(*first)));
    }
    let (features, functions) = (model.coefficients.0.len(), model.functions());
    let deciding = job.shared().reveals(Disclosure::DecisionsToOwner);
    if deciding && job.side() == Side::Partner && job.shared().terms().validity.max_runs.is_none() {
        notes.push(
            "decisions go to the owner without a limit of runs: by runs with other parts of its own it can find each user's part of the score, a bit a run; agree on max_runs"
                .to_owned(),
        );
    }
    if !deciding && job.side() == Side::Partner && features < FEWEST_PARTNER_COLUMNS * functions {
        let each = if functions == 1 {
            "each score is one linear function of them".to_owned()
        } else {
            format!("the scores of a user are {functions} linear functions of them")
        };
        notes.push(format!("scores go to the owner with only {features} own features: {each}"));
    }
    notes
}
