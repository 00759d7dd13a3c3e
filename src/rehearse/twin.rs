//! The comparison with the plaintext twin, which only a rehearsal can make: it has both files and both models.

use crate::contract::{Job, LogisticTerms};
use crate::data::{Split, Table, Wishes, intersection};
use crate::error::{Exit, Failure};
use crate::evaluation::{Curves, Ranking};
use crate::model::ModelFile;
use crate::recipe::{FitRows, Recipe};
use crate::rehearse::programs::{Sides, failed};
use crate::report::{Cost, CurvePair, Details, Ordered, PartnerReport, PerParty, ReportData, StageCost, TrainFigures};
use crate::run::{Prepared, owner_split, recipe_table};
use crate::training::twin::{SecureModel, compare, fit_logistic, logits, mean_loss, probabilities};
use ndarray::{Array2, Axis, concatenate};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One party's results folder, read back.
pub struct Half {
    folder: PathBuf,
    report: String,
    model: ModelFile,
}

impl Half {
    /// Reads a party's report and model.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("report.json");
        let report = std::fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
        Ok(Self { folder: folder.to_owned(), report, model: ModelFile::load(&folder.join("model.json"))? })
    }

    fn coefficients(&self) -> impl Iterator<Item = f64> {
        self.model.coefficients.0.iter().map(|(_, weight)| *weight)
    }
}

/// The owner's report completed by what both sides know together, and the distance to the twin.
pub fn combine(job: Job, tables: (Table, Table), halves: &Sides<Half>) -> Result<(ReportData, Details), Failure> {
    let mut report = ReportData::from_json(&halves.owner.report)?;
    let partner = PartnerReport::from_json(&halves.partner.report)?;
    let internal = |what: &str| Failure::new(Exit::Internal, 951, what);
    let (owner_table, partner_table) = tables;
    let prepared = Prepared { job, table: owner_table };
    let terms: LogisticTerms = prepared.job.shared().logistic().cloned().ok_or_else(|| internal("a rehearsal without a training task"))?;
    let split = owner_split(&prepared, &terms)?;
    let own = &prepared.table;
    let common = intersection(&own.ids, &partner_table.ids);
    let train = Pairs::of(own, &partner_table, &split, Split::Train);
    let test = Pairs::of(own, &partner_table, &split, Split::Test);
    let labels = own.label.as_deref().unwrap_or_default();
    let labels_of = |pairs: &Pairs| pairs.owner.iter().map(|row| labels[*row]).collect::<Vec<bool>>();
    let (train_labels, test_labels) = (labels_of(&train), labels_of(&test));

    let (own_train, own_test) = features(own, &train.owner, &test.owner, Some(&train_labels), terms.clip)?;
    let (their_train, their_test) = features(&partner_table, &train.partner, &test.partner, None, terms.clip)?;
    let joined = |a: &Array2<f64>, b: &Array2<f64>| {
        concatenate(Axis(1), &[a.view(), b.view()]).map_err(|_| internal("the two halves have other rows"))
    };
    let (x, x_test) = (joined(&own_train, &their_train)?, joined(&own_test, &their_test)?);
    let twin = fit_logistic(&x, &train_labels, terms.l2)?;
    let own_only = fit_logistic(&own_train, &train_labels, terms.l2)?;

    let coefficients: Vec<f64> = halves.owner.coefficients().chain(halves.partner.coefficients()).collect();
    let intercept = halves.owner.model.intercept.ok_or_else(|| internal("the owner's model has no intercept"))?;
    let secure = SecureModel { intercept, coefficients: &coefficients, test_auc: report.test.map(|test| test.auc) };
    let twin_auc = Ranking::new(&probabilities(x_test.view(), &twin.coefficients, twin.intercept), &test_labels).map(|r| r.auc());
    let gap = compare(&x, &train_labels, terms.l2, &secure, &twin, twin_auc)?;
    report.train = Some(TrainFigures {
        loss: mean_loss(&logits(x.view(), &coefficients, intercept), &train_labels),
        objective: twin.objective + gap.loss_gap,
    });
    report.twin = Some(gap);
    report.intersection_sha256 = Some(common.sha256);
    if report.matched != common.matched as u64 {
        return Err(Failure::new(
            Exit::Verification,
            952,
            format!("the programs matched {}, the files share {}", report.matched, common.matched),
        ));
    }
    report.dropped_columns.extend(partner.dropped_columns.iter().cloned());
    report.partner_coefficients = partner.partner_coefficients.clone();
    report.partner_inference = partner.partner_inference.clone();
    report.cost = merged(&report.cost, &partner.cost);

    let scores = halves.owner.scores(own, &test)?;
    let own_scores = probabilities(own_test.view(), &own_only.coefficients, own_only.intercept);
    let curves = Curves::new(&scores, &test_labels).zip(Curves::new(&own_scores, &test_labels));
    let mut notes: Vec<String> = own.warnings.iter().map(|w| format!("owner: {w}")).collect();
    notes.extend(partner_table.warnings.iter().map(|w| format!("partner: {w}")));
    let details = Details {
        title: prepared.job.shared().terms().name.clone(),
        label: terms.label.clone(),
        ended: halves.owner.model.created.replace('T', " ").replace('Z', " UTC"),
        l2: terms.l2,
        clip: terms.clip,
        opened: partner.opened,
        recipes: [("owner", &halves.owner), ("partner", &halves.partner)].map(|(side, half)| recipe_table(side, &half.model.recipe)).into(),
        notes,
        curves: curves.map(|(joint, own)| CurvePair { joint, own }),
        ..Details::default()
    };
    Ok((report, details))
}

