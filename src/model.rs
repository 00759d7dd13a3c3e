//! `model.json`: one party's half of a trained model, with the recipe of its columns. Other schemas are refused by name.
//!
//! The file holds this side's weights only; the joint score of a user is the sum of both halves' logits.

pub use crate::contract::Task;
use crate::data::wording::{is_hex, shown};
use crate::data::{Column, Side};
use crate::error::{Exit, Failure};
use crate::recipe::{Recipe, Unfamiliar};
use crate::report::Ordered;
use crate::training::heads::{Head, Reading};
use crate::training::linear::times;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The schema of `model.json`.
pub const MODEL_SCHEMA: &str = "colift.model/4";
/// Schemas that only unreleased versions wrote.
const UNRELEASED: [&str; 3] = ["colift.model/1", "colift.model/2", "colift.model/3"];

/// Largest model file that is read, in bytes.
pub const MAX_MODEL_BYTES: usize = 16 << 20;

/// The schema's name inside the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSchema {
    /// Version 4.
    #[default]
    #[serde(rename = "colift.model/4")]
    V4,
}

/// A further head of a model: of a hurdle the amount after the probability, and so on for each further label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoreHead {
    /// The intercept; the owner's file only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intercept: Option<f64>,
    /// This side's weights on the standardised scale, in the recipe's order of kept columns.
    pub coefficients: Ordered<f64>,
}

/// What the owner's columns say alone, fitted on all its training rows: for users that the partner lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnModel {
    /// Training rows.
    pub train_rows: u64,
    /// What turns the raw columns into features; fitted on other rows than the joint model's.
    pub recipe: Recipe,
    /// The intercept.
    pub intercept: f64,
    /// Weights on the standardised scale, in the recipe's order of kept features.
    pub coefficients: Ordered<f64>,
    /// Further heads in the order of their training.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub more_heads: Vec<MoreHead>,
    /// For each label the variance of the payers' logarithms, where the task needs it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub variances: Vec<f64>,
}

/// A side's part of some users' predictors.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictors {
    /// Head by head, one a row.
    pub values: Vec<Vec<f64>>,
    /// Cells of a sort that no training row had.
    pub unfamiliar: Vec<Unfamiliar>,
}

/// A side's part of the log-odds of some users, or of another task's first predictor.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// One a row.
    pub values: Vec<f64>,
    /// Cells of a sort that no training row had.
    pub unfamiliar: Vec<Unfamiliar>,
}

/// One party's half of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The schema's name.
    pub schema: ModelSchema,
    /// The model's name on both sides: 32 hex digits that both halves of one training share.
    pub model_id: String,
    /// Whose half this is.
    #[serde(with = "side_name")]
    pub side: Side,
    /// The job's name.
    pub name: String,
    /// When it was made, RFC 3339 in UTC: `2026-11-23T06:12:00Z`.
    pub created: String,
    /// Version of the program that made it.
    pub program: String,
    /// What it predicts.
    pub task: Task,
    /// The label's column, of several the last; the owner's file only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// Label columns before it; the owner's file only.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub earlier_labels: Vec<String>,
    /// Matched rows it was trained on.
    pub train_rows: u64,
    /// The ridge.
    pub l2: f64,
    /// The clip of the standardised columns, equal to the recipe's.
    pub clip: f64,
    /// SHA-256 of the job's canonical form, 64 hex digits.
    pub job_digest: String,
    /// Fingerprint of this side's key, 64 hex digits.
    pub own_fingerprint: String,
    /// Fingerprint of the peer's key, 64 hex digits.
    pub peer_fingerprint: String,
    /// What turns this side's raw columns into the model's.
    pub recipe: Recipe,
    /// The intercept; the owner's file only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intercept: Option<f64>,
    /// This side's weights on the standardised scale, in the recipe's order of kept columns.
    pub coefficients: Ordered<f64>,
    /// Further heads in the order of their training: of a hurdle the amount, and so on for each further label.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub more_heads: Vec<MoreHead>,
    /// How predictors become predictions; the owner's file only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reading: Option<Reading>,
    /// The owner's columns alone; the owner's file only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub own_model: Option<OwnModel>,
    /// Figures on the test rows, where the job lists them for this side.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub figures: Option<serde_json::Map<String, serde_json::Value>>,
}

