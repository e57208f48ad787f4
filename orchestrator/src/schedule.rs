//! The session core: which stage works on what, when, and in which order. Pure: no clock, no I/O,
//! no processes; `handle(now, event)` gives actions, the session shell carries them out.
//!
//! Inputs are numbered in rounds. Every edge carries the items of a round followed by a mark, so
//! each stage knows when it has seen a round completely, joins can order their inputs, and a round
//! is over when its mark has left every sink.

mod edge;
mod stage;
#[cfg(test)]
mod tests;

use std::time::Instant;

use edge::Entry;
use stage::{Counted, Stage, State};
pub use stage::{StageShape, Target, Work};

/// Number of a stage in its plan.
pub type StageId = usize;
/// Number of a worker slot in its plan.
pub type SlotId = usize;
/// Number of an input of the session; the first is 0.
pub type Round = u64;

/// Bounds of the core.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Outputs that a stage may send before it is suspended.
    pub window: u32,
    /// Items that may wait on one edge before the stages in front of it pause.
    pub queue: usize,
}

/// What happened.
#[derive(Debug)]
pub enum Event<T> {
    /// A new round: an input, or `None` to let the sources produce.
    Input(Option<T>),
    /// A new round in which every stage flushes.
    Flush,
    /// A stage sent an output.
    Output(StageId, T),
    /// The call of a stage is complete.
    Done(StageId),
    /// The call of a stage failed; what is left of its round is skipped there.
    Failed(StageId),
    /// The worker of a slot died, and with it every call on it.
    SlotLost(SlotId),
    /// A slot has a worker again.
    SlotReady(SlotId),
    /// A slot could not be given a worker again; what waits for it is skipped.
    ReopenFailed(SlotId),
    /// A stage lives on a new slot from now on, which has no worker yet.
    Moved {
        /// The stage.
        stage: StageId,
        /// The slot.
        slot: SlotId,
        /// What the call that was under way was to do, to be done there; `None` gives the call up.
        work: Option<Work<T>>,
    },
    /// Time passed.
    Tick,
}

/// What is to be done about it, in order.
#[derive(Debug, PartialEq)]
pub enum Action<T> {
    /// Begin a call.
    Call {
        /// The stage.
        stage: StageId,
        /// What it shall do.
        work: Work<T>,
    },
    /// Let a suspended stage send more outputs.
    Credit(StageId),
    /// An output of the graph.
    Deliver {
        /// The sink stage.
        stage: StageId,
        /// The round that it belongs to.
        round: Round,
        /// The output.
        value: T,
    },
    /// Every sink is through with this round.
    RoundDone(Round),
    /// A slot without a worker is needed again.
    Reopen(SlotId),
    /// A call is overdue: its worker must be stopped.
    Expire(StageId),
    /// The inputs of a zip join did not pair up in this round.
    Uneven(StageId),
}

/// A worker slot as the core sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Free,
    Busy(StageId),
    Lost,
    Reopening,
}

/// State of one session.
#[derive(Debug)]
pub struct Core<T> {
    stages: Vec<Stage<T>>,
    slots: Vec<Slot>,
    bounds: Bounds,
    rounds_started: Round,
    rounds_done: Round,
    is_stopped: bool,
}

impl<T: Clone> Core<T> {
    /// A core for stages in topological order. `slots` is the number of worker slots.
    #[must_use]
    pub fn new(shapes: Vec<StageShape>, slots: usize, bounds: Bounds) -> Self {
        Self {
            stages: shapes.into_iter().map(Stage::new).collect(),
            slots: vec![Slot::Free; slots],
            bounds,
            rounds_started: 0,
            rounds_done: 0,
            is_stopped: false,
        }
    }

    /// Marks a stage whose first node turned out to be a source.
    pub fn set_source(&mut self, stage: StageId) {
        self.stages[stage].shape.is_source = true;
    }

    /// Whether a stage produces without input.
    #[must_use]
    pub fn is_source(&self, stage: StageId) -> bool {
        self.stages[stage].shape.is_source
    }

    /// From now on nothing new begins; calls under way may still end.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Whether a stage's call is being worked on; a suspended one is not.
    #[must_use]
    pub fn is_running(&self, stage: StageId) -> bool {
        matches!(self.stages[stage].state, State::Running { .. } | State::Expired)
    }

    /// Rounds that have begun and are not over.
    #[must_use]
    pub fn open_rounds(&self) -> u64 {
        self.rounds_started - self.rounds_done
    }

