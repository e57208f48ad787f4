//! Whether a wait is worth staying awake for. To sleep and be woken costs more than a short wait;
//! a long one must cost nothing. Pure: it is fed with durations.
//!
//! A call with large arrays takes at least as long as they take to read, and a processor that sleeps
//! meanwhile slows that down (its caches hold a part of them), so their size is granted on top.

use std::time::Duration;

/// Learns from the waits of one session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spin {
    bound: Duration,
    last_wait: Duration,
    reading: Duration,
}

/// Twice the time that a processor takes to read an array and write another: some 10 GB a second.
const NS_PER_KIB: u64 = 200;
/// Most that is granted for the size of arrays.
const READING_MAX: Duration = Duration::from_millis(2);

impl Spin {
    /// With a bound of zero nothing is ever waited for awake.
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, last_wait: Duration::ZERO, reading: Duration::ZERO }
    }

    /// A message went out with so many bytes of arrays in shared memory.
    pub(super) fn sent(&mut self, shared_bytes: u64) {
        let reading = Duration::from_nanos((shared_bytes >> 10).saturating_mul(NS_PER_KIB));
        self.reading = reading.min(READING_MAX);
    }

    /// How long to stay awake in the next wait.
    pub(super) fn bound(&self) -> Duration {
        let granted = if self.bound.is_zero() { self.bound } else { self.bound + self.reading };
        if self.last_wait <= granted { granted } else { Duration::ZERO }
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
    fn arrays_are_waited_for_as_long_as_they_take_to_read() {
        let mut spin = Spin::new(BOUND);
        spin.sent(5 << 20);
        assert_eq!(spin.bound(), BOUND + Duration::from_micros(1024));
        spin.learn(Duration::from_micros(900));
        assert_eq!(spin.bound(), BOUND + Duration::from_micros(1024));
        spin.sent(0);
        assert_eq!(spin.bound(), Duration::ZERO, "the last wait was long for a small item");
        spin.sent(u64::MAX);
        assert_eq!(spin.bound(), BOUND + READING_MAX);
        spin.learn(Duration::from_millis(3));
        assert_eq!(spin.bound(), Duration::ZERO);
    }

    #[test]
    fn zero_is_off() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.sent(10 << 20);
        assert_eq!(spin.bound(), Duration::ZERO);
        spin.learn(Duration::ZERO);
        assert_eq!(spin.bound(), Duration::ZERO);
    }
}
