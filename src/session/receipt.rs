//! The end of a run: both sides tell what they did, compare it, and sign one receipt. Where anything differs, neither keeps results.
//!
//! **Messages** `own part of the receipt`, both ways: JSON, at most 64 KiB: program, rows, common users, bytes by stage, opened
//! items with their counts, time, commitment to the results · `signature of the receipt`, both ways: public key (32), signature (64).
//!
//! What the parts must have in common is compared before anything is signed: the number of common users, and each opened item
//! with what one side learned and the other was told. The transcript's hashes, the contract and its signatures enter from this side's
//! own state: a peer that saw other messages signs another receipt, and is refused.

use super::signature::BothSigned;
use super::transcript::{Told, Transcript};
use super::{Identity, Recorded};
use crate::contract::SharedJob;
use crate::contract::receipt::{
    self, Both, Counted, Entry, OpenedItem, OwnPart, Phase, Program, Receipt, Wire, commitment, signed_of, statement,
};
use crate::data::Side;
use crate::data::wording::{hex, is_hex, shown};
use crate::error::{Exit, Failure};
use colift_channel::tls::{Fingerprint, Signed};
use colift_channel::{Channel, Kind};
use colift_primitives::rng::os_bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const PART: Kind = Kind { code: 0x0124, name: "own part of the receipt" };
const SIGNATURE: Kind = Kind { code: 0x0125, name: "signature of the receipt" };
/// Largest part.
const MOST_BYTES: usize = 64 << 10;

/// What a side tells about its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The program.
    pub program: Program,
    /// Rows of the own file.
    pub rows: u64,
    /// Common users.
    pub matched: u64,
    /// The ridge of a training as a number, whatever the contract says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<String>,
    /// Bytes sent by stage.
    pub phases: Vec<Phase>,
    /// Opened items in the order of the run.
    pub opened: Vec<Counted>,
    /// When the run ended, UTC.
    pub ended: String,
    /// Commitment to the result files.
    pub result: String,
}

/// This program.
#[must_use]
pub fn this_program() -> Program {
    let features = [("aes", std::arch::is_x86_feature_detected!("aes")), ("avx2", std::arch::is_x86_feature_detected!("avx2"))];
    Program {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("COLIFT_COMMIT").to_owned(),
        target: env!("COLIFT_TARGET").to_owned(),
        features: features.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()).collect(),
    }
}

/// What both sides need besides their parts.
pub struct Ground<'a> {
    /// This side.
    pub side: Side,
    /// Its key.
    pub identity: &'a Identity,
    /// The peer's pinned key.
    pub peer: Fingerprint,
    /// The contract.
    pub shared: &'a SharedJob,
    /// Its signatures.
    pub signatures: &'a BothSigned,
    /// A value that only this link has.
    pub session: &'a [u8; 32],
    /// Which attempt of the run this is, from 1.
    pub attempt: u32,
}

/// Exchanges parts and signatures. `part` lacks the commitment, which is made here of the hash of the results.
///
/// # Errors
/// Exit code 18: both sides' lists of opened values differ. 19: the peer's part is malformed, or its receipt is another one. The
/// link's failures.
pub fn agree<C: Channel>(mut channel: Recorded<C>, ground: &Ground<'_>, mut part: Part, result: String) -> Result<Receipt, Failure> {
    let transcript = channel.transcript();
    let nonce = hex(os_bytes::<32>().map_err(|error| Failure::of_class(error.class(), error.to_string()))?.as_slice());
    part.result = commitment(&nonce, &result);
    let text =
        serde_json::to_vec(&part).map_err(|error| Failure::new(Exit::Internal, 473, format!("the receipt cannot be written: {error}")))?;
    channel.send(PART, &text)?;
    let theirs: Part = serde_json::from_slice(&channel.receive_at_most(PART, MOST_BYTES)?).map_err(|_| malformed())?;
    theirs.check()?;
    compare(&part, &theirs)?;
    let entries = entries(ground, &transcript, &part, &theirs);
    let head = receipt::head(&entries)?;
    let own = ground.identity.key().sign(&statement(&head, ground.side))?;
    channel.send(SIGNATURE, &own.to_bytes())?;
    let peers = channel.receive(SIGNATURE, Signed::BYTES)?;
    let peers = hex(&peers);
    let fits = signed_of(&peers).is_some_and(|signed| signed.is_of(ground.peer, &statement(&head, ground.side.peer())));
    if !fits {
        return Err(Failure::new(Exit::Protocol, 475, "the peer signed another receipt than this side: the two saw different runs")
            .hint("no results are kept; run again"));
    }
    let own_part = OwnPart { side: ground.side.name().to_owned(), nonce, result };
    let made = Receipt::new(entries, Both::of(ground.side, hex(&own.to_bytes()), peers), own_part)?;
    made.verify()?;
    Ok(made)
}

