//! The shared terms and their checks: whatever way they arrive (job file, command line, peer), they pass through one constructor.

use super::fields::{DISCLOSURE, OUT_OF_RANGE, usage};
use super::{Disclosure, ScoreOutput, ScoreTerms, Task, TrainingTerms};
use crate::data::wording::{grouped, shown};
use crate::data::{IdKind, Side};
use crate::error::{Exit, Failure};
use colift_channel::tls;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::fmt;

/// Most keys of a cascade.
const MOST_KEYS: usize = 4;
/// Largest smallest difference of two sets of ids, here and in a side's own rule.
pub(super) const MOST_DIFFERENCE: u64 = 1000;
/// Largest number of rows a job may allow one side.
const MOST_ROWS: u64 = 1_000_000_000;

/// What both sides agree on, unchecked; [`SharedJob::new`] checks it.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedTerms {
    /// Folder name of the results.
    pub name: String,
    /// What is computed.
    pub task: TaskTerms,
    /// How both files spell their users.
    pub id_kind: IdKind,
    /// The protocol of the matching.
    pub matching: Matching,
    /// Fewer common users than this end the run before anything else is shown.
    pub min_overlap: u64,
    /// Most rows each side may bring.
    pub max_rows: MaxRows,
    /// What is opened, to whom.
    pub reveal: BTreeSet<Disclosure>,
    /// How long it may be run, and how often.
    pub validity: Validity,
    /// The keys of the two parties.
    pub peers: Peers,
}

/// How long a signed contract holds, and for how many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// The last day, UTC; None for no end.
    pub expires: Option<Date>,
    /// Most runs; None for no limit.
    pub max_runs: Option<u32>,
    /// Most runs with this peer, of whatever contract, on one set of ids of a side; None for no limit.
    pub max_runs_per_set: Option<u32>,
    /// A side's set of ids differs from every earlier one with this peer by nothing or by at least so many; None for no bound beyond
    /// the side's own.
    pub min_set_difference: Option<u64>,
}

impl Validity {
    /// As [`Validity::check`], today.
    ///
    /// # Errors
    /// Exit code 12.
    pub fn check_now(&self, runs: u32) -> Result<(), Failure> {
        self.check(Timestamp::now().to_zoned(TimeZone::UTC).date(), runs)
    }

    /// Refuses a contract after its last day, or after its last run. `runs` began so far.
    ///
    /// # Errors
    /// Exit code 12.
    pub fn check(&self, today: Date, runs: u32) -> Result<(), Failure> {
        let over = |what: String, key: &str| {
            Err(Failure::new(Exit::Contract, 211, what)
                .at(format!("[shared] {key}"))
                .hint("agree on a new contract and sign it on both sides"))
        };
        if let Some(last) = self.expires.filter(|last| today > *last) {
            return over(format!("the contract held until {last}, today is {today} (UTC)"), "expires");
        }
        match self.max_runs.filter(|most| runs >= *most) {
            Some(most) => over(format!("the contract is for {most} runs, and so many have begun"), "max_runs"),
            None => Ok(()),
        }
    }
}

/// The protocol of the matching, and which peer it withstands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// Diffie–Hellman, against a semi-honest peer: small and simple.
    Ecdh,
    /// Oblivious pseudo-random function from VOLE, against a malicious peer.
    #[default]
    Vole,
    /// The same without an assumption on codes: 512 bytes for each element of the store.
    VoleConservative,
    /// The same as `Vole` against a semi-honest peer: fewer bytes.
    VoleSemiHonest,
}

impl Matching {
    /// Every protocol.
    pub const ALL: [Self; 4] = [Self::Ecdh, Self::Vole, Self::VoleConservative, Self::VoleSemiHonest];

    /// The word after `matching =`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecdh => "ecdh",
            Self::Vole => "vole",
            Self::VoleConservative => "vole_conservative",
            Self::VoleSemiHonest => "vole_semi_honest",
        }
    }

    /// The protocol of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|matching| matching.name() == name)
    }
}

/// What is computed.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskTerms {
    /// Sizes only.
    Overlap,
    /// A joint model.
    Train(TrainingTerms),
    /// Users of a stored model.
    Score(ScoreTerms),
}

/// Most rows each side may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxRows {
    /// The owner's.
    pub owner: u64,
    /// The partner's.
    pub partner: u64,
}

/// The keys of the two parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// The owner's.
    pub owner: Fingerprint,
    /// The partner's.
    pub partner: Fingerprint,
}

/// Fingerprint of an identity key: 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Checks and lower-cases a fingerprint.
    ///
    /// # Errors
    /// Exit code 2: not 64 hex digits.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let what = format!("a fingerprint has 64 hex digits, this one has {} characters or others than hex", text.chars().count());
        Err(usage(OUT_OF_RANGE, what).at("[shared.peers]").hint("copy what `init` printed on that side"))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checked shared terms.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedJob(SharedTerms, Vec<IdKind>);

