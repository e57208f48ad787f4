//! The one loop: carries out what the core decides, and waits for whatever comes next: news on a
//! link, a wake-up, a deadline.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use ipc_protocol::to_worker::{Credit, Item, Step};
use ipc_protocol::{ToWorker, Value};

use super::fallback::{Move, Verdict, move_next_notice};
use super::outfit::stage_number;
use super::workers::Seat;
use super::{GraphOutput, Host, Session, failure};
use crate::error::Error;
use crate::failure::NodeFailure;
use crate::placement::Engine;
use crate::plan::Place;
use crate::schedule::{Action, Event, SlotId, StageId, Work};
use crate::worker::link::LinkError;
use crate::worker::supervisor::Returned;

/// Signals, cancellation and what workers write to their pipes are looked for this often while
/// answers come so fast that no wait blocks.
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);

type Events = Vec<Event<Value>>;

impl Session {
    /// Feeds the core an event and carries out what follows from it.
    pub(super) fn feed(&mut self, event: Event<Value>) {
        let mut actions = VecDeque::from(self.core.handle(Instant::now(), event));
        while let Some(action) = actions.pop_front() {
            for event in self.carry_out(action) {
                actions.extend(self.core.handle(Instant::now(), event));
            }
        }
    }

    fn carry_out(&mut self, action: Action<Value>) -> Events {
        match action {
            Action::Acquire(slots) => return self.acquire(slots),
            Action::Withdraw(slot) => self.workers.withdraw(slot),
            Action::Unavailable(slot) => self.fail_to_open(slot, self.unavailable()),
            Action::Open(slot) => return self.open_slot(slot),
            Action::Unsuitable(slot) => self.fail_to_open(slot, Error::Unsuitable),
            Action::Call { stage, work } => return self.call(stage, work),
            Action::Credit(stage) => {
                let outputs = self.runtime.config().calls.window;
                let credit = Credit { stage: stage_number(stage), outputs };
                return self.send(stage, ToWorker::Credit(credit));
            }
            Action::Deliver { stage, value, .. } => {
                let node_id = self.plan.stages[stage].sink.clone().unwrap_or_default();
                self.outputs.push_back(GraphOutput { node_id, value });
            }
            Action::RoundDone(_) => {}
            Action::Uneven(stage) => self.fail(failure::uneven(&self.plan.stages[stage])),
            Action::Inspect(slot) => {
                return vec![Event::Seen(slot, self.workers.slot(slot).running())];
            }
            Action::Expire(slot, overdue) => self.workers.expire(slot, overdue),
            Action::Interrupt(slot) => self.workers.interrupt(slot),
            Action::Kill(slot) => {
                self.workers.hang_up(slot, None);
                self.workers.kill(slot);
            }
            Action::Bury(slot) => return self.bury(slot),
            Action::Release(slot) => self.workers.give_back(slot, Returned::Reusable),
            Action::Close(slot) => return self.say_goodbye(slot),
        }
        Events::new()
    }

    fn call(&mut self, stage: StageId, work: Work<Value>) -> Events {
        if let Some(native) = &mut self.natives[stage] {
            let mut events = Events::new();
            let outcome = native.run(work, &mut |value| events.push(Event::Output(stage, value)));
            self.journal.record(stage, &outcome.usage);
            events.push(match outcome.failure {
                None => Event::Done(stage),
                Some(failure) => {
                    self.fail(Error::Node(failure));
                    Event::Failed(stage)
                }
            });
            return events;
        }
        self.fallback.begin(stage, &work, &self.plan);
        let call = self.next_call;
        self.next_call += 1;
        let window = self.runtime.config().calls.window;
        let step = Step { stage: stage_number(stage), call, window };
        if let Some(slot) = self.slot_of(stage) {
            self.workers.slot_mut(slot).calls.insert(stage, call);
        }
        let message = match work {
            Work::Item(value) => ToWorker::Item(Item { step, value }),
            Work::Zip(values) => ToWorker::Item(Item { step, value: Value::Tuple(values) }),
            Work::Start => ToWorker::Start(step),
            Work::Flush => ToWorker::Flush(step),
        };
        self.send(stage, message)
    }

    fn send(&mut self, stage: StageId, message: ToWorker) -> Events {
        let Some(slot) = self.slot_of(stage) else { return Events::new() };
        match self.workers.send(slot, message, self.holders.get(stage)) {
            Ok(sent) => {
                self.spin.sent(sent.traffic.shared_bytes);
                self.journal.note_sent(stage, &self.holders[stage], sent);
                Events::new()
            }
            Err(LinkError::Codec(error)) => {
                self.workers.slot_mut(slot).calls.remove(&stage);
                self.fail(failure::unsendable(&self.plan.stages[stage], &error));
                vec![Event::Failed(stage)]
            }
            Err(broken) => self.hang_up(slot, Some(broken)),
        }
    }

    /// The connection of a slot is of no use any more.
    pub(super) fn hang_up(&mut self, slot: SlotId, broken: Option<LinkError>) -> Events {
        self.workers.hang_up(slot, broken);
        vec![Event::LinkEnded(slot)]
    }

    /// Takes an ended worker out of its slot, and says why its calls failed.
    fn bury(&mut self, slot: SlotId) -> Events {
        let peak = self.journal.metrics.peak_memory_bytes();
        let mut events = Events::new();
        if !self.is_open {
            let was_cleaning_up = self.workers.slot(slot).is_saying_goodbye;
            let error = failure::end_of(self.workers.slot_mut(slot), &self.plan, peak);
            self.closed.failures.extend(error.filter(|_| was_cleaning_up));
        } else if let Some(error) = failure::end_of(self.workers.slot_mut(slot), &self.plan, peak) {
            events.extend(self.weigh_death(slot, error));
        }
        self.workers.give_back(slot, Returned::Broken);
        events.push(Event::Lost(slot));
        events
    }

