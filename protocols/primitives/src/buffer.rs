//! Large buffers on huge pages: first touch of small pages costs more than the work done on them.
//!
//! Small buffers live on the heap and are wiped on drop. Large ones are anonymous memory of their own, asked to lie on huge
//! pages where the system has them; dropping gives the pages back to the system, which clears them before anyone gets them.
//! While a [`Reuse`] lives, dropped memory stays with this process for its next buffers instead: the system clears it once.
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
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

/// From this many bytes on, memory of its own.
const LARGE: usize = 1 << 21;

/// Plain numbers.
pub struct Buffer<T: Pod + Zeroize> {
    memory: Memory<T>,
    len: usize,
}

/// Memory between two owners.
struct Spare {
    /// Living [`Reuse`]s.
    users: usize,
    maps: Vec<MmapMut>,
}

static SPARE: Mutex<Spare> = Mutex::new(Spare { users: 0, maps: Vec::new() });

fn spare() -> MutexGuard<'static, Spare> {
    // Nothing that could panic is done under the lock; a list of maps is whole in any case.
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, memory of dropped large buffers serves the next ones; the last one to go gives it back to the system.
#[must_use]
pub struct Reuse(());

impl Reuse {
    /// Begins.
    pub fn begin() -> Self {
        spare().users += 1;
        Self(())
    }
}

impl Drop for Reuse {
    fn drop(&mut self) {
        let mut spare = spare();
        spare.users = spare.users.saturating_sub(1);
        let unused = if spare.users == 0 { std::mem::take(&mut spare.maps) } else { Vec::new() };
        drop(spare);
        drop(unused);
    }
}

/// The smallest spare memory of at least this many bytes.
fn take_spare(bytes: usize) -> Option<MmapMut> {
    let mut spare = spare();
    let fitting = spare.maps.iter().enumerate().filter(|(_, map)| map.len() >= bytes);
    let (index, _) = fitting.min_by_key(|(_, map)| map.len())?;
    Some(spare.maps.swap_remove(index))
}

enum Memory<T: Pod + Zeroize> {
    Heap(Vec<T>),
    Own(MmapMut),
}

impl<T: Pod + Zeroize> Buffer<T> {
    /// A buffer of `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let (mut buffer, clear) = Self::taken(len);
        if !clear {
            buffer.fill(T::zeroed());
        }
        buffer
    }

    /// A buffer of `len` numbers to be written before they are read: 0, or left from an earlier buffer of this process.
    #[must_use]
    pub fn scratch(len: usize) -> Self {
        Self::taken(len).0
    }

    /// A buffer, and whether all of it is 0.
    fn taken(len: usize) -> (Self, bool) {
        let bytes = len.saturating_mul(size_of::<T>());
        if bytes >= LARGE {
            if let Some(map) = take_spare(bytes) {
                return (Self { memory: Memory::Own(map), len }, false);
            }
            if let Ok(map) = MmapMut::map_anon(bytes) {
                advise(&map);
                return (Self { memory: Memory::Own(map), len }, true);
            }
        }
        (Self { memory: Memory::Heap(vec![T::zeroed(); len]), len }, true)
    }

    /// A buffer of these numbers; missing ones are 0, surplus ones are not read.
    pub fn collect(len: usize, numbers: impl IntoIterator<Item = T>) -> Self {
        let mut buffer = Self::scratch(len);
        let mut numbers = numbers.into_iter();
        buffer.iter_mut().for_each(|slot| *slot = numbers.next().unwrap_or_else(T::zeroed));
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

/// As many bytes as make whole numbers: spare memory may be longer than asked.
fn whole<T>(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len() - bytes.len() % size_of::<T>().max(1)).unwrap_or_default()
}

impl<T: Pod + Zeroize> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // Pages are aligned for every number, so the cast does not fail.
        let all = match &self.memory {
            Memory::Heap(numbers) => numbers.as_slice(),
            Memory::Own(map) => bytemuck::try_cast_slice(whole::<T>(map)).unwrap_or_default(),
        };
        all.get(..self.len).unwrap_or_default()
    }
}

impl<T: Pod + Zeroize> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let all = match &mut self.memory {
            Memory::Heap(numbers) => numbers.as_mut_slice(),
            Memory::Own(map) => {
                let bytes = whole::<T>(map).len();
                bytemuck::try_cast_slice_mut(map.get_mut(..bytes).unwrap_or_default()).unwrap_or_default()
            }
        };
        all.get_mut(..self.len).unwrap_or_default()
    }
}

impl<T: Pod + Zeroize> Drop for Buffer<T> {
    fn drop(&mut self) {
        match &mut self.memory {
            Memory::Heap(numbers) => numbers.zeroize(),
            Memory::Own(_) => {
                let mut spare = spare();
                if spare.users > 0
                    && let Memory::Own(map) = std::mem::replace(&mut self.memory, Memory::Heap(Vec::new()))
                {
                    spare.maps.push(map);
                }
            }
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
        {
            // Stale memory, of another width, never shows in a zeroed or a collected buffer.
            let _reuse = Reuse::begin();
            drop(Buffer::<u128>::collect(LARGE / 16 + 5, std::iter::repeat(u128::MAX)));
            let scratch = Buffer::<[u16; 3]>::scratch(LARGE / 6 + 1);
            assert_eq!(scratch.len(), LARGE / 6 + 1);
            drop(scratch);
            assert!(Buffer::<u32>::zeroed(LARGE / 4).iter().all(|number| *number == 0));
            assert_eq!(Buffer::<u64>::collect(LARGE / 8, [7]).iter().sum::<u64>(), 7);
        }
        let pairs = Buffer::<[u128; 2]>::collect(200_000, (0..150_000).map(|i| [i, 1]));
        assert!(pairs[149_999] == [149_999, 1] && pairs[150_000] == [0, 0]);
    }
}
