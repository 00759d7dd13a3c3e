//! Training: the recipe each party applies alone, the secure trainer, and the plaintext twin that judges it.
//!
//! [`recipe`] → [`features`] are local; [`schedule`] is a public function of sizes; [`secure`] runs the protocol; only
//! [`opening`] reveals. Training sees rows, never ids, never a socket.

pub mod cost;
pub mod features;
mod hessian;
pub mod linear;
pub mod opening;
pub mod recipe;
pub mod schedule;
pub mod secure;
pub mod series;
mod solver;
pub mod twin;
