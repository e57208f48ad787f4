//! When a worker with limits is measured: while its node code runs, at most every [`MEASURE_EVERY`]. A
//! slot without such limits has no deadline for it.

use std::time::{Duration, Instant};

use super::Slots;
use super::slot::State;
use crate::limits::Excess;
use crate::schedule::SlotId;
use crate::schedule::event::{Action, Deadline, Overdue};

/// Shortest time between two measurements of a worker.
pub(in crate::schedule) const MEASURE_EVERY: Duration = Duration::from_millis(100);

impl Slots {
    /// When the slot's worker is to be measured next; `None` while no node code runs in it, and where
    /// no limit needs it.
    pub(super) fn next_measurement(&self, slot: SlotId) -> Option<Instant> {
        let measured = self.slots[slot].measured.filter(|_| self.is_watched(slot))?;
        measured.checked_add(MEASURE_EVERY)
    }

    /// Called when node code begins to run. Measures the worker if it has not been for a while: calls
    /// that are shorter than the interval must not evade their limits.
    pub(super) fn watch<T>(&mut self, now: Instant, slot: SlotId, actions: &mut Vec<Action<T>>) {
        if self.slots[slot].measured.is_none() {
            self.slots[slot].measured = Some(now);
        }
        self.measure_if_due(now, slot, actions);
    }

    pub(super) fn measure_if_due<T>(
        &mut self,
        now: Instant,
        slot: SlotId,
        actions: &mut Vec<Action<T>>,
    ) {
        if self.next_measurement(slot).is_some_and(|due| due <= now) {
            self.slots[slot].measured = Some(now);
            actions.push(Action::Measure(slot));
        }
    }

    /// Ends the worker of a slot that has exceeded a limit.
    pub(super) fn end_excess<T>(
        &mut self,
        now: Instant,
        slot: SlotId,
        excess: Excess,
        actions: &mut Vec<Action<T>>,
    ) {
        if self.runs(slot) {
            let deadline = Deadline::Limit(excess);
            let overdue = Overdue { running: None, limit: Duration::ZERO, deadline };
            self.expire(now, slot, overdue, actions);
        }
    }

    fn is_watched(&self, slot: SlotId) -> bool {
        let is_here = |home: &super::Home| home.is_watched && home.slot == Some(slot);
        self.runs(slot) && self.homes.iter().any(is_here)
    }

    /// Whether node code runs in the slot.
    fn runs(&self, slot: SlotId) -> bool {
        matches!(
            self.slots[slot].state,
            State::Opening(_) | State::Busy(..) | State::Stopping { .. } | State::Closing(_)
        )
    }
}
