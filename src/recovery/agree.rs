//! The begin of an attempt: both sides tell what they have of a run, and go on with what both have.
//!
//! **Purpose.** A new run begins from nothing; a resumed one after the phases that *both* sides finished in the same attempt.
//!
//! **Functionality.** Offers o, p of the two sides → New, or Again(attempt, matching kept?, training kept?), the same on both sides; or both
//! refuse.
//!
//! **Security.** Attempt k of a run has a chain value c_k = H(c_{k−1}, k, both nonces). Both sides write k and c_k down, tell each other that
//! they have, and only then, after writing that too, does anything depend on data. So whoever is past that point knows that the other
//! had written k: a side that comes back with less was put back to an earlier copy (or lost its state) and is refused, by the side that
//! knows, whose answer ends both. A side that had not heard the other's word yet may be one attempt ahead; that attempt did nothing and is
//! void. Each side is held to its data by a salted SHA-256 of its table, told in the first attempt and compared in every later one; the
//! peer learns from it whether the data are the same, nothing else, and a peer that lies about its own table breaks no more than a
//! peer that trains on invented data in the first place. Two sides that are both put back to the same earlier copy notice nothing: they
//! only repeat work.
//!
//! **Cost.** 1 round, 182 bytes each way; then 1 round, 1 byte each way.
//!
//! **Messages.** `attempt`: 1 for a resumed run (1), run (32), attempt (4), 1 under way (1), c_k (32), c_{k−1} (32), attempts that ended the matching
//! and the training (4, 4), salted hash of the table (32), nonce (32), 1 if it told who is common plus 2 if it opened more (1), reserved (7). `attempt noted`: 1.
//!
//! **Source.** No paper: a two-party commit on a counter.

use super::Unfinished;
use super::marked::Told;
use crate::data::wording::{from_hex, hex};
use crate::error::{Exit, Failure};
use crate::session::Home;
use colift_channel::{Channel, Kind};
use colift_primitives::hash::PartHash;
use colift_primitives::rng::os_bytes;
use serde::{Deserialize, Serialize};

const ATTEMPT: Kind = Kind { code: 0x0126, name: "attempt" };
const NOTED: Kind = Kind { code: 0x0127, name: "attempt noted" };
const BYTES: usize = 1 + 32 + 4 + 1 + 32 + 32 + 4 + 4 + 32 + 32 + 8;
/// Most attempts of one run.
pub const MOST_ATTEMPTS: u32 = 32;

/// What both sides agreed about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreed {
    /// The run, on both sides.
    pub run: String,
    /// Which run of the contract it is, from 1.
    pub number: u32,
    /// Its latest attempt, from 1.
    pub attempt: u32,
    /// Whether the peer is known to have written this attempt down.
    pub under_way: bool,
    chain: String,
    before: String,
    salt: String,
    data: String,
    peer_data: String,
    /// The attempt whose matching is kept; 0 for none.
    pub matching: u32,
    /// The attempt whose training is kept; 0 for none.
    pub training: u32,
}

/// What one side tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub resume: bool,
    pub run: [u8; 32],
    /// 0 where nothing was agreed yet.
    pub attempt: u32,
    pub under_way: bool,
    pub chain: [u8; 32],
    pub before: [u8; 32],
    pub matching: u32,
    pub training: u32,
    pub data: [u8; 32],
    pub nonce: [u8; 32],
    /// What an attempt of it has told, or was about to.
    pub told: Told,
}

/// How both sides go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Common {
    /// From nothing.
    New,
    /// After what an earlier attempt finished.
    Again {
        /// The attempt that ended last on both sides.
        attempt: u32,
        /// Its chain value.
        chain: [u8; 32],
        /// Whether the matching is kept.
        matching: bool,
        /// Whether the training is kept.
        training: bool,
        /// Whether it is another run of the contract: something was told of a phase that is not kept on both sides.
        another: bool,
    },
}

/// What the exchange of offers gave.
pub struct Proposal {
    /// How both sides go on.
    pub common: Common,
    /// The contract's number of a run that is taken up, unless it is another run from now on.
    pub number: Option<u32>,
    own: Offer,
    peer: Offer,
    salt: [u8; 32],
}

