//! The plaintext twin: the same objective in f64, solved exactly. It is the oracle that the secure training is held against,
//! and it fits the owner's columns alone.
//!
//! Objective: the mean of a [`Family`]'s loss of `z` over the rows, each times its weight if there are weights, plus `l2/2·‖w‖²`,
//! with `z = w·x + b` and `b` free of the ridge.

use super::linear::{Cholesky, gram, sum_over_rows, times, transposed_times};
use crate::error::{Exit, Failure};
use crate::training::family::Family;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::Serialize;

/// Largest gradient entry at which the optimum counts as reached.
const TOLERANCE: f64 = 1e-10;
/// Newton steps before giving up.
const MAX_STEPS: usize = 200;
/// Rounding of the objective that a line search must not stumble over.
const ROUNDING: f64 = 1e-13;

/// What a model is fitted to.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The family.
    pub family: Family,
    /// Labels, one a row.
    pub labels: &'a [f64],
    /// Row weights; None where all are 1.
    pub weights: Option<&'a [f64]>,
}

impl Target<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// Weighted mean of the labels.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let rows = 0..self.labels.len();
        let (sum, total) = rows.fold((0.0, 0.0), |(sum, total), i| (sum + self.weight(i) * self.labels[i], total + self.weight(i)));
        sum / total
    }
}

/// An exact fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The intercept, free of the ridge.
    pub intercept: f64,
    /// One weight a column, on the standardised scale.
    pub coefficients: Vec<f64>,
    /// Mean loss over the rows, without the ridge; of a logistic fit the mean log-loss in nats.
    pub loss: f64,
    /// Loss + l2/2·‖w‖².
    pub objective: f64,
    /// √diag(φ·H⁻¹/n) of each coefficient, H the Hessian of the objective at the optimum, φ the dispersion: 1 for a logistic fit, else
    /// the weighted mean of [`Family::pearson`].
    pub standard_errors: Vec<f64>,
    /// The same for the intercept.
    pub intercept_standard_error: f64,
    /// Largest absolute entry of the gradient at the end.
    pub gradient_max: f64,
    /// Newton steps taken.
    pub iterations: usize,
}

/// How far a secure model is from its twin (FORMATS.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct TwinGap {
    /// Secure objective − twin objective.
    pub loss_gap: f64,
    /// Largest |secure − twin| over all coefficients and the intercept, in standard errors.
    pub max_coefficient_error_se: f64,
    /// |secure − twin| test AUC; absent where the test rows hold one class only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc_gap: Option<f64>,
}

/// A secure model as `compare` needs it.
#[derive(Clone, Copy, Debug)]
pub struct SecureModel<'a> {
    /// The intercept.
    pub intercept: f64,
    /// Weights in the twin's column order, on the standardised scale.
    pub coefficients: &'a [f64],
    /// AUC on the test rows.
    pub test_auc: Option<f64>,
}

/// Scores before the sigmoid, one a row.
pub fn logits(x: ArrayView2<'_, f64>, coefficients: &[f64], intercept: f64) -> Vec<f64> {
    times(x, coefficients, intercept)
}

/// Probabilities, one a row.
pub fn probabilities(x: ArrayView2<'_, f64>, coefficients: &[f64], intercept: f64) -> Vec<f64> {
    let mut z = logits(x, coefficients, intercept);
    z.iter_mut().for_each(|z| *z = sigmoid(*z));
    z
}

