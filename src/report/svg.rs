//! Inline SVG: curves over the unit square, calibration, horizontal bars, and tenths of users with predicted and actual amounts. Colours come from the page's style sheet.

use super::html::escape;
use super::number::{figure, signed};
use crate::evaluation::Point;
use std::fmt::Write;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 372.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;

/// One line of a chart.
pub(crate) struct Series {
    /// `joint` or `own`: colour and dash.
    pub(crate) class: &'static str,
    /// What the legend says.
    pub(crate) legend: String,
    /// Its points, both coordinates up to the chart's end.
    pub(crate) points: Vec<Point>,
    /// Whether each point gets a dot.
    pub(crate) dots: bool,
    /// Its exact height at the chart's mark, written there.
    pub(crate) at_mark: Option<f64>,
}

/// A square chart with percent axes.
pub(crate) struct Chart {
    /// What a screen reader says.
    pub(crate) title: &'static str,
    /// Caption of the x axis.
    pub(crate) x_label: &'static str,
    /// Caption of the y axis.
    pub(crate) y_label: &'static str,
    /// The legend of the diagonal.
    pub(crate) diagonal: &'static str,
    /// Where both axes end, 1 for the whole.
    pub(crate) end: f64,
    /// An x where a vertical mark stands; the series' heights there are written beside it.
    pub(crate) mark: Option<f64>,
}

impl Chart {
    fn x(&self, value: f64) -> f64 {
        LEFT + value / self.end * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.end * (HEIGHT - TOP - BOTTOM)
    }

    /// The chart as one `svg` element.
    pub(crate) fn draw(&self, series: &[Series]) -> String {
        let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(self.title));
        self.axes(&mut out);
        if let Some(mark) = self.mark {
            let (x, top, bottom) = (self.x(mark), self.y(self.end), self.y(0.0));
            let _ = write!(out, "<line class=\"mark\" x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>");
        }
        for line in series.iter().rev() {
            let points: Vec<String> = line.points.iter().map(|p| format!("{:.1},{:.1}", self.x(p.x), self.y(p.y))).collect();
            let _ = write!(out, "<polyline class=\"line {}\" points=\"{}\"/>", line.class, points.join(" "));
            if line.dots {
                for p in &line.points {
                    let _ =
                        write!(out, "<circle class=\"dot {}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>", line.class, self.x(p.x), self.y(p.y));
                }
            }
        }
        if let Some(mark) = self.mark {
            self.mark_heights(&mut out, series, mark);
        }
        self.legend(&mut out, series);
        out.push_str("</svg>");
        out
    }

    fn axes(&self, out: &mut String) {
        for step in 0..=5 {
            let value = self.end * f64::from(step) / 5.0;
            let (x, y) = (self.x(value), self.y(value));
            let (x0, x1, y0, y1) = (self.x(0.0), self.x(self.end), self.y(0.0), self.y(self.end));
            let text = format!("{:.0} %", value * 100.0);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{y0:.1}\" x2=\"{x:.1}\" y2=\"{y1:.1}\"/>\
                 <line class=\"grid\" x1=\"{x0:.1}\" y1=\"{y:.1}\" x2=\"{x1:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                y0 + 15.0,
                x0 - 6.0,
                y + 4.0,
            );
        }
        let (middle_x, middle_y) = ((self.x(0.0) + self.x(self.end)) / 2.0, (self.y(0.0) + self.y(self.end)) / 2.0);
        let _ = write!(
            out,
            "<line class=\"random\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>\
             <text class=\"label\" x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"label\" transform=\"translate(13 {middle_y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            self.x(0.0),
            self.y(0.0),
            self.x(self.end),
            self.y(self.end),
            HEIGHT - 8.0,
            escape(self.x_label),
            escape(self.y_label),
        );
    }

    /// The heights of the curves at the mark; two that lie close are moved apart.
    fn mark_heights(&self, out: &mut String, series: &[Series], mark: f64) {
        let heights: Vec<(&Series, f64)> = series.iter().filter_map(|line| Some((line, line.at_mark?))).collect();
        let mut places: Vec<f64> = heights.iter().map(|(_, height)| self.y(*height)).collect();
        if let [a, b] = places[..]
            && (a - b).abs() < 34.0
        {
            let (middle, upper_first) = ((a + b) / 2.0, a <= b);
            places = if upper_first { vec![middle - 17.0, middle + 17.0] } else { vec![middle + 17.0, middle - 17.0] };
        }
        for ((line, height), place) in heights.iter().zip(places) {
            let (x, y) = (self.x(mark), self.y(*height));
            // The upper label stands left of the mark above its curve, the lower one right of it below.
            let upper = place <= y && heights.iter().all(|(_, other)| other <= height);
            let (text_x, anchor, text_y) =
                if upper { (x - 7.0, "end", place.min(y) - 5.0) } else { (x + 7.0, "start", place.max(y) + 15.0) };
            let _ = write!(
                out,
                "<circle class=\"dot {0}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
                 <text class=\"value {0}\" x=\"{text_x:.1}\" y=\"{text_y:.1}\" text-anchor=\"{anchor}\">{1:.1} %</text>",
                line.class,
                height * 100.0,
            );
        }
    }

    fn legend(&self, out: &mut String, series: &[Series]) {
        let entries: Vec<(&str, &str)> =
            series.iter().map(|line| (line.class, line.legend.as_str())).chain([("random", self.diagonal)]).collect();
        let longest = entries.iter().map(|entry| entry.1.chars().count()).max().unwrap_or(0) as f64;
        let (width, height) = (longest * 6.4 + 54.0, entries.len() as f64 * 18.0 + 8.0);
        let (left, top) = (self.x(self.end) - width - 6.0, self.y(0.0) - height - 6.0);
        let _ = write!(out, "<rect class=\"legend\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\"/>");
        for (i, (class, text)) in entries.iter().enumerate() {
            let y = top + 16.0 + i as f64 * 18.0;
            let _ = write!(
                out,
                "<line class=\"line {class}\" x1=\"{:.1}\" y1=\"{2:.1}\" x2=\"{:.1}\" y2=\"{2:.1}\"/>\
                 <text class=\"key\" x=\"{3:.1}\" y=\"{4:.1}\">{5}</text>",
                left + 8.0,
                left + 32.0,
                y - 3.0,
                left + 38.0,
                y + 1.0,
                escape(text),
            );
        }
    }
}

