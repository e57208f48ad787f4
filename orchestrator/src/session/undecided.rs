//! Errors about which the core has not decided: the caller gets them, or the call is tried again.

use std::collections::HashMap;
use std::time::Instant;

use super::journal::Journal;
use super::layout::Layout;
use crate::error::Error;
use crate::schedule::{Blame, StageId};

/// The last error of each stage and of each slot.
#[derive(Debug, Default)]
pub(super) struct Undecided(HashMap<Blame, Error>);

impl Undecided {
    /// Keeps an error until the core has decided.
    pub(super) fn keep(&mut self, blame: Blame, error: Error) {
        self.0.insert(blame, error);
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
        let mut error = self.0.remove(&blame)?;
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
        let of_slot = || self.0.get(&Blame::Slot(layout.slot_of(stage)?));
        if let Some(error) = self.0.get(&Blame::Stage(stage)).or_else(of_slot) {
            journal.note_retry(error, at);
        }
    }

    /// The stage has succeeded.
    pub(super) fn forget(&mut self, stage: StageId) {
        self.0.remove(&Blame::Stage(stage));
    }
}
