//! The two threads of a link: one drains the socket into the queue, one says that we are alive.

use super::connect::refusal;
use super::frames::Parser;
use super::inbox::End;
use super::outbox::lock;
use super::{Shared, after};
use crate::ChannelError;
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The reader thread: socket → TLS → frames → queue, until the link ends.
pub(super) fn read_all(mut socket: TcpStream, shared: &Shared) {
    let mut parser = Parser::new();
    let mut buffer = vec![0_u8; 1 << 16];
    let mut plain = Vec::with_capacity(1 << 16);
    // The handshake may have brought the first frames along.
    let mut count = 0;
    let end = loop {
        if let Err(end) = advance(&buffer[..count], shared, &mut parser, &mut plain) {
            break end;
        }
        count = match socket.read(&mut buffer) {
            Ok(0) => break End::Closed,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => 0,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break End::Closed,
            Err(error) => break End::Io(error.to_string()),
        };
    };
    if matches!(end, End::BadRecord(_))
        && let Ok(mut outbox) = shared.outbox.try_lock()
    {
        outbox.flush_alerts(&shared.connection);
    }
    let gone = matches!(end, End::Closed | End::Stopped(_) | End::KeyRefused);
    shared.inbox.finish(end);
    if gone {
        // The peer reads no more: let its farewell end at once.
        let _ = socket.shutdown(Shutdown::Both);
    } else {
        // We leave by error: read on, so that our abort frame is not destroyed by unread bytes.
        while matches!(socket.read(&mut buffer), Ok(count) if count > 0) {}
    }
}

/// Decrypts one portion and feeds the frames in it. The TLS state is not held while the queue may make us wait.
fn advance(mut input: &[u8], shared: &Shared, parser: &mut Parser, plain: &mut Vec<u8>) -> Result<(), End> {
    loop {
        plain.clear();
        let mut connection = lock(&shared.connection);
        if !input.is_empty() {
            connection.read_tls(&mut input).map_err(|error| End::BadRecord(error.to_string()))?;
        }
        let state = connection.process_new_packets().map_err(|error| match refusal(&connection, &error) {
            ChannelError::KeyRefused => End::KeyRefused,
            _ => End::BadRecord(error.to_string()),
        })?;
        let closed = state.peer_has_closed();
        plain.resize(state.plaintext_bytes_to_read(), 0);
        connection.reader().read_exact(plain).map_err(|error| End::BadRecord(error.to_string()))?;
        drop(connection);
        if !plain.is_empty() {
            shared.inbox.hear();
            parser.feed(plain, &shared.inbox)?;
        }
        if closed {
            return Err(End::Closed);
        }
        if input.is_empty() {
            return Ok(());
        }
    }
}

/// The keep-alive thread: says that we are alive whenever nothing else was sent for a while, until the total deadline.
pub(super) fn keep_alive_until(shared: &Shared, interval: Duration, total_at: Instant) {
    let mut leaving = shared.leaving.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut due = after(interval);
    while !*leaving && Instant::now() < total_at {
        let pause = due.min(total_at).saturating_duration_since(Instant::now());
        leaving = shared.leaving.1.wait_timeout(leaving, pause).unwrap_or_else(PoisonError::into_inner).0;
        if *leaving || Instant::now() < due {
            continue;
        }
        drop(leaving);
        due = after(interval);
        // Whoever holds the outbox is sending: that is sign of life enough.
        let outbox = match shared.outbox.try_lock() {
            Ok(outbox) => Some(outbox),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(mut outbox) = outbox {
            let since = outbox.last_sent().elapsed();
            if since < interval {
                due = after(interval - since);
            } else if outbox.keep_alive(&shared.connection, &shared.status()).is_err() {
                return;
            }
        }
        leaving = shared.leaving.0.lock().unwrap_or_else(PoisonError::into_inner);
    }
}
