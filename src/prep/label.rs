//! The command `label`: an event log → one row a user with features and labels, checked for leaks, as Parquet.

use super::definitions::{Definition, DefinitionSpec};
use super::engine::{Engine, Limits};
use super::explain::failure_of;
use super::features::FeatureSpec;
use super::leak_check::{self, LeakPage, LeakSpec};
use super::log::{EVENTS, EventNames, LogColumns, LogLook, numbers};
use super::moment::{Days, Moment};
use super::outcome::{LabelDone, LeftOut, channels, label_lines};
use super::query::{EXTRA, ExtraSpec, QuerySpec, SplitSpec};
use super::quote;
use super::sources::{Sources, TableSource};
use super::write::OutFile;
use crate::data::wording::{counted, shown};
use crate::error::{Exit, Failure};
use datafusion::arrow::datatypes::{DataType, Schema};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Further features from a file of one row a user.
#[derive(Clone, Debug)]
pub struct ExtraFile {
    /// Where it is.
    pub source: TableSource,
    /// The column that says when each row was known, where there is one.
    pub as_of: String,
}

/// All that a labelling depends on.
#[derive(Clone, Debug)]
pub struct LabelSpec {
    /// Where the log is.
    pub events: TableSource,
    /// Its columns.
    pub columns: LogColumns,
    /// What its events are called.
    pub names: EventNames,
    /// The (first) cut-off.
    pub cutoff: Moment,
    /// How far back events count.
    pub feature_window: Days,
    /// Windows of features, ascending; none longer than the feature window.
    pub windows: Vec<Days>,
    /// Lengths of the label, ascending.
    pub horizons: Vec<Days>,
    /// The label.
    pub definition: Definition,
    /// Without a login for so long a user is lost.
    pub lost_after: Days,
    /// Messages of so many days from the cut-off count.
    pub campaign: Days,
    /// Until when the log is complete; its last event otherwise.
    pub as_of: Option<Moment>,
    /// Train and test.
    pub split: SplitSpec,
    /// Further features.
    pub extra: Option<ExtraFile>,
    /// Further event types to count.
    pub count: Vec<String>,
    /// Columns that the leak check may let pass.
    pub allow_leaky: Vec<String>,
    /// What the engine may use.
    pub limits: Limits,
}

/// The query with what was found on the way to it.
struct Prepared {
    query: QuerySpec,
    look: LogLook,
    as_of: Moment,
    notes: Vec<String>,
}

/// Makes the file.
///
/// # Errors
/// Exit 2: settings or the target; 13: the log, a label that is not mature, a leak; 17: over the memory cap; 20: interrupted. No file
/// is left then.
pub fn run(spec: &LabelSpec, out: &Path, force: bool) -> Result<LabelDone, Failure> {
    let engine = Engine::new(&spec.limits)?;
    engine.wait(async {
        let mut file = OutFile::create(out, force)?;
        let mut sources = Sources::default();
        let prepared = prepare(&engine, spec, &mut sources).await?;
        let query = &prepared.query;
        let left_out = left_out(&engine, query).await?;
        let rows = engine.plan(&query.sql()).await?.execute_stream().await.map_err(|error| failure_of(error, "the labels"))?;
        let written = file.write(rows).await?;
        if written.rows == 0 {
            return Err(nobody(spec, &left_out));
        }
        let made = format!("parquet:{}", file.path().display());
        sources.open(&engine, &TableSource::at("made", &made), &[]).await?;
        let labels = label_lines(&engine, query).await?;
        let leaks = leaks(&engine, spec, query, file.path()).await?;
        if let Some(failure) = leaks.failure(&out.display().to_string()) {
            return Err(failure);
        }
        let channels = channels(&engine, query).await?;
        let mut notes = sources.notes.clone();
        notes.extend(prepared.notes.iter().cloned());
        file.finish()?;
        Ok(LabelDone { written, look: prepared.look.clone(), as_of: prepared.as_of, left_out, labels, channels, leaks, notes })
    })
}

