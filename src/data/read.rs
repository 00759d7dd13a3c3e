//! Reads one party's files into a checked table: batch by batch in a stream, columns in parallel, rows proved complete.

use super::csv_file::CsvFile;
use super::feature::Feature;
use super::id_column::{IdCounts, Ids};
use super::ids::{IdProblem, PART_SEPARATOR, Region};
use super::leaks::check_leaks;
use super::lock::Lock;
use super::parquet_file::ParquetFile;
use super::refusals::{About, Places, Reason, Refusals};
use super::roles::{Role, check_header, roles};
use super::rows::{Batch, Typed, type_name, typed_kind};
use super::source::{Format, Input, inputs, refuse};
use super::targets::{Label, LabelKind, Marks};
use super::wish::ColumnKind;
use super::wording::{grouped, megabytes, shown};
use super::{Column, FileRead, ReadCounts, Side, Split, Table, TableSpec, Values, Warning, quality};
use crate::error::{Exit, Failure};
use rayon::prelude::*;

/// Reads and checks one party's files.
///
/// # Errors
/// Exit code 13 with everything that is refused, its counts, column and first row (data rows are counted from 1): see the module's
/// first lines. Exit code 17 when the table needs more than `max_memory`. Exit code 2 when the settings contradict each other.
pub fn read_table(spec: &TableSpec, side: Side) -> Result<Table, Failure> {
    spec.check(side)?;
    let inputs = inputs(&spec.path)?;
    let lock = spec.lock.as_ref().map(|path| Lock::load(path).map(|lock| (lock, path))).transpose()?;
    if let Some((lock, path)) = &lock {
        lock.check_content(&inputs, path)?;
    }
    let read = read(spec, &inputs)?;
    if let Some((lock, path)) = &lock {
        lock.check_columns(&read, path)?;
    }
    let Read { mut table, refusals, header, places, .. } = read;
    let about = About { header: &header, rows: table.counts.rows, kind: spec.id_kind, label: spec.label_kind, places: &places };
    if let Some(failure) = refusals.failure(&about) {
        return Err(failure);
    }
    leave_out(&mut table);
    check_label(&table, spec)?;
    check_leaks(&table, spec)?;
    Ok(table)
}

/// Drops the rows that are skipped for want of a usable id.
fn leave_out(table: &mut Table) {
    if table.skipped.is_empty() {
        return;
    }
    let mut keep = vec![true; table.ids.len()];
    for (row, _) in &table.skipped {
        if let Some(kept) = usize::try_from(*row).ok().and_then(|row| keep.get_mut(row.wrapping_sub(1))) {
            *kept = false;
        }
    }
    fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
        let mut keep = keep.iter();
        values.retain(|_| keep.next().copied().unwrap_or(true));
    }
    retain(&mut table.ids, &keep);
    table.keys.iter_mut().for_each(|key| retain(key, &keep));
    for column in table.columns.iter_mut().chain(&mut table.channel) {
        match &mut column.values {
            Values::Number(values) => retain(values, &keep),
            Values::Text { codes, .. } => retain(codes, &keep),
        }
    }
    table.label.iter_mut().for_each(|label| retain(label, &keep));
    table.labels.iter_mut().for_each(|label| retain(label, &keep));
    table.split.iter_mut().for_each(|split| retain(split, &keep));
}

/// Files read to their end, good or not.
pub(super) struct Read {
    /// What was read; a refused cell fills its place.
    pub table: Table,
    pub refusals: Refusals,
    pub header: Vec<String>,
    pub roles: Vec<Role>,
    pub places: Places,
    pub ids: IdCounts,
}

/// Reads every row of every file.
pub(super) fn read(spec: &TableSpec, inputs: &[Input]) -> Result<Read, Failure> {
    let region = match &spec.region {
        None => None,
        Some(code) => Some(
            Region::from_code(code)
                .ok_or_else(|| Failure::new(Exit::Usage, 342, format!("{} is no region", shown(code))).hint("two capitals, such as DE"))?,
        ),
    };
    let mut reading = Reading { spec, region, header: Vec::new(), roles: Vec::new(), sinks: Sinks::default(), places: Places::default() };
    let (files, counts) = reading.pass(inputs)?;
    reading.finish(inputs, files, counts)
}

/// Where the cells go.
#[derive(Default)]
struct Sinks {
    ids: Option<Ids>,
    /// Further keys of a cascade.
    more_keys: Vec<Ids>,
    labels: Vec<Label>,
    split: Option<Marks>,
    features: Vec<Feature>,
    refusals: Refusals,
}

