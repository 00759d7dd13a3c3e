//! The other families, with all rows and with rows that only the owner knows to count, against the twin; and predictors beyond the
//! stated domain, which must not give a model.

use crate::party::{normal, numbers, unit};
use crate::set::{Set, standardised};
use colift::error::Exit;
use colift::training::family::{Family, HiddenWeights};
use colift::training::schedule::PublicSizes;
use colift::training::twin::sigmoid;
use colift_primitives::rng::Prg;

fn poisson(mean: f64, prg: &mut Prg) -> f64 {
    let (mut probability, mut count, draw) = ((-mean).exp(), 0.0, unit(prg));
    let mut total = probability;
    while total <= draw && probability > 0.0 {
        count += 1.0;
        probability *= mean / count;
        total += probability;
    }
    count
}

/// Labels of the family around true predictors with this deviation.
fn make(family: Family, rows: usize, spread: f64, payers: Option<HiddenWeights>, prg: &mut Prg) -> Set {
    let (owner, partner) = (4, 5);
    let all = owner + partner;
    let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(rows); all];
    for _ in 0..rows {
        let hidden = normal(prg);
        for (j, column) in columns.iter_mut().enumerate() {
            let x = 0.5 * hidden + normal(prg);
            column.push(if j % 4 == 3 { f64::from(u8::from(x > 1.5)) } else { x });
        }
    }
    let (owner, partner) = (standardised(&columns[..owner], 5.0), standardised(&columns[owner..], 5.0));
    let weights: Vec<f64> = (0..all).map(|_| normal(prg)).collect();
    let raw: Vec<f64> =
        (0..rows).map(|i| owner.row(i).iter().chain(partner.row(i)).zip(&weights).map(|(x, w)| x * w).sum::<f64>()).collect();
    let deviation = (raw.iter().map(|z| z * z).sum::<f64>() / rows as f64).sqrt();
    let z: Vec<f64> = raw.iter().map(|z| spread * z / deviation).collect();
    let labels = z.iter().map(|z| {
        let mean = (z - spread * spread / 2.0).exp();
        match family {
            Family::Logistic => f64::from(u8::from(unit(prg) < sigmoid(*z - 1.0))),
            Family::Linear => z + 0.7 * normal(prg),
            Family::Poisson => poisson(mean, prg),
            Family::Gamma => -mean / 2.0 * ((1.0 - unit(prg)) * (1.0 - unit(prg))).ln(),
        }
    });
    let labels: Vec<f64> = labels.collect();
    let weights = payers.map(|terms| {
        let draw = |z: &f64| match terms.binary {
            true => f64::from(u8::from(unit(prg) < sigmoid(z - 1.5))),
            false => terms.limit * unit(prg).powi(2),
        };
        z.iter().map(draw).collect()
    });
    Set { owner, partner, labels, weights }
}

#[test]
fn every_family_reaches_the_twin_with_and_without_hidden_weights() {
    let payers = HiddenWeights::membership(0.1, 0.5);
    let real = HiddenWeights { mean_low: 0.5, mean_high: 1.0, limit: 2.0, binary: false };
    let mut wrong = Vec::new();
    let mut seed = 900;
    for family in Family::ALL {
        for (rows, weights) in [(900, None), (9_000, None), (9_000, Some(payers)), (7_000, Some(real)), (50_000, Some(payers))] {
            seed += 1;
            let set = make(family, rows, 0.8, weights, &mut numbers(seed));
            let sizes = PublicSizes { family, weights, ..set.logistic((0.2, 0.5)) };
            match set.distance(sizes, -0.7, 0.001) {
                Ok(distance) => {
                    let (gap, se) = (distance.gap, distance.standard_errors);
                    println!(
                        "{} on {rows} rows, weights {weights:?}: objective gap {gap:.1e}, worst coefficient {se:.4} se",
                        family.name()
                    );
                    if !distance.near() {
                        wrong.push(format!("{} on {rows} rows, weights {weights:?}: {distance:?}", family.name()));
                    }
                }
                Err(failure) => wrong.push(format!("{} on {rows} rows, weights {weights:?}: {failure}", family.name())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Some predictors leave the domain by a little, some by far: near the twin, or no model.
#[test]
fn exponential_families_do_not_go_wrong_silently_beyond_their_domain() {
    let mut refused = 0;
    let mut wrong = Vec::new();
    for (index, spread) in [1.0, 1.2, 1.4, 1.7].into_iter().enumerate() {
        for family in [Family::Poisson, Family::Gamma] {
            let set = make(family, 8_000, spread, None, &mut numbers(950 + index as u64));
            let sizes = PublicSizes { family, ..set.logistic((0.2, 0.5)) };
            match set.distance(sizes, 0.0, 0.001) {
                Ok(distance) => {
                    println!("{} with deviation {spread}: {distance:?}", family.name());
                    if !distance.near() {
                        wrong.push(format!("{} with deviation {spread}: {distance:?}", family.name()));
                    }
                }
                Err(failure) if failure.exit == Exit::NotConverged => {
                    println!("{} with deviation {spread}: no model", family.name());
                    refused += 1;
                }
                Err(failure) => wrong.push(format!("{} with deviation {spread}: {failure}", family.name())),
            }
        }
    }
    assert!(refused > 0, "no case left its domain: the test shows nothing");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
