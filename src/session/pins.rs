//! The peers whose keys we accept: a TOML file in the home folder.

use super::home::Home;
use crate::error::{Exit, Failure};
use colift_channel::tls::Fingerprint;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &str = "peers.toml";
const SCHEMA: u32 = 1;
const MAX_NAME: usize = 64;

/// A peer whose key was pinned by pairing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// What our side calls the peer.
    pub name: String,
    /// The peer's key.
    pub fingerprint: Fingerprint,
    /// When it was pinned, UTC.
    pub pinned_at: String,
    /// Whether it was revoked: refused for good.
    pub revoked: bool,
}

/// All pinned peers of a home.
#[derive(Clone, Debug)]
pub struct Pins {
    home: Home,
    peers: Vec<Pin>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinsFile {
    schema: u32,
    #[serde(default)]
    peer: Vec<PinRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinRow {
    name: String,
    fingerprint: String,
    pinned_at: String,
    revoked: bool,
}

impl Pins {
    /// Reads the pins; a home without the file has none.
    ///
    /// # Errors
    /// Exit code 2: the file is damaged, of another schema, or its mode is looser than 0600.
    pub fn load(home: &Home) -> Result<Self, Failure> {
        let place = home.path().join(FILE).display().to_string();
        let damaged = |what: String| Failure::new(Exit::Usage, 431, what).at(place.clone()).hint("remove the file and pair again");
        let mut pins = Self { home: home.clone(), peers: Vec::new() };
        let Some(content) = home.read(FILE)? else { return Ok(pins) };
        let text = std::str::from_utf8(&content).map_err(|_| damaged("the list of peers is not UTF-8".into()))?;
        let file: PinsFile = toml::from_str(text).map_err(|error| damaged(format!("the list of peers is damaged: {}", error.message())))?;
        if file.schema != SCHEMA {
            return Err(damaged(format!("the list of peers has schema {}, this program reads {SCHEMA}", file.schema)));
        }
        for PinRow { name, fingerprint, pinned_at, revoked } in file.peer {
            let fingerprint = fingerprint.parse().map_err(|error| damaged(format!("peer '{name}': {error}")))?;
            pins.peers.push(Pin { name, fingerprint, pinned_at, revoked });
        }
        Ok(pins)
    }

    /// Every peer, revoked ones too, in the order of pinning.
    #[must_use]
    pub fn list(&self) -> &[Pin] {
        &self.peers
    }

    /// The peers that are not revoked.
    pub fn good(&self) -> impl Iterator<Item = &Pin> {
        self.peers.iter().filter(|pin| !pin.revoked)
    }

    /// The pin of this key, if it is good.
    ///
    /// # Errors
    /// Exit code 11: the key was never pinned, or it was revoked.
    pub fn check(&self, fingerprint: Fingerprint) -> Result<&Pin, Failure> {
        let shown = fingerprint.groups();
        match self.peers.iter().find(|pin| pin.fingerprint == fingerprint) {
            Some(pin) if pin.revoked => Err(revoked(pin)),
            Some(pin) => Ok(pin),
            None => Err(Failure::new(Exit::PeerKey, 413, format!("the peer's key {shown} is not pinned here"))
                .hint("run `pair` on both sides and compare what both programs show")),
        }
    }

    /// Pins a key under a name and saves. Pinning the same key under the same name again changes nothing.
    ///
    /// # Errors
    /// Exit code 2: the name is unfit or taken, or the file cannot be written. Exit code 11: the key was revoked.
    pub fn add(&mut self, name: &str, fingerprint: Fingerprint) -> Result<Pin, Failure> {
        self.reload()?;
        self.may_add(name, Some(fingerprint))?;
        if let Some(pin) = self.peers.iter().find(|pin| pin.fingerprint == fingerprint) {
            return Ok(pin.clone());
        }
        let pin = Pin { name: name.into(), fingerprint, pinned_at: utc(SystemTime::now()), revoked: false };
        self.peers.push(pin.clone());
        self.save()?;
        Ok(pin)
    }

    /// Whether [`Pins::add`] would accept this name, and this key if it is known already.
    pub(super) fn may_add(&self, name: &str, fingerprint: Option<Fingerprint>) -> Result<(), Failure> {
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fit) {
            let what = format!("'{}' is no name for a peer: 1 to {MAX_NAME} letters, digits, '-', '_' or '.'", name.escape_debug());
            return Err(Failure::new(Exit::Usage, 432, what));
        }
        for pin in &self.peers {
            let same_key = fingerprint.is_some_and(|fingerprint| pin.fingerprint == fingerprint);
            if same_key && pin.revoked {
                return Err(revoked(pin));
            }
            if same_key && pin.name != name {
                let what = format!("this key is pinned already, under the name '{}'", pin.name);
                return Err(Failure::new(Exit::Usage, 433, what).hint("use that name"));
            }
            if pin.name == name && fingerprint.is_some() && !same_key && !pin.revoked {
                let what = format!("the name '{name}' is taken by another key");
                return Err(Failure::new(Exit::Usage, 434, what).hint("choose another name, or revoke the old key first"));
            }
        }
        Ok(())
    }

    /// Revokes a peer by name or fingerprint and saves: its key is refused from now on and cannot be pinned again.
    ///
    /// # Errors
    /// Exit code 2: no such peer, or the file cannot be written.
    pub fn revoke(&mut self, name_or_fingerprint: &str) -> Result<Pin, Failure> {
        self.reload()?;
        let fingerprint = name_or_fingerprint.parse::<Fingerprint>().ok();
        let meant = |pin: &Pin| Some(pin.fingerprint) == fingerprint || (pin.name == name_or_fingerprint && !pin.revoked);
        let Some(pin) = self.peers.iter_mut().find(|pin| meant(pin)) else {
            let what = format!("no pinned peer is called '{}'", name_or_fingerprint.escape_debug());
            return Err(Failure::new(Exit::Usage, 435, what).hint("`pair list` shows all peers"));
        };
        pin.revoked = true;
        let pin = pin.clone();
        self.save()?;
        Ok(pin)
    }

    /// Takes over what another process of ours has saved meanwhile.
    fn reload(&mut self) -> Result<(), Failure> {
        *self = Self::load(&self.home)?;
        Ok(())
    }

    fn save(&self) -> Result<(), Failure> {
        let row = |pin: &Pin| PinRow {
            name: pin.name.clone(),
            fingerprint: pin.fingerprint.to_string(),
            pinned_at: pin.pinned_at.clone(),
            revoked: pin.revoked,
        };
        let file = PinsFile { schema: SCHEMA, peer: self.peers.iter().map(row).collect() };
        let text = toml::to_string(&file)
            .map_err(|error| Failure::new(Exit::Internal, 436, format!("the list of peers cannot be written: {error}")))?;
        self.home.create()?;
        self.home.replace_file(FILE, text.as_bytes())
    }
}

fn revoked(pin: &Pin) -> Failure {
    Failure::new(Exit::PeerKey, 414, format!("the key of '{}' ({}) was revoked", pin.name, pin.fingerprint.groups()))
        .hint("the other side makes a new key in a new home with `init`, then `pair` on both sides")
}

/// A moment as `2026-11-23T06:14:00Z`.
fn utc(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1970 to a date of the proleptic Gregorian calendar, counting years from March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_are_written_as_dates() {
        // Figures of `date -u -d @N`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
