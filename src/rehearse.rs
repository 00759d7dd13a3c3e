//! `rehearse`: both real programs as two processes on loopback, with both files at hand, then the comparison with the
//! plaintext twin. For trials and researchers; nothing here runs when two companies meet.

pub(crate) mod pair;
pub(crate) mod programs;
mod twin;

use crate::cli::flags::RehearseFlags;
use crate::cli::say;
use crate::contract::{
    Disclosure, Job, Matching, MaxRows, Peers, RateBucket, SharedJob, SharedTerms, Task, TaskTerms, TrainingTerms, Validity,
};
use crate::data::{IdKind, Side, Table, TableSpec, read_table, wording};
use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::report::{Details, ReportData};
use crate::results::{ResultFolder, default_target};
use colift_channel::StopFlag;
use jiff::Timestamp;
use pair::{Pair, PairCommand};
use programs::Sides;
use std::collections::HashSet;

/// Runs both programs on two files and prints the report with the distance to the twin.
///
/// # Errors
/// What either program ended with: the worse of both exit codes, both named. Exit 2 where a program is missing.
pub fn rehearse(flags: &RehearseFlags, stop: &StopFlag) -> Result<(), Failure> {
    let target = flags.out.clone().unwrap_or_else(|| default_target("rehearse", Timestamp::now()));
    let folder = ResultFolder::create(&target)?;
    let pair = Pair::new(folder.path().join("programs"))?;
    let (report, details) = train(&pair, "rehearsal", flags, &folder, stop)?;
    pair.remove()?;
    let (line, text) = (report.to_json_line()?, report.to_text(&details));
    let place = folder.finish()?;
    say(if flags.json { &line } else { &text });
    let shown = format!("results: {}", place.display());
    if flags.json {
        eprintln!("{shown}")
    } else {
        say(&shown)
    }
    Ok(())
}

/// Runs the job and writes the joint report, and what each side would have, into `folder`.
///
/// # Errors
/// As [`rehearse`].
pub(crate) fn train(
    pair: &Pair,
    name: &str,
    flags: &RehearseFlags,
    folder: &ResultFolder,
    stop: &StopFlag,
) -> Result<(ReportData, Details), Failure> {
    let kind = IdKind::from_name(&flags.id_kind).ok_or_else(|| {
        Failure::new(Exit::Usage, 931, format!("unknown id kind {}", wording::shown(&flags.id_kind)))
            .hint("opaque, email, phone, hash or device")
    })?;
    let task = crate::cli::task(&flags.task)?;
    // The files' own checks first, with the messages a run would give.
    let partner_id = flags.partner_id.as_ref().unwrap_or(&flags.id);
    let owner_spec = TableSpec {
        id_kind: kind,
        label: flags.label.last().cloned(),
        earlier_labels: flags.label.split_last().map(|(_, earlier)| earlier.to_vec()).unwrap_or_default(),
        label_kind: task.label_kind(),
        channel: flags.channel.clone(),
        split: flags.split.clone(),
        exclude: flags.exclude.clone(),
        allow_leaky: flags.allow_leaky.clone(),
        ..TableSpec::new(&flags.owner, &flags.id)
    };
    let partner_spec = TableSpec { id_kind: kind, exclude: flags.exclude.clone(), ..TableSpec::new(&flags.partner, partner_id) };
    let progress = Terminal::named("rehearsal");
    progress.busy("reading both files");
    let tables = (read_table(&owner_spec, Side::Owner)?, read_table(&partner_spec, Side::Partner)?);
    let training = training_terms(flags, task, &tables.0, &tables.1)?;

    let shared = shared_job(name, flags, kind, training, pair.peers().clone(), &tables)?;
    let private = Sides { owner: private_owner(flags)?, partner: private_partner(flags, partner_id)? };
    // Both programs tell by themselves what they do.
    drop(progress);
    let outs = pair.run(PairCommand::Run, &shared, private, stop)?;
    let progress = Terminal::named("rehearsal");
    progress.busy("comparing with the plaintext twin");
    let halves = Sides { owner: twin::Half::read(&outs.owner)?, partner: twin::Half::read(&outs.partner)? };
    let (report, details) = twin::combine(Job::load(&pair.job(Side::Owner), Side::Owner)?, tables, &halves)?;
    crate::cli::write_report(folder, &report.to_json_line()?, &report.to_text(&details), &report.to_html(&details))?;
    // What each company would have: kept beside the joint report.
    for side in [Side::Owner, Side::Partner] {
        programs::keep(outs.of(side), &folder.path().join(side.name()))?;
    }
    Ok((report, details))
}

