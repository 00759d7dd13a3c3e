//! The columns that OT extension and bit VOLE share: pseudo-random columns at either side that differ by Δ_j·c (IKNP).
//!
//! The receiver has two generators a column and the bits c, the sender one of the two by bit j of Δ. The message is
//! G₀ ⊕ G₁ ⊕ c in every column; the receiver keeps G₀, the sender ends with G₀ ⊕ Δ_j·c.

use colift_primitives::rng::Prg;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Columns a worker thread takes at least: below that splitting costs more than it gains.
pub(crate) const COLUMNS_A_TASK: usize = 16;

/// Sender: turns the peer's message of 128 columns, `rows` bits each, into its own columns in place.
pub(crate) fn correct(message: &mut [u8], rows: usize, delta: u128, generators: &mut [Prg]) {
    let each = message.par_chunks_mut(rows / 8).zip(generators.par_iter_mut()).enumerate();
    each.with_min_len(COLUMNS_A_TASK).for_each(|(j, (column, prg))| {
        let keep = ((delta >> j & 1) as u8).wrapping_neg();
        let mut own = Zeroizing::new(vec![0u8; column.len()]);
        prg.fill(&mut own);
        column.iter_mut().zip(own.iter()).for_each(|(byte, own)| *byte = *byte & keep ^ own);
    });
}

/// Receiver: the message for the bits c, `rows` of them packed, and its own columns.
pub(crate) fn expand(packed: &[u8], rows: usize, generators: &mut [[Prg; 2]]) -> (Vec<u8>, Zeroizing<Vec<u8>>) {
    let (mut message, mut own) = (vec![0u8; 16 * rows], Zeroizing::new(vec![0u8; 16 * rows]));
    let outputs = message.par_chunks_mut(rows / 8).zip(own.par_chunks_mut(rows / 8));
    outputs.zip(generators.par_iter_mut()).with_min_len(COLUMNS_A_TASK).for_each(|((message, own), [zero, one])| {
        zero.fill(own);
        one.fill(message);
        message.iter_mut().zip(own.iter().zip(packed)).for_each(|(byte, (own, c))| *byte ^= own ^ c);
    });
    (message, own)
}
