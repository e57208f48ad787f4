//! Decides which nodes move from RustPython to CPython, and when. Pure: the session carries
//! verdicts out. The input of a call is kept, so that a stage that moves can repeat the call,
//! unless the call has already given an output.

use std::collections::BTreeMap;

use ipc_protocol::Value;
use ipc_protocol::from_worker::LogRecord;

use super::journal::{INFORMATION, WARNING, notice};
use crate::error::Error;
use crate::failure::NodeFailure;
use crate::fallback::{FailureClass, Findings, classify, clause, one_line};
use crate::placement::Engine;
use crate::plan::{Plan, PlannedNode, Stage};
use crate::reason::{Advice, Reason};
use crate::schedule::{StageId, Work};

/// What the session knows of its stages on RustPython.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    /// Whether nodes may move from RustPython to CPython.
    pub(super) is_enabled: bool,
    /// Failures of unknown cause in a row after which a node moves; 0: it never moves for them.
    failures: u32,
    /// One entry per stage; `None` for stages that RustPython does not run.
    watched: Vec<Option<Watched>>,
    /// Notices of moves, held back until the stage has run on CPython, which may lack the same
    /// module.
    held: BTreeMap<StageId, LogRecord>,
    /// Log records that the host has not got yet.
    notices: Vec<LogRecord>,
}

/// The state of a stage on RustPython, as far as a move depends on it.
#[derive(Debug, Default)]
struct Watched {
    /// A call in this session has succeeded, so the stage's nodes may hold state.
    has_succeeded: bool,
    /// The current call has given an output.
    call_gave: bool,
    /// The last call failed.
    has_failed: bool,
    /// The work of the current call, kept in case the stage moves.
    kept: Option<Work<Value>>,
}

/// What the session does about a failure.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The caller gets the error.
    Tell,
    /// The caller gets the error, and the next session runs the node on CPython.
    MoveNext {
        /// Index of the node in its stage.
        node: usize,
        /// Why the node moves.
        reason: Reason,
    },
    /// The caller gets the error. CPython failed in the same way, so the move is retracted.
    Stay {
        /// The stage of the node that had moved.
        stage: StageId,
        /// Index of the node in that stage.
        node: usize,
    },
    /// The stage moves to CPython. The caller gets the error only if the call cannot be repeated.
    Move(Move),
}

/// The move of a stage from RustPython to CPython.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) stage: StageId,
    pub(super) reason: Reason,
    /// The work of the failed call, to be repeated on CPython; `None`: it cannot be repeated.
    pub(super) work: Option<Work<Value>>,
    /// Whether the node may have held state, which is lost.
    pub(super) loses_state: bool,
}

impl Fallback {
    pub(super) fn new(plan: &Plan, is_enabled: bool, failures: u32) -> Self {
        let is_watched = |stage: &Stage| interpreter_of(stage) == Engine::RustPython;
        let watched = plan.stages.iter().map(|stage| is_watched(stage).then(Watched::default));
        Self { is_enabled, failures, watched: watched.collect(), ..Self::default() }
    }

    /// A call begins. Keeps its input if the stage may still move in this session.
    pub(super) fn begin(&mut self, stage: StageId, work: &Work<Value>, plan: &Plan) {
        let is_alone = plan.stages[stage].nodes.len() == 1;
        let Some(watched) = &mut self.watched[stage] else { return };
        watched.call_gave = false;
        let may_move = is_alone && (!watched.has_succeeded || watched.has_failed);
        watched.kept = (may_move && self.is_enabled).then(|| work.clone());
    }

    /// The current call gave an output.
    pub(super) fn note_output(&mut self, stage: StageId) {
        if let Some(watched) = &mut self.watched[stage] {
            watched.call_gave = true;
        }
    }

    /// Whether a success of the stage must be reported to [`Fallback::note_success`].
    pub(super) fn is_on_trial(&self, stage: StageId) -> bool {
        self.held.contains_key(&stage)
            || self.watched[stage].as_ref().is_some_and(|w| !w.has_succeeded || w.has_failed)
    }

    /// A call of a stage that is on trial has succeeded. Records that in the findings and releases
    /// the notice of its move, if one is held back.
    pub(super) fn note_success(&mut self, stage: StageId, plan: &Plan, findings: &mut Findings) {
        self.notices.extend(self.held.remove(&stage));
        let Some(watched) = &mut self.watched[stage] else { return };
        *watched = Watched { has_succeeded: true, ..Watched::default() };
        for digest in plan.stages[stage].nodes.iter().filter_map(|n| n.code_digest.as_deref()) {
            findings.record_success(digest);
        }
    }

