//! The preparation program: SQL over every source, labels against a slow plain reference, planted leaks, the documents' examples.
//!
//! Runs with the feature `sql` only: `cargo test --release --features sql --test prep`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod documents;
mod endings;
mod labels;
mod leaks;
mod reference;
mod sources;
mod stores;
mod world;
