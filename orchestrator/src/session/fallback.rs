//! Nodes that leave RustPython for CPython. What happens on RustPython is recorded in the runtime's
//! findings; the input of a call is kept until the call gave an output, so that a stage that has to
//! move takes its input along.

use ipc_protocol::Value;
use ipc_protocol::from_worker::LogRecord;

use super::Session;
use super::memory::{INFORMATION, WARNING, notice};
use super::slot::{Slot, slot_of};
use crate::error::Error;
use crate::failure::NodeFailure;
use crate::fallback::{FailureClass, Reason, advice, classify, clause, one_line};
use crate::placement::Engine;
use crate::plan::{Place, Plan, PlannedNode, Stage};
use crate::schedule::{Event, SlotId, StageId, Work};

/// The state of a stage on RustPython, as far as a move depends on it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// A call of this session succeeded, so its nodes may hold state.
    has_succeeded: bool,
    /// The current call gave an output.
    call_gave: bool,
    /// The last call failed.
    has_failed: bool,
    /// The work of the current call, kept in case the stage moves.
    kept: Option<Work<Value>>,
}

impl Watched {
    /// One entry per stage; `None` for stages on other interpreters.
    pub(super) fn of(plan: &Plan) -> Vec<Option<Self>> {
        let is_watched = |stage: &Stage| runtime_of(stage) == Engine::RustPython;
        plan.stages.iter().map(|stage| is_watched(stage).then(Self::default)).collect()
    }
}

/// The interpreter that runs a stage.
pub(super) fn runtime_of(stage: &Stage) -> Engine {
    stage.nodes.first().map_or(Engine::Native, |node| node.runtime)
}

impl Session {
    /// A call begins. Keeps its input if the stage may still move in this session.
    pub(super) fn keep_input(&mut self, stage: StageId, work: &Work<Value>) {
        let is_alone = self.plan.stages[stage].nodes.len() == 1;
        let Some(watched) = &mut self.watched[stage] else { return };
        watched.call_gave = false;
        let may_move = is_alone && (!watched.has_succeeded || watched.has_failed);
        watched.kept = (may_move && self.fallback).then(|| work.clone());
    }

    /// The current call gave an output.
    pub(super) fn note_output(&mut self, stage: StageId) {
        if let Some(watched) = &mut self.watched[stage] {
            watched.call_gave = true;
        }
    }

    /// A call succeeded.
    pub(super) fn note_success(&mut self, stage: StageId) {
        if let Some(record) = self.deferred_notices.remove(&stage) {
            self.notices.push(record);
        }
        let Some(watched) = &mut self.watched[stage] else { return };
        watched.kept = None;
        let is_news = !watched.has_succeeded || watched.has_failed;
        watched.has_succeeded = true;
        watched.has_failed = false;
        if !is_news {
            return;
        }
        for node in 0..self.plan.stages[stage].nodes.len() {
            if let Some(digest) = self.code_digest(stage, node) {
                self.runtime.findings().record_success(digest);
            }
        }
    }

    /// Decides what follows from a failed call: an event for the core, and the error for the caller.
    /// There is no error when the stage moves and its input is run again.
    pub(super) fn handle_failure(
        &mut self,
        stage: StageId,
        mut failure: NodeFailure,
    ) -> (Event<Value>, Option<Error>) {
        let failed = |failure| (Event::Failed(stage), Some(Error::Node(Box::new(failure))));
        let Some(node) = self.watched_node(stage, &failure.node_id) else {
            let deferred = self.deferred_notices.remove(&stage);
            if !self.retract(&failure) {
                self.notices.extend(deferred);
            }
            return failed(failure);
        };
        let class = classify(&failure);
        if !self.fallback {
            if let FailureClass::Unsupported(reason) = class {
                failure.advice = advice(&reason, &failure.message);
            }
            return failed(failure);
        }
        let is_known = matches!(class, FailureClass::Unsupported(_));
        let reason = self.record_failure(stage, node, class, &one_line(&failure));
        let Some(watched) = &mut self.watched[stage] else { return failed(failure) };
        watched.has_failed = true;
        let work = watched.kept.take().filter(|_| !watched.call_gave);
        let Some(reason) = reason else { return failed(failure) };
        let loses_state = watched.has_succeeded;
        if self.plan.stages[stage].nodes.len() > 1 || (is_known && loses_state) {
            self.move_next_session(stage, node, &reason);
            failure.advice = Some(format!("The next session runs it on CPython: {reason}"));
            return failed(failure);
        }
        let error = work.is_none().then(|| Error::Node(Box::new(failure)));
        (self.move_stage(stage, reason, work, loses_state), error)
    }

