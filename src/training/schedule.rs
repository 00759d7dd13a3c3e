//! The public schedule of a secure training: a function of rows, columns, options and the signed rate bucket, never of data.
//!
//! Only exact floating-point operations (+ − × ÷ √) are used, so that both parties' machines agree to the last bit.
//! Source: docs/protocols/training.md; the figures were chosen by plaintext simulation on the real sets.

use crate::error::{Exit, Failure};
use colift_algebra::gate::{GatePlan, RESULT_BITS, balance};

/// Fraction bits of the columns in logits and gradients.
pub const COLUMN_BITS: u32 = 8;
/// Fraction bits of the weights.
pub const WEIGHT_BITS: u32 = 20;
/// Fraction bits of gradients and steps.
pub const STEP_BITS: u32 = 24;
/// Fraction bits of the Hessian.
pub const HESSIAN_BITS: u32 = 16;
/// Fraction bits of the ridge matrix in the product with the weights.
pub const RIDGE_BITS: u32 = 24;
/// Largest absolute value of a whitened column.
pub const COLUMN_LIMIT: f64 = 64.0;
/// Narrowest interval of the gate in logits.
pub const NARROWEST_INTERVAL: f64 = 4.0;
/// Widest interval of the gate in logits.
pub const WIDEST_INTERVAL: f64 = 160.0;
/// Rows of the first Hessian, whose slopes are public.
const START_ROWS: usize = 8_192;
/// Rows of the second step and its Hessian.
const SECOND_ROWS: usize = 16_384;
/// The same for rare labels, which leave fewer informative rows.
const RARE_SECOND_ROWS: usize = 24_576;
/// Rows of the third step; up to so many, all steps use all rows.
const THIRD_ROWS: usize = 45_056;
/// Rows of the fourth step, which only trainings with many rows have.
const FOURTH_ROWS: usize = 196_608;
/// The same for labels that are not rare, whose standard errors are smaller.
const OFTEN_FOURTH_ROWS: usize = 245_760;
/// Rows of the last Hessian.
const LAST_ROWS: usize = 24_576;
/// The same with many rows, whose steps cost more than Hessians.
const LARGE_LAST_ROWS: usize = 65_536;
/// The same for labels that are not rare.
const OFTEN_LARGE_LAST_ROWS: usize = 98_304;
/// Harmonics a logit of the interval. Slopes need the most; the residuals of steps that end far from the optimum the least: with
/// 9, 11 and 12 on 20 logits the series are off by up to 7e-4, 2e-4 and 1e-4.
const HESSIAN_HARMONICS: f64 = 0.6;
/// The same for residuals of the full steps.
const NEAR_HARMONICS: f64 = 0.55;
/// The same for residuals of the steps before.
const FAR_HARMONICS: f64 = 0.45;
/// Least slope of the start.
const LEAST_START_SLOPE: f64 = 0.05;
/// From this many rows on a step on all rows costs more than larger Hessians.
const MANY_ROWS: usize = 1 << 18;
/// Below this variance of the label a training takes one more step on all rows.
const RARE: f64 = 0.05;
/// A column's mean square on a subset is at most this; on all rows it is at most 1.
const SUBSET_EXCESS: f64 = 2.0;
/// Twice the bits of the rows, four times those of the columns and those of the slopes: up to here tiles of eight pairs of columns
/// fit three primes.
const FITTING_BITS: u32 = 53;
/// Below this many rows all steps run on all rows with a wide interval.
const FEW_ROWS: usize = 5_000;
/// Largest share-product sum that keeps a gradient below 2^48: 2^20 rows.
const MOST_ROWS: usize = 1 << 20;

/// What the schedule depends on; all of it is public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublicSizes {
    /// Training rows.
    pub rows: usize,
    /// The owner's columns without the intercept.
    pub owner_columns: usize,
    /// The partner's columns.
    pub partner_columns: usize,
    /// Lower end of the signed bucket of the label's rate.
    pub rate_low: f64,
    /// Upper end of it.
    pub rate_high: f64,
    /// `logit_range` of the job around the base logit, where given.
    pub logit_range: Option<(f64, f64)>,
}

