//! Opens the link to a pinned peer, and to nobody else.

use super::identity::Identity;
use super::pins::Pins;
use super::proxied::proxy_for;
use crate::contract::{Link, ProxyChoice};
use crate::error::{Exit, Failure};
use colift_channel::tls::{Attempts, ExpectedPeer, Fingerprint, Limits, Listener, Proxy, Route, TlsChannel, dial_by};
use colift_channel::{ChannelError, StopFlag};

/// How the two programs meet, and what came of it so far. Which party listens does not matter.
#[derive(Debug)]
pub struct LinkSpec {
    how: How,
    attempts: Attempts,
}

#[derive(Debug)]
enum How {
    Listen(String),
    Bound(Listener),
    Dial { address: String, proxy: ProxyChoice },
}

impl LinkSpec {
    /// Wait at `address:port`.
    pub fn listen(address: impl Into<String>) -> Self {
        How::Listen(address.into()).into()
    }

    /// Wait at a port that is bound already: whoever starts both programs can tell the other one the number.
    #[must_use]
    pub fn bound(listener: Listener) -> Self {
        How::Bound(listener).into()
    }

    /// Dial `host:port`, again and again until the connect deadline.
    pub fn dial(address: impl Into<String>, proxy: ProxyChoice) -> Self {
        How::Dial { address: address.into(), proxy }.into()
    }

    /// Whether this side dials.
    #[must_use]
    pub fn dials(&self) -> bool {
        matches!(self.how, How::Dial { .. })
    }

    /// What is waited for until the peer is met, as [`crate::progress::Progress::waiting`] takes it.
    #[must_use]
    pub fn awaited(&self) -> &'static str {
        if self.dials() { "the peer to answer" } else { "the peer to dial" }
    }

    /// Why the peer was not met yet.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        self.attempts.clone()
    }
}

impl From<How> for LinkSpec {
    fn from(how: How) -> Self {
        Self { how, attempts: Attempts::default() }
    }
}

impl From<&Link> for LinkSpec {
    fn from(link: &Link) -> Self {
        match link {
            Link::Listen(address) => Self::listen(address),
            Link::Dial { address, proxy } => Self::dial(address, proxy.clone()),
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
    match &spec.how {
        How::Listen(address) => {
            bind(address)?.accept_noting(identity.key(), expected, limits, stop, &spec.attempts).map_err(|error| nobody(address, error))
        }
        How::Bound(listener) => {
            let address = listener.local_address().map_or_else(|_| "an unknown port".into(), |address| address.to_string());
            listener.accept_noting(identity.key(), expected, limits, stop, &spec.attempts).map_err(|error| nobody(&address, error))
        }
        How::Dial { address, proxy } => {
            let proxy = proxy_for(proxy, address)?;
            let route = Route { address, proxy: proxy.as_ref(), attempts: &spec.attempts };
            dial_by(&route, identity.key(), expected, limits, stop).map_err(|error| missed(error, address, proxy.as_ref(), limits))
        }
    }
}

/// Why a peer that was dialled is not there.
fn missed(error: ChannelError, address: &str, proxy: Option<&Proxy>, limits: &Limits) -> Failure {
    let way = proxy.map_or_else(String::new, |proxy| format!(" through the proxy {}", proxy.address()));
    let place = format!("dialling {address}{way}");
    match error {
        ChannelError::Io { doing: "dialling", reason } => {
            let what = format!("the peer was not reached within {} s: {reason}", limits.connect.as_secs().max(1));
            let firewall = if proxy.is_some() { "and whether the proxy may reach that address" } else { "and firewall" };
            Failure::new(Exit::PeerGone, 401, what)
                .at(place)
                .hint(format!("start the listening side first, and check address, port {firewall}"))
        }
        ChannelError::ProxyRefused { status, with_user, .. } => {
            let remedy = match (status, with_user) {
                (407, false) => "it wants a user: proxy = \"http://user:password@host:port\"",
                (407, true) => "it did not accept the user and password of `proxy`",
                (403, _) => {
                    "its rules forbid CONNECT to this address and port: ask its keeper to allow them, or have the peer listen on port 443"
                }
                _ => "check that it is an HTTP proxy that allows CONNECT; proxy = \"none\" dials without one",
            };
            Failure::new(Exit::PeerGone, 480, error.to_string()).at(place).hint(remedy)
        }
        other => other.into(),
    }
}
