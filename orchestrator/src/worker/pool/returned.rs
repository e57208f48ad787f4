//! Workers that sessions give back.

use std::time::Instant;

use super::{Ending, LifeEvent, PoolAction, PoolCore, PoolId};
use crate::worker::WorkerId;

impl PoolCore {
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

    pub(super) fn has_room(&self, pool: PoolId) -> bool {
        let max = self.shelves[pool].limits.max;
        self.workers.size(pool, max) < max
    }
}
