//! The row-count proof: a reader that passes a CSV file on and counts its physical records by itself.
//!
//! It follows the same rules as the CSV reader (RFC 4180, a quote only opens at the start of a field) in a few states of its
//! own, so that a row lost, merged or cut off shows as a difference or as an open quote. It also takes off a byte-order mark.

use super::dialect::Dialect;
use std::io::{self, Read};

/// The longest record that is read: beyond it a quote was probably never closed, and memory is not for that.
pub(super) const MAX_RECORD_BYTES: u64 = 64 << 20;

/// What the physical count found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Physical {
    /// Bytes, a byte-order mark included.
    pub bytes: u64,
    /// Records, the header included.
    pub records: u64,
    /// Lines ended by CRLF.
    pub crlf: u64,
    /// A UTF-8 byte-order mark was taken off.
    pub byte_order_mark: bool,
    /// The file begins with a UTF-16 byte-order mark.
    pub utf16: bool,
    /// Blank lines since the last record.
    pub blank_run: u64,
    /// Blank lines before a later record, and the number of records before the first of them.
    pub blank_inside: Option<(u64, u64)>,
    /// Records with a line break inside quotes, and the number of the first.
    pub multi_line: Option<(u64, u64)>,
    /// The last line has no line end.
    pub unterminated: bool,
    /// The last record's quotes were still open at the end of the file.
    pub open_quote: bool,
    /// The last record is longer than [`MAX_RECORD_BYTES`]: reading stopped there.
    pub too_long: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

/// Passes a file on and counts.
pub(super) struct LineCounter<R> {
    inner: R,
    state: State,
    last: u8,
    broken: bool,
    started: bool,
    pending: Vec<u8>,
    record_start: u64,
    dialect: Dialect,
    seen: Physical,
}

impl<R: Read> LineCounter<R> {
    pub(super) fn new(inner: R, dialect: Dialect) -> Self {
        let (state, pending) = (State::RecordStart, Vec::new());
        Self { inner, state, last: b'\n', broken: false, started: false, pending, record_start: 0, dialect, seen: Physical::default() }
    }

    /// The count so far; final once the file has been read to its end.
    pub(super) fn physical(&self) -> Physical {
        let open_quote = self.state == State::Quoted;
        Physical { unterminated: self.state != State::RecordStart, open_quote, ..self.seen }
    }

    /// Reads the first three bytes and drops a byte-order mark.
    fn start(&mut self) -> io::Result<()> {
        let mut head = [0u8; 3];
        let mut length = 0;
        while length < head.len() {
            match self.inner.read(&mut head[length..]) {
                Ok(0) => break,
                Ok(n) => length += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let head = &head[..length];
        self.seen.utf16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
        if head == [0xef, 0xbb, 0xbf] {
            self.seen.byte_order_mark = true;
            self.seen.bytes = 3;
        } else {
            self.pending.extend(head.iter().rev());
        }
        self.started = true;
        Ok(())
    }

    fn line_end_outside(&mut self, byte: u8) {
        match (self.last, byte) {
            (b'\r', b'\n') => self.seen.crlf += 1,
            _ if self.state == State::RecordStart => self.seen.blank_run += 1,
            _ => {}
        }
        self.state = State::RecordStart;
    }

    fn record_start(&mut self, at: usize) {
        self.record_start = self.seen.bytes + at as u64;
        if self.seen.blank_run > 0 {
            let (count, first) = self.seen.blank_inside.unwrap_or((0, self.seen.records));
            self.seen.blank_inside = Some((count + self.seen.blank_run, first));
            self.seen.blank_run = 0;
        }
        self.seen.records += 1;
        self.broken = false;
        self.state = State::FieldStart;
    }

    fn scan(&mut self, chunk: &[u8]) {
        let Dialect { delimiter, quote, .. } = self.dialect;
        for (at, &byte) in chunk.iter().enumerate() {
            match (self.state, byte) {
                (State::Plain, b) if b != delimiter && b != b'\n' && b != b'\r' => {}
                (State::Quoted, b) if b == quote => self.state = State::QuoteInQuoted,
                (State::Quoted, b) => {
                    if b == b'\n' && !self.broken {
                        self.broken = true;
                        let (count, first) = self.seen.multi_line.unwrap_or((0, self.seen.records));
                        self.seen.multi_line = Some((count + 1, first));
                    }
                }
                (State::QuoteInQuoted, b) if b == quote => self.state = State::Quoted,
                (_, b'\n' | b'\r') => self.line_end_outside(byte),
                (state, b) => {
                    if state == State::RecordStart {
                        self.record_start(at);
                    }
                    self.state = match (self.state, b) {
                        (_, b) if b == delimiter => State::FieldStart,
                        (State::FieldStart, b) if b == quote => State::Quoted,
                        _ => State::Plain,
                    };
                }
            }
            self.last = byte;
        }
        self.seen.bytes += chunk.len() as u64;
        self.seen.too_long = self.state != State::RecordStart && self.seen.bytes - self.record_start > MAX_RECORD_BYTES;
    }
}

impl<R: Read> Read for LineCounter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.started {
            self.start()?;
        }
        let mut length = 0;
        while let Some(slot) = buffer.get_mut(length) {
            let Some(byte) = self.pending.pop() else { break };
            *slot = byte;
            length += 1;
        }
        if self.seen.too_long {
            return Ok(0);
        }
        if length == 0 {
            length = self.inner.read(buffer)?;
        }
        self.scan(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn count(bytes: &[u8]) -> (Physical, Vec<u8>) {
        let mut counter = LineCounter::new(bytes, Dialect::default());
        let mut out = Vec::new();
        counter.read_to_end(&mut out).unwrap();
        (counter.physical(), out)
    }

    #[test]
    fn line_ends_marks_and_blanks_are_counted() {
        let (seen, out) = count(b"\xef\xbb\xbfid,a\r\n1,2\r\n\r\n3,4\n\n\n");
        assert_eq!(out, b"id,a\r\n1,2\r\n\r\n3,4\n\n\n");
        assert_eq!((seen.records, seen.crlf, seen.byte_order_mark, seen.bytes), (3, 3, true, 3 + 19));
        assert_eq!((seen.blank_inside, seen.blank_run, seen.unterminated), (Some((1, 2)), 2, false));
        assert_eq!(count(b"id").0, Physical { bytes: 2, records: 1, unterminated: true, ..Physical::default() });
        assert!(count(b"\xff\xfei\0d\0").0.utf16);
    }

    #[test]
    fn quotes_are_followed_and_open_ones_found() {
        let (seen, _) = count(b"id,note\n1,\"a\n\"\"b,\n\"\n2,plain \" quote\n3,\"\"\n");
        assert_eq!((seen.records, seen.multi_line, seen.open_quote), (4, Some((1, 2)), false));
        assert!(count(b"id,note\n1,\"never closed\n2,x\n").0.open_quote);
    }

    #[test]
    fn the_count_equals_the_csv_readers_on_every_short_text() {
        // All texts of up to seven of these bytes: every state and every order of line ends and quotes.
        let alphabet = [b'a', b',', b'"', b'\n', b'\r'];
        for length in 0..=7u32 {
            for number in 0..alphabet.len().pow(length) {
                let text: Vec<u8> = (0..length).map(|i| alphabet[number / alphabet.len().pow(i) % alphabet.len()]).collect();
                let counter = LineCounter::new(text.as_slice(), Dialect::default());
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(counter);
                let records = reader.byte_records().map(Result::unwrap).count() as u64;
                assert_eq!(reader.get_ref().physical().records, records, "{:?}", String::from_utf8_lossy(&text));
            }
        }
    }
}
