//! Sizes of a store: bins, rows a bin takes, sparse and dense columns, for a failure probability of 2^-40.

use crate::PrimitivesError;

/// Rows a bin is meant to hold: its columns and work lists stay in the second-level cache.
const BIN_ITEMS: usize = 1 << 14;
/// Smallest capacity that the size formulas are used for.
const MIN_CAPACITY: usize = 128;
/// log2 of the failure probability of a whole store; half of it for an overfull bin, half for an unsolvable one.
const STATISTICAL: f64 = 40.0;
/// Largest number of keys.
const MAX_ITEMS: usize = 1 << 31;

/// The public sizes of a store for at most `items` keys.
///
/// With λ = 41: a bin's capacity is the smallest c with bins·Pr\[Bin(items, 1/bins) > c\] ≤ 2^-λ by Chernoff's bound in its
/// Kullback–Leibler form; sparse columns e·c and dense columns g by RR22 §4.3 at λ + log2(bins), so that the union over bins
/// stays within 2^-λ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OkvsParams {
    /// Most keys.
    pub items: usize,
    /// Bins that keys are hashed to.
    pub bins: usize,
    /// Most keys of one bin.
    pub capacity: usize,
    /// Sparse columns of one bin.
    pub sparse: usize,
    /// Dense columns of one bin.
    pub dense: usize,
}

impl OkvsParams {
    /// The sizes for this many keys.
    ///
    /// # Errors
    /// Config class: more than 2^31 keys.
    pub fn for_items(items: usize) -> Result<Self, PrimitivesError> {
        if items > MAX_ITEMS {
            return Err(PrimitivesError::StoreTooLarge { items, most: MAX_ITEMS });
        }
        let bins = items.div_ceil(BIN_ITEMS).max(1);
        let capacity = bin_capacity(items, bins, STATISTICAL + 1.0).max(MIN_CAPACITY);
        let (sparse, dense) = bin_columns(capacity, STATISTICAL + 1.0 + (bins as f64).log2());
        Ok(Self { items, bins, capacity, sparse, dense })
    }

    /// Elements of the store.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a store is never empty")]
    pub fn len(&self) -> usize {
        self.bins * self.bin_len()
    }

    /// Elements of one bin: sparse ones, then dense ones.
    pub(super) fn bin_len(&self) -> usize {
        self.sparse + self.dense
    }
}

/// The smallest capacity that `items` keys in `bins` bins exceed anywhere with probability at most 2^-lambda: Chernoff's bound.
#[must_use]
pub fn bin_capacity(items: usize, bins: usize, lambda: f64) -> usize {
    if bins <= 1 {
        return items;
    }
    let (n, p) = (items as f64, 1.0 / bins as f64);
    // log2 of bins·exp(−n·KL(c/n, p)), the bound on Pr[some bin holds c or more].
    let bound = |c: usize| {
        let q = c as f64 / n;
        let divergence = q * (q / p).ln() + if q < 1.0 { (1.0 - q) * ((1.0 - q) / (1.0 - p)).ln() } else { 0.0 };
        (bins as f64).log2() - n * divergence * std::f64::consts::LOG2_E
    };
    let (mut low, mut high) = (items.div_ceil(bins), items);
    while low < high {
        let middle = low + (high - low) / 2;
        if bound(middle + 1) <= -lambda { high = middle } else { low = middle + 1 }
    }
    low
}

/// Sparse and dense columns for this many rows: RR22 §4.3 for weight 3 and dense columns over a large field.
fn bin_columns(rows: usize, lambda: f64) -> (usize, usize) {
    let (n, weight) = (rows as f64, 3f64.log2());
    let slope = 2f64.powf(0.555 * n.log2() + 0.093 * weight.powi(3) - 1.01 * weight.powi(2) + 2.925 * weight - 0.133);
    let expansion = 1.223 + (lambda + 9.2) / slope;
    let dense = (lambda / (expansion * n).log2()).ceil();
    ((expansion * n).ceil() as usize, dense as usize)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn sizes_are_those_of_the_paper() {
        // RR22: about 1.28 n for one store of 2^14, 1.26 to 1.36 with bins; two or three dense columns.
        for (items, least, most) in [(1 << 14, 1.26, 1.28), (1 << 16, 1.29, 1.35), (1 << 20, 1.33, 1.36), (10_000_000, 1.33, 1.37)] {
            let params = OkvsParams::for_items(items).unwrap();
            let expansion = params.len() as f64 / items as f64;
            assert!((least..most).contains(&expansion), "{items}: {expansion} {params:?}");
            assert!((3..=4).contains(&params.dense) && params.sparse <= 1 << 16, "{params:?}");
        }
        for items in [0, 1, 2, 128, 129, 1000] {
            let params = OkvsParams::for_items(items).unwrap();
            assert!(params.bins == 1 && params.capacity == items.max(128) && params.len() < 3 * params.capacity, "{params:?}");
        }
        assert!(OkvsParams::for_items(MAX_ITEMS + 1).is_err());
    }

    #[test]
    fn slot_numbers_fit_16_bits_at_every_size() {
        for exponent in 0..310 {
            let items = (2f64.powf(f64::from(exponent) / 10.0) as usize).min(MAX_ITEMS);
            let params = OkvsParams::for_items(items).unwrap();
            assert!(params.sparse <= 1 << 16 && params.capacity < 1 << 16, "{params:?}");
        }
    }
}
