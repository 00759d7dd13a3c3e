//! Transformed tiles of a matrix that is multiplied again and again, kept as far as there is memory.

use super::Plan;
use colift_rlwe::{N, PlainPoly};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tiles of one matrix under one plan. The first product fills it, the later ones find their factors ready; tiles beyond its room
/// are made anew each time. Own plain data, never sent.
#[derive(Debug, Default)]
pub struct Kept {
    plan: Option<Plan>,
    tiles: Vec<OnceLock<PlainPoly>>,
    /// Tiles that may still be stored.
    room: AtomicU64,
}

impl Kept {
    /// Room for tiles of a matrix under `plan`, of at most so many bytes.
    #[must_use]
    pub fn new(plan: &Plan, bytes: u64) -> Self {
        let tiles = plan.row_tiles() * plan.inner_tiles();
        let room = bytes / Self::tile_bytes(plan);
        if room == 0 {
            return Self::default();
        }
        let mut places = Vec::new();
        places.resize_with(tiles, OnceLock::new);
        Self { plan: Some(*plan), tiles: places, room: AtomicU64::new(room) }
    }

    /// Bytes of one tile.
    fn tile_bytes(plan: &Plan) -> u64 {
        (plan.level.primes() * N * size_of::<u32>()) as u64
    }

    /// Bytes of all tiles of a matrix under `plan`.
    #[must_use]
    pub fn all_bytes(plan: &Plan) -> u64 {
        (plan.row_tiles() * plan.inner_tiles()) as u64 * Self::tile_bytes(plan)
    }

    /// The place of a tile, where products under `plan` have one.
    pub(super) fn place(&self, plan: &Plan, row_tile: usize, inner_tile: usize) -> Option<&OnceLock<PlainPoly>> {
        (self.plan.as_ref() == Some(plan)).then(|| self.tiles.get(row_tile * plan.inner_tiles() + inner_tile)).flatten()
    }

    /// Stores a tile if there is room.
    pub(super) fn offer(&self, place: &OnceLock<PlainPoly>, tile: &PlainPoly) {
        let less = |room: u64| room.checked_sub(1);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            // Another thread never makes the same tile.
            let _ = place.set(tile.clone());
        }
    }

    /// Bytes of the tiles under `plan` that may still be stored.
    #[must_use]
    pub fn room_bytes(&self, plan: &Plan) -> u64 {
        self.room.load(Ordering::Relaxed) * Self::tile_bytes(plan)
    }

    /// Tiles that are stored.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.tiles.iter().filter(|tile| tile.get().is_some()).count()
    }
}
