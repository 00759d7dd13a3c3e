//! Recorded conversations of a wire version: this program as either party against the recorded peer must send the recorded bytes,
//! take the recorded answers and end with the recorded results. Wire versions that it does not speak are refused, both named.
//!
//! A version of which no recordings are committed yet is recorded on the spot, into a temporary folder, and replayed from there: that
//! holds this program against itself, which shows that recorder and replay work, and nothing about an earlier program.
//!
//! `COLIFT_RECORD=1 cargo test --release --features replay --test recorded -- --ignored` records the program's highest wire version anew; where that
//! version has recordings already, it takes `COLIFT_RECORD=overwrite`. docs/WIRE.md says when that is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cases;
mod conversation;
mod party;
mod peer;

use cases::{DRAFTS, converse};
use colift::data::Side;
use colift::error::Exit;
use colift::session::{WIRE_VERSIONS, greet};
use colift_channel::memory::pair;
use colift_channel::{Channel, Kind};
use conversation::{Conversation, Frame, SIDES, listed, manifest, place, unhex, vectors};
use party::{Party, arithmetic};
use peer::{GREETING, RecordedPeer, same};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

/// The file of greetings that are refused.
const REFUSED: &str = "refused";
const GREETS: Kind = Kind { code: GREETING, name: "greeting" };

/// Every wire version that this program speaks.
fn versions() -> impl Iterator<Item = u16> {
    WIRE_VERSIONS.0..=WIRE_VERSIONS.1
}

/// Recordings of the highest wire version made on the spot, once a process; their folder stays among the system's temporary files.
static MADE: LazyLock<TempDir> = LazyLock::new(|| {
    let made = tempfile::tempdir().unwrap();
    let folder = place(made.path(), WIRE_VERSIONS.1);
    DRAFTS.iter().for_each(|draft| draft.record().write(&folder));
    write_refused(&folder);
    made
});

/// Where the recordings of a version are: the committed ones, or those made on the spot.
fn folder_of(wire: u16) -> PathBuf {
    let committed = place(&vectors(), wire);
    if committed.exists() {
        return committed;
    }
    assert_eq!(wire, WIRE_VERSIONS.1, "wire version {wire} has no recordings, and this program can record its highest version only");
    place(MADE.path(), wire)
}

/// Every case of every version.
fn recorded() -> impl Iterator<Item = Conversation> {
    versions().flat_map(|wire| {
        let folder = folder_of(wire);
        let files = std::fs::read_dir(&folder).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let cases = names.iter().filter_map(|name| name.strip_suffix(".json").filter(|case| *case != REFUSED));
        let read: Vec<Conversation> = cases.map(|case| Conversation::read(&folder, case)).collect();
        assert!(read.iter().all(|conversation| conversation.wire == wire));
        assert!(read.len() >= 4, "wire version {wire} has {} recordings", read.len());
        read
    })
}

/// The cases whose payloads are kept.
fn kept() -> impl Iterator<Item = Conversation> {
    recorded().filter(|conversation| conversation.payloads)
}

/// This program as one side, the recording as the other.
fn replay(conversation: &Conversation, side: Side) -> Result<(), String> {
    let (own, peers) = (side as usize, side.peer() as usize);
    let mut link = RecordedPeer::new(conversation.wire, &conversation.sent[peers], &conversation.sent[own]);
    let ended = Party::new(side, &conversation.parties[own]).talk(&mut link, &conversation.session());
    if let Some(fault) = link.fault {
        return Err(fault);
    }
    let result = ended.map_err(|failure| failure.to_string())?;
    link.is_over()?;
    // Scores go through the machine's exponential function.
    near("result", &conversation.parties[own].result, &result, 1e-12)
}

/// Whether two results are the same, real numbers up to rounding.
fn near(name: &str, recorded: &Value, now: &Value, most: f64) -> Result<(), String> {
    let differ = || Err(format!("{name} is {now}, recorded was {recorded}"));
    match (recorded, now) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            if (a - b).abs() <= most * a.abs().max(1.0) { Ok(()) } else { differ() }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().try_for_each(|(place, (a, b))| near(&format!("{name}[{place}]"), a, b, most))
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a.iter().try_for_each(|(key, a)| match b.get(key) {
            Some(b) => near(&format!("{name}.{key}"), a, b, most),
            None => differ(),
        }),
        _ if recorded == now => Ok(()),
        _ => differ(),
    }
}

