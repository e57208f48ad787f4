//! Decides whether to wait for the other side's message awake (by polling the socket) or asleep. A
//! sleep with its wake-up costs more than a short wait, and a long wait must not use the processor.
//! Both sides of a connection follow this rule. Pure: the time is passed in.
//!
//! The length of a wait is predicted from the working time that the other side reports, which
//! contains no wake-up. An end that used its own waits instead would, with slow wake-ups, sleep for
//! ever after its first sleep. The reporting process is not trusted: a report counts at most as the
//! time that has passed, and after waits awake without an answer the end sleeps for a while.
//!
//! A call with large arrays takes at least the time to read them, and reading is slower while the
//! caller's processor, whose caches hold a part of them, sleeps. So the wait awake may be longer by
//! an allowance for their size.
//!
//! No report is about what opens and closes a session. These waits are predicted from their own last
//! length, with a limit so far above the cost of a sleep that one that slept does not rule out the
//! next one.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Assumed cost of a sleep before one has been measured.
const USUAL_COST: Duration = Duration::from_micros(50);
/// A measured cost counts at most as this: a longer sleep had another cause.
const COST_MAX: Duration = Duration::from_micros(200);
/// Number of sleeps that are measured at first, in place of waits awake.
const FIRST_MEASURES: u32 = 4;
/// Waits awake between two later measurements, because the cost of a sleep may change.
const MEASURE_EVERY: u32 = 1000;
/// Allowance for arrays, in nanoseconds per KiB: twice the time in which a processor reads an array
/// and writes another, at about 10 GB/s.
const NS_PER_KIB: u64 = 200;
/// Largest allowance for arrays.
const READING_MAX: Duration = Duration::from_millis(2);
/// Number of successive waits awake without an answer after which a pause begins.
const VAIN_MAX: u32 = 2;
/// Longest pause after such waits, as a number of waits that sleep instead.
const PAUSE_MAX: u32 = 64;
/// Shortest and longest pause after other programs took the processor, as a number of waits that
/// sleep instead. Long, because losing the processor costs as much as many sleeps.
const BUSY_PAUSES: (u32, u32) = (64, 1024);
/// The same for turns, which are few.
const TURN_PAUSES: (u32, u32) = (4, 64);
/// A yield that lasts this much longer than the predicted wait shows that other programs took the
/// processor.
const AWAY: Duration = Duration::from_micros(400);
/// A wait that starts within this time of the request measures the full cost of a sleep.
const AT_ONCE: Duration = Duration::from_micros(30);

/// The two ends of a connection. They measure at different times, because a sleep costs more while
/// both ends sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The end that sends requests: the orchestrator.
    Caller,
    /// The end that answers them.
    Worker,
}

/// A wait that no report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The caller's for a session to be opened, or the worker's for its first call.
    Open,
    /// The caller's for a session to be closed.
    Close,
}

/// The waiting rule at one end of a connection, with its measurements.
#[derive(Debug, Clone)]
pub struct Patience {
    bound: Duration,
    /// Working time that the other side reported last; `None` without a report.
    predicted: Option<Duration>,
    /// Cost of a sleep on this host, as a running average of measurements.
    cost: Duration,
    reading: Duration,
    /// Short waits until the next measurement, and measurements that follow without a wait awake
    /// between them.
    until_measure: u32,
    measures: u32,
    vain: u32,
    pause: Pause,
    turn_pause: Pause,
    given_up: u64,
    /// Time of the last message to the other side, and of the last one from it.
    asked: Option<Instant>,
    heard: Option<Instant>,
    wait: Wait,
    /// The turn that the present wait is, and how long the last ones took.
    turn: Option<Turn>,
    turns: [Option<Duration>; 2],
    /// Whether the next wait is for the first call of a session.
    has_opened: bool,
}

/// A number of waits that sleep although they are short.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    /// Length of the last one, and the rest of the present one.
    length: u32,
    left: u32,
}

impl Pause {
    fn begin(&mut self, (shortest, longest): (u32, u32)) {
        self.length = (self.length * 2).clamp(shortest, longest);
        self.left = self.length;
    }

    /// Whether the next wait belongs to it.
    fn takes(&mut self) -> bool {
        let is_paused = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_paused
    }

    /// A wait awake has succeeded. The next pause is hardly shorter, because some waits succeed even on a
    /// busy machine.
    fn shrink(&mut self) {
        self.length = self.length.saturating_sub(1);
    }
}

/// How the present wait proceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The wait is still awake.
    Awake,
    /// The wait was awake to its limit and now sleeps.
    GivenUp,
    /// The wait sleeps while the other side is awake, so its length shows the cost of a sleep.
    Measured,
    /// The wait sleeps, or there is no wait.
    Asleep,
}

