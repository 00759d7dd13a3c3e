//! The Parquet file that the party programs read: under a hidden name until it is whole, then renamed; nothing is left behind otherwise.

use super::explain::failure_of;
use crate::data::wording::{counted, shown};
use crate::error::{Exit, Failure};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use futures_util::StreamExt;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// Rows of a row group: what a writer holds in memory.
const GROUP_ROWS: usize = 1 << 17;

/// A file that is being written. Dropped before [`OutFile::finish`], it is gone.
#[derive(Debug)]
pub struct OutFile {
    hidden: NamedTempFile,
    target: PathBuf,
    force: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Columns: name and type.
    pub columns: Vec<(String, String)>,
}

impl Written {
    /// Rows, columns and types for a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        let head = format!("{}, {}", counted(self.rows, "row", "rows"), counted(self.columns.len() as u64, "column", "columns"));
        let width = self.columns.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(40);
        let lines = self.columns.iter().map(|(name, kind)| format!("\n  {name:width$}  {kind}"));
        head + &lines.collect::<String>()
    }
}

impl OutFile {
    /// Makes the hidden file beside the target, mode 0600.
    ///
    /// # Errors
    /// Exit 2, E1130: the target is there already (unless `force`), is a folder, or its folder is missing.
    pub fn create(target: &Path, force: bool) -> Result<Self, Failure> {
        let usage = |what: &str, hint: &str| Failure::new(Exit::Usage, 1130, what).at(target.display().to_string()).hint(hint);
        let Some(name) = target.file_name() else { return Err(usage("this names no file", "name one with --out FILE.parquet")) };
        if target.is_dir() {
            return Err(usage("this is a folder", "name a file with --out FILE.parquet"));
        }
        if target.exists() && !force {
            return Err(usage("the file is there already", "name another one with --out, or replace it with --force"));
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(usage("its folder is not there", "make the folder first"));
        }
        let prefix = format!(".{}.partial-", name.to_string_lossy());
        let hidden = tempfile::Builder::new().prefix(&prefix).tempfile_in(folder);
        let hidden = hidden.map_err(|error| failed(target, &error))?;
        Ok(Self { hidden, target: target.to_owned(), force })
    }

    /// Where the rows are until [`OutFile::finish`].
    #[must_use]
    pub fn path(&self) -> &Path {
        self.hidden.path()
    }

    /// Writes all rows of a query.
    ///
    /// # Errors
    /// Exit 13, E1131: a column of a type that no party program reads, or two columns of one name; what the query fails with; exit 1,
    /// E1132: the disk.
    pub async fn write(&mut self, mut rows: SendableRecordBatchStream) -> Result<Written, Failure> {
        let schema = written_schema(&rows.schema())?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let target = self.target.clone();
        let writer = ArrowWriter::try_new(self.hidden.as_file_mut(), schema.clone(), Some(properties));
        let mut writer = writer.map_err(|error| failed(&target, &error))?;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error| failure_of(error, "the query"))?;
            count += batch.num_rows() as u64;
            let columns: Vec<ArrayRef> = batch
                .columns()
                .iter()
                .zip(schema.fields())
                .map(
                    |(column, field)| {
                        if column.data_type() == field.data_type() { Ok(column.clone()) } else { cast(column, field.data_type()) }
                    },
                )
                .collect::<Result<_, _>>()
                .map_err(|error| failure_of(error.into(), "the query"))?;
            let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|error| failure_of(error.into(), "the query"))?;
            writer.write(&batch).map_err(|error| failed(&target, &error))?;
        }
        writer.close().map_err(|error| failed(&target, &error))?;
        let columns = schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
        Ok(Written { rows: count, columns })
    }

    /// Brings the file to the disk and gives it its name.
    ///
    /// # Errors
    /// Exit 2, E1130: another file took the name meanwhile. Exit 1, E1132: the disk.
    pub fn finish(self) -> Result<(), Failure> {
        self.hidden.as_file().sync_all().map_err(|error| failed(&self.target, &error))?;
        let named = if self.force { self.hidden.persist(&self.target) } else { self.hidden.persist_noclobber(&self.target) };
        named.map(drop).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::new(Exit::Usage, 1130, "another file took the name meanwhile").at(self.target.display().to_string())
            }
            _ => failed(&self.target, &error.error),
        })
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Internal, 1132, format!("the file cannot be written: {error}")).at(path.display().to_string())
}

