//! The examples parse, the canonical form holds its properties, every mutated field is named, every refusal is exact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod score;
mod training;

use super::*;
use crate::data::{ColumnKind, Encode, IdKind, Impute, Side};
use std::path::PathBuf;

const OWNER: &str = include_str!("../../examples/jobs/owner.toml");
const PARTNER: &str = include_str!("../../examples/jobs/partner.toml");
const OVERLAP: &str = include_str!("../../examples/jobs/overlap.toml");

fn parse(text: &str, side: Side) -> Result<Job, Failure> {
    Job::parse(text, side, Path::new("jobs"))
}

pub(crate) fn owner() -> SharedJob {
    parse(OWNER, Side::Owner).unwrap().shared().clone()
}

/// The owner's example with one text replaced, which must occur in it.
fn with(from: &str, to: &str) -> String {
    assert!(OWNER.contains(from), "{from}");
    OWNER.replacen(from, to, 1)
}

#[test]
fn the_examples_are_valid_and_agree() {
    let (left, right) = (parse(OWNER, Side::Owner).unwrap(), parse(PARTNER, Side::Partner).unwrap());
    assert_eq!(left.shared().digest(), right.shared().digest());
    assert_eq!(first_difference(left.shared(), right.shared()), None);
    assert!(left.shared().require_same(right.shared()).is_ok());
    assert_eq!((left.side(), right.side()), (Side::Owner, Side::Partner));

    let terms = left.shared().terms();
    assert_eq!((terms.name.as_str(), terms.id_kind, terms.min_overlap), ("vip-2026-11", IdKind::Email, 1000));
    assert_eq!(terms.reveal.len(), 6);
    let training = left.shared().training().unwrap();
    assert_eq!((training.l2, training.clip, training.test_share, training.logit_range), (AutoNumber::Auto, 5.0, 0.25, None));
    assert_eq!((left.shared().max_rows(Side::Owner), left.shared().max_rows(Side::Partner)), (1_000_000, 5_000_000));

    assert_eq!(left.private().link, Link::Listen("0.0.0.0:7411".into()));
    assert_eq!(right.private().link, Link::Dial { address: "owner.example.com:7411".into(), proxy: ProxyChoice::Environment });
    let (left, right) = (left.table_spec(), right.table_spec());
    assert_eq!((left.path.to_str().unwrap(), left.label.as_deref()), ("jobs/owner.csv", Some("vip_within_30_days")));
    assert_eq!((right.id.as_str(), right.label, right.id_kind, right.ids_only), ("customer_email", None, IdKind::Email, false));

    let overlap = parse(OVERLAP, Side::Owner).unwrap();
    assert!(overlap.table_spec().ids_only && overlap.table_spec().label.is_none() && overlap.shared().training().is_none());
    assert_eq!(overlap.shared().task_name(), "overlap");
}

#[test]
fn loading_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    std::fs::write(&path, OWNER).unwrap();
    let job = Job::load(&path, Side::Owner).unwrap();
    assert_eq!(job.private().data, folder.path().join("owner.csv"));

    std::fs::write(&path, with("l2 = \"auto\"", "l2 = -1")).unwrap();
    let failure = Job::load(&path, Side::Owner).unwrap_err();
    assert_eq!(failure.place.unwrap(), format!("{}, [shared] l2", path.display()));

    let failure = Job::load(&folder.path().join("absent.toml"), Side::Owner).unwrap_err();
    assert_eq!((failure.exit, failure.id), (Exit::Usage, 201));
    std::fs::write(&path, vec![b'#'; MAX_JOB_BYTES as usize + 1]).unwrap();
    assert_eq!(Job::load(&path, Side::Owner).unwrap_err().id, 201);
}

#[test]
fn the_canonical_form_ignores_order_comments_and_number_formats() {
    let job = owner();
    for (from, to) in [
        ("l2 = \"auto\"", "l2 = 'auto'"),
        ("clip = 5.0", "clip = 5"),
        ("clip = 5.0", "clip = 0.5e1"),
        ("clip = 5.0", "clip = 5.00"),
        ("clip = 5.0                       # standardised", "# "),
        ("test_share = 0.25", "test_share = 2.5e-1"),
        ("min_overlap = 1000", "min_overlap = 1_000"),
        ("\"5-20%\"", "\" 5.0 – 20 %\""),
        ("\"overlap_to_both\",", "'converged_and_in_range', \"overlap_to_both\","),
        ("owner = \"1f0e1d0c", "owner = \"1F0E1D0C"),
        ("# logit_range", "# changed comment"),
    ] {
        let mut text = with(from, to);
        if to.starts_with("'converged") {
            text = text.replacen("  \"converged_and_in_range\",", "", 1);
        }
        let same = parse(&text, Side::Owner).unwrap_or_else(|failure| panic!("{to}: {failure}"));
        assert_eq!(same.shared().canonical(), job.canonical(), "{to}");
        assert_eq!(same.shared().digest(), job.digest());
    }
}

