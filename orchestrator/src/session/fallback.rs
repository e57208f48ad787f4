//! Nodes that leave RustPython for CPython: what happens on that interpreter is told to the memory of
//! the runtime, inputs are kept until something came of them, and stages that have to move do.

use ipc_protocol::Value;
use ipc_protocol::from_worker::LogRecord;

use super::Session;
use super::memory::{INFORMATION, WARNING, notice};
use super::slot::{Slot, slot_of};
use crate::error::{Error, NodeFailure};
use crate::fallback::store::age;
use crate::fallback::{Code, Judgement, Reason, advice, clause, judge, one_line};
use crate::plan::{Place, Plan, PlannedNode, Runtime, Stage};
use crate::schedule::{Event, SlotId, StageId, Work};

/// What the session knows of a stage on RustPython.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Its nodes gave something in this session.
    has_given: bool,
    /// The call under way gave something.
    call_gave: bool,
    /// Its last call failed.
    has_failed: bool,
    /// What the call under way is about.
    kept: Option<Work<Value>>,
}

impl Watched {
    /// One a stage; nothing for those on other interpreters.
    pub(super) fn of(plan: &Plan) -> Vec<Option<Self>> {
        let is_watched = |stage: &Stage| runtime_of(stage) == Runtime::RustPython;
        plan.stages.iter().map(|stage| is_watched(stage).then(Self::default)).collect()
    }
}

/// What runs a stage.
pub(super) fn runtime_of(stage: &Stage) -> Runtime {
    stage.nodes.first().map_or(Runtime::Native, |node| node.runtime)
}

impl Session {
    /// A call begins: its input is kept where it may have to be given to another interpreter.
    pub(super) fn keep(&mut self, stage: StageId, work: &Work<Value>) {
        let is_alone = self.plan.stages[stage].nodes.len() == 1;
        let Some(watched) = &mut self.watched[stage] else { return };
        watched.call_gave = false;
        let may_move = is_alone && (!watched.has_given || watched.has_failed);
        watched.kept = (may_move && self.fallback).then(|| work.clone());
    }

    /// A call gave something.
    pub(super) fn note_output(&mut self, stage: StageId) {
        if let Some(watched) = &mut self.watched[stage] {
            watched.call_gave = true;
        }
    }

    /// A call ended well.
    pub(super) fn note_success(&mut self, stage: StageId) {
        if let Some(record) = self.held_back.remove(&stage) {
            self.notices.push(record);
        }
        let Some(watched) = &mut self.watched[stage] else { return };
        watched.kept = None;
        let is_news = !watched.has_given || watched.has_failed;
        watched.has_given = true;
        watched.has_failed = false;
        if !is_news {
            return;
        }
        for node in 0..self.plan.stages[stage].nodes.len() {
            if let Some(code) = self.code(stage, node) {
                self.runtime.memory().succeeded(&code.key);
            }
        }
    }

    /// What becomes of a stage whose call failed: an event for the core, and the error that the
    /// caller is told of, if there is one.
    pub(super) fn weigh(
        &mut self,
        stage: StageId,
        mut failure: NodeFailure,
    ) -> (Event<Value>, Option<Error>) {
        let failed = |failure| (Event::Failed(stage), Some(Error::Node(Box::new(failure))));
        let Some(node) = self.watched_node(stage, &failure.node_id) else {
            let held = self.held_back.remove(&stage);
            if !self.reconsider(&failure) {
                self.notices.extend(held);
            }
            return failed(failure);
        };
        let judgement = judge(&failure);
        if !self.fallback {
            if let Judgement::Move(reason) = judgement {
                failure.advice = advice(&reason, &failure.message);
            }
            return failed(failure);
        }
        let is_known = matches!(judgement, Judgement::Move(_));
        let reason = self.learn(stage, node, judgement, &one_line(&failure));
        let Some(watched) = &mut self.watched[stage] else { return failed(failure) };
        watched.has_failed = true;
        let work = watched.kept.take().filter(|_| !watched.call_gave);
        let Some(reason) = reason else { return failed(failure) };
        let loses_state = watched.has_given;
        if self.plan.stages[stage].nodes.len() > 1 || (is_known && loses_state) {
            self.decided(stage, node, &reason);
            failure.advice = Some(format!("The next session runs it on CPython: {reason}"));
            return failed(failure);
        }
        let error = work.is_none().then(|| Error::Node(Box::new(failure)));
        (self.moved(stage, reason, work, loses_state), error)
    }