#[test]
fn either_party_sends_the_recorded_bytes_and_ends_with_the_recorded_results() {
    for conversation in kept() {
        for side in SIDES {
            let sent = &conversation.sent[side as usize];
            replay(&conversation, side).unwrap_or_else(|what| panic!("{}, {side} live: {what}", conversation.case));
            println!("{}, {side} live: {} messages, {} bytes", conversation.case, sent.len(), sent.iter().map(|f| f.length).sum::<usize>());
        }
        // Both ended with the same receipt, and saw users in common.
        let [owner, partner] = conversation.parties.each_ref().map(|party| &party.result);
        assert_eq!((&owner["receipt"], &owner["wire"]), (&partner["receipt"], &Value::from(conversation.wire)));
        assert!(owner["result"]["matched"].as_u64().unwrap() > 10);
    }
}

#[test]
fn greeting_and_signatures_alone_are_as_recorded() {
    for conversation in kept() {
        for side in SIDES {
            let (own, peers) = (side as usize, side.peer() as usize);
            let mut link = RecordedPeer::new(conversation.wire, &conversation.sent[peers][..2], &conversation.sent[own][..2]);
            let ended = Party::new(side, &conversation.parties[own]).introduce(&mut link);
            assert!(link.fault.is_none() && ended.is_ok(), "{}, {side}: {:?}, {ended:?}", conversation.case, link.fault);
            link.is_over().unwrap();
        }
    }
}

/// The replay can fail: every message of the peer's with one changed bit, and every one of its own.
#[test]
fn a_changed_bit_of_any_message_is_found() {
    let mut changed = 0;
    for conversation in kept() {
        for side in SIDES {
            for (whose, about) in [(side.peer(), "the peer's"), (side, "the own")] {
                for number in 0..conversation.sent[whose as usize].len() {
                    let mut other = conversation.clone();
                    let frame = &mut other.sent[whose as usize][number];
                    let mut payload = frame.payload.take().unwrap();
                    // An own greeting may tell another program version: its role and magic may not change.
                    let end = if frame.code == GREETING { 8 } else { payload.len() };
                    match payload[..end].get_mut(number * 7919 % end.max(1)) {
                        Some(byte) => *byte ^= 1 << (number % 8),
                        None => frame.code ^= 1,
                    }
                    *frame = Frame { after: frame.after, ..Frame::new(frame.code, frame.after, &payload) };
                    let found = replay(&other, side);
                    assert!(
                        found.is_err(),
                        "{}, {side} live: {about} message {number} was changed and nothing differed",
                        conversation.case
                    );
                    changed += 1;
                }
            }
        }
    }
    println!("{changed} changed messages, all found");
    assert!(changed > 100);
}

/// A message too few, too many, or one that the peer would send only after it has heard more.
#[test]
fn missing_and_early_messages_are_found() {
    for conversation in kept() {
        for side in SIDES {
            let (own, peers) = (side as usize, side.peer() as usize);
            let mut fewer = conversation.clone();
            fewer.sent[own].pop();
            assert!(replay(&fewer, side).unwrap_err().contains("after the recorded end"));
            let mut more = conversation.clone();
            more.sent[peers].push(Frame::new(0x0122, 0, &[]));
            assert!(replay(&more, side).unwrap_err().contains("messages were received"));
            let mut later = conversation.clone();
            later.sent[peers][1].after = 3;
            assert!(replay(&later, side).unwrap_err().contains("both would wait for ever"));
        }
    }
}

/// Kinds whose payloads hold no floating-point result of the training: these bytes are the same on every machine.
fn is_exact(code: u16) -> bool {
    matches!(code, 0x0101..=0x0124 | 0x0126..=0x0128 | 0x0200..=0x02ff | 0x0301..=0x0303 | 0x0310 | 0x0311 | 0x0401)
}

