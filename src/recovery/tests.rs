//! Which offers go together, what a state that was put back does, what is on disk, and what two attempts have in common on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::agree::{MOST_ATTEMPTS, Offer, decide, salted};
use super::keep::{decode, encode};
use super::marked::Told;
use super::*;
use crate::data::Split;
use crate::data::wording::from_hex;
use crate::run::Keep;
use colift_channel::memory::MemoryChannel;
use colift_channel::{Channel, Kind};
use colift_testkit::run_pair;
use std::os::unix::fs::PermissionsExt;

fn offer(attempt: u32, under_way: bool) -> Offer {
    Offer {
        resume: true,
        run: [1; 32],
        attempt,
        under_way,
        chain: [10 + attempt as u8; 32],
        before: [9 + attempt as u8; 32],
        matching: 0,
        training: 0,
        data: [3; 32],
        nonce: [4; 32],
        told: Told::default(),
    }
}

/// The outcome is the same on both sides, but for who is called old.
fn both(a: &Offer, b: &Offer) -> Result<Common, (Exit, u16)> {
    let [one, two] = [decide(a, b), decide(b, a)].map(|decided| decided.map_err(|failure| (failure.exit, failure.id)));
    assert_eq!(one, two);
    one
}

#[test]
fn offers_that_fit_go_on_with_what_both_have() {
    let fresh = |resume| Offer { resume, ..offer(0, false) };
    assert_eq!(both(&fresh(false), &fresh(false)), Ok(Common::New));
    assert_eq!(both(&fresh(true), &fresh(true)), Ok(Common::New));
    assert_eq!(both(&fresh(false), &fresh(true)), Err((Exit::Usage, 517)));
    let again =
        |attempt, matching, training| Ok(Common::Again { attempt, chain: [10 + attempt as u8; 32], matching, training, another: false });
    for (a, b) in [(false, false), (true, false), (true, true)] {
        assert_eq!(both(&offer(2, a), &offer(2, b)), again(2, false, false));
    }
    let kept = |matching, training| Offer { matching, training, ..offer(4, true) };
    assert_eq!(both(&kept(1, 3), &kept(1, 3)), again(4, true, true));
    assert_eq!(both(&kept(1, 3), &kept(1, 0)), again(4, true, false));
    assert_eq!(both(&kept(1, 3), &kept(1, 2)), again(4, true, false), "trainings of two attempts do not belong together");
    assert_eq!(both(&kept(1, 3), &kept(2, 3)), again(4, false, false), "nor do two matchings");
    assert_eq!(both(&kept(0, 0), &kept(1, 0)), again(4, false, false));
    // One side wrote an attempt down and never heard whether the other did: that attempt is void.
    assert_eq!(both(&offer(3, false), &offer(2, true)), again(2, false, false));
    assert_eq!(both(&offer(1, false), &offer(0, false)), Ok(Common::New));
}

#[test]
fn a_state_that_was_put_back_is_refused_on_both_sides() {
    let old = Err((Exit::Policy, 520));
    // The other side knows that the attempt had been written down.
    assert_eq!(both(&offer(3, true), &offer(2, true)), old);
    assert_eq!(both(&offer(3, true), &offer(2, false)), old);
    assert_eq!(both(&offer(1, true), &offer(0, false)), old);
    assert_eq!(both(&offer(5, false), &offer(3, true)), old, "more than one attempt behind");
    // Attempts of the same number after a state was put back and went on.
    assert_eq!(both(&offer(3, true), &Offer { chain: [99; 32], ..offer(3, true) }), old);
    assert_eq!(both(&offer(3, false), &Offer { chain: [99; 32], ..offer(2, true) }), old);
    assert_eq!(both(&offer(2, true), &Offer { run: [2; 32], ..offer(2, true) }), Err((Exit::Usage, 518)));
    assert_eq!(both(&offer(MOST_ATTEMPTS, true), &offer(MOST_ATTEMPTS, true)), Err((Exit::Cap, 519)));
}

