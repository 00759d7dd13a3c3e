//! Kernels of the ring: transforms, multiply-accumulate, encryption, replies. `COLIFT_PORTABLE=1` measures the portable versions.
#![allow(missing_docs, clippy::expect_used)]

use colift_primitives::rng::{Prg, Seed};
use colift_rlwe::{
    Accumulator, Ciphertext, CommonRandomness, Level, N, NoiseBudget, PlainPoly, Plaintext, Poly, PublicKey, SecretKey, SlotEncoder,
    encrypt, receive_ciphertext, reply,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

/// The level of a forward product.
fn forward_level() -> Level {
    let budget = NoiseBudget { operation: "bench", plaintext: Plaintext::PowerOfTwo(50), mass: 50.0 * N as f64 * 32_768.0, flooding: None };
    budget.level(Level::REPLY).expect("a level")
}

fn kernels(c: &mut Criterion) {
    let mut prg = Prg::from_seed(&Seed::from_bytes([7; 16]));
    let level = forward_level();
    let small: Vec<i32> = (0..N).map(|_| prg.below(1 << 15) as i32 - (1 << 14)).collect();
    let mut one = Poly::from_small(&small, 1);
    c.bench_function("forward transform, one prime", |b| b.iter(|| black_box(&mut one).transform()));
    c.bench_function("inverse transform, one prime", |b| b.iter(|| black_box(&mut one).untransform()));
    let mut factor = PlainPoly::zero(level);
    c.bench_function("factor of a product: residues and transform, four primes", |b| b.iter(|| factor.set(black_box(&small))));

    let secret = SecretKey::generate(&mut prg);
    let mut common = CommonRandomness::new(Seed::from_bytes([9; 16]));
    let public = PublicKey::generate(&secret, &mut common, &mut prg);
    let messages: Vec<u64> = (0..N).map(|_| prg.next_u64() & ((1 << 50) - 1)).collect();
    let mut stream = || common.next_stream();
    let plaintext = Plaintext::PowerOfTwo(50);
    c.bench_function("encryption, four primes", |b| {
        b.iter(|| encrypt(&secret, black_box(&messages), plaintext, level, &mut stream(), &mut prg));
    });
    let upload = encrypt(&secret, &messages, plaintext, level, &mut stream(), &mut prg);
    c.bench_function("reading an upload, four primes", |b| b.iter(|| receive_ciphertext(black_box(&upload), level, &mut stream())));
    let read: Ciphertext = receive_ciphertext(&upload, level, &mut stream()).expect("an upload");
    let factors: Vec<PlainPoly> = (0..4).map(|_| PlainPoly::new(&small, level)).collect();
    let pairs: Vec<(&Poly, &Poly)> = factors.iter().map(|factor| (factor.poly(), &read.c0)).collect();
    c.bench_function("multiply-accumulate, four products of four primes", |b| {
        b.iter_batched_ref(|| Accumulator::new(level), |sum| sum.add_products(black_box(&pairs)), BatchSize::LargeInput);
    });
    // 6,000 such factors are more than any cache holds: what a store of transformed columns would read.
    let many: Vec<PlainPoly> = (0..1_500).map(|_| PlainPoly::new(&small, level)).collect();
    let mut next = 0;
    c.bench_function("multiply-accumulate, four kept products from memory", |b| {
        b.iter_batched_ref(
            || {
                next = (next + 4) % many.len();
                (Accumulator::new(level), next)
            },
            |(sum, at)| sum.add_products(&many[*at..*at + 4].iter().map(|factor| (factor.poly(), &read.c0)).collect::<Vec<_>>()),
            BatchSize::LargeInput,
        );
    });
    let positions: Vec<usize> = (0..N).collect();
    c.bench_function("masked reply, all coefficients", |b| {
        let empty = || (Accumulator::new(level), Accumulator::new(level));
        b.iter_batched(empty, |(c0, c1)| reply::masked(c0, c1, &public, plaintext, &positions, &mut prg), BatchSize::LargeInput);
    });
    let encoder = SlotEncoder::for_fraction_bits(10);
    c.bench_function("slots to coefficients", |b| b.iter(|| encoder.to_centred(black_box(&small))));
}

criterion_group!(benches, kernels);
criterion_main!(benches);
