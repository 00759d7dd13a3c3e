//! A TCP relay between the two programs that counts bytes and commits one fault at a chosen byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the side that dials.
    Dialler,
    /// From the side that listens.
    Listener,
}

/// What goes wrong after so many bytes of one way, on every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Both connections are closed; exactly so many bytes have passed.
    Cut(Way, u64),
    /// The lowest bit of this byte is turned.
    Flip(Way, u64),
    /// Some bytes of nobody's are slipped in.
    Garbage(Way, u64),
    /// Nothing passes any more, either way; the connections stay open.
    Stall(Way, u64),
}

/// A relay at work.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    stalled: AtomicBool,
    committed: AtomicBool,
    dialler: AtomicU64,
    listener: AtomicU64,
}

impl Proxy {
    /// Relays to this port of loopback.
    pub fn start(to: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        std::thread::spawn(move || {
            while !own.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((dialler, _)) => {
                        dialler.set_nonblocking(false).unwrap();
                        // Nobody listens yet: the dialler tries again.
                        if let Ok(target) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) {
                            relay(dialler, target, fault, &own);
                        }
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { port, shared }
    }

    /// Bytes that passed, from the dialler and from the listener, over all connections that reached the listener.
    pub fn passed(&self) -> (u64, u64) {
        (self.shared.dialler.load(Ordering::Relaxed), self.shared.listener.load(Ordering::Relaxed))
    }

    /// Whether the fault was committed.
    pub fn committed(&self) -> bool {
        self.shared.committed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn relay(dialler: TcpStream, target: TcpStream, fault: Fault, shared: &Arc<Shared>) {
    for stream in [&dialler, &target] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    }
    for (way, from, to) in [(Way::Dialler, dialler.try_clone().unwrap(), target.try_clone().unwrap()), (Way::Listener, target, dialler)] {
        let shared = shared.clone();
        std::thread::spawn(move || pump(way, from, to, fault, &shared));
    }
}

/// Carries one way until either end closes or the fault says so.
fn pump(way: Way, mut from: TcpStream, mut to: TcpStream, fault: Fault, shared: &Shared) {
    let counter = if way == Way::Dialler { &shared.dialler } else { &shared.listener };
    let at = match fault {
        Fault::Cut(own, at) | Fault::Flip(own, at) | Fault::Garbage(own, at) | Fault::Stall(own, at) if own == way => at,
        _ => u64::MAX,
    };
    let (mut buffer, mut seen) = ([0u8; 16 << 10], 0u64);
    while !shared.stop.load(Ordering::Relaxed) {
        if shared.stalled.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => continue,
            Err(_) => break,
        };
        let bytes = &mut buffer[..count];
        let within = usize::try_from(at.saturating_sub(seen)).unwrap_or(usize::MAX);
        if seen <= at && within < count {
            shared.committed.store(true, Ordering::Relaxed);
            match fault {
                Fault::Cut(..) => {
                    let _ = to.write_all(&bytes[..within]);
                    break;
                }
                Fault::Stall(..) => {
                    let _ = to.write_all(&bytes[..within]);
                    shared.stalled.store(true, Ordering::Relaxed);
                    continue;
                }
                Fault::Garbage(..) => {
                    let _ = to.write_all(&bytes[..within]).and_then(|()| to.write_all(&[0xA5; 64]));
                    if to.write_all(&bytes[within..]).is_err() {
                        break;
                    }
                }
                Fault::Flip(..) => bytes[within] ^= 1,
                Fault::None => {}
            }
            if matches!(fault, Fault::Garbage(..)) {
                seen += count as u64;
                continue;
            }
        }
        if shared.stalled.load(Ordering::Relaxed) {
            continue;
        }
        if to.write_all(bytes).is_err() {
            break;
        }
        seen += count as u64;
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
