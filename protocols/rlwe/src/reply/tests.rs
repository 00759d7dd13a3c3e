//! Replies against the ideal double: exact integer arithmetic on the clear values.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::{Ciphertext, CommonRandomness, PlainPoly, SlotEncoder, decrypt_exact, encrypt, receive_ciphertext};
use colift_primitives::rng::Seed;

struct World {
    secret: SecretKey,
    public: PublicKey,
    ours: CommonRandomness,
    theirs: CommonRandomness,
    prg: Prg,
}

fn world(seed: u8) -> World {
    let mut prg = Prg::from_seed(&Seed::from_bytes([seed; 16]));
    let secret = SecretKey::generate(&mut prg);
    let stream = || CommonRandomness::new(Seed::from_bytes([seed ^ 0x55; 16]));
    let (mut ours, mut theirs) = (stream(), stream());
    let public = PublicKey::generate(&secret, &mut ours, &mut prg);
    let public = PublicKey::from_bytes(&public.to_bytes(), &mut theirs).unwrap();
    World { secret, public, ours, theirs, prg }
}

/// Negacyclic product of signed plaintext and messages modulo t, coefficient `at`.
fn coefficient(plain: &[i64], messages: &[u64], at: usize, t: u64) -> u64 {
    let mut sum = 0i128;
    for (i, p) in plain.iter().enumerate().filter(|(_, p)| **p != 0) {
        let (m, sign) = if at >= i { (messages[at - i], 1) } else { (messages[N + at - i], -1) };
        sum += i128::from(*p) * i128::from(m) * sign;
    }
    sum.rem_euclid(i128::from(t)) as u64
}

#[test]
fn fresh_ciphertexts_decrypt_exactly() {
    for plaintext in [Plaintext::PowerOfTwo(50), SlotEncoder::for_fraction_bits(10).plaintext()] {
        let mut w = world(3);
        let level = Level::FULL;
        let messages: Vec<u64> = (0..N).map(|_| w.prg.next_u64() % plaintext.modulus()).collect();
        let upload = encrypt(&w.secret, &messages, plaintext, level, &mut w.ours.next_stream(), &mut w.prg);
        assert_eq!(upload.len(), Ciphertext::upload_bytes(level));
        let read = receive_ciphertext(&upload, level, &mut w.theirs.next_stream()).unwrap();
        assert_eq!(decrypt_exact(&w.secret, &read, plaintext), messages);
    }
}

#[test]
fn masked_shares_add_up_to_the_product_within_one_unit() {
    let mut w = world(5);
    let plaintext = Plaintext::PowerOfTwo(50);
    let budget = NoiseBudget { operation: "test", plaintext, mass: 2.0 * N as f64 * 14f64.exp2(), flooding: None };
    let level = budget.level(Level::REPLY).unwrap();
    let (mut c0, mut c1) = (Accumulator::new(level), Accumulator::new(level));
    let mut expected = [0u64; 3];
    let positions = [0, 17, N - 1];
    for _ in 0..2 {
        let messages: Vec<u64> = (0..N).map(|_| w.prg.next_u64() & ((1 << 50) - 1)).collect();
        let plain: Vec<i64> = (0..N).map(|_| (w.prg.next_u64() % (1 << 15)) as i64 - (1 << 14)).collect();
        let upload = encrypt(&w.secret, &messages, plaintext, level, &mut w.ours.next_stream(), &mut w.prg);
        let read = receive_ciphertext(&upload, level, &mut w.theirs.next_stream()).unwrap();
        let p = PlainPoly::wide(&plain, level);
        c0.add_products(&[(p.poly(), &read.c0)]);
        c1.add_products(&[(p.poly(), &read.c1)]);
        for (sum, at) in expected.iter_mut().zip(positions) {
            *sum = (*sum + coefficient(&plain, &messages, at, 1 << 50)) % (1 << 50);
        }
    }
    let (message, ours) = masked(c0, c1, &w.public, plaintext, &positions, &mut w.prg);
    assert_eq!(message.len(), masked_bytes(positions.len()));
    let theirs = open_masked(&w.secret, &message, plaintext, &positions).unwrap();
    for i in 0..positions.len() {
        let off = (ours[i] + theirs[i]).wrapping_sub(expected[i]).wrapping_add(1) & ((1 << 50) - 1);
        assert!(off <= 2, "position {i}: off by {}", off as i64 - 1);
    }
    assert_eq!(open_masked(&w.secret, &message[1..], plaintext, &positions), Err(RlweError::MalformedPolynomial));
}

#[test]
fn flooded_slots_are_exact_at_the_worst_case() {
    for bits in [10, 13] {
        let encoder = SlotEncoder::for_fraction_bits(bits);
        let t = i64::from(encoder.prime());
        let mut w = world(bits as u8);
        let budget = NoiseBudget {
            operation: "test",
            plaintext: encoder.plaintext(),
            mass: 24.0 * N as f64 * f64::from(2 * bits + 2).exp2(),
            flooding: Some(54),
        };
        let level = budget.level(Level::SLOT_REPLY).unwrap();
        let (mut c0, mut c1) = (Accumulator::new(level), Accumulator::new(level));
        let mut expected = vec![0i64; N];
        for _ in 0..24 {
            let mut draw = || (0..N).map(|_| (w.prg.next_u64() % (2 << bits)) as i32 - (1 << bits)).collect::<Vec<i32>>();
            let (a, b) = (draw(), draw());
            let messages: Vec<u64> = encoder.to_coefficients(&a).into_iter().map(u64::from).collect();
            let upload = encrypt(&w.secret, &messages, encoder.plaintext(), level, &mut w.ours.next_stream(), &mut w.prg);
            let read = receive_ciphertext(&upload, level, &mut w.theirs.next_stream()).unwrap();
            let p = PlainPoly::new(&encoder.to_centred(&b), level);
            c0.add_products(&[(p.poly(), &read.c0)]);
            c1.add_products(&[(p.poly(), &read.c1)]);
            for ((sum, x), y) in expected.iter_mut().zip(&a).zip(&b) {
                *sum = (*sum + i64::from(x * y)).rem_euclid(t);
            }
        }
        let mask: Vec<u64> = (0..N).map(|_| w.prg.next_u64() % t as u64).collect();
        let message = flooded(c0, c1, &w.public, &budget, level, &mask, &mut w.prg);
        assert_eq!(message.len(), flooded_bytes());
        let opened = encoder.to_slots(&open_flooded(&w.secret, &message, encoder.plaintext()).unwrap());
        let mask = encoder.to_slots(&mask);
        for i in 0..N {
            assert_eq!((i64::from(opened[i]) - i64::from(mask[i])).rem_euclid(t), expected[i]);
        }
    }
}