/// Horizontal bars with names on the left and values at their ends; the axis runs from `low` to `high`, which
/// hold all values and 0.
pub(crate) fn bars(title: &str, entries: &[(String, f64)], low: f64, high: f64) -> String {
    const ROW: f64 = 19.0;
    const NAMES: f64 = 176.0;
    const VALUES: f64 = 56.0;
    let span = if high > low { high - low } else { 1.0 };
    let left = NAMES + if low < 0.0 { VALUES } else { 4.0 };
    let scale = (WIDTH - VALUES - left) / span;
    let zero = left - low * scale;
    let height = entries.len() as f64 * ROW + 8.0;
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(title));
    for (i, (name, value)) in entries.iter().enumerate() {
        let top = 4.0 + i as f64 * ROW;
        let (start, length) = (zero + value.min(0.0) * scale, value.abs() * scale);
        let (text_x, anchor) = if *value < 0.0 { (start - 4.0, "end") } else { (start + length + 4.0, "start") };
        let class = if *value < 0.0 { "minus" } else { "plus" };
        let _ = write!(
            out,
            "<g><title>{}: {}</title><text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar {class}\" x=\"{start:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text class=\"tick\" x=\"{text_x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text></g>",
            escape(name),
            figure(*value, 6),
            NAMES - 6.0,
            top + 13.0,
            escape(&shortened(name, 26)),
            top + 3.0,
            length.max(0.5),
            ROW - 6.0,
            top + 13.0,
            signed(*value, 3).replace('-', "−"),
        );
    }
    let _ = write!(out, "<line class=\"axis\" x1=\"{zero:.1}\" y1=\"0\" x2=\"{zero:.1}\" y2=\"{height:.0}\"/></svg>");
    out
}

/// Pairs of upright bars, predicted and actual, one for each tenth from the highest predictions on; the axis ends at `largest`.
pub(crate) fn tenths(title: &str, pairs: &[(f64, f64)], largest: f64) -> String {
    let end = round_end(largest);
    let (plot_width, plot_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let base = HEIGHT - BOTTOM;
    let y = |value: f64| base - value.max(0.0) / end * plot_height;
    let slot = plot_width / pairs.len().max(1) as f64;
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(title));
    for step in 0..=5 {
        let value = end * f64::from(step) / 5.0;
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\"/>\
             <text class=\"tick\" x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            y(value),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(value) + 4.0,
            figure(value, usize::from(end < 10.0) + usize::from(end < 1.0)),
        );
    }
    for (place, (predicted, actual)) in pairs.iter().enumerate() {
        let left = LEFT + slot * place as f64;
        let _ = write!(out, "<g><title>tenth {}: predicted {}, actual {}</title>", place + 1, figure(*predicted, 2), figure(*actual, 2));
        for (class, value, offset) in [("plus", *predicted, 0.12), ("actual", *actual, 0.5)] {
            let height = (base - y(value)).max(0.5);
            let _ = write!(
                out,
                "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                left + slot * offset,
                base - height,
                slot * 0.34,
            );
        }
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
            left + slot / 2.0,
            base + 15.0,
            place + 1,
        );
    }
    let middle = LEFT + plot_width / 2.0;
    let _ = write!(
        out,
        "<text class=\"label\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">tenth of the users, highest predictions first</text>",
        HEIGHT - 8.0
    );
    for (place, (class, words)) in [("plus", "predicted, mean"), ("actual", "actual, mean")].into_iter().enumerate() {
        let (x, y) = (WIDTH - RIGHT - 120.0, TOP + 12.0 + 18.0 * place as f64);
        let _ = write!(
            out,
            "<rect class=\"bar {class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"10\"/>\
             <text class=\"key\" x=\"{:.1}\" y=\"{y:.1}\">{words}</text>",
            y - 9.0,
            x + 18.0,
        );
    }
    out.push_str("</svg>");
    out
}

/// The end of an axis that holds a value: 1, 2, 2.5 or 5 times a power of ten, so that its fifths are round.
fn round_end(largest: f64) -> f64 {
    if !(largest > 0.0 && largest.is_finite()) {
        return 1.0;
    }
    let unit = 10f64.powf(largest.log10().floor());
    [1.0, 2.0, 2.5, 5.0].into_iter().map(|times| times * unit).find(|end| largest <= *end).unwrap_or(10.0 * unit)
}

/// The first characters of a long name, with an ellipsis.
fn shortened(name: &str, longest: usize) -> String {
    if name.chars().count() <= longest {
        return name.to_owned();
    }
    name.chars().take(longest - 1).chain(['…']).collect()
}

/// The end of an axis that holds a value: its fifths are whole percents.
pub(crate) fn axis_end(largest: f64) -> f64 {
    [0.05, 0.1, 0.25, 0.5, 0.75].into_iter().find(|end| largest <= *end).unwrap_or(1.0)
}