#[test]
fn the_canonical_text_is_frozen() {
    let peers = "peers.owner = \"1f0e1d0c1b0a191817161514131211100f0e0d0c0b0a09080706050403020100\"\n\
                 peers.partner = \"2f2e2d2c2b2a292827262524232221201f1e1d1c1b1a19181716151413121110\"\n";
    let text = format!(
        "clip = 5.0\ncontract = 2\nexpected_rate = \"5-20%\"\nid_kind = \"email\"\nl2 = \"auto\"\nlabel = \"vip_within_30_days\"\n\
         matching = \"vole\"\nmax_extra_steps = 6\nmax_rows.owner = 1000000\nmax_rows.partner = 5000000\nmin_overlap = 1000\nmin_positives = 50\nname = \"vip-2026-11\"\n\
         {peers}\
         reveal = [\"converged_and_in_range\", \"metrics_to_owner\", \"overlap_to_both\", \"own_weights\", \"scores_to_owner\", \
         \"split_to_partner\"]\ntask = \"logistic\"\ntest_share = 0.25\ntolerance = 0.05\n"
    );
    assert_eq!(owner().canonical(), text);
    // sha256 of the text above, computed outside.
    assert_eq!(owner().digest(), "41ef11c81bbcb03f4596ab3c7d61672c66b61e848224fd3dba3d5ff43ca66987");
}

#[test]
fn defaults_are_filled_in() {
    let mut text = OWNER.to_owned();
    for key in ["id_kind = ", "test_share = ", "l2 = ", "clip = ", "min_overlap = ", "matching = ", "min_positives = "] {
        let start = text.find(&format!("\n{key}")).unwrap() + 1;
        let end = start + text[start..].find('\n').unwrap() + 1;
        text.replace_range(start..end, "");
    }
    let (start, end) = (text.find("reveal = [").unwrap(), text.find("\n]").unwrap() + 2);
    text.replace_range(start..end, "");
    let short = parse(&text, Side::Owner).unwrap().shared().clone();
    let mut terms = owner().terms().clone();
    terms.id_kind = IdKind::Opaque;
    terms.reveal = Disclosure::TRAINING.into();
    assert_eq!(short, SharedJob::new(terms).unwrap());
}

/// Every shared field changed by itself, with the key that must be named.
pub(crate) fn mutations() -> Vec<(&'static str, SharedJob)> {
    type Change = fn(&mut SharedTerms);
    fn training(terms: &mut SharedTerms) -> &mut TrainingTerms {
        let TaskTerms::Train(training) = &mut terms.task else { panic!("the example trains") };
        training
    }
    let changes: [(&str, Change); 25] = [
        ("name", |t| t.name.push('x')),
        ("id_kind", |t| t.id_kind = IdKind::Phone),
        ("min_overlap", |t| t.min_overlap += 1),
        ("expires", |t| t.validity.expires = Some(jiff::civil::date(2026, 12, 31))),
        ("max_runs", |t| t.validity.max_runs = Some(3)),
        ("max_runs_per_set", |t| t.validity.max_runs_per_set = Some(3)),
        ("min_set_difference", |t| t.validity.min_set_difference = Some(30)),
        ("max_rows.owner", |t| t.max_rows.owner += 1),
        ("max_rows.partner", |t| t.max_rows.partner += 1),
        ("reveal", |t| assert!(t.reveal.remove(&Disclosure::MetricsToOwner))),
        ("peers.owner", |t| t.peers.owner = Fingerprint::parse(&"ab".repeat(32)).unwrap()),
        ("peers.partner", |t| t.peers.partner = Fingerprint::parse(&"ab".repeat(32)).unwrap()),
        ("label", |t| training(t).labels[0].push('2')),
        ("test_share", |t| training(t).test_share = 0.26),
        ("l2", |t| training(t).l2 = AutoNumber::Signed(0.001_000_000_000_000_1)),
        ("min_positives", |t| training(t).min_positives = 49),
        ("max_extra_steps", |t| training(t).max_extra_steps = 7),
        ("tolerance", |t| training(t).tolerance = 0.04),
        ("clip", |t| training(t).clip = 5.5),
        ("expected_rate", |t| training(t).expected_rates = vec![RateBucket::parse("5-21%").unwrap()]),
        ("expected_rate", |t| training(t).expected_rates = vec![RateBucket::parse("4-20%").unwrap()]),
        ("logit_range", |t| training(t).logit_range = Some([-12.0, 8.0])),
        ("peers.owner", |t| std::mem::swap(&mut t.peers.owner, &mut t.peers.partner)),
        ("task", |t| (t.task, t.reveal) = (TaskTerms::Overlap, [Disclosure::OverlapToBoth].into())),
        ("matching", |t| t.matching = Matching::Ecdh),
    ];
    let changed = changes.into_iter().map(|(key, change)| {
        let mut terms = owner().terms().clone();
        change(&mut terms);
        (key, SharedJob::new(terms).unwrap())
    });
    changed.collect()
}

