//! What is written is what is read: random tables as CSV in every dialect and as Parquet, in one file and in several.

use crate::files::{Folder, spec};
use crate::parquet::parquet;
use arrow_array::{ArrayRef, Float64Array, StringArray};
use colift::data::{Side, Table, Values, read_table};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use std::sync::Arc;

/// A printed seed's numbers (SplitMix64): data of tests, no secrets.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The rows that are written: numbers of every size and texts with everything that needs quotes.
struct Rows {
    ids: Vec<String>,
    numbers: Vec<Option<f64>>,
    texts: Vec<Option<String>>,
}

fn rows(numbers: &mut Numbers) -> Rows {
    let count = 1 + numbers.below(9_000) as usize;
    let pieces = ["a", "Ö", "北京", ",", ";", "\t", "|", "\"", "\n", "'", " x ", "7", "-", "\r\n"];
    let number = |numbers: &mut Numbers| match numbers.below(8) {
        0 => None,
        1 => Some(numbers.below(1_000) as f64),
        2 => Some(-(numbers.below(1 << 53) as f64)),
        3 => Some(numbers.below(1 << 53) as f64 * 1e-20),
        4 => Some((numbers.below(1 << 53) as f64) * 1e80),
        _ => Some(numbers.below(1_000_000) as f64 / 997.0),
    };
    let text = |numbers: &mut Numbers, row: usize| {
        if row > 0 && numbers.below(10) == 0 {
            return None;
        }
        let length = 1 + numbers.below(4);
        let middle: String = (0..length).map(|_| pieces[numbers.below(pieces.len() as u64) as usize]).collect();
        // Begins and ends with a letter: blanks at the ends are cut, and that is not asked here.
        Some(format!("t{middle}t"))
    };
    Rows {
        ids: (0..count).map(|row| format!("id {row}")).collect(),
        numbers: (0..count).map(|_| number(numbers)).collect(),
        texts: (0..count).map(|row| text(numbers, row)).collect(),
    }
}

impl Rows {
    fn csv(&self, range: std::ops::Range<usize>, delimiter: u8, always: bool, crlf: bool) -> Vec<u8> {
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).quote_style(style).terminator(end).from_writer(Vec::new());
        writer.write_record(["id", "number", "text"]).unwrap();
        for row in range {
            let number = self.numbers[row].map_or_else(String::new, |number| number.to_string());
            let text = self.texts[row].clone().unwrap_or_default();
            writer.write_record([self.ids[row].as_str(), &number, &text]).unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn parquet(&self, compression: Compression, group: usize) -> Vec<u8> {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(StringArray::from_iter_values(&self.ids))),
            ("number", Arc::new(Float64Array::from_iter(self.numbers.iter().copied()))),
            ("text", Arc::new(StringArray::from_iter(self.texts.iter().map(Option::as_deref)))),
        ];
        parquet(columns, compression, group)
    }

    fn check(&self, table: &Table, about: &str) {
        assert_eq!(table.ids, self.ids, "{about}");
        let missing = (self.numbers.iter().filter(|n| n.is_none()).count() + self.texts.iter().filter(|t| t.is_none()).count()) as u64;
        assert_eq!((table.counts.rows, table.counts.missing_cells), (self.ids.len() as u64, missing), "{about}");
        let Values::Number(read) = &table.columns[0].values else { panic!("{about}: the numbers") };
        for (row, (read, written)) in read.iter().zip(&self.numbers).enumerate() {
            assert!(written.map_or(read.is_nan(), |written| written + 0.0 == *read), "{about}: number of row {row}");
        }
        let Values::Text { codes, levels } = &table.columns[1].values else { panic!("{about}: the texts") };
        assert!(levels.len() <= codes.len());
        for (row, (code, written)) in codes.iter().zip(&self.texts).enumerate() {
            assert_eq!(levels.get(*code as usize), written.as_ref(), "{about}: text of row {row}");
        }
    }
}

#[test]
fn rows_read_are_rows_written() {
    let seeds: Vec<u64> = match std::env::var("COLIFT_TEST_SEED") {
        Ok(seed) => vec![u64::from_str_radix(&seed[..seed.len().min(16)], 16).unwrap()],
        Err(_) => (0..24).collect(),
    };
    for seed in seeds {
        println!("seed {seed:016x}");
        let mut draw = Numbers(seed);
        let rows = rows(&mut draw);
        let count = rows.ids.len();
        let read = |files: &[(&str, Vec<u8>)], path: &str, about: &str| {
            let folder = Folder::with(files);
            let table =
                read_table(&spec(&folder.path(path)), Side::Partner).unwrap_or_else(|failure| panic!("seed {seed}, {about}: {failure}"));
            rows.check(&table, &format!("seed {seed}, {about}"));
            assert_eq!(table.files.iter().map(|file| file.rows).sum::<u64>(), count as u64);
        };
        let delimiter = [b',', b';', b'\t', b'|'][draw.below(4) as usize];
        let (always, crlf) = (draw.below(2) == 0, draw.below(2) == 0);
        read(&[("rows.csv", rows.csv(0..count, delimiter, always, crlf))], "rows.csv", "CSV");
        let middle = draw.below(count as u64) as usize;
        if middle > 0 {
            let parts =
                [("a-1.csv", rows.csv(0..middle, delimiter, always, crlf)), ("a-2.csv", rows.csv(middle..count, b';', true, false))];
            read(&parts, "a-?.csv", "two CSV files");
        }
        let compressions = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::ZSTD(ZstdLevel::default()),
            Compression::LZ4_RAW,
        ];
        let group = 1 + draw.below(count as u64) as usize;
        read(&[("rows.parquet", rows.parquet(compressions[seed as usize % 5], group))], "rows.parquet", "Parquet");
    }
}

