//! What a list of scores says about each user: its place, decile, membership in the top share, yes or no.
//!
//! Users are ranked from the highest score down over all that are scored, joint and own alike. Equal scores are ordered by the
//! canonical id, bytewise rising, so that the same users get the same answers whatever the order of the file.

use crate::contract::{ScoreOutput, ScoreTerms};
use rayon::prelude::*;

/// What is decided about each user of the owner's table; empty where it is not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// 1 for the highest tenth to 10 for the lowest.
    pub deciles: Vec<u8>,
    /// Whether a user is in the top share.
    pub top: Vec<bool>,
    /// Whether the score reaches the threshold.
    pub yes: Vec<bool>,
}

impl Decisions {
    /// Those that follow from known scores.
    #[must_use]
    pub fn of_scores(scores: &[f64], ids: &[String], terms: &ScoreTerms) -> Self {
        let lists = |output| terms.output.contains(&output);
        let ranked = lists(ScoreOutput::Decile) || lists(ScoreOutput::TopShare);
        let places = if ranked { places(scores, ids) } else { Vec::new() };
        let users = places.len();
        let top = terms.top_share.map(|share| top_users(share, users));
        Self {
            deciles: places.iter().filter(|_| lists(ScoreOutput::Decile)).map(|place| decile(*place, users)).collect(),
            top: top.map_or(Vec::new(), |top| places.iter().map(|place| (*place as usize) < top).collect()),
            yes: terms.threshold.map_or(Vec::new(), |threshold| scores.iter().map(|score| *score >= threshold).collect()),
        }
    }
}

/// The place of each user, 0 for the highest score.
#[must_use]
pub fn places(scores: &[f64], ids: &[String]) -> Vec<u32> {
    let id = |row: u32| ids.get(row as usize).map_or("", String::as_str);
    let score = |row: u32| scores.get(row as usize).copied().unwrap_or(f64::NAN);
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.par_sort_unstable_by(|a, b| score(*b).total_cmp(&score(*a)).then_with(|| id(*a).cmp(id(*b))));
    let mut places = vec![0; scores.len()];
    for (place, row) in (0..).zip(order) {
        places[row as usize] = place;
    }
    places
}

/// 1 for the highest tenth to 10 for the lowest: ⌊10·place/users⌋ + 1.
#[must_use]
pub fn decile(place: u32, users: usize) -> u8 {
    // Below 10, as place < users.
    (10 * u64::from(place) / users.max(1) as u64) as u8 + 1
}

/// How many users the top share holds: ⌊share·users⌋, where a product a rounding below a whole number counts as that number.
#[must_use]
pub fn top_users(share: f64, users: usize) -> usize {
    (share * users as f64 + 1e-6).floor() as usize
}
