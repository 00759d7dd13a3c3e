//! One party's training columns as the protocols use them: whitened, in fixed point, with the ridge in the same coordinates.

use crate::error::Failure;
use crate::evaluation::random::SplitMix;
use crate::training::schedule::{COLUMN_BITS, COLUMN_LIMIT, HESSIAN_BITS, HessianPrecision, RIDGE_BITS};
use crate::training::whitening::{Dependence, bound, whiten};
use colift_algebra::ring50::MASK;
use ndarray::Array2;
use rayon::prelude::*;

/// Rows of a block of the local products.
const BLOCK: usize = 4096;

/// Curvature of a coordinate that only fills up the width.
const FILLING_RIDGE: f64 = 0.125;

/// Whitened columns X·B of one party, Bᵀ(XᵀX/n + 4λI)B = I but for columns that were halved to fit; the owner's come after a column
/// of ones (the intercept). B has no part along directions in which X is constant ([`Dependence`]).
#[derive(Clone, Debug)]
pub struct Features {
    rows: usize,
    width: usize,
    intercept: bool,
    /// Column by column, [`COLUMN_BITS`] fraction bits: rounded up or down by chance (public coins), so that what is lost does not hang
    /// together with what the model leaves unexplained.
    values: Vec<i16>,
    /// B.
    back: Array2<f64>,
    /// λ·BᵀB, zero for the intercept.
    ridge: Array2<f64>,
    /// What the directions left out add to vᵀH⁻¹v of each weight, the intercept first.
    left_out: Vec<f64>,
    /// The same for the intercept, whoever has it.
    constant: f64,
}

impl Features {
    /// Whitens standardised training columns (rows × columns).
    ///
    /// # Errors
    /// Exit 15 when the columns cannot be whitened.
    pub fn new(standardised: &Array2<f64>, l2: f64, intercept: bool) -> Result<Self, Failure> {
        Self::of(standardised, &Dependence::of(standardised.view()), l2, intercept, false)
    }

    /// As [`Features::new`] with the columns' dependence at hand. `filled`: coordinates that are zero on all rows make the width that of
    /// the columns, for standard errors, which take as many quadratic forms as a side has weights.
    ///
    /// # Errors
    /// As [`Features::new`].
    pub fn of(standardised: &Array2<f64>, dependence: &Dependence, l2: f64, intercept: bool, filled: bool) -> Result<Self, Failure> {
        let (rows, columns) = standardised.dim();
        let (shift, rank) = (usize::from(intercept), dependence.rank());
        let width = shift + Self::own_width(dependence, columns, filled);
        let (mut whitened, mut back) = whiten(standardised.view(), dependence, 4.0 * l2)?;
        bound(&mut whitened, &mut back, COLUMN_LIMIT);
        let scale = f64::from(COLUMN_BITS).exp2();
        let mut values = vec![0i16; rows * width];
        if intercept {
            values[..rows].fill(1 << COLUMN_BITS);
        }
        values[shift * rows..].par_chunks_exact_mut(rows.max(1)).take(rank).enumerate().for_each(|(j, column)| {
            let mut random = SplitMix::new(2 + u64::from(intercept), j as u64);
            let mut round = |value: f64| (value * scale + random.unit()).floor() as i16;
            column.iter_mut().zip(whitened.column(j)).for_each(|(slot, value)| *slot = round(*value));
        });
        let mut ridge = Array2::zeros((width, width));
        for i in 0..rank {
            for j in 0..rank {
                ridge[[i + shift, j + shift]] = l2 * (0..columns).map(|k| back[[k, i]] * back[[k, j]]).sum::<f64>();
            }
        }
        (shift + rank..width).for_each(|j| ridge[[j, j]] = FILLING_RIDGE);
        // H·(−c, d) = λ·(0, d) along a direction d with X·d = c, so it adds |d|²/λ and c²/λ.
        let constant = dependence.constant() / l2;
        let left_out = intercept.then_some(constant).into_iter().chain(dependence.left_out().into_iter().map(|part| part / l2)).collect();
        Ok(Self { rows, width, intercept, values, back, ridge, left_out, constant })
    }

    /// Coordinates of columns with this dependence, without the intercept.
    #[must_use]
    pub fn own_width(dependence: &Dependence, columns: usize, filled: bool) -> usize {
        if filled { columns } else { dependence.rank() }
    }

    /// Training rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, the intercept included.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// A column with [`COLUMN_BITS`] fraction bits.
    #[must_use]
    pub fn column(&self, j: usize) -> &[i16] {
        &self.values[j * self.rows..(j + 1) * self.rows]
    }

