//! How counts and near misses are worded in messages: digit groups, plurals, `did you mean`, safe echoes and hex.

/// A count with commas between groups of three digits: `4,117`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 cell is`, `4,117 cells are`.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A size in mebibytes, or in bytes where it is less than one.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    if bytes < 1 << 20 { counted(bytes, "byte", "bytes") } else { format!("{} MiB", grouped(bytes.div_ceil(1 << 20))) }
}

/// The bytes of a size such as `2G`, `512M`, `64K` or `1000000`; K, M and G are powers of 1,024.
#[must_use]
pub fn byte_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_suffix("iB").or(text.strip_suffix('B')).unwrap_or(text);
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        (at, 't' | 'T') => (&text[..at], 1 << 40),
        _ => (text, 1u64),
    };
    digits.trim_end().parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

/// A name or value in back quotes, at most 60 characters of it, with control characters escaped: safe on any terminal.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars().take(60) {
        if is_invisible(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    if text.chars().nth(60).is_some() {
        safe.push('…');
    }
    format!("`{safe}`")
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is so many lower-case hex digits.
#[must_use]
pub fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// N bytes from their lower-case hex digits, and nothing else.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if !is_hex(text, 2 * N) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Control characters and characters that change how other text is displayed.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control() || super::ids::is_zero_width(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The known name nearest to a mistyped one, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.chars().count() > 80 {
        return None;
    }
    known
        .into_iter()
        .filter(|name| name.chars().count() <= 80)
        .map(|name| (distance(&typed.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count().max(typed.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean …?`, or the fallback where nothing is near.
#[must_use]
pub fn suggestion<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(typed, known).map_or_else(|| otherwise.to_owned(), |name| format!("did you mean {}?", shown(name)))
}

/// Edit distance with insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (vec![0; b.len() + 1], (0..=b.len()).collect());
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_groups() {
        let words: Vec<String> = [0, 999, 1000, 90_002, 1_234_567].map(grouped).to_vec();
        assert_eq!(words, ["0", "999", "1,000", "90,002", "1,234,567"]);
        assert_eq!(counted(1, "cell is", "cells are"), "1 cell is");
        assert_eq!(counted(0, "cell is", "cells are"), "0 cells are");
    }

    #[test]
    fn sizes_are_read_and_told() {
        let cases = [("2G", 2 << 30), ("512MiB", 512 << 20), ("64 k", 64 << 10), ("1000000", 1_000_000), ("3MB", 3 << 20)];
        for (text, bytes) in cases {
            assert_eq!(byte_size(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "-1", "1.5G", "0", "99999999999G"] {
            assert_eq!(byte_size(text), None, "{text}");
        }
        assert_eq!([megabytes(5), megabytes(3 << 20), megabytes((2 << 30) + 1)], ["5 bytes", "3 MiB", "2,049 MiB"]);
    }

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let known = ["min_overlap", "max_rows", "l2", "label"];
        assert_eq!(nearest("min_overlp", known), Some("min_overlap"));
        assert_eq!(nearest("Max_Rows", known), Some("max_rows"));
        assert_eq!(nearest("lable", known), Some("label"));
        assert_eq!(nearest("L1", known), Some("l2"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(5000), known), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!([distance("", "abc"), distance("abc", "abc"), distance("ab", "ba"), distance("kitten", "sitting")], [3, 0, 1, 3]);
    }

    #[test]
    fn echoes_are_short_and_harmless() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}c"), "`a\\u{1b}[2Jb\\u{202e}c`");
        assert_eq!(shown(&"x".repeat(70)), format!("`{}…`", "x".repeat(60)));
    }
}
