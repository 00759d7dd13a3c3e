//! Matching as people set it up: a cascade of keys, and the ledger of runs with one peer.

use crate::world::{Ended, SIDES, World, list, names, overlap_only, results, set, synthetic};
use colift::data::Side;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

/// The committed case with each e-mail address in one of two columns, or in both, as `place` says for its number.
fn split_keys(side: Side, place: impl Fn(u64) -> [bool; 2]) -> String {
    let text = std::fs::read_to_string(synthetic(side)).unwrap();
    let line = |(number, line): (usize, &str)| {
        let (id, rest) = line.split_once(',').unwrap();
        if number == 0 {
            return format!("mail,second,{rest}\n");
        }
        let digits = id.chars().filter(char::is_ascii_digit).fold(0u64, |sum, digit| sum * 10 + u64::from(digit) - 48);
        let cells = place(digits).map(|there| if there { id } else { "" });
        format!("{},{},{rest}\n", cells[0], cells[1])
    };
    text.lines().enumerate().map(line).collect()
}

#[test]
fn a_cascade_matches_by_the_next_key_where_the_first_is_missing() {
    let world = World::new();
    // The owner lacks the first key of every third user, the partner of every second: the second key finds them.
    let owner = split_keys(Side::Owner, |n| [n % 3 != 0, n % 3 == 0 || n % 2 == 0]);
    let partner = split_keys(Side::Partner, |n| [n % 2 != 0, n % 2 == 0 || n % 3 == 0]);
    for (side, text) in [(Side::Owner, &owner), (Side::Partner, &partner)] {
        std::fs::write(world.place(side).join("keys.csv"), text).unwrap();
    }
    // The plain joins, one after the other.
    let rows = |text: &str| -> Vec<[String; 2]> {
        text.lines().skip(1).map(|line| line.split(',').take(2).map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()).collect()
    };
    let (ours, mut theirs, mut passes) = (rows(&owner), rows(&partner), [0usize; 2]);
    let mut open = ours.clone();
    for (key, count) in passes.iter_mut().enumerate() {
        let index: BTreeMap<String, usize> = theirs.iter().enumerate().map(|(row, keys)| (keys[key].clone(), row)).collect();
        let found: Vec<(usize, usize)> = open
            .iter()
            .enumerate()
            .filter(|(_, keys)| !keys[key].is_empty())
            .filter_map(|(row, keys)| index.get(&keys[key]).map(|other| (row, *other)))
            .collect();
        *count = found.len();
        for (row, other) in found {
            (open[row], theirs[other]) = (Default::default(), Default::default());
        }
    }
    world.jobs(|_, table| {
        set(table, "private.data", "keys.csv");
        table["private"].as_table_mut().unwrap().remove("id");
        table["shared"].as_table_mut().unwrap().remove("id_kind");
        set(table, "private.keys", vec!["mail", "second"]);
        set(table, "shared.keys", vec!["email", "opaque"]);
    });
    let ended = world.run_both(&[]);
    for ended in &ended {
        ended.fine();
        assert!(ended.err.contains(&format!("matched {} by email, {} by opaque", passes[0], passes[1])), "{}", ended.err);
        let report = std::fs::read_to_string(results(&world, ended.side, ended).join("report.json")).unwrap();
        assert!(report.contains(&format!("\"matched\":{}", passes[0] + passes[1])), "{report}");
    }
    assert!(passes.iter().all(|count| *count > 50), "{passes:?}");
    // Other orders are another contract.
    world.job(Side::Partner, |table| {
        set(table, "private.data", "keys.csv");
        table["private"].as_table_mut().unwrap().remove("id");
        table["shared"].as_table_mut().unwrap().remove("id_kind");
        set(table, "private.keys", vec!["second", "mail"]);
        set(table, "shared.keys", vec!["opaque", "email"]);
    });
    for ended in world.run_both(&[]) {
        ended.failed(&[12], &["`keys`"], "another order");
    }
}

