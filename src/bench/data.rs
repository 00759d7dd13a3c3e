//! The benchmark's data: a function of sizes, rate and seed alone, so that each program makes its own columns in memory.
//!
//! A row has hidden factors and noise; columns are correlated across the parties, every fifth is binary and every fifth skewed.
//! Labels follow a model of the asked family on all columns, and whether a row counts at all (who paid) follows from the same columns.
//! Rows have streams of their own: any part of the rows is made alike.

use crate::error::{Exit, Failure};
use crate::evaluation::random::SplitMix;
use crate::training::family::Family;
use crate::training::twin::sigmoid;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// Standard deviation of the true logits around their base.
const SPREAD: f64 = 1.5;
/// The same of the logarithms of means, and of the noise of a linear label.
const LOG_SPREAD: f64 = 0.8;
/// Rows on which the base logit is found.
const CALIBRATION_ROWS: usize = 20_000;
/// Streams that belong to no row.
const LOADINGS: u64 = u64::MAX;
const WEIGHTS: u64 = u64::MAX - 1;

/// What the data depend on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// Training rows.
    pub rows: usize,
    /// The owner's columns.
    pub owner_columns: usize,
    /// The partner's columns.
    pub partner_columns: usize,
    /// The family of the labels.
    pub family: Family,
    /// Share of positive labels, nearly; of a logistic model only.
    pub rate: f64,
    /// Share of rows that count, nearly, where not all do; only the owner knows which.
    pub payers: Option<f64>,
    /// Seed.
    pub seed: u64,
}

/// Nearly standard normal: eight uniform values of 16 bits. No mathematics library, so every machine agrees.
fn normal(random: &mut SplitMix) -> f64 {
    let mut sum = 0u64;
    for _ in 0..2 {
        let word = random.next();
        sum += (0..4).map(|part| word >> (16 * part) & 0xffff).sum::<u64>();
    }
    (sum as f64 / 65_535.0 - 4.0) * (12.0f64 / 8.0).sqrt()
}

/// What only the owner has besides its columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    /// One label a row; yes and no as 1 and 0.
    pub values: Vec<f64>,
    /// 1 for a row that counts, 0 for others.
    pub weights: Option<Vec<f64>>,
}

/// The model behind the data: the same for all rows.
pub struct Generator {
    spec: DataSpec,
    factors: usize,
    /// Column by column, `factors` each.
    loadings: Vec<f64>,
    weights: Vec<f64>,
    /// Mean of the true predictors.
    middle: f64,
    /// Base logits of the asked rate and of the asked share of payers.
    base: f64,
    payers_base: f64,
}

impl Generator {
    /// Draws loadings and true weights, and finds the base logit of the asked rate.
    #[must_use]
    pub fn new(spec: DataSpec) -> Self {
        let columns = spec.owner_columns + spec.partner_columns;
        let factors = (columns / 5).max(2);
        let mut random = SplitMix::new(spec.seed, LOADINGS);
        let loadings = (0..columns * factors).map(|_| normal(&mut random) / (factors as f64).sqrt()).collect();
        let mut random = SplitMix::new(spec.seed, WEIGHTS);
        // Half of the columns matter.
        let weights = (0..columns).map(|_| if random.next() & 1 == 1 { normal(&mut random) } else { 0.0 }).collect();
        let mut generator = Self { spec, factors, loadings, weights, middle: 0.0, base: 0.0, payers_base: 0.0 };
        let sample: Vec<f64> = (0..CALIBRATION_ROWS.min(spec.rows)).into_par_iter().map(|row| generator.row(row).1).collect();
        let mean = sample.iter().sum::<f64>() / sample.len().max(1) as f64;
        let sd = (sample.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / sample.len().max(1) as f64).sqrt();
        let scale = if sd > 0.0 { SPREAD / sd } else { 1.0 };
        generator.weights.iter_mut().for_each(|w| *w *= scale);
        let base = |wanted: f64| {
            let (mut low, mut high) = (-60.0, 60.0);
            for _ in 0..60 {
                let middle = f64::midpoint(low, high);
                let rate = sample.iter().map(|z| sigmoid(z * scale + middle)).sum::<f64>() / sample.len().max(1) as f64;
                if rate < wanted { low = middle } else { high = middle }
            }
            f64::midpoint(low, high)
        };
        (generator.base, generator.payers_base) = (base(spec.rate), spec.payers.map_or(0.0, base));
        generator.middle = mean * scale;
        generator
    }

    /// Columns of a row, its true predictor without the base, and the row's stream for its label.
    fn row(&self, row: usize) -> (Vec<f64>, f64, SplitMix) {
        let mut random = SplitMix::new(self.spec.seed, row as u64);
        let hidden: Vec<f64> = (0..self.factors).map(|_| normal(&mut random)).collect();
        let columns = self.loadings.chunks_exact(self.factors).enumerate().map(|(j, loading)| {
            let common: f64 = loading.iter().zip(&hidden).map(|(l, h)| l * h).sum();
            let x = 0.6 * common + 0.8 * normal(&mut random);
            match j % 5 {
                3 => x * x * x.signum() + x,
                4 => f64::from(u8::from(x > 1.0)),
                _ => x,
            }
        });
        let columns: Vec<f64> = columns.collect();
        let z = columns.iter().zip(&self.weights).map(|(x, w)| x * w).sum();
        (columns, z, random)
    }

