//! The page that both companies read before they sign: who learns what, what leaves each machine, what could still be inferred and
//! the setting that removes it, and what the run costs.

use super::Met;
use super::forecast::Forecast;
use crate::contract::{Disclosure, SharedJob, TaskTerms};
use crate::data::Side;
use crate::data::wording::grouped;
use crate::report::bytes;
use std::fmt::Write;

/// A forecast and the number of common users that it is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Common users.
    pub matched: u64,
    /// What the run costs then.
    pub forecast: Forecast,
}

/// The page.
#[must_use]
pub fn page(shared: &SharedJob, met: &Met, cases: &[Case]) -> String {
    let mut out = String::new();
    let terms = shared.terms();
    // Writing into a string cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!("plan of \"{}\": task {}", terms.name, shared.task_name()));
    line(format!("contract {}", shared.digest()));
    line(String::new());
    line("Who learns what".to_owned());
    let most = cases.iter().map(|case| case.matched).max().unwrap_or_default();
    for item in &terms.reveal {
        line(format!("  {item} ({})", about(*item, shared, most)));
        line(format!("    {}", item.describe()));
    }
    line("  besides, both: the other's number of rows and of features, the steps of the run, when the other side stops".to_owned());
    line(String::new());
    line("What leaves each machine".to_owned());
    line(
        "  ids: only as pseudo-random tags and masked stores, or points multiplied by a fresh secret; never an id or a bare hash of one"
            .to_owned(),
    );
    if shared.training().is_some() {
        line(
            "  columns and labels: only inside sums of ciphertexts with a mask over everything, and as shares that say nothing alone"
                .to_owned(),
        );
    }
    if shared.reveals(Disclosure::DecisionsToOwner) {
        line("  parts of predictors: only inside oblivious transfers; at the end the partner's shares of the decisions, a bit or four a user".to_owned());
    } else if matches!(terms.task, TaskTerms::Score(_)) {
        line("  the partner's part of each shared user's predictors, rounded to 1/256".to_owned());
    }
    line("  logs, recipes, models, reports: nothing; they stay where they are made".to_owned());
    line(String::new());
    line("What could still be inferred, and the setting against it".to_owned());
    inferences(shared, met).into_iter().for_each(&mut line);
    line(String::new());
    line("What it costs".to_owned());
    line(format!(
        "  rows about {} (owner) and {} (partner), features {} and {}",
        grouped(met.rows[0]),
        grouped(met.rows[1]),
        met.features[0],
        met.features[1]
    ));
    line(format!(
        "  measured with the peer: round trip {:.1} ms, {}/s from the owner, {}/s from the partner",
        1e3 * met.link.round_trip,
        bytes(met.link.bytes_a_second[0] as u64),
        bytes(met.link.bytes_a_second[1] as u64)
    ));
    for case in cases {
        let Forecast { sent, waits, seconds, memory, .. } = case.forecast;
        line(format!(
            "  with {} shared users: about {}, the owner sends {}, the partner {}, {} waits, memory {} and {}",
            grouped(case.matched),
            duration(seconds),
            bytes(sent[0]),
            bytes(sent[1]),
            grouped(waits),
            bytes(memory[0]),
            bytes(memory[1])
        ));
        if let Some((sent, seconds)) = case.forecast.most {
            line(format!(
                "    at most, where the labels need all further steps: about {}, the owner sends {}, the partner {}",
                duration(seconds),
                bytes(sent[0]),
                bytes(sent[1])
            ));
        }
    }
    line("  reading the files comes on top; bytes are exact for these sizes, time is a model (docs/protocols/plan.md)".to_owned());
    out
}