impl Patience {
    /// `bound` is the longest wait awake; with zero every wait sleeps.
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
            pause: Pause::default(),
            turn_pause: Pause::default(),
            given_up: 0,
            asked: None,
            heard: None,
            wait: Wait::Asleep,
            turn: None,
            turns: [None; 2],
            has_opened: false,
        }
    }

    /// Changes the longest wait awake.
    pub fn set_bound(&mut self, bound: Duration) {
        self.bound = bound;
    }

    /// Report for the other side: the time since its last message.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        self.heard.map_or(Report::ABSENT, |heard| now.saturating_duration_since(heard).into())
    }

    /// Records that a message was sent whose answer is now awaited. `shared_bytes`: size of the
    /// arrays in shared memory that the message or its answer carries.
    pub fn ask(&mut self, now: Instant, shared_bytes: u64) {
        if std::mem::take(&mut self.has_opened) {
            return self.ask_turn(now, Turn::Open);
        }
        self.turn = None;
        self.asked = Some(now);
        let reading = Duration::from_nanos((shared_bytes >> 10).saturating_mul(NS_PER_KIB));
        self.reading = reading.min(READING_MAX);
        // The other side has been waiting for so long that it sleeps and must be woken first.
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

    /// Records that a message was sent, and that no report will be about the time until its answer.
    pub fn ask_turn(&mut self, now: Instant, turn: Turn) {
        (self.asked, self.turn) = (Some(now), Some(turn));
        self.reading = self.bound;
        self.wait = match self.turns[turn as usize] {
            Some(last) if last < self.longest() && !self.turn_pause.takes() => Wait::Awake,
            _ => Wait::Asleep,
        };
    }

    /// Whether the end waits for the answer to `ask_turn`.
    #[must_use]
    pub fn is_turning(&self) -> bool {
        self.turn.is_some()
    }

    fn end_turn(&mut self, now: Instant) {
        let Some((turn, asked)) = self.turn.take().zip(self.asked) else { return };
        self.turns[turn as usize] = Some(now.saturating_duration_since(asked));
        if self.wait == Wait::Awake {
            self.turn_pause.shrink();
        }
    }

    fn longest(&self) -> Duration {
        self.bound + self.reading
    }

    /// Begins a wait that is predicted to cost less than a sleep.
    fn short_wait(&mut self) -> Wait {
        if self.pause.takes() {
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

    /// How much longer to wait awake; zero means to sleep.
    pub fn awake(&mut self, now: Instant) -> Duration {
        let since = self.asked.map_or(Duration::MAX, |asked| now.saturating_duration_since(asked));
        match self.wait {
            Wait::Awake if since < self.longest() => return self.longest() - since,
            Wait::Awake => self.give_up(),
            // This end did other work before it slept, so the wait does not measure a sleep.
            Wait::Measured if since > AT_ONCE => self.wait = Wait::Asleep,
            _ => {}
        }
        Duration::ZERO
    }

    /// Records how long a yield of the processor lasted during a wait awake. If that is longer than
    /// the other side can have needed it, other programs need it, and a pause begins.
    pub fn yielded(&mut self, took: Duration) {
        let expected = match self.turn {
            Some(turn) => self.turns[turn as usize],
            None => self.predicted,
        };
        if self.wait == Wait::Awake && took > expected.unwrap_or_default() + self.cost + AWAY {
            self.wait = Wait::GivenUp;
            match self.turn {
                Some(_) => self.turn_pause.begin(TURN_PAUSES),
                None => self.pause.begin(BUSY_PAUSES),
            }
        }
    }

    fn give_up(&mut self) {
        self.wait = Wait::GivenUp;
        self.given_up += 1;
        if self.turn.is_some() {
            return;
        }
        self.vain += 1;
        if self.vain >= VAIN_MAX {
            self.pause.begin((1, PAUSE_MAX));
        }
    }

    /// Records that the answer came, with the other side's report of how long it worked.
    pub fn answered(&mut self, now: Instant, report: Report) {
        self.heard = Some(now);
        self.end_turn(now);
        let Some(asked) = self.asked else { return };
        let waited = now.saturating_duration_since(asked);
        self.predicted = report.took().map(|took| took.min(waited));
        match (self.wait, self.predicted) {
            (Wait::Awake, _) => {
                self.vain = 0;
                self.pause.shrink();
            }
            (Wait::Measured, Some(predicted)) => {
                let cost = (waited - predicted).min(COST_MAX);
                self.cost = (self.cost * 3 + cost) / 4;
            }
            _ => {}
        }
        self.wait = Wait::Asleep;
    }

    /// Records a message that is not the answer to a call.
    pub fn noticed(&mut self, now: Instant) {
        self.heard = Some(now);
        self.end_turn(now);
        self.wait = Wait::Asleep;
    }

    /// Records a message that opens a session: what comes next is its first call.
    pub fn opened(&mut self, now: Instant) {
        self.noticed(now);
        self.has_opened = true;
    }

    /// Drops the prediction, so that the next wait sleeps.
    pub fn forget(&mut self) {
        self.predicted = None;
    }

    /// Number of waits that were awake to their limit without an answer.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }
}

/// Time that one side took for its message, as reported to the other, in microseconds; 0 means no
/// report. The other side predicts its next wait from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report(u32);

impl Report {
    /// The value that stands for no report.
    pub const ABSENT: Self = Self(0);

    /// Whether this is no report.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        *self == Self::ABSENT
    }

    /// The reported time; `None` for no report.
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
