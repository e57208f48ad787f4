//! State that outlives its worker: when it is saved, what is repeated after a death, and which worker
//! stands by.

use std::collections::BTreeMap;
use std::time::Instant;

use super::event::Action;
use super::flow::Flow;
use super::history::History;
use super::slots::{Phase, Slots};
use super::{SlotId, StageId, StateLoss};

/// What is kept for each slot so that its state can be restored.
#[derive(Debug)]
pub(super) struct Saves<T> {
    histories: Vec<History<T>>,
    /// The slot of the worker that stands by for a slot.
    standbys: BTreeMap<SlotId, SlotId>,
}

impl<T: Clone> Saves<T> {
    pub(super) fn new(slots: usize) -> Self {
        let histories = (0..slots).map(|_| History::new()).collect();
        Self { histories, standbys: BTreeMap::new() }
    }

    /// Adds a slot.
    pub(super) fn add_slot(&mut self) {
        self.histories.push(History::new());
    }

    /// A worker in another slot will stand by for the one in this slot.
    pub(super) fn stand_by(&mut self, standby: SlotId, slot: SlotId) {
        self.standbys.insert(slot, standby);
    }

    /// Works out what happens to the state in a slot when its worker dies: of its nodes the worst counts,
    /// since they die together.
    pub(super) fn settle(&mut self, slot: SlotId, flow: &mut Flow<T>, slots: &Slots) {
        let here = slots.stages_in(slot);
        let shapes = here.iter().map(|id| &flow.stages[*id].shape);
        let every = shapes.clone().map(|shape| shape.saves_every).min();
        let loss = shapes.map(|shape| shape.state).max().unwrap_or_default();
        here.into_iter().for_each(|id| flow.stages[id].loss = loss);
        self.histories[slot].keep(every.filter(|_| loss == StateLoss::Saved));
    }

    /// Moves a stage to another slot. Its state is lost, and what was kept for the old slot's worker
    /// suits no other.
    pub(super) fn move_stage(
        &mut self,
        (stage, slot): (StageId, SlotId),
        flow: &mut Flow<T>,
        slots: &mut Slots,
        actions: &mut Vec<Action<T>>,
    ) {
        let old = slots.slot_of(stage);
        if let Some(old) = old.filter(|old| self.histories[*old].is_kept()) {
            self.give_up(old, flow, slots, actions);
        }
        slots.move_stage(stage, slot);
        while self.histories.len() <= slot {
            self.add_slot();
        }
        flow.stages[stage].shape.state = StateLoss::Lost;
        self.settle(slot, flow, slots);
    }

    /// The stage whose call is to be repeated in a slot before anything else.
    pub(super) fn next_repeated(&self, slot: SlotId) -> Option<StageId> {
        self.histories[slot].repeated().map(|past| past.stage)
    }

    /// Begins that call.
    pub(super) fn repeat(&self, slot: SlotId, flow: &mut Flow<T>, actions: &mut Vec<Action<T>>) {
        if let Some(past) = self.histories[slot].repeated() {
            flow.stages[past.stage].repeat(past);
            actions.push(Action::Call { stage: past.stage, work: past.work.clone() });
        }
    }

    /// A stage's call has ended in its worker. Keeps what it takes to repeat it, and has the state saved
    /// when it is time. Returns whether the call was over before its worker died.
    pub(super) fn end_call(
        &mut self,
        id: StageId,
        flow: &mut Flow<T>,
        slots: &Slots,
        actions: &mut Vec<Action<T>>,
    ) -> bool {
        let is_repeated = self.keep(id, flow, slots, actions);
        flow.stages[id].end_call();
        if let Some(slot) = slots.slot_of(id) {
            // State is whole only between calls.
            let is_idle = |id: &StageId| !flow.stages[*id].has_call();
            if slots.stages_in(slot).iter().all(is_idle) && self.histories[slot].save() {
                actions.push(Action::Save(slot));
            }
        }
        is_repeated
    }

    /// A stage's call has done all that it does. Keeps what it takes to repeat it, once. Returns whether
    /// the call was over before its worker died.
    pub(super) fn keep(
        &mut self,
        id: StageId,
        flow: &mut Flow<T>,
        slots: &Slots,
        actions: &mut Vec<Action<T>>,
    ) -> bool {
        let ended = flow.stages[id].finish(id);
        if ended.differs {
            actions.push(Action::Differs(id));
        }
        if let (Some(slot), Some(past)) = (slots.slot_of(id), ended.past)
            && !self.histories[slot].finish(past, ended.is_repeated)
        {
            self.give_up(slot, flow, slots, actions);
        }
        ended.is_repeated
    }

