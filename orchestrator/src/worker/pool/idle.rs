//! Workers that have been idle for too long.

use std::time::Instant;

use super::{Ending, PoolAction, PoolCore, PoolId, PoolLimits};

impl PoolCore {
    /// The next moment at which [`PoolEvent::Tick`] would do something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let expiries = (0..self.shelves.len()).filter_map(|pool| self.next_expiry(pool));
        expiries.chain(self.next_zygote_deadline()).min()
    }

    fn next_expiry(&self, pool: PoolId) -> Option<Instant> {
        let PoolLimits { min, idle_timeout, .. } = self.shelves[pool].limits;
        self.workers.next_expiry(pool, min, idle_timeout?)
    }

    /// Ends the workers of a pool that have been idle for too long.
    pub(super) fn retire_idle(
        &mut self,
        now: Instant,
        pool: PoolId,
        actions: &mut Vec<PoolAction>,
    ) {
        let PoolLimits { min, idle_timeout, .. } = self.shelves[pool].limits;
        let Some(timeout) = idle_timeout else { return };
        let idle = self.workers.idle(pool);
        let surplus = idle.len().saturating_sub(min);
        for (since, worker) in idle.into_iter().take(surplus) {
            if now.duration_since(since) >= timeout {
                self.retire(now, worker, Ending::Idle, actions);
            }
        }
    }
}
