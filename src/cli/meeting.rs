//! What `run`, `score` and `resume` share: own key and pinned peer, results folder, log and progress, the link, the printed end.

use crate::cli::flags::{EventFormat, RunFlags};
use crate::contract::receipt::{Phase, result_hash};
use crate::contract::{Job, LedgerTerms, Link, SharedJob};
use crate::data::{Side, Table};
use crate::error::{Exit, Failure, PEERS_DATA};
use crate::progress::{Progress, Terminal, Watched};
use crate::recovery::{self, Marked, State, Tracked, Unfinished};
use crate::report::Cost;
use crate::report::StageCost;
use crate::resources::StageClock;
use crate::results::hashes::{RECEIPT, hashes};
use crate::results::log::start_log;
use crate::results::{ResultFolder, default_target};
use crate::run::{Keep, Ran, agree};
use crate::session::past_runs::{PastRuns, Rules, Sketch};
use crate::session::receipt::{self, Ground, Part};
use crate::session::{ContractSignature, Home, Identity, LinkSpec, Pins, Recorded, connect, greet};
use colift_channel::tls::{Fingerprint, Limits, TlsChannel};
use colift_channel::{Channel, Counters, StopFlag};
use jiff::Timestamp;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Whether a command begins a run or takes one up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From nothing.
    New,
    /// After the finished phases of an unfinished run.
    Again,
}

/// What the own table is to the peer and to later attempts.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// Its rows.
    pub rows: usize,
    /// Hash of everything that the run takes from it.
    pub fingerprint: [u8; 32],
}

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
    /// Gone once the results are written.
    folder: Option<ResultFolder>,
    progress: Terminal,
    clock: StageClock,
    /// The ledger of runs with this peer and what it is to note: once the peer is there, before anything of it is sent.
    ledger: Option<(PastRuns, Sketch, Rules)>,
    start: Start,
    /// Which attempt both sides began; 0 before.
    attempt: u32,
    /// What the home keeps of this run until both sides have their results.
    unfinished: Unfinished,
}

