//! Collects what is wrong with a file's rows and words it once: counts, column, first row, never an id or a cell's text.

use super::ids::IdKind;
use super::targets::LabelKind;
use super::wording::{counted, grouped, shown};
use crate::error::{Exit, Failure};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A reason to refuse a row. The order is the order of the message: the first kind found leads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    InvalidUtf8,
    Ragged,
    EmptyId,
    IdNotOfKind,
    IdNotWhole,
    DuplicateId,
    Label,
    Split,
    NotNumber,
    NumberSpelling,
    NotFinite,
    TooLarge,
    LossyNumber,
    LongCell,
    NulByte,
    ManyLevels,
}

/// Which file a row is from: the names of the files and how many rows were read before each.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    files: Vec<(String, u64)>,
}

impl Places {
    /// A further file begins after this many rows.
    pub(super) fn begin(&mut self, name: &str, rows: u64) {
        self.files.push((name.to_owned(), rows));
    }

    /// The file of a row counted from 1 over all files, and the row counted from 1 in it.
    pub(super) fn locate(&self, row: u64) -> (&str, u64) {
        let file = self.files.iter().rev().find(|(_, before)| *before < row).or(self.files.first());
        file.map_or(("", row), |(name, before)| (name.as_str(), row - before))
    }

    /// `row 7`, with its file where there are several.
    pub(super) fn row(&self, row: u64) -> String {
        let (file, row) = self.locate(row);
        let words = format!("row {}", grouped(row));
        if self.files.len() > 1 { format!("{words} of {file}") } else { words }
    }
}

struct Tally {
    count: u64,
    first: u64,
    detail: Option<String>,
}

/// What was refused so far, by reason and column.
#[derive(Default)]
pub(super) struct Refusals {
    tallies: BTreeMap<(Reason, usize), Tally>,
}

impl Refusals {
    /// Notes a refused cell at a data row counted from 1.
    pub(super) fn note(&mut self, reason: Reason, column: usize, row: u64) {
        self.note_with(reason, column, row, || None);
    }

    /// As [`Self::note`], with words about the first case only.
    pub(super) fn note_with(&mut self, reason: Reason, column: usize, row: u64, detail: impl FnOnce() -> Option<String>) {
        let tally = self.tallies.entry((reason, column)).or_insert_with(|| Tally { count: 0, first: row, detail: detail() });
        tally.count += 1;
    }

    /// Notes so many cells at once, with the first of them.
    pub(super) fn note_many(&mut self, reason: Reason, column: usize, count: u64, first: u64) {
        if count > 0 {
            let tally = self.tallies.entry((reason, column)).or_insert_with(|| Tally { count: 0, first, detail: None });
            tally.count += count;
        }
    }

    /// Adds what another part of the reading noted.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, theirs) in other.tallies {
            match self.tallies.entry(key) {
                Entry::Vacant(place) => drop(place.insert(theirs)),
                Entry::Occupied(mut place) => {
                    let count = place.get().count + theirs.count;
                    if theirs.first < place.get().first {
                        place.insert(theirs);
                    }
                    place.get_mut().count = count;
                }
            }
        }
    }

    /// What was noted, each reason with its number, words and place.
    pub(super) fn stories(&self, about: &About<'_>) -> Vec<Story> {
        let mut reasons: Vec<Reason> = self.tallies.keys().map(|(reason, _)| *reason).collect();
        reasons.dedup();
        reasons.iter().map(|reason| self.story(*reason, about)).collect()
    }

    /// One failure for everything noted; None when nothing was.
    pub(super) fn failure(&self, about: &About<'_>) -> Option<Failure> {
        let stories = self.stories(about);
        let (first, others) = stories.split_first()?;
        let mut what = first.what.clone();
        for other in others {
            let place = if about.places.files.len() > 1 { format!("{}, {}", other.file, other.place) } else { other.place.clone() };
            what.push_str(&format!("; also {} ({place})", other.what));
        }
        Some(Failure::new(Exit::Data, first.number, what).at(format!("{}, {}", first.file, first.place)).hint(first.remedy.clone()))
    }

    /// What happened and where, for one reason.
    fn story(&self, reason: Reason, about: &About<'_>) -> Story {
        let columns: Vec<(usize, &Tally)> =
            self.tallies.iter().filter(|((r, _), _)| *r == reason).map(|((_, column), tally)| (*column, tally)).collect();
        let total = columns.iter().map(|(_, tally)| tally.count).sum();
        let mut what = reason.counted(total, about);
        if columns.len() > 1 {
            let name = |column: usize| about.header.get(column).map_or_else(String::new, |name| shown(name));
            let mut list: Vec<String> =
                columns.iter().take(5).map(|(column, tally)| format!("{} ({})", name(*column), grouped(tally.count))).collect();
            if columns.len() > list.len() {
                list.push("…".to_owned());
            }
            what.push_str(&format!(", in {} columns: {}", columns.len(), list.join(", ")));
        }
        let (mut file, mut place, mut column_name) = (String::new(), String::new(), "NAME");
        if let Some((column, first)) = columns.iter().min_by_key(|(column, tally)| (tally.first, *column)) {
            let (name, row) = about.places.locate(first.first);
            file = name.to_owned();
            let row = format!("first at row {}", grouped(row));
            place = match about.header.get(*column) {
                Some(name) => {
                    column_name = name;
                    format!("column {}, {row}", shown(name))
                }
                None => row,
            };
            if let Some(detail) = &first.detail {
                place.push_str(&format!(" ({detail})"));
            }
        }
        Story { number: reason.number(), what, file, place, remedy: reason.remedy(about, column_name) }
    }
}

