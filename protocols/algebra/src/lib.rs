//! Two-party linear algebra on additive shares: matrix products, exact lift, trigonometric gate, comparison.
