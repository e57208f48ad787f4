//! The pool core: decides which session gets which workers, and which workers are started, reused
//! and ended. Pure: no clock, no processes; the supervisor carries its actions out.

mod keep;
mod requests;
mod roster;
mod serve;
mod show;
mod tally;
mod tune;
mod zygotes;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::WorkerId;
use super::state::{LifeEvent, LifeState};
use crate::placement::PoolId;
pub use requests::Turn;
use requests::{Requests, Want};
use roster::{Entry, Roster};
pub use show::Pictured;
pub use tally::{Ending, Miss, Tally};
pub use zygotes::ZygoteNews;
use zygotes::Zygotes;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// The bounds of all pools; further pools are new.
    Configure(Vec<PoolLimits>),
    /// The workers of a pool are replaced: idle ones now, others when their sessions end.
    Recycle(PoolId),
    /// A pool takes no new sessions, or takes them again.
    Drain(PoolId, bool),
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
        /// The workers, in the order in which the request names its needs.
        workers: Vec<WorkerId>,
    },
    /// Refuse the request: a worker of its kind failed to start, or the pools are closed.
    Refuse(Ticket),
    /// Refuse the request: it does not wait, and all workers that it could get are in use.
    Overload(Ticket),
    /// Refuse the request: this pool takes no new sessions.
    Drained(Ticket, PoolId),
    /// End this worker.
    Retire(WorkerId),
    /// Kill this worker, which was asked to end and still has not: its place is needed.
    Kill(WorkerId),
    /// Start a zygote of this kind; one that is ready serves until the new one is.
    BeginZygote(KeyId),
    /// Let the zygotes of this kind end.
    EndZygote(KeyId),
}

/// One pool.
#[derive(Debug)]
struct Shelf {
    limits: PoolLimits,
    /// The kind that was used last.
    last_key: Option<KeyId>,
    /// How often it was recycled.
    epoch: u64,
    /// Whether it takes no new sessions.
    is_drained: bool,
    tally: Tally,
}

impl Shelf {
    fn new(limits: PoolLimits) -> Self {
        Self { limits, last_key: None, epoch: 0, is_drained: false, tally: Tally::default() }
    }
}

/// State of all pools.
#[derive(Debug)]
pub struct PoolCore {
    shelves: Vec<Shelf>,
    workers: Roster,
    requests: Requests,
    next_worker: WorkerId,
    zygotes: Zygotes,
    closed: bool,
}

impl PoolCore {
    /// Empty pools with these bounds.
    #[must_use]
    pub fn new(pools: &[PoolLimits]) -> Self {
        Self {
            shelves: pools.iter().copied().map(Shelf::new).collect(),
            workers: Roster::default(),
            requests: Requests::default(),
            next_worker: 1,
            zygotes: Zygotes::default(),
            closed: false,
        }
    }

    /// Handles one event and returns the actions that follow.
    pub fn handle(&mut self, now: Instant, event: PoolEvent) -> Vec<PoolAction> {
        let mut actions = Vec::new();
        match event {
            PoolEvent::Want { ticket, needs, turn } => {
                let want = Want { ticket, needs, turn, since: now };
                tune::ask(self, want, &mut actions);
            }
            PoolEvent::Warm(key) => self.warm(now, key, &mut actions),
            PoolEvent::Withdraw(ticket) => self.requests.withdraw(ticket),
            PoolEvent::Started(worker) => {
                self.zygotes.note_ready(worker);
                self.workers.step(now, worker, LifeEvent::HandshakeDone);
            }
            PoolEvent::Returned { worker, reusable } => {
                self.take_back(now, worker, reusable, &mut actions);
            }
            PoolEvent::Replaced(worker) => {
                self.note_end(worker, Ending::Died);
                self.workers.step(now, worker, LifeEvent::Retired);
            }
            PoolEvent::Left(worker) => self.workers.set_left(worker, true),
            PoolEvent::Exited(worker) => self.remove_dead(now, worker, &mut actions),
            PoolEvent::Tick => self.tick(now, &mut actions),
            PoolEvent::Zygote { key, news } => self.zygotes.hear(now, key, news, &mut actions),
            PoolEvent::Learned(key) => self.zygotes.renew(now, key),
            PoolEvent::Configure(pools) => tune::configure(self, now, pools, &mut actions),
            PoolEvent::Recycle(pool) => tune::recycle(self, now, pool, &mut actions),
            PoolEvent::Drain(pool, is_drained) => self.shelves[pool].is_drained = is_drained,
            PoolEvent::Close => self.close(now, &mut actions),
        }
        self.serve(now, &mut actions);
        actions
    }

    fn retire(
        &mut self,
        now: Instant,
        worker: WorkerId,
        why: Ending,
        actions: &mut Vec<PoolAction>,
    ) {
        self.note_end(worker, why);
        self.workers.step(now, worker, LifeEvent::Retired);
        actions.push(PoolAction::Retire(worker));
    }

    /// Notes why a worker ends; the first reason counts.
    fn note_end(&mut self, worker: WorkerId, why: Ending) {
        let Some(entry) = self.workers.get(worker) else { return };
        if entry.state != LifeState::Draining {
            self.shelves[entry.key.pool].tally.last_end = Some(why);
        }
    }

    /// Removes a worker whose process has exited. If it never was ready, the requests for its kind
    /// are refused, or they would start the same failing process for ever.
    fn remove_dead(&mut self, now: Instant, worker: WorkerId, actions: &mut Vec<PoolAction>) {
        self.zygotes.note_parked_exit(now, worker, actions);
        self.note_end(worker, Ending::Died);
        let Some(entry) = self.workers.0.remove(&worker) else { return };
        let is_last = !self.workers.has_kind(entry.key);
        self.zygotes.note_exit(now, entry.key, is_last);
        if entry.state != LifeState::Starting {
            return;
        }
        let shelf = &mut self.shelves[entry.key.pool];
        if shelf.last_key == Some(entry.key) {
            shelf.last_key = None;
        }
        let refused = self.requests.take(Some(entry.key)).into_iter();
        actions.extend(refused.map(PoolAction::Refuse));
    }

    fn close(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        self.closed = true;
        self.zygotes.end_all(actions);
        let alive = self.picture().filter(|worker| worker.state != LifeState::Draining);
        let alive: Vec<WorkerId> = alive.map(|worker| worker.id).collect();
        for worker in alive {
            self.retire(now, worker, Ending::Closed, actions);
        }
    }
}
