//! Which HTTP proxy a peer is dialled through: the job's, or the one that the environment names, as other programs read it.

use crate::contract::ProxyChoice;
use crate::error::{Exit, Failure};
use colift_channel::tls::Proxy;
use std::net::IpAddr;

/// Where the environment names a proxy for links that are not plain HTTP; the first that is set counts.
const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Where it names hosts that are dialled without one.
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The proxy for this peer, if any.
///
/// # Errors
/// Exit code 2: the environment names one that is no HTTP proxy.
pub(super) fn proxy_for(choice: &ProxyChoice, peer: &str) -> Result<Option<Proxy>, Failure> {
    match choice {
        ProxyChoice::Off => Ok(None),
        ProxyChoice::Through(proxy) => Ok(Some(proxy.clone())),
        ProxyChoice::Environment => from_variables(|name| std::env::var(name).ok(), peer),
    }
}

fn from_variables(variable: impl Fn(&str) -> Option<String>, peer: &str) -> Result<Option<Proxy>, Failure> {
    let set = |name: &&str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let Some((name, text)) = VARIABLES.iter().find_map(|name| set(name).map(|text| (name, text))) else { return Ok(None) };
    let (host, port) = peer.rsplit_once(':').unwrap_or((peer, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let near = host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if near || EXCEPTIONS.iter().find_map(set).is_some_and(|list| list.split(',').any(|entry| excepts(entry.trim(), &host, port))) {
        return Ok(None);
    }
    Proxy::parse(&text).map(Some).map_err(|why| {
        Failure::new(Exit::Usage, 481, format!("the proxy that {name} names cannot be used: {why}"))
            .at(format!("the environment, {name}"))
            .hint("link = { dial = …, proxy = \"http://host:port\" } in [private], or --proxy; \"none\" dials without one")
    })
}

/// Whether an entry of the exceptions means this host: `*`, the host, or a domain that it lies in; perhaps with a port.
fn excepts(entry: &str, host: &str, port: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    let (name, only) = match entry.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') && digits.bytes().all(|b| b.is_ascii_digit()) => (name, Some(digits)),
        _ => (entry.as_str(), None),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let domain = name.trim_start_matches("*.").trim_start_matches('.');
    let inside = || !domain.is_empty() && (host == domain || host.strip_suffix(domain).is_some_and(|before| before.ends_with('.')));
    only.is_none_or(|only| only == port) && (name == "*" || inside())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The proxy's address under these variables.
    fn found(variables: &[(&str, &str)], peer: &str) -> Result<Option<String>, u16> {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let proxy = from_variables(value, peer).map_err(|failure| failure.id)?;
        Ok(proxy.map(|proxy| proxy.address().to_owned()))
    }

    #[test]
    fn the_environment_names_a_proxy_as_for_other_programs() {
        let peer = "owner.example.com:7411";
        assert_eq!(found(&[], peer), Ok(None));
        assert_eq!(found(&[("HTTPS_PROXY", "")], peer), Ok(None));
        assert_eq!(found(&[("HTTP_PROXY", "http://a:1")], peer), Ok(None), "that one is for plain HTTP");
        assert_eq!(found(&[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "http://b:2")], peer), Ok(Some("b:2".into())));
        assert_eq!(found(&[("ALL_PROXY", "http://a:1")], peer), Ok(Some("a:1".into())));
        assert_eq!(found(&[("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", " b:2 ")], peer), Ok(Some("b:2".into())));
        assert_eq!(found(&[("ALL_PROXY", "socks5://user:secret@a:1")], peer), Err(481));
        for near in ["127.0.0.1:7411", "localhost:7411", "[::1]:7411", "127.9.9.9:1"] {
            assert_eq!(found(&[("ALL_PROXY", "http://a:1")], near), Ok(None), "{near}");
        }
        let failure = from_variables(|_| Some("socks5://user:secret@a:1".into()), peer).unwrap_err();
        assert!(failure.exit == Exit::Usage && !failure.to_string().contains("secret"), "{failure}");
    }

    #[test]
    fn exceptions_are_hosts_domains_and_ports() {
        let direct = |list: &str, peer: &str| found(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", list)], peer) == Ok(None);
        let peer = "owner.Example.com:7411";
        for list in ["*", "example.com", ".example.com", "*.example.com", "x, owner.example.com", "EXAMPLE.com:7411", "com"] {
            assert!(direct(list, peer), "{list}");
        }
        for list in ["", "xample.com", "ample.com", "owner.example.com.evil", "example.com:80", ".", "*."] {
            assert!(!direct(list, peer), "{list}");
        }
        assert!(direct("10.0.0.7", "10.0.0.7:1") && direct("fd00::7", "[fd00::7]:1") && !direct("10.0.0.7", "10.0.0.70:1"));
    }
}