/// One Newton step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Rows it uses: the first ones in the aligned order.
    pub rows: usize,
    /// Harmonics of the rows beyond those of its Hessian.
    pub harmonics: usize,
    /// Factor of the proposed step.
    pub damping: f64,
    /// Factor of the last move, which is added: 0 but for full steps after the first.
    pub momentum: f64,
    /// Rows of its new Hessian, the first ones; 0 where it keeps the one before.
    pub hessian_rows: usize,
}

/// The first step, from the constant model: its residuals are the owner's own, its slopes are one public number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Rows of its Hessian; its gradient uses all rows.
    pub hessian_rows: usize,
    /// Step length.
    pub damping: f64,
    /// The slope of all its rows.
    pub slope: f64,
}

/// How precisely a Hessian is made: it only preconditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HessianPrecision {
    /// Fraction bits of the columns.
    pub column_bits: u32,
    /// Fraction bits of the slopes.
    pub slope_bits: u32,
    /// k of the modulus 2^k of its products.
    pub modulus_bits: u32,
}

impl HessianPrecision {
    /// Precision of a Hessian on `rows` rows: slopes of `variance` and above have at least three bits; columns have three to five,
    /// as many as products fit the shortest chain of primes.
    #[must_use]
    pub fn new(rows: usize, variance: f64) -> Self {
        let row_bits = rows.next_power_of_two().ilog2();
        // ⌈log₂(8/variance)⌉ by comparisons alone.
        let slope_bits = (5..14).find(|bits| f64::from(1u32 << bits) * variance >= 8.0).unwrap_or(14);
        let at = |column_bits: u32| {
            // |Σ s·x·x'| ≤ (1/4 and rounding)·SUBSET_EXCESS·rows, and the lift wants a quarter of the modulus.
            Self { column_bits, slope_bits, modulus_bits: row_bits + 2 * column_bits + slope_bits + 2 }
        };
        let fits = |bits: &u32| 2 * row_bits + 4 * bits + slope_bits <= FITTING_BITS;
        at((4..=5).rev().find(fits).unwrap_or(3))
    }

    /// Bound on a column's sum of squares in its own units.
    #[must_use]
    pub fn square_mass(&self, rows: usize) -> f64 {
        SUBSET_EXCESS * rows as f64 * f64::from(2 * self.column_bits).exp2()
    }
}

/// A Chebyshev iteration with public bounds of the spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolverPlan {
    /// Upper bound of the eigenvalues.
    pub upper: f64,
    /// Lower bound; smaller eigenvalues converge more slowly but never diverge.
    pub lower: f64,
    /// Iterations.
    pub iterations: usize,
}

/// The interval on which the gate's functions are fitted, around the base logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end minus base logit.
    pub low: f64,
    /// Upper end minus base logit.
    pub high: f64,
}

/// Everything public about a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The sizes it was made for.
    pub sizes: PublicSizes,
    /// The first step, where it does not go through the gate.
    pub start: Option<Start>,
    /// The steps after it, in order.
    pub steps: Vec<Step>,
    /// The end check's step, which is applied when the check is passed.
    pub last: Step,
    /// The gate's interval.
    pub interval: Interval,
    /// Harmonics where a Hessian is made: slopes need more than residuals.
    pub harmonics: usize,
    /// Fraction bits of sines and cosines.
    pub trigonometric_bits: u32,
    /// The gate's frequency c, even; the end check halves it.
    pub frequency: u64,
    /// The linear solver.
    pub solver: SolverPlan,
    /// p(1 − p) in the middle of the signed bucket.
    pub variance: f64,
    /// The end check's bound on every entry of the proposed step, in whitened coordinates.
    pub tolerance: f64,
}

