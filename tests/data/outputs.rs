//! `data check` of both programs: page, JSON and lock, standard input, and that no id and no text of a cell reaches any of them.

use crate::files::{Folder, good, owners};
use crate::parquet::{self, parquet, zstd};
use colift::data::{Lock, Side, TableSpec, read_table};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAMS: [&str; 2] = [env!("CARGO_BIN_EXE_colift-owner"), env!("CARGO_BIN_EXE_colift-partner")];

fn check(program: &str, folder: &Path, arguments: &[&str], input: Option<&[u8]>) -> Output {
    let mut command = Command::new(program);
    command.current_dir(folder).args(["data", "check"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() }).spawn().unwrap();
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        // A program that stops early closes the pipe.
        let _ = pipe.write_all(input);
    }
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn both_programs_print_a_page_and_write_a_lock() {
    for program in PROGRAMS {
        let folder = Folder::with(&[(
            "data.csv",
            good(|row, line| if row == 3 { line.replace("user3", " user3 ") } else { line.replace(',', ";") }.replace(',', ";")),
        )]);
        let place = folder.path("");
        let output = check(program, &place, &["data.csv", "--id", "id"], None);
        let page = told(&output);
        assert_eq!(output.status.code(), Some(0), "{page}");
        for words in [
            "data.csv: CSV, semicolon between fields, nothing quoted, 40 rows",
            "rows     40 (counted twice)",
            "`id` of kind opaque: 40 of 40 accepted",
            "1 respelt: blanks at the ends 1",
            "verdict  fit for a job",
            "lock     data.csv.lock.json",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        use std::os::unix::fs::PermissionsExt;
        let lock = folder.path("data.csv.lock.json");
        assert_eq!(std::fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&lock).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["schema"].as_str(), value["rows"].as_u64()), (Some("colift.lock/1"), Some(40)));
        // Without an id column the columns are listed.
        let output = check(program, &place, &["data.csv", "--json", "--no-lock"], None);
        let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(page["schema"], "colift.data-check/1");
        assert_eq!(page["ids"], serde_json::Value::Null);
        let kinds: Vec<(&str, &str)> =
            page["columns"].as_array().unwrap().iter().map(|c| (c["name"].as_str().unwrap(), c["type"].as_str().unwrap())).collect();
        assert_eq!(kinds, [("id", "text"), ("age", "number"), ("town", "text")]);
        assert_eq!((page["columns"][2]["distinct"].as_u64(), page["columns"][1]["min"].as_f64()), (Some(4), Some(20.0)));
    }
}

