//! Labels and features of the program equal those of the plain reference, cell by cell, on a log with every boundary and every defect.

use crate::reference::{Ask, read, rows};
use crate::world::{Cell, Rows, World};
use colift::prep::made_log::MadeLog;

/// A log of 3,000 users over 200 days from 2026-01-01, with rows that sit on every boundary of the cut-off 2026-06-01.
pub fn log(world: &World, name: &str) -> String {
    let path = world.path(name);
    MadeLog { events: 120_000, users: 3_000, start: 1_767_225_600, days: 200, seed: 11 }.write_csv(&path).unwrap();
    let mut text = std::fs::read_to_string(&path).unwrap();
    // The cut-off itself, a microsecond before, the starts and the middles of windows, the ends of horizons.
    let edges = [
        "2026-06-01T00:00:00",
        "2026-05-31T23:59:59.999999",
        "2026-06-01T08:00:00+08:00",
        "2026-05-25T00:00:00",
        "2026-05-24T23:59:59.999999",
        "2026-05-28T12:00:00Z",
        "2026-05-28T11:59:59.999999Z",
        "2026-05-02T00:00:00",
        "2026-05-01T23:59:59.999999",
        "2026-03-03T00:00:00",
        "2026-03-02T23:59:59.999999",
        "2026-06-08T00:00:00",
        "2026-06-07T23:59:59.999999",
        "2026-07-01T00:00:00",
        "2026-06-30T23:59:59.999999",
    ];
    let kinds = ["login", "purchase", "message", "vip", "share", "invite", "register"];
    for (at, edge) in edges.iter().enumerate() {
        for (kind_at, kind) in kinds.iter().enumerate() {
            let amount = if *kind == "purchase" { format!("{}.25", at + 1) } else { String::new() };
            // Users of one edge each, and users of two: registered at one edge, with another kind of event at the next.
            text.push_str(&format!("edge-{at}-{kind},{edge},{kind},{amount},\n"));
            let other = edges[(at * 4 + kind_at + 1) % edges.len()];
            text.push_str(&format!("two-{at}-{kind},{edge},register,,late\ntwo-{at}-{kind},{other},{kind},{amount},\n"));
            text.push_str(&format!("three-{at}-{kind},2026-05-10T00:00:00,login,,\nthree-{at}-{kind},{edge},message,,\n"));
            text.push_str(&format!("three-{at}-{kind},{other},{kind},{amount},\n"));
        }
    }
    // No id, blanks around an id, no time, two channels at once, a refund, a quote in an id.
    text.push_str(",2026-05-30T00:00:00,login,,\n   ,2026-05-30T00:00:00,login,,\n");
    text.push_str("  edge-0-login ,2026-05-30T00:00:00,login,,\nu0000001,,login,,\n");
    text.push_str("NULL,2026-05-30T00:00:00,login,,\nu0000001,\\N,login,,\nu0000002,2026-05-30T00:00:00,purchase,NULL,null\n");
    text.push_str("tied,2026-04-01T00:00:00,login,,zebra\ntied,2026-04-01T00:00:00,login,,ape\n");
    text.push_str("tied,2026-05-20T00:00:00,purchase,-12.5,\ntied,2026-05-30T00:00:00,purchase,2.5,\n");
    text.push_str("\"o'hare \"\" \",2026-05-30T00:00:00,login,,\n");
    std::fs::write(&path, &text).unwrap();
    text
}

