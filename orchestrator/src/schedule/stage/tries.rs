//! The tries of a stage's call.

use std::time::{Duration, Instant};

use super::{Again, Call, Stage, StateLoss};
use crate::model::Retry;

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
        self.call = at.map_or(Call::Over, |at| Call::Kept { at, sent });
        at
    }

    /// The running call is lost with its worker. Returns when it is repeated; `None`: never. `is_overdue`:
    /// it took too long or too much, so that a repetition is likely to end in the same way.
    pub(in crate::schedule) fn lose(&mut self, now: Instant, is_overdue: bool) -> Option<Instant> {
        let due = self.due(now);
        let at = self.tries.fail(now, None, self.repetitions(is_overdue), due)?;
        if self.is_skipping()
            || self.is_repeating()
            || (self.given.has_given() && self.loss != StateLoss::Saved)
        {
            return None;
        }
        let (work, known) = (self.kept.take()?, self.given.passed_on());
        self.again = Some(Again { work, known, at: Some(at) });
        self.end_call();
        Some(at)
    }

    /// When a call that is lost with its worker is repeated. Where the nodes' state is saved, once at
    /// least, and at once; otherwise only where the nodes ask for it and keep no state.
    fn repetitions(&self, is_overdue: bool) -> Option<Retry> {
        let asked = self.shape.repeats;
        match self.loss {
            StateLoss::Saved if !is_overdue => {
                let limit = asked.map_or(1, |retry| retry.limit.max(1));
                Some(Retry { limit, delay: Duration::ZERO })
            }
            StateLoss::Saved | StateLoss::Stateless => asked,
            StateLoss::Lost => None,
        }
    }

    /// Number of failed tries of the last call.
    pub(in crate::schedule) fn failures(&self) -> u32 {
        self.tries.failures()
    }

    /// When a failed call is tried again, if one waits for that.
    pub(in crate::schedule) fn waits_until(&self) -> Option<Instant> {
        match self.call {
            Call::Kept { at, .. } => Some(at),
            _ => self.again.as_ref().and_then(|again| again.at),
        }
    }

    /// Whether a call of its own is to be made or tried again, before it gets other work.
    pub(in crate::schedule) fn has_again(&self) -> bool {
        self.again.is_some() || matches!(self.call, Call::Kept { .. })
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
            self.call = Call::Over;
        }
    }

    /// The call goes on at the node that failed.
    pub(in crate::schedule) fn retry(&mut self) {
        if let Call::Kept { sent, .. } = self.call {
            self.call = Call::Running { sent };
        }
    }
}
