//! Scores sorted once, tied scores in one group: AUC, KS, recall and lift follow from the groups.

/// Rows of equal score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Group {
    /// Rows with label 1.
    pub(crate) positives: f64,
    /// Rows with label 0.
    pub(crate) negatives: f64,
    /// Sum of the scores of the rows.
    pub(crate) score_sum: f64,
}

impl Group {
    pub(crate) fn rows(&self) -> f64 {
        self.positives + self.negatives
    }
}

/// Scores and labels from the highest score down.
#[derive(Clone, Debug)]
pub struct Ranking {
    pub(crate) groups: Vec<Group>,
    pub(crate) positives: f64,
    pub(crate) negatives: f64,
}

impl Ranking {
    /// Sorts scores with their labels; `None` where there is one class only (or no row), or a score is not a number.
    pub fn new(scores: &[f64], labels: &[bool]) -> Option<Self> {
        if scores.len() != labels.len() || scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        let mut rows: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
        rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let groups: Vec<Group> = rows
            .chunk_by(|a, b| a.0 == b.0)
            .map(|tied| {
                let positives = tied.iter().filter(|row| row.1).count() as f64;
                Group { positives, negatives: tied.len() as f64 - positives, score_sum: tied.iter().map(|row| row.0).sum() }
            })
            .collect();
        let positives: f64 = groups.iter().map(|group| group.positives).sum();
        let negatives = rows.len() as f64 - positives;
        (positives > 0.0 && negatives > 0.0).then_some(Self { groups, positives, negatives })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        (self.positives + self.negatives) as usize
    }

    /// Area under the ROC curve: the chance that a positive scores above a negative, a tie counting one half.
    pub fn auc(&self) -> f64 {
        let (mut below, mut wins) = (self.negatives, 0.0);
        for group in &self.groups {
            below -= group.negatives;
            wins += group.positives * (below + group.negatives / 2.0);
        }
        wins / (self.positives * self.negatives)
    }

    /// Largest distance between the score distributions of positives and negatives.
    pub fn ks(&self) -> f64 {
        let (mut positives, mut negatives, mut largest) = (0.0, 0.0, 0.0f64);
        for group in &self.groups {
            positives += group.positives;
            negatives += group.negatives;
            largest = largest.max((positives / self.positives - negatives / self.negatives).abs());
        }
        largest
    }

    /// Share of all positives among the ⌊q·n⌋ highest scores; ties at the cut count in proportion.
    pub fn recall_at(&self, q: f64) -> f64 {
        let mut room = cut(q, self.rows()) as f64;
        let mut found = 0.0;
        for group in &self.groups {
            let rows = group.rows();
            if rows >= room {
                return (found + group.positives * room / rows) / self.positives;
            }
            found += group.positives;
            room -= rows;
        }
        1.0
    }

    /// Recall at q over q: how many times more positives than in a random choice of the same size.
    pub fn lift_at(&self, q: f64) -> f64 {
        self.recall_at(q) / q
    }
}

/// ⌊q·n⌋, unharmed by the rounding of q (0.29·100 is 29).
pub(crate) fn cut(q: f64, n: usize) -> usize {
    ((q.clamp(0.0, 1.0) * n as f64 + 1e-9).floor() as usize).min(n)
}
