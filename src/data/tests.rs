//! Every refusal with its words, number and exit code; repairs and counts; the five real sets where they are present.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use super::*;
use std::path::Path;

/// A file in a folder of its own, removed afterwards.
struct Csv {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn csv_file(text: impl AsRef<[u8]>) -> Csv {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("owner.csv");
    std::fs::write(&path, text).unwrap();
    Csv { _folder: folder, path }
}

fn owner_spec(path: &Path) -> TableSpec {
    TableSpec { label: Some("label".into()), split: Some("split".into()), ..TableSpec::new(path, "id") }
}

/// A good owner's file of 40 rows; `change` may spoil its lines (0 is the header).
fn good(change: impl Fn(usize, String) -> String) -> String {
    let mut text = change(0, "id,split,label,age,spend\n".into());
    for row in 1..=40 {
        let split = if row % 4 == 0 { "test" } else { "train" };
        let line = format!("user{row},{split},{},{},{}.5\n", u8::from(row % 3 == 0), 20 + row * 7 % 30, row * 13 % 17);
        text.push_str(&change(row, line));
    }
    text
}

fn numbers(table: &Table, column: usize) -> &[f64] {
    table.columns[column].values.numbers().unwrap()
}

fn read_owner(text: impl AsRef<[u8]>) -> Result<Table, Failure> {
    let file = csv_file(text);
    read_table(&owner_spec(&file.path), Side::Owner)
}

/// The refusal of a text, with the folder cut from its place.
fn refusal(text: impl AsRef<[u8]>, change: impl Fn(&mut TableSpec), side: Side) -> (Exit, u16, String, String) {
    let file = csv_file(text);
    let mut spec = owner_spec(&file.path);
    if side == Side::Partner {
        (spec.label, spec.split) = (None, None);
    }
    change(&mut spec);
    let failure = read_table(&spec, side).unwrap_err();
    let place = failure.place.unwrap_or_default();
    let place = place.replace(&format!("{}, ", file.path.display()), "").replace(&file.path.display().to_string(), "");
    (failure.exit, failure.id, failure.what, place)
}

#[test]
fn a_good_file_is_read_as_it_is() {
    let table = read_owner(good(|_, line| line)).unwrap();
    assert_eq!((table.rows(), table.column_names().collect::<Vec<_>>()), (40, vec!["age", "spend"]));
    assert_eq!((table.ids[0].as_str(), table.ids[39].as_str()), ("user1", "user40"));
    assert_eq!((numbers(&table, 0)[1], numbers(&table, 1)[1]), (34.0, 9.5));
    let (label, split) = (table.label.as_ref().unwrap(), table.split.as_ref().unwrap());
    assert!((0..40).all(|i| label[i] == ((i + 1) % 3 == 0) && (split[i] == Split::Test) == ((i + 1) % 4 == 0)));
    assert_eq!(table.counts, ReadCounts { rows: 40, bytes: good(|_, line| line).len() as u64, ..ReadCounts::default() });
    assert_eq!(table.warnings, []);
    assert_eq!(format!("{table:?}"), "Table(40 rows, 2 columns)");
}

#[test]
fn marks_line_ends_and_blanks_are_dealt_with_and_counted() {
    let text = good(|row, line| match row {
        0 => "\u{feff}id , split,label,\u{200b}age,spend\n".into(),
        5 => format!(" {}", line.replace(',', " , ")),
        7 => line.replace("user7", "\"user7\""),
        _ => line,
    });
    let plain = read_owner(good(|_, line| line)).unwrap();
    let table = read_owner(format!("{}\r\n\r\n", text.replace('\n', "\r\n"))).unwrap();
    assert_eq!((&table.ids, &table.columns, &table.label, &table.split), (&plain.ids, &plain.columns, &plain.label, &plain.split));
    let counts = table.counts;
    assert_eq!((counts.rows, counts.ids_trimmed, counts.ids_rewritten, counts.ids_repaired), (40, 1, 0, 1));
    assert_eq!((counts.byte_order_mark, counts.crlf_lines, counts.trailing_blank_lines), (true, 43, 2));
    assert_eq!(table.warnings, [Warning::IdsRepaired { count: 1, trimmed: 1, rewritten: 0 }]);
}

#[test]
fn every_refusal_has_its_words_and_exit_code_13() {
    let swap = |row: usize, from: &'static str, to: &'static str| {
        good(move |n, line| {
            if n != row {
                return line;
            }
            assert!(line.contains(from), "{line}");
            line.replacen(from, to, 1)
        })
    };
    let at = |row: usize, cell: usize, value: &'static str| {
        good(move |n, line| {
            let mut cells: Vec<&str> = line.trim_end().split(',').collect();
            if n == row {
                cells[cell] = value;
            }
            cells.join(",") + "\n"
        })
    };
    let every = |cell: usize, value: &'static str| {
        good(move |n, line| {
            let mut cells: Vec<&str> = line.trim_end().split(',').collect();
            if n > 0 {
                cells[cell] = value;
            }
            cells.join(",") + "\n"
        })
    };
    let latin = {
        let mut bytes = good(|_, line| line).into_bytes();
        let place = bytes.windows(6).position(|w| w == b"user9,").unwrap();
        bytes[place] = 0xe9;
        bytes
    };
    let cases: Vec<(Vec<u8>, u16, &str, &str)> = vec![
        (vec![], 303, "the file is empty", ""),
        ("\u{feff}\n\n".into(), 303, "the file is empty", ""),
        ("id,split,label,age\n".into(), 303, "the file has a header and no rows", ""),
        (vec![0xff, 0xfe, b'i', 0, b'd', 0], 302, "the file is UTF-16, not UTF-8", ""),
        (latin, 302, "1 cell is not valid UTF-8", "column `id`, first at row 9"),
        (b"id,split,label,\xe9\n1,train,0,1\n".to_vec(), 302, "the name of column 4 is not valid UTF-8", ""),
        (swap(0, "id,", "user,").into(), 304, "the file has no id column `id` among its 5 columns", ""),
        (swap(0, "label", "lable").into(), 305, "the file has no label column `label` among its 5 columns", ""),
        (swap(0, "split", "part").into(), 306, "the file has no split column `split` among its 5 columns", ""),
        (swap(0, "spend", "age").into(), 307, "columns 4 and 5 are both named `age`", ""),
        (swap(0, "spend", " label\u{200b}").into(), 307, "columns 3 and 5 are both named `label`", ""),
        (swap(0, "age", "").into(), 308, "column 4 has no name", ""),
        (
            swap(3, ",", ",,").into(),
            310,
            "1 of 40 rows has not as many fields as the header",
            "first at row 3 (6 fields where the header has 5)",
        ),
        (
            good(|_, line| line).trim_end().strip_suffix(",10.5").unwrap().into(),
            310,
            "1 of 40 rows has not as many fields as the header",
            "first at row 40 (4 fields where the header has 5)",
        ),
        (swap(38, "user38", "\"user38").into(), 311, "a quote is never closed, so that the last row runs to the end of the file", "row 38"),
        (swap(4, "user4", "\n\nuser4").into(), 312, "2 blank lines are between the rows", "first after row 3"),
        (swap(1, "user1", "\nuser1").into(), 312, "1 blank line is between the rows", "after the header"),
        (at(6, 0, "").into(), 313, "1 of 40 ids is empty", "column `id`, first at row 6"),
        (every(0, " \u{feff}").into(), 313, "40 of 40 ids are empty", "column `id`, first at row 1"),
        (
            at(6, 0, "a\u{7}b").into(),
            314,
            "1 of 40 ids is not of kind opaque (up to 1,024 bytes without control characters)",
            "column `id`, first at row 6",
        ),
        (
            at(9, 0, " user2 ").into(),
            315,
            "1 of 40 rows repeats the id of an earlier row",
            "column `id`, first at row 9 (it repeats row 2)",
        ),
        (every(0, "same").into(), 315, "39 of 40 rows repeat the id of an earlier row", "column `id`, first at row 2 (it repeats row 1)"),
        (at(12, 4, "abc").into(), 317, "1 cell is not a number", "column `spend`, first at row 12"),
        (
            every(4, "1.000,5").into(),
            310,
            "40 of 40 rows have not as many fields as the header",
            "first at row 1 (6 fields where the header has 5)",
        ),
        (at(1, 4, "1_000").into(), 316, "1 cell is a number in another spelling", "column `spend`, first at row 1"),
        (at(12, 4, "-inf").into(), 318, "1 cell is infinite", "column `spend`, first at row 12"),
        (at(12, 4, "1e999").into(), 318, "1 cell is infinite", "column `spend`, first at row 12"),
        (at(12, 4, "-1e101").into(), 319, "1 cell is beyond ±1e100", "column `spend`, first at row 12"),
        (at(2, 2, "2").into(), 320, "1 of 40 labels is not 0 or 1", "column `label`, first at row 2"),
        (at(2, 2, "").into(), 320, "1 of 40 labels is not 0 or 1", "column `label`, first at row 2"),
        (every(2, "yes").into(), 320, "40 of 40 labels are not 0 or 1", "column `label`, first at row 1"),
        (at(2, 1, "Train").into(), 321, "1 of 40 rows is marked neither train nor test", "column `split`, first at row 2"),
        (every(2, "0").into(), 322, "the label is 0 in all 30 training rows", ""),
        (every(2, "1.0").into(), 322, "the label is 1 in all 30 training rows", ""),
        (every(1, "train").into(), 324, "no row is marked test in column `split`", ""),
        (every(1, "test").into(), 324, "no row is marked train in column `split`", ""),
    ];
    for (text, id, what, place) in cases {
        let got = refusal(text, |_| {}, Side::Owner);
        assert_eq!(got, (Exit::Data, id, what.to_owned(), place.to_owned()));
    }
    let absent = read_table(&owner_spec(Path::new("no/such/file.csv")), Side::Owner).unwrap_err();
    assert_eq!((absent.exit, absent.id, absent.place.as_deref()), (Exit::Data, 301, Some("no/such/file.csv")));
    assert!(absent.what.starts_with("the file cannot be read: "), "{absent}");
    let folder = tempfile::tempdir().unwrap();
    let directory = read_table(&owner_spec(folder.path()), Side::Owner).unwrap_err();
    assert_eq!((directory.exit, directory.id), (Exit::Data, 301));
}

