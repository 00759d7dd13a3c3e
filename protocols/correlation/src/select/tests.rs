//! Selections against sorting in the clear: random and edge cases, an ideal double, the declared cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use super::*;
use crate::Form;
use crate::pair::declare_setup_trees;
use colift_channel::{Class, Counters, Meter};
use colift_primitives::rng::Prg;
use colift_testkit::{cases, run_pair};

/// Both parties' numbers.
struct Case {
    shape: Shape,
    first: Vec<u64>,
    second: Vec<u64>,
}

impl Case {
    fn sums(&self) -> Vec<u64> {
        let own = self.first.iter().enumerate();
        own.map(|(row, x)| if row < self.shape.shared { x + (self.second[row] << self.shape.low) } else { *x }).collect()
    }

    /// Numbers drawn below 2^`spread` at most: few bits for many ties.
    fn random(prg: &mut Prg, shape: Shape, spread: u32) -> Self {
        let mut draw = |bits: u32| prg.below(1 << bits.min(spread));
        let first = (0..shape.rows).map(|row| draw(if row < shape.shared { shape.low + shape.high } else { shape.bits() })).collect();
        let second = (0..shape.shared).map(|_| draw(shape.high)).collect();
        Self { shape, first, second }
    }
}

/// What both worlds offer: XOR shares of each selection.
trait Selects {
    fn run(&self, case: &Case, counts: &[usize]) -> (Vec<Vec<bool>>, Vec<Vec<bool>>);
}

/// The protocol over a memory pair; its cost is held against the declared one every time.
struct Real;

/// The functionality: the first rows by (sum falling, row rising) under fresh masks.
struct Ideal;

impl Selects for Real {
    fn run(&self, case: &Case, counts: &[usize]) -> (Vec<Vec<bool>>, Vec<Vec<bool>>) {
        let side = |c: &mut dyn Channel, role, own: &[u64]| {
            let mut ot = OtPair::setup_trees(c, role).unwrap();
            highest(c, &mut ot, case.shape, own, counts, &|_, _| ()).unwrap()
        };
        let (a, b, cost_first, cost_second) = run_pair(|c| side(c, Role::First, &case.first), |c| side(c, Role::Second, &case.second));
        assert_cost(case.shape, counts.len(), cost_first, cost_second);
        (a, b)
    }
}

impl Selects for Ideal {
    fn run(&self, case: &Case, counts: &[usize]) -> (Vec<Vec<bool>>, Vec<Vec<bool>>) {
        let mut prg = Prg::from_os().unwrap();
        let mut masks = |chosen: bool| {
            let mask = prg.below(2) == 1;
            (mask, mask ^ chosen)
        };
        counts.iter().map(|count| plain(&case.sums(), *count).into_iter().map(&mut masks).unzip()).unzip()
    }
}

fn assert_cost(shape: Shape, cuts: usize, first: Counters, second: Counters) {
    for (role, measured) in [(Role::First, first), (Role::Second, second)] {
        let mut meter = Meter::default();
        declare_setup_trees(&mut meter);
        declare_highest(&mut meter, Form::Trees, role, shape, cuts);
        assert_eq!(meter.counters(), measured, "{shape:?}, {cuts} cuts, {role:?}");
    }
}

fn plain(sums: &[u64], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..sums.len()).collect();
    order.sort_by_key(|row| (std::cmp::Reverse(sums[*row]), *row));
    let mut chosen = vec![false; sums.len()];
    order.into_iter().take(count).for_each(|row| chosen[row] = true);
    chosen
}

fn selects(world: &impl Selects, case: &Case, counts: &[usize]) {
    let (a, b) = world.run(case, counts);
    assert_eq!((a.len(), b.len()), (counts.len(), counts.len()));
    for ((a, b), count) in a.iter().zip(&b).zip(counts) {
        let chosen: Vec<bool> = a.iter().zip(b).map(|(a, b)| a ^ b).collect();
        assert_eq!(chosen, plain(&case.sums(), *count), "{:?}, {count} of {:?}", case.shape, case.sums());
    }
}

#[test]
fn both_worlds_choose_the_highest() {
    cases("selection", 20, |prg| {
        let rows = prg.below(80) as usize;
        let shape = Shape { rows, shared: prg.below(rows as u64 + 1) as usize, low: prg.below(6) as u32, high: 1 + prg.below(9) as u32 };
        let spread = 1 + prg.below(16) as u32;
        let case = Case::random(prg, shape, spread);
        let counts: Vec<usize> = (0..prg.below(4)).map(|_| prg.below(rows as u64 + 3) as usize).collect();
        selects(&Ideal, &case, &counts);
        selects(&Real, &case, &counts);
    });
}

