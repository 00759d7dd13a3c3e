//! What one cell says: a number, nothing, or text.

use super::ids::is_blank;
use super::refusals::Reason;
use unicode_normalization::UnicodeNormalization;

/// Cells beyond this size have squares that no longer add up in floating point.
pub(super) const LARGEST_VALUE: f64 = 1e100;
/// Whole numbers up to this size are held exactly.
pub(super) const LARGEST_WHOLE: u128 = 1 << 53;
/// Cells that are missing in a column of numbers.
pub(super) const MISSING_NUMBERS: [&str; 8] = ["", "NA", "N/A", "NaN", "null", "NULL", "None", "\\N"];
/// Cells that are missing in a column of text: there, `NA` and `None` can be values.
pub(super) const MISSING_TEXTS: [&str; 4] = ["", "NULL", "null", "\\N"];

/// One cell as its file gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// The row is refused as a whole.
    Absent,
    /// Not valid UTF-8.
    Invalid,
    /// Typed files only: no value.
    Null,
    /// Text, as it stands.
    Text(&'a str),
    /// A whole number of a typed file.
    Whole(i128),
    /// A number of a typed file.
    Real(f64),
    /// A typed number that no 64-bit float holds.
    Lossy,
}

/// What a cell is in a column of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Value(f64),
    Missing,
    /// Full-width digits and the like were read as plain ones.
    Repaired(f64),
    Refused(Reason),
    /// Not a number at all.
    Other,
}

/// Reads a cell of a column of numbers; `missing` are further tokens that mean "no value".
pub(super) fn number(text: &str, missing: &Missing) -> Number {
    if let Ok(value) = text.parse::<f64>() {
        // `1` and `1.0` are the same number, so the tokens are compared as numbers too.
        return if missing.texts.is_empty() || !missing.holds(text, value) { checked(value) } else { Number::Missing };
    }
    let core = text.trim_matches(is_blank);
    if MISSING_NUMBERS.contains(&core) || missing.texts.iter().any(|token| token == core) {
        return Number::Missing;
    }
    if core.len() != text.len()
        && let Ok(value) = core.parse::<f64>()
    {
        return if missing.holds(core, value) { Number::Missing } else { checked(value) };
    }
    if !core.is_ascii()
        && let Ok(value) = core.nfkc().collect::<String>().parse::<f64>()
    {
        return match checked(value) {
            Number::Value(value) => Number::Repaired(value),
            other => other,
        };
    }
    Number::Other
}

/// A typed number as a feature.
pub(super) fn typed(value: f64, missing: &Missing) -> Number {
    if missing.numbers.contains(&value) { Number::Missing } else { checked(value) }
}

/// NaN is a missing number; negative zero becomes zero.
fn checked(value: f64) -> Number {
    match value.abs() {
        size if size <= LARGEST_VALUE => Number::Value(value + 0.0),
        size if size.is_nan() => Number::Missing,
        size if size.is_finite() => Number::Refused(Reason::TooLarge),
        _ => Number::Refused(Reason::NotFinite),
    }
}

/// Tokens that a person named as "no value" for one column.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    pub texts: Vec<String>,
    numbers: Vec<f64>,
}

impl Missing {
    pub(super) fn new(tokens: &[String]) -> Self {
        let texts: Vec<String> = tokens.iter().map(|token| token.trim_matches(is_blank).to_owned()).collect();
        let numbers = texts.iter().filter_map(|token| token.parse().ok()).collect();
        Self { texts, numbers }
    }

    fn holds(&self, text: &str, value: f64) -> bool {
        self.numbers.contains(&value) || self.texts.iter().any(|token| token == text)
    }

    /// Whether a trimmed cell of a text column is missing.
    pub(super) fn in_text(&self, core: &str) -> bool {
        MISSING_TEXTS.contains(&core) || self.texts.iter().any(|token| token == core)
    }
}

/// Whether a text that is no number looks like one in another spelling: decimal comma, thousands, percent, currency, hex.
pub(super) fn number_like(text: &str) -> bool {
    let core = text.trim_matches(is_blank);
    let core = core.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(core);
    let core = core.trim_matches(|c: char| is_blank(c) || matches!(c, '$' | '€' | '£' | '¥' | '%'));
    let core = core.strip_prefix(['+', '-', '\u{2212}']).unwrap_or(core).trim_start_matches(['$', '€', '£', '¥']);
    if core.strip_prefix("0x").or(core.strip_prefix("0X")).is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return true;
    }
    if core.parse::<f64>().is_ok() {
        return core.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let separators = [',', '.', '\'', '’', ' ', '\u{a0}', '\u{202f}', '_'];
    let parts: Vec<&str> = core.split(separators).collect();
    if parts.len() < 2 || !parts.iter().all(|part| digits(part)) {
        return false;
    }
    if parts.len() == 2 {
        return core.contains(',') || parts[1].len() == 3;
    }
    // Groups of three between the first and the last part; the last may be decimals.
    parts[0].len() <= 3 && parts[1..parts.len() - 1].iter().all(|part| part.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_missing_cells_are_told_apart() {
        let none = Missing::default();
        for (text, want) in [
            ("1.5", Number::Value(1.5)),
            (" 1.5\u{a0}", Number::Value(1.5)),
            ("-0", Number::Value(0.0)),
            ("1e400", Number::Refused(Reason::NotFinite)),
            ("-inf", Number::Refused(Reason::NotFinite)),
            ("1e101", Number::Refused(Reason::TooLarge)),
            ("１２．５", Number::Repaired(12.5)),
            ("0x1f", Number::Other),
            ("1_000", Number::Other),
            ("1,5", Number::Other),
            ("na", Number::Other),
        ] {
            assert_eq!(number(text, &none), want, "{text}");
        }
        for text in MISSING_NUMBERS {
            assert_eq!(number(text, &none), Number::Missing, "{text:?}");
            assert_eq!(number(&format!(" {text}\t"), &none), Number::Missing, "{text:?}");
        }
        let tokens = Missing::new(&["-1".into(), " ? ".into()]);
        for text in ["-1", "-1.0", " -1 ", "?", " ?"] {
            assert_eq!(number(text, &tokens), Number::Missing, "{text:?}");
        }
        assert_eq!((number("1", &tokens), typed(-1.0, &tokens)), (Number::Value(1.0), Number::Missing));
        assert!(tokens.in_text("?") && tokens.in_text("\\N") && !tokens.in_text("NA"));
    }

    #[test]
    fn other_spellings_of_numbers_are_seen() {
        for text in
            ["1,5", "1.000,5", "1,000", "1,000,000.25", "12 345", "1'000", "-1,5", "5%", "$12.50", "€ 3,50", "(1,200)", "0x1F", "3.5 %"]
        {
            assert!(number_like(text), "{text}");
        }
        for text in ["a,b", "1,b", "2024-01-01", "10.0.0.1", "", "x1", "1.2.3", "inf", "-"] {
            assert!(!number_like(text), "{text}");
        }
    }
}
