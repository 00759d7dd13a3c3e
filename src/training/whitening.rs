//! Local whitening: which columns follow from others, and coordinates in which a party's columns are uncorrelated and bounded.

use crate::error::{Exit, Failure};
use crate::training::linear::{Cholesky, gram, inner, times_matrix, transposed_times};
use ndarray::{Array2, ArrayView2};
use std::f64::consts::FRAC_1_SQRT_2;

/// Share of a column's variance that others must leave unexplained for it to count as independent of them.
const DEPENDENT: f64 = 1e-12;
/// Two coordinates are turned only where the lower peak is below this share of the higher one: each turn then lowers the higher one.
const GENTLE: f64 = 0.25;
/// From this weight on, on columns of variance 1, a column takes part in a dependence.
const TAKES_PART: f64 = 1e-3;

/// Which of a party's columns follow from the others on its rows, up to a constant.
///
/// Along such a direction d of weights, X·d is one constant c: the intercept can take its place, so the ridge solution has no part
/// along d. Whitening leaves these directions out, and only these; the model keeps all columns.
#[derive(Clone, Debug)]
pub struct Dependence {
    /// `Xᵀ·X/n`.
    moments: Array2<f64>,
    /// Columns that determine the others, ascending.
    lead: Vec<usize>,
    /// The others, ascending.
    follow: Vec<usize>,
    /// lead × follow: the centred columns that follow are the centred lead columns times this.
    turn: Array2<f64>,
    /// columns × follow: an orthonormal basis of the directions in which X·d is constant.
    null: Array2<f64>,
    /// X·d of each of them.
    constants: Vec<f64>,
}

impl Dependence {
    /// Finds what follows from what by a pivoted Cholesky factorisation of the correlations (Higham 1990).
    #[must_use]
    pub fn of(x: ArrayView2<'_, f64>) -> Self {
        let (rows, d) = (x.nrows().max(1) as f64, x.ncols());
        let mut moments = gram(x, None);
        moments.mapv_inplace(|v| v / rows);
        let means: Vec<f64> = transposed_times(x, &vec![1.0; x.nrows()]).iter().map(|sum| sum / rows).collect();
        let covariance = |i: usize, j: usize| moments[[i, j]] - means[i] * means[j];
        let deviations: Vec<f64> = (0..d).map(|j| covariance(j, j).max(0.0).sqrt()).collect();
        let scale = |j: usize| if deviations[j] > 0.0 { deviations[j] } else { 1.0 };
        let mut rest: Vec<f64> = deviations.iter().map(|s| f64::from(u8::from(*s > 0.0))).collect();
        // Rows of L as far as they are known.
        let mut lower: Vec<Vec<f64>> = vec![Vec::new(); d];
        let (mut order, mut taken) = (Vec::with_capacity(d), vec![false; d]);
        // Of equal candidates the first one in the file.
        let next = |rest: &[f64], taken: &[bool]| {
            (0..d).rev().filter(|j| !taken[*j] && rest[*j] > DEPENDENT).max_by(|a, b| rest[*a].total_cmp(&rest[*b]))
        };
        while let Some(pivot) = next(&rest, &taken) {
            let root = rest[pivot].sqrt();
            let row = lower[pivot].clone();
            lower[pivot].push(root);
            order.push(pivot);
            taken[pivot] = true;
            for i in (0..d).filter(|i| !taken[*i]) {
                let entry = (covariance(i, pivot) / (scale(i) * scale(pivot)) - inner(&lower[i], &row)) / root;
                lower[i].push(entry);
                rest[i] -= entry * entry;
            }
        }
        let follow: Vec<usize> = (0..d).filter(|j| !taken[*j]).collect();
        let mut lead = order.clone();
        lead.sort_unstable();
        let mut turn = Array2::zeros((lead.len(), follow.len()));
        for (place, j) in follow.iter().enumerate() {
            // L₁₁ᵀ·t = the column's row of L, from the last pivot to the first.
            let mut t = vec![0.0; order.len()];
            for k in (0..order.len()).rev() {
                let later: f64 = (k + 1..order.len()).map(|i| lower[order[i]][k] * t[i]).sum();
                t[k] = (lower[*j][k] - later) / lower[order[k]][k];
            }
            for (pivot, t) in order.iter().zip(t) {
                let row = lead.binary_search(pivot).unwrap_or_default();
                turn[[row, place]] = t * scale(*j) / scale(*pivot);
            }
        }
        let mut all = Self { moments, lead, follow, turn, null: Array2::zeros((d, 0)), constants: Vec::new() };
        if !all.follow.is_empty() {
            let mut basis = Array2::zeros((d, all.follow.len()));
            for (place, j) in all.follow.iter().enumerate() {
                basis[[*j, place]] = 1.0;
                all.lead.iter().enumerate().for_each(|(row, i)| basis[[*i, place]] = -all.turn[[row, place]]);
            }
            // Its Gram matrix is I + TᵀT.
            if let Some(factor) = Cholesky::factor(&basis.t().dot(&basis)) {
                all.null = basis.dot(&factor.upper_inverse());
                all.constants = all.null.columns().into_iter().map(|d| d.iter().zip(&means).map(|(d, mean)| d * mean).sum()).collect();
            }
        }
        all
    }