#[test]
fn every_changed_field_is_named_and_changes_the_digest() {
    let job = owner();
    for (key, changed) in mutations() {
        for (ours, theirs) in [(&job, &changed), (&changed, &job)] {
            let difference = first_difference(ours, theirs).unwrap();
            assert!(difference.starts_with(&format!("`{key}` is ")), "{key}: {difference}");
            let failure = ours.require_same(theirs).unwrap_err();
            assert_eq!((failure.exit, failure.id), (Exit::Contract, 210));
            assert!(failure.what.contains(&difference));
        }
        assert_ne!(changed.digest(), job.digest(), "{key}");
    }
    // No field of the canonical text is left out of the list above.
    let named: std::collections::BTreeSet<&str> = mutations().iter().map(|(key, _)| *key).collect();
    for (_, job) in mutations() {
        for line in job.canonical().lines() {
            let key = line.split(" = ").next().unwrap();
            assert!(key == "contract" || named.contains(key), "{key} is never changed");
        }
    }
    let ranged = mutations().into_iter().find(|(key, _)| *key == "logit_range").unwrap().1;
    assert_eq!(first_difference(&job, &ranged).unwrap(), "`logit_range` is not set here and [-12.0, 8.0] at the peer");
}

#[test]
fn canonical_texts_come_back_and_nothing_else_does() {
    let mut jobs: Vec<SharedJob> = mutations().into_iter().map(|(_, job)| job).collect();
    jobs.push(owner());
    let mut terms = owner().terms().clone();
    if let TaskTerms::Train(training) = &mut terms.task {
        training.labels[0] = "a \"b\" \\ c'é#=".into();
        training.l2 = AutoNumber::Signed(1e-7);
        training.logit_range = Some([-60.0, 60.5]);
    }
    jobs.push(SharedJob::new(terms).unwrap());
    for job in &jobs {
        assert_eq!(&SharedJob::from_canonical(&job.canonical()).unwrap(), job);
    }

    let text = owner().canonical();
    let refused = |text: &str| SharedJob::from_canonical(text).unwrap_err();
    for (from, to) in [
        ("clip = 5.0", "clip = 5e0"),
        ("l2 = \"auto\"\n", ""),
        ("l2 = \"auto\"", "l2 = \"auto\" # comment"),
        ("l2 = \"auto\"", "l2 = \"autos\""),
        ("l2 = \"auto\"", "l2 = nan"),
        ("l2 = \"auto\"", "l2 = 1e999"),
        ("l2 = \"auto\"", "l3 = 0.001"),
        ("contract = 2\n", ""),
        ("contract = 2", "contract = \"2\""),
        ("task = \"logistic\"", "task = \"logistics\""),
        ("max_rows.owner = 1000000", "max_rows.owner = -1"),
    ] {
        assert!(text.contains(from));
        let failure = refused(&text.replacen(from, to, 1));
        assert_eq!((failure.exit, failure.id), (Exit::Protocol, 220), "{to}");
    }
    let newer = refused(&text.replacen("contract = 2", "contract = 3\nnovelty = 3", 1));
    assert_eq!((newer.exit, newer.id), (Exit::Version, 221));
    let older = refused(&text.replacen("contract = 2", "contract = 1", 1));
    assert_eq!((older.exit, older.id), (Exit::Version, 221));
    assert!(older.to_string().contains("never released"), "{older}");

    let long = format!("{text}#{}", "x".repeat(MAX_CANONICAL_BYTES));
    let failure = refused(&long);
    assert!(failure.exit == Exit::Protocol && failure.what.contains("at most 65536"), "{failure}");
    for hostile in ["", "\0", "[[[[", &"[".repeat(60_000), &format!("a = {}", "[".repeat(60_000)), &"a.".repeat(30_000)] {
        assert_eq!(refused(hostile).exit, Exit::Protocol);
    }
    // A peer's text cannot move the cursor of our terminal.
    let failure = refused(&text.replacen("l2 =", "\"\\u001b[2J\" =", 1));
    assert!(!failure.what.contains('\u{1b}') && failure.what.contains("u{1b}"), "{}", failure.what);
}

