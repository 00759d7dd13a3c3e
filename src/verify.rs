//! Published vectors against this program: every set that the repository holds, without the repository.
//!
//! The files of `tests/vectors` are part of the program; a folder with the same files may take their place. Each set says where its
//! values come from. The manifest holds the digest of every file, so that a changed byte anywhere is found, even one that no
//! check depends on.

mod ids;
mod matching;
mod primitives;

use crate::error::{Exit, Failure};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Largest vector file that is read.
const MAX_BYTES: u64 = 1 << 20;
const MANIFEST: &str = "MANIFEST";

/// One set's outcome: a line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetResult {
    /// The file, or what the set is.
    pub set: String,
    /// What is checked.
    pub what: &'static str,
    /// How many cases.
    pub cases: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Where the values come from.
    pub source: String,
}

/// Cases of a set being counted.
#[derive(Default)]
struct Tally {
    cases: u64,
    failed: u64,
}

impl Tally {
    /// One case; a malformed one has failed.
    fn case(&mut self, held: Option<bool>) {
        self.cases += 1;
        self.failed += u64::from(held != Some(true));
    }

    /// A case for each entry of a list; a missing list has failed.
    fn each(&mut self, list: &Value, mut held: impl FnMut(&Value) -> Option<bool>) {
        match list.as_array() {
            Some(entries) if !entries.is_empty() => entries.iter().for_each(|entry| self.case(held(entry))),
            _ => self.case(None),
        }
    }
}

/// A set: its file, what it is, how it is checked.
struct Set {
    path: &'static str,
    embedded: &'static str,
    what: &'static str,
    check: fn(&Value, &str, &mut Tally),
}

macro_rules! set {
    ($path:literal, $what:literal, $check:path) => {
        Set { path: $path, embedded: include_str!(concat!("../tests/vectors/", $path)), what: $what, check: $check }
    };
}

const SETS: [Set; 20] = [
    set!("fips197/v1/aes128.json", "AES-128", primitives::aes),
    set!("fips180/v1/sha2.json", "SHA-256 and SHA-512", primitives::sha2),
    set!("rfc4231/v1/hmac_sha256.json", "HMAC-SHA-256", primitives::hmac),
    set!("rfc5869/v1/hkdf_sha256.json", "HKDF-SHA-256", primitives::hkdf),
    set!("gcm/v1/ghash.json", "GF(2^128) of GCM", primitives::gcm),
    set!("rfc9380/v1/expand_message_xmd_sha512.json", "expand_message_xmd", matching::expand),
    set!("rfc9496/v1/ristretto255.json", "ristretto255: multiples, refusals, map", matching::ristretto),
    set!("rfc9497/v1/hash_to_ristretto255.json", "hashing to the group, masking", matching::masking),
    set!("matching/v1/field.json", "GF(2^128)", primitives::field),
    set!("matching/v1/hashes.json", "fixed-key AES hashes", primitives::hashes),
    set!("matching/v1/names.json", "names of ids", matching::names),
    set!("matching/v1/store.json", "key-value store: sizes, rows, decoding", matching::store),
    set!("matching/v1/tags.json", "coded tags", matching::tags),
    set!("ids/v1/opaque.json", "opaque ids", ids::single),
    set!("ids/v1/email.json", "e-mail addresses", ids::single),
    set!("ids/v1/phone.json", "phone numbers", ids::single),
    set!("ids/v1/hash.json", "hashes as ids", ids::single),
    set!("ids/v1/device.json", "device ids", ids::single),
    set!("ids/v2/phone.json", "phone numbers with regions", ids::regions),
    set!("ids/v2/composite.json", "composite ids", ids::composite),
];

/// Checks every set, from a folder or from the program itself.
///
/// # Errors
/// Exit code 2: a file of the folder cannot be read.
pub fn all(folder: Option<&Path>) -> Result<Vec<SetResult>, Failure> {
    let text = |path: &str, embedded: &str| match folder {
        None => Ok(embedded.to_owned()),
        Some(folder) => read(&folder.join(path)),
    };
    let manifest = text(MANIFEST, include_str!("../tests/vectors/MANIFEST"))?;
    let mut listed = Tally::default();
    let mut results = Vec::with_capacity(SETS.len() + 2);
    for set in &SETS {
        let text = text(set.path, set.embedded)?;
        let line = format!("{}  {}", crate::data::wording::hex(&Sha256::digest(text.as_bytes())), set.path);
        listed.case(Some(manifest.lines().any(|other| other == line)));
        let mut tally = Tally::default();
        let value = serde_json::from_str::<Value>(&text);
        match &value {
            Ok(value) => (set.check)(value, &text, &mut tally),
            Err(_) => tally.case(None),
        }
        let source = value.ok().and_then(|value| Some(value["source"].as_str()?.to_owned()));
        let source = source.unwrap_or_else(|| "this project".to_owned());
        results.push(SetResult { set: set.path.to_owned(), what: set.what, cases: tally.cases, failed: tally.failed, source });
    }
    // Nothing is listed that is not checked.
    listed.case(Some(manifest.lines().count() == SETS.len()));
    let source = "SHA-256 of every file above".to_owned();
    results.push(SetResult { set: MANIFEST.to_owned(), what: "digests of the files", cases: listed.cases, failed: listed.failed, source });
    let mut tally = Tally::default();
    matching::round_trips(&mut tally);
    let source = "fresh random sets against the plain join".to_owned();
    results.push(SetResult {
        set: "matching".to_owned(),
        what: "both protocols, both roles",
        cases: tally.cases,
        failed: tally.failed,
        source,
    });
    Ok(results)
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |why: String| {
        Failure::new(Exit::Usage, 980, format!("a vector file cannot be read: {why}"))
            .at(path.display().to_string())
            .hint("--vectors names a folder laid out as tests/vectors of the repository")
    };
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(failed(format!("it has {size} bytes, at most {MAX_BYTES} are read")));
    }
    // A byte that is no UTF-8 is a changed byte, found by digest and parser.
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| failed(error.to_string()))
}

/// The bytes of a hexadecimal text.
fn hex(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str().filter(|text| text.is_ascii() && text.len().is_multiple_of(2))?;
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// So many bytes of a hexadecimal text.
fn bytes<const L: usize>(value: &Value) -> Option<[u8; L]> {
    hex(value)?.try_into().ok()
}

/// A number of 32 hexadecimal digits.
fn number(value: &Value) -> Option<u128> {
    value.as_str().filter(|text| text.len() == 32).and_then(|text| u128::from_str_radix(text, 16).ok())
}

#[cfg(test)]
mod tests;
