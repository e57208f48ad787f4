//! One slot of a session: the worker in it, what it was given, and how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipc_protocol::from_worker::{Done, Failed, FromWorker, LogRecord, Output};
use ipc_protocol::version::PROTOCOL_VERSION;
use ipc_protocol::{ToWorker, Value};

use crate::config::PoolBounds;
use crate::limits::{Excess, Limits};
use crate::placement::{Engine, PoolId};
use crate::schedule::{Ahead, Event, Overdue, Running, SlotId, StageId};
use crate::session::quota::Quota;
use crate::worker::link::{LinkError, Sent};
use crate::worker::process::Process;
use crate::worker::{Worker, memory};

/// A node of the session: its stage, and its index in the stage.
pub(in crate::session) type Seat = (StageId, usize);

/// A worker slot of a session.
#[derive(Debug)]
pub(in crate::session) struct Slot {
    /// The pool of its workers.
    pub(in crate::session) pool: PoolId,
    /// The engine of its workers.
    pub(in crate::session) interpreter: Engine,
    /// The worker; absent between a death and the next use.
    pub(in crate::session) worker: Option<Worker>,
    /// The nodes of the worker, in the order in which the worker numbers them.
    pub(in crate::session) seats: Vec<Seat>,
    /// The number of each stage's running call.
    pub(in crate::session) calls: BTreeMap<StageId, u64>,
    /// The stages whose running call is being ended: its end is no success.
    pub(in crate::session) aborted: BTreeSet<StageId>,
    /// The calls that the worker has, and that have not begun.
    pub(in crate::session) ahead: Ahead<FromWorker>,
    /// What it took to send them; taken when the first begins.
    pub(in crate::session) sent_ahead: Option<Sent>,
    /// Whether its nodes are ready.
    pub(in crate::session) is_open: bool,
    /// Whether the worker was asked to clean up.
    pub(in crate::session) is_cleaning_up: bool,
    /// Whether the worker was killed because it did not end after its connection had.
    pub(in crate::session) is_killed: bool,
    /// How often the kernel had killed processes for lack of memory when the worker began to make its nodes.
    pub(in crate::session) kills_before: Option<u64>,
    /// Why the worker ends, once it does.
    pub(in crate::session) end: Option<End>,
    /// Whether the slot needs a worker that no session with another search path uses.
    pub(in crate::session) wants_apart: bool,
    /// Whether the session goes on without its worker, until that is open: it serves a further replica.
    pub(in crate::session) is_borrowed: bool,
    /// What its worker may use.
    pub(in crate::session) quota: Quota,
    /// Whether the state of its nodes is lost when its worker dies.
    pub(in crate::session) loses_state: bool,
}

/// Why a worker ends before its session does.
#[derive(Debug)]
pub(in crate::session) enum End {
    /// A deadline has passed.
    Overdue(Overdue),
    /// It broke the protocol; the caller already has the error.
    Told,
    /// Its connection has ended.
    Link {
        /// What was wrong with it; `None` when it just closed.
        broken: Option<LinkError>,
        /// Whether the process had exited before the end of the connection was noticed.
        died_before: bool,
    },
}

impl Slot {
    pub(super) fn new((pool, interpreter): (PoolId, Engine)) -> Self {
        Self {
            pool,
            interpreter,
            worker: None,
            seats: Vec::new(),
            calls: BTreeMap::new(),
            aborted: BTreeSet::new(),
            ahead: Ahead::default(),
            sent_ahead: None,
            is_open: false,
            is_cleaning_up: false,
            is_killed: false,
            kills_before: None,
            end: None,
            wants_apart: false,
            is_borrowed: false,
            quota: Quota::default(),
            loses_state: true,
        }
    }

    /// Puts a worker into the slot. The worker has no nodes yet.
    pub(super) fn seat(&mut self, worker: Worker) {
        self.worker = Some(worker);
        self.seats.clear();
        self.calls.clear();
        self.aborted.clear();
        self.ahead = Ahead::default();
        self.is_open = false;
        self.is_cleaning_up = false;
        self.is_killed = false;
        self.kills_before = None;
        self.end = None;
    }

    /// Notes how often the kernel has killed processes for lack of memory before the worker runs node code.
    pub(in crate::session) fn count_kills(&mut self) {
        self.kills_before = memory::group::kills();
    }

    /// Limits the slot's worker, until it is returned. Returns a record for the host if that fails.
    pub(in crate::session) fn limit(&mut self, limits: Limits) -> Option<LogRecord> {
        self.quota.begin(limits, &self.worker.as_ref()?.process)
    }

