//! Flags of `bench`, and of the party process that it starts.

use crate::contract::{AutoNumber, Matching};
use crate::training::family::Family;
use clap::builder::{PossibleValuesParser, TypedValueParser};
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
    /// The matching, from hashed ids in memory to aligned positions on both sides, base OT included
    Matching(MatchingFlags),
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
    /// The family of the labels and the model
    #[arg(long, value_parser = family(), default_value = Family::default().name())]
    pub family: Family,
    /// Share of positive labels of a logistic model
    #[arg(long, default_value_t = 0.03, value_parser = share)]
    pub rate: f64,
    /// Only this share of the rows counts (who paid), and only the owner knows which: hidden row weights of 0 and 1
    #[arg(long, value_parser = share)]
    pub payers: Option<f64>,
    /// Seed of the data
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Ridge on the standardised weights, a number, or auto: 1 / rows
    #[arg(long, default_value_t = AutoNumber::Auto)]
    pub l2: AutoNumber,
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

/// Flags of `bench matching`.
#[derive(Debug, Args)]
pub struct MatchingFlags {
    /// Ids of each side, or of the owner; half of them, or of the fewer ones, are common
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    pub ids: u64,
    /// Ids of the partner where it brings another number
    #[arg(long, value_name = "N", conflicts_with = "from", value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    pub peer_ids: Option<u64>,
    /// Match owner.csv and partner.csv of this folder by their column `id` instead: reading counts too
    #[arg(long, value_name = "DIR", conflicts_with = "ids")]
    pub from: Option<PathBuf>,
    /// The protocol
    #[arg(long, value_enum, default_value_t = ProtocolName::Vole)]
    pub protocol: ProtocolName,
    /// Which peer `vole` withstands
    #[arg(long, value_enum, default_value_t = SecurityName::Malicious)]
    pub security: SecurityName,
    /// The link between the programs, as in `bench training`
    #[arg(long, value_enum, default_value_t = LinkName::Loopback)]
    pub link: LinkName,
    /// Print the result as one line of JSON
    #[arg(long)]
    pub json: bool,
}

impl MatchingFlags {
    /// What a job would say.
    #[must_use]
    pub fn matching(&self) -> Matching {
        match (self.protocol, self.security) {
            (ProtocolName::Ecdh, _) => Matching::Ecdh,
            (ProtocolName::Vole, SecurityName::SemiHonest) => Matching::VoleSemiHonest,
            (ProtocolName::Vole, SecurityName::Malicious) => Matching::Vole,
        }
    }
}

/// A protocol of the matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtocolName {
    /// OPRF from VOLE and a key-value store.
    Vole,
    /// Diffie–Hellman.
    Ecdh,
}

/// The peer that a matching withstands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecurityName {
    /// Any peer.
    Malicious,
    /// One that follows the program.
    SemiHonest,
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

/// The families by name.
fn family() -> impl TypedValueParser<Value = Family> {
    let family = |name: String| Family::ALL.into_iter().find(|family| family.name() == name).unwrap_or_default();
    PossibleValuesParser::new(Family::ALL.map(Family::name)).map(family)
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
