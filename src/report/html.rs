//! Reports as one HTML file: style and pictures inside, no script, nothing fetched; a content policy forbids it as well.

use super::headline::Verdict;
use super::number::{counted, figure, plain, ridge, signed, tiny};
use super::svg::{Chart, Series, axis_end, bars, tenths};
use super::text::{cost_cells, gain_cell, metric_lines, rows, wald_cells};
use super::{Cost, CurvePair, Details, HeadReport, Opened, Ordered, PartnerReport, ReportData, ScoreReport, value};
use crate::evaluation::{CalibrationBin, Curves, Point, Tenth, Wald};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");
/// Bars of a chart of weights; the others stand in the table below it.
const BARS: usize = 30;
/// Steps of a curve along each axis.
const STEPS: usize = 240;

/// Text for HTML, in elements and in quoted attributes; control characters are replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Numbers as people set them: a true minus sign.
fn typeset(text: &str) -> String {
    escape(text).replace('-', "−")
}

/// The owner's report.
pub(crate) fn owner(data: &ReportData, details: &Details) -> String {
    let headline = data.headline(details);
    let class = match headline.verdict {
        Verdict::Gain => "gain",
        Verdict::NoMeasurableGain => "none",
        Verdict::Loss => "loss",
        Verdict::Unknown => "unknown",
    };
    let mut body = head("colift report", &details.title, class, &headline.sentence.replace("(gain -", "(gain −").replace(" -.", " −."));
    let task = (!details.task.is_empty()).then(|| ("task", plain(&details.task)));
    let mut facts: Vec<(&str, String)> = task.into_iter().collect();
    facts.extend([("label", plain(&details.label)), ("rows", rows(data.matched, data.train_rows, data.test_rows))]);
    if let Some(train) = data.train {
        let (loss, objective) = (figure(train.loss, 6), figure(train.objective, 6));
        facts.push(("training", format!("loss {loss}, objective {objective}; l2 {}, clip ±{}", ridge(details.l2), details.clip)));
    } else if let Some(l2) = data.l2 {
        facts.push(("ridge (l2)", ridge(l2)));
    }
    facts.push(("dropped columns", list(&data.dropped_columns, "nothing varies on the matched training rows")));
    facts.push(("ended", plain(&details.ended)));
    definitions(&mut body, &facts);
    notes(&mut body, &details.notes);

    values(&mut body, data);
    if data.test.is_some() || data.value.is_none() {
        let about = if data.value.is_some() { "Figures of who is above 0, on the test rows" } else { "Figures on the test rows" };
        let _ = write!(body, "<h2>{about}</h2>");
    }
    if data.test.is_some() {
        figures(&mut body, data);
    } else if data.value.is_none() {
        let _ = write!(body, "<p>None: {}.</p>", escape(details.no_figures.reason()));
    }
    if let Some(curves) = &details.curves {
        pictures(&mut body, data, curves);
    }
    let intercept = data.intercept.map(|value| format!("; intercept {}", typeset(&figure(value, 4)))).unwrap_or_default();
    let own = data.owner_coefficients.as_ref().map(|coefficients| ("Own weights", intercept.as_str(), coefficients));
    let other = data.partner_coefficients.as_ref().map(|coefficients| ("Partner's weights", "; in a rehearsal only", coefficients));
    weights(&mut body, &[own, other]);
    more_weights(&mut body, &data.more_heads, details);
    inference(
        &mut body,
        "Own weights: how certain",
        data.intercept.zip(data.intercept_inference),
        &data.owner_coefficients,
        &data.owner_inference,
    );
    inference(&mut body, "Partner's weights: how certain", None, &data.partner_coefficients, &data.partner_inference);
    recipes(&mut body, details);
    if let Some(twin) = data.twin {
        body.push_str("<h2>Against the plaintext twin</h2>");
        let mut facts = vec![
            ("objective gap", tiny(twin.loss_gap)),
            ("largest weight error", format!("{} standard errors", figure(twin.max_coefficient_error_se, 4))),
        ];
        facts.extend(twin.auc_gap.map(|gap| ("AUC gap", tiny(gap))));
        definitions(&mut body, &facts);
    }
    opened(&mut body, &details.opened);
    cost(&mut body, &data.cost);
    body.push_str(
        "<footer><p>All figures are on the test rows, which training never saw. <b>AUC</b>: the chance that a user with the label scores \
         above one without, ties counting one half. <b>Recall at 40 %</b>: share of the test positives among the 40 % highest scores, \
         ties at the cut in proportion. <b>Lift</b>: recall over that share. <b>KS</b>: largest distance between the score \
         distributions of both classes. <b>Log-loss</b>: mean, in nats. <b>Gain</b>: joint model minus own columns alone (a constant where none varies), both judged \
         on the same rows; the interval comes from a paired bootstrap (1,000 draws, 95 %). <i>No measurable gain</i>: the interval of \
         the AUC gain contains 0. <b>Own columns</b>: fitted on the same matched training rows; <b>own, all rows</b>: on all training \
         rows of the owner. <b>Weights</b> are on the standardised scale: the change of the log-odds (of other tasks, of their predictor: \
         the number itself, or the logarithm of a count or an amount) for one standard deviation.</p></footer>",
    );
    page(&format!("colift report {}", details.title), &body)
}

