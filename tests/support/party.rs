//! Two parties in one process on made-up tables of stated public sizes: what the tests over memory channels share.
//!
//! Included with `#[path]`; each test target uses a part of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use colift::contract::Job;
use colift::data::Side;
use colift::error::Failure;
use colift::model::{ModelFile, ModelSchema, OwnModel, Task};
use colift::progress::Silent;
use colift::recipe::{FitRows, Recipe};
use colift::resources::StageClock;
use colift::run::{Outcome, Prepared, over, prepare};
use colift::scoring;
use colift::training::heads::Reading;
use colift_channel::{Channel, ChannelError, Counters, Kind};
use colift_primitives::rng::{Prg, Seed, os_bytes};
use std::collections::HashSet;
use std::fmt::Write;
use tempfile::TempDir;

/// A stream of test numbers from a printed seed.
pub fn numbers(seed: u64) -> Prg {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Prg::from_seed(&Seed::from_bytes(bytes))
}

/// Uniform in [0, 1).
pub fn unit(prg: &mut Prg) -> f64 {
    (prg.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Nearly standard normal: twelve uniform values.
pub fn normal(prg: &mut Prg) -> f64 {
    (0..12).map(|_| unit(prg)).sum::<f64>() - 6.0
}

/// The sizes that both sides may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub owner_rows: usize,
    pub partner_rows: usize,
    pub common: usize,
    /// Test rows among the common ones.
    pub test: usize,
    pub owner_columns: usize,
    pub partner_columns: usize,
}

/// The default: small, with a partial last byte or block everywhere.
pub const SMALL: Sizes = Sizes { owner_rows: 310, partner_rows: 287, common: 243, test: 40, owner_columns: 5, partner_columns: 6 };

/// What the private contents look like; none of it may show on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Correlated normal columns.
    Normal,
    /// The same, but hardly any user has the label.
    FewLabels,
    /// The same, but most users have it.
    ManyLabels,
    /// Every second column is a copy of the one before, on both sides.
    Duplicated,
    /// The columns of each side add up to 0.
    Collinear,
    /// Values of very different scales, from 1e-6 to 1e9.
    Scales,
    /// Zeros and ones, rare in some columns.
    Binary,
    /// Mostly 0, now and then huge.
    HeavyTails,
    /// Labels that no column predicts.
    Noise,
    /// Labels that the columns predict well.
    Strong,
}

impl Content {
    pub const ALL: [Content; 10] = [
        Content::Normal,
        Content::FewLabels,
        Content::ManyLabels,
        Content::Duplicated,
        Content::Collinear,
        Content::Scales,
        Content::Binary,
        Content::HeavyTails,
        Content::Noise,
        Content::Strong,
    ];

    /// One user's columns from a hidden trait.
    fn row(self, prg: &mut Prg, columns: usize, hidden: f64) -> Vec<f64> {
        let mut row: Vec<f64> = (0..columns).map(|_| 0.6 * hidden + 0.8 * normal(prg)).collect();
        match self {
            Content::Duplicated => (1..columns).step_by(2).for_each(|j| row[j] = row[j - 1]),
            Content::Collinear => row[columns - 1] = -row[..columns - 1].iter().sum::<f64>(),
            Content::Scales => row.iter_mut().enumerate().for_each(|(j, x)| *x *= 10f64.powi(3 * (j as i32 % 6) - 6)),
            Content::Binary => row.iter_mut().enumerate().for_each(|(j, x)| *x = f64::from(u8::from(*x > 0.3 * j as f64))),
            Content::HeavyTails => row.iter_mut().for_each(|x| *x = if *x > 1.0 { (3.0 * *x).exp() } else { 0.0 }),
            _ => {}
        }
        row
    }

    fn label(self, prg: &mut Prg, hidden: f64) -> bool {
        let z = match self {
            Content::FewLabels => hidden - 2.6,
            Content::ManyLabels => hidden + 1.2,
            Content::Noise => -0.6,
            Content::Strong => 3.0 * hidden - 0.6,
            _ => hidden - 0.6,
        };
        unit(prg) < 1.0 / (1.0 + (-z).exp())
    }
}

