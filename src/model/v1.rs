//! `colift.model/1`, as the first release wrote it: numbers only, no model name. Read as a file of the present version.

use super::{ModelFile, ModelSchema, Task, side_name};
use crate::data::Side;
use crate::recipe::{ColumnRecipe, Encoding, Recipe};
use crate::report::Ordered;
use crate::training::scaling::Scaling;
use serde::Deserialize;

/// Its name.
pub(super) const SCHEMA: &str = "colift.model/1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version1 {
    #[allow(dead_code)]
    schema: String,
    #[serde(with = "side_name")]
    side: Side,
    name: String,
    created: String,
    program: String,
    task: Task,
    #[serde(default)]
    label: Option<String>,
    train_rows: u64,
    l2: f64,
    clip: f64,
    job_digest: String,
    own_fingerprint: String,
    peer_fingerprint: String,
    recipe: Scaling,
    #[serde(default)]
    intercept: Option<f64>,
    coefficients: Ordered<f64>,
    #[serde(default)]
    figures: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Reads a text of version 1; what it says is checked by the caller.
pub(super) fn read(text: &str) -> Result<ModelFile, serde_json::Error> {
    let old: Version1 = serde_json::from_str(text)?;
    let columns = old.recipe.columns.into_iter().map(|scale| ColumnRecipe {
        name: scale.name.clone(),
        missing: Vec::new(),
        encoding: Encoding::Number { fill: scale.mean, indicator: false, sentinel: None, limits: None, log1p: false },
        why: "numbers".into(),
        features: vec![scale],
    });
    Ok(ModelFile {
        schema: ModelSchema::V2,
        model_id: String::new(),
        side: old.side,
        name: old.name,
        created: old.created,
        program: old.program,
        task: old.task,
        label: old.label,
        earlier_labels: Vec::new(),
        train_rows: old.train_rows,
        l2: old.l2,
        clip: old.clip,
        job_digest: old.job_digest,
        own_fingerprint: old.own_fingerprint,
        peer_fingerprint: old.peer_fingerprint,
        recipe: Recipe { clip: old.recipe.clip, columns: columns.collect() },
        intercept: old.intercept,
        coefficients: old.coefficients,
        more_heads: Vec::new(),
        reading: None,
        own_model: None,
        figures: old.figures,
    })
}
