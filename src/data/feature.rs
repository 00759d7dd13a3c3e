//! One feature column being read: numbers or categories, decided by its cells unless the file or a person says it.
//!
//! A CSV column is one of numbers when all its cells that are not missing are; where 95 % are, the others are refused; else it is
//! one of categories. The first batch gives a guess. A column guessed as text keeps every text, so nothing is lost when it turns out
//! to hold numbers; one guessed as numbers that turns out to be text is read again.

use super::cells::{Cell, LARGEST_WHOLE, Missing, Number, number, number_like, typed};
use super::ids::is_blank;
use super::levels::Levels;
use super::refusals::{Reason, Refusals};
use super::rows::{Batch, Typed};
use super::wish::{ColumnKind, ColumnWish};
use super::{Column, Values};

/// From this share of numbers on, the other cells are taken for faults, in percent.
const NUMBERS_PERCENT: u64 = 95;
/// Longest text of a category.
const MAX_CELL_BYTES: usize = 32 << 10;

/// A column being read.
pub(super) struct Feature {
    /// Its place in the header.
    pub column: usize,
    pub name: String,
    forced: Option<ColumnKind>,
    typed: Option<Typed>,
    tokens: Missing,
    store: Store,
    second: bool,
    missing: u64,
    repaired: u64,
    others: Others,
    refusals: Refusals,
}

enum Store {
    Undecided,
    Number(Vec<f64>),
    Text(Levels),
}

/// Cells that are numbers and cells that are not.
#[derive(Clone, Copy, Default)]
struct Others {
    numbers: u64,
    count: u64,
    first: u64,
    like: u64,
    first_like: u64,
}

/// What became of a column.
pub(super) struct Finished {
    /// Its values, or what it must be read again as.
    pub column: Result<Column, ColumnKind>,
    /// Missing cells.
    pub missing: u64,
    /// Cells with full-width digits and the like.
    pub repaired: u64,
    /// A typed file holds numbers as text.
    pub numbers_as_text: bool,
    pub refusals: Refusals,
}

impl Feature {
    pub(super) fn new(column: usize, name: &str, wish: Option<&ColumnWish>) -> Self {
        Self {
            column,
            name: name.to_owned(),
            forced: wish.and_then(|wish| wish.kind),
            typed: None,
            tokens: wish.map_or_else(Missing::default, |wish| Missing::new(&wish.missing)),
            store: Store::Undecided,
            second: false,
            missing: 0,
            repaired: 0,
            others: Others::default(),
            refusals: Refusals::default(),
        }
    }

    /// A file says what its cells are. False when an earlier file said otherwise.
    pub(super) fn set_typed(&mut self, typed: Typed) -> bool {
        let text = |typed: Typed| typed == Typed::Text;
        if self.typed.is_some_and(|earlier| text(earlier) != text(typed)) && self.forced.is_none() {
            return false;
        }
        self.typed = Some(typed);
        true
    }

    /// The column, to be read again as this.
    pub(super) fn again(column: usize, name: &str, wish: Option<&ColumnWish>, kind: ColumnKind) -> Self {
        let store = match kind {
            ColumnKind::Number => Store::Number(Vec::new()),
            ColumnKind::Text => Store::Text(Levels::default()),
        };
        Self { store, second: true, ..Self::new(column, name, wish) }
    }

