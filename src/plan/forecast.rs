//! What a job will cost: bytes from the declared costs of its protocols, time from them and the measured link, memory.
//!
//! Bytes are exact for the sizes that are put in: those of the protocols are functions of public sizes. What is not known before the
//! matching is how many users are common: the forecast is for a number that a person gives, else for the most that are possible.
//! Time is a model: for each stage processor time, the busier direction's bytes over its bandwidth, and half a round trip for each
//! wait. Processor time is counted in transforms: so many a sent byte of a training, so many an id of a matching, as measured once.

use super::calibrate::Link;
use crate::contract::{Disclosure, Matching, SharedJob, TaskTerms};
use crate::error::Failure;
use crate::run::{decisions, protocol};
use crate::training::cost::{declare_most, declare_trainings};
use crate::training::heads::Head;
use crate::training::memory::least_bytes;
use crate::training::schedule::Schedule;
use colift_channel::Meter;
use colift_correlation::Role;
use colift_psi::{Protocol, ecdh, vole};

/// Transforms of a side for each byte that a training sends, both directions: 100,000 × (50 + 50) took 433 MB and 3.8 s of each side
/// where a thread makes 110,000 transforms a second (docs/benchmarks/2026-11-26).
const A_BYTE: f64 = 1.0e-3;
/// Transforms of a side for each id of both files, by VOLE; what reading the rest of a row costs is in the stage before.
const AN_ID: f64 = 0.06;
/// Transforms of a side for each id of both files, by Diffie–Hellman.
const A_POINT: f64 = 5.0;
/// Transforms of a side for each byte of a release of decisions, both directions.
const A_DECISION_BYTE: f64 = 1.0e-3;
/// Bytes of a side's greeting, signature and headers beside the contract's text. Receipts, some 4 kB, come after what a report counts.
const AGREEMENT: u64 = 300;
/// Memory of a side for each row of its file in a matching, and of the program.
const ROW_MEMORY: u64 = 500;
const PROGRAM_MEMORY: u64 = 40 << 20;

/// Public sizes of a run, expected or true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of the owner's and the partner's file.
    pub rows: [u64; 2],
    /// Features of both sides.
    pub features: [u32; 2],
    /// Common users.
    pub matched: u64,
}

/// What a run will cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Bytes that the owner and the partner send, frames' headers included.
    pub sent: [u64; 2],
    /// Waits for the peer, of the side that has more of them.
    pub waits: u64,
    /// Seconds.
    pub seconds: f64,
    /// Least memory of the owner's and the partner's program in bytes.
    pub memory: [u64; 2],
    /// Bytes that each side sends and seconds, where a training needs every step that the contract allows; None without a training.
    pub most: Option<([u64; 2], f64)>,
}

/// One stage as both sides count it.
#[derive(Default)]
struct Stage {
    owner: Meter,
    partner: Meter,
    /// Transforms of each side.
    work: f64,
}

impl Stage {
    fn seconds(&self, link: &Link) -> f64 {
        let sent = [self.owner, self.partner].map(|meter| meter.counters().bytes_sent as f64);
        let moving = sent.iter().zip(link.bytes_a_second).map(|(bytes, rate)| bytes / rate.max(1.0)).fold(0.0, f64::max);
        let computing = link.transforms.iter().map(|speed| self.work / speed.max(1.0)).fold(0.0, f64::max);
        computing + moving + self.waits() as f64 * link.round_trip / 2.0
    }

    fn waits(&self) -> u64 {
        self.owner.counters().rounds.max(self.partner.counters().rounds)
    }
}

/// The forecast of a job for these sizes.
///
/// # Errors
/// Exit codes 2 and 17: no schedule has these sizes.
pub fn forecast(shared: &SharedJob, sizes: &Sizes, link: &Link) -> Result<Forecast, Failure> {
    let mut forecast = Forecast {
        memory: [PROGRAM_MEMORY + ROW_MEMORY * sizes.rows[0], PROGRAM_MEMORY + ROW_MEMORY * sizes.rows[1]],
        ..Forecast::default()
    };
    let (planned, most) = training(shared, sizes, &mut forecast.memory)?;
    for stage in [&matching(shared, sizes)?, &planned] {
        for (sent, meter) in forecast.sent.iter_mut().zip([stage.owner, stage.partner]) {
            *sent += meter.counters().bytes_sent;
        }
        forecast.waits += stage.waits();
        forecast.seconds += stage.seconds(link);
    }
    for sent in &mut forecast.sent {
        *sent += shared.canonical().len() as u64 + AGREEMENT;
    }
    if shared.training().is_some() {
        let more = |most: Meter, planned: Meter| most.counters().bytes_sent - planned.counters().bytes_sent;
        let sent = [forecast.sent[0] + more(most.owner, planned.owner), forecast.sent[1] + more(most.partner, planned.partner)];
        forecast.most = Some((sent, forecast.seconds + most.seconds(link) - planned.seconds(link)));
    }
    Ok(forecast)
}

