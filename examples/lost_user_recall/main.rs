//! An app may send a message to one lost user in five (lost: no login for 7 days). Who comes back within a week of it?
//!
//! Plays the scenario `lost_user_recall` with both real programs on data made on the spot: see README.md beside this file.

use colift::demo::{Scenario, main as play};
use std::process::ExitCode;

fn main() -> ExitCode {
    play(Scenario::LostUserRecall)
}
