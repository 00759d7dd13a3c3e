//! Alignment against a plain join, and every failure's exit code and words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::memory::pair;
use colift_channel::{ChannelError, Kind};
use colift_psi::VoleForm;
use colift_testkit::{cases, run_pair};

fn terms() -> AlignTerms {
    AlignTerms {
        session: [3; 32],
        own_max: 1000,
        peer_max: 1000,
        protocol: Protocol::Vole(VoleForm::default()),
        min_overlap: 1,
        overlap_listed: false,
    }
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|i| format!("canary-{i}")).collect()
}

fn both(x: &[String], y: &[String], first: AlignTerms, second: AlignTerms) -> (Result<Aligned, Failure>, Result<Aligned, Failure>) {
    let (a, b, ..) = run_pair(|c| align(c, Role::First, x, &first, &|_, _| ()), |c| align(c, Role::Second, y, &second, &|_, _| ()));
    (a, b)
}

#[test]
fn rows_of_both_tables_belong_to_the_same_users() {
    cases("alignment", 5, |prg| {
        let protocol = if prg.below(2) == 0 { Protocol::Ecdh } else { terms().protocol };
        let terms = || AlignTerms { protocol, ..terms() };
        let (mut x, mut y) = (ids(0..80), ids(50..170));
        prg.shuffle(&mut x);
        prg.shuffle(&mut y);
        let (a, b) = both(&x, &y, terms(), terms());
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((a.rows.len(), a.peer_rows, b.peer_rows), (30, 120, 80));
        assert!(a.rows.iter().zip(&b.rows).all(|(row, peer)| x[*row] == y[*peer]));
    });
}

#[test]
fn the_overlap_task_gives_numbers_only() {
    let (x, y) = (ids(0..80), ids(50..170));
    let (a, b, ..) =
        run_pair(|c| overlap(c, Role::First, &x, &terms(), &|_, _| ()), |c| overlap(c, Role::Second, &y, &terms(), &|_, _| ()));
    assert_eq!((a.unwrap(), b.unwrap()), (Overlap { common: 30, peer_rows: 120 }, Overlap { common: 30, peer_rows: 80 }));
}

#[test]
fn below_the_minimum_both_exit_14_and_the_number_shows_only_where_listed() {
    let quiet = AlignTerms { min_overlap: 31, ..terms() };
    let listed = AlignTerms { overlap_listed: true, ..quiet };
    let (a, b) = both(&ids(0..80), &ids(50..170), quiet, listed);
    let (a, b) = (a.unwrap_err(), b.unwrap_err());
    assert_eq!((a.exit, a.id, b.exit, b.id), (Exit::Overlap, 501, Exit::Overlap, 501));
    assert!(a.what.contains("31") && !a.to_string().contains("30 "));
    assert!(b.what.starts_with("30 users") && b.what.contains("at least 31"));
}

#[test]
fn too_many_rows_exit_17_on_either_side() {
    let own = AlignTerms { own_max: 79, ..terms() };
    let (mut channel, _peer) = pair();
    let error = align(&mut channel, Role::First, &ids(0..80), &own, &|_, _| ()).unwrap_err();
    assert_eq!((error.exit, error.id), (Exit::Cap, 502));
    assert!(error.what.contains("80") && error.what.contains("79"));
    assert_eq!(failure(PsiError::PeerTooMany { count: 9, max: 5 }, &terms()).exit, Exit::Cap);
}

