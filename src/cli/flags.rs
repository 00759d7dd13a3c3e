//! Raw flags, the same words in both programs.

use super::bench::{BenchFlags, PartyFlags};
use crate::contract::{AutoNumber, MAX_EXTRA_STEPS, TOLERANCE};
use crate::demo::{Scenario, Settings};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// All flags of a program.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Flags {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work: both real programs on loopback, data made on the spot, a report at the end (owner's program)
    Demo(DemoFlags),
    /// Make this side's identity key and print its fingerprint
    Init,
    /// Look at this side's stored halves of models
    Model(ModelFlags),
    /// Meet the other side once, compare what both programs show, and pin its key
    Pair(PairFlags),
    /// List the pinned peers, or revoke one
    Peers(PeersFlags),
    /// Look at this side's data before a job
    Data(DataFlags),
    /// Meet the peer before anything is signed: send or get the proposed contract, see what it opens and what it costs
    Plan(PlanFlags),
    /// Sign the shared part of a job with this side's key; both sides' signatures are needed before it runs
    Sign(SignFlags),
    /// Run a job with the peer
    Run(RunFlags),
    /// Score users with a stored model, together with the peer it was trained with
    Score(RunFlags),
    /// Go on with an unfinished run or scoring of a job, on both sides: finished phases are not repeated
    Resume(RunFlags),
    /// List unfinished runs: at work or ended early, how far, what is kept
    Status(StatusFlags),
    /// End a run at work, or remove what is kept of an unfinished one
    Cancel(CancelFlags),
    /// Show or check the receipt of a run, offline
    Receipt(ReceiptFlags),
    /// Check this program against every published vector it uses, and print the table
    Verify(VerifyFlags),
    /// Look at what a run needs: key, peers, memory, clock, port, and the way to the peer, if it does the same
    Doctor(DoctorFlags),
    /// Print the completions of this program for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the pages of the manual, one a command
    Man {
        /// A folder that exists
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Measure a training or a matching: both real programs on loopback, data made from a seed (owner's program)
    Bench(BenchFlags),
    /// One party of a benchmark, started by `bench`
    #[command(hide = true)]
    BenchParty(PartyFlags),
    /// Try two files at hand: both real programs on loopback, then the comparison with a plaintext twin (owner's program)
    Rehearse(Box<RehearseFlags>),
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoFlags {
    /// The story that is played
    #[arg(long, value_enum, default_value_t)]
    pub scenario: Scenario,
    /// How it is played.
    #[command(flatten)]
    pub settings: Settings,
}

/// Flags of `model`.
#[derive(Debug, Args)]
pub struct ModelFlags {
    /// What to look at.
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// The forms of `model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// The models under a folder of results, oldest first
    List {
        /// Folder of results
        #[arg(default_value = "colift-runs")]
        folder: PathBuf,
        /// Print a list as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// One model: its recipe, weights and figures
    Show {
        /// A model.json, or a folder of results
        model: PathBuf,
        /// Print the file in its present form
        #[arg(long)]
        json: bool,
    },
    /// What differs between two models
    Diff {
        /// A model.json, or a folder of results
        old: PathBuf,
        /// Another one
        new: PathBuf,
    },
}

/// Flags of `pair`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("how").required(true), args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct PairFlags {
    /// Wait for the other side at this address, such as 0.0.0.0:7411
    #[arg(long, group = "how")]
    pub listen: Option<String>,
    /// Dial the other side, such as partner.example:7411
    #[arg(long, group = "how")]
    pub dial: Option<String>,
    /// Dial through this HTTP proxy, such as http://proxy.example:3128; none for no proxy [default: HTTPS_PROXY or ALL_PROXY of the environment]
    #[arg(long, value_name = "URL", requires = "dial")]
    pub proxy: Option<String>,
    /// What this side calls the peer [default: the peer's role]
    #[arg(long)]
    pub name: Option<String>,
    /// The peer's fingerprint as its person told it: pins without asking if it is the one met, refuses otherwise
    #[arg(long)]
    pub expect: Option<String>,
    /// By a short spoken code instead of comparing fingerprints.
    #[command(subcommand)]
    pub by_code: Option<PairByCode>,
}

/// Pairing by a short spoken code.
#[derive(Debug, Subcommand)]
pub enum PairByCode {
    /// Print a code for the other person, and wait for the side that knows it
    Invite(InviteFlags),
    /// Pair with the side whose person read out this code
    Accept(AcceptFlags),
}

/// Flags of `pair invite`.
#[derive(Debug, Args)]
pub struct InviteFlags {
    /// Wait for the other side at this address, such as 0.0.0.0:7411
    #[arg(long, required_unless_present = "dial", conflicts_with = "dial")]
    pub listen: Option<String>,
    /// Dial the other side, such as partner.example:7411
    #[arg(long)]
    pub dial: Option<String>,
    /// Dial through this HTTP proxy, such as http://proxy.example:3128; none for no proxy [default: HTTPS_PROXY or ALL_PROXY of the environment]
    #[arg(long, value_name = "URL", requires = "dial")]
    pub proxy: Option<String>,
    /// What this side calls the peer [default: the peer's role]
    #[arg(long)]
    pub name: Option<String>,
}

/// Flags of `pair accept`.
#[derive(Debug, Args)]
pub struct AcceptFlags {
    /// The eight digits that the other person read out, such as 4821-7730
    pub code: String,
    /// How the other side is met.
    #[command(flatten)]
    pub meet: InviteFlags,
}

/// Flags of `peers`.
#[derive(Debug, Args)]
pub struct PeersFlags {
    /// Revoke this peer (its name or fingerprint); later links to it are refused
    #[arg(long)]
    pub revoke: Option<String>,
    /// The ledger of runs: which sets of ids each peer has met, how often, and under which limits
    #[arg(long, conflicts_with = "revoke")]
    pub runs: bool,
}

/// Flags of `data`.
#[derive(Debug, Args)]
pub struct DataFlags {
    /// What to do.
    #[command(subcommand)]
    pub command: DataCommand,
}

/// The commands of `data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Read the files to their end and print what they hold and what is wrong with them; write a lock that names them
    Check(DataCheckFlags),
}

/// Flags of `data check`.
#[derive(Debug, Args)]
pub struct DataCheckFlags {
    /// A CSV or Parquet file, a pattern in quotes such as 'part-*.csv', or - for standard input
    pub file: PathBuf,
    /// Id column; several, separated by commas, make one composite id; without it only the columns are looked at
    #[arg(long, value_delimiter = ',')]
    pub id: Vec<String>,
    /// How ids are spelt: opaque, email, phone, hash, device, or for a composite id such as phone+device [default: opaque]
    #[arg(long)]
    pub id_kind: Option<String>,
    /// The owner's label column; of several horizons, separated by commas, all
    #[arg(long, value_delimiter = ',')]
    pub label: Vec<String>,
    /// What is predicted, which says what labels may hold: logistic (0 and 1), linear, poisson, gamma, log_normal or hurdle
    #[arg(long, default_value = "logistic")]
    pub task: String,
    /// The owner's column of train and test
    #[arg(long)]
    pub split: Option<String>,
    /// Columns that are not features, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Region whose national phone numbers are completed, such as DE
    #[arg(long)]
    pub region: Option<String>,
    /// Most memory that the table may take, such as 2G
    #[arg(long)]
    pub max_memory: Option<String>,
    /// Print the page as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Where the lock goes [default: beside a single file, as FILE.lock.json]
    #[arg(long, value_name = "PATH")]
    pub lock: Option<PathBuf>,
    /// Write no lock
    #[arg(long, conflicts_with = "lock")]
    pub no_lock: bool,
}

/// Flags of `plan`.
#[derive(Debug, Args)]
pub struct PlanFlags {
    /// The owner's job file
    #[arg(conflicts_with = "join")]
    pub job: Option<PathBuf>,
    /// The partner's file with [private] alone; the job file is written beside it
    #[arg(long, value_name = "PRIVATE")]
    pub join: Option<PathBuf>,
    /// Shared users to expect, as from a job with task = "overlap" [default: as many as the smaller file has]
    #[arg(long)]
    pub overlap: Option<u64>,
    /// Refuse a run that would take longer
    #[arg(long)]
    pub max_minutes: Option<f64>,
    /// Refuse a run in which both sides together would send more
    #[arg(long)]
    pub max_megabytes: Option<u64>,
    /// Print the figures as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Seconds to wait for the peer to appear
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub connect_timeout: u64,
}

/// How progress is told to programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EventFormat {
    /// One JSON object a line
    Jsonl,
}

