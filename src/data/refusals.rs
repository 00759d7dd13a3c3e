//! Collects what is wrong with a file's rows and words it once: counts, column, first row, never an id or a cell's text.

use super::ids::IdKind;
use super::wording::{counted, grouped, shown};
use crate::error::{Exit, Failure};
use std::collections::BTreeMap;

/// A reason to refuse a row. The order is the order of the message: the first kind found leads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    InvalidUtf8,
    Ragged,
    EmptyId,
    IdNotOfKind,
    DuplicateId,
    Label,
    Split,
    EmptyCell,
    NotNumber,
    NotFinite,
    TooLarge,
}

/// Cells beyond this size have squares that no longer add up in floating point.
pub(super) const LARGEST_VALUE: f64 = 1e100;

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

    /// One failure for everything noted; None when nothing was.
    pub(super) fn into_failure(self, file: &str, header: &[String], rows: u64, kind: IdKind) -> Option<Failure> {
        let mut reasons: Vec<Reason> = self.tallies.keys().map(|(reason, _)| *reason).collect();
        reasons.dedup();
        let mut stories = reasons.iter().map(|reason| self.story(*reason, header, rows, kind));
        let (mut what, place) = stories.next()?;
        for (other, place) in stories {
            what.push_str(&format!("; also {other} ({place})"));
        }
        let lead = *reasons.first()?;
        Some(Failure::new(Exit::Data, lead.number(), what).at(format!("{file}, {place}")).hint(lead.remedy(kind)))
    }

    /// What happened and where, for one reason.
    fn story(&self, reason: Reason, header: &[String], rows: u64, kind: IdKind) -> (String, String) {
        let columns: Vec<(usize, &Tally)> =
            self.tallies.iter().filter(|((r, _), _)| *r == reason).map(|((_, column), tally)| (*column, tally)).collect();
        let total = columns.iter().map(|(_, tally)| tally.count).sum();
        let mut what = reason.counted(total, rows, kind);
        if columns.len() > 1 {
            let name = |column: usize| header.get(column).map_or_else(String::new, |name| shown(name));
            let mut list: Vec<String> =
                columns.iter().take(5).map(|(column, tally)| format!("{} ({})", name(*column), grouped(tally.count))).collect();
            if columns.len() > list.len() {
                list.push("…".to_owned());
            }
            what.push_str(&format!(", in {} columns: {}", columns.len(), list.join(", ")));
        }
        let Some((column, first)) = columns.iter().min_by_key(|(column, tally)| (tally.first, *column)) else {
            return (what, String::new());
        };
        let mut place = match header.get(*column) {
            Some(name) => format!("column {}, first at row {}", shown(name), grouped(first.first)),
            None => format!("first at row {}", grouped(first.first)),
        };
        if let Some(detail) = &first.detail {
            place.push_str(&format!(" ({detail})"));
        }
        (what, place)
    }
}

impl Reason {
    fn number(self) -> u16 {
        match self {
            Self::InvalidUtf8 => 302,
            Self::Ragged => 310,
            Self::EmptyId => 313,
            Self::IdNotOfKind => 314,
            Self::DuplicateId => 315,
            Self::EmptyCell => 316,
            Self::NotNumber => 317,
            Self::NotFinite => 318,
            Self::TooLarge => 319,
            Self::Label => 320,
            Self::Split => 321,
        }
    }

    fn counted(self, count: u64, rows: u64, kind: IdKind) -> String {
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
            Self::Label => of_rows("labels is not 0 or 1", "labels are not 0 or 1"),
            Self::Split => of_rows("rows is marked neither train nor test", "rows are marked neither train nor test"),
            Self::EmptyCell => counted(count, "cell is empty", "cells are empty"),
            Self::NotNumber => counted(count, "cell is not a number", "cells are not numbers"),
            Self::NotFinite => counted(count, "cell is NaN or infinite", "cells are NaN or infinite"),
            Self::TooLarge => counted(count, "cell is beyond ±1e100", "cells are beyond ±1e100"),
        }
    }

    fn remedy(self, kind: IdKind) -> String {
        match self {
            Self::InvalidUtf8 => "save the file as UTF-8".into(),
            Self::Ragged => "write the file again: a row may have been cut off, or a comma may lack its quotes".into(),
            Self::EmptyId => "drop the rows without an id".into(),
            Self::IdNotOfKind if kind == IdKind::Opaque => "correct these ids or drop their rows".into(),
            Self::IdNotOfKind => "correct these ids, drop their rows, or state another id_kind".into(),
            Self::DuplicateId => "keep one row for each id; ids are compared in canonical form".into(),
            Self::Label => "write the label as 0 or 1, or name another label column".into(),
            Self::Split => "write `train` or `test` in every row".into(),
            Self::EmptyCell => "fill the missing values, or exclude the column".into(),
            Self::NotNumber => "turn the column into numbers, or exclude it; if it holds the split or the label, name it so".into(),
            Self::NotFinite => "fill these values, or exclude the column".into(),
            Self::TooLarge => "correct these values, rescale the column, or exclude it".into(),
        }
    }
}
