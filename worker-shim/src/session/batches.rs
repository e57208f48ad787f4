//! Batches: several items of a stage that came in one message, each a call of its own.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::Traffic;
use ipc_protocol::to_worker::{Item, Step};

use super::{Server, SessionError};
use crate::guest::{Begin, Guest};
use crate::link::Incoming;

/// How long the calls of a batch follow each other without a look for messages.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The items of a batch whose calls have not begun.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    items: VecDeque<Item>,
    /// When the link was last looked at.
    looked: Option<Instant>,
}

impl Waiting {
    /// A call has failed, or the orchestrator does not want the rest.
    pub(super) fn drop_rest(&mut self) {
        self.items.clear();
    }
}

impl<G: Guest> Server<'_, G> {
    /// Begins the first call of a batch.
    pub(super) fn begin_batch(
        &mut self,
        items: Vec<Item>,
        traffic: Traffic,
    ) -> Result<(), SessionError> {
        self.waiting = Waiting { items: items.into(), looked: Some(self.works_since) };
        self.begin_next(traffic)
    }

    /// Begins the next call of a batch, if there is one.
    pub(super) fn begin_next(&mut self, traffic: Traffic) -> Result<(), SessionError> {
        let Some(Item { step, value }) = self.waiting.items.pop_front() else { return Ok(()) };
        self.works_since = Instant::now();
        self.begin(step, Begin::Item(value), traffic)
    }

    pub(super) fn begin(
        &mut self,
        step: Step,
        begin: Begin,
        traffic: Traffic,
    ) -> Result<(), SessionError> {
        self.calls.begin(step, traffic).map_err(SessionError::OutOfOrder)?;
        match self.guest.begin(step.stage, begin) {
            Ok(()) => Ok(()),
            Err(fault) => {
                let usage = self.guest.abort(step.stage);
                self.fail(step.stage, step.call, fault, usage)
            }
        }
    }

    /// A message that has come while calls of a batch followed each other.
    pub(super) fn arrived_meanwhile(&mut self) -> Result<Option<Incoming>, SessionError> {
        let is_due = self.waiting.looked.is_some_and(|looked| looked.elapsed() >= LOOK_EVERY);
        if self.waiting.items.is_empty() || !is_due {
            return Ok(None);
        }
        self.waiting.looked = Some(Instant::now());
        Ok(self.reader.arrived()?)
    }
}
