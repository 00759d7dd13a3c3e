//! Finds the delimiter and the quote of a CSV file in its first rows.
//!
//! For every candidate the sample is split into records; one that gives the header at least two fields is judged by the share of
//! records with as many fields as the header, then by the number of fields. Where none does, the file has one column and the comma
//! stands. Fields in single quotes are taken as quoted when the header's first name is and no double quote begins a field.

use std::fmt;

/// How much of a file is looked at, in bytes.
pub(super) const SAMPLE_BYTES: usize = 256 << 10;
/// What may stand between fields.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How a CSV file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between two fields.
    pub delimiter: u8,
    /// Around a field that holds delimiters or line ends; doubled inside.
    pub quote: u8,
    /// Whether any field of the sample is quoted.
    pub quoted: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: b'"', quoted: false }
    }
}

impl Dialect {
    /// Finds the dialect of a file from its first bytes.
    #[must_use]
    pub fn detect(sample: &[u8]) -> Self {
        let sample = sample.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(sample);
        let whole = sample.len() < SAMPLE_BYTES;
        let quote = if single_quoted(sample) { b'\'' } else { b'"' };
        let judged = DELIMITERS.iter().map(|&delimiter| (judge(sample, delimiter, quote, whole), delimiter));
        // The first of equals stands: a comma before a semicolon.
        let best = judged.filter(|((_, fields), _)| *fields >= 2).rev().max_by(|(a, _), (b, _)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let delimiter = best.map_or(b',', |(_, delimiter)| delimiter);
        let starts = |at: usize| at == 0 || matches!(sample.get(at - 1), Some(b) if *b == delimiter || matches!(b, b'\n' | b'\r'));
        let quoted = sample.iter().enumerate().any(|(at, byte)| *byte == quote && starts(at));
        Self { delimiter, quote, quoted }
    }

    /// The delimiter's name.
    #[must_use]
    pub fn delimiter_name(self) -> &'static str {
        match self.delimiter {
            b';' => "semicolon",
            b'\t' => "tab",
            b'|' => "bar",
            _ => "comma",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = match (self.quoted, self.quote) {
            (false, _) => "nothing quoted",
            (true, b'\'') => "single quotes",
            (true, _) => "double quotes",
        };
        write!(f, "{} between fields, {quote}", self.delimiter_name())
    }
}

fn single_quoted(sample: &[u8]) -> bool {
    let header = sample.split(|b| matches!(b, b'\n' | b'\r')).find(|line| !line.is_empty()).unwrap_or_default();
    let name = header.split(|b| DELIMITERS.contains(b)).next().unwrap_or_default();
    let begins = |quote: u8| sample.windows(2).any(|two| two.last() == Some(&quote) && two.first().is_some_and(|b| DELIMITERS.contains(b)));
    name.len() > 2 && name.starts_with(b"'") && name.ends_with(b"'") && !begins(b'"')
}

/// The share of records with as many fields as the first, and its number of fields.
fn judge(sample: &[u8], delimiter: u8, quote: u8, whole: bool) -> (f64, usize) {
    let mut counts = Vec::new();
    let (mut fields, mut quoted, mut at_start, mut empty) = (1usize, false, true, true);
    for &byte in sample {
        if quoted {
            quoted = byte != quote;
            continue;
        }
        if matches!(byte, b'\n' | b'\r') {
            if !empty {
                counts.push(fields);
            }
            (fields, at_start, empty) = (1, true, true);
            continue;
        }
        // A doubled quote closes and opens again: a quote after a quote inside a field is taken for that.
        quoted = byte == quote && at_start;
        fields += usize::from(byte == delimiter);
        at_start = byte == delimiter || byte == quote;
        empty = false;
    }
    if whole && !empty {
        counts.push(fields);
    }
    let Some(first) = counts.first().copied() else { return (0.0, if empty { 0 } else { fields }) };
    let alike = counts.iter().filter(|count| **count == first).count();
    (alike as f64 / counts.len() as f64, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_fits_the_rows() {
        let cases: [(&str, u8, bool); 12] = [
            ("id,a\n1,2\n", b',', false),
            ("id;a\n1;2,5\n2;3,5\n", b';', false),
            ("id\ta\n1\t2\n", b'\t', false),
            ("id|a\n1|2\n", b'|', false),
            ("id\na\nb\n", b',', false),
            ("id,\"a;b\",c\n1,\"2;3\",4\n", b',', true),
            ("id;note\n1;\"a,b;\"\"c,\"\n2;d,e\n", b';', true),
            ("id,a\r\n1,x|y\r\n", b',', false),
            ("id,a,b\n1,1.000,5,2\n", b',', false),
            ("\u{feff}id;a\n1;2\n", b';', false),
            ("", b',', false),
            ("id;a;b", b';', false),
        ];
        for (text, delimiter, quoted) in cases {
            let found = Dialect::detect(text.as_bytes());
            assert_eq!((found.delimiter, found.quote, found.quoted), (delimiter, b'"', quoted), "{text:?}");
        }
        let single = Dialect::detect(b"'id','a'\n'x,y','2'\n");
        assert_eq!((single.delimiter, single.quote, single.quoted), (b',', b'\'', true));
        assert_eq!(Dialect::detect(b"id,name\n1,'t Hart\n").quote, b'"');
    }

    #[test]
    fn a_sample_cut_inside_a_row_does_not_mislead() {
        let mut text = "id;a;b\n".to_owned();
        while text.len() <= SAMPLE_BYTES {
            text.push_str("user;1,5;2,5\n");
        }
        assert_eq!(Dialect::detect(&text.as_bytes()[..SAMPLE_BYTES]).delimiter, b';');
    }
}
