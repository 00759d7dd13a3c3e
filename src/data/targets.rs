//! The owner's label and split columns being read, and which cells a label may have.

use super::Split;
use super::cells::{Cell, Missing, Number, number, typed};
use super::ids::is_blank;
use super::refusals::{Reason, Refusals};
use super::rows::Batch;

/// Which cells a label column may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelKind {
    /// 0 or 1.
    #[default]
    YesNo,
    /// Any number.
    Number,
    /// A whole number from 0 on.
    Count,
    /// A number from 0 on: 0 for who does not pay.
    Amount,
}

impl LabelKind {
    /// What each cell must be, in words.
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::YesNo => "0 or 1",
            Self::Number => "a number",
            Self::Count => "a whole number from 0 on",
            Self::Amount => "a number from 0 on",
        }
    }

    fn fits(self, value: f64) -> bool {
        match self {
            Self::YesNo => value == 0.0 || value == 1.0,
            Self::Number => true,
            Self::Count => value >= 0.0 && value.fract() == 0.0,
            Self::Amount => value >= 0.0,
        }
    }

    /// The label as yes or no, for what needs two classes: a number above the mean, any other label above 0.
    #[must_use]
    pub fn classes(self, values: &[f64]) -> Vec<bool> {
        let cut = if self == Self::Number { values.iter().sum::<f64>() / values.len().max(1) as f64 } else { 0.0 };
        values.iter().map(|value| *value > cut).collect()
    }
}

/// A label column.
pub(super) struct Label {
    /// Its place in the header.
    pub column: usize,
    pub kind: LabelKind,
    pub values: Vec<f64>,
    pub refusals: Refusals,
}

impl Label {
    pub(super) fn new(column: usize, kind: LabelKind) -> Self {
        Self { column, kind, values: Vec::new(), refusals: Refusals::default() }
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
                Number::Value(value) | Number::Repaired(value) if self.kind.fits(value) => value,
                Number::Refused(Reason::InvalidUtf8) => {
                    self.refusals.note(Reason::InvalidUtf8, self.column, row);
                    0.0
                }
                _ => {
                    self.refusals.note(Reason::Label, self.column, row);
                    0.0
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
