//! Tests of the reports: field names, headlines, escaping, and that the HTML file fetches nothing.
//!
//! With `COLIFT_REPORT_DIR` set the pages made here are kept there, to be opened in a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::error::Exit;
use crate::evaluation::{
    BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Interval, Money, Profit, ProfitPoint, Tenth, VALUE_LINES, ValueFigures, ValueLine, paired_bootstrap,
};
use crate::training::twin::tests::Joined;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn keep(name: &str, page: &str) {
    if let Some(folder) = std::env::var_os("COLIFT_REPORT_DIR") {
        std::fs::write(Path::new(&folder).join(name), page).unwrap();
    }
}

fn some_metrics(auc: f64) -> Metrics {
    Metrics { auc, ks: 0.4, log_loss: 0.31, recall_at_20: 0.55, recall_at_40: 0.71, lift_at_40: 1.775 }
}

fn gain(estimate: f64, lower: f64, upper: f64) -> Gain {
    let interval = Interval { estimate, lower, upper };
    Gain { auc: interval, recall_at_40: interval }
}

fn full() -> ReportData {
    let stage = StageCost { wall_s: 0.25, cpu_s: PerParty::both(0.5, 0.25), bytes_sent: PerParty::both(1000, 2000), rounds: 3 };
    ReportData {
        schema: ReportSchema::V1,
        matched: 32_987,
        intersection_sha256: Some("ab".repeat(32)),
        train_rows: 26_399,
        test_rows: 6_588,
        dropped_columns: vec!["flat".into()],
        train: Some(TrainFigures { loss: 0.29562, objective: 0.296168 }),
        test: Some(some_metrics(0.7533)),
        own_only: Some(some_metrics(0.6529)),
        own_all_rows: Some(some_metrics(0.6531)),
        gain: Some(gain(0.1004, 0.0844, 0.1191)),
        value: None,
        earlier_values: Vec::new(),
        horizons: None,
        channels: None,
        money: None,
        l2: None,
        twin: Some(TwinGap { loss_gap: 3e-7, max_coefficient_error_se: 0.04, auc_gap: Some(1e-5) }),
        intercept: Some(-2.355),
        intercept_inference: None,
        owner_coefficients: Some([("zeta".to_owned(), 0.01), ("age".to_owned(), -0.5)].into_iter().collect()),
        owner_inference: None,
        partner_coefficients: Some([("poutcome_success".to_owned(), 0.5)].into_iter().collect()),
        partner_inference: None,
        more_heads: Vec::new(),
        cost: Cost {
            wall_s: 9.125,
            cpu_s: PerParty::both(5.0, 4.25),
            bytes_sent: PerParty::both(61_000_000, 55_000_000),
            rounds: 210,
            peak_rss_mb: PerParty::both(300.0, 280.0),
            stages: ["read", "match", "train", "evaluate"].iter().map(|name| ((*name).to_owned(), stage)).collect(),
        },
    }
}

