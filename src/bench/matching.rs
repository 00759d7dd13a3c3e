//! `bench matching`: both real programs match invented ids or those of two files; what each process used, and whether the result is exact.
//!
//! Ids are 16 pseudo-random bytes, the same on both sides for a common user, made before the clock starts; or the column `id` of
//! two files, whose reading is a stage of its own. After the clock has stopped each side checks its result against the plain
//! join, which it knows here; the parent checks that both lists name the same users in one order.

use super::launch::both_programs;
use super::party::{IdSource, PartySpec, Work, meet};
use super::{joint_stages, line};
use crate::cli::bench::{MatchingFlags, SecurityName};
use crate::cli::say;
use crate::contract::Matching;
use crate::data::wording::hex;
use crate::data::{Side, TableSpec, read_table};
use crate::error::{Exit, Failure};
use crate::rehearse::programs::Sides;
use crate::report::{Cost, PerParty};
use crate::resources::StageClock;
use crate::run::protocol;
use colift_channel::tls::TlsChannel;
use colift_channel::{Channel, StopFlag};
use colift_correlation::Role;
use colift_correlation::vole::Lpn;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed};
use colift_psi::{MatchParams, match_ids};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;

/// What `bench matching` prints.
#[derive(Debug, Serialize)]
struct MatchingReport {
    schema: &'static str,
    bench: &'static str,
    /// Ids of each side, or of the larger one.
    ids: u64,
    /// Ids of the smaller side, where the sizes differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    fewer_ids: Option<u64>,
    matched: u64,
    /// Both sides found the plain join, in one order.
    exact: bool,
    matching: &'static str,
    /// Which peer the matching withstands.
    security: &'static str,
    parameters: &'static str,
    link: &'static str,
    /// Bytes of both directions over the ids.
    bytes_per_item: f64,
    cost: Cost,
}

/// What a party of a matching tells: one line on stdout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchingResult {
    /// The stages read, if there are files, and match.
    cost: Cost,
    ids: u64,
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
    let made = IdSource::Made([flags.ids, flags.peer_ids.unwrap_or(flags.ids)]);
    let ids = flags.from.clone().map_or(made, IdSource::Files);
    let work = Work::Matching { ids, protocol: word.name().to_owned() };
    let Sides { owner, partner }: Sides<MatchingResult> = both_programs(flags.link, &work)?;
    let cost = joint_stages(&["read", "match"], &owner.cost, &partner.cost);
    let ids = owner.ids.max(partner.ids);
    let bytes = cost.bytes_sent.owner.unwrap_or_default() + cost.bytes_sent.partner.unwrap_or_default();
    let report = MatchingReport {
        schema: "colift.bench/1",
        bench: "matching",
        ids,
        fewer_ids: Some(owner.ids.min(partner.ids)).filter(|fewer| *fewer < ids),
        matched: owner.matched,
        exact: owner.exact && partner.exact && owner.digest == partner.digest && owner.matched == partner.matched,
        matching: word.name(),
        security: match (word, flags.security) {
            (Matching::Ecdh, _) | (_, SecurityName::SemiHonest) => "semi-honest",
            (_, SecurityName::Malicious) => "malicious",
        },
        parameters: if word == Matching::Ecdh { "ristretto255" } else { Lpn::NAME },
        link: flags.link.name(),
        bytes_per_item: bytes as f64 / ids.max(1) as f64,
        cost,
    };
    let text = if flags.json { line(&report)? } else { in_words(&report) };
    say(&text);
    if report.exact { Ok(()) } else { Err(Failure::new(Exit::Verification, 968, "the matching differs from the plain join")) }
}

