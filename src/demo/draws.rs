//! Draws of invented users. Normal values are sums of uniform ones, so that nothing but rounded figures depends on a machine's
//! mathematics library.

use crate::evaluation::random::SplitMix;

const NAMES: [&str; 16] =
    ["ada", "bao", "cem", "dina", "elif", "femi", "gita", "hugo", "ines", "jun", "kofi", "lena", "mina", "noor", "omar", "pia"];
const DOMAINS: [&str; 4] = ["example.com", "example.net", "example.org", "mail.example"];

/// Uniform and normal draws of one user.
pub(super) struct Draws {
    random: SplitMix,
    /// Differs between users of one seed.
    number: u32,
}

impl Draws {
    /// The draws of the user of this number, the same in every run with the seed.
    pub(super) fn of(seed: u64, index: usize) -> Self {
        // An odd factor gives every index another number.
        Self { random: SplitMix::new(seed, index as u64), number: (index as u32).wrapping_mul(0x9e37_79b1) ^ (seed as u32) }
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.random.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly standard normal: twelve uniform values.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// True with this chance.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the words.
    pub(super) fn word(&mut self, words: &[&'static str]) -> &'static str {
        words.get(self.random.below(words.len())).copied().unwrap_or_default()
    }

    /// A count whose logarithm is normal around `log` with this deviation.
    pub(super) fn about(&mut self, log: f64, deviation: f64, most: u32) -> u32 {
        count((log + deviation * self.normal()).exp(), 0, most)
    }

    /// An e-mail address that no other user of the seed has.
    pub(super) fn email(&mut self) -> String {
        let (name, domain) = (self.word(&NAMES), self.word(&DOMAINS));
        format!("{name}.{:08x}@{domain}", self.number)
    }

    /// A telephone number that no other user of the seed has, with too many digits to be anybody's.
    pub(super) fn phone(&self) -> String {
        format!("+1555{:010}", self.number)
    }

    /// A device id that no other user of the seed has.
    pub(super) fn device(&self) -> String {
        let [a, b, c, d] = self.number.to_be_bytes();
        format!("{:08x}-{a:02x}{b:02x}-4{:03x}-8{:03x}-{a:02x}{b:02x}{c:02x}{d:02x}c0de", self.number, u16::from(c) << 4, u16::from(d) << 4)
    }
}

/// A value cut to a range and rounded down, as a count.
pub(super) fn count(value: f64, least: u32, most: u32) -> u32 {
    value.clamp(f64::from(least), f64::from(most)) as u32
}

/// 1 / (1 + e^−z).
pub(super) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// 0 or 1 as a cell.
pub(super) fn bit(value: bool) -> u8 {
    u8::from(value)
}
