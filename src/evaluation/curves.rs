//! Points of the report's pictures: ROC, cumulative gains, precision and recall, calibration by decile.

use super::ranking::{Group, Ranking};

/// Bins of the calibration.
const BINS: usize = 10;

/// One point of a curve, both coordinates between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// False positive rate, share of users, or recall.
    pub x: f64,
    /// True positive rate, share of positives, or precision.
    pub y: f64,
}

/// One tenth of the test rows, by score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    /// Rows in the bin.
    pub rows: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of positives.
    pub observed: f64,
}

/// All curves of one model on the test rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// False positive rate against true positive rate, from (0, 0) to (1, 1).
    pub roc: Vec<Point>,
    /// Share of users contacted against share of positives reached, from (0, 0) to (1, 1).
    pub gains: Vec<Point>,
    /// Recall against precision, from the highest score down.
    pub precision_recall: Vec<Point>,
    /// Tenths of the rows from the lowest scores up; tied rows are spread over their bins in proportion.
    pub calibration: Vec<CalibrationBin>,
}

impl Curves {
    /// The curves of scores that are probabilities; `None` where the labels hold one class only.
    pub fn new(probabilities: &[f64], labels: &[bool]) -> Option<Self> {
        let ranking = Ranking::new(probabilities, labels)?;
        let n = ranking.positives + ranking.negatives;
        let (mut positives, mut rows) = (0.0, 0.0);
        let start = Point { x: 0.0, y: 0.0 };
        let (mut roc, mut gains, mut precision_recall) = (vec![start], vec![start], Vec::new());
        for group in &ranking.groups {
            positives += group.positives;
            rows += group.rows();
            let recall = positives / ranking.positives;
            roc.push(Point { x: (rows - positives) / ranking.negatives, y: recall });
            gains.push(Point { x: rows / n, y: recall });
            precision_recall.push(Point { x: recall, y: positives / rows });
        }
        Some(Self { roc, gains, precision_recall, calibration: calibration(&ranking) })
    }

    /// A curve with at most about `2·steps` points: points closer than one step to the last one kept are left out.
    pub fn thinned(curve: &[Point], steps: usize) -> Vec<Point> {
        let step = 1.0 / steps.max(1) as f64;
        let mut kept: Vec<Point> = Vec::new();
        for (i, point) in curve.iter().enumerate() {
            let far = kept.last().is_none_or(|last| (point.x - last.x).abs() + (point.y - last.y).abs() >= step);
            if far || i + 1 == curve.len() {
                kept.push(*point);
            }
        }
        kept
    }
}

/// Ten bins of ⌊i·n/10⌋ borders; fewer where there are fewer than ten rows.
fn calibration(ranking: &Ranking) -> Vec<CalibrationBin> {
    let n = ranking.rows();
    let mut groups = ranking.groups.iter().rev();
    let mut current: Option<(Group, f64)> = None; // a group and how many of its rows are left
    (0..BINS)
        .filter_map(|bin| {
            let rows = (bin + 1) * n / BINS - bin * n / BINS;
            let (mut room, mut predicted, mut observed) = (rows as f64, 0.0, 0.0);
            while room > 1e-9 {
                let (group, left) = match current.take() {
                    Some(found) => found,
                    None => groups.next().map(|group| (*group, group.rows()))?,
                };
                let taken = left.min(room);
                predicted += group.score_sum * taken / group.rows();
                observed += group.positives * taken / group.rows();
                room -= taken;
                current = (left - taken > 1e-9).then_some((group, left - taken));
            }
            (rows > 0).then(|| CalibrationBin { rows, predicted: predicted / rows as f64, observed: observed / rows as f64 })
        })
        .collect()
}
