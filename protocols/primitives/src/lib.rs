//! Pseudo-random generator, hashes, fixed-key AES, bit matrices and operating-system randomness shared by every protocol.
//!
//! Secret randomness enters the workspace in one place, [`rng`]. Nothing here talks to a peer.

pub mod aes;
pub mod bits;
mod error;
pub mod hash;
pub mod rng;

pub use error::PrimitivesError;
