//! The outputs of a call, and of a call that is repeated those that are known already.

use super::{Call, Stage, StateLoss};
use crate::schedule::StageId;
use crate::schedule::history::Past;

/// The outputs of the running call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Given {
    /// Number of outputs so far.
    outputs: u32,
    /// Number of outputs that an earlier try of it gave. They were passed on then.
    known: u32,
    /// It was over before its worker died, and is repeated only for the state of its nodes.
    is_past: bool,
}

/// A call that is over.
#[derive(Debug)]
pub(in crate::schedule) struct Ended<T> {
    /// What it takes to repeat it; `None` where nothing is kept.
    pub(in crate::schedule) past: Option<Past<T>>,
    /// It was over before its worker died.
    pub(in crate::schedule) is_repeated: bool,
    /// It gave another number of outputs than the first time.
    pub(in crate::schedule) differs: bool,
}

impl Given {
    /// For a call of which this number of outputs was passed on already.
    pub(super) fn of_known(known: u32) -> Self {
        Self { known, ..Self::default() }
    }

    pub(super) fn count(&mut self) {
        self.outputs = self.outputs.saturating_add(1);
    }

    /// Whether the call has given an output.
    pub(super) fn has_given(self) -> bool {
        self.outputs > 0
    }

    /// Number of its outputs that were passed on, by this try or an earlier one.
    pub(super) fn passed_on(self) -> u32 {
        self.outputs.max(self.known)
    }
}

impl<T: Clone> Stage<T> {
    /// Whether the call's last output was passed on by an earlier try, or is not wanted.
    pub(in crate::schedule) fn is_known_output(&self) -> bool {
        self.given.is_past || self.given.outputs <= self.given.known
    }

    /// Whether the running call was over before its worker died.
    pub(in crate::schedule) fn is_repeating(&self) -> bool {
        self.given.is_past && self.has_call()
    }

    /// Repeats a call that was over before its worker died.
    pub(in crate::schedule) fn repeat(&mut self, past: &Past<T>) {
        self.kept = Some(past.work.clone());
        self.given = Given { outputs: 0, known: past.outputs, is_past: true };
        self.call = Call::Running { sent: 0 };
    }

    /// The call has done all that it does. Only the first time after its begin there is something to
    /// keep.
    pub(in crate::schedule) fn finish(&mut self, id: StageId) -> Ended<T> {
        let Given { outputs, known, is_past } = self.given;
        let work = self.kept.take().filter(|_| self.loss == StateLoss::Saved);
        // A call that was ended early, because the rest is not wanted, is not ended early again.
        let is_cut = self.call == Call::Ending;
        let differs = if is_past { outputs != known } else { outputs < known };
        let outputs = if is_past { known } else { self.given.passed_on() };
        let differs = differs && !is_cut && work.is_some();
        let past = work.map(|work| Past { stage: id, work, outputs });
        Ended { past, is_repeated: is_past, differs }
    }
}
