//! What the pools show of themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::exchange::Exchange;
use serde_json::{Value as Json, json};

use super::{Pool, PoolState, PoolTerms, Shared};
use crate::limits::{self, Limit};
use crate::placement::{Engine, PoolId};
use crate::worker::exit::Exit;
use crate::worker::link::Outgoing;
use crate::worker::pool::{KeyId, Tally};
use crate::worker::state::LifeState;
use crate::worker::{WorkerId, memory};

/// A snapshot of one worker.
#[derive(Debug, Clone)]
pub struct WorkerPicture {
    /// Process id; 0 before the process runs.
    pub pid: u32,
    /// The pool that it belongs to.
    pub pool: PoolId,
    /// Its engine.
    pub runtime: Engine,
    /// Path of its interpreter.
    pub interpreter: PathBuf,
    /// Its state.
    pub state: LifeState,
    /// Number of sessions that it has served, with the current one.
    pub sessions: u64,
    /// Since when its process has been running; `None` before that.
    pub started: Option<Instant>,
}

/// How a worker died that was not asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Its process id.
    pub pid: u32,
    /// Its exit code or signal.
    pub exit: Exit,
    /// When.
    pub at: Instant,
}

/// A snapshot of one pool.
#[derive(Debug, Clone)]
pub struct PoolPicture {
    /// Its settings.
    pub terms: PoolTerms,
    /// Whether it takes no new sessions.
    pub is_drained: bool,
    /// Its workers.
    pub workers: Vec<WorkerPicture>,
    /// For how long each session has been waiting for workers, the one that is served next first.
    pub waiting: Vec<Duration>,
    /// What sessions found when they asked for workers.
    pub tally: Tally,
    /// The last death of a worker.
    pub last_death: Option<Death>,
}

/// The shared memory of one worker.
#[derive(Debug, Clone)]
pub struct WorkerMemory {
    /// Its process id.
    pub pid: u32,
    /// The orchestrator's side of the shared memory of its connection.
    pub exchange: Arc<Exchange>,
}

impl Pool {
    /// A snapshot of every worker that is not dead.
    #[must_use]
    pub fn picture(&self) -> Vec<WorkerPicture> {
        self.shared.lock().workers()
    }

    /// A snapshot of every pool.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolPicture> {
        self.shared.pools()
    }

    /// The shared memory of every worker that is up and part of the pool.
    #[must_use]
    pub fn shared_memory(&self) -> Vec<WorkerMemory> {
        let state = self.shared.lock();
        let of = |(id, output): (&WorkerId, &Arc<Outgoing>)| {
            // Parked workers, and those that were, are no part of the pool.
            let pid = state.processes.get(id).filter(|_| state.core.kind_of(*id).is_some())?.pid;
            Some(WorkerMemory { pid, exchange: Arc::clone(output.exchange()?) })
        };
        state.outputs.iter().filter_map(of).collect()
    }
}

impl PoolState {
    fn workers(&self) -> Vec<WorkerPicture> {
        let kind = |key: KeyId| self.kinds.get(key).map(|kind| Arc::clone(&kind.key));
        let picture = self.core.picture().map(|worker| {
            let (process, key) = (self.processes.get(&worker.id), kind(worker.key));
            WorkerPicture {
                pid: process.map_or(0, |process| process.pid),
                pool: worker.key.pool,
                runtime: key.as_ref().map_or(Engine::CPython, |key| key.runtime),
                interpreter: key.map_or_else(PathBuf::new, |key| key.interpreter.clone()),
                state: worker.state,
                sessions: worker.sessions,
                started: process.map(|process| process.started),
            }
        });
        picture.collect()
    }
}

impl Shared {
    /// A snapshot of every pool.
    pub(super) fn pools(&self) -> Vec<PoolPicture> {
        let (options, now, state) = (self.options(), Instant::now(), self.lock());
        let workers = state.workers();
        let picture = |(pool, terms): (PoolId, &PoolTerms)| PoolPicture {
            terms: terms.clone(),
            is_drained: state.core.is_drained(pool),
            workers: workers.iter().filter(|worker| worker.pool == pool).cloned().collect(),
            waiting: state.core.waiting_since(pool).map(|since| now - since).collect(),
            tally: state.core.tally(pool).clone(),
            last_death: state.deaths.get(&pool).cloned(),
        };
        options.pools.iter().enumerate().map(picture).collect()
    }
}

impl PoolPicture {
    /// Whether the pool is of no interest any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.terms.is_removed && self.workers.is_empty()
    }

    /// The snapshot as JSON; times in seconds, sizes in bytes.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let seconds = |since: Instant| since.elapsed().as_secs_f64();
        let worker = |worker: &WorkerPicture| {
            json!({
                "pid": worker.pid,
                "state": format!("{:?}", worker.state).to_lowercase(),
                "interpreter": worker.interpreter.display().to_string(),
                "sessions": worker.sessions,
                "age": worker.started.map(seconds),
                "memory": memory::resident_bytes(worker.pid),
            })
        };
        let death = |death: &Death| {
            json!({
                "pid": death.pid,
                "signal": death.exit.signal_name(),
                "exit_code": death.exit.code(),
                "ago": seconds(death.at),
            })
        };
        let set = |limit: Limit| Some((limit.name(), self.terms.worker_limits.get(limit)?));
        let limits: BTreeMap<&str, u64> = limits::ALL.into_iter().filter_map(set).collect();
        let misses: BTreeMap<&str, u64> =
            self.tally.misses.iter().map(|(miss, count)| (miss.word(), *count)).collect();
        json!({
            "name": self.terms.name,
            "runtime": self.terms.engine.name(),
            "min": self.terms.limits.min,
            "max": self.terms.limits.max,
            "is_drained": self.is_drained,
            "is_removed": self.terms.is_removed,
            "workers": self.workers.iter().map(worker).collect::<Vec<_>>(),
            "waiting": self.waiting.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            "limits": limits,
            "warm_hits": self.tally.hits,
            "spare_hits": self.tally.spares,
            "misses": misses,
            "last_death": self.last_death.as_ref().map(death),
        })
    }
}
