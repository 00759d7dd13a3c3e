//! Lifetime value with both real programs: three horizons by a hurdle on one match, their scores by the stored halves, refusals.

use crate::rehearsal::{command, near, number};
use crate::world::{HANG, Program, SIDES, Stream, World, results, set, together};
use colift::data::Side;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const USERS: usize = 9_000;

/// Writes `owner.csv` (spends of three horizons, channel, four columns) and `partner.csv` (eight columns) into a folder.
fn write(folder: &Path) {
    let mut random = Stream(7);
    let mut owner = String::from("id,split,spend_7,spend_30,spend_90,source,o0,o1,o2,o3\n");
    let mut partner = String::from("id,p0,p1,p2,p3,p4,p5,p6,p7\n");
    for user in 0..USERS {
        let hidden = random.normal();
        let columns: Vec<f64> = (0..12).map(|_| 0.5 * hidden + random.normal()).collect();
        let pull = 0.5 * columns[0] - 0.4 * columns[5] + 0.3 * columns[7];
        let pays = |random: &mut Stream, base: f64| random.unit() < 1.0 / (1.0 + (base - pull).exp());
        let mut spend = [0.0; 3];
        let mut total = 0.0;
        for (place, base) in [1.6, 1.0, 0.6].into_iter().enumerate() {
            if pays(&mut random, base) {
                total += (2.0 + 0.3 * columns[1] + 0.4 * columns[6] + 0.6 * random.normal()).exp();
            }
            spend[place] = total;
        }
        let split = if random.unit() < 0.25 { "test" } else { "train" };
        let source = ["search", "social", "mail", "rare"][((random.unit() * 3.01) as usize).min(3)];
        let cells = |columns: &[f64]| columns.iter().fold(String::new(), |text, x| text + &format!(",{x:.4}"));
        if user % 20 != 0 {
            let [a, b, c] = spend;
            writeln!(owner, "u{user},{split},{a:.2},{b:.2},{c:.2},{source}{}", cells(&columns[..4])).unwrap();
        }
        if user % 15 != 0 {
            writeln!(partner, "u{user}{}", cells(&columns[4..])).unwrap();
        }
    }
    std::fs::write(folder.join("owner.csv"), owner).unwrap();
    std::fs::write(folder.join("partner.csv"), partner).unwrap();
}

