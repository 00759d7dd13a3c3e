//! A shared symmetric matrix times shared vectors: the solver's product.
//!
//! **Functionality.** Both hold shares of H (d × d, symmetric) modulo 2^50; for shares of v both get shares of H·v modulo 2^50,
//! off by at most two units an entry.
//!
//! **Why it is cheap.** H·v = H_1·v_1 + H_2·v_2 + H_1·v_2 + H_2·v_1. Each party uploads its share of H once; every product then
//! costs one masked reply each way: the other party multiplies the ciphertexts by its share of v.
//!
//! **Security.** That of [`crate::product`]; the shares of v enter as plaintext factors of at most 2^49 in absolute value.
//! **Cost.** Two uploads once; a product is one reply each way, one round. **Messages.** Those of [`crate::product`].

use crate::engine::Engine;
use crate::error::AlgebraError;
use crate::product::{Entries, Plan, Shape, Uploaded, multiply, receive_product, receive_upload, upload};
use crate::ring50;
use colift_channel::{Channel, Meter};

/// A shared symmetric matrix whose shares lie encrypted at the other party.
pub struct SharedMatrix {
    size: usize,
    own: Vec<u64>,
    peer: Uploaded,
    plan: Plan,
}

impl SharedMatrix {
    /// The public plan of products of a matrix of this size, laid out for so many vectors at a time.
    ///
    /// # Errors
    /// Config class.
    pub fn plan(size: usize, vectors: usize) -> Result<Plan, AlgebraError> {
        Plan::new(Shape::new(vectors, size, size, ring50::BITS - 1), true)
    }

    /// Exchanges encryptions of both shares (`own` is row-major, size × size, and symmetric), laid out for products with so many
    /// vectors at a time; with fewer they cost no more.
    ///
    /// # Errors
    /// Channel and Peer classes.
    pub fn exchange(
        engine: &mut Engine,
        channel: &mut dyn Channel,
        own: Vec<u64>,
        size: usize,
        vectors: usize,
    ) -> Result<Self, AlgebraError> {
        let plan = Self::plan(size, vectors)?;
        upload(engine, channel, &plan, &|j, k| own[j * size + k])?;
        let peer = receive_upload(engine, channel, &plan)?;
        Ok(Self { size, own, peer, plan })
    }

    /// Notes the messages of [`SharedMatrix::exchange`], the same for both parties.
    ///
    /// # Errors
    /// As [`SharedMatrix::plan`].
    pub fn declare_exchange(meter: &mut Meter, size: usize, vectors: usize) -> Result<(), AlgebraError> {
        let plan = Self::plan(size, vectors)?;
        plan.declare_uploads(|length| meter.sent(length));
        plan.declare_uploads(|length| meter.received(length));
        Ok(())
    }

    /// Notes the messages of [`SharedMatrix::times`] for a matrix laid out for `laid_out` vectors, the same for both parties.
    ///
    /// # Errors
    /// As [`SharedMatrix::plan`].
    pub fn declare_times(meter: &mut Meter, size: usize, laid_out: usize, vectors: usize) -> Result<(), AlgebraError> {
        let plan = Self::plan(size, laid_out)?.with_rows(vectors);
        plan.declare_replies(|length| meter.sent(length));
        plan.declare_replies(|length| meter.received(length));
        Ok(())
    }

    /// This party's shares of H·v, given its shares of the vectors v, one after the other.
    ///
    /// # Errors
    /// Channel and Peer classes.
    pub fn times(&self, engine: &mut Engine, channel: &mut dyn Channel, v: &[u64]) -> Result<Vec<u64>, AlgebraError> {
        let plan = self.plan.with_rows(v.len() / self.size);
        let held = multiply(engine, channel, &plan, &self.peer, Entries::Wide(&|i, j| ring50::to_signed(v[i * self.size + j])))?;
        let received = receive_product(engine, channel, &plan)?;
        let entries = v.chunks(self.size).flat_map(|v| self.own.chunks(self.size).map(move |row| (row, v)));
        let local = entries.map(|(row, v)| row.iter().zip(v).fold(0u64, |sum, (h, x)| sum.wrapping_add(h.wrapping_mul(*x))));
        Ok(local.zip(held).zip(received).map(|((a, b), c)| a.wrapping_add(b).wrapping_add(c) & ring50::MASK).collect())
    }
}
