//! What can go wrong while two sets are matched. No variant holds an id.

use colift_channel::{ChannelError, Class};
use colift_correlation::CorrelationError;
use colift_primitives::PrimitivesError;
use thiserror::Error;

/// An error of the matching. Variants of one class stand together.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PsiError {
    /// Config: our ids are not distinct.
    #[error("{count} of our ids are repeated")]
    OwnDuplicates {
        /// How many entries repeat an earlier one.
        count: u64,
    },
    /// Config: we bring more ids than agreed.
    #[error("we bring {count} ids, at most {max} are agreed")]
    OwnTooMany {
        /// How many we have.
        count: u64,
        /// The cap.
        max: u64,
    },
    /// Config: the private file that holds buckets cannot be written or read.
    #[error("the temporary file of the matching: {reason}")]
    Spill {
        /// What the system says.
        reason: String,
    },
    /// Config: the operating system gives no randomness.
    #[error(transparent)]
    Primitives(#[from] PrimitivesError),
    /// Peer: it counted another overlap than we did.
    #[error("the peer counts another overlap than we do")]
    CountsDiffer,
    /// Peer: a group element that is not canonical, or the identity.
    #[error("the peer sent an invalid group element")]
    InvalidPoint,
    /// Peer: its list of matches has another number of entries than it said, or surplus bits.
    #[error("the peer sent an invalid list of matches")]
    InvalidMatches,
    /// Peer: a row position out of range or repeated.
    #[error("the peer sent an invalid row position")]
    InvalidPosition,
    /// Peer: other settings, another session or our own role.
    #[error("the peer runs the matching with other parameters")]
    ParametersDiffer,
    /// Peer: more ids than agreed.
    #[error("the peer brings {count} ids, at most {max} are agreed")]
    PeerTooMany {
        /// How many it announced.
        count: u64,
        /// The cap.
        max: u64,
    },
    /// Peer: the same id twice.
    #[error("the peer sent repeated ids")]
    RepeatedPoints,
    /// Peer: tags not in ascending order.
    #[error("the peer's tags are not in strictly ascending order")]
    UnsortedTags,
    /// Abort: fewer common ids than agreed; nothing but the number was revealed.
    #[error("fewer than {minimum} ids are common to both")]
    BelowMinimum {
        /// The agreed minimum.
        minimum: u64,
        /// The number itself: to be shown only where it is a listed disclosure.
        overlap: u64,
    },
    /// Abort: more ids fell into one bucket than it holds (probability below 2^-40 a run).
    #[error("a bucket of ids overflowed; run again")]
    BucketOverflow,
    /// Abort: the peer claims a match that it cannot prove.
    #[error("the peer's proof of its matches is wrong")]
    FalseMatches,
    /// Abort: the peer opened another shift than it had committed to.
    #[error("the peer's opening does not fit its commitment")]
    ShiftOpening,
    /// Abort: two different ids share a tag (probability below 2^-40 a run).
    #[error("two tags collide; run again")]
    TagCollision,
    /// Correlated randomness could not be made: a check failed, or the peer broke its rules.
    #[error(transparent)]
    Correlation(CorrelationError),
    /// The link failed, or the peer broke its rules.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

impl From<CorrelationError> for PsiError {
    fn from(error: CorrelationError) -> Self {
        match error {
            CorrelationError::Channel(error) => Self::Channel(error),
            CorrelationError::Primitives(error) => Self::Primitives(error),
            error => Self::Correlation(error),
        }
    }
}

impl PsiError {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::OwnDuplicates { .. } | Self::OwnTooMany { .. } | Self::Spill { .. } => Class::Config,
            Self::Primitives(error) => error.class(),
            Self::CountsDiffer
            | Self::InvalidMatches
            | Self::InvalidPoint
            | Self::InvalidPosition
            | Self::ParametersDiffer
            | Self::PeerTooMany { .. }
            | Self::RepeatedPoints
            | Self::UnsortedTags => Class::Peer,
            Self::BelowMinimum { .. } | Self::BucketOverflow | Self::FalseMatches | Self::ShiftOpening | Self::TagCollision => Class::Abort,
            Self::Correlation(error) => error.class(),
            Self::Channel(error) => error.class(),
        }
    }
}
