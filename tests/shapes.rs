//! Thirty random small data sets of hard shapes: the secure training is near the plaintext twin's optimum or ends with exit 15.
//!
//! Never silently wrong: no more than 1e-5 above the twin's objective and 0.1 standard errors off in any coefficient, or no
//! model. Seeds that once failed stand in [`KNOWN`] and are tried in every run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/party.rs"]
mod party;

use colift::contract::{Disclosure, RateBucket};
use colift::error::{Exit, Failure};
use colift::training::features::Features;
use colift::training::opening::Ledger;
use colift::training::scaling::Scaling;
use colift::training::response::OwnerInput;
use colift::training::schedule::{PublicSizes, Schedule};
use colift::training::secure::{Trained, train};
use colift::training::twin::{self, SecureModel, sigmoid};
use colift_algebra::Engine;
use colift_channel::memory::MemoryChannel;
use colift_correlation::Role;
use colift_primitives::rng::{Prg, os_bytes};
use colift_testkit::run_pair;
use ndarray::{Array2, Axis, concatenate};
use party::{normal, numbers, unit};

/// The seed that chooses the data sets; printed, and taken from here where it is set.
const SEED_VARIABLE: &str = "COLIFT_SHAPES_SEED";
/// The name of one shape: then all data sets have it. With a seed and a count of 1 this replays one.
const SHAPE_VARIABLE: &str = "COLIFT_SHAPES_ONLY";
/// How many data sets, where it is set; [`COUNT`] otherwise.
const COUNT_VARIABLE: &str = "COLIFT_SHAPES_COUNT";
const COUNT: u64 = 30;
/// Data sets that failed once: (shape, seed, what happened).
const KNOWN: [(Shape, u64, &str); 3] = [
    (Shape::Imbalanced, 1_057, "0.137 standard errors, gap 1.3e-5: 48 harmonics on [-60, 60] were too coarse"),
    (Shape::Imbalanced, 2_010, "0.176 standard errors, the same cause"),
    (Shape::Imbalanced, 2_021, "0.162 standard errors, the same cause"),
];

/// What is hard about a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A column is the sum of the others of its side.
    CollinearWithin,
    /// A partner's column is the sum of the owner's.
    CollinearAcross,
    /// Copies within a side.
    DuplicatedWithin,
    /// All the partner's columns are copies of the owner's.
    DuplicatedAcross,
    /// A binary column that few users have.
    RareBinary,
    /// Values far beyond the clip.
    HeavyTails,
    /// 200 rows.
    FewRows,
    /// 3 % positive labels.
    Imbalanced,
    /// Labels that a line separates; only the ridge holds the weights.
    Separable,
    /// Just above the size at which the schedule changes.
    LongSchedule,
}

const SHAPES: [Shape; 10] = [
    Shape::CollinearWithin,
    Shape::CollinearAcross,
    Shape::DuplicatedWithin,
    Shape::DuplicatedAcross,
    Shape::RareBinary,
    Shape::HeavyTails,
    Shape::FewRows,
    Shape::Imbalanced,
    Shape::Separable,
    Shape::LongSchedule,
];

/// Standardised columns of both sides and the labels.
struct Set {
    owner: Array2<f64>,
    partner: Array2<f64>,
    labels: Vec<bool>,
}

fn make(shape: Shape, prg: &mut Prg) -> Set {
    let rows = match shape {
        Shape::FewRows => 200,
        Shape::LongSchedule => 5_000 + prg.below(1_500) as usize,
        Shape::Imbalanced => 1_000 + prg.below(1_500) as usize,
        _ => 300 + prg.below(1_700) as usize,
    };
    let (owner, partner) = (2 + prg.below(5) as usize, 2 + prg.below(5) as usize);
    let partner = if shape == Shape::DuplicatedAcross { owner } else { partner };
    let all = owner + partner;
    let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(rows); all];
    for _ in 0..rows {
        let hidden = normal(prg);
        columns.iter_mut().for_each(|column| column.push(0.5 * hidden + normal(prg)));
    }
    let sum = |columns: &[Vec<f64>]| (0..rows).map(|i| columns.iter().map(|column| column[i]).sum()).collect::<Vec<f64>>();
    match shape {
        Shape::CollinearWithin => {
            columns[owner - 1] = sum(&columns[..owner - 1]);
            columns[all - 1] = sum(&columns[owner..all - 1]);
        }
        Shape::CollinearAcross => columns[all - 1] = sum(&columns[..owner]),
        Shape::DuplicatedWithin => {
            columns[1] = columns[0].clone();
            columns[all - 1] = columns[owner].clone();
        }
        Shape::DuplicatedAcross => (0..owner).for_each(|j| columns[owner + j] = columns[j].clone()),
        Shape::RareBinary => {
            for j in [0, all - 1] {
                columns[j].iter_mut().for_each(|x| *x = f64::from(u8::from(*x > 2.9)));
                columns[j][prg.below(rows as u64) as usize] = 1.0;
            }
        }
        Shape::HeavyTails => columns.iter_mut().flatten().for_each(|x| *x = x.signum() * (2.5 * x.abs()).exp()),
        _ => {}
    }
    let weights: Vec<f64> = (0..all).map(|_| normal(prg)).collect();
    let score =
        |i: usize| columns.iter().zip(&weights).map(|(column, w)| w * column[i].clamp(-5.0, 5.0)).sum::<f64>() / (all as f64).sqrt();
    let base = match shape {
        Shape::Imbalanced => -4.2,
        _ => -1.5,
    };
    let mut labels: Vec<bool> = (0..rows)
        .map(|i| match shape {
            Shape::Separable => score(i) > 0.4,
            _ => unit(prg) < sigmoid(base + score(i)),
        })
        .collect();
    (labels[0], labels[1]) = (true, false);
    let standardised = |columns: &[Vec<f64>]| {
        let names: Vec<String> = (0..columns.len()).map(|j| format!("c{j}")).collect();
        Scaling::fit(columns, &names, 5.0).unwrap().apply(columns).unwrap()
    };
    Set { owner: standardised(&columns[..owner]), partner: standardised(&columns[owner..]), labels }
}

