//! Which kinds of workers the pools still use.

use std::collections::BTreeSet;

use super::{KeyId, PoolCore};
use crate::worker::WorkerId;

impl PoolCore {
    /// Numbers of the kinds that have workers, a zygote or requests, or of which workers are kept ready.
    #[must_use]
    pub fn used_keys(&self) -> BTreeSet<usize> {
        let workers = self.picture().map(|worker| worker.key);
        let waiting = self.waiting.iter().flat_map(|want| want.needs.iter().map(|need| need.key));
        let spares = self.shelves.iter().filter(|shelf| shelf.limits.min > 0);
        let spares = spares.filter_map(|shelf| shelf.last_key);
        let zygotes = self.zygotes.kinds();
        workers.chain(waiting).chain(spares).chain(zygotes).map(|key| key.number).collect()
    }

    /// The kind of a worker; `None` if it is dead.
    #[must_use]
    pub fn kind_of(&self, worker: WorkerId) -> Option<KeyId> {
        self.workers.get(worker).map(|entry| entry.key)
    }
}
