//! Turns faults, dead workers and overdue nodes into errors that name the node.

use ipc_protocol::error::{CodecError, LeaseError};
use ipc_protocol::version::FACTS_SINCE;
use ipc_protocol::{Fault, FaultKind};

use super::crash;
use super::workers::{End, Seat, Slot};
use crate::config::PoolConfig;
use crate::error::{Error, LimitExceeded, StartError, TimedOut};
use crate::failure::NodeFailure;
use crate::limits::{Excess, Refused};
use crate::plan::{Plan, Stage};
use crate::reason::Advice;
use crate::schedule::{Deadline, Overdue};
use crate::worker::link::LinkError;
use crate::worker::process::Process;

pub(super) fn from_fault(fault: Fault, slot: &Slot) -> Error {
    Error::Node(Box::new(failure_of(fault, slot)))
}

/// A fault that belongs to no stage, as a failure of the node that runs.
pub(super) fn without_stage(mut fault: Fault, slot: &Slot, plan: &Plan) -> Error {
    if let (true, Some(seat)) = (fault.node_id.is_empty(), slot.running_seat()) {
        node_id(plan, seat).clone_into(&mut fault.node_id);
    }
    from_fault(fault, slot)
}

/// No worker of this pool became free in time.
pub(super) fn busy(pool: &PoolConfig) -> Error {
    let (waited, max) = (pool.workers.acquire_timeout, pool.bounds.max_workers());
    Error::Busy { waited, max, section: pool.section() }
}

/// The pool gives no worker.
pub(super) fn refused(error: StartError, pool: &PoolConfig) -> Error {
    let section = pool.section();
    match error {
        StartError::Overloaded => Error::Overloaded { max: pool.bounds.max_workers(), section },
        error => Error::Start(error),
    }
}

/// Names the node of a fault that the worker has found itself, when it sent an output of the stage.
pub(super) fn name_node(fault: &mut Fault, stage: &Stage) {
    if fault.node_id.is_empty() {
        fault.node_id = stage.nodes.last().map_or_else(String::new, |node| node.id.clone());
    }
}

/// A fault that the worker in this slot has reported, as the failure of its node.
pub(super) fn failure_of(mut fault: Fault, slot: &Slot) -> NodeFailure {
    let is_older = slot.protocol() < FACTS_SINCE;
    if let Some(import) = fault.import.as_deref_mut().filter(|_| is_older) {
        import.is_told = true;
    }
    let limits = &slot.quota.limits;
    let refused = Refused::explaining(limits, &fault.remote_type);
    NodeFailure {
        node_id: fault.node_id,
        operation: fault.kind,
        remote_type: fault.remote_type,
        message: fault.message,
        traceback: fault.traceback,
        import: fault.import,
        detail: fault.detail,
        advice: refused.map(Advice::Raise),
        tries: 1,
        kept: None,
        described: fault.raised.map(|raised| raised.described).unwrap_or_default(),
    }
}

/// An error of a node that the orchestrator itself has detected.
fn found(node_id: String, operation: FaultKind, remote_type: &str, message: String) -> Error {
    Error::Node(Box::new(NodeFailure {
        node_id,
        operation,
        remote_type: remote_type.to_owned(),
        message,
        traceback: String::new(),
        import: None,
        detail: None,
        advice: None,
        tries: 1,
        kept: None,
        described: String::new(),
    }))
}

pub(super) fn unsendable(stage: &Stage, error: &CodecError) -> Error {
    let message = format!("the input cannot be sent to a worker: {error}");
    let remote_type = if error.is_out_of_memory() { "MemoryError" } else { "ValueError" };
    found(first_node(stage), FaultKind::Marshal, remote_type, message)
}

pub(super) fn uneven(stage: &Stage) -> Error {
    let message = "join=\"zip\" needs the same number of items from every input, and one input had \
                   fewer; use join=\"interleave\", or let each branch give one output an item";
    found(first_node(stage), FaultKind::Process, "ValueError", message.to_owned())
}

fn first_node(stage: &Stage) -> String {
    stage.nodes.first().map_or_else(String::new, |node| node.id.clone())
}

