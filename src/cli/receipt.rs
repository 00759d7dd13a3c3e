//! `receipt`: shows or checks the receipt of a run, offline.

use crate::cli::flags::ReceiptCommand;
use crate::cli::say;
use crate::contract::receipt::{Entry, MAX_RECEIPT_BYTES, Receipt, result_hash};
use crate::data::wording::grouped;
use crate::error::{Exit, Failure};
use crate::results::hashes::{RECEIPT, hashes};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Runs one form of the command.
///
/// # Errors
/// Exit code 13: no receipt can be read there. 30: it does not verify, or the results beside it are others.
pub fn receipt(command: &ReceiptCommand) -> Result<(), Failure> {
    match command {
        ReceiptCommand::Show { receipt } => {
            let (receipt, _) = load(receipt)?;
            say(&page(&receipt)?);
        }
        ReceiptCommand::Verify { receipt, results } => {
            let (receipt, file) = load(receipt)?;
            let beside = file.parent().filter(|_| file.file_name().is_some_and(|name| name == RECEIPT)).map(Path::to_path_buf);
            say("the receipt verifies: contract, chain, both signatures, opened items, own commitment");
            match results.clone().or(beside.filter(|folder| folder.join("report.json").is_file())) {
                Some(folder) => {
                    let found = hashes(&folder)?;
                    if result_hash(&found) != receipt.own.result {
                        return Err(Failure::new(
                            Exit::Verification,
                            478,
                            "the results are not those of the receipt: a file was changed, added or removed",
                        )
                        .at(folder.display().to_string()));
                    }
                    say(&format!("the {} result files in {} are those of the receipt", found.len(), folder.display()));
                }
                None => say("no results beside it: --results FOLDER compares them"),
            }
        }
    }
    Ok(())
}

/// A receipt that verifies, and its file.
fn load(path: &Path) -> Result<(Receipt, PathBuf), Failure> {
    let file = if path.is_dir() { path.join(RECEIPT) } else { path.to_owned() };
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Data, 479, format!("the receipt cannot be read: {error}"))
            .at(file.display().to_string())
            .hint("a results folder, or its receipt.json")
    };
    let mut text = Vec::new();
    let opened = std::fs::File::open(&file).map_err(unreadable)?;
    opened.take(MAX_RECEIPT_BYTES as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    let text =
        String::from_utf8(text).map_err(|_| Failure::new(Exit::Verification, 471, "the receipt does not verify: it is not UTF-8"))?;
    Ok((Receipt::from_json(&text).map_err(|failure| failure.at(file.display().to_string()))?, file))
}

/// A receipt as a page.
fn page(receipt: &Receipt) -> Result<String, Failure> {
    let shared = receipt.contract()?;
    let mut lines = vec![
        format!("receipt of \"{}\", task {}; this is the {}'s copy", shared.terms().name, shared.task_name(), receipt.own.side),
        String::new(),
    ];
    for entry in &receipt.entries {
        match entry {
            Entry::Contract { digest, text } => {
                lines.push(format!("contract {digest}"));
                lines.extend(text.lines().map(|line| format!("  {line}")));
            }
            Entry::Signatures(_) => lines.push("signed by both keys above before anything that depends on data was sent".to_owned()),
            Entry::Session { id, run, attempt: 1 } => lines.push(format!("run {run} of this contract, link {id}")),
            Entry::Session { id, run, attempt } => lines.push(format!(
                "run {run} of this contract, attempt {attempt}, link {id}; phases that an earlier attempt finished crossed another link"
            )),
            Entry::Programs(both) => {
                for (side, program) in [("owner", &both.owner), ("partner", &both.partner)] {
                    let features = program.features.join(", ");
                    lines.push(format!("the {side}'s program: {} ({}, {}, {features})", program.version, program.commit, program.target));
                }
            }
            Entry::Sizes { rows, matched, l2 } => lines.push(format!(
                "rows: owner {}, partner {}; common users {}{}",
                grouped(rows.owner),
                grouped(rows.partner),
                grouped(*matched),
                l2.as_ref().map_or_else(String::new, |l2| format!("; ridge (l2) {l2}"))
            )),
            Entry::Phases(both) => {
                for (phase, other) in both.owner.iter().zip(&both.partner) {
                    lines.push(format!(
                        "stage {}: the owner sent {} bytes, the partner {}",
                        phase.name,
                        grouped(phase.sent),
                        grouped(other.sent)
                    ));
                }
            }
            Entry::Opened { items } => {
                lines.push("opened, and nothing else:".to_owned());
                for item in items {
                    let (owner, partner) = (grouped(item.owner), grouped(item.partner));
                    lines.push(format!("  {}: {owner} values to the owner, {partner} to the partner", item.item));
                }
            }
            Entry::Transcript { owner_to_partner, partner_to_owner } => {
                for (who, wire) in [("owner to partner", owner_to_partner), ("partner to owner", partner_to_owner)] {
                    lines.push(format!("{who}: {} messages, {} bytes, {}", grouped(wire.messages), grouped(wire.bytes), wire.sha256));
                }
            }
            Entry::Results(both) => lines.push(format!("results: owner {}, partner {}", both.owner, both.partner)),
            Entry::Ended(both) => lines.push(format!("ended: owner {}, partner {}", both.owner, both.partner)),
        }
    }
    lines.push(format!("signed by both sides: {}", receipt.head));
    Ok(lines.join("\n"))
}
