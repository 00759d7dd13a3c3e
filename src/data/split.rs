//! Which rows train and which test: read from a column, or drawn by a keyed hash of the id.

use crate::error::{Exit, Failure};
use rayon::prelude::*;
use ring::hmac;

/// Whether a row trains the model or judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The model is fitted on this row.
    Train,
    /// The model is judged on this row.
    Test,
}

/// Draws about `share` of the rows as test rows: a row tests when HMAC-SHA256(key, tag ‖ id) falls below the share.
///
/// The draw depends on the key and the canonical id only, so it is the same in any order of the file.
///
/// # Errors
/// Config (exit code 2) when the share is not strictly between 0 and 1.
pub fn draw_split(ids: &[String], key: &[u8; 32], share: f64) -> Result<Vec<Split>, Failure> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Failure::new(Exit::Usage, 341, format!("test_share is {share}, it must lie between 0 and 1")));
    }
    // share · 2⁶⁴, exact to the last of f64's 53 bits; below 2⁶⁴ because share is below 1.
    let threshold = (share * 18_446_744_073_709_551_616.0) as u64;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let draw = |id: &String| {
        let mut context = hmac::Context::with_key(&key);
        context.update(b"colift/split/v1\0");
        context.update(id.as_bytes());
        let tag = context.sign();
        let head = tag.as_ref().iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        if head < threshold { Split::Test } else { Split::Train }
    };
    Ok(ids.par_iter().map(draw).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_draw_follows_the_share_the_key_and_the_id_only() {
        let ids: Vec<String> = (0..40_000).map(|i| format!("user{i}")).collect();
        let drawn = draw_split(&ids, &[7; 32], 0.25).unwrap();
        let tests = drawn.iter().filter(|s| **s == Split::Test).count();
        assert!((9_600..=10_400).contains(&tests), "{tests} of 40,000 (4.6 standard deviations)");

        let mut backwards: Vec<String> = ids.clone();
        backwards.reverse();
        let mut again = draw_split(&backwards, &[7; 32], 0.25).unwrap();
        again.reverse();
        assert_eq!(again, drawn);
        assert_ne!(draw_split(&ids, &[8; 32], 0.25).unwrap(), drawn);

        // A larger share keeps every test row it had.
        let wider = draw_split(&ids, &[7; 32], 0.5).unwrap();
        assert!(drawn.iter().zip(&wider).all(|(a, b)| *a == Split::Train || *b == Split::Test));
    }

    #[test]
    fn impossible_shares_are_refused() {
        for share in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(draw_split(&[], &[0; 32], share).unwrap_err().exit, Exit::Usage);
        }
    }
}