/// The training's payloads are too many to keep: both parties are live, and what they send is compared by kind, length and digest.
#[test]
fn a_training_sends_the_recorded_messages() {
    for conversation in recorded().filter(|conversation| !conversation.payloads) {
        let said = converse(&conversation.parties, &conversation.session(), conversation.wire);
        let same_arithmetic = arithmetic() == conversation.arithmetic;
        let [alone, digests] =
            compare(&conversation, &said, same_arithmetic).unwrap_or_else(|what| panic!("{}: {what}", conversation.case));
        println!("{digests} payloads compared by digest, {alone} by kind and length alone; arithmetic as recorded: {same_arithmetic}");
        assert!(digests > 30);
        // The comparison can fail: at any digest on a machine whose arithmetic is the recorded one, elsewhere at exact kinds only.
        for (code, elsewhere) in [(0x0401, false), (0x0411, true), (0x0321, true), (0x0203, false)] {
            let mut other = conversation.clone();
            other.sent[1].iter_mut().find(|frame| frame.code == code).unwrap().digest = "00".repeat(32);
            assert!(compare(&other, &said, true).is_err(), "{code:#06x}");
            assert_eq!(compare(&other, &said, false).is_ok(), elsewhere, "{code:#06x}");
        }
        let mut shorter = conversation.clone();
        shorter.sent[0].iter_mut().find(|frame| frame.code == 0x0410).unwrap().length -= 1;
        assert!(compare(&shorter, &said, false).is_err());
        let mut other = conversation.clone();
        other.parties[0].result["result"]["weights"][0] = Value::from(0.125);
        assert!(compare(&other, &said, false).is_err());
    }
}

/// Whether both parties said what is recorded; how many messages were compared by kind and length alone, and how many by digest.
fn compare(conversation: &Conversation, said: &[(Value, Vec<Frame>); 2], same_arithmetic: bool) -> Result<[usize; 2], String> {
    let mut compared = [0, 0];
    for ((side, recorded), (result, sent)) in SIDES.into_iter().zip(&conversation.sent).zip(said) {
        if recorded.len() != sent.len() {
            return Err(format!("the {side} sent {} messages, recorded are {}", sent.len(), recorded.len()));
        }
        for (number, (recorded, now)) in recorded.iter().zip(sent).enumerate() {
            let about = |what| format!("{side}, message {number}, kind {:#06x}: {what}", now.code);
            // Another program version may be longer.
            let length = if now.code == GREETING { recorded.length } else { now.length };
            if (recorded.code, recorded.length, recorded.after) != (now.code, length, now.after) {
                return Err(about(format!("{} bytes after {} messages, recorded is {recorded:?}", now.length, now.after)));
            }
            let exact = same_arithmetic || is_exact(now.code);
            compared[usize::from(exact)] += 1;
            if exact {
                same(conversation.wire, recorded, now).map_err(about)?;
            }
        }
        let mut expected = conversation.parties[side as usize].result.clone();
        // The peer is this program, too.
        expected["peer"] = result["peer"].clone();
        if !same_arithmetic {
            // The receipt signs every byte.
            expected["receipt"] = result["receipt"].clone();
        }
        near(side.name(), &expected, result, if same_arithmetic { 0.0 } else { 1e-5 })?;
    }
    Ok(compared)
}

/// Greetings of versions that no program of ours speaks; made by hand after docs/WIRE.md.
fn greeting(wire: (u16, u16), role: Side, program: &str) -> Vec<u8> {
    let (low, high) = (wire.0.to_le_bytes(), wire.1.to_le_bytes());
    [&b"colift//"[..], &low, &high, &[role as u8 + 1, program.len() as u8], program.as_bytes()].concat()
}

#[test]
fn versions_that_are_not_spoken_are_refused_naming_both() {
    let ours = match WIRE_VERSIONS {
        (low, high) if low == high => format!("wire {low}"),
        (low, high) => format!("wire {low} to {high}"),
    };
    let mut refused = 0;
    for version in versions() {
        let text = std::fs::read_to_string(folder_of(version).join(REFUSED).with_extension("json")).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        for case in file["greetings"].as_array().unwrap() {
            let (wire, program) = (case["wire"].as_u64().unwrap() as u16, case["program"].as_str().unwrap());
            if versions().any(|spoken| spoken == wire) {
                continue;
            }
            let role = SIDES.into_iter().find(|side| case["role"] == side.name()).unwrap();
            let payload = unhex(case["payload"].as_str().unwrap());
            assert_eq!(payload, greeting((wire, wire), role, program), "the recorded greeting is not the one described");
            let (mut a, mut b) = pair();
            b.send(GREETS, &payload).unwrap();
            let failure = greet(&mut a, role.peer()).unwrap_err();
            assert_eq!((failure.exit, failure.exit as u8), (Exit::Version, 16));
            for words in [format!("ours is {} ({ours})", env!("CARGO_PKG_VERSION")), format!("the peer's is {program} (wire {wire})")] {
                assert!(failure.what.contains(&words), "{}: `{words}` is missing", failure.what);
            }
            // Ours was sent all the same, so that the peer can say the same; nothing else was.
            let told = b.receive_at_most(GREETS, 256).unwrap();
            assert_eq!(told, greeting(WIRE_VERSIONS, role.peer(), env!("CARGO_PKG_VERSION")));
            assert_eq!(a.counters().messages_sent, 1);
            refused += 1;
        }
    }
    // Versions 0 and 1 are spoken by nobody, from either side.
    assert!(refused >= 4);
}

