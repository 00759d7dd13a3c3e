//! The part of a report about predicted amounts, further heads of a model, horizons, channels and money; as data and as text.

use super::number::{count, figure, plain, signed};
use super::text::{heading, line, table};
use super::{Details, Ordered, ReportData};
use crate::evaluation::{Interval, Money, Profit, Tenth, VALUE_LINES, ValueFigures};
use serde::{Deserialize, Serialize};

/// How well the amounts of one label are predicted on the test users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueReport {
    /// The label's column.
    pub label: String,
    /// Test users that are judged: all, or those who pay where the model is about them only.
    pub rows: u64,
    /// Of these, users with a label above 0.
    pub payers: u64,
    /// Mean of their labels.
    pub mean: f64,
    /// The variance of the payers' logarithms around their predictions, where the task needs it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variance: Option<f64>,
    /// The joint model.
    pub joint: ValueFigures,
    /// The owner's columns fitted on the same training rows.
    pub own_only: ValueFigures,
    /// The owner's columns fitted on all the owner's training rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub own_all_rows: Option<ValueFigures>,
    /// The joint model's figures with 95 % intervals.
    pub intervals: Ordered<Interval>,
    /// Joint minus own columns alone, with 95 % intervals.
    pub gain: Ordered<Interval>,
    /// Tenths of the users from the lowest predictions up: users, mean predicted, mean actual.
    pub tenths: Vec<Tenth>,
    /// The same by the own columns' predictions.
    pub own_tenths: Vec<Tenth>,
}

/// Weights of a further head: of a hurdle the amount, and so on for each further label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadReport {
    /// The label's column.
    pub label: String,
    /// Which head: `pays`, `log_amount`, ….
    pub head: String,
    /// The intercept, which the owner gets.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intercept: Option<f64>,
    /// The owner's weights on the standardised scale.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner_coefficients: Option<Ordered<f64>>,
    /// The partner's weights; of both sides together only in a rehearsal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partner_coefficients: Option<Ordered<f64>>,
}

/// Several labels of rising horizons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Horizons {
    /// The labels in their order.
    pub labels: Vec<String>,
    /// Share of the test users for whom a later prediction was below an earlier one, before it was raised to it.
    pub violations: f64,
    /// The same share of the labels themselves.
    pub label_violations: f64,
}

/// Test users of one channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelCell {
    /// The channel.
    pub channel: String,
    /// Its test users.
    pub users: u64,
    /// Of these, users with a label above 0.
    pub payers: u64,
    /// Mean of the predictions.
    pub predicted: f64,
    /// Mean of the labels.
    pub actual: f64,
    /// The mean of the predictions by the own columns alone.
    pub own_predicted: f64,
}

/// Test users by channel; small channels are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channels {
    /// The owner's column.
    pub column: String,
    /// Channels with at least 50 test users and 5 of them with a label above 0, the largest first.
    pub cells: Vec<ChannelCell>,
    /// Channels that are left out.
    pub hidden: u64,
    /// Their test users.
    pub hidden_users: u64,
}

/// What contacting the users with the highest predictions earns, on the test users together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyReport {
    /// What was assumed.
    pub terms: Money,
    /// By the joint model.
    pub joint: Profit,
    /// By the own columns alone.
    pub own_only: Profit,
    /// Joint minus own columns alone at each share, with 95 % intervals.
    pub gain: Vec<Interval>,
}

/// `.7055 (.6761 to .7325)`.
pub(super) fn interval_cell(interval: &Interval, decimals: usize) -> String {
    let text = |value| figure(value, decimals);
    format!("{} ({} to {})", text(interval.estimate), text(interval.lower), text(interval.upper))
}

/// The table of figures of one label, its head first.
pub(super) fn value_lines(value: &ValueReport, rival: &str) -> Vec<Vec<String>> {
    let mut head = vec![String::new(), "joint (95 % interval)".to_owned(), rival.to_owned()];
    head.extend(value.own_all_rows.map(|_| "own, all rows".to_owned()));
    head.push("gain (95 % interval)".to_owned());
    let mut lines = vec![head];
    for (name, words, decimals, of) in VALUE_LINES {
        let at = |intervals: &Ordered<Interval>| {
            let found = intervals.0.iter().find(|(other, _)| other == name);
            found.map_or_else(String::new, |(_, interval)| interval_cell(interval, decimals))
        };
        let mut cells = vec![words.to_owned(), at(&value.intervals), figure(of(&value.own_only), decimals)];
        cells.extend(value.own_all_rows.iter().map(|figures| figure(of(figures), decimals)));
        cells.push(at(&value.gain));
        lines.push(cells);
    }
    lines
}

