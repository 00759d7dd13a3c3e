//! `score`: users scored by the stored halves of a training, with both real programs: equal scores, new users, refusals, ends.

use crate::proxy::{Fault, Proxy, Way};
use crate::world::{Ended, HANG, Program, SIDES, World, free_port, names, results, set, synthetic, together};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt8Type};
use colift::data::{Side, TableSpec, read_table};
use colift::model::ModelFile;
use nix::sys::signal::Signal;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

/// Two paired sides with the halves of one training, as `model.json` in either side's folder.
struct Trained {
    world: World,
    model_id: String,
    /// Score by id of the training run's test users.
    scores: HashMap<String, f64>,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let _machine = together();
    trained(|_| {}, |_, _| {})
});

/// Trains with both programs, after files were laid down and the jobs changed.
fn trained(prepare: impl Fn(&World), change: impl Fn(Side, &mut toml::Table)) -> Trained {
    let world = World::new();
    prepare(&world);
    world.jobs(change);
    let mut scores = HashMap::new();
    for ended in world.run_both(&["--out", "training"]) {
        let folder = results(&world, ended.side, ended.fine());
        std::fs::copy(folder.join("model.json"), world.place(ended.side).join("model.json")).unwrap();
        if ended.side == Side::Owner {
            scores = by_id(&folder.join("scores.csv")).into_iter().map(|(id, row)| (id, row["score"].parse().unwrap())).collect();
        }
    }
    let model_id = read_json(&world.place(Side::Owner).join("model.json"))["model_id"].as_str().unwrap().to_owned();
    Trained { world, model_id, scores }
}

/// The rows of a CSV file with a header, by the first column.
fn by_id(path: &Path) -> BTreeMap<String, HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        let cells = header.iter().zip(record.iter()).map(|(name, cell)| (name.to_owned(), cell.to_owned()));
        (record[0].to_owned(), cells.collect())
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl Trained {
    /// Writes both sides' scoring jobs under a name of their own, with a port of their own, changed as wanted.
    fn jobs(&self, name: &str, change: impl Fn(Side, &mut toml::Table)) {
        let port = free_port();
        for side in SIDES {
            let how = if side == Side::Owner { "listen" } else { "dial" };
            let text = format!(
                r#"
                [shared]
                name = "{name}"
                task = "score"
                id_kind = "email"
                max_rows = {{ owner = 50_000, partner = 50_000 }}
                model = "{}"
                output = ["score", "decile", "top_share", "yes_no"]
                top_share = 0.4
                threshold = 0.2
                reveal = ["overlap_to_both", "scores_to_owner"]
                [shared.peers]
                owner = "{}"
                partner = "{}"
                [private]
                data = "{}"
                id = "id"
                model = "model.json"
                ledger = {{ on_small_difference = "warn" }}
                link = {{ {how} = "127.0.0.1:{port}" }}
                "#,
                self.model_id,
                self.world.print(Side::Owner),
                self.world.print(Side::Partner),
                synthetic(side).display(),
            );
            let mut table: toml::Table = text.parse().unwrap();
            change(side, &mut table);
            std::fs::write(self.world.place(side).join(format!("{name}.toml")), table.to_string()).unwrap();
        }
    }

    fn start(&self, side: Side, name: &str) -> Program {
        let (job, out) = (format!("{name}.toml"), format!("out-{name}"));
        self.world.sign(side, &job);
        let deadlines = ["--connect-timeout", "20", "--idle-timeout", "5"];
        self.world.start(side, &[&["score", "--job", &job, "--out", &out, "--lines"], &deadlines[..]].concat())
    }

    fn both(&self, name: &str) -> [Ended; 2] {
        SIDES.map(|side| self.start(side, name)).map(|program| program.ended(HANG))
    }

    /// Runs both sides to a good end; their results folders.
    fn scored(&self, name: &str) -> [PathBuf; 2] {
        self.both(name).map(|ended| results(&self.world, ended.side, ended.fine()))
    }

    /// Runs one side, which must refuse by itself.
    fn refuses(&self, side: Side, name: &str, codes: &[i32], words: &[&str]) {
        self.start(side, name).ended(HANG).failed(codes, words, name);
        self.left_nothing(side, name);
    }

    fn left_nothing(&self, side: Side, name: &str) {
        let left: Vec<String> = names(&self.world.place(side)).into_iter().filter(|entry| entry.contains(&format!("out-{name}"))).collect();
        assert_eq!(left, Vec::<String>::new(), "{name}: the {side} left something behind");
    }

    fn report(&self, folder: &Path) -> Value {
        read_json(&folder.join("report.json"))
    }

    /// Writes a side's data file.
    fn data(&self, side: Side, name: &str, lines: &[String]) {
        std::fs::write(self.world.place(side).join(name), lines.join("\n") + "\n").unwrap();
    }
}

