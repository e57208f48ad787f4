//! The pool core: who gets which worker, which are started, recycled, let go. Pure: no clock, no
//! processes; the supervisor carries its actions out.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::WorkerId;
use super::state::{LifeEvent, LifeState};

/// Number of a distinct [`super::WorkerKey`].
pub type KeyId = usize;
/// Number of a request for workers.
pub type Ticket = u64;

/// Bounds of the pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Workers that stay ready for the kind used last, also when nothing runs.
    pub min: usize,
    /// Processes at most, all kinds together.
    pub max: usize,
    /// How long a worker may be idle; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// Sessions after which a worker is replaced; `None` for never.
    pub max_sessions: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolEvent {
    /// A session asks for workers, all at once.
    Want {
        /// The request.
        ticket: Ticket,
        /// The kind of worker.
        key: KeyId,
        /// How many.
        count: usize,
    },
    /// A session no longer waits.
    Withdraw(Ticket),
    /// A worker is ready.
    Started(WorkerId),
    /// A session gives a worker back.
    Returned {
        /// The worker.
        worker: WorkerId,
        /// It may serve another session.
        reusable: bool,
    },
    /// A process ended.
    Exited(WorkerId),
    /// Time passed.
    Tick,
    /// No more work will come.
    Close,
}

/// What is to be done about it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolAction {
    /// Start a process.
    Spawn {
        /// Its number.
        worker: WorkerId,
        /// Its kind.
        key: KeyId,
    },
    /// These workers belong to the request's session now.
    Grant {
        /// The request.
        ticket: Ticket,
        /// The workers.
        workers: Vec<WorkerId>,
    },
    /// The request cannot be met: a worker of its kind did not come up, or the pool is closed.
    Refuse(Ticket),
    /// End this process.
    Retire(WorkerId),
}

#[derive(Debug)]
struct Entry {
    key: KeyId,
    state: LifeState,
    sessions: u64,
    idle_since: Instant,
}

#[derive(Debug)]
struct Want {
    ticket: Ticket,
    key: KeyId,
    count: usize,
}

/// State of the pool.
#[derive(Debug)]
pub struct PoolCore {
    limits: PoolLimits,
    workers: BTreeMap<WorkerId, Entry>,
    waiting: VecDeque<Want>,
    next_worker: WorkerId,
    last_key: Option<KeyId>,
    closed: bool,
}

