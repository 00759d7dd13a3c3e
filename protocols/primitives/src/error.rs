//! What can go wrong below the protocols: only the operating system's generator.

use colift_channel::Class;
use thiserror::Error;

/// An error of the primitives.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrimitivesError {
    /// Config: the operating system gives no randomness.
    #[error("the operating system's random generator failed")]
    NoEntropy,
}

impl PrimitivesError {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NoEntropy => Class::Config,
        }
    }
}
