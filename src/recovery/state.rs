//! `state.json` of an unfinished run, and `progress.json` of the process at work.

use super::agree::Agreed;
use crate::error::{Exit, Failure};
use crate::results::write_private;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Of an unfinished run that an older program left nothing is taken up.
const SCHEMA: u32 = 2;
const STATE: &str = "state.json";
const PROGRESS: &str = "progress.json";
/// Largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// Which command takes it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A training, or an overlap.
    Run,
    /// A scoring.
    Score,
}

/// An unfinished run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    schema: u32,
    /// The command.
    pub task: Task,
    /// The job file.
    pub job: PathBuf,
    /// The job's name.
    pub name: String,
    /// Digest of the contract.
    pub contract: String,
    /// The peer's fingerprint.
    pub peer: String,
    /// When it began, UTC.
    pub started: String,
    /// The process that works on it, or did.
    pub process: u32,
    /// Where its results go.
    pub target: PathBuf,
    /// Where they are until they are complete.
    pub partial: PathBuf,
    /// What both sides agreed; None before they met.
    pub agreed: Option<Agreed>,
    /// This side has its results.
    pub finished: bool,
}

impl State {
    /// A run of this process that begins now.
    #[must_use]
    pub fn new(task: Task, job: PathBuf, name: String, contract: String, peer: String, started: String) -> Self {
        Self {
            schema: SCHEMA,
            task,
            job,
            name,
            contract,
            peer,
            started,
            process: std::process::id(),
            target: PathBuf::new(),
            partial: PathBuf::new(),
            agreed: None,
            finished: false,
        }
    }

    /// What it has kept, in words.
    #[must_use]
    pub fn kept(&self) -> &'static str {
        match &self.agreed {
            _ if self.finished => "finished here; the peer has not said that it is",
            None => "the peer was not met",
            Some(agreed) if agreed.training > 0 => "matching and training are kept",
            Some(agreed) if agreed.matching > 0 => "the matching is kept",
            Some(_) => "no phase is finished",
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::new(Exit::Internal, 515, format!("the run's state cannot be written: {error}")))?;
        write_private(&folder.join(STATE), &text)
    }

    pub(super) fn read(folder: &Path) -> Option<Self> {
        read(&folder.join(STATE)).filter(|state: &Self| state.schema == SCHEMA)
    }
}

/// How far the process at work was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The stage.
    pub stage: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all; 0 for unknown.
    pub total: u64,
    /// The message that is waited for.
    pub waiting: Option<String>,
    /// When, UTC.
    pub at: String,
}

impl Seen {
    /// Writes it; a reader sees the old or the new one.
    pub(super) fn write(&self, folder: &Path) {
        let _ = serde_json::to_vec(self).map(|text| {
            let next = folder.join(".progress");
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next);
            file.and_then(|mut file| file.write_all(&text)).and_then(|()| std::fs::rename(&next, folder.join(PROGRESS)))
        });
    }

    pub(super) fn read(folder: &Path) -> Option<Self> {
        read(&folder.join(PROGRESS))
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
