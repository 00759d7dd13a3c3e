//! Who we are, whom we trust, and the link between the two programs.
//!
//! [`Home`] holds an [`Identity`] and the [`Pins`]; [`pair`] fills the pins after two people compared what their programs show;
//! [`connect`] opens a link to a pinned peer and nobody else; [`greet`] makes sure that both programs speak the same version and
//! have different roles. After that the link belongs to the protocols.

mod greeting;
mod home;
mod identity;
mod link;
mod pairing;
pub mod past_runs;
mod pins;
mod proxied;
pub mod receipt;
mod signature;
mod spoken_code;
#[cfg(test)]
mod tests;
mod transcript;

pub use greeting::{Greeting, WIRE_VERSIONS, greet};
pub use home::Home;
pub use identity::Identity;
pub use link::{LinkSpec, can_listen, connect};
pub use pairing::{PairingView, pair};
pub use past_runs::PastRuns;
pub use pins::{Pin, Pins};
pub use signature::{BothSigned, ContractSignature};
pub use spoken_code::{SpokenCode, pair_by_code};
pub use transcript::{Recorded, Told, Transcript};
