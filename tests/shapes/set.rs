//! A data set in memory, trained by both parties over a memory pair and judged by the twin.

use colift::contract::Disclosure;
use colift::error::Failure;
use colift::evaluation::Ranking;
use colift::training::family::Family;
use colift::training::features::Features;
use colift::training::opening::Ledger;
use colift::training::response::OwnerInput;
use colift::training::scaling::Scaling;
use colift::training::schedule::{PublicSizes, Schedule};
use colift::training::secure::{Trained, train};
use colift::training::twin::{self, SecureModel, Target};
use colift::training::whitening::Dependence;
use colift_algebra::Engine;
use colift_channel::memory::MemoryChannel;
use colift_correlation::Role;
use colift_testkit::run_pair;
use ndarray::{Array2, Axis, concatenate};

/// Standardised columns of both sides, labels and row weights.
pub struct Set {
    pub owner: Array2<f64>,
    pub partner: Array2<f64>,
    pub labels: Vec<f64>,
    pub weights: Option<Vec<f64>>,
}

/// How far a secure model is from its twin.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// Secure objective − twin objective.
    pub gap: f64,
    /// Largest coefficient error in standard errors.
    pub standard_errors: f64,
    /// |secure − twin| AUC on the training rows, of a logistic model.
    pub auc_gap: f64,
}

impl Distance {
    /// The figures that every model that is opened must keep. A comparison with NaN is false: it counts as wrong.
    pub fn near(&self) -> bool {
        self.gap.abs() <= 1e-5 && self.standard_errors <= 0.1 && self.auc_gap <= 0.0005
    }
}

/// Columns standardised and cut as a run does it; constant ones are dropped.
pub fn standardised(columns: &[Vec<f64>], clip: f64) -> Array2<f64> {
    let names: Vec<String> = (0..columns.len()).map(|j| format!("c{j}")).collect();
    Scaling::fit(columns, &names, clip).unwrap().apply(columns).unwrap()
}

impl Set {
    /// The public sizes of a logistic training with this bucket.
    pub fn logistic(&self, rate: (f64, f64)) -> PublicSizes {
        let rank = |columns: &Array2<f64>| Dependence::of(columns.view()).rank();
        PublicSizes::logistic(self.labels.len(), rank(&self.owner), rank(&self.partner), rate)
    }

    /// One training of both sides, or what it ended with before or at the end check.
    pub fn train(&self, sizes: PublicSizes, base_logit: f64, l2: f64) -> Result<(Trained, Trained), Failure> {
        let schedule = Schedule::new(sizes)?;
        let features = (Features::new(&self.owner, l2, true)?, Features::new(&self.partner, l2, false)?);
        let side = |role: Role, features: &Features, channel: &mut MemoryChannel| {
            let mut engine = Engine::setup(channel, role)?;
            let mut ledger = Ledger::new(&[Disclosure::OwnWeights, Disclosure::ConvergedAndInRange]);
            let input = OwnerInput { labels: &self.labels, weights: self.weights.as_deref(), base_logit };
            let input = (role == Role::First).then_some(input);
            train(&mut engine, channel, features, input, &schedule, &mut ledger, &|_, _| ())
        };
        let (owner, partner, ..) =
            run_pair(|channel| side(Role::First, &features.0, channel), |channel| side(Role::Second, &features.1, channel));
        assert_eq!(owner.is_ok(), partner.is_ok(), "one side has a model, the other has none");
        Ok((owner?, partner?))
    }

    /// Trains and compares, or what the training ended with.
    pub fn distance(&self, sizes: PublicSizes, base_logit: f64, l2: f64) -> Result<Distance, Failure> {
        let (owner, partner) = self.train(sizes, base_logit, l2)?;
        let x = concatenate(Axis(1), &[self.owner.view(), self.partner.view()]).unwrap();
        let target = Target { family: sizes.family, labels: &self.labels, weights: self.weights.as_deref() };
        let fit = twin::fit(&x, &target, l2).unwrap();
        let coefficients: Vec<f64> = owner.coefficients.iter().chain(&partner.coefficients).copied().collect();
        let intercept = owner.intercept.unwrap();
        let model = SecureModel { intercept, coefficients: &coefficients, test_auc: None };
        let gap = twin::distance(&x, &target, l2, &model, &fit, None).unwrap();
        let auc = |coefficients: &[f64], intercept: f64| {
            let yes: Vec<bool> = self.labels.iter().map(|y| *y == 1.0).collect();
            Ranking::new(&twin::logits(x.view(), coefficients, intercept), &yes).map_or(f64::NAN, |ranking| ranking.auc())
        };
        let auc_gap = if sizes.family == Family::Logistic {
            (auc(&coefficients, intercept) - auc(&fit.coefficients, fit.intercept)).abs()
        } else {
            0.0
        };
        Ok(Distance { gap: gap.loss_gap, standard_errors: gap.max_coefficient_error_se, auc_gap })
    }
}
