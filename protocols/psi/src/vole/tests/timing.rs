//! Whether secrets show in times: Welch's t of two classes of inputs in random order, after "Dude, is my code constant time?"
//! (ePrint 2016/1123). Times above a quantile are cut off, at several quantiles; |t| ≥ 4.5 at any of them is a finding.

use crate::vole::oprf::OutputHash;
use colift_correlation::Security;
use colift_primitives::okvs::{OkvsParams, Rows};
use colift_primitives::rng::{Prg, Seed};
use std::hint::black_box;
use std::time::Instant;
use subtle::ConstantTimeEq;

/// Quantiles of all times above which times are cut off.
const QUANTILES: [f64; 6] = [1.0, 0.99, 0.95, 0.9, 0.75, 0.5];
/// From here on a difference is a finding.
const FINDING: f64 = 4.5;

/// Welch's t of two samples.
fn welch(samples: [&[f64]; 2]) -> f64 {
    let moments = samples.map(|sample| {
        let n = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / n;
        (mean, sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n)
    });
    (moments[0].0 - moments[1].0) / (moments[0].1 + moments[1].1).sqrt().max(f64::MIN_POSITIVE)
}

/// The largest |t| over all quantiles of `count` times; `run` prepares an input of a class and gives the seconds of the rest.
fn largest_t(name: &str, count: usize, mut run: impl FnMut(usize, &mut Prg) -> f64) -> f64 {
    let mut prg = Prg::from_os().unwrap();
    let mut times: Vec<(usize, f64)> = Vec::with_capacity(count);
    for _ in 0..count + count / 10 {
        let class = prg.below(2) as usize;
        times.push((class, run(class, &mut prg)));
    }
    // The first ones warm caches and predictors.
    times.drain(..count / 10);
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let all = QUANTILES.map(|quantile| {
        let most = sorted[((count - 1) as f64 * quantile) as usize];
        let class =
            |wanted| times.iter().filter(|(class, time)| *class == wanted && *time <= most).map(|(_, time)| *time).collect::<Vec<_>>();
        welch([&class(0), &class(1)])
    });
    println!("{name}: {count} times, median {:.0} ns, t {:.2?} at {QUANTILES:?}", sorted[count / 2] * 1e9, all);
    all.iter().fold(0.0, |most, t| t.abs().max(most))
}

fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64()
}

#[test]
#[ignore = "a measurement of minutes on a quiet machine"]
fn times_tell_nothing_about_secrets() {
    let mut found = Vec::new();
    // The comparison of a proof: right, or wrong in its first byte.
    let right = [7u8; 32];
    let t = largest_t("proof comparison, 64 each", 200_000, |class, _| {
        let mut claim = black_box(right);
        claim[0] ^= class as u8;
        timed(|| (0..64).filter(|_| bool::from(black_box(&right).ct_eq(black_box(&claim)))).count())
    });
    found.push(("comparison", t));
    // One output, before the sort by tag: value, key and element fixed or random, and Δ too.
    for security in [Security::Malicious, Security::SemiHonest] {
        let hash = OutputHash::new(security, &[5; 32], [1 << 20, 1 << 20]);
        let t = largest_t(&format!("one output, {security:?}"), 200_000, |class, prg| {
            // Drawn in both classes: what comes before the clock must be alike too.
            let mut number = || prg.next_u128() & (class as u128).wrapping_neg();
            let (name, value, delta) = ([number(), number()], number(), number());
            let mut values = [value];
            timed(|| hash.hash(&[name], black_box(&mut values), 3, Some(delta)))
        });
        found.push(("output", t));
    }
    // Decoding of 1,024 keys: the store all zeros or random; then the keys always the same or new ones.
    let store = OkvsParams::for_items(1024).unwrap();
    let keys = |prg: &mut Prg| (0..1024).map(|_| [prg.next_u128(), 0]).collect::<Vec<_>>();
    let place = |keys: &[[u128; 2]]| Rows::place(&store, &Seed::from_bytes([1; 16]), keys);
    let fixed = keys(&mut Prg::from_seed(&Seed::from_bytes([2; 16])));
    let mut vector = vec![0u128; store.len()];
    let t = largest_t("decoding, the store's content", 20_000, |class, prg| {
        vector.iter_mut().for_each(|entry| *entry = prg.next_u128() & (class as u128).wrapping_neg());
        let rows = place(&fixed);
        timed(|| rows.decode(&vector))
    });
    found.push(("decoding, store", t));
    // Only shown: which entries are fetched depends on the keys, so caches may tell them to who shares this machine.
    largest_t("decoding, the keys (not judged)", 20_000, |class, prg| {
        let new = keys(prg);
        let rows = place(if class == 0 { &fixed } else { &new });
        timed(|| rows.decode(&vector))
    });
    let findings: Vec<_> = found.iter().filter(|(_, t)| *t >= FINDING).collect();
    assert!(findings.is_empty(), "{findings:?}");
}

/// The statistic sees a difference of one part in a hundred where there is one, and none where there is none.
#[test]
fn the_statistic_tells_classes_apart() {
    let mut prg = Prg::from_seed(&Seed::from_bytes([8; 16]));
    let mut sample = |shift: f64| (0..20_000).map(|_| shift + prg.below(1000) as f64 / 1000.0).collect::<Vec<_>>();
    let (one, same, other) = (sample(1.0), sample(1.0), sample(1.02));
    assert!(welch([&one, &same]).abs() < 4.5 && welch([&one, &other]) < -4.5);
}