    /// The state of a slot's nodes is saved, or could not be.
    pub(super) fn saved(
        &mut self,
        now: Instant,
        (slot, is_saved): (SlotId, bool),
        slots: &mut Slots,
        actions: &mut Vec<Action<T>>,
    ) {
        self.histories[slot].saved(is_saved);
        let Some(standby) = self.standbys.get(&slot).copied().filter(|_| is_saved) else { return };
        if slots.is_ready(standby) {
            actions.push(Action::PassState { from: slot, to: standby });
        } else {
            slots.refill(now, standby, actions);
        }
    }

    /// A worker has opened. If it stands by, it gets what was saved meanwhile; and it takes over if its
    /// slot still waits for a worker.
    pub(super) fn opened(
        &mut self,
        now: Instant,
        standby: SlotId,
        slots: &mut Slots,
        actions: &mut Vec<Action<T>>,
    ) {
        self.histories[standby].restored();
        if slots.phase == Phase::Closing {
            return;
        }
        let found = self.standbys.iter().find(|(_, other)| **other == standby);
        let Some((&slot, _)) = found.filter(|_| slots.is_ready(standby)) else { return };
        actions.push(Action::PassState { from: slot, to: standby });
        if self.histories[slot].is_kept() && slots.withdraw(slot, actions) {
            self.histories[slot].restored();
            promote(now, standby, slot, slots, actions);
        }
    }

    /// Asks for the workers that stand by, once all others are there.
    pub(super) fn ask_for_standbys(
        &self,
        now: Instant,
        slots: &mut Slots,
        actions: &mut Vec<Action<T>>,
    ) {
        let needed = self.standbys.iter().filter(|(slot, _)| self.histories[**slot].is_kept());
        needed.for_each(|(_, standby)| slots.refill(now, *standby, actions));
    }

    /// The worker of a slot is gone, and the next one repeats what its nodes have done since their state
    /// was saved. Returns how many calls that are; `None`: their state is lost.
    pub(super) fn restore(
        &mut self,
        (now, slot): (Instant, SlotId),
        flow: &mut Flow<T>,
        slots: &mut Slots,
        actions: &mut Vec<Action<T>>,
    ) -> Option<usize> {
        if slots.phase == Phase::Opening {
            return None;
        }
        let was_kept = self.histories[slot].is_kept();
        let Some(repeated) = self.histories[slot].lose() else {
            if was_kept {
                self.give_up(slot, flow, slots, actions);
            }
            return None;
        };
        match self.standbys.get(&slot).copied() {
            Some(standby) if slots.is_ready(standby) => {
                self.histories[slot].restored();
                promote(now, standby, slot, slots, actions);
            }
            standby => {
                // The next worker is needed more in the slot itself.
                standby.into_iter().for_each(|standby| {
                    slots.withdraw(standby, actions);
                });
                slots.refill(now, slot, actions);
            }
        }
        Some(repeated)
    }

    /// The nodes of a slot could not be made again with their saved state.
    pub(super) fn fail_to_open(
        &mut self,
        slot: SlotId,
        flow: &mut Flow<T>,
        slots: &Slots,
        actions: &mut Vec<Action<T>>,
    ) {
        if slots.phase == Phase::Open && !self.histories[slot].fail_to_restore() {
            self.give_up(slot, flow, slots, actions);
        }
    }

    /// The state of a slot's nodes is lost from now on when their worker dies.
    fn give_up(
        &mut self,
        slot: SlotId,
        flow: &mut Flow<T>,
        slots: &Slots,
        actions: &mut Vec<Action<T>>,
    ) {
        for id in slots.stages_in(slot) {
            flow.stages[id].shape.state = StateLoss::Lost;
        }
        self.settle(slot, flow, slots);
        actions.push(Action::GiveUpState(slot));
    }
}

/// The worker that stands by takes over, and another one is asked for in its place.
fn promote<T>(
    now: Instant,
    standby: SlotId,
    slot: SlotId,
    slots: &mut Slots,
    actions: &mut Vec<Action<T>>,
) {
    slots.promote(now, standby, slot);
    actions.push(Action::Promote { from: standby, to: slot });
    slots.refill(now, standby, actions);
}
