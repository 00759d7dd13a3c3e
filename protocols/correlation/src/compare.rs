//! **Purpose** signs and bounds of shared numbers, without opening them: the end check's machinery.
//!
//! **Functionality** the parties hold additive shares mod 2^k of signed v_i. `negative` gives XOR shares of `v_i < 0`;
//! `all_within` XOR shares of the one bit `|v_i| ≤ bound for every i`. Opening is the caller's, and is listed there.
//!
//! **Security** semi-honest; everything exchanged is masked by OT pads. Timing and messages depend on n and k only.
//!
//! **Cost** `negative`: n(k−1) one-bit products, then ⌈log₂(k−1)⌉ layers of at most n(k−1) ANDs. `all_within`: `negative`
//! on 2n numbers, then ⌈log₂ 2n⌉ layers of n, n/2, … ANDs. Two flights a layer; see the `declare` functions.
//!
//! **Messages** those of [`OtPair`].
//!
//! **Source** the carry into the top bit of share + share as a prefix product of (generate, propagate) pairs; circuits of
//! Brent and Kung (1982), evaluated by GMW.
//!
//! **Example**
//! ```
//! use colift_correlation::{OtPair, Role, compare};
//! let (mut a, mut b) = colift_channel::memory::pair();
//! // −3 = 5 + (2^20 − 8) mod 2^20.
//! let peer = std::thread::spawn(move || {
//!     let mut ot = OtPair::setup(&mut b, Role::Second)?;
//!     compare::negative(&mut b, &mut ot, &[(1 << 20) - 8], 20)
//! });
//! let mut ot = OtPair::setup(&mut a, Role::First)?;
//! let ours = compare::negative(&mut a, &mut ot, &[5], 20)?;
//! assert!(ours[0] ^ peer.join().unwrap()?[0]);
//! # Ok::<(), colift_correlation::CorrelationError>(())
//! ```

use crate::pair::{declare_and, declare_multiply_bits};
use crate::{CorrelationError, Form, OtPair, Role};
use colift_channel::{Channel, Meter};
use colift_primitives::bits::mask;

/// Widest ring of shares.
pub const MAX_WIDTH: u32 = 62;

/// XOR shares of `v_i < 0` from additive shares mod 2^k of −2^(k−1) ≤ v_i < 2^(k−1); 2 ≤ k ≤ 62.
///
/// # Errors
/// Config class: k is out of range. Otherwise those of [`OtPair::and`].
pub fn negative(channel: &mut (impl Channel + ?Sized), ot: &mut OtPair, shares: &[u64], k: u32) -> Result<Vec<bool>, CorrelationError> {
    if !(2..=MAX_WIDTH).contains(&k) {
        return Err(CorrelationError::Width { bits: k, most: MAX_WIDTH });
    }
    let n = shares.len();
    // Position-major: the bits below the top one, lowest first; position p of number i stands at p·n + i.
    let own: Vec<bool> = (0..k - 1).flat_map(|p| shares.iter().map(move |share| share >> p & 1 == 1)).collect();
    // Step 1: generate = a·b, propagate = a ⊕ b (own bit is a share of it).
    let mut generate: Vec<bool> = ot.multiply_bits(channel, &own, 1, 1)?.iter().map(|g| g & 1 == 1).collect();
    let mut propagate = own;
    let mut positions = (k - 1) as usize;
    // Step 2: join neighbours (low, high) into (g_high ⊕ p_high·g_low, p_high·p_low) until one is left.
    while positions > 1 {
        let pairs = positions / 2;
        let (mut x, mut y) = (Vec::with_capacity(2 * pairs * n), Vec::with_capacity(2 * pairs * n));
        for (lower, upper) in [(&generate, &propagate), (&propagate, &propagate)] {
            for (low, high) in lower.chunks(n.max(1)).step_by(2).zip(upper.chunks(n.max(1)).skip(1).step_by(2)) {
                x.extend_from_slice(high);
                y.extend_from_slice(low);
            }
        }
        let joined = ot.and(channel, &x, &y)?;
        let (carried, both) = joined.split_at(pairs * n);
        let highs = generate.chunks(n.max(1)).skip(1).step_by(2).flatten();
        let mut next: Vec<bool> = highs.zip(carried).map(|(g, c)| g ^ c).collect();
        let mut spread = both.to_vec();
        if positions % 2 == 1 {
            next.extend_from_slice(generate.get(2 * pairs * n..).unwrap_or_default());
            spread.extend_from_slice(propagate.get(2 * pairs * n..).unwrap_or_default());
        }
        (generate, propagate) = (next, spread);
        positions = positions.div_ceil(2);
    }
    // Step 3: the top bit of the sum.
    Ok(shares.iter().zip(&generate).map(|(share, carry)| (share >> (k - 1) & 1 == 1) ^ carry).collect())
}

/// This party's XOR share of `|v_i| ≤ bound for every i`, from additive shares mod 2^k of |v_i| < 2^(k−2), bound < 2^(k−2).
///
/// # Errors
/// Config class: k or the bound is out of range. Otherwise those of [`OtPair::and`].
pub fn all_within(
    channel: &mut (impl Channel + ?Sized),
    ot: &mut OtPair,
    shares: &[u64],
    bound: u64,
    k: u32,
) -> Result<bool, CorrelationError> {
    if !(3..=MAX_WIDTH).contains(&k) || bound >= 1 << (k - 2) {
        return Err(CorrelationError::Width { bits: k, most: MAX_WIDTH });
    }
    let first = ot.role() == Role::First;
    let offset = if first { bound } else { 0 };
    // bound − v and bound + v are both at least 0 exactly when |v| ≤ bound.
    let below = shares.iter().map(|share| offset.wrapping_sub(*share) & mask(k));
    let above = shares.iter().map(|share| offset.wrapping_add(*share) & mask(k));
    let signs = negative(channel, ot, &below.chain(above).collect::<Vec<u64>>(), k)?;
    let mut within: Vec<bool> = signs.iter().map(|sign| sign ^ first).collect();
    while within.len() > 1 {
        let half = within.len() / 2;
        let rest = within.split_off(2 * half);
        let (x, y) = within.split_at(half);
        let mut joined = ot.and(channel, x, y)?;
        joined.extend(rest);
        within = joined;
    }
    Ok(within.first().copied().unwrap_or(first))
}

/// Notes the messages of [`negative`] on n numbers.
pub fn declare_negative(meter: &mut Meter, form: Form, role: Role, n: usize, k: u32) {
    let mut positions = (k - 1) as usize;
    declare_multiply_bits(meter, form, role, n * positions, 1);
    while positions > 1 {
        declare_and(meter, form, 2 * (positions / 2) * n);
        positions = positions.div_ceil(2);
    }
}

/// Notes the messages of [`all_within`] on n numbers, in the form of columns.
pub fn declare_all_within(meter: &mut Meter, role: Role, n: usize, k: u32) {
    declare_negative(meter, Form::Columns, role, 2 * n, k);
    let mut left = 2 * n;
    while left > 1 {
        declare_and(meter, Form::Columns, left / 2);
        left = left.div_ceil(2);
    }
}

#[cfg(test)]
mod tests;
