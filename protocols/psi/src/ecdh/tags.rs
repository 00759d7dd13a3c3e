//! Tags of double-masked points: short session-bound names, their intersection, and the common order.

use super::mask::Encoding;
use crate::PsiError;
use colift_primitives::hash::{HmacKey, PartHash};
use rayon::prelude::*;

/// Two session-keyed pseudo-random functions: one names points, one orders matches.
pub struct TagKeys {
    name: HmacKey,
    order: HmacKey,
}

/// A tag before truncation; truncated ones have their upper bytes 0.
pub type Tag = u128;

impl TagKeys {
    /// The keys of a session.
    #[must_use]
    pub fn of_session(session: &[u8; 32]) -> Self {
        let key = |purpose| HmacKey::new(&PartHash::new(purpose).part(session).finish());
        Self { name: key("colift matching tag v1"), order: key("colift matching order v1") }
    }

    /// The tags of double-masked points, in their order.
    #[must_use]
    pub fn tags(&self, points: &[Encoding]) -> Vec<Tag> {
        points.par_iter().with_min_len(1024).map(|point| leading(&self.name.hmac(point))).collect()
    }

    /// Puts matches into the common order: ascending by the pseudo-random value of their tag.
    pub fn sort(&self, matches: &mut [(Tag, u32)]) {
        matches.sort_by_cached_key(|(tag, _)| leading(&self.order.hmac(&tag.to_le_bytes())));
    }
}

fn leading(digest: &[u8; 32]) -> Tag {
    digest.first_chunk().map_or(0, |bytes| Tag::from_le_bytes(*bytes))
}

/// The lowest `bytes` bytes of a tag.
#[must_use]
pub fn truncate(tag: Tag, bytes: usize) -> Tag {
    if bytes >= 16 { tag } else { tag & ((1 << (8 * bytes)) - 1) }
}

/// Wire form of truncated tags.
#[must_use]
pub fn encode(tags: &[Tag], bytes: usize) -> Vec<u8> {
    tags.iter().flat_map(|tag| tag.to_le_bytes().into_iter().take(bytes)).collect()
}

/// Undoes [`encode`].
#[must_use]
pub fn decode(wire: &[u8], bytes: usize) -> Vec<Tag> {
    wire.chunks_exact(bytes.max(1)).map(|chunk| chunk.iter().rev().fold(0, |tag, byte| tag << 8 | Tag::from(*byte))).collect()
}

/// The common tags with the peer's positions, from our tags (ascending) and the peer's with positions (ascending).
///
/// # Errors
/// Abort class: a common tag stands twice on one side.
pub fn intersect(own: &[Tag], peer: &[(Tag, u32)]) -> Result<Vec<(Tag, u32)>, PsiError> {
    let (mut own, mut peer) = (own.iter().copied().peekable(), peer.iter().copied().peekable());
    let mut common: Vec<(Tag, u32)> = Vec::new();
    while let (Some(left), Some((right, position))) = (own.peek().copied(), peer.peek().copied()) {
        if left == right {
            common.push((right, position));
            own.next();
            peer.next();
            if own.peek() == Some(&left) || peer.peek().is_some_and(|(next, _)| *next == right) {
                return Err(PsiError::TagCollision);
            }
        } else if left < right {
            own.next();
        } else {
            peer.next();
        }
    }
    Ok(common)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn tags_survive_the_wire() {
        for bytes in 5..=16 {
            let tags: Vec<Tag> = (1..50u128).map(|i| truncate(i.wrapping_mul(u128::MAX / 57), bytes)).collect();
            let wire = encode(&tags, bytes);
            assert_eq!(wire.len(), 49 * bytes);
            assert_eq!(decode(&wire, bytes), tags);
        }
    }

    #[test]
    fn intersections_and_collisions() {
        let peer = [(1, 10), (3, 11), (5, 12), (9, 13)];
        assert_eq!(intersect(&[3, 4, 9], &peer).unwrap(), [(3, 11), (9, 13)]);
        assert_eq!(intersect(&[], &peer).unwrap(), []);
        assert_eq!(intersect(&[3], &[]).unwrap(), []);
        assert_eq!(intersect(&[4, 4, 9], &peer).unwrap(), [(9, 13)]);
        assert_eq!(intersect(&[3, 3], &peer).err(), Some(PsiError::TagCollision));
        assert_eq!(intersect(&[3], &[(3, 1), (3, 2)]).err(), Some(PsiError::TagCollision));
    }

    #[test]
    fn order_and_names_depend_on_the_session() {
        let (one, two) = (TagKeys::of_session(&[1; 32]), TagKeys::of_session(&[2; 32]));
        assert_ne!(one.tags(&[[7; 32]]), two.tags(&[[7; 32]]));
        let mut a: Vec<(Tag, u32)> = (0..100).map(|i| (Tag::from(i), i)).collect();
        let (mut b, mut c) = (a.clone(), a.iter().rev().copied().collect::<Vec<_>>());
        one.sort(&mut a);
        two.sort(&mut b);
        one.sort(&mut c);
        assert_eq!(a, c);
        assert_ne!(a, b);
        assert!(!a.is_sorted() && !b.is_sorted());
    }
}
