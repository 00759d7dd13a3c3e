//! The terms of a scoring: which stored model, what the owner gets.

use super::fields::{Fields, OUT_OF_RANGE, usage};
use crate::data::wording::{is_hex, shown, suggestion};
use crate::error::Failure;
use std::collections::BTreeSet;
use std::fmt;

/// Keys that only a scoring uses.
pub(super) const KEYS: [&str; 4] = ["model", "output", "top_share", "threshold"];

/// One column of the owner's scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScoreOutput {
    /// The prediction: the probability of a yes, or the expected number or amount; of several labels one column each.
    Score,
    /// Of a hurdle the probability to pay.
    Probability,
    /// 1 for the highest tenth of the scored users to 10 for the lowest.
    Decile,
    /// Whether a user is among the highest `top_share` of the scored users.
    TopShare,
    /// Whether the score reaches `threshold`.
    YesNo,
}

impl ScoreOutput {
    /// Every column, in the order in which they are written.
    pub const ALL: [Self; 5] = [Self::Score, Self::Probability, Self::Decile, Self::TopShare, Self::YesNo];

    /// The name in job files, and of the column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Probability => "probability",
            Self::Decile => "decile",
            Self::TopShare => "top_share",
            Self::YesNo => "yes_no",
        }
    }

    /// The column of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|output| output.name() == name)
    }
}

impl fmt::Display for ScoreOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The terms of a scoring.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreTerms {
    /// The model's name on both sides: the `model_id` of both halves, 32 lower-case hex digits.
    pub model: String,
    /// What the owner gets.
    pub output: BTreeSet<ScoreOutput>,
    /// The share behind [`ScoreOutput::TopShare`]; there exactly when that is listed.
    pub top_share: Option<f64>,
    /// The score behind [`ScoreOutput::YesNo`]; there exactly when that is listed.
    pub threshold: Option<f64>,
}

impl ScoreTerms {
    /// Reads the keys of a scoring.
    pub(super) fn read(fields: Fields<'_>) -> Result<Self, Failure> {
        let model = fields.required("model", fields.text("model")?, "the `model_id` of model.json, the same on both sides")?;
        let names = fields.required("output", fields.texts("output")?, "output = [\"score\"], or decile, top_share, yes_no")?;
        let mut output = BTreeSet::new();
        for name in names {
            let item = ScoreOutput::from_name(&name).ok_or_else(|| {
                let known = ScoreOutput::ALL.map(ScoreOutput::name);
                usage(OUT_OF_RANGE, format!("{} is not a known value of output", shown(&name))).at("[shared] output").hint(suggestion(
                    &name,
                    known,
                    &format!("one of {}", known.join(", ")),
                ))
            })?;
            if !output.insert(item) {
                return Err(usage(OUT_OF_RANGE, format!("output lists `{item}` twice")).at("[shared] output"));
            }
        }
        Ok(Self { model, output, top_share: fields.number("top_share")?, threshold: fields.number("threshold")? })
    }

    /// Checks the values, and that a share or threshold is there exactly when its column is listed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if !is_hex(&self.model, 32) {
            return Err(usage(OUT_OF_RANGE, format!("model is {}, it has 32 lower-case hex digits", shown(&self.model)))
                .at("[shared] model")
                .hint("copy `model_id` from either side's model.json"));
        }
        if self.output.is_empty() {
            return Err(usage(OUT_OF_RANGE, "output lists nothing").at("[shared] output").hint("output = [\"score\"]"));
        }
        for (column, key, value) in
            [(ScoreOutput::TopShare, "top_share", self.top_share), (ScoreOutput::YesNo, "threshold", self.threshold)]
        {
            let place = format!("[shared] {key}");
            match (self.output.contains(&column), value) {
                (true, None) => {
                    let what = format!("output lists `{column}`, which needs {key}");
                    return Err(usage(OUT_OF_RANGE, what).at(place).hint(format!("add {key} = 0.4, say")));
                }
                (false, Some(_)) => {
                    let what = format!("{key} is set, but output does not list `{column}`");
                    return Err(usage(OUT_OF_RANGE, what).at(place).hint(format!("list `{column}`, or remove {key}")));
                }
                (true, Some(value)) if key == "top_share" && !(value > 0.0 && value < 1.0) => {
                    return Err(usage(OUT_OF_RANGE, format!("{key} is {value}, it must lie between 0 and 1")).at(place));
                }
                // Of a model of amounts it is an amount; of a probability it must lie below 1, which the model's half checks.
                (true, Some(value)) if !(value > 0.0 && value.is_finite()) => {
                    return Err(usage(OUT_OF_RANGE, format!("{key} is {value}, it must be above 0")).at(place));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
