//! The plan of a linear solver: public bounds of the spectrum, iterations, and which of two ways is cheaper.

use colift_algebra::symmetric::SharedMatrix;
use colift_algebra::{AlgebraError, lift};
use colift_channel::Meter;
use colift_correlation::Role;

/// A Chebyshev iteration with public bounds of the spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolverPlan {
    /// Upper bound of the eigenvalues.
    pub upper: f64,
    /// Lower bound; smaller eigenvalues converge more slowly but never diverge.
    pub lower: f64,
    /// Iterations, on the vector or, with refinements, on all unit vectors.
    pub iterations: usize,
    /// Iterations with the inverse that those make; 0 where there is none.
    pub refinements: usize,
}

impl SolverPlan {
    /// The same solver in its cheaper way, for Hessians of this size that serve one gradient each.
    pub(super) fn cheapest(self, size: usize) -> Result<Self, AlgebraError> {
        let bytes = |plan: &Self| -> Result<u64, AlgebraError> {
            let mut meter = Meter::default();
            plan.declare_operator(&mut meter, Role::First, size)?;
            plan.declare_solve(&mut meter, Role::First, size)?;
            Ok(meter.counters().bytes_sent)
        };
        let mut best = (bytes(&self)?, self);
        if SharedMatrix::plan(size, size).is_err() {
            return Ok(self);
        }
        for refinements in 2..=4 {
            let plan = Self { iterations: self.iterations.div_ceil(refinements), refinements, ..self };
            let cost = bytes(&plan)?;
            if cost < best.0 {
                best = (cost, plan);
            }
        }
        Ok(best.1)
    }

    /// Vectors for which a Hessian of this size is laid out.
    #[must_use]
    pub fn laid_out(&self, size: usize) -> usize {
        if self.refinements == 0 { 1 } else { size }
    }

    /// (upper, lower) bound of the spectrum of p(H)·H, p the first iterations: 1 ± 1/T_m(σ).
    #[must_use]
    pub fn inverse_bounds(&self) -> (f64, f64) {
        let sigma = (self.upper + self.lower) / (self.upper - self.lower);
        let (mut before, mut now) = (1.0, sigma);
        for _ in 1..self.iterations {
            (before, now) = (now, 2.0 * sigma * now - before);
        }
        (1.0 + 1.0 / now, 1.0 - 1.0 / now)
    }

    /// Notes the messages of [`crate::training::solver::Operator::new`].
    pub(crate) fn declare_operator(&self, meter: &mut Meter, role: Role, size: usize) -> Result<(), AlgebraError> {
        SharedMatrix::declare_exchange(meter, size, self.laid_out(size))?;
        if self.refinements > 0 {
            self.declare_vectors(meter, role, size, size)?;
            lift::declare(meter, role, size * size);
            SharedMatrix::declare_exchange(meter, size, 1)?;
        }
        Ok(())
    }

    /// Notes the messages of so many iterations of the first kind on so many vectors.
    pub(crate) fn declare_vectors(&self, meter: &mut Meter, role: Role, size: usize, vectors: usize) -> Result<(), AlgebraError> {
        lift::declare(meter, role, size * vectors);
        for _ in 1..self.iterations {
            SharedMatrix::declare_times(meter, size, self.laid_out(size).max(vectors), vectors)?;
            lift::declare(meter, role, 2 * size * vectors);
        }
        Ok(())
    }

    /// Notes the messages of one solution.
    pub(crate) fn declare_solve(&self, meter: &mut Meter, role: Role, size: usize) -> Result<(), AlgebraError> {
        if self.refinements == 0 {
            return self.declare_vectors(meter, role, size, 1);
        }
        SharedMatrix::declare_times(meter, size, 1, 1)?;
        lift::declare(meter, role, size);
        for _ in 1..self.refinements {
            SharedMatrix::declare_times(meter, size, size, 1)?;
            lift::declare(meter, role, size);
            SharedMatrix::declare_times(meter, size, 1, 1)?;
            lift::declare(meter, role, 2 * size);
        }
        Ok(())
    }

    /// Notes the messages of what a solution lacks.
    pub(crate) fn declare_residual(&self, meter: &mut Meter, role: Role, size: usize) -> Result<(), AlgebraError> {
        SharedMatrix::declare_times(meter, size, self.laid_out(size), 1)?;
        lift::declare(meter, role, size);
        Ok(())
    }
}