impl Schedule {
    /// The schedule of these sizes.
    ///
    /// # Errors
    /// Exit 17 above 2^20 training rows, exit 2 for a `logit_range` beyond what the gate can carry, exit 13 for too few rows.
    pub fn new(sizes: PublicSizes) -> Result<Self, Failure> {
        let rows = sizes.rows;
        if rows > MOST_ROWS {
            return Err(Failure::new(Exit::Cap, 640, format!("{rows} training rows, this version trains on at most {MOST_ROWS}"))
                .hint("set a smaller test split, or train on a sample"));
        }
        let columns = sizes.owner_columns + sizes.partner_columns + 1;
        if rows <= columns {
            return Err(Failure::new(Exit::Data, 641, format!("{rows} matched training rows are too few for {columns} weights"))
                .hint("use fewer columns, or match more users"));
        }
        let few = rows < FEW_ROWS;
        let interval = match sizes.logit_range {
            Some((low, high)) => Interval { low, high },
            None if few => Interval { low: -60.0, high: 60.0 },
            None => Interval { low: -12.0, high: 8.0 },
        };
        let width = interval.high - interval.low;
        // 0.6 a logit keeps the series' error near 2e-4. With 48 on [-60, 60] it is 2e-3, a bias of up to 0.18 standard errors
        // where 3 % of a few thousand rows have the label, and the end check, as coarse, cannot see it (tests/shapes.rs).
        let per_logit = |each: f64| ((each * width).ceil() as usize).clamp(9, 96);
        let harmonics = per_logit(HESSIAN_HARMONICS);
        if !(NARROWEST_INTERVAL..=WIDEST_INTERVAL).contains(&width) {
            return Err(Failure::new(
                Exit::Usage,
                642,
                format!("logit_range is {width} wide, the gate carries {NARROWEST_INTERVAL} to {WIDEST_INTERVAL}"),
            )
            .hint("choose an interval such as [-12.0, 8.0]"));
        }
        // Period 1.35 widths; an even frequency, for the end check's half harmonic.
        let scale = (1u64 << (50 - COLUMN_BITS - WEIGHT_BITS)) as f64;
        let frequency = 2 * (scale / (2.0 * 1.35 * width)).floor() as u64;
        let odds = ((sizes.rate_low / (1.0 - sizes.rate_low)) * (sizes.rate_high / (1.0 - sizes.rate_high))).sqrt();
        let rate = odds / (1.0 + odds);
        let variance = rate * (1.0 - rate);
        // ln 20: the slowest eigenvector within the bounds shrinks to a tenth. For rare labels, whose bounds lie far apart and whose
        // full steps are more, ln 6 is enough; with many rows, where full steps are few and dear, it is ln 40.
        let (upper, lower) = if few { (0.75, 0.0005) } else { (0.75, variance / 30.0) };
        let accuracy = match (few, variance < RARE, rows > MANY_ROWS) {
            (false, _, true) => 3.688_879_454_113_936,
            (false, true, false) => 1.791_759_469_228_055,
            _ => 2.995_732_273_553_991,
        };
        let iterations = (0.5 * (upper / lower).sqrt() * accuracy).ceil() as usize;
        let step = |rows, hessian_rows: usize, damping| Step {
            rows,
            harmonics: if few { harmonics } else { per_logit(FAR_HARMONICS) },
            damping,
            momentum: 0.0,
            hessian_rows: hessian_rows.min(rows),
        };
        let rare = variance < RARE;
        // The last Hessian's spectrum against the full one's, for the momentum of the full steps: measured on the real sets and on
        // made ones; outside of it they converge more slowly.
        let (start, mut steps, full_steps, spectrum) = if few {
            let mut steps = vec![step(rows, rows, 0.5), step(rows, rows, 0.7)];
            steps.extend(std::iter::repeat_n(step(rows, rows, 1.0), 8));
            (None, steps, 1, (1.0, 1.0))
        } else {
            // Newton's first step from the constant model overshoots where a rare column's rows have slopes far above the mean:
            // the start's slope is not below 0.05.
            let damping = if rare { 0.9 } else { 0.7 };
            let start = Start { hessian_rows: START_ROWS.min(rows), damping, slope: variance.max(LEAST_START_SLOPE) };
            let second = if rare { RARE_SECOND_ROWS } else { SECOND_ROWS };
            // Up to so many rows all Hessians use all of them: a subset that misses the few rows of a rare column leaves its weight
            // and its curvature far off.
            let small = rows <= THIRD_ROWS;
            let mut steps = if small {
                vec![step(rows, rows, 0.8), step(rows, rows, 1.0)]
            } else {
                vec![step(second, second, 1.0), step(THIRD_ROWS, START_ROWS, 1.0)]
            };
            if rows > MANY_ROWS {
                steps.push(step(if rare { FOURTH_ROWS } else { OFTEN_FOURTH_ROWS }, LAST_ROWS, 1.0));
            }
            // The last Hessian comes with the first gradient of all rows, when the weights are near.
            let last_rows = match (small, rows > MANY_ROWS, rare) {
                (true, ..) => rows,
                (_, false, _) => LAST_ROWS,
                (_, true, true) => LARGE_LAST_ROWS,
                (_, true, false) => OFTEN_LARGE_LAST_ROWS,
            };
            steps.push(step(rows, last_rows, 1.0));
            let (after, spectrum) = match (small, rare, rows > MANY_ROWS) {
                (true, ..) => (3, (0.7, 1.2)),
                (false, true, false) => (3, (0.55, 1.3)),
                (false, true, true) => (2, (0.78, 1.25)),
                (false, false, _) => (3, (0.75, 1.25)),
            };
            (Some(start), steps, after, spectrum)
        };
        // The last of the full steps is the end check's.
        let near = if few { harmonics } else { per_logit(NEAR_HARMONICS) };
        let full_step = |(damping, momentum)| Step { rows, harmonics: near, damping, momentum, hessian_rows: 0 };
        let mut full = momentum(full_steps, spectrum).map(full_step);
        let last = full.next_back().unwrap_or(full_step((1.0, 0.0)));
        steps.extend(full);
        Ok(Self {
            sizes,
            start,
            steps,
            last,
            interval,
            harmonics,
            trigonometric_bits: if few { 13 } else { 10 },
            frequency,
            solver: SolverPlan { upper, lower, iterations },
            variance,
            // In units of the smallest standard error of a whitened weight, about 2/√rows. With few rows the rounding noise of
            // ill-determined directions alone reaches half a unit.
            tolerance: if few { 1.0 } else { 0.4 } / (rows as f64 * variance).sqrt(),
        })
    }

