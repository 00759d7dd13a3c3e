//! Points in time (UTC, microseconds) and numbers of days, as a person writes them and as SQL.

use crate::data::wording::shown;
use crate::error::{Exit, Failure};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fmt;

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// Microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// Reads `2026-06-01` (midnight UTC), `2026-06-01T12:00:00` (UTC) or a time with an offset.
    ///
    /// # Errors
    /// Exit 2, E1101: it is no date.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let utc = || text.parse::<DateTime>().ok().and_then(|local| local.to_zoned(TimeZone::UTC).ok()).map(|zoned| zoned.timestamp());
        let found = text.parse::<Timestamp>().ok().or_else(utc);
        found.map(|moment| Self(moment.as_microsecond())).ok_or_else(|| {
            Failure::new(Exit::Usage, 1101, format!("{} is no date", shown(text))).hint("such as 2026-06-01 or 2026-06-01T12:00:00Z (UTC)")
        })
    }

    /// So many days later.
    #[must_use]
    pub fn plus(self, days: Days) -> Self {
        Self(self.0.saturating_add(days.micros()))
    }

    /// So many days earlier.
    #[must_use]
    pub fn minus(self, days: Days) -> Self {
        Self(self.0.saturating_sub(days.micros()))
    }

    /// Half of so many days earlier.
    #[must_use]
    pub fn minus_half(self, days: Days) -> Self {
        Self(self.0.saturating_sub(days.micros() / 2))
    }

    /// As SQL: a time in microseconds without a zone.
    #[must_use]
    pub fn sql(self) -> String {
        format!("to_timestamp_micros('{self}')")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(moment) = Timestamp::from_microsecond(self.0) else { return write!(f, "{} µs", self.0) };
        let local = moment.to_zoned(TimeZone::UTC).datetime();
        if self.0.rem_euclid(DAY) == 0 { write!(f, "{}", local.date()) } else { write!(f, "{local}") }
    }
}

/// A number of whole days, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(u32);

impl Days {
    /// Most days: about a hundred years.
    const MOST: u32 = 36_525;

    /// So many days.
    ///
    /// # Errors
    /// Exit 2, E1102: none, or more than a hundred years.
    pub fn new(days: u32) -> Result<Self, Failure> {
        let good = (1..=Self::MOST).contains(&days);
        good.then_some(Self(days)).ok_or_else(|| Failure::new(Exit::Usage, 1102, format!("{days} days are none or too many")))
    }

    /// Reads `90d`, `12w`, `1y` (365 days) or `90`.
    ///
    /// # Errors
    /// Exit 2, E1102: it is no number of days, or none, or more than a hundred years.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let (digits, unit) = match text.char_indices().next_back() {
            Some((at, 'd')) => (&text[..at], 1),
            Some((at, 'w')) => (&text[..at], 7),
            Some((at, 'y')) => (&text[..at], 365),
            _ => (text, 1),
        };
        let days = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
        let days = days.filter(|days| (1..=Self::MOST).contains(days)).map(Self);
        days.ok_or_else(|| Failure::new(Exit::Usage, 1102, format!("{} is no number of days", shown(text))).hint("such as 30d, 12w or 1y"))
    }

    /// As a number.
    #[must_use]
    pub fn days(self) -> u32 {
        self.0
    }

    /// Its microseconds.
    #[must_use]
    pub fn micros(self) -> i64 {
        i64::from(self.0) * DAY
    }

    /// As an SQL interval.
    #[must_use]
    pub fn sql(self) -> String {
        format!("INTERVAL '{} days'", self.0)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn dates_and_times_are_utc() {
        let day = Moment::parse("2026-06-01").unwrap();
        assert_eq!(day.0, 1_780_272_000_000_000);
        assert_eq!(Moment::parse("2026-06-01T00:00:00").unwrap(), day);
        assert_eq!(Moment::parse("2026-06-01T08:00:00+08:00").unwrap(), day);
        assert_eq!(day.to_string(), "2026-06-01");
        assert_eq!(day.minus(Days::parse("1w").unwrap()).to_string(), "2026-05-25");
        assert_eq!(day.minus_half(Days::parse("7d").unwrap()).to_string(), "2026-05-28T12:00:00");
        for wrong in ["", "June", "2026-13-01", "2026-06-01'; --"] {
            assert_eq!(Moment::parse(wrong).unwrap_err().id, 1101, "{wrong}");
        }
    }

    #[test]
    fn days_weeks_and_years() {
        let days = |text: &str| Days::parse(text).map(Days::days);
        assert_eq!((days("30d"), days("2w"), days("1y"), days("90")), (Ok(30), Ok(14), Ok(365), Ok(90)));
        for wrong in ["0d", "d", "-3d", "1m", "999999d", "1.5d"] {
            assert_eq!(days(wrong).unwrap_err().id, 1102, "{wrong}");
        }
    }
}
