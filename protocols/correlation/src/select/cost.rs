//! The messages of a selection, from its public sizes.

use super::Shape;
use crate::compare::declare_negative;
use crate::pair::{declare_and, declare_wide_both};
use crate::sum::{CHUNK, declare_bits_of_sum};
use crate::{Form, Role};
use colift_channel::Meter;

/// Notes the messages of [`highest`](super::highest) with so many cuts, over OTs of this form.
pub fn declare_highest(meter: &mut Meter, form: Form, role: Role, shape: Shape, cuts: usize) {
    if shape.rows == 0 || cuts == 0 {
        return;
    }
    let (n, ring) = (shape.rows, shape.ring());
    let chunks = |length: usize| (0..length).step_by(CHUNK).map(move |start| (start, length.min(start + CHUNK)));
    declare_bits_of_sum(meter, form, role, shape.shared, shape.high);
    for position in (0..shape.bits()).rev() {
        for (start, end) in chunks(n) {
            let shared = shape.shared_in(start, end, position);
            let (sending, choosing) = if role == Role::First { (shared, end - start) } else { (end - start, shared) };
            declare_wide_both(meter, form, &[(sending, choosing, cuts, ring)]);
        }
        declare_negative(meter, form, role, cuts, ring);
        for (start, end) in chunks(n) {
            let width = end - start;
            declare_wide_both(meter, form, &[(cuts, cuts, width + usize::from(start == 0), ring), (cuts, cuts, width, 1)]);
        }
    }
    let (mut half, mut prefixes) = (1usize << (shape.halvings() - 1), 1);
    while half > 0 {
        declare_negative(meter, form, role, cuts, ring);
        for (start, end) in chunks(half.max(prefixes)) {
            let part = |length: usize| length.min(end) - start.min(length);
            let groups = [(part(half) + usize::from(start == 0), ring), (part(prefixes), 1)];
            let batches: Vec<_> =
                groups.into_iter().filter(|(width, _)| *width > 0).map(|(width, bits)| (cuts, cuts, width, bits)).collect();
            declare_wide_both(meter, form, &batches);
        }
        (half, prefixes) = (half / 2, 2 * prefixes);
    }
    for (start, end) in chunks(n) {
        declare_and(meter, form, cuts * (end - start));
    }
}
