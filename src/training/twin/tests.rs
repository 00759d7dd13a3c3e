//! Exactness against answers made elsewhere: the committed synthetic case, and the real sets where they are at hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::evaluation::random::normals;
use crate::evaluation::{Metrics, Ranking, metrics};
use crate::training::scaling::Scaling;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

const L2: f64 = 0.001;
const CLIP: f64 = 5.0;
const NEAR: f64 = 1e-6;

/// A CSV file as this test needs it.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path).unwrap();
        let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
        Self { header, rows: reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect() }
    }

    fn place(&self, name: &str) -> usize {
        self.header.iter().position(|h| h == name).unwrap()
    }
}

/// Both files joined in memory: rows of users common to both, in the order of their ids.
pub(crate) struct Joined {
    pub(crate) names: Vec<String>,
    columns: Vec<Vec<f64>>,
    pub(crate) owner_columns: usize,
    labels: Vec<bool>,
    pub(crate) train: Vec<usize>,
    pub(crate) test: Vec<usize>,
    pub(crate) ids: Vec<String>,
}

impl Joined {
    pub(crate) fn read(folder: &Path, label: &str) -> Self {
        let (owner, partner) = (Table::read(&folder.join("owner.csv")), Table::read(&folder.join("partner.csv")));
        let theirs: HashMap<&str, &Vec<String>> = partner.rows.iter().map(|row| (row[partner.place("id")].as_str(), row)).collect();
        let id = owner.place("id");
        let mut pairs: Vec<_> = owner.rows.iter().filter_map(|row| theirs.get(row[id].as_str()).map(|other| (row, *other))).collect();
        pairs.sort_by(|a, b| a.0[id].cmp(&b.0[id]));
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        let is_feature = |name: &str| name != "id" && name != "split" && !name.starts_with("label");
        for (i, name) in owner.header.iter().enumerate().filter(|(_, name)| is_feature(name)) {
            names.push(name.clone());
            columns.push(pairs.iter().map(|pair| pair.0[i].parse().unwrap()).collect());
        }
        let owner_columns = names.len();
        for (i, name) in partner.header.iter().enumerate().filter(|(_, name)| is_feature(name)) {
            names.push(name.clone());
            columns.push(pairs.iter().map(|pair| pair.1[i].parse().unwrap()).collect());
        }
        let (split, label) = (owner.place("split"), owner.place(label));
        let part = |wanted: &str| pairs.iter().enumerate().filter(|(_, p)| p.0[split] == wanted).map(|(i, _)| i).collect();
        Self {
            names,
            columns,
            owner_columns,
            labels: pairs.iter().map(|pair| pair.0[label].parse::<f64>().unwrap() == 1.0).collect(),
            train: part("train"),
            test: part("test"),
            ids: pairs.iter().map(|pair| pair.0[id].clone()).collect(),
        }
    }

    pub(crate) fn labels_of(&self, rows: &[usize]) -> Vec<bool> {
        rows.iter().map(|&row| self.labels[row]).collect()
    }

    /// Fits the first `count` columns as the twin does: scaling, fit and scores of the test rows.
    pub(crate) fn fit(&self, count: usize) -> (Scaling, Fit, Vec<f64>) {
        let columns = &self.columns[..count];
        let scaling = Scaling::fit_rows(columns, &self.train, &self.names[..count], CLIP).unwrap();
        let x = scaling.apply_rows(columns, &self.train).unwrap();
        let fit = fit_logistic(&x, &self.labels_of(&self.train), L2).unwrap();
        let test = scaling.apply_rows(columns, &self.test).unwrap();
        let scores = probabilities(test.view(), &fit.coefficients, fit.intercept);
        (scaling, fit, scores)
    }

    pub(crate) fn figures(&self, scores: &[f64]) -> Metrics {
        metrics(scores, &self.labels_of(&self.test)).unwrap()
    }
}

fn near(what: &str, got: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what} is missing from the frozen answer"));
    assert!((got - expected).abs() <= NEAR, "{what}: {got} where {expected} is right");
}

fn same_coefficients(what: &str, scaling: &Scaling, values: &[f64], expected: &Value) {
    let expected = expected.as_object().unwrap();
    let names = scaling.names();
    assert_eq!(names.iter().collect::<HashSet<_>>(), expected.keys().collect::<HashSet<_>>(), "{what}: columns");
    assert_eq!(names.len(), values.len());
    names.iter().zip(values).for_each(|(name, value)| near(&format!("{what} {name}"), *value, &expected[name]));
}

