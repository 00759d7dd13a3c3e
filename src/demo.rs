//! Stories played on data made on the spot: invented users that two companies share, both real programs, and what came of it.
//!
//! A [`Scenario`] is a business question. [`play`] makes both companies' files, equal on every machine for a seed, trains with
//! both real programs on loopback, scores users that no model has seen, and compares the decisions with what those users did
//! later, which is known here because they are invented.

mod answer;
mod channel_quality;
mod draws;
mod files;
mod lifetime_value;
mod lost_user_recall;
mod play;
mod rta;
mod share_score;
mod vip_purchase;

use crate::contract::ScoreOutput;
use crate::data::IdKind;
use crate::error::{Exit, Failure};
use clap::ValueEnum;
pub use play::{Settings, main, play};

/// Fewest owner rows that still give both labels and a few test users.
pub const LEAST_ROWS: usize = 2_000;
/// Most owner rows: all files are made in memory.
pub const MOST_ROWS: usize = 1_000_000;

/// A business question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// Which new users get a coupon because they will buy VIP
    #[default]
    VipPurchase,
    /// Which lost users get a message because they will return
    LostUserRecall,
    /// For which devices to bid in real-time advertising
    Rta,
    /// Which users will invite others: a score for each
    ShareScore,
    /// What new users will spend within 7, 30 and 365 days
    LifetimeValue,
    /// What a user of each acquisition channel is worth
    ChannelQuality,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 6] =
        [Self::VipPurchase, Self::LostUserRecall, Self::Rta, Self::ShareScore, Self::LifetimeValue, Self::ChannelQuality];

    /// The name on the command line, of the example, and of the results folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VipPurchase => "vip_purchase",
            Self::LostUserRecall => "lost_user_recall",
            Self::Rta => "rta",
            Self::ShareScore => "share_score",
            Self::LifetimeValue => "lifetime_value",
            Self::ChannelQuality => "channel_quality",
        }
    }

    /// Owner's rows, unless asked otherwise.
    #[must_use]
    pub fn rows(self) -> usize {
        self.story().rows
    }

    fn story(self) -> &'static Story {
        match self {
            Self::VipPurchase => &vip_purchase::STORY,
            Self::LostUserRecall => &lost_user_recall::STORY,
            Self::Rta => &rta::STORY,
            Self::ShareScore => &share_score::STORY,
            Self::LifetimeValue => &lifetime_value::STORY,
            Self::ChannelQuality => &channel_quality::STORY,
        }
    }
}

/// What is told, to whom it happens, and what the owner wants to get.
struct Story {
    question: &'static str,
    companies: &'static str,
    /// Users with the label 1, and what they do.
    wanted: &'static str,
    verb: &'static str,
    /// The job's task.
    task: &'static str,
    /// The owner's column of channels.
    channel: Option<&'static str>,
    shape: Shape,
    /// Owner's rows of the training.
    rows: usize,
    /// Users that are decided about, where the training has `rows`.
    new_users: usize,
    /// The columns of the owner's decisions.
    output: &'static [ScoreOutput],
    top_share: Option<f64>,
    threshold: Option<f64>,
}

/// What both files look like.
struct Shape {
    /// The owner's header, without the label.
    owner_header: &'static str,
    /// The owner's label columns, the shortest horizon first.
    labels: &'static [&'static str],
    partner_header: &'static str,
    owner_id: &'static str,
    partner_id: &'static str,
    id_kind: IdKind,
    /// The user of a number; of the past, or one that is decided about.
    draw: fn(seed: u64, index: usize, new: bool) -> Person,
}

/// One invented user as both companies together would see it.
struct Person {
    /// The id in canonical form.
    id: String,
    /// The owner's line, without the label.
    owner: String,
    /// The owner's labels, known of users of the past.
    label: String,
    /// Whether the user, if of the past, is kept for the test.
    test: bool,
    /// The partner's line; the id may be spelt differently there.
    partner: String,
    /// What the user did in the end: 1 or 0, or an amount.
    outcome: f64,
    /// The group by which the story is told, such as a channel.
    group: &'static str,
}

fn check_rows(rows: usize) -> Result<(), Failure> {
    if (LEAST_ROWS..=MOST_ROWS).contains(&rows) {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, 740, format!("the demo has {LEAST_ROWS} to {MOST_ROWS} owner rows, {rows} were asked for")))
}

#[cfg(test)]
mod tests;
