//! **Purpose** both companies' signatures of one contract: nothing that depends on data runs before both are there and good.
//!
//! **Functionality** `sign` signs the canonical shared part of a job with this home's identity key and keeps the signature in the home.
//! At the start of every run each side shows its own and checks the peer's: same contract, signed by the pinned key, in the peer's role.
//!
//! **Security** Ed25519 over a text that names purpose, version, role and the contract's digest (SHA-256 of its canonical text). Roles
//! differ, so a signature cannot be shown back; TLS signs texts that begin otherwise (RFC 8446 §4.4.3). A signature says who agreed,
//! not when it is used: a contract holds until a field of it says otherwise, and every change of a field makes another contract.
//!
//! **Runs** are counted on both sides, in the home, under the contract's digest; each side tells its count and the larger one holds, so
//! that no side forgets alone. A run counts from the moment both sides wrote its first attempt down; later attempts of it are the same run.
//!
//! **Messages** `signature`, both ways, first after the greeting: digest (32), public key (32), signature (64), runs so far (4).
//!
//! **Source** RFC 8032; no paper.

use super::{Home, Identity};
use crate::contract::SharedJob;
use crate::contract::receipt::{contract_statement as statement, signed_of};
use crate::data::Side;
use crate::data::wording::hex;
use crate::error::{Exit, Failure};
use colift_channel::tls::{Fingerprint, Signed};
use colift_channel::{Channel, Kind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const SIGNATURE: Kind = Kind { code: 0x0123, name: "signature of the contract" };
const SCHEMA: u32 = 1;

/// This side's signature of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractSignature {
    digest: [u8; 32],
    signed: Signed,
}

/// The signature as the home keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    schema: u32,
    name: String,
    digest: String,
    signed_at: String,
    signature: String,
}

/// Runs of a contract as the home counts them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsFile {
    schema: u32,
    runs: u32,
}

/// Both sides' signatures of one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BothSigned {
    /// Which run of the contract this is, from 1, if it is a new one.
    pub run: u32,
    /// The owner's.
    pub owner: Signed,
    /// The partner's.
    pub partner: Signed,
}

fn digest_of(shared: &SharedJob) -> [u8; 32] {
    Sha256::digest(shared.canonical().as_bytes()).into()
}

fn file_of(digest: &[u8; 32]) -> String {
    format!("signed-{}.json", hex(digest))
}

impl ContractSignature {
    /// Signs a contract in this side's role and keeps the signature.
    ///
    /// # Errors
    /// Exit code 11: the contract names another key for this side. Exit code 2: it cannot be kept.
    pub fn make(home: &Home, identity: &Identity, shared: &SharedJob, side: Side, now: Timestamp) -> Result<Self, Failure> {
        if shared.fingerprint(side).as_str() != identity.fingerprint().to_string() {
            return Err(Failure::new(Exit::PeerKey, 462, format!("the job names another key for the {side}"))
                .at(format!("{}, [shared.peers]", home.path().display()))
                .hint(format!("this home's key is {}", identity.fingerprint())));
        }
        let digest = digest_of(shared);
        let signed = identity.key().sign(&statement(&digest, side))?;
        let file = SignatureFile {
            schema: SCHEMA,
            name: shared.terms().name.clone(),
            digest: hex(&digest),
            signed_at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            signature: hex(&signed.to_bytes()),
        };
        let text = serde_json::to_vec_pretty(&file)
            .map_err(|error| Failure::new(Exit::Internal, 463, format!("the signature cannot be written: {error}")))?;
        home.replace_file(&file_of(&digest), &text)?;
        Ok(Self { digest, signed })
    }

    /// The signature that this home keeps of a contract.
    ///
    /// # Errors
    /// Exit code 12: there is none, or it is not one of this side's key and this contract. Exit code 2: its mode is looser than 0600.
    pub fn load(home: &Home, identity: &Identity, shared: &SharedJob, side: Side) -> Result<Self, Failure> {
        let digest = digest_of(shared);
        let place = home.path().join(file_of(&digest)).display().to_string();
        let unsigned = |what: &str| {
            Failure::new(Exit::Contract, 460, what)
                .at(place.clone())
                .hint(format!("read it, then colift-{side} sign JOB; any change of [shared] makes another contract"))
        };
        let content = home.read(&file_of(&digest))?.ok_or_else(|| unsigned("this contract is not signed on this side"))?;
        let signed = serde_json::from_slice::<SignatureFile>(&content)
            .ok()
            .filter(|file| file.schema == SCHEMA && file.digest == hex(&digest))
            .and_then(|file| signed_of(&file.signature))
            .filter(|signed| signed.is_of(identity.fingerprint(), &statement(&digest, side)));
        signed.map(|signed| Self { digest, signed }).ok_or_else(|| unsigned("the kept signature is damaged, or of another key"))
    }

