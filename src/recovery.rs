//! Unfinished runs: what this side keeps of a run until both sides have its results, so that `resume` begins after the finished phases.
//!
//! **Purpose.** A killed program, a broken link, a machine that restarts: the matching is not repeated, nor a training that had ended.
//! A training that was cut begins again from its first step, with fresh keys, masks and shares.
//!
//! **On disk**, in a folder of the home (0700, files 0600): `state.json` (which run, which attempt, what is kept), `matching.bin` (own rows in
//! the common order, train or test of each), `training.json` (own weights, which the contract opens to this side). No share, key or
//! seed, nothing of the peer's. The folder goes when both sides have their results, with `cancel`, and when the contract is run anew.
//!
//! **Attempts.** Every attempt begins by agreement ([`agree`]): both sides tell what they have, and only what both have of the same
//! attempt is used. Both write the attempt down before either goes on, so a side whose folder was put back to an earlier copy is
//! found and refused.
//!
//! **What it counts for.** One run is one run of the contract, whatever its attempts, until one of them told a side something of a phase that is
//! not kept on both: who is common, or a later opening. The attempt after it is another run ([`Marked`]).
//!
//! **Who learns what.** Each side learns in which phase the other was cut. Where one side had its weights already and the other had not, the
//! training runs again: on the same rows, of the same files (both are held to a salted hash of theirs), to the same optimum.

pub mod agree;
mod keep;
mod marked;
mod state;
#[cfg(test)]
mod tests;
mod tracked;

pub use agree::{Agreed, Common};
pub use marked::Marked;
pub use state::{Seen, State, Task};
pub use tracked::Tracked;

use crate::data::wording::hex;
use crate::error::{Exit, Failure};
use crate::run::{KeptMatching, KeptTraining};
use crate::session::Home;
use colift_primitives::rng::os_bytes;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folder in the home.
const FOLDER: &str = "unfinished";
/// What the name of a folder that is being removed begins with.
const DOOMED: &str = ".gone-";
const LOCK: &str = "lock";
/// Tries to lock a run's folder, and the time between two.
const LOOKS: usize = 10;
const LOOK: Duration = Duration::from_millis(20);

/// An unfinished run that this process works on; nobody else can take it up meanwhile.
#[derive(Debug)]
pub struct Unfinished {
    folder: PathBuf,
    /// Locked as long as this process lives.
    _lock: File,
    state: State,
    matching: Option<KeptMatching>,
    training: Option<KeptTraining>,
}

/// A run as `status` lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is.
    pub state: State,
    /// Whether a process works on it.
    pub running: bool,
    /// How far that process was when it last said so.
    pub seen: Option<Seen>,
}

impl Unfinished {
    /// A run that begins now.
    ///
    /// # Errors
    /// Exit code 1: the home cannot be written.
    pub fn begin(home: &Home, state: State) -> Result<Self, Failure> {
        let random = os_bytes::<8>().map_err(|error| Failure::of_class(error.class(), error.to_string()))?;
        let folder = home.path().join(FOLDER).join(hex(random.as_slice()));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| failed("made", &folder, &error))?;
        let lock = lock(&folder)?.ok_or_else(|| Failure::new(Exit::Internal, 512, "a new run's folder is in use"))?;
        let run = Self { folder, _lock: lock, state, matching: None, training: None };
        run.save()?;
        Ok(run)
    }

    /// The newest unfinished run of a contract with a peer that no process works on.
    ///
    /// # Errors
    /// Exit code 2: there is none, or it runs still.
    pub fn take_up(home: &Home, contract: &str, peer: &str) -> Result<Self, Failure> {
        let mut of_contract: Vec<Listed> =
            list(home)?.into_iter().filter(|run| run.state.contract == contract && run.state.peer == peer).collect();
        if let Some(run) = of_contract.iter().find(|run| run.running) {
            return Err(Failure::new(Exit::Usage, 513, format!("a run of this contract is at work, as process {}", run.state.process))
                .hint("`status` shows it, `cancel` ends it"));
        }
        // The one of them that both sides began, if there is any.
        of_contract.sort_by(|a, b| (a.state.agreed.is_some(), &a.state.started).cmp(&(b.state.agreed.is_some(), &b.state.started)));
        let none = || {
            Failure::new(Exit::Usage, 514, "no unfinished run of this contract is kept here")
                .hint("begin anew: `run` on both sides; what is kept shows `status`")
        };
        let Listed { folder, state, .. } = of_contract.pop().ok_or_else(none)?;
        let lock = lock(&folder)?.ok_or_else(none)?;
        let mut run = Self { folder, _lock: lock, state, matching: None, training: None };
        run.load_kept();
        Ok(run)
    }

    /// What it is.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes this process and where its results are going to be, and removes what an earlier attempt left of them.
    ///
    /// # Errors
    /// Exit code 1: it cannot be written down.
    pub fn takes(&mut self, target: &Path, partial: &Path) -> Result<(), Failure> {
        remove_partial(&self.state);
        self.state.process = std::process::id();
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        (self.state.target, self.state.partial) = (whole(target), whole(partial));
        self.save()
    }

    /// This side has its results; the peer may not have its own yet.
    ///
    /// # Errors
    /// Exit code 1: it cannot be written down.
    pub fn finished(&mut self) -> Result<(), Failure> {
        self.state.finished = true;
        self.state.partial = PathBuf::new();
        self.save()
    }

    /// Removes everything of it.
    pub fn forget(self) {
        remove(&self.folder, &self.state);
    }

    fn save(&self) -> Result<(), Failure> {
        self.state.write(&self.folder)
    }
}

