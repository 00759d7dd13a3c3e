//! Which steps a training takes, by family: rows, lengths, Hessians, the solver and the end check's bound.
//!
//! Chosen by plaintext simulation on the real sets and on made ones (docs/adr/0006, 0009, 0011, 0019).

use super::{Care, EXTRA_HESSIAN_ROWS, Family, PublicSizes, SolverPlan, Start, Step};

/// Up to so many rows all steps and all Hessians use all rows.
pub(super) const SMALL_ROWS: usize = THIRD_ROWS;
/// Up to so many rows, sines and cosines are fine: they cost no more ciphertexts.
const FINE_ROWS: usize = 8_192;
/// Rows of the first Hessian, whose slopes are public.
const START_ROWS: usize = 8_192;
/// Rows of the second step and its Hessian.
const SECOND_ROWS: usize = 16_384;
/// The same for rare labels, which leave fewer informative rows.
const RARE_SECOND_ROWS: usize = 24_576;
/// Rows of the third step.
const THIRD_ROWS: usize = 45_056;
/// Rows of the fourth step, which only trainings with many rows have.
const FOURTH_ROWS: usize = 196_608;
/// The same for labels that are not rare, whose standard errors are smaller.
const OFTEN_FOURTH_ROWS: usize = 245_760;
/// Rows of the last Hessian.
const LAST_ROWS: usize = 24_576;
/// The same with many rows, whose steps cost more than Hessians.
const LARGE_LAST_ROWS: usize = 65_536;
/// The same for labels that are not rare.
const OFTEN_LARGE_LAST_ROWS: usize = 98_304;
/// Harmonics a unit of the interval of an exponential function.
const EXPONENTIAL_HARMONICS: f64 = 2.0;
/// Harmonics a logit of the interval. Slopes need the most; the residuals of steps that end far from the optimum the least: with
/// 9, 11 and 12 on 20 logits the series are off by up to 7e-4, 2e-4 and 1e-4.
const HESSIAN_HARMONICS: f64 = 0.6;
/// The same with few rows, where it costs next to nothing and a test AUC of few users hangs on single pairs.
const CLOSE_HARMONICS: f64 = 0.75;
/// Up to so many.
pub(super) const CLOSE_ROWS: usize = 2_048;
/// The same for residuals of the full steps.
const NEAR_HARMONICS: f64 = 0.55;
/// The same for residuals of the steps before.
const FAR_HARMONICS: f64 = 0.45;
/// Fraction bits of sines and cosines.
const COARSE_BITS: u32 = 10;
/// The same where 10 are too coarse.
pub(super) const FINE_BITS: u32 = 13;
/// Below this variance all Hessians use all rows of so many: hardly any row tells anything.
const VERY_RARE: f64 = 0.005;
/// Rows up to which they do.
const VERY_RARE_ROWS: usize = 1 << 17;
/// Least slope of the start.
const LEAST_START_SLOPE: f64 = 0.05;
/// From this many rows on a step on all rows costs more than larger Hessians.
const MANY_ROWS: usize = 1 << 18;
/// Below this variance of the label a training takes one more step on all rows.
const RARE: f64 = 0.05;
/// Length of the start's step over its slope, where it follows the gradient alone: half of it, since columns of the two sides may be
/// copies of each other.
const FIRST_DAMPING: f64 = 0.5;
/// The same for rare labels: columns that many of the few positives have would carry them too far.
const RARE_FIRST_DAMPING: f64 = 0.3;
/// Below this variance of the label that is so.
const FIRST_RARE: f64 = 0.1;
/// Bound on the eigenvalues of a logistic model's Hessian on whitened columns: a quarter for each side's columns with their ridge, and
/// up to a quarter more where clipped columns have means beside the intercept.
const LARGEST_EIGENVALUE: f64 = 0.75;
/// Lower bounds of the spectrum for solvers that need not hurry.
const EXTRA_LOWER: f64 = 0.001;
/// The same for the first steps, which are rough in any case.
const FIRST_LOWER: f64 = 0.004;
/// How much further down the last of them reach.
const LATE_SHARE: f64 = 0.2;
/// ln 12: how far they shrink the slowest eigenvector within their bounds.
const EXTRA_ACCURACY: f64 = 2.484_906_649_788;
/// What of the end check's tolerance a family uses whose dispersion may be below 1: standard errors shrink with its root.
const GAMMA_SHARE: f64 = 0.3;
const LINEAR_SHARE: f64 = 0.1;
/// ln 6, ln 20 and ln 40: how far the solver shrinks the slowest eigenvector within its bounds.
const ACCURACY: [f64; 3] = [1.791_759_469_228_055, 2.995_732_273_553_991, 3.688_879_454_113_936];
/// ln 400: what the slowest direction within the bounds lacks in an inverse is one part in two hundred.
const INVERSE_ACCURACY: f64 = 5.991_464_547_107_982;

