//! The one query of a labelling: typed events → the users' past with features → what follows the cut-off → one row a user.
//!
//! `--show-sql` prints it. A feature reads the query `past` only, whose events all lie before the cut-off.

use super::definitions::{Definition, DefinitionSpec};
use super::features::FeatureSpec;
use super::log::{LogColumns, LogSql};
use super::moment::Moment;
use super::quote;

/// The table of further features, in SQL.
pub const EXTRA: &str = "extra_features";

/// Which rows train and which test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SplitSpec {
    /// No column: the party programs draw.
    None,
    /// A share of test rows, drawn by a hash of seed and id.
    Random {
        /// Share of test rows.
        share: f64,
        /// Seed of the draw.
        seed: u64,
    },
    /// Out of time: users at the first cut-off train, users at this later one test.
    Later {
        /// The later cut-off.
        cutoff: Moment,
        /// Share of test users, where users are there at both cut-offs.
        share: f64,
        /// Seed of the draw.
        seed: u64,
    },
}

/// Further features from a table of one row a user.
#[derive(Clone, Debug)]
pub struct ExtraSpec {
    /// The id column of that table.
    pub id: String,
    /// The columns taken.
    pub columns: Vec<String>,
}

/// All that the query depends on.
#[derive(Clone, Debug)]
pub struct QuerySpec {
    /// Typed events.
    pub log: LogSql,
    /// The id's name, for the file.
    pub columns: LogColumns,
    /// The label.
    pub definition: DefinitionSpec,
    /// The features.
    pub features: FeatureSpec,
    /// The (first) cut-off.
    pub cutoff: Moment,
    /// Train and test.
    pub split: SplitSpec,
    /// Further features.
    pub extra: Option<ExtraSpec>,
}

/// Users at one cut-off.
struct Cohort {
    cutoff: Moment,
    ending: &'static str,
    split: Option<&'static str>,
}

impl QuerySpec {
    fn cohorts(&self) -> Vec<Cohort> {
        match self.split {
            SplitSpec::Later { cutoff, .. } => vec![
                Cohort { cutoff: self.cutoff, ending: "_train", split: Some("train") },
                Cohort { cutoff, ending: "_test", split: Some("test") },
            ],
            _ => vec![Cohort { cutoff: self.cutoff, ending: "", split: None }],
        }
    }

    /// Whether a user may be asked about at both cut-offs, so that a hash of the id must decide where it goes.
    #[must_use]
    pub fn users_may_repeat(&self) -> bool {
        let SplitSpec::Later { cutoff, .. } = self.split else { return false };
        // Registrations of less than the shortest horizon ago, at cut-offs further apart than that.
        !(self.definition.definition == Definition::Vip && self.cutoff.plus(self.definition.shortest()) <= cutoff)
    }

    /// Queries that everything begins with.
    fn events(&self) -> Vec<(String, String, String)> {
        vec![
            ("log".into(), "One row an event: whose, when (UTC), what, how much, from where".into(), self.log.all().to_owned()),
            (
                "events".into(),
                "Without events of nobody or of no time".into(),
                "SELECT id, at, kind, amount, channel FROM log\n  WHERE id IS NOT NULL AND at IS NOT NULL".into(),
            ),
        ]
    }

    /// The queries of a cohort and its final rows.
    fn cohort(&self, cohort: &Cohort, parts: &mut Vec<(String, String, String)>) -> String {
        let ending = cohort.ending;
        let past = format!("past{ending}");
        let pieces = self.definition.pieces(cohort.cutoff, ending);
        let features = self.features.sql(&self.definition.names, cohort.cutoff, &past);
        let sums: Vec<String> = features.sums.iter().chain(&pieces.past).map(|(name, sql)| format!("{sql} AS {name}")).collect();
        let text = format!(
            "SELECT id,\n    {}\n  FROM events\n  WHERE at < {}\n  GROUP BY id\n  HAVING {}",
            sums.join(",\n    "),
            cohort.cutoff.sql(),
            pieces.having
        );
        parts.push((past.clone(), format!("What is known at {}: events before it only", cohort.cutoff), text));
        for (name, text) in pieces.after {
            parts.push((format!("{name}{ending}"), format!("What follows {}: the label", cohort.cutoff), text));
        }
        let mut columns = vec![format!("{past}.id AS {}", quote::name(&self.columns.id))];
        columns.extend(features.columns.iter().map(|(name, sql)| format!("{sql} AS {}", quote::name(name))));
        let mut joins = pieces.joins;
        if let Some(extra) = &self.extra {
            let (table, id) = (quote::name(EXTRA), quote::name(&extra.id));
            columns.extend(extra.columns.iter().map(|name| format!("{table}.{0} AS {0}", quote::name(name))));
            joins.push_str(&format!("\n  LEFT JOIN {table} ON trim(CAST({table}.{id} AS VARCHAR)) = {past}.id"));
        }
        columns.extend(pieces.labels.iter().map(|(name, sql)| format!("{sql} AS {}", quote::name(name))));
        if let Some(split) = self.split_column(cohort) {
            columns.push(format!("{split} AS split"));
        }
        let mut wanted: Vec<String> = pieces.known.into_iter().collect();
        if self.definition.definition == Definition::Vip {
            wanted.push(format!("{past}.vips = 0"));
        }
        if let (SplitSpec::Later { share, seed, .. }, true) = (self.split, self.users_may_repeat()) {
            let tests = tests(&format!("{past}.id"), share, seed);
            wanted.push(if cohort.split == Some("test") { tests } else { format!("NOT ({tests})") });
        }
        let wanted = if wanted.is_empty() { String::new() } else { format!("\n  WHERE {}", wanted.join("\n    AND ")) };
        format!("SELECT {}\n  FROM {past}\n  {joins}{wanted}", columns.join(",\n    "))
    }

