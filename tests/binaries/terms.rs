//! What the contract's numbers do with labels that go wrong otherwise: one buyer, a currency of large numbers, a rare label.

use crate::rehearsal::{near, number};
use crate::world::{HANG, Program, SIDES, Stream, World, program, results, set, together};
use colift::data::Side;
use colift::training::linear::Cholesky;
use colift::training::twin;
use ndarray::Array2;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A user: whether it trains, the label, six columns.
type User = (bool, f64, [f64; 6]);

/// So many users with a label made of their columns; every fourth is a test user.
fn users(count: usize, seed: u64, label: impl Fn(usize, &[f64; 6], &mut Stream) -> f64) -> Vec<User> {
    let mut random = Stream(seed);
    let user = |user: usize| {
        let columns = [0; 6].map(|_| random.normal());
        let label = label(user, &columns, &mut random);
        (user % 4 != 3, label, columns)
    };
    (0..count).map(user).collect()
}

/// Writes both files: two columns of the owner with the label, four of the partner.
fn write(folder: &Path, users: &[User]) {
    let (mut owner, mut partner) = (String::from("id,split,label,a,b\n"), String::from("id,c,d,e,f\n"));
    for (user, (train, label, [a, b, rest @ ..])) in users.iter().enumerate() {
        writeln!(owner, "u{user},{},{label},{a:.4},{b:.4}", if *train { "train" } else { "test" }).unwrap();
        writeln!(partner, "u{user}{}", rest.iter().fold(String::new(), |text, x| text + &format!(",{x:.4}"))).unwrap();
    }
    std::fs::write(folder.join("owner.csv"), owner).unwrap();
    std::fs::write(folder.join("partner.csv"), partner).unwrap();
}

/// `rehearse` with nothing said about ridge or cap.
fn command(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(program(Side::Owner));
    command.current_dir(folder).env("COLIFT_HOME", folder.join("no-home")).env_remove("COLIFT_LOG");
    command.args(["rehearse", "--owner", "owner.csv", "--partner", "partner.csv", "--id", "id", "--label", "label", "--split", "split"]);
    command.args(["--out", "results", "--json"]).args(more);
    command
}

fn rehearsed(folder: &Path, more: &[&str]) -> (Value, String) {
    let ended = Program::start(Side::Owner, command(folder, more)).ended(HANG);
    let report = serde_json::from_str(&ended.fine().out).unwrap();
    (report, ended.err.clone())
}

fn one_buyer() -> Vec<User> {
    users(2_000, 3, |user, _, _| f64::from(u8::from(user == 0)))
}

#[test]
fn one_buyer_ends_both_sides_before_the_split_is_told() {
    let _machine = together();
    let world = World::new();
    write(&world.place(Side::Owner), &one_buyer());
    std::fs::rename(world.place(Side::Owner).join("partner.csv"), world.place(Side::Partner).join("partner.csv")).unwrap();
    world.jobs(|side, job| {
        set(job, "private.data", format!("{side}.csv"));
        set(job, "shared.id_kind", "opaque");
        set(job, "shared.expected_rate", "0.05-0.2%");
        set(job, "shared.max_rows.owner", 2_000);
        set(job, "shared.max_rows.partner", 2_000);
    });
    let [owner, partner] = world.run_both(&[]);
    owner.failed(
        &[13],
        &["E0557", "1 of 1,500 matched training users have the label 1, the job asks for 50 at least", "min_positives"],
        "one buyer",
    );
    partner.failed(
        &[10],
        &["the peer stopped with exit code 13", "E1003", "train or test of the matched rows", "failed a check"],
        "one buyer",
    );
    assert!(!partner.err.contains("resume"), "another attempt would be refused again:\n{}", partner.err);
    assert!(!partner.err.contains("1 of 1,500") && !partner.err.contains("E0557"), "the partner learns no count:\n{}", partner.err);
    for side in SIDES {
        world.left_nothing(side, "one buyer");
    }
}

