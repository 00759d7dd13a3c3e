//! The command line of `colift-prep`: raw flags → checked settings → a command. stdout is data, stderr is for people.

use super::say;
use crate::data::wording::{byte_size, shown, suggestion};
use crate::error::{Exit, Failure};
use crate::prep::bench::{self, BenchSpec};
use crate::prep::definitions::Definition;
use crate::prep::engine::{Engine, Limits};
use crate::prep::label::{self, ExtraFile, LabelSpec};
use crate::prep::leak_check::{self, LeakSpec};
use crate::prep::log::{EventNames, LogColumns, TimeUnit};
use crate::prep::moment::{Days, Moment};
use crate::prep::query::SplitSpec;
use crate::prep::sources::TableSource;
use crate::prep::sql;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prepares a party's file on its own machine: SQL, and labels from event logs. Nothing is sent to anybody.
#[derive(Debug, Parser)]
#[command(name = "colift-prep", version, disable_help_subcommand = true, arg_required_else_help = true)]
struct Flags {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one query over files and write its rows as Parquet
    Sql(SqlFlags),
    /// Make labels and features from an event log
    Label(Box<LabelFlags>),
    /// Look for columns of a finished file that cannot have been known at the cut-off
    Check(CheckFlags),
    /// Measure a labelling: a log made on the spot, seconds and peak memory
    Bench(BenchFlags),
}