/// Flags of `sign`.
#[derive(Debug, Args)]
pub struct SignFlags {
    /// The job file
    pub job: PathBuf,
    /// Sign without asking
    #[arg(long)]
    pub yes: bool,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusFlags {
    /// Print a list as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `cancel`.
#[derive(Debug, Args)]
pub struct CancelFlags {
    /// The job whose run is ended; not needed where there is only one
    #[arg(long)]
    pub job: Option<PathBuf>,
}

/// Flags of `run`, `score` and `resume`.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// The job file
    #[arg(long)]
    pub job: PathBuf,
    /// Folder of the results [default: colift-runs/<job's name>/<UTC time>]
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print the report as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Progress as lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    /// Progress as one JSON object a line on stderr, for programs
    #[arg(long, value_enum, conflicts_with = "lines")]
    pub events: Option<EventFormat>,
    /// Seconds to wait for the peer to appear
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub connect_timeout: u64,
    /// Seconds without any sign of life from the peer before giving up
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub idle_timeout: u64,
}

/// Flags of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorFlags {
    /// The job whose peer and link are tried
    #[arg(long)]
    pub job: Option<PathBuf>,
    /// Wait for the other side at this address, such as 0.0.0.0:7411
    #[arg(long, conflicts_with = "dial")]
    pub listen: Option<String>,
    /// Dial the other side, such as partner.example:7411
    #[arg(long)]
    pub dial: Option<String>,
    /// Dial through this HTTP proxy, such as http://proxy.example:3128; none for no proxy [default: HTTPS_PROXY or ALL_PROXY of the environment]
    #[arg(long, value_name = "URL", requires = "dial")]
    pub proxy: Option<String>,
    /// Seconds to wait for the peer to appear
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub connect_timeout: u64,
}