#[test]
fn damaged_canonical_texts_never_pass_as_the_same_job() {
    let (job, text) = (owner(), owner().canonical());
    for position in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[position] ^= 1;
        if let Ok(other) = SharedJob::from_canonical(&String::from_utf8(bytes).unwrap()) {
            assert!(first_difference(&job, &other).is_some(), "byte {position}");
        }
        assert!(SharedJob::from_canonical(&text[..position]).is_err(), "cut at {position}");
    }
}

#[test]
fn wrong_files_are_refused_with_exact_words() {
    let reveal = |list: &str| {
        let (start, end) = (OWNER.find("reveal = [").unwrap(), OWNER.find("\n]").unwrap() + 2);
        format!("{}reveal = [{list}]{}", &OWNER[..start], &OWNER[end..])
    };
    let training = "\"overlap_to_both\", \"split_to_partner\", \"own_weights\", \"converged_and_in_range\"";
    let overlap = |extra: &str| OVERLAP.replacen("task = \"overlap\"", &format!("task = \"overlap\"\n{extra}"), 1);
    let cases: Vec<(String, u16, &str, &str)> = vec![
        ("[shared".into(), 202, "not valid TOML", "line 1"),
        (with("l2 = \"auto\"", "l2 = "), 202, "not valid TOML", "line 16"),
        (with("l2 = \"auto\"", "l2 = 0.001\nl2 = 0.002"), 202, "not valid TOML", "line 17"),
        (with("l2 = ", "l_2 = "), 203, "unknown key `l_2` in [shared]", "did you mean `l2`?"),
        (with("min_overlap", "min_overlp"), 203, "unknown key `min_overlp` in [shared]", "did you mean `min_overlap`?"),
        (with("min_overlap", "colour"), 203, "unknown key `colour` in [shared]", "the keys of [shared] are name, task"),
        (with("clip = 5.0", "threads = 2"), 203, "unknown key `threads` in [shared]", "move it to [private]"),
        (with("id = \"email\"", "l2 = 0.1"), 203, "unknown key `l2` in [private]", "move it to [shared]"),
        (with("\n[private]", "\n[privat]"), 203, "unknown key `privat` at the top of the job file", "did you mean `private`?"),
        (format!("threads = 2\n{OWNER}"), 203, "unknown key `threads` at the top of the job file", "move it to [private]"),
        (format!("l2 = 1\n{OWNER}"), 203, "unknown key `l2` at the top of the job file", "move it to [shared]"),
        (with("{ owner = 1_000_000,", "{ ovner = 1_000_000,"), 203, "unknown key `ovner` in [shared] max_rows", "`owner`"),
        (with("partner = \"2f", "partne = \"2f"), 203, "unknown key `partne` in [shared.peers]", "`partner`"),
        (with("{ listen =", "{ lsten ="), 203, "unknown key `lsten` in [private] link", "did you mean `listen`?"),
        (with("name = ", "# name = "), 204, "`name` is missing in [shared]", "[shared]"),
        (with("task = ", "# task = "), 204, "`task` is missing in [shared]", "\"overlap\""),
        (with("label = ", "# label = "), 204, "`label` is missing in [shared]", "owner's label column"),
        (with("expected_rate = ", "# expected_rate = "), 204, "`expected_rate` is missing in [shared]", "5-20%"),
        (with("max_rows = ", "# max_rows = "), 204, "`max_rows` is missing in [shared]", "max_rows = {"),
        (with("owner = \"1f", "# owner = \"1f"), 204, "`owner` is missing in [shared.peers]", "init"),
        (with("data = ", "# data = "), 204, "`data` is missing in [private]", "CSV"),
        (with("link = ", "# link = "), 204, "`link` is missing in [private]", "dial"),
        (OWNER[..OWNER.find("\n[private]").unwrap()].into(), 204, "`private` is missing in the job file", "[private] names"),
        (
            with("l2 = \"auto\"", "l2 = \"0.001\""),
            205,
            "`l2` in [shared] must be a number or \"auto\", not a value of type string",
            "[shared] l2",
        ),
        (
            with("min_overlap = 1000", "min_overlap = 1000\nexpires = \"2026-02-30\""),
            206,
            "expires is `2026-02-30`, which is no day",
            "2026-12-31",
        ),
        (with("min_overlap = 1000", "min_overlap = 1000\nmax_runs = 0"), 206, "max_runs is 0, allowed is 1 or more", ""),
        (
            with("min_overlap = 1000", "min_overlap = 1000\nmax_runs_per_set = 0"),
            206,
            "max_runs_per_set is 0, allowed is 1 or more",
            "[shared] max_runs_per_set",
        ),
        (with("min_overlap = 1000", "min_overlap = 1000\nmax_runs_per_set = 5000000000"), 206, "max_runs_per_set is 5000000000", ""),
        (
            with("min_overlap = 1000", "min_overlap = 1000\nmin_set_difference = 1"),
            206,
            "min_set_difference is 1, allowed is 2 to 1,000",
            "",
        ),
        (with("min_overlap = 1000", "min_overlap = 1000\nmin_set_difference = 1001"), 206, "min_set_difference is 1,001", ""),
        (
            with("{ listen = \"0.0.0.0:7411\" }", "{ dial = \"owner:7411\", proxy = \"socks5://user:secret@proxy:1080\" }"),
            206,
            "the proxy cannot be used: only http:// proxies are supported",
            "http://user:password@proxy.example:3128",
        ),
        (
            with("{ listen = \"0.0.0.0:7411\" }", "{ dial = \"owner:7411\", proxy = \"http://proxy\\u0000:1\" }"),
            206,
            "the proxy cannot be used: it is written as http://host:port",
            "[private] link proxy",
        ),
        (
            with("{ listen = \"0.0.0.0:7411\" }", "{ listen = \"0.0.0.0:7411\", proxy = \"http://proxy:3128\" }"),
            208,
            "proxy has no meaning where this side listens",
            "[private] link",
        ),
        (with("min_overlap = 1000", "min_overlap = -3"), 205, "`min_overlap` in [shared] must be a whole number, not negative", ""),
        (with("min_overlap = 1000", "min_overlap = 10.5"), 205, "whole number", ""),
        (with("name = \"vip-2026-11\"", "name = 7"), 205, "`name` in [shared] must be text in quotes, not a value of type integer", ""),
        (with("[\"signup_note\"]", "\"signup_note\""), 205, "`exclude` in [private] must be a list of texts in quotes", ""),
        (with("# logit_range = [-12.0, 8.0]", "logit_range = [-12.0]"), 205, "`logit_range` in [shared] must be a pair of numbers", ""),
        (with("vip-2026-11", "../vip"), 206, "name is `../vip`, allowed is 1 to 64 letters", "[shared] name"),
        (with("vip-2026-11", ".hidden"), 206, "name is `.hidden`", ""),
        (with("vip-2026-11", ""), 206, "name is ``", ""),
        (with("\"vip_within_30_days\"", "\" vip\""), 206, "label is ` vip`", "[shared] label"),
        (with("\"vip_within_30_days\"", "\"v\\u202eip\""), 206, "label is `v\\u{202e}ip`", ""),
        (with("\"logistic\"", "\"logistics\""), 206, "`logistics` is not a known value of task", "did you mean `logistic`?"),
        (with("id_kind = \"email\"", "id_kind = \"mail\""), 206, "`mail` is not a known value of id_kind", "`email`"),
        (with("test_share = 0.25", "test_share = 25"), 206, "test_share is 25, allowed is 0.01 to 0.9", "[shared] test_share"),
        (with("l2 = \"auto\"", "l2 = 0"), 206, "l2 is 0, allowed is 0.00000001 to 10", "[shared] l2"),
        (with("l2 = \"auto\"", "l2 = nan"), 206, "l2 is NaN", ""),
        (with("clip = 5.0", "clip = inf"), 206, "clip is inf, allowed is 1 to 20", ""),
        (with("# logit_range = [-12.0, 8.0]", "logit_range = [8, -12]"), 206, "logit_range is [8, -12]", "[shared] logit_range"),
        (with("# logit_range = [-12.0, 8.0]", "logit_range = [-200, 200]"), 206, "logit_range is [-200, 200]", "160"),
        (with("\"5-20%\"", "\"5 to 20\""), 206, "expected_rate is `5 to 20`, it is written as two percentages", "one of 0.001-0.01%"),
        (with("\"5-20%\"", "\"20-5%\""), 206, "expected_rate is `20-5%`, its ends", ""),
        (with("\"5-20%\"", "\"0-5%\""), 206, "expected_rate is `0-5%`", ""),
        (with("\"5-20%\"", "\"0.1-99%\""), 206, "a bucket too wide to plan for", ""),
        (with("min_overlap = 1000", "min_overlap = 0"), 206, "min_overlap is 0, allowed is 1 to the smaller of max_rows, 1,000,000", ""),
        (with("min_overlap = 1000", "min_overlap = 1000001"), 206, "min_overlap is 1,000,001", ""),
        (with("owner = 1_000_000", "owner = 0"), 206, "max_rows.owner is 0, allowed is 1 to 1,000,000,000", ""),
        (
            with("owner = \"1f0e", "owner = \"1f"),
            206,
            "a fingerprint has 64 hex digits, this one has 62 characters",
            "[shared.peers] owner",
        ),
        (with("1f0e1d0c", "1f0e1d0g"), 206, "a fingerprint has 64 hex digits", ""),
        (
            with(
                "2f2e2d2c2b2a292827262524232221201f1e1d1c1b1a19181716151413121110",
                "1f0e1d0c1b0a191817161514131211100f0e0d0c0b0a09080706050403020100",
            ),
            206,
            "owner and partner have the same fingerprint",
            "init",
        ),
        (with("threads = 2", "threads = 0"), 206, "threads is 0, allowed is 1 to 1024", "[private] threads"),
        (with("id = \"email\"", "id = \"\""), 206, "id is empty", "[private] id"),
        (with("listen = \"0.0.0.0:7411\"", ""), 206, "link needs either listen or dial", ""),
        (with("\"0.0.0.0:7411\"", "\"0.0.0.0\""), 206, "listen is `0.0.0.0`, it is written as a host, a colon and a port", ""),
        (with("\"0.0.0.0:7411\"", "\"0.0.0.0:74111\""), 206, "listen is `0.0.0.0:74111`", ""),
        (with("listen = \"0.0.0.0:7411\"", "dial = \"host:0\""), 206, "dial is `host:0`", ""),
        (with("\"0.0.0.0:7411\"", "\"0.0.0.0:1\", dial = \"h:1\""), 206, "link needs either listen or dial", ""),
        (with("\"signup_note\"", "\"email\""), 206, "column `email` is named as id and excluded", "[private] exclude"),
        (with("\"signup_note\"", "\"vip_within_30_days\""), 206, "`vip_within_30_days` is named as label and excluded", ""),
        (with("# split = \"split\"", "split = \"email\""), 206, "column `email` is named as both id and split", ""),
        (reveal("\"overlap_to_bth\""), 206, "`overlap_to_bth` is not a known value of reveal", "did you mean `overlap_to_both`?"),
        (reveal("\"own_weights\", \"own_weights\""), 206, "reveal lists `own_weights` twice", ""),
        (reveal(""), 207, "task `logistic` cannot run without opening `converged_and_in_range`, `overlap_to_both`", ""),
        (reveal("\"overlap_to_both\", \"own_weights\", \"converged_and_in_range\""), 207, "without opening `split_to_partner`", "add"),
        (reveal(&format!("{training}, \"metrics_to_owner\"")), 207, "`metrics_to_owner` needs `scores_to_owner`", "add `scores_to_owner`"),
        (OVERLAP.replacen("\"overlap_to_both\"", "", 1), 207, "task `overlap` cannot run without opening `overlap_to_both`", ""),
        (OVERLAP.replacen("\"overlap_to_both\"", "\"overlap_to_both\", \"own_weights\"", 1), 207, "reveal lists also `own_weights`", ""),
        (overlap("label = \"x\"\nl2 = 0.1"), 208, "task `overlap` trains nothing: label, l2 has no meaning in it", "remove label, l2"),
    ];
    for (text, id, what, where_or_try) in cases {
        let failure = parse(&text, Side::Owner).map(|_| ()).expect_err(what);
        assert_eq!((failure.exit, failure.id), (Exit::Usage, id), "{what}: {failure}");
        assert!(failure.what.contains(what), "wanted {what}, got {failure}");
        assert!(failure.to_string().contains(where_or_try), "wanted {where_or_try}, got {failure}");
    }
    for key in ["split = \"s\"", "allow_leaky = []"] {
        let failure = parse(&PARTNER.replacen("threads = 2", key, 1), Side::Partner).unwrap_err();
        assert!(failure.id == 208 && failure.what.contains("has no meaning in the partner's job file"), "{failure}");
    }
    assert!(parse(&reveal(training), Side::Owner).is_ok());
}

