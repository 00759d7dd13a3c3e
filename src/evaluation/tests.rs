//! Tests of the figures against definitions written out, closed forms and brute force.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::random::{SplitMix, normals};
use super::*;

fn case(n: usize, levels: u64, seed: u64) -> (Vec<f64>, Vec<f64>, Vec<bool>) {
    let mut random = SplitMix::new(seed, 7);
    let labels: Vec<bool> = (0..n).map(|_| random.below(4) == 0).collect();
    let mut scores = |signal: f64| -> Vec<f64> {
        let noise = normals(n, random.next());
        noise
            .iter()
            .zip(&labels)
            .map(|(e, &y)| {
                let p = 1.0 / (1.0 + (-(e + if y { signal } else { 0.0 })).exp());
                (p * levels as f64).round() / levels as f64
            })
            .collect()
    };
    let (joint, own) = (scores(1.2), scores(0.6));
    (joint, own, labels)
}

/// AUC, KS and recall by their definitions, pair by pair.
fn by_definition(scores: &[f64], labels: &[bool], q: f64) -> (f64, f64, f64) {
    let rows: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    let (p, n): (Vec<f64>, Vec<f64>) =
        (rows.iter().filter(|r| r.1).map(|r| r.0).collect(), rows.iter().filter(|r| !r.1).map(|r| r.0).collect());
    let wins: f64 = p
        .iter()
        .flat_map(|a| {
            n.iter().map(move |b| {
                if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                }
            })
        })
        .sum();
    let ks = scores
        .iter()
        .map(|cut| {
            let share = |v: &[f64]| v.iter().filter(|s| *s <= cut).count() as f64 / v.len() as f64;
            (share(&p) - share(&n)).abs()
        })
        .fold(0.0, f64::max);
    let k = (q * rows.len() as f64 + 1e-9).floor();
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let recall = if k < 1.0 {
        0.0
    } else {
        let cut = sorted[k as usize - 1];
        let above = rows.iter().filter(|r| r.0 > cut).count() as f64;
        let tied = rows.iter().filter(|r| r.0 == cut).count() as f64;
        let (hits, tied_hits) = (p.iter().filter(|s| **s > cut).count() as f64, p.iter().filter(|s| **s == cut).count() as f64);
        (hits + tied_hits * (k - above) / tied) / p.len() as f64
    };
    (wins / (p.len() * n.len()) as f64, ks, recall)
}

#[test]
fn figures_agree_with_their_definitions() {
    for (seed, levels) in [(1, 5), (2, 40), (3, 1 << 40)] {
        let (scores, _, labels) = case(331, levels, seed);
        let ranking = Ranking::new(&scores, &labels).unwrap();
        for q in [0.0, 0.1, 0.2, 0.4, 0.77, 1.0] {
            let (auc, ks, recall) = by_definition(&scores, &labels, q);
            assert!((ranking.auc() - auc).abs() < 1e-12 && (ranking.ks() - ks).abs() < 1e-12, "levels {levels}");
            assert!((ranking.recall_at(q) - recall).abs() < 1e-12, "levels {levels} q {q}");
        }
        assert!((ranking.lift_at(0.2) - ranking.recall_at(0.2) / 0.2).abs() < 1e-15);
    }
}

#[test]
fn extremes() {
    let labels = [true, true, false, false, false];
    let perfect = metrics(&[0.9, 0.8, 0.3, 0.2, 0.1], &labels).unwrap();
    assert_eq!((perfect.auc, perfect.ks, perfect.recall_at_20, perfect.recall_at_40, perfect.lift_at_40), (1.0, 1.0, 0.5, 1.0, 2.5));
    let flat = metrics(&[0.4; 5], &labels).unwrap();
    assert_eq!((flat.auc, flat.ks), (0.5, 0.0));
    assert!((flat.recall_at_40 - 0.4).abs() < 1e-15);
    assert!((flat.log_loss + (2.0 * 0.4f64.ln() + 3.0 * 0.6f64.ln()) / 5.0).abs() < 1e-15);
    let certain = metrics(&[1.0, 1.0, 0.0, 0.0, 1.0], &labels).unwrap();
    assert!(certain.log_loss.is_finite() && certain.log_loss > 7.0, "one certain error costs 36/5");
    assert!(metrics(&[0.1, 0.2], &[true, true]).is_none());
    assert!(metrics(&[], &[]).is_none());
    assert!(metrics(&[f64::NAN, 0.1], &[true, false]).is_none());
    assert!(Curves::new(&[0.1], &[false]).is_none());
    assert!(paired_bootstrap(&[0.1, 0.2], &[0.1, 0.2], &[false, false], 10, 1).is_none());
}

#[test]
fn curves_end_where_they_must_and_enclose_the_auc() {
    let (scores, _, labels) = case(2_000, 300, 4);
    let curves = Curves::new(&scores, &labels).unwrap();
    for curve in [&curves.roc, &curves.gains] {
        assert_eq!((curve[0], *curve.last().unwrap()), (Point { x: 0.0, y: 0.0 }, Point { x: 1.0, y: 1.0 }));
        assert!(curve.windows(2).all(|w| w[0].x <= w[1].x && w[0].y <= w[1].y));
    }
    let area = |curve: &[Point]| curve.windows(2).map(|w| (w[1].x - w[0].x) * (w[0].y + w[1].y) / 2.0).sum::<f64>();
    let auc = Ranking::new(&scores, &labels).unwrap().auc();
    assert!((area(&curves.roc) - auc).abs() < 1e-12);
    let thin = Curves::thinned(&curves.roc, 50);
    assert!(thin.len() <= 102 && (area(&thin) - auc).abs() < 0.02 && thin.last() == curves.roc.last());
    let rate = labels.iter().filter(|&&y| y).count() as f64 / 2_000.0;
    let end = curves.precision_recall.last().unwrap();
    assert!((end.x - 1.0).abs() < 1e-12 && (end.y - rate).abs() < 1e-12);
}

