//! What became of a failing call: faults, dead workers and overdue nodes as errors with names.

use std::time::Duration;

use ipc_protocol::error::{CodecError, LeaseError};
use ipc_protocol::{Fault, FaultKind};

use super::Session;
use crate::error::{Crash, Error, NodeFailure, TimedOut};
use crate::plan::{PlannedNode, Stage};
use crate::schedule::{SlotId, StageId};
use crate::worker::link::LinkError;
use crate::worker::supervisor::Returned;

/// How long a worker whose connection ended may take to end itself.
const EXIT_GRACE: Duration = Duration::from_millis(500);
/// How long an overdue worker may take to write down its Python stack.
const STACK_GRACE: Duration = Duration::from_millis(250);

impl Session {
    /// Keeps the first failure; later ones follow from it.
    pub(super) fn note_failure(&mut self, error: Error) {
        match &error {
            Error::Node(failure) => self.metrics.fail(&failure.node_id, &failure.message, false),
            Error::Crashed(crash) => self.metrics.fail(&crash.node_id, &error.to_string(), true),
            Error::TimedOut(over) => self.metrics.fail(&over.node_id, &error.to_string(), true),
            _ => {}
        }
        if self.stops_at_failure {
            self.core.stop();
        }
        self.failure.get_or_insert(error);
    }

    pub(super) fn from_fault(fault: Fault) -> Error {
        Error::Node(Box::new(Self::failure_of(fault)))
    }

    pub(super) fn failure_of(fault: Fault) -> NodeFailure {
        NodeFailure {
            node_id: fault.node_id,
            operation: fault.kind,
            remote_type: fault.remote_type,
            message: fault.message,
            traceback: fault.traceback,
            import: fault.import,
            advice: None,
        }
    }

    pub(super) fn unsendable(&self, stage: StageId, error: &CodecError) -> Error {
        let node_id =
            self.plan.stages[stage].nodes.first().map_or_else(String::new, |n| n.id.clone());
        Error::Node(Box::new(NodeFailure {
            node_id,
            operation: FaultKind::Marshal,
            remote_type: "ValueError".to_owned(),
            message: format!("the input cannot be sent to a worker: {error}"),
            traceback: String::new(),
            import: None,
            advice: None,
        }))
    }

    pub(super) fn uneven(stage: &Stage) -> Error {
        let node_id = stage.nodes.first().map_or_else(String::new, |node| node.id.clone());
        Error::Node(Box::new(NodeFailure {
            node_id,
            operation: FaultKind::Process,
            remote_type: "ValueError".to_owned(),
            message: "join=\"zip\" needs the same number of items from every input, and one \
                      input had fewer; use join=\"interleave\", or let each branch give one \
                      output an item"
                .to_owned(),
            traceback: String::new(),
            import: None,
            advice: None,
        }))
    }

    /// Stops the worker of an overdue stage. The stack of its threads goes into the error.
    pub(super) fn expire(&mut self, stage: StageId) {
        let Some(slot) = super::slot::slot_of(&self.slots, stage) else { return };
        self.slots[slot].expired = Some(stage);
        if let Some(process) = self.slots[slot].process() {
            // faulthandler notes the stack on SIGABRT and lets the process end.
            process.abort();
            self.await_exit(slot, STACK_GRACE);
        }
        if let Some(process) = self.slots[slot].process() {
            process.kill();
        }
    }

