//! What the pools show of themselves.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{KeyId, PoolCore, PoolId, Tally};
use crate::worker::WorkerId;
use crate::worker::state::LifeState;

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

impl PoolCore {
    /// A snapshot of every worker that is not dead.
    pub fn picture(&self) -> impl Iterator<Item = Pictured> + '_ {
        self.workers.0.iter().map(|(id, entry)| Pictured {
            id: *id,
            key: entry.key,
            state: entry.state,
            sessions: entry.sessions,
        })
    }

    /// The kind of a worker; `None` if it is dead.
    #[must_use]
    pub fn kind_of(&self, worker: WorkerId) -> Option<KeyId> {
        self.workers.get(worker).map(|entry| entry.key)
    }

    /// Whether this worker is parked, or will be.
    #[must_use]
    pub fn is_parked(&self, worker: WorkerId) -> bool {
        self.zygotes.is_parked(worker)
    }

    /// Numbers of the kinds that have workers, a zygote or requests, or of which workers are kept ready.
    #[must_use]
    pub fn used_keys(&self) -> BTreeSet<usize> {
        let workers = self.picture().map(|worker| worker.key);
        let spares = self.shelves.iter().filter(|shelf| shelf.limits.min > 0);
        let spares = spares.filter_map(|shelf| shelf.last_key);
        let kinds = workers.chain(self.requests.kinds()).chain(spares).chain(self.zygotes.kinds());
        kinds.map(|key| key.number).collect()
    }

    /// Whether a pool takes no new sessions.
    #[must_use]
    pub fn is_drained(&self, pool: PoolId) -> bool {
        self.shelves[pool].is_drained
    }

    /// When the requests that wait for workers of a pool were made, in their order.
    pub fn waiting_since(&self, pool: PoolId) -> impl Iterator<Item = Instant> + '_ {
        self.requests.since(pool)
    }

    /// What sessions of a pool found so far.
    #[must_use]
    pub fn tally(&self, pool: PoolId) -> &Tally {
        &self.shelves[pool].tally
    }
}
