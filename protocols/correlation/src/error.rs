//! What can go wrong while correlated randomness is made.

use colift_channel::{ChannelError, Class};
use colift_primitives::PrimitivesError;
use thiserror::Error;

/// An error of this crate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorrelationError {
    /// Config: two inputs of one call differ in length.
    #[error("the two inputs have {left} and {right} entries")]
    LengthsDiffer {
        /// Entries of the one.
        left: usize,
        /// Entries of the other.
        right: usize,
    },
    /// Config: more correlations than one call makes.
    #[error("{length} correlations are not supported, at most {most} are")]
    TooLong {
        /// How many were asked for.
        length: usize,
        /// The most.
        most: usize,
    },
    /// Config: a ring width this crate does not serve.
    #[error("a ring of 2^{bits} is not supported, at most 2^{most} is")]
    Width {
        /// The width asked for.
        bits: u32,
        /// The largest.
        most: u32,
    },
    /// Config: the operating system gives no randomness.
    #[error(transparent)]
    Primitives(#[from] PrimitivesError),
    /// Peer: a group element that is not canonical, or the identity.
    #[error("the peer sent an invalid group element in '{message}'")]
    InvalidPoint {
        /// The message.
        message: &'static str,
    },
    /// Peer: bits set where the protocol leaves none.
    #[error("the peer sent '{message}' with unused bits set")]
    UnusedBits {
        /// The message.
        message: &'static str,
    },
    /// Abort: the peer's columns do not hold one and the same vector of bits.
    #[error("the check of the OT extension's columns failed")]
    ColumnCheck,
    /// Abort: the peer's trees do not fit together.
    #[error("the check of the VOLE's trees failed")]
    TreeCheck,
    /// Abort: the peer opened another coin than it had committed to.
    #[error("the joint coin's opening does not fit its commitment")]
    CoinOpening,
    /// The link failed, or the peer broke its rules.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

impl CorrelationError {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::LengthsDiffer { .. } | Self::TooLong { .. } | Self::Width { .. } => Class::Config,
            Self::Primitives(error) => error.class(),
            Self::InvalidPoint { .. } | Self::UnusedBits { .. } => Class::Peer,
            Self::ColumnCheck | Self::TreeCheck | Self::CoinOpening => Class::Abort,
            Self::Channel(error) => error.class(),
        }
    }
}
