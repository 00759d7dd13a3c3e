//! What a whole training costs on the link, declared before it runs: every message of the setup and of the training, in order.
//!
//! A function of the public [`Schedule`] alone, built from the declared costs of the protocols, so that a difference between
//! this and a measured run is a bug in one of them. The same steps as [`crate::training::secure`], without the data.

use crate::error::Failure;
use crate::training::family::Family;
use crate::training::hessian::{cross_plan, own_plan};
use crate::training::inference::forms_plan;
use crate::training::opening;
use crate::training::schedule::{Care, Extra, HessianPrecision, Schedule, SolverPlan, Step};
use crate::training::secure::{backward_plan, forward_plan};
use crate::training::solver::inner_plan;
use crate::training::variance;
use colift_algebra::gate::{self, GatePlan};
use colift_algebra::product::Plan;
use colift_algebra::symmetric::SharedMatrix;
use colift_algebra::{AlgebraError, Engine, lift, ring50, weigh};
use colift_channel::Meter;
use colift_correlation::{Form, Role, compare, pair};

/// Both ends of the link.
struct Ends {
    owner: Meter,
    partner: Meter,
    /// Weights of the owner, the intercept included, and of the partner.
    widths: (usize, usize),
}

impl Ends {
    fn size(&self) -> usize {
        self.widths.0 + self.widths.1
    }

    /// A step in which the roles differ.
    fn each(&mut self, note: impl Fn(&mut Meter, Role)) {
        note(&mut self.owner, Role::First);
        note(&mut self.partner, Role::Second);
    }

    fn lift(&mut self, elements: usize) {
        self.each(|meter, role| lift::declare(meter, role, elements));
    }

    /// One product in each direction; the plans by holder.
    fn both_ways(&mut self, owner: &Plan, partner: &Plan) {
        self.each(|meter, role| {
            let (held, asked) = if role == Role::First { (owner, partner) } else { (partner, owner) };
            asked.declare_uploads(|length| meter.sent(length));
            held.declare_uploads(|length| meter.received(length));
            held.declare_replies(|length| meter.sent(length));
            asked.declare_replies(|length| meter.received(length));
        });
    }

    fn gradient(&mut self, rows: usize, gates: &[GatePlan], schedule: &Schedule) -> Result<(), AlgebraError> {
        let (owner, partner) = self.widths;
        self.both_ways(&forward_plan(rows, owner)?, &forward_plan(rows, partner)?);
        if gates.is_empty() {
            if let Some(bits) = schedule.weigh_bits() {
                self.each(|meter, role| weigh::declare(meter, role, bits, rows));
            }
            self.lift(rows);
        } else {
            gate::declare(&mut self.owner, Role::First, gates)?;
            gate::declare(&mut self.partner, Role::Second, gates)?;
        }
        self.both_ways(&backward_plan(rows, owner)?, &backward_plan(rows, partner)?);
        let size = self.size();
        self.lift(2 * size);
        Ok(())
    }

    /// The gradient of a step, and its new Hessian where it has one, ready for a solver.
    fn evaluate(
        &mut self,
        step: &Step,
        gates: &[GatePlan],
        schedule: &Schedule,
        span: usize,
        solver: &SolverPlan,
    ) -> Result<(), AlgebraError> {
        self.gradient(step.rows, gates, schedule)?;
        if step.hessian_rows > 0 {
            if schedule.sizes.family.has_fixed_slopes() {
                self.fixed_hessian(step.hessian_rows, schedule, span)?;
            } else {
                self.hessian(step.hessian_rows, &schedule.precision(step.hessian_rows, span, step.care))?;
            }
            self.operator(solver)?;
        }
        Ok(())
    }

    /// A Hessian whose slopes do not depend on the weights.
    fn fixed_hessian(&mut self, rows: usize, schedule: &Schedule, span: usize) -> Result<(), AlgebraError> {
        let precision = schedule.precision(rows, span, Care::Rough);
        if schedule.secret_start() { self.hessian(rows, &precision) } else { self.constant_hessian(rows, &precision) }
    }