/// The rows of a CSV file by the first column, and its header.
fn rows(path: &Path) -> (Vec<String>, HashMap<String, Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let cells = |record: csv::StringRecord| (record[0].to_owned(), record.iter().skip(1).map(str::to_owned).collect());
    (header, reader.records().map(|record| cells(record.unwrap())).collect())
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Two paired sides with the made files and jobs about their three horizons.
fn hurdle_world() -> World {
    let world = World::new();
    for side in SIDES {
        write(&world.place(side));
    }
    hurdle_jobs(&world, |_, _| {});
    world
}

fn hurdle_jobs(world: &World, change: impl Fn(Side, &mut toml::Table)) {
    world.jobs(|side, job| {
        job["shared"].as_table_mut().unwrap().remove("label");
        set(job, "shared.labels", vec!["spend_7", "spend_30", "spend_90"]);
        set(job, "shared.task", "hurdle");
        set(job, "shared.id_kind", "opaque");
        set(job, "shared.matching", "ecdh");
        set(job, "shared.expected_rate", vec!["5-20%", "20-50%", "50-80%"]);
        set(job, "shared.logit_range", vec![-9.0, 9.0]);
        set(job, "shared.max_rows.owner", 20_000);
        set(job, "shared.max_rows.partner", 20_000);
        let reveal = [
            "overlap_to_both",
            "split_to_partner",
            "own_weights",
            "residual_variance_to_owner",
            "scores_to_owner",
            "metrics_to_owner",
            "converged_and_in_range",
        ];
        set(job, "shared.reveal", reveal.to_vec());
        set(job, "private.data", format!("{side}.csv"));
        set(job, "private.ledger", toml::Table::from_iter([("on_small_difference".to_owned(), "warn".into())]));
        if side == Side::Owner {
            set(job, "private.channel", "source");
            set(job, "private.money", toml::Table::from_iter([("cost".to_owned(), 2.0.into()), ("value".to_owned(), 0.3.into())]));
        }
        change(side, job);
    });
}

#[test]
fn three_horizons_of_one_match_are_trained_judged_and_scored_by_the_stored_halves() {
    let _machine = together();
    let world = hurdle_world();
    let [owner, partner] = world.run_both(&["--out", "training"]).map(|ended| results(&world, ended.side, ended.fine()));
    let report = read_json(&owner.join("report.json"));
    assert_eq!(report["horizons"]["labels"], serde_json::json!(["spend_7", "spend_30", "spend_90"]));
    assert_eq!(number(&report, "/horizons/label_violations"), 0.0, "the made labels are cumulated");
    let violations = number(&report, "/horizons/violations");
    println!("a later prediction below an earlier one: {violations:.4} of the test users");
    assert!((0.0..0.2).contains(&violations));
    let labels: Vec<&str> = report["earlier_values"].as_array().unwrap().iter().map(|value| value["label"].as_str().unwrap()).collect();
    assert_eq!((labels, report["value"]["label"].as_str()), (vec!["spend_7", "spend_30"], Some("spend_90")));
    for path in ["/value", "/earlier_values/0", "/earlier_values/1"] {
        let gain = number(&report, &format!("{path}/gain/gini/1"));
        println!("{path}: Gini {:.3}, gain at least {gain:.3}", number(&report, &format!("{path}/joint/gini")));
        assert!(gain > 0.0, "the partner's columns matter: {path}");
        near("total", number(&report, &format!("{path}/joint/total_pred_over_actual")), 1.0, 0.15);
    }
    // A channel of some twenty users is counted and not shown.
    let shown: Vec<&str> = report["channels"]["cells"].as_array().unwrap().iter().map(|cell| cell["channel"].as_str().unwrap()).collect();
    assert!(shown.len() == 3 && !shown.contains(&"rare") && number(&report, "/channels/hidden") == 1.0, "{shown:?}");
    assert!(number(&report, "/money/joint/best/1") > number(&report, "/money/own_only/best/1"));

    let (header, training) = rows(&owner.join("scores.csv"));
    assert_eq!(header, ["id", "spend_7", "spend_30", "spend_90"]);
    let numbers = |cells: &[String]| cells.iter().filter_map(|cell| cell.parse::<f64>().ok()).collect::<Vec<f64>>();
    assert!(training.len() > 1_500 && training.values().all(|cells| numbers(cells).is_sorted()), "later predictions are not below");

    // Both halves score the same users: the numbers of the run, the owner's own model for the others.
    let models = [&owner, &partner].map(|folder| read_json(&folder.join("model.json")));
    for model in &models {
        assert_eq!((&model["schema"], &model["task"]), (&Value::from("colift.model/4"), &Value::from("hurdle")));
        assert_eq!(model["more_heads"].as_array().unwrap().len(), 5);
    }
    assert!(models[1].get("reading").is_none() && models[1].get("label").is_none(), "the partner's half has no units and no labels");
    score_jobs(&world, models[0]["model_id"].as_str().unwrap(), |_, _| {});
    let folders: Vec<PathBuf> = SIDES
        .map(|side| {
            world.sign(side, "score.toml");
            world.start(side, &["score", "--job", "score.toml", "--out", "scored", "--lines"])
        })
        .map(|program| program.ended(HANG))
        .map(|ended| results(&world, ended.side, ended.fine()))
        .into();
    let (header, scored) = rows(&folders[0].join("scores.csv"));
    assert_eq!(header, ["id", "score_spend_7", "score_spend_30", "score_spend_90", "probability", "decile", "yes_no", "model"]);
    for (id, cells) in &training {
        let again = &scored[id];
        assert!(again[6] == "joint" && numbers(&again[..3]).iter().zip(numbers(cells)).all(|(a, b)| (a - b).abs() <= 2e-6), "{id} moved");
    }
    let own = scored.values().filter(|cells| cells[6] == "own");
    assert!(own.clone().count() > 100 && own.clone().all(|cells| numbers(&cells[..3]).is_sorted()));
    for cells in scored.values() {
        let (score, probability): (f64, f64) = (cells[2].parse().unwrap(), cells[3].parse().unwrap());
        assert!((0.0..=1.0).contains(&probability) && cells[5] == if score >= 15.0 { "yes" } else { "no" } || (score - 15.0).abs() < 1e-6);
    }
    // What the model's task does not have is refused before the network.
    score_jobs(&world, models[0]["model_id"].as_str().unwrap(), |_, job| set(job, "shared.model", "00".repeat(16)));
    world.sign(Side::Owner, "score.toml");
    world.run(Side::Owner, &["score", "--job", "score.toml"]).failed(&[2], &["E0803"], "another model");
}

/// Both sides' scoring jobs with the halves of the folder `training`.
fn score_jobs(world: &World, model: &str, change: impl Fn(Side, &mut toml::Table)) {
    for side in SIDES {
        let text = std::fs::read_to_string(world.place(side).join("job.toml")).unwrap();
        let mut job: toml::Table = text.parse().unwrap();
        let shared = job["shared"].as_table_mut().unwrap();
        for key in ["labels", "expected_rate", "logit_range"] {
            shared.remove(key);
        }
        for key in ["split", "channel", "money"] {
            job["private"].as_table_mut().unwrap().remove(key);
        }
        set(&mut job, "shared.task", "score");
        set(&mut job, "shared.model", model);
        set(&mut job, "shared.output", vec!["score", "probability", "decile", "yes_no"]);
        set(&mut job, "shared.threshold", 15.0);
        set(&mut job, "shared.reveal", vec!["overlap_to_both", "scores_to_owner"]);
        set(&mut job, "private.model", "training/model.json");
        change(side, &mut job);
        std::fs::write(world.place(side).join("score.toml"), job.to_string()).unwrap();
    }
}

#[test]
fn a_rehearsal_of_three_horizons_is_as_near_to_the_twin_as_one() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    write(folder.path());
    let files = SIDES.map(|side| folder.path().join(format!("{side}.csv")));
    let more = ["--task", "hurdle", "--exclude", "source"];
    let ended = Program::start(Side::Owner, command(folder.path(), &files[0], &files[1], "spend_7,spend_30,spend_90", &more)).ended(HANG);
    let report: Value = serde_json::from_str(&ended.fine().out).unwrap();
    let [loss, se] = ["/twin/loss_gap", "/twin/max_coefficient_error_se"].map(|path| number(&report, path));
    println!("three horizons: worst objective gap {loss:.1e}, worst coefficient {se:.3} se");
    assert!(loss.abs() <= 1e-5 && (0.0..=0.1).contains(&se), "objective gap {loss}, worst coefficient {se}");
    let heads: Vec<&str> = report["more_heads"].as_array().unwrap().iter().map(|head| head["head"].as_str().unwrap()).collect();
    assert_eq!(heads, ["log_amount", "pays", "log_amount", "pays", "log_amount"]);
    assert!(report["more_heads"][4]["partner_coefficients"].is_object());
}

