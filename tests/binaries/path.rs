//! A whole run from nothing: keys, pairing, both runs, what is written, what it says of its cost, and what it never says.

use crate::proxy::{Fault, Proxy};
use crate::world::{Ended, HANG, SIDES, World, alone, list, names, overlap_only, results, set, synthetic, together};
use colift::data::Side;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// An id that both files hold, in the test part, and cells that no figure of a run can equal.
const CANARY: &str = "canary.bird.77411@example.org";
const CELLS: [&str; 2] = ["86.4209753", "7.36912581"];
const OWNER_FILES: [&str; 7] = ["model.json", "receipt.json", "report.html", "report.json", "report.txt", "run.log", "scores.csv"];
const PARTNER_FILES: [&str; 6] = ["model.json", "receipt.json", "report.html", "report.json", "report.txt", "run.log"];

/// One run through a counting relay, with everything logged, on files with a canary.
struct Main {
    world: World,
    ended: [Ended; 2],
    /// Processor seconds of either process, from outside.
    cpu: [f64; 2],
    /// Bytes that either side put on the wire.
    wire: [u64; 2],
}

static MAIN: LazyLock<Main> = LazyLock::new(|| {
    let _machine = alone();
    let world = World::new();
    let proxy = Proxy::start(world.port, Fault::None);
    for (side, row) in [
        (Side::Owner, format!("{CANARY},test,1,{},3,5.5,1\n", CELLS[0])),
        (Side::Partner, format!("{CANARY},20.5,1,{},50.25,11.5,1\n", CELLS[1])),
    ] {
        let text = std::fs::read_to_string(synthetic(side)).unwrap() + &row;
        std::fs::write(world.place(side).join("data.csv"), text).unwrap();
    }
    world.jobs(|side, job| {
        set(job, "private.data", "data.csv");
        if side == Side::Partner {
            set(job, "private.link.dial", format!("127.0.0.1:{}", proxy.port));
        }
    });
    let started = SIDES.map(|side| {
        let mut command = world.command(side, &["run", "--job", "job.toml", "--lines"]);
        command.env("COLIFT_LOG", "trace").env("COLIFT_LOG_STDERR", "1");
        crate::world::Program::start(side, command)
    });
    let mut before = children();
    let both = started.map(|program| {
        let ended = program.ended(HANG);
        let now = children();
        let cpu = now - before;
        before = now;
        (ended, cpu)
    });
    let [(owner, owner_cpu), (partner, partner_cpu)] = both;
    let (from_partner, from_owner) = proxy.passed();
    Main { world, ended: [owner, partner], cpu: [owner_cpu, partner_cpu], wire: [from_owner, from_partner] }
});

/// Bytes that a whole run of the committed case puts on the wire: from the side that dials (the partner), from the other.
pub fn bytes_each_way() -> (f64, f64) {
    (MAIN.wire[1] as f64, MAIN.wire[0] as f64)
}

/// Bytes of a whole run, both ways.
pub fn bytes_of_a_run() -> f64 {
    (MAIN.wire[0] + MAIN.wire[1]) as f64
}

/// Processor seconds of all children that were waited for.
fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    [usage.user_time(), usage.system_time()].iter().map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6).sum()
}

impl Main {
    fn folder(&self, side: Side) -> PathBuf {
        results(&self.world, side, self.ended[side as usize].fine())
    }

    fn json(&self, side: Side, name: &str) -> Value {
        read_json(&self.folder(side).join(name))
    }

    fn text(&self, side: Side, name: &str) -> String {
        std::fs::read_to_string(self.folder(side).join(name)).unwrap()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path}: {value}"))
}

