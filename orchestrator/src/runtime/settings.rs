//! The settings of a runtime that are in force, and what follows from them for pools and plans.

use std::sync::Arc;

use crate::config::{Config, PoolConfig};
use crate::placement::PoolId;
use crate::plan::PlanPool;
use crate::schedule::Times;
use crate::worker::pool::PoolLimits;
use crate::worker::supervisor::{PoolTerms, SupervisorOptions};

/// Settings that do not change any more: those that come later are further ones.
#[derive(Debug)]
pub struct Settings {
    /// All settings.
    pub config: Config,
    /// The pools by their numbers.
    pub(crate) pools: Vec<Arc<PoolConfig>>,
    /// How many came before these.
    pub(crate) generation: u64,
}

impl Settings {
    /// The settings of a new runtime.
    pub(super) fn new(config: Config) -> Self {
        let pools = config.pools(&[]).into_iter().map(Arc::new).collect();
        Self { config, pools, generation: 0 }
    }

    /// The settings that follow these. Pools keep their numbers.
    pub(super) fn followed_by(&self, config: Config) -> Self {
        let pools = config.pools(&self.pools).into_iter().map(Arc::new).collect();
        Self { config, pools, generation: self.generation + 1 }
    }

    /// The settings of a pool.
    pub(crate) fn pool(&self, id: PoolId) -> &Arc<PoolConfig> {
        // Numbers come from plans, which have them from these settings or earlier ones.
        self.pools.get(id).unwrap_or(&self.pools[0])
    }

    /// The pools as plans know them.
    pub(super) fn plan_pools(&self) -> Vec<PlanPool> {
        let known = |pool: &Arc<PoolConfig>| PlanPool {
            name: pool.name.clone(),
            section: pool.section(),
            engine: pool.engine,
            max_workers: pool.bounds.max_workers(),
            default_timeout: pool.calls.timeout,
            patterns: pool.own.nodes.clone(),
            is_removed: pool.is_removed,
        };
        self.pools.iter().map(known).collect()
    }

    /// What the supervisor works with.
    pub(super) fn for_supervisor(&self) -> SupervisorOptions {
        SupervisorOptions {
            pools: self.pools.iter().map(|pool| terms(pool)).collect(),
            limits: self.config.limits.to_protocol(),
            spin: self.config.calls.spin,
            memory: self.config.shared_memory.terms(),
            has_socket: self.config.status.socket,
        }
    }
}

fn terms(pool: &PoolConfig) -> PoolTerms {
    let (bounds, workers) = (&pool.bounds, &pool.workers);
    PoolTerms {
        name: pool.name.clone(),
        engine: pool.engine,
        is_removed: pool.is_removed,
        worker_limits: pool.limits.worker(),
        limits: PoolLimits {
            min: if pool.is_removed { 0 } else { bounds.min },
            max: bounds.max_workers(),
            idle_timeout: bounds.idle_timeout,
            max_sessions: bounds.max_sessions,
            zygotes: workers.zygote && pool.engine == crate::placement::Engine::CPython,
        },
        start_timeout: workers.start_timeout,
        stop_grace: workers.stop_grace,
        preload: pool.python.preload.clone(),
    }
}

/// The time limits of a pool's workers in a session.
pub(crate) fn times(pool: &PoolConfig) -> Times {
    Times {
        acquire_timeout: pool.workers.acquire_timeout,
        open_timeout: pool.workers.open_timeout,
        close_timeout: pool.workers.close_timeout,
    }
}
