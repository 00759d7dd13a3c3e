//! The ids two files have in common and their digest: for `rehearse`, where one person holds both files. Never sent, never logged.

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;

/// What two lists of ids have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intersection {
    /// Number of common ids.
    pub matched: usize,
    /// SHA-256 of the common ids, sorted bytewise, joined by `\n`, in lower-case hex.
    pub sha256: String,
}

/// Finds the common ids of two lists of canonical ids, each without duplicates.
#[must_use]
pub fn intersection(ids_a: &[String], ids_b: &[String]) -> Intersection {
    let sorted = |ids: &[String]| -> Vec<u32> {
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.par_sort_unstable_by(|x, y| ids[*x as usize].as_bytes().cmp(ids[*y as usize].as_bytes()));
        order
    };
    let (order_a, order_b) = (sorted(ids_a), sorted(ids_b));
    let (mut i, mut j, mut matched, mut hash) = (0, 0, 0, Sha256::new());
    while let (Some(a), Some(b)) = (order_a.get(i), order_b.get(j)) {
        let (a, b) = (&ids_a[*a as usize], &ids_b[*b as usize]);
        match a.as_bytes().cmp(b.as_bytes()) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => {
                if matched > 0 {
                    hash.update(b"\n");
                }
                hash.update(a.as_bytes());
                (i, j, matched) = (i + 1, j + 1, matched + 1);
            }
        }
    }
    Intersection { matched, sha256: super::wording::hex(&hash.finalize()) }
}

/// The digest of [`intersection`] alone.
#[must_use]
pub fn intersection_sha256(ids_a: &[String], ids_b: &[String]) -> String {
    intersection(ids_a, ids_b).sha256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_strangers_do_not_matter() {
        let list = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let found = intersection(&list(&["b", "x", "é", "a"]), &list(&["a", "y", "b", "é", "z"]));
        // sha256 of "a\nb\né", computed outside.
        assert_eq!(found.matched, 3);
        assert_eq!(found.sha256, "304e68ef0e0ff11cfc1cfc839baaf0d761d926dc8053b655a54aeb3d5940f463");
        assert_eq!(intersection(&list(&["a"]), &list(&["b"])).matched, 0);
        assert_eq!(intersection_sha256(&[], &[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
