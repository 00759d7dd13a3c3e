//! Classes of what is wrong with an id and of what was repaired: counted by `data check`, never with an id.

use super::{IdKind, MAX_ID_BYTES, is_blank};
use unicode_normalization::UnicodeNormalization;

/// What was done to bring an id into canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Blanks or zero-width characters were cut from the ends.
    Ends,
    /// Capitals became small letters.
    Case,
    /// Full-width or other compatibility characters became plain ones.
    Width,
    /// Blanks, dots, hyphens or brackets inside a telephone number were removed.
    Separators,
    /// A national telephone number was completed with the region's calling code.
    Region,
    /// `.0` at the end of a whole number was cut: it had passed through a floating-point type.
    Float,
}

impl Repair {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::Ends, Self::Case, Self::Width, Self::Separators, Self::Region, Self::Float];

    /// Its words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ends => "blanks at the ends",
            Self::Case => "capitals",
            Self::Width => "full-width characters",
            Self::Separators => "separators in a phone number",
            Self::Region => "national phone number",
            Self::Float => "integer written as a float",
        }
    }
}

/// Why a text is no id of a single kind, in a few words. Only for texts that have no canonical form.
#[must_use]
pub fn defect(kind: IdKind, raw: &str) -> &'static str {
    let core = raw.trim_matches(is_blank);
    if core.is_empty() {
        return "empty";
    }
    if core.len() > MAX_ID_BYTES {
        return "longer than 1,024 bytes";
    }
    let wide: String = core.nfkc().collect();
    match kind {
        IdKind::Email => match wide.matches('@').count() {
            0 => "no @",
            1 if wide.contains(|c: char| is_blank(c) || c.is_control()) => "blanks or control characters inside",
            1 => "nothing before or after the @",
            _ => "more than one @",
        },
        IdKind::Phone => {
            let digits = wide.chars().filter(char::is_ascii_digit).count();
            if wide.contains(|c: char| c.is_alphabetic() || matches!(c, '@' | '/' | '_' | '#' | '*')) {
                "letters or other characters"
            } else if wide.replace(|c: char| is_blank(c), "").contains("(0)") {
                "a bracketed trunk zero"
            } else if !wide.starts_with('+') {
                "no + and no number of the region"
            } else if !(8..=15).contains(&digits) {
                "not 8 to 15 digits"
            } else {
                "of another form"
            }
        }
        IdKind::Hash | IdKind::Device => {
            let hex = wide.bytes().all(|b| b.is_ascii_hexdigit() || kind == IdKind::Device && b == b'-');
            if !hex {
                "characters other than hex digits"
            } else if kind == IdKind::Device && wide.bytes().all(|b| matches!(b, b'0' | b'-')) {
                "only zeros"
            } else {
                "a wrong number of digits or misplaced hyphens"
            }
        }
        IdKind::Opaque | IdKind::Composite(_) => "control characters inside",
    }
}
