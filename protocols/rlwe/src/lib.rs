//! Ring-LWE encryption for two-party linear algebra.
//!
//! **Purpose.** One party holds a matrix in the clear, the other a vector; the first computes on the second's ciphertexts.
//! This crate has the ring Z_q\[x\]/(x^8192+1) with q a product of primes of at most 30 bits, the number-theoretic transform,
//! seeded secret-key encryption (the uploads), fresh public-key encryptions of zero, modulus switch and masking (the replies),
//! and slot packing modulo a prime for elementwise products. Every noise bound is worst case: decryption cannot fail.
//!
//! **Security.** Semi-honest. IND-CPA under ring-LWE with ternary secrets and centred binomial errors at N = 8192 and
//! log₂ q ≤ 156 (limit 165 for 128 bits post-quantum, ePrint 2024/463). What a reply shows its receiver: see [`reply`].
//!
//! **Source.** BFV with encoding ⌊q·m/t⌉; coefficient packing after Cheetah (ePrint 2022/207) and Huang et al. (2022);
//! Harvey's lazy butterflies; Shoup multiplication.

mod encrypt;
mod error;
mod kernels;
mod keys;
mod modulus;
mod ntt;
mod pack;
mod params;
mod plain;
pub mod reply;
mod ring;
mod sample;
mod slots;

pub use encrypt::{Ciphertext, CommonRandomness, decrypt_exact, encrypt, receive_ciphertext};
pub use error::RlweError;
pub use keys::{PublicKey, SecretKey};
pub use modulus::Modulus;
pub use pack::{pack_residues, packed_bytes, unpack_residues};
pub use params::{Chain, ERROR_BOUND, Level, NoiseBudget, PRIMES, Parameters, Plaintext, SECURITY_LIMIT};
pub use plain::PlainPoly;
pub use ring::{Accumulator, N, Poly, Ring};
pub use slots::SlotEncoder;
