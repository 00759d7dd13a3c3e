//! What a story's decisions were worth: the joint model against the owner's own columns and against chance.

use super::play::Decided;
use super::{Scenario, Story, channel_quality, rta};
use crate::data::wording::grouped;
use crate::report::{ReportData, ValueReport};
use crate::scoring::rank::top_users;

/// One way to choose users.
struct Choice {
    by: &'static str,
    users: f64,
    hits: f64,
}

/// The answer to a scenario's question, in lines.
pub(super) fn text(scenario: Scenario, report: &ReportData, decided: &[Decided]) -> String {
    let all = Choice { by: "all of them", users: decided.len() as f64, hits: decided.iter().map(|user| user.outcome).sum() };
    let story = scenario.story();
    let mut lines = vec![String::new(), story.question.to_owned()];
    lines.extend(if story.task == "logistic" { past(scenario, report).into_iter().collect() } else { past_amounts(report) });
    lines.push(format!("{} new users, and what they did later:", grouped(decided.len() as u64)));
    match scenario {
        Scenario::VipPurchase | Scenario::LostUserRecall => lines.extend(table(story.verb, &top(scenario, decided, all), None)),
        Scenario::Rta => lines.extend(table(story.verb, &bids(decided, all), Some((rta::PRICE, rta::PURCHASE)))),
        Scenario::ShareScore => lines.extend(deciles(story.verb, decided)),
        Scenario::LifetimeValue => lines.extend(amounts(&last_score(story), decided)),
        Scenario::ChannelQuality => lines.extend(channels(&last_score(story), decided)),
    }
    lines.join("\n")
}

/// What the report says about users of the past that no model has seen.
fn past(scenario: Scenario, report: &ReportData) -> Option<String> {
    let (joint, own) = report.test.zip(report.own_only)?;
    let (share, joint, own, lifts) = match scenario {
        Scenario::VipPurchase => (0.4, joint.recall_at_40, own.recall_at_40, Some((joint.lift_at_40, own.lift_at_40))),
        _ => (0.2, joint.recall_at_20, own.recall_at_20, None),
    };
    let (joint_lift, own_lift) = lifts.unwrap_or((joint / share, own / share));
    Some(format!(
        "{} shared users of the past kept for the test: the {:.0} % with the highest scores hold {:.3} of the {} by the joint model (lift {:.3}), \
         {:.3} by own columns (lift {:.3}), {:.3} by chance",
        grouped(report.test_rows),
        100.0 * share,
        joint,
        scenario.story().wanted,
        joint_lift,
        own,
        own_lift,
        share
    ))
}

/// The same of predicted amounts, label by label.
fn past_amounts(report: &ReportData) -> Vec<String> {
    let line = |value: &ValueReport| {
        format!(
            "{} shared users of the past kept for the test, {}: normalised Gini {:.3} by the joint model, {:.3} by own columns; the fifth with \
             the highest predictions spends {:.3} of all by the joint model, {:.3} by own columns, 0.200 by chance",
            grouped(value.rows),
            value.label,
            value.joint.gini,
            value.own_only.gini,
            value.joint.share_top20,
            value.own_only.share_top20
        )
    };
    report.earlier_values.iter().chain(&report.value).map(line).collect()
}

/// The share that the job releases, by the joint model and by own columns.
fn top(scenario: Scenario, decided: &[Decided], all: Choice) -> [Choice; 4] {
    let share = scenario.story().top_share.unwrap_or(1.0);
    let chosen = |user: &&Decided| user.cells.get("top_share").is_some_and(|cell| cell == "yes");
    let joint: Vec<&Decided> = decided.iter().filter(chosen).collect();
    let mut by_own = highest_first(decided, |user| user.own);
    by_own.truncate(top_users(share, decided.len()));
    let random = Choice { by: "chance", users: share * all.users, hits: share * all.hits };
    [sum("joint model", &joint), sum("own columns", &by_own), random, all]
}

/// The devices with a yes.
fn bids(decided: &[Decided], all: Choice) -> [Choice; 3] {
    let joint: Vec<&Decided> = decided.iter().filter(|user| user.cells.get("yes_no").is_some_and(|cell| cell == "yes")).collect();
    let own: Vec<&Decided> = decided.iter().filter(|user| user.own >= rta::PRICE / rta::PURCHASE).collect();
    [sum("joint model", &joint), sum("own columns", &own), all]
}

fn sum(by: &'static str, users: &[&Decided]) -> Choice {
    Choice { by, users: users.len() as f64, hits: users.iter().map(|user| user.outcome).sum() }
}

