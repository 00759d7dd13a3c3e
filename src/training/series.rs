//! Fourier series of σ and σ′ for the trigonometric gate: near-minimax on the interval, tame over the rest of the period.
//!
//! Weighted least squares with Lawson's re-weighting (Lawson 1961) on the interval; over the gap that closes the period a
//! smooth bridge from the function's right end back to its left end is fitted with a small weight, which keeps the series
//! bounded and its coefficients small: they multiply rounding noise. Only the owner computes and uses the coefficients.

use crate::error::{Exit, Failure};
use crate::training::linear::Cholesky;
use colift_algebra::gate::Series;
use ndarray::Array2;
use std::f64::consts::{PI, TAU};

/// Weight of the whole gap against the whole interval.
const GAP: f64 = 1e-7;
/// The same for slopes, which need not be as close on the interval.
pub const HEAVY_GAP: f64 = 1e-5;
/// The same for exponential functions, whose errors count relative to values far below their largest one.
const LIGHT_GAP: f64 = 1e-11;
/// Lawson iterations.
const ITERATIONS: usize = 12;

/// A fitted series and its largest error on the interval.
#[derive(Clone, Debug)]
pub struct FittedSeries {
    /// The coefficients.
    pub series: Series,
    /// Largest absolute error on the interval.
    pub error: f64,
}

/// Width in z over which a bridge's rise is complete, where the gap is wide enough.
const RISE_WIDTH: f64 = 3.0;
/// The same as a part of a narrow gap.
const RISE_SHARE: f64 = 1.0 / 6.0;

/// How the gap that closes a period is bridged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// Weight of the whole gap against the whole interval.
    pub weight: f64,
    /// How far the bridge rises above its ends, soon beyond them.
    pub rise: f64,
    /// The part of the gap at either end over which the bridge keeps that end's value.
    pub hold: f64,
}

impl Gap {
    /// A sigmoid's: predictors slightly beyond the interval have its ends' values.
    pub const SIGMOID: Self = Self { weight: GAP, rise: 0.0, hold: 0.2 };
    /// An exponential function's.
    pub const EXPONENTIAL: Self = Self { weight: LIGHT_GAP, rise: 0.0, hold: 0.0 };
    /// That of the function that tells predictors beyond the interval.
    pub const STRAY: Self = Self { weight: GAP, rise: 0.8, hold: 0.0 };

    /// The bridge from `right` to `left` at this part of a gap so wide.
    fn bridge(&self, progress: f64, width: f64, (right, left): (f64, f64)) -> f64 {
        let between = ((progress - self.hold) / (1.0 - 2.0 * self.hold)).clamp(0.0, 1.0);
        let risen = (progress.min(1.0 - progress) / RISE_SHARE.min(RISE_WIDTH / width)).min(1.0);
        right + (left - right) * (0.5 - 0.5 * (PI * between).cos()) + self.rise * (0.5 * PI * risen).sin().powi(2)
    }
}

