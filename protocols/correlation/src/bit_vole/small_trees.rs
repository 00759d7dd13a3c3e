//! Trees of sixteen leaves, one for every four bits of Δ: the seeds of four columns of which one costs traffic.
//!
//! The receiver of bits makes 32 trees; the sender knows every leaf of a tree but the one whose number δ is its four bits of Δ. With
//! G_x the stream of leaf x: u = Σ G_x and v_i = Σ bit_i(x)·G_x at the receiver, w_i = Σ bit_i(δ ⊕ x)·G_x at the sender, for which the
//! leaf δ is not needed. Then w_i = v_i + δ_i·u, and the message d = u + c makes it w_i + δ_i·d = v_i + δ_i·c.
//! The sums of a level's left and right nodes cross under the seeds of base OT; the sender reads the side off its path.
//! At the sender every step is the same for all Δ.

use super::{LEAVES, LEVELS, TREES};
use crate::columns::COLUMNS_A_TASK;
use colift_primitives::PrimitivesError;
use colift_primitives::rng::{Prg, Seed};
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Bytes of all trees' sums: two for each bit of Δ.
pub(crate) const BYTES: usize = 32 * LEVELS * TREES;

/// The streams of one tree.
pub(crate) type Leaves = Vec<Prg>;

/// Receiver of bits: grows all trees from fresh roots; the message, and all streams. `seeds` are both of every base OT.
pub(crate) fn grow(seeds: &[[Seed; 2]]) -> Result<(Vec<u8>, Vec<Leaves>), PrimitivesError> {
    let mut roots = Prg::from_os()?;
    let mut message = Vec::with_capacity(BYTES);
    let trees = (0..TREES).map(|tree| {
        let mut nodes = Zeroizing::new(vec![roots.next_u128()]);
        for level in 1..=LEVELS {
            nodes = children(&nodes);
            let pads = seeds.get(base(tree, level));
            for (side, sum) in sums(&nodes).into_iter().enumerate() {
                // Who has bit b of Δ has the seed b, and needs the other side.
                let pad = pads.and_then(|pads| pads.get(1 - side)).map_or(0, |pad| u128::from_le_bytes(*pad.as_bytes()));
                message.extend((sum ^ pad).to_le_bytes());
            }
        }
        streams(&nodes)
    });
    let trees = trees.collect();
    Ok((message, trees))
}

/// Sender: the streams it may know of all trees; that of leaf δ is none. `seeds` are those that Δ has chosen.
pub(crate) fn regrow(delta: u128, seeds: &[Seed], message: &[u8]) -> Vec<Leaves> {
    let sum_at = |place: usize| message.as_chunks::<16>().0.get(place).map_or(0, |bytes| u128::from_le_bytes(*bytes));
    let tree = |tree: usize| {
        let mut nodes = Zeroizing::new(vec![0u128]);
        // The path's node among those of a level.
        let mut path = 0u128;
        for level in 1..=LEVELS {
            let bit = delta >> base(tree, level) & 1;
            nodes = children(&nodes);
            let place = 2 * (LEVELS * tree + level - 1);
            let pad = seeds.get(base(tree, level)).map_or(0, |seed| u128::from_le_bytes(*seed.as_bytes()));
            let known = sums(&nodes);
            let off = |[left, right]: [u128; 2]| left ^ (left ^ right) & (bit ^ 1).wrapping_neg();
            // The children of the unknown node are false: the one off the path follows from the sum, the other stays unknown.
            let missing = off([sum_at(place), sum_at(place + 1)]) ^ pad ^ off(known);
            path = 2 * path + bit;
            for (number, node) in (0u128..).zip(nodes.iter_mut()) {
                let (on, beside) = (same(number, path), same(number, path ^ 1));
                *node = *node & !on ^ missing & beside;
            }
        }
        streams(&nodes)
    };
    (0..TREES).map(tree).collect()
}

