//! **Purpose** the K highest of n sums of private numbers, as shared bits: neither sum nor threshold becomes known to anyone.
//!
//! **Functionality** row i of the first `shared` has v_i = x_i + 2^low·y_i, x_i < 2^(low+high) First's and y_i < 2^high Second's; of a later
//! row First alone holds v_i < 2^(low+high+1). Both know n, `shared` and K_1, K_2, …. For each K they get XOR shares of s_i, where
//! **s_i = 1 for exactly the min(K, n) rows that come first by (v_i falling, i rising)**. The order of rows is known to both.
//!
//! **Security** semi-honest. Every message is an OT column under a PRG or an OT payload under a pad; nothing is opened, so the view of
//! either party is simulated from its input and its output shares, which are uniform. Messages depend on n, `shared`, low, high and the
//! number of cuts only; not even on K. Whoever opens s learns the selection and nothing else.
//!
//! **Method** radix descent from the highest bit. a_i says whether row i agrees with the threshold so far, as arithmetic shares mod
//! 2^ring, 2^(ring−1) > n, whose lowest bits are XOR shares. For each bit b:
//! 1. m_i = a_i·b_i: two COTs a row, one where First knows b_i; the sum of the m_i is local.
//! 2. t = (Σ m_i > K left): the threshold's bit, by [`crate::compare::negative`] on one number.
//! 3. a ← a − m + t(2m − a); K ← K − (1 − t)·Σ m; s ← s ⊕ (1 − t)·m: one bit times vectors, two wide OTs in all.
//!
//! Then a marks the rows with the threshold's very value, of which the first K left are to be taken: half by half of the row numbers, the
//! same comparison says where the K-th of them is, with the half vector t·(first − second) + second as the next one; a tree of
//! products of t with ever longer vectors gives "row i is before it", and one AND a row the rest of s. Several cuts share the rows'
//! bits and all rounds: their m are one wide OT.
//!
//! **Cost** with c cuts, w = low + high + 1: `shared` sums of `high` bits ([`crate::sum`]), then a row and bit 2 OTs (1 where First knows the bit)
//! of c·ring bits, and 2c·(ring + 1) bits for step 3; c·(2 ring + 4) bits and 2c OTs of 1 bit a row for ties. Rounds: for each bit
//! 2·⌈n/65,536⌉ and those of a comparison. Exact: [`declare_highest`].
//!
//! **Messages** those of [`OtPair`].
//!
//! **Source** selection by a descent over bits with counts, as in radix sort; products of a shared bit with a vector by two long OTs after
//! Gilboa (CRYPTO 1999). The composition is ours and rests on nothing but the OTs.
//!
//! **Example**
//! ```
//! use colift_correlation::{OtPair, Role, select::{self, Shape}};
//! let (mut a, mut b) = colift_channel::memory::pair();
//! // 5 + 2·0, 2 + 2·3, and First's own 7: the highest is row 1.
//! let shape = Shape { rows: 3, shared: 2, low: 1, high: 2 };
//! let peer = std::thread::spawn(move || {
//!     let mut ot = OtPair::setup(&mut b, Role::Second)?;
//!     select::highest(&mut b, &mut ot, shape, &[0, 3], &[1], &|_, _| ())
//! });
//! let mut ot = OtPair::setup(&mut a, Role::First)?;
//! let ours = select::highest(&mut a, &mut ot, shape, &[5, 2, 7], &[1], &|_, _| ())?;
//! let theirs = peer.join().unwrap()?;
//! let chosen: Vec<bool> = ours[0].iter().zip(&theirs[0]).map(|(a, b)| a ^ b).collect();
//! assert_eq!(chosen, [false, true, false]);
//! # Ok::<(), colift_correlation::CorrelationError>(())
//! ```

mod cost;
mod ties;

pub use cost::declare_highest;

use crate::pair::Wide;
use crate::sum::{CHUNK, bits_of_sum};
use crate::{CorrelationError, OtPair, Role, compare};
use colift_channel::Channel;
use colift_primitives::bits::mask;

