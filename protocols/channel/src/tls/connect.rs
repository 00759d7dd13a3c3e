//! Reaching the peer: listening, dialling with retries, and the handshake with its limits before anyone is authenticated.

use super::config::{self, ExpectedPeer, PROTOCOL, PinVerifier};
use super::key::{Fingerprint, IdentityKey};
use super::proxy::{Proxy, tunnel};
use super::{Limits, TlsChannel};
use crate::{ChannelError, StopFlag};
use rustls::{AlertDescription, Connection};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The handshake may never take longer than this.
pub(super) const HANDSHAKE_MOST: Duration = Duration::from_secs(10);
/// Bytes read at a time, and in all, before the peer is authenticated.
const READ_AT_ONCE: usize = 4096;
const READ_IN_ALL: usize = 1 << 16;
/// Handshakes at the same time; more connections are closed unread and may try again.
const HANDSHAKES: usize = 32;
/// Stack of a handshake thread.
const HANDSHAKE_STACK: usize = 512 << 10;
/// Sleep between two looks at sockets and flags.
const PAUSE: Duration = Duration::from_millis(20);
/// Sleep between two attempts to dial.
const RETRY: Duration = Duration::from_millis(250);
/// The same through a proxy, which serves others too.
const RETRY_PROXY: Duration = Duration::from_secs(2);
/// Longest wait for one TCP connection.
const DIAL_ONCE: Duration = Duration::from_secs(3);
/// What the waits here are called.
const CONNECTING: &str = "the peer to connect";
const HANDSHAKE: &str = "the handshake";

/// Why the peer was not met yet: written by the one who tries, read by the one who shows it. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<Mutex<Option<String>>>);

impl Attempts {
    /// Why the last attempt came to nothing; None before the first has ended.
    #[must_use]
    pub fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The peer is met: nothing is to be told any more.
    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note(&self, why: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }
}

/// A port on which the peer is awaited. Garbage, strangers' programs and silent connections do not end the wait; a program of
/// ours with another key than the pinned one does, so that two people who mixed up their keys learn it at once.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
}