#[test]
fn malformed_offers_are_refused() {
    let good = Offer { matching: 1, training: 2, ..offer(2, true) };
    let bytes = good.encode();
    assert_eq!(Offer::decode(&bytes), Ok(good.clone()));
    assert_eq!(bytes.len(), 182);
    for length in 0..bytes.len() {
        assert_eq!(Offer::decode(&bytes[..length]).unwrap_err().exit, Exit::Protocol);
    }
    for (at, value) in [(0, 2), (37, 2), (bytes.len() - 8, 4), (bytes.len() - 7, 1), (bytes.len() - 1, 1)] {
        let mut bad = bytes.clone();
        bad[at] = value;
        assert_eq!(Offer::decode(&bad).unwrap_err().id, 516, "byte {at}");
    }
    for bad in [
        Offer { matching: 3, ..good.clone() },
        Offer { training: 3, ..good.clone() },
        Offer { matching: 0, ..good.clone() },
        offer(0, true),
    ] {
        assert_eq!(Offer::decode(&bad.encode()).unwrap_err().id, 516);
    }
}

#[test]
fn a_kept_matching_is_whole_or_none() {
    for split in [None, Some(vec![Split::Train, Split::Test, Split::Train])] {
        let matching = KeptMatching { rows: vec![7, 0, 3], peer_rows: 11, split };
        let bytes = encode(&matching);
        assert_eq!(decode(&bytes), Some(matching.clone()));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None);
        }
        assert!(matching.fits(8) && !matching.fits(7));
        assert!(!KeptMatching { rows: vec![1, 1], ..matching.clone() }.fits(8), "a row twice");
        assert!(!KeptMatching { rows: vec![1], split: Some(vec![]), ..matching }.fits(8));
    }
}

/// One side's home and its unfinished run.
struct Party {
    home: Home,
    _folder: tempfile::TempDir,
    owner: bool,
}

const CONTRACT: &str = "c0";

impl Party {
    fn new(owner: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { home: Home::at(folder.path()), _folder: folder, owner }
    }

    fn state(&self) -> State {
        State::new(Task::Run, "job.toml".into(), "case".into(), CONTRACT.into(), "peer".into(), "2026-11-26T10:00:00.000Z".into())
    }

    fn begin(&self) -> Unfinished {
        Unfinished::begin(&self.home, self.state()).unwrap()
    }

    fn take_up(&self) -> Unfinished {
        Unfinished::take_up(&self.home, CONTRACT, "peer").unwrap()
    }

