//! The shared Hessian Xᵀ·diag(s)·X/m + Q of the first m rows, s shared: the preconditioner of the Newton steps.
//!
//! Own block: products of two own columns (known in the clear) × the vector s. Cross block: X_oᵀ·diag(s)·X_p =
//! X_oᵀ·(diag(s_p)·X_p) + (diag(s_o)·X_o)ᵀ·X_p, two products of a matrix known to one side with one known to the other.

use crate::training::schedule::{COLUMN_LIMIT, HESSIAN_BITS, HessianPrecision, Start};
use crate::training::secure::Party;
use colift_algebra::AlgebraError;
use colift_algebra::lift::{Batch, lift};
use colift_algebra::product::{Entries, Plan, Shape, Tile, multiply, receive_product, receive_upload, upload};
use colift_algebra::ring50;
use rayon::prelude::*;

/// Bits of [`COLUMN_LIMIT`].
const LIMIT_BITS: u32 = (COLUMN_LIMIT as u32).trailing_zeros();

/// The plan of a block's own pairs of columns times the slopes. By Cauchy and Schwarz the absolute entries of a row add up to at
/// most the bound of a column's sum of squares.
pub(crate) fn own_plan(rows: usize, width: usize, precision: &HessianPrecision) -> Result<Plan, AlgebraError> {
    let entry_bits = 2 * (LIMIT_BITS + precision.column_bits);
    let row_bits = precision.square_mass(rows).log2().ceil() as u32;
    let modulus_bits = precision.modulus_bits;
    Plan::new(Shape { rows: width * (width + 1) / 2, inner: rows, columns: 1, entry_bits, row_bits, modulus_bits }, false)
}

/// The plan of a block times the other block scaled by the slopes. By Cauchy and Schwarz the absolute entries of a column add up
/// to at most √(rows · its sum of squares).
pub(crate) fn cross_plan(rows: usize, width: usize, other: usize, precision: &HessianPrecision) -> Result<Plan, AlgebraError> {
    let entry_bits = LIMIT_BITS + precision.column_bits;
    let row_bits = (rows as f64 * precision.square_mass(rows)).sqrt().log2().ceil() as u32;
    let modulus_bits = precision.modulus_bits;
    Plan::new(Shape { rows: width, inner: rows, columns: other, entry_bits, row_bits, modulus_bits }, false)
}

/// The entries of the transposed coarse columns, `rows` each.
fn transposed(columns: &[i32], rows: usize) -> impl Fn(&Tile, &mut [i32]) + Sync {
    move |tile, out| tile.write_rows(out, |j| columns[j * rows..][tile.inner.clone()].iter().copied())
}

/// Pairs i ≤ j of so many columns, in the order of an own block.
fn pairs(width: usize) -> Vec<(usize, usize)> {
    (0..width).flat_map(|i| (i..width).map(move |j| (i, j))).collect()
}

/// The transpose of a matrix with rows of this length.
fn turned(matrix: &[u64], length: usize) -> Vec<u64> {
    (0..length).flat_map(|column| matrix.iter().skip(column).step_by(length).copied()).collect()
}

