//! Jobs of every task: which keys each has, the canonical text, what must be opened.

use super::{OWNER, parse, with};
use crate::contract::{Disclosure, SharedJob, Task};
use crate::data::{LabelKind, Side};
use crate::error::{Exit, Failure};

/// The owner's example as a job of another task, with more lines in its shared part.
fn job(task: &str, label: &str, more: &str) -> Result<crate::contract::Job, Failure> {
    let mut text = with("task = \"logistic\"", &format!("task = \"{task}\"\n{more}"));
    text = text.replacen("label = \"vip_within_30_days\"", label, 1);
    let (start, end) = (text.find("reveal = [").unwrap(), text.find("\n]").unwrap() + 2);
    text.replace_range(start..end, "");
    text = text.replacen("\nmin_positives = 50  ", "\n# ", 1);
    if matches!(task, "linear" | "poisson") {
        text = text.replacen("expected_rate = \"5-20%\"", "# ", 1);
    }
    parse(&text, Side::Owner)
}

#[test]
fn every_task_is_read_and_comes_back() {
    for task in Task::ALL {
        assert_eq!(Task::from_name(task.name()), Some(task));
        let job = job(task.name(), "label = \"spend\"", "").unwrap();
        let training = job.shared().training().unwrap();
        assert_eq!((training.task, training.label(), training.functions()), (task, "spend", task.functions()));
        assert_eq!(job.shared().task_name(), task.name());
        assert_eq!(job.shared().terms().reveal, task.needed(), "the default of reveal");
        assert_eq!(job.shared().reveals(Disclosure::ResidualVarianceToOwner), task.has_variance());
        let canonical = job.shared().canonical();
        assert_eq!(&SharedJob::from_canonical(&canonical).unwrap(), job.shared());
        for (key, there) in [
            ("expected_rate", task.has_rate()),
            ("log_cap", task.has_variance()),
            ("min_payers", task.has_payers()),
            ("min_positives", task.has_positives()),
            ("label_scale", task == Task::Poisson),
        ] {
            assert_eq!(canonical.contains(&format!("{key} = ")), there, "{key} of {task:?}");
        }
        assert_eq!(job.table_spec().label_kind, task.label_kind());
    }
    assert_eq!(Task::Hurdle.label_kind(), LabelKind::Amount);
}

