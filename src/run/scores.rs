//! Joint scores of the test rows to the owner (`scores_to_owner`).
//!
//! The joint logit is the sum of both sides' parts and the owner knows its own, so the score and the partner's part reveal
//! the same: the partner sends its part, rounded to 1/256 of a logit (docs/adr/0007). Four bytes a test row.

use crate::contract::Disclosure;
use crate::error::Failure;
use crate::training::opening::Ledger;
use colift_channel::{Channel, Kind};

const SCORES: Kind = Kind { code: 0x0583, name: "partner's part of the scores" };

/// Steps in one logit.
const STEPS: f64 = 256.0;

/// Partner: sends its rounded parts.
///
/// # Errors
/// Exit 18 where the job does not list it; link failures.
pub(crate) fn send(channel: &mut dyn Channel, ledger: &mut Ledger, parts: &[f64]) -> Result<(), Failure> {
    ledger.note(Disclosure::ScoresToOwner, 0, parts.len())?;
    let bytes: Vec<u8> = parts.iter().flat_map(|z| ((z * STEPS).round() as i32).to_le_bytes()).collect();
    Ok(channel.send(SCORES, &bytes)?)
}

/// Owner: the partner's parts of `count` rows.
///
/// # Errors
/// As [`send`].
pub(crate) fn receive(channel: &mut dyn Channel, ledger: &mut Ledger, count: usize) -> Result<Vec<f64>, Failure> {
    ledger.note(Disclosure::ScoresToOwner, count, 0)?;
    let bytes = channel.receive(SCORES, 4 * count)?;
    Ok(bytes.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])) / STEPS).collect())
}