#[test]
fn all_faults_are_told_at_once_and_no_content_is() {
    let canary = "canary-7f3a";
    let text = good(|row, line| match row {
        3 => format!("{canary}a@,train,{canary},{canary},\n"),
        4 => format!(",{canary},1,1,{canary}\n"),
        5 | 6 => line.replacen("user5", canary, 1).replacen("user6", canary, 1),
        9 => format!("{canary},train,1,inf,2,{canary}\n"),
        _ => line,
    });
    let (exit, id, what, place) = refusal(&text, |_| {}, Side::Owner);
    assert_eq!((exit, id), (Exit::Data, 310));
    assert_eq!(
        what,
        "1 of 40 rows has not as many fields as the header; also 1 of 40 ids is empty (column `id`, first at row 4); \
         also 1 of 40 rows repeats the id of an earlier row (column `id`, first at row 6 (it repeats row 5)); \
         also 1 of 40 labels is not 0 or 1 (column `label`, first at row 3); \
         also 1 of 40 rows is marked neither train nor test (column `split`, first at row 4); \
         also 2 cells are not numbers, in 2 columns: `age` (1), `spend` (1) (column `age`, first at row 3)"
    );
    assert_eq!(place, "first at row 9 (6 fields where the header has 5)");
    assert!(!what.contains("canary") && !place.contains("canary"));

    // A file without a header: its first row is data, and no word of it is shown.
    let headless = good(|row, line| if row == 0 { String::new() } else { line.replacen("user", canary, 1) });
    let file = csv_file(headless);
    let failure = read_table(&owner_spec(&file.path), Side::Owner).unwrap_err();
    assert_eq!(failure.id, 304);
    assert!(!failure.to_string().contains("canary"), "{failure}");
}