    /// Takes a dead or broken worker out of its slot and notes why its calls failed.
    pub(super) fn lose_worker(&mut self, slot: SlotId, broken: Option<&LinkError>) {
        let died_before = self.slots[slot].process().is_some_and(|p| p.exit().is_some());
        if let (Some(_), Some(process)) = (broken, self.slots[slot].process()) {
            process.kill();
        }
        self.await_exit(slot, EXIT_GRACE);
        if let Some(process) = self.slots[slot].process()
            && process.exit().is_none()
        {
            process.kill();
            self.await_exit(slot, EXIT_GRACE);
        }
        let error = match broken {
            // The names of a dead worker's segments are removed, also those not yet mapped.
            Some(LinkError::Lease(LeaseError::Unmappable { .. })) if died_before => {
                self.death(slot)
            }
            Some(LinkError::Codec(_) | LinkError::Frame(_) | LinkError::Lease(_)) => {
                self.broken_protocol(slot, broken)
            }
            _ => self.death(slot),
        };
        if let Some(error) = error
            && !self.handle_death(slot, &error)
        {
            self.note_failure(error);
        }
        let lost = &mut self.slots[slot];
        lost.calls.clear();
        lost.is_open = false;
        lost.expired = None;
        if let (Some(worker), Some(pool)) = (lost.worker.take(), &self.pool) {
            pool.give_back(worker, Returned::Broken);
        }
    }

    fn broken_protocol(&self, slot: SlotId, broken: Option<&LinkError>) -> Option<Error> {
        let process = self.slots[slot].process()?;
        let reason = broken.map_or_else(String::new, ToString::to_string);
        Some(Error::Node(Box::new(NodeFailure {
            node_id: self.running_node(slot).unwrap_or_default(),
            operation: FaultKind::Protocol,
            remote_type: "ProtocolError".to_owned(),
            message: format!("{reason}; the worker (pid {}) was ended", process.pid),
            traceback: String::new(),
            import: None,
            advice: None,
        })))
    }

    fn death(&self, slot: SlotId) -> Option<Error> {
        let process = self.slots[slot].process()?;
        let node_id = self.running_node(slot).unwrap_or_default();
        let also_lost =
            self.slot_nodes(slot).map(|node| node.id.clone()).filter(|id| *id != node_id).collect();
        let python_stack = process.blackbox.stack();
        let stderr_tail = process.stderr_tail();
        if let Some(stage) = self.slots[slot].expired {
            let timeout = self.stage_timeout(stage).unwrap_or_default();
            let pid = process.pid;
            let timed_out =
                TimedOut { node_id, timeout, pid, python_stack, stderr_tail, also_lost };
            return Some(Error::TimedOut(Box::new(timed_out)));
        }
        if process.is_retired() {
            return Some(Error::ShutDown { node_id });
        }
        let exit = process.exit();
        Some(Error::Crashed(Box::new(Crash {
            node_id,
            pid: process.pid,
            signal: exit.as_ref().and_then(crate::worker::exit::Exit::signal_name),
            exit_code: exit.as_ref().and_then(crate::worker::exit::Exit::code),
            is_unknown: exit == Some(crate::worker::exit::Exit::Unknown),
            stderr_tail,
            python_stack,
            also_lost,
            peak_memory_bytes: self.metrics.peak_memory_bytes(),
        })))
    }

    /// Nodes that live in a slot, in the order that the worker knows them by.
    pub(super) fn slot_nodes(&self, slot: SlotId) -> impl Iterator<Item = &PlannedNode> {
        self.slots[slot].opened.iter().flat_map(|stage| &self.plan.stages[*stage].nodes)
    }

    /// The node that runs in a slot, as the worker's flight recorder says; else the first node of
    /// a stage with a call under way, else the first node of the slot.
    pub(super) fn running_node(&self, slot: SlotId) -> Option<String> {
        let noted = self.slots[slot].process()?.blackbox.running_node();
        let noted = noted.and_then(|index| self.slot_nodes(slot).nth(index));
        let called = || {
            let stage = self.slots[slot].calls.keys().min()?;
            self.plan.stages[*stage].nodes.first()
        };
        let node = noted.or_else(called).or_else(|| self.slot_nodes(slot).next());
        node.map(|node| node.id.clone())
    }

    /// The time that one step of a stage may take: that of its nodes together.
    pub(super) fn stage_timeout(&self, stage: StageId) -> Option<Duration> {
        stage_timeout(&self.plan.stages[stage])
    }
}

/// See [`Session::stage_timeout`]. `None` when a node of the stage may take for ever.
pub(super) fn stage_timeout(stage: &Stage) -> Option<Duration> {
    stage.nodes.iter().map(|node| node.timeout).sum()
}
