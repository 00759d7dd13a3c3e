//! The training of a run: recipe, public schedules, checks before anything is encrypted, then one head after the other.

use super::kept::KeptTraining;
use super::{FEWEST_PARTNER_COLUMNS, Joint, Prepared, agree, limits, owner, rows_of};
use crate::align::Aligned;
use crate::contract::{Disclosure, TrainingTerms};
use crate::data::Split;
use crate::data::wording::counted;
use crate::error::{Exit, Failure};
use crate::progress::Progress;
use crate::recipe::{FitRows, Recipe};
use crate::training::cost::declare_trainings;
use crate::training::features::Features;
use crate::training::heads::{Head, HeadLabels, Reading, Weights, log_cap};
use crate::training::memory::check_memory;
use crate::training::opening::Ledger;
use crate::training::response::OwnerInput;
use crate::training::schedule::Schedule;
use crate::training::secure::{StandardErrors, Trained, train};
use crate::training::whitening::Dependence;
use colift_algebra::Engine;
use colift_channel::Channel;
use colift_correlation::Role;
use ndarray::Array2;

/// Parts of one head in a progress bar over several.
const PARTS: u64 = 100;
/// Columns of a group that a note names.
const MOST_NAMED: usize = 6;

#[allow(clippy::too_many_arguments)]
pub(super) fn jointly(
    channel: &mut dyn Channel,
    role: Role,
    prepared: &Prepared,
    terms: &TrainingTerms,
    aligned: Aligned,
    split: Vec<Split>,
    model_id: String,
    ledger: &mut Ledger,
    progress: &dyn Progress,
) -> Result<Joint, Failure> {
    let table = &prepared.table;
    let rows = rows_of(&aligned, &split, Split::Train);
    let labels_of =
        |rows: &[usize]| -> Vec<Vec<f64>> { table.labels.iter().map(|label| rows.iter().map(|row| label[*row]).collect()).collect() };
    let values = labels_of(&rows);
    let log_cap = log_cap(terms, &values);
    let OwnColumns { recipe, train: train_columns, test, dependence, width } = own_columns(prepared, terms, &aligned, &split)?;
    for [column, encoding, features, why] in recipe.choices().1 {
        progress.note(&format!("column {column}: {encoding}, {features} features ({why})"));
    }
    let peer_width = agree::columns(channel, width)?;
    let columns = if role == Role::First { (width, peer_width) } else { (peer_width, width) };
    if columns.1 == 0 {
        let whose = if role == Role::First { "the partner's columns" } else { "the own columns" };
        let what = format!("none of {whose} varies on the {}", counted(rows.len() as u64, "matched training row", "matched training rows"));
        return Err(Failure::new(Exit::Data, 550, what)
            .hint("match more users, or add columns on the partner's side: without any there is nothing to train jointly"));
    }
    let mut notes = notes(prepared, terms, &recipe, rows.len(), columns)?;
    for note in dependence_notes(&recipe, &dependence) {
        progress.note(&note);
        notes.push(note);
    }
    let reveals = |item| prepared.job.shared().reveals(item);
    let schedules = Head::all(terms).map(|(label, head)| {
        let schedule = Schedule::new(head.sizes(terms, label, rows.len(), columns))?;
        let schedule = schedule.with_standard_errors(reveals(Disclosure::OwnStandardErrors));
        Ok(schedule.with_residual_variance(head == Head::LogAmount))
    });
    let schedules: Vec<Schedule> = schedules.collect::<Result<_, Failure>>()?;
    for schedule in &schedules {
        check_memory(schedule, role == Role::First, prepared.job.private().max_memory)?;
    }
    let filled = reveals(Disclosure::OwnStandardErrors);
    let features_of = |l2: f64| Features::of(&train_columns, &dependence, l2, role == Role::First, filled);
    let mut features = features_of(terms.ridge(rows.len()))?;
    let mut inputs = Vec::new();
    let mut warnings = limits::ridge_warnings(terms, rows.len(), (role == Role::First).then_some(&values));
    if role == Role::First {
        warnings.extend(limits::cap_warnings(terms, &labels_of(&aligned.rows), log_cap));
        owner::check_labels(&values, terms, &mut notes);
        for (label, head) in Head::all(terms) {
            let prepared = HeadLabels::new(head, &values[label], terms)?;
            head.family().check(&prepared.labels, prepared.weights.as_deref())?;
            inputs.push(prepared);
        }
    }
    warnings.iter().for_each(|warning| progress.note(&format!("warning: {warning}")));
    notes.extend(warnings);
    // The start-up check: every plan of the whole training, its worst-case noise included, before anything is encrypted.
    let (owner_cost, partner_cost) = declare_trainings(&schedules)?;
    tracing::info!(
        rounds = owner_cost.counters().rounds,
        owner_bytes = owner_cost.counters().bytes_sent,
        partner_bytes = partner_cost.counters().bytes_sent,
        "training planned"
    );
    let mut engine = Engine::setup(channel, role)?;
    let count = schedules.len() as u64;
    let (mut trained, mut l2) = (Vec::new(), terms.ridge(rows.len()));
    let mut reading = Reading { partner_factors: Vec::new(), variances: Vec::new(), log_cap };
    for (place, ((label, head), schedule)) in (0u64..).zip(Head::all(terms).zip(&schedules)) {
        let own_l2 = head.l2(terms, label, rows.len());
        if own_l2 != l2 {
            features = features_of(own_l2)?;
            l2 = own_l2;
        }
        let own = inputs.get(place as usize);
        let base_logit = head.base_logit(terms, label);
        let input = own.map(|own| OwnerInput { labels: &own.labels, weights: own.weights.as_deref(), base_logit });
        let report = |done: u64, total: u64| match count {
            1 => progress.stage("training", done, total),
            _ => progress.stage("training", place * PARTS + done * PARTS / total.max(1), count * PARTS),
        };
        let one = train(&mut engine, channel, &features, input, schedule, ledger, &report)?;
        if let Some(own) = own {
            if head == Head::of(terms.task)[0] {
                reading.partner_factors.push(own.units.factor);
            }
            reading.variances.extend(one.residual_variance);
        }
        trained.push(own.map_or_else(|| one.clone(), |own| in_label_units(&one, own)));
    }
    let reading = (role == Role::First).then_some(reading);
    Ok(Joint { aligned, split, recipe, test, train: train_columns, width, trained, reading, model_id, notes })
}

