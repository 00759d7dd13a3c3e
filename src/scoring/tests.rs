//! Tests of scoring: bit-equal features, new users, ranks, what is written, checks of the half.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::rank::{decile, places, top_users};
use super::write::{Columns, not_scored};
use super::*;
use crate::contract::{ScoreOutput, ScoreTerms};
use crate::data::{ColumnKind, IdKind, Values, Wishes};
use crate::evaluation::random::normals;
use crate::model::{ModelSchema, OwnModel, Task};
use crate::progress::Silent;
use crate::recipe::{FitRows, Recipe};
use crate::training::heads::Reading;
use std::fmt::Write;
use std::path::Path;
use tempfile::TempDir;

pub(super) const ROWS: usize = 900;

/// A side's file of numbers and categories: gaps, a number that means "missing", a heavy tail, rare levels.
pub(super) fn file(side: Side, first: usize) -> String {
    let noise = normals(2 * ROWS, 7 + side as u64);
    let mut text = String::from("note,id,age,days,spend,city,plan\n");
    for row in first..first + ROWS {
        let (a, b) = (noise[2 * (row % ROWS)], noise[2 * (row % ROWS) + 1]);
        let age = if row % 10 == 0 { String::new() } else { format!("{:.2}", 40.0 + 9.0 * a) };
        let days = if row % 4 == 0 { "-1".to_owned() } else { (row % 37).to_string() };
        let spend = if row == first + 5 { "1e9".to_owned() } else { format!("{:.3}", b.abs()) };
        let city = ["Oslo", "Rome", "Bern", "Kyiv", "Lima, old town"][row % 5];
        let plan = if row % 61 == 0 { "rare" } else { ["basic", "full"][row % 2] };
        writeln!(text, "free text,user{row},{age},{days},{spend},\"{city}\",{plan}").unwrap();
    }
    text
}

/// A job of one side that opens scores and deciles.
fn job(side: Side, folder: &Path, data: &str) -> Job {
    job_with(side, folder, data, "output = [\"score\", \"decile\"]\nreveal = [\"overlap_to_both\", \"scores_to_owner\"]")
}

/// A job of one side with these lines on what is opened.
pub(super) fn job_with(side: Side, folder: &Path, data: &str, opens: &str) -> Job {
    let text = format!(
        "[shared]\nname = \"case\"\ntask = \"score\"\nmodel = \"{}\"\n{opens}\n\
         max_rows = {{ owner = 5000, partner = 5000 }}\n\
         [shared.peers]\nowner = \"{}\"\npartner = \"{}\"\n\
         [private]\ndata = \"{data}\"\nid = \"id\"\nmodel = \"model.json\"\nlink = {{ listen = \"127.0.0.1:0\" }}\n",
        "45".repeat(16),
        "a".repeat(64),
        "b".repeat(64)
    );
    Job::parse(&text, side, folder).unwrap()
}

/// A side's folder with its training file and the half that was fitted on two thirds of its rows.
pub(super) struct Half {
    pub(super) folder: TempDir,
    side: Side,
    table: Table,
    model: ModelFile,
}

