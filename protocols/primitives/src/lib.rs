//! Pseudo-random generator, hashes, fixed-key AES, GF(2^128), bit matrices, oblivious key-value store and operating-system randomness shared by every protocol.
//!
//! Secret randomness enters the workspace in one place, [`rng`]. Nothing here talks to a peer.

pub mod aes;
pub mod bits;
pub mod buffer;
mod error;
pub mod gf128;
pub mod hash;
pub mod okvs;
pub mod rng;
pub mod vectors;

pub use error::PrimitivesError;
