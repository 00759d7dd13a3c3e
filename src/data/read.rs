//! Reads a CSV file with a header into a checked table, in one pass and then by columns.

use super::ids::{IdKind, IdProblem, canonical_id, is_blank};
use super::leaks::{LEAK_AUC, leaking};
use super::lines::{LineCounter, Physical};
use super::refusals::{LARGEST_VALUE, Reason, Refusals};
use super::wording::{counted, grouped, nearest, shown};
use super::{Column, ReadCounts, Side, Split, Table, TableSpec, Values, Warning, quality};
use crate::error::{Exit, Failure};
use csv::ByteRecord;
use rayon::prelude::*;
use std::fs::File;

/// What one column of the file is for.
#[derive(Clone, Copy)]
enum Role {
    Id,
    Label,
    Split,
    Feature(usize),
    Unused,
}

/// Reads and checks one party's file.
///
/// # Errors
/// Exit code 13 with the first reason and its counts, column and first row (data rows are counted from 1): see the module's
/// first lines. Exit code 2 when the settings contradict each other.
pub fn read_table(spec: &TableSpec, side: Side) -> Result<Table, Failure> {
    spec.check(side)?;
    let file = File::open(&spec.path).map_err(|e| unreadable(spec, &e))?;
    let (mut table, seen) = Reading::start(file, spec)?.finish()?;
    check_label(&table, spec)?;
    check_leaks(&table, spec)?;
    table.warnings.extend(quality::column_warnings(&table.columns));
    if seen.unterminated {
        table.warnings.push(Warning::NoFinalLineEnd);
    }
    if let Some((count, first)) = seen.multi_line {
        table.warnings.push(Warning::MultiLineRows { count, first: first.saturating_sub(1) });
    }
    Ok(table)
}

fn file_name(spec: &TableSpec) -> String {
    spec.path.display().to_string()
}

fn refuse(spec: &TableSpec, id: u16, what: impl Into<String>) -> Failure {
    Failure::new(Exit::Data, id, what).at(file_name(spec))
}

fn unreadable(spec: &TableSpec, error: &std::io::Error) -> Failure {
    refuse(spec, 301, format!("the file cannot be read: {error}")).hint("check the path and the permissions")
}

/// A file being read: the header's roles, the columns so far and what was refused.
struct Reading<'a> {
    spec: &'a TableSpec,
    reader: csv::Reader<LineCounter<File>>,
    header: Vec<String>,
    roles: Vec<Role>,
    columns: Vec<Column>,
    ids: Vec<String>,
    label: Vec<bool>,
    split: Vec<Split>,
    refusals: Refusals,
    counts: ReadCounts,
    warnings: Vec<Warning>,
    unassigned: Option<(u64, u64)>,
    decimals: u64,
    skipped: Vec<(u64, IdProblem)>,
}

impl<'a> Reading<'a> {
    fn start(file: File, spec: &'a TableSpec) -> Result<Self, Failure> {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 20).from_reader(LineCounter::new(file));
        let mut record = ByteRecord::new();
        let found = reader.read_byte_record(&mut record).map_err(|e| unreadable(spec, &e.into()))?;
        if reader.get_ref().physical().utf16 {
            return Err(refuse(spec, 302, "the file is UTF-16, not UTF-8").hint("save the file as CSV UTF-8"));
        }
        if !found {
            return Err(refuse(spec, 303, "the file is empty").hint("the first line names the columns, every further line is a row"));
        }
        let mut header = Vec::with_capacity(record.len());
        for (i, field) in record.iter().enumerate() {
            let name = std::str::from_utf8(field).map_err(|_| {
                refuse(spec, 302, format!("the name of column {} is not valid UTF-8", i + 1)).hint("save the file as UTF-8")
            })?;
            header.push(name.trim_matches(is_blank).to_owned());
        }
        let roles = roles(&header, spec)?;
        let features = header.iter().zip(&roles).filter(|(_, role)| matches!(role, Role::Feature(_)));
        let columns = features.map(|(name, _)| Column { name: name.clone(), values: Values::Number(Vec::new()) }).collect();
        let absent = spec.exclude.iter().filter(|name| !header.contains(name));
        let warnings = absent.map(|name| Warning::ExcludedIsAbsent { column: name.clone() }).collect();
        Ok(Self {
            spec,
            reader,
            header,
            roles,
            columns,
            ids: Vec::new(),
            label: Vec::new(),
            split: Vec::new(),
            refusals: Refusals::default(),
            counts: ReadCounts::default(),
            warnings,
            unassigned: None,
            decimals: 0,
            skipped: Vec::new(),
        })
    }

