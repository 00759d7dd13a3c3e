//! What both sides agree on before the matching, and the sizes that follow from it.

use crate::PsiError;
use colift_correlation::Role;
use colift_primitives::hash::PartHash;

/// Public settings of one matching; both sides hold the same, own and peer exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchParams {
    /// Tag of this run, fresh each time: ids are hashed to the group under it.
    pub session: [u8; 32],
    /// Most ids this side may bring.
    pub own_max: u64,
    /// Most ids the peer may bring.
    pub peer_max: u64,
    /// Fewest common ids for which anything but their number is revealed.
    pub min_overlap: u64,
}

impl MatchParams {
    /// A digest that both sides compute alike, whoever is own and peer.
    pub(crate) fn digest(&self, role: Role) -> [u8; 32] {
        let (first, second) = match role {
            Role::First => (self.own_max, self.peer_max),
            Role::Second => (self.peer_max, self.own_max),
        };
        PartHash::new("colift matching parameters v1").part(&self.session).number(first).number(second).number(self.min_overlap).finish()
    }

    /// Our size against our cap and against what a row number holds.
    pub(crate) fn check_own(&self, count: usize) -> Result<(), PsiError> {
        let max = self.own_max.min(u64::from(u32::MAX));
        if count as u64 > max { Err(PsiError::OwnTooMany { count: count as u64, max }) } else { Ok(()) }
    }

    /// The peer's size against its cap; its size as an index.
    pub(crate) fn check_peer(&self, count: u64) -> Result<usize, PsiError> {
        let max = self.peer_max.min(u64::from(u32::MAX));
        usize::try_from(count).ok().filter(|_| count <= max).ok_or(PsiError::PeerTooMany { count, max })
    }
}

/// Bits of a tag: 40 + log2(n_o·n_p); a false match anywhere has probability ≤ 2^-40.
#[must_use]
pub(crate) fn tag_bits(own: usize, peer: usize) -> u32 {
    let pairs = (own.max(1) as u128) * (peer.max(1) as u128);
    40 + pairs.next_power_of_two().trailing_zeros()
}

/// Bytes of a tag: its bits rounded up to whole bytes.
#[must_use]
pub(crate) fn tag_bytes(own: usize, peer: usize) -> usize {
    tag_bits(own, peer).div_ceil(8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_grow_with_both_sizes() {
        assert_eq!(tag_bytes(0, 0), 5);
        assert_eq!(tag_bytes(1, 1), 5);
        assert_eq!(tag_bytes(16, 16), 6);
        assert_eq!(tag_bytes(16, 17), 7);
        assert_eq!(tag_bytes(1 << 20, 1 << 20), 10);
        assert_eq!(tag_bytes(u32::MAX as usize, u32::MAX as usize), 13);
    }

    #[test]
    fn the_digest_is_common_and_covers_every_setting() {
        let own = MatchParams { session: [1; 32], own_max: 5, peer_max: 9, min_overlap: 2 };
        let peer = MatchParams { own_max: 9, peer_max: 5, ..own };
        assert_eq!(own.digest(Role::First), peer.digest(Role::Second));
        assert_ne!(own.digest(Role::First), own.digest(Role::Second));
        let others = [
            MatchParams { session: [2; 32], ..own },
            MatchParams { own_max: 6, ..own },
            MatchParams { peer_max: 8, ..own },
            MatchParams { min_overlap: 3, ..own },
        ];
        assert!(others.iter().all(|other| other.digest(Role::First) != own.digest(Role::First)));
    }
}