    pub(super) fn rows(&self) -> usize {
        match &self.store {
            Store::Undecided => 0,
            Store::Number(values) => values.len(),
            Store::Text(levels) => levels.rows(),
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        match &self.store {
            Store::Undecided => 0,
            Store::Number(values) => values.len() as u64 * 8,
            Store::Text(levels) => levels.bytes(),
        }
    }

    /// Takes a batch whose first row is `first`, counted from 1; `place` is the column's place in this file.
    pub(super) fn take(&mut self, batch: &Batch, place: usize, first: u64) {
        if let Store::Undecided = self.store {
            let text = match (self.forced, self.typed) {
                (Some(kind), _) => kind == ColumnKind::Text,
                (None, Some(typed)) => typed == Typed::Text,
                (None, None) => {
                    let mut other = false;
                    batch.each(place, |cell| other |= matches!(cell, Cell::Text(text) if number(text, &self.tokens) == Number::Other));
                    other
                }
            };
            self.store = if text { Store::Text(Levels::default()) } else { Store::Number(Vec::new()) };
        }
        match &mut self.store {
            Store::Undecided => {}
            Store::Number(values) => {
                let mut noted = Noted {
                    column: self.column,
                    row: first,
                    missing: &mut self.missing,
                    repaired: &mut self.repaired,
                    others: &mut self.others,
                    refusals: &mut self.refusals,
                };
                values.reserve(batch.rows());
                batch.each(place, |cell| {
                    let value = noted.number(cell, &self.tokens);
                    values.push(value);
                    noted.row += 1;
                });
            }
            Store::Text(levels) => {
                let mut row = first;
                batch.each(place, |cell| {
                    text(levels, cell, row, self.column, &self.tokens, &mut self.missing, &mut self.refusals);
                    row += 1;
                });
            }
        }
    }

    /// Decides what the column is and hands it over.
    pub(super) fn finish(self) -> Finished {
        let Self { column, name, forced, typed, tokens, store, second, mut missing, mut repaired, others, mut refusals } = self;
        let known = forced.is_some() || typed.is_some();
        let mut numbers_as_text = false;
        let values = match store {
            Store::Undecided => Ok(Values::Number(Vec::new())),
            Store::Number(values) => match verdict(&others, known) {
                Verdict::Numbers => Ok(Values::Number(values)),
                Verdict::Text if !second => Err(ColumnKind::Text),
                Verdict::Text => {
                    refusals.note(Reason::ManyLevels, column, others.first);
                    Ok(Values::Number(values))
                }
                Verdict::Refused(reason, count, first) => {
                    refusals.note_many(reason, column, count, first);
                    Ok(Values::Number(values))
                }
            },
            Store::Text(levels) if forced.is_some() && levels.overflow().is_none() => Ok(into_text(levels)),
            Store::Text(levels) => {
                let found = Found::of(&levels, &tokens);
                match (levels.overflow(), verdict(&found.others, false)) {
                    (Some(_), Verdict::Numbers | Verdict::Refused(..)) if !known && !second => Err(ColumnKind::Number),
                    (Some(row), _) => {
                        refusals.note(Reason::ManyLevels, column, row);
                        Ok(into_text(levels))
                    }
                    _ if known => {
                        numbers_as_text = found.others.count == 0 && found.others.numbers > 0;
                        Ok(into_text(levels))
                    }
                    (None, Verdict::Text) => Ok(into_text(levels)),
                    (None, Verdict::Numbers) => {
                        (missing, repaired) = (missing + found.missing, found.repaired);
                        found.refused.iter().for_each(|(reason, count, first)| refusals.note_many(*reason, column, *count, *first));
                        Ok(Values::Number(levels.map(&found.numbers, f64::NAN)))
                    }
                    (None, Verdict::Refused(reason, count, first)) => {
                        refusals.note_many(reason, column, count, first);
                        Ok(into_text(levels))
                    }
                }
            }
        };
        let column = values.map(|values| Column { name, values });
        Finished { column, missing, repaired, numbers_as_text, refusals }
    }
}

fn into_text(levels: Levels) -> Values {
    let (codes, levels) = levels.into_parts();
    Values::Text { codes, levels }
}

enum Verdict {
    Numbers,
    Text,
    Refused(Reason, u64, u64),
}

/// What a column's cells make of it. Where its kind is known, every cell that is no number is refused.
fn verdict(others: &Others, known: bool) -> Verdict {
    let all = others.numbers + others.count;
    if others.count == 0 {
        Verdict::Numbers
    } else if others.like * 2 > others.count && (others.numbers + others.like) * 100 >= all * NUMBERS_PERCENT {
        Verdict::Refused(Reason::NumberSpelling, others.like, others.first_like)
    } else if known || others.numbers * 100 >= all * NUMBERS_PERCENT {
        Verdict::Refused(Reason::NotNumber, others.count, others.first)
    } else {
        Verdict::Text
    }
}

impl Others {
    fn note(&mut self, text: &str, count: u64, first: u64) {
        if self.count == 0 || first < self.first {
            self.first = first;
        }
        self.count += count;
        if number_like(text) {
            if self.like == 0 || first < self.first_like {
                self.first_like = first;
            }
            self.like += count;
        }
    }
}

/// The levels of a text column seen as numbers.
struct Found {
    others: Others,
    missing: u64,
    repaired: u64,
    numbers: Vec<f64>,
    refused: Vec<(Reason, u64, u64)>,
}

impl Found {
    fn of(levels: &Levels, tokens: &Missing) -> Self {
        let mut found = Self { others: Others::default(), missing: 0, repaired: 0, numbers: Vec::new(), refused: Vec::new() };
        for (text, count, first) in levels.counted() {
            let cell = number(text, tokens);
            found.others.numbers += if matches!(cell, Number::Missing | Number::Other) { 0 } else { count };
            found.numbers.push(match cell {
                Number::Value(value) => value,
                Number::Repaired(value) => {
                    found.repaired += count;
                    value
                }
                Number::Missing => {
                    found.missing += count;
                    f64::NAN
                }
                Number::Refused(reason) => {
                    found.refused.push((reason, count, first));
                    f64::NAN
                }
                Number::Other => {
                    found.others.note(text, count, first);
                    f64::NAN
                }
            });
        }
        found
    }
}

/// Where a number column notes what it meets.
struct Noted<'a> {
    column: usize,
    row: u64,
    missing: &'a mut u64,
    repaired: &'a mut u64,
    others: &'a mut Others,
    refusals: &'a mut Refusals,
}

