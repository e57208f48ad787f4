//! One worker slot, as a state machine.
//!
//! ```text
//! Empty -> Acquiring -> Held -> Opening -> Ready <-> Busy
//!   ^                              |         \         \
//!   |                              v          v         v
//!   +------- Dead <- Dying <-- (link ends, deadline)  Stopping -> Closing -> Closed
//! ```

use std::time::{Duration, Instant};

use crate::schedule::StageId;

/// Workers that turned out not to suit a slot before it is given up.
const MAX_UNSUITED: u32 = 8;

/// A slot.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    /// While the session opens, the others wait for it: a failure here changes their plan.
    pub(super) opens_first: bool,
    /// Number of workers in a row that did not suit.
    pub(super) unsuited: u32,
}

/// Where a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No worker, and none asked for.
    Empty,
    /// Waiting for the pool.
    Acquiring { until: Instant },
    /// It has a worker, which must wait for other slots to open first.
    Held,
    /// The worker makes its nodes.
    Opening(Watch),
    /// The nodes are ready; calls of its stages may be suspended.
    Ready,
    /// A call of this stage runs.
    Busy(StageId, Watch),
    /// The session closes, and what ran was interrupted: a call of this stage, or the making of the
    /// nodes.
    Stopping { until: Instant, stage: Option<StageId> },
    /// The nodes clean up.
    Closing(Watch),
    /// The worker was killed or its connection has ended; its exit is awaited.
    Dying { until: Instant, is_killed: bool },
    /// The shell removes the worker.
    Dead,
    /// The session is over here.
    Closed,
}

/// The deadlines of node code that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watch {
    /// When the step began: the call, or the last output.
    pub(super) began: Instant,
    /// When all of it must be complete.
    pub(super) until: Option<Instant>,
    /// When the first of its nodes can be overdue.
    pub(super) check: Option<Instant>,
}

impl Watch {
    /// Node code that begins now. `first` is the shortest time-out among its nodes.
    pub(super) fn new(now: Instant, first: Option<Duration>, until: Option<Instant>) -> Self {
        Self { began: now, until, check: first.and_then(|first| now.checked_add(first)) }
    }

    /// Whether all of it together has taken too long.
    pub(super) fn is_over(self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn next(self) -> Option<Instant> {
        self.until.into_iter().chain(self.check).min()
    }
}

impl State {
    pub(super) fn next_deadline(self) -> Option<Instant> {
        match self {
            Self::Acquiring { until }
            | Self::Stopping { until, .. }
            | Self::Dying { until, .. } => Some(until),
            Self::Opening(watch) | Self::Busy(_, watch) | Self::Closing(watch) => watch.next(),
            Self::Empty | Self::Held | Self::Ready | Self::Dead | Self::Closed => None,
        }
    }

    /// Messages of its worker do not count any more.
    pub(super) fn is_dying(self) -> bool {
        matches!(self, Self::Dying { .. } | Self::Dead)
    }

    /// Whether it has a usable worker.
    pub(super) fn has_worker(self) -> bool {
        matches!(
            self,
            Self::Held
                | Self::Opening(_)
                | Self::Ready
                | Self::Busy(..)
                | Self::Stopping { .. }
                | Self::Closing(_)
        )
    }

    /// Whether an event is certain to come: an answer, an exit, or a deadline.
    pub(super) fn is_under_way(self) -> bool {
        !matches!(self, Self::Empty | Self::Ready | Self::Closed)
    }

    pub(super) fn watch_mut(&mut self) -> Option<&mut Watch> {
        match self {
            Self::Opening(watch) | Self::Busy(_, watch) | Self::Closing(watch) => Some(watch),
            _ => None,
        }
    }
}

impl Slot {
    pub(super) fn new(opens_first: bool) -> Self {
        Self { state: State::Empty, opens_first, unsuited: 0 }
    }

    /// Counts a worker that did not suit. Returns whether another may be tried.
    pub(super) fn may_try_another(&mut self) -> bool {
        self.unsuited += 1;
        self.unsuited <= MAX_UNSUITED
    }
}
