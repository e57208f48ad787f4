//! Workers that are started before a session asks for them.

use std::time::Instant;

use super::{KeyId, Need, PoolAction, PoolCore, PoolId, Shelf};

impl PoolCore {
    /// Starts a worker of a kind that has none, if the pool has room.
    pub(super) fn warm(&mut self, now: Instant, key: KeyId, actions: &mut Vec<PoolAction>) {
        let has_one = self.workers.has_kind(key);
        if !has_one && !self.closed && self.has_room(key.pool) {
            self.start(now, key, 1, actions);
        }
    }

    /// Starts workers of the kind used last until as many as configured are idle or starting.
    pub(super) fn keep_spares(
        &mut self,
        now: Instant,
        pool: PoolId,
        actions: &mut Vec<PoolAction>,
    ) {
        let Shelf { limits, last_key, .. } = &self.shelves[pool];
        let (Some(key), min, max) = (*last_key, limits.min, limits.max) else { return };
        // A parked worker needs no start; the zygote parks the next one a moment later.
        self.unpark(now, Need { key, count: min });
        let spare = self.workers.coming(key);
        let room = max.saturating_sub(self.workers.size(pool, max));
        let missing = min.saturating_sub(spare).min(room);
        self.start(now, key, missing, actions);
    }
}