#[test]
fn every_kind_of_failure_has_its_exit_code_and_no_id() {
    let repeated = vec!["canary-1".to_owned(), "canary-1".to_owned()];
    let (mut channel, peer) = pair();
    let error = align(&mut channel, Role::First, &repeated, &terms(), &|_, _| ()).unwrap_err();
    assert_eq!(error.exit, Exit::Data);
    assert!(!error.to_string().contains("canary"));
    drop(peer);
    let error = align(&mut channel, Role::First, &ids(0..3), &terms(), &|_, _| ()).unwrap_err();
    assert_eq!(error.exit, Exit::PeerGone);
    let (a, b) = both(&ids(0..3), &ids(0..3), terms(), AlignTerms { session: [4; 32], ..terms() });
    assert_eq!((a.unwrap_err().exit, b.unwrap_err().exit), (Exit::Protocol, Exit::Protocol));
    let (mut channel, mut peer) = pair();
    peer.send(Kind { code: 0x0777, name: "something else" }, b"").unwrap();
    assert_eq!(align(&mut channel, Role::First, &ids(0..3), &terms(), &|_, _| ()).unwrap_err().exit, Exit::Protocol);
    for error in
        [PsiError::InvalidPoint, PsiError::InvalidPosition, PsiError::CountsDiffer, PsiError::RepeatedPoints, PsiError::TagCollision]
    {
        assert_eq!(failure(error, &terms()).exit, Exit::Protocol);
    }
    let stopped = PsiError::Channel(ChannelError::Interrupted { waiting_for: "masked ids" });
    assert_eq!(failure(stopped, &terms()).exit, Exit::Interrupted);
}

/// What a cascade must give: passes in order, each a plain join of the rows that no earlier pass matched.
fn oracle(x: &[Vec<String>], y: &[Vec<String>]) -> Vec<std::collections::BTreeSet<(usize, usize)>> {
    let (mut left, mut right) = (vec![true; x[0].len()], vec![true; y[0].len()]);
    let pass = |(x, y): (&Vec<String>, &Vec<String>)| {
        let mut found = std::collections::BTreeSet::new();
        for (i, id) in x.iter().enumerate().filter(|(i, id)| left[*i] && !id.is_empty()) {
            found.extend(y.iter().position(|other| other == id).filter(|j| right[*j]).map(|j| (i, j)));
        }
        for (i, j) in &found {
            (left[*i], right[*j]) = (false, false);
        }
        found
    };
    x.iter().zip(y).map(pass).collect()
}

/// Two or three keys of one table: each cell missing now and then, else one of a few numbers, no number twice in a key.
fn keys(prg: &mut colift_primitives::rng::Prg, count: usize, rows: usize) -> Vec<Vec<String>> {
    let mut key = || {
        let numbers = prg.permutation(120);
        numbers.iter().take(rows).map(|number| if prg.below(4) == 0 { String::new() } else { format!("key-{number}") }).collect()
    };
    (0..count).map(|_| key()).collect()
}

#[test]
fn a_cascade_equals_the_plain_joins_one_after_the_other() {
    cases("cascade", 30, |prg| {
        let count = 2 + prg.below(2) as usize;
        let sizes = [20 + prg.below(80) as usize, 20 + prg.below(80) as usize];
        let (x, y) = (keys(prg, count, sizes[0]), keys(prg, count, sizes[1]));
        let protocol = if prg.below(3) == 0 { Protocol::Ecdh } else { terms().protocol };
        let terms = AlignTerms { protocol, min_overlap: 0, ..terms() };
        let run = |channel: &mut colift_channel::memory::MemoryChannel, role, keys: &[Vec<String>], terms: &AlignTerms| {
            align_by_keys(channel, role, &keys.iter().map(Vec::as_slice).collect::<Vec<_>>(), terms, &|_, _| ())
        };
        let (a, b, ..) = run_pair(|c| run(c, Role::First, &x, &terms), |c| run(c, Role::Second, &y, &terms));
        let (a, b) = (a.unwrap(), b.unwrap());
        let expected = oracle(&x, &y);
        assert_eq!((&a.passes, &b.passes), (&expected.iter().map(|pass| pass.len()).collect(), &a.passes));
        let mut pairs = a.aligned.rows.iter().copied().zip(b.aligned.rows.iter().copied());
        for pass in expected {
            let found: std::collections::BTreeSet<_> = pairs.by_ref().take(pass.len()).collect();
            assert_eq!(found, pass);
        }
        assert_eq!(pairs.next(), None);
        let enough = AlignTerms { min_overlap: 1 + a.aligned.rows.len() as u64, ..terms };
        let (a, b, ..) = run_pair(|c| run(c, Role::First, &x, &enough), |c| run(c, Role::Second, &y, &enough));
        assert_eq!((a.unwrap_err().exit, b.unwrap_err().exit), (Exit::Overlap, Exit::Overlap));
    });
}