/// Which base OT belongs to a level: the highest of a tree's bits comes first.
fn base(tree: usize, level: usize) -> usize {
    LEVELS * tree + LEVELS - level
}

/// All ones where two small numbers are equal, else 0.
fn same(a: u128, b: u128) -> u128 {
    let differ = a ^ b;
    ((differ | differ.wrapping_neg()) >> 127).wrapping_sub(1)
}

/// Both children of every node.
fn children(nodes: &[u128]) -> Zeroizing<Vec<u128>> {
    let mut children = Zeroizing::new(Vec::with_capacity(2 * nodes.len()));
    for node in nodes {
        let mut prg = Prg::from_seed(&Seed::from_bytes(node.to_le_bytes()));
        children.extend([prg.next_u128(), prg.next_u128()]);
    }
    children
}

/// The sums of all left and of all right nodes.
fn sums(nodes: &[u128]) -> [u128; 2] {
    nodes.as_chunks::<2>().0.iter().fold([0, 0], |[left, right], [l, r]| [left ^ l, right ^ r])
}

fn streams(nodes: &[u128]) -> Leaves {
    nodes.iter().map(|leaf| Prg::from_seed(&Seed::from_bytes(leaf.to_le_bytes()))).collect()
}

/// Receiver of bits: the message for `rows` bits c, packed, and its own columns.
pub(crate) fn expand(packed: &[u8], rows: usize, trees: &mut [Leaves]) -> (Vec<u8>, Zeroizing<Vec<u8>>) {
    let column = rows / 8;
    let (mut message, mut own) = (vec![0u8; TREES * column], Zeroizing::new(vec![0u8; LEVELS * TREES * column]));
    let outputs = message.par_chunks_mut(column).zip(own.par_chunks_mut(LEVELS * column));
    outputs.zip(trees.par_iter_mut()).with_min_len(COLUMNS_A_TASK / LEVELS).for_each(|((message, own), leaves)| {
        let mut stream = Zeroizing::new(vec![0u8; column]);
        message.iter_mut().zip(packed).for_each(|(byte, c)| *byte = *c);
        for (leaf, prg) in leaves.iter_mut().enumerate() {
            prg.fill(&mut stream);
            add(message, &stream);
            own.chunks_mut(column).enumerate().filter(|(bit, _)| leaf >> bit & 1 == 1).for_each(|(_, own)| add(own, &stream));
        }
    });
    (message, own)
}

/// Sender: its own columns of `rows` bits from the peer's message.
pub(crate) fn correct(message: &[u8], rows: usize, delta: u128, trees: &mut [Leaves]) -> Zeroizing<Vec<u8>> {
    let column = rows / 8;
    let mut own = Zeroizing::new(vec![0u8; LEVELS * TREES * column]);
    let outputs = message.par_chunks(column).zip(own.par_chunks_mut(LEVELS * column));
    outputs.zip(trees.par_iter_mut()).enumerate().with_min_len(COLUMNS_A_TASK / LEVELS).for_each(|(tree, ((message, own), leaves))| {
        let bits = (delta >> (LEVELS * tree)) as usize % LEAVES;
        let mut stream = Zeroizing::new(vec![0u8; column]);
        for (leaf, prg) in leaves.iter_mut().enumerate() {
            prg.fill(&mut stream);
            own.chunks_mut(column).enumerate().for_each(|(bit, own)| add_masked(own, &stream, (bits ^ leaf) >> bit & 1));
        }
        own.chunks_mut(column).enumerate().for_each(|(bit, own)| add_masked(own, message, bits >> bit & 1));
    });
    own
}

fn add(sum: &mut [u8], bytes: &[u8]) {
    sum.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte);
}

/// Adds the bytes where `bit` is 1, in the same time where it is 0.
fn add_masked(sum: &mut [u8], bytes: &[u8], bit: usize) {
    let mask = (bit as u8).wrapping_neg();
    sum.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte & mask);
}