    fn split_column(&self, cohort: &Cohort) -> Option<String> {
        match self.split {
            SplitSpec::None => None,
            SplitSpec::Random { share, seed } => {
                Some(format!("CASE WHEN {} THEN 'test' ELSE 'train' END", tests(&format!("past{}.id", cohort.ending), share, seed)))
            }
            SplitSpec::Later { .. } => cohort.split.map(quote::text),
        }
    }

    /// The query of all rows, ordered by id.
    #[must_use]
    pub fn sql(&self) -> String {
        let mut parts = self.events();
        let rows: Vec<String> = self.cohorts().iter().map(|cohort| self.cohort(cohort, &mut parts)).collect();
        format!("{}SELECT * FROM (\n  {}\n)\nORDER BY 1", with(&parts), rows.join("\n  UNION ALL\n  "))
    }

    /// The query of who was left out, one row a cohort: users asked about, of these already VIP, with labels not yet known, and drawn
    /// for the other cut-off. None where nobody can be.
    #[must_use]
    pub fn left_out_sql(&self) -> Option<String> {
        if !self.definition.definition.starts_with_the_user() && !self.users_may_repeat() {
            return None;
        }
        let mut parts = self.events();
        let mut rows = Vec::new();
        for cohort in self.cohorts() {
            let (ending, past) = (cohort.ending, format!("past{}", cohort.ending));
            let pieces = self.definition.pieces(cohort.cutoff, ending);
            let extra: String = pieces.past.iter().map(|(name, sql)| format!(", {sql} AS {name}")).collect();
            let text =
                format!("SELECT id{extra}\n  FROM events\n  WHERE at < {}\n  GROUP BY id\n  HAVING {}", cohort.cutoff.sql(), pieces.having);
            parts.push((past.clone(), format!("Users at {}", cohort.cutoff), text));
            let joins = match pieces.after.into_iter().find(|(name, _)| *name == "sent") {
                Some((name, text)) => {
                    parts.push((format!("{name}{ending}"), "Messages".into(), text));
                    format!(" JOIN sent{ending} ON {past}.id = sent{ending}.id")
                }
                None => String::new(),
            };
            let already = if self.definition.definition == Definition::Vip { format!("{past}.vips > 0") } else { "false".into() };
            let early = pieces.known.map_or_else(|| "false".to_owned(), |known| format!("NOT ({known})"));
            let other = match (self.split, self.users_may_repeat()) {
                (SplitSpec::Later { share, seed, .. }, true) => {
                    let tests = tests(&format!("{past}.id"), share, seed);
                    if cohort.split == Some("test") { format!("NOT ({tests})") } else { tests }
                }
                _ => "false".to_owned(),
            };
            rows.push(format!(
                "SELECT count(*) AS users,\n    count(*) FILTER (WHERE {already}) AS already,\n    \
                 count(*) FILTER (WHERE NOT ({already}) AND {early}) AS early,\n    \
                 count(*) FILTER (WHERE NOT ({already}) AND NOT ({early}) AND {other}) AS other\n  FROM {past}{joins}"
            ));
        }
        Some(format!("{}{}", with(&parts), rows.join("\n  UNION ALL\n  ")))
    }
}

fn with(parts: &[(String, String, String)]) -> String {
    let texts: Vec<String> = parts.iter().map(|(name, about, text)| format!("-- {about}\n{name} AS (\n  {text}\n)")).collect();
    format!("WITH\n{}\n", texts.join(",\n"))
}

/// Whether a hash of seed and id falls below the share: the first 32 bits of SHA-256.
fn tests(id: &str, share: f64, seed: u64) -> String {
    let below = (share * 4_294_967_296.0) as u64;
    format!("substr(encode(sha256(concat('{seed}:', {id})), 'hex'), 1, 8) < '{below:08x}'")
}