/// 1/(1 + e^−z) without overflow.
pub fn sigmoid(z: f64) -> f64 {
    let e = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// Mean log-loss in nats of given logits.
pub fn mean_loss(z: &[f64], labels: &[bool]) -> f64 {
    target_loss(z, &Target { family: Family::Logistic, labels: &numbers(labels), weights: None })
}

/// Mean weighted loss of given predictors.
fn target_loss(z: &[f64], target: &Target<'_>) -> f64 {
    let sum = sum_over_rows(z.len().min(target.labels.len()), 1, |range, sum| {
        let counted = range.filter(|i| target.weight(*i) != 0.0);
        sum[0] += counted.map(|i| target.weight(i) * target.family.loss(z[i], target.labels[i])).sum::<f64>();
    });
    sum[0] / z.len().max(1) as f64
}

/// Labels as 0 and 1.
#[must_use]
pub fn numbers(labels: &[bool]) -> Vec<f64> {
    labels.iter().map(|y| f64::from(u8::from(*y))).collect()
}

/// Loss + l2/2·‖w‖² of any model on these rows; the arithmetic of FORMATS.md §1.
pub fn objective(x: ArrayView2<'_, f64>, labels: &[bool], coefficients: &[f64], intercept: f64, l2: f64) -> f64 {
    mean_loss(&logits(x, coefficients, intercept), labels) + ridge(coefficients, l2)
}

/// As [`objective`] for any family.
pub fn target_objective(x: ArrayView2<'_, f64>, target: &Target<'_>, coefficients: &[f64], intercept: f64, l2: f64) -> f64 {
    target_loss(&logits(x, coefficients, intercept), target) + ridge(coefficients, l2)
}

fn ridge(coefficients: &[f64], l2: f64) -> f64 {
    0.5 * l2 * coefficients.iter().map(|w| w * w).sum::<f64>()
}

/// Fits a logistic model by Newton steps with a line search until no gradient entry exceeds 1e-10.
///
/// Collinear and duplicated columns are fine: with `l2` above 0 the optimum is unique, with 0 any of the equal optima is
/// returned.
///
/// # Errors
/// Exit 15, E0601: all labels equal, or no rows. Exit 15, E0602: the optimum was not reached. Exit 1, E0600: rows and labels
/// do not fit together, or `l2` is negative.
pub fn fit_logistic(x: &Array2<f64>, labels: &[bool], l2: f64) -> Result<Fit, Failure> {
    let n = x.nrows();
    if n != labels.len() || l2.is_nan() || l2 < 0.0 {
        return Err(Failure::new(Exit::Internal, 600, format!("{n} rows, {} labels and l2 {l2} do not fit together", labels.len())));
    }
    let positives = labels.iter().filter(|&&y| y).count();
    if positives == 0 || positives == n {
        let what = if n == 0 {
            "there are no training rows".to_owned()
        } else {
            format!("all {n} training rows have the label {}", u8::from(positives > 0))
        };
        return Err(Failure::new(Exit::NotConverged, 601, what).hint("training needs rows of both labels: check the label and the split"));
    }
    fit(x, &Target { family: Family::Logistic, labels: &numbers(labels), weights: None }, l2)
}

/// Fits a model of any family in the same way.
///
/// # Errors
/// Exit 13, E0631: labels out of the family's domain. Exit 15, E0602: the optimum was not reached. Exit 1, E0600: rows, labels and
/// weights do not fit together.
pub fn fit(x: &Array2<f64>, target: &Target<'_>, l2: f64) -> Result<Fit, Failure> {
    let x = x.view();
    let (n, d) = x.dim();
    if n != target.labels.len() || target.weights.is_some_and(|weights| weights.len() != n) {
        return Err(Failure::new(Exit::Internal, 600, format!("{n} rows and {} labels do not fit together", target.labels.len())));
    }
    target.family.check(target.labels, target.weights)?;
    let mut w = vec![0.0; d + 1]; // the intercept comes last
    w[d] = target.family.link(target.mean());
    let value = |w: &[f64]| target_objective(x, target, &w[..d], w[d], l2);
    let mut current = value(&w);
    for iterations in 0..=MAX_STEPS {
        let z = logits(x, &w[..d], w[d]);
        let gradient = gradient(x, &z, target, &w, l2);
        let gradient_max = gradient.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
        if gradient_max.is_nan() {
            break;
        }
        let factor = factor_damped(hessian(x, &z, target, l2))?;
        if gradient_max < TOLERANCE {
            let variance = factor.inverse();
            let dispersion = dispersion(&z, target);
            let errors: Vec<f64> = variance.diag().iter().map(|v| (dispersion * v / n as f64).sqrt()).collect();
            let loss = target_loss(&z, target);
            return Ok(Fit {
                intercept: w[d],
                coefficients: w[..d].to_vec(),
                loss,
                objective: loss + ridge(&w[..d], l2),
                intercept_standard_error: errors[d],
                standard_errors: errors[..d].to_vec(),
                gradient_max,
                iterations,
            });
        }
        let step = factor.solve(&gradient);
        let decrease: f64 = step.iter().zip(&gradient).map(|(s, g)| s * g).sum();
        let slack = ROUNDING * (1.0 + current.abs());
        let mut length = 1.0;
        loop {
            let candidate: Vec<f64> = w.iter().zip(&step).map(|(w, s)| w - length * s).collect();
            let reached = value(&candidate);
            if reached <= current - 1e-4 * length * decrease + slack || length < 1e-6 {
                (w, current) = (candidate, reached);
                break;
            }
            length /= 2.0;
        }
    }
    Err(Failure::new(Exit::NotConverged, 602, format!("the plaintext model did not converge in {MAX_STEPS} steps"))
        .hint("set l2 above 0, or check the columns for extreme values"))
}

/// Weighted mean of the squared Pearson residuals.
fn dispersion(z: &[f64], target: &Target<'_>) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (i, z) in z.iter().enumerate().filter(|(i, _)| target.weight(*i) != 0.0) {
        sum += target.weight(i) * target.family.pearson(*z, target.labels[i]);
        total += target.weight(i);
    }
    sum / total
}

