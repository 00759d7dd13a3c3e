//! The command line of both programs: raw flags → checked settings → a command. stdout is data, stderr is for people.

pub(crate) mod bench;
mod data;
mod doctor;
pub(crate) mod flags;
mod keys;
mod meeting;
mod model;
mod plan;
#[cfg(feature = "sql")]
pub mod prep;
mod receipt;
mod recover;
mod run;
mod score;
mod shell;
mod sign;
mod verify;

pub(crate) use run::{ended, write_report};

use crate::contract::Task;
use crate::data::{Side, wording};
use crate::error::{Exit, Failure};
use crate::{demo, rehearse};
use bench::BenchKind;
use clap::{CommandFactory, FromArgMatches};
use colift_channel::StopFlag;
use flags::{Command, Flags};
use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;

/// Parses the arguments of this side's program, runs the command and returns the process's exit code.
#[must_use]
pub fn main(side: Side) -> ExitCode {
    let stop = StopFlag::new();
    match parse(side).and_then(|flags| dispatch(side, flags, &stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // In one piece: in a rehearsal both programs share stderr.
            let _ = std::io::stderr().write_all(format!("{failure}\n").as_bytes());
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Reads the flags; help, version and wrong flags end the process here, as clap words them.
fn parse(side: Side) -> Result<Flags, Failure> {
    let matches = command(side).try_get_matches().unwrap_or_else(|error| error.exit());
    Flags::from_arg_matches(&matches).map_err(|error| Failure::new(Exit::Usage, 901, error.to_string()))
}

/// The flags as this side's program has them.
fn command(side: Side) -> clap::Command {
    let name = match side {
        Side::Owner => "colift-owner",
        Side::Partner => "colift-partner",
    };
    let about = match side {
        Side::Owner => "The label owner's program: trains a joint model with a partner, and neither side shows its data.",
        Side::Partner => "The partner's program: trains a joint model with the label owner, and neither side shows its data.",
    };
    Flags::command().name(name).bin_name(name).about(about).version(versions())
}

/// The task of this name.
pub(crate) fn task(name: &str) -> Result<Task, Failure> {
    Task::from_name(name).ok_or_else(|| {
        let names = Task::ALL.map(Task::name);
        Failure::new(Exit::Usage, 934, format!("unknown task {}", wording::shown(name))).hint(wording::suggestion(
            name,
            names,
            &format!("one of {}", names.join(", ")),
        ))
    })
}

/// Program, wire and contract versions.
fn versions() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let (low, high) = crate::session::WIRE_VERSIONS;
        format!("{} (wire {low} to {high}, contract {})", env!("CARGO_PKG_VERSION"), crate::contract::CONTRACT_VERSION)
    })
}

fn dispatch(side: Side, flags: Flags, stop: &StopFlag) -> Result<(), Failure> {
    crate::resources::disable_core_dumps()?;
    // The first Ctrl-C ends both sides cleanly; a second one ends this process at once.
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.is_raised() {
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
        raised.raise();
    })
    .map_err(|error| Failure::new(Exit::Internal, 902, format!("Ctrl-C cannot be handled: {error}")))?;
    match flags.command {
        Command::Init => keys::init(),
        Command::Model(model) => model::run(&model),
        Command::Pair(pair) => keys::pair(side, &pair, stop),
        Command::Peers(peers) => keys::peers(&peers),
        Command::Data(arguments) => data::data(side, &arguments),
        Command::Doctor(arguments) => doctor::doctor(side, &arguments, stop),
        Command::Completions { shell } => {
            shell::completions(side, shell);
            Ok(())
        }
        Command::Man { folder } => shell::man(side, &folder),
        Command::Plan(arguments) => plan::plan(side, &arguments, stop),
        Command::Sign(arguments) => sign::sign(side, &arguments),
        Command::Run(arguments) => run::run(side, &arguments, meeting::Start::New, stop),
        Command::Resume(arguments) => recover::resume(side, &arguments, stop),
        Command::Status(arguments) => recover::status(&arguments),
        Command::Cancel(arguments) => recover::cancel(side, &arguments),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Receipt(arguments) => receipt::receipt(&arguments.command),
        Command::Score(arguments) => score::score(side, &arguments, meeting::Start::New, stop),
        Command::Demo(flags) => owners_only(side, "demo").and_then(|()| demo::play(flags.scenario, &flags.settings, stop)),
        Command::Bench(flags) => owners_only(side, "bench").and_then(|()| match &flags.what {
            BenchKind::Training(flags) => crate::bench::training(flags),
            BenchKind::Matching(flags) => crate::bench::matching::matching(flags),
        }),
        Command::BenchParty(flags) => crate::bench::run_party(side, &flags.spec, stop),
        Command::Rehearse(files) => owners_only(side, "rehearse").and_then(|()| rehearse::rehearse(&files, stop)),
    }
}

/// Prints a line of data; a closed pipe is nobody's fault.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// `demo`, `rehearse` and `bench` start both programs, so one of them has the commands.
fn owners_only(side: Side, command: &str) -> Result<(), Failure> {
    match side {
        Side::Owner => Ok(()),
        Side::Partner => Err(Failure::new(Exit::Usage, 903, format!("`{command}` starts both programs and belongs to the owner's"))
            .hint(format!("colift-owner {command}"))),
    }
}
