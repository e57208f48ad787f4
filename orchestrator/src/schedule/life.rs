//! The life of worker slots: getting workers, opening, deadlines, deaths.

use std::time::{Duration, Instant};

use ipc_protocol::FaultKind;

use super::slot::{Slot, State, Watch};
use super::{
    Action, Core, Deadline, EXIT_GRACE, Event, Overdue, Phase, Running, STACK_GRACE, SlotId,
    StageId, Work,
};

impl<T: Clone> Core<T> {
    /// Takes an event about a slot.
    pub(super) fn handle_slot(
        &mut self,
        now: Instant,
        event: Event<T>,
        actions: &mut Vec<Action<T>>,
    ) {
        match event {
            Event::Open => self.acquire_all(now, actions),
            Event::Granted(slot) if matches!(self.slots[slot].state, State::Acquiring { .. }) => {
                self.slots[slot].state = State::Held;
            }
            Event::Refused(slot) if matches!(self.slots[slot].state, State::Acquiring { .. }) => {
                self.give_up(slot);
            }
            Event::Opened(slot) if self.is_making(slot) => self.opened(slot),
            Event::OpenFailed(slot) if self.is_making(slot) => self.give_up(slot),
            Event::Unsuited(slot) if self.is_making(slot) => self.try_another(now, slot, actions),
            Event::Seen(slot, running) => self.judge(now, slot, running, actions),
            Event::LinkEnded(slot) if self.slots[slot].state.has_worker() => {
                let until = now + EXIT_GRACE;
                self.slots[slot].state = State::Dying { until, is_killed: false };
            }
            Event::Exited(slot) if matches!(self.slots[slot].state, State::Dying { .. }) => {
                self.bury(slot, actions);
            }
            Event::Lost(slot) => self.lose(slot),
            Event::Closed(slot) if matches!(self.slots[slot].state, State::Closing(_)) => {
                self.slots[slot].state = State::Closed;
            }
            Event::Tick => self.tick(now, actions),
            _ => {}
        }
        let is_ready = |slot: &Slot| slot.state == State::Ready;
        if self.phase == Phase::Opening && self.slots.iter().all(is_ready) {
            self.phase = Phase::Open;
        }
    }

