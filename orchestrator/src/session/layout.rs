//! Where the session's nodes run: the plan, and the moves from RustPython to CPython that change
//! it.

use std::sync::Arc;

use ipc_protocol::from_worker::NodeReady;
use ipc_protocol::{Fault, Value};

use super::GraphOutput;
use super::fallback::{Fallback, Move, Verdict, move_next_notice, retract, with_advice};
use super::journal::Journal;
use super::workers::Seat;
use crate::error::Error;
use crate::failure::NodeFailure;
use crate::limits::Limits;
use crate::placement::{CPYTHON_POOL, Engine, Part, PoolId};
use crate::plan::{Place, Plan, PlanError, Stage};
use crate::reason::Reason;
use crate::runtime::Runtime;
use crate::schedule::{Event, Failure, SlotId, StageId, Work};

/// The plan of one session, and the state that decides about moves.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) plan: Plan,
    fallback: Fallback,
    runtime: Arc<Runtime>,
}

/// The consequence of a failure: the error for the caller, and the stage that moves, if any.
#[derive(Debug, Default)]
pub(super) struct Consequence {
    pub(super) told: Option<Error>,
    pub(super) moves: Option<Move>,
}

impl Layout {
    pub(super) fn new(plan: Plan, may_move: bool, runtime: Arc<Runtime>) -> Self {
        let failures = runtime.settings().config.fallback.failures;
        Self { fallback: Fallback::new(&plan, may_move, failures), plan, runtime }
    }

    /// A layout with the same plan, in which no node moves.
    pub(super) fn settled(&self) -> Self {
        let (plan, runtime) = (self.plan.clone(), Arc::clone(&self.runtime));
        Self { plan, fallback: Fallback::default(), runtime }
    }

    pub(super) fn slot_of(&self, stage: StageId) -> Option<SlotId> {
        match self.plan.stages[stage].place {
            Place::Worker { slot } => Some(slot),
            Place::Native => None,
        }
    }

    pub(super) fn stages_in(&self, slot: SlotId) -> Vec<StageId> {
        let stages = self.plan.stages.iter().enumerate();
        stages.filter(|(_, s)| s.place == Place::Worker { slot }).map(|(id, _)| id).collect()
    }

    /// A value that a sink gave, as an output of the graph.
    pub(super) fn output(&self, stage: StageId, value: Value) -> GraphOutput {
        let node_id = self.plan.stages[stage].sink.clone().unwrap_or_default();
        GraphOutput { node_id, value }
    }

    /// Id of the first node of each stage, the node that holds the stage's inputs.
    pub(super) fn holders(&self) -> Vec<Arc<str>> {
        let first = |stage: &Stage| stage.nodes.first().map_or("", |node| node.id.as_str()).into();
        self.plan.stages.iter().map(first).collect()
    }

    /// The nodes of these stages, in the order in which a worker numbers them.
    pub(super) fn seats(&self, stages: &[StageId]) -> Vec<Seat> {
        let nodes = |stage: StageId| 0..self.plan.stages[stage].nodes.len();
        stages.iter().flat_map(|stage| nodes(*stage).map(|node| (*stage, node))).collect()
    }

    /// The stages with breakers, and the id of the node in each.
    pub(super) fn guarded(&self) -> Vec<(StageId, String)> {
        let guarded = self.plan.nodes().filter(|(_, node)| node.failing.breaker.is_some());
        guarded.map(|(stage, node)| (stage, node.id.clone())).collect()
    }

    /// The pool and the engine of each slot's workers.
    pub(super) fn pools(&self) -> Vec<(PoolId, Engine)> {
        (0..self.plan.worker_slots).map(|slot| self.pool_of(slot)).collect()
    }

    fn pool_of(&self, slot: SlotId) -> (PoolId, Engine) {
        let mut here = self.plan.stages.iter().filter(|s| s.place == Place::Worker { slot });
        let first = here.next().and_then(|stage| stage.nodes.first());
        first.map_or((CPYTHON_POOL, Engine::CPython), |node| (node.pool, node.runtime))
    }

