//! What only the owner does: check its labels, receive scores, judge the joint model against its own columns alone.

use crate::contract::{Disclosure, Task, TrainingTerms};
use crate::data::Split;
use crate::error::{Exit, Failure};
use crate::evaluation::Wald;
use crate::model::{MoreHead, OwnModel};
use crate::recipe::{FitRows, Recipe};
use crate::report::{Details, HeadReport, NoFigures, Ordered, ReportData};
use crate::run::{Facts, Joint, Prepared, judge, recipe_table, scores, split};
use crate::training::heads::{Head, LabelFit, Reading, rising};
use crate::training::opening::Ledger;
use crate::training::secure::Trained;
use crate::training::twin::logits;
use colift_channel::Channel;

/// The owner's results.
pub struct OwnerOutcome {
    /// The figures of `report.json`; cost is filled in by the caller.
    pub report: ReportData,
    /// What people read beside them.
    pub details: Details,
    /// The own half of the model: its first head.
    pub trained: Trained,
    /// Further heads.
    pub more_trained: Vec<Trained>,
    /// How joint predictors are read.
    pub reading: Reading,
    /// The recipe of the own columns.
    pub recipe: Recipe,
    /// The model's name on both sides.
    pub model_id: String,
    /// What the receipt says; filled in at the end of the run.
    pub facts: Facts,
    /// The own columns alone, fitted on all own training rows.
    pub own_model: OwnModel,
    /// (position in the own table, joint prediction of the last label) of the test users, where the job lists them.
    pub scores: Option<Vec<(usize, f64)>>,
    /// Their predictions of the labels before it.
    pub earlier_scores: Vec<Vec<f64>>,
}

/// Warns where a rate lies outside its signed bucket, and where horizons fall.
pub(crate) fn check_labels(values: &[Vec<f64>], terms: &TrainingTerms, notes: &mut Vec<String>) {
    for (place, (name, values)) in terms.labels.iter().zip(values).enumerate() {
        let above = values.iter().filter(|value| **value > 0.0).count();
        let rate = above as f64 / values.len() as f64;
        if let Some(bucket) = terms.rate(place)
            && (rate < bucket.low() || rate > bucket.high())
        {
            let whose = if terms.labels.len() > 1 { format!("the rate of {name}") } else { "the label's rate".to_owned() };
            notes.push(format!("{whose} lies outside the job's expected_rate: sign the next job with another bucket"));
        }
    }
    let falling = rising(&mut values.to_vec());
    if falling > 0.0 {
        let percent = 100.0 * falling;
        notes.push(format!("for {percent:.1} % of the training users a later label is below an earlier one: are they cumulated?"));
    }
}

/// Receives what the job lists and computes the figures.
pub(crate) fn evaluate(
    channel: &mut dyn Channel,
    prepared: &Prepared,
    terms: &TrainingTerms,
    joint: Joint,
    ledger: &mut Ledger,
) -> Result<OwnerOutcome, Failure> {
    let shared = prepared.job.shared();
    let test_rows = joint.rows_of(Split::Test);
    let reading = joint.reading.clone().ok_or_else(|| Failure::new(Exit::Internal, 556, "a training without its units"))?;
    let (trained, more_trained) = first_and_more(joint.trained.clone())?;
    let intercept = trained.intercept.unwrap_or_default();
    let mut report = ReportData {
        matched: joint.aligned.rows.len() as u64,
        train_rows: joint.train.nrows() as u64,
        test_rows: test_rows.len() as u64,
        dropped_columns: joint.recipe.dropped(),
        intercept: Some(intercept),
        intercept_inference: trained.standard_errors.as_ref().and_then(|e| e.intercept).map(|error| Wald::new(intercept, error)),
        owner_coefficients: Some(ordered(&joint.recipe, &trained)),
        owner_inference: inference(&joint.recipe, &trained),
        more_heads: head_reports(prepared, &joint.recipe, &more_trained),
        ..ReportData::default()
    };
    let mut details = Details {
        title: shared.terms().name.clone(),
        label: terms.label().to_owned(),
        task: if terms.task == Task::Logistic { String::new() } else { terms.task.name().to_owned() },
        l2: terms.ridge(joint.train.nrows()),
        clip: terms.clip,
        recipes: vec![recipe_table("", &joint.recipe)],
        notes: joint.notes.clone(),
        no_figures: NoFigures::NotListed,
        ..Details::default()
    };
    let own_model = fit_own(prepared, terms)?;
    let (mut own_scores, mut earlier_scores) = (None, Vec::new());
    if shared.reveals(Disclosure::ScoresToOwner) {
        let mut parts = Vec::new();
        for _ in &joint.trained {
            parts.push(scores::receive(channel, ledger, test_rows.len())?);
        }
        let head = |head: &Trained| logits(joint.test.view(), &head.coefficients, head.intercept.unwrap_or_default());
        let own: Vec<Vec<f64>> = joint.trained.iter().map(head).collect();
        let mut predictions = judge::Predictions::joint(terms, &reading, &own, &parts);
        if shared.reveals(Disclosure::MetricsToOwner) {
            ledger.note(Disclosure::MetricsToOwner, 1, 0)?;
            details.no_figures = NoFigures::OneClass;
            judge::figures(prepared, terms, &joint, &predictions, &own_model, &mut report, &mut details)?;
        }
        own_scores = predictions.labels.pop().map(|last| test_rows.iter().copied().zip(last).collect());
        earlier_scores = predictions.labels;
    }
    let Joint { recipe, model_id, .. } = joint;
    Ok(OwnerOutcome {
        report,
        details,
        trained,
        more_trained,
        reading,
        recipe,
        model_id,
        facts: Facts::default(),
        own_model,
        scores: own_scores,
        earlier_scores,
    })
}

