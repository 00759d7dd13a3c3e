//! What a story's decisions were worth: the joint model against the owner's own columns and against chance.

use super::play::Decided;
use super::{Scenario, rta};
use crate::data::wording::grouped;
use crate::report::ReportData;
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
    lines.extend(past(scenario, report));
    lines.push(format!("{} new users, and what they did later:", grouped(decided.len() as u64)));
    match scenario {
        Scenario::VipPurchase | Scenario::LostUserRecall => lines.extend(table(story.verb, &top(scenario, decided, all), None)),
        Scenario::Rta => lines.extend(table(story.verb, &bids(decided, all), Some((rta::PRICE, rta::PURCHASE)))),
        Scenario::ShareScore => lines.extend(deciles(story.verb, decided)),
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

/// The share that the job releases, by the joint model and by own columns.
fn top(scenario: Scenario, decided: &[Decided], all: Choice) -> [Choice; 4] {
    let share = scenario.story().top_share.unwrap_or(1.0);
    let chosen = |user: &&Decided| user.cells.get("top_share").is_some_and(|cell| cell == "yes");
    let joint: Vec<&Decided> = decided.iter().filter(chosen).collect();
    let mut by_own: Vec<&Decided> = decided.iter().collect();
    by_own.sort_by(|a, b| b.own.total_cmp(&a.own));
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
    let mut by_own: Vec<&Decided> = decided.iter().collect();
    by_own.sort_by(|a, b| b.own.total_cmp(&a.own));
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