impl SharedJob {
    /// Checks the terms.
    ///
    /// # Errors
    /// Exit code 2 with the key and what is allowed.
    pub fn new(terms: SharedTerms) -> Result<Self, Failure> {
        check_name(&terms.name)?;
        for (key, rows) in [("max_rows.owner", terms.max_rows.owner), ("max_rows.partner", terms.max_rows.partner)] {
            if !(1..=MOST_ROWS).contains(&rows) {
                return Err(out_of_range(key, &grouped(rows), &format!("1 to {}", grouped(MOST_ROWS))));
            }
        }
        let smaller = terms.max_rows.owner.min(terms.max_rows.partner);
        // A scoring may go on without a common user: the owner's own model scores them all.
        let least = u64::from(!matches!(terms.task, TaskTerms::Score(_)));
        if !(least..=smaller).contains(&terms.min_overlap) {
            let allowed = format!("{least} to the smaller of max_rows, {}", grouped(smaller));
            return Err(out_of_range("min_overlap", &grouped(terms.min_overlap), &allowed));
        }
        if terms.peers.owner == terms.peers.partner {
            let what = "owner and partner have the same fingerprint";
            return Err(usage(OUT_OF_RANGE, what).at("[shared.peers]").hint("each side has a key of its own: run `init` on both"));
        }
        match &terms.task {
            TaskTerms::Train(training) => training.check()?,
            TaskTerms::Score(scoring) => scoring.check()?,
            TaskTerms::Overlap => {}
        }
        for (key, most) in [("max_runs", terms.validity.max_runs), ("max_runs_per_set", terms.validity.max_runs_per_set)] {
            if most == Some(0) {
                return Err(out_of_range(key, "0", "1 or more"));
            }
        }
        if let Some(least) = terms.validity.min_set_difference.filter(|least| !(2..=MOST_DIFFERENCE).contains(least)) {
            return Err(out_of_range("min_set_difference", &grouped(least), &format!("2 to {}", grouped(MOST_DIFFERENCE))));
        }
        check_reveal(&terms)?;
        Ok(Self(terms, Vec::new()))
    }

    /// The same job with further keys of a cascade behind `id_kind`.
    ///
    /// # Errors
    /// Exit code 2: too many keys, or a task that cannot have them.
    pub fn with_more_keys(self, more: Vec<IdKind>) -> Result<Self, Failure> {
        if more.len() >= MOST_KEYS {
            return Err(out_of_range("keys", &format!("a list of {}", 1 + more.len()), &format!("2 to {MOST_KEYS} kinds")));
        }
        if !more.is_empty() && matches!(self.0.task, TaskTerms::Overlap) {
            let what = "task `overlap` counts by one key: to match by the next one, both sides would have to learn which users are common";
            return Err(usage(OUT_OF_RANGE, what).at("[shared] keys").hint("id_kind with the best key, or another task"));
        }
        Ok(Self(self.0, more))
    }

    /// The further keys of a cascade, in its order; none where there is one key.
    #[must_use]
    pub fn more_keys(&self) -> &[IdKind] {
        &self.1
    }

    /// The terms.
    #[must_use]
    pub fn terms(&self) -> &SharedTerms {
        &self.0
    }

    /// The training's terms; None for a job that trains nothing.
    #[must_use]
    pub fn training(&self) -> Option<&TrainingTerms> {
        match &self.0.task {
            TaskTerms::Train(terms) => Some(terms),
            TaskTerms::Overlap | TaskTerms::Score(_) => None,
        }
    }

    /// The scoring's terms; None for a job that scores nothing.
    #[must_use]
    pub fn score(&self) -> Option<&ScoreTerms> {
        match &self.0.task {
            TaskTerms::Score(terms) => Some(terms),
            TaskTerms::Overlap | TaskTerms::Train(_) => None,
        }
    }

