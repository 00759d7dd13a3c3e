//! The cases: two files, two jobs and, for a scoring, two halves of a model each. Used when recording only; a recording holds them.
//!
//! Numbers are small whole ones and weights are sixteenths, so that a scoring's sums are exact on every machine.

use crate::conversation::{Conversation, Frame, PartyFile, SIDES};
use crate::party::{Party, arithmetic, print_of};
use crate::peer::Taped;
use colift::data::Side;
use colift::data::wording::hex;
use colift::session::WIRE_VERSIONS;
use colift_channel::memory::pair;
use colift_primitives::rng::{Prg, Seed};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

type Files = BTreeMap<String, String>;

/// A conversation to be had.
pub struct Draft {
    pub case: &'static str,
    what: &'static str,
    /// False where the payloads are too many to keep.
    payloads: bool,
    files: fn() -> [Files; 2],
}

pub const DRAFTS: [Draft; 5] = [
    Draft { case: "overlap", what: "`run` with task = \"overlap\": 15 common users of 24 and 20", payloads: true, files: overlap },
    Draft { case: "score_ecdh", what: "`score`, matching by Diffie-Hellman", payloads: true, files: || score("ecdh", SCORES) },
    Draft {
        case: "score_decisions",
        what: "`score` that opens decisions only: tenths, the highest quarter, and yes or no",
        payloads: true,
        files: || score("ecdh", DECISIONS),
    },
    Draft { case: "score_vole", what: "`score`, matching by VOLE in its malicious form", payloads: true, files: || score("vole", SCORES) },
    Draft {
        case: "training",
        what: "`run` with task = \"logistic\", matching by Diffie-Hellman: kinds, lengths and digests",
        payloads: false,
        files: training,
    },
];

/// The identity key's seed of a side.
fn identity(side: usize) -> [u8; 32] {
    Sha256::digest(format!("colift recorded identity {side}")).into()
}

fn prints() -> [String; 2] {
    [0, 1].map(|side| print_of(&identity(side)).to_string())
}

impl Draft {
    /// Has both parties talk and writes everything down.
    pub fn record(&self) -> Conversation {
        let named = |what: &str| Sha256::digest(format!("colift recorded {what} of {}", self.case));
        let files = (self.files)();
        let mut parties =
            files.map(|files| PartyFile { seed: String::new(), identity: String::new(), files, result: Value::Null, sent: Vec::new() });
        for (side, party) in parties.iter_mut().enumerate() {
            (party.seed, party.identity) = (hex(&named(SIDES[side].name())[..16]), hex(&identity(side)));
        }
        let session: [u8; 32] = named("session").into();
        let [(owner, owners), (partner, partners)] = converse(&parties, &session, WIRE_VERSIONS.1);
        parties[0].result = owner;
        parties[1].result = partner;
        let mut sent = [owners, partners];
        if !self.payloads {
            sent.iter_mut().flatten().for_each(|frame| frame.payload = None);
        }
        Conversation {
            case: self.case.to_owned(),
            what: self.what.to_owned(),
            wire: WIRE_VERSIONS.1,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            arithmetic: arithmetic(),
            session: hex(&session),
            payloads: self.payloads,
            parties,
            sent,
        }
    }
}

/// What a side ended with and what it sent.
type Said = (Value, Vec<Frame>);

/// Both parties live, each on its own seeded thread, speaking this wire version.
pub fn converse(parties: &[PartyFile; 2], session: &[u8; 32], wire: u16) -> [Said; 2] {
    let (a, b) = pair();
    let live = |side: Side, channel| {
        let mut taped = Taped::new(channel, wire);
        let ended = Party::new(side, &parties[side as usize]).talk(&mut taped, session);
        (ended.unwrap_or_else(|failure| panic!("{side}: {failure}")), taped.sent)
    };
    std::thread::scope(|scope| {
        let owner = scope.spawn(move || live(Side::Owner, a));
        let partner = scope.spawn(move || live(Side::Partner, b));
        [owner.join().unwrap(), partner.join().unwrap()]
    })
}

/// `[shared]` with its peers and one side's `[private]`.
fn job(side: Side, shared: &str, private: &str) -> String {
    let [owner, partner] = prints();
    let link = if side == Side::Owner { "listen = \"127.0.0.1:7411\"" } else { "dial = \"127.0.0.1:7411\"" };
    format!(
        "[shared]\nname = \"recorded\"\n{shared}max_rows = {{ owner = 1000, partner = 1000 }}\n\n[shared.peers]\nowner = \"{owner}\"\n\
         partner = \"{partner}\"\n\n[private]\ndata = \"data.csv\"\nid = \"id\"\n{private}link = {{ {link} }}\n"
    )
}

/// Users from..to in an order of their own, a line each of what `cells` makes.
fn table(header: &str, from: usize, to: usize, cells: impl Fn(usize) -> String) -> String {
    let mut users: Vec<usize> = (from..to).collect();
    Prg::from_seed(&Seed::from_bytes([from as u8; 16])).shuffle(&mut users);
    users.iter().fold(format!("{header}\n"), |text, user| text + &format!("user-{user:04}{}\n", cells(*user)))
}

/// A small whole number of a user's column, evenly from -low to low.
fn cell(user: usize, column: usize, low: u64) -> i64 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&(user as u64).to_le_bytes());
    seed[8] = column as u8;
    Prg::from_seed(&Seed::from_bytes(seed)).below(2 * low + 1) as i64 - low as i64
}

