//! Decisions about users on shares of their predictors, opened to the owner (`decisions_to_owner`); scores stay shared.
//!
//! **Functionality.** Owner: its part of every user's predictor; partner: its part of every common user's, in steps of 1/256. The owner
//! learns for each common user whether the sum reaches a line (`yes_no`), and for every user whether it is among the top share, or its
//! decile among all users. The partner learns nothing. Both know how many users are ranked and how many are common.
//!
//! **Security.** Semi-honest. All work is that of [`colift_correlation::sum`] and [`colift_correlation::select`], which open nothing; then the
//! partner sends its XOR shares of the decisions, and nothing but these, through [`crate::training::opening`]. They are uniform but for
//! what the owner's own shares and the decisions fix, so the owner's view follows from its input and the decisions.
//!
//! **Cost.** [`declare`]. **Messages.** Those of [`OtPair`], then one opening a column: one bit a user, of a decile four.
//!
//! **Source.** docs/adr/0023.

use crate::contract::{ScoreOutput, ScoreTerms};
use crate::error::Failure;
use crate::training::opening::{self, DECISION_FRAME, Ledger};
use colift_channel::{Channel, Meter};
use colift_correlation::select::{Shape, declare_highest, highest};
use colift_correlation::sum::{bits_of_sum, declare_bits_of_sum};
use colift_correlation::{CorrelationError, Form, OtPair, Role, pair};
use colift_primitives::bits::packed_bytes;

/// Bits of the partner's part: steps of 1/256 from −128 to 128.
pub(crate) const PART_BITS: u32 = 16;
/// Bits of the owner's part below the partner's steps.
pub(crate) const FINE_BITS: u32 = 8;
/// Bits of a decile minus 1.
const DECILE_BITS: u32 = 4;

/// What both know of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Users that the owner ranks: all of its own.
    pub(crate) users: usize,
    /// Common users, the first ones in the common order.
    pub(crate) matched: usize,
    /// Users in the top share, where it is listed.
    pub(crate) top: usize,
}

/// One party's numbers, in the common order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// For ranks. Owner: of common users below 2^24, of its other users sums below 2^25; partner: of common users below 2^16.
    pub(crate) ranks: Vec<u64>,
    /// For answers of common users, below 2^16: yes where both add up to 2^16 at least.
    pub(crate) answers: Vec<u64>,
}

/// Decisions in the common order, for the owner; empty where they are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) deciles: Vec<u8>,
    pub(crate) top: Vec<bool>,
    pub(crate) yes: Vec<bool>,
}

fn lists(terms: &ScoreTerms, output: ScoreOutput) -> bool {
    terms.output.contains(&output)
}

/// Whether a job ranks users.
pub(crate) fn ranks(terms: &ScoreTerms) -> bool {
    lists(terms, ScoreOutput::Decile) || lists(terms, ScoreOutput::TopShare)
}

/// Users of the first 1, 2, … 9 tenths: a decile of at most d is a place below ⌈d·users/10⌉.
fn tenths(users: usize) -> impl Iterator<Item = usize> {
    (1..10).map(move |tenth| (tenth * users).div_ceil(10))
}

/// The cuts of a ranking: nine of the deciles, then that of the top share.
fn cuts(terms: &ScoreTerms, sizes: Sizes) -> Vec<usize> {
    let deciles = tenths(sizes.users).filter(|_| lists(terms, ScoreOutput::Decile));
    deciles.chain(lists(terms, ScoreOutput::TopShare).then_some(sizes.top)).collect()
}

fn shape(sizes: Sizes) -> Shape {
    Shape { rows: sizes.users, shared: sizes.matched, low: FINE_BITS, high: PART_BITS }
}

