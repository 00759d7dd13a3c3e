//! Reads one party's files into a checked [`Table`]: rows proved complete, ids canonical, every cell a number or a category.
//!
//! Everything here happens before the first network byte. What cannot be trusted is refused with exit code 13, with counts, the
//! column and the first row, never with an id or a cell's text. Ids leave this room only for the matching; training sees rows.
//! What is read, repaired and refused: docs/DATA.md.
//!
//! - [`read_table`]: CSV or Parquet, one file, several by a pattern or standard input, into a [`Table`]
//! - [`draw_split`]: train and test rows by a keyed hash of the id
//! - [`canonical_id`]: the published id forms · [`column_auc`]: the leak check's figure
//! - [`intersection`]: the common ids of two files, for trials where one person holds both

mod cells;
mod check;
mod csv_file;
mod dialect;
mod feature;
mod fingerprint;
mod id_column;
pub mod ids;
mod intersection;
mod leaks;
mod levels;
mod lines;
mod lock;
mod parquet_file;
mod quality;
mod read;
mod refusals;
mod roles;
mod rows;
mod source;
mod split;
mod targets;
#[cfg(test)]
mod tests;
mod wish;
pub mod wording;

pub use check::{Page, check};
pub use dialect::Dialect;
pub use ids::{CanonicalId, IdKind, IdProblem, Region, canonical_id};
pub use intersection::{Intersection, intersection, intersection_sha256};
pub use leaks::{LEAK_AUC, column_auc, values_auc};
pub use lock::{LOCK_SCHEMA, Lock};
pub use quality::{EXTREME_Z, Warning};
pub use read::read_table;
pub use source::{Format, STANDARD_INPUT};
pub use split::{Split, draw_split};
pub use targets::LabelKind;
pub use wish::{ColumnKind, ColumnWish, Encode, Impute, Wishes};

use crate::error::{Exit, Failure};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Which of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The label holder.
    Owner,
    /// The counterparty.
    Partner,
}

impl Side {
    /// `owner` or `partner`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Partner => "partner",
        }
    }

    /// The other party.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Owner => Self::Partner,
            Self::Partner => Self::Owner,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which file to read and what its columns are. Every column not named here is a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    /// The file, CSV or Parquet; a pattern such as `part-*.csv`; or `-` for standard input.
    pub path: PathBuf,
    /// The id column.
    pub id: String,
    /// Further id columns of a composite id, in the order of its parts.
    pub more_ids: Vec<String>,
    /// How ids are spelt.
    pub id_kind: IdKind,
    /// Further keys of a cascade: kind and columns of each. Then cells of any key may be empty.
    pub more_keys: Vec<(IdKind, Vec<String>)>,
    /// The owner's label column; of several the last one.
    pub label: Option<String>,
    /// Label columns before it, in the order of the job.
    pub earlier_labels: Vec<String>,
    /// Which cells the labels may have.
    pub label_kind: LabelKind,
    /// The owner's column by whose values figures are split; a feature too unless it is excluded.
    pub channel: Option<String>,
    /// The owner's column of `train` and `test`.
    pub split: Option<String>,
    /// Columns to leave out. One that the file lacks is a warning.
    pub exclude: Vec<String>,
    /// Owner's columns that may predict the label alone, because a person said so.
    pub allow_leaky: Vec<String>,
    /// Only the ids are read and checked: for a job that measures the overlap.
    pub ids_only: bool,
    /// What was asked of single columns.
    pub wishes: Wishes,
    /// Read these features and no others; no label is needed. For scoring with a stored model.
    pub only: Option<BTreeSet<String>>,
    /// Rows without a usable id are left out and listed in [`Table::skipped`], instead of refusing the file.
    pub skip_invalid_ids: bool,
    /// The region whose national phone numbers are completed, such as `DE`.
    pub region: Option<String>,
    /// Most bytes that the table may hold in memory.
    pub max_memory: Option<u64>,
    /// A lock of `data check`: other data are refused.
    pub lock: Option<PathBuf>,
}

impl TableSpec {
    /// A file and its id column; ids opaque, every other column a feature.
    pub fn new(path: impl Into<PathBuf>, id: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            id: id.into(),
            id_kind: IdKind::Opaque,
            more_keys: Vec::new(),
            label: None,
            earlier_labels: Vec::new(),
            label_kind: LabelKind::YesNo,
            channel: None,
            split: None,
            exclude: Vec::new(),
            allow_leaky: Vec::new(),
            ids_only: false,
            wishes: Wishes::new(),
            only: None,
            skip_invalid_ids: false,
            more_ids: Vec::new(),
            region: None,
            max_memory: None,
            lock: None,
        }
    }

    /// The id columns, one for each part of the id kind.
    pub fn id_columns(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.id).filter(|id| !id.is_empty()).chain(&self.more_ids)
    }

    /// All label columns in the order of the job.
    pub fn labels(&self) -> impl Iterator<Item = &String> {
        self.earlier_labels.iter().chain(&self.label)
    }

    /// The columns of all keys, key after key.
    pub fn key_columns(&self) -> impl Iterator<Item = &String> {
        self.id_columns().chain(self.more_keys.iter().flat_map(|(_, columns)| columns))
    }

    /// Refuses settings that contradict each other or the side.
    fn check(&self, side: Side) -> Result<(), Failure> {
        self.check_side(side, true)
    }

    /// As [`Self::check`]; a first look (not `whole`) may come without a label and without an id column.
    fn check_side(&self, side: Side, whole: bool) -> Result<(), Failure> {
        let usage = |what: String| Err(Failure::new(Exit::Usage, 340, what));
        match side {
            Side::Owner if whole && self.label.is_none() && !self.ids_only && self.only.is_none() => {
                return usage("the owner's file needs a label column".into());
            }
            Side::Partner if self.label.is_some() => return usage("only the owner's file has a label column".into()),
            Side::Partner if self.split.is_some() => return usage("only the owner's file has a split column".into()),
            _ => {}
        }
        let (columns, parts) = (self.id_columns().count(), self.id_kind.parts().len());
        if columns != parts && (whole || columns > 0) {
            let columns = wording::counted(columns as u64, "id column is", "id columns are");
            return usage(format!("id kind {} needs one column for each of its {parts} parts, {columns} named", self.id_kind));
        }
        self.check_roles()
    }

    /// Refuses a column with two roles.
    fn check_roles(&self) -> Result<(), Failure> {
        let usage = |what: String| Err(Failure::new(Exit::Usage, 340, what));
        let ids = self.key_columns().map(|id| Some(("id", id)));
        let roles = ids.chain(self.labels().map(|l| Some(("label", l)))).chain([self.split.as_ref().map(|s| ("split", s))]);
        let roles: Vec<(&str, &String)> = roles.flatten().collect();
        for (i, (role, name)) in roles.iter().enumerate() {
            if let Some((other, _)) = roles[..i].iter().find(|(_, earlier)| earlier == name) {
                return usage(format!("column {} is named as both {other} and {role}", wording::shown(name)));
            }
            if self.exclude.contains(name) {
                return usage(format!("column {} is named as {role} and excluded", wording::shown(name)));
            }
        }
        Ok(())
    }
}

