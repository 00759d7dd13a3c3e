//! The comparison with the plaintext twin, which only a rehearsal can make: it has both files and both models.

use crate::contract::{Job, Task, TrainingTerms};
use crate::data::{Split, Table, Wishes, intersection};
use crate::error::{Exit, Failure};
use crate::evaluation::{Curves, Ranking};
use crate::model::ModelFile;
use crate::recipe::{FitRows, Recipe};
use crate::rehearse::programs::{Sides, failed};
use crate::report::{Cost, CurvePair, Details, Ordered, PartnerReport, PerParty, ReportData, StageCost, TrainFigures};
use crate::run::{Prepared, dependence_notes, limits, owner_split, recipe_table};
use crate::training::family::Family;
use crate::training::heads::{Head, HeadLabels, log_cap};
use crate::training::twin::{SecureModel, TwinGap, distance, fit, probabilities};
use crate::training::whitening::Dependence;
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

    /// Intercept and weights of every head.
    fn heads(&self) -> Vec<(Option<f64>, Vec<f64>)> {
        let weights = |weights: &Ordered<f64>| weights.0.iter().map(|(_, weight)| *weight).collect();
        let more = self.model.more_heads.iter().map(|head| (head.intercept, weights(&head.coefficients)));
        std::iter::once((self.model.intercept, weights(&self.model.coefficients))).chain(more).collect()
    }
}

