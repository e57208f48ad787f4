//! What follows from failures: another try, the end of a round, a breaker that opens.

use std::time::Instant;

use super::event::{Action, Blame, Failure};
use super::slots::{Loss, Phase};
use super::stage::Call;
use super::{Core, SlotId, StageId};

impl<T: Clone> Core<T> {
    /// Repeats the calls that are lost with a worker, or skips their rounds. Where the nodes' state was
    /// saved, the next worker gets it.
    pub(super) fn lose(
        &mut self,
        now: Instant,
        slot: SlotId,
        loss: Loss,
        actions: &mut Vec<Action<T>>,
    ) {
        let Loss { is_overdue, was_cut_short } = loss;
        let mut called = self.slots.stages_in(slot);
        called.retain(|id| self.flow.stages[*id].has_call());
        if self.slots.phase == Phase::Closing {
            called.into_iter().for_each(|id| self.flow.stages[id].end_call());
            return;
        }
        let Self { flow, slots, .. } = self;
        let repeated = self.saves.restore((now, slot), flow, slots, actions);
        let stages = &self.flow.stages;
        let is_idle = called.iter().all(|id| stages[*id].is_repeating() || stages[*id].is_ending());
        // A call that was interrupted gives the caller no error, but the loss of its worker does.
        let mut tries = ((is_idle || was_cut_short) && repeated.is_none()).then_some(1);
        let mut failed = Vec::new();
        for id in called {
            let is_dropped = self.flow.is_dropped(id);
            let stage = &mut self.flow.stages[id];
            if stage.is_repeating() || stage.is_ending() {
                stage.end_call();
                continue;
            }
            if let Some(at) = stage.lose(now, is_overdue) {
                if repeated.is_none() {
                    actions.push(Action::TryLater(id, at));
                }
                continue;
            }
            stage.skip_round();
            stage.end_call();
            if !is_dropped {
                tries = tries.max(Some(stage.failures()));
                failed.push(id);
            }
        }
        if let Some(tries) = tries {
            let told = Action::Tell(Blame::Slot(slot), tries);
            match failed.first() {
                Some(id) => self.flow.report(*id, told, actions),
                None => {
                    actions.push(told);
                    self.flow.note_failure(None);
                }
            }
            failed.into_iter().for_each(|id| self.flow.count_failure(now, id, actions));
        }
        if let Some(repeated) = repeated {
            actions.push(Action::Restoring(slot, repeated));
        }
    }

    /// A call has failed: it is tried again, or the caller gets the error.
    pub(super) fn fail(
        &mut self,
        now: Instant,
        id: StageId,
        failure: Failure,
        actions: &mut Vec<Action<T>>,
    ) {
        self.slots.free(id);
        if self.flow.stages[id].is_repeating() {
            // It has failed as it did before its worker died.
            match failure.kept_at {
                Some(_) => self.flow.stages[id].call = Call::Over,
                None => self.end_call(id, actions),
            }
            return;
        }
        let is_closing = self.slots.phase == Phase::Closing;
        let is_told = !self.flow.is_dropped(id) && !is_closing;
        let stage = &mut self.flow.stages[id];
        let mut tries = 1;
        match failure.kept_at.filter(|_| !is_closing) {
            Some(node) => {
                if let Some(at) = stage.keep(now, node, failure.is_transient) {
                    actions.push(Action::TryLater(id, at));
                    return;
                }
                tries = stage.failures();
                self.saves.keep(id, &mut self.flow, &self.slots, actions);
            }
            None => self.end_call(id, actions),
        }
        let stage = &mut self.flow.stages[id];
        stage.skip_round();
        if is_told {
            self.flow.report(id, Action::Tell(Blame::Stage(id), tries), actions);
            self.flow.count_failure(now, id, actions);
        }
    }

    fn end_call(&mut self, id: StageId, actions: &mut Vec<Action<T>>) {
        self.saves.end_call(id, &mut self.flow, &self.slots, actions);
    }
}
