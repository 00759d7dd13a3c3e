//! What `run` and `score` share: own key and pinned peer, results folder, log and progress, the link, the printed end.

use crate::cli::flags::{EventFormat, RunFlags};
use crate::contract::receipt::{Phase, result_hash};
use crate::contract::{Job, LedgerTerms, Link, SharedJob};
use crate::data::{Side, Table};
use crate::error::{Exit, Failure};
use crate::progress::{Progress, Terminal, Watched};
use crate::report::Cost;
use crate::report::StageCost;
use crate::resources::StageClock;
use crate::results::log::start_log;
use crate::results::{ResultFolder, default_target};
use crate::run::Ran;
use crate::run::agree;
use crate::session::past_runs::{PastRuns, Rules, Sketch};
use crate::session::receipt::{self, Ground, Part};
use crate::session::{ContractSignature, Home, Identity, LinkSpec, Pins, Recorded, connect, greet};
use colift_channel::tls::{Fingerprint, Limits, TlsChannel};
use colift_channel::{Channel, Counters, StopFlag};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// One side of a job before it has met the peer.
pub struct Meeting<'a> {
    side: Side,
    flags: &'a RunFlags,
    stop: &'a StopFlag,
    identity: Identity,
    pins: Pins,
    peer: Fingerprint,
    shared: SharedJob,
    signature: ContractSignature,
    folder: ResultFolder,
    progress: Terminal,
    clock: StageClock,
    /// The ledger of runs with this peer and what it is to note: once the peer is there, before anything of it is sent.
    ledger: Option<(PastRuns, Sketch, Rules)>,
}

/// One side of a job after everything was exchanged: what its artefacts carry.
pub struct Met {
    /// Where they go; unfinished.
    pub folder: ResultFolder,
    /// This side's key.
    pub own: Fingerprint,
    /// The peer's key.
    pub peer: Fingerprint,
    /// What it cost up to here.
    pub cost: Cost,
    /// When it ended.
    pub ended: Timestamp,
    json: bool,
}

