//! Preparation: SQL over files and object stores, and labels with features from event logs, on Apache DataFusion; Parquet out.
//!
//! A program of its own, `colift-prep`, behind the feature `sql`: the party programs know nothing of this room. It runs on one company's
//! machine, sends nothing to a peer and hands over a file.
//!
//! ```text
//! CSV, Parquet, JSON lines, k=v/ folders, -, s3://, https://
//!        │ sources
//!        ▼
//!      engine (memory cap, spill, threads, Ctrl-C) ◄── query: the person's, or made by label from definitions and features
//!        │ rows
//!        ▼
//!      write (hidden name) ──► leak_check ──► renamed to --out
//! ```
//!
//! What each label means, word by word: docs/PREP.md.

pub mod bench;
pub mod definitions;
pub mod engine;
mod explain;
pub mod features;
pub mod information;
pub mod label;
pub mod leak_check;
pub mod log;
pub mod made_log;
pub mod moment;
mod outcome;
pub mod query;
mod quote;
pub mod sources;
pub mod sql;
pub mod write;
