//! `rehearse` and `demo`: both programs started by the owner's, the result against frozen and published plaintext answers.

use crate::world::{Ended, HANG, Program, alone, names, program, synthetic, together};
use colift::data::Side;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A finished rehearsal.
pub struct Rehearsed {
    pub folder: TempDir,
    ended: Ended,
    pub report: Value,
}

/// A rehearsal of two files with results in `results`.
pub fn command(folder: &Path, owner: &Path, partner: &Path, label: &str, more: &[&str]) -> Command {
    let mut command = Command::new(program(Side::Owner));
    command.current_dir(folder).env("COLIFT_HOME", folder.join("no-home")).env_remove("COLIFT_LOG");
    command.arg("rehearse").arg("--owner").arg(owner).arg("--partner").arg(partner);
    command.args(["--id", "id", "--label", label, "--split", "split", "--out", "results", "--json"]).args(more);
    if !more.contains(&"--l2") {
        command.args(["--l2", "0.001"]);
    }
    command
}

pub fn rehearse(owner: &Path, partner: &Path, label: &str, more: &[&str]) -> Rehearsed {
    let folder = TempDir::new().unwrap();
    let ended = Program::start(Side::Owner, command(folder.path(), owner, partner, label, more)).ended(HANG);
    assert_eq!(ended.fine().out.lines().count(), 1, "--json prints one line");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let written = std::fs::read_to_string(folder.path().join("results/report.json")).unwrap();
    assert_eq!(written.trim_end(), ended.out.trim_end(), "what is printed is what is written");
    // What each company would have; no keys and no job files.
    assert_eq!(names(&folder.path().join("results")), ["owner", "partner", "report.html", "report.json", "report.txt"]);
    assert_eq!(names(folder.path()), ["results"], "nothing else was written");
    assert_eq!(ended.err.lines().last(), Some("results: results"));
    Rehearsed { folder, ended, report }
}

pub fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path}"))
}

pub fn near(name: &str, value: f64, wanted: f64, within: f64) {
    assert!((value - wanted).abs() <= within, "{name}: {value}, not {wanted} ± {within}");
}

/// The distance to the plaintext twin that a model may have.
pub fn close_to_the_twin(name: &str, report: &Value) {
    let [loss, se, auc] = ["/twin/loss_gap", "/twin/max_coefficient_error_se", "/twin/auc_gap"].map(|path| number(report, path));
    println!("{name}: objective gap {loss:.1e}, worst coefficient {se:.3} se, AUC gap {auc:.1e}");
    assert!(loss.abs() <= 1e-5, "{name}: objective gap {loss}");
    assert!((0.0..=0.1).contains(&se), "{name}: worst coefficient {se} standard errors away");
    assert!(auc.abs() <= 5e-4, "{name}: AUC gap {auc}");
}

