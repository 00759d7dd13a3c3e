//! Both directions at once: products and ANDs against the plain functions, at the declared cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use colift_channel::Class;
use colift_primitives::bits::mask;
use colift_primitives::rng::Prg;
use colift_testkit::{cases, run_pair};

fn bools(prg: &mut Prg, n: usize) -> Vec<bool> {
    (0..n).map(|_| prg.below(2) == 1).collect()
}

#[test]
fn ands_of_shared_bits_are_right_and_cost_what_is_declared() {
    cases("and", 8, |prg| {
        let layers: Vec<[Vec<bool>; 4]> = (0..3)
            .map(|_| {
                let n = prg.below(300) as usize;
                [(); 4].map(|()| bools(prg, n))
            })
            .collect();
        let (first, second, cost_first, cost_second) = run_pair(
            |c| {
                let mut ot = OtPair::setup(c, Role::First).unwrap();
                layers.iter().map(|[x, y, ..]| ot.and(c, x, y).unwrap()).collect::<Vec<_>>()
            },
            |c| {
                let mut ot = OtPair::setup(c, Role::Second).unwrap();
                layers.iter().map(|[_, _, x, y]| ot.and(c, x, y).unwrap()).collect::<Vec<_>>()
            },
        );
        let mut meter = Meter::default();
        declare_setup(&mut meter);
        for ((a, b), [x0, y0, x1, y1]) in first.iter().zip(&second).zip(&layers) {
            for i in 0..x0.len() {
                assert_eq!(a[i] ^ b[i], (x0[i] ^ x1[i]) & (y0[i] ^ y1[i]));
            }
            declare_and(&mut meter, Form::Columns, x0.len());
        }
        assert_eq!((meter.counters(), meter.counters()), (cost_first, cost_second));
    });
}

#[test]
fn products_of_private_bits_are_right_and_cost_what_is_declared() {
    cases("bit products", 8, |prg| {
        let (n, bits, factor) = (prg.below(300) as usize, 1 + prg.below(64) as u32, prg.next_u64());
        let (a, b) = (bools(prg, n), bools(prg, n));
        let (first, second, cost_first, cost_second) = run_pair(
            |c| OtPair::setup(c, Role::First).unwrap().multiply_bits(c, &a, factor, bits).unwrap(),
            |c| OtPair::setup(c, Role::Second).unwrap().multiply_bits(c, &b, factor, bits).unwrap(),
        );
        for i in 0..n {
            let product = if a[i] & b[i] { factor } else { 0 };
            assert_eq!(first[i].wrapping_add(second[i]) & mask(bits), product & mask(bits));
        }
        for (role, measured) in [(Role::First, cost_first), (Role::Second, cost_second)] {
            let mut meter = Meter::default();
            declare_setup(&mut meter);
            declare_multiply_bits(&mut meter, Form::Columns, role, n, bits);
            assert_eq!(meter.counters(), measured);
        }
    });
}

#[test]
fn unlike_counts_in_the_two_directions_work() {
    let ((s0, r0), (s1, r1), ..) = run_pair(
        |c| OtPair::setup(c, Role::First).unwrap().correlate_both(c, &[5, 6, 7], &[true], 16).unwrap(),
        |c| OtPair::setup(c, Role::Second).unwrap().correlate_both(c, &[9], &[true, false, true], 16).unwrap(),
    );
    let sums = |s: &[u64], r: &[u64]| s.iter().zip(r).map(|(s, r)| (s + r) & mask(16)).collect::<Vec<_>>();
    assert_eq!((sums(&s0, &r1), sums(&s1, &r0)), (vec![5, 0, 7], vec![9]));
}

#[test]
fn equal_roles_do_not_give_a_working_pair() {
    let (a, b, ..) = run_pair(
        |c| OtPair::setup(c, Role::First).unwrap().and(c, &[true; 64], &[true; 64]).unwrap(),
        |c| OtPair::setup(c, Role::First).unwrap().and(c, &[false; 64], &[false; 64]).unwrap(),
    );
    assert!(a.iter().zip(&b).any(|(a, b)| !(a ^ b)));
}

#[test]
fn unlike_lengths_are_our_own_fault() {
    let (error, ..) = run_pair(
        |c| OtPair::setup(c, Role::First).unwrap().and(c, &[true], &[]).err().unwrap(),
        |c| OtPair::setup(c, Role::Second).map(|_| ()).unwrap(),
    );
    assert_eq!(error.class(), Class::Config);
}