#[test]
fn near_names_are_suggested() {
    let file = csv_file(good(|row, line| if row == 0 { line.replace("label", "lable") } else { line }));
    let failure = read_table(&owner_spec(&file.path), Side::Owner).unwrap_err();
    assert_eq!(failure.remedy.as_deref(), Some("did you mean `lable`?"));
}

#[test]
fn ids_of_a_stated_kind_are_canonical_or_refused() {
    let text = "mail,b\n Ana@X.example,1\nbo@x.example,2\nJÖRG@x.example,3\n";
    let kind = |spec: &mut TableSpec, kind| (spec.id, spec.id_kind) = ("mail".into(), kind);
    let file = csv_file(text);
    let mut spec = TableSpec::new(&file.path, "mail");
    spec.id_kind = IdKind::Email;
    let table = read_table(&spec, Side::Partner).unwrap();
    assert_eq!(table.ids, ["ana@x.example", "bo@x.example", "jörg@x.example"]);
    assert!(table.label.is_none() && table.split.is_none());
    assert_eq!((table.counts.ids_trimmed, table.counts.ids_rewritten, table.counts.ids_repaired), (1, 2, 2));

    let (_, id, what, place) = refusal(text, |spec| kind(spec, IdKind::Phone), Side::Partner);
    assert_eq!((id, what.as_str()), (314, "3 of 3 ids are not of kind phone (E.164: + and 8 to 15 digits)"));
    assert_eq!(place, "column `mail`, first at row 1");
    // Two spellings of one address are one id.
    let (_, id, _, place) = refusal(format!("{text}BO@X.EXAMPLE,4\n"), |spec| kind(spec, IdKind::Email), Side::Partner);
    assert_eq!((id, place.as_str()), (315, "column `mail`, first at row 4 (it repeats row 2)"));
}

