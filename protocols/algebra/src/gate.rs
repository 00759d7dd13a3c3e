//! The trigonometric gate: a function of a shared value in one round trip.
//!
//! **Purpose.** σ(z) and σ′(z) of shared logits.
//!
//! **Functionality.** Both hold shares of z modulo 2^50; the owner has Fourier series f = a_0 + Σ a_k cos kθ + b_k sin kθ with
//! θ = 2π·c·z/2^50 for a public integer c, and for each function, where it wants, a private factor m_i, |m_i| ≤ 1, a row. Both
//! get shares of m_i·f(z_i) modulo 2^50 with the plan's fraction bits. With phases θ_o + θ_p = θ (mod 2π, wrap-around included)
//!
//! f = a_0 + Σ_k \[a_k cos kθ_o + b_k sin kθ_o\]·cos kθ_p + \[b_k cos kθ_o − a_k sin kθ_o\]·sin kθ_p.
//!
//! m_i multiplies the brackets before they are rounded and a_0 where the owner adds it: neither bytes nor noise change.
//!
//! A plan may have up to three functions: one of all rows, a second one of the first rows, a last one of all rows.
//!
//! It may add the half harmonic, k = 1/2 (c even): it changes its sign from one period to the next, so that a function with
//! it tells logits from their aliases.
//!
//! **Who encrypts.** Every product is one of a value known to the owner (a bracket) by one known to the partner (a sine or a
//! cosine), so either may encrypt its own. The uploader sends a block's values, the evaluator multiplies by its own, adds up and
//! returns one reply a function. A second function of the same z costs one more reply where the partner uploads, new uploads
//! where the owner does: such blocks are the partner's. Of the others [`GatePlan::owner_uploads`] are the owner's, a public
//! number, so that both directions of the link carry equal loads ([`balance`]).
//!
//! **Security.** Semi-honest, the same argument for either uploader. The evaluator sees ring-LWE encryptions of the uploader's
//! values; the uploader sees a reply that is masked by a uniform plaintext and flooded ([`colift_rlwe::reply`], statistical
//! distance 2^-54 · 8192 a reply). So the partner learns neither the function nor the base rate nor any m_i, also where the
//! brackets cross the link encrypted, and the owner nothing of the partner's phases. Blocks, directions and sizes are public.
//! Rounding is stochastic and unbiased (to 2^-24 of a unit), with secret coins.
//!
//! **Cost.** [`GatePlan::cost`]: 2K uploads (two more with the half harmonic) and one reply a function for each 8,192 rows (a
//! shorter block packs several terms into one ciphertext), then one lift an element. Blocks run in turns, one of each uploader:
//! in a turn a party sends an upload and the reply to an earlier one, receives what the peer sent in the turn before, and
//! computes on what came still earlier, all at the same time. So both directions stay busy while both compute, and no more than
//! four blocks of either side are in memory or on the way.
//!
//! **Messages.** `gate upload`, `gate reply`, both ways, then the lift's.
//! **Source.** Our design (docs/protocols/training.md); slot packing of BFV.

mod block;
mod plan;

pub use plan::{Function, GatePlan, Series, balance};

use crate::engine::Engine;
use crate::error::AlgebraError;
use crate::lift::{self, Batch, lift};
use block::{Reply, Side};
use colift_channel::{Channel, Kind, Meter};
use colift_correlation::Role;
use colift_rlwe::{Ciphertext, SlotEncoder, reply};
use plan::Block;

const UPLOAD: Kind = Kind { code: 0x0420, name: "gate upload" };
const REPLY: Kind = Kind { code: 0x0421, name: "gate reply" };

/// Fraction bits of residuals: what a training asks of the first function.
pub const RESULT_BITS: u32 = 20;

/// A gate to evaluate: its plan, and the owner's functions (the partner passes none).
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// Public.
    pub plan: &'a GatePlan,
    /// As many as the plan says, on the owner's side.
    pub functions: &'a [Function<'a>],
}

/// The blocks that one party uploads and those that it evaluates, by turn; the same for both parties but for the names.
struct Turns {
    own: Vec<Option<Block>>,
    held: Vec<Option<Block>>,
}

/// Turns from the one in which a block is uploaded to the one in which its upload is received, its reply sent, its reply received.
const RECEIVED: usize = 1;
const REPLIED: usize = 3;
const ANSWERED: usize = 4;

