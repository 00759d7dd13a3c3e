//! Runs that are killed: `resume` goes on after the finished phases, `status` and `cancel` know them, a state that was put back is refused.

use crate::world::{Ended, HANG, Program, SIDES, World, list, overlap_only, results, set, together};
use colift::data::Side;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Number of killed runs; 100 takes some minutes.
const KILLS_VARIABLE: &str = "COLIFT_KILLS";
const KILLS: usize = 6;
/// When a side is killed: after it said this, and up to so many milliseconds later.
const MOMENTS: [(&str, u64); 6] = [
    ("training begins", 1200),
    ("matching begins", 60),
    ("evaluation begins", 30),
    ("training begins", 300),
    ("peer connected", 10),
    ("reading begins", 20),
];

fn with_errors(world: &World) {
    world.jobs(|_, table| {
        let items = [
            "overlap_to_both",
            "split_to_partner",
            "own_weights",
            "own_standard_errors",
            "scores_to_owner",
            "metrics_to_owner",
            "converged_and_in_range",
        ];
        set(table, "shared.reveal", items.to_vec());
    });
}

fn resume(world: &World, side: Side) -> Program {
    world.start(side, &["resume", "--job", "job.toml", "--lines", "--connect-timeout", "20", "--idle-timeout", "5"])
}

