//! A training on its way: its steps and end checks, on one party's shares of weights, gradients and Hessians.

use super::ending::{LARGEST_PRODUCT, largest_factors};
use super::{Evaluated, Party};
use crate::error::{Exit, Failure};
use crate::training::family::Family;
use crate::training::hessian::{constant_hessian, hessian};
use crate::training::opening::{self, Ledger};
use crate::training::response::Response;
use crate::training::schedule::{Care, STEP_BITS, Schedule, SolverPlan, Start, Step, WEIGHT_BITS};
use crate::training::solver::{Operator, Solved, decrement};
use colift_algebra::AlgebraError;
use colift_algebra::gate::{GatePlan, RESULT_BITS};
use colift_algebra::lift::{Batch, lift};
use colift_algebra::ring50::{self, MASK};
use colift_correlation::compare;

/// Planned steps after which predictors have hardly ever left the interval: the training goes back there where it left the widest one.
pub(super) const EARLY_STEPS: usize = 1;

/// A training on its way: this party's shares.
pub(super) struct Course<'a> {
    pub(super) party: Party<'a>,
    schedule: &'a Schedule,
    pub(super) response: Option<Response<'a>>,
    pub(super) w: Vec<u64>,
    /// w before the last move.
    before: Vec<u64>,
    /// The last step, before its length.
    last: Vec<u64>,
    /// w after the first planned steps.
    pub(super) early: Vec<u64>,
    operator: Option<Operator>,
    /// The gate's span.
    pub(super) span: usize,
    /// Whether the last step with an end check was applied.
    pub(super) applied: bool,
}

impl<'a> Course<'a> {
    pub(super) fn new(party: Party<'a>, schedule: &'a Schedule, response: Option<Response<'a>>) -> Self {
        let size = party.size();
        let mut w = vec![0u64; size];
        // The constant model's own intercept is the owner's secret like its other shares.
        w[0] = ring50::from_real(response.as_ref().map_or(0.0, Response::constant_predictor), WEIGHT_BITS);
        Self {
            party,
            schedule,
            response,
            before: w.clone(),
            early: w.clone(),
            w,
            last: vec![0; size],
            operator: None,
            span: 0,
            applied: true,
        }
    }

    /// The first step, whose residuals are the owner's own.
    pub(super) fn start(&mut self, start: &Start) -> Result<(), Failure> {
        let (schedule, response) = (self.schedule, self.response.as_ref());
        let constant = response.map_or(0.0, Response::constant_predictor);
        let residuals = response.map(|response| response.constant_residuals(constant));
        let g = self.party.first_gradient(residuals.as_deref(), schedule.result_bits)?;
        if start.hessian_rows == 0 {
            apply(&mut self.party, &mut self.w, &mut self.before, &g, start.damping / start.slope, 0.0)?;
            return Ok(());
        }
        let shares = self.fixed_hessian(start)?;
        let operator = Operator::new(&mut self.party, shares, &schedule.solver)?;
        let step = operator.solve(&mut self.party, &g, &schedule.solver)?;
        apply(&mut self.party, &mut self.w, &mut self.before, &step, start.damping, 0.0)?;
        self.operator = Some(operator);
        Ok(())
    }

    /// Shares of a Hessian whose slopes do not depend on the weights.
    fn fixed_hessian(&mut self, start: &Start) -> Result<Vec<u64>, AlgebraError> {
        let precision = self.schedule.precision(start.hessian_rows, self.span, Care::Rough);
        if !self.schedule.secret_start() {
            return constant_hessian(&mut self.party, start, &precision);
        }
        // The slopes are the owner's own: its shares are all there is of them.
        let slopes = self.response.as_ref().map(|response| {
            let constant = response.constant_predictor();
            response.constant_slopes(constant, start.hessian_rows, precision.slope_bits)
        });
        hessian(&mut self.party, &slopes.unwrap_or_else(|| vec![0; start.hessian_rows]), &precision)
    }

    /// The gradient of a step's rows at w; where the step has a new Hessian, that too, ready for `solver`.
    fn evaluate(&mut self, step: &Step, gates: &[GatePlan], solver: &SolverPlan) -> Result<(Vec<u64>, u64), Failure> {
        let schedule = self.schedule;
        if let Some(response) = &mut self.response {
            response.prepare(gates, self.span)?;
        }
        let Evaluated { gradient, slopes, stray } = self.party.gradient(&self.w, step.rows, gates, schedule, self.response.as_ref())?;
        if step.hessian_rows > 0 {
            let shares = if schedule.sizes.family.has_fixed_slopes() {
                self.fixed_hessian(&Start { hessian_rows: step.hessian_rows, damping: 1.0, slope: 1.0 })?
            } else {
                hessian(&mut self.party, &slopes, &schedule.precision(step.hessian_rows, self.span, step.care))?
            };
            self.operator = Some(Operator::new(&mut self.party, shares, solver)?);
        }
        Ok((gradient, stray))
    }

