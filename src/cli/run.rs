//! `run`: one side of a job with the real peer, from the job file to a finished results folder.

use crate::cli::flags::RunFlags;
use crate::cli::meeting::{Data, Meeting, Start, Talk};
use crate::contract::{Job, TrainingTerms};
use crate::data::{Side, wording::grouped};
use crate::error::{Exit, Failure};
use crate::model::{ModelFile, ModelSchema, MoreHead};
use crate::recipe::Recipe;
use crate::report::{Cost, Details, Ordered};
use crate::results::ResultFolder;
use crate::run::{Outcome, OverlapOutcome, Prepared, over_keeping, owner::OwnerOutcome, partner::PartnerOutcome, prepare, recipe_table};
use crate::training::secure::Trained;
use colift_channel::StopFlag;
use colift_channel::tls::Fingerprint;
use jiff::Timestamp;

/// Runs this side of a job, or takes up an unfinished run of it. Prints the results folder last.
///
/// # Errors
/// By class of what failed. Nothing is left in the results folder then.
pub fn run(side: Side, flags: &RunFlags, start: Start, stop: &StopFlag) -> Result<(), Failure> {
    let job = Job::load(&flags.job, side)?;
    if job.shared().score().is_some() {
        return Err(Failure::new(Exit::Usage, 925, "this job's task is `score`: it applies a stored model and trains nothing")
            .at(flags.job.display().to_string())
            .hint(format!("colift-{side} score --job {}", flags.job.display())));
    }
    let mut meeting = Meeting::open(&job, flags, start, stop)?;
    let prepared = meeting.read(|| prepare(job))?;
    meeting.show(&prepared.table, prepared.table.warnings.iter().map(ToString::to_string));
    meeting.compare(&prepared.table, prepared.job.private().ledger)?;
    let data = Data { rows: prepared.table.rows(), fingerprint: prepared.fingerprint() };
    let over = |talk: Talk<'_>| over_keeping(talk.channel, talk.session, &prepared, talk.keep, talk.clock, talk.progress);
    meeting.meet(&prepared.job.private().link, data, over, |met, outcome| {
        let out = Written { prepared: &prepared, own: met.own, peer: met.peer, cost: met.cost.clone(), ended: met.ended };
        match outcome {
            Outcome::Owner(outcome) => out.owner(&met.folder, *outcome),
            Outcome::Partner(outcome) => out.partner(&met.folder, *outcome),
            Outcome::Overlap(outcome) => out.overlap(&met.folder, &outcome),
        }
    })
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
        let OwnerOutcome {
            mut report,
            mut details,
            trained,
            more_trained,
            reading,
            recipe,
            model_id,
            own_model,
            scores,
            earlier_scores,
            facts: _,
        } = outcome;
        let reading = Some(reading);
        let own_model = Some(own_model);
        let object = |value: Result<serde_json::Value, serde_json::Error>| match value {
            Ok(serde_json::Value::Object(figures)) => figures,
            _ => serde_json::Map::new(),
        };
        let of_labels = report.test.map(|test| object(serde_json::to_value(test)));
        let of_values = report.value.as_ref().map(|value| object(serde_json::to_value(value.joint)));
        let figures = of_labels.into_iter().chain(of_values).reduce(|mut all, more| {
            all.extend(more);
            all
        });
        folder.file(
            "model.json",
            ModelFile { own_model, reading, figures, ..self.model(trained, more_trained, recipe, model_id, report.train_rows)? }
                .to_json()?
                .as_bytes(),
        )?;
        if let Some(scores) = scores {
            folder.file("scores.csv", &self.scores(&scores, &earlier_scores)?)?;
        }
        report.cost = self.cost;
        details.ended = ended(self.ended);
        let (line, text) = (report.to_json_line()?, report.to_text(&details));
        write_report(folder, &line, &text, &report.to_html(&details))?;
        Ok((line, text))
    }

    /// Writes the partner's files.
    fn partner(self, folder: &ResultFolder, outcome: PartnerOutcome) -> Result<(String, String), Failure> {
        let PartnerOutcome { mut report, trained, more_trained, recipe, model_id, notes, facts: _ } = outcome;
        report.cost = self.cost.clone();
        let title = self.prepared.job.shared().terms().name.clone();
        let recipes = vec![recipe_table("", &recipe)];
        let details = Details { title, ended: ended(self.ended), notes, recipes, ..Details::default() };
        folder.file("model.json", self.model(trained, more_trained, recipe, model_id, report.train_rows)?.to_json()?.as_bytes())?;
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
    fn model(&self, trained: Trained, more: Vec<Trained>, recipe: Recipe, model_id: String, train_rows: u64) -> Result<ModelFile, Failure> {
        let shared = self.prepared.job.shared();
        let terms: &TrainingTerms =
            shared.training().ok_or_else(|| Failure::new(Exit::Internal, 923, "a model without a training task"))?;
        let coefficients: Ordered<f64> = recipe.names().into_iter().zip(trained.coefficients).collect();
        let more = more
            .into_iter()
            .map(|head| MoreHead { intercept: head.intercept, coefficients: recipe.names().into_iter().zip(head.coefficients).collect() });
        let owner = self.prepared.job.side() == Side::Owner;
        Ok(ModelFile {
            schema: ModelSchema::V4,
            more_heads: more.collect(),
            reading: None,
            earlier_labels: terms.labels.split_last().filter(|_| owner).map(|(_, earlier)| earlier.to_vec()).unwrap_or_default(),
            model_id,
            side: self.prepared.job.side(),
            name: shared.terms().name.clone(),
            created: self.ended.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            task: terms.task,
            label: owner.then(|| terms.label().to_owned()),
            train_rows,
            l2: terms.ridge(usize::try_from(train_rows).unwrap_or(usize::MAX)),
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

    /// `id,score` of the test users, highest first; of several labels `id`, one column a label in their order, highest of the last first.
    fn scores(&self, scores: &[(usize, f64)], earlier: &[Vec<f64>]) -> Result<Vec<u8>, Failure> {
        let failed = |error: csv::Error| Failure::new(Exit::Internal, 924, format!("the scores cannot be written: {error}"));
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].1.total_cmp(&scores[*a].1).then(scores[*a].0.cmp(&scores[*b].0)));
        let labels = self.prepared.job.shared().training().map(|terms| terms.labels.as_slice()).unwrap_or_default();
        let id = self.prepared.job.private().id_name();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let columns = if labels.len() > 1 { labels.to_vec() } else { vec!["score".to_owned()] };
        writer.write_record(std::iter::once(&id).chain(&columns)).map_err(failed)?;
        for place in order {
            let (row, score) = scores[place];
            let numbers = earlier.iter().map(|label| label[place]).chain([score]).map(|score| format!("{score:.6}"));
            writer.write_record(std::iter::once(self.prepared.table.ids[row].clone()).chain(numbers)).map_err(failed)?;
        }
        writer.into_inner().map_err(|_| Failure::new(Exit::Internal, 924, "the scores cannot be written"))
    }
}

/// UTC to the second.
pub(crate) fn ended(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The three forms of a report.
pub(crate) fn write_report(folder: &ResultFolder, line: &str, text: &str, html: &str) -> Result<(), Failure> {
    folder.file("report.json", line.as_bytes())?;
    folder.file("report.txt", text.as_bytes())?;
    folder.file("report.html", html.as_bytes())
}
