//! The kept phases on disk. A file that cannot be read whole counts as none: the phase is repeated.
//!
//! `matching.bin`: "colift matching 1\n", rows (8 bytes), peer's rows (8), 1 where there is a split (1), each row (8), the split's bits, all
//! little-endian, then the SHA-256 of everything before. `training.json`: [`KeptTraining`].

use super::Unfinished;
use crate::data::Split;
use crate::error::{Exit, Failure};
use crate::results::write_private;
use crate::run::{Keep, KeptMatching, KeptTraining};
use colift_primitives::bits::Bits;
use sha2::{Digest, Sha256};

const MATCHING: &str = "matching.bin";
const TRAINING: &str = "training.json";
const MAGIC: &[u8] = b"colift matching 1\n";

impl Unfinished {
    /// Reads what is kept, as far as the state says that anything is.
    pub(super) fn load_kept(&mut self) {
        let Some(agreed) = &mut self.state.agreed else { return };
        if agreed.matching > 0 {
            self.matching = std::fs::read(self.folder.join(MATCHING)).ok().and_then(|bytes| decode(&bytes));
        }
        if self.matching.is_none() {
            (agreed.matching, agreed.training) = (0, 0);
        }
        if agreed.training > 0 {
            self.training = std::fs::read(self.folder.join(TRAINING)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if self.training.is_none() {
                agreed.training = 0;
            }
        }
    }

    /// Removes what the next attempt does not use.
    pub(super) fn drop_kept(&mut self, matching: bool, training: bool) {
        if !matching {
            self.matching = None;
            let _ = std::fs::remove_file(self.folder.join(MATCHING));
        }
        if !training {
            self.training = None;
            let _ = std::fs::remove_file(self.folder.join(TRAINING));
        }
    }

    /// Whether the kept matching can be one of a table with so many rows.
    #[must_use]
    pub fn fits(&self, rows: usize) -> bool {
        self.matching.as_ref().is_none_or(|matching| matching.fits(rows))
    }

    /// Writes a finished phase, then that it is finished.
    fn keep(&mut self, name: &str, bytes: &[u8], training: bool) -> Result<(), Failure> {
        write_private(&self.folder.join(name), bytes)?;
        if let Some(agreed) = &mut self.state.agreed {
            *(if training { &mut agreed.training } else { &mut agreed.matching }) = agreed.attempt;
        }
        self.save()
    }
}

impl Keep for Unfinished {
    fn matching(&mut self) -> Result<Option<KeptMatching>, Failure> {
        Ok(self.matching.take())
    }

    fn training(&mut self) -> Result<Option<KeptTraining>, Failure> {
        Ok(self.training.take())
    }

    fn keep_matching(&mut self, matching: &KeptMatching) -> Result<(), Failure> {
        self.keep(MATCHING, &encode(matching), false)
    }

    fn keep_training(&mut self, training: &KeptTraining) -> Result<(), Failure> {
        let text = serde_json::to_vec(training)
            .map_err(|error| Failure::new(Exit::Internal, 515, format!("the own weights cannot be kept: {error}")))?;
        self.keep(TRAINING, &text, true)
    }
}

pub(super) fn encode(matching: &KeptMatching) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.reserve(matching.rows.len() * 8 + 64);
    bytes.extend_from_slice(&(matching.rows.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&matching.peer_rows.to_le_bytes());
    bytes.push(u8::from(matching.split.is_some()));
    matching.rows.iter().for_each(|row| bytes.extend_from_slice(&(*row as u64).to_le_bytes()));
    if let Some(split) = &matching.split {
        bytes.extend(Bits::from_bools(split.iter().map(|part| *part == Split::Test)).to_bytes());
    }
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<KeptMatching> {
    let (content, hash) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(content).as_slice() != hash {
        return None;
    }
    let (count, rest) = content.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    let (peer_rows, rest) = rest.split_first_chunk::<8>()?;
    let (has_split, rest) = rest.split_first()?;
    let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
    let (rows, split) = rest.split_at_checked(count.checked_mul(8)?)?;
    let rows = rows.as_chunks::<8>().0.iter().map(|row| usize::try_from(u64::from_le_bytes(*row)).ok()).collect::<Option<_>>()?;
    let part = |test| if test { Split::Test } else { Split::Train };
    let split = match has_split {
        0 if split.is_empty() => None,
        1 => Some(Bits::from_bytes(split, count)?.iter().map(part).collect()),
        _ => return None,
    };
    Some(KeptMatching { rows, peer_rows: u64::from_le_bytes(*peer_rows), split })
}