/// The arguments of an ask.
fn arguments(ask: &Ask, events: &str, out: &str) -> Vec<String> {
    let days = |list: &[i64]| list.iter().map(|days| format!("{days}d")).collect::<Vec<_>>().join(",");
    let mut arguments: Vec<String> = [
        "label",
        events,
        "--id",
        "user_id",
        "--time",
        "ts",
        "--event",
        "type",
        "--value",
        "amount",
        "--channel",
        "channel",
        "--json",
        "--define",
        ask.define,
        "--cutoff",
        ask.cutoff,
        "--out",
        out,
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
    add("--feature-window", format!("{}d", ask.window));
    add("--windows", days(&ask.windows));
    add("--horizon", days(&ask.horizons));
    if !ask.count.is_empty() {
        add("--count", ask.count.join(","));
    }
    if let Some(later) = ask.later {
        add("--split-cutoff", later.into());
    }
    if let Some(as_of) = ask.as_of {
        add("--as-of", as_of.into());
    }
    if let Some(share) = ask.test_share {
        add("--test-share", share.to_string());
    }
    // Of a message that follows the cut-off little is known before it: no leak, but labels of the edge users are few.
    add("--allow-leaky", "none".into());
    arguments
}

pub fn ask(define: &'static str) -> Ask {
    Ask {
        define,
        cutoff: "2026-06-01",
        later: None,
        as_of: None,
        window: 90,
        windows: vec![7, 30, 90],
        horizons: vec![7, 30],
        count: vec!["view"],
        test_share: None,
    }
}

fn close(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Number(a), Cell::Number(b)) => (a - b).abs() <= 1e-9 * (1.0 + a.abs()),
        (a, b) => a == b,
    }
}

/// The first differences of two tables, for a message.
fn differences(made: &Rows, expected: &Rows) -> Vec<String> {
    let mut found = Vec::new();
    for id in made.keys().filter(|id| !expected.contains_key(*id)) {
        found.push(format!("{id} should not be there"));
    }
    for (id, row) in expected {
        let Some(other) = made.get(id) else {
            found.push(format!("{id} is missing"));
            continue;
        };
        if !row.keys().eq(other.keys()) {
            found.push(format!("{id}: columns {:?} should be {:?}", other.keys(), row.keys()));
        }
        for (column, cell) in row {
            if !other.get(column).is_some_and(|other| close(other, cell)) {
                found.push(format!("{id}, {column}: {:?} should be {cell:?}", other.get(column)));
            }
        }
    }
    found.truncate(20);
    found
}

