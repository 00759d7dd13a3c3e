//! What a labelling tells a person: rows, labels, who was left out, a table by channel; as text and as one line of JSON.

use super::engine::Engine;
use super::leak_check::LeakPage;
use super::log::{LogLook, numbers, texts};
use super::moment::Moment;
use super::query::{QuerySpec, SplitSpec};
use super::quote;
use super::write::Written;
use crate::data::wording::{counted, grouped};
use crate::error::{Exit, Failure};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::record_batch::RecordBatch;
use serde::Serialize;

/// Most channels that are shown.
const MOST_CHANNELS: usize = 20;

/// Users that fit the definition and are not in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// VIP before the cut-off.
    pub already_vip: u64,
    /// Their horizon has not passed.
    pub immature: u64,
    /// There at both cut-offs of an out-of-time split, and drawn for the other one.
    pub other_cutoff: u64,
}

/// One label in one part of the rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelLine {
    /// Its column.
    pub label: String,
    /// `train`, `test`, or `all` without a split.
    pub part: String,
    /// Users.
    pub users: u64,
    /// Users with a label above 0.
    pub yes: u64,
    /// Mean of the label.
    pub mean: f64,
}

/// The users of one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelLine {
    /// Its name; None where users have none.
    pub channel: Option<String>,
    /// Users.
    pub users: u64,
    /// Share of users whose label of the shortest horizon is above 0.
    pub rate: f64,
    /// Sum of the amounts: of the label where it is one, else of the longest feature window.
    pub spend: Option<f64>,
}

/// What `label` did.
#[derive(Clone, Debug)]
pub struct LabelDone {
    /// Rows, columns and types.
    pub written: Written,
    /// The log.
    pub look: LogLook,
    /// Until when it is complete.
    pub as_of: Moment,
    /// Who was left out.
    pub left_out: LeftOut,
    /// Labels by part.
    pub labels: Vec<LabelLine>,
    /// Users by channel, most users first.
    pub channels: Vec<ChannelLine>,
    /// The leak check, all clear.
    pub leaks: LeakPage,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The same as JSON.
#[derive(Serialize)]
struct LabelJson<'a> {
    schema: &'static str,
    rows: u64,
    columns: Vec<&'a str>,
    events: u64,
    events_without_id: u64,
    events_without_time: u64,
    first_event: Option<String>,
    last_event: Option<String>,
    as_of: String,
    left_out: LeftOut,
    labels: &'a [LabelLine],
    channels: &'a [ChannelLine],
    leaks: &'a LeakPage,
    notes: &'a [String],
}

impl LabelDone {
    /// For a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("log      {}", counted(self.look.events, "event", "events"));
        if let Some((first, last)) = self.look.span {
            text.push_str(&format!(", {first} to {last}; complete until {}", self.as_of));
        }
        for line in &self.labels {
            let rate = 100.0 * line.yes as f64 / line.users.max(1) as f64;
            let (users, yes) = (counted(line.users, "user", "users"), grouped(line.yes));
            text.push_str(&format!(
                "\nlabel    {} ({}): {users}, {yes} above 0 ({rate:.2} %), mean {:.4}",
                line.label, line.part, line.mean
            ));
        }
        let LeftOut { already_vip, immature, other_cutoff } = self.left_out;
        let reasons =
            [(already_vip, "VIP before the cut-off"), (immature, "horizon not passed"), (other_cutoff, "drawn for the other cut-off")];
        for (count, why) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!("\nleft out {}: {why}", counted(count, "user", "users")));
        }
        if !self.channels.is_empty() {
            let name = |line: &ChannelLine| line.channel.clone().unwrap_or_else(|| "(none)".into());
            let shown = &self.channels[..self.channels.len().min(MOST_CHANNELS)];
            let width = shown.iter().map(|line| name(line).chars().count()).max().unwrap_or(0).clamp(8, 40);
            text.push_str(&format!("\n  {:width$}  {:>10}  {:>8}  {:>14}", "channel", "users", "rate", "spend"));
            for line in shown {
                let spend = line.spend.map_or_else(String::new, |spend| format!("{spend:.2}"));
                text.push_str(&format!(
                    "\n  {:width$}  {:>10}  {:>6.2} %  {spend:>14}",
                    name(line),
                    grouped(line.users),
                    100.0 * line.rate
                ));
            }
            if shown.len() < self.channels.len() {
                text.push_str(&format!("\n  and {} more", self.channels.len() - shown.len()));
            }
        }
        for note in &self.notes {
            text.push_str(&format!("\nnote     {note}"));
        }
        text.push_str(&format!("\nwritten  {}", self.written.to_text()));
        text
    }

    /// For a program, on one line.
    ///
    /// # Errors
    /// Exit 1, E1124: it cannot be written as JSON.
    pub fn to_json_line(&self) -> Result<String, Failure> {
        let json = LabelJson {
            schema: "colift.prep-label/1",
            rows: self.written.rows,
            columns: self.written.columns.iter().map(|(name, _)| name.as_str()).collect(),
            events: self.look.events,
            events_without_id: self.look.no_id,
            events_without_time: self.look.no_time,
            first_event: self.look.span.map(|(first, _)| first.to_string()),
            last_event: self.look.span.map(|(_, last)| last.to_string()),
            as_of: self.as_of.to_string(),
            left_out: self.left_out,
            labels: &self.labels,
            channels: &self.channels,
            leaks: &self.leaks,
            notes: &self.notes,
        };
        serde_json::to_string(&json).map_err(|error| Failure::new(Exit::Internal, 1124, format!("the page cannot be written: {error}")))
    }
}

