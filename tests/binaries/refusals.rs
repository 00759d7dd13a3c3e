//! What either side refuses, with its exit code, its words, and nothing left behind: keys, jobs, data, sizes, an absent peer.

use crate::world::{HANG, Program, SIDES, World, names, overlap_only, program, set, synthetic, together};
use colift::data::Side;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use toml::Value;

/// Sets a key on one side only.
fn on(side: Side, key: &'static str, value: impl Into<Value> + Clone) -> impl Fn(Side, &mut toml::Table) {
    move |own, job| {
        if own == side {
            set(job, key, value.clone());
        }
    }
}

/// Ends both runs and holds their codes and words; nothing may be left.
fn both_refuse(world: &World, codes: [i32; 2], words: [&[&str]; 2], about: &str) {
    for (ended, (code, words)) in world.run_both(&[]).iter().zip(codes.into_iter().zip(words)) {
        ended.failed(&[code], words, about);
        assert!(ended.took < Duration::from_secs(30), "{about}: the {} took {:?}", ended.side, ended.took);
        world.left_nothing(ended.side, about);
    }
}

#[test]
fn a_contract_that_is_not_signed_or_was_changed_since_does_not_run() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, _| {});
    // Signed as it was: another number makes another contract.
    let job = world.place(Side::Owner).join("job.toml");
    let text = std::fs::read_to_string(&job).unwrap();
    std::fs::write(&job, text.replace("min_overlap = 100", "min_overlap = 101")).unwrap();
    let refused = world.run(Side::Owner, &["run", "--job", "job.toml"]);
    refused.failed(&[12], &["is not signed on this side", "colift-owner sign"], "a changed contract");
    // Without a terminal nobody can be asked; what would be signed is shown all the same.
    let asked = world.run(Side::Owner, &["sign", "job.toml"]);
    asked.failed(&[2], &["no terminal", "--yes", "own_weights: each side learns", "at least 101 shared users"], "nobody to ask");
    let signed = world.run(Side::Owner, &["sign", "job.toml", "--yes"]);
    assert!(signed.fine().out.starts_with("signed: ") && signed.out.trim().len() == 8 + 64, "{}", signed.out);
    // Both have signed, but not the same.
    let [owner, partner] = world.run_both(&[]);
    owner.failed(&[12], &["min_overlap", "101", "100"], "two contracts");
    partner.failed(&[12], &["min_overlap", "101", "100"], "two contracts");
    for side in SIDES {
        world.left_nothing(side, "unsigned");
    }
}

#[test]
fn keys_that_are_not_pinned_on_both_sides_are_refused() {
    let _machine = together();
    // Nothing pinned: refused before the network.
    let world = World::unpaired();
    world.jobs(|_, _| {});
    both_refuse(&world, [11, 11], [&["is not pinned here", "`pair`"], &["is not pinned here"]], "unpinned");

    // A job with another key for this side than its own home holds.
    let stranger = World::unpaired();
    world.pair(Side::Owner);
    world.jobs(on(Side::Partner, "shared.peers.partner", stranger.print(Side::Partner)));
    world.run(Side::Partner, &["run", "--job", "job.toml"]).failed(&[11], &["another key for the partner"], "another own key");

    // The peer runs with another home than the pinned one: both programs see the mix-up.
    let other = World::unpaired();
    let mut command =
        other.command(Side::Partner, &["pair", "--dial", &format!("127.0.0.1:{}", other.port), "--expect", world.print(Side::Owner)]);
    command.env("COLIFT_HOME", other.home(Side::Partner));
    let met = Program::start(Side::Partner, command);
    let mut command = world.command(
        Side::Owner,
        &["pair", "--listen", &format!("127.0.0.1:{}", other.port), "--expect", other.print(Side::Partner), "--name", "other"],
    );
    command.env("COLIFT_HOME", world.home(Side::Owner));
    Program::start(Side::Owner, command).ended(HANG).fine();
    met.ended(HANG).fine();
    world.jobs(|side, job| {
        if side == Side::Partner {
            set(job, "shared.peers.partner", other.print(Side::Partner));
        }
    });
    let at_the_other_home = |arguments: &[&str]| {
        let mut command = world.command(Side::Partner, arguments);
        command.env("COLIFT_HOME", other.home(Side::Partner));
        Program::start(Side::Partner, command)
    };
    at_the_other_home(&["sign", "job.toml", "--yes"]).ended(HANG).fine();
    let owner = world.start_run(Side::Owner, &[]);
    let partner = at_the_other_home(&["run", "--job", "job.toml", "--connect-timeout", "20"]);
    owner.ended(HANG).failed(&[11], &["the peer showed key", "by phone"], "another key at the peer");
    partner.ended(HANG).failed(&[11], &["refused our key"], "our key is another than pinned");

    // Revoked on one side: that side refuses; the other finds nobody.
    let revoked = world.run(Side::Owner, &["peers", "--revoke", "partner"]);
    assert_eq!(revoked.fine().err.trim(), "revoked \"partner\"");
    let listed = world.run(Side::Owner, &["peers"]);
    assert!(listed.fine().out.lines().any(|line| line.starts_with("partner\t") && line.ends_with("\trevoked")), "{}", listed.out);
    world.jobs(|_, _| {});
    world.run(Side::Owner, &["run", "--job", "job.toml"]).failed(&[11], &["was revoked"], "revoked");
    world.start_run(Side::Partner, &["--connect-timeout", "1"]).ended(HANG).failed(&[10], &["was not reached within 1 s"], "nobody there");
    for side in SIDES {
        world.left_nothing(side, "keys");
    }
}