    /// Reads every row, proves the count and hands the table over.
    fn finish(mut self) -> Result<(Table, Physical), Failure> {
        let mut record = ByteRecord::new();
        while self.reader.read_byte_record(&mut record).map_err(|e| self.stopped(e))? {
            self.counts.rows += 1;
            self.row(&record);
        }
        let seen = self.reader.get_ref().physical();
        self.prove(&seen)?;
        if self.counts.rows == 0 {
            return Err(refuse(self.spec, 303, "the file has a header and no rows"));
        }
        self.find_duplicates()?;
        let (file, kind) = (file_name(self.spec), self.spec.id_kind);
        if let Some(failure) = self.refusals.into_failure(&file, &self.header, self.counts.rows, kind) {
            return Err(failure);
        }
        leave_out(&mut self.ids, &mut self.columns, &self.skipped);
        self.counts.bytes = seen.bytes;
        self.counts.byte_order_mark = seen.byte_order_mark;
        self.counts.crlf_lines = seen.crlf;
        self.counts.trailing_blank_lines = seen.blank_run;
        let counts = self.counts;
        if counts.ids_repaired > 0 {
            let (count, trimmed, rewritten) = (counts.ids_repaired, counts.ids_trimmed, counts.ids_rewritten);
            self.warnings.push(Warning::IdsRepaired { count, trimmed, rewritten });
        }
        if let Some((count, first)) = self.unassigned {
            self.warnings.push(Warning::UnassignedCountry { count, first });
        }
        if self.decimals > 0 {
            self.warnings.push(Warning::IdsLookLikeDecimals { count: self.decimals });
        }
        let (label, split) = if self.spec.ids_only { (None, None) } else { (self.spec.label.as_ref(), self.spec.split.as_ref()) };
        let table = Table {
            label: label.map(|_| self.label),
            split: split.map(|_| self.split),
            ids: self.ids,
            columns: self.columns,
            warnings: self.warnings,
            counts,
            skipped: self.skipped,
        };
        Ok((table, seen))
    }

    fn stopped(&self, error: csv::Error) -> Failure {
        let after = format!("{}, after row {}", file_name(self.spec), grouped(self.counts.rows));
        unreadable(self.spec, &error.into()).at(after)
    }

    /// Checks one row. A refused row still fills its place, so that row numbers stay true.
    fn row(&mut self, record: &ByteRecord) {
        let row = self.counts.rows;
        let ascii = record.as_slice().is_ascii();
        let ragged = record.len() != self.roles.len();
        if ragged {
            let (fields, wanted) = (record.len(), self.roles.len());
            let words = || Some(format!("{} where the header has {wanted}", counted(fields as u64, "field", "fields")));
            self.refusals.note_with(Reason::Ragged, usize::MAX, row, words);
        }
        for (i, role) in self.roles.iter().enumerate() {
            let cell = if ragged { None } else { record.get(i) };
            let text = match cell.map(std::str::from_utf8) {
                Some(Ok(text)) => Some(text),
                Some(Err(_)) if !ascii => {
                    self.refusals.note(Reason::InvalidUtf8, i, row);
                    None
                }
                _ => None,
            };
            match role {
                Role::Unused => {}
                Role::Feature(place) => {
                    let value = text.map_or(Ok(0.0), number).unwrap_or_else(|reason| {
                        self.refusals.note(reason, i, row);
                        0.0
                    });
                    if let Some(Column { values: Values::Number(values), .. }) = self.columns.get_mut(*place) {
                        values.push(value);
                    }
                }
                Role::Label => {
                    let value = text.map_or(Ok(0.0), number);
                    if !matches!(value, Ok(0.0 | 1.0)) {
                        self.refusals.note(Reason::Label, i, row);
                    }
                    self.label.push(value == Ok(1.0));
                }
                Role::Split => {
                    let mark = text.map_or(Some(Split::Train), |text| match text.trim_matches(is_blank) {
                        "train" => Some(Split::Train),
                        "test" => Some(Split::Test),
                        _ => None,
                    });
                    if mark.is_none() {
                        self.refusals.note(Reason::Split, i, row);
                    }
                    self.split.push(mark.unwrap_or(Split::Train));
                }
                Role::Id => {
                    let Some(text) = text else {
                        self.ids.push(String::new());
                        continue;
                    };
                    let id = canonical_id(self.spec.id_kind, text).map(|id| {
                        self.counts.ids_trimmed += u64::from(id.trimmed);
                        self.counts.ids_rewritten += u64::from(id.rewritten);
                        self.counts.ids_repaired += u64::from(id.trimmed || id.rewritten);
                        if id.unassigned_country {
                            let (count, first) = self.unassigned.unwrap_or((0, row));
                            self.unassigned = Some((count + 1, first));
                        }
                        self.decimals += u64::from(self.spec.id_kind == IdKind::Opaque && is_decimal(&id.text));
                        id.text
                    });
                    self.ids.push(id.unwrap_or_else(|problem| {
                        if self.spec.skip_invalid_ids {
                            self.skipped.push((row, problem));
                            return String::new();
                        }
                        let reason = if problem == IdProblem::Empty { Reason::EmptyId } else { Reason::IdNotOfKind };
                        self.refusals.note(reason, i, row);
                        String::new()
                    }));
                }
            }
        }
    }

