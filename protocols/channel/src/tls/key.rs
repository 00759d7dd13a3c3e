//! Identity keys: Ed25519 in PKCS#8, and the fingerprint by which a peer is pinned.

use crate::ChannelError;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::SignatureScheme;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// PKCS#8 version 2 with an Ed25519 key: what stands before the seed and between seed and public key (RFC 8410, RFC 5958).
const PKCS8_HEAD: [u8; 16] = [0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PKCS8_MIDDLE: [u8; 3] = [0x81, 0x21, 0x00];

/// SHA-256 of a public key's SubjectPublicKeyInfo: public, and all that has to be compared between two people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of an encoded SubjectPublicKeyInfo.
    #[must_use]
    pub fn of_spki(spki: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, spki).as_ref());
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hex digits in groups of four, the form that people read to each other.
    #[must_use]
    pub fn groups(&self) -> String {
        let mut text = String::with_capacity(79);
        for (i, digit) in self.to_string().chars().enumerate() {
            if i > 0 && i % 4 == 0 {
                text.push(' ');
            }
            text.push(digit);
        }
        text
    }
}

impl fmt::Display for Fingerprint {
    /// 64 lower-case hex digits, the form of the job file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 64 hex digits, in groups or not")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Reads both forms: blanks between digits are skipped.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let mut bytes = [0_u8; 32];
        let mut count = 0;
        for digit in text.chars().filter(|c| !c.is_whitespace()) {
            let value = digit.to_digit(16).ok_or(NotAFingerprint)? as u8;
            let byte = bytes.get_mut(count / 2).ok_or(NotAFingerprint)?;
            *byte = (*byte << 4) | value;
            count += 1;
        }
        if count == 64 { Ok(Self(bytes)) } else { Err(NotAFingerprint) }
    }
}

/// Our own identity, ready for a handshake. Holds the private key: no Debug, no way to read it out.
#[derive(Clone)]
pub struct IdentityKey {
    pub(super) certified: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

impl IdentityKey {
    /// Makes a new key from the operating system's generator, as a PKCS#8 document for [`IdentityKey::from_pkcs8`].
    ///
    /// # Errors
    /// Config class: the generator failed.
    pub fn generate_pkcs8() -> Result<Zeroizing<Vec<u8>>, ChannelError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        SystemRandom::new().fill(seed.as_mut_slice()).map_err(|_| ChannelError::BadKey { reason: "the system's generator failed" })?;
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| ChannelError::BadKey { reason: "the seed was refused" })?;
        let mut document = Zeroizing::new(Vec::with_capacity(PKCS8_HEAD.len() + 32 + PKCS8_MIDDLE.len() + 32));
        document.extend_from_slice(&PKCS8_HEAD);
        document.extend_from_slice(seed.as_slice());
        document.extend_from_slice(&PKCS8_MIDDLE);
        document.extend_from_slice(pair.public_key().as_ref());
        Ok(document)
    }

    /// Reads a PKCS#8 version 2 document with an Ed25519 key.
    ///
    /// # Errors
    /// Config class: anything else, or a public half that does not belong to the private one.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, ChannelError> {
        let not_ed25519 = |_| ChannelError::BadKey { reason: "not a PKCS#8 version 2 document with an Ed25519 key" };
        Ed25519KeyPair::from_pkcs8(document).map_err(not_ed25519)?;
        let signer = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(document))
            .map_err(|_| ChannelError::BadKey { reason: "the signer refused it" })?;
        let spki = signer.public_key().ok_or(ChannelError::BadKey { reason: "it has no public half" })?.as_ref().to_vec();
        let fingerprint = Fingerprint::of_spki(&spki);
        // A raw public key (RFC 7250) stands where a certificate would.
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer));
        Ok(Self { certified, fingerprint })
    }

    /// The fingerprint of the public half.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Signs a message. The caller begins it with words of its own, so that no signature serves for two purposes; none begins as
    /// what TLS signs does (64 blanks, RFC 8446 §4.4.3).
    ///
    /// # Errors
    /// Config class: the signer failed.
    pub fn sign(&self, message: &[u8]) -> Result<Signed, ChannelError> {
        let refused = |_| ChannelError::BadKey { reason: "the signer failed" };
        let signer = self.certified.key.choose_scheme(&[SignatureScheme::ED25519]);
        let made = signer.ok_or(ChannelError::BadKey { reason: "it does not sign" })?.sign(message).map_err(refused)?;
        let spki = self.certified.cert.first().map_or(&[][..], |key| key.as_ref());
        let (Some(public), Some(signature)) = (spki.last_chunk(), made.first_chunk()) else {
            return Err(ChannelError::BadKey { reason: "the signer failed" });
        };
        Ok(Signed { public: *public, signature: *signature })
    }
}

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 signature and the public key that checks it. Says nothing about whose key that is: compare [`Signed::by`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    public: [u8; 32],
    signature: [u8; 64],
}

