//! The ledger of runs: of each peer, keyed sketches of the sets of ids that this side has brought to it.
//!
//! Two runs whose sets differ by a few users tell about exactly these users: the difference of both results is theirs. So a
//! run whose ids differ from those of an earlier run with the same peer by fewer than k is refused, or warned about. The same
//! set again says nothing new. What is written cannot be turned into ids: a sketch holds sums of powers of keyed hashes, and the key
//! is this side's own (`ledger.key`, 0600).
//!
//! **Sketch** t sums Σ x^(2j−1), j = 1 … t, over GF(2^128), of the hashes x of all ids: 16·t bytes whatever their number. Sums of two
//! sketches are those of the symmetric difference, and the even powers follow by squaring. If d ≤ t elements differ, the shortest linear
//! recurrence of s_1 … s_2t has length d exactly (Berlekamp–Massey), so a small difference is *never* missed unless two of n ids
//! share a keyed hash (≤ n²·2^-129). A difference above t is taken for one below k ≤ t − 8 only if 16 elements of the field
//! happen to follow a recurrence: ≤ 2^-2048 for hashes that are random. (BCH codes as in ePrint 2003/235, PinSketch, §6.3.)
//!
//! **Cost** t multiplications an id: a second of one core for ten million ids at t = 32.

use super::home::Home;
use crate::data::wording::{counted, grouped, hex};
use crate::error::{Exit, Failure};
use colift_channel::tls::Fingerprint;
use colift_primitives::gf128;
use colift_primitives::hash::PartHash;
use colift_primitives::rng::os_bytes;
use jiff::Timestamp;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const KEY_FILE: &str = "ledger.key";
const SCHEMA: u32 = 1;
/// Sums beyond the smallest difference that is asked about.
const MARGIN: u64 = 8;
/// Capacities are multiples of this, so that sketches of one peer compare.
const STEP: u64 = 32;
/// Bytes of sketches kept of one peer; the oldest go first.
const MOST_BYTES: usize = 200_000;
/// Ids hashed at a time.
const BATCH: usize = 256;

/// What a sketch needs of this side: its own key.
pub struct PastRuns {
    home: Home,
    file: String,
    runs: Vec<PastRun>,
    key: Zeroizing<Vec<u8>>,
}

/// One set that a peer has met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PastRun {
    /// The last run with this set, UTC.
    at: String,
    ids: u64,
    sums: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerFile {
    schema: u32,
    runs: Vec<PastRun>,
}

/// A set of ids as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    ids: u64,
    sums: Vec<u128>,
}

/// An earlier run that this one's ids are close to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Ids of either run that the other has not.
    pub difference: u64,
    /// When it was.
    pub at: String,
}

impl PastRuns {
    /// What this home knows of a peer; makes the key where there is none.
    ///
    /// # Errors
    /// Exit code 2: a file is damaged, of another schema, or its mode is looser than 0600.
    pub fn load(home: &Home, peer: Fingerprint) -> Result<Self, Failure> {
        let key = match home.read(KEY_FILE)? {
            Some(key) => key,
            None => {
                let fresh = os_bytes::<32>().map_err(|error| Failure::of_class(error.class(), error.to_string()))?;
                home.create_file(KEY_FILE, fresh.as_slice())?;
                Zeroizing::new(fresh.to_vec())
            }
        };
        let mut past = Self { home: home.clone(), file: format!("ledger-{peer}.json"), runs: Vec::new(), key };
        past.reload()?;
        Ok(past)
    }

    fn reload(&mut self) -> Result<(), Failure> {
        let Some(content) = self.home.read(&self.file)? else { return Ok(()) };
        let damaged = |what: String| {
            Failure::new(Exit::Usage, 441, what)
                .at(self.home.path().join(&self.file).display().to_string())
                .hint("restore the file; removing it forgets what this peer has met")
        };
        let file: LedgerFile =
            serde_json::from_slice(&content).map_err(|error| damaged(format!("the ledger of runs is damaged: {error}")))?;
        if file.schema != SCHEMA || file.runs.iter().any(|run| run.sums().is_none()) {
            return Err(damaged(format!("the ledger of runs is damaged, or not of schema {SCHEMA}")));
        }
        self.runs = file.runs;
        Ok(())
    }

