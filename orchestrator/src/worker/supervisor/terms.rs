//! The settings of the supervisor and its pools, and what operators do while they run.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ipc_protocol::Limits;
use ipc_protocol::memory::SegmentKind;
use ipc_protocol::share::MemoryTerms;

use super::Pool;
use crate::limits::Limits as WorkerLimits;
use crate::placement::{Engine, PoolId};
use crate::worker::pool::{PoolEvent, PoolLimits};

/// Settings of the supervisor.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// The pools by their numbers.
    pub pools: Vec<PoolTerms>,
    /// Limits on frames.
    pub limits: Limits,
    /// Longest busy wait for a message, in the orchestrator and in workers.
    pub spin: Duration,
    /// Terms of shared memory; `None`: it is not used.
    pub memory: Option<MemoryTerms>,
    /// Whether other programs of this user may look at the pools.
    pub has_socket: bool,
}

/// Settings of one pool.
#[derive(Debug, Clone)]
pub struct PoolTerms {
    /// Its name.
    pub name: String,
    /// What its workers run.
    pub engine: Engine,
    /// Whether the configuration has it no more.
    pub is_removed: bool,
    /// What its workers may use.
    pub worker_limits: WorkerLimits,
    /// Its bounds.
    pub limits: PoolLimits,
    /// Time from spawn to the end of the handshake.
    pub start_timeout: Duration,
    /// How long a worker that missed a deadline may take to end after it was interrupted, and again
    /// after SIGTERM.
    pub stop_grace: Duration,
    /// Modules that zygotes import before they fork, beside those that sessions load.
    pub preload: Vec<String>,
}

impl SupervisorOptions {
    pub(super) fn limits_of_pools(&self) -> Vec<PoolLimits> {
        self.pools.iter().map(|pool| pool.limits).collect()
    }

    /// Whether shared memory has names that a killed process leaves behind.
    pub(super) fn uses_names(&self) -> bool {
        self.memory.is_some_and(|terms| terms.kind == SegmentKind::Named)
    }
}

impl Pool {
    /// Other settings count from now on; see [`PoolEvent::Configure`].
    pub fn reconfigure(&self, options: SupervisorOptions) {
        let limits = options.limits_of_pools();
        let mut current = self.shared.options.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(options);
        drop(current);
        self.shared.apply(&mut self.shared.lock(), PoolEvent::Configure(limits));
    }

    /// Replaces the workers of a pool: idle ones now, others when their sessions end.
    pub fn recycle(&self, pool: PoolId) {
        self.shared.apply(&mut self.shared.lock(), PoolEvent::Recycle(pool));
    }

    /// Says whether a pool refuses new sessions.
    pub fn drain(&self, pool: PoolId, is_drained: bool) {
        self.shared.apply(&mut self.shared.lock(), PoolEvent::Drain(pool, is_drained));
    }
}
