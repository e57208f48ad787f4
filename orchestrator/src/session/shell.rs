//! Carries out the core's actions: messages to workers, calls of native nodes, requests to the pool.
//! `hear` turns the answers into events.

use std::collections::VecDeque;
use std::sync::Arc;

use ipc_protocol::patience::Report;
use ipc_protocol::to_worker::{Credit, Item, OpenSession, Step};
use ipc_protocol::version::ABORT_SINCE;
use ipc_protocol::{ToWorker, Value};

use super::batch::{begin_ahead, next_step};
use super::close::ClosedSession;
use super::failures::Failures;
use super::journal::Journal;
use super::layout::{Consequence, Layout};
use super::native::NativeStage;
use super::outfit::{Outfit, stage_number};
use super::saved::SavedStates;
use super::stream::{Stream, deliver};
use super::workers::Workers;
use super::{GraphOutput, failure};
use crate::config::PoolConfig;
use crate::error::Error;
use crate::placement::{CPYTHON_POOL, Engine};
use crate::runtime::{Runtime, Settings};
use crate::schedule::{Action, Blame, Event, SlotId, StageId, Traits, Work};
use crate::worker::link::LinkError;
use crate::worker::supervisor::Returned;

pub(super) type Events = Vec<Event<Value>>;

/// All parts of a session but its core.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) runtime: Arc<Runtime>,
    /// The settings that the session knows.
    pub(super) settings: Arc<Settings>,
    /// Outputs of one stage in flight, as the core counts them.
    pub(super) window: u32,
    pub(super) layout: Layout,
    pub(super) workers: Workers,
    pub(super) journal: Journal,
    pub(super) outfit: Outfit,
    pub(super) natives: Vec<Option<NativeStage>>,
    /// Id of the first node of each stage, the node that holds the stage's inputs.
    pub(super) holders: Vec<Arc<str>>,
    pub(super) outputs: VecDeque<GraphOutput>,
    /// What a stream gives instead, while there is one.
    pub(super) stream: Option<Stream>,
    pub(super) failures: Failures,
    /// What workers have reported about stages, for the core.
    pub(super) traits: Vec<(StageId, Traits)>,
    pub(super) saved: SavedStates,
    /// The result of closing so far; `None` before closing begins.
    pub(super) closed: Option<ClosedSession>,
    pub(super) next_call: u64,
}

impl Shell {
    pub(super) fn new(layout: Layout, workers: Workers, journal: Journal, outfit: Outfit) -> Self {
        let settings = Arc::clone(outfit.settings());
        Self {
            runtime: Arc::clone(outfit.runtime()),
            window: settings.config.calls.window,
            settings,
            natives: Vec::new(),
            holders: layout.holders(),
            layout,
            workers,
            journal,
            outfit,
            outputs: VecDeque::new(),
            stream: None,
            failures: Failures::default(),
            traits: Vec::new(),
            saved: SavedStates::default(),
            closed: None,
            next_call: 1,
        }
    }

    pub(super) fn carry_out(&mut self, action: Action<Value>) -> Events {
        match action {
            Action::Acquire(slots) => return acquire(self, slots, false),
            Action::Borrow(slot) => return acquire(self, vec![slot], true),
            Action::Withdraw(slot) => self.workers.withdraw(slot),
            Action::Unavailable(slot) => {
                self.fail_to_open(slot, failure::busy(pool_of(self, slot)));
            }
            Action::Open(slot) => return self.open_slot(slot),
            Action::Unsuitable(slot) => self.fail_to_open(slot, Error::Unsuitable),
            Action::Call { stage, work } => return self.call(stage, work),
            Action::Abort(stage)
                if self.workers.speaks(self.layout.slot_of(stage), ABORT_SINCE) =>
            {
                return self.send(stage, ToWorker::Abort(stage_number(stage)));
            }
            Action::Retry(stage) => {
                self.journal.trace(|trace| trace.retry(stage));
                return self.send(stage, ToWorker::Retry(stage_number(stage)));
            }
            Action::Save(slot) => {
                let number = self.saved.ask(slot);
                return self.send_to(slot, ToWorker::Save(number));
            }
            Action::PassState { from, to } => {
                return self.send_to(to, ToWorker::Restore(self.saved.of(from)));
            }
            Action::Promote { from, to } => {
                self.journal.note_worker(self.workers.promote(from, to));
            }
            Action::GiveUpState(slot) => {
                self.saved.forget(slot);
                self.workers.slot_mut(slot).loses_state = true;
                self.journal.note_state_given_up(&self.layout.nodes_in(slot));
            }
            Action::Credit(stage) | Action::Abort(stage) => {
                self.journal.trace(|trace| trace.credit(stage));
                return self.send(stage, credit(stage, self.window));
            }
            Action::Deliver { stage, value, .. } => {
                let output = self.layout.output(stage, value);
                deliver(self, output);
            }
            Action::Inspect(slot) => {
                return vec![Event::Seen(slot, self.workers.slot(slot).running())];
            }
            Action::Measure(slot) => return self.workers.measure(slot),
            Action::Expire(slot, overdue) => {
                let grace = pool_of(self, slot).workers.stack_grace;
                self.workers.expire(slot, overdue, grace);
                return self.remove(slot, Returned::Overdue);
            }
            Action::Interrupt(slot) => self.workers.interrupt(slot),
            Action::CutShort(slot, stage) => {
                // With `Abort` the worker knows that calls after it are not interrupted.
                if self.workers.speaks(Some(slot), ABORT_SINCE) {
                    self.workers.interrupt(slot);
                    return self.send(stage, ToWorker::Abort(stage_number(stage)));
                }
            }
            Action::Kill(slot) => self.workers.hang_up_and_kill(slot),
            Action::RemoveDead(slot) => return self.remove(slot, Returned::Broken),
            Action::Release(slot) => self.workers.give_back(slot, Returned::Reusable),
            Action::Close(slot) => return self.close_slot(slot),
            reported => self.failures.report(reported, &self.layout, &mut self.journal),
        }
        Events::new()
    }