/// The tenths of one label from the highest predictions down, their head first.
pub(super) fn tenth_lines(value: &ValueReport) -> Vec<Vec<String>> {
    let mut lines = vec![["tenth", "users", "predicted", "actual", "own: predicted", "own: actual"].map(str::to_owned).to_vec()];
    for (place, (joint, own)) in (1..).zip(value.tenths.iter().rev().zip(value.own_tenths.iter().rev())) {
        let name: String = if place == 1 { "1 (highest)".to_owned() } else { format!("{place}") };
        let money = |value: f64| figure(value, 2);
        lines.push(vec![
            name,
            count(joint.users.round() as u64),
            money(joint.predicted),
            money(joint.actual),
            money(own.predicted),
            money(own.actual),
        ]);
    }
    lines
}

/// One sentence about whom the figures of a label judge.
pub(super) fn value_title(value: &ValueReport) -> String {
    let variance = value.variance.map(|variance| format!("; variance of log amounts {}", figure(variance, 4))).unwrap_or_default();
    format!(
        "{}: {} test users, {} of them above 0, mean {}{variance}",
        plain(&value.label),
        count(value.rows),
        count(value.payers),
        figure(value.mean, 2)
    )
}

/// The lines about horizons.
pub(super) fn horizon_line(horizons: &Horizons) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    format!(
        "{}: a later prediction was below an earlier one for {} of the test users (of the labels: {}); it is raised to the earlier one in \
         scores and figures",
        horizons.labels.iter().map(|label| plain(label)).collect::<Vec<_>>().join(" ≤ "),
        percent(horizons.violations),
        percent(horizons.label_violations)
    )
}

/// The table of channels, its head first.
pub(super) fn channel_lines(channels: &Channels) -> Vec<Vec<String>> {
    let mut lines = vec![["channel", "users", "above 0", "predicted", "actual", "own: predicted"].map(str::to_owned).to_vec()];
    lines.extend(channels.cells.iter().map(|cell| {
        let mean = |value: f64| figure(value, 3);
        vec![plain(&cell.channel), count(cell.users), count(cell.payers), mean(cell.predicted), mean(cell.actual), mean(cell.own_predicted)]
    }));
    lines
}

/// What is said about channels that are left out.
pub(super) fn hidden_channels(channels: &Channels) -> Option<String> {
    (channels.hidden > 0).then(|| {
        format!(
            "{} with fewer than 50 test users or 5 above 0 left out, {} together",
            super::number::counted(channels.hidden, "channel"),
            super::number::counted(channels.hidden_users, "user")
        )
    })
}

/// The table of profits, its head first, and a sentence about the best shares.
pub(super) fn money_lines(money: &MoneyReport, rival: &str) -> (Vec<Vec<String>>, String) {
    let head = ["users contacted", "profit, joint", &format!("profit, {rival}"), "gain (95 % interval)"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let pairs = money.joint.by_share.iter().zip(&money.own_only.by_share).zip(&money.gain);
    lines.extend(pairs.map(|((joint, own), gain)| {
        vec![format!("{:.0} %", 100.0 * joint.share), figure(joint.profit, 2), figure(own.profit, 2), interval_cell(gain, 2)]
    }));
    let (joint, own) = (money.joint.best, money.own_only.best);
    let sentence = format!(
        "A contact costs {}, one unit of the label is worth {}. Best, chosen on the same users: {:.1} % of them by the joint model earn {}, {:.1} % by the {rival} {} (difference {})",
        figure(money.terms.cost, 2),
        figure(money.terms.value, 2),
        100.0 * joint.share,
        figure(joint.profit, 2),
        100.0 * own.share,
        figure(own.profit, 2),
        signed(joint.profit - own.profit, 2),
    );
    (lines, sentence)
}

/// The text of everything here, in the owner's report.
pub(super) fn text(out: &mut String, data: &ReportData) {
    if let Some(horizons) = &data.horizons {
        heading(out, "Horizons");
        line(out, &format!("  {}", horizon_line(horizons)));
    }
    for value in data.value.iter().chain(&data.earlier_values) {
        heading(out, &format!("Value: {}", value_title(value)));
        table(out, &value_lines(value, data.rival("label's mean")), true);
        line(out, "");
        table(out, &tenth_lines(value), true);
    }
    if let Some(channels) = &data.channels {
        heading(out, &format!("By channel (column {})", plain(&channels.column)));
        table(out, &channel_lines(channels), true);
        if let Some(hidden) = hidden_channels(channels) {
            line(out, &format!("  {hidden}"));
        }
    }
    if let Some(money) = &data.money {
        let (lines, sentence) = money_lines(money, data.rival("label's mean"));
        heading(out, "In money, on the test users");
        line(out, &format!("  {sentence}"));
        table(out, &lines, true);
    }
}

/// The title of a head's weights.
pub(super) fn head_title(head: &HeadReport, details: &Details) -> String {
    let label = if head.label == details.label { String::new() } else { format!("{}, ", plain(&head.label)) };
    format!("{label}{}", plain(&head.head).replace('_', " "))
}
