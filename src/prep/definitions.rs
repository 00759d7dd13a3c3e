//! The ready-made definitions of a label: who is asked about, what counts as yes, when it is known. docs/PREP.md says the same in words.
//!
//! All of them look forward from a cut-off T, and no event at or after T enters a feature. Time is cut into half-open intervals:
//! `[T, T+h)` holds T and not T+h.

use super::log::EventNames;
use super::moment::{Days, Moment};
use super::quote;

/// One definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// Registered shortly before T, not yet VIP: becomes VIP within h days of the registration.
    Vip,
    /// Lost before T: logs in again within h days of T.
    Lost,
    /// Gets a message after T: logs in within h days of the message.
    Returned,
    /// Amount paid within h days of T.
    Spend,
    /// Pays anything within h days of T.
    Pays,
    /// Shares within h days of T.
    Shared,
    /// Invites within h days of T.
    Invited,
}

impl Definition {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Vip, Self::Lost, Self::Returned, Self::Spend, Self::Pays, Self::Shared, Self::Invited];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vip => "vip",
            Self::Lost => "lost",
            Self::Returned => "returned",
            Self::Spend => "spend",
            Self::Pays => "pays",
            Self::Shared => "shared",
            Self::Invited => "invited",
        }
    }

    /// The definition of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|definition| definition.name() == name)
    }

    /// The name of its label column for a horizon.
    #[must_use]
    pub fn column(self, horizon: Days) -> String {
        let what = match self {
            Self::Vip => "vip",
            Self::Lost | Self::Returned => "returned",
            Self::Spend => "spend",
            Self::Pays => "pays",
            Self::Shared => "shared",
            Self::Invited => "invited",
        };
        format!("{what}_within_{horizon}")
    }

    /// Whether its label is an amount, not yes or no.
    #[must_use]
    pub fn is_amount(self) -> bool {
        self == Self::Spend
    }

    /// Whether each user's horizon begins at a moment of its own, so that some labels may be mature and others not.
    #[must_use]
    pub fn starts_with_the_user(self) -> bool {
        matches!(self, Self::Vip | Self::Returned)
    }

    /// The roles of event types without which it means nothing: what they are, their names.
    #[must_use]
    pub fn needs(self, names: &EventNames) -> Vec<(&'static str, &[String])> {
        match self {
            Self::Vip => vec![("a registration", &names.signup), ("a VIP event", &names.vip)],
            Self::Lost => vec![("a login", &names.login)],
            Self::Returned => vec![("a message", &names.message), ("a login", &names.login)],
            Self::Spend | Self::Pays => vec![("a payment", &names.pay)],
            Self::Shared => vec![("a share", &names.share)],
            Self::Invited => vec![("an invitation", &names.invite)],
        }
    }
}

/// What a definition needs to become SQL.
#[derive(Clone, Debug)]
pub struct DefinitionSpec {
    /// Which one.
    pub definition: Definition,
    /// What events are called.
    pub names: EventNames,
    /// Lengths of the label, ascending, each once, at least one.
    pub horizons: Vec<Days>,
    /// How far back a user's events count.
    pub feature_window: Days,
    /// Without a login for so long a user is lost.
    pub lost_after: Days,
    /// Messages of so many days from the cut-off count.
    pub campaign: Days,
    /// Until when the log is complete.
    pub as_of: Moment,
}

/// A definition at one cut-off as pieces of SQL over `events` (id, at, kind, amount, channel).
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// Columns that the users' past must hold besides the features.
    pub past: Vec<(String, String)>,
    /// Who is asked about, of the users with a past.
    pub having: String,
    /// Queries of what follows the cut-off: name (before the cohort's ending) and text.
    pub after: Vec<(&'static str, String)>,
    /// Joins them to the past.
    pub joins: String,
    /// Whose labels are known.
    pub known: Option<String>,
    /// The label columns: name and expression.
    pub labels: Vec<(String, String)>,
}

impl DefinitionSpec {
    /// The shortest horizon.
    #[must_use]
    pub fn shortest(&self) -> Days {
        self.horizons.first().copied().unwrap_or(self.feature_window)
    }

    /// The longest horizon.
    #[must_use]
    pub fn longest(&self) -> Days {
        self.horizons.last().copied().unwrap_or(self.feature_window)
    }

    fn is(names: &[String]) -> String {
        format!("kind IN {}", quote::texts(names))
    }

    /// Active in the feature window.
    fn active(&self, cutoff: Moment) -> String {
        format!("count(*) FILTER (WHERE at >= {}) > 0", cutoff.minus(self.feature_window).sql())
    }

    /// The pieces at a cut-off; `ending` is put behind the names of its queries.
    pub(super) fn pieces(&self, cutoff: Moment, ending: &str) -> Pieces {
        match self.definition {
            Definition::Vip => self.vip(cutoff, ending),
            Definition::Lost => self.lost(cutoff, ending),
            Definition::Returned => self.returned(cutoff, ending),
            Definition::Spend => self.amount(cutoff, ending),
            Definition::Pays => self.happens(cutoff, ending, &self.names.pay),
            Definition::Shared => self.happens(cutoff, ending, &self.names.share),
            Definition::Invited => self.happens(cutoff, ending, &self.names.invite),
        }
    }

    /// Events from the cut-off to the end of the longest horizon, by user.
    fn future(&self, cutoff: Moment, columns: &[String]) -> String {
        let until = cutoff.plus(self.longest()).min(self.as_of);
        format!(
            "SELECT id, {}\n  FROM events\n  WHERE at >= {} AND at < {}\n  GROUP BY id",
            columns.join(",\n    "),
            cutoff.sql(),
            until.sql()
        )
    }

