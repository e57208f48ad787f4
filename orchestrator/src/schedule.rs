//! The session core: every rule of a session that has an order or a deadline. Pure: no clock, no
//! I/O, no processes; `handle(now, event)` gives actions, the session shell carries them out.
//!
//! Inputs are numbered in rounds. Every edge carries the items of a round followed by a mark, so
//! each stage knows when it has seen a round completely, joins can order their inputs, and a round
//! is over when its mark has left every sink. Each worker slot is a state machine of its own
//! (`slot`), from asking for a worker to its end.

mod closing;
mod edge;
mod life;
mod slot;
mod stage;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use edge::Entry;
use ipc_protocol::FaultKind;
use slot::Slot;
use stage::{Counted, Stage};
pub use stage::{StageShape, Target, Work};

/// Number of a stage in its plan.
pub type StageId = usize;
/// Number of a worker slot in its plan.
pub type SlotId = usize;
/// Number of an input of the session; the first is 0.
pub type Round = u64;

/// How long a worker whose connection ended, or that was killed, may take to end.
pub const EXIT_GRACE: Duration = Duration::from_millis(500);
/// How long an overdue worker may take to write down its Python stack.
pub const STACK_GRACE: Duration = Duration::from_millis(250);

/// Bounds of the core.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Outputs that a stage may send before it is suspended.
    pub window: u32,
    /// Items that may wait on one edge before the stages in front of it pause.
    pub queue: usize,
    /// Time to get workers from the pool.
    pub acquire_timeout: Duration,
    /// Time from the grant of a worker to the end of its nodes' `initialize`. A worker that has to
    /// wait for others to open first has it from then on.
    pub open_timeout: Duration,
    /// Time for interrupted calls to end, and then for `cleanup`.
    pub close_timeout: Duration,
}

/// Node code that runs in a worker, as its flight recorder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// The stage of the node.
    pub stage: StageId,
    /// Its place in the stage.
    pub node: usize,
    /// Which of its methods runs.
    pub operation: FaultKind,
    /// When the method was entered; a generator, when it was resumed.
    pub since: Instant,
}

/// What happened.
#[derive(Debug)]
pub enum Event<T> {
    /// The session opens: every slot gets a worker, and every worker its nodes.
    Open,
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
    /// The slot has a worker, without nodes yet.
    Granted(SlotId),
    /// No worker is to be had for the slot.
    Refused(SlotId),
    /// The nodes of a slot stand.
    Opened(SlotId),
    /// The nodes of a slot cannot be made; its worker has none and is given back.
    OpenFailed(SlotId),
    /// The slot's worker cannot host its nodes and another may; it is given back.
    Unsuited(SlotId),
    /// The answer to [`Action::Inspect`]: what runs in the slot's worker.
    Seen(SlotId, Option<Running>),
    /// The connection to the slot's worker is of no use any more.
    LinkEnded(SlotId),
    /// The process in the slot has ended.
    Exited(SlotId),
    /// The answer to [`Action::Bury`]: the slot's worker is gone, and with it every call on it.
    Lost(SlotId),
    /// A stage lives on a new slot from now on, which has no worker yet.
    Moved {
        /// The stage.
        stage: StageId,
        /// The slot.
        slot: SlotId,
        /// What the call that was under way was to do, to be done there; `None` gives the call up.
        work: Option<Work<T>>,
    },
    /// The session ends: calls under way are interrupted, nodes clean up, workers go back.
    Close,
    /// The worker of a slot has forgotten the session, and is given back.
    Closed(SlotId),
    /// Time passed.
    Tick,
}

/// What is to be done about it, in order.
#[derive(Debug, PartialEq)]
pub enum Action<T> {
    /// Ask for workers for these slots, all at once.
    Acquire(Vec<SlotId>),
    /// The slot needs no worker any more.
    Withdraw(SlotId),
    /// The pool had no worker for the slot in time.
    Unavailable(SlotId),
    /// Have the slot's worker make its nodes.
    Open(SlotId),
    /// No worker suits the slot, as many as were tried.
    Unsuitable(SlotId),
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
    /// The inputs of a zip join did not pair up in this round.
    Uneven(StageId),
    /// Look what runs in the slot's worker, and since when.
    Inspect(SlotId),
    /// A deadline has passed: have the worker write down its stack and end.
    Expire(SlotId, Overdue),
    /// Ask the node code that runs in the slot's worker to end.
    Interrupt(SlotId),
    /// End the slot's process.
    Kill(SlotId),
    /// The slot's process has ended, or does not: say why, and take it out.
    Bury(SlotId),
    /// Give the slot's worker, which has no nodes, back.
    Release(SlotId),
    /// Have the slot's worker clean its nodes up and forget the session.
    Close(SlotId),
}