impl ModelFile {
    /// The file's text, for people too, ending in a line end.
    ///
    /// # Errors
    /// Exit 1, E0720: the fields do not fit together, or a number is not finite.
    pub fn to_json(&self) -> Result<String, Failure> {
        let failed = |why: String| Failure::new(Exit::Internal, 720, format!("the model cannot be written: {why}"));
        self.check().map_err(failed)?;
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| failed(error.to_string()))
    }

    /// Reads and checks the text of a model file.
    ///
    /// # Errors
    /// Exit 16, E0722: another schema. Exit 13, E0721: not a model file, unknown fields, or fields that do not fit together.
    /// Exit 17, E0723: over [`MAX_MODEL_BYTES`].
    pub fn from_json(text: &str) -> Result<Self, Failure> {
        if text.len() > MAX_MODEL_BYTES {
            return Err(too_large());
        }
        #[derive(Deserialize)]
        struct Named {
            schema: Option<String>,
        }
        let broken = |why: String| {
            let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
            Failure::new(Exit::Data, 721, format!("this is not a {MODEL_SCHEMA} file: {why}"))
        };
        let named: Named = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        match named.schema {
            Some(found) if found == MODEL_SCHEMA => {}
            Some(found) if UNRELEASED.contains(&found.as_str()) => {
                let what =
                    format!("the file's schema is {}, written by an unreleased version; this program reads {MODEL_SCHEMA}", shown(&found));
                return Err(Failure::new(Exit::Version, 722, what).hint("train again, with the same release on both sides"));
            }
            Some(found) => {
                let what = format!("the file's schema is {}, this program reads {MODEL_SCHEMA}", shown(&found));
                return Err(Failure::new(Exit::Version, 722, what).hint("use the program version that wrote it, or train again"));
            }
            None => return Err(broken("it has no schema".into())),
        }
        let model: Self = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        model.check().map_err(broken)?;
        Ok(model)
    }

    /// Reads and checks a model file; of a larger file no more than the cap is read.
    ///
    /// # Errors
    /// As [`ModelFile::from_json`], with the path; exit 13, E0721 when the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let read = || {
            let mut bytes = Vec::new();
            File::open(path)?.take(MAX_MODEL_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let unreadable = |why: String| Failure::new(Exit::Data, 721, format!("the model file cannot be read: {why}"));
        read()
            .map_err(|error: std::io::Error| unreadable(error.to_string()))
            .and_then(|bytes| if bytes.len() > MAX_MODEL_BYTES { Err(too_large()) } else { Ok(bytes) })
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".into())))
            .and_then(|text| Self::from_json(&text))
            .map_err(|failure| failure.at(path.display().to_string()))
    }

    /// This side's part of each row's log-odds: own columns, and for the owner the intercept.
    ///
    /// Columns are found by name, so their order and further columns do not matter; `rows` is the table's number of rows.
    ///
    /// # Errors
    /// As [`Recipe::apply`].
    pub fn logits(&self, columns: &[Column], rows: usize) -> Result<Logits, Failure> {
        self.logits_of(columns, &(0..rows).collect::<Vec<_>>())
    }

    /// As [`ModelFile::logits`] for the given rows of the table, in their order. Without a row it only checks the columns.
    ///
    /// # Errors
    /// As [`Recipe::apply_rows`].
    pub fn logits_of(&self, columns: &[Column], rows: &[usize]) -> Result<Logits, Failure> {
        logits(&self.recipe, &self.coefficients, self.intercept.unwrap_or(0.0), columns, rows)
    }

    /// As [`ModelFile::logits_of`], of all heads.
    ///
    /// # Errors
    /// As [`Recipe::apply_rows`].
    pub fn predictors_of(&self, columns: &[Column], rows: &[usize]) -> Result<Predictors, Failure> {
        let first = (self.intercept.unwrap_or(0.0), &self.coefficients);
        let more = self.more_heads.iter().map(|head| (head.intercept.unwrap_or(0.0), &head.coefficients));
        predictors(&self.recipe, &std::iter::once(first).chain(more).collect::<Vec<_>>(), columns, rows)
    }

    /// Labels in the order of their training; none in the partner's file.
    pub fn labels(&self) -> impl Iterator<Item = &String> {
        self.earlier_labels.iter().chain(&self.label)
    }

    /// Linear functions of this side's columns in the predictions of one user.
    #[must_use]
    pub fn functions(&self) -> usize {
        1 + self.more_heads.len()
    }

    /// How the owner reads joint predictors; the partner's file does not say it and is read as logistic.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.reading.clone().unwrap_or(Reading { partner_factors: vec![1.0], variances: Vec::new(), log_cap: f64::MAX })
    }

    /// Whether heads, labels and reading fit one another.
    fn check_heads(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(why.to_owned());
        let heads = Head::of(self.task).len();
        if !self.functions().is_multiple_of(heads) {
            return wrong("the number of heads does not fit the task");
        }
        let labels = self.functions() / heads;
        for head in &self.more_heads {
            if head.intercept.is_some() != (self.side == Side::Owner)
                || !head.intercept.is_none_or(f64::is_finite)
                || !head.coefficients.0.iter().all(|(_, weight)| weight.is_finite())
            {
                return wrong("a further head lacks a number or has one too many");
            }
            fits(&self.recipe, &head.coefficients)?;
        }
        let numbers = |values: &[f64], of: usize| values.len() == of && values.iter().all(|value| value.is_finite() && *value >= 0.0);
        let variances = if self.task.has_variance() { labels } else { 0 };
        match (self.side, &self.reading) {
            (Side::Partner, None) if self.earlier_labels.is_empty() => {}
            (Side::Owner, Some(reading))
                if numbers(&reading.partner_factors, labels)
                    && numbers(&reading.variances, variances)
                    && reading.log_cap.is_finite()
                    && self.earlier_labels.len() + 1 == labels => {}
            _ => return wrong("the labels, factors or variances do not fit the heads"),
        }
        if let Some(own) = &self.own_model {
            if own.more_heads.len() != self.more_heads.len() || !numbers(&own.variances, variances) {
                return wrong("the own model has other heads");
            }
            for head in &own.more_heads {
                if !head.intercept.is_some_and(f64::is_finite) || !head.coefficients.0.iter().all(|(_, weight)| weight.is_finite()) {
                    return wrong("a weight of the own model is not a finite number");
                }
                fits(&own.recipe, &head.coefficients)?;
            }
        }
        Ok(())
    }

    /// Why the fields do not fit together.
    fn check(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(why.to_owned());
        if self.side == Side::Owner && (self.label.is_none() || self.intercept.is_none()) {
            return wrong("the owner's half has a label and an intercept");
        }
        if self.side == Side::Partner && (self.label.is_some() || self.intercept.is_some()) {
            return wrong("the partner's half has neither label nor intercept");
        }
        if !self.created.ends_with('Z') || self.created.parse::<Timestamp>().is_err() {
            return wrong("`created` is not a time in UTC");
        }
        for (field, value) in
            [("job_digest", &self.job_digest), ("own_fingerprint", &self.own_fingerprint), ("peer_fingerprint", &self.peer_fingerprint)]
        {
            if !is_hex(value, 64) {
                return Err(format!("`{field}` does not have 64 lower-case hex digits"));
            }
        }
        if !is_hex(&self.model_id, 32) {
            return wrong("`model_id` does not have 32 lower-case hex digits");
        }
        if !(self.l2.is_finite() && self.l2 >= 0.0 && self.clip.is_finite() && self.recipe.clip == self.clip) {
            return wrong("`l2` or `clip` is out of range, or the recipe has another clip");
        }
        if !self.intercept.is_none_or(f64::is_finite) || !self.coefficients.0.iter().all(|(_, weight)| weight.is_finite()) {
            return wrong("a weight is not a finite number");
        }
        fits(&self.recipe, &self.coefficients)?;
        if let Some(own) = &self.own_model {
            if self.side == Side::Partner {
                return wrong("the partner's half has no own model");
            }
            if !own.intercept.is_finite() || !own.coefficients.0.iter().all(|(_, weight)| weight.is_finite()) {
                return wrong("a weight of the own model is not a finite number");
            }
            fits(&own.recipe, &own.coefficients)?;
        }
        self.check_heads()
    }
}

