//! Figures of predicted amounts: ranking (normalised Gini, Spearman, share of the total in the best users), size (total predicted over
//! actual, error by tenths, calibration) and fit (R², mean absolute error), with bootstrap intervals.
//!
//! With predictions s and amounts y of n users:
//!
//! | figure | definition |
//! |---|---|
//! | gini | G(y, s)/G(y, y), G(y, s) = 2·mean over i of (share of Σy in the i highest s − i/n) |
//! | spearman | correlation of mid-ranks |
//! | share_top20, share_top40 | share of Σy in the ⌊q·n⌋ highest s |
//! | total_pred_over_actual | Σs/Σy |
//! | decile_wape | Σ over tenths by s of |Σs − Σy| over Σy; tenth k ends at the row of rank ⌊1 + (n − 1)·k/10⌋ |
//! | slope, intercept | least squares of y on s |
//! | mae, r2 | mean of |y − s|; 1 − Σ(y − s)²/Σ(y − mean y)² |
//!
//! Rows of equal s share their places, so that no figure depends on the order of the rows.

use super::bootstrap::{Interval, interval, resampled};
use super::ranking::cut;
use serde::{Deserialize, Serialize};

/// Tenths of the users.
const TENTHS: usize = 10;
/// Rows times draws of a bootstrap: with more than 200,000 test users there are fewer than 1,000 draws.
const MOST_WORK: usize = 200_000_000;

/// Draws of a bootstrap of so many rows, of those asked for.
pub(super) fn draws_of(rows: usize, draws: usize) -> usize {
    draws.min(MOST_WORK / rows.max(1)).max(100)
}

/// The figures of one model's predicted amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueFigures {
    /// Normalised Gini: 1 for the best possible order, 0 for a random one.
    pub gini: f64,
    /// Spearman's correlation.
    pub spearman: f64,
    /// Share of the total amount in the fifth of the users with the highest predictions.
    pub share_top20: f64,
    /// The same in two fifths.
    pub share_top40: f64,
    /// Total predicted over total actual.
    pub total_pred_over_actual: f64,
    /// Absolute errors of the tenths' totals over the total.
    pub decile_wape: f64,
    /// Slope of the actual amounts on the predictions.
    pub slope: f64,
    /// Intercept of the same line.
    pub intercept: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Share of the variance explained.
    pub r2: f64,
}

/// Name, short words, decimals and value of every figure, in the order of the reports.
pub type ValueLine = (&'static str, &'static str, usize, fn(&ValueFigures) -> f64);

/// Every figure.
pub const VALUE_LINES: [ValueLine; 10] = [
    ("gini", "normalised Gini", 4, |f| f.gini),
    ("spearman", "Spearman", 4, |f| f.spearman),
    ("share_top20", "share in the top 20 %", 3, |f| f.share_top20),
    ("share_top40", "share in the top 40 %", 3, |f| f.share_top40),
    ("total_pred_over_actual", "total predicted / actual", 3, |f| f.total_pred_over_actual),
    ("decile_wape", "error of the tenths", 3, |f| f.decile_wape),
    ("slope", "calibration slope", 3, |f| f.slope),
    ("intercept", "calibration intercept", 2, |f| f.intercept),
    ("mae", "mean absolute error", 2, |f| f.mae),
    ("r2", "R²", 3, |f| f.r2),
];

/// One tenth of the users by prediction: users, mean predicted, mean actual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64, f64)", into = "(f64, f64, f64)")]
pub struct Tenth {
    /// Users; whole in a sample, as tied rows are parted.
    pub users: f64,
    /// Mean of the predictions.
    pub predicted: f64,
    /// Mean of the amounts.
    pub actual: f64,
}

impl From<(f64, f64, f64)> for Tenth {
    fn from((users, predicted, actual): (f64, f64, f64)) -> Self {
        Self { users, predicted, actual }
    }
}

impl From<Tenth> for (f64, f64, f64) {
    fn from(tenth: Tenth) -> Self {
        (tenth.users, tenth.predicted, tenth.actual)
    }
}

/// Rows in the order of some numbers, highest first, with the end of every group of ties marked.
pub(super) struct Order(pub(super) Vec<(u32, bool)>);

impl Order {
    pub(super) fn new(by: &[f64]) -> Self {
        let mut rows: Vec<u32> = (0..by.len() as u32).collect();
        rows.sort_unstable_by(|a, b| by[*b as usize].total_cmp(&by[*a as usize]).then(a.cmp(b)));
        let ends = |place: usize| rows.get(place + 1).is_none_or(|next| by[*next as usize] != by[rows[place] as usize]);
        Self((0..rows.len()).map(|place| (rows[place], ends(place))).collect())
    }

