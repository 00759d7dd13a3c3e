//! Bids in real-time advertising: a shop and a source of advertising data.
//!
//! About 2 % of the shown advertisements lead to a purchase. The shop answers yes or no for each device; yes where the expected
//! value of a purchase exceeds the price of showing the advertisement.

use super::draws::{Draws, bit, count, sigmoid};
use super::{Person, Shape, Story};
use crate::contract::ScoreOutput;
use crate::data::IdKind;

/// What the shop earns by a purchase, in its currency.
pub(super) const PURCHASE: f64 = 40.0;
/// What it pays to show the advertisement to one device for a day.
pub(super) const PRICE: f64 = 1.0;

/// Base log-odds of a purchase.
const BASE: f64 = -4.55;
/// Weight of the intention to buy, which the partner sees.
const INTENTION: f64 = 0.95;
/// Weight of loyalty to the shop, which the owner sees.
const LOYALTY: f64 = 0.50;

pub(super) const STORY: Story = Story {
    question: "For which devices should a shop bid, if an advertisement costs 1.00 and a purchase earns 40.00?",
    companies: "The shop knows its former buyers' devices; a source of advertising data knows what they look at now.",
    wanted: "buyers",
    verb: "buy",
    task: "logistic",
    channel: None,
    shape: Shape {
        owner_header: "device,days_since_order,orders_365d,basket_mean,newsletter,returns_share,app_opens_30d",
        labels: &["bought_after_advert"],
        partner_header: "idfa,shops_visited_7d,category_pages_7d,price_comparisons_7d,adverts_seen_7d,clicks_7d,wifi_share,night_share,device_age_months",
        owner_id: "device",
        partner_id: "idfa",
        id_kind: IdKind::Device,
        draw,
    },
    rows: 48_000,
    new_users: 24_000,
    output: &[ScoreOutput::YesNo],
    top_share: None,
    threshold: Some(PRICE / PURCHASE),
};

fn draw(seed: u64, index: usize, _new: bool) -> Person {
    let mut draws = Draws::of(seed, index);
    let (intention, loyalty) = (draws.normal(), draws.normal());

    let days_since_order = count((4.2 - 0.4 * loyalty + 0.7 * draws.normal()).exp(), 1, 700);
    let orders_365d = 1 + draws.about(0.5 + 0.5 * loyalty, 0.4, 80);
    let basket_mean = (3.7 + 0.1 * loyalty + 0.5 * draws.normal()).exp();
    let newsletter = draws.chance(sigmoid(-0.4 + 0.7 * loyalty));
    let returns_share = (0.12 - 0.02 * loyalty + 0.08 * draws.normal()).clamp(0.0, 1.0);
    let app_opens_30d = draws.about(0.6 + 0.6 * loyalty, 0.5, 200);

    let shops_visited_7d = draws.about(1.2 + 0.5 * intention, 0.4, 90);
    let category_pages_7d = draws.about(1.9 + 0.6 * intention, 0.5, 400);
    let price_comparisons_7d = draws.about(0.2 + 0.6 * intention, 0.5, 60);
    let adverts_seen_7d = draws.about(3.6, 0.6, 900);
    let clicks_7d = draws.about(0.1 + 0.3 * intention, 0.7, 60);
    let wifi_share = (0.6 + 0.2 * draws.normal()).clamp(0.0, 1.0);
    let night_share = (0.2 + 0.1 * draws.normal()).clamp(0.0, 1.0);
    let device_age_months = count(18.0 + 9.0 * draws.normal(), 0, 80);

    let buys = draws.chance(sigmoid(BASE + INTENTION * intention + LOYALTY * loyalty));

    let id = draws.device();
    let spelt = if draws.chance(0.5) { id.to_ascii_uppercase() } else { id.clone() };
    Person {
        owner: format!("{id},{days_since_order},{orders_365d},{basket_mean:.2},{},{returns_share:.3},{app_opens_30d}", bit(newsletter)),
        label: bit(buys).to_string(),
        test: draws.chance(0.25),
        partner: format!(
            "{spelt},{shops_visited_7d},{category_pages_7d},{price_comparisons_7d},{adverts_seen_7d},{clicks_7d},{wifi_share:.3},{night_share:.3},\
             {device_age_months}"
        ),
        outcome: f64::from(bit(buys)),
        group: "",
        id,
    }
}
