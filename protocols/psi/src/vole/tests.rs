//! Matching against Diffie–Hellman and the plain join, its declared cost, and peers that deviate in every message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod timing;

use super::*;
use colift_channel::memory::{MemoryChannel, pair_with_idle};
use colift_channel::{ChannelError, Class, Counters};
use colift_correlation::CorrelationError;
use colift_primitives::rng::Prg;
use colift_testkit::{cases, run_pair};
use std::collections::HashMap;
use std::time::Duration;

const QUIET: Progress<'static> = &|_, _| ();
const SILENT: VoleForm = VoleForm { security: Security::Malicious, mode: VoleMode::Silent };
const FORMS: [VoleForm; 2] = [SILENT, VoleForm { security: Security::SemiHonest, mode: VoleMode::Silent }];

fn params(session: u8, min_overlap: u64) -> MatchParams {
    MatchParams { session: [session; 32], own_max: 1 << 20, peer_max: 1 << 20, min_overlap }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("user-{i}@example.org")).collect()
}

type Outcome = (Result<Matched, PsiError>, Result<Matched, PsiError>, Counters, Counters);

fn run(x: &[String], y: &[String], form: VoleForm, params: MatchParams) -> Outcome {
    run_pair(
        |channel| match_ids(channel, Role::First, x, form, params, QUIET),
        |channel| match_ids(channel, Role::Second, y, form, params, QUIET),
    )
}

/// The plain join: of each common id the two rows, by id.
fn join_of(x: &[String], y: &[String]) -> HashMap<u32, u32> {
    let rows: HashMap<&String, u32> = x.iter().zip(0..).collect();
    y.iter().zip(0..).filter_map(|(id, row)| rows.get(id).map(|own| (*own, row))).collect()
}

fn assert_join(x: &[String], y: &[String], a: &Matched, b: &Matched) {
    assert_eq!((a.peer_count, b.peer_count), (y.len() as u64, x.len() as u64));
    assert_eq!(a.own_rows.len(), b.own_rows.len());
    let pairs: HashMap<u32, u32> = a.own_rows.iter().copied().zip(b.own_rows.iter().copied()).collect();
    assert_eq!(pairs.len(), a.own_rows.len());
    assert_eq!(pairs, join_of(x, y));
}

fn assert_cost(measured: Counters, role: Role, form: VoleForm, sizes: Sizes) {
    let mut meter = Meter::default();
    declare_match(&mut meter, role, form, sizes).unwrap();
    assert_eq!(meter.counters(), measured, "{role:?} {form:?} {sizes:?}");
}

/// Two sets of these sizes with this many in common, shuffled.
fn sets(prg: &mut Prg, n: usize, m: usize, common: usize) -> (Vec<String>, Vec<String>) {
    let (mut x, mut y) = (numbered(0..n), numbered(n - common..n - common + m));
    prg.shuffle(&mut x);
    prg.shuffle(&mut y);
    (x, y)
}

#[test]
fn matches_equal_the_join_on_mixed_sizes_at_the_declared_cost() {
    let mut prg = Prg::from_os().unwrap();
    let sizes = [
        (0, 0, 0),
        (0, 9, 0),
        (9, 0, 0),
        (1, 1, 1),
        (1, 1, 0),
        (1, 300, 1),
        (300, 300, 300),
        (300, 300, 0),
        (127, 128, 60),
        (129, 128, 128),
        (1023, 1025, 500),
        (4095, 4097, 4000),
        (20_000, 500, 250),
        (500, 20_000, 250),
        ((1 << 14) + 1, (1 << 14) - 1, 9000),
    ];
    for (n, m, common) in sizes {
        let (x, y) = sets(&mut prg, n, m, common);
        for form in FORMS {
            let (a, b, cost_a, cost_b) = run(&x, &y, form, params(1, 0));
            assert_join(&x, &y, &a.unwrap(), &b.unwrap());
            assert_cost(cost_a, Role::First, form, Sizes { own: n, peer: m, sampled: None });
            assert_cost(cost_b, Role::Second, form, Sizes { own: m, peer: n, sampled: None });
        }
    }
}

