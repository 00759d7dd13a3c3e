//! Tests of receipts: both sides' agree and verify offline; every flipped bit, every difference and every borrowed part is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::contract::Job;
use crate::contract::receipt::result_hash;
use crate::session::{ContractSignature, Home};
use colift_channel::memory::MemoryChannel;
use colift_primitives::rng::{Prg, Seed};
use colift_testkit::run_pair;
use jiff::Timestamp;
use std::path::Path;

const SIDES: [Side; 2] = [Side::Owner, Side::Partner];

struct Pair {
    _folders: [tempfile::TempDir; 2],
    identities: [Identity; 2],
    shared: SharedJob,
    signatures: BothSigned,
}

fn pair() -> Pair {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let homes = folders.each_ref().map(|folder| Home::at(folder.path().join("home")));
    let identities = homes.each_ref().map(|home| Identity::init(home).unwrap());
    let text = format!(
        "[shared]\nname = \"case\"\ntask = \"logistic\"\nlabel = \"label\"\nid_kind = \"email\"\nexpected_rate = \"20-50%\"\nmin_overlap = 100\n\
         max_rows = {{ owner = 1000, partner = 1000 }}\n[shared.peers]\nowner = \"{}\"\npartner = \"{}\"\n\
         [private]\ndata = \"d.csv\"\nid = \"id\"\nlink = {{ listen = \"127.0.0.1:1\" }}\n",
        identities[0].fingerprint(),
        identities[1].fingerprint()
    );
    let shared = Job::parse(&text, Side::Owner, Path::new("")).unwrap().shared().clone();
    let signed = [0, 1].map(|k| ContractSignature::make(&homes[k], &identities[k], &shared, SIDES[k], Timestamp::UNIX_EPOCH).unwrap());
    let (a, ..) = run_pair(
        |c| signed[0].exchange(c, &homes[0], Side::Owner, identities[1].fingerprint()),
        |c| signed[1].exchange(c, &homes[1], Side::Partner, identities[0].fingerprint()),
    );
    Pair { _folders: folders, identities, shared, signatures: a.unwrap().unwrap() }
}

fn part(side: Side) -> Part {
    let owner = side == Side::Owner;
    let counted = |item: &str, learned: u64, told: u64| {
        let (learned, told) = if owner { (learned, told) } else { (told, learned) };
        Counted { item: item.to_owned(), learned, told }
    };
    Part {
        program: this_program(),
        rows: if owner { 600 } else { 650 },
        matched: 400,
        l2: Some("0.0025".into()),
        phases: vec![Phase { name: "match".into(), sent: 7 }, Phase { name: "train".into(), sent: 9 }],
        opened: vec![counted("overlap_to_both", 400, 400), counted("own_weights", 5, 3), counted("split_to_partner", 0, 400)],
        ended: "2026-11-26T08:00:00Z".into(),
        result: String::new(),
    }
}

const TALK: Kind = Kind { code: 0x0901, name: "talk" };

/// Both sides talk, then make their receipts; `change` may alter what a side tells or has seen.
fn play(pair: &Pair, change: impl Fn(Side, &mut Part, &mut [u8; 32]) + Sync) -> [Result<Receipt, Failure>; 2] {
    let run = |channel: &mut MemoryChannel, side: Side| {
        let mut recorded = Recorded::new(channel);
        recorded.send(TALK, side.name().as_bytes()).unwrap();
        recorded.receive_at_most(TALK, 100).unwrap();
        let (mut part, mut session) = (part(side), [7; 32]);
        change(side, &mut part, &mut session);
        let ground = Ground {
            side,
            identity: &pair.identities[side as usize],
            peer: pair.identities[1 - side as usize].fingerprint(),
            shared: &pair.shared,
            signatures: &pair.signatures,
            session: &session,
            attempt: 2,
        };
        agree(recorded, &ground, part, result_hash(&[("model.json".to_owned(), [side as u8; 32])]))
    };
    let (a, b, ..) = run_pair(|c| run(c, Side::Owner), |c| run(c, Side::Partner));
    [a, b]
}