/// Most rows: an arithmetic share has 32 bits.
pub const MAX_ROWS: usize = 1 << 30;
/// Most bits of a sum.
pub const MAX_BITS: u32 = 60;

/// The public sizes of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows in all, n.
    pub rows: usize,
    /// How many of them, the first ones, have a number of both parties.
    pub shared: usize,
    /// Bits of First's numbers below Second's lowest.
    pub low: u32,
    /// Bits of Second's numbers.
    pub high: u32,
}

impl Shape {
    /// Bits of a sum.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.low + self.high + 1
    }

    /// Bits of an arithmetic share: counts up to n + 1 have a sign.
    fn ring(&self) -> u32 {
        (self.rows as u64 | 1).ilog2() + 2
    }

    /// How many of the rows from `start` to `end` have a shared bit at this position.
    fn shared_in(&self, start: usize, end: usize, position: u32) -> usize {
        if position < self.low { 0 } else { self.shared.min(end).saturating_sub(start) }
    }

    /// Halvings of the row numbers that find a place among n + 1.
    fn halvings(&self) -> u32 {
        (self.rows as u64 | 1).ilog2() + 1
    }

    fn check(&self) -> Result<(), CorrelationError> {
        if self.rows > MAX_ROWS || self.shared > self.rows {
            return Err(CorrelationError::TooLong { length: self.rows.max(self.shared), most: self.rows.min(MAX_ROWS) });
        }
        if self.high == 0 || self.bits() > MAX_BITS {
            return Err(CorrelationError::Width { bits: self.bits(), most: MAX_BITS });
        }
        Ok(())
    }
}

/// For each count the XOR shares of whether a row is among so many highest. `own` holds First's numbers of all rows, or Second's of the
/// shared ones. `progress` is told the bits done, of how many.
///
/// # Errors
/// Config class: a shape out of range, or another number of own numbers. Otherwise those of [`OtPair::correlate_both`].
pub fn highest(
    channel: &mut (impl Channel + ?Sized),
    ot: &mut OtPair,
    shape: Shape,
    own: &[u64],
    counts: &[usize],
    progress: &dyn Fn(u64, u64),
) -> Result<Vec<Vec<bool>>, CorrelationError> {
    shape.check()?;
    let first = ot.role() == Role::First;
    let expected = if first { shape.rows } else { shape.shared };
    if own.len() != expected {
        return Err(CorrelationError::LengthsDiffer { left: own.len(), right: expected });
    }
    if shape.rows == 0 || counts.is_empty() {
        return Ok(vec![Vec::new(); counts.len()]);
    }
    let high: Vec<u64> = own.iter().take(shape.shared).map(|number| if first { number >> shape.low } else { *number }).collect();
    let sums = bits_of_sum(channel, ot, &high, shape.high)?;
    let mut descent = Descent::new(shape, ot.role(), counts);
    for position in (0..shape.bits()).rev() {
        let known = |from: usize| own.iter().skip(from).map(|number| number >> position & 1 == 1);
        let mut bits: Vec<bool> = match position.checked_sub(shape.low).and_then(|at| sums.get(at as usize)) {
            Some(shared) => shared.clone(),
            None if first => known(0).take(shape.shared).collect(),
            None => Vec::new(),
        };
        if first {
            bits.extend(known(shape.shared));
        }
        bits.resize(shape.rows, false);
        descent.step(channel, ot, &bits, position)?;
        progress(u64::from(shape.bits() - position), u64::from(shape.bits()));
    }
    descent.ties(channel, ot)?;
    Ok(descent.chosen)
}

/// The state of a selection, cut by cut.
struct Descent {
    shape: Shape,
    role: Role,
    ring: u32,
    /// a of each row, arithmetic.
    active: Vec<Vec<u32>>,
    /// How many are still to be taken, arithmetic.
    left: Vec<u64>,
    /// s of each row so far, XOR.
    chosen: Vec<Vec<bool>>,
}

