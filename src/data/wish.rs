//! What a person asks of single columns, instead of what is chosen automatically: `[private.columns.NAME]` of the job.

use std::collections::BTreeMap;

/// Wishes by column name.
pub type Wishes = BTreeMap<String, ColumnWish>;

/// What one column's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Numbers.
    Number,
    /// Categories.
    Text,
}

impl ColumnKind {
    /// `number` or `text`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "text",
        }
    }
}

/// How a column becomes features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encode {
    /// The number as it is.
    Plain,
    /// Sign times log(1 + |x|).
    Log1p,
    /// One 0/1 feature for each quantile bin but one.
    Bins,
    /// The weight of evidence of each bin or level: needs the label, so the owner's side only.
    Woe,
    /// One 0/1 feature for each level but the most frequent one.
    OneHot,
    /// Levels fall into a fixed number of 0/1 features by a hash.
    Hash,
}

impl Encode {
    /// Every encoding.
    pub const ALL: [Self; 6] = [Self::Plain, Self::Log1p, Self::Bins, Self::Woe, Self::OneHot, Self::Hash];

    /// The name in job files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Log1p => "log1p",
            Self::Bins => "bins",
            Self::Woe => "woe",
            Self::OneHot => "one-hot",
            Self::Hash => "hash",
        }
    }

    /// The encoding of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encode| encode.name() == name)
    }
}

/// What replaces a missing number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Impute {
    /// The mean of the numbers there are.
    Mean,
    /// Their median.
    Median,
    /// This number.
    Value(f64),
}

/// The wishes for one column; what is not wished is chosen automatically.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnWish {
    /// Read it as this, whatever its cells look like.
    pub kind: Option<ColumnKind>,
    /// Cells that mean "missing", besides the usual ones; compared as trimmed text.
    pub missing: Vec<String>,
    /// Its encoding.
    pub encode: Option<Encode>,
    /// Bins of `bins` and `woe`, or buckets of `hash`.
    pub count: Option<usize>,
    /// Values are cut at these two quantiles of the training rows, such as 0.01 and 0.99.
    pub winsorise: Option<[f64; 2]>,
    /// What replaces a missing number.
    pub impute: Option<Impute>,
}
