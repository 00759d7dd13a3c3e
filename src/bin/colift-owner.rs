//! The label owner's program.
fn main() {}
