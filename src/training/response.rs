//! The owner's side of the residuals: what its labels and row weights make of shared predictors.
//!
//! For a row with predictor z the residual is r = c + m·f(z − d): the constant c, the factor m and the shift d are the owner's, f is
//! public but for its centre. The owner subtracts d from its own share of z, multiplies f's series by m inside the gate and adds c to
//! its own share of the result.
//!
//! | family | c | m | d | f(v) |
//! |---|---|---|---|---|
//! | logistic | −u·y | u | base logit | σ(v + base) |
//! | Poisson | −u·y | u | 0 | e^v |
//! | gamma | u | u | ln y | −e^−v, so that y·e^−z needs no factor y |
//! | linear | 0 | u, by oblivious transfer | y | v, without a gate |
//!
//! d contains the middle of f's interval as well. u is the row's weight, 1 where there are none.

use crate::error::Failure;
use crate::training::family::Family;
use crate::training::schedule::{COLUMN_BITS, Schedule, WEIGHT_BITS, period};
use crate::training::series::{self, Gap};
use crate::training::twin::{Target, sigmoid};
use colift_algebra::gate::{Function, GatePlan, Series};
use colift_algebra::ring50;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::f64::consts::PI;

/// Amplitude of the end check's half harmonic; of an exponential function in units of its largest value.
const HALF_HARMONIC: f64 = 0.2;
/// The same for exponential functions, which reach 1 already.
const EXPONENTIAL_HALF_HARMONIC: f64 = 0.25;

/// By so many deviations of their rounding, slopes of a close end check are raised.
const SLOPE_DEVIATIONS: f64 = 0.4;
/// But by no more than this part of a usual one, which would shorten every step.
const SLOPES_OVER_RISE: f64 = 20.0;
/// Bits of sines and cosines of gates whose slopes are too coarse for that.
const COARSE_BITS: u32 = 10;

/// What the owner adds to its columns.
#[derive(Clone, Copy, Debug)]
pub struct OwnerInput<'a> {
    /// Labels of the training rows, in the aligned order, in units of the signed scale (yes and no as 1 and 0).
    pub labels: &'a [f64],
    /// Row weights, where the job has them.
    pub weights: Option<&'a [f64]>,
    /// Logit at the centre of the signed rate bucket, around which a logistic model's interval lies; 0 for others.
    pub base_logit: f64,
}

/// The owner's data of every row, in fixed point, and its series.
pub(crate) struct Response<'a> {
    input: OwnerInput<'a>,
    schedule: &'a Schedule,
    /// c.
    constants: Vec<u64>,
    /// d.
    shifts: Vec<u64>,
    /// m over the weights' public bound.
    factors: Option<Vec<f64>>,
    /// 1 for a row that counts and 0 for one that does not.
    counted: Option<Vec<f64>>,
    /// The series of every kind of gate, by (frequency, harmonics, half harmonic, bits).
    book: BTreeMap<(u64, usize, bool, u32), Fitted>,
}

/// The series of a kind of gate.
struct Fitted {
    residual: Series,
    slope: Series,
    /// 0 on the interval, above 0 beyond it; with the half harmonic also one period further.
    stray: Series,
}

impl<'a> Response<'a> {
    /// Checks labels and weights and prepares them.
    ///
    /// # Errors
    /// Exit 13: labels or weights beyond what was signed. Exit 1: a series cannot be fitted.
    pub(crate) fn new(input: OwnerInput<'a>, schedule: &'a Schedule) -> Result<Self, Failure> {
        let family = schedule.sizes.family;
        family.check(input.labels, input.weights)?;
        if let (Some(terms), Some(weights)) = (&schedule.sizes.weights, input.weights) {
            terms.check(weights)?;
        }
        let centre = match family {
            Family::Logistic => input.base_logit,
            _ => 0.0,
        } + schedule.centre();
        let weight = |i: usize| input.weights.map_or(1.0, |weights| weights[i]);
        let constants = input.labels.iter().enumerate().map(|(i, y)| {
            let constant = match family {
                Family::Logistic | Family::Poisson => -weight(i) * y,
                Family::Gamma => weight(i),
                Family::Linear => 0.0,
            };
            // A row without weight may have any label.
            ring50::from_real(if weight(i) == 0.0 { 0.0 } else { constant }, schedule.result_bits)
        });
        let shifts = input.labels.iter().enumerate().map(|(i, y)| {
            let shift = match family {
                _ if weight(i) == 0.0 => 0.0,
                Family::Logistic | Family::Poisson => centre,
                Family::Gamma => y.ln() + centre,
                Family::Linear => *y,
            };
            ring50::from_real(shift, COLUMN_BITS + WEIGHT_BITS)
        });
        let limit = f64::from(1u32 << schedule.weight_bits);
        Ok(Self {
            constants: constants.collect(),
            shifts: shifts.collect(),
            factors: input.weights.map(|weights| weights.iter().map(|u| u / limit).collect()),
            counted: input.weights.map(|weights| weights.iter().map(|u| f64::from(u8::from(*u != 0.0))).collect()),
            book: BTreeMap::new(),
            input,
            schedule,
        })
    }