impl Half {
    pub(super) fn new(side: Side) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("training.csv");
        std::fs::write(&path, file(side, 0)).unwrap();
        let spec = TableSpec { exclude: vec!["note".into()], ..TableSpec::new(&path, "id") };
        let table = read_table(&spec, Side::Partner).unwrap();
        let rows: Vec<usize> = (0..ROWS).filter(|row| row % 3 > 0).collect();
        let labels: Vec<bool> = rows.iter().map(|row| row % 5 == 1).collect();
        let owner = side == Side::Owner;
        let fit = |rows: &[usize]| {
            let on = FitRows { rows, labels: owner.then_some(&labels[..rows.len()]), clip: 5.0, wishes: &Wishes::new() };
            Recipe::fit(&table.columns, on).unwrap()
        };
        let weights = |recipe: &Recipe, by: f64| recipe.names().into_iter().zip((1..).map(|i| by / f64::from(i))).collect();
        let (recipe, own) = (fit(&rows), fit(&rows[..400]));
        let model = ModelFile {
            schema: ModelSchema::V4,
            model_id: "45".repeat(16),
            side,
            name: "case".into(),
            created: "2026-11-23T06:12:00Z".into(),
            program: "0.1.0".into(),
            task: Task::Logistic,
            label: owner.then(|| "vip".into()),
            earlier_labels: Vec::new(),
            more_heads: Vec::new(),
            reading: owner.then(|| Reading { partner_factors: vec![1.0], variances: Vec::new(), log_cap: 0.0 }),
            train_rows: rows.len() as u64,
            l2: 0.001,
            clip: 5.0,
            job_digest: "ab".repeat(32),
            own_fingerprint: if owner { "a" } else { "b" }.repeat(64),
            peer_fingerprint: if owner { "b" } else { "a" }.repeat(64),
            coefficients: weights(&recipe, 0.5),
            recipe,
            intercept: owner.then_some(-1.0),
            own_model: owner.then(|| OwnModel {
                train_rows: 400,
                intercept: -0.5,
                coefficients: weights(&own, 0.3),
                recipe: own,
                more_heads: Vec::new(),
                variances: Vec::new(),
            }),
            figures: None,
        };
        std::fs::write(folder.path().join("model.json"), model.to_json().unwrap()).unwrap();
        Self { folder, side, table, model }
    }

    /// Prepares a scoring of this file.
    pub(super) fn prepare(&self, text: &str) -> Result<Prepared, Failure> {
        std::fs::write(self.folder.path().join("new.csv"), text).unwrap();
        prepare(job(self.side, self.folder.path(), "new.csv"))
    }
}

fn bits(prepared: &Recipe, table: &Table) -> Vec<(String, Vec<u64>)> {
    let features = prepared.apply(&table.columns, table.rows()).unwrap().features;
    let rows = features.rows().into_iter().map(|row| row.iter().map(|value| value.to_bits()).collect());
    let mut rows: Vec<(String, Vec<u64>)> = table.ids.iter().cloned().zip(rows).collect();
    rows.sort();
    rows
}

/// The same cells in files of another shape: rows backwards, columns turned round, other line ends and quotes.
fn reshaped(text: &str) -> String {
    let mut lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let header = lines.remove(0);
    lines.reverse();
    lines.insert(0, header);
    let cell = |cells: &[&str]| -> String {
        // The town with a comma comes in two pieces.
        let cells: Vec<String> = match cells {
            [.., town, rest, plan] if rest.ends_with('"') && !rest.starts_with('"') => {
                let mut cells: Vec<String> = cells[..cells.len() - 3].iter().map(|cell| (*cell).to_owned()).collect();
                cells.extend([format!("{town},{rest}"), (*plan).to_owned()]);
                cells
            }
            other => other.iter().map(|cell| (*cell).to_owned()).collect(),
        };
        cells.into_iter().rev().collect::<Vec<_>>().join(",")
    };
    lines.iter().map(|cells| cell(cells) + "\r\n").collect()
}

#[test]
fn the_same_rows_give_bit_equal_features_in_training_and_scoring() {
    for side in [Side::Owner, Side::Partner] {
        let half = Half::new(side);
        let trained = bits(&half.model.recipe, &half.table);
        assert!(trained[0].1.len() > 8, "{} features", trained[0].1.len());
        for text in [file(side, 0), reshaped(&file(side, 0))] {
            let prepared = half.prepare(&text).unwrap();
            // What was fitted, written, read again and applied to the file as scoring reads it.
            assert_eq!(prepared.model, half.model);
            assert!(prepared.table.column_names().all(|name| name != "note"), "only the model's columns are read");
            assert_eq!(bits(&prepared.model.recipe, &prepared.table), trained);
            if let Some(own) = &prepared.model.own_model {
                assert_eq!(bits(&own.recipe, &prepared.table), bits(&half.model.own_model.as_ref().unwrap().recipe, &half.table));
            }
        }
    }
}

