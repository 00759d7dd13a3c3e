//! `bench training`: both real programs as two processes on loopback, on data made from a seed, with the cost of the train stage.
//!
//! The parent makes specifications and keys, starts the programs, shapes the link if asked, fits the plaintext twin where that
//! is affordable, and prints one report. Nothing that the parent does is in `cost`.

mod data;
mod party;

pub use party::run as run_party;

use crate::cli::bench::{LinkName, TrainingFlags};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::rehearse::programs::{self, Sides};
use crate::report::{Cost, Ordered, PerParty, StageCost};
use crate::results::write_private;
use crate::session::{Home, Identity, Pins};
use crate::training::scaling::Scaling;
use crate::training::twin::{SecureModel, TwinGap, compare, fit_logistic};
use colift_channel::shaper::{LinkShape, Shaper};
use data::{DataSpec, Generator};
use party::{PartyResult, PartySpec};
use serde::Serialize;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Rows × columns up to which the twin is fitted.
const TWIN_CELLS: usize = 30_000_000;

/// What `bench training` prints.
#[derive(Debug, Serialize)]
struct BenchReport {
    schema: &'static str,
    bench: &'static str,
    rows: usize,
    owner_columns: usize,
    partner_columns: usize,
    rate: f64,
    seed: u64,
    link: &'static str,
    cost: Cost,
    /// One-way messages of both sides.
    messages: u64,
    /// Rows through the gate over the training rows.
    passes: f64,
    /// Bytes of both directions over the training rows.
    bytes_per_row: f64,
    declared_bytes: PerParty<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    twin: Option<TwinGap>,
}

/// A folder for keys and specifications that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("colift-bench-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| programs::failed("make", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It holds keys of this benchmark only.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the benchmark and prints its report.
///
/// # Errors
/// The worse of both programs' exit codes; exit 2 where a program is missing.
pub fn training(flags: &TrainingFlags) -> Result<(), Failure> {
    let spec = DataSpec {
        rows: flags.rows,
        owner_columns: flags.owner_columns,
        partner_columns: flags.partner_columns,
        rate: flags.rate,
        seed: flags.seed,
    };
    if let Some(folder) = &flags.csv {
        data::write_csv(folder, spec)?;
    }
    let scratch = Scratch::create()?;
    let results = both_programs(flags, spec, &scratch.0)?;
    let report = report(flags, spec, results)?;
    let text = if flags.json {
        serde_json::to_string(&report).map_err(|error| Failure::new(Exit::Internal, 964, error.to_string()))?
    } else {
        in_words(&report)
    };
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    Ok(())
}

/// Starts both programs and reads their results.
fn both_programs(flags: &TrainingFlags, data: DataSpec, scratch: &Path) -> Result<Sides<PartyResult>, Failure> {
    let programs = Sides { owner: programs::find("colift-owner")?, partner: programs::find("colift-partner")? };
    let homes = Sides { owner: Home::at(scratch.join("owner")), partner: Home::at(scratch.join("partner")) };
    let keys = Sides { owner: Identity::init(&homes.owner)?, partner: Identity::init(&homes.partner)? };
    Pins::load(&homes.owner)?.add("partner", keys.partner.fingerprint())?;
    Pins::load(&homes.partner)?.add("owner", keys.owner.fingerprint())?;
    let port = programs::free_port()?;
    let listening = format!("127.0.0.1:{port}");
    let shape = match flags.link {
        LinkName::Loopback => None,
        LinkName::Lan => Some(LinkShape::LAN),
        LinkName::Wan => Some(LinkShape::WAN),
    };
    let target = listening.parse().map_err(|_| Failure::new(Exit::Internal, 965, "a loopback address that cannot be read"))?;
    let shaper = shape.map(|shape| Shaper::start(target, shape)).transpose()?;
    let dialled = shaper.as_ref().map_or_else(|| listening.clone(), |shaper| shaper.address().to_string());
    let start = |side: Side, address: String| {
        let peer = keys.of(side.peer()).fingerprint().to_string();
        let spec = PartySpec { data, l2: flags.l2, address, peer };
        let path = scratch.join(format!("{}.json", side.name()));
        let text = serde_json::to_string(&spec).map_err(|error| Failure::new(Exit::Internal, 964, error.to_string()))?;
        write_private(&path, text.as_bytes())?;
        let mut command = Command::new(programs.of(side));
        command.arg("bench-party").arg("--spec").arg(&path).env("COLIFT_HOME", homes.of(side).path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map_err(|error| programs::failed("start", programs.of(side), &error))
    };
    let owner = start(Side::Owner, listening)?;
    let partner = match start(Side::Partner, dialled) {
        Ok(partner) => partner,
        Err(failure) => {
            let mut owner = owner;
            programs::end(&mut owner);
            return Err(failure);
        }
    };
    // One that fails closes the link, which ends the other. Ctrl-C reaches both: they are in this process's group.
    let waiting = std::thread::spawn(move || partner.wait_with_output());
    let owner = owner.wait_with_output();
    let partner = waiting.join().map_err(|_| Failure::new(Exit::Internal, 966, "the wait for a program was lost"))?;
    let ended = |output: std::io::Result<Output>| output.map_err(|error| Failure::new(Exit::Internal, 966, error.to_string()));
    let outputs = Sides { owner: ended(owner)?, partner: ended(partner)? };
    if let Some(failure) = programs::Ended::of(outputs.owner.status, outputs.partner.status).worse() {
        return Err(failure);
    }
    let read = |output: &Output| {
        serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(Exit::Internal, 967, format!("a program's result: {error}")))
    };
    Ok(Sides { owner: read(&outputs.owner)?, partner: read(&outputs.partner)? })
}