/// The queries that [`run`] would run: one look at the log, who is left out, and the rows.
///
/// # Errors
/// As [`run`] until the rows are made.
pub fn show_sql(spec: &LabelSpec) -> Result<String, Failure> {
    let engine = Engine::new(&spec.limits)?;
    engine.wait(async {
        let prepared = prepare(&engine, spec, &mut Sources::default()).await?;
        let left_out = prepared.query.left_out_sql().map(|sql| format!("-- Who is left out\n{sql};\n\n")).unwrap_or_default();
        Ok(format!("-- A look at the log\n{};\n\n{left_out}-- The rows\n{};", prepared.query.log.look_sql(), prepared.query.sql()))
    })
}

/// Opens the tables, looks at the log and checks that every label asked for is mature.
async fn prepare(engine: &Engine, spec: &LabelSpec, sources: &mut Sources) -> Result<Prepared, Failure> {
    check_settings(spec)?;
    let events = TableSource { name: EVENTS.to_owned(), ..spec.events.clone() };
    let schema = sources.open(engine, &events, &spec.columns.text()).await?;
    let log = spec.columns.sql(&schema)?;
    let look = log.look(engine).await?;
    for (what, names) in spec.definition.needs(&spec.names) {
        look.needs(what, names)?;
    }
    let (first, last) = look.span.unwrap_or((spec.cutoff, spec.cutoff));
    let as_of = spec.as_of.unwrap_or(last);
    let mut notes = Vec::new();
    mature(spec, as_of, &mut notes)?;
    if first > spec.cutoff.minus(spec.feature_window) {
        notes.push(format!("the log begins at {first}, inside the feature window: early windows are shorter than they seem"));
    }
    for (count, why) in [(look.no_id, "no id"), (look.no_time, "no time")] {
        if count > 0 {
            notes.push(format!(
                "{} {why} and {} left out",
                counted(count, "event has", "events have"),
                if count == 1 { "is" } else { "are" }
            ));
        }
    }
    let extra = match &spec.extra {
        Some(file) => Some(open_extra(engine, spec, file, sources).await?),
        None => None,
    };
    let definition = DefinitionSpec {
        definition: spec.definition,
        names: spec.names.clone(),
        horizons: spec.horizons.clone(),
        feature_window: spec.feature_window,
        lost_after: spec.lost_after,
        campaign: spec.campaign,
        as_of,
    };
    let features = FeatureSpec {
        windows: spec.windows.clone(),
        feature_window: spec.feature_window,
        has_value: spec.columns.value.is_some(),
        has_channel: spec.columns.channel.is_some(),
        count: spec.count.clone(),
    };
    let query = QuerySpec { log, columns: spec.columns.clone(), definition, features, cutoff: spec.cutoff, split: spec.split, extra };
    Ok(Prepared { query, look, as_of, notes })
}

fn check_settings(spec: &LabelSpec) -> Result<(), Failure> {
    let usage = |what: String| Err(Failure::new(Exit::Usage, 1144, what));
    if spec.definition.is_amount() && spec.columns.value.is_none() {
        return usage("`spend` needs the column of amounts: --value".into());
    }
    if let Some(days) = spec.windows.iter().find(|days| **days > spec.feature_window) {
        return usage(format!("a window of {days} is longer than the feature window of {}", spec.feature_window));
    }
    if spec.definition == Definition::Lost && spec.lost_after >= spec.feature_window {
        return usage(format!("nobody can be lost after {} within a feature window of {}", spec.lost_after, spec.feature_window));
    }
    if let SplitSpec::Later { cutoff, .. } = spec.split
        && cutoff <= spec.cutoff
    {
        return usage(format!("--split-cutoff {cutoff} does not lie after --cutoff {}", spec.cutoff));
    }
    if let SplitSpec::Later { share, .. } | SplitSpec::Random { share, .. } = spec.split
        && !(share > 0.0 && share < 1.0)
    {
        return usage(format!("--test-share is {share}, it must lie between 0 and 1"));
    }
    Ok(())
}

