//! `data check`: one look at a party's files before any job: what was detected, every column, every class of defect, with counts.
//!
//! Unlike [`super::read_table`] it goes on after a refusal and tells all of them. Of the cells it shows counts and, for columns of
//! numbers, smallest, mean and largest value; no id, no text of a cell.

mod page;

use super::id_column::IdCounts;
use super::ids::Repair;
use super::leaks::{found_leaks, refuse_leaks};
use super::lock::Lock;
use super::read::{Read, check_label, missing_cells, read};
use super::refusals::About;
use super::roles::Role;
use super::source::inputs;
use super::targets::LabelKind;
use super::wording::counted;
use super::{Column, FileRead, Format, MISSING, Side, Split, TableSpec, Values};
use crate::error::{Exit, Failure};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Different numbers of a column are counted up to this many.
const MOST_DISTINCT: usize = 10_000;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    schema: &'static str,
    /// Data rows, proved.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Every file with what was detected.
    pub files: Vec<FileLine>,
    byte_order_mark: bool,
    crlf_lines: u64,
    trailing_blank_lines: u64,
    missing_cells: u64,
    numbers_repaired: u64,
    /// Every column in the header's order.
    pub columns: Vec<ColumnLine>,
    /// The ids, where an id column was named.
    pub ids: Option<IdLine>,
    /// The label, where one was named.
    pub label: Option<LabelLine>,
    /// Features that predict the label alone, with their AUC.
    pub leaks: Vec<(String, f64)>,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// Every reason to refuse the data.
    pub refused: Vec<Finding>,
    /// Hashes and counts to hold later data against.
    #[serde(skip)]
    pub lock: Lock,
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct FileLine {
    /// As it was named.
    pub name: String,
    /// `CSV` or `Parquet`.
    pub format: &'static str,
    /// CSV: comma, semicolon, tab or bar.
    pub delimiter: Option<&'static str>,
    /// CSV: the quote, where any field is quoted.
    pub quote: Option<char>,
    /// Data rows, proved.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// One column.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnLine {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: &'static str,
    /// `number` or `text`, for features.
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    /// Cells without a value.
    pub missing: u64,
    /// Different values, at most 10,001 of numbers.
    pub distinct: u64,
    /// One value in all rows.
    pub constant: bool,
    /// Of the numbers there are.
    pub min: Option<f64>,
    /// Of the numbers there are.
    pub mean: Option<f64>,
    /// Of the numbers there are.
    pub max: Option<f64>,
}

/// The ids.
#[derive(Clone, Debug, Serialize)]
pub struct IdLine {
    /// The id kind.
    pub kind: &'static str,
    /// Ids with a canonical form.
    pub accepted: u64,
    /// Ids that were respelt.
    pub repaired: u64,
    /// By class of repair.
    pub repairs: BTreeMap<&'static str, u64>,
    /// Whole numbers that were written as floats.
    pub from_floats: u64,
    /// Ids without a canonical form, by class of defect.
    pub defects: BTreeMap<&'static str, u64>,
    /// Rows whose id an earlier row has.
    pub duplicates: u64,
    /// Phone numbers with a country code that is assigned to nobody.
    pub unassigned_country: u64,
}

/// The label.
#[derive(Clone, Debug, Serialize)]
pub struct LabelLine {
    /// What a positive is, in words.
    #[serde(skip)]
    pub words: &'static str,
    /// Rows with label 1; of another kind of label above 0, of any number above the mean.
    pub positives: u64,
    /// Training rows and those of them with label 1, where the file says which they are.
    pub train: Option<(u64, u64)>,
    /// Test rows and those of them with label 1.
    pub test: Option<(u64, u64)>,
}

/// One reason to refuse the data.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Number of the message.
    pub number: u16,
    /// What, with counts.
    pub what: String,
    /// Where.
    pub place: String,
    /// What to do.
    pub remedy: String,
}

/// Reads the files to their end and tells everything. Without an id column only the columns are looked at.
///
/// # Errors
/// Exit code 13 where the files cannot be read to their end (no rows, cut off, no such column, …), 17 over `max_memory`, 2 for
/// settings that contradict each other. What is wrong with rows and cells is on the page: see [`Page::failure`].
pub fn check(spec: &TableSpec, side: Side) -> Result<Page, Failure> {
    spec.check_side(side, false)?;
    let inputs = inputs(&spec.path)?;
    let hashes: Vec<String> = inputs.iter().map(super::source::Input::sha256).collect::<Result<_, _>>()?;
    let read = read(spec, &inputs)?;
    let about =
        About { header: &read.header, rows: read.table.counts.rows, kind: spec.id_kind, label: spec.label_kind, places: &read.places };
    let mut refused: Vec<Finding> = read
        .refusals
        .stories(&about)
        .into_iter()
        .map(|story| Finding {
            number: story.number,
            what: story.what,
            place: if story.place.is_empty() { story.file } else { format!("{}, {}", story.file, story.place) },
            remedy: story.remedy,
        })
        .collect();
    let leaks = found_leaks(&read.table, spec);
    for failure in [check_label(&read.table, spec), refuse_leaks(&leaks, spec)].into_iter().filter_map(Result::err) {
        let (place, remedy) = (failure.place.unwrap_or_default(), failure.remedy.unwrap_or_default());
        refused.push(Finding { number: failure.id, what: failure.what, place, remedy });
    }
    let (table, counts) = (&read.table, read.table.counts);
    let lock = Lock::new(spec, &read, &hashes);
    Ok(Page {
        schema: "colift.data-check/1",
        rows: counts.rows,
        bytes: counts.bytes,
        files: table.files.iter().zip(&hashes).map(|(file, hash)| file_line(file, hash)).collect(),
        byte_order_mark: counts.byte_order_mark,
        crlf_lines: counts.crlf_lines,
        trailing_blank_lines: counts.trailing_blank_lines,
        missing_cells: counts.missing_cells,
        numbers_repaired: counts.numbers_repaired,
        columns: column_lines(&read),
        ids: read.roles.contains(&Role::Id(0)).then(|| id_line(spec, &read.ids, &table.ids)),
        label: table.label.as_ref().map(|label| label_line(spec.label_kind, label, table.split.as_deref())),
        leaks: leaks.into_iter().map(|(name, auc)| (name.to_owned(), auc)).collect(),
        warnings: table.warnings.iter().map(ToString::to_string).collect(),
        refused,
        lock,
    })
}

