//! The four files of a story: both companies' users of the past, and those that are decided about.

use super::{Person, Shape, Story, check_rows};
use crate::error::{Exit, Failure};
use crate::evaluation::random::SplitMix;
use crate::results::write_private;
use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The owner's column of train and test.
pub(super) const SPLIT: &str = "split";

/// The files, and what is known because their users are invented.
pub(super) struct Files {
    /// The owner's users of the past, with their label.
    pub owner: PathBuf,
    /// The partner's users.
    pub partner: PathBuf,
    /// The owner's users to decide about, without label.
    pub new_owner: PathBuf,
    /// The partner's users at that time.
    pub new_partner: PathBuf,
    /// What each user to decide about did in the end, and the user's group, by canonical id.
    pub outcomes: HashMap<String, (f64, &'static str)>,
    /// Users of the past in both files.
    #[cfg(test)]
    pub common: usize,
}

/// Makes the files: the partner has a quarter more users than the owner, two thirds of the owner's users of the past are in both
/// files, and five in six of those to decide about.
///
/// # Errors
/// Exit 2, E0740: too few or too many rows. Exit 1, E0711 and exit 2, E0710: the files cannot be written.
pub(super) fn make(story: &Story, folder: &Path, rows: usize, seed: u64) -> Result<Files, Failure> {
    check_rows(rows)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        Failure::new(Exit::Usage, 710, format!("the demo's folder cannot be made: {error}")).at(folder.display().to_string())
    })?;
    let shape = &story.shape;
    let common = rows * 2 / 3;
    let partner_rows = rows + rows / 4;
    // People below `common` are in both files, then come the owner's others, then the partner's others, then the new ones.
    let past = rows + partner_rows - common;
    let new = rows * story.new_users / story.rows;
    let new_common = new * 5 / 6;
    let files = Files {
        owner: folder.join("owner.csv"),
        partner: folder.join("partner.csv"),
        new_owner: folder.join("owner-new.csv"),
        new_partner: folder.join("partner-new.csv"),
        outcomes: (past..past + new)
            .map(|index| (shape.draw)(seed, index, true))
            .map(|person| (person.id, (person.outcome, person.group)))
            .collect(),
        #[cfg(test)]
        common,
    };
    let with_label = format!("{},{},{SPLIT}", shape.owner_header, shape.labels.join(","));
    let labelled = |person: Person| format!("{},{},{}", person.owner, person.label, if person.test { "test" } else { "train" });
    let partners: fn(Person) -> String = |person| person.partner;
    let file = |number| Place { seed, number, past };
    write(&files.owner, shape, &with_label, (0..rows).collect(), file(1), labelled)?;
    let people = (0..common).chain(rows..past).collect();
    write(&files.partner, shape, shape.partner_header, people, file(2), partners)?;
    write(&files.new_owner, shape, shape.owner_header, (past..past + new).collect(), file(3), |person| person.owner)?;
    // The partner's users of that time: the new ones that it knows, and as many others.
    let people = (rows..rows + new_common.min(past - rows)).chain(past..past + new_common).collect();
    write(&files.new_partner, shape, shape.partner_header, people, file(4), partners)?;
    Ok(files)
}

/// Which file of a story.
struct Place {
    seed: u64,
    number: u64,
    /// People from this number on are those to decide about.
    past: usize,
}

/// Writes one file, its people in an order of its own.
fn write(
    path: &Path,
    shape: &Shape,
    header: &str,
    mut people: Vec<usize>,
    Place { seed, number, past }: Place,
    line: impl Fn(Person) -> String,
) -> Result<(), Failure> {
    let mut random = SplitMix::new(seed, u64::MAX - number);
    for last in (1..people.len()).rev() {
        people.swap(last, random.below(last + 1));
    }
    let mut text = String::with_capacity(header.len() + people.len() * 80);
    text.push_str(header);
    text.push('\n');
    for index in people {
        text.push_str(&line((shape.draw)(seed, index, index >= past)));
        text.push('\n');
    }
    write_private(path, text.as_bytes())
}