    /// The row-count proof: the CSV reader's rows are the file's physical records, and every row was kept or refused.
    fn prove(&self, seen: &Physical) -> Result<(), Failure> {
        let rows = self.counts.rows;
        if seen.open_quote {
            let what = "a quote is never closed, so that the last row runs to the end of the file";
            let place = if rows == 0 { "header".to_owned() } else { format!("row {}", grouped(rows)) };
            let place = format!("{}, {place}", file_name(self.spec));
            return Err(refuse(self.spec, 311, what).at(place).hint("close the quote, or write the file again"));
        }
        if let Some((count, records)) = seen.blank_inside {
            let what = format!("{} between the rows", counted(count, "blank line is", "blank lines are"));
            let place = match records {
                0 => "before the header".to_owned(),
                1 => "after the header".to_owned(),
                records => format!("first after row {}", grouped(records - 1)),
            };
            return Err(refuse(self.spec, 312, what).at(format!("{}, {place}", file_name(self.spec))).hint("remove the blank lines"));
        }
        let filled = self.ids.len() as u64 == rows && self.columns.iter().all(|column| column.values.rows() as u64 == rows);
        if seen.records != rows + 1 || !filled {
            let (got, want) = (grouped(rows), grouped(seen.records.saturating_sub(1)));
            let what = format!("row count proof failed: {got} rows were read, {want} are in the file");
            return Err(Failure::new(Exit::Internal, 330, what).at(file_name(self.spec)));
        }
        Ok(())
    }

    /// Sorts row numbers by id, so that nothing is copied and nothing can collide.
    fn find_duplicates(&mut self) -> Result<(), Failure> {
        let Ok(rows) = u32::try_from(self.ids.len()) else {
            return Err(Failure::new(Exit::Cap, 331, "the file has more than 4,294,967,295 rows").at(file_name(self.spec)));
        };
        let ids = &self.ids;
        let id = |row: u32| ids.get(row as usize).map_or("", String::as_str);
        let mut order: Vec<u32> = (0..rows).filter(|row| !id(*row).is_empty()).collect();
        order.par_sort_unstable_by(|a, b| id(*a).cmp(id(*b)).then(a.cmp(b)));
        let mut repeats: Vec<(u32, u32)> = Vec::new();
        for same in order.chunk_by(|a, b| id(*a) == id(*b)) {
            if let Some((first, later)) = same.split_first() {
                repeats.extend(later.iter().map(|row| (*row, *first)));
            }
        }
        repeats.sort_unstable();
        let column = self.roles.iter().position(|role| matches!(role, Role::Id)).unwrap_or(usize::MAX);
        for (row, first) in repeats {
            let words = || Some(format!("it repeats row {}", grouped(u64::from(first) + 1)));
            self.refusals.note_with(Reason::DuplicateId, column, u64::from(row) + 1, words);
        }
        Ok(())
    }
}

/// Drops the skipped rows from ids and columns.
fn leave_out(ids: &mut Vec<String>, columns: &mut [Column], skipped: &[(u64, IdProblem)]) {
    if skipped.is_empty() {
        return;
    }
    let mut keep = vec![true; ids.len()];
    for (row, _) in skipped {
        if let Some(kept) = usize::try_from(*row).ok().and_then(|row| keep.get_mut(row.wrapping_sub(1))) {
            *kept = false;
        }
    }
    fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
        let mut keep = keep.iter();
        values.retain(|_| keep.next().copied().unwrap_or(true));
    }
    retain(ids, &keep);
    for column in columns {
        match &mut column.values {
            Values::Number(values) => retain(values, &keep),
            Values::Text { codes, .. } => retain(codes, &keep),
        }
    }
}

