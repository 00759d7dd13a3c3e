//! Two-party test world: runs both roles over a memory pair and returns what each put out. A dev-dependency only.

use colift_channel::Counters;
use colift_channel::memory::{MemoryChannel, pair};

/// Runs two roles on threads over a connected pair; returns (first's output, second's output, first's counters, second's counters).
///
/// # Panics
/// When a role panics: this is for tests.
#[allow(clippy::panic, clippy::expect_used)]
pub fn run_pair<A: Send, B: Send>(
    first: impl FnOnce(&mut MemoryChannel) -> A + Send,
    second: impl FnOnce(&mut MemoryChannel) -> B + Send,
) -> (A, B, Counters, Counters) {
    use colift_channel::Channel;
    let (mut a, mut b) = pair();
    std::thread::scope(|scope| {
        let left = scope.spawn(move || (first(&mut a), a.counters()));
        let right = scope.spawn(move || (second(&mut b), b.counters()));
        let (left, right) = (left.join().expect("first role"), right.join().expect("second role"));
        (left.0, right.0, left.1, right.1)
    })
}
