//! Packed bit vectors, numbers packed to a fixed width, and the transpose of a 128-column bit matrix.
//!
//! Bit i of a vector is bit i mod 64 of word i / 64; on the wire bit i is bit i mod 8 of byte i / 8. Unused bits are 0.

use subtle::ConstantTimeEq;

/// A vector of bits, 64 to a word.
#[derive(Clone, Default)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// From words; missing ones count as zeros, surplus bits are dropped.
    #[must_use]
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(len.div_ceil(64), 0);
        let mut bits = Self { words, len };
        bits.clear_surplus();
        bits
    }

    /// From booleans.
    #[must_use]
    pub fn from_bools(values: impl IntoIterator<Item = bool>) -> Self {
        let mut bits = Self::default();
        for value in values {
            if bits.len.is_multiple_of(64) {
                bits.words.push(0);
            }
            if let Some(last) = bits.words.last_mut() {
                *last |= u64::from(value) << (bits.len % 64);
            }
            bits.len += 1;
        }
        bits
    }

    /// From wire bytes; `None` when their number is not `len`'s or an unused bit is set.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], len: usize) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        let word = |chunk: &[u8]| chunk.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let mut bits = Self { words: bytes.chunks(8).map(word).collect(), len };
        let before = bits.words.last().copied();
        bits.clear_surplus();
        (before == bits.words.last().copied()).then_some(bits)
    }

    fn clear_surplus(&mut self) {
        if let Some(last) = self.words.last_mut()
            && !self.len.is_multiple_of(64)
        {
            *last &= (1 << (self.len % 64)) - 1;
        }
    }

    /// The wire bytes, ⌈len / 8⌉ of them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// How many bits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `index`; false beyond the end.
    #[must_use]
    pub fn bit(&self, index: usize) -> bool {
        index < self.len && self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Sets bit `index`; nothing happens beyond the end.
    pub fn set(&mut self, index: usize, value: bool) {
        if index < self.len
            && let Some(word) = self.words.get_mut(index / 64)
        {
            *word = *word & !(1 << (index % 64)) | u64::from(value) << (index % 64);
        }
    }

    /// The words; unused bits are 0.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The bits in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.len).map(|index| self.bit(index))
    }

    /// Bitwise exclusive or with a vector of the same length.
    #[must_use]
    pub fn xor(&self, other: &Bits) -> Bits {
        Self { words: self.words.iter().zip(&other.words).map(|(x, y)| x ^ y).collect(), len: self.len.min(other.len) }
    }

    /// Bitwise and with a vector of the same length.
    #[must_use]
    pub fn and(&self, other: &Bits) -> Bits {
        Self { words: self.words.iter().zip(&other.words).map(|(x, y)| x & y).collect(), len: self.len.min(other.len) }
    }

    /// Equality in time that depends on the length only.
    #[must_use]
    pub fn ct_eq(&self, other: &Bits) -> bool {
        self.len == other.len && bool::from(self.words.ct_eq(&other.words))
    }
}

/// Bytes of `count` numbers packed to `bits` bits each.
#[must_use]
pub const fn packed_bytes(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// The lowest `bits` bits set, `bits` ≤ 64.
#[must_use]
pub const fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Packs the lowest `bits` ≤ 64 bits of each number, one after the other, little end first.
#[must_use]
pub fn pack(numbers: &[u64], bits: u32) -> Vec<u8> {
    let mut bytes = vec![0; packed_bytes(numbers.len(), bits)];
    pack_into(&mut bytes, numbers.iter().copied(), bits);
    bytes
}

/// As [`pack`], into as many bytes as the numbers take.
pub fn pack_into(bytes: &mut [u8], numbers: impl Iterator<Item = u64>, bits: u32) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    let mut words = whole.iter_mut();
    let (mut pending, mut held) = (0u128, 0u32);
    for number in numbers {
        pending |= u128::from(number & mask(bits)) << held;
        held += bits;
        if held >= 64
            && let Some(word) = words.next()
        {
            *word = (pending as u64).to_le_bytes();
            pending >>= 64;
            held -= 64;
        }
    }
    let last = words.next().map(|word| word.as_mut_slice()).unwrap_or(rest);
    last.iter_mut().zip(pending.to_le_bytes()).for_each(|(byte, from)| *byte = from);
}

/// Undoes [`pack`]; `None` when the length is not that of `count` numbers or an unused bit is set.
#[must_use]
pub fn unpack(bytes: &[u8], count: usize, bits: u32) -> Option<Vec<u64>> {
    Some(unpack_each(bytes, count, bits)?.collect())
}

/// As [`unpack`], number by number; numbers of 0 bits are 0.
pub fn unpack_each(bytes: &[u8], count: usize, bits: u32) -> Option<impl ExactSizeIterator<Item = u64>> {
    let surplus = (8 * bytes.len()).checked_sub(count.checked_mul(bits as usize)?)?;
    let unused = bytes.last().map_or(0, |last| u32::from(*last) >> (8 - surplus.min(8)));
    if bytes.len() != packed_bytes(count, bits) || bits > 64 || unused != 0 {
        return None;
    }
    let (whole, rest) = bytes.as_chunks::<8>();
    let rest = rest.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let mut words = whole.iter().map(|word| u64::from_le_bytes(*word)).chain([rest]);
    let (mut pending, mut held) = (0u128, 0u32);
    Some((0..count).map(move |_| {
        if held < bits {
            pending |= u128::from(words.next().unwrap_or_default()) << held;
            held += 64;
        }
        let number = pending as u64 & mask(bits);
        pending >>= bits;
        held -= bits;
        number
    }))
}

