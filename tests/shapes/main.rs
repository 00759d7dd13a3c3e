//! Hard data sets against the plaintext twin: the secure training is near its optimum or gives no model, never silently wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/party.rs"]
mod party;

mod families;
mod hard;
mod random;
mod set;
