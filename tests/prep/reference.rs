//! The slow plain reference: the definitions of docs/PREP.md as loops over one user's events after the other. No SQL, no engine.

use crate::world::{Cell, Rows};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000_000;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: i64,
    pub kind: String,
    pub amount: Option<f64>,
    pub channel: Option<String>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub define: &'static str,
    pub cutoff: &'static str,
    pub later: Option<&'static str>,
    pub as_of: Option<&'static str>,
    pub window: i64,
    pub windows: Vec<i64>,
    pub horizons: Vec<i64>,
    pub count: Vec<&'static str>,
    pub test_share: Option<f64>,
}

/// Microseconds since 1970 of a time as a log writes it.
pub fn micros(text: &str) -> i64 {
    let utc = || text.parse::<DateTime>().unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp();
    text.parse::<Timestamp>().unwrap_or_else(|_| utc()).as_microsecond()
}

/// Reads a log of CSV `user_id,ts,type,amount,channel`: events by user, and how many have no id and no time.
pub fn read(text: &str) -> (BTreeMap<String, Vec<Event>>, u64, u64) {
    let mut users: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    let (mut no_id, mut no_time) = (0, 0);
    let missing = |text: &str| matches!(text, "" | "null" | "NULL" | "\\N");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for record in reader.records() {
        let record = record.unwrap();
        let id = record[0].trim();
        no_id += u64::from(missing(id));
        no_time += u64::from(missing(&record[1]));
        if missing(id) || missing(&record[1]) {
            continue;
        }
        users.entry(id.to_owned()).or_default().push(Event {
            at: micros(&record[1]),
            kind: record[2].to_owned(),
            amount: record[3].parse().ok(),
            channel: Some(record[4].to_owned()).filter(|channel| !missing(channel)),
        });
    }
    (users, no_id, no_time)
}

/// Rows that the program must make, and the users left out: already VIP, immature, drawn for the other cut-off.
pub fn rows(users: &BTreeMap<String, Vec<Event>>, ask: &Ask) -> (Rows, [u64; 3]) {
    let last = users.values().flatten().map(|event| event.at).max().unwrap();
    let as_of = ask.as_of.map_or(last, micros);
    let (mut rows, mut left_out) = (Rows::new(), [0; 3]);
    let cutoffs = match ask.later {
        Some(later) => vec![(micros(ask.cutoff), Some("train")), (micros(later), Some("test"))],
        None => vec![(micros(ask.cutoff), None)],
    };
    // At registration cut-offs further apart than the horizon nobody is asked about twice.
    let apart = ask.define == "vip" && cutoffs.len() == 2 && cutoffs[0].0 + ask.horizons[0] * DAY <= cutoffs[1].0;
    for (cutoff, part) in cutoffs {
        for (id, events) in users {
            let Some(labels) = labels(events, ask, cutoff, as_of) else { continue };
            let labels = match labels {
                Err(which) => {
                    left_out[which] += 1;
                    continue;
                }
                Ok(labels) => labels,
            };
            let test = ask.test_share.or(part.map(|_| 0.25)).map(|share| draws_test(id, share));
            if part.is_some() && !apart && test != Some(part == Some("test")) {
                left_out[2] += 1;
                continue;
            }
            let mut row = features(events, ask, cutoff);
            row.extend(labels);
            let split = part.or(test.map(|test| if test { "test" } else { "train" }));
            row.extend(split.map(|split| ("split".to_owned(), Cell::Text(split.to_owned()))));
            assert!(rows.insert(id.clone(), row).is_none(), "a user twice");
        }
    }
    (rows, left_out)
}

fn draws_test(id: &str, share: f64) -> bool {
    let hash = Sha256::digest(format!("7:{id}"));
    let head = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    f64::from(head) < (share * 4_294_967_296.0).floor()
}