#[test]
fn the_synthetic_case_meets_its_frozen_answer() {
    let _machine = together();
    let run = rehearse(&synthetic(Side::Owner), &synthetic(Side::Partner), "label", &["--id-kind", "email", "--logit-range=-10,10"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/synthetic/expected.json");
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for key in ["matched", "intersection_sha256", "train_rows", "test_rows", "dropped_columns"] {
        assert_eq!(run.report[key], expected[key], "{key}");
    }
    close_to_the_twin("synthetic", &run.report);
    near("objective", number(&run.report, "/train/objective"), number(&expected, "/joint/objective"), 1e-5);
    near(
        "intercept",
        number(&run.report, "/intercept"),
        number(&expected, "/joint/intercept"),
        0.1 * number(&expected, "/joint/intercept_se"),
    );
    let mut compared = 0;
    for side in ["owner_coefficients", "partner_coefficients"] {
        for (column, weight) in run.report[side].as_object().unwrap() {
            let path = |what: &str| format!("/joint/{what}/{column}");
            near(column, weight.as_f64().unwrap(), number(&expected, &path("coefficients")), 0.1 * number(&expected, &path("se")));
            compared += 1;
        }
    }
    assert_eq!(compared, expected["joint"]["coefficients"].as_object().unwrap().len());
    near("AUC", number(&run.report, "/test/auc"), number(&expected, "/joint/auc"), 5e-4);
    for figure in ["auc", "ks", "log_loss", "recall_at_20", "recall_at_40"] {
        near(figure, number(&run.report, &format!("/own_only/{figure}")), number(&expected, &format!("/own_only/{figure}")), 5e-7);
    }
    // Both programs tell which line is whose.
    for side in ["owner", "partner"] {
        assert!(run.ended.err.contains(&format!("{side}: training begins\n")), "{}", run.ended.err);
    }
}

pub fn data(set: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(set);
    if folder.exists() {
        return Some(folder);
    }
    println!("SKIPPED: {} is absent", folder.display());
    None
}

/// Rehearses a real set and holds it against its published plaintext optimum.
fn real(set: &str, label: &str, partner: &str, more: &[&str]) -> Option<Rehearsed> {
    let folder = data(set)?;
    let run = rehearse(&folder.join("owner.csv"), &folder.join(partner), label, more);
    let read = |name: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap() };
    let (meta, baselines) = (read("meta.json"), read("baselines.json"));
    let name = format!("{set} {label} {partner}");
    for (ours, theirs) in
        [("matched", "rows_intersection"), ("intersection_sha256", "intersection_sha256"), ("train_rows", "train"), ("test_rows", "test")]
    {
        assert_eq!(run.report[ours], meta[theirs], "{name}: {ours}");
    }
    close_to_the_twin(&name, &run.report);
    let joint = &baselines["labels"][label]["joint_z_clipped_to_5"];
    let own = &baselines["labels"][label]["owner_z_clipped_to_5"];
    near(&format!("{name}: objective"), number(&run.report, "/train/objective"), number(joint, "/train_objective"), 1e-5);
    near(&format!("{name}: AUC"), number(&run.report, "/test/auc"), number(joint, "/test/auc"), 1e-3);
    // A recall moves in steps of one hit; the scores are opened rounded, so one hit at the cut may fall to the other side.
    let hit = number(joint, "/test/recall_top40") / number(joint, "/test/hits_top40");
    let (recall, wanted) = (number(&run.report, "/test/recall_at_40"), number(joint, "/test/recall_top40"));
    println!("{name}: recall at 40 % {recall:.5}, published {wanted:.5}, one hit is {hit:.5}");
    near(&format!("{name}: recall at 40 %"), recall, wanted, f64::max(1e-3, 1.01 * hit));
    let pairs =
        [("auc", "auc"), ("ks", "ks"), ("log_loss", "test_logloss"), ("recall_at_20", "recall_top20"), ("recall_at_40", "recall_top40")];
    for (ours, theirs) in pairs {
        let (ours, theirs) = (number(&run.report, &format!("/own_only/{ours}")), number(own, &format!("/test/{theirs}")));
        near(&format!("{name}: own columns, {theirs}"), ours, theirs, 1e-6);
    }
    Some(run)
}

#[test]
fn bank_with_text_columns_gains_as_much_as_its_numeric_twin() {
    let _machine = together();
    let Some(folder) = data("bank") else { return };
    let run = rehearse(&folder.join("raw/owner.csv"), &folder.join("raw/partner.csv"), "label", &["--id-kind", "phone"]);
    let meta: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("meta.json")).unwrap()).unwrap();
    assert_eq!((&run.report["matched"], &run.report["intersection_sha256"]), (&meta["rows_intersection"], &meta["intersection_sha256"]));
    close_to_the_twin("bank, raw columns", &run.report);
    let (joint, own) = (number(&run.report, "/test/auc"), number(&run.report, "/own_only/auc"));
    println!("bank, raw columns: AUC {joint:.4} joint, {own:.4} own columns");
    assert!(joint >= 0.7533 - 0.002 && own >= 0.6529 - 0.002, "AUC {joint} joint, {own} own columns");
    // Categories became features, and -1 days since the last call a mark.
    for feature in ["month=mar", "month:rare", "pdays", "pdays:missing", "poutcome=success"] {
        assert!(run.report["partner_coefficients"].get(feature).is_some(), "{feature}: {}", run.report["partner_coefficients"]);
    }
    let text = std::fs::read_to_string(run.folder.path().join("results/report.txt")).unwrap();
    assert!(text.contains("Recipe of the partner's columns") && text.contains("the only negative number: taken as missing"), "{text}");
}