    fn weigh_death(&mut self, slot: SlotId, error: Error) -> Option<Event<Value>> {
        let mut here: Vec<StageId> =
            self.workers.slot(slot).seats.iter().map(|(stage, _)| *stage).collect();
        here.dedup();
        let was_open = self.workers.slot(slot).is_open;
        if !was_open {
            self.fail_to_open(slot, error);
            return None;
        }
        let mut findings = self.runtime.findings();
        let verdict = self.fallback.on_death(&here, &error, &self.plan, &mut findings);
        drop(findings);
        match verdict {
            Some((_, Verdict::Move(moved))) => {
                if moved.work.is_none() {
                    self.fail(error);
                }
                Some(self.move_stage(moved))
            }
            Some((stage, Verdict::MoveNext { node, reason })) => {
                self.announce((stage, node), &reason);
                self.fail(error);
                None
            }
            _ => {
                self.journal.notice(self.fallback.take_notices());
                self.fail(error);
                None
            }
        }
    }

    /// What follows from a failed call of a stage.
    pub(super) fn weigh_failure(
        &mut self,
        stage: StageId,
        mut failure: NodeFailure,
    ) -> Event<Value> {
        let mut findings = self.runtime.findings();
        let verdict = self.fallback.on_failure(stage, &mut failure, &self.plan, &mut findings);
        drop(findings);
        let tells = !matches!(&verdict, Verdict::Move(moved) if moved.work.is_some());
        if tells {
            self.fail(Error::Node(Box::new(failure)));
        }
        match verdict {
            Verdict::Move(moved) => return self.move_stage(moved),
            Verdict::MoveNext { node, reason } => self.announce((stage, node), &reason),
            Verdict::Stay { stage, node } => {
                self.journal.metrics.set_stayed(self.journal.number(stage, node));
            }
            Verdict::Tell => {}
        }
        self.journal.notice(self.fallback.take_notices());
        Event::Failed(stage)
    }

    /// Announces, once, that a node which cannot move in this session moves in the next.
    fn announce(&mut self, (stage, node): Seat, reason: &crate::fallback::Reason) {
        if self.journal.metrics.set_decided(self.journal.number(stage, node), reason) {
            let record = move_next_notice(&self.plan.stages[stage].nodes[node].id, reason);
            self.journal.notice([record]);
        }
    }

    /// Gives a stage a slot of its own on CPython. Its worker is acquired at the next call.
    fn move_stage(&mut self, moved: Move) -> Event<Value> {
        let Move { stage, reason, work, loses_state } = moved;
        if let Some(old) = self.slot_of(stage) {
            self.workers.slot_mut(old).calls.remove(&stage);
        }
        let slot = self.workers.add(Engine::CPython);
        self.plan.worker_slots = self.workers.count();
        self.plan.stages[stage].place = Place::Worker { slot };
        if let Some(node) = self.plan.stages[stage].nodes.first_mut() {
            node.runtime = Engine::CPython;
            node.moved = Some(reason.clone());
            self.fallback.note_move(stage, &node.id, &reason, loses_state);
        }
        self.journal.metrics.set_moved(self.journal.number(stage, 0), reason);
        self.journal.notice(self.fallback.take_notices());
        Event::Moved { stage, slot, work }
    }

    pub(super) fn slot_of(&self, stage: StageId) -> Option<SlotId> {
        match self.plan.stages[stage].place {
            Place::Worker { slot } => Some(slot),
            Place::Native => None,
        }
    }

    /// Waits and works until the condition holds or the time is over.
    pub(super) fn drive(
        &mut self,
        until: Option<Instant>,
        host: &mut dyn Host,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), Error> {
        loop {
            self.journal.tell(host);
            if is_done(self) || until.is_some_and(|until| until <= Instant::now()) {
                return Ok(());
            }
            if self.is_open && self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if !self.core.is_under_way() {
                return Err(Error::Stalled);
            }
            let deadline = self.core.next_deadline();
            self.hear_more(deadline.into_iter().chain(until).min(), host)?;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.feed(Event::Tick);
            }
        }
    }

    /// Waits for news, awake as long as that pays, and handles what has come.
    fn hear_more(&mut self, deadline: Option<Instant>, host: &mut dyn Host) -> Result<(), Error> {
        let began = Instant::now();
        if began.duration_since(self.looked_up) >= LOOK_UP_EVERY {
            self.look_up(Some(began), host)?;
        }
        let bound = if self.core.is_working() { self.spin.bound() } else { Duration::ZERO };
        let awake = self.runtime.begin_wait(bound);
        let heard = if self.hear_awake(began, awake, host) {
            Ok(())
        } else {
            self.look_up(deadline, host).map(|()| {
                self.spin.learn(began.elapsed());
                self.hear_all(host);
            })
        };
        self.runtime.end_wait();
        heard
    }

    /// Looks for news again and again for so long, and handles it; whether there was any. Whoever
    /// else wants the processor gets it in between.
    fn hear_awake(&mut self, began: Instant, awake: Duration, host: &mut dyn Host) -> bool {
        loop {
            let waited = began.elapsed();
            if waited >= awake || self.cancel.is_cancelled() {
                return false;
            }
            if self.hear_all(host) {
                self.spin.learn(waited);
                return true;
            }
            thread::yield_now();
        }
    }

    /// Blocks until there is news or the deadline passes.
    fn look_up(&mut self, deadline: Option<Instant>, host: &mut dyn Host) -> Result<(), Error> {
        let waited = self.workers.wait(deadline, host);
        self.looked_up = Instant::now();
        waited
    }
}
