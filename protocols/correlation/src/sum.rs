//! **Purpose** the sum of two private numbers, bit by bit, shared: what comparing and ranking begin with.
//!
//! **Functionality** First holds x_i, Second y_i, both below 2^bits. They get XOR shares of the bits+1 bits of x_i + y_i. The top
//! one is x_i + y_i ≥ 2^bits: with x_i = 2^bits − h_i, whether y_i reaches h_i.
//!
//! **Security** semi-honest; everything exchanged is masked by OT pads. Messages depend on the number of sums and on `bits` only.
//!
//! **Cost** n sums: n products of bits, then bits − 1 layers of n ANDs; two flights each, 65,536 sums at a time.
//!
//! **Messages** those of [`OtPair`].
//!
//! **Source** c' = c ⊕ (x ⊕ c)(y ⊕ c), one AND a bit (Boyar, Peralta, Pochuev 2000), evaluated by GMW. A ripple, not a prefix tree as in
//! [`crate::compare`]: a third of the ANDs, and rounds are few beside those of a selection.
//!
//! **Example**
//! ```
//! use colift_correlation::{OtPair, Role, sum};
//! let (mut a, mut b) = colift_channel::memory::pair();
//! let peer = std::thread::spawn(move || {
//!     let mut ot = OtPair::setup(&mut b, Role::Second)?;
//!     sum::bits_of_sum(&mut b, &mut ot, &[3], 2)
//! });
//! let mut ot = OtPair::setup(&mut a, Role::First)?;
//! let (ours, theirs) = (sum::bits_of_sum(&mut a, &mut ot, &[2], 2)?, peer.join().unwrap()?);
//! let bits: Vec<bool> = ours.iter().zip(&theirs).map(|(a, b)| a[0] ^ b[0]).collect();
//! assert_eq!(bits, [true, false, true]);
//! # Ok::<(), colift_correlation::CorrelationError>(())
//! ```

use crate::pair::{declare_and, declare_multiply_bits};
use crate::{CorrelationError, Form, OtPair, Role};
use colift_channel::{Channel, Meter};

/// Sums that are worked on at a time.
pub const CHUNK: usize = 1 << 16;
/// Widest summands.
pub const MAX_BITS: u32 = 62;

/// XOR shares of the bits of each sum, lowest first: `bits` + 1 vectors of one entry a sum. Both sides bring as many numbers.
///
/// # Errors
/// Config class: `bits` is out of range. Otherwise those of [`OtPair::and`].
pub fn bits_of_sum(
    channel: &mut (impl Channel + ?Sized),
    ot: &mut OtPair,
    own: &[u64],
    bits: u32,
) -> Result<Vec<Vec<bool>>, CorrelationError> {
    if !(1..=MAX_BITS).contains(&bits) {
        return Err(CorrelationError::Width { bits, most: MAX_BITS });
    }
    let mut sums = vec![Vec::with_capacity(own.len()); bits as usize + 1];
    for chunk in own.chunks(CHUNK) {
        let bit = |position: u32| chunk.iter().map(move |number| number >> position & 1 == 1);
        // Step 1: the lowest bit, and the carry out of it.
        let lowest: Vec<bool> = bit(0).collect();
        let mut carry: Vec<bool> = ot.multiply_bits(channel, &lowest, 1, 1)?.iter().map(|product| product & 1 == 1).collect();
        sums[0].extend(lowest);
        // Step 2: c' = c ⊕ (x ⊕ c)(y ⊕ c). A party's share of its own summand is the summand, of the other's 0.
        for position in 1..bits {
            let with: Vec<bool> = bit(position).zip(&carry).map(|(own, carry)| own ^ carry).collect();
            sums[position as usize].extend_from_slice(&with);
            let (x, y) = match ot.role() {
                Role::First => (&with, &carry),
                Role::Second => (&carry, &with),
            };
            let both = ot.and(channel, x, y)?;
            carry.iter_mut().zip(both).for_each(|(carry, both)| *carry ^= both);
        }
        sums[bits as usize].extend(carry);
    }
    Ok(sums)
}

/// Notes the messages of [`bits_of_sum`] on n sums.
pub fn declare_bits_of_sum(meter: &mut Meter, form: Form, role: Role, n: usize, bits: u32) {
    for start in (0..n).step_by(CHUNK) {
        let count = CHUNK.min(n - start);
        declare_multiply_bits(meter, form, role, count, 1);
        (1..bits).for_each(|_| declare_and(meter, form, count));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::pair::declare_setup;
    use colift_channel::Class;
    use colift_primitives::bits::mask;
    use colift_testkit::{cases, run_pair};

    #[test]
    fn sums_are_right_at_every_width_and_cost_what_is_declared() {
        for bits in [1, 2, 3, 16, 17, 40, MAX_BITS] {
            cases("sums", 2, |prg| {
                let n = prg.below(300) as usize;
                let mut numbers = || -> Vec<u64> {
                    let edges = [0, 1, mask(bits)];
                    (0..n).map(|i| edges.get(i).copied().unwrap_or_else(|| prg.next_u64() & mask(bits))).collect()
                };
                let (x, mut y) = (numbers(), numbers());
                y.reverse();
                let side = |c: &mut dyn Channel, role, own: &[u64]| {
                    let mut ot = OtPair::setup(c, role).unwrap();
                    bits_of_sum(c, &mut ot, own, bits).unwrap()
                };
                let (a, b, first, second) = run_pair(|c| side(c, Role::First, &x), |c| side(c, Role::Second, &y));
                assert_eq!((a.len(), b.len()), (bits as usize + 1, bits as usize + 1));
                for i in 0..n {
                    let found: u64 = (0..=bits as usize).map(|at| u64::from(a[at][i] ^ b[at][i]) << at).sum();
                    assert_eq!(found, x[i] + y[i], "{} + {} of {bits} bits", x[i], y[i]);
                }
                for (role, measured) in [(Role::First, first), (Role::Second, second)] {
                    let mut meter = Meter::default();
                    declare_setup(&mut meter);
                    declare_bits_of_sum(&mut meter, Form::Columns, role, n, bits);
                    assert_eq!(meter.counters(), measured);
                }
            });
        }
    }

    #[test]
    fn widths_out_of_range_are_refused() {
        let (errors, ..) = run_pair(
            |c| {
                let mut ot = OtPair::setup(c, Role::First).unwrap();
                [0, MAX_BITS + 1].map(|bits| bits_of_sum(c, &mut ot, &[1], bits).err())
            },
            |c| OtPair::setup(c, Role::Second).map(|_| ()).unwrap(),
        );
        assert!(errors.into_iter().all(|error| error.unwrap().class() == Class::Config));
    }
}
