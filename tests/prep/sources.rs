//! `sql` over every kind of source, joins and windows, and what it writes.

use crate::world::{Cell, Rows, World, ended};
use std::io::Write;
use std::process::Stdio;

fn number(rows: &Rows, id: &str, column: &str) -> f64 {
    match &rows[id][column] {
        Cell::Number(number) => *number,
        other => panic!("{id}, {column}: {other:?}"),
    }
}

/// Users with codes as ids, and their orders.
fn shop(world: &World) {
    world.write("users.csv", "id;town;born\n007;Köln;1990\n012;\"a;b\";1985\n100;;2001\n");
    world.write(
        "orders.jsonl",
        "{\"user\":\"007\",\"n\":1,\"eur\":2.5}\n{\"user\":\"007\",\"n\":2,\"eur\":4}\n{\"user\":\"100\",\"n\":3,\"eur\":8}\n",
    );
}

#[test]
fn a_join_with_a_window_over_csv_and_json_lines() {
    let world = World::new();
    shop(&world);
    let query = "SELECT u.id, u.town, o.eur, sum(o.eur) OVER (PARTITION BY u.id ORDER BY o.n) AS so_far, \
                 row_number() OVER (PARTITION BY u.id ORDER BY o.n DESC) AS place FROM users u JOIN orders o ON u.id = o.user";
    let ended = world.works(&[
        "sql",
        &format!("SELECT id, town, so_far FROM ({query}) WHERE place = 1"),
        "--table",
        "users=users.csv",
        "--table",
        "orders=orders.jsonl",
        "--out",
        "out.parquet",
    ]);
    let rows = world.rows("out.parquet", "id");
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["007", "100"]);
    assert_eq!((number(&rows, "007", "so_far"), number(&rows, "100", "so_far")), (6.5, 8.0));
    assert_eq!((&rows["007"]["town"], &rows["100"]["town"]), (&Cell::Text("Köln".into()), &Cell::Missing));
    assert!(ended.out.is_empty(), "stdout is data");
    for told in ["2 rows, 3 columns", "so_far", "number", "text", "column `id` has leading zeros"] {
        assert!(ended.err.contains(told), "{told}: {}", ended.err);
    }
}

