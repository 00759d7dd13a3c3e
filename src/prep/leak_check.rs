//! The leak check: columns that cannot have been known at the cut-off. Dated after it, or telling the label almost alone.
//!
//! Dates are columns of dates and times, texts of which almost all are dates, and whole numbers that all look like seconds, milliseconds
//! or microseconds since 1970 between 2000 and 2100. Every column is read as the party programs read it (`data`).

use super::engine::Engine;
use super::information::information_value;
use super::log::numbers;
use super::moment::Moment;
use super::quote;
use super::sources::{Sources, TableSource};
use crate::data::wording::{counted, shown};
use crate::data::{Column, Side, TableSpec, read_table, values_auc};
use crate::error::{Exit, Failure};
use datafusion::arrow::datatypes::DataType;
use serde::Serialize;
use std::path::PathBuf;

/// An AUC beyond this, or below one minus this, is a leak.
pub const MOST_AUC: f64 = 0.99;
/// An information value beyond this is a leak.
pub const MOST_INFORMATION: f64 = 3.0;
/// The range in which whole numbers are taken for seconds since 1970: 2000 to 2100.
const EPOCH: (f64, f64) = (946_684_800.0, 4_102_444_800.0);
/// The share of texts that must be dates.
const DATES: f64 = 0.95;

