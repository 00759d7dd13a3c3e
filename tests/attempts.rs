//! Two attempts of one run over memory pairs: the first is cut at a message of any phase, the second goes on from what both sides kept.
//!
//! No ciphertext, mask or share of the first attempt occurs in the second one, the matching is not repeated once both sides had it, and
//! the model is that of an uninterrupted run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/party.rs"]
mod party;

use colift::data::Side;
use colift::error::Failure;
use colift::progress::Silent;
use colift::resources::StageClock;
use colift::run::{Keep, KeptMatching, KeptTraining, Outcome, Prepared, over_keeping};
use colift::scoring;
use colift::training::secure::Trained;
use colift_channel::fault::{Fault, Faulty};
use colift_channel::memory::{MemoryChannel, pair};
use colift_primitives::rng::os_bytes;
use party::{Content, EVERYTHING, SMALL, Sizes, Tape, Terms, World, score_world, world};
use rayon::prelude::*;
use std::collections::HashSet;

const SIZES: Sizes = Sizes { owner_rows: 150, partner_rows: 140, common: 130, test: 20, owner_columns: 2, partner_columns: 3 };
/// How many of each side's messages a run is cut at, and the variable that changes it.
const CUTS: u64 = 4;
const CUTS_VARIABLE: &str = "COLIFT_CUTS";
/// Bits of a block that a first, quick look uses.
const QUICK_BITS: u32 = 26;
/// What is no mask, ciphertext or share: terms and sizes, and what the contract opens in the clear, which is the same in every attempt.
const PLAIN: [u16; 9] = [0x0120, 0x0121, 0x0122, 0x0201, 0x0204, 0x0205, 0x0215, 0x0582, 0x0583];

/// What one side keeps between two attempts, in memory.
#[derive(Clone, Default)]
struct Kept {
    matching: Option<KeptMatching>,
    training: Option<KeptTraining>,
}

impl Keep for Kept {
    fn matching(&mut self) -> Result<Option<KeptMatching>, Failure> {
        Ok(self.matching.clone())
    }

    fn training(&mut self) -> Result<Option<KeptTraining>, Failure> {
        Ok(self.training.clone())
    }

    fn keep_matching(&mut self, matching: &KeptMatching) -> Result<(), Failure> {
        self.matching = Some(matching.clone());
        Ok(())
    }

    fn keep_training(&mut self, training: &KeptTraining) -> Result<(), Failure> {
        self.training = Some(training.clone());
        Ok(())
    }
}

/// (kind, payload) of everything a side sent.
type Sent = Vec<(u16, Vec<u8>)>;

/// An attempt: how each side ended, and what it sent.
struct Attempt {
    ended: [Result<Outcome, Failure>; 2],
    sent: [Sent; 2],
}

/// Both sides run; `cut` drops the link instead of a side's message of this number.
fn attempt(world: &World, kept: &mut [Kept; 2], cut: Option<(Side, u64)>) -> Attempt {
    let session = *os_bytes::<32>().unwrap();
    let (a, b) = pair();
    let side = |prepared: &Prepared, channel: MemoryChannel, keep: &mut Kept, side: Side| {
        let at = cut.filter(|(whose, _)| *whose == side).map_or(u64::MAX, |(_, at)| at);
        let mut tape = Tape::new(Faulty::new(channel, Fault::Cut, at, 0));
        let ended = over_keeping(&mut tape, &session, prepared, keep, &mut StageClock::new(side), &Silent);
        (ended, tape.sent)
    };
    let [owner, partner] = kept;
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| side(&world.owner, a, owner, Side::Owner));
        let two = scope.spawn(|| side(&world.partner, b, partner, Side::Partner));
        (one.join().unwrap(), two.join().unwrap())
    });
    Attempt { ended: [one.0, two.0], sent: [one.1, two.1] }
}

/// What both sides have.
fn common(kept: &[Kept; 2]) -> [Kept; 2] {
    let matching = kept.iter().all(|kept| kept.matching.is_some());
    let training = kept.iter().all(|kept| kept.training.is_some());
    kept.clone().map(|kept| Kept { matching: kept.matching.filter(|_| matching), training: kept.training.filter(|_| training) })
}

fn trained(outcome: &Outcome) -> &Trained {
    match outcome {
        Outcome::Owner(outcome) => &outcome.trained,
        Outcome::Partner(outcome) => &outcome.trained,
        Outcome::Overlap(_) => panic!("no model"),
    }
}

/// Whether no 16-byte block of what the first attempt kept secret occurs anywhere in the second.
fn nothing_twice(first: &[Sent; 2], second: &[Sent; 2]) -> bool {
    let secret = |sent: &&(u16, Vec<u8>)| !PLAIN.contains(&sent.0);
    let block = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().unwrap());
    let blocks: HashSet<u128> =
        first.iter().flatten().filter(secret).flat_map(|(_, sent)| sent.as_chunks::<16>().0).map(|b| block(b)).collect();
    // Most windows are settled by a few bits of theirs.
    let quick = |block: u128| ((block & ((1 << QUICK_BITS) - 1)) as usize / 64, 1u64 << (block % 64));
    let mut map = vec![0u64; 1 << (QUICK_BITS - 6)];
    for block in &blocks {
        let (word, bit) = quick(*block);
        map[word] |= bit;
    }
    let known = |block: u128| {
        let (word, bit) = quick(block);
        map[word] & bit != 0 && blocks.contains(&block)
    };
    let later: Vec<&(u16, Vec<u8>)> = second.iter().flatten().filter(secret).collect();
    !later.par_iter().any(|(_, sent)| sent.windows(16).any(|window| known(block(window))))
}

