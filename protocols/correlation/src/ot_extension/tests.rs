//! Correlated OT against its ideal double, its declared cost and malformed messages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::fault::{Fault, Faulty};
use colift_channel::memory::{pair, pair_with_idle};
use colift_channel::{ChannelError, Class};
use colift_testkit::{cases, run_pair};
use std::time::Duration;

/// What both worlds offer: several batches from one state.
trait Correlated {
    fn run(&self, batches: &[(Vec<u64>, Vec<bool>, u32)]) -> Vec<(Vec<u64>, Vec<u64>)>;
}

/// The protocol over a memory pair.
struct Real;

/// The functionality: fresh shares of x·c.
struct Ideal;

impl Correlated for Real {
    fn run(&self, batches: &[(Vec<u64>, Vec<bool>, u32)]) -> Vec<(Vec<u64>, Vec<u64>)> {
        let (s, r, ..) = run_pair(
            |c| {
                let mut sender = CotSender::setup(c, Role::First).unwrap();
                batches.iter().map(|(values, _, bits)| sender.correlate(c, values, *bits).unwrap()).collect::<Vec<_>>()
            },
            |c| {
                let mut receiver = CotReceiver::setup(c, Role::Second).unwrap();
                batches.iter().map(|(_, choices, bits)| receiver.correlate(c, choices, *bits).unwrap()).collect::<Vec<_>>()
            },
        );
        s.into_iter().zip(r).collect()
    }
}

impl Correlated for Ideal {
    fn run(&self, batches: &[(Vec<u64>, Vec<bool>, u32)]) -> Vec<(Vec<u64>, Vec<u64>)> {
        let mut prg = Prg::from_os().unwrap();
        let batch = |(values, choices, bits): &(Vec<u64>, Vec<bool>, u32)| {
            let each = values.iter().zip(choices);
            let share = |(c, x): (&u64, &bool)| {
                let s = prg.next_u64() & mask(*bits);
                (s, c.wrapping_mul(u64::from(*x)).wrapping_sub(s) & mask(*bits))
            };
            each.map(share).unzip()
        };
        batches.iter().map(batch).collect()
    }
}

fn shares_add_up(world: &impl Correlated, prg: &mut Prg) {
    let mut batches = Vec::new();
    for _ in 0..1 + prg.below(4) {
        let n = prg.below(400) as usize;
        let values = (0..n).map(|_| prg.next_u64()).collect();
        let choices = (0..n).map(|_| prg.below(2) == 1).collect();
        batches.push((values, choices, 1 + prg.below(64) as u32));
    }
    for ((s, r), (values, choices, bits)) in world.run(&batches).iter().zip(&batches) {
        assert_eq!((s.len(), r.len()), (values.len(), values.len()));
        for (((s, r), c), x) in s.iter().zip(r).zip(values).zip(choices) {
            assert!(*s <= mask(*bits) && *r <= mask(*bits));
            assert_eq!(s.wrapping_add(*r) & mask(*bits), c.wrapping_mul(u64::from(*x)) & mask(*bits));
        }
    }
}

#[test]
fn both_worlds_give_shares_of_the_product() {
    cases("correlated OT", 12, |prg| {
        shares_add_up(&Ideal, prg);
        shares_add_up(&Real, prg);
    });
}

#[test]
fn more_than_one_frame_in_two_flights_at_the_declared_cost() {
    let n = 2 * FRAME_OTS + 77;
    let values: Vec<u64> = (0..n as u64).map(|i| i * i).collect();
    let choices: Vec<bool> = (0..n).map(|i| i % 3 == 0).collect();
    let (s, r, sender, receiver) = run_pair(
        |c| {
            let mut cot = CotSender::setup(c, Role::Second).unwrap();
            let before = c.counters();
            (cot.correlate(c, &values, 50).unwrap(), before)
        },
        |c| {
            let mut cot = CotReceiver::setup(c, Role::First).unwrap();
            let before = c.counters();
            (cot.correlate(c, &choices, 50).unwrap(), before)
        },
    );
    for i in 0..n {
        assert_eq!((s.0[i] + r.0[i]) & mask(50), values[i].wrapping_mul(u64::from(choices[i])) & mask(50));
    }
    // A sender's columns come right after the base OT's key: its wait goes on, so meters are primed with setup.
    let mut meter = Meter::default();
    meter.sent(base_ot::POINTS_BYTES);
    meter.received(base_ot::KEY_BYTES);
    assert_eq!(meter.counters(), s.1);
    declare_sender(&mut meter, n, 50);
    assert_eq!(meter.counters(), sender);
    let mut meter = Meter::default();
    meter.sent(base_ot::KEY_BYTES);
    meter.received(base_ot::POINTS_BYTES);
    assert_eq!(meter.counters(), r.1);
    declare_receiver(&mut meter, n, 50);
    assert_eq!(meter.counters(), receiver);
    // The formula of the header.
    let bytes = receiver.bytes_sent - r.1.bytes_sent - 3 * colift_channel::HEADER_BYTES as u64;
    assert_eq!(bytes, 16 * 128 * (n as u64).div_ceil(128));
}

