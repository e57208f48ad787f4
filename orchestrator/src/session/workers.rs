//! The workers of a session: the links in its slots, requests to the pool, and the wait for news
//! from any of them. This module does not know what a slot's nodes are.

mod slot;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{FromWorker, LogRecord};
use ipc_protocol::{ToWorker, Value};

use crate::error::StartError;
use crate::limits::Limit;
use crate::options::CancelHandle;
use crate::placement::{Engine, PoolId};
use crate::schedule::{Deadline, Event, Overdue, SlotId};
use crate::worker::link::{Link, LinkError, Received, Sent};
use crate::worker::pool::{Ticket, Turn};
use crate::worker::supervisor::{Pool, Returned};
use crate::worker::{Wanted, Worker, usage};
use slot::answered;
pub(super) use slot::{End, Seat, Slot};

/// The worker slots of one session, and its requests to the pool.
#[derive(Debug)]
pub(super) struct Workers {
    slots: Vec<Slot>,
    pool: Option<Arc<Pool>>,
    requests: Vec<Request>,
    cancel: CancelHandle,
    /// Whether the pool may have answered, or a process may have exited or written output.
    has_news: bool,
    /// When the host was last asked whether a signal has come.
    checked_signals: Instant,
    /// Id of the process that opened the session; a forked child must leave the workers alone.
    owner: u32,
}

/// A request for workers that the pool has not answered.
#[derive(Debug)]
struct Request {
    ticket: Ticket,
    needs: Vec<Wanted>,
    /// The slots that get the workers: the first worker of `needs` goes to the first slot, and so
    /// on.
    slots: Vec<SlotId>,
}

/// What a slot's link has received.
#[derive(Debug)]
pub(super) enum News {
    Message(FromWorker),
    Nothing,
    /// The connection has ended; with an error if it did not end in order.
    Gone(Option<LinkError>),
}

impl Workers {
    /// Slots for workers of these pools and engines.
    pub(super) fn new(
        pools: impl IntoIterator<Item = (PoolId, Engine)>,
        cancel: CancelHandle,
    ) -> Self {
        Self {
            slots: pools.into_iter().map(Slot::new).collect(),
            pool: None,
            requests: Vec::new(),
            cancel,
            has_news: false,
            checked_signals: Instant::now(),
            owner: std::process::id(),
        }
    }

    pub(super) fn is_inherited(&self) -> bool {
        self.owner != std::process::id()
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slot(&self, slot: SlotId) -> &Slot {
        &self.slots[slot]
    }

    pub(super) fn slot_mut(&mut self, slot: SlotId) -> &mut Slot {
        &mut self.slots[slot]
    }

    /// Whether the slot's worker speaks this version of the protocol or a later one.
    pub(super) fn speaks(&self, slot: Option<SlotId>, version: u32) -> bool {
        slot.is_some_and(|slot| self.slots[slot].protocol() >= version)
    }

    pub(super) fn add(&mut self, pool: (PoolId, Engine)) -> SlotId {
        self.slots.push(Slot::new(pool));
        self.slots.len() - 1
    }

    /// The worker of a slot moves to another one, which has none. Returns that slot.
    pub(super) fn promote(&mut self, from: SlotId, to: SlotId) -> &Slot {
        self.slots.swap(from, to);
        &self.slots[to]
    }

    /// Asks the pool for workers, all in one request. A session that already holds workers is
    /// served first, because these are idle while it waits.
    /// The first request of an impatient session does not wait.
    pub(super) fn request(
        &mut self,
        pool: Arc<Pool>,
        needs: Vec<Wanted>,
        slots: Vec<SlotId>,
        is_impatient: bool,
    ) {
        let holds = self.slots.iter().any(|slot| slot.worker.is_some());
        let is_borrowed = slots.iter().all(|slot| self.slots[*slot].is_borrowed);
        let turn = match (holds, self.pool.is_some()) {
            _ if is_borrowed => Turn::Now,
            (true, _) => Turn::First,
            (false, true) => Turn::Again,
            (false, false) if is_impatient => Turn::Now,
            (false, false) => Turn::InOrder,
        };
        let ticket = pool.want(&needs, &self.cancel.waker, turn);
        self.requests.push(Request { ticket, needs, slots });
        self.pool = Some(pool);
        // The answer may be there already.
        self.has_news = true;
    }

    /// Withdraws the request that a slot is part of.
    pub(super) fn withdraw(&mut self, slot: SlotId) {
        let Some(pool) = &self.pool else { return };
        let (given_up, kept) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|request: &Request| request.slots.contains(&slot));
        self.requests = kept;
        given_up.iter().for_each(|request| pool.withdraw(request.ticket));
    }