/// The partner's report.
pub(crate) fn partner(data: &PartnerReport, details: &Details) -> String {
    let mut body = head("colift partner's report", &details.title, "unknown", &data.headline());
    let facts = [
        ("rows", rows(data.matched, data.train_rows, data.test_rows)),
        ("ridge (l2)", data.l2.map(ridge).unwrap_or_default()),
        ("dropped columns", list(&data.dropped_columns, "nothing varies on the matched training rows")),
        ("ended", plain(&details.ended)),
    ];
    definitions(&mut body, &facts);
    notes(&mut body, &details.notes);
    if let Some(test) = data.test {
        body.push_str("<h2>Figures on the test rows</h2>");
        let lines: Vec<Vec<String>> = metric_lines().iter().map(|(name, value)| vec![(*name).to_owned(), value(&test)]).collect();
        table(&mut body, "", &["", "joint model"], &lines, false);
    }
    weights(&mut body, &[data.partner_coefficients.as_ref().map(|coefficients| ("Own weights", "", coefficients))]);
    more_weights(&mut body, &data.more_heads, details);
    inference(&mut body, "Own weights: how certain", None, &data.partner_coefficients, &data.partner_inference);
    recipes(&mut body, details);
    opened(&mut body, &data.opened);
    cost(&mut body, &data.cost);
    body.push_str(
        "<footer><p><b>Weights</b> are on the standardised scale: the change of the log-odds (of other tasks, of their predictor) for one \
         standard deviation.</p></footer>",
    );
    page(&format!("colift partner's report {}", details.title), &body)
}

/// The report of a scoring.
pub(crate) fn score(data: &ScoreReport, details: &Details) -> String {
    let mut body = head("colift scoring", &details.title, "unknown", &data.headline());
    let facts: Vec<(&str, String)> = data.facts(details).into_iter().filter(|(name, _)| *name != "job").collect();
    definitions(&mut body, &facts);
    notes(&mut body, &details.notes);
    opened(&mut body, &data.opened);
    cost(&mut body, &data.cost);
    page(&format!("colift scoring {}", details.title), &body)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title><style>{STYLE}</style></head>\n<body>{body}</body></html>\n",
        escape(title)
    )
}

fn head(kind: &str, title: &str, class: &str, headline: &str) -> String {
    let title = if title.is_empty() { String::new() } else { format!(": {}", escape(title)) };
    format!("<h1>{kind}{title}</h1><p class=\"headline {class}\">{}.</p>", escape(headline))
}

fn list(columns: &[String], why: &str) -> String {
    if columns.is_empty() { String::new() } else { format!("{} ({why})", columns.join(", ")) }
}