fn cells(user: usize, columns: std::ops::Range<usize>) -> String {
    columns.fold(String::new(), |line, column| line + &format!(",{}", cell(user, column, 4)))
}

fn both(owner: Vec<(&str, String)>, partner: Vec<(&str, String)>) -> [Files; 2] {
    [owner, partner].map(|files| files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect())
}

fn overlap() -> [Files; 2] {
    let shared = "task = \"overlap\"\nid_kind = \"opaque\"\nmin_overlap = 5\nreveal = [\"overlap_to_both\"]\n";
    let files = |side, from, to| {
        let data = table("id,x", from, to, |user| cells(user, 0..1));
        vec![("job.toml", job(side, shared, "")), ("data.csv", data)]
    };
    both(files(Side::Owner, 0, 24), files(Side::Partner, 9, 29))
}

/// A half of a model whose columns stay as they are.
fn half(side: Side, model: &str, columns: &[&str]) -> String {
    let recipe = |columns: &[&str]| {
        let column = |name: &&str| {
            let encoding = json!({ "kind": "number", "fill": 0.0, "indicator": false, "log1p": false });
            json!({ "name": name, "encoding": encoding, "why": "numbers", "features": [{ "name": name, "mean": 0.0, "sd": 1.0 }] })
        };
        json!({ "clip": 8.0, "columns": columns.iter().map(column).collect::<Vec<_>>() })
    };
    let weights = |step: i32| -> Value {
        let weight = |(place, name): (i32, &&str)| ((*name).to_owned(), json!(f64::from((5 * place + step) % 7 - 3) / 16.0));
        Value::Object((0..).zip(columns).map(weight).collect())
    };
    let [owner, partner] = prints();
    let (own, peer) = if side == Side::Owner { (owner, partner) } else { (partner, owner) };
    let mut file = json!({
        "schema": "colift.model/4", "model_id": model, "side": side.name(), "name": "recorded", "created": "2026-11-26T08:00:00Z",
        "program": "0.1.0", "task": "logistic", "train_rows": 100, "l2": 0.001, "clip": 8.0, "job_digest": "ab".repeat(32),
        "own_fingerprint": own, "peer_fingerprint": peer, "recipe": recipe(columns), "coefficients": weights(4),
    });
    if side == Side::Owner {
        let own = json!({ "train_rows": 100, "recipe": recipe(columns), "intercept": -0.5, "coefficients": weights(6) });
        let reading = json!({ "partner_factors": [1.0], "variances": [], "log_cap": 20.0 });
        for (key, value) in [("label", json!("label")), ("intercept", json!(-0.75)), ("own_model", own), ("reading", reading)] {
            file[key] = value;
        }
    }
    serde_json::to_string(&file).unwrap() + "\n"
}

/// What a scoring gives and opens.
const SCORES: &str = "output = [\"score\"]\nreveal = [\"overlap_to_both\", \"scores_to_owner\"]\n";
const DECISIONS: &str = "output = [\"decile\", \"top_share\", \"yes_no\"]\ntop_share = 0.25\nthreshold = 0.5\n\
                         reveal = [\"overlap_to_both\", \"decisions_to_owner\"]\n";

fn score(matching: &str, gives: &str) -> [Files; 2] {
    let model = "5c".repeat(16);
    let shared =
        format!("task = \"score\"\nid_kind = \"opaque\"\nmatching = \"{matching}\"\nmodel = \"{model}\"\nmin_overlap = 5\n{gives}");
    let files = |side, columns: &[&str], first: usize, from, to| {
        let header = format!("id,{}", columns.join(","));
        let data = table(&header, from, to, |user| cells(user, first..first + columns.len()));
        let private = "model = \"model.json\"\n";
        vec![("job.toml", job(side, &shared, private)), ("data.csv", data), ("model.json", half(side, &model, columns))]
    };
    both(
        files(Side::Owner, &["age", "orders", "weeks"], 0, 100, 140),
        files(Side::Partner, &["visits", "spend", "days", "plan", "region"], 3, 117, 152),
    )
}

fn training() -> [Files; 2] {
    let shared = "task = \"logistic\"\nlabel = \"label\"\nid_kind = \"opaque\"\nmatching = \"ecdh\"\nexpected_rate = \"20-50%\"\n\
                  logit_range = [-8.0, 8.0]\nl2 = 0.0078125\nmin_positives = 10\nmin_overlap = 50\nreveal = [\"converged_and_in_range\", \"metrics_to_owner\", \
                  \"overlap_to_both\", \"own_weights\", \"scores_to_owner\", \"split_to_partner\"]\n";
    // The label goes with one column of each side, and with chance.
    let label = |user: usize| i32::from(cell(user, 0, 4) + cell(user, 3, 4) + cell(user, 9, 5) > 2);
    let owner = table("id,label,split,age,orders,weeks", 200, 420, |user| {
        format!(",{},{}{}", label(user), if user % 5 == 0 { "test" } else { "train" }, cells(user, 0..3))
    });
    let partner = table("id,visits,spend,days,plan,region", 230, 440, |user| cells(user, 3..8));
    both(
        vec![("job.toml", job(Side::Owner, shared, "split = \"split\"\n")), ("data.csv", owner)],
        vec![("job.toml", job(Side::Partner, shared, "")), ("data.csv", partner)],
    )
}