    /// How many directions the rows determine.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.lead.len()
    }

    /// Groups of columns that follow from each other, ascending, each with the number of directions that are left out.
    #[must_use]
    pub fn groups(&self) -> Vec<(Vec<usize>, usize)> {
        let deviation = |j: usize| self.moments[[j, j]].sqrt();
        let mut groups: Vec<(Vec<usize>, usize)> = Vec::new();
        for (place, j) in self.follow.iter().enumerate() {
            let takes_part = |row: &usize| {
                let weight = self.turn[[*row, place]].abs();
                weight * deviation(self.lead[*row]) > TAKES_PART * deviation(*j)
            };
            let mut group = vec![*j];
            group.extend((0..self.lead.len()).filter(takes_part).map(|row| self.lead[row]));
            let mut left_out = 1;
            groups.retain(|(other, count)| {
                let apart = !other.iter().any(|column| group.contains(column));
                if !apart {
                    group.extend(other);
                    left_out += count;
                }
                apart
            });
            group.sort_unstable();
            group.dedup();
            groups.push((group, left_out));
        }
        groups.sort();
        groups
    }

    /// For each column the squared length of its weight's part along the directions left out.
    #[must_use]
    pub fn left_out(&self) -> Vec<f64> {
        self.null.rows().into_iter().map(|row| row.iter().map(|v| v * v).sum()).collect()
    }

    /// The sum of the squares of X·d over these directions, each of length 1.
    #[must_use]
    pub fn constant(&self) -> f64 {
        self.constants.iter().map(|c| c * c).sum()
    }

    /// Columns × rank: a basis of the weights that have no part along the directions left out.
    fn basis(&self) -> Array2<f64> {
        let mut basis = Array2::zeros((self.moments.nrows(), self.lead.len()));
        self.lead.iter().enumerate().for_each(|(row, i)| basis[[*i, row]] = 1.0);
        for (place, j) in self.follow.iter().enumerate() {
            (0..self.lead.len()).for_each(|row| basis[[*j, row]] = self.turn[[row, place]]);
        }
        basis
    }
}

/// Whitens a party's own columns: returns `(X·B, B)` with `Bᵀ·(Xᵀ·X/n + ridge_floor·I)·B = I`, as many columns as `dependence` has
/// independent ones. Without dependent columns B is the inverse of an upper triangular matrix.
///
/// The trainer passes `4·l2` as the floor. Weights on the whitened columns go back by `w = B·w̃`.
///
/// # Errors
/// Exit 15, E0611: the second moments are not safely positive definite, with a floor of 0 or values that are not finite.
pub fn whiten(x: ArrayView2<'_, f64>, dependence: &Dependence, ridge_floor: f64) -> Result<(Array2<f64>, Array2<f64>), Failure> {
    let mut matrix = dependence.moments.clone();
    matrix.diag_mut().mapv_inplace(|v| v + ridge_floor);
    let basis = (!dependence.follow.is_empty()).then(|| dependence.basis());
    if let Some(basis) = &basis {
        matrix = basis.t().dot(&matrix).dot(basis);
    }
    let factor = Cholesky::factor(&matrix).ok_or_else(|| {
        Failure::new(Exit::NotConverged, 611, format!("the {} columns cannot be whitened", x.ncols()))
            .hint("set l2 above 0, or leave out columns with extreme values")
    })?;
    let inverse = factor.upper_inverse();
    let back = basis.map_or_else(|| inverse.clone(), |basis| basis.dot(&inverse));
    Ok((times_matrix(x, &back), back))
}

