//! The one place for secret randomness: operating-system seeds and a pseudo-random generator expanded from them.
//!
//! [`Prg`] is AES-128 in counter mode (AES-NI at run time where present, a constant-time portable form otherwise). The same
//! seed gives the same stream however it is read, so it also expands public seeds. Seeds and buffers are wiped on drop.
//!
//! # Example
//! ```
//! use colift_primitives::rng::{Prg, Seed};
//! let seed = Seed::from_os()?;
//! let (mut one, mut two) = (Prg::from_seed(&seed), Prg::from_seed(&seed));
//! assert_eq!(one.next_u64(), two.next_u64());
//! # Ok::<(), colift_primitives::PrimitivesError>(())
//! ```

use crate::PrimitivesError;
use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

#[cfg(feature = "insecure_replay")]
pub mod insecure_replay;

/// Bytes kept ready: what one parallel AES call fills.
const BUFFER: usize = 512;
/// Bytes written with counters before they are encrypted in one call: stays in the first-level cache.
const BATCH: usize = 1 << 13;

/// 128 secret bits. No Debug, no Clone; wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 16]);

impl Seed {
    /// A fresh seed from the operating system.
    ///
    /// # Errors
    /// Config class: the system's generator failed.
    pub fn from_os() -> Result<Self, PrimitivesError> {
        Ok(Self(*os_bytes::<16>()?))
    }

    /// A seed from given bytes: a joint coin, a base OT's output, a public seed.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for sending a public seed or deriving from a secret one.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A fresh seed from the operating system, short for [`Seed::from_os`].
///
/// # Errors
/// Config class: the system's generator failed.
pub fn seed() -> Result<Seed, PrimitivesError> {
    Seed::from_os()
}

/// Fresh bytes from the operating system, wiped on drop: keys, nonces, commitment openings.
///
/// # Errors
/// Config class: the system's generator failed.
pub fn os_bytes<const L: usize>() -> Result<Zeroizing<[u8; L]>, PrimitivesError> {
    let mut bytes = Zeroizing::new([0u8; L]);
    #[cfg(feature = "insecure_replay")]
    if insecure_replay::fill(bytes.as_mut_slice()) {
        return Ok(bytes);
    }
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| PrimitivesError::NoEntropy)?;
    Ok(bytes)
}

/// A deterministic stream of pseudo-random bytes from a seed.
pub struct Prg {
    cipher: Aes128,
    counter: u128,
    buffer: Zeroizing<[u8; BUFFER]>,
    used: usize,
}

impl Prg {
    /// The stream of this seed, from its beginning.
    #[must_use]
    pub fn from_seed(seed: &Seed) -> Self {
        Self { cipher: Aes128::new(&Array::from(seed.0)), counter: 0, buffer: Zeroizing::new([0; BUFFER]), used: BUFFER }
    }

    /// A stream nobody else knows.
    ///
    /// # Errors
    /// Config class: the system's generator failed.
    pub fn from_os() -> Result<Self, PrimitivesError> {
        Ok(Self::from_seed(&Seed::from_os()?))
    }

    /// Writes the next bytes of the stream.
    pub fn fill(&mut self, mut out: &mut [u8]) {
        loop {
            let ready = &mut self.buffer[self.used..];
            let take = ready.len().min(out.len());
            let (head, rest) = out.split_at_mut(take);
            head.copy_from_slice(&ready[..take]);
            ready[..take].zeroize();
            self.used += take;
            if rest.is_empty() {
                return;
            }
            let whole = rest.len() - rest.len() % BUFFER;
            let (direct, tail) = rest.split_at_mut(whole);
            for batch in direct.chunks_mut(BATCH) {
                keystream(&self.cipher, &mut self.counter, batch);
            }
            out = tail;
            if !out.is_empty() {
                keystream(&self.cipher, &mut self.counter, self.buffer.as_mut_slice());
                self.used = 0;
            }
        }
    }

    fn take<const L: usize>(&mut self) -> [u8; L] {
        let mut bytes = [0; L];
        self.fill(&mut bytes);
        bytes
    }

    /// The next 8 bytes as a number.
    pub fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// The next 16 bytes as a number.
    pub fn next_u128(&mut self) -> u128 {
        u128::from_le_bytes(self.take())
    }

    /// The next 16 bytes as the seed of another stream.
    pub fn next_seed(&mut self) -> Seed {
        Seed(self.take())
    }

