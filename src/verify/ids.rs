//! Vectors of the canonical forms of ids.

use super::Tally;
use crate::data::ids::{canonical_in, composite_id};
use crate::data::{IdKind, IdProblem, Region, canonical_id};
use serde_json::Value;

/// One kind without regions: accepted and refused ids.
pub fn single(file: &Value, _: &str, tally: &mut Tally) {
    let kind = || IdKind::from_name(file["kind"].as_str()?);
    tally.each(&file["accepted"], |case| {
        let (input, canonical) = (case["input"].as_str()?, case["canonical"].as_str()?);
        let id = canonical_id(kind()?, input).ok()?;
        let changed = (id.trimmed || id.rewritten) == (input != canonical);
        Some(id.text == canonical && changed && id.unassigned_country == (case["unassigned_country"] == true))
    });
    tally.each(&file["refused"], |case| Some(canonical_id(kind()?, case["input"].as_str()?).err() == Some(reason(case)?)));
}

/// One kind with regions.
pub fn regions(file: &Value, _: &str, tally: &mut Tally) {
    let kind = || IdKind::from_name(file["kind"].as_str()?);
    let form = |case: &Value| Some(canonical_in(kind()?, region(case)?.as_ref(), case["input"].as_str()?));
    tally.each(&file["accepted"], |case| Some(form(case)?.ok()?.text == case["canonical"].as_str()?));
    tally.each(&file["refused"], |case| Some(form(case)?.err() == Some(reason(case)?)));
}

/// Ids of several columns.
pub fn composite(file: &Value, _: &str, tally: &mut Tally) {
    let form = |case: &Value| {
        let kind = IdKind::from_name(case["kind"].as_str()?)?;
        let parts = case["input"].as_array()?.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()?;
        Some(composite_id(kind, region(case)?.as_ref(), &parts))
    };
    tally.each(&file["accepted"], |case| Some(form(case)?.ok()? == case["canonical"].as_str()?));
    tally.each(&file["refused"], |case| {
        let (part, problem) = form(case)?.err()?;
        Some(part as u64 == case["part"].as_u64()? && problem == reason(case)?)
    });
}

/// The region of a case; None in the inside where it has none.
fn region(case: &Value) -> Option<Option<Region>> {
    match case.get("region") {
        None => Some(None),
        Some(code) => Some(Some(Region::from_code(code.as_str()?)?)),
    }
}

fn reason(case: &Value) -> Option<IdProblem> {
    match case["reason"].as_str()? {
        "empty" => Some(IdProblem::Empty),
        "not-of-kind" => Some(IdProblem::NotOfKind),
        _ => None,
    }
}
