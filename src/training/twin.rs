//! The plaintext twin: the same objective in f64, solved exactly. It is the oracle that the secure training is held against,
//! and it fits the owner's columns alone.
//!
//! Objective: mean of `log(1 + e^z) − y·z` over the rows, plus `l2/2·‖w‖²`, with `z = w·x + b` and `b` free of the ridge.

use super::linear::{Cholesky, gram, sum_over_rows, times, transposed_times};
use crate::error::{Exit, Failure};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::Serialize;

/// Largest gradient entry at which the optimum counts as reached.
const TOLERANCE: f64 = 1e-10;
/// Newton steps before giving up.
const MAX_STEPS: usize = 200;
/// Rounding of the objective that a line search must not stumble over.
const ROUNDING: f64 = 1e-13;

/// An exact logistic fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The intercept, free of the ridge.
    pub intercept: f64,
    /// One weight a column, on the standardised scale.
    pub coefficients: Vec<f64>,
    /// Mean log-loss in nats over the rows, without the ridge.
    pub loss: f64,
    /// Loss + l2/2·‖w‖².
    pub objective: f64,
    /// √diag(H⁻¹/n) of each coefficient, H the Hessian of the objective at the optimum.
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

/// `log(1 + e^z) − y·z` without overflow.
fn log_loss(z: f64, y: bool) -> f64 {
    (-z.abs()).exp().ln_1p() + if y { (-z).max(0.0) } else { z.max(0.0) }
}

/// Mean log-loss in nats of given logits.
pub fn mean_loss(z: &[f64], labels: &[bool]) -> f64 {
    let sum = sum_over_rows(z.len().min(labels.len()), 1, |range, sum| {
        sum[0] += z[range.clone()].iter().zip(&labels[range]).map(|(&z, &y)| log_loss(z, y)).sum::<f64>();
    });
    sum[0] / z.len().max(1) as f64
}

/// Loss + l2/2·‖w‖² of any model on these rows; the arithmetic of FORMATS.md §1.
pub fn objective(x: ArrayView2<'_, f64>, labels: &[bool], coefficients: &[f64], intercept: f64, l2: f64) -> f64 {
    mean_loss(&logits(x, coefficients, intercept), labels) + ridge(coefficients, l2)
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
    let x = x.view();
    let (n, d) = x.dim();
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
    let rate = positives as f64 / n as f64;
    let mut w = vec![0.0; d + 1]; // the intercept comes last
    w[d] = (rate / (1.0 - rate)).ln();
    let value = |w: &[f64]| objective(x, labels, &w[..d], w[d], l2);
    let mut current = value(&w);
    for iterations in 0..=MAX_STEPS {
        let z = logits(x, &w[..d], w[d]);
        let gradient = gradient(x, &z, labels, &w, l2);
        let gradient_max = gradient.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
        if gradient_max.is_nan() {
            break;
        }
        let factor = factor_damped(hessian(x, &z, l2))?;
        if gradient_max < TOLERANCE {
            let variance = factor.inverse();
            let errors: Vec<f64> = variance.diag().iter().map(|v| (v / n as f64).sqrt()).collect();
            let loss = mean_loss(&z, labels);
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

/// Gradient of the objective, the intercept's entry last.
fn gradient(x: ArrayView2<'_, f64>, z: &[f64], labels: &[bool], w: &[f64], l2: f64) -> Vec<f64> {
    let n = z.len() as f64;
    let residuals: Vec<f64> =
        z.par_iter().with_min_len(1024).zip(labels).map(|(&z, &y)| if y { -sigmoid(-z) } else { sigmoid(z) }).collect();
    let mut gradient: Vec<f64> = transposed_times(x, &residuals).iter().zip(w).map(|(g, w)| g / n + l2 * w).collect();
    gradient.push(total(&residuals) / n);
    gradient
}

/// Hessian of the objective, the intercept's row and column last.
fn hessian(x: ArrayView2<'_, f64>, z: &[f64], l2: f64) -> Array2<f64> {
    let (n, d) = (z.len() as f64, x.ncols());
    let slopes: Vec<f64> = z.par_iter().with_min_len(1024).map(|&z| sigmoid(z) * sigmoid(-z)).collect();
    let (block, border) = (gram(x, Some(&slopes)), transposed_times(x, &slopes));
    Array2::from_shape_fn((d + 1, d + 1), |(i, j)| match (i == d, j == d) {
        (false, false) => block[[i, j]] / n + if i == j { l2 } else { 0.0 },
        (true, false) => border[j] / n,
        (false, true) => border[i] / n,
        (true, true) => total(&slopes) / n,
    })
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
    let d = twin.coefficients.len();
    if secure.coefficients.len() != d || x.ncols() != d || x.nrows() != labels.len() {
        let what = format!("{} secure and {d} plaintext coefficients, {} columns", secure.coefficients.len(), x.ncols());
        return Err(Failure::new(Exit::Internal, 600, what));
    }
    let errors = secure.coefficients.iter().zip(&twin.coefficients).zip(&twin.standard_errors).map(|((s, t), se)| (s - t).abs() / se);
    let intercept = (secure.intercept - twin.intercept).abs() / twin.intercept_standard_error;
    Ok(TwinGap {
        loss_gap: objective(x.view(), labels, secure.coefficients, secure.intercept, l2) - twin.objective,
        // Not f64::max, which would hide a NaN.
        max_coefficient_error_se: errors.fold(intercept, |max, e| if e > max || e.is_nan() { e } else { max }),
        auc_gap: secure.test_auc.zip(twin_test_auc).map(|(s, t)| (s - t).abs()),
    })
}

#[cfg(test)]
pub(crate) mod tests;