#[test]
fn odd_but_usable_files_are_read_with_warnings() {
    let file = csv_file("id,a,flat,note\n12.0,1,3,\"two\nlines\"\n+99912345678,-0.0,3,x\n13.0,.5,3,\"\"");
    let mut spec = TableSpec::new(&file.path, "id");
    spec.exclude = vec!["note".into(), "absent".into()];
    let table = read_table(&spec, Side::Partner).unwrap();
    assert_eq!(numbers(&table, 0), [1.0, 0.0, 0.5]);
    assert!(numbers(&table, 0)[1].is_sign_positive());
    assert_eq!(
        table.warnings,
        [
            Warning::ExcludedIsAbsent { column: "absent".into() },
            Warning::IdsLookLikeDecimals { count: 2 },
            Warning::ConstantColumn { column: "flat".into() },
            Warning::NoFinalLineEnd,
            Warning::MultiLineRows { count: 1, first: 1 },
        ]
    );
    let file = csv_file("id,a\n+12025550123,1\n+99912345678,2\n");
    let mut spec = TableSpec::new(&file.path, "id");
    spec.id_kind = IdKind::Phone;
    assert_eq!(read_table(&spec, Side::Partner).unwrap().warnings, [Warning::UnassignedCountry { count: 1, first: 2 }]);
}

#[test]
fn a_job_for_the_overlap_reads_ids_only() {
    let file = csv_file("id,anything\na,text\nb,\nc,NaN\n");
    let spec = TableSpec { ids_only: true, ..TableSpec::new(&file.path, "id") };
    for side in [Side::Owner, Side::Partner] {
        let table = read_table(&spec, side).unwrap();
        assert_eq!((table.rows(), table.columns.len(), table.label, table.split), (3, 0, None, None));
    }
    let file = csv_file("id\na\nb\na\n");
    let spec = TableSpec { ids_only: true, ..TableSpec::new(&file.path, "id") };
    assert_eq!(read_table(&spec, Side::Partner).unwrap_err().id, 315);
}

#[test]
fn leaking_columns_are_refused_unless_named() {
    // `spend_later` is 0 exactly where the label is 0, on the training rows; a test row that disagrees does not hide it.
    let text = good(|row, line| {
        let later = if row == 4 {
            "9"
        } else if row % 3 == 0 {
            "7"
        } else {
            "0"
        };
        if row == 0 { line.replace('\n', ",spend_later\n") } else { line.replace('\n', &format!(",{later}\n")) }
    });
    let (exit, id, what, place) = refusal(&text, |_| {}, Side::Owner);
    assert_eq!((exit, id, place.as_str()), (Exit::Data, 323, "column `spend_later`"));
    assert_eq!(what, "1 column predicts the label alone, beyond AUC 0.995 or below 0.005: `spend_later` (AUC 1.0000)");
    let file = csv_file(&text);
    for change in [(|spec: &mut TableSpec| spec.exclude.push("spend_later".into())) as fn(&mut TableSpec), |spec| {
        spec.allow_leaky.push("spend_later".into())
    }] {
        let mut spec = owner_spec(&file.path);
        change(&mut spec);
        assert!(read_table(&spec, Side::Owner).is_ok());
    }
}

#[test]
fn contradicting_settings_are_usage_errors() {
    let file = csv_file(good(|_, line| line));
    type Change = fn(&mut TableSpec);
    let cases: [(Side, Change, &str); 6] = [
        (Side::Owner, |s| s.label = None, "the owner's file needs a label column"),
        (Side::Partner, |_| {}, "only the owner's file has a label column"),
        (Side::Partner, |s| s.label = None, "only the owner's file has a split column"),
        (Side::Owner, |s| s.label = Some("id".into()), "column `id` is named as both id and label"),
        (Side::Owner, |s| s.split = Some("label".into()), "column `label` is named as both label and split"),
        (Side::Owner, |s| s.exclude.push("label".into()), "column `label` is named as label and excluded"),
    ];
    for (side, change, what) in cases {
        let mut spec = owner_spec(&file.path);
        change(&mut spec);
        let failure = read_table(&spec, side).unwrap_err();
        assert_eq!((failure.exit, failure.id, failure.what.as_str()), (Exit::Usage, 340, what));
    }
}