#[test]
fn both_receipts_agree_and_stand_by_the_results() {
    let main = &*MAIN;
    let folders = SIDES.map(|side| results(&main.world, side, &main.ended[side as usize]));
    let receipts = folders.each_ref().map(|folder| {
        let text = std::fs::read_to_string(folder.join("receipt.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    });
    for key in ["head", "entries", "signatures"] {
        assert_eq!(receipts[0][key], receipts[1][key], "{key}");
    }
    // What was opened, as the report says it too; the wire from outside is a little more than the payloads.
    let entry = |name: &str| receipts[0]["entries"].as_array().unwrap().iter().find(|entry| entry["entry"] == name).unwrap().clone();
    let opened: Vec<String> =
        entry("opened")["items"].as_array().unwrap().iter().map(|item| item["item"].as_str().unwrap().to_owned()).collect();
    let listed = ["overlap_to_both", "split_to_partner", "converged_and_in_range", "own_weights", "scores_to_owner", "metrics_to_owner"];
    assert_eq!(opened.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), listed.into());
    let sent =
        [&entry("transcript")["owner_to_partner"], &entry("transcript")["partner_to_owner"]].map(|wire| wire["bytes"].as_u64().unwrap());
    for (side, (sent, wire)) in SIDES.into_iter().zip(sent.into_iter().zip(main.wire)) {
        assert!(sent < wire && sent as f64 > 0.9 * wire as f64, "{side}: {sent} of {wire}");
    }
    for (side, folder) in SIDES.into_iter().zip(&folders) {
        let folder = folder.to_str().unwrap();
        let good = main.world.run(side, &["receipt", "verify", folder]);
        assert!(good.fine().out.contains("result files") && good.out.contains("are those of the receipt"), "{}", good.out);
        let page = main.world.run(side, &["receipt", "show", folder]);
        assert!(
            page.fine().out.contains(&format!("this is the {side}'s copy")) && page.out.contains("opened, and nothing else"),
            "{}",
            page.out
        );
        // The other side's results are not this receipt's; neither are results with one more file.
        let other = folders[side.peer() as usize].to_str().unwrap();
        main.world.run(side, &["receipt", "verify", folder, "--results", other]).failed_with_data(30, "E0478");
        let copy = main.world.place(side).join("copied");
        std::fs::create_dir(&copy).unwrap();
        for path in list(Path::new(folder)) {
            std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
        std::fs::write(copy.join("more.csv"), "id\n").unwrap();
        main.world.run(side, &["receipt", "verify", copy.to_str().unwrap()]).failed_with_data(30, "E0478");
        let receipt = std::fs::read_to_string(copy.join("receipt.json")).unwrap();
        std::fs::write(copy.join("receipt.json"), receipt.replacen("\"matched\":", "\"matched\":1", 1)).unwrap();
        main.world.run(side, &["receipt", "show", copy.to_str().unwrap()]).failed(&[30], &["does not verify"], "a changed receipt");
        std::fs::remove_dir_all(&copy).unwrap();
    }
    main.world.run(Side::Owner, &["receipt", "show", "nothing"]).failed(&[13], &["cannot be read", "results folder"], "no receipt");
}

#[test]
fn a_run_writes_complete_private_results() {
    for (side, files) in [(Side::Owner, OWNER_FILES.as_slice()), (Side::Partner, PARTNER_FILES.as_slice())] {
        let folder = MAIN.folder(side);
        assert_eq!(names(&folder), files);
        assert_eq!(mode(&folder), 0o700);
        for file in list(&folder) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            assert!(file.metadata().unwrap().len() > 0, "{} is empty", file.display());
        }
        assert_eq!(MAIN.world.left(side), [folder], "one folder and no hidden one");
        assert_eq!(folder_of_job(&MAIN.folder(side)), "case");
        for (path, wanted) in [(MAIN.world.home(side), 0o700), (MAIN.world.home(side).join("identity.pkcs8"), 0o600)] {
            assert_eq!(mode(&path), wanted, "{}", path.display());
        }
        for stage in ["reading", "matching", "training", "evaluation"] {
            assert!(
                MAIN.ended[side as usize].err.contains(&format!("{side}: {stage} begins\n")),
                "{stage}: {}",
                MAIN.ended[side as usize].err
            );
        }
        // What a person sees is what the folder holds.
        assert!(MAIN.ended[side as usize].out.starts_with(MAIN.text(side, "report.txt").trim_end()));
    }
    let owner = MAIN.json(Side::Owner, "report.json");
    assert_eq!(
        (&owner["schema"], &owner["matched"], &owner["train_rows"], &owner["test_rows"]),
        (&"colift.report/1".into(), &504.into(), &393.into(), &111.into())
    );
    let scores = MAIN.text(Side::Owner, "scores.csv");
    assert!(scores.starts_with("id,score\n"));
    assert_eq!(scores.lines().count(), 1 + 111);
    let values: Vec<f64> = scores.lines().skip(1).map(|line| line.split_once(',').unwrap().1.parse().unwrap()).collect();
    assert!(values.is_sorted_by(|a, b| a >= b) && values.iter().all(|score| (0.0..=1.0).contains(score)));
    let html = MAIN.text(Side::Owner, "report.html");
    assert!(html.contains("<svg"), "the owner's report draws its curves");
}

fn folder_of_job(results: &Path) -> String {
    results.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn either_side_gets_its_own_half_and_nothing_of_the_other() {
    let owner_columns = ["age", "orders", "idle_weeks", "newsletter"];
    let partner_columns = ["card_spend", "app_user", "app_sessions", "app_minutes", "distance_km"];
    let models = SIDES.map(|side| MAIN.json(side, "model.json"));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&models[0]["coefficients"]), owner_columns);
    assert_eq!(keys(&models[1]["coefficients"]), partner_columns);
    assert!(models[0]["intercept"].is_f64() && models[1].get("intercept").is_none_or(Value::is_null));
    let (owner, partner) = (MAIN.json(Side::Owner, "report.json"), MAIN.json(Side::Partner, "report.json"));
    assert_eq!(keys(&owner["owner_coefficients"]), owner_columns);
    assert!(owner.get("partner_coefficients").is_none_or(Value::is_null) && owner.get("intersection_sha256").is_none_or(Value::is_null));
    assert_eq!(keys(&partner["partner_coefficients"]), partner_columns);
    assert_eq!(partner["dropped_columns"], serde_json::json!(["region_flag"]));
    for key in ["test", "own_only", "own_all_rows", "gain", "intercept", "owner_coefficients", "intersection_sha256", "twin", "train"] {
        assert!(partner.get(key).is_none_or(Value::is_null), "the partner's report holds `{key}`");
    }
    for cost in ["cpu_s", "bytes_sent", "peak_rss_mb"] {
        assert!(partner["cost"][cost].get("owner").is_none_or(Value::is_null), "the partner knows the owner's {cost}");
    }
    for file in PARTNER_FILES {
        let text = MAIN.text(Side::Partner, file);
        for column in owner_columns {
            assert!(
                !text.contains(&format!("\"{column}\"")) && !text.contains(&format!(">{column}<")),
                "{file} names the owner's {column}"
            );
        }
    }
    for file in OWNER_FILES {
        let text = MAIN.text(Side::Owner, file);
        for column in partner_columns {
            assert!(!text.contains(column), "{file} names the partner's {column}");
        }
    }
    // What was opened is in both reports, and it is what the job lists.
    for side in SIDES {
        let text = MAIN.text(side, "report.txt");
        for item in ["overlap_to_both", "split_to_partner", "own_weights", "scores_to_owner", "metrics_to_owner", "converged_and_in_range"]
        {
            assert!(text.contains(item), "the {side}'s report does not list {item}:\n{text}");
        }
    }
}

#[test]
fn ids_and_cells_stay_where_they_belong() {
    // Of every id of both files, not of the canary alone.
    let ids = SIDES.map(|side| -> Vec<String> {
        let text = std::fs::read_to_string(MAIN.world.place(side).join("data.csv")).unwrap();
        text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    });
    let places = |side: Side, files: &[&str]| {
        let mut texts: Vec<(String, String)> = files.iter().map(|file| (format!("{side}'s {file}"), MAIN.text(side, file))).collect();
        texts.push((format!("{side}'s stdout"), MAIN.ended[side as usize].out.clone()));
        texts.push((format!("{side}'s stderr"), MAIN.ended[side as usize].err.clone()));
        texts
    };
    let without_scores: Vec<&str> = OWNER_FILES.into_iter().filter(|file| *file != "scores.csv").collect();
    for (place, text) in places(Side::Owner, &without_scores).into_iter().chain(places(Side::Partner, &PARTNER_FILES)) {
        for word in CELLS.into_iter().chain(ids.iter().flatten().map(String::as_str)) {
            // Not named here: a failing test must not print an id either.
            assert!(!text.contains(word), "the {place} holds an id or a cell");
        }
    }
    let scores = MAIN.text(Side::Owner, "scores.csv");
    assert!(scores.contains(CANARY), "the canary was matched and scored: the run has seen it");
    let own: std::collections::HashSet<&str> = ids[0].iter().map(String::as_str).collect();
    assert!(scores.lines().skip(1).all(|line| own.contains(line.split(',').next().unwrap())));
    assert!(CELLS.iter().all(|cell| !scores.contains(cell)));
    for side in SIDES {
        let log = MAIN.text(side, "run.log");
        assert!(log.contains("own file read") && log.contains("run complete"), "{log}");
        let path = MAIN.world.home(side).join("identity.pkcs8");
        let key = std::fs::read(path).unwrap();
        // The seed of an Ed25519 key in its PKCS #8 form, in hexadecimal.
        let secret: String = key[16..48].iter().map(|byte| format!("{byte:02x}")).collect();
        for (place, text) in places(Side::Owner, &OWNER_FILES).into_iter().chain(places(Side::Partner, &PARTNER_FILES)) {
            assert!(!text.contains(&secret), "the {place} holds a private key");
        }
    }
}

#[test]
fn the_stated_cost_is_the_cost_seen_from_outside() {
    for side in SIDES {
        let report = MAIN.json(side, "report.json");
        let stated = number(&report, &format!("/cost/cpu_s/{side}"));
        let seen = MAIN.cpu[side as usize];
        println!("{side}: {stated:.2} s of processor stated, {seen:.2} s seen");
        assert!((stated - seen).abs() <= 0.1 * seen + 0.2, "the {side} states {stated} s of processor, {seen} s were seen");
        let stated = number(&report, &format!("/cost/bytes_sent/{side}"));
        let seen = MAIN.wire[side as usize] as f64;
        println!("{side}: {stated} bytes stated, {seen} seen");
        assert!(stated <= seen && seen <= 1.05 * stated, "the {side} states {stated} bytes sent, {seen} passed the relay");
        let wall = number(&report, "/cost/wall_s");
        let took = MAIN.ended[side as usize].took.as_secs_f64();
        assert!(wall <= took && took <= wall + 2.0, "the {side} states {wall} s, it took {took} s");
        let stages: Vec<&String> = report["cost"]["stages"].as_object().unwrap().keys().collect();
        assert_eq!(stages, ["read", "match", "train", "evaluate"]);
        let sum: f64 = stages.iter().map(|stage| number(&report, &format!("/cost/stages/{stage}/bytes_sent/{side}"))).sum();
        assert!((sum - stated).abs() <= 0.001 * stated + 64.0, "the stages' bytes are {sum}, the whole is {stated}");
    }
}

#[test]
fn the_other_side_may_listen_and_a_run_never_overwrites_another() {
    let _machine = together();
    let world = World::unpaired();
    world.pair(Side::Partner);
    let address = format!("127.0.0.1:{}", world.port);
    world.jobs(|side, job| {
        let how = if side == Side::Partner { "listen" } else { "dial" };
        set(job, "private.link", toml::Table::from_iter([(how.to_owned(), toml::Value::from(address.clone()))]));
    });
    let first = world.run_both(&["--out", "here"]);
    let places: Vec<PathBuf> = first.iter().map(|ended| results(&world, ended.side, ended.fine())).collect();
    let report = std::fs::read(places[0].join("report.json")).unwrap();
    world.jobs(|side, job| {
        let how = if side == Side::Partner { "listen" } else { "dial" };
        set(job, "private.link", toml::Table::from_iter([(how.to_owned(), toml::Value::from(address.clone()))]));
        overlap_only(job);
    });
    let second = world.run_both(&["--out", "here"]);
    for ended in &second {
        assert_eq!(ended.fine().out.lines().last(), Some("results: here-2"));
        assert!(ended.out.starts_with("503 common users"), "{}", ended.out);
        assert_eq!(names(&world.place(ended.side).join("here-2")), ["receipt.json", "report.json", "report.txt", "run.log"]);
        assert!(!world.place(ended.side).join("colift-runs").exists());
        assert!(names(&world.place(ended.side)).iter().all(|name| !name.starts_with('.')), "a hidden folder is left");
    }
    assert_eq!(std::fs::read(places[0].join("report.json")).unwrap(), report, "the first results stand");
    // --json: one line of data on stdout, the folder for people on stderr.
    let third = world.run_both(&["--json"]);
    for ended in &third {
        assert_eq!(ended.fine().out.lines().count(), 1);
        let line: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((&line["schema"], &line["matched"]), (&"colift.overlap/1".into(), &503.into()));
        assert!(ended.err.lines().last().unwrap().starts_with("results: colift-runs/case/"), "{}", ended.err);
    }
}

#[test]
fn the_stored_models_can_be_listed_shown_and_compared() {
    let main = &*MAIN;
    let _machine = together();
    for side in SIDES {
        let listed = main.world.run(side, &["model", "list"]);
        let listed = &listed.fine().out;
        assert_eq!(listed.lines().count(), 2, "a head and one model: {listed}");
        assert!(listed.contains(side.name()), "{listed}");
        let json: Value = serde_json::from_str(&main.world.run(side, &["model", "list", "--json"]).fine().out).unwrap();
        assert_eq!(json[0]["model_id"], model_id(main, side));
        let folder = main.folder(side);
        let folder = folder.to_str().unwrap();
        let shown = main.world.run(side, &["model", "show", folder]);
        assert!(shown.fine().out.contains("Own weights") && shown.out.contains(model_id(main, side).as_str().unwrap()), "{}", shown.out);
        let same = main.world.run(side, &["model", "diff", folder, folder]);
        assert_eq!(same.fine().out.trim(), "the two files hold the same model");
        main.world.run(side, &["model", "show", "nothing.json"]).failed(&[13], &["nothing.json"], "no model file");
        main.world.run(side, &["model", "list", "nowhere"]).failed(&[2], &["model list DIR"], "no folder");
    }
    assert_eq!(model_id(main, Side::Owner), model_id(main, Side::Partner), "both halves carry one name");
}

fn model_id(main: &Main, side: Side) -> Value {
    let model: Value = serde_json::from_str(&std::fs::read_to_string(main.folder(side).join("model.json")).unwrap()).unwrap();
    assert_eq!(model["model_id"].as_str().unwrap().len(), 32);
    model["model_id"].clone()
}
