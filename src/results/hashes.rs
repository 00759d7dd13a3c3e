//! Hashes of a folder's result files, to which a receipt commits.

use super::log::LOG_NAME;
use crate::error::{Exit, Failure};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;

/// The receipt's file.
pub const RECEIPT: &str = "receipt.json";

/// The result files of a folder and their hashes; the log, which still grows, and the receipt are not among them.
///
/// # Errors
/// Exit 1: a file cannot be read.
pub fn hashes(folder: &Path) -> Result<Vec<(String, [u8; 32])>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Internal, 477, format!("the results cannot be read: {error}")).at(folder.display().to_string())
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_file() && name != RECEIPT && name != LOG_NAME {
            let (mut hash, mut file) = (Sha256::new(), std::fs::File::open(&path).map_err(failed)?);
            std::io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(failed)?;
            found.push((name, hash.finalize().into()));
        }
    }
    Ok(found)
}

/// What is written is hashed.
struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
