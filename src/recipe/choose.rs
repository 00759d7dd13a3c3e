//! Chooses an encoding from what a column looks like on the training rows, or builds the one that was asked for, and says why.
//!
//! | column | encoding |
//! |---|---|
//! | numbers | as they are |
//! | numbers, some missing | mean in their place, and a feature "missing" |
//! | numbers of which the only negative one is −1, −9, −99, −999 or −9999 in at least 1 % of the rows | that one counts as missing |
//! | numbers, none negative, the largest beyond [`FAR_Z`] standard deviations | log(1 + x) |
//! | texts with up to [`MOST_ONE_HOT`] frequent levels | one-hot, the most frequent level is the reference, rare ones share a feature |
//! | texts with more | weight of evidence on the label's side, else [`HASH_BUCKETS`] hash buckets |
//! | texts that differ in more than half of the rows | dropped: an id or free text |
//!
//! A level is frequent with at least 1 % of the rows and at least [`FEWEST_ROWS`] rows.

use super::FitRows;
use super::encode::{Encoding, MOST_LEVELS, bin};
use crate::data::wording::{counted, grouped, shown};
use crate::data::{Column, ColumnWish, Encode, Impute, Values};
use crate::error::{Exit, Failure};

/// A level that fewer training rows have is rare, whatever their share, and is never written to a file.
pub const FEWEST_ROWS: usize = 10;
/// Share of the rows from which a level is frequent.
const FREQUENT: f64 = 0.01;
/// Most frequent levels for one-hot.
pub const MOST_ONE_HOT: usize = 50;
/// Buckets of the hash.
pub const HASH_BUCKETS: usize = 32;
/// Bins of `bins` and `woe` over numbers.
const BINS: usize = 10;
/// A largest value beyond so many standard deviations makes the logarithm the choice.
pub const FAR_Z: f64 = 200.0;
/// Numbers that stand for "missing" where they are the only negative ones.
const SENTINELS: [f64; 5] = [-1.0, -9.0, -99.0, -999.0, -9999.0];
/// Pseudo-rows of the average rate in every weight of evidence: small bins say little.
const SMOOTHING: f64 = 20.0;

/// The encoding of a column and why.
pub(super) fn choose(column: &Column, on: FitRows<'_>, wish: &ColumnWish) -> Result<(Encoding, String), Failure> {
    match &column.values {
        Values::Number(values) => number(column, &Numbers::of(values, on.rows), on, wish),
        Values::Text { codes, levels } => text(column, &Levels::of(codes, levels, on.rows), on, wish),
    }
}

fn unfit(column: &Column, what: &str, hint: &str) -> Failure {
    Failure::new(Exit::Usage, 731, format!("column {}: {what}", shown(&column.name))).at("[private.columns]").hint(hint.to_owned())
}

/// The numbers of the training rows, in the file's order: sums are the same whatever order the matching gave.
struct Numbers {
    /// NaN where missing.
    all: Vec<f64>,
    missing: usize,
    /// The smallest number, in how many rows it stands, and the next larger one.
    lowest: f64,
    lowest_rows: usize,
    next: f64,
    highest: f64,
}

impl Numbers {
    fn of(values: &[f64], rows: &[usize]) -> Self {
        let all: Vec<f64> = rows.iter().map(|row| values[*row]).collect();
        let (mut missing, mut lowest, mut lowest_rows, mut next, mut highest) = (0, f64::INFINITY, 0, f64::INFINITY, f64::NEG_INFINITY);
        for value in &all {
            if value.is_nan() {
                missing += 1;
            } else if *value < lowest {
                (next, lowest, lowest_rows) = (lowest, *value, 1);
            } else if *value == lowest {
                lowest_rows += 1;
            } else {
                next = next.min(*value);
            }
            highest = highest.max(*value);
        }
        Self { all, missing, lowest, lowest_rows, next, highest }
    }

