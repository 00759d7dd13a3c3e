//! The two real programs as processes: whole runs, refusals, ends at every phase, faults of the link, what is written and what is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod agreement;
mod bench;
mod columns;
mod demo;
mod endings;
mod link;
mod matching;
mod path;
mod proxy;
mod recovery;
mod refusals;
mod rehearsal;
mod scoring;
mod shaped;
mod surface;
mod terms;
mod value;
mod versions;
mod waits;
mod world;
