//! Columns that follow from each other, and sides with few columns or none: both programs against the plaintext answer.

use crate::rehearsal::{close_to_the_twin, command, data, near, number, rehearse};
use crate::world::{HANG, Program, together};
use colift::data::Side;
use colift_primitives::rng::{Prg, Seed};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A fixed stream of numbers for made data.
struct Numbers(Prg);

impl Numbers {
    fn new(seed: u8) -> Self {
        Self(Prg::from_seed(&Seed::from_bytes([seed; 16])))
    }

    fn unit(&mut self) -> f64 {
        self.0.below(1 << 40) as f64 / (1u64 << 40) as f64
    }

    /// Mean 0, deviation 1, close to normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A quarter of the users.
fn quarter(row: usize) -> bool {
    row % 4 == 3
}

/// Writes two files of the same users. `of` gives a row's owner cells, partner cells and label.
fn made(
    folder: &Path,
    rows: usize,
    heads: [&str; 2],
    seed: u8,
    test: fn(usize) -> bool,
    of: impl Fn(usize, &mut Numbers) -> (Vec<f64>, Vec<f64>, f64),
) -> [PathBuf; 2] {
    let mut numbers = Numbers::new(seed);
    let comma = |head: &str| if head.is_empty() { String::new() } else { format!(",{head}") };
    let mut texts = [format!("id,label,split{}\n", comma(heads[0])), format!("id{}\n", comma(heads[1]))];
    for row in 0..rows {
        let (own, theirs, label) = of(row, &mut numbers);
        let cells = |cells: &[f64]| cells.iter().map(|cell| format!(",{cell}")).collect::<String>();
        let split = if test(row) { "test" } else { "train" };
        writeln!(texts[0], "u{row},{label},{split}{}", cells(&own)).unwrap();
        writeln!(texts[1], "u{row}{}", cells(&theirs)).unwrap();
    }
    let paths = ["owner.csv", "partner.csv"].map(|name| folder.join(name));
    paths.iter().zip(&texts).for_each(|(path, text)| std::fs::write(path, text).unwrap());
    paths
}

fn yes(z: f64, numbers: &mut Numbers) -> f64 {
    f64::from(u8::from(numbers.unit() < 1.0 / (1.0 + (-z).exp())))
}

#[test]
fn dependent_columns_reach_the_plaintext_answer_and_are_named() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    let heads = ["a,b,total,red,green,blue,rare", "x,x_again,north,south,west"];
    let [owner, partner] = made(folder.path(), 2_000, heads, 1, quarter, |row, numbers| {
        let (a, b, x) = (numbers.normal(), numbers.normal(), numbers.normal());
        let colour = if row % 61 == 0 { 3 } else { (numbers.unit() * 3.0) as usize };
        let place = (numbers.unit() * 3.0) as usize;
        let one_hot = |level: usize, of: usize| (0..of).map(move |k| f64::from(u8::from(k == level)));
        let own: Vec<f64> = [a, b, a + b].into_iter().chain(one_hot(colour, 4)).collect();
        let theirs: Vec<f64> = [x, x + 1e-7 * numbers.normal()].into_iter().chain(one_hot(place, 3)).collect();
        let label = yes(0.6 * a - 0.4 * b + 0.5 * x + 0.4 * colour as f64 - 0.3 * place as f64 - 0.5, numbers);
        (own, theirs, label)
    });
    let run = rehearse(&owner, &partner, "label", &[]);
    close_to_the_twin("dependent columns", &run.report);
    let worst = number(&run.report, "/twin/max_coefficient_error_se");
    assert!(worst <= 0.05, "worst coefficient {worst} standard errors away");
    assert_eq!(run.report["owner_coefficients"].as_object().unwrap().len(), 7, "the model keeps all columns");
    let text = std::fs::read_to_string(run.folder.path().join("results/report.txt")).unwrap();
    for words in [
        "columns a, b and total follow from each other on the matched training rows: 2 of the 3 are independent",
        "columns red, green, blue and rare follow from each other on the matched training rows: 3 of the 4 are independent",
        "columns x and x_again follow from each other on the matched training rows: 1 of the 2 is independent",
        "columns north, south and west follow from each other",
        "own weights: 3 to the partner, 6 to the owner",
    ] {
        assert!(text.contains(words), "the report does not say `{words}`:\n{text}");
    }
}

#[test]
fn more_weights_than_rows_are_held_by_the_ridge() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    let names = |prefix: &str| (0..15).map(|j| format!("{prefix}{j}")).collect::<Vec<_>>().join(",");
    let [owner, partner] = made(
        folder.path(),
        125,
        [&names("o"), &names("p")],
        2,
        |row| row >= 25,
        |_, numbers| {
            let mut draw = || (0..15).map(|_| numbers.normal()).collect::<Vec<f64>>();
            let (own, theirs) = (draw(), draw());
            let label = yes(own[0] - theirs[0], numbers);
            (own, theirs, label)
        },
    );
    let run = rehearse(&owner, &partner, "label", &["--l2", "0.04", "--min-positives", "2"]);
    let [loss, se] = ["/twin/loss_gap", "/twin/max_coefficient_error_se"].map(|path| number(&run.report, path));
    assert!(loss.abs() <= 1e-5 && se <= 0.1, "objective gap {loss}, worst coefficient {se} standard errors away");
    let text = std::fs::read_to_string(run.folder.path().join("results/owner/report.txt")).unwrap();
    assert!(text.contains("25 training rows for 31 weights"), "{text}");
}

