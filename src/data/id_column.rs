//! The id column or columns being read: canonical forms, what was repaired, what is refused, duplicates.

use super::cells::Cell;
use super::ids::{IdKind, IdProblem, PART_SEPARATOR, Region, Repair, canonical_in, defect};
use super::quality::Warning;
use super::refusals::{Places, Reason, Refusals};
use super::rows::Batch;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

/// What was counted of the ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IdCounts {
    pub trimmed: u64,
    pub rewritten: u64,
    pub repaired: u64,
    /// Whole numbers that were written as floats.
    pub floats: u64,
    pub repairs: [u64; Repair::ALL.len()],
    /// Ids that are refused, by class.
    pub defects: BTreeMap<&'static str, u64>,
    /// Rows whose id an earlier row has.
    pub duplicates: u64,
    /// Phone numbers with a free country code, and the first row of them.
    pub unassigned: Option<(u64, u64)>,
    decimals: u64,
    rounded: Option<(u64, u64)>,
}

/// The ids being read.
pub(super) struct Ids {
    /// Places of the id columns in the header, in the order of the parts.
    pub columns: Vec<usize>,
    parts: Vec<IdKind>,
    region: Option<Region>,
    /// Canonical, or empty where refused.
    pub ids: Vec<String>,
    /// One key of several: a row may lack it.
    pub optional: bool,
    /// Of such a key the rows whose cell is refused.
    pub refused: Vec<u64>,
    /// Where rows without a usable id are left out: which, and why. None where they are refused.
    pub skipped: Option<Vec<(u64, IdProblem)>>,
    bytes: u64,
    pub counts: IdCounts,
    pub refusals: Refusals,
}

