//! Tests of the way through a proxy: addresses, and every answer that a proxy may give.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

#[test]
fn addresses_of_proxies_are_read_strictly() {
    for (text, address) in [
        ("http://proxy.example:3128", "proxy.example:3128"),
        ("HTTP://proxy.example:3128/", "proxy.example:3128"),
        ("proxy.example:3128", "proxy.example:3128"),
        ("http://proxy.example", "proxy.example:80"),
        ("http://[::1]:3128", "[::1]:3128"),
        ("http://[::1]", "[::1]:80"),
        ("http://user:pass@word@proxy.example:3128", "proxy.example:3128"),
    ] {
        assert_eq!(Proxy::parse(text).unwrap().address(), address, "{text}");
    }
    for (text, why) in [
        ("https://proxy.example:3128", NotAProxy::Scheme),
        ("socks5://proxy.example:1080", NotAProxy::Scheme),
        ("", NotAProxy::Address),
        ("proxy.example", NotAProxy::Address),
        ("http://", NotAProxy::Address),
        ("http://:3128", NotAProxy::Address),
        ("http://proxy.example:0", NotAProxy::Address),
        ("http://proxy.example:99999", NotAProxy::Address),
        ("http://proxy.example:+80", NotAProxy::Address),
        ("http://proxy.example:3128/path", NotAProxy::Address),
        ("http://a b:3128", NotAProxy::Address),
        ("http://::1:3128", NotAProxy::Address),
        ("http://a\r\nX: y:3128", NotAProxy::Address),
        ("http://u%0d%0aX:p@proxy.example:3128", NotAProxy::Credentials),
        ("http://u\n:p@proxy.example:3128", NotAProxy::Credentials),
        ("http://u%3Av:p@proxy.example:3128", NotAProxy::Credentials),
        ("http://u%4:p@proxy.example:3128", NotAProxy::Credentials),
        ("http://u%zz:p@proxy.example:3128", NotAProxy::Credentials),
        ("http://:p@proxy.example:3128", NotAProxy::Credentials),
    ] {
        assert_eq!(Proxy::parse(text), Err(why), "{text:?}");
    }
}

#[test]
fn users_are_encoded_and_never_shown() {
    // RFC 4648 §10 and RFC 7617 §2.
    for (plain, encoded) in
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
    {
        let mut out = String::new();
        base64(plain.as_bytes(), &mut out);
        assert_eq!(out, encoded);
    }
    let proxy = Proxy::parse("http://Aladdin:open%20sesame@proxy.example:3128").unwrap();
    assert_eq!(proxy.authorization.as_ref().unwrap().as_str(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(proxy.has_user());
    for hidden in ["Aladdin", "sesame", "QWxh"] {
        assert!(!format!("{proxy:?}").contains(hidden), "{proxy:?}");
    }
}

/// How one try ends with a proxy that reads the request and says this, then closes or, after `None`, stays silent.
fn asked(answer: Option<&[u8]>, proxy: &str, target: &str) -> (Result<(), ChannelError>, String, Option<u8>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for timeout in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        timeout(&socket, Some(Duration::from_millis(10))).unwrap();
    }
    let (mut far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    std::thread::scope(|scope| {
        let far = scope.spawn(move || {
            let (mut heard, mut byte) = (Vec::new(), [0u8; 1]);
            while !heard.ends_with(b"\r\n\r\n") && far.read_exact(&mut byte).is_ok() {
                heard.push(byte[0]);
            }
            match answer {
                Some(answer) => drop(far.write_all(answer)),
                None => std::thread::sleep(Duration::from_millis(300)),
            }
            String::from_utf8(heard).unwrap()
        });
        let deadline = Instant::now() + Duration::from_millis(if answer.is_none() { 100 } else { 5_000 });
        let bounds = || match Instant::now() < deadline {
            true => Ok(()),
            false => Err(ChannelError::Timeout { waiting_for: "the handshake", seconds: 1 }),
        };
        let ended = tunnel(&socket, &Proxy::parse(proxy).unwrap(), target, &bounds);
        let next = ended.is_ok().then(|| (&mut &socket).read(&mut [0; 1]).ok()).flatten().filter(|count| *count == 1);
        let heard = far.join().unwrap();
        (ended, heard, next.map(|count| count as u8))
    })
}

const PLAIN: &str = "http://proxy.example:3128";

#[test]
fn a_good_answer_opens_the_way_and_not_a_byte_more_is_read() {
    let (ended, heard, next) = asked(Some(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nT"), PLAIN, "owner.example:7411");
    assert_eq!((ended, next), (Ok(()), Some(1)), "the byte behind the answer is TLS's");
    assert_eq!(heard, "CONNECT owner.example:7411 HTTP/1.1\r\nHost: owner.example:7411\r\n\r\n");
    let (ended, heard, _) = asked(Some(b"HTTP/1.0 200 OK\r\n\r\n"), "http://Aladdin:open%20sesame@proxy.example:3128", "[::1]:7411");
    assert_eq!(ended, Ok(()));
    assert!(heard.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{heard}");
}

#[test]
fn refusals_are_final_or_pass_by_their_status() {
    for status in [400u16, 401, 403, 405, 407] {
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 5\r\n\r\nhello");
        let (ended, ..) = asked(Some(answer.as_bytes()), "http://u:p@proxy.example:3128", "a:1");
        assert_eq!(ended, Err(ChannelError::ProxyRefused { proxy: "proxy.example:3128".into(), status, with_user: true }));
    }
    for status in [301u16, 404, 429, 500, 502, 503, 504] {
        let (ended, ..) = asked(Some(format!("HTTP/1.1 {status} Later\r\n\r\n").as_bytes()), PLAIN, "a:1");
        let Err(ChannelError::Io { reason, .. }) = ended else { panic!("{status}: {ended:?}") };
        assert!(reason.contains(&format!("it answered {status}")), "{reason}");
    }
}

#[test]
fn garbage_floods_silence_and_injection_are_refused() {
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MOST + 1));
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(ANSWER_MOST));
    for (answer, words) in [
        (&b"220 mail.example.net ESMTP\r\n\r\n"[..], "not HTTP"),
        (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 +20 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/2 200 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 999 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n", "not HTTP"),
        (b"\x16\x03\x01\x00\x00\r\n\r\n", "not HTTP"),
        (many_headers.as_bytes(), "not HTTP"),
        (long.as_bytes(), "over 8192 bytes"),
        (b"HTTP/1.1 200 OK\r\n", "closed"),
        (b"", "closed"),
    ] {
        let (ended, ..) = asked(Some(answer), PLAIN, "a:1");
        let Err(ChannelError::Io { reason, .. }) = ended else { panic!("{:?}: {ended:?}", String::from_utf8_lossy(answer)) };
        assert!(reason.contains(words), "{reason}");
    }
    let (ended, ..) = asked(None, PLAIN, "a:1");
    assert!(matches!(ended, Err(ChannelError::Timeout { .. })), "{ended:?}");
    for target in ["", "a b:1", "a\r\nX: y:1", "é:1"] {
        let (ended, heard, _) = asked(Some(b""), PLAIN, target);
        assert!(matches!(ended, Err(ChannelError::Io { .. })) && heard.is_empty(), "{target:?}: {heard:?}");
    }
}