impl Drop for Unfinished {
    /// A run that no peer knows of has nothing to be taken up.
    fn drop(&mut self) {
        if self.state.agreed.is_none() {
            remove_folder(&self.folder);
        }
    }
}

/// All unfinished runs, oldest first. Folders that hold no readable state are left out.
///
/// # Errors
/// Exit code 1: the folder cannot be read.
pub fn list(home: &Home) -> Result<Vec<Listed>, Failure> {
    let folder = home.path().join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", &folder, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = entry.map_err(|error| failed("read", &folder, &error))?.path();
        if folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DOOMED)) {
            let _ = std::fs::remove_dir_all(&folder);
            continue;
        }
        let (Some(state), Some(running)) = (State::read(&folder), held(&folder)?) else { continue };
        found.push(Listed { seen: Seen::read(&folder), folder, state, running });
    }
    found.sort_by(|a, b| a.state.started.cmp(&b.state.started));
    Ok(found)
}

/// Removes the runs of a contract with a peer that no process works on, but for one folder.
///
/// # Errors
/// Exit code 1: the folder cannot be read.
pub fn forget_others(home: &Home, contract: &str, peer: &str, but: &Path) -> Result<(), Failure> {
    for run in list(home)? {
        if !run.running && run.state.contract == contract && run.state.peer == peer && run.folder != but {
            remove(&run.folder, &run.state);
        }
    }
    Ok(())
}

/// Removes a run's folder and what it left of its results.
pub fn remove(folder: &Path, state: &State) {
    remove_partial(state);
    remove_folder(folder);
}

/// In two steps, so that a process that is killed in between leaves no half of a run: what has the name of a doomed folder is no run any
/// more, and whoever lists the runs next removes it.
fn remove_folder(folder: &Path) {
    if let Ok(doomed) = doom(folder) {
        let _ = std::fs::remove_dir_all(doomed);
    }
}

fn doom(folder: &Path) -> std::io::Result<PathBuf> {
    let mut name = OsString::from(DOOMED);
    name.push(folder.file_name().unwrap_or_default());
    let doomed = folder.with_file_name(name);
    std::fs::rename(folder, &doomed).map(|()| doomed)
}

fn remove_partial(state: &State) {
    // Only what has the name of an unfinished results folder.
    let name = state.partial.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.starts_with('.') && name.contains(".partial-") {
        let _ = std::fs::remove_dir_all(&state.partial);
    }
}

/// The lock of a run's folder; None while another process holds it.
fn lock(folder: &Path) -> Result<Option<File>, Failure> {
    let path = folder.join(LOCK);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|error| failed("written", &path, &error))?;
    // Whoever only looks holds it for a moment.
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            Err(TryLockError::Error(error)) => return Err(failed("locked", folder, &error)),
        }
    }
    Ok(None)
}

/// Whether a process works on a run; several may ask at once. None: it was removed meanwhile.
fn held(folder: &Path) -> Result<Option<bool>, Failure> {
    let file = match File::open(folder.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", folder, &error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(false)),
        Err(TryLockError::WouldBlock) => Ok(Some(true)),
        Err(TryLockError::Error(error)) => Err(failed("locked", folder, &error)),
    }
}

fn failed(done: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Internal, 512, format!("the unfinished run cannot be {done}: {error}")).at(path.display().to_string())
}
