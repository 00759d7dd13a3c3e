//! A forest of pseudo-random trees, each with one leaf the receiver does not know and a value of its own at that leaf.
//!
//! The sender's leaves are b; the receiver's are a = b + c·Δ with c zero but for one uniform value in each tree. A node's
//! children are AES_k(node) ⊕ node under two public keys of tree and level. The receiver learns, for each level, the sum of the
//! children on the side off its path by OT (its path bits are the choices of OT extension rows), and at the end the sum of all
//! leaves plus the sender's share of value·Δ.

use super::Lpn;
use crate::CorrelationError;
use crate::bit_vole::BLOCK;
use colift_primitives::aes::{KeyedHash, TweakableHash};
use colift_primitives::buffer::Buffer;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::{Prg, Seed};
use rayon::prelude::*;
use std::ops::Range;
use zeroize::Zeroizing;

/// Trees grown together.
const GROUP: usize = 8;

/// The shape of the forest and the seed of its public keys.
pub struct Forest {
    trees: usize,
    leaves: usize,
    depth: usize,
    keys: [u8; 16],
}

impl Forest {
    /// The forest of a parameter set in a session.
    pub fn new(lpn: &Lpn, session: &[u8; 32]) -> Self {
        let digest = PartHash::new("colift VOLE tree keys v1").part(session).finish();
        let mut keys = [0; 16];
        keys.copy_from_slice(&digest[..16]);
        Self { trees: lpn.weight, leaves: lpn.leaves, depth: lpn.depth(), keys }
    }

    /// Rows of OT extension that choose the paths.
    pub fn paths(&self) -> usize {
        self.trees * self.depth
    }

    /// Bytes of one tree's corrections.
    pub fn tree_bytes(&self) -> usize {
        32 * self.depth + 16
    }

    /// Bytes of all corrections.
    pub fn bytes(&self) -> usize {
        self.trees * self.tree_bytes()
    }

    /// Nodes at a level, of which the last has all leaves.
    fn width(&self, level: usize) -> usize {
        self.leaves.div_ceil(1 << (self.depth - level))
    }

    /// Where these positions, one in each tree, lie among all leaves.
    pub fn places(&self, positions: &[usize]) -> impl Iterator<Item = usize> {
        positions.iter().enumerate().map(|(tree, position)| tree * self.leaves + position)
    }

    /// The bits of OT choices, 128 to a block: at each level the side *off* the path.
    pub fn choices(&self, positions: &[usize]) -> Zeroizing<Vec<u128>> {
        let mut blocks = Zeroizing::new(vec![0u128; self.paths().div_ceil(BLOCK)]);
        let sides = positions.iter().flat_map(|position| (1..=self.depth).map(move |level| self.side(*position, level) ^ 1));
        for (row, side) in sides.enumerate() {
            if let Some(block) = blocks.get_mut(row / BLOCK) {
                *block |= (side as u128) << (row % BLOCK);
            }
        }
        blocks
    }

    /// The side of the path below level `level` − 1: 0 left, 1 right.
    fn side(&self, position: usize, level: usize) -> usize {
        position >> (self.depth - level) & 1
    }

    /// The keys of every tree: a pair for each level.
    fn keys(&self) -> Vec<Seed> {
        let mut prg = Prg::from_seed(&Seed::from_bytes(self.keys));
        (0..self.trees).map(|_| prg.next_seed()).collect()
    }

    /// Trees in groups of so many that their leaves fit the last-level cache.
    pub fn groups(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let trees = self.trees;
        (0..trees).step_by(GROUP).map(move |first| first..trees.min(first + GROUP))
    }

    /// Every tree.
    pub fn all(&self) -> Range<usize> {
        0..self.trees
    }

    /// Memory for the leaves of so many trees.
    pub fn memory(&self, trees: usize) -> Buffer<u128> {
        Buffer::scratch(trees.min(self.trees) * self.leaves)
    }
}

/// The sender's growing of trees from fresh roots.
pub struct Growth<'a> {
    forest: &'a Forest,
    keys: Vec<Seed>,
    roots: Zeroizing<Vec<u128>>,
    delta: u128,
    base_b: &'a [u128],
    paths: &'a [u128],
}

impl<'a> Growth<'a> {
    /// Draws the roots.
    pub fn new(forest: &'a Forest, delta: u128, base_b: &'a [u128], paths: &'a [u128]) -> Result<Self, CorrelationError> {
        let mut roots = Prg::from_os()?;
        let roots = Zeroizing::new((0..forest.trees).map(|_| roots.next_u128()).collect::<Vec<u128>>());
        Ok(Self { forest, keys: forest.keys(), roots, delta, base_b, paths })
    }

    /// These trees: leaves to the beginning of `memory`, corrections to their place among all; the leaves.
    pub fn grow<'m>(&self, trees: Range<usize>, memory: &'m mut [u128], corrections: &mut [u8]) -> &'m [u128] {
        let forest = self.forest;
        let leaves = memory.get_mut(..trees.len() * forest.leaves).unwrap_or_default();
        let bytes = trees.start * forest.tree_bytes()..trees.end * forest.tree_bytes();
        let messages = corrections.get_mut(bytes).unwrap_or_default().par_chunks_mut(forest.tree_bytes());
        let all = self.keys.par_iter().zip(self.roots.par_iter()).zip(self.base_b.par_iter()).zip(self.paths.par_chunks(forest.depth));
        let inputs = all.enumerate().skip(trees.start).take(trees.len());
        let hash = TweakableHash::new();
        leaves.par_chunks_mut(forest.leaves).zip(messages).zip(inputs).for_each(
            |((leaves, message), (tree, (((keys, root), base), rows)))| {
                let mut grower = Grower::new(forest, keys);
                let mut nodes = Zeroizing::new(Vec::with_capacity(forest.leaves + 1));
                nodes.push(*root);
                let mut pads = [rows.to_vec(), rows.iter().map(|row| row ^ self.delta).collect()].map(Zeroizing::new);
                pads.iter_mut().for_each(|pads| hash.hash_each(pads, (tree * forest.depth) as u128));
                let (levels, last) = message.split_at_mut(32 * forest.depth);
                for (level, message) in (1..).zip(levels.as_chunks_mut::<32>().0) {
                    let [left, right] = grower.next_level(&mut nodes, level);
                    let masked = [left ^ pads[0][level - 1], right ^ pads[1][level - 1]];
                    message.iter_mut().zip(masked.iter().flat_map(|sum| sum.to_le_bytes())).for_each(|(byte, from)| *byte = from);
                }
                let sum = nodes.iter().fold(*base, |sum, leaf| sum ^ leaf);
                last.copy_from_slice(&sum.to_le_bytes());
                leaves.copy_from_slice(&nodes);
            },
        );
        leaves
    }
}