#[test]
fn no_damage_to_a_file_is_taken_for_fewer_rows() {
    // Cut anywhere inside the rows: refused, or whole rows are left and the missing line end is told.
    let text = good(|_, line| line);
    let start = text.find("user9,").unwrap();
    for end in start..text.len() - 1 {
        match read_owner(&text[..end]) {
            Err(failure) => assert_eq!(failure.exit, Exit::Data, "{failure}"),
            Ok(table) => {
                let lines = text[..end].lines().count() - 1;
                assert_eq!(table.rows(), lines);
                assert_eq!(table.warnings.contains(&Warning::NoFinalLineEnd), !text[..end].ends_with('\n'));
            }
        }
    }
}

/// The real sets beside the workspace; None where they are absent, which is said.
fn shared_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: ../shared/data is absent");
    None
}

fn kind_of(set: &str) -> IdKind {
    match set {
        "bank" => IdKind::Phone,
        "cdnow" => IdKind::Hash,
        "tic" => IdKind::Email,
        _ => IdKind::Opaque,
    }
}

#[test]
fn the_real_sets_give_their_rows_and_intersections() {
    let Some(folder) = shared_data() else { return };
    for set in ["bank", "breast", "cdnow", "default_credit", "tic"] {
        let meta: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(folder.join(set).join("meta.json")).unwrap()).unwrap();
        let names = |key: &str| meta[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        for kind in [IdKind::Opaque, kind_of(set)] {
            let mut spec = owner_spec(&folder.join(set).join("owner.csv"));
            spec.id_kind = kind;
            spec.exclude = names("labels").into_iter().filter(|name| name != "label").collect();
            let owner = read_table(&spec, Side::Owner).unwrap_or_else(|failure| panic!("{set}: {failure}"));
            let spec = TableSpec { id_kind: kind, ..TableSpec::new(folder.join(set).join("partner.csv"), "id") };
            let partner = read_table(&spec, Side::Partner).unwrap_or_else(|failure| panic!("{set}: {failure}"));
            assert_eq!(owner.column_names().collect::<Vec<_>>(), names("owner_features"), "{set}");
            assert_eq!(partner.column_names().collect::<Vec<_>>(), names("partner_features"), "{set}");
            assert_eq!(
                (owner.counts.rows, partner.counts.rows),
                (meta["rows_owner"].as_u64().unwrap(), meta["rows_partner"].as_u64().unwrap())
            );
            assert_eq!((owner.counts.ids_repaired, partner.counts.ids_repaired), (0, 0));
            let found = intersection(&owner.ids, &partner.ids);
            assert_eq!(found.matched as u64, meta["rows_intersection"].as_u64().unwrap(), "{set}");
            assert_eq!(found.sha256, meta["intersection_sha256"], "{set}");

            let common: std::collections::HashSet<&String> = partner.ids.iter().collect();
            let (split, label) = (owner.split.unwrap(), owner.label.unwrap());
            let count = |wanted: Split, positive: bool| {
                (0..split.len()).filter(|i| split[*i] == wanted && (!positive || label[*i]) && common.contains(&owner.ids[*i])).count()
                    as u64
            };
            for (key, got) in [
                ("train", count(Split::Train, false)),
                ("test", count(Split::Test, false)),
                ("positives_train", count(Split::Train, true)),
                ("positives_test", count(Split::Test, true)),
            ] {
                assert_eq!(got, meta[key].as_u64().unwrap(), "{set} {key}");
            }
        }
    }
}

#[test]
fn the_dirty_file_gives_the_clean_intersection() {
    let Some(folder) = shared_data().map(|folder| folder.join("tic")) else { return };
    let read = |file: &str, side: Side| {
        let mut spec = TableSpec { id_kind: IdKind::Email, ..TableSpec::new(folder.join(file), "id") };
        if side == Side::Owner {
            (spec.label, spec.split) = (Some("label".into()), Some("split".into()));
        }
        read_table(&spec, side).unwrap()
    };
    let (owner, dirty, clean) =
        (read("owner.csv", Side::Owner), read("dirty/partner.csv", Side::Partner), read("partner.csv", Side::Partner));
    assert_eq!((&dirty.ids, &dirty.columns), (&clean.ids, &clean.columns));
    assert_eq!((dirty.counts.byte_order_mark, dirty.counts.crlf_lines, dirty.counts.rows), (true, 13_001, 13_000));
    assert!(dirty.counts.ids_trimmed > 4_000 && dirty.counts.ids_rewritten > 4_000);
    assert_eq!(intersection_sha256(&owner.ids, &dirty.ids), "52daf003cef4b9f6280f0215bfdce8d6b356fc456d3d1c573cc8f41bea784857");
}

