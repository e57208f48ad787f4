//! Workers that sessions give back, and those whose place another worker may take before they end.

use std::time::Instant;

use super::{Entry, LifeEvent, PoolAction, PoolCore, PoolId};
use crate::worker::WorkerId;

impl PoolCore {
    pub(super) fn take_back(
        &mut self,
        now: Instant,
        worker: WorkerId,
        reusable: bool,
        actions: &mut Vec<PoolAction>,
    ) {
        let Some(entry) = self.workers.get(&worker) else { return };
        let limit = self.shelves[entry.key.pool].limits.max_sessions;
        let used_up = |entry: &Entry| limit.is_some_and(|limit| entry.sessions >= limit);
        // One that was replaced is needed only where its place is still free.
        let is_needed = !entry.is_replaced || self.has_room(entry.key.pool);
        if reusable && is_needed && !used_up(entry) && !self.closed {
            self.workers.entry(worker).and_modify(|entry| entry.is_replaced = false);
            self.step(now, worker, LifeEvent::Returned);
        } else {
            self.retire(now, worker, actions);
        }
    }

    /// Lets another worker take the place of this one.
    pub(super) fn replace(&mut self, worker: WorkerId) {
        self.workers.entry(worker).and_modify(|entry| entry.is_replaced = true);
    }

    /// Number of workers that count against the bound of the pool. Those that were replaced do not, up to
    /// as many as the pool may have: there are never more processes than twice its bound.
    pub(super) fn size(&self, pool: PoolId) -> usize {
        let here = self.workers.values().filter(|entry| entry.key.pool == pool);
        let (replaced, others): (Vec<_>, Vec<_>) = here.partition(|entry| entry.is_replaced);
        others.len() + replaced.len().saturating_sub(self.shelves[pool].limits.max)
    }

    pub(super) fn has_room(&self, pool: PoolId) -> bool {
        self.size(pool) < self.shelves[pool].limits.max
    }
}