/// Runs the program and the reference and compares everything.
fn same(world: &World, text: &str, ask: &Ask) -> Rows {
    let out = "made.parquet";
    let _ = std::fs::remove_file(world.path(out));
    let arguments = arguments(ask, "log.csv", out);
    let ended = world.works(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let (users, no_id, no_time) = read(text);
    let (expected, left_out) = rows(&users, ask);
    let made = world.rows(out, "user_id");
    let differences = differences(&made, &expected);
    assert!(differences.is_empty(), "{ask:?}\n{}", differences.join("\n"));
    assert!(expected.len() > 50, "{ask:?}: {} users are too few to judge", expected.len());
    let page: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(page["rows"], expected.len());
    assert_eq!((page["events_without_id"].as_u64(), page["events_without_time"].as_u64()), (Some(no_id), Some(no_time)));
    let told = ["already_vip", "immature", "other_cutoff"].map(|name| page["left_out"][name].as_u64().unwrap());
    assert_eq!(told, left_out, "{ask:?}");
    expected
}

#[test]
fn every_definition_equals_the_reference() {
    let world = World::new();
    let text = log(&world, "log.csv");
    for define in ["spend", "pays", "shared", "invited", "lost", "vip", "returned"] {
        let expected = same(&world, &text, &ask(define));
        let label = expected.values().next().unwrap().keys().find(|name| name.ends_with("_within_30d")).unwrap().clone();
        let yes = expected.values().filter(|row| row[&label] != Cell::Number(0.0)).count();
        assert!(yes > 5 && yes < expected.len(), "{define}: {yes} of {} say yes", expected.len());
    }
}

#[test]
fn other_windows_cutoffs_and_ends_of_the_log() {
    let world = World::new();
    let text = log(&world, "log.csv");
    same(&world, &text, &Ask { window: 30, windows: vec![1, 5, 30], horizons: vec![3], ..ask("spend") });
    same(&world, &text, &Ask { cutoff: "2026-04-15T13:30:00Z", horizons: vec![1, 14, 60], count: vec![], ..ask("pays") });
    // Some users' horizons have not passed at this end of the log.
    same(&world, &text, &Ask { as_of: Some("2026-06-20"), horizons: vec![30], ..ask("vip") });
    same(&world, &text, &Ask { as_of: Some("2026-06-10T06:00:00Z"), horizons: vec![7], ..ask("returned") });
}

#[test]
fn splits_in_time_and_at_random() {
    let world = World::new();
    let text = log(&world, "log.csv");
    let count = |rows: &Rows, part: &str| rows.values().filter(|row| row["split"] == Cell::Text(part.into())).count();
    let rows = same(&world, &text, &Ask { test_share: Some(0.3), ..ask("spend") });
    assert!((0.25..0.35).contains(&(count(&rows, "test") as f64 / rows.len() as f64)));
    let rows = same(&world, &text, &Ask { cutoff: "2026-05-01", later: Some("2026-06-10"), ..ask("spend") });
    assert!(count(&rows, "train") > 500 && count(&rows, "test") > 200);
    // Registrations of different weeks: nobody is lost to the draw.
    let rows = same(&world, &text, &Ask { cutoff: "2026-05-01", later: Some("2026-06-01"), horizons: vec![30], ..ask("vip") });
    assert!(count(&rows, "train") > 200 && count(&rows, "test") > 200);
}

#[test]
fn the_queries_are_shown_and_run_as_shown() {
    let world = World::new();
    log(&world, "log.csv");
    let mut arguments = arguments(&ask("spend"), "log.csv", "made.parquet");
    let strings = |arguments: &[String]| arguments.to_vec();
    world.works(&strings(&arguments).iter().map(String::as_str).collect::<Vec<_>>());
    arguments.retain(|argument| argument != "--json");
    arguments.push("--show-sql".into());
    let shown = world.works(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).out;
    let rows = shown.split_once("-- The rows\n").unwrap().1.trim().trim_end_matches(';');
    assert!(rows.contains("at < to_timestamp_micros('2026-06-01')"), "{rows}");
    world.write("shown.sql", rows);
    world.works(&[
        "sql",
        "--file",
        "shown.sql",
        "--table",
        "events=log.csv",
        "--text",
        "user_id,ts,type,amount,channel",
        "--out",
        "shown.parquet",
    ]);
    let (made, shown) = (world.rows("made.parquet", "user_id"), world.rows("shown.parquet", "user_id"));
    assert!(differences(&shown, &made).is_empty());
}

#[test]
fn no_label_before_its_horizon_has_passed() {
    let world = World::new();
    log(&world, "log.csv");
    let run = |cutoff: &'static str, horizons: Vec<i64>, as_of| {
        arguments(&Ask { cutoff, horizons, as_of, ..ask("spend") }, "log.csv", "x.parquet")
    };
    let refused = |arguments: Vec<String>| world.refuses(13, "1145", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    // The log ends on 2026-07-19.
    let ended = refused(run("2026-06-25", vec![7, 30], None));
    assert!(ended.err.contains("labels of 30d from 2026-06-25 are not mature"), "{}", ended.err);
    refused(run("2026-06-01", vec![90], None));
    refused(run("2026-06-01", vec![30], Some("2026-06-30T23:59:59")));
    world.works(&run("2026-06-25", vec![7], None).iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn names_that_look_like_sql_are_names() {
    let world = World::new();
    let text = log(&world, "plain.csv");
    let id = "user\"; DROP TABLE events; --";
    let renamed = text
        .replacen("user_id,ts,type", "\"user\"\"; DROP TABLE events; --\",\"t s\",\"it's a 'type'\"", 1)
        .replace(",purchase,", ",buy' OR '1'='1,");
    world.write("log.csv", renamed);
    world.works(&[
        "label",
        "log.csv",
        "--id",
        id,
        "--time",
        "t s",
        "--event",
        "it's a 'type'",
        "--value",
        "amount",
        "--pay-events",
        "buy' OR '1'='1",
        "--cutoff",
        "2026-06-01",
        "--define",
        "pays",
        "--out",
        "made.parquet",
    ]);
    let (users, ..) = read(&text);
    let expected = rows(&users, &Ask { horizons: vec![30], count: vec![], ..ask("pays") }).0;
    let made = world.rows("made.parquet", id);
    assert_eq!(made.len(), expected.len());
    assert!(
        made.iter()
            .all(|(id, row)| row["pays_within_30d"] == expected[id]["pays_within_30d"] && row["pays_90d"] == expected[id]["pays_90d"])
    );
}