    /// The sketch of a set of distinct ids, for questions about differences below `min_difference`.
    #[must_use]
    pub fn sketch<I: AsRef<[u8]> + Sync>(&self, ids: &[I], min_difference: u64) -> Sketch {
        let capacity = (min_difference + MARGIN).next_multiple_of(STEP) as usize;
        let mut block = [0u8; 64];
        block[..32].copy_from_slice(&PartHash::new("colift ledger v1").part(&self.key).finish());
        let prefix = Sha256::new_with_prefix(block);
        let of_batch = |ids: &[I]| {
            let hash = |id: &I| {
                let digest: [u8; 32] = prefix.clone().chain_update(id.as_ref()).finalize().into();
                digest.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
            };
            let mut powers: Vec<u128> = ids.iter().map(hash).collect();
            let squares: Vec<u128> = powers.iter().map(|x| gf128::multiply(*x, *x)).collect();
            let sum = |powers: &[u128]| powers.iter().fold(0, |sum, power| sum ^ power);
            let mut sums = vec![0u128; capacity];
            for slot in &mut sums {
                *slot = sum(&powers);
                powers.iter_mut().zip(&squares).for_each(|(power, square)| *power = gf128::multiply(*power, *square));
            }
            sums
        };
        let add = |mut one: Vec<u128>, other: Vec<u128>| {
            one.iter_mut().zip(other).for_each(|(one, other)| *one ^= other);
            one
        };
        let sums = ids.par_chunks(BATCH).map(of_batch).reduce(|| vec![0; capacity], add);
        Sketch { ids: ids.len() as u64, sums }
    }

    /// The nearest earlier run whose ids differ from these by at least one and by fewer than `min_difference`.
    #[must_use]
    pub fn nearest(&self, sketch: &Sketch, min_difference: u64) -> Option<Near> {
        let near = self.runs.iter().filter_map(|run| {
            let difference = run.difference(sketch)?;
            (1..min_difference).contains(&difference).then(|| Near { difference, at: run.at.clone() })
        });
        near.min_by_key(|near| near.difference)
    }

    /// Notes that the peer meets this set, down to the disk, before anything of it is sent.
    ///
    /// # Errors
    /// Exit code 2: the file cannot be written.
    pub fn record(&mut self, sketch: &Sketch, now: Timestamp) -> Result<(), Failure> {
        // Another run of ours may have written meanwhile.
        self.reload()?;
        self.runs.retain(|run| run.difference(sketch) != Some(0) || run.sums.len() > sketch.sums.len());
        let sums = sketch.sums.iter().map(|sum| hex(&sum.to_le_bytes())).collect();
        self.runs.push(PastRun { at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), ids: sketch.ids, sums });
        let size = |run: &PastRun| 16 * run.sums.len();
        while self.runs.len() > 1 && self.runs.iter().map(size).sum::<usize>() > MOST_BYTES {
            self.runs.remove(0);
        }
        let file = LedgerFile { schema: SCHEMA, runs: self.runs.clone() };
        let text = serde_json::to_vec(&file).map_err(|error| Failure::new(Exit::Internal, 442, error.to_string()))?;
        self.home.replace_file(&self.file, &text)
    }
}

impl PastRun {
    fn sums(&self) -> Option<Vec<u128>> {
        let number = |text: &String| {
            let big = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
            Some(big.swap_bytes())
        };
        self.sums.iter().map(number).collect()
    }

    /// How many ids differ, as far as both sketches tell: exact up to their capacity, else some number near or above it.
    fn difference(&self, sketch: &Sketch) -> Option<u64> {
        let odd: Vec<u128> = self.sums()?.iter().zip(&sketch.sums).map(|(one, other)| one ^ other).collect();
        if self.ids.abs_diff(sketch.ids) > odd.len() as u64 {
            return Some(self.ids.abs_diff(sketch.ids));
        }
        Some(recurrence(&all_powers(&odd)) as u64)
    }
}

/// s_1 … s_2t from the odd ones: s_2j = s_j² in characteristic 2.
fn all_powers(odd: &[u128]) -> Vec<u128> {
    let mut all: Vec<u128> = Vec::with_capacity(2 * odd.len());
    for (half, sum) in odd.iter().enumerate() {
        all.push(*sum);
        let root = all.get(half).copied().unwrap_or_default();
        all.push(gf128::multiply(root, root));
    }
    all
}

/// Length of the shortest linear recurrence of a sequence: Berlekamp and Massey.
fn recurrence(sequence: &[u128]) -> usize {
    let (mut current, mut before) = (vec![1u128], vec![1u128]);
    let (mut length, mut gap, mut scale) = (0usize, 1usize, 1u128);
    for place in 0..sequence.len() {
        let terms = current.iter().zip(sequence.get(..=place).unwrap_or_default().iter().rev());
        let error = terms.take(length + 1).fold(0, |sum, (factor, term)| sum ^ gf128::multiply(*factor, *term));
        if error == 0 {
            gap += 1;
            continue;
        }
        let factor = gf128::multiply(error, gf128::invert(scale));
        let kept = current.clone();
        current.resize(current.len().max(before.len() + gap), 0);
        current.iter_mut().skip(gap).zip(&before).for_each(|(slot, term)| *slot ^= gf128::multiply(factor, *term));
        if 2 * length <= place {
            (length, before, scale, gap) = (place + 1 - length, kept, error, 1);
        } else {
            gap += 1;
        }
    }
    length
}

