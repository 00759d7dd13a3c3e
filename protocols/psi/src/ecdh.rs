//! **Purpose** matching by Diffie–Hellman over ristretto255: simple, small, and the oracle for faster protocols.
//!
//! **Functionality** First puts in a set X, Second a set Y. `match_ids`: each side gets the positions of its own rows of
//! X ∩ Y, both in one common order (ascending by a session-keyed pseudo-random function of the common tag), and the peer's
//! size. `count_common`: both get |X ∩ Y| only. If |X ∩ Y| < `min_overlap`, both learn that number and nothing else.
//!
//! **Security** semi-honest, DDH in ristretto255 with the id hash as a random oracle. Leaks |X| and |Y|. A malicious peer
//! can bring invented ids within its agreed size, or tell wrong positions (a wrong pairing of rows), but learns nothing
//! about ids it does not bring. Canonical decoding only, identity and repeated points refused. Own points are sent in a
//! secret random order and tags sorted, so that neither file's order shows. False matches: ≤ 2^-40 a run.
//!
//! **Cost** payload each way, with n own and m peer ids, L = ⌈(40 + ⌈log₂ nm⌉)/8⌉, k common:
//! 41 + 32·n + L·m + 8 + 4·k bytes. Frames of at most 2^14 items; a wait for each frame of the peer's
//! points and at most 4 more.
//!
//! **Messages** parameters' digest, role and size · a·H(x) in frames, both sides in lock-step · tags of ab·H(y), ascending ·
//! the overlap · positions of the peer's matched points, in the common order.
//!
//! **Source** Meadows (1986), Huberman, Franklin, Hogg (1999); hash to group RFC 9380 and 9496. Deviation: double-masked
//! points return as sorted tags, so the overlap's size is known before any row is.
//!
//! **Example**
//! ```
//! use colift_correlation::Role;
//! use colift_psi::{MatchParams, ecdh::match_ids};
//! let params = MatchParams { session: [7; 32], own_max: 10, peer_max: 10, min_overlap: 1 };
//! let (mut a, mut b) = colift_channel::memory::pair();
//! let peer = std::thread::spawn(move || match_ids(&mut b, Role::Second, &["w", "x", "y"], params, &|_, _| ()));
//! let ours = match_ids(&mut a, Role::First, &["x", "z"], params, &|_, _| ())?;
//! assert_eq!((ours.own_rows, peer.join().unwrap()?.own_rows), (vec![0], vec![1]));
//! # Ok::<(), colift_psi::PsiError>(())
//! ```

mod group;
mod mask;
mod tags;
pub(crate) mod vectors;

use crate::params::tag_bytes;
use crate::{MatchParams, Progress, PsiError};
use colift_channel::{Channel, Kind, Meter};
use colift_correlation::Role;
use colift_primitives::bits::Bits;
use colift_primitives::rng::Prg;
use group::GroupHash;
use mask::{Encoding, Mask};
use rayon::prelude::*;
use std::collections::HashSet;
use tags::{Tag, TagKeys};

const OPENING: Kind = Kind { code: 0x0201, name: "matching: parameters and size" };
const POINTS: Kind = Kind { code: 0x0202, name: "matching: masked ids" };
const TAGS: Kind = Kind { code: 0x0203, name: "matching: double-masked tags" };
const OVERLAP: Kind = Kind { code: 0x0204, name: "matching: overlap" };
const POSITIONS: Kind = Kind { code: 0x0205, name: "matching: matched positions" };

/// Most items of one frame.
pub const FRAME_ITEMS: usize = 1 << 14;
/// Points between two reports of progress.
const STEP: usize = 1 << 12;
pub(crate) const OPENING_BYTES: usize = 32 + 1 + 8;

/// The positions of this side's matched rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Positions in the input, in the order common to both sides.
    pub own_rows: Vec<u32>,
    /// How many ids the peer brought.
    pub peer_count: u64,
}

/// How many ids are common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Ids common to both.
    pub overlap: u64,
    /// How many ids the peer brought.
    pub peer_count: u64,
}