    /// Groups of ties: how many rows, counted as often as they are drawn, and the sums of two columns.
    pub(super) fn groups<'a>(&'a self, counts: &'a [u32], s: &'a [f64], y: &'a [f64]) -> impl Iterator<Item = [f64; 3]> + 'a {
        let mut rows = self.0.iter();
        std::iter::from_fn(move || {
            let mut sums = [0.0; 3];
            loop {
                let (row, ends) = *rows.next()?;
                let (row, count) = (row as usize, f64::from(counts[row as usize]));
                sums[0] += count;
                sums[1] += count * s[row];
                sums[2] += count * y[row];
                if ends && sums[0] > 0.0 {
                    return Some(sums);
                }
                if ends {
                    sums = [0.0; 3];
                }
            }
        })
    }

    /// Mid-ranks, from the highest down.
    fn ranks(&self, counts: &[u32]) -> Vec<f64> {
        let mut ranks = vec![0.0; counts.len()];
        let (mut before, mut start) = (0.0, 0);
        for (place, (_, ends)) in self.0.iter().enumerate() {
            if !ends {
                continue;
            }
            let group = &self.0[start..=place];
            let size: f64 = group.iter().map(|(row, _)| f64::from(counts[*row as usize])).sum();
            group.iter().for_each(|(row, _)| ranks[*row as usize] = before + (size + 1.0) / 2.0);
            (before, start) = (before + size, place + 1);
        }
        ranks
    }
}

/// Predictions and amounts, sorted once.
pub struct Value<'a> {
    predicted: &'a [f64],
    actual: &'a [f64],
    by_prediction: Order,
    by_amount: Order,
}

impl<'a> Value<'a> {
    /// `None` where the amounts are all alike, add up to 0 or less, or a number is not finite.
    pub fn new(predicted: &'a [f64], actual: &'a [f64]) -> Option<Self> {
        let varies = actual.iter().any(|y| Some(y) != actual.first());
        let finite = predicted.iter().chain(actual).all(|value| value.is_finite());
        if predicted.len() != actual.len() || !varies || !finite || actual.iter().sum::<f64>() <= 0.0 {
            return None;
        }
        Some(Self { predicted, actual, by_prediction: Order::new(predicted), by_amount: Order::new(actual) })
    }

    /// All figures; `None` where figures of these rows do not exist.
    #[must_use]
    pub fn figures(&self) -> Option<ValueFigures> {
        self.of(&vec![1; self.actual.len()])
    }

    /// The tenths from the lowest predictions up.
    #[must_use]
    pub fn tenths(&self) -> Vec<Tenth> {
        self.tenths_of(&vec![1; self.actual.len()])
    }

    fn of(&self, counts: &[u32]) -> Option<ValueFigures> {
        let (s, y) = (self.predicted, self.actual);
        let weighted = |of: &dyn Fn(usize) -> f64| counts.iter().enumerate().map(|(row, count)| f64::from(*count) * of(row)).sum::<f64>();
        let n = weighted(&|_| 1.0);
        let (total, predicted) = (weighted(&|row| y[row]), weighted(&|row| s[row]));
        let (mean_y, mean_s) = (total / n, predicted / n);
        let spread_y = weighted(&|row| (y[row] - mean_y).powi(2));
        let spread_s = weighted(&|row| (s[row] - mean_s).powi(2));
        let both = weighted(&|row| (y[row] - mean_y) * (s[row] - mean_s));
        let errors = weighted(&|row| (y[row] - s[row]).powi(2));
        let (rank_s, rank_y) = (self.by_prediction.ranks(counts), self.by_amount.ranks(counts));
        let middle = (n + 1.0) / 2.0;
        let ranked = |a: &[f64], b: &[f64]| weighted(&|row| (a[row] - middle) * (b[row] - middle));
        let gini = |order: &Order| {
            let (mut before, mut sum) = (0.0, 0.0);
            for [rows, _, amount] in order.groups(counts, s, y) {
                sum += rows * before + amount * (rows + 1.0) / 2.0;
                before += amount;
            }
            2.0 * (sum / total - (n + 1.0) / 2.0) / n
        };
        let best = gini(&self.by_amount);
        // Of equal predictions the ranks are equal exactly; their mean may be off by a rounding.
        let spread_ranks = ranked(&rank_s, &rank_s);
        let (slope, spearman) = if spread_s > 0.0 && spread_ranks > 0.0 {
            (both / spread_s, ranked(&rank_s, &rank_y) / (spread_ranks * ranked(&rank_y, &rank_y)).sqrt())
        } else {
            (0.0, 0.0)
        };
        let tenths = self.tenths_of(counts);
        let figures = ValueFigures {
            gini: gini(&self.by_prediction) / best,
            spearman,
            share_top20: self.top(counts, 0.2) / total,
            share_top40: self.top(counts, 0.4) / total,
            total_pred_over_actual: predicted / total,
            decile_wape: tenths.iter().map(|tenth| tenth.users * (tenth.predicted - tenth.actual).abs()).sum::<f64>() / total,
            slope,
            intercept: mean_y - slope * mean_s,
            mae: weighted(&|row| (y[row] - s[row]).abs()) / n,
            r2: 1.0 - errors / spread_y,
        };
        (total > 0.0 && spread_y > 0.0 && best > 0.0 && figures.spearman.is_finite()).then_some(figures)
    }

