//! The stories of `demo`: both real programs on data made on the spot, and the figures that each story promises.

use crate::world::{HANG, Program, names, program, together};
use colift::data::Side;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// What a story leaves in its folder.
const FILES: [&str; 12] = [
    "answer.txt",
    "owner",
    "owner-new",
    "owner-new.csv",
    "owner.csv",
    "partner",
    "partner-new",
    "partner-new.csv",
    "partner.csv",
    "report.html",
    "report.json",
    "report.txt",
];

/// A story played whole: its folder, its report, its answer.
struct Played {
    _folder: TempDir,
    place: PathBuf,
    report: Value,
    answer: String,
}

fn play(scenario: &str) -> Played {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("story");
    let mut command = Command::new(program(Side::Owner));
    command.current_dir(folder.path()).args(["demo", "--scenario", scenario, "--out"]).arg(&place);
    let ended = Program::start(Side::Owner, command).ended(HANG);
    let answer = std::fs::read_to_string(place.join("answer.txt")).unwrap_or_else(|error| panic!("{error}: {}", ended.err));
    assert!(ended.fine().out.contains(&answer), "{}", ended.out);
    assert_eq!(names(&place), FILES);
    let report = serde_json::from_str(&std::fs::read_to_string(place.join("report.json")).unwrap()).unwrap();
    Played { _folder: folder, place, report, answer }
}

/// The numbers of the line that begins with these words, without separators of thousands.
fn numbers(answer: &str, begin: &str) -> Vec<f64> {
    let line = answer.lines().find(|line| line.trim_start().starts_with(begin)).unwrap_or_else(|| panic!("no line {begin}: {answer}"));
    line.split_whitespace().filter_map(|word| word.trim_end_matches([';', ':', ',']).replace(',', "").parse().ok()).collect()
}

fn within(value: f64, wanted: f64, most: f64) -> bool {
    (value - wanted).abs() <= most
}

#[test]
fn vip_purchase_finds_two_thirds_of_the_buyers_among_forty_percent() {
    let _machine = together();
    let story = play("vip_purchase");
    let (joint, own) = (&story.report["test"], &story.report["own_only"]);
    assert!(within(joint["recall_at_40"].as_f64().unwrap(), 0.67, 0.02), "{joint}");
    assert!(within(joint["lift_at_40"].as_f64().unwrap(), 1.675, 0.05), "{joint}");
    assert!(within(own["recall_at_40"].as_f64().unwrap(), 0.55, 0.02), "{own}");
    // Of the new users, one in six of whom the partner does not know.
    let [users, buyers, rate, found, lift] = numbers(&story.answer, "joint model")[..] else { panic!("{}", story.answer) };
    assert!(users == 4_800.0 && within(found, 67.0, 3.0) && within(lift, found / 40.0, 0.01), "{}", story.answer);
    assert!(within(100.0 * buyers / users, rate, 0.01));
    assert!(within(numbers(&story.answer, "own columns")[3], 55.0, 2.0), "{}", story.answer);
    assert_eq!(numbers(&story.answer, "chance")[3..], [40.0, 1.0]);
    let scores = std::fs::read_to_string(story.place.join("owner-new/scores.csv")).unwrap();
    assert!(scores.starts_with("email,score,top_share,model\n") && scores.lines().count() == 12_001);
}

#[test]
fn lost_user_recall_chooses_a_fifth_that_returns_more_often() {
    let _machine = together();
    let story = play("lost_user_recall");
    let rate = |begin: &str| numbers(&story.answer, begin)[2];
    assert!(within(rate("joint model"), 8.0, 0.5) && within(rate("all of them"), 3.0, 0.2), "{}", story.answer);
    assert!(rate("own columns") < rate("joint model") - 1.5, "{}", story.answer);
    let [users, ..] = numbers(&story.answer, "joint model")[..] else { panic!("{}", story.answer) };
    assert_eq!(5.0 * users, numbers(&story.answer, "all of them")[0]);
}

#[test]
fn rta_bids_where_it_pays() {
    let _machine = together();
    let story = play("rta");
    let profit = |begin: &str| *numbers(&story.answer, begin).last().unwrap();
    let (joint, own, all) = (profit("joint model"), profit("own columns"), profit("all of them"));
    assert!(joint > 1.5 * own && own > 0.0 && all < 0.0, "{}", story.answer);
    let [users, hits, ..] = numbers(&story.answer, "joint model")[..] else { panic!("{}", story.answer) };
    assert_eq!(joint, 40.0 * hits - users);
    let decisions = std::fs::read_to_string(story.place.join("owner-new/scores.csv")).unwrap();
    assert!(decisions.starts_with("device,yes_no,model\n"), "{}", &decisions[..40]);
    assert_eq!(decisions.lines().filter(|line| line.split(',').nth(1) == Some("yes")).count() as f64, users);
}

