//! `[calls]`: how long nodes may take, what waits for them, and what follows when they fail.

use std::time::Duration;

use crate::config::declare::settings;
use crate::config::kinds::{Choice, DAY, MILLISECOND, YEAR, count, list, off, or_zero, time};
use crate::model::{FailingDefaults, OnOpen, Retry, RetryMode};

const RETRY: Choice<RetryMode> =
    Choice { words: &RetryMode::WORDS, parse: RetryMode::parse, word: |mode| mode.word() };
const ON_OPEN: Choice<OnOpen> =
    Choice { words: &OnOpen::WORDS, parse: OnOpen::parse, word: |answer| answer.word() };

settings! {
    /// Calls of nodes: time, buffering, waiting, and failures.
    pub struct CallsConfig {
        /// Longest time a node may take between two outputs, for nodes without `timeout_ms`. A worker that
        /// exceeds it is killed and replaced.
        timeout: Option<Duration> = None, off(time(MILLISECOND..=YEAR), "no limit"), Now;
        /// Outputs of one stage in flight; a generator that is further ahead of its consumer is suspended.
        window: u32 = 64, count(1..=65_536), Sessions;
        /// Items that may wait on one edge of the graph before its producer is held back.
        queue: usize = 64, count(1..=65_536), Sessions;
        /// The longest that caller or worker wait awake for each other. They do where the wait is likely to
        /// be shorter than it costs here to sleep and be woken; each tells the other how long it took.
        /// Arrays in shared memory add the time it takes to read them, at most 2 ms. A wait yields the
        /// processor to threads that want it, and sleeps where more calls wait than there are processors.
        spin: Duration = MILLISECOND,
            or_zero(time(Duration::from_micros(1)..=MILLISECOND), "off"), Workers;
        /// When a failed call is tried again, for nodes without `retry`. "auto": errors that may pass by
        /// themselves (ConnectionError, TimeoutError, InterruptedError, BlockingIOError,
        /// remotemedia.TransientError and types derived from them), in runs and not in open sessions. true:
        /// in sessions too; and after a deadline or the death of a worker, where all nodes of the worker are
        /// `stateless`. false: never.
        retry: RetryMode = RetryMode::Auto, RETRY, Sessions;
        /// Most further tries of a call.
        retries: u32 = 3, count(0..=1000), Sessions;
        /// Wait before the second try; it doubles with each further one.
        retry_delay: Duration = Duration::from_millis(100),
            or_zero(time(MILLISECOND..=DAY), "at once"), Sessions;
        /// Further types of exceptions that may pass by themselves, by bare or qualified name, such as
        /// "requests.exceptions.ConnectionError". Added to the `retry_on` of nodes.
        retry_on: Vec<String> = Vec::new(), list(), Sessions;
        /// Longest time for an item in one node with all its tries, for nodes without `deadline_ms`. A node
        /// with a deadline is a stage of its own.
        deadline: Option<Duration> = None, off(time(MILLISECOND..=YEAR), "no limit"), Sessions;
        /// Failed items in a row after which a node is skipped, for nodes without `breaker`. A node with a
        /// breaker is a stage of its own.
        breaker: u32 = 0, or_zero(count(1..=1_000_000), "never"), Sessions;
        /// How long a node is skipped; then one item is tried. If it fails, the node is skipped for as long
        /// again.
        breaker_pause: Duration = Duration::from_secs(30), time(MILLISECOND..=DAY), Sessions;
        /// What happens to the items of a skipped node, for nodes without `on_open`: "error", one error with
        /// the first five causes; "drop", the node gives nothing for them; "pass", they are passed on as its
        /// outputs.
        on_open: OnOpen = OnOpen::Error, ON_OPEN, Sessions;
        /// Items after which the state of nodes with `checkpoint` and `restore` is saved, for nodes without
        /// `checkpoint_every`. The items since then are kept, and are repeated in a fresh worker when theirs
        /// dies.
        checkpoint_every: u32 = 16, count(1..=1_000_000), Sessions;
        /// Number of further workers that stand by with the last checkpoint of such nodes, for nodes without
        /// `standby`. One that stands by takes over when the worker dies. It counts for `max`.
        standby: u32 = 0, count(0..=1), Sessions;
    }
}

impl CallsConfig {
    /// What happens when nodes fail that do not say it themselves.
    #[must_use]
    pub fn failing(&self) -> FailingDefaults {
        FailingDefaults {
            retry: self.retry,
            tries: Retry { limit: self.retries, delay: self.retry_delay },
            retry_on: self.retry_on.clone(),
            deadline: self.deadline,
            breaker: self.breaker,
            breaker_pause: self.breaker_pause,
            on_open: self.on_open,
            checkpoint_every: self.checkpoint_every,
            standby: self.standby,
        }
    }
}
