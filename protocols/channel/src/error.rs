//! What can go wrong on a link, in four classes.

use thiserror::Error;

/// Who is at fault: decides the exit code (docs/ARCHITECTURE.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Our own input or settings.
    Config,
    /// The peer broke the protocol.
    Peer,
    /// The link failed, closed or stayed silent.
    Channel,
    /// A check failed; the message says nothing about secrets.
    Abort,
}

/// An error of the link. Variants of one class stand together; peer misbehaviours are exact and alphabetical.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// Config: our own identity key cannot be read or made.
    #[error("the identity key cannot be used: {reason}")]
    BadKey {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Config: our own message uses a number that the link keeps for itself.
    #[error("our message '{kind}' uses a number reserved for the link")]
    ReservedKind {
        /// Name of the message.
        kind: &'static str,
    },
    /// Config: our own message does not fit a frame.
    #[error("our message '{kind}' of {length} bytes is over the frame cap")]
    TooLarge {
        /// Name of the message.
        kind: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// Peer: bytes that the encryption layer or the frame reader refuses.
    #[error("the link carried bytes that cannot be read: {reason}")]
    BadRecord {
        /// What the reader said; holds no payload.
        reason: String,
    },
    /// Peer: another key than the pinned one.
    #[error("the peer showed key {got}, the pinned key is {expected}")]
    KeyMismatch {
        /// Fingerprint that is pinned.
        expected: String,
        /// Fingerprint the peer showed.
        got: String,
    },
    /// Peer: it refused our key.
    #[error("the peer refused our key")]
    KeyRefused,
    /// Peer: a frame longer than the receiver allows.
    #[error("the peer announced {claimed} bytes for '{kind}', at most {cap} are allowed")]
    Oversized {
        /// Name of the expected message.
        kind: &'static str,
        /// Length the peer announced.
        claimed: usize,
        /// Our cap.
        cap: usize,
    },
    /// Peer: another message than the protocol's next one.
    #[error("the peer sent message kind {got:#06x} where '{expected}' is next")]
    WrongKind {
        /// Name of the expected message.
        expected: &'static str,
        /// Code received.
        got: u16,
    },
    /// Peer: a payload of another length than the protocol fixes.
    #[error("the peer sent {got} bytes for '{kind}', the protocol fixes {expected}")]
    WrongLength {
        /// Name of the message.
        kind: &'static str,
        /// Length our state fixes.
        expected: usize,
        /// Length received.
        got: usize,
    },
    /// Peer: a frame out of order, repeated or from another run.
    #[error("the peer's frame for '{kind}' carries step {got}, step {expected} is next")]
    WrongStep {
        /// Name of the expected message.
        kind: &'static str,
        /// Step our state fixes.
        expected: u64,
        /// Step received.
        got: u64,
    },
    /// Channel: the peer closed the link.
    #[error("the peer closed the link while we were waiting for '{waiting_for}'")]
    Closed {
        /// What was awaited or being sent.
        waiting_for: &'static str,
    },
    /// Channel: the peer reported that it stopped, with its own exit code.
    #[error("the peer stopped with exit code {code} while we were waiting for '{waiting_for}'")]
    PeerStopped {
        /// The peer's exit code.
        code: u8,
        /// What was awaited or being sent.
        waiting_for: &'static str,
    },
    /// Channel: the HTTP proxy on the way refuses, and asking again would not help.
    #[error("the proxy {proxy} refused the way to the peer with status {status}")]
    ProxyRefused {
        /// `host:port` of the proxy.
        proxy: String,
        /// The status of its answer.
        status: u16,
        /// Whether a user and password were shown to it.
        with_user: bool,
    },
    /// Channel: a deadline passed.
    #[error("no answer within {seconds} s while waiting for '{waiting_for}'")]
    Timeout {
        /// What was awaited.
        waiting_for: &'static str,
        /// The deadline that passed.
        seconds: u64,
    },
    /// Channel: an operating-system error.
    #[error("the link failed at '{doing}': {reason}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's words.
        reason: String,
    },
    /// Channel: this process was asked to stop (Ctrl-C).
    #[error("interrupted while waiting for '{waiting_for}'")]
    Interrupted {
        /// What was awaited or being sent.
        waiting_for: &'static str,
    },
}

impl ChannelError {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::BadKey { .. } | Self::ReservedKind { .. } | Self::TooLarge { .. } => Class::Config,
            Self::BadRecord { .. }
            | Self::KeyMismatch { .. }
            | Self::KeyRefused
            | Self::Oversized { .. }
            | Self::WrongKind { .. }
            | Self::WrongLength { .. }
            | Self::WrongStep { .. } => Class::Peer,
            Self::Closed { .. }
            | Self::PeerStopped { .. }
            | Self::ProxyRefused { .. }
            | Self::Timeout { .. }
            | Self::Io { .. }
            | Self::Interrupted { .. } => Class::Channel,
        }
    }
}
