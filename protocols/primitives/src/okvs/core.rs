//! The rows that peeling leaves: one small linear system over GF(2^128), sparse and dense columns together.

use super::rows::Bin;
use crate::gf128;

/// Largest system that is solved: cores of a few rows occur; one of this size means an unlucky seed.
const MOST_ROWS: usize = 512;

/// Solves the core's rows: sets the sparse entries they use and the dense entries of the bin; `None` when there is no
/// solution. `wanted` holds every row's value.
pub fn solve(bin: &Bin<'_>, core: &[u16], wanted: &[u128], sparse: &mut [u128], dense: &mut [u128]) -> Option<()> {
    if core.len() > MOST_ROWS {
        return None;
    }
    let mut columns: Vec<u16> = core.iter().flat_map(|row| bin.slots[usize::from(*row)]).collect();
    columns.sort_unstable();
    columns.dedup();
    let (width, unknowns) = (columns.len() + dense.len() + 1, columns.len() + dense.len());
    // One row: sparse coefficients, dense ones, the wanted value.
    let mut matrix: Vec<Vec<u128>> = Vec::with_capacity(core.len());
    for row in core.iter().map(|row| usize::from(*row)) {
        let mut line = vec![0u128; width];
        for slot in bin.slots[row] {
            line[columns.binary_search(&slot).ok()?] = 1;
        }
        line[columns.len()..unknowns].iter_mut().zip(bin.factors(row)).for_each(|(entry, factor)| *entry = u128::from(factor));
        line[unknowns] = wanted[row];
        matrix.push(line);
    }
    // Gauss–Jordan; columns without a pivot stay free and are 0.
    let mut pivots: Vec<usize> = Vec::with_capacity(core.len());
    for column in 0..unknowns {
        let done = pivots.len();
        let Some(found) = (done..matrix.len()).find(|row| matrix[*row][column] != 0) else { continue };
        matrix.swap(done, found);
        let scale = gf128::invert(matrix[done][column]);
        let mut pivot = vec![0u128; width];
        gf128::add_scaled(&mut pivot, &matrix[done], scale);
        for (row, line) in matrix.iter_mut().enumerate() {
            if row != done && line[column] != 0 {
                let factor = line[column];
                gf128::add_scaled(line, &pivot, factor);
            }
        }
        matrix[done] = pivot;
        pivots.push(column);
        if pivots.len() == core.len() {
            break;
        }
    }
    if pivots.len() < core.len() {
        return None;
    }
    for (line, pivot) in matrix.iter().zip(pivots) {
        let target = match columns.get(pivot) {
            Some(column) => &mut sparse[usize::from(*column)],
            None => &mut dense[pivot - columns.len()],
        };
        *target = line[unknowns];
    }
    Some(())
}
