//! A recorded conversation: two parties' files, seeds and results, and every message that one sent the other.
//!
//! Two files a case. `<case>.json` holds everything but the payloads; a message is one text, `0x0120 411 3` with kind, payload bytes
//! and how many of the peer's messages its sender had received before it, followed by the payload's SHA-256 where the payloads are too
//! many to keep. `<case>.bin` holds the payloads, the owner's and then the partner's, each in their order, without anything between.

use colift::data::Side;
use colift::data::wording::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const SCHEMA: &str = "colift.conversation/1";
/// Owner and partner.
pub const SIDES: [Side; 2] = [Side::Owner, Side::Partner];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub code: u16,
    /// Bytes of its payload.
    pub length: usize,
    /// How many of the peer's messages its sender had received.
    pub after: usize,
    /// SHA-256 of the payload.
    pub digest: String,
    /// The payload, where it is kept.
    pub payload: Option<Vec<u8>>,
}

impl Frame {
    pub fn new(code: u16, after: usize, payload: &[u8]) -> Self {
        Self { code, length: payload.len(), after, digest: hex(&Sha256::digest(payload)), payload: Some(payload.to_vec()) }
    }

    fn line(&self, kept: bool) -> String {
        let line = format!("{:#06x} {} {}", self.code, self.length, self.after);
        if kept { line } else { format!("{line} {}", self.digest) }
    }
}

/// One party of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyFile {
    /// Seed of its secret random numbers, 32 hex digits.
    pub seed: String,
    /// Seed of its Ed25519 identity key, 64 hex digits.
    pub identity: String,
    /// The files of its folder: `job.toml` and what that names.
    pub files: BTreeMap<String, String>,
    /// What it ended with.
    pub result: Value,
    /// What it sent.
    pub sent: Vec<String>,
}

/// The `.json` file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadFile {
    schema: String,
    wire: u16,
    case: String,
    what: String,
    program: String,
    arithmetic: String,
    session: String,
    payloads: bool,
    owner: PartyFile,
    partner: PartyFile,
}

/// A recorded conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// Its name.
    pub case: String,
    /// What happens in it.
    pub what: String,
    /// The wire version that both spoke.
    pub wire: u16,
    /// Version of the program that recorded it.
    pub program: String,
    /// Digest of what this machine's floating-point functions gave; see `party::arithmetic`.
    pub arithmetic: String,
    /// A value that only this link has, 64 hex digits.
    pub session: String,
    /// Whether the payloads are kept.
    pub payloads: bool,
    /// Owner and partner, without their messages.
    pub parties: [PartyFile; 2],
    /// What the owner sent, what the partner sent.
    pub sent: [Vec<Frame>; 2],
}

/// So many bytes of a hexadecimal text.
pub fn bytes<const L: usize>(text: &str) -> [u8; L] {
    unhex(text).try_into().unwrap_or_else(|_| panic!("{text} has not {L} bytes"))
}

pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.is_ascii() && text.len().is_multiple_of(2), "{text} is not hexadecimal");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// `tests/vectors`.
pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The recordings of a wire version under a folder of vectors.
pub fn place(vectors: &Path, wire: u16) -> PathBuf {
    vectors.join(format!("wire/v{wire}"))
}

impl Conversation {
    /// Reads a case; fails where it does not say what it must.
    pub fn read(folder: &Path, case: &str) -> Self {
        let path = folder.join(format!("{case}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let head: HeadFile = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!((head.schema.as_str(), head.case.as_str()), (SCHEMA, case));
        let kept = if head.payloads { std::fs::read(folder.join(format!("{case}.bin"))).unwrap() } else { Vec::new() };
        let mut rest = kept.as_slice();
        let mut parties = [head.owner, head.partner];
        let sent = parties.each_mut().map(|party| {
            let read = |line: &String| {
                let words: Vec<&str> = line.split(' ').collect();
                let code = u16::from_str_radix(words[0].strip_prefix("0x").unwrap(), 16).unwrap();
                let (length, after) = (words[1].parse().unwrap(), words[2].parse().unwrap());
                let Some(digest) = words.get(3) else {
                    let (payload, left) = rest.split_at(length);
                    rest = left;
                    return Frame { length, ..Frame::new(code, after, payload) };
                };
                Frame { code, length, after, digest: (*digest).to_owned(), payload: None }
            };
            std::mem::take(&mut party.sent).iter().map(read).collect()
        });
        assert!(rest.is_empty(), "{case}.bin has {} bytes more than its messages", rest.len());
        Self {
            case: head.case,
            what: head.what,
            wire: head.wire,
            program: head.program,
            arithmetic: head.arithmetic,
            session: head.session,
            payloads: head.payloads,
            parties,
            sent,
        }
    }

    /// Writes a case.
    pub fn write(&self, folder: &Path) {
        let [owner, partner] = [0, 1].map(|side| PartyFile {
            sent: self.sent[side].iter().map(|frame| frame.line(self.payloads)).collect(),
            ..self.parties[side].clone()
        });
        let head = HeadFile {
            schema: SCHEMA.to_owned(),
            wire: self.wire,
            case: self.case.clone(),
            what: self.what.clone(),
            program: self.program.clone(),
            arithmetic: self.arithmetic.clone(),
            session: self.session.clone(),
            payloads: self.payloads,
            owner,
            partner,
        };
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("{}.json", self.case)), serde_json::to_string_pretty(&head).unwrap() + "\n").unwrap();
        if self.payloads {
            let kept: Vec<u8> = self.sent.iter().flatten().flat_map(|frame| frame.payload.as_ref().unwrap()).copied().collect();
            std::fs::write(folder.join(format!("{}.bin", self.case)), kept).unwrap();
        }
    }

    pub fn session(&self) -> [u8; 32] {
        bytes(&self.session)
    }
}

/// The manifest of all recordings of a folder of vectors: SHA-256 and path of every file, as in the other vectors' manifest. It is one
/// of its own, because those are part of the programs (`verify`) and recordings are not.
pub fn manifest(vectors: &Path) -> PathBuf {
    vectors.join("wire/MANIFEST")
}

/// What the manifest must hold: nothing where nothing is committed.
pub fn listed(vectors: &Path) -> String {
    let mut lines = Vec::new();
    let versions = std::fs::read_dir(vectors.join("wire")).into_iter().flatten();
    for version in versions.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(version).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(vectors).unwrap().display().to_string();
            lines.push((name, hex(&Sha256::digest(std::fs::read(&path).unwrap()))));
        }
    }
    lines.sort();
    lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect()
}