impl Descent {
    /// Every row is active, none is chosen. First holds the public values.
    fn new(shape: Shape, role: Role, counts: &[usize]) -> Self {
        let public = u64::from(role == Role::First);
        Self {
            shape,
            role,
            ring: shape.ring(),
            active: vec![vec![public as u32; shape.rows]; counts.len()],
            left: counts.iter().map(|count| public * (*count).min(shape.rows) as u64).collect(),
            chosen: vec![vec![false; shape.rows]; counts.len()],
        }
    }

    /// One bit of the sums, from the highest down.
    fn step(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        ot: &mut OtPair,
        bits: &[bool],
        position: u32,
    ) -> Result<(), CorrelationError> {
        let products = self.products(channel, ot, bits, position)?;
        let counts: Vec<u64> = products.iter().map(|m| m.iter().map(|m| u64::from(*m)).sum()).collect();
        let beyond = self.beyond(channel, ot, &counts)?;
        self.move_on(channel, ot, &products, &counts, &beyond)
    }

    /// Step 1: m = a·b of every row, cut by cut.
    fn products(
        &self,
        channel: &mut (impl Channel + ?Sized),
        ot: &mut OtPair,
        bits: &[bool],
        position: u32,
    ) -> Result<Vec<Vec<u32>>, CorrelationError> {
        let (cuts, ring) = (self.active.len(), self.ring);
        let mut products: Vec<Vec<u32>> = vec![Vec::with_capacity(bits.len()); cuts];
        for (start, bits) in (0..).step_by(CHUNK).zip(bits.chunks(CHUNK)) {
            let shared = self.shape.shared_in(start, start + bits.len(), position);
            // a·b = Σ over both parties of own a·(b_own + b_peer − 2·b_own·b_peer): own a·(1 − 2·b_own) under the peer's bit is one OT.
            // Second's share of a bit that First knows is 0, so only First chooses there.
            let (sending, choosing) = if self.role == Role::First { (shared, bits.len()) } else { (bits.len(), shared) };
            let rows = || bits.iter().enumerate().map(|(i, bit)| (start + i, *bit));
            let own = |row: usize| self.active.iter().map(move |active| u64::from(active[row]));
            let correlations: Vec<u64> = rows().take(sending).flat_map(|(row, bit)| own(row).map(move |a| signed(a, bit))).collect();
            let choices: Vec<bool> = bits.iter().take(choosing).copied().collect();
            let batch = Wide { correlations: &correlations, choices: &choices, width: cuts, bits: ring };
            for (sent, received) in ot.correlate_wide_both(channel, &[batch])? {
                let (mut sent, mut received) = (sent.into_iter(), received.into_iter());
                for (row, bit) in rows() {
                    for (own, products) in own(row).zip(&mut products) {
                        let others = sent.next().unwrap_or_default().wrapping_add(received.next().unwrap_or_default());
                        let product = others.wrapping_add(if bit { own } else { 0 });
                        products.push((product & mask(ring)) as u32);
                    }
                }
            }
        }
        Ok(products)
    }

    /// Step 2: XOR shares of whether a count is above what is left, cut by cut.
    fn beyond(&self, channel: &mut (impl Channel + ?Sized), ot: &mut OtPair, counts: &[u64]) -> Result<Vec<bool>, CorrelationError> {
        let rest: Vec<u64> = self.left.iter().zip(counts).map(|(left, count)| left.wrapping_sub(*count) & mask(self.ring)).collect();
        compare::negative(channel, ot, &rest, self.ring)
    }