#[test]
fn bank_gains_what_was_published_within_its_budget() {
    let _machine = alone();
    let Some(run) = real("bank", "label", "partner.csv", &[]) else { return };
    near("joint AUC", number(&run.report, "/test/auc"), 0.7533, 1e-3);
    near("own AUC", number(&run.report, "/own_only/auc"), 0.6529, 1e-3);
    near("own recall at 40 %", number(&run.report, "/own_only/recall_at_40"), 0.603, 1e-3);
    let sent = number(&run.report, "/cost/bytes_sent/owner") + number(&run.report, "/cost/bytes_sent/partner");
    println!("bank: {:.1} s, {:.1} MB", run.ended.took.as_secs_f64(), sent / 1e6);
    assert!(sent <= 300e6, "{sent} bytes were sent");
    assert!(run.ended.took.as_secs_f64() <= 60.0, "it took {:?}", run.ended.took);
    let text = std::fs::read_to_string(run.folder.path().join("results/report.txt")).unwrap();
    let shown = |path: &str, digits: usize| format!("{:.digits$}", number(&run.report, path)).replacen("0.", ".", 1);
    let headline = format!("Joint model: AUC {} against .6529 with own columns alone", shown("/test/auc", 4));
    assert!(text.contains(&headline), "the report does not say `{headline}`:\n{text}");
    let recall = text.lines().find(|line| line.trim_start().starts_with("recall at 40 %")).unwrap_or_default();
    assert!(recall.contains(&shown("/test/recall_at_40", 3)) && recall.contains(".603"), "{recall}");
    assert!(!text.contains("no measurable gain"));
}

#[test]
fn default_credit_meets_its_published_answer() {
    let _machine = together();
    real("default_credit", "label", "partner.csv", &[]);
}

#[test]
fn tic_meets_its_published_answer() {
    let _machine = together();
    real("tic", "label", "partner.csv", &[]);
}

#[test]
fn tic_with_dirty_ids_meets_the_same_answer() {
    let _machine = together();
    real("tic", "label", "dirty/partner.csv", &["--id-kind", "email"]);
}

#[test]
fn breast_meets_its_published_answer() {
    let _machine = together();
    real("breast", "label", "partner.csv", &[]);
}

#[test]
fn cdnow_any_purchase_has_no_measurable_gain_and_says_so() {
    let _machine = together();
    let Some(run) = real("cdnow", "label", "partner.csv", &["--exclude", "label_vip,label_spend"]) else { return };
    for file in ["report.txt", "report.html", "owner/report.txt", "owner/report.html"] {
        let text = std::fs::read_to_string(run.folder.path().join("results").join(file)).unwrap();
        assert!(text.contains("no measurable gain"), "{file} does not say it");
    }
}

#[test]
fn cdnow_vip_meets_its_published_answer() {
    let _machine = together();
    real("cdnow", "label_vip", "partner.csv", &["--exclude", "label,label_spend"]);
}

/// Rehearses an amount of cdnow by one task; the other labels are left out.
fn cdnow_amounts(task: &str, label: &str, exclude: &str, more: &[&str]) -> Option<Rehearsed> {
    let folder = data("cdnow")?;
    let flags = [&["--task", task, "--exclude", exclude], more].concat();
    let run = rehearse(&folder.join("owner.csv"), &folder.join("partner.csv"), label, &flags);
    let [loss, se] = ["/twin/loss_gap", "/twin/max_coefficient_error_se"].map(|path| number(&run.report, path));
    println!("cdnow {task} {label}: objective gap {loss:.1e}, worst coefficient {se:.3} se");
    assert!(loss.abs() <= 1e-5 && (0.0..=0.1).contains(&se), "{task}: objective gap {loss}, worst coefficient {se} standard errors away");
    Some(run)
}