impl Sinks {
    /// Takes a batch, columns in parallel; `order` gives each column of the header its place in this file.
    fn take(&mut self, batch: &Batch, order: &[usize], first: u64) {
        let Self { ids, more_keys, labels, split, features, .. } = self;
        let place = |column: usize| order.get(column).copied().unwrap_or(usize::MAX);
        let ids = || {
            for ids in ids.iter_mut().chain(more_keys) {
                let places: Vec<usize> = ids.columns.iter().map(|column| place(*column)).collect();
                ids.take(batch, &places, first);
            }
            for label in labels {
                label.take(batch, place(label.column), first);
            }
            if let Some(split) = split {
                split.take(batch, place(split.column), first);
            }
        };
        let features = || features.par_iter_mut().for_each(|feature| feature.take(batch, place(feature.column), first));
        rayon::join(ids, features);
    }

    /// Bytes that the table holds by now.
    fn bytes(&self) -> u64 {
        let labels = self.labels.iter().map(|label| 9 * label.values.len()).sum::<usize>();
        let marks = labels + self.split.as_ref().map_or(0, |split| split.values.len());
        marks as u64
            + self.ids.iter().chain(&self.more_keys).map(Ids::bytes).sum::<u64>()
            + self.features.iter().map(Feature::bytes).sum::<u64>()
    }

    /// Whether every sink has so many rows.
    fn filled(&self, rows: u64) -> bool {
        let mut lengths = self.features.iter().map(Feature::rows).collect::<Vec<_>>();
        lengths.extend(self.ids.iter().chain(&self.more_keys).map(|ids| ids.ids.len()));
        lengths.extend(self.labels.iter().map(|label| label.values.len()));
        lengths.extend(self.split.as_ref().map(|split| split.values.len()));
        lengths.iter().all(|length| *length as u64 == rows)
    }
}

struct Reading<'a> {
    spec: &'a TableSpec,
    region: Option<Region>,
    header: Vec<String>,
    roles: Vec<Role>,
    sinks: Sinks,
    places: Places,
}

/// One file being read, of either format.
enum Open {
    Csv(Box<CsvFile>),
    Parquet(Box<ParquetFile>),
}

impl Open {
    fn next(&mut self, spare: Option<Batch>) -> Result<Option<Batch>, Failure> {
        match self {
            Self::Csv(file) => file.next(spare),
            Self::Parquet(file) => file.next(),
        }
    }

    /// The share of the file that was read.
    fn share(&self, input: &Input) -> f64 {
        match self {
            Self::Csv(file) => file.bytes() as f64 / input.bytes.max(1) as f64,
            Self::Parquet(file) => file.rows as f64 / file.announced.max(1) as f64,
        }
    }
}

