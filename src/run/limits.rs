//! What the contract's limits say about the owner's labels: checked after the matching, before anything else is opened; and what to warn of.
//!
//! With few positives, weights are close to the mean columns of those few: a partner that holds them finds the users. The same is true of
//! the few that have another number than everybody else. The peer learns that the owner's data were refused, and no count.

use crate::contract::{Task, TrainingTerms};
use crate::data::wording::grouped;
use crate::error::{Exit, Failure};
use crate::training::heads::Head;

/// Share of the payers above a signed `log_cap` that stops the run.
const MOST_ABOVE_CAP: f64 = 0.001;
/// A ridge above this share of what a user tells of the weights shrinks them visibly.
const SHRINKING: f64 = 0.1;

/// Refuses what the contract rules out. `training` are the matched training rows' labels, `matched` those of all matched rows.
///
/// # Errors
/// Exit 13: E0552 labels that are all equal, E0555 too few payers, E0557 too few users of either answer or unlike most, E0559 too many
/// amounts above the signed cap.
pub(crate) fn check(training: &[Vec<f64>], matched: &[Vec<f64>], terms: &TrainingTerms) -> Result<(), Failure> {
    for (name, values) in terms.labels.iter().zip(training) {
        if terms.task.has_payers() {
            check_payers(name, values, terms)?;
        } else {
            check_positives(name, values, terms)?;
        }
    }
    let Some(cap) = terms.log_cap.signed().filter(|_| terms.task.has_variance()) else { return Ok(()) };
    for (name, values) in terms.labels.iter().zip(matched) {
        let (above, payers) = above_cap(values, cap);
        if above as f64 > MOST_ABOVE_CAP * payers as f64 {
            let what = format!(
                "{} of {} matched payers have an amount above e^{cap}, the largest that log_cap lets a prediction reach",
                grouped(above),
                grouped(payers)
            );
            return Err(Failure::new(Exit::Data, 559, what)
                .at(format!("column {name}, [shared] log_cap"))
                .hint("agree on log_cap = \"auto\", which follows the label, or bring the label in a larger unit"));
        }
    }
    Ok(())
}

fn check_payers(name: &str, values: &[f64], terms: &TrainingTerms) -> Result<(), Failure> {
    let payers = values.iter().filter(|value| **value > 0.0).count();
    let others = values.len() - payers;
    let (count, what, hint) = if (payers as u64) < terms.min_payers {
        (payers, "pay", "match more users, take a longer horizon, or agree on a smaller min_payers")
    } else if terms.task == Task::Hurdle && (others as u64) < terms.min_payers {
        (others, "do not pay", "match more users, take the task gamma or log_normal, or agree on a smaller min_payers")
    } else {
        return Ok(());
    };
    let what = format!(
        "{} of {} matched training users {what}, the job asks for {} at least",
        grouped(count as u64),
        grouped(values.len() as u64),
        grouped(terms.min_payers)
    );
    Err(Failure::new(Exit::Data, 555, what).at(format!("column {name}, [shared] min_payers")).hint(hint))
}

fn check_positives(name: &str, values: &[f64], terms: &TrainingTerms) -> Result<(), Failure> {
    let above = values.iter().filter(|value| **value > 0.0).count();
    if terms.task == Task::Logistic && (above == 0 || above == values.len()) {
        return Err(Failure::new(Exit::Data, 552, format!("all {} matched training users have the same label", values.len()))
            .at(format!("column {name}"))
            .hint("match more users, or choose another label"));
    }
    let unlike = unlike_most(values);
    if unlike as u64 >= terms.min_positives {
        return Ok(());
    }
    let which = match terms.task {
        Task::Logistic => format!("have the label {}", u8::from(above == unlike)),
        _ => "have another number than the most frequent one".to_owned(),
    };
    let what = format!(
        "{} of {} matched training users {which}, the job asks for {} at least",
        grouped(unlike as u64),
        grouped(values.len() as u64),
        grouped(terms.min_positives)
    );
    Err(Failure::new(Exit::Data, 557, what).at(format!("column {name}, [shared] min_positives")).hint(
        "match more users, choose a more frequent label, or agree on a smaller min_positives: weights of few users tell who they are",
    ))
}

/// How many values differ from the most frequent one.
fn unlike_most(values: &[f64]) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    values.len() - sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or_default()
}

