//! The job file: what both companies agree on, checked, in one canonical form with a digest, and each side's private part.
//!
//! A job file has a `[shared]` part, equal on both sides, and a `[private]` part that never leaves (see `examples/jobs`).
//! Order, comments and number formats do not matter: [`SharedJob::canonical`] is the one text, [`SharedJob::digest`] its
//! SHA-256, [`first_difference`] names the field on which two sides disagree. A [`SharedJob`] or [`Job`] exists only checked.

mod auto;
mod canonical;
mod columns;
mod disclosure;
mod fields;
mod parse;
mod private;
mod rate;
pub mod receipt;
mod score;
mod terms;
#[cfg(test)]
pub(crate) mod tests;
mod training;

pub use auto::AutoNumber;
pub use canonical::{MAX_CANONICAL_BYTES, first_difference};
pub use disclosure::Disclosure;
pub use private::{LedgerTerms, Link, MoneyTerms, PrivateJob, ProxyChoice, ScoreFormat};
pub use rate::RateBucket;
pub use score::{ScoreOutput, ScoreTerms};
pub use terms::{Fingerprint, Matching, MaxRows, Peers, SharedJob, SharedTerms, TaskTerms, Validity};
pub use training::{MAX_EXTRA_STEPS, MOST_LABELS, TOLERANCE, Task, TrainingTerms};

use crate::data::{LabelKind, Side, TableSpec, wording};
use crate::error::{Exit, Failure};
use std::path::Path;

/// Version of the contract's canonical form, part of its text.
pub const CONTRACT_VERSION: u32 = 2;

/// Largest job file in bytes.
pub const MAX_JOB_BYTES: u64 = 1 << 20;

/// A checked job file of one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    side: Side,
    shared: SharedJob,
    private: PrivateJob,
}

impl Job {
    /// Reads a side's job file. A relative data path starts at the job file's folder.
    ///
    /// # Errors
    /// Exit code 2: the file cannot be read, or a key, type or value is wrong; the message names the table and the key.
    pub fn load(path: &Path, side: Side) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let unreadable = |what: String| Failure::new(Exit::Usage, 201, what).at(name.clone());
        let size = std::fs::metadata(path).map_err(|e| unreadable(format!("the job file cannot be read: {e}")))?.len();
        if size > MAX_JOB_BYTES {
            let size = wording::grouped(size);
            return Err(unreadable(format!("the job file has {size} bytes, at most {} are read", wording::grouped(MAX_JOB_BYTES))));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(format!("the job file cannot be read: {e}")))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, side, folder).map_err(|mut failure| {
            failure.place = Some(failure.place.map_or_else(|| name.clone(), |place| format!("{name}, {place}")));
            failure
        })
    }

    /// Checks the text of a side's job file; `folder` is where relative data paths start.
    ///
    /// # Errors
    /// As [`Job::load`].
    pub fn parse(text: &str, side: Side, folder: &Path) -> Result<Self, Failure> {
        let (shared, private) = parse::job(text, side, folder)?;
        private.check_against(&shared, side)?;
        Ok(Self { side, shared, private })
    }

    /// Whose job file this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// What both sides agree on.
    #[must_use]
    pub fn shared(&self) -> &SharedJob {
        &self.shared
    }

    /// What stays on this side.
    #[must_use]
    pub fn private(&self) -> &PrivateJob {
        &self.private
    }

    /// How to read this side's file for this job. For a scoring the stored model has to add what it needs.
    #[must_use]
    pub fn table_spec(&self) -> TableSpec {
        let training = self.shared.training().filter(|_| self.side == Side::Owner);
        let label = training.map(|terms| terms.label().to_owned());
        TableSpec {
            id_kind: self.shared.terms().id_kind,
            split: self.private.split.clone().filter(|_| label.is_some()),
            label,
            label_kind: training.map_or_else(LabelKind::default, |terms| terms.task.label_kind()),
            earlier_labels: training.and_then(|terms| terms.labels.split_last()).map(|(_, earlier)| earlier.to_vec()).unwrap_or_default(),
            exclude: self.private.exclude.clone(),
            allow_leaky: self.private.allow_leaky.clone(),
            ids_only: matches!(self.shared.terms().task, TaskTerms::Overlap),
            wishes: self.private.columns.clone(),
            more_ids: self.private.more_ids.clone(),
            more_keys: self.shared.more_keys().iter().copied().zip(self.private.more_keys.iter().cloned()).collect(),
            region: self.private.region.clone(),
            max_memory: self.private.max_memory,
            lock: self.private.lock.clone(),
            channel: self.private.channel.clone().filter(|_| training.is_some()),
            ..TableSpec::new(&self.private.data, &self.private.id)
        }
    }
}
