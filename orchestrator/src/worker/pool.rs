//! The pool core: decides which session gets which workers, and which workers are started, reused
//! and ended. Pure: no clock, no processes; the supervisor carries its actions out.

mod idle;
mod returned;
mod spare;
mod used;
mod want;
mod zygotes;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::WorkerId;
use super::state::{LifeEvent, LifeState};
pub use want::Turn;
use want::Want;
pub use zygotes::ZygoteNews;
use zygotes::Zygotes;

/// Number of a pool.
pub type PoolId = usize;

/// Identifies a kind of workers: those with the same [`super::WorkerKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId {
    /// The pool of the workers of this kind.
    pub pool: PoolId,
    /// Number of the kind, unique in all pools.
    pub number: usize,
}

/// How many workers of one kind a session asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The kind of the workers.
    pub key: KeyId,
    /// Number of workers.
    pub count: usize,
}

/// Number of a request for workers.
pub type Ticket = u64;

/// Bounds of one pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Number of workers of the most recently used kind that are kept ready, also while no session
    /// runs.
    pub min: usize,
    /// Largest number of worker processes, all kinds of the pool together.
    pub max: usize,
    /// How long a worker may be idle before it is ended; `None`: no limit.
    pub idle_timeout: Option<Duration>,
    /// Number of sessions after which a worker is ended; `None`: no limit.
    pub max_sessions: Option<u64>,
    /// Whether kinds in use have a zygote.
    pub zygotes: bool,
}

/// An event that the core handles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolEvent {
    /// A session requests workers, all at once.
    Want {
        /// The request.
        ticket: Ticket,
        /// The kinds of workers that it needs, and how many of each.
        needs: Vec<Need>,
        /// When it is served.
        turn: Turn,
    },
    /// A session that needs a worker of this kind is expected.
    Warm(KeyId),
    /// A session withdraws its request.
    Withdraw(Ticket),
    /// A new worker has completed its handshake.
    Started(WorkerId),
    /// A session returns a worker.
    Returned {
        /// The worker.
        worker: WorkerId,
        /// Whether it may serve another session.
        reusable: bool,
    },
    /// A session has done with a worker that is being stopped: another may take its place at once.
    Replaced(WorkerId),
    /// A session was left by its caller, and still uses this worker: another may take its place.
    Left(WorkerId),
    /// The process of a worker has exited.
    Exited(WorkerId),
    /// A zygote did something.
    Zygote {
        /// Its kind.
        key: KeyId,
        /// What it did.
        news: ZygoteNews,
    },
    /// The zygote of this kind has more to import than it has imported.
    Learned(KeyId),
    /// A deadline may have passed.
    Tick,
    /// The pools close: all workers end, and requests are refused.
    Close,
}

/// An action for the supervisor; it carries out the actions of one event in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolAction {
    /// Start the process of a new worker.
    Spawn {
        /// Its number.
        worker: WorkerId,
        /// Its kind.
        key: KeyId,
    },
    /// Hand these workers to the session of the request.
    Grant {
        /// The request.
        ticket: Ticket,
        /// The workers, in the order of its needs.
        workers: Vec<WorkerId>,
    },
    /// Refuse the request: a worker of its kind failed to start, or the pools are closed.
    Refuse(Ticket),
    /// Refuse the request: it does not wait, and all workers that it could get are in use.
    Overload(Ticket),
    /// End this worker.
    Retire(WorkerId),
    /// Start a zygote of this kind; one that is ready serves until the new one is.
    BeginZygote(KeyId),
    /// Let the zygotes of this kind end.
    EndZygote(KeyId),
}

/// A snapshot of one worker, from [`PoolCore::picture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pictured {
    /// Its number.
    pub id: WorkerId,
    /// Its kind.
    pub key: KeyId,
    /// Its state.
    pub state: LifeState,
    /// Number of sessions that it has served, with the current one.
    pub sessions: u64,
}