    /// A step with an end check.
    fn check(&mut self, step: &Step, schedule: &Schedule, span: usize, applied: bool) -> Result<(), AlgebraError> {
        let (size, solver) = (self.size(), schedule.check_solver(step));
        self.evaluate(step, &schedule.check_gates(step, span), schedule, span, solver)?;
        self.both(|meter, role| {
            solver.declare_solve(meter, role, size)?;
            solver.declare_residual(meter, role, size)
        })?;
        // The decrement and the bits.
        self.lift(size);
        let plan = inner_plan(2 * size)?;
        self.both_ways(&plan, &plan);
        let held = schedule.held.is_some() && step.hessian_rows == 0;
        self.each(|meter, role| {
            compare::declare_all_within(meter, role, 2 * size, ring50::BITS);
            compare::declare_all_within(meter, role, 2 * size, ring50::BITS);
            pair::declare_and(meter, Form::Columns, 1);
            compare::declare_all_within(meter, role, size, ring50::BITS);
            pair::declare_and(meter, Form::Columns, 1);
            compare::declare_all_within(meter, role, 1, ring50::BITS);
            pair::declare_and(meter, Form::Columns, 1);
            if held {
                compare::declare_all_within(meter, role, size, ring50::BITS);
            }
            if schedule.sizes.family != Family::Linear {
                compare::declare_all_within(meter, role, 1, ring50::BITS);
            }
            pair::declare_and(meter, Form::Columns, 1);
            opening::declare_end_check(meter);
        });
        // Where predictors left the span the step is not applied.
        if applied {
            self.applied(step);
        }
        Ok(())
    }

    /// A step of both sides that may fail.
    fn both(&mut self, note: impl Fn(&mut Meter, Role) -> Result<(), AlgebraError>) -> Result<(), AlgebraError> {
        note(&mut self.owner, Role::First)?;
        note(&mut self.partner, Role::Second)
    }

    fn operator(&mut self, solver: &SolverPlan) -> Result<(), AlgebraError> {
        let size = self.size();
        self.both(|meter, role| solver.declare_operator(meter, role, size))
    }

    fn hessian(&mut self, rows: usize, precision: &HessianPrecision) -> Result<(), AlgebraError> {
        let (owner, partner) = self.widths;
        self.both_ways(&own_plan(rows, owner, precision)?, &own_plan(rows, partner, precision)?);
        self.both_ways(&cross_plan(rows, owner, partner, precision)?, &cross_plan(rows, partner, owner, precision)?);
        let pairs = |width: usize| width * (width + 1) / 2;
        self.lift(pairs(owner) + pairs(partner) + owner * partner);
        Ok(())
    }

    /// One product that the partner holds.
    fn owner_asks(&mut self, plan: &Plan) {
        plan.declare_asked(&mut self.owner);
        plan.declare_held(&mut self.partner);
    }

    fn applied(&mut self, step: &Step) {
        let size = self.size();
        self.lift(if step.momentum == 0.0 { size } else { 2 * size });
    }

    fn solve(&mut self, solver: &SolverPlan) -> Result<(), AlgebraError> {
        let size = self.size();
        self.both(|meter, role| solver.declare_solve(meter, role, size))
    }

    /// [`crate::training::inference`].
    fn standard_errors(&mut self, schedule: &Schedule, span: usize) -> Result<(), AlgebraError> {
        let ((owner, partner), rows, size) = (self.widths, schedule.sizes.rows, self.size());
        let precision = schedule.precision(rows, span, Care::Close);
        let gates = schedule.slope_gates(span);
        if !gates.is_empty() && schedule.sizes.family != Family::Gamma {
            self.both_ways(&forward_plan(rows, owner)?, &forward_plan(rows, partner)?);
            gate::declare(&mut self.owner, Role::First, &gates)?;
            gate::declare(&mut self.partner, Role::Second, &gates)?;
            self.hessian(rows, &precision)?;
        } else if schedule.sizes.weights.is_some() {
            self.hessian(rows, &precision)?;
        } else {
            self.constant_hessian(rows, &precision)?;
        }
        SharedMatrix::declare_exchange(&mut self.owner, size, size)?;
        SharedMatrix::declare_exchange(&mut self.partner, size, size)?;
        self.both(|meter, role| schedule.inverse_solver.declare_vectors(meter, role, size, size))?;
        self.both_ways(&forms_plan(owner)?, &forms_plan(partner)?);
        opening::declare_own_weights(&mut self.owner, owner, partner);
        opening::declare_own_weights(&mut self.partner, partner, owner);
        Ok(())
    }

