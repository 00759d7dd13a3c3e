//! `run.log`: what the programs' own code reports while a job runs. Other libraries are not heard: they might name payloads.
//!
//! One process runs one job. Where a second job starts in the same process (tests), its lines go to the second folder.

use super::ResultFolder;
use crate::data::wording::shown;
use crate::error::{Exit, Failure};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

/// The log's name in the folder.
pub const LOG_NAME: &str = "run.log";

/// The file that the log goes to now.
static CURRENT: Sink = Sink(Mutex::new(None));

/// Starts `run.log` in the folder: info, with 1 also debug, with 2 or more also trace.
///
/// `COLIFT_LOG` (such as `debug` or `info,colift_psi=trace`) replaces the level, for this program's own crates only;
/// `COLIFT_LOG_STDERR=1` writes the same lines to stderr. Level and stderr are those of the first call in a process.
///
/// # Errors
/// Exit 2, E0713: `COLIFT_LOG` cannot be read. Exit 1, E0711: the file cannot be made. Exit 1, E0712: the
/// folder has a log already.
pub fn start_log(verbosity: u8, folder: &ResultFolder) -> Result<(), Failure> {
    let targets = targets(verbosity, std::env::var("COLIFT_LOG").ok().as_deref())?;
    let on_stderr = std::env::var_os("COLIFT_LOG_STDERR").is_some_and(|value| value == "1");
    *CURRENT.lock() = Some(Arc::new(folder.open(LOG_NAME)?));
    // A subscriber that is set already writes to the same place, so there is nothing to do then. Not `try_init`: that would
    // also collect the lines of libraries that use `log`.
    let _ = tracing::subscriber::set_global_default(subscriber(targets, &CURRENT, on_stderr));
    Ok(())
}

/// What is written, by crate and level.
fn targets(verbosity: u8, variable: Option<&str>) -> Result<Targets, Failure> {
    match variable.filter(|text| !text.trim().is_empty()) {
        // A word that is no level would count as the name of a crate.
        Some(text) => text.parse().ok().filter(|targets: &Targets| targets.iter().all(|(target, _)| is_own(target))).ok_or_else(|| {
            Failure::new(Exit::Usage, 713, format!("COLIFT_LOG is {}, which cannot be followed", shown(text)))
                .hint("use a level (info, debug, trace) or crates of colift with levels, such as info,colift_psi=debug")
        }),
        None => Ok(Targets::new().with_default(match verbosity {
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })),
    }
}

/// Whether a line comes from the workspace's own code.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    is_own(metadata.target())
}

fn is_own(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    root == "colift" || root.starts_with("colift_")
}

fn subscriber(targets: Targets, sink: &'static Sink, on_stderr: bool) -> impl Subscriber + Send + Sync {
    let file = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(sink);
    let stderr = on_stderr.then(|| {
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
        layer.with_filter(targets.clone().and(filter_fn(is_ours)))
    });
    registry().with(file.with_filter(targets.and(filter_fn(is_ours)))).with(stderr)
}

/// A writer whose file can be exchanged.
struct Sink(Mutex<Option<Arc<File>>>);

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<File>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line on its way to the file. A line that cannot be written is lost; the run goes on.
struct Line(Option<Arc<File>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &self.0 {
            Some(file) => file.as_ref().write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for &'static Sink {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.lock().clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// The lines that five events leave under a filter.
    fn written(verbosity: u8, variable: Option<&str>) -> String {
        let mut path = tempfile::NamedTempFile::new().unwrap();
        let sink: &'static Sink = Box::leak(Box::new(Sink(Mutex::new(Some(Arc::new(path.reopen().unwrap()))))));
        let subscriber = subscriber(targets(verbosity, variable).unwrap(), sink, false);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "colift::session", rows = 7, "own info");
            tracing::debug!(target: "colift_psi::ecdh", "own debug");
            tracing::trace!(target: "colift_owner", "own trace");
            tracing::error!(target: "rustls::client", "foreign error");
            tracing::error!(target: "coliftish", "foreign lookalike");
        });
        let mut text = String::new();
        std::io::Read::read_to_string(path.as_file_mut(), &mut text).unwrap();
        text
    }

    #[test]
    fn only_own_lines_of_the_level_are_written() {
        let count = |verbosity, variable| written(verbosity, variable).matches("own ").count();
        assert_eq!([count(0, None), count(1, None), count(2, None), count(9, None)], [1, 2, 3, 3]);
        assert_eq!(count(0, Some("trace")), 3);
        assert_eq!(count(2, Some("warn")), 0);
        assert_eq!(count(0, Some("warn,colift_psi=debug")), 1);
        assert_eq!(count(0, Some("  ")), 1, "an empty variable is none");
        for text in [written(2, None), written(0, Some("trace"))] {
            assert!(!text.contains("foreign"), "{text}");
        }
        let text = written(0, None);
        assert!(text.contains("INFO colift::session: own info rows=7\n") && !text.contains('\u{1b}'), "{text:?}");
        for refused in ["loud", "info,colift_psi=loud", "rustls=trace"] {
            assert_eq!(targets(0, Some(refused)).unwrap_err().exit, Exit::Usage, "{refused}");
        }
    }

    #[test]
    fn starting_twice_in_one_process_is_harmless() {
        let home = tempfile::tempdir().unwrap();
        for name in ["first", "second"] {
            let folder = ResultFolder::create(&home.path().join(name)).unwrap();
            start_log(0, &folder).unwrap();
            assert_eq!(start_log(0, &folder).unwrap_err().id, 712, "the folder has a log already");
            let done = folder.finish().unwrap();
            let metadata = std::fs::metadata(done.join(LOG_NAME)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        }
    }
}
