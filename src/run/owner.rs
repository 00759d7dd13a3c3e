//! What only the owner does: check its labels, receive scores, judge the joint model against its own columns alone.

use crate::contract::{Disclosure, LogisticTerms};
use crate::data::Split;
use crate::error::{Exit, Failure};
use crate::evaluation::{BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Curves, Wald, metrics, paired_bootstrap};
use crate::model::OwnModel;
use crate::recipe::{FitRows, Recipe};
use crate::report::{CurvePair, Details, NoFigures, Ordered, ReportData};
use crate::run::{Joint, Prepared, recipe_table, scores, split};
use crate::training::opening::Ledger;
use crate::training::secure::Trained;
use crate::training::twin::{fit_logistic, probabilities, sigmoid};
use colift_channel::Channel;

/// The owner's results.
pub struct OwnerOutcome {
    /// The figures of `report.json`; cost is filled in by the caller.
    pub report: ReportData,
    /// What people read beside them.
    pub details: Details,
    /// The own half of the model.
    pub trained: Trained,
    /// The recipe of the own columns.
    pub recipe: Recipe,
    /// The model's name on both sides.
    pub model_id: String,
    /// The own columns alone, fitted on all own training rows.
    pub own_model: OwnModel,
    /// (position in the own table, joint probability) of the test users, where the job lists them.
    pub scores: Option<Vec<(usize, f64)>>,
}

/// Refuses labels that are all equal; warns where the rate lies outside the signed bucket.
pub(crate) fn check_labels(labels: &[bool], terms: &LogisticTerms, notes: &mut Vec<String>) -> Result<(), Failure> {
    let positives = labels.iter().filter(|y| **y).count();
    if positives == 0 || positives == labels.len() {
        return Err(Failure::new(Exit::Data, 552, format!("all {} matched training users have the same label", labels.len()))
            .at(format!("column {}", terms.label))
            .hint("match more users, or choose another label"));
    }
    let rate = positives as f64 / labels.len() as f64;
    if rate < terms.expected_rate.low() || rate > terms.expected_rate.high() {
        notes.push("the label's rate lies outside the job's expected_rate: sign the next job with another bucket".to_owned());
    }
    Ok(())
}

/// Receives what the job lists and computes the figures.
pub(crate) fn evaluate(
    channel: &mut dyn Channel,
    prepared: &Prepared,
    terms: &LogisticTerms,
    joint: Joint,
    ledger: &mut Ledger,
) -> Result<OwnerOutcome, Failure> {
    let shared = prepared.job.shared();
    let test_rows = joint.rows_of(Split::Test);
    let intercept = joint.trained.intercept.unwrap_or_default();
    let mut report = ReportData {
        matched: joint.aligned.rows.len() as u64,
        train_rows: joint.train.nrows() as u64,
        test_rows: test_rows.len() as u64,
        dropped_columns: joint.recipe.dropped(),
        intercept: Some(intercept),
        intercept_inference: joint.trained.standard_errors.as_ref().and_then(|e| e.intercept).map(|error| Wald::new(intercept, error)),
        owner_coefficients: Some(ordered(&joint.recipe, &joint.trained)),
        owner_inference: inference(&joint.recipe, &joint.trained),
        ..ReportData::default()
    };
    let mut details = Details {
        title: shared.terms().name.clone(),
        label: terms.label.clone(),
        l2: terms.l2,
        clip: terms.clip,
        recipes: vec![recipe_table("", &joint.recipe)],
        notes: joint.notes.clone(),
        no_figures: NoFigures::NotListed,
        ..Details::default()
    };
    let own_model = fit_own(prepared, terms)?;
    let mut own_scores = None;
    if shared.reveals(Disclosure::ScoresToOwner) {
        let parts = scores::receive(channel, ledger, test_rows.len())?;
        let own = crate::training::twin::logits(joint.test.view(), &joint.trained.coefficients, intercept);
        let joint_scores: Vec<f64> = own.iter().zip(&parts).map(|(a, b)| sigmoid(a + b)).collect();
        if shared.reveals(Disclosure::MetricsToOwner) {
            ledger.note(Disclosure::MetricsToOwner, 1, 0)?;
            details.no_figures = NoFigures::OneClass;
            figures(prepared, terms, &joint, &joint_scores, &own_model, &mut report, &mut details)?;
        }
        own_scores = Some(test_rows.iter().copied().zip(joint_scores).collect());
    }
    Ok(OwnerOutcome {
        report,
        details,
        trained: joint.trained,
        recipe: joint.recipe,
        model_id: joint.model_id,
        own_model,
        scores: own_scores,
    })
}

/// Fits the own columns on all own training rows, matched or not.
fn fit_own(prepared: &Prepared, terms: &LogisticTerms) -> Result<OwnModel, Failure> {
    let table = &prepared.table;
    let split = split::own_split(prepared, terms)?;
    let rows: Vec<usize> = (0..table.rows()).filter(|row| split[*row] == Split::Train).collect();
    let all = table.label.as_deref().unwrap_or_default();
    let labels: Vec<bool> = rows.iter().map(|row| all[*row]).collect();
    let wishes = &prepared.job.private().columns;
    let recipe = Recipe::fit(&table.columns, FitRows { rows: &rows, labels: Some(&labels), clip: terms.clip, wishes })?;
    let fit = fit_logistic(&recipe.apply_rows(&table.columns, &rows)?.features, &labels, terms.l2)?;
    let coefficients = recipe.names().into_iter().zip(fit.coefficients).collect();
    Ok(OwnModel { train_rows: rows.len() as u64, recipe, intercept: fit.intercept, coefficients })
}

/// The joint model, the own columns alone on the same rows, and the own columns on all own rows, on the same test rows.
fn figures(
    prepared: &Prepared,
    terms: &LogisticTerms,
    joint: &Joint,
    joint_scores: &[f64],
    own_all: &OwnModel,
    report: &mut ReportData,
    details: &mut Details,
) -> Result<(), Failure> {
    let table = &prepared.table;
    let test_rows = joint.rows_of(Split::Test);
    let labels = table.label.as_deref().unwrap_or_default();
    let labels_of = |rows: &[usize]| rows.iter().map(|row| labels[*row]).collect::<Vec<bool>>();
    let test_labels = labels_of(&test_rows);
    let own = fit_logistic(&joint.train, &labels_of(&joint.rows_of(Split::Train)), terms.l2)?;
    let own_scores = probabilities(joint.test.view(), &own.coefficients, own.intercept);
    report.test = metrics(joint_scores, &test_labels);
    report.own_only = metrics(&own_scores, &test_labels);
    report.gain = paired_bootstrap(joint_scores, &own_scores, &test_labels, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED);
    details.curves =
        Curves::new(joint_scores, &test_labels).zip(Curves::new(&own_scores, &test_labels)).map(|(joint, own)| CurvePair { joint, own });

    let all_scores: Vec<f64> = own_all.logits_of(&table.columns, &test_rows)?.values.into_iter().map(sigmoid).collect();
    report.own_all_rows = metrics(&all_scores, &test_labels);
    Ok(())
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