impl OwnModel {
    /// The log-odds of each row by the owner's columns alone.
    ///
    /// # Errors
    /// As [`Recipe::apply`].
    pub fn logits(&self, columns: &[Column], rows: usize) -> Result<Logits, Failure> {
        self.logits_of(columns, &(0..rows).collect::<Vec<_>>())
    }

    /// As [`OwnModel::logits`] for the given rows of the table, in their order. Without a row it only checks the columns.
    ///
    /// # Errors
    /// As [`Recipe::apply_rows`].
    pub fn logits_of(&self, columns: &[Column], rows: &[usize]) -> Result<Logits, Failure> {
        logits(&self.recipe, &self.coefficients, self.intercept, columns, rows)
    }

    /// As [`OwnModel::logits_of`], of all heads.
    ///
    /// # Errors
    /// As [`Recipe::apply_rows`].
    pub fn predictors_of(&self, columns: &[Column], rows: &[usize]) -> Result<Predictors, Failure> {
        let first = (self.intercept, &self.coefficients);
        let more = self.more_heads.iter().map(|head| (head.intercept.unwrap_or(0.0), &head.coefficients));
        predictors(&self.recipe, &std::iter::once(first).chain(more).collect::<Vec<_>>(), columns, rows)
    }
}

/// Rows whose features are in memory at once.
const BLOCK_ROWS: usize = 1 << 16;

