//! The programs' surface: help, versions, unknown words, commands of the other side, the jobs that are shown as examples.

use crate::world::{HANG, Program, SIDES, World, program, together};
use colift::data::Side;
use std::path::Path;
use std::process::Command;

fn run(side: Side, arguments: &[&str]) -> crate::world::Ended {
    let mut command = Command::new(program(side));
    command.args(arguments).env("COLIFT_HOME", "/nonexistent/home");
    Program::start(side, command).ended(HANG)
}

#[test]
fn help_names_every_command_and_version_names_what_must_meet() {
    for side in SIDES {
        let help = run(side, &["--help"]);
        for command in ["init", "pair", "peers", "run", "model", "score", "demo", "rehearse", "bench", "--version"] {
            assert!(help.fine().out.contains(command), "{}", help.out);
        }
        assert!(help.out.contains(&format!("Usage: colift-{side}")), "{}", help.out);
        for command in ["pair", "run", "score", "rehearse"] {
            let help = run(side, &[command, "--help"]);
            assert!(help.fine().out.contains("Usage:"), "{}", help.out);
        }
        let version = run(side, &["--version"]).fine().out.trim().to_owned();
        let wanted = format!("colift-{side} {} (wire ", env!("CARGO_PKG_VERSION"));
        assert!(version.starts_with(&wanted) && version.contains("contract "), "{version}");
    }
}

#[test]
fn completions_and_the_manual_name_every_command() {
    let folder = tempfile::TempDir::new().unwrap();
    for side in SIDES {
        for shell in ["bash", "zsh", "fish"] {
            let script = run(side, &["completions", shell]);
            for command in ["plan", "sign", "receipt", "doctor"] {
                assert!(script.fine().out.contains(command), "{shell}: {command}");
            }
        }
        let pages = folder.path().join(side.name());
        std::fs::create_dir(&pages).unwrap();
        run(side, &["man", pages.to_str().unwrap()]).fine();
        let first = std::fs::read_to_string(pages.join(format!("colift-{side}.1"))).unwrap();
        assert!(first.starts_with(".") && first.contains("sign"), "{}", &first[..80]);
        assert!(pages.join(format!("colift-{side}-run.1")).is_file() && pages.join(format!("colift-{side}-pair-invite.1")).is_file());
        run(side, &["man", "/nonexistent/folder"]).failed(&[2], &["E0930", "folder that exists"], "no folder");
    }
}

#[test]
fn doctor_looks_at_this_machine_and_at_the_way_to_the_peer() {
    let _machine = together();
    let world = World::unpaired();
    // Nothing pinned: what is there is shown, and what to do.
    let alone = world.run(Side::Owner, &["doctor"]);
    for words in ["ok      program", "ok      clock", "memory", "ok      key", "none pinned yet: `pair`", "doubt   link"] {
        assert!(alone.fine().out.contains(words), "no `{words}`: {}", alone.out);
    }
    let address = format!("127.0.0.1:{}", world.port);
    let refused = world.run(Side::Owner, &["doctor", "--listen", &address]);
    refused.failed_with_data(11, "`pair` on both sides");
    assert!(refused.out.contains("FAILED  peer"), "{}", refused.out);
    // Both sides at once, as before a run.
    world.pair(Side::Owner);
    world.jobs(|_, _| {});
    let started = SIDES.map(|side| world.start(side, &["doctor", "--job", "job.toml"]));
    for ended in started.map(|program| program.ended(HANG)) {
        let words = ["ok      job", "task logistic", "the peer's key is the pinned one", "round trip"];
        assert!(words.iter().all(|words| ended.fine().out.contains(words)), "{}", ended.out);
    }
    let nobody = world.run(Side::Owner, &["doctor", "--job", "job.toml", "--connect-timeout", "1"]);
    nobody.failed_with_data(10, "start the other side's program");
    // A home without a key.
    let bare = run(Side::Partner, &["doctor"]);
    bare.failed_with_data(2, "run `init` first");
}