impl Ids {
    pub(super) fn new(columns: Vec<usize>, kind: IdKind, region: Option<Region>, skip: bool) -> Self {
        let (parts, counts, refusals) = (kind.parts(), IdCounts::default(), Refusals::default());
        Self {
            columns,
            parts,
            region,
            ids: Vec::new(),
            optional: false,
            refused: Vec::new(),
            skipped: skip.then(Vec::new),
            bytes: 0,
            counts,
            refusals,
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a batch whose first row is `first`; `places` are the parts' columns in this file.
    pub(super) fn take(&mut self, batch: &Batch, places: &[usize], first: u64) {
        let Self { columns, parts, region, ids, optional, refused, skipped, bytes, counts, refusals } = self;
        let base = ids.len();
        for (part, (kind, place)) in parts.iter().zip(places).enumerate() {
            let column = columns.get(part).copied().unwrap_or(usize::MAX);
            let mut at = 0;
            batch.each(*place, |cell| {
                let row = first + at as u64;
                let text = one(*kind, region.as_ref(), cell, counts, row).unwrap_or_else(|reason| {
                    match (skipped.as_mut(), reason) {
                        (Some(skipped), Some(Reason::EmptyId)) => skipped.push((row, IdProblem::Empty)),
                        (Some(skipped), Some(Reason::IdNotOfKind | Reason::IdNotWhole)) => skipped.push((row, IdProblem::NotOfKind)),
                        (None, Some(Reason::EmptyId)) if *optional => {}
                        (_, Some(reason)) => {
                            refusals.note(reason, column, row);
                            if *optional {
                                refused.push(row);
                            }
                        }
                        (_, None) => {}
                    }
                    String::new()
                });
                if part == 0 {
                    ids.push(text);
                } else if let Some(id) = ids.get_mut(base + at) {
                    // One part without a canonical form leaves no id.
                    if id.is_empty() || text.is_empty() {
                        id.clear();
                    } else {
                        id.push(PART_SEPARATOR);
                        id.push_str(&text);
                    }
                }
                at += 1;
            });
        }
        *bytes += ids.iter().skip(base).map(|id| id.capacity() as u64 + 24 + 16).sum::<u64>();
    }

    /// Whole numbers as floats: in a whole opaque column the `.0` is cut, in a part of one it is only told. Then duplicates.
    pub(super) fn finish(&mut self, places: &Places, warnings: &mut Vec<Warning>) {
        let there = self.ids.iter().filter(|id| !id.is_empty()).count() as u64;
        let counts = &mut self.counts;
        if counts.decimals > 0 && counts.decimals == there && self.parts.len() == 1 {
            for id in &mut self.ids {
                id.truncate(id.len().saturating_sub(2));
            }
            counts.floats += counts.decimals;
            counts.decimals = 0;
        }
        if counts.repaired > 0 {
            let (count, trimmed, rewritten) = (counts.repaired, counts.trimmed, counts.rewritten);
            warnings.push(Warning::IdsRepaired { count, trimmed, rewritten });
        }
        if counts.floats > 0 {
            warnings.push(Warning::IdsWereFloats { count: counts.floats });
        }
        if let Some((count, first)) = counts.unassigned {
            warnings.push(Warning::UnassignedCountry { count, first });
        }
        if counts.decimals > 0 {
            warnings.push(Warning::IdsLookLikeDecimals { count: counts.decimals });
        }
        if let Some((count, first)) = counts.rounded {
            warnings.push(Warning::IdsLookRounded { count, first });
        }
        if let Some(skipped) = &mut self.skipped {
            // Of a composite id the first part that has no form counts.
            skipped.sort_by_key(|(row, _)| *row);
            skipped.dedup_by_key(|(row, _)| *row);
        }
        self.find_duplicates(places);
    }

    /// Rows without this key.
    pub(super) fn without(&self) -> u64 {
        self.ids.iter().filter(|id| id.is_empty()).count() as u64
    }

    /// A row's key with the separators of its parts, there or not.
    pub(super) fn text(&self, row: usize) -> String {
        match self.ids.get(row) {
            Some(id) if !id.is_empty() => id.clone(),
            _ => PART_SEPARATOR.to_string().repeat(self.parts.len().saturating_sub(1)),
        }
    }

    /// Sorts hashes, then the row numbers of equal ones by id: nothing is copied, and a collision costs time only.
    fn find_duplicates(&mut self, places: &Places) {
        let ids = &self.ids;
        let id = |row: u32| ids.get(row as usize).map_or("", String::as_str);
        let rows = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let random = RandomState::new();
        let used = (0..rows).into_par_iter().with_min_len(1 << 12).filter(|row| !id(*row).is_empty());
        let mut hashes: Vec<(u64, u32)> = used.map(|row| (random.hash_one(id(row)), row)).collect();
        hashes.par_sort_unstable();
        let alike = hashes.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1);
        let mut order: Vec<u32> = alike.flatten().map(|(_, row)| *row).collect();
        order.par_sort_unstable_by(|a, b| id(*a).cmp(id(*b)).then(a.cmp(b)));
        let mut repeats: Vec<(u32, u32)> = Vec::new();
        for same in order.chunk_by(|a, b| id(*a) == id(*b)) {
            if let Some((first, later)) = same.split_first() {
                repeats.extend(later.iter().map(|row| (*row, *first)));
            }
        }
        repeats.sort_unstable();
        self.counts.duplicates = repeats.len() as u64;
        let column = self.columns.first().copied().unwrap_or(usize::MAX);
        for (row, first) in repeats {
            let words = || Some(format!("it repeats {}", places.row(u64::from(first) + 1)));
            self.refusals.note_with(Reason::DuplicateId, column, u64::from(row) + 1, words);
        }
    }
}

/// The canonical form of one cell; None in the error where its row is refused already.
fn one(kind: IdKind, region: Option<&Region>, cell: Cell<'_>, counts: &mut IdCounts, row: u64) -> Result<String, Option<Reason>> {
    let owned;
    let text = match cell {
        Cell::Text(text) => text,
        Cell::Whole(value) => {
            owned = value.to_string();
            &owned
        }
        // Only whole numbers that a float tells apart from their neighbours.
        Cell::Real(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
            counts.floats += 1;
            owned = format!("{value:.0}");
            &owned
        }
        Cell::Null => "",
        Cell::Real(value) if value.is_nan() => "",
        Cell::Real(_) | Cell::Lossy => {
            *counts.defects.entry("not a whole number").or_default() += 1;
            return Err(Some(Reason::IdNotWhole));
        }
        Cell::Invalid => {
            *counts.defects.entry("not valid UTF-8").or_default() += 1;
            return Err(Some(Reason::InvalidUtf8));
        }
        Cell::Absent => return Err(None),
    };
    match canonical_in(kind, region, text) {
        Ok(id) => {
            if id.trimmed || id.rewritten {
                counts.trimmed += u64::from(id.trimmed);
                counts.rewritten += u64::from(id.rewritten);
                counts.repaired += 1;
                for (count, repair) in counts.repairs.iter_mut().zip(Repair::ALL) {
                    *count += u64::from(id.has(repair));
                }
                counts.floats += u64::from(id.has(Repair::Float));
            }
            if id.unassigned_country {
                tally(&mut counts.unassigned, row);
            }
            if kind == IdKind::Opaque {
                counts.decimals += u64::from(is_decimal(&id.text));
                if is_rounded(&id.text) {
                    tally(&mut counts.rounded, row);
                }
            }
            Ok(id.text)
        }
        Err(problem) => {
            *counts.defects.entry(defect(kind, text)).or_default() += 1;
            Err(Some(if problem == IdProblem::Empty { Reason::EmptyId } else { Reason::IdNotOfKind }))
        }
    }
}

fn tally(counter: &mut Option<(u64, u64)>, row: u64) {
    let (count, first) = counter.unwrap_or((0, row));
    *counter = Some((count + 1, first));
}

fn is_decimal(id: &str) -> bool {
    id.strip_suffix(".0").is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// `1.23457E+11`: a spreadsheet has rounded a long number.
fn is_rounded(id: &str) -> bool {
    let Some((mantissa, exponent)) = id.split_once("E+").or_else(|| id.split_once("e+")) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits(exponent) && mantissa.split_once('.').is_some_and(|(whole, rest)| whole.len() == 1 && digits(whole) && digits(rest))
}