    /// The word after `task =`.
    #[must_use]
    pub fn task_name(&self) -> &'static str {
        match &self.0.task {
            TaskTerms::Train(terms) => terms.task.name(),
            TaskTerms::Overlap => "overlap",
            TaskTerms::Score(_) => "score",
        }
    }

    /// Whether the job lists this disclosure.
    #[must_use]
    pub fn reveals(&self, item: Disclosure) -> bool {
        self.0.reveal.contains(&item)
    }

    /// A side's pinned key.
    #[must_use]
    pub fn fingerprint(&self, side: Side) -> &Fingerprint {
        match side {
            Side::Owner => &self.0.peers.owner,
            Side::Partner => &self.0.peers.partner,
        }
    }

    /// The same as the link knows it.
    ///
    /// # Errors
    /// Exit code 2: it is no fingerprint, which the constructor rules out.
    pub fn key(&self, side: Side) -> Result<tls::Fingerprint, Failure> {
        let malformed = |_| Failure::new(Exit::Usage, 921, format!("the job's fingerprint of the {side} is malformed"));
        self.fingerprint(side).as_str().parse().map_err(malformed)
    }

    /// Most rows a side may bring.
    #[must_use]
    pub fn max_rows(&self, side: Side) -> u64 {
        match side {
            Side::Owner => self.0.max_rows.owner,
            Side::Partner => self.0.max_rows.partner,
        }
    }

    /// Refuses more rows than a side may bring.
    ///
    /// # Errors
    /// Exit code 17.
    pub fn check_rows(&self, side: Side, rows: u64) -> Result<(), Failure> {
        let cap = self.max_rows(side);
        if rows <= cap {
            return Ok(());
        }
        let what = format!("the {side} has {} rows, the job allows {}", grouped(rows), grouped(cap));
        Err(Failure::new(Exit::Cap, 209, what)
            .at(format!("[shared] max_rows.{side}"))
            .hint("agree on a larger max_rows, or bring fewer rows"))
    }
}

pub(super) fn out_of_range(key: &str, value: &str, allowed: &str) -> Failure {
    usage(OUT_OF_RANGE, format!("{key} is {value}, allowed is {allowed}")).at(format!("[shared] {key}"))
}

fn check_name(name: &str) -> Result<(), Failure> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if plain && starts && name.len() <= 64 {
        return Ok(());
    }
    let allowed = "1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit: it names a folder";
    Err(out_of_range("name", &shown(name), allowed))
}

/// The list must fit the task, and items that rest on one another come together.
fn check_reveal(terms: &SharedTerms) -> Result<(), Failure> {
    let refuse = |what: String, hint: String| Err(usage(DISCLOSURE, what).at("[shared] reveal").hint(hint));
    let deciding = terms.reveal.contains(&Disclosure::DecisionsToOwner);
    if let TaskTerms::Score(scoring) = &terms.task
        && deciding
    {
        if terms.reveal.contains(&Disclosure::ScoresToOwner) {
            return refuse(
                "`decisions_to_owner` keeps the scores from the owner, `scores_to_owner` opens them: reveal lists both".to_owned(),
                "remove one of them".to_owned(),
            );
        }
        let numbers = [ScoreOutput::Score, ScoreOutput::Probability].into_iter().find(|number| scoring.output.contains(number));
        if let Some(number) = numbers {
            return refuse(
                format!("output lists `{number}`, which `decisions_to_owner` never opens: only decile, top_share and yes_no are decisions"),
                format!("remove `{number}` from output, or reveal `scores_to_owner` in place of `decisions_to_owner`"),
            );
        }
    }
    let (task, needed, training) = match &terms.task {
        TaskTerms::Train(training) => (training.task.name(), training.task.needed(), Some(training)),
        TaskTerms::Overlap => ("overlap", [Disclosure::OverlapToBoth].into(), None),
        TaskTerms::Score(_) if deciding => ("score", Disclosure::DECIDING.into(), None),
        TaskTerms::Score(_) => ("score", Disclosure::SCORING.into(), None),
    };
    let names = |items: &[&Disclosure]| items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ");
    let missing: Vec<&Disclosure> = needed.iter().filter(|item| !terms.reveal.contains(item)).collect();
    if !missing.is_empty() {
        let list = names(&missing);
        let otherwise = match task {
            "score" if deciding => "",
            "score" => "; `decisions_to_owner` in place of `scores_to_owner` keeps the scores from the owner",
            _ => ", or leave reveal out",
        };
        return refuse(format!("task `{task}` cannot run without opening {list}"), format!("add {list} to reveal{otherwise}"));
    }
    let Some(training) = training else {
        let surplus: Vec<&Disclosure> = terms.reveal.iter().filter(|item| !needed.contains(item)).collect();
        if !surplus.is_empty() {
            let (only, list) = (names(&needed.iter().collect::<Vec<_>>()), names(&surplus));
            return refuse(format!("task `{task}` opens {only} only, reveal lists also {list}"), format!("remove {list}"));
        }
        return Ok(());
    };
    for (item, opens) in [
        (Disclosure::ResidualVarianceToOwner, training.task.has_variance()),
        (Disclosure::OwnStandardErrors, training.task == Task::Logistic),
        (Disclosure::DecisionsToOwner, false),
    ] {
        if terms.reveal.contains(&item) && !opens {
            return refuse(format!("task `{task}` never opens `{item}`"), format!("remove `{item}` from reveal"));
        }
    }
    if terms.reveal.contains(&Disclosure::MetricsToOwner) && !terms.reveal.contains(&Disclosure::ScoresToOwner) {
        return refuse(
            "`metrics_to_owner` needs `scores_to_owner`: this version computes the figures from the opened test scores".to_owned(),
            "add `scores_to_owner`, or remove `metrics_to_owner`".to_owned(),
        );
    }
    Ok(())
}
