//! The heads of a task: which models are trained for one label, on what, and how their predictors become one prediction.
//!
//! | task | heads | prediction |
//! |---|---|---|
//! | logistic | yes or no on all rows | σ(z) |
//! | linear | least squares of the label | z |
//! | poisson | counts with log link | e^z |
//! | gamma | amounts with log link, on payers | e^z, of those who pay |
//! | log_normal | least squares of ln(amount), on payers | e^min(z + s²/2, cap), of those who pay |
//! | hurdle | who pays on all rows; ln(amount) on payers | σ(z₁)·e^min(z₂ + s²/2, cap) |
//!
//! A payer is a row whose label is above 0: only the owner knows which. s² is the mean squared residual of the payers' logarithms on
//! the training rows, at most [`MOST_VARIANCE`]. The trainer sees labels in units that the owner chooses alone (centred, or divided by
//! their deviation or mean) where that changes nothing but intercepts and a factor: [`Units`] leads back. A signed ridge of a head on payers
//! is the job's l2 times the middle of the signed share of payers, so that it counts per payer. One that is not signed is 1/rows for every
//! head: with p payers the objective is p/rows of theirs alone, whose ridge is thus 1/p.

use crate::contract::{Task, TrainingTerms};
use crate::error::{Exit, Failure};
use crate::training::family::{Family, HiddenWeights};
use crate::training::schedule::PublicSizes;
use crate::training::twin::{Fit, Target, fit, logits, sigmoid};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// Largest variance of the logarithm that a prediction uses: e^(9/2) is 90 times the median.
pub const MOST_VARIANCE: f64 = 9.0;
/// A cap of a logarithm that is not signed lies a whole number above the largest one, by 1 to 2.
const CAP_MARGIN: f64 = 1.0;
/// Labels of a linear model are divided so that none lies further than this from their mean.
const FARTHEST: f64 = 60.0;

/// One model of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A 0/1 label.
    YesNo,
    /// Whether an amount is above 0.
    Pays,
    /// Least squares.
    Number,
    /// A count.
    Count,
    /// The amount of payers, gamma.
    Amount,
    /// The logarithm of the amount of payers, least squares.
    LogAmount,
}

