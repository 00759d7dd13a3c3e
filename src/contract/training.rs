//! The terms of a training: the task, the owner's labels, and what both sides sign about them.

use super::fields::{Fields, NO_MEANING, OUT_OF_RANGE, usage};
use super::terms::out_of_range;
use super::{AutoNumber, Disclosure, RateBucket};
use crate::data::LabelKind;
use crate::data::wording::{grouped, is_invisible, shown};
use crate::error::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use toml::Value;

/// Keys that only a training uses.
pub(super) const KEYS: [&str; 13] = [
    "label",
    "labels",
    "test_share",
    "l2",
    "clip",
    "expected_rate",
    "logit_range",
    "label_scale",
    "log_cap",
    "min_payers",
    "min_positives",
    "tolerance",
    "max_extra_steps",
];
/// What the end check bounds, unless the job says otherwise: the error of every coefficient in standard errors.
pub const TOLERANCE: f64 = 0.05;
/// Steps after the planned ones, unless the job says otherwise.
pub const MAX_EXTRA_STEPS: u64 = 6;
/// Most of them.
const MOST_EXTRA_STEPS: u64 = 20;
/// Most labels of one training.
pub const MOST_LABELS: usize = 8;
/// Payers among the matched training users below which a training on payers is refused, unless the job says otherwise.
const MIN_PAYERS: u64 = 50;
/// The same for users with either answer, or with another number than most have.
const MIN_POSITIVES: u64 = 50;

/// What a training predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Yes or no: the probability.
    #[default]
    Logistic,
    /// A number: least squares.
    Linear,
    /// A count: its mean, with log link.
    Poisson,
    /// The amount of those who pay (a label above 0), with log link.
    Gamma,
    /// The amount of those who pay, by least squares of its logarithm.
    LogNormal,
    /// The expected amount of everybody: the probability to pay times the amount of those who pay (ZILN).
    Hurdle,
}

impl Task {
    /// Every task that trains.
    pub const ALL: [Self; 6] = [Self::Logistic, Self::Linear, Self::Poisson, Self::Gamma, Self::LogNormal, Self::Hurdle];

    /// The word after `task =`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Linear => "linear",
            Self::Poisson => "poisson",
            Self::Gamma => "gamma",
            Self::LogNormal => "log_normal",
            Self::Hurdle => "hurdle",
        }
    }

    /// The task of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// Which cells its label column may have.
    #[must_use]
    pub fn label_kind(self) -> LabelKind {
        match self {
            Self::Logistic => LabelKind::YesNo,
            Self::Linear => LabelKind::Number,
            Self::Poisson => LabelKind::Count,
            Self::Gamma | Self::LogNormal | Self::Hurdle => LabelKind::Amount,
        }
    }

    /// Whether a model of it is trained on those who pay only, or predicts who pays.
    #[must_use]
    pub fn has_payers(self) -> bool {
        matches!(self, Self::Gamma | Self::LogNormal | Self::Hurdle)
    }

    /// Whether a model of it is trained on the labels of all users: `min_positives` of them must be unlike most.
    #[must_use]
    pub fn has_positives(self) -> bool {
        matches!(self, Self::Logistic | Self::Linear | Self::Poisson)
    }

    /// Whether both sides sign a rate: of the label 1, or of users who pay.
    #[must_use]
    pub fn has_rate(self) -> bool {
        self == Self::Logistic || self.has_payers()
    }

    /// Whether an amount is predicted through its logarithm, which needs the variance around it.
    #[must_use]
    pub fn has_variance(self) -> bool {
        matches!(self, Self::LogNormal | Self::Hurdle)
    }

    /// Whether `logit_range` means something: some function of a predictor goes through the gate.
    #[must_use]
    pub fn has_range(self) -> bool {
        !matches!(self, Self::Linear | Self::LogNormal)
    }

    /// Linear functions of the partner's columns in one prediction.
    #[must_use]
    pub fn functions(self) -> usize {
        if self == Self::Hurdle { 2 } else { 1 }
    }

    /// What a run cannot do without opening.
    #[must_use]
    pub fn needed(self) -> BTreeSet<Disclosure> {
        let mut needed: BTreeSet<Disclosure> = Disclosure::TRAINING.into();
        if self.has_variance() {
            needed.insert(Disclosure::ResidualVarianceToOwner);
        }
        needed
    }
}

