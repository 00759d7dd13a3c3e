//! The published vectors of RFC 9380 and the binding to the session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_testkit::{hex, vectors};

#[test]
fn expansion_meets_rfc_9380() {
    let file = vectors("rfc9380/v1/expand_message_xmd_sha512.json");
    let hash = GroupHash::new(file["tag"].as_str().unwrap().as_bytes());
    let cases = file["vectors"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let message = case["message"].as_str().unwrap().as_bytes();
        let uniform = match case["length"].as_u64().unwrap() {
            0x20 => hash.expand::<0x20>(message).to_vec(),
            0x80 => hash.expand::<0x80>(message).to_vec(),
            other => panic!("no case has {other} bytes"),
        };
        assert_eq!(uniform, hex(&case["uniform_bytes"]));
    }
}

#[test]
fn the_one_way_map_meets_rfc_9496() {
    let file = vectors("rfc9496/v1/ristretto255.json");
    let cases = file["one_way_map"].as_array().unwrap();
    assert_eq!(cases.len(), 11);
    for case in cases {
        let point = RistrettoPoint::from_uniform_bytes(&hex(&case["input"]).try_into().unwrap());
        assert_eq!(point.compress().to_bytes().to_vec(), hex(&case["output"]));
    }
}

#[test]
fn sessions_hash_the_same_id_to_unlike_points() {
    let (one, two) = (GroupHash::of_session(&[1; 32]), GroupHash::of_session(&[2; 32]));
    assert_eq!(one.point(b"id"), GroupHash::of_session(&[1; 32]).point(b"id"));
    assert_ne!(one.point(b"id"), two.point(b"id"));
    assert_ne!(one.point(b"id"), one.point(b"ie"));
    // The whole tag fits RFC 9380's 255 bytes: nothing of it was dropped.
    let (length, tag) = one.tag.split_last().unwrap();
    assert!(tag.ends_with(b"-with-ristretto255_XMD:SHA-512_R255MAP_RO_") && usize::from(*length) == tag.len());
}
