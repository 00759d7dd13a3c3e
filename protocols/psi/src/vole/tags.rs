//! The sender's tags on the wire: ascending, coded by Elias and Fano.
//!
//! n numbers of L bits in ascending order: of each the lower l = L − ⌊log₂ n⌋ bits (L − 1 where n < 4) as they are, then the upper parts in unary:
//! n ones and 2^(L−l) zeros. The length depends on n and L only. The list is a function of the *set* of tags: it says nothing
//! that the tags in random order would not say.

use crate::PsiError;
use colift_primitives::bits::{pack_into, packed_bytes, unpack_each};
use colift_primitives::buffer::Buffer;

/// The shape of a coded list.
#[derive(Clone, Copy)]
pub struct TagCode {
    count: usize,
    lower: u32,
    upper: u32,
}

impl TagCode {
    /// For `count` tags of `bits` ≥ 32 bits.
    #[must_use]
    pub fn new(count: usize, bits: u32) -> Self {
        // At least one bit, so that no shift is as wide as a number.
        let upper = count.max(2).ilog2();
        Self { count, lower: bits - upper, upper }
    }

    /// Widths of the two columns that hold the lower bits.
    fn widths(self) -> [u32; 2] {
        [self.lower.min(64), self.lower.saturating_sub(64)]
    }

    /// Bytes of the unary part.
    fn unary_bytes(self) -> usize {
        if self.count == 0 { 0 } else { (self.count + (1 << self.upper)).div_ceil(8) }
    }

    /// Bytes of the list.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.widths().iter().map(|width| packed_bytes(self.count, *width)).sum::<usize>() + self.unary_bytes()
    }

    /// Codes an ascending list of `count` tags.
    #[must_use]
    pub fn encode(self, tags: impl Iterator<Item = u128> + Clone) -> Buffer<u8> {
        let mut wire = Buffer::<u8>::scratch(self.bytes());
        let [first, second] = self.widths();
        let (low, rest) = wire.split_at_mut(packed_bytes(self.count, first));
        let (high, unary) = rest.split_at_mut(packed_bytes(self.count, second));
        pack_into(low, tags.clone().map(|tag| tag as u64), first);
        if second > 0 {
            pack_into(high, tags.clone().map(|tag| (tag >> 64) as u64), second);
        }
        unary.fill(0);
        for (index, tag) in tags.enumerate() {
            let at = (tag >> self.lower) as usize + index;
            if let Some(byte) = unary.get_mut(at / 8) {
                *byte |= 1 << (at % 8);
            }
        }
        wire
    }

    /// Undoes [`TagCode::encode`]: hands over one tag after the other.
    ///
    /// # Errors
    /// Peer class: the bytes are no strictly ascending list of this shape.
    pub fn decode(self, wire: &[u8], mut each: impl FnMut(u128)) -> Result<(), PsiError> {
        let [first, second] = self.widths();
        let (low, rest) = wire.split_at_checked(packed_bytes(self.count, first)).ok_or(PsiError::UnsortedTags)?;
        let (high, unary) = rest.split_at_checked(packed_bytes(self.count, second)).ok_or(PsiError::UnsortedTags)?;
        if unary.len() != self.unary_bytes() {
            return Err(PsiError::UnsortedTags);
        }
        let mut low = unpack_each(low, self.count, first).ok_or(PsiError::UnsortedTags)?;
        let mut high = unpack_each(high, self.count, second).ok_or(PsiError::UnsortedTags)?;
        let (mut index, mut previous) = (0usize, None);
        for (position, byte) in unary.iter().enumerate() {
            let mut bits = *byte;
            while bits != 0 {
                let at = 8 * position + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let (low, high) = low.next().zip(high.next()).ok_or(PsiError::UnsortedTags)?;
                let upper = at.checked_sub(index).filter(|upper| *upper < 1 << self.upper).ok_or(PsiError::UnsortedTags)?;
                let tag = (upper as u128) << self.lower | u128::from(high) << 64 | u128::from(low);
                if previous.is_some_and(|before| before >= tag) {
                    return Err(PsiError::UnsortedTags);
                }
                each(tag);
                (previous, index) = (Some(tag), index + 1);
            }
        }
        if index == self.count { Ok(()) } else { Err(PsiError::UnsortedTags) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use colift_primitives::rng::{Prg, Seed};

    fn list(prg: &mut Prg, count: usize, bits: u32) -> Vec<u128> {
        let mut tags: Vec<u128> = (0..count).map(|_| prg.next_u128() >> (128 - bits)).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    fn decode(code: TagCode, wire: &[u8]) -> Result<Vec<u128>, PsiError> {
        let mut tags = Vec::new();
        code.decode(wire, |tag| tags.push(tag))?;
        Ok(tags)
    }

    #[test]
    fn lists_survive_the_wire() {
        let mut prg = Prg::from_seed(&Seed::from_bytes([4; 16]));
        for bits in [40, 64, 65, 80, 104, 127, 128] {
            for count in [0usize, 1, 2, 3, 7, 8, 1000, 1024, 1025] {
                let tags = list(&mut prg, count, bits);
                let code = TagCode::new(count, bits);
                let wire = code.encode(tags.iter().copied()).to_vec();
                assert_eq!(wire.len(), code.bytes());
                assert_eq!(decode(code, &wire).unwrap(), tags, "{count} of {bits}");
                assert!(count < 64 || wire.len() * 8 <= count * (bits as usize - count.ilog2() as usize + 3));
            }
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut prg = Prg::from_seed(&Seed::from_bytes([5; 16]));
        let (count, bits) = (100, 60);
        let (tags, code) = (list(&mut prg, count, bits), TagCode::new(count, bits));
        let wire = code.encode(tags.iter().copied()).to_vec();
        let unary = wire.len() - code.unary_bytes();
        assert!(decode(code, &wire[1..]).is_err() && decode(code, &[wire.as_slice(), &[0]].concat()).is_err());
        // A one too many, one too few, everything at the end, everything at the start, an equal pair.
        let last_zero = (8 * unary..8 * wire.len()).rfind(|bit| wire[bit / 8] >> (bit % 8) & 1 == 0).unwrap();
        let one = (8 * unary..8 * wire.len()).find(|bit| wire[bit / 8] >> (bit % 8) & 1 == 1).unwrap();
        for bit in [last_zero, one] {
            let mut bad = wire.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(code, &bad).is_err());
        }
        let mut bad = wire.clone();
        bad[unary..].fill(0xff);
        assert!(decode(code, &bad).is_err());
        let mut equal = tags.clone();
        equal[50] = equal[51];
        assert!(decode(code, &code.encode(equal.iter().copied())).is_err());
        let (mut swapped, upper) = (tags.clone(), 1u128 << code.lower);
        swapped[3] = 5 * upper + 9;
        swapped[4] = 5 * upper + 8;
        swapped.iter_mut().zip(0u128..).for_each(|(tag, i)| {
            if i < 3 {
                *tag = i
            } else if i > 4 {
                *tag = 6 * upper + i
            }
        });
        assert!(decode(code, &code.encode(swapped.iter().copied())).is_err());
    }
}
