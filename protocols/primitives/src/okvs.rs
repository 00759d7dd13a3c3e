//! An oblivious key-value store over GF(2^128): n keys with values become a vector from which each key's value is a linear
//! combination.
//!
//! **Purpose** the receiver of an OPRF hides the hashes of its ids in a vector that tells nothing about the ids.
//!
//! **Functionality** [`Rows::place`] puts keys under a public seed into rows; [`Rows::encode`] finds P with row(x)·P = v for
//! all (x, v); [`Rows::decode`] gives row(y)·P for any keys. Rows are linear: Decode(P + Q) = Decode(P) + Decode(Q).
//! A row has three ones in the sparse part of the key's bin and g hashes of 64 bits in its dense part.
//!
//! **Security** the caller masks P with a one-time pad, so P itself may be any solution; entries that no row determines are 0.
//! Row and bin are hashes of the key under the seed. Encoding fails with probability at most 2^-40 over the seed
//! ([`OkvsParams`]); then the caller takes another seed, *before* any message depends on it.
//!
//! **Cost** [`OkvsParams::len`] elements of 16 bytes, 1.35 n at n = 2^20. Encoding is linear: peeling in cache-sized bins, a
//! dense system only for what peeling leaves.
//!
//! **Source** ePrint 2022/320 (RR22), §4: weight-3 rows, clustered; the size formulas of its §4.3. Deviations: what peeling
//! leaves is solved by Gaussian elimination, which succeeds whenever RR22's triangulation does; dense factors are g hashes of
//! 64 bits instead of powers of one of 128: as good as random, and a dense part costs 2g + 1 carry-less products.
//!
//! **Example**
//! ```
//! use colift_primitives::okvs::{OkvsParams, Rows};
//! use colift_primitives::rng::Seed;
//! let params = OkvsParams::for_items(3)?;
//! let rows = Rows::place(&params, &Seed::from_bytes([1; 16]), &[[10, 7], [20, 8], [30, 9]]);
//! let store = rows.encode().ok_or(colift_primitives::PrimitivesError::StoreFailed)?;
//! let other = Rows::place(&params, &Seed::from_bytes([1; 16]), &[[20, 0]]);
//! assert_eq!((other.order(), &*other.decode(&store)), ([0].as_slice(), [8].as_slice()));
//! # Ok::<(), colift_primitives::PrimitivesError>(())
//! ```

mod core;
mod params;
mod peel;
mod rows;

pub use params::{OkvsParams, bin_capacity};
pub use rows::Rows;

#[cfg(test)]
mod tests;