/// Flags of `receipt`.
#[derive(Debug, Args)]
pub struct ReceiptFlags {
    /// What to do.
    #[command(subcommand)]
    pub command: ReceiptCommand,
}

/// The forms of `receipt`.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Check everything about a receipt and print it as a page
    Show {
        /// A results folder, or its receipt.json
        receipt: PathBuf,
    },
    /// Check contract, chain, signatures and opened items, and the results beside it; exit code 30 where anything does not fit
    Verify {
        /// A results folder, or its receipt.json
        receipt: PathBuf,
        /// The folder of the results, where the receipt lies elsewhere
        #[arg(long, value_name = "FOLDER")]
        results: Option<PathBuf>,
    },
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub struct VerifyFlags {
    /// Read the vectors from this folder, laid out as tests/vectors, instead of the program
    #[arg(long, value_name = "DIR")]
    pub vectors: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `rehearse`.
#[derive(Debug, Args)]
pub struct RehearseFlags {
    /// The owner's CSV file
    #[arg(long)]
    pub owner: PathBuf,
    /// The partner's CSV file
    #[arg(long)]
    pub partner: PathBuf,
    /// Id column of the owner's file, and of the partner's unless --partner-id is given
    #[arg(long)]
    pub id: String,
    /// Id column of the partner's file
    #[arg(long)]
    pub partner_id: Option<String>,
    /// What is predicted: logistic, linear, poisson, gamma, log_normal or hurdle
    #[arg(long, default_value = "logistic")]
    pub task: String,
    /// The owner's label column; several, separated by commas, are rising horizons of one amount
    #[arg(long, value_delimiter = ',', required = true)]
    pub label: Vec<String>,
    /// The owner's column of train and test; without it --test-share is drawn
    #[arg(long)]
    pub split: Option<String>,
    /// Share of test rows where there is no split column
    #[arg(long, default_value_t = 0.25)]
    pub test_share: f64,
    /// Ridge on the standardised weights, a number, or auto: 1 / training rows, which is C = 1 in scikit-learn
    #[arg(long, default_value_t = AutoNumber::Auto)]
    pub l2: AutoNumber,
    /// Standardised values are cut at ± this
    #[arg(long, default_value_t = 5.0)]
    pub clip: f64,
    /// Columns that are not features, separated by commas; names the other file lacks do not matter
    #[arg(long, value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Owner's columns that may predict the label alone
    #[arg(long, value_delimiter = ',')]
    pub allow_leaky: Vec<String>,
    /// How ids are spelt: opaque, email, phone, hash or device
    #[arg(long, default_value = "opaque")]
    pub id_kind: String,
    /// The gate's interval around the base logit, such as -12,8
    #[arg(long, value_parser = range, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    pub logit_range: Option<(f64, f64)>,
    /// Unit of a count, near its mean [default: 1, or the mean's first digit]
    #[arg(long)]
    pub label_scale: Option<f64>,
    /// Largest logarithm of a predicted amount, a number, or auto: a whole number above that of the largest training label
    #[arg(long, default_value_t = AutoNumber::Auto)]
    pub log_cap: AutoNumber,
    /// Fewest training users who pay, for tasks about amounts
    #[arg(long, default_value_t = 50)]
    pub min_payers: u64,
    /// Fewest training users with either answer, or with another number than most, for tasks that are not about amounts
    #[arg(long, default_value_t = 50)]
    pub min_positives: u64,
    /// What the end check bounds: the error of every coefficient in standard errors
    #[arg(long, default_value_t = TOLERANCE)]
    pub tolerance: f64,
    /// Steps after the planned ones, at most; each opens two bits
    #[arg(long, default_value_t = MAX_EXTRA_STEPS)]
    pub max_extra_steps: u64,
    /// Owner's column by whose values the test users are also judged
    #[arg(long)]
    pub channel: Option<String>,
    /// Cost of a contact and value of a hit, or of one unit of the label, such as 0.1,25
    #[arg(long, value_parser = range, value_name = "COST,VALUE")]
    pub money: Option<(f64, f64)>,
    /// Also open standard errors of own weights, with z and p-values
    #[arg(long)]
    pub standard_errors: bool,
    /// Fewest common users
    #[arg(long, default_value_t = 100)]
    pub min_overlap: u64,
    /// Folder of the results [default: colift-runs/rehearse/<UTC time>]
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print the report as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Two numbers with a comma in between.
fn range(text: &str) -> Result<(f64, f64), String> {
    let number = |end: &str| end.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let ends = text.split_once(',').and_then(|(low, high)| Some((number(low)?, number(high)?)));
    ends.ok_or_else(|| "two numbers with a comma in between are needed, such as -12,8".to_owned())
}
