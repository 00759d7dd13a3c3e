//! Coupons for new users who will buy VIP: an app and a payment firm.
//!
//! About 9 % of the users buy. On the shared users a joint model that targets 40 % finds about .67 of the buyers, the owner's
//! columns alone about .55: wealth decides most, and the payment firm sees it better than the app.

use super::draws::{Draws, bit, count, sigmoid};
use super::{Person, Shape, Story};
use crate::contract::ScoreOutput;
use crate::data::IdKind;

/// Base log-odds of a purchase.
const BASE: f64 = -2.71;
/// Weight of wealth, which the partner sees better.
const WEALTH: f64 = 0.90;
/// Weight of engagement, which only the owner sees.
const ENGAGEMENT: f64 = 0.25;
/// Weight of a paid install, which only the owner sees.
const PAID: f64 = 0.15;

pub(super) const STORY: Story = Story {
    question: "An app gives 40 % of its new users a coupon. Which ones will buy VIP within 30 days?",
    companies: "An app knows what users do inside it; a payment firm knows what they spend elsewhere.",
    wanted: "buyers",
    verb: "buy",
    task: "logistic",
    channel: None,
    shape: Shape {
        owner_header: "email,sessions_7d,days_since_install,level_reached,ad_clicks,device_price,channel_paid",
        labels: &["vip_within_30_days"],
        partner_header: "mail,orders_90d,spend_90d,refunds,subscriptions,card_premium,weekday_share,categories,months_active",
        owner_id: "email",
        partner_id: "mail",
        id_kind: IdKind::Email,
        draw,
    },
    rows: 24_000,
    new_users: 12_000,
    output: &[ScoreOutput::Score, ScoreOutput::TopShare],
    top_share: Some(0.4),
    threshold: None,
};

fn draw(seed: u64, index: usize, _new: bool) -> Person {
    let mut draws = Draws::of(seed, index);
    let (wealth, engagement) = (draws.normal(), draws.normal());

    let days_since_install = 1 + count(30.0 * draws.unit(), 0, 29);
    let sessions_7d = count((1.7 + 0.5 * engagement + 0.4 * draws.normal()).exp(), 0, 150);
    let level_reached = count(4.0 + 0.4 * f64::from(days_since_install) + 3.0 * engagement + 2.0 * draws.normal(), 1, 60);
    let ad_clicks = count((0.6 - 0.2 * engagement + 0.7 * draws.normal()).exp(), 0, 40);
    let device_price = count((5.9 + 0.2 * wealth + 0.4 * draws.normal()).exp(), 80, 1_900);
    let channel_paid = draws.chance(0.42);

    let orders_90d = count((1.1 + 0.6 * wealth + 0.5 * draws.normal()).exp(), 0, 90);
    let basket = (3.3 + 0.4 * wealth + 0.4 * draws.normal()).exp();
    let refunds = count(0.8 * f64::from(orders_90d) * draws.unit() * draws.unit(), 0, 30);
    let subscriptions = count(1.3 + 0.8 * wealth + 0.8 * draws.normal(), 0, 6);
    let card_premium = draws.chance(sigmoid(1.2 * wealth - 1.6));
    let weekday_share = (0.64 + 0.12 * draws.normal()).clamp(0.0, 1.0);
    let categories = count(1.0 + f64::from(orders_90d).sqrt() * (0.3 * draws.normal()).exp(), 1, 20);
    let months_active = count(22.0 + 6.0 * wealth + 12.0 * draws.normal(), 1, 72);

    let odds = BASE + WEALTH * wealth + ENGAGEMENT * engagement + if channel_paid { PAID } else { 0.0 };
    let buys = draws.chance(sigmoid(odds));

    let id = draws.email();
    // Some users spelt themselves in capitals at the payment firm.
    let spelt = if draws.chance(0.02) { id.to_ascii_uppercase() } else { id.clone() };
    let spend_90d = f64::from(orders_90d) * basket;
    Person {
        owner: format!("{id},{sessions_7d},{days_since_install},{level_reached},{ad_clicks},{device_price},{}", bit(channel_paid)),
        label: bit(buys).to_string(),
        test: draws.chance(0.25),
        partner: format!(
            "{spelt},{orders_90d},{spend_90d:.2},{refunds},{subscriptions},{},{weekday_share:.4},{categories},{months_active}",
            bit(card_premium)
        ),
        outcome: f64::from(bit(buys)),
        group: "",
        id,
    }
}
