//! What has arrived and why the link ended: filled by the reader thread, emptied by the party's thread.

use super::frames::STATUS_BYTES;
use crate::{ChannelError, Kind, MAX_FRAME, StopFlag};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest sleep between two looks at the stop flag.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Exit code of a party that was asked to stop (Ctrl-C).
pub(super) const INTERRUPTED: u8 = 20;

/// Payload memory is reserved in steps of at most this, whatever the peer announces.
const RESERVE_STEP: usize = 1 << 16;

/// What a message costs in the queue besides its payload, so that empty ones are capped too.
const ENTRY_COST: usize = 128;

/// Why nothing more will arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Stopped(u8),
    KeyRefused,
    BadRecord(String),
    Io(String),
    Step { expected: u64, got: u64 },
    TooLong { claimed: usize },
}

impl End {
    pub(super) fn to_error(&self, waiting_for: &'static str) -> ChannelError {
        match self {
            Self::Closed => ChannelError::Closed { waiting_for },
            Self::Stopped(code) => ChannelError::PeerStopped { code: *code, waiting_for },
            Self::KeyRefused => ChannelError::KeyRefused,
            Self::BadRecord(reason) => ChannelError::BadRecord { reason: reason.clone() },
            Self::Io(reason) => ChannelError::Io { doing: waiting_for, reason: reason.clone() },
            Self::Step { expected, got } => ChannelError::WrongStep { kind: waiting_for, expected: *expected, got: *got },
            Self::TooLong { claimed } => ChannelError::Oversized { kind: waiting_for, claimed: *claimed, cap: MAX_FRAME },
        }
    }
}

/// A message, announced by its header and perhaps still growing.
struct Entry {
    code: u16,
    length: usize,
    payload: Vec<u8>,
}

struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    end: Option<End>,
    /// When bytes of the authenticated peer last arrived.
    heard: Instant,
    /// We are leaving: what still arrives is dropped.
    discarding: bool,
    /// What the peer last said it is doing.
    status: [u8; STATUS_BYTES],
}

/// The bounds of one wait.
pub(super) struct Patience<'a> {
    pub(super) stop: &'a StopFlag,
    pub(super) idle: Duration,
    pub(super) total: Duration,
    pub(super) total_at: Instant,
}

impl Patience<'_> {
    /// Fails when the stop flag is up or a deadline has passed; `alive` is the last sign of the peer.
    pub(super) fn check(&self, alive: Instant, waiting_for: &'static str) -> Result<(), ChannelError> {
        let now = Instant::now();
        let timeout = |limit: Duration| Err(ChannelError::Timeout { waiting_for, seconds: limit.as_secs().max(1) });
        if self.stop.is_raised() {
            return Err(ChannelError::Interrupted { waiting_for });
        }
        if now >= self.total_at {
            return timeout(self.total);
        }
        if now.saturating_duration_since(alive) >= self.idle {
            return timeout(self.idle);
        }
        Ok(())
    }
}

/// The queue between the reader thread and the party's thread, capped by bytes.
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Signalled when a message is announced or complete, or the link ended.
    arrived: Condvar,
    /// Signalled when the queue has room again, or we are leaving.
    room: Condvar,
    cap: usize,
}

impl Inbox {
    pub(super) fn new(cap: usize) -> Self {
        let state =
            State { entries: VecDeque::new(), bytes: 0, end: None, heard: Instant::now(), discarding: false, status: [0; STATUS_BYTES] };
        Self { state: Mutex::new(state), arrived: Condvar::new(), room: Condvar::new(), cap }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The reader thread's side.

    /// Notes that the peer is alive.
    pub(super) fn hear(&self) {
        self.lock().heard = Instant::now();
    }

    /// A header has arrived.
    pub(super) fn announce(&self, code: u16, length: usize) {
        let mut state = self.lock();
        while state.bytes >= self.cap && !state.entries.is_empty() && !state.discarding {
            state = self.room.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.discarding {
            return;
        }
        state.bytes += ENTRY_COST;
        state.entries.push_back(Entry { code, length, payload: Vec::with_capacity(length.min(RESERVE_STEP)) });
        self.arrived.notify_all();
    }

    /// Bytes of the announced message; waits while the queue is full.
    pub(super) fn grow(&self, bytes: &[u8]) {
        let mut state = self.lock();
        // A message that is alone in the queue may always grow: it is bounded by the frame cap.
        while state.bytes >= self.cap && state.entries.len() > 1 && !state.discarding {
            state = self.room.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.discarding {
            return;
        }
        let Some(entry) = state.entries.back_mut() else { return };
        entry.payload.extend_from_slice(bytes);
        let complete = entry.payload.len() == entry.length;
        state.bytes += bytes.len();
        if complete {
            self.arrived.notify_all();
        }
    }

    /// What the peer last said it is doing.
    pub(super) fn set_status(&self, status: [u8; STATUS_BYTES]) {
        self.lock().status = status;
    }

    /// The same, for the party.
    pub(super) fn status(&self) -> [u8; STATUS_BYTES] {
        self.lock().status
    }

    /// The peer gave up the message it was sending.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        if state.entries.back().is_some_and(|entry| entry.payload.len() < entry.length)
            && let Some(entry) = state.entries.pop_back()
        {
            state.bytes -= entry.payload.len() + ENTRY_COST;
        }
    }

    /// Nothing more will arrive. The first reason stays.
    pub(super) fn finish(&self, end: End) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
        }
        self.arrived.notify_all();
    }

