//! The ledger of runs: of each peer, keyed sketches of the sets of ids that this side has brought to it, and how often each was brought.
//!
//! Two runs whose sets differ by a few users tell about exactly these users: the difference of both results is theirs. So a
//! run whose ids differ from those of an earlier run with the same peer by fewer than k is refused, or warned about. The same
//! set again says nothing new of that kind, but each run opens something, so runs on one set are counted over all contracts. What is
//! written cannot be turned into ids: a sketch holds sums of powers of keyed hashes, and the key is this side's own (`ledger.key`, 0600).
//!
//! **Rules** come from two places. The contract's (`max_runs_per_set`, `min_set_difference`) hold for both sides and are looked at once the
//! peer is met: the side that sees it refused tells the peer its exit code. A side's own (`[private] ledger`) is looked at before that
//! and only adds to them. A run is written down to the disk before anything of it is sent, so that no crash loses it. Sets are kept as [`Sketch`]es.

mod sketch;

pub use sketch::Sketch;

use super::home::Home;
use crate::contract::{LedgerTerms, SharedJob};
use crate::data::wording::{counted, grouped, hex};
use crate::error::{Exit, Failure};
use colift_channel::tls::Fingerprint;
use colift_primitives::rng::os_bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sketch::STEP;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const KEY_FILE: &str = "ledger.key";
const LOCK_FILE: &str = "ledger.lock";
const SCHEMA: u32 = 2;
/// The schema without counts: each of its sets was brought once at least.
const OLD_SCHEMA: u32 = 1;
/// Bytes of sketches kept of one peer; the oldest are cut to a step, then go.
const MOST_BYTES: usize = 200_000;

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
    /// The first run with this set that is known of, UTC.
    #[serde(default)]
    first: String,
    /// The last run with this set, UTC.
    at: String,
    ids: u64,
    #[serde(default = "one")]
    runs: u32,
    /// Runs by task.
    #[serde(default)]
    tasks: BTreeMap<String, u32>,
    /// What the last run's rules were.
    #[serde(default)]
    most_runs: Option<u32>,
    #[serde(default)]
    min_difference: u64,
    sums: Vec<String>,
}

fn one() -> u32 {
    1
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerFile {
    schema: u32,
    runs: Vec<PastRun>,
}

/// What a run has to keep to: the contract's terms, and this side's own, which only add to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    task: &'static str,
    most_runs: Option<u32>,
    least: u64,
    own: LedgerTerms,
}

impl Rules {
    /// Of a contract and this side's own part.
    #[must_use]
    pub fn new(shared: &SharedJob, own: LedgerTerms) -> Self {
        let validity = shared.terms().validity;
        Self { task: shared.task_name(), most_runs: validity.max_runs_per_set, least: validity.min_set_difference.unwrap_or_default(), own }
    }

    /// The largest smallest difference: sets closer than that count as one.
    #[must_use]
    pub fn difference(&self) -> u64 {
        self.least.max(self.own.min_difference)
    }
}