/// A share of decile − 1 from shares of the nine memberships, which are nested. With bit d set where the user is among the first d tenths,
/// decile − 1 steps from d to d − 1 there: an exclusive or of constants, begun at 9 by one of the two.
fn decile_share(role: Role, memberships: impl Iterator<Item = bool>) -> u64 {
    let steps = (1..10u64).zip(memberships).filter(|(_, member)| *member).map(|(tenth, _)| tenth ^ (tenth - 1));
    steps.fold(if role == Role::First { 9 } else { 0 }, |share, step| share ^ step)
}

/// Computes and opens the decisions that the terms list. Where nobody is common nothing is left to compute together: the ledger notes it.
///
/// # Errors
/// Exit 18 where the job does not list it; exit 19 for malformed messages; link failures.
pub(crate) fn release(
    channel: &mut dyn Channel,
    role: Role,
    ledger: &mut Ledger,
    (terms, sizes): (&ScoreTerms, Sizes),
    parts: &Parts,
    progress: &dyn Fn(u64, u64),
) -> Result<Released, Failure> {
    let (mut chosen, mut answers) = (Vec::new(), Vec::new());
    let cuts = cuts(terms, sizes);
    if sizes.matched > 0 {
        let mut ot = OtPair::setup_trees(channel, role)?;
        if !cuts.is_empty() {
            chosen = highest(channel, &mut ot, shape(sizes), &parts.ranks, &cuts, progress)?;
        }
        if lists(terms, ScoreOutput::YesNo) {
            answers = bits_of_sum(channel, &mut ot, &parts.answers, PART_BITS)?.pop().unwrap_or_default();
        }
    }
    let mut open = |shares: Vec<u64>, bits: u32| match role {
        Role::First => opening::decisions(channel, ledger, &shares, bits),
        Role::Second => opening::decisions_to_owner(channel, ledger, &shares, bits).map(|()| Vec::new()),
    };
    let mut released = Released::default();
    if lists(terms, ScoreOutput::Decile) {
        let rows = chosen.first().map_or(0, Vec::len);
        let shares = (0..rows).map(|row| decile_share(role, chosen.iter().map(|chosen| chosen[row])));
        released.deciles = open(shares.collect(), DECILE_BITS)?.iter().map(|decile| *decile as u8 + 1).collect();
    }
    let bits = |shares: &[bool]| shares.iter().map(|share| u64::from(*share)).collect();
    if lists(terms, ScoreOutput::TopShare) {
        released.top = open(chosen.last().map_or(Vec::new(), |top| bits(top)), 1)?.iter().map(|bit| *bit == 1).collect();
    }
    if lists(terms, ScoreOutput::YesNo) {
        released.yes = open(bits(&answers), 1)?.iter().map(|bit| *bit == 1).collect();
    }
    Ok(released)
}

impl From<CorrelationError> for Failure {
    fn from(error: CorrelationError) -> Self {
        match error {
            CorrelationError::Channel(error) => error.into(),
            other => Self::of_class(other.class(), other.to_string()),
        }
    }
}

/// Notes the messages of [`release`].
pub(crate) fn declare(meter: &mut Meter, role: Role, terms: &ScoreTerms, sizes: Sizes) {
    if sizes.matched == 0 {
        return;
    }
    let cuts = cuts(terms, sizes).len();
    pair::declare_setup_trees(meter);
    declare_highest(meter, Form::Trees, role, shape(sizes), cuts);
    let answers = lists(terms, ScoreOutput::YesNo);
    if answers {
        declare_bits_of_sum(meter, Form::Trees, role, sizes.matched, PART_BITS);
    }
    let columns = [
        (lists(terms, ScoreOutput::Decile), sizes.users, DECILE_BITS),
        (lists(terms, ScoreOutput::TopShare), sizes.users, 1),
        (answers, sizes.matched, 1),
    ];
    for (_, users, bits) in columns.into_iter().filter(|(listed, ..)| *listed) {
        for start in (0..users).step_by(DECISION_FRAME) {
            let bytes = packed_bytes(DECISION_FRAME.min(users - start), bits);
            if role == Role::First { meter.received(bytes) } else { meter.sent(bytes) }
        }
    }
}
