//! The scaling of a party's columns: standardise on the matched training rows, drop constants, clip. Part of the model.

use crate::error::{Exit, Failure};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A standard deviation up to this, times the larger of 1 and |mean|, counts as none.
const CONSTANT: f64 = 1e-12;

/// How one input column is standardised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnScale {
    /// The column's name in the party's file.
    pub name: String,
    /// Mean over the matched training rows.
    pub mean: f64,
    /// Population standard deviation (÷ n) over the matched training rows; `None`: constant there, so the column is dropped.
    pub sd: Option<f64>,
}

/// What turns a party's raw columns into the standardised, clipped columns of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Standardised values are cut to ±`clip`; nothing is centred again after that.
    pub clip: f64,
    /// The input columns in their order, dropped ones included.
    pub columns: Vec<ColumnScale>,
}

impl Scaling {
    /// Learns means and deviations from columns that hold the matched training rows and nothing else.
    ///
    /// # Errors
    /// As [`Scaling::fit_rows`].
    pub fn fit<C: AsRef<[f64]> + Sync>(columns: &[C], names: &[String], clip: f64) -> Result<Self, Failure> {
        let rows: Vec<usize> = (0..columns.first().map_or(0, |column| column.as_ref().len())).collect();
        Self::fit_rows(columns, &rows, names, clip)
    }

    /// Learns means and deviations from the given rows (the matched training rows) of longer columns.
    ///
    /// # Errors
    /// Exit 2, E0621: a clip that is not above 0. Exit 13, E0622: no training row. Exit 13, E0623: values too large to
    /// standardise. Exit 1, E0620: columns, names and rows do not fit together.
    pub fn fit_rows<C: AsRef<[f64]> + Sync>(columns: &[C], rows: &[usize], names: &[String], clip: f64) -> Result<Self, Failure> {
        if !(clip > 0.0 && clip.is_finite()) {
            return Err(Failure::new(Exit::Usage, 621, format!("clip is {clip}, it must be above 0")).hint("use clip = 5.0"));
        }
        check_shape(columns, rows, names.len())?;
        if rows.is_empty() {
            return Err(Failure::new(Exit::Data, 622, "no matched row is a training row"));
        }
        let columns = columns
            .par_iter()
            .zip(names)
            .map(|(column, name)| {
                let column = column.as_ref();
                let (mean, sd) = moments(rows.iter().map(|&row| column[row]));
                if !mean.is_finite() || !sd.is_finite() {
                    return Err(Failure::new(Exit::Data, 623, "values are too large to standardise")
                        .at(format!("column {name}"))
                        .hint("scale the column down, or exclude it"));
                }
                let constant = sd <= CONSTANT * mean.abs().max(1.0) || rows.iter().all(|&row| column[row] == column[rows[0]]);
                Ok(ColumnScale { name: name.clone(), mean, sd: (!constant).then_some(sd) })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { clip, columns })
    }

    /// Names of the columns kept, in the order of the matrix that [`Scaling::apply`] makes.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().filter(|column| column.sd.is_some()).map(|column| column.name.clone()).collect()
    }

    /// Names of the columns dropped because they are constant on the matched training rows.
    pub fn dropped(&self) -> Vec<String> {
        self.columns.iter().filter(|column| column.sd.is_none()).map(|column| column.name.clone()).collect()
    }

    /// Standardised, clipped values of all rows: one row a user, one column for each of [`Scaling::names`], row-major.
    ///
    /// # Errors
    /// Exit 1, E0620: the columns do not fit the scaling.
    pub fn apply<C: AsRef<[f64]> + Sync>(&self, columns: &[C]) -> Result<Array2<f64>, Failure> {
        let rows: Vec<usize> = (0..columns.first().map_or(0, |column| column.as_ref().len())).collect();
        self.apply_rows(columns, &rows)
    }

    /// As [`Scaling::apply`] for the given rows only, in their order.
    ///
    /// # Errors
    /// Exit 1, E0620: the columns do not fit the scaling.
    pub fn apply_rows<C: AsRef<[f64]> + Sync>(&self, columns: &[C], rows: &[usize]) -> Result<Array2<f64>, Failure> {
        check_shape(columns, rows, self.columns.len())?;
        let kept: Vec<(&[f64], f64, f64)> =
            columns.iter().zip(&self.columns).filter_map(|(column, scale)| scale.sd.map(|sd| (column.as_ref(), scale.mean, sd))).collect();
        let mut out = Array2::zeros((rows.len(), kept.len()));
        if kept.is_empty() {
            return Ok(out);
        }
        if let Some(target) = out.as_slice_mut() {
            target.par_chunks_exact_mut(kept.len()).with_min_len(256).zip(rows.par_iter().with_min_len(256)).for_each(|(to, &row)| {
                for (value, (column, mean, sd)) in to.iter_mut().zip(&kept) {
                    *value = standardised(column[row], *mean, *sd, self.clip);
                }
            });
        }
        Ok(out)
    }
}