    /// Takes the pool's answers: which slots have workers now, and which get none.
    pub(super) fn take_answers(&mut self) -> Vec<(SlotId, Result<(), StartError>)> {
        let mut answers = Vec::new();
        let Some(pool) = self.pool.clone() else { return answers };
        for mut request in std::mem::take(&mut self.requests) {
            loop {
                match pool.answer(request.ticket) {
                    None => self.requests.push(request),
                    Some(Err(error)) => {
                        answers.extend(request.slots.iter().map(|id| (*id, Err(error.clone()))));
                    }
                    Some(Ok(workers)) if workers.iter().any(|w| w.link.is_closed()) => {
                        // A worker died while it was idle, and the pool does not know that yet.
                        for worker in workers {
                            let returned = match worker.link.is_closed() {
                                true => Returned::Broken,
                                false => Returned::Reusable,
                            };
                            pool.give_back(worker, returned);
                        }
                        request.ticket = pool.want(&request.needs, &self.cancel.waker, Turn::Again);
                        continue;
                    }
                    Some(Ok(workers)) => {
                        for (id, worker) in request.slots.iter().zip(workers) {
                            worker.process.set_listener(Some(self.cancel.waker.clone()));
                            self.slots[*id].seat(worker);
                            answers.push((*id, Ok(())));
                        }
                    }
                }
                break;
            }
        }
        answers
    }

    /// Measures a slot's worker. Returns the core's event if a limit is exceeded.
    pub(super) fn measure(&self, slot: SlotId) -> Vec<Event<Value>> {
        self.slots[slot].measure().map(|excess| Event::Exceeded(slot, excess)).into_iter().collect()
    }

    /// Sends a message to a slot's worker; `holder` is the id of the node that gets its payloads.
    pub(super) fn send(
        &mut self,
        slot: SlotId,
        message: ToWorker,
        holder: Option<&Arc<str>>,
    ) -> Result<Sent, LinkError> {
        self.slots[slot].begin_step();
        self.slots[slot].note_abort(&message);
        let Some(worker) = &mut self.slots[slot].worker else {
            return Err(LinkError::Io(std::io::ErrorKind::NotConnected.into()));
        };
        worker.send(message, holder)
    }

    /// Sends what is queued for a slot's worker, and returns what has come from it.
    pub(super) fn news(&mut self, slot: SlotId) -> News {
        if self.slots[slot].is_deaf() {
            return News::Nothing;
        }
        if self.slots[slot].ahead.holds() {
            return self.slots[slot].ahead.take_due().map_or(News::Nothing, News::Message);
        }
        let Some(worker) = self.slots[slot].heard() else { return News::Nothing };
        if worker.link.has_unsent()
            && let Err(broken) = worker.link.flush()
        {
            return News::Gone(Some(broken));
        }
        match News::heard_by(worker, Link::receive) {
            News::Gone(None) if self.slots[slot].is_ahead() => News::Nothing,
            news => self.unless_early(slot, news),
        }
    }

    /// The news, unless it is an answer to a call that has not begun.
    fn unless_early(&mut self, slot: SlotId, news: News) -> News {
        let News::Message(message) = news else { return news };
        let call = answered(&message);
        self.slots[slot].ahead.hear(call, message).map_or(News::Nothing, News::Message)
    }

    /// The answer to a call that begins may have been read.
    pub(super) fn look_again(&mut self) {
        self.has_news = true;
    }

    /// The next message of a slot's worker that was read together with an earlier one.
    pub(super) fn buffered_news(&mut self, slot: SlotId) -> News {
        let Some(worker) = self.slots[slot].heard() else { return News::Nothing };
        let news = News::heard_by(worker, Link::receive_buffered);
        self.unless_early(slot, news)
    }

    /// How long the session may busy-wait from now on; zero: it sleeps at once.
    pub(super) fn awake(&mut self, now: Instant) -> Duration {
        let awake = |worker: &mut Worker| worker.patience.awake(now);
        self.called().map(awake).max().unwrap_or_default()
    }

    /// Notes how long a yield of the processor took while the session busy-waited.
    pub(super) fn yielded(&mut self, took: Duration) {
        self.called().for_each(|worker| worker.patience.yielded(took));
    }

    /// Number of busy waits for the session's workers that ended without an answer.
    pub(super) fn waits_in_vain(&self) -> u64 {
        let workers = self.slots.iter().filter_map(|slot| slot.worker.as_ref());
        workers.map(|worker| worker.patience.given_up()).sum()
    }

    /// The workers that have a running call, or open or close the session.
    fn called(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.slots.iter_mut().filter_map(Slot::waited_for)
    }

