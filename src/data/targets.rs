//! The owner's label and split columns being read.

use super::Split;
use super::cells::{Cell, Missing, Number, number, typed};
use super::ids::is_blank;
use super::refusals::{Reason, Refusals};
use super::rows::Batch;

/// The 0/1 label.
pub(super) struct Label {
    /// Its place in the header.
    pub column: usize,
    pub values: Vec<bool>,
    pub refusals: Refusals,
}

impl Label {
    pub(super) fn new(column: usize) -> Self {
        Self { column, values: Vec::new(), refusals: Refusals::default() }
    }

    /// Takes a batch whose first row is `first`; `place` is the column's place in this file.
    pub(super) fn take(&mut self, batch: &Batch, place: usize, first: u64) {
        let (mut row, none) = (first, Missing::default());
        batch.each(place, |cell| {
            let value = match cell {
                Cell::Text(text) => number(text, &none),
                Cell::Whole(value) => typed(value as f64, &none),
                Cell::Real(value) => typed(value, &none),
                Cell::Invalid => Number::Refused(Reason::InvalidUtf8),
                Cell::Null | Cell::Lossy => Number::Missing,
                Cell::Absent => Number::Value(0.0),
            };
            let label = match value {
                Number::Value(value) | Number::Repaired(value) if value == 0.0 || value == 1.0 => value == 1.0,
                Number::Refused(Reason::InvalidUtf8) => {
                    self.refusals.note(Reason::InvalidUtf8, self.column, row);
                    false
                }
                _ => {
                    self.refusals.note(Reason::Label, self.column, row);
                    false
                }
            };
            self.values.push(label);
            row += 1;
        });
    }
}

/// The column of `train` and `test`.
pub(super) struct Marks {
    /// Its place in the header.
    pub column: usize,
    pub values: Vec<Split>,
    pub refusals: Refusals,
}

impl Marks {
    pub(super) fn new(column: usize) -> Self {
        Self { column, values: Vec::new(), refusals: Refusals::default() }
    }

    /// Takes a batch whose first row is `first`; `place` is the column's place in this file.
    pub(super) fn take(&mut self, batch: &Batch, place: usize, first: u64) {
        let mut row = first;
        batch.each(place, |cell| {
            let mark = match cell {
                Cell::Text(text) => match text.trim_matches(is_blank) {
                    "train" => Ok(Split::Train),
                    "test" => Ok(Split::Test),
                    _ => Err(Reason::Split),
                },
                Cell::Absent => Ok(Split::Train),
                Cell::Invalid => Err(Reason::InvalidUtf8),
                _ => Err(Reason::Split),
            };
            if let Err(reason) = mark {
                self.refusals.note(reason, self.column, row);
            }
            self.values.push(mark.unwrap_or(Split::Train));
            row += 1;
        });
    }
}