#[test]
fn share_score_orders_users_by_how_often_they_invite() {
    let _machine = together();
    let story = play("share_score");
    let rates: Vec<[f64; 2]> =
        (1..=10).map(|decile| numbers(&story.answer, &format!("decile {decile:>2}"))[1..].try_into().unwrap()).collect();
    let mean = rates.iter().map(|[joint, _]| joint).sum::<f64>() / 10.0;
    assert!(within(mean, 7.0, 0.7) && rates[0][0] > 2.5 * mean && rates[9][0] < 0.5 * mean, "{}", story.answer);
    assert!(rates[0][0] > 1.25 * rates[0][1], "{}", story.answer);
}

#[test]
fn lifetime_value_predicts_what_new_users_spend() {
    let _machine = together();
    let story = play("lifetime_value");
    let tenth = |number: usize| numbers(&story.answer, &format!("tenth {number:>2}"));
    // Number of the tenth, predicted, spent, spent in the order of own columns: the last two words of units are no numbers.
    let [_, predicted, spent, by_own] = tenth(1)[..] else { panic!("{}", story.answer) };
    assert!(within(predicted / spent, 1.0, 0.25) && spent > 1.2 * by_own, "{}", story.answer);
    assert!(tenth(10)[2] < 0.1 * spent, "{}", story.answer);
    let [joint, own, chance, total] = numbers(&story.answer, "the best fifth")[..] else { panic!("{}", story.answer) };
    assert!(joint > own + 5.0 && own > chance + 20.0 && within(total, 1.0, 0.1), "{}", story.answer);
    // Three horizons of one match, none below a shorter one.
    let labels: Vec<&str> = story.report["horizons"]["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap()).collect();
    assert_eq!(labels, ["spend_7d", "spend_30d", "spend_365d"]);
    let scores = std::fs::read_to_string(story.place.join("owner-new/scores.csv")).unwrap();
    assert!(scores.starts_with("email,score_spend_7d,score_spend_30d,score_spend_365d,decile,model\n"), "{}", &scores[..80]);
    for line in scores.lines().skip(1) {
        let amounts: Vec<f64> = line.split(',').skip(1).take(3).map(|cell| cell.parse().unwrap()).collect();
        assert!(amounts.is_sorted() && amounts[0] >= 0.0, "{line}");
    }
}

#[test]
fn channel_quality_sees_what_a_new_channel_is_worth() {
    let _machine = together();
    let story = play("channel_quality");
    for channel in ["organic", "search", "video", "friends"] {
        let [_, joint, own, spent, _] = numbers(&story.answer, channel)[..] else { panic!("{}", story.answer) };
        assert!(within(joint / spent, 1.0, 0.15) && within(own / spent, 1.0, 0.15), "{channel}: {}", story.answer);
    }
    let verdicts = |channel: &str| {
        let line = story.answer.lines().find(|line| line.trim_start().starts_with(channel)).unwrap();
        let by = |who: &str| line.contains(&format!("does not pay {who}"));
        [by("by the joint model"), by("by own columns"), by("in the end")]
    };
    assert_eq!(verdicts("influencer"), [false, true, false], "{}", story.answer);
    assert_eq!(verdicts("rewarded"), [true, false, true], "{}", story.answer);
    let channels = &story.report["channels"];
    assert!(channels["cells"].as_array().is_some_and(|cells| cells.len() == 4), "{channels}");
}

#[test]
fn the_demo_ends_with_a_report_that_needs_no_network() {
    let _machine = together();
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(program(Side::Owner));
    command.current_dir(folder.path()).env("COLIFT_HOME", folder.path().join("no-home")).args(["demo", "--rows", "6000"]);
    let ended = Program::start(Side::Owner, command).ended(HANG);
    let last = ended.fine().out.lines().last().unwrap();
    let report = folder.path().join(last.strip_prefix("report: ").unwrap_or_else(|| panic!("the last line is: {last}")));
    let html = std::fs::read_to_string(&report).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"), "{}", &html[..60.min(html.len())]);
    assert!(html.contains("<svg") && html.trim_end().ends_with("</html>"));
    for outside in ["http://", "https://", "src=", "<link", "<script", "@import", "url("] {
        let text = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains(outside), "the report holds `{outside}`");
    }
    let place = report.parent().unwrap();
    assert_eq!(names(place), FILES);
    assert_eq!(names(folder.path()), ["colift-runs"], "no key is made for a demo");
    // So few rows need not show the gain that the whole demo shows.
    assert!(ended.out.contains("Joint model: ") && ended.out.contains("own columns alone"), "{}", ended.out);
}