/// The owner's file without its last rows.
fn shorter(world: &World, rows: usize) {
    let text = std::fs::read_to_string(synthetic(Side::Owner)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let kept = &lines[..lines.len() - rows];
    std::fs::write(world.place(Side::Owner).join("some.csv"), kept.join("\n") + "\n").unwrap();
}

fn overlap_jobs(world: &World, ledger: Option<(i64, &str)>) {
    world.jobs(|side, table| {
        overlap_only(table);
        if side == Side::Owner {
            set(table, "private.data", "some.csv");
            if let Some((difference, what)) = ledger {
                let terms = toml::Table::from_iter([
                    ("min_difference".to_owned(), difference.into()),
                    ("on_small_difference".to_owned(), what.into()),
                ]);
                set(table, "private.ledger", terms);
            }
        }
    });
}

fn both(world: &World) -> [Ended; 2] {
    world.run_both(&[])
}

#[test]
fn a_set_close_to_an_earlier_one_is_refused_before_the_peer_is_met() {
    let world = World::new();
    shorter(&world, 0);
    overlap_jobs(&world, None);
    both(&world).iter().for_each(|ended| assert_eq!(ended.fine().code, Some(0)));
    // The same set again says nothing new; nineteen users fewer do.
    both(&world).iter().for_each(|ended| assert_eq!(ended.fine().code, Some(0)));
    shorter(&world, 19);
    let ledger = || {
        let files = list(&world.home(Side::Owner));
        let file = files.iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("ledger-")).unwrap();
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(file).unwrap()
    };
    let before = ledger();
    let refused = world.start_run(Side::Owner, &["--connect-timeout", "1"]).ended(crate::world::HANG);
    refused.failed(&[18], &["19 users are in only one", "on_small_difference"], "nineteen fewer");
    assert_eq!(ledger(), before, "a refused run is not noted");
    assert!(!before.contains('@') && names(&world.home(Side::Owner)).contains(&"ledger.key".to_owned()));
    // A person may say otherwise: then it is warned about, and noted.
    overlap_jobs(&world, Some((20, "warn")));
    let [owner, partner] = both(&world);
    owner.fine();
    partner.fine();
    assert!(owner.err.contains("warning: 19 users are in only one"), "{}", owner.err);
    assert_ne!(ledger(), before);
    // Twenty and more are another set; a smaller k asks less; the partner's own set never changed.
    overlap_jobs(&world, Some((5, "refuse")));
    shorter(&world, 25);
    both(&world).iter().for_each(|ended| assert_eq!(ended.fine().code, Some(0)));
    for side in SIDES {
        assert!(list(&world.home(side)).iter().any(|path| path.to_str().unwrap().contains("ledger-")), "{side}");
    }
}

#[test]
fn runs_of_one_set_end_at_the_contracts_limit_whatever_the_contract() {
    let world = World::new();
    shorter(&world, 0);
    let jobs = |name: &str, most: i64, least: i64| {
        world.jobs(|side, table| {
            overlap_only(table);
            set(table, "shared.name", name);
            set(table, "shared.max_runs_per_set", most);
            set(table, "shared.min_set_difference", least);
            if side == Side::Owner {
                set(table, "private.data", "some.csv");
                // Looser than the contract: without effect.
                let terms = toml::Table::from_iter([("min_difference".to_owned(), 0.into())]);
                set(table, "private.ledger", terms);
            }
        });
    };
    let refused = |which: Side, words: &[&str], about: &str| {
        let ended = both(&world);
        ended[which as usize].failed(&[18], words, about);
        ended[which.peer() as usize].failed(&[10, 18], &["error[E"], about);
        for side in SIDES {
            assert!(!world.left(side).iter().any(|path| path.display().to_string().contains("partial")), "{about}");
        }
        ended
    };
    jobs("first", 2, 30);
    both(&world).iter().for_each(|ended| assert_eq!(ended.fine().code, Some(0)));
    // Another contract, the same set: it counts on.
    jobs("second", 2, 30);
    both(&world).iter().for_each(|ended| assert_eq!(ended.fine().code, Some(0)));
    let table = world.run(Side::Owner, &["peers", "--runs"]);
    let line = table.fine().out.lines().nth(1).unwrap().to_owned();
    for words in ["partner ", " 611 ", "2 of 2", "2 overlap", " 30 "] {
        assert!(line.contains(words), "no `{words}`: {}", table.out);
    }
    let counted = std::fs::read(ledger_of(&world)).unwrap();
    jobs("third", 2, 30);
    let ended = both(&world);
    assert!(ended.iter().any(|ended| ended.code == Some(18)), "{ended:?}");
    for ended in &ended {
        ended.failed(&[10, 18], &[], "a third run");
        assert!(ended.code == Some(10) || ended.err.contains("this set of ids has had 2 runs with this peer"), "{}", ended.err);
        assert!(ended.code == Some(18) || ended.err.contains("a rule of the other side refuses this run"), "{}", ended.err);
    }
    assert_eq!(std::fs::read(ledger_of(&world)).unwrap(), counted, "a refused run is not noted");
    // More may be agreed on. A few users fewer are refused by the contract, and the peer hears it.
    jobs("fourth", 9, 30);
    shorter(&world, 29);
    refused(Side::Owner, &["E0482", "29 users are in only one", "min_set_difference"], "29 fewer");
    shorter(&world, 0);
    both(&world).iter().for_each(|ended| assert_eq!(ended.fine().code, Some(0)));
    // A damaged ledger is named.
    std::fs::write(ledger_of(&world), "{\"schema\":2").unwrap();
    let ended = world.start_run(Side::Owner, &[]).ended(crate::world::HANG);
    ended.failed(&[2], &["E0441", "ledger-", "is damaged"], "a damaged ledger");
    world.run(Side::Owner, &["peers", "--runs"]).failed_with_data(2, "E0441");
}