#[test]
fn row_caps_end_with_exit_17() {
    let job = owner();
    assert!(job.check_rows(Side::Owner, 1_000_000).is_ok());
    let failure = job.check_rows(Side::Owner, 1_000_001).unwrap_err();
    assert_eq!((failure.exit, failure.what.as_str()), (Exit::Cap, "the owner has 1,000,001 rows, the job allows 1,000,000"));
    assert!(job.check_rows(Side::Partner, 1_000_001).is_ok());
}

#[test]
fn buckets_cover_every_rate_once() {
    assert_eq!((RateBucket::for_rate(0.0), RateBucket::for_rate(1.0), RateBucket::for_rate(f64::NAN)), (None, None, None));
    for (rate, bucket) in [
        (1e-9, "0.001-0.01%"),
        (0.0008, "0.05-0.2%"),
        (0.002, "0.2-1%"),
        (0.03, "1-5%"),
        (0.1166, "5-20%"),
        (0.2, "20-50%"),
        (0.62, "50-80%"),
        (0.9, "80-95%"),
        (0.98, "95-99%"),
        (1.0 - 1e-9, "99.95-99.99%"),
    ] {
        assert_eq!(RateBucket::for_rate(rate).unwrap().to_string(), bucket);
    }
    for bucket in RateBucket::standard() {
        assert_eq!(RateBucket::parse(&bucket.to_string()).unwrap(), bucket);
        assert_eq!(RateBucket::for_rate(bucket.low()), Some(bucket));
        assert_eq!(RateBucket::for_rate(f64::midpoint(bucket.low(), bucket.high())), Some(bucket));
        let base = 1.0 / (1.0 + (-bucket.base_logit()).exp());
        assert!(bucket.low() < base && base < bucket.high());
    }
    assert!((RateBucket::parse("20-80%").unwrap().base_logit()).abs() < 1e-15);
    // Logits of 5 % and 20 %: −2.944439 and −1.386294.
    assert!((RateBucket::parse("5-20%").unwrap().base_logit() + 2.165_366_8).abs() < 1e-6);
}

