//! The owner's figures on the test users: the joint model, the own columns alone on the same rows, the own columns on all own rows.

use crate::contract::{Task, TrainingTerms};
use crate::data::{Column, Split, Values};
use crate::error::Failure;
use crate::evaluation::{
    BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Curves, Money, Profit, VALUE_LINES, Value, metrics, paired_bootstrap, profit_bootstrap,
    value_bootstrap,
};
use crate::model::OwnModel;
use crate::report::{ChannelCell, Channels, CurvePair, Details, Horizons, MoneyReport, ReportData, ValueReport};
use crate::run::{Joint, Prepared};
use crate::training::heads::{Head, LabelFit, Reading, log_cap, rising};
use crate::training::twin::{logits, sigmoid};
use std::collections::BTreeMap;

/// Fewest test users of a channel that is shown.
const FEWEST_OF_A_CHANNEL: u64 = 50;
/// Fewest of them with a label above 0.
const FEWEST_PAYERS_OF_A_CHANNEL: u64 = 5;

/// One model's predictions for the test users.
pub(crate) struct Predictions {
    /// Label by label; later ones raised to earlier ones.
    pub(crate) labels: Vec<Vec<f64>>,
    /// Share of users for whom that changed something.
    pub(crate) violations: f64,
    /// The probability to pay, or of the label 1, of the last label, where the task has one.
    pub(crate) probabilities: Option<Vec<f64>>,
}

impl Predictions {
    fn new(terms: &TrainingTerms, mut labels: Vec<Vec<f64>>, last: Option<Vec<f64>>) -> Self {
        let violations = rising(&mut labels);
        let probabilities = match terms.task {
            Task::Logistic => labels.last().cloned(),
            Task::Hurdle => last.map(|z| z.into_iter().map(sigmoid).collect()),
            _ => None,
        };
        Self { labels, violations, probabilities }
    }

    /// Of the joint model: the owner's and the partner's parts of all predictors.
    pub(crate) fn joint(terms: &TrainingTerms, reading: &Reading, own: &[Vec<f64>], partner: &[Vec<f64>]) -> Self {
        let last = Head::first_of_last(terms.task, own).zip(Head::first_of_last(terms.task, partner));
        let last = last.map(|(own, part)| own.iter().zip(part).map(|(a, b)| a + b).collect());
        Self::new(terms, reading.predict(terms.task, own, Some(partner)), last)
    }

    fn alone(terms: &TrainingTerms, variances: &[f64], log_cap: f64, predictors: &[Vec<f64>]) -> Self {
        let reading = Reading::alone(variances, log_cap);
        let last = Head::first_of_last(terms.task, predictors).cloned();
        Self::new(terms, reading.predict(terms.task, predictors, None), last)
    }
}

/// Fills in the figures of the job's task.
pub(crate) fn figures(
    prepared: &Prepared,
    terms: &TrainingTerms,
    joint: &Joint,
    predictions: &Predictions,
    own_all: &OwnModel,
    report: &mut ReportData,
    details: &mut Details,
) -> Result<(), Failure> {
    let table = &prepared.table;
    let (train_rows, test_rows) = (joint.rows_of(Split::Train), joint.rows_of(Split::Test));
    let values_of =
        |rows: &[usize]| -> Vec<Vec<f64>> { table.labels.iter().map(|label| rows.iter().map(|row| label[*row]).collect()).collect() };
    let (train, test) = (values_of(&train_rows), values_of(&test_rows));
    let (mut predictors, mut variances) = (Vec::new(), Vec::new());
    for (place, values) in train.iter().enumerate() {
        let fit = LabelFit::new(&joint.train, values, terms, place)?;
        variances.extend(fit.variance);
        predictors.extend(fit.heads.iter().map(|head| logits(joint.test.view(), &head.coefficients, head.intercept)));
    }
    let cap = log_cap(terms, &train);
    let own = Predictions::alone(terms, &variances, cap, &predictors);
    let all = Predictions::alone(terms, &own_all.variances, cap, &own_all.predictors_of(&table.columns, &test_rows)?.values);

    let above: Vec<bool> = test.last().into_iter().flatten().map(|value| *value > 0.0).collect();
    if let (Some(joint), Some(own), Some(all)) = (&predictions.probabilities, &own.probabilities, &all.probabilities) {
        report.test = metrics(joint, &above);
        report.own_only = metrics(own, &above);
        report.own_all_rows = metrics(all, &above);
        report.gain = paired_bootstrap(joint, own, &above, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED);
        details.curves = Curves::new(joint, &above).zip(Curves::new(own, &above)).map(|(joint, own)| CurvePair { joint, own });
    }
    if terms.task != Task::Logistic {
        let variances = joint.reading.as_ref().map(|reading| reading.variances.as_slice()).unwrap_or_default();
        let mut values: Vec<ValueReport> = (0..terms.labels.len())
            .filter_map(|place| {
                let three = [&predictions.labels[place], &own.labels[place], &all.labels[place]];
                value_report(terms, place, &test[place], three, variances.get(place).copied())
            })
            .collect();
        report.value = values.pop();
        report.earlier_values = values;
    }
    if terms.labels.len() > 1 {
        report.horizons = Some(Horizons {
            labels: terms.labels.clone(),
            violations: predictions.violations,
            label_violations: rising(&mut test.clone()),
        });
    }
    if let (Some(joint), Some(own), Some(actual)) = (predictions.labels.last(), own.labels.last(), test.last()) {
        // A model of those who pay says nothing about the others.
        let judged: Vec<usize> = (0..actual.len()).filter(|row| !on_payers(terms) || actual[*row] > 0.0).collect();
        let pick = |values: &[f64]| judged.iter().map(|row| values[*row]).collect::<Vec<f64>>();
        let (joint, own, actual) = (pick(joint), pick(own), pick(actual));
        report.channels = prepared.table.channel.as_ref().map(|column| {
            let rows: Vec<usize> = judged.iter().map(|row| test_rows[*row]).collect();
            channels(column, &rows, &joint, &own, &actual)
        });
        report.money = prepared.job.private().money.and_then(|money| {
            let money = Money { cost: money.cost, value: money.value };
            money_report(&joint, &own, &actual, money)
        });
    }
    Ok(())
}