    /// The limits of a slot's worker.
    pub(super) fn limits_of(&self, slot: SlotId) -> Limits {
        let limits = self.runtime.settings().pool(self.pool_of(slot).0).limits.worker();
        let stages = self.stages_in(slot).into_iter();
        let nodes = stages.flat_map(|stage| &self.plan.stages[stage].nodes);
        nodes.fold(limits, |limits, node| limits.with(&node.limits))
    }

    pub(super) fn node_id(&self, (stage, node): Seat) -> &str {
        self.plan.stages[stage].nodes.get(node).map_or("", |node| &node.id)
    }

    /// Ids of a slot's nodes.
    pub(super) fn nodes_in(&self, slot: SlotId) -> Vec<&str> {
        let nodes = self.stages_in(slot).into_iter().flat_map(|id| &self.plan.stages[id].nodes);
        nodes.map(|node| node.id.as_str()).collect()
    }

    /// The slots of which a node asks for a worker that stands by.
    pub(super) fn with_standby(&self) -> Vec<SlotId> {
        let asks = |slot: &SlotId| {
            let stages = self.stages_in(*slot).into_iter();
            stages.flat_map(|id| &self.plan.stages[id].nodes).any(|node| node.failing.standby)
        };
        (0..self.plan.worker_slots).filter(asks).collect()
    }

    pub(super) fn is_stateless(&self, (stage, node): Seat) -> bool {
        self.plan.stages[stage].nodes.get(node).is_some_and(|node| node.failing.is_stateless)
    }

    /// Why nodes of a slot cannot be replicas, if it has any: what their worker reports speaks against it.
    pub(super) fn refusal(&self, slot: SlotId, nodes: &[NodeReady]) -> Option<Error> {
        let stages = self.stages_in(slot).into_iter();
        let mut replicated = stages.filter(|id| self.plan.stages[*id].part != Part::Whole);
        let replicated = replicated.next()?;
        let is_here = |ready: &&NodeReady| ready.node_id == self.node_id((replicated, 0));
        let ready = nodes.iter().find(is_here)?;
        let reason = match (ready.is_source, ready.saves) {
            (true, _) => "is a source",
            (false, true) => "keeps state, which its checkpoint() saves",
            (false, false) => return None,
        };
        let node_id = ready.node_id.clone();
        Some(Error::Plan(PlanError::NoReplicas { node_id, reason }))
    }

    /// Ids of those of a worker's nodes that have not moved to another slot, and are no replicas: the state
    /// of several cannot come back as one.
    pub(super) fn nodes_here(&self, slot: SlotId, seats: &[Seat]) -> Vec<&str> {
        let is_here = |seat: &&Seat| {
            self.slot_of(seat.0) == Some(slot) && self.plan.stages[seat.0].part == Part::Whole
        };
        let here = seats.iter().filter(is_here);
        here.map(|seat| self.node_id(*seat)).collect()
    }

    /// Whether nodes on RustPython may move to CPython.
    pub(super) fn may_move(&self) -> bool {
        self.fallback.is_enabled
    }

    /// An error about opening, with advice where nodes of this engine may not move.
    pub(super) fn advised(&self, error: Error, engine: Engine) -> Error {
        let is_stuck = engine == Engine::RustPython && !self.may_move();
        if is_stuck { with_advice(error) } else { error }
    }

    /// A call begins.
    pub(super) fn begin(&mut self, stage: StageId, work: &Work<Value>) {
        self.fallback.begin(stage, work, &self.plan);
    }

    /// A call gave an output.
    pub(super) fn note_output(&mut self, stage: StageId) {
        self.fallback.note_output(stage);
    }

    /// A call succeeded.
    pub(super) fn note_success(&mut self, stage: StageId, journal: &mut Journal) {
        if self.fallback.is_on_trial(stage) {
            self.fallback.note_success(stage, &self.plan, &mut self.runtime.findings());
            journal.notice(self.fallback.take_notices());
        }
    }

