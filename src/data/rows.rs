//! Rows in batches, the same for every kind of file: a batch gives its cells column by column.

use super::cells::{Cell, LARGEST_WHOLE};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use csv::ByteRecord;

/// Some consecutive rows.
pub(super) enum Batch {
    /// Records of a CSV file; those with another number of fields than `width` are refused.
    Records {
        /// The first `used` of them.
        records: Vec<ByteRecord>,
        used: usize,
        width: usize,
    },
    /// Columns of a Parquet file; `columns[i]` is the place of the header's column `i`, where it was read.
    Columns { batch: RecordBatch, columns: Vec<Option<usize>> },
}

impl Batch {
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Records { used, .. } => *used,
            Self::Columns { batch, .. } => batch.num_rows(),
        }
    }

    /// Hands the cells of a column over in order.
    pub(super) fn each<'a>(&'a self, column: usize, mut take: impl FnMut(Cell<'a>)) {
        match self {
            Self::Records { records, used, width } => {
                for record in records.iter().take(*used) {
                    take(match record.get(column).filter(|_| record.len() == *width).map(std::str::from_utf8) {
                        Some(Ok(text)) => Cell::Text(text),
                        Some(Err(_)) => Cell::Invalid,
                        None => Cell::Absent,
                    });
                }
            }
            Self::Columns { batch, columns } => match columns.get(column).copied().flatten() {
                Some(place) => typed_cells(batch.column(place), take),
                None => (0..batch.num_rows()).for_each(|_| take(Cell::Absent)),
            },
        }
    }
}

/// What kind of cells a typed column gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Whole numbers, floats, decimals, truth values.
    Number,
    /// Dates and times, as numbers.
    Time,
    /// Text.
    Text,
}

/// The kind of a column's cells; None for types that are not read.
pub(super) fn typed_kind(data_type: &DataType) -> Option<Typed> {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(_, _)
        | DataType::Null => Some(Typed::Number),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => Some(Typed::Time),
        DataType::Utf8 | DataType::LargeUtf8 => Some(Typed::Text),
        _ => None,
    }
}

/// A type's name as a person knows it.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => "text".into(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => "list".into(),
        DataType::Struct(_) => "struct".into(),
        DataType::Map(_, _) => "map".into(),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => "binary".into(),
        DataType::Timestamp(_, _) => "timestamp".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => format!("decimal({digits}, {scale})"),
        other => other.to_string().to_lowercase(),
    }
}

/// Dates are days, times are seconds since 1970-01-01 UTC, to the microsecond.
fn typed_cells<'a>(array: &'a ArrayRef, mut take: impl FnMut(Cell<'a>)) {
    macro_rules! each {
        ($type:ty, $cell:expr) => {{
            let values: &PrimitiveArray<$type> = array.as_primitive();
            if values.null_count() == 0 {
                values.values().iter().for_each(|value| take($cell(*value)));
            } else {
                values.iter().for_each(|value| take(value.map_or(Cell::Null, $cell)));
            }
        }};
    }
    let per_second = |ticks: i64, scale: i64| {
        let (seconds, rest) = (ticks.div_euclid(scale), ticks.rem_euclid(scale));
        let micros = rest / (scale / 1_000_000).max(1);
        Cell::Real(seconds as f64 + micros as f64 / scale.min(1_000_000) as f64)
    };
    match array.data_type() {
        DataType::Int8 => each!(Int8Type, |v| Cell::Whole(i128::from(v))),
        DataType::Int16 => each!(Int16Type, |v| Cell::Whole(i128::from(v))),
        DataType::Int32 => each!(Int32Type, |v| Cell::Whole(i128::from(v))),
        DataType::Int64 => each!(Int64Type, |v| Cell::Whole(i128::from(v))),
        DataType::UInt8 => each!(UInt8Type, |v| Cell::Whole(i128::from(v))),
        DataType::UInt16 => each!(UInt16Type, |v| Cell::Whole(i128::from(v))),
        DataType::UInt32 => each!(UInt32Type, |v| Cell::Whole(i128::from(v))),
        DataType::UInt64 => each!(UInt64Type, |v| Cell::Whole(i128::from(v))),
        DataType::Float16 => each!(Float16Type, |v: <Float16Type as arrow_array::ArrowPrimitiveType>::Native| Cell::Real(f64::from(v))),
        DataType::Float32 => each!(Float32Type, |v| Cell::Real(f64::from(v))),
        DataType::Float64 => each!(Float64Type, Cell::Real),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            each!(Decimal128Type, |v| decimal(v, scale))
        }
        DataType::Date32 => each!(Date32Type, |v| Cell::Whole(i128::from(v))),
        DataType::Date64 => each!(Date64Type, |v: i64| Cell::Real(v as f64 / 86_400_000.0)),
        DataType::Timestamp(TimeUnit::Second, _) => each!(TimestampSecondType, |v| per_second(v, 1)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => each!(TimestampMillisecondType, |v| per_second(v, 1_000)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => each!(TimestampMicrosecondType, |v| per_second(v, 1_000_000)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => each!(TimestampNanosecondType, |v| per_second(v, 1_000_000_000)),
        DataType::Boolean => array.as_boolean().iter().for_each(|v| take(v.map_or(Cell::Null, |v| Cell::Whole(i128::from(v))))),
        DataType::Utf8 => array.as_string::<i32>().iter().for_each(|v| take(v.map_or(Cell::Null, Cell::Text))),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().for_each(|v| take(v.map_or(Cell::Null, Cell::Text))),
        // Columns of other types were refused by name before any row was read.
        _ => (0..array.len()).for_each(|_| take(Cell::Null)),
    }
}

/// A decimal: whole where it is, else the nearest float of an unscaled value that is held exactly.
fn decimal<'a>(unscaled: i128, scale: i8) -> Cell<'a> {
    let Some(power) = u32::try_from(scale).ok().and_then(|scale| 10i128.checked_pow(scale)) else { return Cell::Lossy };
    if unscaled % power == 0 {
        return Cell::Whole(unscaled / power);
    }
    // Powers of ten up to 10^22 are exact, so that the quotient is the nearest float.
    if unscaled.unsigned_abs() <= LARGEST_WHOLE && scale <= 22 { Cell::Real(unscaled as f64 / power as f64) } else { Cell::Lossy }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::sync::Arc;

    #[test]
    fn times_and_decimals_become_numbers() {
        let cells = |array: ArrayRef| {
            let mut found = Vec::new();
            typed_cells(&array, |cell| found.push(format!("{cell:?}")));
            found
        };
        let nanos = PrimitiveArray::<TimestampNanosecondType>::from(vec![Some(1_500_000_001_250_000_000), None, Some(-500_000_000)]);
        assert_eq!(cells(Arc::new(nanos)), ["Real(1500000001.25)", "Null", "Real(-0.5)"]);
        let seconds = PrimitiveArray::<TimestampSecondType>::from(vec![7]);
        assert_eq!(cells(Arc::new(seconds)), ["Real(7.0)"]);
        let millis = PrimitiveArray::<TimestampMillisecondType>::from(vec![1_250]);
        assert_eq!(cells(Arc::new(millis)), ["Real(1.25)"]);
        assert_eq!(cells(Arc::new(PrimitiveArray::<Date32Type>::from(vec![19_000]))), ["Whole(19000)"]);
        let decimals = vec![150, 200, 123_456_789_012_345_678_901];
        let decimals = PrimitiveArray::<Decimal128Type>::from(decimals).with_precision_and_scale(38, 2).unwrap();
        assert_eq!(cells(Arc::new(decimals)), ["Real(1.5)", "Whole(2)", "Lossy"]);
    }
}
