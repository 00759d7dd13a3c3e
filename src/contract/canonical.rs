//! One text for one agreement: sorted keys, normal numbers, defaults written out; its digest; and where two of them differ.
//!
//! The text is TOML, one `key = value` a line, so that a peer's text is read by the parser of job files and must come out of the
//! writer unchanged. An absent `logit_range` stays absent: its default is a function of rows and columns.

use super::{AutoNumber, CONTRACT_VERSION, SharedJob, Task, TaskTerms, parse};
use crate::data::wording::{hex, shown};
use crate::error::{Exit, Failure};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use toml::Value;

/// Largest canonical text a peer may send, in bytes.
pub const MAX_CANONICAL_BYTES: usize = 64 * 1024;

impl SharedJob {
    /// The canonical text: equal for two sides exactly when they agree on everything.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.entries().iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }

    /// SHA-256 of the canonical text in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.canonical().as_bytes()))
    }

    /// Reads a peer's canonical text.
    ///
    /// # Errors
    /// Exit code 16 when it is of another contract version; exit code 19 when it is over [`MAX_CANONICAL_BYTES`], is no valid
    /// job or is not in canonical form.
    pub fn from_canonical(text: &str) -> Result<Self, Failure> {
        let refuse = |why: String| Failure::new(Exit::Protocol, 220, format!("the peer's job was refused: {why}"));
        if text.len() > MAX_CANONICAL_BYTES {
            return Err(refuse(format!("it has {} bytes, at most {MAX_CANONICAL_BYTES} are read", text.len())));
        }
        let mut table = parse::toml(text).map_err(|_| refuse("it is not valid TOML".to_owned()))?;
        match table.remove("contract") {
            Some(Value::Integer(version)) if version == i64::from(CONTRACT_VERSION) => {}
            Some(Value::Integer(version)) => {
                let what = format!("the peer's job has contract version {version}, this program reads version {CONTRACT_VERSION}");
                let remedy = if version < i64::from(CONTRACT_VERSION) {
                    "that version was never released: install the same release on both sides and sign a new contract"
                } else {
                    "install the same release on both sides"
                };
                return Err(Failure::new(Exit::Version, 221, what).hint(remedy));
            }
            _ => return Err(refuse("it states no contract version".to_owned())),
        }
        let job = parse::shared(&table).map_err(|failure| refuse(failure.what))?;
        if job.canonical() == text { Ok(job) } else { Err(refuse("it is not in canonical form".to_owned())) }
    }

    /// Refuses a peer that agreed to something else, naming the field.
    ///
    /// # Errors
    /// Exit code 12.
    pub fn require_same(&self, theirs: &Self) -> Result<(), Failure> {
        first_difference(self, theirs).map_or(Ok(()), |difference| {
            let what = format!("the shared parts of the two job files differ: {difference}");
            Err(Failure::new(Exit::Contract, 210, what).at("[shared]").hint("agree on one value and write it on both sides"))
        })
    }

    /// Key and value of every agreed field as TOML, by key.
    fn entries(&self) -> BTreeMap<&'static str, String> {
        let terms = self.terms();
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        // The shortest digits that read back as the same number, always with a point or exponent.
        let number = |value: f64| format!("{:?}", value + 0.0);
        let auto = |value: AutoNumber| value.signed().map_or_else(|| quoted(&value.to_string()), number);
        let mut reveal: Vec<String> = terms.reveal.iter().map(|item| quoted(item.name())).collect();
        reveal.sort_unstable();
        let mut entries = BTreeMap::from([
            ("contract", CONTRACT_VERSION.to_string()),
            ("id_kind", quoted(terms.id_kind.name())),
            ("matching", quoted(terms.matching.name())),
            ("max_rows.owner", terms.max_rows.owner.to_string()),
            ("max_rows.partner", terms.max_rows.partner.to_string()),
            ("min_overlap", terms.min_overlap.to_string()),
            ("name", quoted(&terms.name)),
            ("peers.owner", quoted(terms.peers.owner.as_str())),
            ("peers.partner", quoted(terms.peers.partner.as_str())),
            ("reveal", format!("[{}]", reveal.join(", "))),
            ("task", quoted(self.task_name())),
        ]);
        entries.extend(terms.validity.expires.map(|last| ("expires", quoted(&last.to_string()))));
        entries.extend(terms.validity.max_runs.map(|most| ("max_runs", most.to_string())));
        entries.extend(terms.validity.max_runs_per_set.map(|most| ("max_runs_per_set", most.to_string())));
        entries.extend(terms.validity.min_set_difference.map(|least| ("min_set_difference", least.to_string())));
        if !self.more_keys().is_empty() {
            // In their order, which decides: one key is written as `id_kind`, so that no job has two forms.
            let kinds: Vec<String> = std::iter::once(&terms.id_kind).chain(self.more_keys()).map(|kind| quoted(kind.name())).collect();
            entries.remove("id_kind");
            entries.insert("keys", format!("[{}]", kinds.join(", ")));
        }
        if let TaskTerms::Score(scoring) = &terms.task {
            let output: Vec<String> = scoring.output.iter().map(|item| quoted(item.name())).collect();
            entries.extend([("model", quoted(&scoring.model)), ("output", format!("[{}]", output.join(", ")))]);
            entries.extend(scoring.top_share.map(|share| ("top_share", number(share))));
            entries.extend(scoring.threshold.map(|threshold| ("threshold", number(threshold))));
        }
        if let TaskTerms::Train(training) = &terms.task {
            let list = |texts: Vec<String>| match texts.as_slice() {
                [one] => one.clone(),
                many => format!("[{}]", many.join(", ")),
            };
            entries.extend([
                ("clip", number(training.clip)),
                ("l2", auto(training.l2)),
                (
                    if training.labels.len() == 1 { "label" } else { "labels" },
                    // In their order: the shortest horizon first.
                    list(training.labels.iter().map(|label| quoted(label)).collect()),
                ),
                ("test_share", number(training.test_share)),
            ]);
            if training.task.has_rate() {
                let rates = training.expected_rates.iter().map(|rate| quoted(&rate.to_string()));
                entries.insert("expected_rate", list(rates.collect()));
            }
            if training.task == Task::Poisson {
                entries.insert("label_scale", number(training.label_scale));
            }
            if training.task.has_variance() {
                entries.insert("log_cap", auto(training.log_cap));
            }
            if training.task.has_payers() {
                entries.insert("min_payers", training.min_payers.to_string());
            }
            if training.task.has_positives() {
                entries.insert("min_positives", training.min_positives.to_string());
            }
            if let Some([low, high]) = training.logit_range {
                entries.insert("logit_range", format!("[{}, {}]", number(low), number(high)));
            }
        }
        entries
    }
}

/// The first field on which two agreements differ, with both values; None when they are the same.
#[must_use]
pub fn first_difference(ours: &SharedJob, theirs: &SharedJob) -> Option<String> {
    let (a, b) = (ours.entries(), theirs.entries());
    // The task comes first: it decides which other fields exist at all.
    let keys = std::iter::once(&"task").chain(a.keys()).chain(b.keys());
    let key = keys.into_iter().find(|key| a.get(*key) != b.get(*key))?;
    let side = |entries: &BTreeMap<&str, String>| entries.get(key).map_or_else(|| "not set".to_owned(), Clone::clone);
    Some(format!("{} is {} here and {} at the peer", shown(key), side(&a), side(&b)))
}
