//! Loads this side's half of the job's model and refuses every other one, before the network: side, name, keys.

use crate::contract::{Disclosure, Job, ScoreOutput, Task};
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::model::ModelFile;

/// The half that the job names, checked against the job.
///
/// # Errors
/// As [`ModelFile::load`]. Exit 2, E0801: the other side's half. Exit 2, E0803: another model. Exit 11, E0804: trained between other
/// keys. Exit 13, E0805: no model for users that the partner lacks. Exit 2, E0807 and E0808: a threshold or a column that the model's
/// task does not have. Exit 2, E0840: decisions alone of a model with more than one predictor.
pub(super) fn load(job: &Job) -> Result<ModelFile, Failure> {
    let (Some(scoring), Some(path)) = (job.shared().score(), &job.private().model) else {
        return Err(Failure::new(Exit::Internal, 800, "a scoring without its terms"));
    };
    let model = ModelFile::load(path)?;
    check(job, &scoring.model, &model).map_err(|failure| failure.at(path.display().to_string()))?;
    Ok(model)
}

fn check(job: &Job, wanted: &str, model: &ModelFile) -> Result<(), Failure> {
    let (side, peer) = (job.side(), job.side().peer());
    if model.side != side {
        return Err(Failure::new(
            Exit::Usage,
            801,
            format!("this is the {}'s half of a model, the {side} scores with its own", model.side),
        )
        .hint(format!("name the model.json that the {side}'s program wrote")));
    }
    if model.model_id != wanted {
        return Err(Failure::new(Exit::Usage, 803, format!("the job scores with model {wanted}, this file is model {}", model.model_id))
            .hint("both halves of one training have the same model_id: name that file, or agree on the other model"));
    }
    for (whose, trained, now) in [
        (peer, &model.peer_fingerprint, job.shared().fingerprint(peer).as_str()),
        (side, &model.own_fingerprint, job.shared().fingerprint(side).as_str()),
    ] {
        if trained != now {
            return Err(Failure::new(Exit::PeerKey, 804, format!("this model was trained with another key of the {whose}"))
                .hint(format!("it was {trained}; score with the {peer} it was trained with, or train again")));
        }
    }
    let terms = job.shared().score();
    if let Some(threshold) = terms.and_then(|terms| terms.threshold).filter(|threshold| *threshold >= 1.0)
        && model.task == Task::Logistic
    {
        return Err(Failure::new(Exit::Usage, 807, format!("the job's threshold is {threshold}, this model's scores are probabilities"))
            .hint("agree on a threshold between 0 and 1"));
    }
    if model.task != Task::Hurdle && terms.is_some_and(|terms| terms.output.contains(&ScoreOutput::Probability)) {
        let what =
            format!("output lists `probability`, which models with task `hurdle` have; this model's task is `{}`", model.task.name());
        return Err(Failure::new(Exit::Usage, 808, what).hint("remove `probability` from output"));
    }
    if job.shared().reveals(Disclosure::DecisionsToOwner) && model.functions() > 1 {
        let what = format!("`decisions_to_owner` serves models with one predictor, this one has {}", model.functions());
        return Err(Failure::new(Exit::Usage, 840, what)
            .hint("a hurdle and several labels need `scores_to_owner`; or train one label with another task"));
    }
    if side == Side::Owner && model.own_model.is_none() {
        return Err(Failure::new(Exit::Data, 805, "the file has no own model, which users that the partner lacks need")
            .hint("train once more with this version"));
    }
    Ok(())
}
