//! What only the partner does: send its part of the scores where the job lists them, and keep its own half.

use crate::contract::Disclosure;
use crate::data::Split;
use crate::error::Failure;
use crate::recipe::Recipe;
use crate::report::PartnerReport;
use crate::run::owner::{first_and_more, head_reports, inference, ordered};
use crate::run::{Facts, Joint, Prepared, scores};
use crate::training::opening::Ledger;
use crate::training::secure::Trained;
use crate::training::twin::logits;
use colift_channel::Channel;

/// The partner's results.
pub struct PartnerOutcome {
    /// Its report; cost is filled in by the caller.
    pub report: PartnerReport,
    /// The own half of the model: its first head.
    pub trained: Trained,
    /// Further heads.
    pub more_trained: Vec<Trained>,
    /// The recipe of the own columns.
    pub recipe: Recipe,
    /// The model's name on both sides.
    pub model_id: String,
    /// What the receipt says; filled in at the end of the run.
    pub facts: Facts,
    /// Warnings of the run.
    pub notes: Vec<String>,
}

/// Sends what the job lists.
pub(crate) fn evaluate(
    channel: &mut dyn Channel,
    prepared: &Prepared,
    joint: Joint,
    ledger: &mut Ledger,
) -> Result<PartnerOutcome, Failure> {
    if prepared.job.shared().reveals(Disclosure::ScoresToOwner) {
        for head in &joint.trained {
            scores::send(channel, ledger, &logits(joint.test.view(), &head.coefficients, 0.0))?;
        }
    }
    if prepared.job.shared().reveals(Disclosure::MetricsToOwner) {
        // The owner computes them from its labels and the scores; nothing more is sent.
        ledger.note(Disclosure::MetricsToOwner, 0, 1)?;
    }
    let (trained, more_trained) = first_and_more(joint.trained.clone())?;
    let report = PartnerReport {
        matched: joint.aligned.rows.len() as u64,
        train_rows: joint.rows_of(Split::Train).len() as u64,
        test_rows: joint.rows_of(Split::Test).len() as u64,
        dropped_columns: joint.recipe.dropped(),
        partner_coefficients: Some(ordered(&joint.recipe, &trained)),
        partner_inference: inference(&joint.recipe, &trained),
        more_heads: head_reports(prepared, &joint.recipe, &more_trained),
        ..PartnerReport::default()
    };
    Ok(PartnerOutcome {
        report,
        trained,
        more_trained,
        recipe: joint.recipe,
        model_id: joint.model_id,
        facts: Facts::default(),
        notes: joint.notes,
    })
}