/// The state of a side's only unfinished run.
fn state(world: &World, side: Side) -> Option<Value> {
    let found = list(&world.home(side).join("unfinished"));
    assert!(found.len() <= 1, "{found:?}");
    let text = fs::read_to_string(found.first()?.join("state.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn model(world: &World, ended: &Ended) -> Value {
    let text = fs::read_to_string(results(world, ended.side, ended).join("model.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value["coefficients"].as_object().unwrap().values().map(|weight| weight.as_f64().unwrap()).collect()
}

/// Standard errors of a side's weights, from its report.
fn errors(world: &World, ended: &Ended) -> Vec<f64> {
    let text = fs::read_to_string(results(world, ended.side, ended).join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let tests = &report[format!("{}_inference", ended.side)];
    tests.as_object().unwrap().values().map(|test| test["standard_error"].as_f64().unwrap()).collect()
}

fn finish(world: &World, programs: [Program; 2], about: &str) -> [Ended; 2] {
    programs.map(|program| {
        let ended = program.ended(HANG);
        assert_eq!(ended.code, Some(0), "{about}: the {} failed:\n{}\n{}", ended.side, ended.out, ended.err);
        assert!(world.home(ended.side).join("unfinished").exists());
        ended
    })
}

#[test]
fn runs_killed_at_every_phase_end_with_the_same_model_after_resume() {
    let _guard = together();
    let world = World::new();
    with_errors(&world);
    let whole = finish(&world, SIDES.map(|side| world.start_run(side, &[])), "uninterrupted");
    let reference = whole.each_ref().map(|ended| (numbers(&model(&world, ended)), errors(&world, ended)));
    let kills = std::env::var(KILLS_VARIABLE).ok().map_or(KILLS, |text| text.parse().unwrap());
    let (mut worst, mut kept, mut draw) = (0f64, [0; 3], 0x9e37_79b9u64);
    for kill in 0..kills {
        let (words, within) = MOMENTS[kill / 2 % MOMENTS.len()];
        let victim = SIDES[kill % 2];
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_millis((draw >> 33) % within);
        let about = format!("kill {kill}: the {victim}, {} ms after `{words}`", delay.as_millis());
        let programs = SIDES.map(|side| world.start_run(side, &[]));
        programs[victim as usize].wait_for(words);
        std::thread::sleep(delay);
        programs[victim as usize].signal(Signal::SIGKILL);
        let ended = programs.map(|program| program.ended(HANG));
        if ended[victim as usize].code == Some(0) {
            // It had ended before the signal came.
            continue;
        }
        let survived = &ended[victim.peer() as usize];
        assert!(matches!(survived.code, Some(0 | 10)), "{about}: the other side ended with {:?}:\n{}", survived.code, survived.err);
        let states = SIDES.map(|side| state(&world, side));
        let phases = |key: &str| states.each_ref().map(|state| state.as_ref().and_then(|state| state["agreed"][key].as_u64()).unwrap_or(0));
        let both = |[a, b]: [u64; 2]| a > 0 && a == b;
        let (matched, trained) = (both(phases("matching")), both(phases("training")));
        kept[usize::from(matched) + usize::from(matched && trained)] += 1;
        let before = trained.then(|| SIDES.map(|side| kept_weights(&world, side)));
        // Where a side had met nobody yet there is nothing to take up.
        let begun = states.iter().all(Option::is_some);
        let again = finish(&world, SIDES.map(|side| if begun { resume(&world, side) } else { world.start_run(side, &[]) }), &about);
        for (side, ended) in again.iter().enumerate() {
            assert_eq!(ended.err.contains("matching begins"), !matched, "{about}: the matching is done once:\n{}", ended.err);
            let weights = numbers(&model(&world, ended));
            if let Some(before) = &before {
                assert_eq!(weights, before[side], "{about}: a finished training keeps every bit");
            }
            let (first, errors) = &reference[side];
            for ((a, b), error) in weights.iter().zip(first).zip(errors) {
                worst = worst.max((a - b).abs() / error);
            }
            assert_eq!(list(&world.home(ended.side).join("unfinished")), Vec::<PathBuf>::new(), "{about}: nothing is kept after the end");
            let receipt = world.run(ended.side, &["receipt", "verify", results(&world, ended.side, ended).to_str().unwrap()]);
            assert_eq!(receipt.code, Some(0), "{about}: {}", receipt.err);
        }
        for side in SIDES {
            let partial = world.left(side).into_iter().filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('.')).count();
            assert_eq!(partial, 0, "{about}: no unfinished results are left");
        }
    }
    println!("{kills} kills; kept none, matching, training: {kept:?}; worst {worst:.4} standard errors");
    assert!(worst < 0.05, "{worst} standard errors from the uninterrupted run");
    assert!(kept[1] > 0, "{kept:?}: the training was cut at least once");
}

/// The weights that a side keeps of its finished training.
fn kept_weights(world: &World, side: Side) -> Vec<f64> {
    let folder = list(&world.home(side).join("unfinished")).remove(0);
    let kept: Value = serde_json::from_str(&fs::read_to_string(folder.join("training.json")).unwrap()).unwrap();
    kept["trained"][0]["coefficients"].as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).collect()
}

/// Starts both runs and kills the partner in the training.
fn cut_in_training(world: &World) -> [Ended; 2] {
    let programs = SIDES.map(|side| world.start_run(side, &[]));
    programs[Side::Partner as usize].wait_for("training begins");
    programs[Side::Partner as usize].signal(Signal::SIGKILL);
    programs.map(|program| program.ended(HANG))
}

#[test]
fn status_and_cancel_know_runs_at_work_and_ended_ones() {
    let _guard = together();
    let world = World::new();
    world.jobs(|_, _| ());
    assert_eq!(world.run(Side::Owner, &["status"]).fine().out.trim(), "no unfinished run");
    world.run(Side::Owner, &["cancel"]).failed(&[2], &["E0936"], "nothing to cancel");
    world.run(Side::Owner, &["resume", "--job", "job.toml"]).failed(&[2], &["E0514", "run"], "nothing to resume");

    // At work, waiting for its peer; cancelled by another process.
    let alone = world.start_run(Side::Owner, &["--connect-timeout", "60"]);
    alone.wait_for("reading done");
    std::thread::sleep(Duration::from_millis(300));
    let shown = world.run(Side::Owner, &["status"]).fine().out.clone();
    assert!(shown.contains("at work as process") && shown.contains("case with partner"), "{shown}");
    let json: Value = serde_json::from_str(&world.run(Side::Owner, &["status", "--json"]).fine().out).unwrap();
    assert_eq!((&json[0]["running"], &json[0]["name"], &json[0]["matching_kept"]), (&true.into(), &"case".into(), &false.into()));
    world.run(Side::Owner, &["resume", "--job", "job.toml"]).failed(&[2], &["E0513", "cancel"], "it runs");
    assert!(world.run(Side::Owner, &["cancel"]).fine().out.starts_with("cancelled: case"));
    alone.ended(HANG).failed(&[20], &["interrupted"], "cancelled");
    assert_eq!(world.run(Side::Owner, &["status"]).fine().out.trim(), "no unfinished run");

    // Killed: both know it; a new run on one side and a resumed one on the other do not meet.
    let ended = cut_in_training(&world);
    ended[0].failed(&[10], &["resume --job job.toml", "the matching is kept"], "the peer was killed");
    let shown = world.run(Side::Owner, &["status"]).fine().out.clone();
    assert!(shown.contains("ended early, the matching is kept") && shown.contains("run 1 attempt 1"), "{shown}");
    let (one, two) = (world.start_run(Side::Owner, &[]), resume(&world, Side::Partner));
    one.ended(HANG).failed(&[2], &["E0517", "begins a new run"], "one begins");
    two.ended(HANG).failed(&[2], &["E0517", "resumes a run"], "the other resumes");
    assert!(state(&world, Side::Partner).is_some() && state(&world, Side::Owner).is_some(), "nothing is lost by it");
    // Cancelled on one side: the other is told so, in words, and both begin anew.
    assert!(world.run(Side::Owner, &["cancel", "--job", "job.toml"]).fine().out.starts_with("cancelled"));
    assert_eq!(world.left(Side::Owner), Vec::<PathBuf>::new());
    for ended in world.run_both(&[]) {
        ended.fine();
        assert_eq!(list(&world.home(ended.side).join("unfinished")), Vec::<PathBuf>::new(), "a new run forgets the old one");
    }
}

#[test]
fn a_state_that_was_put_back_and_other_data_are_refused() {
    let _guard = together();
    let world = World::new();
    let copy = world.place(Side::Owner).join("data.csv");
    fs::copy(crate::world::synthetic(Side::Owner), &copy).unwrap();
    world.jobs(|side, table| {
        if side == Side::Owner {
            set(table, "private.data", copy.to_str().unwrap());
        }
    });
    cut_in_training(&world);
    let folder = list(&world.home(Side::Owner).join("unfinished")).remove(0);
    let files = ["state.json", "matching.bin"].map(|name| (folder.join(name), fs::read(folder.join(name)).unwrap()));

    // Other data than at the run's begin.
    let text = fs::read_to_string(&copy).unwrap();
    let end = text.trim_end().rfind(',').unwrap() + 1;
    fs::write(&copy, format!("{}0.25\n", &text[..end])).unwrap();
    let programs = SIDES.map(|side| resume(&world, side)).map(|program| program.ended(HANG));
    programs[0].failed(&[13], &["E0522"], "a cell is another");
    programs[1].failed(&[13, 10], &[], "the peer's data changed");
    fs::write(&copy, text).unwrap();

    // A second attempt, cut again; then the owner's folder is put back to the first.
    let programs = SIDES.map(|side| resume(&world, side));
    programs[1].wait_for("training begins");
    programs[1].signal(Signal::SIGKILL);
    drop(programs.map(|program| program.ended(HANG)));
    assert_eq!(state(&world, Side::Owner).unwrap()["agreed"]["attempt"], 2);
    for (path, content) in files {
        fs::write(path, content).unwrap();
    }
    for ended in SIDES.map(|side| resume(&world, side)).map(|program| program.ended(HANG)) {
        ended.failed(&[18], &["E0520", "attempt 1, where attempt 2 is known"], "put back");
    }
}

#[test]
fn an_overlap_is_taken_up_too() {
    let _guard = together();
    let world = World::new();
    world.jobs(|_, table| overlap_only(table));
    let programs = SIDES.map(|side| world.start_run(side, &[]));
    programs[0].wait_for("peer connected");
    programs[0].signal(Signal::SIGKILL);
    let ended = programs.map(|program| program.ended(HANG));
    assert_eq!(ended[0].code, None, "{:?}", ended[0]);
    // A side that is not agreed yet has left nothing to take up: then both begin anew.
    let begun = SIDES.iter().all(|side| state(&world, *side).is_some());
    for side in SIDES.map(|side| if begun { resume(&world, side) } else { world.start_run(side, &[]) }).map(|program| program.ended(HANG)) {
        side.fine();
        assert_eq!(list(&world.home(side.side).join("unfinished")), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_side_that_has_its_results_gives_its_part_once_more() {
    let _guard = together();
    let world = World::new();
    world.jobs(|_, _| ());
    // The partner is killed between its receipt and its last word; which of the two comes first is a matter of a moment.
    for _ in 0..30 {
        let programs = SIDES.map(|side| world.start_run(side, &[]));
        programs[1].wait_for("evaluation begins");
        let deadline = std::time::Instant::now() + HANG;
        let written = || world.left(Side::Partner).iter().any(|folder| folder.join("receipt.json").exists());
        while !written() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        programs[1].signal(Signal::SIGKILL);
        let [owner, partner] = programs.map(|program| program.ended(HANG));
        if let Some(kept) = state(&world, Side::Owner)
            && owner.code == Some(0)
            && partner.code.is_none()
        {
            assert!(owner.err.contains("did not say that its results are safe"), "{}", owner.err);
            assert_eq!(kept["finished"], true);
            assert!(world.run(Side::Owner, &["status"]).fine().out.contains("finished here"));
            let again = finish(&world, SIDES.map(|side| resume(&world, side)), "once more");
            assert_eq!(numbers(&model(&world, &again[0])), numbers(&model(&world, &owner)), "a finished training keeps every bit");
            assert!(!again[0].err.contains("training begins"));
            for side in SIDES {
                assert_eq!(list(&world.home(side).join("unfinished")), Vec::<PathBuf>::new());
            }
            return;
        }
        // Too early or too late: what is left goes, and again.
        for side in SIDES {
            for folder in world.left(side) {
                fs::remove_dir_all(folder).unwrap();
            }
            let _ = world.run(side, &["cancel"]);
        }
    }
    panic!("in 30 tries the partner never died between its receipt and its last word");
}

#[test]
fn a_resumed_run_is_one_run_of_its_contract() {
    let _guard = together();
    let world = World::new();
    world.jobs(|_, table| {
        set(table, "shared.max_runs", 1);
        set(table, "shared.max_runs_per_set", 1);
    });
    cut_in_training(&world);
    for side in SIDES {
        let state = state(&world, side).unwrap();
        assert!(state["agreed"]["matching"] == 1 && state["agreed"]["training"] == 0, "{state}");
    }
    // Nothing after the matching was told, and that is kept: the same run.
    finish(&world, SIDES.map(|side| resume(&world, side)), "one run");
    for ended in world.run_both(&[]) {
        ended.failed(&[12], &["E0211", "max_runs"], "a second run");
    }
}