fn on_payers(terms: &TrainingTerms) -> bool {
    Head::of(terms.task).iter().all(|head| head.on_payers())
}

/// The figures of one label by the joint model, the own columns, and the own columns on all rows.
fn value_report(
    terms: &TrainingTerms,
    label: usize,
    actual: &[f64],
    predictions: [&Vec<f64>; 3],
    variance: Option<f64>,
) -> Option<ValueReport> {
    let judged: Vec<usize> = (0..actual.len()).filter(|row| !on_payers(terms) || actual[*row] > 0.0).collect();
    let pick = |values: &[f64]| judged.iter().map(|row| values[*row]).collect::<Vec<f64>>();
    let actual = pick(actual);
    let [joint, own, all] = predictions.map(|values| pick(values));
    let (joint, own) = (Value::new(&joint, &actual)?, Value::new(&own, &actual)?);
    let intervals = value_bootstrap(&joint, &own, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED)?;
    let named = |intervals: Vec<_>| VALUE_LINES.iter().map(|line| line.0.to_owned()).zip(intervals).collect();
    Some(ValueReport {
        label: terms.labels.get(label).cloned().unwrap_or_default(),
        rows: actual.len() as u64,
        payers: actual.iter().filter(|value| **value > 0.0).count() as u64,
        mean: actual.iter().sum::<f64>() / actual.len() as f64,
        variance,
        joint: joint.figures()?,
        own_only: own.figures()?,
        own_all_rows: Value::new(&all, &actual).and_then(|value| value.figures()),
        intervals: named(intervals.joint),
        gain: named(intervals.gain),
        tenths: joint.tenths(),
        own_tenths: own.tenths(),
    })
}

fn money_report(joint: &[f64], own: &[f64], actual: &[f64], terms: Money) -> Option<MoneyReport> {
    let gain = profit_bootstrap(joint, own, actual, terms, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED)?;
    Some(MoneyReport { terms, joint: Profit::new(joint, actual, terms)?, own_only: Profit::new(own, actual, terms)?, gain })
}

/// Test users by channel; `rows` are their rows in the table.
fn channels(column: &Column, rows: &[usize], joint: &[f64], own: &[f64], actual: &[f64]) -> Channels {
    let name = |row: usize| match &column.values {
        Values::Number(values) if values[row].is_nan() => String::new(),
        Values::Number(values) => values[row].to_string(),
        Values::Text { codes, levels } => levels.get(codes[row] as usize).cloned().unwrap_or_default(),
    };
    let mut cells: BTreeMap<String, ChannelCell> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        let channel = name(*row);
        let cell = cells.entry(channel.clone()).or_insert_with(|| ChannelCell { channel, ..ChannelCell::default() });
        cell.users += 1;
        cell.payers += u64::from(actual[place] > 0.0);
        cell.predicted += joint[place];
        cell.own_predicted += own[place];
        cell.actual += actual[place];
    }
    let (mut shown, hidden): (Vec<ChannelCell>, Vec<ChannelCell>) =
        cells.into_values().partition(|cell| cell.users >= FEWEST_OF_A_CHANNEL && cell.payers >= FEWEST_PAYERS_OF_A_CHANNEL);
    for cell in &mut shown {
        let users = cell.users as f64;
        (cell.predicted, cell.own_predicted, cell.actual) = (cell.predicted / users, cell.own_predicted / users, cell.actual / users);
        if cell.channel.is_empty() {
            cell.channel = "(no value)".to_owned();
        }
    }
    shown.sort_by(|a, b| b.users.cmp(&a.users).then(a.channel.cmp(&b.channel)));
    Channels {
        column: column.name.clone(),
        cells: shown,
        hidden: hidden.len() as u64,
        hidden_users: hidden.iter().map(|cell| cell.users).sum(),
    }
}