/// Runs both prepared sides over a memory pair.
fn both(owner: &Prepared, partner: &Prepared) -> [Outcome; 2] {
    let (mut a, mut b) = colift_channel::memory::pair();
    let run = |prepared: &Prepared, channel: &mut dyn Channel| {
        over(channel, &[3; 32], prepared, &mut StageClock::new(prepared.job.side()), &Silent)
    };
    std::thread::scope(|scope| {
        let partner = scope.spawn(move || run(partner, &mut b).unwrap());
        [run(owner, &mut a).unwrap(), partner.join().unwrap()]
    })
}

#[test]
fn new_users_with_unseen_levels_and_gaps_are_scored_and_counted() {
    let (owner, partner) = (Half::new(Side::Owner), Half::new(Side::Partner));
    // 300 users of the training at the owner's, 600 new ones, and odd cells: a town nobody had, a gap where training had none.
    let mut text = file(Side::Owner, 600);
    text = text.replacen(",\"Oslo\",", ",\"Quito\",", 3).replacen(",\"Rome\",", ",,", 2);
    text.push_str("x,lonely,30,1,,Bern,basic\n,,30,1,2,Bern,basic\n");
    let ours = owner.prepare(&text).unwrap();
    assert_eq!(ours.table.skipped, [(902, IdProblem::Empty)]);
    let theirs = partner.prepare(&file(Side::Partner, 0)).unwrap();
    let [outcome, other] = both(&ours, &theirs);
    let scored = outcome.scored.unwrap();
    assert!(other.scored.is_none());
    assert_eq!(outcome.report.scored, Some(ScoredUsers { joint: 300, own: 601 }));
    assert_eq!((outcome.report.rows, outcome.report.not_scored.id_empty, other.report.matched), (902, 1, 300));
    // Every row: the joint one to half a step of the partner's part, the own one exactly.
    let joint = ours.model.logits(&ours.table.columns, 901).unwrap().values;
    let own = ours.model.own_model.as_ref().unwrap().logits(&ours.table.columns, 901).unwrap().values;
    let parts = theirs.model.logits(&theirs.table.columns, ROWS).unwrap().values;
    for (row, id) in ours.table.ids.iter().enumerate() {
        let theirs = theirs.table.ids.iter().position(|other| other == id);
        assert_eq!(scored.joint[row], theirs.is_some());
        let (z, within) = theirs.map_or((own[row], 0.0), |at| (joint[row] + parts[at], 0.25 / 512.0));
        assert!((scored.scores[row] - sigmoid(z)).abs() <= within + 1e-15, "row {row}");
    }
    // What the training had not is counted by column and told.
    let found = |column: &str| outcome.report.unfamiliar.iter().find(|cells| cells.column == column).cloned().unwrap_or_default();
    assert_eq!((found("city").unseen, found("city").missing), (3, 2));
    assert_eq!((found("spend").unseen, found("spend").missing), (0, 1));
    assert_eq!(found("age"), UnfamiliarCells::default(), "training rows lacked it too");
    assert!(outcome.notes.iter().any(|note| note.contains("`city`: 3 rows have a level")), "{:?}", outcome.notes);
    assert!(outcome.notes.iter().all(|note| !note.contains("Quito") && !note.contains("lonely")));
    assert!(other.report.unfamiliar.is_empty());
}

#[test]
fn columns_that_are_gone_or_of_another_type_are_refused_by_name() {
    let half = Half::new(Side::Owner);
    let failure = half.prepare(&file(Side::Owner, 0).replacen(",spend,city,", ",spent,town,", 1)).err().unwrap();
    assert_eq!((failure.exit, failure.id), (Exit::Data, 724));
    assert!(failure.what.contains("2 columns of the model are missing") && failure.place.unwrap().ends_with("new.csv, `spend`, `city`"));
    // Words where the training had numbers, in a file and in a table of another make.
    let failure = half.prepare(&file(Side::Owner, 0).replacen(",-1,", ",never,", 1)).err().unwrap();
    assert!(failure.exit == Exit::Data && failure.to_string().contains("days"), "{failure}");
    let mut columns = half.table.columns.clone();
    let days = columns.iter_mut().find(|column| column.name == "days").unwrap();
    days.values = Values::Text { codes: vec![0; ROWS], levels: vec!["never".into()] };
    assert_eq!(half.model.logits_of(&columns, &[]).unwrap_err().id, 726);
    // Numbers where the training had categories are categories that nobody had.
    assert!(half.prepare(&file(Side::Owner, 0).replacen("\"Oslo\"", "17", 1)).is_ok());
    let spec = spec(&job(Side::Owner, half.folder.path(), "new.csv"), &half.model);
    assert_eq!(spec.wishes["city"].kind, Some(ColumnKind::Text));
    assert_eq!((spec.label, spec.skip_invalid_ids), (None, true));
}

