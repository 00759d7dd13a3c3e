//! The private part of a job file: where this side's data lie and how it reaches the peer. Never sent.

use super::fields::{Fields, MISSING_KEY, NO_MEANING, OUT_OF_RANGE, usage};
use super::terms::MOST_DIFFERENCE;
use super::{SharedJob, columns};
use crate::data::wording::{byte_size, shown};
use crate::data::{STANDARD_INPUT, Side, Wishes};
use crate::error::Failure;
use colift_channel::tls::Proxy;
use std::path::{Path, PathBuf};
use toml::Value;

pub(super) const KEYS: [&str; 17] = [
    "data",
    "id",
    "keys",
    "region",
    "split",
    "exclude",
    "allow_leaky",
    "columns",
    "lock",
    "ledger",
    "max_memory",
    "link",
    "threads",
    "model",
    "format",
    "channel",
    "money",
];
const LINK_KEYS: [&str; 3] = ["listen", "dial", "proxy"];
const MOST_THREADS: u64 = 1024;

/// What the ledger of runs does with a set that is close to an earlier one of the same peer, besides what the contract says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerTerms {
    /// Sets that differ by fewer ids than this, and by at least one, are too close; with 0 and 1 none is.
    pub min_difference: u64,
    /// Whether such a run is refused; else it is warned about.
    pub refuse: bool,
}

impl Default for LedgerTerms {
    fn default() -> Self {
        Self { min_difference: 20, refuse: true }
    }
}

/// What a contact costs and what comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoneyTerms {
    /// Cost of one contact: a message, a coupon.
    pub cost: f64,
    /// What one hit is worth, or one unit of a predicted amount.
    pub value: f64,
}

/// How this side meets the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Waits for the peer at `address:port`.
    Listen(String),
    /// Dials the peer.
    Dial {
        /// `host:port`.
        address: String,
        /// Through which proxy.
        proxy: ProxyChoice,
    },
}

/// Through which HTTP proxy the peer is dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// The one that the environment names, if it does.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Off,
    /// This one.
    Through(Proxy),
}

impl ProxyChoice {
    /// What `proxy = …` and `--proxy …` say; nothing leaves it to the environment.
    ///
    /// # Errors
    /// Exit code 2: neither `none` nor the address of an HTTP proxy. The message holds nothing of the text.
    pub fn read(text: Option<&str>, place: &str) -> Result<Self, Failure> {
        match text {
            None => Ok(Self::Environment),
            Some("none") => Ok(Self::Off),
            Some(text) => Proxy::parse(text).map(Self::Through).map_err(|why| {
                usage(OUT_OF_RANGE, format!("the proxy cannot be used: {why}"))
                    .at(place)
                    .hint("\"http://proxy.example:3128\", with a user \"http://user:password@proxy.example:3128\", or \"none\"")
            }),
        }
    }
}

/// How the owner's scores are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScoreFormat {
    /// `scores.csv`.
    #[default]
    Csv,
    /// `scores.parquet`.
    Parquet,
}

/// What stays on this side.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PrivateJob {
    /// This side's file, CSV or Parquet; a pattern; or `-` for standard input.
    pub data: PathBuf,
    /// Its id column.
    pub id: String,
    /// Further id columns of a composite id.
    pub more_ids: Vec<String>,
    /// The columns of the further keys of a cascade, in its order.
    pub more_keys: Vec<Vec<String>>,
    /// What the ledger of runs does.
    pub ledger: LedgerTerms,
    /// The region whose national phone numbers are completed, such as `DE`.
    pub region: Option<String>,
    /// The owner's column of `train` and `test`.
    pub split: Option<String>,
    /// Columns to leave out.
    pub exclude: Vec<String>,
    /// Owner's columns that may predict the label alone.
    pub allow_leaky: Vec<String>,
    /// What was asked of single columns.
    pub columns: Wishes,
    /// A lock of `data check`: other data are refused.
    pub lock: Option<PathBuf>,
    /// Most bytes that the table may hold in memory.
    pub max_memory: Option<u64>,
    /// How to meet the peer.
    pub link: Link,
    /// Threads to use; None for all cores.
    pub threads: Option<usize>,
    /// This side's half of the stored model, for a scoring.
    pub model: Option<PathBuf>,
    /// How the owner's scores are written; None for CSV.
    pub format: Option<ScoreFormat>,
    /// The owner's column by whose values the test users are also judged.
    pub channel: Option<String>,
    /// What a contact costs and a hit is worth, for the owner's report.
    pub money: Option<MoneyTerms>,
}

