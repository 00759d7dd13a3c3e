//! One party of a benchmark, in a process of its own: own data from the seed, the link to the other program, the work.

use crate::bench::data::{DataSpec, Generator};
use crate::bench::{line, matching};
use crate::contract::{Disclosure, ProxyChoice, RateBucket};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::report::Cost;
use crate::resources::StageClock;
use crate::session::{Home, Identity, LinkSpec, Pins, connect};
use crate::training::cost::declare_with;
use crate::training::family::HiddenWeights;
use crate::training::features::Features;
use crate::training::opening::Ledger;
use crate::training::response::OwnerInput;
use crate::training::scaling::Scaling;
use crate::training::schedule::{PublicSizes, Schedule};
use crate::training::secure::train;
use colift_algebra::Engine;
use colift_channel::tls::{Fingerprint, Limits, TlsChannel};
use colift_channel::{Channel, StopFlag};
use colift_correlation::Role;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a party of a benchmark is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartySpec {
    /// What is measured.
    pub work: Work,
    /// Address to listen at (owner) or to dial (partner).
    pub address: String,
    /// The peer's fingerprint.
    pub peer: String,
}

/// What is measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// A training.
    Training {
        /// The data of both sides.
        data: DataSpec,
        /// Ridge on the standardised weights.
        l2: f64,
    },
    /// A matching.
    Matching {
        /// Ids of each side.
        ids: IdSource,
        /// The protocol's word in a job.
        protocol: String,
    },
}

/// Where the ids of a matching come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdSource {
    /// So many made ones at the owner and at the partner, half of the smaller number common.
    Made([u64; 2]),
    /// The column `id` of owner.csv and partner.csv in this folder.
    Files(PathBuf),
}

/// What a party of a training tells: one line on stdout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingResult {
    /// The train stage.
    pub cost: Cost,
    /// Bytes that this side was to send, as declared before the training.
    pub declared_bytes: u64,
    /// Messages that this side sent.
    pub messages_sent: u64,
    /// Rows through the gate, over the training rows.
    pub passes: f64,
    /// The owner's intercept.
    pub intercept: Option<f64>,
    /// Own weights on standardised columns.
    pub coefficients: Vec<f64>,
}

/// Standardised values are cut at ± this.
pub(super) const CLIP: f64 = 5.0;

/// Runs one party and prints its line.
///
/// # Errors
/// As a training or a matching; exit 1, E0961, when the specification cannot be read.
pub fn run(side: Side, spec: &Path, stop: &StopFlag) -> Result<(), Failure> {
    let unreadable = |reason: String| Failure::new(Exit::Internal, 961, format!("the benchmark's specification: {reason}"));
    let text = std::fs::read_to_string(spec).map_err(|error| unreadable(error.to_string()))?;
    let spec: PartySpec = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    let line = match &spec.work {
        Work::Training { data, l2 } => line(&training(side, &spec, *data, *l2, stop)?)?,
        Work::Matching { ids, protocol } => line(&matching::measure(side, &spec, ids, protocol, stop)?)?,
    };
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).map_err(|error| unreadable(error.to_string()))
}

/// The link to the other program, and which of the two this one is.
///
/// # Errors
/// The link's failures.
pub(super) fn meet(side: Side, spec: &PartySpec, stop: &StopFlag) -> Result<(TlsChannel, Role), Failure> {
    let home = Home::from_env()?;
    let (identity, pins) = (Identity::load(&home)?, Pins::load(&home)?);
    let peer: Fingerprint =
        spec.peer.parse().map_err(|_| Failure::new(Exit::Internal, 961, "the benchmark's specification: the peer's key"))?;
    let (role, link) = match side {
        Side::Owner => (Role::First, LinkSpec::listen(&spec.address)),
        Side::Partner => (Role::Second, LinkSpec::dial(&spec.address, ProxyChoice::Off)),
    };
    let limits = Limits { connect: Duration::from_secs(600), ..Limits::default() };
    Ok((connect(&identity, &pins, peer, &link, &limits, stop)?, role))
}

fn training(side: Side, spec: &PartySpec, data: DataSpec, l2: f64, stop: &StopFlag) -> Result<TrainingResult, Failure> {
    let generator = Generator::new(data);
    let range = match side {
        Side::Owner => 0..data.owner_columns,
        Side::Partner => data.owner_columns..data.owner_columns + data.partner_columns,
    };
    let (columns, labels) = generator.columns(range);
    let names: Vec<String> = (0..columns.len()).map(|j| format!("c{j}")).collect();

    let (mut channel, role) = meet(side, spec, stop)?;

    let mut clock = StageClock::new(side);
    let before = channel.counters();
    clock.begin("train");
    let scaling = Scaling::fit(&columns, &names, CLIP)?;
    let standardised = scaling.apply(&columns)?;
    drop(columns);
    if standardised.ncols() != names.len() {
        return Err(Failure::new(Exit::Data, 962, "a column of the benchmark is constant").hint("choose more rows"));
    }
    let schedule = Schedule::new(data.public_sizes()?)?;
    let features = Features::new(&standardised, l2, role == Role::First)?;
    drop(standardised);
    let mut engine = Engine::setup(&mut channel, role)?;
    let mut ledger = Ledger::new(&[Disclosure::OwnWeights, Disclosure::ConvergedAndInRange]);
    let base_logit = bucket(data.rate)?.base_logit();
    let input = OwnerInput { labels: &labels.values, weights: labels.weights.as_deref(), base_logit };
    let input = (side == Side::Owner).then_some(input);
    let trained = train(&mut engine, &mut channel, &features, input, &schedule, &mut ledger, &|_, _| ())?;
    let counters = channel.counters();
    clock.end(counters);
    let (owner, partner) = declare_with(&[(&schedule, trained.extra.clone())])?;
    let declared = match side {
        Side::Owner => owner.counters(),
        Side::Partner => partner.counters(),
    };
    let result = TrainingResult {
        cost: clock.cost(counters),
        declared_bytes: declared.bytes_sent,
        messages_sent: counters.since(before).messages_sent,
        passes: schedule.gate_rows() as f64 / data.rows as f64 + trained.extra.len() as f64,
        intercept: trained.intercept,
        coefficients: trained.coefficients,
    };
    channel.close();
    Ok(result)
}

impl DataSpec {
    /// What both sides would sign.
    ///
    /// # Errors
    /// Exit 2: a rate or a share of payers that leaves nothing to learn.
    fn public_sizes(&self) -> Result<PublicSizes, Failure> {
        let membership = |share: f64| bucket(share).map(|bucket| HiddenWeights::membership(bucket.low(), bucket.high()));
        Ok(PublicSizes {
            family: self.family,
            weights: self.payers.map(membership).transpose()?,
            ..PublicSizes::logistic(self.rows, self.owner_columns, self.partner_columns, bucket(self.rate)?.ends())
        })
    }
}

/// The bucket that both sides would sign.
fn bucket(rate: f64) -> Result<RateBucket, Failure> {
    RateBucket::for_rate(rate).ok_or_else(|| Failure::new(Exit::Usage, 963, format!("a rate of {rate} leaves one label only")))
}
