//! `sign`: shows what a job opens and to whom, asks the person, and signs its shared part.

use crate::cli::flags::SignFlags;
use crate::cli::say;
use crate::contract::{Job, SharedJob};
use crate::data::Side;
use crate::data::wording::grouped;
use crate::error::{Exit, Failure};
use crate::session::{ContractSignature, Home, Identity, Pins};
use jiff::Timestamp;
use std::io::{BufRead, IsTerminal};

/// Signs the shared part of a job with this side's key.
///
/// # Errors
/// Exit code 2: the job is wrong, or there is nobody to ask. 11: the job names another key for this side, or an unpinned peer. 20: the
/// person said no.
pub fn sign(side: Side, flags: &SignFlags) -> Result<(), Failure> {
    let job = Job::load(&flags.job, side)?;
    let home = Home::from_env()?;
    let identity = Identity::load(&home)?;
    let pins = Pins::load(&home)?;
    let pin = pins.check(job.shared().key(side.peer())?)?;
    job.shared().terms().validity.check_now(0)?;
    eprintln!("{}", in_words(job.shared(), &pin.name));
    if !flags.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(Exit::Usage, 927, "there is no terminal to ask a person").hint("read the above, then add --yes"));
        }
        eprint!("Sign this for the {side}? [y/N] ");
        let mut answer = String::new();
        if std::io::stdin().lock().read_line(&mut answer).is_err() || !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::new(Exit::Interrupted, 928, "not signed"));
        }
    }
    ContractSignature::make(&home, &identity, job.shared(), side, Timestamp::now())?;
    say(&format!("signed: {}", job.shared().digest()));
    Ok(())
}

/// What is signed, for a person.
fn in_words(shared: &SharedJob, peer: &str) -> String {
    let terms = shared.terms();
    let mut lines = vec![
        format!("contract \"{}\" with {peer}: task {}", terms.name, shared.task_name()),
        format!(
            "at most {} rows of the owner and {} of the partner, at least {} shared users",
            grouped(terms.max_rows.owner),
            grouped(terms.max_rows.partner),
            grouped(terms.min_overlap)
        ),
        match (terms.validity.expires, terms.validity.max_runs) {
            (None, None) => "it holds without an end, for any number of runs".to_owned(),
            (Some(last), None) => format!("it holds until {last} (UTC), for any number of runs"),
            (None, Some(most)) => format!("it holds for {most} runs"),
            (Some(last), Some(most)) => format!("it holds until {last} (UTC), for {most} runs"),
        },
    ];
    let validity = terms.validity;
    lines.extend(
        validity.max_runs_per_set.map(|most| format!("at most {most} runs with this peer, of any contract, on one set of your ids")),
    );
    lines.extend(
        validity
            .min_set_difference
            .map(|least| format!("a set of ids that differs from an earlier one by fewer than {} users is refused", grouped(least))),
    );
    lines.push("it opens, and nothing else:".to_owned());
    lines.extend(terms.reveal.iter().map(|item| format!("  {item}: {}", item.describe())));
    lines.push("besides, each side learns the other's numbers of rows and columns, and when it stops".to_owned());
    lines.join("\n")
}
