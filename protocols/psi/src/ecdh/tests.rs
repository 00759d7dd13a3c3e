//! Matching against the plain join, its declared cost, its silence about anything but sizes, and hostile peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::fault::{Fault, Faulty};
use colift_channel::memory::{MemoryChannel, pair, pair_with_idle};
use colift_channel::record::{Entry, Recorder};
use colift_channel::{Class, Counters};
use colift_testkit::{cases, run_pair};
use std::sync::Mutex;
use std::time::Duration;

const QUIET: Progress<'static> = &|_, _| ();

fn params(session: u8, min_overlap: u64) -> MatchParams {
    MatchParams { session: [session; 32], own_max: 100_000, peer_max: 100_000, min_overlap }
}

type Outcome = (Result<Matched, PsiError>, Result<Matched, PsiError>, Counters, Counters);

fn run(x: &[String], y: &[String], params: MatchParams) -> Outcome {
    run_pair(|c| match_ids(c, Role::First, x, params, QUIET), |c| match_ids(c, Role::Second, y, params, QUIET))
}

fn numbered(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|i| format!("user-{i}@example.org")).collect()
}

/// Random sets of sizes 0..200 with a random overlap, each in a random order.
fn random_sets(prg: &mut Prg) -> (Vec<String>, Vec<String>) {
    let (n, m) = (prg.below(201), prg.below(201));
    let shift = prg.below(n.max(m) + 1);
    let (mut x, mut y) = (numbered(0..n), numbered(shift..shift + m));
    prg.shuffle(&mut x);
    prg.shuffle(&mut y);
    (x, y)
}

/// What the matching must give: the plain join, paired rows, no more and no less.
fn assert_join(x: &[String], y: &[String], a: &Matched, b: &Matched) {
    let join: HashSet<&String> = x.iter().collect::<HashSet<_>>().intersection(&y.iter().collect()).copied().collect();
    assert_eq!((a.own_rows.len(), b.own_rows.len()), (join.len(), join.len()));
    assert_eq!((a.peer_count, b.peer_count), (y.len() as u64, x.len() as u64));
    let mut seen = HashSet::new();
    for (row_x, row_y) in a.own_rows.iter().zip(&b.own_rows) {
        let id = &x[*row_x as usize];
        assert_eq!(id, &y[*row_y as usize]);
        assert!(join.contains(id) && seen.insert(id));
    }
}

fn assert_cost(measured: Counters, declare: impl Fn(&mut Meter)) {
    let mut meter = Meter::default();
    declare(&mut meter);
    assert_eq!(meter.counters(), measured);
}

#[test]
fn matches_equal_the_plain_join_at_the_declared_cost() {
    cases("matching", 60, |prg| {
        let (x, y) = random_sets(prg);
        let (a, b, cost_a, cost_b) = run(&x, &y, params(prg.below(256) as u8, 0));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_join(&x, &y, &a, &b);
        let k = a.own_rows.len();
        assert_cost(cost_a, |meter| declare_match(meter, x.len(), y.len(), k));
        assert_cost(cost_b, |meter| declare_match(meter, y.len(), x.len(), k));
    });
}

#[test]
fn empty_equal_and_disjoint_sets() {
    let (none, few, other) = (numbered(0..0), numbered(0..9), numbered(9..20));
    for (x, y, overlap) in [(&none, &none, 0), (&none, &few, 0), (&few, &none, 0), (&few, &few, 9), (&few, &other, 0)] {
        let (a, b, ..) = run(x, y, params(1, 0));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.own_rows.len(), overlap);
        assert_join(x, y, &a, &b);
    }
}

#[test]
fn several_frames_and_unlike_sizes() {
    let (x, y) = (numbered(0..FRAME_ITEMS as u64 + 40), numbered(FRAME_ITEMS as u64 + 37..FRAME_ITEMS as u64 + 45));
    let (a, b, cost_a, cost_b) = run(&x, &y, params(2, 3));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_join(&x, &y, &a, &b);
    assert_cost(cost_a, |meter| declare_match(meter, x.len(), y.len(), 3));
    assert_cost(cost_b, |meter| declare_match(meter, y.len(), x.len(), 3));
}

#[test]
fn counting_tells_the_number_and_no_row() {
    let (x, y) = (numbered(0..30), numbered(10..70));
    let params = params(3, 20);
    let (a, b, cost_a, cost_b) =
        run_pair(|c| count_common(c, Role::First, &x, params, QUIET), |c| count_common(c, Role::Second, &y, params, QUIET));
    assert_eq!(a.unwrap(), Counted { overlap: 20, peer_count: 60 });
    assert_eq!(b.unwrap(), Counted { overlap: 20, peer_count: 30 });
    assert_cost(cost_a, |meter| declare_count(meter, 30, 60));
    assert_cost(cost_b, |meter| declare_count(meter, 60, 30));
}

