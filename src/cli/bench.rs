//! Flags of `bench`, and of the party process that it starts.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct BenchFlags {
    /// What to measure.
    #[command(subcommand)]
    pub what: BenchKind,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchKind {
    /// A whole training on aligned rows in memory, keys and whitening included
    Training(TrainingFlags),
}

/// Flags of `bench training`.
#[derive(Debug, Args)]
pub struct TrainingFlags {
    /// Training rows
    #[arg(long, default_value_t = 100_000, value_parser = count(200, 1 << 20))]
    pub rows: usize,
    /// The owner's columns
    #[arg(long, default_value_t = 50, value_parser = count(1, 1_000))]
    pub owner_columns: usize,
    /// The partner's columns
    #[arg(long, default_value_t = 50, value_parser = count(1, 1_000))]
    pub partner_columns: usize,
    /// Share of positive labels
    #[arg(long, default_value_t = 0.03, value_parser = share)]
    pub rate: f64,
    /// Seed of the data
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Ridge on the standardised weights
    #[arg(long, default_value_t = 0.001)]
    pub l2: f64,
    /// The link between the programs: as it is, 1 Gbit/s with 1 ms, or 100 Mbit/s each way with 40 ms round trip
    #[arg(long, value_enum, default_value_t = LinkName::Loopback)]
    pub link: LinkName,
    /// Write the data there as owner.csv and partner.csv, for a rival
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// Print the result as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// The link of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LinkName {
    /// As fast as this machine.
    Loopback,
    /// A company network.
    Lan,
    /// The internet.
    Wan,
}

impl LinkName {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }
}

/// Flags of a benchmark's party process.
#[derive(Debug, Args)]
pub struct PartyFlags {
    /// The specification that `bench` wrote
    #[arg(long)]
    pub spec: PathBuf,
}

/// A count within these ends.
fn count(low: usize, high: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let number = text.parse::<usize>().ok().filter(|number| (low..=high).contains(number));
        number.ok_or_else(|| format!("a whole number from {low} to {high} is needed"))
    }
}

/// A share strictly between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 1.0).ok_or_else(|| "a share between 0 and 1 is needed".to_owned())
}
