//! The session core: it decides the order of a session's calls and its deadlines. Pure: no clock,
//! no I/O, no processes; `handle(now, event)` returns actions, which the session shell carries out.
//!
//! Every input starts a round. On each edge the items of a round are followed by a mark: from it a
//! stage knows that the round is complete, joins order their inputs by it, and a round is over when
//! its mark has left every sink. Each worker slot is a state machine of its own (`slots`), from
//! asking for a worker to closing.

mod advance;
mod ahead;
mod attempts;
mod edge;
mod event;
mod failures;
mod flow;
mod gate;
mod history;
mod order;
mod saves;
mod slots;
mod stage;
mod stream;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use advance::Advance;
pub use ahead::Ahead;
pub use attempts::BreakerState;
pub use event::{Action, Blame, Deadline, Event, Failure, Overdue, Running};
use flow::Flow;
use saves::Saves;
use slots::{Change, Home, Phase, borrow_all};
pub use slots::{Slots, Tuning};
use stage::Counted;
pub use stage::{StageShape, StateLoss, Target, Traits, Work};

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
    /// Time limits of slots that get none of their own by [`Event::Retune`].
    pub times: Times,
}

/// Time limits of a worker slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
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
    flow: Flow<T>,
    slots: Slots,
    saves: Saves<T>,
    bounds: Bounds,
    /// When the last event was handled; absent before the first.
    now: Option<Instant>,
}

impl<T: Clone> Core<T> {
    /// A core for stages in topological order. `slots` has one entry per worker slot: whether it
    /// opens before the others.
    #[must_use]
    pub fn new(shapes: Vec<StageShape>, slots: &[bool], bounds: Bounds) -> Self {
        let homes = shapes.iter().map(Home::of).collect();
        let mut core = Self {
            flow: Flow::new(shapes, bounds.queue),
            slots: Slots::new(slots, homes, bounds.times),
            saves: Saves::new(slots.len()),
            bounds,
            now: None,
        };
        for slot in 0..slots.len() {
            core.saves.settle(slot, &mut core.flow, &core.slots);
        }
        core
    }

    /// Adds a slot whose worker stands by for that of another slot, with the state that was saved last.
    pub fn add_standby(&mut self, of: SlotId) -> SlotId {
        let standby = self.slots.add_standby();
        self.saves.add_slot();
        self.saves.stand_by(standby, of);
        standby
    }

    /// Records what the worker of a stage reported about its nodes when it made them.
    pub fn note(&mut self, stage: StageId, traits: Traits) {
        let shape = &mut self.flow.stages[stage].shape;
        shape.is_source |= traits.is_source;
        shape.flushes = traits.flushes;
        shape.state = traits.state;
        self.flow.reader_mut(stage).shape.flushes = traits.flushes;
        if let Some(slot) = self.slots.slot_of(stage) {
            self.saves.settle(slot, &mut self.flow, &self.slots);
        }
    }

    /// The breaker of a stage as it stands.
    #[must_use]
    pub fn breaker(&self, stage: StageId) -> BreakerState {
        self.flow.reader(stage).breaker
    }

    /// Sets the breaker of a stage, as an earlier session left it.
    pub fn set_breaker(&mut self, stage: StageId, state: BreakerState) {
        self.flow.reader_mut(stage).breaker = state;
    }

    /// Whether the first failure from now on abandons all rounds that have begun until then.
    pub fn stop_at_failure(&mut self, stops: bool) {
        self.flow.stops_at_failure = stops;
    }

    /// Whether the caller gets round after round from now on: what belongs to one before all that belongs to the
    /// next. A failure then ends only its round.
    pub fn keep_rounds_apart(&mut self, is_stream: bool) {
        self.flow.is_stream = is_stream;
    }

