//! One party's run from agreed job to outcome, over any channel.
//!
//! `prepare` reads and checks the party's own file before a network byte; `over` does the rest: terms → matching → split →
//! recipe → training → scores → figures. Both roles read the same steps; what only one side does lives in [`owner`] and
//! [`partner`]. Nothing is written here: the caller writes what an [`Outcome`] holds.

pub(crate) mod agree;
pub mod owner;
pub mod partner;
pub(crate) mod scores;
mod split;

pub(crate) use split::own_split as owner_split;

use crate::align::{AlignTerms, Aligned, align_by_keys, overlap};
use crate::contract::{Disclosure, Job, LogisticTerms, Matching};
use crate::data::wording::{grouped, hex};
use crate::data::{Side, Split, Table, read_table};
use crate::error::{Exit, Failure};
use crate::progress::Progress;
use crate::recipe::{FitRows, Recipe};
use crate::report::{Opened, RecipeTable};
use crate::resources::StageClock;
use crate::training::cost::declare_training;
use crate::training::features::Features;
use crate::training::memory::check_memory;
use crate::training::opening::Ledger;
use crate::training::response::OwnerInput;
use crate::training::schedule::{PublicSizes, Schedule};
use crate::training::secure::{Trained, train};
use crate::training::twin::numbers;
use colift_algebra::Engine;
use colift_channel::Channel;
use colift_correlation::vole::VoleMode;
use colift_correlation::{Role, Security};
use colift_primitives::hash::PartHash;
use colift_psi::{Protocol, VoleForm};
use ndarray::{Array2, Axis};

/// Fewest partner columns for which scores go to the owner: each score is one linear function of them.
pub const FEWEST_PARTNER_COLUMNS: usize = 5;

/// A job and its checked table.
pub struct Prepared {
    /// The checked job of one side.
    pub job: Job,
    /// The side's file.
    pub table: Table,
}

/// Reads and checks the side's own file; sends nothing.
///
/// # Errors
/// Exit 13 for data that fail a check, exit 17 above the agreed number of rows.
pub fn prepare(job: Job) -> Result<Prepared, Failure> {
    let table = read_table(&job.table_spec(), job.side())?;
    job.shared().check_rows(job.side(), table.rows() as u64)?;
    Ok(Prepared { job, table })
}

/// What the run of one side ends with.
pub enum Outcome {
    /// `task = "overlap"`: the number of common users.
    Overlap(OverlapOutcome),
    /// The owner's model, figures and scores.
    Owner(Box<owner::OwnerOutcome>),
    /// The partner's model and what it may know.
    Partner(Box<partner::PartnerOutcome>),
}

/// Sizes of a matching.
pub struct OverlapOutcome {
    /// Common users.
    pub matched: u64,
    /// The peer's users.
    pub peer_rows: u64,
    /// What was opened.
    pub opened: Vec<Opened>,
}

/// What both sides have after the training.
pub(crate) struct Joint {
    pub(crate) aligned: Aligned,
    /// Train or test of every aligned row.
    pub(crate) split: Vec<Split>,
    pub(crate) recipe: Recipe,
    /// Own standardised test rows.
    pub(crate) test: Array2<f64>,
    /// Own standardised training rows.
    pub(crate) train: Array2<f64>,
    pub(crate) trained: Trained,
    /// The model's name on both sides.
    pub(crate) model_id: String,
    pub(crate) notes: Vec<String>,
}

impl Joint {
    /// Positions in the own table of the aligned rows of one part, in the aligned order.
    pub(crate) fn rows_of(&self, part: Split) -> Vec<usize> {
        rows_of(&self.aligned, &self.split, part)
    }
}

fn rows_of(aligned: &Aligned, split: &[Split], part: Split) -> Vec<usize> {
    aligned.rows.iter().zip(split).filter(|(_, s)| **s == part).map(|(row, _)| *row).collect()
}