/// Positions of matched rows in both tables.
struct Pairs {
    owner: Vec<usize>,
    partner: Vec<usize>,
}

impl Pairs {
    fn of(owner: &Table, partner: &Table, split: &[Split], part: Split) -> Self {
        let rows: HashMap<&str, usize> = partner.ids.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
        let pairs = owner.ids.iter().enumerate().filter(|(row, _)| split[*row] == part);
        let (owner, partner) = pairs.filter_map(|(row, id)| rows.get(id.as_str()).map(|other| (row, *other))).unzip();
        Self { owner, partner }
    }
}

/// The recipe fitted on the training rows, applied to training and test rows. A rehearsal asks nothing of single columns.
fn features(
    table: &Table,
    train: &[usize],
    test: &[usize],
    labels: Option<&[bool]>,
    clip: f64,
) -> Result<(Array2<f64>, Array2<f64>), Failure> {
    let recipe = Recipe::fit(&table.columns, FitRows { rows: train, labels, clip, wishes: &Wishes::new() })?;
    Ok((recipe.apply_rows(&table.columns, train)?.features, recipe.apply_rows(&table.columns, test)?.features))
}

impl Half {
    /// The delivered scores of the test users, in the order of `test`.
    fn scores(&self, table: &Table, test: &Pairs) -> Result<Vec<f64>, Failure> {
        let path = self.folder.join("scores.csv");
        let unreadable = || Failure::new(Exit::Internal, 953, "scores.csv does not hold the test users");
        let mut reader = csv::Reader::from_path(&path).map_err(|_| unreadable())?;
        let mut by_id = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(|_| unreadable())?;
            let (id, score) = (record.get(0).ok_or_else(unreadable)?, record.get(1).ok_or_else(unreadable)?);
            by_id.insert(id.to_owned(), score.parse::<f64>().map_err(|_| unreadable())?);
        }
        test.owner.iter().map(|row| by_id.get(&table.ids[*row]).copied().ok_or_else(unreadable)).collect()
    }
}

/// Both programs' costs as one object.
fn merged(owner: &Cost, partner: &Cost) -> Cost {
    fn both<T: Copy>(owner: PerParty<T>, partner: PerParty<T>) -> PerParty<T> {
        PerParty { owner: owner.owner, partner: partner.partner }
    }
    let of = |name: &str| partner.stages.0.iter().find(|(other, _)| other == name).map(|(_, stage)| *stage).unwrap_or_default();
    let stage = |name: &str, stage: &StageCost| StageCost {
        wall_s: stage.wall_s.max(of(name).wall_s),
        cpu_s: both(stage.cpu_s, of(name).cpu_s),
        bytes_sent: both(stage.bytes_sent, of(name).bytes_sent),
        rounds: stage.rounds,
    };
    Cost {
        wall_s: owner.wall_s.max(partner.wall_s),
        cpu_s: both(owner.cpu_s, partner.cpu_s),
        bytes_sent: both(owner.bytes_sent, partner.bytes_sent),
        rounds: owner.rounds,
        peak_rss_mb: both(owner.peak_rss_mb, partner.peak_rss_mb),
        stages: Ordered(owner.stages.0.iter().map(|(name, cost)| (name.clone(), stage(name, cost))).collect()),
    }
}
