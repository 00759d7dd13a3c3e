//! Tests of the stories' data: sizes, the reader's verdict, equal files for a seed, and rates that the stories tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::files::{Files, SPLIT, make};
use super::*;
use crate::contract::Task;
use crate::data::wording::hex;
use crate::data::{Side, Split, Table, TableSpec, intersection, read_table};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::Path;

fn tables(scenario: Scenario, files: &Files) -> (Table, Table) {
    let shape = &scenario.story().shape;
    let owner = TableSpec {
        id_kind: shape.id_kind,
        label: shape.labels.last().map(|label| (*label).to_owned()),
        earlier_labels: shape
            .labels
            .split_last()
            .map_or_else(Vec::new, |(_, earlier)| earlier.iter().map(|label| (*label).to_owned()).collect()),
        label_kind: Task::from_name(scenario.story().task).unwrap().label_kind(),
        split: Some(SPLIT.to_owned()),
        ..TableSpec::new(&files.owner, shape.owner_id)
    };
    let partner = TableSpec { id_kind: shape.id_kind, ..TableSpec::new(&files.partner, shape.partner_id) };
    (read_table(&owner, Side::Owner).unwrap(), read_table(&partner, Side::Partner).unwrap())
}

fn made(scenario: Scenario, rows: usize, seed: u64) -> (tempfile::TempDir, Files) {
    let home = tempfile::tempdir().unwrap();
    let files = make(scenario.story(), &home.path().join("demo"), rows, seed).unwrap();
    (home, files)
}

#[test]
fn every_story_has_the_sizes_and_the_rate_that_it_tells() {
    // Of users with the label 1, or who pay.
    let rates = [0.09, 0.03, 0.02, 0.07, 0.22, 0.21];
    for (scenario, rate) in Scenario::ALL.into_iter().zip(rates) {
        let rows = scenario.rows();
        let (_home, files) = made(scenario, rows, 7);
        let (owner, partner) = tables(scenario, &files);
        assert_eq!((owner.rows(), partner.rows()), (rows, rows + rows / 4));
        assert_eq!(intersection(&owner.ids, &partner.ids).matched, files.common);
        assert_eq!(files.common, rows * 2 / 3);
        let ones = owner.labels.last().unwrap().iter().filter(|label| **label > 0.0).count() as f64 / rows as f64;
        assert!((ones / rate - 1.0).abs() < 0.1, "{scenario:?}: {ones}");
        let test = owner.split.as_ref().unwrap().iter().filter(|split| **split == Split::Test).count() as f64 / rows as f64;
        assert!((test - 0.25).abs() < 0.02, "{scenario:?}: {test}");
        // Users to decide about are others, and what they did follows the same law.
        let new = files.outcomes.values().filter(|(outcome, _)| *outcome > 0.0).count() as f64 / files.outcomes.len() as f64;
        assert!((new / rate - 1.0).abs() < 0.15, "{scenario:?}: {new}");
        assert!(owner.ids.iter().all(|id| !files.outcomes.contains_key(id)));
        assert_eq!(files.outcomes.len(), rows * scenario.story().new_users / scenario.story().rows);
    }
}

#[test]
fn five_in_six_users_to_decide_about_are_known_to_the_partner_and_spelt_as_it_likes() {
    for scenario in Scenario::ALL {
        let (_home, files) = made(scenario, 2_400, 3);
        let shape = &scenario.story().shape;
        let read = |path: &Path, id: &str, id_kind| read_table(&TableSpec { id_kind, ..TableSpec::new(path, id) }, Side::Partner).unwrap();
        let (owner, partner) =
            (read(&files.new_owner, shape.owner_id, shape.id_kind), read(&files.new_partner, shape.partner_id, shape.id_kind));
        assert_eq!(owner.ids.iter().collect::<HashSet<_>>(), files.outcomes.keys().collect::<HashSet<_>>(), "{scenario:?}");
        assert_eq!(intersection(&owner.ids, &partner.ids).matched, files.outcomes.len() * 5 / 6, "{scenario:?}");
        assert!(owner.columns.iter().all(|column| !shape.labels.contains(&column.name.as_str()) && column.name != SPLIT));
        assert_eq!(owner.warnings, [], "{scenario:?}");
        let rewritten = partner.warnings.iter().any(|w| matches!(w, crate::data::Warning::IdsRepaired { count, .. } if *count > 0));
        assert!(rewritten, "{scenario:?}: {:?}", partner.warnings);
    }
}

#[test]
fn equal_seeds_give_equal_files_on_every_machine() {
    let digest = |scenario, seed: u64| {
        let (_home, files) = made(scenario, LEAST_ROWS, seed);
        let all = [files.owner, files.partner, files.new_owner, files.new_partner].map(|path| std::fs::read(path).unwrap()).concat();
        hex(&Sha256::digest(&all))
    };
    let found = Scenario::ALL.map(|scenario| digest(scenario, 7));
    assert_eq!(
        found,
        [
            "f3fb56d59aa3e81e3544c5e91bd1d7342b58b4b99b036bbc73ee8ea84ab240e7",
            "10cc09adf92fd4ece3fc41cdee854ee65f54884608bae44f1c7bdd502def8a20",
            "3e91c17ffb8370b3bd7980286d5817aacb56075379641403d77a7f778b7b707f",
            "2a5504cadd4cd723ed7f94b041c1895d4c2fe8cd06e5d10608e8248261a9c352",
            "22ec6cceee33fbcdc3dcbc2ef960387c8c19aa2382435f2ba28b06c47b0ccfe7",
            "ea85b50fade3c2a8f7bf5d141dd9cc02aa6d0b49d5224abf955963ee5f7bdf23",
        ]
    );
    assert_ne!(digest(Scenario::VipPurchase, 8), found[0]);
}

#[test]
fn files_are_private_and_their_orders_say_nothing_about_each_other() {
    use std::os::unix::fs::PermissionsExt;
    let (_home, files) = made(Scenario::VipPurchase, 3_000, 3);
    let (owner, partner) = tables(Scenario::VipPurchase, &files);
    let shared_first = owner.ids.iter().take(300).filter(|id| partner.ids.iter().take(300).any(|other| other == *id)).count();
    assert!((3..40).contains(&shared_first), "{shared_first} of 300, about 16 by chance");
    for path in [&files.owner, &files.partner, &files.new_owner, &files.new_partner] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn impossible_sizes_and_places_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let story = Scenario::VipPurchase.story();
    for rows in [0, LEAST_ROWS - 1, MOST_ROWS + 1, usize::MAX] {
        assert_eq!(make(story, home.path(), rows, 1).err().unwrap().id, 740);
    }
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(make(story, &file.join("below"), LEAST_ROWS, 1).err().unwrap().exit, Exit::Usage);
}
