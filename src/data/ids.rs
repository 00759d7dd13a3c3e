//! Canonical forms of user ids: the two files must spell one person alike before matching.
//!
//! | kind | canonical form | refused |
//! |---|---|---|
//! | `opaque` | blanks and zero-width characters cut from the ends, nothing else | empty, control characters inside |
//! | `email` | ends cut, NFKC, lower case | not exactly one `@` with text on both sides; blanks or invisible characters inside |
//! | `phone` | NFKC; blanks, dots, hyphens, brackets removed: `+` and 8 to 15 digits | no `+`, leading 0, other characters, `(0)`, `.0` |
//! | `hash` | ends cut, lower-case hex of 32, 40, 56, 64, 96 or 128 digits | any other length or character |
//! | `device` | ends cut, lower-case hex of 8 to 64 digits, hyphens kept | hyphens at an end or doubled, only zeros, other characters |
//!
//! `(0)` is a trunk zero in brackets; `.0` after separators could be a digit or not.
//!
//! With a default region ([`Region`], the owner's or partner's own setting) a phone number without `+` is completed; `.0` at the end of
//! 7 or more bare digits is cut from a phone number (it passed through a floating-point type). A composite id (`phone+device`) is the
//! canonical forms of its columns joined by U+001F, which no canonical form holds, so that different columns never give one text.
//!
//! No id is longer than [`MAX_ID_BYTES`] in canonical form. The forms are published with vectors in `tests/vectors/ids/v1` and, for
//! regions, floats and composite ids, `v2`; their names are part of the contract, so a change of form needs a new version.

use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

mod country;
mod defects;
mod kind;
mod regions;
#[cfg(test)]
mod tests;

pub use defects::{Repair, defect};
pub use kind::{IdKind, Parts};
pub use regions::Region;

/// Longest canonical id in bytes; for a composite one, of each part.
pub const MAX_ID_BYTES: usize = 1024;

/// Stands between the parts of a composite id.
pub const PART_SEPARATOR: char = '\u{1f}';

/// Why an id has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdProblem {
    /// Nothing is left after trimming.
    Empty,
    /// Not of the stated kind.
    NotOfKind,
}

/// An id in canonical form, and what had to be done to it. Not `Debug`: ids are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalId {
    /// The canonical text.
    pub text: String,
    /// Blanks or zero-width characters were cut from the ends.
    pub trimmed: bool,
    /// Characters were changed or removed inside (case, width, separators).
    pub rewritten: bool,
    /// A phone number whose country code is assigned to nobody: test numbers, or a typing error.
    pub unassigned_country: bool,
    repairs: [bool; Repair::ALL.len()],
}

impl CanonicalId {
    /// Whether this was done.
    #[must_use]
    pub fn has(&self, repair: Repair) -> bool {
        self.repairs.get(repair as usize).copied().unwrap_or(false)
    }
}

/// The canonical form of one id, or of one part of a composite id, without a default region.
///
/// # Errors
/// [`IdProblem`]: nothing left after trimming, or not of the stated kind.
///
/// # Example
/// ```
/// use colift::data::{IdKind, canonical_id};
/// let id = canonical_id(IdKind::Email, "\tAna@Example.COM ").ok().unwrap();
/// assert_eq!(id.text, "ana@example.com");
/// assert!(id.trimmed && id.rewritten);
/// ```
pub fn canonical_id(kind: IdKind, raw: &str) -> Result<CanonicalId, IdProblem> {
    canonical_in(kind, None, raw)
}

/// As [`canonical_id`], with the region whose national phone numbers are completed.
///
/// # Errors
/// As [`canonical_id`].
pub fn canonical_in(kind: IdKind, region: Option<&Region>, raw: &str) -> Result<CanonicalId, IdProblem> {
    let core = raw.trim_matches(is_blank);
    if core.is_empty() {
        return Err(IdProblem::Empty);
    }
    let text = match kind {
        IdKind::Opaque => (!core.contains(char::is_control)).then(|| core.to_owned()),
        IdKind::Email => email(core),
        IdKind::Phone => phone(core, region),
        IdKind::Hash => hash(core),
        IdKind::Device => device(core),
        IdKind::Composite(_) => None,
    };
    let text = text.filter(|text| !text.is_empty() && text.len() <= MAX_ID_BYTES).ok_or(IdProblem::NotOfKind)?;
    let (trimmed, rewritten) = (core.len() != raw.len(), text != core);
    let mut repairs = [false; Repair::ALL.len()];
    if trimmed || rewritten {
        let phone = kind == IdKind::Phone;
        let done = |repair: Repair| match repair {
            Repair::Ends => trimmed,
            Repair::Case => rewritten && !phone && core.bytes().any(|b| b.is_ascii_uppercase()),
            Repair::Width => rewritten && !core.is_ascii(),
            Repair::Separators => rewritten && phone && core.contains(|c: char| is_blank(c) || "-()[]".contains(c)),
            Repair::Region => rewritten && phone && !core.starts_with(['+', '\u{ff0b}']),
            Repair::Float => rewritten && phone && float_digits(core).is_some(),
        };
        repairs = Repair::ALL.map(done);
    }
    let unassigned_country = kind == IdKind::Phone && !country::is_assigned(text.trim_start_matches('+'));
    Ok(CanonicalId { trimmed, rewritten, unassigned_country, repairs, text })
}

