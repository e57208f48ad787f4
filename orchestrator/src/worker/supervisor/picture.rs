//! What the pool shows of its workers.

use std::sync::Arc;

use ipc_protocol::exchange::Exchange;

use super::Pool;
use crate::placement::Engine;
use crate::worker::WorkerId;
use crate::worker::link::Outgoing;
use crate::worker::pool::KeyId;
use crate::worker::state::LifeState;

/// A snapshot of one worker, from [`Pool::picture`].
#[derive(Debug, Clone)]
pub struct WorkerPicture {
    /// Process id; 0 before the process runs.
    pub pid: u32,
    /// Its engine.
    pub runtime: Engine,
    /// Its state.
    pub state: LifeState,
    /// Number of sessions that it has served, with the current one.
    pub sessions: u64,
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
        let state = self.shared.lock();
        let pid = |id| state.processes.get(&id).map_or(0, |process| process.pid);
        let runtime = |key: KeyId| state.kinds.runtime(key).unwrap_or(Engine::CPython);
        let picture = state.core.picture().map(|worker| WorkerPicture {
            pid: pid(worker.id),
            runtime: runtime(worker.key),
            state: worker.state,
            sessions: worker.sessions,
        });
        picture.collect()
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
