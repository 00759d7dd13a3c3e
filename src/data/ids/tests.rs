//! The published vectors, and properties every canonical form keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const VECTORS: [&str; 5] = [
    include_str!("../../../tests/vectors/ids/v1/opaque.json"),
    include_str!("../../../tests/vectors/ids/v1/email.json"),
    include_str!("../../../tests/vectors/ids/v1/phone.json"),
    include_str!("../../../tests/vectors/ids/v1/hash.json"),
    include_str!("../../../tests/vectors/ids/v1/device.json"),
];

#[test]
fn published_vectors_hold() {
    let mut kinds = Vec::new();
    for text in VECTORS {
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let kind = IdKind::from_name(vectors["kind"].as_str().unwrap()).unwrap();
        assert_eq!(vectors["schema"], "colift.ids/1");
        let (accepted, refused) = (vectors["accepted"].as_array().unwrap(), vectors["refused"].as_array().unwrap());
        assert!(accepted.len() >= 5 && refused.len() >= 5, "{kind}");
        for case in accepted {
            let (input, want) = (case["input"].as_str().unwrap(), case["canonical"].as_str().unwrap());
            let got = canonical_id(kind, input).unwrap_or_else(|p| panic!("{kind} {input:?}: {p:?}"));
            assert_eq!(got.text, want, "{kind} {input:?}");
            assert_eq!(got.trimmed || got.rewritten, input != want, "{kind} {input:?}");
            assert_eq!(got.unassigned_country, case["unassigned_country"] == true, "{kind} {input:?}");
        }
        for case in refused {
            let input = case["input"].as_str().unwrap();
            let want = if case["reason"] == "empty" { IdProblem::Empty } else { IdProblem::NotOfKind };
            assert_eq!(canonical_id(kind, input).err(), Some(want), "{kind} {input:?}");
        }
        kinds.push(kind);
    }
    assert_eq!(kinds, IdKind::ALL);
}

#[test]
fn canonical_forms_are_fixed_points() {
    // Every character of Unicode at three places of an e-mail address: where a form exists, it is its own form.
    let mut forms = 0;
    for c in (0..=0x10_ffff).filter_map(char::from_u32) {
        for input in [format!("{c}a@b.example"), format!("a{c}@b.example"), format!("a@b.exampl{c}")] {
            if let Ok(once) = canonical_id(IdKind::Email, &input) {
                let twice = canonical_id(IdKind::Email, &once.text).ok().unwrap();
                assert!(once.text == twice.text && !twice.trimmed && !twice.rewritten, "U+{:04X}", c as u32);
                forms += 1;
            }
        }
    }
    assert!(forms > 1_000_000);
    for c in (0..=0x10_ffff).filter_map(char::from_u32) {
        if let Ok(once) = canonical_id(IdKind::Phone, &format!("+4420{c}7946000")) {
            assert!(once.text.strip_prefix('+').unwrap().bytes().all(|b| b.is_ascii_digit()), "U+{:04X}", c as u32);
        }
    }
}

#[test]
fn blanks_at_the_ends_never_matter() {
    for blank in [" ", "\t", "\r\n", "\u{a0}", "\u{3000}", "\u{feff}", "\u{200b}", "\u{2060}"] {
        for (kind, id) in [
            (IdKind::Opaque, "user 1"),
            (IdKind::Email, "a@b.example"),
            (IdKind::Phone, "+99900002092397"),
            (IdKind::Hash, "0123456789abcdef0123456789abcdef"),
            (IdKind::Device, "38400000-8cf0-11bd-b23e-10b96e40000d"),
        ] {
            let got = canonical_id(kind, &format!("{blank}{id}{blank}{blank}")).ok().unwrap();
            assert_eq!((got.text.as_str(), got.trimmed, got.rewritten), (id, true, false), "{kind}");
            assert_eq!(canonical_id(kind, blank).err(), Some(IdProblem::Empty));
        }
    }
}

#[test]
fn length_is_capped() {
    assert!(canonical_id(IdKind::Opaque, &"x".repeat(MAX_ID_BYTES)).is_ok());
    assert_eq!(canonical_id(IdKind::Opaque, &"x".repeat(MAX_ID_BYTES + 1)).err(), Some(IdProblem::NotOfKind));
}

#[test]
fn names_round_trip() {
    for kind in IdKind::ALL {
        assert_eq!(IdKind::from_name(&kind.to_string()), Some(kind));
    }
    assert_eq!(IdKind::from_name("Email"), None);
}
