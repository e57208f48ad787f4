//! Running calls that are interrupted because their results are no longer wanted, while the session
//! goes on.

use std::time::Instant;

use super::Slots;
use super::slot::{Slot, State};
use crate::schedule::event::Action;
use crate::schedule::{SlotId, StageId};

/// How a worker was lost.
#[derive(Debug, Clone, Copy)]
pub(in crate::schedule) struct Loss {
    /// It took too long or too much.
    pub(in crate::schedule) is_overdue: bool,
    /// A call in it had been interrupted, for the sake of further calls.
    pub(in crate::schedule) was_cut_short: bool,
}

impl Slots {
    /// Interrupts the running calls of stages that `is_dropped` names.
    pub(in crate::schedule) fn cut_short<T>(
        &mut self,
        now: Instant,
        is_dropped: impl Fn(StageId) -> bool,
        actions: &mut Vec<Action<T>>,
    ) {
        let cut = |(id, slot): (SlotId, &mut Slot)| {
            slot.cut_short(id, &is_dropped, now + slot.times.close_timeout)
        };
        actions.extend(self.slots.iter_mut().enumerate().filter_map(cut));
    }
}

impl Slot {
    /// How its worker was lost; `None` for one that no caller waited for.
    pub(super) fn take_loss(&mut self) -> Option<Loss> {
        let was_cut_short = std::mem::take(&mut self.was_cut_short);
        (!self.is_extra()).then_some(Loss { is_overdue: self.was_overdue, was_cut_short })
    }

    /// Interrupts the call that runs, if it is dropped.
    fn cut_short<T>(
        &mut self,
        id: SlotId,
        is_dropped: impl Fn(StageId) -> bool,
        until: Instant,
    ) -> Option<Action<T>> {
        let State::Busy(stage, _) = self.state else { return None };
        is_dropped(stage).then(|| {
            self.state = State::Stopping { until, stage: Some(stage) };
            self.was_cut_short = true;
            Action::CutShort(id, stage)
        })
    }
}