#[test]
fn few_payers_too_many_functions_and_wrong_labels_end_before_the_training() {
    let _machine = together();
    let world = hurdle_world();
    hurdle_jobs(&world, |_, job| set(job, "shared.min_payers", 5_000));
    let [owner, partner] = world.run_both(&[]);
    owner.failed(&[13], &["E0555", "matched training users pay, the job asks for 5,000 at least", "spend_7", "min_payers"], "few payers");
    assert!(!owner.out.contains("training") && partner.code != Some(0), "the partner ends too");
    world.left_nothing(Side::Owner, "few payers");
    world.left_nothing(Side::Partner, "few payers");

    // Six functions of six columns.
    hurdle_jobs(&world, |side, job| {
        if side == Side::Partner {
            set(job, "private.exclude", vec!["p6", "p7"]);
        }
    });
    for ended in world.run_both(&[]) {
        ended.failed(&[18, 10], &[if ended.code == Some(18) { "6 linear functions of 6 partner columns" } else { "peer" }], "functions");
    }
    for (task, rate, cell, words) in [
        ("hurdle", true, "-1.5", "1 of 1 labels is not a number from 0 on"),
        ("poisson", false, "2.5", "1 of 1 labels is not a whole number from 0 on"),
        ("linear", false, "many", "1 of 1 labels is not a number"),
        ("logistic", true, "2", "1 of 1 labels is not 0 or 1"),
    ] {
        let path = world.place(Side::Owner).join("one.csv");
        std::fs::write(&path, format!("id,split,label,a\nu,train,{cell},1\n")).unwrap();
        world.jobs(|side, job| {
            set(job, "shared.task", task);
            for key in ["expected_rate", "logit_range", "reveal"].into_iter().filter(|key| *key != "expected_rate" || !rate) {
                job["shared"].as_table_mut().unwrap().remove(key);
            }
            if side == Side::Owner {
                set(job, "private.data", "one.csv");
                set(job, "shared.id_kind", "opaque");
            }
        });
        let ended = world.run(Side::Owner, &["run", "--job", "job.toml"]);
        ended.failed(&[13], &["E0320", words, "first at row 1"], task);
    }
}
