//! When a task that has raised is called again. Pure.

use serde::{Deserialize, Serialize};

/// How often, for which exceptions and after which pauses a task is called again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often it is called again.
    pub retries: u32,
    /// Names of the classes of exceptions after which it is; empty: all.
    pub on: Vec<String>,
    /// How the pauses grow.
    pub backoff: Backoff,
    /// The first pause, in milliseconds.
    pub delay_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_delay_ms: u64,
    /// The part of a pause by which it may be shorter or longer, from 0 to 1.
    pub jitter: f64,
}

/// How the pauses between attempts grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// All are the same.
    Fixed,
    /// The n-th is n times the first.
    Linear,
    /// Each is twice the one before.
    #[default]
    Exponential,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            retries: 0,
            on: Vec::new(),
            backoff: Backoff::Exponential,
            delay_ms: 1000,
            max_delay_ms: 3_600_000,
            jitter: 0.0,
        }
    }
}

impl Retry {
    /// Whether an exception with these classes (its own and its bases) may be followed by another
    /// attempt.
    #[must_use]
    pub fn covers(&self, classes: &[String]) -> bool {
        self.on.is_empty() || self.on.iter().any(|name| classes.contains(name))
    }

    /// The pause before retry number `n`, from 1 on, in milliseconds. `seed` decides the jitter: the
    /// same seed gives the same pause.
    #[must_use]
    pub fn pause_ms(&self, n: u32, seed: u64) -> u64 {
        let factor = match self.backoff {
            Backoff::Fixed => 1,
            Backoff::Linear => u64::from(n.max(1)),
            Backoff::Exponential => 1_u64.checked_shl(n.max(1) - 1).unwrap_or(u64::MAX),
        };
        let pause = self.delay_ms.saturating_mul(factor).min(self.max_delay_ms);
        // A step of splitmix64 spreads the seed over all bits.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let thousandths = i64::try_from((mixed >> 33) % 2001).unwrap_or(0) - 1000;
        #[expect(clippy::cast_possible_truncation, reason = "jitter is at most 1")]
        let jitter = (self.jitter.clamp(0.0, 1.0) * 1000.0) as i64;
        let change = i128::from(pause) * i128::from(thousandths * jitter) / 1_000_000;
        u64::try_from(i128::from(pause) + change).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(retry: &Retry) -> Vec<u64> {
        (1..=5).map(|n| retry.pause_ms(n, 7)).collect()
    }

    #[test]
    fn pauses_grow_as_asked_for() {
        // spec: CLO-09
        let retry = Retry { delay_ms: 100, max_delay_ms: 450, ..Retry::default() };
        assert_eq!(pauses(&retry), [100, 200, 400, 450, 450]);
        assert_eq!(pauses(&Retry { backoff: Backoff::Fixed, ..retry.clone() }), [100; 5]);
        let linear = Retry { backoff: Backoff::Linear, ..retry };
        assert_eq!(pauses(&linear), [100, 200, 300, 400, 450]);
        let long = Retry { delay_ms: u64::MAX, max_delay_ms: u64::MAX, ..Retry::default() };
        assert_eq!(long.pause_ms(200, 0), u64::MAX);
    }

    #[test]
    fn jitter_stays_within_its_part_and_differs_between_seeds() {
        let retry = Retry { delay_ms: 1000, jitter: 0.25, ..Retry::default() };
        let pauses: Vec<u64> = (0..200).map(|seed| retry.pause_ms(1, seed)).collect();
        assert!(pauses.iter().all(|pause| (750..=1250).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause < 850), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause > 1150), "{pauses:?}");
    }

    #[test]
    fn only_the_named_classes_are_covered() {
        let retry = Retry { on: vec!["builtins.OSError".into()], ..Retry::default() };
        let classes = ["builtins.ConnectionError".to_owned(), "builtins.OSError".to_owned()];
        assert!(retry.covers(&classes));
        assert!(!retry.covers(&["builtins.ValueError".to_owned()]));
        assert!(Retry::default().covers(&classes));
    }
}
