//! `bench`: both real programs, a shaped link, the declared bytes, the distance to the twin, the data for a rival; matchings
//! equal to the plain join.

use crate::world::{HANG, Program, program, together};
use colift::data::Side;
use std::process::Command;
use tempfile::TempDir;

#[test]
fn a_benchmark_reports_what_crossed_the_link_and_how_far_the_optimum_is() {
    let _shared = together();
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(program(Side::Owner));
    command.args(["bench", "training", "--rows", "6000", "--owner-columns", "3", "--partner-columns", "4", "--rate", "0.2"]);
    command.args(["--seed", "5", "--link", "lan", "--json", "--csv"]).arg(folder.path());
    let ended = Program::start(Side::Owner, command).ended(HANG);
    let report: serde_json::Value = serde_json::from_str(ended.fine().out.trim()).unwrap();
    let number = |path: &str| report.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);

    let sent = number("/cost/bytes_sent/owner") + number("/cost/bytes_sent/partner");
    for side in ["owner", "partner"] {
        assert_eq!(report["cost"]["bytes_sent"][side], report["declared_bytes"][side], "{report}");
        assert!(number(&format!("/cost/cpu_s/{side}")) > 0.0 && number(&format!("/cost/peak_rss_mb/{side}")) > 1.0);
    }
    assert!((number("/bytes_per_row") - sent / 6_000.0).abs() < 1e-6 && number("/passes") >= 3.0, "{report}");
    // 1 Gbit/s each way: the busier direction alone needs this long.
    let most = number("/cost/bytes_sent/owner").max(number("/cost/bytes_sent/partner"));
    assert!(number("/cost/wall_s") >= most * 8.0 / 1e9, "{report}");
    assert!(number("/twin/loss_gap").abs() <= 1e-5 && number("/twin/max_coefficient_error_se") <= 0.1, "{report}");

    for (name, columns) in [("owner.csv", 5), ("partner.csv", 5)] {
        let mut reader = csv::Reader::from_path(folder.path().join(name)).unwrap();
        assert_eq!(reader.headers().unwrap().len(), columns, "{name}");
        let read: Result<Vec<_>, _> = reader.records().collect();
        assert_eq!(read.unwrap().len(), 6_000, "{name}");
    }
}

#[test]
fn a_benchmark_of_the_matching_is_held_against_the_plain_join() {
    let _shared = together();
    for (ids, protocol, security, link) in [
        ("3001", "vole", "malicious", "lan"),
        ("3000", "vole", "semi-honest", "loopback"),
        ("300", "ecdh", "semi-honest", "loopback"),
        ("1", "vole", "malicious", "loopback"),
    ] {
        let mut command = Command::new(program(Side::Owner));
        command.args(["bench", "matching", "--ids", ids, "--protocol", protocol, "--security", security, "--link", link, "--json"]);
        let ended = Program::start(Side::Owner, command).ended(HANG);
        let report: serde_json::Value = serde_json::from_str(ended.fine().out.trim()).unwrap();
        let count: u64 = ids.parse().unwrap();
        assert_eq!(report["exact"], true, "{report}");
        assert_eq!(report["matched"].as_u64(), Some(count / 2), "{report}");
        assert_eq!((&report["security"], &report["link"]), (&security.into(), &link.into()), "{report}");
        let sent = |side: &str| report["cost"]["bytes_sent"][side].as_u64().unwrap();
        let per_item = report["bytes_per_item"].as_f64().unwrap();
        assert!(sent("owner") > 0 && sent("partner") > 0 && report["cost"]["rounds"].as_u64() > Some(0), "{report}");
        assert!((per_item * count as f64 - (sent("owner") + sent("partner")) as f64).abs() < 1.0, "{report}");
    }
}
