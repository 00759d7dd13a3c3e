//! What the two programs say to each other before a contract is signed.
//!
//! **Messages** `proposed contract`, owner → partner: the canonical shared part · `sizes by bucket`, both ways: rows rounded up to two
//! digits (8 bytes), features of the own columns (4) · the measurements of [`super::calibrate`].

use super::bucket;
use super::calibrate::{self, Link};
use crate::contract::{MAX_CANONICAL_BYTES, SharedJob};
use crate::data::Side;
use crate::error::{Exit, Failure};
use colift_channel::{Channel, Kind};

const PROPOSAL: Kind = Kind { code: 0x0130, name: "proposed contract" };
const SIZES: Kind = Kind { code: 0x0131, name: "sizes by bucket" };
/// Most features that a side may announce.
const MOST_FEATURES: u32 = 10_000;

/// What a side brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Rows of the own file.
    pub rows: u64,
    /// Features that its columns give, as far as the whole file tells.
    pub features: u32,
}

/// What both sides know after they met.
#[derive(Clone, Debug, PartialEq)]
pub struct Met {
    /// Rows of both sides by bucket: the owner's, the partner's.
    pub rows: [u64; 2],
    /// Features of both sides.
    pub features: [u32; 2],
    /// The link and both machines.
    pub link: Link,
}

/// Owner: sends the proposal.
///
/// # Errors
/// The link's failures.
pub fn propose(channel: &mut dyn Channel, shared: &SharedJob) -> Result<(), Failure> {
    channel.send(PROPOSAL, shared.canonical().as_bytes()).map_err(Failure::from)
}

/// Partner: receives it.
///
/// # Errors
/// Exit codes 16 and 19: it is of another version, or no contract. The link's failures.
pub fn receive(channel: &mut dyn Channel) -> Result<SharedJob, Failure> {
    let text = channel.receive_at_most(PROPOSAL, MAX_CANONICAL_BYTES)?;
    let text = String::from_utf8(text).map_err(|_| Failure::new(Exit::Protocol, 820, "the proposed contract is not UTF-8"))?;
    SharedJob::from_canonical(&text)
}

/// Exchanges sizes and measures the link, after both sides have read the same contract.
///
/// # Errors
/// Exit code 19: sizes that no file has. The link's failures.
pub fn meet(channel: &mut dyn Channel, side: Side, own: Own) -> Result<Met, Failure> {
    let rows = bucket(own.rows);
    channel.send(SIZES, &[&rows.to_le_bytes()[..], &own.features.to_le_bytes()].concat())?;
    let theirs = channel.receive(SIZES, 12)?;
    let malformed = || Failure::new(Exit::Protocol, 821, "the peer's sizes are malformed");
    let (peer_rows, peer_features) = theirs.split_first_chunk::<8>().ok_or_else(malformed)?;
    let peer_rows = u64::from_le_bytes(*peer_rows);
    let peer_features = u32::from_le_bytes(*peer_features.first_chunk().ok_or_else(malformed)?);
    if peer_rows != bucket(peer_rows) || peer_rows > 1 << 40 || peer_features > MOST_FEATURES {
        return Err(malformed());
    }
    let pair = |own: u64, peer: u64| if side == Side::Owner { [own, peer] } else { [peer, own] };
    let features = pair(u64::from(own.features), u64::from(peer_features)).map(|count| count as u32);
    Ok(Met { rows: pair(rows, peer_rows), features, link: calibrate::measure(channel, side)? })
}
