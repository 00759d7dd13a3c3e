//! Large sets bucket by bucket: names go by a keyed hash into a private file, and each bucket is matched alone.
//!
//! Above [`Limits::at_once`] claimed ids of the larger side, both sides split their names by the leading bits of their keys, which are a
//! hash of the id under the session. Each bucket is filled with random names up to a *public* capacity that follows from
//! the claimed sizes, so nothing about the true sizes shows. A bucket overflows with probability ≤ 2^-40 in all (Chernoff's
//! bound, half for each side); the run ends then. A random name meets another one as rarely as two different ids do.
//!
//! The file has no name: it is unlinked when it is made, in the system's folder for temporary files (`TMPDIR`), mode 0600, so it is
//! gone however the process ends. What is in it is encrypted under keys that stay in memory.

use super::names;
use crate::PsiError;
use colift_primitives::buffer::Buffer;
use colift_primitives::hash::PartHash;
use colift_primitives::okvs::bin_capacity;
use colift_primitives::rng::{Prg, Seed};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of a name and its row.
const RECORD: usize = 32 + 4;
/// Records of a bucket that are kept until they are written together.
const PENDING: usize = 1 << 10;
/// Names made at a time.
const BATCH: usize = 1 << 16;
/// log2 of the probability that a bucket of one side overflows.
const OVERFLOW: f64 = 41.0;

/// From which sizes on there are buckets, and how large they are meant to be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most ids of the larger side that are matched at once.
    pub at_once: usize,
    /// Ids of the larger side in a bucket, on average.
    pub bucket: usize,
}

impl Limits {
    /// Those of the protocol.
    pub const STANDARD: Self = Self { at_once: 1 << 22, bucket: 1 << 20 };
}

/// The public sizes of all buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many there are.
    pub buckets: usize,
    /// Names of each on this side, random ones included.
    pub own: usize,
    /// Names of each at the peer.
    pub peer: usize,
}

impl Plan {
    /// For these sizes; None where all is matched at once.
    #[must_use]
    pub fn new(own: usize, peer: usize, limits: Limits) -> Option<Self> {
        let largest = own.max(peer);
        let buckets = largest.div_ceil(limits.bucket.max(1));
        (largest > limits.at_once && buckets > 1).then(|| {
            let capacity = |items: usize| if items == 0 { 0 } else { bin_capacity(items, buckets, OVERFLOW) };
            Self { buckets, own: capacity(own), peer: capacity(peer) }
        })
    }

    /// The bucket of a key.
    fn bucket(&self, key: u128) -> usize {
        ((key >> 96) as u64 as usize * self.buckets) >> 32
    }
}

/// The session of one bucket.
#[must_use]
pub fn session(session: &[u8; 32], bucket: usize) -> [u8; 32] {
    PartHash::new("colift matching bucket v1").part(session).number(bucket as u64).finish()
}

/// The names of one bucket with their rows; random names have none.
pub struct Bucket {
    /// As many as the plan says.
    pub names: Buffer<[u128; 2]>,
    /// The row of each of the first names.
    pub rows: Vec<u32>,
}

/// All names of this side, by bucket, in a file without a name.
pub struct Spill {
    plan: Plan,
    file: File,
    parts: Vec<Part>,
    fresh: Prg,
}

/// What is known of one bucket in the file.
struct Part {
    key: Seed,
    stream: Prg,
    pending: Vec<u8>,
    written: usize,
    count: usize,
}

impl Spill {
    /// Hashes all ids into their buckets.
    ///
    /// # Errors
    /// Config class: the file cannot be written; no randomness. Abort class: a bucket overflows.
    pub fn fill<I: AsRef<[u8]> + Sync>(plan: Plan, of: &[u8; 32], ids: &[I]) -> Result<Self, PsiError> {
        let part = |_| {
            let (key, copy) = {
                let key = Seed::from_os()?;
                let copy = Seed::from_bytes(*key.as_bytes());
                (key, copy)
            };
            Ok(Part { key, stream: Prg::from_seed(&copy), pending: Vec::with_capacity(PENDING * RECORD), written: 0, count: 0 })
        };
        let parts = (0..plan.buckets).map(part).collect::<Result<Vec<_>, PsiError>>()?;
        let mut spill = Self { plan, file: tempfile::tempfile().map_err(failed)?, parts, fresh: Prg::from_os()? };
        let mut row = 0u32;
        for batch in ids.chunks(BATCH) {
            for name in names::of_ids(of, batch).iter() {
                spill.add(*name, row)?;
                row = row.saturating_add(1);
            }
        }
        for bucket in 0..plan.buckets {
            spill.flush(bucket)?;
        }
        Ok(spill)
    }

    fn add(&mut self, name: [u128; 2], row: u32) -> Result<(), PsiError> {
        let bucket = self.plan.bucket(name[0]);
        let most = self.plan.own;
        let Some(part) = self.parts.get_mut(bucket).filter(|part| part.count < most) else { return Err(PsiError::BucketOverflow) };
        part.pending.extend_from_slice(&name[0].to_le_bytes());
        part.pending.extend_from_slice(&name[1].to_le_bytes());
        part.pending.extend_from_slice(&row.to_le_bytes());
        part.count += 1;
        if part.pending.len() >= PENDING * RECORD { self.flush(bucket) } else { Ok(()) }
    }

