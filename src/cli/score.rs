//! `score`: one side of a scoring with the real peer, from the job file and the stored model to a finished results folder.

use crate::cli::flags::RunFlags;
use crate::cli::meeting::{Data, Meeting, Met, Start, Talk};
use crate::cli::{ended, write_report};
use crate::contract::{Job, ScoreFormat};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::report::Details;
use crate::scoring::write::{Columns, not_scored};
use crate::scoring::{Outcome, Prepared, first_look, over_keeping, prepare};
use colift_channel::StopFlag;
use std::io::{BufWriter, Write};

/// Scores the users of this side's job, or takes up an unfinished scoring of it. Prints the results folder last.
///
/// # Errors
/// By class of what failed. Nothing is left in the results folder then.
pub fn score(side: Side, flags: &RunFlags, start: Start, stop: &StopFlag) -> Result<(), Failure> {
    let job = Job::load(&flags.job, side)?;
    if job.shared().score().is_none() {
        let what = format!("this job's task is `{}`, `score` runs jobs with task = \"score\"", job.shared().task_name());
        return Err(Failure::new(Exit::Usage, 926, what)
            .at(flags.job.display().to_string())
            .hint(format!("colift-{side} run --job {}", flags.job.display())));
    }
    let mut meeting = Meeting::open(&job, flags, start, stop)?;
    let prepared = meeting.read(|| prepare(job))?;
    meeting.show(&prepared.table, first_look(&prepared));
    meeting.compare(&prepared.table, prepared.job.private().ledger)?;
    let data = Data { rows: prepared.table.rows(), fingerprint: prepared.fingerprint()? };
    let over = |talk: Talk<'_>| over_keeping(talk.channel, talk.session, &prepared, talk.keep, talk.clock, talk.progress);
    meeting.meet(&prepared.job.private().link, data, over, |met, outcome| write(met, &prepared, outcome))
}

/// Writes this side's files; returns the report as JSON and as text.
fn write(met: &Met, prepared: &Prepared, outcome: Outcome) -> Result<(String, String), Failure> {
    let Outcome { mut report, scored, notes, facts: _ } = outcome;
    let (table, private, shared) = (&prepared.table, prepared.job.private(), prepared.job.shared());
    if let (Some(scored), Some(terms)) = (&scored, shared.score()) {
        let spec = prepared.job.table_spec();
        let columns = Columns::new(spec.key_columns().map(String::as_str).collect(), &table.ids, scored, terms);
        (report.top_users, report.yes_users) = (columns.top(), columns.yes());
        let open = |name: &str| met.folder.open(name);
        match private.format.unwrap_or_default() {
            ScoreFormat::Csv => columns.csv(open("scores.csv")?)?,
            ScoreFormat::Parquet => {
                let mut out = BufWriter::new(open("scores.parquet")?);
                columns.parquet(&mut out)?;
                out.flush().map_err(|error| Failure::new(Exit::Internal, 810, format!("the scores cannot be written: {error}")))?;
            }
        }
    }
    if !table.skipped.is_empty() {
        met.folder.file("not_scored.csv", not_scored(&table.skipped, shared.terms().id_kind).as_bytes())?;
    }
    report.cost = met.cost.clone();
    let details = Details { title: shared.terms().name.clone(), ended: ended(met.ended), notes, ..Details::default() };
    let (line, text) = (report.to_json_line()?, report.to_text(&details));
    write_report(&met.folder, &line, &text, &report.to_html(&details))?;
    Ok((line, text))
}
