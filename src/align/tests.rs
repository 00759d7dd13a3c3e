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
