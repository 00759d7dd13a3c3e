//! TCP with TLS 1.3: a link on which either side knows exactly whom it talks to, and no wait is endless.
//!
//! **Purpose.** Carries the messages of all protocols between two machines.
//!
//! **Functionality.** A [`Channel`]: what one end sends, the other receives, in order, complete and unchanged, or both end with a
//! named error. [`Listener::accept`] and [`dial`] make one end each; which party listens does not matter.
//!
//! **Security.** TLS 1.3 only (X25519, AEAD suites, ring), both sides authenticate with raw Ed25519 public keys (RFC 7250) that
//! are compared with a pinned SHA-256 fingerprint; the handshake's signature is verified against that very key. No certificate
//! authority, no system roots, no names, no validity dates, no resumption or tickets, no early data. Frames cannot be
//! transplanted: they are encrypted under keys that belong to one connection and one direction, and carry a step number
//! inside; [`TlsChannel::session_id`] is the exporter's value by which upper layers bind signatures to this very connection. An
//! observer learns times and sizes. Keep-alives depend on time alone.
//!
//! **Cost.** 14 bytes a message (counted), 1 byte per further 64 KiB and 22 bytes per TLS record of 16 KiB (not counted).
//! Handshake: 2 round trips with the "ready" frames.
//!
//! **Messages.** {step u64, kind u16, length u32} and payload, see `frames`; control frames keep-alive, ready, abort.
//!
//! **Limits.** Before authentication: at most 10 s, 64 KiB read, 4 KiB at a time, 32 connections at once. Afterwards: frame cap,
//! queue cap in bytes, idle deadline (no sign of life from the peer), total deadline. A reader thread drains the socket into the
//! queue, so that two ends that send at the same time never wait for each other; when the queue is full the reader pauses.
//! A second thread sends a keep-alive when nothing else was sent for a while: a peer that computes is not taken for dead.
//!
//! **Source.** RFC 8446, RFC 7250, RFC 8410; step numbers and exit codes in frames are our own.
//!
//! # Example
//! ```
//! use colift_channel::{Channel, Kind, StopFlag, tls::{dial, ExpectedPeer, IdentityKey, Limits, Listener}};
//! const HELLO: Kind = Kind { code: 0x0901, name: "hello" };
//! let make = || IdentityKey::from_pkcs8(&IdentityKey::generate_pkcs8().unwrap()).unwrap();
//! let (ours, theirs) = (make(), make());
//! let (limits, stop) = (Limits::default(), StopFlag::new());
//! let listener = Listener::bind("127.0.0.1:0").unwrap();
//! let address = listener.local_address().unwrap().to_string();
//! let expected = ExpectedPeer::Pinned(ours.fingerprint());
//! let far = std::thread::spawn({
//!     let (theirs, limits, stop) = (theirs.clone(), limits.clone(), stop.clone());
//!     move || dial(&address, &theirs, expected, &limits, &stop).unwrap().send(HELLO, b"hi").unwrap()
//! });
//! let mut near = listener.accept(&ours, ExpectedPeer::Pinned(theirs.fingerprint()), &limits, &stop).unwrap();
//! assert_eq!(near.receive(HELLO, 2).unwrap(), b"hi");
//! far.join().unwrap();
//! ```

mod config;
mod connect;
mod frames;
mod inbox;
mod key;
mod outbox;
mod proxy;
#[cfg(test)]
mod tests;
mod threads;

pub use config::ExpectedPeer;
pub use connect::{Attempts, Listener, Route, dial, dial_by};
pub use key::{Fingerprint, IdentityKey, NotAFingerprint, Signed};
pub use proxy::{NotAProxy, Proxy};

use crate::{Channel, ChannelError, Counters, Kind, MAX_FRAME, Meter, StopFlag};
use frames::{READY, STATUS_BYTES, is_reserved};
use inbox::{End, Inbox, Patience, TICK};
use outbox::Outbox;
use rustls::Connection;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use threads::{keep_alive_until, read_all};

const READY_FRAME: Kind = Kind { code: READY, name: "the peer's acceptance of our key" };
/// How long [`TlsChannel::abort`] and a drop wait for the peer to take what we sent last.
const SHORT_LINGER: Duration = Duration::from_millis(1000);
/// The same for an orderly [`TlsChannel::close`].
const LONG_LINGER: Duration = Duration::from_secs(30);
/// Exporter label of the session id (RFC 8446 §7.5).
const SESSION_LABEL: &[u8] = b"EXPORTER-colift-session-v1";

