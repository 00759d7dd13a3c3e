//! The command `sql`: one query over the tables that the person names, written as Parquet.

use super::engine::{Engine, Limits};
use super::explain::failure_of;
use super::sources::{Sources, TableSource};
use super::write::{OutFile, Written};
use crate::error::Failure;
use std::path::Path;

/// What `sql` did.
#[derive(Clone, Debug)]
pub struct SqlDone {
    /// Rows, columns and types.
    pub written: Written,
    /// What a person should know about how the tables are read.
    pub notes: Vec<String>,
}

/// Runs a query and writes its rows to `out`. Columns of CSV that `text` names are read as text.
///
/// # Errors
/// Exit 2: the query or the target; 13: the data; 17: over the memory cap; 20: interrupted. No file is left then.
pub fn run(sql: &str, tables: &[TableSource], text: &[String], out: &Path, force: bool, limits: &Limits) -> Result<SqlDone, Failure> {
    let engine = Engine::new(limits)?;
    engine.wait(async {
        let mut file = OutFile::create(out, force)?;
        let mut sources = Sources::default();
        for table in tables {
            sources.open(&engine, table, text).await?;
        }
        let rows = engine.plan(sql).await?.execute_stream().await.map_err(|error| failure_of(error, "the query"))?;
        let written = file.write(rows).await?;
        file.finish()?;
        Ok(SqlDone { written, notes: sources.notes })
    })
}
