//! For which devices should a shop bid, if an advertisement costs 1.00 a day and a purchase earns 40.00?
//!
//! Plays the scenario `rta` with both real programs on data made on the spot: see README.md beside this file.

use colift::demo::{Scenario, main as play};
use std::process::ExitCode;

fn main() -> ExitCode {
    play(Scenario::Rta)
}
