//! Information value of a column about a yes-or-no label: how differently yes and no fall into the column's bins.

use crate::data::{MISSING, Values};
use std::collections::BTreeMap;

/// Bins of numbers, by quantile; most categories with a bin of their own.
const BINS: usize = 10;
/// Added to the count of each class in each bin, so that an empty one is not infinite.
const SMOOTHING: f64 = 0.5;

/// Σ (p − q)·ln(p / q) over the bins, p and q the shares of yes and no. Numbers fall into ten bins by quantile, equal values together;
/// the ten most frequent categories have bins of their own, the others one; missing cells have one. None where a class is missing.
#[must_use]
pub fn information_value(values: &Values, label: &[bool]) -> Option<f64> {
    let bins = match values {
        Values::Number(values) => by_quantile(values),
        Values::Text { codes, .. } => by_frequency(codes),
    };
    let mut counts: BTreeMap<usize, [f64; 2]> = BTreeMap::new();
    for (bin, yes) in bins.into_iter().zip(label) {
        let of = counts.entry(bin).or_default();
        of[usize::from(*yes)] += 1.0;
    }
    let (mut all, width) = ([0.0; 2], counts.len() as f64);
    for count in counts.values() {
        (all[0], all[1]) = (all[0] + count[0], all[1] + count[1]);
    }
    if all.contains(&0.0) {
        return None;
    }
    let share = |count: f64, all: f64| (count + SMOOTHING) / (all + SMOOTHING * width);
    let terms = counts.values().map(|count| {
        let (no, yes) = (share(count[0], all[0]), share(count[1], all[1]));
        (yes - no) * (yes / no).ln()
    });
    Some(terms.sum())
}

/// The bin of each number: how many quantiles lie below it; missing ones apart.
fn by_quantile(values: &[f64]) -> Vec<usize> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut edges: Vec<f64> = (1..BINS).filter_map(|bin| sorted.get(bin * sorted.len() / BINS).copied()).collect();
    edges.dedup();
    values.iter().map(|value| if value.is_nan() { usize::MAX } else { edges.partition_point(|edge| edge < value) }).collect()
}

/// The bin of each category.
fn by_frequency(codes: &[u32]) -> Vec<usize> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for code in codes.iter().filter(|code| **code != MISSING) {
        *counts.entry(*code).or_default() += 1;
    }
    let mut frequent: Vec<(usize, u32)> = counts.into_iter().map(|(code, count)| (count, code)).collect();
    frequent.sort_unstable_by(|a, b| b.cmp(a));
    let place: BTreeMap<u32, usize> = frequent.iter().take(BINS).enumerate().map(|(at, (_, code))| (*code, at)).collect();
    codes.iter().map(|code| if *code == MISSING { usize::MAX } else { place.get(code).copied().unwrap_or(BINS) }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn two_bins_by_hand() {
        // 40 rows: of 20 zeros 5 yes, of 20 ones 15 yes. p = 5.5/21, 15.5/21; q the other way round.
        let values: Vec<f64> = (0..40).map(|row| f64::from(u8::from(row >= 20))).collect();
        let label: Vec<bool> = (0..40).map(|row| if row < 20 { row < 5 } else { row < 35 }).collect();
        let expected = 2.0 * (15.5 - 5.5) / 21.0 * (15.5f64 / 5.5).ln();
        let found = information_value(&Values::Number(values), &label).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        assert_eq!(information_value(&Values::Number(vec![1.0; 3]), &[true; 3]), None);
    }

    #[test]
    fn copies_of_a_rare_label_are_far_above_three_and_noise_is_far_below() {
        let label: Vec<bool> = (0..5_000).map(|row| row % 37 == 0).collect();
        let of = |values: Values| information_value(&values, &label).unwrap();
        let copy = label.iter().map(|yes| f64::from(u8::from(*yes))).collect();
        assert!(of(Values::Number(copy)) > 3.0);
        let missing = label.iter().map(|yes| if *yes { 4.0 } else { f64::NAN }).collect();
        assert!(of(Values::Number(missing)) > 3.0);
        let text = Values::Text { codes: label.iter().map(|yes| u32::from(*yes)).collect(), levels: vec!["no".into(), "yes".into()] };
        assert!(of(text) > 3.0);
        assert!(of(Values::Number((0..5_000).map(|row| f64::from(row * 7919 % 5_003)).collect())) < 0.3);
        let rare = Values::Text { codes: (0..5_000).collect(), levels: (0..5_000).map(|level| level.to_string()).collect() };
        assert!(of(rare) < 0.3);
    }
}
