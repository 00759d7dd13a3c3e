//! H⁻¹g on shares: a fixed number of Chebyshev semi-iterations with public bounds of the spectrum.
//!
//! On locally whitened columns the Hessians of the real sets have condition numbers of 7 to 90, so a few dozen
//! products suffice and each costs one masked reply each way ([`colift_algebra::symmetric`]); a shared inverse by
//! Newton–Schulz would need d × d × d products (docs/adr/0005). The residual is kept untruncated (40 fraction bits); only the
//! direction is lifted, once an iteration.

use crate::training::schedule::{HESSIAN_BITS, SolverPlan};
use crate::training::secure::Party;
use colift_algebra::AlgebraError;
use colift_algebra::lift::{Batch, lift};
use colift_algebra::ring50::{self, MASK};
use colift_algebra::symmetric::SharedMatrix;

/// This party's shares of an approximation of H⁻¹g; g and the result have [`crate::training::schedule::STEP_BITS`].
pub(crate) fn solve(party: &mut Party<'_>, matrix: &SharedMatrix, g: &[u64], plan: &SolverPlan) -> Result<Vec<u64>, AlgebraError> {
    let (theta, delta) = ((plan.upper + plan.lower) / 2.0, (plan.upper - plan.lower) / 2.0);
    let sigma = theta / delta;
    let shrink = 1.0 / f64::from(HESSIAN_BITS).exp2();
    let mut rho = 1.0 / sigma;
    let mut residual: Vec<u64> = g.iter().map(|x| ring50::scale(*x, 1 << HESSIAN_BITS)).collect();
    let first = lift(party.engine, party.channel, &[Batch { shares: g, modulus: MASK + 1, factor: 1.0 / theta }])?;
    let mut direction = first.concat();
    let mut solution = direction.clone();
    for _ in 1..plan.iterations {
        let product = matrix.times(party.engine, party.channel, &direction)?;
        for (r, p) in residual.iter_mut().zip(product) {
            *r = ring50::sub(*r, p);
        }
        let next = 1.0 / (2.0 * sigma - rho);
        let batches = [
            Batch { shares: &direction, modulus: MASK + 1, factor: next * rho },
            Batch { shares: &residual, modulus: MASK + 1, factor: 2.0 * next / delta * shrink },
        ];
        let parts = lift(party.engine, party.channel, &batches)?;
        direction = parts[0].iter().zip(&parts[1]).map(|(a, b)| ring50::add(*a, *b)).collect();
        for (x, d) in solution.iter_mut().zip(&direction) {
            *x = ring50::add(*x, *d);
        }
        rho = next;
    }
    Ok(solution)
}