/// The owner's report completed by what both sides know together, and the distance to the twin.
pub fn combine(job: Job, tables: (Table, Table), halves: &Sides<Half>) -> Result<(ReportData, Details), Failure> {
    let mut report = ReportData::from_json(&halves.owner.report)?;
    let partner = PartnerReport::from_json(&halves.partner.report)?;
    let internal = |what: &str| Failure::new(Exit::Internal, 951, what);
    let (owner_table, partner_table) = tables;
    let prepared = Prepared { job, table: owner_table };
    let terms: TrainingTerms = prepared.job.shared().training().cloned().ok_or_else(|| internal("a rehearsal without a training task"))?;
    let split = owner_split(&prepared, &terms)?;
    let own = &prepared.table;
    let common = intersection(&own.ids, &partner_table.ids);
    let train = Pairs::of(own, &partner_table, &split, Split::Train);
    let test = Pairs::of(own, &partner_table, &split, Split::Test);
    let classes = own.label.as_deref().unwrap_or_default();
    let train_classes: Vec<bool> = train.owner.iter().map(|row| classes[*row]).collect();
    let last = own.labels.last().map(Vec::as_slice).unwrap_or_default();
    let test_above: Vec<bool> = test.owner.iter().map(|row| last[*row] > 0.0).collect();

    let (own_train, own_test) = features(own, &train.owner, &test.owner, Some(&train_classes), terms.clip)?;
    let (their_train, their_test) = features(&partner_table, &train.partner, &test.partner, None, terms.clip)?;
    let joined = |a: &Array2<f64>, b: &Array2<f64>| {
        concatenate(Axis(1), &[a.view(), b.view()]).map_err(|_| internal("the two halves have other rows"))
    };
    let (x, x_test) = (joined(&own_train, &their_train)?, joined(&own_test, &their_test)?);
    let (owner_heads, partner_heads) = (halves.owner.heads(), halves.partner.heads());
    let (mut gap, mut figures) = (None::<TwinGap>, TrainFigures { loss: 0.0, objective: 0.0 });
    let mut own_probabilities = None;
    for (place, (label, head)) in Head::all(&terms).enumerate() {
        let values: Vec<f64> = train.owner.iter().map(|row| own.labels[label][*row]).collect();
        let prepared = HeadLabels::new(head, &values, &terms)?;
        let (target, l2, units) = (prepared.target(), head.l2(&terms, label, x.nrows()), prepared.units);
        let twin = fit(&x, &target, l2)?;
        let (Some((Some(intercept), owners)), Some((_, partners))) = (owner_heads.get(place), partner_heads.get(place)) else {
            return Err(internal("a half lacks a head or an intercept"));
        };
        // The owner's half is in the label's units, the twin in the trainer's.
        let coefficients: Vec<f64> = owners.iter().map(|weight| weight / units.factor).chain(partners.iter().copied()).collect();
        let intercept = (intercept - units.shift) / units.factor;
        let ranks = head.family() == Family::Logistic && label + 1 == terms.labels.len();
        let test_auc = report.test.filter(|_| ranks).map(|test| test.auc);
        let secure = SecureModel { intercept, coefficients: &coefficients, test_auc };
        let ranking = |probabilities: Vec<f64>| Ranking::new(&probabilities, &test_above).map(|ranking| ranking.auc());
        let twin_auc = ranking(probabilities(x_test.view(), &twin.coefficients, twin.intercept)).filter(|_| ranks);
        let found = distance(&x, &target, l2, &secure, &twin, twin_auc)?;
        let objective = twin.objective + found.loss_gap;
        figures.objective += objective;
        figures.loss += objective - 0.5 * l2 * coefficients.iter().map(|weight| weight * weight).sum::<f64>();
        if ranks {
            let alone = fit(&own_train, &target, l2)?;
            let both = probabilities(x_test.view(), &coefficients, intercept);
            own_probabilities = Some((both, probabilities(own_test.view(), &alone.coefficients, alone.intercept)));
        }
        gap = Some(gap.map_or(found, |gap| worse(gap, found)));
    }
    report.train = Some(figures);
    report.twin = gap;
    report.intersection_sha256 = Some(common.sha256);
    if report.matched != common.matched as u64 {
        return Err(Failure::new(
            Exit::Verification,
            952,
            format!("the programs matched {}, the files share {}", report.matched, common.matched),
        ));
    }
    report.dropped_columns.extend(partner.dropped_columns.iter().cloned());
    // The partner's weights of a linear model are in a unit that only the owner knows.
    let factors = halves.owner.model.reading().partner_factors;
    let scaled = |weights: Option<&Ordered<f64>>, label: usize| {
        let factor = factors.get(label).copied().unwrap_or(1.0);
        weights.map(|weights| weights.0.iter().map(|(name, weight)| (name.clone(), factor * weight)).collect())
    };
    report.partner_coefficients = scaled(partner.partner_coefficients.as_ref(), 0);
    let heads = Head::of(terms.task).len();
    for (place, (ours, theirs)) in report.more_heads.iter_mut().zip(&partner.more_heads).enumerate() {
        ours.partner_coefficients = scaled(theirs.partner_coefficients.as_ref(), (place + 1) / heads);
    }
    report.partner_inference = partner.partner_inference.clone();
    report.cost = merged(&report.cost, &partner.cost);

    let delivered = halves.owner.scores(own, &test)?;
    let curves = own_probabilities.and_then(|(both, alone)| {
        let joint = if terms.task == Task::Logistic { &delivered } else { &both };
        Curves::new(joint, &test_above).zip(Curves::new(&alone, &test_above))
    });
    let mut notes: Vec<String> = own.warnings.iter().map(|w| format!("owner: {w}")).collect();
    notes.extend(partner_table.warnings.iter().map(|w| format!("partner: {w}")));
    let values_of =
        |rows: &[usize]| -> Vec<Vec<f64>> { own.labels.iter().map(|label| rows.iter().map(|row| label[*row]).collect()).collect() };
    let values = values_of(&train.owner);
    notes.extend(limits::ridge_warnings(&terms, train.owner.len(), Some(&values)));
    let matched: Vec<usize> = train.owner.iter().chain(&test.owner).copied().collect();
    notes.extend(limits::cap_warnings(&terms, &values_of(&matched), log_cap(&terms, &values)));
    for (side, half, columns) in [("owner", &halves.owner, &own_train), ("partner", &halves.partner, &their_train)] {
        let found = dependence_notes(&half.model.recipe, &Dependence::of(columns.view()));
        notes.extend(found.into_iter().map(|note| format!("{side}: {note}")));
    }
    let details = Details {
        title: prepared.job.shared().terms().name.clone(),
        label: terms.label().to_owned(),
        task: if terms.task == Task::Logistic { String::new() } else { terms.task.name().to_owned() },
        ended: halves.owner.model.created.replace('T', " ").replace('Z', " UTC"),
        l2: terms.ridge(x.nrows()),
        clip: terms.clip,
        opened: partner.opened,
        recipes: [("owner", &halves.owner), ("partner", &halves.partner)].map(|(side, half)| recipe_table(side, &half.model.recipe)).into(),
        notes,
        curves: curves.map(|(joint, own)| CurvePair { joint, own }),
        ..Details::default()
    };
    Ok((report, details))
}

/// The larger distances of two heads.
fn worse(a: TwinGap, b: TwinGap) -> TwinGap {
    // Not f64::max, which would hide a NaN.
    let larger = |a: f64, b: f64| if b.abs() > a.abs() || b.is_nan() { b } else { a };
    TwinGap {
        loss_gap: larger(a.loss_gap, b.loss_gap),
        max_coefficient_error_se: larger(a.max_coefficient_error_se, b.max_coefficient_error_se),
        auc_gap: b.auc_gap.or(a.auc_gap),
    }
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
    /// The delivered scores of the test users, of several labels the last, in the order of `test`.
    fn scores(&self, table: &Table, test: &Pairs) -> Result<Vec<f64>, Failure> {
        let path = self.folder.join("scores.csv");
        let unreadable = || Failure::new(Exit::Internal, 953, "scores.csv does not hold the test users");
        let mut reader = csv::Reader::from_path(&path).map_err(|_| unreadable())?;
        let mut by_id = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(|_| unreadable())?;
            let (id, score) = (record.get(0).ok_or_else(unreadable)?, record.iter().next_back().ok_or_else(unreadable)?);
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
