//! Reports for a terminal: the headline first, then figures in aligned columns.

use super::number::{bytes, count, figure, plain, ridge, seconds, signed, tiny};
use super::{Cost, Details, HeadReport, Opened, Ordered, PartnerReport, PerParty, ReportData, value};
use crate::evaluation::{Interval, Metrics, Wald};

/// The owner's report.
pub(crate) fn owner(data: &ReportData, details: &Details) -> String {
    let mut out = String::new();
    line(&mut out, &format!("{}.", data.headline(details).sentence));
    line(&mut out, "");
    let mut about = vec![
        ("job", plain(&details.title)),
        ("task", plain(&details.task)),
        ("label", plain(&details.label)),
        ("ended", plain(&details.ended)),
        ("rows", rows(data.matched, data.train_rows, data.test_rows)),
    ];
    if let Some(train) = data.train {
        let figures = format!(
            "loss {}, objective {} (l2 {}, clip {})",
            figure(train.loss, 6),
            figure(train.objective, 6),
            ridge(details.l2),
            details.clip
        );
        about.push(("training", figures));
    } else if let Some(l2) = data.l2 {
        about.push(("ridge (l2)", ridge(l2)));
    }
    about.retain(|entry| !entry.1.is_empty());
    table(&mut out, &about.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect::<Vec<_>>(), false);
    value::text(&mut out, data);
    let about = if data.value.is_some() { "Figures of who is above 0, on the test rows" } else { "Figures on the test rows" };
    if data.test.is_some() || data.value.is_none() {
        heading(&mut out, about);
    }
    match data.test {
        Some(test) => figures(&mut out, data, &test),
        None if data.value.is_some() => {}
        None => line(&mut out, &format!("  none: {}", details.no_figures.reason())),
    }
    dropped(&mut out, &data.dropped_columns);
    for note in &details.notes {
        line(&mut out, &format!("warning: {}", plain(note)));
    }
    recipes(&mut out, details);
    if let Some(coefficients) = &data.owner_coefficients {
        let intercept = data.intercept.map(|value| (value, data.intercept_inference));
        weights(&mut out, "Own weights (standardised scale)", coefficients, data.owner_inference.as_ref(), intercept);
    }
    if let Some(coefficients) = &data.partner_coefficients {
        weights(&mut out, "Partner's weights (rehearsal only)", coefficients, data.partner_inference.as_ref(), None);
    }
    more_weights(&mut out, &data.more_heads, details);
    if let Some(twin) = data.twin {
        heading(&mut out, "Against the plaintext twin");
        let mut parts = vec![
            vec!["objective gap".to_owned(), tiny(twin.loss_gap)],
            vec!["largest weight error".to_owned(), format!("{} standard errors", figure(twin.max_coefficient_error_se, 4))],
        ];
        parts.extend(twin.auc_gap.map(|gap| vec!["AUC gap".to_owned(), tiny(gap)]));
        table(&mut out, &parts, false);
    }
    opened(&mut out, &details.opened);
    cost(&mut out, &data.cost);
    out
}

/// The partner's report.
pub(crate) fn partner(data: &PartnerReport, details: &Details) -> String {
    let mut out = String::new();
    line(&mut out, &format!("{}.", data.headline()));
    line(&mut out, "");
    let mut about = vec![
        ("job", plain(&details.title)),
        ("ended", plain(&details.ended)),
        ("rows", rows(data.matched, data.train_rows, data.test_rows)),
        ("ridge (l2)", data.l2.map(ridge).unwrap_or_default()),
    ];
    about.retain(|entry| !entry.1.is_empty());
    table(&mut out, &about.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect::<Vec<_>>(), false);
    if let Some(test) = data.test {
        heading(&mut out, "Figures on the test rows");
        let lines: Vec<_> = metric_lines().iter().map(|(name, value)| vec![(*name).to_owned(), value(&test)]).collect();
        table(&mut out, &lines, true);
    }
    dropped(&mut out, &data.dropped_columns);
    for note in &details.notes {
        line(&mut out, &format!("warning: {}", plain(note)));
    }
    recipes(&mut out, details);
    if let Some(coefficients) = &data.partner_coefficients {
        weights(&mut out, "Own weights (standardised scale)", coefficients, data.partner_inference.as_ref(), None);
    }
    more_weights(&mut out, &data.more_heads, details);
    opened(&mut out, &data.opened);
    cost(&mut out, &data.cost);
    out
}