#[test]
fn random_runs_are_exact() {
    cases("VOLE matching", 60, |prg| {
        let (n, m) = (prg.below(700) as usize, prg.below(700) as usize);
        let common = prg.below(n.min(m) as u64 + 1) as usize;
        let (x, y) = sets(prg, n, m, common);
        let (a, b, ..) = run(&x, &y, FORMS[prg.below(2) as usize], params(prg.below(256) as u8, 0));
        assert_join(&x, &y, &a.unwrap(), &b.unwrap());
    });
}

/// A thousand runs take a minute: run by name where the claim is checked.
#[test]
#[ignore = "a minute of work"]
fn a_thousand_random_runs_are_exact() {
    cases("VOLE matching, a thousand", 1000, |prg| {
        let power = 1usize << prg.below(13);
        let mut size = || (power + prg.below(3) as usize).saturating_sub(1) * usize::from(prg.below(20) > 0);
        let (n, m) = (size(), size());
        let common = [0, n.min(m), prg.below(n.min(m) as u64 + 1) as usize][prg.below(3) as usize];
        let (x, y) = sets(prg, n, m, common);
        let (a, b, ..) = run(&x, &y, FORMS[prg.below(2) as usize], params(prg.below(256) as u8, 0));
        assert_join(&x, &y, &a.unwrap(), &b.unwrap());
    });
}

/// Bucket by bucket the same answer, both orders one, at the declared cost; the minimum is decided after the last bucket.
#[test]
fn buckets_equal_the_join_at_the_declared_cost() {
    let limits = Limits { at_once: 800, bucket: 300 };
    let run = |x: &[String], y: &[String], form, params| {
        run_pair(
            |channel| match_within(channel, Role::First, x, form, params, limits, QUIET),
            |channel| match_within(channel, Role::Second, y, form, params, limits, QUIET),
        )
    };
    let mut prg = Prg::from_os().unwrap();
    for (n, m, common) in [(801, 801, 400), (2000, 1900, 1900), (0, 1000, 0), (1000, 1, 1), (5, 3000, 3), (3000, 70, 40), (1500, 1500, 0)] {
        let (x, y) = sets(&mut prg, n, m, common);
        for form in FORMS {
            let (a, b, cost_a, cost_b) = run(&x, &y, form, params(1, 0));
            assert_join(&x, &y, &a.unwrap(), &b.unwrap());
            let declared = |role, sizes| {
                let mut meter = Meter::default();
                declare_within(&mut meter, role, form, sizes, limits).unwrap();
                meter.counters()
            };
            assert_eq!(declared(Role::First, Sizes { own: n, peer: m, sampled: None }), cost_a, "{n} {m} {form:?}");
            assert_eq!(declared(Role::Second, Sizes { own: m, peer: n, sampled: None }), cost_b, "{n} {m} {form:?}");
        }
    }
    let (mut x, y) = sets(&mut prg, 1000, 900, 500);
    let below = |outcome| assert_eq!(outcome, Err(PsiError::BelowMinimum { minimum: 501, overlap: 500 }));
    let (a, b, ..) = run(&x, &y, SILENT, params(1, 501));
    below(a);
    below(b);
    x[3] = x[8].clone();
    assert_eq!(run(&x, &y, SILENT, params(1, 0)).0, Err(PsiError::OwnDuplicates { count: 1 }));
}

#[test]
fn several_bins_and_frames() {
    let mut prg = Prg::from_os().unwrap();
    let (x, y) = sets(&mut prg, 150_000, 140_000, 70_000);
    for form in FORMS {
        let (a, b, cost_a, cost_b) = run(&x, &y, form, params(2, 0));
        assert_join(&x, &y, &a.unwrap(), &b.unwrap());
        assert_cost(cost_a, Role::First, form, Sizes { own: 150_000, peer: 140_000, sampled: None });
        assert_cost(cost_b, Role::Second, form, Sizes { own: 140_000, peer: 150_000, sampled: None });
    }
}