    /// The amount of the ⌊q·n⌋ highest predictions.
    fn top(&self, counts: &[u32], q: f64) -> f64 {
        let mut room = cut(q, counts.iter().map(|count| *count as usize).sum()) as f64;
        let mut sum = 0.0;
        for [rows, _, amount] in self.by_prediction.groups(counts, self.predicted, self.actual) {
            if rows >= room {
                return sum + amount * room / rows;
            }
            sum += amount;
            room -= rows;
        }
        sum
    }

    fn tenths_of(&self, counts: &[u32]) -> Vec<Tenth> {
        let n = counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        // The rows above tenth k from the top, so that both ends agree with ranks from the lowest up.
        let above = |k: u64| n - if k == 0 { 0 } else { (1 + (n.max(1) - 1) * k / TENTHS as u64).min(n) };
        let mut groups = self.by_prediction.groups(counts, self.predicted, self.actual);
        let mut current: Option<([f64; 3], f64)> = None;
        let mut tenths: Vec<Tenth> = (0..TENTHS as u64)
            .rev()
            .filter_map(|k| {
                let users = (above(k) - above(k + 1)) as f64;
                let (mut room, mut predicted, mut actual) = (users, 0.0, 0.0);
                while room > 1e-9 {
                    let (group, left) = match current.take() {
                        Some(found) => found,
                        None => groups.next().map(|group| (group, group[0]))?,
                    };
                    let taken = left.min(room);
                    predicted += group[1] * taken / group[0];
                    actual += group[2] * taken / group[0];
                    room -= taken;
                    current = (left - taken > 1e-9).then_some((group, left - taken));
                }
                (users > 0.0).then(|| Tenth { users, predicted: predicted / users, actual: actual / users })
            })
            .collect();
        tenths.reverse();
        tenths
    }
}

/// Intervals of the joint model's figures and of their differences to another model's, by the names of [`VALUE_LINES`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueIntervals {
    /// The joint model's figures.
    pub joint: Vec<Interval>,
    /// Joint minus other, on the same draws.
    pub gain: Vec<Interval>,
}