    fn call(&mut self, stage: StageId, work: Work<Value>) -> Events {
        self.journal.trace(|trace| trace.begin_call(stage, &work));
        if self.natives[stage].is_some() {
            return call_native(self, stage, work);
        }
        self.layout.begin(stage, &work);
        if let Some(events) = begin_ahead(self, stage, &work) {
            return events;
        }
        let step = next_step(self, stage);
        if let Some(slot) = self.layout.slot_of(stage) {
            self.workers.slot_mut(slot).begin_call(stage, step.call);
        }
        self.send(stage, message(step, work))
    }

    pub(super) fn send(&mut self, stage: StageId, message: ToWorker) -> Events {
        let Some(slot) = self.layout.slot_of(stage) else { return Events::new() };
        match self.workers.send(slot, message, self.holders.get(stage)) {
            Ok(sent) => {
                let pid = self.workers.slot(slot).pid();
                self.journal.note_sent(stage, pid, &self.holders[stage], sent);
                Events::new()
            }
            Err(LinkError::Codec(error)) => {
                self.workers.slot_mut(slot).calls.remove(&stage);
                let error = failure::unsendable(&self.layout.plan.stages[stage], &error);
                vec![self.failures.fail_call(stage, error)]
            }
            Err(broken) => self.hang_up(slot, Some(broken)),
        }
    }

    pub(super) fn hang_up(&mut self, slot: SlotId, broken: Option<LinkError>) -> Events {
        self.workers.hang_up(slot, broken);
        vec![Event::LinkEnded(slot)]
    }

    /// Removes the worker of a slot, which has ended or is to end.
    fn remove(&mut self, slot: SlotId, returned: Returned) -> Events {
        let peak = self.journal.metrics().peak_memory_bytes();
        let error = failure::end_of(self.workers.slot_mut(slot), &self.layout.plan, peak);
        error.iter().for_each(|error| self.journal.note_crash(error));
        let dead = self.workers.slot(slot);
        let mut events = Events::new();
        match (error, &mut self.closed) {
            (Some(error), _) if self.saved.primary_of(slot).is_some() => {
                self.fail_to_open(slot, error)
            }
            (Some(error), Some(closed)) if dead.is_cleaning_up => closed.failures.push(error),
            (Some(error), None) if dead.is_open => {
                let consequence = self.layout.handle_death(&dead.seats, error, &mut self.journal);
                events.extend(self.accept(Blame::Slot(slot), consequence));
            }
            (Some(error), None) => self.fail_to_open(slot, error),
            _ => {}
        }
        self.workers.give_back(slot, returned);
        events.push(Event::Lost(slot));
        events
    }

    /// Keeps the error, if any: for the caller where a stage moves, else until the core has decided.
    /// Returns the core's event for a stage that moves.
    pub(super) fn accept(&mut self, blame: Blame, then: Consequence) -> Option<Event<Value>> {
        let Consequence { told, moves } = then;
        match (told, &moves) {
            (Some(error), Some(_)) => self.fail(error),
            (Some(error), None) => self.failures.keep(blame, error),
            (None, _) => {}
        }
        let moves = moves?;
        if let Some(old) = self.layout.slot_of(moves.stage) {
            self.workers.slot_mut(old).calls.remove(&moves.stage);
        }
        let slot = self.workers.add((CPYTHON_POOL, Engine::CPython));
        Some(self.layout.move_to(slot, moves, &mut self.journal))
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.failures.add(error, &mut self.journal);
    }

