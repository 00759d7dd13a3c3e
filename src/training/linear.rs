//! Dense linear algebra in f64 on row-major matrices: products by row loops, Gram matrices, Cholesky.
//!
//! Sums over rows run in parallel over blocks of a fixed size and the blocks are added in their order: the result is the same
//! bit for bit whatever the number of threads.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of one block of a sum.
const BLOCK: usize = 1024;
/// Blocks held in memory at a time.
const WAVE: usize = 32;
/// A pivot below this share of its diagonal entry counts as zero.
const PIVOT_FLOOR: f64 = 1e-13;

/// Sums `length` numbers over all rows: `add` adds one block of rows into its slice.
pub(crate) fn sum_over_rows(rows: usize, length: usize, add: impl Fn(Range<usize>, &mut [f64]) + Sync) -> Vec<f64> {
    let mut total = vec![0.0; length];
    let blocks: Vec<Range<usize>> = (0..rows).step_by(BLOCK).map(|start| start..(start + BLOCK).min(rows)).collect();
    for wave in blocks.chunks(WAVE) {
        let parts: Vec<Vec<f64>> = wave
            .par_iter()
            .map(|range| {
                let mut part = vec![0.0; length];
                add(range.clone(), &mut part);
                part
            })
            .collect();
        for part in parts {
            total.iter_mut().zip(&part).for_each(|(sum, value)| *sum += value);
        }
    }
    total
}

/// The inner product of two slices of equal length.
pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// `X·w + offset`, one value a row.
pub fn times(x: ArrayView2<'_, f64>, w: &[f64], offset: f64) -> Vec<f64> {
    let x = x.as_standard_layout();
    let (n, d) = x.dim();
    if d == 0 {
        return vec![offset; n];
    }
    let data = x.as_slice().unwrap_or_default();
    data.par_chunks_exact(d).with_min_len(BLOCK).map(|row| inner(row, w) + offset).collect()
}

/// `Xᵀ·r`, one value a column.
pub fn transposed_times(x: ArrayView2<'_, f64>, r: &[f64]) -> Vec<f64> {
    let x = x.as_standard_layout();
    let d = x.ncols();
    let data = x.as_slice().unwrap_or_default();
    sum_over_rows(x.nrows(), d, |range, sum| {
        for i in range {
            let scale = r[i];
            sum.iter_mut().zip(&data[i * d..(i + 1) * d]).for_each(|(s, v)| *s += scale * v);
        }
    })
}

/// `X·M` for a small square matrix `M`, row by row.
pub fn times_matrix(x: ArrayView2<'_, f64>, m: &Array2<f64>) -> Array2<f64> {
    let x = x.as_standard_layout();
    let (n, d) = x.dim();
    let columns = m.ncols();
    let mut out = Array2::zeros((n, columns));
    if d == 0 || columns == 0 {
        return out;
    }
    let data = x.as_slice().unwrap_or_default();
    let m = m.as_standard_layout();
    let m = m.as_slice().unwrap_or_default();
    if let Some(target) = out.as_slice_mut() {
        target.par_chunks_exact_mut(columns).with_min_len(BLOCK).zip(data.par_chunks_exact(d).with_min_len(BLOCK)).for_each(|(to, row)| {
            for (&value, line) in row.iter().zip(m.chunks_exact(columns)) {
                to.iter_mut().zip(line).for_each(|(t, v)| *t += value * v);
            }
        });
    }
    out
}