    /// Runs of the contract that this home has counted.
    ///
    /// # Errors
    /// Exit code 2: the count is damaged, or its mode is looser than 0600.
    pub fn runs(&self, home: &Home) -> Result<u32, Failure> {
        let Some(content) = home.read(&self.runs_file())? else { return Ok(0) };
        match serde_json::from_slice::<RunsFile>(&content) {
            Ok(RunsFile { schema: SCHEMA, runs }) => Ok(runs),
            _ => Err(Failure::new(Exit::Usage, 464, "the count of a contract's runs is damaged")
                .at(home.path().join(self.runs_file()).display().to_string())
                .hint("restore the file; removing it makes this side forget the runs of this contract")),
        }
    }

    fn runs_file(&self) -> String {
        format!("runs-{}.json", hex(&self.digest))
    }

    /// Shows this signature to the peer and checks the peer's. Ok(None): the peer's is of another contract, and the caller has to find out
    /// where the two differ.
    ///
    /// # Errors
    /// Exit code 12: the peer's is not by the pinned key. Exit code 2: the count of runs is damaged. The link's failures.
    pub fn exchange(&self, channel: &mut dyn Channel, home: &Home, side: Side, peer: Fingerprint) -> Result<Option<BothSigned>, Failure> {
        let own_runs = self.runs(home)?;
        channel.send(SIGNATURE, &[&self.digest[..], &self.signed.to_bytes(), &own_runs.to_le_bytes()].concat())?;
        let theirs = channel.receive(SIGNATURE, 32 + Signed::BYTES + 4)?;
        let (digest, rest) = theirs.split_first_chunk::<32>().ok_or_else(not_signed)?;
        if *digest != self.digest {
            return Ok(None);
        }
        let (signed, runs) = rest.split_first_chunk().ok_or_else(not_signed)?;
        let signed = Signed::from_bytes(signed);
        let runs = own_runs.max(u32::from_le_bytes(*runs.first_chunk().ok_or_else(not_signed)?));
        if !signed.is_of(peer, &statement(digest, side.peer())) {
            return Err(not_signed());
        }
        let run = runs.saturating_add(1);
        Ok(Some(match side {
            Side::Owner => BothSigned { run, owner: self.signed, partner: signed },
            Side::Partner => BothSigned { run, owner: signed, partner: self.signed },
        }))
    }

    /// Counts the run of this number, if it is not counted yet.
    ///
    /// # Errors
    /// Exit code 2: it cannot be counted.
    pub fn count(&self, home: &Home, run: u32) -> Result<(), Failure> {
        let runs = self.runs(home)?.max(run);
        let text = serde_json::to_vec(&RunsFile { schema: SCHEMA, runs })
            .map_err(|error| Failure::new(Exit::Internal, 463, format!("the run cannot be counted: {error}")))?;
        home.replace_file(&self.runs_file(), &text)
    }
}