/// One line a choice; `money` are the price of a user and the value of a hit.
fn table(verb: &str, choices: &[Choice], money: Option<(f64, f64)>) -> Vec<String> {
    let all = choices.last().map_or((1.0, 1.0), |all| (all.users.max(1.0), all.hits.max(1.0)));
    let line = |choice: &Choice| {
        let rate = choice.hits / choice.users.max(1.0);
        let mut line = format!(
            "  {:<12} {:>8} users  {:>6} {verb}  {:>6.2} % of them  {:>5.1} % of all who {verb}  lift {:.3}",
            choice.by,
            grouped(choice.users.round() as u64),
            grouped(choice.hits.round() as u64),
            100.0 * rate,
            100.0 * choice.hits / all.1,
            rate / (all.1 / all.0)
        );
        if let Some((price, value)) = money {
            line += &format!("  profit {:.2}", value * choice.hits - price * choice.users);
        }
        line
    };
    choices.iter().map(line).collect()
}

/// Ten lines: the rate in each decile of the scores.
fn deciles(verb: &str, decided: &[Decided]) -> Vec<String> {
    let by_own = highest_first(decided, |user| user.own);
    let rate = |users: &[&Decided]| 100.0 * users.iter().map(|user| user.outcome).sum::<f64>() / users.len().max(1) as f64;
    let line = |decile: usize| {
        let name = decile.to_string();
        let joint: Vec<&Decided> = decided.iter().filter(|user| user.cells.get("decile") == Some(&name)).collect();
        let (from, to) = ((decile - 1) * by_own.len() / 10, decile * by_own.len() / 10);
        let own = by_own.get(from..to).unwrap_or_default();
        format!("  decile {decile:>2}  {:>6.2} % {verb} by the joint model's order, {:>6.2} % by own columns'", rate(&joint), rate(own))
    };
    (1..=10).map(line).collect()
}

/// The column of the last label's predictions.
fn last_score(story: &Story) -> String {
    match story.shape.labels {
        [_] => "score".to_owned(),
        labels => format!("score_{}", labels.last().copied().unwrap_or_default()),
    }
}

fn predicted(user: &Decided, column: &str) -> f64 {
    user.cells.get(column).and_then(|cell| cell.parse().ok()).unwrap_or(f64::NAN)
}

/// Users by a number, the highest first.
fn highest_first(decided: &[Decided], by: impl Fn(&Decided) -> f64) -> Vec<&Decided> {
    let mut users: Vec<&Decided> = decided.iter().collect();
    users.sort_by(|a, b| by(b).total_cmp(&by(a)));
    users
}

fn mean(users: &[&Decided], of: impl Fn(&Decided) -> f64) -> f64 {
    users.iter().map(|user| of(user)).sum::<f64>() / users.len().max(1) as f64
}

/// Ten lines: predicted and actual amount in each tenth of the predictions.
fn amounts(column: &str, decided: &[Decided]) -> Vec<String> {
    let (joint, own) = (highest_first(decided, |user| predicted(user, column)), highest_first(decided, |user| user.own));
    let tenth = |list: &[&'_ Decided], decile: usize| (decile * list.len() / 10)..((decile + 1) * list.len() / 10);
    let line = |decile: usize| {
        let (by_joint, by_own) = (joint.get(tenth(&joint, decile)).unwrap_or_default(), own.get(tenth(&own, decile)).unwrap_or_default());
        format!(
            "  tenth {:>2}  predicted {:>7.2} a user, spent {:>7.2}; in the order of own columns spent {:>7.2}",
            decile + 1,
            mean(by_joint, |user| predicted(user, column)),
            mean(by_joint, |user| user.outcome),
            mean(by_own, |user| user.outcome)
        )
    };
    let mut lines: Vec<String> = (0..10).map(line).collect();
    let all: f64 = decided.iter().map(|user| user.outcome).sum();
    let top = |list: &[&Decided]| list.iter().take(list.len() / 5).map(|user| user.outcome).sum::<f64>() / all.max(f64::MIN_POSITIVE);
    lines.push(format!(
        "  the best fifth spends {:.1} % of all by the joint model, {:.1} % by own columns, 20.0 % by chance; predicted in all {:.3} of what was spent",
        100.0 * top(&joint),
        100.0 * top(&own),
        decided.iter().map(|user| predicted(user, column)).sum::<f64>() / all.max(f64::MIN_POSITIVE)
    ));
    lines
}

/// One line a channel: what its users are worth, predicted and in the end, against what an install costs.
fn channels(column: &str, decided: &[Decided]) -> Vec<String> {
    let line = |channel: &channel_quality::Channel| {
        let users: Vec<&Decided> = decided.iter().filter(|user| user.group == channel.name).collect();
        let (joint, own, spent) =
            (mean(&users, |user| predicted(user, column)), mean(&users, |user| user.own), mean(&users, |user| user.outcome));
        let pays = |value: f64| if value >= channel.cost { "pays" } else { "does not pay" };
        format!(
            "  {:<10} {:>6} users  joint model {joint:>6.2}  own columns {own:>6.2}  spent {spent:>6.2}  an install costs {:.2}: {} by the joint model, \
             {} by own columns, {} in the end",
            channel.name,
            grouped(users.len() as u64),
            channel.cost,
            pays(joint),
            pays(own),
            pays(spent)
        )
    };
    channel_quality::CHANNELS.iter().map(line).collect()
}
