//! TLS settings: version 1.3 only, raw Ed25519 public keys on both sides, the peer's key pinned, nothing resumed.

use super::key::{Fingerprint, IdentityKey};
use crate::ChannelError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring as provider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, ServerConnection, SignatureScheme,
};
use std::sync::{Arc, Mutex, PoisonError};

/// Protocol name in the handshake (ALPN): whoever does not say it is not one of our programs.
pub(super) const PROTOCOL: &[u8] = b"colift";

/// Which key the peer must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedPeer {
    /// The pinned one and no other.
    Pinned(Fingerprint),
    /// Any Ed25519 key, proved to be the peer's own: for pairing only, where two people compare fingerprints afterwards.
    AnyForPairing,
}

/// Checks the peer's raw public key against the pin and the handshake's signature against that key.
#[derive(Debug)]
pub(super) struct PinVerifier {
    expected: ExpectedPeer,
    algorithms: WebPkiSupportedAlgorithms,
    /// The key that was refused, for the message.
    refused: Mutex<Option<Fingerprint>>,
}

/// Length of an encoded Ed25519 SubjectPublicKeyInfo and its fixed beginning (RFC 8410).
const SPKI_BYTES: usize = 44;
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PinVerifier {
    fn new(expected: ExpectedPeer) -> Arc<Self> {
        let algorithms = provider::default_provider().signature_verification_algorithms;
        Arc::new(Self { expected, algorithms, refused: Mutex::new(None) })
    }

    fn check_key(&self, spki: &[u8], chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        if spki.len() != SPKI_BYTES || !spki.starts_with(&SPKI_HEAD) || !chain.is_empty() {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        let shown = Fingerprint::of_spki(spki);
        match self.expected {
            ExpectedPeer::AnyForPairing => Ok(()),
            ExpectedPeer::Pinned(pinned) if pinned == shown => Ok(()),
            ExpectedPeer::Pinned(_) => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
                // Goes to the peer as the alert "access denied", which it reports as a refused key.
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(spki.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    /// The fingerprint of a key that this verifier lets through.
    pub(super) fn accepts(&self, spki: &[u8]) -> Option<Fingerprint> {
        self.check_key(spki, &[]).is_ok().then(|| Fingerprint::of_spki(spki))
    }

    /// The error for a key that this verifier refused, if it refused one.
    pub(super) fn mismatch(&self) -> Option<ChannelError> {
        let got = (*self.refused.lock().unwrap_or_else(PoisonError::into_inner))?;
        match self.expected {
            ExpectedPeer::Pinned(expected) => Some(ChannelError::KeyMismatch { expected: expected.groups(), got: got.groups() }),
            ExpectedPeer::AnyForPairing => None,
        }
    }
}

/// TLS 1.2 is neither compiled in nor offered.
fn no_older_version() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled)
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_key(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_older_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for PinVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_key(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_older_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The provider with X25519 as the only key exchange and the three TLS 1.3 suites.
fn narrow_provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: vec![provider::kx_group::X25519], ..provider::default_provider() })
}

fn setup_failed(error: &Error) -> ChannelError {
    ChannelError::Io { doing: "setting up TLS", reason: error.to_string() }
}

/// A connection for the end that listens.
pub(super) fn listening(identity: &IdentityKey, expected: ExpectedPeer) -> Result<(Connection, Arc<PinVerifier>), ChannelError> {
    let verifier = PinVerifier::new(expected);
    let mut config = ServerConfig::builder_with_provider(narrow_provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| setup_failed(&e))?
        .with_client_cert_verifier(verifier.clone())
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity.certified.clone())));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    let connection = ServerConnection::new(Arc::new(config)).map_err(|e| setup_failed(&e))?;
    Ok((Connection::Server(connection), verifier))
}

/// A connection for the end that dials.
pub(super) fn dialling(identity: &IdentityKey, expected: ExpectedPeer) -> Result<(Connection, Arc<PinVerifier>), ChannelError> {
    let verifier = PinVerifier::new(expected);
    let mut config = ClientConfig::builder_with_provider(narrow_provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| setup_failed(&e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(identity.certified.clone())));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    // Never sent and never checked: the pinned key is the name.
    let name = ServerName::try_from("colift.invalid").map_err(|e| ChannelError::Io { doing: "setting up TLS", reason: e.to_string() })?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|e| setup_failed(&e))?;
    Ok((Connection::Client(connection), verifier))
}
