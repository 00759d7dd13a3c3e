//! Wald's test of a weight: z = weight / standard error, and how often a weight of 0 gives as much.

use serde::{Deserialize, Serialize};

/// A weight's standard error and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wald {
    /// The standard error.
    pub standard_error: f64,
    /// Weight over standard error.
    pub z: f64,
    /// Two-sided p-value by the normal distribution.
    pub p: f64,
}

impl Wald {
    /// The test of a weight with this standard error.
    #[must_use]
    pub fn new(weight: f64, standard_error: f64) -> Self {
        let z = weight / standard_error;
        Self { standard_error, z, p: libm::erfc(z.abs() / std::f64::consts::SQRT_2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_those_of_the_normal_tables() {
        for (z, p) in [(0.0, 1.0), (1.959_963_985, 0.05), (-2.575_829_304, 0.01), (5.0, 5.733_03e-7)] {
            let test = Wald::new(0.5 * z, 0.5);
            assert!((test.z - z).abs() < 1e-12 && (test.p / p - 1.0).abs() < 1e-5, "{z}: {test:?}");
        }
    }
}
