//! The public schedule of a secure training: a function of rows, columns, options and the signed rate bucket, never of data.
//!
//! Only exact floating-point operations (+ − × ÷ √) are used, so that both parties' machines agree to the last bit.
//! Source: docs/protocols/training.md; the figures were chosen by plaintext simulation on the real sets.

use crate::contract::{MAX_EXTRA_STEPS, TOLERANCE};
use crate::error::{Exit, Failure};
use crate::training::cost::declare_training;
use crate::training::family::{Family, HiddenWeights};
use colift_algebra::gate::{GatePlan, RESULT_BITS, balance};
use serde::{Deserialize, Serialize};

mod precision;
mod solver_plan;
mod span;
mod steps;

pub use precision::HessianPrecision;
pub use solver_plan::SolverPlan;
use span::other_harmonics;
pub use span::{Interval, Span, period};

/// Fraction bits of the columns in logits and gradients.
pub const COLUMN_BITS: u32 = 10;
/// Fraction bits of the weights.
pub const WEIGHT_BITS: u32 = 20;
/// Fraction bits of gradients and steps.
pub const STEP_BITS: u32 = 24;
/// Fraction bits of the Hessian.
pub const HESSIAN_BITS: u32 = 20;
/// Fraction bits of the ridge matrix in the product with the weights.
pub const RIDGE_BITS: u32 = 24;
/// Largest absolute value of a whitened column.
pub const COLUMN_LIMIT: f64 = 32.0;
/// Narrowest interval of the gate in logits.
pub const NARROWEST_INTERVAL: f64 = 4.0;
/// Widest interval of the gate in logits.
pub const WIDEST_INTERVAL: f64 = 160.0;
/// From so many weights on a training without later Hessians is considered.
const WIDE_COLUMNS: usize = 128;
/// From so many rows on as well.
const WIDE_ROWS: usize = 5_000;
/// Bits of the integers of real row weights in a linear model.
const REAL_WEIGHT_BITS: u32 = 12;
/// Largest power of two that bounds a row weight.
const MOST_WEIGHT_BITS: u32 = 6;
/// Largest power of two that bounds the gate's function.
const MOST_FUNCTION_BITS: u32 = 12;
/// Of the end check's bound what rounding may take in each direction at most, in standard errors.
const ROUNDING: f64 = 0.02;
/// Rounding in flat directions over that in usual ones.
const FLATTER: f64 = 5.0;
/// Up to so many rows the widest span follows the first one.
const WIDEST_AT_ONCE_ROWS: usize = 8_192;
/// From this further step on each span is at least the second one, and from twice as many on the third.
const WIDER_AFTER: usize = 2;
/// How much smaller slopes are resolved by steps that take the most care.
const FINER_SLOPES: f64 = 32.0;
/// From this further step on the solver is the late one.
const LATE: usize = 2;
/// Rows of a later step's Hessian, at most.
const EXTRA_HESSIAN_ROWS: usize = 1 << 17;
/// How much flatter than usual a direction may be of which the end check assumes no more.
const USUAL_OVER_SLOW: f64 = 30.0;
/// Weights that are as large as the largest one, at most.
const LARGE_WEIGHTS: usize = 16;
/// Rows beyond the interval that the end check tolerates: a part of one row, and this share of all, which is what the series are off by.
const STRAY_ROWS: (f64, f64) = (0.05, 3e-5);
/// What roundings of sines and cosines add to that count, in units of their last bit a row; over the rows they add up like the root.
const STRAY_ROUNDINGS: f64 = 2.0;
/// Fewest training rows. More weights than rows are fine: the ridge determines what rows do not.
const FEWEST_ROWS: usize = 20;
/// Most training rows.
const MOST_ROWS: usize = 1 << 20;
/// Beyond so many rows residuals have two fraction bits less: sums of 2^18 products with an entry of usual size stay below 2^48.
const MANY_SUMS: usize = 1 << 18;