    /// A worker died, or was stopped, in a call: whether the stage moves with its input, so that
    /// the caller need not be told.
    pub(super) fn weigh_death(&mut self, slot: SlotId, error: &Error) -> bool {
        let (Error::Crashed(_) | Error::TimedOut(_)) = error else { return false };
        for stage in &self.slots[slot].stages {
            self.notices.extend(self.held_back.remove(stage));
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
        let reason = self.learn(stage, node, Judgement::Count, &line);
        if let (Some(reason), true) = (&reason, self.plan.stages[stage].nodes.len() > 1) {
            self.decided(stage, node, reason);
        }
        let Some(watched) = &mut self.watched[stage] else { return false };
        watched.has_failed = true;
        // Whoever lost something beside it has to be told.
        let is_alone = self.slots[slot].opened == [stage];
        let work = watched.kept.take().filter(|_| is_alone && !watched.call_gave);
        let (Some(reason), 1) = (reason, self.plan.stages[stage].nodes.len()) else { return false };
        let is_kept = work.is_some();
        let event = self.moved(stage, reason, work, true);
        self.pending.push(event);
        is_kept
    }

    /// Why nodes of a session that did not open run on CPython in the next try; none when the
    /// failure is nothing of RustPython's.
    pub(super) fn moved_by(&mut self, error: &Error) -> Vec<(String, Reason)> {
        let Some(slot) = self.failed_slot.filter(|_| self.fallback) else { return Vec::new() };
        if self.slots[slot].runtime != Runtime::RustPython {
            return Vec::new();
        }
        let judgement = match error {
            Error::Node(failure) => judge(failure),
            Error::Crashed(crash) => {
                Judgement::Move(Reason::Died { error: clause(&crash.headline()) })
            }
            Error::Ship(problem) => {
                Judgement::Move(Reason::Shipment { error: clause(&problem.message) })
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
                    && let Some(reason) = self.learn(stage, node, judgement.clone(), &line)
                {
                    all.push((id, reason));
                }
            }
        }
        all
    }

    /// A failure of opening with what the caller can change, where RustPython is why.
    pub(super) fn with_advice(&self, error: Error) -> Error {
        let on_rustpython =
            self.failed_slot.is_some_and(|slot| self.slots[slot].runtime == Runtime::RustPython);
        if !on_rustpython || self.fallback {
            return error;
        }
        match error {
            Error::Node(mut failure) => {
                if let Judgement::Move(reason) = judge(&failure) {
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

    /// Tells the memory what happened. Gives the reason to move the node, if it has to.
    fn learn(
        &self,
        stage: StageId,
        node: usize,
        judgement: Judgement,
        line: &str,
    ) -> Option<Reason> {
        match (judgement, self.code(stage, node)) {
            (Judgement::Nothing, _) | (Judgement::Count, None) => None,
            (Judgement::Move(reason), code) => {
                if let Some(code) = code {
                    self.runtime.remember(code, &reason);
                }
                Some(reason)
            }
            (Judgement::Count, Some(code)) => {
                let limit = self.runtime.config().fallback.failures;
                self.runtime.memory().failed(&code.key, line.to_owned(), limit)
            }
        }
    }

    /// A node is to move that cannot move in this session: says so, once.
    fn decided(&mut self, stage: StageId, node: usize, reason: &Reason) {
        if self.metrics.set_decided(self.first_node[stage] + node, reason) {
            let id = &self.plan.stages[stage].nodes[node].id;
            let message = format!("node '{id}' runs on CPython from the next session on: {reason}");
            self.notices.push(notice(id, WARNING, message));
        }
        self.tell_store_trouble();
    }

    /// Says, once, when decisions of earlier runs cannot be read, or this one not kept.
    pub(super) fn tell_store_trouble(&mut self) {
        let trouble = self.runtime.store_trouble();
        self.notices.extend(trouble.map(|text| notice("", WARNING, text)));
    }

    /// A node failed on CPython. When it had moved there for want of a module that is nowhere, it
    /// had no reason to, and that is forgotten.
    pub(super) fn reconsider(&mut self, failure: &NodeFailure) -> bool {
        for stage in 0..self.plan.stages.len() {
            for node in 0..self.plan.stages[stage].nodes.len() {
                let planned = &self.plan.stages[stage].nodes[node];
                let is_it = planned.id == failure.node_id
                    && planned.moved.as_ref().is_some_and(|why| why.is_disproved_by(failure));
                if is_it {
                    if let Some(code) = self.code(stage, node) {
                        self.runtime.unlearn(code);
                    }
                    self.metrics.set_stayed(self.first_node[stage] + node);
                    return true;
                }
            }
        }
        false
    }

    fn code(&self, stage: StageId, node: usize) -> Option<&Code> {
        self.plan.stages[stage].nodes[node].code.as_ref()
    }

    /// The place of a node in its stage, when the stage runs on RustPython. A failure that names no
    /// node is the first one's.
    fn watched_node(&self, stage: StageId, id: &str) -> Option<usize> {
        self.watched[stage].as_ref()?;
        let nodes = &self.plan.stages[stage].nodes;
        if id.is_empty() { Some(0) } else { nodes.iter().position(|node| node.id == id) }
    }

    fn stage_of(&self, slot: SlotId, id: &str) -> Option<StageId> {
        let has = |stage: &&StageId| self.plan.stages[**stage].nodes.iter().any(|n| n.id == id);
        self.slots[slot].stages.iter().find(has).copied()
    }

    /// Gives a stage a slot of its own on CPython. Its worker comes when it is first needed.
    fn moved(
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
        self.slots.push(Slot::new(Runtime::CPython, vec![stage]));
        self.plan.worker_slots = self.slots.len();
        self.plan.stages[stage].place = Place::Worker { slot };
        self.watched[stage] = None;
        if let Some(node) = self.plan.stages[stage].nodes.first_mut() {
            node.runtime = Runtime::CPython;
            node.moved = Some(reason.clone());
            let record = move_notice(&node.id, &reason, loses_state);
            // A move that was for nothing is nothing to tell.
            match reason.is_doubtful() {
                true => drop(self.held_back.insert(stage, record)),
                false => self.notices.push(record),
            }
        }
        self.tell_store_trouble();
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

/// Tells of a node that moves.
pub(super) fn move_notice(node_id: &str, reason: &Reason, loses_state: bool) -> LogRecord {
    let state = if loses_state { " Its state begins anew there." } else { "" };
    let why = reason.to_string();
    let hint = match why.contains("runtime_hint") {
        true => "",
        false => " runtime_hint=\"cpython\" puts it there from the start",
    };
    let end = if state.is_empty() && hint.is_empty() { "" } else { "." };
    let message =
        format!("node '{node_id}' moves from RustPython to CPython: {why}{end}{state}{hint}");
    notice(node_id, WARNING, message)
}

/// Tells of nodes that run on CPython because of what is remembered.
pub(super) fn remembered_notice(node: &PlannedNode) -> Option<LogRecord> {
    let reason = node.moved.as_ref()?;
    let when = node.decided_at.map_or_else(String::new, |at| {
        format!(" (found {}; `remotemedia forget` has it tried again)", age(at))
    });
    let message = format!("node '{}' runs on CPython, not on RustPython: {reason}{when}", node.id);
    Some(notice(&node.id, INFORMATION, message))
}
