//! When a worker with limits is measured: while its node code runs, at most every [`MEASURE_EVERY`]. A
//! slot without such limits has no deadline for it.

use std::time::{Duration, Instant};

use super::Home;
use super::slot::{Slot, State};
use crate::limits::Excess;
use crate::schedule::SlotId;
use crate::schedule::event::{Action, Deadline, Overdue};

/// Shortest time between two measurements of a worker.
pub(in crate::schedule) const MEASURE_EVERY: Duration = Duration::from_millis(100);

/// Whether a slot's worker has limits that are measured.
pub(super) fn is_watched(homes: &[Home], slot: SlotId) -> bool {
    homes.iter().any(|home| home.is_watched && home.slot == Some(slot))
}

/// The end of a worker that has exceeded a limit.
pub(super) fn overdue(excess: Excess) -> Overdue {
    Overdue { running: None, limit: Duration::ZERO, deadline: Deadline::Limit(excess) }
}

impl Slot {
    /// When the worker is to be measured next; `None` while no node code runs in it, and where no limit
    /// needs it.
    pub(super) fn next_measurement(&self) -> Option<Instant> {
        let measured = self.measured.filter(|_| self.runs())?;
        measured.checked_add(MEASURE_EVERY)
    }

    /// Asks for a measurement if one is due. Called when a deadline has passed, and when a call begins:
    /// calls that are shorter than the interval must not evade their limits.
    pub(super) fn measure<T>(&mut self, now: Instant, slot: SlotId, actions: &mut Vec<Action<T>>) {
        if self.next_measurement().is_some_and(|due| due <= now) {
            self.measured = Some(now);
            actions.push(Action::Measure(slot));
        }
    }

    /// Whether node code runs.
    pub(super) fn runs(&self) -> bool {
        matches!(
            self.state,
            State::Opening(_) | State::Busy(..) | State::Stopping { .. } | State::Closing(_)
        )
    }
}