/// A set as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSet {
    /// Eight digits that tell sets of one home apart.
    pub name: String,
    /// Distinct ids.
    pub ids: u64,
    /// Runs with this very set.
    pub runs: u32,
    /// Runs by task; those of an older program are not among them.
    pub tasks: BTreeMap<String, u32>,
    /// The first run, UTC.
    pub first: String,
    /// The last run, UTC.
    pub last: String,
    /// Most runs that the last contract allowed on the set.
    pub most_runs: Option<u32>,
    /// The smallest difference that the last run asked for.
    pub min_difference: u64,
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
        let mut past = Self { home: home.clone(), file: file_of(peer), runs: Vec::new(), key };
        past.reload()?;
        Ok(past)
    }

    /// The sets that a peer has met, the last used last.
    ///
    /// # Errors
    /// As [`PastRuns::load`].
    pub fn known(home: &Home, peer: Fingerprint) -> Result<Vec<KnownSet>, Failure> {
        let runs = read(home, &file_of(peer))?;
        Ok(runs.iter().map(PastRun::shown).collect())
    }

    fn reload(&mut self) -> Result<(), Failure> {
        self.runs = read(&self.home, &self.file)?;
        Ok(())
    }

    /// The sketch of a set of distinct ids, for questions about differences below `min_difference`.
    #[must_use]
    pub fn sketch<I: AsRef<[u8]> + Sync>(&self, ids: &[I], min_difference: u64) -> Sketch {
        Sketch::of(&self.key, ids, min_difference)
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

    /// This side's own rule: what a person is warned about, before the peer is met.
    ///
    /// # Errors
    /// Exit code 18: the set is too close to an earlier one, and the own rule has such runs refused.
    pub fn judge(&self, sketch: &Sketch, rules: &Rules) -> Result<Option<String>, Failure> {
        let least = rules.own.min_difference;
        let Some(near) = self.nearest(sketch, least) else { return Ok(None) };
        if rules.own.refuse { Err(refusal(&near, least)) } else { Ok(Some(warning(&near, least))) }
    }

    /// The contract's rules, once the peer is met and before anything of the set is sent.
    ///
    /// # Errors
    /// Exit code 18: the set is too close to an earlier one, or was brought as often as the contract allows. Exit code 2: the ledger is
    /// damaged.
    pub fn allow(&mut self, sketch: &Sketch, rules: &Rules) -> Result<(), Failure> {
        // Another run of ours may have written meanwhile.
        self.reload()?;
        if let Some(near) = self.nearest(sketch, rules.least) {
            return Err(Failure::new(Exit::Policy, 482, warning(&near, rules.least))
                .at("the ledger of runs, [shared] min_set_difference, before anything was sent")
                .hint("bring the same users as then, or wait until more have changed"));
        }
        let same = |run: &&PastRun| run.difference(sketch).is_some_and(|difference| difference == 0 || difference < rules.difference());
        let runs: u64 = self.runs.iter().filter(same).map(|run| u64::from(run.runs)).sum();
        match rules.most_runs.filter(|most| runs >= u64::from(*most)) {
            Some(most) => {
                let times = counted(runs, "run", "runs");
                let what = format!("this set of ids has had {times} with this peer, of all contracts, and this contract allows {most}");
                Err(Failure::new(Exit::Policy, 483, what)
                    .at("the ledger of runs, [shared] max_runs_per_set, before anything was sent")
                    .hint("`peers --runs` shows the counts; agree on a contract that allows more, or bring another set"))
            }
            None => Ok(()),
        }
    }

    /// Counts the run and notes that the peer meets this set, down to the disk, before anything of it is sent. The contract's rules are
    /// looked at again, under a lock: of two runs at once the second one counts the first.
    ///
    /// # Errors
    /// As [`PastRuns::allow`]. Exit code 2: the file cannot be written.
    pub fn record(&mut self, sketch: &Sketch, rules: &Rules, now: Timestamp) -> Result<(), Failure> {
        let lock = self.home.lock(LOCK_FILE)?;
        self.allow(sketch, rules)?;
        let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let place = self.runs.iter().position(|run| run.difference(sketch) == Some(0));
        let mut run = place.map_or_else(|| PastRun::new(sketch.ids, &at), |place| self.runs.remove(place));
        run.runs = run.runs.saturating_add(1);
        let of_task = run.tasks.entry(rules.task.to_owned()).or_default();
        *of_task = of_task.saturating_add(1);
        (run.at, run.most_runs, run.min_difference) = (at, rules.most_runs, rules.difference());
        // The larger sketch answers wider questions.
        if run.sums.len() < sketch.sums.len() {
            run.sums = sketch.sums.iter().map(|sum| hex(&sum.to_le_bytes())).collect();
        }
        self.runs.push(run);
        self.shrink();
        let file = LedgerFile { schema: SCHEMA, runs: self.runs.clone() };
        let text = serde_json::to_vec(&file).map_err(|error| Failure::new(Exit::Internal, 442, error.to_string()))?;
        let written = self.home.replace_file(&self.file, &text);
        drop(lock);
        written
    }

    /// Keeps the sketches below [`MOST_BYTES`]. The first sums of a sketch are a smaller one: the oldest are cut first, then forgotten.
    fn shrink(&mut self) {
        let too_many = |runs: &[PastRun]| runs.iter().map(|run| 16 * run.sums.len()).sum::<usize>() > MOST_BYTES;
        while self.runs.len() > 1 && too_many(&self.runs) {
            let last = self.runs.len() - 1;
            match self.runs.iter_mut().take(last).find(|run| run.sums.len() > STEP as usize) {
                Some(wide) => wide.sums.truncate(STEP as usize),
                None => drop(self.runs.remove(0)),
            }
        }
    }
}

fn file_of(peer: Fingerprint) -> String {
    format!("ledger-{peer}.json")
}

/// The sets in a ledger's file; none where it does not exist.
fn read(home: &Home, name: &str) -> Result<Vec<PastRun>, Failure> {
    let Some(content) = home.read(name)? else { return Ok(Vec::new()) };
    let damaged = |what: String| {
        Failure::new(Exit::Usage, 441, what)
            .at(home.path().join(name).display().to_string())
            .hint("restore the file; removing it forgets what this peer has met")
    };
    let file: LedgerFile = serde_json::from_slice(&content).map_err(|error| damaged(format!("the ledger of runs is damaged: {error}")))?;
    let good = |run: &PastRun| run.runs > 0 && !run.sums.is_empty() && run.sums().is_some();
    if !matches!(file.schema, OLD_SCHEMA | SCHEMA) || !file.runs.iter().all(good) {
        return Err(damaged(format!("the ledger of runs is damaged, or not of schema {SCHEMA}")));
    }
    Ok(file.runs)
}

