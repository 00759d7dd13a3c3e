//! What a person should look at but may keep: missing cells, constant columns, extreme values, repaired ids, odd line ends.

use super::wording::{counted, grouped, shown};
use super::{Column, MISSING, Values};
use rayon::prelude::*;
use std::fmt;

/// A value further from its column's mean than this many standard deviations is worth a warning.
pub const EXTREME_Z: f64 = 50.0;

/// From so many different texts on, a text column that hardly repeats any is worth a warning.
const MANY_LEVELS: usize = 50;

/// Something to look at. Displayed as one line; holds counts and column names only.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Every row has the same value.
    ConstantColumn {
        /// The column.
        column: String,
    },
    /// An excluded column that the file does not have.
    ExcludedIsAbsent {
        /// The column.
        column: String,
    },
    /// A value very far from the mean; it is clipped in training.
    ExtremeValues {
        /// The column.
        column: String,
        /// The largest distance from the mean, in standard deviations.
        largest_z: f64,
    },
    /// Ids that were respelt into the canonical form.
    IdsRepaired {
        /// Ids changed.
        count: u64,
        /// Of these, cut at the ends.
        trimmed: u64,
        /// Of these, changed inside.
        rewritten: u64,
    },
    /// Ids such as `12345.0`: a number column that passed through a floating-point type.
    IdsLookLikeDecimals {
        /// Ids of this look.
        count: u64,
    },
    /// Ids that a typed file or a whole text column gave as floats: written as whole numbers.
    IdsWereFloats {
        /// How many.
        count: u64,
    },
    /// Ids such as `1.23457E+11`: a spreadsheet has rounded them.
    IdsLookRounded {
        /// How many.
        count: u64,
        /// The first data row of them.
        first: u64,
    },
    /// Cells without a value.
    MissingCells {
        /// How many.
        cells: u64,
        /// The columns that have any, with their numbers.
        columns: Vec<(String, u64)>,
    },
    /// A column without any value.
    NoValues {
        /// The column.
        column: String,
    },
    /// In a cascade, rows without this key.
    RowsWithoutKey {
        /// The key's first column.
        column: String,
        /// How many.
        count: u64,
    },
    /// Numbers written with full-width digits or the like.
    NumbersRepaired {
        /// How many cells.
        count: u64,
    },
    /// A typed file holds numbers as text: they are read as categories.
    NumbersAsText {
        /// The column.
        column: String,
    },
    /// A text column with nearly as many different values as rows.
    ManyLevels {
        /// The column.
        column: String,
        /// Different values.
        levels: u64,
    },
    /// A column named in `[private.columns]` that the file does not have.
    WishedIsAbsent {
        /// The column.
        column: String,
    },
    /// Rows that go over several lines inside quotes.
    MultiLineRows {
        /// How many.
        count: u64,
        /// The first data row of them; 0 is the header.
        first: u64,
    },
    /// The last line has no line end: it may have been cut.
    NoFinalLineEnd,
    /// Phone numbers with a country code that is assigned to nobody.
    UnassignedCountry {
        /// How many.
        count: u64,
        /// The first data row of them.
        first: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConstantColumn { column } => write!(f, "column {} has the same value in every row", shown(column)),
            Self::ExcludedIsAbsent { column } => write!(f, "excluded column {} is not in the file", shown(column)),
            Self::ExtremeValues { column, largest_z } => {
                write!(f, "column {} has a value {largest_z:.0} standard deviations from its mean; training clips it", shown(column))
            }
            Self::IdsRepaired { count, trimmed, rewritten } => {
                let ids = counted(*count, "id was", "ids were");
                write!(f, "{ids} respelt ({} trimmed, {} rewritten)", grouped(*trimmed), grouped(*rewritten))
            }
            Self::IdsLookLikeDecimals { count } => {
                let ids = counted(*count, "id ends", "ids end");
                write!(f, "{ids} in `.0`, as integers do after a floating-point column: the other side may spell them without it")
            }
            Self::IdsWereFloats { count } => {
                write!(
                    f,
                    "{} written as whole numbers: they had passed through a floating-point type",
                    counted(*count, "id was", "ids were")
                )
            }
            Self::IdsLookRounded { count, first } => {
                let ids = counted(*count, "id looks", "ids look");
                write!(f, "{ids} like 1.23E+11: a spreadsheet has rounded long numbers, first at row {}", grouped(*first))
            }
            Self::MissingCells { cells, columns } => {
                let mut list: Vec<String> = columns.iter().take(5).map(|(name, n)| format!("{} ({})", shown(name), grouped(*n))).collect();
                if columns.len() > list.len() {
                    list.push("…".to_owned());
                }
                let columns = counted(columns.len() as u64, "column", "columns");
                write!(f, "{} missing in {columns}: {}", counted(*cells, "cell is", "cells are"), list.join(", "))
            }
            Self::RowsWithoutKey { column, count } => {
                write!(
                    f,
                    "{} no key in column {}: they can match by the other keys only",
                    counted(*count, "row has", "rows have"),
                    shown(column)
                )
            }
            Self::NoValues { column } => write!(f, "column {} has no value in any row", shown(column)),
            Self::NumbersRepaired { count } => {
                write!(f, "{} full-width digits, which were read as plain ones", counted(*count, "cell has", "cells have"))
            }
            Self::NumbersAsText { column } => {
                let name = shown(column);
                write!(f, "column {name} holds numbers as text: they are read as categories unless its type is set to number")
            }
            Self::ManyLevels { column, levels } => {
                write!(f, "column {} has {} different texts: if it is an id or free text, exclude it", shown(column), grouped(*levels))
            }
            Self::WishedIsAbsent { column } => write!(f, "column {} of [private.columns] is not in the file", shown(column)),
            Self::MultiLineRows { count, first } => {
                write!(f, "{} line breaks inside quotes, first at row {}", counted(*count, "row has", "rows have"), grouped(*first))
            }
            Self::NoFinalLineEnd => f.write_str("the last line has no line end: check that the file is whole"),
            Self::UnassignedCountry { count, first } => {
                let ids = counted(*count, "phone number has", "phone numbers have");
                write!(f, "{ids} a country code that is assigned to nobody, first at row {}", grouped(*first))
            }
        }
    }
}

