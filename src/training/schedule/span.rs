//! How wide the gate's functions are fitted, and how finely: the planned span, wider ones, and the other period of end checks.

use super::{COLUMN_BITS, MOST_FUNCTION_BITS, WEIGHT_BITS, WIDEST_INTERVAL, steps};
use crate::training::family::Family;

/// Every second end check has a period that is longer by this factor.
const OTHER_PERIOD: f64 = 1.18;
/// Half widths of the wider intervals.
const WIDER: [f64; 2] = [32.0, 80.0];
/// What an exponential function's interval is widened by on either side.
const EXPONENTIAL_WIDER: f64 = 1.5;

/// The interval on which the gate's functions are fitted, around the base logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end minus base logit.
    pub low: f64,
    /// Upper end minus base logit.
    pub high: f64,
}

/// How wide the gate's functions are fitted, and how finely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The interval; all spans of a training have one centre.
    pub interval: Interval,
    /// Harmonics where a Hessian is made: slopes need more than residuals.
    pub harmonics: usize,
    /// Fraction bits of sines and cosines.
    pub trigonometric_bits: u32,
    /// The gate's frequency c, even; the end check halves it.
    pub frequency: u64,
    /// ⌈log₂⌉ of the largest value of the gate's function on its interval.
    pub function_bits: u32,
}

impl Span {
    /// The span of an interval with so many harmonics and bits.
    pub(super) fn new(family: Family, interval: Interval, harmonics: usize, trigonometric_bits: u32) -> Self {
        // Period 1.35 widths; an even frequency, for the end check's half harmonic.
        let scale = (1u64 << (50 - COLUMN_BITS - WEIGHT_BITS)) as f64;
        let frequency = 2 * (scale / (2.0 * 1.35 * (interval.high - interval.low))).floor() as u64;
        // ⌈x·log₂ e⌉: exact products, so both sides agree.
        let function_bits = |top: f64| (top * std::f64::consts::LOG2_E).ceil().max(0.0) as u32;
        let function_bits = match family {
            Family::Logistic | Family::Linear => 0,
            Family::Poisson => function_bits(interval.high),
            Family::Gamma => function_bits(-interval.low),
        };
        Self { interval, harmonics, trigonometric_bits, frequency, function_bits }
    }

    /// The period in z.
    #[must_use]
    pub fn period(&self) -> f64 {
        period(self.frequency)
    }

    /// The same interval with a longer period: predictors periods away, which one of the two takes for others, the other does not.
    pub(super) fn other(&self) -> Self {
        let frequency = 2 * (self.frequency as f64 / (2.0 * OTHER_PERIOD)).floor() as u64;
        Self { frequency, harmonics: other_harmonics(self.harmonics), ..*self }
    }

    /// The wider ones after this one, with the same centre.
    pub(super) fn wider(&self, family: Family) -> Vec<Self> {
        let Interval { low, high } = self.interval;
        let (centre, half) = ((low + high) / 2.0, (high - low) / 2.0);
        let around = |half: f64| Interval { low: centre - half, high: centre + half };
        match family {
            Family::Linear => Vec::new(),
            Family::Logistic => {
                let halves = WIDER.into_iter().filter(|wider| *wider > half);
                let fine = |half: f64| Self::new(family, around(half), steps::hessian_harmonics(2.0 * half), steps::FINE_BITS);
                halves.map(fine).collect()
            }
            Family::Poisson | Family::Gamma => {
                let half = half + EXPONENTIAL_WIDER;
                let wider = Self::new(family, around(half), steps::exponential_harmonics(2.0 * half), steps::FINE_BITS);
                [wider].into_iter().filter(|span| span.function_bits <= MOST_FUNCTION_BITS && 2.0 * half <= WIDEST_INTERVAL).collect()
            }
        }
    }
}

/// The period in z of a gate's frequency.
#[must_use]
pub fn period(frequency: u64) -> f64 {
    (1u64 << (50 - COLUMN_BITS - WEIGHT_BITS)) as f64 / frequency as f64
}

/// Harmonics of a longer period that follow a function as closely.
pub(super) fn other_harmonics(harmonics: usize) -> usize {
    (OTHER_PERIOD * harmonics as f64).round() as usize
}
