//! Plays a story: training by both real programs, decisions about new users by both real programs, and what came of them.

use super::files::{self, Files};
use super::{LEAST_ROWS, MOST_ROWS, Scenario, Story, answer};
use crate::cli::flags::RehearseFlags;
use crate::cli::say;
use crate::contract::{
    AutoNumber, Disclosure, MAX_EXTRA_STEPS, Matching, MaxRows, ScoreTerms, SharedJob, SharedTerms, TOLERANCE, TaskTerms, Validity,
};
use crate::data::{Side, TableSpec, read_table};
use crate::error::{Exit, Failure};
use crate::model::ModelFile;
use crate::progress::Terminal;
use crate::rehearse::pair::{Pair, PairCommand, path_text, private};
use crate::rehearse::programs::{Sides, keep};
use crate::rehearse::train;
use crate::results::{ResultFolder, default_target};
use crate::training::heads::Reading;
use clap::Parser;
use colift_channel::StopFlag;
use jiff::Timestamp;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a story is played.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Rows of the owner's file [default: by scenario, 24,000 to 60,000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(LEAST_ROWS as i64..=MOST_ROWS as i64))]
    pub rows: Option<u32>,
    /// Seed of the data
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Folder of the results [default: colift-runs/SCENARIO/TIME]
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// The flags of an example.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

