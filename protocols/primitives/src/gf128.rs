//! The field GF(2^128): carry-less multiplication where the CPU has it, a constant-time portable form otherwise.
//!
//! An element is a `u128`, bit i the coefficient of x^i, modulo x^128 + x^7 + x^2 + x + 1. Addition is exclusive or. Both forms
//! take the same time for all inputs of a length.
//!
//! # Example
//! ```
//! use colift_primitives::gf128::multiply;
//! assert_eq!(multiply(2, 1 << 127), 0x87);
//! ```

#[cfg(target_arch = "x86_64")]
mod clmul;

/// x^128 modulo the polynomial.
const REDUCTION: u128 = 0x87;

/// a·x.
#[must_use]
pub const fn double(a: u128) -> u128 {
    (a << 1) ^ (REDUCTION & (a >> 127).wrapping_neg())
}

/// a·b, bit by bit.
fn multiply_portable(a: u128, b: u128) -> u128 {
    (0..128).rev().fold(0, |sum, i| double(sum) ^ (a & (b >> i & 1).wrapping_neg()))
}

/// True where the CPU multiplies without carry.
fn present() -> bool {
    #[cfg(target_arch = "x86_64")]
    return clmul::present();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Runs the vector form where it is present, else the portable one.
macro_rules! dispatch {
    ($vector:expr, $portable:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if present() {
            return $vector;
        }
        $portable
    }};
}

/// a·b.
#[must_use]
pub fn multiply(a: u128, b: u128) -> u128 {
    dispatch!(clmul::multiply(a, b), multiply_portable(a, b))
}

/// sums\[i\] += values\[i\]·factor, as far as both reach.
pub fn add_scaled(sums: &mut [u128], values: &[u128], factor: u128) {
    dispatch!(clmul::add_scaled(sums, values, factor), add_scaled_portable(sums, values, factor))
}

fn add_scaled_portable(sums: &mut [u128], values: &[u128], factor: u128) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum ^= multiply_portable(*value, factor);
    }
}

/// Σ a\[i\]·b\[i\], as far as both reach.
#[must_use]
pub fn inner_product(a: &[u128], b: &[u128]) -> u128 {
    dispatch!(clmul::inner_product(a, b), inner_product_portable(a, b))
}

fn inner_product_portable(a: &[u128], b: &[u128]) -> u128 {
    a.iter().zip(b).fold(0, |sum, (a, b)| sum ^ multiply_portable(*a, *b))
}

/// sums\[i\] += Σ_k short\[i·g + k\]·values\[k\] with g = values.len(): each sum takes g short factors (of degree below 64).
pub fn add_short_products(sums: &mut [u128], short: &[u64], values: &[u128]) {
    if values.is_empty() {
        return;
    }
    dispatch!(clmul::add_short_products(sums, short, values), add_short_products_portable(sums, short, values))
}

fn add_short_products_portable(sums: &mut [u128], short: &[u64], values: &[u128]) {
    for (sum, factors) in sums.iter_mut().zip(short.chunks_exact(values.len())) {
        *sum ^= values.iter().zip(factors).fold(0, |sum, (value, factor)| sum ^ multiply_portable(*value, u128::from(*factor)));
    }
}

/// The powers factor, factor², … in order.
pub fn fill_powers(powers: &mut [u128], factor: u128) {
    let mut power = 1;
    for slot in powers {
        power = multiply(power, factor);
        *slot = power;
    }
}

/// 1/a by Fermat's theorem, a^(2^128 − 2); 0 for 0.
#[must_use]
pub fn invert(a: u128) -> u128 {
    // The exponent is 127 ones and a zero.
    let (mut square, mut product) = (a, 1);
    for _ in 1..128 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::rng::{Prg, Seed};

    fn numbers(byte: u8, count: usize) -> Vec<u128> {
        let mut prg = Prg::from_seed(&Seed::from_bytes([byte; 16]));
        let mut all: Vec<u128> = (0..count).map(|_| prg.next_u128()).collect();
        for (slot, edge) in all.iter_mut().zip([0, 1, u128::MAX, 1 << 127, 1 << 64, (1 << 64) - 1, 0x87]) {
            *slot = edge;
        }
        all
    }

    #[test]
    fn both_forms_agree() {
        let (a, mut b) = (numbers(1, 150), numbers(2, 150));
        b.reverse();
        for (x, y) in a.iter().zip(&b) {
            assert_eq!(multiply(*x, *y), multiply_portable(*x, *y));
            assert_eq!(multiply_portable(*x, *y), multiply_portable(*y, *x));
        }
        assert_eq!(inner_product(&a, &b), inner_product_portable(&a, &b));
        let (mut fast, mut slow) = (a.clone(), a.clone());
        add_scaled(&mut fast, &b, a[20]);
        add_scaled_portable(&mut slow, &b, a[20]);
        assert_eq!(fast, slow);
        for terms in 0..5 {
            let short: Vec<u64> = (0..150 * terms).map(|i| (b[i % 150] >> (i / 150)) as u64).collect();
            add_short_products(&mut fast, &short, &a[3..3 + terms]);
            if terms > 0 {
                add_short_products_portable(&mut slow, &short, &a[3..3 + terms]);
            }
            assert_eq!(fast, slow);
        }
    }

    #[test]
    fn it_is_the_field() {
        // x^128 + x^7 + x^2 + x + 1: squaring x 128 times gives x, squaring 64 times does not.
        let square = |times: usize| (0..times).fold(2u128, |x, _| multiply(x, x));
        assert_eq!(square(128), 2);
        assert_ne!(square(64), 2);
        let values = numbers(3, 60);
        for window in values.windows(3) {
            let [a, b, c] = window else { unreachable!() };
            assert_eq!(multiply(*a, b ^ c), multiply(*a, *b) ^ multiply(*a, *c));
            assert_eq!(multiply(multiply(*a, *b), *c), multiply(*a, multiply(*b, *c)));
            assert_eq!(multiply(*a, 1), *a);
            assert_eq!(multiply(*a, invert(*a)), u128::from(*a != 0));
        }
        let mut powers = [0; 4];
        fill_powers(&mut powers, values[9]);
        assert_eq!((powers[0], powers[3]), (values[9], multiply(powers[2], values[9])));
    }

    /// GCM's hash is this field with the bits of each block reversed (NIST test case 2: H·C, then the length block).
    #[test]
    fn it_meets_the_vector_of_gcm() {
        let element = |block: u128| block.reverse_bits();
        let h = element(0x66e9_4bd4_ef8a_2c3b_884c_fa59_ca34_2b2e);
        let text = element(0x0388_dace_60b6_a392_f328_c2b9_71b2_fe78);
        let x = multiply(text, h);
        assert_eq!(x.reverse_bits(), 0x5e2e_c746_9170_6288_2c85_b068_5353_deb7);
        assert_eq!(multiply(x ^ element(0x80), h).reverse_bits(), 0xf38c_bb1a_d692_23dc_c345_7ae5_b6b0_f885);
    }
}
