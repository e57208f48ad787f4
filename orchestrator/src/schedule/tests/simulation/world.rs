//! The world around one session: pool, workers, processes and a caller, each as unreliable as the
//! dice make them; and what must hold whatever they do.

mod check;
mod worker;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::graph::{bounds, graph};
use crate::model::OnOpen;
use crate::schedule::{
    Action, Blame, Bounds, Core, Event, Failure, SlotId, StageId, StageShape, Tuning, Work,
};
use check::Checks;
use worker::{Happening, Phase, Worker};

/// Values tell where they come from: the stage (or the caller), and a number that only grows.
pub(super) type Mark = (usize, u64);

/// What a worker gives that is no more.
pub(super) const LATE: Mark = (usize::MAX, u64::MAX);
/// The caller, as the origin of a value.
const CALLER: usize = usize::MAX;

pub(super) struct World {
    dice: Dice,
    tells: bool,
    now: Instant,
    start: Instant,
    bounds: Bounds,
    shapes: Vec<StageShape>,
    core: Core<Mark>,
    workers: Vec<Worker>,
    /// What will happen, by moment and order.
    agenda: BTreeMap<(Instant, u64), Happening>,
    next_entry: u64,
    next_value: u64,
    rounds_left: u64,
    fed: u64,
    ends_at: Option<Instant>,
    /// It has opened.
    is_up: bool,
    is_closing: bool,
    checks: Checks,
}

impl World {
    pub(super) fn new(mut dice: Dice, tells: bool) -> Self {
        let now = Instant::now();
        let (mut shapes, opens_first) = graph(&mut dice);
        let bounds = bounds(&mut dice);
        let rounds_left = 1 + dice.roll(5);
        let ends_early = dice.chance(300);
        let ends_at = ends_early.then(|| now + Duration::from_millis(dice.roll(1_500)));
        let is_calm = dice.chance(150);
        if is_calm {
            // Nothing takes too long.
            shapes.iter_mut().for_each(|shape| shape.deadline = None);
        }
        Self {
            core: Core::new(shapes.clone(), &opens_first, bounds),
            workers: opens_first
                .iter()
                .map(|opens_first| {
                    let mut worker = Worker::new(is_calm, !is_calm && dice.chance(20));
                    worker.opens_first = *opens_first;
                    worker
                })
                .collect(),
            checks: Checks::new(&shapes, bounds, is_calm),
            dice,
            tells,
            now,
            start: now,
            bounds,
            shapes,
            agenda: BTreeMap::new(),
            next_entry: 0,
            next_value: 0,
            rounds_left,
            fed: 0,
            ends_at,
            is_up: false,
            is_closing: false,
        }
    }

    /// One session, to its end.
    pub(super) fn run(mut self) {
        self.checks.stops_at_failure = self.dice.chance(300);
        self.core.stop_at_failure(self.checks.stops_at_failure);
        self.checks.is_stream = !self.checks.stops_at_failure && self.dice.chance(500);
        self.core.keep_rounds_apart(self.checks.is_stream);
        self.feed(Event::Open);
        for _ in 0..20_000 {
            self.act_as_caller();
            if self.is_closing && self.core.slots().is_closed() {
                return self.finish();
            }
            assert!(
                self.core.is_under_way() || !self.is_closing && self.core.open_rounds() == 0,
                "waits for nothing"
            );
            self.step();
        }
        panic!("does not end");
    }

    /// Feeds rounds while they are wanted; closes when all is done, or in the middle of it.
    fn act_as_caller(&mut self) {
        if self.is_closing {
            return;
        }
        let leaves = self.ends_at.is_some_and(|at| at <= self.now);
        let is_open = !self.core.slots().is_opening();
        let has_failed = is_open && !self.is_up && self.checks.has_told_failure;
        self.is_up |= is_open && !has_failed;
        let is_done = is_open && self.rounds_left == 0 && self.core.open_rounds() == 0;
        if leaves || has_failed || is_done {
            if !leaves && !has_failed {
                self.checks.all_rounds_are_done(self.fed);
            }
            self.is_closing = true;
            self.checks.is_closing = true;
            self.feed(Event::Close);
            return self.leave_borrowed();
        }
        if self.checks.has_failed && self.dice.chance(20) {
            self.checks.abandoned = self.fed;
            self.feed(Event::Abandon);
        }
        if is_open && !self.checks.is_calm && self.dice.chance(15) {
            self.checks.abandoned = self.fed;
            self.checks.has_failed = true;
            self.feed(Event::Interrupt);
        }
        if self.dice.chance(15) {
            // A configuration that sets the same limits must make no difference.
            let of_stage = |shape: &StageShape| (shape.timeouts.clone(), shape.is_watched);
            self.feed(Event::Retune(Tuning {
                slots: vec![self.bounds.times; self.workers.len()],
                stages: self.shapes.iter().map(of_stage).collect(),
            }));
        }
        while is_open && self.rounds_left > 0 && self.core.wants_input() {
            self.rounds_left -= 1;
            self.fed += 1;
            self.checks.fed.push(self.now);
            let event = if self.rounds_left == 0 {
                Event::Flush
            } else {
                self.next_value += 1;
                self.checks.feed(self.next_value, self.fed - 1);
                Event::Input(Some((CALLER, self.next_value)))
            };
            self.feed(event);
            self.checks.is_bounded(self.core.open_rounds());
        }
    }

