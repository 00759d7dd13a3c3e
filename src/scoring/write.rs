//! The owner's scores as `scores.csv` or `scores.parquet`, and the rows without a score as `not_scored.csv`.
//!
//! Columns: the id under its name in the file (each part of a composite id under its own), then of `score`, `decile`, `top_share`, `yes_no` those that the job lists, then
//! `model` (`joint` or `own`). One row a scored user, in the order of the owner's file; ids in canonical form.

use super::Scored;
use super::rank::{decile, places, top_users};
use crate::contract::{ScoreOutput, ScoreTerms};
use crate::data::ids::PART_SEPARATOR;
use crate::data::{IdKind, IdProblem};
use crate::error::{Exit, Failure};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt8Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::io::Write;
use std::sync::Arc;

/// Rows of one batch of a Parquet file.
const BATCH: usize = 1 << 16;

/// The scores with everything that follows from them.
pub struct Columns<'a> {
    id_names: Vec<&'a str>,
    ids: &'a [String],
    scored: &'a Scored,
    terms: &'a ScoreTerms,
    places: Vec<u32>,
    /// How many users the top share holds.
    top: usize,
}

impl<'a> Columns<'a> {
    /// Ranks the scores where the job lists something that needs it.
    #[must_use]
    pub fn new(id_names: Vec<&'a str>, ids: &'a [String], scored: &'a Scored, terms: &'a ScoreTerms) -> Self {
        let ranked = terms.output.contains(&ScoreOutput::Decile) || terms.output.contains(&ScoreOutput::TopShare);
        let places = if ranked { places(&scored.scores, ids) } else { vec![0; ids.len()] };
        Self { id_names, ids, scored, terms, places, top: terms.top_share.map_or(0, |share| top_users(share, ids.len())) }
    }

    /// Users in the top share, where it is listed.
    #[must_use]
    pub fn top(&self) -> Option<u64> {
        self.terms.top_share.map(|_| self.top as u64)
    }

    /// Users with a yes, where it is listed.
    #[must_use]
    pub fn yes(&self) -> Option<u64> {
        self.terms.threshold.map(|threshold| self.scored.scores.iter().filter(|score| **score >= threshold).count() as u64)
    }

    /// The texts of an id's columns.
    fn parts<'b>(&self, id: &'b str) -> impl Iterator<Item = &'b str> + use<'b> {
        id.splitn(self.id_names.len(), PART_SEPARATOR)
    }

    fn lists(&self, output: ScoreOutput) -> bool {
        self.terms.output.contains(&output)
    }

    fn names(&self) -> Vec<&str> {
        let listed = ScoreOutput::ALL.into_iter().filter(|output| self.lists(*output)).map(|output| -> &str { output.name() });
        self.id_names.iter().copied().chain(listed).chain(["model"]).collect()
    }

    /// Writes CSV: scores with six decimals, `yes` or `no`.
    ///
    /// # Errors
    /// Exit 1, E0810: it cannot be written.
    pub fn csv(&self, out: impl Write) -> Result<(), Failure> {
        self.rows(&mut csv::WriterBuilder::new().buffer_capacity(1 << 20).from_writer(out)).map_err(failed)
    }

    fn rows<W: Write>(&self, writer: &mut csv::Writer<W>) -> Result<(), csv::Error> {
        let word = |yes: bool| if yes { "yes" } else { "no" };
        writer.write_record(self.names())?;
        let mut digits = Vec::with_capacity(32);
        let rows = self.ids.iter().zip(&self.scored.scores).zip(&self.scored.joint).zip(&self.places);
        for (((id, score), joint), place) in rows {
            for part in self.parts(id) {
                writer.write_field(part)?;
            }
            if self.lists(ScoreOutput::Score) {
                digits.clear();
                write!(digits, "{score:.6}")?;
                writer.write_field(&digits)?;
            }
            if self.lists(ScoreOutput::Decile) {
                digits.clear();
                write!(digits, "{}", decile(*place, self.ids.len()))?;
                writer.write_field(&digits)?;
            }
            if self.lists(ScoreOutput::TopShare) {
                writer.write_field(word((*place as usize) < self.top))?;
            }
            if let Some(threshold) = self.terms.threshold {
                writer.write_field(word(*score >= threshold))?;
            }
            writer.write_field(if *joint { "joint" } else { "own" })?;
            writer.write_record(None::<&[u8]>)?;
        }
        Ok(writer.flush()?)
    }

    /// Writes Parquet, Snappy-compressed: `score` a double, `decile` an unsigned byte, `top_share` and `yes_no` booleans.
    ///
    /// # Errors
    /// Exit 1, E0810: it cannot be written.
    pub fn parquet(&self, out: impl Write + Send) -> Result<(), Failure> {
        let kind = |name: &str| match ScoreOutput::from_name(name).filter(|_| !self.id_names.contains(&name)) {
            Some(ScoreOutput::Score) => DataType::Float64,
            Some(ScoreOutput::Decile) => DataType::UInt8,
            Some(ScoreOutput::TopShare | ScoreOutput::YesNo) => DataType::Boolean,
            None => DataType::Utf8,
        };
        let schema = Arc::new(Schema::new(self.names().into_iter().map(|name| Field::new(name, kind(name), false)).collect::<Vec<_>>()));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(failed)?;
        for start in (0..self.ids.len()).step_by(BATCH) {
            let rows = start..self.ids.len().min(start + BATCH);
            let (ids, scores, joint) = (&self.ids[rows.clone()], &self.scored.scores[rows.clone()], &self.scored.joint[rows.clone()]);
            let places = &self.places[rows];
            let mut arrays: Vec<ArrayRef> = Vec::new();
            for part in 0..self.id_names.len() {
                let texts = ids.iter().map(|id| self.parts(id).nth(part).unwrap_or_default());
                arrays.push(Arc::new(StringArray::from_iter_values(texts)));
            }
            if self.lists(ScoreOutput::Score) {
                arrays.push(Arc::new(Float64Array::from_iter_values(scores.iter().copied())));
            }
            if self.lists(ScoreOutput::Decile) {
                arrays.push(Arc::new(UInt8Array::from_iter_values(places.iter().map(|place| decile(*place, self.ids.len())))));
            }
            if self.lists(ScoreOutput::TopShare) {
                arrays.push(Arc::new(places.iter().map(|place| Some((*place as usize) < self.top)).collect::<BooleanArray>()));
            }
            if let Some(threshold) = self.terms.threshold {
                arrays.push(Arc::new(scores.iter().map(|score| Some(*score >= threshold)).collect::<BooleanArray>()));
            }
            arrays.push(Arc::new(StringArray::from_iter_values(joint.iter().map(|joint| if *joint { "joint" } else { "own" }))));
            let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(failed)?;
            writer.write(&batch).map_err(failed)?;
        }
        writer.close().map(drop).map_err(failed)
    }
}

/// `row,reason` of the rows without a usable id: the data row counted from 1, never the id.
#[must_use]
pub fn not_scored(skipped: &[(u64, IdProblem)], kind: IdKind) -> String {
    let mut text = String::from("row,reason\n");
    for (row, problem) in skipped {
        let reason = match problem {
            IdProblem::Empty => "the id is empty".to_owned(),
            IdProblem::NotOfKind => format!("the id is not of kind {kind}"),
        };
        text.push_str(&format!("{row},{reason}\n"));
    }
    text
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Internal, 810, format!("the scores cannot be written: {error}"))
}
