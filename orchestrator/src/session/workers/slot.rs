//! One slot of a session: the worker in it, what it was given, and how it ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipc_protocol::version::PROTOCOL_VERSION;

use crate::placement::Engine;
use crate::schedule::{Overdue, Running, StageId};
use crate::worker::link::LinkError;
use crate::worker::process::Process;
use crate::worker::{Worker, memory};

/// A node as its worker counts it: the stage, and the place in the stage.
pub(in crate::session) type Seat = (StageId, usize);

/// One slot.
#[derive(Debug)]
pub(in crate::session) struct Slot {
    /// What its workers run.
    pub(in crate::session) interpreter: Engine,
    /// The worker; absent between a death and the next use.
    pub(in crate::session) worker: Option<Worker>,
    /// Nodes that the worker was given, in the order that it counts them in.
    pub(in crate::session) seats: Vec<Seat>,
    /// The call that each stage is busy with.
    pub(in crate::session) calls: BTreeMap<StageId, u64>,
    /// Its nodes are ready.
    pub(in crate::session) is_open: bool,
    /// It was told to clean up.
    pub(in crate::session) is_cleaning_up: bool,
    /// Why the worker ends, once it does.
    pub(in crate::session) end: Option<End>,
    /// The worker must not be one that sessions of other paths use.
    pub(in crate::session) wants_apart: bool,
}

/// Why a worker ends before its session does.
#[derive(Debug)]
pub(in crate::session) enum End {
    /// A deadline has passed.
    Overdue(Overdue),
    /// The caller has been told why.
    Told,
    /// Its connection has ended.
    Link {
        /// What was wrong with it; `None` when it just closed.
        broken: Option<LinkError>,
        /// The process had ended before that was noticed.
        died_before: bool,
    },
}

impl Slot {
    pub(super) fn new(interpreter: Engine) -> Self {
        Self {
            interpreter,
            worker: None,
            seats: Vec::new(),
            calls: BTreeMap::new(),
            is_open: false,
            is_cleaning_up: false,
            end: None,
            wants_apart: false,
        }
    }

    /// A worker comes; it has no nodes yet.
    pub(super) fn seat(&mut self, worker: Worker) {
        self.worker = Some(worker);
        self.seats.clear();
        self.calls.clear();
        self.is_open = false;
        self.is_cleaning_up = false;
        self.end = None;
    }

    /// Messages of its worker are ignored from here on.
    pub(super) fn is_deaf(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn heard(&mut self) -> Option<&mut Worker> {
        if self.is_deaf() { None } else { self.worker.as_mut() }
    }

    pub(in crate::session) fn process(&self) -> Option<&Arc<Process>> {
        self.worker.as_ref().map(|worker| &worker.process)
    }

    /// The stage of a message, if the message belongs to the call that is under way there.
    pub(in crate::session) fn current(&self, stage: u32, call: u64) -> Option<StageId> {
        let stage = usize::try_from(stage).ok()?;
        (self.calls.get(&stage) == Some(&call)).then_some(stage)
    }

    /// The version of the protocol that its worker speaks.
    pub(in crate::session) fn protocol(&self) -> u32 {
        self.worker.as_ref().map_or(PROTOCOL_VERSION, |worker| worker.protocol)
    }

    pub(in crate::session) fn has_exited(&self) -> bool {
        self.process().is_some_and(|process| process.exit().is_some())
    }

    pub(in crate::session) fn resident_bytes(&self) -> u64 {
        self.process().map_or(0, |process| memory::resident_bytes(process.pid))
    }

    /// What runs in the worker, as its flight recorder says.
    pub(in crate::session) fn running(&self) -> Option<Running> {
        let note = self.process()?.blackbox.note()?;
        let (stage, node) = *self.seats.get(note.node)?;
        Some(Running { stage, node, operation: note.operation?, since: note.since? })
    }

    /// The node that runs, as the flight recorder says; else the first of a stage with a call under
    /// way, else the first of all.
    pub(in crate::session) fn running_seat(&self) -> Option<Seat> {
        let noted = self.process()?.blackbox.note();
        let noted = noted.and_then(|note| self.seats.get(note.node).copied());
        let called = || self.calls.keys().min().map(|stage| (*stage, 0));
        noted.or_else(called).or_else(|| self.seats.first().copied())
    }
}