/// One standardised, clipped value: the last step of every feature, in training, scoring and the twin.
#[must_use]
#[inline]
pub fn standardised(value: f64, mean: f64, sd: f64, clip: f64) -> f64 {
    ((value - mean) / sd).clamp(-clip, clip)
}

/// Mean and population standard deviation, each corrected for the rounding of the first pass.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let first = values.clone().sum::<f64>() / n;
    let (mut sum, mut squares) = (0.0, 0.0);
    for value in values {
        sum += value - first;
        squares += (value - first) * (value - first);
    }
    let shift = sum / n;
    let variance = squares / n - shift * shift;
    // Not f64::max, which would turn an overflow's NaN into 0.
    (first + shift, if variance < 0.0 { 0.0 } else { variance.sqrt() })
}

/// Columns of one length, as many as there are scales, and rows inside them.
fn check_shape<C: AsRef<[f64]>>(columns: &[C], rows: &[usize], expected: usize) -> Result<(), Failure> {
    let length = columns.first().map_or(0, |column| column.as_ref().len());
    let fits = columns.len() == expected
        && columns.iter().all(|column| column.as_ref().len() == length)
        && (columns.is_empty() || rows.iter().all(|&row| row < length));
    if fits {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::Internal,
            620,
            format!("{} columns given where the scaling has {expected}, or uneven lengths", columns.len()),
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn standardises_by_the_population_deviation_then_clips() {
        let columns = vec![vec![1.0, 2.0, 3.0, 4.0], vec![0.0, 0.0, 0.0, 100.0]];
        let scaling = Scaling::fit(&columns, &names(&["a", "b"]), 1.5).unwrap();
        assert_eq!(scaling.columns[0].mean, 2.5);
        assert!((scaling.columns[0].sd.unwrap() - 1.25f64.sqrt()).abs() < 1e-15);
        let x = scaling.apply(&columns).unwrap();
        assert!((x[[0, 0]] + 1.5 / 1.25f64.sqrt()).abs() < 1e-15);
        assert_eq!(x[[3, 1]], 1.5, "z = 1.73 is cut");
        assert!(x.column(1).sum() < -0.1, "nothing is centred again after the clip");
    }

    #[test]
    fn columns_constant_on_the_training_rows_are_dropped_and_listed() {
        let columns = vec![vec![0.1, 0.1, 0.1, 7.0], vec![1.0, 2.0, 3.0, 0.0], vec![1e9 + 0.1, 1e9 + 0.1, 1e9 + 0.1, 0.0]];
        let scaling = Scaling::fit_rows(&columns, &[0, 1, 2], &names(&["flat", "kept", "large"]), 5.0).unwrap();
        assert_eq!(scaling.dropped(), names(&["flat", "large"]));
        assert_eq!(scaling.names(), names(&["kept"]));
        assert_eq!(scaling.apply_rows(&columns, &[3, 0]).unwrap().dim(), (2, 1));
    }

    #[test]
    fn a_small_but_real_variation_on_a_large_mean_is_kept() {
        let column: Vec<f64> = (0..1000).map(|i| 1e7 + f64::from(i % 10)).collect();
        let scaling = Scaling::fit(&[column], &names(&["year"]), 5.0).unwrap();
        assert!((scaling.columns[0].sd.unwrap() - 8.25f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn survives_being_written_and_read() {
        let scaling = Scaling::fit(&[vec![0.1, 0.7, 0.2], vec![1.0; 3]], &names(&["a", "b"]), 5.0).unwrap();
        let text = serde_json::to_string(&scaling).unwrap();
        assert_eq!(serde_json::from_str::<Scaling>(&text).unwrap(), scaling);
        assert!(serde_json::from_str::<Scaling>(&text.replace("clip", "clop")).is_err());
    }

    #[test]
    fn wrong_use_is_refused() {
        let column = vec![vec![1.0, 2.0]];
        assert_eq!(Scaling::fit(&column, &names(&["a", "b"]), 5.0).unwrap_err().id, 620);
        assert_eq!(Scaling::fit(&[vec![1.0, 2.0], vec![1.0]], &names(&["a", "b"]), 5.0).unwrap_err().id, 620);
        assert_eq!(Scaling::fit_rows(&column, &[2], &names(&["a"]), 5.0).unwrap_err().id, 620);
        assert_eq!(Scaling::fit(&column, &names(&["a"]), 0.0).unwrap_err().exit, Exit::Usage);
        assert_eq!(Scaling::fit_rows(&column, &[], &names(&["a"]), 5.0).unwrap_err().id, 622);
        assert_eq!(Scaling::fit(&[vec![1e308, -1e308, 1e308]], &names(&["a"]), 5.0).unwrap_err().id, 623);
    }
}
