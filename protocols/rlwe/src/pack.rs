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
            while filled >= 8 {
                bytes.push(window as u8);
                window >>= 8;
                filled -= 8;
            }
        }
        if filled > 0 {
            bytes.push(window as u8);
        }
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
        let (mut window, mut filled) = (0u64, 0);
        let mut source = head.iter();
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            while filled < width {
                window |= u64::from(source.next().copied().unwrap_or(0)) << filled;
                filled += 8;
            }
            let value = (window & mask) as u32;
            if value >= *q {
                return Err(RlweError::MalformedPolynomial);
            }
            values.push(value);
            window >>= width;
            filled -= width;
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
