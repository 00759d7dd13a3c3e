//! Matrix products against the ideal double: exact integer arithmetic on the opened factors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::ring50::{MASK, to_signed};
use crate::symmetric::SharedMatrix;
use colift_correlation::Role;
use colift_primitives::rng::Prg;
use colift_testkit::run_pair;

fn random(count: usize, bits: u32) -> Vec<i64> {
    let mut prg = Prg::from_os().unwrap();
    (0..count).map(|_| (prg.next_u64() & ((2 << bits) - 1)) as i64 - (1 << bits)).collect()
}

#[test]
fn shares_add_up_to_the_product_and_bytes_are_as_declared() {
    for (rows, inner, columns, entry_bits, modulus_bits) in [
        (1, 1, 1, 49, 50),
        (300, 7, 1, 15, 50),
        (9, 20_000, 1, 14, 50),
        (6, 500, 5, 14, 50),
        (1, 43, 43, 49, 50),
        (60, 130, 3, 22, 50),
        (200, 20_000, 1, 10, 32),
        (50, 3_000, 50, 6, 30),
    ] {
        let plan = Plan::new(Shape { modulus_bits, ..Shape::new(rows, inner, columns, entry_bits) }, false).unwrap();
        let mask = (1u64 << modulus_bits) - 1;
        let (a, b) = (random(rows * inner, entry_bits), random(inner * columns, 48));
        let entry = |i: usize, j: usize| a[i * inner + j];
        let write = |tile: &Tile, out: &mut [i32]| {
            for (r, i) in tile.rows.clone().enumerate() {
                tile.inner.clone().enumerate().for_each(|(c, j)| out[r * tile.stride + tile.last - c] = entry(i, j) as i32);
            }
        };
        let entries = if entry_bits > 29 { Entries::Wide(&entry) } else { Entries::Small(&write) };
        let (held, asked, holder, encryptor) = run_pair(
            |channel| {
                let mut engine = Engine::setup(channel, Role::First).unwrap();
                let start = channel.counters();
                let uploaded = receive_upload(&mut engine, channel, &plan).unwrap();
                let share = multiply(&mut engine, channel, &plan, &uploaded, entries).unwrap();
                (share, channel.counters().since(start), channel.counters())
            },
            |channel| {
                let mut engine = Engine::setup(channel, Role::Second).unwrap();
                let start = channel.counters();
                upload(&mut engine, channel, &plan, &|j, k| (b[j * columns + k] as u64) & MASK).unwrap();
                let share = receive_product(&engine, channel, &plan).unwrap();
                (share, channel.counters().since(start), channel.counters())
            },
        );
        assert!(holder.bytes_sent > 0 && encryptor.bytes_sent > 0);
        let (mut holds, mut asks) = (Meter::default(), Meter::default());
        Engine::declare_setup(&mut holds, Role::First);
        Engine::declare_setup(&mut asks, Role::Second);
        plan.declare_held(&mut holds);
        plan.declare_asked(&mut asks);
        assert_eq!((held.2, asked.2), (holds.counters(), asks.counters()));
        assert_eq!(Cost { encryptor_bytes: asked.1.bytes_sent, holder_bytes: held.1.bytes_sent }, plan.cost());
        // The holder was already receiving when its reading began: its wait for the uploads continues that round.
        assert_eq!((held.1.rounds, asked.1.rounds), (0, 1));
        for i in 0..rows {
            for k in 0..columns {
                let exact = (0..inner).map(|j| i128::from(a[i * inner + j]) * i128::from(b[j * columns + k])).sum::<i128>();
                let got = held.0[i * columns + k].wrapping_add(asked.0[i * columns + k]);
                let off = got.wrapping_sub(exact as u64).wrapping_add(1) & mask;
                assert!(off <= 2, "entry ({i}, {k}) is off by {off}");
            }
        }
    }
}

#[test]
fn shared_symmetric_matrix_times_shared_vectors() {
    for (d, laid_out, vectors) in [(60, 1, 1), (23, 7, 7), (23, 23, 1), (31, 31, 31)] {
        let (h1, h2, v1, v2) = (random(d * d, 48), random(d * d, 48), random(vectors * d, 48), random(vectors * d, 48));
        let symmetric =
            |h: &[i64]| (0..d * d).map(|x| (h[(x / d).min(x % d) * d + (x / d).max(x % d)] as u64) & MASK).collect::<Vec<u64>>();
        let as_ring = |v: &[i64]| v.iter().map(|x| (*x as u64) & MASK).collect::<Vec<u64>>();
        let role = |role: Role, h: Vec<u64>, v: Vec<u64>| {
            move |channel: &mut colift_channel::memory::MemoryChannel| {
                let mut engine = Engine::setup(channel, role).unwrap();
                let matrix = SharedMatrix::exchange(&mut engine, channel, h, d, laid_out).unwrap();
                let first = matrix.times(&mut engine, channel, &v).unwrap();
                let second = matrix.times(&mut engine, channel, &v).unwrap();
                (first, second, channel.counters())
            }
        };
        let (h1, h2, v1, v2) = (symmetric(&h1), symmetric(&h2), as_ring(&v1), as_ring(&v2));
        let (a, b, ..) = run_pair(role(Role::First, h1.clone(), v1.clone()), role(Role::Second, h2.clone(), v2.clone()));
        for (role, measured) in [(Role::First, a.2), (Role::Second, b.2)] {
            let mut meter = Meter::default();
            Engine::declare_setup(&mut meter, role);
            SharedMatrix::declare_exchange(&mut meter, d, laid_out).unwrap();
            let before = meter.counters().rounds;
            SharedMatrix::declare_times(&mut meter, d, laid_out, vectors).unwrap();
            SharedMatrix::declare_times(&mut meter, d, laid_out, vectors).unwrap();
            assert_eq!(measured, meter.counters(), "{role:?}");
            assert_eq!(measured.rounds - before, 2);
        }
        for (k, i) in (0..vectors).flat_map(|k| (0..d).map(move |i| (k, i))) {
            let entry = |j: usize| h1[i * d + j].wrapping_add(h2[i * d + j]).wrapping_mul(v1[k * d + j].wrapping_add(v2[k * d + j]));
            let exact = (0..d).map(entry).fold(0u64, u64::wrapping_add);
            for (x, y) in [(&a.0, &b.0), (&a.1, &b.1)] {
                let off = to_signed(x[k * d + i].wrapping_add(y[k * d + i]).wrapping_sub(exact) & MASK);
                assert!(off.abs() <= 2, "entry {i} of vector {k} is off by {off}");
            }
        }
    }
}

#[test]
fn a_malformed_upload_is_the_peers_error() {
    let plan = Plan::new(Shape::new(4, 4, 1, 15), false).unwrap();
    let (error, (), ..) = run_pair(
        |channel| {
            let mut engine = Engine::setup(channel, Role::First).unwrap();
            receive_upload(&mut engine, channel, &plan).unwrap_err()
        },
        |channel| {
            Engine::setup(channel, Role::Second).unwrap();
            channel.send(UPLOAD, &vec![0xFF; Ciphertext::upload_bytes(plan.level)]).unwrap();
        },
    );
    assert_eq!(error.class(), colift_channel::Class::Peer);
}
