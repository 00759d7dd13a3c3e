//! The owner's scores as `scores.csv` or `scores.parquet`, and the rows without a score as `not_scored.csv`.
//!
//! Columns: the id under its name in the file (each part of a composite id under its own), then of `score`, `probability`, `decile`, `top_share`, `yes_no` those that the job lists, then
//! `model` (`joint` or `own`). One row a scored user, in the order of the owner's file; ids in canonical form.

use super::Scored;
use super::rank::Decisions;
use crate::contract::{ScoreOutput, ScoreTerms};
use crate::data::ids::PART_SEPARATOR;
use crate::data::{IdKind, IdProblem};
use crate::error::{Exit, Failure};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt8Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::borrow::Cow;
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
    decisions: Cow<'a, Decisions>,
}

impl<'a> Columns<'a> {
    /// Takes the decisions as they were released; where scores are known, they follow from these.
    #[must_use]
    pub fn new(id_names: Vec<&'a str>, ids: &'a [String], scored: &'a Scored, terms: &'a ScoreTerms) -> Self {
        let decisions = match &scored.decisions {
            Some(released) => Cow::Borrowed(released),
            None => Cow::Owned(Decisions::of_scores(&scored.scores, ids, terms)),
        };
        Self { id_names, ids, scored, terms, decisions }
    }

    /// Users in the top share, where it is listed.
    #[must_use]
    pub fn top(&self) -> Option<u64> {
        self.terms.top_share.map(|_| self.decisions.top.iter().filter(|top| **top).count() as u64)
    }

    /// Users with a yes, where it is listed.
    #[must_use]
    pub fn yes(&self) -> Option<u64> {
        self.terms.threshold.map(|_| self.decisions.yes.iter().filter(|yes| **yes).count() as u64)
    }

    /// The texts of an id's columns.
    fn parts<'b>(&self, id: &'b str) -> impl Iterator<Item = &'b str> + use<'b> {
        id.splitn(self.id_names.len(), PART_SEPARATOR)
    }

    fn lists(&self, output: ScoreOutput) -> bool {
        self.terms.output.contains(&output)
    }

    /// Names and numbers of the columns under `score`: one, or of several labels one for each, `score_LABEL`.
    fn scores(&self) -> Vec<(String, &[f64])> {
        let several = |label: &str| format!("{}_{label}", ScoreOutput::Score.name());
        let earlier = self.scored.earlier.iter().map(|(label, scores)| (several(label), scores.as_slice()));
        let last = self.scored.label.as_ref().map_or_else(|| ScoreOutput::Score.name().to_owned(), |label| several(label));
        earlier.chain([(last, self.scored.scores.as_slice())]).collect()
    }

    /// The numbers that the job lists, in their order: scores and probability.
    fn numbers(&self) -> Vec<(String, &[f64])> {
        let mut numbers = if self.lists(ScoreOutput::Score) { self.scores() } else { Vec::new() };
        if let Some(probabilities) = self.scored.probabilities.as_ref().filter(|_| self.lists(ScoreOutput::Probability)) {
            numbers.push((ScoreOutput::Probability.name().to_owned(), probabilities));
        }
        numbers
    }

    /// The columns after the numbers.
    fn words(&self) -> impl Iterator<Item = ScoreOutput> {
        let listed = [ScoreOutput::Decile, ScoreOutput::TopShare, ScoreOutput::YesNo];
        listed.into_iter().filter(|output| self.lists(*output))
    }

    fn names(&self) -> Vec<String> {
        let ids = self.id_names.iter().map(|name| (*name).to_owned());
        let numbers = self.numbers().into_iter().map(|(name, _)| name);
        ids.chain(numbers).chain(self.words().map(|output| output.name().to_owned())).chain(["model".to_owned()]).collect()
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
        let numbers = self.numbers();
        let Decisions { deciles, top, yes } = &*self.decisions;
        for (row, (id, joint)) in self.ids.iter().zip(&self.scored.joint).enumerate() {
            for part in self.parts(id) {
                writer.write_field(part)?;
            }
            for (_, numbers) in &numbers {
                digits.clear();
                write!(digits, "{:.6}", numbers[row])?;
                writer.write_field(&digits)?;
            }
            if self.lists(ScoreOutput::Decile) {
                digits.clear();
                write!(digits, "{}", deciles[row])?;
                writer.write_field(&digits)?;
            }
            if self.lists(ScoreOutput::TopShare) {
                writer.write_field(word(top[row]))?;
            }
            if self.lists(ScoreOutput::YesNo) {
                writer.write_field(word(yes[row]))?;
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
        let numbers = self.numbers();
        let words =
            self.words().map(|output| (output.name(), if output == ScoreOutput::Decile { DataType::UInt8 } else { DataType::Boolean }));
        let texts = |name: &str| Field::new(name, DataType::Utf8, false);
        let fields = self.id_names.iter().map(|name| texts(name));
        let fields = fields.chain(numbers.iter().map(|(name, _)| Field::new(name, DataType::Float64, false)));
        let fields = fields.chain(words.map(|(name, kind)| Field::new(name, kind, false))).chain([texts("model")]);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(failed)?;
        for start in (0..self.ids.len()).step_by(BATCH) {
            let rows = start..self.ids.len().min(start + BATCH);
            let (ids, joint) = (&self.ids[rows.clone()], &self.scored.joint[rows.clone()]);
            let Decisions { deciles, top, yes } = &*self.decisions;
            let booleans = |column: &[bool]| -> ArrayRef { Arc::new(column.iter().copied().map(Some).collect::<BooleanArray>()) };
            let mut arrays: Vec<ArrayRef> = Vec::new();
            for part in 0..self.id_names.len() {
                let texts = ids.iter().map(|id| self.parts(id).nth(part).unwrap_or_default());
                arrays.push(Arc::new(StringArray::from_iter_values(texts)));
            }
            for (_, numbers) in &numbers {
                arrays.push(Arc::new(Float64Array::from_iter_values(numbers[rows.clone()].iter().copied())));
            }
            if self.lists(ScoreOutput::Decile) {
                arrays.push(Arc::new(UInt8Array::from_iter_values(deciles[rows.clone()].iter().copied())));
            }
            if self.lists(ScoreOutput::TopShare) {
                arrays.push(booleans(&top[rows.clone()]));
            }
            if self.lists(ScoreOutput::YesNo) {
                arrays.push(booleans(&yes[rows.clone()]));
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
