//! Whether a wait is worth staying awake for. To sleep and be woken costs more than a short wait;
//! a long one must cost nothing. Pure: it is fed with durations.

use std::time::Duration;

/// Learns from the waits of one session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spin {
    bound: Duration,
    last_wait: Duration,
}

impl Spin {
    /// With a bound of zero nothing is ever waited for awake.
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, last_wait: Duration::ZERO }
    }

    /// How long to stay awake in the next wait.
    pub(super) fn bound(&self) -> Duration {
        if self.last_wait <= self.bound { self.bound } else { Duration::ZERO }
    }

    /// A wait has ended after this time.
    pub(super) fn learn(&mut self, waited: Duration) {
        self.last_wait = waited;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_micros(50);

    #[test]
    fn stays_awake_while_waits_are_short() {
        let mut spin = Spin::new(BOUND);
        assert_eq!(spin.bound(), BOUND, "nothing is known before the first wait");
        spin.learn(BOUND);
        assert_eq!(spin.bound(), BOUND);
    }

    #[test]
    fn one_long_wait_ends_it_and_one_short_one_brings_it_back() {
        let mut spin = Spin::new(BOUND);
        spin.learn(BOUND + Duration::from_nanos(1));
        assert_eq!(spin.bound(), Duration::ZERO);
        spin.learn(Duration::from_micros(20));
        assert_eq!(spin.bound(), BOUND);
    }

    #[test]
    fn zero_is_off() {
        let mut spin = Spin::new(Duration::ZERO);
        assert_eq!(spin.bound(), Duration::ZERO);
        spin.learn(Duration::ZERO);
        assert_eq!(spin.bound(), Duration::ZERO);
    }
}