/// What is checked.
#[derive(Clone, Debug)]
pub struct LeakSpec {
    /// A CSV or Parquet file of one row a user.
    pub path: PathBuf,
    /// Whether it is Parquet, whatever its name.
    pub parquet: bool,
    /// Its id column.
    pub id: String,
    /// The label: yes where it is above 0.
    pub label: String,
    /// Columns that are no features.
    pub exclude: Vec<String>,
    /// Nothing may be dated after it.
    pub cutoff: Option<Moment>,
    /// Columns that may stay all the same.
    pub allow: Vec<String>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnPage {
    /// Its name.
    pub column: String,
    /// How well it ranks the label alone; None where it is clear without sorting a long table, or one class is missing.
    pub auc: Option<f64>,
    /// What its bins tell about the label.
    pub information: Option<f64>,
    /// Its last date, where it is one and lies after the cut-off.
    pub dated: Option<String>,
    /// Whether it is refused.
    pub refused: bool,
}

/// What was found, the most informative column first.
#[derive(Clone, Debug, Serialize)]
pub struct LeakPage {
    schema: &'static str,
    /// Rows.
    pub rows: u64,
    /// Rows with a label above 0.
    pub yes: u64,
    /// Every feature.
    pub columns: Vec<ColumnPage>,
}

/// Checks a file.
///
/// # Errors
/// Exit 13: the file cannot be read as a party program would, or the label is no number. What leaks: [`LeakPage::failure`].
pub async fn check(engine: &Engine, spec: &LeakSpec) -> Result<LeakPage, Failure> {
    let dated = match spec.cutoff {
        Some(cutoff) => dated(engine, spec, cutoff).await?,
        None => Vec::new(),
    };
    let mut exclude = spec.exclude.clone();
    exclude.retain(|name| *name != spec.label);
    let table = read_table(&TableSpec { exclude, ..TableSpec::new(&spec.path, &spec.id) }, Side::Partner)?;
    let place = || format!("{}, column {}", spec.path.display(), shown(&spec.label));
    let label = table.columns.iter().find(|column| column.name == spec.label);
    let label = label.and_then(|column| column.values.numbers());
    let Some(label) = label.filter(|values| !values.iter().any(|value| value.is_nan())) else {
        let what = "the label is missing or is no number in every row";
        return Err(Failure::new(Exit::Data, 1151, what).at(place()).hint("name it with --label"));
    };
    let label: Vec<bool> = label.iter().map(|value| *value > 0.0).collect();
    let mut columns: Vec<ColumnPage> = table
        .columns
        .iter()
        .filter(|column| column.name != spec.label)
        .map(|column| {
            let late = dated.iter().find(|(name, _)| *name == column.name).map(|(_, latest)| latest.to_string());
            page(column, &label, late, spec)
        })
        .collect();
    columns.sort_by(|a, b| b.information.unwrap_or(0.0).total_cmp(&a.information.unwrap_or(0.0)).then_with(|| a.column.cmp(&b.column)));
    let yes = label.iter().filter(|yes| **yes).count() as u64;
    Ok(LeakPage { schema: "colift.prep-check/1", rows: label.len() as u64, yes, columns })
}

fn page(column: &Column, label: &[bool], dated: Option<String>, spec: &LeakSpec) -> ColumnPage {
    let auc = values_auc(&column.values, label);
    let information = information_value(&column.values, label);
    let tells =
        auc.is_some_and(|auc| !(1.0 - MOST_AUC..=MOST_AUC).contains(&auc)) || information.is_some_and(|value| value > MOST_INFORMATION);
    let refused = (tells || dated.is_some()) && !spec.allow.contains(&column.name);
    ColumnPage { column: column.name.clone(), auc, information, dated, refused }
}

/// The columns that hold dates after the cut-off, with the last of them.
async fn dated(engine: &Engine, spec: &LeakSpec, cutoff: Moment) -> Result<Vec<(String, Moment)>, Failure> {
    let path = spec.path.display().to_string();
    let path = if spec.parquet { format!("parquet:{path}") } else { path };
    let name = "checked";
    let schema = Sources::default().open(engine, &TableSource::at(name, &path), &[]).await?;
    let features = schema.fields().iter().filter(|field| {
        let not = [&spec.id, &spec.label].contains(&field.name()) || spec.exclude.contains(field.name());
        !not && (is_date(field.data_type()) || is_text(field.data_type()) || field.data_type().is_numeric())
    });
    let features: Vec<_> = features.cloned().collect();
    let asked: Vec<String> = features
        .iter()
        .flat_map(|field| {
            let column = quote::name(field.name());
            let time = |value: &str| format!("arrow_cast({value}, 'Timestamp(Microsecond, None)')");
            if is_date(field.data_type()) {
                [format!("CAST(max({}) AS BIGINT)", time(&column)), "0".into(), "0".into()]
            } else if is_text(field.data_type()) {
                let read = format!("TRY_CAST({column} AS TIMESTAMP)");
                [
                    format!("CAST(max({}) AS BIGINT)", time(&read)),
                    format!("sum(CASE WHEN {read} IS NULL THEN 0 ELSE 1 END)"),
                    format!("count({column})"),
                ]
            } else {
                [format!("TRY_CAST(max({column}) AS BIGINT)"), format!("TRY_CAST(min({column}) AS BIGINT)"), "0".into()]
            }
        })
        .enumerate()
        .map(|(at, sql)| format!("{sql} AS c{at}"))
        .collect();
    if asked.is_empty() {
        let _ = engine.context().deregister_table(name);
        return Ok(Vec::new());
    }
    let rows = engine.rows(&format!("SELECT {} FROM {}", asked.join(", "), quote::name(name))).await?;
    // The next label's check opens it again.
    let _ = engine.context().deregister_table(name);
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let cell = |at: usize| numbers(row, at).map(|cells| cells.first().copied().flatten());
    let mut found = Vec::new();
    for (at, field) in features.iter().enumerate() {
        let cells = (cell(3 * at)?, cell(3 * at + 1)?, cell(3 * at + 2)?);
        let latest = match cells {
            (Some(latest), ..) if is_date(field.data_type()) => Some(latest),
            (Some(latest), Some(dates), Some(all)) if is_text(field.data_type()) => (dates as f64 >= DATES * all as f64).then_some(latest),
            (Some(high), Some(low), _) if field.data_type().is_numeric() => since_1970(low, high),
            _ => None,
        };
        if let Some(latest) = latest.map(Moment).filter(|latest| *latest > cutoff) {
            found.push((field.name().clone(), latest));
        }
    }
    Ok(found)
}

/// The largest of numbers that all look like times since 1970, in microseconds.
fn since_1970(low: i64, high: i64) -> Option<i64> {
    let units = [(1.0, 1_000_000), (1e3, 1_000), (1e6, 1)];
    let fits = |scale: f64| low as f64 >= EPOCH.0 * scale && high as f64 <= EPOCH.1 * scale;
    units.into_iter().find(|(scale, _)| fits(*scale)).map(|(_, micros)| high.saturating_mul(micros))
}

fn is_date(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl LeakPage {
    /// The failure to end with, where anything is refused: it names every refused column and why.
    #[must_use]
    pub fn failure(&self, place: &str) -> Option<Failure> {
        let refused: Vec<&ColumnPage> = self.columns.iter().filter(|column| column.refused).collect();
        let first = refused.first()?;
        let list: Vec<String> =
            refused.iter().map(|column| format!("{} ({})", shown(&column.column), column.reasons().join(", "))).collect();
        let many =
            counted(refused.len() as u64, "column cannot have been known at the cut-off", "columns cannot have been known at the cut-off");
        let hint = "leave it out or take it as it was at the cut-off; --allow-leaky names a column that may stay";
        Some(
            Failure::new(Exit::Data, 1150, format!("{many}: {}", list.join(", ")))
                .at(format!("{place}, column {}", shown(&first.column)))
                .hint(hint),
        )
    }

    /// The page for a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        let width = self.columns.iter().map(|column| column.column.chars().count()).max().unwrap_or(0).clamp(6, 40);
        let mut text = format!(
            "{}, {} with yes\n  {:width$}  {:>7}  {:>11}",
            counted(self.rows, "row", "rows"),
            self.yes,
            "column",
            "AUC",
            "information"
        );
        for column in &self.columns {
            let number = |value: Option<f64>| value.map_or_else(|| "clear".to_owned(), |value| format!("{value:.4}"));
            let (auc, information) = (number(column.auc), number(column.information));
            text.push_str(&format!("\n  {:width$}  {auc:>7}  {information:>11}", column.column));
            if column.refused || column.dated.is_some() {
                let mark = if column.refused { "refused" } else { "allowed" };
                text.push_str(&format!("  {mark}: {}", column.reasons().join(", ")));
            }
        }
        text
    }
}

impl ColumnPage {
    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(latest) = &self.dated {
            reasons.push(format!("dated up to {latest}, after the cut-off"));
        }
        if let Some(auc) = self.auc.filter(|auc| !(1.0 - MOST_AUC..=MOST_AUC).contains(auc)) {
            reasons.push(format!("AUC {auc:.4} alone"));
        }
        if let Some(value) = self.information.filter(|value| *value > MOST_INFORMATION) {
            reasons.push(format!("information value {value:.2}"));
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_look_like_times() {
        assert_eq!(since_1970(1_700_000_000, 1_780_000_000), Some(1_780_000_000_000_000));
        assert_eq!(since_1970(1_700_000_000_000, 1_780_000_000_000), Some(1_780_000_000_000_000));
        assert_eq!(since_1970(0, 1_780_000_000), None, "amounts begin low");
        assert_eq!(since_1970(1_700_000_000, 1_780_000_000_000), None, "mixed");
    }
}
