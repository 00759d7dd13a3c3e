//! The decision on the minimum overlap before anything is revealed: Diffie–Hellman counting on a public sample.
//!
//! Ids whose session-keyed name falls below a public threshold are counted with [`count_common`]: nobody learns a row. The
//! estimate is a disclosure to both sides. Small sets are counted whole, so there the decision is exact.

use crate::vole::names;
use crate::{Counted, MatchParams, Progress, PsiError, ecdh};
use colift_channel::Channel;
use colift_correlation::Role;
use colift_primitives::hash::PartHash;

/// Sampled ids of the larger side, about.
const SAMPLE: f64 = 16_384.0;
/// Common ids expected in the sample when the overlap is just the minimum: a sample need not be better than that.
const EXPECTED: f64 = 256.0;

/// Up to this size of the larger side all ids are counted: the decision is exact.
const WHOLE: usize = 1 << 12;

/// Names made at a time.
const BATCH: usize = 1 << 16;

/// A public sample.
pub struct Sample {
    share: f64,
    threshold: u64,
}

impl Sample {
    /// The sample for these sizes and this minimum.
    #[must_use]
    pub fn new(sizes: [usize; 2], minimum: u64) -> Self {
        let largest = sizes[0].max(sizes[1]).max(1);
        let sampled = (SAMPLE / largest as f64).min(EXPECTED / minimum.max(1) as f64).min(1.0);
        let share = if largest <= WHOLE { 1.0 } else { sampled };
        Self { share, threshold: (share * 2f64.powi(64)) as u64 }
    }

    /// The share of the ids that is counted.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Whether an id with this key is sampled.
    fn holds(&self, key: u128) -> bool {
        self.share >= 1.0 || ((key >> 64) as u64) < self.threshold
    }

    /// Whether so few sampled ids are common that the overlap is below the minimum: exact without sampling, else two
    /// standard deviations below what the minimum would give.
    fn too_few(&self, common: u64, minimum: u64) -> bool {
        let expected = self.share * minimum as f64;
        (common as f64) < expected - 2.0 * (expected * (1.0 - self.share)).sqrt()
    }

    /// Whether the sample could end a run: where even no common id in it would not, nothing is counted.
    #[must_use]
    pub fn decides(&self, minimum: u64) -> bool {
        self.too_few(0, minimum)
    }
}

/// Ends the matching when the overlap is below the minimum, as far as the sample tells.
///
/// # Errors
/// Abort class: [`PsiError::BelowMinimum`] with the estimate. Else as [`count_common`](crate::count_common).
pub fn decide<I: AsRef<[u8]> + Sync>(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[I],
    sample: &Sample,
    params: &MatchParams,
    progress: Progress<'_>,
) -> Result<(), PsiError> {
    let mut picked: Vec<&[u8]> = Vec::new();
    for batch in ids.chunks(BATCH) {
        let names = names::of_ids(&params.session, batch);
        picked.extend(batch.iter().zip(names.iter()).filter(|(_, [key, _])| sample.holds(*key)).map(|(id, _)| id.as_ref()));
    }
    let session = PartHash::new("colift matching sample v1").part(&params.session).finish();
    let counting = MatchParams { session, min_overlap: 0, ..*params };
    let Counted { overlap, .. } = ecdh::count_common(channel, role, &picked, counting, progress)?;
    if sample.too_few(overlap, params.min_overlap) {
        let overlap = (overlap as f64 / sample.share).round() as u64;
        return Err(PsiError::BelowMinimum { minimum: params.min_overlap, overlap });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sets_are_decided_exactly_and_large_ones_by_a_small_sample() {
        let exact = Sample::new([1000, 4000], 200);
        assert!(exact.share >= 1.0 && exact.holds(u128::MAX) && exact.too_few(199, 200) && !exact.too_few(200, 200));
        let large = Sample::new([1 << 20, 1 << 18], 100_000);
        assert!((large.share * 100_000.0 - EXPECTED).abs() < 1e-6);
        assert!(large.too_few(220, 100_000) && !large.too_few(225, 100_000));
        let sparse = Sample::new([1 << 20, 1 << 20], 1000);
        assert!((sparse.share * 1_048_576.0 - SAMPLE).abs() < 1e-6 && !sparse.holds(u128::MAX) && sparse.holds(0));
        // Four expected ones and no more: even none would be within two standard deviations.
        let decides = |sizes, minimum| Sample::new(sizes, minimum).decides(minimum);
        assert!(decides([1000, 4000], 1) && !decides([1000, 4000], 0) && decides([1 << 20, 1 << 20], 260));
        assert!(!decides([1 << 20, 1 << 20], 250) && decides([10_000, 10_000], 1));
    }
}
