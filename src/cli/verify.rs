//! `verify`: the table of published vectors, for researchers.

use super::flags::VerifyFlags;
use super::say;
use crate::data::wording::counted;
use crate::error::{Exit, Failure};
use crate::verify::{SetResult, all};
use std::fmt::Write;

/// Checks every vector and prints the table.
///
/// # Errors
/// Exit 30: a vector failed. Exit 2: a folder's file cannot be read.
pub fn verify(flags: &VerifyFlags) -> Result<(), Failure> {
    let results = all(flags.vectors.as_deref())?;
    let (cases, failed) = results.iter().fold((0, 0), |(cases, failed), set| (cases + set.cases, failed + set.failed));
    if flags.json {
        say(&serde_json::json!({ "schema": "colift.verify/1", "cases": cases, "failed": failed, "sets": results }).to_string());
    } else {
        say(&table(&results, cases, failed));
    }
    if failed == 0 {
        return Ok(());
    }
    let sets: Vec<&str> = results.iter().filter(|set| set.failed > 0).map(|set| set.set.as_str()).collect();
    let what = format!("{} failed in {}", counted(failed, "vector", "vectors"), sets.join(", "));
    Err(Failure::new(Exit::Verification, 981, what))
}

fn table(results: &[SetResult], cases: u64, failed: u64) -> String {
    let width = |of: fn(&SetResult) -> &str| results.iter().map(|set| of(set).chars().count()).max().unwrap_or_default();
    let (sets, whats) = (width(|set| &set.set), width(|set| set.what));
    let mut text = format!("{:sets$}  {:whats$}  {:>5}  {:8}  source\n", "vectors", "what", "cases", "result");
    for SetResult { set, what, cases, failed, source } in results {
        let result = if *failed == 0 { "ok".to_owned() } else { format!("{failed} FAILED") };
        let _ = writeln!(text, "{set:sets$}  {what:whats$}  {cases:>5}  {result:8}  {source}");
    }
    let _ = write!(text, "{cases} cases, {failed} failed");
    text
}