impl Offer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let [attempt, matching, training] = [self.attempt, self.matching, self.training].map(u32::to_le_bytes);
        [
            &[u8::from(self.resume)][..],
            &self.run,
            &attempt,
            &[u8::from(self.under_way)],
            &self.chain,
            &self.before,
            &matching,
            &training,
            &self.data,
            &self.nonce,
            &[self.told.code()],
            &[0; 7],
        ]
        .concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let malformed = || Failure::new(Exit::Protocol, 516, "the peer's offer of an attempt is malformed");
        let mut rest = bytes;
        let mut take = |count: usize| -> Option<&[u8]> {
            let (head, tail) = rest.split_at_checked(count)?;
            rest = tail;
            Some(head)
        };
        let mut read = || -> Option<Self> {
            let flag = |bytes: &[u8]| match bytes {
                [0] => Some(false),
                [1] => Some(true),
                _ => None,
            };
            let offer = Self {
                resume: flag(take(1)?)?,
                run: take(32)?.try_into().ok()?,
                attempt: u32::from_le_bytes(take(4)?.try_into().ok()?),
                under_way: flag(take(1)?)?,
                chain: take(32)?.try_into().ok()?,
                before: take(32)?.try_into().ok()?,
                matching: u32::from_le_bytes(take(4)?.try_into().ok()?),
                training: u32::from_le_bytes(take(4)?.try_into().ok()?),
                data: take(32)?.try_into().ok()?,
                nonce: take(32)?.try_into().ok()?,
                told: Told::from_code(*take(1)?.first()?)?,
            };
            (take(7)? == [0; 7]).then_some(offer)
        };
        let offer = read().ok_or_else(malformed)?;
        // A phase is never of a later attempt than the run, nor a training without its matching.
        let later = offer.matching > offer.attempt || offer.training > offer.attempt || (offer.training > 0 && offer.matching == 0);
        if later || (offer.under_way && offer.attempt == 0) { Err(malformed()) } else { Ok(offer) }
    }
}

/// How two offers go together; the same for both sides.
///
/// # Errors
/// Exit code 2: one side resumes and the other does not, or they would resume different runs. 17: too many attempts. 18: one side's state
/// is older than what the other knows it had.
pub(super) fn decide(own: &Offer, peer: &Offer) -> Result<Common, Failure> {
    if own.resume != peer.resume {
        let (this, that) = if own.resume { ("resumes a run", "begins a new one") } else { ("begins a new run", "resumes one") };
        return Err(Failure::new(Exit::Usage, 517, format!("this side {this}, the peer {that}"))
            .hint("agree: `resume` on both sides, or `run` on both"));
    }
    if !own.resume {
        return Ok(Common::New);
    }
    let (base, chain) = match (own.attempt, peer.attempt) {
        (0, 0) => return Ok(Common::New),
        (0, _) if !peer.under_way => return Ok(Common::New),
        (_, 0) if !own.under_way => return Ok(Common::New),
        (0, _) => return Err(rolled_back("this side's", peer.attempt, 0)),
        (_, 0) => return Err(rolled_back("the peer's", own.attempt, 0)),
        _ if own.run != peer.run => {
            return Err(Failure::new(Exit::Usage, 518, "the two sides would resume different runs")
                .hint("begin anew: `run` on both sides, which forgets both"));
        }
        (a, b) if a == b && own.chain == peer.chain => (a, own.chain),
        (a, b) if a == b => return Err(rolled_back("one side's", a, b)),
        (a, b) if a == b.saturating_add(1) && !own.under_way && own.before == peer.chain => (b, peer.chain),
        (a, b) if b == a.saturating_add(1) && !peer.under_way && peer.before == own.chain => (a, own.chain),
        (a, b) if a > b => return Err(rolled_back("the peer's", a, b)),
        (a, b) => return Err(rolled_back("this side's", b, a)),
    };
    if base >= MOST_ATTEMPTS {
        return Err(Failure::new(Exit::Cap, 519, format!("{base} attempts of this run were made, which is the most"))
            .hint("look for the cause, then `run` on both sides"));
    }
    let matching = own.matching > 0 && own.matching == peer.matching;
    let training = matching && own.training > 0 && own.training == peer.training;
    let told = own.told.or(peer.told);
    let another = (told.matching && !matching) || (told.opening && !training);
    Ok(Common::Again { attempt: base, chain, matching, training, another })
}

fn rolled_back(whose: &str, known: u32, told: u32) -> Failure {
    let what = format!("{whose} state of this run is older than it was: attempt {told}, where attempt {known} is known to have begun");
    Failure::new(Exit::Policy, 520, what)
        .at("resume, before anything of the data was sent")
        .hint("a folder of the home was put back to an earlier copy; begin anew: `run` on both sides")
}

/// The salted hash of a table.
pub(super) fn salted(salt: &[u8; 32], table: &[u8; 32]) -> [u8; 32] {
    PartHash::new("colift data of a run v1").part(salt).part(table).finish()
}

fn bytes(text: &str) -> Result<[u8; 32], Failure> {
    let damaged = || Failure::new(Exit::Usage, 521, "the state of the unfinished run is damaged").hint("`cancel` removes it");
    from_hex(text).ok_or_else(damaged)
}

