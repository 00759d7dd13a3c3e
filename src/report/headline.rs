//! The first sentence of a report: what the joint model is worth, and *no measurable gain* where the interval contains 0.

use super::number::{count, figure, plain};
use super::{NoFigures, ReportData, ValueReport};

/// What the AUC gain's interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The whole interval lies above 0.
    Gain,
    /// The interval contains 0.
    NoMeasurableGain,
    /// The whole interval lies below 0.
    Loss,
    /// There are no figures to compare.
    Unknown,
}

/// The first sentence with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// What the sentence says.
    pub verdict: Verdict,
    /// The sentence, without a full stop.
    pub sentence: String,
}

impl Headline {
    /// By the normalised Gini of the amounts.
    fn of_value(value: &ValueReport, rival: &str) -> Self {
        let (joint, own) = (figure(value.joint.gini, 4), figure(value.own_only.gini, 4));
        let Some((_, gain)) = value.gain.0.iter().find(|(name, _)| name == "gini") else {
            return Self {
                verdict: Verdict::Unknown,
                sentence: format!("Joint model: normalised Gini {joint} of {}", plain(&value.label)),
            };
        };
        let (estimate, lower, upper) = (figure(gain.estimate, 4), figure(gain.lower, 4), figure(gain.upper, 4));
        let numbers = format!("gain {estimate}, 95 % interval {lower} to {upper}");
        let (verdict, sentence) = if gain.contains_zero() {
            let what = format!("no measurable gain over {rival} alone (normalised Gini {joint} against {own}, {numbers})");
            (Verdict::NoMeasurableGain, what)
        } else if gain.lower > 0.0 {
            (Verdict::Gain, format!("normalised Gini {joint} against {own} with {rival} alone ({numbers})"))
        } else {
            (Verdict::Loss, format!("normalised Gini {joint}, below the {own} of {rival} alone ({numbers})"))
        };
        Self { verdict, sentence: format!("Joint model: {sentence}") }
    }

    pub(crate) fn of(data: &ReportData, no_figures: NoFigures) -> Self {
        if let Some(value) = &data.value {
            return Self::of_value(value, data.rival("the label's mean"));
        }
        let Some(test) = data.test else {
            let rows = count(data.train_rows);
            let sentence = format!("Joint model trained on {rows} matched rows; no figures on the test rows: {}", no_figures.reason());
            return Self { verdict: Verdict::Unknown, sentence };
        };
        let (auc, rival) = (figure(test.auc, 4), data.rival("the label's rate"));
        let (Some(own), Some(gain)) = (data.own_only, data.gain) else {
            return Self { verdict: Verdict::Unknown, sentence: format!("Joint model: AUC {auc} on the test rows") };
        };
        let own = figure(own.auc, 4);
        let (estimate, lower, upper) = (figure(gain.auc.estimate, 4), figure(gain.auc.lower, 4), figure(gain.auc.upper, 4));
        let numbers = format!("gain {estimate}, 95 % interval {lower} to {upper}");
        if gain.auc.contains_zero() {
            let sentence = format!("Joint model: no measurable gain over {rival} alone (AUC {auc} against {own}, {numbers})");
            Self { verdict: Verdict::NoMeasurableGain, sentence }
        } else if gain.auc.lower > 0.0 {
            Self { verdict: Verdict::Gain, sentence: format!("Joint model: AUC {auc} against {own} with {rival} alone ({numbers})") }
        } else {
            let sentence = format!("Joint model: AUC {auc}, below the {own} of {rival} alone ({numbers})");
            Self { verdict: Verdict::Loss, sentence }
        }
    }
}
