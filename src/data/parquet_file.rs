//! A Parquet file as batches of rows, with the proof that all of them were read.
//!
//! Only the Parquet types count: the schema that some writers store beside them is not read. A damaged file can make a decoder fail
//! in any way, so that a panic in it is caught and told as damage.

use super::rows::Batch;
use super::source::{Input, refuse};
use super::wording::{grouped, shown};
use crate::error::{Exit, Failure};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows of a batch.
const BATCH_ROWS: usize = 16_384;

/// A Parquet file being read.
pub(super) struct ParquetFile {
    name: String,
    builder: Option<ParquetRecordBatchReaderBuilder<File>>,
    reader: Option<ParquetRecordBatchReader>,
    columns: Vec<Option<usize>>,
    pub header: Vec<String>,
    pub types: Vec<DataType>,
    /// Rows so far.
    pub rows: u64,
    /// Rows that the file says it has.
    pub announced: u64,
}

impl ParquetFile {
    /// Opens a file and reads its footer.
    pub(super) fn open(input: &Input) -> Result<Self, Failure> {
        let name = input.name.clone();
        let file = input.reader()?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)).map_err(|fault| {
            let what = match fault {
                Fault::Unsupported => "the footer asks for what is not read here, such as encryption",
                _ => "the Parquet file is cut off or damaged: its footer cannot be read",
            };
            refuse(&name, 334, what).hint("write or copy the file again")
        })?;
        let schema = builder.schema();
        let header = schema.fields().iter().map(|field| field.name().clone()).collect();
        let types = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let metadata = builder.metadata();
        let groups: i64 = metadata.row_groups().iter().map(|group| group.num_rows()).sum();
        let announced = metadata.file_metadata().num_rows();
        if groups != announced || announced < 0 {
            let what = format!("the footer says {announced} rows, its row groups {groups}");
            return Err(refuse(&name, 334, what).hint("write or copy the file again"));
        }
        Ok(Self { name, header, types, columns: Vec::new(), reader: None, builder: Some(builder), rows: 0, announced: announced as u64 })
    }

    /// Chooses the columns to read.
    pub(super) fn choose(&mut self, wanted: &[bool]) -> Result<(), Failure> {
        let Some(builder) = self.builder.take() else { return Ok(()) };
        let chosen: Vec<usize> = (0..self.header.len()).filter(|i| wanted.get(*i) == Some(&true)).collect();
        self.columns = (0..self.header.len()).map(|i| chosen.iter().position(|c| *c == i)).collect();
        for group in builder.metadata().row_groups() {
            for column in group.columns() {
                // A damaged footer: the reader takes these for lengths.
                let offsets = [Some(column.data_page_offset()), column.dictionary_page_offset(), Some(column.compressed_size())];
                if offsets.into_iter().flatten().any(|number| number < 0) {
                    return Err(self.damaged(Fault::Damage));
                }
                let root = column.column_path().parts().first();
                let used = chosen.iter().any(|i| self.header.get(*i) == root);
                if used && matches!(column.compression(), Compression::BROTLI(_) | Compression::LZO) {
                    let what = format!("column {} is compressed with {}", shown(root.map_or("", |s| s)), column.compression());
                    let hint = "write the file with snappy, zstd, gzip or lz4";
                    return Err(refuse(&self.name, 334, what).hint(hint));
                }
            }
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), chosen);
        let reader = guarded(|| builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()).map_err(|fault| self.damaged(fault))?;
        self.reader = Some(reader);
        Ok(())
    }

    /// The next rows.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, Failure> {
        let Some(reader) = self.reader.as_mut() else { return Ok(None) };
        let next = guarded(|| reader.next().transpose().map_err(|error| ParquetError::General(error.to_string())));
        let Some(batch) = next.map_err(|fault| self.damaged(fault))? else { return Ok(None) };
        self.rows += batch.num_rows() as u64;
        Ok(Some(Batch::Columns { batch, columns: self.columns.clone() }))
    }

    fn damaged(&self, fault: Fault) -> Failure {
        let (number, what, hint) = match fault {
            Fault::Utf8 => (302, "a cell of a text column is not valid UTF-8", "write the file again with UTF-8 text"),
            Fault::Unsupported => (334, "the rows are encoded in a way that is not read here", "write the file again with common settings"),
            Fault::Damage => (334, "the Parquet file is damaged: its rows cannot be read to the end", "write or copy the file again"),
        };
        refuse(&self.name, number, what).at(format!("{}, after row {}", self.name, grouped(self.rows))).hint(hint)
    }

    /// The row-count proof: the rows read are those that the footer announced.
    pub(super) fn prove(&self) -> Result<(), Failure> {
        if self.rows == self.announced {
            return Ok(());
        }
        let (got, want) = (grouped(self.rows), grouped(self.announced));
        let what = format!("row count proof failed: {got} rows were read, the footer announces {want}");
        Err(Failure::new(Exit::Internal, 330, what).at(self.name.clone()))
    }
}

/// What a decoder complained about. Its own words may hold data and are not shown.
enum Fault {
    Utf8,
    Unsupported,
    Damage,
}

fn guarded<T>(step: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ParquetError::NYI(_))) => Err(Fault::Unsupported),
        Ok(Err(error)) => {
            let words = error.to_string().to_lowercase();
            let utf8 = words.contains("utf-8") || words.contains("utf8");
            Err(if utf8 { Fault::Utf8 } else { Fault::Damage })
        }
        Err(_) => Err(Fault::Damage),
    }
}
