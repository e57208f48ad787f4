//! New time limits for a session that is open, when the configuration has changed.

use std::time::{Duration, Instant};

use super::Slots;
use super::slot::{State, Watch};
use crate::schedule::Times;

/// The time limits of a session's slots and stages, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// Of each slot.
    pub slots: Vec<Times>,
    /// Of each stage: the time-outs of its nodes, and whether its worker has limits that are measured.
    pub stages: Vec<(Vec<Option<Duration>>, bool)>,
}

/// The limits count from now on, also for what is under way; only the wait for a worker goes on as it
/// was begun.
pub(super) fn retune(slots: &mut Slots, now: Instant, tuning: Tuning) {
    for (home, (timeouts, is_watched)) in slots.homes.iter_mut().zip(tuning.stages) {
        (home.timeouts, home.is_watched) = (timeouts, is_watched);
    }
    for (id, slot) in slots.slots.iter_mut().enumerate() {
        slot.times = tuning.slots.get(id).copied().unwrap_or(slot.times);
        if super::limits::is_watched(&slots.homes, id) {
            // A worker whose limits are gone is measured until its session ends, to no effect.
            slot.measured = slot.measured.or(Some(now));
        }
        match &mut slot.state {
            State::Opening(watch) => watch.retime(now, Some(slot.times.open_timeout)),
            State::Closing(watch) => watch.retime(now, Some(slot.times.close_timeout)),
            State::Busy(_, watch) => watch.retime(now, None),
            _ => {}
        }
    }
}

impl Watch {
    /// Has the running node looked at again at once, and gives the whole another time limit.
    fn retime(&mut self, now: Instant, whole: Option<Duration>) {
        self.check = Some(now);
        self.until = whole.map_or(self.until, |whole| self.began.checked_add(whole));
    }
}
