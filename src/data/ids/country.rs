//! Which E.164 country codes are assigned: an unassigned one is a warning, never a refusal.

/// Whether the digits after the `+` begin with a country code of the ITU's list, shared and satellite codes included.
pub(super) fn is_assigned(digits: &str) -> bool {
    let prefix = |length: usize| digits.get(..length).and_then(|d| d.parse::<u16>().ok()).unwrap_or(0);
    if matches!(prefix(1), 1 | 7) {
        return true;
    }
    let two = matches!(prefix(2), 20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98);
    let three = matches!(
        prefix(3),
        211 | 212 | 213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299
            | 350..=359 | 370..=383 | 385..=387 | 389 | 420 | 421 | 423
            | 500..=509 | 590..=599 | 670 | 672..=683 | 685..=692
            | 800 | 808 | 850 | 852 | 853 | 855 | 856 | 870 | 878 | 880..=883 | 886
            | 960..=968 | 970..=977 | 979 | 992..=996 | 998
    );
    two || three
}

#[cfg(test)]
mod tests {
    use super::is_assigned;

    #[test]
    fn known_codes_are_told_from_free_ones() {
        for digits in ["12025550123", "442079460000", "8613800138000", "358401234567", "79161234567", "88212345678"] {
            assert!(is_assigned(digits), "{digits}");
        }
        for digits in ["99912345678", "21012345678", "38412345678", "69912345678", "8991234567", "2841234567"] {
            assert!(!is_assigned(digits), "{digits}");
        }
    }
}