/// The matching and the openings that follow it.
fn matching(shared: &SharedJob, sizes: &Sizes) -> Result<Stage, Failure> {
    let mut stage = Stage::default();
    let [owner, partner] = sizes.rows.map(|rows| rows as usize);
    let matched = sizes.matched as usize;
    let ids = (owner + partner) as f64;
    let counted = matches!(shared.terms().task, TaskTerms::Overlap);
    let minimum = shared.terms().min_overlap;
    let diffie_hellman = counted || shared.terms().matching == Matching::Ecdh;
    for (meter, own, peer, role) in [(&mut stage.owner, owner, partner, Role::First), (&mut stage.partner, partner, owner, Role::Second)] {
        match protocol(shared.terms().matching) {
            _ if counted => ecdh::declare_count(meter, own, peer),
            Protocol::Ecdh => ecdh::declare_match(meter, own, peer, matched),
            Protocol::Vole(form) => {
                let sampled = vole::expected_sample([own, peer], minimum);
                let failed = |error: colift_psi::PsiError| Failure::of_class(error.class(), error.to_string());
                vole::declare_match(meter, role, form, vole::Sizes { own, peer, sampled }).map_err(failed)?;
            }
        }
    }
    stage.work = if diffie_hellman { A_POINT * ids } else { AN_ID * ids };
    if !diffie_hellman && let Some(sampled) = vole::expected_sample([owner, partner], minimum) {
        stage.work += A_POINT * (sampled[0] + sampled[1]) as f64;
    }
    let both = |stage: &mut Stage, owner: usize, partner: usize| {
        if owner > 0 {
            stage.owner.sent(owner);
            stage.partner.received(owner);
        }
        if partner > 0 {
            stage.partner.sent(partner);
            stage.owner.received(partner);
        }
    };
    if shared.reveals(Disclosure::SplitToPartner) {
        both(&mut stage, matched.div_ceil(8), 0);
    }
    if let Some(terms) = shared.score().filter(|_| shared.reveals(Disclosure::DecisionsToOwner)) {
        // How many users the top share holds changes no message.
        let sizes = decisions::Sizes { users: owner, matched, top: 0 };
        let sent = |stage: &Stage| stage.owner.counters().bytes_sent + stage.partner.counters().bytes_sent;
        let before = sent(&stage);
        for (meter, role) in [(&mut stage.owner, Role::First), (&mut stage.partner, Role::Second)] {
            decisions::declare(meter, role, terms, sizes);
        }
        stage.work += A_DECISION_BYTE * (sent(&stage) - before) as f64;
        both(&mut stage, if decisions::ranks(terms) { 8 } else { 0 }, 0);
    }
    if shared.reveals(Disclosure::ScoresToOwner) {
        let scored =
            if let Some(terms) = shared.training() { (matched as f64 * terms.test_share) as usize * terms.functions() } else { matched };
        both(&mut stage, 0, 4 * scored);
    }
    Ok(stage)
}

/// The training, if there is one: as planned, and the most that it can cost.
fn training(shared: &SharedJob, sizes: &Sizes, memory: &mut [u64; 2]) -> Result<(Stage, Stage), Failure> {
    let Some(terms) = shared.training() else { return Ok((Stage::default(), Stage::default())) };
    let rows = (sizes.matched as f64 * (1.0 - terms.test_share)).round().max(1.0) as usize;
    let columns = (sizes.features[0] as usize, sizes.features[1].max(1) as usize);
    let errors = shared.reveals(Disclosure::OwnStandardErrors);
    let schedules = Head::all(terms).map(|(label, head)| {
        let schedule = Schedule::new(head.sizes(terms, label, rows, columns))?.with_standard_errors(errors);
        Ok(schedule.with_residual_variance(head == Head::LogAmount))
    });
    let schedules: Vec<Schedule> = schedules.collect::<Result<_, Failure>>()?;
    for schedule in &schedules {
        for (memory, owner) in memory.iter_mut().zip([true, false]) {
            *memory = (*memory).max(least_bytes(schedule, owner)?);
        }
    }
    let stage = |(owner, partner): (Meter, Meter)| {
        let counters = owner.counters();
        Stage { owner, partner, work: A_BYTE * (counters.bytes_sent + counters.bytes_received) as f64 }
    };
    Ok((stage(declare_trainings(&schedules)?), stage(declare_most(&schedules)?)))
}