    /// X·w modulo 2^50 on the first `rows` rows, in fixed point.
    #[must_use]
    pub fn times(&self, w: &[u64], rows: usize) -> Vec<u64> {
        let mut sums = vec![0u64; rows];
        sums.par_chunks_mut(BLOCK).enumerate().for_each(|(block, sums)| {
            for (j, w) in w.iter().enumerate() {
                let column = &self.column(j)[block * BLOCK..][..sums.len()];
                for (sum, x) in sums.iter_mut().zip(column) {
                    *sum = sum.wrapping_add((i64::from(*x) as u64).wrapping_mul(*w));
                }
            }
            sums.iter_mut().for_each(|sum| *sum &= MASK);
        });
        sums
    }

    /// Xᵀ·r modulo 2^50 over the first `r.len()` rows, in fixed point.
    #[must_use]
    pub fn transposed_times(&self, r: &[u64]) -> Vec<u64> {
        let dot = |j: usize| {
            let products = self.column(j).iter().zip(r).map(|(x, r)| (i64::from(*x) as u64).wrapping_mul(*r));
            products.fold(0u64, u64::wrapping_add) & MASK
        };
        (0..self.width).into_par_iter().map(dot).collect()
    }

    /// The columns that make a Hessian of the first `rows` rows, with the precision's fraction bits: rounded up or down by chance
    /// (public coins), so that no column's mean moves. Where a rare column is denser in these rows than the precision allows, its
    /// values shrink: a Hessian only preconditions.
    #[must_use]
    pub fn coarse_columns(&self, rows: usize, precision: &HessianPrecision) -> Vec<i32> {
        let drop = COLUMN_BITS - precision.column_bits;
        let mut columns = vec![0i32; self.width * rows];
        columns.par_chunks_exact_mut(rows.max(1)).enumerate().for_each(|(j, column)| {
            let mut random = SplitMix::new(u64::from(self.intercept), j as u64);
            for (slots, values) in column.chunks_mut(8).zip(self.column(j).chunks(8)) {
                let word = random.next();
                for (k, (slot, value)) in slots.iter_mut().zip(values).enumerate() {
                    let coin = (word >> (8 * k)) as i32 & ((1 << drop) - 1);
                    *slot = (i32::from(*value) + coin) >> drop;
                }
            }
            let mass: f64 = column.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            let most = precision.square_mass(rows);
            if mass > most {
                let shrink = (most / mass).sqrt();
                column.iter_mut().for_each(|x| *x = (f64::from(*x) * shrink) as i32);
            }
        });
        columns
    }

    /// Entry of the ridge matrix with [`RIDGE_BITS`].
    #[must_use]
    pub fn ridge_fine(&self, i: usize, j: usize) -> i64 {
        (self.ridge[[i, j]] * f64::from(RIDGE_BITS).exp2()).round() as i64
    }

    /// Entry of the ridge matrix with [`HESSIAN_BITS`].
    #[must_use]
    pub fn ridge_coarse(&self, i: usize, j: usize) -> i64 {
        (self.ridge[[i, j]] * f64::from(HESSIAN_BITS).exp2()).round() as i64
    }

    /// For each weight on a standardised column, the intercept first, its direction in whitened coordinates.
    #[must_use]
    pub fn directions(&self) -> Vec<Direction> {
        let shift = usize::from(self.intercept);
        let direction = |j: usize| {
            let mut unit = vec![0.0; self.width];
            if j < shift {
                unit[j] = 1.0;
            } else {
                unit[shift..].iter_mut().zip(self.back.row(j - shift)).for_each(|(slot, r)| *slot = *r);
            }
            let norm = unit.iter().map(|v| v * v).sum::<f64>().sqrt();
            // A column that is constant after the cut has no direction of its own.
            unit.iter_mut().filter(|_| norm > 0.0).for_each(|v| *v /= norm);
            Direction { norm, unit, left_out: self.left_out[j] }
        };
        (0..shift + self.back.nrows()).map(direction).collect()
    }

    /// What the directions left out on this side add to vᵀH⁻¹v of the intercept.
    #[must_use]
    pub fn constant(&self) -> f64 {
        self.constant
    }

    /// Weights on the standardised columns from weights on the whitened ones; the intercept stays first.
    #[must_use]
    pub fn unwhiten(&self, weights: &[f64]) -> Vec<f64> {
        let shift = usize::from(self.intercept);
        let tail = self.back.rows().into_iter().map(|row| row.iter().zip(&weights[shift..]).map(|(r, w)| r * w).sum());
        weights[..shift].iter().copied().chain(tail).collect()
    }
}

