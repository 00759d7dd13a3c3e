//! Rows obey a = b + c·Δ at every length at the declared cost; tampered messages abort.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::memory::{MemoryChannel, pair};
use colift_channel::{ChannelError, Counters};
use colift_testkit::run_pair;

fn params(length: usize, security: Security, mode: VoleMode) -> VoleParams {
    VoleParams { length, security, mode, session: [5; 32] }
}

fn assert_rows(sent: &VoleSent, received: &VoleReceived, length: usize) {
    assert_eq!((sent.b.len(), received.a.len(), received.c.len()), (length, length, length));
    for ((a, b), c) in received.a.iter().zip(sent.b.iter()).zip(received.c.iter()) {
        assert_eq!(*a, b ^ gf128::multiply(*c, *sent.delta));
    }
}

#[test]
fn rows_obey_the_equation_at_the_declared_cost() {
    let silent = [0, 1, 31, 9216, 9217, 10_001, 70_000].map(|length| (length, VoleMode::Silent));
    let conservative = [0, 1, 100, FRAME_ELEMENTS + 3].map(|length| (length, VoleMode::Conservative));
    for (length, mode) in silent.into_iter().chain(conservative) {
        for security in [Security::SemiHonest, Security::Malicious] {
            let params = params(length, security, mode);
            let (sent, received, cost_s, cost_r) =
                run_pair(|c| send(c, Role::First, &params).unwrap(), |c| receive(c, Role::Second, &params).unwrap());
            assert_rows(&sent, &received, length);
            let (mut sender, mut receiver) = (Meter::default(), Meter::default());
            declare_send(&mut sender, &params);
            declare_receive(&mut receiver, &params);
            assert_eq!((sender.counters(), receiver.counters()), (cost_s, cost_r), "{params:?}");
            // c looks random: no repeats, about half of all bits set.
            let ones: u32 = received.c.iter().map(|c| c.count_ones()).sum();
            assert!(length < 100 || (f64::from(ones) / (128.0 * length as f64) - 0.5).abs() < 0.02);
        }
    }
}

#[test]
fn evaluations_are_polynomials() {
    let values: Vec<u128> = (0..2 * POWERS as u128 + 5).map(|i| i * i + 1).collect();
    let point = 0x1234_5678_9abc_def0_0fed_cba9_8765_4321;
    let slow = values.iter().enumerate().fold(0, |sum, (i, value)| sum ^ gf128::multiply(*value, power(point, i + 1)));
    for pieces in [vec![0, values.len()], vec![0, 0, 7, POWERS, POWERS + 3, 2 * POWERS + 3, values.len()]] {
        let mut evaluation = Evaluation::new(point);
        pieces.windows(2).for_each(|piece| evaluation.take(&values[piece[0]..piece[1]]));
        assert_eq!(evaluation.sum, slow, "{pieces:?}");
    }
    assert_eq!((power(point, 0), power(point, 1), power(point, 3)), (1, point, gf128::multiply(point, gf128::multiply(point, point))));
}

/// A channel that changes what it sends.
struct Changed<F>(MemoryChannel, F);

impl<F: FnMut(Kind, &mut Vec<u8>) + Send> Channel for Changed<F> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        let mut payload = payload.to_vec();
        (self.1)(kind, &mut payload);
        self.0.send(kind, &payload)
    }
    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        self.0.receive_at_most(kind, cap)
    }
    fn counters(&self) -> Counters {
        self.0.counters()
    }
}

/// The honest receiver's outcome against a sender that changes its messages.
fn against_sender(params: VoleParams, change: impl FnMut(Kind, &mut Vec<u8>) + Send) -> Result<(), CorrelationError> {
    let (x, mut y) = pair();
    std::thread::scope(|scope| {
        scope.spawn(move || send(&mut Changed(x, change), Role::First, &params).map(|_| ()));
        receive(&mut y, Role::Second, &params).map(|_| ())
    })
}

#[test]
fn a_sender_with_false_trees_is_caught() {
    let malicious = params(100, Security::Malicious, VoleMode::Silent);
    assert_eq!(against_sender(malicious, |_, _| ()), Ok(()));
    let bytes = Forest::new(&Lpn::for_length(100), &[5; 32]).tree_bytes();
    // The last correction of a tree reaches every receiver; the evaluation itself; all corrections of a level on both sides.
    let last = |kind: Kind, payload: &mut Vec<u8>| {
        if kind == TREES {
            payload[bytes - 1] ^= 1;
        }
    };
    let evaluation = |kind: Kind, payload: &mut Vec<u8>| {
        if kind == EVALUATION {
            payload[31] ^= 0x80;
        }
    };
    let level = |kind: Kind, payload: &mut Vec<u8>| {
        if kind == TREES {
            payload[0] ^= 4;
            payload[16] ^= 4;
        }
    };
    assert_eq!(against_sender(malicious, last), Err(CorrelationError::TreeCheck));
    assert_eq!(against_sender(malicious, evaluation), Err(CorrelationError::TreeCheck));
    assert_eq!(against_sender(malicious, level), Err(CorrelationError::TreeCheck));
    // One side of the first level: passes when the receiver's path turns to that side, about half the time.
    let passed = (0..40)
        .filter(|_| {
            against_sender(malicious, |kind, p| {
                if kind == TREES {
                    p[3] ^= 1
                }
            })
            .is_ok()
        })
        .count();
    assert!((5..=35).contains(&passed), "{passed} of 40");
}

#[test]
fn a_receiver_with_unlike_columns_is_caught() {
    for mode in [VoleMode::Silent, VoleMode::Conservative] {
        let params = params(100, Security::Malicious, mode);
        let (x, y) = pair();
        let outcome = std::thread::scope(|scope| {
            let change = |kind: Kind, payload: &mut Vec<u8>| {
                if kind.name == "VOLE: columns" {
                    let column = payload.len() / 32;
                    (0..30).for_each(|j| payload[j * column + 9] ^= 2);
                }
            };
            scope.spawn(move || receive(&mut Changed(y, change), Role::Second, &params).map(|_| ()));
            // The end is dropped with the scope's closure, so the peer does not wait for it.
            let mut x = x;
            send(&mut x, Role::First, &params).map(|_| ())
        });
        assert_eq!(outcome, Err(CorrelationError::ColumnCheck));
    }
}

#[test]
fn too_long_is_refused() {
    let (mut x, _y) = pair();
    let params = params(MOST_LENGTH + 1, Security::SemiHonest, VoleMode::Silent);
    assert!(matches!(send(&mut x, Role::First, &params).err(), Some(CorrelationError::TooLong { .. })));
    assert!(matches!(receive(&mut x, Role::First, &params).err(), Some(CorrelationError::TooLong { .. })));
}
