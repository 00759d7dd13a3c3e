//! Two new channels, an influencer and rewarded installs, have brought their first users. What is a user of each channel worth within 90 days, and does that pay for the install?
//!
//! Plays the scenario `channel_quality` with both real programs on data made on the spot: see README.md beside this file.

use colift::demo::{Scenario, main as play};
use std::process::ExitCode;

fn main() -> ExitCode {
    play(Scenario::ChannelQuality)
}