/// The canonical form of a composite id from the texts of its columns.
///
/// # Errors
/// [`IdProblem`] and the place of the first part that has no canonical form; place 0 when the number of texts is not that of the parts.
pub fn composite_id(kind: IdKind, region: Option<&Region>, raws: &[&str]) -> Result<String, (usize, IdProblem)> {
    let parts = kind.parts();
    if parts.len() != raws.len() {
        return Err((0, IdProblem::NotOfKind));
    }
    let mut text = String::new();
    for (place, (part, raw)) in parts.iter().zip(raws).enumerate() {
        let id = canonical_in(*part, region, raw).map_err(|problem| (place, problem))?;
        if place > 0 {
            text.push(PART_SEPARATOR);
        }
        text.push_str(&id.text);
    }
    Ok(text)
}

/// Characters that no reader sees: they are cut from the ends of ids, headers and cells.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_zero_width(c)
}

/// Zero-width and direction characters, byte-order marks included.
pub(super) fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn email(core: &str) -> Option<String> {
    let text = if core.is_ascii() {
        core.to_ascii_lowercase()
    } else {
        // Lower case can leave the normal form, so it is restored; the result is a fixed point (tested).
        let lower = core.nfkc().collect::<String>().to_lowercase();
        lower.nfkc().collect::<String>().trim_matches(is_blank).to_owned()
    };
    let (local, domain) = text.split_once('@')?;
    let whole = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
    (whole && !text.contains(|c: char| is_blank(c) || c.is_control())).then_some(text)
}

/// The digits of a whole number that was written as a float: 7 or more, perhaps a `+`, then `.0`.
fn float_digits(text: &str) -> Option<&str> {
    let whole = text.strip_suffix(".0")?;
    let digits = whole.strip_prefix('+').unwrap_or(whole);
    (digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(whole)
}

fn phone(core: &str, region: Option<&Region>) -> Option<String> {
    let wide = if core.is_ascii() { Cow::Borrowed(core) } else { Cow::Owned(core.nfkc().collect::<String>()) };
    let wide = float_digits(&wide).unwrap_or(&wide);
    // A float with separators: was the zero dialled or not?
    if wide.ends_with(".0") {
        return None;
    }
    let mut text = String::with_capacity(16);
    let mut trunk = String::new();
    for c in wide.chars() {
        match c {
            '+' if text.is_empty() => text.push('+'),
            '0'..='9' => text.push(c),
            '.' | '-' | '(' | ')' | '[' | ']' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
            c if is_blank(c) => continue,
            _ => return None,
        }
        trunk.push(c);
    }
    // `+44 (0)20 …`: the zero is dialled inside the country only; kept, it would be another number.
    if trunk.contains("(0)") || trunk.contains("[0]") {
        return None;
    }
    if !text.starts_with('+') {
        text = format!("+{}", region?.complete(&text)?);
    }
    let digits = text.strip_prefix('+')?;
    ((8..=15).contains(&digits.len()) && !digits.starts_with('0')).then_some(text)
}

fn hash(core: &str) -> Option<String> {
    let fits = matches!(core.len(), 32 | 40 | 56 | 64 | 96 | 128) && core.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| core.to_ascii_lowercase())
}

fn device(core: &str) -> Option<String> {
    let groups = core.split('-');
    let digits: usize = groups.clone().map(str::len).sum();
    let fits = (8..=64).contains(&digits) && groups.clone().all(|g| !g.is_empty() && g.bytes().all(|b| b.is_ascii_hexdigit()));
    let zero = core.bytes().all(|b| matches!(b, b'0' | b'-'));
    (fits && !zero).then(|| core.to_ascii_lowercase())
}
