//! Model files of every version: they load, score as they did, and are written again.

use super::Tally;
use crate::data::{Column, Values};
use crate::model::ModelFile;
use serde_json::Value;

/// Version 1: at the means of its columns the logit is the intercept, one deviation on all weights are added.
pub fn first(file: &Value, text: &str, tally: &mut Tally) {
    tally.case(ModelFile::from_json(text).ok().and_then(|model| {
        let scales: Vec<(f64, f64)> = file["recipe"]["columns"]
            .as_array()?
            .iter()
            .filter_map(|column| Some((column["mean"].as_f64()?, column["sd"].as_f64()?)))
            .collect();
        let inputs = model.recipe.inputs();
        let columns: Vec<Column> = inputs
            .iter()
            .zip(&scales)
            .map(|(name, (mean, sd))| Column { name: (*name).to_owned(), values: Values::Number(vec![*mean, mean + sd]) })
            .collect();
        let weights = file["coefficients"].as_object()?.values().map(Value::as_f64).collect::<Option<Vec<f64>>>()?;
        let intercept = file["intercept"].as_f64().unwrap_or_default();
        let scored = model.logits(&columns, 2).ok()?.values;
        let (low, high) = (scored.first()?, scored.get(1)?);
        Some((low - intercept).abs() < 1e-9 && (high - intercept - weights.iter().sum::<f64>()).abs() < 1e-6)
    }));
    tally.case(again(text).map(|(model, again)| again == model));
}

/// Version 2: written again it is the same text.
pub fn second(_: &Value, text: &str, tally: &mut Tally) {
    tally.case(ModelFile::from_json(text).ok().and_then(|model| model.to_json().ok()).map(|written| written == text));
    tally.case(again(text).map(|(model, again)| again == model));
}

/// A model, and what its present form is read as.
fn again(text: &str) -> Option<(ModelFile, ModelFile)> {
    let model = ModelFile::from_json(text).ok()?;
    let again = ModelFile::from_json(&model.to_json().ok()?).ok()?;
    Some((model, again))
}
