//! Which peers a protocol is secure against.

/// The peer that a protocol with both forms withstands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// The peer follows the protocol and looks at what it gets.
    SemiHonest,
    /// The peer may do anything; a failed check ends the run.
    Malicious,
}

impl Security {
    /// Number for hash inputs.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::SemiHonest => 1,
            Self::Malicious => 2,
        }
    }
}
