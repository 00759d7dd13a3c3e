//! Where tables come from: files, patterns, `k=v/` folders, standard input, `file://`, `s3://`, `http(s)://`; what each is, by its name or first bytes.
//!
//! CSV: UTF-8 with a header; delimiter and quote are detected from its first 256 KiB; types from its first 100,000 rows.
//! A column of whole numbers that any of the first rows writes with a leading zero or plus stays text, because it is a code.

use super::engine::Engine;
use super::explain::failure_of;
use crate::data::wording::{nearest, shown};
use crate::data::{Dialect, STANDARD_INPUT};
use crate::error::{Exit, Failure};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Location;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a file that are looked at for its dialect.
const SAMPLE_BYTES: u64 = 256 << 10;
/// Rows from which types are taken.
const TYPE_ROWS: usize = 100_000;
/// What a table's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Text with a header line.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Json,
}

impl TableFormat {
    /// By the end of a name without its compression.
    fn from_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Self::Csv,
            "parquet" | "pq" => Self::Parquet,
            "json" | "jsonl" | "ndjson" => Self::Json,
            _ => return None,
        })
    }

    fn from_first_bytes(sample: &[u8]) -> Self {
        let text = sample.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(sample);
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            _ if sample.starts_with(b"PAR1") => Self::Parquet,
            Some(b'{') => Self::Json,
            _ => Self::Csv,
        }
    }
}

/// One `--table`: its name in SQL and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSource {
    /// Its name in SQL.
    pub name: String,
    /// What it is, where it was told.
    pub format: Option<TableFormat>,
    /// A path, a pattern, a folder, `-` or an address.
    pub path: String,
}

impl TableSource {
    /// Reads `name=path` or `name=format:path` with csv, parquet or json as format.
    ///
    /// # Errors
    /// Exit 2, E1111: there is no name or no path.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let parts = text.split_once('=').filter(|(name, path)| !name.trim().is_empty() && !path.is_empty());
        let Some((name, path)) = parts else {
            let what = format!("{} names no table", shown(text));
            return Err(Failure::new(Exit::Usage, 1111, what).hint("--table NAME=PATH, such as --table events=log.csv"));
        };
        Ok(Self::at(name.trim(), path))
    }

    /// A table of this name at a path or `format:path`.
    #[must_use]
    pub fn at(name: &str, path: &str) -> Self {
        let told = [("csv:", TableFormat::Csv), ("parquet:", TableFormat::Parquet), ("json:", TableFormat::Json)];
        let found = told.into_iter().find_map(|(prefix, format)| Some((path.strip_prefix(prefix)?, format)));
        let (path, format) = found.map_or((path, None), |(rest, format)| (rest, Some(format)));
        Self { name: name.to_owned(), format, path: path.to_owned() }
    }
}

/// Makes tables known to a session. Keeps what was copied from streams until it is dropped.
#[derive(Default)]
pub struct Sources {
    copied: Vec<File>,
    input_taken: bool,
    /// What a person should know about how the tables are read.
    pub notes: Vec<String>,
}

/// One table on its way into the session.
struct Opening<'a> {
    source: &'a TableSource,
    url: ListingTableUrl,
    format: TableFormat,
    compression: FileCompressionType,
    /// The end of the names of its files; empty for one file.
    extension: String,
    /// The first bytes of its first file, where it is not compressed.
    sample: Vec<u8>,
}