/// One training of both sides, or what it ended with before or at the end check.
fn secure(set: &Set, l2: f64, bucket: RateBucket) -> Result<(Trained, Trained), Failure> {
    let schedule = Schedule::new(PublicSizes::logistic(set.labels.len(), set.owner.ncols(), set.partner.ncols(), bucket.ends()))?;
    let features = (Features::new(&set.owner, l2, true)?, Features::new(&set.partner, l2, false)?);
    let side = |role: Role, features: &Features, labels: Option<&[f64]>, channel: &mut MemoryChannel| {
        let mut engine = Engine::setup(channel, role)?;
        let mut ledger = Ledger::new(&[Disclosure::OwnWeights, Disclosure::ConvergedAndInRange]);
        let owner = labels.map(|labels| OwnerInput { labels, weights: None, base_logit: bucket.base_logit() });
        train(&mut engine, channel, features, owner, &schedule, &mut ledger, &|_, _| ())
    };
    let (owner, partner, ..) = run_pair(
        |channel| side(Role::First, &features.0, Some(&twin::numbers(&set.labels)), channel),
        |channel| side(Role::Second, &features.1, None, channel),
    );
    assert_eq!(owner.is_ok(), partner.is_ok(), "one side has a model, the other has none");
    Ok((owner?, partner?))
}

/// (objective gap, worst coefficient in standard errors), or the exit code of a training that gave no model.
fn judge(shape: Shape, seed: u64) -> Result<(f64, f64), Exit> {
    let set = make(shape, &mut numbers(seed));
    let l2 = if shape == Shape::Separable { 0.01 } else { 0.001 };
    let rate = set.labels.iter().filter(|y| **y).count() as f64 / set.labels.len() as f64;
    let (owner, partner) = secure(&set, l2, RateBucket::for_rate(rate).unwrap()).map_err(|failure| failure.exit)?;
    let x = concatenate(Axis(1), &[set.owner.view(), set.partner.view()]).unwrap();
    let fit = twin::fit_logistic(&x, &set.labels, l2).unwrap();
    let coefficients: Vec<f64> = owner.coefficients.iter().chain(&partner.coefficients).copied().collect();
    let model = SecureModel { intercept: owner.intercept.unwrap(), coefficients: &coefficients, test_auc: None };
    let gap = twin::compare(&x, &set.labels, l2, &model, &fit, None).unwrap();
    Ok((gap.loss_gap, gap.max_coefficient_error_se))
}

#[test]
fn hard_shapes_reach_the_twin_or_give_no_model() {
    let given = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
    let first: u64 = given.unwrap_or_else(|| u64::from_le_bytes(*os_bytes::<8>().unwrap()) >> 16);
    let count: u64 = std::env::var(COUNT_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(COUNT);
    println!("{SEED_VARIABLE}={first} {COUNT_VARIABLE}={count}");
    let only = std::env::var(SHAPE_VARIABLE).ok();
    let shapes: Vec<Shape> = SHAPES.into_iter().filter(|shape| only.as_ref().is_none_or(|only| *only == format!("{shape:?}"))).collect();
    let drawn = (0..count).map(|index| (shapes[index as usize % shapes.len()], first + index));
    let known = KNOWN.into_iter().map(|(shape, seed, _)| (shape, seed));
    let (mut worst_gap, mut worst_se, mut without) = (0.0f64, 0.0f64, 0);
    let mut wrong = Vec::new();
    for (shape, seed) in known.chain(drawn) {
        match judge(shape, seed) {
            Ok((gap, se)) => {
                println!("{shape:?} {seed}: objective gap {gap:.1e}, worst coefficient {se:.4} se");
                (worst_gap, worst_se) = (worst_gap.max(gap), worst_se.max(se));
                // A comparison with NaN is false: it counts as wrong.
                let near = gap.abs() <= 1e-5 && se <= 0.1;
                if !near {
                    wrong.push(format!("{shape:?}, seed {seed}: objective gap {gap:.2e}, {se:.4} se"));
                }
            }
            Err(Exit::NotConverged) => {
                println!("{shape:?} {seed}: no model, exit 15");
                without += 1;
            }
            Err(exit) => wrong.push(format!("{shape:?}, seed {seed}: {exit:?}")),
        }
    }
    println!("worst objective gap {worst_gap:.1e}, worst coefficient {worst_se:.4} se, {without} without a model");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
