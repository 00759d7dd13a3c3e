//! The page of `data check` as text for a person.

use super::{ColumnLine, Page};
use crate::data::wording::{counted, grouped, shown};
use std::collections::BTreeMap;

impl Page {
    /// The page as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for file in &self.files {
            let written = match (file.delimiter, file.quote) {
                (Some(delimiter), None) => format!(", {delimiter} between fields, nothing quoted"),
                (Some(delimiter), Some(quote)) => format!(", {delimiter} between fields, quoted with {quote}"),
                (None, _) => String::new(),
            };
            let (rows, bytes) = (counted(file.rows, "row", "rows"), counted(file.bytes, "byte", "bytes"));
            lines.push(format!("file     {}: {}{written}, {rows}, {bytes}", file.name, file.format));
        }
        lines.push(format!("rows     {} (counted twice)", grouped(self.rows)));
        self.repairs(&mut lines);
        self.id_lines(&mut lines);
        if let Some(label) = &self.label {
            let part = |name: &str, part: Option<(u64, u64)>| {
                part.map_or_else(String::new, |(rows, ones)| format!("; {name}: {} of {}", grouped(ones), grouped(rows)))
            };
            let (train, test) = (part("train", label.train), part("test", label.test));
            lines.push(format!("label    {} of {} {}{train}{test}", grouped(label.positives), grouped(self.rows), label.words));
        }
        lines.push(String::new());
        lines.extend(table(&self.columns));
        for (title, texts) in [("warnings", self.warnings.clone()), ("refused", self.findings())] {
            if !texts.is_empty() {
                lines.push(format!("\n{title}"));
                lines.extend(texts.iter().map(|text| format!("  - {text}")));
            }
        }
        lines.push(String::new());
        lines.push(match self.refused.len() {
            0 => "verdict  fit for a job".to_owned(),
            reasons => format!("verdict  refused, for {}", counted(reasons as u64, "reason", "reasons")),
        });
        lines.join("\n")
    }

    fn findings(&self) -> Vec<String> {
        self.refused.iter().map(|found| format!("E{:04} {} ({}); try: {}", found.number, found.what, found.place, found.remedy)).collect()
    }

    fn repairs(&self, lines: &mut Vec<String>) {
        let mut done = Vec::new();
        if self.byte_order_mark {
            done.push("a byte-order mark was taken off".to_owned());
        }
        for (count, one, many) in [
            (self.crlf_lines, "line ends in CRLF", "lines end in CRLF"),
            (self.trailing_blank_lines, "blank line at the end was left out", "blank lines at the end were left out"),
            (self.numbers_repaired, "number had full-width digits", "numbers had full-width digits"),
        ] {
            if count > 0 {
                done.push(counted(count, one, many));
            }
        }
        if !done.is_empty() {
            lines.push(format!("repaired {}", done.join("; ")));
        }
    }

    fn id_lines(&self, lines: &mut Vec<String>) {
        let Some(ids) = &self.ids else { return };
        let names: Vec<String> = self.columns.iter().filter(|column| column.role == "id").map(|column| shown(&column.name)).collect();
        lines.push(format!(
            "ids      {} of kind {}: {} of {} accepted",
            names.join(" + "),
            ids.kind,
            grouped(ids.accepted),
            grouped(self.rows)
        ));
        let classes = |classes: &BTreeMap<&str, u64>| {
            let list: Vec<String> = classes.iter().map(|(class, count)| format!("{class} {}", grouped(*count))).collect();
            list.join(", ")
        };
        if ids.repaired > 0 || ids.from_floats > 0 {
            let floats = if ids.from_floats > 0 { format!("; {} written as floats", grouped(ids.from_floats)) } else { String::new() };
            lines.push(format!("         {} respelt: {}{floats}", grouped(ids.repaired), classes(&ids.repairs)));
        }
        if !ids.defects.is_empty() {
            lines.push(format!("         refused: {}", classes(&ids.defects)));
        }
        lines.push(format!("         {}", counted(ids.duplicates, "row repeats an earlier id", "rows repeat an earlier id")));
    }
}

/// The columns as a table.
fn table(columns: &[ColumnLine]) -> Vec<String> {
    let mut rows = vec![["column", "role", "type", "missing", "distinct", "min", "mean", "max", ""].map(str::to_owned)];
    for column in columns {
        let feature = column.kind.is_some();
        let count = |count: u64| if feature { grouped(count) } else { String::new() };
        let distinct =
            if column.distinct > 10_000 && column.kind == Some("number") { "> 10,000".to_owned() } else { count(column.distinct) };
        let figure = |figure: Option<f64>| figure.map_or_else(String::new, short);
        let note = if column.constant { "constant" } else { "" };
        let kind = column.kind.unwrap_or("");
        rows.push([
            shown(&column.name).trim_matches('`').to_owned(),
            column.role.to_owned(),
            kind.to_owned(),
            count(column.missing),
            distinct,
            figure(column.min),
            figure(column.mean),
            figure(column.max),
            note.to_owned(),
        ]);
    }
    let width = |place: usize| rows.iter().map(|row| row[place].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..9).map(width).collect();
    let line = |row: &[String; 9]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(place, (cell, width))| {
            let gap = " ".repeat(width - cell.chars().count());
            if (3..8).contains(&place) { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A figure with five significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e7).contains(&size) {
        let digits = (4 - size.log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn figures_are_short() {
        let texts = [0.0, 1.0, -2.5, 123_456.0, 0.123_456_7, 1e9, -1e-9, 12.000_01].map(short);
        assert_eq!(texts, ["0", "1", "-2.5", "123456", "0.12346", "1.000e9", "-1.000e-9", "12"]);
    }
}
