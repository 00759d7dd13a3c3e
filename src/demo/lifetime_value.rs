//! What new users will be worth: a game and a payment firm.
//!
//! About one user in five pays within a year; most of the money comes from few of them. Three horizons of one match: what a user
//! spends within 7, 30 and 365 days.

use super::draws::{Draws, bit, count, sigmoid};
use super::{Person, Shape, Story};
use crate::contract::ScoreOutput;
use crate::data::IdKind;

/// Base log-odds of paying within a year.
const PAYS: f64 = -1.65;
/// Logarithm of a payer's typical spending.
const AMOUNT: f64 = 2.9;

pub(super) const STORY: Story = Story {
    question: "What will each new user of a game spend within 7, 30 and 365 days?",
    companies: "The game knows how they began to play; a payment firm knows how they pay for other things.",
    wanted: "payers",
    verb: "pay",
    task: "hurdle",
    channel: None,
    shape: Shape {
        owner_header: "email,sessions_3d,minutes_3d,level_reached,friends_invited,tutorial_done,device_price",
        labels: &["spend_7d", "spend_30d", "spend_365d"],
        partner_header: "mail,orders_90d,spend_90d,games_spend_90d,subscriptions,card_premium,refunds,months_active,night_share",
        owner_id: "email",
        partner_id: "mail",
        id_kind: IdKind::Email,
        draw,
    },
    rows: 45_000,
    new_users: 20_000,
    output: &[ScoreOutput::Score, ScoreOutput::Decile],
    top_share: None,
    threshold: None,
};

fn draw(seed: u64, index: usize, _new: bool) -> Person {
    let mut draws = Draws::of(seed, index);
    let (wealth, engagement) = (draws.normal(), draws.normal());

    let sessions_3d = draws.about(1.6 + 0.5 * engagement, 0.4, 90);
    let minutes_3d = (3.6 + 0.7 * engagement + 0.5 * draws.normal()).exp();
    let level_reached = count(6.0 + 3.0 * engagement + 2.0 * draws.normal(), 1, 40);
    let friends_invited = draws.about(-0.5 + 0.4 * engagement, 0.7, 30);
    let tutorial_done = draws.chance(sigmoid(1.0 + 0.8 * engagement));
    let device_price = count((5.9 + 0.2 * wealth + 0.4 * draws.normal()).exp(), 80, 1_900);

    let orders_90d = draws.about(1.1 + 0.5 * wealth, 0.5, 90);
    let spend_90d = f64::from(orders_90d) * (3.3 + 0.4 * wealth + 0.4 * draws.normal()).exp();
    let games_spend_90d = if draws.chance(sigmoid(-0.8 + 1.0 * wealth)) { (2.6 + 0.5 * wealth + 0.7 * draws.normal()).exp() } else { 0.0 };
    let subscriptions = count(1.2 + 0.7 * wealth + 0.8 * draws.normal(), 0, 8);
    let card_premium = draws.chance(sigmoid(1.1 * wealth - 1.6));
    let refunds = count(0.6 * f64::from(orders_90d) * draws.unit() * draws.unit(), 0, 30);
    let months_active = count(22.0 + 6.0 * wealth + 12.0 * draws.normal(), 1, 90);
    let night_share = (0.2 + 0.1 * draws.normal()).clamp(0.0, 1.0);

    let pays = draws.chance(sigmoid(PAYS + 0.85 * wealth + 0.55 * engagement));
    let year = if pays { (AMOUNT + 0.55 * wealth + 0.30 * engagement + 0.75 * draws.normal()).exp().max(0.99) } else { 0.0 };
    // Some pay in their first week, more in their first month.
    let week = if draws.chance(0.35) { 0.05 + 0.20 * draws.unit() } else { 0.0 };
    let month = week + if draws.chance(0.55) { 0.05 + 0.30 * draws.unit() } else { 0.0 };

    let id = draws.email();
    let spelt = if draws.chance(0.02) { id.to_ascii_uppercase() } else { id.clone() };
    Person {
        owner: format!("{id},{sessions_3d},{minutes_3d:.1},{level_reached},{friends_invited},{},{device_price}", bit(tutorial_done)),
        label: format!("{:.2},{:.2},{year:.2}", week * year, month * year),
        test: draws.chance(0.25),
        partner: format!(
            "{spelt},{orders_90d},{spend_90d:.2},{games_spend_90d:.2},{subscriptions},{},{refunds},{months_active},{night_share:.3}",
            bit(card_premium)
        ),
        outcome: year,
        group: "",
        id,
    }
}