fn in_words(report: &MatchingReport) -> String {
    let of = |pair: &PerParty<f64>| (pair.owner.unwrap_or_default(), pair.partner.unwrap_or_default());
    let (cpu, memory) = (of(&report.cost.cpu_s), of(&report.cost.peak_rss_mb));
    let ids = report.fewer_ids.map_or_else(|| format!("{} ids each", report.ids), |fewer| format!("{} and {fewer} ids", report.ids));
    format!(
        "matching by {}, {ids}, {} in common, {}: {:.2} s, {:.2} + {:.2} CPU-seconds, {:.1} bytes an item in all, {} rounds, \
         at most {:.0} and {:.0} MB resident, {}",
        report.matching,
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
pub fn measure(side: Side, spec: &PartySpec, source: &IdSource, word: &str, stop: &StopFlag) -> Result<MatchingResult, Failure> {
    let matching = Matching::from_name(word).ok_or_else(|| Failure::new(Exit::Internal, 969, "unknown matching"))?;
    let made = match source {
        IdSource::Made(counts) => Some(invented(side, *counts)),
        IdSource::Files(_) => None,
    };
    let (channel, role) = meet(side, spec, stop)?;
    let mut clock = StageClock::new(side);
    match (source, made) {
        (IdSource::Files(folder), _) => {
            clock.begin("read");
            let ids = ids_of(folder, side)?;
            clock.end(channel.counters());
            let common = || {
                let theirs: HashSet<String> = ids_of(folder, side.peer())?.into_iter().collect();
                Ok(ids.iter().filter(|id| theirs.contains(*id)).cloned().collect())
            };
            match_and_check(channel, role, &mut clock, &ids, matching, common)
        }
        (IdSource::Made(_), made) => {
            let (ids, common) = made.unwrap_or_default();
            match_and_check(channel, role, &mut clock, &ids, matching, || Ok(common))
        }
    }
}

/// The column `id` of a side's file, read as a run reads it.
fn ids_of(folder: &Path, side: Side) -> Result<Vec<String>, Failure> {
    let spec = TableSpec::new(folder.join(format!("{}.csv", side.name())), "id");
    // No label is needed: both files are read as a partner's.
    Ok(read_table(&spec, Side::Partner)?.ids)
}

/// Matches, then compares with the common ids.
fn match_and_check<I: AsRef<[u8]> + Clone + Ord + Sync>(
    mut channel: TlsChannel,
    role: Role,
    clock: &mut StageClock,
    ids: &[I],
    matching: Matching,
    common: impl FnOnce() -> Result<Vec<I>, Failure>,
) -> Result<MatchingResult, Failure> {
    const MOST: u64 = 1 << 31;
    let session = PartHash::new("colift matching").part(channel.session_id()).finish();
    let params = MatchParams { session, own_max: MOST, peer_max: MOST, min_overlap: 0 };
    clock.begin("match");
    let matched = match_ids(&mut channel, role, ids, protocol(matching), params, &|_, _| ());
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
    let found: Vec<I> = matched.own_rows.iter().filter_map(|row| ids.get(*row as usize).cloned()).collect();
    let digest = found.iter().fold(PartHash::new("bench"), |hash, id| hash.part(id.as_ref()));
    let (mut sorted, mut expected) = (found, common()?);
    sorted.sort_unstable();
    expected.sort_unstable();
    let exact = sorted == expected;
    Ok(MatchingResult { cost, ids: ids.len() as u64, matched: sorted.len() as u64, exact, digest: hex(&digest.finish()) })
}

/// This side's ids in an order of its own, and those common to both, half of the fewer: three streams, of common and of lone ids.
fn invented(side: Side, [owner, partner]: [u64; 2]) -> (Vec<[u8; 16]>, Vec<[u8; 16]>) {
    let ids = |seed: &[u8; 16], count: u64| {
        let mut ids = vec![[0u8; 16]; count as usize];
        Prg::from_seed(&Seed::from_bytes(*seed)).fill(ids.as_flattened_mut());
        ids
    };
    let shared = owner.min(partner) / 2;
    let common = ids(b"benchmark: both ", shared);
    let mut own = match side {
        Side::Owner => ids(b"benchmark: owner", owner - shared),
        Side::Partner => ids(b"benchmark: peer ", partner - shared),
    };
    own.reserve_exact(common.len());
    own.extend_from_slice(&common);
    let mut order = Prg::from_seed(&Seed::from_bytes([if side == Side::Owner { 1 } else { 2 }; 16]));
    order.shuffle(&mut own);
    (own, common)
}