/// The columns as they are written: what party programs read, names once.
fn written_schema(schema: &Schema) -> Result<SchemaRef, Failure> {
    let refuse = |what: String, hint: &str| Failure::new(Exit::Data, 1131, what).at("the query's columns").hint(hint);
    let mut seen = HashSet::new();
    let mut fields = Vec::new();
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            return Err(refuse(format!("two columns are named {}", shown(field.name())), "name one of them with AS"));
        }
        let Some(kind) = written_type(field.data_type()) else {
            let what = format!("column {} is of type {}, which no party program reads", shown(field.name()), type_name(field.data_type()));
            return Err(refuse(what, "CAST it, take parts of it, or leave it out"));
        };
        fields.push(Field::new(field.name(), kind, field.is_nullable()));
    }
    if fields.is_empty() {
        return Err(refuse("the query has no columns".into(), "SELECT at least the id"));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The type that is written for a type; None where no party program would read it.
fn written_type(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        DataType::Dictionary(_, value) => return written_type(value),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Float16 => DataType::Float32,
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        kind if kind.is_integer() || kind.is_floating() => kind.clone(),
        DataType::Boolean | DataType::Date32 | DataType::Timestamp(..) | DataType::Decimal128(..) => kind.clone(),
        _ => return None,
    })
}

/// A type in few words.
pub(super) fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Boolean => "true or false".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(..) => "time".into(),
        DataType::Decimal128(..) | DataType::Decimal256(..) => "decimal".into(),
        DataType::Dictionary(_, value) => type_name(value),
        DataType::Null => "NULL".into(),
        kind if kind.is_integer() => "whole number".into(),
        kind if kind.is_floating() => "number".into(),
        DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_) | DataType::FixedSizeList(..) => "list".into(),
        DataType::Struct(_) => "struct".into(),
        DataType::Map(..) => "map".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "binary".into(),
        DataType::Interval(_) | DataType::Duration(_) => "length of time".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::TempDir::new().unwrap();
        let target = folder.path().join("a.parquet");
        drop(OutFile::create(&target, false).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let (first, second) = (OutFile::create(&target, false).unwrap(), OutFile::create(&target, false).unwrap());
        first.finish().unwrap();
        assert_eq!(second.finish().unwrap_err().id, 1130);
        assert_eq!(OutFile::create(&target, false).unwrap_err().id, 1130);
        OutFile::create(&target, true).unwrap().finish().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(OutFile::create(&folder.path().join("no/a.parquet"), false).unwrap_err().id, 1130);
        assert_eq!(OutFile::create(folder.path(), true).unwrap_err().id, 1130);
    }

    #[test]
    fn types_that_no_party_program_reads_are_refused_by_name() {
        let field = |name: &str, kind: DataType| Field::new(name, kind, true);
        let list = DataType::List(Arc::new(field("item", DataType::Int64)));
        let refused = written_schema(&Schema::new(vec![field("a", DataType::Int64), field("tags", list)])).unwrap_err();
        assert_eq!((refused.exit, refused.id), (Exit::Data, 1131));
        assert!(refused.what.contains("`tags` is of type list"), "{}", refused.what);
        let twice = written_schema(&Schema::new(vec![field("a", DataType::Int64), field("a", DataType::Utf8)])).unwrap_err();
        assert!(twice.what.contains("two columns"), "{}", twice.what);
        let dictionary = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8View));
        let written = written_schema(&Schema::new(vec![field("d", dictionary)])).unwrap();
        assert_eq!(written.field(0).data_type(), &DataType::Utf8);
    }
}