    fn happens(&self, cutoff: Moment, ending: &str, names: &[String]) -> Pieces {
        let column = |horizon: &Days| self.definition.column(*horizon);
        let count = |horizon: &Days| {
            let until = cutoff.plus(*horizon).sql();
            format!("count(*) FILTER (WHERE {} AND at < {until}) AS {}", Self::is(names), quote::name(&column(horizon)))
        };
        let yes = |horizon: &Days| {
            let name = column(horizon);
            let sql = format!("CASE WHEN future{ending}.{} > 0 THEN 1 ELSE 0 END", quote::name(&name));
            (name, sql)
        };
        Pieces {
            past: Vec::new(),
            having: self.active(cutoff),
            after: vec![("future", self.future(cutoff, &self.horizons.iter().map(count).collect::<Vec<_>>()))],
            joins: format!("LEFT JOIN future{ending} ON past{ending}.id = future{ending}.id"),
            known: None,
            labels: self.horizons.iter().map(yes).collect(),
        }
    }

    fn lost(&self, cutoff: Moment, ending: &str) -> Pieces {
        let login = Self::is(&self.names.login);
        let last = format!("max(at) FILTER (WHERE {login} AND at >= {})", cutoff.minus(self.feature_window).sql());
        let having = format!("{last} < {}", cutoff.minus(self.lost_after).sql());
        Pieces { having, ..self.happens(cutoff, ending, &self.names.login) }
    }

    fn amount(&self, cutoff: Moment, ending: &str) -> Pieces {
        let column = |horizon: &Days| self.definition.column(*horizon);
        let sum = |horizon: &Days| {
            let until = cutoff.plus(*horizon).sql();
            format!("sum(amount) FILTER (WHERE {} AND at < {until}) AS {}", Self::is(&self.names.pay), quote::name(&column(horizon)))
        };
        let paid = |horizon: &Days| {
            let name = column(horizon);
            let sql = format!("coalesce(future{ending}.{}, 0.0)", quote::name(&name));
            (name, sql)
        };
        Pieces {
            after: vec![("future", self.future(cutoff, &self.horizons.iter().map(sum).collect::<Vec<_>>()))],
            labels: self.horizons.iter().map(paid).collect(),
            ..self.happens(cutoff, ending, &self.names.pay)
        }
    }

    /// Registered less than the shortest horizon ago: every label of the row is still open at the cut-off.
    fn vip(&self, cutoff: Moment, ending: &str) -> Pieces {
        let signed_up = format!("min(at) FILTER (WHERE {})", Self::is(&self.names.signup));
        let vips = format!("count(*) FILTER (WHERE {})", Self::is(&self.names.vip));
        let first = format!("min(at) FILTER (WHERE {}) AS vip_at", Self::is(&self.names.vip));
        let yes = |horizon: &Days| {
            let sql = format!("CASE WHEN future{ending}.vip_at < past{ending}.signed_up + {} THEN 1 ELSE 0 END", horizon.sql());
            (self.definition.column(*horizon), sql)
        };
        Pieces {
            past: vec![("signed_up".into(), signed_up.clone()), ("vips".into(), vips)],
            having: format!("{signed_up} >= {}", cutoff.minus(self.shortest()).sql()),
            after: vec![("future", self.future(cutoff, &[first]))],
            joins: format!("LEFT JOIN future{ending} ON past{ending}.id = future{ending}.id"),
            known: Some(format!("past{ending}.signed_up + {} <= {}", self.longest().sql(), self.as_of.sql())),
            labels: self.horizons.iter().map(yes).collect(),
        }
    }

    fn returned(&self, cutoff: Moment, ending: &str) -> Pieces {
        let sent = format!(
            "SELECT id, min(at) AS sent_at\n  FROM events\n  WHERE {} AND at >= {} AND at < {}\n  GROUP BY id",
            Self::is(&self.names.message),
            cutoff.sql(),
            cutoff.plus(self.campaign).sql()
        );
        let back = format!(
            "SELECT events.id, min(events.at) AS back_at\n  FROM events JOIN sent{ending} ON events.id = sent{ending}.id\n  \
             WHERE {} AND events.at > sent{ending}.sent_at\n  GROUP BY events.id",
            Self::is(&self.names.login)
        );
        let yes = |horizon: &Days| {
            let sql = format!("CASE WHEN back{ending}.back_at < sent{ending}.sent_at + {} THEN 1 ELSE 0 END", horizon.sql());
            (self.definition.column(*horizon), sql)
        };
        Pieces {
            past: Vec::new(),
            having: self.active(cutoff),
            after: vec![("sent", sent), ("back", back)],
            joins: format!(
                "JOIN sent{ending} ON past{ending}.id = sent{ending}.id\n  LEFT JOIN back{ending} ON past{ending}.id = back{ending}.id"
            ),
            known: Some(format!("sent{ending}.sent_at + {} <= {}", self.longest().sql(), self.as_of.sql())),
            labels: self.horizons.iter().map(yes).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_lead_back_and_columns_name_the_horizon() {
        for definition in Definition::ALL {
            assert_eq!(Definition::from_name(definition.name()), Some(definition));
        }
        assert_eq!(Definition::from_name("VIP"), None);
        assert_eq!(Definition::Lost.column(Days::parse("30d").unwrap()), "returned_within_30d");
    }
}