    /// A call has failed: decides what follows. Advice for the user is added to the failure.
    pub(super) fn on_failure(
        &mut self,
        stage: StageId,
        failure: &mut NodeFailure,
        plan: &Plan,
        findings: &mut Findings,
    ) -> Verdict {
        let Some(node) = self.watched_node(stage, &failure.node_id, plan) else {
            let held = self.held.remove(&stage);
            let verdict = retract(failure, plan, findings);
            if matches!(verdict, Verdict::Tell) {
                self.notices.extend(held);
            }
            return verdict;
        };
        let class = classify(failure);
        if !self.is_enabled {
            if let FailureClass::Unsupported(reason) = class {
                failure.advice = Advice::let_move(reason, false);
            }
            return Verdict::Tell;
        }
        let is_known = matches!(class, FailureClass::Unsupported(_));
        let reason =
            self.record(&plan.stages[stage].nodes[node], class, &one_line(failure), findings);
        let Some(watched) = &mut self.watched[stage] else { return Verdict::Tell };
        watched.has_failed = true;
        let work = watched.kept.take().filter(|_| !watched.call_gave);
        let Some(reason) = reason else { return Verdict::Tell };
        let loses_state = watched.has_succeeded;
        if plan.stages[stage].nodes.len() > 1 || (is_known && loses_state) {
            failure.advice = Some(Advice::WaitForNext(reason.clone()));
            return Verdict::MoveNext { node, reason };
        }
        Verdict::Move(Move { stage, reason, work, loses_state })
    }

    /// A worker died, or was killed for a time-out or a limit. `here` are the stages that it ran. Returns the
    /// stage at fault and what follows; `None`: the caller just gets the error.
    pub(super) fn on_death(
        &mut self,
        here: &[StageId],
        error: &Error,
        plan: &Plan,
        findings: &mut Findings,
    ) -> Option<(StageId, Verdict)> {
        let (Error::Crashed(_) | Error::TimedOut(_) | Error::LimitExceeded(_)) = error else {
            return None;
        };
        for stage in here {
            self.notices.extend(self.held.remove(stage));
        }
        let id = error.node_id().filter(|_| self.is_enabled)?;
        let has = |stage: &&StageId| plan.stages[**stage].nodes.iter().any(|node| node.id == id);
        let stage = *here.iter().find(has)?;
        let node = self.watched_node(stage, id, plan)?;
        let line = clause(error.to_string().lines().next().unwrap_or_default());
        let planned = &plan.stages[stage].nodes[node];
        let reason = self.record(planned, FailureClass::Unknown, &line, findings);
        let watched = self.watched[stage].as_mut()?;
        watched.has_failed = true;
        // If other stages shared the worker, their state is lost: the caller must get the error.
        let is_alone = here == [stage];
        let work = watched.kept.take().filter(|_| is_alone && !watched.call_gave);
        let reason = reason?;
        if plan.stages[stage].nodes.len() > 1 {
            return Some((stage, Verdict::MoveNext { node, reason }));
        }
        Some((stage, Verdict::Move(Move { stage, reason, work, loses_state: true })))
    }