impl Turns {
    fn new<'p>(plans: impl Iterator<Item = &'p GatePlan>, role: Role) -> Self {
        let blocks = plans.enumerate().flat_map(|(index, plan)| plan.blocks(index));
        let (own, held): (Vec<_>, Vec<_>) = blocks.partition(|block| block.uploader == role);
        let turns = own.len().max(held.len());
        // The side with fewer blocks spreads them over the turns of the other.
        let spread = |blocks: Vec<Block>| {
            let mut places = vec![None; turns];
            let count = blocks.len();
            for (index, block) in blocks.into_iter().enumerate() {
                places[index * turns / count] = Some(block);
            }
            places
        };
        Self { own: spread(own), held: spread(held) }
    }

    /// All turns, those at the end included in which nothing new is uploaded.
    fn all(&self) -> std::ops::Range<usize> {
        0..if self.own.is_empty() { 0 } else { self.own.len() + ANSWERED }
    }

    /// The own block that was uploaded `ago` turns before `turn`.
    fn own(&self, turn: usize, ago: usize) -> Option<&Block> {
        self.own.get(turn.checked_sub(ago)?)?.as_ref()
    }

    /// The peer's block that it uploaded `ago` turns before `turn`.
    fn held(&self, turn: usize, ago: usize) -> Option<&Block> {
        self.held.get(turn.checked_sub(ago)?)?.as_ref()
    }
}

/// Notes the messages of [`evaluate`] and of [`evaluate_all`].
///
/// # Errors
/// As [`GatePlan::level`].
pub fn declare(meter: &mut Meter, role: Role, plans: &[GatePlan]) -> Result<(), AlgebraError> {
    let uploads = plans.iter().map(|plan| Ok(Ciphertext::upload_bytes(plan.level()?))).collect::<Result<Vec<_>, AlgebraError>>()?;
    let count = |block: &Block| plans[block.gate].uploads(block.rows);
    let turns = Turns::new(plans.iter(), role);
    for turn in turns.all() {
        let (sent, replied) = (turns.own(turn, 0), turns.held(turn, REPLIED));
        let (received, answered) = (turns.held(turn, RECEIVED), turns.own(turn, ANSWERED));
        sent.into_iter().for_each(|block| (0..count(block)).for_each(|_| meter.sent(uploads[block.gate])));
        replied.into_iter().flat_map(Block::functions).for_each(|_| meter.sent(reply::flooded_bytes()));
        received.into_iter().for_each(|block| (0..count(block)).for_each(|_| meter.received(uploads[block.gate])));
        answered.into_iter().flat_map(Block::functions).for_each(|_| meter.received(reply::flooded_bytes()));
    }
    lift::declare(meter, role, plans.iter().map(GatePlan::lifted).sum());
    Ok(())
}

/// Evaluates the functions on shares `z`; the owner (first role) passes its functions, the partner an empty slice. Returns this
/// party's shares function by function, with the plan's fraction bits.
///
/// # Errors
/// Config class: series or factors that do not match the plan; Channel and Peer classes.
pub fn evaluate(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    plan: &GatePlan,
    z: &[u64],
    functions: &[Function<'_>],
) -> Result<Vec<Vec<u64>>, AlgebraError> {
    Ok(evaluate_all(engine, channel, &[Gate { plan, functions }], z)?.into_iter().flatten().collect())
}

/// Evaluates several gates at once, as [`evaluate`] does each, on consecutive rows of `z`. Returns the shares gate by gate.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_all(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    gates: &[Gate<'_>],
    z: &[u64],
) -> Result<Vec<Vec<Vec<u64>>>, AlgebraError> {
    let rows: usize = gates.iter().map(|gate| gate.plan.rows).sum();
    if z.len() != rows {
        return Err(AlgebraError::Parameters(format!("the gate expects {rows} rows, got {}", z.len())));
    }
    let mut rest = z;
    let mut sides = Vec::with_capacity(gates.len());
    for Gate { plan, functions } in gates {
        let owner = engine.role == Role::First;
        if owner {
            plan.check(functions)?;
        }
        let (shares, others) = rest.split_at(plan.rows);
        rest = others;
        let encoder = SlotEncoder::for_fraction_bits(plan.bits);
        sides.push(Side { plan, encoder, level: plan.level()?, shares, functions: if owner { functions } else { &[] } });
    }
    let turns = Turns::new(gates.iter().map(|gate| gate.plan), engine.role);
    let mut raw: Vec<Vec<Vec<u64>>> = gates.iter().map(|gate| gate.plan.wanted().map(|rows| vec![0; rows]).collect()).collect();
    let mut desk = Desk { next: turns.own(0, 0).map(|block| sides[block.gate].encrypt(engine, block)), ..Desk::default() };
    for turn in turns.all() {
        desk = take_turn(engine, channel, &turns, turn, &sides, desk, &mut raw)?;
    }
    open(engine, &turns, turns.all().end, &sides, &desk.answers, &mut raw)?;
    for (side, shares) in sides.iter().zip(&mut raw) {
        side.add_constants(shares);
    }
    let mut batches = Vec::new();
    for (side, shares) in sides.iter().zip(&raw) {
        for (shares, (_, bits)) in shares.iter().zip(side.plan.results()) {
            let factor = f64::from(bits as i32 - 2 * side.plan.bits as i32).exp2();
            batches.push(Batch { shares, modulus: u64::from(side.encoder.prime()), factor });
        }
    }
    let mut lifted = lift(engine, channel, &batches)?.into_iter();
    Ok(raw.iter().map(|functions| lifted.by_ref().take(functions.len()).collect()).collect())
}

