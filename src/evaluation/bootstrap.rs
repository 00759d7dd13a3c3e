//! Paired bootstrap of the gain: the test rows are drawn again with replacement, both models judged on the same draw.
//!
//! Both orders are sorted once; a draw is a count for every row, so it costs one pass over each order and no sorting.

use super::random::SplitMix;
use super::ranking::{Ranking, cut};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Draws of the report's intervals.
pub const BOOTSTRAP_DRAWS: usize = 1000;
/// Seed of the report's intervals: public, so that equal scores give equal intervals.
pub const BOOTSTRAP_SEED: u64 = 20_260_101;

/// An estimate with its 95 % interval: `[estimate, lower, upper]` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 3]", into = "[f64; 3]")]
pub struct Interval {
    /// The figure on all test rows.
    pub estimate: f64,
    /// 2.5 % of the draws lie below.
    pub lower: f64,
    /// 2.5 % of the draws lie above.
    pub upper: f64,
}

impl Interval {
    /// Whether 0 lies in the interval, ends included.
    pub fn contains_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0
    }
}

impl From<[f64; 3]> for Interval {
    fn from([estimate, lower, upper]: [f64; 3]) -> Self {
        Self { estimate, lower, upper }
    }
}

impl From<Interval> for [f64; 3] {
    fn from(interval: Interval) -> Self {
        [interval.estimate, interval.lower, interval.upper]
    }
}

/// Joint model minus own columns alone, on the same test rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Gain of the AUC.
    pub auc: Interval,
    /// Gain of the recall at 40 %.
    pub recall_at_40: Interval,
}

/// The gain of the joint model over the own columns, with 95 % intervals from `draws` draws. The same for any order of the rows
/// (they are put in the order of their scores first) and any number of threads. `None` where the labels hold one class only.
pub fn paired_bootstrap(joint_scores: &[f64], own_scores: &[f64], labels: &[bool], draws: usize, seed: u64) -> Option<Gain> {
    let (joint, own) = (Ranking::new(joint_scores, labels)?, Ranking::new(own_scores, labels)?);
    let n = labels.len();
    let mut rows: Vec<(f64, f64, bool)> = (0..n).map(|i| (joint_scores[i], own_scores[i], labels[i])).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(b.2.cmp(&a.2)));
    let labels: Vec<bool> = rows.iter().map(|row| row.2).collect();
    let joint_order = Order::new(&rows.iter().map(|row| row.0).collect::<Vec<_>>(), &labels);
    let own_order = Order::new(&rows.iter().map(|row| row.1).collect::<Vec<_>>(), &labels);
    // A draw without positives (or without negatives) has no figures and is left out.
    let gains: Vec<(f64, f64)> = resampled(
        n,
        draws,
        seed,
        |place| place,
        |counts| {
            let (joint, own) = (joint_order.figures(counts, 0.4)?, own_order.figures(counts, 0.4)?);
            Some((joint.0 - own.0, joint.1 - own.1))
        },
    );
    Some(Gain {
        auc: interval(joint.auc() - own.auc(), gains.iter().map(|gain| gain.0).collect())?,
        recall_at_40: interval(joint.recall_at(0.4) - own.recall_at(0.4), gains.iter().map(|gain| gain.1).collect())?,
    })
}

/// Rows from the highest score down, with the end of every group of ties marked.
struct Order {
    /// Row, label, and whether the next row has another score.
    rows: Vec<(u32, bool, bool)>,
}

impl Order {
    fn new(scores: &[f64], labels: &[bool]) -> Self {
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let last = |i: usize| order.get(i + 1).is_none_or(|&next| scores[next as usize] != scores[order[i] as usize]);
        let rows = order.iter().enumerate().map(|(i, &row)| (row, labels[row as usize], last(i))).collect();
        Self { rows }
    }

    /// AUC and recall at q of a draw, given how often each row was drawn.
    fn figures(&self, counts: &[u32], q: f64) -> Option<(f64, f64)> {
        let room = cut(q, self.rows.len()) as u64;
        let (mut positives, mut negatives, mut twice_wins) = (0u64, 0u64, 0u64);
        let (mut group_positives, mut group_negatives) = (0u64, 0u64);
        let mut found = None;
        for &(row, label, group_ends) in &self.rows {
            let count = u64::from(counts[row as usize]);
            if label {
                group_positives += count;
            } else {
                group_negatives += count;
            }
            if group_ends {
                let (before, size) = (positives + negatives, group_positives + group_negatives);
                if found.is_none() && before + size >= room {
                    let share = if size == 0 { 0.0 } else { (room - before) as f64 / size as f64 };
                    found = Some(positives as f64 + group_positives as f64 * share);
                }
                // A negative of this group is beaten by every positive above and by half of those tied with it.
                twice_wins += group_negatives * (2 * positives + group_positives);
                positives += group_positives;
                negatives += group_negatives;
                (group_positives, group_negatives) = (0, 0);
            }
        }
        if positives == 0 || negatives == 0 {
            return None;
        }
        let auc = twice_wins as f64 / (2.0 * positives as f64 * negatives as f64);
        Some((auc, found? / positives as f64))
    }
}

/// The figures of `draws` bootstrap draws of n rows; those without figures are left out. `row` tells which row stands at a drawn place, so
/// that an order of the rows other than the file's may be drawn from; `figures` gets how often each row was drawn.
pub(super) fn resampled<T: Send>(
    n: usize,
    draws: usize,
    seed: u64,
    row: impl Fn(usize) -> usize + Sync,
    figures: impl Fn(&[u32]) -> Option<T> + Sync,
) -> Vec<T> {
    let one = |counts: &mut Vec<u32>, draw: u64| {
        counts.fill(0);
        let mut random = SplitMix::new(seed, draw);
        for _ in 0..n {
            counts[row(random.below(n))] += 1;
        }
        figures(counts)
    };
    (0..draws as u64).into_par_iter().map_init(|| vec![0u32; n], one).flatten().collect()
}

/// The interval of an estimate from the values of its draws.
pub(super) fn interval(estimate: f64, mut values: Vec<f64>) -> Option<Interval> {
    values.sort_unstable_by(f64::total_cmp);
    Some(Interval { estimate, lower: quantile(&values, 0.025)?, upper: quantile(&values, 0.975)? })
}

/// Quantile of sorted values with linear interpolation between neighbours.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let position = q * (sorted.len().checked_sub(1)?) as f64;
    let below = position.floor();
    let (low, high) = (*sorted.get(below as usize)?, *sorted.get(position.ceil() as usize)?);
    Some(low + (high - low) * (position - below))
}
