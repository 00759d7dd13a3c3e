//! Two-party test world: runs both roles over a memory pair, repeats random tests under printed seeds, loads vectors.
//!
//! A dev-dependency only: it panics, as tests do.
//!
//! # Example
//! ```
//! use colift_testkit::{cases, run_pair};
//! use colift_channel::{Channel, Kind};
//! const NUMBER: Kind = Kind { code: 1, name: "number" };
//! cases("a number arrives", 3, |prg| {
//!     let number = prg.next_u64().to_le_bytes();
//!     let ((), got, sent, _) = run_pair(|c| c.send(NUMBER, &number).unwrap(), |c| c.receive(NUMBER, 8).unwrap());
//!     assert_eq!((got.as_slice(), sent.messages_sent), (number.as_slice(), 1));
//! });
//! ```
#![allow(clippy::panic, clippy::expect_used)]

use colift_channel::Counters;
use colift_channel::memory::{MemoryChannel, pair};
use colift_primitives::rng::{Prg, Seed};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

/// The environment variable that replays one case of [`cases`].
pub const SEED_VARIABLE: &str = "COLIFT_TEST_SEED";

/// Runs two roles on threads over a connected pair; returns (first's output, second's output, first's counters, second's counters).
///
/// # Panics
/// When a role panics: this is for tests.
pub fn run_pair<A: Send, B: Send>(
    first: impl FnOnce(&mut MemoryChannel) -> A + Send,
    second: impl FnOnce(&mut MemoryChannel) -> B + Send,
) -> (A, B, Counters, Counters) {
    use colift_channel::Channel;
    let (mut a, mut b) = pair();
    std::thread::scope(|scope| {
        let left = scope.spawn(move || (first(&mut a), a.counters()));
        let right = scope.spawn(move || (second(&mut b), b.counters()));
        let (left, right) = (left.join().expect("first role"), right.join().expect("second role"));
        (left.0, right.0, left.1, right.1)
    })
}

/// Runs a random test `count` times, each from a fresh seed; a failing case prints the seed that replays it alone.
///
/// # Panics
/// When a case does, and when [`SEED_VARIABLE`] is set but is not 32 hex digits.
pub fn cases(name: &str, count: usize, case: impl Fn(&mut Prg)) {
    let replay = std::env::var(SEED_VARIABLE).ok().map(|text| u128::from_str_radix(&text, 16).expect("32 hex digits"));
    let mut seeds = Prg::from_os().expect("the system's generator");
    for index in 0..if replay.is_some() { 1 } else { count } {
        let seed = replay.unwrap_or_else(|| seeds.next_u128());
        let mut prg = Prg::from_seed(&Seed::from_bytes(seed.to_be_bytes()));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| case(&mut prg))) {
            eprintln!("{name}: case {index} failed; replay it alone with {SEED_VARIABLE}={seed:032x}");
            resume_unwind(panic);
        }
    }
}

/// p-value of the two-sample Kolmogorov–Smirnov test, by Kolmogorov's limit law (Smirnov 1948).
#[must_use]
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    a.sort_unstable_by(f64::total_cmp);
    b.sort_unstable_by(f64::total_cmp);
    let (mut i, mut j, mut largest) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        // Equal values step together.
        let least = a[i].min(b[j]);
        while i < a.len() && a[i] <= least {
            i += 1;
        }
        while j < b.len() && b[j] <= least {
            j += 1;
        }
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    let scaled = largest * ((a.len() * b.len()) as f64 / (a.len() + b.len()) as f64).sqrt();
    let terms = (1..=100).map(|k| if k % 2 == 1 { 2.0 } else { -2.0 } * (-2.0 * f64::from(k * k) * scaled * scaled).exp());
    if scaled < 0.2 { 1.0 } else { terms.sum::<f64>().clamp(0.0, 1.0) }
}

/// What [`vectors`] loads, so that a crate's tests need no JSON dependency of their own.
pub type Json = serde_json::Value;

/// A file of `tests/vectors`, such as `rfc9496/v1/ristretto255.json`.
///
/// # Panics
/// When it is missing or not JSON.
#[must_use]
pub fn vectors(path: &str) -> Json {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(path);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The bytes of a hexadecimal JSON string.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn hex(value: &Json) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a string"));
    assert!(text.len().is_multiple_of(2) && text.is_ascii(), "{text} is not hexadecimal");
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_else(|_| panic!("{text} is not hexadecimal"));
    (0..text.len()).step_by(2).map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn every_case_has_its_own_seed_and_failures_come_through() {
        let seen = RefCell::new(Vec::new());
        cases("fresh", 10, |prg| seen.borrow_mut().push(prg.next_u128()));
        let mut seen = seen.into_inner();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10);
        assert!(catch_unwind(|| cases("failing on purpose", 1, |_| panic!("on purpose"))).is_err());
    }

    #[test]
    fn kolmogorov_smirnov_tells_a_shift_and_its_p_is_uniform() {
        let mut prg = Prg::from_os().expect("the system's generator");
        let mut uniform =
            |count: usize, shift: f64| -> Vec<f64> { (0..count).map(|_| prg.next_u64() as f64 / 64f64.exp2() + shift).collect() };
        assert!(kolmogorov_smirnov(&uniform(4_000, 0.0), &uniform(4_000, 0.1)) < 1e-9);
        // Of 200 comparisons of equal laws, p is below 1/2 in about half: outside of 50 to 150 once in 10^12.
        let below = (0..200).filter(|_| kolmogorov_smirnov(&uniform(500, 0.0), &uniform(700, 0.0)) < 0.5).count();
        assert!((50..150).contains(&below), "{below}");
        // Smirnov's table: p(0.828) = 0.5, p(1.358) = 0.05.
        let split = |d: f64| {
            kolmogorov_smirnov(
                &vec![0.0; 20_000],
                &[vec![0.0; (20_000.0 * (1.0 - d)) as usize], vec![1.0; (20_000.0 * d) as usize]].concat(),
            )
        };
        assert!((split(0.00828) - 0.5).abs() < 0.01 && (split(0.01358) - 0.05).abs() < 0.003);
        assert!(kolmogorov_smirnov(&[0.0; 500], &[0.0; 500]) > 0.99);
    }

    #[test]
    fn hex_is_read() {
        assert_eq!(hex(&serde_json::json!("00ff10")), [0, 255, 16]);
        assert!(catch_unwind(|| hex(&serde_json::json!("0g"))).is_err());
    }
}
