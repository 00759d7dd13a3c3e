//! Ring-LWE encryption for linear algebra: number-theoretic transform, parameters with worst-case noise bounds, seeded encryption, masked replies.