/// Fits `function` on \[low, high\] as a series of `period` in z − centre, centre = (low + high) / 2.
///
/// # Errors
/// Exit 1 when the normal equations are singular.
pub fn fit(
    function: &dyn Fn(f64) -> f64,
    low: f64,
    high: f64,
    period: f64,
    harmonics: usize,
    bridge: Gap,
) -> Result<FittedSeries, Failure> {
    let (centre, half) = ((low + high) / 2.0, (high - low) / 2.0);
    let points = 12 * harmonics + 200;
    let gap_points = ((points as f64 * (period - 2.0 * half) / (2.0 * half)) as usize).max(50);
    let unknowns = 2 * harmonics + 1;
    let grid = |from: f64, to: f64, count: usize| (0..count).map(move |i| from + (to - from) * i as f64 / (count - 1) as f64);
    let basis = |u: f64| {
        let mut row = vec![1.0; unknowns];
        for k in 1..=harmonics {
            let (sin, cos) = (TAU * k as f64 * u / period).sin_cos();
            row[k] = cos;
            row[harmonics + k] = sin;
        }
        row
    };
    let inside: Vec<(Vec<f64>, f64)> = grid(-half, half, points).map(|u| (basis(u), function(u + centre))).collect();
    let (left, right) = (function(low), function(high));
    let gap: Vec<(Vec<f64>, f64)> = grid(half, period - half, gap_points)
        .enumerate()
        .map(|(i, u)| {
            let progress = i as f64 / (gap_points - 1) as f64;
            (basis(u), bridge.bridge(progress, period - 2.0 * half, (right, left)))
        })
        .collect();
    let mut weights = vec![1.0 / points as f64; points];
    let mut best: Option<(Vec<f64>, f64)> = None;
    for _ in 0..ITERATIONS {
        let rows = inside.iter().zip(&weights).map(|(p, w)| (p, *w)).chain(gap.iter().map(|p| (p, bridge.weight / gap_points as f64)));
        let coefficients = solve(rows, unknowns)?;
        let errors: Vec<f64> = inside.iter().map(|(row, y)| (dot(row, &coefficients) - y).abs()).collect();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        if best.as_ref().is_none_or(|(_, least)| worst < *least) {
            best = Some((coefficients, worst));
        }
        for (weight, error) in weights.iter_mut().zip(&errors) {
            *weight *= error / worst.max(f64::MIN_POSITIVE) + 0.01;
        }
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
    }
    let (coefficients, error) = best.ok_or_else(singular)?;
    let pairs = (1..=harmonics).map(|k| (coefficients[k], coefficients[harmonics + k])).collect();
    Ok(FittedSeries { series: Series { constant: coefficients[0], harmonics: pairs }, error })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn singular() -> Failure {
    Failure::new(Exit::Internal, 644, "the series' normal equations are singular")
}

/// Weighted least squares by normal equations.
fn solve<'a>(rows: impl Iterator<Item = (&'a (Vec<f64>, f64), f64)>, unknowns: usize) -> Result<Vec<f64>, Failure> {
    let mut gram = Array2::<f64>::zeros((unknowns, unknowns));
    let mut right = vec![0.0; unknowns];
    for ((row, y), weight) in rows {
        for i in 0..unknowns {
            let scaled = weight * row[i];
            right[i] += scaled * y;
            for j in 0..=i {
                gram[[i, j]] += scaled * row[j];
            }
        }
    }
    for i in 0..unknowns {
        gram[[i, i]] += 1e-13;
        for j in 0..i {
            gram[[j, i]] = gram[[i, j]];
        }
    }
    Cholesky::factor(&gram).map(|factor| factor.solve(&right)).ok_or_else(singular)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::training::twin::sigmoid;

    fn value(series: &Series, u: f64, period: f64) -> f64 {
        series.harmonics.iter().enumerate().fold(series.constant, |sum, (k, (a, b))| {
            let (sin, cos) = (TAU * (k + 1) as f64 * u / period).sin_cos();
            sum + a * cos + b * sin
        })
    }

    /// A predictor one or two units beyond the interval must count before its sigmoid is far off: `mgus2`, where it did not, ended 0.3
    /// standard errors off.
    #[test]
    fn what_tells_predictors_outside_rises_before_the_sigmoid_is_off() {
        let (half, harmonics, period) = (15.0, 27, 40.5);
        let cosine = |u: f64| 0.5 * (PI * u / period).cos();
        let stray = fit(&cosine, -half, half, period, harmonics, Gap::STRAY).unwrap();
        let sigmoids = fit(&|z| sigmoid(z - 3.0), -half, half, period, harmonics, Gap::SIGMOID).unwrap();
        let counted = |u: f64| value(&stray.series, u, period) - cosine(u);
        let off = |u: f64| (value(&sigmoids.series, u, period) - sigmoid(u - 3.0)).abs();
        assert!((0..=300).all(|i| counted(f64::from(i) / 10.0 - half).abs() < 1e-4));
        for beyond in [1.5, 2.0, 3.0, 4.0, 6.0] {
            assert!(counted(half + beyond) > 0.3 && counted(-half - beyond) > 0.3, "{beyond} beyond");
        }
        for beyond in [0.5, 1.0, 1.5] {
            assert!(off(half + beyond) < 0.02 && off(-half - beyond) < 0.02, "{beyond} beyond");
        }
    }

    #[test]
    fn sigmoid_and_its_slope_are_close_and_bounded() {
        for (low, high, harmonics, period, limit) in
            [(-14.2, 5.8, 12, 27.0, 2e-4), (-14.2, 5.8, 24, 54.0, 1e-4), (-60.0, 60.0, 72, 162.0, 2e-4)]
        {
            let slope = |z: f64| sigmoid(z) * (1.0 - sigmoid(z));
            for (function, top) in [(&sigmoid as &dyn Fn(f64) -> f64, 1.0), (&slope, 0.25)] {
                let fitted = fit(function, low, high, period, harmonics, Gap::SIGMOID).unwrap();
                assert!(fitted.error < limit, "error {}", fitted.error);
                for i in 0..1000 {
                    let u = period * (f64::from(i) / 1000.0 - 0.5);
                    let y = value(&fitted.series, u, period);
                    assert!((-0.1..top + 0.1).contains(&y), "{y} at {u}");
                    if u.abs() < (high - low) / 2.0 {
                        assert!((y - function(u + (low + high) / 2.0)).abs() < 1.1 * limit);
                    }
                }
            }
        }
    }
}
