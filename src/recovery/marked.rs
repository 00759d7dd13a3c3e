//! A channel that writes down, before it happens, that an attempt tells something.
//!
//! A side that stops after it was told something and takes the run up again, with other inputs than it should have, would get one more
//! answer for nothing. So the attempt after it is another run of the contract, unless both sides kept the phase in question.

use crate::error::{Exit, Failure};
use crate::results::write_private;
use crate::run::{Tells, tells};
use colift_channel::{Channel, ChannelError, Counters, Kind};
use std::path::{Path, PathBuf};

/// What an attempt has told, or was about to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Who is common, or how many.
    pub matching: bool,
    /// Anything after that.
    pub opening: bool,
}

impl Told {
    /// As it is told to the peer: 1 for the matching, 2 for an opening.
    pub(super) fn code(self) -> u8 {
        u8::from(self.matching) + 2 * u8::from(self.opening)
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        (code < 4).then_some(Self { matching: code & 1 == 1, opening: code & 2 == 2 })
    }

    /// What either of two sides says.
    pub(super) fn or(self, other: Self) -> Self {
        Self { matching: self.matching || other.matching, opening: self.opening || other.opening }
    }

    /// What the folder of a run says.
    pub(super) fn read(folder: &Path) -> Self {
        let there = |what| file(folder, what).exists();
        Self { matching: there(Tells::Matching), opening: there(Tells::Opening) }
    }

    /// The next attempt is another run: what was told before counts for the run before.
    pub(super) fn forget(folder: &Path) -> Result<(), Failure> {
        for what in [Tells::Matching, Tells::Opening] {
            match std::fs::remove_file(file(folder, what)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let what = format!("the unfinished run cannot be changed: {error}");
                    return Err(Failure::new(Exit::Internal, 524, what).at(folder.display().to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn file(folder: &Path, what: Tells) -> PathBuf {
    folder.join(match what {
        Tells::Matching => "matching.told",
        Tells::Opening => "opening.told",
    })
}

/// A channel of an attempt.
pub struct Marked<C> {
    channel: C,
    folder: PathBuf,
    told: Told,
}

impl<C: Channel> Marked<C> {
    /// Of the run in this folder.
    pub fn new(channel: C, folder: &Path) -> Self {
        Self { channel, folder: folder.to_owned(), told: Told::read(folder) }
    }

    fn mark(&mut self, kind: Kind) -> Result<(), ChannelError> {
        let Some(what) = tells(kind) else { return Ok(()) };
        let told = match what {
            Tells::Matching => &mut self.told.matching,
            Tells::Opening => &mut self.told.opening,
        };
        if !*told {
            // What cannot be written down does not happen.
            write_private(&file(&self.folder, what), b"1\n")
                .map_err(|failure| ChannelError::Io { doing: "writing down an opening", reason: failure.what })?;
            *told = true;
        }
        Ok(())
    }
}

impl<C: Channel> Channel for Marked<C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        self.mark(kind)?;
        self.channel.send(kind, payload)
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        self.mark(kind)?;
        self.channel.receive_at_most(kind, cap)
    }

    fn counters(&self) -> Counters {
        self.channel.counters()
    }
}