/// A deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// What took too long, where one node did.
    pub running: Option<Running>,
    /// The time that there was.
    pub limit: Duration,
    /// Which deadline it is.
    pub deadline: Deadline,
}

/// The deadlines of node code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// A node's own time-out.
    Node,
    /// [`Bounds::open_timeout`].
    Open,
    /// [`Bounds::close_timeout`].
    Close,
}

/// Where the session as a whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Closing,
}

/// State of one session.
#[derive(Debug)]
pub struct Core<T> {
    stages: Vec<Stage<T>>,
    slots: Vec<Slot>,
    bounds: Bounds,
    phase: Phase,
    rounds_started: Round,
    rounds_done: Round,
    is_stopped: bool,
}

impl<T: Clone> Core<T> {
    /// A core for stages in topological order. `slots` says of each worker slot whether it opens
    /// before the others.
    #[must_use]
    pub fn new(shapes: Vec<StageShape>, slots: &[bool], bounds: Bounds) -> Self {
        Self {
            stages: shapes.into_iter().map(Stage::new).collect(),
            slots: slots.iter().map(|opens_first| Slot::new(*opens_first)).collect(),
            bounds,
            phase: Phase::Opening,
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

    /// The next moment at which [`Event::Tick`] would do something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.state.next_deadline()).min()
    }

    /// Takes one event and says what follows from it.
    pub fn handle(&mut self, now: Instant, event: Event<T>) -> Vec<Action<T>> {
        let mut actions = Vec::new();
        match event {
            Event::Input(item) => self.begin_round(item, false),
            Event::Flush => self.begin_round(None, true),
            Event::Output(stage, value) => self.output(now, stage, value, &mut actions),
            Event::Done(stage) => self.finish_call(stage),
            Event::Failed(stage) if self.is_heard(stage) => {
                self.stages[stage].skip_round();
                self.finish_call(stage);
            }
            Event::Failed(_) => {}
            Event::Moved { stage, slot, work } => self.settle(stage, slot, work),
            Event::Close => self.close(now, &mut actions),
            about_slots => self.handle_slot(now, about_slots, &mut actions),
        }
        match self.phase {
            Phase::Closing => self.close_free(now, &mut actions),
            Phase::Opening => self.open_held(now, &mut actions),
            Phase::Open => {
                self.open_held(now, &mut actions);
                if !self.is_stopped {
                    self.advance(now, &mut actions);
                }
            }
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
        if !self.is_heard(stage) {
            return;
        }
        let round = self.stages[stage].round;
        match self.stages[stage].count_output(self.bounds.window) {
            Counted::Stray => return,
            Counted::Taken => self.begin_step(now, stage),
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
        if self.is_heard(stage) {
            self.free_slot_of(stage);
            self.stages[stage].end_call();
        }
    }

    /// Whether what a stage's worker says still counts: nothing does once it is dying.
    fn is_heard(&self, stage: StageId) -> bool {
        let slot = self.stages[stage].shape.slot;
        slot.is_none_or(|slot| !self.slots[slot].state.is_dying())
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
        match self.stages[id].call {
            stage::Call::Running { .. } => false,
            stage::Call::Suspended => {
                if self.is_blocked_below(id) || !self.take_slot(now, id, actions) {
                    return false;
                }
                self.stages[id].resume();
                actions.push(Action::Credit(id));
                true
            }
            stage::Call::None => {
                let moved = self.pass_marks(id, actions);
                if !self.stages[id].has_work()
                    || self.is_blocked_below(id)
                    || !self.take_slot(now, id, actions)
                {
                    return moved;
                }
                if let Some(work) = self.stages[id].next_work() {
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
}
