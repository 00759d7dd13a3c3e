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
use zeroize::Zeroizing;

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

    /// All trees from fresh roots: the leaves and the corrections for the receiver.
    pub fn grow(&self, delta: u128, base_b: &[u128], paths: &[u128]) -> Result<(Buffer<u128>, Vec<u8>), CorrelationError> {
        let mut roots = Prg::from_os()?;
        let roots = Zeroizing::new((0..self.trees).map(|_| roots.next_u128()).collect::<Vec<u128>>());
        let mut leaves = Buffer::<u128>::zeroed(self.trees * self.leaves);
        let mut corrections = vec![0u8; self.bytes()];
        let hash = TweakableHash::new();
        let trees = leaves.par_chunks_mut(self.leaves).zip(corrections.par_chunks_mut(self.tree_bytes()));
        let inputs = self.keys().into_par_iter().zip(roots.par_iter()).zip(base_b.par_iter()).zip(paths.par_chunks(self.depth));
        trees.zip(inputs).enumerate().for_each(|(tree, ((leaves, message), (((keys, root), base), rows)))| {
            let mut grower = Grower::new(self, keys);
            let mut nodes = Zeroizing::new(Vec::with_capacity(self.leaves + 1));
            nodes.push(*root);
            let mut pads = [rows.to_vec(), rows.iter().map(|row| row ^ delta).collect()].map(Zeroizing::new);
            pads.iter_mut().for_each(|pads| hash.hash_each(pads, (tree * self.depth) as u128));
            let (levels, last) = message.split_at_mut(32 * self.depth);
            for (level, message) in (1..).zip(levels.as_chunks_mut::<32>().0) {
                let [left, right] = grower.next_level(&mut nodes, level);
                let masked = [left ^ pads[0][level - 1], right ^ pads[1][level - 1]];
                message.iter_mut().zip(masked.iter().flat_map(|sum| sum.to_le_bytes())).for_each(|(byte, from)| *byte = from);
            }
            let sum = nodes.iter().fold(*base, |sum, leaf| sum ^ leaf);
            last.copy_from_slice(&sum.to_le_bytes());
            leaves.copy_from_slice(&nodes);
        });
        Ok((leaves, corrections))
    }

    /// All trees as the receiver can know them: (a, c) at every leaf.
    pub fn regrow(
        &self,
        positions: &[usize],
        noise: &[u128],
        base_a: &[u128],
        paths: &[u128],
        corrections: &[u8],
    ) -> Result<Buffer<[u128; 2]>, CorrelationError> {
        let mut leaves = Buffer::<[u128; 2]>::zeroed(self.trees * self.leaves);
        let hash = TweakableHash::new();
        let inputs = self.keys().into_par_iter().zip(positions.par_iter()).zip(noise.par_iter().zip(base_a.par_iter()));
        let inputs = inputs.zip(paths.par_chunks(self.depth).zip(corrections.par_chunks(self.tree_bytes())));
        let each = leaves.par_chunks_mut(self.leaves).zip(inputs).enumerate();
        each.for_each(|(tree, (leaves, (((keys, position), (value, base)), (rows, message))))| {
            let mut grower = Grower::new(self, keys);
            let mut nodes = Zeroizing::new(Vec::with_capacity(self.leaves + 1));
            nodes.push(0u128);
            let mut pads = Zeroizing::new(rows.to_vec());
            hash.hash_each(&mut pads, (tree * self.depth) as u128);
            let (levels, last) = message.split_at(32 * self.depth);
            for (level, message) in (1..).zip(levels.as_chunks::<32>().0) {
                // The unknown node was 0: take its false children out of the sums again.
                let parent = position >> (self.depth - level + 1);
                let sums = grower.next_level(&mut nodes, level);
                let (on, off) = (2 * parent + self.side(*position, level), 2 * parent + (self.side(*position, level) ^ 1));
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
            for (leaf, node) in leaves.iter_mut().zip(nodes.iter()) {
                leaf[0] = *node;
            }
            if let Some(leaf) = leaves.get_mut(*position) {
                *leaf = [sum ^ last, *value];
            }
        });
        Ok(leaves)
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
    fn new(forest: &'a Forest, keys: Seed) -> Self {
        Self { forest, keys: Prg::from_seed(&keys), spare: Zeroizing::new(Vec::with_capacity(forest.leaves + 1)) }
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
