//! Stores of every size give back what was put in; unlucky rows are solved or refused, never wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::rng::{Prg, Seed};

fn prg(byte: u8) -> Prg {
    Prg::from_seed(&Seed::from_bytes([byte; 16]))
}

/// Places keys with values, or with zeros.
fn place(params: &OkvsParams, seed: &Seed, keys: &[u128], values: &[u128]) -> Rows {
    let values = values.iter().copied().chain(std::iter::repeat(0));
    Rows::place(params, seed, &keys.iter().zip(values).map(|(key, value)| [*key, value]).collect::<Vec<_>>())
}

fn numbers(prg: &mut Prg, count: usize) -> Vec<u128> {
    (0..count).map(|_| prg.next_u128()).collect()
}

/// The values in the order of the keys.
fn decoded(rows: &Rows, store: &[u128]) -> Vec<u128> {
    let mut values = vec![0; rows.order().len()];
    rows.order().iter().zip(rows.decode(store).iter()).for_each(|(index, value)| values[*index as usize] = *value);
    values
}

#[test]
fn what_goes_in_comes_out() {
    let mut prg = prg(1);
    for items in [0, 1, 2, 3, 5, 127, 128, 129, 1000, 1 << 14, (1 << 15) + 1, 100_000] {
        let params = OkvsParams::for_items(items).unwrap();
        let (keys, values, seed) = (numbers(&mut prg, items), numbers(&mut prg, items), prg.next_seed());
        let rows = place(&params, &seed, &keys, &values);
        let store = rows.encode().unwrap();
        assert_eq!(store.len(), params.len());
        assert_eq!(decoded(&rows, &store), values);
        // Other keys, placed alone, are decoded alike.
        let some: Vec<u128> = keys.iter().step_by(7).copied().collect();
        let expected: Vec<u128> = values.iter().step_by(7).copied().collect();
        assert_eq!(decoded(&place(&params, &seed, &some, &[]), &store), expected);
    }
}

#[test]
fn decoding_is_linear() {
    let mut prg = prg(2);
    let params = OkvsParams::for_items(500).unwrap();
    let (keys, a, b) = (numbers(&mut prg, 3000), numbers(&mut prg, params.len()), numbers(&mut prg, params.len()));
    let rows = place(&params, &Seed::from_bytes([9; 16]), &keys, &[]);
    let sum: Vec<u128> = a.iter().zip(&b).map(|(a, b)| a ^ b).collect();
    let expected: Vec<u128> = rows.decode(&a).iter().zip(rows.decode(&b).iter()).map(|(a, b)| a ^ b).collect();
    assert_eq!(*rows.decode(&sum), expected);
    assert!(rows.decode(&sum[1..]).iter().all(|value| *value == 0));
}

/// With fewer columns than the formula asks for, cores appear: each store is right or refused, and the dense part is used.
#[test]
fn cores_are_solved_or_refused() {
    let mut prg = prg(3);
    let (mut solved, mut dense, mut refused) = (0, 0, 0);
    for (sparse, items) in [(40, 20), (60, 40), (90, 70), (110, 90)] {
        for _ in 0..200 {
            let params = OkvsParams { items, bins: 1, capacity: items, sparse, dense: 2 };
            let (keys, values, seed) = (numbers(&mut prg, items), numbers(&mut prg, items), prg.next_seed());
            let rows = place(&params, &seed, &keys, &values);
            match rows.encode() {
                Some(store) => {
                    assert_eq!(decoded(&rows, &store), values);
                    solved += 1;
                    dense += usize::from(store[sparse..].iter().any(|entry| *entry != 0));
                }
                None => refused += 1,
            }
        }
    }
    assert!(solved > 300 && dense > 20 && refused > 0, "{solved} {dense} {refused}");
}

#[test]
fn equal_keys_and_too_many_are_refused() {
    let mut prg = prg(4);
    let params = OkvsParams::for_items(200).unwrap();
    let (mut keys, seed) = (numbers(&mut prg, 200), Seed::from_bytes([1; 16]));
    let values = numbers(&mut prg, 201);
    assert!(place(&params, &seed, &keys, &values).encode().is_some());
    keys[7] = keys[100];
    assert!(place(&params, &seed, &keys, &values).encode().is_none());
    let many = numbers(&mut prg, 201);
    assert!(place(&params, &seed, &many, &values).encode().is_none());
}

/// The formula's margin at small size: far fewer than one in a thousand stores may fail where 2^-40 is claimed.
#[test]
fn no_store_of_the_declared_size_fails() {
    let mut prg = prg(5);
    for items in [2, 3, 10, 128, 300, 1200] {
        let params = OkvsParams::for_items(items).unwrap();
        for _ in 0..300 {
            let (keys, values, seed) = (numbers(&mut prg, items), numbers(&mut prg, items), prg.next_seed());
            assert!(place(&params, &seed, &keys, &values).encode().is_some(), "{params:?}");
        }
    }
}

#[test]
fn rows_have_three_distinct_slots_and_depend_on_the_seed() {
    let mut prg = prg(6);
    let params = OkvsParams { items: 1000, bins: 1, capacity: 1000, sparse: 4, dense: 1 };
    let keys = numbers(&mut prg, 1000);
    let store: Vec<u128> = vec![1, 2, 4, 8, 0];
    let one = place(&params, &Seed::from_bytes([1; 16]), &keys, &[]).decode(&store);
    assert!(one.iter().all(|sum| sum.count_ones() == 3));
    for wanted in [7, 11, 13, 14] {
        assert!(one.iter().filter(|sum| **sum == wanted).count() > 180);
    }
    assert_ne!(*one, *place(&params, &Seed::from_bytes([2; 16]), &keys, &[]).decode(&store));
}