impl Head {
    /// The heads of a task, in the order of their training.
    #[must_use]
    pub fn of(task: Task) -> &'static [Self] {
        match task {
            Task::Logistic => &[Self::YesNo],
            Task::Linear => &[Self::Number],
            Task::Poisson => &[Self::Count],
            Task::Gamma => &[Self::Amount],
            Task::LogNormal => &[Self::LogAmount],
            Task::Hurdle => &[Self::Pays, Self::LogAmount],
        }
    }

    /// Of a list with an entry for each head of each label, that of the last label's first head.
    #[must_use]
    pub fn first_of_last<T>(task: Task, of_heads: &[T]) -> Option<&T> {
        of_heads.get(of_heads.len().saturating_sub(Self::of(task).len()))
    }

    /// All heads of a training, label after label: the label's place and the head.
    pub fn all(terms: &TrainingTerms) -> impl Iterator<Item = (usize, Self)> {
        let heads = Self::of(terms.task);
        (0..terms.labels.len()).flat_map(move |label| heads.iter().map(move |head| (label, *head)))
    }

    /// Its family.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::YesNo | Self::Pays => Family::Logistic,
            Self::Number | Self::LogAmount => Family::Linear,
            Self::Count => Family::Poisson,
            Self::Amount => Family::Gamma,
        }
    }

    /// Whether only rows with a label above 0 count.
    #[must_use]
    pub fn on_payers(self) -> bool {
        matches!(self, Self::Amount | Self::LogAmount)
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::YesNo => "yes_no",
            Self::Pays => "pays",
            Self::Number => "number",
            Self::Count => "count",
            Self::Amount => "amount",
            Self::LogAmount => "log_amount",
        }
    }

    /// The ridge of this head in a fit on so many rows; a signed one of a head on payers counts per payer.
    #[must_use]
    pub fn l2(self, terms: &TrainingTerms, label: usize, rows: usize) -> f64 {
        match terms.l2.signed() {
            Some(l2) => l2 * self.weights(terms, label).map_or(1.0, |weights| weights.mean()),
            None => terms.ridge(rows),
        }
    }

    /// What a row tells of the weights, roughly and as far as it is public: the second derivative of its loss. Of a rare label that is
    /// its rate.
    #[must_use]
    pub fn information(self, terms: &TrainingTerms, label: usize) -> f64 {
        match self {
            Self::YesNo | Self::Pays => {
                let rate = sigmoid(self.base_logit(terms, label));
                rate.min(1.0 - rate)
            }
            Self::Amount | Self::LogAmount => self.weights(terms, label).map_or(1.0, |weights| weights.mean()),
            Self::Number | Self::Count => 1.0,
        }
    }

    /// The same of the owner's own labels.
    #[must_use]
    pub fn information_of(self, terms: &TrainingTerms, values: &[f64]) -> f64 {
        let mean = |of: &dyn Fn(f64) -> f64| values.iter().map(|value| of(*value)).sum::<f64>() / values.len().max(1) as f64;
        let above = mean(&|value| f64::from(u8::from(value > 0.0)));
        match self {
            Self::YesNo | Self::Pays => above.min(1.0 - above),
            Self::Amount | Self::LogAmount => above,
            Self::Count => mean(&|value| value / terms.label_scale),
            Self::Number => 1.0,
        }
    }

    fn weights(self, terms: &TrainingTerms, label: usize) -> Option<HiddenWeights> {
        let bucket = terms.rate(label).filter(|_| self.on_payers())?;
        Some(HiddenWeights::membership(bucket.low(), bucket.high()))
    }

    /// What is public about this head's training.
    #[must_use]
    pub fn sizes(self, terms: &TrainingTerms, label: usize, rows: usize, columns: (usize, usize)) -> PublicSizes {
        let rate = terms.rate(label).filter(|_| self.family() == Family::Logistic);
        PublicSizes {
            family: self.family(),
            weights: self.weights(terms, label),
            logit_range: terms.logit_range.filter(|_| self != Self::LogAmount).map(|[low, high]| (low, high)),
            tolerance: terms.tolerance,
            max_extra: terms.max_extra_steps as usize,
            ..PublicSizes::logistic(rows, columns.0, columns.1, rate.map_or((0.25, 0.75), |rate| rate.ends()))
        }
    }

    /// The logit around which a logistic head's interval lies.
    #[must_use]
    pub fn base_logit(self, terms: &TrainingTerms, label: usize) -> f64 {
        terms.rate(label).filter(|_| self.family() == Family::Logistic).map_or(0.0, |rate| rate.base_logit())
    }
}

/// From the trainer's predictors to the label's: `shift + factor·z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Units {
    /// Added to the intercept.
    pub shift: f64,
    /// By which all weights, the partner's too, are multiplied; 1 but for linear models.
    pub factor: f64,
}

/// A label as one head is trained on it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadLabels {
    /// The head.
    pub head: Head,
    /// One a row, in the trainer's units.
    pub labels: Vec<f64>,
    /// 1 for payers and 0 for others, of a head on payers.
    pub weights: Option<Vec<f64>>,
    /// The way back.
    pub units: Units,
}