/// Runs a prepared job over an authenticated channel. `session` is a value that only this link has.
///
/// # Errors
/// By class of what failed; exit codes in docs/ARCHITECTURE.md.
pub fn over(
    channel: &mut dyn Channel,
    session: &[u8; 32],
    prepared: &Prepared,
    clock: &mut StageClock,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let (job, table) = (&prepared.job, &prepared.table);
    let shared = job.shared();
    let role = if job.side() == Side::Owner { Role::First } else { Role::Second };
    let mut ledger = Ledger::new(&shared.terms().reveal.iter().copied().collect::<Vec<_>>());

    clock.begin("match");
    agree::terms(channel, job.shared())?;
    let digest = shared.digest();
    let terms = matching_terms(job, session);
    let matching = |done, total| progress.stage("matching", done, total);
    let Some(logistic) = shared.logistic() else {
        let counted = overlap(channel, role, &table.ids, &terms, &matching)?;
        ledger.note(Disclosure::OverlapToBoth, 1, 1)?;
        agree::finished(channel, job.side())?;
        clock.end(channel.counters());
        return Ok(Outcome::Overlap(OverlapOutcome {
            matched: counted.common,
            peer_rows: counted.peer_rows,
            opened: vec![Opened {
                item: Disclosure::OverlapToBoth.name().to_owned(),
                to: "both".to_owned(),
                what: "the number of common users; nobody learns which".to_owned(),
            }],
        }));
    };
    let aligned = align_table(channel, role, job, table, &terms, progress)?;
    ledger.note(Disclosure::OverlapToBoth, aligned.rows.len(), aligned.rows.len())?;
    let split = split::exchange(channel, &mut ledger, prepared, logistic, &aligned)?;
    clock.end(channel.counters());

    clock.begin("train");
    // Both halves of one training carry this name; no other training has it.
    let model_id = hex(&PartHash::new("colift model").part(session).part(digest.as_bytes()).finish()[..16]);
    let joint = train_jointly(channel, role, prepared, logistic, aligned, split, model_id, &mut ledger, progress)?;
    clock.end(channel.counters());

    clock.begin("evaluate");
    progress.stage("evaluation", 0, 1);
    let mut outcome = match job.side() {
        Side::Owner => Outcome::Owner(Box::new(owner::evaluate(channel, prepared, logistic, joint, &mut ledger)?)),
        Side::Partner => Outcome::Partner(Box::new(partner::evaluate(channel, prepared, joint, &mut ledger)?)),
    };
    agree::finished(channel, job.side())?;
    progress.stage("evaluation", 1, 1);
    clock.end(channel.counters());
    let opened = opened(&ledger, job.side(), "test users");
    match &mut outcome {
        Outcome::Owner(o) => o.details.opened = opened,
        Outcome::Partner(p) => p.report.opened = opened,
        Outcome::Overlap(_) => {}
    }
    Ok(outcome)
}

/// The job's part of the matching on this link.
pub(crate) fn matching_terms(job: &Job, session: &[u8; 32]) -> AlignTerms {
    let shared = job.shared();
    AlignTerms {
        session: PartHash::new("colift matching").part(session).part(shared.digest().as_bytes()).finish(),
        own_max: shared.max_rows(job.side()),
        peer_max: shared.max_rows(job.side().peer()),
        protocol: protocol(shared.terms().matching),
        min_overlap: shared.terms().min_overlap,
        overlap_listed: shared.reveals(Disclosure::OverlapToBoth),
    }
}

/// Matches a table by its key, or by its keys one after the other.
pub(crate) fn align_table(
    channel: &mut dyn Channel,
    role: Role,
    job: &Job,
    table: &Table,
    terms: &AlignTerms,
    progress: &dyn Progress,
) -> Result<Aligned, Failure> {
    let keys: Vec<&[String]> = if table.keys.is_empty() { vec![&table.ids] } else { table.keys.iter().map(Vec::as_slice).collect() };
    let cascade = align_by_keys(channel, role, &keys, terms, &|done, total| progress.stage("matching", done, total))?;
    if keys.len() > 1 {
        let kinds = std::iter::once(&job.shared().terms().id_kind).chain(job.shared().more_keys());
        let counts = kinds.zip(&cascade.passes).map(|(kind, count)| format!("{} by {kind}", grouped(*count as u64)));
        progress.note(&format!("matched {}", counts.collect::<Vec<_>>().join(", ")));
    }
    Ok(cascade.aligned)
}

/// The protocol of a job's word.
pub(crate) fn protocol(matching: Matching) -> Protocol {
    let form = |security, mode| Protocol::Vole(VoleForm { security, mode });
    match matching {
        Matching::Ecdh => Protocol::Ecdh,
        Matching::Vole => form(Security::Malicious, VoleMode::Silent),
        Matching::VoleConservative => form(Security::Malicious, VoleMode::Conservative),
        Matching::VoleSemiHonest => form(Security::SemiHonest, VoleMode::Silent),
    }
}