#[test]
fn parquet_folders_patterns_compression_and_streams_hold_the_same() {
    let world = World::new();
    let part = |from: u32| -> String {
        let rows = (from..from + 50).map(|row| format!("u{row},{}\n", row * 3));
        "id,x\n".to_owned() + &rows.collect::<String>()
    };
    world.write("days/day=2026-06-01/a.csv", part(0));
    world.write("days/day=2026-06-02/a.csv", part(50));
    world.write("days/day=2026-06-02/deeper/b.csv", part(100));
    world.write("days/_SUCCESS", "");
    world.write("flat/part-1.csv", part(0));
    world.write("flat/part-2.csv", part(50));
    world.write("flat/part-3.csv", part(100));
    world.write("flat/other.csv", part(900));
    world.write("one.csv.gz", gzip((part(0) + &part(50)[5..] + &part(100)[5..]).as_bytes()));
    let all = "SELECT id, x FROM t";
    let sql = |query: &str, table: &str, out: &str| world.works(&["sql", query, "--table", table, "--out", out]);
    sql("SELECT id, x, day FROM t", "t=days", "days.parquet");
    let days = world.rows("days.parquet", "id");
    assert_eq!((days.len(), &days["u120"]["day"]), (150, &Cell::Text("2026-06-02".into())));
    sql("SELECT id, x FROM t WHERE day = '2026-06-01'", "t=days/", "first.parquet");
    assert_eq!(world.rows("first.parquet", "id").len(), 50);

    sql(all, "t=flat/part-*.csv", "flat.parquet");
    let expected = world.rows("flat.parquet", "id");
    assert_eq!((expected.len(), number(&expected, "u149", "x")), (150, 447.0));
    sql(all, "t=one.csv.gz", "gz.parquet");
    sql(all, "t=flat.parquet", "again.parquet");
    sql(all, &format!("t=file://{}", world.path("flat.parquet").display()), "address.parquet");
    std::fs::copy(world.path("flat.parquet"), world.path("no-ending")).unwrap();
    sql(all, "t=no-ending", "bytes.parquet");
    sql(all, "t=parquet:no-ending", "told.parquet");
    for out in ["gz", "again", "address", "bytes", "told"] {
        assert!(world.rows(&format!("{out}.parquet"), "id") == expected, "{out}");
    }
    for (file, table) in [("flat.parquet", "t=-"), ("one.csv.gz", "t=csv:-"), ("flat/part-1.csv", "t=-")] {
        let mut program = world.command(&["sql", all, "--table", table, "--out", "in.parquet", "--force"]);
        let mut program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        program.stdin.take().unwrap().write_all(&std::fs::read(world.path(file)).unwrap()).unwrap();
        let ended = ended(program.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{file}: {}", ended.err);
        let rows = world.rows("in.parquet", "id");
        assert!(rows.iter().all(|(id, row)| expected[id] == *row) && rows.len() >= 50, "{file}");
    }
}

#[test]
fn cells_of_csv_are_what_they_are_in_the_party_programs() {
    let world = World::new();
    world.write("a.csv", "\u{feff}id, n ,m,t,q\nu1,1,5,NA,\"two\nlines\"\nu2,NULL,,,\"say \"\"hi\"\"\"\nu3,\\N,7,null,z\n");
    let query = "SELECT id, TRY_CAST(n AS INT) AS n, m, nullif(t, 'null') AS t, q FROM t";
    world.works(&["sql", query, "--table", "t=a.csv", "--out", "a.parquet"]);
    let rows = world.rows("a.parquet", "id");
    let text = |text: &str| Cell::Text(text.into());
    assert_eq!(rows["u1"]["q"], text("two\nlines"));
    assert_eq!(rows["u2"]["q"], text("say \"hi\""));
    assert_eq!([&rows["u1"]["n"], &rows["u2"]["n"], &rows["u3"]["n"]], [&Cell::Number(1.0), &Cell::Missing, &Cell::Missing]);
    assert_eq!([&rows["u1"]["m"], &rows["u2"]["m"]], [&Cell::Number(5.0), &Cell::Missing]);
    assert_eq!([&rows["u1"]["t"], &rows["u2"]["t"], &rows["u3"]["t"]], [&text("NA"), &Cell::Missing, &Cell::Missing]);
}

#[test]
fn ids_are_hashed_and_times_are_kept() {
    let world = World::new();
    world.write("a.csv", "mail,at\nanna@example.com,2026-06-01T12:00:00\n");
    let query = "SELECT encode(sha256(lower(trim(mail))), 'hex') AS id, at, CAST(at AS DATE) AS day, 2 > 1 AS yes, CAST(1.5 AS DECIMAL(5,2)) AS d FROM t";
    world.works(&["sql", query, "--table", "t=a.csv", "--out", "a.parquet"]);
    let rows = world.rows("a.parquet", "id");
    let (id, row) = rows.first_key_value().unwrap();
    let hash = <sha2::Sha256 as sha2::Digest>::digest(b"anna@example.com");
    assert_eq!(*id, colift::data::wording::hex(&hash));
    assert_eq!(row["at"], Cell::Number(1_780_315_200.0));
    assert_eq!([&row["day"], &row["yes"], &row["d"]], [&Cell::Number(20_605.0), &Cell::Number(1.0), &Cell::Number(1.5)]);
}

/// Gzip without compression: RFC 1952 around stored blocks of RFC 1951.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = data.chunks(0xffff).collect();
    for (at, block) in blocks.iter().enumerate() {
        let length = block.len() as u16;
        out.push(u8::from(at + 1 == blocks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(*block);
    }
    out.extend((!crc).to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    out
}