/// Finds what each column is for.
fn roles(header: &[String], spec: &TableSpec) -> Result<Vec<Role>, Failure> {
    let label = spec.label.as_ref().filter(|_| !spec.ids_only);
    let split = spec.split.as_ref().filter(|_| !spec.ids_only);
    let wanted = [(304, "id", Some(&spec.id)), (305, "label", label), (306, "split", split)];
    for (number, role, name) in wanted {
        let Some(name) = name.filter(|name| !header.contains(name)) else { continue };
        // Other names are shown only when near: in a file without a header the first line holds data.
        let near = nearest(name, header.iter().map(String::as_str));
        let hint = near.map_or_else(
            || format!("name the {role} column of this file; its first line must be the header"),
            |near| format!("did you mean {}?", shown(near)),
        );
        let what = format!("the file has no {role} column {} among its {}", shown(name), counted(header.len() as u64, "column", "columns"));
        return Err(refuse(spec, number, what).hint(hint));
    }
    for (i, name) in header.iter().enumerate() {
        if name.is_empty() {
            return Err(refuse(spec, 308, format!("column {} has no name", i + 1))
                .hint("name it or remove it; data-frame tools write their row index so"));
        }
        if let Some(earlier) = header.iter().take(i).position(|other| other == name) {
            return Err(refuse(spec, 307, format!("columns {} and {} are both named {}", earlier + 1, i + 1, shown(name)))
                .hint("rename one of them"));
        }
    }
    let mut features = 0;
    let roles = header.iter().map(|name| {
        if *name == spec.id {
            Role::Id
        } else if label == Some(name) {
            Role::Label
        } else if split == Some(name) {
            Role::Split
        } else if spec.ids_only || spec.exclude.contains(name) || spec.only.as_ref().is_some_and(|only| !only.contains(name)) {
            Role::Unused
        } else {
            features += 1;
            Role::Feature(features - 1)
        }
    });
    let roles: Vec<Role> = roles.collect();
    if features == 0 && !spec.ids_only && spec.only.is_none() {
        return Err(refuse(spec, 309, "the file has no feature columns")
            .hint("a model needs at least one numeric column besides the id, label, split and excluded ones"));
    }
    Ok(roles)
}

/// A finite number of sensible size; negative zero becomes zero.
fn number(text: &str) -> Result<f64, Reason> {
    let value = match text.parse::<f64>() {
        Ok(value) => value,
        Err(_) => {
            let core = text.trim_matches(is_blank);
            if core.is_empty() {
                return Err(Reason::EmptyCell);
            }
            core.parse::<f64>().map_err(|_| Reason::NotNumber)?
        }
    };
    match value.abs() {
        size if size <= LARGEST_VALUE => Ok(value + 0.0),
        size if size.is_finite() => Err(Reason::TooLarge),
        _ => Err(Reason::NotFinite),
    }
}

fn is_decimal(id: &str) -> bool {
    id.strip_suffix(".0").is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Both classes must train, and both splits must have rows.
fn check_label(table: &Table, spec: &TableSpec) -> Result<(), Failure> {
    let Some(label) = &table.label else { return Ok(()) };
    let trains = |row: usize| table.split.as_ref().is_none_or(|split| split.get(row) == Some(&Split::Train));
    let training = (0..label.len()).filter(|row| trains(*row)).count() as u64;
    let positive = label.iter().enumerate().filter(|(row, label)| **label && trains(*row)).count() as u64;
    for (rows, mark) in [(training, "train"), (label.len() as u64 - training, "test")] {
        if table.split.is_some() && rows == 0 {
            return Err(refuse(spec, 324, format!("no row is marked {mark} in column {}", shown(spec.split.as_deref().unwrap_or("")))));
        }
    }
    if positive == 0 || positive == training {
        let class = u8::from(positive > 0);
        let what = format!("the label is {class} in all {} training rows", grouped(training));
        return Err(refuse(spec, 322, what).hint("a model needs rows of both classes"));
    }
    Ok(())
}

/// Refuses owner columns that know the answer.
fn check_leaks(table: &Table, spec: &TableSpec) -> Result<(), Failure> {
    let Some(label) = &table.label else { return Ok(()) };
    let trains = |row: usize| table.split.as_ref().is_none_or(|split| split.get(row) == Some(&Split::Train));
    let leaks = leaking(&table.columns, label, &spec.allow_leaky, trains);
    let Some((worst, _)) = leaks.first() else { return Ok(()) };
    let list: Vec<String> = leaks.iter().map(|(name, auc)| format!("{} (AUC {auc:.4})", shown(name))).collect();
    let many = counted(leaks.len() as u64, "column predicts", "columns predict");
    let what = format!("{many} the label alone, beyond AUC {LEAK_AUC} or below {:.3}: {}", 1.0 - LEAK_AUC, list.join(", "));
    let hint = "exclude what is known only after the event (another label, its amount); allow_leaky names a column that may stay";
    Err(refuse(spec, 323, what).at(format!("{}, column {}", file_name(spec), shown(worst))).hint(hint))
}