    /// `stages` could not be opened in their worker. Returns those of their nodes that must run on
    /// CPython for the session to open, with the reasons; none when RustPython is not the cause.
    pub(super) fn on_open_failure(
        &self,
        stages: &[StageId],
        error: &Error,
        plan: &Plan,
        findings: &mut Findings,
    ) -> Vec<(String, Reason)> {
        let class = match error {
            _ if !self.is_enabled => return Vec::new(),
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
        let culprit = error.node_id().filter(|id| !id.is_empty());
        let watched = stages.iter().filter(|stage| self.watched[**stage].is_some());
        let nodes = watched.flat_map(|stage| &plan.stages[*stage].nodes);
        nodes
            .filter(|node| culprit.is_none_or(|culprit| culprit == node.id))
            .filter_map(|node| {
                Some((node.id.clone(), self.record(node, class.clone(), &line, findings)?))
            })
            .collect()
    }

    /// A stage has moved: it is no longer watched, and the host will get a notice.
    pub(super) fn note_move(
        &mut self,
        stage: StageId,
        node_id: &str,
        reason: &Reason,
        loses_state: bool,
    ) {
        self.watched[stage] = None;
        let record = move_notice(node_id, reason, loses_state);
        // If CPython may lack the module too, the move is announced after the first success there.
        match reason.is_doubtful() {
            true => drop(self.held.insert(stage, record)),
            false => self.notices.push(record),
        }
    }

    /// Takes the log records for the host.
    pub(super) fn take_notices(&mut self) -> Vec<LogRecord> {
        std::mem::take(&mut self.notices)
    }

    /// Records a failure on RustPython. Returns the reason to move the node, if it has to move.
    fn record(
        &self,
        node: &PlannedNode,
        class: FailureClass,
        line: &str,
        findings: &mut Findings,
    ) -> Option<Reason> {
        match (class, node.code_digest.as_deref()) {
            (FailureClass::Unrelated, _) | (FailureClass::Unknown, None) => None,
            (FailureClass::Unsupported(reason), digest) => {
                if let Some(digest) = digest {
                    findings.record_unsupported(digest, reason.clone());
                }
                Some(reason)
            }
            (FailureClass::Unknown, Some(digest)) => {
                findings.record_failure(digest, line.to_owned(), self.failures)
            }
        }
    }

    /// The index of a node in its stage, if the stage runs on RustPython. A failure without a node
    /// id counts for the first node.
    fn watched_node(&self, stage: StageId, id: &str, plan: &Plan) -> Option<usize> {
        self.watched[stage].as_ref()?;
        let nodes = &plan.stages[stage].nodes;
        if id.is_empty() { Some(0) } else { nodes.iter().position(|node| node.id == id) }
    }
}

/// The engine that runs a stage.
fn interpreter_of(stage: &Stage) -> Engine {
    stage.nodes.first().map_or(Engine::Native, |node| node.runtime)
}

/// Handles the failure of a node on CPython. If the node had moved there because of a module that
/// CPython lacks too, the finding is dropped.
pub(super) fn retract(failure: &NodeFailure, plan: &Plan, findings: &mut Findings) -> Verdict {
    for (stage, planned) in plan.stages.iter().enumerate() {
        let is_it = |node: &PlannedNode| {
            node.id == failure.node_id
                && node
                    .moved
                    .as_ref()
                    .is_some_and(|why| why.is_disproved_by(failure.import.as_deref()))
        };
        if let Some(node) = planned.nodes.iter().position(is_it) {
            if let Some(digest) = &planned.nodes[node].code_digest {
                findings.retract(digest);
            }
            return Verdict::Stay { stage, node };
        }
    }
    Verdict::Tell
}

/// Adds advice to the error of a session that could not open because of RustPython and whose nodes
/// may not move to CPython.
pub(super) fn with_advice(error: Error) -> Error {
    match error {
        Error::Node(mut failure) => {
            if let FailureClass::Unsupported(reason) = classify(&failure) {
                failure.advice = Advice::let_move(reason, false);
            }
            Error::Node(failure)
        }
        Error::Ship(mut problem) => {
            let reason = Reason::Shipment { error: clause(&problem.message) };
            problem.advice = Advice::let_move(reason, problem.names_runtime_hint).map(Box::new);
            Error::Ship(problem)
        }
        other => other,
    }
}

/// The log record about a node that moves.
pub(super) fn move_notice(node_id: &str, reason: &Reason, loses_state: bool) -> LogRecord {
    let state = if loses_state { ". Its state is lost" } else { "" };
    let hint = match reason {
        // The text of this reason already says what to do.
        Reason::Shipment { .. } => "",
        _ => ". runtime_hint=\"cpython\" starts it there",
    };
    let message =
        format!("node '{node_id}' moves from RustPython to CPython: {reason}{state}{hint}");
    notice(node_id, WARNING, message)
}

/// The log record about a node that moves in the next session.
pub(super) fn move_next_notice(node_id: &str, reason: &Reason) -> LogRecord {
    let message = format!("node '{node_id}' runs on CPython from the next session on: {reason}");
    notice(node_id, WARNING, message)
}

/// The log record about a node that runs on CPython because it failed on RustPython in an earlier
/// session of this process.
pub(super) fn moved_before_notice(node: &PlannedNode) -> Option<LogRecord> {
    let reason = node.moved.as_ref()?;
    let message = format!("node '{}' runs on CPython, not on RustPython: {reason}", node.id);
    Some(notice(&node.id, INFORMATION, message))
}
