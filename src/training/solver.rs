//! H⁻¹g on shares: Chebyshev semi-iterations with public bounds of the spectrum, and the Newton decrement gᵀH⁻¹g of the end check.
//!
//! On locally whitened columns the Hessians of the real sets have condition numbers of 3 to 1,400. Two ways, whichever sends less:
//! - *by vectors*: each iteration is one masked reply each way ([`colift_algebra::symmetric`]), d numbers in it;
//! - *by an inverse*: a reply of d × d numbers is hardly longer while d² is below 8,192, so the first m iterations run on all unit
//!   vectors at once. They give X = p(H), whose product X·H has its spectrum within 1 ± 1/T_m(σ). X is uploaded once; k Chebyshev
//!   iterations with X·H then do what m·k iterations do with H, since T_k(T_m) = T_km.
//!
//! An inverse by Newton–Schulz would need d × d × d products with two uploads each (docs/adr/0005). The residual is kept untruncated
//! (44 fraction bits); directions are lifted.
//!
//! **Decrement.** With s from either way, u = g + r and r = g − H·s what s lacks, gᵀH⁻¹g = sᵀu + rᵀH⁻¹r ≤ sᵀu + ‖r‖²/L for a spectrum
//! above L. Of directions flatter than L, of which `Schedule::slow` assumes none, what the solver did not reach is counted too low. Source: Golub and Varga (1961); Boyd and Vandenberghe, Convex
//! Optimization, §9.5.1 (the decrement).

use crate::training::schedule::{HESSIAN_BITS, STEP_BITS, SolverPlan};
use crate::training::secure::Party;
use colift_algebra::AlgebraError;
use colift_algebra::lift::{Batch, lift};
use colift_algebra::product::{Entries, Plan, Shape, multiply, receive_product, receive_upload, upload};
use colift_algebra::ring50::{self, MASK};
use colift_algebra::symmetric::SharedMatrix;

/// Fraction bits of an inverse's entries, which reach 1/L.
const INVERSE_BITS: u32 = 16;

/// A Hessian as the solver uses it.
pub(crate) struct Operator {
    hessian: SharedMatrix,
    /// p(H), where the plan wants one.
    inverse: Option<SharedMatrix>,
}

/// A solution on its way: x, the last direction, and the residual (with the Hessian's fraction bits more) before that direction was
/// taken from it.
struct Iterated {
    solution: Vec<u64>,
    direction: Vec<u64>,
    residual: Vec<u64>,
}

/// A solution and what it lacks, both with [`STEP_BITS`].
pub(crate) struct Solved {
    pub(crate) solution: Vec<u64>,
    /// g − H·solution.
    pub(crate) residual: Vec<u64>,
}

impl Operator {
    /// Uploads the shares of a Hessian, and makes and uploads its approximate inverse where the plan has one.
    pub(crate) fn new(party: &mut Party<'_>, shares: Vec<u64>, plan: &SolverPlan) -> Result<Self, AlgebraError> {
        let size = party.size();
        let hessian = SharedMatrix::exchange(party.engine, party.channel, shares, size, plan.laid_out(size))?;
        if plan.refinements == 0 {
            return Ok(Self { hessian, inverse: None });
        }
        let mut unit = vec![0u64; size * size];
        if party.owner() {
            unit.iter_mut().step_by(size + 1).for_each(|one| *one = 1 << STEP_BITS);
        }
        let rows = chebyshev(party, &hessian, None, &unit, (plan.upper, plan.lower), plan.iterations)?.solution;
        let factor = f64::from(INVERSE_BITS as i32 - STEP_BITS as i32).exp2();
        let lifted = lift(party.engine, party.channel, &[Batch { shares: &rows, modulus: MASK + 1, factor }])?.concat();
        // p(H) is symmetric but for roundings: both sides take the entries above the diagonal.
        let shares = (0..size * size).map(|at| lifted[(at / size).min(at % size) * size + (at / size).max(at % size)]).collect();
        let inverse = Some(SharedMatrix::exchange(party.engine, party.channel, shares, size, 1)?);
        Ok(Self { hessian, inverse })
    }

    /// This party's shares of an approximation of H⁻¹g; g has [`STEP_BITS`] like the result.
    pub(crate) fn solve(&self, party: &mut Party<'_>, g: &[u64], plan: &SolverPlan) -> Result<Vec<u64>, AlgebraError> {
        Ok(self.iterate(party, g, plan)?.solution)
    }

    /// The same, and what it lacks: one product more.
    pub(crate) fn solve_fully(&self, party: &mut Party<'_>, g: &[u64], plan: &SolverPlan) -> Result<Solved, AlgebraError> {
        let Iterated { solution, direction, mut residual } = self.iterate(party, g, plan)?;
        let product = self.hessian.times(party.engine, party.channel, &direction)?;
        residual.iter_mut().zip(product).for_each(|(r, p)| *r = ring50::sub(*r, p));
        let factor = f64::from(HESSIAN_BITS).exp2().recip();
        let residual = lift(party.engine, party.channel, &[Batch { shares: &residual, modulus: MASK + 1, factor }])?.concat();
        Ok(Solved { solution, residual })
    }

