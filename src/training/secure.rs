//! The secure trainer: generalised linear models on vertically split columns, nothing opened before the end.
//!
//! **Purpose.** min_w of the mean loss of a [`crate::training::family::Family`], rows weighted or not, + λ/2·‖w‖² over the matched
//! training rows, intercept free.
//!
//! **Functionality.** Owner: columns X_o after a column of ones, labels y, row weights u. Partner: columns X_p. Each gets its own weights,
//! the owner also the intercept; both learn the bits `converged_and_in_range`. Equation of a step, on shares modulo 2^50:
//! z = X_o·w_o + X_p·w_p; r = residuals ([`crate::training::response`]); g = Xᵀr/m + Qw; H = Xᵀ·diag(slopes)·X/m + Q;
//! w ← w − damping·H⁻¹g.
//!
//! **Security.** Semi-honest. z, r, g, H and w are additive shares throughout; the schedule, sizes and bits are public
//! functions of the job. Openings go through [`crate::training::opening`] only.
//!
//! **When it ends.** After the planned steps the end check opens two bits. *Near*: with g the gradient of all rows at w and H the
//! Hessian there, n·gᵀH⁻¹g ≤ τ² + d·ε². For any direction c the error of the linear combination cᵀw against the minimum is, to first
//! order, cᵀH⁻¹g, and by Cauchy and Schwarz in the metric of H at most √(cᵀH⁻¹c)·√(gᵀH⁻¹g): √(n·gᵀH⁻¹g) standard errors √(cᵀH⁻¹c/n),
//! whatever c is. τ is signed; ε is a public bound on what rounding adds in each of the d directions, which it does independently. The
//! step of the check is then applied, so what remains is of second order and rounding. *In range*: no more predictors lie beyond the
//! gate's interval than its series are off by. Where the weights are not near the step is applied as well and another one follows, with
//! a new Hessian of the new weights; where predictors left the range it is not applied, and the next one takes the same weights on the
//! next wider span of the gate, or, where there is none, those after the first planned steps. So up to `max_extra` times.
//! A series takes a predictor some periods away for another one. Checks have two periods in turn, and steps before the first one have
//! the other: weights at which both gradients vanish do not rest on such predictors.
//! Weights on whitened columns must be small enough for the columns' fraction bits as well: rounding them moves predictors by
//! ‖w‖·2^-COLUMN_BITS/√6, whose variance biases coefficients by about as much as itself, and √n makes that visible.
//! Where a check's Hessian is older than its weights (many rows), every entry of the step before it must be small as well, so that the
//! Hessian cannot have moved far; the bound is four times as large, since the step then at least halves what is left.
//!
//! **Cost.** `Schedule` and the bits opened fix it; docs/COSTS.md. **Messages.** Those of the algebra crate, then the two openings.
//!
//! **Source.** TRAINING design (docs/protocols/training.md): damped sub-sampled Newton on locally whitened columns;
//! Chebyshev semi-iteration (Golub and Varga 1961) on shares.

use course::{Course, EARLY_STEPS};
use ending::not_converged;

use crate::error::Failure;
use crate::training::features::Features;
use crate::training::inference::standard_errors;
use crate::training::opening::{self, Ledger};
use crate::training::response::{OwnerInput, Response};
use crate::training::schedule::{COLUMN_BITS, Extra, RIDGE_BITS, STEP_BITS, Schedule, WEIGHT_BITS};
use crate::training::variance::residual_variance;
use colift_algebra::gate::{self, Gate, GatePlan};
use colift_algebra::lift::{Batch, lift};
use colift_algebra::product::{Entries, Plan, Shape, Tile, multiply, receive_product, receive_upload, upload};
use colift_algebra::ring50::{self, MASK};
use colift_algebra::weigh::weigh;
use colift_algebra::{AlgebraError, Engine};
use colift_channel::{Channel, ChannelError};
use colift_correlation::Role;
use serde::{Deserialize, Serialize};

/// Bits that bound a column entry or a ridge entry in a forward product.
const FORWARD_BITS: u32 = 23;
/// Bits that bound a column entry in a backward product.
const COLUMN_ENTRY_BITS: u32 = 15;