    /// Offers, then, unless this side dies in between, the begin of the attempt.
    fn meet(&self, run: &mut Unfinished, channel: &mut MemoryChannel, resume: bool, table: u8, dies: Dies) -> Result<u32, Failure> {
        let proposal = run.propose(channel, resume, &[table; 32])?;
        if dies == Dies::BeforeWriting {
            return Ok(0);
        }
        let number = proposal.number.unwrap_or(7);
        run.attempt(channel, &self.home, &proposal, (&[5; 32], number, self.owner))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dies {
    No,
    BeforeWriting,
}

/// Both sides meet.
fn meet(parties: &[Party; 2], runs: &mut [Unfinished; 2], resume: bool, tables: [u8; 2], dies: [Dies; 2]) -> [Result<u32, Failure>; 2] {
    let [one, two] = runs;
    let (a, b, ..) =
        run_pair(|c| parties[0].meet(one, c, resume, tables[0], dies[0]), |c| parties[1].meet(two, c, resume, tables[1], dies[1]));
    [a, b]
}

const ALIVE: [Dies; 2] = [Dies::No; 2];

fn matching() -> KeptMatching {
    KeptMatching { rows: vec![2, 0], peer_rows: 9, split: Some(vec![Split::Train, Split::Test]) }
}

fn training() -> KeptTraining {
    KeptTraining { model_id: "m".into(), trained: Vec::new(), reading: None, notes: Vec::new(), opened: vec![("own_weights".into(), 3, 2)] }
}

#[test]
fn attempts_go_on_after_the_phases_that_both_sides_finished() {
    let parties = [Party::new(true), Party::new(false)];
    let mut runs = [parties[0].begin(), parties[1].begin()];
    assert_eq!(meet(&parties, &mut runs, false, [1, 2], ALIVE), [Ok(1), Ok(1)]);
    let same = |runs: &[Unfinished; 2]| runs.each_ref().map(|run| run.state().agreed.as_ref().unwrap().run.clone());
    let first = same(&runs);
    assert_eq!(first[0], first[1]);
    runs[0].keep_matching(&matching()).unwrap();
    drop(runs);
    // Only the owner had its matching: it is repeated.
    let mut runs = parties.each_ref().map(Party::take_up);
    assert_eq!(meet(&parties, &mut runs, true, [1, 2], ALIVE), [Ok(2), Ok(2)]);
    assert_eq!(same(&runs), first);
    for run in &mut runs {
        assert_eq!(run.matching().unwrap(), None);
        run.keep_matching(&matching()).unwrap();
    }
    runs[1].keep_training(&training()).unwrap();
    drop(runs);
    // Both have the matching, the partner alone its weights: the training begins again.
    let mut runs = parties.each_ref().map(Party::take_up);
    assert_eq!(meet(&parties, &mut runs, true, [1, 2], ALIVE), [Ok(3), Ok(3)]);
    for run in &mut runs {
        assert_eq!(run.matching().unwrap(), Some(matching()));
        assert_eq!(run.training().unwrap(), None);
        run.keep_training(&training()).unwrap();
        assert_eq!(run.state().agreed.as_ref().unwrap().number, 7);
    }
    drop(runs);
    let mut runs = parties.each_ref().map(Party::take_up);
    assert_eq!(meet(&parties, &mut runs, true, [1, 2], ALIVE), [Ok(4), Ok(4)]);
    for run in &mut runs {
        assert_eq!((run.matching().unwrap(), run.training().unwrap()), (Some(matching()), Some(training())));
    }
    // While one process has it, no other takes it up; what is on disk is this side's alone.
    assert_eq!(Unfinished::take_up(&parties[0].home, CONTRACT, "peer").unwrap_err().id, 513);
    for entry in std::fs::read_dir(runs[0].folder()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    let [one, two] = runs;
    one.forget();
    drop(two);
    assert_eq!(Unfinished::take_up(&parties[0].home, CONTRACT, "peer").unwrap_err().id, 514);
    assert_eq!(list(&parties[1].home).unwrap().len(), 1);
}

#[test]
fn other_data_are_refused_on_the_side_that_has_them_or_by_the_peer() {
    let parties = [Party::new(true), Party::new(false)];
    let mut runs = [parties[0].begin(), parties[1].begin()];
    assert_eq!(meet(&parties, &mut runs, false, [1, 2], ALIVE), [Ok(1), Ok(1)]);
    drop(runs);
    let mut runs = parties.each_ref().map(Party::take_up);
    let [a, b] = meet(&parties, &mut runs, true, [1, 3], ALIVE);
    assert_eq!(b.unwrap_err().id, 522);
    assert_eq!(a.unwrap_err().exit, Exit::PeerGone);
    // A side that claims other data than it told at first.
    let mut told = serde_json::to_value(runs[1].state.agreed.as_ref().unwrap()).unwrap();
    told["data"] = hex(&salted(&from_hex(told["salt"].as_str().unwrap()).unwrap(), &[3; 32])).into();
    runs[1].state.agreed = Some(serde_json::from_value(told).unwrap());
    let [a, _] = meet(&parties, &mut runs, true, [1, 3], ALIVE);
    assert_eq!((a.as_ref().unwrap_err().exit, a.unwrap_err().id), (Exit::Policy, 523));
}

#[test]
fn a_copy_of_an_earlier_state_is_refused_and_a_crash_between_two_words_is_not() {
    let parties = [Party::new(true), Party::new(false)];
    let mut runs = [parties[0].begin(), parties[1].begin()];
    assert_eq!(meet(&parties, &mut runs, false, [1, 2], ALIVE), [Ok(1), Ok(1)]);
    let (folder, copy) = (runs[1].folder().to_owned(), std::fs::read(runs[1].folder().join("state.json")).unwrap());
    drop(runs);
    // The partner dies before it writes the second attempt down: the owner's is void, and both go on.
    let mut runs = parties.each_ref().map(Party::take_up);
    let [a, b] = meet(&parties, &mut runs, true, [1, 2], [Dies::No, Dies::BeforeWriting]);
    assert_eq!((a.unwrap_err().exit, b), (Exit::PeerGone, Ok(0)));
    assert_eq!(runs.each_ref().map(|run| run.state().agreed.as_ref().unwrap().attempt), [2, 1]);
    drop(runs);
    let mut runs = parties.each_ref().map(Party::take_up);
    assert_eq!(meet(&parties, &mut runs, true, [1, 2], ALIVE), [Ok(2), Ok(2)]);
    drop(runs);
    // Now the partner's folder is put back to the first attempt.
    std::fs::write(folder.join("state.json"), copy).unwrap();
    let mut runs = parties.each_ref().map(Party::take_up);
    for ended in meet(&parties, &mut runs, true, [1, 2], ALIVE) {
        assert_eq!((ended.as_ref().unwrap_err().exit, ended.unwrap_err().id), (Exit::Policy, 520));
    }
}

#[test]
fn a_new_run_forgets_the_unfinished_ones_of_its_contract() {
    let parties = [Party::new(true), Party::new(false)];
    let mut runs = [parties[0].begin(), parties[1].begin()];
    assert_eq!(meet(&parties, &mut runs, false, [1, 2], ALIVE), [Ok(1), Ok(1)]);
    let left = parties[0].home.path().join(".x.partial-00");
    std::fs::create_dir(&left).unwrap();
    runs[0].takes(&parties[0].home.path().join("x"), &left).unwrap();
    drop(runs);
    assert!(left.exists() && list(&parties[0].home).unwrap().len() == 1);
    let mut runs = [parties[0].begin(), parties[1].begin()];
    assert_eq!(list(&parties[0].home).unwrap().len(), 2);
    assert_eq!(meet(&parties, &mut runs, false, [1, 2], ALIVE), [Ok(1), Ok(1)]);
    let listed = list(&parties[0].home).unwrap();
    assert_eq!((listed.len(), listed[0].running, left.exists()), (1, true, false));
    // A run that never met its peer leaves nothing.
    let early = parties[0].begin();
    let folder = early.folder().to_owned();
    drop(early);
    assert!(!folder.exists());
}

#[test]
fn a_removal_that_was_cut_is_finished_by_whoever_looks_next() {
    let parties = [Party::new(true), Party::new(false)];
    let mut runs = [parties[0].begin(), parties[1].begin()];
    assert_eq!(meet(&parties, &mut runs, false, [1, 2], ALIVE), [Ok(1), Ok(1)]);
    runs[0].keep_matching(&matching()).unwrap();
    let folder = runs[0].folder().to_owned();
    drop(runs);
    // Killed after the first step of a removal, and after some of the files were gone.
    let doomed = doom(&folder).unwrap();
    std::fs::remove_file(doomed.join("state.json")).unwrap();
    assert!(doomed.join("matching.bin").exists() && !folder.exists());
    assert!(list(&parties[0].home).unwrap().is_empty());
    assert!(!doomed.exists(), "what was kept of the matching is gone");
    // One that somebody else removes meanwhile is no run, and is not made again by looking.
    let run = parties[0].begin();
    std::fs::remove_file(run.folder().join("lock")).unwrap();
    assert!(list(&parties[0].home).unwrap().is_empty() && !run.folder().join("lock").exists());
}

#[test]
fn the_messages_cost_what_the_header_says() {
    let parties = [Party::new(true), Party::new(false)];
    let mut runs = [parties[0].begin(), parties[1].begin()];
    let [one, two] = &mut runs;
    let (.., counters, _) = run_pair(|c| parties[0].meet(one, c, false, 1, Dies::No), |c| parties[1].meet(two, c, false, 2, Dies::No));
    assert_eq!((counters.messages_sent, counters.bytes_sent, counters.rounds), (2, 183 + 2 * 14, 2));
}

#[test]
fn an_attempt_after_something_was_told_is_another_run_unless_that_phase_is_kept() {
    const TAGS: Kind = Kind { code: 0x0203, name: "tags" };
    const DECISIONS: Kind = Kind { code: 0x0586, name: "decisions" };
    const SPLIT: Kind = Kind { code: 0x0582, name: "train or test of the matched rows" };
    let told = |matching, training, code| Offer { matching, training, told: Told::from_code(code).unwrap(), ..offer(4, true) };
    let another = |a: &Offer, b: &Offer| match both(a, b) {
        Ok(Common::Again { another, .. }) => another,
        other => panic!("{other:?}"),
    };
    assert!(!another(&told(0, 0, 0), &told(0, 0, 0)));
    assert!(another(&told(0, 0, 1), &told(0, 0, 0)), "either side's word is enough");
    assert!(!another(&told(1, 0, 1), &told(1, 0, 1)), "the matching is kept");
    assert!(another(&told(1, 0, 1), &told(0, 0, 1)), "by one side only");
    assert!(another(&told(1, 0, 3), &told(1, 0, 1)), "something after it was opened");
    assert!(another(&told(1, 3, 3), &told(1, 0, 3)), "one side alone has its weights");
    assert!(!another(&told(1, 3, 3), &told(1, 3, 3)), "what was opened is kept: nothing new is told");

    // On the wire and on disk: the mark is there before the message, the attempt after it has no number yet, the one after that has.
    let parties = [Party::new(true), Party::new(false)];
    let mut runs = [parties[0].begin(), parties[1].begin()];
    assert_eq!(meet(&parties, &mut runs, false, [1, 2], ALIVE), [Ok(1), Ok(1)]);
    let (mut a, b) = colift_channel::memory::pair();
    let folder = runs[1].folder().to_owned();
    Marked::new(&mut a, &folder).send(SPLIT, &[0]).unwrap();
    assert_eq!(Told::read(&folder).code(), 0, "the split follows from the matching");
    drop(b);
    for (kind, code) in [(TAGS, 1), (DECISIONS, 3)] {
        assert!(Marked::new(&mut a, &folder).send(kind, &[0]).is_err());
        assert_eq!(Told::read(&folder).code(), code, "before it is sent");
    }
    drop(runs);
    let mut numbers = Vec::new();
    for attempt in [2, 3] {
        let mut runs = parties.each_ref().map(Party::take_up);
        let [one, two] = &mut runs;
        let side = |party: &Party, run: &mut Unfinished, channel: &mut MemoryChannel, table: u8| {
            let proposal = run.propose(channel, true, &[table; 32]).unwrap();
            let number = proposal.number.unwrap_or(8);
            assert_eq!(run.attempt(channel, &party.home, &proposal, (&[5; 32], number, party.owner)), Ok(attempt));
            proposal.number
        };
        let (a, b, ..) = run_pair(|c| side(&parties[0], one, c, 1), |c| side(&parties[1], two, c, 2));
        assert_eq!(a, b);
        numbers.push(a);
    }
    assert_eq!(numbers, [None, Some(8)]);
}
