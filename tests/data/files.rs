//! Files of tests in a folder of their own.

use colift::data::{TableSpec, Values};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files of one case.
pub struct Folder {
    place: TempDir,
}

impl Folder {
    pub fn with(files: &[(&str, Vec<u8>)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(place.path().join(name), bytes).unwrap();
        }
        Self { place }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The folder's own name taken out of a text.
    pub fn hidden(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.place.path().display()), "")
    }
}

/// A good partner's file of 40 rows: id, a number, a text; `change` may spoil its lines (0 is the header).
pub fn good(change: impl Fn(usize, String) -> String) -> Vec<u8> {
    let towns = ["Ulm", "Bonn", "Jena", "Kiel"];
    let mut text = change(0, "id,age,town\n".into());
    for row in 1..=40 {
        text.push_str(&change(row, format!("user{row},{},{}\n", 20 + row * 7 % 30, towns[row % 4])));
    }
    text.into_bytes()
}

/// As [`good`] with one column's cell replaced in the rows that `rows` chooses.
pub fn cell(column: usize, rows: impl Fn(usize) -> bool, value: impl Fn(usize) -> String) -> Vec<u8> {
    good(|row, line| {
        let mut cells: Vec<String> = line.trim_end().split(',').map(str::to_owned).collect();
        if row > 0 && rows(row) {
            cells[column] = value(row);
        }
        cells.join(",") + "\n"
    })
}

/// A good owner's file of 40 rows: id, split, label, age.
pub fn owners(change: impl Fn(usize, String) -> String) -> Vec<u8> {
    let mut text = change(0, "id,split,label,age\n".into());
    for row in 1..=40 {
        let split = if row % 4 == 0 { "test" } else { "train" };
        text.push_str(&change(row, format!("user{row},{split},{},{}\n", u8::from(row % 3 == 0), 20 + row * 7 % 30)));
    }
    text.into_bytes()
}

pub fn spec(path: &Path) -> TableSpec {
    TableSpec::new(path, "id")
}

/// The numbers of a column; panics for text.
pub fn numbers(values: &Values) -> Vec<f64> {
    values.numbers().expect("a column of numbers").to_vec()
}

/// The texts of a column row by row; None where missing.
pub fn texts(values: &Values) -> Vec<Option<String>> {
    match values {
        Values::Text { codes, levels } => codes.iter().map(|code| levels.get(*code as usize).cloned()).collect(),
        Values::Number(_) => panic!("a column of text"),
    }
}