/// The plan of X·w and Q·w at once, for a block of this width: rows below the data carry the ridge matrix.
pub(crate) fn forward_plan(rows: usize, width: usize) -> Result<Plan, AlgebraError> {
    Plan::new(Shape::new(rows + width, width, 1, FORWARD_BITS), false)
}

/// The plan of Xᵀ·r for a block of this width.
pub(crate) fn backward_plan(rows: usize, width: usize) -> Result<Plan, AlgebraError> {
    Plan::new(Shape::new(width, rows, 1, COLUMN_ENTRY_BITS), false)
}

/// The entries of Xᵀ.
fn transposed(features: &Features) -> impl Fn(&Tile, &mut [i32]) + Sync {
    |tile, out| tile.write_rows(out, |j| features.column(j)[tile.inner.clone()].iter().map(|x| i32::from(*x)))
}

/// The state of one party.
pub(crate) struct Party<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) channel: &'a mut dyn Channel,
    pub(crate) features: &'a Features,
    /// Width of the peer's block.
    pub(crate) peer_width: usize,
}

impl Party<'_> {
    /// True on the owner's side.
    pub(crate) fn owner(&self) -> bool {
        self.engine.role() == Role::First
    }

    /// Weights in all.
    pub(crate) fn size(&self) -> usize {
        self.features.width() + self.peer_width
    }

    /// Joins an own-block and a peer-block vector in the common order: owner's block first.
    pub(crate) fn in_order<T>(&self, own: Vec<T>, peer: Vec<T>) -> Vec<T> {
        let (mut first, second) = if self.owner() { (own, peer) } else { (peer, own) };
        first.extend(second);
        first
    }

    /// Splits a vector in the common order into (own block, peer block).
    fn blocks<'v, T>(&self, all: &'v [T]) -> (&'v [T], &'v [T]) {
        if self.owner() {
            all.split_at(self.features.width())
        } else {
            let (peer, own) = all.split_at(self.peer_width);
            (own, peer)
        }
    }

    /// Runs one product in each direction at once: ours with the peer's factor, the peer's with ours. `held` and `sent` are
    /// the plans of the product we hold and of the one we encrypt for. Returns both shares.
    pub(crate) fn both_ways(
        &mut self,
        held: &Plan,
        write: &(dyn Fn(&Tile, &mut [i32]) + Sync),
        sent: &Plan,
        factor: &(dyn Fn(usize, usize) -> u64 + Sync),
    ) -> Result<(Vec<u64>, Vec<u64>), AlgebraError> {
        upload(self.engine, self.channel, sent, factor)?;
        let uploaded = receive_upload(self.engine, self.channel, held)?;
        let ours = multiply(self.engine, self.channel, held, &uploaded, Entries::Small(write))?;
        let theirs = receive_product(self.engine, self.channel, sent)?;
        Ok((ours, theirs))
    }

    /// Shares of the logits of the first `rows` rows (30 fraction bits) and of Q·w (44 fraction bits, common order).
    fn forward(&mut self, w: &[u64], rows: usize) -> Result<(Vec<u64>, Vec<u64>), AlgebraError> {
        let (own_width, peer_width, features) = (self.features.width(), self.peer_width, self.features);
        let (held, sent) = (forward_plan(rows, own_width)?, forward_plan(rows, peer_width)?);
        // Rows below the data carry the ridge matrix: Q·w comes with the same ciphertexts.
        let write = |tile: &Tile, out: &mut [i32]| {
            let data = tile.rows.start.min(rows)..tile.rows.end.min(rows);
            for (c, j) in tile.inner.clone().enumerate() {
                let column = features.column(j)[data.clone()].iter();
                out[tile.last - c..].iter_mut().step_by(tile.stride).zip(column).for_each(|(slot, x)| *slot = i32::from(*x));
                for i in tile.rows.start.max(rows)..tile.rows.end {
                    out[(i - tile.rows.start) * tile.stride + tile.last - c] = features.ridge_fine(i - rows, j) as i32;
                }
            }
        };
        let (own_w, peer_w) = self.blocks(w);
        let (own_w, peer_w) = (own_w.to_vec(), peer_w.to_vec());
        let (ours, theirs) = self.both_ways(&held, &write, &sent, &|j, _| peer_w[j])?;
        let mut local = features.times(&own_w, rows);
        local.extend((0..own_width).map(|i| {
            let products = own_w.iter().enumerate().map(|(j, w)| (features.ridge_fine(i, j) as u64).wrapping_mul(*w));
            products.fold(0u64, u64::wrapping_add)
        }));
        let own: Vec<u64> = local.iter().zip(&ours).map(|(a, b)| ring50::add(*a & MASK, *b)).collect();
        let z = own[..rows].iter().zip(&theirs[..rows]).map(|(a, b)| ring50::add(*a, *b)).collect();
        Ok((z, self.in_order(own[rows..].to_vec(), theirs[rows..].to_vec())))
    }

    /// Shares of Xᵀr over the first `r.len()` rows (30 fraction bits, common order).
    fn backward(&mut self, r: &[u64]) -> Result<Vec<u64>, AlgebraError> {
        let (own_width, features, rows) = (self.features.width(), self.features, r.len());
        let (held, sent) = (backward_plan(rows, own_width)?, backward_plan(rows, self.peer_width)?);
        let (ours, theirs) = self.both_ways(&held, &transposed(features), &sent, &|j, _| r[j])?;
        let own = features.transposed_times(r).iter().zip(&ours).map(|(a, b)| ring50::add(*a, *b)).collect();
        Ok(self.in_order(own, theirs))
    }

    /// Shares of the gradient of the constant model (24 fraction bits). Its residuals are the owner's own, so the owner's block
    /// is local and one product in one direction gives the partner's; the ridge is free of the intercept and adds nothing.
    fn first_gradient(&mut self, residuals: Option<&[u64]>, result_bits: u32) -> Result<Vec<u64>, AlgebraError> {
        let (rows, features) = (self.features.rows(), self.features);
        let (own, peers) = match residuals {
            Some(r) => {
                let plan = backward_plan(rows, self.peer_width)?;
                upload(self.engine, self.channel, &plan, &|j, _| r[j])?;
                let peers = receive_product(self.engine, self.channel, &plan)?;
                (features.transposed_times(r), peers)
            }
            None => {
                let plan = backward_plan(rows, features.width())?;
                let uploaded = receive_upload(self.engine, self.channel, &plan)?;
                let own = multiply(self.engine, self.channel, &plan, &uploaded, Entries::Small(&transposed(features)))?;
                (own, vec![0; self.peer_width])
            }
        };
        let sums = self.in_order(own, peers);
        let batch = Batch { shares: &sums, modulus: MASK + 1, factor: mean_factor(rows, result_bits) };
        Ok(lift(self.engine, self.channel, &[batch])?.concat())
    }

    /// The gradient on the first `rows` rows, and what else their gates give.
    fn gradient(
        &mut self,
        w: &[u64],
        rows: usize,
        gates: &[GatePlan],
        schedule: &Schedule,
        response: Option<&Response<'_>>,
    ) -> Result<Evaluated, AlgebraError> {
        let (mut z, ridge) = self.forward(w, rows)?;
        if let Some(response) = response {
            response.shift(&mut z);
        }
        let Gated { values: mut r, slopes, stray } = if gates.is_empty() {
            Gated { values: self.linear_residuals(&z, schedule, response)?, ..Gated::default() }
        } else {
            self.gated(&z, gates, response)?
        };
        if let Some(response) = response {
            response.complete(&mut r);
        }
        let sums = self.backward(&r)?;
        let exp2 = |bits: u32| f64::from(bits).exp2();
        let mean = mean_factor(rows, schedule.result_bits);
        let shrink = exp2(STEP_BITS) / exp2(RIDGE_BITS + WEIGHT_BITS);
        let batches =
            [Batch { shares: &sums, modulus: MASK + 1, factor: mean }, Batch { shares: &ridge, modulus: MASK + 1, factor: shrink }];
        let lifted = lift(self.engine, self.channel, &batches)?;
        Ok(Evaluated { gradient: lifted[0].iter().zip(&lifted[1]).map(|(a, b)| ring50::add(*a, *b)).collect(), slopes, stray })
    }

    /// Shares of m·f(v) for all rows, and of what else their gates give.
    fn gated(&mut self, v: &[u64], gates: &[GatePlan], response: Option<&Response<'_>>) -> Result<Gated, AlgebraError> {
        let mut first = 0;
        let mut functions = Vec::with_capacity(gates.len());
        for plan in gates {
            functions.push(response.map(|response| response.functions(plan, first)).unwrap_or_default());
            first += plan.rows;
        }
        let together: Vec<Gate<'_>> = gates.iter().zip(&functions).map(|(plan, functions)| Gate { plan, functions }).collect();
        let mut gated = Gated { values: Vec::with_capacity(first), ..Gated::default() };
        for (results, plan) in gate::evaluate_all(self.engine, self.channel, &together, v)?.into_iter().zip(gates) {
            let mut results = results.into_iter();
            gated.values.extend(results.next().unwrap_or_default());
            if plan.second_rows > 0 {
                gated.slopes.extend(results.next().unwrap_or_default());
            }
            for share in results.flatten() {
                gated.stray = ring50::add(gated.stray, share);
            }
        }
        Ok(gated)
    }

    /// Shares of the slopes on the rows of the gates.
    pub(crate) fn slopes(&mut self, w: &[u64], gates: &[GatePlan], response: Option<&Response<'_>>) -> Result<Vec<u64>, AlgebraError> {
        let (mut z, _) = self.forward(w, gates.iter().map(|gate| gate.rows).sum())?;
        if let Some(response) = response {
            response.shift(&mut z);
        }
        Ok(self.gated(&z, gates, response)?.slopes)
    }

    /// Shares of u·v for v = z − y, with the schedule's fraction bits.
    fn linear_residuals(&mut self, v: &[u64], schedule: &Schedule, response: Option<&Response<'_>>) -> Result<Vec<u64>, AlgebraError> {
        let shrink = f64::from(schedule.result_bits as i32 - (COLUMN_BITS + WEIGHT_BITS) as i32).exp2();
        let Some(bits) = schedule.weigh_bits() else {
            return Ok(lift(self.engine, self.channel, &[Batch { shares: v, modulus: MASK + 1, factor: shrink }])?.concat());
        };
        let weights = response.map(|response| response.integer_weights(v.len(), bits));
        let weighed = weigh(self.engine, self.channel, weights.as_deref(), bits, v)?;
        let unit = f64::from(1u32 << schedule.weight_bits) / f64::from((1u32 << bits) - 1);
        Ok(lift(self.engine, self.channel, &[Batch { shares: &weighed, modulus: MASK + 1, factor: shrink * unit }])?.concat())
    }
}