/// What the words about refusals need to know.
pub(super) struct About<'a> {
    pub header: &'a [String],
    pub rows: u64,
    pub kind: IdKind,
    pub label: LabelKind,
    pub places: &'a Places,
}

/// One reason in words.
pub(super) struct Story {
    pub number: u16,
    pub what: String,
    pub file: String,
    pub place: String,
    pub remedy: String,
}

impl Reason {
    fn number(self) -> u16 {
        match self {
            Self::InvalidUtf8 => 302,
            Self::Ragged => 310,
            Self::EmptyId => 313,
            Self::IdNotOfKind => 314,
            Self::DuplicateId => 315,
            Self::NumberSpelling => 316,
            Self::NotNumber => 317,
            Self::NotFinite => 318,
            Self::TooLarge => 319,
            Self::Label => 320,
            Self::Split => 321,
            Self::LossyNumber => 325,
            Self::LongCell => 326,
            Self::NulByte => 327,
            Self::ManyLevels => 328,
            Self::IdNotWhole => 329,
        }
    }

    fn counted(self, count: u64, about: &About<'_>) -> String {
        let (rows, kind) = (about.rows, about.kind);
        let of_rows = |one: &str, many: &str| format!("{} of {} {}", grouped(count), grouped(rows), if count == 1 { one } else { many });
        match self {
            Self::InvalidUtf8 => counted(count, "cell is not valid UTF-8", "cells are not valid UTF-8"),
            Self::Ragged => of_rows("rows has not as many fields as the header", "rows have not as many fields as the header"),
            Self::EmptyId => of_rows("ids is empty", "ids are empty"),
            Self::IdNotOfKind => {
                let tail = format!("of kind {kind} ({})", kind.form());
                of_rows(&format!("ids is not {tail}"), &format!("ids are not {tail}"))
            }
            Self::DuplicateId => of_rows("rows repeats the id of an earlier row", "rows repeat the id of an earlier row"),
            Self::Label => {
                let form = about.label.form();
                of_rows(&format!("labels is not {form}"), &format!("labels are not {form}"))
            }
            Self::Split => of_rows("rows is marked neither train nor test", "rows are marked neither train nor test"),
            Self::IdNotWhole => of_rows("ids is not a whole number", "ids are not whole numbers"),
            Self::NotNumber => counted(count, "cell is not a number", "cells are not numbers"),
            Self::NumberSpelling => counted(count, "cell is a number in another spelling", "cells are numbers in another spelling"),
            Self::NotFinite => counted(count, "cell is infinite", "cells are infinite"),
            Self::TooLarge => counted(count, "cell is beyond ±1e100", "cells are beyond ±1e100"),
            Self::LossyNumber => counted(count, "number has more digits than a float holds", "numbers have more digits than a float holds"),
            Self::LongCell => counted(count, "cell is longer than 32,768 bytes", "cells are longer than 32,768 bytes"),
            Self::NulByte => counted(count, "cell holds a NUL byte", "cells hold NUL bytes"),
            Self::ManyLevels => counted(count, "text column has", "text columns have") + " more different values than are kept",
        }
    }

    fn remedy(self, about: &About<'_>, column: &str) -> String {
        let kind = about.kind;
        // A key of TOML in quotes; a name that needs more is named in general.
        let plain = column.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.')) && column.chars().count() <= 60;
        let column = if plain { format!("\"{column}\"") } else { "NAME".to_owned() };
        match self {
            Self::InvalidUtf8 => "save the file as UTF-8".into(),
            Self::Ragged => "write the file again: a row may have been cut off, or a delimiter may lack its quotes".into(),
            Self::EmptyId => "drop the rows without an id".into(),
            Self::IdNotOfKind if kind == IdKind::Opaque => "correct these ids or drop their rows".into(),
            Self::IdNotOfKind if kind.parts().contains(&IdKind::Phone) => {
                "correct these ids, drop their rows, state another id_kind, or set region = \"…\" in [private] for national numbers".into()
            }
            Self::IdNotOfKind => "correct these ids, drop their rows, or state another id_kind".into(),
            Self::IdNotWhole => "write the id column as text".into(),
            Self::DuplicateId => "keep one row for each id; ids are compared in canonical form".into(),
            Self::Label => format!("write each label as {}, or name another label column or task", about.label.form()),
            Self::Split => "write `train` or `test` in every row".into(),
            Self::NotNumber => format!(
                "correct them; or say what they mean: [private.columns.{column}] missing = [\"…\"] for no value, type = \"text\" for \
                 categories; or exclude the column"
            ),
            Self::NumberSpelling => format!(
                "write numbers with a decimal point and nothing else (1234.5), or set [private.columns.{column}] type = \"text\" if these \
                 are categories"
            ),
            Self::NotFinite => "correct these values, or exclude the column".into(),
            Self::TooLarge => "correct these values, rescale the column, or exclude it".into(),
            Self::LossyNumber => {
                format!("exclude the column, write it as a float, or set [private.columns.{column}] type = \"text\" if it is a code")
            }
            Self::LongCell => "exclude the column: it is no category".into(),
            Self::NulByte => "write the file again as UTF-8 text, or exclude the column".into(),
            Self::ManyLevels => "exclude the column: an id or free text is no category".into(),
        }
    }
}
