//! A channel that hashes every message both ways: what a receipt says about the wire.

use colift_channel::{Channel, ChannelError, Counters, Kind};
use ring::digest::{Context, SHA256};
use std::collections::BTreeMap;

/// A channel whose messages are hashed in their order, one hash a direction; both sides get the same two.
pub struct Recorded<C> {
    channel: C,
    sent: Direction,
    received: Direction,
}

/// One direction so far.
struct Direction {
    hash: Context,
    messages: u64,
    bytes: u64,
    kinds: BTreeMap<u16, u64>,
}

/// One direction in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Messages.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// SHA-256 over kind, length and payload of each.
    pub sha256: [u8; 32],
    /// Messages of each kind.
    pub kinds: BTreeMap<u16, u64>,
}

/// Both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// What this side sent.
    pub sent: Told,
    /// What it received.
    pub received: Told,
}

impl Direction {
    fn new() -> Self {
        Self { hash: Context::new(&SHA256), messages: 0, bytes: 0, kinds: BTreeMap::new() }
    }

    fn take(&mut self, kind: Kind, payload: &[u8]) {
        self.hash.update(&kind.code.to_le_bytes());
        self.hash.update(&(payload.len() as u64).to_le_bytes());
        self.hash.update(payload);
        self.messages += 1;
        self.bytes += payload.len() as u64;
        *self.kinds.entry(kind.code).or_default() += 1;
    }

    fn end(&self) -> Told {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.hash.clone().finish().as_ref());
        Told { messages: self.messages, bytes: self.bytes, sha256, kinds: self.kinds.clone() }
    }
}

impl<C: Channel> Recorded<C> {
    /// Begins with the next message.
    pub fn new(channel: C) -> Self {
        Self { channel, sent: Direction::new(), received: Direction::new() }
    }

    /// Both directions up to here.
    pub fn transcript(&self) -> Transcript {
        Transcript { sent: self.sent.end(), received: self.received.end() }
    }
}

impl<C: Channel> Channel for Recorded<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        self.channel.send(kind, payload)?;
        self.sent.take(kind, payload);
        Ok(())
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        let payload = self.channel.receive_at_most(kind, cap)?;
        self.received.take(kind, &payload);
        Ok(payload)
    }

    fn counters(&self) -> Counters {
        self.channel.counters()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_testkit::run_pair;

    const ONE: Kind = Kind { code: 0x0901, name: "one" };
    const TWO: Kind = Kind { code: 0x0902, name: "two" };

    #[test]
    fn both_sides_hash_the_same_messages_and_any_difference_shows() {
        let play = |first: &'static [u8], second: &'static [u8], kind: Kind| {
            let (a, b, ..) = run_pair(
                move |c| {
                    let mut c = Recorded::new(&mut *c);
                    c.send(ONE, first).unwrap();
                    c.send(kind, second).unwrap();
                    c.receive_at_most(TWO, 10).unwrap();
                    c.transcript()
                },
                move |c| {
                    let mut c = Recorded::new(&mut *c);
                    c.receive_at_most(ONE, 10).unwrap();
                    c.send(TWO, b"z").unwrap();
                    c.receive_at_most(kind, 10).unwrap();
                    c.transcript()
                },
            );
            assert_eq!((&a.sent, &a.received), (&b.received, &b.sent));
            a
        };
        let base = play(b"ab", b"c", ONE);
        assert_eq!((base.sent.messages, base.sent.bytes, base.received.messages), (2, 3, 1));
        assert_eq!(base.sent.kinds, BTreeMap::from([(ONE.code, 2)]));
        for (first, second, kind) in [(&b"a"[..], &b"bc"[..], ONE), (b"ab", b"d", ONE), (b"ab", b"c", TWO), (b"abc", b"", ONE)] {
            let other = play(first, second, kind);
            assert_ne!(other.sent.sha256, base.sent.sha256, "{first:?} {second:?}");
            assert_eq!(other.received, base.received);
        }
    }
}
