//! Arithmetic modulo one prime below 2^30: Barrett reduction of 64-bit values and Shoup products by constants.

/// A prime modulus q < 2^30 with its Barrett constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modulus {
    q: u32,
    /// ⌊2^64 / q⌋
    barrett: u64,
}

impl Modulus {
    /// A modulus; `q` must be an odd prime below 2^30 (checked by the parameter tests).
    #[must_use]
    pub const fn new(q: u32) -> Self {
        Self { q, barrett: (u64::MAX / q as u64) }
    }

    /// The prime.
    #[must_use]
    #[inline]
    pub const fn value(self) -> u32 {
        self.q
    }

    /// x mod q for any x.
    #[must_use]
    #[inline]
    pub fn reduce(self, x: u64) -> u32 {
        let quotient = ((u128::from(x) * u128::from(self.barrett)) >> 64) as u64;
        let mut rest = x.wrapping_sub(quotient.wrapping_mul(u64::from(self.q)));
        // The quotient is at most 2 too small.
        while rest >= u64::from(self.q) {
            rest -= u64::from(self.q);
        }
        rest as u32
    }

    /// x mod q in \[0, q) for a signed x.
    #[must_use]
    #[inline]
    pub fn reduce_signed(self, x: i64) -> u32 {
        let rest = self.reduce(x.unsigned_abs());
        if x < 0 && rest != 0 { self.q - rest } else { rest }
    }

    /// x mod q for a 128-bit x.
    #[must_use]
    pub fn reduce_wide(self, x: u128) -> u32 {
        let two64 = u64::from(self.reduce(u64::MAX)) + 1;
        self.reduce(u64::from(self.reduce((x >> 64) as u64)) * two64 + u64::from(self.reduce(x as u64)))
    }

    /// a + b mod q for reduced a, b.
    #[must_use]
    #[inline]
    pub fn add(self, a: u32, b: u32) -> u32 {
        let sum = a + b;
        if sum >= self.q { sum - self.q } else { sum }
    }

    /// a − b mod q for reduced a, b.
    #[must_use]
    #[inline]
    pub fn sub(self, a: u32, b: u32) -> u32 {
        if a >= b { a - b } else { a + self.q - b }
    }

    /// a·b mod q for reduced a, b.
    #[must_use]
    #[inline]
    pub fn mul(self, a: u32, b: u32) -> u32 {
        self.reduce(u64::from(a) * u64::from(b))
    }

    /// base^exponent mod q.
    #[must_use]
    pub fn pow(self, base: u32, mut exponent: u64) -> u32 {
        let (mut result, mut power) = (1u32, base);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, power);
            }
            power = self.mul(power, power);
            exponent >>= 1;
        }
        result
    }

    /// a⁻¹ mod q for a ≠ 0, by Fermat.
    #[must_use]
    pub fn inverse(self, a: u32) -> u32 {
        self.pow(a, u64::from(self.q) - 2)
    }

    /// ⌊w·2^32 / q⌋: the constant for [`Modulus::mul_shoup_lazy`].
    #[must_use]
    pub fn shoup(self, w: u32) -> u32 {
        ((u64::from(w) << 32) / u64::from(self.q)) as u32
    }

    /// x·w mod q in \[0, 2q) for any 32-bit x.
    #[must_use]
    #[inline(always)]
    pub fn mul_shoup_lazy(self, x: u32, w: u32, w_shoup: u32) -> u32 {
        let quotient = ((u64::from(x) * u64::from(w_shoup)) >> 32) as u32;
        x.wrapping_mul(w).wrapping_sub(quotient.wrapping_mul(self.q))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reductions_agree_with_remainder() {
        for q in crate::PRIMES {
            let modulus = Modulus::new(q);
            let mut x = 0x9E37_79B9_7F4A_7C15u64;
            for _ in 0..2000 {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                assert_eq!(u64::from(modulus.reduce(x)), x % u64::from(q));
                assert_eq!(i64::from(modulus.reduce_signed(x as i64)), (x as i64).rem_euclid(i64::from(q)));
                let wide = u128::from(x) << 60 | u128::from(x.rotate_left(7));
                assert_eq!(u128::from(modulus.reduce_wide(wide)), wide % u128::from(q));
                let (a, w) = (x as u32, modulus.reduce(x >> 20));
                let lazy = modulus.mul_shoup_lazy(a, w, modulus.shoup(w));
                assert_eq!(u64::from(lazy) % u64::from(q), u64::from(a) * u64::from(w) % u64::from(q));
                assert!(lazy < 2 * q);
            }
            assert_eq!(modulus.reduce(u64::MAX), (u64::MAX % u64::from(q)) as u32);
            assert_eq!(modulus.mul(modulus.inverse(12345), 12345), 1);
        }
    }
}