/// The terms of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingTerms {
    /// What is predicted.
    pub task: Task,
    /// The owner's label columns; of several the shortest horizon first. They are trained one after the other.
    pub labels: Vec<String>,
    /// Share of test rows where the owner's file has no split column.
    pub test_share: f64,
    /// Ridge on the standardised weights; [`TrainingTerms::ridge`] is the number of a run.
    pub l2: AutoNumber,
    /// Standardised values are cut at this distance from 0.
    pub clip: f64,
    /// For each label its rate, roughly: of ones, or of users who pay. None where the task has no rate.
    pub expected_rates: Vec<RateBucket>,
    /// Predictors kept exact, around their public middle; None for the default by task, rows and columns.
    pub logit_range: Option<[f64; 2]>,
    /// Unit of a count: near its mean.
    pub label_scale: f64,
    /// Largest logarithm of a predicted amount; the owner alone derives it from its label where it is not signed.
    pub log_cap: AutoNumber,
    /// Fewer paying training users than this end the run before the training.
    pub min_payers: u64,
    /// What the end check bounds: the error of every coefficient in standard errors.
    pub tolerance: f64,
    /// Steps of each part of the training after the planned ones, at most; each opens two bits.
    pub max_extra_steps: u64,
    /// Fewer training users than this with the rarer answer, or with another number than most, end the run before the training.
    pub min_positives: u64,
}

impl TrainingTerms {
    /// Defaults around a task, its labels and their rates.
    #[must_use]
    pub fn new(task: Task, labels: Vec<String>, expected_rates: Vec<RateBucket>) -> Self {
        Self {
            task,
            labels,
            test_share: 0.25,
            l2: AutoNumber::Auto,
            clip: 5.0,
            expected_rates,
            logit_range: None,
            label_scale: 1.0,
            log_cap: AutoNumber::Auto,
            min_payers: MIN_PAYERS,
            tolerance: TOLERANCE,
            max_extra_steps: MAX_EXTRA_STEPS,
            min_positives: MIN_POSITIVES,
        }
    }

    /// A logistic model of one label.
    #[must_use]
    pub fn logistic(label: impl Into<String>, expected_rate: RateBucket) -> Self {
        Self::new(Task::Logistic, vec![label.into()], vec![expected_rate])
    }

    /// The last label: of several horizons the longest.
    #[must_use]
    pub fn label(&self) -> &str {
        self.labels.last().map_or("", String::as_str)
    }

    /// The signed rate of a label, where the task has one.
    #[must_use]
    pub fn rate(&self, label: usize) -> Option<RateBucket> {
        self.expected_rates.get(label).or(self.expected_rates.first()).copied()
    }

    /// The ridge of a fit on so many rows, per row: the signed number, or 1/rows, which is scikit-learn's C = 1.
    #[must_use]
    pub fn ridge(&self, rows: usize) -> f64 {
        self.l2.signed().unwrap_or(1.0 / rows.max(1) as f64)
    }

    /// Linear functions of the partner's columns that the owner learns of each user whose scores are opened.
    #[must_use]
    pub fn functions(&self) -> usize {
        self.task.functions() * self.labels.len()
    }

