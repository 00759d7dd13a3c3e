//! Slot packing: N values modulo a prime t ≡ 1 mod 16384, multiplied slot by slot when polynomials multiply.

use crate::kernels;
use crate::modulus::Modulus;
use crate::ntt::NttTable;
use crate::params::Plaintext;
use crate::ring::N;

/// Plaintext prime for products of two values of 10 fraction bits.
pub(crate) const PRIME_10_BITS: u32 = 8_273_921;
/// Plaintext prime for products of two values of 13 fraction bits.
pub(crate) const PRIME_13_BITS: u32 = 536_690_689;

/// Moves between slots and coefficients modulo the prime t.
#[derive(Debug)]
pub struct SlotEncoder {
    table: NttTable,
}

impl SlotEncoder {
    /// Most fraction bits of values whose products the larger prime holds.
    pub const MOST_FRACTION_BITS: u32 = 13;

    /// The encoder for values whose products have 2·`bits` fraction bits; `bits` is 10 or 13.
    #[must_use]
    pub fn for_fraction_bits(bits: u32) -> Self {
        Self { table: NttTable::new(Modulus::new(if bits <= 10 { PRIME_10_BITS } else { PRIME_13_BITS })) }
    }

    /// The plaintext modulus t.
    #[must_use]
    pub fn prime(&self) -> u32 {
        self.table.modulus.value()
    }

    /// The plaintext ring.
    #[must_use]
    pub fn plaintext(&self) -> Plaintext {
        Plaintext::Prime(self.prime())
    }

    /// Slots (signed, below 2^30 in absolute value) to coefficients in \[0, t).
    #[must_use]
    pub fn to_coefficients(&self, slots: &[i32]) -> Vec<u32> {
        let mut values = vec![0; N];
        kernels::reduce_small(&mut values, slots, self.table.modulus);
        self.table.backward(&mut values);
        values
    }

    /// Slots to coefficients in (−t/2, t/2\], the evaluator's form.
    #[must_use]
    pub fn to_centred(&self, slots: &[i32]) -> Vec<i32> {
        let t = self.prime();
        self.to_coefficients(slots).into_iter().map(|x| x.wrapping_sub(if x > t / 2 { t } else { 0 }) as i32).collect()
    }

    /// Coefficients in \[0, t) to slots in \[0, t).
    #[must_use]
    pub fn to_slots(&self, coefficients: &[u64]) -> Vec<u32> {
        let mut values: Vec<u32> = coefficients.iter().map(|x| *x as u32).collect();
        self.table.forward(&mut values);
        values
    }
}
