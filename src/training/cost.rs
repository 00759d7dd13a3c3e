//! What a whole training costs on the link, declared before it runs: every message of the setup and of the training, in order.
//!
//! A function of the public [`Schedule`] alone, built from the declared costs of the protocols, so that a difference between
//! this and a measured run is a bug in one of them. The same steps as [`crate::training::secure`], without the data.

use crate::error::Failure;
use crate::training::family::Family;
use crate::training::hessian::{cross_plan, own_plan};
use crate::training::inference::forms_plan;
use crate::training::opening;
use crate::training::schedule::{HessianPrecision, Schedule, Step};
use crate::training::secure::{backward_plan, forward_plan};
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

    fn hessian(&mut self, rows: usize, precision: &HessianPrecision) -> Result<(), AlgebraError> {
        let (owner, partner) = self.widths;
        self.both_ways(&own_plan(rows, owner, precision)?, &own_plan(rows, partner, precision)?);
        self.both_ways(&cross_plan(rows, owner, partner, precision)?, &cross_plan(rows, partner, owner, precision)?);
        let pairs = |width: usize| width * (width + 1) / 2;
        self.lift(pairs(owner) + pairs(partner) + owner * partner);
        Ok(())
    }

    fn exchange(&mut self) -> Result<(), AlgebraError> {
        let size = self.size();
        SharedMatrix::declare_exchange(&mut self.owner, size, 1)?;
        SharedMatrix::declare_exchange(&mut self.partner, size, 1)
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

    fn solve(&mut self, iterations: usize) -> Result<(), AlgebraError> {
        self.solve_many(iterations, 1)
    }

    fn solve_many(&mut self, iterations: usize, vectors: usize) -> Result<(), AlgebraError> {
        let size = self.size();
        self.lift(size * vectors);
        for _ in 1..iterations {
            SharedMatrix::declare_times(&mut self.owner, size, vectors)?;
            SharedMatrix::declare_times(&mut self.partner, size, vectors)?;
            self.lift(2 * size * vectors);
        }
        Ok(())
    }

    /// [`crate::training::inference`].
    fn standard_errors(&mut self, schedule: &Schedule) -> Result<(), AlgebraError> {
        let ((owner, partner), rows, size) = (self.widths, schedule.sizes.rows, self.size());
        let precision = schedule.precision(rows);
        let gates = schedule.slope_gates();
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
        self.solve_many(schedule.inverse_solver.iterations, size)?;
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
/// the owner and for the partner.
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
    let mut ends = Ends { owner: Meter::default(), partner: Meter::default(), widths: (0, 0) };
    ends.each(Engine::declare_setup);
    for schedule in schedules {
        ends.widths = (schedule.sizes.owner_columns + 1, schedule.sizes.partner_columns);
        declare_one(&mut ends, schedule)?;
    }
    Ok((ends.owner, ends.partner))
}

/// One training after the setup.
fn declare_one(ends: &mut Ends, schedule: &Schedule) -> Result<(), Failure> {
    let widths = ends.widths;
    let size = ends.size();
    if let Some(start) = &schedule.start {
        ends.owner_asks(&backward_plan(schedule.sizes.rows, widths.1)?);
        ends.lift(size);
        let precision = schedule.precision(start.hessian_rows);
        if schedule.secret_start() {
            ends.hessian(start.hessian_rows, &precision)?;
        } else {
            ends.constant_hessian(start.hessian_rows, &precision)?;
        }
        ends.exchange()?;
        ends.solve(schedule.solver.iterations)?;
        ends.lift(size);
    }
    for step in &schedule.steps {
        ends.gradient(step.rows, &schedule.gates(step), schedule)?;
        if step.hessian_rows > 0 {
            ends.hessian(step.hessian_rows, &schedule.precision(step.hessian_rows))?;
            ends.exchange()?;
        }
        ends.solve(schedule.solver(step).iterations)?;
        ends.applied(step);
    }
    // End check: a step without a Hessian, two comparisons, one AND, one bit; then the step is applied and weights open.
    ends.gradient(schedule.last.rows, &schedule.check_gates(), schedule)?;
    ends.solve(schedule.solver(&schedule.last).iterations)?;
    ends.each(|meter, role| {
        compare::declare_all_within(meter, role, size, ring50::BITS);
        compare::declare_all_within(meter, role, size, ring50::BITS);
        pair::declare_and(meter, Form::Columns, 1);
        opening::declare_end_check(meter);
    });
    ends.applied(&schedule.last);
    opening::declare_own_weights(&mut ends.owner, widths.0, widths.1);
    opening::declare_own_weights(&mut ends.partner, widths.1, widths.0);
    if schedule.residual_variance {
        ends.owner_asks(&variance::plan(schedule.sizes.rows)?);
        opening::declare_residual_sum(&mut ends.owner, &mut ends.partner);
    }
    if schedule.standard_errors {
        ends.standard_errors(schedule)?;
    }
    Ok(())
}