/// The receiver's growing of trees, as far as it can know them.
pub struct Regrowth<'a> {
    forest: &'a Forest,
    keys: Vec<Seed>,
    positions: &'a [usize],
    base_a: &'a [u128],
    paths: &'a [u128],
    corrections: &'a [u8],
}

impl<'a> Regrowth<'a> {
    /// Of all corrections.
    pub fn new(forest: &'a Forest, positions: &'a [usize], base_a: &'a [u128], paths: &'a [u128], corrections: &'a [u8]) -> Self {
        Self { forest, keys: forest.keys(), positions, base_a, paths, corrections }
    }

    /// These trees, a at every leaf, at the beginning of `memory`.
    pub fn grow<'m>(&self, trees: Range<usize>, memory: &'m mut [u128]) -> &'m [u128] {
        let forest = self.forest;
        let leaves = memory.get_mut(..trees.len() * forest.leaves).unwrap_or_default();
        let all = self.keys.par_iter().zip(self.positions.par_iter()).zip(self.base_a.par_iter());
        let all = all.zip(self.paths.par_chunks(forest.depth).zip(self.corrections.par_chunks(forest.tree_bytes())));
        let inputs = all.enumerate().skip(trees.start).take(trees.len());
        let hash = TweakableHash::new();
        leaves.par_chunks_mut(forest.leaves).zip(inputs).for_each(|(leaves, (tree, (((keys, position), base), (rows, message))))| {
            let mut grower = Grower::new(forest, keys);
            let mut nodes = Zeroizing::new(Vec::with_capacity(forest.leaves + 1));
            nodes.push(0u128);
            let mut pads = Zeroizing::new(rows.to_vec());
            hash.hash_each(&mut pads, (tree * forest.depth) as u128);
            let (levels, last) = message.split_at(32 * forest.depth);
            for (level, message) in (1..).zip(levels.as_chunks::<32>().0) {
                // The unknown node was 0: take its false children out of the sums again.
                let parent = position >> (forest.depth - level + 1);
                let sums = grower.next_level(&mut nodes, level);
                let (on, off) = (2 * parent + forest.side(*position, level), 2 * parent + (forest.side(*position, level) ^ 1));
                let side = off & 1;
                let wire = message.as_chunks::<16>().0.get(side).map_or(0, |bytes| u128::from_le_bytes(*bytes));
                let others = sums[side] ^ nodes.get(off).copied().unwrap_or_default();
                if let Some(node) = nodes.get_mut(off) {
                    *node = wire ^ pads[level - 1] ^ others;
                }
                if let Some(node) = nodes.get_mut(on) {
                    *node = 0;
                }
            }
            let sum = nodes.iter().fold(*base, |sum, leaf| sum ^ leaf);
            let last = last.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes));
            leaves.copy_from_slice(&nodes);
            if let Some(leaf) = leaves.get_mut(*position) {
                *leaf = sum ^ last;
            }
        });
        leaves
    }
}

/// Grows one tree level by level, in two buffers.
struct Grower<'a> {
    forest: &'a Forest,
    keys: Prg,
    spare: Zeroizing<Vec<u128>>,
}

/// Nodes whose children are made at a time.
const BATCH: usize = 64;

impl<'a> Grower<'a> {
    fn new(forest: &'a Forest, keys: &Seed) -> Self {
        Self { forest, keys: Prg::from_seed(keys), spare: Zeroizing::new(Vec::with_capacity(forest.leaves + 1)) }
    }

    /// Replaces the nodes by their children at `level`; the sums of all left and all right ones.
    fn next_level(&mut self, nodes: &mut Zeroizing<Vec<u128>>, level: usize) -> [u128; 2] {
        let hashes = [KeyedHash::new(self.keys.next_u128()), KeyedHash::new(self.keys.next_u128())];
        let width = self.forest.width(level);
        self.spare.clear();
        self.spare.resize(2 * nodes.len(), 0);
        let mut sums = [0u128; 2];
        let mut sides = [[0u128; BATCH]; 2];
        for (parents, children) in nodes.chunks(BATCH).zip(self.spare.chunks_mut(2 * BATCH)) {
            hashes.iter().zip(&mut sides).for_each(|(hash, side)| hash.hash_each(parents, side));
            for (pair, (left, right)) in children.as_chunks_mut::<2>().0.iter_mut().zip(sides[0].iter().zip(&sides[1])) {
                *pair = [*left, *right];
                sums = [sums[0] ^ left, sums[1] ^ right];
            }
        }
        if width < self.spare.len()
            && let Some(surplus) = self.spare.pop()
        {
            sums[1] ^= surplus;
        }
        std::mem::swap(&mut **nodes, &mut *self.spare);
        sums
    }
}