#[test]
fn a_rehearsal_of_one_buyer_is_refused_unless_it_is_asked_for() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    write(folder.path(), &one_buyer());
    let ended = Program::start(Side::Owner, command(folder.path(), &[])).ended(HANG);
    ended.failed(&[1, 10, 13], &["E0557", "1 of 1,500 matched training users have the label 1"], "one buyer");
    // The count of orders is the same label by another name.
    let ended = Program::start(Side::Owner, command(folder.path(), &["--task", "poisson"])).ended(HANG);
    ended.failed(&[1, 10, 13], &["E0557", "1 of 1,500 matched training users have another number"], "one buyer's orders");
    let some = users(2_000, 4, |user, _, _| f64::from(u8::from(user % 60 == 0)));
    write(folder.path(), &some);
    rehearsed(folder.path(), &["--min-positives", "10"]);
}

#[test]
fn amounts_of_a_currency_of_large_numbers_are_not_cut() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    let spend = |_: usize, x: &[f64; 6], random: &mut Stream| {
        let pays = random.unit() < 1.0 / (1.0 + (1.2 - 0.5 * x[0] - 0.5 * x[2]).exp());
        let amount = (12.0 + 0.4 * x[1] + 0.5 * x[2] + 0.7 * random.normal()).exp().round();
        if pays { amount } else { 0.0 }
    };
    // So many that the test users' total is near what is expected of them.
    write(folder.path(), &users(40_000, 5, spend));
    let (report, _) = rehearsed(folder.path(), &["--task", "hurdle"]);
    let ratio = number(&report, "/value/joint/total_pred_over_actual");
    println!("total predicted over actual {ratio:.3}");
    near("total predicted over actual", ratio, 1.0, 0.1);
    let model: Value = serde_json::from_str(&std::fs::read_to_string(folder.path().join("results/owner/model.json")).unwrap()).unwrap();
    let cap = number(&model, "/reading/log_cap");
    assert!(cap.fract() == 0.0 && (14.0..20.0).contains(&cap), "a whole number above the largest label's logarithm: {cap}");
    let partner = std::fs::read_to_string(folder.path().join("results/partner/model.json")).unwrap();
    assert!(!partner.contains("log_cap"), "the cap is the owner's");
    // A signed cap that most of them are above stops the run.
    std::fs::remove_dir_all(folder.path().join("results")).unwrap();
    let ended = Program::start(Side::Owner, command(folder.path(), &["--task", "hurdle", "--log-cap", "12"])).ended(HANG);
    ended.failed(&[1, 10, 13], &["E0559", "matched payers have an amount above e^12", "log_cap = \"auto\""], "a cap too low");
}

/// The slope of a logistic regression of labels on logits, and its standard error: 1 where the logits are calibrated.
fn calibration(logits: &[f64], labels: &[bool]) -> (f64, f64) {
    let mut weights = [0.0, 1.0];
    for _ in 0..30 {
        let (mut hessian, mut gradient) = (Array2::zeros((2, 2)), [0.0; 2]);
        for (z, label) in logits.iter().zip(labels) {
            let p = 1.0 / (1.0 + (-weights[0] - weights[1] * z).exp());
            for (i, a) in [1.0, *z].into_iter().enumerate() {
                gradient[i] += (f64::from(u8::from(*label)) - p) * a;
                for (j, b) in [1.0, *z].into_iter().enumerate() {
                    hessian[[i, j]] += p * (1.0 - p) * a * b;
                }
            }
        }
        let factor = Cholesky::factor(&hessian).unwrap();
        let step = factor.solve(&gradient);
        weights.iter_mut().zip(&step).for_each(|(w, s)| *w += s);
        if step.iter().all(|s| s.abs() < 1e-10) {
            return (weights[1], factor.inverse()[[1, 1]].sqrt());
        }
    }
    panic!("the calibration did not converge");
}