/// Constant columns and columns with extreme values.
pub(super) fn column_warnings(columns: &[Column]) -> Vec<Warning> {
    columns.par_iter().filter_map(column_warning).collect()
}

fn column_warning(column: &Column) -> Option<Warning> {
    let name = column.name.clone();
    match &column.values {
        Values::Number(values) => number_warning(name, values),
        Values::Text { codes, levels } => {
            let there = codes.iter().filter(|code| **code != MISSING).count();
            if there == 0 && !codes.is_empty() {
                Some(Warning::NoValues { column: name })
            } else if levels.len() == 1 && there == codes.len() {
                Some(Warning::ConstantColumn { column: name })
            } else if levels.len() >= MANY_LEVELS && levels.len() * 2 > there {
                Some(Warning::ManyLevels { column: name, levels: levels.len() as u64 })
            } else {
                None
            }
        }
    }
}

fn number_warning(column: String, values: &[f64]) -> Option<Warning> {
    let first = values.first()?;
    if values.iter().all(|value| value == first) {
        return Some(Warning::ConstantColumn { column });
    }
    let there = || values.iter().filter(|value| !value.is_nan());
    let rows = there().count() as f64;
    if rows == 0.0 {
        return Some(Warning::NoValues { column });
    }
    let mean = there().sum::<f64>() / rows;
    let deviation = (there().map(|v| (v - mean) * (v - mean)).sum::<f64>() / rows).sqrt();
    let largest_z = there().map(|v| (v - mean).abs()).fold(0.0, f64::max) / deviation;
    (largest_z > EXTREME_Z).then_some(Warning::ExtremeValues { column, largest_z })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn constant_and_extreme_columns_are_named() {
        let column = |name: &str, values: Vec<f64>| Column { name: name.into(), values: Values::Number(values) };
        let one_in = |n: usize| (0..n).map(|i| f64::from(u8::from(i == 0))).collect::<Vec<_>>();
        // One 1 among n zeros lies √(n − 1) standard deviations out.
        let columns = [column("flat", vec![3.0; 9]), column("rare", one_in(2502)), column("fine", one_in(2500))];
        let found = column_warnings(&columns);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].to_string(), "column `flat` has the same value in every row");
        let Warning::ExtremeValues { column, largest_z } = &found[1] else { panic!("{:?}", found[1]) };
        assert_eq!(column, "rare");
        assert!((largest_z - 2501f64.sqrt()).abs() < 1e-9);
    }
}
