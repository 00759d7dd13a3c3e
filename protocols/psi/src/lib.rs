//! Private set intersection: each party learns where its own matched rows lie, in one order common to both. Never ids.
//!
//! Two protocols with one interface: [`vole`], fast and secure against a malicious peer, and [`ecdh`], simple and the oracle of
//! the tests; [`match_ids`] runs the one that both sides agreed on. [`count_common`] stops at the number of common ids and is
//! always [`ecdh`]. What crosses the link and what leaks is in the headers of the two files.

pub mod ecdh;
mod error;
mod params;
pub mod vectors;
pub mod vole;

pub use ecdh::{Counted, Matched, count_common};
pub use error::PsiError;
pub use params::MatchParams;

use colift_channel::Channel;
use colift_correlation::Role;
pub use vole::VoleForm;

/// The protocol that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Diffie–Hellman over ristretto255.
    Ecdh,
    /// OPRF from VOLE and a key-value store.
    Vole(VoleForm),
}

/// Matches our ids with the peer's by the protocol agreed on; both sides learn their matched rows.
///
/// # Errors
/// As [`ecdh::match_ids`] and [`vole::match_ids`].
pub fn match_ids<I: AsRef<[u8]> + Sync>(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[I],
    protocol: Protocol,
    params: MatchParams,
    progress: Progress<'_>,
) -> Result<Matched, PsiError> {
    match protocol {
        Protocol::Ecdh => ecdh::match_ids(channel, role, ids, params, progress),
        Protocol::Vole(form) => vole::match_ids(channel, role, ids, form, params, progress),
    }
}

/// Told how many points are done, of how many: for progress bars.
pub type Progress<'a> = &'a dyn Fn(u64, u64);
