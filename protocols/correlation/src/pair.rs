//! **Purpose** both OT directions between two parties, and what they give at once: products and ANDs of private bits.
//!
//! **Functionality**
//! - `correlate_both`: this party is sender of `correlations` and receiver with `choices`; shares as in
//!   [`ot_extension`].
//! - `multiply_bits`: First holds bits a, Second bits b, both know a factor f: additive shares of a·b·f mod 2^bits.
//! - `correlate_wide_both`: the same for vectors of numbers under one choice, several batches in the same two flights.
//! - `and`: XOR shares of x and y give XOR shares of x ∧ y, entry by entry.
//!
//! **Security** semi-honest, as the extension. Nothing is opened.
//!
//! **Cost** setup: one round, 8,224 bytes of payload each way; of trees two rounds and 4,096 bytes more. `and` of n: two OTs a gate, one in each direction.
//! `multiply_bits` of n: n OTs, half in each direction so that both lanes of the link carry the same. Each two flights.
//!
//! **Messages** those of the base OTs and the extension; both parties send before either waits.
//!
//! **Source** Goldreich, Micali, Wigderson (1987) for `and`; Gilboa (CRYPTO 1999) for products.
//!
//! **Example**
//! ```
//! use colift_correlation::{OtPair, Role};
//! let (mut a, mut b) = colift_channel::memory::pair();
//! let peer = std::thread::spawn(move || OtPair::setup(&mut b, Role::Second)?.multiply_bits(&mut b, &[true], 7, 32));
//! let ours = OtPair::setup(&mut a, Role::First)?.multiply_bits(&mut a, &[true], 7, 32)?;
//! assert_eq!((ours[0] + peer.join().unwrap()?[0]) % (1 << 32), 7);
//! # Ok::<(), colift_correlation::CorrelationError>(())
//! ```

use crate::bit_vole::{SUMS, small_trees};
use crate::ot_extension::{self, CotReceiver, CotSender, Form};
use crate::{CorrelationError, Role, base_ot};
use colift_channel::{Channel, Meter};

/// Both directions of correlated OT, set up once a run.
pub struct OtPair {
    role: Role,
    sender: CotSender,
    receiver: CotReceiver,
}

/// A party's shares as OT sender and as OT receiver.
pub type Shares = (Vec<u64>, Vec<u64>);

/// A batch of OTs whose correlations are vectors.
#[derive(Clone, Copy, Debug)]
pub struct Wide<'a> {
    /// This party's vectors as OT sender, one after the other.
    pub correlations: &'a [u64],
    /// Its choices as OT receiver, one a vector of the peer's.
    pub choices: &'a [bool],
    /// Numbers of a vector, at least 1.
    pub width: usize,
    /// Bits of a number.
    pub bits: u32,
}

impl OtPair {
    /// Sets both directions up in one round.
    ///
    /// # Errors
    /// Peer class: invalid points. Config class: no randomness. The link's errors.
    pub fn setup(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let (as_sender, delta) = CotSender::start(role)?;
        let as_receiver = CotReceiver::start(role)?;
        channel.send(base_ot::POINTS, as_sender.message())?;
        channel.send(base_ot::KEY, as_receiver.message())?;
        let points = channel.receive(base_ot::POINTS, base_ot::POINTS_BYTES)?;
        let key = channel.receive(base_ot::KEY, base_ot::KEY_BYTES)?;
        let sender = CotSender::from_base(delta, as_sender.finish(&key)?);
        let receiver = CotReceiver::from_base(as_receiver.finish(&points)?);
        Ok(Self { role, sender, receiver })
    }

    /// As [`OtPair::setup`] in the form of trees, with one message more each way: for protocols of many OTs.
    ///
    /// # Errors
    /// As [`OtPair::setup`].
    pub fn setup_trees(channel: &mut (impl Channel + ?Sized), role: Role) -> Result<Self, CorrelationError> {
        let (as_sender, delta) = CotSender::start(role)?;
        let as_receiver = CotReceiver::start(role)?;
        channel.send(base_ot::POINTS, as_sender.message())?;
        channel.send(base_ot::KEY, as_receiver.message())?;
        let points = channel.receive(base_ot::POINTS, base_ot::POINTS_BYTES)?;
        let key = channel.receive(base_ot::KEY, base_ot::KEY_BYTES)?;
        let (receiver, sums) = CotReceiver::from_trees(&as_receiver.finish(&points)?)?;
        channel.send(SUMS, &sums)?;
        let sums = channel.receive(SUMS, small_trees::BYTES)?;
        Ok(Self { role, sender: CotSender::from_trees(delta, &as_sender.finish(&key)?, &sums), receiver })
    }

    /// This party's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The direction in which this party is the OT sender.
    pub fn sender(&mut self) -> &mut CotSender {
        &mut self.sender
    }

    /// The direction in which this party is the OT receiver.
    pub fn receiver(&mut self) -> &mut CotReceiver {
        &mut self.receiver
    }

    /// Correlated OTs in both directions at once: shares as sender, shares as receiver.
    ///
    /// The peer's `choices` must be as many as our `correlations`, and the other way round.
    ///
    /// # Errors
    /// As [`CotReceiver::correlate`].
    pub fn correlate_both(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        correlations: &[u64],
        choices: &[bool],
        bits: u32,
    ) -> Result<(Vec<u64>, Vec<u64>), CorrelationError> {
        let mut shares = self.correlate_wide_both(channel, &[Wide { correlations, choices, width: 1, bits }])?;
        Ok(shares.pop().unwrap_or_default())
    }