/// The two files and jobs on disk, read and checked.
pub struct World {
    pub owner: Prepared,
    pub partner: Prepared,
    _folder: TempDir,
}

/// The job's shared part besides the fixed keys.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The owner's `max_memory`.
    pub owner_memory: Option<&'a str>,
    /// `logistic` or another kind of model, or `overlap`.
    pub task: &'a str,
    /// The protocol of the matching.
    pub matching: &'a str,
    /// Names of the reveal list; `None` leaves the key out.
    pub reveal: Option<&'a [&'a str]>,
    /// `expected_rate`.
    pub rate: &'a str,
    /// `logit_range`.
    pub range: [f64; 2],
}

pub const EVERYTHING: [&str; 6] =
    ["converged_and_in_range", "metrics_to_owner", "overlap_to_both", "own_weights", "scores_to_owner", "split_to_partner"];

impl Default for Terms<'_> {
    fn default() -> Self {
        Self { owner_memory: None, task: "logistic", matching: "ecdh", reveal: Some(&EVERYTHING), rate: "20-50%", range: [-8.0, 8.0] }
    }
}

impl Terms<'_> {
    fn trains(&self) -> bool {
        self.task != "overlap"
    }

    /// Whether the label is an amount, 0 for most users.
    fn amounts(&self) -> bool {
        matches!(self.task, "gamma" | "log_normal" | "hurdle")
    }

    fn text(&self, private: &str) -> String {
        let mut text = format!("[shared]\nname = \"case\"\ntask = \"{}\"\nid_kind = \"opaque\"\nmin_overlap = 10\n", self.task);
        text += "max_rows = { owner = 100_000, partner = 100_000 }\n";
        writeln!(text, "matching = \"{}\"", self.matching).unwrap();
        if self.trains() {
            writeln!(text, "label = \"label\"\nl2 = 0.01").unwrap();
        }
        if self.trains() && !matches!(self.task, "linear" | "poisson") {
            writeln!(text, "expected_rate = \"{}\"", self.rate).unwrap();
        }
        if self.amounts() {
            writeln!(text, "min_payers = 2").unwrap();
        } else if self.trains() {
            writeln!(text, "min_positives = 2").unwrap();
        }
        if matches!(self.task, "logistic" | "hurdle") {
            let [low, high] = self.range;
            writeln!(text, "logit_range = [{low:?}, {high:?}]").unwrap();
        }
        if let Some(reveal) = self.reveal {
            writeln!(text, "reveal = {reveal:?}").unwrap();
        }
        let (owner, partner) = ("a".repeat(64), "b".repeat(64));
        text + &format!("[shared.peers]\nowner = \"{owner}\"\npartner = \"{partner}\"\n[private]\nid = \"id\"\n{private}")
    }
}

