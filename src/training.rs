//! Training: the standardising each party does alone, the secure trainer, and the plaintext twin that judges it.
//!
//! [`scaling`] → [`whitening`] → [`features`] are local; [`schedule`] is a public function of sizes; [`secure`] runs the protocol; only
//! [`opening`] reveals. Training sees rows, never ids, never a socket.

pub mod cost;
pub mod family;
pub mod features;
pub mod heads;
mod hessian;
pub mod inference;
pub mod linear;
pub mod memory;
pub mod opening;
pub mod response;
pub mod scaling;
pub mod schedule;
pub mod secure;
pub mod series;
mod solver;
pub mod twin;
mod variance;
pub mod whitening;
