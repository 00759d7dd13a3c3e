//! The event log: which column is whose, when, what and how much; one look at all of it before anything is made of it.

use super::engine::Engine;
use super::moment::Moment;
use super::quote;
use super::write::type_name;
use crate::data::wording::{counted, grouped, nearest, shown};
use crate::error::{Exit, Failure};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;

/// The log's name in SQL.
pub const EVENTS: &str = "events";

/// What one unit of a numeric time column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds since 1970-01-01 UTC.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
}

impl TimeUnit {
    fn micros(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000,
            Self::Millis => 1_000,
            Self::Micros => 1,
        }
    }
}

/// The columns of the log.
#[derive(Clone, Debug)]
pub struct LogColumns {
    /// Whose event.
    pub id: String,
    /// When.
    pub time: String,
    /// What.
    pub event: String,
    /// How much, where events have an amount.
    pub value: Option<String>,
    /// From where the user came.
    pub channel: Option<String>,
    /// Unit of a time column of numbers.
    pub time_unit: Option<TimeUnit>,
}

/// What the event types of the log are called.
#[derive(Clone, Debug)]
pub struct EventNames {
    /// A registration.
    pub signup: Vec<String>,
    /// A login or another sign that the user is there.
    pub login: Vec<String>,
    /// A message sent to the user.
    pub message: Vec<String>,
    /// A payment.
    pub pay: Vec<String>,
    /// The user becomes VIP.
    pub vip: Vec<String>,
    /// The user shares something.
    pub share: Vec<String>,
    /// The user invites somebody.
    pub invite: Vec<String>,
}

impl Default for EventNames {
    fn default() -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            signup: one("register"),
            login: one("login"),
            message: one("message"),
            pay: one("purchase"),
            vip: one("vip"),
            share: one("share"),
            invite: one("invite"),
        }
    }
}

/// Typed events as SQL.
#[derive(Clone, Debug)]
pub struct LogSql {
    text: String,
}

/// What one look at the log found.
#[derive(Clone, Debug, Default)]
pub struct LogLook {
    /// Events.
    pub events: u64,
    /// Events without an id, left out.
    pub no_id: u64,
    /// Events without a time, left out.
    pub no_time: u64,
    /// The first and the last event.
    pub span: Option<(Moment, Moment)>,
    /// Events of each type.
    pub types: BTreeMap<String, u64>,
}