#[test]
fn the_manifest_lists_every_committed_recording_and_they_are_small() {
    let listed = listed(&vectors());
    if listed.is_empty() {
        println!("no recordings of wire version {} are committed yet: it is unreleased", WIRE_VERSIONS.1);
        assert!(!manifest(&vectors()).exists(), "a manifest of nothing");
        return;
    }
    assert_eq!(std::fs::read_to_string(manifest(&vectors())).unwrap(), listed);
    // Two files a case, one for the training, one for refused greetings.
    assert!(listed.lines().count() >= 2 * DRAFTS.len());
    let files = listed.lines().map(|line| vectors().join(&line[66..]));
    let bytes: u64 = files.map(|file| std::fs::metadata(file).unwrap().len()).sum();
    println!("{} files, {bytes} bytes", listed.lines().count());
    assert!(bytes < 1_000_000 * versions().count() as u64, "{bytes} bytes of recordings");
}

/// What is recorded now is what is read and replayed afterwards.
#[test]
fn a_fresh_recording_is_read_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = DRAFTS[0].record();
    fresh.write(folder.path());
    let read = Conversation::read(folder.path(), fresh.case.as_str());
    assert_eq!(read, fresh);
    // The same files and seeds give the same bytes.
    assert_eq!(DRAFTS[0].record(), fresh);
    for side in SIDES {
        replay(&read, side).unwrap();
    }
}

/// Records every case of the program's highest wire version.
#[test]
#[ignore = "writes tests/vectors/wire"]
fn record() {
    let how = std::env::var("COLIFT_RECORD").unwrap_or_default();
    assert!(matches!(how.as_str(), "1" | "overwrite"), "COLIFT_RECORD=1, or COLIFT_RECORD=overwrite, says that you mean it");
    let folder = place(&vectors(), WIRE_VERSIONS.1);
    refuse(&folder, how == "overwrite");
    // Nothing is written before everything is recorded.
    let made: Vec<Conversation> = DRAFTS.iter().map(cases::Draft::record).collect();
    made.iter().for_each(|conversation| conversation.write(&folder));
    write_refused(&folder);
    std::fs::write(manifest(&vectors()), listed(&vectors())).unwrap();
    println!("{} is recorded; look at the difference before it is committed", folder.display());
}

/// A version that was recorded once stays as it is, unless the person says otherwise.
fn refuse(folder: &Path, overwrite: bool) {
    assert!(
        overwrite || !folder.exists(),
        "{} is recorded already. Released versions stay as they are: raise WIRE_VERSIONS for a new one. An unreleased one may be \
         recorded again with COLIFT_RECORD=overwrite",
        folder.display()
    );
}

fn write_refused(folder: &Path) {
    let cases: Vec<Value> = [(0u16, "0.0.1"), (1, "0.0.9"), (3, "9.9.9")]
        .into_iter()
        .flat_map(|(wire, program)| SIDES.map(|role| (wire, program, role)))
        .map(|(wire, program, role)| {
            let payload = colift::data::wording::hex(&greeting((wire, wire), role, program));
            serde_json::json!({ "wire": wire, "program": program, "role": role.name(), "payload": payload })
        })
        .collect();
    let what = "first messages (kind 0x0101) of peers that speak one other wire version only; refused with exit code 16";
    let text = serde_json::json!({ "schema": "colift.refused-greetings/1", "what": what, "greetings": cases });
    std::fs::write(folder.join(REFUSED).with_extension("json"), serde_json::to_string_pretty(&text).unwrap() + "\n").unwrap();
}

#[test]
#[should_panic(expected = "is recorded already")]
fn a_recorded_version_is_not_overwritten_unasked() {
    refuse(&folder_of(WIRE_VERSIONS.1), false);
}