/// Weights of further heads.
fn more_weights(out: &mut String, heads: &[HeadReport], details: &Details) {
    for head in heads {
        let title = value::head_title(head, details);
        let sides = [("owner's", &head.owner_coefficients), ("partner's", &head.partner_coefficients)];
        for (whose, coefficients) in sides.iter().filter_map(|(whose, found)| Some((whose, found.as_ref()?))) {
            let intercept = head.intercept.filter(|_| *whose == "owner's").map(|value| (value, None));
            weights(out, &format!("Weights of {title}, {whose} columns"), coefficients, None, intercept);
        }
    }
}

type MetricLine = (&'static str, fn(&Metrics) -> String);

/// The lines of the figures' table, in all forms of the report.
pub(crate) fn metric_lines() -> [MetricLine; 7] {
    [
        ("AUC", |m| figure(m.auc, 4)),
        ("recall at 20 %", |m| figure(m.recall_at_20, 3)),
        ("recall at 40 %", |m| figure(m.recall_at_40, 3)),
        ("lift at 20 %", |m| figure(m.recall_at_20 / 0.2, 2)),
        ("lift at 40 %", |m| figure(m.lift_at_40, 2)),
        ("KS", |m| figure(m.ks, 3)),
        ("log-loss", |m| figure(m.log_loss, 4)),
    ]
}

/// The gain's cell of one line: an interval where the report has one.
pub(crate) fn gain_cell(data: &ReportData, name: &str) -> String {
    let cell = |interval: &Interval, decimals: usize| {
        let text = |value| figure(value, decimals);
        format!("{} ({} to {})", text(interval.estimate), text(interval.lower), text(interval.upper))
    };
    match (data.gain, name) {
        (Some(gain), "AUC") => cell(&gain.auc, 4),
        (Some(gain), "recall at 40 %") => cell(&gain.recall_at_40, 3),
        _ => String::new(),
    }
}

/// Sizes in words.
pub(crate) fn rows(matched: u64, train: u64, test: u64) -> String {
    format!("{} matched: {} training, {} test", count(matched), count(train), count(test))
}

fn figures(out: &mut String, data: &ReportData, test: &Metrics) {
    let mut head = vec![String::new(), "joint".to_owned()];
    if data.own_only.is_some() {
        head.push(data.rival("label's rate").to_owned());
    }
    if data.own_all_rows.is_some() {
        head.push("own, all rows".to_owned());
    }
    if data.gain.is_some() {
        head.push("gain (95 % interval)".to_owned());
    }
    let mut lines = vec![head];
    for (name, value) in metric_lines() {
        let mut cells = vec![name.to_owned(), value(test)];
        cells.extend(data.own_only.iter().chain(&data.own_all_rows).map(value));
        if data.gain.is_some() {
            cells.push(gain_cell(data, name));
        }
        lines.push(cells);
    }
    table(out, &lines, true);
}

fn dropped(out: &mut String, columns: &[String]) {
    if !columns.is_empty() {
        line(out, "");
        let names: Vec<String> = columns.iter().map(|name| plain(name)).collect();
        line(out, &format!("dropped, nothing varies on the matched training rows: {}", names.join(", ")));
    }
}

fn recipes(out: &mut String, details: &Details) {
    for recipe in &details.recipes {
        heading(out, &recipe.title());
        line(out, &format!("  {}", recipe.summary()));
        let features = |text: &str| if text == "1" { "1 feature".to_owned() } else { format!("{text} features") };
        let lines: Vec<Vec<String>> = recipe
            .lines
            .iter()
            .map(|[name, encoding, count, why]| vec![plain(name), encoding.clone(), features(count), plain(why)])
            .collect();
        table(out, &lines, false);
    }
}

fn weights(
    out: &mut String,
    title: &str,
    coefficients: &Ordered<f64>,
    inference: Option<&Ordered<Wald>>,
    intercept: Option<(f64, Option<Wald>)>,
) {
    heading(out, title);
    let line = |name: String, value: f64, test: Option<&Wald>| {
        let mut cells = vec![name, signed(value, 4)];
        cells.extend(test.into_iter().flat_map(wald_cells));
        cells
    };
    let mut lines = Vec::new();
    if inference.is_some() {
        lines.push(["column", "weight", "standard error", "z", "p"].map(str::to_owned).to_vec());
    }
    lines.extend(intercept.iter().map(|(value, test)| line("(intercept)".to_owned(), *value, test.as_ref())));
    let tests = |at: usize| inference.and_then(|tests| tests.0.get(at)).map(|(_, test)| test);
    lines.extend(coefficients.0.iter().enumerate().map(|(at, (name, value))| line(plain(name), *value, tests(at))));
    table(out, &lines, true);
}

/// Standard error, z and p as cells.
pub(crate) fn wald_cells(test: &Wald) -> [String; 3] {
    let p = if test.p < 0.0001 { "< 0.0001".to_owned() } else { figure(test.p, 4) };
    [figure(test.standard_error, 4), signed(test.z, 2), p]
}

pub(super) fn opened(out: &mut String, items: &[Opened]) {
    heading(out, "What was opened");
    if items.is_empty() {
        line(out, "  nothing");
    }
    let lines: Vec<_> = items.iter().map(|item| vec![plain(&item.item), format!("to {}", plain(&item.to)), plain(&item.what)]).collect();
    table(out, &lines, false);
}

pub(super) fn cost(out: &mut String, cost: &Cost) {
    heading(out, "Cost");
    let mut lines =
        vec![["stage", "wall", "CPU owner", "CPU partner", "sent by owner", "sent by partner", "rounds"].map(str::to_owned).to_vec()];
    for (name, stage) in &cost.stages.0 {
        lines.push(cost_cells(name, stage.wall_s, &stage.cpu_s, &stage.bytes_sent, stage.rounds));
    }
    lines.push(cost_cells("all", cost.wall_s, &cost.cpu_s, &cost.bytes_sent, cost.rounds));
    table(out, &lines, true);
    let memory: Vec<String> = [("owner", cost.peak_rss_mb.owner), ("partner", cost.peak_rss_mb.partner)]
        .iter()
        .filter_map(|(party, megabytes)| megabytes.map(|mb| format!("{party} {mb:.0} MB")))
        .collect();
    if !memory.is_empty() {
        line(out, &format!("  peak memory: {}", memory.join(", ")));
    }
}

/// The cells of one stage, in the text and the HTML report.
pub(crate) fn cost_cells(name: &str, wall: f64, cpu: &PerParty<f64>, sent: &PerParty<u64>, rounds: u64) -> Vec<String> {
    let cpu_cell = |value: Option<f64>| value.map_or_else(String::new, seconds);
    let sent_cell = |value: Option<u64>| value.map_or_else(String::new, bytes);
    vec![
        plain(name),
        seconds(wall),
        cpu_cell(cpu.owner),
        cpu_cell(cpu.partner),
        sent_cell(sent.owner),
        sent_cell(sent.partner),
        count(rounds),
    ]
}

pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

pub(super) fn heading(out: &mut String, text: &str) {
    line(out, "");
    line(out, text);
}

/// Cells in aligned columns, for pages of other rooms.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let mut out = String::new();
    table(&mut out, lines, false);
    out
}

/// Cells in aligned columns, indented by two; `right` aligns all but the first column to the right.
pub(super) fn table(out: &mut String, lines: &[Vec<String>], right: bool) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for cells in lines {
        let mut text = String::from(" ");
        for (i, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            text.push_str(if i == 0 { " " } else { "   " });
            if right && i > 0 {
                text.push_str(&pad);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&pad);
            }
        }
        line(out, text.trim_end());
    }
}
