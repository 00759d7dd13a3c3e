//! What a run keeps of its finished phases, so that a later attempt begins after them. Nothing here is a share of a secret.
//!
//! The matching: which own rows are common, in the common order, and which of them are test rows: both sides know that by the contract.
//! The training: this side's own weights, which the contract opens to it. The training itself is never taken up in the middle:
//! it begins again from its first step, with fresh keys, masks and shares.

use crate::contract::Disclosure;
use crate::data::Split;
use crate::error::{Exit, Failure};
use crate::training::heads::Reading;
use crate::training::opening::Ledger;
use crate::training::secure::Trained;
use serde::{Deserialize, Serialize};

/// The end of the matching.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptMatching {
    /// Row numbers of the own table, in the order common to both sides.
    pub rows: Vec<usize>,
    /// How many rows the peer brought.
    pub peer_rows: u64,
    /// Train or test of each of them; None in a scoring.
    pub split: Option<Vec<Split>>,
}

impl KeptMatching {
    /// Whether it can be one of a table with so many rows: every row at most once, as many parts as rows.
    #[must_use]
    pub fn fits(&self, table_rows: usize) -> bool {
        let mut seen = vec![false; table_rows];
        let once = self.rows.iter().all(|row| seen.get_mut(*row).is_some_and(|seen| !std::mem::replace(seen, true)));
        once && self.split.as_ref().is_none_or(|split| split.len() == self.rows.len())
    }
}

/// The end of the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptTraining {
    /// The model's name on both sides.
    pub model_id: String,
    /// This side's half, head by head.
    pub trained: Vec<Trained>,
    /// How the owner reads joint predictors.
    pub reading: Option<Reading>,
    /// Warnings of the training.
    pub notes: Vec<String>,
    /// What it opened: item, values that this side learned, values that the peer learned.
    pub opened: Vec<(String, usize, usize)>,
}

impl KeptTraining {
    /// The openings of a ledger after the first `before`.
    pub(super) fn openings(ledger: &Ledger, before: usize) -> Vec<(String, usize, usize)> {
        let later = ledger.opened().iter().skip(before);
        later.map(|opened| (opened.item.name().to_owned(), opened.learned, opened.told)).collect()
    }

    /// Notes what the earlier attempt opened.
    pub(super) fn note_in(&self, ledger: &mut Ledger) -> Result<(), Failure> {
        for (item, learned, told) in &self.opened {
            let item = Disclosure::from_name(item)
                .ok_or_else(|| Failure::new(Exit::Usage, 510, "what was kept of the training names an unknown opening"))?;
            ledger.note(item, *learned, *told)?;
        }
        Ok(())
    }
}

/// Where a run keeps its finished phases. What it gives back is what *both* sides still have of one and the same attempt.
pub trait Keep {
    /// The matching of an earlier attempt.
    ///
    /// # Errors
    /// Exit code 2: it is damaged.
    fn matching(&mut self) -> Result<Option<KeptMatching>, Failure>;

    /// The training of an earlier attempt, on that matching.
    ///
    /// # Errors
    /// Exit code 2: it is damaged.
    fn training(&mut self) -> Result<Option<KeptTraining>, Failure>;

    /// The matching has ended.
    ///
    /// # Errors
    /// Exit code 1: it cannot be kept.
    fn keep_matching(&mut self, matching: &KeptMatching) -> Result<(), Failure>;

    /// The training has ended.
    ///
    /// # Errors
    /// Exit code 1: it cannot be kept.
    fn keep_training(&mut self, training: &KeptTraining) -> Result<(), Failure>;
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forgetful;

impl Keep for Forgetful {
    fn matching(&mut self) -> Result<Option<KeptMatching>, Failure> {
        Ok(None)
    }

    fn training(&mut self) -> Result<Option<KeptTraining>, Failure> {
        Ok(None)
    }

    fn keep_matching(&mut self, _matching: &KeptMatching) -> Result<(), Failure> {
        Ok(())
    }

    fn keep_training(&mut self, _training: &KeptTraining) -> Result<(), Failure> {
        Ok(())
    }
}
