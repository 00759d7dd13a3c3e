//! One invented user: two hidden traits, what each company sees of them, and whether the user buys.
//!
//! Normal values are sums of uniform ones, so that nothing but rounded figures depends on a machine's mathematics library.

use crate::evaluation::random::SplitMix;
use std::fmt::Write;

const NAMES: [&str; 16] =
    ["ada", "bao", "cem", "dina", "elif", "femi", "gita", "hugo", "ines", "jun", "kofi", "lena", "mina", "noor", "omar", "pia"];
const DOMAINS: [&str; 4] = ["example.com", "example.net", "example.org", "mail.example"];

/// Base log-odds of a purchase.
const BASE: f64 = -2.71;
/// Weight of wealth, which the partner sees better.
const WEALTH: f64 = 0.90;
/// Weight of engagement, which only the owner sees.
const ENGAGEMENT: f64 = 0.25;
/// Weight of a paid install, which only the owner sees.
const PAID: f64 = 0.15;

/// A user as both companies together would see it.
pub(super) struct Person {
    email: String,
    shouted: bool,
    sessions_7d: u32,
    days_since_install: u32,
    level_reached: u32,
    ad_clicks: u32,
    device_price: u32,
    channel_paid: bool,
    orders_90d: u32,
    spend_90d: f64,
    refunds: u32,
    subscriptions: u32,
    card_premium: bool,
    weekday_share: f64,
    categories: u32,
    months_active: u32,
    buys: bool,
}

/// Uniform and normal draws of one user.
struct Draws(SplitMix);

impl Draws {
    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.0.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly standard normal: twelve uniform values.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// True with this chance.
    fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the words.
    fn word(&mut self, words: &[&'static str]) -> &'static str {
        words.get(self.0.below(words.len())).copied().unwrap_or_default()
    }
}

/// A value cut to a range and rounded down, as a count.
fn count(value: f64, least: u32, most: u32) -> u32 {
    value.clamp(f64::from(least), f64::from(most)) as u32
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

impl Person {
    /// The user of this number, the same in every run with the seed.
    pub(super) fn draw(seed: u64, index: usize) -> Self {
        let mut draws = Draws(SplitMix::new(seed, index as u64));
        let (wealth, engagement) = (draws.normal(), draws.normal());

        let days_since_install = 1 + count(30.0 * draws.unit(), 0, 29);
        let sessions_7d = count((1.7 + 0.5 * engagement + 0.4 * draws.normal()).exp(), 0, 150);
        let level_reached = count(4.0 + 0.4 * f64::from(days_since_install) + 3.0 * engagement + 2.0 * draws.normal(), 1, 60);
        let ad_clicks = count((0.6 - 0.2 * engagement + 0.7 * draws.normal()).exp(), 0, 40);
        let device_price = count((5.9 + 0.2 * wealth + 0.4 * draws.normal()).exp(), 80, 1_900);
        let channel_paid = draws.chance(0.42);

        let orders_90d = count((1.1 + 0.6 * wealth + 0.5 * draws.normal()).exp(), 0, 90);
        let basket = (3.3 + 0.4 * wealth + 0.4 * draws.normal()).exp();
        let refunds = count(0.8 * f64::from(orders_90d) * draws.unit() * draws.unit(), 0, 30);
        let subscriptions = count(1.3 + 0.8 * wealth + 0.8 * draws.normal(), 0, 6);
        let card_premium = draws.chance(sigmoid(1.2 * wealth - 1.6));
        let weekday_share = (0.64 + 0.12 * draws.normal()).clamp(0.0, 1.0);
        let categories = count(1.0 + f64::from(orders_90d).sqrt() * (0.3 * draws.normal()).exp(), 1, 20);
        let months_active = count(22.0 + 6.0 * wealth + 12.0 * draws.normal(), 1, 72);

        let odds = BASE + WEALTH * wealth + ENGAGEMENT * engagement + if channel_paid { PAID } else { 0.0 };
        let buys = draws.chance(sigmoid(odds));

        // An odd factor gives every index another number.
        let number = (index as u32).wrapping_mul(0x9e37_79b1) ^ (seed as u32);
        let email = format!("{}.{number:08x}@{}", draws.word(&NAMES), draws.word(&DOMAINS));
        Self {
            email,
            shouted: draws.chance(0.02),
            sessions_7d,
            days_since_install,
            level_reached,
            ad_clicks,
            device_price,
            channel_paid,
            orders_90d,
            spend_90d: f64::from(orders_90d) * basket,
            refunds,
            subscriptions,
            card_premium,
            weekday_share,
            categories,
            months_active,
            buys,
        }
    }

    /// The user's line in the owner's file, without a line end.
    pub(super) fn write_owner_row(&self, out: &mut String) -> std::fmt::Result {
        write!(
            out,
            "{},{},{},{},{},{},{},{}",
            self.email,
            self.sessions_7d,
            self.days_since_install,
            self.level_reached,
            self.ad_clicks,
            self.device_price,
            u8::from(self.channel_paid),
            u8::from(self.buys)
        )
    }

    /// The user's line in the partner's file, without a line end. Some users spelt themselves in capitals there.
    pub(super) fn write_partner_row(&self, out: &mut String) -> std::fmt::Result {
        let start = out.len();
        out.push_str(&self.email);
        if self.shouted
            && let Some(email) = out.get_mut(start..)
        {
            email.make_ascii_uppercase();
        }
        write!(
            out,
            ",{},{:.2},{},{},{},{:.4},{},{}",
            self.orders_90d,
            self.spend_90d,
            self.refunds,
            self.subscriptions,
            u8::from(self.card_premium),
            self.weekday_share,
            self.categories,
            self.months_active
        )
    }
}
