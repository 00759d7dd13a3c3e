//! One block of the gate and one product of 8,192 rows, both parties together over a memory pair.
#![allow(missing_docs, clippy::expect_used)]

use colift_algebra::gate::{Function, GatePlan, RESULT_BITS, Series, evaluate};
use colift_algebra::product::{Entries, Plan, Shape, Tile, multiply, receive_product, receive_upload, upload};
use colift_algebra::{Engine, ring50};
use colift_channel::memory::{MemoryChannel, pair};
use colift_correlation::Role;
use criterion::{Criterion, criterion_group, criterion_main};

const ROWS: usize = 8_192;
const COLUMNS: usize = 50;

/// Runs both parties' parts at once.
fn both(parties: &mut [(Engine, MemoryChannel); 2], part: impl Fn(&mut Engine, &mut MemoryChannel) + Sync) {
    std::thread::scope(|scope| {
        for (engine, channel) in parties {
            let part = &part;
            scope.spawn(move || part(engine, channel));
        }
    });
}

fn kernels(c: &mut Criterion) {
    let (mut a, mut b) = pair();
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| Engine::setup(&mut a, Role::First).expect("a setup"));
        let second = Engine::setup(&mut b, Role::Second).expect("a setup");
        (first.join().expect("a setup"), second)
    });
    let mut parties = [(first, a), (second, b)];
    let z: Vec<u64> = (0..ROWS as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) & ring50::MASK).collect();
    let series = Series { constant: 0.3, harmonics: vec![(0.1, -0.05); 12] };
    for (name, owner_uploads) in [("gate block, K = 12, uploaded by the partner", 0), ("gate block, K = 12, uploaded by the owner", 1)] {
        let plan = GatePlan {
            rows: ROWS,
            first_bits: RESULT_BITS,
            second_rows: 0,
            second_bits: 12,
            last_bits: None,
            harmonics: 12,
            half: false,
            bits: 10,
            frequency: 155_344,
            owner_uploads,
        };
        c.bench_function(name, |b| {
            b.iter(|| {
                both(&mut parties, |engine, channel| {
                    let functions = [Function { series: &series, factor: None }];
                    let functions = if engine.role() == Role::First { &functions[..] } else { &[] };
                    evaluate(engine, channel, &plan, &z, functions).expect("a gate");
                });
            });
        });
    }
    let write = |tile: &Tile, out: &mut [i32]| {
        for (r, i) in tile.rows.clone().enumerate() {
            tile.inner.clone().enumerate().for_each(|(c, j)| out[r * tile.stride + tile.last - c] = (i * 31 + j * 7) as i32 % 4096 - 2048);
        }
    };
    for (name, shape) in [
        ("product, 8,192 rows x 50 columns by a vector (logits)", Shape::new(ROWS, COLUMNS, 1, 23)),
        ("product, 50 columns x 8,192 rows by a vector (gradient)", Shape::new(COLUMNS, ROWS, 1, 14)),
    ] {
        let plan = Plan::new(shape, false).expect("a plan");
        c.bench_function(name, |b| {
            b.iter(|| {
                both(&mut parties, |engine, channel| {
                    if engine.role() == Role::First {
                        let uploaded = receive_upload(engine, channel, &plan).expect("uploads");
                        multiply(engine, channel, &plan, &uploaded, Entries::Small(&write)).expect("a product");
                    } else {
                        upload(engine, channel, &plan, &|j, _| z[j % ROWS]).expect("uploads");
                        receive_product(engine, channel, &plan).expect("a product");
                    }
                });
            });
        });
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
