//! Large zeroed buffers on huge pages: first touch of small pages costs more than the work done on them.
//!
//! Small buffers live on the heap and are wiped on drop. Large ones are anonymous memory of their own, asked to lie on huge
//! pages where the system has them; dropping gives the pages back to the system, which clears them before anyone gets them.
//!
//! # Example
//! ```
//! use colift_primitives::buffer::Buffer;
//! let mut buffer = Buffer::<u128>::zeroed(3);
//! buffer[1] = 7;
//! buffer.truncate(2);
//! assert_eq!(*buffer, [0, 7]);
//! ```

use bytemuck::Pod;
use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};
use zeroize::Zeroize;

/// From this many bytes on, memory of its own.
const LARGE: usize = 1 << 21;

/// Plain numbers, all 0 at first.
pub struct Buffer<T: Pod + Zeroize> {
    memory: Memory<T>,
    len: usize,
}

enum Memory<T: Pod + Zeroize> {
    Heap(Vec<T>),
    Own(MmapMut),
}

impl<T: Pod + Zeroize> Buffer<T> {
    /// A buffer of `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let bytes = len.saturating_mul(size_of::<T>());
        let own = if bytes >= LARGE { MmapMut::map_anon(bytes).ok() } else { None };
        if let Some(map) = &own {
            advise(map);
        }
        Self { memory: own.map_or_else(|| Memory::Heap(vec![T::zeroed(); len]), Memory::Own), len }
    }

    /// A buffer of these numbers; missing ones are 0, surplus ones are not read.
    pub fn collect(len: usize, numbers: impl IntoIterator<Item = T>) -> Self {
        let mut buffer = Self::zeroed(len);
        buffer.iter_mut().zip(numbers).for_each(|(slot, number)| *slot = number);
        buffer
    }

    /// Forgets what lies behind the first `len` numbers.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// Asks for huge pages; without them everything works, slower.
fn advise(map: &MmapMut) {
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    #[cfg(not(target_os = "linux"))]
    let _ = map;
}

impl<T: Pod + Zeroize> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // Pages are aligned for every number, so the cast does not fail.
        let all = match &self.memory {
            Memory::Heap(numbers) => numbers.as_slice(),
            Memory::Own(map) => bytemuck::try_cast_slice(map).unwrap_or_default(),
        };
        all.get(..self.len).unwrap_or_default()
    }
}

impl<T: Pod + Zeroize> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let all = match &mut self.memory {
            Memory::Heap(numbers) => numbers.as_mut_slice(),
            Memory::Own(map) => bytemuck::try_cast_slice_mut(map).unwrap_or_default(),
        };
        all.get_mut(..self.len).unwrap_or_default()
    }
}

impl<T: Pod + Zeroize> Drop for Buffer<T> {
    fn drop(&mut self) {
        if let Memory::Heap(numbers) = &mut self.memory {
            numbers.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_hold_what_is_written() {
        for len in [0usize, 1, 1000, LARGE / 16 - 1, LARGE / 16, LARGE / 16 + 1, 700_001] {
            let mut buffer = Buffer::<u128>::zeroed(len);
            assert!(buffer.len() == len && buffer.iter().all(|number| *number == 0));
            buffer.iter_mut().zip(1..).for_each(|(slot, number)| *slot = number);
            assert_eq!(buffer.iter().copied().max().unwrap_or(0), len as u128);
            buffer.truncate(len / 2);
            assert_eq!(buffer.len(), len / 2);
            buffer.truncate(len);
            assert_eq!(buffer.len(), len / 2);
        }
        let pairs = Buffer::<[u128; 2]>::collect(200_000, (0..150_000).map(|i| [i, 1]));
        assert!(pairs[149_999] == [149_999, 1] && pairs[150_000] == [0, 0]);
    }
}
