//! Whether a wait for the other side is worth staying awake for. To sleep and be woken costs more than a
//! short wait; a long one must cost nothing. Both sides follow this one rule. Pure: the time is passed in.
//!
//! The prediction comes from what the other side reports of itself, which holds no time of wake-ups.
//! An end that learned from its own waits would, where wake-ups are slow, learn from its first sleep to
//! sleep for ever. A report is a hint from a process that is not trusted: it is worth at most the time
//! that went by, and one that waits awake without success stops for a while.
//!
//! A call with large arrays takes at least as long as they take to read, and a processor that sleeps
//! meanwhile slows that down (its caches hold a part of them), so their size is granted on top.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a sleep is taken to cost before one was measured.
const USUAL_COST: Duration = Duration::from_micros(50);
/// A sleep that seems to cost more was disturbed by something else.
const COST_MAX: Duration = Duration::from_micros(200);
/// Sleeps that are measured at first, instead of waits awake.
const FIRST_MEASURES: u32 = 4;
/// Waits awake between two later measures: what a sleep costs may have changed.
const MEASURE_EVERY: u32 = 1000;
/// Twice the time that a processor takes to read an array and write another: some 10 GB a second.
const NS_PER_KIB: u64 = 200;
/// Most that is granted for the size of arrays.
const READING_MAX: Duration = Duration::from_millis(2);
/// Waits without success in a row after which there is a pause.
const VAIN_MAX: u32 = 2;
/// Waits asleep in the longest pause after waits without success.
const PAUSE_MAX: u32 = 64;
/// Waits asleep in the shortest and the longest pause when others want the processor. To let them have it
/// costs as much as many sleeps.
const BUSY_PAUSES: (u32, u32) = (64, 1024);
/// A yield takes this much longer than the predicted wait only if the processor went to others.
const AWAY: Duration = Duration::from_micros(400);
/// A wait that begins so soon after the question shows what a sleep costs.
const AT_ONCE: Duration = Duration::from_micros(30);

/// Which end of a connection waits. They measure at different times: a sleep costs more while both do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that asks.
    Caller,
    /// The one that answers.
    Worker,
}

/// The rule at one end of a connection.
#[derive(Debug, Clone)]
pub struct Patience {
    bound: Duration,
    /// How long the other side worked the last time, by its own word.
    predicted: Option<Duration>,
    /// What a sleep costs on this host.
    cost: Duration,
    reading: Duration,
    /// Waits that are worth being awake for until the next measure, and measures that are left.
    until_measure: u32,
    measures: u32,
    vain: u32,
    /// Length of the last pause, and how much of one is left.
    pause: u32,
    paused: u32,
    given_up: u64,
    /// When the other side was last asked and last heard.
    asked: Option<Instant>,
    heard: Option<Instant>,
    wait: Wait,
}

/// The wait that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// It stays awake, so far.
    Awake,
    /// It was awake and has given up.
    GivenUp,
    /// It sleeps though the other side is awake, so it shows what a sleep costs.
    Measured,
    /// It sleeps, or there is none.
    Asleep,
}

impl Patience {
    /// With a bound of zero nothing is ever waited for awake.
    #[must_use]
    pub fn new(end: End, bound: Duration) -> Self {
        Self {
            bound,
            predicted: None,
            cost: USUAL_COST,
            reading: Duration::ZERO,
            until_measure: if end == End::Caller { 0 } else { FIRST_MEASURES },
            measures: FIRST_MEASURES,
            vain: 0,
            pause: 0,
            paused: 0,
            given_up: 0,
            asked: None,
            heard: None,
            wait: Wait::Asleep,
        }
    }

    /// Changes the longest wait that is spent awake.
    pub fn set_bound(&mut self, bound: Duration) {
        self.bound = bound;
    }