    /// Reads the keys of a training.
    pub(super) fn read(task: Task, fields: Fields<'_>) -> Result<Self, Failure> {
        let labels = match (fields.text("label")?, fields.texts("labels")?) {
            (Some(label), None) => vec![label],
            (None, Some(labels)) if labels.len() > 1 => labels,
            (None, Some(_)) => {
                return Err(usage(OUT_OF_RANGE, "labels needs two or more columns").at("[shared] labels").hint("one is written as label"));
            }
            (Some(_), Some(_)) => {
                return Err(usage(OUT_OF_RANGE, "either label or labels names what is predicted, not both").at("[shared] labels"));
            }
            (None, None) => vec![fields.required("label", None, "the name of the owner's label column")?],
        };
        for (key, fits) in [
            ("expected_rate", task.has_rate()),
            ("logit_range", task.has_range()),
            ("label_scale", task == Task::Poisson),
            ("log_cap", task.has_variance()),
            ("min_payers", task.has_payers()),
            ("min_positives", task.has_positives()),
        ] {
            if fields.has(key) && !fits {
                return Err(usage(NO_MEANING, format!("task `{}` has no use for {key}", task.name()))
                    .at(format!("[shared] {key}"))
                    .hint(format!("remove {key}")));
            }
        }
        let rates = if task.has_rate() {
            let texts = match fields.value("expected_rate") {
                Some(Value::Array(_)) => fields.texts("expected_rate")?,
                _ => fields.text("expected_rate")?.map(|rate| vec![rate]),
            };
            let whose = if task.has_payers() { "the share of users who pay" } else { "the label's rate" };
            fields.required("expected_rate", texts, &format!("{whose} as a bucket, such as \"5-20%\""))?
        } else {
            Vec::new()
        };
        let rates = rates.iter().map(|rate| RateBucket::parse(rate)).collect::<Result<_, _>>()?;
        let mut terms = Self::new(task, labels, rates);
        for (key, place) in [
            ("test_share", &mut terms.test_share),
            ("clip", &mut terms.clip),
            ("label_scale", &mut terms.label_scale),
            ("tolerance", &mut terms.tolerance),
        ] {
            *place = fields.number(key)?.unwrap_or(*place);
        }
        for (key, place) in [("l2", &mut terms.l2), ("log_cap", &mut terms.log_cap)] {
            *place = fields.auto_number(key)?.unwrap_or(*place);
        }
        for (key, place) in [
            ("min_payers", &mut terms.min_payers),
            ("min_positives", &mut terms.min_positives),
            ("max_extra_steps", &mut terms.max_extra_steps),
        ] {
            *place = fields.count(key)?.unwrap_or(*place);
        }
        terms.logit_range = fields.pair("logit_range")?;
        Ok(terms.plain())
    }

    /// One rate where all labels have the same.
    #[must_use]
    pub fn plain(mut self) -> Self {
        if self.expected_rates.len() == self.labels.len() && self.expected_rates.windows(2).all(|pair| pair[0] == pair[1]) {
            self.expected_rates.truncate(1);
        }
        self
    }

    /// Checks the values.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let key = if self.labels.len() == 1 { "label" } else { "labels" };
        if self.labels.len() > MOST_LABELS || self.labels.is_empty() {
            return Err(out_of_range("labels", &format!("a list of {}", self.labels.len()), &format!("2 to {MOST_LABELS} columns")));
        }
        for (place, label) in self.labels.iter().enumerate() {
            if label.is_empty() || label.len() > 256 || label.trim() != label || label.contains(is_invisible) {
                return Err(out_of_range(
                    key,
                    &shown(label),
                    "a column name of 1 to 256 bytes without control characters or blanks at its ends",
                ));
            }
            if self.labels.iter().take(place).any(|other| other == label) {
                return Err(usage(OUT_OF_RANGE, format!("labels lists {} twice", shown(label))).at("[shared] labels"));
            }
        }
        let rates = self.expected_rates.len();
        if self.task.has_rate() && rates != 1 && rates != self.labels.len() {
            let allowed = format!("one bucket, or one for each of the {} labels", self.labels.len());
            return Err(out_of_range("expected_rate", &format!("a list of {rates}"), &allowed));
        }
        for (key, value, low, high) in [
            ("test_share", Some(self.test_share), 0.01, 0.9),
            ("l2", self.l2.signed(), 1e-8, 10.0),
            ("clip", Some(self.clip), 1.0, 20.0),
            ("label_scale", Some(self.label_scale), 1e-6, 1e9),
            ("log_cap", self.log_cap.signed(), 1.0, 40.0),
            ("tolerance", Some(self.tolerance), 0.01, 0.5),
        ] {
            let Some(value) = value else { continue };
            if !(low..=high).contains(&value) {
                return Err(out_of_range(key, &value.to_string(), &format!("{low} to {high}")));
            }
        }
        for (key, least) in [("min_payers", self.min_payers), ("min_positives", self.min_positives)] {
            if least < 2 {
                return Err(out_of_range(key, &grouped(least), "2 or more"));
            }
        }
        if self.max_extra_steps > MOST_EXTRA_STEPS {
            return Err(out_of_range("max_extra_steps", &grouped(self.max_extra_steps), &format!("0 to {MOST_EXTRA_STEPS}")));
        }
        if let Some([low, high]) = self.logit_range
            && !(low <= -1.0 && high >= 1.0 && high - low <= 160.0)
        {
            let allowed = "a lower end of at most -1 and an upper end of at least 1, at most 160 apart";
            return Err(out_of_range("logit_range", &format!("[{low}, {high}]"), allowed));
        }
        Ok(())
    }
}
