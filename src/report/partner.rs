//! The partner's report: sizes, what was opened, its own weights; figures only where the job lists them for it.

use super::number::{count, figure};
use super::{Cost, Details, HeadReport, Opened, Ordered, html, json, text};
use crate::error::Failure;
use crate::evaluation::{Metrics, Wald};
use serde::{Deserialize, Serialize};

/// The schema of the partner's `report.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartnerSchema {
    /// Version 1.
    #[default]
    #[serde(rename = "colift.partner-report/1")]
    V1,
}

/// What the partner may read about a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerReport {
    /// The schema's name.
    pub schema: PartnerSchema,
    /// Users common to both files.
    pub matched: u64,
    /// Matched rows used for training.
    pub train_rows: u64,
    /// Matched rows kept for the figures.
    pub test_rows: u64,
    /// Own columns constant on the matched training rows.
    pub dropped_columns: Vec<String>,
    /// The joint model on the test rows, where the job lists it for the partner.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test: Option<Metrics>,
    /// Own weights on the standardised scale, where the job lists them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partner_coefficients: Option<Ordered<f64>>,
    /// Standard errors, z and p of those, where the job lists them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partner_inference: Option<Ordered<Wald>>,
    /// Own weights of further heads.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub more_heads: Vec<HeadReport>,
    /// The ridge of the training as a number, whatever the job says of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub l2: Option<f64>,
    /// Everything opened in the run, to either side.
    pub opened: Vec<Opened>,
    /// What the run cost, as far as this side knows.
    pub cost: Cost,
}

impl PartnerReport {
    /// The first sentence, without a full stop.
    pub fn headline(&self) -> String {
        let rows = count(self.matched);
        match (self.test, &self.partner_coefficients) {
            (Some(test), _) => format!("Joint model trained on {rows} matched users: AUC {} on the test rows", figure(test.auc, 4)),
            (None, Some(_)) => format!("Joint model trained on {rows} matched users"),
            (None, None) => format!("{rows} matched users"),
        }
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
        json::from_text(text, "colift.partner-report/1")
    }

    /// The report for a terminal; of the details, title, time and notes are used.
    pub fn to_text(&self, details: &Details) -> String {
        text::partner(self, details)
    }

    /// The report as one HTML file that needs no network.
    pub fn to_html(&self, details: &Details) -> String {
        html::partner(self, details)
    }
}
