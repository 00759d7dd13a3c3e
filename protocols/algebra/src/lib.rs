//! Two-party linear algebra on additive shares modulo 2^50.
//!
//! Everything a training needs that is more than local arithmetic: products of a matrix known to one party with a matrix
//! encrypted by the other ([`product`]), a function of a shared value by the trigonometric gate ([`gate`]), the
//! exact lift between moduli that is the only truncation ([`lift`]), and products of shares by shares
//! ([`symmetric`]), products with private integers ([`weigh`]). [`Engine`] holds one party's keys and correlations for a run.
//!
//! Words: the *holder* knows a matrix in the clear, the *encryptor* the other factor. A share is a `u64` below 2^50.

mod engine;
mod error;
pub mod gate;
pub mod lift;
mod overlap;
pub mod product;
pub mod ring50;
pub mod symmetric;
pub mod weigh;

pub use engine::{Cost, Engine};
pub use error::AlgebraError;
