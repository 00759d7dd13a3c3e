//! What a run did, for its receipt: how many users were common, and what was opened, checked against the contract.

use crate::contract::receipt::Counted;
use crate::contract::{Disclosure, ScoreOutput, SharedJob, TaskTerms};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::run::{scores, split};
use crate::training::heads::Head;
use crate::training::opening::{self, Ledger};
use colift_channel::Kind;
use std::collections::BTreeMap;

/// What both sides' receipts say about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Common users.
    pub matched: u64,
    /// The ridge of a training as a number.
    pub l2: Option<String>,
    /// Opened items in the order of the run.
    pub opened: Vec<Counted>,
    /// How many of them, the first ones, an earlier attempt had opened: they crossed another link.
    pub opened_before: usize,
}

/// What a run ends with.
pub trait Ran {
    /// What its receipt says.
    fn facts(&self) -> &Facts;
}

/// Sizes on which the openings of a run depend, as one side knows them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening {
    pub(crate) matched: usize,
    pub(crate) test_users: usize,
    /// Users that are ranked on shares, in a scoring that opens decisions.
    pub(crate) ranked: usize,
    /// Own weights of each head, the owner's intercept among them.
    pub(crate) own_weights: usize,
    /// Heads, or in a scoring linear functions of each side's columns.
    pub(crate) functions: usize,
}

impl Facts {
    /// The facts of a run whose openings are exactly those of its contract.
    ///
    /// # Errors
    /// Exit code 18: something was opened more or less often, or with other sizes, than the contract says. No result is kept.
    pub(crate) fn new(ledger: &Ledger, shared: &SharedJob, side: Side, sizes: Opening) -> Result<Self, Failure> {
        for item in Disclosure::ALL {
            let entries: Vec<_> = ledger.opened().iter().filter(|entry| entry.item == item).collect();
            let found = (entries.len(), entries.iter().map(|entry| entry.learned).sum::<usize>());
            let (times, learned) = expected(shared, side, sizes, item);
            // Of the end checks the contract says how many there are at least and at most; each opens as many values.
            let most =
                if item == Disclosure::ConvergedAndInRange { 1 + shared.training().map_or(0, |terms| terms.max_extra_steps) } else { 1 };
            let fits = (times..=times * most as usize).contains(&found.0) && found.1 * times.max(1) == learned * found.0.max(1);
            if !fits {
                let what = format!(
                    "{item} was opened {} times with {} values to the {side}, the contract says {times} times and {learned}, at most \
                     {most}-fold",
                    found.0, found.1
                );
                return Err(Failure::new(Exit::Policy, 558, what).hint("no results are kept; this is a defect of the program: report it"));
            }
        }
        let counted = |entry: &crate::training::opening::Opened| Counted {
            item: entry.item.name().to_owned(),
            learned: entry.learned as u64,
            told: entry.told as u64,
        };
        let matched = if matches!(shared.terms().task, TaskTerms::Overlap) { 0 } else { sizes.matched };
        Ok(Self { matched: matched as u64, l2: None, opened: ledger.opened().iter().map(counted).collect(), opened_before: 0 })
    }

    /// Whether as many messages of openings crossed the wire as the list holds; `sent` and `received` count messages by kind.
    ///
    /// # Errors
    /// Exit code 18: something was opened that the list does not hold. No result is kept.
    pub fn check_wire(&self, side: Side, sent: &BTreeMap<u16, u64>, received: &BTreeMap<u16, u64>) -> Result<(), Failure> {
        let mut expected = [BTreeMap::<u16, u64>::new(), BTreeMap::new()];
        let of = |item: &str, kind: Kind, owner: u64, partner: u64| {
            let (own, peer) = if side == Side::Owner { (owner, partner) } else { (partner, owner) };
            let entries = self.opened.iter().skip(self.opened_before).filter(|counted| counted.item == item);
            (
                kind.code,
                entries.clone().count() as u64,
                own,
                peer,
                entries.map(|counted| counted.learned.max(counted.told)).collect::<Vec<_>>(),
            )
        };
        // Messages of one opening by the owner and by the partner.
        let all = [
            of(Disclosure::OwnWeights.name(), opening::WEIGHTS, 1, 1),
            of(Disclosure::OwnStandardErrors.name(), opening::VARIANCES, 1, 1),
            of(Disclosure::ConvergedAndInRange.name(), opening::CHECK, 1, 1),
            of(Disclosure::ResidualVarianceToOwner.name(), opening::RESIDUALS, 0, 1),
            of(Disclosure::SplitToPartner.name(), split::SPLIT, 1, 0),
            of(Disclosure::ScoresToOwner.name(), scores::SCORES, 0, 1),
            of(Disclosure::DecisionsToOwner.name(), opening::DECISIONS, 0, 1),
        ];
        for (code, times, own, peer, sizes) in all {
            let in_frames_of = |rows: usize| sizes.iter().map(|size| size.div_ceil(rows as u64)).sum();
            let frames = match code {
                _ if code == scores::SCORES.code => in_frames_of(scores::FRAME_ROWS),
                _ if code == opening::DECISIONS.code => in_frames_of(opening::DECISION_FRAME),
                _ => times,
            };
            for (map, messages) in expected.iter_mut().zip([own * frames, peer * frames]) {
                if messages > 0 {
                    map.insert(code, messages);
                }
            }
        }
        let seen =
            |map: &BTreeMap<u16, u64>| map.range(opening::OPENING_KINDS).map(|(code, count)| (*code, *count)).collect::<BTreeMap<_, _>>();
        for (map, expected) in [sent, received].into_iter().zip(&expected) {
            let seen = seen(map);
            if seen != *expected {
                let what =
                    format!("messages that open values crossed the wire by kind as {seen:?}, the list of opened values has {expected:?}");
                return Err(Failure::new(Exit::Policy, 557, what).hint("no results are kept; this is a defect of a program: report it"));
            }
        }
        Ok(())
    }
}

/// How often an item is opened in a run, and how many values this side learns by it in all.
fn expected(shared: &SharedJob, side: Side, sizes: Opening, item: Disclosure) -> (usize, usize) {
    if !shared.reveals(item) {
        return (0, 0);
    }
    let owner = side == Side::Owner;
    let to_owner = |values: usize| if owner { values } else { 0 };
    let scored = match &shared.terms().task {
        TaskTerms::Overlap => return (1, 1),
        TaskTerms::Score(_) => sizes.matched,
        TaskTerms::Train(_) => sizes.test_users,
    };
    let heads = shared.training().map_or(0, |terms| Head::all(terms).count());
    let variances = shared.training().map_or(0, |terms| Head::all(terms).filter(|(_, head)| *head == Head::LogAmount).count());
    match item {
        Disclosure::OverlapToBoth => (1, sizes.matched),
        Disclosure::SplitToPartner => (1, if owner { 0 } else { sizes.matched }),
        Disclosure::OwnWeights | Disclosure::OwnStandardErrors => (heads, heads * sizes.own_weights),
        Disclosure::ConvergedAndInRange => (heads, 2 * heads),
        Disclosure::ResidualVarianceToOwner => (variances, to_owner(variances)),
        Disclosure::ScoresToOwner => (sizes.functions, to_owner(sizes.functions * scored)),
        Disclosure::DecisionsToOwner => {
            let columns = || shared.score().into_iter().flat_map(|terms| &terms.output);
            let users = |column: &ScoreOutput| if *column == ScoreOutput::YesNo { sizes.matched } else { sizes.ranked };
            (columns().count(), to_owner(columns().map(users).sum()))
        }
        Disclosure::MetricsToOwner => (1, to_owner(1)),
    }
}