impl HeadLabels {
    /// Prepares a label's values for one head.
    ///
    /// # Errors
    /// Exit 13, E0554: nothing to learn: labels that are all alike, or nobody who pays.
    pub fn new(head: Head, values: &[f64], terms: &TrainingTerms) -> Result<Self, Failure> {
        let pays = |value: &f64| f64::from(u8::from(*value > 0.0));
        let nothing = |what: &str| {
            Failure::new(Exit::Data, 554, format!("{what} among {} training users", values.len()))
                .hint("match more users, or choose another label or task")
        };
        let counted: Vec<f64> = values.iter().copied().filter(|value| !head.on_payers() || *value > 0.0).collect();
        if counted.is_empty() {
            return Err(nothing("nobody pays (no label is above 0)"));
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (labels, units) = match head {
            Head::YesNo | Head::Pays => (values.iter().map(pays).collect(), Units { shift: 0.0, factor: 1.0 }),
            Head::Number => {
                let centre = mean(values);
                let far = values.iter().fold(0.0, |most: f64, value| most.max((value - centre).abs()));
                let deviation = mean(&values.iter().map(|value| (value - centre).powi(2)).collect::<Vec<_>>()).sqrt();
                let scale = deviation.max(far / FARTHEST);
                (values.iter().map(|value| (value - centre) / scale).collect(), Units { shift: centre, factor: scale })
            }
            Head::Count => {
                let scale = terms.label_scale;
                (values.iter().map(|value| value / scale).collect(), Units { shift: scale.ln(), factor: 1.0 })
            }
            Head::Amount => {
                let scale = mean(&counted);
                (values.iter().map(|value| value / scale).collect(), Units { shift: scale.ln(), factor: 1.0 })
            }
            Head::LogAmount => {
                let centre = mean(&counted.iter().map(|value| value.ln()).collect::<Vec<_>>());
                let log = |value: &f64| if *value > 0.0 { value.ln() - centre } else { 0.0 };
                (values.iter().map(log).collect(), Units { shift: centre, factor: 1.0 })
            }
        };
        let prepared = Self { head, labels, weights: head.on_payers().then(|| values.iter().map(pays).collect()), units };
        let first = prepared.labels.first();
        match head {
            Head::YesNo | Head::Pays | Head::Number | Head::Count if prepared.labels.iter().all(|label| Some(label) == first) => {
                Err(nothing(if head == Head::Pays && first == Some(&1.0) { "everybody pays" } else { "all labels are the same" }))
            }
            _ if prepared.units.factor > 0.0 => Ok(prepared),
            _ => Err(nothing("all labels are the same")),
        }
    }

    /// As the plaintext twin takes them.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        Target { family: self.head.family(), labels: &self.labels, weights: self.weights.as_deref() }
    }
}

/// A head's weights in the label's units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The intercept.
    pub intercept: f64,
    /// One a column, on the standardised scale.
    pub coefficients: Vec<f64>,
}

impl Weights {
    /// From the trainer's units.
    #[must_use]
    pub fn from_units(intercept: f64, coefficients: &[f64], units: Units) -> Self {
        Self {
            intercept: units.shift + units.factor * intercept,
            coefficients: coefficients.iter().map(|weight| units.factor * weight).collect(),
        }
    }
}

/// A label's plaintext fit by all heads of its task.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelFit {
    /// Head after head, in the label's units.
    pub heads: Vec<Weights>,
    /// The variance of the payers' logarithms around their predictions, where the task needs it.
    pub variance: Option<f64>,
    /// The fits themselves, in the trainer's units.
    pub fits: Vec<Fit>,
}

impl LabelFit {
    /// Fits all heads of a label on these rows.
    ///
    /// # Errors
    /// As [`HeadLabels::new`] and [`fit`].
    pub fn new(x: &Array2<f64>, values: &[f64], terms: &TrainingTerms, label: usize) -> Result<Self, Failure> {
        let mut all = Self { heads: Vec::new(), variance: None, fits: Vec::new() };
        for head in Head::of(terms.task) {
            let prepared = HeadLabels::new(*head, values, terms)?;
            let fitted = fit(x, &prepared.target(), head.l2(terms, label, x.nrows()))?;
            if *head == Head::LogAmount {
                let z = logits(x.view(), &fitted.coefficients, fitted.intercept);
                let payers = prepared.weights.iter().flatten().zip(&prepared.labels).zip(&z).filter(|((pays, _), _)| **pays > 0.0);
                let (sum, count) = payers.fold((0.0, 0.0), |(sum, count), ((_, y), z)| (sum + (y - z).powi(2), count + 1.0));
                all.variance = Some(sum / count);
            }
            all.heads.push(Weights::from_units(fitted.intercept, &fitted.coefficients, prepared.units));
            all.fits.push(fitted);
        }
        Ok(all)
    }