#[test]
fn disclosures_have_one_name_and_one_story_each() {
    for item in Disclosure::ALL {
        assert_eq!(Disclosure::from_name(item.name()), Some(item));
        let story = item.describe();
        assert!(
            ["both sides learn", "the owner learns", "each side learns", "the partner learns"].iter().any(|who| story.starts_with(who))
        );
    }
}

/// The owner's example with wishes for single columns.
fn with_columns(text: &str) -> Result<Job, Failure> {
    parse(&format!("{OWNER}\n{text}"), Side::Owner)
}

#[test]
fn wishes_for_columns_are_read_and_stay_private() {
    let job = with_columns(
        "[private.columns.pdays]\nmissing = [\"-1\"]\nimpute = \"median\"\nwinsorise = [0.01, 0.99]\n\
         [private.columns.\"home city\"]\nencode = \"hash\"\ncount = 64\n\
         [private.columns.zip]\ntype = \"text\"\nimpute = 7\n[private.columns.age]\nencode = \"woe\"",
    )
    .unwrap();
    let wishes = &job.table_spec().wishes;
    let pdays = &wishes["pdays"];
    assert_eq!(
        (pdays.missing.as_slice(), pdays.impute, pdays.winsorise),
        (["-1".to_owned()].as_slice(), Some(Impute::Median), Some([0.01, 0.99]))
    );
    let city = &wishes["home city"];
    assert_eq!((city.encode, city.count, city.kind), (Some(Encode::Hash), Some(64), Some(ColumnKind::Text)));
    assert_eq!((wishes["zip"].kind, wishes["zip"].impute), (Some(ColumnKind::Text), Some(Impute::Value(7.0))));
    assert_eq!((wishes["age"].encode, wishes["age"].kind), (Some(Encode::Woe), None));
    assert_eq!(job.shared().digest(), owner().digest(), "nothing of it is agreed or sent");

    for (text, words) in [
        ("[private.columns.a]\nencode = \"onehot\"", "did you mean `one-hot`"),
        ("[private.columns.a]\nencoding = \"hash\"", "unknown key `encoding`"),
        ("[private.columns.a]\ntype = \"date\"", "no type of a column"),
        ("[private.columns.a]\nwinsorise = [0.9, 0.1]", "two rising quantiles"),
        ("[private.columns.a]\nwinsorise = [0.1, 1.1]", "two rising quantiles"),
        ("[private.columns.a]\ncount = 1", "allowed is 2 to 1024"),
        ("[private.columns.a]\nimpute = \"mode\"", "neither"),
        ("[private.columns.a]\nimpute = nan", "not a finite number"),
        ("[private.columns.vip_within_30_days]\nencode = \"woe\"", "as label and as a feature"),
        ("[private.columns]\na = 1", "a column's wishes are a table"),
    ] {
        let failure = with_columns(text).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{text}");
        assert!(failure.to_string().contains(words), "{text}: {failure}");
    }
}

