//! What can go wrong below the protocols: the operating system's generator, and stores beyond their limits.

use colift_channel::Class;
use thiserror::Error;

/// An error of the primitives.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrimitivesError {
    /// Config: the operating system gives no randomness.
    #[error("the operating system's random generator failed")]
    NoEntropy,
    /// Config: no key-value store for these keys: two of them are equal, or every seed failed.
    #[error("the key-value store cannot be made for these keys")]
    StoreFailed,
    /// Config: more keys than a store takes.
    #[error("a key-value store of {items} keys is not supported, at most {most} are")]
    StoreTooLarge {
        /// How many keys were asked for.
        items: usize,
        /// The most.
        most: usize,
    },
}

impl PrimitivesError {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NoEntropy | Self::StoreFailed | Self::StoreTooLarge { .. } => Class::Config,
        }
    }
}
