//! The preparation program: SQL and labels from event logs to the Parquet files that the party programs read.

use colift::cli::prep;
use std::process::ExitCode;

fn main() -> ExitCode {
    prep::main()
}
