//! The lock of `data check`: hashes and counts by which changed data are known again. Holds no id and no cell.
//!
//! `content_sha256` is SHA-256 over the files' own SHA-256 digests, as lines of hex in the files' order; `schema_sha256` over a line
//! for each column: its name as JSON text, a tab, its role, a tab, its type. The type of a column that is no feature is `-`.

use super::read::Read;
use super::roles::Role;
use super::source::Input;
use super::wording::{hex, shown};
use super::{TableSpec, Values};
use crate::error::{Exit, Failure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The lock's schema.
pub const LOCK_SCHEMA: &str = "colift.lock/1";
/// More bytes than a lock has.
const MAX_LOCK_BYTES: u64 = 64 << 20;

/// A lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    schema: String,
    program: String,
    /// Data rows.
    pub rows: u64,
    /// Hash over the files' contents.
    pub content_sha256: String,
    /// Hash over the columns' names, roles and types.
    pub schema_sha256: String,
    id: Vec<String>,
    id_kind: String,
    region: Option<String>,
    files: Vec<LockedFile>,
    columns: Vec<LockedColumn>,
    counts: LockedCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockedFile {
    name: String,
    format: String,
    rows: u64,
    bytes: u64,
    sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockedColumn {
    name: String,
    role: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockedCounts {
    missing_cells: u64,
    numbers_repaired: u64,
    ids_repaired: u64,
    ids_from_floats: u64,
}

impl Lock {
    /// The lock of data that were read.
    pub(super) fn new(spec: &TableSpec, read: &Read, hashes: &[String]) -> Self {
        let counts = read.table.counts;
        let files = read.table.files.iter().zip(hashes).map(|(file, sha256)| LockedFile {
            name: Path::new(&file.name).file_name().map_or_else(|| file.name.clone(), |name| name.to_string_lossy().into_owned()),
            format: file.format.name().to_owned(),
            rows: file.rows,
            bytes: file.bytes,
            sha256: sha256.clone(),
        });
        let columns = columns(read);
        Self {
            schema: LOCK_SCHEMA.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            rows: counts.rows,
            content_sha256: content(hashes),
            schema_sha256: schema(&columns),
            id: spec.id_columns().cloned().collect(),
            id_kind: spec.id_kind.name().to_owned(),
            region: spec.region.clone(),
            files: files.collect(),
            columns,
            counts: LockedCounts {
                missing_cells: counts.missing_cells,
                numbers_repaired: counts.numbers_repaired,
                ids_repaired: counts.ids_repaired,
                ids_from_floats: counts.ids_from_floats,
            },
        }
    }

    /// The lock as a file.
    ///
    /// # Errors
    /// Internal, when it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|error| Failure::new(Exit::Internal, 343, format!("the lock cannot be written: {error}")))
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// Exit code 2 when the file is no lock or one of another schema.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let wrong = |what: String| Failure::new(Exit::Usage, 344, what).at(name.clone()).hint("write it with `data check`");
        let size = std::fs::metadata(path).map_err(|error| wrong(format!("the lock cannot be read: {error}")))?.len();
        if size > MAX_LOCK_BYTES {
            return Err(wrong("the lock is too large to be one".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("the lock cannot be read: {error}")))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|_| wrong("the file is no lock: not JSON".to_owned()))?;
        match value.get("schema").and_then(|schema| schema.as_str()) {
            Some(LOCK_SCHEMA) => {}
            Some(other) => return Err(wrong(format!("the lock has schema {}, this version reads {LOCK_SCHEMA}", shown(other)))),
            None => return Err(wrong("the file is no lock: it has no schema".to_owned())),
        }
        serde_json::from_value(value).map_err(|_| wrong(format!("the lock is not written as {LOCK_SCHEMA} asks")))
    }

    /// Refuses files whose contents are not those of the lock.
    pub(super) fn check_content(&self, inputs: &[Input], path: &Path) -> Result<(), Failure> {
        let hashes: Vec<String> = inputs.iter().map(Input::sha256).collect::<Result<_, _>>()?;
        if content(&hashes) == self.content_sha256 {
            return Ok(());
        }
        let changed = inputs.iter().zip(&hashes).find(|(_, hash)| !self.files.iter().any(|file| file.sha256 == **hash));
        let what = match changed {
            Some((input, _)) => format!("the data are not those of the lock: {} has other contents", shown(&input.name)),
            None => "the data are not those of the lock: there are other files, or they come in another order".to_owned(),
        };
        Err(changed_data(&what, path))
    }

    /// Refuses columns that are not those of the lock; roles count where both have one.
    pub(super) fn check_columns(&self, read: &Read, path: &Path) -> Result<(), Failure> {
        let now = columns(read);
        let same = |a: &LockedColumn, b: &LockedColumn| a.name == b.name && (a.kind == b.kind || a.kind == "-" || b.kind == "-");
        if read.table.counts.rows != self.rows {
            return Err(changed_data("the data are not those of the lock: the number of rows differs", path));
        }
        match now.iter().zip(&self.columns).find(|(now, then)| !same(now, then)) {
            Some((now, _)) => {
                Err(changed_data(&format!("the data are not those of the lock: column {} is read otherwise", shown(&now.name)), path))
            }
            None if now.len() != self.columns.len() => Err(changed_data("the data are not those of the lock: the columns differ", path)),
            None => Ok(()),
        }
    }
}

fn changed_data(what: &str, path: &Path) -> Failure {
    let hint = "run `data check` on the new data, look at the page, and write a new lock";
    Failure::new(Exit::Data, 339, what).at(path.display().to_string()).hint(hint)
}

fn columns(read: &Read) -> Vec<LockedColumn> {
    let kind = |name: &str, role: Role| {
        let values = read.table.columns.iter().find(|column| column.name == name).map(|column| &column.values);
        match (role, values) {
            (Role::Feature, Some(Values::Number(_))) => "number",
            (Role::Feature, Some(Values::Text { .. })) => "text",
            _ => "-",
        }
    };
    let columns = read.header.iter().zip(&read.roles);
    columns
        .map(|(name, role)| LockedColumn { name: name.clone(), role: role.name().to_owned(), kind: kind(name, *role).to_owned() })
        .collect()
}

fn content(hashes: &[String]) -> String {
    let mut hash = Sha256::new();
    for line in hashes {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hex(&hash.finalize())
}

fn schema(columns: &[LockedColumn]) -> String {
    let mut hash = Sha256::new();
    for column in columns {
        let name = serde_json::Value::from(column.name.as_str());
        hash.update(format!("{name}\t{}\t{}\n", column.role, column.kind).as_bytes());
    }
    hex(&hash.finalize())
}
