//! The encodings: one raw cell in, a fixed number of feature values out. All of a text cell's features but one are 0.

use super::Unfamiliar;
use crate::data::{Column, ColumnKind, MISSING, Values};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Most levels, bins or buckets of one column.
pub const MOST_LEVELS: usize = 10_000;

/// What is done to the cells of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Encoding {
    /// Nothing is made of it.
    Dropped,
    /// A number as it is: missing → `fill`, cut to `limits`, then perhaps the logarithm; perhaps a second feature "was missing".
    Number {
        /// Stands for a missing number.
        fill: f64,
        /// Whether a 0/1 feature says that the number was missing.
        indicator: bool,
        /// A number that means "missing", such as −1 among counts.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sentinel: Option<f64>,
        /// Cuts.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        limits: Option<[f64; 2]>,
        /// sign(x)·ln(1 + |x|) after the cuts.
        log1p: bool,
    },
    /// A number's quantile bin: one feature for each bin but the first, and one for missing numbers.
    Bins {
        /// Lower ends of all bins but the first, rising.
        edges: Vec<f64>,
        /// Whether training rows lacked the number.
        missing: bool,
    },
    /// The weight of evidence of a number's bin.
    WoeBins {
        /// Lower ends of all bins but the first, rising.
        edges: Vec<f64>,
        /// One weight for each bin.
        weights: Vec<f64>,
        /// The weight of a missing number.
        missing: f64,
    },
    /// A 0/1 feature for each of `levels`, for rare or unseen ones and for missing cells. The reference level has none.
    OneHot {
        /// The most frequent level.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reference: Option<String>,
        /// The other frequent levels, most frequent first.
        levels: Vec<String>,
        /// Whether training rows had rare levels. Without it an unseen level counts as the reference.
        rare: bool,
        /// Whether training rows lacked the text.
        missing: bool,
    },
    /// The weight of evidence of a level.
    WoeLevels {
        /// Frequent levels.
        levels: Vec<String>,
        /// Their weights.
        weights: Vec<f64>,
        /// The weight of rare and unseen levels.
        rare: f64,
        /// The weight of a missing cell.
        missing: f64,
    },
    /// The level's hash picks one of so many 0/1 features; a missing cell picks none.
    Hash {
        /// Number of features.
        buckets: usize,
    },
}

impl Encoding {
    /// The type of the raw column.
    #[must_use]
    pub fn kind(&self) -> ColumnKind {
        match self {
            Self::Number { .. } | Self::Bins { .. } | Self::WoeBins { .. } => ColumnKind::Number,
            Self::Dropped | Self::OneHot { .. } | Self::WoeLevels { .. } | Self::Hash { .. } => ColumnKind::Text,
        }
    }

    /// The short name for tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Number { log1p: true, .. } => "log1p",
            Self::Number { .. } => "number",
            Self::Bins { .. } => "bins",
            Self::WoeBins { .. } | Self::WoeLevels { .. } => "woe",
            Self::OneHot { .. } => "one-hot",
            Self::Hash { .. } => "hash",
        }
    }

    /// What follows the column's name in the names of its features, in order.
    #[must_use]
    pub fn suffixes(&self) -> Vec<String> {
        let numbered = |count: usize| (1..=count).map(|bin| format!(":bin{bin}"));
        match self {
            Self::Dropped => Vec::new(),
            Self::Number { indicator, log1p, .. } => {
                let first = if *log1p { ":log1p" } else { "" };
                [first].into_iter().chain(indicator.then_some(":missing")).map(str::to_owned).collect()
            }
            Self::Bins { edges, missing } => numbered(edges.len()).chain(missing.then(|| ":missing".to_owned())).collect(),
            Self::WoeBins { .. } | Self::WoeLevels { .. } => vec![":woe".to_owned()],
            Self::OneHot { levels, rare, missing, .. } => levels
                .iter()
                .map(|level| format!("={level}"))
                .chain(rare.then(|| ":rare".to_owned()))
                .chain(missing.then(|| ":missing".to_owned()))
                .collect(),
            Self::Hash { buckets } => (0..*buckets).map(|bucket| format!(":hash{bucket}")).collect(),
        }
    }

    /// Why the fields do not fit together.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        let rising = |edges: &[f64]| finite(edges) && edges.len() <= MOST_LEVELS && edges.windows(2).all(|pair| pair[0] < pair[1]);
        let distinct = |levels: &[String], more: Option<&String>| {
            let mut all: Vec<&String> = levels.iter().chain(more).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            count == all.len() && count <= MOST_LEVELS + 1
        };
        let fits = match self {
            Self::Dropped => true,
            Self::Number { fill, sentinel, limits, .. } => {
                fill.is_finite()
                    && sentinel.is_none_or(f64::is_finite)
                    && limits.is_none_or(|[low, high]| finite(&[low, high]) && low <= high)
            }
            Self::Bins { edges, .. } => rising(edges),
            Self::WoeBins { edges, weights, missing } => {
                rising(edges) && weights.len() == edges.len() + 1 && finite(weights) && missing.is_finite()
            }
            Self::OneHot { reference, levels, .. } => distinct(levels, reference.as_ref()),
            Self::WoeLevels { levels, weights, rare, missing } => {
                distinct(levels, None) && weights.len() == levels.len() && finite(weights) && finite(&[*rare, *missing])
            }
            Self::Hash { buckets } => (1..=MOST_LEVELS).contains(buckets),
        };
        if fits { Ok(()) } else { Err("levels, bins or weights do not fit together") }
    }

    /// This encoding over a column of its type; None for another type.
    pub(super) fn bind<'a>(&'a self, column: &'a Column) -> Option<Bound<'a>> {
        match (&column.values, self.kind()) {
            (_, _) if *self == Self::Dropped => Some(Bound::Nothing),
            (Values::Number(values), ColumnKind::Number) => Some(Bound::Number { values, encoding: self }),
            (Values::Text { codes, levels }, ColumnKind::Text) => {
                let (slots, missing) = self.slots(levels);
                Some(Bound::Text { codes, slots, missing })
            }
            _ => None,
        }
    }

    /// What each level of a file becomes, and what a missing cell does.
    fn slots(&self, levels: &[String]) -> (Vec<Slot>, Slot) {
        let seen = |at: usize, value: f64| Slot { at, value, unfamiliar: false };
        let none = Slot { at: usize::MAX, value: 0.0, unfamiliar: false };
        match self {
            Self::OneHot { reference, levels: known, rare, missing } => {
                let places: HashMap<&str, usize> = known.iter().enumerate().map(|(i, level)| (level.as_str(), i)).collect();
                let rest = if *rare { seen(known.len(), 1.0) } else { Slot { unfamiliar: true, ..none } };
                let slot = |level: &String| match places.get(level.as_str()) {
                    Some(place) => seen(*place, 1.0),
                    None if reference.as_ref() == Some(level) => none,
                    None => rest,
                };
                let lacking = if *missing { seen(known.len() + usize::from(*rare), 1.0) } else { Slot { unfamiliar: !*rare, ..rest } };
                (levels.iter().map(slot).collect(), lacking)
            }
            Self::WoeLevels { levels: known, weights, rare, missing } => {
                let places: HashMap<&str, f64> = known.iter().map(String::as_str).zip(weights.iter().copied()).collect();
                let slot = |level: &String| places.get(level.as_str()).map_or(seen(0, *rare), |weight| seen(0, *weight));
                (levels.iter().map(slot).collect(), seen(0, *missing))
            }
            Self::Hash { buckets } => (levels.iter().map(|level| seen(bucket(level, *buckets), 1.0)).collect(), none),
            _ => (vec![none; levels.len()], none),
        }
    }
}