#[derive(Debug)]
struct Entry {
    key: KeyId,
    state: LifeState,
    sessions: u64,
    idle_since: Instant,
    /// Another worker may take its place, although it has not ended.
    is_replaced: bool,
}

impl Entry {
    /// A worker that starts.
    fn new(key: KeyId, now: Instant) -> Self {
        let state = LifeState::Starting;
        Self { key, state, sessions: 0, idle_since: now, is_replaced: false }
    }
}

/// One pool: its bounds, and the kind that was used last.
#[derive(Debug)]
struct Shelf {
    limits: PoolLimits,
    last_key: Option<KeyId>,
}

/// State of all pools.
#[derive(Debug)]
pub struct PoolCore {
    shelves: Vec<Shelf>,
    workers: BTreeMap<WorkerId, Entry>,
    waiting: VecDeque<Want>,
    next_worker: WorkerId,
    zygotes: Zygotes,
    closed: bool,
}

impl PoolCore {
    /// Empty pools with these bounds.
    #[must_use]
    pub fn new(pools: &[PoolLimits]) -> Self {
        Self {
            shelves: pools.iter().map(|limits| Shelf { limits: *limits, last_key: None }).collect(),
            workers: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_worker: 1,
            zygotes: Zygotes::default(),
            closed: false,
        }
    }