impl Listener {
    /// Binds an address such as `0.0.0.0:7411`; port 0 takes a free one.
    ///
    /// # Errors
    /// Channel class (Io): the address is malformed, taken or not ours.
    pub fn bind(address: &str) -> Result<Self, ChannelError> {
        let failed = |error: std::io::Error| ChannelError::Io { doing: "listening", reason: error.to_string() };
        let socket = TcpListener::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Self { socket })
    }

    /// The bound address, with the port that was taken.
    ///
    /// # Errors
    /// Channel class (Io): the system does not say.
    pub fn local_address(&self) -> Result<SocketAddr, ChannelError> {
        self.socket.local_addr().map_err(|error| ChannelError::Io { doing: "listening", reason: error.to_string() })
    }

    /// Waits for the peer until `limits.connect` has passed.
    ///
    /// # Errors
    /// Peer class: another key than expected (`KeyMismatch`), or the peer refused ours (`KeyRefused`).
    /// Channel class: nobody came in time (`Timeout`), the stop flag was raised (`Interrupted`), or the peer came and stopped
    /// at once (`PeerStopped`).
    pub fn accept(
        &self,
        identity: &IdentityKey,
        expected: ExpectedPeer,
        limits: &Limits,
        stop: &StopFlag,
    ) -> Result<TlsChannel, ChannelError> {
        self.accept_noting(identity, expected, limits, stop, &Attempts::default())
    }

    /// As [`Listener::accept`]; who came and was not the peer is noted in `attempts`.
    ///
    /// # Errors
    /// As there.
    pub fn accept_noting(
        &self,
        identity: &IdentityKey,
        expected: ExpectedPeer,
        limits: &Limits,
        stop: &StopFlag,
        attempts: &Attempts,
    ) -> Result<TlsChannel, ChannelError> {
        let deadline = Instant::now() + limits.connect;
        let left = StopFlag::new();
        let _leave = RaiseOnDrop(left.clone());
        let (report, reports) = channel();
        let mut running = 0;
        loop {
            check(deadline, limits.connect, stop, CONNECTING)?;
            let accepted = self.socket.accept();
            let pause = if accepted.is_ok() { Duration::ZERO } else { PAUSE };
            match accepted {
                Ok((socket, _)) if running < HANDSHAKES => {
                    let (identity, limits, stop) = (identity.clone(), limits.clone(), stop.clone());
                    let (report, left) = (report.clone(), left.clone());
                    let thread = std::thread::Builder::new().name("handshake".into()).stack_size(HANDSHAKE_STACK);
                    let work = move || {
                        let outcome = config::listening(&identity, expected)
                            .and_then(|(connection, verifier)| open(socket, connection, &verifier, &limits, &stop, &left));
                        // If the wait is over, nobody listens: a link made too late is dropped and thereby closed.
                        let _ = report.send(outcome);
                    };
                    running += usize::from(thread.spawn(work).is_ok());
                }
                Ok((socket, _)) => drop(socket),
                // Nobody there, or out of descriptors or the like, which passes when connections end.
                Err(_) => {}
            }
            match reports.recv_timeout(pause) {
                Ok(Ok(link)) => {
                    attempts.clear();
                    return Ok(link);
                }
                Ok(Err(error)) if is_final(&error) => return Err(error),
                Ok(Err(error)) => {
                    running -= 1;
                    attempts.note(&format!("somebody came, but {error}"));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }
}

/// Where the peer is dialled, and how.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// `host:port` of the peer.
    pub address: &'a str,
    /// The proxy in between.
    pub proxy: Option<&'a Proxy>,
    /// Where failed attempts are noted.
    pub attempts: &'a Attempts,
}

/// Dials `host:port`, again and again until `limits.connect` has passed: the peer may start later than we do.
///
/// # Errors
/// Peer class: another key than expected (`KeyMismatch`), or the peer refused ours (`KeyRefused`).
/// Channel class: not reached in time (`Io` with the last reason), the stop flag was raised (`Interrupted`), or the peer
/// answered and stopped at once (`PeerStopped`).
pub fn dial(
    address: &str,
    identity: &IdentityKey,
    expected: ExpectedPeer,
    limits: &Limits,
    stop: &StopFlag,
) -> Result<TlsChannel, ChannelError> {
    dial_by(&Route { address, proxy: None, attempts: &Attempts::default() }, identity, expected, limits, stop)
}

/// As [`dial`], by a route.
///
/// # Errors
/// As there; Channel class also when the proxy refuses for good (`ProxyRefused`).
pub fn dial_by(
    route: &Route<'_>,
    identity: &IdentityKey,
    expected: ExpectedPeer,
    limits: &Limits,
    stop: &StopFlag,
) -> Result<TlsChannel, ChannelError> {
    let deadline = Instant::now() + limits.connect;
    let mut reason = String::from("no attempt was possible");
    loop {
        match check(deadline, limits.connect, stop, CONNECTING) {
            Ok(()) => {}
            Err(ChannelError::Timeout { .. }) => return Err(ChannelError::Io { doing: "dialling", reason }),
            Err(interrupted) => return Err(interrupted),
        }
        match reach_by(route, deadline, limits, stop) {
            Ok(socket) => {
                let (connection, verifier) = config::dialling(identity, expected)?;
                match open(socket, connection, &verifier, limits, stop, &StopFlag::new()) {
                    Ok(link) => {
                        route.attempts.clear();
                        return Ok(link);
                    }
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => reason = format!("{} was reached, but {error}", route.address),
                }
            }
            Err(Missed::ForGood(error)) => return Err(error),
            Err(Missed::ForNow(why)) => reason = why,
        }
        route.attempts.note(&reason);
        let again = Instant::now() + if route.proxy.is_some() { RETRY_PROXY } else { RETRY };
        while Instant::now() < again.min(deadline) && !stop.is_raised() {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Why an attempt came to nothing.
enum Missed {
    /// Another one may succeed.
    ForNow(String),
    /// None will.
    ForGood(ChannelError),
}

/// One attempt at a stream to the peer, through the proxy where there is one.
fn reach_by(route: &Route<'_>, deadline: Instant, limits: &Limits, stop: &StopFlag) -> Result<TcpStream, Missed> {
    let Some(proxy) = route.proxy else {
        return reach(route.address, deadline, stop).map_err(|why| Missed::ForNow(format!("{}: {why}", route.address)));
    };
    let of_proxy = |why: &dyn std::fmt::Display| Missed::ForNow(format!("the proxy {}: {why}", proxy.address()));
    let socket = reach(proxy.address(), deadline, stop).map_err(|why| of_proxy(&why))?;
    let limit = limits.handshake.min(HANDSHAKE_MOST);
    let until = deadline.min(Instant::now() + limit);
    let prepared = socket.set_read_timeout(Some(PAUSE)).and_then(|()| socket.set_write_timeout(Some(PAUSE)));
    prepared.map_err(|error| of_proxy(&error))?;
    match tunnel(&socket, proxy, route.address, &|| check(until, limit, stop, "the proxy's answer")) {
        Ok(()) => Ok(socket),
        Err(error) if is_final(&error) => Err(Missed::ForGood(error)),
        Err(ChannelError::Io { reason, .. }) => Err(of_proxy(&reason)),
        Err(error) => Err(of_proxy(&error)),
    }
}

/// One attempt at a TCP connection, name resolution included; both run on a thread so that the stop flag is heard.
fn reach(address: &str, deadline: Instant, stop: &StopFlag) -> Result<TcpStream, String> {
    let (report, reports) = channel();
    let owned = address.to_owned();
    let budget = DIAL_ONCE.min(deadline.saturating_duration_since(Instant::now())).max(PAUSE);
    let work = move || {
        let mut outcome = Err(String::from("the name has no address"));
        match owned.to_socket_addrs() {
            Ok(found) => {
                for address in found {
                    match TcpStream::connect_timeout(&address, budget) {
                        Ok(socket) => {
                            outcome = Ok(socket);
                            break;
                        }
                        Err(error) => outcome = Err(error.to_string()),
                    }
                }
            }
            Err(error) => outcome = Err(error.to_string()),
        }
        let _ = report.send(outcome);
    };
    std::thread::Builder::new().name("dial".into()).spawn(work).map_err(|error| error.to_string())?;
    loop {
        match reports.recv_timeout(PAUSE) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) if stop.is_raised() => return Err("interrupted".into()),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return Err("no answer".into()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("the attempt failed".into()),
        }
    }
}

/// Raises the flag when the wait is left, whichever way.
struct RaiseOnDrop(StopFlag);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// Errors that no later connection can mend. A peer that proved the expected key and says that it stops is one of them.
fn is_final(error: &ChannelError) -> bool {
    matches!(
        error,
        ChannelError::KeyMismatch { .. }
            | ChannelError::KeyRefused
            | ChannelError::Interrupted { .. }
            | ChannelError::PeerStopped { .. }
            | ChannelError::ProxyRefused { .. }
    )
}

fn check(deadline: Instant, limit: Duration, stop: &StopFlag, waiting_for: &'static str) -> Result<(), ChannelError> {
    if stop.is_raised() {
        return Err(ChannelError::Interrupted { waiting_for });
    }
    if Instant::now() >= deadline {
        return Err(ChannelError::Timeout { waiting_for, seconds: limit.as_secs().max(1) });
    }
    Ok(())
}

/// Handshake, check of the key, start of the link, and the "ready" frames that tell either side that the other accepted it.
fn open(
    socket: TcpStream,
    mut connection: Connection,
    verifier: &PinVerifier,
    limits: &Limits,
    stop: &StopFlag,
    left: &StopFlag,
) -> Result<TlsChannel, ChannelError> {
    let limit = limits.handshake.min(HANDSHAKE_MOST);
    let deadline = Instant::now() + limit;
    let failed = |error: std::io::Error| ChannelError::Io { doing: HANDSHAKE, reason: error.to_string() };
    socket.set_nonblocking(false).map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?;
    socket.set_read_timeout(Some(PAUSE)).map_err(failed)?;
    socket.set_write_timeout(Some(PAUSE)).map_err(failed)?;
    let bounds = || {
        check(deadline, limit, stop, HANDSHAKE)?;
        if left.is_raised() { Err(ChannelError::Closed { waiting_for: HANDSHAKE }) } else { Ok(()) }
    };
    if let Err(error) = shake_hands(&socket, &mut connection, &bounds) {
        let error = verifier.mismatch().unwrap_or(error);
        if matches!(error, ChannelError::KeyMismatch { .. }) {
            linger(&socket, Instant::now() + RETRY);
        }
        return Err(error);
    }
    let peer = authenticated_peer(&connection, verifier)?;
    let remaining = deadline.saturating_duration_since(Instant::now());
    TlsChannel::start(socket, connection, peer, limits, stop, remaining)
}

/// Runs the handshake to its end, or delivers our alert and says why not.
fn shake_hands(socket: &TcpStream, connection: &mut Connection, bounds: &dyn Fn() -> Result<(), ChannelError>) -> Result<(), ChannelError> {
    let mut buffer = [0_u8; READ_AT_ONCE];
    let mut total = 0;
    while connection.is_handshaking() || connection.wants_write() {
        bounds()?;
        if connection.wants_write() {
            match connection.write_tls(&mut &*socket) {
                Ok(_) => continue,
                Err(error) if waits(&error) => continue,
                // The peer may have refused us and gone: its alert is still to be read.
                Err(_) => {}
            }
        }
        let count = match (&mut &*socket).read(&mut buffer) {
            Ok(0) => return Err(ChannelError::Closed { waiting_for: HANDSHAKE }),
            Ok(count) => count,
            Err(error) if waits(&error) => continue,
            Err(error) => return Err(ChannelError::Io { doing: HANDSHAKE, reason: error.to_string() }),
        };
        total += count;
        if total > READ_IN_ALL {
            return Err(ChannelError::BadRecord { reason: "too many bytes before the handshake's end".into() });
        }
        let mut input = &buffer[..count];
        while !input.is_empty() {
            if let Err(error) = connection.read_tls(&mut input) {
                return Err(ChannelError::Io { doing: HANDSHAKE, reason: error.to_string() });
            }
            if let Err(error) = connection.process_new_packets() {
                // Best effort: the alert tells the peer why.
                while connection.wants_write() && bounds().is_ok() {
                    match connection.write_tls(&mut &*socket) {
                        Err(error) if !waits(&error) => break,
                        _ => {}
                    }
                }
                return Err(refusal(connection, &error));
            }
        }
    }
    Ok(())
}

pub(super) fn waits(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// What a TLS error means. A refusal counts only from a program that has spoken our protocol name: a stranger's does not.
pub(super) fn refusal(connection: &Connection, error: &rustls::Error) -> ChannelError {
    match error {
        rustls::Error::AlertReceived(AlertDescription::AccessDenied) if connection.alpn_protocol() == Some(PROTOCOL) => {
            ChannelError::KeyRefused
        }
        other => ChannelError::BadRecord { reason: other.to_string() },
    }
}

/// The peer's fingerprint after a complete handshake; everything is looked at again that the verifier must have ensured.
fn authenticated_peer(connection: &Connection, verifier: &PinVerifier) -> Result<Fingerprint, ChannelError> {
    let stranger = |reason: &str| ChannelError::BadRecord { reason: reason.into() };
    if connection.alpn_protocol() != Some(PROTOCOL) {
        return Err(stranger("the other program does not speak our protocol"));
    }
    let [key] = connection.peer_certificates().unwrap_or_default() else {
        return Err(stranger("the other program showed no key"));
    };
    verifier.accepts(key).ok_or_else(|| stranger("the handshake ended with a key that was not checked"))
}

/// Closes our direction and reads on for a moment: closing with unread bytes would destroy the alert on its way to the peer.
fn linger(socket: &TcpStream, deadline: Instant) {
    let mut socket = socket;
    let _ = socket.flush();
    let _ = socket.shutdown(Shutdown::Write);
    let mut buffer = [0_u8; READ_AT_ONCE];
    let mut total = 0;
    while Instant::now() < deadline && total < READ_IN_ALL {
        match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => total += count,
            Err(error) if waits(&error) => {}
            Err(_) => return,
        }
    }
}
