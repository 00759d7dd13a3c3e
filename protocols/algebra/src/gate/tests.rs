//! The gate against its ideal double: the series itself on the opened value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::ring50;
use colift_channel::memory::MemoryChannel;
use colift_primitives::rng::Prg;
use colift_testkit::run_pair;
use std::f64::consts::TAU;

/// One party of a gate: its shares and what it counted.
fn party(
    channel: &mut MemoryChannel,
    role: Role,
    plan: &GatePlan,
    z: &[u64],
    functions: &[Function<'_>],
) -> (Vec<Vec<u64>>, colift_channel::Counters) {
    let mut engine = Engine::setup(channel, role).unwrap();
    (evaluate(&mut engine, channel, plan, z, functions).unwrap(), channel.counters())
}

#[test]
fn evaluates_the_series_without_bias_and_with_declared_bytes() {
    for (rows, second_rows, last_bits, bits, harmonics, half, first_bits, factored, owner_uploads) in [
        (9_000, 9_000, None, 10, 5, false, RESULT_BITS, [false, false, false], 0),
        (9_000, 100, None, 10, 2, true, 18, [true, true, false], 1),
        (8_193, 8_192, None, 10, 2, false, RESULT_BITS, [false, true, false], 1),
        (300, 299, None, 13, 9, true, 24, [true, false, false], 1),
        (5, 5, None, 10, 3, false, RESULT_BITS, [true, true, false], 1),
        (8_200, 0, None, 10, 3, false, 16, [true, false, false], 1),
        (8_200, 0, None, 10, 3, true, 16, [true, false, false], 2),
        (1_000, 0, None, 10, 6, false, RESULT_BITS, [false, false, false], 1),
        (8_200, 8_200, Some(14), 13, 3, true, 18, [true, false, true], 0),
        (8_200, 0, Some(14), 10, 3, true, 18, [false, false, false], 0),
    ] {
        let plan = GatePlan {
            rows,
            first_bits,
            second_rows,
            second_bits: 12,
            last_bits,
            harmonics,
            half,
            bits,
            frequency: 155_344,
            owner_uploads,
        };
        assert!(GatePlan { bits: 14, ..plan }.level().is_err(), "products of 28 bits do not fit the plaintext prime");
        let period = (ring50::MASK as f64 + 1.0) / plan.frequency as f64;
        // Of the functions that a plan may have, those that this one has.
        let third = if last_bits.is_some() { rows } else { 0 };
        let has: Vec<usize> = (0..3).filter(|f| [rows, second_rows, third][*f] > 0).collect();
        let rows_of: Vec<usize> = has.iter().map(|f| [rows, second_rows, third][*f]).collect();
        let bits_of: Vec<u32> = has.iter().map(|f| [first_bits, 12, 14][*f]).collect();
        let series: Vec<Series> = has
            .iter()
            .map(|f| Series {
                constant: 0.3 - 0.1 * *f as f64,
                harmonics: (1..=harmonics + usize::from(half)).map(|k| (0.3 / (k * k) as f64, -0.2 / (k * k) as f64)).collect(),
            })
            .collect();
        let mut prg = Prg::from_os().unwrap();
        let value: Vec<i64> = (0..rows).map(|_| (prg.below(1 << 34)) as i64 - (1 << 33)).collect();
        let mask: Vec<u64> = (0..rows).map(|_| prg.next_u64() & ring50::MASK).collect();
        let other: Vec<u64> = value.iter().zip(&mask).map(|(v, m)| ring50::sub(ring50::from_signed(*v), *m)).collect();
        // Factors of every kind: 0, ±1 and between.
        let mut factors = |count: usize| -> Vec<f64> { (0..count).map(|_| f64::from(prg.below(9) as i32 - 4) / 4.0).collect() };
        let factors: Vec<Option<Vec<f64>>> = has.iter().zip(&rows_of).map(|(f, count)| factored[*f].then(|| factors(*count))).collect();
        let functions: Vec<Function<'_>> = series
            .iter()
            .zip(&factors)
            .map(|(series, factor)| Function { series, factor: factor.as_deref() })
            .take(plan.functions())
            .collect();
        let (a, b, ..) = run_pair(
            |channel| party(channel, Role::First, &plan, &mask, &functions),
            |channel| party(channel, Role::Second, &plan, &other, &[]),
        );
        let (mut owner, mut partner, mut lifted) = (Meter::default(), Meter::default(), Meter::default());
        Engine::declare_setup(&mut owner, Role::First);
        Engine::declare_setup(&mut partner, Role::Second);
        let before = (owner.counters(), partner.counters());
        declare(&mut owner, Role::First, &[plan]).unwrap();
        declare(&mut partner, Role::Second, &[plan]).unwrap();
        assert_eq!((a.1, b.1), (owner.counters(), partner.counters()));
        // The closed form counts the same without the lift.
        lift::declare(&mut lifted, Role::First, rows_of.iter().sum());
        let (owner, partner) = (owner.counters().since(before.0), partner.counters().since(before.1));
        let cost = plan.cost().unwrap();
        assert_eq!(owner.bytes_sent - lifted.counters().bytes_sent, cost.holder_bytes);
        assert_eq!(partner.bytes_sent - lifted.counters().bytes_received, cost.encryptor_bytes);
        for (f, function) in functions.iter().enumerate() {
            let series = function.series;
            let mut mean = 0.0;
            let wanted = rows_of[f];
            assert_eq!((a.0[f].len(), b.0[f].len()), (wanted, wanted));
            for (i, value) in value.iter().enumerate().take(wanted) {
                let got = ring50::to_real(ring50::add(a.0[f][i], b.0[f][i]), bits_of[f]);
                let theta = TAU * *value as f64 / period;
                let exact = series.harmonics.iter().enumerate().fold(series.constant, |sum, (k, (a, b))| {
                    let turns = if k < harmonics { (k + 1) as f64 } else { 0.5 };
                    let (sin, cos) = (turns * theta).sin_cos();
                    sum + a * cos + b * sin
                });
                let error = got - function.at(i) * exact;
                assert!(error.abs() < 12.0 * (harmonics + 1) as f64 / f64::from(bits).exp2(), "row {i}: error {error}");
                mean += error / wanted as f64;
            }
            // Beside chance, the rounding of the lift: half a unit of the result.
            let rounding = 0.5 / f64::from(bits_of[f]).exp2();
            assert!(mean.abs() < 8.0 / f64::from(bits).exp2() / (wanted as f64).sqrt() + rounding, "bias {mean}");
        }
    }
}

#[test]
fn refuses_functions_that_do_not_match_the_plan() {
    let plan = GatePlan {
        rows: 2,
        first_bits: RESULT_BITS,
        second_rows: 1,
        second_bits: 12,
        last_bits: None,
        harmonics: 3,
        half: false,
        bits: 10,
        frequency: 1000,
        owner_uploads: 0,
    };
    let series = |pairs: usize| Series { constant: 0.0, harmonics: vec![(0.0, 0.0); pairs] };
    let (good, short) = (series(3), series(2));
    let refused = |functions: &[Function<'_>]| {
        let outcome = plan.check(functions);
        outcome.is_err_and(|error| error.class() == colift_channel::Class::Config)
    };
    let plain = |series| Function { series, factor: None };
    let with = |factor| Function { series: &good, factor: Some(factor) };
    assert!(!refused(&[plain(&good), plain(&good)]) && !refused(&[with(&[1.0, -1.0]), with(&[0.5])]));
    assert!(refused(&[]) && refused(&[plain(&good)]) && refused(&[plain(&good), plain(&short)]));
    for wrong in [&[1.001, 0.0][..], &[0.0, -1.5], &[f64::NAN, 0.0], &[f64::INFINITY, 0.0], &[], &[0.0], &[0.0; 3]] {
        assert!(refused(&[with(wrong), plain(&good)]), "{wrong:?}");
    }
    assert!(refused(&[plain(&good), with(&[0.5, 0.5])]));
    // Before anything is sent.
    let (error, ..) = run_pair(
        |channel| {
            let mut engine = Engine::setup(channel, Role::First).unwrap();
            evaluate(&mut engine, channel, &plan, &[1, 2], &[plain(&short)]).unwrap_err()
        },
        |channel| Engine::setup(channel, Role::Second).map(|_| ()),
    );
    assert_eq!(error.class(), colift_channel::Class::Config);
}

/// The plan of a step's rows: `second` of them with two functions.
fn plan(rows: usize, second: usize) -> GatePlan {
    GatePlan {
        rows,
        first_bits: RESULT_BITS,
        second_rows: second,
        second_bits: 12,
        last_bits: None,
        harmonics: 3,
        half: false,
        bits: 10,
        frequency: 155_344,
        owner_uploads: 0,
    }
}

#[test]
fn several_gates_at_once_give_what_each_gives_and_cost_what_is_declared() {
    let plans = balance(vec![plan(9_000, 9_000), plan(30_000, 0), plan(100, 50)]);
    assert!(plans[1].owner_uploads > 1 && plans[1].owner_uploads < 4, "{plans:?}");
    let rows: usize = plans.iter().map(|plan| plan.rows).sum();
    let series = [1.0, -0.5].map(|a| Series { constant: 0.1 * a, harmonics: vec![(0.2 * a, 0.1), (0.1, 0.05 * a), (0.0, 0.02)] });
    let functions: Vec<Function<'_>> = series.iter().map(|series| Function { series, factor: None }).collect();
    let mut prg = Prg::from_os().unwrap();
    let mut shares = || (0..rows).map(|_| prg.next_u64() & ring50::MASK).collect::<Vec<u64>>();
    let (mine, theirs) = (shares(), shares());
    let run = |channel: &mut MemoryChannel, role: Role, z: &[u64]| {
        let mut engine = Engine::setup(channel, role).unwrap();
        let before = channel.counters();
        let of = |plan: &GatePlan| if role == Role::First { functions.get(..plan.functions()).unwrap() } else { &[] };
        let gates: Vec<Gate<'_>> = plans.iter().map(|plan| Gate { plan, functions: of(plan) }).collect();
        let shares = evaluate_all(&mut engine, channel, &gates, z).unwrap();
        let mut meter = Meter::default();
        meter.sent(0);
        let start = meter.counters();
        declare(&mut meter, role, &plans).unwrap();
        let (counted, declared) = (channel.counters().since(before), meter.counters().since(start));
        assert_eq!((counted.bytes_sent, counted.bytes_received), (declared.bytes_sent, declared.bytes_received));
        assert_eq!((counted.messages_sent, counted.messages_received), (declared.messages_sent, declared.messages_received));
        assert!(counted.rounds.abs_diff(declared.rounds) <= 1);
        shares
    };
    let (a, b, owner, partner) = run_pair(|channel| run(channel, Role::First, &mine), |channel| run(channel, Role::Second, &theirs));
    // Equal loads up to one block.
    assert!(owner.bytes_sent.abs_diff(partner.bytes_sent) < 8 * 130_000, "{owner:?} {partner:?}");
    let mut row = 0;
    for (index, plan) in plans.iter().enumerate() {
        for i in 0..plan.rows {
            let theta = TAU * (plan.frequency.wrapping_mul(mine[row].wrapping_add(theirs[row])) & ring50::MASK) as f64 / 50f64.exp2();
            row += 1;
            for f in 0..1 + usize::from(i < plan.second_rows) {
                let harmonics = series[f].harmonics.iter().enumerate();
                let exact = harmonics.fold(series[f].constant, |sum, (k, (a, b))| {
                    let (sin, cos) = ((k + 1) as f64 * theta).sin_cos();
                    sum + a * cos + b * sin
                });
                let got = ring50::to_real(ring50::add(a[index][f][i], b[index][f][i]), [RESULT_BITS, 12][f]);
                assert!((got - exact).abs() < 48.0 / 1024.0, "gate {index}, function {f}, row {i}: {got} for {exact}");
            }
        }
    }
}

#[test]
fn blocks_of_both_uploaders_alternate_and_share_turns() {
    for (rows, second, owners) in [(100 * 8_192, 0, 37), (50 * 8_192 + 1, 3 * 8_192 + 5, 20), (8_192, 8_192, 0), (5, 0, 1), (0, 0, 0)] {
        let plan = GatePlan { owner_uploads: owners, ..plan(rows, second) };
        let blocks: Vec<Block> = plan.blocks(0).collect();
        assert_eq!(blocks.iter().map(|block| block.rows).sum::<usize>(), rows);
        assert_eq!(blocks.iter().map(|block| block.second).sum::<usize>(), second);
        assert_eq!(blocks.iter().filter(|block| block.uploader == Role::First).count(), owners);
        assert!(blocks.iter().all(|block| block.uploader == Role::Second || block.second == 0));
        // Evenly spread: any run of the free blocks holds its part of them, up to one.
        let free: Vec<bool> = blocks.iter().filter(|block| block.second == 0).map(|block| block.uploader == Role::First).collect();
        for end in 0..free.len() {
            let so_far = free[..end].iter().filter(|owner| **owner).count();
            assert_eq!(so_far, end * owners / free.len());
        }
        let (mine, theirs) = (Turns::new([plan].iter(), Role::First), Turns::new([plan].iter(), Role::Second));
        assert!(mine.own == theirs.held && mine.held == theirs.own);
        assert_eq!(mine.own.len(), owners.max(blocks.len() - owners));
        assert_eq!(mine.own.iter().flatten().count() + mine.held.iter().flatten().count(), blocks.len());
    }
}
