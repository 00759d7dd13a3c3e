//! What will each new user of a game spend within 7, 30 and 365 days?
//!
//! Plays the scenario `lifetime_value` with both real programs on data made on the spot: see README.md beside this file.

use colift::demo::{Scenario, main as play};
use std::process::ExitCode;

fn main() -> ExitCode {
    play(Scenario::LifetimeValue)
}
