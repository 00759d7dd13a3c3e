//! **Purpose** a receipt of a run that an auditor checks offline: what was agreed, what ran, what was opened, what crossed the wire.
//!
//! **Functionality** a list of entries, equal on both sides, chained by SHA-256, the last link signed by both identity keys. Beside it a
//! part of its own: a nonce and the hash of this side's result files, to which an entry commits, so that the peer learns nothing
//! about them and an auditor can compare them with the receipt.
//!
//! **Security** h_0 = SHA-256("colift receipt v2"), h_i = SHA-256(h_{i−1}, entry i). The signature's text names purpose, role and the last
//! link. A receipt is read only in its one canonical form, so every flipped bit is found: it breaks the form, a link, a
//! commitment or a signature. A receipt proves what both programs *said*; a side that runs another program can lie about what
//! it did with what it saw, not about what it received.
//!
//! **Source** no paper.

use super::SharedJob;
use crate::data::Side;
use crate::data::wording::{from_hex, hex};
use crate::error::{Exit, Failure};
use colift_channel::tls::Signed;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Largest receipt that is read.
pub const MAX_RECEIPT_BYTES: usize = 1 << 20;
const SCHEMA: &str = "colift.receipt/2";

/// One value for each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Both<T> {
    /// The owner's.
    pub owner: T,
    /// The partner's.
    pub partner: T,
}

impl<T> Both<T> {
    /// Own and peer's value, as `side` sees them.
    pub fn of(side: Side, own: T, peer: T) -> Self {
        match side {
            Side::Owner => Self { owner: own, partner: peer },
            Side::Partner => Self { owner: peer, partner: own },
        }
    }

    fn side(&self, side: Side) -> &T {
        match side {
            Side::Owner => &self.owner,
            Side::Partner => &self.partner,
        }
    }
}

/// A program as it was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Version.
    pub version: String,
    /// Commit, or `unknown`.
    pub commit: String,
    /// Target, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// What the processor was used for, such as `avx2`.
    pub features: Vec<String>,
}

/// A stage of a run and the bytes that a side sent in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name in the report.
    pub name: String,
    /// Bytes sent, frames' headers included.
    pub sent: u64,
}

/// One item of the contract and how many values each side learned by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedItem {
    /// Its name in `reveal`.
    pub item: String,
    /// Values that the owner learned.
    pub owner: u64,
    /// Values that the partner learned.
    pub partner: u64,
}

/// How many values an item opened, as one side counted them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Its name in `reveal`.
    pub item: String,
    /// Values that this side learned.
    pub learned: u64,
    /// Values that the peer learned.
    pub told: u64,
}

/// One direction of the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// Messages.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// SHA-256 over kind, length and payload of each.
    pub sha256: String,
}

/// One entry of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// What both signed: the canonical text and its digest.
    Contract {
        /// SHA-256 of the text.
        digest: String,
        /// The canonical shared part.
        text: String,
    },
    /// Both signatures of the contract: key and signature in hex.
    Signatures(Both<String>),
    /// This link and no other.
    Session {
        /// A hash of the link's own value.
        id: String,
        /// Which run of the contract this is, from 1.
        run: u32,
        /// Which attempt of it: 1, or more after `resume`. What earlier attempts finished crossed other links.
        #[serde(default = "first", skip_serializing_if = "is_first")]
        attempt: u32,
    },
    /// Both programs.
    Programs(Both<Program>),
    /// Rows of both files, and common users.
    Sizes {
        /// Rows of each side.
        rows: Both<u64>,
        /// Common users.
        matched: u64,
        /// The ridge of a training as a number: with `auto` it follows from the training rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        l2: Option<String>,
    },
    /// Stages, as each side counted what it sent.
    Phases(Both<Vec<Phase>>),
    /// Every opened item.
    Opened {
        /// In the order of the run.
        items: Vec<OpenedItem>,
    },
    /// Both directions of the wire from the first message after the greeting on.
    Transcript {
        /// What the owner sent.
        owner_to_partner: Wire,
        /// What the partner sent.
        partner_to_owner: Wire,
    },
    /// Commitments to both sides' result files.
    Results(Both<String>),
    /// When each side ended, by its own clock, UTC.
    Ended(Both<String>),
}

fn first() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

/// This side's own part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPart {
    /// Whose receipt this is.
    pub side: String,
    /// What hides the result in its commitment.
    pub nonce: String,
    /// Hash of the result files by name.
    pub result: String,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    schema: String,
    /// The entries.
    pub entries: Vec<Entry>,
    /// The last link of the chain.
    pub head: String,
    /// Both signatures of it: key and signature in hex.
    pub signatures: Both<String>,
    /// This side's own part.
    pub own: OwnPart,
}

/// The commitment to a result.
#[must_use]
pub fn commitment(nonce: &str, result: &str) -> String {
    hex(&Sha256::digest(format!("colift receipt result v1\n{nonce}\n{result}\n")))
}

/// The hash of result files, by name in rising order.
#[must_use]
pub fn result_hash(files: &[(String, [u8; 32])]) -> String {
    let mut sorted = files.to_vec();
    sorted.sort();
    let text: String = sorted.iter().map(|(name, hash)| format!("{} {name}\n", hex(hash))).collect();
    hex(&Sha256::digest(format!("colift receipt files v1\n{text}")))
}