    /// Those present, but for one number that means "missing".
    fn present(&self, sentinel: Option<f64>) -> impl Iterator<Item = f64> {
        self.all.iter().copied().filter(move |value| !value.is_nan() && Some(*value) != sentinel)
    }

    fn sorted(&self, sentinel: Option<f64>) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.present(sentinel).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }

    fn mean(&self, sentinel: Option<f64>) -> f64 {
        let (count, sum) = self.present(sentinel).fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// The one negative number that must mean "missing", and how many rows have it.
    fn sentinel(&self) -> Option<(f64, usize)> {
        let share = self.lowest_rows as f64 / self.all.len() as f64;
        let fits = SENTINELS.contains(&self.lowest) && self.next >= 0.0 && self.next.is_finite() && share >= FREQUENT;
        fits.then_some((self.lowest, self.lowest_rows))
    }

    /// The largest value's distance from the mean in standard deviations, where no number (but the sentinel) is negative.
    fn far(&self, sentinel: Option<f64>) -> Option<f64> {
        let lowest = if sentinel == Some(self.lowest) { self.next } else { self.lowest };
        let mean = self.mean(sentinel);
        let (count, squares) = self.present(sentinel).fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + (value - mean) * (value - mean)));
        let z = (self.highest - mean) / (squares / f64::max(count, 1.0)).sqrt();
        (lowest >= 0.0 && z > FAR_Z).then_some(z)
    }
}

/// The value below which the share q of sorted numbers lies (nearest rank).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted.get((q * sorted.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or_default()
}

/// Lower ends of quantile bins: distinct, none at or below the smallest number.
fn edges(sorted: &[f64], bins: usize) -> Vec<f64> {
    let mut edges: Vec<f64> = (1..bins).map(|i| quantile(sorted, i as f64 / bins as f64)).collect();
    edges.dedup();
    edges.retain(|edge| sorted.first().is_some_and(|first| edge > first));
    edges
}

fn number(column: &Column, numbers: &Numbers, on: FitRows<'_>, wish: &ColumnWish) -> Result<(Encoding, String), Failure> {
    if numbers.missing == numbers.all.len() {
        return Ok((Encoding::Dropped, "no training row has a value".into()));
    }
    let bins = wish.count.unwrap_or(BINS);
    match wish.encode {
        Some(Encode::OneHot | Encode::Hash) => {
            Err(unfit(column, "its cells were read as numbers", "add type = \"text\" to encode numbers as categories"))
        }
        Some(Encode::Bins) => {
            let edges = edges(&numbers.sorted(None), bins);
            let why = format!("asked for; {} quantile bins", edges.len() + 1);
            Ok((Encoding::Bins { edges, missing: numbers.missing > 0 }, why))
        }
        Some(Encode::Woe) => {
            let labels = labels(column, on)?;
            let edges = edges(&numbers.sorted(None), bins);
            let mut tally = Evidence::new(edges.len() + 2, labels);
            for (value, label) in numbers.all.iter().zip(labels) {
                tally.add(if value.is_nan() { edges.len() + 1 } else { bin(&edges, *value) }, *label);
            }
            let mut weights = tally.weights();
            let missing = weights.pop().unwrap_or_default();
            let why = format!("asked for; weight of evidence of {} quantile bins", edges.len() + 1);
            Ok((Encoding::WoeBins { edges, weights, missing }, why))
        }
        Some(Encode::Plain | Encode::Log1p) | None => Ok(plain(numbers, wish)),
    }
}

