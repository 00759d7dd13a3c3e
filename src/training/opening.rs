//! The one place where shares become known: every opening names its item of the job's `reveal` list.
//!
//! A message of another module never carries both shares of a value; a message of this one always carries the contract item
//! it serves, and the run's [`Ledger`] lists what was opened, to whom, how many values.

use crate::contract::Disclosure;
use crate::error::{Exit, Failure};
use colift_algebra::ring50;
use colift_channel::{Channel, Kind, Meter};
use colift_primitives::bits::{pack, packed_bytes, unpack};

/// Kinds of openings: here, and in `run::split` and `run::scores`, which send what is public to the contract in the clear.
pub const OPENING_KINDS: std::ops::Range<u16> = 0x0580..0x0590;

pub(crate) const WEIGHTS: Kind = Kind { code: 0x0580, name: "shares of own weights" };
pub(crate) const VARIANCES: Kind = Kind { code: 0x0584, name: "shares of own variances" };
pub(crate) const RESIDUALS: Kind = Kind { code: 0x0585, name: "share of the squared residuals" };
pub(crate) const DECISIONS: Kind = Kind { code: 0x0586, name: "partner's shares of the decisions" };
pub(crate) const CHECK: Kind = Kind { code: 0x0581, name: "end check" };

/// One opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The contract item.
    pub item: Disclosure,
    /// Number of values this party learned.
    pub learned: usize,
    /// Number of values the peer learned.
    pub told: usize,
}

/// What a run may open and what it has opened.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    allowed: Vec<Disclosure>,
    opened: Vec<Opened>,
}

impl Ledger {
    /// A ledger for the job's list.
    #[must_use]
    pub fn new(allowed: &[Disclosure]) -> Self {
        Self { allowed: allowed.to_vec(), opened: Vec::new() }
    }

    /// Notes an opening before it happens.
    ///
    /// # Errors
    /// Exit 18 where the job does not list the item.
    pub fn note(&mut self, item: Disclosure, learned: usize, told: usize) -> Result<(), Failure> {
        if !self.allowed.contains(&item) {
            return Err(Failure::new(Exit::Policy, 645, format!("the job's reveal list does not hold {}", item.name())));
        }
        self.opened.push(Opened { item, learned, told });
        Ok(())
    }

    /// What was opened, in order.
    #[must_use]
    pub fn opened(&self) -> &[Opened] {
        &self.opened
    }
}

/// Opens to each party its own weights: sends the shares of the peer's weights, adds the received ones to `own`.
///
/// # Errors
/// Exit 18 where the job does not list it; link failures.
pub fn own_weights(channel: &mut dyn Channel, ledger: &mut Ledger, own: &[u64], peers: &[u64]) -> Result<Vec<u64>, Failure> {
    to_each(channel, ledger, (Disclosure::OwnWeights, WEIGHTS), own, peers)
}

/// Opens to each party the variances of its own weights, over their scale; as [`own_weights`].
///
/// # Errors
/// As [`own_weights`].
pub fn own_standard_errors(channel: &mut dyn Channel, ledger: &mut Ledger, own: &[u64], peers: &[u64]) -> Result<Vec<u64>, Failure> {
    to_each(channel, ledger, (Disclosure::OwnStandardErrors, VARIANCES), own, peers)
}

/// Partner: opens its share of the sum of squared residuals to the owner.
///
/// # Errors
/// Exit 18 where the job does not list it; link failures.
pub fn residual_sum_to_owner(channel: &mut dyn Channel, ledger: &mut Ledger, share: u64) -> Result<(), Failure> {
    ledger.note(Disclosure::ResidualVarianceToOwner, 0, 1)?;
    Ok(channel.send(RESIDUALS, &pack(&[share], ring50::BITS))?)
}

/// Owner: the sum, from its own share and the partner's.
///
/// # Errors
/// As [`residual_sum_to_owner`]; exit 19 for a malformed message.
pub fn residual_sum(channel: &mut dyn Channel, ledger: &mut Ledger, share: u64) -> Result<u64, Failure> {
    ledger.note(Disclosure::ResidualVarianceToOwner, 1, 0)?;
    let message = channel.receive(RESIDUALS, ring50::packed_bytes(1))?;
    let theirs = unpack(&message, 1, ring50::BITS).ok_or_else(malformed)?;
    Ok(ring50::add(share, theirs.first().copied().unwrap_or_default()))
}