#[test]
fn calibration_covers_every_row_once_and_ignores_row_order() {
    for levels in [3, 1 << 40] {
        let (scores, _, labels) = case(1_003, levels, 5);
        let bins = Curves::new(&scores, &labels).unwrap().calibration;
        assert_eq!((bins.len(), bins.iter().map(|b| b.rows).sum::<usize>()), (10, 1_003));
        let predicted: f64 = bins.iter().map(|b| b.predicted * b.rows as f64).sum();
        let observed: f64 = bins.iter().map(|b| b.observed * b.rows as f64).sum();
        assert!((predicted - scores.iter().sum::<f64>()).abs() < 1e-6);
        assert!((observed - labels.iter().filter(|&&y| y).count() as f64).abs() < 1e-6);
        assert!(bins.windows(2).all(|w| w[0].predicted <= w[1].predicted + 1e-12));
        let (mut turned, mut turned_labels) = (scores.clone(), labels.clone());
        turned.reverse();
        turned_labels.reverse();
        let again = Curves::new(&turned, &turned_labels).unwrap().calibration;
        assert!(bins.iter().zip(&again).all(|(a, b)| (a.predicted - b.predicted).abs() + (a.observed - b.observed).abs() < 1e-9));
    }
    assert_eq!(Curves::new(&[0.1, 0.9, 0.5], &[false, true, false]).unwrap().calibration.len(), 3);
}

#[test]
fn a_bootstrap_draw_is_the_figure_of_the_drawn_rows() {
    // One draw: the interval's ends are that draw, which is drawn here again the slow way.
    // The rows are put in the order of their scores by hand; another order gives the same draw.
    let (joint, own, labels) = case(400, 30, 6);
    let given = paired_bootstrap(&joint, &own, &labels, 1, 11).unwrap();
    let mut rows: Vec<_> = (0..400).map(|i| (joint[i], own[i], labels[i])).collect();
    rows.sort_by(|a, b| b.partial_cmp(a).unwrap());
    let joint: Vec<f64> = rows.iter().map(|row| row.0).collect();
    let own: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let labels: Vec<bool> = rows.iter().map(|row| row.2).collect();
    let gain = paired_bootstrap(&joint, &own, &labels, 1, 11).unwrap();
    assert_eq!(gain, given);
    let mut random = SplitMix::new(11, 0);
    let drawn: Vec<usize> = (0..400).map(|_| random.below(400)).collect();
    let pick = |v: &[f64]| drawn.iter().map(|&i| v[i]).collect::<Vec<_>>();
    let picked_labels: Vec<bool> = drawn.iter().map(|&i| labels[i]).collect();
    let (j, o) = (by_definition(&pick(&joint), &picked_labels, 0.4), by_definition(&pick(&own), &picked_labels, 0.4));
    assert!((gain.auc.lower - (j.0 - o.0)).abs() < 1e-12 && gain.auc.lower == gain.auc.upper);
    assert!((gain.recall_at_40.lower - (j.2 - o.2)).abs() < 1e-12);
    let (full_joint, full_own) = (metrics(&joint, &labels).unwrap(), metrics(&own, &labels).unwrap());
    assert!((gain.auc.estimate - (full_joint.auc - full_own.auc)).abs() < 1e-12);
}

#[test]
fn intervals_repeat_cover_and_notice_nothing_where_there_is_nothing() {
    let (joint, own, labels) = case(7_000, 1 << 40, 8);
    let started = std::time::Instant::now();
    let gain = paired_bootstrap(&joint, &own, &labels, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED).unwrap();
    eprintln!("{BOOTSTRAP_DRAWS} draws of 7,000 rows: {:.2} s", started.elapsed().as_secs_f64());
    assert!(started.elapsed().as_secs_f64() < 5.0, "a second is the aim, five the alarm on a busy machine");
    let again = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap()
        .install(|| paired_bootstrap(&joint, &own, &labels, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED).unwrap());
    assert_eq!(gain, again);
    assert!(gain.auc.lower < gain.auc.estimate && gain.auc.estimate < gain.auc.upper && !gain.auc.contains_zero());
    let nothing = paired_bootstrap(&own, &own, &labels, 50, 1).unwrap();
    assert_eq!((nothing.auc, nothing.auc.contains_zero()), (Interval { estimate: 0.0, lower: 0.0, upper: 0.0 }, true));
    assert_eq!(serde_json::to_string(&Interval { estimate: 0.5, lower: 0.25, upper: 0.75 }).unwrap(), "[0.5,0.25,0.75]");
}

#[test]
fn draws_without_a_positive_are_left_out() {
    let labels: Vec<bool> = (0..30).map(|i| i == 3).collect();
    let scores: Vec<f64> = (0..30).map(|i| f64::from(i) / 30.0).collect();
    let gain = paired_bootstrap(&scores, &scores, &labels, 200, 3).unwrap();
    assert!(gain.auc.lower.is_finite() && gain.auc.upper.is_finite());
}