#[test]
fn every_class_of_defect_is_counted_at_once() {
    let ids = ["", "a@b.example", "A@b.example", "no-at.example", "two@@b.example", "sp ace@b.example", " c@b.example", "Ｄ@b.example"];
    let rows: String = ids.iter().enumerate().map(|(row, id)| format!("{id},{row},,t\n")).collect();
    let folder = Folder::with(&[("data.csv", format!("id,a,none,same\n{rows}").into_bytes())]);
    for program in PROGRAMS {
        let output = check(program, &folder.path(""), &["data.csv", "--id", "id", "--id-kind", "email", "--json"], None);
        assert_eq!(output.status.code(), Some(13), "{}", told(&output));
        let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let ids = &page["ids"];
        assert_eq!(
            ids["defects"],
            serde_json::json!({"blanks or control characters inside": 1, "empty": 1, "more than one @": 1, "no @": 1})
        );
        assert_eq!(ids["repairs"], serde_json::json!({"blanks at the ends": 1, "capitals": 1, "full-width characters": 1}));
        assert_eq!((ids["accepted"].as_u64(), ids["duplicates"].as_u64()), (Some(4), Some(1)));
        let numbers: Vec<u64> = page["refused"].as_array().unwrap().iter().map(|found| found["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [313, 314, 315]);
        assert_eq!((page["columns"][2]["missing"].as_u64(), page["columns"][3]["constant"].as_bool()), (Some(8), Some(true)));
        assert!(!folder.path("data.csv.lock.json").exists(), "refused data get no lock");
    }
    // Label and leaks of the owner.
    let leaky = owners(|row, line| format!("{},{}\n", line.trim_end(), if row == 0 { "later".into() } else { (row % 3 == 0).to_string() }));
    let folder = Folder::with(&[("owner.csv", leaky)]);
    let arguments = ["owner.csv", "--id", "id", "--label", "label", "--split", "split"];
    let page = told(&check(PROGRAMS[0], &folder.path(""), &arguments, None));
    for words in [
        "label    13 of 40 are 1; train: 10 of 30; test: 3 of 10",
        "E0323 1 column predicts the label alone",
        "verdict  refused, for 1 reason",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let partner = check(PROGRAMS[1], &folder.path(""), &arguments, None);
    assert_eq!(partner.status.code(), Some(2), "{}", told(&partner));
}

#[test]
fn standard_input_is_read_as_csv_or_parquet() {
    let folder = Folder::with(&[]);
    for (bytes, format) in [(good(|_, line| line), "CSV"), (parquet(parquet::good(), zstd(), 16), "Parquet")] {
        let output = check(PROGRAMS[1], &folder.path(""), &["-", "--id", "id"], Some(&bytes));
        let page = told(&output);
        assert_eq!(output.status.code(), Some(0), "{page}");
        assert!(
            page.contains(&format!("standard input: {format}")) && page.contains("40 rows") && page.contains("lock     none written"),
            "{page}"
        );
    }
    // A column that must be read a second time.
    let late = good(|row, line| {
        if row > 0 && row < 20 { line.replace("Ulm", "1").replace("Bonn", "2").replace("Jena", "3").replace("Kiel", "4") } else { line }
    });
    let output = check(PROGRAMS[1], &folder.path(""), &["-", "--id", "id"], Some(&late));
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(std::fs::read_dir(folder.path("")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_lock_refuses_other_data() {
    let folder = Folder::with(&[("data.csv", good(|_, line| line))]);
    let output = check(PROGRAMS[1], &folder.path(""), &["data.csv", "--id", "id", "--lock", "the.lock"], None);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let spec = |path: &str| TableSpec { lock: Some(folder.path("the.lock")), ..TableSpec::new(folder.path(path), "id") };
    assert_eq!(Lock::load(&folder.path("the.lock")).unwrap().rows, 40);
    assert_eq!(read_table(&spec("data.csv"), Side::Partner).unwrap().rows(), 40);
    // One cell changed: refused before any row is read.
    std::fs::write(folder.path("data.csv"), good(|row, line| if row == 7 { line.replace("user7", "user77") } else { line })).unwrap();
    let failure = read_table(&spec("data.csv"), Side::Partner).unwrap_err();
    assert_eq!((failure.exit as u8, failure.id), (13, 339), "{failure}");
    // The same bytes, read otherwise than they were checked.
    std::fs::write(folder.path("data.csv"), good(|_, line| line)).unwrap();
    let mut other = spec("data.csv");
    let text = colift::data::ColumnWish { kind: Some(colift::data::ColumnKind::Text), ..colift::data::ColumnWish::default() };
    other.wishes.insert("age".into(), text);
    let failure = read_table(&other, Side::Partner).unwrap_err();
    assert_eq!((failure.id, failure.what.contains("column `age` is read otherwise")), (339, true), "{failure}");
    // A lock of another schema, and no lock.
    for (bytes, words) in [
        (r#"{"schema":"colift.lock/9"}"#, "colift.lock/9"),
        ("id,age", "not JSON"),
        ("{}", "no schema"),
        (r#"{"schema":"colift.lock/1"}"#, "not written as"),
    ] {
        std::fs::write(folder.path("the.lock"), bytes).unwrap();
        let failure = read_table(&spec("data.csv"), Side::Partner).unwrap_err();
        assert!(failure.exit as u8 == 2 && failure.id == 344 && failure.what.contains(words), "{failure}");
    }
}

#[test]
fn no_id_and_no_text_of_a_cell_reaches_an_output() {
    const CANARY: &str = "kanarie7f3a";
    let line = |row: usize, id: &str, cell: &str| format!("{id},{},{cell}{},{}\n", row * 3, row % 3, row % 2);
    let made = |spoil: &dyn Fn(usize) -> Option<String>| {
        let rows: String = (1..=40).map(|row| spoil(row).unwrap_or_else(|| line(row, &format!("{CANARY}{row}"), CANARY))).collect();
        format!("id,n,t,same\n{rows}").into_bytes()
    };
    let spoilt: [&dyn Fn(usize) -> Option<String>; 9] = [
        &|_| None,
        &|row| (row == 5).then(|| line(row, CANARY, CANARY).replacen(CANARY, &format!("{CANARY}4"), 1)),
        &|row| (row == 5).then(|| format!("{CANARY},{CANARY}\n")),
        &|row| (row == 5).then(|| format!("{CANARY},{CANARY},{CANARY},{CANARY}\n")),
        &|row| (row == 5).then(|| format!("{CANARY}\u{7},1,\0{CANARY},1\n")),
        &|row| (row == 5).then(|| format!("\"{CANARY},1,x,1\n")),
        &|row| (row == 40).then(|| format!("{CANARY},1")),
        &|row| (row == 5).then(|| format!("{CANARY}5,1,{},1\n", CANARY.repeat(4000))),
        &|row| Some(format!("{CANARY}{row},\"{row},5\",{CANARY},1\n")),
    ];
    for (number, spoil) in spoilt.iter().enumerate() {
        let folder = Folder::with(&[("data.csv", made(spoil))]);
        for kind in ["opaque", "email", "phone", "hash", "device"] {
            for json in [&["--json"][..], &[]] {
                let arguments = [&["data.csv", "--id", "id", "--id-kind", kind, "--lock", "the.lock"], json].concat();
                let output = check(PROGRAMS[number % 2], &folder.path(""), &arguments, None);
                assert_eq!(output.status.code() == Some(0), number == 0 && kind == "opaque", "{number} {kind}: {}", told(&output));
                let lock = std::fs::read_to_string(folder.path("the.lock")).unwrap_or_default();
                assert_eq!(lock.is_empty(), number != 0, "{number} {kind}");
                assert!(!(told(&output) + &lock).contains("kanarie"), "{number} {kind}: {}", told(&output));
            }
        }
    }
}
