//! Memory of one side's training: what it takes, checked against the job's `max_memory` before anything is encrypted.
//!
//! least = 32 MiB + 8·n·w + max(preparing, running), with n training rows and w own weights: 8·n·w are those rows of the table,
//! which the run holds all the time; preparing holds the standardised and the whitened columns and the integers made of them,
//! (8 + 8 + 2)·n·w bytes; running holds the standardised columns and the integers, (8 + 2)·n·w, `ROW_BYTES`·n for shares and
//! oblivious transfers, and the buffers of the largest product or gate ([`Plan::memory`], [`GatePlan::memory`]). Formula and
//! measurement: docs/COSTS.md.

use crate::error::{Exit, Failure};
use crate::training::hessian::{cross_plan, own_plan};
use crate::training::schedule::Schedule;
use crate::training::secure::{backward_plan, forward_plan};
use colift_algebra::AlgebraError;
use colift_algebra::gate::GatePlan;
use colift_algebra::product::Plan;

/// Program, keys, tables of the transform, the link's own buffers.
const BASE: u64 = 32 << 20;
/// Bytes a training row for logits, residuals, their shares and the lifts.
const ROW_BYTES: u64 = 96;

/// The least memory of one side.
///
/// # Errors
/// Exit 1: the schedule asks for parameters that no plan carries.
pub fn least_bytes(schedule: &Schedule, owner: bool) -> Result<u64, Failure> {
    let (n, (own, _)) = (schedule.sizes.rows as u64, widths(schedule, owner));
    let column = n * own as u64;
    Ok(BASE + 8 * column + (18 * column).max(10 * column + ROW_BYTES * n + buffers(schedule, owner)?))
}

/// Refuses a training whose least memory exceeds `max_memory`; called before anything is encrypted.
///
/// # Errors
/// Exit 17 when it does.
pub fn check_memory(schedule: &Schedule, owner: bool, max_memory: Option<u64>) -> Result<(), Failure> {
    let least = least_bytes(schedule, owner)?;
    if let Some(most) = max_memory.filter(|most| *most < least) {
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let what = format!("this training needs at least {} MiB of memory, {} MiB are allowed", mebibytes(least), mebibytes(most));
        let (own, _) = widths(schedule, owner);
        return Err(Failure::new(Exit::Cap, 659, what)
            .at(format!("{} training rows, {own} own weights", schedule.sizes.rows))
            .hint("raise max_memory, use fewer columns, or train on fewer rows"));
    }
    Ok(())
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
    let planned = schedule.steps.iter().chain([&schedule.last]).map(|step| (*step, 0));
    let further = (0..schedule.max_extra).map(|done| (schedule.extra(done), schedule.widest()));
    for (step, span) in planned.chain(further) {
        let rows = step.rows;
        most = most.max(both(forward_plan(rows, own)?, forward_plan(rows, peer)?));
        most = most.max(both(backward_plan(rows, own)?, backward_plan(rows, peer)?));
        let gates = schedule.check_gates(&step, span).iter().map(GatePlan::memory).collect::<Result<Vec<_>, _>>()?;
        most = most.max(gates.into_iter().max().unwrap_or(0));
        let sampled = step.hessian_rows;
        if sampled > 0 {
            let precision = schedule.precision(sampled, span, step.care);
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
    fn a_cap_below_the_least_memory_is_refused() {
        for (rows, columns) in [(500, 5), (26_399, 21), (1_000_000, 50)] {
            let schedule = Schedule::new(PublicSizes::logistic(rows, columns, columns, (0.05, 0.2))).unwrap();
            for owner in [true, false] {
                let least = least_bytes(&schedule, owner).unwrap();
                assert!(least > (10 * rows * columns) as u64);
                let refused = check_memory(&schedule, owner, Some(least - 1)).unwrap_err();
                assert_eq!(refused.exit, Exit::Cap);
                check_memory(&schedule, owner, Some(least)).unwrap();
                check_memory(&schedule, owner, None).unwrap();
            }
        }
    }
}
