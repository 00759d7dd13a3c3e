//! Rows with the threshold's very value: of those that are active after the last bit the first ones are taken, as many as are left.
//!
//! A row behind the last counts as active, so that there always is a first active row that is not taken. Its number is found bit by bit:
//! where more active rows than are left stand in the first half, it is there. Beside it grows, for each prefix of a row number, whether
//! the row agrees with that number so far (`here`) and whether it is below it (`before`).

use super::{Descent, Vectors, times};
use crate::sum::CHUNK;
use crate::{CorrelationError, OtPair, Role};
use colift_channel::Channel;
use colift_primitives::bits::mask;

impl Descent {
    /// Completes the choice.
    pub(super) fn ties(&mut self, channel: &mut (impl Channel + ?Sized), ot: &mut OtPair) -> Result<(), CorrelationError> {
        let before = self.place(channel, ot)?;
        for start in (0..self.shape.rows).step_by(CHUNK) {
            let range = start..self.shape.rows.min(start + CHUNK);
            let active: Vec<bool> = self.active.iter().flat_map(|a| a[range.clone()].iter().map(|a| a & 1 == 1)).collect();
            let below: Vec<bool> = before.iter().flat_map(|before| before[range.clone()].iter().copied()).collect();
            let taken = ot.and(channel, &active, &below)?;
            for (chosen, taken) in self.chosen.iter_mut().zip(taken.chunks(range.len())) {
                chosen[range.clone()].iter_mut().zip(taken).for_each(|(chosen, taken)| *chosen ^= taken);
            }
        }
        Ok(())
    }

    /// XOR shares of whether a row stands before the first active one that is not taken, cut by cut.
    fn place(&mut self, channel: &mut (impl Channel + ?Sized), ot: &mut OtPair) -> Result<Vec<Vec<bool>>, CorrelationError> {
        let (first, cuts, ring) = (self.role == Role::First, self.active.len(), self.ring);
        let mut size = 1usize << self.shape.halvings();
        let mut places = self.active.clone();
        for places in &mut places {
            places.push(u32::from(first));
            places.resize(size, 0);
        }
        let (mut here, mut before) = (vec![vec![first]; cuts], vec![vec![false]; cuts]);
        while size > 1 {
            let half = size / 2;
            let counts: Vec<u64> = places.iter().map(|places| places[..half].iter().map(|a| u64::from(*a)).sum()).collect();
            let inside = self.beyond(channel, ot, &counts)?;
            let prefixes = here[0].len();
            let mut taken = Vec::new();
            let (mut next_here, mut next_before) =
                (vec![Vec::with_capacity(2 * prefixes); cuts], vec![Vec::with_capacity(2 * prefixes); cuts]);
            for start in (0..half.max(prefixes)).step_by(CHUNK) {
                let part = |length: usize| start.min(length)..length.min(start + CHUNK);
                let (rows, nodes) = (part(half), part(prefixes));
                let head = usize::from(start == 0);
                let mut changes = Vectors::new(head + rows.len(), ring);
                let mut agreeing = Vectors::new(nodes.len(), 1);
                for ((places, here), count) in places.iter().zip(&here).zip(&counts) {
                    let (left, right) = places.split_at(half);
                    let change = |(left, right): (&u32, &u32)| u64::from(*left).wrapping_sub(u64::from(*right));
                    changes.values.extend(std::iter::repeat_n(*count, head));
                    changes.values.extend(left[rows.clone()].iter().zip(&right[rows.clone()]).map(change));
                    agreeing.values.extend(here[nodes.clone()].iter().map(|here| u64::from(*here)));
                }
                let moved = times(channel, ot, &inside, &[&changes, &agreeing])?;
                taken.extend(moved[0].chunks(changes.width.max(1)).take(head * cuts).map(|change| change[0]));
                for (places, changes) in places.iter_mut().zip(moved[0].chunks(changes.width.max(1))) {
                    let (left, right) = places.split_at_mut(half);
                    let each = left[rows.clone()].iter_mut().zip(&right[rows.clone()]).zip(&changes[head..]);
                    each.for_each(|((left, right), change)| *left = (u64::from(*right).wrapping_add(*change) & mask(ring)) as u32);
                }
                let nodes_of = |cut: usize| here[cut][nodes.clone()].iter().zip(&before[cut][nodes.clone()]);
                for (cut, first_half) in moved[1].chunks(nodes.len().max(1)).enumerate() {
                    for ((here, before), first_half) in nodes_of(cut).zip(first_half.iter().map(|bit| *bit == 1)) {
                        // The number goes on with 0 in the first half, with 1 in the second; a 0 against its 1 is before it.
                        let second_half = here ^ first_half;
                        next_here[cut].extend([first_half, second_half]);
                        next_before[cut].extend([before ^ second_half, *before]);
                    }
                }
            }
            for ((left, count), taken) in self.left.iter_mut().zip(&counts).zip(taken) {
                *left = left.wrapping_sub(*count).wrapping_add(taken) & mask(ring);
            }
            places.iter_mut().for_each(|places| places.truncate(half));
            (here, before, size) = (next_here, next_before, half);
        }
        Ok(before)
    }
}
