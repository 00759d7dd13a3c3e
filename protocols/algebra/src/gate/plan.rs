//! The public shape of a gate: its blocks, who uploads them, what they cost.

use super::declare;
use crate::engine::Cost;
use crate::error::AlgebraError;
use colift_channel::{HEADER_BYTES, Meter};
use colift_correlation::Role;
use colift_rlwe::{Ciphertext, Level, N, NoiseBudget, SlotEncoder, reply};

/// Bits of flooding over the worst-case noise.
const FLOODING: u32 = 54;

/// A Fourier series in the phase of z.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// a_0.
    pub constant: f64,
    /// (a_k, b_k) for k = 1, 2, …
    pub harmonics: Vec<(f64, f64)>,
}

/// A function the owner evaluates.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// Its series.
    pub series: &'a Series,
    /// A factor in \[−1, 1\] for each row that has the function; `None` for 1.
    pub factor: Option<&'a [f64]>,
}

impl Function<'_> {
    /// The factor of a row.
    pub(super) fn at(&self, row: usize) -> f64 {
        self.factor.map_or(1.0, |factor| factor[row])
    }
}

/// Public shape of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatePlan {
    /// Number of rows.
    pub rows: usize,
    /// Fraction bits of the first function's results.
    pub first_bits: u32,
    /// The first so many rows have a second function of the same z.
    pub second_rows: usize,
    /// Fraction bits of the second function's results.
    pub second_bits: u32,
    /// Fraction bits of a last function that all rows have, where there is one.
    pub last_bits: Option<u32>,
    /// Harmonics K of every series, without the half harmonic.
    pub harmonics: usize,
    /// Whether the series end with the half harmonic.
    pub half: bool,
    /// Fraction bits of the rounded sines and cosines, 10 or 13.
    pub bits: u32,
    /// The integer c: the period in z is 2^50 / c units.
    pub frequency: u64,
    /// Of the blocks with one function, so many, evenly spread, are uploaded by the owner; see [`balance`].
    pub owner_uploads: usize,
}

/// At most 8,192 rows of a gate that share ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Which of the gates.
    pub gate: usize,
    /// Its first row in that gate.
    pub start: usize,
    /// Its rows, how many of them have a second function, and how many the last one.
    pub rows: usize,
    pub second: usize,
    pub last: usize,
    /// Who encrypts.
    pub uploader: Role,
}

impl Block {
    /// Rows of each of its functions.
    pub fn functions(&self) -> impl Iterator<Item = usize> + Clone {
        [self.rows, self.second, self.last].into_iter().filter(|rows| *rows > 0)
    }
}

impl GatePlan {
    /// Its blocks in order.
    pub(super) fn blocks(&self, gate: usize) -> impl Iterator<Item = Block> {
        let (rows, second) = (self.rows, self.second_rows.min(self.rows));
        let (free, owners, last) = (self.free_blocks(), self.owner_uploads, self.last_bits.is_some());
        let first_free = rows.div_ceil(N) - free;
        (0..rows).step_by(N).enumerate().map(move |(index, start)| {
            // The j-th of the free blocks is the owner's where ⌊j·owners/free⌋ steps up.
            let owner = index >= first_free && (index - first_free + 1) * owners / free > (index - first_free) * owners / free;
            Block {
                gate,
                start,
                rows: N.min(rows - start),
                second: N.min(second.saturating_sub(start)),
                last: if last { N.min(rows - start) } else { 0 },
                uploader: if owner { Role::First } else { Role::Second },
            }
        })
    }

    /// Blocks with one function.
    fn free_blocks(&self) -> usize {
        if self.last_bits.is_some() {
            return 0;
        }
        self.rows.div_ceil(N) - self.second_rows.min(self.rows).div_ceil(N)
    }

    /// Number of functions.
    #[must_use]
    pub fn functions(&self) -> usize {
        1 + usize::from(self.second_rows > 0) + usize::from(self.last_bits.is_some())
    }

    /// Rows of every function.
    pub(super) fn wanted(&self) -> impl Iterator<Item = usize> + Clone {
        self.results().map(|(rows, _)| rows)
    }

    /// Rows and fraction bits of every function's results.
    pub(super) fn results(&self) -> impl Iterator<Item = (usize, u32)> + Clone {
        let last = self.last_bits.map_or((0, 0), |bits| (self.rows, bits));
        let all = [(self.rows, self.first_bits), (self.second_rows.min(self.rows), self.second_bits), last];
        all.into_iter().filter(|(rows, _)| *rows > 0)
    }

