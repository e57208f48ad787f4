//! Which workers and zygotes the pools keep: those that sessions give back, spares, and none that has been
//! idle for too long.

use std::time::{Duration, Instant};

use super::{Ending, KeyId, LifeEvent, Need, PoolAction, PoolCore, PoolId, PoolLimits, Shelf};
use crate::worker::WorkerId;

impl PoolCore {
    /// Takes a worker back from its session.
    pub(super) fn take_back(
        &mut self,
        now: Instant,
        worker: WorkerId,
        reusable: bool,
        actions: &mut Vec<PoolAction>,
    ) {
        let Some(entry) = self.workers.get(worker) else { return };
        let shelf = &self.shelves[entry.key.pool];
        let limits = shelf.limits;
        // One whose place another may have taken is needed only where it is still free.
        let is_needed = match entry.is_left {
            true => self.has_room(entry.key.pool),
            false => self.workers.staying(entry.key.pool) <= limits.max,
        };
        let has_served = limits.max_sessions.is_some_and(|most| entry.sessions >= most);
        let ending = match () {
            () if self.closed => Some(Ending::Closed),
            () if !reusable || has_served => Some(Ending::Served),
            () if entry.epoch < shelf.epoch => Some(Ending::Recycled),
            () if !is_needed => Some(Ending::Size),
            () => None,
        };
        if let Some(why) = ending {
            return self.retire(now, worker, why, actions);
        }
        self.workers.set_left(worker, false);
        self.workers.step(now, worker, LifeEvent::Returned);
    }

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

    /// The next moment at which [`super::PoolEvent::Tick`] would do something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let next_expiry = |pool: PoolId| {
            let PoolLimits { min, idle_timeout, .. } = self.shelves[pool].limits;
            self.workers.next_expiry(pool, min, idle_timeout?)
        };
        let expiries = (0..self.shelves.len()).filter_map(next_expiry);
        expiries.chain(self.zygotes.next_deadline(|key| self.zygote_timeout(key))).min()
    }

    /// Ends what has been idle for too long, and starts and uses zygotes whose time has come.
    pub(super) fn tick(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        (0..self.shelves.len()).for_each(|pool| self.retire_idle(now, pool, actions));
        for key in self.zygotes.expired(now, |key| self.zygote_timeout(key)) {
            self.zygotes.end(key, actions);
        }
        self.zygotes.begin_due(now, actions);
        self.zygotes.park(now, &mut self.next_worker, actions);
    }

    /// Ends the workers of a pool that have been idle for too long.
    fn retire_idle(&mut self, now: Instant, pool: PoolId, actions: &mut Vec<PoolAction>) {
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

    /// How long the zygote of a kind may be idle: like a worker, once there is no worker of the kind.
    fn zygote_timeout(&self, key: KeyId) -> Option<Duration> {
        let is_needed = self.workers.has_kind(key) || self.requests.ask_for(key);
        self.shelves[key.pool].limits.idle_timeout.filter(|_| !is_needed)
    }
}