    /// What to tell the other side: how long it has been since its last message.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        self.heard.map_or(Report::ABSENT, |heard| now.saturating_duration_since(heard).into())
    }

    /// A message goes to the other side, and its answer is waited for. So many bytes of arrays in shared
    /// memory travel with one of the two.
    pub fn ask(&mut self, now: Instant, shared_bytes: u64) {
        self.asked = Some(now);
        let reading = Duration::from_nanos((shared_bytes >> 10).saturating_mul(NS_PER_KIB));
        self.reading = reading.min(READING_MAX);
        // It has been waiting for so long that it sleeps and has to be woken first.
        let must_wake =
            self.heard.is_none_or(|heard| now.saturating_duration_since(heard) > self.longest());
        let worth = self.cost + self.reading;
        self.wait = match self.predicted {
            Some(_) if must_wake => Wait::Asleep,
            _ if self.bound.is_zero() => Wait::Asleep,
            Some(predicted) if predicted <= worth => self.short_wait(),
            Some(_) => Wait::Measured,
            None => Wait::Asleep,
        };
    }

    fn longest(&self) -> Duration {
        self.bound + self.reading
    }

    /// How a wait begins that is worth being awake for.
    fn short_wait(&mut self) -> Wait {
        if self.paused > 0 {
            self.paused -= 1;
            return Wait::Asleep;
        }
        if self.until_measure > 0 {
            self.until_measure -= 1;
            return Wait::Awake;
        }
        self.measures -= 1;
        if self.measures == 0 {
            (self.until_measure, self.measures) = (MEASURE_EVERY, 1);
        }
        Wait::Measured
    }

    /// How much longer to stay awake; zero is to sleep.
    pub fn awake(&mut self, now: Instant) -> Duration {
        let since = self.asked.map_or(Duration::MAX, |asked| now.saturating_duration_since(asked));
        match self.wait {
            Wait::Awake if since < self.longest() => return self.longest() - since,
            Wait::Awake => self.give_up(),
            // This end did something else before it slept.
            Wait::Measured if since > AT_ONCE => self.wait = Wait::Asleep,
            _ => {}
        }
        Duration::ZERO
    }

    /// Whoever wanted the processor had it for so long while this end was awake. Once that is longer
    /// than the other side can have needed it, others do.
    pub fn yielded(&mut self, took: Duration) {
        if self.wait == Wait::Awake && took > self.predicted.unwrap_or_default() + self.cost + AWAY
        {
            self.rest(BUSY_PAUSES);
        }
    }

    fn give_up(&mut self) {
        self.wait = Wait::GivenUp;
        self.given_up += 1;
        self.vain += 1;
        if self.vain >= VAIN_MAX {
            self.rest((1, PAUSE_MAX));
        }
    }

    fn rest(&mut self, (shortest, longest): (u32, u32)) {
        self.pause = (self.pause * 2).clamp(shortest, longest);
        self.paused = self.pause;
        self.wait = Wait::GivenUp;
    }

    /// The answer came, with the other side's report of how long it worked.
    pub fn answered(&mut self, now: Instant, report: Report) {
        self.heard = Some(now);
        let Some(asked) = self.asked else { return };
        let waited = now.saturating_duration_since(asked);
        self.predicted = report.took().map(|took| took.min(waited));
        match (self.wait, self.predicted) {
            (Wait::Awake, _) => {
                self.vain = 0;
                // Slowly: on a busy machine some waits go well.
                self.pause = self.pause.saturating_sub(1);
            }
            (Wait::Measured, Some(predicted)) => {
                let cost = (waited - predicted).min(COST_MAX);
                self.cost = (self.cost * 3 + cost) / 4;
            }
            _ => {}
        }
        self.wait = Wait::Asleep;
    }

    /// Something else came than an answer.
    pub fn noticed(&mut self, now: Instant) {
        self.heard = Some(now);
        self.wait = Wait::Asleep;
    }

    /// Nothing is expected any more.
    pub fn forget(&mut self) {
        self.predicted = None;
    }

    /// Waits that were awake for as long as they may and got nothing.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }
}

/// How long a side took, as it tells the other: microseconds, at least one. A hint for the wait for the
/// next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report(u32);

impl Report {
    /// No report.
    pub const ABSENT: Self = Self(0);

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        *self == Self::ABSENT
    }

    /// What it says.
    #[must_use]
    pub fn took(self) -> Option<Duration> {
        (!self.is_absent()).then(|| Duration::from_micros(self.0.into()))
    }
}

impl From<Duration> for Report {
    fn from(took: Duration) -> Self {
        Self(u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1))
    }
}

#[cfg(test)]
mod tests;
