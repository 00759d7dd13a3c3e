//! Two channels: one that writes down what a party sends, and the recorded peer, which says its part again and listens exactly.

use crate::conversation::Frame;
use colift_channel::{Channel, ChannelError, Counters, Kind, Meter};
use std::ops::Range;

/// The kind of the greeting: the one message in which two versions of the program may differ.
pub const GREETING: u16 = 0x0101;
/// Where a greeting has its lowest and its highest wire version, after the magic; the role is behind them.
const LOWEST: Range<usize> = 8..10;
const HIGHEST: Range<usize> = 10..12;
const ROLE: usize = 12;

/// A channel that keeps what its party sends, and has it tell the peer that it speaks no higher wire version than this. For tests only:
/// it holds what must not be kept.
pub struct Taped<C> {
    inner: C,
    wire: u16,
    received: usize,
    pub sent: Vec<Frame>,
}

impl<C: Channel> Taped<C> {
    pub fn new(inner: C, wire: u16) -> Self {
        Self { inner, wire, received: 0, sent: Vec::new() }
    }
}

impl<C: Channel> Channel for Taped<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        let mut payload = payload.to_vec();
        if kind.code == GREETING {
            payload[HIGHEST].copy_from_slice(&self.wire.to_le_bytes());
        }
        self.sent.push(Frame::new(kind.code, self.received, &payload));
        self.inner.send(kind, &payload)
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        let payload = self.inner.receive_at_most(kind, cap)?;
        self.received += 1;
        Ok(payload)
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

/// The other end of a recorded conversation: gives the recorded peer's messages, and takes none but those that the live party sent
/// when it was recorded. Whatever differs ends the link, and is kept for the test.
pub struct RecordedPeer<'a> {
    wire: u16,
    peers: &'a [Frame],
    own: &'a [Frame],
    given: usize,
    taken: usize,
    meter: Meter,
    /// What differed first.
    pub fault: Option<String>,
}

impl<'a> RecordedPeer<'a> {
    /// `own` is what the live party must send.
    pub fn new(wire: u16, peers: &'a [Frame], own: &'a [Frame]) -> Self {
        Self { wire, peers, own, given: 0, taken: 0, meter: Meter::default(), fault: None }
    }

    /// Whether the conversation was had to its end.
    pub fn is_over(&self) -> Result<(), String> {
        if (self.given, self.taken) == (self.peers.len(), self.own.len()) {
            return Ok(());
        }
        Err(format!("{} of {} messages were received and {} of {} sent", self.given, self.peers.len(), self.taken, self.own.len()))
    }

    fn differs(&mut self, kind: Kind, what: String) -> ChannelError {
        self.fault.get_or_insert(what);
        ChannelError::Closed { waiting_for: kind.name }
    }
}

impl Channel for RecordedPeer<'_> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        let number = self.taken;
        let Some(expected) = self.own.get(number) else {
            return Err(self.differs(kind, format!("message {number}, `{}`, was sent after the recorded end", kind.name)));
        };
        if let Err(what) = same(self.wire, expected, &Frame::new(kind.code, 0, payload)) {
            return Err(self.differs(kind, format!("message {number}, `{}`: {what}", kind.name)));
        }
        self.taken += 1;
        self.meter.sent(payload.len());
        Ok(())
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        let number = self.given;
        let Some(frame) = self.peers.get(number) else {
            return Err(self.differs(kind, format!("`{}` is waited for after the recorded end", kind.name)));
        };
        if self.taken < frame.after {
            let what = format!(
                "`{}` is waited for after {} messages were sent, the recorded peer waits for {}: both would wait for ever",
                kind.name, self.taken, frame.after
            );
            return Err(self.differs(kind, what));
        }
        if frame.code != kind.code {
            return Err(ChannelError::WrongKind { expected: kind.name, got: frame.code });
        }
        if frame.length > cap {
            return Err(ChannelError::Oversized { kind: kind.name, claimed: frame.length, cap });
        }
        self.given += 1;
        self.meter.received(frame.length);
        Ok(frame.payload.clone().unwrap())
    }

    fn counters(&self) -> Counters {
        self.meter.counters()
    }
}

/// Whether a message is the recorded one. A greeting may tell another program version and other wire versions, so long as the
/// recorded one is among them.
pub fn same(wire: u16, recorded: &Frame, now: &Frame) -> Result<(), String> {
    if recorded.code != now.code {
        return Err(format!("kind {:#06x}, recorded was {:#06x}", now.code, recorded.code));
    }
    let fits = match (recorded.code, &recorded.payload, &now.payload) {
        (GREETING, Some(recorded), Some(now)) => greeting_fits(wire, recorded, now),
        (GREETING, None, Some(now)) => greeting_fits(wire, now, now),
        _ => recorded.length == now.length && recorded.digest == now.digest,
    };
    if fits { Ok(()) } else { Err(format!("{} bytes that differ from the {} recorded ones", now.length, recorded.length)) }
}

fn greeting_fits(wire: u16, recorded: &[u8], now: &[u8]) -> bool {
    if recorded.len() <= ROLE || now.len() <= ROLE {
        return false;
    }
    let version = |place: Range<usize>| u16::from_le_bytes([now[place.start], now[place.start + 1]]);
    let speaks = (version(LOWEST)..=version(HIGHEST)).contains(&wire);
    speaks && now[..LOWEST.start] == recorded[..LOWEST.start] && now[ROLE] == recorded[ROLE]
}
