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
mod flow;
mod history;
mod saves;
mod slots;
mod stage;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use attempts::BreakerState;
pub use event::{Action, Blame, Deadline, Event, Failure, Overdue, Running};
use flow::Flow;
use saves::Saves;
use slots::{Change, Home, Phase};
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
        if let Some(slot) = self.slots.slot_of(stage) {
            self.saves.settle(slot, &mut self.flow, &self.slots);
        }
    }

    /// The breaker of a stage as it stands.
    #[must_use]
    pub fn breaker(&self, stage: StageId) -> BreakerState {
        self.flow.stages[stage].breaker
    }

    /// Sets the breaker of a stage, as an earlier session left it.
    pub fn set_breaker(&mut self, stage: StageId, state: BreakerState) {
        self.flow.stages[stage].breaker = state;
    }

    /// Whether the first failure from now on abandons all rounds that have begun until then.
    pub fn stop_at_failure(&mut self, stops: bool) {
        self.flow.stops_at_failure = stops;
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
                    self.flow.note_failure();
                }
                let Self { flow, slots, .. } = self;
                self.saves.move_stage((stage, slot), flow, slots, &mut actions);
                self.flow.stages[stage].restart(work);
            }
            Event::Saved(slot, is_saved) => {
                self.saves.saved(now, (slot, is_saved), &mut self.slots, &mut actions);
            }
            about_slots => {
                for change in self.slots.handle(now, about_slots, &mut actions) {
                    self.apply(now, change, &mut actions);
                }
            }
        }
        if self.slots.advance(now, &mut actions) {
            self.saves.ask_for_standbys(now, &mut self.slots, &mut actions);
        }
        if self.slots.phase == Phase::Open {
            self.advance(now, &mut actions);
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
        let stage = &mut self.flow.stages[id];
        // The end of a skipped call says nothing about its node, nor does that of a repeated one.
        if !is_repeated && !stage.is_skipping() && stage.breaker.succeed() {
            actions.push(Action::Breaker(id, false));
        }
    }

    /// Starts every call that can start, in stages furthest downstream first: queues stay short,
    /// and of stages that share a worker, the later ones consume what the earlier ones have
    /// produced.
    fn advance(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        loop {
            let mut moved = false;
            for id in (0..self.flow.stages.len()).rev() {
                moved |= self.advance_stage(now, id, actions);
            }
            if !moved {
                return;
            }
        }
    }

    fn advance_stage(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        if self.flow.stages[id].is_too_late(now) && !self.flow.stages[id].is_skipping() {
            self.give_up_try(now, id, actions);
        }
        match self.flow.stages[id].call {
            stage::Call::Running { .. } | stage::Call::Ending => false,
            stage::Call::Suspended => self.resume(now, id, actions),
            stage::Call::Over => {
                let ends = self.take(now, id, actions);
                if ends {
                    self.flow.stages[id].abort();
                    actions.push(Action::Abort(id));
                }
                ends
            }
            stage::Call::Kept { at, .. } => {
                let is_skipping = self.flow.stages[id].is_skipping();
                if (now < at && !is_skipping) || !self.take(now, id, actions) {
                    return false;
                }
                if is_skipping {
                    self.flow.stages[id].abort();
                    actions.push(Action::Abort(id));
                } else {
                    self.flow.stages[id].retry();
                    actions.push(Action::Retry(id));
                }
                true
            }
            stage::Call::None => {
                let moved = self.flow.pass_marks(id, actions);
                let slot = self.slots.slot_of(id);
                let repeated = slot.and_then(|slot| Some((slot, self.saves.next_repeated(slot)?)));
                if let Some((slot, first)) = repeated {
                    let begins = first == id && self.take(now, id, actions);
                    if begins {
                        self.saves.repeat(slot, &mut self.flow, actions);
                    }
                    return begins || moved;
                }
                if !self.flow.stages[id].has_work(now) || self.flow.is_blocked_below(id) {
                    return moved;
                }
                if self.flow.stages[id].breaker.is_open(now) {
                    self.flow.skip(now, id, actions);
                    return true;
                }
                if !self.take(now, id, actions) {
                    return moved;
                }
                if let Some(work) = self.flow.stages[id].next_work(now) {
                    actions.push(Action::Call { stage: id, work });
                } else {
                    self.slots.free(id);
                    self.flow.tell_uneven(id, actions);
                }
                true
            }
        }
    }

    /// Goes on with the suspended call of a stage.
    fn resume(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        // The outputs of a repeated call go nowhere, and stages below wait for its end.
        let is_repeating = self.flow.stages[id].is_repeating();
        let is_blocked = self.flow.is_blocked_below(id) && !is_repeating;
        if is_blocked || !self.take(now, id, actions) {
            return false;
        }
        // A call of a skipped round is ended: an endless one would hold the slot for ever.
        let stage = &mut self.flow.stages[id];
        if stage.is_skipping() && !is_repeating {
            stage.abort();
            actions.push(Action::Abort(id));
        } else {
            stage.resume(now);
            actions.push(Action::Credit(id));
        }
        true
    }

    /// Takes the slot of a stage for a call.
    fn take(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        // Only a call that is wanted has a deadline; one that is ended has the time-outs of its nodes.
        let stage = &self.flow.stages[id];
        let due = stage.due(now).filter(|_| !stage.is_skipping());
        self.slots.take(now, id, due, actions)
    }
}