/// Matches our ids with the peer's; both sides learn their matched rows.
///
/// # Errors
/// Config class: our ids are repeated or too many. Peer class: other parameters, too many or repeated ids, invalid points
/// or positions. Abort class: [`PsiError::BelowMinimum`]. The link's errors.
pub fn match_ids<I: AsRef<[u8]> + Sync>(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[I],
    params: MatchParams,
    progress: Progress<'_>,
) -> Result<Matched, PsiError> {
    let run = Run::open(channel, role, ids, params)?;
    let Overlap { order, mut common } = run.overlap(channel, progress)?;
    // Step 5: tell the peer where its matched points were, in the common order; learn the same of ours.
    run.keys.sort(&mut common);
    for frame in common.chunks(FRAME_ITEMS) {
        channel.send(POSITIONS, &frame.iter().flat_map(|(_, position)| position.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    let mut own_rows = Vec::with_capacity(common.len());
    let mut seen = Bits::zeros(ids.len());
    for frame in common.chunks(FRAME_ITEMS) {
        let wire = channel.receive(POSITIONS, 4 * frame.len())?;
        for bytes in wire.as_chunks::<4>().0 {
            let position = u32::from_le_bytes(*bytes) as usize;
            let row = order.get(position).filter(|_| !seen.bit(position)).ok_or(PsiError::InvalidPosition)?;
            seen.set(position, true);
            own_rows.push(*row);
        }
    }
    Ok(Matched { own_rows, peer_count: run.peer as u64 })
}

/// Counts the common ids; no row is revealed to anyone.
///
/// # Errors
/// As [`match_ids`].
pub fn count_common<I: AsRef<[u8]> + Sync>(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[I],
    params: MatchParams,
    progress: Progress<'_>,
) -> Result<Counted, PsiError> {
    let run = Run::open(channel, role, ids, params)?;
    let found = run.overlap(channel, progress)?;
    Ok(Counted { overlap: found.common.len() as u64, peer_count: run.peer as u64 })
}

/// Tells the peer our parameters' digest, role and size; checks the peer's. Its size.
pub(crate) fn exchange_sizes(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    own: usize,
    params: &MatchParams,
    digest: [u8; 32],
) -> Result<usize, PsiError> {
    let side = |role| if role == Role::First { 1u8 } else { 2 };
    channel.send(OPENING, &[digest.as_slice(), &[side(role)], &(own as u64).to_le_bytes()].concat())?;
    let theirs = channel.receive(OPENING, OPENING_BYTES)?;
    let (head, count) = theirs.split_last_chunk::<8>().ok_or(PsiError::ParametersDiffer)?;
    if head != [digest.as_slice(), &[side(role.peer())]].concat() {
        return Err(PsiError::ParametersDiffer);
    }
    params.check_peer(u64::from_le_bytes(*count))
}

/// What is known before any row is revealed.
struct Overlap {
    /// Our row at each position of our points as they were sent.
    order: Vec<u32>,
    /// The common tags with the peer's positions.
    common: Vec<(Tag, u32)>,
}

/// One matching after its sizes are known.
struct Run<'a, I> {
    ids: &'a [I],
    params: MatchParams,
    peer: usize,
    keys: TagKeys,
}

impl<'a, I: AsRef<[u8]> + Sync> Run<'a, I> {
    /// Step 1: parameters and sizes, capped on both sides.
    fn open(channel: &mut (impl Channel + ?Sized), role: Role, ids: &'a [I], params: MatchParams) -> Result<Self, PsiError> {
        params.check_own(ids.len())?;
        let distinct = ids.iter().map(AsRef::as_ref).collect::<HashSet<&[u8]>>().len();
        if distinct < ids.len() {
            return Err(PsiError::OwnDuplicates { count: (ids.len() - distinct) as u64 });
        }
        let peer = exchange_sizes(channel, role, ids.len(), &params, params.digest(role))?;
        Ok(Self { ids, params, peer, keys: TagKeys::of_session(&params.session) })
    }

    /// Steps 2 to 4: masked points, tags, the decision.
    fn overlap(&self, channel: &mut (impl Channel + ?Sized), progress: Progress<'_>) -> Result<Overlap, PsiError> {
        let order = Prg::from_os()?.permutation(self.ids.len() as u32);
        // Step 2: masked ids both ways, frame by frame, so that neither side is silent for long.
        let double = self.exchange_points(channel, &order, progress)?;
        // Step 3: the peer's double-masked tags back to it, ascending: their order says nothing of positions.
        let bytes = tag_bytes(self.ids.len(), self.peer);
        let positions = (0..).zip(double).map(|(position, tag)| (tags::truncate(tag, bytes), position));
        let mut theirs: Vec<(Tag, u32)> = positions.collect();
        theirs.par_sort_unstable();
        for frame in theirs.chunks(FRAME_ITEMS) {
            let frame: Vec<Tag> = frame.iter().map(|(tag, _)| *tag).collect();
            channel.send(TAGS, &tags::encode(&frame, bytes))?;
        }
        let mut ours = Vec::with_capacity(self.ids.len());
        for count in frames(self.ids.len()) {
            ours.extend(tags::decode(&channel.receive(TAGS, bytes * count)?, bytes));
        }
        if !ours.is_sorted() {
            return Err(PsiError::UnsortedTags);
        }
        // Step 4: both count, both confirm, both decide alike.
        let common = tags::intersect(&ours, &theirs)?;
        let count = (common.len() as u64).to_le_bytes();
        channel.send(OVERLAP, &count)?;
        if channel.receive(OVERLAP, 8)? != count {
            return Err(PsiError::CountsDiffer);
        }
        let (overlap, minimum) = (common.len() as u64, self.params.min_overlap);
        if overlap < minimum { Err(PsiError::BelowMinimum { minimum, overlap }) } else { Ok(Overlap { order, common }) }
    }

    /// The full tags of the peer's ids, double-masked by us, at the peer's positions.
    fn exchange_points(&self, channel: &mut (impl Channel + ?Sized), order: &[u32], progress: Progress<'_>) -> Result<Vec<Tag>, PsiError> {
        let (mask, hash) = (Mask::random()?, GroupHash::of_session(&self.params.session));
        let total = (self.ids.len() + self.peer) as u64;
        let mut done = 0;
        let mut report = |count: usize| {
            done += count as u64;
            progress(done, total);
        };
        let mut tags = Vec::with_capacity(self.peer);
        let (mut own, mut theirs) = (order.chunks(FRAME_ITEMS), frames(self.peer));
        loop {
            let (rows, count) = (own.next(), theirs.next());
            if let Some(rows) = rows {
                let mut wire = Vec::with_capacity(32 * rows.len());
                for rows in rows.chunks(STEP) {
                    wire.extend(mask.ids(&hash, self.ids, rows).into_iter().flatten());
                    report(rows.len());
                }
                channel.send(POINTS, &wire)?;
            }
            if let Some(count) = count {
                let wire = channel.receive(POINTS, 32 * count)?;
                let points: &[Encoding] = wire.as_chunks().0;
                for points in points.chunks(STEP) {
                    tags.extend(self.keys.tags(&mask.points(points)?));
                    report(points.len());
                }
            }
            if rows.is_none() && count.is_none() {
                break;
            }
        }
        // Full tags have 128 bits: equal ones are equal points.
        let mut sorted = tags.clone();
        sorted.par_sort_unstable();
        if sorted.windows(2).any(|pair| matches!(pair, [one, two] if one == two)) {
            return Err(PsiError::RepeatedPoints);
        }
        Ok(tags)
    }
}

/// Items of each frame of n.
fn frames(n: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(FRAME_ITEMS).map(move |start| FRAME_ITEMS.min(n - start))
}

/// Notes the messages of [`count_common`] for these sizes.
pub fn declare_count(meter: &mut Meter, own: usize, peer: usize) {
    meter.sent(OPENING_BYTES);
    meter.received(OPENING_BYTES);
    let (mut sent, mut received) = (frames(own), frames(peer));
    loop {
        let (ours, theirs) = (sent.next(), received.next());
        ours.iter().for_each(|count| meter.sent(32 * count));
        theirs.iter().for_each(|count| meter.received(32 * count));
        if ours.is_none() && theirs.is_none() {
            break;
        }
    }
    let bytes = tag_bytes(own, peer);
    frames(peer).for_each(|count| meter.sent(bytes * count));
    frames(own).for_each(|count| meter.received(bytes * count));
    meter.sent(8);
    meter.received(8);
}

/// Notes the messages of [`match_ids`] for these sizes and this overlap.
pub fn declare_match(meter: &mut Meter, own: usize, peer: usize, overlap: usize) {
    declare_count(meter, own, peer);
    frames(overlap).for_each(|count| meter.sent(4 * count));
    frames(overlap).for_each(|count| meter.received(4 * count));
}

#[cfg(test)]
mod tests;
