//! `model.json`: one party's half of a trained model, with the recipe of its columns. Old schemas are refused by name.
//!
//! The file holds this side's weights only; the joint score of a user is the sum of both halves' logits.

use crate::data::wording::shown;
use crate::data::{Column, Side};
use crate::error::{Exit, Failure};
use crate::report::Ordered;
use crate::training::linear::times;
use crate::training::recipe::{ColumnScale, Recipe};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The schema of `model.json`.
pub const MODEL_SCHEMA: &str = "colift.model/1";

/// Largest model file that is read, in bytes.
pub const MAX_MODEL_BYTES: usize = 16 << 20;

/// The schema's name inside the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSchema {
    /// Version 1.
    #[default]
    #[serde(rename = "colift.model/1")]
    V1,
}

/// What the model predicts and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelTask {
    /// A 0/1 label by its log-odds.
    #[default]
    Logistic,
}

/// One party's half of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The schema's name.
    pub schema: ModelSchema,
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
    pub task: ModelTask,
    /// The label's column; the owner's file only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
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
    /// Exit 13, E0724: columns of the model are missing. Exit 1, E0725: a column has another number of rows.
    pub fn logits(&self, columns: &[Column], rows: usize) -> Result<Vec<f64>, Failure> {
        let kept: Vec<ColumnScale> = self.recipe.columns.iter().filter(|column| column.sd.is_some()).cloned().collect();
        let find = |name: &str| columns.iter().find(|column| column.name == name);
        let missing: Vec<String> = kept.iter().filter(|scale| find(&scale.name).is_none()).map(|scale| shown(&scale.name)).collect();
        if let Some(first) = missing.first() {
            let what = match missing.len() {
                1 => format!("column {first} of the model is missing"),
                count => format!("{count} columns of the model are missing, first {first}"),
            };
            let remedy = "the file needs the columns that the model was trained on, under the same names";
            return Err(Failure::new(Exit::Data, 724, what).at(missing.join(", ")).hint(remedy));
        }
        let values: Vec<&[f64]> = kept.iter().filter_map(|scale| find(&scale.name)).map(|column| column.values.as_slice()).collect();
        if values.iter().any(|column| column.len() != rows) {
            return Err(Failure::new(Exit::Internal, 725, format!("a column does not have the {rows} rows of its table")));
        }
        let offset = self.intercept.unwrap_or(0.0);
        if values.is_empty() {
            return Ok(vec![offset; rows]);
        }
        let weights: Vec<f64> = self.coefficients.0.iter().map(|(_, weight)| *weight).collect();
        let x = Recipe { clip: self.recipe.clip, columns: kept }.apply(&values)?;
        Ok(times(x.view(), &weights, offset))
    }

    /// Why the fields do not fit together.
    fn check(&self) -> Result<(), String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
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
            if value.len() != 64 || !value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("`{field}` does not have 64 lower-case hex digits"));
            }
        }
        if !(self.l2.is_finite() && self.l2 >= 0.0 && positive(self.clip) && self.recipe.clip == self.clip) {
            return wrong("`l2` or `clip` is out of range, or the recipe has another clip");
        }
        if !self.intercept.is_none_or(f64::is_finite) || !self.coefficients.0.iter().all(|(_, weight)| weight.is_finite()) {
            return wrong("a weight is not a finite number");
        }
        if !self.recipe.columns.iter().all(|column| column.mean.is_finite() && column.sd.is_none_or(positive)) {
            return wrong("a mean or a deviation of the recipe is out of range");
        }
        let mut seen = HashSet::new();
        if !self.recipe.columns.iter().all(|column| seen.insert(column.name.as_str())) {
            return wrong("the recipe names a column twice");
        }
        let kept = self.recipe.columns.iter().filter(|column| column.sd.is_some()).map(|column| &column.name);
        if !kept.eq(self.coefficients.0.iter().map(|(name, _)| name)) {
            return wrong("the coefficients are not those of the recipe's kept columns");
        }
        Ok(())
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

#[cfg(test)]
mod tests;