/// What the schedule depends on; all of it is public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublicSizes {
    /// Training rows.
    pub rows: usize,
    /// The owner's columns without the intercept.
    pub owner_columns: usize,
    /// The partner's columns.
    pub partner_columns: usize,
    /// The family of the model.
    pub family: Family,
    /// The signed bucket of the label's rate, lower and upper end: of a logistic model only.
    pub rate: (f64, f64),
    /// What was signed about row weights that the owner has.
    pub weights: Option<HiddenWeights>,
    /// `logit_range` of the job, where given: around the base logit of a logistic model, around the logarithm of the label's scale of
    /// a Poisson model, and of a gamma model the range of log(mean/label).
    pub logit_range: Option<(f64, f64)>,
    /// `tolerance` of the job: what the end check bounds, in standard errors.
    pub tolerance: f64,
    /// `max_extra_steps` of the job.
    pub max_extra: usize,
}

impl PublicSizes {
    /// A logistic model without row weights, with the default range.
    #[must_use]
    pub fn logistic(rows: usize, owner_columns: usize, partner_columns: usize, rate: (f64, f64)) -> Self {
        Self {
            rows,
            owner_columns,
            partner_columns,
            family: Family::Logistic,
            rate,
            weights: None,
            logit_range: None,
            tolerance: TOLERANCE,
            max_extra: MAX_EXTRA_STEPS as usize,
        }
    }

    /// Upper bound and mean of the row weights.
    fn weight(&self) -> (f64, f64) {
        self.weights.map_or((1.0, 1.0), |weights| (weights.limit, weights.mean()))
    }
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
    /// How closely it follows flat directions.
    pub care: Care,
    /// Whether its gates have the longer of the two periods: every second end check, the planned one first.
    pub other_period: bool,
}

/// How closely a step follows directions in which the objective is flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// A step on the way: a rough solution is as good.
    Rough,
    /// A step near the end.
    Close,
    /// A step that is needed because others were not enough: with more bits of the slopes, too.
    Fine,
    /// The same after some of those: with a solver that reaches flatter directions.
    Late,
}

impl Care {
    /// Whether a step with it follows the planned ones.
    fn is_fine(self) -> bool {
        matches!(self, Self::Fine | Self::Late)
    }
}

/// The first step, from the constant model: its residuals are the owner's own, its slopes are one public number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Rows of its Hessian; its gradient uses all rows.
    pub hessian_rows: usize,
    /// Step length.
    pub damping: f64,
    /// The slope of all its rows. Where rows have weights, or the slopes follow from the labels' mean, they are the owner's secret and
    /// this is not used.
    pub slope: f64,
}

/// A step after the planned ones, as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// The place of its span.
    pub span: usize,
    /// Whether it took the weights of the step before once more, on a wider span.
    pub again: bool,
}