/// A side's own columns, standardised.
struct OwnColumns {
    recipe: Recipe,
    train: Array2<f64>,
    test: Array2<f64>,
    /// Which of them follow from others on the training rows.
    dependence: Dependence,
    /// Weights that are trained: one for each independent column, or for each column where standard errors are opened.
    width: usize,
}

/// Fits the recipe on the matched training rows and applies it to all matched rows.
fn own_columns(prepared: &Prepared, terms: &TrainingTerms, aligned: &Aligned, split: &[Split]) -> Result<OwnColumns, Failure> {
    let table = &prepared.table;
    let [rows, test_rows] = [Split::Train, Split::Test].map(|part| rows_of(aligned, split, part));
    let labels: Option<Vec<bool>> = table.label.as_ref().map(|labels| rows.iter().map(|row| labels[*row]).collect());
    let wishes = &prepared.job.private().columns;
    let recipe = Recipe::fit(&table.columns, FitRows { rows: &rows, labels: labels.as_deref(), clip: terms.clip, wishes })?;
    let train = recipe.apply_rows(&table.columns, &rows)?.features;
    let test = recipe.apply_rows(&table.columns, &test_rows)?.features;
    let dependence = Dependence::of(train.view());
    let width = Features::own_width(&dependence, train.ncols(), prepared.job.shared().reveals(Disclosure::OwnStandardErrors));
    Ok(OwnColumns { recipe, train, test, dependence, width })
}

/// What a training of an earlier attempt ended with, on the same rows of the same table.
///
/// # Errors
/// Exit code 2: what was kept is of other columns or of another task.
pub(super) fn again(
    prepared: &Prepared,
    terms: &TrainingTerms,
    aligned: Aligned,
    split: Vec<Split>,
    kept: KeptTraining,
) -> Result<Joint, Failure> {
    let OwnColumns { recipe, train, test, width, .. } = own_columns(prepared, terms, &aligned, &split)?;
    let KeptTraining { model_id, trained, reading, notes, .. } = kept;
    if trained.len() != Head::all(terms).count() || trained.iter().any(|head| head.coefficients.len() != train.ncols()) {
        return Err(Failure::new(Exit::Usage, 511, "what was kept of the training does not fit the columns of the file"));
    }
    Ok(Joint { aligned, split, recipe, test, train, width, trained, reading, model_id, notes })
}

