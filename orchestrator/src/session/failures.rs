//! The failures of a session: the one that the caller gets next, and those about which the core has not
//! decided: the caller gets them, or the call is tried again.

use std::collections::HashMap;
use std::time::Instant;

use ipc_protocol::Value;

use super::failure;
use super::journal::Journal;
use super::layout::Layout;
use crate::error::Error;
use crate::schedule::{Action, Blame, Event, Failure, SlotId, StageId};

/// The failures that the caller has not got.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The first failure since the caller got one.
    pub(super) first: Option<Error>,
    /// The first slot that could not be opened.
    pub(super) slot: Option<SlotId>,
    /// The last error of each stage and of each slot.
    undecided: HashMap<Blame, Error>,
}

impl Failures {
    /// Adds a failure for the caller. Later ones, which follow from the first, are only counted.
    pub(super) fn add(&mut self, error: Error, journal: &mut Journal) {
        journal.note_failure(&error);
        self.first.get_or_insert(error);
    }

    /// Carries out an action that only reports something: errors for the caller, log records, counts.
    pub(super) fn report(&mut self, action: Action<Value>, layout: &Layout, journal: &mut Journal) {
        let error = match action {
            Action::Restoring(slot, repeated) => {
                // The caller gets it when a lost call is not tried again in time after all.
                let cause = self.undecided.get(&Blame::Slot(slot));
                journal.note_restoring(&layout.nodes_in(slot), cause, repeated);
                None
            }
            Action::Differs(stage) => {
                journal.note_differs(&layout.plan.stages[stage]);
                None
            }
            Action::TryLater(stage, at) => {
                self.note_try(stage, at, layout, journal);
                None
            }
            Action::Tell(blame, tries) => self.take(blame, tries, layout, journal),
            Action::Attribute(slot, stage) => {
                let error = self.undecided.remove(&Blame::Slot(slot));
                error.into_iter().for_each(|error| self.keep(Blame::Stage(stage), error));
                None
            }
            Action::Breaker(stage, is_open) => {
                journal.note_breaker(&layout.plan.stages[stage], is_open);
                None
            }
            Action::Skipped(stage, on_open) => journal.note_skipped(&layout.plan, stage, on_open),
            Action::RoundDone(_) => {
                journal.rounds_done += 1;
                None
            }
            Action::Uneven(stage) => Some(failure::uneven(&layout.plan.stages[stage])),
            _ => None,
        };
        error.into_iter().for_each(|error| self.add(error, journal));
    }

    /// Keeps an error until the core has decided.
    pub(super) fn keep(&mut self, blame: Blame, error: Error) {
        self.undecided.insert(blame, error);
    }

    /// The error for the caller, after the last of this number of tries. Nodes with breakers are blamed
    /// for it.
    fn take(
        &mut self,
        blame: Blame,
        tries: u32,
        layout: &Layout,
        journal: &mut Journal,
    ) -> Option<Error> {
        let mut error = self.undecided.remove(&blame)?;
        error.note_tries(tries);
        for (stage, _) in layout.guarded() {
            let is_blamed = match blame {
                Blame::Stage(blamed) => layout.plan.first_of(blamed) == stage,
                Blame::Slot(slot) => layout.plan.slots_of(stage).contains(&slot),
            };
            if is_blamed {
                journal.note_cause(stage, &error);
            }
        }
        Some(error)
    }

    /// Logs that a call will be tried again. Its error is still needed when there is no time for that.
    fn note_try(&self, stage: StageId, at: Instant, layout: &Layout, journal: &mut Journal) {
        let of_slot = || self.undecided.get(&Blame::Slot(layout.slot_of(stage)?));
        if let Some(error) = self.undecided.get(&Blame::Stage(stage)).or_else(of_slot) {
            journal.note_retry(error, at);
        }
    }

    /// A call has succeeded.
    pub(super) fn finish_call(&mut self, stage: StageId, journal: &mut Journal) -> Event<Value> {
        journal.forget_causes(stage);
        self.undecided.remove(&Blame::Stage(stage));
        Event::Done(stage)
    }

    /// A call has failed for good, unless the core knows that its round is given up.
    pub(super) fn fail_call(&mut self, stage: StageId, error: Error) -> Event<Value> {
        self.keep(Blame::Stage(stage), error);
        Event::Failed(stage, Failure::default())
    }
}
