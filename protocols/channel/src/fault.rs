//! A wrapper that commits one fault at a chosen message: for tests that every fault ends in a named error.
//!
//! The fault is made on the sending side, so that the honest end's checks are what is tested.
//!
//! # Example
//! ```
//! use colift_channel::{Channel, ChannelError, Kind, memory, fault::{Fault, Faulty}};
//! const HELLO: Kind = Kind { code: 1, name: "hello" };
//! let (a, mut b) = memory::pair();
//! let mut a = Faulty::new(a, Fault::Short, 0, 7);
//! a.send(HELLO, b"hi").unwrap();
//! assert!(matches!(b.receive(HELLO, 2), Err(ChannelError::WrongLength { expected: 2, got: 1, .. })));
//! ```

use crate::{Channel, ChannelError, Counters, Kind, MAX_FRAME};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The link is dropped instead of the message being sent.
    Cut,
    /// The payload is replaced by pseudo-random bytes of the same length.
    Garbage,
    /// The payload is one byte longer.
    Oversized,
    /// The message carries another kind's number.
    WrongKind,
    /// The payload is one byte shorter; an empty payload gets a wrong kind instead.
    Short,
    /// The message is sent twice.
    Repeated,
    /// This and every later message is swallowed.
    Silence,
    /// One bit of the payload is flipped; an empty payload gets a wrong kind instead.
    BitFlip,
}

impl Fault {
    /// Every fault, for test matrices.
    pub const ALL: [Fault; 8] =
        [Fault::Cut, Fault::Garbage, Fault::Oversized, Fault::WrongKind, Fault::Short, Fault::Repeated, Fault::Silence, Fault::BitFlip];
}

/// A channel that commits one fault when it sends its message number `at` (counted from 0).
#[derive(Debug)]
pub struct Faulty<C> {
    inner: Option<C>,
    fault: Fault,
    at: u64,
    seed: u64,
    sent: u64,
    last: Counters,
}

impl<C: Channel> Faulty<C> {
    /// Wraps a channel; `seed` chooses the garbage and the flipped bit.
    pub fn new(inner: C, fault: Fault, at: u64, seed: u64) -> Self {
        let last = inner.counters();
        Self { inner: Some(inner), fault, at, seed, sent: 0, last }
    }

    /// Whether the fault has been committed.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.sent > self.at
    }

    /// Next number of a small public generator (SplitMix64): for test noise only.
    fn noise(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn tampered(&mut self, kind: Kind, payload: &[u8]) -> (Kind, Vec<u8>) {
        let mut kind = kind;
        let mut payload = payload.to_vec();
        let fault = match self.fault {
            Fault::Short | Fault::BitFlip if payload.is_empty() => Fault::WrongKind,
            Fault::Oversized if payload.len() >= MAX_FRAME => Fault::WrongKind,
            other => other,
        };
        match fault {
            Fault::Garbage => payload.iter_mut().for_each(|byte| *byte = self.noise() as u8),
            Fault::Oversized => payload.push(self.noise() as u8),
            Fault::WrongKind => kind.code ^= 0x8000,
            Fault::Short => payload.truncate(payload.len().saturating_sub(1)),
            Fault::BitFlip => {
                let bit = self.noise() % (8 * payload.len() as u64);
                if let Some(byte) = payload.get_mut((bit / 8) as usize) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Fault::Cut | Fault::Repeated | Fault::Silence => {}
        }
        (kind, payload)
    }
}

impl<C: Channel> Channel for Faulty<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        let number = self.sent;
        self.sent += 1;
        if number == self.at && self.fault == Fault::Cut {
            self.last = self.counters();
            self.inner = None;
        }
        let Some(inner) = self.inner.as_mut() else { return Err(ChannelError::Closed { waiting_for: kind.name }) };
        if number < self.at || (number > self.at && self.fault != Fault::Silence) {
            return inner.send(kind, payload);
        }
        match self.fault {
            Fault::Silence => Ok(()),
            Fault::Repeated => {
                inner.send(kind, payload)?;
                inner.send(kind, payload)
            }
            _ => {
                let (kind, payload) = self.tampered(kind, payload);
                match self.inner.as_mut() {
                    Some(inner) => inner.send(kind, &payload),
                    None => Err(ChannelError::Closed { waiting_for: kind.name }),
                }
            }
        }
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        match self.inner.as_mut() {
            Some(inner) => inner.receive_at_most(kind, cap),
            None => Err(ChannelError::Closed { waiting_for: kind.name }),
        }
    }

    fn counters(&self) -> Counters {
        self.inner.as_ref().map_or(self.last, Channel::counters)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::memory::pair_with_idle;
    use std::time::Duration;

    const FIRST: Kind = Kind { code: 1, name: "first" };
    const SECOND: Kind = Kind { code: 2, name: "second" };

    /// Sends "abcd" and "efgh" with the fault at the second message; returns what the honest end saw of it and after it.
    fn seen(fault: Fault) -> (Result<Vec<u8>, ChannelError>, bool) {
        let (a, mut b) = pair_with_idle(Duration::from_millis(50));
        let mut a = Faulty::new(a, fault, 1, 3);
        a.send(FIRST, b"abcd").unwrap();
        assert!(!a.fired());
        assert_eq!(a.send(SECOND, b"efgh").is_err(), fault == Fault::Cut);
        assert!(a.fired());
        assert_eq!(b.receive(FIRST, 4).unwrap(), b"abcd");
        let second = b.receive(SECOND, 4);
        let again = b.receive(SECOND, 4).is_ok();
        (second, again)
    }

    #[test]
    fn each_fault_is_seen_as_what_it_is() {
        for fault in Fault::ALL {
            let (second, again) = seen(fault);
            assert_eq!(again, fault == Fault::Repeated, "{fault:?}");
            match fault {
                Fault::Cut => assert!(matches!(second, Err(ChannelError::Closed { .. }))),
                Fault::Garbage => assert!(second.unwrap() != b"efgh"),
                Fault::Oversized => assert!(matches!(second, Err(ChannelError::Oversized { claimed: 5, cap: 4, .. }))),
                Fault::WrongKind => assert!(matches!(second, Err(ChannelError::WrongKind { got: 0x8002, .. }))),
                Fault::Short => assert!(matches!(second, Err(ChannelError::WrongLength { got: 3, .. }))),
                Fault::Repeated => assert_eq!(second.unwrap(), b"efgh"),
                Fault::Silence => assert!(matches!(second, Err(ChannelError::Timeout { .. }))),
                Fault::BitFlip => {
                    let flipped: u32 = second.unwrap().iter().zip(b"efgh").map(|(x, y)| (x ^ y).count_ones()).sum();
                    assert_eq!(flipped, 1);
                }
            }
        }
    }
}
