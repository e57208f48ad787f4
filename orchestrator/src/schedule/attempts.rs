//! The tries of a call, and the breaker of a node that keeps failing, as they stand.

use std::time::Instant;

use crate::model::{Breaker, Retry};

/// The tries of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// When the first try began, later by the time in which the call was suspended; `None` before it.
    began: Option<Instant>,
    /// Since when the call is suspended.
    suspended: Option<Instant>,
    /// Tries that failed at `node`.
    failures: u32,
    /// The node that failed last; `None`: the worker was lost.
    node: Option<usize>,
}

impl Tries {
    /// The first try begins now.
    pub(super) fn begin(now: Instant) -> Self {
        Self { began: Some(now), ..Self::default() }
    }

    /// The first try begins now, unless it has begun.
    pub(super) fn begin_unless_begun(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    /// When the first try began, later by the time in which the call was suspended.
    pub(super) fn began(self, now: Instant) -> Option<Instant> {
        self.began?.checked_add(now - self.suspended.unwrap_or(now))
    }

    /// The call is suspended: other stages hold it up, so the time does not count.
    pub(super) fn suspend(&mut self, now: Instant) {
        self.suspended = Some(now);
    }

    /// The call goes on.
    pub(super) fn resume(&mut self, now: Instant) {
        self.began = self.began(now);
        self.suspended = None;
    }

    /// Counts a failed try. Returns when the next one begins; `None` when there is none. No try begins
    /// at `due` or later.
    pub(super) fn fail(
        &mut self,
        now: Instant,
        node: Option<usize>,
        retry: Option<Retry>,
        due: Option<Instant>,
    ) -> Option<Instant> {
        if self.node != node {
            self.failures = 0;
            self.node = node;
        }
        self.failures += 1;
        let at = now.checked_add(retry?.delay_after(self.failures)?)?;
        due.is_none_or(|due| at < due).then_some(at)
    }

    /// Number of tries that failed at the node that failed last.
    pub(super) fn failures(self) -> u32 {
        self.failures
    }
}

/// The breaker of one stage as it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BreakerState {
    /// Failed items in a row.
    failures: u32,
    /// Until when items are skipped, once it has opened; the item after that is a trial.
    open_until: Option<Instant>,
}

impl BreakerState {
    /// Whether items are skipped now.
    #[must_use]
    pub fn is_open(self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// Counts a failed item. Returns whether the breaker opens.
    pub(super) fn fail(&mut self, now: Instant, breaker: Breaker) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= breaker.failures;
        if opens {
            self.open_until = now.checked_add(breaker.pause);
        }
        opens
    }

    /// Counts an item that succeeded. Returns whether the breaker closes with that.
    pub(super) fn succeed(&mut self) -> bool {
        std::mem::take(self).open_until.is_some()
    }
}