fn not_signed() -> Failure {
    Failure::new(Exit::Contract, 461, "the peer's signature of the contract is not by the key that is pinned here")
        .hint("the peer signs the job again; if that does not help, pair again")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::contract::{Job, Validity};
    use colift_testkit::run_pair;
    use std::path::Path;

    struct Party {
        _folder: tempfile::TempDir,
        home: Home,
        identity: Identity,
    }

    fn party() -> Party {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let identity = Identity::init(&home).unwrap();
        Party { _folder: folder, home, identity }
    }

    fn contract(owner: &Party, partner: &Party, l2: f64) -> SharedJob {
        let text = format!(
            "[shared]\nname = \"case\"\ntask = \"logistic\"\nlabel = \"label\"\nid_kind = \"email\"\nexpected_rate = \"20-50%\"\nl2 = {l2:?}\nmin_overlap = 100\n\
             max_rows = {{ owner = 1000, partner = 1000 }}\n[shared.peers]\nowner = \"{}\"\npartner = \"{}\"\n\
             [private]\ndata = \"d.csv\"\nid = \"id\"\nlink = {{ listen = \"127.0.0.1:1\" }}\n",
            owner.identity.fingerprint(),
            partner.identity.fingerprint()
        );
        Job::parse(&text, Side::Owner, Path::new("")).unwrap().shared().clone()
    }

    fn sign(party: &Party, shared: &SharedJob, side: Side) -> ContractSignature {
        ContractSignature::make(&party.home, &party.identity, shared, side, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn both_sides_end_with_both_signatures() {
        let (owner, partner) = (party(), party());
        let shared = contract(&owner, &partner, 0.001);
        let (one, two) = (sign(&owner, &shared, Side::Owner), sign(&partner, &shared, Side::Partner));
        let (keys, role) = ([owner.identity.fingerprint(), partner.identity.fingerprint()], [Side::Owner, Side::Partner]);
        let (a, b, counters, _) =
            run_pair(|c| one.exchange(c, &owner.home, role[0], keys[1]), |c| two.exchange(c, &partner.home, role[1], keys[0]));
        assert_eq!(a, b);
        let both = a.unwrap().unwrap();
        assert_eq!((both.owner.by(), both.partner.by()), (keys[0], keys[1]));
        assert_eq!(counters.messages_sent, 1);
        // What was made is what the home keeps.
        assert_eq!(ContractSignature::load(&owner.home, &owner.identity, &shared, Side::Owner).unwrap(), one);
    }

    #[test]
    fn an_unsigned_changed_or_borrowed_contract_is_refused() {
        let (owner, partner) = (party(), party());
        let shared = contract(&owner, &partner, 0.001);
        let load = |shared: &SharedJob, side| ContractSignature::load(&owner.home, &owner.identity, shared, side).unwrap_err();
        let failure = load(&shared, Side::Owner);
        assert_eq!((failure.exit, failure.id), (Exit::Contract, 460));
        assert!(failure.to_string().contains("colift-owner sign"), "{failure}");
        let one = sign(&owner, &shared, Side::Owner);
        assert_eq!(load(&contract(&owner, &partner, 0.002), Side::Owner).id, 460);
        assert_eq!(load(&shared, Side::Partner).id, 460, "a signature serves one role");
        // The owner cannot sign as the partner.
        let refused = ContractSignature::make(&owner.home, &owner.identity, &shared, Side::Partner, Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!((refused.exit, refused.id), (Exit::PeerKey, 462));
        // A peer that shows the owner's own signature back, one by another key, or one of another contract.
        let stranger = party();
        let other = contract(&owner, &stranger, 0.001);
        let theirs = sign(&stranger, &other, Side::Partner);
        for (shown, outcome) in [
            ([&one.digest[..], &one.signed.to_bytes(), &[0; 4]].concat(), Err(461)),
            ([&one.digest[..], &theirs.signed.to_bytes(), &[0; 4]].concat(), Err(461)),
            ([&theirs.digest[..], &theirs.signed.to_bytes(), &[0; 4]].concat(), Ok(None)),
        ] {
            let peer = partner.identity.fingerprint();
            let (a, ..) = run_pair(
                |c| one.exchange(c, &owner.home, Side::Owner, peer),
                |c| {
                    c.send(SIGNATURE, &shown).unwrap();
                    c.receive(SIGNATURE, 132).unwrap();
                },
            );
            assert_eq!(a.map_err(|failure| failure.id), outcome);
        }
    }

    #[test]
    fn runs_are_counted_on_both_sides_and_the_larger_count_holds() {
        let (owner, partner) = (party(), party());
        let shared = contract(&owner, &partner, 0.001);
        let (one, two) = (sign(&owner, &shared, Side::Owner), sign(&partner, &shared, Side::Partner));
        let validity = Validity { max_runs: Some(3), ..Validity::default() };
        let play = || {
            let (a, b, ..) = run_pair(
                |c| one.exchange(c, &owner.home, Side::Owner, partner.identity.fingerprint()),
                |c| two.exchange(c, &partner.home, Side::Partner, owner.identity.fingerprint()),
            );
            let runs = [a, b].map(|ended| ended.unwrap().unwrap().run);
            // Counted on both sides once it is agreed; counting it again changes nothing.
            for (signature, party) in [(&one, &owner), (&two, &partner), (&one, &owner)] {
                signature.count(&party.home, runs[0]).unwrap();
            }
            runs
        };
        assert_eq!(play(), [1, 1]);
        assert_eq!(play(), [2, 2]);
        two.count(&partner.home, 1).unwrap();
        assert_eq!(two.runs(&partner.home).unwrap(), 2, "a count never falls");
        // A side that loses its count learns it from the other.
        owner.home.replace_file(&one.runs_file(), b"{\"schema\":1,\"runs\":0}").unwrap();
        assert_eq!(play(), [3, 3]);
        let over = validity.check_now(3).unwrap_err();
        assert_eq!((over.exit, over.id), (Exit::Contract, 211));
        owner.home.replace_file(&one.runs_file(), b"{}").unwrap();
        assert_eq!(one.runs(&owner.home).unwrap_err().id, 464);
        // The last day counts, the day after does not.
        let validity = Validity { expires: Some(jiff::civil::date(2026, 12, 31)), ..Validity::default() };
        assert!(validity.check(jiff::civil::date(2026, 12, 31), 9).is_ok());
        assert_eq!(validity.check(jiff::civil::date(2027, 1, 1), 0).unwrap_err().exit, Exit::Contract);
    }

    #[test]
    fn every_changed_byte_of_a_kept_signature_is_noticed() {
        let (owner, partner) = (party(), party());
        let shared = contract(&owner, &partner, 0.001);
        let one = sign(&owner, &shared, Side::Owner);
        let text = owner.home.read(&file_of(&one.digest)).unwrap().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let signature = value["signature"].as_str().unwrap();
        for at in 0..signature.len() {
            let mut bad = value.clone();
            let digit = if &signature[at..=at] == "0" { "1" } else { "0" };
            bad["signature"] = format!("{}{digit}{}", &signature[..at], &signature[at + 1..]).into();
            owner.home.replace_file(&file_of(&one.digest), bad.to_string().as_bytes()).unwrap();
            assert_eq!(ContractSignature::load(&owner.home, &owner.identity, &shared, Side::Owner).unwrap_err().id, 460, "digit {at}");
        }
    }
}