/// Labels by part, from the rows as they were written (table `made`).
pub(super) async fn label_lines(engine: &Engine, query: &QuerySpec) -> Result<Vec<LabelLine>, Failure> {
    let part = if query.split == SplitSpec::None { "'all'" } else { "split" };
    let mut lines = Vec::new();
    for days in &query.definition.horizons {
        let label = query.definition.definition.column(*days);
        let column = quote::name(&label);
        let sql = format!(
            "SELECT {part} AS part, count(*), count(*) FILTER (WHERE {column} > 0), avg(CAST({column} AS DOUBLE))\nFROM made GROUP BY 1 ORDER BY 1 DESC"
        );
        for batch in engine.rows(&sql).await? {
            let (parts, users, yes, means) = (texts(&batch, 0)?, numbers(&batch, 1)?, numbers(&batch, 2)?, floats(&batch, 3)?);
            for (((part, users), yes), mean) in parts.into_iter().zip(users).zip(yes).zip(means) {
                let count = |number: Option<i64>| number.unwrap_or(0).unsigned_abs();
                let (part, mean) = (part.unwrap_or_default(), mean.unwrap_or(0.0));
                lines.push(LabelLine { label: label.clone(), part, users: count(users), yes: count(yes), mean });
            }
        }
    }
    Ok(lines)
}

/// Users by channel, from the rows as they were written.
pub(super) async fn channels(engine: &Engine, query: &QuerySpec) -> Result<Vec<ChannelLine>, Failure> {
    if !query.features.has_channel {
        return Ok(Vec::new());
    }
    let definition = &query.definition;
    let label = quote::name(&definition.definition.column(definition.shortest()));
    let longest = query.features.windows.last().filter(|_| query.features.has_value);
    let spend = match (definition.definition.is_amount(), longest) {
        (true, _) => format!("sum({label})"),
        (false, Some(days)) => format!("sum({})", quote::name(&format!("spend_{days}"))),
        (false, None) => "CAST(NULL AS DOUBLE)".into(),
    };
    let sql = format!(
        "SELECT channel, count(*) AS users, avg(CASE WHEN {label} > 0 THEN 1.0 ELSE 0.0 END), {spend}\nFROM made GROUP BY channel ORDER BY users DESC, channel"
    );
    let mut lines = Vec::new();
    for batch in engine.rows(&sql).await? {
        let (names, users, rates, spends) = (texts(&batch, 0)?, numbers(&batch, 1)?, floats(&batch, 2)?, floats(&batch, 3)?);
        for (((channel, users), rate), spend) in names.into_iter().zip(users).zip(rates).zip(spends) {
            lines.push(ChannelLine { channel, users: users.unwrap_or(0).unsigned_abs(), rate: rate.unwrap_or(0.0), spend });
        }
    }
    Ok(lines)
}

/// A column of numbers of a short result.
fn floats(batch: &RecordBatch, at: usize) -> Result<Vec<Option<f64>>, Failure> {
    let column = cast(batch.column(at), &DataType::Float64)
        .map_err(|error| Failure::new(Exit::Internal, 1124, format!("a result of the query engine is no number: {error}")))?;
    let column = column.as_primitive::<Float64Type>();
    Ok((0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row))).collect())
}