/// What both sides would sign about the training, with the rates of the matched training rows (of all matched rows where the split is
/// drawn later).
fn training_terms(flags: &RehearseFlags, task: Task, owner: &Table, partner: &Table) -> Result<TrainingTerms, Failure> {
    let theirs: HashSet<&str> = partner.ids.iter().map(String::as_str).collect();
    let training = |row: usize| owner.split.as_ref().is_none_or(|split| split[row] == crate::data::Split::Train);
    let rows: Vec<usize> = (0..owner.rows()).filter(|row| training(*row) && theirs.contains(owner.ids[*row].as_str())).collect();
    let mut rates = Vec::new();
    for (name, label) in flags.label.iter().zip(&owner.labels).filter(|_| task.has_rate()) {
        let above = rows.iter().filter(|row| label[**row] > 0.0).count();
        let rate = above as f64 / rows.len().max(1) as f64;
        // Of a model of payers alone everybody may be one.
        let rate = if rate == 1.0 && matches!(task, Task::Gamma | Task::LogNormal) { 0.9999 } else { rate };
        let bucket = RateBucket::for_rate(rate).ok_or_else(|| {
            let what = if task == Task::Logistic { "have the label 1" } else { "have a label above 0" };
            let what = format!("{above} of {} matched training users {what}: nothing to learn", rows.len());
            Failure::new(Exit::Data, 932, what).at(if rows.is_empty() { "ids of both files" } else { name.as_str() }).hint(
                if rows.is_empty() {
                    "check --id, --partner-id and --id-kind: no id is in both files"
                } else {
                    "match more users, or choose another label"
                },
            )
        })?;
        rates.push(bucket);
    }
    let label_scale = flags.label_scale.unwrap_or_else(|| {
        let label = owner.labels.last().map(Vec::as_slice).unwrap_or_default();
        let mean = rows.iter().map(|row| label[*row]).sum::<f64>() / rows.len().max(1) as f64;
        let unit = 10f64.powf(mean.max(1e-6).log10().floor());
        if task != Task::Poisson || (0.2..5.0).contains(&mean) { 1.0 } else { (mean / unit).round() * unit }
    });
    Ok(TrainingTerms {
        test_share: flags.test_share,
        l2: flags.l2,
        clip: flags.clip,
        logit_range: flags.logit_range.map(|(low, high)| [low, high]),
        label_scale,
        log_cap: flags.log_cap,
        min_payers: flags.min_payers,
        min_positives: flags.min_positives,
        tolerance: flags.tolerance,
        max_extra_steps: flags.max_extra_steps,
        ..TrainingTerms::new(task, flags.label.clone(), rates)
    }
    .plain())
}

fn shared_job(
    name: &str,
    flags: &RehearseFlags,
    id_kind: IdKind,
    training: TrainingTerms,
    peers: Peers,
    tables: &(Table, Table),
) -> Result<SharedJob, Failure> {
    let mut reveal = training.task.needed();
    reveal.extend([Disclosure::ScoresToOwner, Disclosure::MetricsToOwner]);
    if flags.standard_errors {
        reveal.insert(Disclosure::OwnStandardErrors);
    }
    SharedJob::new(SharedTerms {
        name: name.to_owned(),
        task: TaskTerms::Train(training),
        id_kind,
        matching: Matching::default(),
        min_overlap: flags.min_overlap,
        validity: Validity::default(),
        max_rows: MaxRows { owner: tables.0.rows() as u64, partner: tables.1.rows() as u64 },
        reveal,
        peers,
    })
}

fn private_owner(flags: &RehearseFlags) -> Result<toml::Table, Failure> {
    let mut table = pair::private(&flags.owner, &flags.id)?;
    table.insert("exclude".into(), flags.exclude.clone().into());
    if let Some(split) = &flags.split {
        table.insert("split".into(), split.clone().into());
    }
    if !flags.allow_leaky.is_empty() {
        table.insert("allow_leaky".into(), flags.allow_leaky.clone().into());
    }
    if let Some(channel) = &flags.channel {
        table.insert("channel".into(), channel.clone().into());
    }
    if let Some((cost, value)) = flags.money {
        let money = toml::Table::from_iter([("cost".to_owned(), cost.into()), ("value".to_owned(), value.into())]);
        table.insert("money".into(), money.into());
    }
    Ok(table)
}

fn private_partner(flags: &RehearseFlags, id: &str) -> Result<toml::Table, Failure> {
    let mut table = pair::private(&flags.partner, id)?;
    table.insert("exclude".into(), flags.exclude.clone().into());
    Ok(table)
}
