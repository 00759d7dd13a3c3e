//! Tests only: puts a stream from a given seed in the place of the system's generator, on the threads that ask for it.
//!
//! Behind the feature `insecure_replay`, which only the root's feature `replay` may enable (held by `tests/tidy.rs`); no library code and no
//! program calls this. With it one party of a recorded conversation sends the same bytes every time (docs/adr/0024).
//! A thread that never called [`begin`] has the system's generator.
//!
//! # Example
//! ```
//! use colift_primitives::rng::{Seed, insecure_replay, os_bytes};
//! let draw = || {
//!     insecure_replay::begin(&Seed::from_bytes([7; 16]));
//!     let drawn = *os_bytes::<16>().unwrap();
//!     insecure_replay::end();
//!     drawn
//! };
//! assert_eq!(draw(), draw());
//! assert_ne!(*os_bytes::<16>().unwrap(), draw());
//! ```

use super::{Prg, Seed};
use std::cell::RefCell;

thread_local! {
    static STREAM: RefCell<Option<Prg>> = const { RefCell::new(None) };
}

/// From here on this thread's secret bytes are the stream of this seed. A pool of threads needs it on its one thread.
pub fn begin(seed: &Seed) {
    STREAM.set(Some(Prg::from_seed(seed)));
}

/// From here on this thread's secret bytes are the system's again.
pub fn end() {
    STREAM.set(None);
}

/// Writes the next bytes of this thread's stream; false where it has none.
pub(super) fn fill(out: &mut [u8]) -> bool {
    STREAM.with_borrow_mut(|stream| stream.as_mut().map(|stream| stream.fill(out)).is_some())
}