    /// The cross block of a Hessian with public slopes.
    fn constant_hessian(&mut self, rows: usize, precision: &HessianPrecision) -> Result<(), AlgebraError> {
        let (owner, partner) = self.widths;
        self.owner_asks(&cross_plan(rows, partner, owner, precision)?);
        self.lift(owner * partner);
        Ok(())
    }
}

/// Notes every message of [`Engine::setup`] and [`crate::training::secure::train`] up to the opening of the own weights, for
/// the owner and for the partner, where the first end check is passed.
///
/// # Errors
/// Exit 1: the schedule asks for parameters that no plan carries.
pub fn declare_training(schedule: &Schedule) -> Result<(Meter, Meter), Failure> {
    declare_trainings(std::slice::from_ref(schedule))
}

/// The same for trainings one after the other in one session.
///
/// # Errors
/// As [`declare_training`].
pub fn declare_trainings(schedules: &[Schedule]) -> Result<(Meter, Meter), Failure> {
    declare_with(&schedules.iter().map(|schedule| (schedule, Vec::new())).collect::<Vec<_>>())
}

/// The most that trainings one after the other can cost: every step after the planned ones, on the widest span.
///
/// # Errors
/// As [`declare_training`].
pub fn declare_most(schedules: &[Schedule]) -> Result<(Meter, Meter), Failure> {
    let most = schedules.iter().map(|schedule| (schedule, vec![Extra { span: schedule.widest(), again: false }; schedule.max_extra]));
    declare_with(&most.collect::<Vec<_>>())
}

/// What trainings cost with these steps after the planned ones ([`crate::training::secure::Trained::extra`]).
///
/// # Errors
/// As [`declare_training`].
pub fn declare_with(trainings: &[(&Schedule, Vec<Extra>)]) -> Result<(Meter, Meter), Failure> {
    let mut ends = Ends { owner: Meter::default(), partner: Meter::default(), widths: (0, 0) };
    ends.each(Engine::declare_setup);
    for (schedule, extra) in trainings {
        ends.widths = (schedule.sizes.owner_columns + 1, schedule.sizes.partner_columns);
        declare_one(&mut ends, schedule, extra)?;
    }
    Ok((ends.owner, ends.partner))
}

/// One training after the setup.
fn declare_one(ends: &mut Ends, schedule: &Schedule, extra: &[Extra]) -> Result<(), Failure> {
    let widths = ends.widths;
    let size = ends.size();
    if let Some(start) = &schedule.start {
        ends.owner_asks(&backward_plan(schedule.sizes.rows, widths.1)?);
        ends.lift(size);
        if start.hessian_rows > 0 {
            ends.fixed_hessian(start.hessian_rows, schedule, 0)?;
            ends.operator(&schedule.solver)?;
            ends.solve(&schedule.solver)?;
        }
        ends.lift(size);
    }
    for step in &schedule.steps {
        let solver = schedule.solver(step);
        ends.evaluate(step, &schedule.gates(step, 0), schedule, 0, solver)?;
        ends.solve(solver)?;
        ends.applied(step);
    }
    let applied = |place: usize| extra.get(place).is_none_or(|next| !next.again);
    ends.check(&schedule.last, schedule, 0, applied(0))?;
    for (place, one) in extra.iter().enumerate() {
        ends.check(&schedule.extra(place), schedule, one.span, applied(place + 1))?;
    }
    opening::declare_own_weights(&mut ends.owner, widths.0, widths.1);
    opening::declare_own_weights(&mut ends.partner, widths.1, widths.0);
    if schedule.residual_variance {
        ends.owner_asks(&variance::plan(schedule.sizes.rows)?);
        opening::declare_residual_sum(&mut ends.owner, &mut ends.partner);
    }
    if schedule.standard_errors {
        ends.standard_errors(schedule, extra.last().map_or(0, |last| last.span))?;
    }
    Ok(())
}