/// Payers whose amount lies above e^cap, and all payers.
fn above_cap(values: &[f64], cap: f64) -> (u64, u64) {
    let payers = values.iter().filter(|value| **value > 0.0);
    payers.fold((0, 0), |(above, all), value| (above + u64::from(value.ln() > cap), all + 1))
}

/// What both sides, or with the labels the owner, should look at before they trust the weights: a signed ridge that shrinks them.
pub(crate) fn ridge_warnings(terms: &TrainingTerms, rows: usize, training: Option<&[Vec<f64>]>) -> Vec<String> {
    let Some(l2) = terms.l2.signed() else { return Vec::new() };
    let mut warnings: Vec<String> = Vec::new();
    for (label, head) in Head::all(terms) {
        let public = head.information(terms, label);
        let own = training.and_then(|values| values.get(label)).map(|values| head.information_of(terms, values));
        let ridge = head.l2(terms, label, rows);
        let shrinks = |information: &f64| ridge > SHRINKING * information;
        let Some(information) = own.into_iter().chain([public]).find(shrinks) else { continue };
        let auto = 1.0 / rows.max(1) as f64;
        if ridge <= auto {
            continue;
        }
        let would = if auto > SHRINKING * information { "would shrink them less" } else { "would not" };
        let whose = if terms.labels.len() > 1 { format!(" of {}", terms.labels[label]) } else { String::new() };
        let than = match head {
            Head::YesNo => format!("a tenth of the label's rate{whose}, {information:.2e}"),
            Head::Pays => format!("a tenth of the share of payers{whose}, {information:.2e}"),
            _ => format!("a tenth of what one user tells{whose}"),
        };
        let warning = format!("l2 = {l2} is more than {than}: it shrinks the weights; l2 = \"auto\", here {auto:.2e}, {would}");
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings
}

/// For the owner: payers that no prediction can reach.
pub(crate) fn cap_warnings(terms: &TrainingTerms, matched: &[Vec<f64>], cap: f64) -> Vec<String> {
    let labels = terms.labels.iter().zip(matched).filter(|_| terms.task.has_variance());
    let counted = labels.map(|(name, values)| (name, above_cap(values, cap))).filter(|(_, (above, _))| *above > 0);
    counted
        .map(|(name, (above, payers))| {
            let (above, payers) = (grouped(above), grouped(payers));
            format!("{above} of {payers} matched payers have a {name} above e^{cap} (log_cap), the largest amount that is predicted")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::contract::{AutoNumber, RateBucket};

    fn terms(task: Task, rate: &str) -> TrainingTerms {
        let rates = if task.has_rate() { vec![RateBucket::parse(rate).unwrap()] } else { Vec::new() };
        TrainingTerms::new(task, vec!["label".into()], rates)
    }

    /// `count` users of 200 with this value, the others with another.
    fn labels(count: usize, value: f64, other: f64) -> Vec<Vec<f64>> {
        vec![(0..200).map(|row| if row < count { value } else { other }).collect()]
    }

    #[test]
    fn few_of_either_answer_are_refused() {
        for (task, values, id, words) in [
            (Task::Logistic, labels(1, 1.0, 0.0), 557, "1 of 200 matched training users have the label 1, the job asks for 50 at least"),
            (Task::Logistic, labels(49, 0.0, 1.0), 557, "49 of 200 matched training users have the label 0"),
            (Task::Logistic, labels(0, 1.0, 0.0), 552, "have the same label"),
            (Task::Poisson, labels(3, 2.0, 0.0), 557, "3 of 200 matched training users have another number"),
            (Task::Linear, labels(7, -1.5, 20.0), 557, "7 of 200"),
            (Task::Hurdle, labels(49, 3.0, 0.0), 555, "49 of 200 matched training users pay"),
            (Task::Hurdle, labels(3, 0.0, 3.0), 555, "3 of 200 matched training users do not pay"),
            (Task::Gamma, labels(1, 3.0, 0.0), 555, "1 of 200"),
        ] {
            let failure = check(&values, &values, &terms(task, "5-20%")).unwrap_err();
            assert_eq!((failure.exit, failure.id), (Exit::Data, id), "{task:?}");
            assert!(failure.what.contains(words), "{failure}");
        }
        for (task, values) in [
            (Task::Logistic, labels(50, 1.0, 0.0)),
            (Task::Poisson, labels(50, 1.0, 0.0)),
            (Task::Hurdle, labels(50, 3.0, 0.0)),
            (Task::Gamma, labels(200, 3.0, 0.0)),
        ] {
            check(&values, &values, &terms(task, "5-20%")).unwrap();
        }
        let less = TrainingTerms { min_positives: 2, ..terms(Task::Logistic, "5-20%") };
        check(&labels(2, 1.0, 0.0), &[], &less).unwrap();
    }

    #[test]
    fn a_signed_cap_below_the_amounts_is_refused_and_a_few_above_it_are_told() {
        let mut values = labels(200, 5.0, 0.0);
        let capped = |cap: f64| TrainingTerms { log_cap: AutoNumber::Signed(cap), ..terms(Task::LogNormal, "95-99%") };
        values[0][0] = 1e6;
        let failure = check(&values, &values, &capped(12.0)).unwrap_err();
        assert_eq!((failure.exit, failure.id), (Exit::Data, 559));
        assert!(failure.to_string().contains("1 of 200 matched payers have an amount above e^12"), "{failure}");
        check(&values, &values, &capped(14.0)).unwrap();
        // One of a thousand is let pass, and told.
        let many = vec![values[0].iter().copied().cycle().take(1000).enumerate().map(|(row, v)| if row > 0 { 5.0 } else { v }).collect()];
        check(&many, &many, &capped(12.0)).unwrap();
        let told = cap_warnings(&capped(12.0), &many, 12.0);
        assert_eq!(told, ["1 of 1,000 matched payers have a label above e^12 (log_cap), the largest amount that is predicted"]);
        assert!(cap_warnings(&capped(14.0), &many, 14.0).is_empty());
        assert!(cap_warnings(&terms(Task::Gamma, "5-20%"), &many, 1.0).is_empty(), "a task without a cap");
    }

    #[test]
    fn a_ridge_that_shrinks_is_told_with_the_number_that_does_not() {
        let signed = |task: Task, rate: &str, l2: f64| TrainingTerms { l2: AutoNumber::Signed(l2), ..terms(task, rate) };
        let rare = ridge_warnings(&signed(Task::Logistic, "0.05-0.2%", 0.001), 90_000, None);
        assert_eq!(
            rare,
            [
                "l2 = 0.001 is more than a tenth of the label's rate, 1.00e-3: it shrinks the weights; l2 = \"auto\", here 1.11e-5, would not"
            ]
        );
        assert!(ridge_warnings(&signed(Task::Logistic, "5-20%", 0.001), 90_000, None).is_empty());
        assert!(ridge_warnings(&terms(Task::Logistic, "0.05-0.2%"), 90_000, None).is_empty(), "auto");
        // The owner knows that its rate is another one than signed.
        let values = labels(1, 1.0, 0.0);
        let own = ridge_warnings(&signed(Task::Logistic, "5-20%", 0.001), 90_000, Some(&values));
        assert!(own.len() == 1 && own[0].contains("5.00e-3"), "{own:?}");
        // A label that is almost always 1 is as rare.
        assert_eq!(ridge_warnings(&signed(Task::Logistic, "99.8-99.95%", 0.001), 90_000, None).len(), 1);
        // Of heads on payers the ridge counts per payer.
        assert!(ridge_warnings(&signed(Task::LogNormal, "0.05-0.2%", 0.05), 90_000, None).is_empty());
        assert_eq!(ridge_warnings(&signed(Task::LogNormal, "0.05-0.2%", 0.2), 90_000, None).len(), 1);
        assert_eq!(ridge_warnings(&signed(Task::Hurdle, "0.05-0.2%", 0.001), 90_000, None).len(), 1, "who pays");
        assert_eq!(ridge_warnings(&signed(Task::Linear, "", 0.5), 1000, None).len(), 1);
        // With few rows nothing is small beside the rate.
        assert!(ridge_warnings(&signed(Task::Logistic, "0.05-0.2%", 0.001), 900, None).is_empty());
        assert!(ridge_warnings(&signed(Task::Logistic, "0.05-0.2%", 0.01), 900, None)[0].ends_with("here 1.11e-3, would shrink them less"));
    }
}
