//! Named parameter sets of dual LPN and the sizes they give for a length.

/// Dual LPN with regular noise: `weight` blocks of `leaves` positions, each with one uniform value at a uniform position, are
/// compressed to half their number by a fixed public code.
///
/// The set **BlkAcc3x32-t144**: block-accumulate code of rate 1/2, three layers, blocks of 32, weight 144. Its estimated relative
/// distance 1/4 gives 144 bits against linear tests; `lpn_estimate.py` beside this crate's manifest recomputes this and the
/// decoding and algebraic estimates for every length in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lpn {
    /// Noisy positions: one a tree.
    pub weight: usize,
    /// Leaves of a tree.
    pub leaves: usize,
    /// Right half of the Feistel domain: divides weight·leaves.
    pub(super) right: usize,
}

/// Noise weight of the set.
const WEIGHT: usize = 144;
/// Fewest leaves of a tree: shorter lengths are made from this many all the same.
const MIN_LEAVES: usize = 128;

impl Lpn {
    /// Name of the parameter set.
    pub const NAME: &'static str = "BlkAcc3x32-t144";

    /// The sizes for this many rows.
    #[must_use]
    pub fn for_length(length: usize) -> Self {
        let least = (2 * length).div_ceil(WEIGHT).max(MIN_LEAVES);
        // The permutations split positions into weight·2^j by leaves/2^j: the power of two that makes both halves alike, at
        // least 4 so that the code's half is a whole number of blocks of 32.
        let power = ((least as f64 / WEIGHT as f64).sqrt().log2().round().max(2.0)) as u32;
        let leaves = least.next_multiple_of(1 << power);
        Self { weight: WEIGHT, leaves, right: leaves >> power }
    }

    /// Positions of the noise.
    #[must_use]
    pub fn noise_len(&self) -> usize {
        self.weight * self.leaves
    }

    /// Rows that come out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.noise_len() / 2
    }

    /// Never: there are always rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Levels of a tree below its root.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.leaves.next_power_of_two().trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit_the_code_at_every_length() {
        for exponent in 0..=280 {
            let length = 2f64.powf(f64::from(exponent) / 10.0) as usize;
            let lpn = Lpn::for_length(length);
            assert!(lpn.len() >= length && lpn.len().is_multiple_of(32) && lpn.noise_len() == 2 * lpn.len());
            assert!(lpn.noise_len().is_multiple_of(lpn.right) && lpn.noise_len() < 1 << 32);
            assert!(lpn.leaves <= 1 << lpn.depth() && lpn.leaves > 1 << (lpn.depth() - 1));
            let left = lpn.noise_len() / lpn.right;
            assert!(length < 1 << 16 || (left < 4 * lpn.right && lpn.right < 4 * left), "{lpn:?}");
            assert!(length < 1 << 14 || lpn.len() * 100 < length * 103, "{lpn:?}");
        }
    }
}
