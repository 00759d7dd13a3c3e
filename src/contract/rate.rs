//! The bucket of the label's rate that both sides sign: the training schedule depends on it, never on the data.

use super::fields::{OUT_OF_RANGE, usage};
use crate::data::wording::shown;
use crate::error::Failure;
use std::fmt;

/// Ends of the standard buckets in percent.
const STANDARD: [f64; 14] = [0.001, 0.01, 0.05, 0.2, 1.0, 5.0, 20.0, 50.0, 80.0, 95.0, 99.0, 99.8, 99.95, 99.99];

/// Widest bucket on the logit scale: beyond it the schedule would fit neither end.
const WIDEST: f64 = 4.0;

/// A range of rates, such as `5-20%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateBucket {
    low_percent: f64,
    high_percent: f64,
}

impl RateBucket {
    /// A bucket by its ends in percent.
    ///
    /// # Errors
    /// Exit code 2: the ends are not `0.001 ≤ low < high ≤ 99.999`, or lie more than 4 apart on the logit scale.
    pub fn new(low_percent: f64, high_percent: f64) -> Result<Self, Failure> {
        let bucket = Self { low_percent, high_percent };
        if !(low_percent >= 0.001 && low_percent < high_percent && high_percent <= 99.999) {
            return Err(refused(format!(
                "expected_rate is {}, its ends must be 0.001 to 99.999 with the smaller first",
                shown(&bucket.to_string())
            )));
        }
        if logit(bucket.high()) - logit(bucket.low()) > WIDEST {
            return Err(refused(format!("expected_rate is {}, a bucket too wide to plan for", shown(&bucket.to_string()))));
        }
        Ok(bucket)
    }

    /// Reads `5-20%`.
    ///
    /// # Errors
    /// Exit code 2: another form, or as [`RateBucket::new`].
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let ends = || -> Option<(f64, f64)> {
            let (low, high) = text.trim().strip_suffix('%')?.split_once(['-', '–'])?;
            let number = |end: &str| {
                let end = end.trim();
                let plain = !end.is_empty() && end.len() <= 20 && end.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                plain.then(|| end.parse::<f64>().ok()).flatten()
            };
            Some((number(low)?, number(high)?))
        };
        let (low, high) = ends().ok_or_else(|| refused(format!("expected_rate is {}, it is written as two percentages", shown(text))))?;
        Self::new(low, high)
    }

    /// The standard bucket that holds a rate; None unless the rate lies strictly between 0 and 1.
    #[must_use]
    pub fn for_rate(rate: f64) -> Option<Self> {
        if !(rate > 0.0 && rate < 1.0) {
            return None;
        }
        // Rates beyond the outer ends belong to the outer buckets.
        let mut found = Self::standard().next()?;
        for bucket in Self::standard().take_while(|bucket| bucket.low() <= rate) {
            found = bucket;
        }
        Some(found)
    }

    /// The standard buckets in order.
    pub fn standard() -> impl Iterator<Item = Self> {
        STANDARD.iter().zip(STANDARD.iter().skip(1)).map(|(low, high)| Self { low_percent: *low, high_percent: *high })
    }

    /// The lower end as a share of one.
    #[must_use]
    pub fn low(self) -> f64 {
        self.low_percent / 100.0
    }

    /// The upper end as a share of one.
    #[must_use]
    pub fn high(self) -> f64 {
        self.high_percent / 100.0
    }

    /// Both ends as shares of one.
    #[must_use]
    pub fn ends(self) -> (f64, f64) {
        (self.low(), self.high())
    }

    /// The public centre of the logits: the mean of the logits of both ends.
    #[must_use]
    pub fn base_logit(self) -> f64 {
        f64::midpoint(logit(self.low()), logit(self.high()))
    }
}

impl fmt::Display for RateBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}%", self.low_percent, self.high_percent)
    }
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

fn refused(what: String) -> Failure {
    let list: Vec<String> = RateBucket::standard().map(|bucket| bucket.to_string()).collect();
    usage(OUT_OF_RANGE, what).at("[shared] expected_rate").hint(format!("one of {}", list.join(", ")))
}
