//! The public schedule of a secure training: a function of rows, columns, options and the signed rate bucket, never of data.
//!
//! Only exact floating-point operations (+ − × ÷ √) are used, so that both parties' machines agree to the last bit.
//! Source: docs/protocols/training.md; the figures were chosen by plaintext simulation on the real sets.

use crate::error::{Exit, Failure};
use colift_algebra::gate::GatePlan;

/// Fraction bits of the columns in logits and gradients.
pub const COLUMN_BITS: u32 = 8;
/// Fraction bits of the columns in Hessians, which only precondition.
pub const HESSIAN_COLUMN_BITS: u32 = 5;
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
/// Up to this many rows the last Hessians use all of them; beyond, half of them and at least as many as this.
const HESSIAN_ROWS: usize = 49_152;
/// Rows of the last Hessian at most.
const MOST_HESSIAN_ROWS: usize = 131_072;
/// Rows of the first Hessian, whose slopes are public.
const START_ROWS: usize = 8_192;
/// Public guess of the largest |1 − eigenvalue| of the last Hessian's inverse times the full Hessian, for the momentum of the full
/// steps; beyond it they converge more slowly.
const SPREAD: f64 = 0.3;
/// The same where rare labels leave few informative rows in the last Hessian's subset.
const RARE_SPREAD: f64 = 0.5;
/// Below this variance of the label a training takes one more step on all rows.
const RARE: f64 = 0.05;
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
    /// Factor of the proposed step.
    pub damping: f64,
    /// Factor of the last move, which is added: 0 but for full steps after the first.
    pub momentum: f64,
    /// Whether it makes a new Hessian.
    pub fresh_hessian: bool,
}

/// The first step, from the constant model: its residuals are the owner's own, its slopes are one public number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Rows of its Hessian; its gradient uses all rows.
    pub hessian_rows: usize,
    /// Step length.
    pub damping: f64,
    /// σ′ at the middle of the signed bucket.
    pub slope: f64,
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
    /// Harmonics of a step; the end check doubles them.
    pub harmonics: usize,
    /// Fraction bits of sines and cosines.
    pub trigonometric_bits: u32,
    /// The gate's frequency c, even; the end check halves it.
    pub frequency: u64,
    /// The linear solver.
    pub solver: SolverPlan,
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
        let harmonics = ((0.6 * width).ceil() as usize).clamp(12, 96);
        if !(NARROWEST_INTERVAL..=WIDEST_INTERVAL).contains(&width) {
            return Err(Failure::new(
                Exit::Usage,
                642,
                format!("logit_range is {width} wide, the gate carries {NARROWEST_INTERVAL} to {WIDEST_INTERVAL}"),
            )
            .hint("choose an interval such as [-12.0, 8.0]"));
        }
        // Period 1.35 widths; an even frequency so that the end check can double the period exactly.
        let scale = (1u64 << (50 - COLUMN_BITS - WEIGHT_BITS)) as f64;
        let frequency = 2 * (scale / (2.0 * 1.35 * width)).floor() as u64;
        let odds = ((sizes.rate_low / (1.0 - sizes.rate_low)) * (sizes.rate_high / (1.0 - sizes.rate_high))).sqrt();
        let rate = odds / (1.0 + odds);
        let variance = rate * (1.0 - rate);
        // ln 20: the slowest eigenvector within the bounds shrinks to a tenth.
        let (upper, lower) = if few { (0.75, 0.0005) } else { (0.75, variance / 30.0) };
        let iterations = (0.5 * (upper / lower).sqrt() * 2.995_732_273_553_991).ceil() as usize;
        let capped = |most: usize| most.min(rows * 9 / 10);
        let fresh = |rows, damping| Step { rows, damping, momentum: 0.0, fresh_hessian: true };
        let rare = variance < RARE;
        let (start, mut steps, full_steps) = if few {
            let mut steps = vec![fresh(rows, 0.5), fresh(rows, 0.7)];
            steps.extend(std::iter::repeat_n(fresh(rows, 1.0), 8));
            (None, steps, 1)
        } else {
            let start = Start { hessian_rows: START_ROWS.min(rows), damping: 0.7, slope: variance };
            let second = if rare && rows > HESSIAN_ROWS { 2 * START_ROWS } else { START_ROWS };
            let mut steps = vec![fresh(capped(second), 0.8)];
            if rows <= HESSIAN_ROWS {
                // Few rows: two Hessians on all of them. A subset that misses the few rows of a rare column leaves its weight
                // and its curvature far off, and full steps on that Hessian then creep or overshoot.
                steps.extend([fresh(rows, 1.0), fresh(rows, 1.0)]);
                (Some(start), steps, 2)
            } else {
                steps.push(fresh(capped((rows / 2).clamp(HESSIAN_ROWS, MOST_HESSIAN_ROWS)), 1.0));
                // Rare labels leave fewer informative rows in a Hessian's subset.
                (Some(start), steps, if rare { 4 } else { 3 })
            }
        };
        // The last of the full steps is the end check's.
        let spread = if rare { RARE_SPREAD } else { SPREAD };
        let mut full = momentum(full_steps, spread).map(|(damping, momentum)| Step { rows, damping, momentum, fresh_hessian: false });
        let last = full.next_back().unwrap_or(Step { rows, damping: 1.0, momentum: 0.0, fresh_hessian: false });
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

    /// The gate of a step on `rows` rows with `functions` functions.
    #[must_use]
    pub fn gate(&self, rows: usize, functions: usize) -> GatePlan {
        GatePlan { rows, functions, harmonics: self.harmonics, bits: self.trigonometric_bits, frequency: self.frequency }
    }

    /// The end check's gate: double period, double harmonics, all rows.
    #[must_use]
    pub fn check_gate(&self) -> GatePlan {
        GatePlan { harmonics: 2 * self.harmonics, frequency: self.frequency / 2, ..self.gate(self.sizes.rows, 1) }
    }
}