    /// Weights in all, the intercept included.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.sizes.owner_columns + self.sizes.partner_columns + 1
    }

    /// Rows that go through the gate in all steps together, the end check included.
    #[must_use]
    pub fn gate_rows(&self) -> usize {
        self.steps.iter().map(|step| step.rows).sum::<usize>() + self.last.rows
    }

    /// The period of a step's gate in logits.
    #[must_use]
    pub fn period(&self) -> f64 {
        (1u64 << (50 - COLUMN_BITS - WEIGHT_BITS)) as f64 / self.frequency as f64
    }

    /// Precision of a Hessian on so many rows.
    #[must_use]
    pub fn precision(&self, rows: usize) -> HessianPrecision {
        HessianPrecision::new(rows, self.variance)
    }

    /// The gates of a step, one after the other over its rows: those of its Hessian, with σ and σ′, and the others.
    #[must_use]
    pub fn gates(&self, step: &Step) -> Vec<GatePlan> {
        let gate = GatePlan {
            rows: step.hessian_rows,
            first_bits: RESULT_BITS,
            second_rows: step.hessian_rows,
            second_bits: self.precision(step.hessian_rows).slope_bits,
            harmonics: self.harmonics,
            half: false,
            bits: self.trigonometric_bits,
            frequency: self.frequency,
            owner_uploads: 0,
        };
        let others = GatePlan { rows: step.rows - step.hessian_rows, second_rows: 0, harmonics: step.harmonics, ..gate };
        balance([gate, others].into_iter().filter(|gate| gate.rows > 0).collect())
    }

    /// The end check's gate: all rows, with the half harmonic.
    #[must_use]
    pub fn check_gates(&self) -> Vec<GatePlan> {
        balance(self.gates(&self.last).into_iter().map(|gate| GatePlan { half: true, ..gate }).collect())
    }
}