/// Writes both files, parses both jobs, reads and checks both tables.
pub fn world(sizes: Sizes, content: Content, seed: u64, terms: &Terms<'_>) -> World {
    assert!(sizes.common <= sizes.owner_rows.min(sizes.partner_rows) && sizes.test < sizes.common);
    let mut prg = numbers(seed);
    let people = sizes.owner_rows + sizes.partner_rows - sizes.common;
    let mut ids = HashSet::new();
    while ids.len() < people {
        let digits = 6 + prg.below(20) as usize;
        ids.insert(format!("{:x}", prg.next_u128())[..digits].to_owned());
    }
    let mut ids: Vec<String> = ids.into_iter().collect();
    ids.sort();
    prg.shuffle(&mut ids);
    let (mut owner, mut partner) = (Vec::new(), Vec::new());
    // The common users first, then the owner's others, then the partner's; labels of both kinds among the first training rows.
    for (i, id) in ids.iter().enumerate() {
        let hidden = normal(&mut prg);
        let columns =
            |prg: &mut Prg, count| content.row(prg, count, hidden).into_iter().fold(String::new(), |line, x| line + &format!(",{x:?}"));
        if i < sizes.owner_rows {
            let test = if i < sizes.common { i < sizes.test } else { prg.below(4) == 0 };
            let label = match i.wrapping_sub(sizes.test) {
                0..3 => true,
                3..6 => false,
                _ => content.label(&mut prg, hidden),
            };
            let mut value = f64::from(u8::from(label));
            if terms.amounts() && label {
                value = (1.0 + 0.4 * hidden + 0.5 * normal(&mut prg)).exp();
            } else if terms.task == "linear" {
                value = hidden + 0.5 * normal(&mut prg);
            }
            owner.push(format!("{id},{value},{}{}", if test { "test" } else { "train" }, columns(&mut prg, sizes.owner_columns)));
        }
        if i < sizes.common || i >= sizes.owner_rows {
            partner.push(format!("{id}{}", columns(&mut prg, sizes.partner_columns)));
        }
    }
    prg.shuffle(&mut owner);
    prg.shuffle(&mut partner);
    let names = |side: &str, count: usize| (0..count).fold(String::new(), |line, j| line + &format!(",{side}{j}"));
    let folder = TempDir::new().unwrap();
    let write = |name: &str, header: String, rows: &[String]| {
        std::fs::write(folder.path().join(name), format!("{header}\n{}\n", rows.join("\n"))).unwrap();
    };
    write("owner.csv", format!("id,label,split{}", names("o", sizes.owner_columns)), &owner);
    write("partner.csv", format!("id{}", names("p", sizes.partner_columns)), &partner);
    let side = |side: Side| {
        let mut private = format!("data = \"{}.csv\"\n", side.name());
        if side == Side::Owner && terms.trains() {
            private += "split = \"split\"\n";
        }
        if let Some(most) = terms.owner_memory.filter(|_| side == Side::Owner) {
            private += &format!("max_memory = \"{most}\"\n");
        }
        private += if side == Side::Owner { "link = { listen = \"127.0.0.1:0\" }\n" } else { "link = { dial = \"127.0.0.1:9\" }\n" };
        prepare(Job::parse(&terms.text(&private), side, folder.path()).unwrap()).unwrap()
    };
    World { owner: side(Side::Owner), partner: side(Side::Partner), _folder: folder }
}

/// Both sides of a scoring.
pub struct ScoreWorld {
    pub owner: scoring::Prepared,
    pub partner: scoring::Prepared,
    _world: World,
}

/// The tables of [`world`] with halves of a model that was fitted on them, weights drawn; no label is used.
pub fn score_world(sizes: Sizes, content: Content, seed: u64) -> ScoreWorld {
    score_world_with(sizes, content, seed, "output = [\"score\"]\nreveal = [\"overlap_to_both\", \"scores_to_owner\"]")
}

/// As [`score_world`] under a job with these lines on what is opened.
pub fn score_world_with(sizes: Sizes, content: Content, seed: u64, opens: &str) -> ScoreWorld {
    let world = world(sizes, content, seed, &Terms::default());
    let mut prg = numbers(seed ^ 0x5c0e);
    let mut side = |prepared: &Prepared| {
        let side = prepared.job.side();
        let table = prepared.table.clone();
        let rows: Vec<usize> = (0..table.rows()).collect();
        let recipe = Recipe::fit(&table.columns, FitRows { rows: &rows, labels: None, clip: 5.0, wishes: &Default::default() }).unwrap();
        let coefficients: colift::report::Ordered<f64> = recipe.names().into_iter().map(|name| (name, normal(&mut prg))).collect();
        let owner = side == Side::Owner;
        let print = |own: bool| if own == owner { "a" } else { "b" }.repeat(64);
        let own_model = owner.then(|| OwnModel {
            train_rows: 1,
            recipe: recipe.clone(),
            intercept: 0.5,
            coefficients: coefficients.clone(),
            more_heads: Vec::new(),
            variances: Vec::new(),
        });
        let model = ModelFile {
            schema: ModelSchema::V4,
            model_id: "0f".repeat(16),
            side,
            name: "case".into(),
            created: "2026-11-23T06:12:00Z".into(),
            program: "0".into(),
            task: Task::Logistic,
            label: owner.then(|| "label".into()),
            earlier_labels: Vec::new(),
            more_heads: Vec::new(),
            reading: owner.then(|| Reading { partner_factors: vec![1.0], variances: Vec::new(), log_cap: 0.0 }),
            train_rows: 1,
            l2: 0.001,
            clip: 5.0,
            job_digest: "ab".repeat(32),
            own_fingerprint: print(true),
            peer_fingerprint: print(false),
            recipe,
            intercept: owner.then_some(-1.0),
            coefficients,
            own_model,
            figures: None,
        };
        let text = format!(
            "[shared]\nname = \"case\"\ntask = \"score\"\nmatching = \"ecdh\"\nmodel = \"{}\"\n{opens}\n\
             max_rows = {{ owner = 100_000, partner = 100_000 }}\n\
             [shared.peers]\nowner = \"{}\"\npartner = \"{}\"\n\
             [private]\ndata = \"none.csv\"\nid = \"id\"\nmodel = \"none.json\"\nlink = {{ listen = \"127.0.0.1:0\" }}\n",
            model.model_id,
            "a".repeat(64),
            "b".repeat(64)
        );
        scoring::Prepared { job: Job::parse(&text, side, std::path::Path::new("")).unwrap(), model, table }
    };
    ScoreWorld { owner: side(&world.owner), partner: side(&world.partner), _world: world }
}

