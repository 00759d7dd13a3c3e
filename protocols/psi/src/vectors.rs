//! What published vectors are checked against, for `verify`: the functions that the matching uses, on bytes. No secrets here.

use crate::ecdh::vectors as group;
use crate::vole::{code_tags as code, decode_tags, names};
pub use group::{expand, map, masked, multiple};

/// Key and element of an id under a session.
#[must_use]
pub fn name(session: &[u8; 32], id: &[u8]) -> [u128; 2] {
    names::of_ids(session, &[id]).first().copied().unwrap_or_default()
}

/// Ascending tags of `bits` ≥ 32 bits as they cross the wire; None where they do not come back.
#[must_use]
pub fn code_tags(bits: u32, tags: &[u128]) -> Option<Vec<u8>> {
    let wire = code(bits, tags);
    (decode_tags(bits, tags.len(), &wire).as_deref() == Some(tags)).then_some(wire)
}