impl PastRun {
    /// A set before its first run.
    fn new(ids: u64, at: &str) -> Self {
        let (first, at) = (at.to_owned(), at.to_owned());
        Self { first, at, ids, runs: 0, tasks: BTreeMap::new(), most_runs: None, min_difference: 0, sums: Vec::new() }
    }

    fn shown(&self) -> KnownSet {
        KnownSet {
            name: self.sums.first().and_then(|sum| sum.get(..8)).unwrap_or_default().to_owned(),
            ids: self.ids,
            runs: self.runs,
            tasks: self.tasks.clone(),
            first: if self.first.is_empty() { self.at.clone() } else { self.first.clone() },
            last: self.at.clone(),
            most_runs: self.most_runs,
            min_difference: self.min_difference,
        }
    }

    fn sums(&self) -> Option<Vec<u128>> {
        let number = |text: &String| {
            let big = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
            Some(big.swap_bytes())
        };
        self.sums.iter().map(number).collect()
    }

    /// How many ids differ, exactly; None where they are more than both sketches tell.
    fn difference(&self, sketch: &Sketch) -> Option<u64> {
        Sketch { ids: self.ids, sums: self.sums()? }.difference(sketch)
    }
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

    fn rules(least: u64, most_runs: Option<u32>, own: u64) -> Rules {
        Rules { task: "logistic", most_runs, least, own: LedgerTerms { min_difference: own, refuse: true } }
    }

    fn record(past: &mut PastRuns, ids: &[String]) {
        let sketch = past.sketch(ids, 20);
        past.record(&sketch, &rules(0, None, 0), Timestamp::UNIX_EPOCH).unwrap();
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
        // A wider question than the kept sketch was made for is answered as far as it reaches, and no further.
        assert_eq!(past.nearest(&past.sketch(&ids(30..3000), 50), 50).unwrap().difference, 30);
        for (left, joined) in [(33, 0), (16, 17), (100, 100), (3000, 3000)] {
            assert_eq!(past.nearest(&past.sketch(&ids(left..3000 + joined), 1000), 1000), None, "{left} {joined}");
        }
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
        past.runs = vec![PastRun { runs: 1, sums: vec!["0".repeat(32); STEP as usize], ..PastRun::new(7, "old") }; most];
        let text = serde_json::to_vec(&LedgerFile { schema: SCHEMA, runs: past.runs.clone() }).unwrap();
        home.replace_file(&past.file.clone(), &text).unwrap();
        record(&mut past, &ids(0..50));
        let again = PastRuns::load(&home, peer).unwrap();
        assert_eq!((again.runs.len(), again.runs.last().unwrap().ids), (most, 50));
    }

    #[test]
    fn runs_of_a_set_are_counted_over_contracts_and_end_at_the_contracts_limit() {
        let (_folder, home, peer) = home();
        let mut past = PastRuns::load(&home, peer).unwrap();
        let whole = past.sketch(&ids(0..500), 20);
        let play = |past: &mut PastRuns, sketch: &Sketch, rules: &Rules| {
            past.record(sketch, rules, Timestamp::UNIX_EPOCH).map_err(|failure| (failure.exit, failure.id))
        };
        // Without a limit a run counts all the same.
        assert_eq!(play(&mut past, &whole, &rules(0, None, 0)), Ok(()));
        let mut score = rules(0, Some(3), 20);
        score.task = "score";
        assert_eq!(play(&mut past, &whole, &score), Ok(()));
        // A program of ours that runs at the same time sees it.
        let mut other = PastRuns::load(&home, peer).unwrap();
        assert_eq!(play(&mut other, &whole, &score), Ok(()));
        assert_eq!(play(&mut past, &whole, &score), Err((Exit::Policy, 483)));
        assert_eq!(past.allow(&whole, &score).unwrap_err().id, 483);
        // A set that is closer than the smallest difference is the same one; another set and another peer are not.
        let near = past.sketch(&ids(5..500), 20);
        assert_eq!(play(&mut past, &near, &score), Err((Exit::Policy, 483)));
        let far = past.sketch(&ids(20..500), 20);
        assert_eq!(play(&mut past, &far, &score), Ok(()));
        let mut stranger = PastRuns::load(&home, "cd".repeat(32).parse().unwrap()).unwrap();
        assert_eq!(play(&mut stranger, &whole, &score), Ok(()));
        // What was refused is not counted; what was counted is on the disk.
        let known = PastRuns::known(&home, peer).unwrap();
        assert_eq!(known.iter().map(|set| (set.ids, set.runs)).collect::<Vec<_>>(), [(500, 3), (480, 1)]);
        assert_eq!(known[0].tasks, BTreeMap::from([("logistic".to_owned(), 1), ("score".to_owned(), 2)]));
        assert_eq!((known[0].most_runs, known[0].min_difference, known[0].name.len()), (Some(3), 20, 8));
        assert_ne!(known[0].name, known[1].name);
        assert_eq!(PastRuns::known(&home, "ef".repeat(32).parse().unwrap()).unwrap(), []);
    }