impl Reading<'_> {
    /// Reads all files once, into the sinks there are.
    fn pass(&mut self, inputs: &[Input]) -> Result<(Vec<FileRead>, ReadCounts), Failure> {
        let mut counts = ReadCounts::default();
        let mut files = Vec::new();
        self.places = Places::default();
        for (place, input) in inputs.iter().enumerate() {
            self.places.begin(&input.name, counts.rows);
            let before = counts.rows;
            let (mut file, order) = self.open(input, before, place == 0)?;
            let mut spare = None;
            let mut current = file.next(None)?;
            while let Some(batch) = current {
                let sinks = &mut self.sinks;
                let (next, ()) = rayon::join(|| file.next(spare.take()), || sinks.take(&batch, &order, counts.rows + 1));
                counts.rows += batch.rows() as u64;
                self.within_memory(inputs, place, &file, counts.rows - before)?;
                spare = Some(batch);
                current = next?;
            }
            files.push(self.prove(input, file, counts.rows - before, &mut counts)?);
            if !self.sinks.filled(counts.rows) {
                let what = format!("row count proof failed: not every column has the {} rows that were read", grouped(counts.rows));
                return Err(Failure::new(Exit::Internal, 330, what).at(input.name.clone()));
            }
        }
        if counts.rows == 0 {
            let name = inputs.first().map_or("", |input| &input.name);
            return Err(refuse(name, 303, "the file has a header and no rows"));
        }
        if u32::try_from(counts.rows).is_err() {
            return Err(Failure::new(Exit::Cap, 331, "there are more than 4,294,967,295 rows").at(self.spec.path.display().to_string()));
        }
        Ok((files, counts))
    }

    /// Opens a file and finds the header's columns in it.
    fn open(&mut self, input: &Input, before: u64, first: bool) -> Result<(Open, Vec<usize>), Failure> {
        let mut file = match input.format {
            Format::Csv(dialect) => Open::Csv(Box::new(CsvFile::open(input, dialect, before)?)),
            Format::Parquet => Open::Parquet(Box::new(ParquetFile::open(input)?)),
        };
        let header = match &file {
            Open::Csv(file) => file.header.clone(),
            Open::Parquet(file) => file.header.iter().map(|name| name.trim().to_owned()).collect(),
        };
        if first && self.roles.is_empty() {
            self.roles = roles(&input.name, &header, self.spec)?;
            self.header = header.clone();
            self.start();
        }
        if header != self.header {
            self.same_columns(input, &header)?;
        }
        let order: Vec<usize> =
            self.header.iter().map(|name| header.iter().position(|other| other == name).unwrap_or(usize::MAX)).collect();
        if let Open::Parquet(file) = &mut file {
            self.check_types(file, input, &order)?;
            let mut wanted = vec![false; header.len()];
            for (place, _) in order.iter().zip(self.wanted()).filter(|(_, wanted)| *wanted) {
                wanted.get_mut(*place).into_iter().for_each(|wanted| *wanted = true);
            }
            file.choose(&wanted)?;
        }
        Ok((file, order))
    }

    /// For each column of the header whether a sink takes it.
    fn wanted(&self) -> Vec<bool> {
        let takes = |column: usize| match self.roles.get(column) {
            Some(Role::Id(_)) => self.sinks.ids.is_some(),
            Some(Role::Label(_)) => !self.sinks.labels.is_empty(),
            Some(Role::Split) => self.sinks.split.is_some(),
            Some(Role::Feature) => self.sinks.features.iter().any(|feature| feature.column == column),
            Some(Role::Unused) | None => false,
        };
        (0..self.header.len()).map(takes).collect()
    }

    /// Makes the sinks from the roles.
    fn start(&mut self) {
        let at = |role: Role| self.roles.iter().position(|other| *other == role);
        let ids: Vec<usize> = (0..self.roles.len()).map_while(|part| at(Role::Id(part))).collect();
        let skip = self.spec.skip_invalid_ids;
        let (mut columns, first) = (ids.into_iter(), self.spec.id_columns().count());
        let ids: Vec<usize> = columns.by_ref().take(first).collect();
        self.sinks.ids = (!ids.is_empty()).then(|| Ids::new(ids, self.spec.id_kind, self.region, skip));
        let more = self.spec.more_keys.iter();
        self.sinks.more_keys =
            more.map(|(kind, names)| Ids::new(columns.by_ref().take(names.len()).collect(), *kind, self.region, skip)).collect();
        if !self.sinks.more_keys.is_empty() {
            self.sinks.ids.iter_mut().chain(&mut self.sinks.more_keys).for_each(|ids| ids.optional = true);
        }
        let labels = (0..self.roles.len()).map_while(|place| at(Role::Label(place)));
        self.sinks.labels = labels.map(|column| Label::new(column, self.spec.label_kind)).collect();
        self.sinks.split = at(Role::Split).map(Marks::new);
        let features = self.header.iter().zip(&self.roles).enumerate().filter(|(_, (_, role))| **role == Role::Feature);
        self.sinks.features = features.map(|(column, (name, _))| Feature::new(column, name, self.spec.wishes.get(name))).collect();
    }

    /// A further file must have the first one's columns, in any order.
    fn same_columns(&self, input: &Input, header: &[String]) -> Result<(), Failure> {
        check_header(&input.name, header)?;
        let absent = |these: &[String], those: &[String]| these.iter().find(|name| !those.contains(name)).cloned();
        let what = match (absent(&self.header, header), absent(header, &self.header)) {
            (Some(name), _) => format!("the files have different columns: {} is missing here", shown(&name)),
            (None, Some(name)) => format!("the files have different columns: {} is in this one and not in the first", shown(&name)),
            (None, None) => return Ok(()),
        };
        Err(refuse(&input.name, 336, what).hint("all files of a pattern need the same columns; their order may differ"))
    }

    /// Typed files: every column must have a type that its role can use.
    fn check_types(&mut self, file: &ParquetFile, input: &Input, order: &[usize]) -> Result<(), Failure> {
        for (column, role) in self.roles.iter().enumerate() {
            let Some(data_type) = order.get(column).and_then(|place| file.types.get(*place)) else { continue };
            let kind = typed_kind(data_type);
            let fits = match role {
                Role::Unused => true,
                Role::Feature => kind.is_some(),
                Role::Label(_) => matches!(kind, Some(Typed::Number | Typed::Text)),
                Role::Split => kind == Some(Typed::Text),
                Role::Id(_) => matches!(kind, Some(Typed::Number | Typed::Text)) && *data_type != arrow_schema::DataType::Boolean,
            };
            let name = self.header.get(column).map_or("", String::as_str);
            if !fits {
                let what = format!("column {} is of type {}, which no {} can be", shown(name), type_name(data_type), role.name());
                let hint = if *role == Role::Feature { "exclude it, or write it as numbers or text" } else { "write it as text" };
                return Err(refuse(&input.name, 335, what).hint(hint));
            }
            let feature = self.sinks.features.iter_mut().find(|feature| feature.column == column);
            if let (Some(feature), Some(kind)) = (feature, kind)
                && *data_type != arrow_schema::DataType::Null
                && !feature.set_typed(kind)
            {
                let what =
                    format!("column {} is of type {} here and of another kind in an earlier file", shown(name), type_name(data_type));
                return Err(refuse(&input.name, 336, what).hint("write all files with the same types"));
            }
        }
        Ok(())
    }

    /// Fails when the table is larger than allowed.
    fn within_memory(&self, inputs: &[Input], place: usize, file: &Open, rows: u64) -> Result<(), Failure> {
        let Some(most) = self.spec.max_memory else { return Ok(()) };
        let held = self.sinks.bytes();
        if held <= most {
            return Ok(());
        }
        let bytes = |inputs: &[Input]| inputs.iter().map(|input| input.bytes).sum::<u64>() as f64;
        let (Some(input), Some(before)) = (inputs.get(place), inputs.get(..place)) else { return Ok(()) };
        let read = bytes(before) + file.share(input).min(1.0) * input.bytes as f64;
        let needed = held as f64 * bytes(inputs) / read.max(1.0);
        let what = format!("the table needs about {} of memory, {} are allowed", megabytes(needed as u64), megabytes(most));
        Err(Failure::new(Exit::Cap, 332, what)
            .at(format!("{}, after row {}", input.name, grouped(rows)))
            .hint("raise max_memory, exclude columns, or bring fewer rows"))
    }

    /// What one file's proof found.
    fn prove(&mut self, input: &Input, file: Open, rows: u64, counts: &mut ReadCounts) -> Result<FileRead, Failure> {
        counts.bytes += input.bytes;
        let mut read =
            FileRead { name: input.name.clone(), format: input.format, rows, bytes: input.bytes, unterminated: false, multi_line: None };
        match file {
            Open::Csv(file) => {
                let seen = file.prove(input)?;
                counts.byte_order_mark |= seen.byte_order_mark;
                counts.crlf_lines += seen.crlf;
                counts.trailing_blank_lines += seen.blank_run;
                (read.unterminated, read.multi_line) = (seen.unterminated, seen.multi_line);
                self.sinks.refusals.merge(file.refusals);
            }
            Open::Parquet(file) => file.prove()?,
        }
        input.unchanged(&input.reader()?)?;
        Ok(read)
    }

    fn finish(mut self, inputs: &[Input], files: Vec<FileRead>, mut counts: ReadCounts) -> Result<Read, Failure> {
        let mut warnings: Vec<Warning> = Vec::new();
        let absent = self.spec.exclude.iter().filter(|name| !self.header.contains(name));
        warnings.extend(absent.map(|name| Warning::ExcludedIsAbsent { column: name.clone() }));
        let unmet = self.spec.wishes.keys().filter(|name| !self.header.contains(name));
        warnings.extend(unmet.map(|name| Warning::WishedIsAbsent { column: name.clone() }));

        let Sinks { mut ids, mut more_keys, labels, split, features, mut refusals } = std::mem::take(&mut self.sinks);
        let mut again = Vec::new();
        let mut columns = Columns::default();
        let finished: Vec<_> = features.into_par_iter().map(|feature| (feature.column, feature.finish())).collect();
        for (place, finished) in finished {
            match finished.column {
                Ok(column) => columns.add(place, column, finished.missing, finished.repaired, finished.numbers_as_text),
                Err(kind) => again.push((place, kind)),
            }
            if !again.iter().any(|(column, _)| *column == place) {
                refusals.merge(finished.refusals);
            }
        }
        if !again.is_empty() {
            self.again(inputs, &again, counts.rows, &mut columns, &mut refusals)?;
        }
        columns.found.sort_by_key(|(place, _)| *place);
        for ids in ids.iter_mut().chain(&mut more_keys) {
            ids.finish(&self.places, &mut warnings);
            refusals.merge(std::mem::take(&mut ids.refusals));
        }
        let labels: Vec<Vec<f64>> = labels
            .into_iter()
            .map(|label| {
                refusals.merge(label.refusals);
                label.values
            })
            .collect();
        let label = labels.last().map(|values| self.spec.label_kind.classes(values));
        let split = split.map(|split| {
            refusals.merge(split.refusals);
            split.values
        });
        let mut keys = Vec::new();
        if let Some(first) = &mut ids
            && !more_keys.is_empty()
        {
            keys = self.cascade(first, more_keys, &mut warnings, &mut refusals);
        }
        let (ids, id_counts, skipped) = ids.map_or_else(Default::default, |ids| (ids.ids, ids.counts, ids.skipped.unwrap_or_default()));
        (counts.ids_trimmed, counts.ids_rewritten, counts.ids_repaired) = (id_counts.trimmed, id_counts.rewritten, id_counts.repaired);
        counts.ids_from_floats = id_counts.floats;
        (counts.missing_cells, counts.numbers_repaired) = (columns.missing.iter().map(|(_, n)| n).sum(), columns.repaired);
        let mut found: Vec<Column> = columns.found.into_iter().map(|(_, column)| column).collect();
        if !columns.missing.is_empty() {
            columns.missing.sort_by_key(|(name, _)| self.header.iter().position(|other| other == name));
            warnings.push(Warning::MissingCells { cells: counts.missing_cells, columns: columns.missing });
        }
        if columns.repaired > 0 {
            warnings.push(Warning::NumbersRepaired { count: columns.repaired });
        }
        warnings.extend(columns.numbers_as_text.into_iter().map(|column| Warning::NumbersAsText { column }));
        warnings.extend(quality::column_warnings(&found));
        warnings.extend(files.iter().filter(|file| file.unterminated).map(|_| Warning::NoFinalLineEnd));
        let lines = files.iter().filter_map(|file| file.multi_line);
        warnings.extend(lines.map(|(count, first)| Warning::MultiLineRows { count, first: first.saturating_sub(1) }));
        let channel = self.spec.channel.as_ref().and_then(|name| {
            let place = found.iter().position(|column| column.name == *name)?;
            // An excluded column is read for this only.
            Some(if self.spec.exclude.contains(name) { found.remove(place) } else { found[place].clone() })
        });
        let table = Table { ids, keys, columns: found, label, labels, channel, split, warnings, counts, files, skipped };
        Ok(Read { table, refusals, header: self.header, roles: self.roles, places: self.places, ids: id_counts })
    }

    /// All keys of a cascade, row by row. Afterwards the first one's `ids` are all keys joined, and its skipped rows those without any key,
    /// which are refused where nothing is skipped.
    fn cascade(&self, first: &mut Ids, more: Vec<Ids>, warnings: &mut Vec<Warning>, refusals: &mut Refusals) -> Vec<Vec<String>> {
        let rows = first.ids.len();
        let all = || std::iter::once(&*first).chain(&more);
        for ids in all().filter(|ids| ids.without() > 0) {
            let column = ids.columns.first().and_then(|column| self.header.get(*column)).cloned().unwrap_or_default();
            warnings.push(Warning::RowsWithoutKey { column, count: ids.without() });
        }
        // A row whose cell is refused has been told already.
        let told: std::collections::BTreeSet<u64> = all().flat_map(|ids| ids.refused.iter().copied()).collect();
        let lacks = |row: &usize| all().all(|ids| ids.ids.get(*row).is_none_or(String::is_empty)) && !told.contains(&(*row as u64 + 1));
        let keyless: Vec<usize> = (0..rows).filter(lacks).collect();
        let joined = |row: usize| all().map(|ids| ids.text(row)).collect::<Vec<_>>().join(&PART_SEPARATOR.to_string());
        let joined: Vec<String> = (0..rows).into_par_iter().map(joined).collect();
        let column = first.columns.first().copied().unwrap_or_default();
        match &mut first.skipped {
            Some(skipped) => {
                // Why the first key is missing says why the row is left out.
                let known: std::collections::BTreeMap<u64, IdProblem> = skipped.drain(..).collect();
                let why = |row: usize| known.get(&(row as u64 + 1)).copied().unwrap_or(IdProblem::Empty);
                skipped.extend(keyless.iter().map(|row| (*row as u64 + 1, why(*row))));
            }
            None => {
                let lacking = keyless.first().map_or(0, |row| *row as u64 + 1);
                refusals.note_many(Reason::EmptyId, column, keyless.len() as u64, lacking);
            }
        }
        let ids = std::mem::replace(&mut first.ids, joined);
        std::iter::once(ids).chain(more.into_iter().map(|ids| ids.ids)).collect()
    }

    /// Reads the files once more for columns whose first guess was wrong.
    fn again(
        &mut self,
        inputs: &[Input],
        columns: &[(usize, ColumnKind)],
        rows: u64,
        into: &mut Columns,
        refusals: &mut Refusals,
    ) -> Result<(), Failure> {
        let feature = |(column, kind): &(usize, ColumnKind)| {
            let name = self.header.get(*column).map_or("", String::as_str);
            Feature::again(*column, name, self.spec.wishes.get(name), *kind)
        };
        self.sinks = Sinks { features: columns.iter().map(feature).collect(), ..Sinks::default() };
        let (_, counts) = self.pass(inputs)?;
        if counts.rows != rows {
            let name = self.spec.path.display().to_string();
            return Err(refuse(&name, 337, "the file was changed while it was read").hint("wait until it is written, then run again"));
        }
        for feature in std::mem::take(&mut self.sinks.features) {
            let (place, finished) = (feature.column, feature.finish());
            refusals.merge(finished.refusals);
            if let Ok(column) = finished.column {
                into.add(place, column, finished.missing, finished.repaired, finished.numbers_as_text);
            }
        }
        Ok(())
    }
}