/// The error for the end of the worker in a slot. `None` when the slot has no worker, or the caller
/// already has the error.
pub(super) fn end_of(slot: &mut Slot, plan: &Plan, peak_memory_bytes: u64) -> Option<Error> {
    let end = slot.end.take();
    let death = Death { process: slot.process()?, slot, plan };
    Some(match end {
        Some(End::Told) => return None,
        Some(End::Overdue(overdue)) => death.overdue(&overdue),
        // After a worker's death its segments have no names and cannot be mapped: it is a crash.
        Some(End::Link {
            broken: Some(LinkError::Lease(LeaseError::Unmappable { .. })),
            died_before: true,
        }) => death.crash(peak_memory_bytes),
        Some(End::Link { broken: Some(broken), .. }) if broken.is_out_of_memory() => {
            let pid = death.process.pid;
            let message =
                format!("the output is too large for this program: {broken}; {pid} was killed");
            found(death.running_node(), FaultKind::Marshal, "MemoryError", message)
        }
        Some(End::Link { broken: Some(broken), .. }) if !matches!(broken, LinkError::Io(_)) => {
            let message = format!("{broken}; the worker (pid {}) was killed", death.process.pid);
            found(death.running_node(), FaultKind::Protocol, "ProtocolError", message)
        }
        _ => death.crash(peak_memory_bytes),
    })
}

struct Death<'a> {
    process: &'a Process,
    slot: &'a Slot,
    plan: &'a Plan,
}

impl Death<'_> {
    fn running_node(&self) -> String {
        let seat = self.slot.running_seat();
        seat.map_or_else(String::new, |seat| node_id(self.plan, seat).to_owned())
    }

    /// The other nodes whose state died with the worker.
    fn also_lost(&self, lost: &str) -> Vec<String> {
        if !self.slot.loses_state {
            return Vec::new();
        }
        let others = self.slot.seats.iter().map(|seat| node_id(self.plan, *seat));
        others.filter(|id| *id != lost).map(str::to_owned).collect()
    }

    /// The operation in which the worker died: from its flight recorder, or else guessed from the
    /// state of the slot.
    fn operation(&self) -> FaultKind {
        let otherwise = match (self.slot.is_open, self.slot.is_cleaning_up) {
            (false, _) => FaultKind::Load,
            (true, true) => FaultKind::Cleanup,
            (true, false) => FaultKind::Process,
        };
        self.slot.running().map_or(otherwise, |running| running.operation)
    }

    fn overdue(&self, overdue: &Overdue) -> Error {
        let seat = overdue.running.map(|running| (running.stage, running.node));
        let node_id =
            seat.map_or_else(|| self.running_node(), |s| node_id(self.plan, s).to_owned());
        if let Deadline::Limit(excess) = overdue.deadline {
            return self.limit_exceeded(node_id, overdue, excess);
        }
        let operation = match (overdue.running, overdue.deadline) {
            (Some(running), _) => running.operation,
            (None, Deadline::Open) => FaultKind::Load,
            (None, Deadline::Close) => FaultKind::Cleanup,
            (None, _) => FaultKind::Process,
        };
        Error::TimedOut(Box::new(TimedOut {
            also_lost: self.also_lost(&node_id),
            node_id,
            operation,
            deadline: overdue.deadline,
            timeout: overdue.limit,
            pid: self.process.pid,
            python_stack: self.process.blackbox.stack(),
            stderr_tail: self.process.stderr_tail(),
            tries: 1,
        }))
    }

    fn limit_exceeded(&self, node_id: String, overdue: &Overdue, excess: Excess) -> Error {
        let operation = overdue.running.map_or_else(|| self.operation(), |it| it.operation);
        Error::LimitExceeded(Box::new(LimitExceeded {
            also_lost: self.also_lost(&node_id),
            node_id,
            operation,
            excess,
            arrays: crash::arrays(self.process),
            pid: self.process.pid,
            python_stack: self.process.blackbox.stack(),
            stderr_tail: self.process.stderr_tail(),
            tries: 1,
        }))
    }

    fn crash(&self, peak_memory_bytes: u64) -> Error {
        let node_id = self.running_node();
        if self.process.is_retired() {
            return Error::ShutDown { node_id };
        }
        let known = crash::Circumstances {
            also_lost: self.also_lost(&node_id),
            node_id,
            operation: self.operation(),
            peak_memory_bytes,
        };
        Error::Crashed(Box::new(crash::crash(self.slot, self.process, known)))
    }
}

pub(super) fn node_id(plan: &Plan, (stage, node): Seat) -> &str {
    plan.stages[stage].nodes.get(node).map_or("", |node| &node.id)
}