#[test]
fn ranks_follow_scores_then_ids_and_shares_are_whole_numbers() {
    let ids: Vec<String> = ["d", "b", "a", "c", "e"].map(str::to_owned).to_vec();
    assert_eq!(places(&[0.5, 0.5, 0.9, 0.5, 0.1], &ids), [3, 1, 0, 2, 4]);
    let turned: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(places(&[0.1, 0.5, 0.9, 0.5, 0.5], &turned), [4, 2, 0, 1, 3], "the file's order does not matter");
    let deciles = |users: usize| (0..users as u32).map(|place| decile(place, users)).collect::<Vec<_>>();
    assert_eq!(deciles(3), [1, 4, 7]);
    assert!(deciles(1000).chunks(100).zip(1..).all(|(chunk, decile)| chunk.iter().all(|found| *found == decile)));
    assert_eq!([top_users(0.4, 611), top_users(0.29, 100), top_users(0.5, 1), top_users(0.999, 3)], [244, 29, 0, 2]);
}

#[test]
fn files_hold_what_is_listed_and_survive_any_id() {
    let ids: Vec<String> = ["plain", "with, comma", "with \"quotes\"", "\u{5ba2}\u{6237}"].map(str::to_owned).to_vec();
    let mut scored = Scored {
        decisions: None,
        scores: vec![0.25, 0.75, 0.5, 0.125],
        earlier: Vec::new(),
        label: None,
        probabilities: None,
        joint: vec![true, false, true, true],
    };
    let mut terms = ScoreTerms { model: "0".repeat(32), output: ScoreOutput::ALL.into(), top_share: Some(0.5), threshold: Some(0.25) };
    let csv = |scored: &Scored, terms: &ScoreTerms, names: &[&'static str], ids: &[String]| {
        let mut out = Vec::new();
        Columns::new(names.to_vec(), ids, scored, terms).csv(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = "id,score,decile,top_share,yes_no,model\nplain,0.250000,6,no,yes,joint\n\"with, comma\",0.750000,1,yes,yes,own\n\
                \"with \"\"quotes\"\"\",0.500000,3,yes,yes,joint\n\u{5ba2}\u{6237},0.125000,8,no,no,joint\n";
    assert_eq!(csv(&scored, &terms, &["id"], &ids), text);
    let columns = Columns::new(vec!["id"], &ids, &scored, &terms);
    assert_eq!((columns.top(), columns.yes()), (Some(2), Some(3)));
    terms = ScoreTerms { output: [ScoreOutput::Decile].into(), top_share: None, threshold: None, ..terms };
    let composite: Vec<String> = (0..4).map(|row| format!("+4912345{row}\u{1f}device{row}")).collect();
    assert!(csv(&scored, &terms, &["phone", "device"], &composite).starts_with("phone,device,decile,model\n+49123450,device0,6,joint\n"));
    // A hurdle with two horizons: a column for each label, and the probability.
    scored.earlier = vec![("spend_7".into(), vec![1.5; 4])];
    (scored.label, scored.probabilities) = (Some("spend_30".into()), Some(vec![0.5; 4]));
    terms = ScoreTerms { output: [ScoreOutput::Score, ScoreOutput::Probability].into(), ..terms };
    let text = csv(&scored, &terms, &["id"], &ids);
    assert!(text.starts_with("id,score_spend_7,score_spend_30,probability,model\nplain,1.500000,0.250000,0.500000,joint\n"), "{text}");
    assert_eq!(
        not_scored(&[(3, IdProblem::Empty), (9, IdProblem::NotOfKind)], IdKind::Phone),
        "row,reason\n3,the id is empty\n9,the id is not of kind phone\n"
    );
}
