//! Recipes: how a party's raw columns become the standardised features of the model. Chosen and fitted on the matched training
//! rows, saved with the model, replayed when scoring; the same row gives bit-equal features in every place.
//!
//! raw column → [`encode::Encoding`] (chosen by [`choose`] unless the job says otherwise) → scaling (mean, deviation, clip)
//!
//! Every step looks at this side's own rows; weight of evidence needs the label too, so only its owner has it. Nothing here is
//! sent: the peer learns the number of features. Level names of frequent categories are part of the model file, so levels that
//! fewer than [`choose::FEWEST_ROWS`] training rows have are never written.

mod apply;
pub mod choose;
pub mod encode;
mod fit;
#[cfg(test)]
mod tests;

pub use apply::{Applied, Unfamiliar};
pub use encode::Encoding;
pub use fit::FitRows;

use crate::data::{ColumnKind, ColumnWish, Wishes};
use crate::training::scaling::ColumnScale;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What turns a party's raw columns into the features of the model, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Standardised values are cut to ±`clip`; nothing is centred again after that.
    pub clip: f64,
    /// The raw columns in the file's order, dropped ones included.
    pub columns: Vec<ColumnRecipe>,
}

/// The recipe of one raw column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRecipe {
    /// The column's name in the party's file.
    pub name: String,
    /// Cells that the job said mean "missing", besides the usual ones.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<String>,
    /// What is done to its cells.
    pub encoding: Encoding,
    /// Why: one line for people.
    pub why: String,
    /// The features that come out, with their scales; `sd` is absent where a feature is constant on the training rows and dropped.
    pub features: Vec<ColumnScale>,
}

impl Recipe {
    /// Names of the features kept, in the order of the matrix that [`Recipe::apply`] makes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.features().filter(|scale| scale.sd.is_some()).map(|scale| scale.name.clone()).collect()
    }

    /// Names of the raw columns of which nothing is kept: constant on the matched training rows, or not usable.
    #[must_use]
    pub fn dropped(&self) -> Vec<String> {
        self.columns.iter().filter(|column| !column.is_kept()).map(|column| column.name.clone()).collect()
    }

    /// Names of the raw columns that scoring needs.
    #[must_use]
    pub fn inputs(&self) -> Vec<&str> {
        self.columns.iter().filter(|column| column.is_kept()).map(|column| column.name.as_str()).collect()
    }

    /// For people: how many columns stay numbers as they are, and of the others column, encoding, number of features, why.
    #[must_use]
    pub fn choices(&self) -> (usize, Vec<[String; 4]>) {
        let (plain, others): (Vec<&ColumnRecipe>, Vec<_>) = self.columns.iter().partition(|column| column.is_plain());
        let line = |column: &&ColumnRecipe| {
            let features = column.features.iter().filter(|scale| scale.sd.is_some()).count();
            let name = if features == 0 { "dropped" } else { column.encoding.name() };
            [column.name.clone(), name.to_owned(), features.to_string(), column.why.clone()]
        };
        (plain.len(), others.iter().map(line).collect())
    }

    /// How a file must be read for this recipe: the type of each column, and what was taken for missing.
    #[must_use]
    pub fn reading(&self) -> Wishes {
        let wish =
            |column: &ColumnRecipe| ColumnWish { kind: Some(column.kind()), missing: column.missing.clone(), ..ColumnWish::default() };
        self.columns.iter().filter(|column| column.is_kept()).map(|column| (column.name.clone(), wish(column))).collect()
    }

    /// All features, dropped ones included.
    fn features(&self) -> impl Iterator<Item = &ColumnScale> {
        self.columns.iter().flat_map(|column| &column.features)
    }

    /// Why the fields do not fit together.
    ///
    /// # Errors
    /// One line for people.
    pub fn check(&self) -> Result<(), String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.clip) {
            return Err("the recipe's clip is out of range".into());
        }
        let mut seen = HashSet::new();
        if !self.columns.iter().all(|column| seen.insert(column.name.as_str())) {
            return Err("the recipe names a column twice".into());
        }
        let mut seen = HashSet::new();
        if !self.features().all(|scale| seen.insert(scale.name.as_str())) {
            return Err("the recipe names a feature twice".into());
        }
        if !self.features().all(|scale| scale.mean.is_finite() && scale.sd.is_none_or(positive)) {
            return Err("a mean or a deviation of the recipe is out of range".into());
        }
        for column in &self.columns {
            column.encoding.check().map_err(|why| format!("the recipe of a column: {why}"))?;
            if column.encoding.suffixes().len() != column.features.len() {
                return Err("a column of the recipe has another number of features than its encoding".into());
            }
        }
        Ok(())
    }
}

impl ColumnRecipe {
    /// Whether any feature of it is in the model.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.features.iter().any(|scale| scale.sd.is_some())
    }

    /// Whether it is a number that is only scaled.
    fn is_plain(&self) -> bool {
        let as_it_is = matches!(self.encoding, Encoding::Number { indicator: false, limits: None, log1p: false, .. });
        as_it_is && self.is_kept() && self.missing.is_empty()
    }

    /// The type its column must have.
    #[must_use]
    pub fn kind(&self) -> ColumnKind {
        self.encoding.kind()
    }
}
