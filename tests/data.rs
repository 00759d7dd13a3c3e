//! Files as they come: dirty input of every kind, what is written is what is read, and nothing of a file reaches any output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "data/dirty.rs"]
mod dirty;
#[path = "data/files.rs"]
mod files;
#[path = "data/outputs.rs"]
mod outputs;
#[path = "data/parquet.rs"]
mod parquet;
#[path = "data/round_trip.rs"]
mod round_trip;