impl PrivateJob {
    /// Reads the `[private]` table.
    pub(super) fn read(fields: Fields<'_>, side: Side, folder: &Path) -> Result<Self, Failure> {
        let data = fields.required("data", fields.text("data")?, "the path of this side's file, CSV or Parquet")?;
        let (id, more_ids, more_keys) = read_keys(fields)?;
        let max_memory = match fields.text("max_memory")? {
            None => None,
            Some(text) => Some(byte_size(&text).ok_or_else(|| {
                usage(OUT_OF_RANGE, format!("{} is no size", shown(&text))).at("[private] max_memory").hint("such as \"2G\" or \"512M\"")
            })?),
        };
        let link = fields.required(
            "link",
            fields.table("link")?,
            "{ listen = \"0.0.0.0:7411\" } on one side, { dial = \"host:7411\" } on the other",
        )?;
        let threads = match fields.count("threads")? {
            Some(threads) if !(1..=MOST_THREADS).contains(&threads) => {
                let what = format!("threads is {threads}, allowed is 1 to {MOST_THREADS}");
                return Err(usage(OUT_OF_RANGE, what).at("[private] threads"));
            }
            threads => threads.map(|threads| threads as usize),
        };
        for key in ["split", "allow_leaky", "format", "channel", "money"] {
            if side == Side::Partner && fields.has(key) {
                let what =
                    format!("{} has no meaning in the partner's job file: label, split, scores and figures are the owner's", shown(key));
                return Err(usage(NO_MEANING, what).at(format!("[private] {key}")).hint(format!("remove {key}")));
            }
        }
        let format = match fields.text("format")?.as_deref() {
            None => None,
            Some("csv") => Some(ScoreFormat::Csv),
            Some("parquet") => Some(ScoreFormat::Parquet),
            Some(other) => {
                let what = format!("{} is no format of scores", shown(other));
                return Err(usage(OUT_OF_RANGE, what).at("[private] format").hint("csv or parquet"));
            }
        };
        for (key, value) in [("data", &data), ("id", &id)] {
            if value.is_empty() {
                return Err(usage(OUT_OF_RANGE, format!("{key} is empty")).at(format!("[private] {key}")));
            }
        }
        Ok(Self {
            data: if data == STANDARD_INPUT { data.into() } else { folder.join(data) },
            id,
            more_ids,
            more_keys,
            ledger: fields.table("ledger")?.map_or(Ok(LedgerTerms::default()), read_ledger)?,
            region: fields.text("region")?,
            split: fields.text("split")?,
            exclude: fields.texts("exclude")?.unwrap_or_default(),
            allow_leaky: fields.texts("allow_leaky")?.unwrap_or_default(),
            columns: fields.table("columns")?.map(columns::read).transpose()?.unwrap_or_default(),
            lock: fields.text("lock")?.map(|lock| folder.join(lock)),
            max_memory,
            link: Link::read(link)?,
            threads,
            model: fields.text("model")?.map(|model| folder.join(model)),
            format,
            channel: fields.text("channel")?,
            money: fields.table("money")?.map(read_money).transpose()?,
        })
    }

    /// What the id is called in files of scores: the column, or its columns joined by `+`.
    #[must_use]
    pub fn id_name(&self) -> String {
        self.id_columns().map(String::as_str).collect::<Vec<_>>().join("+")
    }

