//! How the program ends: refusals with their codes, the memory cap, Ctrl-C; no file is left and no cell is told.

use crate::labels::log;
use crate::world::{World, ended};
use colift::prep::made_log::MadeLog;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn queries_and_targets_that_cannot_be() {
    let world = World::new();
    world.write("a.csv", "id,x\nu1,1\n");
    let sql =
        |code, number, query: &str, table: &str, out: &str| world.refuses(code, number, &["sql", query, "--table", table, "--out", out]);
    sql(2, "1120", "SELEC id FROM t", "t=a.csv", "o.parquet");
    let ended = sql(2, "1120", "SELECT idd FROM t", "t=a.csv", "o.parquet");
    assert!(ended.err.contains("idd") && ended.err.contains("try:"), "{}", ended.err);
    sql(2, "1120", "SELECT * FROM other", "t=a.csv", "o.parquet");
    for changing in ["CREATE TABLE n AS SELECT 1", "COPY t TO 'stolen.csv'", "DROP TABLE t", "SET datafusion.execution.batch_size = 1"] {
        sql(2, "1120", changing, "t=a.csv", "o.parquet");
    }
    sql(13, "1112", "SELECT * FROM t", "t=none.csv", "o.parquet");
    sql(13, "1112", "SELECT * FROM t", "t=none-*.csv", "o.parquet");
    sql(2, "1111", "SELECT * FROM t", "a.csv", "o.parquet");
    sql(2, "1130", "SELECT * FROM t", "t=a.csv", "a.csv");
    sql(2, "1130", "SELECT * FROM t", "t=a.csv", "none/o.parquet");
    let ended = sql(13, "1131", "SELECT id, make_array(1, 2) AS parts FROM t", "t=a.csv", "o.parquet");
    assert!(ended.err.contains("`parts`"), "{}", ended.err);
    world.refuses(2, "1111", &["sql", "SELECT 1", "--table", "t=a.csv", "--table", "t=a.csv", "--out", "o.parquet"]);
    world.refuses(2, "1114", &["sql", "--file", "none.sql", "--table", "t=a.csv", "--out", "o.parquet"]);
}

#[test]
fn no_cell_is_told() {
    let world = World::new();
    world.write("a.csv", "id,x\nsecret@example.com,topsecret\n");
    let ended = world.refuses(13, "1123", &["sql", "SELECT id, CAST(x AS INT) AS x FROM t", "--table", "t=a.csv", "--out", "o.parquet"]);
    assert!(!ended.err.contains("secret"), "{}", ended.err);
    let mut rows = "id,x\n".to_owned();
    for row in 0..120_000 {
        rows.push_str(&format!("u{row},{row}\n"));
    }
    world.write("late.csv", rows + "u,topsecret\n");
    let ended = world.refuses(13, "1123", &["sql", "SELECT sum(x) AS id FROM t", "--table", "t=late.csv", "--out", "o.parquet"]);
    assert!(!ended.err.contains("topsecret"), "{}", ended.err);
    world.works(&["sql", "SELECT max(x) AS id FROM t", "--table", "t=late.csv", "--text", "x", "--out", "o.parquet"]);
}

