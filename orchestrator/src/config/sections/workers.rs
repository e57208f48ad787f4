//! `[workers]`, and the bounds of a pool, which stand in `[rustpython]` too.

use std::time::Duration;

use crate::config::declare::settings;
use crate::config::kinds::{DAY, Flag, MILLISECOND, YEAR, auto, count, off, or_zero, size, time};
use crate::config::processors;

/// Lower bound of `max = "auto"`: on a machine with one or two processors, the branches of a graph or
/// a few pipelines at once must not wait for each other's workers.
const AUTO_MIN_WORKERS: usize = 4;

settings! {
    /// How many workers of one pool there are, and how long they live.
    pub struct PoolBounds {
        /// Workers that are kept even when idle, once the pool has been used.
        min: usize = 0, count(0..=1024), Now;
        /// Most workers at one time. A session that needs more than are free waits; a graph wider than
        /// this shares workers between branches. "auto" is the number of processors, but at least 4, so
        /// that small machines can still run branches side by side.
        max: Option<usize> = None, auto(1..=1024), Now;
        /// A worker is replaced after this many sessions.
        max_sessions: Option<u64> = None, off(count(1..=u64::from(u32::MAX)), "never"), Now;
        /// A worker that has served this many calls is replaced after a session.
        recycle_after_calls: Option<u64> = None,
            off(count(1..=u64::from(u32::MAX)), "never"), Now;
        /// A worker whose resident memory is above this after a session is replaced.
        recycle_above_memory: Option<u64> = None, off(size(1 << 20..=1 << 50), "off"), Now;
        /// A worker whose resident memory has grown by more than this since the end of its first
        /// session is replaced after a session.
        recycle_above_growth: Option<u64> = None, off(size(1 << 20..=1 << 50), "off"), Now;
        /// An idle worker above `min` ends after this time.
        idle_timeout: Option<Duration> = Some(Duration::from_secs(300)),
            off(time(MILLISECOND..=YEAR), "never"), Now;
    }
}

settings! {
    /// How workers start and end, and how long that may take.
    pub struct WorkersConfig {
        /// Whether CPython workers after the first are forked, in milliseconds, from a process that has
        /// imported numpy and what sessions load from installed packages. false starts each on its own.
        zygote: bool = true, Flag, Now;
        /// A worker that has not completed its handshake in this time is killed and the session fails.
        start_timeout: Duration = Duration::from_secs(30), time(MILLISECOND..=DAY), Now;
        /// Time for making the nodes of a session in one worker, from when the session gets the worker:
        /// imports, constructors and `initialize`. A worker that takes longer is killed and the session
        /// fails.
        open_timeout: Duration = Duration::from_secs(60), time(MILLISECOND..=YEAR), Now;
        /// Time for the `cleanup` of a session's nodes in one worker, and for a call that was interrupted
        /// to end; a worker that takes longer is killed.
        close_timeout: Duration = Duration::from_secs(5), time(MILLISECOND..=DAY), Now;
        /// A session that has not got its workers in this time fails.
        acquire_timeout: Duration = Duration::from_secs(60), time(MILLISECOND..=YEAR), Now;
        /// How long the error about a missed deadline may wait for the Python stacks of the worker.
        stack_grace: Duration = Duration::from_millis(5),
            or_zero(time(MILLISECOND..=DAY), "no stacks"), Now;
        /// A worker that missed a deadline is replaced at once, and its node code is interrupted. If it
        /// has not ended after this time, it gets SIGTERM, and after as long again, but 250 ms at most,
        /// SIGKILL.
        stop_grace: Duration = Duration::from_millis(250),
            or_zero(time(MILLISECOND..=DAY), "at once"), Now;
    }
}

impl PoolBounds {
    /// Most workers at one time: the configured number, or the number of processors this process
    /// may use, but at least four.
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.max.unwrap_or_else(|| processors().max(AUTO_MIN_WORKERS))
    }
}