    /// Predictions on these rows.
    #[must_use]
    pub fn predict(&self, x: &Array2<f64>, terms: &TrainingTerms, log_cap: f64) -> Vec<f64> {
        let z: Vec<Vec<f64>> = self.heads.iter().map(|head| logits(x.view(), &head.coefficients, head.intercept)).collect();
        predict(terms.task, &z, self.variance, log_cap)
    }
}

/// The largest logarithm of a predicted amount: the signed one, or a whole number above that of every training label, which only the owner
/// has. 0 where no amount is predicted through its logarithm.
#[must_use]
pub fn log_cap(terms: &TrainingTerms, labels: &[Vec<f64>]) -> f64 {
    let largest = labels.iter().flatten().copied().fold(1.0, f64::max);
    match terms.log_cap.signed() {
        _ if !terms.task.has_variance() => 0.0,
        Some(cap) => cap,
        None => largest.ln().ceil() + CAP_MARGIN,
    }
}

/// Predictions from the heads' predictors in the label's units, head by head.
#[must_use]
pub fn predict(task: Task, z: &[Vec<f64>], variance: Option<f64>, log_cap: f64) -> Vec<f64> {
    let half = variance.unwrap_or_default().clamp(0.0, MOST_VARIANCE) / 2.0;
    let amount = |z: f64| (z + half).min(log_cap).exp();
    let first = z.first().map(Vec::as_slice).unwrap_or_default().iter().copied();
    match task {
        Task::Logistic => first.map(sigmoid).collect(),
        Task::Linear => first.collect(),
        Task::Poisson | Task::Gamma => first.map(f64::exp).collect(),
        Task::LogNormal => first.map(amount).collect(),
        Task::Hurdle => first.zip(z.get(1).into_iter().flatten()).map(|(pays, z)| sigmoid(pays) * amount(*z)).collect(),
    }
}

/// What the owner needs to read predictors of its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// For each label the factor of the partner's part: the owner's secret unit of a linear model, else 1.
    pub partner_factors: Vec<f64>,
    /// For each label the variance of the payers' logarithms around their predictions, where the task needs it.
    pub variances: Vec<f64>,
    /// Largest logarithm of a predicted amount; 0 where none is predicted that way.
    pub log_cap: f64,
}

impl Reading {
    /// How one side's whole predictors are read: there is no partner's part.
    #[must_use]
    pub fn alone(variances: &[f64], log_cap: f64) -> Self {
        Self { partner_factors: Vec::new(), variances: variances.to_vec(), log_cap }
    }

    /// What a predictor of the first label counts for when users are compared: `shift` is added to it, and the partner's part counts
    /// `factor` times; of [`Task::LogNormal`] sums beyond `log_cap` are equal.
    #[must_use]
    pub fn line(&self, task: Task) -> (f64, f64) {
        let shift =
            if task == Task::LogNormal { self.variances.first().copied().unwrap_or_default().clamp(0.0, MOST_VARIANCE) / 2.0 } else { 0.0 };
        (shift, self.partner_factors.first().copied().unwrap_or(1.0))
    }

