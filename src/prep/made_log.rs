//! An event log of invented users, a function of its seed alone, written row by row in the order of time.

use crate::error::{Exit, Failure};
use crate::evaluation::random::SplitMix;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Channels users come from; the last is no channel.
const CHANNELS: [&str; 6] = ["search", "social", "video", "store", "partner", ""];

/// The log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeLog {
    /// Rows.
    pub events: u64,
    /// Users; each registers once.
    pub users: u64,
    /// Seconds since 1970 of the first event.
    pub start: i64,
    /// Days from the first event to the last.
    pub days: u32,
    /// Seed.
    pub seed: u64,
}

impl MadeLog {
    /// Writes it as CSV: `user_id,ts,type,amount,channel`.
    ///
    /// Users register evenly over time; the others' events are drawn from those registered, busy ones more often. Amounts stand at
    /// purchases, channels at registrations.
    ///
    /// # Errors
    /// Exit 1, E1132: the disk.
    pub fn write_csv(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Internal, 1132, format!("the log cannot be written: {error}")).at(path.display().to_string())
        };
        let file = File::create(path).map_err(failed)?;
        self.rows(&mut BufWriter::with_capacity(1 << 20, file)).map_err(failed)
    }

    fn rows(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut random = SplitMix::new(self.seed, 0);
        out.write_all(b"user_id,ts,type,amount,channel\n")?;
        let span = i128::from(self.days) * 86_400_000;
        let users = self.users.clamp(1, self.events.max(1));
        let mut registered = 0u64;
        for row in 0..self.events {
            // Times go up by even steps.
            let millis = i128::from(row) * span / i128::from(self.events.max(1));
            let time = Stamp(i128::from(self.start) * 1_000 + millis);
            // Users register evenly over the rows; the first row is one.
            if u128::from(registered) * u128::from(self.events) <= u128::from(row) * u128::from(users) {
                let channel = CHANNELS[random.below(CHANNELS.len())];
                writeln!(out, "u{registered:07},{time},register,,{channel}")?;
                registered += 1;
                continue;
            }
            // The larger of two draws prefers younger users; every third event goes to one user in seven.
            let rank = random.below(registered as usize).max(random.below(registered as usize)) as u64;
            let user = if random.below(3) == 0 { rank - rank % 7 } else { rank };
            let busy = SplitMix::new(self.seed ^ 0x5eed, user).next() % 8;
            let (kind, amount) = match random.below(1_000) as u64 {
                0..500 => ("login", None),
                500..830 => ("view", None),
                830..890 => ("message", None),
                890..950 if busy < 5 => ("view", None),
                890..965 => ("purchase", Some(1 + random.below(40 + 60 * busy as usize))),
                965..970 => ("vip", None),
                970..990 => ("share", None),
                _ => ("invite", None),
            };
            match amount {
                Some(cents) => writeln!(out, "u{user:07},{time},{kind},{}.{:02},", cents, random.below(100))?,
                None => writeln!(out, "u{user:07},{time},{kind},,")?,
            }
        }
        out.flush()
    }
}

/// Milliseconds since 1970, shown as `2026-06-01T12:00:00.250`.
struct Stamp(i128);

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (days, millis) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        // Civil date of a day number: H. Hinnant, "chrono-compatible low-level date algorithms".
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i128::from(month <= 2);
        let (seconds, rest) = (millis / 1_000, millis % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{rest:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn times_are_civil_dates() {
        assert_eq!(Stamp(1_780_272_000_250).to_string(), "2026-06-01T00:00:00.250");
        assert_eq!(Stamp(951_782_399_999).to_string(), "2000-02-28T23:59:59.999");
        assert_eq!(Stamp(951_868_799_000).to_string(), "2000-02-29T23:59:59.000");
    }

    #[test]
    fn a_log_is_a_function_of_its_seed_and_registers_every_user_once() {
        let made = |seed| {
            let mut out = Vec::new();
            MadeLog { events: 5_000, users: 200, start: 1_767_225_600, days: 200, seed }.rows(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (first, again, other) = (made(7), made(7), made(8));
        assert!(first == again && first != other);
        let rows: Vec<Vec<&str>> = first.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!((rows.len(), rows.iter().filter(|row| row[2] == "register").count()), (5_000, 200));
        assert!(rows.windows(2).all(|two| two[0][1] <= two[1][1]), "in the order of time");
        assert!(rows.iter().all(|row| row.len() == 5 && (row[2] == "purchase") == !row[3].is_empty()));
    }
}