    /// The owner's functions must have the plan's harmonics, and factors that neither widen results nor noise.
    pub(super) fn check(&self, functions: &[Function<'_>]) -> Result<(), AlgebraError> {
        let wrong = |what: &str| Err(AlgebraError::Parameters(what.into()));
        if self.last_bits.is_some() && self.second_rows > 0 && self.second_rows < self.rows {
            return wrong("a gate with a last function has the second one on all rows or on none");
        }
        if functions.len() != self.functions() || functions.iter().any(|f| f.series.harmonics.len() != self.pairs()) {
            return wrong("the series do not have the gate's harmonics");
        }
        for (factor, rows) in functions.iter().zip(self.wanted()).filter_map(|(f, rows)| Some((f.factor?, rows))) {
            if factor.len() != rows {
                return wrong("the gate needs one factor for each row");
            }
            if factor.iter().any(|m| m.is_nan() || m.abs() > 1.0) {
                return wrong("a factor of a gate's row is beyond 1");
            }
        }
        Ok(())
    }

    /// Pairs of a cosine and a sine.
    pub(super) fn pairs(&self) -> usize {
        self.harmonics + usize::from(self.half)
    }

    /// Terms: a cosine or a sine each.
    pub(super) fn terms(&self) -> usize {
        2 * self.pairs()
    }

    /// Elements that are lifted.
    pub(super) fn lifted(&self) -> usize {
        self.wanted().sum()
    }

    /// Terms that share a ciphertext in a block of this many rows: a short block has room for several.
    pub(super) fn packed_terms(&self, rows: usize) -> usize {
        (N / rows).clamp(1, self.terms())
    }

    /// Ciphertexts of a block of this many rows.
    pub(super) fn uploads(&self, rows: usize) -> usize {
        self.terms().div_ceil(self.packed_terms(rows))
    }

    pub(super) fn budget(&self, encoder: &SlotEncoder) -> NoiseBudget {
        NoiseBudget {
            operation: "trigonometric gate",
            plaintext: encoder.plaintext(),
            mass: (self.terms() * N) as f64 * f64::from(2 * self.bits + 2).exp2(),
            flooding: Some(FLOODING),
        }
    }

    /// The chain of primes its worst-case noise needs, whoever uploads.
    ///
    /// # Errors
    /// Config class: too many harmonics for any chain, or more fraction bits than a plaintext prime holds.
    pub fn level(&self) -> Result<Level, AlgebraError> {
        if self.bits > SlotEncoder::MOST_FRACTION_BITS {
            return Err(AlgebraError::Parameters(format!("a gate with {} fraction bits", self.bits)));
        }
        Ok(self.budget(&SlotEncoder::for_fraction_bits(self.bits)).level(Level::SLOT_REPLY)?)
    }

    /// Bytes of memory that either side's turns take at most, beside the shares: own and peer's blocks on the way, and the one under
    /// work.
    ///
    /// # Errors
    /// As [`GatePlan::level`].
    pub fn memory(&self) -> Result<u64, AlgebraError> {
        let level = self.level()?;
        let poly = level.primes() * N * size_of::<u32>();
        let most = self.rows.clamp(1, N);
        let block = self.uploads(most) * (6 * Ciphertext::upload_bytes(level) + 4 * poly) + self.terms() * most * size_of::<i32>();
        Ok((block + 16 * reply::flooded_bytes() + 2 * 2 * poly) as u64)
    }

    /// Bytes that the partner (`encryptor_bytes`) and the owner (`holder_bytes`) send, without the lift.
    ///
    /// # Errors
    /// As [`GatePlan::level`].
    pub fn cost(&self) -> Result<Cost, AlgebraError> {
        let upload = Ciphertext::upload_bytes(self.level()?) + HEADER_BYTES;
        let mut cost = Cost::default();
        for block in self.blocks(0) {
            let uploads = (self.uploads(block.rows) * upload) as u64;
            let replies = (block.functions().count() * (reply::flooded_bytes() + HEADER_BYTES)) as u64;
            let (partner, owner) = if block.uploader == Role::Second { (uploads, replies) } else { (replies, uploads) };
            cost.encryptor_bytes += partner;
            cost.holder_bytes += owner;
        }
        Ok(cost)
    }
}

/// Shares the uploads of gates that are evaluated together out so that both directions carry nearly equal loads, the lift included.
/// A public function of the plans; plans that no chain of primes carries stay as they are.
#[must_use]
pub fn balance(mut plans: Vec<GatePlan>) -> Vec<GatePlan> {
    plans.iter_mut().for_each(|plan| plan.owner_uploads = 0);
    for index in 0..plans.len() {
        let (plan, mut meter) = (plans[index], Meter::default());
        let (Ok(level), Ok(())) = (plan.level(), declare(&mut meter, Role::First, &plans)) else { return plans };
        let excess = meter.counters().bytes_received as f64 - meter.counters().bytes_sent as f64;
        // What a whole block moves from one direction to the other, and back.
        let moved =
            (plan.uploads(N) * (Ciphertext::upload_bytes(level) + HEADER_BYTES)) as f64 - (reply::flooded_bytes() + HEADER_BYTES) as f64;
        plans[index].owner_uploads = (excess / (2.0 * moved)).round().clamp(0.0, plan.free_blocks() as f64) as usize;
    }
    plans
}
