//! The hard cases of a logistic training, each of a size at which its schedule is the long one unless it is about few rows. Both the
//! twin and the secure path run them.

use crate::party::{normal, numbers, unit};
use crate::set::{Set, standardised};
use colift::contract::RateBucket;
use colift::error::Exit;
use colift::training::family::HiddenWeights;
use colift::training::schedule::PublicSizes;
use colift::training::twin::sigmoid;

/// Numbers of a case.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    rows: usize,
    columns: (usize, usize),
    /// Base of the true logits.
    base: f64,
    clip: f64,
    l2: f64,
    /// Changes columns after they are drawn.
    bend: fn(&mut [Vec<f64>]),
    /// Labels that a line separates.
    separable: bool,
    /// Row weights.
    weights: Option<HiddenWeights>,
    /// Whether the case may end without a model: exit 13 or 15.
    may_refuse: bool,
}

const USUAL: Case = Case {
    name: "balanced",
    rows: 12_000,
    columns: (5, 5),
    base: 0.0,
    clip: 5.0,
    l2: 0.001,
    bend: |_| (),
    separable: false,
    weights: None,
    may_refuse: false,
};

fn rare(column: &mut [f64], one_in: usize) {
    column.iter_mut().enumerate().for_each(|(i, x)| *x = f64::from(u8::from(i % one_in == one_in / 2)));
}

fn heavy(columns: &mut [Vec<f64>]) {
    columns.iter_mut().flatten().for_each(|x| *x = x.signum() * (1.2 * x.abs()).exp());
}

fn cases() -> Vec<Case> {
    let real = HiddenWeights { mean_low: 0.5, mean_high: 2.0, limit: 4.0, binary: false };
    vec![
        USUAL,
        Case { name: "1 % positive", rows: 30_000, base: -5.0, ..USUAL },
        Case { name: "0.2 % positive", rows: 60_000, base: -6.9, ..USUAL },
        Case { name: "columns times 1000", bend: |c| c.iter_mut().flatten().for_each(|x| *x *= 1000.0), ..USUAL },
        Case {
            name: "collinear on one side and across",
            bend: |c| {
                c[4] = c[0].iter().zip(&c[1]).map(|(a, b)| a - 2.0 * b).collect();
                c[9] = c[0].iter().zip(&c[6]).map(|(a, b)| a + b).collect();
            },
            ..USUAL
        },
        Case { name: "constant columns", bend: |c| [2, 7].into_iter().for_each(|j| c[j].fill(3.0)), ..USUAL },
        Case {
            name: "duplicated columns",
            bend: |c| {
                c[1] = c[0].clone();
                c[8] = c[0].clone();
            },
            ..USUAL
        },
        Case {
            name: "rare binary columns",
            bend: |c| {
                rare(&mut c[0], 500);
                rare(&mut c[9], 1_000);
            },
            base: -2.0,
            ..USUAL
        },
        Case { name: "heavy tails, clip 1e9", bend: heavy, clip: 1e9, base: -1.0, may_refuse: true, ..USUAL },
        Case { name: "heavy tails, clip 20", bend: heavy, clip: 20.0, base: -1.0, may_refuse: true, ..USUAL },
        Case { name: "separable with ridge", separable: true, l2: 0.01, ..USUAL },
        Case { name: "200 rows", rows: 200, columns: (4, 4), ..USUAL },
        Case { name: "more columns than a tenth of the rows", rows: 600, columns: (40, 40), l2: 0.01, ..USUAL },
        Case { name: "row weights of 0 and 1", rows: 20_000, weights: Some(HiddenWeights::membership(0.2, 0.5)), ..USUAL },
        Case { name: "real row weights", rows: 20_000, weights: Some(real), ..USUAL },
    ]
}

fn make(case: &Case, seed: u64) -> Set {
    let prg = &mut numbers(seed);
    let all = case.columns.0 + case.columns.1;
    let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(case.rows); all];
    for _ in 0..case.rows {
        let hidden = normal(prg);
        columns.iter_mut().for_each(|column| column.push(0.5 * hidden + normal(prg)));
    }
    (case.bend)(&mut columns);
    let owner = standardised(&columns[..case.columns.0], case.clip);
    let partner = standardised(&columns[case.columns.0..], case.clip);
    let weights: Vec<f64> = (0..all).map(|_| normal(prg) / (all as f64).sqrt()).collect();
    let score = |i: usize| {
        let own = owner.row(i).iter().zip(&weights).map(|(x, w)| x.clamp(-5.0, 5.0) * w).sum::<f64>();
        own + partner.row(i).iter().zip(&weights[case.columns.0..]).map(|(x, w)| x.clamp(-5.0, 5.0) * w).sum::<f64>()
    };
    let mut yes = |i: usize| if case.separable { score(i) > 0.4 } else { unit(prg) < sigmoid(case.base + score(i)) };
    let labels: Vec<f64> = (0..case.rows).map(|i| f64::from(u8::from(yes(i)))).collect();
    let weights = case.weights.map(|terms| {
        let draw = |i: usize| {
            let u = unit(prg);
            if terms.binary { f64::from(u8::from(u < sigmoid(-0.8 + score(i)))) } else { 4.0 * u * u }
        };
        (0..case.rows).map(draw).collect()
    });
    Set { owner, partner, labels, weights }
}

#[test]
fn hard_cases_reach_the_twin() {
    let only = std::env::var("COLIFT_HARD_ONLY").ok();
    let mut wrong = Vec::new();
    for (seed, case) in cases().into_iter().enumerate().filter(|(_, case)| only.as_deref().is_none_or(|only| only == case.name)) {
        let set = make(&case, 500 + seed as u64);
        let rate = set.labels.iter().sum::<f64>() / case.rows as f64;
        let bucket = RateBucket::for_rate(rate).unwrap();
        let sizes = PublicSizes { weights: case.weights, ..set.logistic(bucket.ends()) };
        match set.distance(sizes, bucket.base_logit(), case.l2) {
            Ok(distance) => {
                let (gap, se, auc) = (distance.gap, distance.standard_errors, distance.auc_gap);
                println!("{}: rate {rate:.4}, objective gap {gap:.1e}, worst coefficient {se:.4} se, AUC gap {auc:.1e}", case.name);
                if !distance.near() {
                    wrong.push(format!("{}: {distance:?}", case.name));
                }
            }
            Err(failure) => {
                println!("{}: rate {rate:.4}, no model: {failure}", case.name);
                if !(case.may_refuse && matches!(failure.exit, Exit::Data | Exit::NotConverged)) {
                    wrong.push(format!("{}: {failure}", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
