//! JSON: objects that keep the order of their columns, and reading that refuses other schemas by name.

use crate::error::{Exit, Failure};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// An object from name to value that keeps its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(String, T)> for Ordered<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from name to value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// One line of JSON, without a line end.
pub(crate) fn to_line<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::new(Exit::Internal, 701, format!("the report cannot be written as JSON: {error}")))
}

/// Reads JSON whose `schema` must be the given one.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str, schema: &str) -> Result<T, Failure> {
    let broken = |error: serde_json::Error| Failure::new(Exit::Data, 703, format!("this is not a {schema} file: {error}"));
    let value: serde_json::Value = serde_json::from_str(text).map_err(broken)?;
    match value.get("schema").and_then(serde_json::Value::as_str) {
        Some(found) if found == schema => serde_json::from_value(value).map_err(broken),
        Some(found) => {
            let found: String = found.chars().filter(|c| !c.is_control()).take(60).collect();
            Err(Failure::new(Exit::Version, 702, format!("the file's schema is {found}, this program reads {schema}")))
        }
        None => Err(Failure::new(Exit::Data, 703, format!("this is not a {schema} file: it has no schema"))),
    }
}
