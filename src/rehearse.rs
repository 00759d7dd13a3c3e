//! `rehearse`: both real programs as two processes on loopback, with both files at hand, then the comparison with the
//! plaintext twin. For trials and researchers; nothing here runs when two companies meet.

pub(crate) mod pair;
pub(crate) mod programs;
mod twin;

use crate::cli::flags::RehearseFlags;
use crate::cli::say;
use crate::contract::{Disclosure, Job, LogisticTerms, Matching, MaxRows, Peers, RateBucket, SharedJob, SharedTerms, TaskTerms};
use crate::data::{IdKind, Side, Table, TableSpec, read_table, wording};
use crate::error::{Exit, Failure};
use crate::report::{Details, ReportData};
use crate::results::{ResultFolder, default_target};
use colift_channel::StopFlag;
use jiff::Timestamp;
use pair::{Pair, PairCommand};
use programs::Sides;
use std::collections::HashMap;

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
    // The files' own checks first, with the messages a run would give.
    let partner_id = flags.partner_id.as_ref().unwrap_or(&flags.id);
    let owner_spec = TableSpec {
        id_kind: kind,
        label: Some(flags.label.clone()),
        split: flags.split.clone(),
        exclude: flags.exclude.clone(),
        allow_leaky: flags.allow_leaky.clone(),
        ..TableSpec::new(&flags.owner, &flags.id)
    };
    let partner_spec = TableSpec { id_kind: kind, exclude: flags.exclude.clone(), ..TableSpec::new(&flags.partner, partner_id) };
    let tables = (read_table(&owner_spec, Side::Owner)?, read_table(&partner_spec, Side::Partner)?);
    let bucket = expected_rate(&tables.0, &tables.1)?;

    let shared = shared_job(name, flags, kind, bucket, pair.peers().clone(), &tables)?;
    let private = Sides { owner: private_owner(flags)?, partner: private_partner(flags, partner_id)? };
    let outs = pair.run(PairCommand::Run, &shared, private, stop)?;
    let halves = Sides { owner: twin::Half::read(&outs.owner)?, partner: twin::Half::read(&outs.partner)? };
    let (report, details) = twin::combine(Job::load(&pair.job(Side::Owner), Side::Owner)?, tables, &halves)?;
    crate::cli::write_report(folder, &report.to_json_line()?, &report.to_text(&details), &report.to_html(&details))?;
    // What each company would have: kept beside the joint report.
    for side in [Side::Owner, Side::Partner] {
        programs::keep(outs.of(side), &folder.path().join(side.name()))?;
    }
    Ok((report, details))
}

/// The bucket of the label's rate on the matched training rows (all matched rows where the split is drawn later).
fn expected_rate(owner: &Table, partner: &Table) -> Result<RateBucket, Failure> {
    let theirs: HashMap<&str, ()> = partner.ids.iter().map(|id| (id.as_str(), ())).collect();
    let labels = owner.label.as_deref().unwrap_or_default();
    let training = |row: usize| owner.split.as_ref().is_none_or(|split| split[row] == crate::data::Split::Train);
    let (mut rows, mut positives) = (0u64, 0u64);
    for (row, id) in owner.ids.iter().enumerate() {
        if theirs.contains_key(id.as_str()) && training(row) {
            rows += 1;
            positives += u64::from(labels[row]);
        }
    }
    RateBucket::for_rate(positives as f64 / rows.max(1) as f64).ok_or_else(|| {
        Failure::new(Exit::Data, 932, format!("{positives} of {rows} matched training users have the label 1: nothing to learn"))
            .at(if rows == 0 { "ids of both files" } else { "label" })
            .hint(if rows == 0 {
                "check --id, --partner-id and --id-kind: no id is in both files"
            } else {
                "match more users, or choose another label"
            })
    })
}

fn shared_job(
    name: &str,
    flags: &RehearseFlags,
    id_kind: IdKind,
    bucket: RateBucket,
    peers: Peers,
    tables: &(Table, Table),
) -> Result<SharedJob, Failure> {
    let logistic = LogisticTerms {
        test_share: flags.test_share,
        l2: flags.l2,
        clip: flags.clip,
        logit_range: flags.logit_range.map(|(low, high)| [low, high]),
        ..LogisticTerms::new(flags.label.clone(), bucket)
    };
    SharedJob::new(SharedTerms {
        name: name.to_owned(),
        task: TaskTerms::Logistic(logistic),
        id_kind,
        matching: Matching::default(),
        min_overlap: flags.min_overlap,
        max_rows: MaxRows { owner: tables.0.rows() as u64, partner: tables.1.rows() as u64 },
        reveal: Disclosure::ALL.into_iter().filter(|item| *item != Disclosure::OwnStandardErrors || flags.standard_errors).collect(),
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
    Ok(table)
}

fn private_partner(flags: &RehearseFlags, id: &str) -> Result<toml::Table, Failure> {
    let mut table = pair::private(&flags.partner, id)?;
    table.insert("exclude".into(), flags.exclude.clone().into());
    Ok(table)
}