    /// Changes the limits of the slot's worker. What it has used so far still counts.
    pub(in crate::session) fn change_limits(&mut self, limits: Limits) -> Option<LogRecord> {
        self.quota.change(limits, &self.worker.as_ref()?.process)
    }

    /// A call of a stage begins in the worker.
    pub(in crate::session) fn begin_call(&mut self, stage: StageId, call: u64) {
        self.calls.insert(stage, call);
        self.aborted.remove(&stage);
        if let Some(worker) = &mut self.worker {
            worker.served.calls += 1;
        }
    }

    /// Notes the stage whose call a message ends, and what else it drops.
    pub(super) fn note_abort(&mut self, message: &ToWorker) {
        if matches!(message, ToWorker::Close) {
            self.ahead = Ahead::default();
        }
        if let ToWorker::Abort(stage) = message
            && let Ok(stage) = StageId::try_from(*stage)
        {
            self.aborted.insert(stage);
            self.ahead = Ahead::default();
        }
    }

    /// The call of a stage has ended. Returns whether it came to its own end.
    pub(in crate::session) fn end_call(&mut self, stage: StageId) -> bool {
        self.calls.remove(&stage);
        !self.aborted.remove(&stage)
    }

    /// The call of a stage has failed, and with it the rest of its batch.
    pub(in crate::session) fn fail_call(&mut self, stage: StageId) {
        self.calls.remove(&stage);
        self.ahead = Ahead::default();
    }

    /// The event for an output: it ends the worker if it is too large.
    pub(in crate::session) fn checked(
        &mut self,
        slot: SlotId,
        stage: StageId,
        output: Value,
    ) -> Event<Value> {
        self.begin_step();
        match self.quota.excess_of(&output) {
            Some(excess) => Event::Exceeded(slot, excess),
            None => Event::Output(stage, output),
        }
    }

    /// Node code begins in the worker, goes on, or has given an output.
    pub(super) fn begin_step(&mut self) {
        if let Some(worker) = &self.worker {
            self.quota.begin_step(&worker.process);
        }
    }

    /// The limit that the worker exceeds now, if any.
    pub(in crate::session) fn measure(&self) -> Option<Excess> {
        self.quota.measure(self.process()?)
    }

    /// Whether the worker is at calls of which none has begun here. Its death belongs to the next one.
    pub(in crate::session) fn is_ahead(&self) -> bool {
        self.calls.is_empty() && !self.ahead.is_empty()
    }

    /// Whether messages of its worker are ignored, because it ends.
    pub(super) fn is_deaf(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn heard(&mut self) -> Option<&mut Worker> {
        if self.is_deaf() { None } else { self.worker.as_mut() }
    }

    /// Its worker, if that has a running call, or opens or closes the session.
    pub(super) fn waited_for(&mut self) -> Option<&mut Worker> {
        let has_calls = !self.calls.is_empty();
        self.heard().filter(|worker| has_calls || worker.patience.is_turning())
    }

    pub(in crate::session) fn process(&self) -> Option<&Arc<Process>> {
        self.worker.as_ref().map(|worker| &worker.process)
    }

    /// The process id of its worker; 0 without one.
    pub(in crate::session) fn pid(&self) -> u32 {
        self.process().map_or(0, |process| process.pid)
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

    /// Called when the session has closed in the worker. Whether the worker is to be replaced.
    pub(in crate::session) fn end_session(&mut self, bounds: &PoolBounds) -> bool {
        let Some(worker) = &mut self.worker else { return false };
        let pid = worker.process.pid;
        worker.served.end_session(bounds, || memory::resident_bytes(pid))
    }

    /// The node code that runs in the worker, read from its flight recorder.
    pub(in crate::session) fn running(&self) -> Option<Running> {
        let note = self.process()?.blackbox.note()?;
        let (stage, node) = *self.seats.get(note.node)?;
        Some(Running { stage, node, operation: note.operation?, since: note.since? })
    }

    /// The node that runs: the one in the flight recorder; else the first node of a stage that has
    /// a running call; else the slot's first node.
    pub(in crate::session) fn running_seat(&self) -> Option<Seat> {
        let noted = self.process()?.blackbox.note();
        let noted = noted.and_then(|note| self.seats.get(note.node).copied());
        let called = || self.calls.keys().min().map(|stage| (*stage, 0));
        noted.or_else(called).or_else(|| self.seats.first().copied())
    }
}

/// The number of the call that a message answers.
pub(super) fn answered(message: &FromWorker) -> Option<u64> {
    match message {
        FromWorker::Output(Output { call, .. })
        | FromWorker::Done(Done { call, .. })
        | FromWorker::Failed(Failed { call, stage: Some(_), .. }) => Some(*call),
        _ => None,
    }
}
