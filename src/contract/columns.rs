//! `[private.columns.NAME]` of a job file: what a person asks of single columns instead of the automatic choice.

use super::fields::{Fields, OUT_OF_RANGE, usage};
use crate::data::wording::{shown, suggestion};
use crate::data::{ColumnKind, ColumnWish, Encode, Impute, Wishes};
use crate::error::Failure;
use toml::{Table, Value};

const KEYS: [&str; 6] = ["type", "missing", "encode", "count", "winsorise", "impute"];
/// Bins or buckets that may be asked for.
const COUNTS: std::ops::RangeInclusive<u64> = 2..=1024;

/// Reads the table of columns.
pub(super) fn read(table: &Table) -> Result<Wishes, Failure> {
    table.iter().map(|(name, value)| Ok((name.clone(), column(name, value)?))).collect()
}

fn column(name: &str, value: &Value) -> Result<ColumnWish, Failure> {
    let place = format!("[private.columns] {}", shown(name));
    let wrong = |what: String| usage(OUT_OF_RANGE, what).at(place.clone());
    let table = value.as_table().ok_or_else(|| wrong("a column's wishes are a table".into()).hint("[private.columns.NAME]"))?;
    let fields = Fields::new("[private.columns]", table, &KEYS, ("", &[]))?;
    let encode = match fields.text("encode")? {
        None => None,
        Some(text) => Some(Encode::from_name(&text).ok_or_else(|| {
            let names = Encode::ALL.map(Encode::name);
            wrong(format!("{} is no encoding", shown(&text))).hint(suggestion(&text, names, &format!("one of {}", names.join(", "))))
        })?),
    };
    let kind = match fields.text("type")?.as_deref() {
        // Categories are asked for by their encoding.
        None => encode.filter(|encode| matches!(encode, Encode::OneHot | Encode::Hash)).map(|_| ColumnKind::Text),
        Some("number") => Some(ColumnKind::Number),
        Some("text") => Some(ColumnKind::Text),
        Some(other) => return Err(wrong(format!("{} is no type of a column", shown(other))).hint("number or text")),
    };
    let winsorise = fields.pair("winsorise")?;
    if let Some([low, high]) = winsorise
        && !(0.0..high).contains(&low) | (high > 1.0)
    {
        return Err(wrong(format!("winsorise is [{low}, {high}]: two rising quantiles between 0 and 1 are needed")).hint("[0.01, 0.99]"));
    }
    let count = fields.count("count")?;
    if let Some(count) = count.filter(|count| !COUNTS.contains(count)) {
        return Err(wrong(format!("count is {count}, allowed is {} to {}", COUNTS.start(), COUNTS.end())));
    }
    let impute = match fields.value("impute") {
        None => None,
        Some(Value::String(text)) if text == "mean" => Some(Impute::Mean),
        Some(Value::String(text)) if text == "median" => Some(Impute::Median),
        Some(Value::String(_)) => return Err(wrong("impute is neither \"mean\" nor \"median\" nor a number".into())),
        Some(_) => match fields.number("impute")? {
            Some(number) if number.is_finite() => Some(Impute::Value(number)),
            _ => return Err(wrong("impute is not a finite number".into())),
        },
    };
    Ok(ColumnWish {
        kind,
        missing: fields.texts("missing")?.unwrap_or_default(),
        encode,
        count: count.map(|count| count as usize),
        winsorise,
        impute,
    })
}
