//! A wrapper that notes direction, kind and length of every message: for tests of message order and sizes.
//!
//! # Example
//! ```
//! use colift_channel::{Channel, Kind, memory, record::{Direction, Recorder}};
//! const HELLO: Kind = Kind { code: 1, name: "hello" };
//! let (a, mut b) = memory::pair();
//! let mut a = Recorder::new(a);
//! a.send(HELLO, b"hi").unwrap();
//! b.receive(HELLO, 2).unwrap();
//! assert_eq!((a.log()[0].direction, a.log()[0].kind, a.log()[0].length), (Direction::Sent, HELLO, 2));
//! ```

use crate::{Channel, ChannelError, Counters, Kind};

/// Which way a message went, seen from the recorded end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From this end to the peer.
    Sent,
    /// From the peer to this end.
    Received,
}

/// One message that crossed the recorded end. Never holds a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which way it went.
    pub direction: Direction,
    /// What it was.
    pub kind: Kind,
    /// Payload length in bytes.
    pub length: usize,
}

/// A channel that keeps a log of its messages.
#[derive(Debug)]
pub struct Recorder<C> {
    inner: C,
    log: Vec<Entry>,
}

impl<C: Channel> Recorder<C> {
    /// Starts recording.
    pub fn new(inner: C) -> Self {
        Self { inner, log: Vec::new() }
    }

    /// Every message so far, in the order of this end.
    #[must_use]
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// The channel and the log.
    #[must_use]
    pub fn into_parts(self) -> (C, Vec<Entry>) {
        (self.inner, self.log)
    }
}

impl<C: Channel> Channel for Recorder<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        self.inner.send(kind, payload)?;
        self.log.push(Entry { direction: Direction::Sent, kind, length: payload.len() });
        Ok(())
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        let payload = self.inner.receive_at_most(kind, cap)?;
        self.log.push(Entry { direction: Direction::Received, kind, length: payload.len() });
        Ok(payload)
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}
