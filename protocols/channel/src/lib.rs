//! Frames with caps between two parties.
//!
//! Every protocol of the workspace is written against the blocking [`Channel`] trait: both roles read top to bottom.
//! A message has a [`Kind`] (what it is, for errors and for the wire) and a length that the *receiver* states from its own
//! state: nothing is allocated on the peer's word alone. Implementations: an in-memory pair ([`memory::pair`]) and TCP with
//! TLS 1.3 and pinned keys.
//!
//! # Example
//! ```
//! use colift_channel::{Channel, Kind, memory};
//! const HELLO: Kind = Kind { code: 1, name: "hello" };
//! let (mut a, mut b) = memory::pair();
//! a.send(HELLO, b"hi").unwrap();
//! assert_eq!(b.receive(HELLO, 2).unwrap(), b"hi");
//! assert_eq!((a.counters().bytes_sent, b.counters().rounds), (2 + colift_channel::HEADER_BYTES as u64, 1));
//! ```

mod counters;
mod error;
pub mod fault;
pub mod memory;
pub mod record;
pub mod shaper;
mod stop;
pub mod tls;

pub use counters::{Counters, Meter};
pub use error::{ChannelError, Class};
pub use stop::StopFlag;

/// Bytes of a frame's header on the wire: step number (8), kind (2), payload length (4).
pub const HEADER_BYTES: usize = 14;

/// Largest payload of one frame in bytes. Longer messages are cut by the protocol that sends them.
pub const MAX_FRAME: usize = 1 << 26;

/// What a message is: a number for the wire and a name for people.
///
/// Codes are unique in the workspace: 0x00xx channel, 0x01xx session, 0x02xx matching, 0x03xx correlation, 0x04xx algebra,
/// 0x05xx training and evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Number on the wire.
    pub code: u16,
    /// What a person reads while the program waits for it, such as "double-masked points".
    pub name: &'static str,
}

/// A blocking, ordered, authenticated link to the one peer. Sending never waits for the peer to receive.
pub trait Channel: Send {
    /// Sends one message of at most [`MAX_FRAME`] bytes.
    ///
    /// # Errors
    /// Channel class: the link is closed, silent or interrupted. Config class: the payload is over [`MAX_FRAME`].
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError>;

    /// Receives the next message, which must be of this kind and of at most `cap` bytes.
    ///
    /// # Errors
    /// Peer class: another kind, a longer payload, a wrong step number. Channel class: closed, deadline passed, interrupted.
    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError>;

    /// Receives the next message, which must be of this kind and have exactly `length` bytes.
    ///
    /// # Errors
    /// As [`Channel::receive_at_most`], and Peer class when the payload is shorter.
    fn receive(&mut self, kind: Kind, length: usize) -> Result<Vec<u8>, ChannelError> {
        let payload = self.receive_at_most(kind, length)?;
        if payload.len() == length {
            Ok(payload)
        } else {
            Err(ChannelError::WrongLength { kind: kind.name, expected: length, got: payload.len() })
        }
    }

    /// Bytes, messages and rounds so far.
    fn counters(&self) -> Counters;
}

impl<C: Channel + ?Sized> Channel for Box<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        (**self).send(kind, payload)
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        (**self).receive_at_most(kind, cap)
    }

    fn counters(&self) -> Counters {
        (**self).counters()
    }
}

impl<C: Channel + ?Sized> Channel for &mut C {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        (**self).send(kind, payload)
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        (**self).receive_at_most(kind, cap)
    }

    fn counters(&self) -> Counters {
        (**self).counters()
    }
}
