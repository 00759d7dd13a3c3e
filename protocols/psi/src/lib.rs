//! Private set intersection: each party learns where its own matched rows lie, in one order common to both. Never ids.
//!
//! One interface, [`match_ids`]; the protocol behind it is [`ecdh`]. [`count_common`] stops at the number of common ids.
//! A first sight of what crosses the link and what leaks is in the header of [`ecdh`].

pub mod ecdh;
mod error;
mod params;

pub use ecdh::{Counted, Matched, count_common, match_ids};
pub use error::PsiError;
pub use params::MatchParams;

/// Told how many points are done, of how many: for progress bars.
pub type Progress<'a> = &'a dyn Fn(u64, u64);