    /// The columns of all keys.
    fn id_columns(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.id).chain(&self.more_ids).chain(self.more_keys.iter().flatten())
    }

    /// Checks that the columns named here do not contradict each other or the shared label, and that the keys fit the task.
    pub(super) fn check_against(&self, shared: &SharedJob, side: Side) -> Result<(), Failure> {
        self.check_task(shared)?;
        let labels = shared.training().filter(|_| side == Side::Owner).into_iter().flat_map(|terms| &terms.labels);
        let ids = self.id_columns().map(|id| ("id", id));
        let roles: Vec<(&str, &String)> =
            ids.chain(labels.map(|name| ("label", name))).chain(self.split.iter().map(|name| ("split", name))).collect();
        let (columns, parts) = (1 + self.more_ids.len(), shared.terms().id_kind.parts().len());
        if columns != parts {
            let what = format!("id kind {} needs one id column for each of its {parts} parts, {columns} named", shared.terms().id_kind);
            return Err(usage(OUT_OF_RANGE, what).at("[private] id").hint("id = [\"phone\", \"device\"] for phone+device"));
        }
        if self.more_keys.len() != shared.more_keys().len() {
            let (wanted, named) = (1 + shared.more_keys().len(), 1 + self.more_keys.len());
            let what = format!("the job matches by {wanted} keys, [private] names columns of {named}");
            return Err(usage(OUT_OF_RANGE, what)
                .at("[private] keys")
                .hint("keys = [\"phone\", \"device\"], in the order of [shared] keys"));
        }
        for (kind, columns) in shared.more_keys().iter().zip(&self.more_keys) {
            if columns.len() != kind.parts().len() {
                let what = format!("key {kind} needs one column for each of its {} parts, {} named", kind.parts().len(), columns.len());
                return Err(usage(OUT_OF_RANGE, what).at("[private] keys"));
            }
        }
        for (i, (role, name)) in roles.iter().enumerate() {
            if let Some((other, _)) = roles.iter().take(i).find(|(_, earlier)| earlier == name) {
                return Err(usage(OUT_OF_RANGE, format!("column {} is named as both {other} and {role}", shown(name))).at("[private]"));
            }
            if self.columns.contains_key(*name) {
                return Err(
                    usage(OUT_OF_RANGE, format!("column {} is named as {role} and as a feature", shown(name))).at("[private.columns]")
                );
            }
            if self.exclude.contains(name) {
                return Err(usage(OUT_OF_RANGE, format!("column {} is named as {role} and excluded", shown(name))).at("[private] exclude"));
            }
        }
        Ok(())
    }
}

impl PrivateJob {
    /// A scoring needs the model and takes everything about columns from it; other tasks have no model.
    fn check_task(&self, shared: &SharedJob) -> Result<(), Failure> {
        let (surplus, why) = match shared.score() {
            Some(scoring) => {
                if self.model.is_none() {
                    return Err(usage(MISSING_KEY, "`model` is missing in [private]")
                        .at("[private]")
                        .hint("the path of this side's model.json from the training"));
                }
                if let Some(output) =
                    scoring.output.iter().map(|output| output.name()).chain(["model"]).find(|name| self.id_columns().any(|id| id == name))
                {
                    return Err(usage(OUT_OF_RANGE, format!("the id column and a column of the scores are both named `{output}`"))
                        .at("[private] id")
                        .hint("rename the id column"));
                }
                let surplus =
                    [("split", self.split.is_some()), ("allow_leaky", !self.allow_leaky.is_empty()), ("columns", !self.columns.is_empty())];
                (surplus.to_vec(), "in a scoring: columns are read as the stored model's recipe says")
            }
            None => (vec![("model", self.model.is_some()), ("format", self.format.is_some())], "outside a scoring"),
        };
        let figures = [("channel", self.channel.is_some()), ("money", self.money.is_some())];
        let figures = figures.into_iter().filter(|_| shared.training().is_none()).map(|(key, set)| (key, set, "outside a training"));
        match surplus.into_iter().map(|(key, set)| (key, set, why)).chain(figures).find(|(_, set, _)| *set) {
            Some((key, _, why)) => {
                let what = format!("{} has no meaning {why}", shown(key));
                Err(usage(NO_MEANING, what).at(format!("[private] {key}")).hint(format!("remove {key}")))
            }
            None => Ok(()),
        }
    }
}

/// The first column of the first key, its further columns, the columns of the further keys.
type Columns = (String, Vec<String>, Vec<Vec<String>>);

/// The columns of each key of a cascade under `keys`, or those of the one id under `id`.
fn read_keys(fields: Fields<'_>) -> Result<Columns, Failure> {
    let Some(value) = fields.value("keys") else {
        let (id, more_ids) = read_ids(fields)?;
        return Ok((id, more_ids, Vec::new()));
    };
    let wrong =
        |what: &str| usage(OUT_OF_RANGE, what).at("[private] keys").hint("keys = [\"phone\", \"device\"], in the order of [shared] keys");
    if fields.has("id") {
        return Err(wrong("either id or keys names the columns, not both"));
    }
    let column = |value: &Value| value.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let key = |value: &Value| match value {
        Value::Array(columns) if !columns.is_empty() => columns.iter().map(column).collect(),
        single => column(single).map(|name| vec![name]),
    };
    let keys = value.as_array().and_then(|keys| keys.iter().map(key).collect::<Option<Vec<Vec<String>>>>());
    match keys.as_deref().and_then(|keys| keys.split_first()) {
        Some((first, more)) if !more.is_empty() => match first.split_first() {
            Some((id, more_ids)) => Ok((id.clone(), more_ids.to_vec(), more.to_vec())),
            None => Err(wrong("a key without a column")),
        },
        _ => Err(wrong("keys is a list of two or more columns, or of lists of columns for composite keys")),
    }
}

