//! Public agreement over the link: the job's shared part, the column counts, the end of the run.

use crate::contract::{MAX_CANONICAL_BYTES, SharedJob};
use crate::data::Side;
use crate::error::{Exit, Failure};
use colift_channel::{Channel, Kind};

const TERMS: Kind = Kind { code: 0x0120, name: "shared part of the job" };
const COLUMNS: Kind = Kind { code: 0x0121, name: "number of columns" };
const USERS: Kind = Kind { code: 0x0502, name: "number of users that are ranked" };
const FINISHED: Kind = Kind { code: 0x0122, name: "end of the run" };
const SAFE: Kind = Kind { code: 0x0128, name: "results are safe" };

/// Bytes of the column count.
const COLUMNS_BYTES: usize = 4;

/// Most columns of one side.
const MOST_COLUMNS: usize = 10_000;

/// Exchanges the canonical shared parts and compares them, before anything data-dependent.
///
/// # Errors
/// Exit 12 naming the field that differs; exit 16 and 19 for a text that cannot be read.
pub fn terms(channel: &mut dyn Channel, shared: &SharedJob) -> Result<(), Failure> {
    channel.send(TERMS, shared.canonical().as_bytes())?;
    let theirs = channel.receive_at_most(TERMS, MAX_CANONICAL_BYTES)?;
    let theirs = String::from_utf8(theirs).map_err(|_| Failure::new(Exit::Protocol, 560, "the peer's job is not UTF-8"))?;
    shared.require_same(&SharedJob::from_canonical(&theirs)?)
}

/// Tells the peer how many own weights are trained, without the intercept: of the columns that vary on the matched training rows those
/// that do not follow from others, or all where standard errors are opened. Returns the peer's number.
///
/// # Errors
/// Exit 19 for a number over the cap; link failures.
pub fn columns(channel: &mut dyn Channel, own: usize) -> Result<usize, Failure> {
    if own > MOST_COLUMNS {
        return Err(Failure::new(Exit::Cap, 561, format!("{own} columns, at most {MOST_COLUMNS} are trained")));
    }
    // Control messages are bincode with fixed integers and a size limit; everything large has a codec of its own.
    let codec = bincode::config::standard().with_fixed_int_encoding().with_limit::<COLUMNS_BYTES>();
    let message = bincode::encode_to_vec(own as u32, codec)
        .map_err(|error| Failure::new(Exit::Internal, 563, format!("the column count cannot be written: {error}")))?;
    channel.send(COLUMNS, &message)?;
    let message = channel.receive(COLUMNS, COLUMNS_BYTES)?;
    match bincode::decode_from_slice::<u32, _>(&message, codec) {
        Ok((peer, COLUMNS_BYTES)) if peer as usize <= MOST_COLUMNS => Ok(peer as usize),
        Ok((peer, _)) => {
            Err(Failure::new(Exit::Protocol, 562, format!("the peer announced {peer} columns, at most {MOST_COLUMNS} are allowed")))
        }
        Err(_) => Err(Failure::new(Exit::Protocol, 562, "the peer's column count is malformed")),
    }
}

/// The owner tells how many users are ranked; both return it. `matched` of them are common, and the contract allows `most`. With one key the
/// matching has told it before: `known`.
///
/// # Errors
/// Exit 19, E0841: a number that cannot be, or another than the matching's; link failures.
pub fn users(channel: &mut dyn Channel, own: Option<u64>, matched: u64, most: u64, known: Option<u64>) -> Result<u64, Failure> {
    if let Some(own) = own {
        channel.send(USERS, &own.to_le_bytes())?;
        return Ok(own);
    }
    let message = channel.receive(USERS, 8)?;
    let told = message.as_chunks::<8>().0.first().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if (matched..=most).contains(&told) && known.is_none_or(|known| known == told) {
        return Ok(told);
    }
    Err(Failure::new(Exit::Protocol, 841, format!("the owner says that {told} users are ranked, which the matching and the job rule out")))
}

/// Both sides have all they need: neither keeps results the other did not finish.
///
/// The owner says so when it is done and waits; the partner answers. A partner that stops while the owner still works has thus
/// not answered yet, and the owner ends as the partner does.
///
/// # Errors
/// Link failures.
pub fn finished(channel: &mut dyn Channel, side: Side) -> Result<(), Failure> {
    match side {
        Side::Owner => {
            channel.send(FINISHED, &[])?;
            channel.receive(FINISHED, 0)?;
        }
        Side::Partner => {
            channel.receive(FINISHED, 0)?;
            channel.send(FINISHED, &[])?;
        }
    }
    Ok(())
}

/// Both sides' results have their final place: what was kept of the run can go.
///
/// # Errors
/// Link failures: the peer may not have its results.
pub fn safe(channel: &mut dyn Channel) -> Result<(), Failure> {
    channel.send(SAFE, &[])?;
    channel.receive(SAFE, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::contract::tests::{mutations, owner};
    use colift_testkit::run_pair;

    /// Every field of a contract, changed on either side, is named by both sides after one message each: nothing else was sent.
    #[test]
    fn every_changed_field_ends_both_sides_before_anything_else_is_sent() {
        for (key, changed) in mutations() {
            for (ours, theirs) in [(owner(), changed.clone()), (changed, owner())] {
                let (a, b, own, peers) = run_pair(|c| terms(c, &ours), |c| terms(c, &theirs));
                for failure in [a.unwrap_err(), b.unwrap_err()] {
                    assert_eq!(failure.exit, Exit::Contract, "{key}");
                    assert!(failure.what.contains(&format!("`{key}` is ")), "{key}: {failure}");
                }
                assert_eq!((own.messages_sent, peers.messages_sent), (1, 1), "{key}");
            }
        }
        let (a, b, ..) = run_pair(|c| terms(c, &owner()), |c| terms(c, &owner()));
        assert!(a.is_ok() && b.is_ok());
    }
}
