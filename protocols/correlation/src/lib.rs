//! Correlated randomness: base OT, OT extension, correlated OT, private bit products.
