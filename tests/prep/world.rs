//! A folder to work in, the real program in it, and the files it made as a party program reads them.

use colift::data::{Side, TableSpec, Values, read_table};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_colift-prep");

/// A working folder.
pub struct World(TempDir);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A cell as the party programs have it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Number(f64),
    Text(String),
    Missing,
}

/// Rows by id, cells by column.
pub type Rows = BTreeMap<String, BTreeMap<String, Cell>>;

impl World {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, its folders included.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    /// Runs and expects success.
    pub fn works(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        ended
    }

    /// Runs and expects this exit code and message number; no file may be left.
    pub fn refuses(&self, code: i32, number: &str, arguments: &[&str]) -> Ended {
        let before = self.names();
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(&format!("error[E{number}]")), "{arguments:?}: {}", ended.err);
        assert_eq!(self.names(), before, "{arguments:?} left files");
        ended
    }

    /// Everything in the folder.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A file as the party programs read it.
    pub fn rows(&self, name: &str, id: &str) -> Rows {
        rows(&self.path(name), id)
    }
}

pub fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn rows(path: &Path, id: &str) -> Rows {
    let table = read_table(&TableSpec::new(path, id), Side::Partner).unwrap();
    let mut rows = Rows::new();
    for (row, id) in table.ids.iter().enumerate() {
        let cells = table.columns.iter().map(|column| {
            let cell = match &column.values {
                Values::Number(values) if values[row].is_nan() => Cell::Missing,
                Values::Number(values) => Cell::Number(values[row]),
                Values::Text { codes, levels } => levels.get(codes[row] as usize).map_or(Cell::Missing, |level| Cell::Text(level.clone())),
            };
            (column.name.clone(), cell)
        });
        assert!(rows.insert(id.clone(), cells.collect()).is_none(), "an id twice");
    }
    rows
}
