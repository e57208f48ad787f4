//! Which kinds of workers the pools still use.

use std::collections::BTreeSet;

use super::PoolCore;

impl PoolCore {
    /// Numbers of the kinds that have workers or requests, or of which workers are kept ready.
    #[must_use]
    pub fn used_keys(&self) -> BTreeSet<usize> {
        let workers = self.workers.values().map(|entry| entry.key);
        let waiting = self.waiting.iter().flat_map(|want| want.needs.iter().map(|need| need.key));
        let spares = self.shelves.iter().filter(|shelf| shelf.limits.min > 0);
        let spares = spares.filter_map(|shelf| shelf.last_key);
        workers.chain(waiting).chain(spares).map(|key| key.number).collect()
    }
}
