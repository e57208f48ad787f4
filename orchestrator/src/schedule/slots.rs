//! The worker slots of a session: getting workers, opening, deaths, closing. Decides which stage
//! may use a slot, and when; `stage` decides which call it makes there.

mod borrow;
mod cut_short;
mod deadlines;
mod limits;
mod retune;
mod slot;

use std::time::{Duration, Instant};

use super::event::{Action, Event};
use super::{EXIT_GRACE, SlotId, StageId, StageShape, Times};
use crate::placement::Part;
pub(super) use borrow::{borrow, borrow_all, is_usable};
pub(super) use cut_short::Loss;
use deadlines::first_timeout;
#[cfg(test)]
pub(super) use limits::MEASURE_EVERY;
pub use retune::Tuning;
use slot::{Slot, State, Watch};

/// The slot of a stage, and the time-outs of its nodes.
#[derive(Debug)]
pub(super) struct Home {
    slot: Option<SlotId>,
    /// Time-out of each node's methods; `None`: no limit.
    timeouts: Vec<Option<Duration>>,
    /// Whether its worker has limits that are measured.
    is_watched: bool,
    /// Longest time for an item with all its tries.
    deadline: Option<Duration>,
    /// Whether the session opens without its worker: it is another replica of a node.
    is_further: bool,
}

/// A change of a slot that its stages must react to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// The nodes of the slot's worker are made.
    Opened(SlotId),
    /// The slot has no worker and gets none: work that waits for it is skipped.
    GivenUp(SlotId),
    /// The slot's worker is gone; every call on it is lost.
    Lost(SlotId, Loss),
}

/// State of the session as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    Open,
    Closing,
}

/// All worker slots of a session.
#[derive(Debug)]
pub struct Slots {
    slots: Vec<Slot>,
    /// One entry per stage.
    homes: Vec<Home>,
    /// Time limits of further slots.
    times: Times,
    pub(super) phase: Phase,
}

impl Slots {
    pub(super) fn new(opens_first: &[bool], homes: Vec<Home>, times: Times) -> Self {
        let slot = |(id, first): (SlotId, &bool)| Slot {
            is_borrowed: homes.iter().any(|home: &Home| home.is_further && home.slot == Some(id)),
            ..Slot::new(*first, times)
        };
        let slots = opens_first.iter().enumerate().map(slot).collect();
        Self { slots, homes, times, phase: Phase::Opening }
    }

