//! What a person sees on stderr while a command runs: bars on a terminal, lines otherwise, and what is waited for.
//!
//! A wait is named within five seconds of its beginning, and nothing ever keeps silent for ten: a stage, work between two stages, a wait
//! for the peer to send something, to take something, or to be met at all.

mod terminal;

pub use terminal::Terminal;

use colift_channel::{Channel, ChannelError, Counters, Kind};

/// Where a run tells how far it is. Every call is cheap enough for inner loops.
pub trait Progress: Sync {
    /// A stage has done so many of its steps; 0 steps in all: unknown. A new name begins a stage, the last step ends it.
    fn stage(&self, name: &'static str, done: u64, total: u64);

    /// One line that is shown at once.
    fn note(&self, text: &str);

    /// From now on the run waits for the peer to send this, until [`Progress::arrived`] or the next call of `stage`. What begins with
    /// "the peer " says what the peer has to do.
    fn waiting(&self, what: &'static str);

    /// From now on this is on its way to the peer, which may be slow to take it, until [`Progress::arrived`].
    fn sending(&self, what: &'static str);

    /// The wait is over.
    fn arrived(&self);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _name: &'static str, _done: u64, _total: u64) {}

    fn note(&self, _text: &str) {}

    fn waiting(&self, _what: &'static str) {}

    fn sending(&self, _what: &'static str) {}

    fn arrived(&self) {}
}

/// A channel whose every wait is told by the name of the message awaited, or of the one that the peer does not take.
pub struct Watched<'a, C> {
    channel: C,
    progress: &'a dyn Progress,
}

impl<'a, C: Channel> Watched<'a, C> {
    /// Watches this channel.
    pub fn new(channel: C, progress: &'a dyn Progress) -> Self {
        Self { channel, progress }
    }

    /// The channel itself.
    pub fn inner(&self) -> &C {
        &self.channel
    }

    /// Gives the channel back.
    pub fn into_inner(self) -> C {
        self.channel
    }
}

impl<C: Channel> Channel for Watched<'_, C> {
    fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        self.progress.sending(kind.name);
        let sent = self.channel.send(kind, payload);
        self.progress.arrived();
        sent
    }

    fn receive_at_most(&mut self, kind: Kind, cap: usize) -> Result<Vec<u8>, ChannelError> {
        self.progress.waiting(kind.name);
        let received = self.channel.receive_at_most(kind, cap);
        self.progress.arrived();
        received
    }

    fn counters(&self) -> Counters {
        self.channel.counters()
    }
}

#[cfg(test)]
mod tests;