    pub(super) fn fail_to_open(&mut self, slot: SlotId, error: Error) {
        if let Some(of) = self.saved.primary_of(slot) {
            self.journal.note_no_standby(&self.layout.nodes_in(of), &error);
        } else if self.workers.slot(slot).is_borrowed {
            self.journal.note_fewer(&self.layout.nodes_in(slot), &error);
        } else if self.closed.is_none() && self.failures.first.is_none() {
            self.failures.slot = Some(slot);
            self.fail(self.layout.advised(error, self.workers.slot(slot).interpreter));
        }
    }

    /// The nodes of a slot cannot be made: its worker goes back to the pool.
    pub(super) fn cannot_open(&mut self, slot: SlotId, error: Error, to: Returned) -> Event<Value> {
        self.fail_to_open(slot, error);
        self.workers.give_back(slot, to);
        Event::OpenFailed(slot)
    }

    fn open_slot(&mut self, slot: SlotId) -> Events {
        let pool = self.workers.slot(slot).pool;
        let Some(worker) = &self.workers.slot(slot).worker else { return Events::new() };
        if !self.outfit.suits(pool, worker) {
            self.workers.give_back(slot, Returned::UsedUp);
            return vec![Event::Unsuited(slot)];
        }
        let of = self.saved.primary_of(slot).unwrap_or(slot);
        let stages = self.layout.stages_in(of);
        let message = match self.outfit.open_message(&self.layout.plan, &stages, pool, worker) {
            Ok(message) => OpenSession { saved: self.saved.of(of), ..message },
            Err(error) => return vec![self.cannot_open(slot, error, Returned::Reusable)],
        };
        self.journal.notice(self.workers.slot_mut(slot).limit(self.layout.limits_of(of)));
        self.workers.slot_mut(slot).seats = self.layout.seats(&stages);
        if of == slot {
            self.journal.note_worker(self.workers.slot(slot));
        }
        match self.workers.send(slot, ToWorker::Open(Box::new(message)), None) {
            Ok(_) => {
                // Now, as the worker has much to do meanwhile.
                self.workers.slot_mut(slot).count_kills();
                Events::new()
            }
            Err(error) => {
                let source = std::io::Error::other(error.to_string());
                let error = Error::Os { action: "sending the nodes to a worker", source };
                self.workers.kill(slot);
                vec![self.cannot_open(slot, error, Returned::Reusable)]
            }
        }
    }

    fn close_slot(&mut self, slot: SlotId) -> Events {
        self.workers.slot_mut(slot).is_cleaning_up = true;
        self.send_to(slot, ToWorker::Close)
    }

    fn send_to(&mut self, slot: SlotId, message: ToWorker) -> Events {
        let sent = self.workers.send(slot, message, None);
        sent.map_or_else(|broken| self.hang_up(slot, Some(broken)), |_| Events::new())
    }
}

/// Asks the pool for workers. `is_borrowed`: the session goes on without them.
fn acquire(shell: &mut Shell, slots: Vec<SlotId>, is_borrowed: bool) -> Events {
    slots.iter().for_each(|slot| shell.workers.slot_mut(*slot).is_borrowed = is_borrowed);
    let asked = shell.runtime.pool().and_then(|pool| {
        let (needs, slots) = shell.outfit.wanted(&shell.workers, &slots)?;
        shell.workers.request(pool, needs, slots, shell.outfit.is_impatient());
        Ok(())
    });
    let Err(error) = asked else { return Events::new() };
    shell.fail_to_open(slots[0], error);
    slots.into_iter().map(Event::Refused).collect()
}

/// The settings of a slot's pool.
pub(super) fn pool_of(shell: &Shell, slot: SlotId) -> &PoolConfig {
    shell.settings.pool(shell.workers.slot(slot).pool)
}

/// Calls a native node here.
fn call_native(shell: &mut Shell, stage: StageId, work: Work<Value>) -> Events {
    let mut events = Events::new();
    let Some(native) = &mut shell.natives[stage] else { return events };
    let outcome = native.run(work, &mut |value| events.push(Event::Output(stage, value)));
    shell.journal.record_native(stage, &outcome);
    events.push(match outcome.failure {
        None => shell.failures.finish_call(stage, &mut shell.journal),
        Some(failure) => shell.failures.fail_call(stage, Error::Node(failure)),
    });
    events
}

/// The message that lets a call go on.
fn credit(stage: StageId, outputs: u32) -> ToWorker {
    ToWorker::Credit(Credit { stage: stage_number(stage), outputs, took: Report::ABSENT })
}

/// The message that begins a call.
fn message(step: Step, work: Work<Value>) -> ToWorker {
    match work {
        Work::Item(value) => ToWorker::Item(Item { step, value }),
        Work::Zip(values) => ToWorker::Item(Item { step, value: Value::Tuple(values) }),
        Work::Start => ToWorker::Start(step),
        Work::Flush => ToWorker::Flush(step),
    }
}
