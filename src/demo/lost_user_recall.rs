//! Messages to lost users: an app and a telephone company's usage data.
//!
//! About 3 % of the lost users come back within a week of a message. Among the fifth that the joint model chooses it is about 8 %.

use super::draws::{Draws, bit, count, sigmoid};
use super::{Person, Shape, Story};
use crate::contract::ScoreOutput;
use crate::data::IdKind;

/// Base log-odds of a return.
const BASE: f64 = -4.28;
/// Weight of leisure: how much time a person spends with apps now, which the partner sees.
const LEISURE: f64 = 1.10;
/// Weight of attachment to the app, which the owner saw before the user left.
const ATTACHMENT: f64 = 0.62;
/// Weight of each doubling of the days since the last login.
const ABSENCE: f64 = -0.30;

pub(super) const STORY: Story = Story {
    question: "An app may send a message to one lost user in five (no login for 7 days). Who comes back within a week of it?",
    companies: "The app knows what they did before they left; a telephone company knows how they use their telephone now.",
    wanted: "returning users",
    verb: "return",
    task: "logistic",
    channel: None,
    shape: Shape {
        owner_header: "phone,days_since_login,logins_30d_before,friends,purchases,level_reached,push_allowed",
        labels: &["returned_after_message"],
        partner_header: "msisdn,app_hours_7d,games_installed,data_gb_30d,evening_share,new_phone,competitor_hours_7d,top_ups_90d,roaming_days",
        owner_id: "phone",
        partner_id: "msisdn",
        id_kind: IdKind::Phone,
        draw,
    },
    rows: 96_000,
    new_users: 48_000,
    output: &[ScoreOutput::Score, ScoreOutput::TopShare],
    top_share: Some(0.2),
    threshold: None,
};

fn draw(seed: u64, index: usize, _new: bool) -> Person {
    let mut draws = Draws::of(seed, index);
    let (leisure, attachment) = (draws.normal(), draws.normal());

    let days_since_login = 7 + count((2.4 + 0.9 * draws.normal()).exp(), 0, 180);
    let logins_30d_before = draws.about(1.8 + 0.5 * attachment, 0.4, 120);
    let friends = draws.about(1.2 + 0.5 * attachment, 0.6, 200);
    let purchases = draws.about(-0.6 + 0.5 * attachment, 0.6, 30);
    let level_reached = count(12.0 + 5.0 * attachment + 4.0 * draws.normal(), 1, 60);
    let push_allowed = draws.chance(sigmoid(0.3 + 0.4 * attachment));

    let app_hours_7d = (1.9 + 0.55 * leisure + 0.3 * draws.normal()).exp();
    let games_installed = draws.about(1.3 + 0.45 * leisure, 0.4, 60);
    let data_gb_30d = (1.5 + 0.35 * leisure + 0.5 * draws.normal()).exp();
    let evening_share = (0.42 + 0.06 * leisure + 0.08 * draws.normal()).clamp(0.0, 1.0);
    let new_phone = draws.chance(sigmoid(-2.2 + 0.2 * leisure));
    let competitor_hours_7d = (0.4 + 0.3 * leisure + 0.7 * draws.normal()).exp();
    let top_ups_90d = draws.about(0.9, 0.6, 40);
    let roaming_days = draws.about(-0.4, 0.9, 60);

    let weeks = (f64::from(days_since_login) / 7.0).log2();
    let odds = BASE + LEISURE * leisure + ATTACHMENT * attachment + ABSENCE * (weeks - 1.5);
    let returns = draws.chance(sigmoid(odds));

    let id = draws.phone();
    // The telephone company prints some numbers in groups.
    let spelt = if draws.chance(0.2) { id.replacen("+1555", "+1 (555) ", 1) } else { id.clone() };
    Person {
        owner: format!("{id},{days_since_login},{logins_30d_before},{friends},{purchases},{level_reached},{}", bit(push_allowed)),
        label: bit(returns).to_string(),
        test: draws.chance(0.25),
        partner: format!(
            "{spelt},{app_hours_7d:.2},{games_installed},{data_gb_30d:.2},{evening_share:.3},{},{competitor_hours_7d:.2},{top_ups_90d},{roaming_days}",
            bit(new_phone)
        ),
        outcome: f64::from(bit(returns)),
        group: "",
        id,
    }
}