    /// One planned step.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Failure> {
        let (schedule, solver) = (self.schedule, self.schedule.solver(step));
        let (g, _) = self.evaluate(step, &schedule.gates(step, self.span), solver)?;
        let operator = self.operator.as_ref().ok_or_else(no_hessian)?;
        self.last = operator.solve(&mut self.party, &g, solver)?;
        apply(&mut self.party, &mut self.w, &mut self.before, &self.last, step.damping, step.momentum)?;
        Ok(())
    }

    /// A step with an end check, applied whether the weights are near or not, but for a gradient from a series beyond its interval, which
    /// leads away: the same weights on the next wider span then, or those of an early step. Returns the opened bits: near, in range.
    pub(super) fn check(&mut self, step: &Step, ledger: &mut Ledger) -> Result<[bool; 2], Failure> {
        let schedule = self.schedule;
        let solver = schedule.check_solver(step);
        let gates = schedule.check_gates(step, self.span);
        let (g, stray) = self.evaluate(step, &gates, solver)?;
        let operator = self.operator.as_ref().ok_or_else(no_hessian)?;
        let solved = operator.solve_fully(&mut self.party, &g, solver)?;
        let near = self.near(&g, &solved, schedule.slow(solver), schedule.bound(step))?;
        let held = match schedule.held.filter(|_| step.hessian_rows == 0) {
            Some(bound) => self.within(&self.last.clone(), bound, STEP_BITS)?,
            None => self.party.owner(),
        };
        let ranged = match schedule.sizes.family {
            Family::Linear => self.party.owner(),
            _ => self.within(&[stray], schedule.stray(&gates), RESULT_BITS)?,
        };
        let near = self.both(near, held)?;
        let bits = opening::end_check(self.party.channel, ledger, [near, ranged])?;
        self.applied = bits[1];
        if self.applied {
            apply(&mut self.party, &mut self.w, &mut self.before, &solved.solution, step.damping, step.momentum)?;
            self.last = solved.solution;
        } else if self.span < schedule.widest() {
            self.span = schedule.next_span(self.span);
        } else {
            (self.w, self.before) = (self.early.clone(), self.early.clone());
        }
        Ok(bits)
    }

    /// This party's XOR share of n·gᵀH⁻¹g ≤ bound. The product wraps around unless its factors are small, so they must be.
    fn near(&mut self, g: &[u64], solved: &Solved, lower: f64, bound: f64) -> Result<bool, Failure> {
        let ([steps, gradients], product) = decrement(&mut self.party, g, solved, lower)?;
        let (largest_step, largest_gradient) = largest_factors(steps.len());
        let steps = self.within(&steps, largest_step, STEP_BITS)?;
        let gradients = self.within(&gradients, largest_gradient, STEP_BITS)?;
        let small = self.both(steps, gradients)?;
        // Rounded columns move predictors by 2^-11 of the weights' norm: more than that biases coefficients and no gradient shows it.
        let weights = self.within(&self.w.clone(), self.schedule.largest_weight(), WEIGHT_BITS)?;
        let small = self.both(small, weights)?;
        let bound = bound / self.schedule.sizes.rows as f64;
        let product = self.within(&[product], bound.min(LARGEST_PRODUCT), 2 * STEP_BITS)?;
        self.both(small, product)
    }

    /// This party's XOR share of |v| ≤ bound for all entries of a shared vector.
    fn within(&mut self, shares: &[u64], bound: f64, bits: u32) -> Result<bool, Failure> {
        let bound = (bound * f64::from(bits).exp2()) as u64;
        let (channel, transfers) = (&mut *self.party.channel, self.party.engine.transfers());
        Ok(compare::all_within(channel, transfers, shares, bound, ring50::BITS).map_err(AlgebraError::from)?)
    }

    /// This party's XOR share of a ∧ b.
    fn both(&mut self, a: bool, b: bool) -> Result<bool, Failure> {
        let (channel, transfers) = (&mut *self.party.channel, self.party.engine.transfers());
        let bit = transfers.and(channel, &[a], &[b]).map_err(AlgebraError::from)?;
        Ok(bit.first().copied().unwrap_or(false))
    }
}

fn no_hessian() -> Failure {
    Failure::new(Exit::Internal, 647, "the schedule starts without a Hessian")
}

/// w ← w − damping·step + momentum·(w − before); `before` becomes the old w. Public factors: the same lifts on both sides.
fn apply(
    party: &mut Party<'_>,
    w: &mut Vec<u64>,
    before: &mut Vec<u64>,
    step: &[u64],
    damping: f64,
    momentum: f64,
) -> Result<(), AlgebraError> {
    let factor = damping * f64::from(WEIGHT_BITS as i32 - STEP_BITS as i32).exp2();
    let moved: Vec<u64> = w.iter().zip(before.iter()).map(|(w, old)| ring50::sub(*w, *old)).collect();
    let mut batches = vec![Batch { shares: step, modulus: MASK + 1, factor }];
    if momentum != 0.0 {
        batches.push(Batch { shares: &moved, modulus: MASK + 1, factor: momentum });
    }
    let lifted = lift(party.engine, party.channel, &batches)?;
    let mut next = w.clone();
    for (w, step) in next.iter_mut().zip(lifted.first().into_iter().flatten()) {
        *w = ring50::sub(*w, *step);
    }
    for (w, moved) in next.iter_mut().zip(lifted.get(1).into_iter().flatten()) {
        *w = ring50::add(*w, *moved);
    }
    *before = std::mem::replace(w, next);
    Ok(())
}