impl Page {
    /// The failure to end with, where anything is refused.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let first = self.refused.first()?;
        let reasons = counted(self.refused.len() as u64, "reason", "reasons");
        Some(
            Failure::new(Exit::Data, 338, format!("the data are refused for {reasons}: {}", first.what))
                .at(&first.place)
                .hint(&first.remedy),
        )
    }

    /// The page as one line of JSON.
    ///
    /// # Errors
    /// Internal, when it cannot be written as JSON.
    pub fn to_json_line(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::new(Exit::Internal, 343, format!("the page cannot be written: {error}")))
    }
}

fn file_line(file: &FileRead, sha256: &str) -> FileLine {
    let (delimiter, quote) = match file.format {
        Format::Csv(dialect) => (Some(dialect.delimiter_name()), dialect.quoted.then_some(char::from(dialect.quote))),
        Format::Parquet => (None, None),
    };
    let (name, sha256) = (file.name.clone(), sha256.to_owned());
    FileLine { name, format: file.format.name(), delimiter, quote, rows: file.rows, bytes: file.bytes, sha256 }
}

fn column_lines(read: &Read) -> Vec<ColumnLine> {
    let found: BTreeMap<&str, &Column> = read.table.columns.iter().map(|column| (column.name.as_str(), column)).collect();
    let lines = read.header.par_iter().zip(&read.roles).map(|(name, role)| {
        let mut line = ColumnLine {
            name: name.clone(),
            role: role.name(),
            kind: None,
            missing: 0,
            distinct: 0,
            constant: false,
            min: None,
            mean: None,
            max: None,
        };
        if let Some(column) = found.get(name.as_str()) {
            look(&mut line, &column.values);
        }
        line
    });
    lines.collect()
}

fn look(line: &mut ColumnLine, values: &Values) {
    line.missing = missing_cells(values);
    match values {
        Values::Number(values) => {
            line.kind = Some("number");
            let mut different = HashSet::new();
            let (mut count, mut sum, mut low, mut high) = (0u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
            for value in values.iter().filter(|value| !value.is_nan()) {
                (count, sum, low, high) = (count + 1, sum + value, low.min(*value), high.max(*value));
                if different.len() <= MOST_DISTINCT {
                    different.insert(value.to_bits());
                }
            }
            line.distinct = different.len() as u64;
            if count > 0 {
                (line.min, line.mean, line.max) = (Some(low), Some(sum / count as f64), Some(high));
            }
        }
        Values::Text { codes, levels } => {
            line.kind = Some("text");
            // A level of a refused row may be counted nowhere.
            let used: HashSet<u32> = codes.iter().copied().filter(|code| *code != MISSING).collect();
            line.distinct = used.len().min(levels.len()) as u64;
        }
    }
    line.constant = line.missing == 0 && line.distinct == 1;
}

fn id_line(spec: &TableSpec, counts: &IdCounts, ids: &[String]) -> IdLine {
    let repairs = Repair::ALL.iter().zip(counts.repairs).filter(|(_, count)| *count > 0);
    IdLine {
        kind: spec.id_kind.name(),
        accepted: ids.iter().filter(|id| !id.is_empty()).count() as u64,
        repaired: counts.repaired,
        repairs: repairs.map(|(repair, count)| (repair.name(), count)).collect(),
        from_floats: counts.floats,
        defects: counts.defects.clone(),
        duplicates: counts.duplicates,
        unassigned_country: counts.unassigned.map_or(0, |(count, _)| count),
    }
}

fn label_line(kind: LabelKind, label: &[bool], split: Option<&[Split]>) -> LabelLine {
    let of = |wanted: Split| {
        let rows = split?.iter().zip(label).filter(|(mark, _)| **mark == wanted);
        let (mut all, mut positive) = (0, 0);
        for (_, label) in rows {
            (all, positive) = (all + 1, positive + u64::from(*label));
        }
        Some((all, positive))
    };
    let words = match kind {
        LabelKind::YesNo => "are 1",
        LabelKind::Number => "are above the mean",
        LabelKind::Count | LabelKind::Amount => "are above 0",
    };
    LabelLine { words, positives: label.iter().filter(|label| **label).count() as u64, train: of(Split::Train), test: of(Split::Test) }
}
