//! Data made on the spot for `demo`: two files of invented users that share a hidden trait, equal on every machine for a seed.

mod person;

use crate::data::IdKind;
use crate::error::{Exit, Failure};
use crate::evaluation::random::SplitMix;
use crate::results::write_private;
use person::Person;
use std::fmt::Write;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Fewest owner rows that still give both labels and a few test users.
pub const LEAST_ROWS: usize = 600;
/// Most owner rows: the partner's and the owner's files are made in memory.
pub const MOST_ROWS: usize = 4_000_000;

/// Two files on which `demo` runs, and how to read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoFiles {
    /// The owner's CSV file.
    pub owner: PathBuf,
    /// The partner's CSV file.
    pub partner: PathBuf,
    /// The id column of the owner's file.
    pub owner_id: &'static str,
    /// The id column of the partner's file.
    pub partner_id: &'static str,
    /// What the ids are: the files spell some users differently, as real ones do.
    pub id_kind: IdKind,
    /// The owner's 0/1 label column.
    pub label: &'static str,
    /// Bucket of the label's rate, for the job.
    pub expected_rate: &'static str,
    /// Users in both files.
    pub common: usize,
}

/// Makes `owner.csv` with so many users and `partner.csv` with a quarter more; two thirds of the owner's users are in both.
///
/// About 9 % of the users buy. On the shared users a joint model that targets 40 % finds about .67 of the buyers, the owner's
/// columns alone about .55.
///
/// # Errors
/// Exit 2, E0740: too few or too many rows. Exit 1, E0711 and exit 2, E0710: the files cannot be written.
pub fn make_vip_purchase(folder: &Path, rows: usize, seed: u64) -> Result<DemoFiles, Failure> {
    if !(LEAST_ROWS..=MOST_ROWS).contains(&rows) {
        return Err(Failure::new(Exit::Usage, 740, format!("the demo has {LEAST_ROWS} to {MOST_ROWS} owner rows, {rows} were asked for")));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        Failure::new(Exit::Usage, 710, format!("the demo's folder cannot be made: {error}")).at(folder.display().to_string())
    })?;
    let common = rows * 2 / 3;
    let partner_rows = rows + rows / 4;
    // People below `common` are in both files, then come the owner's others, then the partner's others.
    let owner_people = (0..rows).collect();
    let partner_people = (0..common).chain(rows..rows + partner_rows - common).collect();
    let files = DemoFiles {
        owner: folder.join("owner.csv"),
        partner: folder.join("partner.csv"),
        owner_id: "email",
        partner_id: "mail",
        id_kind: IdKind::Email,
        label: "vip_within_30_days",
        expected_rate: "5-20%",
        common,
    };
    let header = "email,sessions_7d,days_since_install,level_reached,ad_clicks,device_price,channel_paid,vip_within_30_days\n";
    write_private(&files.owner, table(header, shuffled(owner_people, seed, 1), seed, Person::write_owner_row).as_bytes())?;
    let header = "mail,orders_90d,spend_90d,refunds,subscriptions,card_premium,weekday_share,categories,months_active\n";
    write_private(&files.partner, table(header, shuffled(partner_people, seed, 2), seed, Person::write_partner_row).as_bytes())?;
    Ok(files)
}

/// The text of one file.
fn table(header: &str, people: Vec<usize>, seed: u64, write_row: fn(&Person, &mut String) -> std::fmt::Result) -> String {
    let mut text = String::with_capacity(header.len() + people.len() * 80);
    text.push_str(header);
    for index in people {
        // Writing into a string cannot fail.
        let _ = write_row(&Person::draw(seed, index), &mut text).and_then(|()| text.write_char('\n'));
    }
    text
}

/// The people in an order of their own for each file.
fn shuffled(mut people: Vec<usize>, seed: u64, file: u64) -> Vec<usize> {
    let mut random = SplitMix::new(seed, u64::MAX - file);
    for last in (1..people.len()).rev() {
        people.swap(last, random.below(last + 1));
    }
    people
}

#[cfg(test)]
mod tests;