#[test]
fn events_are_one_json_object_a_line() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, _| {});
    let run = |side| {
        world.sign(side, "job.toml");
        world.start(side, &["run", "--job", "job.toml", "--events", "jsonl", "--connect-timeout", "20"])
    };
    for ended in SIDES.map(run).map(|program| program.ended(HANG)) {
        let events: Vec<serde_json::Value> = ended.fine().err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(events.iter().all(|event| event["side"] == ended.side.name() && event["time"].as_str().unwrap().ends_with('Z')));
        let of = |kind: &str| -> Vec<&str> {
            events.iter().filter(|event| event["event"] == kind).map(|event| event["stage"].as_str().unwrap()).collect()
        };
        let mut stages = of("stage");
        // The sample that decides on the minimum is a stage of the matching.
        stages.dedup();
        assert_eq!(stages, ["reading", "matching", "training", "evaluation"]);
        assert_eq!(of("done"), of("stage"));
        assert!(events.iter().any(|event| event["event"] == "note"));
    }
}

#[test]
fn wrong_words_end_with_exit_code_2() {
    for side in SIDES {
        for arguments in [
            &["trian"][..],
            &["run"],
            &["score"],
            &["run", "--job", "x", "--idle-timeout", "0"],
            &["pair"],
            &["pair", "--listen", "a:1", "--dial", "b:1"],
            &["demo", "--rows", "3"],
            &["bench", "training", "--rate", "1"],
            &[],
        ] {
            let ended = run(side, arguments);
            assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
            assert!(ended.out.is_empty() && !ended.err.is_empty(), "{arguments:?}");
        }
    }
    let range = run(Side::Owner, &["rehearse", "--owner", "o", "--partner", "p", "--id", "i", "--label", "l", "--logit-range", "8"]);
    assert!(range.code == Some(2) && range.err.contains("such as -12,8"), "{}", range.err);
}

#[test]
fn the_partners_program_leaves_demo_and_rehearse_to_the_owners() {
    for arguments in [&["demo"][..], &["rehearse", "--owner", "o", "--partner", "p", "--id", "i", "--label", "l"]] {
        run(Side::Partner, arguments).failed(&[2], &[&format!("colift-owner {}", arguments[0])], arguments[0]);
    }
}

#[test]
fn the_example_jobs_are_read_and_stop_at_the_keys_only() {
    let _machine = together();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/jobs");
    let world = World::unpaired();
    let jobs = crate::world::names(&folder);
    assert_eq!(
        jobs,
        [
            "decide-owner.toml",
            "decide-partner.toml",
            "overlap.toml",
            "owner.toml",
            "partner.toml",
            "score-owner.toml",
            "score-partner.toml"
        ],
        "a new example needs its side here"
    );
    let examples: [(&str, &str, &[Side]); 7] = [
        ("decide-owner.toml", "score", &[Side::Owner]),
        ("decide-partner.toml", "score", &[Side::Partner]),
        ("overlap.toml", "run", &SIDES),
        ("owner.toml", "run", &[Side::Owner]),
        ("partner.toml", "run", &[Side::Partner]),
        ("score-owner.toml", "score", &[Side::Owner]),
        ("score-partner.toml", "score", &[Side::Partner]),
    ];
    for (job, command, sides) in examples {
        let path = folder.join(job);
        for side in sides {
            // The examples' fingerprints are nobody's.
            let ended = world.run(*side, &[command, "--job", path.to_str().unwrap()]);
            ended.failed(&[11], &[&format!("the job names another key for the {side}"), world.print(*side)], job);
            // With this home's keys in the two lines, it stops at the peer, who is not pinned.
            let mut text = std::fs::read_to_string(&path).unwrap();
            let table: toml::Table = text.parse().unwrap();
            for peer in SIDES {
                text = text.replace(table["shared"]["peers"][peer.name()].as_str().unwrap(), world.print(peer));
            }
            let copy = world.place(*side).join("copy.toml");
            std::fs::write(&copy, text).unwrap();
            world.run(*side, &[command, "--job", "copy.toml"]).failed(&[11], &["is not pinned here"], job);
            world.left_nothing(*side, job);
        }
    }
    // Owner's and partner's example agree on everything that both sign.
    let shared = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap().parse::<toml::Table>().unwrap()["shared"].clone();
    assert_eq!(shared("owner.toml"), shared("partner.toml"));
    assert_eq!(shared("score-owner.toml"), shared("score-partner.toml"));
    assert_eq!(shared("decide-owner.toml"), shared("decide-partner.toml"));
}