    /// Predictions, label by label, from the predictors of all heads, label by label; `partner` is the other side's part of each.
    #[must_use]
    pub fn predict(&self, task: Task, own: &[Vec<f64>], partner: Option<&[Vec<f64>]>) -> Vec<Vec<f64>> {
        let heads = Head::of(task).len();
        let label = |(place, own): (usize, &[Vec<f64>])| {
            let factor = self.partner_factors.get(place).copied().unwrap_or(1.0);
            let joint = own.iter().enumerate().map(|(head, z)| match partner.and_then(|parts| parts.get(place * heads + head)) {
                Some(part) => z.iter().zip(part).map(|(z, part)| z + factor * part).collect(),
                None => z.clone(),
            });
            predict(task, &joint.collect::<Vec<Vec<f64>>>(), self.variances.get(place).copied(), self.log_cap)
        };
        own.chunks(heads).enumerate().map(label).collect()
    }
}

/// Makes predictions of rising horizons rise: each is at least the one before. Returns the share of rows where one was not.
pub fn rising(predictions: &mut [Vec<f64>]) -> f64 {
    let rows = predictions.first().map_or(0, Vec::len);
    let mut below = vec![false; rows];
    for label in 1..predictions.len() {
        let (before, after) = predictions.split_at_mut(label);
        let (Some(earlier), Some(later)) = (before.last(), after.first_mut()) else { break };
        for ((earlier, later), below) in earlier.iter().zip(later).zip(&mut below) {
            if *later < *earlier {
                (*later, *below) = (*earlier, true);
            }
        }
    }
    below.iter().filter(|below| **below).count() as f64 / rows.max(1) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::contract::{AutoNumber, RateBucket};
    use crate::evaluation::random::normals;

    fn terms(task: Task) -> TrainingTerms {
        let rates = if task.has_rate() { vec![RateBucket::parse("20-50%").unwrap()] } else { Vec::new() };
        TrainingTerms::new(task, vec!["spend".into()], rates)
    }

    #[test]
    fn predictions_follow_their_formulas_and_the_cap() {
        let z = [vec![0.0, 1.0], vec![2.0, 30.0]];
        assert_eq!(predict(Task::Logistic, &z[..1], None, 12.0), [0.5, sigmoid(1.0)]);
        let hurdle = predict(Task::Hurdle, &z, Some(1.0), 12.0);
        assert!((hurdle[0] - 0.5 * 2.5f64.exp()).abs() < 1e-12 && (hurdle[1] - sigmoid(1.0) * 12f64.exp()).abs() < 1e-6);
        assert_eq!(predict(Task::LogNormal, &z[1..], Some(100.0), 40.0)[0], (2.0 + MOST_VARIANCE / 2.0).exp());
        assert_eq!(predict(Task::Linear, &z[..1], None, 12.0), [0.0, 1.0]);
    }

    #[test]
    fn fits_do_not_depend_on_the_trainers_units() {
        let x = Array2::from_shape_vec((600, 2), normals(1200, 4)).unwrap();
        let noise = normals(600, 5);
        let value = |i: usize| (1.0 + 0.4 * x[[i, 0]] - 0.2 * x[[i, 1]] + 0.5 * noise[i]).exp();
        let values: Vec<f64> = (0..600).map(|i| if i % 3 == 0 { 0.0 } else { 100.0 * value(i) }).collect();
        for task in [Task::Linear, Task::Gamma, Task::LogNormal, Task::Hurdle] {
            let label = LabelFit::new(&x, &values, &terms(task), 0).unwrap();
            let tenfold: Vec<f64> = values.iter().map(|value| 10.0 * value).collect();
            let other = LabelFit::new(&x, &tenfold, &terms(task), 0).unwrap();
            let caps = [values.clone(), tenfold].map(|values| log_cap(&terms(task), &[values]));
            let (a, b) = (label.predict(&x, &terms(task), caps[0]), other.predict(&x, &terms(task), caps[1]));
            assert!(a.iter().zip(&b).all(|(a, b)| (10.0 * a - b).abs() < 1e-6 * b.abs().max(1.0)), "{task:?}");
        }
        // The middle of 20-50 % is 31.6 %: the ridge counts per payer.
        let signed = TrainingTerms { l2: AutoNumber::Signed(0.001), ..terms(Task::Hurdle) };
        assert!((Head::LogAmount.l2(&signed, 0, 600) - 0.001 * 0.1f64.sqrt()).abs() < 1e-12);
        assert_eq!(Head::Pays.l2(&signed, 0, 600), 0.001);
    }

    /// A ridge that is not signed is, for the payers alone, what C = 1 is in scikit-learn: 1 over their number.
    #[test]
    fn the_usual_ridge_is_one_over_the_rows_that_count() {
        let x = Array2::from_shape_vec((600, 2), normals(1200, 8)).unwrap();
        let noise = normals(600, 9);
        let values: Vec<f64> = (0..600).map(|i| if i % 3 == 0 { (2.0 + x[[i, 0]] + noise[i]).exp() } else { 0.0 }).collect();
        let joint = LabelFit::new(&x, &values, &terms(Task::LogNormal), 0).unwrap();
        let rows: Vec<usize> = (0..600).step_by(3).collect();
        let logs: Vec<f64> = rows.iter().map(|row| values[*row].ln()).collect();
        let alone =
            fit(&x.select(ndarray::Axis(0), &rows), &Target { family: Family::Linear, labels: &logs, weights: None }, 1.0 / 200.0).unwrap();
        let pairs = joint.heads[0].coefficients.iter().zip(&alone.coefficients);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-9), "{pairs:?}");
        assert_eq!(Head::Pays.l2(&terms(Task::Hurdle), 0, 600), 1.0 / 600.0);
    }

    #[test]
    fn the_cap_follows_the_largest_label() {
        let labels = [vec![0.0, 3.0, 1e6], vec![0.0, 5.0, 4e6]];
        let several = TrainingTerms::new(Task::Hurdle, vec!["a".into(), "b".into()], vec![RateBucket::parse("20-50%").unwrap()]);
        // ln(4e6) is 15.2.
        assert_eq!(log_cap(&several, &labels), 17.0);
        assert_eq!(log_cap(&TrainingTerms { log_cap: AutoNumber::Signed(12.0), ..several }, &labels), 12.0);
        assert_eq!(log_cap(&terms(Task::LogNormal), &[vec![0.25]]), 1.0);
        assert_eq!(log_cap(&terms(Task::Linear), &labels), 0.0);
    }

    #[test]
    fn horizons_rise_and_the_partners_part_counts_in_the_owners_units() {
        let reading = Reading { partner_factors: vec![2.0, 1.0], variances: Vec::new(), log_cap: 12.0 };
        let (own, partner) = ([vec![1.0, 2.0], vec![1.0, 2.0]], [vec![0.5, 1.0], vec![0.5, 3.0]]);
        let mut predictions = reading.predict(Task::Linear, &own, Some(&partner));
        assert_eq!(predictions, [[2.0, 4.0], [1.5, 5.0]]);
        assert_eq!(rising(&mut predictions), 0.5);
        assert_eq!(predictions, [[2.0, 4.0], [2.0, 5.0]]);
        assert_eq!(reading.predict(Task::Linear, &own, None), own);
    }

    #[test]
    fn labels_with_nothing_to_learn_are_refused() {
        for (task, head, values) in [
            (Task::Hurdle, Head::LogAmount, [0.0, 0.0]),
            (Task::Hurdle, Head::Pays, [1.0, 2.0]),
            (Task::Linear, Head::Number, [3.0, 3.0]),
            (Task::Poisson, Head::Count, [0.0, 0.0]),
        ] {
            assert_eq!(HeadLabels::new(head, &values, &terms(task)).unwrap_err().id, 554, "{task:?}");
        }
        assert!(HeadLabels::new(Head::LogAmount, &[0.0, 3.0], &terms(Task::LogNormal)).is_ok());
    }
}
