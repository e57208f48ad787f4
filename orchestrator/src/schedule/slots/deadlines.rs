//! Deadlines for getting a worker, for node code and for a dying worker's exit. A node's time-out
//! counts from the moment its method was entered. That moment is read from the worker's flight
//! recorder, so the worker sends no message for it.

use std::time::{Duration, Instant};

use super::slot::State;
use super::{Change, Home, Slots};
use crate::schedule::event::{Action, Deadline, Overdue, Running};
use crate::schedule::{EXIT_GRACE, SlotId, Times};

impl Slots {
    pub(super) fn tick<T>(
        &mut self,
        now: Instant,
        actions: &mut Vec<Action<T>>,
        changes: &mut Vec<Change>,
    ) {
        for slot in 0..self.slots.len() {
            self.slots[slot].measure(now, slot, actions);
            let state = self.slots[slot].state;
            if state.next_deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            if let Some((limit, deadline)) = whole(state, now, self.slots[slot].times, &self.homes)
            {
                self.slots[slot].expire(slot, Overdue { running: None, limit, deadline }, actions);
                continue;
            }
            match state {
                State::Acquiring { .. } => {
                    actions.extend([Action::Withdraw(slot), Action::Unavailable(slot)]);
                    changes.extend(self.give_up(slot));
                }
                State::Opening(_) | State::Busy(..) | State::Closing(_) => {
                    look_again(self, now, slot, None);
                    actions.push(Action::Inspect(slot));
                }
                State::Dying { is_killed: false, .. } => {
                    let until = now + EXIT_GRACE;
                    self.slots[slot].state = State::Dying { until, is_killed: true };
                    actions.push(Action::Kill(slot));
                }
                State::Dying { is_killed: true, .. } => self.slots[slot].remove_dead(slot, actions),
                _ => {}
            }
        }
    }

    /// Expires the slot if the time of its running node is over; otherwise sets the next check.
    pub(super) fn check_running<T>(
        &mut self,
        now: Instant,
        slot: SlotId,
        running: Option<Running>,
        actions: &mut Vec<Action<T>>,
    ) {
        let state = self.slots[slot].state;
        let (began, running) = match state {
            State::Busy(stage, watch) => (watch.began, running.filter(|r| r.stage == stage)),
            State::Opening(watch) => (watch.began, running.filter(Running::is_timed_at_opening)),
            State::Closing(watch) => (watch.began, running),
            _ => return,
        };
        // For a method that was entered before this step, time counts from the step's beginning.
        let since = running.map_or(began, |running| running.since.clamp(began, now.max(began)));
        let limit = match (running, state) {
            (Some(running), _) => self.homes[running.stage].timeout(running.node),
            // No node is noted as running: the limit is the sum of all their time-outs.
            (None, State::Busy(stage, _)) => self.homes[stage].total_timeout(),
            (None, _) => None,
        };
        let due = limit.and_then(|limit| Some((limit, since.checked_add(limit)?)));
        match due {
            Some((limit, due)) if due <= now => {
                let overdue = Overdue { running, limit, deadline: Deadline::Node };
                self.slots[slot].expire(slot, overdue, actions);
            }
            due => look_again(self, now, slot, due.map(|(_, due)| due)),
        }
    }
}

/// Sets the next check: when the running node is due, or when one that is entered right now would be.
fn look_again(slots: &mut Slots, now: Instant, slot: SlotId, due: Option<Instant>) {
    let first = match slots.slots[slot].state {
        State::Busy(stage, _) => slots.homes[stage].first_timeout(),
        _ => first_timeout(&slots.homes, slot),
    };
    if let Some(watch) = slots.slots[slot].state.watch_mut() {
        let soonest = first.and_then(|first| now.checked_add(first));
        watch.check = soonest.into_iter().chain(due).min();
    }
}

/// The shortest time-out of a slot's nodes.
pub(super) fn first_timeout(homes: &[Home], slot: SlotId) -> Option<Duration> {
    let here = homes.iter().filter(|home| home.slot == Some(slot));
    here.filter_map(Home::first_timeout).min()
}

/// The deadline of the slot's whole task, if it has passed: opening, an item, or closing.
fn whole(state: State, now: Instant, times: Times, homes: &[Home]) -> Option<(Duration, Deadline)> {
    match state {
        State::Opening(watch) if watch.is_over(now) => Some((times.open_timeout, Deadline::Open)),
        State::Busy(stage, watch) if watch.is_over(now) => {
            Some((homes[stage].deadline.unwrap_or_default(), Deadline::Item))
        }
        State::Closing(_) | State::Stopping { .. } if state.is_over(now) => {
            Some((times.close_timeout, Deadline::Close))
        }
        _ => None,
    }
}

impl Home {
    fn timeout(&self, node: usize) -> Option<Duration> {
        self.timeouts.get(node).copied().flatten()
    }

    /// The shortest time-out of the stage's nodes.
    pub(super) fn first_timeout(&self) -> Option<Duration> {
        self.timeouts.iter().copied().flatten().min()
    }

    /// The sum of all nodes' time-outs; `None` when one has none.
    fn total_timeout(&self) -> Option<Duration> {
        self.timeouts.iter().copied().sum()
    }
}
