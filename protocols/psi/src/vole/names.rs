//! Ids to names: a key and a field element of 128 bits each, bound to the session.

use crate::PsiError;
use crate::vole::sort::repeats;
use colift_primitives::buffer::Buffer;
use colift_primitives::hash::PartHash;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Ids hashed by one task at least.
const IDS_A_TASK: usize = 1024;
/// Names made at a time where they are not kept.
const BATCH: usize = 1 << 16;

/// Of each id \[key, element\]: the two halves of SHA-256 over a 64-byte block of the session and the id.
#[must_use]
pub fn of_ids<I: AsRef<[u8]> + Sync>(session: &[u8; 32], ids: &[I]) -> Buffer<[u128; 2]> {
    let mut block = [0u8; 64];
    block[..32].copy_from_slice(&PartHash::new("colift matching names v1").part(session).finish());
    let prefix = Sha256::new_with_prefix(block);
    let mut names = Buffer::<[u128; 2]>::scratch(ids.len());
    names.par_iter_mut().zip(ids).with_min_len(IDS_A_TASK).for_each(|(name, id)| {
        *name = halves(&prefix.clone().chain_update(id.as_ref()).finalize().into());
    });
    names
}

/// A digest as two numbers.
#[must_use]
pub fn halves(digest: &[u8; 32]) -> [u128; 2] {
    match digest.as_chunks::<16>().0 {
        [low, high] => [u128::from_le_bytes(*low), u128::from_le_bytes(*high)],
        _ => [0, 0],
    }
}

/// Refuses repeated ids.
///
/// # Errors
/// Config class: how many entries repeat another one.
pub fn check_distinct(names: &[[u128; 2]]) -> Result<(), PsiError> {
    match repeats(names.iter().map(|[key, _]| *key)) {
        0 => Ok(()),
        count => Err(PsiError::OwnDuplicates { count }),
    }
}

/// As [`check_distinct`], of ids whose names are not kept: 8 bytes an id.
///
/// # Errors
/// As [`check_distinct`].
pub fn check_distinct_ids<I: AsRef<[u8]> + Sync>(session: &[u8; 32], ids: &[I]) -> Result<(), PsiError> {
    let mut short = Buffer::<u64>::scratch(ids.len());
    for (short, ids) in short.chunks_mut(BATCH).zip(ids.chunks(BATCH)) {
        short.iter_mut().zip(of_ids(session, ids).iter()).for_each(|(short, [key, _])| *short = (key >> 64) as u64);
    }
    short.par_sort_unstable();
    if short.windows(2).all(|pair| pair[0] != pair[1]) {
        return Ok(());
    }
    // Repeated, or two of so many that agree by chance: whole names tell.
    check_distinct(&of_ids(session, ids))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_depend_on_session_and_id() {
        let ids: Vec<String> = (0..5000).map(|i| format!("id-{i}")).collect();
        let (one, two) = (of_ids(&[1; 32], &ids), of_ids(&[2; 32], &ids));
        assert!(one.iter().zip(two.iter()).all(|(a, b)| a[0] != b[0] && a[1] != b[1] && a[0] != a[1]));
        assert_eq!(of_ids(&[1; 32], &ids[77..78])[0], one[77]);
        assert_eq!(check_distinct(&one), Ok(()));
        assert_eq!(check_distinct(&[]), Ok(()));
    }

    #[test]
    fn repeats_are_counted() {
        let mut ids: Vec<String> = (0..3000).map(|i| format!("id-{i}")).collect();
        ids[2000] = "id-5".into();
        ids[1000] = "id-5".into();
        ids[2500] = "id-6".into();
        assert_eq!(check_distinct(&of_ids(&[1; 32], &ids)), Err(PsiError::OwnDuplicates { count: 3 }));
        assert_eq!(check_distinct_ids(&[1; 32], &ids), Err(PsiError::OwnDuplicates { count: 3 }));
        assert_eq!(check_distinct_ids(&[1; 32], &ids[..1000]), Ok(()));
    }
}