/// What both sides talk about on the link.
pub struct Talk<'a> {
    /// The watched link.
    pub channel: &'a mut dyn Channel,
    /// A value that only this link has.
    pub session: &'a [u8; 32],
    /// Where finished phases are kept.
    pub keep: &'a mut dyn Keep,
    /// The clock of the run.
    pub clock: &'a mut StageClock,
    /// Where it is told how far the run is.
    pub progress: &'a dyn Progress,
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
    /// Exit 2 and 11 for keys and homes; exit 1 and 2 for a folder that cannot be made; exit 2 where there is nothing to take up.
    pub fn open(job: &Job, flags: &'a RunFlags, start: Start, stop: &'a StopFlag) -> Result<Self, Failure> {
        if let Some(threads) = job.private().threads {
            // A pool that exists already keeps its size; only these commands start one.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        }
        let side = job.side();
        let (identity, pins, peer) = keys(job)?;
        let home = Home::from_env()?;
        let signature = ContractSignature::load(&home, &identity, job.shared(), side)?;
        let shared = job.shared().clone();
        let now = Timestamp::now();
        let mut unfinished = match start {
            Start::New => {
                shared.terms().validity.check_now(signature.runs(&home)?)?;
                let task = if shared.score().is_some() { recovery::Task::Score } else { recovery::Task::Run };
                let job = std::path::absolute(&flags.job).unwrap_or_else(|_| flags.job.clone());
                let began = now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
                let state = State::new(task, job, shared.terms().name.clone(), shared.digest(), peer.to_string(), began);
                Unfinished::begin(&home, state)?
            }
            Start::Again => {
                // Whether runs are left was decided when it began.
                shared.terms().validity.check_now(0)?;
                Unfinished::take_up(&home, &shared.digest(), &peer.to_string())?
            }
        };
        let earlier = (start == Start::Again && !unfinished.state().finished).then(|| unfinished.state().target.clone());
        let target = flags.out.clone().or(earlier.filter(|target| target.file_name().is_some()));
        let target = target.unwrap_or_else(|| default_target(&shared.terms().name, now));
        let folder = ResultFolder::create(&target)?;
        unfinished.takes(&target, folder.path())?;
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
            folder: Some(folder),
            progress,
            clock: StageClock::new(side),
            ledger: None,
            start,
            attempt: 0,
            unfinished,
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
        mut self,
        link: &Link,
        data: Data,
        over: impl FnOnce(Talk<'_>) -> Result<T, Failure>,
        write: impl FnOnce(&Met, T) -> Result<(String, String), Failure>,
    ) -> Result<(), Failure> {
        if !self.unfinished.fits(data.rows) {
            return Err(Failure::new(Exit::Data, 522, "the data are not those with which this run began")
                .hint("put the file back as it was, or begin anew: `run` on both sides"));
        }
        let (connect_timeout, idle) = (Duration::from_secs(self.flags.connect_timeout), Duration::from_secs(self.flags.idle_timeout));
        let limits = Limits { connect: connect_timeout, idle, ..Limits::default() };
        let (spec, progress) = (LinkSpec::from(link), self.progress.clone());
        progress.trying(spec.attempts());
        progress.waiting(spec.awaited());
        let mut link = connect(&self.identity, &self.pins, self.peer, &spec, &limits, self.stop)?;
        self.progress.note("peer connected, key as pinned");
        self.progress.connected(link.pulse());
        match self.talk(&mut link, data, over, write) {
            Ok((met, (line, text))) => {
                let done = met.finish()?;
                self.unfinished.finished()?;
                let safe = agree::safe(&mut Watched::new(&mut link, &progress));
                progress.waiting("the peer to take the last messages");
                link.close();
                progress.arrived();
                match safe {
                    Ok(()) => self.unfinished.forget(),
                    // Its own results may not be complete: this side stays ready to give its part once more.
                    Err(failure) => progress.note(&format!("the peer did not say that its results are safe: {}", failure.what)),
                }
                // Nothing is drawn any more when the report is printed.
                drop((progress, self.progress));
                done.print(&line, &text);
                Ok(())
            }
            Err(failure) => {
                tracing::error!(exit = failure.exit as u8, id = failure.id, "run ended");
                link.abort(failure.exit as u8);
                Err(self.left(failure))
            }
        }
    }

    /// A run that ended early is kept where the same run could end well another time, and forgotten otherwise.
    fn left(self, mut failure: Failure) -> Failure {
        let again = matches!(failure.exit, Exit::Internal | Exit::PeerGone | Exit::Interrupted) && failure.id != PEERS_DATA;
        if self.unfinished.state().agreed.is_none() {
            return failure;
        }
        // A resumed run that is refused before its attempt begins stays what it was.
        if again || (self.start == Start::Again && self.attempt == 0) {
            let job = self.flags.job.display();
            let how = format!(
                "go on with `resume` on both sides, here colift-{} resume --job {job}: {}",
                self.side,
                self.unfinished.state().kept()
            );
            failure.remedy = Some(failure.remedy.map_or(how.clone(), |remedy| format!("{remedy}; {how}")));
        } else {
            self.unfinished.forget();
        }
        failure
    }

    fn talk<T: Ran>(
        &mut self,
        link: &mut TlsChannel,
        data: Data,
        over: impl FnOnce(Talk<'_>) -> Result<T, Failure>,
        write: impl FnOnce(&Met, T) -> Result<(String, String), Failure>,
    ) -> Result<(Met, (String, String)), Failure> {
        let greeting = greet(&mut Watched::new(&mut *link, &self.progress), self.side)?;
        tracing::info!(wire = greeting.wire, "greeting done");
        let session = *link.session_id();
        let home = Home::from_env()?;
        let mut channel = Recorded::new(link);
        if let Some((past, sketch, rules)) = self.ledger.as_mut().filter(|_| self.start == Start::New) {
            past.allow(sketch, rules)?;
        }
        let exchanged = self.signature.exchange(&mut Watched::new(&mut channel, &self.progress), &home, self.side, self.peer)?;
        let Some(mut signatures) = exchanged else {
            agree::terms(&mut Watched::new(&mut channel, &self.progress), &self.shared)?;
            return Err(Failure::new(Exit::Protocol, 929, "the peer signed another contract than it shows"));
        };
        let again = self.start == Start::Again;
        let proposal = self.unfinished.propose(&mut Watched::new(&mut channel, &self.progress), again, &data.fingerprint)?;
        signatures.run = proposal.number.unwrap_or(signatures.run);
        self.shared.terms().validity.check_now(signatures.run.saturating_sub(1))?;
        // A run that is taken up was written down when it began.
        if let Some((past, sketch, rules)) = self.ledger.as_mut().filter(|_| proposal.number.is_none()) {
            past.record(sketch, rules, Timestamp::now())?;
        }
        let begun = (&session, signatures.run, self.side == Side::Owner);
        self.attempt = self.unfinished.attempt(&mut Watched::new(&mut channel, &self.progress), &home, &proposal, begun)?;
        self.signature.count(&home, signatures.run)?;
        tracing::info!(run = signatures.run, attempt = self.attempt, kept = self.unfinished.state().kept(), "attempt begins");
        tracing::info!(contract = self.shared.digest(), owner = %signatures.owner.by(), partner = %signatures.partner.by(), "contract signed");
        let tracked = Tracked::new(&self.progress, self.unfinished.folder().to_owned());
        let outcome = over(Talk {
            channel: &mut Watched::new(Marked::new(&mut channel, self.unfinished.folder()), &tracked),
            session: &session,
            keep: &mut self.unfinished,
            clock: &mut self.clock,
            progress: &tracked,
        })?;
        if self.stop.is_raised() {
            return Err(colift_channel::ChannelError::Interrupted { waiting_for: "the end of the run" }.into());
        }
        let (facts, transcript) = (outcome.facts().clone(), channel.transcript());
        facts.check_wire(self.side, &transcript.sent.kinds, &transcript.received.kinds)?;
        let (own, ended) = (self.identity.fingerprint(), Timestamp::now());
        let cost = self.clock.cost(channel.counters());
        let phases = cost.stages.0.iter().map(|(name, stage)| Phase { name: name.clone(), sent: sent_by(self.side, stage) }).collect();
        let folder = self.folder.take().ok_or_else(|| Failure::new(Exit::Internal, 935, "a run without a results folder"))?;
        let met = Met { folder, own, peer: self.peer, cost, ended, json: self.flags.json };
        let written = write(&met, outcome)?;
        let part = Part {
            program: receipt::this_program(),
            rows: data.rows as u64,
            matched: facts.matched,
            l2: facts.l2,
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
            attempt: self.attempt,
        };
        self.progress.waiting("its part of the receipt");
        let receipt = receipt::agree(channel, &ground, part, result_hash(&hashes(met.folder.path())?))?;
        met.folder.file(RECEIPT, receipt.to_json()?.as_bytes())?;
        Ok((met, written))
    }
}

/// Bytes that a side sent in a stage.
fn sent_by(side: Side, stage: &StageCost) -> u64 {
    let sent = match side {
        Side::Owner => stage.bytes_sent.owner,
        Side::Partner => stage.bytes_sent.partner,
    };
    sent.unwrap_or_default()
}

impl Met {
    /// Gives the folder its name.
    fn finish(self) -> Result<Done, Failure> {
        tracing::info!("run complete");
        Ok(Done { place: self.folder.finish()?, json: self.json })
    }
}

/// One side of a job whose results are safe.
struct Done {
    place: PathBuf,
    json: bool,
}

impl Done {
    /// Prints the report and, last, the folder.
    fn print(&self, line: &str, text: &str) {
        let mut stdout = std::io::stdout().lock();
        // A closed pipe must not turn a finished run into a failure: the folder stands.
        let _ = writeln!(stdout, "{}", if self.json { line } else { text });
        let shown = format!("results: {}", self.place.display());
        let _ = if self.json { writeln!(std::io::stderr(), "{shown}") } else { writeln!(stdout, "{shown}") };
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
