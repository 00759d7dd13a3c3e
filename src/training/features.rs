//! One party's training columns as the protocols use them: whitened, in fixed point, with the ridge in the same coordinates.

use crate::error::{Exit, Failure};
use crate::training::linear::whiten;
use crate::training::schedule::{COLUMN_BITS, COLUMN_LIMIT, HESSIAN_BITS, HESSIAN_COLUMN_BITS, RIDGE_BITS};
use colift_algebra::ring50::MASK;
use ndarray::Array2;
use rayon::prelude::*;

/// Whitened columns X·R⁻¹ of one party, RᵀR = XᵀX/n + 4λI; the owner's come after a column of ones (the intercept).
#[derive(Clone, Debug)]
pub struct Features {
    rows: usize,
    width: usize,
    intercept: bool,
    /// Row-major, [`COLUMN_BITS`] fraction bits.
    values: Vec<i32>,
    /// R⁻¹.
    back: Array2<f64>,
    /// λ·R⁻ᵀR⁻¹, zero for the intercept.
    ridge: Array2<f64>,
}

impl Features {
    /// Whitens standardised training columns (rows × columns).
    ///
    /// # Errors
    /// Exit 13 when a whitened value exceeds the fixed-point range; exit 15 when the columns cannot be whitened.
    pub fn new(standardised: &Array2<f64>, l2: f64, intercept: bool) -> Result<Self, Failure> {
        let (rows, columns) = standardised.dim();
        let shift = usize::from(intercept);
        let width = columns + shift;
        let (whitened, back) =
            if columns == 0 { (standardised.clone(), Array2::zeros((0, 0))) } else { whiten(standardised.view(), 4.0 * l2)? };
        let scale = f64::from(COLUMN_BITS).exp2();
        let mut values = vec![0i32; rows * width];
        for (row, target) in whitened.rows().into_iter().zip(values.chunks_exact_mut(width.max(1))) {
            if intercept {
                target[0] = 1 << COLUMN_BITS;
            }
            for (value, slot) in row.iter().zip(&mut target[shift..]) {
                if value.abs() >= COLUMN_LIMIT {
                    return Err(Failure::new(
                        Exit::Data,
                        643,
                        format!("a whitened column reaches {value:.0}, at most {COLUMN_LIMIT} fits"),
                    )
                    .hint("lower `clip` in the job, or leave out columns that are almost always zero"));
                }
                *slot = (value * scale).round() as i32;
            }
        }
        let mut ridge = Array2::zeros((width, width));
        for i in 0..columns {
            for j in 0..columns {
                ridge[[i + shift, j + shift]] = l2 * (0..columns).map(|k| back[[k, i]] * back[[k, j]]).sum::<f64>();
            }
        }
        Ok(Self { rows, width, intercept, values, back, ridge })
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

    /// Value of row i, column j with [`COLUMN_BITS`] fraction bits.
    #[must_use]
    #[inline]
    pub fn value(&self, i: usize, j: usize) -> i64 {
        i64::from(self.values[i * self.width + j])
    }

    /// The same with [`HESSIAN_COLUMN_BITS`].
    #[must_use]
    #[inline]
    pub fn coarse(&self, i: usize, j: usize) -> i64 {
        const DROP: u32 = COLUMN_BITS - HESSIAN_COLUMN_BITS;
        (self.value(i, j) + (1 << (DROP - 1))) >> DROP
    }

    /// A row with [`COLUMN_BITS`] fraction bits.
    #[must_use]
    pub fn row(&self, i: usize) -> &[i32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }

    /// Coarse values of the first `rows` rows column by column, `rows` each.
    #[must_use]
    pub fn coarse_columns(&self, rows: usize) -> Vec<i32> {
        let mut columns = vec![0i32; self.width * rows];
        columns.par_chunks_exact_mut(rows.max(1)).enumerate().for_each(|(j, column)| {
            column.iter_mut().enumerate().for_each(|(i, slot)| *slot = self.coarse(i, j) as i32);
        });
        columns
    }

    /// Xᵀ·r modulo 2^50 over the first `r.len()` rows, in fixed point.
    #[must_use]
    pub fn transposed_times(&self, r: &[u64]) -> Vec<u64> {
        const BLOCK: usize = 4096;
        let width = self.width.max(1);
        let parts = self.values.par_chunks(BLOCK * width).zip(r.par_chunks(BLOCK)).map(|(values, r)| {
            let mut sums = vec![0u64; self.width];
            for (row, r) in values.chunks_exact(width).zip(r) {
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum = sum.wrapping_add((i64::from(*x) as u64).wrapping_mul(*r));
                }
            }
            sums
        });
        let add = |mut a: Vec<u64>, b: Vec<u64>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(b));
            a
        };
        parts.reduce(|| vec![0u64; self.width], add).into_iter().map(|sum| sum & MASK).collect()
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

    /// Weights on the standardised columns from weights on the whitened ones; the intercept stays first.
    #[must_use]
    pub fn unwhiten(&self, weights: &[f64]) -> Vec<f64> {
        let shift = usize::from(self.intercept);
        let tail = self.back.rows().into_iter().map(|row| row.iter().zip(&weights[shift..]).map(|(r, w)| r * w).sum());
        weights[..shift].iter().copied().chain(tail).collect()
    }
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
        let weights = features.unwhiten(&whitened);
        for i in 0..400 {
            let direct = weights[0] + (0..3).map(|j| x[[i, j]] * weights[1 + j]).sum::<f64>();
            let fixed = (0..4).map(|j| features.value(i, j) as f64 / 256.0 * whitened[j]).sum::<f64>();
            assert!((direct - fixed).abs() < 0.01);
        }
        let form: f64 =
            (0..4).flat_map(|i| (0..4).map(move |j| (i, j))).map(|(i, j)| whitened[i] * features.ridge[[i, j]] * whitened[j]).sum();
        let direct: f64 = weights[1..].iter().map(|w| 1e-3 * w * w).sum();
        assert!((form - direct).abs() < 1e-9);
    }
}
