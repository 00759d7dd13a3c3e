//! How precisely a Hessian is made: bits of its columns and slopes by its rows.

/// A column's mean square on a subset is at most this; on all rows it is at most 1.
const SUBSET_EXCESS: f64 = 2.0;
/// Twice the bits of the rows, four times those of the columns and those of the slopes: up to here tiles of eight pairs of columns
/// fit three primes.
const FITTING_BITS: u32 = 53;

/// How precisely a Hessian is made: it only preconditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HessianPrecision {
    /// Fraction bits of the columns.
    pub column_bits: u32,
    /// Fraction bits of the slopes.
    pub slope_bits: u32,
    /// k of the modulus 2^k of its products.
    pub modulus_bits: u32,
}

impl HessianPrecision {
    /// Precision of a Hessian on `rows` rows: slopes of `usual` and above have at least three bits, none is above
    /// 2^`largest`/4; columns have three to five, as many as products fit the shortest chain of primes.
    #[must_use]
    pub fn new(rows: usize, usual: f64, largest: u32) -> Self {
        let row_bits = rows.next_power_of_two().ilog2();
        // ⌈log₂(8/usual)⌉ by comparisons alone.
        let slope_bits = (5..14).find(|bits| f64::from(1u32 << bits) * usual >= 8.0).unwrap_or(14);
        let at = |column_bits: u32| {
            // |Σ s·x·x'| ≤ (2^largest/4 and rounding)·SUBSET_EXCESS·rows, and the lift wants a quarter of the modulus.
            Self { column_bits, slope_bits, modulus_bits: row_bits + 2 * column_bits + slope_bits + largest + 2 }
        };
        let fits = |bits: &u32| 2 * row_bits + 4 * bits + slope_bits <= FITTING_BITS;
        at((4..=5).rev().find(fits).unwrap_or(3))
    }

    /// Bound on a column's sum of squares in its own units.
    #[must_use]
    pub fn square_mass(&self, rows: usize) -> f64 {
        SUBSET_EXCESS * rows as f64 * f64::from(2 * self.column_bits).exp2()
    }
}