/// Transposes a 128 × 128 bit matrix in place: bit j of row i becomes bit i of row j.
pub fn transpose_block(rows: &mut [u128; 128]) {
    let mut masks = [0u128; 7];
    let mut ones = u128::MAX;
    for (level, width) in [64u32, 32, 16, 8, 4, 2, 1].into_iter().enumerate() {
        ones ^= ones << width;
        masks[level] = ones;
    }
    for (mask, width) in masks.into_iter().zip([64usize, 32, 16, 8, 4, 2, 1]) {
        for pair in rows.chunks_exact_mut(2 * width) {
            let (low, high) = pair.split_at_mut(width);
            for (x, y) in low.iter_mut().zip(high) {
                let swap = ((*x >> width) ^ *y) & mask;
                *y ^= swap;
                *x ^= swap << width;
            }
        }
    }
}

/// Transposes 128 columns of `n` bits (n a multiple of 128, each column n / 8 bytes, one after the other) into n rows of
/// 128 bits: bit j of row i is bit i of column j. `None` when the length is not that of 128 such columns.
#[must_use]
pub fn transpose_columns(columns: &[u8], n: usize) -> Option<Vec<u128>> {
    if !n.is_multiple_of(128) || columns.len() != 16 * n {
        return None;
    }
    let mut rows = vec![0u128; n];
    if n == 0 {
        return Some(rows);
    }
    for (index, block) in rows.as_chunks_mut::<128>().0.iter_mut().enumerate() {
        for (row, column) in block.iter_mut().zip(columns.chunks_exact(n / 8)) {
            *row = u128::from_le_bytes(*column.get(16 * index..)?.first_chunk()?);
        }
        transpose_block(block);
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::rng::{Prg, Seed};

    fn prg(byte: u8) -> Prg {
        Prg::from_seed(&Seed::from_bytes([byte; 16]))
    }

    #[test]
    fn bits_survive_the_wire_and_bad_bytes_are_refused() {
        let mut prg = prg(1);
        for len in [0usize, 1, 7, 8, 9, 63, 64, 65, 127, 128, 200, 1000] {
            let values: Vec<bool> = (0..len).map(|_| prg.below(2) == 1).collect();
            let bits = Bits::from_bools(values.iter().copied());
            assert_eq!(bits.iter().collect::<Vec<_>>(), values);
            let bytes = bits.to_bytes();
            assert_eq!(bytes.len(), len.div_ceil(8));
            assert!(Bits::from_bytes(&bytes, len).unwrap().ct_eq(&bits));
            assert!(Bits::from_bytes(&[bytes.as_slice(), &[0]].concat(), len).is_none());
            if !len.is_multiple_of(8) {
                let mut bad = bytes.clone();
                *bad.last_mut().unwrap() |= 0x80;
                assert!(Bits::from_bytes(&bad, len).is_none());
            }
            let mut other = Bits::zeros(len);
            values.iter().enumerate().for_each(|(index, value)| other.set(index, *value));
            assert!(other.ct_eq(&bits));
            assert!(bits.xor(&other).ct_eq(&Bits::zeros(len)));
            assert!(bits.and(&other).ct_eq(&bits));
            assert!(Bits::from_words(vec![u64::MAX; 40], len).iter().all(|bit| bit));
        }
    }

    #[test]
    fn numbers_survive_packing_at_every_width() {
        let mut prg = prg(2);
        for bits in 1..=64u32 {
            for count in [0usize, 1, 2, 7, 8, 63, 64, 129] {
                let numbers: Vec<u64> = (0..count).map(|_| prg.next_u64()).collect();
                let bytes = pack(&numbers, bits);
                assert_eq!(bytes.len(), (count * bits as usize).div_ceil(8));
                let expected: Vec<u64> = numbers.iter().map(|n| n & mask(bits)).collect();
                assert_eq!(unpack(&bytes, count, bits).unwrap(), expected, "{bits} bits, {count} numbers");
                assert!(unpack(&[bytes.as_slice(), &[0]].concat(), count, bits).is_none());
                if !(count * bits as usize).is_multiple_of(8) {
                    let mut bad = bytes.clone();
                    *bad.last_mut().unwrap() |= 0x80;
                    assert!(unpack(&bad, count, bits).is_none());
                }
            }
        }
    }

    #[test]
    fn transposes_move_every_bit() {
        for n in [0usize, 128, 256, 1024] {
            let mut columns = vec![0u8; 16 * n];
            prg(3).fill(&mut columns);
            let rows = transpose_columns(&columns, n).unwrap();
            assert_eq!(rows.len(), n);
            for (i, row) in rows.iter().enumerate() {
                for j in 0..128 {
                    let byte = columns[j * n / 8 + i / 8];
                    assert_eq!(row >> j & 1, u128::from(byte >> (i % 8) & 1));
                }
            }
        }
        assert!(transpose_columns(&[0; 16], 1).is_none());
        assert!(transpose_columns(&[0; 16 * 127], 128).is_none());
    }
}
