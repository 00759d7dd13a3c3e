//! Where the rows come from: one file, several by a pattern, or standard input; what each is, by its first bytes.
//!
//! What cannot be read twice (standard input, a pipe) is first copied to a private temporary file that has no name.

use super::dialect::{Dialect, SAMPLE_BYTES};
use super::wording::{counted, hex, shown};
use crate::error::{Exit, Failure};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with a header line.
    Csv(Dialect),
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// `CSV` or `Parquet`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv(_) => "CSV",
            Self::Parquet => "Parquet",
        }
    }
}

/// One file, opened. It can be read again from the start.
pub(super) struct Input {
    /// How it is named in messages.
    pub name: String,
    /// What it is.
    pub format: Format,
    /// Its size.
    pub bytes: u64,
    place: Place,
    changed: Option<SystemTime>,
}

enum Place {
    Path(PathBuf),
    Spooled(File),
}

/// Data that cannot be used, with its place.
pub(super) fn refuse(name: &str, number: u16, what: impl Into<String>) -> Failure {
    Failure::new(Exit::Data, number, what).at(name)
}

/// A file that the system does not let us read.
pub(super) fn unreadable(name: &str, error: &io::Error) -> Failure {
    refuse(name, 301, format!("the file cannot be read: {error}")).hint("check the path and the permissions")
}

/// The files that a path means, in the order of their names; at least one.
pub(super) fn inputs(path: &Path) -> Result<Vec<Input>, Failure> {
    let name = path.display().to_string();
    if name == STANDARD_INPUT {
        return Ok(vec![Input::spool("standard input".to_owned(), &mut io::stdin().lock())?]);
    }
    if !name.contains(['*', '?', '[']) || path.exists() {
        return Ok(vec![Input::open(path)?]);
    }
    let matches = glob::glob(&name).map_err(|error| {
        refuse(&name, 301, format!("this is no pattern: {}", error.msg)).hint("`*` stands for any text, `?` for one character")
    })?;
    let mut paths = Vec::new();
    for found in matches {
        let found = found.map_err(|error| unreadable(&error.path().display().to_string(), error.error()))?;
        if !found.is_dir() {
            paths.push(found);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(refuse(&name, 301, "no file fits the pattern").hint("check the path; put the pattern in quotes"));
    }
    let inputs: Vec<Input> = paths.iter().map(|path| Input::open(path)).collect::<Result<_, _>>()?;
    if let (Some(one), Some(other)) = (inputs.first(), inputs.iter().find(|input| input.format.name() != inputs[0].format.name())) {
        let what =
            format!("the files are of two formats: {} is {}, another is {}", shown(&one.name), one.format.name(), other.format.name());
        return Err(refuse(&other.name, 336, what).hint("name the files of one format by the pattern"));
    }
    Ok(inputs)
}

impl Input {
    fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let mut file = File::open(path).map_err(|error| unreadable(&name, &error))?;
        let about = file.metadata().map_err(|error| unreadable(&name, &error))?;
        if !about.is_file() && !about.is_dir() {
            return Self::spool(name, &mut file);
        }
        Self::known(name, &mut file, &about, Place::Path(path.to_owned()))
    }

    /// Copies a stream to a temporary file without a name.
    fn spool(name: String, stream: &mut dyn Read) -> Result<Self, Failure> {
        let mut spool = || -> io::Result<(File, Metadata)> {
            let mut file = tempfile::tempfile()?;
            io::copy(stream, &mut file)?;
            file.seek(SeekFrom::Start(0))?;
            let about = file.metadata()?;
            Ok((file, about))
        };
        let (file, about) = spool().map_err(|error| unreadable(&name, &error))?;
        let mut again = file.try_clone().map_err(|error| unreadable(&name, &error))?;
        Self::known(name, &mut again, &about, Place::Spooled(file))
    }

    fn known(name: String, file: &mut File, about: &Metadata, place: Place) -> Result<Self, Failure> {
        let mut sample = Vec::new();
        file.take(SAMPLE_BYTES as u64).read_to_end(&mut sample).map_err(|error| unreadable(&name, &error))?;
        let format = format(&name, &sample)?;
        Ok(Self { name, format, bytes: about.len(), place, changed: about.modified().ok() })
    }

    /// The file at its start.
    pub(super) fn reader(&self) -> Result<File, Failure> {
        let failed = |error| unreadable(&self.name, &error);
        match &self.place {
            Place::Path(path) => File::open(path).map_err(failed),
            Place::Spooled(file) => {
                let mut file = file.try_clone().map_err(failed)?;
                file.seek(SeekFrom::Start(0)).map_err(failed)?;
                Ok(file)
            }
        }
    }

    /// Fails when the file is no longer the one that was opened first.
    pub(super) fn unchanged(&self, file: &File) -> Result<(), Failure> {
        let about = file.metadata().map_err(|error| unreadable(&self.name, &error))?;
        if about.len() == self.bytes && about.modified().ok() == self.changed {
            return Ok(());
        }
        Err(refuse(&self.name, 337, "the file was changed while it was read").hint("wait until it is written, then run again"))
    }

    /// SHA-256 of the file's bytes, in lower-case hex.
    pub(super) fn sha256(&self) -> Result<String, Failure> {
        let mut file = self.reader()?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0u8; 1 << 20]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => hash.update(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.name, &error)),
            }
        }
        self.unchanged(&file)?;
        Ok(hex(&hash.finalize()))
    }
}

