//! `bench training` and `bench matching`: both real programs as two processes on loopback, on data made from a seed, with the
//! cost of the stage in question.
//!
//! The parent makes specifications and keys, starts the programs, shapes the link if asked, fits the plaintext twin of a training
//! where that is affordable, and prints one report. Nothing that the parent does is in `cost`.

mod data;
mod launch;
pub mod matching;
mod party;

pub use party::run as run_party;

use crate::cli::bench::TrainingFlags;
use crate::cli::say;
use crate::error::{Exit, Failure};
use crate::rehearse::programs::Sides;
use crate::report::{Cost, Ordered, PerParty, StageCost};
use crate::training::scaling::Scaling;
use crate::training::twin::{SecureModel, Target, TwinGap, distance, fit};
use data::{DataSpec, Generator};
use launch::both_programs;
use party::{TrainingResult, Work};
use serde::Serialize;

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
    family: &'static str,
    rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    payers: Option<f64>,
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

/// Runs the benchmark and prints its report.
///
/// # Errors
/// The worse of both programs' exit codes; exit 2 where a program is missing.
pub fn training(flags: &TrainingFlags) -> Result<(), Failure> {
    let spec = DataSpec {
        rows: flags.rows,
        owner_columns: flags.owner_columns,
        partner_columns: flags.partner_columns,
        family: flags.family,
        rate: flags.rate,
        payers: flags.payers,
        seed: flags.seed,
    };
    if let Some(folder) = &flags.csv {
        data::write_csv(folder, spec)?;
    }
    let results = both_programs(flags.link, &Work::Training { data: spec, l2: ridge(flags) })?;
    let report = report(flags, spec, results)?;
    let text = if flags.json { line(&report)? } else { in_words(&report) };
    say(&text);
    Ok(())
}

/// A report or a result as one line of JSON.
fn line(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(Exit::Internal, 964, error.to_string()))
}

fn report(flags: &TrainingFlags, spec: DataSpec, results: Sides<TrainingResult>) -> Result<BenchReport, Failure> {
    let (owner, partner) = (&results.owner, &results.partner);
    let cost = joint_stages(&["train"], &owner.cost, &partner.cost);
    let bytes = cost.bytes_sent.owner.unwrap_or_default() + cost.bytes_sent.partner.unwrap_or_default();
    let affordable = spec.rows.saturating_mul(spec.owner_columns + spec.partner_columns) <= TWIN_CELLS;
    Ok(BenchReport {
        schema: "colift.bench/1",
        bench: "training",
        rows: spec.rows,
        owner_columns: spec.owner_columns,
        partner_columns: spec.partner_columns,
        family: spec.family.name(),
        rate: spec.rate,
        payers: spec.payers,
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

/// Stages of both sides and their sum as one cost; what lies before them is left out, memory is the process's peak.
fn joint_stages(wanted: &[&str], owner: &Cost, partner: &Cost) -> Cost {
    let stage = |cost: &Cost, wanted: &str| cost.stages.0.iter().find(|(name, _)| name == wanted).map(|(_, stage)| *stage);
    let mut sum = StageCost { cpu_s: PerParty::both(0.0, 0.0), bytes_sent: PerParty::both(0, 0), ..StageCost::default() };
    let mut stages = Vec::new();
    for wanted in wanted {
        let (Some(own), Some(peers)) = (stage(owner, wanted), stage(partner, wanted)) else { continue };
        let joint = StageCost {
            wall_s: own.wall_s.max(peers.wall_s),
            cpu_s: PerParty { owner: own.cpu_s.owner, partner: peers.cpu_s.partner },
            bytes_sent: PerParty { owner: own.bytes_sent.owner, partner: peers.bytes_sent.partner },
            rounds: own.rounds,
        };
        sum.wall_s += joint.wall_s;
        sum.cpu_s = plus(sum.cpu_s, joint.cpu_s);
        sum.bytes_sent = plus(sum.bytes_sent, joint.bytes_sent);
        sum.rounds += joint.rounds;
        stages.push(((*wanted).to_owned(), joint));
    }
    Cost {
        wall_s: sum.wall_s,
        cpu_s: sum.cpu_s,
        bytes_sent: sum.bytes_sent,
        rounds: sum.rounds,
        peak_rss_mb: PerParty { owner: owner.peak_rss_mb.owner, partner: partner.peak_rss_mb.partner },
        stages: Ordered(stages),
    }
}

/// The sums of both sides' values, as far as they are known.
fn plus<T: std::ops::Add<Output = T>>(one: PerParty<T>, other: PerParty<T>) -> PerParty<T> {
    let sum = |one: Option<T>, other: Option<T>| Some(one? + other?);
    PerParty { owner: sum(one.owner, other.owner), partner: sum(one.partner, other.partner) }
}

/// The ridge as a number.
fn ridge(flags: &TrainingFlags) -> f64 {
    flags.l2.signed().unwrap_or(1.0 / flags.rows.max(1) as f64)
}

/// The distance to the plaintext optimum of the same objective.
fn twin(flags: &TrainingFlags, spec: DataSpec, results: &Sides<TrainingResult>) -> Result<TwinGap, Failure> {
    let all = spec.owner_columns + spec.partner_columns;
    let (columns, labels) = Generator::new(spec).columns(0..all);
    let names: Vec<String> = (0..all).map(|j| format!("c{j}")).collect();
    let x = Scaling::fit(&columns, &names, party::CLIP)?.apply(&columns)?;
    drop(columns);
    let target = Target { family: spec.family, labels: &labels.values, weights: labels.weights.as_deref() };
    let fit = fit(&x, &target, ridge(flags))?;
    let coefficients: Vec<f64> = results.owner.coefficients.iter().chain(&results.partner.coefficients).copied().collect();
    let model = SecureModel { intercept: results.owner.intercept.unwrap_or_default(), coefficients: &coefficients, test_auc: None };
    distance(&x, &target, ridge(flags), &model, &fit, None)
}

fn in_words(report: &BenchReport) -> String {
    let cost = &report.cost;
    let sum = |pair: &PerParty<f64>| pair.owner.unwrap_or_default() + pair.partner.unwrap_or_default();
    let mut text = format!(
        "training, {}, {} rows, {} + {} columns, {}: {:.1} s, {:.1} CPU-seconds of both, {:.0} bytes a row in all, {} rounds, {:.2} passes, \
         at most {:.0} and {:.0} MB resident",
        report.family,
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