    /// Goes to the next moment at which something happens, or a deadline passes.
    fn step(&mut self) {
        let next = self.agenda.keys().next().map(|(at, _)| *at);
        let deadline = self.core.next_deadline();
        let at =
            next.into_iter().chain(deadline).chain(self.ends_at.filter(|_| !self.is_closing)).min();
        let Some(at) = at else { return };
        self.now = self.now.max(at);
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            self.feed(Event::Tick);
            let left = self.core.next_deadline();
            assert!(left.is_none_or(|left| left > self.now), "a deadline is left behind");
        } else if let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= self.now
        {
            let happening = entry.remove();
            self.happen(happening);
        }
        self.checks.no_deadline_has_passed(self.now, &self.shapes, &self.workers);
    }

    fn finish(self) {
        for (slot, worker) in self.workers.iter().enumerate() {
            assert!(!worker.is_held(), "slot {slot} keeps its worker");
        }
        assert_eq!(self.checks.requested, 0, "a request is left in the pool");
    }

    fn feed(&mut self, event: Event<Mark>) {
        self.tell("<-", &event);
        let mut actions: std::collections::VecDeque<_> = self.handle(event).into();
        while let Some(action) = actions.pop_front() {
            self.tell("->", &action);
            for event in self.carry_out(action) {
                self.tell("<=", &event);
                actions.extend(self.handle(event));
            }
        }
    }

    /// Feeds the core. For each failure it must report the error or try again, exactly once.
    fn handle(&mut self, event: Event<Mark>) -> Vec<Action<Mark>> {
        let failed = match event {
            Event::Failed(stage, _) => Some(stage),
            Event::Done(stage) => {
                self.checks.succeed(stage);
                None
            }
            _ => None,
        };
        let lost = match event {
            Event::Lost(slot) => {
                std::mem::take(&mut self.workers[slot].was_cut_short).then_some(slot)
            }
            _ => None,
        };
        // Replicas tell an error at the place of its item.
        if let Some(stage) = failed.filter(|_| self.checks.is_stream) {
            self.checks.await_error(stage);
        }
        let waits = |stage: &StageId| self.checks.is_stream || self.checks.is_replica(*stage);
        let failed = failed.filter(|stage| !waits(stage));
        let actions = self.core.handle(self.now, event);
        if let Some(slot) = lost.filter(|_| !self.is_closing) {
            let tells = |action: &Action<Mark>| match action {
                Action::Tell(Blame::Slot(told), _) | Action::Attribute(told, _) => *told == slot,
                _ => false,
            };
            assert!(actions.iter().any(tells), "the loss of a dropped call's worker is not told");
        }
        if let Some(failed) = failed.filter(|stage| self.checks.expects_answer(*stage)) {
            let answers = |action: &&Action<Mark>| match action {
                Action::Tell(Blame::Stage(stage), _) | Action::TryLater(stage, _) => {
                    *stage == failed
                }
                _ => false,
            };
            assert_eq!(actions.iter().filter(answers).count(), 1, "a failure is not answered");
        }
        // What was decided before is carried out in any case, so it is looked at here.
        for action in &actions {
            match action {
                Action::Tell(blame, _) => self.checks.begin_to_tell(*blame),
                Action::Uneven(stage) | Action::Skipped(stage, OnOpen::Error) => {
                    self.checks.note_failure();
                    self.checks.end_round_at(*stage);
                }
                Action::Attribute(slot, stage) => self.checks.attribute(*slot, *stage),
                Action::Credit(stage) | Action::Retry(stage) | Action::TryLater(stage, _) => {
                    self.checks.go_on(*stage);
                }
                Action::RoundDone(round) => self.checks.errors_are_told(*round),
                Action::Deliver { round, .. } => self.checks.is_wanted(*round),
                _ => {}
            }
        }
        actions
    }

    #[expect(clippy::print_stdout, reason = "the story of a session")]
    fn tell(&self, direction: &str, what: &impl std::fmt::Debug) {
        if self.tells {
            println!("{:>8?} {direction} {what:?}", self.now - self.start);
        }
    }

    /// What the shell does about an action; what it has to say at once.
    fn carry_out(&mut self, action: Action<Mark>) -> Vec<Event<Mark>> {
        match action {
            Action::Acquire(slots) => self.acquire(&slots, false),
            Action::Borrow(slot) => self.acquire(&[slot], true),
            Action::Withdraw(slot) => self.withdraw(slot),
            Action::Unavailable(slot) => self.tell_no_worker(slot),
            Action::Unsuitable(slot) => {
                self.workers[slot].unsuited = 0;
                self.tell_no_worker(slot);
            }
            Action::Open(slot) => self.begin_opening(slot),
            Action::Call { stage, work } => return self.call(stage, work),
            Action::Credit(stage) => self.resume(stage),
            Action::Abort(stage) => self.abort(stage),
            Action::TryLater(stage, at) => self.try_later(stage, at),
            Action::Retry(stage) => self.retry(stage),
            Action::Tell(Blame::Stage(stage), tries) => self.fail(stage, tries),
            Action::Attribute(..) => {}
            Action::Tell(Blame::Slot(slot), _) => self.checks.tell_failure(slot),
            Action::Breaker(stage, is_open) => self.checks.breaker(self.now, stage, is_open),
            Action::Skipped(stage, on_open) => self.checks.skip(self.now, stage, on_open),
            Action::Deliver { stage, round, value } => self.checks.deliver(stage, round, value),
            Action::RoundDone(round) => self.checks.round_done(round),
            Action::Uneven(_) => {}
            Action::Inspect(slot) => return vec![Event::Seen(slot, self.workers[slot].running)],
            Action::Measure(slot) => return self.measure(slot),
            Action::Expire(slot, overdue) => {
                self.checks.is_overdue(self.now, &self.shapes, &self.workers[slot], overdue);
                return self.lose(slot);
            }
            Action::Interrupt(slot) => self.interrupt(slot),
            Action::CutShort(slot, stage) => self.cut_short(slot, stage),
            Action::Kill(slot) => {
                self.workers[slot].has_ended = true;
                self.end_process(slot, 20);
            }
            Action::RemoveDead(slot) => {
                assert_eq!(self.workers[slot].phase, Phase::Dying);
                assert!(self.workers[slot].has_ended, "slot {slot} is left alone with its process");
                return self.lose(slot);
            }
            Action::Release(slot) => self.workers[slot].give_back(),
            Action::Save(_)
            | Action::PassState { .. }
            | Action::Promote { .. }
            | Action::Restoring(..)
            | Action::GiveUpState(_)
            | Action::Differs(_) => panic!("no node here saves its state"),
            Action::Close(slot) => self.begin_closing(slot),
        }
        Vec::new()
    }

    /// The caller gets the error of a stage, or of its worker if that is lost.
    fn fail(&mut self, stage: StageId, tries: u32) {
        match self.checks.take_attributed(stage) {
            Some(slot) => self.checks.tell_failure(slot),
            None => self.checks.fail(self.now, stage, tries),
        }
    }

    fn call(&mut self, stage: StageId, work: Work<Mark>) -> Vec<Event<Mark>> {
        assert!(!self.is_closing, "a call begins after the end");
        self.checks.call(self.now, stage, &work);
        match self.shapes[stage].slot {
            Some(slot) => {
                self.begin_call(slot, stage, work);
                Vec::new()
            }
            None => self.run_natively(stage),
        }
    }

    /// Native stages answer at once.
    fn run_natively(&mut self, stage: StageId) -> Vec<Event<Mark>> {
        let mut events: Vec<Event<Mark>> = Vec::new();
        for _ in 0..self.outputs() {
            let value = self.make(stage);
            events.push(Event::Output(stage, value));
        }
        let fails = !self.checks.is_calm && self.dice.chance(50);
        self.checks.end_call(stage);
        events.push(match fails {
            true => Event::Failed(stage, Failure::default()),
            false => Event::Done(stage),
        });
        events
    }

    /// How many outputs a call gives; fewer as there are more of them.
    fn outputs(&mut self) -> u64 {
        match self.checks.made {
            0..400 => self.dice.roll(4),
            _ => self.dice.roll(2),
        }
    }

    fn make(&mut self, stage: StageId) -> Mark {
        self.next_value += 1;
        self.checks.make(stage, self.next_value);
        (stage, self.next_value)
    }

    fn schedule(&mut self, within_ms: u64, happening: Happening) {
        let delay = Duration::from_millis(self.dice.roll(within_ms + 1));
        self.next_entry += 1;
        self.agenda.insert((self.now + delay, self.next_entry), happening);
    }

    fn schedule_for(&mut self, slot: SlotId, within_ms: u64, what: worker::What) {
        let life = self.workers[slot].life;
        self.schedule(within_ms, Happening { slot, life, what });
    }
}