#[test]
fn both_protocols_agree_and_the_conservative_mode_too() {
    let mut prg = Prg::from_os().unwrap();
    let (x, y) = sets(&mut prg, 200, 150, 80);
    let conservative = FORMS.map(|form| VoleForm { mode: VoleMode::Conservative, ..form });
    let pairs = |a: Matched, b: Matched| a.own_rows.into_iter().zip(b.own_rows).collect::<HashMap<u32, u32>>();
    let (a, b, ..) = run_pair(
        |channel| ecdh::match_ids(channel, Role::First, &x, params(3, 10), QUIET).unwrap(),
        |channel| ecdh::match_ids(channel, Role::Second, &y, params(3, 10), QUIET).unwrap(),
    );
    let oracle = pairs(a, b);
    for form in FORMS.into_iter().chain(conservative) {
        let (a, b, cost_a, cost_b) = run(&x, &y, form, params(3, 10));
        assert_eq!(pairs(a.unwrap(), b.unwrap()), oracle);
        assert_cost(cost_a, Role::First, form, Sizes { own: 200, peer: 150, sampled: Some([200, 150]) });
        assert_cost(cost_b, Role::Second, form, Sizes { own: 150, peer: 200, sampled: Some([150, 200]) });
    }
}

#[test]
fn below_the_minimum_nothing_but_the_number_is_said() {
    let (x, y) = (numbered(0..30), numbered(21..60));
    for form in FORMS {
        let (a, b, cost_a, _) = run(&x, &y, form, params(4, 10));
        let expected = PsiError::BelowMinimum { minimum: 10, overlap: 9 };
        assert_eq!((a.err(), b.err()), (Some(expected.clone()), Some(expected)));
        let mut meter = Meter::default();
        meter.sent(ecdh::OPENING_BYTES);
        meter.received(ecdh::OPENING_BYTES);
        ecdh::declare_count(&mut meter, 30, 39);
        assert_eq!(meter.counters(), cost_a);
    }
    let (a, ..) = run(&x, &y, SILENT, params(4, 9));
    assert_eq!(a.unwrap().own_rows.len(), 9);
}

#[test]
fn the_order_follows_neither_file() {
    let x = numbered(0..400);
    let (a, b, ..) = run(&x, &x, SILENT, params(5, 0));
    let (a, b) = (a.unwrap().own_rows, b.unwrap().own_rows);
    assert_eq!(a, b);
    assert!(!a.is_sorted() && !a.iter().rev().is_sorted());
    let (again, ..) = run(&x, &x, SILENT, params(5, 0));
    assert_ne!(a, again.unwrap().own_rows);
}

#[test]
fn own_faults_end_before_the_first_byte() {
    let (mut channel, _peer) = pair_with_idle(Duration::from_secs(1));
    let mut repeated = numbered(0..50);
    repeated[7] = repeated[9].clone();
    let error = match_ids(&mut channel, Role::First, &repeated, SILENT, params(1, 0), QUIET).err();
    assert_eq!(error, Some(PsiError::OwnDuplicates { count: 1 }));
    let small = MatchParams { own_max: 49, ..params(1, 0) };
    let error = match_ids(&mut channel, Role::First, &numbered(0..50), SILENT, small, QUIET).err();
    assert_eq!(error, Some(PsiError::OwnTooMany { count: 50, max: 49 }));
    assert_eq!(channel.counters().messages_sent, 0);
}

#[test]
fn other_settings_are_refused_on_both_sides() {
    let ids = numbered(0..5);
    let others = [
        (FORMS[1], params(1, 0)),
        (VoleForm { mode: VoleMode::Conservative, ..SILENT }, params(1, 0)),
        (SILENT, params(2, 0)),
        (SILENT, params(1, 1)),
    ];
    for (form, other) in others {
        let (a, b, ..) = run_pair(
            |channel| match_ids(channel, Role::First, &ids, SILENT, params(1, 0), QUIET),
            |channel| match_ids(channel, Role::Second, &ids, form, other, QUIET),
        );
        assert_eq!((a.err(), b.err()), (Some(PsiError::ParametersDiffer), Some(PsiError::ParametersDiffer)));
    }
}

// ---- Peers that deviate --------------------------------------------------------------------------------------------------

/// A channel that turns each message to be sent into any number of messages.
struct Deviating<F>(MemoryChannel, F);

impl<F: FnMut(Kind, Vec<u8>) -> Vec<(Kind, Vec<u8>)> + Send> Channel for Deviating<F> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        let messages = (self.1)(kind, payload.to_vec());
        messages.into_iter().try_for_each(|(kind, payload)| self.0.send(kind, &payload))
    }
    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        self.0.receive_at_most(kind, cap)
    }
    fn counters(&self) -> Counters {
        self.0.counters()
    }
}

