//! `completions` and `man`: what a shell and a manual need, made from the same flags that the program reads.

use super::{command, say};
use crate::data::Side;
use crate::error::{Exit, Failure};
use clap_complete::Shell;
use std::path::Path;

/// Prints the completions of this side's program for a shell.
pub fn completions(side: Side, shell: Shell) {
    let (mut command, mut script) = (command(side), Vec::new());
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
}

/// Writes the manual's pages, one a command, into a folder that exists.
///
/// # Errors
/// Exit code 2: they cannot be written there.
pub fn man(side: Side, folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Usage, 930, format!("the pages cannot be written: {error}"))
            .at(folder.display().to_string())
            .hint("name a folder that exists")
    };
    clap_mangen::generate_to(command(side), folder).map_err(failed)?;
    let first = folder.join(format!("colift-{side}.1"));
    say(&format!("man {}", first.display()));
    Ok(())
}