impl LogColumns {
    /// Columns that are read from CSV as text, whatever its first rows look like: what cannot be read as a time or an amount is
    /// counted then.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let time = Some(&self.time).filter(|_| self.time_unit.is_none());
        [Some(&self.id), time, Some(&self.event), self.value.as_ref(), self.channel.as_ref()].into_iter().flatten().cloned().collect()
    }

    /// The query of typed events: `id`, `at`, `kind`, `amount`, `channel`, and whether a time or an amount could not be read.
    ///
    /// # Errors
    /// Exit 13, E1140: no such column, or of a type that cannot be one. Exit 2, E1141: times are numbers and the unit was not told.
    pub fn sql(&self, schema: &Schema) -> Result<LogSql, Failure> {
        let kind = |column: &str| {
            schema.field_with_name(column).map(|field| plain(field.data_type())).map_err(|_| {
                let near = nearest(column, schema.fields().iter().map(|field| field.name().as_str()));
                let near = near.map_or_else(|| "--help tells the flags".to_owned(), |near| format!("did you mean {}?", shown(near)));
                Failure::new(Exit::Data, 1140, format!("the log has no column {}", shown(column))).at("the event log").hint(near)
            })
        };
        let refuse = |column: &str, kind: &DataType, needed: &str| {
            let what = format!("column {} is of type {}, and {needed} is needed", shown(column), type_name(kind));
            Failure::new(Exit::Data, 1140, what).at("the event log")
        };
        let text_column = |column: &str| {
            let found = kind(column)?;
            let good = found.is_integer() || is_text(&found);
            let sql = known(&format!("trim(CAST({} AS VARCHAR))", quote::name(column)));
            good.then_some(sql).ok_or_else(|| refuse(column, &found, "text or a whole number"))
        };
        let time = quote::name(&self.time);
        let micros = |value: &str| format!("arrow_cast({value}, 'Timestamp(Microsecond, None)')");
        let (at, bad_time) = match kind(&self.time)? {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => (micros(&time), "false".to_owned()),
            found if is_text(&found) => {
                let read = micros(&format!("TRY_CAST({time} AS TIMESTAMP)"));
                let bad = format!("TRY_CAST({time} AS TIMESTAMP) IS NULL AND {} IS NOT NULL", known(&format!("trim({time})")));
                (read, bad)
            }
            found if found.is_integer() || found.is_floating() => {
                let unit = self.time_unit.ok_or_else(|| {
                    let what = format!("column {} holds numbers: the unit must be told", shown(&self.time));
                    Failure::new(Exit::Usage, 1141, what).at("the event log").hint("--time-unit s, ms or us since 1970-01-01 UTC")
                })?;
                let whole = if found.is_floating() {
                    format!("TRY_CAST(floor({time} * {}.0) AS BIGINT)", unit.micros())
                } else {
                    format!("CAST({time} AS BIGINT) * {}", unit.micros())
                };
                (micros(&whole), "false".to_owned())
            }
            found => return Err(refuse(&self.time, &found, "a time")),
        };
        let (amount, bad_amount) = match &self.value {
            None => ("CAST(NULL AS DOUBLE)".to_owned(), "false".to_owned()),
            Some(column) => {
                let (value, found) = (quote::name(column), kind(column)?);
                if is_text(&found) {
                    let read = format!("TRY_CAST({value} AS DOUBLE)");
                    let bad = format!("{read} IS NULL AND {} IS NOT NULL", known(&format!("trim({value})")));
                    (read, bad)
                } else if found.is_integer() || found.is_floating() || matches!(found, DataType::Decimal128(..)) {
                    (format!("CAST({value} AS DOUBLE)"), "false".to_owned())
                } else {
                    return Err(refuse(column, &found, "a number"));
                }
            }
        };
        let channel = self.channel.as_deref().map_or(Ok("CAST(NULL AS VARCHAR)".to_owned()), text_column)?;
        let text = format!(
            "SELECT {} AS id,\n    {at} AS at,\n    {} AS kind,\n    {amount} AS amount,\n    {channel} AS channel,\n    \
             {bad_time} AS bad_time,\n    {bad_amount} AS bad_amount\n  FROM {}",
            text_column(&self.id)?,
            text_column(&self.event)?,
            quote::name(EVENTS),
        );
        Ok(LogSql { text })
    }
}

/// A text, or NULL where it is one of the words for a missing cell (docs/DATA.md).
fn known(text: &str) -> String {
    format!("CASE WHEN {text} NOT IN ('', 'null', 'NULL', '\\N') THEN {text} END")
}

