//! Calls that were sent to a worker in a batch before the core has begun them. The worker may answer
//! them early: an answer to a call that has not begun is held, and nothing that comes after it is read,
//! so that the core hears everything in the order in which it happened.

use std::collections::VecDeque;

use ipc_protocol::FromWorker;
use ipc_protocol::from_worker::{Done, Failed, Output};

use crate::schedule::StageId;
use crate::worker::link::Sent;

/// The calls of a batch that have not begun.
#[derive(Debug, Default)]
pub(in crate::session) struct Ahead {
    stage: StageId,
    calls: VecDeque<u64>,
    /// What it took to send the batch; taken when its first call begins.
    sent: Option<Sent>,
    /// The answer to a call that has not begun.
    held: Option<FromWorker>,
}

impl Ahead {
    /// These calls of a stage were sent.
    pub(in crate::session) fn new(stage: StageId, calls: VecDeque<u64>, sent: Sent) -> Self {
        Self { stage, calls, sent: Some(sent), held: None }
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The next call of a stage begins. Returns its number and, for the first one, what it took to
    /// send the batch; `None` if the call was not sent ahead.
    pub(in crate::session) fn begin(&mut self, stage: StageId) -> Option<(u64, Option<Sent>)> {
        let call = (self.stage == stage).then(|| self.calls.pop_front()).flatten()?;
        Some((call, self.sent.take()))
    }

    /// Holds an answer to a call that has not begun; returns any other message.
    pub(in crate::session) fn hold(&mut self, message: FromWorker) -> Option<FromWorker> {
        let call = match &message {
            FromWorker::Output(Output { call, .. })
            | FromWorker::Done(Done { call, .. })
            | FromWorker::Failed(Failed { call, stage: Some(_), .. }) => *call,
            _ => return Some(message),
        };
        if !self.calls.contains(&call) {
            return Some(message);
        }
        self.held = Some(message);
        None
    }

    /// Whether an answer is held.
    pub(in crate::session) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The held answer, if its call has begun meanwhile.
    pub(in crate::session) fn take_due(&mut self) -> Option<FromWorker> {
        let held = self.held.take()?;
        self.hold(held)
    }

    /// The worker does not begin further calls of the batch.
    pub(in crate::session) fn drop_rest(&mut self) {
        *self = Self::default();
    }
}