#[test]
fn cdnow_spend_by_a_hurdle_meets_its_published_value() {
    let _machine = together();
    let more = ["--channel", "cds_first", "--money", "1,0.3"];
    let Some(run) = cdnow_amounts("hurdle", "label_spend", "label,label_vip", &more) else { return };
    let read = std::fs::read_to_string(data("cdnow").unwrap().join("baselines.json")).unwrap();
    let baselines: Value = serde_json::from_str(&read).unwrap();
    for (ours, theirs) in [("joint", "joint_z_clipped_to_5"), ("own_only", "owner_z_clipped_to_5")] {
        let published = &baselines["ltv"][theirs]["ziln_linear"];
        for (figure, name, within) in [
            ("gini", "gini_norm", 0.003),
            ("decile_wape", "decile_wape", 0.03),
            ("total_pred_over_actual", "total_pred_over_actual", 0.05),
            ("spearman", "spearman", 0.003),
            ("mae", "mae", 0.1),
            ("r2", "r2", 0.02),
            ("share_top20", "spend_share_top20", 0.003),
            ("share_top40", "spend_share_top40", 0.003),
        ] {
            let value = number(&run.report, &format!("/value/{ours}/{figure}"));
            println!("cdnow hurdle, {ours}, {figure}: {value:.4}, published {:.4}", number(published, &format!("/{name}")));
            near(&format!("{ours}: {figure}"), value, number(published, &format!("/{name}")), within);
        }
    }
    near("joint Gini", number(&run.report, "/value/joint/gini"), 0.7053, 0.003);
    near("own Gini", number(&run.report, "/value/own_only/gini"), 0.6875, 0.003);
    let published = &baselines["ltv"]["joint_z_clipped_to_5"]["ziln_linear"];
    near("variance", number(&run.report, "/value/variance"), number(published, "/sigma2"), 0.003);
    near("AUC of who pays", number(&run.report, "/test/auc"), number(published, "/test_auc_nonzero"), 5e-4);
    // The weights of the log amount, the owner's before the partner's, then the intercept.
    let amount = &run.report["more_heads"][0];
    let owners = amount["owner_coefficients"].as_object().unwrap().values();
    let weights = owners.chain(amount["partner_coefficients"].as_object().unwrap().values()).chain([&amount["intercept"]]);
    for (place, weight) in weights.enumerate() {
        near("log amount", weight.as_f64().unwrap(), number(published, &format!("/coef_lognormal/{place}")), 0.005);
    }
    // Channels and money: what is shown adds up.
    let cells = run.report["channels"]["cells"].as_array().unwrap();
    let users: f64 = cells.iter().map(|cell| number(cell, "/users")).sum::<f64>() + number(&run.report, "/channels/hidden_users");
    assert!(users == number(&run.report, "/test_rows") && cells.iter().all(|cell| number(cell, "/users") >= 50.0));
    assert!(number(&run.report, "/money/joint/best/1") >= number(&run.report, "/money/joint/by_share/11/1"));
    assert_eq!(run.report["money"]["gain"].as_array().map(Vec::len), Some(12));
    let text = std::fs::read_to_string(run.folder.path().join("results/report.txt")).unwrap();
    for words in ["normalised Gini .705", "residual_variance_to_owner", "2 numbers for each of 3,503 test users", "By channel", "In money"]
    {
        assert!(text.contains(words), "the report does not say `{words}`:\n{text}");
    }
    let html = std::fs::read_to_string(run.folder.path().join("results/report.html")).unwrap();
    assert!(html.contains("Tenths by the joint model") && !html.contains("NaN"));
    let scores = std::fs::read_to_string(run.folder.path().join("results/owner/scores.csv")).unwrap();
    assert_eq!((scores.lines().next(), scores.lines().count()), (Some("id,score"), 3_504));
}

#[test]
fn every_family_reaches_the_twin_on_real_labels() {
    let _machine = together();
    for (task, label, exclude) in [
        ("linear", "label_spend", "label,label_vip"),
        ("log_normal", "label_spend", "label,label_vip"),
        ("gamma", "label_spend", "label,label_vip"),
        // A count that both sides' columns explain.
        ("poisson", "cds_first", "label,label_vip,label_spend,cds_total"),
    ] {
        let Some(run) = cdnow_amounts(task, label, exclude, &[]) else { return };
        let gini = number(&run.report, "/value/joint/gini");
        assert!(gini > 0.55 && run.report["value"]["gain"]["gini"].is_array() && run.report.get("test").is_none(), "{task}: {gini}");
    }
}

#[test]
fn a_missing_program_is_named_with_the_command_that_builds_it() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    let alone = folder.path().join("bin");
    std::fs::create_dir(&alone).unwrap();
    let copy = alone.join("colift-owner");
    std::fs::copy(program(Side::Owner), &copy).unwrap();
    let rehearsal = ["rehearse", "--owner", "o.csv", "--partner", "p.csv", "--id", "id", "--label", "label"];
    for (arguments, kind) in [(&rehearsal[..], "rehearse"), (&["demo", "--rows", "2000"], "vip_purchase")] {
        let mut command = Command::new(&copy);
        command.current_dir(folder.path()).env("PATH", &alone).args(arguments);
        let ended = Program::start(Side::Owner, command).ended(HANG);
        ended.failed(&[2], &["colift-partner", "cargo build --release --bin colift-partner"], arguments[0]);
        let runs = folder.path().join("colift-runs").join(kind);
        assert_eq!(names(&runs), Vec::<String>::new(), "something was left behind");
    }
}