/// Everything public about a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The sizes it was made for.
    pub sizes: PublicSizes,
    /// The first step, where it is the constant model's.
    pub start: Option<Start>,
    /// The steps after it, in order.
    pub steps: Vec<Step>,
    /// The end check's step, which is applied whether the weights are near or not.
    pub last: Step,
    /// The gate's span, and the wider ones that take its place when predictors leave it.
    pub spans: Vec<Span>,
    /// Steps that may follow, each with an end check of its own.
    pub max_extra: usize,
    /// Rows of their Hessians, the first ones; 0 where the first steps' is the only one there is.
    pub extra_hessian_rows: usize,
    /// Whether standard errors of own weights are opened at the end.
    pub standard_errors: bool,
    /// Whether the variance of the residuals is opened to the owner at the end: of a linear model.
    pub residual_variance: bool,
    /// The linear solver of the standard errors.
    pub inverse_solver: SolverPlan,
    /// The linear solver of the steps that have a new Hessian.
    pub solver: SolverPlan,
    /// The same of the steps that keep the one before, with smaller eigenvalues within its bounds.
    pub fine_solver: SolverPlan,
    /// The linear solver of the steps after the planned ones.
    pub extra_solver: SolverPlan,
    /// The same of the last ones.
    pub late_solver: SolverPlan,
    /// The linear solver of end checks whose Hessian is older: closer than that of other steps, so that little of a decrement is a guess.
    pub stale_solver: SolverPlan,
    /// The usual slope of a row: p(1 − p) in the middle of the signed bucket, or 1, times the mean weight.
    pub usual_slope: f64,
    /// Fraction bits of the residuals.
    pub result_bits: u32,
    /// ⌈log₂⌉ of the largest row weight.
    pub weight_bits: u32,
    /// The planned end check's bound on n·gᵀH⁻¹g, the square of standard errors, rounding included.
    pub bound: f64,
    /// The same of the steps after it.
    pub fine_bound: f64,
    /// Where the planned end check's Hessian is older than its step: bound on every entry of the step before, in whitened coordinates.
    pub held: Option<f64>,
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
        if rows < FEWEST_ROWS {
            return Err(Failure::new(
                Exit::Data,
                641,
                format!("{rows} matched training rows are too few, at least {FEWEST_ROWS} are trained on"),
            )
            .hint("match more users"));
        }
        if let Some(weights) = sizes.weights
            && !(weights.mean_low > 0.0
                && weights.mean_low <= weights.mean_high
                && weights.mean_high <= weights.limit
                && weights.limit >= 1.0)
        {
            return Err(Failure::new(Exit::Usage, 649, "the signed bounds of the row weights do not fit together"));
        }
        let small = rows <= steps::SMALL_ROWS;
        let interval = match (sizes.logit_range, sizes.family) {
            (Some((low, high)), _) => Interval { low, high },
            (None, Family::Poisson) => Interval { low: -6.0, high: 4.0 },
            (None, Family::Gamma) => Interval { low: -3.4, high: 8.0 },
            // A small table is nearly separated more often; wider costs it little.
            (None, Family::Logistic) if rows <= steps::CLOSE_ROWS => Interval { low: -32.0, high: 32.0 },
            (None, Family::Logistic) if small => Interval { low: -18.0, high: 12.0 },
            (None, Family::Logistic | Family::Linear) => Interval { low: -12.0, high: 8.0 },
        };
        let width = interval.high - interval.low;
        if !(NARROWEST_INTERVAL..=WIDEST_INTERVAL).contains(&width) {
            return Err(Failure::new(
                Exit::Usage,
                642,
                format!("logit_range is {width} wide, the gate carries {NARROWEST_INTERVAL} to {WIDEST_INTERVAL}"),
            )
            .hint("choose an interval such as [-12.0, 8.0]"));
        }
        let top = Span::new(sizes.family, interval, 0, 0).function_bits;
        if top > MOST_FUNCTION_BITS {
            return Err(Failure::new(
                Exit::Usage,
                642,
                format!("logit_range makes factors of up to 2^{top}, at most 2^{MOST_FUNCTION_BITS} fits"),
            )
            .hint("choose an interval such as [-6.0, 4.0], and a label_scale near the label's mean"));
        }
        let plain = sizes.family == Family::Logistic && sizes.weights.is_none();
        let weight_bits = (0..MOST_WEIGHT_BITS).find(|bits| f64::from(1u32 << bits) >= sizes.weight().0).unwrap_or(MOST_WEIGHT_BITS);
        let with = |course: steps::Course| -> Result<Self, Failure> {
            let span = Span::new(sizes.family, interval, course.harmonics, course.trigonometric_bits);
            let mut spans = vec![span];
            spans.extend(span.wider(sizes.family));
            let fixed = sizes.family.has_fixed_slopes();
            let fresh = course.start.is_none_or(|start| start.hessian_rows == 0) && course.steps.iter().all(|step| step.hessian_rows > 0);
            let share = course.share_of_tolerance;
            let most_harmonics = spans.iter().map(|span| span.harmonics).max().unwrap_or_default();
            let bound = |bits: u32, harmonics: usize| {
                // What rounding sines and cosines adds to a residual, in standard errors of a direction of usual curvature; flatter
                // ones have more of it.
                let noise = f64::from(span.function_bits + weight_bits).exp2() * (harmonics as f64).sqrt() * 0.4
                    / f64::from(bits).exp2()
                    / course.usual_slope.sqrt();
                let rounding = match sizes.family {
                    Family::Logistic if sizes.weights.is_none() => ROUNDING.min(FLATTER * noise),
                    Family::Linear => ROUNDING * share,
                    _ => (ROUNDING * share).max(FLATTER * noise),
                };
                (sizes.tolerance * share).powi(2) + columns as f64 * rounding * rounding
            };
            Ok(Self {
                sizes,
                start: course.start,
                steps: course.steps,
                last: Step { other_period: true, ..course.last },
                spans,
                max_extra: sizes.max_extra,
                extra_hessian_rows: course.extra_hessian_rows,
                standard_errors: false,
                residual_variance: false,
                inverse_solver: course.solvers.inverse,
                // An inverse may be cheaper, for Hessians that serve one step each.
                solver: if fresh { course.solvers.newton.cheapest(columns)? } else { course.solvers.newton },
                fine_solver: course.solvers.fine,
                extra_solver: if fixed { course.solvers.extra } else { course.solvers.extra.cheapest(columns)? },
                stale_solver: course.solvers.stale,
                late_solver: if fixed { course.solvers.late } else { course.solvers.late.cheapest(columns)? },
                usual_slope: course.usual_slope,
                // Residuals of a logistic model are at most 1.
                result_bits: RESULT_BITS
                    - match plain {
                        false => 4,
                        true if rows > MANY_SUMS => 2,
                        true => 0,
                    },
                weight_bits,
                bound: bound(course.trigonometric_bits, course.harmonics),
                fine_bound: bound(steps::FINE_BITS, most_harmonics),
                held: course.held,
            })
        };
        let usual = with(steps::course(&sizes, width))?;
        if rows < WIDE_ROWS || sizes.family != Family::Logistic || columns < WIDE_COLUMNS {
            return Ok(usual);
        }
        // Hessians cost as the square of the columns, gradients as the columns: whichever sends less.
        let wide = with(steps::wide(&sizes, width))?;
        let bytes = |schedule: &Self| {
            declare_training(schedule).map(|(owner, partner)| owner.counters().bytes_sent + partner.counters().bytes_sent)
        };
        Ok(if bytes(&wide)? < bytes(&usual)? { wide } else { usual })
    }

    /// Weights in all, the intercept included.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.sizes.owner_columns + self.sizes.partner_columns + 1
    }

    /// Rows whose predictors are computed in all steps together, the end check included.
    #[must_use]
    pub fn gate_rows(&self) -> usize {
        self.steps.iter().map(|step| step.rows).sum::<usize>() + self.last.rows
    }

    /// The solver of a planned step.
    #[must_use]
    pub fn solver(&self, step: &Step) -> &SolverPlan {
        match (step.hessian_rows, step.care) {
            (0, _) => &self.fine_solver,
            (_, Care::Rough) => &self.solver,
            _ => &self.extra_solver,
        }
    }

    /// The solver of a step with an end check.
    #[must_use]
    pub fn check_solver(&self, step: &Step) -> &SolverPlan {
        match (step.hessian_rows, step.care) {
            (0, _) => &self.stale_solver,
            (_, Care::Late) => &self.late_solver,
            _ => &self.extra_solver,
        }
    }

    /// Curvature by which the end check divides what a solver did not reach: no direction of usual curvature is as flat.
    #[must_use]
    pub fn slow(&self, solver: &SolverPlan) -> f64 {
        solver.lower.max(self.usual_slope / USUAL_OVER_SLOW)
    }

    /// Largest weight on a whitened column for which the columns' rounding moves no coefficient visibly: the variance of the predictors'
    /// error stays below 1/(2√n) with up to 16 such weights.
    #[must_use]
    pub fn largest_weight(&self) -> f64 {
        let variance = f64::from(-2 * COLUMN_BITS as i32).exp2() / 6.0;
        let large = self.weights().min(LARGE_WEIGHTS) as f64;
        (0.5 / ((self.sizes.rows as f64).sqrt() * variance * large)).sqrt()
    }

    /// The step after the planned ones and `done` others.
    #[must_use]
    pub fn extra(&self, done: usize) -> Step {
        // Of slopes that do not change the first Hessian of more rows is the last; of many rows the planned one does once more.
        let old = if self.sizes.family.has_fixed_slopes() { done > 0 } else { done == 0 && self.held.is_some() };
        let hessian_rows = if old { 0 } else { self.extra_hessian_rows };
        let care = if done < LATE { Care::Fine } else { Care::Late };
        Step { damping: 1.0, momentum: 0.0, hessian_rows, care, other_period: done % 2 == 1, ..self.last }
    }

    /// The span after one that predictors left: with few rows, where it costs little, the widest.
    #[must_use]
    pub fn next_span(&self, span: usize) -> usize {
        if self.sizes.rows <= WIDEST_AT_ONCE_ROWS { self.widest() } else { self.widest().min(span + 1) }
    }

    /// The bound of a step's end check. The step is applied after it; with an older Hessian, whose spectrum against the present one is
    /// within the momentum's, that at least halves what is there.
    #[must_use]
    pub fn bound(&self, step: &Step) -> f64 {
        match (step.hessian_rows, step.care) {
            (0, _) if self.held.is_some() && self.sizes.family == Family::Logistic => 4.0 * self.bound,
            (_, care) if care.is_fine() => self.fine_bound,
            _ => self.bound,
        }
    }

    /// The least span of a step after the planned ones and `done` others: predictors far outside may be too few to be noticed.
    #[must_use]
    pub fn least_span(&self, done: usize) -> usize {
        if self.sizes.family == Family::Logistic { self.widest().min(done / WIDER_AFTER) } else { 0 }
    }

    /// Most predictors beyond the interval that the end check of these gates lets pass.
    #[must_use]
    pub fn stray(&self, gates: &[GatePlan]) -> f64 {
        let bits = gates.iter().map(|gate| gate.bits).min().unwrap_or_default();
        let rows = self.sizes.rows as f64;
        STRAY_ROWS.0 + STRAY_ROWS.1 * rows + STRAY_ROUNDINGS * rows.sqrt() / f64::from(bits).exp2()
    }

    /// The middle of every span, beside the base logit.
    #[must_use]
    pub fn centre(&self) -> f64 {
        self.spans.first().map_or(0.0, |span| f64::midpoint(span.interval.low, span.interval.high))
    }

    /// The place of the widest span.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.spans.len().saturating_sub(1)
    }

    /// The same schedule, with standard errors at the end or without.
    #[must_use]
    pub fn with_standard_errors(self, standard_errors: bool) -> Self {
        Self { standard_errors, ..self }
    }

    /// The same schedule, with the variance of the residuals at the end or without.
    #[must_use]
    pub fn with_residual_variance(self, residual_variance: bool) -> Self {
        Self { residual_variance, ..self }
    }

    /// The gates of the slopes of all rows, on a span.
    #[must_use]
    pub fn slope_gates(&self, span: usize) -> Vec<GatePlan> {
        self.gates(&Step { hessian_rows: self.sizes.rows, care: Care::Close, other_period: false, ..self.last }, span)
    }

    /// Whether the start's slopes are the owner's secret.
    #[must_use]
    pub fn secret_start(&self) -> bool {
        self.sizes.weights.is_some() || self.sizes.family == Family::Poisson
    }

    /// Bits of the integers by which the residuals of a linear model are multiplied; None where all rows count alike or the gate
    /// multiplies.
    #[must_use]
    pub fn weigh_bits(&self) -> Option<u32> {
        let weights = self.sizes.weights.filter(|_| self.sizes.family == Family::Linear)?;
        Some(if weights.binary { 1 } else { REAL_WEIGHT_BITS })
    }

    /// A span by its place.
    #[must_use]
    pub fn span(&self, place: usize) -> &Span {
        &self.spans[place.min(self.widest())]
    }

    /// Precision of a Hessian on so many rows, whose slopes come from a span.
    #[must_use]
    pub fn precision(&self, rows: usize, span: usize, care: Care) -> HessianPrecision {
        // The slopes of a logistic model are at most 1/4.
        let largest = match self.sizes.family {
            Family::Logistic => 0,
            Family::Linear | Family::Gamma => 2,
            Family::Poisson => 2 + self.span(span).function_bits,
        };
        let fine = care.is_fine() && rows <= steps::SMALL_ROWS && self.sizes.family == Family::Logistic;
        let usual = if fine { self.usual_slope / FINER_SLOPES } else { self.usual_slope };
        HessianPrecision::new(rows, usual, largest + self.weight_bits)
    }

    /// The gates of a step on a span, one after the other over its rows: those of its Hessian, with residuals and slopes, and the
    /// others. A linear model has none.
    #[must_use]
    pub fn gates(&self, step: &Step, span: usize) -> Vec<GatePlan> {
        balance(self.unbalanced(step, span))
    }

    fn unbalanced(&self, step: &Step, place: usize) -> Vec<GatePlan> {
        if self.sizes.family == Family::Linear {
            return Vec::new();
        }
        let span = if step.other_period { self.span(place).other() } else { *self.span(place) };
        let scale = span.function_bits + self.weight_bits;
        // The slopes of a gamma model are its weights.
        let hessian_rows = if self.sizes.family == Family::Gamma { 0 } else { step.hessian_rows };
        let gate = GatePlan {
            rows: hessian_rows,
            first_bits: self.result_bits + scale,
            second_rows: hessian_rows,
            second_bits: self.precision(hessian_rows, place, step.care).slope_bits + scale,
            last_bits: None,
            harmonics: span.harmonics,
            half: false,
            bits: if step.care.is_fine() { steps::FINE_BITS } else { span.trigonometric_bits },
            frequency: span.frequency,
            owner_uploads: 0,
        };
        let harmonics = match (place, step.other_period) {
            (0, false) => step.harmonics,
            (0, true) => other_harmonics(step.harmonics),
            _ => span.harmonics,
        };
        let others = GatePlan { rows: step.rows - hessian_rows, second_rows: 0, harmonics, ..gate };
        [gate, others].into_iter().filter(|gate| gate.rows > 0).collect()
    }

    /// The gates of an end check: with the half harmonic, and the number of predictors beyond the interval.
    #[must_use]
    pub fn check_gates(&self, step: &Step, span: usize) -> Vec<GatePlan> {
        let check = |gate| GatePlan { half: true, last_bits: Some(RESULT_BITS), ..gate };
        balance(self.unbalanced(step, span).into_iter().map(check).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sizes(rows: usize) -> PublicSizes {
        PublicSizes::logistic(rows, 21, 21, (0.05, 0.2))
    }

    #[test]
    fn depends_on_sizes_and_options_only_and_fits_the_gate() {
        for rows in [200, 4_999, 5_000, 26_399, 1 << 20] {
            let schedule = Schedule::new(sizes(rows)).unwrap();
            assert_eq!(schedule, Schedule::new(sizes(rows)).unwrap());
            assert!(schedule.steps.iter().all(|s| s.rows > 0 && s.rows <= rows));
            assert!(schedule.steps[0].hessian_rows > 0);
            assert!(schedule.steps.iter().all(|s| s.hessian_rows <= s.rows));
            for step in &schedule.steps {
                let gates = schedule.gates(step, 0);
                assert_eq!(gates.iter().map(|gate| gate.rows).sum::<usize>(), step.rows);
                assert!(gates.iter().all(|gate| gate.level().is_ok()));
            }
            let middle = |span: &Span| f64::midpoint(span.interval.low, span.interval.high);
            for (place, span) in schedule.spans.iter().enumerate() {
                assert!(span.period() >= 1.35 * (span.interval.high - span.interval.low) * 0.999);
                assert_eq!(middle(span), middle(&schedule.spans[0]));
                assert!(schedule.check_gates(&schedule.extra(1), place).iter().all(|gate| gate.level().is_ok()));
            }
        }
        for family in [Family::Poisson, Family::Gamma] {
            let schedule = Schedule::new(PublicSizes { family, ..sizes(10_000) }).unwrap();
            assert!((0..=schedule.widest()).all(|place| schedule.check_gates(&schedule.extra(1), place)[0].level().is_ok()));
        }
        let wide = PublicSizes { logit_range: Some((-80.0, 80.0)), ..sizes(10_000) };
        let wide = Schedule::new(wide).unwrap();
        wide.check_gates(&wide.last, 0)[0].level().unwrap();
    }

    #[test]
    fn refuses_what_it_cannot_carry() {
        assert_eq!(Schedule::new(sizes(19)).unwrap_err().exit, Exit::Data);
        assert_eq!(Schedule::new(sizes(2_000_000)).unwrap_err().exit, Exit::Cap);
        let wide = PublicSizes { logit_range: Some((-200.0, 80.0)), ..sizes(10_000) };
        assert_eq!(Schedule::new(wide).unwrap_err().exit, Exit::Usage);
    }
}
