//! Carries out the core's actions: messages to workers, calls of native nodes, requests to the pool.
//! `hear` turns the answers into events.

use std::collections::VecDeque;
use std::sync::Arc;

use ipc_protocol::patience::Report;
use ipc_protocol::to_worker::{Credit, Item, Step};
use ipc_protocol::version::ABORT_SINCE;
use ipc_protocol::{ToWorker, Value};

use super::close::ClosedSession;
use super::fallback::with_advice;
use super::journal::Journal;
use super::layout::{Consequence, Layout};
use super::native::NativeStage;
use super::outfit::{Outfit, stage_number};
use super::workers::Workers;
use super::{GraphOutput, failure};
use crate::error::Error;
use crate::placement::Engine;
use crate::plan::Stage;
use crate::runtime::Runtime;
use crate::schedule::{Action, Event, SlotId, StageId, Traits, Work};
use crate::worker::link::LinkError;
use crate::worker::supervisor::Returned;

pub(super) type Events = Vec<Event<Value>>;

/// All parts of a session but its core.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) runtime: Arc<Runtime>,
    pub(super) layout: Layout,
    pub(super) workers: Workers,
    pub(super) journal: Journal,
    pub(super) outfit: Outfit,
    pub(super) natives: Vec<Option<NativeStage>>,
    /// Id of the first node of each stage, the node that holds the stage's inputs.
    pub(super) holders: Vec<Arc<str>>,
    pub(super) outputs: VecDeque<GraphOutput>,
    /// The first failure that was not yet returned to the caller.
    pub(super) failure: Option<Error>,
    /// What workers have reported about stages, for the core.
    pub(super) traits: Vec<(StageId, Traits)>,
    /// The first slot that could not be opened.
    pub(super) failed_slot: Option<SlotId>,
    /// The result of closing so far; `None` before closing begins.
    pub(super) closed: Option<ClosedSession>,
    pub(super) next_call: u64,
    /// Calls with a lower number were abandoned with their rounds.
    pub(super) abandoned_before: u64,
}

impl Shell {
    pub(super) fn new(layout: Layout, workers: Workers, journal: Journal, outfit: Outfit) -> Self {
        let stages = &layout.plan.stages;
        let holder = |stage: &Stage| stage.nodes.first().map_or("", |node| node.id.as_str()).into();
        Self {
            runtime: Arc::clone(outfit.runtime()),
            natives: Vec::new(),
            holders: stages.iter().map(holder).collect(),
            layout,
            workers,
            journal,
            outfit,
            outputs: VecDeque::new(),
            failure: None,
            traits: Vec::new(),
            failed_slot: None,
            closed: None,
            next_call: 1,
            abandoned_before: 0,
        }
    }

    pub(super) fn carry_out(&mut self, action: Action<Value>) -> Events {
        match action {
            Action::Acquire(slots) => return self.acquire(slots),
            Action::Withdraw(slot) => self.workers.withdraw(slot),
            Action::Unavailable(slot) => {
                let engine = self.workers.slot(slot).interpreter;
                self.fail_to_open(slot, failure::busy(self.runtime.config(), engine));
            }
            Action::Open(slot) => return self.open_slot(slot),
            Action::Unsuitable(slot) => self.fail_to_open(slot, Error::Unsuitable),
            Action::Call { stage, work } => return self.call(stage, work),
            Action::Abort(stage) if self.ends_calls(stage) => {
                return self.send(stage, ToWorker::Abort(stage_number(stage)));
            }
            Action::Credit(stage) | Action::Abort(stage) => {
                let outputs = self.runtime.config().calls.window;
                let credit = Credit { stage: stage_number(stage), outputs, took: Report::ABSENT };
                return self.send(stage, ToWorker::Credit(credit));
            }
            Action::Deliver { stage, value, .. } => {
                let node_id = self.layout.plan.stages[stage].sink.clone().unwrap_or_default();
                self.outputs.push_back(GraphOutput { node_id, value });
            }
            Action::RoundDone(_) => {}
            Action::Uneven(stage) => self.fail(failure::uneven(&self.layout.plan.stages[stage])),
            Action::Inspect(slot) => {
                return vec![Event::Seen(slot, self.workers.slot(slot).running())];
            }
            Action::Measure(slot) => return self.workers.measure(slot),
            Action::Expire(slot, overdue) => self.workers.expire(slot, overdue),
            Action::Interrupt(slot) => self.workers.interrupt(slot),
            Action::Kill(slot) => {
                self.workers.hang_up(slot, None);
                self.workers.kill(slot);
            }
            Action::RemoveDead(slot) => return self.remove_dead(slot),
            Action::Release(slot) => self.workers.give_back(slot, Returned::Reusable),
            Action::Close(slot) => return self.close_slot(slot),
        }
        Events::new()
    }