    /// Whether a further input would be taken up without waiting behind a full queue.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        let limit = self.bounds.queue;
        self.stages.iter().filter(|s| s.is_root()).all(|s| !s.is_full(0, limit))
    }

    /// Stages that have a call under way on this slot, suspended ones included.
    pub fn calls_on(&self, slot: SlotId) -> impl Iterator<Item = StageId> + '_ {
        self.stages
            .iter()
            .enumerate()
            .filter(move |(_, s)| s.shape.slot == Some(slot))
            .filter_map(|(id, s)| (!matches!(s.state, State::Idle)).then_some(id))
    }

    /// The next moment at which [`Event::Tick`] would do something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.stages.iter().filter_map(|s| s.state.deadline()).min()
    }

    /// Takes one event and says what follows from it.
    pub fn handle(&mut self, now: Instant, event: Event<T>) -> Vec<Action<T>> {
        let mut actions = Vec::new();
        match event {
            Event::Input(item) => self.begin_round(item, false),
            Event::Flush => self.begin_round(None, true),
            Event::Output(stage, value) => self.output(now, stage, value, &mut actions),
            Event::Done(stage) => self.finish_call(stage),
            Event::Failed(stage) => {
                self.stages[stage].skip_round();
                self.finish_call(stage);
            }
            Event::SlotLost(slot) => self.lose(slot),
            Event::SlotReady(slot) => self.slots[slot] = Slot::Free,
            Event::ReopenFailed(slot) => self.give_up(slot),
            Event::Moved { stage, slot, work } => self.settle(stage, slot, work),
            Event::Tick => self.expire(now, &mut actions),
        }
        if !self.is_stopped {
            self.advance(now, &mut actions);
        }
        actions
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
        let round = self.stages[stage].round;
        match self.stages[stage].count_output(now, self.bounds.window) {
            Counted::Stray => return,
            Counted::Taken => {}
            Counted::Suspended => self.free_slot_of(stage),
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

    /// Puts an entry on one of the edges behind a stage.
    fn push_below(&mut self, stage: StageId, output: usize, entry: Entry<T>) {
        let target = self.stages[stage].shape.outputs[output];
        self.stages[target.stage].inputs[target.input].push(entry);
    }

    fn finish_call(&mut self, stage: StageId) {
        if self.stages[stage].state == State::Expired {
            return;
        }
        self.free_slot_of(stage);
        self.stages[stage].end_call();
    }

    fn free_slot_of(&mut self, stage: StageId) {
        if let Some(slot) = self.stages[stage].shape.slot
            && self.slots[slot] == Slot::Busy(stage)
        {
            self.slots[slot] = Slot::Free;
        }
    }

    fn lose(&mut self, slot: SlotId) {
        let lost: Vec<StageId> = self.calls_on(slot).collect();
        for stage in lost {
            self.stages[stage].skip_round();
            self.stages[stage].end_call();
        }
        self.slots[slot] = Slot::Lost;
    }

    /// The next round may try to open the slot again.
    fn give_up(&mut self, slot: SlotId) {
        self.slots[slot] = Slot::Lost;
        for stage in self.stages.iter_mut().filter(|stage| stage.shape.slot == Some(slot)) {
            if stage.has_work() {
                stage.skip_round();
            }
        }
    }

    /// The slot has no worker yet: whoever needs it first has it opened.
    fn settle(&mut self, stage: StageId, slot: SlotId, work: Option<Work<T>>) {
        self.free_slot_of(stage);
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, Slot::Lost);
        }
        self.slots[slot] = Slot::Lost;
        self.stages[stage].move_to(slot, work);
    }

    fn expire(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        for (id, stage) in self.stages.iter_mut().enumerate() {
            if stage.state.deadline().is_some_and(|deadline| deadline <= now) {
                stage.state = State::Expired;
                actions.push(Action::Expire(id));
            }
        }
    }

    /// Starts whatever can start. The stages furthest down go first: that keeps queues short and
    /// lets stages that share a worker drain what the one above them produced.
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
        match self.stages[id].state {
            State::Running { .. } | State::Expired => false,
            State::Suspended => {
                if self.is_blocked_below(id) || !self.take_slot(id, actions) {
                    return false;
                }
                self.stages[id].resume(now);
                actions.push(Action::Credit(id));
                true
            }
            State::Idle => {
                let moved = self.pass_marks(id, actions);
                if !self.stages[id].has_work()
                    || self.is_blocked_below(id)
                    || !self.take_slot(id, actions)
                {
                    return moved;
                }
                if let Some(work) = self.stages[id].next_work(now) {
                    actions.push(Action::Call { stage: id, work });
                } else {
                    self.free_slot_of(id);
                    self.stages[id].skip_round();
                    actions.push(Action::Uneven(id));
                }
                true
            }
        }
    }

    /// Hands on the marks of rounds that the stage is through with.
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

    fn take_slot(&mut self, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        let Some(slot) = self.stages[id].shape.slot else { return true };
        match self.slots[slot] {
            Slot::Free => {
                self.slots[slot] = Slot::Busy(id);
                true
            }
            Slot::Lost => {
                self.slots[slot] = Slot::Reopening;
                actions.push(Action::Reopen(slot));
                false
            }
            Slot::Busy(_) | Slot::Reopening => false,
        }
    }
}