#[allow(clippy::too_many_arguments)]
fn train_jointly(
    channel: &mut dyn Channel,
    role: Role,
    prepared: &Prepared,
    terms: &LogisticTerms,
    aligned: Aligned,
    split: Vec<Split>,
    model_id: String,
    ledger: &mut Ledger,
    progress: &dyn Progress,
) -> Result<Joint, Failure> {
    let table = &prepared.table;
    let rows = rows_of(&aligned, &split, Split::Train);
    let test_rows = rows_of(&aligned, &split, Split::Test);
    let labels: Option<Vec<bool>> = table.label.as_ref().map(|labels| rows.iter().map(|row| labels[*row]).collect());
    let wishes = &prepared.job.private().columns;
    let recipe = Recipe::fit(&table.columns, FitRows { rows: &rows, labels: labels.as_deref(), clip: terms.clip, wishes })?;
    let train_columns = recipe.apply_rows(&table.columns, &rows)?.features;
    let test = recipe.apply_rows(&table.columns, &test_rows)?.features;
    let own_columns = train_columns.len_of(Axis(1));
    for [column, encoding, features, why] in recipe.choices().1 {
        progress.note(&format!("column {column}: {encoding}, {features} features ({why})"));
    }
    let peer_columns = agree::columns(channel, own_columns)?;
    let (owner_columns, partner_columns) = if role == Role::First { (own_columns, peer_columns) } else { (peer_columns, own_columns) };
    if own_columns == 0 || peer_columns == 0 {
        let whose = if own_columns == 0 { "own" } else { "peer's" };
        return Err(Failure::new(Exit::Data, 550, format!("no {whose} column varies on the {} matched training rows", rows.len()))
            .hint("match more users, or add columns"));
    }
    let mut notes: Vec<String> = table.warnings.iter().map(ToString::to_string).collect();
    for column in recipe.columns.iter().filter(|column| !column.is_kept()) {
        let why = if column.features.is_empty() { "gives no feature" } else { "is constant" };
        notes.push(format!("column {} {why} on the matched training rows and was dropped", column.name));
    }
    if partner_columns < FEWEST_PARTNER_COLUMNS && prepared.job.shared().reveals(Disclosure::ScoresToOwner) {
        notes
            .push(format!("scores go to the owner with only {partner_columns} partner columns: each score is one linear function of them"));
    }
    if rows.len() < 10 * (owner_columns + partner_columns) {
        notes.push(format!("{} training rows for {} columns: fewer than 10 a column", rows.len(), owner_columns + partner_columns));
    }
    let schedule = Schedule::new(PublicSizes {
        logit_range: terms.logit_range.map(|[low, high]| (low, high)),
        ..PublicSizes::logistic(rows.len(), owner_columns, partner_columns, terms.expected_rate.ends())
    })?;
    let schedule = schedule.with_standard_errors(prepared.job.shared().reveals(Disclosure::OwnStandardErrors));
    check_memory(&schedule, role == Role::First, prepared.job.private().max_memory)?;
    let features = Features::new(&train_columns, terms.l2, role == Role::First)?;
    if let Some(labels) = &labels {
        owner::check_labels(labels, terms, &mut notes)?;
    }
    // The start-up check: every plan of the whole training, its worst-case noise included, before anything is encrypted.
    let (owner_cost, partner_cost) = declare_training(&schedule)?;
    tracing::info!(
        rounds = owner_cost.counters().rounds,
        owner_bytes = owner_cost.counters().bytes_sent,
        partner_bytes = partner_cost.counters().bytes_sent,
        "training planned"
    );
    let mut engine = Engine::setup(channel, role)?;
    let labels = labels.as_deref().map(numbers);
    let base_logit = terms.expected_rate.base_logit();
    let input = labels.as_deref().map(|labels| OwnerInput { labels, weights: None, base_logit });
    let trained = train(&mut engine, channel, &features, input, &schedule, ledger, &|done, total| progress.stage("training", done, total))?;
    Ok(Joint { aligned, split, recipe, test, train: train_columns, trained, model_id, notes })
}

/// The recipe in the report's words; `whose` is empty for the reader's own.
pub(crate) fn recipe_table(whose: &str, recipe: &Recipe) -> RecipeTable {
    let (plain, lines) = recipe.choices();
    RecipeTable { whose: whose.to_owned(), plain, lines }
}

/// The ledger in the report's words; `scored` says whose scores.
pub(crate) fn opened(ledger: &Ledger, side: Side, scored: &str) -> Vec<Opened> {
    ledger
        .opened()
        .iter()
        .map(|entry| {
            let (own, peer) = (side.name(), side.peer().name());
            let count = grouped(entry.learned.max(entry.told) as u64);
            let (to, what) = match entry.item {
                Disclosure::OverlapToBoth => ("both", format!("{count} common users, and which own rows they are")),
                Disclosure::SplitToPartner => ("partner", format!("train or test of each of {count} matched users")),
                Disclosure::OwnWeights => ("both", format!("own weights: {} to the {own}, {} to the {peer}", entry.learned, entry.told)),
                Disclosure::OwnStandardErrors => {
                    ("both", format!("standard errors of own weights: {} to the {own}, {} to the {peer}", entry.learned, entry.told))
                }
                Disclosure::ScoresToOwner => ("owner", format!("joint scores of {count} {scored}")),
                Disclosure::MetricsToOwner => ("owner", "figures on the test users".to_owned()),
                Disclosure::ConvergedAndInRange => ("both", "one bit: the training converged and stayed in range".to_owned()),
            };
            Opened { item: entry.item.name().to_owned(), to: to.to_owned(), what }
        })
        .collect()
}