fn plain(numbers: &Numbers, wish: &ColumnWish) -> (Encoding, String) {
    let mut why: Vec<String> = Vec::new();
    let found = numbers.sentinel().filter(|_| wish.encode.is_none() && wish.missing.is_empty() && wish.impute.is_none());
    if let Some((value, count)) = found {
        let share = 100.0 * count as f64 / numbers.all.len() as f64;
        why.push(format!("{value} in {share:.0} % of the rows is the only negative number: taken as missing"));
    }
    if numbers.missing > 0 {
        why.push(format!("{} of {} training rows lack it", grouped(numbers.missing as u64), grouped(numbers.all.len() as u64)));
    }
    let sentinel = found.map(|(value, _)| value);
    let fill = match wish.impute {
        Some(Impute::Value(value)) => value,
        Some(Impute::Median) => quantile(&numbers.sorted(sentinel), 0.5),
        Some(Impute::Mean) | None => numbers.mean(sentinel),
    };
    let limits = wish.winsorise.map(|[low, high]| {
        why.push(format!("asked for: cut at the quantiles {low} and {high}"));
        let sorted = numbers.sorted(sentinel);
        [quantile(&sorted, low), quantile(&sorted, high)]
    });
    let log1p = match (wish.encode, numbers.far(sentinel)) {
        (Some(encode), _) => {
            why.push(format!("asked for: {}", encode.name()));
            encode == Encode::Log1p
        }
        (None, Some(z)) if wish.winsorise.is_none() => {
            why.push(format!("the largest value lies {z:.0} standard deviations out: logarithm"));
            true
        }
        (None, _) => false,
    };
    if why.is_empty() {
        why.push("numbers".into());
    }
    let indicator = numbers.missing > 0 || sentinel.is_some();
    (Encoding::Number { fill, indicator, sentinel, limits, log1p }, why.join("; "))
}

/// The levels of the training rows.
struct Levels<'a> {
    /// (rows, level's code), most frequent first, ties by name.
    counts: Vec<(usize, u32)>,
    names: &'a [String],
    codes: &'a [u32],
    missing: usize,
    rows: usize,
}

impl<'a> Levels<'a> {
    fn of(codes: &'a [u32], names: &'a [String], rows: &[usize]) -> Self {
        let (mut counts, mut missing) = (vec![0usize; names.len()], 0);
        for row in rows {
            match counts.get_mut(codes[*row] as usize) {
                Some(count) => *count += 1,
                None => missing += 1,
            }
        }
        let mut counts: Vec<(usize, u32)> = counts.into_iter().zip(0..).filter(|(count, _)| *count > 0).collect();
        counts.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| names[a.1 as usize].cmp(&names[b.1 as usize])));
        Self { counts, names, codes, missing, rows: rows.len() }
    }

    /// Levels with at least so many rows.
    fn with(&self, fewest: usize) -> &[(usize, u32)] {
        &self.counts[..self.counts.partition_point(|(count, _)| *count >= fewest)]
    }

    /// Levels with at least 1 % of the rows.
    fn frequent(&self) -> &[(usize, u32)] {
        self.with(FEWEST_ROWS.max((FREQUENT * self.rows as f64).ceil() as usize))
    }

    fn texts(&self, levels: &[(usize, u32)]) -> Vec<String> {
        levels.iter().map(|(_, code)| self.names[*code as usize].clone()).collect()
    }
}

fn text(column: &Column, levels: &Levels<'_>, on: FitRows<'_>, wish: &ColumnWish) -> Result<(Encoding, String), Failure> {
    let distinct = levels.counts.len();
    let many = counted(distinct as u64, "level", "levels");
    if wish.winsorise.is_some() || wish.impute.is_some() {
        return Err(unfit(column, "cuts and fillings are for numbers, its cells are texts", "remove winsorise and impute"));
    }
    match wish.encode {
        Some(Encode::Plain | Encode::Log1p | Encode::Bins) => {
            Err(unfit(column, "its cells are texts, the encoding asked for is for numbers", "use one-hot, woe or hash"))
        }
        Some(Encode::OneHot) => {
            let frequent = levels.with(FEWEST_ROWS);
            let most = wish.count.unwrap_or(MOST_LEVELS).min(MOST_LEVELS);
            Ok(one_hot(levels, &frequent[..frequent.len().min(most)], format!("asked for; {many}")))
        }
        Some(Encode::Hash) => Ok((Encoding::Hash { buckets: wish.count.unwrap_or(HASH_BUCKETS) }, format!("asked for; {many}"))),
        Some(Encode::Woe) => woe(levels, labels(column, on)?, on.rows, format!("asked for; {many}")),
        None if distinct == 0 => Ok((Encoding::Dropped, "no training row has a value".into())),
        None if distinct > FEWEST_ROWS && 2 * distinct > levels.rows => {
            Ok((Encoding::Dropped, format!("{many} in {} rows: an id or free text", grouped(levels.rows as u64))))
        }
        None => {
            let frequent = levels.frequent();
            let in_frequent: usize = frequent.iter().map(|(count, _)| count).sum();
            let why = format!("{many}, {} with at least 1 % of the rows", frequent.len());
            if frequent.len() <= MOST_ONE_HOT && 2 * in_frequent >= levels.rows {
                return Ok(one_hot(levels, frequent, why));
            }
            match on.labels {
                Some(labels) => woe(levels, labels, on.rows, format!("{why}: too many for one feature each")),
                None => Ok((Encoding::Hash { buckets: HASH_BUCKETS }, format!("{why}: too many for one feature each"))),
            }
        }
    }
}

