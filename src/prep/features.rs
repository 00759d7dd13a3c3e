//! Features from a user's events before the cut-off: how recent, how often, how much, which way it goes, since when; by window.

use super::log::EventNames;
use super::moment::{DAY, Days, Moment};
use super::quote;

/// Which features.
#[derive(Clone, Debug)]
pub struct FeatureSpec {
    /// Windows that end at the cut-off, ascending, each once.
    pub windows: Vec<Days>,
    /// How far back recency looks.
    pub feature_window: Days,
    /// Whether events have amounts.
    pub has_value: bool,
    /// Whether users have channels.
    pub has_channel: bool,
    /// Further event types to count.
    pub count: Vec<String>,
}

/// Features as SQL: sums over a user's events, and what is made of them.
#[derive(Clone, Debug, Default)]
pub(super) struct FeatureSql {
    /// Aggregates over `events` before the cut-off.
    pub sums: Vec<(String, String)>,
    /// Feature columns over those, in the order of the file.
    pub columns: Vec<(String, String)>,
}

impl FeatureSpec {
    /// The names of the feature columns.
    #[must_use]
    pub fn names(&self, names: &EventNames) -> Vec<String> {
        self.sql(names, Moment(0), "past").columns.into_iter().map(|(name, _)| name).collect()
    }

    /// The features at a cut-off; `past` is what the query of the sums is called.
    pub(super) fn sql(&self, names: &EventNames, cutoff: Moment, past: &str) -> FeatureSql {
        let mut sql = FeatureSql::default();
        let from = |days: Days| cutoff.minus(days).sql();
        let is = |names: &[String]| format!("kind IN {}", quote::texts(names));
        let days_since = |column: &str| format!("CAST({} - CAST({past}.{column} AS BIGINT) AS DOUBLE) / {DAY}.0", cutoff.0);
        let (login, pay) = (is(&names.login), is(&names.pay));

        let window = from(self.feature_window);
        let mut since = |name: &str, sum: &str, aggregate: String| {
            sql.sums.push((sum.to_owned(), aggregate));
            sql.columns.push((name.to_owned(), days_since(sum)));
        };
        since("tenure_days", "first_at", "min(at)".into());
        since("recency_days", "last_at", format!("max(at) FILTER (WHERE at >= {window})"));
        since("login_recency_days", "last_login_at", format!("max(at) FILTER (WHERE {login} AND at >= {window})"));
        since("pay_recency_days", "last_pay_at", format!("max(at) FILTER (WHERE {pay} AND at >= {window})"));

        for days in &self.windows {
            let (start, half) = (from(*days), cutoff.minus_half(*days).sql());
            let mut sum = |name: String, aggregate: String| {
                sql.sums.push((name.clone(), aggregate));
                name
            };
            let events = sum(format!("events_{days}"), format!("count(*) FILTER (WHERE at >= {start})"));
            let recent = sum(format!("events_{days}_recent"), format!("count(*) FILTER (WHERE at >= {half})"));
            let logins = sum(format!("logins_{days}"), format!("count(*) FILTER (WHERE {login} AND at >= {start})"));
            let pays = sum(format!("pays_{days}"), format!("count(*) FILTER (WHERE {pay} AND at >= {start})"));
            let whole = [&events, &logins, &pays].map(|name| (name.clone(), format!("{past}.{name}")));
            let mut columns: Vec<(String, String)> = whole.to_vec();
            for kind in &self.count {
                let name = format!("count_{kind}_{days}");
                let one = is(std::slice::from_ref(kind));
                let quoted = sum(quote::name(&name), format!("count(*) FILTER (WHERE {one} AND at >= {start})"));
                columns.push((name, format!("{past}.{quoted}")));
            }
            columns.push((format!("events_trend_{days}"), trend(past, &events, &recent)));
            if self.has_value {
                let spend = |start: &str| format!("coalesce(sum(amount) FILTER (WHERE {pay} AND at >= {start}), 0.0)");
                let spent = sum(format!("spend_{days}"), spend(&start));
                let recent = sum(format!("spend_{days}_recent"), spend(&half));
                columns.push((spent.clone(), format!("{past}.{spent}")));
                columns.push((format!("spend_trend_{days}"), trend(past, &spent, &recent)));
            }
            sql.columns.extend(columns);
        }
        if self.has_channel {
            let first = "first_value(channel ORDER BY at, channel) FILTER (WHERE channel IS NOT NULL)";
            sql.sums.push(("channel".into(), first.into()));
            sql.columns.push(("channel".into(), format!("{past}.channel")));
        }
        sql
    }
}

/// (recent half − earlier half) / both; 0 where both are nothing.
fn trend(past: &str, whole: &str, recent: &str) -> String {
    format!("CASE WHEN {past}.{whole} > 0 THEN (2.0 * {past}.{recent} - {past}.{whole}) / {past}.{whole} ELSE 0.0 END")
}
