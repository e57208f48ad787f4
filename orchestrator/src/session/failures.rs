//! The failures of a session: the one that the caller gets next, and those about which the core has not
//! decided: the caller gets them, or the call is tried again.

use std::collections::HashMap;
use std::time::Instant;

use super::journal::Journal;
use super::layout::Layout;
use crate::error::Error;
use crate::schedule::{Blame, SlotId, StageId};

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
    pub(super) fn add(&mut self, error: Error) {
        self.first.get_or_insert(error);
    }

    /// Keeps an error until the core has decided.
    pub(super) fn keep(&mut self, blame: Blame, error: Error) {
        self.undecided.insert(blame, error);
    }

    /// The error for the caller, after the last of this number of tries. Nodes with breakers are blamed
    /// for it.
    pub(super) fn take(
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
                Blame::Stage(blamed) => blamed == stage,
                Blame::Slot(slot) => layout.slot_of(stage) == Some(slot),
            };
            if is_blamed {
                journal.note_cause(stage, &error);
            }
        }
        Some(error)
    }

    /// Logs that a call will be tried again. Its error is still needed when there is no time for that.
    pub(super) fn note_try(
        &self,
        stage: StageId,
        at: Instant,
        layout: &Layout,
        journal: &mut Journal,
    ) {
        let of_slot = || self.undecided.get(&Blame::Slot(layout.slot_of(stage)?));
        if let Some(error) = self.undecided.get(&Blame::Stage(stage)).or_else(of_slot) {
            journal.note_retry(error, at);
        }
    }

    /// The stage has succeeded.
    pub(super) fn forget(&mut self, stage: StageId) {
        self.undecided.remove(&Blame::Stage(stage));
    }
}