/// One feature as the file has it, before any recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// Its values, row by row.
    pub values: Values,
}

/// The values of one column, row by row.
#[derive(Clone, PartialEq)]
pub enum Values {
    /// Numbers: NaN where the cell is missing, otherwise finite, no negative zero.
    Number(Vec<f64>),
    /// Categories: for each row a position in `levels`, or [`MISSING`].
    Text {
        /// One for each row.
        codes: Vec<u32>,
        /// The distinct texts, trimmed, in the order of their first row.
        levels: Vec<String>,
    },
}

/// The code of a missing cell in [`Values::Text`].
pub const MISSING: u32 = u32::MAX;

impl Values {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Number(values) => values.len(),
            Self::Text { codes, .. } => codes.len(),
        }
    }

    /// The numbers of a numeric column.
    #[must_use]
    pub fn numbers(&self) -> Option<&[f64]> {
        match self {
            Self::Number(values) => Some(values),
            Self::Text { .. } => None,
        }
    }
}

impl fmt::Debug for Values {
    /// Kind and size only: cells are never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(values) => write!(f, "Number({} rows)", values.len()),
            Self::Text { codes, levels } => write!(f, "Text({} rows, {} levels)", codes.len(), levels.len()),
        }
    }
}

/// What was counted while reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Data rows of all files, found twice: by the reader and by an own count of the CSV records, or by a Parquet file's footer.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Ids whose ends were cut.
    pub ids_trimmed: u64,
    /// Ids changed inside: case, width, separators.
    pub ids_rewritten: u64,
    /// Ids trimmed, rewritten or both.
    pub ids_repaired: u64,
    /// Ids that were written as floats and are whole numbers now.
    pub ids_from_floats: u64,
    /// Cells of features without a value.
    pub missing_cells: u64,
    /// Numbers written with full-width digits or the like.
    pub numbers_repaired: u64,
    /// A file began with a UTF-8 byte-order mark.
    pub byte_order_mark: bool,
    /// Lines ended by CRLF.
    pub crlf_lines: u64,
    /// Blank lines after the last row.
    pub trailing_blank_lines: u64,
}

/// One file of a table, read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRead {
    /// As it was named.
    pub name: String,
    /// What it is and how it is written.
    pub format: Format,
    /// Its data rows, proved.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The last line has no line end.
    pub(in crate::data) unterminated: bool,
    /// Rows over several lines, and the record of the first.
    pub(in crate::data) multi_line: Option<(u64, u64)>,
}

impl fmt::Display for FileRead {
    /// One line for a person: what was detected.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = wording::counted(self.rows, "row", "rows");
        match self.format {
            Format::Csv(dialect) => write!(f, "{}: CSV, {dialect}, {rows}", self.name),
            Format::Parquet => write!(f, "{}: Parquet, {rows}", self.name),
        }
    }
}

/// One party's data: refused or complete. `Debug` shows sizes only.
#[derive(Clone)]
pub struct Table {
    /// Canonical ids, all different, in the file's order; in a cascade all keys of a row joined by U+001F.
    pub ids: Vec<String>,
    /// In a cascade each key's canonical ids, row by row: empty where a row has none, else all different. None without one.
    pub keys: Vec<Vec<String>>,
    /// Features in the file's order.
    pub columns: Vec<Column>,
    /// The last label of every row as yes or no, for the owner: [`LabelKind::classes`].
    pub label: Option<Vec<bool>>,
    /// All labels in the job's order, row by row, for the owner.
    pub labels: Vec<Vec<f64>>,
    /// The column by whose values figures are split, where one is asked for.
    pub channel: Option<Column>,
    /// Train or test of every row, where the file says so.
    pub split: Option<Vec<Split>>,
    /// What a person should look at.
    pub warnings: Vec<Warning>,
    /// What was counted while reading.
    pub counts: ReadCounts,
    /// Rows left out for want of a usable id, in the file's order: the data row counted from 1, and why.
    pub skipped: Vec<(u64, IdProblem)>,
    /// The files it came from, in order, each with its proved rows.
    pub files: Vec<FileRead>,
}

impl Table {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Names of the features in order.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} rows, {} columns)", self.rows(), self.columns.len())
    }
}