/// Any damage to a Parquet file ends in a refusal or in a table of all its rows; nothing worse.
#[test]
fn a_damaged_parquet_file_is_refused_or_whole() {
    let mut draw = Numbers(5);
    let rows = rows(&mut draw);
    let count = rows.ids.len();
    let mut refused = 0;
    for trial in 0..300 {
        let mut bytes = rows
            .parquet([Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())][trial % 3], count / 3 + 1);
        let footer = bytes.len() - 2_500.min(bytes.len() / 2);
        match trial % 4 {
            0 => bytes.truncate(draw.below(bytes.len() as u64) as usize),
            // The footer is small, and most of what it says leads somewhere.
            1 | 2 => {
                for _ in 0..=draw.below(3) {
                    let at = footer + draw.below((bytes.len() - footer) as u64) as usize;
                    bytes[at] = draw.next() as u8;
                }
            }
            _ => {
                for _ in 0..4 {
                    let at = draw.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << draw.below(8);
                }
            }
        }
        let folder = Folder::with(&[("rows.parquet", bytes)]);
        match read_table(&spec(&folder.path("rows.parquet")), Side::Partner) {
            Ok(table) => assert_eq!(table.rows() as u64, table.files[0].rows, "trial {trial}"),
            Err(failure) => {
                assert!(failure.exit as u8 == 13, "trial {trial}: {failure}");
                refused += 1;
            }
        }
    }
    assert!(refused > 150, "{refused} of 300 refused");
}

/// A column whose first rows look like numbers and later ones do not, and the other way round: read again, nothing lost.
#[test]
fn a_wrong_first_guess_loses_nothing() {
    let rows = 20_000;
    let write = |cell: &dyn Fn(usize) -> String| {
        (0..rows).fold("id,x\n".to_owned(), |text, row| text + &format!("u{row},{}\n", cell(row))).into_bytes()
    };
    let read = |bytes: Vec<u8>| {
        let folder = Folder::with(&[("x.csv", bytes)]);
        read_table(&spec(&folder.path("x.csv")), Side::Partner)
    };
    // Numbers with leading zeros first, words from the 10,000th row on: a column of text, the zeros kept.
    let late = read(write(&|row| if row < rows / 2 { format!("0{}", row % 5) } else { "word".into() })).unwrap();
    let found = crate::files::texts(&late.columns[0].values);
    assert!(
        (0..rows).all(|row| found[row].as_deref() == Some(if row < rows / 2 { format!("0{}", row % 5) } else { "word".into() }.as_str()))
    );
    // One word in the first rows, numbers behind: refused with the exact count.
    let early = read(write(&|row| if row % 4_000 == 7 { "word".into() } else { format!("{row}.25") })).unwrap_err();
    assert_eq!((early.id, early.what.as_str()), (317, "5 cells are not numbers"));
    assert!(early.place.unwrap().ends_with("column `x`, first at row 8"));
    // Missing cells only in the first rows.
    let gaps = read(write(&|row| if row < 9_000 { "NA".into() } else { format!("{row}") })).unwrap();
    assert_eq!(gaps.counts.missing_cells, 9_000);
    assert_eq!(crate::files::numbers(&gaps.columns[0].values)[9_000], 9_000.0);
}

/// More different texts than are kept: refused as text, but numbers behind a word are told as what they are.
#[test]
fn too_many_different_texts_are_refused() {
    let rows = 1_000_010;
    let write = |cell: &dyn Fn(usize) -> String| {
        let mut text = "id,x\n".to_owned();
        (0..rows).for_each(|row| text.push_str(&format!("{row},{}\n", cell(row))));
        text.into_bytes()
    };
    for (cell, number, what, place) in [
        ((|row| format!("t{row}")) as fn(usize) -> String, 328, "1 text column has more different values than are kept", "row 1,000,001"),
        (|row| if row == 7 { "word".into() } else { row.to_string() }, 317, "1 cell is not a number", "row 8"),
    ] {
        let folder = Folder::with(&[("x.csv", write(&cell))]);
        let failure = read_table(&spec(&folder.path("x.csv")), Side::Partner).unwrap_err();
        assert_eq!((failure.id, failure.what.as_str()), (number, what));
        assert!(failure.place.as_ref().unwrap().ends_with(&format!("column `x`, first at {place}")), "{failure}");
    }
}
