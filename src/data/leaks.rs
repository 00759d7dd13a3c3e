//! The leak check: an owner column that alone predicts the label almost perfectly was filled in after the fact.

use super::source::refuse;
use super::wording::{counted, shown};
use super::{Column, Split, Table, TableSpec, Values};
use crate::error::Failure;
use rayon::prelude::*;

/// An AUC beyond this, or below one minus this, is a leak. The best honest column of the real sets has .970.
pub const LEAK_AUC: f64 = 0.995;

/// How well a column alone ranks the label: area under the ROC curve, ties at mid-rank. None where one class is missing.
/// Missing values rank above all others.
#[must_use]
pub fn column_auc(values: &[f64], label: &[bool], counts: impl Fn(usize) -> bool) -> Option<f64> {
    let mut pairs: Vec<(f64, bool)> =
        values.iter().zip(label).enumerate().filter(|(row, _)| counts(*row)).map(|(_, (v, l))| (top(*v), *l)).collect();
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

/// A missing value as a number above all others: a tie of its own.
fn top(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}

/// How well a column of text alone ranks the label. The label's rate of each level is taken from one half of the rows and ranks the
/// other half, and the other way round; the smaller of both figures counts. Rates on the rows that they were taken from would rank
/// them well by chance alone where levels are rare.
fn text_auc(codes: &[u32], levels: usize, label: &[bool], counts: &impl Fn(usize) -> bool) -> Option<f64> {
    let place = |row: usize| codes.get(row).map_or(levels, |code| (*code as usize).min(levels));
    let halves = [0, 1].map(|half| {
        let mine = |row: usize| counts(row) && scattered(row) % 2 == half;
        let mut rates = vec![(0u32, 0u32); levels + 1];
        let (mut rows, mut positives) = (0u32, 0u32);
        for (row, label) in label.iter().enumerate().filter(|(row, _)| mine(*row)) {
            if let Some((n, p)) = rates.get_mut(place(row)) {
                (*n, *p) = (*n + 1, *p + u32::from(*label));
            }
            (rows, positives) = (rows + 1, positives + u32::from(*label));
        }
        let base = f64::from(positives) / f64::from(rows.max(1));
        let rate: Vec<f64> = rates.iter().map(|(n, p)| (f64::from(*p) + base) / (f64::from(*n) + 1.0)).collect();
        let scores: Vec<f64> = (0..label.len()).map(|row| rate.get(place(row)).copied().unwrap_or(base)).collect();
        column_auc(&scores, label, |row| counts(row) && scattered(row) % 2 != half)
    });
    Some(halves[0]?.min(halves[1]?))
}

/// Row numbers in an order that has nothing to do with the file's: the same in every run.
fn scattered(row: usize) -> u64 {
    let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// Some rows of each class of a long table, by which most columns are cleared without sorting all of their values.
struct Sample {
    rows: Vec<usize>,
    label: Vec<bool>,
}

impl Sample {
    /// Rows of each class in the sample, about.
    const ROWS: usize = 10_000;
    /// A column whose AUC on the sample is this far from 1 and 0 does not leak: with the rows of a class above, or all of a smaller
    /// class, the sample's figure lies within a few thousandths of the whole one, and [`LEAK_AUC`] is .025 away.
    const CLEAR: f64 = 0.03;

    fn draw(label: &[bool], counts: &impl Fn(usize) -> bool) -> Option<Self> {
        let of = |class: bool| (0..label.len()).filter(move |row| label.get(*row) == Some(&class) && counts(*row));
        let sizes = [false, true].map(|class| of(class).count());
        if sizes.iter().sum::<usize>() < 8 * Self::ROWS || sizes.iter().any(|size| *size < 1_000) {
            return None;
        }
        let mut rows = Vec::new();
        for (class, size) in [false, true].into_iter().zip(sizes) {
            let step = (size / Self::ROWS).max(1) as u64;
            rows.extend(of(class).filter(|row| scattered(*row).is_multiple_of(step)));
        }
        let label = rows.iter().map(|row| label.get(*row) == Some(&true)).collect();
        Some(Self { rows, label })
    }

    fn may_leak(&self, values: &[f64]) -> bool {
        let mut taken: Vec<f64> = self.rows.iter().filter_map(|row| values.get(*row).copied()).collect();
        let high = column_auc(&taken, &self.label, |_| true).unwrap_or(1.0);
        for value in &mut taken {
            *value = if value.is_nan() { f64::NEG_INFINITY } else { *value };
        }
        let low = column_auc(&taken, &self.label, |_| true).unwrap_or(1.0);
        [high, low].iter().any(|auc| !(Self::CLEAR..=1.0 - Self::CLEAR).contains(auc))
    }
}

/// How well any column alone ranks the label. A missing number may stand at either end.
fn any_auc(values: &Values, label: &[bool], sample: Option<&Sample>, counts: &impl Fn(usize) -> bool) -> Option<f64> {
    match values {
        Values::Text { codes, levels } => text_auc(codes, levels.len(), label, counts),
        Values::Number(values) => {
            if sample.is_some_and(|sample| !sample.may_leak(values)) {
                return None;
            }
            let high = column_auc(values, label, counts)?;
            if !values.iter().any(|value| value.is_nan()) {
                return Some(high);
            }
            let low: Vec<f64> = values.iter().map(|value| if value.is_nan() { f64::NEG_INFINITY } else { *value }).collect();
            let low = column_auc(&low, label, counts)?;
            Some(if (low - 0.5).abs() > (high - 0.5).abs() { low } else { high })
        }
    }
}

/// How well any column alone ranks the label, as the check of a party's file judges it. None where one class is missing, and where a
/// sample of a long table shows that the column is far from telling the label.
#[must_use]
pub fn values_auc(values: &Values, label: &[bool]) -> Option<f64> {
    let counts = |_| true;
    any_auc(values, label, Sample::draw(label, &counts).as_ref(), &counts)
}

/// The columns that leak, with their AUC, worst first.
pub(super) fn leaking<'a>(
    columns: &'a [Column],
    label: &[bool],
    allowed: &[String],
    counts: impl Fn(usize) -> bool + Sync,
) -> Vec<(&'a str, f64)> {
    let sample = Sample::draw(label, &counts);
    let mut found: Vec<(&str, f64)> = columns
        .par_iter()
        .filter(|column| !allowed.contains(&column.name))
        .filter_map(|column| any_auc(&column.values, label, sample.as_ref(), &counts).map(|auc| (column.name.as_str(), auc)))
        .filter(|(_, auc)| *auc > LEAK_AUC || *auc < 1.0 - LEAK_AUC)
        .collect();
    found.sort_by(|a, b| (b.1 - 0.5).abs().total_cmp(&(a.1 - 0.5).abs()).then_with(|| a.0.cmp(b.0)));
    found
}

/// Refuses owner columns that know the answer.
pub(super) fn check_leaks(table: &Table, spec: &TableSpec) -> Result<(), Failure> {
    refuse_leaks(&found_leaks(table, spec), spec)
}

/// The refusal of columns that leak.
pub(super) fn refuse_leaks(leaks: &[(&str, f64)], spec: &TableSpec) -> Result<(), Failure> {
    let Some((worst, _)) = leaks.first() else { return Ok(()) };
    let list: Vec<String> = leaks.iter().map(|(name, auc)| format!("{} (AUC {auc:.4})", shown(name))).collect();
    let many = counted(leaks.len() as u64, "column predicts", "columns predict");
    let what = format!("{many} the label alone, beyond AUC {LEAK_AUC} or below {:.3}: {}", 1.0 - LEAK_AUC, list.join(", "));
    let hint = "exclude what is known only after the event (another label, its amount); allow_leaky names a column that may stay";
    let name = spec.path.display().to_string();
    Err(refuse(&name, 323, what).at(format!("{name}, column {}", shown(worst))).hint(hint))
}

/// The leaking columns of a table on its training rows.
pub(super) fn found_leaks<'a>(table: &'a Table, spec: &TableSpec) -> Vec<(&'a str, f64)> {
    let Some(label) = &table.label else { return Vec::new() };
    let trains = |row: usize| table.split.as_ref().is_none_or(|split| split.get(row) == Some(&Split::Train));
    leaking(&table.columns, label, &spec.allow_leaky, trains)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn missing_cells_and_levels_leak_and_rare_levels_do_not() {
        let label: Vec<bool> = (0..4000).map(|i| i % 97 == 0).collect();
        let auc = |values: Values| any_auc(&values, &label, None, &|_| true).unwrap_or(f64::NAN);
        // Filled in only after the event.
        let filled = label.iter().enumerate().map(|(i, l)| if *l { (i % 7) as f64 } else { f64::NAN }).collect();
        assert!(auc(Values::Number(filled)) < 1e-9);
        let text = |code: &dyn Fn(usize, bool) -> u32, levels: u32| Values::Text {
            codes: label.iter().enumerate().map(|(i, l)| code(i, *l)).collect(),
            levels: (0..levels).map(|level| level.to_string()).collect(),
        };
        assert!(auc(text(&|i, l| if l { 5 } else { (i % 5) as u32 }, 6)) > LEAK_AUC);
        assert!(auc(text(&|_, l| if l { crate::data::MISSING } else { 0 }, 1)) > LEAK_AUC);
        // Every row a level of its own: on its own rows it would rank perfectly.
        assert!((auc(text(&|i, _| i as u32, 4000)) - 0.5).abs() < 1e-9);
        let noise = auc(text(&|i, _| (i * 7919 % 801) as u32, 801));
        assert!((0.3..0.7).contains(&noise), "{noise}");
    }

    #[test]
    fn a_sample_clears_honest_columns_of_a_long_table_only() {
        let label: Vec<bool> = (0..100_000).map(|i| i % 31 == 0).collect();
        let sample = Sample::draw(&label, &|_| true);
        let sample = sample.as_ref().filter(|sample| sample.rows.len() < 20_000);
        assert!(sample.is_some(), "a long table has a short sample");
        // Rank of the label with a share of rows swapped: AUC about 1 - share.
        let swapped =
            |every: usize| Values::Number(label.iter().enumerate().map(|(i, l)| f64::from(u8::from(*l != (i % every == 0)))).collect());
        for (every, leaks) in [(1_009, true), (211, true), (13, false), (2, false)] {
            let exact = any_auc(&swapped(every), &label, None, &|_| true);
            assert_eq!(exact.is_some_and(|auc| auc > LEAK_AUC), leaks, "{every}: {exact:?}");
            let quick = any_auc(&swapped(every), &label, sample, &|_| true);
            assert_eq!(quick, if leaks { exact } else { None }, "{every}");
        }
        assert!(Sample::draw(&label[..50_000], &|_| true).is_none());
    }
}
