//! Workers of further replicas: the session opens and goes on without them.

use std::time::Instant;

use super::{Change, Phase, Slots, State};
use crate::schedule::SlotId;
use crate::schedule::event::Action;

/// Asks for a worker for a slot that has none, if the pool has one now.
pub(in crate::schedule) fn borrow<T>(
    slots: &mut Slots,
    now: Instant,
    slot: SlotId,
    actions: &mut Vec<Action<T>>,
) {
    if slots.is_empty(slot) {
        slots.begin_acquiring(now, slot);
        slots.slots[slot].is_borrowed = true;
        actions.push(Action::Borrow(slot));
    }
}

/// Whether the worker of a slot has made its nodes, and goes on.
pub(in crate::schedule) fn is_usable(slots: &Slots, slot: SlotId) -> bool {
    matches!(slots.slots[slot].state, State::Ready | State::Busy(..))
}

/// Asks for the workers of all further replicas, once the session is open.
pub(in crate::schedule) fn borrow_all<T>(
    slots: &mut Slots,
    now: Instant,
    actions: &mut Vec<Action<T>>,
) {
    for slot in 0..slots.slots.len() {
        if slots.slots[slot].is_borrowed {
            borrow(slots, now, slot, actions);
        }
    }
}

/// Tries another worker for a slot whose last one did not suit the session.
pub(super) fn try_another<T>(
    slots: &mut Slots,
    now: Instant,
    slot: SlotId,
    actions: &mut Vec<Action<T>>,
) -> Option<Change> {
    if slots.phase != Phase::Closing && slots.slots[slot].may_try_another() {
        slots.slots[slot].state = State::Empty;
        match slots.slots[slot].is_borrowed {
            true => borrow(slots, now, slot, actions),
            false => slots.acquire(now, vec![slot], actions),
        }
        return None;
    }
    slots.slots[slot].unsuited = 0;
    actions.push(Action::Unsuitable(slot));
    slots.give_up(slot)
}