/// The usual ridge on whitened columns: directions that the data do not determine have no smaller curvature.
const RIDGE_FLOOR: f64 = 0.001;

/// Linear solvers: of steps with a new Hessian, of steps that keep the one before, of standard errors, of steps after the planned ones, of
/// the last of those, of end checks with an older Hessian.
pub(super) struct Solvers {
    pub(super) newton: SolverPlan,
    pub(super) fine: SolverPlan,
    pub(super) inverse: SolverPlan,
    pub(super) extra: SolverPlan,
    pub(super) late: SolverPlan,
    pub(super) stale: SolverPlan,
}

/// What a family's trainings differ in.
pub(super) struct Course {
    pub(super) start: Option<Start>,
    pub(super) steps: Vec<Step>,
    pub(super) last: Step,
    pub(super) harmonics: usize,
    pub(super) trigonometric_bits: u32,
    pub(super) solvers: Solvers,
    pub(super) usual_slope: f64,
    pub(super) share_of_tolerance: f64,
    pub(super) held: Option<f64>,
    pub(super) extra_hessian_rows: usize,
}

/// The steps of these sizes; the gate's interval is `width` wide.
pub(super) fn course(sizes: &PublicSizes, width: f64) -> Course {
    match sizes.family {
        Family::Logistic => logistic(sizes, width),
        Family::Linear | Family::Gamma => constant_slopes(sizes, width),
        Family::Poisson => poisson(sizes, width),
    }
}

/// Harmonics of an interval with so many a unit.
fn harmonics(each: f64, width: f64) -> usize {
    ((each * width).ceil() as usize).clamp(9, 96)
}

/// Harmonics of a logistic model's slopes.
pub(super) fn hessian_harmonics(width: f64) -> usize {
    harmonics(HESSIAN_HARMONICS, width)
}

/// Harmonics of an exponential function.
pub(super) fn exponential_harmonics(width: f64) -> usize {
    harmonics(EXPONENTIAL_HARMONICS, width)
}

/// A step of these rows with a new Hessian.
fn step(rows: usize, hessian_rows: usize, damping: f64, harmonics: usize) -> Step {
    Step { rows, harmonics, damping, momentum: 0.0, hessian_rows: hessian_rows.min(rows), care: Care::Rough, other_period: false }
}

/// A solver that converges by the factor e^−accuracy within its bounds.
fn solver(upper: f64, lower: f64, accuracy: f64) -> SolverPlan {
    SolverPlan { upper, lower, iterations: (0.5 * (upper / lower).sqrt() * accuracy).ceil() as usize, refinements: 0 }
}

/// The solvers of a training, whose Hessians have eigenvalues up to `upper` and usually not below `lower`; all but the first also reach
/// down to `least`, what only the ridge holds, such as the difference of two columns that are copies of each other.
fn solvers(upper: f64, lower: f64, least: f64, accuracy: f64) -> Solvers {
    Solvers {
        newton: solver(upper, lower, accuracy),
        fine: solver(upper, least, accuracy),
        inverse: solver(upper, least, INVERSE_ACCURACY),
        extra: solver(upper, least, EXTRA_ACCURACY),
        late: solver(upper, LATE_SHARE * least, EXTRA_ACCURACY),
        stale: solver(upper, least, ACCURACY[1]),
    }
}

/// Full steps with one Hessian, in the order they are made; the last one is the end check's.
fn full_steps(rows: usize, count: usize, spectrum: (f64, f64), harmonics: usize) -> (Vec<Step>, Step) {
    let one = |(damping, momentum)| Step { rows, harmonics, damping, momentum, hessian_rows: 0, care: Care::Close, other_period: false };
    let mut full = momentum(count, spectrum).map(one);
    let last = full.next_back().unwrap_or(one((1.0, 0.0)));
    (full.collect(), last)
}