#[test]
fn a_rare_label_is_calibrated_at_defaults_and_a_ridge_that_shrinks_is_told() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    let label = |_: usize, x: &[f64; 6], random: &mut Stream| {
        let z = -7.6 + 0.8 * x[0] + 0.5 * x[1] + x[2] + 0.4 * x[3];
        f64::from(u8::from(random.unit() < 1.0 / (1.0 + (-z).exp())))
    };
    let users = users(120_000, 11, label);
    write(folder.path(), &users);
    let (report, said) = rehearsed(folder.path(), &[]);
    let rate = users.iter().map(|user| user.1).sum::<f64>() / users.len() as f64;
    assert!((0.0008..0.002).contains(&rate), "{rate}");
    near("l2", number(&report, "/l2"), 1.0 / 90_000.0, 1e-12);
    let [loss, se] = ["/twin/loss_gap", "/twin/max_coefficient_error_se"].map(|path| number(&report, path));
    assert!(loss.abs() <= 1e-5 && (0.0..=0.1).contains(&se), "objective gap {loss}, worst coefficient {se}");
    assert!(!said.contains("shrinks"), "{said}");

    // The delivered scores of the test users.
    let mut reader = csv::Reader::from_path(folder.path().join("results/owner/scores.csv")).unwrap();
    let (mut logits, mut labels) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.unwrap();
        let (user, score) = (record[0][1..].parse::<usize>().unwrap(), record[1].parse::<f64>().unwrap());
        logits.push((score / (1.0 - score)).max(1e-9).ln());
        labels.push(users[user].1 > 0.0);
    }
    assert_eq!(logits.len(), 30_000);
    let (slope, error) = calibration(&logits, &labels);
    println!("rate {rate:.5}, calibration slope {slope:.3} ± {:.3}", 1.96 * error);
    assert!((slope - 1.0).abs() <= 1.96 * error, "calibration slope {slope} ± {}", 1.96 * error);

    // The former default shrinks the weights so far that the same judge sees it.
    let rows = |train: bool| -> Vec<&User> { users.iter().filter(|user| user.0 == train).collect() };
    let matrix = |rows: &[&User]| Array2::from_shape_fn((rows.len(), 6), |(row, column)| rows[row].2[column]);
    let (train, test) = (rows(true), rows(false));
    let classes = |rows: &[&User]| rows.iter().map(|user| user.1 > 0.0).collect::<Vec<bool>>();
    let shrunk = twin::fit_logistic(&matrix(&train), &classes(&train), 0.001).unwrap();
    let (slope, error) = calibration(&twin::logits(matrix(&test).view(), &shrunk.coefficients, shrunk.intercept), &classes(&test));
    assert!(slope - 1.0 > 1.96 * error, "with l2 = 0.001: {slope} ± {}", 1.96 * error);
}

#[test]
fn a_signed_ridge_above_a_tenth_of_the_rate_is_told_to_both_sides() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, job| set(job, "shared.l2", 0.1));
    for ended in world.run_both(&[]) {
        let words = ["l2 = 0.1 is more than a tenth of the label's rate", "l2 = \"auto\", here 2."];
        for text in [&ended.fine().err, &std::fs::read_to_string(results(&world, ended.side, &ended).join("report.txt")).unwrap()] {
            assert!(words.iter().all(|words| text.contains(words)), "the {}:\n{text}", ended.side);
        }
        let report = std::fs::read_to_string(results(&world, ended.side, &ended).join("report.json")).unwrap();
        assert!(report.contains("\"l2\":0.1"), "{report}");
    }
    // What the contract leaves open stands in model, report and receipt as a number.
    world.jobs(|_, _| {});
    for ended in world.run_both(&[]) {
        assert!(!ended.fine().err.contains("shrinks"), "{}", ended.err);
        let read = |name: &str| std::fs::read_to_string(results(&world, ended.side, &ended).join(name)).unwrap();
        let report: Value = serde_json::from_str(&read("report.json")).unwrap();
        let l2 = number(&report, "/l2");
        assert_eq!(l2, 1.0 / number(&report, "/train_rows"));
        let model: Value = serde_json::from_str(&read("model.json")).unwrap();
        assert_eq!(number(&model, "/l2"), l2);
        assert!(read("receipt.json").contains(&format!("\"l2\":\"{l2}\"")) || read("receipt.json").contains(&format!("\"l2\": \"{l2}\"")));
    }
}