    /// As [`OtPair::correlate_both`] for batches of vectors, all in the same two flights: shares as sender and as receiver of
    /// each batch.
    ///
    /// # Errors
    /// As [`CotReceiver::correlate`]; Config class for a vector that is not whole.
    pub fn correlate_wide_both(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        batches: &[Wide<'_>],
    ) -> Result<Vec<Shares>, CorrelationError> {
        // Flight 1: both requests. Flight 2: both answers.
        let mut pending = Vec::with_capacity(batches.len());
        for batch in batches {
            pending.push(self.receiver.request(channel, batch.choices, batch.width, batch.bits)?);
        }
        let (mut sent, mut payloads) = (Vec::with_capacity(batches.len()), Vec::new());
        for batch in batches {
            sent.push(self.sender.prepare(channel, batch.correlations, batch.width, batch.bits, &mut payloads)?);
        }
        ot_extension::send_payloads(channel, payloads)?;
        sent.into_iter().zip(pending).map(|(sent, pending)| Ok((sent, pending.finish(channel)?))).collect()
    }

    /// Additive shares of a·b·factor mod 2^bits, a First's bits and b Second's.
    ///
    /// # Errors
    /// As [`CotReceiver::correlate`].
    pub fn multiply_bits(
        &mut self,
        channel: &mut (impl Channel + ?Sized),
        own: &[bool],
        factor: u64,
        bits: u32,
    ) -> Result<Vec<u64>, CorrelationError> {
        let (low, high) = own.split_at(own.len() / 2);
        let (values, choices) = match self.role {
            Role::First => (low, high),
            Role::Second => (high, low),
        };
        let correlations: Vec<u64> = values.iter().map(|bit| factor & u64::from(*bit).wrapping_neg()).collect();
        let (sent, received) = self.correlate_both(channel, &correlations, choices, bits)?;
        Ok(match self.role {
            Role::First => [sent, received].concat(),
            Role::Second => [received, sent].concat(),
        })
    }

    /// XOR shares of x ∧ y from XOR shares of x and y.
    ///
    /// # Errors
    /// Config class: the lengths differ. Otherwise as [`CotReceiver::correlate`].
    pub fn and(&mut self, channel: &mut (impl Channel + ?Sized), x: &[bool], y: &[bool]) -> Result<Vec<bool>, CorrelationError> {
        if x.len() != y.len() {
            return Err(CorrelationError::LengthsDiffer { left: x.len(), right: y.len() });
        }
        // (x_o + x_p)(y_o + y_p) = x_o·y_o + x_p·y_p + x_o·y_p + x_p·y_o: each cross term is one OT mod 2.
        let correlations: Vec<u64> = x.iter().map(|bit| u64::from(*bit)).collect();
        let (sent, received) = self.correlate_both(channel, &correlations, y, 1)?;
        let cross = sent.iter().zip(&received).map(|(s, r)| (s ^ r) & 1 == 1);
        Ok(x.iter().zip(y).zip(cross).map(|((x, y), cross)| (x & y) ^ cross).collect())
    }
}

/// Notes the messages of [`OtPair::setup`], the same for both roles.
pub fn declare_setup(meter: &mut Meter) {
    meter.sent(base_ot::POINTS_BYTES);
    meter.sent(base_ot::KEY_BYTES);
    meter.received(base_ot::POINTS_BYTES);
    meter.received(base_ot::KEY_BYTES);
}

/// Notes the messages of [`OtPair::setup_trees`], the same for both roles.
pub fn declare_setup_trees(meter: &mut Meter) {
    declare_setup(meter);
    meter.sent(small_trees::BYTES);
    meter.received(small_trees::BYTES);
}

/// Notes the messages of [`OtPair::correlate_both`] in the form of columns with this many OTs as sender and as receiver.
pub fn declare_both(meter: &mut Meter, as_sender: usize, as_receiver: usize, bits: u32) {
    declare_wide_both(meter, Form::Columns, &[(as_sender, as_receiver, 1, bits)]);
}

/// Notes the messages of [`OtPair::correlate_wide_both`]: of each batch the OTs as sender and as receiver, width and bits.
pub fn declare_wide_both(meter: &mut Meter, form: Form, batches: &[(usize, usize, usize, u32)]) {
    for (_, as_receiver, ..) in batches {
        ot_extension::column_frames(*as_receiver, form).for_each(|length| meter.sent(length));
    }
    for (as_sender, ..) in batches {
        ot_extension::column_frames(*as_sender, form).for_each(|length| meter.received(length));
    }
    for (as_sender, _, width, bits) in batches {
        ot_extension::payload_frames(*as_sender, *width, *bits).for_each(|length| meter.sent(length));
    }
    for (_, as_receiver, width, bits) in batches {
        ot_extension::payload_frames(*as_receiver, *width, *bits).for_each(|length| meter.received(length));
    }
}

/// Notes the messages of [`OtPair::multiply_bits`] on n entries.
pub fn declare_multiply_bits(meter: &mut Meter, form: Form, role: Role, n: usize, bits: u32) {
    let (sending, receiving) = match role {
        Role::First => (n / 2, n - n / 2),
        Role::Second => (n - n / 2, n / 2),
    };
    declare_wide_both(meter, form, &[(sending, receiving, 1, bits)]);
}

/// Notes the messages of [`OtPair::and`] on n entries.
pub fn declare_and(meter: &mut Meter, form: Form, n: usize) {
    declare_wide_both(meter, form, &[(n, n, 1, 1)]);
}

#[cfg(test)]
mod tests;