impl Unfinished {
    /// Exchanges offers. `table` is the hash of the own table, which must be that of the run's begin.
    ///
    /// # Errors
    /// As the function's documentation says: 2, 17, 18. Exit code 13: the own data are others than when the run began. 18: the peer's are. 19: a
    /// malformed offer. The link's failures.
    pub fn propose(&mut self, channel: &mut dyn Channel, resume: bool, table: &[u8; 32]) -> Result<Proposal, Failure> {
        let fresh = || os_bytes::<32>().map(|bytes| *bytes).map_err(|error| Failure::of_class(error.class(), error.to_string()));
        let nonce = fresh()?;
        let (own, salt) = match &self.state.agreed {
            Some(agreed) => {
                let salt = bytes(&agreed.salt)?;
                if hex(&salted(&salt, table)) != agreed.data {
                    return Err(Failure::new(Exit::Data, 522, "the data are not those with which this run began")
                        .hint("put the file back as it was, or begin anew: `run` on both sides"));
                }
                let own = Offer {
                    resume,
                    run: bytes(&agreed.run)?,
                    attempt: agreed.attempt,
                    under_way: agreed.under_way,
                    chain: bytes(&agreed.chain)?,
                    before: bytes(&agreed.before)?,
                    matching: agreed.matching,
                    training: agreed.training,
                    data: bytes(&agreed.data)?,
                    nonce,
                    told: Told::read(&self.folder),
                };
                (own, salt)
            }
            None => {
                let salt = fresh()?;
                let (run, chain, data) = ([0; 32], [0; 32], salted(&salt, table));
                let (before, under_way, told) = (chain, false, Told::default());
                let own = Offer { resume, run, attempt: 0, under_way, chain, before, matching: 0, training: 0, data, nonce, told };
                (own, salt)
            }
        };
        channel.send(ATTEMPT, &own.encode())?;
        let peer = Offer::decode(&channel.receive(ATTEMPT, BYTES)?)?;
        let common = decide(&own, &peer)?;
        let again = self.state.agreed.as_ref().filter(|_| common != Common::New);
        if let Some(agreed) = again
            && hex(&peer.data) != agreed.peer_data
        {
            return Err(Failure::new(Exit::Policy, 523, "the peer's data are not those with which this run began")
                .hint("begin anew: `run` on both sides"));
        }
        let number = again.filter(|_| !matches!(common, Common::Again { another: true, .. })).map(|agreed| agreed.number);
        Ok(Proposal { common, number, own, peer, salt })
    }

    /// Writes the attempt down and goes on once the peer has, too. `session` is a value that only this link has, `number` the run's among
    /// those of the contract; `owner` says which side this is.
    ///
    /// # Errors
    /// Exit code 1: it cannot be written. The link's failures.
    pub fn attempt(
        &mut self,
        channel: &mut dyn Channel,
        home: &Home,
        proposal: &Proposal,
        (session, number, owner): (&[u8; 32], u32, bool),
    ) -> Result<u32, Failure> {
        let Proposal { common, own, peer, salt, .. } = proposal;
        let (run, attempt, before, matching, training) = match common {
            Common::New => {
                let run = PartHash::new("colift run v1").part(session).part(self.state.contract.as_bytes()).finish();
                (run, 1, [0; 32], false, false)
            }
            Common::Again { attempt, chain, matching, training, .. } => (own.run, attempt + 1, *chain, *matching, *training),
        };
        let [first, second] = if owner { [&own.nonce, &peer.nonce] } else { [&peer.nonce, &own.nonce] };
        let chain =
            PartHash::new("colift attempt v1").part(&run).number(u64::from(attempt)).part(&before).part(first).part(second).finish();
        if *common == Common::New {
            super::forget_others(home, &self.state.contract, &self.state.peer, &self.folder)?;
        }
        self.state.agreed = Some(Agreed {
            run: hex(&run),
            number,
            attempt,
            under_way: false,
            chain: hex(&chain),
            before: hex(&before),
            salt: hex(salt),
            data: hex(&own.data),
            peer_data: hex(&peer.data),
            matching: if matching { own.matching } else { 0 },
            training: if training { own.training } else { 0 },
        });
        self.state.finished = false;
        self.save()?;
        channel.send(NOTED, &[1])?;
        if channel.receive(NOTED, 1)? != [1] {
            return Err(Failure::new(Exit::Protocol, 516, "the peer's word about an attempt is malformed"));
        }
        if let Some(agreed) = &mut self.state.agreed {
            agreed.under_way = true;
        }
        self.save()?;
        if matches!(common, Common::Again { another: true, .. }) {
            Told::forget(&self.folder)?;
        }
        self.drop_kept(matching, training);
        Ok(attempt)
    }
}
