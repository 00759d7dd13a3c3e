//! `model list | show | diff`: this side's stored halves of models.

use crate::cli::flags::{ModelCommand, ModelFlags};
use crate::cli::say;
use crate::data::wording::shown;
use crate::error::{Exit, Failure};
use crate::model::{ModelFile, page};
use std::path::{Path, PathBuf};

/// Looks at model files; changes nothing.
///
/// # Errors
/// Exit 13: a file that is no model file; exit 16: one of another version; exit 2: a folder that cannot be read.
pub fn run(flags: &ModelFlags) -> Result<(), Failure> {
    match &flags.command {
        ModelCommand::List { folder, json } => list(folder, *json)?,
        ModelCommand::Show { model, json } => {
            let model = load(model)?;
            say(if *json { model.to_json()? } else { page::show(&model) }.trim_end());
        }
        ModelCommand::Diff { old, new } => {
            let differences = page::differences(&load(old)?, &load(new)?);
            say(&if differences.is_empty() { "the two files hold the same model".into() } else { differences.join("\n") });
        }
    }
    Ok(())
}

/// A model file, or the one in a results folder.
fn load(path: &Path) -> Result<ModelFile, Failure> {
    ModelFile::load(&if path.is_dir() { path.join("model.json") } else { path.to_owned() })
}

fn list(folder: &Path, json: bool) -> Result<(), Failure> {
    let found = page::find(folder).map_err(|error| {
        Failure::new(Exit::Usage, 971, format!("the folder cannot be read: {error}"))
            .at(folder.display().to_string())
            .hint("name the folder of the results: model list DIR")
    })?;
    let mut models: Vec<(PathBuf, ModelFile)> = Vec::new();
    for path in found {
        match ModelFile::load(&path) {
            Ok(model) => models.push((path, model)),
            Err(failure) => eprintln!("{failure}"),
        }
    }
    models.sort_by(|a, b| a.1.created.cmp(&b.1.created).then_with(|| a.0.cmp(&b.0)));
    if json {
        let entry = |(path, model): &(PathBuf, ModelFile)| {
            serde_json::json!({
                "file": path.display().to_string(), "made": model.created, "name": model.name, "side": model.side.name(), "model_id": model.model_id,
                "features": model.coefficients.0.len(), "train_rows": model.train_rows, "figures": model.figures,
            })
        };
        say(&serde_json::Value::from(models.iter().map(entry).collect::<Vec<_>>()).to_string());
    } else if models.is_empty() {
        say(&format!("no model file under {}", shown(&folder.display().to_string())));
    } else {
        say(page::list(&models).trim_end());
    }
    Ok(())
}