    // The party's side.

    /// Why the link ended, if it has.
    pub(super) fn end(&self) -> Option<End> {
        self.lock().end.clone()
    }

    /// When the peer was last heard.
    pub(super) fn heard(&self) -> Instant {
        self.lock().heard
    }

    /// Drops what is queued and whatever still comes.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.discarding = true;
        state.entries.clear();
        state.bytes = 0;
        self.room.notify_all();
    }

    /// Waits until the link has ended, at most until `deadline`.
    pub(super) fn wait_for_end(&self, deadline: Instant, stop: Option<&StopFlag>) -> Option<End> {
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.end.is_some() || left.is_zero() || stop.is_some_and(StopFlag::is_raised) {
                return state.end.clone();
            }
            state = self.arrived.wait_timeout(state, left.min(TICK)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the next message, which must be of this kind and within `cap`: both are judged by the header, before the payload.
    pub(super) fn take(&self, kind: Kind, cap: usize, patience: &Patience<'_>) -> Result<Vec<u8>, ChannelError> {
        let started = Instant::now();
        let mut late = false;
        let mut state = self.lock();
        loop {
            // An interruption goes before what was sent earlier: there is nothing to continue for. After any other stop the
            // earlier messages are still delivered, so that both sides come to the same verdict by themselves.
            if let Some(end @ End::Stopped(INTERRUPTED)) = &state.end {
                return Err(end.to_error(kind.name));
            }
            if let Some(front) = state.entries.front() {
                if front.code != kind.code {
                    return Err(ChannelError::WrongKind { expected: kind.name, got: front.code });
                }
                if front.length > cap {
                    return Err(ChannelError::Oversized { kind: kind.name, claimed: front.length, cap });
                }
            }
            match patience.check(state.heard.max(started), kind.name) {
                Ok(()) => late = false,
                // A process that was suspended finds its deadline passed before its reader could say what had arrived.
                Err(ChannelError::Timeout { .. }) if !late && state.end.is_none() => {
                    late = true;
                    state = self.arrived.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                Err(timeout @ ChannelError::Timeout { .. }) => {
                    return Err(state.end.as_ref().map_or(timeout, |end| end.to_error(kind.name)));
                }
                Err(error) => return Err(error),
            }
            if state.entries.front().is_some_and(|front| front.payload.len() == front.length)
                && let Some(entry) = state.entries.pop_front()
            {
                state.bytes -= entry.payload.len() + ENTRY_COST;
                self.room.notify_all();
                return Ok(entry.payload);
            }
            if let Some(end) = &state.end {
                return Err(end.to_error(kind.name));
            }
            state = self.arrived.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_passed_deadline_gives_way_to_the_reason_that_is_about_to_be_read() {
        const HELLO: Kind = Kind { code: 0x0901, name: "hello" };
        let stop = StopFlag::new();
        let patience =
            Patience { stop: &stop, idle: Duration::ZERO, total: Duration::MAX, total_at: Instant::now() + Duration::from_secs(60) };
        let inbox = Inbox::new(1 << 20);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                inbox.finish(End::Stopped(10));
            });
            assert_eq!(inbox.take(HELLO, 1, &patience), Err(ChannelError::PeerStopped { code: 10, waiting_for: "hello" }));
        });
        // Nothing comes: the deadline it is.
        assert!(matches!(Inbox::new(1 << 20).take(HELLO, 1, &patience), Err(ChannelError::Timeout { .. })));
    }
}