/// (damping, momentum) of `count` full steps with one Hessian: the Chebyshev semi-iteration (Golub and Varga 1961) of the
/// outer iteration, where H⁻¹·(full Hessian) has its spectrum within (low, high).
fn momentum(count: usize, (low, high): (f64, f64)) -> impl DoubleEndedIterator<Item = (f64, f64)> {
    let (centre, spread) = ((low + high) / 2.0, (high - low) / (high + low));
    let mut weights = Vec::with_capacity(count);
    let mut omega = 1.0;
    for k in 0..count {
        omega = match k {
            0 => 1.0,
            1 => 1.0 / (1.0 - spread * spread / 2.0),
            _ => 1.0 / (1.0 - spread * spread * omega / 4.0),
        };
        weights.push((omega / centre, omega - 1.0));
    }
    weights.into_iter()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sizes(rows: usize) -> PublicSizes {
        PublicSizes { rows, owner_columns: 21, partner_columns: 21, rate_low: 0.05, rate_high: 0.2, logit_range: None }
    }

    #[test]
    fn depends_on_sizes_and_options_only_and_fits_the_gate() {
        for rows in [200, 4_999, 5_000, 26_399, 1 << 20] {
            let schedule = Schedule::new(sizes(rows)).unwrap();
            assert_eq!(schedule, Schedule::new(sizes(rows)).unwrap());
            assert!(schedule.period() >= 1.35 * (schedule.interval.high - schedule.interval.low) * 0.999);
            assert!(schedule.steps.iter().all(|s| s.rows > 0 && s.rows <= rows));
            assert!(schedule.steps[0].hessian_rows > 0);
            assert!(schedule.steps.iter().all(|s| s.hessian_rows <= s.rows));
            for step in &schedule.steps {
                let gates = schedule.gates(step);
                assert_eq!(gates.iter().map(|gate| gate.rows).sum::<usize>(), step.rows);
                assert!(gates.iter().all(|gate| gate.level().is_ok()));
            }
            schedule.check_gates()[0].level().unwrap();
        }
        let wide = PublicSizes { logit_range: Some((-80.0, 80.0)), ..sizes(10_000) };
        Schedule::new(wide).unwrap().check_gates()[0].level().unwrap();
    }

    #[test]
    fn full_steps_follow_the_chebyshev_polynomial_of_the_spread() {
        // The error of an eigendirection with 0.9 − eigenvalue = x after k steps is T_k(x/0.3)/T_k(0.9/0.3).
        let chebyshev = |k: usize, x: f64| (2..=k).fold((1.0, x), |(a, b), _| (b, 2.0 * x * b - a)).1;
        for k in 1..=4 {
            for x in [-0.5, -0.2, 0.0, 0.31, 0.5, 0.8] {
                let (mut before, mut error) = (0.0, 1.0);
                for (damping, momentum) in momentum(k, (0.6, 1.2)) {
                    let moved: f64 = -damping * (0.9 - x) * error + momentum * (error - before);
                    (before, error) = (error, error + moved);
                }
                let exact = chebyshev(k, x / 0.3) / chebyshev(k, 0.9 / 0.3);
                assert!((error - exact).abs() < 1e-12, "{k} steps, {x}: {error} for {exact}");
            }
        }
    }

    #[test]
    fn refuses_what_it_cannot_carry() {
        assert_eq!(Schedule::new(sizes(40)).unwrap_err().exit, Exit::Data);
        assert_eq!(Schedule::new(sizes(2_000_000)).unwrap_err().exit, Exit::Cap);
        let wide = PublicSizes { logit_range: Some((-200.0, 80.0)), ..sizes(10_000) };
        assert_eq!(Schedule::new(wide).unwrap_err().exit, Exit::Usage);
    }
}
