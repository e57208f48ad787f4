//! One worker slot, as a state machine.
//!
//! ```text
//! Empty -> Acquiring -> Held -> Opening -> Ready <-> Busy
//!   ^                              |         \         \
//!   |                              v          v         v
//!   +------- Dead <- Dying <-- (link ends, deadline)  Stopping -> Closing -> Closed
//! ```
//!
//! A call that was cut short goes from Busy over Stopping back to Ready.

use std::time::{Duration, Instant};

use crate::schedule::event::{Action, Overdue};
use crate::schedule::{SlotId, StageId, Times};

/// How many workers in a row a slot exchanges because they do not suit the session. After the next
/// such worker, the slot is given up.
const MAX_UNSUITED: u32 = 8;

/// A worker slot of the core.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) times: Times,
    /// While the session opens, the other slots wait for this one: if it fails, their plan changes.
    pub(super) opens_first: bool,
    /// Number of workers in a row that did not suit the session.
    pub(super) unsuited: u32,
    /// When its worker was last measured, or asked for; `None`: it has no limits that need it.
    pub(super) measured: Option<Instant>,
    /// Whether its worker stands by for that of another slot.
    pub(super) is_standby: bool,
    /// Whether no call needs its worker before it is ready: it serves another replica of a node.
    pub(super) is_borrowed: bool,
    /// Whether its last worker was given up because it took too long or too much.
    pub(super) was_overdue: bool,
    /// Whether its call was interrupted, for the sake of further calls.
    pub(super) was_cut_short: bool,
}

/// State of a slot, as in the diagram above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No worker, and none asked for.
    Empty,
    /// A worker was requested from the pool.
    Acquiring { until: Instant },
    /// The slot has a worker, whose nodes are not made yet: other slots may have to open first.
    Held,
    /// The worker makes its nodes.
    Opening(Watch),
    /// The nodes are ready; calls of its stages may be suspended.
    Ready,
    /// A call of this stage runs.
    Busy(StageId, Watch),
    /// Node code was interrupted: a call of this stage, or, when the session closes and without a
    /// stage, the making of the nodes. A worker that stands by is not interrupted.
    Stopping { until: Instant, stage: Option<StageId> },
    /// The nodes clean up.
    Closing(Watch),
    /// The connection of the worker has ended; its exit is awaited.
    Dying { until: Instant, is_killed: bool },
    /// A deadline has passed, or the wait for the worker's exit is over; the shell removes the worker.
    Dead,
    /// The session is closed in this slot.
    Closed,
}

/// The deadlines of node code that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watch {
    /// When the current step began: with the call, or after the call's last output.
    pub(super) began: Instant,
    /// When opening, closing, or the item of a call as a whole must be complete.
    pub(super) until: Option<Instant>,
    /// The earliest moment at which one of the nodes can be overdue.
    pub(super) check: Option<Instant>,
}

impl Watch {
    /// For node code that begins now. `first` is the shortest time-out among its nodes.
    pub(super) fn new(now: Instant, first: Option<Duration>, until: Option<Instant>) -> Self {
        Self { began: now, until, check: first.and_then(|first| now.checked_add(first)) }
    }

    /// Whether the deadline of the whole has passed.
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

    pub(super) fn is_acquiring(self) -> bool {
        matches!(self, Self::Acquiring { .. })
    }

    /// Whether the time for closing or stopping is over.
    pub(super) fn is_over(self, now: Instant) -> bool {
        match self {
            Self::Closing(watch) => watch.is_over(now),
            Self::Stopping { until, .. } => until <= now,
            _ => false,
        }
    }

    /// Whether messages of its worker no longer count.
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
    pub(super) fn new(opens_first: bool, times: Times) -> Self {
        Self {
            state: State::Empty,
            times,
            opens_first,
            unsuited: 0,
            measured: None,
            is_standby: false,
            is_borrowed: false,
            was_overdue: false,
            was_cut_short: false,
        }
    }

    /// Whether node code runs that the caller waits for.
    pub(super) fn works(&self) -> bool {
        let works =
            matches!(self.state, State::Opening(_) | State::Busy(..) | State::Stopping { .. });
        works && !self.is_extra()
    }

    /// Whether no caller waits for its worker.
    pub(super) fn is_extra(&self) -> bool {
        self.is_standby || self.is_borrowed
    }

    /// Whether it has closed the session, or does so without the caller.
    pub(super) fn is_left(&self) -> bool {
        let makes_nodes = matches!(self.state, State::Stopping { .. });
        self.state == State::Closed || self.is_extra() && makes_nodes
    }

    /// Waits for a worker. `is_watched`: the worker has limits that are measured.
    pub(super) fn acquire(&mut self, now: Instant, until: Instant, is_watched: bool) {
        self.state = State::Acquiring { until };
        self.measured = is_watched.then_some(now);
        (self.was_overdue, self.is_borrowed) = (false, false);
    }

    /// The earliest deadline of the slot.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.state.next_deadline().into_iter().chain(self.next_measurement()).min()
    }

    /// Its worker is given away, to be ended.
    pub(super) fn expire<T>(&mut self, id: SlotId, overdue: Overdue, actions: &mut Vec<Action<T>>) {
        self.state = State::Dead;
        self.was_overdue = true;
        actions.push(Action::Expire(id, overdue));
    }

    /// Its process has ended, or is not waited for any longer.
    pub(super) fn remove_dead<T>(&mut self, id: SlotId, actions: &mut Vec<Action<T>>) {
        self.state = State::Dead;
        actions.push(Action::RemoveDead(id));
    }

    /// Withdraws the request for its worker. Returns whether there was one.
    pub(super) fn withdraw<T>(&mut self, id: SlotId, actions: &mut Vec<Action<T>>) -> bool {
        let waits = matches!(self.state, State::Acquiring { .. });
        if waits {
            self.state = State::Empty;
            actions.push(Action::Withdraw(id));
        }
        waits
    }

    /// The session closes: node code is to end until then.
    pub(super) fn stop<T>(&mut self, id: SlotId, until: Instant, actions: &mut Vec<Action<T>>) {
        self.state = match self.state {
            State::Empty => State::Closed,
            State::Acquiring { .. } => {
                self.withdraw(id, actions);
                State::Closed
            }
            State::Held => {
                actions.push(Action::Release(id));
                State::Closed
            }
            State::Opening(_) => {
                // A worker that no caller waits for makes its nodes and stays warm: an import that is
                // interrupted would cost the worker.
                if !self.is_extra() {
                    actions.push(Action::Interrupt(id));
                }
                State::Stopping { until, stage: None }
            }
            State::Busy(stage, _) => {
                actions.push(Action::Interrupt(id));
                State::Stopping { until, stage: Some(stage) }
            }
            other => other,
        };
    }

    /// Counts a worker that does not suit the session. Returns whether another may be tried.
    pub(super) fn may_try_another(&mut self) -> bool {
        self.unsuited += 1;
        self.unsuited <= MAX_UNSUITED
    }
}
