//! The report of a scoring, either side's: counts, what the file had that the training had not, what was opened, cost.

use super::number::{count, counted, plain};
use super::text::{cost, heading, line, opened, table};
use super::{Cost, Details, Opened, json};
use crate::error::Failure;
use serde::{Deserialize, Serialize};

/// The schema of a scoring's `report.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScoreSchema {
    /// Version 1.
    #[default]
    #[serde(rename = "colift.score-report/1")]
    V1,
}

/// What one side may read about a scoring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreReport {
    /// The schema's name.
    pub schema: ScoreSchema,
    /// `owner` or `partner`.
    pub side: String,
    /// The model's name on both sides.
    pub model_id: String,
    /// Rows of the own file.
    pub rows: u64,
    /// Of these, users with a usable id.
    pub users: u64,
    /// The peer's users.
    pub peer_users: u64,
    /// Users common to both.
    pub matched: u64,
    /// By which model the users were scored; the owner's report only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scored: Option<ScoredUsers>,
    /// Rows without a score, by reason.
    pub not_scored: NotScored,
    /// Users in the top share, where the job lists it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub top_users: Option<u64>,
    /// Users with a yes, where the job lists it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub yes_users: Option<u64>,
    /// Cells of a sort that no training row had, among the own rows that were scored.
    pub unfamiliar: Vec<UnfamiliarCells>,
    /// Everything opened in the run, to either side.
    pub opened: Vec<Opened>,
    /// What the run cost, as far as this side knows.
    pub cost: Cost,
}

/// Users by the model that scored them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoredUsers {
    /// By the joint model.
    pub joint: u64,
    /// By the owner's own model, as the partner lacks them.
    pub own: u64,
}

/// Rows without a usable id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotScored {
    /// The id is empty.
    pub id_empty: u64,
    /// The id is not of the job's kind.
    pub id_not_of_kind: u64,
}

/// Cells of one column of a sort that no training row had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfamiliarCells {
    /// The column.
    pub column: String,
    /// Rows with a level that no training row had.
    pub unseen: u64,
    /// Rows without a value where no training row lacked one.
    pub missing: u64,
}

/// The opened item of a scoring without scores.
const DECISIONS: &str = "decisions_to_owner";

impl ScoreReport {
    /// The first sentence, without a full stop.
    pub fn headline(&self) -> String {
        let decided = self.opened.iter().any(|opened| opened.item == DECISIONS);
        match self.scored {
            Some(scored) => format!(
                "{} {}: {} by the joint model, {} by the own model, as the partner lacks them",
                counted(scored.joint + scored.own, "user"),
                if decided { "decided, and no score known" } else { "scored" },
                count(scored.joint),
                count(scored.own)
            ),
            None if decided => {
                format!(
                    "Own part of the score went into decisions about {} on shares, and was not sent",
                    counted(self.matched, "common user")
                )
            }
            None => format!("Own part of the score sent for {}", counted(self.matched, "common user")),
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
        json::from_text(text, "colift.score-report/1")
    }

    /// Names and values above the lists.
    pub(crate) fn facts(&self, details: &Details) -> Vec<(&'static str, String)> {
        let NotScored { id_empty, id_not_of_kind } = self.not_scored;
        let mut facts = vec![
            ("job", plain(&details.title)),
            ("model", plain(&self.model_id)),
            ("ended", plain(&details.ended)),
            ("users", format!("{} here, {} at the peer's, {} common", count(self.users), count(self.peer_users), count(self.matched))),
        ];
        if id_empty + id_not_of_kind > 0 {
            let rows = counted(id_empty + id_not_of_kind, "row");
            facts.push((
                "not scored",
                format!("{rows}: id empty {}, id not of its kind {} (not_scored.csv)", count(id_empty), count(id_not_of_kind)),
            ));
        }
        facts.extend(self.top_users.map(|users| ("top share", counted(users, "user"))));
        facts.extend(self.yes_users.map(|users| ("yes", counted(users, "user"))));
        facts.retain(|fact| !fact.1.is_empty());
        facts
    }

    /// The report for a terminal; of the details, title, time and notes are used.
    pub fn to_text(&self, details: &Details) -> String {
        let mut out = String::new();
        line(&mut out, &format!("{}.", self.headline()));
        line(&mut out, "");
        table(&mut out, &self.facts(details).into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>(), false);
        if !details.notes.is_empty() {
            heading(&mut out, "To look at");
            for note in &details.notes {
                line(&mut out, &format!("  {}", plain(note)));
            }
        }
        opened(&mut out, &self.opened);
        cost(&mut out, &self.cost);
        out
    }

    /// The report as one HTML file that needs no network.
    pub fn to_html(&self, details: &Details) -> String {
        super::html::score(self, details)
    }
}