#[test]
fn an_id_may_have_several_columns_and_files_their_settings() {
    let text = with("id_kind = \"email\"", "id_kind = \"phone+device\"").replacen(
        "id = \"email\"",
        "id = [\"mobile\", \"device\"]\nregion = \"DE\"\nmax_memory = \"2G\"\nlock = \"owner.lock.json\"",
        1,
    );
    let job = parse(&text, Side::Owner).unwrap();
    let spec = job.table_spec();
    assert_eq!(
        (spec.id.as_str(), spec.more_ids.as_slice(), spec.region.as_deref()),
        ("mobile", ["device".to_owned()].as_slice(), Some("DE"))
    );
    assert_eq!((spec.max_memory, spec.lock), (Some(2 << 30), Some(PathBuf::from("jobs/owner.lock.json"))));
    assert_eq!(job.private().id_name(), "mobile+device");
    let input = parse(&with("data = \"owner.csv\"", "data = \"-\""), Side::Owner).unwrap();
    assert_eq!(input.table_spec().path, PathBuf::from("-"));
    for (text, words) in [
        (text.replacen("[\"mobile\", \"device\"]", "\"mobile\"", 1), "one id column for each of its 2 parts, 1 named"),
        (text.replacen("[\"mobile\", \"device\"]", "[]", 1), "id is empty"),
        (text.replacen("[\"mobile\", \"device\"]", "[\"mobile\", \"mobile\"]", 1), "named as both id and id"),
        (text.replacen("\"2G\"", "\"much\"", 1), "`much` is no size"),
    ] {
        let failure = parse(&text, Side::Owner).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
}

#[test]
fn a_cascade_names_kinds_in_their_order_and_columns_on_each_side() {
    let shared = with("id_kind = \"email\"", "keys = [\"phone\", \"device+opaque\", \"email\"]");
    let text = shared.replacen("id = \"email\"", "keys = [\"tel\", [\"gaid\", \"shop\"], \"mail\"]", 1);
    let job = parse(&text, Side::Owner).unwrap();
    let canonical = job.shared().canonical();
    assert!(canonical.contains("keys = [\"phone\", \"device+opaque\", \"email\"]\n") && !canonical.contains("id_kind"));
    assert_eq!(&SharedJob::from_canonical(&canonical).unwrap(), job.shared());
    let turned =
        parse(&text.replacen("\"phone\", \"device+opaque\", \"email\"", "\"email\", \"device+opaque\", \"phone\"", 1), Side::Owner);
    let failure = job.shared().require_same(turned.unwrap().shared()).unwrap_err();
    assert!(failure.exit == Exit::Contract && failure.what.contains("`keys`"), "{failure}");
    let spec = job.table_spec();
    assert_eq!(spec.key_columns().map(String::as_str).collect::<Vec<_>>(), ["tel", "gaid", "shop", "mail"]);
    assert_eq!((spec.id_kind, spec.more_keys.len()), (IdKind::Phone, 2));
    // A job with one key is written as ever.
    assert!(owner().canonical().contains("id_kind = \"email\"") && !owner().canonical().contains("keys"));
    for (from, to, words) in [
        ("keys = [\"phone\", \"device+opaque\", \"email\"]", "keys = [\"phone\"]", "two or more kinds"),
        ("keys = [\"phone\", \"device+opaque\", \"email\"]", "keys = [\"phone\", \"email\"]", "matches by 2 keys"),
        ("keys = [\"phone\", \"device+opaque\", \"email\"]", "keys = [\"phone\", \"fax\", \"email\"]", "`fax` is not a known value"),
        (
            "keys = [\"phone\", \"device+opaque\", \"email\"]",
            "keys = [\"phone\", \"email\", \"device\"]",
            "one column for each of its 1 parts",
        ),
        ("keys = [\"phone\"", "id_kind = \"email\"\nkeys = [\"phone\"", "not both"),
        ("keys = [\"tel\"", "id = \"tel\"\nkeys = [\"tel\"", "not both"),
        ("\"mail\"]", "\"tel\"]", "named as both id and id"),
        ("[\"gaid\", \"shop\"]", "7", "keys is a list"),
    ] {
        assert!(text.contains(from), "{from}");
        let failure = parse(&text.replacen(from, to, 1), Side::Owner).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
}

#[test]
fn the_ledger_is_on_unless_a_side_says_otherwise() {
    let ledger =
        |line: &str| parse(&with("id = \"email\"", &format!("id = \"email\"\n{line}")), Side::Owner).map(|job| job.private().ledger);
    assert_eq!(ledger("").unwrap(), LedgerTerms { min_difference: 20, refuse: true });
    let warned = ledger("ledger = { min_difference = 5, on_small_difference = \"warn\" }").unwrap();
    assert_eq!(warned, LedgerTerms { min_difference: 5, refuse: false });
    for (line, words) in [
        ("ledger = { min_difference = 1001 }", "allowed is 0 to 1000"),
        ("ledger = { on_small_difference = \"shrug\" }", "`shrug`"),
        ("ledger = { k = 5 }", "unknown key `k`"),
        ("ledger = 5", "must be a table"),
    ] {
        let failure = ledger(line).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
}