/// Finished columns and what was counted of them.
#[derive(Default)]
struct Columns {
    found: Vec<(usize, Column)>,
    missing: Vec<(String, u64)>,
    repaired: u64,
    numbers_as_text: Vec<String>,
}

impl Columns {
    fn add(&mut self, place: usize, column: Column, missing: u64, repaired: u64, numbers_as_text: bool) {
        if missing > 0 {
            self.missing.push((column.name.clone(), missing));
        }
        if numbers_as_text {
            self.numbers_as_text.push(column.name.clone());
        }
        self.repaired += repaired;
        self.found.push((place, column));
    }
}

/// Both classes must train, and both splits must have rows.
pub(super) fn check_label(table: &Table, spec: &TableSpec) -> Result<(), Failure> {
    let Some(label) = &table.label else { return Ok(()) };
    let name = spec.path.display().to_string();
    let trains = |row: usize| table.split.as_ref().is_none_or(|split| split.get(row) == Some(&Split::Train));
    let training = (0..label.len()).filter(|row| trains(*row)).count() as u64;
    let positive = label.iter().enumerate().filter(|(row, label)| **label && trains(*row)).count() as u64;
    for (rows, mark) in [(training, "train"), (label.len() as u64 - training, "test")] {
        if table.split.is_some() && rows == 0 {
            let column = shown(spec.split.as_deref().unwrap_or(""));
            return Err(refuse(&name, 324, format!("no row is marked {mark} in column {column}")));
        }
    }
    if positive == 0 || positive == training {
        let (what, hint) = match (spec.label_kind, positive > 0) {
            (LabelKind::YesNo, yes) => (format!("the label is {} in all", u8::from(yes)), "a model needs rows of both classes"),
            (LabelKind::Number, _) => ("the label is the same in all".to_owned(), "a model needs labels that differ"),
            (LabelKind::Count | LabelKind::Amount, false) => ("the label is 0 in all".to_owned(), "a model needs labels above 0"),
            // Amounts and counts may all be above 0; a hurdle's first part then has nothing to learn, which its run says.
            (LabelKind::Count | LabelKind::Amount, true) => return Ok(()),
        };
        return Err(refuse(&name, 322, format!("{what} {} training rows", grouped(training))).hint(hint));
    }
    Ok(())
}

/// Missing cells of a column.
pub(super) fn missing_cells(values: &Values) -> u64 {
    match values {
        Values::Number(values) => values.iter().filter(|value| value.is_nan()).count() as u64,
        Values::Text { codes, .. } => codes.iter().filter(|code| **code == super::MISSING).count() as u64,
    }
}
