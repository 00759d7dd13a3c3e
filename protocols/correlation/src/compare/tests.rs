//! Signs and bounds of shared numbers against the plain comparison, at the declared cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::pair::declare_setup;
use colift_channel::{Class, Counters};
use colift_primitives::rng::Prg;
use colift_testkit::{cases, run_pair};

/// Additive shares mod 2^k.
fn share(prg: &mut Prg, values: &[i64], k: u32) -> (Vec<u64>, Vec<u64>) {
    let one = |v: &i64| {
        let s = prg.next_u64() & mask(k);
        (s, (*v as u64).wrapping_sub(s) & mask(k))
    };
    values.iter().map(one).unzip()
}

/// Uniform in −2^bits..2^bits, or one of the edges.
fn value(prg: &mut Prg, bits: u32) -> i64 {
    let edge = 1i64 << bits;
    match prg.below(8) {
        0 => 0,
        1 => -1,
        2 => edge - 1,
        3 => -edge,
        _ => prg.below(2 << bits) as i64 - edge,
    }
}

fn both<T: Send>(
    shares: &(Vec<u64>, Vec<u64>),
    run: impl Fn(&mut dyn Channel, &mut OtPair, &[u64]) -> T + Sync,
) -> (T, T, Counters, Counters) {
    let side = |c: &mut dyn Channel, role, shares: &[u64]| {
        let mut ot = OtPair::setup(c, role).unwrap();
        run(c, &mut ot, shares)
    };
    run_pair(|c| side(c, Role::First, &shares.0), |c| side(c, Role::Second, &shares.1))
}

fn assert_cost(declare: impl Fn(&mut Meter, Role), first: Counters, second: Counters) {
    for (role, measured) in [(Role::First, first), (Role::Second, second)] {
        let mut meter = Meter::default();
        declare_setup(&mut meter);
        declare(&mut meter, role);
        assert_eq!(meter.counters(), measured);
    }
}

#[test]
fn signs_are_right_at_every_width() {
    for k in 2..=MAX_WIDTH {
        cases("signs", 1, |prg| {
            let n = prg.below(20) as usize;
            let values: Vec<i64> = (0..n).map(|_| value(prg, k - 1)).collect();
            let shares = share(prg, &values, k);
            let (a, b, first, second) = both(&shares, |c, ot, shares| negative(c, ot, shares, k).unwrap());
            let signs: Vec<bool> = a.iter().zip(&b).map(|(a, b)| a ^ b).collect();
            assert_eq!(signs, values.iter().map(|v| *v < 0).collect::<Vec<_>>(), "{values:?} mod 2^{k}");
            assert_cost(|meter, role| declare_negative(meter, Form::Columns, role, n, k), first, second);
        });
    }
}

#[test]
fn bounds_are_right_at_their_edges() {
    cases("bounds", 24, |prg| {
        let (n, k) = (prg.below(12) as usize, 3 + prg.below(60) as u32);
        let bound = prg.below(1 << (k - 2));
        let mut values: Vec<i64> = (0..n).map(|_| prg.below(2 * bound + 1) as i64 - bound as i64).collect();
        if n > 0 {
            let at = prg.below(n as u64) as usize;
            let edge = bound as i64 + prg.below(2) as i64;
            let edge = edge.min((1 << (k - 2)) - 1);
            values[at] = if prg.below(2) == 1 { edge } else { -edge };
        }
        let shares = share(prg, &values, k);
        let (a, b, first, second) = both(&shares, |c, ot, shares| all_within(c, ot, shares, bound, k).unwrap());
        assert_eq!(a ^ b, values.iter().all(|v| v.unsigned_abs() <= bound), "{values:?} within {bound} mod 2^{k}");
        assert_cost(|meter, role| declare_all_within(meter, role, n, k), first, second);
    });
}

#[test]
fn one_value_out_of_many_is_found() {
    let mut prg = Prg::from_os().unwrap();
    let mut values = vec![1000i64; 101];
    for (at, outside) in [(0usize, 1001), (50, -1001), (100, 1001)] {
        let kept = std::mem::replace(&mut values[at], outside);
        let shares = share(&mut prg, &values, 40);
        let (a, b, ..) = both(&shares, |c, ot, shares| all_within(c, ot, shares, 1000, 40).unwrap());
        assert!(!(a ^ b));
        values[at] = kept;
    }
    let shares = share(&mut prg, &values, 40);
    let (a, b, ..) = both(&shares, |c, ot, shares| all_within(c, ot, shares, 1000, 40).unwrap());
    assert!(a ^ b);
}

#[test]
fn widths_and_bounds_out_of_range_are_refused() {
    let (errors, ..) = both(&(vec![1], vec![2]), |c, ot, shares| {
        [negative(c, ot, shares, 1).err(), negative(c, ot, shares, 63).err(), all_within(c, ot, shares, 1 << 8, 10).err()]
    });
    assert!(errors.into_iter().all(|error| error.unwrap().class() == Class::Config));
}