/// The last link of a chain of entries.
///
/// # Errors
/// Exit code 1: an entry cannot be written.
pub fn head(entries: &[Entry]) -> Result<[u8; 32], Failure> {
    let mut link: [u8; 32] = Sha256::digest(b"colift receipt v2").into();
    for entry in entries {
        let text = serde_json::to_vec(entry).map_err(|error| unwritable(&error))?;
        link = Sha256::new().chain_update(link).chain_update(text).finalize().into();
    }
    Ok(link)
}

/// What a side signs.
#[must_use]
pub fn statement(head: &[u8; 32], side: Side) -> Vec<u8> {
    format!("colift receipt signature v1\n{side}\n{}\n", hex(head)).into_bytes()
}

/// What a side signs of a contract.
#[must_use]
pub fn contract_statement(digest: &[u8; 32], side: Side) -> Vec<u8> {
    format!("colift contract signature v1\n{side}\n{}\n", hex(digest)).into_bytes()
}

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::new(Exit::Internal, 470, format!("the receipt cannot be written: {error}"))
}

/// 96 bytes of a key and its signature in lower-case hex.
#[must_use]
pub fn signed_of(text: &str) -> Option<Signed> {
    from_hex(text).map(|bytes| Signed::from_bytes(&bytes))
}

impl Receipt {
    /// A receipt from its parts; [`Receipt::verify`] says whether they fit.
    ///
    /// # Errors
    /// Exit code 1: an entry cannot be written.
    pub fn new(entries: Vec<Entry>, signatures: Both<String>, own: OwnPart) -> Result<Self, Failure> {
        Ok(Self { schema: SCHEMA.to_owned(), head: hex(&head(&entries)?), entries, signatures, own })
    }

    /// The one canonical form, with a line end.
    ///
    /// # Errors
    /// Exit code 1: it cannot be written.
    pub fn to_json(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map(|text| text + "\n").map_err(|error| unwritable(&error))
    }

    /// Reads a receipt and checks all of it.
    ///
    /// # Errors
    /// Exit code 30: it is not in canonical form, a link, a commitment or a signature is wrong, an entry is missing or twice. Exit
    /// code 16: it is of another schema.
    pub fn from_json(text: &str) -> Result<Self, Failure> {
        if text.len() > MAX_RECEIPT_BYTES {
            return Err(broken("it is larger than any receipt"));
        }
        let receipt: Self = serde_json::from_str(text).map_err(|error| broken(&format!("it cannot be read: {error}")))?;
        if receipt.schema != SCHEMA {
            return Err(Failure::new(Exit::Version, 472, format!("the receipt's schema is not {SCHEMA}")));
        }
        if receipt.to_json()? != text {
            return Err(broken("it is not in its one canonical form"));
        }
        receipt.verify()?;
        Ok(receipt)
    }

    /// The contract of the run.
    ///
    /// # Errors
    /// Exit code 30: there is none, or not the one that its digest says.
    pub fn contract(&self) -> Result<SharedJob, Failure> {
        let Some(Entry::Contract { digest, text }) = self.entries.first() else {
            return Err(broken("it does not begin with a contract"));
        };
        let shared = SharedJob::from_canonical(text).map_err(|failure| broken(&failure.what))?;
        if shared.digest() == *digest { Ok(shared) } else { Err(broken("the contract's digest is another one")) }
    }

    /// Checks chain, signatures of contract and receipt by the contract's keys, opened items against the contract, and the own commitment.
    ///
    /// # Errors
    /// Exit code 30, naming what does not fit.
    pub fn verify(&self) -> Result<(), Failure> {
        let shared = self.contract()?;
        let head = head(&self.entries)?;
        if hex(&head) != self.head {
            return Err(broken("the chain ends in another link"));
        }
        let [
            Entry::Contract { digest, .. },
            Entry::Signatures(contract),
            Entry::Session { .. },
            Entry::Programs(_),
            Entry::Sizes { .. },
            Entry::Phases(_),
            Entry::Opened { items },
            Entry::Transcript { .. },
            Entry::Results(results),
            Entry::Ended(_),
        ] = &self.entries[..]
        else {
            return Err(broken("entries are missing, twice, or in another order"));
        };
        let digest: [u8; 32] = from_hex(digest).ok_or_else(|| broken("the contract's digest is no hash"))?;
        for side in [Side::Owner, Side::Partner] {
            let key = shared.key(side)?;
            let good = |text: &str, statement: &[u8]| signed_of(text).is_some_and(|signed| signed.is_of(key, statement));
            if !good(contract.side(side), &contract_statement(&digest, side)) {
                return Err(broken(&format!("the {side}'s signature of the contract is not by the contract's key")));
            }
            if !good(self.signatures.side(side), &statement(&head, side)) {
                return Err(broken(&format!("the {side}'s signature of the receipt is not by the contract's key")));
            }
        }
        if let Some(item) = items.iter().find(|item| !shared.terms().reveal.iter().any(|listed| listed.name() == item.item)) {
            return Err(broken(&format!("{} was opened, and the contract does not list it", item.item)));
        }
        let side = [Side::Owner, Side::Partner].into_iter().find(|side| side.name() == self.own.side);
        let own = side.map(|side| results.side(side)).ok_or_else(|| broken("it is neither the owner's nor the partner's"))?;
        if *own != commitment(&self.own.nonce, &self.own.result) {
            return Err(broken("the own part is not what the receipt commits to"));
        }
        Ok(())
    }
}

fn broken(what: &str) -> Failure {
    Failure::new(Exit::Verification, 471, format!("the receipt does not verify: {what}"))
}