    #[test]
    fn the_contracts_smallest_difference_holds_whatever_this_side_says() {
        let (_folder, home, peer) = home();
        let mut past = PastRuns::load(&home, peer).unwrap();
        let contract = rules(30, None, 0);
        let whole = past.sketch(&ids(0..500), contract.difference());
        past.record(&whole, &contract, Timestamp::UNIX_EPOCH).unwrap();
        let fewer = past.sketch(&ids(29..500), contract.difference());
        // The own rule lets it pass; the contract does not, and nothing is written.
        assert_eq!(past.judge(&fewer, &contract), Ok(None));
        let failure = past.record(&fewer, &contract, Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!((failure.exit, failure.id), (Exit::Policy, 482));
        assert!(failure.what.starts_with("29 users are in only one"), "{failure}");
        assert_eq!(PastRuns::known(&home, peer).unwrap().len(), 1);
        assert!(past.allow(&past.sketch(&ids(30..500), 30), &contract).is_ok());
        assert!(past.allow(&whole, &contract).is_ok(), "the same set is no small difference");
        // A stricter rule of this side's own.
        assert_eq!(past.judge(&fewer, &rules(0, None, 30)).unwrap_err().id, 440);
        assert_eq!(rules(30, None, 50).difference(), 50);
    }

    #[test]
    fn a_ledger_without_counts_is_read_as_one_run_each() {
        let (_folder, home, peer) = home();
        let mut past = PastRuns::load(&home, peer).unwrap();
        let sketch = past.sketch(&ids(0..100), 20);
        let sums: Vec<String> = sketch.sums.iter().map(|sum| hex(&sum.to_le_bytes())).collect();
        let old = serde_json::json!({ "schema": 1, "runs": [{ "at": "2026-11-01T00:00:00Z", "ids": 100, "sums": sums }] });
        home.replace_file(&file_of(peer), old.to_string().as_bytes()).unwrap();
        past.record(&sketch, &rules(0, Some(2), 0), Timestamp::UNIX_EPOCH).unwrap();
        let known = PastRuns::known(&home, peer).unwrap();
        assert_eq!((known.len(), known[0].runs, known[0].tasks.len()), (1, 2, 1));
        assert_eq!(past.record(&sketch, &rules(0, Some(2), 0), Timestamp::UNIX_EPOCH).unwrap_err().id, 483);
        for bad in ["{}", "", "{\"schema\":3,\"runs\":[]}", "{\"schema\":2,\"runs\":[{\"at\":\"x\",\"ids\":1,\"runs\":0,\"sums\":[]}]}"] {
            home.replace_file(&file_of(peer), bad.as_bytes()).unwrap();
            let failure = PastRuns::known(&home, peer).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.id == 441 && failure.place.unwrap().contains("ledger-"), "{bad}");
            assert_eq!(past.record(&sketch, &rules(0, None, 0), Timestamp::UNIX_EPOCH).unwrap_err().id, 441);
        }
    }

    #[test]
    fn wide_sketches_are_cut_before_sets_are_forgotten() {
        let (_folder, home, peer) = home();
        let mut past = PastRuns::load(&home, peer).unwrap();
        let wide = rules(1000, None, 0);
        for set in 0..15 {
            let sketch = past.sketch(&ids(5_000 * set..5_000 * set + 600), wide.difference());
            past.record(&sketch, &wide, Timestamp::UNIX_EPOCH).unwrap();
        }
        let again = PastRuns::load(&home, peer).unwrap();
        assert_eq!(again.runs.len(), 15, "no set was forgotten");
        assert_eq!((again.runs[0].sums.len(), again.runs[14].sums.len()), (32, 1024));
        assert!(again.runs.iter().map(|run| 16 * run.sums.len()).sum::<usize>() <= MOST_BYTES);
        let near = past.sketch(&ids(1..600), wide.difference());
        assert_eq!(past.allow(&near, &wide).unwrap_err().id, 482, "the cut sketch still tells one user");
    }

    #[test]
    fn words_name_numbers_only() {
        let failure = refusal(&Near { difference: 3, at: "2026-11-25T10:00:00Z".into() }, 20);
        assert_eq!((failure.exit, failure.id), (Exit::Policy, 440));
        assert!(failure.what.starts_with("3 users are in only one") && failure.to_string().contains("on_small_difference"));
    }
}