/// An example's whole program: plays its scenario with the flags of `demo`.
#[must_use]
pub fn main(scenario: Scenario) -> ExitCode {
    match play(scenario, &Flags::parse().settings, &StopFlag::new()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// A user that was decided about.
pub(super) struct Decided {
    /// The cells of the owner's scores by column, without the id.
    pub cells: Cells,
    /// The owner's own columns' prediction.
    pub own: f64,
    /// What the user did in the end.
    pub outcome: f64,
    /// The user's group.
    pub group: &'static str,
}

/// Makes data on the spot, trains and decides with both programs, prints what came of it; the last line names the report.
///
/// # Errors
/// The worse of both programs' exit codes. Exit 2 where a program is missing or the number of rows is out of range.
pub fn play(scenario: Scenario, settings: &Settings, stop: &StopFlag) -> Result<(), Failure> {
    let story = scenario.story();
    let target = settings.out.clone().unwrap_or_else(|| default_target(scenario.name(), Timestamp::now()));
    let folder = ResultFolder::create(&target)?;
    eprintln!("{}", story.question);
    eprintln!("{}", story.companies);
    eprintln!("Made on the spot: the files of both companies, users partly shared. Starting both programs on loopback…");
    let rows = settings.rows.map_or(story.rows, |rows| rows as usize);
    let progress = Terminal::named("demo");
    progress.busy("making the files");
    let files = files::make(story, folder.path(), rows, settings.seed)?;
    drop(progress);
    let pair = Pair::new(folder.path().join("programs"))?;
    let (report, details) = train(&pair, scenario.name(), &training(story, &files), &folder, stop)?;
    eprintln!("Trained. Deciding about new users, with both programs again…");
    let decided = decide(&pair, scenario, &files, &folder, stop)?;
    pair.remove()?;
    let text = answer::text(scenario, &report, &decided);
    folder.file("answer.txt", text.as_bytes())?;
    let place = folder.finish()?;
    say(&report.to_text(&details));
    say(&text);
    say(&format!("decisions: {}", place.join("owner-new").join("scores.csv").display()));
    say(&format!("report: {}", place.join("report.html").display()));
    Ok(())
}

/// The training, as `rehearse` would be told.
fn training(story: &Story, files: &Files) -> RehearseFlags {
    RehearseFlags {
        owner: files.owner.clone(),
        partner: files.partner.clone(),
        id: story.shape.owner_id.to_owned(),
        partner_id: Some(story.shape.partner_id.to_owned()),
        task: story.task.to_owned(),
        label: story.shape.labels.iter().map(|label| (*label).to_owned()).collect(),
        label_scale: None,
        log_cap: AutoNumber::Auto,
        min_payers: 50,
        min_positives: 50,
        tolerance: TOLERANCE,
        max_extra_steps: MAX_EXTRA_STEPS,
        channel: story.channel.map(str::to_owned),
        money: None,
        split: Some(files::SPLIT.to_owned()),
        test_share: 0.25,
        l2: AutoNumber::Auto,
        clip: 5.0,
        exclude: Vec::new(),
        allow_leaky: Vec::new(),
        id_kind: story.shape.id_kind.name().to_owned(),
        logit_range: None,
        standard_errors: false,
        min_overlap: 1000,
        out: None,
        json: false,
    }
}

/// Both programs score the new users; what the owner got, beside what its own columns say and what came later.
fn decide(pair: &Pair, scenario: Scenario, files: &Files, folder: &ResultFolder, stop: &StopFlag) -> Result<Vec<Decided>, Failure> {
    let story = scenario.story();
    let models = Sides { owner: folder.path().join("owner/model.json"), partner: folder.path().join("partner/model.json") };
    let model = ModelFile::load(&models.owner)?;
    let most = 2 * (files.outcomes.len() as u64).max(1);
    let shared = SharedJob::new(SharedTerms {
        name: format!("{}-decisions", scenario.name()),
        task: TaskTerms::Score(ScoreTerms {
            model: model.model_id.clone(),
            output: story.output.iter().copied().collect(),
            top_share: story.top_share,
            threshold: story.threshold,
        }),
        id_kind: story.shape.id_kind,
        matching: Matching::default(),
        min_overlap: 1,
        validity: Validity::default(),
        max_rows: MaxRows { owner: most, partner: most },
        reveal: [Disclosure::OverlapToBoth, Disclosure::ScoresToOwner].into(),
        peers: pair.peers().clone(),
    })?;
    let part = |data: &Path, id: &str, model: &Path| -> Result<toml::Table, Failure> {
        let mut table = private(data, id)?;
        table.insert("model".into(), path_text(model)?.into());
        Ok(table)
    };
    let private = Sides {
        owner: part(&files.new_owner, story.shape.owner_id, &models.owner)?,
        partner: part(&files.new_partner, story.shape.partner_id, &models.partner)?,
    };
    let outs = pair.run(PairCommand::Score, &shared, private, stop)?;
    let kept = Sides { owner: folder.path().join("owner-new"), partner: folder.path().join("partner-new") };
    keep(&outs.owner, &kept.owner)?;
    keep(&outs.partner, &kept.partner)?;
    let progress = Terminal::named("demo");
    progress.busy("judging the decisions");
    let own = own_predictions(story, files, &model)?;
    let mut decided = Vec::with_capacity(own.len());
    for (id, cells) in read_scores(&kept.owner.join("scores.csv"))? {
        let (own, later) = own.get(&id).zip(files.outcomes.get(&id)).ok_or_else(|| broken("a user that is not in the file"))?;
        let (outcome, group) = *later;
        decided.push(Decided { cells, own: *own, outcome, group });
    }
    if decided.len() == own.len() { Ok(decided) } else { Err(broken("not every user")) }
}

fn broken(what: &str) -> Failure {
    Failure::new(Exit::Internal, 741, format!("the scores hold {what}"))
}

/// What the owner's own model says of its new users.
fn own_predictions(story: &Story, files: &Files, model: &ModelFile) -> Result<HashMap<String, f64>, Failure> {
    let own = model.own_model.as_ref().ok_or_else(|| broken("no own model"))?;
    let wishes = own.recipe.reading();
    let only = Some(wishes.keys().cloned().collect());
    let spec = TableSpec { id_kind: story.shape.id_kind, wishes, only, ..TableSpec::new(&files.new_owner, story.shape.owner_id) };
    let table = read_table(&spec, Side::Partner)?;
    let rows: Vec<usize> = (0..table.rows()).collect();
    let predictors = own.predictors_of(&table.columns, &rows)?.values;
    let reading = Reading::alone(&own.variances, model.reading().log_cap);
    let predictions = reading.predict(model.task, &predictors, None).pop().ok_or_else(|| broken("no own prediction"))?;
    Ok(table.ids.into_iter().zip(predictions).collect())
}

/// A user's cells by column.
type Cells = HashMap<String, String>;

/// The ids of a file of scores, and each one's other cells.
fn read_scores(path: &Path) -> Result<Vec<(String, Cells)>, Failure> {
    let unreadable = |error: csv::Error| Failure::new(Exit::Internal, 741, format!("the scores cannot be read: {error}"));
    let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?.clone();
    let mut users = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let mut cells = header.iter().zip(&record).map(|(name, cell)| (name.to_owned(), cell.to_owned()));
        let (_, id) = cells.next().ok_or_else(|| broken("an empty line"))?;
        users.push((id, cells.collect()));
    }
    Ok(users)
}