/// Fits the own columns on all own training rows, matched or not.
fn fit_own(prepared: &Prepared, terms: &TrainingTerms) -> Result<OwnModel, Failure> {
    let table = &prepared.table;
    let split = split::own_split(prepared, terms)?;
    let rows: Vec<usize> = (0..table.rows()).filter(|row| split[*row] == Split::Train).collect();
    let all = table.label.as_deref().unwrap_or_default();
    let labels: Vec<bool> = rows.iter().map(|row| all[*row]).collect();
    let wishes = &prepared.job.private().columns;
    let recipe = Recipe::fit(&table.columns, FitRows { rows: &rows, labels: Some(&labels), clip: terms.clip, wishes })?;
    let x = recipe.apply_rows(&table.columns, &rows)?.features;
    let (mut heads, mut variances) = (Vec::new(), Vec::new());
    for (place, label) in table.labels.iter().enumerate() {
        let values: Vec<f64> = rows.iter().map(|row| label[*row]).collect();
        let fit = LabelFit::new(&x, &values, terms, place)?;
        variances.extend(fit.variance);
        heads.extend(fit.heads.into_iter().map(|head| (head.intercept, recipe.names().into_iter().zip(head.coefficients).collect())));
    }
    let mut heads = heads.into_iter();
    let (intercept, coefficients) = heads.next().ok_or_else(|| Failure::new(Exit::Internal, 556, "a training without a label"))?;
    let more_heads = heads.map(|(intercept, coefficients)| MoreHead { intercept: Some(intercept), coefficients }).collect();
    Ok(OwnModel { train_rows: rows.len() as u64, recipe, intercept, coefficients, more_heads, variances })
}

/// The first head and the others.
pub(crate) fn first_and_more(mut heads: Vec<Trained>) -> Result<(Trained, Vec<Trained>), Failure> {
    if heads.is_empty() {
        return Err(Failure::new(Exit::Internal, 556, "a training without a head"));
    }
    let more = heads.split_off(1);
    heads.pop().map(|first| (first, more)).ok_or_else(|| Failure::new(Exit::Internal, 556, "a training without a head"))
}

/// Weights of further heads for the side's report.
pub(crate) fn head_reports(prepared: &Prepared, recipe: &Recipe, more: &[Trained]) -> Vec<HeadReport> {
    let Some(terms) = prepared.job.shared().training() else { return Vec::new() };
    let owner = prepared.job.side() == crate::data::Side::Owner;
    let heads = Head::all(terms).skip(1).zip(more);
    heads
        .map(|((label, head), trained)| HeadReport {
            label: terms.labels.get(label).cloned().unwrap_or_default(),
            head: head.name().to_owned(),
            intercept: trained.intercept,
            owner_coefficients: owner.then(|| ordered(recipe, trained)),
            partner_coefficients: (!owner).then(|| ordered(recipe, trained)),
        })
        .collect()
}

/// Tests of the own coefficients by column name, where their standard errors were opened.
pub(crate) fn inference(recipe: &Recipe, trained: &Trained) -> Option<Ordered<Wald>> {
    let errors = &trained.standard_errors.as_ref()?.coefficients;
    let tests = trained.coefficients.iter().zip(errors).map(|(weight, error)| Wald::new(*weight, *error));
    Some(recipe.names().into_iter().zip(tests).collect())
}

/// Own coefficients by column name, in the file's order.
pub(crate) fn ordered(recipe: &Recipe, trained: &Trained) -> Ordered<f64> {
    recipe.names().into_iter().zip(trained.coefficients.iter().copied()).collect()
}