#[derive(Debug, Args)]
struct LimitFlags {
    /// Most memory that sorts, joins and groups may hold before they spill to disk, such as 2G
    #[arg(long, default_value = "2G")]
    max_memory: String,
    /// Threads [default: all processors]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Folder of spilled data [default: the system's]
    #[arg(long, value_name = "DIR")]
    temp: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct OutFlags {
    /// The Parquet file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
struct SqlFlags {
    /// The query
    #[arg(group = "what")]
    query: Option<String>,
    /// A file that holds the query
    #[arg(long, group = "what", value_name = "PATH")]
    file: Option<PathBuf>,
    /// A table: NAME=PATH; a path is a file, a pattern in quotes, a folder, - or an address; NAME=csv:PATH (parquet:, json:) tells the format
    #[arg(long = "table", value_name = "NAME=PATH", required = true)]
    tables: Vec<String>,
    /// Columns of CSV that are text whatever they hold, separated by commas
    #[arg(long, value_delimiter = ',')]
    text: Vec<String>,
    #[command(flatten)]
    out: OutFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnitName {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
}

#[derive(Debug, Args)]
struct LabelFlags {
    /// The event log: a file, a pattern in quotes, a folder, - or an address
    events: String,
    /// Column of the user's id
    #[arg(long)]
    id: String,
    /// Column of the event's time, UTC
    #[arg(long)]
    time: String,
    /// Column of the event's type
    #[arg(long)]
    event: String,
    /// Column of the event's amount
    #[arg(long)]
    value: Option<String>,
    /// Column of the channel from which the user came
    #[arg(long)]
    channel: Option<String>,
    /// Unit of a time column of numbers, since 1970-01-01 UTC
    #[arg(long, value_enum)]
    time_unit: Option<UnitName>,
    /// Features come from before it, labels from after it: a day (midnight UTC) or a time
    #[arg(long, value_name = "DATE")]
    cutoff: String,
    /// How far back from the cut-off events count
    #[arg(long, default_value = "90d")]
    feature_window: String,
    /// Windows of features [default: 7d, 30d, 90d and the feature window, as far as they fit]
    #[arg(long, value_delimiter = ',')]
    windows: Vec<String>,
    /// Lengths of the label, such as 7d,30d,90d,365d
    #[arg(long, value_delimiter = ',', default_value = "30d")]
    horizon: Vec<String>,
    /// What the label means: vip, lost, returned, spend, pays, shared or invited (docs/PREP.md)
    #[arg(long, value_name = "DEFINITION")]
    define: String,
    /// `lost`: without a login for so long before the cut-off
    #[arg(long, default_value = "7d")]
    lost_after: String,
    /// `returned`: messages of so long from the cut-off count
    #[arg(long, default_value = "7d")]
    campaign: String,
    /// The log is complete until then [default: its last event]
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
    /// Out of time: users at the cut-off train, users at this later one test
    #[arg(long, value_name = "DATE")]
    split_cutoff: Option<String>,
    /// Share of test users, drawn by a hash of seed and id [default with --split-cutoff: 0.25; otherwise no split column]
    #[arg(long, value_name = "SHARE")]
    test_share: Option<f64>,
    /// Seed of the draw
    #[arg(long, default_value_t = 7)]
    split_seed: u64,
    /// Further event types to count as features, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    count: Vec<String>,
    /// Further features: a table of one row a user with the same id column
    #[arg(long, value_name = "PATH")]
    features: Option<String>,
    /// Their column that says when a row was known
    #[arg(long, default_value = "as_of", value_name = "COLUMN")]
    features_as_of: String,
    /// Types of events that are a registration, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "register", value_name = "TYPES")]
    signup_events: Vec<String>,
    /// … a login or another sign that the user is there
    #[arg(long, value_delimiter = ',', default_value = "login", value_name = "TYPES")]
    login_events: Vec<String>,
    /// … a message to the user
    #[arg(long, value_delimiter = ',', default_value = "message", value_name = "TYPES")]
    message_events: Vec<String>,
    /// … a payment
    #[arg(long, value_delimiter = ',', default_value = "purchase", value_name = "TYPES")]
    pay_events: Vec<String>,
    /// … the user becoming VIP
    #[arg(long, value_delimiter = ',', default_value = "vip", value_name = "TYPES")]
    vip_events: Vec<String>,
    /// … the user sharing something
    #[arg(long, value_delimiter = ',', default_value = "share", value_name = "TYPES")]
    share_events: Vec<String>,
    /// … the user inviting somebody
    #[arg(long, value_delimiter = ',', default_value = "invite", value_name = "TYPES")]
    invite_events: Vec<String>,
    /// Columns that the leak check lets pass, separated by commas
    #[arg(long, value_delimiter = ',')]
    allow_leaky: Vec<String>,
    /// Print the queries and stop
    #[arg(long, conflicts_with = "json")]
    show_sql: bool,
    /// Print the outcome as one line of JSON
    #[arg(long)]
    json: bool,
    /// The Parquet file to write
    #[arg(long, value_name = "FILE", required_unless_present = "show_sql")]
    out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    limits: LimitFlags,
}

#[derive(Debug, Args)]
struct CheckFlags {
    /// A CSV or Parquet file of one row a user
    file: PathBuf,
    /// Its id column
    #[arg(long)]
    id: String,
    /// Its label: yes where it is above 0
    #[arg(long)]
    label: String,
    /// Nothing may be dated after it
    #[arg(long, value_name = "DATE")]
    cutoff: Option<String>,
    /// Columns that are no features, such as other labels and the split, separated by commas
    #[arg(long, value_delimiter = ',')]
    exclude: Vec<String>,
    /// Columns that may stay all the same, separated by commas
    #[arg(long, value_delimiter = ',')]
    allow_leaky: Vec<String>,
    /// Print the page as one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct BenchFlags {
    /// Events of the log
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    events: u64,
    /// Seed of the log
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitFlags,
}

/// Parses the arguments, runs the command and returns the process's exit code.
#[must_use]
pub fn main() -> ExitCode {
    let done = crate::resources::disable_core_dumps().and_then(|()| match Flags::parse().command {
        Command::Sql(flags) => run_sql(&flags),
        Command::Label(flags) => run_label(&flags),
        Command::Check(flags) => run_check(&flags),
        Command::Bench(flags) => run_bench(&flags),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure.to_string());
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Prints a line for people.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn limits(flags: &LimitFlags) -> Result<Limits, Failure> {
    let max_memory = byte_size(&flags.max_memory)
        .ok_or_else(|| Failure::new(Exit::Usage, 932, format!("{} is no size", shown(&flags.max_memory))).hint("such as 2G or 512M"))?;
    let known = Limits::default();
    Ok(Limits { max_memory, threads: flags.threads.map_or(known.threads, usize::from), temp: flags.temp.clone() })
}

fn run_sql(flags: &SqlFlags) -> Result<(), Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::Usage, 1114, format!("the query cannot be read: {error}")).at(path.display().to_string()))
    };
    let query = match (&flags.query, &flags.file) {
        (Some(query), _) => query.clone(),
        (None, Some(path)) => read(path)?,
        (None, None) => return Err(Failure::new(Exit::Usage, 1114, "there is no query").hint("write it behind `sql`, or name --file")),
    };
    let tables = flags.tables.iter().map(|text| TableSource::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let done = sql::run(&query, &tables, &flags.text, &flags.out.out, flags.out.force, &limits(&flags.limits)?)?;
    for note in &done.notes {
        tell(&format!("note     {note}"));
    }
    tell(&format!("written  {}: {}", flags.out.out.display(), done.written.to_text()));
    Ok(())
}

fn run_label(flags: &LabelFlags) -> Result<(), Failure> {
    let spec = label_spec(flags)?;
    let Some(out) = flags.out.as_ref().filter(|_| !flags.show_sql) else {
        say(&label::show_sql(&spec)?);
        return Ok(());
    };
    let done = label::run(&spec, out, flags.force)?;
    tell(&format!("{}\nfile     {}", done.to_text(), out.display()));
    if flags.json {
        say(&done.to_json_line()?);
    }
    Ok(())
}

/// Days in ascending order, each once.
fn ascending(texts: &[String]) -> Result<Vec<Days>, Failure> {
    let mut days = texts.iter().map(|text| Days::parse(text)).collect::<Result<Vec<_>, _>>()?;
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn label_spec(flags: &LabelFlags) -> Result<LabelSpec, Failure> {
    let definition = Definition::from_name(&flags.define).ok_or_else(|| {
        let known = Definition::ALL.map(Definition::name);
        let what = format!("unknown definition {}", shown(&flags.define));
        Failure::new(Exit::Usage, 1103, what).hint(suggestion(&flags.define, known, &known.join(", ")))
    })?;
    let feature_window = Days::parse(&flags.feature_window)?;
    let windows = if flags.windows.is_empty() {
        let mut usual = [7, 30, 90].into_iter().map(Days::new).collect::<Result<Vec<_>, _>>()?;
        usual.retain(|days| *days < feature_window);
        usual.push(feature_window);
        usual
    } else {
        ascending(&flags.windows)?
    };
    let seed = flags.split_seed;
    let split = match (&flags.split_cutoff, flags.test_share) {
        (Some(date), share) => SplitSpec::Later { cutoff: Moment::parse(date)?, share: share.unwrap_or(0.25), seed },
        (None, Some(share)) => SplitSpec::Random { share, seed },
        (None, None) => SplitSpec::None,
    };
    Ok(LabelSpec {
        events: TableSource::at(crate::prep::log::EVENTS, &flags.events),
        columns: LogColumns {
            id: flags.id.clone(),
            time: flags.time.clone(),
            event: flags.event.clone(),
            value: flags.value.clone(),
            channel: flags.channel.clone(),
            time_unit: flags.time_unit.map(|unit| match unit {
                UnitName::S => TimeUnit::Seconds,
                UnitName::Ms => TimeUnit::Millis,
                UnitName::Us => TimeUnit::Micros,
            }),
        },
        names: EventNames {
            signup: flags.signup_events.clone(),
            login: flags.login_events.clone(),
            message: flags.message_events.clone(),
            pay: flags.pay_events.clone(),
            vip: flags.vip_events.clone(),
            share: flags.share_events.clone(),
            invite: flags.invite_events.clone(),
        },
        cutoff: Moment::parse(&flags.cutoff)?,
        feature_window,
        windows,
        horizons: ascending(&flags.horizon)?,
        definition,
        lost_after: Days::parse(&flags.lost_after)?,
        campaign: Days::parse(&flags.campaign)?,
        as_of: flags.as_of.as_deref().map(Moment::parse).transpose()?,
        split,
        extra: flags
            .features
            .as_ref()
            .map(|path| ExtraFile { source: TableSource::at(crate::prep::query::EXTRA, path), as_of: flags.features_as_of.clone() }),
        count: flags.count.clone(),
        allow_leaky: flags.allow_leaky.clone(),
        limits: limits(&flags.limits)?,
    })
}

fn run_check(flags: &CheckFlags) -> Result<(), Failure> {
    let spec = LeakSpec {
        path: flags.file.clone(),
        parquet: false,
        id: flags.id.clone(),
        label: flags.label.clone(),
        exclude: flags.exclude.clone(),
        cutoff: flags.cutoff.as_deref().map(Moment::parse).transpose()?,
        allow: flags.allow_leaky.clone(),
    };
    let engine = Engine::new(&Limits::default())?;
    let page = engine.wait(leak_check::check(&engine, &spec))?;
    if flags.json {
        let line = serde_json::to_string(&page);
        say(&line.map_err(|error| Failure::new(Exit::Internal, 1124, format!("the page cannot be written: {error}")))?);
    } else {
        say(&page.to_text());
    }
    page.failure(&flags.file.display().to_string()).map_or(Ok(()), Err)
}

fn run_bench(flags: &BenchFlags) -> Result<(), Failure> {
    let page = bench::run(&BenchSpec { events: flags.events, seed: flags.seed, limits: limits(&flags.limits)? })?;
    say(&if flags.json { page.to_json_line()? } else { page.to_text() });
    Ok(())
}