#[test]
fn pairing_refuses_another_fingerprint_and_loose_modes() {
    let _machine = together();
    let world = World::unpaired();
    let address = format!("127.0.0.1:{}", world.port);
    let wrong = "ab".repeat(32);
    let owner = world.start(Side::Owner, &["pair", "--listen", &address, "--expect", &wrong]);
    let partner = world.start(Side::Partner, &["pair", "--dial", &address, "--expect", world.print(Side::Owner)]);
    owner.ended(HANG).failed(&[11], &["you did not agree: nothing was pinned"], "another fingerprint");
    partner.ended(HANG).failed(&[11], &["the other person did not agree: nothing was pinned"], "another fingerprint");
    for side in SIDES {
        assert_eq!(world.run(side, &["peers"]).fine().out, "", "nothing was pinned");
        world.run(side, &["init"]).failed(&[2], &["it is not overwritten"], "a second init");
        world.run(side, &["pair", "--listen", &address]).failed(&[2], &["no terminal", "--expect"], "nobody to ask");
    }
    use std::os::unix::fs::PermissionsExt;
    let key = world.home(Side::Owner).join("identity.pkcs8");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    world.run(Side::Owner, &["pair", "--listen", &address, "--expect", &wrong]).failed(&[2], &["mode 0640", "chmod 600"], "a loose mode");
}

#[test]
fn jobs_that_differ_name_the_field_on_both_sides() {
    let _machine = together();
    let world = World::new();
    let fields: [(&str, Value, &str); 6] = [
        ("shared.l2", 0.01.into(), "l2"),
        ("shared.min_overlap", 101.into(), "min_overlap"),
        ("shared.max_rows.partner", 999.into(), "max_rows.partner"),
        ("shared.logit_range", vec![-6.0, 6.0].into(), "logit_range"),
        ("shared.name", "other".into(), "name"),
        ("shared.reveal", vec!["overlap_to_both", "split_to_partner", "own_weights", "converged_and_in_range"].into(), "reveal"),
    ];
    for (key, value, named) in fields {
        world.jobs(on(Side::Partner, key, value));
        let words = [named, "the shared parts of the two job files differ"];
        both_refuse(&world, [12, 12], [&words, &words], named);
    }
    world.jobs(|side, job| {
        if side == Side::Owner {
            overlap_only(job);
        }
    });
    both_refuse(&world, [12, 12], [&["`task` is \"overlap\" here"], &["`task` is \"logistic\" here"]], "task");
}

#[test]
fn too_few_common_users_end_both_sides_without_a_row_revealed() {
    let _machine = together();
    let world = World::new();
    // The overlap is listed, so the number may be told.
    world.jobs(|_, job| set(job, "shared.min_overlap", 504));
    let words: &[&str] = &["503 users are common", "at least 504", "no row was revealed"];
    both_refuse(&world, [14, 14], [words, words], "min_overlap");
    world.jobs(|_, job| {
        overlap_only(job);
        set(job, "shared.min_overlap", 600);
    });
    both_refuse(&world, [14, 14], [&["at least 600"], &["at least 600"]], "min_overlap of an overlap job");
}

#[test]
fn a_logit_range_too_narrow_ends_both_sides_without_a_model() {
    let _machine = together();
    let world = World::new();
    // The base logit of 20-50 % is -0.69; the case's logits reach from -3 to 3.
    world.jobs(|_, job| {
        set(job, "shared.logit_range", vec![-2.0, 2.0]);
        set(job, "shared.l2", 1e-8);
        // Further steps would widen it.
        set(job, "shared.max_extra_steps", 0);
    });
    let words: &[&str] = &["predictors left the range", "after 0 further steps", "no model was opened", "max_extra_steps"];
    both_refuse(&world, [15, 15], [words, words], "logit_range");
}

