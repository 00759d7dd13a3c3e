//! Errors of the algebra crate.

use colift_channel::{ChannelError, Class};
use colift_correlation::CorrelationError;
use colift_rlwe::RlweError;
use thiserror::Error;

/// What can go wrong in the algebra crate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlgebraError {
    /// Config: parameters that this crate cannot serve.
    #[error("{0}")]
    Parameters(String),
    /// Encryption.
    #[error(transparent)]
    Rlwe(#[from] RlweError),
    /// Correlations.
    #[error(transparent)]
    Correlation(#[from] CorrelationError),
    /// The link.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

impl AlgebraError {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Parameters(_) => Class::Config,
            Self::Rlwe(e) => e.class(),
            Self::Correlation(e) => e.class(),
            Self::Channel(e) => e.class(),
        }
    }
}
