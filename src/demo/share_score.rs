//! A score for sharing: a learning app and a messenger.
//!
//! About 7 % of the users invite somebody within a week. Each user gets a score and a decile; the app shows its invitation to the
//! highest ones.

use super::draws::{Draws, bit, count, sigmoid};
use super::{Person, Shape, Story};
use crate::contract::ScoreOutput;
use crate::data::IdKind;

/// Base log-odds of an invitation.
const BASE: f64 = -3.05;
/// Weight of sociability, which the partner sees.
const SOCIABILITY: f64 = 0.85;
/// Weight of satisfaction with the app, which the owner sees.
const SATISFACTION: f64 = 0.55;

pub(super) const STORY: Story = Story {
    question: "Which users of a learning app will invite somebody within a week, if they are asked to?",
    companies: "The app knows who likes it; a messenger knows who writes to many people.",
    wanted: "inviting users",
    verb: "invite",
    task: "logistic",
    channel: None,
    shape: Shape {
        owner_header: "email,lessons_7d,streak_days,rating_given,errors_share,premium,sessions_7d",
        labels: &["shared_within_7_days"],
        partner_header: "mail,contacts,groups,messages_7d,links_shared_7d,photos_7d,stories_7d,reply_minutes,account_months",
        owner_id: "email",
        partner_id: "mail",
        id_kind: IdKind::Email,
        draw,
    },
    rows: 36_000,
    new_users: 18_000,
    output: &[ScoreOutput::Score, ScoreOutput::Decile],
    top_share: None,
    threshold: None,
};

fn draw(seed: u64, index: usize, _new: bool) -> Person {
    let mut draws = Draws::of(seed, index);
    let (sociability, satisfaction) = (draws.normal(), draws.normal());

    let lessons_7d = draws.about(1.6 + 0.5 * satisfaction, 0.4, 120);
    let streak_days = draws.about(1.2 + 0.6 * satisfaction, 0.7, 365);
    let rating_given = count(3.6 + 0.8 * satisfaction + 0.7 * draws.normal(), 1, 5);
    let errors_share = (0.22 - 0.03 * satisfaction + 0.07 * draws.normal()).clamp(0.0, 1.0);
    let premium = draws.chance(sigmoid(-1.8 + 0.5 * satisfaction));
    let sessions_7d = draws.about(1.5 + 0.4 * satisfaction, 0.5, 150);

    let contacts = draws.about(4.4 + 0.5 * sociability, 0.5, 3_000);
    let groups = draws.about(1.6 + 0.5 * sociability, 0.5, 200);
    let messages_7d = draws.about(4.2 + 0.6 * sociability, 0.6, 5_000);
    let links_shared_7d = draws.about(0.5 + 0.6 * sociability, 0.5, 200);
    let photos_7d = draws.about(1.4 + 0.3 * sociability, 0.7, 500);
    let stories_7d = draws.about(0.1 + 0.4 * sociability, 0.7, 100);
    let reply_minutes = (2.6 - 0.2 * sociability + 0.7 * draws.normal()).exp();
    let account_months = count(40.0 + 18.0 * draws.normal(), 1, 150);

    let shares = draws.chance(sigmoid(BASE + SOCIABILITY * sociability + SATISFACTION * satisfaction));

    let id = draws.email();
    let spelt = if draws.chance(0.05) { format!(" {} ", id.to_ascii_uppercase()) } else { id.clone() };
    Person {
        owner: format!("{id},{lessons_7d},{streak_days},{rating_given},{errors_share:.3},{},{sessions_7d}", bit(premium)),
        label: bit(shares).to_string(),
        test: draws.chance(0.25),
        partner: format!(
            "{spelt},{contacts},{groups},{messages_7d},{links_shared_7d},{photos_7d},{stories_7d},{reply_minutes:.1},{account_months}"
        ),
        outcome: f64::from(bit(shares)),
        group: "",
        id,
    }
}
