//! Thirty random small data sets of hard shapes: the secure training is near the plaintext twin's optimum or ends with exit 15.
//!
//! Never silently wrong: no more than 1e-5 above the twin's objective and 0.1 standard errors off in any coefficient, or no
//! model. Seeds that once failed stand in [`KNOWN`] and are tried in every run.
use crate::party::{normal, numbers, unit};
use crate::set::{Distance, Set, standardised};
use colift::contract::RateBucket;
use colift::error::Exit;
use colift::training::twin::sigmoid;
use colift_primitives::rng::{Prg, os_bytes};

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
    let label = |i: usize, prg: &mut Prg| match shape {
        Shape::Separable => score(i) > 0.4,
        _ => unit(prg) < sigmoid(base + score(i)),
    };
    let mut labels: Vec<f64> = (0..rows).map(|i| f64::from(u8::from(label(i, prg)))).collect();
    (labels[0], labels[1]) = (1.0, 0.0);
    Set { owner: standardised(&columns[..owner], 5.0), partner: standardised(&columns[owner..], 5.0), labels, weights: None }
}

/// The distance to the twin, or the exit code of a training that gave no model.
fn judge(shape: Shape, seed: u64) -> Result<Distance, Exit> {
    let set = make(shape, &mut numbers(seed));
    let l2 = if shape == Shape::Separable { 0.01 } else { 0.001 };
    let bucket = RateBucket::for_rate(set.labels.iter().sum::<f64>() / set.labels.len() as f64).unwrap();
    set.distance(set.logistic(bucket.ends()), bucket.base_logit(), l2).map_err(|failure| failure.exit)
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
            Ok(distance) => {
                let (gap, se) = (distance.gap, distance.standard_errors);
                println!("{shape:?} {seed}: objective gap {gap:.1e}, worst coefficient {se:.4} se");
                (worst_gap, worst_se) = (worst_gap.max(gap), worst_se.max(se));
                if !distance.near() {
                    wrong.push(format!("{shape:?}, seed {seed}: {distance:?}"));
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