fn definitions(body: &mut String, facts: &[(&str, String)]) {
    body.push_str("<dl class=\"facts\">");
    for (name, value) in facts.iter().filter(|fact| !fact.1.is_empty()) {
        let _ = write!(body, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    body.push_str("</dl>");
}

fn notes(body: &mut String, notes: &[String]) {
    for note in notes {
        let _ = write!(body, "<p class=\"note\">{}</p>", escape(note));
    }
}

fn recipes(body: &mut String, details: &Details) {
    for recipe in &details.recipes {
        let _ = write!(body, "<h2>{}</h2><p>{}.</p>", escape(&recipe.title()), escape(&recipe.summary()));
        if !recipe.lines.is_empty() {
            let lines: Vec<Vec<String>> = recipe.lines.iter().map(|cells| cells.iter().map(|cell| escape(cell)).collect()).collect();
            table(body, "words", &["column", "encoding", "features", "why"], &lines, false);
        }
    }
}

fn table(body: &mut String, class: &str, head: &[&str], lines: &[Vec<String>], total: bool) {
    let _ = write!(body, "<div class=\"scroll\"><table class=\"{class}\"><thead><tr>");
    for name in head {
        let _ = write!(body, "<th>{}</th>", escape(name));
    }
    body.push_str("</tr></thead><tbody>");
    for (i, cells) in lines.iter().enumerate() {
        body.push_str(if total && i + 1 == lines.len() { "<tr class=\"total\">" } else { "<tr>" });
        for cell in cells {
            let _ = write!(body, "<td>{cell}</td>");
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table></div>");
}

fn figures(body: &mut String, data: &ReportData) {
    let mut head = vec!["", "joint model"];
    let models: Vec<_> = data.test.iter().chain(&data.own_only).chain(&data.own_all_rows).collect();
    head.extend(data.own_only.map(|_| data.rival("label's rate")));
    head.extend(data.own_all_rows.map(|_| "own, all rows"));
    head.extend(data.gain.map(|_| "gain (95 % interval)"));
    let lines: Vec<Vec<String>> = metric_lines()
        .iter()
        .map(|(name, value)| {
            let mut cells = vec![escape(name)];
            cells.extend(models.iter().map(|metrics| typeset(&value(metrics))));
            cells.extend(data.gain.map(|_| typeset(&gain_cell(data, name))));
            cells
        })
        .collect();
    table(body, "", &head, &lines, false);
}

fn pictures(body: &mut String, data: &ReportData, curves: &CurvePair) {
    let auc = |metrics: Option<crate::evaluation::Metrics>| metrics.map(|m| format!(", AUC {}", figure(m.auc, 4))).unwrap_or_default();
    let pair = |joint: Vec<Point>, own: Vec<Point>, legends: [String; 2], dots: bool| {
        let [joint_legend, own_legend] = legends;
        [
            Series { class: "joint", legend: joint_legend, points: joint, dots, at_mark: data.test.map(|m| m.recall_at_40) },
            Series { class: "own", legend: own_legend, points: own, dots, at_mark: data.own_only.map(|m| m.recall_at_40) },
        ]
    };
    let rival = data.rival("label's rate");
    let names = || ["joint model".to_owned(), rival.to_owned()];
    let thin = |curve: &[Point]| Curves::thinned(curve, STEPS);
    let roc = Chart {
        title: "ROC of the joint model and of its rival",
        x_label: "false positives, share of the negatives",
        y_label: "true positives, share of the positives",
        diagonal: "random order",
        end: 1.0,
        mark: None,
    };
    let legends = [format!("joint model{}", auc(data.test)), format!("{rival}{}", auc(data.own_only))];
    let roc = roc.draw(&pair(thin(&curves.joint.roc), thin(&curves.own.roc), legends, false));
    let gains = Chart {
        title: "Cumulative gains, with the mark at 40 % of the users",
        x_label: "users contacted, highest scores first",
        y_label: "positives reached",
        diagonal: "random order",
        end: 1.0,
        mark: Some(0.4),
    };
    let gains = gains.draw(&pair(thin(&curves.joint.gains), thin(&curves.own.gains), names(), false));
    let bins = |bins: &[CalibrationBin]| bins.iter().map(|bin| Point { x: bin.predicted, y: bin.observed }).collect::<Vec<_>>();
    let (joint, own) = (bins(&curves.joint.calibration), bins(&curves.own.calibration));
    let largest = joint.iter().chain(&own).map(|p| p.x.max(p.y)).fold(0.0, f64::max);
    let calibration = Chart {
        title: "Calibration by tenths of the test rows",
        x_label: "predicted probability, mean of the tenth",
        y_label: "share of positives in the tenth",
        diagonal: "exact",
        end: axis_end(largest),
        mark: None,
    };
    let calibration = calibration.draw(&pair(joint, own, names(), true));
    let _ = write!(
        body,
        "<div class=\"charts\"><figure><figcaption>ROC</figcaption>{roc}</figure>\
         <figure><figcaption>Cumulative gains <span>(mark at 40 % of the users)</span></figcaption>{gains}</figure>\
         <figure><figcaption>Calibration <span>(tenths of the test rows by score)</span></figcaption>{calibration}</figure><figure>\
         <figcaption>Calibration, joint model</figcaption>",
    );
    let lines: Vec<Vec<String>> = (1..)
        .zip(curves.joint.calibration.iter().rev())
        .map(|(place, bin): (usize, _)| {
            let name = if place == 1 { "1 (highest scores)".to_owned() } else { place.to_string() };
            vec![name, bin.rows.to_string(), figure(bin.predicted, 4), figure(bin.observed, 4)]
        })
        .collect();
    table(body, "", &["tenth", "rows", "predicted", "observed"], &lines, false);
    body.push_str("</figure></div>");
}

/// Figures of amounts, horizons, channels and money.
fn values(body: &mut String, data: &ReportData) {
    if let Some(horizons) = &data.horizons {
        let _ = write!(body, "<h2>Horizons</h2><p>{}.</p>", escape(&value::horizon_line(horizons)));
    }
    let rival = data.rival("label's mean");
    for value in data.value.iter().chain(&data.earlier_values) {
        let _ = write!(body, "<h2>Value on the test rows</h2><p>{}.</p>", escape(&value::value_title(value)));
        lines_table(body, value::value_lines(value, rival));
        let pairs = |tenths: &[Tenth]| tenths.iter().rev().map(|tenth| (tenth.predicted, tenth.actual)).collect::<Vec<_>>();
        let (joint, own) = (pairs(&value.tenths), pairs(&value.own_tenths));
        let largest = joint.iter().chain(&own).map(|(predicted, actual)| predicted.max(*actual)).fold(0.0, f64::max);
        body.push_str("<div class=\"charts\">");
        for (title, pairs) in [("Tenths by the joint model", &joint), (&format!("Tenths by the {rival}"), &own)] {
            let _ = write!(body, "<figure><figcaption>{title}</figcaption>{}</figure>", tenths(title, pairs, largest));
        }
        body.push_str("</div>");
        lines_table(body, value::tenth_lines(value));
    }
    if let Some(channels) = &data.channels {
        let _ = write!(body, "<h2>By channel <span class=\"muted\">(column {})</span></h2>", escape(&channels.column));
        lines_table(body, value::channel_lines(channels));
        if let Some(hidden) = value::hidden_channels(channels) {
            let _ = write!(body, "<p class=\"muted\">{}.</p>", escape(&hidden));
        }
    }
    if let Some(money) = &data.money {
        let (lines, sentence) = value::money_lines(money, data.rival("label's mean"));
        let _ = write!(body, "<h2>In money, on the test users</h2><p>{}.</p>", typeset(&sentence));
        lines_table(body, lines);
    }
    if data.value.is_some() {
        body.push_str(
            "<p class=\"muted\"><b>Normalised Gini</b>: how well the predictions order the amounts, 1 for the best order, 0 for a random \
             one. <b>Share in the top 20 %</b>: of the total amount, in the fifth of the users with the highest predictions. \
             <b>Error of the tenths</b>: absolute errors of the ten totals over the total. <b>Calibration</b>: the line of the actual \
             amounts over the predictions; slope 1 and intercept 0 are exact. Intervals: bootstrap of the test users, 95 %.</p>",
        );
    }
}

/// A table whose first line is its head.
fn lines_table(body: &mut String, lines: Vec<Vec<String>>) {
    let Some((head, lines)) = lines.split_first() else { return };
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    // The first cell is a name, the others are numbers.
    let cell = |(place, cell): (usize, &String)| if place == 0 { escape(cell) } else { typeset(cell) };
    let lines: Vec<Vec<String>> = lines.iter().map(|cells| cells.iter().enumerate().map(cell).collect()).collect();
    table(body, "", &head, &lines, false);
}

/// Charts of the weights of further heads.
fn more_weights(body: &mut String, heads: &[HeadReport], details: &Details) {
    for head in heads {
        let title = value::head_title(head, details);
        let intercept = head.intercept.map(|value| format!("; intercept {}", typeset(&figure(value, 4)))).unwrap_or_default();
        let (owners, partners) = (format!("{title}, owner's columns"), format!("{title}, partner's columns"));
        let own = head.owner_coefficients.as_ref().map(|weights| (owners.as_str(), intercept.as_str(), weights));
        let other = head.partner_coefficients.as_ref().map(|weights| (partners.as_str(), "", weights));
        weights(body, &[own, other]);
    }
}

/// Charts of weights side by side: title, remark, column and weight.
fn weights(body: &mut String, sides: &[Option<(&str, &str, &Ordered<f64>)>]) {
    if sides.iter().all(Option::is_none) {
        return;
    }
    body.push_str("<h2>Weights</h2><div class=\"charts\">");
    // One scale for both sides.
    let values = || sides.iter().flatten().flat_map(|side| side.2.0.iter().map(|entry| entry.1));
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    for (title, remark, coefficients) in sides.iter().flatten() {
        let mut entries = coefficients.0.clone();
        entries.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let columns = counted(entries.len() as u64, "column");
        let shown = entries.get(..BARS).unwrap_or(&entries);
        let _ = write!(
            body,
            "<figure class=\"bars\"><figcaption>{} <span>({columns}{remark})</span></figcaption>{}",
            escape(title),
            bars(title, shown, low, high),
        );
        if let Some(rest @ [_, ..]) = entries.get(BARS..) {
            let lines: Vec<Vec<String>> = rest.iter().map(|(name, value)| vec![escape(name), typeset(&signed(*value, 4))]).collect();
            let _ = write!(body, "<details><summary>{}</summary>", counted(lines.len() as u64, "smaller weight"));
            table(body, "", &["column", "weight"], &lines, false);
            body.push_str("</details>");
        }
        body.push_str("</figure>");
    }
    body.push_str("</div>");
}

/// A table of weights with their standard errors, z and p, where they were opened.
fn inference(
    body: &mut String,
    title: &str,
    intercept: Option<(f64, Wald)>,
    weights: &Option<Ordered<f64>>,
    tests: &Option<Ordered<Wald>>,
) {
    let (Some(weights), Some(tests)) = (weights, tests) else { return };
    let line = |name: &str, weight: f64, test: &Wald| {
        let mut cells = vec![escape(name), typeset(&signed(weight, 4))];
        cells.extend(wald_cells(test).iter().map(|cell| typeset(cell)));
        cells
    };
    let mut lines: Vec<Vec<String>> = intercept.iter().map(|(weight, test)| line("(intercept)", *weight, test)).collect();
    lines.extend(weights.0.iter().zip(&tests.0).map(|((name, weight), (_, test))| line(name, *weight, test)));
    let _ = write!(body, "<h2>{}</h2>", escape(title));
    table(body, "", &["column", "weight", "standard error", "z", "p"], &lines, false);
}

fn opened(body: &mut String, items: &[Opened]) {
    body.push_str("<h2>What was opened</h2>");
    if items.is_empty() {
        body.push_str("<p>Nothing.</p>");
        return;
    }
    let lines: Vec<Vec<String>> = items.iter().map(|item| vec![escape(&item.item), escape(&item.to), escape(&item.what)]).collect();
    table(body, "words", &["item of the job's list", "to", "what"], &lines, false);
}

fn cost(body: &mut String, cost: &Cost) {
    body.push_str("<h2>Cost</h2>");
    let escaped = |cells: Vec<String>| cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>();
    let mut lines: Vec<Vec<String>> = cost
        .stages
        .0
        .iter()
        .map(|(name, stage)| escaped(cost_cells(name, stage.wall_s, &stage.cpu_s, &stage.bytes_sent, stage.rounds)))
        .collect();
    lines.push(escaped(cost_cells("all", cost.wall_s, &cost.cpu_s, &cost.bytes_sent, cost.rounds)));
    table(body, "", &["stage", "wall", "CPU, owner", "CPU, partner", "sent by owner", "sent by partner", "rounds"], &lines, true);
    let memory: Vec<String> = [("owner", cost.peak_rss_mb.owner), ("partner", cost.peak_rss_mb.partner)]
        .iter()
        .filter_map(|(party, megabytes)| megabytes.map(|mb| format!("{party} {mb:.0} MB")))
        .collect();
    if !memory.is_empty() {
        let _ = write!(body, "<p class=\"muted\">Peak memory: {}. Bytes are frames with their headers, before TLS.</p>", memory.join(", "));
    }
}