    /// The predictor of the constant model: of a logistic model kept within the signed bucket.
    pub(crate) fn constant_predictor(&self) -> f64 {
        let family = self.schedule.sizes.family;
        let mean = Target { family, labels: self.input.labels, weights: self.input.weights }.mean();
        let (low, high) = self.schedule.sizes.rate;
        family.link(if family == Family::Logistic { mean.clamp(low, high) } else { mean })
    }

    /// Residuals of the constant model.
    pub(crate) fn constant_residuals(&self, predictor: f64) -> Vec<u64> {
        let family = self.schedule.sizes.family;
        let residual = |(i, y): (usize, &f64)| match self.weight(i) {
            0.0 => 0.0,
            weight => weight * family.residual(predictor, *y),
        };
        self.input.labels.iter().enumerate().map(residual).map(|r| ring50::from_real(r, self.schedule.result_bits)).collect()
    }

    /// Slopes of the constant model, weights included, of the first `rows` rows with so many fraction bits.
    pub(crate) fn constant_slopes(&self, predictor: f64, rows: usize, bits: u32) -> Vec<u64> {
        let slope = match self.schedule.sizes.family {
            // Newton's first step overshoots where a rare column's rows have slopes far above the mean.
            Family::Logistic => self.schedule.start.map_or(0.0, |start| start.slope),
            Family::Linear | Family::Gamma => 1.0,
            Family::Poisson => predictor.exp().min(f64::from(1u32 << self.schedule.span(0).function_bits)),
        };
        (0..rows).map(|i| ring50::from_real(slope * self.weight(i), bits)).collect()
    }

    /// Row weights as integers of so many bits, in units of their bound over 2^bits − 1; of one bit themselves.
    pub(crate) fn integer_weights(&self, rows: usize, bits: u32) -> Vec<u64> {
        let units = f64::from((1u32 << bits) - 1) / f64::from(1u32 << self.schedule.weight_bits);
        (0..rows).map(|i| (self.weight(i) * units).round() as u64).collect()
    }

    /// Label minus the owner's part of the predictor; 0 where the row does not count.
    pub(crate) fn difference(&self, row: usize, z: f64) -> f64 {
        if self.weight(row) == 0.0 { 0.0 } else { self.input.labels[row] - z }
    }

    /// The same times the row's weight.
    pub(crate) fn weighted_residual(&self, row: usize, z: f64) -> f64 {
        self.weight(row) * self.difference(row, z)
    }

    /// The row's weight, 1 where there are none.
    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.input.weights.map_or(1.0, |weights| weights[row])
    }

    /// Subtracts d from the owner's shares of the first rows.
    pub(crate) fn shift(&self, z: &mut [u64]) {
        z.iter_mut().zip(&self.shifts).for_each(|(z, shift)| *z = ring50::sub(*z, *shift));
    }

    /// Adds c to the owner's shares of the first rows.
    pub(crate) fn complete(&self, residuals: &mut [u64]) {
        residuals.iter_mut().zip(&self.constants).for_each(|(r, constant)| *r = ring50::add(*r, *constant));
    }

    /// Fits what the gates of a span need and was not fitted yet.
    ///
    /// # Errors
    /// Exit 1: a series cannot be fitted.
    pub(crate) fn prepare(&mut self, gates: &[GatePlan], span: usize) -> Result<(), Failure> {
        for gate in gates {
            if let Entry::Vacant(place) = self.book.entry((gate.frequency, gate.harmonics, gate.half, gate.bits)) {
                place.insert(fit(self.schedule, self.input.base_logit, span, gate)?);
            }
        }
        Ok(())
    }

    /// What the owner puts into a gate over rows from `first` on.
    pub(crate) fn functions(&self, gate: &GatePlan, first: usize) -> Vec<Function<'_>> {
        let Some(fitted) = self.book.get(&(gate.frequency, gate.harmonics, gate.half, gate.bits)) else { return Vec::new() };
        let factor = self.factors.as_deref().and_then(|factors| factors.get(first..first + gate.rows));
        let counted = self.counted.as_deref().and_then(|counted| counted.get(first..first + gate.rows));
        let mut functions = vec![Function { series: &fitted.residual, factor }];
        if gate.second_rows > 0 {
            functions.push(Function { series: &fitted.slope, factor: factor.map(|factor| &factor[..gate.second_rows.min(gate.rows)]) });
        }
        if gate.last_bits.is_some() {
            functions.push(Function { series: &fitted.stray, factor: counted });
        }
        functions
    }
}