#[test]
fn more_rows_than_agreed_are_refused() {
    let _machine = together();
    let world = World::new();
    // Our own file is over: refused before the network; the peer finds nobody.
    world.jobs(|_, job| set(job, "shared.max_rows.owner", 600));
    world.run(Side::Owner, &["run", "--job", "job.toml"]).failed(&[17], &["611 rows", "600", "max_rows"], "own rows");
    world.left_nothing(Side::Owner, "own rows");
    world.jobs(|_, job| set(job, "shared.max_rows.partner", 652));
    world.run(Side::Partner, &["run", "--job", "job.toml"]).failed(&[17], &["653 rows", "652", "max_rows"], "own rows");
    world.left_nothing(Side::Partner, "own rows");
}

#[test]
fn an_absent_peer_ends_the_wait_in_time() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, _| {});
    for (side, words) in [(Side::Owner, "listening on 127.0.0.1"), (Side::Partner, "was not reached within 1 s")] {
        let ended = world.start_run(side, &["--connect-timeout", "1"]).ended(HANG);
        ended.failed(&[10], &[words, "try: "], "nobody there");
        assert!(ended.took < Duration::from_secs(6), "{:?}", ended.took);
        world.left_nothing(side, "nobody there");
    }
    // The port is taken.
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, world.port)).unwrap();
    world.start_run(Side::Owner, &[]).ended(HANG).failed(&[2], &["listening on", "choose a free port"], "port taken");
    world.left_nothing(Side::Owner, "port taken");
}

#[test]
fn two_programs_of_one_side_name_the_mix_up() {
    let _machine = together();
    let world = World::new();
    world.jobs(|_, _| {});
    let owner = world.start_run(Side::Owner, &[]);
    // The owner's program with the partner's key and job.
    let mut command = Command::new(program(Side::Owner));
    command.current_dir(world.place(Side::Partner)).env("COLIFT_HOME", world.home(Side::Partner));
    command.args(["run", "--job", "job.toml"]);
    let ended = Program::start(Side::Partner, command).ended(HANG);
    // Its job names the partner's key for the partner, and this program is an owner's.
    ended.failed(&[11], &["the job names another key for the owner"], "the wrong program");
    drop(owner);
}

/// Replaces the committed file of a side by lines made from its own.
fn with_lines(world: &World, side: Side, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = std::fs::read_to_string(synthetic(side)).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    std::fs::write(world.place(side).join("data.csv"), lines.join("\n") + "\n").unwrap();
}

/// Sets a cell of a line, the header being line 0.
fn cell(lines: &mut [String], line: usize, column: &str, value: &str) {
    let at = lines[0].split(',').position(|name| name == column).unwrap();
    let mut cells: Vec<&str> = lines[line].split(',').collect();
    cells[at] = value;
    lines[line] = cells.join(",");
}

