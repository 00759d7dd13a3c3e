//! Errors of the ring-LWE crate.

use colift_channel::Class;
use thiserror::Error;

/// What can go wrong in the ring-LWE crate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RlweError {
    /// Config: the worst-case noise of an operation does not fit its modulus; refused before anything is sent.
    #[error("the worst-case noise of '{operation}' needs log2 q = {needed}, the parameters give {given}")]
    NoiseTooLarge {
        /// Name of the operation.
        operation: &'static str,
        /// Bits needed.
        needed: u32,
        /// Bits the largest chain gives.
        given: u32,
    },
    /// Config: a set of parameters that is malformed or beyond the security limit.
    #[error("parameters of the encryption are refused: {0}")]
    BadParameters(&'static str),
    /// Config: the operating system's generator failed.
    #[error("the operating system's random generator failed")]
    Randomness,
    /// Peer: a packed polynomial with a residue not below its prime, or of a wrong length.
    #[error("the peer sent a malformed polynomial")]
    MalformedPolynomial,
}

impl RlweError {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NoiseTooLarge { .. } | Self::BadParameters(_) | Self::Randomness => Class::Config,
            Self::MalformedPolynomial => Class::Peer,
        }
    }
}