/// The honest side's outcome; `hostile` says whose messages are changed. First receives, Second sends tags; 50 ids each, 20 common.
fn against<F>(hostile: Role, change: F) -> Result<Matched, PsiError>
where
    F: FnMut(Kind, Vec<u8>) -> Vec<(Kind, Vec<u8>)> + Send,
{
    let (a, b) = pair_with_idle(Duration::from_millis(1500));
    let (x, y, params) = (numbered(0..50), numbered(30..80), params(9, 0));
    let (ours, mut honest, theirs) = if hostile == Role::Second { (&x, a, (&y, b)) } else { (&y, b, (&x, a)) };
    std::thread::scope(|scope| {
        let (ids, channel) = theirs;
        scope.spawn(move || match_ids(&mut Deviating(channel, change), hostile, ids, SILENT, params, QUIET));
        let outcome = match_ids(&mut honest, hostile.peer(), ours, SILENT, params, QUIET);
        drop(honest);
        outcome
    })
}

/// Changes the payload of every message of this kind.
fn edit(code: u16, mut change: impl FnMut(&mut Vec<u8>) + Send) -> impl FnMut(Kind, Vec<u8>) -> Vec<(Kind, Vec<u8>)> + Send {
    move |kind, mut payload| {
        if kind.code == code {
            change(&mut payload);
        }
        vec![(kind, payload)]
    }
}

/// The outcome must be an error with no membership; its class and text are given.
fn refused(what: &str, outcome: Result<Matched, PsiError>, expected: Option<PsiError>) {
    let error = outcome.err().unwrap_or_else(|| panic!("{what}: went through"));
    assert!(matches!(error.class(), Class::Abort | Class::Peer), "{what}: {error}");
    if let Some(expected) = expected {
        assert_eq!(error, expected, "{what}");
    }
}

const POINTS: u16 = 0x0310;
const KEY: u16 = 0x0311;
const COLUMNS: u16 = 0x0330;
const HASH_SEED: u16 = 0x0331;
const CHECK: u16 = 0x0332;
const TREES: u16 = 0x0333;
const POINT: u16 = 0x0334;
const EVALUATION: u16 = 0x0335;

#[test]
fn an_honest_run_passes_the_deviating_channel() {
    for hostile in [Role::First, Role::Second] {
        assert_eq!(against(hostile, |kind, payload| vec![(kind, payload)]).unwrap().own_rows.len(), 20);
    }
}