/// About how many values an item opens, for so many shared users at most.
fn about(item: Disclosure, shared: &SharedJob, matched: u64) -> String {
    let test = shared.training().map_or(1.0, |terms| terms.test_share);
    let users = |share: f64| format!("up to {} users", grouped((matched as f64 * share).round() as u64));
    match item {
        Disclosure::OverlapToBoth if matches!(shared.terms().task, TaskTerms::Overlap) => "one number, from the matching".to_owned(),
        Disclosure::OverlapToBoth => format!("{}, from the matching", users(1.0)),
        Disclosure::SplitToPartner => format!("{}, before the training", users(1.0)),
        Disclosure::DecisionsToOwner => format!("yes or no of {}, ranks of all the owner's users, from the scoring", users(1.0)),
        Disclosure::ScoresToOwner if shared.training().is_some() => format!("{}, after the training", users(test)),
        Disclosure::ScoresToOwner => format!("{}, from the scoring", users(1.0)),
        Disclosure::OwnWeights | Disclosure::OwnStandardErrors => "a number a feature, after the training".to_owned(),
        Disclosure::ResidualVarianceToOwner => "a number a label, after the training".to_owned(),
        Disclosure::ConvergedAndInRange => {
            let most = shared.training().map_or(0, |terms| 2 * (1 + terms.max_extra_steps));
            format!("two bits a trained part at its end, at most {most} where it needs all further steps")
        }
        Disclosure::MetricsToOwner => "figures, at the end".to_owned(),
    }
}

/// What an attentive peer may conclude.
fn inferences(shared: &SharedJob, met: &Met) -> Vec<String> {
    let terms = shared.terms();
    let mut lines = Vec::new();
    let mut add = |what: &str, setting: &str| lines.push(format!("  {what}\n    → {setting}"));
    add(
        "a peer can bring invented ids, up to max_rows, and learns which of them the other side has",
        "max_rows near the true sizes; min_overlap well above a handful",
    );
    let (validity, changed) = (terms.validity, "several runs on changed data tell about the users that came or went");
    let limits = [
        ("max_runs and expires", validity.max_runs.is_none()),
        ("max_runs_per_set, which counts over all contracts", validity.max_runs_per_set.is_none()),
    ];
    let limits: Vec<&str> = limits.into_iter().filter(|(_, unset)| *unset).map(|(limit, _)| limit).collect();
    let least = match validity.min_set_difference {
        None => "the ledger of runs of each side refuses sets that differ by fewer than 20 ids, unless it says otherwise".to_owned(),
        Some(least) => format!("the ledger of runs refuses sets that differ by fewer than {} ids", grouped(least)),
    };
    add(changed, &if limits.is_empty() { least } else { format!("{}; {least}", limits.join(", ")) });
    if shared.reveals(Disclosure::OwnWeights) {
        add(
            "with its weights the partner can rank the shared users by how likely the label is",
            "nothing removes it: a model that both sides hold halves of says so much; fewer partner columns say less",
        );
        if let Some(training) = shared.training() {
            let (few, key, least) = if training.task.has_payers() {
                ("users who pay", "min_payers", training.min_payers)
            } else {
                ("users with the rarer answer, or with another number than most,", "min_positives", training.min_positives)
            };
            add(
                &format!("with few {few} among the training users, the partner's weights say who they are"),
                &format!(
                    "{key}, here {}: with fewer the run ends before the training; the partner learns that, and no count",
                    grouped(least)
                ),
            );
        }
        let features = u64::from(met.features[0]) + u64::from(met.features[1]);
        if met.rows[0].min(met.rows[1]) < 10 * features {
            add(
                "with so few rows for so many features, weights tell about single users",
                "more users, or fewer columns: at least 10 rows a feature",
            );
        }
    }
    if shared.reveals(Disclosure::ScoresToOwner) {
        let functions = shared.training().map_or(1, crate::contract::TrainingTerms::functions);
        add(
            &format!(
                "the owner learns {functions} linear function(s) of the partner's columns for each scored user, and can compare users by it"
            ),
            "leave scores_to_owner and metrics_to_owner out of reveal, or bring at least 5 partner columns for each function",
        );
    }
    if shared.reveals(Disclosure::DecisionsToOwner) {
        add(
            "in each run the owner learns about one bit of each shared user's part of the score, at a line that it can move by its own part",
            "max_runs of 1 or a few; the ledger of runs notes each",
        );
    }
    if shared.reveals(Disclosure::SplitToPartner) {
        add(
            "the partner knows who is a test user, and so, where the split follows time, roughly when a user came",
            "a random split (no split column)",
        );
    }
    if shared.reveals(Disclosure::OwnStandardErrors) {
        add("standard errors tell how strongly a side's columns hang together with the other's", "leave own_standard_errors out of reveal");
    }
    lines
}

/// Seconds in words.
fn duration(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// The page's file beside a job.
#[must_use]
pub fn file_name(shared: &SharedJob, side: Side) -> String {
    format!("{}.{side}.plan.txt", shared.terms().name)
}
