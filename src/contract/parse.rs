//! From TOML text to checked terms: strict about keys and types, the same for a file of ours and for the peer's text.

use super::fields::{Fields, NO_MEANING, OUT_OF_RANGE, UNKNOWN_KEY, usage};
use super::private::{KEYS as PRIVATE_KEYS, PrivateJob};
use super::score::KEYS as SCORE_KEYS;
use super::training::KEYS as TRAINING_KEYS;
use super::{
    Disclosure, Fingerprint, Matching, MaxRows, Peers, ScoreTerms, SharedJob, SharedTerms, Task, TaskTerms, TrainingTerms, Validity,
};
use crate::data::wording::{shown, suggestion};
use crate::data::{IdKind, Side};
use crate::error::Failure;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::path::Path;
use toml::Table;

const SHARED_KEYS: [&str; 30] = [
    "name",
    "task",
    "label",
    "labels",
    "id_kind",
    "keys",
    "test_share",
    "l2",
    "clip",
    "expected_rate",
    "logit_range",
    "label_scale",
    "log_cap",
    "min_payers",
    "min_positives",
    "tolerance",
    "max_extra_steps",
    "matching",
    "min_overlap",
    "max_rows",
    "reveal",
    "expires",
    "max_runs",
    "max_runs_per_set",
    "min_set_difference",
    "peers",
    "model",
    "output",
    "top_share",
    "threshold",
];

/// Reads a whole job file.
pub(super) fn job(text: &str, side: Side, folder: &Path) -> Result<(SharedJob, PrivateJob), Failure> {
    let table = toml(text)?;
    let tables = ["shared", "private"];
    if let Some(key) = table.keys().find(|key| !tables.contains(&key.as_str())) {
        let hint = if SHARED_KEYS.contains(&key.as_str()) {
            "move it to [shared]".to_owned()
        } else if PRIVATE_KEYS.contains(&key.as_str()) {
            "move it to [private]".to_owned()
        } else {
            suggestion(key, tables, "a job file has the tables [shared] and [private]")
        };
        return Err(usage(UNKNOWN_KEY, format!("unknown key {} at the top of the job file", shown(key))).hint(hint));
    }
    let top = Fields::new("the job file", &table, &tables, ("", &[]))?;
    let shared_table = top.required("shared", top.table("shared")?, "copy [shared] from the agreed job file")?;
    let private_table = top.required("private", top.table("private")?, "[private] names this side's data, id column and link")?;
    let shared = shared(shared_table)?;
    let private = Fields::new("[private]", private_table, &PRIVATE_KEYS, ("[shared]", &SHARED_KEYS))?;
    Ok((shared, PrivateJob::read(private, side, folder)?))
}

/// Reads TOML; the message names the line and no text of the file.
pub(super) fn toml(text: &str) -> Result<Table, Failure> {
    text.parse::<Table>().map_err(|error| {
        let failure = usage(202, format!("not valid TOML: {}", error.message().lines().next().unwrap_or("unknown fault")));
        match error.span().and_then(|span| text.get(..span.start)) {
            Some(before) => failure.at(format!("line {}", before.matches('\n').count() + 1)),
            None => failure,
        }
    })
}

