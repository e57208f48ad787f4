//! Begins every call that can begin, and goes on with those that can go on.

use std::time::Instant;

use super::StageId;
use super::event::{Action, Blame};
use super::flow::Flow;
use super::saves::Saves;
use super::slots::{Slots, borrow, is_usable};
use super::stage::{Call, Work};
use crate::placement::Part;

/// One step of the session core after an event.
pub(super) struct Advance<'a, T> {
    pub(super) flow: &'a mut Flow<T>,
    pub(super) slots: &'a mut Slots,
    pub(super) saves: &'a Saves<T>,
    pub(super) actions: &'a mut Vec<Action<T>>,
    pub(super) now: Instant,
}

impl<T: Clone> Advance<'_, T> {
    /// Advances all stages, those furthest downstream first: queues stay short, and of stages that share a
    /// worker, the later ones consume what the earlier ones have produced.
    pub(super) fn all(mut self) {
        loop {
            let mut moved = false;
            for id in (0..self.flow.stages.len()).rev() {
                moved |= match self.flow.stages[id].shape.part {
                    Part::Whole => self.stage(id),
                    Part::First { .. } => self.replicas(id),
                    Part::Further { .. } => false,
                };
            }
            if !moved {
                return;
            }
        }
    }

    /// Passes on what the replicas of a node have given, and gives the free ones their next items.
    fn replicas(&mut self, first: StageId) -> bool {
        let mut moved = self.flow.pass_in_order(first, self.actions);
        let members = self.flow.gate(first).map(|gate| gate.members().to_vec()).unwrap_or_default();
        for member in &members {
            moved |= self.stage(*member);
        }
        self.begin_replica(first, &members) || moved
    }

    fn stage(&mut self, id: StageId) -> bool {
        let has_told = self.flow.tell_held(id, self.actions);
        let is_held = self.flow.is_held(id);
        let stage = &self.flow.stages[id];
        if !is_held && stage.is_too_late(self.now) && !stage.is_skipping() {
            self.give_up_try(id);
        }
        let moved = match self.flow.stages[id].call {
            _ if is_held => false,
            Call::Running { .. } | Call::Ending => false,
            Call::Suspended => self.resume(id),
            Call::Over => {
                let ends = self.take(id);
                if ends {
                    self.flow.stages[id].abort();
                    self.actions.push(Action::Abort(id));
                }
                ends
            }
            Call::Kept { at, .. } => {
                let is_skipping = self.flow.stages[id].is_skipping();
                if (self.now < at && !is_skipping) || !self.take(id) {
                    return has_told;
                }
                if is_skipping {
                    self.flow.stages[id].abort();
                    self.actions.push(Action::Abort(id));
                } else {
                    self.flow.stages[id].retry();
                    self.actions.push(Action::Retry(id));
                }
                true
            }
            Call::None => self.begin(id),
        };
        moved || has_told
    }

    /// Begins the next call of a stage. For one of several replicas that is only a call that is repeated.
    fn begin(&mut self, id: StageId) -> bool {
        let moved = self.flow.pass_marks(id, self.actions);
        let slot = self.slots.slot_of(id);
        let repeated = slot.and_then(|slot| Some((slot, self.saves.next_repeated(slot)?)));
        if let Some((slot, first)) = repeated {
            let begins = first == id && self.take(id);
            if begins {
                self.saves.repeat(slot, self.flow, self.actions);
            }
            return begins || moved;
        }
        if !self.flow.stages[id].has_work(self.now) || self.flow.is_blocked_below(id) {
            return moved;
        }
        if self.flow.stages[id].breaker.is_open(self.now) {
            self.flow.skip(self.now, id, self.actions);
            return true;
        }
        if !self.take(id) {
            return moved;
        }
        if let Some(work) = self.flow.stages[id].next_work(self.now) {
            self.actions.push(Action::Call { stage: id, work });
        } else {
            self.slots.free(id);
            self.flow.tell_uneven(id, self.actions);
        }
        true
    }

    /// Gives the next item to the first replica that is free, or the flush to all of them.
    fn begin_replica(&mut self, first: StageId, members: &[StageId]) -> bool {
        if self.flow.is_blocked_below(first) || !self.flow.reader_mut(first).has_work(self.now) {
            return false;
        }
        if self.flow.reader(first).breaker.is_open(self.now) {
            self.flow.skip(self.now, first, self.actions);
            return true;
        }
        let Some(gate) = self.flow.gate(first).filter(|gate| gate.has_room()) else { return false };
        let slots = &self.slots;
        let is_ready = |id: &StageId| slots.slot_of(*id).is_some_and(|slot| slots.is_ready(slot));
        let free: Vec<StageId> =
            members.iter().copied().filter(|id| gate.is_free(*id) && is_ready(id)).collect();
        let Some(next) = free.first().copied() else { return self.ask_for_workers(first, members) };
        match self.flow.reader_mut(first).next_work(self.now) {
            None => self.flow.tell_uneven(first, self.actions),
            Some(Work::Flush) => free.iter().for_each(|id| self.assign(*id, Work::Flush)),
            Some(work) => self.assign(next, work),
        }
        self.flow.reader_mut(first).end_call();
        true
    }

    fn assign(&mut self, member: StageId, work: Work<T>) {
        let Some(gate) = self.flow.gate_mut(member) else { return };
        let round = gate.begin(member);
        self.flow.stages[member].assign(self.now, round, &work);
        self.take(member);
        self.actions.push(Action::Call { stage: member, work });
    }

    /// No replica is free. One is needed; others get a worker if the pool has one now.
    fn ask_for_workers(&mut self, first: StageId, members: &[StageId]) -> bool {
        let slots: Vec<_> = members.iter().filter_map(|id| self.slots.slot_of(*id)).collect();
        if slots.iter().all(|slot| self.slots.is_empty(*slot)) {
            return self.take(first);
        }
        let Some(gate) = self.flow.gate_mut(first) else { return false };
        let is_served = slots.iter().any(|slot| self.slots.hears(*slot));
        let is_short = slots.iter().any(|slot| self.slots.is_empty(*slot));
        if slots.iter().all(|slot| is_usable(self.slots, *slot)) {
            gate.note_complete();
        } else if is_served && is_short && gate.may_ask() {
            slots.into_iter().for_each(|slot| borrow(self.slots, self.now, slot, self.actions));
        }
        false
    }

    /// Goes on with the suspended call of a stage.
    fn resume(&mut self, id: StageId) -> bool {
        // The outputs of a repeated call go nowhere, and stages below wait for its end.
        let is_repeating = self.flow.stages[id].is_repeating();
        let is_skipping = self.flow.stages[id].is_skipping();
        let waits = self.flow.gate(id).is_some_and(|gate| !gate.is_next(id)) && !is_skipping;
        let is_blocked = self.flow.is_blocked_below(id) && !is_repeating;
        if is_blocked || waits || !self.take(id) {
            return false;
        }
        // A call of a skipped round is ended: an endless one would hold the slot for ever.
        let stage = &mut self.flow.stages[id];
        if is_skipping && !is_repeating {
            stage.abort();
            self.actions.push(Action::Abort(id));
        } else {
            stage.resume(self.now);
            self.actions.push(Action::Credit(id));
        }
        true
    }

    /// Takes the slot of a stage for a call.
    fn take(&mut self, id: StageId) -> bool {
        // Only a call that is wanted has a deadline; one that is ended has the time-outs of its nodes.
        let stage = &self.flow.stages[id];
        let due = stage.due(self.now).filter(|_| !stage.is_skipping());
        self.slots.take(self.now, id, due, self.actions)
    }

    /// The time for an item is over while its call waits for another try: the caller gets the last
    /// failure.
    fn give_up_try(&mut self, id: StageId) {
        let stage = &mut self.flow.stages[id];
        let blame = match (stage.has_call(), self.slots.slot_of(id)) {
            (false, Some(slot)) => Blame::Slot(slot),
            _ => Blame::Stage(id),
        };
        stage.drop_try();
        let told = Action::Tell(blame, stage.failures());
        self.flow.report(id, told, self.actions);
        self.flow.count_failure(self.now, id, self.actions);
    }
}