#[test]
fn equals_the_frozen_answer_of_the_synthetic_case() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/synthetic");
    let frozen: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let joined = Joined::read(&folder, "label");
    assert_eq!(joined.ids.len() as u64, frozen["matched"].as_u64().unwrap());
    assert_eq!(joined.train.len() as u64, frozen["train_rows"].as_u64().unwrap());
    use sha2::Digest;
    let hash: String = sha2::Sha256::digest(joined.ids.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, frozen["intersection_sha256"].as_str().unwrap());
    for (kind, count) in [("joint", joined.names.len()), ("own_only", joined.owner_columns)] {
        let (scaling, fit, scores) = joined.fit(count);
        let test = joined.figures(&scores);
        let expected = &frozen[kind];
        near("loss", fit.loss, &expected["loss"]);
        near("objective", fit.objective, &expected["objective"]);
        near("intercept", fit.intercept, &expected["intercept"]);
        near("standard error of the intercept", fit.intercept_standard_error, &expected["intercept_se"]);
        same_coefficients("coefficient", &scaling, &fit.coefficients, &expected["coefficients"]);
        same_coefficients("standard error", &scaling, &fit.standard_errors, &expected["se"]);
        near("auc", test.auc, &expected["auc"]);
        near("ks", test.ks, &expected["ks"]);
        near("log-loss", test.log_loss, &expected["log_loss"]);
        near("recall at 20", test.recall_at_20, &expected["recall_at_20"]);
        near("recall at 40", test.recall_at_40, &expected["recall_at_40"]);
        if kind == "joint" {
            assert_eq!(serde_json::to_value(scaling.dropped()).unwrap(), frozen["dropped_columns"]);
        }
    }
}

#[test]
fn equals_the_baselines_of_the_real_sets() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.is_dir() {
        eprintln!("SKIPPED: ../shared/data is absent");
        return;
    }
    let cases =
        [("bank", "label"), ("cdnow", "label"), ("cdnow", "label_vip"), ("tic", "label"), ("breast", "label"), ("default_credit", "label")];
    for (set, label) in cases {
        let folder = data.join(set);
        let baselines: Value = serde_json::from_slice(&std::fs::read(folder.join("baselines.json")).unwrap()).unwrap();
        let joined = Joined::read(&folder, label);
        for (kind, count) in [("joint", joined.names.len()), ("owner", joined.owner_columns)] {
            let (scaling, fit, scores) = joined.fit(count);
            let test = joined.figures(&scores);
            let expected = &baselines["labels"][label][format!("{kind}_z_clipped_to_5")];
            let place = format!("{set} {label} {kind}");
            near(&format!("{place} loss"), fit.loss, &expected["train_logloss"]);
            near(&format!("{place} objective"), fit.objective, &expected["train_objective"]);
            near(&format!("{place} intercept"), fit.intercept, &expected["intercept"]);
            same_coefficients(&place, &scaling, &fit.coefficients, &expected["coef_standardised"]);
            let expected = &expected["test"];
            near(&format!("{place} auc"), test.auc, &expected["auc"]);
            near(&format!("{place} ks"), test.ks, &expected["ks"]);
            near(&format!("{place} log-loss"), test.log_loss, &expected["test_logloss"]);
            near(&format!("{place} recall at 20"), test.recall_at_20, &expected["recall_top20"]);
            near(&format!("{place} recall at 40"), test.recall_at_40, &expected["recall_top40"]);
            near(&format!("{place} lift at 40"), test.lift_at_40, &expected["lift_top40"]);
            assert!(fit.gradient_max < TOLERANCE && fit.iterations < 40, "{place}: {} steps", fit.iterations);
        }
    }
}

/// Rows with a duplicated column, a sum of two others, and a label with signal.
fn collinear(n: usize) -> (Array2<f64>, Vec<bool>) {
    let noise = normals(n * 4, 21);
    let x = Array2::from_shape_fn((n, 4), |(i, j)| match j {
        0 | 1 => noise[4 * i + j],
        2 => noise[4 * i],
        _ => noise[4 * i] + noise[4 * i + 1],
    });
    let labels = (0..n).map(|i| noise[4 * i] - 0.5 * noise[4 * i + 1] + 1.5 * noise[4 * i + 3] > 1.0).collect();
    (x, labels)
}

#[test]
fn collinear_and_duplicated_columns_are_fitted_with_and_without_a_ridge() {
    let (x, labels) = collinear(700);
    let fit = fit_logistic(&x, &labels, L2).unwrap();
    assert!((fit.coefficients[0] - fit.coefficients[2]).abs() < 1e-7, "the ridge shares a duplicate's weight evenly");
    let free = fit_logistic(&x, &labels, 0.0).unwrap();
    assert!(free.gradient_max < TOLERANCE && free.loss < fit.loss);
    let only = fit_logistic(&x.slice(ndarray::s![.., ..2]).to_owned(), &labels, 0.0).unwrap();
    assert!((free.loss - only.loss).abs() < 1e-10, "duplicates change no loss");
    let least = fit_logistic(&x, &labels, 1e-8).unwrap();
    assert!(least.gradient_max < TOLERANCE && (least.loss - only.loss).abs() < 1e-6, "the smallest ridge of a contract");
    assert!(least.standard_errors.iter().all(|error| error.is_finite()));
}