    /// Label and weight of a row with this predictor.
    fn label(&self, z: f64, random: &mut SplitMix) -> (f64, f64) {
        let first = unit(random);
        let centred = (z - self.middle) / SPREAD;
        // A mean of nearly 1 over all rows.
        let mean = (LOG_SPREAD * centred - LOG_SPREAD * LOG_SPREAD / 2.0).exp();
        let label = match self.spec.family {
            Family::Logistic => f64::from(u8::from(first < sigmoid(z + self.base))),
            Family::Linear => LOG_SPREAD * (centred + normal(random)),
            Family::Poisson => poisson(mean, first),
            // A sum of two exponential amounts.
            Family::Gamma => -mean / 2.0 * ((1.0 - first) * (1.0 - unit(random))).max(1e-12).ln(),
        };
        let counts = self.spec.payers.is_none() || unit(random) < sigmoid(z + self.payers_base);
        (label, f64::from(u8::from(counts)))
    }

    /// The columns with these numbers, column by column, and the labels.
    #[must_use]
    pub fn columns(&self, wanted: std::ops::Range<usize>) -> (Vec<Vec<f64>>, Labels) {
        const BLOCK: usize = 4096;
        let rows = self.spec.rows;
        let mut columns = vec![vec![0.0; rows]; wanted.len()];
        let (mut labels, mut weights) = (vec![0.0; rows], vec![0.0; rows]);
        for first in (0..rows).step_by(16 * BLOCK) {
            let part: Vec<(Vec<f64>, (f64, f64))> = (first..rows.min(first + 16 * BLOCK))
                .into_par_iter()
                .with_min_len(256)
                .map(|row| {
                    let (columns, z, mut random) = self.row(row);
                    (columns[wanted.clone()].to_vec(), self.label(z, &mut random))
                })
                .collect();
            for (offset, (values, label)) in part.into_iter().enumerate() {
                (labels[first + offset], weights[first + offset]) = label;
                for (column, value) in columns.iter_mut().zip(values) {
                    column[first + offset] = value;
                }
            }
        }
        (columns, Labels { values: labels, weights: self.spec.payers.map(|_| weights) })
    }
}

/// Uniform on [0, 1).
fn unit(random: &mut SplitMix) -> f64 {
    (random.next() >> 11) as f64 / (1u64 << 53) as f64
}

/// The count whose cumulative probability first exceeds a uniform number.
fn poisson(mean: f64, uniform: f64) -> f64 {
    let mut probability = (-mean).exp();
    let (mut total, mut count) = (probability, 0.0);
    while total <= uniform && probability > 0.0 {
        count += 1.0;
        probability *= mean / count;
        total += probability;
    }
    count
}

/// Writes `owner.csv` (id, label, columns) and `partner.csv` (id, columns) for a rival.
///
/// # Errors
/// Exit 2, E0960: a file cannot be written.
pub fn write_csv(folder: &Path, spec: DataSpec) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Usage, 960, format!("the benchmark's data cannot be written: {error}")).at(folder.display().to_string())
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let generator = Generator::new(spec);
    let owner = 0..spec.owner_columns;
    let partner = spec.owner_columns..spec.owner_columns + spec.partner_columns;
    for (name, range, with_label) in [("owner.csv", owner, true), ("partner.csv", partner, false)] {
        let (columns, labels) = generator.columns(range);
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(name)).map_err(failed)?);
        let write = |file: &mut std::io::BufWriter<std::fs::File>| -> std::io::Result<()> {
            let letter = if with_label { "o" } else { "p" };
            let heading = match (with_label, &labels.weights) {
                (false, _) => "",
                (true, None) => ",label",
                (true, Some(_)) => ",label,counts",
            };
            let names: Vec<String> = (0..columns.len()).map(|j| format!("{letter}{j}")).collect();
            writeln!(file, "id{},{}", heading, names.join(","))?;
            for (i, label) in labels.values.iter().enumerate() {
                write!(file, "{i}")?;
                if with_label {
                    write!(file, ",{label}")?;
                    if let Some(weights) = &labels.weights {
                        write!(file, ",{}", weights[i])?;
                    }
                }
                for column in &columns {
                    write!(file, ",{}", column[i])?;
                }
                writeln!(file)?;
            }
            file.flush()
        };
        write(&mut file).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_programs_see_the_same_rows_and_the_rate_is_near() {
        let spec =
            DataSpec { rows: 6_000, owner_columns: 4, partner_columns: 6, family: Family::Logistic, rate: 0.1, payers: None, seed: 3 };
        let (all, labels) = Generator::new(spec).columns(0..10);
        let (partner, same) = Generator::new(spec).columns(4..10);
        assert_eq!(labels, same);
        assert_eq!(all[4..], partner);
        let rate = labels.values.iter().sum::<f64>() / 6_000.0;
        assert!((rate - 0.1).abs() < 0.02, "{rate}");
        let (other, _) = Generator::new(DataSpec { seed: 4, ..spec }).columns(0..10);
        assert_ne!(all, other);
        for (family, payers) in [(Family::Linear, None), (Family::Poisson, Some(0.2)), (Family::Gamma, Some(0.2))] {
            let (_, labels) = Generator::new(DataSpec { family, payers, ..spec }).columns(0..0);
            family.check(&labels.values, labels.weights.as_deref()).unwrap();
            let mean = labels.values.iter().sum::<f64>() / 6_000.0;
            assert!((mean - if family == Family::Linear { 0.0 } else { 1.0 }).abs() < 0.1, "{family:?}: {mean}");
            let share = labels.weights.map(|weights| weights.iter().sum::<f64>() / 6_000.0);
            assert!(share.is_none_or(|share| (share - 0.2).abs() < 0.03), "{share:?}");
        }
        // Binary, and correlated with the other party's columns.
        assert!(all[4].iter().all(|x| *x == 0.0 || *x == 1.0));
    }
}