/// No label before its horizon has passed. Where it starts with the user, immature users are left out later.
fn mature(spec: &LabelSpec, as_of: Moment, notes: &mut Vec<String>) -> Result<(), Failure> {
    let cutoffs = match spec.split {
        SplitSpec::Later { cutoff, .. } => vec![spec.cutoff, cutoff],
        _ => vec![spec.cutoff],
    };
    let whose = if spec.as_of.is_some() { "--as-of says until" } else { "its last event is of" };
    for cutoff in &cutoffs {
        if spec.definition.starts_with_the_user() {
            if as_of <= *cutoff {
                let what = format!("nothing of the log follows the cut-off {cutoff}: {whose} {as_of}");
                return Err(Failure::new(Exit::Data, 1145, what).hint("choose an earlier cut-off"));
            }
            continue;
        }
        let Some(days) = spec.horizons.iter().find(|days| cutoff.plus(**days) > as_of) else { continue };
        let needed = cutoff.plus(*days);
        let what = format!("labels of {days} from {cutoff} are not mature: the log must be complete until {needed}, and {whose} {as_of}");
        let hint = format!("--cutoff {} or earlier, a shorter --horizon, or --as-of if the log is complete for longer", as_of.minus(*days));
        return Err(Failure::new(Exit::Data, 1145, what).hint(hint));
    }
    if let (SplitSpec::Later { cutoff, .. }, Some(longest)) = (spec.split, spec.horizons.last())
        && spec.cutoff.plus(*longest) > cutoff
    {
        let ends = spec.cutoff.plus(*longest);
        notes.push(format!(
            "training labels end at {ends}, after the test's cut-off {cutoff}: on that day this model could not have been trained"
        ));
    }
    Ok(())
}