fn details() -> Details {
    Details {
        title: "vip-2026-11".into(),
        label: "label".into(),
        ended: "2026-11-02 09:30 UTC".into(),
        l2: 0.001,
        clip: 5.0,
        opened: vec![
            Opened { item: "overlap_to_both".into(), to: "both".into(), what: "number of matched users: 32,987".into() },
            Opened { item: "split_to_partner".into(), to: "partner".into(), what: "which of the matched rows are test rows".into() },
            Opened { item: "own_weights".into(), to: "both".into(), what: "each side its own weights; the intercept to the owner".into() },
            Opened { item: "scores_to_owner".into(), to: "owner".into(), what: "joint scores of 32,987 matched users".into() },
            Opened { item: "converged_and_in_range".into(), to: "both".into(), what: "one bit: passed".into() },
        ],
        ..Details::default()
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn json_has_the_agreed_fields_in_their_order() {
    let line = full().to_json_line().unwrap();
    assert!(line.starts_with("{\"schema\":\"colift.report/1\",\"matched\":32987,") && !line.contains('\n'));
    let value: Value = serde_json::from_str(&line).unwrap();
    let top = "schema matched intersection_sha256 train_rows test_rows dropped_columns train test own_only own_all_rows gain twin intercept \
               owner_coefficients partner_coefficients cost";
    assert_eq!(keys(&value), top.split_whitespace().collect::<Vec<_>>());
    assert_eq!(keys(&value["train"]), ["loss", "objective"]);
    for model in ["test", "own_only", "own_all_rows"] {
        assert_eq!(keys(&value[model]), ["auc", "ks", "log_loss", "recall_at_20", "recall_at_40", "lift_at_40"]);
    }
    assert_eq!(value["gain"].to_string(), r#"{"auc":[0.1004,0.0844,0.1191],"recall_at_40":[0.1004,0.0844,0.1191]}"#);
    assert_eq!(keys(&value["twin"]), ["loss_gap", "max_coefficient_error_se", "auc_gap"]);
    assert_eq!(keys(&value["owner_coefficients"]), ["zeta", "age"], "columns keep their order");
    assert_eq!(keys(&value["cost"]), ["wall_s", "cpu_s", "bytes_sent", "rounds", "peak_rss_mb", "stages"]);
    assert_eq!(value["cost"]["bytes_sent"].to_string(), r#"{"owner":61000000,"partner":55000000}"#);
    assert_eq!(keys(&value["cost"]["stages"]), ["read", "match", "train", "evaluate"]);
    assert_eq!(ReportData::from_json(&line).unwrap(), full());
}

#[test]
fn fields_that_are_not_known_are_left_out() {
    let data = ReportData {
        intersection_sha256: None,
        twin: None,
        partner_coefficients: None,
        train: None,
        test: None,
        own_only: None,
        own_all_rows: None,
        gain: None,
        cost: Cost { cpu_s: PerParty { owner: Some(1.0), partner: None }, ..Cost::default() },
        ..full()
    };
    let line = data.to_json_line().unwrap();
    assert!(!line.contains("null") && !line.contains("sha256") && !line.contains("twin") && !line.contains("partner_coefficients"));
    assert!(line.contains(r#""cpu_s":{"owner":1.0}"#));
    assert_eq!(ReportData::from_json(&line).unwrap(), data);
}

#[test]
fn other_schemas_are_refused_by_name() {
    let line = full().to_json_line().unwrap();
    let failure = ReportData::from_json(&line.replace("colift.report/1", "colift.report/9")).unwrap_err();
    assert_eq!((failure.exit, failure.id), (Exit::Version, 702));
    assert!(failure.what.contains("colift.report/9") && failure.what.contains("colift.report/1"));
    assert_eq!(PartnerReport::from_json(&line).unwrap_err().id, 702);
    assert_eq!(ReportData::from_json("{}").unwrap_err().id, 703);
    assert_eq!(ReportData::from_json("no json").unwrap_err().id, 703);
    assert_eq!(ReportData::from_json(&line.replace("\"matched\"", "\"machted\"")).unwrap_err().id, 703);
}

#[test]
fn headlines_follow_the_interval() {
    let sentence = |gain: Gain| {
        let data = ReportData { gain: Some(gain), ..full() };
        let headline = data.headline(&details());
        for form in [data.to_text(&details()), data.to_html(&details())] {
            assert_eq!(form.contains("no measurable gain"), headline.verdict == Verdict::NoMeasurableGain, "{form}");
        }
        assert!(data.to_text(&details()).starts_with(&headline.sentence), "the headline comes first");
        (headline.verdict, headline.sentence)
    };
    let (verdict, text) = sentence(gain(0.1004, 0.0844, 0.1191));
    assert_eq!(verdict, Verdict::Gain);
    assert_eq!(text, "Joint model: AUC .7533 against .6529 with own columns alone (gain .1004, 95 % interval .0844 to .1191)");
    assert_eq!(sentence(gain(0.0007, -0.0022, 0.0048)).0, Verdict::NoMeasurableGain);
    assert_eq!(sentence(gain(-0.0006, -0.0028, 0.0)).0, Verdict::NoMeasurableGain, "an end at 0 is in the interval");
    assert_eq!(sentence(gain(0.002, 0.0, 0.003)).0, Verdict::NoMeasurableGain);
    let (verdict, text) = sentence(gain(-0.01, -0.02, -0.001));
    assert!(verdict == Verdict::Loss && text.contains("below the .6529 of own columns alone"), "{text}");
}

#[test]
fn missing_figures_are_explained() {
    let data = ReportData { test: None, own_only: None, own_all_rows: None, gain: None, ..full() };
    for (why, words) in [(NoFigures::OneClass, "the test rows hold one class"), (NoFigures::NotListed, "the job does not list them")] {
        let details = Details { no_figures: why, ..details() };
        assert_eq!(data.headline(&details).verdict, Verdict::Unknown);
        for form in [data.to_text(&details), data.to_html(&details)] {
            assert_eq!(form.matches(words).count(), 2, "in the headline and in place of the figures: {form}");
        }
    }
}

#[test]
fn the_text_report_lists_everything() {
    let text = full().to_text(&details());
    for wanted in [
        "32,987 matched: 26,399 training, 6,588 test",
        "loss .295620, objective .296168",
        "dropped, nothing varies on the matched training rows: flat",
        ".1004 (.0844 to .1191)",
        "lift at 40 %",
        "scores_to_owner",
        "largest weight error   .0400 standard errors",
        "61.0 MB",
        "(intercept)",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing from\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 140 && line.trim_end() == line));
}

/// Everything by which a page could reach out, and every character that a hostile name could use.
fn assert_offline(page: &str) {
    for forbidden in
        ["http:", "https:", "//", "src=", "href", "url(", "@import", "<script", "<link", "<iframe", "<img", "<object", "onload"]
    {
        assert!(!page.contains(forbidden), "{forbidden} in the page");
    }
    assert!(page.contains("default-src 'none'") && page.starts_with("<!DOCTYPE html>"));
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(!page.contains("NaN") && !page.contains(">inf"));
    for tag in ["svg", "table", "figure", "g", "tr", "td", "p", "div", "dl", "details"] {
        let open = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "unbalanced <{tag}>");
    }
}

#[test]
fn names_cannot_break_out_of_the_page_or_steer_the_terminal() {
    let evil = "</title><script>alert('1')</script>\"onx\x1b[2J\u{202e}";
    let mut data = full();
    data.dropped_columns = vec![evil.into()];
    data.owner_coefficients = Some([(evil.to_owned(), 1.0)].into_iter().collect());
    let mut details = details();
    details.title = evil.into();
    details.label = evil.into();
    details.notes = vec![evil.into()];
    details.opened[0].what = evil.into();
    let page = data.to_html(&details);
    for forbidden in ["<script", "</title><sc", "alert('1')", "\"onx"] {
        assert!(!page.contains(forbidden), "{forbidden} in {page}");
    }
    for form in [page, data.to_text(&details)] {
        assert!(!form.contains('\x1b') && !form.contains('\u{202e}'));
    }
}

#[test]
fn a_thousand_columns_stay_within_the_size() {
    let mut data = full();
    let columns = (0..1000).map(|i| (format!("a_rather_long_column_name_number_{i}"), f64::from(i - 500) / 300.0));
    data.owner_coefficients = Some(columns.collect());
    let page = data.to_html(&details());
    assert_offline(&page);
    assert!(page.contains("970 smaller weights"));
}

#[test]
fn the_partner_report_holds_its_own_side_only() {
    let report = PartnerReport {
        matched: 500,
        train_rows: 400,
        test_rows: 100,
        partner_coefficients: full().partner_coefficients,
        opened: details().opened,
        cost: Cost { bytes_sent: PerParty { owner: None, partner: Some(55_000_000) }, ..full().cost },
        ..PartnerReport::default()
    };
    let line = report.to_json_line().unwrap();
    let fields = "schema matched train_rows test_rows dropped_columns partner_coefficients opened cost";
    assert_eq!(keys(&serde_json::from_str(&line).unwrap()), fields.split_whitespace().collect::<Vec<_>>());
    assert!(line.starts_with("{\"schema\":\"colift.partner-report/1\""));
    assert_eq!(PartnerReport::from_json(&line).unwrap(), report);
    let (text, page) = (report.to_text(&details()), report.to_html(&details()));
    assert_offline(&page);
    keep("partner.html", &page);
    for form in [&text, &page] {
        assert!(form.contains("poutcome_success") && form.contains("scores_to_owner") && form.contains("55.0 MB"));
        assert!(!form.contains("AUC"), "figures are not listed for the partner");
    }
    let listed = PartnerReport { test: Some(some_metrics(0.7533)), ..report };
    assert!(listed.to_text(&details()).contains(".7533") && listed.to_html(&details()).contains(".7533"));
}

/// The whole report of a set, from the plaintext twin.
fn of_set(folder: &Path, label: &str) -> (ReportData, Details) {
    let joined = Joined::read(folder, label);
    let (recipe, fit, joint_scores) = joined.fit(joined.names.len());
    let (own_recipe, _, own_scores) = joined.fit(joined.owner_columns);
    let labels = joined.labels_of(&joined.test);
    let named: Vec<(String, f64)> = recipe.names().into_iter().zip(fit.coefficients.iter().copied()).collect();
    let (owner, partner) = named.split_at(own_recipe.names().len());
    let data = ReportData {
        matched: joined.ids.len() as u64,
        train_rows: joined.train.len() as u64,
        test_rows: joined.test.len() as u64,
        dropped_columns: recipe.dropped(),
        train: Some(TrainFigures { loss: fit.loss, objective: fit.objective }),
        test: Some(joined.figures(&joint_scores)),
        own_only: Some(joined.figures(&own_scores)),
        gain: paired_bootstrap(&joint_scores, &own_scores, &labels, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED),
        intercept: Some(fit.intercept),
        owner_coefficients: Some(owner.iter().cloned().collect()),
        partner_coefficients: Some(partner.iter().cloned().collect()),
        ..full()
    };
    let curve = |scores: &[f64]| Curves::new(scores, &labels).unwrap();
    let curves = Some(CurvePair { joint: curve(&joint_scores), own: curve(&own_scores) });
    (data, Details { curves, label: label.into(), ..details() })
}

#[test]
fn the_report_of_the_synthetic_case() {
    let (data, details) = of_set(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/synthetic"), "label");
    let page = data.to_html(&details);
    keep("synthetic.html", &page);
    assert_offline(&page);
    assert_eq!(page.matches("<polyline").count(), 6, "two curves in each of three charts");
    assert!(page.contains("region_flag") && page.contains("card_spend") && page.contains("idle_weeks"));
}

#[test]
fn the_reports_of_bank_and_cdnow() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.is_dir() {
        eprintln!("SKIPPED: ../shared/data is absent");
        return;
    }
    let (report, details) = of_set(&data.join("bank"), "label");
    let page = report.to_html(&details);
    keep("bank.html", &page);
    assert_offline(&page);
    let headline = report.headline(&details);
    assert_eq!(headline.verdict, Verdict::Gain);
    assert!(headline.sentence.starts_with("Joint model: AUC .7533 against .6529 with own columns alone (gain .1004"), "{headline:?}");
    let gain = report.gain.unwrap();
    // baselines.json, unclipped and with another generator: .0844 to .1191 and .0837 to .1429.
    assert!((gain.auc.lower - 0.0844).abs() < 0.005 && (gain.auc.upper - 0.1191).abs() < 0.005, "{gain:?}");
    assert!((gain.recall_at_40.lower - 0.0837).abs() < 0.01 && (gain.recall_at_40.upper - 0.1429).abs() < 0.01, "{gain:?}");
    let text = report.to_text(&details);
    keep("bank.txt", &text);
    assert!(text.contains(".713") && text.contains(".603"));

    let (report, details) = of_set(&data.join("cdnow"), "label");
    keep("cdnow.html", &report.to_html(&details));
    assert!(report.to_text(&details).starts_with("Joint model: no measurable gain over own columns alone"));
}

#[test]
fn weights_show_how_certain_they_are_where_that_was_opened() {
    let mut data = full();
    let tests = |weights: &Option<Ordered<f64>>, error: f64| {
        weights.as_ref().map(|weights| weights.0.iter().map(|(name, w)| (name.clone(), Wald::new(*w, error))).collect::<Ordered<Wald>>())
    };
    let without = data.to_text(&details());
    assert!(!without.contains("standard error ") && !data.to_html(&details()).contains("how certain"));
    data.owner_inference = tests(&data.owner_coefficients, 0.25);
    data.partner_inference = tests(&data.partner_coefficients, 0.01);
    data.intercept_inference = Some(Wald::new(-2.355, 0.1));
    let (text, html) = (data.to_text(&details()), data.to_html(&details()));
    // −0.5 / 0.25: z −2, p 0.0455; 0.5 / 0.01: z 50.
    for line in ["standard error", ".2500    -2.00      .0455", "+50.00   < 0.0001", "-23.55   < 0.0001"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        html.contains("Own weights: how certain") && html.contains("Partner&#39;s weights: how certain") && html.contains("&lt; 0.0001")
    );
    let line = data.to_json_line().unwrap();
    assert!(line.contains(r#""owner_inference":{"zeta":{"standard_error":0.25,"z":0.04,"p":"#), "{line}");
    assert_eq!(ReportData::from_json(&line).unwrap(), data);
}

/// A report about amounts, with everything that goes with them.
fn amounts() -> ReportData {
    let figures = |gini: f64| ValueFigures { gini, share_top20: 0.67, slope: 0.76, mae: 35.1, ..ValueFigures::default() };
    let intervals = |by: f64| {
        let interval = |line: &ValueLine| (line.0.to_owned(), Interval { estimate: by, lower: by - 0.01, upper: by + 0.01 });
        VALUE_LINES.iter().map(interval).collect::<Ordered<Interval>>()
    };
    let tenth = |place: usize| Tenth { users: 350.0, predicted: 10.0 * place as f64, actual: 9.0 * place as f64 };
    let value = ValueReport {
        label: "spend_90".into(),
        rows: 3_503,
        payers: 1_057,
        mean: 29.5,
        variance: Some(0.7927),
        joint: figures(0.7053),
        own_only: figures(0.6875),
        own_all_rows: None,
        intervals: intervals(0.7053),
        gain: intervals(0.0178),
        tenths: (1..=10).map(tenth).collect(),
        own_tenths: (1..=10).map(tenth).collect(),
    };
    let cell = ChannelCell { channel: "a<b>-c".into(), users: 60, payers: 6, predicted: 1.0, actual: 2.0, own_predicted: 3.0 };
    let profit =
        |best: f64| Profit { by_share: vec![ProfitPoint { share: 0.1, profit: 50.0 }], best: ProfitPoint { share: 0.25, profit: best } };
    let weights: Ordered<f64> = [("age".to_owned(), 0.25)].into_iter().collect();
    ReportData {
        earlier_values: vec![ValueReport { label: "spend_7".into(), ..value.clone() }],
        value: Some(value),
        horizons: Some(Horizons { labels: vec!["spend_7".into(), "spend_90".into()], violations: 0.021, label_violations: 0.0 }),
        channels: Some(Channels { column: "source".into(), cells: vec![cell], hidden: 2, hidden_users: 31 }),
        money: Some(MoneyReport {
            terms: Money { cost: 1.0, value: 0.3 },
            joint: profit(80.0),
            own_only: profit(75.0),
            gain: vec![Interval { estimate: 5.0, lower: -1.0, upper: 9.0 }],
        }),
        more_heads: vec![HeadReport {
            label: "spend_90".into(),
            head: "log_amount".into(),
            intercept: Some(3.8),
            owner_coefficients: Some(weights),
            partner_coefficients: None,
        }],
        ..full()
    }
}

#[test]
fn a_report_about_amounts_says_the_same_in_every_form() {
    let (data, details) = (amounts(), Details { label: "spend_90".into(), task: "hurdle".into(), ..details() });
    let line = data.to_json_line().unwrap();
    assert_eq!(ReportData::from_json(&line).unwrap(), data);
    assert!(line.contains("\"gain\":{\"gini\":[0.0178,") && line.contains("[350.0,10.0,9.0]"), "{line}");
    let headline = data.headline(&details);
    assert_eq!(headline.verdict, Verdict::Gain);
    assert!(headline.sentence.starts_with("Joint model: normalised Gini .7053 against .6875 with own columns alone (gain .0178"));
    let (text, html) = (data.to_text(&details), data.to_html(&details));
    for words in [
        "task       hurdle",
        "spend_90: 3,503 test users, 1,057 of them above 0, mean 29.50; variance of log amounts .7927",
        "spend_7 ≤ spend_90: a later prediction was below an earlier one for 2.1 % of the test users",
        "1 (highest)",
        "2 channels with fewer than 50 test users or 5 above 0 left out, 31 users together",
        "25.0 % of them by the joint model earn 80.00, 25.0 % by the own columns 75.00 (difference +5.00)",
        "5.00 (-1.00 to 9.00)",
        "Weights of log amount, owner's columns",
        "Figures of who is above 0",
    ] {
        assert!(text.contains(words), "the text does not say `{words}`:\n{text}");
    }
    keep("amounts.html", &html);
    assert_eq!(html.matches("Tenths by the joint model</figcaption><svg").count(), 2);
    for words in ["a&lt;b&gt;-c", "By channel", "In money", "class=\"bar actual\"", "log amount, owner&#39;s columns"] {
        assert!(html.contains(words), "the page does not hold `{words}`");
    }
    assert!(!html.contains("NaN") && !html.contains("a<b>"));
}
