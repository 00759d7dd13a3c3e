//! The secure trainer against its plaintext twin, over a memory pair.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::contract::Disclosure;
use crate::error::Exit;
use crate::evaluation::random::normals;
use crate::training::family::Family;
use crate::training::schedule::PublicSizes;
use crate::training::twin::{self, fit_logistic};
use crate::training::whitening::Dependence;
use colift_testkit::run_pair;
use ndarray::{Array2, Axis, concatenate};

const REVEAL: [Disclosure; 2] = [Disclosure::OwnWeights, Disclosure::ConvergedAndInRange];

struct Case {
    owner: Array2<f64>,
    partner: Array2<f64>,
    labels: Vec<bool>,
}

/// Standardised, clipped, correlated columns with known weights.
fn case(rows: usize, owner: usize, partner: usize, intercept: f64, seed: u64) -> Case {
    let columns = owner + partner;
    let noise = normals(rows * (columns + 2), seed);
    let mut x = Array2::zeros((rows, columns));
    for i in 0..rows {
        let row = &noise[i * (columns + 2)..(i + 1) * (columns + 2)];
        for j in 0..columns {
            let raw = 0.6 * row[columns] + 0.8 * row[j];
            x[[i, j]] = if j % 4 == 3 { f64::from(u8::from(raw > 1.2)) } else { raw };
        }
    }
    for mut column in x.axis_iter_mut(Axis(1)) {
        let mean = column.sum() / rows as f64;
        let sd = (column.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / rows as f64).sqrt();
        column.mapv_inplace(|v| ((v - mean) / sd).clamp(-5.0, 5.0));
    }
    let weights = normals(columns, seed + 1);
    let labels = (0..rows)
        .map(|i| {
            let z = intercept + (0..columns).map(|j| 0.4 * weights[j] * x[[i, j]]).sum::<f64>();
            let draw = twin::sigmoid(1.7 * noise[i * (columns + 2) + columns + 1]);
            draw < twin::sigmoid(z)
        })
        .collect();
    Case { owner: x.slice(ndarray::s![.., ..owner]).to_owned(), partner: x.slice(ndarray::s![.., owner..]).to_owned(), labels }
}

fn sizes(case: &Case, rate: (f64, f64), logit_range: Option<(f64, f64)>) -> PublicSizes {
    PublicSizes { logit_range, ..PublicSizes::logistic(case.labels.len(), case.owner.ncols(), case.partner.ncols(), rate) }
}

/// The columns, the sum of the first two, and all three levels of a set, cut at 5: one is rare, so they add up to a constant other than 0.
fn with_dependent(x: &Array2<f64>, every: usize) -> Array2<f64> {
    let (rows, columns) = x.dim();
    let level = |i: usize| if i % every == 7 { 0 } else { 1 + i % every % 2 };
    let one_hot = |i: usize, k: usize| {
        let share = (0..rows).filter(|i| level(*i) == k).count() as f64 / rows as f64;
        ((f64::from(u8::from(level(i) == k)) - share) / (share * (1.0 - share)).sqrt()).min(5.0)
    };
    Array2::from_shape_fn((rows, columns + 4), |(i, j)| match j.checked_sub(columns) {
        None => x[[i, j]],
        Some(0) => 0.6 * (x[[i, 0]] + x[[i, 1]]),
        Some(level) => one_hot(i, level - 1),
    })
}

type Outcome = (Result<Trained, Failure>, Vec<opening::Opened>);

fn secure(case: &Case, sizes: PublicSizes, base_logit: f64) -> (Outcome, Outcome) {
    let run = |role: Role, x: &Array2<f64>, labels: Option<Vec<bool>>| {
        let x = x.clone();
        move |channel: &mut colift_channel::memory::MemoryChannel| {
            let features = Features::new(&x, 1e-3, role == Role::First).unwrap();
            let schedule = Schedule::new(sizes).unwrap();
            let mut engine = Engine::setup(channel, role).unwrap();
            let mut ledger = Ledger::new(&REVEAL);
            let labels = labels.as_deref().map(twin::numbers);
            let owner = labels.as_deref().map(|labels| OwnerInput { labels, weights: None, base_logit });
            let trained = train(&mut engine, channel, &features, owner, &schedule, &mut ledger, &|_, _| ());
            (trained, ledger.opened().to_vec())
        }
    };
    let (a, b, ..) = run_pair(run(Role::First, &case.owner, Some(case.labels.clone())), run(Role::Second, &case.partner, None));
    (a, b)
}