/// The series of a kind of gate: f, the slopes where a Hessian is made, both over the function's public bound, and what tells
/// predictors beyond the interval.
///
/// The end check's f is a series of f(v) − h·cos(π·u/P), u the distance from the interval's middle, plus that half harmonic. One
/// period further the half harmonic has the other sign, so that residuals of predictors that left the period are far off and the
/// step that they propose is large. Its stray function is a series that follows ½·cos(π·u/P) on the interval and rises in the gap,
/// minus that half harmonic: about 0 on the interval, up to 1 in the gap, and cos(π·u/P) one period further.
fn fit(schedule: &Schedule, base_logit: f64, place: usize, gate: &GatePlan) -> Result<Fitted, Failure> {
    let (family, span) = (schedule.sizes.family, schedule.span(place));
    let base = if family == Family::Logistic { base_logit } else { 0.0 };
    let (low, high) = (base + span.interval.low, base + span.interval.high);
    let (centre, period) = (f64::midpoint(low, high), period(gate.frequency));
    let bound = f64::from(1u32 << span.function_bits);
    let exponential = matches!(family, Family::Poisson | Family::Gamma);
    let function: fn(f64) -> f64 = match family {
        Family::Logistic | Family::Linear => sigmoid,
        Family::Poisson => f64::exp,
        Family::Gamma => |v| -(-v).exp(),
    };
    let slope: fn(f64) -> f64 = match family {
        Family::Poisson => f64::exp,
        _ => |z| sigmoid(z) * sigmoid(-z),
    };
    let amplitude = if exponential { EXPONENTIAL_HALF_HARMONIC } else { HALF_HARMONIC };
    let fitted =
        |of: &dyn Fn(f64) -> f64, bridge: Gap| Ok::<_, Failure>(series::fit(of, low, high, period, gate.harmonics, bridge)?.series);
    let flat = if exponential { Gap::EXPONENTIAL } else { Gap::SIGMOID };
    let half = |z: f64| (PI * (z - centre) / period).cos();
    let slopes = |z: f64| slope(z) / bound;
    // Rows in the gap must not turn a Hessian negative.
    let level = if exponential { flat } else { Gap { weight: series::HEAVY_GAP, ..flat } };
    if !gate.half {
        let empty = Series { constant: 0.0, harmonics: Vec::new() };
        return Ok(Fitted { residual: fitted(&|z| function(z) / bound, flat)?, slope: fitted(&slopes, level)?, stray: empty });
    }
    let mut residual = fitted(&|z| function(z) / bound - amplitude * half(z), flat)?;
    residual.harmonics.push((amplitude, 0.0));
    let mut slope = fitted(&slopes, level)?;
    slope.harmonics.push((0.0, 0.0));
    if family == Family::Logistic && gate.bits > COARSE_BITS {
        // Rounding may turn small slopes negative, and a row with large entries its Hessian: solvers would follow that.
        let rounding = SLOPE_DEVIATIONS * 0.4 * (gate.harmonics as f64).sqrt() / f64::from(gate.bits).exp2();
        slope.constant += rounding.min(schedule.usual_slope / SLOPES_OVER_RISE);
    }
    let mut stray = fitted(&|z| 0.5 * half(z), Gap::STRAY)?;
    stray.harmonics.push((-0.5, 0.0));
    Ok(Fitted { residual, slope, stray })
}