/// This party's shares of what the gates of some rows give.
#[derive(Default)]
struct Gated {
    /// m·f(v) of every row.
    values: Vec<u64>,
    /// Slopes of the rows whose gates have them.
    slopes: Vec<u64>,
    /// About how many predictors of an end check lie beyond the interval, with [`gate::RESULT_BITS`] fraction bits.
    stray: u64,
}

/// The same with the gradient, 24 fraction bits, in place of the values.
struct Evaluated {
    gradient: Vec<u64>,
    slopes: Vec<u64>,
    stray: u64,
}

/// What turns sums over `rows` rows into means with [`STEP_BITS`].
fn mean_factor(rows: usize, result_bits: u32) -> f64 {
    let exp2 = |bits: u32| f64::from(bits).exp2();
    exp2(STEP_BITS) / (rows as f64 * exp2(COLUMN_BITS + result_bits))
}

/// What a party has when a training ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trained {
    /// The owner's intercept.
    pub intercept: Option<f64>,
    /// Weights on the party's own standardised columns.
    pub coefficients: Vec<f64>,
    /// The variance of the residuals, for the owner where the job lists it.
    pub residual_variance: Option<f64>,
    /// Their standard errors, where the job lists them.
    pub standard_errors: Option<StandardErrors>,
    /// The steps after the planned ones.
    pub extra: Vec<Extra>,
}

