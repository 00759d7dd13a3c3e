//! The partner's program.
fn main() {}