fn report(flags: &TrainingFlags, spec: DataSpec, results: Sides<PartyResult>) -> Result<BenchReport, Failure> {
    let (owner, partner) = (&results.owner, &results.partner);
    let cost = train_stage(&owner.cost, &partner.cost);
    let bytes = cost.bytes_sent.owner.unwrap_or_default() + cost.bytes_sent.partner.unwrap_or_default();
    let affordable = spec.rows.saturating_mul(spec.owner_columns + spec.partner_columns) <= TWIN_CELLS;
    Ok(BenchReport {
        schema: "colift.bench/1",
        bench: "training",
        rows: spec.rows,
        owner_columns: spec.owner_columns,
        partner_columns: spec.partner_columns,
        rate: spec.rate,
        seed: spec.seed,
        link: flags.link.name(),
        messages: owner.messages_sent + partner.messages_sent,
        passes: owner.passes,
        bytes_per_row: bytes as f64 / spec.rows as f64,
        declared_bytes: PerParty::both(owner.declared_bytes, partner.declared_bytes),
        twin: if affordable { Some(twin(flags, spec, &results)?) } else { None },
        cost,
    })
}

/// The train stage of both sides as one cost; data making before it is left out, memory is the process's peak.
fn train_stage(owner: &Cost, partner: &Cost) -> Cost {
    let stage = |cost: &Cost| cost.stages.0.iter().find(|(name, _)| name == "train").map(|(_, stage)| *stage).unwrap_or_default();
    let (own, peers) = (stage(owner), stage(partner));
    let train = StageCost {
        wall_s: own.wall_s.max(peers.wall_s),
        cpu_s: PerParty { owner: own.cpu_s.owner, partner: peers.cpu_s.partner },
        bytes_sent: PerParty { owner: own.bytes_sent.owner, partner: peers.bytes_sent.partner },
        rounds: own.rounds,
    };
    Cost {
        wall_s: train.wall_s,
        cpu_s: train.cpu_s,
        bytes_sent: train.bytes_sent,
        rounds: train.rounds,
        peak_rss_mb: PerParty { owner: owner.peak_rss_mb.owner, partner: partner.peak_rss_mb.partner },
        stages: Ordered(vec![("train".to_owned(), train)]),
    }
}

/// The distance to the plaintext optimum of the same objective.
fn twin(flags: &TrainingFlags, spec: DataSpec, results: &Sides<PartyResult>) -> Result<TwinGap, Failure> {
    let all = spec.owner_columns + spec.partner_columns;
    let (columns, labels) = Generator::new(spec).columns(0..all);
    let names: Vec<String> = (0..all).map(|j| format!("c{j}")).collect();
    let x = Scaling::fit(&columns, &names, party::CLIP)?.apply(&columns)?;
    drop(columns);
    let fit = fit_logistic(&x, &labels, flags.l2)?;
    let coefficients: Vec<f64> = results.owner.coefficients.iter().chain(&results.partner.coefficients).copied().collect();
    let model = SecureModel { intercept: results.owner.intercept.unwrap_or_default(), coefficients: &coefficients, test_auc: None };
    compare(&x, &labels, flags.l2, &model, &fit, None)
}

fn in_words(report: &BenchReport) -> String {
    let cost = &report.cost;
    let sum = |pair: &PerParty<f64>| pair.owner.unwrap_or_default() + pair.partner.unwrap_or_default();
    let mut text = format!(
        "training, {} rows, {} + {} columns, {}: {:.1} s, {:.1} CPU-seconds of both, {:.0} bytes a row in all, {} rounds, {:.2} passes, \
         at most {:.0} and {:.0} MB resident",
        report.rows,
        report.owner_columns,
        report.partner_columns,
        report.link,
        cost.wall_s,
        sum(&cost.cpu_s),
        report.bytes_per_row,
        cost.rounds,
        report.passes,
        cost.peak_rss_mb.owner.unwrap_or_default(),
        cost.peak_rss_mb.partner.unwrap_or_default(),
    );
    if let Some(twin) = &report.twin {
        text += &format!(
            "\ndistance to the plaintext optimum: {:.1e} in the objective, {:.4} standard errors at most",
            twin.loss_gap, twin.max_coefficient_error_se
        );
    }
    text
}
