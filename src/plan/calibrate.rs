//! Five seconds with the real peer: round trip, both directions' bandwidth, both machines' speed while both work.
//!
//! **Messages** `ping` and its echo, ten times · first from the owner, then from the partner: the size of a burst (4 bytes), `load` in
//! frames of at most 1 MiB, answered by `loaded`; bursts grow fourfold until one takes long; size 0 ends · `start`, both ways: then both
//! compute at the same time · `measured`, both ways: what each side found (24 bytes).
//!
//! Speed is counted in transforms of the training's ring, on all threads: what a training does most.

use crate::data::Side;
use crate::error::{Exit, Failure};
use colift_channel::{Channel, Kind};
use colift_rlwe::{N, Poly};
use std::time::{Duration, Instant};

const PING: Kind = Kind { code: 0x0132, name: "ping" };
const LOAD: Kind = Kind { code: 0x0133, name: "load" };
const BURST: Kind = Kind { code: 0x0137, name: "size of the next burst" };
const LOADED: Kind = Kind { code: 0x0134, name: "loaded" };
const START: Kind = Kind { code: 0x0135, name: "start of the speed test" };
const MEASURED: Kind = Kind { code: 0x0136, name: "measured speeds" };

const PINGS: usize = 10;
const FRAME: usize = 1 << 20;
/// Bytes of the first burst; each following one has four times as many.
const FIRST_BURST: usize = 64 << 10;
const BURSTS: u32 = 5;
/// A burst that took so long is the last.
const LONG: Duration = Duration::from_millis(700);
/// How long both machines compute.
const COMPUTE: Duration = Duration::from_millis(800);

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Seconds there and back.
    pub round_trip: f64,
    /// Bytes a second from the owner to the partner, and from the partner to the owner.
    pub bytes_a_second: [f64; 2],
    /// Transforms a second of each side, all threads together, while the other side computed too.
    pub transforms: [f64; 2],
}

/// Measures; both sides end with the same figures.
///
/// # Errors
/// Exit code 19: the peer says what nobody measures. The link's failures.
pub fn measure(channel: &mut dyn Channel, side: Side) -> Result<Link, Failure> {
    let round_trip = ping(channel, side)?;
    let mut rates = [0.0; 2];
    for (rate, sender) in rates.iter_mut().zip([Side::Owner, Side::Partner]) {
        if side == sender {
            *rate = load(channel)?;
        } else {
            unload(channel)?;
        }
    }
    channel.send(START, &[])?;
    channel.receive(START, 0)?;
    let speed = compute();
    // Each side tells what it alone measured: its direction's rate, its speed; the owner also the round trip.
    let own_rate = rates[side as usize];
    channel.send(MEASURED, &[own_rate, speed, round_trip].map(f64::to_le_bytes).concat())?;
    let theirs = channel.receive(MEASURED, 24)?;
    let mut numbers = [0.0; 3];
    for (number, bytes) in numbers.iter_mut().zip(theirs.as_chunks::<8>().0) {
        *number = f64::from_le_bytes(*bytes);
    }
    let [peer_rate, peer_speed, peer_round_trip] = numbers;
    if !numbers.iter().all(|number| number.is_finite() && *number >= 0.0) || peer_rate <= 0.0 || peer_speed <= 0.0 {
        return Err(Failure::new(Exit::Protocol, 822, "the peer's measurements are no measurements"));
    }
    Ok(match side {
        Side::Owner => Link { round_trip, bytes_a_second: [own_rate, peer_rate], transforms: [speed, peer_speed] },
        Side::Partner => Link { round_trip: peer_round_trip, bytes_a_second: [peer_rate, own_rate], transforms: [peer_speed, speed] },
    })
}

/// The owner's median round trip in seconds; 0 at the partner.
fn ping(channel: &mut dyn Channel, side: Side) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for _ in 0..PINGS {
        if side == Side::Owner {
            let began = Instant::now();
            channel.send(PING, &[0; 16])?;
            channel.receive(PING, 16)?;
            times.push(began.elapsed().as_secs_f64());
        } else {
            channel.receive(PING, 16)?;
            channel.send(PING, &[0; 16])?;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Sends bursts until one takes long; bytes a second of the last.
fn load(channel: &mut dyn Channel) -> Result<f64, Failure> {
    let frame: Vec<u8> = (0..FRAME as u32).map(|i| (i.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
    let mut rate = 0.0;
    for bytes in bursts() {
        let began = Instant::now();
        channel.send(BURST, &(bytes as u32).to_le_bytes())?;
        for start in (0..bytes).step_by(FRAME) {
            channel.send(LOAD, frame.get(..FRAME.min(bytes - start)).unwrap_or_default())?;
        }
        channel.receive(LOADED, 0)?;
        let took = began.elapsed();
        rate = bytes as f64 / took.as_secs_f64().max(1e-6);
        if took >= LONG {
            break;
        }
    }
    channel.send(BURST, &0u32.to_le_bytes())?;
    Ok(rate)
}

/// Takes the peer's bursts.
fn unload(channel: &mut dyn Channel) -> Result<(), Failure> {
    for bytes in bursts().chain([0]) {
        let announced = channel.receive(BURST, 4)?;
        let announced = announced.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
        if announced == 0 {
            return Ok(());
        }
        if announced != bytes {
            return Err(Failure::new(Exit::Protocol, 823, "the peer announced a burst of another size"));
        }
        for start in (0..bytes).step_by(FRAME) {
            channel.receive(LOAD, FRAME.min(bytes - start))?;
        }
        channel.send(LOADED, &[])?;
    }
    Ok(())
}

/// Bytes of the bursts.
fn bursts() -> impl Iterator<Item = usize> {
    (0..BURSTS).map(|burst| FIRST_BURST << (2 * burst))
}

/// Transforms a second on all threads.
fn compute() -> f64 {
    let began = Instant::now();
    let of_thread = move |thread: usize| {
        let small: Vec<i32> = (0..N).map(|i| ((i * 31 + thread) % 1000) as i32).collect();
        let mut poly = Poly::from_small(&small, 1);
        let mut done = 0u64;
        while began.elapsed() < COMPUTE {
            for _ in 0..32 {
                poly.transform();
                poly.untransform();
            }
            done += 64;
        }
        std::hint::black_box(&poly);
        done
    };
    let threads = rayon::current_num_threads();
    let done: u64 = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|thread| scope.spawn(move || of_thread(thread))).collect();
        started.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    });
    done as f64 / began.elapsed().as_secs_f64()
}
