//! How numbers and names are written in every report: one rule each.

/// A figure with so many decimals; the zero before the point is left out, as in `.7533` and `-.0022`.
pub(crate) fn figure(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = format!("{:.decimals$}", 0.0);
    if text.strip_prefix('-') == Some(&zero) {
        return figure(0.0, decimals); // no "-.0000"
    }
    match text.strip_prefix('-') {
        Some(rest) => format!("-{}", rest.strip_prefix('0').filter(|r| r.starts_with('.')).unwrap_or(rest)),
        None => text.strip_prefix('0').filter(|r| r.starts_with('.')).unwrap_or(&text).to_owned(),
    }
}

/// A figure with its sign written out.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = figure(value, decimals);
    if value > 0.0 { format!("+{text}") } else { text }
}

/// A very small number, as in `3.1e-7`.
pub(crate) fn tiny(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") }
}

/// A ridge: as it was written, or shortly where it follows from the rows.
pub(crate) fn ridge(l2: f64) -> String {
    let written = l2.to_string();
    if written.len() <= 8 { written } else { format!("{l2:.3e}") }
}

/// A count with commas, as in `26,399`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, as in `1 row` and `2 rows`.
pub(crate) fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// Bytes in decimal units, as in `61.0 MB`.
pub(crate) fn bytes(value: u64) -> String {
    let value = value as f64;
    match value {
        v if v < 1e3 => format!("{v:.0} B"),
        v if v < 1e6 => format!("{:.1} kB", v / 1e3),
        v if v < 1e9 => format!("{:.1} MB", v / 1e6),
        v => format!("{:.2} GB", v / 1e9),
    }
}

/// Seconds, as in `9.1 s` and `0.04 s`.
pub(crate) fn seconds(value: f64) -> String {
    if value < 0.1 { format!("{value:.2} s") } else { format!("{value:.1} s") }
}

/// A name from a file, safe to show: control and direction-changing characters are replaced.
pub(crate) fn plain(name: &str) -> String {
    let unsafe_to_show =
        |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    name.chars().map(|c| if unsafe_to_show(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(figure(0.75331, 4), ".7533");
        assert_eq!(figure(-0.0022, 4), "-.0022");
        assert_eq!((figure(-0.000_01, 4), figure(0.0, 2), figure(1.0, 4)), (".0000".into(), ".00".into(), "1.0000".into()));
        assert_eq!((figure(1.782, 2), figure(-2.355, 2), figure(10.5, 1)), ("1.78".into(), "-2.35".into(), "10.5".into()));
        assert_eq!((figure(0.4, 0), figure(-0.6, 0)), ("0".into(), "-1".into()));
        assert_eq!((signed(0.25, 2), signed(-0.25, 2), signed(0.0, 2)), ("+.25".into(), "-.25".into(), ".00".into()));
    }

    #[test]
    fn counts_bytes_seconds() {
        assert_eq!((count(0), count(999), count(1_000), count(26_399)), ("0".into(), "999".into(), "1,000".into(), "26,399".into()));
        assert_eq!((bytes(999), bytes(61_000_000), bytes(2_500_000_000)), ("999 B".into(), "61.0 MB".into(), "2.50 GB".into()));
        assert_eq!((seconds(9.14), seconds(0.04), counted(1, "row")), ("9.1 s".into(), "0.04 s".into(), "1 row".into()));
        assert_eq!((ridge(0.001), ridge(1.0 / 89_870.0), ridge(1e-8)), ("0.001".into(), "1.113e-5".into(), "1.000e-8".into()));
        assert_eq!((tiny(3.12e-7), tiny(0.0)), ("3.1e-7".into(), "0".into()));
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\n"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
        assert_eq!(plain("客户_年龄"), "客户_年龄");
    }
}
