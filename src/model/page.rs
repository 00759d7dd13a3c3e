//! Model files as people read them: a line in a list, a page, and what differs between two.

use super::ModelFile;
use crate::data::Side;
use crate::report::{Ordered, aligned, figure, plain, signed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folders below the one named that are looked into: `colift-runs/<name>/<time>/model.json`, and one more.
const DEPTH: usize = 4;

/// Weights and recipes that differ are listed up to this number.
const MOST_LINES: usize = 200;

/// Model files under a folder, in order of their paths. Hidden folders are unfinished runs and left out.
///
/// # Errors
/// What the system says about the folder itself.
pub fn find(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_file() && entry.file_name() == "model.json" {
                found.push(path);
            } else if kind.is_dir() && depth > 0 && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                // A folder that cannot be read hides only what is in it.
                let _ = walk(&path, depth - 1, found);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, DEPTH, &mut found)?;
    found.sort();
    Ok(found)
}

/// `auc`, where the file has it.
fn auc(model: &ModelFile) -> String {
    model
        .figures
        .as_ref()
        .and_then(|figures| figures.get("auc"))
        .and_then(serde_json::Value::as_f64)
        .map_or("–".into(), |auc| figure(auc, 4))
}

fn short_id(model: &ModelFile) -> &str {
    model.model_id.get(..8).unwrap_or("–")
}

/// The list: a line for each file that can be read.
#[must_use]
pub fn list(models: &[(PathBuf, ModelFile)]) -> String {
    let head = ["made", "name", "side", "features", "training rows", "test AUC", "model", "file"].map(str::to_owned).to_vec();
    let line = |(path, model): &(PathBuf, ModelFile)| {
        vec![
            model.created.clone(),
            plain(&model.name),
            model.side.name().to_owned(),
            model.coefficients.0.len().to_string(),
            model.train_rows.to_string(),
            auc(model),
            short_id(model).to_owned(),
            plain(&path.display().to_string()),
        ]
    };
    aligned(&std::iter::once(head).chain(models.iter().map(line)).collect::<Vec<_>>())
}

/// The fields of a file in one order, for the page and for the differences.
fn fields(model: &ModelFile) -> Vec<(&'static str, String)> {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "–".into());
    vec![
        ("name", plain(&model.name)),
        ("side", model.side.name().to_owned()),
        ("task", model.task.name().to_owned()),
        ("label", optional(Some(model.labels().map(|label| plain(label)).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty()))),
        ("made", format!("{} by version {}", model.created, plain(&model.program))),
        ("model", model.model_id.clone()),
        ("training rows", model.train_rows.to_string()),
        ("ridge, clip", format!("{}, ±{}", model.l2, model.clip)),
        ("intercept", optional(model.intercept.map(|value| signed(value, 4)))),
        ("heads", model.functions().to_string()),
        (
            "variances",
            optional(
                model
                    .reading
                    .as_ref()
                    .filter(|reading| !reading.variances.is_empty())
                    .map(|reading| reading.variances.iter().map(|variance| figure(*variance, 4)).collect::<Vec<_>>().join(", ")),
            ),
        ),
        (
            "own model",
            optional(model.own_model.as_ref().map(|own| format!("{} features on {} rows", own.coefficients.0.len(), own.train_rows))),
        ),
        ("job digest", model.job_digest.clone()),
        ("own key", model.own_fingerprint.clone()),
        ("peer's key", model.peer_fingerprint.clone()),
    ]
}

fn figures(model: &ModelFile) -> Vec<(String, String)> {
    let figures = model.figures.iter().flatten();
    figures.map(|(name, value)| (plain(name), value.as_f64().map_or_else(|| value.to_string(), |number| figure(number, 4)))).collect()
}

/// A page about one file.
#[must_use]
pub fn show(model: &ModelFile) -> String {
    let pair = |(name, value): (String, String)| vec![name, value];
    let mut out = aligned(&fields(model).into_iter().map(|(name, value)| pair((name.to_owned(), value))).collect::<Vec<_>>());
    let mut part = |title: &str, lines: Vec<Vec<String>>| {
        out.push_str(&format!("\n{title}\n{}", aligned(&lines)));
    };
    part("Figures on the test rows", figures(model).into_iter().map(pair).collect());
    let (numbers, choices) = model.recipe.choices();
    let choices =
        choices.into_iter().map(|[name, encoding, count, why]| vec![plain(&name), encoding, format!("{count} features"), plain(&why)]);
    part(&format!("Recipe ({numbers} columns are numbers as in the file)"), choices.collect());
    let whose = if model.side == Side::Owner {
        "Own weights (standardised scale)"
    } else {
        "Own weights (standardised scale; the owner has the intercept)"
    };
    let lines = |weights: &Ordered<f64>| weights.0.iter().map(|(name, weight)| vec![plain(name), signed(*weight, 4)]).collect();
    part(whose, lines(&model.coefficients));
    for (place, head) in (2..).zip(&model.more_heads) {
        let intercept = head.intercept.map(|value| format!(", intercept {}", signed(value, 4))).unwrap_or_default();
        part(&format!("Own weights of head {place}{intercept}"), lines(&head.coefficients));
    }
    out
}

/// What differs between two files, a line each; none where nothing does.
#[must_use]
pub fn differences(a: &ModelFile, b: &ModelFile) -> Vec<String> {
    let mut out = Vec::new();
    let mut changed = |what: &str, old: &str, new: &str| {
        if old != new {
            out.push(format!("{what}: {old} → {new}"));
        }
    };
    for ((name, old), (_, new)) in fields(a).iter().zip(&fields(b)) {
        changed(name, old, new);
    }
    let absent = || "–".to_owned();
    let by_name = |pairs: Vec<(String, String)>| pairs.into_iter().collect::<BTreeMap<_, _>>();
    let (old, new) = (by_name(figures(a)), by_name(figures(b)));
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        changed(name, old.get(name).unwrap_or(&absent()), new.get(name).unwrap_or(&absent()));
    }
    let recipes = |model: &ModelFile| -> BTreeMap<String, String> {
        model.recipe.columns.iter().map(|column| (column.name.clone(), column.encoding.name().to_owned())).collect()
    };
    let (old, new) = (recipes(a), recipes(b));
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        changed(&format!("column {}", plain(name)), old.get(name).unwrap_or(&absent()), new.get(name).unwrap_or(&absent()));
    }
    let weights = |model: &ModelFile| {
        let more = (2..)
            .zip(&model.more_heads)
            .flat_map(|(place, head)| head.coefficients.0.iter().map(move |(name, weight)| (format!("{name} (head {place})"), *weight)));
        model.coefficients.0.iter().cloned().chain(more).collect::<BTreeMap<String, f64>>()
    };
    let (old, new) = (weights(a), weights(b));
    let mut moves: Vec<(f64, String)> = old
        .keys()
        .chain(new.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| {
            let (before, after) = (old.get(name), new.get(name));
            let text = |weight: Option<&f64>| weight.map_or_else(absent, |weight| signed(*weight, 4));
            let size = (before.copied().unwrap_or_default() - after.copied().unwrap_or_default()).abs();
            (size, format!("weight of {}: {} → {}", plain(name), text(before), text(after)))
        })
        .collect();
    moves.sort_by(|a, b| b.0.total_cmp(&a.0));
    let more = moves.len().saturating_sub(MOST_LINES);
    out.extend(moves.into_iter().take(MOST_LINES).map(|(_, line)| line));
    if more > 0 {
        out.push(format!("and {more} smaller changes of weights"));
    }
    out
}
