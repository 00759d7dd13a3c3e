//! One live party: its folder and key from a recording, one thread with seeded random numbers, and the conversation as the programs
//! have it.

use crate::conversation::{PartyFile, bytes};
use colift::contract::receipt::{Phase, Program, result_hash};
use colift::contract::{Job, SharedJob, TaskTerms};
use colift::data::Side;
use colift::data::wording::hex;
use colift::error::Failure;
use colift::progress::Silent;
use colift::recovery::{Common, State, Task, Unfinished};
use colift::resources::StageClock;
use colift::run::{Facts, Outcome, Ran};
use colift::session::receipt::{Ground, Part, agree};
use colift::session::{ContractSignature, Home, Identity, Recorded, greet};
use colift::{run, scoring};
use colift_channel::Channel;
use colift_channel::tls::{Fingerprint, IdentityKey};
use colift_primitives::rng::{Seed, insecure_replay};
use jiff::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use tempfile::TempDir;

/// A party ready to meet its peer.
pub struct Party {
    side: Side,
    folder: TempDir,
    home: Home,
    identity: Identity,
    seed: [u8; 16],
}

/// PKCS#8 version 2 of the Ed25519 key of this seed (RFC 8410, RFC 5958).
fn key_document(seed: &[u8; 32]) -> Vec<u8> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
    let head = b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    [head, &seed[..], b"\x81\x21\x00", pair.public_key().as_ref()].concat()
}

/// The fingerprint of the key of this seed.
pub fn print_of(seed: &[u8; 32]) -> Fingerprint {
    IdentityKey::from_pkcs8(&key_document(seed)).unwrap().fingerprint()
}

/// What the machine's floating-point functions make of some numbers: of two machines that differ here, a training's payloads may
/// differ as well. Sums and products are the same everywhere.
pub fn arithmetic() -> String {
    let mut hash = Sha256::new();
    for step in 1..20_000 {
        let x = f64::from(step) * 0.00137;
        for value in [x.exp(), (-x).exp(), x.ln(), x.sin(), x.cos(), x.sqrt(), x.powf(0.37), x.exp_m1(), x.ln_1p(), x.tanh()] {
            hash.update(value.to_bits().to_le_bytes());
        }
    }
    hex(&hash.finalize()[..8])
}

/// Runs work on a thread pool of its own that has one thread, whose secret random numbers come from the seed: the same bytes every time.
pub fn alone<T: Send>(seed: [u8; 16], work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        insecure_replay::begin(&Seed::from_bytes(seed));
        let done = work();
        insecure_replay::end();
        done
    })
}