fn one_hot(levels: &Levels<'_>, frequent: &[(usize, u32)], why: String) -> (Encoding, String) {
    let covered: usize = frequent.iter().map(|(count, _)| count).sum();
    let mut names = levels.texts(frequent);
    let lacking = levels.missing >= FEWEST_ROWS;
    let rare = covered + levels.missing < levels.rows || (levels.missing > 0 && !lacking);
    let reference = if names.is_empty() { None } else { Some(names.remove(0)) };
    (Encoding::OneHot { reference, levels: names, rare, missing: lacking }, why)
}

fn woe(levels: &Levels<'_>, labels: &[bool], rows: &[usize], why: String) -> Result<(Encoding, String), Failure> {
    let known = levels.with(FEWEST_ROWS);
    let known = &known[..known.len().min(MOST_LEVELS)];
    let mut place = vec![known.len(); levels.names.len()];
    for (i, (_, code)) in known.iter().enumerate() {
        place[*code as usize] = i;
    }
    let mut tally = Evidence::new(known.len() + 2, labels);
    for (row, label) in rows.iter().zip(labels) {
        let at = place.get(levels.codes[*row] as usize).copied().unwrap_or(known.len() + 1);
        tally.add(at, *label);
    }
    let mut weights = tally.weights();
    let missing = weights.pop().unwrap_or_default();
    let rare = weights.pop().unwrap_or_default();
    Ok((Encoding::WoeLevels { levels: levels.texts(known), weights, rare, missing }, why))
}

fn labels<'a>(column: &Column, on: FitRows<'a>) -> Result<&'a [bool], Failure> {
    on.labels.ok_or_else(|| unfit(column, "weight of evidence needs the label, which only the owner has", "use one-hot or hash"))
}

/// Positives and negatives by place; weights of evidence shrunk towards 0.
struct Evidence {
    counts: Vec<[f64; 2]>,
    rate: f64,
}

impl Evidence {
    fn new(places: usize, labels: &[bool]) -> Self {
        let rate = (labels.iter().filter(|label| **label).count() as f64 + 0.5) / (labels.len() as f64 + 1.0);
        Self { counts: vec![[0.0; 2]; places], rate }
    }

    fn add(&mut self, place: usize, label: bool) {
        if let Some(counts) = self.counts.get_mut(place) {
            counts[usize::from(label)] += 1.0;
        }
    }

    /// ln((positives + s·π)/(negatives + s·(1 − π))) − ln(π/(1 − π)) with the average rate π.
    fn weights(&self) -> Vec<f64> {
        let base = (self.rate / (1.0 - self.rate)).ln();
        let weight = |[no, yes]: &[f64; 2]| ((yes + SMOOTHING * self.rate) / (no + SMOOTHING * (1.0 - self.rate))).ln() - base;
        self.counts.iter().map(weight).collect()
    }
}
