//! Before anything is signed: the partner gets the proposed contract, and both sides see what it would open and what it would cost.
//!
//! [`meet`] talks to the peer: the owner's proposal, both sides' sizes by bucket, five seconds of measuring the link and both
//! machines. Nothing that depends on a cell of data is sent. [`forecast`] turns sizes and measurements into bytes, time and
//! memory, [`preview`] into a page.

pub mod calibrate;
pub mod forecast;
pub mod preview;
mod talk;

pub use talk::{Met, Own, meet, propose, receive};

/// Rows as a bucket: rounded up to two digits, so that the peer does not learn the exact size.
#[must_use]
pub fn bucket(rows: u64) -> u64 {
    let mut unit = 1;
    while rows / unit >= 100 {
        unit *= 10;
    }
    rows.div_ceil(unit) * unit
}

#[cfg(test)]
mod tests;