/// Deadlines and caps of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To reach the peer, retries included.
    pub connect: Duration,
    /// For one handshake; never more than 10 s.
    pub handshake: Duration,
    /// Without any sign of life from the peer, in every wait.
    pub idle: Duration,
    /// For the whole life of the link.
    pub total: Duration,
    /// After so long without a message of ours a keep-alive is sent. Must be well below the peer's `idle`.
    pub keep_alive: Duration,
    /// Payload bytes that may be queued before the reader pauses.
    pub queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(300),
            handshake: connect::HANDSHAKE_MOST,
            idle: Duration::from_secs(60),
            total: Duration::from_secs(24 * 3600),
            keep_alive: Duration::from_secs(5),
            queue_bytes: 4 * MAX_FRAME,
        }
    }
}

/// What the party's thread, the reader and the keep-alive thread share.
struct Shared {
    connection: Mutex<Connection>,
    inbox: Inbox,
    outbox: Mutex<Outbox>,
    /// Raised, and its waiters woken, when the link is left.
    leaving: (Mutex<bool>, Condvar),
    /// What we tell the peer that we are doing.
    status: Mutex<[u8; STATUS_BYTES]>,
}

impl Shared {
    fn status(&self) -> [u8; STATUS_BYTES] {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each side tells the other about its work while nothing else is sent: a few words, of a length that says nothing.
#[derive(Clone)]
pub struct Pulse(Arc<Shared>);

impl Pulse {
    /// From now on keep-alives say this; at most 32 bytes of it, plain characters only.
    pub fn tell(&self, words: &str) {
        let mut status = [0; STATUS_BYTES];
        let plain = words.bytes().map(|b| if b.is_ascii_graphic() || b == b' ' { b } else { b'?' });
        status.iter_mut().zip(plain).for_each(|(slot, byte)| *slot = byte);
        *self.0.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// How long the peer has given no sign of life.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.0.inbox.heard().elapsed()
    }

    /// What the peer said last; None where it said nothing yet. Plain characters only.
    #[must_use]
    pub fn heard(&self) -> Option<String> {
        let status = self.0.inbox.status();
        let words = status.iter().take_while(|byte| **byte != 0);
        let words: String = words.map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' }).collect();
        Some(words).filter(|words| !words.is_empty())
    }
}

/// A cheap view of a link for long local computations: tells between two steps whether it is still worth going on.
#[derive(Clone)]
pub struct LinkWatch {
    shared: Arc<Shared>,
    stop: StopFlag,
    total: Duration,
    total_at: Instant,
}

impl LinkWatch {
    /// Fails when the peer has stopped or gone, the total deadline has passed, or our own stop flag is up.
    ///
    /// # Errors
    /// Channel or Peer class, as a receive at this moment would say for an empty queue.
    pub fn check(&self, doing: &'static str) -> Result<(), ChannelError> {
        let patience = Patience { stop: &self.stop, idle: Duration::MAX, total: self.total, total_at: self.total_at };
        patience.check(Instant::now(), doing)?;
        // A peer that has finished and closed may have left all that we need in the queue.
        match self.shared.inbox.end() {
            Some(End::Closed) | None => Ok(()),
            Some(end) => Err(end.to_error(doing)),
        }
    }
}

/// One end of an authenticated link.
pub struct TlsChannel {
    shared: Arc<Shared>,
    socket: TcpStream,
    threads: Vec<JoinHandle<()>>,
    meter: Meter,
    limits: Limits,
    stop: StopFlag,
    total_at: Instant,
    peer: Fingerprint,
    session_id: [u8; 32],
    /// The first error: final, because no later message can be trusted to be the next one.
    failed: Option<ChannelError>,
    left: bool,
}

impl std::fmt::Debug for TlsChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsChannel").field("peer", &self.peer).field("counters", &self.meter.counters()).finish_non_exhaustive()
    }
}

impl TlsChannel {
    /// Starts the threads on a connection whose handshake is complete and exchanges the "ready" frames.
    fn start(
        socket: TcpStream,
        mut connection: Connection,
        peer: Fingerprint,
        limits: &Limits,
        stop: &StopFlag,
        ready_within: Duration,
    ) -> Result<Self, ChannelError> {
        let failed = |error: std::io::Error| ChannelError::Io { doing: "starting the link", reason: error.to_string() };
        let session_id = connection
            .export_keying_material([0_u8; 32], SESSION_LABEL, None)
            .map_err(|error| ChannelError::Io { doing: "starting the link", reason: error.to_string() })?;
        connection.set_buffer_limit(None);
        socket.set_read_timeout(None).map_err(failed)?;
        socket.set_write_timeout(Some(TICK)).map_err(failed)?;
        let reading = socket.try_clone().map_err(failed)?;
        let writing = socket.try_clone().map_err(failed)?;
        let shared = Arc::new(Shared {
            connection: Mutex::new(connection),
            inbox: Inbox::new(limits.queue_bytes),
            outbox: Mutex::new(Outbox::new(writing)),
            leaving: (Mutex::new(false), Condvar::new()),
            status: Mutex::new([0; STATUS_BYTES]),
        });
        let total_at = after(limits.total);
        let mut link = Self {
            shared: shared.clone(),
            socket,
            threads: Vec::new(),
            meter: Meter::default(),
            limits: limits.clone(),
            stop: stop.clone(),
            total_at,
            peer,
            session_id,
            failed: None,
            left: false,
        };
        let (reader, keep_alive) = (shared.clone(), limits.keep_alive);
        let threads = [
            std::thread::Builder::new().name("link reader".into()).spawn(move || read_all(reading, &reader)),
            std::thread::Builder::new().name("link keep-alive".into()).spawn(move || keep_alive_until(&shared, keep_alive, total_at)),
        ];
        for thread in threads {
            link.threads.push(thread.map_err(failed)?);
        }
        let within = Patience { stop, idle: ready_within, total: ready_within, total_at: after(ready_within) };
        link.exchange_ready(&within)?;
        Ok(link)
    }