/// The type of a column without its dictionary.
fn plain(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, value) => plain(value),
        other => other.clone(),
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl LogSql {
    /// Typed events as a query, those without id or time among them.
    #[must_use]
    pub fn all(&self) -> &str {
        &self.text
    }

    /// The query of [`LogSql::look`].
    #[must_use]
    pub fn look_sql(&self) -> String {
        format!(
            "WITH log AS (\n  {}\n)\nSELECT kind, count(*) AS events,\n  count(*) FILTER (WHERE id IS NULL) AS no_id,\n  \
             count(*) FILTER (WHERE at IS NULL) AS no_time,\n  count(*) FILTER (WHERE bad_time) AS bad_times,\n  \
             count(*) FILTER (WHERE bad_amount) AS bad_amounts,\n  count(*) FILTER (WHERE isnan(amount) OR abs(amount) > 1e100) AS infinite,\n  \
             CAST(min(at) AS BIGINT) AS first, CAST(max(at) AS BIGINT) AS last\nFROM log GROUP BY kind",
            self.text
        )
    }

    /// Looks at the whole log once.
    ///
    /// # Errors
    /// Exit 13, E1142: times or amounts that cannot be read, or no event at all; what reading fails with.
    pub async fn look(&self, engine: &Engine) -> Result<LogLook, Failure> {
        let mut look = LogLook::default();
        let (mut bad_times, mut bad_amounts, mut infinite) = (0, 0, 0);
        for batch in engine.rows(&self.look_sql()).await? {
            let kinds = texts(&batch, 0)?;
            let numbers: Vec<Vec<Option<i64>>> = (1..9).map(|at| numbers(&batch, at)).collect::<Result<_, _>>()?;
            for (row, kind) in kinds.into_iter().enumerate() {
                let of = |column: usize| numbers.get(column).and_then(|cells| cells.get(row).copied().flatten());
                let count = |column: usize| of(column).and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
                look.events += count(0);
                look.no_id += count(1);
                look.no_time += count(2);
                bad_times += count(3);
                bad_amounts += count(4);
                infinite += count(5);
                if let (Some(first), Some(last)) = (of(6), of(7)) {
                    let (low, high) = look.span.unwrap_or((Moment(first), Moment(last)));
                    look.span = Some((low.min(Moment(first)), high.max(Moment(last))));
                }
                *look.types.entry(kind.unwrap_or_default()).or_default() += count(0);
            }
        }
        let refuse = |what: String, hint: &str| Err(Failure::new(Exit::Data, 1142, what).at("the event log").hint(hint));
        if bad_times > 0 {
            let what = format!("{} no time that can be read", counted(bad_times, "event has", "events have"));
            return refuse(what, "times such as 2026-06-01T12:00:00Z are read; make others with `colift-prep sql` first");
        }
        if bad_amounts + infinite > 0 {
            let what = format!("{} no number that can be used", counted(bad_amounts + infinite, "amount is", "amounts are"));
            return refuse(what, "make them numbers with `colift-prep sql` first");
        }
        if look.span.is_none() {
            return refuse("the log holds no event with a time".into(), "check --time");
        }
        Ok(look)
    }
}

impl LogLook {
    /// Refuses a log in which no event is of these types.
    ///
    /// # Errors
    /// Exit 13, E1143: none is, with the types that are there.
    pub fn needs(&self, what: &str, names: &[String]) -> Result<(), Failure> {
        if names.iter().any(|name| self.types.contains_key(name)) {
            return Ok(());
        }
        let listed = |names: Vec<&str>| names.into_iter().map(shown).collect::<Vec<_>>().join(", ");
        let mut there: Vec<(&String, &u64)> = self.types.iter().collect();
        there.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let most = there.iter().take(10).map(|(name, _)| name.as_str()).collect();
        let what = format!("no event of the log is {what}: none is of type {}", listed(names.iter().map(String::as_str).collect()));
        let hint = format!(
            "the {} types begin with {}; name yours with the flag of its role, see --help",
            grouped(self.types.len() as u64),
            listed(most)
        );
        Err(Failure::new(Exit::Data, 1143, what).at("the event log").hint(hint))
    }
}

/// A column of whole numbers of a short result.
pub(super) fn numbers(batch: &RecordBatch, at: usize) -> Result<Vec<Option<i64>>, Failure> {
    let column = cast(batch.column(at), &DataType::Int64).map_err(|error| internal(&error))?;
    let column = column.as_primitive::<Int64Type>();
    Ok((0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row))).collect())
}

/// A column of texts of a short result.
pub(super) fn texts(batch: &RecordBatch, at: usize) -> Result<Vec<Option<String>>, Failure> {
    let column = cast(batch.column(at), &DataType::Utf8).map_err(|error| internal(&error))?;
    let column = column.as_string::<i32>();
    Ok((0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row).to_owned())).collect())
}

fn internal(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Internal, 1124, format!("a result of the query engine is not of the type asked for: {error}"))
}
