//! `colift`: two companies train and use a joint lifetime-value model on the users they share, and neither shows its data.

pub mod contract;
pub mod data;
pub mod error;
pub mod evaluation;
pub mod report;
pub mod session;
pub mod training;
