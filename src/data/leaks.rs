//! The leak check: an owner column that alone predicts the label almost perfectly was filled in after the fact.

use super::Column;
use rayon::prelude::*;

/// An AUC beyond this, or below one minus this, is a leak. The best honest column of the real sets has .970.
pub const LEAK_AUC: f64 = 0.995;

/// How well a column alone ranks the label: area under the ROC curve, ties at mid-rank. None where one class is missing.
#[must_use]
pub fn column_auc(values: &[f64], label: &[bool], counts: impl Fn(usize) -> bool) -> Option<f64> {
    let mut pairs: Vec<(f64, bool)> =
        values.iter().zip(label).enumerate().filter(|(row, _)| counts(*row)).map(|(_, (v, l))| (*v, *l)).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let positives = pairs.iter().filter(|(_, label)| *label).count() as f64;
    let negatives = pairs.len() as f64 - positives;
    let (mut below, mut won) = (0.0, 0.0);
    for ties in pairs.chunk_by(|a, b| a.0 == b.0) {
        let up = ties.iter().filter(|(_, label)| *label).count() as f64;
        let down = ties.len() as f64 - up;
        won += up * (below + down / 2.0);
        below += down;
    }
    (positives > 0.0 && negatives > 0.0).then(|| won / (positives * negatives))
}

/// The columns that leak, with their AUC, worst first.
pub(super) fn leaking<'a>(
    columns: &'a [Column],
    label: &[bool],
    allowed: &[String],
    counts: impl Fn(usize) -> bool + Sync,
) -> Vec<(&'a str, f64)> {
    let mut found: Vec<(&str, f64)> = columns
        .par_iter()
        .filter(|column| !allowed.contains(&column.name))
        .filter_map(|column| column_auc(column.values.numbers()?, label, &counts).map(|auc| (column.name.as_str(), auc)))
        .filter(|(_, auc)| *auc > LEAK_AUC || *auc < 1.0 - LEAK_AUC)
        .collect();
    found.sort_by(|a, b| (b.1 - 0.5).abs().total_cmp(&(a.1 - 0.5).abs()).then_with(|| a.0.cmp(b.0)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;

    #[test]
    fn ties_count_half_and_only_the_chosen_rows_count() {
        let (values, label) = ([1.0, 2.0, 2.0, 3.0, 9.0], [false, false, true, true, false]);
        // Pairs (positive, negative) among the first four rows: 2>1, 2=2, 3>1, 3>2: 3.5 of 4.
        assert_eq!(column_auc(&values, &label, |row| row < 4), Some(0.875));
        assert_eq!(column_auc(&values, &label, |_| true), Some(3.5 / 6.0));
        assert_eq!(column_auc(&values, &label, |row| row == 0), None);
        assert_eq!(column_auc(&[5.0; 5], &label, |_| true), Some(0.5));
    }

    #[test]
    fn both_directions_leak_and_a_named_column_may() {
        let label: Vec<bool> = (0..400).map(|i| i % 2 == 0).collect();
        let column = |name: &str, f: &dyn Fn(bool, usize) -> f64| Column {
            name: name.into(),
            values: Values::Number(label.iter().enumerate().map(|(i, l)| f(*l, i)).collect()),
        };
        let columns = [
            column("up", &|l, _| f64::from(u8::from(l))),
            column("down", &|l, i| if i == 0 { 1.0 } else { -f64::from(u8::from(l)) }),
            column("noise", &|_, i| (i * 7 % 31) as f64),
        ];
        let names = |allowed: &[String]| leaking(&columns, &label, allowed, |_| true).iter().map(|l| l.0).collect::<Vec<_>>();
        assert_eq!(names(&[]), ["up", "down"]);
        assert_eq!(names(&["up".to_owned()]), ["down"]);
    }
}
