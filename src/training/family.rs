//! The families of models: what a linear predictor z says about a label, and how far it is off.
//!
//! | family | mean of the label | loss of a row | residual r = ∂loss/∂z | slope s used in Hessians |
//! |---|---|---|---|---|
//! | logistic | σ(z) | log(1 + e^z) − y·z | σ(z) − y | σ(z)·(1 − σ(z)) |
//! | linear | z | (z − y)²/2 | z − y | 1 |
//! | Poisson | e^z | e^z − y·z | e^z − y | e^z |
//! | gamma | e^z | z + y·e^−z | 1 − y·e^−z | 1 (Fisher's) |
//!
//! Labels of the last three are counted in units of a public scale that both sides sign, near the label's deviation (linear) or mean
//! (Poisson, gamma). Rows may have weights u of the owner's, 0 or 1 (who paid) or real: the objective is
//! F = 1/n · Σ u_i·loss_i + λ/2·‖w‖², n all training rows. Source: McCullagh and Nelder, Generalized Linear Models (1989).

use crate::error::{Exit, Failure};
use crate::training::twin::sigmoid;
use serde::{Deserialize, Serialize};

/// Largest absolute label, in units of its scale.
const LARGEST_LABEL: f64 = 1_024.0;
/// The same of a linear model, whose residuals are multiplied by integer weights modulo 2^50.
const LARGEST_LINEAR_LABEL: f64 = 64.0;

/// A family of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Yes or no.
    #[default]
    Logistic,
    /// Any number: least squares.
    Linear,
    /// Counts, or other numbers from 0 on, with log link.
    Poisson,
    /// Amounts above 0, with log link.
    Gamma,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Logistic, Self::Linear, Self::Poisson, Self::Gamma];

    /// Whether the slopes in its Hessians do not depend on the weights of the model.
    #[must_use]
    pub fn has_fixed_slopes(self) -> bool {
        matches!(self, Self::Linear | Self::Gamma)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Linear => "linear",
            Self::Poisson => "poisson",
            Self::Gamma => "gamma",
        }
    }

    /// The mean of a label with this predictor.
    #[must_use]
    pub fn mean(self, z: f64) -> f64 {
        match self {
            Self::Logistic => sigmoid(z),
            Self::Linear => z,
            Self::Poisson | Self::Gamma => z.exp(),
        }
    }

    /// The predictor of a label with this mean.
    #[must_use]
    pub fn link(self, mean: f64) -> f64 {
        match self {
            Self::Logistic => (mean / (1.0 - mean)).ln(),
            Self::Linear => mean,
            Self::Poisson | Self::Gamma => mean.ln(),
        }
    }

    /// The loss of a row, up to what does not depend on z.
    #[must_use]
    pub fn loss(self, z: f64, y: f64) -> f64 {
        match self {
            Self::Logistic => (-z.abs()).exp().ln_1p() + z.max(0.0) - y * z,
            Self::Linear => (z - y) * (z - y) / 2.0,
            Self::Poisson => z.exp() - y * z,
            Self::Gamma => z + y * (-z).exp(),
        }
    }

    /// The derivative of the loss in z.
    #[must_use]
    pub fn residual(self, z: f64, y: f64) -> f64 {
        match self {
            Self::Logistic if y == 1.0 => -sigmoid(-z),
            Self::Logistic => sigmoid(z) - y,
            Self::Linear => z - y,
            Self::Poisson => z.exp() - y,
            Self::Gamma => 1.0 - y * (-z).exp(),
        }
    }

    /// The second derivative of the loss in z.
    #[must_use]
    pub fn curvature(self, z: f64, y: f64) -> f64 {
        match self {
            Self::Logistic => sigmoid(z) * sigmoid(-z),
            Self::Linear => 1.0,
            Self::Poisson => z.exp(),
            Self::Gamma => y * (-z).exp(),
        }
    }

    /// The squared Pearson residual: its mean is the dispersion, by which variances are multiplied.
    #[must_use]
    pub fn pearson(self, z: f64, y: f64) -> f64 {
        let deviation = y - self.mean(z);
        match self {
            // Fixed at 1: the variance of a yes or no follows from its mean.
            Self::Logistic => 1.0,
            Self::Linear => deviation * deviation,
            Self::Poisson => deviation * deviation / self.mean(z),
            Self::Gamma => deviation * deviation / (self.mean(z) * self.mean(z)),
        }
    }

    /// Refuses labels that the family does not have. Rows with weight 0 do not count.
    ///
    /// # Errors
    /// Exit 13, E0631: a label out of the family's domain, or too far out in units of the label's scale.
    pub fn check(self, labels: &[f64], weights: Option<&[f64]>) -> Result<(), Failure> {
        let counts = |i: usize| weights.is_none_or(|weights| weights.get(i).is_some_and(|u| *u != 0.0));
        let (fits, domain): (fn(f64) -> bool, _) = match self {
            Self::Logistic => (|y| y == 0.0 || y == 1.0, "0 or 1"),
            Self::Linear => (|y| y.abs() <= LARGEST_LINEAR_LABEL, "a number of at most 64 scales"),
            Self::Poisson => (|y| (0.0..=LARGEST_LABEL).contains(&y), "0 or more, and at most 1,024 scales"),
            Self::Gamma => (|y| y > 0.0 && y <= LARGEST_LABEL, "above 0, and at most 1,024 scales"),
        };
        let wrong = labels.iter().enumerate().filter(|(i, y)| counts(*i) && !fits(**y)).count();
        if wrong == 0 {
            return Ok(());
        }
        let what = format!("{wrong} of {} labels do not fit a {} model: each must be {domain}", labels.len(), self.name());
        Err(Failure::new(Exit::Data, 631, what).hint("choose another family, leave those rows out, or sign a larger label_scale"))
    }
}