    fn call(&mut self, stage: StageId, work: Work<Value>) -> Events {
        if let Some(native) = &mut self.natives[stage] {
            let mut events = Events::new();
            let outcome = native.run(work, &mut |value| events.push(Event::Output(stage, value)));
            self.journal.record(stage, &outcome.usage);
            events.push(match outcome.failure {
                None => Event::Done(stage),
                Some(failure) => {
                    self.fail(Error::Node(failure));
                    Event::Failed(stage)
                }
            });
            return events;
        }
        self.layout.begin(stage, &work);
        let call = self.next_call;
        self.next_call += 1;
        let window = self.runtime.config().calls.window;
        let step = Step { stage: stage_number(stage), call, window, took: Report::ABSENT };
        if let Some(slot) = self.layout.slot_of(stage) {
            self.workers.slot_mut(slot).begin_call(stage, call);
        }
        let message = match work {
            Work::Item(value) => ToWorker::Item(Item { step, value }),
            Work::Zip(values) => ToWorker::Item(Item { step, value: Value::Tuple(values) }),
            Work::Start => ToWorker::Start(step),
            Work::Flush => ToWorker::Flush(step),
        };
        self.send(stage, message)
    }

    fn send(&mut self, stage: StageId, message: ToWorker) -> Events {
        let Some(slot) = self.layout.slot_of(stage) else { return Events::new() };
        match self.workers.send(slot, message, self.holders.get(stage)) {
            Ok(sent) => {
                self.journal.note_sent(stage, &self.holders[stage], sent);
                Events::new()
            }
            Err(LinkError::Codec(error)) => {
                self.workers.slot_mut(slot).calls.remove(&stage);
                self.fail(failure::unsendable(&self.layout.plan.stages[stage], &error));
                vec![Event::Failed(stage)]
            }
            Err(broken) => self.hang_up(slot, Some(broken)),
        }
    }

    /// Whether the stage's worker understands `Abort`; calls in an older one run to their end.
    fn ends_calls(&self, stage: StageId) -> bool {
        let slot = self.layout.slot_of(stage);
        slot.is_some_and(|slot| self.workers.slot(slot).protocol() >= ABORT_SINCE)
    }

    pub(super) fn hang_up(&mut self, slot: SlotId, broken: Option<LinkError>) -> Events {
        self.workers.hang_up(slot, broken);
        vec![Event::LinkEnded(slot)]
    }

    fn remove_dead(&mut self, slot: SlotId) -> Events {
        let peak = self.journal.metrics().peak_memory_bytes();
        let error = failure::end_of(self.workers.slot_mut(slot), &self.layout.plan, peak);
        let dead = self.workers.slot(slot);
        let mut events = Events::new();
        match (error, &mut self.closed) {
            (Some(error), Some(closed)) if dead.is_cleaning_up => closed.failures.push(error),
            (Some(error), None) if dead.is_open => {
                let seats = &dead.seats;
                let mut consequence = self.layout.handle_death(seats, error, &mut self.journal);
                let is_abandoned = |call: &u64| *call < self.abandoned_before;
                if !dead.calls.is_empty() && dead.calls.values().all(is_abandoned) {
                    consequence.told = None;
                }
                events.extend(self.accept(consequence));
            }
            (Some(error), None) => self.fail_to_open(slot, error),
            _ => {}
        }
        self.workers.give_back(slot, Returned::Broken);
        events.push(Event::Lost(slot));
        events
    }

