//! One failure as a person meets it: exit code, short id, what, where, what to try. Never holds a user id or a secret.

use colift_channel::{ChannelError, Class};
use std::fmt;

/// Exit codes of both programs (docs/ARCHITECTURE.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// A fault of ours.
    Internal = 1,
    /// Wrong use: flags, job file, missing program.
    Usage = 2,
    /// The peer is unreachable, gone or silent past its deadline.
    PeerGone = 10,
    /// The peer's key is wrong, revoked or unpinned.
    PeerKey = 11,
    /// The shared parts of the job differ.
    Contract = 12,
    /// The data check failed.
    Data = 13,
    /// Fewer common users than the job's minimum.
    Overlap = 14,
    /// The end check failed.
    NotConverged = 15,
    /// Program, wire or contract versions do not meet.
    Version = 16,
    /// Over a memory, size or time cap.
    Cap = 17,
    /// A disclosure was refused by policy.
    Policy = 18,
    /// The peer broke the protocol.
    Protocol = 19,
    /// Interrupted (Ctrl-C).
    Interrupted = 20,
    /// A verification failed.
    Verification = 30,
}

impl Exit {
    /// All codes.
    const ALL: [Self; 14] = [
        Self::Internal,
        Self::Usage,
        Self::PeerGone,
        Self::PeerKey,
        Self::Contract,
        Self::Data,
        Self::Overlap,
        Self::NotConverged,
        Self::Version,
        Self::Cap,
        Self::Policy,
        Self::Protocol,
        Self::Interrupted,
        Self::Verification,
    ];

    /// The exit code of this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| *exit as u8 == code)
    }
}

/// Number of a peer whose data were refused: what it would bring to another attempt would be refused again.
pub const PEERS_DATA: u16 = 1003;

/// An error ready to be shown: `error[E0213]: …`, `where: …`, `try: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// Stable number of the message, such as 213.
    pub id: u16,
    /// What went wrong, with counts.
    pub what: String,
    /// Where: file, column, first row.
    pub place: Option<String>,
    /// What to change.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure without place and remedy.
    pub fn new(exit: Exit, id: u16, what: impl Into<String>) -> Self {
        Self { exit, id, what: what.into(), place: None, remedy: None }
    }

    /// Adds where it happened.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Adds what to try.
    #[must_use]
    pub fn hint(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A failure of a protocol crate, by its class.
    pub fn of_class(class: Class, what: impl Into<String>) -> Self {
        match class {
            Class::Config => Self::new(Exit::Internal, 101, what),
            Class::Peer => Self::new(Exit::Protocol, 1901, what),
            Class::Channel => Self::new(Exit::PeerGone, 1001, what),
            Class::Abort => Self::new(Exit::Protocol, 1902, what),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[E{:04}]: {}", self.id, self.what)?;
        if let Some(place) = &self.place {
            write!(f, "\nwhere: {place}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\ntry: {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        let what = error.to_string();
        match error {
            ChannelError::Interrupted { .. } => Self::new(Exit::Interrupted, 2001, what),
            ChannelError::PeerStopped { code, .. } => Self::peer_stopped(code, what),
            ChannelError::KeyMismatch { .. } => Self::new(Exit::PeerKey, 411, what)
                .hint("compare fingerprints with the other person by phone, then run `pair` on both sides"),
            ChannelError::KeyRefused => {
                let remedy =
                    "the other side has pinned another key than ours: compare fingerprints by phone, then run `pair` on both sides";
                Self::new(Exit::PeerKey, 412, what).hint(remedy)
            }
            ref other => Self::of_class(other.class(), what),
        }
    }
}

impl Failure {
    /// The peer stopped first. A verdict that both sides share keeps its exit code; any other stop is a peer that is gone.
    fn peer_stopped(code: u8, what: String) -> Self {
        let shared = [Exit::Contract, Exit::Overlap, Exit::NotConverged, Exit::Version].into_iter().find(|&exit| exit as u8 == code);
        match (code, shared) {
            (11, _) => Self::new(Exit::PeerKey, 462, what).hint("the other side refused our key and shows the reason"),
            (13, _) => Self::new(Exit::PeerGone, PEERS_DATA, what)
                .hint("the other side's own data failed a check of its program or of the contract; it shows the reason: ask there"),
            (18, _) => Self::new(Exit::PeerGone, 1002, what)
                .hint("a rule of the other side refuses this run: its ledger of runs, or the contract's list of what is opened; ask there"),
            (20, _) => Self::new(Exit::Interrupted, 2002, what).hint("the other side was stopped by hand; ask there, then run again"),
            (_, Some(exit)) => Self::new(exit, 461, what).hint("the other side shows the reason"),
            _ => Self::new(Exit::PeerGone, 1002, what).hint("the other side shows the reason"),
        }
    }
}