    /// Fills numbers with the next bytes, 8 each.
    pub fn fill_u64(&mut self, out: &mut [u64]) {
        let mut bytes = Zeroizing::new([0u8; BATCH]);
        for chunk in out.chunks_mut(BATCH / 8) {
            let bytes = &mut bytes[..8 * chunk.len()];
            self.fill(bytes);
            let (words, _) = bytes.as_chunks::<8>();
            for (number, word) in chunk.iter_mut().zip(words) {
                *number = u64::from_le_bytes(*word);
            }
        }
    }

    /// Uniform in [0, bound), without bias (multiply and reject); 0 when `bound` is 0.
    ///
    /// How many draws are rejected depends on discarded draws only, never on the result.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Of the 2^64 draws the lowest 2^64 mod bound products in each residue's run are too many.
        let surplus = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= surplus {
                return (product >> 64) as u64;
            }
        }
    }

    /// Puts the items into a uniformly random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// A uniformly random permutation of 0..n.
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut items: Vec<u32> = (0..n).collect();
        self.shuffle(&mut items);
        items
    }
}

/// Encrypts running counters in place: `out` is a whole number of blocks.
fn keystream(cipher: &Aes128, counter: &mut u128, out: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(out);
    for block in blocks.iter_mut() {
        *block = Array::from(counter.to_le_bytes());
        *counter = counter.wrapping_add(1);
    }
    cipher.encrypt_blocks(blocks);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn prg(byte: u8) -> Prg {
        Prg::from_seed(&Seed::from_bytes([byte; 16]))
    }

    #[test]
    fn the_stream_is_aes_in_counter_mode() {
        let mut bytes = [0u8; 3000];
        prg(3).fill(&mut bytes);
        let cipher = Aes128::new(&Array::from([3u8; 16]));
        for (counter, block) in bytes.as_chunks::<16>().0.iter().enumerate() {
            let mut expected = Array::from((counter as u128).to_le_bytes());
            cipher.encrypt_block(&mut expected);
            assert_eq!(block, &expected.0);
        }
    }

    #[test]
    fn the_stream_is_the_same_however_it_is_read() {
        let mut whole = vec![0u8; 20_000];
        prg(5).fill(&mut whole);
        let (mut lengths, mut reader, mut at) = (prg(6), prg(5), 0);
        while at < whole.len() {
            let take = (lengths.below(1500) as usize).min(whole.len() - at);
            let mut part = vec![0u8; take];
            reader.fill(&mut part);
            assert_eq!(part, whole[at..at + take]);
            at += take;
        }
        let mut numbers = vec![0u64; 2500];
        prg(5).fill_u64(&mut numbers);
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(bytes, whole);
    }

    #[test]
    fn seeds_of_the_system_differ() {
        let (one, two) = (seed().unwrap(), seed().unwrap());
        assert_ne!(one.as_bytes(), two.as_bytes());
        assert_ne!(os_bytes::<32>().unwrap().as_slice(), os_bytes::<32>().unwrap().as_slice());
        assert_ne!(Prg::from_os().unwrap().next_u128(), Prg::from_os().unwrap().next_u128());
    }

    #[test]
    fn draws_below_a_bound_are_even() {
        let mut prg = prg(1);
        for bound in [1u64, 2, 3, 7, 10] {
            let mut counts = vec![0f64; bound as usize];
            let draws = 100_000.0;
            for _ in 0..draws as usize {
                counts[prg.below(bound) as usize] += 1.0;
            }
            let expected = draws / bound as f64;
            let chi: f64 = counts.iter().map(|c| (c - expected) * (c - expected) / expected).sum();
            assert!(chi < 35.0, "bound {bound}: chi-squared {chi}");
        }
        assert_eq!(prg.below(0), 0);
        assert!((0..1000).all(|_| prg.below(u64::MAX) < u64::MAX));
    }

    #[test]
    fn every_order_of_four_is_equally_likely() {
        let (mut prg, mut counts) = (prg(2), std::collections::HashMap::<Vec<u32>, f64>::new());
        for _ in 0..48_000 {
            *counts.entry(prg.permutation(4)).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 24);
        let chi: f64 = counts.values().map(|c| (c - 2000.0) * (c - 2000.0) / 2000.0).sum();
        assert!(chi < 60.0, "chi-squared {chi}");
        assert_eq!((prg.permutation(0).len(), prg.permutation(1)), (0, vec![0]));
    }
}
