//! Byte and round counters: what a protocol declares is tested against these.

/// What has crossed one end of a link. Bytes count frames with their headers, before TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes this end has sent.
    pub bytes_sent: u64,
    /// Bytes this end has received.
    pub bytes_received: u64,
    /// Messages this end has sent.
    pub messages_sent: u64,
    /// Messages this end has received.
    pub messages_received: u64,
    /// Waits for the peer: a receive counts when it is the first since this end last sent, or the first of all.
    pub rounds: u64,
}

impl Counters {
    /// What happened after `earlier`, a reading of the same end.
    #[must_use]
    pub fn since(self, earlier: Counters) -> Counters {
        Counters {
            bytes_sent: self.bytes_sent - earlier.bytes_sent,
            bytes_received: self.bytes_received - earlier.bytes_received,
            messages_sent: self.messages_sent - earlier.messages_sent,
            messages_received: self.messages_received - earlier.messages_received,
            rounds: self.rounds - earlier.rounds,
        }
    }
}

/// Keeps [`Counters`] for an implementation of the channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    counters: Counters,
    receiving: bool,
}

impl Meter {
    /// Notes a sent payload of this length.
    pub fn sent(&mut self, payload: usize) {
        self.counters.bytes_sent += (payload + crate::HEADER_BYTES) as u64;
        self.counters.messages_sent += 1;
        self.receiving = false;
    }

    /// Notes a received payload of this length.
    pub fn received(&mut self, payload: usize) {
        self.counters.bytes_received += (payload + crate::HEADER_BYTES) as u64;
        self.counters.messages_received += 1;
        self.counters.rounds += u64::from(!self.receiving);
        self.receiving = true;
    }

    /// The reading.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
