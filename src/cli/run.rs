//! `run`: one side of a job with the real peer, from the job file to a finished results folder.

use crate::cli::flags::RunFlags;
use crate::contract::{Job, LogisticTerms};
use crate::data::{Side, wording::grouped};
use crate::error::{Exit, Failure};
use crate::model::{ModelFile, ModelSchema, ModelTask, OwnModel};
use crate::progress::{Progress, Terminal, Watched};
use crate::recipe::Recipe;
use crate::report::{Cost, Details, Ordered};
use crate::resources::StageClock;
use crate::results::log::start_log;
use crate::results::{ResultFolder, default_target};
use crate::run::{
    Outcome, OverlapOutcome, Prepared, over,
    owner::{OwnFit, OwnerOutcome},
    partner::PartnerOutcome,
    prepare, recipe_table,
};
use crate::session::{Home, Identity, LinkSpec, Pins, connect, greet};
use crate::training::secure::Trained;
use colift_channel::tls::{Fingerprint, Limits, TlsChannel};
use colift_channel::{Channel, Counters, StopFlag};
use jiff::Timestamp;
use std::io::Write;
use std::time::Duration;

/// Runs this side of a job. Prints the results folder last.
///
/// # Errors
/// By class of what failed. Nothing is left in the results folder then.
pub fn run(side: Side, flags: &RunFlags, stop: &StopFlag) -> Result<(), Failure> {
    let job = Job::load(&flags.job, side)?;
    if let Some(threads) = job.private().threads {
        // A pool that exists already keeps its size; only this command starts one.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    let (identity, pins, peer) = keys(&job)?;
    let target = flags.out.clone().unwrap_or_else(|| default_target(&job.shared().terms().name, Timestamp::now()));
    let folder = ResultFolder::create(&target)?;
    start_log(0, &folder)?;
    let progress = if flags.lines { Terminal::lines(side) } else { Terminal::new(side) };
    let mut clock = StageClock::new(side);

    clock.begin("read");
    progress.stage("reading", 0, 1);
    let prepared = prepare(job)?;
    progress.stage("reading", 1, 1);
    clock.end(Counters::default());
    for warning in &prepared.table.warnings {
        progress.note(&format!("warning: {warning}"));
    }
    tracing::info!(rows = prepared.table.rows(), columns = prepared.table.columns.len(), "own file read");

    let limits =
        Limits { connect: Duration::from_secs(flags.connect_timeout), idle: Duration::from_secs(flags.idle_timeout), ..Limits::default() };
    progress.waiting(match &prepared.job.private().link {
        crate::contract::Link::Listen(_) => "the peer to dial",
        crate::contract::Link::Dial(_) => "the peer to answer",
    });
    let mut link = connect(&identity, &pins, peer, &LinkSpec::from(&prepared.job.private().link), &limits, stop)?;
    progress.note("peer connected, key as pinned");
    let outcome = match talk(&mut link, side, &prepared, &mut clock, &progress, stop) {
        Ok(outcome) => outcome,
        Err(failure) => {
            tracing::error!(exit = failure.exit as u8, id = failure.id, "run ended");
            link.abort(failure.exit as u8);
            return Err(failure);
        }
    };
    let cost = clock.cost(link.counters());
    link.close();
    drop(progress);
    let out = Written { prepared: &prepared, own: identity.fingerprint(), peer, cost, ended: Timestamp::now() };
    let (line, text) = match outcome {
        Outcome::Owner(outcome) => out.owner(&folder, *outcome)?,
        Outcome::Partner(outcome) => out.partner(&folder, *outcome)?,
        Outcome::Overlap(outcome) => out.overlap(&folder, &outcome)?,
    };
    tracing::info!("run complete");
    let place = folder.finish()?;
    let mut stdout = std::io::stdout().lock();
    // A closed pipe must not turn a finished run into a failure: the folder stands.
    let _ = writeln!(stdout, "{}", if flags.json { line } else { text });
    let shown = format!("results: {}", place.display());
    let _ = if flags.json { writeln!(std::io::stderr(), "{shown}") } else { writeln!(stdout, "{shown}") };
    Ok(())
}

/// The own key, the pins, and the peer's key; the job must name this side's own key.
fn keys(job: &Job) -> Result<(Identity, Pins, Fingerprint), Failure> {
    let home = Home::from_env()?;
    let identity = Identity::load(&home)?;
    let named = |side: Side| {
        let text = job.shared().fingerprint(side).as_str();
        text.parse::<Fingerprint>().map_err(|_| Failure::new(Exit::Usage, 921, format!("the job's fingerprint of the {side} is malformed")))
    };
    if named(job.side())? != identity.fingerprint() {
        return Err(Failure::new(Exit::PeerKey, 922, format!("the job names another key for the {}", job.side()))
            .at(format!("{}, [shared.peers]", home.path().display()))
            .hint(format!("this home's key is {}", identity.fingerprint())));
    }
    let peer = named(job.side().peer())?;
    let pins = Pins::load(&home)?;
    pins.check(peer)?;
    Ok((identity, pins, peer))
}

fn talk(
    link: &mut TlsChannel,
    side: Side,
    prepared: &Prepared,
    clock: &mut StageClock,
    progress: &dyn Progress,
    stop: &StopFlag,
) -> Result<Outcome, Failure> {
    let greeting = greet(link, side)?;
    tracing::info!(wire = greeting.wire, "greeting done");
    let session = *link.session_id();
    let outcome = over(&mut Watched::new(link, progress), &session, prepared, clock, progress)?;
    if stop.is_raised() {
        return Err(colift_channel::ChannelError::Interrupted { waiting_for: "the end of the run" }.into());
    }
    Ok(outcome)
}

/// What every artefact of a run carries.
struct Written<'a> {
    prepared: &'a Prepared,
    own: Fingerprint,
    peer: Fingerprint,
    cost: Cost,
    ended: Timestamp,
}