#[test]
fn vectors_under_one_choice_are_right_and_cost_what_is_declared() {
    /// Width, bits, vectors and choices of either party.
    type Batch = (usize, u32, [Vec<u64>; 2], [Vec<bool>; 2]);
    cases("wide OTs", 12, |prg| {
        let batches: Vec<Batch> = (0..1 + prg.below(3))
            .map(|_| {
                let (width, bits) = (1 + prg.below(40) as usize, 1 + prg.below(64) as u32);
                let counts = [(); 2].map(|()| prg.below(40) as usize);
                let vectors = counts.map(|count| (0..count * width).map(|_| prg.next_u64()).collect());
                (width, bits, vectors, [bools(prg, counts[1]), bools(prg, counts[0])])
            })
            .collect();
        let trees = prg.below(2) == 1;
        let form = if trees { Form::Trees } else { Form::Columns };
        let side = |c: &mut dyn Channel, role, at: usize| {
            let mut ot = if trees { OtPair::setup_trees(c, role) } else { OtPair::setup(c, role) }.unwrap();
            let each = batches.iter();
            let batches = each.map(|(width, bits, c, x)| Wide { correlations: &c[at], choices: &x[at], width: *width, bits: *bits });
            ot.correlate_wide_both(c, &batches.collect::<Vec<_>>()).unwrap()
        };
        let (first, second, cost_first, cost_second) = run_pair(|c| side(c, Role::First, 0), |c| side(c, Role::Second, 1));
        for ((width, bits, vectors, choices), (a, b)) in batches.iter().zip(first.iter().zip(&second)) {
            for (s, r, c, x) in [(&a.0, &b.1, &vectors[0], &choices[1]), (&b.0, &a.1, &vectors[1], &choices[0])] {
                assert_eq!((s.len(), r.len()), (c.len(), c.len()));
                for (i, c) in c.iter().enumerate() {
                    assert_eq!(s[i].wrapping_add(r[i]) & mask(*bits), if x[i / width] { c & mask(*bits) } else { 0 });
                }
            }
        }
        for (at, measured) in [(0, cost_first), (1, cost_second)] {
            let mut meter = Meter::default();
            if trees {
                declare_setup_trees(&mut meter)
            } else {
                declare_setup(&mut meter)
            }
            let sizes = batches.iter().map(|(width, bits, _, x)| (x[1 - at].len(), x[at].len(), *width, *bits));
            declare_wide_both(&mut meter, form, &sizes.collect::<Vec<_>>());
            assert_eq!(meter.counters(), measured);
        }
    });
}

#[test]
fn pads_of_a_vector_do_not_repeat() {
    let (mut sent, ..) = run_pair(
        |c| {
            let mut ot = OtPair::setup(c, Role::First).unwrap();
            ot.correlate_wide_both(c, &[Wide { correlations: &[0; 600], choices: &[], width: 300, bits: 64 }]).unwrap().remove(0).0
        },
        |c| {
            let mut ot = OtPair::setup(c, Role::Second).unwrap();
            ot.correlate_wide_both(c, &[Wide { correlations: &[], choices: &[true, false], width: 300, bits: 64 }]).unwrap()
        },
    );
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), 600);
}

#[test]
fn vectors_that_are_not_whole_are_our_own_fault() {
    let (errors, ..) = run_pair(
        |c| {
            let mut ot = OtPair::setup(c, Role::First).unwrap();
            [(3, 2), (3, 0)].map(|(length, width)| {
                let batch = Wide { correlations: &vec![1; length], choices: &[], width, bits: 8 };
                ot.correlate_wide_both(c, &[batch]).err()
            })
        },
        |c| OtPair::setup(c, Role::Second).map(|_| ()).unwrap(),
    );
    assert!(errors.into_iter().all(|error| error.unwrap().class() == Class::Config));
}

#[test]
fn shares_from_trees_are_right_over_frames_and_calls() {
    let n = ot_extension::FRAME_OTS + 77;
    let mut prg = Prg::from_os().unwrap();
    let (a, b) = (bools(&mut prg, n), bools(&mut prg, n));
    let side = |c: &mut dyn Channel, role, own: &[bool]| {
        let mut ot = OtPair::setup_trees(c, role).unwrap();
        [(); 2].map(|()| ot.multiply_bits(c, own, 1, 5).unwrap())
    };
    let (first, second, cost_first, cost_second) = run_pair(|c| side(c, Role::First, &a), |c| side(c, Role::Second, &b));
    for (first, second) in first.iter().zip(&second) {
        assert!((0..n).all(|i| (first[i] + second[i]) % 32 == u64::from(a[i] & b[i])));
    }
    assert_ne!(first[0], first[1], "pads of one call are not those of the other");
    for (role, measured) in [(Role::First, cost_first), (Role::Second, cost_second)] {
        let mut meter = Meter::default();
        declare_setup_trees(&mut meter);
        (0..2).for_each(|_| declare_multiply_bits(&mut meter, Form::Trees, role, n, 5));
        assert_eq!(meter.counters(), measured);
    }
}

#[test]
fn pads_from_trees_look_uniform_to_either_side() {
    let (sent, received, ..) = run_pair(
        |c| OtPair::setup_trees(c, Role::First).unwrap().correlate_both(c, &[0; 4096], &[], 16).unwrap().0,
        |c| OtPair::setup_trees(c, Role::Second).unwrap().correlate_both(c, &[], &[true; 4096], 16).unwrap().1,
    );
    for shares in [sent, received] {
        let ones: u32 = shares.iter().map(|share| share.count_ones()).sum();
        // 65,536 coins: 128 a standard deviation, six of them.
        assert!((32_000..=33_536).contains(&ones), "{ones}");
    }
}
