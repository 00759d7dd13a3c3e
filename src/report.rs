//! Reports: one object of figures (FORMATS.md §1) as JSON, as text for a terminal, and as one offline HTML file.
//!
//! [`ReportData`] holds what `report.json` holds and nothing else; [`Details`] adds what people read beside it: names, curves
//! and what was opened. The functions return strings; whoever writes results writes them.

mod headline;
mod html;
mod json;
mod number;
mod partner;
mod score;
mod svg;
mod text;
mod value;

pub(crate) use number::{bytes, figure, plain, signed};
pub(crate) use text::aligned;

pub use headline::{Headline, Verdict};
pub use json::Ordered;
pub use partner::{PartnerReport, PartnerSchema};
pub use score::{NotScored, ScoreReport, ScoreSchema, ScoredUsers, UnfamiliarCells};
pub use value::{ChannelCell, Channels, HeadReport, Horizons, MoneyReport, ValueReport};

use crate::error::Failure;
use crate::evaluation::{Curves, Gain, Metrics, Wald};
use crate::training::twin::TwinGap;
use serde::{Deserialize, Serialize};

/// The schema of `report.json`; another one is refused by name when a report is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportSchema {
    /// Version 1.
    #[default]
    #[serde(rename = "colift.report/1")]
    V1,
}

/// The figures of one run, in the field names and nesting of FORMATS.md §1. Fields that are not known are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportData {
    /// The schema's name.
    pub schema: ReportSchema,
    /// Users common to both files.
    pub matched: u64,
    /// Hash of the common ids; only `rehearse`, which has both files, knows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intersection_sha256: Option<String>,
    /// Matched rows used for training.
    pub train_rows: u64,
    /// Matched rows kept for the figures.
    pub test_rows: u64,
    /// Columns constant on the matched training rows.
    pub dropped_columns: Vec<String>,
    /// Loss and objective on the matched training rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub train: Option<TrainFigures>,
    /// The joint model on the test rows; absent where they hold one class only, or the job does not list the figures.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test: Option<Metrics>,
    /// The owner's columns fitted on the same training rows, on the same test rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub own_only: Option<Metrics>,
    /// The owner's columns fitted on all the owner's training rows, on the same test rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub own_all_rows: Option<Metrics>,
    /// Joint minus own columns alone, with 95 % intervals.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gain: Option<Gain>,
    /// Figures of predicted amounts: of the last label.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<ValueReport>,
    /// Those of the labels before it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub earlier_values: Vec<ValueReport>,
    /// How the predictions of several labels follow one another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub horizons: Option<Horizons>,
    /// Test users by channel, where the owner's job names a column.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channels: Option<Channels>,
    /// What contacting users earns, where the owner's job says what a contact costs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub money: Option<MoneyReport>,
    /// Distance to the plaintext twin; only `rehearse` knows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub twin: Option<TwinGap>,
    /// The intercept, which the owner gets.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intercept: Option<f64>,
    /// Its standard error, z and p, where the job lists them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intercept_inference: Option<Wald>,
    /// The owner's weights on the standardised scale.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner_coefficients: Option<Ordered<f64>>,
    /// Standard errors, z and p of those, where the job lists them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner_inference: Option<Ordered<Wald>>,
    /// The partner's weights; only `rehearse` has both sides together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partner_coefficients: Option<Ordered<f64>>,
    /// Standard errors, z and p of those.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partner_inference: Option<Ordered<Wald>>,
    /// Weights of further heads.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub more_heads: Vec<HeadReport>,
    /// The ridge of the training as a number, whatever the job says of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub l2: Option<f64>,
    /// What the two party processes cost.
    pub cost: Cost,
}

/// Figures on the matched training rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainFigures {
    /// Mean log-loss in nats, without the ridge; of other tasks the mean loss of their family, all heads together.
    pub loss: f64,
    /// Loss plus the ridge.
    pub objective: f64,
}

/// One number for each party; the one that is not known is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerParty<T> {
    /// The owner's.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub owner: Option<T>,
    /// The partner's.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub partner: Option<T>,
}

impl<T> PerParty<T> {
    /// Both parties' numbers.
    pub fn both(owner: T, partner: T) -> Self {
        Self { owner: Some(owner), partner: Some(partner) }
    }
}

