//! A TCP relay between the two programs with a bandwidth and a delay each way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A link as it is between companies.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes a second, each way.
    pub rate: f64,
    /// One way.
    pub delay: Duration,
}

/// Relays connections to a port of loopback for as long as the test's process lives; where it listens.
pub fn start(to: u16, shape: Shape) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for dialler in listener.incoming().map_while(Result::ok) {
            // Nobody listens yet: the dialler tries again.
            let Ok(target) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
            for stream in [&dialler, &target] {
                stream.set_nodelay(true).unwrap();
            }
            let ends = [(dialler.try_clone().unwrap(), target.try_clone().unwrap()), (target, dialler)];
            for (from, to) in ends {
                relay(from, to, shape);
            }
        }
    });
    port
}

/// One direction: each piece leaves when the line is free, and arrives a delay later.
fn relay(mut from: TcpStream, mut to: TcpStream, shape: Shape) {
    // As much as the line holds in a quarter of a second: a sender does not run far ahead of it.
    let (pieces, due) = mpsc::sync_channel::<(Instant, Vec<u8>)>(64);
    std::thread::spawn(move || {
        while let Ok((at, piece)) = due.recv() {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    std::thread::spawn(move || {
        let (mut buffer, mut free) = (vec![0; 16 << 10], Instant::now());
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            free = free.max(Instant::now()) + Duration::from_secs_f64(count as f64 / shape.rate);
            if pieces.send((free + shape.delay, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
}
