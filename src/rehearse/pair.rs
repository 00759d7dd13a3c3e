//! Two companies on one machine: a key for each, pinned by the other, and jobs that both real programs run together.

use super::programs::{self, Sides};
use crate::contract::{Fingerprint, Peers, SharedJob};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::session::{ContractSignature, Home, Identity, Pins};
use colift_channel::StopFlag;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Both programs, with keys that live as long as this rehearsal.
pub struct Pair {
    scratch: PathBuf,
    programs: Sides<PathBuf>,
    homes: Sides<Home>,
    keys: Sides<Identity>,
    peers: Peers,
}

/// A program of the pair, by the words after its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairCommand {
    /// `run`
    Run,
    /// `score`
    Score,
}

impl Pair {
    /// Finds both programs and makes both keys below `scratch`.
    ///
    /// # Errors
    /// Exit 2: a program is missing. Exit 1 and 2: keys cannot be made.
    pub fn new(scratch: PathBuf) -> Result<Self, Failure> {
        let programs = Sides { owner: programs::find("colift-owner")?, partner: programs::find("colift-partner")? };
        let homes = Sides { owner: Home::at(scratch.join("owner-home")), partner: Home::at(scratch.join("partner-home")) };
        let keys = Sides { owner: Identity::init(&homes.owner)?, partner: Identity::init(&homes.partner)? };
        Pins::load(&homes.owner)?.add("partner", keys.partner.fingerprint())?;
        Pins::load(&homes.partner)?.add("owner", keys.owner.fingerprint())?;
        let peers = Peers {
            owner: Fingerprint::parse(&keys.owner.fingerprint().to_string())?,
            partner: Fingerprint::parse(&keys.partner.fingerprint().to_string())?,
        };
        Ok(Self { scratch, programs, homes, keys, peers })
    }

    /// Both keys, as a job names them.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// The job file of a side in the last run.
    pub fn job(&self, side: Side) -> PathBuf {
        self.scratch.join(format!("{side}.toml"))
    }

    /// Runs both sides of a job on loopback; the folders of their results. `private` lacks the link, which is made here.
    ///
    /// # Errors
    /// What either program ended with: the worse of both exit codes, both named.
    pub fn run(
        &self,
        command: PairCommand,
        shared: &SharedJob,
        private: Sides<toml::Table>,
        stop: &StopFlag,
    ) -> Result<Sides<PathBuf>, Failure> {
        let port = programs::free_port()?;
        let word = match command {
            PairCommand::Run => "run",
            PairCommand::Score => "score",
        };
        let jobs = Sides { owner: self.job(Side::Owner), partner: self.job(Side::Partner) };
        let outs = Sides { owner: self.scratch.join(format!("{word}-owner")), partner: self.scratch.join(format!("{word}-partner")) };
        for (side, how) in [(Side::Owner, "listen"), (Side::Partner, "dial")] {
            let mut table = private.of(side).clone();
            let address = toml::Value::from(format!("127.0.0.1:{port}"));
            table.insert("link".into(), toml::Table::from_iter([(how.to_owned(), address)]).into());
            programs::write_job(jobs.of(side), shared, &table)?;
            ContractSignature::make(self.homes.of(side), self.keys.of(side), shared, side, Timestamp::now())?;
        }
        match programs::run_both(&self.programs, word, &self.homes, &jobs, &outs, stop)?.worse() {
            Some(failure) => Err(failure),
            None => Ok(outs),
        }
    }

    /// Removes keys and job files.
    ///
    /// # Errors
    /// Exit 1: the folder cannot be removed.
    pub fn remove(self) -> Result<(), Failure> {
        programs::remove(&self.scratch)
    }
}

/// The beginning of a side's `[private]`: an absolute path and the id column.
///
/// # Errors
/// Exit 2: the path is not UTF-8.
pub fn private(data: &Path, id: &str) -> Result<toml::Table, Failure> {
    let mut table = toml::Table::new();
    table.insert("data".into(), path_text(data)?.into());
    table.insert("id".into(), id.into());
    Ok(table)
}

/// An absolute path as a job file holds it.
///
/// # Errors
/// Exit 2: it is not UTF-8.
pub fn path_text(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|error| programs::failed("resolve", path, &error))?;
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::new(Exit::Usage, 933, format!("{} is not UTF-8", path.display())))
}