#[test]
fn shares_look_uniform_whatever_the_inputs() {
    let n = 1 << 14;
    for (value, choice) in [(0u64, false), (0xabc, true)] {
        let (s, r) = Real.run(&[(vec![value; n], vec![choice; n], 8)]).remove(0);
        for shares in [s, r] {
            let mut counts = [0f64; 256];
            shares.iter().for_each(|share| counts[*share as usize] += 1.0);
            let expected = n as f64 / 256.0;
            let chi: f64 = counts.iter().map(|count| (count - expected) * (count - expected) / expected).sum();
            assert!(chi < 400.0, "chi-squared {chi} of 255 degrees");
        }
    }
}

#[test]
fn repeated_batches_never_repeat_pads() {
    let batch = (vec![0u64; 256], vec![false; 256], 64);
    let runs = Real.run(&[batch.clone(), batch]);
    let mut all: Vec<u64> = runs.iter().flat_map(|(s, _)| s.clone()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 512);
}

#[test]
fn widths_outside_the_ring_are_refused_before_anything_is_sent() {
    let (s, r, ..) = run_pair(
        |c| CotSender::setup(c, Role::First).map(|mut cot| [0, 65].map(|bits| cot.correlate(c, &[1], bits).err())).unwrap(),
        |c| CotReceiver::setup(c, Role::Second).map(|mut cot| [0, 65].map(|bits| cot.correlate(c, &[true], bits).err())).unwrap(),
    );
    for error in s.into_iter().chain(r) {
        assert_eq!(error.unwrap().class(), Class::Config);
    }
}

#[test]
fn garbled_messages_end_in_errors_or_wrong_shares_never_in_a_panic() {
    // Messages of the OT sender: points, payload. Of the receiver: key, columns.
    for fault in Fault::ALL {
        for at in 0..2 {
            for faulty_sender in [true, false] {
                let (mut a, mut b) = pair_with_idle(Duration::from_millis(300));
                let run_sender = |c: &mut dyn Channel| CotSender::setup(c, Role::First)?.correlate(c, &[1, 2, 3], 7);
                let run_receiver = |c: &mut dyn Channel| CotReceiver::setup(c, Role::Second)?.correlate(c, &[true, false, true], 7);
                let (sent, received) = std::thread::scope(|scope| {
                    let sender =
                        scope.spawn(move || if faulty_sender { run_sender(&mut Faulty::new(a, fault, at, 5)) } else { run_sender(&mut a) });
                    let receiver = scope
                        .spawn(move || if faulty_sender { run_receiver(&mut b) } else { run_receiver(&mut Faulty::new(b, fault, at, 5)) });
                    (sender.join().unwrap(), receiver.join().unwrap())
                });
                let honest = if faulty_sender { received } else { sent };
                let must_fail = matches!(fault, Fault::Cut | Fault::Oversized | Fault::WrongKind | Fault::Short | Fault::Silence);
                assert!(honest.is_err() || !must_fail, "{fault:?} at {at}");
            }
        }
    }
}

#[test]
fn lengths_come_from_our_own_state() {
    let (mut a, mut b) = pair();
    let payload = vec![0u8; 16 * 128 + 1];
    let (_, mut cot, ..) = run_pair(|c| CotReceiver::setup(c, Role::Second).unwrap(), |c| CotSender::setup(c, Role::First).unwrap());
    b.send(COLUMNS, &payload).unwrap();
    let error = cot.correlate(&mut a, &[1, 2], 8).err().unwrap();
    assert!(matches!(error, CorrelationError::Channel(ChannelError::Oversized { cap: 2048, .. })));
}

#[test]
fn unused_payload_bits_are_refused() {
    let (mut receiver, ..) = run_pair(|c| CotReceiver::setup(c, Role::Second).unwrap(), |c| CotSender::setup(c, Role::First).unwrap());
    let (mut a, mut b) = pair();
    b.send(PAYLOAD, &[0x80]).unwrap();
    let error = receiver.correlate(&mut a, &[true, true, true], 1).err().unwrap();
    assert_eq!(error.class(), Class::Peer);
}