impl Signed {
    /// Bytes of the encoded form: public key, signature.
    pub const BYTES: usize = 96;

    /// The encoded form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.public);
        bytes[32..].copy_from_slice(&self.signature);
        bytes
    }

    /// Reads the encoded form; any 96 bytes have one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (mut public, mut signature) = ([0; 32], [0; 64]);
        public.copy_from_slice(&bytes[..32]);
        signature.copy_from_slice(&bytes[32..]);
        Self { public, signature }
    }

    /// The fingerprint of the key that checks it.
    #[must_use]
    pub fn by(&self) -> Fingerprint {
        Fingerprint::of_spki(&[&SPKI_HEAD[..], &self.public].concat())
    }

    /// Whether the key of this fingerprint signed the message.
    #[must_use]
    pub fn is_of(&self, signer: Fingerprint, message: &[u8]) -> bool {
        self.by() == signer && UnparsedPublicKey::new(&ED25519, &self.public).verify(message, &self.signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_made_key_can_be_read_and_a_changed_one_cannot() {
        let document = IdentityKey::generate_pkcs8().unwrap();
        let key = IdentityKey::from_pkcs8(&document).unwrap();
        assert_ne!(key.fingerprint(), IdentityKey::from_pkcs8(&IdentityKey::generate_pkcs8().unwrap()).unwrap().fingerprint());
        // The layout is ring's own.
        let ours = ring::signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        assert_eq!((&ours.as_ref()[..16], &ours.as_ref()[48..51], ours.as_ref().len()), (&PKCS8_HEAD[..], &PKCS8_MIDDLE[..], 83));
        for at in [0, 10, 20, 50, 60, 82] {
            let mut bad = document.to_vec();
            bad[at] ^= 1;
            assert!(IdentityKey::from_pkcs8(&bad).is_err(), "byte {at}");
        }
        assert!(IdentityKey::from_pkcs8(&document[..82]).is_err());
        assert!(IdentityKey::from_pkcs8(b"").is_err());
    }

    /// RFC 8410 §10.1: the public key of the example, and its fingerprint computed with `sha256sum` over the encoded key.
    #[test]
    fn the_fingerprint_is_the_hash_of_the_encoded_public_key() {
        let spki: Vec<u8> = "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(Fingerprint::of_spki(&spki).to_string(), "a1e9156054e04fac899ae9f275132cdc07a5dbc4ea2c2ad3a1ffc6e0d253681f");
        let seed = [0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad]
            .into_iter()
            .chain([0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42]);
        let document: Vec<u8> = PKCS8_HEAD.into_iter().chain(seed).chain(PKCS8_MIDDLE).chain(spki[12..].iter().copied()).collect();
        assert_eq!(IdentityKey::from_pkcs8(&document).unwrap().fingerprint(), Fingerprint::of_spki(&spki));
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let [one, other] = [(); 2].map(|()| IdentityKey::from_pkcs8(&IdentityKey::generate_pkcs8().unwrap()).unwrap());
        let signed = one.sign(b"colift test: a").unwrap();
        assert_eq!(signed.by(), one.fingerprint());
        assert!(signed.is_of(one.fingerprint(), b"colift test: a"));
        assert!(!signed.is_of(one.fingerprint(), b"colift test: b") && !signed.is_of(other.fingerprint(), b"colift test: a"));
        let bytes = signed.to_bytes();
        assert_eq!(Signed::from_bytes(&bytes), signed);
        for at in 0..Signed::BYTES {
            let mut bad = bytes;
            bad[at] ^= 1;
            assert!(!Signed::from_bytes(&bad).is_of(one.fingerprint(), b"colift test: a"), "byte {at}");
        }
    }

    /// RFC 8032 §7.1, test 2: ring's verification is the one that is meant.
    #[test]
    fn a_published_signature_is_accepted() {
        let bytes = |hex: &str| (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect::<Vec<u8>>();
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        let signed = Signed::from_bytes(&[public, signature].concat().try_into().unwrap());
        assert!(signed.is_of(signed.by(), &[0x72]) && !signed.is_of(signed.by(), &[0x73]));
    }

    #[test]
    fn both_written_forms_are_read() {
        let print = Fingerprint::of_spki(b"x");
        assert_eq!(print.groups().len(), 79);
        assert_eq!(print.groups().parse(), Ok(print));
        assert_eq!(print.to_string().to_uppercase().parse(), Ok(print));
        let text = print.to_string();
        assert_eq!(text[1..].parse::<Fingerprint>(), Err(NotAFingerprint));
        assert_eq!(format!("{text}0").parse::<Fingerprint>(), Err(NotAFingerprint));
        assert_eq!(text.replace(&text[..1], "g").parse::<Fingerprint>(), Err(NotAFingerprint));
    }
}
