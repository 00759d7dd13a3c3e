//! Object stores on loopback: a small server that answers as a web server and as S3 do.

use crate::world::{Cell, World};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Serves these objects by path; returns its port and the list of what was asked.
fn serve(objects: BTreeMap<String, Vec<u8>>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (objects, asked) = (Arc::new(objects), Arc::new(Mutex::new(Vec::new())));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (objects, log) = (objects.clone(), log.clone());
            std::thread::spawn(move || while answer(&stream, &objects, &log).is_some() {});
        }
    });
    (port, asked)
}

/// Answers one request; None when the other side is done.
fn answer(stream: &TcpStream, objects: &BTreeMap<String, Vec<u8>>, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|length| *length > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let signed = headers.get("authorization").map_or("", |value| value.split_whitespace().next().unwrap_or_default());
    log.lock().unwrap().push(format!("{} {signed}", first.trim()));
    let (method, target) = first.split_once(' ')?;
    let target = target.split(' ').next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = &path.replace("%3D", "=");
    let mut out = stream;
    let mut send = |status: &str, more: &str, body: &[u8]| -> Option<()> {
        let date = "Last-Modified: Mon, 01 Jun 2026 00:00:00 GMT\r\nETag: \"1\"\r\n";
        let length = body.len();
        write!(out, "HTTP/1.1 {status}\r\n{date}Content-Length: {length}\r\n{more}\r\n").ok()?;
        if method == "HEAD" { Some(()) } else { out.write_all(body).ok() }
    };
    if query.contains("list-type=2") {
        let keys = objects.iter().map(|(path, body)| {
            let key = path.splitn(3, '/').nth(2).unwrap_or_default();
            let size = body.len();
            format!("<Contents><Key>{key}</Key><LastModified>2026-06-01T00:00:00.000Z</LastModified><ETag>\"1\"</ETag><Size>{size}</Size></Contents>")
        });
        let body = format!("<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>", keys.collect::<String>());
        return send("200 OK", "", body.as_bytes());
    }
    let Some(body) = objects.get(path) else { return send("404 Not Found", "", b"") };
    let range =
        headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-').map(|(a, b)| (a.to_owned(), b.to_owned())));
    match range {
        Some((from, to)) if method == "GET" => {
            let end = body.len();
            let (from, to) = match (from.parse::<usize>(), to.parse::<usize>()) {
                (Ok(from), Ok(to)) => (from, end.min(to + 1)),
                (Ok(from), Err(_)) => (from, end),
                (Err(_), Ok(last)) => (end - last.min(end), end),
                _ => return None,
            };
            send("206 Partial Content", &format!("Content-Range: bytes {from}-{}/{end}\r\n", to - 1), &body[from..to])
        }
        _ => send("200 OK", "Accept-Ranges: bytes\r\n", body),
    }
}

#[test]
fn files_are_read_from_a_web_server_and_from_s3() {
    let world = World::new();
    world.write("a.csv", "id,x\nu1,1\nu2,2\n");
    world.works(&["sql", "SELECT id, x FROM t", "--table", "t=a.csv", "--out", "a.parquet"]);
    let bytes = |name: &str| std::fs::read(world.path(name)).unwrap();
    let objects = [
        ("/bucket/a.csv", bytes("a.csv")),
        ("/bucket/days/day=1/a.parquet", bytes("a.parquet")),
        ("/bucket/days/day=2/b.parquet", bytes("a.parquet")),
    ];
    let (port, asked) = serve(objects.map(|(path, body)| (path.to_owned(), body)).into());
    let sql = |table: &str, query: &str, out: &str| {
        let mut command = world.command(&["sql", query, "--table", table, "--out", out]);
        command.env("AWS_ENDPOINT", format!("http://127.0.0.1:{port}")).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", "of-the-test").env("AWS_SECRET_ACCESS_KEY", "of-the-test").env_remove("AWS_SESSION_TOKEN");
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        crate::world::ended(command.output().unwrap())
    };
    let works = |table: &str, query: &str, out: &str| {
        let ended = sql(table, query, out);
        assert_eq!(ended.code, Some(0), "{table}: {}\n{:?}", ended.err, asked.lock().unwrap());
        world.rows(out, "id")
    };
    let all = "SELECT id, x FROM t";
    let expected = world.rows("a.parquet", "id");
    assert_eq!(works(&format!("t=http://127.0.0.1:{port}/bucket/a.csv"), all, "web.parquet"), expected);
    assert_eq!(works(&format!("t=http://127.0.0.1:{port}/bucket/days/day=1/a.parquet"), all, "web2.parquet"), expected);
    assert!(asked.lock().unwrap().iter().all(|line| !line.contains("AWS4")), "a web server gets no signature");
    assert_eq!(works("t=s3://bucket/a.csv", all, "s3.parquet"), expected);
    let days = works("t=s3://bucket/days/", "SELECT concat(id, '-', day) AS id, x FROM t", "days.parquet");
    assert_eq!(days.keys().collect::<Vec<_>>(), ["u1-1", "u1-2", "u2-1", "u2-2"]);
    assert_eq!(days["u2-1"]["x"], Cell::Number(2.0));
    assert!(asked.lock().unwrap().iter().any(|line| line.contains("AWS4-HMAC-SHA256")), "S3 gets one");
    let missing = sql("t=s3://bucket/none.csv", all, "none.parquet");
    assert_eq!(missing.code, Some(13), "{}", missing.err);
    let unknown = sql("t=gs://bucket/a.csv", all, "none.parquet");
    assert!(unknown.code == Some(2) && unknown.err.contains("E1113"), "{}", unknown.err);
    assert!(!world.names().iter().any(|name| name.contains("none")), "{:?}", world.names());
}