    /// The earliest deadline of a slot.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.slots.iter().filter_map(Slot::next_deadline).min()
    }

    /// Whether the session is still opening. Once a slot has failed to open, the session counts as
    /// opening only while another slot's nodes are being made or a worker is dying.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        let is_busy =
            |slot: &Slot| matches!(slot.state, State::Opening(_)) || slot.state.is_dying();
        self.phase == Phase::Opening
            && (!self.has_failed_to_open() || self.slots.iter().any(is_busy))
    }

    /// Whether an event about a slot is certain to come.
    pub(super) fn is_under_way(&self) -> bool {
        self.slots.iter().any(|slot| slot.state.is_under_way())
    }

    /// Whether node code runs, or nodes are being made, other than in workers that stand by.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.slots.iter().any(Slot::works)
    }

    /// Whether every slot has closed the session.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.slots.iter().all(|slot| slot.state == State::Closed)
    }

    /// Whether no slot has to close the session any more but those of workers that stand by and still
    /// make their nodes.
    #[must_use]
    pub fn is_left_to_standbys(&self) -> bool {
        self.slots.iter().all(Slot::is_left)
    }

    /// Whether the slot has a usable worker, so that the worker's messages count.
    #[must_use]
    pub fn hears(&self, slot: SlotId) -> bool {
        self.slots[slot].state.has_worker()
    }

    /// Whether the slot's worker was asked to make its nodes and has not answered.
    #[must_use]
    pub fn is_making(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot].state, State::Opening(_) | State::Stopping { stage: None, .. })
    }

    /// Whether the slot's worker was asked to clean up and has not answered.
    #[must_use]
    pub fn is_cleaning_up(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot].state, State::Closing(_))
    }

    /// Whether the slot waits for its process to exit.
    #[must_use]
    pub fn awaits_exit(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot].state, State::Dying { .. })
    }

    pub(super) fn slot_of(&self, stage: StageId) -> Option<SlotId> {
        self.homes[stage].slot
    }

    /// Whether messages about a stage still count. They do not once its worker is dying.
    pub(super) fn hears_stage(&self, stage: StageId) -> bool {
        self.homes[stage].slot.is_none_or(|slot| !self.slots[slot].state.is_dying())
    }

    pub(super) fn stages_in(&self, slot: SlotId) -> Vec<StageId> {
        let homes = self.homes.iter().enumerate();
        homes.filter(|(_, home)| home.slot == Some(slot)).map(|(stage, _)| stage).collect()
    }

    /// Handles an event about slots. Returns the changes that their stages must react to.
    pub(super) fn handle<T>(
        &mut self,
        now: Instant,
        event: Event<T>,
        actions: &mut Vec<Action<T>>,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        match event {
            Event::Open => {
                let needed = |slot: &SlotId| !self.slots[*slot].is_extra();
                let slots: Vec<SlotId> = (0..self.slots.len()).filter(needed).collect();
                if !slots.is_empty() {
                    self.acquire(now, slots, actions);
                }
            }
            Event::Granted(slot) if self.slots[slot].state.is_acquiring() => {
                self.slots[slot].state = State::Held;
            }
            Event::Refused(slot) if self.slots[slot].state.is_acquiring() => {
                changes.extend(self.give_up(slot))
            }
            Event::Opened(slot) if self.is_making(slot) => {
                self.slots[slot].state = State::Ready;
                self.slots[slot].unsuited = 0;
                self.slots[slot].is_borrowed = false;
                changes.push(Change::Opened(slot));
            }
            Event::OpenFailed(slot) if self.is_making(slot) => changes.extend(self.give_up(slot)),
            Event::Unsuited(slot) if self.is_making(slot) => {
                changes.extend(borrow::try_another(self, now, slot, actions));
            }
            Event::Seen(slot, running) => self.check_running(now, slot, running, actions),
            Event::Exceeded(slot, excess) if self.slots[slot].runs() => {
                self.slots[slot].expire(slot, limits::overdue(excess), actions);
            }
            Event::LinkEnded(slot) if self.hears(slot) => {
                let until = now + EXIT_GRACE;
                self.slots[slot].state = State::Dying { until, is_killed: false };
            }
            Event::Exited(slot) if self.awaits_exit(slot) => {
                self.slots[slot].remove_dead(slot, actions)
            }
            Event::Lost(slot) => {
                self.slots[slot].state = self.without_worker();
                let loss = self.slots[slot].take_loss();
                changes.extend(loss.map(|loss| Change::Lost(slot, loss)));
            }
            Event::Retune(tuning) => retune::retune(self, now, tuning),
            Event::Close => self.close(now, actions),
            Event::Closed(slot) if self.is_cleaning_up(slot) => {
                self.slots[slot].state = State::Closed;
            }
            Event::Tick => self.tick(now, actions, &mut changes),
            _ => {}
        }
        changes
    }

    /// Opens or closes every slot that is ready for it. Returns whether the session is open since now.
    pub(super) fn advance<T>(&mut self, now: Instant, actions: &mut Vec<Action<T>>) -> bool {
        let is_ready = |slot: &Slot| slot.state == State::Ready || slot.is_extra();
        let is_open = self.phase == Phase::Opening && self.slots.iter().all(is_ready);
        self.phase = if is_open { Phase::Open } else { self.phase };
        match self.phase {
            Phase::Opening if self.has_failed_to_open() => {}
            Phase::Opening | Phase::Open => self.open_held(now, actions),
            Phase::Closing => self.close_ready(now, actions),
        }
        is_open
    }

    fn has_failed_to_open(&self) -> bool {
        self.slots.iter().any(|slot| slot.state == State::Empty && !slot.is_extra())
    }

    /// The state of a slot that has lost its worker or got none.
    fn without_worker(&self) -> State {
        if self.phase == Phase::Closing { State::Closed } else { State::Empty }
    }

    fn acquire<T>(&mut self, now: Instant, slots: Vec<SlotId>, actions: &mut Vec<Action<T>>) {
        slots.iter().for_each(|slot| self.begin_acquiring(now, *slot));
        actions.push(Action::Acquire(slots));
    }

    fn begin_acquiring(&mut self, now: Instant, slot: SlotId) {
        let until = now + self.slots[slot].times.acquire_timeout;
        self.slots[slot].acquire(now, until, limits::is_watched(&self.homes, slot));
    }

    fn open_held<T>(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        let waits = |slot: &Slot| slot.opens_first && slot.state != State::Ready;
        let only_first = self.phase == Phase::Opening && self.slots.iter().any(waits);
        for id in 0..self.slots.len() {
            let slot = &self.slots[id];
            if slot.state == State::Held && (slot.opens_first || !only_first) {
                let until = Some(now + slot.times.open_timeout);
                self.slots[id].state =
                    State::Opening(Watch::new(now, first_timeout(&self.homes, id), until));
                actions.push(Action::Open(id));
            }
        }
    }

    /// Leaves the slot without a worker; the next call on it asks for one again.
    fn give_up(&mut self, slot: SlotId) -> Option<Change> {
        self.slots[slot].state = self.without_worker();
        (!self.slots[slot].is_extra()).then_some(Change::GivenUp(slot))
    }

    /// Takes the slot of a stage for a call; false when it is not free. Asks for a worker if the
    /// slot has none. The time for the call's item ends at `due`.
    pub(super) fn take<T>(
        &mut self,
        now: Instant,
        stage: StageId,
        due: Option<Instant>,
        actions: &mut Vec<Action<T>>,
    ) -> bool {
        let Some(slot) = self.homes[stage].slot else { return true };
        match self.slots[slot].state {
            State::Ready => {
                let first = self.homes[stage].first_timeout();
                self.slots[slot].state = State::Busy(stage, Watch::new(now, first, due));
                self.slots[slot].measure(now, slot, actions);
                true
            }
            State::Empty => {
                self.acquire(now, vec![slot], actions);
                false
            }
            _ => false,
        }
    }

    /// Adds a slot for a worker that stands by.
    pub(super) fn add_standby(&mut self) -> SlotId {
        self.slots.push(Slot { is_standby: true, ..Slot::new(false, self.times) });
        self.slots.len() - 1
    }

    pub(super) fn is_ready(&self, slot: SlotId) -> bool {
        self.slots[slot].state == State::Ready
    }

    /// Whether the slot has no worker, and none is asked for.
    pub(super) fn is_empty(&self, slot: SlotId) -> bool {
        self.slots[slot].state == State::Empty
    }

    /// The ready worker of a slot goes to another one, which has none.
    pub(super) fn promote(&mut self, now: Instant, from: SlotId, to: SlotId) {
        self.slots[from].state = State::Empty;
        self.slots[to].acquire(now, now, limits::is_watched(&self.homes, to));
        self.slots[to].state = State::Ready;
    }

    /// Withdraws the request for a slot's worker. Returns whether there was one.
    pub(super) fn withdraw<T>(&mut self, slot: SlotId, actions: &mut Vec<Action<T>>) -> bool {
        self.slots[slot].withdraw(slot, actions)
    }

    /// Asks for a worker for a slot that has none.
    pub(super) fn refill<T>(&mut self, now: Instant, slot: SlotId, actions: &mut Vec<Action<T>>) {
        if self.phase == Phase::Open && self.slots[slot].state == State::Empty {
            self.acquire(now, vec![slot], actions);
        }
    }

    /// Restarts the deadlines of the stage's nodes, after an output.
    pub(super) fn begin_step(&mut self, now: Instant, stage: StageId) {
        let first = self.homes[stage].first_timeout();
        if let Some(slot) = self.homes[stage].slot
            && let State::Busy(_, watch) = &mut self.slots[slot].state
        {
            *watch = Watch::new(now, first, watch.until);
        }
    }

    /// Frees the slot of a stage whose call has ended or is suspended.
    pub(super) fn free(&mut self, stage: StageId) {
        let Some(slot) = self.homes[stage].slot else { return };
        match self.slots[slot].state {
            State::Busy(busy, _) | State::Stopping { stage: Some(busy), .. } if busy == stage => {
                self.slots[slot].state = State::Ready;
                self.slots[slot].was_cut_short = false;
            }
            _ => {}
        }
    }

    /// Moves the stage to another slot. A new slot gets its worker when the first call needs it.
    pub(super) fn move_stage(&mut self, stage: StageId, slot: SlotId) {
        self.free(stage);
        while self.slots.len() <= slot {
            let state = self.without_worker();
            self.slots.push(Slot { state, ..Slot::new(false, self.times) });
        }
        self.homes[stage].slot = Some(slot);
    }

    fn close<T>(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        for (id, slot) in self.slots.iter_mut().enumerate() {
            slot.stop(id, now + slot.times.close_timeout, actions);
        }
    }

    /// Closes the slots in which nothing runs. Their suspended calls end with that.
    fn close_ready<T>(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        for id in 0..self.slots.len() {
            if self.slots[id].state == State::Ready {
                let until = Some(now + self.slots[id].times.close_timeout);
                self.slots[id].state =
                    State::Closing(Watch::new(now, first_timeout(&self.homes, id), until));
                actions.push(Action::Close(id));
            }
        }
    }
}

impl Home {
    pub(super) fn of(shape: &StageShape) -> Self {
        let &StageShape { slot, deadline, is_watched, .. } = shape;
        let is_further = matches!(shape.part, Part::Further { .. });
        Self { slot, timeouts: shape.timeouts.clone(), deadline, is_watched, is_further }
    }
}
