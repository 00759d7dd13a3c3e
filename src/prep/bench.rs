//! The benchmark of a labelling: a log made on the spot, written as CSV, labelled by the same code as `label`; seconds and peak memory.

use super::definitions::Definition;
use super::engine::Limits;
use super::label::{self, LabelSpec};
use super::log::{EventNames, LogColumns};
use super::made_log::MadeLog;
use super::moment::{Days, Moment};
use super::query::SplitSpec;
use super::sources::TableSource;
use crate::error::{Exit, Failure};
use crate::resources::{Usage, peak_rss_mb};
use serde::Serialize;

/// Seconds since 1970 of the log's first event: 2026-01-01.
const START: i64 = 1_767_225_600;
/// Days of the log.
const DAYS: u32 = 200;

/// What is measured.
#[derive(Clone, Debug)]
pub struct BenchSpec {
    /// Events of the log; users are a fiftieth of them.
    pub events: u64,
    /// Seed of the log.
    pub seed: u64,
    /// What the engine may use.
    pub limits: Limits,
}

/// What it took.
#[derive(Clone, Debug, Serialize)]
pub struct BenchPage {
    schema: &'static str,
    events: u64,
    users: u64,
    log_mb: f64,
    rows: u64,
    columns: usize,
    threads: usize,
    max_memory_mb: f64,
    make_s: f64,
    label_s: f64,
    label_cpu_s: f64,
    peak_rss_mb: f64,
}

/// Makes a log, labels it and measures the labelling, leak check included.
///
/// # Errors
/// What `label` fails with; exit 1, E1132: the disk.
pub fn run(spec: &BenchSpec) -> Result<BenchPage, Failure> {
    let disk = |error: std::io::Error| Failure::new(Exit::Internal, 1132, format!("no temporary folder: {error}"));
    let folder = spec.limits.temp.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in).map_err(disk)?;
    let log = folder.path().join("events.csv");
    let users = (spec.events / 50).max(1);
    let before = Usage::now();
    MadeLog { events: spec.events, users, start: START, days: DAYS, seed: spec.seed }.write_csv(&log)?;
    let made = Usage::now();
    let log_bytes = std::fs::metadata(&log).map_err(disk)?.len();
    let done = label::run(&labelling(&log.display().to_string(), &spec.limits)?, &folder.path().join("owner.parquet"), false)?;
    let labelled = Usage::now();
    Ok(BenchPage {
        schema: "colift.prep-bench/1",
        events: spec.events,
        users,
        log_mb: log_bytes as f64 / 1e6,
        rows: done.written.rows,
        columns: done.written.columns.len(),
        threads: spec.limits.threads,
        max_memory_mb: spec.limits.max_memory as f64 / 1e6,
        make_s: made.wall.duration_since(before.wall).as_secs_f64(),
        label_s: labelled.wall.duration_since(made.wall).as_secs_f64(),
        label_cpu_s: labelled.cpu_s - made.cpu_s,
        peak_rss_mb: peak_rss_mb(),
    })
}

/// Spending within 7 and 30 days, with all features by channel.
fn labelling(log: &str, limits: &Limits) -> Result<LabelSpec, Failure> {
    let days = |numbers: &[u32]| numbers.iter().map(|days| Days::new(*days)).collect::<Result<Vec<_>, _>>();
    let columns = LogColumns {
        id: "user_id".into(),
        time: "ts".into(),
        event: "type".into(),
        value: Some("amount".into()),
        channel: Some("channel".into()),
        time_unit: None,
    };
    Ok(LabelSpec {
        events: TableSource::at("events", log),
        columns,
        names: EventNames::default(),
        cutoff: Moment::parse("2026-06-01")?,
        feature_window: Days::new(90)?,
        windows: days(&[7, 30, 90])?,
        horizons: days(&[7, 30])?,
        definition: Definition::Spend,
        lost_after: Days::new(7)?,
        campaign: Days::new(7)?,
        as_of: None,
        split: SplitSpec::Random { share: 0.25, seed: 7 },
        extra: None,
        count: vec!["view".into()],
        allow_leaky: Vec::new(),
        limits: limits.clone(),
    })
}

impl BenchPage {
    /// For a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{} events of {} users ({:.0} MB of CSV, made in {:.1} s)\n{} rows of {} columns in {:.1} s ({:.1} s of processor, {} threads), peak {:.0} MB",
            self.events,
            self.users,
            self.log_mb,
            self.make_s,
            self.rows,
            self.columns,
            self.label_s,
            self.label_cpu_s,
            self.threads,
            self.peak_rss_mb
        )
    }

    /// On one line.
    ///
    /// # Errors
    /// Exit 1, E1124: it cannot be written as JSON.
    pub fn to_json_line(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::new(Exit::Internal, 1124, format!("the page cannot be written: {error}")))
    }
}
