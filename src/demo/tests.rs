//! Tests of the demo's data: sizes, the reader's verdict, equal files for a seed, and the figures it promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::data::wording::hex;
use crate::data::{Side, Table, TableSpec, intersection, read_table};
use crate::evaluation::{Metrics, metrics};
use crate::training::recipe::Recipe;
use crate::training::twin::{fit_logistic, probabilities};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::time::{Duration, Instant};

fn tables(files: &DemoFiles) -> (Table, Table) {
    let owner = TableSpec {
        id_kind: files.id_kind,
        label: Some(files.label.to_owned()),
        ..TableSpec::new(&files.owner, files.owner_id)
    };
    let partner = TableSpec { id_kind: files.id_kind, ..TableSpec::new(&files.partner, files.partner_id) };
    (read_table(&owner, Side::Owner).unwrap(), read_table(&partner, Side::Partner).unwrap())
}

/// The shared users' columns (the owner's first) and labels, in the owner's order.
fn joined(owner: &Table, partner: &Table) -> (Vec<Vec<f64>>, Vec<bool>) {
    let rows: HashMap<&String, usize> = partner.ids.iter().zip(0..).collect();
    let pairs: Vec<(usize, usize)> = (0..owner.rows()).filter_map(|row| rows.get(&owner.ids[row]).map(|other| (row, *other))).collect();
    let own = owner.columns.iter().map(|column| pairs.iter().map(|pair| column.values[pair.0]).collect());
    let other = partner.columns.iter().map(|column| pairs.iter().map(|pair| column.values[pair.1]).collect());
    let label = owner.label.as_ref().unwrap();
    (own.chain(other).collect(), pairs.iter().map(|pair| label[pair.0]).collect())
}

/// Figures where every user is scored by a model fitted on the other three quarters.
fn crossed(columns: &[Vec<f64>], labels: &[bool]) -> Metrics {
    let names: Vec<String> = (0..columns.len()).map(|i| i.to_string()).collect();
    let mut scores = vec![0.0; labels.len()];
    for fold in 0..4 {
        let (test, train): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|row| row % 4 == fold);
        let recipe = Recipe::fit_rows(columns, &train, &names, 5.0).unwrap();
        let train_labels: Vec<bool> = train.iter().map(|&row| labels[row]).collect();
        let fit = fit_logistic(&recipe.apply_rows(columns, &train).unwrap(), &train_labels, 0.001).unwrap();
        let found = probabilities(recipe.apply_rows(columns, &test).unwrap().view(), &fit.coefficients, fit.intercept);
        test.iter().zip(found).for_each(|(&row, score)| scores[row] = score);
    }
    metrics(&scores, labels).unwrap()
}

#[test]
fn tune() {
    for (rows, seed) in [(24_000, 7), (24_000, 8), (300_000, 7)] {
        let home = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let files = make_vip_purchase(home.path(), rows, seed).unwrap();
        let time = start.elapsed();
        let (owner, partner) = tables(&files);
        let (columns, labels) = joined(&owner, &partner);
        let rate = labels.iter().filter(|&&y| y).count() as f64 / labels.len() as f64;
        eprintln!("{rows} {seed} {time:?} rate {rate:.4}");
        eprintln!("{:?}\n{:?}\n{:?}\n{:?}", owner.warnings, partner.warnings, crossed(&columns, &labels), crossed(&columns[..6], &labels));
    }
}
