//! One party's run from agreed job to outcome, over any channel.
//!
//! `prepare` reads and checks the party's own file before a network byte; `over` does the rest: terms → matching → split →
//! recipe → training → scores → figures. `over_keeping` does the same and begins after the phases that an earlier attempt finished. Both roles read the same steps; what only one side does lives in [`owner`] and
//! [`partner`]. Nothing is written here: the caller writes what an [`Outcome`] holds.

pub(crate) mod agree;
pub(crate) mod decisions;
mod facts;
mod judge;
mod kept;
pub(crate) mod limits;
pub mod owner;
pub mod partner;
pub(crate) mod scores;
mod split;
mod train;

pub use agree::safe;
pub(crate) use facts::Opening;
pub use facts::{Facts, Ran};
pub use kept::{Forgetful, Keep, KeptMatching, KeptTraining};
pub(crate) use split::own_split as owner_split;
pub(crate) use train::dependence_notes;

use crate::align::{AlignTerms, Aligned, align_by_keys, overlap};
use crate::contract::{Disclosure, Job, Matching};
use crate::data::wording::{grouped, hex};
use crate::data::{Side, Split, Table, read_table};
use crate::error::Failure;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::report::{Opened, RecipeTable};
use crate::resources::StageClock;
use crate::training::heads::Reading;
use crate::training::opening::{Ledger, OPENING_KINDS};
use crate::training::secure::Trained;
use colift_channel::{Channel, Kind};
use colift_correlation::vole::VoleMode;
use colift_correlation::{Role, Security};
use colift_primitives::hash::PartHash;
use colift_psi::{Protocol, VoleForm};
use ndarray::Array2;

/// Fewest partner columns for which scores go to the owner: each score is one linear function of them.
pub const FEWEST_PARTNER_COLUMNS: usize = 5;

/// A job and its checked table.
pub struct Prepared {
    /// The checked job of one side.
    pub job: Job,
    /// The side's file.
    pub table: Table,
}

impl Prepared {
    /// Hash of everything that a run takes from this side: the same for every attempt of it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.table.fingerprint()
    }
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
    /// What the receipt says.
    pub facts: Facts,
}

impl Ran for Outcome {
    fn facts(&self) -> &Facts {
        match self {
            Self::Overlap(outcome) => &outcome.facts,
            Self::Owner(outcome) => &outcome.facts,
            Self::Partner(outcome) => &outcome.facts,
        }
    }
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
    /// Own weights of a head that were opened, without the intercept: those of the independent columns, but for standard errors all.
    pub(crate) width: usize,
    /// Head by head in the order of their training; the owner's in the label's units.
    pub(crate) trained: Vec<Trained>,
    /// How the owner reads joint predictors.
    pub(crate) reading: Option<Reading>,
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
    over_keeping(channel, session, prepared, &mut Forgetful, clock, progress)
}