impl Party {
    /// Writes the party's files and key into a folder of its own.
    pub fn new(side: Side, file: &PartyFile) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in &file.files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let place = folder.path().join("home");
        DirBuilder::new().mode(0o700).create(&place).unwrap();
        let mut key = OpenOptions::new().write(true).create_new(true).mode(0o600).open(place.join("identity.pkcs8")).unwrap();
        key.write_all(&key_document(&bytes(&file.identity))).unwrap();
        let home = Home::at(place);
        let identity = Identity::load(&home).unwrap();
        Self { side, folder, home, identity, seed: bytes(&file.seed) }
    }

    fn job(&self) -> Job {
        Job::load(&self.folder.path().join("job.toml"), self.side).unwrap()
    }

    /// The whole conversation of `run` or `score`; returns what the party ended with.
    pub fn talk(&self, channel: &mut (dyn Channel + Send), session: &[u8; 32]) -> Result<Value, Failure> {
        alone(self.seed, || self.steps(channel, session))
    }

    /// Greeting and signatures only.
    pub fn introduce(&self, channel: &mut (dyn Channel + Send)) -> Result<(), Failure> {
        alone(self.seed, || {
            let mut channel = channel;
            let job = self.job();
            let greeting = greet(&mut channel, self.side)?;
            assert_eq!(greeting.peer_side, self.side.peer());
            let shared = job.shared();
            let both = self.sign(shared).exchange(channel, &self.home, self.side, self.peer(&job))?;
            assert_eq!(both.unwrap().run, 1);
            Ok(())
        })
    }

    fn sign(&self, shared: &SharedJob) -> ContractSignature {
        ContractSignature::make(&self.home, &self.identity, shared, self.side, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn peer(&self, job: &Job) -> Fingerprint {
        self.identity.peer_in(job.shared(), self.side).unwrap()
    }

    /// The steps of `Meeting::talk` in src/cli/meeting.rs, in its order. A message that is new there is new here as well:
    /// `tests/binaries` compares what the real programs send with the recordings.
    fn steps(&self, mut channel: &mut (dyn Channel + Send), session: &[u8; 32]) -> Result<Value, Failure> {
        let (job, side) = (self.job(), self.side);
        let (shared, peer, mut clock) = (job.shared().clone(), self.peer(&job), StageClock::new(side));
        let work = Work::prepare(job)?;
        // A stage of its own, left out below: the greeting's length depends on the program's version.
        clock.begin("greet");
        let greeting = greet(&mut channel, side)?;
        clock.end(channel.counters());

        let mut recorded = Recorded::new(&mut *channel);
        let signatures = self.sign(&shared).exchange(&mut recorded, &self.home, side, peer)?.unwrap();
        let task = if shared.score().is_some() { Task::Score } else { Task::Run };
        let name = shared.terms().name.clone();
        let state = State::new(task, "job.toml".into(), name, shared.digest(), peer.to_string(), "2026-11-26T08:00:00.000Z".into());
        let mut unfinished = Unfinished::begin(&self.home, state)?;
        let proposal = unfinished.propose(&mut recorded, false, &work.fingerprint()?)?;
        assert_eq!(proposal.common, Common::New);
        let begun = (session, signatures.run, side == Side::Owner);
        let attempt = unfinished.attempt(&mut recorded, &self.home, &proposal, begun)?;
        let (facts, result) = work.over(&mut recorded, session, &mut clock)?;

        let transcript = recorded.transcript();
        facts.check_wire(side, &transcript.sent.kinds, &transcript.received.kinds)?;
        let cost = clock.cost(recorded.counters());
        let sent = |stage: &colift::report::StageCost| stage.bytes_sent.owner.or(stage.bytes_sent.partner).unwrap();
        let stages = cost.stages.0.iter().filter(|(name, _)| name != "greet");
        let part = Part {
            program: Program { version: "0".into(), commit: "0".into(), target: "recorded".into(), features: Vec::new() },
            rows: work.rows() as u64,
            matched: facts.matched,
            l2: facts.l2.clone(),
            phases: stages.map(|(name, stage)| Phase { name: name.clone(), sent: sent(stage) }).collect(),
            opened: facts.opened.clone(),
            ended: "2026-11-26T08:00:00Z".into(),
            result: String::new(),
        };
        let ground = Ground { side, identity: &self.identity, peer, shared: &shared, signatures: &signatures, session, attempt };
        let receipt = agree(recorded, &ground, part, result_hash(&[]))?;
        receipt.verify()?;
        run::safe(&mut channel)?;
        unfinished.forget();
        let opened: Vec<Value> = facts.opened.iter().map(|o| json!([o.item, o.learned, o.told])).collect();
        Ok(json!({
            "wire": greeting.wire, "peer": greeting.peer_version, "run": signatures.run, "matched": facts.matched, "opened": opened,
            "result": result, "receipt": receipt.head,
        }))
    }
}

/// What the two commands do between signatures and receipt.
enum Work {
    Run(Box<run::Prepared>),
    Score(Box<scoring::Prepared>),
}

impl Work {
    fn prepare(job: Job) -> Result<Self, Failure> {
        match job.shared().terms().task {
            TaskTerms::Score(_) => Ok(Self::Score(Box::new(scoring::prepare(job)?))),
            _ => Ok(Self::Run(Box::new(run::prepare(job)?))),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Run(prepared) => prepared.table.rows(),
            Self::Score(prepared) => prepared.table.rows(),
        }
    }

    fn fingerprint(&self) -> Result<[u8; 32], Failure> {
        match self {
            Self::Run(prepared) => Ok(prepared.fingerprint()),
            Self::Score(prepared) => prepared.fingerprint(),
        }
    }

    fn over(&self, channel: &mut dyn Channel, session: &[u8; 32], clock: &mut StageClock) -> Result<(Facts, Value), Failure> {
        match self {
            Self::Run(prepared) => {
                let outcome = run::over(channel, session, prepared, clock, &Silent)?;
                let result = match &outcome {
                    Outcome::Overlap(o) => json!({ "matched": o.matched, "peer_rows": o.peer_rows }),
                    Outcome::Owner(o) => json!({
                        "model": o.model_id, "intercept": o.trained.intercept, "weights": o.trained.coefficients,
                        "scores": o.scores, "own_weights": o.own_model.coefficients,
                    }),
                    Outcome::Partner(o) => json!({ "model": o.model_id, "weights": o.trained.coefficients }),
                };
                Ok((outcome.facts().clone(), result))
            }
            Self::Score(prepared) => {
                let outcome = scoring::over(channel, session, prepared, clock, &Silent)?;
                let scored = outcome.scored.as_ref().map(|scored| match &scored.decisions {
                    Some(d) => json!({ "deciles": d.deciles, "top": d.top, "yes": d.yes, "joint": scored.joint }),
                    None => json!({ "scores": scored.scores, "joint": scored.joint }),
                });
                let result = json!({
                    "matched": outcome.report.matched, "users": outcome.report.users, "peer_users": outcome.report.peer_users,
                    "scored": scored,
                });
                Ok((outcome.facts().clone(), result))
            }
        }
    }
}