/// Public figures of a logistic model's bucket.
struct Bucket {
    /// p(1 − p) in its middle, on the logit scale.
    variance: f64,
    rare: bool,
    very_rare: bool,
}

impl Bucket {
    fn of(sizes: &PublicSizes) -> Self {
        let odds = ((sizes.rate.0 / (1.0 - sizes.rate.0)) * (sizes.rate.1 / (1.0 - sizes.rate.1))).sqrt();
        let rate = odds / (1.0 + odds);
        let variance = rate * (1.0 - rate);
        Self { variance, rare: variance < RARE, very_rare: variance < VERY_RARE }
    }
}

fn logistic(sizes: &PublicSizes, width: f64) -> Course {
    let bucket = Bucket::of(sizes);
    if sizes.rows <= SMALL_ROWS || bucket.very_rare && sizes.rows <= VERY_RARE_ROWS {
        small_logistic(sizes, width, &bucket)
    } else {
        large_logistic(sizes, width, &bucket)
    }
}

/// Newton steps on all rows, each with a new Hessian of all rows, from a first step along the gradient of the constant model. Every
/// end check has the Hessian of its own weights.
fn small_logistic(sizes: &PublicSizes, width: f64, bucket: &Bucket) -> Course {
    let rows = sizes.rows;
    let (limit, mean) = sizes.weight();
    let harmonics = if rows <= CLOSE_ROWS { harmonics(CLOSE_HARMONICS, width) } else { hessian_harmonics(width) };
    let all = solvers(LARGEST_EIGENVALUE * limit, mean * FIRST_LOWER, mean * EXTRA_LOWER, ACCURACY[0]);
    let (rough, full) = (step(rows, rows, 1.0, harmonics), Step { care: Care::Close, ..step(rows, rows, 1.0, harmonics) });
    Course {
        start: Some(Start {
            hessian_rows: 0,
            damping: if bucket.variance < FIRST_RARE { RARE_FIRST_DAMPING } else { FIRST_DAMPING },
            slope: mean * bucket.variance.max(LEAST_START_SLOPE),
        }),
        // Small tables are nearly separated more often, and need one more.
        steps: if rows <= CLOSE_ROWS { vec![rough, rough, full, full] } else { vec![rough, rough, full] },
        last: full,
        harmonics,
        // Residuals of very rare labels are small themselves: so must be their rounding.
        trigonometric_bits: if rows <= FINE_ROWS || bucket.very_rare { FINE_BITS } else { COARSE_BITS },
        solvers: all,
        usual_slope: bucket.variance * mean,
        share_of_tolerance: 1.0,
        held: None,
        extra_hessian_rows: rows,
    }
}

