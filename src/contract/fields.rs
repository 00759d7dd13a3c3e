//! Takes typed values out of a TOML table: unknown keys, missing keys and wrong types are named with their table.

use super::auto::{AutoNumber, WORD};
use crate::data::wording::{shown, suggestion};
use crate::error::{Exit, Failure};
use toml::{Table, Value};

/// Message number of a key nobody knows.
pub(super) const UNKNOWN_KEY: u16 = 203;
/// Message number of a missing key or table.
pub(super) const MISSING_KEY: u16 = 204;
/// Message number of a value of the wrong type.
pub(super) const WRONG_TYPE: u16 = 205;
/// Message number of a value that is not allowed.
pub(super) const OUT_OF_RANGE: u16 = 206;
/// Message number of a disclosure list that does not fit the task.
pub(super) const DISCLOSURE: u16 = 207;
/// Message number of a key that has no meaning in this job.
pub(super) const NO_MEANING: u16 = 208;

/// A wrong job file: exit code 2.
pub(super) fn usage(number: u16, what: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, number, what)
}

/// One table of the job file.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// Its name as a person writes it, such as `[shared.peers]`.
    name: &'static str,
    table: &'a Table,
}

impl<'a> Fields<'a> {
    /// Checks that every key is known. `elsewhere` are known keys of another table, named with it.
    pub(super) fn new(name: &'static str, table: &'a Table, known: &[&str], elsewhere: (&str, &[&str])) -> Result<Self, Failure> {
        for key in table.keys() {
            if known.contains(&key.as_str()) {
                continue;
            }
            let (other, others) = elsewhere;
            let hint = if others.contains(&key.as_str()) {
                format!("move it to {other}")
            } else {
                suggestion(key, known.iter().copied(), &format!("the keys of {name} are {}", known.join(", ")))
            };
            return Err(usage(UNKNOWN_KEY, format!("unknown key {} in {name}", shown(key))).at(name).hint(hint));
        }
        Ok(Self { name, table })
    }

    fn wrong(&self, key: &str, wanted: &str, got: &Value) -> Failure {
        let what = format!("{} in {} must be {wanted}, not a value of type {}", shown(key), self.name, got.type_str());
        usage(WRONG_TYPE, what).at(format!("{} {key}", self.name))
    }

    fn take<T>(&self, key: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, Failure> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, wanted, value))
    }

    /// A value that must be there.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>, hint: &str) -> Result<T, Failure> {
        value.ok_or_else(|| usage(MISSING_KEY, format!("{} is missing in {}", shown(key), self.name)).at(self.name).hint(hint))
    }

    /// A value of any type.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        self.take(key, "text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, Failure> {
        self.take(key, "a number", number)
    }

    /// A number, or the word for one that follows from the run.
    pub(super) fn auto_number(&self, key: &str) -> Result<Option<AutoNumber>, Failure> {
        let read = |value: &Value| match value {
            Value::String(word) => (word == WORD).then_some(AutoNumber::Auto),
            other => number(other).map(AutoNumber::Signed),
        };
        self.take(key, "a number or \"auto\"", read)
    }

    pub(super) fn count(&self, key: &str) -> Result<Option<u64>, Failure> {
        self.take(key, "a whole number, not negative", |value| value.as_integer().and_then(|number| u64::try_from(number).ok()))
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Failure> {
        let read = |value: &Value| value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        self.take(key, "a list of texts in quotes", read)
    }

    pub(super) fn pair(&self, key: &str) -> Result<Option<[f64; 2]>, Failure> {
        let read = |value: &Value| match value.as_array()?.as_slice() {
            [low, high] => Some([number(low)?, number(high)?]),
            _ => None,
        };
        self.take(key, "a pair of numbers", read)
    }

    pub(super) fn table(&self, key: &str) -> Result<Option<&'a Table>, Failure> {
        self.take(key, "a table", Value::as_table)
    }
}

/// A float, or an integer that a float holds exactly.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Integer(number) if number.unsigned_abs() <= 1 << 53 => Some(*number as f64),
        _ => None,
    }
}
