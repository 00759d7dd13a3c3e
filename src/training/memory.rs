//! Memory of one side's training: the least it takes, and what is left to keep transformed columns between passes.
//!
//! least = 32 MiB + max(preparing, running), with n training rows and w own weights: preparing holds the standardised and the
//! whitened columns and the integers made of them, (8 + 8 + 2)·n·w bytes; running holds the table's columns and the integers,
//! (8 + 2)·n·w, [`ROW_BYTES`]·n for shares and oblivious transfers, and the buffers of the largest product or gate
//! ([`Plan::memory`], [`GatePlan::memory`]). Formula and measurement: docs/COSTS.md.

use crate::error::{Exit, Failure};
use crate::training::hessian::{cross_plan, own_plan};
use crate::training::schedule::Schedule;
use crate::training::secure::{backward_plan, forward_plan};
use colift_algebra::AlgebraError;
use colift_algebra::gate::GatePlan;
use colift_algebra::product::{Kept, Plan};

/// Program, keys, tables of the transform, the link's own buffers.
const BASE: u64 = 32 << 20;
/// Bytes a training row for logits, residuals, their shares and the lifts.
const ROW_BYTES: u64 = 160;
/// Used where the job sets no `max_memory`.
const DEFAULT_CAP: u64 = 4 << 30;

/// The least memory of one side.
///
/// # Errors
/// Exit 1: the schedule asks for parameters that no plan carries.
pub fn least_bytes(schedule: &Schedule, owner: bool) -> Result<u64, Failure> {
    let (n, (own, _)) = (schedule.sizes.rows as u64, widths(schedule, owner));
    let column = n * own as u64;
    Ok(BASE + (18 * column).max(10 * column + ROW_BYTES * n + buffers(schedule, owner)?))
}

/// What a side may use to keep transformed columns.
///
/// # Errors
/// Exit 17 when the training's least memory exceeds `max_memory`: called before anything is encrypted.
pub fn spare_bytes(schedule: &Schedule, owner: bool, max_memory: Option<u64>) -> Result<u64, Failure> {
    let least = least_bytes(schedule, owner)?;
    let most = max_memory.unwrap_or_else(|| DEFAULT_CAP.max(least));
    most.checked_sub(least).ok_or_else(|| {
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let what = format!("this training needs at least {} MiB of memory, {} MiB are allowed", mebibytes(least), mebibytes(most));
        let (own, _) = widths(schedule, owner);
        Failure::new(Exit::Cap, 659, what)
            .at(format!("{} training rows, {own} own weights", schedule.sizes.rows))
            .hint("raise max_memory, use fewer columns, or train on fewer rows")
    })
}

/// Stores for the logits' and the gradients' products over all rows, of at most so many bytes together.
pub(crate) fn stores(schedule: &Schedule, width: usize, spare: u64) -> Result<(Kept, Kept), AlgebraError> {
    let (forward, backward) = (forward_plan(schedule.sizes.rows, width)?, backward_plan(schedule.sizes.rows, width)?);
    let first = Kept::all_bytes(&forward).min(spare / 2);
    Ok((Kept::new(&forward, first), Kept::new(&backward, spare - first)))
}

/// Own weights and the peer's, the owner's intercept included.
fn widths(schedule: &Schedule, owner: bool) -> (usize, usize) {
    let (first, second) = (schedule.sizes.owner_columns + 1, schedule.sizes.partner_columns);
    if owner { (first, second) } else { (second, first) }
}

/// Buffers of the largest step of the protocol.
fn buffers(schedule: &Schedule, owner: bool) -> Result<u64, AlgebraError> {
    let (own, peer) = widths(schedule, owner);
    let both = |one: Plan, other: Plan| one.memory() + other.memory();
    let mut most = 0;
    for step in schedule.steps.iter().chain([&schedule.last]) {
        let rows = step.rows;
        most = most.max(both(forward_plan(rows, own)?, forward_plan(rows, peer)?));
        most = most.max(both(backward_plan(rows, own)?, backward_plan(rows, peer)?));
        let gates = schedule.gates(step).iter().map(GatePlan::memory).collect::<Result<Vec<_>, _>>()?;
        most = most.max(gates.into_iter().max().unwrap_or(0));
        let sampled = step.hessian_rows;
        if sampled > 0 {
            let precision = schedule.precision(sampled);
            let columns = (4 * sampled * own + 8 * sampled * peer) as u64;
            most = most.max(columns + both(own_plan(sampled, own, &precision)?, own_plan(sampled, peer, &precision)?));
            most = most.max(columns + both(cross_plan(sampled, own, peer, &precision)?, cross_plan(sampled, peer, own, &precision)?));
        }
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::training::schedule::PublicSizes;

    #[test]
    fn a_cap_below_the_least_memory_is_refused_and_what_is_above_it_may_be_used() {
        for (rows, columns) in [(500, 5), (26_399, 21), (1_000_000, 50)] {
            let schedule = Schedule::new(PublicSizes::logistic(rows, columns, columns, (0.05, 0.2))).unwrap();
            for owner in [true, false] {
                let least = least_bytes(&schedule, owner).unwrap();
                assert!(least > (10 * rows * columns) as u64);
                let refused = spare_bytes(&schedule, owner, Some(least - 1)).unwrap_err();
                assert_eq!(refused.exit, Exit::Cap);
                assert_eq!(spare_bytes(&schedule, owner, Some(least + 7)).unwrap(), 7);
                assert!(spare_bytes(&schedule, owner, None).unwrap() <= DEFAULT_CAP);
            }
        }
    }

    #[test]
    fn stores_keep_within_what_is_spare() {
        let schedule = Schedule::new(PublicSizes::logistic(100_000, 20, 20, (0.05, 0.2))).unwrap();
        let (forward, backward) = (forward_plan(100_000, 20).unwrap(), backward_plan(100_000, 20).unwrap());
        let all = Kept::all_bytes(&forward) + Kept::all_bytes(&backward);
        for spare in [0, all / 3, all, 10 * all] {
            let (one, other) = stores(&schedule, 20, spare).unwrap();
            assert!(one.room_bytes(&forward) + other.room_bytes(&backward) <= spare);
        }
        let (one, other) = stores(&schedule, 20, 2 * all).unwrap();
        assert!(one.room_bytes(&forward) >= Kept::all_bytes(&forward) && other.room_bytes(&backward) >= Kept::all_bytes(&backward));
    }
}
