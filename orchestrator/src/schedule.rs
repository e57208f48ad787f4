//! The session core: it decides the order of a session's calls and its deadlines. Pure: no clock,
//! no I/O, no processes; `handle(now, event)` returns actions, which the session shell carries out.
//!
//! Every input starts a round. On each edge the items of a round are followed by a mark: from it a
//! stage knows that the round is complete, joins order their inputs by it, and a round is over when
//! its mark has left every sink. Each worker slot is a state machine of its own (`slots`), from
//! asking for a worker to closing.

mod attempts;
mod edge;
mod event;
mod failures;
mod slots;
mod stage;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use attempts::BreakerState;
use edge::Entry;
pub use event::{Action, Blame, Deadline, Event, Failure, Overdue, Running};
pub use slots::Slots;
use slots::{Change, Home, Phase};
use stage::{Counted, Stage};
pub use stage::{StageShape, Target, Traits, Work};

/// Number of a stage in its plan.
pub type StageId = usize;
/// Number of a worker slot in its plan.
pub type SlotId = usize;
/// Number of a round, that is of one input or flush of the session; the first is 0.
pub type Round = u64;

/// Longest wait for a worker to exit: once after its connection has ended, before it is killed, and
/// once more after that, before it is removed.
pub const EXIT_GRACE: Duration = Duration::from_millis(500);

/// Bounds of the core.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Outputs that a stage may send before it is suspended.
    pub window: u32,
    /// Items that may wait on one edge before the stage that produces them pauses.
    pub queue: usize,
    /// Longest wait for workers from the pool.
    pub acquire_timeout: Duration,
    /// Longest time from the request to a worker to make its nodes ([`Action::Open`]) to the end of
    /// their `initialize`.
    pub open_timeout: Duration,
    /// Longest time for interrupted calls to end, and as long again for `cleanup`.
    pub close_timeout: Duration,
}

/// State of one session.
#[derive(Debug)]
pub struct Core<T> {
    stages: Vec<Stage<T>>,
    slots: Slots,
    bounds: Bounds,
    rounds_started: Round,
    rounds_done: Round,
    /// Whether the first failure abandons all rounds.
    stops_at_failure: bool,
    /// When the last event was handled; absent before the first.
    now: Option<Instant>,
}

impl<T: Clone> Core<T> {
    /// A core for stages in topological order. `slots` has one entry per worker slot: whether it
    /// opens before the others.
    #[must_use]
    pub fn new(shapes: Vec<StageShape>, slots: &[bool], bounds: Bounds) -> Self {
        let homes = shapes.iter().map(Home::of).collect();
        Self {
            stages: shapes.into_iter().map(Stage::new).collect(),
            slots: Slots::new(slots, homes, bounds),
            bounds,
            rounds_started: 0,
            rounds_done: 0,
            stops_at_failure: false,
            now: None,
        }
    }

    /// Records what the worker of a stage reported about its nodes when it made them.
    pub fn note(&mut self, stage: StageId, traits: Traits) {
        let shape = &mut self.stages[stage].shape;
        shape.is_source |= traits.is_source;
        shape.flushes = traits.flushes;
    }

    /// The breaker of a stage as it stands.
    #[must_use]
    pub fn breaker(&self, stage: StageId) -> BreakerState {
        self.stages[stage].breaker
    }

    /// Sets the breaker of a stage, as an earlier session left it.
    pub fn set_breaker(&mut self, stage: StageId, state: BreakerState) {
        self.stages[stage].breaker = state;
    }

    /// Whether the first failure from now on abandons all rounds that have begun until then.
    pub fn stop_at_failure(&mut self, stops: bool) {
        self.stops_at_failure = stops;
    }

    /// Whether a stage produces without input.
    #[must_use]
    pub fn is_source(&self, stage: StageId) -> bool {
        self.stages[stage].shape.is_source
    }

    /// Number of rounds that have begun and are not complete.
    #[must_use]
    pub fn open_rounds(&self) -> u64 {
        self.rounds_started - self.rounds_done
    }