/// This party's share of the Hessian, row-major in the common order, [`HESSIAN_BITS`] fraction bits; `slope` has the precision's.
pub(crate) fn hessian(party: &mut Party<'_>, slope: &[u64], precision: &HessianPrecision) -> Result<Vec<u64>, AlgebraError> {
    let rows = slope.len();
    let features = party.features;
    let (own_width, peer_width) = (features.width(), party.peer_width);
    // Own blocks: every pair i ≤ j of own columns is one row of a matrix known in the clear.
    let pairs = pairs(own_width);
    let columns = features.coarse_columns(rows, precision);
    let column = |j: usize| &columns[j * rows..(j + 1) * rows];
    let write = |tile: &Tile, out: &mut [i32]| {
        tile.write_rows(out, |pair| {
            let (i, j) = pairs[pair];
            column(i)[tile.inner.clone()].iter().zip(&column(j)[tile.inner.clone()]).map(|(a, b)| a * b)
        });
    };
    let (holds, asks) = (own_plan(rows, own_width, precision)?, own_plan(rows, peer_width, precision)?);
    let (ours, theirs) = party.both_ways(&holds, &write, &asks, &|row, _| slope[row])?;
    let mask = (1u64 << precision.modulus_bits) - 1;
    let own_block: Vec<u64> = pairs
        .par_iter()
        .zip(ours)
        .map(|((i, j), share)| {
            let products = column(*i).iter().zip(column(*j)).map(|(a, b)| i64::from(a * b) as u64);
            products.zip(slope).fold(share, |sum, (product, s)| sum.wrapping_add(product.wrapping_mul(*s))) & mask
        })
        .collect();
    // Cross block.
    let scaled = |row: usize, j: usize| (i64::from(columns[j * rows + row]) as u64).wrapping_mul(slope[row]);
    let (holds, asks) = (cross_plan(rows, own_width, peer_width, precision)?, cross_plan(rows, peer_width, own_width, precision)?);
    let (held, sent) = party.both_ways(&holds, &transposed(&columns, rows), &asks, &scaled)?;
    // held: own × peer; sent: peer × own.
    let cross_block: Vec<u64> = held.iter().zip(turned(&sent, own_width)).map(|(a, b)| a.wrapping_add(b) & mask).collect();
    let factor = f64::from(HESSIAN_BITS).exp2() / (rows as f64 * f64::from(2 * precision.column_bits + precision.slope_bits).exp2());
    // The lift pairs the parties' shares: the owner's block, the partner's block, the cross block, in this order on both sides.
    let cross_first = if party.owner() { cross_block } else { turned(&cross_block, peer_width) };
    let blocks = party.in_order(own_block, theirs);
    let batches = [Batch { shares: &blocks, modulus: mask + 1, factor }, Batch { shares: &cross_first, modulus: mask + 1, factor }];
    let lifted = lift(party.engine, party.channel, &batches)?;
    Ok(assemble(party, &lifted[0], &lifted[1]))
}

/// This party's share of s·XᵀX/m + Q on the first m rows for the public slope s of the constant model, as [`hessian`]'s. Own
/// blocks are each party's own; the cross block is one product of the partner's columns with the owner's, encrypted.
pub(crate) fn constant_hessian(party: &mut Party<'_>, start: &Start, precision: &HessianPrecision) -> Result<Vec<u64>, AlgebraError> {
    let (rows, features) = (start.hessian_rows, party.features);
    let (own_width, peer_width) = (features.width(), party.peer_width);
    let columns = features.coarse_columns(rows, precision);
    let column = |j: usize| &columns[j * rows..(j + 1) * rows];
    let factor = start.slope * f64::from(HESSIAN_BITS).exp2() / (rows as f64 * f64::from(2 * precision.column_bits).exp2());
    let pairs = pairs(own_width);
    let own_block: Vec<u64> = pairs
        .par_iter()
        .map(|(i, j)| {
            let sum: i64 = column(*i).iter().zip(column(*j)).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            ring50::from_signed((sum as f64 * factor).round() as i64)
        })
        .collect();
    let zeros = vec![0u64; peer_width * (peer_width + 1) / 2];
    // Owner's columns × partner's columns on both sides.
    let cross: Vec<u64> = if party.owner() {
        let plan = cross_plan(rows, peer_width, own_width, precision)?;
        upload(party.engine, party.channel, &plan, &|row, j| i64::from(columns[j * rows + row]) as u64)?;
        let share = receive_product(party.engine, party.channel, &plan)?;
        turned(&share, own_width)
    } else {
        let plan = cross_plan(rows, own_width, peer_width, precision)?;
        let uploaded = receive_upload(party.engine, party.channel, &plan)?;
        let share = multiply(party.engine, party.channel, &plan, &uploaded, Entries::Small(&transposed(&columns, rows)))?;
        turned(&share, peer_width)
    };
    let lifted = lift(party.engine, party.channel, &[Batch { shares: &cross, modulus: 1 << precision.modulus_bits, factor }])?.concat();
    let blocks = party.in_order(own_block, zeros);
    Ok(assemble(party, &blocks, &lifted))
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
