//! Jobs that score: the examples, the canonical text, every field named, every key in its place.

use super::{first_difference, parse};
use crate::contract::{Disclosure, ScoreFormat, ScoreOutput, SharedJob, SharedTerms, TaskTerms};
use crate::data::Side;
use crate::error::{Exit, Failure};

const OWNER: &str = include_str!("../../../examples/jobs/score-owner.toml");
const PARTNER: &str = include_str!("../../../examples/jobs/score-partner.toml");

/// The owner's example with one text replaced, which must occur in it.
fn with(from: &str, to: &str) -> Result<super::Job, Failure> {
    assert!(OWNER.contains(from), "{from}");
    parse(&OWNER.replacen(from, to, 1), Side::Owner)
}

fn owner() -> SharedJob {
    parse(OWNER, Side::Owner).unwrap().shared().clone()
}

#[test]
fn the_examples_agree_and_read_without_a_label() {
    let (left, right) = (parse(OWNER, Side::Owner).unwrap(), parse(PARTNER, Side::Partner).unwrap());
    assert_eq!(left.shared().digest(), right.shared().digest());
    assert_eq!((left.shared().task_name(), left.shared().training().is_none()), ("score", true));
    let terms = left.shared().score().unwrap();
    assert_eq!((terms.model.as_str(), terms.top_share, terms.threshold), ("00112233445566778899aabbccddeeff", Some(0.4), Some(0.2)));
    let listed = [ScoreOutput::Score, ScoreOutput::Decile, ScoreOutput::TopShare, ScoreOutput::YesNo];
    assert_eq!(terms.output, listed.into());
    assert_eq!(left.shared().terms().reveal, Disclosure::SCORING.into());
    assert_eq!((left.private().format, right.private().format), (Some(ScoreFormat::Csv), None));
    assert_eq!(left.private().model.as_deref().and_then(std::path::Path::to_str), Some("jobs/model.json"));
    let spec = left.table_spec();
    assert!(spec.label.is_none() && spec.split.is_none() && !spec.ids_only);
}

#[test]
fn the_canonical_text_is_frozen_and_comes_back() {
    let text = "contract = 2\nid_kind = \"email\"\nmatching = \"vole\"\nmax_rows.owner = 1000000\nmax_rows.partner = 5000000\nmin_overlap = 1\n\
                model = \"00112233445566778899aabbccddeeff\"\nname = \"vip-2026-12-scores\"\n\
                output = [\"score\", \"decile\", \"top_share\", \"yes_no\"]\n\
                peers.owner = \"1f0e1d0c1b0a191817161514131211100f0e0d0c0b0a09080706050403020100\"\n\
                peers.partner = \"2f2e2d2c2b2a292827262524232221201f1e1d1c1b1a19181716151413121110\"\n\
                reveal = [\"overlap_to_both\", \"scores_to_owner\"]\ntask = \"score\"\nthreshold = 0.2\ntop_share = 0.4\n";
    assert_eq!(owner().canonical(), text);
    assert_eq!(SharedJob::from_canonical(text).unwrap(), owner());
    let same = with("[\"score\", \"decile\", \"top_share\", \"yes_no\"]", "[\"yes_no\", \"top_share\", \"decile\", \"score\"]").unwrap();
    assert_eq!(same.shared().canonical(), text, "the order of output does not matter");
    // The default of min_overlap.
    assert_eq!(with("min_overlap = 1 ", "# ").unwrap().shared().canonical(), text);
    assert_eq!(with("min_overlap = 1 ", "min_overlap = 0 ").unwrap().shared().terms().min_overlap, 0);
}