    /// The greatest number of replicas of a node.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.flow.width()
    }

    /// Whether replicas may have nothing to do, because too few rounds are open.
    #[must_use]
    pub fn is_hungry(&self) -> bool {
        self.flow.open_rounds() < self.flow.width()
    }

    /// Whether a stage produces without input.
    #[must_use]
    pub fn is_source(&self, stage: StageId) -> bool {
        self.flow.stages[stage].shape.is_source
    }

    /// Number of rounds that have begun and are not complete.
    #[must_use]
    pub fn open_rounds(&self) -> u64 {
        self.flow.open_rounds()
    }

    /// Whether the input queues of all root stages have room for another input.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.flow.wants_input()
    }

    /// The worker slots and their states.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The earliest deadline; before it, [`Event::Tick`] does nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.slots.next_deadline().into_iter().chain(self.next_try()).min()
    }

    /// Whether an event is certain to come: an answer of a worker or the pool, an exit, a deadline.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.slots.is_under_way() || self.next_try().is_some()
    }

    fn next_try(&self) -> Option<Instant> {
        let now = self.now.filter(|_| self.slots.phase == Phase::Open)?;
        self.flow.tries(now).min()
    }

    /// Handles one event and returns the actions that follow.
    pub fn handle(&mut self, now: Instant, event: Event<T>) -> Vec<Action<T>> {
        self.now = Some(now);
        let mut actions = Vec::new();
        match event {
            Event::Input(item) => self.flow.begin_round(item, false),
            Event::Flush => self.flow.begin_round(None, true),
            Event::Abandon => self.flow.abandon(),
            Event::Interrupt => {
                self.flow.abandon();
                let stages = &self.flow.stages;
                let is_dropped = |stage: StageId| stages[stage].can_be_cut_short();
                self.slots.cut_short(now, is_dropped, &mut actions);
            }
            Event::Late => self.flow.drop_outputs(),
            Event::Output(stage, value) => self.output(now, stage, value, &mut actions),
            Event::Done(stage) => self.finish_call(stage, &mut actions),
            Event::Failed(stage, failure) if self.slots.hears_stage(stage) => {
                self.fail(now, stage, failure, &mut actions);
            }
            Event::Failed(..) => {}
            Event::Moved { stage, slot, work } => {
                if work.is_none() {
                    self.flow.note_failure(None);
                }
                let Self { flow, slots, .. } = self;
                self.saves.move_stage((stage, slot), flow, slots, &mut actions);
                self.flow.stages[stage].restart(work);
            }
            Event::Saved(slot, is_saved) => {
                self.saves.saved(now, (slot, is_saved), &mut self.slots, &mut actions);
            }
            about_slots => {
                if let Event::OpenFailed(slot) = about_slots {
                    self.saves.fail_to_open(slot, &mut self.flow, &self.slots, &mut actions);
                }
                for change in self.slots.handle(now, about_slots, &mut actions) {
                    self.apply(now, change, &mut actions);
                }
            }
        }
        if self.slots.advance(now, &mut actions) {
            self.saves.ask_for_standbys(now, &mut self.slots, &mut actions);
            borrow_all(&mut self.slots, now, &mut actions);
        }
        if self.slots.phase == Phase::Open {
            let Self { flow, slots, saves, .. } = self;
            Advance { flow, slots, saves, actions: &mut actions, now }.all();
        }
        actions
    }

    /// Skips the rounds that a changed slot can no longer work on, and ends the calls that it lost.
    fn apply(&mut self, now: Instant, change: Change, actions: &mut Vec<Action<T>>) {
        match change {
            Change::Opened(slot) => self.saves.opened(now, slot, &mut self.slots, actions),
            Change::GivenUp(slot) => {
                self.flow.give_up(now, &self.slots.stages_in(slot));
            }
            Change::Lost(slot, loss) => self.lose(now, slot, loss, actions),
        }
    }

    fn output(&mut self, now: Instant, stage: StageId, value: T, actions: &mut Vec<Action<T>>) {
        if !self.slots.hears_stage(stage) {
            return;
        }
        match self.flow.stages[stage].count_output(now, self.bounds.window) {
            Counted::Stray => return,
            Counted::Taken => self.slots.begin_step(now, stage),
            Counted::Suspended => self.slots.free(stage),
        }
        if !self.flow.stages[stage].is_known_output() {
            self.flow.pass_on(stage, value, actions);
        }
    }

    fn finish_call(&mut self, id: StageId, actions: &mut Vec<Action<T>>) {
        if !self.slots.hears_stage(id) {
            return;
        }
        self.slots.free(id);
        let is_repeated = self.saves.end_call(id, &mut self.flow, &self.slots, actions);
        // The end of a skipped call says nothing about its node, nor does that of a repeated one.
        if !is_repeated {
            self.flow.count_success(id, actions);
        }
    }
}
