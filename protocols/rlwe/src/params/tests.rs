//! The check of parameters against hand-made sets and an independent recomputation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_primitives::rng::Prg;
use colift_testkit::cases;

fn gate(harmonics: f64, bits: u32) -> NoiseBudget {
    NoiseBudget {
        operation: "gate",
        plaintext: Plaintext::Prime(if bits == 10 { crate::slots::PRIME_10_BITS } else { crate::slots::PRIME_13_BITS }),
        mass: 2.0 * harmonics * N as f64 * f64::from(2 * bits + 2).exp2(),
        flooding: Some(54),
    }
}

fn product(bits: u32, mass_bits: f64) -> NoiseBudget {
    NoiseBudget { operation: "product", plaintext: Plaintext::PowerOfTwo(bits), mass: mass_bits.exp2(), flooding: None }
}

/// Primes = 1 mod 16384 of this many bits, from the largest down.
fn primes(bits: u32) -> impl Iterator<Item = u32> {
    let step = 2 * N as u32;
    let top = ((1u32 << bits) - 2) / step * step + 1;
    (0..).map(move |k| top - k * step).take_while(move |q| *q > 1 << (bits - 1)).filter(|q| carries_transform(*q))
}

#[test]
fn the_programs_own_chain_is_good() {
    assert_eq!(Chain::shared().unwrap(), &Chain::new(&PRIMES).unwrap());
    assert!(Level::FULL.bits() <= SECURITY_LIMIT);
}

#[test]
fn budgets_of_the_design_fit_their_chains() {
    let forward = product(50, (50.0 * N as f64 * 32_768.0).log2());
    assert_eq!(forward.level(Level::REPLY).unwrap().primes(), 4);
    assert_eq!(product(32, 27.0).level(Level::REPLY).unwrap(), Level::REPLY);
    assert_eq!(gate(12.0, 10).level(Level::SLOT_REPLY).unwrap().primes(), 5);
    assert!(matches!(product(50, 110.0).level(Level::REPLY), Err(RlweError::NoiseTooLarge { .. })));
}

#[test]
fn chains_beyond_the_limit_or_without_the_transform_are_refused() {
    let refused = |chain: &[u32]| matches!(Chain::new(chain), Err(RlweError::BadParameters(_)));
    // The program's chain and one prime more: 156 + 22 bits; six primes of 30 bits: 180.
    let more: Vec<u32> = PRIMES.into_iter().chain(primes(22).filter(|q| !PRIMES.contains(q)).take(1)).collect();
    let thirty: Vec<u32> = primes(30).take(6).collect();
    assert!(refused(&more) && refused(&thirty) && !refused(&thirty[..5]));
    // Either side of log2 q = 165: four primes of 30 bits, one of 22 and one of 22, 23, 24, 25 bits.
    let two: Vec<u32> = primes(22).take(1).collect();
    for (bits, refusal) in [(22, false), (23, false), (24, true), (25, true)] {
        let chain: Vec<u32> = thirty[..4].iter().chain(&two).copied().chain(primes(bits).nth(1)).collect();
        let total = chain.iter().map(|q| f64::from(*q)).product::<f64>();
        assert_eq!(refused(&chain), refusal, "{chain:?}");
        assert_eq!(total > 2f64.powi(165), refusal, "{chain:?}");
    }
    let mut wrong = PRIMES;
    for (index, bad) in
        [(0, PRIMES[1]), (1, PRIMES[1] + 2), (2, PRIMES[2] + 16_384), (3, 16_385), (4, 3), (5, 0), (5, 1), (5, 2_147_352_577)]
    {
        wrong[index] = bad;
        assert!(refused(&wrong), "{wrong:?}");
        wrong = PRIMES;
    }
    assert!(refused(&[]) && !refused(&wrong));
}

#[test]
fn hand_made_sets_are_refused() {
    let chain = Chain::shared().unwrap();
    let (good, masked) = (gate(12.0, 10), product(50, 38.0));
    let class = |primes, reply, budget| match Parameters::new(chain, primes, reply, budget) {
        Ok(_) => "good",
        Err(RlweError::NoiseTooLarge { .. }) => "decryption can fail",
        Err(RlweError::BadParameters(_)) => "malformed",
        Err(_) => "other",
    };
    assert_eq!((class(5, 2, good), class(4, 3, masked)), ("good", "good"));
    // Too short a chain, too much noise, too much flooding for it, a plaintext too large for the reply.
    assert_eq!(class(4, 2, good), "decryption can fail");
    assert_eq!(class(3, 3, masked), "decryption can fail");
    assert_eq!(class(5, 2, gate(12.0, 13)), "decryption can fail");
    assert_eq!(class(5, 2, NoiseBudget { flooding: Some(71), ..good }), "decryption can fail");
    assert_eq!(class(4, 3, NoiseBudget { mass: 70f64.exp2(), ..masked }), "decryption can fail");
    assert_eq!(class(4, 2, masked), "decryption can fail");
    assert_eq!(class(5, 1, good), "decryption can fail");
    // Malformed.
    for (primes, reply, budget) in [
        (7, 2, good),
        (5, 0, good),
        (2, 3, good),
        (2, 2, good),
        (5, 2, NoiseBudget { flooding: Some(39), ..good }),
        (5, 2, NoiseBudget { flooding: Some(0), ..good }),
        (6, 2, NoiseBudget { flooding: Some(200), ..good }),
        (5, 2, NoiseBudget { flooding: None, ..good }),
        (5, 2, NoiseBudget { plaintext: Plaintext::Prime(8_273_920), ..good }),
        (5, 2, NoiseBudget { plaintext: Plaintext::Prime(97), ..good }),
        (5, 2, NoiseBudget { plaintext: Plaintext::Prime(PRIMES[0]), ..good }),
        (4, 3, NoiseBudget { plaintext: Plaintext::PowerOfTwo(0), ..masked }),
        (4, 3, NoiseBudget { plaintext: Plaintext::PowerOfTwo(51), ..masked }),
        (4, 3, NoiseBudget { mass: f64::NAN, ..masked }),
        (4, 3, NoiseBudget { mass: f64::INFINITY, ..masked }),
        (4, 3, NoiseBudget { mass: -1.0, ..masked }),
    ] {
        assert_eq!(class(primes, reply, budget), "malformed", "{primes} {reply} {budget:?}");
    }
}

