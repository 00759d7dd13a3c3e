//! Two ends of a link inside one process, for tests, doctests and simulations.

use crate::{Channel, ChannelError, Counters, Kind, MAX_FRAME, Meter};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// One end of an in-memory link.
#[derive(Debug)]
pub struct MemoryChannel {
    sender: Sender<(u16, Vec<u8>)>,
    receiver: Receiver<(u16, Vec<u8>)>,
    meter: Meter,
    idle: Duration,
}

/// Makes a connected pair; each end waits at most 120 s for a message.
#[must_use]
pub fn pair() -> (MemoryChannel, MemoryChannel) {
    pair_with_idle(Duration::from_secs(120))
}

/// Makes a connected pair whose ends wait at most `idle` for a message: for tests with a silent peer.
#[must_use]
pub fn pair_with_idle(idle: Duration) -> (MemoryChannel, MemoryChannel) {
    let ((to_b, from_a), (to_a, from_b)) = (channel(), channel());
    let end = |sender, receiver| MemoryChannel { sender, receiver, meter: Meter::default(), idle };
    (end(to_b, from_b), end(to_a, from_a))
}

impl Channel for MemoryChannel {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        if payload.len() > MAX_FRAME {
            return Err(ChannelError::TooLarge { kind: kind.name, length: payload.len() });
        }
        self.sender.send((kind.code, payload.to_vec())).map_err(|_| ChannelError::Closed { waiting_for: kind.name })?;
        self.meter.sent(payload.len());
        Ok(())
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        let (code, payload) = self.receiver.recv_timeout(self.idle).map_err(|e| match e {
            RecvTimeoutError::Timeout => ChannelError::Timeout { waiting_for: kind.name, seconds: self.idle.as_secs() },
            RecvTimeoutError::Disconnected => ChannelError::Closed { waiting_for: kind.name },
        })?;
        if code != kind.code {
            return Err(ChannelError::WrongKind { expected: kind.name, got: code });
        }
        if payload.len() > cap {
            return Err(ChannelError::Oversized { kind: kind.name, claimed: payload.len(), cap });
        }
        self.meter.received(payload.len());
        Ok(payload)
    }

    fn counters(&self) -> Counters {
        self.meter.counters()
    }
}