/// The bucket of a level: the first 8 bytes of SHA-256("colift/hash/v1" ‖ 0 ‖ level), little-endian, modulo the buckets.
fn bucket(level: &str, buckets: usize) -> usize {
    let digest = Sha256::new().chain_update(b"colift/hash/v1\0").chain_update(level.as_bytes()).finalize();
    let head = digest.iter().take(8).rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    (head % buckets.max(1) as u64) as usize
}

/// The bin of a number: how many lower ends it has reached.
pub(super) fn bin(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|edge| *edge <= value)
}

/// What one level becomes: `value` in feature `at`, 0 elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    at: usize,
    value: f64,
    /// Training rows had nothing of the kind.
    unfamiliar: bool,
}

/// An encoding over the cells of one column.
pub(super) enum Bound<'a> {
    Nothing,
    Number { values: &'a [f64], encoding: &'a Encoding },
    Text { codes: &'a [u32], slots: Vec<Slot>, missing: Slot },
}

impl Bound<'_> {
    /// The features of a row; `out` has the encoding's width.
    pub(super) fn write(&self, row: usize, out: &mut [f64]) {
        out.fill(0.0);
        match self {
            Self::Nothing => {}
            Self::Text { codes, slots, missing } => {
                let slot = slots.get(codes[row] as usize).unwrap_or(missing);
                if let Some(feature) = out.get_mut(slot.at) {
                    *feature = slot.value;
                }
            }
            Self::Number { values, encoding } => {
                let value = values[row];
                match encoding {
                    Encoding::Number { fill, indicator, sentinel, limits, log1p } => {
                        let missing = value.is_nan() || *sentinel == Some(value);
                        let mut x = if missing { *fill } else { value };
                        if let Some([low, high]) = limits {
                            x = x.clamp(*low, *high);
                        }
                        if *log1p {
                            x = x.abs().ln_1p().copysign(x);
                        }
                        out[0] = x;
                        if *indicator {
                            out[1] = f64::from(u8::from(missing));
                        }
                    }
                    Encoding::Bins { edges, missing } => {
                        let feature = if value.is_nan() { missing.then_some(edges.len()) } else { bin(edges, value).checked_sub(1) };
                        if let Some(feature) = feature.and_then(|at| out.get_mut(at)) {
                            *feature = 1.0;
                        }
                    }
                    Encoding::WoeBins { edges, weights, missing } => {
                        out[0] = if value.is_nan() { *missing } else { weights.get(bin(edges, value)).copied().unwrap_or_default() };
                    }
                    _ => {}
                }
            }
        }
    }

    /// Counts rows whose cell is of a sort that no training row had.
    pub(super) fn unfamiliar(&self, name: &str, rows: &[usize]) -> Option<Unfamiliar> {
        let (mut unseen, mut missing) = (0u64, 0u64);
        match self {
            Self::Nothing => {}
            Self::Text { codes, slots, missing: lacking } => {
                for row in rows {
                    match slots.get(codes[*row] as usize) {
                        Some(slot) => unseen += u64::from(slot.unfamiliar),
                        None => missing += u64::from(lacking.unfamiliar),
                    }
                }
            }
            Self::Number { values, encoding } => {
                let expected = match encoding {
                    Encoding::Number { indicator, .. } => *indicator,
                    Encoding::Bins { missing, .. } => *missing,
                    _ => true,
                };
                if !expected {
                    missing = rows.iter().filter(|row| values[**row].is_nan()).count() as u64;
                }
            }
        }
        (unseen + missing > 0).then(|| Unfamiliar { column: name.to_owned(), unseen, missing })
    }
}

const _: () = assert!(MISSING as usize > MOST_LEVELS, "the code of a missing cell is no level");
