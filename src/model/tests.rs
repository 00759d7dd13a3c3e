//! Tests of the model file: round trip, refusals, and scores equal to the trainer's own arithmetic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::data::{Values, Wishes};
use crate::evaluation::random::normals;
use crate::recipe::FitRows;

const ROWS: usize = 3_001;

fn columns() -> Vec<Column> {
    let mut columns: Vec<Column> = ["age", "days", "spend"]
        .iter()
        .zip(1u64..)
        .map(|(name, seed)| {
            let mut values = normals(ROWS, seed);
            values.iter_mut().for_each(|value| *value = 10.0 + seed as f64 * *value);
            if seed == 1 {
                values[5] = 1e6; // beyond the clip
            }
            Column { name: (*name).to_owned(), values: Values::Number(values) }
        })
        .collect();
    columns.insert(1, Column { name: "flat".to_owned(), values: Values::Number(vec![3.0; ROWS]) });
    columns
}

fn recipe(columns: &[Column]) -> Recipe {
    let rows: Vec<usize> = (0..ROWS).collect();
    Recipe::fit(columns, FitRows { rows: &rows, labels: None, clip: 5.0, wishes: &Wishes::new() }).unwrap()
}

fn model(side: Side) -> ModelFile {
    let owner = side == Side::Owner;
    ModelFile {
        schema: ModelSchema::V4,
        model_id: "45".repeat(16),
        side,
        name: "vip-2026-11".into(),
        created: "2026-11-23T06:12:00Z".into(),
        program: "0.1.0".into(),
        task: Task::Logistic,
        label: owner.then(|| "vip".into()),
        earlier_labels: Vec::new(),
        more_heads: Vec::new(),
        reading: owner.then(|| Reading { partner_factors: vec![1.0], variances: Vec::new(), log_cap: 0.0 }),
        train_rows: ROWS as u64,
        l2: 0.001,
        clip: 5.0,
        job_digest: "ab".repeat(32),
        own_fingerprint: "01".repeat(32),
        peer_fingerprint: "23".repeat(32),
        recipe: recipe(&columns()),
        intercept: owner.then_some(-2.5),
        coefficients: [("age", 0.125), ("days", -0.5), ("spend", 0.75)].map(|(name, w)| (name.to_owned(), w)).into_iter().collect(),
        own_model: owner.then(|| OwnModel {
            train_rows: ROWS as u64,
            recipe: recipe(&columns()),
            intercept: -2.25,
            coefficients: [("age", 0.25), ("days", 0.5), ("spend", -0.75)].map(|(name, w)| (name.to_owned(), w)).into_iter().collect(),
            more_heads: Vec::new(),
            variances: Vec::new(),
        }),
        figures: serde_json::json!({"auc": 0.75, "recall_at_40": 0.625}).as_object().cloned(),
    }
}