#[test]
fn horizons_are_a_list_with_one_rate_or_one_each() {
    let labels = "labels = [\"spend_7\", \"spend_30\", \"spend_365\"]";
    let several = job("hurdle", labels, "").unwrap();
    let training = several.shared().training().unwrap();
    assert_eq!((training.labels.len(), training.label(), training.functions()), (3, "spend_365", 6));
    assert!(several.shared().canonical().contains("labels = [\"spend_7\", \"spend_30\", \"spend_365\"]\n"));
    let spec = several.table_spec();
    assert_eq!(spec.labels().map(String::as_str).collect::<Vec<_>>(), ["spend_7", "spend_30", "spend_365"]);
    let text = with("task = \"logistic\"", "task = \"hurdle\"")
        .replacen("\nmin_positives = 50  ", "\n# ", 1)
        .replacen("label = \"vip_within_30_days\"", labels, 1)
        .replacen("expected_rate = \"5-20%\"", "expected_rate = [\"1-5%\", \"5-20%\", \"20-50%\"]", 1)
        .replacen("\"own_weights\",", "\"own_weights\", \"residual_variance_to_owner\",", 1);
    let rates = parse(&text, Side::Owner).unwrap();
    let training = rates.shared().training().unwrap();
    assert_eq!([0, 2].map(|place| training.rate(place).unwrap().to_string()), ["1-5%", "20-50%"]);
    assert!(rates.shared().canonical().contains("expected_rate = [\"1-5%\", \"5-20%\", \"20-50%\"]\n"));
    assert_eq!(&SharedJob::from_canonical(&rates.shared().canonical()).unwrap(), rates.shared());
    // The same rate three times is written once, so that no job has two forms.
    let same = text.replacen("[\"1-5%\", \"5-20%\", \"20-50%\"]", "[\"5-20%\", \"5-20%\", \"5-20%\"]", 1);
    assert!(parse(&same, Side::Owner).unwrap().shared().canonical().contains("expected_rate = \"5-20%\"\n"));
    for (from, to, words) in [
        ("[\"1-5%\", \"5-20%\", \"20-50%\"]", "[\"1-5%\", \"5-20%\"]", "one for each of the 3 labels"),
        ("\"spend_30\"", "\"spend_7\"", "lists `spend_7` twice"),
        ("[\"spend_7\", \"spend_30\", \"spend_365\"]", "[\"spend_7\"]", "two or more"),
        ("labels = ", "label = \"a\"\nlabels = ", "not both"),
        ("[\"signup_note\"]", "[\"spend_30\"]", "`spend_30` is named as label and excluded"),
    ] {
        assert!(text.contains(from), "{from}");
        let failure = parse(&text.replacen(from, to, 1), Side::Owner).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
}

#[test]
fn keys_of_other_tasks_are_refused_by_name() {
    for (task, more, words) in [
        ("linear", "log_cap = 12.0", "task `linear` has no use for log_cap"),
        ("linear", "min_payers = 50", "no use for min_payers"),
        ("log_normal", "logit_range = [-9.0, 9.0]", "no use for logit_range"),
        ("hurdle", "label_scale = 2.0", "no use for label_scale"),
        ("logistic", "label_scale = 2.0", "no use for label_scale"),
        ("hurdle", "min_positives = 50", "no use for min_positives"),
        ("linear", "min_positives = 1", "min_positives is 1, allowed is 2 or more"),
        ("hurdle", "log_cap = \"large\"", "`log_cap` in [shared] must be a number or \"auto\""),
        ("hurdle", "log_cap = 50.0", "log_cap is 50, allowed is 1 to 40"),
        ("hurdle", "min_payers = 1", "min_payers is 1, allowed is 2 or more"),
        ("poisson", "label_scale = 0.0", "label_scale is 0, allowed is"),
        ("hurdel", "", "did you mean `hurdle`"),
        ("hurdle", "log_capp = 3.0", "did you mean `log_cap`"),
    ] {
        let failure = job(task, "label = \"spend\"", more).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
    let reveal = |task: &str, item: &str| {
        let text =
            with("task = \"logistic\"", &format!("task = \"{task}\"")).replacen("\"own_weights\",", &format!("\"own_weights\", {item}"), 1);
        let text = if task == "logistic" { text } else { text.replacen("\nmin_positives = 50  ", "\n# ", 1) };
        parse(&text, Side::Owner)
    };
    for (task, item, words) in [
        ("hurdle", "", "cannot run without opening `residual_variance_to_owner`"),
        ("logistic", "\"residual_variance_to_owner\",", "task `logistic` never opens `residual_variance_to_owner`"),
        ("gamma", "\"own_standard_errors\",", "task `gamma` never opens `own_standard_errors`"),
    ] {
        let failure = reveal(task, item).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
}

#[test]
fn channel_and_money_are_the_owners() {
    let money = "money = { cost = 0.1, value = 25 }\nchannel = \"source\"\n";
    let job = parse(&with("id = \"email\"", &format!("id = \"email\"\n{money}")), Side::Owner).unwrap();
    assert_eq!(job.private().money.map(|money| (money.cost, money.value)), Some((0.1, 25.0)));
    assert_eq!(job.table_spec().channel.as_deref(), Some("source"));
    assert!(!job.shared().canonical().contains("source"), "nothing of it is agreed or sent");
    for (line, words) in [
        ("money = { cost = -1, value = 25 }", "cost is -1, it must be 0 or more"),
        ("money = { cost = 1 }", "`value` is missing"),
        ("money = { cost = 1, worth = 3 }", "unknown key `worth`"),
    ] {
        let failure = parse(&with("id = \"email\"", &format!("id = \"email\"\n{line}")), Side::Owner).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.to_string().contains(words), "{words}: {failure}");
    }
    let partner = super::PARTNER.replacen("id = ", "channel = \"source\"\nid = ", 1);
    assert!(parse(&partner, Side::Partner).unwrap_err().what.contains("has no meaning in the partner's job file"));
    let overlap = super::OVERLAP.replacen("\n[private]\n", "\n[private]\nchannel = \"source\"\n", 1);
    assert!(parse(&overlap, Side::Owner).unwrap_err().what.contains("`channel` has no meaning outside a training"));
    assert!(OWNER.contains("task = \"logistic\""));
}
