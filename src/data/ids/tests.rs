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
fn vectors_with_regions_and_parts_hold() {
    let vectors = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let region = |case: &serde_json::Value| case["region"].as_str().map(|code| Region::from_code(code).unwrap());
    let reason = |case: &serde_json::Value| if case["reason"] == "empty" { IdProblem::Empty } else { IdProblem::NotOfKind };
    let cases = |file: &serde_json::Value, key: &str| file[key].as_array().unwrap().clone();

    let phone = vectors(include_str!("../../../tests/vectors/ids/v2/phone.json"));
    for case in cases(&phone, "accepted") {
        let got = canonical_in(IdKind::Phone, region(&case).as_ref(), case["input"].as_str().unwrap());
        let got = got.unwrap_or_else(|problem| panic!("{case}: {problem:?}"));
        assert_eq!(got.text, case["canonical"].as_str().unwrap(), "{case}");
        assert!(got.trimmed || got.rewritten, "{case}");
        // The canonical form is its own form, with the region and without.
        for region in [region(&case), None] {
            assert_eq!(canonical_in(IdKind::Phone, region.as_ref(), &got.text).ok().unwrap().text, got.text, "{case}");
        }
    }
    for case in cases(&phone, "refused") {
        let got = canonical_in(IdKind::Phone, region(&case).as_ref(), case["input"].as_str().unwrap());
        assert_eq!(got.err(), Some(reason(&case)), "{case}");
    }

    let composite = vectors(include_str!("../../../tests/vectors/ids/v2/composite.json"));
    let composed = |case: &serde_json::Value| {
        let kind = IdKind::from_name(case["kind"].as_str().unwrap()).unwrap();
        let parts: Vec<&str> = case["input"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        composite_id(kind, region(case).as_ref(), &parts)
    };
    for case in cases(&composite, "accepted") {
        assert_eq!(composed(&case).as_deref(), Ok(case["canonical"].as_str().unwrap()), "{case}");
    }
    for case in cases(&composite, "refused") {
        assert_eq!(composed(&case), Err((case["part"].as_u64().unwrap() as usize, reason(&case))), "{case}");
    }
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
    let mut names = std::collections::BTreeSet::new();
    for first in IdKind::ALL {
        for second in IdKind::ALL {
            let pair = format!("{first}+{second}");
            let triples = IdKind::ALL.map(|third| format!("{pair}+{third}"));
            for name in std::iter::once(pair).chain(triples) {
                let kind = IdKind::from_name(&name).unwrap();
                assert_eq!((kind.name(), IdKind::from_name(kind.name())), (name.as_str(), Some(kind)));
                let parts: Vec<&str> = kind.parts().into_iter().map(IdKind::name).collect();
                assert_eq!(parts.join("+"), name);
                names.insert(name);
            }
        }
    }
    assert_eq!(names.len(), 150);
    for unknown in ["Email", "email+", "+email", "email+email+email+email", "email + phone", ""] {
        assert_eq!(IdKind::from_name(unknown), None, "{unknown}");
    }
}