    fn exchange_ready(&self, patience: &Patience<'_>) -> Result<(), ChannelError> {
        self.outbox().message(&self.shared.connection, &self.shared.inbox, READY_FRAME, &[], patience)?;
        self.shared.inbox.take(READY_FRAME, 0, patience).map(|_| ())
    }

    fn outbox(&self) -> std::sync::MutexGuard<'_, Outbox> {
        self.shared.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Patience<'_> {
        Patience { stop: &self.stop, idle: self.limits.idle, total: self.limits.total, total_at: self.total_at }
    }

    /// The peer's fingerprint, as proved in the handshake.
    #[must_use]
    pub fn peer(&self) -> Fingerprint {
        self.peer
    }

    /// A value that both ends of this connection know and that no other connection has (TLS exporter).
    #[must_use]
    pub fn session_id(&self) -> &[u8; 32] {
        &self.session_id
    }

    /// What both sides tell each other about their work.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse(self.shared.clone())
    }

    /// A view for long local computations.
    #[must_use]
    pub fn watch(&self) -> LinkWatch {
        LinkWatch { shared: self.shared.clone(), stop: self.stop.clone(), total: self.limits.total, total_at: self.total_at }
    }

    /// Leaves the link and tells the peer with which exit code we stop: its current wait, or the first one that finds no message
    /// of ours left, ends with `PeerStopped`. Exit code 20 (interrupted) goes before messages that are still queued. Returns within about a second; works after errors and with the stop flag raised.
    pub fn abort(mut self, code: u8) {
        self.leave(Some(code), SHORT_LINGER);
    }

    /// Leaves the link in order: returns when the peer has taken all that we sent, or after half a minute.
    pub fn close(mut self) {
        self.leave(None, LONG_LINGER);
    }

    fn leave(&mut self, code: Option<u8>, linger: Duration) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let deadline = Instant::now() + linger;
        let stop = code.is_none().then(|| self.stop.clone());
        *self.shared.leaving.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.leaving.1.notify_all();
        // The reader goes on and drops what arrives: closing a socket with unread bytes would destroy what we sent last.
        self.shared.inbox.discard();
        self.outbox().goodbye(&self.shared.connection, code, deadline);
        self.shared.inbox.wait_for_end(deadline, stop.as_ref());
        let _ = self.socket.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Keeps the first error for good.
    fn settle<T>(&mut self, outcome: Result<T, ChannelError>) -> Result<T, ChannelError> {
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        outcome
    }
}

impl Channel for TlsChannel {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        if payload.len() > MAX_FRAME {
            return Err(ChannelError::TooLarge { kind: kind.name, length: payload.len() });
        }
        if is_reserved(kind.code) {
            return Err(ChannelError::ReservedKind { kind: kind.name });
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let patience = self.patience();
        let outcome = match (patience.check(Instant::now(), kind.name), self.shared.inbox.end()) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(end)) => Err(end.to_error(kind.name)),
            (Ok(()), None) => self.outbox().message(&self.shared.connection, &self.shared.inbox, kind, payload, &patience),
        };
        self.settle(outcome)?;
        self.meter.sent(payload.len());
        Ok(())
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = self.shared.inbox.take(kind, cap, &self.patience());
        let payload = self.settle(outcome)?;
        self.meter.received(payload.len());
        Ok(payload)
    }

    fn counters(&self) -> Counters {
        self.meter.counters()
    }
}

impl Drop for TlsChannel {
    /// As [`TlsChannel::close`], with less patience: a peer that still waits sees the link closed.
    fn drop(&mut self) {
        self.leave(None, SHORT_LINGER);
    }
}

/// An instant so far in the future, or as far as the clock can say.
fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(10 * 365 * 24 * 3600))
}
