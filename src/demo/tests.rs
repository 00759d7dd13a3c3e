//! Tests of the demo's data: sizes, the reader's verdict, equal files for a seed, and the figures it promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::data::wording::hex;
use crate::data::{Side, Table, TableSpec, intersection, read_table};
use crate::evaluation::{Metrics, metrics};
use crate::training::scaling::Scaling;
use crate::training::twin::{fit_logistic, probabilities};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::time::{Duration, Instant};

fn tables(files: &DemoFiles) -> (Table, Table) {
    let owner = TableSpec { id_kind: files.id_kind, label: Some(files.label.to_owned()), ..TableSpec::new(&files.owner, files.owner_id) };
    let partner = TableSpec { id_kind: files.id_kind, ..TableSpec::new(&files.partner, files.partner_id) };
    (read_table(&owner, Side::Owner).unwrap(), read_table(&partner, Side::Partner).unwrap())
}

/// The shared users' columns (the owner's first) and labels, in the owner's order.
fn joined(owner: &Table, partner: &Table) -> (Vec<Vec<f64>>, Vec<bool>) {
    let rows: HashMap<&String, usize> = partner.ids.iter().zip(0..).collect();
    let pairs: Vec<(usize, usize)> = (0..owner.rows()).filter_map(|row| rows.get(&owner.ids[row]).map(|other| (row, *other))).collect();
    let own = owner.columns.iter().map(|column| pairs.iter().map(|pair| column.values.numbers().unwrap()[pair.0]).collect());
    let other = partner.columns.iter().map(|column| pairs.iter().map(|pair| column.values.numbers().unwrap()[pair.1]).collect());
    let label = owner.label.as_ref().unwrap();
    (own.chain(other).collect(), pairs.iter().map(|pair| label[pair.0]).collect())
}

/// Figures where every user is scored by a model fitted on the other three quarters.
fn crossed(columns: &[Vec<f64>], labels: &[bool]) -> Metrics {
    let names: Vec<String> = (0..columns.len()).map(|i| i.to_string()).collect();
    let mut scores = vec![0.0; labels.len()];
    for fold in 0..4 {
        let (test, train): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|row| row % 4 == fold);
        let recipe = Scaling::fit_rows(columns, &train, &names, 5.0).unwrap();
        let train_labels: Vec<bool> = train.iter().map(|&row| labels[row]).collect();
        let fit = fit_logistic(&recipe.apply_rows(columns, &train).unwrap(), &train_labels, 0.001).unwrap();
        let found = probabilities(recipe.apply_rows(columns, &test).unwrap().view(), &fit.coefficients, fit.intercept);
        test.iter().zip(found).for_each(|(&row, score)| scores[row] = score);
    }
    metrics(&scores, labels).unwrap()
}

fn made(rows: usize, seed: u64) -> (tempfile::TempDir, DemoFiles) {
    let home = tempfile::tempdir().unwrap();
    let files = make_vip_purchase(&home.path().join("demo"), rows, seed).unwrap();
    (home, files)
}

#[test]
fn a_joint_model_finds_what_the_demo_promises() {
    let start = Instant::now();
    let (_home, files) = made(24_000, 7);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?} on a shared machine; 0.1 s alone", start.elapsed());
    let (owner, partner) = tables(&files);
    assert_eq!((owner.rows(), partner.rows()), (24_000, 30_000));
    assert_eq!((owner.columns.len(), partner.columns.len()), (6, 8));
    assert_eq!(intersection(&owner.ids, &partner.ids).matched, 16_000);
    assert_eq!(files.common, 16_000);

    let (columns, labels) = joined(&owner, &partner);
    let rate = labels.iter().filter(|&&buys| buys).count() as f64 / labels.len() as f64;
    assert!((rate - 0.09).abs() < 0.01, "{rate}");
    let bucket = crate::contract::RateBucket::for_rate(rate).unwrap();
    assert_eq!(bucket.to_string(), files.expected_rate);
    let (joint, own) = (crossed(&columns, &labels), crossed(&columns[..owner.columns.len()], &labels));
    assert!((joint.recall_at_40 - 0.67).abs() < 0.02 && (joint.lift_at_40 - 1.675).abs() < 0.05, "{joint:?}");
    assert!((own.recall_at_40 - 0.55).abs() < 0.02, "{own:?}");
    assert!(joint.auc > own.auc + 0.05, "{joint:?} {own:?}");
}

#[test]
fn the_reader_has_nothing_to_say_but_that_some_ids_were_respelt() {
    let (_home, files) = made(24_000, 7);
    let (owner, partner) = tables(&files);
    assert_eq!(owner.warnings, []);
    let [crate::data::Warning::IdsRepaired { count, trimmed: 0, rewritten }] = partner.warnings[..] else {
        panic!("{:?}", partner.warnings);
    };
    assert!(count == rewritten && (450..750).contains(&count), "about 2 % of 30,000: {count}");
}

#[test]
fn equal_seeds_give_equal_files_on_every_machine() {
    let digest = |seed: u64| {
        let (_home, files) = made(LEAST_ROWS, seed);
        let both = [files.owner, files.partner].map(|path| std::fs::read(path).unwrap()).concat();
        hex(&Sha256::digest(&both))
    };
    assert_eq!(digest(7), "d42b02ed260bab759789f5d3ff58ffe06aa3d26777e9ac60afae69002193efdc");
    assert_ne!(digest(8), digest(7));
}

#[test]
fn users_are_the_same_person_in_both_files_and_private_on_disk() {
    use std::os::unix::fs::PermissionsExt;
    let (_home, files) = made(900, 3);
    let (owner, partner) = tables(&files);
    assert_eq!((owner.rows(), partner.rows()), (900, 1_125));
    assert_eq!(intersection(&owner.ids, &partner.ids).matched, 600);
    assert_eq!(files.common, 600);
    // The order of one file says nothing about the other.
    let shared_first = owner.ids.iter().take(300).filter(|id| partner.ids.iter().take(300).any(|other| other == *id)).count();
    assert!((20..100).contains(&shared_first), "{shared_first} of 300, about 53 by chance");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&files.owner), mode(&files.partner)), (0o600, 0o600));
}

#[test]
fn impossible_sizes_and_places_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for rows in [0, LEAST_ROWS - 1, MOST_ROWS + 1, usize::MAX] {
        assert_eq!(make_vip_purchase(home.path(), rows, 1).unwrap_err().id, 740);
    }
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(make_vip_purchase(&file.join("below"), 600, 1).unwrap_err().exit, Exit::Usage);
}