/// 95 % intervals of all figures from a paired bootstrap of the users; `None` where the figures do not exist.
pub fn value_bootstrap(joint: &Value<'_>, other: &Value<'_>, draws: usize, seed: u64) -> Option<ValueIntervals> {
    let n = joint.actual.len();
    let (all_joint, all_other) = (joint.figures()?, other.figures()?);
    // The same draws whatever the order of the rows: rows are drawn by their place in the order of the predictions.
    let row = |place: usize| joint.by_prediction.0[place].0 as usize;
    let drawn: Vec<(ValueFigures, ValueFigures)> =
        resampled(n, draws_of(n, draws), seed, row, |counts| Some((joint.of(counts)?, other.of(counts)?)));
    let mut intervals = ValueIntervals::default();
    for (_, _, _, value) in VALUE_LINES {
        intervals.joint.push(interval(value(&all_joint), drawn.iter().map(|(joint, _)| value(joint)).collect())?);
        let gains = drawn.iter().map(|(joint, other)| value(joint) - value(other)).collect();
        intervals.gain.push(interval(value(&all_joint) - value(&all_other), gains)?);
    }
    Some(intervals)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::evaluation::random::normals;

    fn case(n: usize) -> (Vec<f64>, Vec<f64>) {
        let (a, b) = (normals(n, 1), normals(n, 2));
        let predicted: Vec<f64> = a.iter().map(|z| (1.0 + 0.8 * z).exp()).collect();
        let actual = predicted.iter().zip(&b).map(|(s, e)| if *e > 0.3 { s * (e - 0.2).exp() } else { 0.0 }).collect();
        (predicted, actual)
    }

    /// The definitions of the published baselines, written out.
    #[test]
    fn figures_agree_with_their_definitions() {
        let (s, y) = case(503);
        let n = 503;
        let figures = Value::new(&s, &y).unwrap().figures().unwrap();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| s[*b].total_cmp(&s[*a]));
        let total: f64 = y.iter().sum();
        let gini = |order: &[usize]| {
            let mut sum = 0.0;
            let mut cumulated = 0.0;
            for (place, row) in order.iter().enumerate() {
                cumulated += y[*row] / total;
                sum += cumulated - (place + 1) as f64 / n as f64;
            }
            2.0 * sum / n as f64
        };
        let mut best = order.clone();
        best.sort_by(|a, b| y[*b].total_cmp(&y[*a]));
        assert!((figures.gini - gini(&order) / gini(&best)).abs() < 1e-12);
        let top = |k: usize| order[..k].iter().map(|row| y[*row]).sum::<f64>() / total;
        assert!((figures.share_top20 - top(100)).abs() < 1e-12 && (figures.share_top40 - top(201)).abs() < 1e-12);
        let mean = total / n as f64;
        let sums = |of: &dyn Fn(usize) -> f64| (0..n).map(of).sum::<f64>();
        assert!((figures.r2 - 1.0 + sums(&|i| (y[i] - s[i]).powi(2)) / sums(&|i| (y[i] - mean).powi(2))).abs() < 1e-12);
        assert!((figures.mae - sums(&|i| (y[i] - s[i]).abs()) / n as f64).abs() < 1e-12);
        // pandas.qcut of the ranks 1 … n: tenth k ends at 1 + (n − 1)·k/10.
        order.reverse();
        let ends: Vec<usize> = (1..=10).map(|k| 1 + (n - 1) * k / 10).collect();
        let mut start = 0;
        let mut error = 0.0;
        let tenths = Value::new(&s, &y).unwrap().tenths();
        for (end, tenth) in ends.iter().zip(&tenths) {
            let rows = &order[start..*end];
            error += rows.iter().map(|row| s[*row] - y[*row]).sum::<f64>().abs();
            assert!((tenth.users - rows.len() as f64).abs() < 1e-9);
            start = *end;
        }
        assert!((figures.decile_wape - error / total).abs() < 1e-12);
        assert_eq!(tenths.len(), 10);
    }

    #[test]
    fn extremes_and_ties() {
        let y = [0.0, 0.0, 1.0, 5.0];
        let perfect = Value::new(&y, &y).unwrap().figures().unwrap();
        assert!((perfect.gini - 1.0).abs() < 1e-12 && (perfect.spearman - 1.0).abs() < 1e-12 && perfect.r2 == 1.0);
        assert!((perfect.slope - 1.0).abs() < 1e-12 && perfect.intercept.abs() < 1e-12 && perfect.decile_wape == 0.0);
        let flat = Value::new(&[1.5; 4], &y).unwrap().figures().unwrap();
        assert!(flat.gini.abs() < 1e-12 && (flat.total_pred_over_actual - 1.0).abs() < 1e-12 && flat.spearman == 0.0);
        assert!(Value::new(&[1.0, 2.0], &[3.0, 3.0]).is_none() && Value::new(&[1.0, f64::NAN], &[3.0, 4.0]).is_none());
        // Spearman by hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
        let tied = Value::new(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap().figures().unwrap();
        assert!((tied.spearman - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_constant_prediction_has_figures_of_chance() {
        let y: Vec<f64> = (0..997).map(|i| f64::from(i * 7 % 13)).collect();
        let mean = y.iter().sum::<f64>() / 997.0;
        // A sum of 997 equal numbers over 997 may differ from the number by a rounding.
        for s in [mean, 0.1, 1.0 / 3.0] {
            let s = vec![s; 997];
            let figures = Value::new(&s, &y).unwrap().figures().unwrap();
            assert!(figures.gini.abs() < 1e-9 && figures.spearman == 0.0 && figures.slope == 0.0, "{figures:?}");
            assert!((figures.share_top20 - 0.2).abs() < 1e-3, "ties at the cut count in proportion");
        }
    }

    #[test]
    fn intervals_hold_their_estimate_and_ignore_the_order_of_rows() {
        let (s, y) = case(700);
        let noise: Vec<f64> = normals(700, 9).iter().zip(&s).map(|(e, s)| s * (0.8 * e).exp()).collect();
        let intervals = value_bootstrap(&Value::new(&s, &y).unwrap(), &Value::new(&noise, &y).unwrap(), 200, 5).unwrap();
        assert!(intervals.joint.iter().all(|i| i.lower <= i.estimate && i.estimate <= i.upper));
        assert!(intervals.gain[0].lower > 0.0, "a better order: {:?}", intervals.gain[0]);
        let reversed = |values: &[f64]| values.iter().rev().copied().collect::<Vec<f64>>();
        let (rs, ry, rn) = (reversed(&s), reversed(&y), reversed(&noise));
        let again = value_bootstrap(&Value::new(&rs, &ry).unwrap(), &Value::new(&rn, &ry).unwrap(), 200, 5).unwrap();
        assert!(intervals.gain.iter().zip(&again.gain).all(|(a, b)| (a.lower - b.lower).abs() < 1e-9));
        let same = value_bootstrap(&Value::new(&s, &y).unwrap(), &Value::new(&s, &y).unwrap(), 100, 5).unwrap();
        assert!(same.gain.iter().all(Interval::contains_zero));
    }
}
