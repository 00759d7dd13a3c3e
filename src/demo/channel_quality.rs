//! What the users of each acquisition channel are worth: an app and a payment firm.
//!
//! Two channels are new: no user of the past came through them, so the app's own columns say little about their users. The payment
//! firm knows these people.

use super::draws::{Draws, bit, count, sigmoid};
use super::{Person, Shape, Story};
use crate::contract::ScoreOutput;
use crate::data::IdKind;

/// A channel: its name, what an install costs, how wealthy its users are.
pub(super) struct Channel {
    pub(super) name: &'static str,
    pub(super) cost: f64,
    wealth: f64,
}

/// The channels of the past, then the new ones.
pub(super) const CHANNELS: [Channel; 6] = [
    Channel { name: "organic", cost: 0.0, wealth: 0.2 },
    Channel { name: "search", cost: 4.0, wealth: 0.1 },
    Channel { name: "video", cost: 3.0, wealth: -0.3 },
    Channel { name: "friends", cost: 2.0, wealth: 0.0 },
    Channel { name: "influencer", cost: 6.0, wealth: 1.0 },
    Channel { name: "rewarded", cost: 3.6, wealth: -1.0 },
];
const PAST_CHANNELS: usize = 4;

pub(super) const STORY: Story = Story {
    question: "Two new channels have brought their first users. What is a user of each channel worth within 90 days?",
    companies: "The app knows channels and first sessions; a payment firm knows how these people spend.",
    wanted: "payers",
    verb: "pay",
    task: "hurdle",
    channel: Some("channel"),
    shape: Shape {
        owner_header: "email,channel,sessions_3d,minutes_3d,screens_3d,push_allowed,device_price",
        labels: &["spend_90d"],
        partner_header: "mail,orders_90d,basket_mean,subscriptions,card_premium,refunds,categories,months_active",
        owner_id: "email",
        partner_id: "mail",
        id_kind: IdKind::Email,
        draw,
    },
    rows: 45_000,
    new_users: 24_000,
    output: &[ScoreOutput::Score],
    top_share: None,
    threshold: None,
};

fn draw(seed: u64, index: usize, new: bool) -> Person {
    let mut draws = Draws::of(seed, index);
    let channels = if new { CHANNELS.len() } else { PAST_CHANNELS };
    let channel = &CHANNELS[count(draws.unit() * channels as f64, 0, channels as u32 - 1) as usize];
    let (wealth, engagement) = (channel.wealth + draws.normal(), draws.normal());

    let sessions_3d = draws.about(1.6 + 0.5 * engagement, 0.4, 90);
    let minutes_3d = (3.2 + 0.6 * engagement + 0.5 * draws.normal()).exp();
    let screens_3d = draws.about(2.4 + 0.4 * engagement, 0.5, 400);
    let push_allowed = draws.chance(sigmoid(0.2 + 0.5 * engagement));
    let device_price = count((5.9 + 0.15 * wealth + 0.4 * draws.normal()).exp(), 80, 1_900);

    let orders_90d = draws.about(1.1 + 0.5 * wealth, 0.4, 90);
    let basket_mean = (3.3 + 0.45 * wealth + 0.35 * draws.normal()).exp();
    let subscriptions = count(1.2 + 0.7 * wealth + 0.7 * draws.normal(), 0, 8);
    let card_premium = draws.chance(sigmoid(1.1 * wealth - 1.6));
    let refunds = count(0.6 * f64::from(orders_90d) * draws.unit() * draws.unit(), 0, 30);
    let categories = count(1.0 + f64::from(orders_90d).sqrt() * (0.3 * draws.normal()).exp(), 1, 20);
    let months_active = count(22.0 + 6.0 * wealth + 12.0 * draws.normal(), 1, 90);

    let pays = draws.chance(sigmoid(-1.6 + 0.80 * wealth + 0.50 * engagement));
    let spend = if pays { (2.8 + 0.45 * wealth + 0.25 * engagement + 0.6 * draws.normal()).exp().max(0.99) } else { 0.0 };

    let id = draws.email();
    let spelt = if draws.chance(0.02) { id.to_ascii_uppercase() } else { id.clone() };
    Person {
        owner: format!("{id},{},{sessions_3d},{minutes_3d:.1},{screens_3d},{},{device_price}", channel.name, bit(push_allowed)),
        label: format!("{spend:.2}"),
        test: draws.chance(0.25),
        partner: format!(
            "{spelt},{orders_90d},{basket_mean:.2},{subscriptions},{},{refunds},{categories},{months_active}",
            bit(card_premium)
        ),
        outcome: spend,
        group: channel.name,
        id,
    }
}
