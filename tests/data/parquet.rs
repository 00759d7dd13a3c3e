//! Writes Parquet files for tests.

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

/// A file of these columns, rows in groups of `group`.
pub fn parquet(columns: Vec<(&str, ArrayRef)>, compression: Compression, group: usize) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(group)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

pub fn zstd() -> Compression {
    Compression::ZSTD(ZstdLevel::default())
}

pub fn ids() -> ArrayRef {
    Arc::new(StringArray::from_iter_values((1..=40).map(|row| format!("user{row}"))))
}

/// The rows of [`crate::files::good`].
pub fn good() -> Vec<(&'static str, ArrayRef)> {
    let towns = ["Ulm", "Bonn", "Jena", "Kiel"];
    vec![("id", ids()), ("age", ages()), ("town", Arc::new(StringArray::from_iter_values((1..=40).map(|row| towns[row % 4]))))]
}

pub fn ages() -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((1..=40).map(|row| 20 + row * 7 % 30)))
}

pub fn lists() -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>((1..=40).map(|row| Some(vec![Some(row)]))))
}

pub fn floats(value: impl Fn(usize) -> f64) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values((1..=40).map(value)))
}