/// Newton steps on subsets with Hessians of subsets, then on all rows with the last Hessian.
fn large_logistic(sizes: &PublicSizes, width: f64, bucket: &Bucket) -> Course {
    let rows = sizes.rows;
    let (limit, mean) = sizes.weight();
    // 0.6 a logit keeps the series' error near 2e-4.
    let for_hessian = hessian_harmonics(width);
    let Bucket { variance, rare, very_rare } = *bucket;
    let many = rows > MANY_ROWS;
    // ln 20: the slowest eigenvector within the bounds shrinks to a tenth. For rare labels, whose bounds lie far apart and whose
    // full steps are more, ln 6 is enough; with many rows, where full steps are few and dear, it is ln 40.
    let accuracy = match (rare, many) {
        (_, true) => ACCURACY[2],
        (true, false) => ACCURACY[0],
        _ => ACCURACY[1],
    };
    let lower = variance / 30.0;
    let solvers = solvers(LARGEST_EIGENVALUE * limit, mean * lower, mean * lower.min(RIDGE_FLOOR), accuracy);
    let trigonometric_bits = if very_rare { FINE_BITS } else { COARSE_BITS };
    let near = if very_rare { for_hessian } else { harmonics(NEAR_HARMONICS, width) };
    let far = harmonics(FAR_HARMONICS, width);
    let step = |rows, hessian_rows, damping| step(rows, hessian_rows, damping, far);
    // Newton's first step from the constant model overshoots where a rare column's rows have slopes far above the mean: the start's
    // slope is not below 0.05.
    let start = Start { hessian_rows: START_ROWS.min(rows), damping: if rare { 0.9 } else { 0.7 }, slope: variance.max(LEAST_START_SLOPE) };
    let second = if rare { RARE_SECOND_ROWS } else { SECOND_ROWS };
    let mut steps = vec![step(second, second, 1.0), step(THIRD_ROWS, START_ROWS, 1.0)];
    if many {
        steps.push(step(if rare { FOURTH_ROWS } else { OFTEN_FOURTH_ROWS }, LAST_ROWS, 1.0));
    }
    // The last Hessian comes with the first gradient of all rows, when the weights are near.
    let last_rows = match (many, rare) {
        (false, _) => LAST_ROWS,
        (true, true) => LARGE_LAST_ROWS,
        (true, false) => OFTEN_LARGE_LAST_ROWS,
    };
    steps.push(step(rows, last_rows, 1.0));
    // The last Hessian's spectrum against the full one's, for the momentum of the full steps: measured on the real sets and on made
    // ones; outside of it they converge more slowly.
    let (after, spectrum) = match (rare, many) {
        (true, false) => (3, (0.55, 1.3)),
        (true, true) => (2, (0.78, 1.25)),
        (false, _) => (3, (0.75, 1.25)),
    };
    let (full, last) = full_steps(rows, after, spectrum, near);
    steps.extend(full);
    let usual_slope = variance * mean;
    Course {
        start: Some(start),
        steps,
        last,
        harmonics: for_hessian,
        trigonometric_bits,
        solvers,
        usual_slope,
        share_of_tolerance: 1.0,
        held: Some(held(rows, usual_slope, 1.0)),
        extra_hessian_rows: rows.min(EXTRA_HESSIAN_ROWS),
    }
}

/// Bound on the step before the planned end check, where that has an older Hessian: 3.2 standard errors of a usual whitened weight.
fn held(rows: usize, usual_slope: f64, share: f64) -> f64 {
    3.2 * share / (rows as f64 * usual_slope).sqrt()
}

/// Linear models, whose slopes are 1, and gamma models with Fisher's: one Hessian, made with the first step, for all steps. The linear
/// model's steps converge as fast as the solver; the gamma model's Hessian differs from Fisher's, so its steps are more.
fn constant_slopes(sizes: &PublicSizes, width: f64) -> Course {
    let rows = sizes.rows;
    let (limit, mean) = sizes.weight();
    let linear = sizes.family == Family::Linear;
    let harmonics = exponential_harmonics(width);
    let start = Start { hessian_rows: THIRD_ROWS.min(rows), damping: 1.0, slope: 1.0 };
    // Own blocks are whitened: two of them have eigenvalues of at most 2, the ridge at most 1/4.
    let lower = mean / if rows < FINE_ROWS { 100.0 } else { 30.0 };
    let solvers = solvers(2.3 * limit, lower, mean * RIDGE_FLOOR, ACCURACY[1]);
    let (steps, last) = if linear { full_steps(rows, 5, (0.8, 1.2), harmonics) } else { full_steps(rows, 7, (0.6, 1.6), harmonics) };
    Course {
        start: Some(start),
        steps,
        last,
        harmonics,
        trigonometric_bits: FINE_BITS,
        solvers,
        usual_slope: mean,
        share_of_tolerance: if linear { LINEAR_SHARE } else { GAMMA_SHARE },
        held: Some(held(rows, mean, if linear { LINEAR_SHARE } else { 1.0 })),
        extra_hessian_rows: if rows > THIRD_ROWS { rows.min(EXTRA_HESSIAN_ROWS) } else { 0 },
    }
}