#[test]
fn reaches_the_twins_optimum_and_opens_what_is_listed() {
    for (rows, owner, partner, rate) in [(700, 3, 4, (0.2, 0.5)), (6_000, 5, 6, (0.05, 0.2))] {
        let case = case(rows, owner, partner, -1.5, 11);
        let ((trained, opened), (partners, partners_opened)) = secure(&case, sizes(&case, rate, None), -1.6);
        let (trained, partners) = (trained.unwrap(), partners.unwrap());
        let x = concatenate(Axis(1), &[case.owner.view(), case.partner.view()]).unwrap();
        let fit = fit_logistic(&x, &case.labels, 1e-3).unwrap();
        let coefficients: Vec<f64> = trained.coefficients.iter().chain(&partners.coefficients).copied().collect();
        let intercept = trained.intercept.unwrap();
        let gap = twin::objective(x.view(), &case.labels, &coefficients, intercept, 1e-3) - fit.objective;
        let worst = coefficients
            .iter()
            .zip(&fit.coefficients)
            .zip(&fit.standard_errors)
            .map(|((a, b), se)| ((a - b) / se).abs())
            .fold(((intercept - fit.intercept) / fit.intercept_standard_error).abs(), f64::max);
        println!("rows {rows}: objective gap {gap:.1e}, worst coefficient {worst:.3} standard errors");
        assert!(gap.abs() < 1e-5 && worst < 0.1);
        let item = |item, learned, told| opening::Opened { item, learned, told };
        assert_eq!(trained.extra, partners.extra);
        let checks = vec![item(Disclosure::ConvergedAndInRange, 2, 2); 1 + trained.extra.len()];
        assert_eq!(opened, [checks.clone(), vec![item(Disclosure::OwnWeights, owner + 1, partner)]].concat());
        assert_eq!(partners_opened, [checks, vec![item(Disclosure::OwnWeights, partner, owner + 1)]].concat());
    }
}

#[test]
fn labels_beyond_the_signed_bucket_end_with_exit_15_and_no_weights() {
    let case = case(5_500, 3, 3, 0.5, 5);
    let narrow = sizes(&case, (0.01, 0.02), Some((-2.0, 2.0)));
    let ((trained, opened), (partners, _)) = secure(&case, narrow, -4.2);
    for failure in [trained.unwrap_err(), partners.unwrap_err()] {
        assert_eq!(failure.exit, Exit::NotConverged);
    }
    let bits = opening::Opened { item: Disclosure::ConvergedAndInRange, learned: 2, told: 2 };
    assert_eq!(opened, vec![bits; 1 + crate::contract::MAX_EXTRA_STEPS as usize]);
}

#[test]
fn standard_errors_are_the_twins_and_cost_what_is_declared() {
    for (rows, owner, partner, family, dependent, range) in [
        (700, 3, 4, Family::Logistic, false, None),
        (6_000, 5, 6, Family::Logistic, false, None),
        (900, 3, 2, Family::Linear, false, None),
        (800, 2, 2, Family::Logistic, true, None),
        (6_000, 2, 3, Family::Linear, true, None),
        (700, 0, 3, Family::Logistic, false, None),
        // A range that predictors leave: the slopes come from a wider span.
        (700, 3, 4, Family::Logistic, false, Some((-3.0, 2.5))),
    ] {
        let mut case = case(rows, owner, partner, -1.0, 21);
        if dependent {
            (case.owner, case.partner) = (with_dependent(&case.owner, 51), with_dependent(&case.partner, 37));
        }
        let schedule = PublicSizes { family, ..sizes(&case, (0.2, 0.5), range) };
        let schedule = Schedule::new(schedule).unwrap().with_standard_errors(true);
        if family == Family::Linear {
            case.labels[0] = true;
        }
        let labels = twin::numbers(&case.labels);
        let run = |role: Role, x: &Array2<f64>| {
            let (x, schedule, labels) = (x.clone(), schedule.clone(), labels.clone());
            move |channel: &mut colift_channel::memory::MemoryChannel| {
                let features = Features::of(&x, &Dependence::of(x.view()), 1e-3, role == Role::First, true).unwrap();
                let mut engine = Engine::setup(channel, role).unwrap();
                let listed = [REVEAL[0], REVEAL[1], Disclosure::OwnStandardErrors];
                let input = (role == Role::First).then_some(OwnerInput { labels: &labels, weights: None, base_logit: -0.7 });
                let trained = train(&mut engine, channel, &features, input, &schedule, &mut Ledger::new(&listed), &|_, _| ()).unwrap();
                (trained, channel.counters())
            }
        };
        let (a, b, ..) = run_pair(run(Role::First, &case.owner), run(Role::Second, &case.partner));
        assert_eq!(range.is_some(), a.0.extra.iter().any(|step| step.span > 0));
        let declared = crate::training::cost::declare_with(&[(&schedule, a.0.extra.clone())]).unwrap();
        assert_eq!((a.1, b.1), (declared.0.counters(), declared.1.counters()));
        let x = concatenate(Axis(1), &[case.owner.view(), case.partner.view()]).unwrap();
        let target = twin::Target { family, labels: &labels, weights: None };
        let fit = twin::fit(&x, &target, 1e-3).unwrap();
        // The twin's have the dispersion in them.
        let dispersion = if family == Family::Linear {
            let z = twin::logits(x.view(), &fit.coefficients, fit.intercept);
            (z.iter().zip(&labels).map(|(z, y)| (z - y).powi(2)).sum::<f64>() / rows as f64).sqrt()
        } else {
            1.0
        };
        let (own, peers) = (a.0.standard_errors.unwrap(), b.0.standard_errors.unwrap());
        assert!(peers.intercept.is_none());
        let all = own.intercept.into_iter().chain(own.coefficients).chain(peers.coefficients);
        let exact = std::iter::once(fit.intercept_standard_error).chain(fit.standard_errors);
        for (got, exact) in all.zip(exact) {
            let off = got * dispersion / exact - 1.0;
            assert!(off.abs() < 0.02, "{family:?}, {rows} rows: {got} for {exact}");
        }
    }
}