impl Sources {
    /// Registers a table and returns its columns. In CSV the columns `text` are read as text, whatever they hold; of another format
    /// they keep their types.
    ///
    /// # Errors
    /// Exit 13, E1112: there is no such file, or it holds no columns; E1122: it cannot be read. Exit 2, E1113: what it is cannot be told
    /// by its name, or the address is of an unknown kind.
    pub async fn open(&mut self, engine: &Engine, source: &TableSource, text: &[String]) -> Result<SchemaRef, Failure> {
        if engine.context().table_exist(datafusion::common::TableReference::bare(source.name.as_str())).is_ok_and(|exists| exists) {
            return Err(Failure::new(Exit::Usage, 1111, format!("two tables are named {}", shown(&source.name))));
        }
        let opening = self.locate(engine, source).await?;
        let place = &source.path;
        let state = engine.context().state();
        let dialect = Dialect::detect(&opening.sample);
        let format: Arc<dyn FileFormat> = match opening.format {
            TableFormat::Parquet => Arc::new(ParquetFormat::default()),
            TableFormat::Json => {
                Arc::new(JsonFormat::default().with_file_compression_type(opening.compression).with_schema_infer_max_rec(TYPE_ROWS))
            }
            TableFormat::Csv => Arc::new(
                CsvFormat::default()
                    .with_has_header(true)
                    .with_delimiter(dialect.delimiter)
                    .with_quote(dialect.quote)
                    // Fields with line ends are possible where fields are quoted; then a file is read in one piece.
                    .with_newlines_in_values(dialect.quoted)
                    .with_file_compression_type(opening.compression)
                    .with_schema_infer_max_rec(TYPE_ROWS),
            ),
        };
        let options = ListingOptions::new(format).with_file_extension(&opening.extension);
        let failed = |error| failure_of(error, place);
        let inferred = options.infer_schema(&state, &opening.url).await.map_err(|error| {
            let none = error.strip_backtrace().contains("No files found");
            let absent = || Failure::new(Exit::Data, 1112, "there is no such file").at(place.as_str()).hint("check the address");
            if none { absent() } else { failed(error) }
        })?;
        if inferred.fields().is_empty() {
            return Err(Failure::new(Exit::Data, 1112, "the table has no columns, or no file fits").at(place.as_str()));
        }
        let schema = match opening.format {
            TableFormat::Csv => self.csv_schema(&inferred, &opening, dialect, text),
            _ => inferred,
        };
        let config = ListingTableConfig::new(opening.url).with_listing_options(options).with_schema(schema);
        let config = config.infer_partitions_from_path(&state).await.map_err(failed)?;
        let table = Arc::new(ListingTable::try_new(config).map_err(failed)?);
        let schema = datafusion::catalog::TableProvider::schema(table.as_ref());
        let name = datafusion::common::TableReference::bare(source.name.as_str());
        engine.context().register_table(name, table).map_err(failed)?;
        Ok(schema)
    }

    /// The columns of CSV: names without blanks at the ends, codes and the columns told as text.
    fn csv_schema(&mut self, inferred: &Schema, opening: &Opening<'_>, dialect: Dialect, text: &[String]) -> SchemaRef {
        let codes = codes(&opening.sample, dialect);
        let fields = inferred.fields().iter().enumerate().map(|(at, field)| {
            let name = field.name().trim_start_matches('\u{feff}').trim();
            let code = field.data_type().is_integer() && codes.contains(&at);
            if code && !text.iter().any(|told| told == name) {
                self.notes.push(format!("{}: column {} has leading zeros and stays text", opening.source.path, shown(name)));
            }
            let is_text = code || text.iter().any(|told| told == name) || field.data_type() == &DataType::Null;
            Field::new(name, if is_text { DataType::Utf8View } else { field.data_type().clone() }, true)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Finds out what a table is and where its files are.
    async fn locate<'a>(&mut self, engine: &Engine, source: &'a TableSource) -> Result<Opening<'a>, Failure> {
        let place = || source.path.clone();
        let about = std::fs::metadata(&source.path);
        if source.path == STANDARD_INPUT || about.is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return self.stream(source).await;
        }
        let local = !source.path.contains("://");
        let path = match source.path.strip_prefix("file://").filter(|path| path.starts_with('/')) {
            Some(path) => Path::new(path),
            None => Path::new(&source.path),
        };
        let pattern = local && source.path.contains(['*', '?', '[']) && !path.exists();
        if (local || source.path.starts_with("file://")) && !pattern && !path.exists() {
            return Err(Failure::new(Exit::Data, 1112, "there is no such file or folder").at(place()).hint("check the path"));
        }
        let address = match std::path::absolute(path) {
            Ok(found) if local || path.exists() => found.to_string_lossy().into_owned() + if path.is_dir() { "/" } else { "" },
            _ => source.path.clone(),
        };
        let url = ListingTableUrl::parse(&address).map_err(|error| failure_of(error, &source.path))?;
        register_store(engine, &url, &source.path)?;
        let many = url.is_collection() || pattern;
        let first = if many { first_file(engine, &url, source).await? } else { url.prefix().clone() };
        let (extension, compressed) = ends(first.as_ref());
        let sample = if compressed.is_none() { first_bytes(engine, &url, &first).await } else { Vec::new() };
        let by_name = TableFormat::from_extension(&extension);
        let by_bytes = (!sample.is_empty()).then(|| TableFormat::from_first_bytes(&sample));
        let Some(format) = source.format.or(by_name).or(by_bytes) else {
            let what = "what the file is cannot be told by its name";
            return Err(Failure::new(Exit::Usage, 1113, what).at(place()).hint("write NAME=csv:PATH, NAME=parquet:PATH or NAME=json:PATH"));
        };
        let compression = compressed.as_deref().and_then(|end| FileCompressionType::from_str(end).ok());
        let whole_end = compressed.map_or_else(|| format!(".{extension}"), |end| format!(".{extension}.{end}"));
        Ok(Opening {
            source,
            url,
            format,
            compression: compression.unwrap_or(FileCompressionType::UNCOMPRESSED),
            extension: if many { whole_end } else { String::new() },
            sample,
        })
    }