    /// Whether the pool may have answered, or a process may have exited or written output.
    pub(super) fn has_news(&self) -> bool {
        self.has_news
    }

    /// Returns [`Workers::has_news`] and resets it.
    pub(super) fn take_has_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Keeps a line that a node wrote to stderr, for the error when its process dies.
    pub(super) fn note_stderr(&self, slot: SlotId, record: &LogRecord) {
        if record.is_stream
            && record.logger == "stderr"
            && let Some(process) = self.slots[slot].process()
        {
            process.note_stderr(&record.message);
        }
    }

    /// Reads the stacks of the slot's worker, whose deadline has passed, and interrupts its node code. One
    /// that has exceeded a limit is killed: it might go on.
    pub(super) fn expire(&mut self, slot: SlotId, mut overdue: Overdue, grace: Duration) {
        // Read before the signal is sent, which may change what runs.
        overdue.running = overdue.running.or_else(|| self.slots[slot].running());
        let is_bomb = overdue.deadline.is_of(Limit::ChildProcesses);
        let is_excess = matches!(overdue.deadline, Deadline::Limit(_));
        self.slots[slot].end = Some(End::Overdue(overdue));
        let Some(process) = self.slots[slot].process() else { return };
        if is_bomb {
            // Its processes might start further ones meanwhile.
            return process.kill_group();
        }
        process.record_stacks(grace);
        if is_excess {
            process.kill();
        }
    }

    pub(super) fn kill(&mut self, slot: SlotId) {
        let Some(process) = self.slots[slot].process() else { return };
        // One that already ends does so for a reason of its own.
        let is_ending = usage::is_ending(process.pid);
        process.kill();
        self.slots[slot].is_killed = !is_ending;
    }

    /// Kills a process whose connection has ended, or that has to end without it.
    pub(super) fn hang_up_and_kill(&mut self, slot: SlotId) {
        self.hang_up(slot, None);
        self.kill(slot);
    }

    /// Asks the node code that runs in the slot to end.
    pub(super) fn interrupt(&self, slot: SlotId) {
        if let Some(process) = self.slots[slot].process() {
            process.interrupt();
        }
    }

    /// Notes that the connection of a slot has ended. If it did not end in order, kills the
    /// process.
    pub(super) fn hang_up(&mut self, slot: SlotId, broken: Option<LinkError>) {
        let Some(process) = self.slots[slot].process() else { return };
        let died_before = process.exit().is_some();
        if broken.is_some() {
            process.kill();
        }
        self.slots[slot].end.get_or_insert(End::Link { broken, died_before });
    }

    /// Returns the slot's worker to the pool.
    pub(super) fn give_back(&mut self, slot: SlotId, returned: Returned) {
        let left = &mut self.slots[slot];
        left.calls.clear();
        left.end = None;
        let mut quota = std::mem::take(&mut left.quota);
        if let (Some(worker), Some(pool)) = (left.worker.take(), &self.pool) {
            if returned == Returned::Broken {
                worker.process.kill();
            }
            // One that is overdue keeps its limits until it has ended.
            if returned != Returned::Overdue {
                quota.end(&worker.process);
            }
            pool.give_back(worker, returned);
        }
    }

    /// Lets the pool replace all workers of this session, which has been left.
    pub(super) fn let_replace(&self) {
        let Some(pool) = &self.pool else { return };
        let workers = self.slots.iter().filter_map(|slot| slot.worker.as_ref());
        workers.for_each(|worker| pool.let_replace(worker.id));
    }

    /// Notes which installed modules the slot's worker has loaded.
    pub(super) fn learn(&self, slot: SlotId, modules: Vec<String>) {
        if let (Some(worker), Some(pool)) = (&self.slots[slot].worker, &self.pool) {
            pool.learn(worker.id, modules);
        }
    }

    /// What the pool has to say to developers.
    pub(super) fn take_notes(&self) -> Vec<String> {
        self.pool.as_ref().map(|pool| pool.take_notes()).unwrap_or_default()
    }
}

impl News {
    fn heard_by(
        worker: &mut Worker,
        receive: impl FnOnce(&mut Link) -> Result<Received<FromWorker>, LinkError>,
    ) -> Self {
        match receive(&mut worker.link) {
            Ok(Received::Message(message)) => {
                worker.heard(&message);
                Self::Message(message)
            }
            Ok(Received::Nothing) => Self::Nothing,
            Ok(Received::Closed) => Self::Gone(None),
            Err(error) => Self::Gone(Some(error)),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if self.is_inherited() {
            std::mem::forget(std::mem::take(&mut self.slots));
            return;
        }
        for slot in 0..self.slots.len() {
            self.withdraw(slot);
            self.give_back(slot, Returned::Broken);
        }
    }
}
