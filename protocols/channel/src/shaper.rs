//! A link shaper: a TCP relay on loopback with a stated bandwidth and latency in each direction, for benchmarks and tests.
//!
//! **Purpose.** Both real programs run over a link that behaves like a company network or the internet, with nothing of theirs
//! changed: one of them dials the relay instead of its peer.
//!
//! **Functionality.** A chunk that is read at time t leaves at max(t, end of the chunk before it) + length / bandwidth and
//! arrives a one-way latency later. Both directions are independent (full duplex). Bytes are not changed. About one
//! bandwidth-delay product and 256 KiB may be on the way, then the sender waits, as on a real link.
//!
//! **Security.** None: it sees what an observer of the link sees, the bytes of TLS.
//! **Cost.** Two threads a direction; headers of TCP/IP are not counted. **Messages.** None of its own.
//! **Source.** Token-bucket shaping without a burst.
//!
//! # Example
//! ```
//! use colift_channel::shaper::{LinkShape, Shaper};
//! use std::io::{Read, Write};
//! let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! let shaper = Shaper::start(listener.local_addr().unwrap(), LinkShape::LAN).unwrap();
//! let mut near = std::net::TcpStream::connect(shaper.address()).unwrap();
//! near.write_all(b"hi").unwrap();
//! let mut got = [0u8; 2];
//! listener.accept().unwrap().0.read_exact(&mut got).unwrap();
//! assert_eq!(&got, b"hi");
//! ```

use crate::ChannelError;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Bytes taken from a socket at once.
const CHUNK: usize = 16 << 10;
/// Chunks that may wait besides those that fill the link.
const SLACK: usize = 16;
/// How often a wait looks whether the shaper was dropped.
const TICK: Duration = Duration::from_millis(50);

/// Bandwidth and latency of one direction; both directions have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkShape {
    /// Bits a second.
    pub bits_per_second: u64,
    /// From one end to the other.
    pub one_way: Duration,
}

impl LinkShape {
    /// A company network: 1 Gbit/s each way, 1 ms round trip.
    pub const LAN: Self = Self { bits_per_second: 1_000_000_000, one_way: Duration::from_micros(500) };
    /// The internet between two data centres: 100 Mbit/s each way, 40 ms round trip.
    pub const WAN: Self = Self { bits_per_second: 100_000_000, one_way: Duration::from_millis(20) };

    /// Time that so many bytes occupy the link.
    #[must_use]
    pub fn occupies(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(8.0 * bytes as f64 / self.bits_per_second.max(1) as f64)
    }

    /// Chunks in the queue: what is on the way, and a little more.
    fn queue(&self) -> usize {
        let on_the_way = self.bits_per_second as f64 / 8.0 * self.one_way.as_secs_f64();
        (on_the_way / CHUNK as f64).ceil() as usize + SLACK
    }
}

/// A relay at work; dropping it ends the relay and its connections.
#[derive(Debug)]
pub struct Shaper {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Shaper {
    /// Listens on a free port of loopback and relays every connection to `target`.
    ///
    /// # Errors
    /// Channel class: no port of loopback is free.
    pub fn start(target: SocketAddr, shape: LinkShape) -> Result<Self, ChannelError> {
        let failed = |error: std::io::Error| ChannelError::Io { doing: "starting the link shaper", reason: error.to_string() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let own = stop.clone();
        std::thread::Builder::new().name("link shaper".into()).spawn(move || accept(&listener, target, shape, &own)).map_err(failed)?;
        Ok(Self { address, stop })
    }

    /// Where to dial.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Shaper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Takes connections until the shaper is dropped.
fn accept(listener: &TcpListener, target: SocketAddr, shape: LinkShape, stop: &Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((near, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        // Nobody listens at the target yet: the connection is dropped and the dialler tries again.
        let Ok(far) = TcpStream::connect(target) else { continue };
        let ready = near.set_nonblocking(false).and_then(|()| near.set_nodelay(true)).and_then(|()| far.set_nodelay(true));
        let (Ok(()), Ok(near_reader), Ok(far_reader)) = (ready, near.try_clone(), far.try_clone()) else { continue };
        for (from, to) in [(near_reader, far), (far_reader, near)] {
            let (sender, receiver) = sync_channel(shape.queue());
            let own = stop.clone();
            std::thread::spawn(move || take(from, &sender, shape, &own));
            std::thread::spawn(move || deliver(to, &receiver));
        }
    }
}

/// Reads one direction and states when each chunk arrives.
fn take(mut from: TcpStream, queue: &SyncSender<(Instant, Vec<u8>)>, shape: LinkShape, stop: &AtomicBool) {
    if from.set_read_timeout(Some(TICK)).is_err() {
        return;
    }
    let mut buffer = vec![0u8; CHUNK];
    let mut free_at = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                free_at = free_at.max(Instant::now()) + shape.occupies(count);
                if queue.send((free_at + shape.one_way, buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

/// Writes the chunks when their time has come; the end of one direction is passed on as such.
fn deliver(mut to: TcpStream, queue: &Receiver<(Instant, Vec<u8>)>) {
    for (due, bytes) in queue {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn connected(shape: LinkShape) -> (Shaper, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let shaper = Shaper::start(listener.local_addr().unwrap(), shape).unwrap();
        let near = TcpStream::connect(shaper.address()).unwrap();
        let far = listener.accept().unwrap().0;
        (shaper, near, far)
    }

    // Lower bounds only: a busy machine may be slower, never faster.
    #[test]
    fn a_message_and_its_answer_take_a_round_trip() {
        let shape = LinkShape { bits_per_second: 1_000_000_000, one_way: Duration::from_millis(30) };
        let (_shaper, mut near, mut far) = connected(shape);
        let mut byte = [0u8; 1];
        let start = Instant::now();
        for _ in 0..3 {
            near.write_all(&[7]).unwrap();
            far.read_exact(&mut byte).unwrap();
            far.write_all(&byte).unwrap();
            near.read_exact(&mut byte).unwrap();
        }
        assert_eq!(byte, [7]);
        assert!(start.elapsed() >= 6 * shape.one_way);
    }

    #[test]
    fn both_directions_carry_their_bytes_unchanged_and_no_faster_than_the_bandwidth() {
        let shape = LinkShape { bits_per_second: 40_000_000, one_way: Duration::from_millis(1) };
        let (_shaper, near, far) = connected(shape);
        const SIZE: usize = 1_000_003;
        let bytes = |salt: usize| (0..SIZE).map(|i| (i * 31 + i / 251 + salt) as u8).collect::<Vec<u8>>();
        let start = Instant::now();
        let transfer = |mut from: TcpStream, mut to: TcpStream, salt: usize| {
            let sender = std::thread::spawn(move || {
                from.write_all(&bytes(salt)).unwrap();
                from.shutdown(Shutdown::Write).unwrap();
            });
            std::thread::spawn(move || {
                let mut got = Vec::new();
                to.read_to_end(&mut got).unwrap();
                sender.join().unwrap();
                (got == bytes(salt), Instant::now())
            })
        };
        let there = transfer(near.try_clone().unwrap(), far.try_clone().unwrap(), 1);
        let back = transfer(far, near, 2);
        for end in [there, back] {
            let (same, at) = end.join().unwrap();
            assert!(same);
            assert!(at - start >= shape.occupies(SIZE));
        }
    }

    #[test]
    fn an_end_that_leaves_is_noticed_by_the_other() {
        let (shaper, near, mut far) = connected(LinkShape::LAN);
        drop(near);
        assert_eq!(far.read(&mut [0u8; 8]).unwrap(), 0);
        drop(shaper);
    }
}