    /// Copies what can be read once only to a private temporary file without a name, which is read like any other.
    async fn stream<'a>(&mut self, source: &'a TableSource) -> Result<Opening<'a>, Failure> {
        let place = source.path.clone();
        let is_input = source.path == STANDARD_INPUT;
        if is_input && self.input_taken {
            return Err(Failure::new(Exit::Usage, 1111, "standard input can be one table only").at("-"));
        }
        self.input_taken |= is_input;
        let failed =
            |error: std::io::Error| Failure::new(Exit::Data, 1122, format!("the stream cannot be read: {error}")).at(place.as_str());
        // On a thread of its own, so that Ctrl-C is heard while nothing comes.
        let (done, copied) = tokio::sync::oneshot::channel();
        let path = source.path.clone();
        std::thread::spawn(move || {
            let copy = || -> std::io::Result<File> {
                let mut file = tempfile::tempfile()?;
                let mut stream: Box<dyn Read> = if is_input { Box::new(std::io::stdin().lock()) } else { Box::new(File::open(path)?) };
                std::io::copy(&mut stream, &mut file)?;
                Ok(file)
            };
            let _ = done.send(copy());
        });
        let stopped = |_| Failure::new(Exit::Internal, 1124, "the thread that copies the stream ended");
        let file = copied.await.map_err(stopped)?.map_err(failed)?;
        let address = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.copied.push(file);
        let sample = sample(Path::new(&address))?;
        if sample.is_empty() {
            return Err(Failure::new(Exit::Data, 1112, "the stream is empty").at(place.as_str()));
        }
        let url = ListingTableUrl::parse(&address).map_err(|error| failure_of(error, &place))?;
        let compression = compression_of(&sample);
        if compression.is_compressed() && source.format.is_none() {
            let what = "the stream is compressed: what it holds cannot be told";
            return Err(Failure::new(Exit::Usage, 1113, what).at(place.as_str()).hint("write NAME=csv:- or NAME=json:-"));
        }
        let format = source.format.unwrap_or_else(|| TableFormat::from_first_bytes(&sample));
        let sample = if compression.is_compressed() { Vec::new() } else { sample };
        Ok(Opening { source, url, format, compression, extension: String::new(), sample })
    }
}

/// The end of a name and, after it, that of a compression.
fn ends(path: &str) -> (String, Option<String>) {
    let name = path.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let mut parts: Vec<&str> = name.split('.').skip(1).collect();
    let compressed =
        parts.last().filter(|end| matches!(end.to_ascii_lowercase().as_str(), "gz" | "bz2" | "xz" | "zst")).map(|end| (*end).to_owned());
    if compressed.is_some() {
        parts.pop();
    }
    (parts.last().map(|end| (*end).to_owned()).unwrap_or_default(), compressed)
}

fn compression_of(sample: &[u8]) -> FileCompressionType {
    let magics: [(&[u8], FileCompressionType); 4] = [
        (&[0x1f, 0x8b], FileCompressionType::GZIP),
        (&[0x28, 0xb5, 0x2f, 0xfd], FileCompressionType::ZSTD),
        (b"BZh", FileCompressionType::BZIP2),
        (&[0xfd, b'7', b'z', b'X', b'Z'], FileCompressionType::XZ),
    ];
    let found = magics.into_iter().find(|(magic, _)| sample.starts_with(magic));
    found.map_or(FileCompressionType::UNCOMPRESSED, |(_, compression)| compression)
}

/// The first bytes of a local file.
fn sample(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SAMPLE_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| Failure::new(Exit::Data, 1122, format!("the file cannot be read: {error}")).at(path.display().to_string()))?;
    Ok(bytes)
}

/// The first bytes of a file of a store; none where it cannot be read, which whoever opens it will say.
async fn first_bytes(engine: &Engine, url: &ListingTableUrl, location: &Location) -> Vec<u8> {
    let Ok(store) = engine.context().runtime_env().object_store(url) else { return Vec::new() };
    let bytes = store.get_range(location, 0..SAMPLE_BYTES).await;
    bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()
}