/// What a contact costs and what comes back.
fn read_money(table: &toml::Table) -> Result<MoneyTerms, Failure> {
    let fields = Fields::new("[private] money", table, &["cost", "value"], ("", &[]))?;
    let hint = "money = { cost = 0.10, value = 25.0 }";
    let number = |key: &str| -> Result<f64, Failure> {
        let number = fields.required(key, fields.number(key)?, hint)?;
        if number.is_finite() && number >= 0.0 {
            return Ok(number);
        }
        Err(usage(OUT_OF_RANGE, format!("{key} is {number}, it must be 0 or more")).at("[private] money").hint(hint))
    };
    Ok(MoneyTerms { cost: number("cost")?, value: number("value")? })
}

/// What the ledger of runs does.
fn read_ledger(table: &toml::Table) -> Result<LedgerTerms, Failure> {
    let fields = Fields::new("[private] ledger", table, &["min_difference", "on_small_difference"], ("", &[]))?;
    let mut terms = LedgerTerms::default();
    if let Some(difference) = fields.count("min_difference")? {
        if difference > MOST_DIFFERENCE {
            let what = format!("min_difference is {difference}, allowed is 0 to {MOST_DIFFERENCE}");
            return Err(usage(OUT_OF_RANGE, what).at("[private] ledger"));
        }
        terms.min_difference = difference;
    }
    terms.refuse = match fields.text("on_small_difference")?.as_deref() {
        None | Some("refuse") => true,
        Some("warn") => false,
        Some(other) => {
            let what = format!("{} is nothing that the ledger does", shown(other));
            return Err(usage(OUT_OF_RANGE, what).at("[private] ledger on_small_difference").hint("refuse or warn"));
        }
    };
    Ok(terms)
}

/// One id column, or the list of those that make one id.
fn read_ids(fields: Fields<'_>) -> Result<(String, Vec<String>), Failure> {
    let hint = "the name of this side's id column, or a list of names for a composite id";
    let ids = match fields.value("id") {
        Some(Value::Array(_)) => fields.texts("id")?,
        _ => fields.text("id")?.map(|id| vec![id]),
    };
    let ids = fields.required("id", ids, hint)?;
    match ids.split_first() {
        Some((first, more)) => Ok((first.clone(), more.to_vec())),
        None => Err(usage(OUT_OF_RANGE, "id is empty").at("[private] id").hint(hint)),
    }
}

impl Link {
    /// Reads the table `link`.
    ///
    /// # Errors
    /// Exit code 2: no address, two of them, a malformed one, or a proxy where this side listens.
    pub fn read(table: &toml::Table) -> Result<Self, Failure> {
        read_link(Fields::new("[private] link", table, &LINK_KEYS, ("", &[]))?)
    }
}

fn read_link(fields: Fields<'_>) -> Result<Link, Failure> {
    let hint = "{ listen = \"0.0.0.0:7411\" } or { dial = \"host:7411\" }";
    let (listen, dial) = (fields.text("listen")?, fields.text("dial")?);
    let (address, key) = match (&listen, &dial) {
        (Some(address), None) => (address, "listen"),
        (None, Some(address)) => (address, "dial"),
        _ => return Err(usage(OUT_OF_RANGE, "link needs either listen or dial").at("[private] link").hint(hint)),
    };
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(char::is_whitespace));
    let port = port.and_then(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse::<u16>().ok()).flatten());
    // Port 0 lets the system choose where to listen; nobody can be dialled there.
    if port.is_none_or(|port| port == 0 && dial.is_some()) {
        let what = format!("{key} is {}, it is written as a host, a colon and a port", shown(address));
        return Err(usage(OUT_OF_RANGE, what).at("[private] link").hint(hint));
    }
    let proxy = fields.text("proxy")?;
    if dial.is_none() && proxy.is_some() {
        let what = "proxy has no meaning where this side listens: the peer comes to it";
        return Err(usage(NO_MEANING, what).at("[private] link").hint("remove proxy, or dial"));
    }
    let proxy = ProxyChoice::read(proxy.as_deref(), "[private] link proxy")?;
    Ok(if dial.is_some() { Link::Dial { address: address.clone(), proxy } } else { Link::Listen(address.clone()) })
}