/// As [`over`]; finished phases are kept, and those of an earlier attempt are not repeated.
///
/// # Errors
/// As [`over`]; exit code 2 for kept phases that are damaged.
pub fn over_keeping(
    channel: &mut dyn Channel,
    session: &[u8; 32],
    prepared: &Prepared,
    keep: &mut dyn Keep,
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
    let Some(training) = shared.training() else {
        let counted = overlap(channel, role, &table.ids, &terms, &matching)?;
        ledger.note(Disclosure::OverlapToBoth, 1, 1)?;
        let facts = Facts::new(&ledger, shared, job.side(), Opening::default())?;
        agree::finished(channel, job.side())?;
        clock.end(channel.counters());
        return Ok(Outcome::Overlap(OverlapOutcome {
            facts,
            matched: counted.common,
            peer_rows: counted.peer_rows,
            opened: vec![Opened {
                item: Disclosure::OverlapToBoth.name().to_owned(),
                to: "both".to_owned(),
                what: "the number of common users; nobody learns which".to_owned(),
            }],
        }));
    };
    let mut opened_before = 0;
    let (aligned, split) = match keep.matching()? {
        Some(KeptMatching { rows, peer_rows, split: Some(split) }) => {
            progress.note("the matching of an earlier attempt is kept");
            ledger.note(Disclosure::OverlapToBoth, rows.len(), rows.len())?;
            let (learned, told) = if job.side() == Side::Owner { (0, rows.len()) } else { (rows.len(), 0) };
            ledger.note(Disclosure::SplitToPartner, learned, told)?;
            opened_before = ledger.opened().len();
            (Aligned { rows, peer_rows }, split)
        }
        _ => {
            let aligned = align_table(channel, role, job, table, &terms, progress)?;
            ledger.note(Disclosure::OverlapToBoth, aligned.rows.len(), aligned.rows.len())?;
            let split = split::exchange(channel, &mut ledger, prepared, training, &aligned)?;
            let Aligned { rows, peer_rows } = aligned;
            let kept = KeptMatching { rows, peer_rows, split: Some(split) };
            keep.keep_matching(&kept)?;
            (Aligned { rows: kept.rows, peer_rows }, kept.split.unwrap_or_default())
        }
    };
    clock.end(channel.counters());

    clock.begin("train");
    let joint = match keep.training()? {
        Some(kept) => {
            progress.note("the training of an earlier attempt is kept");
            kept.note_in(&mut ledger)?;
            opened_before = ledger.opened().len();
            train::again(prepared, training, aligned, split, kept)?
        }
        None => {
            // Both halves of one training carry this name; no other training has it.
            let model_id = hex(&PartHash::new("colift model").part(session).part(digest.as_bytes()).finish()[..16]);
            let before = ledger.opened().len();
            let joint = train::jointly(channel, role, prepared, training, aligned, split, model_id, &mut ledger, progress)?;
            keep.keep_training(&KeptTraining {
                model_id: joint.model_id.clone(),
                trained: joint.trained.clone(),
                reading: joint.reading.clone(),
                notes: joint.notes.clone(),
                opened: KeptTraining::openings(&ledger, before),
            })?;
            joint
        }
    };
    clock.end(channel.counters());

    clock.begin("evaluate");
    progress.stage("evaluation", 0, 1);
    let sizes = Opening {
        matched: joint.aligned.rows.len(),
        test_users: joint.rows_of(Split::Test).len(),
        own_weights: joint.width + usize::from(job.side() == Side::Owner),
        functions: joint.trained.len(),
        ranked: 0,
    };
    let ridge = training.ridge(joint.train.nrows());
    let mut outcome = match job.side() {
        Side::Owner => Outcome::Owner(Box::new(owner::evaluate(channel, prepared, training, joint, &mut ledger)?)),
        Side::Partner => Outcome::Partner(Box::new(partner::evaluate(channel, prepared, joint, &mut ledger)?)),
    };
    let facts = Facts { opened_before, l2: Some(ridge.to_string()), ..Facts::new(&ledger, shared, job.side(), sizes)? };
    agree::finished(channel, job.side())?;
    progress.stage("evaluation", 1, 1);
    clock.end(channel.counters());
    let opened = opened(&ledger, job.side(), "test users");
    match &mut outcome {
        Outcome::Owner(o) => (o.details.opened, o.facts, o.report.l2) = (opened, facts, Some(ridge)),
        Outcome::Partner(p) => (p.report.opened, p.facts, p.report.l2) = (opened, facts, Some(ridge)),
        Outcome::Overlap(o) => o.facts = facts,
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

/// What a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Who is common, or how many.
    Matching,
    /// Something that the contract opens after that.
    Opening,
}

/// What a message of this kind tells either side, if anything. The split follows from the matching.
pub(crate) fn tells(kind: Kind) -> Option<Tells> {
    match kind.code {
        // From double-masked tags or tags on, whoever holds them knows which of its ids are common.
        0x0203..=0x0205 | 0x0214..=0x0216 => Some(Tells::Matching),
        code if OPENING_KINDS.contains(&code) && kind != split::SPLIT => Some(Tells::Opening),
        _ => None,
    }
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

/// The recipe in the report's words; `whose` is empty for the reader's own.
pub(crate) fn recipe_table(whose: &str, recipe: &Recipe) -> RecipeTable {
    let (plain, lines) = recipe.choices();
    RecipeTable { whose: whose.to_owned(), plain, lines }
}

/// The ledger in the report's words; `scored` says whose scores. Several openings of one item, such as one for each head, are one line.
pub(crate) fn opened(ledger: &Ledger, side: Side, scored: &str) -> Vec<Opened> {
    let mut items: Vec<(Disclosure, usize, usize, usize)> = Vec::new();
    for entry in ledger.opened() {
        match items.iter_mut().find(|(item, ..)| *item == entry.item) {
            Some((_, times, learned, told)) => (*times, *learned, *told) = (*times + 1, *learned + entry.learned, *told + entry.told),
            None => items.push((entry.item, 1, entry.learned, entry.told)),
        }
    }
    items
        .into_iter()
        .map(|(item, times, learned, told)| {
            let (own, peer) = (side.name(), side.peer().name());
            let most = learned.max(told);
            let count = grouped(most as u64);
            let (to, what) = match item {
                Disclosure::OverlapToBoth => ("both", format!("{count} common users, and which own rows they are")),
                Disclosure::SplitToPartner => ("partner", format!("train or test of each of {count} matched users")),
                Disclosure::OwnWeights => ("both", format!("own weights: {learned} to the {own}, {told} to the {peer}")),
                Disclosure::OwnStandardErrors => {
                    ("both", format!("standard errors of own weights: {learned} to the {own}, {told} to the {peer}"))
                }
                Disclosure::ResidualVarianceToOwner if times == 1 => {
                    ("owner", "one number: the variance of the payers' log amounts around their predictions".to_owned())
                }
                Disclosure::ResidualVarianceToOwner => {
                    ("owner", format!("{times} numbers: for each label the variance of the payers' log amounts around their predictions"))
                }
                Disclosure::ScoresToOwner if times == 1 => ("owner", format!("joint scores of {count} {scored}")),
                Disclosure::ScoresToOwner => {
                    let users = grouped((most / times) as u64);
                    ("owner", format!("{times} numbers for each of {users} {scored}: the partner's parts of the {times} predictors"))
                }
                Disclosure::DecisionsToOwner => {
                    let columns = if times == 1 { "one column".to_owned() } else { format!("{times} columns") };
                    ("owner", format!("{columns} of decisions with {count} shared entries in all; no score"))
                }
                Disclosure::MetricsToOwner => ("owner", "figures on the test users".to_owned()),
                Disclosure::ConvergedAndInRange if times == 1 => {
                    ("both", "two bits: the weights are near the optimum, and predictors stayed in range".to_owned())
                }
                Disclosure::ConvergedAndInRange => {
                    ("both", format!("{most} bits of {times} end checks: whether weights are near, and predictors in range"))
                }
            };
            Opened { item: item.name().to_owned(), to: to.to_owned(), what }
        })
        .collect()
}
