//! The folder with the keys and pins, and files in it that nobody else may read.

use crate::error::{Exit, Failure};
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Largest file that is read from the home folder.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Longest wait for a lock, which is held for as long as a small file is written.
const LOCK_WITHIN: Duration = Duration::from_secs(10);

/// The home folder: `COLIFT_HOME`, else `$XDG_CONFIG_HOME/colift`, else `~/.config/colift`. Mode 0700, its files 0600.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The folder that the environment names.
    ///
    /// # Errors
    /// Exit code 2: none of the variables is set.
    pub fn from_env() -> Result<Self, Failure> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = set("COLIFT_HOME") {
            return Ok(Self(home));
        }
        // The XDG rules: a relative path there does not count.
        if let Some(config) = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()) {
            return Ok(Self(config.join("colift")));
        }
        match set("HOME") {
            Some(home) => Ok(Self(home.join(".config").join("colift"))),
            None => Err(Failure::new(Exit::Usage, 420, "no folder for keys: COLIFT_HOME, XDG_CONFIG_HOME and HOME are all unset")
                .hint("set COLIFT_HOME to a folder of yours")),
        }
    }

    /// A folder given by path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder with mode 0700 if it is missing, and refuses a looser one.
    pub(super) fn create(&self) -> Result<(), Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(|error| failed("made", &self.0, &error))?;
        self.check()
    }

    /// Refuses a folder that others may enter.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let metadata = std::fs::metadata(&self.0).map_err(|error| failed("read", &self.0, &error))?;
        if !metadata.is_dir() {
            return Err(Failure::new(Exit::Usage, 422, "the home for keys is not a folder").at(self.0.display().to_string()));
        }
        private_mode(metadata.permissions().mode(), 0o700, "folder", &self.0)
    }

    /// Reads a private file; None when it does not exist.
    pub(super) fn read(&self, name: &str) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Failure> {
        let path = self.0.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        self.check()?;
        // The open file is judged, not its name: nobody can exchange it in between.
        let metadata = file.metadata().map_err(|error| failed("read", &path, &error))?;
        private_mode(metadata.permissions().mode(), 0o600, "file", &path)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
            return Err(Failure::new(Exit::Usage, 423, "not a file of ours: no regular file, or too large").at(path.display().to_string()));
        }
        // Reserved at once: a growing buffer would leave copies of a key behind.
        let mut content = zeroize::Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
        file.take(metadata.len()).read_to_end(&mut content).map_err(|error| failed("read", &path, &error))?;
        Ok(Some(content))
    }

    /// Writes a private file that must not exist yet. It appears complete or not at all.
    pub(super) fn create_file(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.0.join(name);
        let temporary = self.write_temporary(name, content)?;
        // A hard link never replaces an existing file, unlike a rename.
        let linked = std::fs::hard_link(&temporary, &path);
        let _ = std::fs::remove_file(&temporary);
        linked.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::new(Exit::Usage, 424, "there is one already, it is not overwritten").at(path.display().to_string())
            }
            _ => failed("written", &path, &error),
        })?;
        self.sync()
    }

    /// Writes a private file, replacing an older one in one step.
    pub(super) fn replace_file(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.0.join(name);
        let temporary = self.write_temporary(name, content)?;
        std::fs::rename(&temporary, &path).map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            failed("written", &path, &error)
        })?;
        self.sync()
    }

    /// Holds a lock of this home until it is dropped; waits for another process of ours at most ten seconds.
    ///
    /// # Errors
    /// Exit code 2: it cannot be had.
    pub(super) fn lock(&self, name: &str) -> Result<File, Failure> {
        self.check()?;
        let path = self.0.join(name);
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(|error| failed("locked", &path, &error))?;
        let until = Instant::now() + LOCK_WITHIN;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(failed("locked", &path, &error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(Failure::new(Exit::Usage, 484, "another program of this home has held its lock for 10 s")
                        .at(path.display().to_string())
                        .hint("wait until that run goes on, or end it"));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn write_temporary(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        self.check()?;
        let path = self.0.join(format!(".{name}.{}", std::process::id()));
        // A left-over of a killed process with our number would otherwise be in the way for ever.
        let _ = std::fs::remove_file(&path);
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(|error| {
            let _ = std::fs::remove_file(&path);
            failed("written", &path, &error)
        })?;
        Ok(path)
    }

    fn sync(&self) -> Result<(), Failure> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(|error| failed("written", &self.0, &error))
    }
}

fn failed(done: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, 421, format!("cannot be {done}: {error}")).at(path.display().to_string())
}

fn private_mode(mode: u32, wanted: u32, what: &str, path: &Path) -> Result<(), Failure> {
    let mode = mode & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(Failure::new(Exit::Usage, 425, format!("others may use this {what}: mode {mode:04o}, {wanted:04o} is needed"))
        .at(shown.to_string())
        .hint(format!("chmod {wanted:o} '{shown}'")))
}
