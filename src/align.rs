//! Runs the matching and hands out row numbers: both tables in one common order. Ids stop here.
//!
//! After this room everything downstream sees rows only. A failed matching is translated into what a person reads; the
//! exact overlap appears in a message only where the contract lists it.

use crate::error::{Exit, Failure};
use colift_channel::Channel;
use colift_correlation::Role;
use colift_primitives::hash::PartHash;
use colift_psi::{MatchParams, Protocol, PsiError, count_common, match_ids};

/// The signed job's part of the matching, seen from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignTerms {
    /// Tag of this run: fresh and common to both sides.
    pub session: [u8; 32],
    /// Most rows this side may bring.
    pub own_max: u64,
    /// Most rows the peer may bring.
    pub peer_max: u64,
    /// The protocol of the matching; counting alone is always Diffie–Hellman.
    pub protocol: Protocol,
    /// Fewest common users.
    pub min_overlap: u64,
    /// Whether the job lists `overlap_to_both`: the number itself may then be shown.
    pub overlap_listed: bool,
}

/// This side's matched rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aligned {
    /// Row numbers of the own table, in the order common to both sides.
    pub rows: Vec<usize>,
    /// How many rows the peer brought.
    pub peer_rows: u64,
}

/// This side's rows matched by a cascade of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cascade {
    /// All of them, pass after pass. The peer's rows are those of its largest pass.
    pub aligned: Aligned,
    /// How many each pass matched.
    pub passes: Vec<usize>,
}

/// How many users are common: all that `task = "overlap"` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Users common to both.
    pub common: u64,
    /// How many rows the peer brought.
    pub peer_rows: u64,
}

/// Matches the canonical ids with the peer's; `progress` is told the points done, of how many.
///
/// # Errors
/// Exit 13: repeated ids. 14: fewer common users than the minimum, on both sides. 17: more rows than agreed, ours or the
/// peer's. 19: the peer broke the protocol. The link's failures.
pub fn align(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[String],
    terms: &AlignTerms,
    progress: &dyn Fn(u64, u64),
) -> Result<Aligned, Failure> {
    let matched = match_ids(channel, role, ids, terms.protocol, params(terms), progress).map_err(|error| failure(error, terms))?;
    Ok(Aligned { rows: matched.own_rows.into_iter().map(|row| row as usize).collect(), peer_rows: matched.peer_count })
}

/// Matches by a cascade: each pass by the next key, among the rows that have it and that no earlier pass matched. With one key, as
/// [`align`]. Both sides learn which pass matched each of their rows, and the peer's number of rows left with each key.
///
/// The minimum is decided on all passes together, after the last.
///
/// # Errors
/// As [`align`].
pub fn align_by_keys(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    keys: &[&[String]],
    terms: &AlignTerms,
    progress: &dyn Fn(u64, u64),
) -> Result<Cascade, Failure> {
    if let [ids] = keys {
        let aligned = align(channel, role, ids, terms, progress)?;
        return Ok(Cascade { passes: vec![aligned.rows.len()], aligned });
    }
    let rows = keys.first().map_or(0, |key| key.len());
    let (mut left, mut found) = (vec![true; rows], Cascade { aligned: Aligned { rows: Vec::new(), peer_rows: 0 }, passes: Vec::new() });
    for (pass, key) in (0u64..).zip(keys) {
        let open: Vec<usize> =
            (0..rows).filter(|row| left.get(*row) == Some(&true) && key.get(*row).is_some_and(|id| !id.is_empty())).collect();
        let ids: Vec<&str> = open.iter().filter_map(|row| key.get(*row)).map(String::as_str).collect();
        let session = PartHash::new("colift cascade v1").part(&terms.session).number(pass).finish();
        let pass_terms = AlignTerms { session, min_overlap: 0, ..*terms };
        let share = |done: u64, total: u64| progress(pass * total + done, keys.len() as u64 * total);
        let matched = match_ids(channel, role, &ids, terms.protocol, params(&pass_terms), &share).map_err(|error| failure(error, terms))?;
        let matched_rows: Vec<usize> = matched.own_rows.iter().filter_map(|place| open.get(*place as usize)).copied().collect();
        matched_rows.iter().filter_map(|row| left.get_mut(*row).map(|left| *left = false)).for_each(drop);
        found.passes.push(matched_rows.len());
        found.aligned.rows.extend(matched_rows);
        found.aligned.peer_rows = found.aligned.peer_rows.max(matched.peer_count);
    }
    let overlap = found.aligned.rows.len() as u64;
    if overlap < terms.min_overlap {
        return Err(
            failure(PsiError::BelowMinimum { minimum: terms.min_overlap, overlap }, terms).at("matching by several keys, after the last")
        );
    }
    Ok(found)
}

/// Counts the common users; no row is revealed to anyone.
///
/// # Errors
/// As [`align`].
pub fn overlap(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[String],
    terms: &AlignTerms,
    progress: &dyn Fn(u64, u64),
) -> Result<Overlap, Failure> {
    let counted = count_common(channel, role, ids, params(terms), progress).map_err(|error| failure(error, terms))?;
    Ok(Overlap { common: counted.overlap, peer_rows: counted.peer_count })
}

fn params(terms: &AlignTerms) -> MatchParams {
    MatchParams { session: terms.session, own_max: terms.own_max, peer_max: terms.peer_max, min_overlap: terms.min_overlap }
}

/// What a person reads.
fn failure(error: PsiError, terms: &AlignTerms) -> Failure {
    let what = error.to_string();
    match error {
        PsiError::BelowMinimum { minimum, overlap } => {
            let what = if terms.overlap_listed {
                format!("{overlap} users are common to both sides, the job asks for at least {minimum}")
            } else {
                format!("fewer users are common to both sides than the job's minimum of {minimum}")
            };
            Failure::new(Exit::Overlap, 501, what)
                .at("matching; no row was revealed to either side")
                .hint("check that both files use the same kind of id and the same period, or agree on a lower `min_overlap`")
        }
        PsiError::OwnTooMany { count, max } => Failure::new(Exit::Cap, 502, format!("our file has {count} rows, the job allows {max}"))
            .at("matching, before anything was sent")
            .hint("send fewer rows, or agree on a higher `max_rows` and sign again"),
        PsiError::PeerTooMany { count, max } => Failure::new(Exit::Cap, 503, format!("the peer brings {count} rows, the job allows {max}"))
            .at("matching, before any masked id was sent")
            .hint("ask the peer for fewer rows, or agree on a higher `max_rows` and sign again"),
        PsiError::OwnDuplicates { .. } => {
            Failure::new(Exit::Data, 504, what).at("matching, before anything was sent").hint("keep one row for each user")
        }
        PsiError::Primitives(_) => Failure::new(Exit::Internal, 505, what).at("matching"),
        PsiError::Spill { .. } => Failure::new(Exit::Internal, 508, what)
            .at("matching")
            .hint("it needs 36 bytes an id: set TMPDIR to a folder of a disk with so much space"),
        PsiError::BucketOverflow => Failure::new(Exit::Protocol, 506, what).at("matching; nothing about a user was sent").hint("run again"),
        PsiError::TagCollision => Failure::new(Exit::Protocol, 506, what)
            .at("matching; no row was revealed to either side")
            .hint("run again; if it comes back, the peer does not follow the protocol"),
        PsiError::Channel(error) => Failure::from(error),
        _ => Failure::new(Exit::Protocol, 507, what)
            .at("matching")
            .hint("both sides should run the same release; if they do, ask the peer to check its program"),
    }
}

#[cfg(test)]
mod tests;
