//! What it earns to contact the users with the highest predictions: profit by share of the users, and the best share.

use super::bootstrap::{Interval, interval, resampled};
use super::ranking::cut;
use super::value::{Order, draws_of};
use serde::{Deserialize, Serialize};

/// Shares of the users that are looked at, in per cent.
const SHARES: [u32; 12] = [1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100];

/// What a contact costs and what comes back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Cost of one contact: a message, a coupon.
    pub cost: f64,
    /// What one hit is worth, or one unit of a predicted amount (a margin).
    pub value: f64,
}

/// The profit of contacting a share of the users: `[share, profit]` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct ProfitPoint {
    /// Share of the users, highest predictions first.
    pub share: f64,
    /// What it earns, on the test users together.
    pub profit: f64,
}

impl From<[f64; 2]> for ProfitPoint {
    fn from([share, profit]: [f64; 2]) -> Self {
        Self { share, profit }
    }
}

impl From<ProfitPoint> for [f64; 2] {
    fn from(point: ProfitPoint) -> Self {
        [point.share, point.profit]
    }
}

/// Profit by targeted share, on the test users' actual labels in the order of the predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profit {
    /// At stated shares.
    pub by_share: Vec<ProfitPoint>,
    /// The best of all shares.
    pub best: ProfitPoint,
}

impl Profit {
    /// value · (label of those contacted) − cost · (those contacted), for the ⌊q·n⌋ highest predictions; ties at a cut in proportion.
    /// `None` without a user.
    #[must_use]
    pub fn new(predicted: &[f64], actual: &[f64], money: Money) -> Option<Self> {
        let n = predicted.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_unstable_by(|a, b| predicted[*b].total_cmp(&predicted[*a]));
        // The label's sum of the k first users; tied ones have their group's mean.
        let mut sums = vec![0.0];
        let mut total = 0.0;
        for tied in order.chunk_by(|a, b| predicted[*a] == predicted[*b]) {
            let mean = tied.iter().map(|row| actual[*row]).sum::<f64>() / tied.len() as f64;
            for _ in tied {
                total += mean;
                sums.push(total);
            }
        }
        let profit = |k: usize| money.value * sums[k] - money.cost * k as f64;
        let by_share = SHARES.iter().map(|percent| f64::from(*percent) / 100.0);
        let by_share = by_share.map(|share| ProfitPoint { share, profit: profit(cut(share, n)) }).collect();
        let best = (0..=n).max_by(|a, b| profit(*a).total_cmp(&profit(*b)).then(b.cmp(a)))?;
        (n > 0).then(|| Self { by_share, best: ProfitPoint { share: best as f64 / n as f64, profit: profit(best) } })
    }
}

/// Profit of the joint predictions minus that of others at every stated share, with 95 % intervals from a paired bootstrap of the users.
#[must_use]
pub fn profit_bootstrap(joint: &[f64], other: &[f64], actual: &[f64], money: Money, draws: usize, seed: u64) -> Option<Vec<Interval>> {
    let n = actual.len();
    let (first, second) = (Order::new(joint), Order::new(other));
    let at = |order: &Order, predicted: &[f64], counts: &[u32]| {
        let users: usize = counts.iter().map(|count| *count as usize).sum();
        let mut groups = order.groups(counts, predicted, actual);
        let (mut group, mut taken, mut sum) = ([0.0; 3], 0.0, 0.0);
        let profit = |percent: &u32| {
            let wanted = cut(f64::from(*percent) / 100.0, users) as f64;
            while taken + group[0] < wanted {
                (taken, sum) = (taken + group[0], sum + group[2]);
                group = groups.next()?;
            }
            let part = if group[0] > 0.0 { (wanted - taken) / group[0] } else { 0.0 };
            Some(money.value * (sum + group[2] * part) - money.cost * wanted)
        };
        SHARES.iter().map(profit).collect::<Option<Vec<f64>>>()
    };
    let difference = |counts: &[u32]| {
        let (joint, other) = (at(&first, joint, counts)?, at(&second, other, counts)?);
        Some(joint.iter().zip(&other).map(|(a, b)| a - b).collect::<Vec<f64>>())
    };
    let estimates = difference(&vec![1; n])?;
    // By place in the order of the predictions, so that the file's order does not matter.
    let drawn = resampled(n, draws_of(n, draws), seed, |place| first.0[place].0 as usize, difference);
    let share = |(place, estimate): (usize, &f64)| interval(*estimate, drawn.iter().map(|draw| draw[place]).collect());
    estimates.iter().enumerate().map(share).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn profit_is_value_of_the_reached_minus_cost_of_the_contacted() {
        let predicted: Vec<f64> = (0..100).map(|i| f64::from(100 - i)).collect();
        let actual: Vec<f64> = (0..100).map(|i| if i < 30 { 1.0 } else { 0.0 }).collect();
        let profit = Profit::new(&predicted, &actual, Money { cost: 1.0, value: 5.0 }).unwrap();
        assert_eq!((profit.best.share, profit.best.profit), (0.3, 120.0));
        let at = |share: f64| profit.by_share.iter().find(|point| point.share == share).unwrap().profit;
        assert_eq!((at(0.1), at(0.4), at(1.0)), (40.0, 110.0, 50.0));
        // Nothing is worth a contact.
        let none = Profit::new(&predicted, &actual, Money { cost: 9.0, value: 5.0 }).unwrap();
        assert_eq!((none.best.share, none.best.profit), (0.0, 0.0));
        // Tied users are reached in proportion.
        let tied = Profit::new(&[1.0; 100], &actual, Money { cost: 0.0, value: 1.0 }).unwrap();
        assert!((tied.by_share[3].profit - 3.0).abs() < 1e-12);
        assert!(Profit::new(&[], &[], Money { cost: 0.0, value: 1.0 }).is_none());
    }

    #[test]
    fn differences_of_profits_are_those_of_the_profits_and_their_intervals_hold_them() {
        let actual: Vec<f64> = (0..400).map(|i| if i % 7 == 0 { f64::from(i % 90) } else { 0.0 }).collect();
        let good: Vec<f64> = actual.iter().zip(0..).map(|(y, i)| y + f64::from(i * 31 % 50)).collect();
        let bad: Vec<f64> = (0..400).map(|i| f64::from(i * 17 % 101)).collect();
        let money = Money { cost: 1.0, value: 2.0 };
        let (a, b) = (Profit::new(&good, &actual, money).unwrap(), Profit::new(&bad, &actual, money).unwrap());
        let gains = profit_bootstrap(&good, &bad, &actual, money, 200, 3).unwrap();
        for ((gain, a), b) in gains.iter().zip(&a.by_share).zip(&b.by_share) {
            assert!((gain.estimate - (a.profit - b.profit)).abs() < 1e-9 && gain.lower <= gain.estimate && gain.estimate <= gain.upper);
        }
        assert!(gains[5].lower > 0.0, "a better order earns more: {:?}", gains[5]);
        let last = gains[11];
        assert!(last.lower.abs() < 1e-9 && last.upper.abs() < 1e-9, "everybody is everybody");
    }
}