fn lines(side: Side) -> Vec<String> {
    std::fs::read_to_string(synthetic(side)).unwrap().lines().map(str::to_owned).collect()
}

/// Log-odds by the stored half over the committed file, by id: the joint model's part, and for the owner its own model's.
fn logits(trained: &Trained, side: Side) -> HashMap<String, (f64, f64)> {
    let model = ModelFile::load(&trained.world.place(side).join("model.json")).unwrap();
    let spec = TableSpec {
        id_kind: colift::data::IdKind::Email,
        only: Some(model.recipe.inputs().into_iter().map(str::to_owned).collect()),
        ..TableSpec::new(synthetic(side), "id")
    };
    let table = read_table(&spec, side).unwrap();
    let joint = model.logits(&table.columns, table.rows()).unwrap().values;
    let own = model.own_model.map_or(vec![0.0; table.rows()], |own| own.logits(&table.columns, table.rows()).unwrap().values);
    table.ids.into_iter().zip(joint.into_iter().zip(own)).collect()
}

fn probability(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[test]
fn batch_scores_are_those_of_the_training_run_and_of_both_halves() {
    let trained = &*TRAINED;
    let _machine = together();
    trained.jobs("same", |_, _| {});
    let [owner, partner] = trained.scored("same");
    let path = owner.join("scores.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().next(), Some("id,score,decile,top_share,yes_no,model"));
    let order: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    let rows = by_id(&path);
    assert_eq!((rows.len(), order.len()), (611, 611));

    // The training run's test users.
    assert!(trained.scores.len() > 100);
    for (id, score) in &trained.scores {
        let row = &rows[id];
        assert!(row["model"] == "joint" && (row["score"].parse::<f64>().unwrap() - score).abs() <= 1e-6, "a test user's score moved");
    }
    // Everybody, from both halves in one place: the partner's part goes in steps of 1/256.
    let halves = SIDES.map(|side| logits(trained, side));
    let mut joint = 0;
    for (id, row) in &rows {
        let score: f64 = row["score"].parse().unwrap();
        let (z, own) = halves[0][id];
        match halves[1].get(id) {
            Some((part, _)) => {
                joint += 1;
                assert_eq!(row["model"], "joint");
                assert!((score - probability(z + (part * 256.0).round() / 256.0)).abs() <= 5.1e-7);
            }
            None => {
                assert_eq!(row["model"], "own");
                assert!((score - probability(own)).abs() <= 5.1e-7);
            }
        }
    }
    assert_eq!(joint, 503);
    // In the order of the owner's file; deciles, top share and answers follow from the scores.
    let spelt = |line: &String| line.split(',').next().unwrap().trim().to_lowercase();
    assert!(lines(Side::Owner).iter().skip(1).map(spelt).eq(order.iter().map(|id| (*id).to_owned())));
    let mut ranked: Vec<(&String, &HashMap<String, String>)> = rows.iter().collect();
    ranked.sort_by(|a, b| b.1["score"].parse::<f64>().unwrap().total_cmp(&a.1["score"].parse::<f64>().unwrap()).then(a.0.cmp(b.0)));
    for (place, (_, row)) in ranked.iter().enumerate() {
        // Scores that are equal to six digits may stand either way.
        let score = &row["score"];
        let tied = ranked.iter().filter(|other| other.1["score"] == *score).count() > 1;
        if !tied {
            assert_eq!(row["decile"], (10 * place / 611 + 1).to_string());
            assert_eq!(row["top_share"], if place < 244 { "yes" } else { "no" }, "place {place}");
        }
        assert_eq!(row["yes_no"], if score.parse::<f64>().unwrap() >= 0.2 { "yes" } else { "no" });
    }
    let answers = |column: &str, word: &str| rows.values().filter(|row| row[column] == word).count();
    assert_eq!(answers("top_share", "yes"), 244);
    assert!((1..=10).all(|decile| (61..=62).contains(&answers("decile", &decile.to_string()))));

    // Either side's report; nothing of the other side, no id outside scores.csv.
    let report = trained.report(&owner);
    assert_eq!(
        (&report["schema"], &report["side"], &report["model_id"]),
        (&"colift.score-report/1".into(), &"owner".into(), &trained.model_id.as_str().into())
    );
    assert_eq!(report["scored"], json!({"joint": 503, "own": 108}));
    assert_eq!((&report["users"], &report["peer_users"], &report["matched"]), (&611.into(), &653.into(), &503.into()));
    assert_eq!((&report["top_users"], &report["yes_users"]), (&244.into(), &answers("yes_no", "yes").into()));
    let opened = |report: &Value| {
        report["opened"].as_array().unwrap().iter().map(|item| item["item"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(opened(&report), ["overlap_to_both", "scores_to_owner"]);
    let theirs = trained.report(&partner);
    assert_eq!((opened(&theirs), theirs.get("scored"), theirs.get("yes_users")), (opened(&report), None, None));
    assert_eq!(names(&owner), ["receipt.json", "report.html", "report.json", "report.txt", "run.log", "scores.csv"]);
    assert_eq!(names(&partner), ["receipt.json", "report.html", "report.json", "report.txt", "run.log"]);
    let ids: HashSet<String> = SIDES.iter().flat_map(|side| lines(*side)).map(|line| spelt(&line)).filter(|id| id.contains('@')).collect();
    for folder in [&owner, &partner] {
        for name in names(folder).iter().filter(|name| *name != "scores.csv") {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            assert!(!ids.iter().any(|id| text.contains(id)), "{name} holds an id");
        }
    }
}

/// The lines of a job that opens decisions only.
fn deciding(job: &mut toml::Table) {
    set(job, "shared.output", vec!["decile", "top_share", "yes_no"]);
    set(job, "shared.reveal", vec!["overlap_to_both", "decisions_to_owner"]);
}

/// The owner has ids, split and label; the users that the partner lacks get the rate of the label.
#[test]
fn an_owner_without_columns_scores_new_users_by_the_labels_rate() {
    let _machine = together();
    let short =
        |count: usize| lines(Side::Owner).iter().map(|line| line.split(',').take(count).collect::<Vec<_>>().join(",")).collect::<Vec<_>>();
    let write = |world: &World| std::fs::write(world.place(Side::Owner).join("label.csv"), short(3).join("\n") + "\n").unwrap();
    let of_owner = |side: Side, file: &'static str, job: &mut toml::Table| {
        if side == Side::Owner {
            set(job, "private.data", file);
        }
    };
    let trained = trained(write, |side, job| of_owner(side, "label.csv", job));
    let model = ModelFile::load(&trained.world.place(Side::Owner).join("model.json")).unwrap();
    assert!(model.coefficients.0.is_empty() && model.recipe.columns.is_empty());
    let own = model.own_model.as_ref().unwrap();
    let training: Vec<bool> = lines(Side::Owner)
        .iter()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| cells[1] == "train")
        .map(|cells| cells[2] == "1")
        .collect();
    let rate = training.iter().filter(|yes| **yes).count() as f64 / training.len() as f64;
    assert!((probability(own.intercept) - rate).abs() < 1e-9, "the own model is the rate of all own training users");
    let shown = trained.world.run(Side::Owner, &["model", "show", "model.json"]);
    assert!(shown.code == Some(0) && shown.out.contains("0 features on"), "{shown:?}");

    trained.data(Side::Owner, "ids.csv", &[short(1), vec!["new.user@example.net".to_owned()]].concat());
    trained.jobs("rate", |side, job| of_owner(side, "ids.csv", job));
    let plain = by_id(&trained.scored("rate")[0].join("scores.csv"));
    assert_eq!((plain.len(), plain["new.user@example.net"]["model"].as_str()), (612, "own"));
    for row in plain.values().filter(|row| row["model"] == "own") {
        assert!((row["score"].parse::<f64>().unwrap() - rate).abs() <= 5.1e-7);
    }
    for (id, score) in &trained.scores {
        assert!((plain[id]["score"].parse::<f64>().unwrap() - score).abs() <= 1e-6, "a test user's score moved");
    }
    trained.jobs("rate_decided", |side, job| {
        of_owner(side, "ids.csv", job);
        deciding(job);
    });
    let decided = by_id(&trained.scored("rate_decided")[0].join("scores.csv"));
    assert!(plain.iter().all(|(id, row)| decided[id]["yes_no"] == row["yes_no"]));
}

#[test]
fn decisions_without_scores_are_those_of_the_scores() {
    let trained = &*TRAINED;
    let _machine = together();
    trained.jobs("plain", |_, _| {});
    let plain = by_id(&trained.scored("plain")[0].join("scores.csv"));
    trained.jobs("decisions", |_, job| deciding(job));
    let ended = trained.both("decisions");
    assert!(ended[1].err.contains("agree on max_runs") && !ended[0].err.contains("agree on max_runs"), "{}", ended[1].err);
    let [owner, partner] = [0, 1].map(|side| results(&trained.world, ended[side].side, ended[side].fine()));
    let text = std::fs::read_to_string(owner.join("scores.csv")).unwrap();
    assert_eq!(text.lines().next(), Some("id,decile,top_share,yes_no,model"));
    let rows = by_id(&owner.join("scores.csv"));
    assert!(rows.keys().eq(plain.keys()) && rows.len() == 611);
    // Equal but for scores that are equal to the digits that are written.
    let mut ties: BTreeMap<&str, usize> = BTreeMap::new();
    plain.values().for_each(|row| *ties.entry(row["score"].as_str()).or_default() += 1);
    let (mut same, mut alone) = (0, 0);
    for (id, row) in &rows {
        let wanted = &plain[id];
        assert_eq!(row["model"], wanted["model"]);
        if ties[wanted["score"].as_str()] == 1 {
            alone += 1;
            same += usize::from(["decile", "top_share", "yes_no"].iter().all(|column| row[*column] == wanted[*column]));
        }
    }
    println!("{same} of {alone} users without a tie, 611 in all");
    // Scores that differ in the last digits may stand within 2^-16 of a logit: a few.
    assert!(alone > 300 && alone - same <= 2, "{same} of {alone}");
    let answers = |column: &str, word: &str| rows.values().filter(|row| row[column] == word).count();
    assert_eq!(answers("top_share", "yes"), 244);
    assert!((1..=10).all(|decile| (61..=62).contains(&answers("decile", &decile.to_string()))));
    let first_line =
        |folder: &Path| std::fs::read_to_string(folder.join("report.txt")).unwrap().lines().next().unwrap_or_default().to_owned();
    assert!(first_line(&owner).starts_with("611 users decided, and no score known: "), "{}", first_line(&owner));
    assert!(first_line(&partner).contains("went into decisions about") && first_line(&partner).contains("was not sent"));
    // What both sides say was opened, in report and signed receipt; no score in any file.
    for folder in [&owner, &partner] {
        let report = trained.report(folder);
        let opened: Vec<&str> = report["opened"].as_array().unwrap().iter().map(|item| item["item"].as_str().unwrap()).collect();
        assert_eq!(opened, ["overlap_to_both", "decisions_to_owner"]);
        let receipt = std::fs::read_to_string(folder.join("receipt.json")).unwrap();
        assert!(receipt.contains("decisions_to_owner") && !receipt.contains("scores_to_owner"));
    }
    let report = trained.report(&owner);
    assert_eq!((&report["top_users"], &report["yes_users"]), (&244.into(), &answers("yes_no", "yes").into()));
    assert_eq!(report["scored"], json!({"joint": 503, "own": 108}));
    // As Parquet, and with yes or no alone.
    trained.jobs("decisions-parquet", |side, job| {
        deciding(job);
        set(job, "shared.output", vec!["yes_no"]);
        job["shared"].as_table_mut().unwrap().remove("top_share");
        if side == Side::Owner {
            set(job, "private.format", "parquet");
        }
    });
    let [owner, _] = trained.scored("decisions-parquet");
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(owner.join("scores.parquet")).unwrap()).unwrap().build().unwrap();
    for batch in reader.map(Result::unwrap) {
        let header: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(header, ["id", "yes_no", "model"]);
        for row in 0..batch.num_rows() {
            let wanted = &rows[batch.column(0).as_string::<i32>().value(row)];
            assert_eq!(if batch.column(1).as_boolean().value(row) { "yes" } else { "no" }, wanted["yes_no"]);
        }
    }
    // A score beside decisions is refused before anything else.
    for side in SIDES {
        trained.jobs("both", |_, job| {
            deciding(job);
            set(job, "shared.output", vec!["score", "decile", "top_share", "yes_no"]);
        });
        let sign = trained.world.run(side, &["sign", "both.toml"]);
        sign.failed(&[2], &["output lists `score`, which `decisions_to_owner` never opens"], "both");
    }
}

#[test]
fn parquet_holds_what_the_csv_holds_and_only_what_is_listed() {
    let trained = &*TRAINED;
    let _machine = together();
    trained.jobs("csv", |_, job| {
        set(job, "shared.output", vec!["score", "decile", "yes_no"]);
        job["shared"].as_table_mut().unwrap().remove("top_share");
    });
    let rows = by_id(&trained.scored("csv")[0].join("scores.csv"));
    trained.jobs("parquet", |side, job| {
        set(job, "shared.output", vec!["yes_no", "score", "decile"]);
        job["shared"].as_table_mut().unwrap().remove("top_share");
        if side == Side::Owner {
            set(job, "private.format", "parquet");
        }
    });
    let [owner, _] = trained.scored("parquet");
    assert_eq!(names(&owner), ["receipt.json", "report.html", "report.json", "report.txt", "run.log", "scores.parquet"]);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(owner.join("scores.parquet")).unwrap()).unwrap().build().unwrap();
    let mut count = 0;
    for batch in reader.map(Result::unwrap) {
        let header: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(header, ["id", "score", "decile", "yes_no", "model"]);
        for row in 0..batch.num_rows() {
            let wanted = &rows[batch.column(0).as_string::<i32>().value(row)];
            assert_eq!(format!("{:.6}", batch.column(1).as_primitive::<Float64Type>().value(row)), wanted["score"]);
            assert_eq!(batch.column(2).as_primitive::<UInt8Type>().value(row).to_string(), wanted["decile"]);
            assert_eq!(if batch.column(3).as_boolean().value(row) { "yes" } else { "no" }, wanted["yes_no"]);
            assert_eq!(batch.column(4).as_string::<i32>().value(row), wanted["model"]);
            count += 1;
        }
    }
    assert_eq!((count, rows.len()), (611, 611));
    // Deciles alone: no score is written.
    trained.jobs("decile", |_, job| {
        set(job, "shared.output", vec!["decile"]);
        for key in ["top_share", "threshold"] {
            job["shared"].as_table_mut().unwrap().remove(key);
        }
    });
    let text = std::fs::read_to_string(trained.scored("decile")[0].join("scores.csv")).unwrap();
    assert!(text.starts_with("id,decile,model\n"));
    assert!(
        text.lines()
            .skip(1)
            .all(|line| matches!(line.rsplit(',').nth(1), Some(decile) if (1..=10).contains(&decile.parse::<u8>().unwrap())))
    );
}

#[test]
fn new_users_in_another_order_with_other_columns_and_bad_ids_are_scored_as_documented() {
    let trained = &*TRAINED;
    let _machine = together();
    trained.jobs("base", |_, _| {});
    let base = by_id(&trained.scored("base")[0].join("scores.csv"));
    // Columns turned round, no label, no split, a column nobody knows that holds anything, blank and foreign ids between.
    for side in SIDES {
        let mut out = Vec::new();
        for (number, line) in lines(side).into_iter().enumerate() {
            let mut cells: Vec<&str> = line.split(',').collect();
            if side == Side::Owner {
                cells.drain(1..3);
            }
            let id = cells.remove(0);
            cells.reverse();
            let rest = cells.join(",");
            let note = if number == 0 { "note" } else { "\"anything, at all\"" };
            out.push(format!("{note},{rest},{id}"));
            if side == Side::Owner {
                match number {
                    7 => out.push(format!("x,{rest}, ")),
                    20 => out.push(format!("x,{rest},no-address")),
                    21 => out.push(format!("x,{rest},a new user@example.net")),
                    22 => out.push(format!("x,{rest},new.user@example.net")),
                    _ => {}
                }
            } else if number == 3 {
                out.push(format!("x,{rest},"));
            }
        }
        trained.data(side, "new.csv", &out);
    }
    trained.jobs("new", |_, job| set(job, "private.data", "new.csv"));
    let ended = trained.both("new");
    let folders = [0, 1].map(|side| results(&trained.world, ended[side].side, ended[side].fine()));
    let rows = by_id(&folders[0].join("scores.csv"));
    assert_eq!(rows.len(), 612, "three rows have no usable id");
    for (id, row) in &base {
        assert_eq!(
            (&rows[id]["score"], &rows[id]["model"]),
            (&row["score"], &row["model"]),
            "a score depends on the order of columns or rows"
        );
    }
    assert_eq!(rows["new.user@example.net"]["model"], "own");
    let report = trained.report(&folders[0]);
    assert_eq!(report["not_scored"], json!({"id_empty": 1, "id_not_of_kind": 2}));
    assert_eq!((&report["rows"], &report["users"]), (&615.into(), &612.into()));
    let skipped = std::fs::read_to_string(folders[0].join("not_scored.csv")).unwrap();
    assert_eq!(skipped, "row,reason\n8,the id is empty\n22,the id is not of kind email\n24,the id is not of kind email\n");
    assert_eq!(std::fs::read_to_string(folders[1].join("not_scored.csv")).unwrap(), "row,reason\n4,the id is empty\n");
    assert!(ended[0].err.contains("3 rows have no usable id"), "{}", ended[0].err);
    for text in [&ended[0].out, &ended[0].err, &report.to_string()] {
        assert!(!text.contains("no-address") && !text.contains("a new user"), "an id is shown");
    }
    // A column that the model needs is gone, or a user stands twice: refused before the peer is met.
    for side in SIDES {
        let column = if side == Side::Owner { "orders" } else { "app_minutes" };
        let mut renamed = lines(side);
        renamed[0] = renamed[0].replace(column, "other");
        trained.data(side, "renamed.csv", &renamed);
        trained.jobs("renamed", |_, job| set(job, "private.data", "renamed.csv"));
        trained.refuses(side, "renamed", &[13], &["E0724", column, "renamed.csv"]);
        let mut twice = lines(side);
        let again = twice[5].to_uppercase();
        twice.push(again);
        trained.data(side, "twice.csv", &twice);
        trained.jobs("twice", |_, job| set(job, "private.data", "twice.csv"));
        trained.refuses(side, "twice", &[13], &["E0315", "repeats the id"]);
        let mut nobody = lines(side);
        nobody.iter_mut().skip(1).for_each(|line| line.insert(0, '@'));
        trained.data(side, "nobody.csv", &nobody);
        trained.jobs("nobody", |_, job| set(job, "private.data", "nobody.csv"));
        trained.refuses(side, "nobody", &[13], &["E0806", "has a usable id"]);
    }
}

#[test]
fn without_a_common_user_the_job_decides() {
    let trained = &*TRAINED;
    let _machine = together();
    let mut strangers = lines(Side::Owner);
    strangers.iter_mut().skip(1).for_each(|line| line.insert_str(0, "stranger."));
    trained.data(Side::Owner, "strangers.csv", &strangers);
    let to_strangers = |side: Side, job: &mut toml::Table| {
        if side == Side::Owner {
            set(job, "private.data", "strangers.csv");
        }
    };
    trained.jobs("none", to_strangers);
    for ended in trained.both("none") {
        ended.failed(&[14], &["0 users are common", "at least 1"], "nobody is common");
        trained.left_nothing(ended.side, "none");
    }
    trained.jobs("all-own", |side, job| {
        to_strangers(side, job);
        set(job, "shared.min_overlap", 0);
    });
    let [owner, partner] = trained.scored("all-own");
    let rows = by_id(&owner.join("scores.csv"));
    assert!(rows.len() == 611 && rows.values().all(|row| row["model"] == "own"));
    assert_eq!(trained.report(&owner)["scored"], json!({"joint": 0, "own": 611}));
    assert_eq!(trained.report(&partner)["matched"], 0);
}

#[test]
fn wrong_models_and_jobs_are_refused_before_the_peer_is_met() {
    let trained = &*TRAINED;
    let _machine = together();
    // Where the peer would be: nobody may come.
    let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    peer.set_nonblocking(true).unwrap();
    let address = peer.local_addr().unwrap().to_string();
    let dialling = |job: &mut toml::Table| set(job, "private.link", toml::Table::from_iter([("dial".to_owned(), address.clone().into())]));
    let other_id = "00".repeat(16);
    for side in SIDES {
        let text = std::fs::read_to_string(trained.world.place(side).join("model.json")).unwrap();
        let write = |name: &str, text: String| std::fs::write(trained.world.place(side).join(name), text).unwrap();
        let mut model: Value = serde_json::from_str(&text).unwrap();
        model["peer_fingerprint"] = "ab".repeat(32).into();
        write("stranger.json", model.to_string());
        write("later.json", text.replacen("colift.model/4", "colift.model/9", 1));
        let theirs = std::fs::read_to_string(trained.world.place(side.peer()).join("model.json")).unwrap();
        write("theirs.json", theirs);
        write("first.json", text.replacen("colift.model/4", "colift.model/1", 1));
        // Name, key, value, exit code, words.
        type Case<'a> = (&'a str, &'a str, &'a str, &'a [i32], &'a [&'a str]);
        let cases: [Case<'_>; 6] = [
            ("other-id", "shared.model", &other_id, &[2], &["E0803", &other_id, &trained.model_id]),
            ("theirs", "private.model", "theirs.json", &[2], &["E0801", &format!("the {}'s half", side.peer())]),
            ("stranger", "private.model", "stranger.json", &[11], &["E0804", "another key"]),
            ("later", "private.model", "later.json", &[16], &["E0722", "colift.model/9"]),
            (
                "first",
                "private.model",
                "first.json",
                &[16],
                &["E0722", "colift.model/1", "written by an unreleased version", "train again"],
            ),
            ("absent", "private.model", "absent.json", &[13], &["E0721", "absent.json"]),
        ];
        for (name, key, value, codes, words) in cases {
            trained.jobs(name, |_, job| {
                dialling(job);
                set(job, key, value);
            });
            trained.refuses(side, name, codes, words);
            assert!(peer.accept().is_err(), "{name}: the peer was dialled");
        }
        // Each task has its command.
        trained.jobs("task", |_, job| dialling(job));
        let run = trained.world.run(side, &["run", "--job", "task.toml"]);
        run.failed(&[2], &["task is `score`", &format!("colift-{side} score --job task.toml")], "run on a scoring");
        trained.world.job(side, dialling);
        let score = trained.world.run(side, &["score", "--job", "job.toml"]);
        score.failed(&[2], &["task is `logistic`", &format!("colift-{side} run --job job.toml")], "score on a training");
        trained.world.left_nothing(side, "the wrong command");
    }
    assert!(peer.accept().is_err(), "the peer was dialled");
}

#[test]
fn jobs_that_differ_name_the_field_on_both_sides() {
    let trained = &*TRAINED;
    let _machine = together();
    type Change = fn(&mut toml::Table);
    let fields: [(&str, Change); 4] = [
        ("output", |job| {
            set(job, "shared.output", vec!["score", "top_share", "yes_no"]);
        }),
        ("top_share", |job| set(job, "shared.top_share", 0.3)),
        ("threshold", |job| set(job, "shared.threshold", 0.25)),
        ("min_overlap", |job| set(job, "shared.min_overlap", 2)),
    ];
    for (field, change) in fields {
        let name = format!("differ-{field}");
        trained.jobs(&name, |side, job| {
            if side == Side::Partner {
                change(job);
            }
        });
        for ended in trained.both(&name) {
            ended.failed(&[12], &[&format!("`{field}` is"), "the shared parts of the two job files differ"], field);
            trained.left_nothing(ended.side, &name);
        }
    }
}

/// Two files of 12,000 users with the columns of the model: their matching takes half a second or more.
fn many(trained: &Trained) {
    for (side, first) in [(Side::Owner, 0), (Side::Partner, 4_000)] {
        let committed = lines(side);
        let mut text = committed[0].clone() + "\n";
        for row in first..first + 12_000 {
            let cells = committed[1 + row % 600].split_once(',').unwrap().1;
            writeln!(text, "user{row}@example.net,{cells}").unwrap();
        }
        std::fs::write(trained.world.place(side).join("many.csv"), text).unwrap();
    }
}

#[test]
fn a_killed_or_stopped_peer_ends_the_other_side_without_output() {
    let trained = &*TRAINED;
    let _machine = together();
    many(trained);
    for (victim, signal, code, words) in [
        (Side::Owner, Signal::SIGKILL, 10, "the peer"),
        (Side::Partner, Signal::SIGKILL, 10, "the peer"),
        (Side::Owner, Signal::SIGINT, 20, "stopped by hand"),
    ] {
        let name = format!("{victim}-{signal}").to_lowercase();
        trained.jobs(&name, |_, job| set(job, "private.data", "many.csv"));
        let [owner, partner] = SIDES.map(|side| trained.start(side, &name));
        owner.wait_for("matching begins");
        partner.wait_for("matching begins");
        std::thread::sleep(Duration::from_millis(50));
        let (ill, well) = if victim == Side::Owner { (owner, partner) } else { (partner, owner) };
        ill.signal(signal);
        let ended = well.ended(HANG);
        ended.failed(&[code], &[words], &name);
        trained.left_nothing(ended.side, &name);
        let ill = ill.ended(HANG);
        if signal == Signal::SIGINT {
            ill.failed(&[20], &["nterrupted"], &name);
            trained.left_nothing(victim, &name);
        }
    }
    // The link is cut just before the partner's part has passed: neither side writes anything.
    let port = free_port();
    let count = Proxy::start(port, Fault::None);
    let through = |name: &str, proxy: &Proxy| {
        trained.jobs(name, |_, job| set(job, "private.data", "many.csv"));
        for (side, key, port) in [(Side::Owner, "listen", port), (Side::Partner, "dial", proxy.port)] {
            let path = trained.world.place(side).join(format!("{name}.toml"));
            let mut job: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
            set(&mut job, &format!("private.link.{key}"), format!("127.0.0.1:{port}"));
            std::fs::write(path, job.to_string()).unwrap();
        }
    };
    through("whole", &count);
    trained.scored("whole");
    let (from_partner, _) = count.passed();
    drop(count);
    // 8,000 common users: the last 32 kB are the partner's part.
    let cut = Proxy::start(port, Fault::Cut(Way::Dialler, from_partner - 10_000));
    through("cut", &cut);
    for ended in trained.both("cut") {
        ended.failed(&[10], &[], "cut");
        trained.left_nothing(ended.side, "cut");
    }
    assert!(cut.committed());
}