/// The Gram matrix `Xᵀ·diag(weights)·X`; without weights `Xᵀ·X`. Divide by the rows for a mean.
pub fn gram(x: ArrayView2<'_, f64>, weights: Option<&[f64]>) -> Array2<f64> {
    let x = x.as_standard_layout();
    let (n, d) = x.dim();
    let data = x.as_slice().unwrap_or_default();
    let row = |i: usize| &data[i * d..(i + 1) * d];
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let upper = sum_over_rows(n, d * d, |range, sum| {
        let mut i = range.start;
        // Four rows at a time: each partial sum is loaded and stored once for four products.
        while i + 4 <= range.end {
            let (r0, r1, r2, r3) = (row(i), row(i + 1), row(i + 2), row(i + 3));
            let (w0, w1, w2, w3) = (weight(i), weight(i + 1), weight(i + 2), weight(i + 3));
            for j in 0..d {
                let (a0, a1, a2, a3) = (w0 * r0[j], w1 * r1[j], w2 * r2[j], w3 * r3[j]);
                let (b0, b1, b2, b3) = (&r0[j..], &r1[j..], &r2[j..], &r3[j..]);
                for (k, s) in sum[j * d + j..(j + 1) * d].iter_mut().enumerate() {
                    *s += a0 * b0[k] + a1 * b1[k] + a2 * b2[k] + a3 * b3[k];
                }
            }
            i += 4;
        }
        for i in i..range.end {
            let (r, w) = (row(i), weight(i));
            for j in 0..d {
                let a = w * r[j];
                sum[j * d + j..(j + 1) * d].iter_mut().zip(&r[j..]).for_each(|(s, v)| *s += a * v);
            }
        }
    });
    Array2::from_shape_fn((d, d), |(i, j)| if i <= j { upper[i * d + j] } else { upper[j * d + i] })
}

/// A lower triangular factor `L` with `L·Lᵀ = A`.
#[derive(Clone, Debug)]
pub struct Cholesky {
    lower: Array2<f64>,
}

impl Cholesky {
    /// Factors a symmetric matrix (its lower triangle is read); `None` where it is not safely positive definite.
    pub fn factor(a: &Array2<f64>) -> Option<Self> {
        let d = a.nrows();
        if a.ncols() != d {
            return None;
        }
        let mut lower = Array2::<f64>::zeros((d, d));
        for j in 0..d {
            for i in j..d {
                let mut value = a[[i, j]];
                for k in 0..j {
                    value -= lower[[i, k]] * lower[[j, k]];
                }
                if i == j {
                    let enough = value.is_finite() && value > PIVOT_FLOOR * a[[j, j]];
                    if !enough {
                        return None;
                    }
                    lower[[j, j]] = value.sqrt();
                } else {
                    lower[[i, j]] = value / lower[[j, j]];
                }
            }
        }
        Some(Self { lower })
    }

    /// The lower factor `L`.
    pub fn lower(&self) -> &Array2<f64> {
        &self.lower
    }

    /// The upper factor `R = Lᵀ` with `Rᵀ·R = A`.
    pub fn upper(&self) -> Array2<f64> {
        self.lower.t().as_standard_layout().into_owned()
    }