    fn iterate(&self, party: &mut Party<'_>, g: &[u64], plan: &SolverPlan) -> Result<Iterated, AlgebraError> {
        match &self.inverse {
            None => chebyshev(party, &self.hessian, None, g, (plan.upper, plan.lower), plan.iterations),
            Some(inverse) => chebyshev(party, &self.hessian, Some(inverse), g, plan.inverse_bounds(), plan.refinements),
        }
    }
}

/// This party's shares of approximations of H⁻¹g for several vectors g, one after the other, by iterations with the Hessian.
pub(crate) fn solve_many(party: &mut Party<'_>, hessian: &SharedMatrix, g: &[u64], plan: &SolverPlan) -> Result<Vec<u64>, AlgebraError> {
    Ok(chebyshev(party, hessian, None, g, (plan.upper, plan.lower), plan.iterations)?.solution)
}

/// The semi-iteration for H·x = g, or X·H·x = X·g, with the bounds (upper, lower) of the spectrum.
fn chebyshev(
    party: &mut Party<'_>,
    hessian: &SharedMatrix,
    inverse: Option<&SharedMatrix>,
    g: &[u64],
    (upper, lower): (f64, f64),
    iterations: usize,
) -> Result<Iterated, AlgebraError> {
    let (theta, delta) = ((upper + lower) / 2.0, (upper - lower) / 2.0);
    let sigma = theta / delta;
    let whole = |party: &mut Party<'_>, shares: &[u64], factor: f64| -> Result<Vec<u64>, AlgebraError> {
        Ok(lift(party.engine, party.channel, &[Batch { shares, modulus: MASK + 1, factor }])?.concat())
    };
    let (shrink, unscale) = (f64::from(HESSIAN_BITS).exp2().recip(), f64::from(INVERSE_BITS).exp2().recip());
    let mut residual: Vec<u64> = g.iter().map(|x| ring50::scale(*x, 1 << HESSIAN_BITS)).collect();
    let mut direction = match inverse {
        None => whole(party, g, 1.0 / theta)?,
        Some(inverse) => {
            let preconditioned = inverse.times(party.engine, party.channel, g)?;
            whole(party, &preconditioned, unscale / theta)?
        }
    };
    let mut solution = direction.clone();
    let mut rho = 1.0 / sigma;
    for _ in 1..iterations {
        let product = hessian.times(party.engine, party.channel, &direction)?;
        residual.iter_mut().zip(product).for_each(|(r, p)| *r = ring50::sub(*r, p));
        let next = 1.0 / (2.0 * sigma - rho);
        let (right, factor) = match inverse {
            None => (residual.clone(), 2.0 * next / delta * shrink),
            Some(inverse) => {
                let short = whole(party, &residual, shrink)?;
                (inverse.times(party.engine, party.channel, &short)?, 2.0 * next / delta * unscale)
            }
        };
        let batches =
            [Batch { shares: &direction, modulus: MASK + 1, factor: next * rho }, Batch { shares: &right, modulus: MASK + 1, factor }];
        let parts = lift(party.engine, party.channel, &batches)?;
        direction = parts[0].iter().zip(&parts[1]).map(|(a, b)| ring50::add(*a, *b)).collect();
        solution.iter_mut().zip(&direction).for_each(|(x, d)| *x = ring50::add(*x, *d));
        rho = next;
    }
    Ok(Iterated { solution, direction, residual })
}

/// The plan of an inner product of two shared vectors of this length.
pub(crate) fn inner_plan(length: usize) -> Result<Plan, AlgebraError> {
    Plan::new(Shape::new(1, length, 1, ring50::BITS - 1), false)
}

/// The two vectors whose inner product bounds the decrement, steps and gradients, and this party's share of it (2·[`STEP_BITS`]
/// fraction bits): exact while the product is below 1/2.
pub(crate) fn decrement(party: &mut Party<'_>, g: &[u64], solved: &Solved, lower: f64) -> Result<([Vec<u64>; 2], u64), AlgebraError> {
    let batch = [Batch { shares: &solved.residual, modulus: MASK + 1, factor: 1.0 / lower }];
    let left = [solved.solution.clone(), lift(party.engine, party.channel, &batch)?.concat()].concat();
    let right: Vec<u64> = g.iter().zip(&solved.residual).map(|(g, r)| ring50::add(*g, *r)).chain(solved.residual.iter().copied()).collect();
    let plan = inner_plan(left.len())?;
    upload(party.engine, party.channel, &plan, &|j, _| right[j])?;
    let uploaded = receive_upload(party.engine, party.channel, &plan)?;
    let entry = |_: usize, j: usize| ring50::to_signed(left[j]);
    let ours = multiply(party.engine, party.channel, &plan, &uploaded, Entries::Wide(&entry))?;
    let theirs = receive_product(party.engine, party.channel, &plan)?;
    let local = left.iter().zip(&right).fold(0u64, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)));
    let remote = ours.iter().chain(&theirs).fold(0u64, |sum, share| sum.wrapping_add(*share));
    Ok(([left, right], local.wrapping_add(remote) & MASK))
}
