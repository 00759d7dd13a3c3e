//! The lift against its ideal double: multiplication and rounding of the opened value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::{Channel, Meter};
use colift_primitives::rng::Prg;
use colift_testkit::run_pair;

#[test]
fn lifts_from_a_prime_and_from_the_ring_within_two_units() {
    // Below and above the number of elements from which both directions carry them.
    [500, 1_200].into_iter().for_each(lifts);
}

fn lifts(count: usize) {
    let mut prg = Prg::from_os().unwrap();
    let cases = [(8_273_921u64, 1.0), (133_857_281, 0.0625), (1 << 50, 1.0 / 4096.0), (1 << 50, 0.731 / 26_399.0), (1 << 50, 1.0)];
    let mut values: Vec<Vec<i64>> = Vec::new();
    let (mut ours, mut theirs): (Vec<Vec<u64>>, Vec<Vec<u64>>) = (Vec::new(), Vec::new());
    for (t, _) in cases {
        let limit = (t / 128 * 31 - 1) as i64;
        let mut column: Vec<i64> = (0..count).map(|_| (prg.below(2 * limit as u64 + 1)) as i64 - limit).collect();
        column.extend([0, 1, -1, limit, -limit]);
        let mask: Vec<u64> = column.iter().enumerate().map(|(i, _)| if i % 50 == 0 { 0 } else { prg.below(t) }).collect();
        theirs.push(column.iter().zip(&mask).map(|(v, m)| (i128::from(*v) - i128::from(*m)).rem_euclid(i128::from(t)) as u64).collect());
        ours.push(mask);
        values.push(column);
    }
    let run = |role: Role, shares: Vec<Vec<u64>>| {
        move |channel: &mut colift_channel::memory::MemoryChannel| {
            let mut engine = Engine::setup(channel, role).unwrap();
            let batches: Vec<Batch<'_>> =
                shares.iter().zip(cases).map(|(shares, (modulus, factor))| Batch { shares, modulus, factor }).collect();
            (lift(&mut engine, channel, &batches).unwrap(), channel.counters())
        }
    };
    let (a, b, ..) = run_pair(run(Role::First, ours), run(Role::Second, theirs));
    for (role, measured) in [(Role::First, a.1), (Role::Second, b.1)] {
        let mut meter = Meter::default();
        Engine::declare_setup(&mut meter, role);
        declare(&mut meter, role, values.iter().map(Vec::len).sum());
        assert_eq!(measured, meter.counters(), "{role:?}");
    }
    let (a, b) = (a.0, b.0);
    for (index, (_, factor)) in cases.iter().enumerate() {
        for (i, v) in values[index].iter().enumerate() {
            let got = ring50::to_signed(ring50::add(a[index][i], b[index][i]));
            // A factor of 1 on the ring would overflow 2^49 nowhere: |v| < 2^48.
            let off = got as f64 - *v as f64 * factor;
            assert!(off.abs() <= 2.0 + 1e-3, "case {index}, value {v}: off by {off}");
        }
    }
}

/// Many zeros lifted by a factor that leaves few units: the mean is 0 as well, not half a unit.
#[test]
fn rounding_has_no_bias() {
    let (t, factor, count) = (8_273_921u64, 1.0 / 8192.0, 20_000);
    let mut prg = Prg::from_os().unwrap();
    let ours: Vec<u64> = (0..count).map(|_| prg.below(t)).collect();
    let theirs: Vec<u64> = ours.iter().map(|share| (t - share) % t).collect();
    let run = |role: Role, shares: Vec<u64>| {
        move |channel: &mut colift_channel::memory::MemoryChannel| {
            let mut engine = Engine::setup(channel, role).unwrap();
            lift(&mut engine, channel, &[Batch { shares: &shares, modulus: t, factor }]).unwrap().concat()
        }
    };
    let (a, b, ..) = run_pair(run(Role::First, ours), run(Role::Second, theirs));
    let sum: i64 = a.iter().zip(&b).map(|(a, b)| ring50::to_signed(ring50::add(*a, *b))).sum();
    assert!((sum as f64 / count as f64).abs() < 0.03, "mean {}", sum as f64 / count as f64);
}