    /// A snapshot of every worker that is not dead.
    pub fn picture(&self) -> impl Iterator<Item = Pictured> + '_ {
        self.workers.iter().map(|(id, entry)| Pictured {
            id: *id,
            key: entry.key,
            state: entry.state,
            sessions: entry.sessions,
        })
    }

    /// Handles one event and returns the actions that follow.
    pub fn handle(&mut self, now: Instant, event: PoolEvent) -> Vec<PoolAction> {
        let mut actions = Vec::new();
        match event {
            PoolEvent::Want { ticket, needs, turn } => {
                for need in &needs {
                    self.shelves[need.key.pool].last_key = Some(need.key);
                }
                want::insert(&mut self.waiting, Want { ticket, needs, turn });
            }
            PoolEvent::Warm(key) => self.warm(now, key, &mut actions),
            PoolEvent::Withdraw(ticket) => self.waiting.retain(|want| want.ticket != ticket),
            PoolEvent::Started(worker) => {
                self.zygotes.note_ready(worker);
                self.step(now, worker, LifeEvent::HandshakeDone);
            }
            PoolEvent::Returned { worker, reusable } => {
                self.take_back(now, worker, reusable, &mut actions);
            }
            PoolEvent::Replaced(worker) => {
                self.replace(worker);
                self.step(now, worker, LifeEvent::Retired);
            }
            PoolEvent::Left(worker) => self.replace(worker),
            PoolEvent::Exited(worker) => self.remove_dead(now, worker, &mut actions),
            PoolEvent::Tick => {
                (0..self.shelves.len()).for_each(|pool| self.retire_idle(now, pool, &mut actions));
                self.tend_zygotes(now, &mut actions);
            }
            PoolEvent::Zygote { key, news } => self.zygotes.hear(now, key, news, &mut actions),
            PoolEvent::Learned(key) => self.zygotes.renew(now, key),
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

    fn retire(&mut self, now: Instant, worker: WorkerId, actions: &mut Vec<PoolAction>) {
        self.step(now, worker, LifeEvent::Retired);
        actions.push(PoolAction::Retire(worker));
    }

    /// Removes a worker whose process has exited. If it never was ready, the requests for its kind
    /// are refused, or they would start the same failing process for ever.
    fn remove_dead(&mut self, now: Instant, worker: WorkerId, actions: &mut Vec<PoolAction>) {
        self.zygotes.note_parked_exit(now, worker, actions);
        let Some(entry) = self.workers.remove(&worker) else { return };
        let is_last = self.workers.values().all(|other| other.key != entry.key);
        self.zygotes.note_exit(now, entry.key, is_last);
        if entry.state != LifeState::Starting {
            return;
        }
        let shelf = &mut self.shelves[entry.key.pool];
        if shelf.last_key == Some(entry.key) {
            shelf.last_key = None;
        }
        self.waiting.retain(|want| {
            let refused = want.asks_for(entry.key);
            if refused {
                actions.push(PoolAction::Refuse(want.ticket));
            }
            !refused
        });
    }

    fn close(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        self.closed = true;
        self.zygotes.end_all(actions);
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

    /// Grants requests in their order. A request that has to wait holds no worker meanwhile, and
    /// only requests for the same pools wait behind it.
    fn serve(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        if self.closed {
            actions.extend(self.waiting.drain(..).map(|want| PoolAction::Refuse(want.ticket)));
            return;
        }
        let mut awaited = vec![false; self.shelves.len()];
        let mut at = 0;
        while let Some(want) = self.waiting.get(at) {
            let (ticket, needs, turn) = (want.ticket, want.needs.clone(), want.turn);
            let is_behind = needs.iter().any(|need| awaited[need.key.pool]);
            if is_behind && turn != Turn::Now {
                needs.iter().for_each(|need| awaited[need.key.pool] = true);
                at += 1;
                continue;
            }
            if is_behind {
                self.overload(at, actions);
                continue;
            }
            needs.iter().for_each(|need| self.unpark(now, *need));
            if needs.iter().all(|need| self.count(need.key, LifeState::Ready) >= need.count) {
                self.waiting.remove(at);
                let workers =
                    needs.iter().flat_map(|need| self.grant(now, need.key, need.count)).collect();
                actions.push(PoolAction::Grant { ticket, workers });
                continue;
            }
            for Need { key, count } in &needs {
                let missing = count.saturating_sub(self.coming(*key));
                self.start(now, *key, missing, actions);
            }
            if turn == Turn::Now && !needs.iter().all(|need| self.is_coming(*need)) {
                self.overload(at, actions);
                continue;
            }
            needs.iter().for_each(|need| awaited[need.key.pool] = true);
            at += 1;
        }
        for (pool, awaited) in awaited.into_iter().enumerate() {
            if !awaited {
                self.keep_spares(now, pool, actions);
            }
        }
    }

    /// Grants idle workers, those used last first, because their caches are warmest.
    fn grant(&mut self, now: Instant, key: KeyId, count: usize) -> Vec<WorkerId> {
        let mut ready: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, e)| e.key == key && e.state == LifeState::Ready)
            .map(|(id, e)| (std::cmp::Reverse(e.idle_since), *id))
            .collect();
        ready.sort_unstable();
        let workers: Vec<WorkerId> = ready.into_iter().take(count).map(|(_, id)| id).collect();
        if self.shelves[key.pool].limits.zygotes {
            self.zygotes.note_grant(now, key);
        }
        for worker in &workers {
            self.step(now, *worker, LifeEvent::Granted);
            if let Some(entry) = self.workers.get_mut(worker) {
                entry.sessions += 1;
            }
        }
        workers
    }

    /// Starts workers. If the pool is full, idle workers of its other kinds are ended instead.
    fn start(&mut self, now: Instant, key: KeyId, count: usize, actions: &mut Vec<PoolAction>) {
        for _ in 0..count {
            if !self.has_room(key.pool) {
                let other = self
                    .workers
                    .iter()
                    .filter(|(_, e)| {
                        e.key.pool == key.pool && e.key != key && e.state == LifeState::Ready
                    })
                    .min_by_key(|(_, e)| e.idle_since)
                    .map(|(id, _)| *id);
                if let Some(worker) = other {
                    self.retire(now, worker, actions);
                }
                // Its exit makes room; the request is considered again then.
                continue;
            }
            let worker = self.next_worker;
            self.next_worker += 1;
            let entry = Entry::new(key, now);
            self.workers.insert(worker, entry);
            actions.push(PoolAction::Spawn { worker, key });
        }
    }
}