#[test]
fn below_the_minimum_no_position_crosses_the_link() {
    let (x, y) = (numbered(0..30), numbered(21..60));
    let (a, b, cost_a, cost_b) = run(&x, &y, params(4, 10));
    let expected = PsiError::BelowMinimum { minimum: 10, overlap: 9 };
    assert_eq!((a.err(), b.err()), (Some(expected.clone()), Some(expected.clone())));
    assert_eq!(expected.to_string(), "fewer than 10 ids are common to both");
    assert_eq!(expected.class(), Class::Abort);
    assert_cost(cost_a, |meter| declare_count(meter, 30, 39));
    assert_cost(cost_b, |meter| declare_count(meter, 39, 30));
    let (a, ..) = run(&x, &y, params(4, 9));
    assert_eq!(a.unwrap().own_rows.len(), 9);
}

#[test]
fn messages_depend_on_sizes_only() {
    let log = |x: Vec<String>, y: Vec<String>| -> Vec<Entry> {
        let (a, mut b) = pair();
        let params = params(5, 1);
        std::thread::scope(|scope| {
            let peer = scope.spawn(move || match_ids(&mut b, Role::Second, &y, params, QUIET).unwrap());
            let mut a = Recorder::new(a);
            match_ids(&mut a, Role::First, &x, params, QUIET).unwrap();
            peer.join().unwrap();
            a.log().to_vec()
        })
    };
    let expected = log(numbered(0..50), numbered(30..90));
    cases("message sizes", 10, |prg| {
        let start = prg.next_u64() >> 8;
        let (mut x, mut y) = (numbered(start..start + 50), numbered(start + 30..start + 90));
        prg.shuffle(&mut x);
        prg.shuffle(&mut y);
        assert_eq!(log(x, y), expected);
    });
}

#[test]
fn the_common_order_is_neither_files_nor_fixed() {
    let (x, y) = (numbered(0..100), numbered(0..100));
    let order = |session| run(&x, &y, params(session, 0)).0.unwrap().own_rows;
    let (one, two) = (order(6), order(6));
    assert!(!one.is_sorted());
    // Fresh exponents give fresh tags: the order differs from run to run even under one session's key.
    assert_ne!(one, two);
    assert_ne!(one, order(7));
}

#[test]
fn progress_runs_up_to_the_total() {
    let seen = Mutex::new(Vec::new());
    let (x, y) = (numbered(0..5000), numbered(4990..5100));
    let report = |done, total| seen.lock().unwrap().push((done, total));
    run_pair(
        |c| match_ids(c, Role::First, &x, params(8, 0), &report).unwrap(),
        |c| match_ids(c, Role::Second, &y, params(8, 0), QUIET).unwrap(),
    );
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted() && seen.len() >= 3);
    assert_eq!(seen.last(), Some(&(5110, 5110)));
}

#[test]
fn our_own_faults_are_found_before_a_byte_is_sent() {
    let (mut a, _b) = pair();
    let twice = vec!["a".to_owned(), "b".to_owned(), "a".to_owned()];
    let error = match_ids(&mut a, Role::First, &twice, params(9, 0), QUIET).err();
    assert_eq!(error, Some(PsiError::OwnDuplicates { count: 1 }));
    let capped = MatchParams { own_max: 2, ..params(9, 0) };
    let error = match_ids(&mut a, Role::First, &numbered(0..3), capped, QUIET).err();
    assert_eq!(error, Some(PsiError::OwnTooMany { count: 3, max: 2 }));
    assert_eq!(a.counters().messages_sent, 0);
}

#[test]
fn other_parameters_are_refused_on_both_sides() {
    let base = params(10, 5);
    let others = [
        (MatchParams { session: [11; 32], ..base }, Role::Second),
        (MatchParams { min_overlap: 4, ..base }, Role::Second),
        (MatchParams { own_max: 7, ..base }, Role::Second),
        (MatchParams { peer_max: 7, ..base }, Role::Second),
        (base, Role::First),
    ];
    let ids = numbered(0..3);
    for (other, role) in others {
        let (a, b, ..) = run_pair(|c| match_ids(c, Role::First, &ids, base, QUIET), |c| match_ids(c, role, &ids, other, QUIET));
        assert_eq!((a.err(), b.err()), (Some(PsiError::ParametersDiffer), Some(PsiError::ParametersDiffer)));
    }
}