    /// Whether the worker keeps a failed call of a stage, and whether another try may succeed.
    pub(super) fn classify(&self, stage: StageId, fault: &Fault) -> Failure {
        let Some(raised) = fault.raised.as_deref() else { return Failure::default() };
        let nodes = &self.plan.stages[stage].nodes;
        let at = nodes.iter().position(|node| node.id == fault.node_id);
        let is_transient = at.is_some_and(|at| nodes[at].failing.is_transient(&raised.types));
        // A call that the worker keeps must be ended, even if the worker names an unknown node.
        let kept_at = raised.is_kept.then(|| at.unwrap_or(0));
        Failure { kept_at, is_transient }
    }

    /// Decides what follows from a failed call of a stage.
    pub(super) fn handle_failure(
        &mut self,
        stage: StageId,
        mut failure: NodeFailure,
        journal: &mut Journal,
    ) -> Consequence {
        let mut findings = self.runtime.findings();
        let verdict = self.fallback.on_failure(stage, &mut failure, &self.plan, &mut findings);
        drop(findings);
        self.follow(Some((stage, verdict)), Error::Node(Box::new(failure)), journal)
    }

    /// Decides what follows from the death of a worker that ran these nodes.
    pub(super) fn handle_death(
        &mut self,
        seats: &[Seat],
        error: Error,
        journal: &mut Journal,
    ) -> Consequence {
        let mut here: Vec<StageId> = seats.iter().map(|(stage, _)| *stage).collect();
        here.dedup();
        let mut findings = self.runtime.findings();
        let verdict = self.fallback.on_death(&here, &error, &self.plan, &mut findings);
        drop(findings);
        self.follow(verdict, error, journal)
    }

    fn follow(
        &mut self,
        verdict: Option<(StageId, Verdict)>,
        error: Error,
        journal: &mut Journal,
    ) -> Consequence {
        journal.notice(self.fallback.take_notices());
        match verdict {
            Some((_, Verdict::Move(moves))) => {
                let told = moves.work.is_none().then_some(error);
                return Consequence { told, moves: Some(moves) };
            }
            Some((stage, Verdict::MoveNext { node, reason })) => {
                self.announce((stage, node), &reason, journal);
            }
            Some((_, Verdict::Stay { stage, node })) => {
                journal.metrics().set_stayed(journal.number(stage, node));
            }
            Some((_, Verdict::Tell)) | None => {}
        }
        Consequence { told: Some(error), moves: None }
    }

    /// Announces, once, that a node which cannot move in this session moves in the next.
    fn announce(&self, (stage, node): Seat, reason: &Reason, journal: &mut Journal) {
        if journal.metrics().set_decided(journal.number(stage, node), reason) {
            journal.notice([move_next_notice(self.node_id((stage, node)), reason)]);
        }
    }

    /// Moves a stage to a slot of its own on CPython. Returns the event for the core.
    pub(super) fn move_to(
        &mut self,
        slot: SlotId,
        moves: Move,
        journal: &mut Journal,
    ) -> Event<Value> {
        let Move { stage, reason, work, loses_state } = moves;
        self.plan.worker_slots = slot + 1;
        self.plan.stages[stage].place = Place::Worker { slot };
        if let Some(node) = self.plan.stages[stage].nodes.first_mut() {
            (node.runtime, node.pool) = (Engine::CPython, CPYTHON_POOL);
            node.moved = Some(reason.clone());
            self.fallback.note_move(stage, &node.id, &reason, loses_state);
        }
        journal.metrics().set_moved(journal.number(stage, 0), reason);
        journal.notice(self.fallback.take_notices());
        Event::Moved { stage, slot, work }
    }

    /// For a slot that could not be opened: its nodes that must run on CPython, with the reasons.
    pub(super) fn moves_after(&self, slot: SlotId, error: &Error) -> Vec<(String, Reason)> {
        let findings = &mut self.runtime.findings();
        self.fallback.on_open_failure(&self.stages_in(slot), error, &self.plan, findings)
    }

    /// Whether a failure shows that a node had no reason to move to CPython. Drops the finding
    /// then.
    pub(super) fn retracts(&self, error: &Error) -> bool {
        let Error::Node(failure) = error else { return false };
        let verdict = retract(failure, &self.plan, &mut self.runtime.findings());
        matches!(verdict, Verdict::Stay { .. })
    }
}