/// The owner's half of a head in the label's units.
fn in_label_units(trained: &Trained, own: &HeadLabels) -> Trained {
    let weights = Weights::from_units(trained.intercept.unwrap_or_default(), &trained.coefficients, own.units);
    let standard_errors = trained.standard_errors.as_ref().map(|errors| StandardErrors {
        intercept: errors.intercept.map(|error| error * own.units.factor),
        coefficients: errors.coefficients.iter().map(|error| error * own.units.factor).collect(),
    });
    Trained {
        intercept: Some(weights.intercept),
        coefficients: weights.coefficients,
        residual_variance: trained.residual_variance,
        standard_errors,
        extra: trained.extra.clone(),
    }
}

/// What a person should look at; refuses scores that would hand over the partner's columns.
fn notes(
    prepared: &Prepared,
    terms: &TrainingTerms,
    recipe: &Recipe,
    rows: usize,
    (owner_columns, partner_columns): (usize, usize),
) -> Result<Vec<String>, Failure> {
    let mut notes: Vec<String> = prepared.table.warnings.iter().map(ToString::to_string).collect();
    for column in recipe.columns.iter().filter(|column| !column.is_kept()) {
        let why = if column.features.is_empty() { "gives no feature" } else { "is constant" };
        notes.push(format!("column {} {why} on the matched training rows and was dropped", column.name));
    }
    let functions = terms.functions();
    if prepared.job.shared().reveals(Disclosure::ScoresToOwner) {
        if functions > 1 && functions >= partner_columns {
            let what = format!(
                "the scores of a test user are {functions} linear functions of {partner_columns} partner columns: together they would tell \
                 those columns but for a change of coordinates"
            );
            return Err(Failure::new(Exit::Policy, 553, what)
                .at("[shared] reveal")
                .hint("bring more partner columns, predict fewer labels, or remove scores_to_owner and metrics_to_owner"));
        }
        if partner_columns < FEWEST_PARTNER_COLUMNS * functions {
            let each = if functions == 1 {
                "each score is one linear function of them".to_owned()
            } else {
                format!("the scores of a user are {functions} linear functions of them")
            };
            let columns = counted(partner_columns as u64, "independent partner column", "independent partner columns");
            notes.push(format!("scores go to the owner with only {columns}: {each}"));
        }
    }
    if owner_columns == 0 {
        notes.push("the owner brings no column that varies: the joint model has the partner's columns alone".to_owned());
    }
    let weights = owner_columns + partner_columns + 1;
    if rows <= weights {
        notes.push(format!("{rows} training rows for {weights} weights: where rows do not determine a weight, the ridge alone does"));
    } else if rows < 10 * (weights - 1) {
        notes.push(format!("{rows} training rows for {} columns: fewer than 10 a column", weights - 1));
    }
    Ok(notes)
}

/// Which columns follow from each other on the matched training rows, in words.
pub(crate) fn dependence_notes(recipe: &Recipe, dependence: &Dependence) -> Vec<String> {
    let names = recipe.names();
    let words = |(group, left_out): &(Vec<usize>, usize)| {
        let named: Vec<&str> = group.iter().filter_map(|column| names.get(*column)).map(String::as_str).collect();
        let (first, rest) = match named.split_at_checked(MOST_NAMED) {
            Some((first, rest)) if rest.len() > 1 => (first.join(", "), format!("{} others", rest.len())),
            _ => (named[..named.len().saturating_sub(1)].join(", "), named.last().copied().unwrap_or_default().to_owned()),
        };
        let independent = group.len() - left_out;
        format!(
            "columns {first} and {rest} follow from each other on the matched training rows: {independent} of the {} {} independent, and the ridge \
             shares the weight out among them",
            group.len(),
            if independent == 1 { "is" } else { "are" }
        )
    };
    dependence.groups().iter().map(words).collect()
}