/// Opens the table of further features and refuses it where it knows more than the cut-off.
async fn open_extra(engine: &Engine, spec: &LabelSpec, file: &ExtraFile, sources: &mut Sources) -> Result<ExtraSpec, Failure> {
    let place = file.source.path.clone();
    let refuse = |number: u16, what: String, hint: &str| Failure::new(Exit::Data, number, what).at(place.as_str()).hint(hint);
    let source = TableSource { name: EXTRA.to_owned(), ..file.source.clone() };
    let id = spec.columns.id.clone();
    let schema: std::sync::Arc<Schema> = sources.open(engine, &source, std::slice::from_ref(&id)).await?;
    if schema.field_with_name(&id).is_err() {
        return Err(refuse(1147, format!("the further features have no column {}", shown(&id)), "they need the log's id column"));
    }
    let (table, name) = (quote::name(EXTRA), quote::name(&id));
    let rows = engine.rows(&format!("SELECT count(*), count(DISTINCT trim(CAST({name} AS VARCHAR))), count({name}) FROM {table}")).await?;
    let count = |at: usize| -> Result<i64, Failure> {
        let cells = rows.first().map(|row| numbers(row, at)).transpose()?;
        Ok(cells.and_then(|cells| cells.first().copied().flatten()).unwrap_or(0))
    };
    let (ids, distinct) = (count(2)?, count(1)?);
    if ids != distinct {
        let what = format!("{} an id that an earlier row has", counted((ids - distinct).unsigned_abs(), "row has", "rows have"));
        return Err(refuse(1147, what, "one row a user: aggregate with `colift-prep sql` first"));
    }
    if let Ok(field) = schema.field_with_name(&file.as_of) {
        let column = quote::name(&file.as_of);
        let time = match field.data_type() {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => column.clone(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => format!("TRY_CAST({column} AS TIMESTAMP)"),
            _ => {
                return Err(refuse(
                    1147,
                    format!("column {} is no date", shown(&file.as_of)),
                    "--features-as-of names the column of dates",
                ));
            }
        };
        let micros = format!("arrow_cast({time}, 'Timestamp(Microsecond, None)')");
        let late = format!(
            "SELECT count(*) FILTER (WHERE {micros} > {}), count(*) FILTER (WHERE {time} IS NULL), CAST(max({micros}) AS BIGINT) FROM {table}",
            spec.cutoff.sql()
        );
        let rows = engine.rows(&late).await?;
        let cell = |at: usize| -> Result<Option<i64>, Failure> {
            let cells = rows.first().map(|row| numbers(row, at)).transpose()?;
            Ok(cells.and_then(|cells| cells.first().copied().flatten()))
        };
        let (late, undated, latest) = (cell(0)?.unwrap_or(0), cell(1)?.unwrap_or(0), cell(2)?.unwrap_or(0));
        if late > 0 {
            let what = format!(
                "column {} says that {} of further features {} known only after the cut-off {}, up to {}",
                shown(&file.as_of),
                counted(late.unsigned_abs(), "row", "rows"),
                if late == 1 { "was" } else { "were" },
                spec.cutoff,
                Moment(latest)
            );
            return Err(refuse(1150, what, "take the features as they were at the cut-off"));
        }
        if undated > 0 {
            let what = format!("{} no date in column {}", counted(undated.unsigned_abs(), "row has", "rows have"), shown(&file.as_of));
            return Err(refuse(1147, what, "every row needs one"));
        }
    }
    let columns = schema.fields().iter().map(|field| field.name().clone()).filter(|name| *name != id && *name != file.as_of).collect();
    Ok(ExtraSpec { id, columns })
}

/// Counts who is left out; the longest horizon decides.
async fn left_out(engine: &Engine, query: &QuerySpec) -> Result<LeftOut, Failure> {
    let mut left_out = LeftOut::default();
    let Some(sql) = query.left_out_sql() else { return Ok(left_out) };
    for batch in engine.rows(&sql).await? {
        let sum = |at: usize| numbers(&batch, at).map(|cells| cells.into_iter().flatten().map(i64::unsigned_abs).sum::<u64>());
        left_out.already_vip += sum(1)?;
        left_out.immature += sum(2)?;
        left_out.other_cutoff += sum(3)?;
    }
    Ok(left_out)
}

fn nobody(spec: &LabelSpec, left_out: &LeftOut) -> Failure {
    let mut what = format!("no user fits the definition `{}` at {}", spec.definition.name(), spec.cutoff);
    if left_out.immature > 0 {
        what.push_str(&format!("; {} left out because the horizon has not passed", counted(left_out.immature, "user is", "users are")));
    }
    Failure::new(Exit::Data, 1146, what)
        .at("the event log")
        .hint("docs/PREP.md says who is asked about; check --cutoff and the names of events")
}

/// The leak check of the rows: label by label, every feature.
async fn leaks(engine: &Engine, spec: &LabelSpec, query: &QuerySpec, path: &Path) -> Result<LeakPage, Failure> {
    let labels: Vec<String> = spec.horizons.iter().map(|days| spec.definition.column(*days)).collect();
    let split = (query.split != SplitSpec::None).then(|| "split".to_owned());
    let mut worst: Option<LeakPage> = None;
    for label in &labels {
        let exclude: BTreeSet<String> = labels.iter().filter(|other| *other != label).cloned().chain(split.clone()).collect();
        let leak_spec = LeakSpec {
            path: PathBuf::from(path),
            parquet: true,
            id: spec.columns.id.clone(),
            label: label.clone(),
            exclude: exclude.into_iter().collect(),
            cutoff: Some(spec.cutoff),
            allow: spec.allow_leaky.clone(),
        };
        let page = leak_check::check(engine, &leak_spec).await?;
        if page.columns.iter().any(|column| column.refused) {
            return Ok(page);
        }
        worst.get_or_insert(page);
    }
    worst.ok_or_else(|| Failure::new(Exit::Internal, 1124, "a labelling without a horizon"))
}