/// A weight on a standardised column is `norm` times the inner product of `unit` with the whitened weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The row's norm.
    pub norm: f64,
    /// The row over its norm.
    pub unit: Vec<f64>,
    /// What directions outside of the whitened coordinates add to vᵀH⁻¹v.
    pub left_out: f64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn logits_do_not_change_by_whitening_and_the_ridge_is_the_same_form() {
        let x = Array2::from_shape_fn((400, 3), |(i, j)| ((i * (7 + j) + j * j) % 23) as f64 / 7.0 - 1.5);
        let features = Features::new(&x, 1e-3, true).unwrap();
        let whitened = [0.3, -0.7, 0.2, 1.1];
        let (weights, scale) = (features.unwhiten(&whitened), f64::from(COLUMN_BITS).exp2());
        for i in 0..400 {
            let direct = weights[0] + (0..3).map(|j| x[[i, j]] * weights[1 + j]).sum::<f64>();
            let fixed = (0..4).map(|j| f64::from(features.column(j)[i]) / scale * whitened[j]).sum::<f64>();
            assert!((direct - fixed).abs() < 0.01);
        }
        let form: f64 =
            (0..4).flat_map(|i| (0..4).map(move |j| (i, j))).map(|(i, j)| whitened[i] * features.ridge[[i, j]] * whitened[j]).sum();
        let direct: f64 = weights[1..].iter().map(|w| 1e-3 * w * w).sum();
        assert!((form - direct).abs() < 1e-9);
    }

    /// What rounding takes from a level of a discrete column must be chance: `rwm5yr`, where it was not, ended 0.27 standard errors off.
    #[test]
    fn rounding_keeps_the_mean_of_every_level() {
        let x = Array2::from_shape_fn((6_000, 1), |(i, _)| (i % 6) as f64 / 1.7 - 1.47);
        let features = Features::new(&x, 1e-3, false).unwrap();
        let (mut whitened, mut back) = whiten(x.view(), &Dependence::of(x.view()), 4e-3).unwrap();
        bound(&mut whitened, &mut back, COLUMN_LIMIT);
        let lost = |i: usize| f64::from(features.column(0)[i]) - whitened[[i, 0]] * f64::from(COLUMN_BITS).exp2();
        for level in 0..6 {
            let mean = (level..6_000).step_by(6).map(lost).sum::<f64>() / 1_000.0;
            assert!(mean.abs() < 4.0 * 0.5 / 1_000f64.sqrt(), "level {level} moved by {mean} units");
        }
    }

    #[test]
    fn coarse_columns_keep_their_means_and_their_mass() {
        // A rare column: 16 of 4,000 rows.
        let x = Array2::from_shape_fn((4_000, 2), |(i, j)| {
            if j == 0 { f64::from(u8::from(i % 250 == 0)) * 15.0 - 0.06 } else { (i % 7) as f64 / 2.0 - 1.5 }
        });
        let features = Features::new(&x, 1e-3, true).unwrap();
        let precision = HessianPrecision { column_bits: 3, slope_bits: 8, modulus_bits: 40 };
        let coarse = features.coarse_columns(4_000, &precision);
        for (j, column) in coarse.chunks_exact(4_000).enumerate() {
            let mean = |sum: f64, bits: i32| sum / 4_000.0 / f64::from(bits).exp2();
            let exact = mean(features.column(j).iter().map(|x| f64::from(*x)).sum(), COLUMN_BITS as i32);
            let got = mean(column.iter().map(|x| f64::from(*x)).sum(), 3);
            assert!((exact - got).abs() < 4.0 / 16.0 / 4_000f64.sqrt(), "column {j}: {exact} became {got}");
            let fine = |x: &i16| f64::from(*x) / f64::from(COLUMN_BITS).exp2();
            assert!(column.iter().zip(features.column(j)).all(|(c, x)| (f64::from(*c) / 8.0 - fine(x)).abs() < 0.125));
        }
        // Four rows in a row, then none: eight times the mean square of all rows.
        let x = Array2::from_shape_fn((4_000, 1), |(i, _)| f64::from(u8::from(i < 500)));
        let features = Features::new(&x, 1e-3, false).unwrap();
        let coarse = features.coarse_columns(500, &precision);
        let mass: f64 = coarse.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        assert!(mass <= precision.square_mass(500) && mass > 0.5 * precision.square_mass(500), "{mass}");
    }
}