#[test]
fn separable_rows_have_an_optimum_with_a_ridge() {
    let x = Array2::from_shape_fn((200, 2), |(i, j)| if j == 0 { i as f64 / 100.0 - 0.995 } else { f64::from(i as u32 % 7) });
    let labels: Vec<bool> = (0..200).map(|i| i >= 100).collect();
    let mut lengths = Vec::new();
    for l2 in [1e-6, 1e-8] {
        let fit = fit_logistic(&x, &labels, l2).unwrap();
        let scores = logits(x.view(), &fit.coefficients, fit.intercept);
        assert_eq!(Ranking::new(&scores, &labels).unwrap().auc(), 1.0);
        assert!(fit.gradient_max < TOLERANCE);
        lengths.push(fit.coefficients[0]);
    }
    assert!(lengths[1] > lengths[0] && lengths[1].is_finite(), "{lengths:?}");
}

#[test]
fn a_model_without_columns_is_the_base_rate() {
    let labels: Vec<bool> = (0..50).map(|i| i % 5 == 0).collect();
    let fit = fit_logistic(&Array2::zeros((50, 0)), &labels, L2).unwrap();
    assert!((fit.intercept - 0.25f64.ln()).abs() < 1e-12);
    assert!((fit.intercept_standard_error - (1.0 / (50.0 * 0.16f64)).sqrt()).abs() < 1e-12, "1/√(n·p(1−p))");
}

#[test]
fn equal_labels_and_uneven_rows_are_refused() {
    let x = Array2::zeros((3, 1));
    for labels in [[true; 3], [false; 3]] {
        let failure = fit_logistic(&x, &labels, L2).unwrap_err();
        assert_eq!((failure.exit, failure.id), (Exit::NotConverged, 601));
        assert!(failure.what.contains("all 3 training rows"), "{failure}");
    }
    assert_eq!(fit_logistic(&Array2::zeros((0, 1)), &[], L2).unwrap_err().id, 601);
    assert_eq!(fit_logistic(&x, &[true], L2).unwrap_err().exit, Exit::Internal);
    let broken = Array2::from_elem((4, 1), f64::NAN);
    assert!(fit_logistic(&broken, &[true, false, true, false], L2).is_err());
}

#[test]
fn the_gap_to_the_twin_is_measured_in_its_own_units() {
    let (x, labels) = collinear(500);
    let fit = fit_logistic(&x, &labels, L2).unwrap();
    let mut moved = fit.coefficients.clone();
    moved[1] += 0.5 * fit.standard_errors[1];
    let secure = SecureModel { intercept: fit.intercept, coefficients: &moved, test_auc: Some(0.7) };
    let gap = compare(&x, &labels, L2, &secure, &fit, Some(0.7004)).unwrap();
    assert!((gap.max_coefficient_error_se - 0.5).abs() < 1e-9 && (gap.auc_gap.unwrap() - 0.0004).abs() < 1e-12);
    let direct = objective(x.view(), &labels, &moved, fit.intercept, L2) - fit.objective;
    assert!(gap.loss_gap > 0.0 && (gap.loss_gap - direct).abs() < 1e-15, "the twin is the optimum");
    let shifted =
        SecureModel { intercept: fit.intercept - 2.0 * fit.intercept_standard_error, coefficients: &fit.coefficients, test_auc: None };
    let gap = compare(&x, &labels, L2, &shifted, &fit, None).unwrap();
    assert!((gap.max_coefficient_error_se - 2.0).abs() < 1e-9 && gap.auc_gap.is_none());
    moved[0] = f64::NAN;
    let broken = SecureModel { intercept: 0.0, coefficients: &moved, test_auc: None };
    assert!(compare(&x, &labels, L2, &broken, &fit, None).unwrap().max_coefficient_error_se.is_nan());
    let short = SecureModel { intercept: 0.0, coefficients: &moved[..1], test_auc: None };
    assert_eq!(compare(&x, &labels, L2, &short, &fit, None).unwrap_err().id, 600);
}

#[test]
fn losses_survive_extreme_logits() {
    let log_loss = |z, y| Family::Logistic.loss(z, y);
    assert_eq!((log_loss(800.0, 1.0), log_loss(-800.0, 0.0)), (0.0, 0.0));
    assert_eq!((log_loss(800.0, 0.0), log_loss(-800.0, 1.0)), (800.0, 800.0));
    assert!((log_loss(0.3, 1.0) - (1.0 + (-0.3f64).exp()).ln()).abs() < 1e-15);
    assert_eq!((sigmoid(0.0), sigmoid(1000.0), sigmoid(-1000.0)), (0.5, 1.0, 0.0));
    assert!((mean_loss(&[0.0, 0.0], &[true, false]) - std::f64::consts::LN_2).abs() < 1e-15);
}