/// √diag(H⁻¹/n) of the own weights, to be multiplied by the root of the dispersion where that is not 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandardErrors {
    /// The owner's intercept's.
    pub intercept: Option<f64>,
    /// Those of the weights on the party's own standardised columns.
    pub coefficients: Vec<f64>,
}

/// Trains. Both sides call it with the same schedule and opposite roles of the engine; the owner passes its labels.
/// `progress` is told (steps done, steps in all, as far as that is known).
///
/// # Errors
/// Exit 15 when no end check was passed: nothing but their bits was opened. Exit 18 for a disclosure the job does not list. Link and
/// protocol failures by class.
pub fn train(
    engine: &mut Engine,
    channel: &mut dyn Channel,
    features: &Features,
    owner: Option<OwnerInput<'_>>,
    schedule: &Schedule,
    ledger: &mut Ledger,
    progress: &dyn Fn(u64, u64),
) -> Result<Trained, Failure> {
    let peer_width = schedule.weights() - features.width();
    let party = Party { engine, channel, features, peer_width };
    let response = owner.map(|input| Response::new(input, schedule)).transpose()?;
    let mut course = Course::new(party, schedule, response);
    let planned = u64::from(schedule.start.is_some()) + schedule.steps.len() as u64 + 1;
    let mut done = 0;
    let mut step_done = |more: u64| {
        progress(done, planned + more);
        done += 1;
    };
    if let Some(start) = &schedule.start {
        step_done(0);
        course.start(start)?;
    }
    for (place, step) in schedule.steps.iter().enumerate() {
        step_done(0);
        course.step(step)?;
        if place + 1 == EARLY_STEPS {
            course.early.clone_from(&course.w);
        }
    }
    step_done(0);
    let mut bits = course.check(&schedule.last, ledger)?;
    let mut extra = Vec::new();
    while bits != [true, true] {
        if extra.len() == schedule.max_extra {
            return Err(not_converged(schedule, bits));
        }
        step_done(1 + extra.len() as u64);
        let again = !course.applied;
        course.span = course.span.max(schedule.least_span(extra.len()));
        let step = schedule.extra(extra.len());
        extra.push(Extra { span: course.span, again });
        bits = course.check(&step, ledger)?;
    }
    let Course { mut party, w, span, mut response, .. } = course;
    if let Some(response) = response.as_mut().filter(|_| schedule.standard_errors) {
        response.prepare(&schedule.slope_gates(span), span)?;
    }
    let response = response.as_ref();
    let (own, peers) = party.blocks(&w);
    let (own, peers) = (own.to_vec(), peers.to_vec());
    let opened = opening::own_weights(party.channel, ledger, &own, &peers)?;
    let whitened: Vec<f64> = opened.iter().map(|x| ring50::to_real(*x, WEIGHT_BITS)).collect();
    let weights = features.unwhiten(&whitened);
    let residual_variance = if schedule.residual_variance { residual_variance(&mut party, &whitened, response, ledger)? } else { None };
    let errors = match schedule.standard_errors {
        true => Some(standard_errors(&mut party, schedule, &w, span, response, ledger)?),
        false => None,
    };
    progress(done, done);
    // The owner's first number is the intercept's.
    let split = |numbers: Vec<f64>| match owner {
        Some(_) => (numbers.first().copied(), numbers[1..].to_vec()),
        None => (None, numbers),
    };
    let (intercept, coefficients) = split(weights);
    let standard_errors = errors.map(|errors| {
        let (intercept, coefficients) = split(errors);
        StandardErrors { intercept, coefficients }
    });
    Ok(Trained { intercept, coefficients, residual_variance, standard_errors, extra })
}

impl From<AlgebraError> for Failure {
    fn from(error: AlgebraError) -> Self {
        match error {
            AlgebraError::Channel(e) => e.into(),
            AlgebraError::Correlation(colift_correlation::CorrelationError::Channel(e)) => ChannelError::into(e),
            other => Self::of_class(other.class(), other.to_string()),
        }
    }
}

mod course;
mod ending;

#[cfg(test)]
mod tests;
