//! Joint scores of the test rows to the owner (`scores_to_owner`).
//!
//! The joint logit is the sum of both sides' parts and the owner knows its own, so the score and the partner's part reveal
//! the same: the partner sends its part, rounded to 1/256 of a logit (docs/adr/0007). Four bytes a row, the test rows of a
//! training or the matched rows of a scoring, in frames of at most [`FRAME_ROWS`] rows.

use crate::contract::Disclosure;
use crate::error::Failure;
use crate::training::opening::Ledger;
use colift_channel::{Channel, Kind};

pub(crate) const SCORES: Kind = Kind { code: 0x0583, name: "partner's part of the scores" };

/// Most rows of one frame.
pub(crate) const FRAME_ROWS: usize = 1 << 20;

/// Steps in one logit.
const STEPS: f64 = 256.0;

/// Partner: sends its rounded parts.
///
/// # Errors
/// Exit 18 where the job does not list it; link failures.
pub(crate) fn send(channel: &mut dyn Channel, ledger: &mut Ledger, parts: &[f64]) -> Result<(), Failure> {
    ledger.note(Disclosure::ScoresToOwner, 0, parts.len())?;
    for frame in parts.chunks(FRAME_ROWS) {
        let bytes: Vec<u8> = frame.iter().flat_map(|z| ((z * STEPS).round() as i32).to_le_bytes()).collect();
        channel.send(SCORES, &bytes)?;
    }
    Ok(())
}

/// Owner: the partner's parts of `count` rows.
///
/// # Errors
/// As [`send`].
pub(crate) fn receive(channel: &mut dyn Channel, ledger: &mut Ledger, count: usize) -> Result<Vec<f64>, Failure> {
    ledger.note(Disclosure::ScoresToOwner, count, 0)?;
    let mut parts = Vec::with_capacity(count);
    while parts.len() < count {
        let bytes = channel.receive(SCORES, 4 * FRAME_ROWS.min(count - parts.len()))?;
        parts.extend(bytes.as_chunks::<4>().0.iter().map(|part| f64::from(i32::from_le_bytes(*part)) / STEPS));
    }
    Ok(parts)
}
