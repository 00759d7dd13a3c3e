//! Residues on the wire: each in as many bits as its prime needs, little end first.

use crate::error::RlweError;
use crate::params::{PRIMES, prime_bits};

/// Bytes of `count` coefficients modulo the first `primes` primes.
#[must_use]
pub fn packed_bytes(count: usize, primes: usize) -> usize {
    PRIMES[..primes].iter().map(|q| (count * prime_bits(*q)).div_ceil(8)).sum()
}

/// Packs residues prime by prime; `residues[index]` holds those of prime `index`.
#[must_use]
pub fn pack_residues(residues: &[&[u32]]) -> Vec<u8> {
    let count = residues.first().map_or(0, |r| r.len());
    let mut bytes = Vec::with_capacity(packed_bytes(count, residues.len()));
    for (values, q) in residues.iter().zip(PRIMES) {
        let width = prime_bits(q);
        let (mut window, mut filled) = (0u64, 0);
        for value in *values {
            window |= u64::from(*value) << filled;
            filled += width;
            if filled >= 32 {
                bytes.extend_from_slice(&(window as u32).to_le_bytes());
                window >>= 32;
                filled -= 32;
            }
        }
        bytes.extend_from_slice(&window.to_le_bytes()[..filled.div_ceil(8)]);
    }
    bytes
}

/// Unpacks what [`pack_residues`] made.
///
/// # Errors
/// Peer class: a wrong length or a residue not below its prime.
pub fn unpack_residues(bytes: &[u8], count: usize, primes: usize) -> Result<Vec<Vec<u32>>, RlweError> {
    if bytes.len() != packed_bytes(count, primes) {
        return Err(RlweError::MalformedPolynomial);
    }
    let mut rest = bytes;
    let mut all = Vec::with_capacity(primes);
    for q in &PRIMES[..primes] {
        let width = prime_bits(*q);
        let (head, tail) = rest.split_at((count * width).div_ceil(8));
        rest = tail;
        let mask = (1u64 << width) - 1;
        // Eight bytes from the one in which a value begins hold all of it; the last values have fewer behind them.
        let value = |bytes: &[u8], bit: usize| {
            let window = bytes.get(bit / 8..bit / 8 + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
            (window >> (bit % 8) & mask) as u32
        };
        let within = (head.len().saturating_sub(7) * 8).div_ceil(width).min(count);
        let mut values = Vec::with_capacity(count);
        values.extend((0..within).map(|index| value(head, index * width)));
        let cut = within * width / 8;
        let mut end = head[cut..].to_vec();
        end.resize(end.len() + 8, 0);
        values.extend((within..count).map(|index| value(&end, index * width - 8 * cut)));
        if values.iter().fold(0, |worst, value| worst | u32::from(*value >= *q)) != 0 {
            return Err(RlweError::MalformedPolynomial);
        }
        all.push(values);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packs_and_refuses() {
        for count in [1usize, 7, 8, 8192] {
            let values: Vec<Vec<u32>> =
                PRIMES.iter().map(|q| (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761)) % q).collect()).collect();
            let views: Vec<&[u32]> = values.iter().map(Vec::as_slice).collect();
            let bytes = pack_residues(&views);
            assert_eq!(bytes.len(), packed_bytes(count, 6));
            assert_eq!(unpack_residues(&bytes, count, 6).unwrap(), values);
            assert_eq!(unpack_residues(&bytes[1..], count, 6), Err(RlweError::MalformedPolynomial));
            assert_eq!(unpack_residues(&vec![0xFF; bytes.len()], count, 6), Err(RlweError::MalformedPolynomial));
        }
    }
}