impl Written<'_> {
    /// Writes the owner's files; returns the report as JSON and as text.
    fn owner(self, folder: &ResultFolder, outcome: OwnerOutcome) -> Result<(String, String), Failure> {
        let OwnerOutcome { mut report, mut details, trained, recipe, model_id, own_model, scores } = outcome;
        let own_weights = own_model.recipe.names().into_iter().zip(own_model.coefficients).collect();
        let OwnFit { train_rows, recipe: own_recipe, intercept, .. } = own_model;
        let own_model = Some(OwnModel { train_rows, recipe: own_recipe, intercept, coefficients: own_weights });
        let figures = report.test.and_then(|test| match serde_json::to_value(test) {
            Ok(serde_json::Value::Object(figures)) => Some(figures),
            _ => None,
        });
        folder.file(
            "model.json",
            ModelFile { own_model, figures, ..self.model(trained, recipe, model_id, report.train_rows)? }.to_json()?.as_bytes(),
        )?;
        if let Some(scores) = scores {
            folder.file("scores.csv", &self.scores(&scores)?)?;
        }
        report.cost = self.cost;
        details.ended = ended(self.ended);
        let (line, text) = (report.to_json_line()?, report.to_text(&details));
        write_report(folder, &line, &text, &report.to_html(&details))?;
        Ok((line, text))
    }

    /// Writes the partner's files.
    fn partner(self, folder: &ResultFolder, outcome: PartnerOutcome) -> Result<(String, String), Failure> {
        let PartnerOutcome { mut report, trained, recipe, model_id, notes } = outcome;
        report.cost = self.cost.clone();
        let title = self.prepared.job.shared().terms().name.clone();
        let recipes = vec![recipe_table("", &recipe)];
        let details = Details { title, ended: ended(self.ended), notes, recipes, ..Details::default() };
        folder.file("model.json", self.model(trained, recipe, model_id, report.train_rows)?.to_json()?.as_bytes())?;
        let (line, text) = (report.to_json_line()?, report.to_text(&details));
        write_report(folder, &line, &text, &report.to_html(&details))?;
        Ok((line, text))
    }

    /// Writes the sizes of an overlap job, the same on both sides.
    fn overlap(self, folder: &ResultFolder, outcome: &OverlapOutcome) -> Result<(String, String), Failure> {
        let own_rows = self.prepared.table.rows() as u64;
        let line = serde_json::json!({
            "schema": "colift.overlap/1", "matched": outcome.matched, "own_rows": own_rows, "peer_rows": outcome.peer_rows,
            "opened": outcome.opened, "cost": self.cost,
        })
        .to_string();
        let [matched, own, peer] = [outcome.matched, own_rows, outcome.peer_rows].map(grouped);
        let text = format!("{matched} common users, of {own} here and {peer} at the peer's");
        folder.file("report.json", line.as_bytes())?;
        folder.file("report.txt", text.as_bytes())?;
        Ok((line, text))
    }

    /// What both sides' model files have alike.
    fn model(&self, trained: Trained, recipe: Recipe, model_id: String, train_rows: u64) -> Result<ModelFile, Failure> {
        let shared = self.prepared.job.shared();
        let terms: &LogisticTerms =
            shared.logistic().ok_or_else(|| Failure::new(Exit::Internal, 923, "a model without a training task"))?;
        let coefficients: Ordered<f64> = recipe.names().into_iter().zip(trained.coefficients).collect();
        Ok(ModelFile {
            schema: ModelSchema::V2,
            model_id,
            side: self.prepared.job.side(),
            name: shared.terms().name.clone(),
            created: self.ended.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            task: ModelTask::Logistic,
            label: (self.prepared.job.side() == Side::Owner).then(|| terms.label.clone()),
            train_rows,
            l2: terms.l2,
            clip: terms.clip,
            job_digest: shared.digest(),
            own_fingerprint: self.own.to_string(),
            peer_fingerprint: self.peer.to_string(),
            recipe,
            intercept: trained.intercept,
            coefficients,
            own_model: None,
            figures: None,
        })
    }

    /// `id,score` of the test users, highest first.
    fn scores(&self, scores: &[(usize, f64)]) -> Result<Vec<u8>, Failure> {
        let failed = |error: csv::Error| Failure::new(Exit::Internal, 924, format!("the scores cannot be written: {error}"));
        let mut sorted = scores.to_vec();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record([self.prepared.job.private().id.as_str(), "score"]).map_err(failed)?;
        for (row, score) in sorted {
            writer.write_record([self.prepared.table.ids[row].as_str(), &format!("{score:.6}")]).map_err(failed)?;
        }
        writer.into_inner().map_err(|_| Failure::new(Exit::Internal, 924, "the scores cannot be written"))
    }
}

/// UTC to the second.
fn ended(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The three forms of a report.
pub(crate) fn write_report(folder: &ResultFolder, line: &str, text: &str, html: &str) -> Result<(), Failure> {
    folder.file("report.json", line.as_bytes())?;
    folder.file("report.txt", text.as_bytes())?;
    folder.file("report.html", html.as_bytes())
}