/// Whether a decryption could fail, from the numbers themselves: no logarithms, no code of the check.
fn can_fail(chain: &[u32], primes: usize, reply: usize, budget: &NoiseBudget) -> Option<bool> {
    let modulus = |count: usize| chain[..count].iter().map(|q| f64::from(*q)).product::<f64>();
    let n = 8192.0;
    // Every unit of the plaintexts spreads a fresh error of 21 and an encoding error of 1/2; the encryption of zero adds u·e and
    // e'·s, 21·N each, and 21.
    let mut noise = budget.mass * 21.5 + 2.0 * n * 21.0 + 21.0;
    if let Some(over) = budget.flooding {
        let mut bound = 1.0;
        while bound < noise {
            bound *= 2.0;
        }
        noise += bound * (0..over).fold(1.0, |bound, _| bound * 2.0);
    }
    let t = budget.plaintext.modulus() as f64;
    let left = noise * modulus(reply) / modulus(primes) + if primes > reply { n + 1.0 } else { 0.0 };
    let ratios = [2.0 * t * noise / modulus(primes), 2.0 * t * left / modulus(reply)];
    // Closer than rounding errors tell: no verdict.
    (!ratios.iter().any(|ratio| (ratio - 1.0).abs() < 1e-9)).then(|| ratios.iter().any(|ratio| *ratio >= 1.0))
}

#[test]
fn generated_sets_are_judged_as_an_independent_recomputation_does() {
    let (mut good, mut bad) = (0, 0);
    let pools: Vec<Vec<u32>> = [20, 22, 25, 30].map(|bits| primes(bits).collect()).to_vec();
    let counts = std::cell::RefCell::new((&mut good, &mut bad));
    cases("parameter sets", 200, |prg: &mut Prg| {
        let mut chain: Vec<u32> = Vec::new();
        for _ in 0..2 + prg.below(5) {
            let pool = &pools[prg.below(4) as usize];
            let q = pool[prg.below(pool.len() as u64) as usize];
            if !chain.contains(&q) {
                chain.push(q);
            }
        }
        let total: f64 = chain.iter().map(|q| f64::from(*q)).product();
        let Ok(checked) = Chain::new(&chain) else {
            assert!(total > 2f64.powi(165), "{chain:?}");
            return;
        };
        assert!(total <= 2f64.powi(165), "{chain:?}");
        let primes = 1 + prg.below(chain.len() as u64) as usize;
        let slots = prg.below(2) == 0;
        let reply = 1 + prg.below(primes as u64) as usize;
        let budget = if slots {
            let t = if prg.below(2) == 0 { crate::slots::PRIME_10_BITS } else { crate::slots::PRIME_13_BITS };
            let mass = (20.0 + prg.below(400) as f64 / 10.0).exp2();
            NoiseBudget { operation: "generated", plaintext: Plaintext::Prime(t), mass, flooding: Some(40 + prg.below(20) as u32) }
        } else {
            product(1 + prg.below(50) as u32, prg.below(900) as f64 / 10.0)
        };
        if budget.flooding.is_some() && reply == primes {
            assert!(Parameters::new(&checked, primes, reply, budget).is_err());
            return;
        }
        let Some(fails) = can_fail(&chain, primes, reply, &budget) else { return };
        match Parameters::new(&checked, primes, reply, budget) {
            Ok(parameters) => assert!(!fails && parameters.primes() == primes, "{chain:?} {primes} {reply} {budget:?}"),
            Err(RlweError::NoiseTooLarge { .. }) => assert!(fails, "{chain:?} {primes} {reply} {budget:?}"),
            // More flooding than the sampler makes.
            Err(error) => assert!(budget.clean_bits() + f64::from(budget.flooding.unwrap_or(0)) > 125.0, "{error}"),
        }
        let mut counts = counts.borrow_mut();
        *(if fails { &mut *counts.1 } else { &mut *counts.0 }) += 1;
    });
    assert!(good >= 10 && bad >= 10 || std::env::var_os(colift_testkit::SEED_VARIABLE).is_some(), "{good} good and {bad} bad sets");
}