    /// Step 3: the rows that stay active, those that are chosen, and how many are left.
    fn move_on(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        ot: &mut OtPair,
        products: &[Vec<u32>],
        counts: &[u64],
        beyond: &[bool],
    ) -> Result<(), CorrelationError> {
        let mut taken = Vec::new();
        for start in (0..self.shape.rows).step_by(CHUNK) {
            let range = start..self.shape.rows.min(start + CHUNK);
            // With the first rows goes the count itself.
            let head = usize::from(start == 0);
            let mut changes = Vectors::new(head + range.len(), self.ring);
            let mut marks = Vectors::new(range.len(), 1);
            for ((active, m), count) in self.active.iter().zip(products).zip(counts) {
                let change = |(a, m): (&u32, &u32)| (2 * u64::from(*m)).wrapping_sub(u64::from(*a));
                changes.values.extend(std::iter::repeat_n(*count, head));
                changes.values.extend(active[range.clone()].iter().zip(&m[range.clone()]).map(change));
                marks.values.extend(m[range.clone()].iter().map(|m| u64::from(*m)));
            }
            let moved = times(channel, ot, beyond, &[&changes, &marks])?;
            taken.extend(moved[0].chunks(changes.width).take(head * counts.len()).map(|change| change[0]));
            let each = self.active.iter_mut().zip(&mut self.chosen).zip(products);
            let results = moved[0].chunks(changes.width).zip(moved[1].chunks(marks.width));
            for (((active, chosen), m), (changes, marks)) in each.zip(results) {
                let rows = active[range.clone()].iter_mut().zip(&mut chosen[range.clone()]).zip(&m[range.clone()]);
                for (((a, chosen), m), (change, mark)) in rows.zip(changes[head..].iter().zip(marks)) {
                    *a = (u64::from(a.wrapping_sub(*m)).wrapping_add(*change) & mask(self.ring)) as u32;
                    *chosen ^= (u64::from(*m) ^ mark) & 1 == 1;
                }
            }
        }
        for ((left, count), taken) in self.left.iter_mut().zip(counts).zip(taken) {
            *left = left.wrapping_sub(*count).wrapping_add(taken) & mask(self.ring);
        }
        Ok(())
    }
}

/// One vector a cut, one after the other, of numbers shared mod 2^bits.
struct Vectors {
    width: usize,
    bits: u32,
    values: Vec<u64>,
}

impl Vectors {
    fn new(width: usize, bits: u32) -> Self {
        Self { width, bits, values: Vec::new() }
    }
}

/// v, or −v under a set bit: what the peer's bit chooses of v·(b_own + b_peer − 2·b_own·b_peer).
fn signed(value: u64, bit: bool) -> u64 {
    if bit { value.wrapping_neg() } else { value }
}

/// Shares of each group's vectors times a shared bit a cut, all in the same two flights; nothing for vectors without an entry.
fn times(
    channel: &mut (impl Channel + ?Sized),
    ot: &mut OtPair,
    bits: &[bool],
    groups: &[&Vectors],
) -> Result<Vec<Vec<u64>>, CorrelationError> {
    let there = |group: &Vectors| group.width > 0;
    let pieces = |group: &Vectors| -> Vec<u64> {
        let vectors = group.values.chunks(group.width.max(1)).zip(bits);
        vectors.flat_map(|(vector, bit)| vector.iter().map(|value| signed(*value, *bit))).collect()
    };
    let correlations: Vec<Vec<u64>> = groups.iter().filter(|group| there(group)).map(|group| pieces(group)).collect();
    let batches: Vec<Wide<'_>> = groups
        .iter()
        .filter(|group| there(group))
        .zip(&correlations)
        .map(|(group, correlations)| Wide { correlations, choices: bits, width: group.width, bits: group.bits })
        .collect();
    let mut shares = ot.correlate_wide_both(channel, &batches)?.into_iter();
    let product = |group: &Vectors| -> Vec<u64> {
        let (sent, received) = if there(group) { shares.next().unwrap_or_default() } else { Default::default() };
        let own = group.values.chunks(group.width.max(1)).zip(bits);
        let own = own.flat_map(|(vector, bit)| vector.iter().map(|value| if *bit { *value } else { 0 }));
        own.zip(sent.iter().zip(&received)).map(|(own, (s, r))| own.wrapping_add(*s).wrapping_add(*r) & mask(group.bits)).collect()
    };
    Ok(groups.iter().copied().map(product).collect())
}

#[cfg(test)]
mod tests;
