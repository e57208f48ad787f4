//! What follows from failures: another try, the end of a round, a breaker that opens.

use std::time::Instant;

use super::event::{Action, Blame, Failure};
use super::slots::Phase;
use super::stage::Work;
use super::{Core, SlotId, StageId};
use crate::model::OnOpen;

impl<T: Clone> Core<T> {
    /// When failed calls will be tried again, or are given up: one whose time has come waits for its
    /// slot, at most until it is due.
    pub(super) fn tries(&self) -> impl Iterator<Item = Instant> {
        let now = self.now.filter(|_| self.slots.phase() == Phase::Open);
        self.flow.stages.iter().filter_map(move |stage| {
            let (now, at) = (now?, stage.waits_until()?);
            if now < at { Some(at) } else { stage.due(now).filter(|due| now < *due) }
        })
    }

    /// The time for an item is over while its call waits for another try: the caller gets the last
    /// failure.
    pub(super) fn give_up_try(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) {
        let stage = &mut self.flow.stages[id];
        let blame = match (stage.has_call(), self.slots.slot_of(id)) {
            (false, Some(slot)) => Blame::Slot(slot),
            _ => Blame::Stage(id),
        };
        stage.drop_try();
        actions.push(Action::Tell(blame, stage.failures()));
        self.count_failure(now, id, actions);
        self.note_failure();
    }

    /// The caller gets an error.
    pub(super) fn note_failure(&mut self) {
        if self.stops_at_failure {
            self.flow.abandon();
        }
    }

    /// Repeats the calls that are lost with a worker, or skips their rounds.
    pub(super) fn lose(&mut self, now: Instant, slot: SlotId, actions: &mut Vec<Action<T>>) {
        let mut called = self.slots.stages_in(slot);
        called.retain(|id| self.flow.stages[*id].has_call());
        if self.slots.phase() == Phase::Closing {
            called.into_iter().for_each(|id| self.flow.stages[id].end_call());
            return;
        }
        let mut tries = called.is_empty().then_some(1);
        let mut failed = Vec::new();
        for id in called {
            let stage = &mut self.flow.stages[id];
            let is_given_up = stage.is_given_up();
            if let Some(at) = stage.lose(now) {
                actions.push(Action::TryLater(id, at));
                continue;
            }
            stage.skip_round();
            stage.end_call();
            if !is_given_up {
                tries = tries.max(Some(stage.failures()));
                failed.push(id);
            }
        }
        if let Some(tries) = tries {
            actions.push(Action::Tell(Blame::Slot(slot), tries));
            failed.into_iter().for_each(|id| self.count_failure(now, id, actions));
            self.note_failure();
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
        let is_closing = self.slots.phase() == Phase::Closing;
        let stage = &mut self.flow.stages[id];
        let is_told = !stage.is_given_up() && !is_closing;
        let mut tries = 1;
        match failure.kept_at.filter(|_| !is_closing) {
            Some(node) => {
                if let Some(at) = stage.keep(now, node, failure.is_transient) {
                    actions.push(Action::TryLater(id, at));
                    return;
                }
                tries = stage.failures();
            }
            None => stage.end_call(),
        }
        stage.skip_round();
        if is_told {
            actions.push(Action::Tell(Blame::Stage(id), tries));
            self.count_failure(now, id, actions);
            self.note_failure();
        }
    }

    /// Counts a failed item for the stage's breaker.
    fn count_failure(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) {
        let stage = &mut self.flow.stages[id];
        if let Some(breaker) = stage.shape.breaker
            && stage.breaker.fail(now, breaker)
        {
            actions.push(Action::Breaker(id, true));
        }
    }

    /// One input of a zip join has fewer items than the others: the rest of the round is dropped.
    pub(super) fn tell_uneven(&mut self, id: StageId, actions: &mut Vec<Action<T>>) {
        self.flow.stages[id].skip_round();
        actions.push(Action::Uneven(id));
        self.note_failure();
    }

    /// Skips the next work of a stage whose breaker is open.
    pub(super) fn skip(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) {
        let Some(work) = self.flow.stages[id].next_work(now) else {
            return self.tell_uneven(id, actions);
        };
        self.flow.stages[id].end_call();
        let Some(breaker) = self.flow.stages[id].shape.breaker else { return };
        let (values, is_flush) = match work {
            Work::Item(value) => (vec![value], false),
            Work::Zip(values) => (values, false),
            Work::Flush => (Vec::new(), true),
            Work::Start => (Vec::new(), false),
        };
        match breaker.on_open {
            OnOpen::Error if !is_flush => {
                self.flow.stages[id].skip_round();
                self.note_failure();
            }
            OnOpen::Pass => {
                values.into_iter().for_each(|value| self.flow.pass_on(id, value, actions))
            }
            OnOpen::Error | OnOpen::Drop => {}
        }
        if !is_flush {
            actions.push(Action::Skipped(id, breaker.on_open));
        }
    }
}
