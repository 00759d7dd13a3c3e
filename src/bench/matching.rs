//! `bench matching`: both real programs match invented ids; what each process used, and whether the result is exact.
//!
//! Ids are 16 pseudo-random bytes, the same on both sides for a common user, made before the clock starts. Each side checks its
//! result against the plain join, which it knows here; the parent checks that both lists name the same users in one order.

use super::launch::both_programs;
use super::party::{PartySpec, Work, meet};
use super::{joint_stage, line};
use crate::cli::bench::{MatchingFlags, SecurityName};
use crate::cli::say;
use crate::contract::Matching;
use crate::data::Side;
use crate::data::wording::hex;
use crate::error::{Exit, Failure};
use crate::rehearse::programs::Sides;
use crate::report::{Cost, PerParty};
use crate::resources::StageClock;
use crate::run::protocol;
use colift_channel::{Channel, StopFlag};
use colift_correlation::vole::Lpn;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed};
use colift_psi::{MatchParams, match_ids};
use serde::{Deserialize, Serialize};

/// What `bench matching` prints.
#[derive(Debug, Serialize)]
struct MatchingReport {
    schema: &'static str,
    bench: &'static str,
    ids: u64,
    matched: u64,
    /// Both sides found the plain join, in one order.
    exact: bool,
    matching: &'static str,
    /// Which peer the matching withstands.
    security: &'static str,
    parameters: &'static str,
    link: &'static str,
    /// Bytes of both directions over the ids of one side.
    bytes_per_item: f64,
    cost: Cost,
}

/// What a party of a matching tells: one line on stdout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchingResult {
    /// The match stage.
    cost: Cost,
    matched: u64,
    /// The result is the plain join.
    exact: bool,
    /// Hash of the matched ids in the common order.
    digest: String,
}

/// Starts both programs and prints what they used.
///
/// # Errors
/// Exit 30: the result is not the plain join. The worse of both programs' exit codes; exit 2 where a program is missing.
pub fn matching(flags: &MatchingFlags) -> Result<(), Failure> {
    let word = flags.matching();
    let work = Work::Matching { ids: flags.ids, protocol: word.name().to_owned() };
    let Sides { owner, partner }: Sides<MatchingResult> = both_programs(flags.link, &work)?;
    let cost = joint_stage("match", &owner.cost, &partner.cost);
    let bytes = cost.bytes_sent.owner.unwrap_or_default() + cost.bytes_sent.partner.unwrap_or_default();
    let report = MatchingReport {
        schema: "colift.bench/1",
        bench: "matching",
        ids: flags.ids,
        matched: owner.matched,
        exact: owner.exact && partner.exact && owner.digest == partner.digest && owner.matched == partner.matched,
        matching: word.name(),
        security: match (word, flags.security) {
            (Matching::Ecdh, _) | (_, SecurityName::SemiHonest) => "semi-honest",
            (_, SecurityName::Malicious) => "malicious",
        },
        parameters: if word == Matching::Ecdh { "ristretto255" } else { Lpn::NAME },
        link: flags.link.name(),
        bytes_per_item: bytes as f64 / flags.ids.max(1) as f64,
        cost,
    };
    let text = if flags.json { line(&report)? } else { in_words(&report) };
    say(&text);
    if report.exact { Ok(()) } else { Err(Failure::new(Exit::Verification, 968, "the matching differs from the plain join")) }
}

fn in_words(report: &MatchingReport) -> String {
    let of = |pair: &PerParty<f64>| (pair.owner.unwrap_or_default(), pair.partner.unwrap_or_default());
    let (cpu, memory) = (of(&report.cost.cpu_s), of(&report.cost.peak_rss_mb));
    format!(
        "matching by {}, {} ids each, {} in common, {}: {:.2} s, {:.2} + {:.2} CPU-seconds, {:.1} bytes an item in all, {} rounds, \
         at most {:.0} and {:.0} MB resident, {}",
        report.matching,
        report.ids,
        report.matched,
        report.link,
        report.cost.wall_s,
        cpu.0,
        cpu.1,
        report.bytes_per_item,
        report.cost.rounds,
        memory.0,
        memory.1,
        if report.exact { "equal to the plain join" } else { "NOT the plain join" }
    )
}

/// One side: connects to the other one, matches, tells what it used.
///
/// # Errors
/// As a run's matching.
pub fn measure(side: Side, spec: &PartySpec, count: u64, word: &str, stop: &StopFlag) -> Result<MatchingResult, Failure> {
    let matching = Matching::from_name(word).ok_or_else(|| Failure::new(Exit::Internal, 969, "unknown matching"))?;
    let (ids, mut common) = invented(side, count);
    let (mut channel, role) = meet(side, spec, stop)?;
    let session = PartHash::new("colift matching").part(channel.session_id()).finish();
    let params = MatchParams { session, own_max: count, peer_max: count, min_overlap: 0 };
    let mut clock = StageClock::new(side);
    clock.begin("match");
    let matched = match_ids(&mut channel, role, &ids, protocol(matching), params, &|_, _| ());
    let counters = channel.counters();
    clock.end(counters);
    let cost = clock.cost(counters);
    let matched = match matched {
        Ok(matched) => matched,
        Err(error) => {
            channel.abort(Exit::Protocol as u8);
            return Err(Failure::new(Exit::Protocol, 970, error.to_string()));
        }
    };
    channel.close();
    let found: Vec<[u8; 16]> = matched.own_rows.iter().filter_map(|row| ids.get(*row as usize).copied()).collect();
    let digest = hex(&PartHash::new("bench").part(found.as_flattened()).finish());
    let mut sorted = found;
    sorted.sort_unstable();
    common.sort_unstable();
    Ok(MatchingResult { cost, matched: sorted.len() as u64, exact: sorted == common, digest })
}

/// This side's ids in an order of its own, and those common to both: the first half of the owner's numbers is its alone.
fn invented(side: Side, count: u64) -> (Vec<[u8; 16]>, Vec<[u8; 16]>) {
    let mut prg = Prg::from_seed(&Seed::from_bytes(*b"colift benchmark"));
    let lone = count - count / 2;
    let mut all = vec![[0u8; 16]; (count + lone) as usize];
    prg.fill(all.as_flattened_mut());
    let common = all.get(lone as usize..count as usize).unwrap_or_default().to_vec();
    let mut own = match side {
        Side::Owner => all.get(..count as usize).unwrap_or_default().to_vec(),
        Side::Partner => all.get(lone as usize..).unwrap_or_default().to_vec(),
    };
    let mut order = Prg::from_seed(&Seed::from_bytes([if side == Side::Owner { 1 } else { 2 }; 16]));
    order.shuffle(&mut own);
    (own, common)
}