    /// Whether the session is still on its way to its first call. A slot that failed leaves those
    /// whose nodes are being made to be waited for, and those whose turn has not come.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        let is_making =
            |slot: &Slot| matches!(slot.state, State::Opening(_)) || slot.state.is_dying();
        self.phase == Phase::Opening
            && (!self.has_failed_to_open() || self.slots.iter().any(is_making))
    }

    /// Whether something is sure to come: the answer of a worker or the pool, an end, a deadline.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.slots.iter().any(|slot| slot.state.is_under_way())
    }

    /// Whether what the slot's worker says still counts.
    #[must_use]
    pub fn hears(&self, slot: SlotId) -> bool {
        self.slots[slot].state.has_worker()
    }

    /// Whether the slot's worker has been told to make its nodes and has not answered.
    #[must_use]
    pub fn is_making(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot].state, State::Opening(_) | State::Stopping { stage: None, .. })
    }

    /// Whether the slot's worker has been told to clean up and has not answered.
    #[must_use]
    pub fn is_cleaning_up(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot].state, State::Closing(_))
    }

    /// Whether the end of the slot's process is waited for.
    #[must_use]
    pub fn awaits_exit(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot].state, State::Dying { .. })
    }

    /// Whether the slot's nodes stand.
    #[must_use]
    pub fn is_open(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot].state, State::Ready | State::Busy(..))
    }

    fn has_failed_to_open(&self) -> bool {
        self.slots.iter().any(|slot| slot.state == State::Empty)
    }

    fn acquire_all(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        let until = now + self.bounds.acquire_timeout;
        self.slots.iter_mut().for_each(|slot| slot.state = State::Acquiring { until });
        if !self.slots.is_empty() {
            actions.push(Action::Acquire((0..self.slots.len()).collect()));
        }
    }

    /// Lets workers make their nodes whose turn it is.
    pub(super) fn open_held(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        let is_first = self.phase == Phase::Opening;
        if is_first && self.has_failed_to_open() {
            return;
        }
        let waits = |slot: &Slot| slot.opens_first && slot.state != State::Ready;
        let only_first = is_first && self.slots.iter().any(waits);
        for id in 0..self.slots.len() {
            let slot = &self.slots[id];
            if slot.state == State::Held && (slot.opens_first || !only_first) {
                let until = Some(now + self.bounds.open_timeout);
                let watch = Watch::new(now, self.first_timeout(id), until);
                self.slots[id].state = State::Opening(watch);
                actions.push(Action::Open(id));
            }
        }
    }

    fn opened(&mut self, slot: SlotId) {
        self.slots[slot].state = State::Ready;
        self.slots[slot].is_open();
    }

    /// What waits for the slot is skipped; the next round may try again.
    pub(super) fn give_up(&mut self, slot: SlotId) {
        self.slots[slot].state = self.empty();
        for stage in self.stages.iter_mut().filter(|stage| stage.shape.slot == Some(slot)) {
            if stage.has_work() {
                stage.skip_round();
            }
        }
    }

    fn empty(&self) -> State {
        if self.phase == Phase::Closing { State::Closed } else { State::Empty }
    }

    fn try_another(&mut self, now: Instant, slot: SlotId, actions: &mut Vec<Action<T>>) {
        if self.phase == Phase::Closing {
            self.slots[slot].state = State::Closed;
        } else if self.slots[slot].may_try_another() {
            self.acquire(now, slot, actions);
        } else {
            actions.push(Action::Unsuitable(slot));
            self.give_up(slot);
        }
    }

    fn acquire(&mut self, now: Instant, slot: SlotId, actions: &mut Vec<Action<T>>) {
        let until = now + self.bounds.acquire_timeout;
        self.slots[slot].state = State::Acquiring { until };
        actions.push(Action::Acquire(vec![slot]));
    }

    /// Takes the slot of a stage for a call; asks for a worker where there is none.
    pub(super) fn take_slot(
        &mut self,
        now: Instant,
        stage: StageId,
        actions: &mut Vec<Action<T>>,
    ) -> bool {
        let Some(slot) = self.stages[stage].shape.slot else { return true };
        match self.slots[slot].state {
            State::Ready => {
                let first = self.stages[stage].shape.first_timeout();
                self.slots[slot].state = State::Busy(stage, Watch::new(now, first, None));
                true
            }
            State::Empty => {
                self.acquire(now, slot, actions);
                false
            }
            _ => false,
        }
    }

    /// The time of the stage's nodes begins anew: it gave an output.
    pub(super) fn begin_step(&mut self, now: Instant, stage: StageId) {
        let first = self.stages[stage].shape.first_timeout();
        if let Some(slot) = self.stages[stage].shape.slot
            && let State::Busy(_, watch) = &mut self.slots[slot].state
        {
            *watch = Watch::new(now, first, None);
        }
    }

    /// The stage has no call that runs any more.
    pub(super) fn free_slot_of(&mut self, stage: StageId) {
        let Some(slot) = self.stages[stage].shape.slot else { return };
        match self.slots[slot].state {
            State::Busy(busy, _) | State::Stopping { stage: Some(busy), .. } if busy == stage => {
                self.slots[slot].state = State::Ready;
            }
            _ => {}
        }
    }

    fn bury(&mut self, slot: SlotId, actions: &mut Vec<Action<T>>) {
        self.slots[slot].state = State::Dead;
        actions.push(Action::Bury(slot));
    }

    fn lose(&mut self, slot: SlotId) {
        let is_here = |stage: &&mut super::Stage<T>| stage.shape.slot == Some(slot);
        for stage in self.stages.iter_mut().filter(is_here).filter(|stage| stage.has_call()) {
            stage.skip_round();
            stage.end_call();
        }
        self.slots[slot].state = self.empty();
    }

    /// The new slot has no worker yet: whoever needs it first has it opened.
    pub(super) fn settle(&mut self, stage: StageId, slot: SlotId, work: Option<Work<T>>) {
        self.free_slot_of(stage);
        while self.slots.len() <= slot {
            let mut added = Slot::new(false);
            added.state = self.empty();
            self.slots.push(added);
        }
        self.stages[stage].move_to(slot, work);
    }

    fn tick(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        for slot in 0..self.slots.len() {
            let state = self.slots[slot].state;
            if state.next_deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            match state {
                State::Acquiring { .. } => {
                    actions.extend([Action::Withdraw(slot), Action::Unavailable(slot)]);
                    self.give_up(slot);
                }
                State::Opening(watch) if watch.is_over(now) => {
                    let limit = self.bounds.open_timeout;
                    let overdue = Overdue { running: None, limit, deadline: Deadline::Open };
                    self.expire(now, slot, overdue, actions);
                }
                State::Closing(watch) if watch.is_over(now) => {
                    let limit = self.bounds.close_timeout;
                    let overdue = Overdue { running: None, limit, deadline: Deadline::Close };
                    self.expire(now, slot, overdue, actions);
                }
                State::Opening(_) | State::Busy(..) | State::Closing(_) => {
                    self.look_again(now, slot, None);
                    actions.push(Action::Inspect(slot));
                }
                State::Stopping { .. } | State::Dying { is_killed: false, .. } => {
                    let until = now + EXIT_GRACE;
                    self.slots[slot].state = State::Dying { until, is_killed: true };
                    actions.push(Action::Kill(slot));
                }
                State::Dying { is_killed: true, .. } => self.bury(slot, actions),
                _ => {}
            }
        }
    }

    /// Looks at what runs: whether its time is over, else when it can be.
    fn judge(
        &mut self,
        now: Instant,
        slot: SlotId,
        running: Option<Running>,
        actions: &mut Vec<Action<T>>,
    ) {
        let state = self.slots[slot].state;
        let (began, running) = match state {
            State::Busy(stage, watch) => (watch.began, running.filter(|r| r.stage == stage)),
            State::Opening(watch) => {
                (watch.began, running.filter(|r| r.operation == FaultKind::Initialize))
            }
            State::Closing(watch) => (watch.began, running),
            _ => return,
        };
        // A note from before this step is of another one, and the future has not been noted yet.
        let since = running.map_or(began, |running| running.since.clamp(began, now.max(began)));
        let limit = match (running, state) {
            (Some(running), _) => self.stages[running.stage].shape.timeout(running.node),
            // Between two nodes: their time together is all that is known to be too much.
            (None, State::Busy(stage, _)) => self.stages[stage].shape.total_timeout(),
            (None, _) => None,
        };
        let due = limit.and_then(|limit| Some((limit, since.checked_add(limit)?)));
        match due {
            Some((limit, due)) if due <= now => {
                let overdue = Overdue { running, limit, deadline: Deadline::Node };
                self.expire(now, slot, overdue, actions);
            }
            due => self.look_again(now, slot, due.map(|(_, due)| due)),
        }
    }

    /// The next look is when this is due, or when a node that is entered right now can be.
    fn look_again(&mut self, now: Instant, slot: SlotId, due: Option<Instant>) {
        let first = match self.slots[slot].state {
            State::Busy(stage, _) => self.stages[stage].shape.first_timeout(),
            _ => self.first_timeout(slot),
        };
        if let Some(watch) = self.slots[slot].state.watch_mut() {
            let soonest = first.and_then(|first| now.checked_add(first));
            watch.check = soonest.into_iter().chain(due).min();
        }
    }

    fn expire(
        &mut self,
        now: Instant,
        slot: SlotId,
        overdue: Overdue,
        actions: &mut Vec<Action<T>>,
    ) {
        let until = now + STACK_GRACE;
        self.slots[slot].state = State::Dying { until, is_killed: false };
        actions.push(Action::Expire(slot, overdue));
    }

    /// The shortest time-out of a slot's nodes.
    pub(super) fn first_timeout(&self, slot: SlotId) -> Option<Duration> {
        let here = self.stages.iter().filter(|stage| stage.shape.slot == Some(slot));
        here.filter_map(|stage| stage.shape.first_timeout()).min()
    }
}
