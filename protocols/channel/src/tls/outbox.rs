//! What leaves: cuts messages into frames and segments, encrypts them and writes them to the socket in bounded waits.

use super::frames::{self, GIVE_UP, GO_ON, SEGMENT, STATUS_BYTES, header};
use super::inbox::{Inbox, Patience, TICK};
use crate::{ChannelError, Kind};
use rustls::Connection;
use std::io::{ErrorKind, IoSlice, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a failed write waits for the reader thread to find out why (the peer's exit code, a refused key).
const REASON_WAIT: Duration = Duration::from_millis(500);

/// Locks the TLS state; held for the work on one segment, never over a wait.
pub(super) fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the link ended, which the reader thread may be about to find out.
fn reason(inbox: &Inbox, waiting_for: &'static str) -> Option<ChannelError> {
    inbox.wait_for_end(Instant::now() + REASON_WAIT, None).map(|end| end.to_error(waiting_for))
}

/// The sending half of a link.
pub(super) struct Outbox {
    socket: TcpStream,
    step: u64,
    /// Encrypted bytes and how many of them the socket has taken.
    pending: Vec<u8>,
    written: usize,
    /// A message was begun and not completed: the next byte must be a mark.
    inside_message: bool,
    last_sent: Instant,
}

impl Outbox {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, step: 0, pending: Vec::new(), written: 0, inside_message: false, last_sent: Instant::now() }
    }

    /// When a frame was last begun.
    pub(super) fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// Sends one message; waits only for the socket, which the peer's reader thread drains.
    pub(super) fn message(
        &mut self,
        connection: &Mutex<Connection>,
        inbox: &Inbox,
        kind: Kind,
        payload: &[u8],
        patience: &Patience<'_>,
    ) -> Result<(), ChannelError> {
        let length = u32::try_from(payload.len()).map_err(|_| ChannelError::TooLarge { kind: kind.name, length: payload.len() })?;
        // What an earlier alert or keep-alive left behind goes first.
        self.drain(inbox, kind.name, patience)?;
        let head = header(self.step, kind.code, length);
        self.step += 1;
        self.last_sent = Instant::now();
        let mut first = true;
        let mut rest = payload;
        loop {
            let (segment, after) = rest.split_at(rest.len().min(SEGMENT));
            rest = after;
            let before: &[u8] = if first { &head } else { &[GO_ON] };
            first = false;
            // The TLS state refuses to go on after an alert: the reader thread knows which.
            self.encrypt(connection, before, segment).map_err(|error| reason(inbox, kind.name).unwrap_or(error))?;
            self.inside_message = !rest.is_empty();
            self.drain(inbox, kind.name, patience)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends a keep-alive unless something is under way; never waits longer than a tick.
    pub(super) fn keep_alive(&mut self, connection: &Mutex<Connection>, status: &[u8; STATUS_BYTES]) -> Result<(), ChannelError> {
        if !self.inside_message && self.written == self.pending.len() {
            let head = header(self.step, frames::KEEP_ALIVE, STATUS_BYTES as u32);
            self.step += 1;
            self.last_sent = Instant::now();
            self.encrypt(connection, &head, status)?;
        }
        self.drain_until(Instant::now() + TICK)
    }

    /// Says goodbye: gives up a half-sent message, reports our exit code if there is one, and closes our direction.
    pub(super) fn goodbye(&mut self, connection: &Mutex<Connection>, code: Option<u8>, deadline: Instant) {
        // Failures are of no interest any more: the link is being left.
        let _ = self.try_goodbye(connection, code, deadline);
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }

    fn try_goodbye(&mut self, connection: &Mutex<Connection>, code: Option<u8>, deadline: Instant) -> Result<(), ChannelError> {
        if let Some(code) = code {
            if self.inside_message {
                self.encrypt(connection, &[GIVE_UP], &[])?;
                self.inside_message = false;
            }
            let head = header(self.step, frames::ABORT, 1);
            self.step += 1;
            self.encrypt(connection, &head, &[code])?;
        }
        let mut connection = lock(connection);
        connection.send_close_notify();
        self.collect(&mut connection)?;
        drop(connection);
        self.drain_until(deadline)
    }

    /// Writes alerts that the reader thread's work has queued; never waits longer than a tick.
    pub(super) fn flush_alerts(&mut self, connection: &Mutex<Connection>) {
        if self.collect(&mut lock(connection)).is_ok() {
            let _ = self.drain_until(Instant::now() + TICK);
        }
    }

    /// Sends plaintext as it is: for tests of what the receiver refuses.
    #[cfg(test)]
    pub(super) fn raw(&mut self, connection: &Mutex<Connection>, bytes: &[u8]) -> Result<(), ChannelError> {
        self.encrypt(connection, bytes, &[])?;
        self.drain_until(Instant::now() + Duration::from_secs(1))
    }

    /// Whether a message was begun and not completed.
    #[cfg(test)]
    pub(super) fn is_inside_message(&self) -> bool {
        self.inside_message
    }

    fn encrypt(&mut self, connection: &Mutex<Connection>, before: &[u8], segment: &[u8]) -> Result<(), ChannelError> {
        let failed = |reason: String| ChannelError::Io { doing: "encrypting", reason };
        let mut connection = lock(connection);
        let taken = connection
            .writer()
            .write_vectored(&[IoSlice::new(before), IoSlice::new(segment)])
            .map_err(|error| failed(error.to_string()))?;
        if taken != before.len() + segment.len() {
            return Err(failed("the encryption buffer is full".into()));
        }
        self.collect(&mut connection)
    }

    /// Moves encrypted bytes out of the TLS state. Only holders of the outbox do so, which keeps the records in order.
    fn collect(&mut self, connection: &mut Connection) -> Result<(), ChannelError> {
        if self.written == self.pending.len() {
            self.pending.clear();
            self.written = 0;
        }
        while connection.wants_write() {
            connection.write_tls(&mut self.pending).map_err(|error| ChannelError::Io { doing: "encrypting", reason: error.to_string() })?;
        }
        Ok(())
    }

    /// One attempt to write, of at most a tick. Some(true): progress.
    fn write_some(&mut self) -> std::io::Result<bool> {
        match self.socket.write(&self.pending[self.written..]) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                self.written += count;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes all that is pending within the bounds of the wait.
    fn drain(&mut self, inbox: &Inbox, waiting_for: &'static str, patience: &Patience<'_>) -> Result<(), ChannelError> {
        let mut progress = Instant::now();
        while self.written < self.pending.len() {
            patience.check(progress.max(inbox.heard()), waiting_for)?;
            if let Some(end) = inbox.end() {
                return Err(end.to_error(waiting_for));
            }
            match self.write_some() {
                Ok(true) => progress = Instant::now(),
                Ok(false) => {}
                Err(_) => return Err(reason(inbox, waiting_for).unwrap_or(ChannelError::Closed { waiting_for })),
            }
        }
        Ok(())
    }

    fn drain_until(&mut self, deadline: Instant) -> Result<(), ChannelError> {
        let failed = |reason: String| ChannelError::Io { doing: "sending", reason };
        while self.written < self.pending.len() {
            self.write_some().map_err(|error| failed(error.to_string()))?;
            if Instant::now() >= deadline {
                break;
            }
        }
        Ok(())
    }
}