/// None: not asked about. Err: left out, for this reason.
#[allow(clippy::type_complexity)]
fn labels(events: &[Event], ask: &Ask, cutoff: i64, as_of: i64) -> Option<Result<Vec<(String, Cell)>, usize>> {
    let (shortest, longest) = (ask.horizons[0] * DAY, ask.horizons[ask.horizons.len() - 1] * DAY);
    let active = events.iter().any(|event| event.at < cutoff && event.at >= cutoff - ask.window * DAY);
    let of = |kind: &'static str| events.iter().filter(move |event| event.kind == kind);
    let label = |what: &str, days: i64, value: f64| (format!("{what}_within_{days}d"), Cell::Number(value));
    let yes = |what: &str, days: i64, yes: bool| label(what, days, f64::from(u8::from(yes)));
    let happens = |kind: &'static str, what: &str| {
        ask.horizons
            .iter()
            .map(|days| yes(what, *days, of(kind).any(|event| event.at >= cutoff && event.at < cutoff + days * DAY)))
            .collect()
    };
    match ask.define {
        "spend" => active.then(|| {
            let paid = |days: i64| {
                let window = of("purchase").filter(|event| event.at >= cutoff && event.at < cutoff + days * DAY);
                window.filter_map(|event| event.amount).sum::<f64>()
            };
            Ok(ask.horizons.iter().map(|days| label("spend", *days, paid(*days))).collect())
        }),
        "pays" => active.then(|| Ok(happens("purchase", "pays"))),
        "shared" => active.then(|| Ok(happens("share", "shared"))),
        "invited" => active.then(|| Ok(happens("invite", "invited"))),
        "lost" => {
            let last = of("login").map(|event| event.at).filter(|at| *at < cutoff && *at >= cutoff - ask.window * DAY).max()?;
            (last < cutoff - 7 * DAY).then(|| Ok(happens("login", "returned")))
        }
        "vip" => {
            let signed_up = of("register").map(|event| event.at).filter(|at| *at < cutoff).min()?;
            if signed_up < cutoff - shortest {
                return None;
            }
            if of("vip").any(|event| event.at < cutoff) {
                return Some(Err(0));
            }
            if signed_up + longest > as_of {
                return Some(Err(1));
            }
            let becomes = |days: i64| of("vip").any(|event| event.at >= cutoff && event.at < signed_up + days * DAY);
            Some(Ok(ask.horizons.iter().map(|days| yes("vip", *days, becomes(*days))).collect()))
        }
        "returned" => {
            let sent = of("message").map(|event| event.at).filter(|at| *at >= cutoff && *at < cutoff + 7 * DAY).min()?;
            if !active {
                return None;
            }
            if sent + longest > as_of {
                return Some(Err(1));
            }
            let back = |days: i64| of("login").any(|event| event.at > sent && event.at < sent + days * DAY);
            Some(Ok(ask.horizons.iter().map(|days| yes("returned", *days, back(*days))).collect()))
        }
        other => panic!("{other}"),
    }
}

fn features(events: &[Event], ask: &Ask, cutoff: i64) -> BTreeMap<String, Cell> {
    let past: Vec<&Event> = events.iter().filter(|event| event.at < cutoff).collect();
    let mut row = BTreeMap::new();
    let since = |at: Option<i64>| at.map_or(Cell::Missing, |at| Cell::Number((cutoff - at) as f64 / DAY as f64));
    let within = |micros: i64| past.iter().filter(move |event| event.at >= cutoff - micros);
    let last = |kind: Option<&str>| {
        within(ask.window * DAY).filter(|event| kind.is_none_or(|kind| event.kind == kind)).map(|event| event.at).max()
    };
    row.insert("tenure_days".into(), since(past.iter().map(|event| event.at).min()));
    row.insert("recency_days".into(), since(last(None)));
    row.insert("login_recency_days".into(), since(last(Some("login"))));
    row.insert("pay_recency_days".into(), since(last(Some("purchase"))));
    for days in &ask.windows {
        let whole = days * DAY;
        let count =
            |micros: i64, kind: Option<&str>| within(micros).filter(|event| kind.is_none_or(|kind| event.kind == kind)).count() as f64;
        let spend = |micros: i64| within(micros).filter(|event| event.kind == "purchase").filter_map(|event| event.amount).sum::<f64>();
        let trend = |all: f64, recent: f64| if all > 0.0 { (recent - (all - recent)) / all } else { 0.0 };
        let mut put = |name: String, value: f64| row.insert(name, Cell::Number(value));
        put(format!("events_{days}d"), count(whole, None));
        put(format!("logins_{days}d"), count(whole, Some("login")));
        put(format!("pays_{days}d"), count(whole, Some("purchase")));
        for kind in &ask.count {
            put(format!("count_{kind}_{days}d"), count(whole, Some(kind)));
        }
        put(format!("events_trend_{days}d"), trend(count(whole, None), count(whole / 2, None)));
        put(format!("spend_{days}d"), spend(whole));
        put(format!("spend_trend_{days}d"), trend(spend(whole), spend(whole / 2)));
    }
    let mut channels: Vec<(i64, &String)> = past.iter().filter_map(|event| Some((event.at, event.channel.as_ref()?))).collect();
    channels.sort();
    row.insert("channel".into(), channels.first().map_or(Cell::Missing, |(_, channel)| Cell::Text((*channel).clone())));
    row
}
