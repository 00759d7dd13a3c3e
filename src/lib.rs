//! `colift`: two companies train and use a joint lifetime-value model on the users they share, and neither shows its data.

pub mod align;
pub mod bench;
pub mod cli;
pub mod contract;
pub mod data;
pub mod demo;
pub mod error;
pub mod evaluation;
pub mod model;
pub mod plan;
#[cfg(feature = "sql")]
pub mod prep;
pub mod progress;
pub mod recipe;
pub mod recovery;
pub mod rehearse;
pub mod report;
pub mod resources;
pub mod results;
pub mod run;
pub mod scoring;
pub mod session;
pub mod training;
pub mod verify;
