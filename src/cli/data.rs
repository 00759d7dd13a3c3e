//! `data check`: a look at this side's files before any job; prints a page and writes a lock.

use crate::cli::flags::{DataCheckFlags, DataCommand, DataFlags};
use crate::cli::{say, task};
use crate::data::wording::{byte_size, shown, suggestion};
use crate::data::{IdKind, STANDARD_INPUT, Side, TableSpec, check};
use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::results::write_private;
use std::path::PathBuf;

/// Runs a command on this side's data.
///
/// # Errors
/// By what failed; exit code 13 after the page where the data are refused.
pub fn data(side: Side, flags: &DataFlags) -> Result<(), Failure> {
    match &flags.command {
        DataCommand::Check(flags) => check_data(side, flags),
    }
}

fn check_data(side: Side, flags: &DataCheckFlags) -> Result<(), Failure> {
    let usage = |number: u16, what: String| Failure::new(Exit::Usage, number, what);
    let id_kind = match &flags.id_kind {
        // Without a kind, several columns are opaque ones.
        None => "opaque+".repeat(flags.id.len().max(1)).trim_end_matches('+').to_owned(),
        Some(name) => name.clone(),
    };
    let id_kind = IdKind::from_name(&id_kind).ok_or_else(|| {
        let names = IdKind::ALL.map(IdKind::name);
        let known = "opaque, email, phone, hash, device, or two or three joined by + for as many id columns";
        usage(931, format!("unknown id kind {}", shown(&id_kind))).hint(suggestion(&id_kind, names, known))
    })?;
    let max_memory = match &flags.max_memory {
        None => None,
        Some(text) => Some(byte_size(text).ok_or_else(|| usage(932, format!("{} is no size", shown(text))).hint("such as 2G or 512M"))?),
    };
    let (id, more_ids) = flags.id.split_first().map_or((String::new(), Vec::new()), |(id, more)| (id.clone(), more.to_vec()));
    let spec = TableSpec {
        id_kind,
        more_ids,
        label: flags.label.last().cloned(),
        earlier_labels: flags.label.split_last().map(|(_, earlier)| earlier.to_vec()).unwrap_or_default(),
        label_kind: task(&flags.task)?.label_kind(),
        split: flags.split.clone(),
        exclude: flags.exclude.clone(),
        region: flags.region.clone(),
        max_memory,
        ..TableSpec::new(&flags.file, id)
    };
    let progress = Terminal::lines(side);
    progress.busy("reading the files");
    let page = check(&spec, side)?;
    drop(progress);
    let mut text = if flags.json { page.to_json_line()? } else { page.to_text() };
    let mut lock = None;
    let wanted = page.refused.is_empty() && !flags.no_lock;
    if let Some(path) = lock_path(flags).filter(|_| wanted) {
        write_private(&path, page.lock.to_json()?.as_bytes())?;
        lock = Some(path);
    }
    if !flags.json {
        text.push_str(&match &lock {
            Some(path) => format!("\nlock     {}", path.display()),
            None => "\nlock     none written".to_owned(),
        });
    }
    say(&text);
    page.failure().map_or(Ok(()), Err)
}

/// Where the lock goes: as told, else beside a single file.
fn lock_path(flags: &DataCheckFlags) -> Option<PathBuf> {
    let single = || flags.file.as_os_str() != STANDARD_INPUT && flags.file.is_file();
    flags.lock.clone().or_else(|| {
        single().then(|| {
            let mut name = flags.file.clone().into_os_string();
            name.push(".lock.json");
            PathBuf::from(name)
        })
    })
}
