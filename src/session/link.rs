//! Opens the link to a pinned peer, and to nobody else.

use super::identity::Identity;
use super::pins::Pins;
use crate::contract::Link;
use crate::error::{Exit, Failure};
use colift_channel::tls::{ExpectedPeer, Fingerprint, Limits, Listener, TlsChannel, dial};
use colift_channel::{ChannelError, StopFlag};

/// How the two programs meet. Which party listens does not matter.
#[derive(Debug)]
pub enum LinkSpec {
    /// Wait at `address:port`.
    Listen(String),
    /// Wait at a port that is bound already: whoever starts both programs can tell the other one the number.
    Bound(Listener),
    /// Dial `host:port`, again and again until the connect deadline.
    Dial(String),
}

impl From<&Link> for LinkSpec {
    fn from(link: &Link) -> Self {
        match link {
            Link::Listen(address) => Self::Listen(address.clone()),
            Link::Dial(address) => Self::Dial(address.clone()),
        }
    }
}

/// Connects to the peer with this fingerprint.
///
/// # Errors
/// Exit code 2: the peer's key is our own, or the address cannot be bound. 10: the peer was not reached in time.
/// 11: the key is unpinned or revoked (nothing is sent then), the peer shows another one, or refuses ours. 20: interrupted.
pub fn connect(
    identity: &Identity,
    pins: &Pins,
    expected: Fingerprint,
    spec: &LinkSpec,
    limits: &Limits,
    stop: &StopFlag,
) -> Result<TlsChannel, Failure> {
    not_ourselves(identity, expected)?;
    pins.check(expected)?;
    open(identity, ExpectedPeer::Pinned(expected), spec, limits, stop)
}

/// Whether this side could listen there.
///
/// # Errors
/// Exit code 2: the address cannot be bound.
pub fn can_listen(address: &str) -> Result<(), Failure> {
    bind(address).map(drop)
}

fn bind(address: &str) -> Result<Listener, Failure> {
    Listener::bind(address).map_err(|error| {
        Failure::new(Exit::Usage, 403, error.to_string())
            .at(format!("listening on {address}"))
            .hint("choose a free port and an address of this machine, such as 0.0.0.0:7411")
    })
}

/// Refuses our own key as the peer's: one copied home is not two parties.
pub(super) fn not_ourselves(identity: &Identity, peer: Fingerprint) -> Result<(), Failure> {
    if peer != identity.fingerprint() {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, 415, "both sides use the same identity key")
        .hint("on one machine, give each side a home of its own: COLIFT_HOME=… before the command"))
}

/// Listens or dials with this expectation of the peer's key.
pub(super) fn open(
    identity: &Identity,
    expected: ExpectedPeer,
    spec: &LinkSpec,
    limits: &Limits,
    stop: &StopFlag,
) -> Result<TlsChannel, Failure> {
    let nobody = |address: &str, error: ChannelError| match error {
        ChannelError::Timeout { .. } => Failure::new(Exit::PeerGone, 402, error.to_string())
            .at(format!("listening on {address}"))
            .hint("start the other side's program, and check that its address and port reach this machine"),
        other => other.into(),
    };
    match spec {
        LinkSpec::Listen(address) => bind(address)?.accept(identity.key(), expected, limits, stop).map_err(|error| nobody(address, error)),
        LinkSpec::Bound(listener) => {
            let address = listener.local_address().map_or_else(|_| "an unknown port".into(), |address| address.to_string());
            listener.accept(identity.key(), expected, limits, stop).map_err(|error| nobody(&address, error))
        }
        LinkSpec::Dial(address) => dial(address, identity.key(), expected, limits, stop).map_err(|error| match error {
            ChannelError::Io { doing: "dialling", reason } => {
                let what = format!("the peer was not reached within {} s: {reason}", limits.connect.as_secs().max(1));
                Failure::new(Exit::PeerGone, 401, what)
                    .at(format!("dialling {address}"))
                    .hint("start the listening side first, and check address, port and firewall")
            }
            other => other.into(),
        }),
    }
}