#[test]
fn other_labels_of_cdnow_leak_and_no_honest_column_does() {
    let Some(folder) = shared_data() else { return };
    let path = folder.join("cdnow/owner.csv");
    for (label, leak) in [("label", "label_spend"), ("label_vip", "label_spend")] {
        let mut spec = owner_spec(&path);
        spec.label = Some(label.into());
        let failure = read_table(&spec, Side::Owner).unwrap_err();
        assert_eq!((failure.exit, failure.id), (Exit::Data, 323));
        assert!(failure.place.unwrap().ends_with(&format!("column `{leak}`")));
        spec.exclude = ["label", "label_vip", "label_spend"].iter().filter(|name| **name != label).map(|name| (*name).into()).collect();
        assert!(read_table(&spec, Side::Owner).is_ok());
    }
    let spec = owner_spec(&folder.join("breast/owner.csv"));
    let table = read_table(&spec, Side::Owner).unwrap();
    let (label, split) = (table.label.unwrap(), table.split.unwrap());
    let strength = |column: &Column| {
        (column_auc(column.values.numbers().unwrap(), &label, |row| split[row] == Split::Train).unwrap() - 0.5).abs() + 0.5
    };
    let best = table.columns.iter().map(strength).fold(0.0, f64::max);
    assert!((0.96..0.98).contains(&best), "{best}");
}

#[test]
fn the_keys_of_a_cascade_may_be_missing_and_are_checked_one_by_one() {
    let text = "tel,gaid,shop,x\n+491701234567,,,1\n,0123ABCD,7,2\n+49 170 1234568,0123abce,7,3\n,0123abcf,,4\n";
    let spec = |path: &Path| TableSpec {
        id_kind: IdKind::Phone,
        more_keys: vec![(IdKind::from_name("device+opaque").unwrap(), vec!["gaid".into(), "shop".into()])],
        ..TableSpec::new(path, "tel")
    };
    // The last row's device lacks its other part, so it has no key at all.
    let file = csv_file(text);
    let failure = read_table(&spec(&file.path), Side::Partner).unwrap_err();
    assert_eq!((failure.exit, failure.id), (Exit::Data, 313));
    assert!(failure.what.starts_with("1 of the ids is empty") || failure.what.contains("empty"), "{failure}");
    let skipping = read_table(&TableSpec { skip_invalid_ids: true, ..spec(&file.path) }, Side::Partner).unwrap();
    assert_eq!(skipping.skipped, [(4, IdProblem::Empty)]);
    assert_eq!(skipping.keys[0], ["+491701234567", "", "+491701234568"]);
    assert_eq!(skipping.keys[1], ["", "0123abcd\u{1f}7", "0123abce\u{1f}7"]);
    assert_eq!(skipping.ids, ["+491701234567\u{1f}\u{1f}", "\u{1f}0123abcd\u{1f}7", "+491701234568\u{1f}0123abce\u{1f}7"]);
    assert_eq!(numbers(&skipping, 0), [1.0, 2.0, 3.0]);
    let good = csv_file(text.replace(",0123abcf,,4", ",0123abcf,9,4"));
    let table = read_table(&spec(&good.path), Side::Partner).unwrap();
    assert_eq!((table.rows(), table.keys.len()), (4, 2));
    let told: Vec<String> = table.warnings.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|line| line.contains("2 rows have no key in column `tel`")), "{told:?}");
    // A key that two rows share, and one that is none, are refused in whatever column they stand.
    for (from, to, id) in [("0123abce,7", "0123ABCD,7", 315), ("+49 170 1234568", "+491701234567", 315), ("0123ABCD,7", "device,7", 314)] {
        let bad = csv_file(text.replace(",0123abcf,,4", ",0123abcf,9,4").replace(from, to));
        let failure = read_table(&spec(&bad.path), Side::Partner).unwrap_err();
        assert_eq!((failure.exit, failure.id), (Exit::Data, id), "{to}: {failure}");
    }
}