fn logits(recipe: &Recipe, weights: &Ordered<f64>, offset: f64, columns: &[Column], rows: &[usize]) -> Result<Logits, Failure> {
    let Predictors { mut values, unfamiliar } = predictors(recipe, &[(offset, weights)], columns, rows)?;
    Ok(Logits { values: values.pop().unwrap_or_default(), unfamiliar })
}

/// The predictors of heads, each an intercept and weights, in one pass over the columns.
fn predictors(recipe: &Recipe, heads: &[(f64, &Ordered<f64>)], columns: &[Column], rows: &[usize]) -> Result<Predictors, Failure> {
    let heads: Vec<(f64, Vec<f64>)> =
        heads.iter().map(|(offset, weights)| (*offset, weights.0.iter().map(|(_, weight)| *weight).collect())).collect();
    let mut values = vec![Vec::with_capacity(rows.len()); heads.len()];
    let unfamiliar = recipe.apply_blocks(columns, rows, BLOCK_ROWS, |block| {
        for ((offset, weights), values) in heads.iter().zip(&mut values) {
            values.extend(times(block.view(), weights, *offset));
        }
    })?;
    Ok(Predictors { values, unfamiliar })
}

/// The recipe is sound and the coefficients are those of its kept features.
fn fits(recipe: &Recipe, coefficients: &Ordered<f64>) -> Result<(), String> {
    recipe.check()?;
    if recipe.names().iter().eq(coefficients.0.iter().map(|(name, _)| name)) {
        Ok(())
    } else {
        Err("the coefficients are not those of the recipe's kept features".into())
    }
}

fn too_large() -> Failure {
    Failure::new(Exit::Cap, 723, format!("the model file is over {} MiB", MAX_MODEL_BYTES >> 20))
}

/// `owner` or `partner` in the file.
mod side_name {
    use crate::data::Side;
    use serde::de::{Deserializer, Error};
    use serde::{Deserialize, Serializer};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(side: &Side, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(side.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Side, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        [Side::Owner, Side::Partner]
            .into_iter()
            .find(|side| side.name() == name)
            .ok_or_else(|| D::Error::custom("`side` is neither owner nor partner"))
    }
}

pub mod page;
#[cfg(test)]
mod tests;
