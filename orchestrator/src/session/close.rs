//! Closing: nodes clean up, their changed state comes back, workers return to the pool. A caller
//! that leaves early goes on at once; the rest happens behind it.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ipc_protocol::ToWorker;
use ipc_protocol::from_worker::{Closed, LogRecord};

use super::journal::{INFORMATION, notice};
use super::workers::Workers;
use super::{Host, Session, Work, failure};
use crate::error::Error;
use crate::placement::Engine;
use crate::schedule::{Bounds, Core, Event, SlotId};
use crate::worker::memory;
use crate::worker::supervisor::Returned;

/// How long a caller waits who leaves while nodes work.
const LEAVING_PATIENCE: Duration = Duration::from_millis(80);

/// The state of a node object after the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenBack {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// A pickle of the dict of its changed attributes and the list of the deleted ones.
    pub attributes: Bytes,
}

/// What is left of a session.
#[derive(Debug, Default)]
pub struct ClosedSession {
    /// Node objects that changed.
    pub states: Vec<WrittenBack>,
    /// Nodes whose `cleanup` raised, and workers that died in it.
    pub failures: Vec<Error>,
}

/// Nobody waits any more.
struct Nobody;

impl Host for Nobody {
    fn check_interrupt(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn log(&mut self, _: &LogRecord) {}
}

impl Session {
    /// Closes the session. Closing twice does nothing. Where nodes still work, or the session was
    /// cancelled, it goes on behind the caller after a moment.
    #[must_use = "nodes may have failed to clean up"]
    pub fn close(&mut self, host: &mut dyn Host) -> ClosedSession {
        if !std::mem::replace(&mut self.is_open, false) || self.workers.is_inherited() {
            return ClosedSession::default();
        }
        self.failure = None;
        let leaves = self.core.is_working() || self.cancel.is_cancelled();
        let until = leaves.then(|| Instant::now() + LEAVING_PATIENCE);
        self.feed(Event::Close);
        let waited = self.drive(until, host, |session| session.core.is_closed());
        self.journal.tell(host);
        let closed = std::mem::take(&mut self.closed);
        if !self.core.is_closed() || waited.is_err() {
            self.leave_behind();
        }
        closed
    }

    /// Lets a thread do the rest: interrupted nodes have their time to end and to clean up.
    fn leave_behind(&mut self) {
        let mut rest = std::mem::replace(self, self.without_workers());
        let finish = move || {
            let _nobody_is_told = rest.drive(None, &mut Nobody, |session| session.core.is_closed());
        };
        // Without a thread the workers are ended here.
        let _detached = thread::Builder::new().name("remotemedia-closing".to_owned()).spawn(finish);
    }

    /// This session, closed, with all that can still be asked of it.
    fn without_workers(&self) -> Self {
        let nothing = Bounds { window: 1, queue: 1, ..self.bounds() };
        Self {
            runtime: self.runtime.clone(),
            plan: self.plan.clone(),
            core: Core::new(Vec::new(), &[], nothing),
            workers: Workers::new([], self.cancel.clone()),
            fallback: super::Fallback::default(),
            journal: self.journal.clone(),
            outfit: super::Outfit::new(
                self.runtime.clone(),
                crate::options::OpenOptions::default(),
            ),
            natives: Vec::new(),
            holders: Vec::new(),
            cancel: self.cancel.clone(),
            work: Work::Nothing,
            outputs: std::collections::VecDeque::new(),
            failure: None,
            failed_slot: None,
            closed: ClosedSession::default(),
            next_call: 0,
            spin: self.spin,
            looked_up: self.looked_up,
            is_open: false,
        }
    }

    pub(super) fn say_goodbye(&mut self, slot: SlotId) -> Vec<Event<ipc_protocol::Value>> {
        self.workers.slot_mut(slot).is_saying_goodbye = true;
        match self.workers.send(slot, ToWorker::Close, None) {
            Ok(_) => Vec::new(),
            Err(broken) => self.hang_up(slot, Some(broken)),
        }
    }

    pub(super) fn take_farewell(&mut self, slot: SlotId, farewell: Closed, host: &mut dyn Host) {
        // What a node left behind when it moved is not its state.
        let seats = self.workers.slot(slot).seats.iter();
        let here = seats.filter(|seat| self.slot_of(seat.0) == Some(slot));
        let here: Vec<&str> = here.map(|seat| failure::node_id(&self.plan, *seat)).collect();
        let states = farewell.states.into_iter().filter(|s| here.contains(&s.node_id.as_str()));
        for state in states {
            for (name, reason) in &state.kept {
                host.log(&kept_record(&state.node_id, name, reason));
            }
            let attributes = state.attributes.to_bytes();
            self.closed.states.push(WrittenBack { node_id: state.node_id, attributes });
        }
        self.closed.failures.extend(farewell.faults.into_iter().map(failure::from_fault));
        let limit = match self.workers.slot(slot).interpreter {
            Engine::RustPython => self.runtime.config().rustpython.pool.recycle_above_memory_bytes,
            _ => self.runtime.config().workers.pool.recycle_above_memory_bytes,
        };
        let resident = |limit| {
            let process = self.workers.slot(slot).process();
            process.is_some_and(|process| memory::resident_bytes(process.pid) > limit)
        };
        let is_too_big = limit.is_some_and(resident);
        let returned = if is_too_big { Returned::UsedUp } else { Returned::Reusable };
        self.workers.give_back(slot, returned);
    }
}

/// Tells of an attribute that changed and stays in the worker. That is common (models, files), so
/// it is information and no warning.
fn kept_record(node_id: &str, name: &str, reason: &str) -> LogRecord {
    let message = format!("attribute '{name}' of node '{node_id}' stays in its worker: {reason}");
    notice(node_id, INFORMATION, message)
}