/// Reads the file after one replacement that must apply.
fn changed(side: Side, from: &str, to: &str) -> Failure {
    let text = model(side).to_json().unwrap();
    assert!(text.contains(from), "{from} in {text}");
    ModelFile::from_json(&text.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn survives_being_written_and_read() {
    for side in [Side::Owner, Side::Partner] {
        let model = model(side);
        let text = model.to_json().unwrap();
        let read = ModelFile::from_json(&text).unwrap();
        assert_eq!(read, model, "every number to the last bit");
        assert_eq!(text.contains("intercept"), side == Side::Owner);
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.json");
    std::fs::write(&path, model(Side::Owner).to_json().unwrap()).unwrap();
    assert_eq!(ModelFile::load(&path).unwrap().name, "vip-2026-11");
    let failure = ModelFile::load(&home.path().join("none.json")).unwrap_err();
    assert_eq!((failure.id, failure.place.unwrap()), (721, home.path().join("none.json").display().to_string()));
}

/// A hurdle with two horizons: four heads.
fn hurdle(side: Side) -> ModelFile {
    let owner = side == Side::Owner;
    let plain = model(side);
    let head = |intercept: f64| MoreHead { intercept: owner.then_some(intercept), coefficients: plain.coefficients.clone() };
    let more_heads = vec![head(3.5), head(-1.0), head(4.0)];
    ModelFile {
        schema: ModelSchema::V4,
        task: Task::Hurdle,
        label: owner.then(|| "spend_30".into()),
        earlier_labels: if owner { vec!["spend_7".into()] } else { Vec::new() },
        more_heads: more_heads.clone(),
        reading: owner.then(|| Reading { partner_factors: vec![1.0, 1.0], variances: vec![0.5, 0.75], log_cap: 12.0 }),
        own_model: plain.own_model.clone().map(|own| OwnModel { more_heads: more_heads.clone(), variances: vec![0.5, 1.0], ..own }),
        ..plain
    }
}

#[test]
fn a_hurdle_survives_being_written_and_read_and_its_heads_are_scored_in_one_pass() {
    for side in [Side::Owner, Side::Partner] {
        let hurdle = hurdle(side);
        let text = hurdle.to_json().unwrap();
        assert_eq!(ModelFile::from_json(&text).unwrap(), hurdle);
        assert_eq!((text.contains("spend_7"), text.contains("partner_factors")), (side == Side::Owner, side == Side::Owner));
        let columns = columns();
        let all = hurdle.predictors_of(&columns, &[3, 5]).unwrap().values;
        assert_eq!((all.len(), hurdle.functions()), (4, 4));
        assert_eq!(all[0], hurdle.logits_of(&columns, &[3, 5]).unwrap().values);
        if side == Side::Owner {
            assert!((all[1][0] - all[0][0] - 6.0).abs() < 1e-12, "the same weights and another intercept");
        }
    }
    let refused = |side: Side, change: fn(&mut ModelFile), words: &str| {
        let mut broken = hurdle(side);
        change(&mut broken);
        let failure = broken.to_json().unwrap_err();
        assert!(failure.id == 720 && failure.what.contains(words), "{words}: {failure}");
    };
    refused(Side::Owner, |model| model.model_id.clear(), "`model_id` does not have");
    refused(Side::Owner, |model| drop(model.more_heads.pop()), "number of heads");
    refused(Side::Owner, |model| model.reading = None, "labels, factors or variances");
    refused(Side::Owner, |model| model.earlier_labels.clear(), "labels, factors or variances");
    refused(Side::Owner, |model| model.more_heads[0].intercept = None, "lacks a number");
    refused(Side::Partner, |model| model.more_heads[0].intercept = Some(1.0), "one too many");
    refused(Side::Partner, |model| model.earlier_labels.push("spend_7".into()), "labels, factors or variances");
    refused(Side::Owner, |model| model.own_model.iter_mut().for_each(|own| own.variances.clear()), "own model has other heads");
    let shown = page::show(&hurdle(Side::Owner));
    for words in ["hurdle", "spend_7, spend_30", "Own weights of head 4, intercept +4.0000", ".5000, .7500"] {
        assert!(shown.contains(words), "{words} in\n{shown}");
    }
    let mut other = hurdle(Side::Owner);
    other.more_heads[1].coefficients.0[0].1 = 1.0;
    assert_eq!(page::differences(&hurdle(Side::Owner), &other), ["weight of age (head 3): +.1250 → +1.0000"]);
}

#[test]
fn another_schema_is_refused_by_name() {
    let failure = changed(Side::Owner, "colift.model/4", "colift.model/9");
    assert_eq!((failure.exit, failure.id), (Exit::Version, 722));
    assert!(failure.what.contains("colift.model/9") && failure.what.contains("reads colift.model/4"), "{failure}");
    for old in ["colift.model/1", "colift.model/2", "colift.model/3"] {
        let failure = changed(Side::Partner, "colift.model/4", old);
        assert_eq!((failure.exit, failure.id), (Exit::Version, 722));
        for words in [old, "written by an unreleased version", "train again"] {
            assert!(failure.to_string().contains(words), "{failure}");
        }
    }
    assert_eq!(changed(Side::Owner, "\"schema\"", "\"scheme\"").exit, Exit::Data);
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let fields = [
        (Side::Owner, "\"program\"", "\"programme\""),
        (Side::Owner, "\"name\": \"vip-2026-11\"", "\"name\": \"a\", \"name\": \"b\""),
        (Side::Owner, "\"side\": \"owner\"", "\"side\": \"partner\""),
        (Side::Partner, "\"side\": \"partner\"", "\"side\": \"owner\""),
        (Side::Partner, "\"side\": \"partner\"", "\"side\": \"third\""),
        (Side::Owner, "logistic", "overlap"),
        (Side::Owner, "06:12:00Z", "06:12:00+01:00"),
        (Side::Owner, "06:12:00Z", "sixZ"),
        (Side::Owner, "abab", "ABab"),
        (Side::Owner, "0101", "01"),
        (Side::Owner, "4545", "45"),
        (Side::Partner, "\"recipe\"", "\"own_model\": null, \"recipes\""),
        (Side::Owner, "-2.25", "1e999"),
        (Side::Owner, "\"age\": 0.25", "\"flat\": 0.25"),
        (Side::Owner, "\"kind\": \"number\"", "\"kind\": \"one-hot\""),
        (Side::Owner, "\"l2\": 0.001", "\"l2\": -0.001"),
        (Side::Owner, "\"clip\": 5.0", "\"clip\": 6.0"),
        (Side::Owner, "\"age\": 0.125", "\"age\": 1e999"),
        (Side::Owner, "\"age\": 0.125", "\"age\": null"),
        (Side::Owner, "\"age\": 0.125", "\"flat\": 0.125"),
        (Side::Owner, "\"age\": 0.125", "\"age\": 0.125, \"age\": 0.125"),
        (Side::Owner, "\"age\": 0.125,", ""),
        (Side::Owner, "\"name\": \"days\"", "\"name\": \"age\""),
        (Side::Owner, "\"sd\": null", "\"sd\": 0.0"),
        (Side::Owner, "{", ""),
    ];
    for (side, from, to) in fields {
        let failure = changed(side, from, to);
        assert_eq!((failure.exit, failure.id), (Exit::Data, 721), "{from} -> {to}: {failure}");
    }
    let failure = ModelFile::from_json(&" ".repeat(MAX_MODEL_BYTES + 1)).unwrap_err();
    assert_eq!((failure.exit, failure.id), (Exit::Cap, 723));
    assert_eq!(ModelFile::from_json(&"[".repeat(100_000)).unwrap_err().id, 721);
}

#[test]
fn a_model_with_numbers_that_are_none_is_not_written() {
    for bad in [f64::NAN, f64::INFINITY] {
        let mut broken = model(Side::Owner);
        broken.coefficients.0[1].1 = bad;
        assert_eq!(broken.to_json().unwrap_err().id, 720);
        let mut broken = model(Side::Owner);
        broken.intercept = Some(bad);
        assert_eq!(broken.to_json().unwrap_err().id, 720);
    }
}

#[test]
fn scores_are_the_trainers_own_to_the_bit() {
    let columns = columns();
    for side in [Side::Owner, Side::Partner] {
        let model = model(side);
        let weights: Vec<f64> = model.coefficients.0.iter().map(|(_, w)| *w).collect();
        let expected = times(model.recipe.apply(&columns, ROWS).unwrap().features.view(), &weights, model.intercept.unwrap_or(0.0));
        assert_eq!(model.logits(&columns, ROWS).unwrap().values, expected);
        // Another order, without the dropped column and with a stranger.
        let mut other: Vec<Column> = columns.iter().rev().filter(|column| column.name != "flat").cloned().collect();
        other.push(Column { name: "stranger".into(), values: Values::Number(vec![f64::NAN; 2]) });
        assert_eq!(model.logits(&other, ROWS).unwrap().values, expected);
    }
}

#[test]
fn missing_columns_are_named_and_lengths_checked() {
    let model = model(Side::Owner);
    let mut columns = columns();
    columns[2].values = Values::Number(vec![0.0; ROWS - 1]);
    assert_eq!(model.logits(&columns, ROWS).unwrap_err().id, 725);
    columns.retain(|column| column.name != "days");
    let failure = model.logits(&columns, ROWS).unwrap_err();
    assert_eq!((failure.exit, failure.id), (Exit::Data, 724));
    assert!(failure.what.contains("`days`"), "{failure}");
    let failure = model.logits(&[], ROWS).unwrap_err();
    assert!(failure.what.contains("3 columns") && failure.place.unwrap().contains("`spend`"));
}

#[test]
fn a_half_without_columns_is_its_intercept() {
    let mut bare = model(Side::Owner);
    bare.recipe.columns.retain(|column| !column.is_kept());
    bare.coefficients.0.clear();
    let bare = ModelFile::from_json(&bare.to_json().unwrap()).unwrap();
    assert_eq!(bare.logits(&[], 3).unwrap().values, [-2.5; 3]);
}

#[test]
fn models_are_found_listed_shown_and_compared() {
    let home = tempfile::tempdir().unwrap();
    for (folder, side) in [("b/2", Side::Owner), ("a/1", Side::Partner), (".a.partial-x", Side::Owner)] {
        std::fs::create_dir_all(home.path().join(folder)).unwrap();
        std::fs::write(home.path().join(folder).join("model.json"), model(side).to_json().unwrap()).unwrap();
    }
    let found = page::find(home.path()).unwrap();
    assert_eq!(found, [home.path().join("a/1/model.json"), home.path().join("b/2/model.json")], "unfinished runs are left out");
    let loaded: Vec<_> = found.into_iter().map(|path| (path.clone(), ModelFile::load(&path).unwrap())).collect();
    let list = page::list(&loaded);
    assert_eq!(list.lines().count(), 3);
    assert!(list.contains("vip-2026-11   partner") && list.contains(".7500") && list.contains("45454545"), "{list}");
    let shown = page::show(&model(Side::Owner));
    for words in ["recall_at_40", "3 features on 3001 rows", "flat   dropped", "days    -.5000", "peer's key"] {
        assert!(shown.contains(words), "{words} in\n{shown}");
    }
    assert_eq!(page::differences(&model(Side::Owner), &model(Side::Owner)), Vec::<String>::new());
    let mut other = model(Side::Owner);
    other.l2 = 0.01;
    other.coefficients.0[1].1 = 0.5;
    other.recipe.columns[0].encoding = crate::recipe::Encoding::Hash { buckets: 1 };
    let differences = page::differences(&model(Side::Owner), &other);
    assert_eq!(differences, ["ridge, clip: 0.001, ±5 → 0.01, ±5", "column age: number → hash", "weight of days: -.5000 → +.5000"]);
}