/// How one side ended: a panic is the message of it.
pub type Ended<T = Outcome> = Result<Result<T, Failure>, String>;

/// Runs both sides over a connected pair and drops each end as its side ends, as a process does. Gives back what `end` makes
/// of the ends.
pub fn play<A: Channel, B: Channel, X: Send, Y: Send>(
    world: &World,
    ends: (A, B),
    end_a: impl FnOnce(A) -> X + Send,
    end_b: impl FnOnce(B) -> Y + Send,
) -> ((Ended, X), (Ended, Y)) {
    let run = |prepared: &Prepared, channel: &mut dyn Channel, session: &[u8; 32], side: Side| {
        over(channel, session, prepared, &mut StageClock::new(side), &Silent)
    };
    play_with(&world.owner, &world.partner, run, ends, end_a, end_b)
}

/// As [`play`] for a scoring.
pub fn play_scoring<A: Channel, B: Channel, X: Send, Y: Send>(
    world: &ScoreWorld,
    ends: (A, B),
    end_a: impl FnOnce(A) -> X + Send,
    end_b: impl FnOnce(B) -> Y + Send,
) -> ((Ended<scoring::Outcome>, X), (Ended<scoring::Outcome>, Y)) {
    let run = |prepared: &scoring::Prepared, channel: &mut dyn Channel, session: &[u8; 32], side: Side| {
        scoring::over(channel, session, prepared, &mut StageClock::new(side), &Silent)
    };
    play_with(&world.owner, &world.partner, run, ends, end_a, end_b)
}

fn play_with<P: Sync, T: Send, A: Channel, B: Channel, X: Send, Y: Send>(
    owner: &P,
    partner: &P,
    run: impl Fn(&P, &mut dyn Channel, &[u8; 32], Side) -> Result<T, Failure> + Sync,
    (mut a, mut b): (A, B),
    end_a: impl FnOnce(A) -> X + Send,
    end_b: impl FnOnce(B) -> Y + Send,
) -> ((Ended<T>, X), (Ended<T>, Y)) {
    let session = *os_bytes::<32>().unwrap();
    let caught = |prepared: &P, channel: &mut dyn Channel, side: Side| -> Ended<T> {
        let run = || run(prepared, channel, &session, side);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            text.unwrap_or_else(|| "a panic without text".to_owned())
        })
    };
    std::thread::scope(|scope| {
        let left = scope.spawn(move || {
            let ended = caught(owner, &mut a, Side::Owner);
            (ended, end_a(a))
        });
        let right = scope.spawn(move || {
            let ended = caught(partner, &mut b, Side::Partner);
            (ended, end_b(b))
        });
        (left.join().unwrap(), right.join().unwrap())
    })
}

/// A channel that keeps the payload of every message it sends. For tests only: it holds what must not be kept.
pub struct Tape<C> {
    inner: C,
    /// (code, payload) in order.
    pub sent: Vec<(u16, Vec<u8>)>,
}

impl<C> Tape<C> {
    pub fn new(inner: C) -> Self {
        Self { inner, sent: Vec::new() }
    }
}

impl<C: Channel> Channel for Tape<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        self.sent.push((kind.code, payload.to_vec()));
        self.inner.send(kind, payload)
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        self.inner.receive_at_most(kind, cap)
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}
