//! The partner's program.

use colift::cli;
use colift::data::Side;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(Side::Partner)
}
