//! A number of the job that both sides sign, or `"auto"`: then it follows from the run.

use std::fmt;
use std::str::FromStr;

/// The word for a number that follows from the run.
pub(super) const WORD: &str = "auto";

/// A signed number, or one that follows from the run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum AutoNumber {
    /// It follows from the run.
    #[default]
    Auto,
    /// Both sides signed it.
    Signed(f64),
}

impl AutoNumber {
    /// The signed number, if there is one.
    #[must_use]
    pub fn signed(self) -> Option<f64> {
        match self {
            Self::Auto => None,
            Self::Signed(number) => Some(number),
        }
    }
}

impl fmt::Display for AutoNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(WORD),
            Self::Signed(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for AutoNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            WORD => Ok(Self::Auto),
            number => number
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .map(Self::Signed)
                .ok_or_else(|| format!("a number or {WORD} is needed")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_number_or_the_word() {
        for (text, expected) in [("auto", AutoNumber::Auto), ("1e-3", AutoNumber::Signed(0.001)), (" 12 ", AutoNumber::Signed(12.0))] {
            let read: AutoNumber = text.parse().unwrap();
            assert_eq!(read, expected);
            assert_eq!(read.to_string().parse::<AutoNumber>().unwrap(), expected);
        }
        for text in ["", "Auto", "nan", "inf", "1,5"] {
            assert_eq!(text.parse::<AutoNumber>().unwrap_err(), "a number or auto is needed", "{text}");
        }
        assert_eq!((AutoNumber::Auto.signed(), AutoNumber::Signed(2.0).signed()), (None, Some(2.0)));
    }
}
