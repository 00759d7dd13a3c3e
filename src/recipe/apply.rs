//! A fitted recipe over the rows of a table: columns found by name, encoded, standardised, clipped.

use super::encode::Bound;
use super::{ColumnRecipe, Recipe};
use crate::data::wording::{counted, grouped, shown};
use crate::data::{Column, ColumnKind};
use crate::error::{Exit, Failure};
use crate::training::scaling::standardised;
use ndarray::Array2;
use rayon::prelude::*;
use std::fmt;

/// The features of some rows.
pub struct Applied {
    /// One row a user, one column for each of [`Recipe::names`], row-major.
    pub features: Array2<f64>,
    /// Cells of a sort that no training row had, by column.
    pub unfamiliar: Vec<Unfamiliar>,
}

/// Cells of one column of a sort that no training row had. Displayed as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfamiliar {
    /// The column.
    pub column: String,
    /// Rows with a level that no training row had; they count as the reference level.
    pub unseen: u64,
    /// Rows without a value where no training row lacked one; they count as the mean, or as an unseen level.
    pub missing: u64,
}

impl Unfamiliar {
    /// Adds counts of further rows, column by column.
    pub fn add(all: &mut Vec<Self>, more: Vec<Self>) {
        for found in more {
            match all.iter_mut().find(|known| known.column == found.column) {
                Some(known) => {
                    known.unseen += found.unseen;
                    known.missing += found.missing;
                }
                None => all.push(found),
            }
        }
    }
}

impl fmt::Display for Unfamiliar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: ", shown(&self.column))?;
        if self.unseen > 0 {
            write!(f, "{} a level that no training row had", counted(self.unseen, "row has", "rows have"))?;
        }
        if self.missing > 0 {
            let comma = if self.unseen > 0 { ", " } else { "" };
            write!(f, "{comma}{} no value, as no training row did", counted(self.missing, "row has", "rows have"))?;
        }
        Ok(())
    }
}

impl Recipe {
    /// The features of all rows of a table, in its order.
    ///
    /// # Errors
    /// As [`Recipe::apply_rows`].
    pub fn apply(&self, columns: &[Column], rows: usize) -> Result<Applied, Failure> {
        self.apply_rows(columns, &(0..rows).collect::<Vec<_>>())
    }

    /// The features of the given rows, in their order. Columns are found by name: their order and further columns do not matter.
    ///
    /// # Errors
    /// Exit 13, E0724: columns of the recipe are missing. Exit 13, E0726: a column is of another type than in training.
    /// Exit 1, E0725: a column is shorter than a row number says.
    pub fn apply_rows(&self, columns: &[Column], rows: &[usize]) -> Result<Applied, Failure> {
        let mut features = Array2::zeros((0, 0));
        let unfamiliar = self.apply_blocks(columns, rows, rows.len(), |block| features = block)?;
        Ok(Applied { features, unfamiliar })
    }

    /// As [`Recipe::apply_rows`], with at most so many rows in memory at once: `take` gets the features block by block, one empty
    /// block where there is no row. The columns are looked up once.
    ///
    /// # Errors
    /// As [`Recipe::apply_rows`].
    pub fn apply_blocks(
        &self,
        columns: &[Column],
        rows: &[usize],
        most: usize,
        mut take: impl FnMut(Array2<f64>),
    ) -> Result<Vec<Unfamiliar>, Failure> {
        let bound = self.bind(columns, rows)?;
        for block in rows.chunks(most.max(1)).chain(rows.is_empty().then_some(rows)) {
            take(self.features_of(&bound, block));
        }
        Ok(bound.par_iter().filter_map(|(recipe, bound)| bound.unfamiliar(&recipe.name, rows)).collect())
    }

    fn features_of(&self, bound: &[(&ColumnRecipe, Bound<'_>)], rows: &[usize]) -> Array2<f64> {
        let kept = self.columns.iter().flat_map(|c| &c.features).filter(|scale| scale.sd.is_some()).count();
        let mut features = Array2::zeros((rows.len(), kept));
        let widest = bound.iter().map(|(recipe, _)| recipe.features.len()).max().unwrap_or(0);
        if kept == 0 {
            return features;
        }
        if let Some(target) = features.as_slice_mut() {
            target.par_chunks_exact_mut(kept).with_min_len(256).zip(rows.par_iter().with_min_len(256)).for_each_init(
                || vec![0.0; widest],
                |raw, (to, row)| {
                    let mut slots = to.iter_mut();
                    for (recipe, bound) in bound {
                        let raw = &mut raw[..recipe.features.len()];
                        bound.write(*row, raw);
                        for (value, scale) in raw.iter().zip(&recipe.features) {
                            if let Some(sd) = scale.sd
                                && let Some(slot) = slots.next()
                            {
                                *slot = standardised(*value, scale.mean, sd, self.clip);
                            }
                        }
                    }
                },
            );
        }
        features
    }

    /// The kept columns of the recipe with the file's columns of these names.
    fn bind<'a>(&'a self, columns: &'a [Column], rows: &[usize]) -> Result<Vec<(&'a ColumnRecipe, Bound<'a>)>, Failure> {
        let find = |name: &str| columns.iter().find(|column| column.name == name);
        let kept: Vec<&ColumnRecipe> = self.columns.iter().filter(|column| column.is_kept()).collect();
        let missing: Vec<String> = kept.iter().filter(|recipe| find(&recipe.name).is_none()).map(|recipe| shown(&recipe.name)).collect();
        if let Some(first) = missing.first() {
            let what = match missing.len() {
                1 => format!("column {first} of the model is missing"),
                count => format!("{} columns of the model are missing, first {first}", grouped(count as u64)),
            };
            let remedy = "the file needs the columns that the model was trained on, under the same names";
            return Err(Failure::new(Exit::Data, 724, what).at(missing.join(", ")).hint(remedy));
        }
        let longest = rows.iter().max().map_or(0, |row| row + 1);
        kept.into_iter()
            .filter_map(|recipe| Some((recipe, find(&recipe.name)?)))
            .map(|(recipe, column)| {
                if column.values.rows() < longest {
                    return Err(Failure::new(Exit::Internal, 725, "a column is shorter than its table"));
                }
                let bound = recipe.encoding.bind(column).ok_or_else(|| {
                    let (trained, found) = match recipe.kind() {
                        ColumnKind::Number => ("numbers", "texts"),
                        ColumnKind::Text => ("texts", "numbers"),
                    };
                    Failure::new(Exit::Data, 726, format!("column {} has {found}, the model was trained on {trained}", shown(&recipe.name)))
                        .hint("bring the column into the form it had in training")
                })?;
                Ok((recipe, bound))
            })
            .collect()
    }
}