/// Reads and checks the `[shared]` table.
pub(super) fn shared(table: &Table) -> Result<SharedJob, Failure> {
    let fields = Fields::new("[shared]", table, &SHARED_KEYS, ("[private]", &PRIVATE_KEYS))?;
    let name = fields.required("name", fields.text("name")?, "name the run: its results go to a folder of this name")?;
    let task = fields.required(
        "task",
        fields.text("task")?,
        "task = \"logistic\" or another kind of model, \"overlap\" for sizes only, or \"score\" with a stored model",
    )?;
    let task = match task.as_str() {
        "overlap" => {
            useless(fields, &TRAINING_KEYS, "task `overlap` trains nothing", "logistic")?;
            useless(fields, &SCORE_KEYS, "task `overlap` scores nothing", "score")?;
            TaskTerms::Overlap
        }
        "score" => {
            useless(fields, &TRAINING_KEYS, "task `score` trains nothing", "logistic")?;
            TaskTerms::Score(ScoreTerms::read(fields)?)
        }
        name => match Task::from_name(name) {
            Some(task) => {
                useless(fields, &SCORE_KEYS, &format!("task `{name}` scores no new users"), "score")?;
                TaskTerms::Train(TrainingTerms::read(task, fields)?)
            }
            None => {
                let names: Vec<&str> = Task::ALL.iter().map(|task| task.name()).chain(["overlap", "score"]).collect();
                return Err(not_one_of("task", name, &names));
            }
        },
    };
    let kind = |key: &str, name: &str| IdKind::from_name(name).ok_or_else(|| not_one_of(key, name, &IdKind::ALL.map(IdKind::name)));
    let (id_kind, more_keys) = match (fields.text("id_kind")?, fields.texts("keys")?) {
        (None, None) => (IdKind::default(), Vec::new()),
        (Some(name), None) => (kind("id_kind", &name)?, Vec::new()),
        (None, Some(names)) => match names.as_slice() {
            [first, more @ ..] if !more.is_empty() => {
                (kind("keys", first)?, more.iter().map(|name| kind("keys", name)).collect::<Result<_, _>>()?)
            }
            _ => {
                return Err(usage(OUT_OF_RANGE, "keys needs two or more kinds").at("[shared] keys").hint("one kind is written as id_kind"));
            }
        },
        (Some(_), Some(_)) => {
            return Err(usage(OUT_OF_RANGE, "either id_kind or keys says how users are spelt, not both").at("[shared] keys"));
        }
    };
    let matching = match fields.text("matching")? {
        None => Matching::default(),
        Some(name) => Matching::from_name(&name).ok_or_else(|| not_one_of("matching", &name, &Matching::ALL.map(Matching::name)))?,
    };
    let rows = fields.required("max_rows", fields.table("max_rows")?, "max_rows = { owner = 1_000_000, partner = 1_000_000 }")?;
    let rows = Fields::new("[shared] max_rows", rows, &["owner", "partner"], ("", &[]))?;
    let peers = fields.required("peers", fields.table("peers")?, "[shared.peers] holds both fingerprints")?;
    let peers = Fields::new("[shared.peers]", peers, &["owner", "partner"], ("", &[]))?;
    let fingerprint = |side: &str| {
        let text = peers.required(side, peers.text(side)?, "copy what `init` printed on that side")?;
        Fingerprint::parse(&text).map_err(|failure| failure.at(format!("[shared.peers] {side}")))
    };
    let job = SharedJob::new(SharedTerms {
        name,
        id_kind,
        matching,
        min_overlap: fields.count("min_overlap")?.unwrap_or(if matches!(task, TaskTerms::Score(_)) { 1 } else { 1000 }),
        max_rows: MaxRows {
            owner: rows.required("owner", rows.count("owner")?, "the most rows the owner may bring")?,
            partner: rows.required("partner", rows.count("partner")?, "the most rows the partner may bring")?,
        },
        reveal: reveal(fields, &task)?,
        validity: validity(fields)?,
        peers: Peers { owner: fingerprint("owner")?, partner: fingerprint("partner")? },
        task,
    })?;
    job.with_more_keys(more_keys)
}

/// How long and how often the contract holds.
fn validity(fields: Fields<'_>) -> Result<Validity, Failure> {
    let expires = match fields.text("expires")? {
        None => None,
        Some(text) => Some(text.parse::<Date>().ok().filter(|date| date.to_string() == text).ok_or_else(|| {
            usage(OUT_OF_RANGE, format!("expires is {}, which is no day", shown(&text)))
                .at("[shared] expires")
                .hint("such as \"2026-12-31\"")
        })?),
    };
    let runs = |key: &str| match fields.count(key)? {
        None => Ok(None),
        Some(most) => u32::try_from(most)
            .map(Some)
            .map_err(|_| usage(OUT_OF_RANGE, format!("{key} is {most}, allowed is 1 to {}", u32::MAX)).at(format!("[shared] {key}"))),
    };
    Ok(Validity {
        expires,
        max_runs: runs("max_runs")?,
        max_runs_per_set: runs("max_runs_per_set")?,
        min_set_difference: fields.count("min_set_difference")?,
    })
}

/// Refuses keys that have no meaning in the task.
fn useless(fields: Fields<'_>, keys: &[&str], why: &str, other: &str) -> Result<(), Failure> {
    let found: Vec<&str> = keys.iter().copied().filter(|key| fields.has(key)).collect();
    if found.is_empty() {
        return Ok(());
    }
    let list = found.join(", ");
    Err(usage(NO_MEANING, format!("{why}: {list} has no meaning in it"))
        .at("[shared]")
        .hint(format!("remove {list}, or set task = \"{other}\"")))
}

fn reveal(fields: Fields<'_>, task: &TaskTerms) -> Result<BTreeSet<Disclosure>, Failure> {
    let Some(names) = fields.texts("reveal")? else {
        return Ok(match task {
            TaskTerms::Train(terms) => terms.task.needed(),
            TaskTerms::Overlap => [Disclosure::OverlapToBoth].into(),
            // What goes to the owner has to be written down.
            TaskTerms::Score(_) => BTreeSet::new(),
        });
    };
    let mut items = BTreeSet::new();
    for name in names {
        let item = Disclosure::from_name(&name).ok_or_else(|| not_one_of("reveal", &name, &Disclosure::ALL.map(Disclosure::name)))?;
        if !items.insert(item) {
            return Err(usage(OUT_OF_RANGE, format!("reveal lists `{item}` twice")).at("[shared] reveal"));
        }
    }
    Ok(items)
}

fn not_one_of(key: &str, value: &str, known: &[&str]) -> Failure {
    let hint = suggestion(value, known.iter().copied(), &format!("one of {}", known.join(", ")));
    usage(OUT_OF_RANGE, format!("{} is not a known value of {key}", shown(value))).at(format!("[shared] {key}")).hint(hint)
}