    /// `x` with `A·x = b`.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let d = self.lower.nrows();
        let mut x = b.to_vec();
        for i in 0..d {
            for k in 0..i {
                x[i] -= self.lower[[i, k]] * x[k];
            }
            x[i] /= self.lower[[i, i]];
        }
        for i in (0..d).rev() {
            for k in i + 1..d {
                x[i] -= self.lower[[k, i]] * x[k];
            }
            x[i] /= self.lower[[i, i]];
        }
        x
    }

    /// `R⁻¹ = L⁻ᵀ`, upper triangular.
    pub fn upper_inverse(&self) -> Array2<f64> {
        let d = self.lower.nrows();
        let mut inverse = Array2::<f64>::zeros((d, d)); // of L, filled column by column, then transposed
        for j in 0..d {
            inverse[[j, j]] = 1.0 / self.lower[[j, j]];
            for i in j + 1..d {
                let sum: f64 = (j..i).map(|k| self.lower[[i, k]] * inverse[[k, j]]).sum();
                inverse[[i, j]] = -sum / self.lower[[i, i]];
            }
        }
        inverse.t().as_standard_layout().into_owned()
    }

    /// `A⁻¹`, symmetric.
    pub fn inverse(&self) -> Array2<f64> {
        let root = self.upper_inverse();
        let d = root.nrows();
        // A⁻¹ = R⁻¹·R⁻ᵀ, and row i of R⁻¹ is zero left of the diagonal.
        Array2::from_shape_fn((d, d), |(i, j)| (i.max(j)..d).map(|k| root[[i, k]] * root[[j, k]]).sum())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::evaluation::random::normals;

    pub(crate) fn matrix(n: usize, d: usize, seed: u64) -> Array2<f64> {
        Array2::from_shape_vec((n, d), normals(n * d, seed)).unwrap()
    }

    pub(crate) fn largest_difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        assert_eq!(a.dim(), b.dim());
        a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn products_agree_with_ndarray() {
        let x = matrix(5003, 7, 1);
        let w = normals(7, 2);
        let r = normals(5003, 3);
        let expected = x.dot(&ndarray::Array1::from(w.clone()));
        assert!(times(x.view(), &w, 0.5).iter().zip(&expected).all(|(a, b)| (a - b - 0.5).abs() < 1e-12));
        let expected = x.t().dot(&ndarray::Array1::from(r.clone()));
        assert!(transposed_times(x.view(), &r).iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9));
        let mut weighted = x.clone();
        weighted.rows_mut().into_iter().zip(&r).for_each(|(mut row, &w)| row.mapv_inplace(|v| v * w));
        assert!(largest_difference(&gram(x.view(), Some(&r)), &x.t().dot(&weighted)) < 1e-9);
        assert!(largest_difference(&gram(x.view(), None), &x.t().dot(&x)) < 1e-9);
        let m = matrix(7, 3, 4);
        assert!(largest_difference(&times_matrix(x.view(), &m), &x.dot(&m)) < 1e-12);
        // A view that is not row-major gives the same.
        assert!(largest_difference(&gram(x.t().as_standard_layout().t(), None), &gram(x.view(), None)) < 1e-12);
    }

    #[test]
    fn sums_do_not_depend_on_the_number_of_threads() {
        let x = matrix(40_001, 5, 5);
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| gram(x.view(), None));
        let three = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap().install(|| gram(x.view(), None));
        assert_eq!(alone, three);
    }

    #[test]
    fn factor_solve_and_inverse() {
        let x = matrix(60, 9, 6);
        let mut a = gram(x.view(), None);
        a.diag_mut().mapv_inplace(|v| v + 0.1);
        let factor = Cholesky::factor(&a).unwrap();
        let r = factor.upper();
        assert!(largest_difference(&r.t().dot(&r), &a) < 1e-10);
        assert!((0..9).all(|i| (0..i).all(|j| r[[i, j]] == 0.0)), "upper triangular");
        assert!(largest_difference(&factor.upper_inverse().dot(&r), &Array2::eye(9)) < 1e-12);
        assert!(largest_difference(&factor.inverse().dot(&a), &Array2::eye(9)) < 1e-11);
        let b = normals(9, 7);
        let solved = ndarray::Array1::from(factor.solve(&b));
        assert!(a.dot(&solved).iter().zip(&b).all(|(p, q)| (p - q).abs() < 1e-11));
    }

    #[test]
    fn matrices_that_are_not_positive_definite_are_refused() {
        assert!(Cholesky::factor(&ndarray::array![[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(Cholesky::factor(&ndarray::array![[1.0, 1.0], [1.0, 1.0]]).is_none());
        assert!(Cholesky::factor(&ndarray::array![[f64::NAN]]).is_none());
        assert!(Cholesky::factor(&ndarray::array![[1.0, 2.0]]).is_none());
    }

    #[test]
    fn no_columns_at_all() {
        let x = Array2::<f64>::zeros((4, 0));
        assert_eq!(times(x.view(), &[], 2.0), vec![2.0; 4]);
    }
}