/// A peer that opens honestly with `count` ids, sends these points, and then whatever `rest` does.
fn hostile(count: u64, points: &[Encoding], rest: impl FnOnce(&mut MemoryChannel)) -> PsiError {
    let (mut a, mut b) = pair_with_idle(Duration::from_secs(20));
    let params = params(12, 0);
    b.send(OPENING, &[params.digest(Role::Second).as_slice(), &[2], &count.to_le_bytes()].concat()).unwrap();
    b.send(POINTS, points.as_flattened()).unwrap();
    rest(&mut b);
    let error = match_ids(&mut a, Role::First, &numbered(0..3), params, QUIET).err().unwrap();
    assert_eq!(error.class(), Class::Peer, "{error}");
    error
}

/// Valid masked ids, unlike each other.
fn valid_points(count: usize) -> Vec<Encoding> {
    let ids = numbered(100..100 + count as u64);
    Mask::random().unwrap().ids(&GroupHash::of_session(&[0; 32]), &ids, &(0..count as u32).collect::<Vec<_>>())
}

#[test]
fn bad_points_sizes_and_tags_are_refused() {
    let good = valid_points(3);
    assert_eq!(hostile(100_001, &[], |_| ()), PsiError::PeerTooMany { count: 100_001, max: 100_000 });
    assert_eq!(hostile(u64::MAX, &[], |_| ()), PsiError::PeerTooMany { count: u64::MAX, max: 100_000 });
    assert!(matches!(hostile(4, &good, |_| ()), PsiError::Channel(_)));
    assert!(matches!(hostile(2, &good, |_| ()), PsiError::Channel(_)));
    assert_eq!(hostile(3, &[good[0], [0; 32], good[1]], |_| ()), PsiError::InvalidPoint);
    assert_eq!(hostile(3, &[good[0], [0xff; 32], good[1]], |_| ()), PsiError::InvalidPoint);
    assert_eq!(hostile(3, &[good[0], good[1], good[0]], |_| ()), PsiError::RepeatedPoints);
    let bytes = tag_bytes(3, 3);
    let unsorted = hostile(3, &good, |b| b.send(TAGS, &tags::encode(&[3, 2, 5], bytes)).unwrap());
    assert_eq!(unsorted, PsiError::UnsortedTags);
    let counted = hostile(3, &good, |b| {
        b.send(TAGS, &tags::encode(&[1, 2, 3], bytes)).unwrap();
        b.send(OVERLAP, &1u64.to_le_bytes()).unwrap();
    });
    assert_eq!(counted, PsiError::CountsDiffer);
}

#[test]
fn bad_positions_are_refused() {
    for (positions, honest) in [([0u32, 0], false), ([0, 3], false), ([u32::MAX, 1], false), ([2, 1], true)] {
        let (mut a, mut b) = pair_with_idle(Duration::from_secs(20));
        let (x, y, params) = (numbered(0..3), numbered(1..4), params(13, 0));
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                let run = Run::open(&mut b, Role::Second, &y, params).unwrap();
                assert_eq!(run.overlap(&mut b, QUIET).unwrap().common.len(), 2);
                b.send(POSITIONS, positions.map(u32::to_le_bytes).as_flattened()).unwrap();
                let _ = b.receive(POSITIONS, 8);
            });
            match_ids(&mut a, Role::First, &x, params, QUIET)
        });
        assert_eq!(result.err(), if honest { None } else { Some(PsiError::InvalidPosition) });
    }
}

#[test]
fn every_fault_at_every_message_ends_without_a_panic() {
    let (x, y, params) = (numbered(0..40), numbered(20..60), params(14, 5));
    for fault in Fault::ALL {
        for at in 0..5 {
            let (mut a, b) = pair_with_idle(Duration::from_millis(400));
            let (x, y) = (&x, &y);
            let honest = std::thread::scope(|scope| {
                scope.spawn(move || match_ids(&mut Faulty::new(b, fault, at, 77 + at), Role::Second, y, params, QUIET));
                match_ids(&mut a, Role::First, x, params, QUIET)
            });
            match fault {
                // A flipped bit of a tag that is not matched, or a repeated last message, changes nothing for us.
                Fault::BitFlip | Fault::Repeated => {}
                _ => assert!(honest.is_err(), "{fault:?} at message {at}"),
            }
            if let Ok(matched) = honest {
                // A flipped bit may turn one common id into another one; on the real link TLS refuses it.
                assert!((19..=20).contains(&matched.own_rows.len()), "{fault:?} at message {at}: {}", matched.own_rows.len());
            }
        }
    }
}