/// (damping, momentum) of `count` full steps with one Hessian: the Chebyshev semi-iteration (Golub and Varga 1961) of the
/// outer iteration, whose matrix 1 − H⁻¹·(full Hessian) has its spectrum within ± `spread`.
fn momentum(count: usize, spread: f64) -> impl DoubleEndedIterator<Item = (f64, f64)> {
    let mut weights = Vec::with_capacity(count);
    let mut omega = 1.0;
    for k in 0..count {
        omega = match k {
            0 => 1.0,
            1 => 1.0 / (1.0 - spread * spread / 2.0),
            _ => 1.0 / (1.0 - spread * spread * omega / 4.0),
        };
        weights.push((omega, omega - 1.0));
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
            assert!(schedule.steps[0].fresh_hessian);
            schedule.gate(rows, 2).level().unwrap();
            schedule.check_gate().level().unwrap();
        }
        let wide = PublicSizes { logit_range: Some((-80.0, 80.0)), ..sizes(10_000) };
        Schedule::new(wide).unwrap().check_gate().level().unwrap();
    }

    #[test]
    fn full_steps_follow_the_chebyshev_polynomial_of_the_spread() {
        // The error of an eigendirection with 1 − eigenvalue = x after k steps is T_k(x/ρ)/T_k(1/ρ).
        let chebyshev = |k: usize, x: f64| (2..=k).fold((1.0, x), |(a, b), _| (b, 2.0 * x * b - a)).1;
        for k in 1..=4 {
            for x in [-0.5, -0.2, 0.0, 0.31, 0.5, 0.8] {
                let (mut before, mut error) = (0.0, 1.0);
                for (damping, momentum) in momentum(k, RARE_SPREAD) {
                    let moved: f64 = -damping * (1.0 - x) * error + momentum * (error - before);
                    (before, error) = (error, error + moved);
                }
                let exact = chebyshev(k, x / RARE_SPREAD) / chebyshev(k, 1.0 / RARE_SPREAD);
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