/// What a file is, by its first bytes; other formats are refused by name.
fn format(name: &str, sample: &[u8]) -> Result<Format, Failure> {
    const PARQUET: &[u8] = b"PAR1";
    const OTHERS: [(&[u8], &str, &str); 10] = [
        (b"PARE", "an encrypted Parquet file", "write it without encryption to a private folder"),
        (&[0x1f, 0x8b], "compressed with gzip", "unpack it, or pipe it: gunzip -c FILE | … -"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "compressed with zstd", "unpack it, or pipe it: zstdcat FILE | … -"),
        (b"BZh", "compressed with bzip2", "unpack it, or pipe it: bzcat FILE | … -"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "compressed with xz", "unpack it, or pipe it: xzcat FILE | … -"),
        (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "export the sheet as CSV UTF-8, or unpack the archive"),
        (&[0xd0, 0xcf, 0x11, 0xe0], "an old spreadsheet", "export the sheet as CSV UTF-8"),
        (b"ARROW1", "an Arrow file", "write it as Parquet"),
        (b"ORC", "an ORC file", "write it as Parquet"),
        (b"Obj\x01", "an Avro file", "write it as Parquet"),
    ];
    if sample.starts_with(PARQUET) {
        return Ok(Format::Parquet);
    }
    if let Some((_, what, hint)) =
        OTHERS.iter().find(|(magic, _, _)| sample.starts_with(magic) && !(magic == b"ORC" && sample.contains(&b'\n')))
    {
        return Err(refuse(name, 334, format!("the file is {what}, not CSV or Parquet")).hint(*hint));
    }
    if name.to_lowercase().ends_with(".parquet") {
        let what =
            format!("the file is named .parquet and does not begin as one ({})", counted(sample.len() as u64, "byte seen", "bytes seen"));
        return Err(refuse(name, 334, what).hint("write it again"));
    }
    Ok(Format::Csv(Dialect::detect(sample)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn other_formats_are_refused_by_name() {
        let cases: [(&[u8], &str); 5] = [
            (b"PK\x03\x04rest", "a ZIP archive or a spreadsheet"),
            (&[0x1f, 0x8b, 8, 0], "compressed with gzip"),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0], "compressed with zstd"),
            (b"ORC\x00\x01", "an ORC file"),
            (b"PARE....", "an encrypted Parquet file"),
        ];
        for (bytes, what) in cases {
            let failure = format("x", bytes).unwrap_err();
            assert_eq!((failure.id, failure.what), (334, format!("the file is {what}, not CSV or Parquet")));
        }
        assert_eq!(format("x", b"PAR1").unwrap(), Format::Parquet);
        assert!(matches!(format("x", b"ORC,b\n1,2\n").unwrap(), Format::Csv(_)));
        assert_eq!(format("a.PARQUET", b"id,b\n").unwrap_err().id, 334);
    }

    #[test]
    fn a_stream_is_kept_and_read_twice() {
        let input = Input::spool("stream".into(), &mut b"id;a\n1;2\n".as_slice()).unwrap();
        assert_eq!((input.bytes, input.format.name()), (9, "CSV"));
        for _ in 0..2 {
            let mut text = String::new();
            input.reader().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "id;a\n1;2\n");
        }
        assert_eq!(input.sha256().unwrap(), hex(&Sha256::digest(b"id;a\n1;2\n")));
    }
}
