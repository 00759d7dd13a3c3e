//! The permutation in vectors of 256 bits: the portable form compiled for them, tested against itself compiled without.
//!
//! Callers check the CPU at run time ([`present`]). `unsafe` is only the call of a function compiled for detected features.
#![allow(unsafe_code)]

use super::{BATCH, Permutation};

/// Whether this CPU has the vectors.
pub fn present() -> bool {
    is_x86_feature_detected!("avx2")
}

/// The images of a batch; the caller has checked [`present`].
pub fn fill(permutation: &Permutation, first: u32, out: &mut [u32; BATCH]) {
    // SAFETY: the caller has checked the feature.
    unsafe { fill_vectors(permutation, first, out) }
}

#[target_feature(enable = "avx2")]
fn fill_vectors(permutation: &Permutation, first: u32, out: &mut [u32; BATCH]) {
    permutation.fill_portable(first, out);
}