#[test]
fn decisions_alone_are_another_contract() {
    let numbers = "[\"score\", \"decile\", \"top_share\", \"yes_no\"]";
    let only = |text: String| text.replacen("scores_to_owner\"]", "decisions_to_owner\"]", 1);
    let text = only(OWNER.replacen(numbers, "[\"decile\", \"top_share\", \"yes_no\"]", 1));
    let job = parse(&text, Side::Owner).unwrap();
    assert_eq!(job.shared().terms().reveal, Disclosure::DECIDING.into());
    assert!(job.shared().canonical().contains("reveal = [\"decisions_to_owner\", \"overlap_to_both\"]\n"));
    assert_eq!(SharedJob::from_canonical(&job.shared().canonical()).unwrap(), *job.shared());
    assert!(first_difference(&owner(), job.shared()).is_some());
    // The examples of such a job.
    let [ours, theirs] = [
        (include_str!("../../../examples/jobs/decide-owner.toml"), Side::Owner),
        (include_str!("../../../examples/jobs/decide-partner.toml"), Side::Partner),
    ]
    .map(|(text, side)| parse(text, side).unwrap());
    assert_eq!(ours.shared().digest(), theirs.shared().digest());
    assert_eq!((ours.shared().terms().reveal.clone(), ours.shared().terms().validity.max_runs), (Disclosure::DECIDING.into(), Some(1)));
    for (text, words) in [
        (only(OWNER.to_owned()), "output lists `score`, which `decisions_to_owner` never opens"),
        (only(OWNER.replacen(numbers, "[\"probability\", \"decile\", \"top_share\", \"yes_no\"]", 1)), "output lists `probability`"),
        (text.replacen("decisions_to_owner\"]", "decisions_to_owner\", \"scores_to_owner\"]", 1), "reveal lists both"),
        (text.replacen("[\"overlap_to_both\", ", "[", 1), "cannot run without opening `overlap_to_both`"),
        (text.replacen("decisions_to_owner\"]", "decisions_to_owner\", \"metrics_to_owner\"]", 1), "remove `metrics_to_owner`"),
    ] {
        let failure = parse(&text, Side::Owner).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
    // Neither a training nor a count has decisions.
    let training = super::with("\"scores_to_owner\"", "\"scores_to_owner\", \"decisions_to_owner\"");
    let failure = parse(&training, Side::Owner).unwrap_err();
    assert!(failure.to_string().contains("task `logistic` never opens `decisions_to_owner`"), "{failure}");
    let overlap = super::OVERLAP.replacen("[\"overlap_to_both\"]", "[\"overlap_to_both\", \"decisions_to_owner\"]", 1);
    let failure = parse(&overlap, Side::Owner).unwrap_err();
    assert!(failure.to_string().contains("task `overlap` opens `overlap_to_both` only"), "{failure}");
}

#[test]
fn every_changed_field_is_named() {
    type Change = fn(&mut SharedTerms);
    fn scoring(terms: &mut SharedTerms) -> &mut crate::contract::ScoreTerms {
        let TaskTerms::Score(scoring) = &mut terms.task else { panic!("the example scores") };
        scoring
    }
    let changes: [(&str, Change); 6] = [
        ("model", |t| scoring(t).model = "ab".repeat(16)),
        ("output", |t| assert!(scoring(t).output.remove(&ScoreOutput::Score))),
        ("top_share", |t| scoring(t).top_share = Some(0.41)),
        ("threshold", |t| scoring(t).threshold = Some(0.21)),
        ("min_overlap", |t| t.min_overlap = 0),
        ("task", |t| (t.task, t.reveal, t.min_overlap) = (TaskTerms::Overlap, [Disclosure::OverlapToBoth].into(), 1)),
    ];
    for (key, change) in changes {
        let mut terms = owner().terms().clone();
        change(&mut terms);
        let changed = SharedJob::new(terms).unwrap();
        for (ours, theirs) in [(&owner(), &changed), (&changed, &owner())] {
            let difference = first_difference(ours, theirs).unwrap();
            assert!(difference.starts_with(&format!("`{key}` is ")), "{key}: {difference}");
        }
        assert_eq!(SharedJob::from_canonical(&changed.canonical()).unwrap(), changed);
    }
}

#[test]
fn keys_that_do_not_fit_are_refused_by_name() {
    let cases = [
        ("top_share = 0.4 ", "# ", "needs top_share"),
        ("threshold = 0.2 ", "# ", "needs threshold"),
        ("\"top_share\", ", "", "output does not list `top_share`"),
        (", \"yes_no\"]", "]", "output does not list `yes_no`"),
        ("top_share = 0.4 ", "top_share = 1.0 ", "between 0 and 1"),
        ("threshold = 0.2 ", "threshold = 0 ", "must be above 0"),
        ("threshold = 0.2 ", "threshold = nan ", "must be above 0"),
        ("\"decile\"", "\"deciles\"", "did you mean `decile`"),
        ("\"decile\"", "\"score\"", "lists `score` twice"),
        ("output = [", "output = []\n#", "output lists nothing"),
        ("model = \"0011", "model = \"00X1", "32 lower-case hex digits"),
        ("model = \"00112233445566778899aabbccddeeff\"", "# ", "`model` is missing in [shared]"),
        ("reveal = [\"overlap_to_both\", \"scores_to_owner\"]", "", "cannot run without opening `overlap_to_both`, `scores_to_owner`"),
        ("reveal = [\"overlap_to_both\", ", "reveal = [", "cannot run without opening `overlap_to_both`"),
        ("\"scores_to_owner\"]", "\"scores_to_owner\", \"metrics_to_owner\"]", "remove `metrics_to_owner`"),
        ("min_overlap = 1 ", "l2 = 0.1\nmin_overlap = 1 ", "task `score` trains nothing: l2 has no meaning"),
        ("model = \"model.json\"", "", "`model` is missing in [private]"),
        ("id = \"email\"", "id = \"score\"", "both named `score`"),
        ("id = \"email\"", "id = [\"email\", \"model\"]", "both named `model`"),
        ("format = \"csv\"", "format = \"xlsx\"", "csv or parquet"),
        ("format = \"csv\"", "split = \"split\"", "`split` has no meaning in a scoring"),
        ("format = \"csv\"", "allow_leaky = [\"a\"]", "`allow_leaky` has no meaning in a scoring"),
    ];
    for (from, to, words) in cases {
        let failure = with(from, to).err().unwrap_or_else(|| panic!("{from} as {to} was accepted"));
        assert_eq!(failure.exit, Exit::Usage, "{to}");
        assert!(failure.to_string().contains(words), "{from} as {to}: {failure}");
    }
    let wishes = parse(&format!("{OWNER}\n[private.columns.age]\nencode = \"woe\""), Side::Owner).unwrap_err();
    assert!(wishes.to_string().contains("`columns` has no meaning in a scoring"), "{wishes}");
    let format = parse(&PARTNER.replacen("id = ", "format = \"csv\"\nid = ", 1), Side::Partner).unwrap_err();
    assert!(format.to_string().contains("`format` has no meaning in the partner's job file"), "{format}");
    // And the other way round.
    for (from, to, words) in [
        ("clip = 5.0", "top_share = 0.4", "task `logistic` scores no new users: top_share"),
        ("threads = 2", "model = \"model.json\"", "`model` has no meaning outside a scoring"),
        ("threads = 2", "format = \"csv\"", "`format` has no meaning outside a scoring"),
    ] {
        let failure = parse(&super::with(from, to), Side::Owner).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{to}: {failure}");
    }
    let overlap = parse(&super::OVERLAP.replacen("min_overlap", "threshold = 0.5\nmin_overlap", 1), Side::Owner).unwrap_err();
    assert!(overlap.to_string().contains("task `overlap` scores nothing: threshold"), "{overlap}");
}