/// Gradient of the objective, the intercept's entry last.
fn gradient(x: ArrayView2<'_, f64>, z: &[f64], target: &Target<'_>, w: &[f64], l2: f64) -> Vec<f64> {
    let n = z.len() as f64;
    let residuals = by_row(z, target, |z, y| target.family.residual(z, y));
    let mut gradient: Vec<f64> = transposed_times(x, &residuals).iter().zip(w).map(|(g, w)| g / n + l2 * w).collect();
    gradient.push(total(&residuals) / n);
    gradient
}

/// Hessian of the objective, the intercept's row and column last.
fn hessian(x: ArrayView2<'_, f64>, z: &[f64], target: &Target<'_>, l2: f64) -> Array2<f64> {
    let (n, d) = (z.len() as f64, x.ncols());
    let slopes = by_row(z, target, |z, y| target.family.curvature(z, y));
    let (block, border) = (gram(x, Some(&slopes)), transposed_times(x, &slopes));
    Array2::from_shape_fn((d + 1, d + 1), |(i, j)| match (i == d, j == d) {
        (false, false) => block[[i, j]] / n + if i == j { l2 } else { 0.0 },
        (true, false) => border[j] / n,
        (false, true) => border[i] / n,
        (true, true) => total(&slopes) / n,
    })
}

/// A function of predictor and label times the row's weight; rows without weight do not count, whatever their label.
fn by_row(z: &[f64], target: &Target<'_>, of: impl Fn(f64, f64) -> f64 + Sync) -> Vec<f64> {
    let value = |i: usize, z: f64| match target.weight(i) {
        0.0 => 0.0,
        weight => weight * of(z, target.labels[i]),
    };
    z.par_iter().with_min_len(1024).enumerate().map(|(i, z)| value(i, *z)).collect()
}

fn total(values: &[f64]) -> f64 {
    sum_over_rows(values.len(), 1, |range, sum| sum[0] += values[range].iter().sum::<f64>())[0]
}

/// Factors the Hessian; where it is singular (collinear columns without a ridge) a growing trace of the identity is added.
fn factor_damped(hessian: Array2<f64>) -> Result<Cholesky, Failure> {
    if let Some(factor) = Cholesky::factor(&hessian) {
        return Ok(factor);
    }
    let largest = hessian.diag().iter().fold(1e-12, |max: f64, v| max.max(v.abs()));
    [1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4]
        .iter()
        .find_map(|damping| {
            let mut damped = hessian.clone();
            damped.diag_mut().mapv_inplace(|v| v + damping * largest);
            Cholesky::factor(&damped)
        })
        .ok_or_else(|| {
            Failure::new(Exit::NotConverged, 603, "the second derivatives of the plaintext model are not finite")
                .hint("check the columns for extreme values")
        })
}

/// Compares a secure model with its twin on the training rows the twin was fitted on.
///
/// # Errors
/// Exit 1, E0600: another number of coefficients than the twin's, or other rows.
pub fn compare(
    x: &Array2<f64>,
    labels: &[bool],
    l2: f64,
    secure: &SecureModel<'_>,
    twin: &Fit,
    twin_test_auc: Option<f64>,
) -> Result<TwinGap, Failure> {
    distance(x, &Target { family: Family::Logistic, labels: &numbers(labels), weights: None }, l2, secure, twin, twin_test_auc)
}

/// As [`compare`] for any family.
///
/// # Errors
/// As [`compare`].
pub fn distance(
    x: &Array2<f64>,
    target: &Target<'_>,
    l2: f64,
    secure: &SecureModel<'_>,
    twin: &Fit,
    twin_test_auc: Option<f64>,
) -> Result<TwinGap, Failure> {
    let d = twin.coefficients.len();
    if secure.coefficients.len() != d || x.ncols() != d || x.nrows() != target.labels.len() {
        let what = format!("{} secure and {d} plaintext coefficients, {} columns", secure.coefficients.len(), x.ncols());
        return Err(Failure::new(Exit::Internal, 600, what));
    }
    let errors = secure.coefficients.iter().zip(&twin.coefficients).zip(&twin.standard_errors).map(|((s, t), se)| (s - t).abs() / se);
    let intercept = (secure.intercept - twin.intercept).abs() / twin.intercept_standard_error;
    Ok(TwinGap {
        loss_gap: target_objective(x.view(), target, secure.coefficients, secure.intercept, l2) - twin.objective,
        // Not f64::max, which would hide a NaN.
        max_coefficient_error_se: errors.fold(intercept, |max, e| if e > max || e.is_nan() { e } else { max }),
        auc_gap: secure.test_auc.zip(twin_test_auc).map(|(s, t)| (s - t).abs()),
    })
}

#[cfg(test)]
pub(crate) mod tests;
