//! Shared numbers times the owner's private non-negative integers.
//!
//! **Purpose.** Row weights of a linear model that only the owner knows: who paid, or how much a row counts.
//!
//! **Functionality.** The owner (first role) has u_i, 0 ≤ u_i < 2^b; both hold shares of v_i modulo 2^50. Both get shares of u_i·v_i
//! modulo 2^50, exactly.
//!
//! u_i·v_i = u_i·v_i,owner + Σ_j u_ij·(2^j·v_i,partner): the owner knows the first term, and each bit u_ij of its weight chooses in
//! one correlated oblivious transfer whether the partner's 2^j·v_i,partner counts.
//!
//! **Security.** Semi-honest, that of the oblivious transfer: the partner learns nothing of the weights, neither side of v.
//! Number of rows and b are public.
//!
//! **Cost.** b correlated OTs of 50 bits a row, one round for each 65,536 OTs.
//! **Messages.** Those of the oblivious transfer. **Source.** Gilboa (CRYPTO 1999).

use crate::engine::Engine;
use crate::error::AlgebraError;
use crate::ring50::{self, MASK};
use colift_channel::{Channel, Meter};
use colift_correlation::{Role, ot_extension};

/// Transfers of one round.
const WAVE: usize = 1 << 16;

/// Rows of one round.
fn rows_at_a_time(bits: u32) -> usize {
    (WAVE / bits.max(1) as usize).max(1)
}

/// This party's shares of u·v; the owner passes `weights`, the partner none. Both pass the same `bits`.
///
/// # Errors
/// Config class: the owner's weights do not fit rows and bits. Channel and Peer classes of the oblivious transfer.
pub fn weigh(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    weights: Option<&[u64]>,
    bits: u32,
    shares: &[u64],
) -> Result<Vec<u64>, AlgebraError> {
    if weights.is_some() != (engine.role == Role::First)
        || weights.is_some_and(|weights| weights.len() != shares.len() || weights.iter().any(|u| *u >> bits != 0))
    {
        return Err(AlgebraError::Parameters(format!("row weights of {bits} bits for {} rows do not fit", shares.len())));
    }
    let step = rows_at_a_time(bits);
    let width = bits as usize;
    let mut products = Vec::with_capacity(shares.len());
    for (wave, shares) in shares.chunks(step).enumerate() {
        let parts = match weights {
            Some(weights) => {
                let weights = &weights[wave * step..][..shares.len()];
                let choices: Vec<bool> = weights.iter().flat_map(|u| (0..bits).map(move |j| u >> j & 1 == 1)).collect();
                let mut parts = engine.ot.receiver().correlate(channel, &choices, ring50::BITS)?;
                for (i, (u, share)) in weights.iter().zip(shares).enumerate() {
                    parts[i * width] = parts[i * width].wrapping_add(u.wrapping_mul(*share));
                }
                parts
            }
            None => {
                let payloads: Vec<u64> = shares.iter().flat_map(|share| (0..bits).map(move |j| share << j & MASK)).collect();
                engine.ot.sender().correlate(channel, &payloads, ring50::BITS)?
            }
        };
        products.extend(parts.chunks_exact(width).map(|row| row.iter().fold(0u64, |sum, part| sum.wrapping_add(*part)) & MASK));
    }
    Ok(products)
}

/// Notes the messages of [`weigh`] on so many rows.
pub fn declare(meter: &mut Meter, role: Role, bits: u32, rows: usize) {
    let step = rows_at_a_time(bits);
    for start in (0..rows).step_by(step) {
        let transfers = step.min(rows - start) * bits as usize;
        match role {
            Role::First => ot_extension::declare_receiver(meter, transfers, ring50::BITS),
            Role::Second => ot_extension::declare_sender(meter, transfers, ring50::BITS),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_primitives::rng::Prg;
    use colift_testkit::run_pair;

    #[test]
    fn products_are_exact_and_cost_what_is_declared() {
        let mut prg = Prg::from_os().unwrap();
        for (bits, rows) in [(1u32, 3_000usize), (12, 6_000), (7, 1)] {
            let weights: Vec<u64> = (0..rows).map(|_| prg.below(1 << bits)).collect();
            let values: Vec<i64> = (0..rows).map(|_| prg.below(1 << 31) as i64 - (1 << 30)).collect();
            let ours: Vec<u64> = (0..rows).map(|_| prg.below(1 << 50)).collect();
            let theirs: Vec<u64> = values.iter().zip(&ours).map(|(v, o)| ring50::sub(ring50::from_signed(*v), *o)).collect();
            let run = |role: Role, shares: Vec<u64>, weights: Option<Vec<u64>>| {
                move |channel: &mut colift_channel::memory::MemoryChannel| {
                    let mut engine = Engine::setup(channel, role).unwrap();
                    (weigh(&mut engine, channel, weights.as_deref(), bits, &shares).unwrap(), channel.counters())
                }
            };
            let (a, b, ..) = run_pair(run(Role::First, ours, Some(weights.clone())), run(Role::Second, theirs, None));
            for (role, measured) in [(Role::First, a.1), (Role::Second, b.1)] {
                let mut meter = Meter::default();
                Engine::declare_setup(&mut meter, role);
                declare(&mut meter, role, bits, rows);
                assert_eq!(measured, meter.counters(), "{role:?}");
            }
            for i in 0..rows {
                assert_eq!(ring50::to_signed(ring50::add(a.0[i], b.0[i])), weights[i] as i64 * values[i]);
            }
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let owner = |channel: &mut colift_channel::memory::MemoryChannel| {
            let mut engine = Engine::setup(channel, Role::First).unwrap();
            let refused = |weights: Option<&[u64]>, engine: &mut Engine, channel: &mut colift_channel::memory::MemoryChannel| {
                matches!(weigh(engine, channel, weights, 1, &[5, 6]), Err(AlgebraError::Parameters(_)))
            };
            assert!(refused(Some(&[1, 2]), &mut engine, channel));
            assert!(refused(Some(&[1]), &mut engine, channel));
            assert!(refused(None, &mut engine, channel));
        };
        run_pair(owner, |channel| {
            Engine::setup(channel, Role::Second).unwrap();
        });
    }
}