impl Noted<'_> {
    #[inline]
    fn number(&mut self, cell: Cell<'_>, tokens: &Missing) -> f64 {
        let found = match cell {
            Cell::Text(text) => number(text, tokens),
            Cell::Real(value) => typed(value, tokens),
            Cell::Whole(value) if value.unsigned_abs() <= LARGEST_WHOLE => typed(value as f64, tokens),
            Cell::Whole(_) | Cell::Lossy => Number::Refused(Reason::LossyNumber),
            Cell::Null => Number::Missing,
            Cell::Invalid => Number::Refused(Reason::InvalidUtf8),
            Cell::Absent => return f64::NAN,
        };
        if let Number::Value(value) = found {
            self.others.numbers += 1;
            return value;
        }
        self.odd(found, cell)
    }

    #[cold]
    fn odd(&mut self, found: Number, cell: Cell<'_>) -> f64 {
        match found {
            Number::Value(value) => return value,
            Number::Repaired(value) => {
                self.others.numbers += 1;
                *self.repaired += 1;
                return value;
            }
            Number::Missing => *self.missing += 1,
            Number::Refused(reason) => {
                self.others.numbers += u64::from(reason != Reason::InvalidUtf8);
                self.refusals.note(reason, self.column, self.row);
            }
            Number::Other => self.others.note(if let Cell::Text(text) = cell { text } else { "" }, 1, self.row),
        }
        f64::NAN
    }
}

/// Takes one cell of a text column.
fn text(levels: &mut Levels, cell: Cell<'_>, row: u64, column: usize, tokens: &Missing, missing: &mut u64, refusals: &mut Refusals) {
    let mut refuse = |reason: Reason| refusals.note(reason, column, row);
    match cell {
        Cell::Text(text) => {
            let core = text.trim_matches(is_blank);
            if tokens.in_text(core) {
                *missing += 1;
                return levels.push_missing();
            }
            if core.len() > MAX_CELL_BYTES || core.contains('\0') {
                refuse(if core.len() > MAX_CELL_BYTES { Reason::LongCell } else { Reason::NulByte });
                return levels.push_missing();
            }
            levels.push(core, row);
        }
        Cell::Whole(value) => push_typed(levels, &value.to_string(), row, tokens, missing),
        Cell::Real(value) if value.is_nan() => push_typed(levels, "", row, tokens, missing),
        Cell::Real(value) => push_typed(levels, &value.to_string(), row, tokens, missing),
        Cell::Null => push_typed(levels, "", row, tokens, missing),
        Cell::Lossy | Cell::Invalid => {
            refuse(if cell == Cell::Invalid { Reason::InvalidUtf8 } else { Reason::LossyNumber });
            levels.push_missing();
        }
        Cell::Absent => levels.push_missing(),
    }
}

fn push_typed(levels: &mut Levels, text: &str, row: u64, tokens: &Missing, missing: &mut u64) {
    if tokens.in_text(text) {
        *missing += 1;
        levels.push_missing();
    } else {
        levels.push(text, row);
    }
}
