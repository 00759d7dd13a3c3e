//! Fits a recipe: chooses each column's encoding on the given rows, then learns the scale of what comes out.

use super::choose::choose;
use super::{ColumnRecipe, Recipe};
use crate::data::{Column, ColumnWish, Wishes, wording};
use crate::error::{Exit, Failure};
use crate::training::scaling::Scaling;
use rayon::prelude::*;
use std::collections::HashSet;

/// What a recipe is fitted on.
#[derive(Clone, Copy, Debug)]
pub struct FitRows<'a> {
    /// Row numbers of the columns: the matched training rows, or all own training rows.
    pub rows: &'a [usize],
    /// Their labels in the same order, on the side that has them.
    pub labels: Option<&'a [bool]>,
    /// Standardised values are cut to ± this.
    pub clip: f64,
    /// What was asked of single columns.
    pub wishes: &'a Wishes,
}

impl Recipe {
    /// Chooses and fits the recipe of a party's columns.
    ///
    /// # Errors
    /// Exit 2, E0621: a clip that is not above 0. Exit 2, E0731: an encoding that does not fit the column or the side, or a wish
    /// for a column that is not there. Exit 13, E0622: no training row. Exit 13, E0623: values too large to standardise.
    pub fn fit(columns: &[Column], on: FitRows<'_>) -> Result<Self, Failure> {
        if !(on.clip > 0.0 && on.clip.is_finite()) {
            return Err(Failure::new(Exit::Usage, 621, format!("clip is {}, it must be above 0", on.clip)).hint("use clip = 5.0"));
        }
        if on.rows.is_empty() {
            return Err(Failure::new(Exit::Data, 622, "no matched row is a training row"));
        }
        if let Some(name) = on.wishes.keys().find(|name| !columns.iter().any(|column| column.name == **name)) {
            let near = wording::suggestion(name, columns.iter().map(|column| column.name.as_str()), "name a feature column of the file");
            return Err(Failure::new(
                Exit::Usage,
                731,
                format!("something is asked of column {}, which is no feature of the file", wording::shown(name)),
            )
            .at("[private.columns]")
            .hint(near));
        }
        // Sums run in the file's order, whatever order the matching gave: the same rows give the same bits.
        let label = |place: usize| on.labels.and_then(|labels| labels.get(place)).copied().unwrap_or_default();
        let mut in_order: Vec<(usize, bool)> = on.rows.iter().enumerate().map(|(place, row)| (*row, label(place))).collect();
        in_order.sort_unstable();
        let (rows, labels): (Vec<usize>, Vec<bool>) = in_order.into_iter().unzip();
        let on = FitRows { rows: &rows, labels: on.labels.map(|_| labels.as_slice()), ..on };
        let columns: Vec<ColumnRecipe> = columns.par_iter().map(|column| fit_column(column, on)).collect::<Result<_, _>>()?;
        let mut recipe = Self { clip: on.clip, columns };
        recipe.rename_collisions();
        Ok(recipe)
    }

    /// A file may have both `x` with a derived feature `x:missing` and a column of that very name.
    fn rename_collisions(&mut self) {
        let mut taken = HashSet::new();
        for scale in self.columns.iter_mut().flat_map(|column| &mut column.features) {
            while !taken.insert(scale.name.clone()) {
                scale.name.push('\'');
            }
        }
    }
}

fn fit_column(column: &Column, on: FitRows<'_>) -> Result<ColumnRecipe, Failure> {
    let plain = ColumnWish::default();
    let wish = on.wishes.get(&column.name).unwrap_or(&plain);
    let (encoding, why) = choose(column, on, wish)?;
    let names: Vec<String> = encoding.suffixes().iter().map(|suffix| format!("{}{suffix}", column.name)).collect();
    let width = names.len();
    let mut raw: Vec<Vec<f64>> = vec![Vec::with_capacity(on.rows.len()); width];
    let bound =
        encoding.bind(column).ok_or_else(|| Failure::new(Exit::Internal, 730, "an encoding was chosen for another type of column"))?;
    let mut cells = vec![0.0; width];
    for row in on.rows {
        bound.write(*row, &mut cells);
        raw.iter_mut().zip(&cells).for_each(|(feature, cell)| feature.push(*cell));
    }
    let features = if width == 0 { Vec::new() } else { Scaling::fit(&raw, &names, on.clip)?.columns };
    Ok(ColumnRecipe { name: column.name.clone(), missing: wish.missing.clone(), encoding, why, features })
}