impl Part {
    /// Refuses what no program of ours would tell: it is shown to people and kept.
    fn check(&self) -> Result<(), Failure> {
        let plain = |text: &str| text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:+ ".contains(&b));
        let words = [&self.program.version, &self.program.commit, &self.program.target, &self.ended];
        let lists = self
            .program
            .features
            .iter()
            .chain(&self.l2)
            .chain(self.phases.iter().map(|phase| &phase.name))
            .chain(self.opened.iter().map(|o| &o.item));
        let few = self.program.features.len() <= 32 && self.phases.len() <= 32 && self.opened.len() <= 256;
        let fits = few && words.into_iter().chain(lists).all(|text| plain(text)) && is_hex(&self.result, 64);
        if fits { Ok(()) } else { Err(malformed()) }
    }
}

fn malformed() -> Failure {
    Failure::new(Exit::Protocol, 474, "the peer's part of the receipt is malformed")
}

/// Whether both sides counted the same.
fn compare(own: &Part, peers: &Part) -> Result<(), Failure> {
    let differ = |what: String| {
        Failure::new(Exit::Policy, 476, format!("both sides' lists of opened values differ: {what}"))
            .hint("no results are kept; both sides should run the same release")
    };
    if own.matched != peers.matched {
        return Err(differ(format!("{} common users here, {} at the peer", own.matched, peers.matched)));
    }
    if own.l2 != peers.l2 {
        let of = |part: &Part| part.l2.as_deref().map_or_else(|| "none".to_owned(), shown);
        return Err(differ(format!("l2 is {} here, {} at the peer", of(own), of(peers))));
    }
    if own.opened.len() != peers.opened.len() {
        return Err(differ(format!("{} openings here, {} at the peer", own.opened.len(), peers.opened.len())));
    }
    match own.opened.iter().zip(&peers.opened).find(|(a, b)| a.item != b.item || (a.learned, a.told) != (b.told, b.learned)) {
        None => Ok(()),
        Some((a, b)) => Err(differ(format!(
            "{} with {} learned and {} told here, {} with {} told and {} learned at the peer",
            shown(&a.item),
            a.learned,
            a.told,
            shown(&b.item),
            b.told,
            b.learned
        ))),
    }
}

fn entries(ground: &Ground<'_>, transcript: &Transcript, own: &Part, peers: &Part) -> Vec<Entry> {
    let side = ground.side;
    let both = |own: &String, peers: &String| Both::of(side, own.clone(), peers.clone());
    let wire = |told: &Told| Wire { messages: told.messages, bytes: told.bytes, sha256: hex(&told.sha256) };
    let directions = Both::of(side, wire(&transcript.sent), wire(&transcript.received));
    let items = own.opened.iter().map(|counted| {
        let learned = Both::of(side, counted.learned, counted.told);
        OpenedItem { item: counted.item.clone(), owner: learned.owner, partner: learned.partner }
    });
    let session = Sha256::new().chain_update(b"colift receipt session v2").chain_update(ground.session).finalize();
    vec![
        Entry::Contract { digest: ground.shared.digest(), text: ground.shared.canonical() },
        Entry::Signatures(Both { owner: hex(&ground.signatures.owner.to_bytes()), partner: hex(&ground.signatures.partner.to_bytes()) }),
        Entry::Session { id: hex(&session), run: ground.signatures.run, attempt: ground.attempt },
        Entry::Programs(Both::of(side, own.program.clone(), peers.program.clone())),
        Entry::Sizes { rows: Both::of(side, own.rows, peers.rows), matched: own.matched, l2: own.l2.clone() },
        Entry::Phases(Both::of(side, own.phases.clone(), peers.phases.clone())),
        Entry::Opened { items: items.collect() },
        Entry::Transcript { owner_to_partner: directions.owner, partner_to_owner: directions.partner },
        Entry::Results(both(&own.result, &peers.result)),
        Entry::Ended(both(&own.ended, &peers.ended)),
    ]
}

#[cfg(test)]
mod tests;