/// A logistic model with many columns: no Hessian but the constant model's, whose own blocks each party knows and whose cross block is
/// one product, and more gradients of all rows with momentum. The other way to L-BFGS's end, without its divisions on shares.
pub(super) fn wide(sizes: &PublicSizes, width: f64) -> Course {
    let newton = large_logistic(sizes, width, &Bucket::of(sizes));
    let rare = newton.usual_slope < RARE * sizes.weight().1;
    let near = harmonics(NEAR_HARMONICS, width);
    // The spectrum of the constant model's Hessian against the last one's: measured on made sets.
    let (count, spectrum) = if rare { (18, (0.15, 2.0)) } else { (13, (0.3, 2.0)) };
    let (steps, _) = full_steps(sizes.rows, count, spectrum, near);
    let start = newton.start.map(|start| Start { hessian_rows: THIRD_ROWS.min(sizes.rows), ..start });
    // The end check has a Hessian of the last weights.
    let last = step(sizes.rows, if sizes.rows <= SMALL_ROWS { sizes.rows } else { LAST_ROWS }, 1.0, near);
    Course { start, steps, last, held: None, ..newton }
}

/// Poisson models: Newton steps as of a logistic model whose labels are not rare.
fn poisson(sizes: &PublicSizes, width: f64) -> Course {
    let rows = sizes.rows;
    let (limit, mean) = sizes.weight();
    let harmonics = exponential_harmonics(width);
    let step = |rows, hessian_rows, damping| step(rows, hessian_rows, damping, harmonics);
    let small = rows <= SMALL_ROWS;
    // Newton's full step from the constant model overshoots: it follows e^z along its tangent.
    let (start, steps, last) = if small {
        (None, vec![step(rows, rows, 0.5), step(rows, rows, 0.8), step(rows, rows, 1.0)], step(rows, rows, 1.0))
    } else {
        let start = Start { hessian_rows: START_ROWS, damping: 0.5, slope: 1.0 };
        let mut steps = vec![step(SECOND_ROWS, SECOND_ROWS, 1.0), step(THIRD_ROWS, SECOND_ROWS, 1.0), step(rows, THIRD_ROWS, 1.0)];
        let (full, last) = full_steps(rows, 3, (0.75, 1.25), harmonics);
        steps.extend(full);
        (Some(start), steps, last)
    };
    // Rows with large means weigh more: the largest eigenvalue is that of a few directions, 24 is three times what made sets have.
    let solvers = solvers(24.0 * limit, mean / if small { 100.0 } else { 30.0 }, mean * RIDGE_FLOOR, ACCURACY[1]);
    Course {
        start,
        steps,
        last,
        harmonics,
        trigonometric_bits: FINE_BITS,
        solvers,
        usual_slope: mean,
        share_of_tolerance: 1.0,
        held: (!small).then(|| held(rows, mean, 1.0)),
        extra_hessian_rows: rows.min(EXTRA_HESSIAN_ROWS),
    }
}

/// (damping, momentum) of `count` full steps with one Hessian: the Chebyshev semi-iteration (Golub and Varga 1961) of the
/// outer iteration, where H⁻¹·(full Hessian) has its spectrum within (low, high).
fn momentum(count: usize, (low, high): (f64, f64)) -> impl DoubleEndedIterator<Item = (f64, f64)> {
    let (centre, spread) = ((low + high) / 2.0, (high - low) / (high + low));
    let mut weights = Vec::with_capacity(count);
    let mut omega = 1.0;
    for k in 0..count {
        omega = match k {
            0 => 1.0,
            1 => 1.0 / (1.0 - spread * spread / 2.0),
            _ => 1.0 / (1.0 - spread * spread * omega / 4.0),
        };
        weights.push((omega / centre, omega - 1.0));
    }
    weights.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_steps_follow_the_chebyshev_polynomial_of_the_spread() {
        // The error of an eigendirection with 0.9 − eigenvalue = x after k steps is T_k(x/0.3)/T_k(0.9/0.3).
        let chebyshev = |k: usize, x: f64| (2..=k).fold((1.0, x), |(a, b), _| (b, 2.0 * x * b - a)).1;
        for k in 1..=4 {
            for x in [-0.5, -0.2, 0.0, 0.31, 0.5, 0.8] {
                let (mut before, mut error) = (0.0, 1.0);
                for (damping, momentum) in momentum(k, (0.6, 1.2)) {
                    let moved: f64 = -damping * (0.9 - x) * error + momentum * (error - before);
                    (before, error) = (error, error + moved);
                }
                let exact = chebyshev(k, x / 0.3) / chebyshev(k, 0.9 / 0.3);
                assert!((error - exact).abs() < 1e-12, "{k} steps, {x}: {error} for {exact}");
            }
        }
    }
}