/// Brings every entry of whitened columns below `limit`, and changes the way back alike; entries may be as large as √rows where hardly
/// any row has a column. Turning two coordinates by an eighth of a circle leaves them whitened and shares a peak among them; what is still
/// too large is halved, which costs its weight conditioning and nothing else.
pub fn bound(white: &mut Array2<f64>, back: &mut Array2<f64>, limit: f64) {
    let peak = |column: ndarray::ArrayView1<'_, f64>| column.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let mut peaks: Vec<f64> = white.columns().into_iter().map(peak).collect();
    let order = |peaks: &[f64]| {
        let place = |a: &usize, b: &usize| peaks[*a].total_cmp(&peaks[*b]);
        (0..peaks.len()).max_by(place).zip((0..peaks.len()).min_by(place))
    };
    while let Some((high, low)) = order(&peaks).filter(|(high, low)| peaks[*high] >= limit && peaks[*low] < GENTLE * peaks[*high]) {
        for matrix in [&mut *white, &mut *back] {
            for mut row in matrix.rows_mut() {
                let (a, b) = (row[high], row[low]);
                (row[high], row[low]) = ((a + b) * FRAC_1_SQRT_2, (a - b) * FRAC_1_SQRT_2);
            }
        }
        for j in [high, low] {
            peaks[j] = peak(white.column(j));
        }
    }
    for (j, peak) in peaks.iter_mut().enumerate() {
        while *peak >= limit && peak.is_finite() {
            *peak /= 2.0;
            white.column_mut(j).mapv_inplace(|v| v / 2.0);
            back.column_mut(j).mapv_inplace(|v| v / 2.0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::training::linear::tests::{largest_difference, matrix};

    #[test]
    fn whitened_columns_have_the_stated_gram_matrix() {
        let mut x = matrix(3000, 6, 8);
        for copied in [false, true] {
            if copied {
                let copy = x.column(0).to_owned();
                x.column_mut(5).assign(&copy);
            }
            for floor in [0.004, 0.0] {
                let dependence = Dependence::of(x.view());
                let (white, back) = whiten(x.view(), &dependence, floor).unwrap();
                let rank = if copied { 5 } else { 6 };
                assert_eq!((dependence.rank(), white.dim(), back.dim()), (rank, (3000, rank), (6, rank)));
                // Wᵀ·W/n + floor·Bᵀ·B = Bᵀ·(Xᵀ·X/n + floor·I)·B = I.
                let total = gram(white.view(), None) / 3000.0 + back.t().dot(&back) * floor;
                assert!(largest_difference(&total, &Array2::eye(rank)) < 1e-10);
                assert!(largest_difference(&white, &x.dot(&back)) < 1e-10);
            }
        }
        x[[7, 2]] = f64::NAN;
        assert_eq!(whiten(x.view(), &Dependence::of(x.view()), 0.1).unwrap_err().id, 611);
    }

    #[test]
    fn no_columns_at_all() {
        let x = Array2::<f64>::zeros((4, 0));
        let dependence = Dependence::of(x.view());
        assert_eq!((dependence.rank(), whiten(x.view(), &dependence, 0.1).unwrap().0.dim()), (0, (4, 0)));
    }

    /// Copies, sums, all levels of a one-hot set (cut, so that they add up to a constant other than 0), and a constant.
    #[test]
    fn dependent_columns_are_found_with_their_groups_and_directions() {
        let noise = matrix(4_000, 4, 9);
        let level = |i: usize| if i % 100 < 2 { 0 } else { 1 + i % 3 };
        let one_hot = |i: usize, k: usize| {
            let share = (0..4_000).filter(|i| level(*i) == k).count() as f64 / 4_000.0;
            ((f64::from(u8::from(level(i) == k)) - share) / (share * (1.0 - share)).sqrt()).min(5.0)
        };
        let x = Array2::from_shape_fn((4_000, 11), |(i, j)| match j {
            0 | 1 => noise[[i, j]],
            2 => 0.3 * (noise[[i, 0]] - 2.0 * noise[[i, 1]]) + 0.1,
            3..7 => one_hot(i, j - 3),
            7 => noise[[i, 2]],
            8 => -1.7 * noise[[i, 2]],
            9 => noise[[i, 3]],
            _ => noise[[i, 3]] + 1e-5 * noise[[(i + 1) % 4_000, 3]],
        });
        let dependence = Dependence::of(x.view());
        assert_eq!(dependence.rank(), 8, "a sum, a level and a copy follow; the last column has a part of its own");
        assert_eq!(dependence.groups(), [(vec![0, 1, 2], 1), (vec![3, 4, 5, 6], 1), (vec![7, 8], 1)]);
        let constants = x.dot(&dependence.null);
        for (column, constant) in constants.columns().into_iter().zip(&dependence.constants) {
            assert!(column.iter().all(|v| (v - constant).abs() < 1e-9), "X·d is one constant");
        }
        assert!(largest_difference(&dependence.null.t().dot(&dependence.null), &Array2::eye(3)) < 1e-12);
        assert!(dependence.null.t().dot(&dependence.basis()).iter().all(|v| v.abs() < 1e-9), "the basis has no part along them");
        assert!(dependence.constant() > 1e-4, "cut levels and a shifted sum add up to constants other than 0");
        // A copy times −1.7: the direction left out is (1.7, 1) / √(1.7² + 1).
        let left_out = dependence.left_out();
        assert!((left_out[7] - 1.7 * 1.7 / 3.89).abs() < 1e-9 && (left_out[8] - 1.0 / 3.89).abs() < 1e-9);
        assert!(left_out[9] + left_out[10] < 1e-9);
    }

    #[test]
    fn peaks_are_shared_before_they_are_halved() {
        let rare = |rows: usize, columns: usize| {
            Array2::from_shape_fn((rows, columns), |(i, j)| {
                if j == 0 { if i % 10_000 == 5 { 100.0 } else { -0.01 } } else { ((i * (2 * j + 1)) % 17) as f64 / 4.9 - 1.63 }
            })
        };
        for (columns, shared) in [(3, true), (1, false)] {
            let x = rare(20_000, columns);
            let (mut white, mut back) = (x.clone(), Array2::eye(columns));
            bound(&mut white, &mut back, 80.0);
            assert!(white.iter().all(|v| v.abs() < 80.0), "{columns}");
            assert!(largest_difference(&white, &x.dot(&back)) < 1e-12);
            let turned = largest_difference(&back.t().dot(&back), &Array2::eye(columns)) < 1e-12;
            assert_eq!(turned, shared, "one column alone can only be halved");
        }
    }
}