/// What the party processes cost; making data and fitting the twin are not in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Seconds from start to end.
    pub wall_s: f64,
    /// User + system seconds of all threads.
    pub cpu_s: PerParty<f64>,
    /// Frames with their headers, before TLS.
    pub bytes_sent: PerParty<u64>,
    /// Waits for the peer.
    pub rounds: u64,
    /// Largest resident memory in MB.
    pub peak_rss_mb: PerParty<f64>,
    /// The stages in their order: read, match, train, evaluate.
    pub stages: Ordered<StageCost>,
}

/// What one stage cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageCost {
    /// Seconds from start to end.
    pub wall_s: f64,
    /// User + system seconds of all threads.
    pub cpu_s: PerParty<f64>,
    /// Frames with their headers, before TLS.
    pub bytes_sent: PerParty<u64>,
    /// Waits for the peer.
    pub rounds: u64,
}

/// One value, or kind of value, that left the shares or went to the peer in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The name in the job's `reveal` list, such as `overlap_to_both`.
    pub item: String,
    /// Who learned it: "owner", "partner" or "both".
    pub to: String,
    /// What it was, in words and with its size.
    pub what: String,
}

/// Why a report has no figures on the test rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoFigures {
    /// The test rows hold one class only (or there are none).
    #[default]
    OneClass,
    /// The job lists neither scores nor figures for this party.
    NotListed,
}

impl NoFigures {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::OneClass => "the test rows hold one class of the label only",
            Self::NotListed => "the job does not list them for this party",
        }
    }
}

/// Curves of the joint model and of the own columns alone.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePair {
    /// The joint model's.
    pub joint: Curves,
    /// The own columns'.
    pub own: Curves,
}

/// What a party's recipe makes of its columns, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipeTable {
    /// Whose columns: empty for the reader's own.
    pub whose: String,
    /// Columns that stay numbers as they are.
    pub plain: usize,
    /// The others: column, encoding, number of features, why.
    pub lines: Vec<[String; 4]>,
}

impl RecipeTable {
    /// One sentence about the columns that stay as they are.
    pub(crate) fn summary(&self) -> String {
        let are = if self.plain == 1 { "column is a number and stays" } else { "columns are numbers and stay" };
        format!("{} {are} as in the file", number::count(self.plain as u64))
    }

    /// The title over the table.
    pub(crate) fn title(&self) -> String {
        if self.whose.is_empty() { "Recipe".to_owned() } else { format!("Recipe of the {}'s columns", self.whose) }
    }
}

/// What people read beside the figures; not part of `report.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The job's name.
    pub title: String,
    /// The label's column, of several the last.
    pub label: String,
    /// The task, where it is not logistic.
    pub task: String,
    /// When the run ended, UTC, as text.
    pub ended: String,
    /// The ridge.
    pub l2: f64,
    /// The clip of the standardised columns.
    pub clip: f64,
    /// Everything opened in the run.
    pub opened: Vec<Opened>,
    /// What was made of the raw columns; both sides' in a rehearsal.
    pub recipes: Vec<RecipeTable>,
    /// Warnings of the run, such as a short row count.
    pub notes: Vec<String>,
    /// Why there are no figures, where there are none.
    pub no_figures: NoFigures,
    /// Curves on the test rows.
    pub curves: Option<CurvePair>,
}

impl ReportData {
    /// What the joint model is held against: the owner's own columns, or, where none varies on the matched training rows, a constant.
    pub(crate) fn rival(&self, constant: &'static str) -> &'static str {
        let no_columns = self.owner_coefficients.as_ref().is_some_and(|weights| weights.0.is_empty());
        if no_columns { constant } else { "own columns" }
    }

    /// The report as one line of JSON, without a line end.
    ///
    /// # Errors
    /// Exit 1, E0701: the figures cannot be written as JSON.
    pub fn to_json_line(&self) -> Result<String, Failure> {
        json::to_line(self)
    }

    /// Reads a report; another schema is refused by name.
    ///
    /// # Errors
    /// Exit 16, E0702: another schema. Exit 13, E0703: not a report.
    pub fn from_json(text: &str) -> Result<Self, Failure> {
        json::from_text(text, "colift.report/1")
    }

    /// The first sentence of every form of the report.
    pub fn headline(&self, details: &Details) -> Headline {
        Headline::of(self, details.no_figures)
    }

    /// The report for a terminal.
    pub fn to_text(&self, details: &Details) -> String {
        text::owner(self, details)
    }

    /// The report as one HTML file that needs no network.
    pub fn to_html(&self, details: &Details) -> String {
        html::owner(self, details)
    }
}

#[cfg(test)]
mod tests;
