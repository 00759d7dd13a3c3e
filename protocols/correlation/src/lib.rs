//! Correlated randomness: joint coin, base OT, OT extension with ring payloads, products of private bits, comparison,
//! selection of the highest, VOLE.
//!
//! VOLE over GF(2^128) ([`vole`], [`bit_vole`]) has a form for a **malicious** peer, and the joint coin is fair to one up to
//! aborts. Everything else here is for a **semi-honest** peer.
//! State is consumed: seeds, tweaks and pads are used once and never written to disk. After an error an [`OtPair`] must be
//! dropped and the run ended: the two sides' streams no longer agree.
//!
//! Costs are declared as message lists: every operation has a `declare…` function that notes its messages on a
//! [`Meter`](colift_channel::Meter), so that bytes *and* rounds of a whole protocol add up exactly.

pub mod base_ot;
pub mod bit_vole;
pub mod coin;
mod columns;
pub mod compare;
mod error;
pub mod ot_extension;
pub mod pair;
mod security;
pub mod select;
pub mod sum;
pub mod vole;

pub use error::CorrelationError;
pub use ot_extension::{CotReceiver, CotSender, Form};
pub use pair::OtPair;
pub use security::Security;

/// Which of the two symmetric parts a party plays; the two must differ. The owner is `First` throughout the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Adds public constants to its share.
    First,
    /// The other one.
    Second,
}

impl Role {
    /// The peer's role.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Number for hash inputs.
    fn byte(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }
}