#[test]
fn a_cut_run_goes_on_with_fresh_randomness_and_ends_with_the_same_model() {
    let mut reveal = EVERYTHING.to_vec();
    reveal.push("own_standard_errors");
    let world = world(SIZES, Content::Normal, 11, &Terms { reveal: Some(&reveal), ..Terms::default() });
    let whole = attempt(&world, &mut <[Kept; 2]>::default(), None);
    let reference = whole.ended.each_ref().map(|ended| trained(ended.as_ref().unwrap()).clone());
    assert!(!nothing_twice(&whole.sent, &whole.sent), "an attempt that repeats another is found");
    let count = std::env::var(CUTS_VARIABLE).ok().map_or(CUTS, |text| text.parse().unwrap()).max(2);
    let (mut worst, mut phases) = (0f64, [0; 3]);
    for (number, side) in [Side::Owner, Side::Partner].into_iter().enumerate() {
        let messages = whole.sent[number].len() as u64;
        // Evenly over the run, the last messages among them: the training is most of it.
        let cuts = (0..count).map(|cut| 1 + cut * (messages - 2) / (count - 1)).chain([messages - 2]);
        for at in cuts {
            let mut kept = <[Kept; 2]>::default();
            let first = attempt(&world, &mut kept, Some((side, at)));
            // A cut at the partner's last word leaves the owner alone without its results.
            assert!(first.ended.iter().any(Result::is_err), "the {side} was cut at message {at} of {messages}");
            let mut kept = common(&kept);
            let before = kept.clone();
            let second = attempt(&world, &mut kept, None);
            let ended = second.ended.each_ref().map(|ended| ended.as_ref().unwrap_or_else(|failure| panic!("{side} {at}: {failure}")));
            assert!(nothing_twice(&first.sent, &second.sent), "the {side} was cut at message {at}: a secret block occurs in both attempts");
            let matched = before[0].matching.is_some();
            let repeated = second.sent.iter().flatten().any(|(code, _)| (0x0200..0x0300).contains(code) || *code == 0x0582);
            assert_eq!(repeated, !matched, "the {side} was cut at message {at}");
            phases[usize::from(matched) + usize::from(before[0].training.is_some())] += 1;
            for ((outcome, reference), before) in ended.into_iter().zip(&reference).zip(&before) {
                let now = trained(outcome);
                if let Some(training) = &before.training {
                    let bits = |trained: &Trained| trained.coefficients.iter().map(|weight| weight.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(now), bits(&training.trained[0]), "a kept training keeps every bit");
                }
                let errors = reference.standard_errors.as_ref().unwrap();
                for ((a, b), error) in now.coefficients.iter().zip(&reference.coefficients).zip(&errors.coefficients) {
                    worst = worst.max((a - b).abs() / error);
                }
            }
        }
    }
    println!("phases kept none, matching, both: {phases:?}; worst distance of a weight {worst:.4} standard errors");
    assert!(worst < 0.05, "{worst} standard errors from the uninterrupted run");
    assert!(phases.iter().all(|cuts| *cuts > 0), "{phases:?}: every phase is cut");
}

#[test]
fn a_scoring_goes_on_after_its_matching_with_the_same_scores() {
    let world = score_world(SMALL, Content::Normal, 5);
    let play = |kept: &mut [Kept; 2]| {
        let session = *os_bytes::<32>().unwrap();
        let (a, b) = pair();
        let side = |prepared: &scoring::Prepared, channel: MemoryChannel, keep: &mut Kept| {
            let mut tape = Tape::new(channel);
            let clock = &mut StageClock::new(prepared.job.side());
            let outcome = scoring::over_keeping(&mut tape, &session, prepared, keep, clock, &Silent).unwrap();
            (outcome, tape.sent)
        };
        let [owner, partner] = kept;
        std::thread::scope(|scope| {
            let one = scope.spawn(|| side(&world.owner, a, owner));
            let two = scope.spawn(|| side(&world.partner, b, partner));
            [one.join().unwrap(), two.join().unwrap()]
        })
    };
    let mut kept = <[Kept; 2]>::default();
    let first = play(&mut kept);
    assert!(kept.iter().all(|kept| kept.matching.as_ref().is_some_and(|matching| matching.rows.len() == SMALL.common)));
    let second = play(&mut kept);
    let codes = |sent: &Sent| sent.iter().map(|(code, _)| *code).collect::<Vec<_>>();
    assert_eq!(second.each_ref().map(|(_, sent)| codes(sent)), [vec![0x0120, 0x0122], vec![0x0120, 0x0583, 0x0122]]);
    assert!(codes(&first[0].1).iter().any(|code| (0x0200..0x0300).contains(code)));
    let scores = |outcome: &scoring::Outcome| outcome.scored.as_ref().unwrap().scores.clone();
    assert_eq!(scores(&first[0].0), scores(&second[0].0));
    assert_eq!(second[0].0.report.matched, SMALL.common as u64);
}