/// Payloads of consecutive messages.
type Frames = Vec<Vec<u8>>;

/// What lies between two turns.
#[derive(Default)]
struct Desk {
    /// The own upload that goes next.
    next: Option<Frames>,
    /// The peer's upload that came last.
    came: Frames,
    /// Replies to the one before it.
    replies: Frames,
    /// The peer's replies that came last.
    answers: Frames,
}

/// One turn: the link's part on this thread, the computations beside it.
fn take_turn(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    turns: &Turns,
    turn: usize,
    sides: &[Side<'_>],
    desk: Desk,
    raw: &mut [Vec<Vec<u64>>],
) -> Result<Desk, AlgebraError> {
    let Desk { next: send, came, replies, answers } = desk;
    let mut computed = None;
    let moved = rayon::in_place_scope(|scope| {
        scope.spawn(|_| computed = Some(compute(engine, turns, turn, sides, &came, &answers, raw)));
        exchange(channel, turns, turn, sides, &send.unwrap_or_default(), &replies)
    });
    let (came, answers) = moved?;
    let (next, replies) = computed.ok_or_else(|| AlgebraError::Parameters("a block's computation was lost".into()))??;
    Ok(Desk { next, came, replies, answers })
}

/// Sends this turn's upload and replies; receives what the peer sent one turn ago.
fn exchange(
    channel: &mut dyn Channel,
    turns: &Turns,
    turn: usize,
    sides: &[Side<'_>],
    upload: &[Vec<u8>],
    replies: &[Vec<u8>],
) -> Result<(Frames, Frames), AlgebraError> {
    for (kind, messages) in [(UPLOAD, upload), (REPLY, replies)] {
        for message in messages {
            channel.send(kind, message)?;
        }
    }
    let (mut came, mut answers) = (Vec::new(), Vec::new());
    if let Some(block) = turns.held(turn, RECEIVED) {
        let side = &sides[block.gate];
        for _ in 0..side.plan.uploads(block.rows) {
            came.push(channel.receive(UPLOAD, Ciphertext::upload_bytes(side.level))?);
        }
    }
    for _ in turns.own(turn, ANSWERED).into_iter().flat_map(Block::functions) {
        answers.push(channel.receive(REPLY, reply::flooded_bytes())?);
    }
    Ok((came, answers))
}

/// The next upload, and the replies to the upload that came in the turn before; opens what was answered then.
fn compute(
    engine: &mut Engine,
    turns: &Turns,
    turn: usize,
    sides: &[Side<'_>],
    came: &[Vec<u8>],
    answers: &[Vec<u8>],
    raw: &mut [Vec<Vec<u64>>],
) -> Result<(Option<Frames>, Frames), AlgebraError> {
    open(engine, turns, turn, sides, answers, raw)?;
    let mut messages = Vec::new();
    if let Some(block) = turns.held(turn, RECEIVED + 1) {
        let replies: Vec<Reply> = sides[block.gate].multiply(engine, block, came)?;
        for ((message, own), shares) in replies.into_iter().zip(&mut raw[block.gate]) {
            messages.push(message);
            shares[block.start..][..own.len()].copy_from_slice(&own);
        }
    }
    let next = turns.own.get(turn + 1).and_then(Option::as_ref).map(|block| sides[block.gate].encrypt(engine, block));
    Ok((next, messages))
}

/// Opens the answers that were received in the turn before.
fn open(
    engine: &Engine,
    turns: &Turns,
    turn: usize,
    sides: &[Side<'_>],
    answers: &[Vec<u8>],
    raw: &mut [Vec<Vec<u64>>],
) -> Result<(), AlgebraError> {
    let Some(block) = turns.own(turn, ANSWERED + 1) else { return Ok(()) };
    for ((frame, wanted), shares) in answers.iter().zip(block.functions()).zip(&mut raw[block.gate]) {
        shares[block.start..][..wanted].copy_from_slice(&sides[block.gate].open(engine, block, wanted, frame)?);
    }
    Ok(())
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
