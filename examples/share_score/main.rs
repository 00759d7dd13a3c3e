//! Which users of a learning app will invite somebody within a week, if they are asked to?
//!
//! Plays the scenario `share_score` with both real programs on data made on the spot: see README.md beside this file.

use colift::demo::{Scenario, main as play};
use std::process::ExitCode;

fn main() -> ExitCode {
    play(Scenario::ShareScore)
}
