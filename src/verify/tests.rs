//! Every set holds; every flipped byte of every file is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_primitives::rng::Prg;
use std::fs;

fn write(folder: &Path) {
    for set in &SETS {
        let path = folder.join(set.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, set.embedded).unwrap();
    }
    fs::write(folder.join(MANIFEST), include_str!("../../tests/vectors/MANIFEST")).unwrap();
}

fn failed(results: &[SetResult]) -> Vec<&str> {
    results.iter().filter(|set| set.failed > 0).map(|set| set.set.as_str()).collect()
}

#[test]
fn every_published_vector_holds_from_the_program_and_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    for results in [all(None).unwrap(), all(Some(folder.path())).unwrap()] {
        assert_eq!(failed(&results), [""; 0]);
        assert!(results.iter().all(|set| set.cases > 0) && results.iter().map(|set| set.cases).sum::<u64>() > 300);
    }
    fs::remove_file(folder.path().join(SETS[3].path)).unwrap();
    assert_eq!(all(Some(folder.path())).unwrap_err().exit, Exit::Usage);
}

#[test]
fn a_flipped_byte_is_found_and_mostly_by_the_set_itself() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let mut prg = Prg::from_os().unwrap();
    for path in SETS.iter().map(|set| set.path).chain([MANIFEST]) {
        let path = folder.path().join(path);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = prg.below(bad.len() as u64) as usize;
        bad[at] ^= 1 << prg.below(8);
        fs::write(&path, &bad).unwrap();
        let results = all(Some(folder.path())).unwrap();
        assert!(failed(&results).contains(&MANIFEST), "{path:?} byte {at}");
        fs::write(&path, good).unwrap();
    }
    // A wrong value is found by its own set, not by the digest alone.
    for (path, from, to) in [
        ("fips197/v1/aes128.json", "69c4e0d8", "69c4e0d9"),
        ("rfc9496/v1/ristretto255.json", "e2f2ae0a", "e2f2ae0b"),
        ("ids/v1/email.json", "\"canonical\": \"ana@example.com\"", "\"canonical\": \"ana@example.org\""),
        ("matching/v1/field.json", "\"product\": \"0", "\"product\": \"1"),
    ] {
        let path = folder.path().join(path);
        let good = fs::read_to_string(&path).unwrap();
        assert!(good.contains(from), "{path:?}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let results = all(Some(folder.path())).unwrap();
        assert_eq!(failed(&results).len(), 2, "{path:?}");
        fs::write(&path, good).unwrap();
    }
}
