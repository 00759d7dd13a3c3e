//! Vectors of the primitives: AES, hashes, the field.

use super::{Tally, bytes, hex, number};
use colift_primitives::hash::{derive, hmac as mac};
use colift_primitives::{gf128, vectors};
use serde_json::Value;

/// AES-128, FIPS 197.
pub fn aes(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["vectors"], |case| Some(vectors::aes128(&bytes(&case["key"])?, &bytes(&case["plain"])?) == bytes(&case["cipher"])?));
}

/// SHA-256 and SHA-512.
pub fn sha2(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["vectors"], |case| {
        let message = hex(&case["message"])?;
        let digest = match case["hash"].as_str()? {
            "sha256" => vectors::sha256(&message),
            "sha512" => vectors::sha512(&message),
            _ => return None,
        };
        Some(digest == hex(&case["digest"])?)
    });
}

/// HMAC-SHA-256, RFC 4231.
pub fn hmac(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["vectors"], |case| Some(mac(&hex(&case["key"])?, &hex(&case["data"])?) == bytes(&case["tag"])?));
}

/// HKDF-SHA-256, RFC 5869.
pub fn hkdf(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["vectors"], |case| {
        let expected = hex(&case["key"])?;
        let mut key = vec![0; expected.len()];
        derive(&hex(&case["salt"])?, &hex(&case["secret"])?, &hex(&case["info"])?, &mut key);
        Some(key == expected)
    });
}

/// Products of GCM, whose blocks have their bits reversed.
pub fn gcm(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["vectors"], |case| {
        let [h, x, product] = ["h", "x", "product"].map(|key| number(&case[key]).map(u128::reverse_bits));
        Some(gf128::multiply(h?, x?) == product?)
    });
}

/// Products, and inverses through them.
pub fn field(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["products"], |case| {
        let [a, b, product] = ["a", "b", "product"].map(|key| number(&case[key]));
        let (a, b, product) = (a?, b?, product?);
        Some(gf128::multiply(a, b) == product && (b == 0 || gf128::multiply(product, gf128::invert(b)) == a))
    });
}

/// Both fixed-key hashes.
pub fn hashes(file: &Value, _: &str, tally: &mut Tally) {
    tally.each(&file["keyed"], |case| Some(vectors::keyed_hash(number(&case["key"])?, number(&case["x"])?) == number(&case["hash"])?));
    tally.each(&file["tweakable"], |case| {
        Some(vectors::tweakable_hash(number(&case["x"])?, number(&case["tweak"])?) == number(&case["hash"])?)
    });
}