#[test]
fn bad_data_are_refused_before_any_network_byte() {
    let _machine = together();
    let world = World::new();
    // Where the peer would be: either side dials, and nobody may come.
    let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    peer.set_nonblocking(true).unwrap();
    let address = peer.local_addr().unwrap().to_string();
    type Change = fn(&mut Vec<String>);
    let both: [(&str, Change, &[&str]); 7] = [
        (
            "repeated id",
            |lines| {
                let id = lines[9].split(',').next().unwrap().to_uppercase();
                cell(lines, 300, "id", &id)
            },
            &["1 of ", "repeats the id", "column `id`", "row 300"],
        ),
        ("empty id", |lines| cell(lines, 17, "id", " "), &["ids is empty", "row 17"]),
        ("id of another kind", |lines| cell(lines, 41, "id", "secret-name-without-a-host"), &["not of kind email", "row 41"]),
        (
            "text",
            |lines| {
                for row in [5, 8] {
                    let last = lines[row].rfind(',').unwrap();
                    lines[row].truncate(last);
                    lines[row].push_str(",seven");
                }
            },
            &["2 cells are not numbers", "row 5"],
        ),
        (
            "too large",
            |lines| {
                let last = lines[99].rfind(',').unwrap();
                lines[99].truncate(last);
                lines[99].push_str(",1e101");
            },
            &["1 cell is beyond", "row 99"],
        ),
        (
            "infinite",
            |lines| {
                let last = lines[98].rfind(',').unwrap();
                lines[98].truncate(last);
                lines[98].push_str(",-inf");
            },
            &["1 cell is infinite", "row 98"],
        ),
        (
            "cut row",
            |lines| {
                let last = lines[50].rfind(',').unwrap();
                lines[50].truncate(last);
            },
            &["not as many fields as the header", "row 50"],
        ),
    ];
    let owner: [(&str, Change, &[&str]); 6] = [
        ("no label", |lines| lines[0] = lines[0].replace("label", "lable"), &["label"]),
        ("empty label", |lines| cell(lines, 7, "label", ""), &["1 of 611 labels is not 0 or 1", "row 7"]),
        ("label 2", |lines| cell(lines, 7, "label", "2"), &["1 of 611 labels is not 0 or 1", "row 7"]),
        ("split", |lines| cell(lines, 70, "split", "validate"), &["neither train nor test", "row 70"]),
        (
            "leak",
            |lines| {
                for row in 1..lines.len() {
                    let label = lines[row].split(',').nth(2).unwrap().to_owned();
                    cell(lines, row, "orders", &label)
                }
            },
            &["orders", "AUC"],
        ),
        (
            "one class",
            |lines| {
                for row in 1..lines.len() {
                    cell(lines, row, "label", "0")
                }
            },
            &["label"],
        ),
    ];
    let cases = SIDES.into_iter().flat_map(|side| both.map(|case| (side, case))).chain(owner.map(|case| (Side::Owner, case)));
    for (side, (about, change, words)) in cases {
        with_lines(&world, side, change);
        world.job(side, |job| {
            set(job, "private.data", "data.csv");
            set(job, "private.link", toml::Table::from_iter([("dial".to_owned(), Value::from(address.clone()))]));
        });
        let ended = world.start_run(side, &[]).ended(HANG);
        ended.failed(&[13], words, &format!("{about} at the {side}"));
        assert!(ended.err.contains("where: "), "{about}: {}", ended.err);
        for secret in ["secret-name", "seven", "@example"] {
            assert!(!ended.err.contains(secret), "{about}: the message holds what it must not");
        }
        assert!(peer.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{about}: the peer was dialled");
        world.left_nothing(side, about);
    }
    // Files that are not what the job says.
    for (about, key, value, words) in
        [("no file", "private.data", "absent.csv", "absent.csv"), ("no id column", "private.id", "user", "user")]
    {
        world.job(Side::Partner, |job| {
            set(job, "private.link", toml::Table::from_iter([("dial".to_owned(), Value::from(address.clone()))]));
            set(job, key, value);
        });
        world.start_run(Side::Partner, &[]).ended(HANG).failed(&[13], &[words], about);
        assert!(peer.accept().is_err(), "{about}: the peer was dialled");
        world.left_nothing(Side::Partner, about);
    }
}

#[test]
fn jobs_that_cannot_be_read_name_the_key_and_what_to_write() {
    let _machine = together();
    let world = World::new();
    type Change = fn(&mut toml::Table);
    let cases: [(&str, Change, &[&str]); 8] = [
        ("unknown key", |job| set(job, "shared.min_overlp", 7), &["min_overlp", "min_overlap"]),
        ("unknown private key", |job| set(job, "private.dta", "x"), &["dta", "data"]),
        ("wrong table", |job| set(job, "private.l2", 0.1), &["l2", "[shared]"]),
        ("wrong type", |job| set(job, "shared.l2", "much"), &["l2"]),
        ("l2 out of range", |job| set(job, "shared.l2", 100.0), &["l2 is 100", "allowed"]),
        ("reveal too short", |job| set(job, "shared.reveal", vec!["overlap_to_both"]), &["own_weights", "reveal"]),
        ("unknown item", |job| set(job, "shared.reveal", vec!["everything"]), &["everything"]),
        ("link", |job| set(job, "private.link", toml::Table::new()), &["link", "dial"]),
    ];
    for side in SIDES {
        for (about, change, words) in cases {
            world.job(side, change);
            world.start_run(side, &[]).ended(HANG).failed(&[2], words, about);
            world.left_nothing(side, about);
        }
        std::fs::write(world.place(side).join("job.toml"), "[shared\nname = 1").unwrap();
        world.start_run(side, &[]).ended(HANG).failed(&[2], &["not valid TOML", "line 1"], "no TOML");
        world.run(side, &["run", "--job", "none.toml"]).failed(&[2], &["none.toml", "cannot be read"], "no job file");
        let fresh = Path::new("fresh-home");
        world.job(side, |_| {});
        let mut command = world.command(side, &["run", "--job", "job.toml"]);
        command.env("COLIFT_HOME", fresh);
        Program::start(side, command).ended(HANG).failed(&[2], &["no identity key yet", "`init`"], "no key");
        assert_eq!(names(&world.place(side)), ["job.toml"], "something was written");
    }
}
