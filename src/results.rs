//! The folder of one run's results: private, written under a temporary name, renamed when complete, never over another one.

pub mod hashes;
pub mod log;

use crate::data::wording::{hex, shown};
use crate::error::{Exit, Failure};
use colift_primitives::rng;
use jiff::Timestamp;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Folders of one name that are tried: `x`, `x-2`, `x-3`, ….
const MOST_OF_A_NAME: u32 = 10_000;

/// Longest file name inside the folder.
const MAX_NAME: usize = 100;

/// Where a run's results land when the person names no folder: `colift-runs/<name>/20261123T061200Z`.
#[must_use]
pub fn default_target(name: &str, now: Timestamp) -> PathBuf {
    Path::new("colift-runs").join(name).join(now.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// Results being written. Dropped before [`ResultFolder::finish`], it takes everything written with it.
#[derive(Debug)]
pub struct ResultFolder {
    target: PathBuf,
    partial: PathBuf,
    finished: bool,
}

impl ResultFolder {
    /// Makes missing parents and, beside the target, a private folder under a temporary name.
    ///
    /// # Errors
    /// Exit 2, E0710: the target names no folder, or something above it is a file. Exit 1, E0711: the system refuses.
    pub fn create(target: &Path) -> Result<Self, Failure> {
        let Some(name) = target.file_name() else {
            let what = "the results need a folder of their own that does not exist yet";
            return Err(Failure::new(Exit::Usage, 710, what).at(target.display().to_string()).hint("name one with --out DIR"));
        };
        let parent = parent_of(target);
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| failed("made", parent, &error))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".partial-{}", random_name()?));
        let partial = parent.join(hidden);
        DirBuilder::new().mode(0o700).create(&partial).map_err(|error| failed("made", &partial, &error))?;
        Ok(Self { target: target.to_owned(), partial, finished: false })
    }

    /// Where the files are until [`ResultFolder::finish`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes a file of mode 0600 that must not exist yet, down to the disk.
    ///
    /// # Errors
    /// Exit 1, E0711: it cannot be written. Exit 1, E0712: not a plain file name, or written already.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let mut file = self.open(name)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failed("written", &self.partial.join(name), &error))
    }

    /// A new file of mode 0600 for a writer that goes on; [`ResultFolder::finish`] brings it to the disk.
    ///
    /// # Errors
    /// As [`ResultFolder::file`].
    pub fn open(&self, name: &str) -> Result<File, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(plain) {
            return Err(Failure::new(Exit::Internal, 712, format!("{} is no name for a file of the results", shown(name))));
        }
        let path = self.partial.join(name);
        new_file(&path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(Exit::Internal, 712, format!("{} is written twice", shown(name))),
            _ => failed("written", &path, &error),
        })
    }

    /// Gives the complete folder its name, or the next free one of `<name>-2`, `<name>-3`, …, and returns its path.
    ///
    /// # Errors
    /// Exit 1, E0711: the files cannot be brought to the disk or the folder cannot be renamed. Nothing is left behind then.
    pub fn finish(mut self) -> Result<PathBuf, Failure> {
        self.sync().map_err(|error| failed("written", &self.partial, &error))?;
        for number in 1..=MOST_OF_A_NAME {
            let target = numbered(&self.target, number);
            match rename_to_new(&self.partial, &target) {
                Ok(()) => {
                    self.finished = true;
                    // The files are safe by now; only the name could be lost with the power.
                    let _ = File::open(parent_of(&target)).and_then(|folder| folder.sync_all());
                    return Ok(target);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("made", &target, &error)),
            }
        }
        let what = format!("there are {MOST_OF_A_NAME} folders of this name already");
        Err(Failure::new(Exit::Usage, 710, what).at(self.target.display().to_string()).hint("name another one with --out DIR"))
    }

    fn sync(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.partial)? {
            File::open(entry?.path())?.sync_all()?;
        }
        File::open(&self.partial)?.sync_all()
    }
}

impl Drop for ResultFolder {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_dir_all(&self.partial);
        }
    }
}

/// Writes a private file (mode 0600) that appears complete or not at all, replacing an older one.
///
/// # Errors
/// Exit 2, E0710: the path names no file, or its folder is a file. Exit 1, E0711: it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let Some(name) = path.file_name() else {
        return Err(Failure::new(Exit::Usage, 710, "this names no file").at(path.display().to_string()));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".partial-{}", random_name()?));
    let partial = parent_of(path).join(hidden);
    let write = || {
        let mut file = new_file(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        failed("written", path, &error)
    })?;
    let _ = File::open(parent_of(path)).and_then(|folder| folder.sync_all());
    Ok(())
}

fn new_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn random_name() -> Result<String, Failure> {
    let bytes = rng::os_bytes::<8>().map_err(|error| Failure::of_class(error.class(), error.to_string()))?;
    Ok(hex(bytes.as_slice()))
}

/// `x` for 1, `x-2` for 2.
fn numbered(target: &Path, number: u32) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    if number > 1 {
        name.push(format!("-{number}"));
    }
    target.with_file_name(name)
}

/// Renames a folder to a name that nothing has, in one step; `AlreadyExists` when something has it.
fn rename_to_new(from: &Path, to: &Path) -> std::io::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::errno::Errno;
        use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
        match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
            // Some network file systems know no such flag.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {}
            result => return result.map_err(std::io::Error::from),
        }
    }
    claim_and_rename(from, to)
}

/// As [`rename_to_new`] in two steps: an empty folder takes the name, and a rename may replace an empty folder only.
fn claim_and_rename(from: &Path, to: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    std::fs::rename(from, to).inspect_err(|_| {
        let _ = std::fs::remove_dir(to);
    })
}

/// What the system refused, as a person meets it.
fn failed(done: &str, path: &Path, error: &std::io::Error) -> Failure {
    let place = path.display().to_string();
    match error.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            let what = format!("the results cannot be {done} here: a file is in the way");
            Failure::new(Exit::Usage, 710, what).at(place).hint("name another folder with --out DIR")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let what = format!("the results cannot be {done}: no space is left");
            Failure::new(Exit::Internal, 711, what).at(place).hint("free some space, or name another folder with --out DIR")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            let what = format!("the results cannot be {done}: {error}");
            Failure::new(Exit::Internal, 711, what).at(place).hint("name a folder of yours with --out DIR")
        }
        _ => Failure::new(Exit::Internal, 711, format!("the results cannot be {done}: {error}")).at(place),
    }
}

#[cfg(test)]
mod tests;
