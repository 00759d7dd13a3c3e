//! The way to the peer through an HTTP proxy: one CONNECT request before TLS, which stays end to end.
//!
//! **Functionality.** `CONNECT host:port` on the plain TCP stream to the proxy, Basic authentication where a user is given; a 2xx answer
//! makes the stream one to the peer. The proxy resolves the peer's name.
//!
//! **Security.** The proxy sees what an observer of the link sees, and which peer is dialled; both keys are pinned as ever. User and
//! password cross the network to the proxy unencrypted, as with every HTTP proxy; they are wiped on drop and never shown.
//!
//! **Limits.** An answer of at most 8 KiB and 64 headers, within the time of a handshake. Nothing is read beyond its end.
//!
//! **Source.** RFC 9110 §9.3.6, RFC 7617; answers are read by the crate `httparse`.

use super::connect::waits;
use crate::ChannelError;
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use thiserror::Error;
use zeroize::Zeroizing;

/// Most bytes of a proxy's answer.
const ANSWER_MOST: usize = 8 << 10;
/// Most headers of it.
const HEADERS_MOST: usize = 64;
/// Where a proxy listens whose address names no port.
const DEFAULT_PORT: u16 = 80;
/// What the waits here are called.
const ASKING: &str = "the proxy";

/// An HTTP proxy: where it is, and what is shown to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    address: String,
    /// `Basic …`, ready for the header.
    authorization: Option<Zeroizing<String>>,
}

/// Why a text is no proxy. Never holds a part of it, which may be a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotAProxy {
    /// `https://`, `socks5://` and the like.
    #[error("only http:// proxies are supported")]
    Scheme,
    /// No host, a bad port, or something behind it.
    #[error("it is written as http://host:port")]
    Address,
    /// A user with a colon, or characters that no header may hold.
    #[error("its user or password cannot be sent")]
    Credentials,
}

impl Proxy {
    /// Reads `http://host:port`, `http://user:password@host:port` or `host:port`; user and password may hold `%40` and the like.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, NotAProxy> {
        let (rest, default) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (rest, Some(DEFAULT_PORT)),
            Some(_) => return Err(NotAProxy::Scheme),
            None => (text, None),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if place.is_empty() || !place.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@\\".contains(&b)) {
            return Err(NotAProxy::Address);
        }
        let bracketed = place.ends_with(']');
        let address = match place.rsplit_once(':').filter(|_| !bracketed) {
            Some((host, port)) if !host.is_empty() && (host.ends_with(']') || !host.contains(':')) => {
                let digits = port.bytes().all(|b| b.is_ascii_digit());
                let port = port.parse::<u16>().ok().filter(|port| digits && *port > 0).ok_or(NotAProxy::Address)?;
                format!("{host}:{port}")
            }
            Some(_) => return Err(NotAProxy::Address),
            None => format!("{place}:{}", default.ok_or(NotAProxy::Address)?),
        };
        Ok(Self { address, authorization: user.map(basic).transpose()? })
    }

    /// `host:port`, without user and password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a user is shown to it.
    #[must_use]
    pub fn has_user(&self) -> bool {
        self.authorization.is_some()
    }
}

impl fmt::Debug for Proxy {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The header's value for `user:password` as an address has them.
fn basic(text: &str) -> Result<Zeroizing<String>, NotAProxy> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (decoded(user)?, decoded(password)?);
    if user.is_empty() || user.contains(&b':') {
        return Err(NotAProxy::Credentials);
    }
    let mut both = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
    both.extend_from_slice(&user);
    both.push(b':');
    both.extend_from_slice(&password);
    let mut value = Zeroizing::new(String::with_capacity(8 + both.len().div_ceil(3) * 4));
    value.push_str("Basic ");
    base64(&both, &mut value);
    Ok(value)
}