/// What both sides sign about the owner's row weights; the weights stay with the owner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HiddenWeights {
    /// Lower end of the signed bucket of their mean; with 0/1 weights the share of rows that count.
    pub mean_low: f64,
    /// Upper end of it.
    pub mean_high: f64,
    /// None is above this; 1 or a larger power of two.
    pub limit: f64,
    /// Whether all are 0 or 1.
    pub binary: bool,
}

impl HiddenWeights {
    /// Weights of 0 and 1 whose mean lies in a bucket.
    #[must_use]
    pub fn membership(mean_low: f64, mean_high: f64) -> Self {
        Self { mean_low, mean_high, limit: 1.0, binary: true }
    }

    /// The middle of the bucket.
    #[must_use]
    pub fn mean(&self) -> f64 {
        (self.mean_low * self.mean_high).sqrt()
    }

    /// Refuses weights beyond what was signed.
    ///
    /// # Errors
    /// Exit 13, E0632: a weight that is not in [0, limit], or not 0 or 1; or all are 0.
    pub fn check(&self, weights: &[f64]) -> Result<(), Failure> {
        let fits = |u: f64| (0.0..=self.limit).contains(&u) && (!self.binary || u == 0.0 || u == 1.0);
        let wrong = weights.iter().filter(|u| !fits(**u)).count();
        let allowed = if self.binary { "0 or 1".to_owned() } else { format!("from 0 to {}", self.limit) };
        if wrong > 0 {
            return Err(Failure::new(Exit::Data, 632, format!("{wrong} of {} row weights are not {allowed}", weights.len())));
        }
        if weights.iter().all(|u| *u == 0.0) {
            return Err(Failure::new(Exit::Data, 632, format!("all {} row weights are 0", weights.len())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn residuals_and_curvatures_are_the_losses_derivatives() {
        for family in Family::ALL {
            for (z, y) in [(-2.3, 1.0), (0.4, 1.0), (1.7, 1.0), (0.1, 1.0)] {
                let h = 1e-5;
                let slope = (family.loss(z + h, y) - family.loss(z - h, y)) / (2.0 * h);
                assert!((slope - family.residual(z, y)).abs() < 1e-6, "{family:?}");
                let bend = (family.residual(z + h, y) - family.residual(z - h, y)) / (2.0 * h);
                assert!((bend - family.curvature(z, y)).abs() < 1e-6, "{family:?}");
                assert!((family.link(family.mean(z)) - z).abs() < 1e-12);
                // The mean is where the expected residual is 0.
                let mean = family.mean(z);
                assert!(family.residual(z, mean).abs() < 1e-12, "{family:?}");
            }
        }
    }

    #[test]
    fn labels_and_weights_out_of_their_domain_are_refused() {
        assert!(Family::Gamma.check(&[1.0, 0.0], None).is_err());
        assert!(Family::Gamma.check(&[1.0, 0.0], Some(&[1.0, 0.0])).is_ok());
        assert!(Family::Poisson.check(&[0.0, -1.0], None).is_err());
        assert!(Family::Logistic.check(&[0.0, 0.5], None).is_err());
        assert!(Family::Linear.check(&[-3.0, f64::NAN], None).is_err());
        let payers = HiddenWeights::membership(0.05, 0.2);
        assert!(payers.check(&[0.0, 1.0]).is_ok());
        assert_eq!(payers.check(&[0.0, 0.5]).unwrap_err().exit, Exit::Data);
        assert_eq!(payers.check(&[0.0, 0.0]).unwrap_err().exit, Exit::Data);
        let real = HiddenWeights { limit: 4.0, binary: false, ..payers };
        assert!(real.check(&[0.0, 3.5]).is_ok() && real.check(&[4.5]).is_err());
    }
}