#[test]
fn logs_and_settings_that_cannot_be() {
    let world = World::new();
    log(&world, "log.csv");
    let refuses = |code, number: &str, more: &[&str]| {
        let base = ["label", "log.csv", "--id", "user_id", "--time", "ts", "--event", "type", "--out", "o.parquet"];
        let rest = ["--cutoff", "2026-06-01", "--define", "pays"];
        // A flag that is given again replaces the usual one.
        let rest = rest.chunks(2).filter(|pair| !more.contains(&pair[0])).flatten().copied();
        world.refuses(code, number, &base.into_iter().chain(rest).chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let ended = refuses(2, "1103", &["--define", "vipp"]);
    assert!(ended.err.contains("vip"), "{}", ended.err);
    refuses(2, "1101", &["--cutoff", "yesterday"]);
    refuses(2, "1102", &["--horizon", "0d"]);
    refuses(2, "1144", &["--define", "spend"]);
    refuses(2, "1144", &["--windows", "120d"]);
    refuses(2, "1144", &["--split-cutoff", "2026-05-01"]);
    refuses(2, "1144", &["--test-share", "1.5"]);
    let ended = refuses(13, "1140", &["--value", "amont"]);
    assert!(ended.err.contains("`amount`"), "{}", ended.err);
    let ended = refuses(13, "1143", &["--pay-events", "order"]);
    assert!(ended.err.contains("`order`") && ended.err.contains("`login`"), "{}", ended.err);
    refuses(13, "1146", &["--cutoff", "2025-06-01"]);
    world.write("bad.csv", "user_id,ts,type\nu1,2026-05-01,login\nu2,soon,login\n");
    let base =
        ["label", "bad.csv", "--id", "user_id", "--event", "type", "--cutoff", "2026-06-01", "--define", "lost", "--out", "o.parquet"];
    let ended = world.refuses(13, "1142", &[&base[..], &["--time", "ts"]].concat());
    assert!(ended.err.contains("1 event has no time") && !ended.err.contains("soon"), "{}", ended.err);
    world.write("numbers.csv", "user_id,ts,type\nu1,1780272000,login\n");
    let base = ["label", "numbers.csv", "--id", "user_id", "--time", "ts", "--event", "type", "--cutoff", "2026-06-01", "--define", "lost"];
    world.refuses(13, "1142", &[&base[..], &["--out", "o.parquet"]].concat());
    world.refuses(13, "1145", &[&base[..], &["--out", "o.parquet", "--time-unit", "s"]].concat());
}

#[test]
fn sorts_spill_below_the_memory_cap_and_too_small_a_cap_is_told() {
    let world = World::new();
    MadeLog { events: 600_000, users: 20_000, start: 1_767_225_600, days: 200, seed: 3 }.write_csv(&world.path("log.csv")).unwrap();
    let query = "SELECT user_id, ts, type, row_number() OVER (ORDER BY type, ts DESC, user_id) AS place FROM t";
    std::fs::create_dir(world.path("spill")).unwrap();
    let sql = |memory: &str| {
        ended(
            world
                .command(&[
                    "sql",
                    query,
                    "--table",
                    "t=log.csv",
                    "--out",
                    "o.parquet",
                    "--max-memory",
                    memory,
                    "--threads",
                    "2",
                    "--temp",
                    "spill",
                ])
                .output()
                .unwrap(),
        )
    };
    let small = sql("40M");
    assert_eq!(small.code, Some(0), "{}", small.err);
    assert!(small.err.contains("600,000 rows"), "{}", small.err);
    std::fs::remove_file(world.path("o.parquet")).unwrap();
    let tiny = sql("64K");
    assert_eq!(tiny.code, Some(17), "{}", tiny.err);
    assert!(tiny.err.contains("error[E1121]") && tiny.err.contains("--max-memory"), "{}", tiny.err);
    assert_eq!(world.names(), ["log.csv", "spill"]);
    assert_eq!(std::fs::read_dir(world.path("spill")).unwrap().count(), 0, "spilled data are removed");
}

#[test]
fn an_interruption_leaves_nothing() {
    let world = World::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // Standard input stays open and silent: the program waits for it.
        let mut command = world.command(&["sql", "SELECT * FROM t", "--table", "t=-", "--out", "o.parquet"]);
        let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let input = program.stdin.take();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !world.names().iter().any(|name| name.starts_with(".o.parquet.partial-")) {
            assert!(Instant::now() < deadline, "the hidden file never came");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill(Pid::from_raw(program.id() as i32), signal).unwrap();
        let ended = ended(program.wait_with_output().unwrap());
        drop(input);
        assert_eq!(ended.code, Some(20), "{}", ended.err);
        assert_eq!(world.names(), Vec::<String>::new());
    }
}
