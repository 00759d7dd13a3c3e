//! Shares modulo 2^50 and their signed reading.

/// Bits of the share modulus.
pub const BITS: u32 = 50;
/// 2^50 − 1.
pub const MASK: u64 = (1 << BITS) - 1;

/// A signed integer as an element.
#[must_use]
#[inline]
pub fn from_signed(x: i64) -> u64 {
    (x as u64) & MASK
}

/// The element's signed reading in [−2^49, 2^49).
#[must_use]
#[inline]
pub fn to_signed(x: u64) -> i64 {
    ((x << (64 - BITS)) as i64) >> (64 - BITS)
}

/// A real number in fixed point with `bits` fraction bits, rounded to nearest.
#[must_use]
pub fn from_real(x: f64, bits: u32) -> u64 {
    from_signed((x * f64::from(bits).exp2()).round() as i64)
}

/// The real number of an opened element with `bits` fraction bits.
#[must_use]
pub fn to_real(x: u64, bits: u32) -> f64 {
    to_signed(x) as f64 / f64::from(bits).exp2()
}

/// a + b.
#[must_use]
#[inline]
pub fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b) & MASK
}

/// a − b.
#[must_use]
#[inline]
pub fn sub(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b) & MASK
}

/// k·a for a public integer k.
#[must_use]
#[inline]
pub fn scale(a: u64, k: i64) -> u64 {
    a.wrapping_mul(k as u64) & MASK
}

/// Bytes of `count` elements on the wire.
#[must_use]
pub const fn packed_bytes(count: usize) -> usize {
    (count * BITS as usize).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_reading_round_trips() {
        for x in [0, 1, -1, (1 << 49) - 1, -(1 << 49), 123_456_789] {
            assert_eq!(to_signed(from_signed(x)), x);
            assert_eq!(to_signed(add(from_signed(x), from_signed(-x))), 0);
        }
        assert_eq!(to_real(from_real(-2.5, 20), 20), -2.5);
        assert_eq!(to_signed(scale(from_signed(-7), -3)), 21);
        assert_eq!(sub(0, 1), MASK);
    }
}