impl<'a> Meeting<'a> {
    /// Sets the threads, checks the keys, makes the unfinished results folder, starts log, progress and clock.
    ///
    /// # Errors
    /// Exit 2 and 11 for keys and homes; exit 1 and 2 for a folder that cannot be made.
    pub fn open(job: &Job, flags: &'a RunFlags, stop: &'a StopFlag) -> Result<Self, Failure> {
        if let Some(threads) = job.private().threads {
            // A pool that exists already keeps its size; only these commands start one.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        }
        let side = job.side();
        let (identity, pins, peer) = keys(job)?;
        let home = Home::from_env()?;
        let signature = ContractSignature::load(&home, &identity, job.shared(), side)?;
        job.shared().terms().validity.check_now(signature.runs(&home)?)?;
        let shared = job.shared().clone();
        let target = flags.out.clone().unwrap_or_else(|| default_target(&job.shared().terms().name, Timestamp::now()));
        let folder = ResultFolder::create(&target)?;
        start_log(0, &folder)?;
        let progress = match flags.events {
            Some(EventFormat::Jsonl) => Terminal::events(side),
            None if flags.lines => Terminal::lines(side),
            None => Terminal::new(side),
        };
        Ok(Self {
            side,
            flags,
            stop,
            identity,
            pins,
            peer,
            shared,
            signature,
            folder,
            progress,
            clock: StageClock::new(side),
            ledger: None,
        })
    }

    /// The stage in which this side's own files are read and checked.
    ///
    /// # Errors
    /// As `read`.
    pub fn read<T>(&mut self, read: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        self.clock.begin("read");
        self.progress.stage("reading", 0, 1);
        let done = read()?;
        self.progress.stage("reading", 1, 1);
        self.clock.end(Counters::default());
        Ok(done)
    }

    /// Shows what was detected in the own files and what a person should look at, before the peer is met.
    pub fn show(&self, table: &Table, warnings: impl IntoIterator<Item = String>) {
        for file in &table.files {
            self.progress.note(&file.to_string());
        }
        for warning in warnings {
            self.progress.note(&format!("warning: {warning}"));
        }
        tracing::info!(rows = table.rows(), columns = table.columns.len(), "own file read");
    }

    /// Asks the ledger whether these ids are too close to those of an earlier run with this peer, by this side's own rule.
    ///
    /// # Errors
    /// Exit 18: they are, and the job has such runs refused. Exit 2: the ledger is damaged.
    pub fn compare(&mut self, table: &Table, terms: LedgerTerms) -> Result<(), Failure> {
        let rules = Rules::new(&self.shared, terms);
        let past = PastRuns::load(&Home::from_env()?, self.peer)?;
        let sketch = past.sketch(&table.ids, rules.difference());
        if let Some(warning) = past.judge(&sketch, &rules)? {
            tracing::warn!("{warning}");
            self.progress.note(&format!("warning: {warning}"));
        }
        self.ledger = Some((past, sketch, rules));
        Ok(())
    }

    /// Meets the pinned peer, runs `over` on the link, has `write` write this side's files, and makes the receipt of it all with the
    /// peer; prints the report and, last, the results folder. A failure is told to the peer by its exit code and leaves nothing.
    ///
    /// # Errors
    /// The link's failures, and as `over`, `write` and [`receipt::agree`].
    pub fn meet<T: Ran>(
        self,
        link: &Link,
        rows: usize,
        over: impl FnOnce(&mut dyn Channel, &[u8; 32], &mut StageClock, &dyn Progress) -> Result<T, Failure>,
        write: impl FnOnce(&Met, T) -> Result<(String, String), Failure>,
    ) -> Result<(), Failure> {
        let (connect_timeout, idle) = (Duration::from_secs(self.flags.connect_timeout), Duration::from_secs(self.flags.idle_timeout));
        let limits = Limits { connect: connect_timeout, idle, ..Limits::default() };
        let (spec, progress) = (LinkSpec::from(link), self.progress.clone());
        progress.trying(spec.attempts());
        progress.waiting(spec.awaited());
        let mut link = connect(&self.identity, &self.pins, self.peer, &spec, &limits, self.stop)?;
        self.progress.note("peer connected, key as pinned");
        self.progress.connected(link.pulse());
        let (met, (line, text)) = match self.talk(&mut link, rows, over, write) {
            Ok(done) => done,
            Err(failure) => {
                tracing::error!(exit = failure.exit as u8, id = failure.id, "run ended");
                link.abort(failure.exit as u8);
                return Err(failure);
            }
        };
        progress.waiting("the peer to take the last messages");
        link.close();
        drop(progress);
        met.finish(&line, &text)
    }

    fn talk<T: Ran>(
        mut self,
        link: &mut TlsChannel,
        rows: usize,
        over: impl FnOnce(&mut dyn Channel, &[u8; 32], &mut StageClock, &dyn Progress) -> Result<T, Failure>,
        write: impl FnOnce(&Met, T) -> Result<(String, String), Failure>,
    ) -> Result<(Met, (String, String)), Failure> {
        let greeting = greet(&mut Watched::new(&mut *link, &self.progress), self.side)?;
        tracing::info!(wire = greeting.wire, "greeting done");
        let session = *link.session_id();
        let validity = self.shared.terms().validity;
        let mut channel = Recorded::new(link);
        if let Some((past, sketch, rules)) = &mut self.ledger {
            past.allow(sketch, rules)?;
        }
        let Some(signatures) =
            self.signature.exchange(&mut Watched::new(&mut channel, &self.progress), &Home::from_env()?, validity, self.side, self.peer)?
        else {
            agree::terms(&mut Watched::new(&mut channel, &self.progress), &self.shared)?;
            return Err(Failure::new(Exit::Protocol, 929, "the peer signed another contract than it shows"));
        };
        tracing::info!(contract = self.shared.digest(), owner = %signatures.owner.by(), partner = %signatures.partner.by(), "contract signed");
        if let Some((past, sketch, rules)) = &mut self.ledger {
            past.record(sketch, rules, Timestamp::now())?;
        }
        let outcome = over(&mut Watched::new(&mut channel, &self.progress), &session, &mut self.clock, &self.progress)?;
        if self.stop.is_raised() {
            return Err(colift_channel::ChannelError::Interrupted { waiting_for: "the end of the run" }.into());
        }
        let (facts, transcript) = (outcome.facts().clone(), channel.transcript());
        facts.check_wire(self.side, &transcript.sent.kinds, &transcript.received.kinds)?;
        let (own, ended) = (self.identity.fingerprint(), Timestamp::now());
        let cost = self.clock.cost(channel.counters());
        let phases = cost.stages.0.iter().map(|(name, stage)| Phase { name: name.clone(), sent: sent_by(self.side, stage) }).collect();
        let met = Met { folder: self.folder, own, peer: self.peer, cost, ended, json: self.flags.json };
        let written = write(&met, outcome)?;
        let part = Part {
            program: receipt::this_program(),
            rows: rows as u64,
            matched: facts.matched,
            phases,
            opened: facts.opened,
            ended: ended.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            result: String::new(),
        };
        let ground = Ground {
            side: self.side,
            identity: &self.identity,
            peer: self.peer,
            shared: &self.shared,
            signatures: &signatures,
            session: &session,
        };
        self.progress.waiting("its part of the receipt");
        let receipt = receipt::agree(channel, &ground, part, result_hash(&hashes(met.folder.path())?))?;
        met.folder.file(RECEIPT, receipt.to_json()?.as_bytes())?;
        Ok((met, written))
    }
}

/// The receipt's file.
pub const RECEIPT: &str = "receipt.json";

/// Bytes that a side sent in a stage.
fn sent_by(side: Side, stage: &StageCost) -> u64 {
    let sent = match side {
        Side::Owner => stage.bytes_sent.owner,
        Side::Partner => stage.bytes_sent.partner,
    };
    sent.unwrap_or_default()
}

/// The result files of a folder and their hashes; the log, which still grows, and the receipt are not among them.
///
/// # Errors
/// Exit 1: a file cannot be read.
pub fn hashes(folder: &Path) -> Result<Vec<(String, [u8; 32])>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Internal, 477, format!("the results cannot be read: {error}")).at(folder.display().to_string())
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_file() && name != RECEIPT && name != "run.log" {
            let (mut hash, mut file) = (Sha256::new(), std::fs::File::open(&path).map_err(failed)?);
            std::io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(failed)?;
            found.push((name, hash.finalize().into()));
        }
    }
    Ok(found)
}

/// What is written is hashed.
struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Met {
    /// Gives the folder its name, prints the report and, last, the folder.
    fn finish(self, line: &str, text: &str) -> Result<(), Failure> {
        tracing::info!("run complete");
        let place = self.folder.finish()?;
        let mut stdout = std::io::stdout().lock();
        // A closed pipe must not turn a finished run into a failure: the folder stands.
        let _ = writeln!(stdout, "{}", if self.json { line } else { text });
        let shown = format!("results: {}", place.display());
        let _ = if self.json { writeln!(std::io::stderr(), "{shown}") } else { writeln!(stdout, "{shown}") };
        Ok(())
    }
}

/// The own key, the pins, and the peer's key; the job must name this side's own key.
fn keys(job: &Job) -> Result<(Identity, Pins, Fingerprint), Failure> {
    let home = Home::from_env()?;
    let identity = Identity::load(&home)?;
    let place = || format!("{}, [shared.peers]", home.path().display());
    let peer = identity.peer_in(job.shared(), job.side()).map_err(|failure| failure.at(place()))?;
    let pins = Pins::load(&home)?;
    pins.check(peer)?;
    Ok((identity, pins, peer))
}
