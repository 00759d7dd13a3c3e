//! Reads, checks and encodes one file as an owner's run does before it trains, and prints what that took.
//!
//! `cargo run --release --example read_and_encode -- FILE ID LABEL SPLIT [MAX_MEMORY]`
//!
//! One line of JSON: rows (proved by the reader), features, seconds from start to end, processor seconds, peak memory.

use colift::data::{Side, TableSpec, read_table, wording};
use colift::error::{Exit, Failure};
use colift::recipe::{FitRows, Recipe};
use colift::resources::{Usage, peak_rss_mb};
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    match measure(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(line) => ExitCode::from(u8::from(writeln!(std::io::stdout(), "{line}").is_err())),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn measure(words: &[String]) -> Result<String, Failure> {
    let [file, id, label, split, rest @ ..] = words else {
        return Err(Failure::new(Exit::Usage, 991, "FILE ID LABEL SPLIT [MAX_MEMORY] are needed"));
    };
    let started = Instant::now();
    let spec = TableSpec {
        label: Some(label.clone()),
        split: Some(split.clone()),
        max_memory: rest.first().and_then(|size| wording::byte_size(size)),
        ..TableSpec::new(file, id)
    };
    let table = read_table(&spec, Side::Owner)?;
    let read = started.elapsed().as_secs_f64();
    let rows: Vec<usize> = (0..table.rows()).collect();
    let labels = table.label.as_deref();
    let recipe = Recipe::fit(&table.columns, FitRows { rows: &rows, labels, clip: 5.0, wishes: &spec.wishes })?;
    let features = recipe.apply_rows(&table.columns, &rows)?.features;
    Ok(serde_json::json!({
        "rows": table.counts.rows, "features": features.ncols(), "read_s": read, "wall_s": started.elapsed().as_secs_f64(),
        "cpu_s": Usage::now().cpu_s, "peak_rss_mb": peak_rss_mb(),
    })
    .to_string())
}