impl PoolCore {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            workers: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_worker: 1,
            last_key: None,
            closed: false,
        }
    }

    /// State and number of sessions of every worker that is not dead.
    pub fn picture(&self) -> impl Iterator<Item = (WorkerId, LifeState, u64)> + '_ {
        self.workers.iter().map(|(id, entry)| (*id, entry.state, entry.sessions))
    }

    /// The next moment at which [`PoolEvent::Tick`] would do something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let timeout = self.limits.idle_timeout?;
        let expiring = self.workers.values().filter(|e| e.state == LifeState::Ready);
        let idle = expiring.clone().count();
        if idle <= self.limits.min {
            return None;
        }
        expiring.filter_map(|e| e.idle_since.checked_add(timeout)).min()
    }

    /// Takes one event and says what follows from it.
    pub fn handle(&mut self, now: Instant, event: PoolEvent) -> Vec<PoolAction> {
        let mut actions = Vec::new();
        match event {
            PoolEvent::Want { ticket, key, count } => {
                self.last_key = Some(key);
                self.waiting.push_back(Want { ticket, key, count });
            }
            PoolEvent::Withdraw(ticket) => self.waiting.retain(|want| want.ticket != ticket),
            PoolEvent::Started(worker) => self.step(now, worker, LifeEvent::HandshakeDone),
            PoolEvent::Returned { worker, reusable } => {
                self.take_back(now, worker, reusable, &mut actions);
            }
            PoolEvent::Exited(worker) => self.bury(worker, &mut actions),
            PoolEvent::Tick => self.retire_idle(now, &mut actions),
            PoolEvent::Close => self.close(now, &mut actions),
        }
        self.serve(now, &mut actions);
        actions
    }

    fn step(&mut self, now: Instant, worker: WorkerId, event: LifeEvent) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let Some(state) = entry.state.after(event) else { return };
        entry.state = state;
        entry.idle_since = now;
    }

    fn take_back(
        &mut self,
        now: Instant,
        worker: WorkerId,
        reusable: bool,
        actions: &mut Vec<PoolAction>,
    ) {
        let limit = self.limits.max_sessions;
        let used_up = |entry: &Entry| limit.is_some_and(|limit| entry.sessions >= limit);
        let Some(entry) = self.workers.get(&worker) else { return };
        if reusable && !used_up(entry) && !self.closed {
            self.step(now, worker, LifeEvent::Returned);
        } else {
            self.retire(now, worker, actions);
        }
    }

    fn retire(&mut self, now: Instant, worker: WorkerId, actions: &mut Vec<PoolAction>) {
        self.step(now, worker, LifeEvent::Retired);
        actions.push(PoolAction::Retire(worker));
    }

    /// A worker that dies before it is ready takes the requests for its kind with it, or they
    /// would start the same failing process for ever.
    fn bury(&mut self, worker: WorkerId, actions: &mut Vec<PoolAction>) {
        let Some(entry) = self.workers.remove(&worker) else { return };
        if entry.state != LifeState::Starting {
            return;
        }
        if self.last_key == Some(entry.key) {
            self.last_key = None;
        }
        self.waiting.retain(|want| {
            let refused = want.key == entry.key;
            if refused {
                actions.push(PoolAction::Refuse(want.ticket));
            }
            !refused
        });
    }

    fn retire_idle(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        let Some(timeout) = self.limits.idle_timeout else { return };
        let mut idle: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, e)| e.state == LifeState::Ready)
            .map(|(id, e)| (e.idle_since, *id))
            .collect();
        idle.sort_unstable();
        let surplus = idle.len().saturating_sub(self.limits.min);
        for (since, worker) in idle.into_iter().take(surplus) {
            if now.duration_since(since) >= timeout {
                self.retire(now, worker, actions);
            }
        }
    }

    fn close(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        self.closed = true;
        let alive: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, e)| e.state != LifeState::Draining)
            .map(|(id, _)| *id)
            .collect();
        for worker in alive {
            self.retire(now, worker, actions);
        }
    }

    fn count(&self, key: KeyId, state: LifeState) -> usize {
        self.workers.values().filter(|e| e.key == key && e.state == state).count()
    }

    /// Meets requests in the order they came; one that must wait holds no worker meanwhile.
    fn serve(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        if self.closed {
            actions.extend(self.waiting.drain(..).map(|want| PoolAction::Refuse(want.ticket)));
            return;
        }
        while let Some(want) = self.waiting.front() {
            let (ticket, key, count) = (want.ticket, want.key, want.count);
            if self.count(key, LifeState::Ready) < count {
                let coming =
                    self.count(key, LifeState::Ready) + self.count(key, LifeState::Starting);
                self.start(now, key, count.saturating_sub(coming), actions);
                return;
            }
            self.waiting.pop_front();
            let workers = self.grant(now, key, count);
            actions.push(PoolAction::Grant { ticket, workers });
        }
        if let Some(key) = self.last_key {
            let spare = self.count(key, LifeState::Ready) + self.count(key, LifeState::Starting);
            let room = self.limits.max.saturating_sub(self.workers.len());
            let missing = self.limits.min.saturating_sub(spare).min(room);
            self.start(now, key, missing, actions);
        }
    }

    /// The worker used last is the warmest, so it goes first.
    fn grant(&mut self, now: Instant, key: KeyId, count: usize) -> Vec<WorkerId> {
        let mut ready: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, e)| e.key == key && e.state == LifeState::Ready)
            .map(|(id, e)| (std::cmp::Reverse(e.idle_since), *id))
            .collect();
        ready.sort_unstable();
        let workers: Vec<WorkerId> = ready.into_iter().take(count).map(|(_, id)| id).collect();
        for worker in &workers {
            self.step(now, *worker, LifeEvent::Granted);
            if let Some(entry) = self.workers.get_mut(worker) {
                entry.sessions += 1;
            }
        }
        workers
    }

    /// Starts workers; idle ones of other kinds make room where the bound is reached.
    fn start(&mut self, now: Instant, key: KeyId, count: usize, actions: &mut Vec<PoolAction>) {
        for _ in 0..count {
            if self.workers.len() >= self.limits.max {
                let other = self
                    .workers
                    .iter()
                    .filter(|(_, e)| e.key != key && e.state == LifeState::Ready)
                    .min_by_key(|(_, e)| e.idle_since)
                    .map(|(id, _)| *id);
                if let Some(worker) = other {
                    self.retire(now, worker, actions);
                }
                // The process that ends makes room; the request is looked at again then.
                continue;
            }
            let worker = self.next_worker;
            self.next_worker += 1;
            let entry = Entry { key, state: LifeState::Starting, sessions: 0, idle_since: now };
            self.workers.insert(worker, entry);
            actions.push(PoolAction::Spawn { worker, key });
        }
    }
}
