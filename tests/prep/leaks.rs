//! Planted leaks are refused and named: features after the cut-off, copies of the label, dates; honest columns pass.

use crate::labels::log;
use crate::world::World;

/// A log, and arguments to label it with further features.
fn label<'a>(extra: &'a [&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "label",
        "log.csv",
        "--id",
        "user_id",
        "--time",
        "ts",
        "--event",
        "type",
        "--value",
        "amount",
        "--cutoff",
        "2026-06-01",
        "--define",
        "pays",
        "--out",
        "owner.parquet",
    ];
    arguments.extend(extra);
    arguments
}

#[test]
fn further_features_must_have_been_known_at_the_cutoff() {
    let world = World::new();
    log(&world, "log.csv");
    world.works(&label(&[]));
    let user = world.rows("owner.parquet", "user_id").into_keys().find(|id| id.starts_with('u')).unwrap();
    let extra = |name: &str, day: &str| {
        world.write(name, format!("user_id,as_of,score\nx1,2026-05-31,1\n{user},{day},2\nx2,2026-06-01,3\n"));
    };
    extra("late.csv", "2026-06-02");
    extra("good.csv", "2026-05-01");
    let ended = world.refuses(13, "1150", &label(&["--force", "--features", "late.csv"]));
    assert!(ended.err.contains("`as_of`") && ended.err.contains("1 row of further features was known only after"), "{}", ended.err);
    world.works(&label(&["--force", "--features", "good.csv"]));
    let rows = world.rows("owner.parquet", "user_id");
    assert_eq!(rows[&user]["score"], crate::world::Cell::Number(2.0));
    assert!(!rows[&user].contains_key("as_of"));
    world.write("twice.csv", "user_id,score\nu0000001,1\n u0000001,2\n");
    world.refuses(13, "1147", &label(&["--features", "twice.csv", "--force"]));
}

#[test]
fn a_feature_dated_after_the_cutoff_and_a_copy_of_the_label_stop_the_labelling() {
    let world = World::new();
    log(&world, "log.csv");
    world.works(&label(&[]));
    let rows = world.rows("owner.parquet", "user_id");
    let (mut dated, mut copied) = ("user_id,last_seen\n".to_owned(), "user_id,bought_again\n".to_owned());
    for (at, (id, row)) in rows.iter().filter(|(id, _)| id.starts_with('u')).enumerate() {
        let day = if at == 17 { "2026-06-03" } else { "2026-05-20" };
        dated.push_str(&format!("{id},{day}\n"));
        let crate::world::Cell::Number(yes) = row["pays_within_30d"] else { panic!("a label is a number") };
        copied.push_str(&format!("{id},{}\n", if yes > 0.0 { "yes" } else { "no" }));
    }
    world.write("dated.csv", dated);
    world.write("copied.csv", copied);
    let force = |file| label(&["--force", "--features"]).into_iter().chain([file]).collect::<Vec<_>>();
    let before = std::fs::read(world.path("owner.parquet")).unwrap();
    let ended = world.refuses(13, "1150", &force("dated.csv"));
    assert!(ended.err.contains("`last_seen` (dated up to 2026-06-03"), "{}", ended.err);
    let ended = world.refuses(13, "1150", &force("copied.csv"));
    assert!(ended.err.contains("`bought_again` (") && ended.err.contains("information value"), "{}", ended.err);
    assert_eq!(std::fs::read(world.path("owner.parquet")).unwrap(), before, "the file that was there stays");
    let allowed: Vec<&str> = force("copied.csv").into_iter().chain(["--allow-leaky", "bought_again"]).collect();
    world.works(&allowed);
}

#[test]
fn check_names_what_leaks_in_a_finished_file() {
    let world = World::new();
    // Label: every seventh. Leaks: a copy as text, a copy hidden in missing cells, dates as text, as seconds and as milliseconds.
    let mut text = "id,label,age,town,copy,filled,closed_on,seen_s,seen_ms,joined,amount\n".to_owned();
    for row in 0..2_000u64 {
        let yes = row % 7 == 0;
        let seen = 1_780_272_000 - 1_000 * row + if row == 3 { 86_400 * 9 } else { 0 };
        text.push_str(&format!(
            "{row},{},{},t{},{},{},2026-{:02}-11,{seen},{},2025-{:02}-11,{}\n",
            u8::from(yes),
            20 + row * 31 % 50,
            row * 13 % 19,
            if yes { "b" } else { "a" },
            if yes { (row % 5).to_string() } else { String::new() },
            1 + row % 12,
            seen * 1_000,
            1 + row % 12,
            row * 7_919 % 4_001,
        ));
    }
    world.write("owner.csv", &text);
    let base = ["check", "owner.csv", "--id", "id", "--label", "label"];
    let with = |more: &[&'static str]| base.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    let ended = world.refuses(13, "1150", &with(&["--cutoff", "2026-06-01", "--json"]));
    let page: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let mut refused: Vec<&str> = page["columns"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|column| column["refused"] == true)
        .map(|column| column["column"].as_str().unwrap())
        .collect();
    refused.sort_unstable();
    assert_eq!(refused, ["closed_on", "copy", "filled", "seen_ms", "seen_s"]);
    for name in &refused {
        assert!(ended.err.contains(&format!("`{name}` (")), "{}", ended.err);
    }
    // Without a cut-off dates are not judged; named columns may stay.
    let ended = world.refuses(13, "1150", &base);
    assert!(ended.err.contains("2 columns") && !ended.err.contains("closed_on"), "{}", ended.err);
    world.works(&with(&["--allow-leaky", "copy,filled"]));
    world.works(&with(&["--exclude", "copy,filled,closed_on", "--cutoff", "2026-06-11"]));
    world.refuses(13, "1151", &["check", "owner.csv", "--id", "id", "--label", "town"]);
}