    /// A worker died, or was stopped, in a call. Returns true when the stage moves with its input, so
    /// the caller gets no error.
    pub(super) fn handle_death(&mut self, slot: SlotId, error: &Error) -> bool {
        let (Error::Crashed(_) | Error::TimedOut(_)) = error else { return false };
        for stage in &self.slots[slot].stages {
            self.notices.extend(self.deferred_notices.remove(stage));
        }
        if !self.fallback || !self.is_open || !self.slots[slot].is_open {
            return false;
        }
        let Some(stage) = node_of(error).and_then(|id| self.stage_of(slot, id)) else {
            return false;
        };
        let Some(node) = self.watched_node(stage, node_of(error).unwrap_or_default()) else {
            return false;
        };
        let line = clause(error.to_string().lines().next().unwrap_or_default());
        let reason = self.record_failure(stage, node, FailureClass::Unknown, &line);
        if let (Some(reason), true) = (&reason, self.plan.stages[stage].nodes.len() > 1) {
            self.move_next_session(stage, node, reason);
        }
        let Some(watched) = &mut self.watched[stage] else { return false };
        watched.has_failed = true;
        // If other stages shared the worker, their callers must get the error.
        let is_alone = self.slots[slot].opened == [stage];
        let work = watched.kept.take().filter(|_| is_alone && !watched.call_gave);
        let (Some(reason), 1) = (reason, self.plan.stages[stage].nodes.len()) else { return false };
        let is_kept = work.is_some();
        let event = self.move_stage(stage, reason, work, true);
        self.pending.push(event);
        is_kept
    }

    /// The nodes that must run on CPython before the session can open, with the reasons. Empty when
    /// RustPython is not the cause of the failure.
    pub(super) fn moves_after(&mut self, error: &Error) -> Vec<(String, Reason)> {
        let Some(slot) = self.failed_slot.filter(|_| self.fallback) else { return Vec::new() };
        if self.slots[slot].runtime != Engine::RustPython {
            return Vec::new();
        }
        let class = match error {
            Error::Node(failure) => classify(failure),
            Error::Crashed(crash) => {
                FailureClass::Unsupported(Reason::Died { error: clause(&crash.headline()) })
            }
            Error::Ship(problem) => {
                FailureClass::Unsupported(Reason::Shipment { error: clause(&problem.message) })
            }
            _ => return Vec::new(),
        };
        let line = match error {
            Error::Node(failure) => one_line(failure),
            other => other.to_string(),
        };
        let culprit = node_of(error).filter(|id| !id.is_empty()).map(str::to_owned);
        let mut all = Vec::new();
        for stage in self.slots[slot].stages.clone() {
            for node in 0..self.plan.stages[stage].nodes.len() {
                let id = self.plan.stages[stage].nodes[node].id.clone();
                if culprit.as_ref().is_none_or(|culprit| *culprit == id)
                    && let Some(reason) = self.record_failure(stage, node, class.clone(), &line)
                {
                    all.push((id, reason));
                }
            }
        }
        all
    }

    /// Adds advice to the error of a session that did not open, if RustPython is the cause.
    pub(super) fn with_advice(&self, error: Error) -> Error {
        let on_rustpython =
            self.failed_slot.is_some_and(|slot| self.slots[slot].runtime == Engine::RustPython);
        if !on_rustpython || self.fallback {
            return error;
        }
        match error {
            Error::Node(mut failure) => {
                if let FailureClass::Unsupported(reason) = classify(&failure) {
                    failure.advice = advice(&reason, &failure.message);
                }
                Error::Node(failure)
            }
            Error::Ship(mut problem) => {
                let reason = Reason::Shipment { error: clause(&problem.message) };
                problem.advice = advice(&reason, &problem.message);
                Error::Ship(problem)
            }
            other => other,
        }
    }

    /// Records a failure on RustPython. Returns the reason to move the node, if it has to move.
    fn record_failure(
        &self,
        stage: StageId,
        node: usize,
        class: FailureClass,
        line: &str,
    ) -> Option<Reason> {
        match (class, self.code_digest(stage, node)) {
            (FailureClass::Unrelated, _) | (FailureClass::Unknown, None) => None,
            (FailureClass::Unsupported(reason), digest) => {
                if let Some(digest) = digest {
                    self.runtime.findings().record_unsupported(digest, reason.clone());
                }
                Some(reason)
            }
            (FailureClass::Unknown, Some(digest)) => {
                let limit = self.runtime.config().fallback.failures;
                self.runtime.findings().record_failure(digest, line.to_owned(), limit)
            }
        }
    }

