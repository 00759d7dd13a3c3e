//! Rows obey a = b + c·Δ at the declared cost; a receiver with unlike columns is caught.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::memory::pair;
use colift_testkit::run_pair;

const BOTH: [Security; 2] = [Security::SemiHonest, Security::Malicious];

fn random(count: usize) -> Vec<u128> {
    let mut prg = Prg::from_os().unwrap();
    (0..count).map(|_| prg.next_u128()).collect()
}

#[test]
fn rows_obey_the_equation_at_the_declared_cost() {
    for security in BOTH {
        let c = random(5);
        let ((delta, b), a, sent_s, sent_r) = run_pair(
            |channel| {
                let mut sender = BitVoleSender::setup(channel, Role::First).unwrap();
                let b: Vec<_> = [600, 1].map(|n| sender.rows(channel, n, security).unwrap().to_vec()).concat();
                (sender.delta(), b)
            },
            |channel| {
                let mut receiver = BitVoleReceiver::setup(channel, Role::Second).unwrap();
                [&c[..], &[7]].map(|c| receiver.rows(channel, c, security).unwrap().to_vec()).concat()
            },
        );
        assert_eq!((a.len(), b.len()), (6 * BLOCK, 6 * BLOCK));
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            let block = if i < 640 { c[i / 128] } else { 7 };
            assert_eq!(*a, b ^ delta & (block >> (i % 128) & 1).wrapping_neg());
        }
        for (i, (a, b)) in pack_elements(&a).iter().zip(pack_elements(&b)).enumerate() {
            assert_eq!(*a, b ^ gf128::multiply(if i < 5 { c[i] } else { 7 }, delta));
        }
        let (mut sender, mut receiver) = (Meter::default(), Meter::default());
        declare_setup_sender(&mut sender);
        declare_setup_receiver(&mut receiver);
        for n in [600, 1] {
            declare_sender(&mut sender, n, security);
            declare_receiver(&mut receiver, n, security);
        }
        assert_eq!((sender.counters(), receiver.counters()), (sent_s, sent_r));
    }
}

/// A receiver that changes what it sends; the sender's outcome.
fn cheat(change: impl Fn(Kind, &mut Vec<u8>) + Send + Sync) -> Result<(), CorrelationError> {
    struct Changed<'a, C, F>(&'a mut C, F);
    impl<C: Channel, F: Fn(Kind, &mut Vec<u8>) + Send> Channel for Changed<'_, C, F> {
        fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), colift_channel::ChannelError> {
            let mut payload = payload.to_vec();
            (self.1)(kind, &mut payload);
            self.0.send(kind, &payload)
        }
        fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, colift_channel::ChannelError> {
            self.0.receive_at_most(kind, cap)
        }
        fn counters(&self) -> colift_channel::Counters {
            self.0.counters()
        }
    }
    let (mut a, mut b) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut receiver = BitVoleReceiver::setup(&mut b, Role::Second).unwrap();
            let _ = receiver.rows(&mut Changed(&mut b, &change), &[3, 4], Security::Malicious);
        });
        let mut sender = BitVoleSender::setup(&mut a, Role::First).unwrap();
        sender.rows(&mut a, 256, Security::Malicious).map(|_| ())
    })
}

#[test]
fn unlike_columns_abort() {
    assert_eq!(cheat(|_, _| ()), Ok(()));
    let column = 3 * BLOCK / 8;
    // Twenty trees whose message has another bit: the receiver would have to guess their eighty bits of Δ.
    let many = cheat(|kind, bytes| {
        if kind == COLUMNS {
            (0..20).for_each(|j| bytes[j * column] ^= 1);
        }
    });
    assert_eq!(many, Err(CorrelationError::ColumnCheck));
    for at in [0, 15, 16, 47] {
        let answer = cheat(|kind, bytes| {
            if kind == CHECK {
                bytes[at] ^= 0x40;
            }
        });
        assert_eq!(answer, Err(CorrelationError::ColumnCheck));
    }
    // One message: passes exactly when all four bits of Δ are 0 there, so one time in sixteen.
    let passed = (0..160)
        .filter(|_| {
            cheat(|kind, bytes| {
                if kind == COLUMNS {
                    bytes[5 * column] ^= 1
                }
            })
            .is_ok()
        })
        .count();
    assert!((1..=40).contains(&passed), "{passed} of 160");
}

#[test]
fn too_many_rows_are_refused() {
    let (mut a, mut b) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| BitVoleReceiver::setup(&mut b, Role::Second).unwrap());
        let mut sender = BitVoleSender::setup(&mut a, Role::First).unwrap();
        let error = sender.rows(&mut a, MOST_ROWS + 1, Security::SemiHonest).err();
        assert_eq!(error, Some(CorrelationError::TooLong { length: MOST_ROWS + 1, most: MOST_ROWS }));
    });
}

/// Sums that do not fit together: the receiver passes where Δ turns away from them, and its rows are true then.
#[test]
fn false_trees_abort_or_were_guessed() {
    let mut passed = 0;
    for _ in 0..60 {
        let c = random(2);
        let (mut x, mut y) = pair();
        let (outcome, a) = std::thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                // The left sum of one tree's first level: read by those whose first bit is 1.
                let mut channel = Tampering(&mut y);
                let mut receiver = BitVoleReceiver::setup(&mut channel, Role::Second).unwrap();
                receiver.rows(&mut channel, &c, Security::Malicious).map(|a| a.to_vec())
            });
            let mut sender = BitVoleSender::setup(&mut x, Role::First).unwrap();
            let outcome = sender.rows(&mut x, 256, Security::Malicious).map(|b| (sender.delta(), b.to_vec()));
            (outcome, receiving.join().unwrap().unwrap())
        });
        match outcome {
            Ok((delta, b)) => {
                passed += 1;
                assert_eq!(delta >> 15 & 1, 0);
                for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                    assert_eq!(*a, b ^ delta & (c[i / 128] >> (i % 128) & 1).wrapping_neg());
                }
            }
            Err(error) => assert_eq!(error, CorrelationError::ColumnCheck),
        }
    }
    assert!((10..=50).contains(&passed), "{passed} of 60");
}

/// Changes the fourth tree's first left sum.
struct Tampering<'a, C>(&'a mut C);

impl<C: Channel> Channel for Tampering<'_, C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), colift_channel::ChannelError> {
        let mut payload = payload.to_vec();
        if kind == SUMS {
            payload[3 * 32 * LEVELS + 5] ^= 1;
        }
        self.0.send(kind, &payload)
    }
    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, colift_channel::ChannelError> {
        self.0.receive_at_most(kind, cap)
    }
    fn counters(&self) -> colift_channel::Counters {
        self.0.counters()
    }
}