#[test]
fn few_rows_equal_rows_and_every_count() {
    let shape = |rows, shared| Shape { rows, shared, low: 2, high: 3 };
    for (rows, shared) in [(1, 0), (1, 1), (2, 1), (3, 3), (4, 2), (7, 7), (8, 0)] {
        let counts: Vec<usize> = (0..=rows).collect();
        let top = (1 << 6) - 1;
        for value in [0, top] {
            let first = (0..rows).map(|row| if row < shared { value >> 1 } else { value }).collect();
            selects(&Real, &Case { shape: shape(rows, shared), first, second: vec![value >> 3; shared] }, &counts);
        }
        let rising = (0..rows as u64).map(|row| row % 4).collect();
        selects(&Real, &Case { shape: shape(rows, shared), first: rising, second: vec![0; shared] }, &counts);
    }
    selects(&Real, &Case { shape: shape(0, 0), first: Vec::new(), second: Vec::new() }, &[0, 1]);
}

#[test]
fn more_rows_than_a_chunk_in_three_cuts() {
    let mut prg = Prg::from_os().unwrap();
    let shape = Shape { rows: CHUNK + 300, shared: CHUNK + 20, low: 1, high: 2 };
    let case = Case::random(&mut prg, shape, 16);
    selects(&Real, &case, &[77, shape.rows.div_ceil(2), shape.rows - 1]);
}

#[test]
fn shapes_out_of_range_and_unlike_inputs_are_our_own_fault() {
    let shape = Shape { rows: 3, shared: 2, low: 2, high: 3 };
    let wrong = [
        (Shape { shared: 4, ..shape }, 3),
        (Shape { high: 0, ..shape }, 3),
        (Shape { low: 60, ..shape }, 3),
        (Shape { rows: MAX_ROWS + 1, ..shape }, 3),
        (shape, 2),
    ];
    let (errors, ..) = run_pair(
        |c| {
            let mut ot = OtPair::setup(c, Role::First).unwrap();
            wrong.map(|(shape, rows)| highest(c, &mut ot, shape, &vec![0; rows], &[1], &|_, _| ()).err())
        },
        |c| OtPair::setup(c, Role::Second).map(|_| ()).unwrap(),
    );
    assert!(errors.into_iter().all(|error| error.unwrap().class() == Class::Config));
}

/// Processor time of this process so far, in seconds: fields 14 and 15 of /proc/self/stat, a hundredth each.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = |at: usize| stat.rsplit(')').next().unwrap().split_whitespace().nth(at).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// What a release of decisions costs a user, as docs/COSTS.md has it: shares of 16 bits under 8 finer ones of the owner's.
#[test]
#[ignore = "a measurement"]
fn bytes_and_seconds_a_user() {
    let mut prg = Prg::from_os().unwrap();
    for rows in [10_000, 100_000] {
        let shape = Shape { rows, shared: rows, low: 8, high: 16 };
        let case = Case::random(&mut prg, shape, 24);
        let tenths: Vec<usize> = (1..10).map(|tenth| (tenth * rows).div_ceil(10)).collect();
        for (name, counts) in [("yes_no", &[][..]), ("top_share", &[2 * rows / 5][..]), ("decile", &tenths)] {
            let side = |c: &mut dyn Channel, role, own: &[u64]| {
                let mut ot = OtPair::setup_trees(c, role).unwrap();
                let before = c.counters();
                if counts.is_empty() {
                    let own: Vec<u64> = own.iter().map(|own| own & 0xffff).collect();
                    bits_of_sum(c, &mut ot, &own, 16).unwrap();
                } else {
                    highest(c, &mut ot, shape, own, counts, &|_, _| ()).unwrap();
                }
                c.counters().since(before)
            };
            let (start, clock) = (processor(), std::time::Instant::now());
            let (first, second, ..) = run_pair(|c| side(c, Role::First, &case.first), |c| side(c, Role::Second, &case.second));
            let (used, wall) = (processor() - start, clock.elapsed().as_secs_f64());
            let each = |bytes: u64| bytes / rows as u64;
            println!(
                "{rows} users, {name}: {} + {} bytes a user, {} rounds, {:.1} us of processor a user (both), {wall:.2} s",
                each(first.bytes_sent),
                each(second.bytes_sent),
                first.rounds.max(second.rounds),
                1e6 * used / rows as f64
            );
        }
    }
}