#[test]
fn a_deviating_sender_of_tags_is_refused() {
    let check = CorrelationError::TreeCheck;
    let second = |code, change: fn(&mut Vec<u8>)| against(Role::Second, edit(code, change));
    let run = |what, code, change: fn(&mut Vec<u8>), expected| refused(what, second(code, change), expected);
    run("commitment changed", COMMITMENT.code, |p| p[3] ^= 1, Some(PsiError::ShiftOpening));
    run("shift changed", SHIFT.code, |p| p[0] ^= 1, Some(PsiError::ShiftOpening));
    run("blinding changed", SHIFT.code, |p| p[47] ^= 0x80, Some(PsiError::ShiftOpening));
    run("shift chosen late", SHIFT.code, |p| p.fill(7), Some(PsiError::ShiftOpening));
    run("base OT points of Δ invalid", POINTS, |p| p[..32].fill(0xff), None);
    run("base OT points the identity", POINTS, |p| p[64..96].fill(0), None);
    run("a tree's last correction", TREES, |p| *p.last_mut().unwrap() ^= 1, Some(check.clone().into()));
    run("a level of a tree, both sides", TREES, |p| (p[0], p[16]) = (p[0] ^ 1, p[16] ^ 1), Some(check.clone().into()));
    run("trees replaced", TREES, |p| p.fill(0x5a), Some(check.clone().into()));
    run("trees truncated", TREES, |p| p.truncate(p.len() - 16), None);
    run("tree evaluation changed", EVALUATION, |p| p[9] ^= 4, Some(check.into()));
    run("hash seed truncated", HASH_SEED, |p| p.truncate(15), None);
    run("tags truncated", TAGS.code, |p| p.truncate(p.len() - 1), None);
    run("tags extended", TAGS.code, |p| p.push(0), None);
    run("tags all ones", TAGS.code, |p| p.fill(0xff), Some(PsiError::UnsortedTags));
    run("tags all zeros", TAGS.code, |p| p.fill(0), Some(PsiError::UnsortedTags));
    run("tags swapped", TAGS.code, |p| p.reverse(), Some(PsiError::UnsortedTags));
    run("equal tags", TAGS.code, |p| p.fill_with_equal_tags(), Some(PsiError::UnsortedTags));
    let replay = |code: u16| {
        move |kind: Kind, payload: Vec<u8>| {
            let copies = if kind.code == code { 2 } else { 1 };
            vec![(kind, payload); copies]
        }
    };
    for code in [COMMITMENT.code, POINTS, HASH_SEED, TREES, EVALUATION, SHIFT.code] {
        refused("replayed", against(Role::Second, replay(code)), None);
    }
    // Tags before the shift is opened.
    let mut held = None;
    let late = move |kind: Kind, payload: Vec<u8>| match kind.code {
        code if code == SHIFT.code => {
            held = Some((kind, payload));
            Vec::new()
        }
        code if code == TAGS.code => [(kind, payload)].into_iter().chain(held.take()).collect(),
        _ => vec![(kind, payload)],
    };
    refused("shift opened after the tags", against(Role::Second, late), None);
    let bigger = |kind: Kind, mut payload: Vec<u8>| {
        if kind.code == 0x0201 {
            payload[33..].copy_from_slice(&u64::MAX.to_le_bytes());
        }
        vec![(kind, payload)]
    };
    refused("size over the cap", against(Role::Second, bigger), Some(PsiError::PeerTooMany { count: u64::MAX, max: 1 << 20 }));
}

trait EqualTags {
    /// A coded list of 50 tags that are all 0.
    fn fill_with_equal_tags(&mut self);
}

impl EqualTags for Vec<u8> {
    fn fill_with_equal_tags(&mut self) {
        *self = TagCode::new(50, 128).encode(std::iter::repeat_n(0, 50)).to_vec();
    }
}