#[test]
fn an_owner_with_a_label_only_trains_against_its_rate() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    let make = |heads: [&str; 2]| {
        made(folder.path(), 3_000, heads, 3, quarter, |_, numbers| {
            let (c, d) = (numbers.normal(), numbers.normal());
            let label = yes(-1.3 + 0.6 * c + 0.5 * d, numbers);
            let own = if heads[0].is_empty() { Vec::new() } else { vec![7.0] };
            let theirs = if heads[1] == "c" { vec![c] } else { vec![c, d] };
            (own, theirs, label)
        })
    };
    for (heads, words) in [
        (["", "c,d"], "the owner brings no column that varies"),
        (["constant", "c"], "column constant is constant on the matched training rows and was dropped"),
    ] {
        let [owner, partner] = make(heads);
        let run = rehearse(&owner, &partner, "label", &[]);
        close_to_the_twin("a label only", &run.report);
        near("AUC of the rate", number(&run.report, "/own_only/auc"), 0.5, 1e-12);
        let auc = number(&run.report, "/test/auc");
        assert!(auc > 0.6, "{auc}");
        let results = run.folder.path().join("results");
        let text = std::fs::read_to_string(results.join("owner/report.txt")).unwrap();
        assert!(text.contains("against .5000 with the label's rate alone (gain") && text.contains("label's rate"), "{text}");
        assert!(text.contains(words) && !text.contains("own columns "), "{text}");
        let html = std::fs::read_to_string(results.join("report.html")).unwrap();
        assert!(html.contains("with the label&#39;s rate alone") && !html.contains("NaN"), "{html}");
    }
}

#[test]
fn every_task_trains_on_the_partners_columns_alone() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    for (task, seed) in [("linear", 5), ("poisson", 6), ("gamma", 7), ("log_normal", 8), ("hurdle", 9)] {
        let [owner, partner] = made(folder.path(), 2_400, ["", "c,d,e,f,g"], seed, quarter, |_, numbers| {
            let (c, d) = (numbers.normal(), numbers.normal());
            let mean = (0.4 * c - 0.3 * d).exp();
            let pays = task == "linear" || task == "poisson" || numbers.unit() < 0.4;
            let amount = mean * (0.5 * numbers.normal()).exp();
            let label = match task {
                "poisson" => amount.round(),
                _ if pays => amount,
                _ => 0.0,
            };
            (Vec::new(), vec![c, d, numbers.normal(), numbers.normal(), numbers.normal()], label)
        });
        let run = rehearse(&owner, &partner, "label", &["--task", task]);
        let [loss, se] = ["/twin/loss_gap", "/twin/max_coefficient_error_se"].map(|path| number(&run.report, path));
        println!("{task} on the partner's columns alone: objective gap {loss:.1e}, worst coefficient {se:.3} se");
        assert!(loss.abs() <= 1e-5 && se <= 0.1, "{task}: objective gap {loss}, worst coefficient {se} standard errors away");
        let text = std::fs::read_to_string(run.folder.path().join("results/owner/report.txt")).unwrap();
        assert!(text.contains("label's mean alone") && !text.contains("NaN"), "{task}: {text}");
    }
}

#[test]
fn a_partner_without_columns_is_refused_in_clear_words() {
    let _machine = together();
    for (head, wanted) in [("", "E0309"), ("same", "E0550")] {
        let folder = TempDir::new().unwrap();
        let [owner, partner] = made(folder.path(), 400, ["a", head], 4, quarter, |_, numbers| {
            let a = numbers.normal();
            let theirs = if head.is_empty() { Vec::new() } else { vec![1.0] };
            (vec![a], theirs, yes(a, numbers))
        });
        let ended = Program::start(Side::Owner, command(folder.path(), &owner, &partner, "label", &[])).ended(HANG);
        ended.failed(&[13], &[wanted], head);
    }
}

#[test]
fn bank_without_the_owners_columns_gains_against_the_rate() {
    let _machine = together();
    let Some(folder) = data("bank") else { return };
    let text = std::fs::read_to_string(folder.join("owner.csv")).unwrap();
    let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let kept: Vec<usize> = (0..head.len()).filter(|place| ["id", "label", "split"].contains(&head[*place])).collect();
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        kept.iter().map(|place| cells[*place]).collect::<Vec<_>>().join(",") + "\n"
    };
    let place = TempDir::new().unwrap();
    let owner = place.path().join("owner.csv");
    std::fs::write(&owner, text.lines().map(line).collect::<String>()).unwrap();
    let run = rehearse(&owner, &folder.join("partner.csv"), "label", &[]);
    close_to_the_twin("bank without the owner's columns", &run.report);
    let worst = number(&run.report, "/twin/max_coefficient_error_se");
    assert!(worst <= 0.05, "worst coefficient {worst} standard errors away");
    near("AUC of the rate", number(&run.report, "/own_only/auc"), 0.5, 1e-12);
    let text = std::fs::read_to_string(run.folder.path().join("results/report.txt")).unwrap();
    assert!(text.contains("against .5000 with the label's rate alone"), "{text}");
}
