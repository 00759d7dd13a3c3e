//! `resume`, `status`, `cancel`: runs that have not ended.

use crate::cli::flags::{CancelFlags, RunFlags, StatusFlags};
use crate::cli::meeting::Start;
use crate::cli::{run, say, score};
use crate::contract::Job;
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::recovery::{Listed, list, remove};
use crate::session::{Home, Pins};
use colift_channel::StopFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long `cancel` waits for a program that it told to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes up the unfinished run of a job.
///
/// # Errors
/// Exit code 2: there is none. Else as `run` and `score`.
pub fn resume(side: Side, flags: &RunFlags, stop: &StopFlag) -> Result<(), Failure> {
    match Job::load(&flags.job, side)?.shared().score() {
        Some(_) => score::score(side, flags, Start::Again, stop),
        None => run::run(side, flags, Start::Again, stop),
    }
}

/// Lists the unfinished runs.
///
/// # Errors
/// Exit code 1 and 2: the home cannot be read.
pub fn status(flags: &StatusFlags) -> Result<(), Failure> {
    let home = Home::from_env()?;
    let runs = list(&home)?;
    let pins = Pins::load(&home)?;
    let peer = |run: &Listed| {
        let known = pins.list().iter().find(|pin| pin.fingerprint.to_string() == run.state.peer);
        known.map_or_else(|| run.state.peer.chars().take(16).collect(), |pin| pin.name.clone())
    };
    if flags.json {
        let of = |run: &Listed| {
            let agreed = run.state.agreed.as_ref();
            json!({
                "name": run.state.name, "job": run.state.job, "peer": peer(run), "contract": run.state.contract, "started": run.state.started,
                "running": run.running, "process": run.running.then_some(run.state.process),
                "run": agreed.map(|agreed| agreed.number), "attempt": agreed.map(|agreed| agreed.attempt),
                "matching_kept": agreed.is_some_and(|agreed| agreed.matching > 0), "training_kept": agreed.is_some_and(|agreed| agreed.training > 0),
                "finished": run.state.finished, "progress": run.seen,
            })
        };
        say(&serde_json::Value::from(runs.iter().map(of).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    if runs.is_empty() {
        say("no unfinished run");
    }
    for run in &runs {
        say(&line(run, &peer(run)));
    }
    Ok(())
}

/// One run for a person.
fn line(run: &Listed, peer: &str) -> String {
    let state = &run.state;
    let attempt = state.agreed.as_ref().map_or_else(String::new, |agreed| format!(", run {} attempt {}", agreed.number, agreed.attempt));
    let head =
        format!("{} with {peer}, begun {}{attempt}", state.name, state.started.replace('T', " ").split('.').next().unwrap_or_default());
    if !run.running {
        let next = match &state.agreed {
            None => "`run` begins anew".to_owned(),
            Some(_) => format!("`resume --job {}` on both sides, or `cancel`", state.job.display()),
        };
        return format!("{head}: ended early, {}; {next}", state.kept());
    }
    let now = match &run.seen {
        None => "waits for the peer".to_owned(),
        Some(seen) => {
            let done = match (100 * seen.done.min(seen.total)).checked_div(seen.total) {
                Some(percent) => format!("{}, {percent} %", seen.stage),
                None => seen.stage.clone(),
            };
            let waiting = seen.waiting.as_ref().map_or_else(String::new, |what| format!(", waits for {what}"));
            format!("{done}{waiting} (at {})", seen.at.replace('T', " "))
        }
    };
    format!("{head}: at work as process {}, {now}; {}", state.process, state.kept())
}

/// Ends a run at work, or removes what is kept of one.
///
/// # Errors
/// Exit code 2: there is no such run, or more than one. 1: the program does not end.
pub fn cancel(side: Side, flags: &CancelFlags) -> Result<(), Failure> {
    let home = Home::from_env()?;
    let mut runs = list(&home)?;
    if let Some(path) = &flags.job {
        let contract = Job::load(path, side)?.shared().digest();
        runs.retain(|run| run.state.contract == contract);
    }
    let run = match runs.as_slice() {
        [] => return Err(Failure::new(Exit::Usage, 936, "there is no unfinished run to cancel")),
        [run] => run,
        _ if flags.job.is_some() => runs.last().ok_or_else(|| Failure::new(Exit::Internal, 936, "no run"))?,
        _ => {
            let names: Vec<&str> = runs.iter().map(|run| run.state.name.as_str()).collect();
            return Err(Failure::new(Exit::Usage, 937, format!("{} unfinished runs: {}", runs.len(), names.join(", ")))
                .hint("name one by its job: cancel --job JOB"));
        }
    };
    if run.running {
        end(run, &home)?;
    }
    remove(&run.folder, &run.state);
    say(&format!("cancelled: {}, begun {}", run.state.name, run.state.started.replace('T', " ").split('.').next().unwrap_or_default()));
    Ok(())
}

/// Has the program that holds the run's lock end as by Ctrl-C, and waits until it has.
fn end(run: &Listed, home: &Home) -> Result<(), Failure> {
    let gone = |what: String| {
        Failure::new(Exit::Internal, 938, what).hint(format!("end process {} by hand, then cancel again", run.state.process))
    };
    // The lock is held, so the process that wrote this number lives.
    let process = i32::try_from(run.state.process).map_err(|_| gone("the run's process has no valid number".to_owned()))?;
    kill(Pid::from_raw(process), Signal::SIGINT).map_err(|error| gone(format!("the run's process cannot be told to end: {error}")))?;
    let deadline = Instant::now() + PATIENCE;
    while list(home)?.iter().any(|other| other.folder == run.folder && other.running) {
        if Instant::now() > deadline {
            return Err(gone(format!("process {process} did not end within {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