/// What a person reads of a run whose ids are close to those of an earlier one.
#[must_use]
pub fn warning(near: &Near, min_difference: u64) -> String {
    let users = counted(near.difference, "user is", "users are");
    format!(
        "{users} in only one of this run and that of {} with this peer, fewer than {}: the difference of both results tells about them",
        near.at,
        grouped(min_difference)
    )
}

/// The refusal of such a run.
#[must_use]
pub fn refusal(near: &Near, min_difference: u64) -> Failure {
    Failure::new(Exit::Policy, 440, warning(near, min_difference))
        .at("the ledger of runs, before anything was sent")
        .hint("bring the same users as then, or wait until more have changed; or set on_small_difference = \"warn\" in [private] ledger")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home, Fingerprint) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let home = Home::at(folder.path());
        (folder, home, "ab".repeat(32).parse().unwrap())
    }

    fn ids(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|i| format!("canary-{i}@example.org")).collect()
    }

    fn record(past: &mut PastRuns, ids: &[String]) {
        let sketch = past.sketch(ids, 20);
        past.record(&sketch, Timestamp::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn every_small_difference_is_found_exactly_and_no_large_one() {
        let (_folder, home, peer) = home();
        let mut past = PastRuns::load(&home, peer).unwrap();
        record(&mut past, &ids(0..3000));
        for (left, joined) in [(1, 0), (0, 1), (1, 1), (7, 5), (19, 0), (0, 19), (10, 9)] {
            let near = past.nearest(&past.sketch(&ids(left..3000 + joined), 20), 20).unwrap();
            assert_eq!(near, Near { difference: (left + joined) as u64, at: "1970-01-01T00:00:00Z".into() });
        }
        for (left, joined) in [(0, 0), (20, 0), (10, 10), (16, 16), (17, 16), (40, 40), (1000, 1000), (0, 25), (3000, 3000)] {
            assert_eq!(past.nearest(&past.sketch(&ids(left..3000 + joined), 20), 20), None, "{left} {joined}");
        }
        // A wider question than the kept sketch was made for is answered as far as it reaches.
        assert_eq!(past.nearest(&past.sketch(&ids(30..3000), 50), 50).unwrap().difference, 30);
    }

    #[test]
    fn sets_are_kept_across_loads_once_each_and_without_their_ids() {
        let (folder, home, peer) = home();
        let mut past = PastRuns::load(&home, peer).unwrap();
        record(&mut past, &ids(0..100));
        record(&mut past, &ids(0..200));
        record(&mut past, &ids(0..100));
        let again = PastRuns::load(&home, peer).unwrap();
        assert_eq!((again.runs.len(), again.runs == past.runs), (2, true));
        assert_eq!(again.nearest(&again.sketch(&ids(0..199), 20), 20).unwrap().difference, 1);
        // Another peer has met nothing; another key sees nothing.
        let other = PastRuns::load(&home, "cd".repeat(32).parse().unwrap()).unwrap();
        assert_eq!(other.nearest(&other.sketch(&ids(0..199), 20), 20), None);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(!String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains("canary"));
        }
        std::fs::write(folder.path().join(format!("ledger-{peer}.json")), "{}").unwrap();
        assert_eq!(PastRuns::load(&home, peer).err().unwrap().id, 441);
    }

    #[test]
    fn the_oldest_sets_go_when_the_ledger_is_full() {
        let (_folder, home, peer) = home();
        let mut past = PastRuns::load(&home, peer).unwrap();
        let most = MOST_BYTES / (16 * STEP as usize);
        past.runs = vec![PastRun { at: "old".into(), ids: 7, sums: vec!["0".repeat(32); STEP as usize] }; most];
        let text = serde_json::to_vec(&LedgerFile { schema: SCHEMA, runs: past.runs.clone() }).unwrap();
        home.replace_file(&past.file.clone(), &text).unwrap();
        record(&mut past, &ids(0..50));
        let again = PastRuns::load(&home, peer).unwrap();
        assert_eq!((again.runs.len(), again.runs.last().unwrap().ids), (most, 50));
    }

    #[test]
    fn words_name_numbers_only() {
        let failure = refusal(&Near { difference: 3, at: "2026-11-25T10:00:00Z".into() }, 20);
        assert_eq!((failure.exit, failure.id), (Exit::Policy, 440));
        assert!(failure.what.starts_with("3 users are in only one") && failure.to_string().contains("on_small_difference"));
    }
}
