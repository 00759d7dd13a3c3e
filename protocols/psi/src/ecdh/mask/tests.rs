//! The published vectors of RFC 9496 and RFC 9497, through the halved scalar and the batched compression.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_testkit::{Json, hex, vectors};

fn encodings(list: &[Json]) -> Vec<Encoding> {
    list.iter().map(|value| hex(value).try_into().unwrap()).collect()
}

#[test]
fn multiples_of_the_generator_meet_rfc_9496() {
    let file = vectors("rfc9496/v1/ristretto255.json");
    let multiples = encodings(file["generator_multiples"].as_array().unwrap());
    assert_eq!(multiples.len(), 16);
    for (k, expected) in multiples.iter().enumerate() {
        assert_eq!(Mask::of(Scalar::from(k as u64)).points(&multiples[1..2]).unwrap(), [*expected]);
        // Every multiple but the identity decodes, and comes back under the exponent 1.
        let round = Mask::of(Scalar::ONE).points(&[*expected]);
        assert_eq!(round, if k == 0 { Err(PsiError::InvalidPoint) } else { Ok(vec![*expected]) });
    }
}

#[test]
fn every_invalid_encoding_of_rfc_9496_is_refused_wherever_it_stands() {
    let file = vectors("rfc9496/v1/ristretto255.json");
    let good = encodings(file["generator_multiples"].as_array().unwrap())[1];
    let mask = Mask::random().unwrap();
    let mut refused = 0;
    for reason in ["noncanonical", "negative", "nonsquare", "negative_xy", "zero_y"] {
        for bad in encodings(file["invalid_encodings"][reason].as_array().unwrap()) {
            let mut batch = vec![good; 2 * BATCH];
            batch[BATCH + 5] = bad;
            assert_eq!(mask.points(&batch).err(), Some(PsiError::InvalidPoint), "{reason}");
            refused += 1;
        }
    }
    assert_eq!(refused, 29);
}

#[test]
fn masked_ids_meet_rfc_9497() {
    let file = vectors("rfc9497/v1/hash_to_ristretto255.json");
    let hash = GroupHash::new(&hex(&file["tag"]));
    for case in file["vectors"].as_array().unwrap() {
        let blind = Scalar::from_canonical_bytes(hex(&case["blind"]).try_into().unwrap()).unwrap();
        let masked = Mask::of(blind).ids(&hash, &[hex(&case["input"])], &[0]);
        assert_eq!(masked, encodings(&[case["blinded_element"].clone()]));
    }
}

#[test]
fn masks_commute_over_many_batches() {
    let hash = GroupHash::new(b"any tag");
    let ids: Vec<String> = (0..3 * BATCH + 1).map(|i| format!("id {i}")).collect();
    let rows: Vec<u32> = (0..ids.len() as u32).rev().collect();
    let (a, b) = (Mask::random().unwrap(), Mask::random().unwrap());
    let one = b.points(&a.ids(&hash, &ids, &rows)).unwrap();
    let two = a.points(&b.ids(&hash, &ids, &rows)).unwrap();
    assert_eq!(one, two);
    assert_eq!(a.ids(&hash, &ids, &rows)[0], a.ids(&hash, &ids[3 * BATCH..], &[0])[0]);
}
