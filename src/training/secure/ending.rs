//! How a training ends: the guards of the end check's inner product, and what is said when no check was passed.

use crate::contract::Disclosure;
use crate::error::{Exit, Failure};
use crate::training::family::Family;
use crate::training::schedule::{Interval, Schedule};

/// Root of how much larger than gradients steps may be.
const STEP_OVER_MIDDLE: f64 = 7.0;
/// Largest inner product of the end check whose share is exact.
pub(super) const LARGEST_PRODUCT: f64 = 0.24;

/// Entries of a step and of a gradient of this length up to which their inner product is below [`LARGEST_PRODUCT`]. Near the end steps
/// are the larger ones, by one over the curvature.
pub(super) fn largest_factors(length: usize) -> (f64, f64) {
    let middle = (LARGEST_PRODUCT / length as f64).sqrt();
    (STEP_OVER_MIDDLE * middle, middle / STEP_OVER_MIDDLE)
}

/// Why no end check was passed, and what to sign instead.
pub(super) fn not_converged(schedule: &Schedule, [near, ranged]: [bool; 2]) -> Failure {
    let steps = schedule.max_extra;
    let what = match (near, ranged) {
        (_, false) => format!("predictors left the range of the sigmoid's series, also after {steps} further steps; no model was opened"),
        _ => format!("the training did not converge within {steps} further steps; no model was opened"),
    };
    let separated = "no column is known to be the cause";
    let hint = match schedule.sizes.family {
        Family::Linear => "raise l2, check label_scale and the share of rows that count, or leave out columns".to_owned(),
        Family::Poisson | Family::Gamma => {
            let Interval { low, high } = schedule.span(schedule.widest()).interval;
            format!("set logit_range = [{:.1}, {:.1}] in both jobs, check label_scale, or raise l2", low - 1.0, high + 1.0)
        }
        Family::Logistic if !ranged => {
            format!(
                "raise max_extra_steps in both jobs; {separated}: if the labels are nearly separated, raise l2 tenfold, check expected_rate, or \
                 leave out columns that know the label"
            )
        }
        Family::Logistic => format!(
            "{separated}: raise max_extra_steps in both jobs, raise l2, lower clip where columns have extreme values, or leave out columns \
             that are nearly copies of columns of the peer"
        ),
    };
    Failure::new(Exit::NotConverged, 648, what).at(format!("end check {}", Disclosure::ConvergedAndInRange)).hint(hint)
}