    /// Keeps the error for the caller, if any. Returns the core's event for a stage that moves.
    pub(super) fn accept(&mut self, consequence: Consequence) -> Option<Event<Value>> {
        if let Some(error) = consequence.told {
            self.fail(error);
        }
        let moves = consequence.moves?;
        if let Some(old) = self.layout.slot_of(moves.stage) {
            self.workers.slot_mut(old).calls.remove(&moves.stage);
        }
        let slot = self.workers.add(Engine::CPython);
        Some(self.layout.move_to(slot, moves, &mut self.journal))
    }

    /// Keeps the first failure for the caller; later ones, which follow from it, are only counted.
    pub(super) fn fail(&mut self, error: Error) {
        self.journal.note_failure(&error);
        self.failure.get_or_insert(error);
    }

    pub(super) fn fail_to_open(&mut self, slot: SlotId, error: Error) {
        let runs = self.workers.slot(slot).interpreter;
        let is_stuck = runs == Engine::RustPython && !self.layout.may_move();
        if self.closed.is_none() && self.failure.is_none() {
            self.failed_slot = Some(slot);
            self.fail(if is_stuck { with_advice(error) } else { error });
        }
    }

    fn acquire(&mut self, slots: Vec<SlotId>) -> Events {
        let is_apart = slots.iter().any(|slot| self.workers.slot(*slot).wants_apart);
        let kinds: Vec<(SlotId, Engine)> =
            slots.iter().map(|slot| (*slot, self.workers.slot(*slot).interpreter)).collect();
        let asked = self.runtime.pool().and_then(|pool| {
            let (needs, slots) = self.outfit.wanted(&kinds, is_apart)?;
            self.workers.request(pool, needs, slots);
            Ok(())
        });
        let Err(error) = asked else { return Events::new() };
        self.fail_to_open(slots[0], error);
        slots.into_iter().map(Event::Refused).collect()
    }

    fn open_slot(&mut self, slot: SlotId) -> Events {
        let Some(worker) = &self.workers.slot(slot).worker else { return Events::new() };
        if !self.outfit.suits(worker) {
            self.workers.give_back(slot, Returned::UsedUp);
            return vec![Event::Unsuited(slot)];
        }
        let stages = self.layout.stages_in(slot);
        let runs = self.workers.slot(slot).interpreter;
        let pid = worker.process.pid;
        let message = match self.outfit.open_message(&self.layout.plan, &stages, runs, worker) {
            Ok(message) => message,
            Err(error) => {
                self.fail_to_open(slot, error);
                self.workers.give_back(slot, Returned::Reusable);
                return vec![Event::OpenFailed(slot)];
            }
        };
        self.journal.notice(self.workers.slot_mut(slot).limit(self.layout.limits_of(slot)));
        let nodes = |stage: StageId| 0..self.layout.plan.stages[stage].nodes.len();
        let seats = stages.iter().flat_map(|stage| nodes(*stage).map(|node| (*stage, node)));
        self.workers.slot_mut(slot).seats = seats.collect();
        for (stage, node) in &self.workers.slot(slot).seats {
            self.journal.metrics().set_worker(self.journal.number(*stage, *node), pid);
        }
        match self.workers.send(slot, ToWorker::Open(message), None) {
            Ok(_) => Events::new(),
            Err(error) => {
                let source = std::io::Error::other(error.to_string());
                let error = Error::Os { action: "sending the nodes to a worker", source };
                self.fail_to_open(slot, error);
                self.workers.give_back(slot, Returned::Broken);
                vec![Event::OpenFailed(slot)]
            }
        }
    }

    fn close_slot(&mut self, slot: SlotId) -> Events {
        self.workers.slot_mut(slot).is_cleaning_up = true;
        match self.workers.send(slot, ToWorker::Close, None) {
            Ok(_) => Events::new(),
            Err(broken) => self.hang_up(slot, Some(broken)),
        }
    }
}
