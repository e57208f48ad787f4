//! The session core: it decides the order of a session's calls and its deadlines. Pure: no clock,
//! no I/O, no processes; `handle(now, event)` returns actions, which the session shell carries out.
//!
//! Every input starts a round. On each edge the items of a round are followed by a mark: from it a
//! stage knows that the round is complete, joins order their inputs by it, and a round is over when
//! its mark has left every sink. Each worker slot is a state machine of its own (`slots`), from
//! asking for a worker to closing.

mod edge;
mod event;
mod slots;
mod stage;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use edge::Entry;
pub use event::{Action, Deadline, Event, Overdue, Running};
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
/// How long an overdue worker may take to record its Python stack and exit, before it is killed.
pub const STACK_GRACE: Duration = Duration::from_millis(250);

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
        }
    }

    /// Records what the worker of a stage reported about its nodes when it made them.
    pub fn note(&mut self, stage: StageId, traits: Traits) {
        let shape = &mut self.stages[stage].shape;
        shape.is_source |= traits.is_source;
        shape.flushes = traits.flushes;
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

    /// Handles one event and returns the actions that follow.
    pub fn handle(&mut self, now: Instant, event: Event<T>) -> Vec<Action<T>> {
        let mut actions = Vec::new();
        match event {
            Event::Input(item) => self.begin_round(item, false),
            Event::Flush => self.begin_round(None, true),
            Event::Abandon => {
                let begun = self.rounds_started;
                self.stages.iter_mut().for_each(|stage| stage.skip_before = begun);
            }
            Event::Output(stage, value) => self.output(now, stage, value, &mut actions),
            Event::Done(stage) => self.finish_call(stage),
            Event::Failed(stage) if self.slots.hears_stage(stage) => {
                self.stages[stage].skip_round();
                self.finish_call(stage);
            }
            Event::Failed(_) => {}
            Event::Moved { stage, slot, work } => {
                self.slots.move_stage(stage, slot);
                self.stages[stage].restart(work);
            }
            about_slots => {
                for change in self.slots.handle(now, about_slots, &mut actions) {
                    self.apply(change);
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
    fn apply(&mut self, change: Change) {
        let (Change::GivenUp(slot) | Change::Lost(slot)) = change;
        for stage in self.slots.stages_in(slot) {
            let stage = &mut self.stages[stage];
            match change {
                Change::GivenUp(_) if stage.has_work() => stage.skip_round(),
                Change::Lost(_) if stage.has_call() => {
                    stage.skip_round();
                    stage.end_call();
                }
                _ => {}
            }
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
        let round = self.stages[stage].round;
        match self.stages[stage].count_output(self.bounds.window) {
            Counted::Stray => return,
            Counted::Taken => self.slots.begin_step(now, stage),
            Counted::Suspended => self.slots.free(stage),
        }
        if self.stages[stage].is_skipping() {
            return;
        }
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

    fn finish_call(&mut self, stage: StageId) {
        if self.slots.hears_stage(stage) {
            self.slots.free(stage);
            self.stages[stage].end_call();
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
        match self.stages[id].call {
            stage::Call::Running { .. } => false,
            stage::Call::Suspended => {
                if self.is_blocked_below(id) || !self.slots.take(now, id, actions) {
                    return false;
                }
                self.stages[id].resume();
                // A call of a skipped round is ended: an endless one would hold the slot for ever.
                let is_given_up = self.stages[id].is_skipping();
                actions.push(if is_given_up { Action::Abort(id) } else { Action::Credit(id) });
                true
            }
            stage::Call::None => {
                let moved = self.pass_marks(id, actions);
                if !self.stages[id].has_work()
                    || self.is_blocked_below(id)
                    || !self.slots.take(now, id, actions)
                {
                    return moved;
                }
                if let Some(work) = self.stages[id].next_work() {
                    actions.push(Action::Call { stage: id, work });
                } else {
                    self.slots.free(id);
                    self.stages[id].skip_round();
                    actions.push(Action::Uneven(id));
                }
                true
            }
        }
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