/// The first file of a folder or pattern whose name tells what it is.
async fn first_file(engine: &Engine, url: &ListingTableUrl, source: &TableSource) -> Result<Location, Failure> {
    let failed = |error| failure_of(error, &source.path);
    let state = engine.context().state();
    let store = engine.context().runtime_env().object_store(url).map_err(failed)?;
    let files = url.list_all_files(&state, store.as_ref(), "").await.map_err(failed)?;
    let names: Vec<Location> = files.map_ok(|file| file.location).try_collect().await.map_err(failed)?;
    let known = names.iter().filter(|name| {
        let file = name.filename().unwrap_or_default();
        !file.starts_with(['.', '_']) && TableFormat::from_extension(&ends(file).0).is_some()
    });
    known.min().cloned().ok_or_else(|| {
        let what = if names.is_empty() { "there is no file" } else { "no file is named .csv, .parquet, .json, .jsonl or .ndjson" };
        Failure::new(Exit::Data, 1112, what).at(source.path.as_str()).hint("check the path; patterns stand in quotes")
    })
}

/// Makes the store of an address known. Keys of S3 come from the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT, …).
fn register_store(engine: &Engine, url: &ListingTableUrl, place: &str) -> Result<(), Failure> {
    let failed = |error: object_store::Error| Failure::new(Exit::Data, 1122, format!("the store cannot be used: {error}")).at(place);
    let retries = RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() };
    let address = url.get_url();
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "file" => return Ok(()),
        "s3" | "s3a" => {
            let bucket = address.host_str().unwrap_or_default();
            Arc::new(AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retries).build().map_err(failed)?)
        }
        "http" | "https" => {
            let clear = ClientOptions::new().with_allow_http(true);
            let origin = address.origin().ascii_serialization();
            let builder = HttpBuilder::new().with_url(origin).with_client_options(clear).with_retry(retries);
            Arc::new(builder.build().map_err(failed)?)
        }
        other => {
            let near = nearest(other, ["s3", "http", "https", "file"]).map_or(String::new(), |near| format!("; did you mean {near}://?"));
            let what = format!("addresses of kind {} cannot be read{near}", shown(other));
            return Err(Failure::new(Exit::Usage, 1113, what).at(place).hint("a path, -, file://, s3://, http:// or https://"));
        }
    };
    engine.context().register_object_store(url.object_store().as_ref(), store);
    Ok(())
}

/// Columns of the sample in which any cell is a whole number with a leading zero or plus.
fn codes(sample: &[u8], dialect: Dialect) -> Vec<usize> {
    let mut reader = csv::ReaderBuilder::new().delimiter(dialect.delimiter).quote(dialect.quote).flexible(true).from_reader(sample);
    let mut found = Vec::new();
    let mut record = csv::ByteRecord::new();
    while matches!(reader.read_byte_record(&mut record), Ok(true)) {
        for (at, cell) in record.iter().enumerate() {
            let code = matches!(cell, [b'0' | b'+', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit));
            if code && !found.contains(&at) {
                found.push(at);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn tables_are_named_and_may_tell_their_format() {
        let source = TableSource::parse("events=s3://bucket/a=1/log.csv").unwrap();
        assert_eq!((source.name.as_str(), source.format, source.path.as_str()), ("events", None, "s3://bucket/a=1/log.csv"));
        let source = TableSource::parse("e=parquet:folder/").unwrap();
        assert_eq!((source.format, source.path.as_str()), (Some(TableFormat::Parquet), "folder/"));
        for wrong in ["", "events", "=a.csv", "events="] {
            assert_eq!(TableSource::parse(wrong).unwrap_err().id, 1111, "{wrong}");
        }
    }

    #[test]
    fn names_and_first_bytes_tell_the_format() {
        assert_eq!(ends("a/b.c/log.2026.csv.gz"), ("csv".into(), Some("gz".into())));
        assert_eq!(ends("https://h/x.parquet?sig=a.b"), ("parquet".into(), None));
        assert_eq!(ends("a.b/log"), (String::new(), None));
        assert_eq!(TableFormat::from_first_bytes(b"\xef\xbb\xbf {\"a\":1}"), TableFormat::Json);
        assert_eq!(TableFormat::from_first_bytes(b"PAR1\x00"), TableFormat::Parquet);
        assert_eq!(TableFormat::from_first_bytes(b"id,a\n"), TableFormat::Csv);
        assert!(compression_of(&[0x1f, 0x8b, 8]).is_compressed() && !compression_of(b"id").is_compressed());
    }

    #[test]
    fn whole_numbers_with_leading_zeros_are_codes() {
        let dialect = Dialect::default();
        assert_eq!(codes(b"id,a,b,c\n1,0,0.5,+49\n007,10,1,2\n", dialect), [3, 0]);
    }
}
