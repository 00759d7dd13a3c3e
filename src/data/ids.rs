//! Canonical forms of user ids: the two files must spell one person alike before matching.
//!
//! | kind | canonical form | refused |
//! |---|---|---|
//! | `opaque` | blanks and zero-width characters cut from the ends, nothing else | empty, control characters inside |
//! | `email` | ends cut, NFKC, lower case | not exactly one `@` with text on both sides; blanks or invisible characters inside |
//! | `phone` | NFKC; blanks, dots, hyphens and brackets removed: `+` and 8 to 15 digits | no `+`, a leading 0, other characters, a bracketed trunk zero `(0)` |
//! | `hash` | ends cut, lower-case hex of 32, 40, 56, 64, 96 or 128 digits | any other length or character |
//! | `device` | ends cut, lower-case hex of 8 to 64 digits, hyphens kept | hyphens at an end or doubled, only zeros, other characters |
//!
//! No id is longer than [`MAX_ID_BYTES`] in canonical form. The forms are published with vectors in `tests/vectors/ids/v1`;
//! their names are part of the contract, so a change of form needs a new version.

use std::borrow::Cow;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

mod country;
#[cfg(test)]
mod tests;

/// Longest canonical id in bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// What the ids of both files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdKind {
    /// Anything: trimmed only.
    #[default]
    Opaque,
    /// E-mail addresses.
    Email,
    /// Telephone numbers in E.164 form.
    Phone,
    /// Hex digests.
    Hash,
    /// Advertising or device ids: hex, often as a UUID.
    Device,
}

impl IdKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Opaque, Self::Email, Self::Phone, Self::Hash, Self::Device];

    /// The name in job files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Hash => "hash",
            Self::Device => "device",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What an id of this kind looks like, for messages.
    #[must_use]
    pub fn form(self) -> &'static str {
        match self {
            Self::Opaque => "up to 1,024 bytes without control characters",
            Self::Email => "text, one @, text; no blanks",
            Self::Phone => "E.164: + and 8 to 15 digits",
            Self::Hash => "32, 40, 56, 64, 96 or 128 hex digits",
            Self::Device => "8 to 64 hex digits, not all zero, single hyphens between them",
        }
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
}

/// The canonical form of one id.
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
    let core = raw.trim_matches(is_blank);
    if core.is_empty() {
        return Err(IdProblem::Empty);
    }
    let text = match kind {
        IdKind::Opaque => (!core.contains(char::is_control)).then(|| core.to_owned()),
        IdKind::Email => email(core),
        IdKind::Phone => phone(core),
        IdKind::Hash => hash(core),
        IdKind::Device => device(core),
    };
    let text = text.filter(|text| !text.is_empty() && text.len() <= MAX_ID_BYTES).ok_or(IdProblem::NotOfKind)?;
    Ok(CanonicalId {
        trimmed: core.len() != raw.len(),
        rewritten: text != core,
        unassigned_country: kind == IdKind::Phone && !country::is_assigned(text.trim_start_matches('+')),
        text,
    })
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

fn phone(core: &str) -> Option<String> {
    let wide = if core.is_ascii() { Cow::Borrowed(core) } else { Cow::Owned(core.nfkc().collect::<String>()) };
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