/// A run that is killed as soon as anything of its set may have been sent has been counted.
#[test]
fn a_killed_run_has_been_counted() {
    let world = World::new();
    world.jobs(|_, table| {
        overlap_only(table);
        set(table, "shared.max_runs_per_set", 1);
    });
    let [owner, partner] = SIDES.map(|side| world.start_run(side, &[]));
    owner.wait_for("matching begins");
    owner.signal(nix::sys::signal::Signal::SIGKILL);
    owner.ended(crate::world::HANG);
    partner.ended(crate::world::HANG);
    let table = world.run(Side::Owner, &["peers", "--runs"]);
    assert!(table.fine().out.contains("1 of 1"), "{}", table.out);
    let [owner, _] = both(&world);
    owner.failed(&[10, 18], &["error[E"], "the run after the killed one");
    assert_eq!(world.run(Side::Owner, &["peers", "--runs"]).fine().out, table.out);
}

/// The owner's ledger of its one peer.
fn ledger_of(world: &World) -> std::path::PathBuf {
    let ledger = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("ledger-");
    list(&world.home(Side::Owner)).into_iter().find(ledger).unwrap()
}

#[test]
fn both_programs_verify_their_vectors_and_find_a_flipped_byte() {
    let world = World::unpaired();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let copy = world.place(Side::Owner).join("vectors");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        let to = copy.join(folder.strip_prefix(&source).unwrap());
        std::fs::create_dir_all(&to).unwrap();
        for path in list(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    for side in SIDES {
        let ended = world.run(side, &["verify"]);
        assert!(ended.fine().out.trim_end().ends_with(", 0 failed") && ended.out.contains("RFC 9496"), "{}", ended.out);
        let ended = world.run(side, &["verify", "--json", "--vectors", copy.to_str().unwrap()]);
        let result: serde_json::Value = serde_json::from_str(&ended.fine().out).unwrap();
        assert!(result["failed"] == 0 && result["cases"].as_u64().unwrap() > 300, "{result}");
    }
    let file = copy.join("rfc9380/v1/expand_message_xmd_sha512.json");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(8).position(|window| window == b"6b9a7312").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let ended = world.run(Side::Partner, &["verify", "--vectors", copy.to_str().unwrap()]);
    assert_eq!(ended.code, Some(30), "{ended:?}");
    assert!(ended.err.contains("rfc9380/v1/expand_message_xmd_sha512.json, MANIFEST") && ended.out.contains("1 FAILED"), "{ended:?}");
    assert_eq!(world.run(Side::Owner, &["verify", "--vectors", "nowhere"]).code, Some(2));
}
