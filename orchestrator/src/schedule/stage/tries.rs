//! The tries of a stage's call.

use std::time::Instant;

use super::{Call, Stage};

impl<T: Clone> Stage<T> {
    /// The end of the time for the item that is worked on, or that would be begun now.
    pub(in crate::schedule) fn due(&self, now: Instant) -> Option<Instant> {
        let goes_on = self.again.is_some() || self.has_call();
        let began = self.tries.began(now).filter(|_| goes_on).unwrap_or(now);
        began.checked_add(self.shape.deadline?)
    }

    /// A node has failed, and the worker keeps the call there. Returns when it is called again; `None`:
    /// never, and the call waits to be ended.
    pub(in crate::schedule) fn keep(
        &mut self,
        now: Instant,
        node: usize,
        is_transient: bool,
    ) -> Option<Instant> {
        let Call::Running { sent } = self.call else { return None };
        let retry = self.shape.retries.get(node).copied().flatten().filter(|_| is_transient);
        let due = self.due(now);
        let at = self.tries.fail(now, Some(node), retry, due).filter(|_| !self.is_skipping());
        self.call = at.map_or(Call::Suspended, |at| Call::Kept { at, sent });
        at
    }

    /// The running call is lost with its worker. Returns when it is repeated; `None`: never.
    pub(in crate::schedule) fn lose(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due(now);
        let at = self.tries.fail(now, None, self.shape.repeats, due)?;
        if self.has_given || self.is_skipping() {
            return None;
        }
        self.again = Some(self.kept.take()?);
        self.again_at = Some(at);
        self.end_call();
        Some(at)
    }

    /// Number of failed tries of the last call.
    pub(in crate::schedule) fn failures(&self) -> u32 {
        self.tries.failures()
    }

    /// When a failed call is tried again, if one waits for that.
    pub(in crate::schedule) fn waits_until(&self) -> Option<Instant> {
        match self.call {
            Call::Kept { at, .. } => Some(at),
            _ => self.again_at.filter(|_| self.again.is_some()),
        }
    }

    /// Whether a call waits for another try although its time is over.
    pub(in crate::schedule) fn is_too_late(&self, now: Instant) -> bool {
        self.waits_until().is_some() && self.due(now).is_some_and(|due| due <= now)
    }

    /// Drops the call that waits for another try. One that the worker keeps is ended there.
    pub(in crate::schedule) fn drop_try(&mut self) {
        self.again = None;
        self.skip_round();
        if matches!(self.call, Call::Kept { .. }) {
            self.call = Call::Suspended;
        }
    }

    /// The call goes on at the node that failed.
    pub(in crate::schedule) fn retry(&mut self) {
        if let Call::Kept { sent, .. } = self.call {
            self.call = Call::Running { sent };
        }
    }
}
