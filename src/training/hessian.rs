//! The shared Hessian Xᵀ·diag(s)·X/m + Q of the first m rows, s shared: the preconditioner of the Newton steps.
//!
//! Own block: products of two own columns (known in the clear) × the vector s. Cross block: X_oᵀ·diag(s)·X_p =
//! X_oᵀ·(diag(s_p)·X_p) + (diag(s_o)·X_o)ᵀ·X_p, two products of a matrix known to one side with one known to the other.

use crate::training::schedule::{HESSIAN_BITS, HESSIAN_COLUMN_BITS};
use crate::training::secure::Party;
use colift_algebra::AlgebraError;
use colift_algebra::gate::RESULT_BITS;
use colift_algebra::lift::{Batch, lift};
use colift_algebra::product::{Plan, Shape};
use colift_algebra::ring50::{self, MASK};
use rayon::prelude::*;

/// Bits of the largest product of two coarse columns: (64·2^5)² = 2^22.
const PAIR_BITS: u32 = 22;
/// Bits of the largest coarse column entry.
const ENTRY_BITS: u32 = 11;

/// The plan of a block's own pairs of columns times the slopes.
pub(crate) fn own_plan(rows: usize, width: usize) -> Result<Plan, AlgebraError> {
    Plan::new(Shape { rows: width * (width + 1) / 2, inner: rows, columns: 1, entry_bits: PAIR_BITS }, false)
}

/// The plan of a block times the other block scaled by the slopes.
pub(crate) fn cross_plan(rows: usize, width: usize, other: usize) -> Result<Plan, AlgebraError> {
    Plan::new(Shape { rows: width, inner: rows, columns: other, entry_bits: ENTRY_BITS }, false)
}

/// This party's share of the Hessian, row-major in the common order, [`HESSIAN_BITS`] fraction bits.
pub(crate) fn hessian(party: &mut Party<'_>, slope: &[u64]) -> Result<Vec<u64>, AlgebraError> {
    let rows = slope.len();
    let features = party.features;
    let (own_width, peer_width) = (features.width(), party.peer_width);
    // Own blocks: every pair i ≤ j of own columns is one row of a matrix known in the clear.
    let pairs: Vec<(usize, usize)> = (0..own_width).flat_map(|i| (i..own_width).map(move |j| (i, j))).collect();
    let entry = |p: usize, row: usize| {
        let (i, j) = pairs[p];
        features.coarse(row, i) * features.coarse(row, j)
    };
    let (ours, theirs) = party.both_ways(&own_plan(rows, own_width)?, &entry, &own_plan(rows, peer_width)?, &|row, _| slope[row])?;
    let own_block: Vec<u64> = pairs
        .par_iter()
        .zip(ours)
        .map(|((i, j), share)| {
            slope.iter().enumerate().fold(share, |sum, (row, s)| {
                sum.wrapping_add(((features.coarse(row, *i) * features.coarse(row, *j)) as u64).wrapping_mul(*s))
            }) & MASK
        })
        .collect();
    // Cross block.
    let scaled = |row: usize, j: usize| (features.coarse(row, j) as u64).wrapping_mul(slope[row]) & MASK;
    let (holds, asks) = (cross_plan(rows, own_width, peer_width)?, cross_plan(rows, peer_width, own_width)?);
    let (held, sent) = party.both_ways(&holds, &|i, row| features.coarse(row, i), &asks, &scaled)?;
    // held: own × peer; sent: peer × own.
    let cross_block: Vec<u64> =
        (0..own_width * peer_width).map(|k| ring50::add(held[k], sent[k % peer_width * own_width + k / peer_width])).collect();
    let factor = f64::from(HESSIAN_BITS).exp2() / (rows as f64 * f64::from(2 * HESSIAN_COLUMN_BITS + RESULT_BITS).exp2());
    // The lift pairs the parties' shares: the owner's block, the partner's block, the cross block, in this order on both sides.
    let cross_first: Vec<u64> = if party.owner() {
        cross_block
    } else {
        (0..own_width * peer_width).map(|k| cross_block[k % own_width * peer_width + k / own_width]).collect()
    };
    let blocks = party.in_order(own_block, theirs);
    let batches = [Batch { shares: &blocks, modulus: MASK + 1, factor }, Batch { shares: &cross_first, modulus: MASK + 1, factor }];
    let lifted = lift(party.engine, party.channel, &batches)?;
    Ok(assemble(party, &lifted[0], &lifted[1]))
}

/// Lays the lifted blocks out as one symmetric matrix and adds the own ridge.
fn assemble(party: &Party<'_>, blocks: &[u64], cross: &[u64]) -> Vec<u64> {
    let size = party.size();
    let (owner, partner) =
        if party.owner() { (party.features.width(), party.peer_width) } else { (party.peer_width, party.features.width()) };
    let mut matrix = vec![0u64; size * size];
    let mut set = |i: usize, j: usize, value: u64| {
        matrix[i * size + j] = value;
        matrix[j * size + i] = value;
    };
    let mut source = blocks.iter();
    for (start, width) in [(0, owner), (owner, partner)] {
        for i in 0..width {
            for j in i..width {
                set(start + i, start + j, source.next().copied().unwrap_or(0));
            }
        }
    }
    for i in 0..owner {
        for j in 0..partner {
            set(i, owner + j, cross[i * partner + j]);
        }
    }
    let start = if party.owner() { 0 } else { owner };
    for i in 0..party.features.width() {
        for j in 0..party.features.width() {
            let at = (start + i) * size + start + j;
            matrix[at] = ring50::add(matrix[at], ring50::from_signed(party.features.ridge_coarse(i, j)));
        }
    }
    matrix
}
