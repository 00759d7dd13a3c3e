//! The disclosure list: what a run may open, to whom. What is not listed here and in the job stays shared.

use std::fmt;

/// One thing that a run opens because both sides signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disclosure {
    /// One bit: the training converged and stayed in range.
    ConvergedAndInRange,
    /// What a scoring decides about each user to the owner: deciles, membership in the top share, yes or no; no score.
    DecisionsToOwner,
    /// Test metrics to the owner.
    MetricsToOwner,
    /// The number of common users, and which own rows they are, to both.
    OverlapToBoth,
    /// Standard errors of each side's weights to that side.
    OwnStandardErrors,
    /// Each side's weights to that side.
    OwnWeights,
    /// The variance of the logarithm of an amount around its prediction to the owner.
    ResidualVarianceToOwner,
    /// Scores to the owner: of the test users in a training, of all common users in a scoring.
    ScoresToOwner,
    /// Train or test of every matched row to the partner.
    SplitToPartner,
}

impl Disclosure {
    /// Every item, by name.
    pub const ALL: [Self; 9] = [
        Self::ConvergedAndInRange,
        Self::DecisionsToOwner,
        Self::MetricsToOwner,
        Self::OverlapToBoth,
        Self::OwnStandardErrors,
        Self::OwnWeights,
        Self::ResidualVarianceToOwner,
        Self::ScoresToOwner,
        Self::SplitToPartner,
    ];

    /// What every training opens; `task = "log_normal"` and `"hurdle"` open the residual variance too.
    pub const TRAINING: [Self; 4] = [Self::ConvergedAndInRange, Self::OverlapToBoth, Self::OwnWeights, Self::SplitToPartner];

    /// What a scoring opens.
    pub const SCORING: [Self; 2] = [Self::OverlapToBoth, Self::ScoresToOwner];

    /// What a scoring opens that keeps the scores shared.
    pub const DECIDING: [Self; 2] = [Self::OverlapToBoth, Self::DecisionsToOwner];

    /// The name in job files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConvergedAndInRange => "converged_and_in_range",
            Self::DecisionsToOwner => "decisions_to_owner",
            Self::MetricsToOwner => "metrics_to_owner",
            Self::OverlapToBoth => "overlap_to_both",
            Self::OwnStandardErrors => "own_standard_errors",
            Self::OwnWeights => "own_weights",
            Self::ResidualVarianceToOwner => "residual_variance_to_owner",
            Self::ScoresToOwner => "scores_to_owner",
            Self::SplitToPartner => "split_to_partner",
        }
    }

    /// The item of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|item| item.name() == name)
    }

    /// Who learns what, in a sentence for both companies' people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::ConvergedAndInRange => {
                "both sides learn two bits an end check, of which there are at most 1 + max_extra_steps for each trained part: whether the weights are near the optimum, and whether predictors stayed in range"
            }
            Self::DecisionsToOwner => {
                "the owner learns the listed decisions of a scoring (decile, top share, yes or no) about its users and no score: for each shared user whether the partner's part lifts it over a line that both parts draw together"
            }
            Self::MetricsToOwner => {
                "the owner learns the joint model's figures on the test rows (AUC, KS, recall, lift, calibration), from its labels and the test scores"
            }
            Self::OverlapToBoth => "both sides learn how many users they share and which of their own users these are",
            Self::OwnStandardErrors => {
                "each side learns how certain the model's weights on its own columns are: one number a weight, which also depends on how its columns correlate with the other side's"
            }
            Self::OwnWeights => {
                "each side learns the model's weights on its own columns, the owner also the intercept; the partner can rank its matched users by how likely the label is"
            }
            Self::ResidualVarianceToOwner => {
                "the owner learns how far the logarithms of its paying users' amounts lie from their predictions: one number a label, the mean square over the training users who pay"
            }
            Self::ScoresToOwner => {
                "the owner learns the joint score of every matched test user, in a scoring of every matched user: with its own weights, one linear function of the partner's columns for each of them; with task hurdle two, the log-odds to pay and the logarithm of the amount, and so many for each of several labels"
            }
            Self::SplitToPartner => "the partner learns which matched users train the model and which judge it",
        }
    }
}

impl fmt::Display for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
