//! A CSV file as batches of rows, with the proof that all of them were read.

use super::dialect::Dialect;
use super::ids::is_blank;
use super::lines::{LineCounter, MAX_RECORD_BYTES, Physical};
use super::refusals::{Reason, Refusals};
use super::rows::Batch;
use super::source::{Input, refuse, unreadable};
use super::wording::{counted, grouped};
use crate::error::{Exit, Failure};
use csv::ByteRecord;
use std::fs::File;

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;

/// A CSV file being read.
pub(super) struct CsvFile {
    reader: csv::Reader<LineCounter<File>>,
    name: String,
    pub header: Vec<String>,
    /// Data rows so far.
    pub rows: u64,
    /// Rows of the files before this one.
    before: u64,
    pub refusals: Refusals,
}

impl CsvFile {
    /// Opens a file and reads its header.
    pub(super) fn open(input: &Input, dialect: Dialect, before: u64) -> Result<Self, Failure> {
        let name = input.name.clone();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(dialect.delimiter)
            .quote(dialect.quote)
            .buffer_capacity(1 << 20)
            .from_reader(LineCounter::new(input.reader()?, dialect));
        let mut record = ByteRecord::new();
        let found = reader.read_byte_record(&mut record).map_err(|error| unreadable(&name, &error.into()))?;
        let seen = reader.get_ref().physical();
        if seen.utf16 {
            return Err(refuse(&name, 302, "the file is UTF-16, not UTF-8").hint("save the file as CSV UTF-8"));
        }
        if seen.too_long {
            return Err(too_long(&name, 0));
        }
        if !found {
            return Err(refuse(&name, 303, "the file is empty").hint("the first line names the columns, every further line is a row"));
        }
        if record.as_slice().contains(&0) {
            let what = "the header holds NUL bytes: the file is UTF-16 without its mark, or no text";
            return Err(refuse(&name, 302, what).hint("save the file as CSV UTF-8"));
        }
        let mut header = Vec::with_capacity(record.len());
        for (i, field) in record.iter().enumerate() {
            let text = std::str::from_utf8(field).map_err(|_| {
                refuse(&name, 302, format!("the name of column {} is not valid UTF-8", i + 1)).hint("save the file as UTF-8")
            })?;
            header.push(text.trim_matches(is_blank).to_owned());
        }
        Ok(Self { reader, name, header, rows: 0, before, refusals: Refusals::default() })
    }

    /// The next rows, in the place of a batch that is no longer needed.
    pub(super) fn next(&mut self, spare: Option<Batch>) -> Result<Option<Batch>, Failure> {
        let mut records = match spare {
            Some(Batch::Records { records, .. }) => records,
            _ => vec![ByteRecord::new(); BATCH_ROWS],
        };
        let width = self.header.len();
        let mut used = 0;
        for record in &mut records {
            let more = self.reader.read_byte_record(record).map_err(|error| {
                let after = format!("{}, after row {}", self.name, grouped(self.rows));
                unreadable(&self.name, &error.into()).at(after)
            })?;
            if !more {
                break;
            }
            self.rows += 1;
            used += 1;
            if record.len() != width {
                let fields = counted(record.len() as u64, "field", "fields");
                let words = || Some(format!("{fields} where the header has {width}"));
                self.refusals.note_with(Reason::Ragged, usize::MAX, self.before + self.rows, words);
            }
        }
        Ok((used > 0).then_some(Batch::Records { records, used, width }))
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.reader.get_ref().physical().bytes
    }

    /// The row-count proof: the CSV reader's rows are the file's physical records.
    pub(super) fn prove(&self, input: &Input) -> Result<Physical, Failure> {
        let seen = self.reader.get_ref().physical();
        let (name, rows) = (&self.name, self.rows);
        if seen.too_long {
            return Err(too_long(name, rows));
        }
        if seen.open_quote {
            let what = "a quote is never closed, so that the last row runs to the end of the file";
            let place = if rows == 0 { "header".to_owned() } else { format!("row {}", grouped(rows)) };
            return Err(refuse(name, 311, what).at(format!("{name}, {place}")).hint("close the quote, or write the file again"));
        }
        if let Some((count, records)) = seen.blank_inside {
            let what = format!("{} between the rows", counted(count, "blank line is", "blank lines are"));
            let place = match records {
                0 => "before the header".to_owned(),
                1 => "after the header".to_owned(),
                records => format!("first after row {}", grouped(records - 1)),
            };
            return Err(refuse(name, 312, what).at(format!("{name}, {place}")).hint("remove the blank lines"));
        }
        if seen.records != rows + 1 || seen.bytes != input.bytes {
            input.unchanged(&input.reader()?)?;
            let (got, want) = (grouped(rows), grouped(seen.records.saturating_sub(1)));
            let what = format!("row count proof failed: {got} rows were read, {want} are in the file");
            return Err(Failure::new(Exit::Internal, 330, what).at(name.clone()));
        }
        Ok(seen)
    }
}

fn too_long(name: &str, row: u64) -> Failure {
    let what = format!("a row is longer than {} bytes: a quote is probably never closed", grouped(MAX_RECORD_BYTES));
    let place = if row == 0 { "header".to_owned() } else { format!("row {}", grouped(row)) };
    refuse(name, 311, what).at(format!("{name}, {place}")).hint("close the quote, or write the file again")
}
