//! An app gives 40 % of its new users a coupon. Which ones will buy VIP within 30 days?
//!
//! Plays the scenario `vip_purchase` with both real programs on data made on the spot: see README.md beside this file.

use colift::demo::{Scenario, main as play};
use std::process::ExitCode;

fn main() -> ExitCode {
    play(Scenario::VipPurchase)
}