    /// Announces, once, that a node which cannot move in this session moves in the next.
    fn move_next_session(&mut self, stage: StageId, node: usize, reason: &Reason) {
        if self.metrics.set_decided(self.first_node[stage] + node, reason) {
            let id = &self.plan.stages[stage].nodes[node].id;
            let message = format!("node '{id}' runs on CPython from the next session on: {reason}");
            self.notices.push(notice(id, WARNING, message));
        }
    }

    /// A node failed on CPython. If it had moved because of a module that CPython lacks too, the
    /// finding is dropped. Returns true in that case.
    pub(super) fn retract(&mut self, failure: &NodeFailure) -> bool {
        for stage in 0..self.plan.stages.len() {
            for node in 0..self.plan.stages[stage].nodes.len() {
                let planned = &self.plan.stages[stage].nodes[node];
                let is_it = planned.id == failure.node_id
                    && planned.moved.as_ref().is_some_and(|why| why.is_disproved_by(failure));
                if is_it {
                    if let Some(digest) = self.code_digest(stage, node) {
                        self.runtime.findings().retract(digest);
                    }
                    self.metrics.set_stayed(self.first_node[stage] + node);
                    return true;
                }
            }
        }
        false
    }

    fn code_digest(&self, stage: StageId, node: usize) -> Option<&str> {
        self.plan.stages[stage].nodes[node].code_digest.as_deref()
    }

    /// The index of a node in its stage, if the stage runs on RustPython. A failure without a node
    /// id counts for the first node.
    fn watched_node(&self, stage: StageId, id: &str) -> Option<usize> {
        self.watched[stage].as_ref()?;
        let nodes = &self.plan.stages[stage].nodes;
        if id.is_empty() { Some(0) } else { nodes.iter().position(|node| node.id == id) }
    }

    fn stage_of(&self, slot: SlotId, id: &str) -> Option<StageId> {
        let has = |stage: &&StageId| self.plan.stages[**stage].nodes.iter().any(|n| n.id == id);
        self.slots[slot].stages.iter().find(has).copied()
    }

    /// Gives a stage a slot of its own on CPython. Its worker is acquired at the next call.
    fn move_stage(
        &mut self,
        stage: StageId,
        reason: Reason,
        work: Option<Work<Value>>,
        loses_state: bool,
    ) -> Event<Value> {
        if let Some(old) = slot_of(&self.slots, stage) {
            self.slots[old].stages.retain(|other| *other != stage);
            self.slots[old].calls.remove(&stage);
        }
        let slot = self.slots.len();
        self.slots.push(Slot::new(Engine::CPython, vec![stage]));
        self.plan.worker_slots = self.slots.len();
        self.plan.stages[stage].place = Place::Worker { slot };
        self.watched[stage] = None;
        if let Some(node) = self.plan.stages[stage].nodes.first_mut() {
            node.runtime = Engine::CPython;
            node.moved = Some(reason.clone());
            let record = move_notice(&node.id, &reason, loses_state);
            // If CPython may lack the module too, the move is announced after the first success.
            match reason.is_doubtful() {
                true => drop(self.deferred_notices.insert(stage, record)),
                false => self.notices.push(record),
            }
        }
        self.metrics.set_moved(self.first_node[stage], reason);
        Event::Moved { stage, slot, work }
    }
}

/// The node that an error is about.
fn node_of(error: &Error) -> Option<&str> {
    match error {
        Error::Node(failure) => Some(&failure.node_id),
        Error::Crashed(crash) => Some(&crash.node_id),
        Error::TimedOut(over) => Some(&over.node_id),
        Error::Ship(problem) => problem.node_id.as_deref(),
        _ => None,
    }
}

/// The log record of a node that moves.
pub(super) fn move_notice(node_id: &str, reason: &Reason, loses_state: bool) -> LogRecord {
    let state = if loses_state { ". Its state is lost" } else { "" };
    let hint = match reason {
        // Its text says what to do.
        Reason::Shipment { .. } => "",
        _ => ". runtime_hint=\"cpython\" starts it there",
    };
    let message =
        format!("node '{node_id}' moves from RustPython to CPython: {reason}{state}{hint}");
    notice(node_id, WARNING, message)
}

/// The log record of a node that runs on CPython because of an earlier session of this process.
pub(super) fn moved_before_notice(node: &PlannedNode) -> Option<LogRecord> {
    let reason = node.moved.as_ref()?;
    let message = format!("node '{}' runs on CPython, not on RustPython: {reason}", node.id);
    Some(notice(&node.id, INFORMATION, message))
}
