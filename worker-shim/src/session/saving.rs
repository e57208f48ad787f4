//! The state of nodes, on request of the orchestrator.

use ipc_protocol::from_worker::Saved;
use ipc_protocol::to_worker::SavedState;
use ipc_protocol::{Fault, FaultKind, FromWorker};

use super::{Server, SessionError, marshal_fault, without_call};
use crate::guest::Guest;
use crate::link::LinkError;

impl<G: Guest> Server<'_, G> {
    pub(super) fn save(&mut self, number: u64) -> Result<(), SessionError> {
        let (states, fault) = match self.guest.save() {
            Ok(states) => (states, None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        let saved = FromWorker::Saved(Saved { number, states, fault });
        match self.send(saved) {
            Err(SessionError::Link(LinkError::Unsendable(problem))) => {
                let fault = Fault { kind: FaultKind::Checkpoint, ..marshal_fault(&problem) };
                self.send(FromWorker::Saved(Saved {
                    number,
                    states: Vec::new(),
                    fault: Some(fault),
                }))
            }
            sent => sent,
        }
    }

    pub(super) fn restore(&mut self, saved: Vec<SavedState>) -> Result<(), SessionError> {
        let Err(fault) = self.guest.restore(saved) else { return Ok(()) };
        self.send(FromWorker::Failed(without_call(fault)))
    }
}
