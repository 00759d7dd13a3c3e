//! Figures on the test rows: AUC, KS, log-loss, recall and lift; those of predicted amounts; curves for the report, bootstrap of the gain,
//! and what contacting a share of the users earns.
//!
//! Every figure is defined once in FORMATS.md §1. Ties never depend on the order of the rows: tied scores share their ranks.

mod bootstrap;
mod curves;
mod money;
pub(crate) mod random;
mod ranking;
mod value;
mod wald;

pub use bootstrap::{BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Gain, Interval, paired_bootstrap};
pub use curves::{CalibrationBin, Curves, Point};
pub use money::{Money, Profit, ProfitPoint, profit_bootstrap};
pub use ranking::Ranking;
pub use value::{Tenth, VALUE_LINES, Value, ValueFigures, ValueIntervals, ValueLine, value_bootstrap};
pub use wald::Wald;

use serde::{Deserialize, Serialize};

/// The figures of one model on the test rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Area under the ROC curve, tied scores by mid-ranks.
    pub auc: f64,
    /// Two-sample Kolmogorov–Smirnov distance of the scores of positives and negatives.
    pub ks: f64,
    /// Mean log-loss in nats.
    pub log_loss: f64,
    /// Share of the positives among the ⌊n/5⌋ highest scores.
    pub recall_at_20: f64,
    /// Share of the positives among the ⌊2n/5⌋ highest scores.
    pub recall_at_40: f64,
    /// `recall_at_40` / 0.4.
    pub lift_at_40: f64,
}

/// The figures of scores that are probabilities; `None` where the labels hold one class only (or no row).
pub fn metrics(probabilities: &[f64], labels: &[bool]) -> Option<Metrics> {
    let ranking = Ranking::new(probabilities, labels)?;
    let recall_at_40 = ranking.recall_at(0.4);
    Some(Metrics {
        auc: ranking.auc(),
        ks: ranking.ks(),
        log_loss: log_loss(probabilities, labels),
        recall_at_20: ranking.recall_at(0.2),
        recall_at_40,
        lift_at_40: recall_at_40 / 0.4,
    })
}

/// Mean log-loss in nats; probabilities of 0 and 1 are moved by one rounding unit, as scikit-learn does.
pub fn log_loss(probabilities: &[f64], labels: &[bool]) -> f64 {
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(&p, &y)| {
            let p = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            if y { -p.ln() } else { -(1.0 - p).ln() }
        })
        .sum();
    sum / probabilities.len().max(1) as f64
}

#[cfg(test)]
mod tests;