#[test]
fn a_deviating_receiver_is_refused() {
    let columns = CorrelationError::ColumnCheck;
    let first = |code, change: fn(&mut Vec<u8>)| against(Role::First, edit(code, change));
    let run = |what, code, change: fn(&mut Vec<u8>), expected| refused(what, first(code, change), expected);
    let unlike = |p: &mut Vec<u8>| {
        let column = p.len() / 32;
        p.iter_mut().skip(1).step_by(column).take(30).for_each(|byte| *byte ^= 1);
    };
    run("unlike columns", COLUMNS, unlike, Some(columns.clone().into()));
    run("columns truncated", COLUMNS, |p| p.truncate(p.len() - 16), None);
    run("hash of the bits changed", CHECK, |p| p[0] ^= 1, Some(columns.clone().into()));
    run("digest of the columns changed", CHECK, |p| p[20] ^= 1, Some(columns.into()));
    run("base OT key invalid", KEY, |p| p.fill(0xff), None);
    run("base OT key the identity", KEY, |p| p.fill(0), None);
    run("seed truncated", SEED.code, |p| p.truncate(31), None);
    run("store truncated", STORE.code, |p| p.truncate(p.len() - 16), None);
    run("store extended", STORE.code, |p| p.extend([0; 16]), None);
    run("point truncated", POINT, |p| p.truncate(8), None);
    run("proof changed", MATCHES.code, |p| p[31] ^= 1, Some(PsiError::FalseMatches));
    run("a match swapped for another", MATCHES.code, |p| move_a_match(p), Some(PsiError::FalseMatches));
    run("a match left out of the list", MATCHES.code, |p| drop_a_match(p), Some(PsiError::InvalidMatches));
    run("surplus bits in the list", MATCHES.code, |p| *p.last_mut().unwrap() |= 0x80, Some(PsiError::InvalidMatches));
    run("list truncated", MATCHES.code, |p| p.truncate(p.len() - 1), None);
    run("another number", COUNT.code, |p| p[0] ^= 1, Some(PsiError::InvalidMatches));
    run("an impossible number", COUNT.code, |p| p.fill(0xff), Some(PsiError::InvalidMatches));
    // One match more, number and list agreeing.
    let more = |kind: Kind, mut payload: Vec<u8>| {
        if kind.code == COUNT.code {
            payload[0] += 1;
        } else if kind.code == MATCHES.code {
            let bit = (0..50).find(|bit| payload[32 + bit / 8] >> (bit % 8) & 1 == 0).unwrap();
            payload[32 + bit / 8] |= 1 << (bit % 8);
        }
        vec![(kind, payload)]
    };
    refused("a false match", against(Role::First, more), Some(PsiError::FalseMatches));
    // All of them.
    let all = |kind: Kind, mut payload: Vec<u8>| {
        if kind.code == COUNT.code {
            payload = 50u64.to_le_bytes().to_vec();
        } else if kind.code == MATCHES.code {
            payload[32..38].fill(0xff);
            payload[38] = 3;
        }
        vec![(kind, payload)]
    };
    refused("everything claimed", against(Role::First, all), Some(PsiError::FalseMatches));
    for code in [KEY, COLUMNS, CHECK, POINT, SEED.code, STORE.code, COUNT.code] {
        let replay = move |kind: Kind, payload: Vec<u8>| {
            let copies = if kind.code == code { 2 } else { 1 };
            vec![(kind, payload); copies]
        };
        refused("replayed", against(Role::First, replay), None);
    }
    // The seed only after the store, which could have been made to fit it.
    let mut held = None;
    let late = move |kind: Kind, payload: Vec<u8>| match kind.code {
        code if code == SEED.code => {
            held = Some((kind, payload));
            Vec::new()
        }
        code if code == STORE.code => [(kind, payload)].into_iter().chain(held.take()).collect(),
        _ => vec![(kind, payload)],
    };
    refused("late seed", against(Role::First, late), None);
}

fn move_a_match(payload: &mut [u8]) {
    let (is, not) = (find(payload, 1), find(payload, 0));
    payload[32 + is / 8] ^= 1 << (is % 8);
    payload[32 + not / 8] ^= 1 << (not % 8);
}

fn drop_a_match(payload: &mut [u8]) {
    let is = find(payload, 1);
    payload[32 + is / 8] ^= 1 << (is % 8);
}

fn find(payload: &[u8], wanted: u8) -> usize {
    (0..50).find(|bit| payload[32 + bit / 8] >> (bit % 8) & 1 == wanted).unwrap()
}

/// What is only another input reveals nothing more: with a spoilt store, another seed or another shift the peer's outputs fit
/// no tag, it has nothing to claim, and the honest sender's list is empty or shorter.
#[test]
fn another_input_gives_no_more_than_it_may() {
    let spoilt = against(Role::First, edit(STORE.code, |p| p.iter_mut().for_each(|byte| *byte ^= 0x11)));
    assert_eq!(spoilt.unwrap().own_rows, [0u32; 0]);
    let seed = against(Role::First, edit(SEED.code, |p| p[0] ^= 1));
    assert_eq!(seed.unwrap().own_rows, [0u32; 0]);
    let shift = against(Role::First, edit(SEED.code, |p| p[16] ^= 1));
    assert_eq!(shift.unwrap().own_rows, [0u32; 0]);
    let point = against(Role::First, edit(POINT, |p| p[0] ^= 1));
    assert!(matches!(point, Err(PsiError::Channel(_))), "the deviating side's own check fails");
}

/// A replayed proof of another run is worth nothing: outputs are bound to fresh Δ, shifts and session.
#[test]
fn matches_of_another_run_are_refused() {
    let (send, receive) = std::sync::mpsc::channel();
    let record = move |kind: Kind, payload: Vec<u8>| {
        if kind.code == MATCHES.code {
            send.send(payload.clone()).unwrap();
        }
        vec![(kind, payload)]
    };
    assert!(against(Role::First, record).is_ok());
    let old = receive.recv().unwrap();
    refused("old matches", against(Role::First, edit(MATCHES.code, move |p| p.clone_from(&old))), Some(PsiError::FalseMatches));
}
