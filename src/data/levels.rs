//! The distinct texts of one column, numbered in the order of their first row.

use super::MISSING;
use indexmap::IndexMap;

/// Most distinct texts of a column.
pub(super) const MAX_LEVELS: usize = 1_000_000;
/// Most bytes of distinct texts of a column.
pub(super) const MAX_LEVEL_BYTES: u64 = 256 << 20;
/// What a level costs beside its text: the string, the table's entry.
const LEVEL_OVERHEAD: u64 = 72;

/// A column of text being read.
#[derive(Default)]
pub(super) struct Levels {
    /// For each row a place in `texts`, or [`MISSING`].
    codes: Vec<u32>,
    /// Each text with its first row.
    texts: IndexMap<String, u64>,
    bytes: u64,
    /// The row from which on there were more than are kept: rows are still counted, nothing is stored any more.
    overflow: Option<u64>,
}

impl Levels {
    pub(super) fn rows(&self) -> usize {
        self.codes.len()
    }

    pub(super) fn overflow(&self) -> Option<u64> {
        self.overflow
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.codes.len() as u64 * 4 + self.bytes
    }

    pub(super) fn push_missing(&mut self) {
        self.codes.push(MISSING);
    }

    pub(super) fn push(&mut self, text: &str, row: u64) {
        if self.overflow.is_some() {
            self.codes.push(MISSING);
            return;
        }
        let code = match self.texts.get_index_of(text) {
            Some(code) => code,
            None => {
                self.bytes += text.len() as u64 + LEVEL_OVERHEAD;
                if self.texts.len() >= MAX_LEVELS || self.bytes > MAX_LEVEL_BYTES {
                    self.overflow = Some(row);
                    self.codes.push(MISSING);
                    return;
                }
                self.texts.insert_full(text.to_owned(), row).0
            }
        };
        self.codes.push(code as u32);
    }

    /// Every level with its number of rows and its first row.
    pub(super) fn counted(&self) -> Vec<(&str, u64, u64)> {
        let mut counts = vec![0u64; self.texts.len()];
        for code in &self.codes {
            if let Some(count) = counts.get_mut(*code as usize) {
                *count += 1;
            }
        }
        self.texts.iter().zip(counts).map(|((text, first), count)| (text.as_str(), count, *first)).collect()
    }

    /// The codes and the texts.
    pub(super) fn into_parts(self) -> (Vec<u32>, Vec<String>) {
        (self.codes, self.texts.into_keys().collect())
    }

    /// The column as numbers, one for each level and one for a missing cell.
    pub(super) fn map(&self, numbers: &[f64], missing: f64) -> Vec<f64> {
        self.codes.iter().map(|code| numbers.get(*code as usize).copied().unwrap_or(missing)).collect()
    }
}