    /// Whether the input queues of all root stages have room for another input.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        let limit = self.bounds.queue;
        self.stages.iter().filter(|s| s.is_root()).all(|s| !s.is_full(0, limit))
    }

    /// The worker slots and their states.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The earliest deadline; before it, [`Event::Tick`] does nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.slots.next_deadline().into_iter().chain(self.tries()).min()
    }

    /// Whether an event is certain to come: an answer of a worker or the pool, an exit, a deadline.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.slots.is_under_way() || self.tries().next().is_some()
    }

    /// Handles one event and returns the actions that follow.
    pub fn handle(&mut self, now: Instant, event: Event<T>) -> Vec<Action<T>> {
        self.now = Some(now);
        let mut actions = Vec::new();
        match event {
            Event::Input(item) => self.begin_round(item, false),
            Event::Flush => self.begin_round(None, true),
            Event::Abandon => self.abandon(),
            Event::Output(stage, value) => self.output(now, stage, value, &mut actions),
            Event::Done(stage) => self.finish_call(stage, &mut actions),
            Event::Failed(stage, failure) if self.slots.hears_stage(stage) => {
                self.fail(now, stage, failure, &mut actions);
            }
            Event::Failed(..) => {}
            Event::Moved { stage, slot, work } => {
                if work.is_none() {
                    self.note_failure();
                }
                self.slots.move_stage(stage, slot);
                self.stages[stage].restart(work);
            }
            about_slots => {
                for change in self.slots.handle(now, about_slots, &mut actions) {
                    self.apply(now, change, &mut actions);
                }
            }
        }
        self.slots.advance(now, &mut actions);
        if self.slots.phase() == Phase::Open {
            self.advance(now, &mut actions);
        }
        actions
    }

    /// Skips the rounds that a changed slot can no longer work on, and ends the calls that it lost.
    fn apply(&mut self, now: Instant, change: Change, actions: &mut Vec<Action<T>>) {
        match change {
            Change::GivenUp(slot) => {
                for id in self.slots.stages_in(slot) {
                    let stage = &mut self.stages[id];
                    if stage.waits_until().is_some() || stage.has_work(now) {
                        stage.skip_round();
                    }
                }
                self.note_failure();
            }
            Change::Lost(slot) => self.lose(now, slot, actions),
        }
    }

    fn begin_round(&mut self, item: Option<T>, flush: bool) {
        let first = self.rounds_started == 0;
        self.rounds_started += 1;
        for stage in self.stages.iter_mut().filter(|s| s.is_root()) {
            match &item {
                _ if flush => {}
                None => stage.inputs[0].push(Entry::Start),
                Some(_) if stage.shape.is_source => {
                    if first {
                        stage.inputs[0].push(Entry::Start);
                    }
                }
                Some(item) => stage.inputs[0].push(Entry::Item(item.clone())),
            }
            stage.inputs[0].push(Entry::Mark { flush });
        }
    }

    fn output(&mut self, now: Instant, stage: StageId, value: T, actions: &mut Vec<Action<T>>) {
        if !self.slots.hears_stage(stage) {
            return;
        }
        match self.stages[stage].count_output(now, self.bounds.window) {
            Counted::Stray => return,
            Counted::Taken => self.slots.begin_step(now, stage),
            Counted::Suspended => self.slots.free(stage),
        }
        self.pass_on(stage, value, actions);
    }

    /// Passes an output of a stage to the stages below it, or to the caller.
    fn pass_on(&mut self, stage: StageId, value: T, actions: &mut Vec<Action<T>>) {
        if self.stages[stage].is_skipping() {
            return;
        }
        let round = self.stages[stage].round;
        let Some(others) = self.stages[stage].shape.outputs.len().checked_sub(1) else {
            actions.push(Action::Deliver { stage, round, value });
            return;
        };
        for index in 0..others {
            self.push_below(stage, index, Entry::Item(value.clone()));
        }
        self.push_below(stage, others, Entry::Item(value));
    }

    /// Puts an entry on one of a stage's outgoing edges.
    fn push_below(&mut self, stage: StageId, output: usize, entry: Entry<T>) {
        let target = self.stages[stage].shape.outputs[output];
        self.stages[target.stage].inputs[target.input].push(entry);
    }

    fn finish_call(&mut self, id: StageId, actions: &mut Vec<Action<T>>) {
        if !self.slots.hears_stage(id) {
            return;
        }
        self.slots.free(id);
        let stage = &mut self.stages[id];
        stage.end_call();
        // The end of a skipped call says nothing about its node.
        if !stage.is_skipping() && stage.breaker.succeed() {
            actions.push(Action::Breaker(id, false));
        }
    }

    /// Starts every call that can start, in stages furthest downstream first: queues stay short,
    /// and of stages that share a worker, the later ones consume what the earlier ones have
    /// produced.
    fn advance(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        loop {
            let mut moved = false;
            for id in (0..self.stages.len()).rev() {
                moved |= self.advance_stage(now, id, actions);
            }
            if !moved {
                return;
            }
        }
    }

    fn advance_stage(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        if self.stages[id].is_too_late(now) && !self.stages[id].is_skipping() {
            self.give_up_try(now, id, actions);
        }
        match self.stages[id].call {
            stage::Call::Running { .. } => false,
            stage::Call::Suspended => {
                if self.is_blocked_below(id) || !self.take(now, id, actions) {
                    return false;
                }
                self.stages[id].resume(now);
                // A call of a skipped round is ended: an endless one would hold the slot for ever.
                let is_given_up = self.stages[id].is_skipping();
                actions.push(if is_given_up { Action::Abort(id) } else { Action::Credit(id) });
                true
            }
            stage::Call::Kept { at, .. } => {
                let is_skipping = self.stages[id].is_skipping();
                if (now < at && !is_skipping) || !self.take(now, id, actions) {
                    return false;
                }
                self.stages[id].retry();
                actions.push(if is_skipping { Action::Abort(id) } else { Action::Retry(id) });
                true
            }
            stage::Call::None => {
                let moved = self.pass_marks(id, actions);
                if !self.stages[id].has_work(now) || self.is_blocked_below(id) {
                    return moved;
                }
                if self.stages[id].breaker.is_open(now) {
                    self.skip(now, id, actions);
                    return true;
                }
                if !self.take(now, id, actions) {
                    return moved;
                }
                if let Some(work) = self.stages[id].next_work(now) {
                    actions.push(Action::Call { stage: id, work });
                } else {
                    self.slots.free(id);
                    self.tell_uneven(id, actions);
                }
                true
            }
        }
    }

    /// Takes the slot of a stage for a call.
    fn take(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        // Only a call that is wanted has a deadline; one that is ended has the time-outs of its nodes.
        let stage = &self.stages[id];
        let due = stage.due(now).filter(|_| !stage.is_skipping());
        self.slots.take(now, id, due, actions)
    }

    /// Passes the marks of rounds that the stage has completed to the stages below it. Returns
    /// whether there were any.
    fn pass_marks(&mut self, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        let mut moved = false;
        while let Some(flush) = self.stages[id].take_mark() {
            moved = true;
            for output in 0..self.stages[id].shape.outputs.len() {
                self.push_below(id, output, Entry::Mark { flush });
            }
        }
        if moved {
            self.close_rounds(actions);
        }
        moved
    }

    fn close_rounds(&mut self, actions: &mut Vec<Action<T>>) {
        let sinks = self.stages.iter().filter(|s| s.shape.outputs.is_empty());
        let done = sinks.map(|s| s.round).min().unwrap_or(self.rounds_started);
        for round in self.rounds_done..done {
            actions.push(Action::RoundDone(round));
        }
        self.rounds_done = done;
    }

    fn is_blocked_below(&self, id: StageId) -> bool {
        let full = |target: &stage::Target| {
            self.stages[target.stage].is_full(target.input, self.bounds.queue)
        };
        self.stages[id].shape.outputs.iter().any(full)
    }
}
