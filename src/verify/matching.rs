//! Vectors of the matching: the group, names, the key-value store, coded tags; and whole matchings on random sets.

use super::{Tally, bytes, hex, number};
use colift_channel::memory::pair;
use colift_correlation::vole::VoleMode;
use colift_correlation::{Role, Security};
use colift_primitives::hash::PartHash;
use colift_primitives::okvs::{OkvsParams, Rows};
use colift_primitives::rng::{Prg, Seed};
use colift_primitives::vectors::sha256;
use colift_psi::{MatchParams, Protocol, VoleForm, match_ids, vectors};
use serde_json::Value;

/// RFC 9380.
pub fn expand(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["vectors"], |case| {
        let length = usize::try_from(case["length"].as_u64()?).ok()?;
        let message = case["message"].as_str()?.as_bytes();
        Some(vectors::expand(file["tag"].as_str()?.as_bytes(), message, length)? == hex(&case["uniform_bytes"])?)
    });
}

/// RFC 9496: multiples of the generator, encodings to refuse, the one-way map.
pub fn ristretto(file: &Value, _: &str, tally: &mut Tally) {
    let mut factor = 0u64;
    tally.each(&file["generator_multiples"], |case| {
        let expected: [u8; 32] = bytes(case)?;
        let held =
            vectors::multiple(None, factor) == Some(expected) && vectors::multiple(Some(&expected), 1) == (factor > 0).then_some(expected);
        factor += 1;
        Some(held)
    });
    for reason in ["noncanonical", "negative", "nonsquare", "negative_xy", "zero_y"] {
        tally.each(&file["invalid_encodings"][reason], |case| Some(vectors::multiple(Some(&bytes(case)?), 1).is_none()));
    }
    tally.each(&file["one_way_map"], |case| Some(vectors::map(&bytes(&case["input"])?) == bytes(&case["output"])?));
}

/// RFC 9497: hashed and masked.
pub fn masking(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["vectors"], |case| {
        let masked = vectors::masked(&hex(&file["tag"])?, &hex(&case["input"])?, &bytes(&case["blind"])?);
        Some(masked? == bytes(&case["blinded_element"])?)
    });
}

/// Names of ids under a session.
pub fn names(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["names"], |case| {
        let name = vectors::name(&bytes(&file["session"])?, case["id"].as_str()?.as_bytes());
        Some(name == [number(&case["key"])?, number(&case["element"])?])
    });
}

/// Sizes of stores and what keys decode to in one whose entries are given by their number.
pub fn store(file: &Value, _: &str, tally: &mut Tally) {
    let entry = |index: usize| sha256(format!("entry {index}").as_bytes()).first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes));
    tally.each(&file["stores"], |case| {
        let size = |key: &str| usize::try_from(case[key].as_u64()?).ok();
        let params = OkvsParams::for_items(size("items")?).ok()?;
        if (params.sparse, params.dense, params.bins) != (size("sparse")?, size("dense")?, 1) {
            return Some(false);
        }
        let seed = Seed::from_bytes(bytes(&case["seed"])?);
        let content: Vec<u128> = (0..params.len()).map(entry).collect();
        let decoded = case["decoded"].as_array().filter(|decoded| !decoded.is_empty())?;
        let each =
            |case: &Value| Some(*Rows::place(&params, &seed, &[[number(&case["key"])?, 0]]).decode(&content) == [number(&case["value"])?]);
        decoded.iter().map(each).try_fold(true, |all, held| Some(all && held?))
    });
}

/// Lists of tags on the wire.
pub fn tags(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["lists"], |case| {
        let tags = case["tags"].as_array()?.iter().map(number).collect::<Option<Vec<u128>>>()?;
        let bits = u32::try_from(case["bits"].as_u64()?).ok().filter(|bits| (32..=128).contains(bits))?;
        Some(vectors::code_tags(bits, &tags)? == hex(&case["code"])?)
    });
}

/// Sizes of both sets and of their intersection.
const SIZES: [(usize, usize, usize); 4] = [(0, 5, 0), (1, 1, 1), (300, 200, 120), (500, 500, 500)];

/// Every protocol on sets of several sizes.
pub fn round_trips(tally: &mut Tally) {
    let form = |security, mode| Protocol::Vole(VoleForm { security, mode });
    let protocols = [
        Protocol::Ecdh,
        form(Security::Malicious, VoleMode::Silent),
        form(Security::SemiHonest, VoleMode::Silent),
        form(Security::Malicious, VoleMode::Conservative),
    ];
    for protocol in protocols {
        for sizes in SIZES {
            tally.case(round_trip(protocol, sizes));
        }
    }
}

fn round_trip(protocol: Protocol, (n, m, common): (usize, usize, usize)) -> Option<bool> {
    let mut prg = Prg::from_os().ok()?;
    let mut fresh = |count: usize| (0..count).map(|_| prg.next_u128().to_le_bytes()).collect::<Vec<[u8; 16]>>();
    let (shared, mut x, mut y) = (fresh(common), fresh(n - common), fresh(m - common));
    x.extend(&shared);
    y.extend(&shared);
    prg.shuffle(&mut x);
    prg.shuffle(&mut y);
    let session = PartHash::new("colift verify").number(prg.next_u64()).finish();
    let params = MatchParams { session, own_max: 1000, peer_max: 1000, min_overlap: 0 };
    let (mut a, mut b) = pair();
    let (first, second) = std::thread::scope(|scope| {
        let peer = scope.spawn(|| match_ids(&mut b, Role::Second, &y, protocol, params, &|_, _| ()));
        let own = match_ids(&mut a, Role::First, &x, protocol, params, &|_, _| ());
        (own.ok(), peer.join().ok().and_then(Result::ok))
    });
    let rows = |ids: &[[u8; 16]], rows: Vec<u32>| rows.into_iter().map(|row| ids.get(row as usize).copied()).collect::<Option<Vec<_>>>();
    let (mut ours, theirs, mut expected) = (rows(&x, first?.own_rows)?, rows(&y, second?.own_rows)?, shared);
    let alike = ours == theirs;
    ours.sort_unstable();
    expected.sort_unstable();
    Some(alike && ours == expected)
}
