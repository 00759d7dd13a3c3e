//! Our own key: made once by `init`, one for each home folder.

use super::home::Home;
use crate::contract::SharedJob;
use crate::data::Side;
use crate::error::{Exit, Failure};
use colift_channel::tls::{Fingerprint, IdentityKey};

const FILE: &str = "identity.pkcs8";

/// This home's identity. Holds the private key: no Debug, no way to read it out; the bytes read from disk are wiped.
pub struct Identity {
    key: IdentityKey,
}

impl Identity {
    /// `init`: makes a key and stores it with mode 0600 in the folder of mode 0700.
    ///
    /// # Errors
    /// Exit code 2: there is a key already, the folder or its mode is unfit, or the file cannot be written.
    pub fn init(home: &Home) -> Result<Self, Failure> {
        home.create()?;
        let document = IdentityKey::generate_pkcs8()?;
        home.create_file(FILE, &document).map_err(|failure| match failure.id {
            424 => failure.hint("keep it: the other side has pinned it; to start anew, remove the file and pair again"),
            _ => failure,
        })?;
        Ok(Self { key: IdentityKey::from_pkcs8(&document)? })
    }

    /// Reads the key that `init` made.
    ///
    /// # Errors
    /// Exit code 2: there is none, its mode is looser than 0600, or it is damaged.
    pub fn load(home: &Home) -> Result<Self, Failure> {
        let place = home.path().join(FILE).display().to_string();
        let Some(document) = home.read(FILE)? else {
            return Err(Failure::new(Exit::Usage, 426, "there is no identity key yet").at(place).hint("run `init` first"));
        };
        let key = IdentityKey::from_pkcs8(&document).map_err(|error| {
            Failure::new(Exit::Usage, 427, error.to_string()).at(place).hint("remove the file, run `init` and pair again")
        })?;
        Ok(Self { key })
    }

    /// The fingerprint that the other side pins.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// The peer's key in a contract that names this key for `side`.
    ///
    /// # Errors
    /// Exit code 11: the contract names another key for this side.
    pub fn peer_in(&self, shared: &SharedJob, side: Side) -> Result<Fingerprint, Failure> {
        if shared.key(side)? != self.fingerprint() {
            return Err(Failure::new(Exit::PeerKey, 922, format!("the job names another key for the {side}"))
                .at("[shared.peers]")
                .hint(format!("this home's key is {}", self.fingerprint())));
        }
        shared.key(side.peer())
    }

    pub(super) fn key(&self) -> &IdentityKey {
        &self.key
    }
}
