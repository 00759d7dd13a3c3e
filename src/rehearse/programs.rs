//! The two programs as child processes: where they are, their job files, their ends.

use crate::contract::SharedJob;
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::results::write_private;
use crate::session::Home;
use colift_channel::StopFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// One value for each side.
pub struct Sides<T> {
    /// The owner's.
    pub owner: T,
    /// The partner's.
    pub partner: T,
}

impl<T> Sides<T> {
    /// The value of a side.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::Owner => &self.owner,
            Side::Partner => &self.partner,
        }
    }
}

/// How long a program may outlive the other one's failure.
const GRACE: Duration = Duration::from_secs(20);

/// A program beside this one (an example lies one folder below), else in PATH.
pub fn find(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().ok();
    let folder = own.as_deref().and_then(Path::parent);
    let above = folder.filter(|folder| folder.ends_with("examples")).and_then(Path::parent);
    let beside = folder.into_iter().chain(above).map(|folder| folder.join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = beside.chain(std::env::split_paths(&path).map(|folder| folder.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file()).ok_or_else(|| {
        Failure::new(Exit::Usage, 941, format!("{name} is neither beside this program nor in PATH"))
            .hint(format!("cargo build --release --bin {name}"))
    })
}

/// A port of loopback that was free a moment ago.
pub fn free_port() -> Result<u16, Failure> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|error| Failure::new(Exit::Internal, 942, format!("no free port on loopback: {error}")))
}

/// An I/O failure of the rehearsal's own files.
pub fn failed(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Internal, 943, format!("cannot {doing} {}: {error}", path.display()))
}

/// Writes a job file: the shared part from its canonical text, the private part as given.
pub fn write_job(path: &Path, shared: &SharedJob, private: &toml::Table) -> Result<(), Failure> {
    let malformed = |error: String| Failure::new(Exit::Internal, 944, format!("the rehearsal's job file: {error}"));
    let mut terms: toml::Table = shared.canonical().parse().map_err(|error: toml::de::Error| malformed(error.to_string()))?;
    terms.remove("contract");
    let mut job = toml::Table::new();
    job.insert("shared".into(), terms.into());
    job.insert("private".into(), private.clone().into());
    write_private(path, job.to_string().as_bytes())
}

/// How both programs ended.
pub struct Ended(Sides<ExitStatus>);

impl Ended {
    /// Two ends.
    pub fn of(owner: ExitStatus, partner: ExitStatus) -> Self {
        Self(Sides { owner, partner })
    }

    /// The failure to report when either program failed.
    pub fn worse(&self) -> Option<Failure> {
        let code = |status: &ExitStatus| status.code().unwrap_or(i32::from(Exit::Internal as u8));
        let (owner, partner) = (code(&self.0.owner), code(&self.0.partner));
        if owner == 0 && partner == 0 {
            return None;
        }
        // "The peer is gone" is the echo of the other side's failure.
        let gone = i32::from(Exit::PeerGone as u8);
        let worse = match (owner, partner) {
            (owner, partner) if partner == gone && owner != 0 => owner,
            (owner, partner) if owner == gone && partner != 0 => partner,
            (owner, partner) => owner.max(partner),
        };
        let exit = u8::try_from(worse).ok().and_then(Exit::from_code).unwrap_or(Exit::Internal);
        Some(Failure::new(exit, 945, format!("the owner's program ended with exit code {owner}, the partner's with {partner}")))
    }
}

/// Starts both programs with a command and waits for both. Ctrl-C is passed on to them.
pub fn run_both(
    programs: &Sides<PathBuf>,
    word: &str,
    homes: &Sides<Home>,
    jobs: &Sides<PathBuf>,
    outs: &Sides<PathBuf>,
    stop: &StopFlag,
) -> Result<Ended, Failure> {
    let start = |side: Side| {
        let mut command = Command::new(programs.of(side));
        command.arg(word).arg("--job").arg(jobs.of(side)).arg("--out").arg(outs.of(side)).args(["--lines", "--connect-timeout", "30"]);
        // Groups of their own: Ctrl-C in the terminal reaches this process only, which passes it on once.
        command.env("COLIFT_HOME", homes.of(side).path()).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command.spawn().map_err(|error| failed("start", programs.of(side), &error))
    };
    let mut owner = start(Side::Owner)?;
    let mut partner = match start(Side::Partner) {
        Ok(partner) => partner,
        Err(failure) => {
            end(&mut owner);
            return Err(failure);
        }
    };
    let mut passed_on = false;
    let mut first_failure: Option<Instant> = None;
    loop {
        let ended = (poll(&mut owner)?, poll(&mut partner)?);
        if let (Some(owner), Some(partner)) = ended {
            return Ok(Ended(Sides { owner, partner }));
        }
        if stop.is_raised() && !passed_on {
            passed_on = true;
            for child in [&owner, &partner] {
                // A child that has ended by now needs no signal.
                let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGINT);
            }
        }
        if [ended.0, ended.1].into_iter().flatten().any(|status| !status.success())
            && first_failure.get_or_insert_with(Instant::now).elapsed() > GRACE
        {
            end(&mut owner);
            end(&mut partner);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn poll(child: &mut Child) -> Result<Option<ExitStatus>, Failure> {
    child.try_wait().map_err(|error| Failure::new(Exit::Internal, 946, format!("a program cannot be waited for: {error}")))
}

/// Ends a child of ours that should have ended by itself.
pub fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Moves a party's results out of the scratch folder.
pub fn keep(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::rename(from, to).map_err(|error| failed("move", from, &error))
}

/// Removes the scratch folder with its keys and job files.
pub fn remove(scratch: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(scratch).map_err(|error| failed("remove", scratch, &error))
}