#[test]
fn both_receipts_agree_and_verify_offline() {
    let pair = pair();
    let [owner, partner] = play(&pair, |_, _, _| ()).map(Result::unwrap);
    assert_eq!((&owner.head, &owner.entries, &owner.signatures), (&partner.head, &partner.entries, &partner.signatures));
    assert_ne!(owner.own, partner.own);
    for receipt in [owner, partner] {
        let text = receipt.to_json().unwrap();
        assert_eq!(Receipt::from_json(&text).unwrap(), receipt);
        // An auditor has the text alone; with another own part it is no receipt.
        assert!(receipt.contract().unwrap() == pair.shared && text.len() < 8_000);
    }
}

#[test]
fn ten_thousand_flipped_bits_are_found() {
    let pair = pair();
    let [owner, _] = play(&pair, |_, _, _| ()).map(Result::unwrap);
    let text = owner.to_json().unwrap().into_bytes();
    let mut prg = Prg::from_seed(&Seed::from_bytes([5; 16]));
    // Every bit once where there are fewer, and random ones.
    let bits = 8 * text.len();
    assert!(bits > 10_000, "{bits}");
    for _ in 0..10_000 {
        let bit = prg.below(bits as u64) as usize;
        let mut bad = text.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // What is no UTF-8 is not even read.
        if let Ok(bad) = String::from_utf8(bad) {
            let failure = Receipt::from_json(&bad).unwrap_err();
            assert!(matches!(failure.exit, Exit::Verification | Exit::Version), "bit {bit}: {failure}");
        }
    }
}

#[test]
fn what_the_two_sides_count_differently_withholds_the_receipt() {
    let pair = pair();
    type Change = fn(&mut Part, &mut [u8; 32]);
    let cases: [(&str, Exit, Change); 6] = [
        ("one more opened value", Exit::Policy, |part, _| part.opened[1].learned += 1),
        ("one more item", Exit::Policy, |part, _| part.opened.push(part.opened[0].clone())),
        ("another item", Exit::Policy, |part, _| part.opened[2].item = "scores_to_owner".into()),
        ("other common users", Exit::Policy, |part, _| part.matched += 1),
        ("another link", Exit::Protocol, |_, session| session[0] ^= 1),
        ("words for a terminal", Exit::Protocol, |part, _| part.program.version = "1\u{1b}[2J".into()),
    ];
    for (name, exit, change) in cases {
        let ended = play(&pair, |side, part, session| {
            if side == Side::Partner {
                change(part, session);
            }
        });
        let owner = ended[0].as_ref().err().unwrap_or_else(|| panic!("{name}: the owner has a receipt"));
        assert_eq!(owner.exit, exit, "{name}: {owner}");
        assert!(ended[1].is_err(), "{name}: the partner has a receipt");
    }
}

#[test]
fn an_item_that_the_contract_does_not_list_is_no_receipt() {
    let pair = pair();
    let [owner, _] = play(&pair, |_, part, _| part.opened[1].item = "scores_to_owner".into());
    let failure = owner.unwrap_err();
    assert_eq!(failure.exit, Exit::Verification);
    assert!(failure.what.contains("scores_to_owner was opened"), "{failure}");
}

#[test]
fn parts_of_other_receipts_do_not_fit() {
    let pair = pair();
    let [owner, partner] = play(&pair, |_, _, _| ()).map(Result::unwrap);
    let [other, _] = play(&pair, |_, _, session| session[1] = 1).map(Result::unwrap);
    let borrowed = |change: fn(&mut Receipt, &Receipt, &Receipt)| {
        let mut bad = owner.clone();
        change(&mut bad, &other, &partner);
        Receipt::from_json(&bad.to_json().unwrap()).map(|_| ()).unwrap_err().exit
    };
    for change in [
        |bad: &mut Receipt, other: &Receipt, _: &Receipt| bad.signatures = other.signatures.clone(),
        |bad: &mut Receipt, other: &Receipt, _: &Receipt| bad.entries = other.entries.clone(),
        |bad: &mut Receipt, other: &Receipt, _: &Receipt| bad.own = other.own.clone(),
        |bad: &mut Receipt, _: &Receipt, partner: &Receipt| bad.own.nonce = partner.own.nonce.clone(),
        |bad: &mut Receipt, _: &Receipt, _: &Receipt| drop(bad.entries.pop()),
        |bad: &mut Receipt, _: &Receipt, _: &Receipt| bad.entries.swap(2, 3),
    ] {
        assert_eq!(borrowed(change), Exit::Verification);
    }
}