/// Sends the shares of what the peer learns and adds the received ones to `own`.
fn to_each(
    channel: &mut dyn Channel,
    ledger: &mut Ledger,
    (item, kind): (Disclosure, Kind),
    own: &[u64],
    peers: &[u64],
) -> Result<Vec<u64>, Failure> {
    ledger.note(item, own.len(), peers.len())?;
    channel.send(kind, &pack(peers, ring50::BITS))?;
    let message = channel.receive(kind, ring50::packed_bytes(own.len()))?;
    let shares = unpack(&message, own.len(), ring50::BITS).ok_or_else(malformed)?;
    Ok(own.iter().zip(shares).map(|(a, b)| ring50::add(*a, b)).collect())
}

/// Users of one frame of decisions.
pub(crate) const DECISION_FRAME: usize = 1 << 20;

/// Partner: opens its shares of one column of decisions of a scoring to the owner, `bits` bits a user.
///
/// # Errors
/// Exit 18 where the job does not list it; link failures.
pub fn decisions_to_owner(channel: &mut dyn Channel, ledger: &mut Ledger, shares: &[u64], bits: u32) -> Result<(), Failure> {
    ledger.note(Disclosure::DecisionsToOwner, 0, shares.len())?;
    for frame in shares.chunks(DECISION_FRAME) {
        channel.send(DECISIONS, &pack(frame, bits))?;
    }
    Ok(())
}

/// Owner: the decisions, from its own XOR shares and the partner's.
///
/// # Errors
/// As [`decisions_to_owner`]; exit 19 for a malformed message.
pub fn decisions(channel: &mut dyn Channel, ledger: &mut Ledger, shares: &[u64], bits: u32) -> Result<Vec<u64>, Failure> {
    ledger.note(Disclosure::DecisionsToOwner, shares.len(), 0)?;
    let mut opened = Vec::with_capacity(shares.len());
    for frame in shares.chunks(DECISION_FRAME) {
        let message = channel.receive(DECISIONS, packed_bytes(frame.len(), bits))?;
        let theirs = unpack(&message, frame.len(), bits).ok_or_else(malformed)?;
        opened.extend(frame.iter().zip(theirs).map(|(own, theirs)| own ^ theirs));
    }
    Ok(opened)
}

/// Opens the two bits of an end check to both parties from their XOR shares: whether the decrement is small, and whether predictors
/// stayed in range.
///
/// # Errors
/// Exit 18 where the job does not list it; exit 19 for a malformed message; link failures.
pub fn end_check(channel: &mut dyn Channel, ledger: &mut Ledger, [near, ranged]: [bool; 2]) -> Result<[bool; 2], Failure> {
    ledger.note(Disclosure::ConvergedAndInRange, 2, 2)?;
    channel.send(CHECK, &[u8::from(near) | u8::from(ranged) << 1])?;
    match channel.receive(CHECK, 1)?.first() {
        Some(bits @ 0..4) => Ok([(bits & 1 == 1) != near, (bits >> 1 == 1) != ranged]),
        _ => Err(malformed()),
    }
}

/// Notes the messages of [`own_weights`] or [`own_standard_errors`] for a side with so many own weights.
pub(crate) fn declare_own_weights(meter: &mut Meter, own: usize, peers: usize) {
    meter.sent(ring50::packed_bytes(peers));
    meter.received(ring50::packed_bytes(own));
}

/// Notes the message of [`residual_sum`] for the owner, and of [`residual_sum_to_owner`] for the partner.
pub(crate) fn declare_residual_sum(owner: &mut Meter, partner: &mut Meter) {
    owner.received(ring50::packed_bytes(1));
    partner.sent(ring50::packed_bytes(1));
}

/// Notes the messages of [`end_check`].
pub(crate) fn declare_end_check(meter: &mut Meter) {
    meter.sent(1);
    meter.received(1);
}

fn malformed() -> Failure {
    Failure::new(Exit::Protocol, 646, "the peer sent a malformed opening")
}