/// Bytes of a text with `%40` and the like; no control characters.
fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, NotAProxy> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let (byte, after) = if *first == b'%' {
            let (digits, after) = more.split_at_checked(2).ok_or(NotAProxy::Credentials)?;
            let digit = |b: u8| char::from(b).to_digit(16).ok_or(NotAProxy::Credentials);
            let [high, low] = digits else { return Err(NotAProxy::Credentials) };
            ((16 * digit(*high)? + digit(*low)?) as u8, after)
        } else {
            (*first, more)
        };
        if byte.is_ascii_control() {
            return Err(NotAProxy::Credentials);
        }
        bytes.push(byte);
        rest = after;
    }
    Ok(bytes)
}

/// RFC 4648 §4.
fn base64(bytes: &[u8], out: &mut String) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS.get((number >> (18 - 6 * place)) as usize & 63).filter(|_| place <= group.len());
            out.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
}

/// Makes a stream to the proxy one to the peer. `bounds` says when it has taken too long or is to stop; the socket's own timeouts are
/// short.
///
/// # Errors
/// Channel class: the proxy refuses for good (`ProxyRefused`), or for now, closed, or answered what cannot be read (`Io`); as `bounds`.
pub(super) fn tunnel(
    socket: &TcpStream,
    proxy: &Proxy,
    target: &str,
    bounds: &dyn Fn() -> Result<(), ChannelError>,
) -> Result<(), ChannelError> {
    let failed = |reason: String| ChannelError::Io { doing: ASKING, reason };
    if target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(failed("the peer's address holds characters that no proxy takes".into()));
    }
    let mut request = Zeroizing::new(String::with_capacity(256 + 2 * target.len() + proxy.authorization.as_ref().map_or(0, |a| a.len())));
    for part in ["CONNECT ", target, " HTTP/1.1\r\nHost: ", target, "\r\n"] {
        request.push_str(part);
    }
    if let Some(authorization) = &proxy.authorization {
        for part in ["Proxy-Authorization: ", authorization, "\r\n"] {
            request.push_str(part);
        }
    }
    request.push_str("\r\n");
    let mut rest = request.as_bytes();
    while !rest.is_empty() {
        bounds()?;
        match (&mut &*socket).write(rest) {
            Ok(0) => return Err(failed("it closed the connection".into())),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if waits(&error) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    // Byte by byte: what follows the answer belongs to TLS.
    let (mut answer, mut byte) = (Vec::new(), [0u8; 1]);
    while !answer.ends_with(b"\r\n\r\n") {
        bounds()?;
        if answer.len() >= ANSWER_MOST {
            return Err(failed(format!("its answer is over {ANSWER_MOST} bytes")));
        }
        match (&mut &*socket).read(&mut byte) {
            Ok(0) => return Err(failed("it closed the connection".into())),
            Ok(_) => answer.push(byte[0]),
            Err(error) if waits(&error) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    match status(&answer) {
        Some(200..=299) => Ok(()),
        Some(status) if is_for_good(status) => {
            Err(ChannelError::ProxyRefused { proxy: proxy.address.clone(), status, with_user: proxy.has_user() })
        }
        Some(status) => Err(failed(format!("it answered {status}{}", meaning(status)))),
        None => Err(failed("its answer is not HTTP".into())),
    }
}

/// The status of a whole answer: HTTP/1.0 or 1.1, headers well formed, no interim answer.
fn status(answer: &[u8]) -> Option<u16> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MOST];
    let mut response = httparse::Response::new(&mut headers);
    // The parser skips empty lines before the status line; a proxy sends none.
    let whole = answer.starts_with(b"HTTP/1.") && response.parse(answer).is_ok_and(|parsed| parsed.is_complete());
    response.code.filter(|code| whole && (200..=599).contains(code))
}

/// Whether asking again is of no use, or would lock a user out. Not there, too slow, too many: that may pass.
fn is_for_good(status: u16) -> bool {
    (400..=499).contains(&status) && !matches!(status, 404 | 408 | 425 | 429)
}

/// What a status means here.
fn meaning(status: u16) -> &'static str {
    match status {
        404 | 502..=504 => ": it cannot reach the peer",
        429 => ": it is asked too often",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
