//! The gate against its ideal double: the series itself on the opened value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::memory::MemoryChannel;
use colift_testkit::run_pair;

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
    for (rows, second_rows, bits, harmonics, half, first_bits, factored) in [
        (9_000, 9_000, 10, 5, false, RESULT_BITS, [false, false]),
        (9_000, 100, 10, 2, true, 18, [true, true]),
        (8_193, 8_192, 10, 2, false, RESULT_BITS, [false, true]),
        (300, 299, 13, 9, true, 24, [true, false]),
        (5, 5, 10, 3, false, RESULT_BITS, [true, true]),
        (8_200, 0, 10, 3, false, 16, [true, false]),
    ] {
        let plan = GatePlan { rows, first_bits, second_rows, second_bits: 12, harmonics, half, bits, frequency: 155_344 };
        let period = (ring50::MASK as f64 + 1.0) / plan.frequency as f64;
        let series: Vec<Series> = (0..2)
            .map(|f| Series {
                constant: 0.3 - 0.1 * f64::from(f),
                harmonics: (1..=harmonics + usize::from(half)).map(|k| (0.3 / (k * k) as f64, -0.2 / (k * k) as f64)).collect(),
            })
            .collect();
        let mut prg = Prg::from_os().unwrap();
        let value: Vec<i64> = (0..rows).map(|_| (prg.below(1 << 34)) as i64 - (1 << 33)).collect();
        let mask: Vec<u64> = (0..rows).map(|_| prg.next_u64() & ring50::MASK).collect();
        let other: Vec<u64> = value.iter().zip(&mask).map(|(v, m)| ring50::sub(ring50::from_signed(*v), *m)).collect();
        // Factors of every kind: 0, ±1 and between.
        let mut factors = |count: usize| -> Vec<f64> { (0..count).map(|_| f64::from(prg.below(9) as i32 - 4) / 4.0).collect() };
        let factors: Vec<Option<Vec<f64>>> =
            [rows, second_rows].into_iter().zip(factored).map(|(count, wanted)| wanted.then(|| factors(count))).collect();
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
        declare(&mut owner, Role::First, &plan).unwrap();
        declare(&mut partner, Role::Second, &plan).unwrap();
        assert_eq!((a.1, b.1), (owner.counters(), partner.counters()));
        // The closed form counts the same without the lift.
        lift::declare(&mut lifted, Role::First, rows + second_rows);
        let (owner, partner) = (owner.counters().since(before.0), partner.counters().since(before.1));
        let cost = plan.cost().unwrap();
        assert_eq!(owner.bytes_sent - lifted.counters().bytes_sent, cost.holder_bytes);
        assert_eq!(partner.bytes_sent - lifted.counters().bytes_received, cost.encryptor_bytes);
        for (f, function) in functions.iter().enumerate() {
            let series = function.series;
            let mut mean = 0.0;
            let wanted = [rows, second_rows][f];
            assert_eq!((a.0[f].len(), b.0[f].len()), (wanted, wanted));
            for (i, value) in value.iter().enumerate().take(wanted) {
                let got = ring50::to_real(ring50::add(a.0[f][i], b.0[f][i]), [first_bits, 12][f]);
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
            let rounding = 0.5 / f64::from([first_bits, 12][f]).exp2();
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
        harmonics: 3,
        half: false,
        bits: 10,
        frequency: 1000,
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
