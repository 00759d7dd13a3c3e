//! The variance of a linear model's residuals on rows that only the owner knows to count.
//!
//! **Purpose.** s² of the logarithm of amounts, which an expected amount e^(z + s²/2) needs.
//!
//! **Functionality.** The owner knows labels y, weights u and its part z_o of the predictors, the partner its part z_p, as each has
//! opened its own weights. The owner learns Σu(y − z_o − z_p)²/Σu, the partner nothing.
//!
//! **How.** With a = u·(y − z_o) the sum is Σu(y − z_o)², the owner's alone, plus Σ(−2z_p)·a + Σz_p²·u: one inner product of 2n numbers
//! of the partner's with 2n encrypted ones of the owner's, whose shares open to the owner.
//!
//! **Security.** Semi-honest, that of the products. One opening, of the item `residual_variance_to_owner`.
//!
//! **Cost.** 2n encrypted values, one reply. **Source.** Our own, from the backward product of [`crate::training::secure`].

use crate::error::Failure;
use crate::training::opening::{self, Ledger};
use crate::training::response::Response;
use crate::training::schedule::COLUMN_BITS;
use crate::training::secure::Party;
use colift_algebra::AlgebraError;
use colift_algebra::product::{Entries, Plan, Shape, Tile, multiply, receive_product, receive_upload, upload};
use colift_algebra::ring50;

/// Fraction bits of the partner's numbers.
const PARTNER_BITS: u32 = 10;
/// Fraction bits of the owner's numbers: with a million rows the mean of |2·z_p·a| may be up to 128.
const OWNER_BITS: u32 = 12;
/// The partner's part of a predictor is cut at ± this, e^32 in money.
const MOST: f64 = 32.0;
/// Bits that bound the partner's numbers: z_p² has 20, and the sign.
const ENTRY_BITS: u32 = 21;

/// The plan of the inner product.
pub(crate) fn plan(rows: usize) -> Result<Plan, AlgebraError> {
    Plan::new(Shape::new(1, 2 * rows, 1, ENTRY_BITS), false)
}

/// The variance, for the owner. `weights` are the own weights on whitened columns.
///
/// # Errors
/// Exit 18 where the job does not list it; link and protocol failures by class.
pub(crate) fn residual_variance(
    party: &mut Party<'_>,
    weights: &[f64],
    response: Option<&Response<'_>>,
    ledger: &mut Ledger,
) -> Result<Option<f64>, Failure> {
    let rows = party.features.rows();
    let mut z = vec![0.0; rows];
    for (j, weight) in weights.iter().enumerate() {
        let factor = weight / f64::from(COLUMN_BITS).exp2();
        z.iter_mut().zip(party.features.column(j)).for_each(|(z, x)| *z += factor * f64::from(*x));
    }
    let plan = plan(rows)?;
    let Some(response) = response else {
        let scale = f64::from(PARTNER_BITS).exp2();
        let entries: Vec<i32> = {
            let cut = |z: &f64| z.clamp(-MOST, MOST);
            let first = z.iter().map(|z| (-2.0 * cut(z) * scale).round() as i32);
            first.chain(z.iter().map(|z| (cut(z) * cut(z) * scale).round() as i32)).collect()
        };
        let uploaded = receive_upload(party.engine, party.channel, &plan)?;
        let write = |tile: &Tile, out: &mut [i32]| tile.write_rows(out, |_| entries[tile.inner.clone()].iter().copied());
        let shares = multiply(party.engine, party.channel, &plan, &uploaded, Entries::Small(&write))?;
        opening::residual_sum_to_owner(party.channel, ledger, shares.first().copied().unwrap_or_default())?;
        return Ok(None);
    };
    let residuals: Vec<f64> = z.iter().enumerate().map(|(row, z)| response.weighted_residual(row, *z)).collect();
    let value = |j: usize, _: usize| {
        let number = if j < rows { residuals[j] } else { response.weight(j - rows) };
        ring50::from_real(number, OWNER_BITS)
    };
    upload(party.engine, party.channel, &plan, &value)?;
    let shares = receive_product(party.engine, party.channel, &plan)?;
    let sum = opening::residual_sum(party.channel, ledger, shares.first().copied().unwrap_or_default())?;
    let counted: f64 = (0..rows).map(|row| response.weight(row)).sum();
    let own: f64 = z.iter().zip(&residuals).enumerate().map(|(row, (z, residual))| residual * response.difference(row, *z)).sum();
    Ok(Some(((own + ring50::to_real(sum, PARTNER_BITS + OWNER_BITS)) / counted).max(0.0)))
}