    /// Where a bucket begins in the file.
    fn start(&self, bucket: usize) -> u64 {
        (bucket * self.plan.own * RECORD) as u64
    }

    fn flush(&mut self, bucket: usize) -> Result<(), PsiError> {
        let start = self.start(bucket);
        let Some(part) = self.parts.get_mut(bucket) else { return Ok(()) };
        encrypt(&mut part.stream, &mut part.pending);
        self.file.write_all_at(&part.pending, start + part.written as u64).map_err(failed)?;
        part.written += part.pending.len();
        part.pending.clear();
        Ok(())
    }

    /// A bucket's names and rows, random names behind them.
    ///
    /// # Errors
    /// Config class: the file cannot be read.
    pub fn take(&mut self, bucket: usize) -> Result<Bucket, PsiError> {
        let start = self.start(bucket);
        let mut names = Buffer::<[u128; 2]>::scratch(self.plan.own);
        let mut rows = Vec::new();
        let mut slots = names.iter_mut();
        if let Some(part) = self.parts.get_mut(bucket) {
            rows.reserve_exact(part.count);
            let mut stream = Prg::from_seed(&part.key);
            let mut bytes = vec![0u8; PENDING * RECORD];
            let mut read = 0;
            while read < part.written {
                let piece = bytes.get_mut(..(part.written - read).min(PENDING * RECORD)).unwrap_or_default();
                self.file.read_exact_at(piece, start + read as u64).map_err(failed)?;
                read += piece.len();
                encrypt(&mut stream, piece);
                for record in piece.as_chunks::<RECORD>().0 {
                    let number = |at: usize| record.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u128::from_le_bytes(*bytes));
                    if let (Some(slot), Some(row)) = (slots.next(), record.last_chunk::<4>()) {
                        *slot = [number(0), number(16)];
                        rows.push(u32::from_le_bytes(*row));
                    }
                }
            }
        }
        slots.for_each(|slot| *slot = [self.fresh.next_u128(), self.fresh.next_u128()]);
        Ok(Bucket { names, rows })
    }
}

/// Adds the stream; twice is nothing.
fn encrypt(stream: &mut Prg, bytes: &mut [u8]) {
    let mut pad = [0u8; 1 << 10];
    for piece in bytes.chunks_mut(pad.len()) {
        let pad = pad.get_mut(..piece.len()).unwrap_or_default();
        stream.fill(pad);
        piece.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= *pad);
    }
}

fn failed(error: io::Error) -> PsiError {
    PsiError::Spill { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn capacities_are_public_and_close_to_the_mean() {
        assert_eq!(Plan::new(1 << 22, 7, Limits::STANDARD), None);
        let plan = Plan::new(10_000_000, 100_000, Limits::STANDARD).unwrap();
        assert_eq!(plan.buckets, 10);
        assert!((1_000_000..1_010_000).contains(&plan.own) && (10_000..11_000).contains(&plan.peer), "{plan:?}");
        assert_eq!(Plan::new(100_000, 10_000_000, Limits::STANDARD).unwrap(), Plan { own: plan.peer, peer: plan.own, ..plan });
        assert_eq!(Plan::new(0, 10_000_000, Limits::STANDARD).unwrap().own, 0);
        // 39 is where a bucket of a few would have to hold them all.
        assert!(Plan::new(5, 10_000_000, Limits::STANDARD).unwrap().own <= 5);
    }

    #[test]
    fn names_come_back_with_their_rows_and_the_rest_is_random() {
        let ids: Vec<String> = (0..5000).map(|i| format!("id-{i}")).collect();
        let plan = Plan::new(ids.len(), 10, Limits { at_once: 100, bucket: 700 }).unwrap();
        let mut spill = Spill::fill(plan, &[3; 32], &ids).unwrap();
        let expected = names::of_ids(&[3; 32], &ids);
        let mut seen = vec![false; ids.len()];
        for bucket in 0..plan.buckets {
            let Bucket { names, rows } = spill.take(bucket).unwrap();
            assert!(names.len() == plan.own && rows.len() < plan.own);
            for (name, row) in names.iter().zip(&rows) {
                assert_eq!((*name, plan.bucket(name[0])), (expected[*row as usize], bucket));
                assert!(!std::mem::replace(&mut seen[*row as usize], true));
            }
            assert!(names[rows.len()..].iter().all(|name| !expected.contains(name)));
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn an_overfull_bucket_ends_the_run_and_the_file_holds_no_name() {
        let ids: Vec<String> = (0..500).map(|i| format!("id-{i}")).collect();
        let narrow = Plan { buckets: 4, own: 124, peer: 1 };
        assert_eq!(Spill::fill(narrow, &[3; 32], &ids).err(), Some(PsiError::BucketOverflow));
        let plan = Plan { own: 400, ..narrow };
        let spill = Spill::fill(plan, &[3; 32], &ids).unwrap();
        let mut content = vec![0u8; spill.file.metadata().unwrap().len() as usize];
        spill.file.read_exact_at(&mut content, 0).unwrap();
        let name = names::of_ids(&[3; 32], &ids)[7][1].to_le_bytes();
        assert!(content.len() > 10_000 && !content.windows(16).any(|window| window == name));
    }
}
