//! Workers that have been idle for too long.

use std::time::Instant;

use super::{LifeState, PoolAction, PoolCore, PoolId, PoolLimits};

impl PoolCore {
    /// The next moment at which [`PoolEvent::Tick`] would do something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let expiries = (0..self.shelves.len()).filter_map(|pool| self.next_expiry(pool));
        expiries.chain(self.next_zygote_deadline()).min()
    }

    fn next_expiry(&self, pool: PoolId) -> Option<Instant> {
        let limits = &self.shelves[pool].limits;
        let timeout = limits.idle_timeout?;
        let expiring =
            self.workers.values().filter(|e| e.key.pool == pool && e.state == LifeState::Ready);
        let idle = expiring.clone().count();
        if idle <= limits.min {
            return None;
        }
        expiring.filter_map(|e| e.idle_since.checked_add(timeout)).min()
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
        let mut idle: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, e)| e.key.pool == pool && e.state == LifeState::Ready)
            .map(|(id, e)| (e.idle_since, *id))
            .collect();
        idle.sort_unstable();
        let surplus = idle.len().saturating_sub(min);
        for (since, worker) in idle.into_iter().take(surplus) {
            if now.duration_since(since) >= timeout {
                self.retire(now, worker, actions);
            }
        }
    }
}
