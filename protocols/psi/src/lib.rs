//! Private set intersection.
