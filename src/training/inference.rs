//! Standard errors of the own weights from the shared inverse Hessian of all training rows.
//!
//! **Purpose.** z and p-values beside the weights, for each side's own columns.
//!
//! **Functionality.** Both hold shares of the final weights. The variance of a weight on a standardised column is vᵀH⁻¹v/n (times the
//! family's dispersion, 1 for a logistic model), H the Hessian of the objective on all n rows at the final weights, v the column's
//! row of B in whitened coordinates, which is private. Each side learns the numbers of its own columns, the owner that of the
//! intercept too. Directions d that whitening leaves out because X·d = c on all rows are determined by the ridge alone: each side adds
//! their |d|²/λ to its own numbers, and c²/λ to the intercept's, the partner on its share.
//!
//! **How.** H on shares as for a Newton step, but on all rows; H·x = v for all columns of both sides at once by Chebyshev iterations
//! (`training::solver`) that shrink the error by two hundred; vᵀx by one product each way, of which the diagonal counts.
//!
//! **Security.** Semi-honest, that of the products and gates. One opening, of the item `own_standard_errors`; nothing of the other
//! side's columns but these numbers.
//!
//! **Cost.** A gate with slopes and a Hessian on all rows, then for d weights some dozen products of two shared d × d matrices: for
//! wide jobs the most expensive part of all. **Source.** McCullagh and Nelder (1989), §4.4; our own form on shares.

use crate::error::Failure;
use crate::training::family::Family;
use crate::training::features::Direction;
use crate::training::hessian::{constant_hessian, hessian};
use crate::training::opening::{self, Ledger};
use crate::training::response::Response;
use crate::training::schedule::{Care, STEP_BITS, Schedule, Start};
use crate::training::secure::Party;
use crate::training::solver::solve_many;
use colift_algebra::AlgebraError;
use colift_algebra::product::{Plan, Shape, Tile};
use colift_algebra::ring50::{self, MASK};
use colift_algebra::symmetric::SharedMatrix;

/// Fraction bits of the directions v, whose norm is 1.
const DIRECTION_BITS: u32 = 12;
/// Most that the partner adds to the intercept's form: half of what a share holds.
const MOST_CONSTANT: f64 = 4096.0;

/// The plan of the quadratic forms of a side with so many weights.
pub(crate) fn forms_plan(width: usize) -> Result<Plan, AlgebraError> {
    Plan::new(Shape::new(width, width, width, DIRECTION_BITS + 1), false)
}

/// Standard errors of the own weights on standardised columns, the owner's intercept first.
///
/// # Errors
/// Exit 18 where the job does not list them; link and protocol failures by class.
pub(crate) fn standard_errors(
    party: &mut Party<'_>,
    schedule: &Schedule,
    w: &[u64],
    span: usize,
    response: Option<&Response<'_>>,
    ledger: &mut Ledger,
) -> Result<Vec<f64>, Failure> {
    let (rows, size, own) = (party.features.rows(), party.size(), party.features.width());
    // Step 1: the Hessian of all rows.
    let precision = schedule.precision(rows, span, Care::Close);
    let shares = match schedule.sizes.family {
        Family::Logistic | Family::Poisson => {
            let slopes = party.slopes(w, &schedule.slope_gates(span), response)?;
            hessian(party, &slopes, &precision)?
        }
        Family::Linear | Family::Gamma if schedule.sizes.weights.is_some() => {
            let slopes = response.map(|response| response.constant_slopes(0.0, rows, precision.slope_bits));
            hessian(party, &slopes.unwrap_or_else(|| vec![0; rows]), &precision)?
        }
        Family::Linear | Family::Gamma => constant_hessian(party, &Start { hessian_rows: rows, damping: 1.0, slope: 1.0 }, &precision)?,
    };
    let matrix = SharedMatrix::exchange(party.engine, party.channel, shares, size, size)?;
    // Step 2: H⁻¹v for every weight of both sides, the owner's first; each side's share of the other's right sides is 0.
    let directions = party.features.directions();
    let before = if party.owner() { 0 } else { party.peer_width };
    let mut right = vec![0u64; size * size];
    for (j, direction) in directions.iter().enumerate() {
        let row = &mut right[(before + j) * size + before..][..own];
        row.iter_mut().zip(&direction.unit).for_each(|(slot, v)| *slot = ring50::from_real(*v, STEP_BITS));
    }
    let solution = solve_many(party, &matrix, &right, &schedule.inverse_solver)?;
    // Step 3: vᵀx. Own shares are local, the peer's come by a product.
    let entry = |j: usize, i: usize| (directions[j].unit[i] * f64::from(1u32 << DIRECTION_BITS)).round() as i32;
    let write = |tile: &Tile, out: &mut [i32]| tile.write_rows(out, |j| tile.inner.clone().map(move |i| entry(j, i)));
    let peer = party.peer_width;
    let peers_before = if party.owner() { own } else { 0 };
    let at = |j: usize, i: usize| solution[j * size + i];
    let (ours, theirs) = party.both_ways(&forms_plan(own)?, &write, &forms_plan(peer)?, &|i, j| at(peers_before + j, peers_before + i))?;
    let mine: Vec<u64> = (0..own)
        .map(|j| {
            let local = (0..own).map(|i| (i64::from(entry(j, i)) as u64).wrapping_mul(at(before + j, before + i)));
            local.fold(ours[j * own + j], u64::wrapping_add) & MASK
        })
        .collect();
    let mut peers: Vec<u64> = (0..peer).map(|j| theirs[j * peer + j]).collect();
    if let Some(intercept) = peers.first_mut().filter(|_| !party.owner()) {
        // Cut levels of one set add up to a constant, which the intercept's form counts too.
        let more = ring50::from_real(party.features.constant().min(MOST_CONSTANT), STEP_BITS + DIRECTION_BITS);
        *intercept = ring50::add(*intercept, more);
    }
    // Step 4: each side learns its own.
    let opened = opening::own_standard_errors(party.channel, ledger, &mine, &peers)?;
    let variance = |q: u64| ring50::to_real(q, STEP_BITS + DIRECTION_BITS).max(0.0) / rows as f64;
    let error = |(q, direction): (&u64, &Direction)| {
        let own = direction.norm * direction.norm * variance(*q);
        (own + direction.left_out / rows as f64).sqrt()
    };
    Ok(opened.iter().zip(&directions).map(error).collect())
}
