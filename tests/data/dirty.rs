//! Dirty input of every kind: refused or read as told, and the table of docs/DATA.md that is made from these cases.

use crate::files::{Folder, cell, good, numbers, owners, spec, texts};
use crate::parquet::{self, parquet, zstd};
use arrow_array::types::{Decimal128Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, Date32Array, Int64Array, PrimitiveArray, StringArray};
use colift::data::{ColumnKind, ColumnWish, IdKind, Side, Table, TableSpec, read_table};
use std::sync::Arc;

type Files = Vec<(&'static str, Vec<u8>)>;

/// What must happen.
enum Want {
    /// Refused with this number; the words and the place must hold these texts.
    Refused(u16, &'static str),
    /// Read, told so, and the table is right.
    Read(&'static str, fn(&Table)),
}

struct Case {
    /// What the file is.
    input: &'static str,
    files: Files,
    /// What is read: a file or a pattern.
    path: &'static str,
    change: fn(&mut TableSpec),
    want: Want,
}

fn case(input: &'static str, bytes: Vec<u8>, want: Want) -> Case {
    Case { input, files: vec![("data.csv", bytes)], path: "data.csv", change: |_| {}, want }
}

fn with(mut case: Case, change: fn(&mut TableSpec)) -> Case {
    case.change = change;
    case
}

fn several(input: &'static str, files: Files, want: Want) -> Case {
    Case { input, files, path: "part-*", change: |_| {}, want }
}

fn owner(input: &'static str, bytes: Vec<u8>, want: Want) -> Case {
    with(case(input, bytes, want), |spec| (spec.label, spec.split) = (Some("label".into()), Some("split".into())))
}

fn arrow(input: &'static str, columns: Vec<(&'static str, ArrayRef)>, want: Want) -> Case {
    Case { files: vec![("data.parquet", parquet(columns, zstd(), 16))], path: "data.parquet", ..case(input, Vec::new(), want) }
}

/// [`good`] with one more column of Parquet.
fn also(array: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = parquet::good();
    columns.push(("x", array));
    columns
}

/// The table is that of the good file.
fn clean(table: &Table) {
    let folder = Folder::with(&[("good.csv", good(|_, line| line))]);
    let want = read_table(&spec(&folder.path("good.csv")), Side::Partner).unwrap();
    assert_eq!((&table.ids, &table.columns), (&want.ids, &want.columns));
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// One wish for one column.
fn wish(spec: &mut TableSpec, column: &str, kind: Option<ColumnKind>, missing: &[&str]) {
    let missing = missing.iter().map(|token| (*token).to_owned()).collect();
    spec.wishes.insert(column.to_owned(), ColumnWish { kind, missing, ..ColumnWish::default() });
}

/// A column of the good file's place `at` with numbers spelt by `spell`, in quotes.
fn spelt(spell: fn(usize) -> String) -> Vec<u8> {
    cell(1, |_| true, move |row| format!("\"{}\"", spell(row)))
}

/// Text in an encoding whose bytes are no UTF-8.
fn replaced(bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the text to replace");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

fn utf16(bytes: Vec<u8>, mark: bool) -> Vec<u8> {
    let units = text(bytes);
    let mark = if mark { vec![0xff, 0xfe] } else { Vec::new() };
    mark.into_iter().chain(units.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

fn form() -> Vec<Case> {
    use Want::{Read, Refused};
    let plain = || text(good(|_, line| line));
    vec![
        case(
            "UTF-8 with a byte-order mark",
            format!("\u{feff}{}", plain()).into(),
            Read("the mark is taken off", |table| {
                assert!(table.counts.byte_order_mark);
                clean(table);
            }),
        ),
        case(
            "lines ended by CRLF",
            plain().replace('\n', "\r\n").into(),
            Read("the line ends are taken off", |table| {
                assert_eq!(table.counts.crlf_lines, 41);
                clean(table);
            }),
        ),
        case("lines ended by CR only", plain().replace('\n', "\r").into(), Read("nothing to repair", clean)),
        case("no line end after the last row", plain().trim_end().into(), Read("a person should look", clean)),
        case(
            "blank lines after the last row",
            format!("{}\n\n", plain()).into(),
            Read("left out", |table| {
                assert_eq!(table.counts.trailing_blank_lines, 2);
                clean(table);
            }),
        ),
        case(
            "blank lines between the rows",
            good(|row, line| if row == 7 { format!("\n{line}") } else { line }),
            Refused(312, "after row 6"),
        ),
        case("blank line before the header", format!("\n{}", plain()).into(), Refused(312, "before the header")),
        case(
            "names with blanks and zero-width characters",
            good(|row, line| if row == 0 { "id , age,\u{200b}town\n".into() } else { line }),
            Read("cut at the ends", clean),
        ),
        case("cells with blanks at the ends", plain().replace(',', " ,\t").into(), Read("cut at the ends", clean)),
        case(
            "GBK bytes in a text",
            replaced(good(|_, line| line), b"Bonn", &[0xb1, 0xb1, 0xbe, 0xa9]),
            Refused(302, "column `town`, first at row 1"),
        ),
        case("GBK bytes in a name", replaced(good(|_, line| line), b"town", &[0xb3, 0xc7]), Refused(302, "column 3")),
        case("Latin-1 in an id", replaced(good(|_, line| line), b"user9,", b"us\xe9r9,"), Refused(302, "column `id`, first at row 9")),
        case("UTF-16 with its mark", utf16(good(|_, line| line), true), Refused(302, "UTF-16")),
        case("UTF-16 without a mark", utf16(good(|_, line| line), false), Refused(302, "NUL bytes")),
        case("an empty file", Vec::new(), Refused(303, "empty")),
        case("blank lines only", "\n\r\n\n".into(), Refused(303, "empty")),
        case("a header and no rows", "id,age,town\n".into(), Refused(303, "no rows")),
        case("semicolons", plain().replace(',', ";").into(), Read("detected", clean)),
        case("tabs", plain().replace(',', "\t").into(), Read("detected", clean)),
        case("bars", plain().replace(',', "|").into(), Read("detected", clean)),
        case("another delimiter", plain().replace(',', "^").into(), Refused(304, "among its 1 column")),
        case("no header", good(|row, line| if row == 0 { String::new() } else { line }), Refused(304, "no id column `id`")),
        case(
            "two columns of one name",
            good(|row, line| if row == 0 { "id,age,age\n".into() } else { line }),
            Refused(307, "columns 2 and 3"),
        ),
        case("a column without a name", good(|row, line| if row == 0 { "id,age,\n".into() } else { line }), Refused(308, "column 3")),
        case("a short row", good(|row, line| if row == 5 { "user5,3\n".into() } else { line }), Refused(310, "first at row 5")),
        case("a long row", good(|row, line| if row == 5 { "user5,3,Ulm,1\n".into() } else { line }), Refused(310, "first at row 5")),
        case("a file cut inside its last row", plain().trim_end().strip_suffix(",Ulm").unwrap().into(), Refused(310, "first at row 40")),
        case(
            "a quote that is never closed",
            good(|row, line| line.replace("user39,", if row == 39 { "\"user39," } else { "" })),
            Refused(311, "row 39"),
        ),
        case(
            "quotes around delimiters, quotes and line ends",
            good(|row, line| if row == 3 { line.replace("Kiel", "\"K, \"\"i\"\"\nel\"") } else { line }),
            Read("one cell each", |table| {
                assert_eq!(texts(&table.columns[1].values)[2].as_deref(), Some("K, \"i\"\nel"));
            }),
        ),
        case(
            "single quotes around all fields",
            good(|_, line| format!("'{}'\n", line.trim_end().replace(',', "','"))),
            Read("detected", clean),
        ),
        case(
            "a quote inside a field without quotes",
            good(|row, line| if row == 3 { line.replace("Kiel", "5\" disk") } else { line }),
            Read("as it stands", |table| {
                assert_eq!(texts(&table.columns[1].values)[2].as_deref(), Some("5\" disk"));
            }),
        ),
        case("a field of 10 MB", cell(2, |row| row == 9, |_| "x".repeat(10 << 20)), Refused(326, "column `town`, first at row 9")),
        case("a row of 70 MB", cell(2, |row| row == 9, |_| "x".repeat(70 << 20)), Refused(311, "row 9")),
        case("NUL bytes in a text", cell(2, |row| row == 9, |_| "U\0m".into()), Refused(327, "column `town`, first at row 9")),
        case("compressed with gzip", vec![0x1f, 0x8b, 8, 0, 0, 0], Refused(334, "gzip")),
        case("a spreadsheet", b"PK\x03\x04\x14\x00".to_vec(), Refused(334, "spreadsheet")),
    ]
}

fn cells() -> Vec<Case> {
    use Want::{Read, Refused};
    vec![
        case(
            "cells without a value, spelt in eight ways",
            cell(1, |row| row <= 16, |row| ["", "NA", "N/A", "NaN", "null", "NULL", "None", "\\N"][row % 8].into()),
            Read("missing", |table| {
                assert_eq!(table.counts.missing_cells, 16);
                assert_eq!(numbers(&table.columns[0].values).iter().filter(|v| v.is_nan()).count(), 16);
            }),
        ),
        case(
            "`NA` and `None` in a column of text",
            cell(2, |row| row <= 2, |row| ["NA", "None"][row % 2].into()),
            Read("categories like others", |table| {
                assert_eq!(table.counts.missing_cells, 0);
                assert_eq!(texts(&table.columns[1].values)[0].as_deref(), Some("None"));
            }),
        ),
        with(
            case(
                "own words for no value: `?` and -1",
                cell(1, |row| row <= 2, |row| ["?", "-1"][row % 2].into()),
                Read("missing, as `missing = [\"?\", \"-1\"]` says", |table| {
                    assert_eq!(table.counts.missing_cells, 2);
                }),
            ),
            |spec| wish(spec, "age", None, &["?", "-1"]),
        ),
        case(
            "full-width digits",
            cell(1, |row| row == 4, |_| "３４".into()),
            Read("as plain digits", |table| {
                assert_eq!((table.counts.numbers_repaired, numbers(&table.columns[0].values)[3]), (1, 34.0));
            }),
        ),
        case("an infinite value", cell(1, |row| row == 4, |_| "-inf".into()), Refused(318, "column `age`, first at row 4")),
        case("1e400", cell(1, |row| row == 4, |_| "1e400".into()), Refused(318, "column `age`, first at row 4")),
        case("a value beyond ±1e100", cell(1, |row| row == 4, |_| "1e101".into()), Refused(319, "column `age`, first at row 4")),
        case("one word among numbers", cell(1, |row| row == 4, |_| "unknown".into()), Refused(317, "column `age`, first at row 4")),
        case(
            "words among numbers, one cell in four",
            cell(1, |row| row % 4 == 0, |_| "unknown".into()),
            Read("a column of text", |table| {
                assert_eq!(texts(&table.columns[0].values)[3].as_deref(), Some("unknown"));
                assert_eq!(texts(&table.columns[0].values)[0].as_deref(), Some("27"));
            }),
        ),
        with(
            case("words where numbers were asked for", cell(1, |row| row % 4 == 0, |_| "unknown".into()), Refused(317, "10 cells")),
            |spec| wish(spec, "age", Some(ColumnKind::Number), &[]),
        ),
        with(
            case(
                "codes such as 007",
                cell(1, |_| true, |row| format!("00{}", row % 3)),
                Read("categories, as `type = \"text\"` says", |table| {
                    assert_eq!(texts(&table.columns[0].values)[0].as_deref(), Some("001"));
                }),
            ),
            |spec| wish(spec, "age", Some(ColumnKind::Text), &[]),
        ),
        case("decimal commas", spelt(|row| format!("{row},5")), Refused(316, "column `age`, first at row 1")),
        case("separated thousands", spelt(|row| format!("{row},000")), Refused(316, "column `age`, first at row 1")),
        case("separated thousands in some rows", cell(1, |row| row % 2 == 0, |row| format!("\"{row},250.75\"")), Refused(316, "20 cells")),
        case("percent signs", spelt(|row| format!("{row} %")), Refused(316, "40 cells")),
        case("amounts with a currency", spelt(|row| format!("€{row}.20")), Refused(316, "40 cells")),
        case("hexadecimal numbers", spelt(|row| format!("0x{row:x}")), Refused(316, "40 cells")),
        case(
            "one value in all rows",
            cell(1, |_| true, |_| "7".into()),
            Read("a person should look", |table| {
                assert_eq!(numbers(&table.columns[0].values), [7.0; 40]);
            }),
        ),
        case(
            "no value in any row",
            cell(1, |_| true, |_| String::new()),
            Read("a person should look", |table| {
                assert_eq!(table.counts.missing_cells, 40);
            }),
        ),
        with(case("a table larger than `max_memory`", good(|_, line| line), Refused(332, "1,000 bytes are allowed")), |spec| {
            spec.max_memory = Some(1000)
        }),
    ]
}

fn ids() -> Vec<Case> {
    use Want::{Read, Refused};
    let whole = |row: usize| (1_000_000 + row).to_string();
    vec![
        case("an id without text", cell(0, |row| row == 6, |_| " ".into()), Refused(313, "column `id`, first at row 6")),
        case("an id twice", cell(0, |row| row == 6, |_| "user2".into()), Refused(315, "it repeats row 2")),
        case(
            "an id with a control character",
            cell(0, |row| row == 6, |_| "us\u{7}er".into()),
            Refused(314, "column `id`, first at row 6"),
        ),
        case("ids with blanks at the ends", cell(0, |row| row == 6, |row| format!("\u{a0}user{row}\u{200b} ")), Read("cut", clean)),
        case(
            "whole numbers as floats in all ids",
            cell(0, |_| true, move |row| whole(row) + ".0"),
            Read("the `.0` is cut", |table| {
                assert_eq!((table.counts.ids_from_floats, table.ids[0].as_str()), (40, "1000001"));
            }),
        ),
        case(
            "whole numbers as floats in some ids",
            cell(0, |row| row < 9, move |row| whole(row) + ".0"),
            Read("kept; a person should look", |table| {
                assert_eq!(table.ids[0], "1000001.0");
            }),
        ),
        case(
            "ids that a spreadsheet has rounded",
            cell(0, |row| row < 3, |row| format!("1.2345{row}E+11")),
            Read("kept; a person should look", |table| {
                assert_eq!(table.ids[0], "1.23451E+11");
            }),
        ),
        with(
            case(
                "addresses without an @",
                cell(0, |_| true, |row| format!("a{row}{}b.example", if row == 3 { "" } else { "@" })),
                Refused(314, "column `id`, first at row 3"),
            ),
            |spec| spec.id_kind = IdKind::Email,
        ),
        with(
            case(
                "one address in two spellings",
                cell(0, |_| true, |row| if row == 3 { "A1@B.example".into() } else { format!("a{row}@b.example") }),
                Refused(315, "it repeats row 1"),
            ),
            |spec| spec.id_kind = IdKind::Email,
        ),
        with(
            case(
                "capitals, full-width characters, blanks in addresses",
                cell(0, |_| true, |row| format!(" Ａ{row}@B.Example")),
                Read("one spelling", |table| {
                    assert_eq!((table.ids[0].as_str(), table.counts.ids_rewritten, table.counts.ids_trimmed), ("a1@b.example", 40, 40));
                }),
            ),
            |spec| spec.id_kind = IdKind::Email,
        ),
        with(case("national phone numbers", cell(0, |_| true, |row| format!("0170 12345{row:02}")), Refused(314, "40 of 40")), |spec| {
            spec.id_kind = IdKind::Phone
        }),
        with(
            case(
                "national phone numbers, `region = \"DE\"`",
                cell(0, |_| true, |row| format!("0170 12345{row:02}")),
                Read("completed", |table| {
                    assert_eq!((table.ids[0].as_str(), table.counts.ids_rewritten), ("+491701234501", 40));
                }),
            ),
            |spec| (spec.id_kind, spec.region) = (IdKind::Phone, Some("DE".into())),
        ),
        with(
            case(
                "an id of two columns",
                good(|_, line| line),
                Read("joined", |table| {
                    assert_eq!((table.ids[0].as_str(), table.columns.len()), ("user1\u{1f}Bonn", 1));
                }),
            ),
            |spec| (spec.id_kind, spec.more_ids) = (IdKind::from_name("opaque+opaque").unwrap(), vec!["town".into()]),
        ),
    ]
}

fn targets() -> Vec<Case> {
    use Want::Refused;
    let swap =
        |row: usize, from: &'static str, to: &'static str| owners(move |n, line| if n == row { line.replacen(from, to, 1) } else { line });
    vec![
        owner("a label that is neither 0 nor 1", swap(2, "train,0", "train,2"), Refused(320, "column `label`, first at row 2")),
        owner("a label without a value", swap(2, "train,0", "train,"), Refused(320, "column `label`, first at row 2")),
        owner("labels yes and no", owners(|_, line| line.replace(",0,", ",no,").replace(",1,", ",yes,")), Refused(320, "40 of 40")),
        owner("a label that is 0 in all rows", owners(|_, line| line.replace(",1,", ",0,")), Refused(322, "all 30 training rows")),
        owner("a split that is neither train nor test", swap(2, "train", "Train"), Refused(321, "column `split`, first at row 2")),
        owner("no test row", owners(|_, line| line.replace(",test,", ",train,")), Refused(324, "no row is marked test")),
        owner(
            "a column that knows the label",
            owners(|row, line| format!("{},{}\n", line.trim_end(), if row == 0 { "later".into() } else { (row % 3 == 0).to_string() })),
            Refused(323, "`later` (AUC 1.0000)"),
        ),
    ]
}

fn patterns() -> Vec<Case> {
    use Want::{Read, Refused};
    let half = |second: bool, lines: Vec<u8>| {
        let lines = text(lines);
        let keep = |row: usize| row == 0 || (row > 20) == second;
        lines.split_inclusive('\n').enumerate().filter(|(row, _)| keep(*row)).map(|(_, line)| line).collect::<String>().into_bytes()
    };
    let turned = |bytes: Vec<u8>| {
        let turn = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(";") + "\n";
        text(bytes).lines().map(turn).collect::<String>().into_bytes()
    };
    let plain = || good(|_, line| line);
    vec![
        several(
            "several files, columns in another order, another delimiter",
            vec![("part-1.csv", half(false, plain())), ("part-2.csv", turned(half(true, plain())))],
            Read("one table", |table| {
                assert_eq!(table.files.iter().map(|file| file.rows).collect::<Vec<_>>(), [20, 20]);
                clean(table);
            }),
        ),
        several(
            "several files, a column missing in one",
            vec![("part-1.csv", plain()), ("part-2.csv", "id,age\nx,1\n".into())],
            Refused(336, "`town` is missing here"),
        ),
        several(
            "several files, one column more in one",
            vec![("part-1.csv", plain()), ("part-2.csv", "id,age,town,x\nx,1,Ulm,1\n".into())],
            Refused(336, "`x` is in this one"),
        ),
        several(
            "several files, a fault in the second",
            vec![("part-1.csv", half(false, plain())), ("part-2.csv", replaced(half(true, plain()), b"user23", b" "))],
            Refused(313, "part-2.csv, column `id`, first at row 3"),
        ),
        several(
            "several files, an id in both",
            vec![("part-1.csv", half(false, plain())), ("part-2.csv", replaced(half(true, plain()), b"user23", b"user7"))],
            Refused(315, "it repeats row 7 of part-1.csv"),
        ),
        several(
            "several files, CSV and Parquet",
            vec![("part-1.csv", plain()), ("part-2.parquet", parquet(parquet::good(), zstd(), 40))],
            Refused(336, "two formats"),
        ),
        several(
            "several Parquet files, a column of numbers in one, of text in the other",
            vec![
                ("part-1.parquet", parquet(parquet::good(), zstd(), 40)),
                ("part-2.parquet", parquet(vec![("id", parquet::ids()), ("age", parquet::ids()), ("town", parquet::ids())], zstd(), 40)),
            ],
            Refused(336, "column `age` is of type text here"),
        ),
        several("a pattern that no file fits", vec![], Refused(301, "no file fits")),
    ]
}

fn typed() -> Vec<Case> {
    use Want::{Read, Refused};
    let whole = || parquet(parquet::good(), zstd(), 16);
    let file = |input: &'static str, bytes: Vec<u8>, want: Want| Case {
        files: vec![("data.parquet", bytes)],
        path: "data.parquet",
        ..case(input, Vec::new(), want)
    };
    let cut = {
        let bytes = whole();
        bytes[..bytes.len() * 2 / 3].to_vec()
    };
    let damaged = {
        let mut bytes = whole();
        bytes[60..400].fill(0x5a);
        bytes
    };
    let one_null = Arc::new(Int64Array::from_iter((1..=40).map(|row| (row != 3).then_some(row))));
    let long = Arc::new(Int64Array::from_iter_values((1..=40).map(|row| if row == 9 { (1 << 53) + 1 } else { row })));
    let decimals = |value: i128| {
        let values = PrimitiveArray::<Decimal128Type>::from_iter_values((1..=40).map(|row| if row == 9 { value } else { i128::from(row) }));
        Arc::new(values.with_precision_and_scale(38, 2).unwrap())
    };
    vec![
        file("Parquet", whole(), Read("as the same rows in CSV", clean)),
        file("a Parquet file cut off", cut, Refused(334, "cut off or damaged")),
        file("a Parquet file with damaged pages", damaged, Refused(334, "after row 0")),
        file("a CSV file named .parquet", good(|_, line| line), Refused(334, "does not begin as one")),
        arrow("Parquet: a nested column", also(parquet::lists()), Refused(335, "column `x` is of type list")),
        with(arrow("Parquet: a nested column that is excluded", also(parquet::lists()), Read("left out", clean)), |spec| {
            spec.exclude.push("x".into())
        }),
        arrow(
            "Parquet: a binary column",
            also(Arc::new(BinaryArray::from_iter_values((1..=40).map(|_| [1u8, 2])))),
            Refused(335, "column `x` is of type binary"),
        ),
        arrow("Parquet: nulls", also(one_null), Read("missing", |table| assert_eq!(table.counts.missing_cells, 1))),
        arrow("Parquet: a whole number beyond 2^53", also(long.clone()), Refused(325, "column `x`, first at row 9")),
        with(
            arrow(
                "Parquet: a whole number beyond 2^53 that is a code",
                also(long),
                Read("a category, as `type = \"text\"` says", |table| {
                    assert_eq!(texts(&table.columns[2].values)[8].as_deref(), Some("9007199254740993"));
                }),
            ),
            |spec| wish(spec, "x", Some(ColumnKind::Text), &[]),
        ),
        arrow(
            "Parquet: decimals",
            also(decimals(12_345)),
            Read("numbers", |table| {
                assert_eq!(numbers(&table.columns[2].values)[..9], [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 123.45])
            }),
        ),
        arrow(
            "Parquet: a decimal of too many digits",
            also(decimals(123_456_789_012_345_678_901)),
            Refused(325, "column `x`, first at row 9"),
        ),
        arrow(
            "Parquet: true and false",
            also(Arc::new(BooleanArray::from_iter((1..=40).map(|row| Some(row % 2 == 0))))),
            Read("1 and 0", |table| {
                assert_eq!(numbers(&table.columns[2].values)[..3], [0.0, 1.0, 0.0]);
            }),
        ),
        arrow(
            "Parquet: dates",
            also(Arc::new(Date32Array::from_iter_values(19_001..=19_040))),
            Read("days since 1970-01-01", |table| {
                assert_eq!(numbers(&table.columns[2].values)[0], 19_001.0);
            }),
        ),
        arrow(
            "Parquet: times",
            also(Arc::new(PrimitiveArray::<TimestampMillisecondType>::from_iter_values((1..=40).map(|row| row * 1_500)))),
            Read("seconds since 1970-01-01", |table| {
                assert_eq!(numbers(&table.columns[2].values)[..2], [1.5, 3.0]);
            }),
        ),
        arrow(
            "Parquet: numbers stored as text",
            also(Arc::new(StringArray::from_iter_values((1..=40).map(|row| row.to_string())))),
            Read("categories; a person should look", |table| {
                assert_eq!(texts(&table.columns[2].values)[0].as_deref(), Some("1"));
            }),
        ),
        arrow(
            "Parquet: an infinite value",
            also(parquet::floats(|row| if row == 9 { f64::INFINITY } else { 1.0 })),
            Refused(318, "column `x`, first at row 9"),
        ),
        arrow(
            "Parquet: whole ids in a column of floats",
            vec![("id", parquet::floats(|row| row as f64)), ("age", parquet::ages())],
            Read("written as whole numbers", |table| {
                assert_eq!((table.counts.ids_from_floats, table.ids[8].as_str()), (40, "9"));
            }),
        ),
        arrow(
            "Parquet: ids that are no whole numbers",
            vec![("id", parquet::floats(|row| row as f64 + if row == 9 { 0.5 } else { 0.0 })), ("age", parquet::ages())],
            Refused(329, "column `id`, first at row 9"),
        ),
        arrow(
            "Parquet: dates as ids",
            vec![("id", Arc::new(Date32Array::from_iter_values(1..=40))), ("age", parquet::ages())],
            Refused(335, "column `id` is of type date"),
        ),
    ]
}

/// What was said, and whether it was refused.
fn outcome(case: &Case) -> (bool, String) {
    let folder = Folder::with(&case.files);
    let mut spec = spec(&folder.path(case.path));
    (case.change)(&mut spec);
    let side = if spec.label.is_some() { Side::Owner } else { Side::Partner };
    match (read_table(&spec, side), &case.want) {
        (Ok(table), Want::Read(_, right)) => {
            right(&table);
            let mut told: Vec<String> = Vec::new();
            if table.counts.byte_order_mark {
                told.push("byte-order mark counted".into());
            }
            for (count, what) in
                [(table.counts.crlf_lines, "CRLF line ends counted"), (table.counts.trailing_blank_lines, "blank lines counted")]
            {
                if count > 0 {
                    told.push(format!("{count} {what}"));
                }
            }
            told.extend(table.warnings.iter().map(ToString::to_string));
            (false, told.join("; "))
        }
        (Err(failure), Want::Refused(number, words)) => {
            let shown = folder.hidden(&failure.to_string());
            assert_eq!(failure.id, *number, "{}: {shown}", case.input);
            let (what, place) = (folder.hidden(&failure.what), folder.hidden(failure.place.as_deref().unwrap_or_default()));
            assert!(format!("{what}\n{place}").contains(words), "{}: {shown}", case.input);
            assert_eq!(failure.exit as u8, if *number == 332 { 17 } else { 13 }, "{}", case.input);
            assert!(failure.remedy.is_some() || *number == 303 || *number == 324, "{}: nothing to try", case.input);
            (true, format!("E{number:04}: {what} ({place})"))
        }
        (Ok(table), Want::Refused(number, _)) => panic!("{}: read with {:?} instead of E{number:04}", case.input, table.warnings),
        (Err(failure), Want::Read(..)) => panic!("{}: {failure}", case.input),
    }
}

/// The part of docs/DATA.md that is made here.
fn document() -> String {
    let groups: [(&str, Vec<Case>); 6] = [
        ("Form of the file", form()),
        ("Cells", cells()),
        ("Ids", ids()),
        ("Label and split", targets()),
        ("Several files", patterns()),
        ("Parquet", typed()),
    ];
    let mut text = String::new();
    let mut count = 0;
    for (title, cases) in groups {
        text.push_str(&format!("\n### {title}\n\n| input | what happens | what is told |\n|---|---|---|\n"));
        for case in &cases {
            let (refused, told) = outcome(case);
            let what = match (&case.want, refused) {
                (Want::Read(what, _), _) => format!("read; {what}"),
                (Want::Refused(..), _) => "**refused**".to_owned(),
            };
            text.push_str(&format!("| {} | {what} | {} |\n", escaped(case.input), escaped(&told)));
            count += 1;
        }
    }
    assert!(count >= 40, "{count} cases");
    text
}

/// Text for a cell of a table.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ")
}

#[test]
fn dirty_input_is_refused_or_repaired_as_the_document_says() {
    const MARK: &str = "<!-- From here on made by tests/data/dirty.rs; COLIFT_BLESS=1 writes it anew. -->\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let (head, table) = committed.split_once(MARK).expect("the mark in docs/DATA.md");
    let made = document();
    if std::env::var_os("COLIFT_BLESS").is_some() {
        std::fs::write(&path, format!("{head}{MARK}{made}")).unwrap();
    } else {
        let wrong = table.lines().zip(made.lines()).find(|(committed, made)| committed != made);
        assert!(
            table == made,
            "docs/DATA.md is out of date: COLIFT_BLESS=1 cargo test --release --test data dirty\nfirst difference: {wrong:?}"
        );
    }
}
