//! The same case on plaintext and secure: matched rows of two files, trained over a memory pair, judged by the twin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use colift::contract::{Disclosure, RateBucket};
use colift::data::{IdKind, Side, Split, Table, TableSpec, read_table};
use colift::training::features::Features;
use colift::training::opening::Ledger;
use colift::training::response::OwnerInput;
use colift::training::scaling::Scaling;
use colift::training::schedule::{PublicSizes, Schedule};
use colift::training::secure::{Trained, train};
use colift::training::twin::{self, SecureModel};
use colift::training::whitening::Dependence;
use colift_algebra::Engine;
use colift_channel::{Channel, Counters};
use colift_correlation::Role;
use colift_testkit::run_pair;
use ndarray::{Array2, Axis, concatenate};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

const L2: f64 = 1e-3;
const REVEAL: [Disclosure; 2] = [Disclosure::OwnWeights, Disclosure::ConvergedAndInRange];

fn tables(folder: &Path, label: &str, exclude: &[&str], id_kind: IdKind) -> (Table, Table) {
    let spec = |name: &str| TableSpec { id_kind, ..TableSpec::new(folder.join(name), "id") };
    let owner = TableSpec {
        label: Some(label.into()),
        split: Some("split".into()),
        exclude: exclude.iter().map(|s| (*s).to_owned()).collect(),
        ..spec("owner.csv")
    };
    (read_table(&owner, Side::Owner).unwrap(), read_table(&spec("partner.csv"), Side::Partner).unwrap())
}

/// Standardised training rows of both sides and the labels, in an order that depends on neither file.
fn matched(owner: &Table, partner: &Table) -> (Array2<f64>, Array2<f64>, Vec<bool>) {
    let rows: HashMap<&str, usize> = partner.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let split = owner.split.as_ref().unwrap();
    let mut pairs: Vec<(usize, usize)> = owner
        .ids
        .iter()
        .enumerate()
        .filter(|(i, _)| split[*i] == Split::Train)
        .filter_map(|(i, id)| rows.get(id.as_str()).map(|j| (i, *j)))
        .collect();
    pairs.sort_by_key(|(i, _)| (*i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let side = |table: &Table, rows: &[usize]| {
        let names: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        let columns: Vec<&[f64]> = table.columns.iter().map(|c| c.values.numbers().unwrap()).collect();
        Scaling::fit_rows(&columns, rows, &names, 5.0).unwrap().apply_rows(&columns, rows).unwrap()
    };
    let (own, theirs): (Vec<usize>, Vec<usize>) = pairs.into_iter().unzip();
    let labels = owner.label.as_ref().unwrap();
    (side(owner, &own), side(partner, &theirs), own.iter().map(|i| labels[*i]).collect())
}

fn judge(name: &str, (owner, partner, labels): (Array2<f64>, Array2<f64>, Vec<bool>)) {
    let rate = labels.iter().filter(|y| **y).count() as f64 / labels.len() as f64;
    let bucket = RateBucket::for_rate(rate).unwrap();
    let sizes =
        PublicSizes::logistic(labels.len(), Dependence::of(owner.view()).rank(), Dependence::of(partner.view()).rank(), bucket.ends());
    let schedule = Schedule::new(sizes).unwrap();
    let party = |role: Role, x: &Array2<f64>, labels: Option<Vec<bool>>| {
        let (x, schedule) = (x.clone(), schedule.clone());
        move |channel: &mut colift_channel::memory::MemoryChannel| -> (Trained, Counters) {
            let features = Features::new(&x, L2, role == Role::First).unwrap();
            let mut engine = Engine::setup(channel, role).unwrap();
            let labels = labels.as_deref().map(twin::numbers);
            let owner = labels.as_deref().map(|labels| OwnerInput { labels, weights: None, base_logit: bucket.base_logit() });
            let trained = train(&mut engine, channel, &features, owner, &schedule, &mut Ledger::new(&REVEAL), &|_, _| ()).unwrap();
            (trained, channel.counters())
        }
    };
    let start = Instant::now();
    let (a, b, ..) = run_pair(party(Role::First, &owner, Some(labels.clone())), party(Role::Second, &partner, None));
    let seconds = start.elapsed().as_secs_f64();
    let x = concatenate(Axis(1), &[owner.view(), partner.view()]).unwrap();
    let fit = twin::fit_logistic(&x, &labels, L2).unwrap();
    let coefficients: Vec<f64> = a.0.coefficients.iter().chain(&b.0.coefficients).copied().collect();
    let secure = SecureModel { intercept: a.0.intercept.unwrap(), coefficients: &coefficients, test_auc: None };
    let gap = twin::compare(&x, &labels, L2, &secure, &fit, None).unwrap();
    println!(
        "{name}: {} rows, {}+{} columns: objective gap {:.1e}, worst coefficient {:.3} se, {:.1} + {:.1} MB, {} rounds, {seconds:.1} s",
        labels.len(),
        owner.ncols(),
        partner.ncols(),
        gap.loss_gap,
        gap.max_coefficient_error_se,
        a.1.bytes_sent as f64 / 1e6,
        b.1.bytes_sent as f64 / 1e6,
        a.1.rounds,
    );
    assert!(gap.loss_gap.abs() <= 1e-5 && gap.max_coefficient_error_se <= 0.1, "{name}");
}

#[test]
fn synthetic_case_reaches_the_twin() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/synthetic");
    let (owner, partner) = tables(&folder, "label", &[], IdKind::Email);
    judge("synthetic", matched(&owner, &partner));
}

#[test]
fn real_sets_reach_the_twin() {
    let data: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.exists() {
        println!("SKIPPED: ../shared/data is absent");
        return;
    }
    let sets: [(&str, &str, &[&str]); 6] = [
        ("bank", "label", &[]),
        ("default_credit", "label", &[]),
        ("tic", "label", &[]),
        ("breast", "label", &[]),
        ("cdnow", "label", &["label_vip", "label_spend"]),
        ("cdnow", "label_vip", &["label", "label_spend"]),
    ];
    for (set, label, exclude) in sets {
        let (owner, partner) = tables(&data.join(set), label, exclude, IdKind::Opaque);
        judge(&format!("{set} {label}"), matched(&owner, &partner));
    }
}
