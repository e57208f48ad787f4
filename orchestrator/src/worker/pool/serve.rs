//! Which requests are granted, and which workers start for them.

use std::time::Instant;

use super::requests::Ahead;
use super::{Ending, Entry, KeyId, LifeEvent, LifeState, Need, PoolAction, PoolCore, PoolId, Turn};
use crate::worker::WorkerId;

impl PoolCore {
    /// Grants requests in their order. A request that has to wait holds no worker meanwhile, and
    /// only requests for the same pools wait behind it.
    pub(super) fn serve(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        if self.closed {
            actions.extend(self.requests.take(None).into_iter().map(PoolAction::Refuse));
            return;
        }
        let mut ahead = Ahead::nothing(self.shelves.len());
        let mut at = 0;
        while let Some(want) = self.requests.get(at) {
            let (ticket, needs, turn) = (want.ticket, want.needs.clone(), want.turn);
            let is_behind = ahead.holds_up(&needs, turn);
            if !is_behind && self.has_ready(now, &needs) {
                self.requests.remove(at);
                let grant = |need: &Need| self.grant(now, need.key, need.count);
                let workers = needs.iter().flat_map(grant).collect();
                actions.push(PoolAction::Grant { ticket, workers });
                continue;
            }
            if !is_behind {
                for need in &needs {
                    let Need { key, count } = ahead.with_reserved(*need);
                    let missing = count.saturating_sub(self.workers.coming(key));
                    self.start(now, key, missing, actions);
                }
            }
            if turn == Turn::Now && (is_behind || !self.are_coming(&needs, &ahead)) {
                self.requests.remove(at);
                actions.push(PoolAction::Overload(ticket));
                continue;
            }
            ahead.add(needs, turn);
            at += 1;
        }
        for pool in ahead.free_pools() {
            self.keep_spares(now, pool, actions);
        }
    }

    /// Whether all workers for these needs are idle, or parked and ready.
    fn has_ready(&mut self, now: Instant, needs: &[Need]) -> bool {
        needs.iter().for_each(|need| self.unpark(now, *need));
        needs.iter().all(|need| self.workers.count(need.key, LifeState::Ready) >= need.count)
    }

    /// Whether workers for these needs will be there without another session giving one back.
    fn are_coming(&self, needs: &[Need], ahead: &Ahead) -> bool {
        needs.iter().all(|need| {
            let max = self.shelves[need.key.pool].limits.max;
            self.workers.is_coming(ahead.with_reserved(*need), max)
        })
    }

    /// Grants idle workers, those used last first, because their caches are warmest.
    fn grant(&mut self, now: Instant, key: KeyId, count: usize) -> Vec<WorkerId> {
        let mut workers = self.workers.ready(key);
        workers.truncate(count);
        if self.shelves[key.pool].limits.zygotes {
            self.zygotes.note_grant(now, key);
        }
        for worker in &workers {
            self.workers.grant(now, *worker);
        }
        workers
    }

    /// Makes a parked worker one of the pool, if the request lacks one and there is room.
    pub(super) fn unpark(&mut self, now: Instant, Need { key, count }: Need) {
        let known = self.workers.coming(key);
        if known >= count || !self.has_room(key.pool) {
            return;
        }
        let Some((worker, is_ready)) = self.zygotes.unpark(now, key) else { return };
        self.workers.0.insert(worker, Entry::new(key, self.shelves[key.pool].epoch, now));
        if is_ready {
            self.workers.step(now, worker, LifeEvent::HandshakeDone);
        }
    }

    /// Starts workers, as far as there is room.
    pub(super) fn start(
        &mut self,
        now: Instant,
        key: KeyId,
        count: usize,
        actions: &mut Vec<PoolAction>,
    ) {
        let mut hurried = self.workers.hurried(key.pool);
        for _ in 0..count {
            if !self.has_room(key.pool) {
                self.make_room(now, key, &mut hurried, actions);
            }
            if !self.has_room(key.pool) {
                continue;
            }
            let worker = self.next_worker;
            self.next_worker += 1;
            let entry = Entry::new(key, self.shelves[key.pool].epoch, now);
            self.workers.0.insert(worker, entry);
            actions.push(PoolAction::Spawn { worker, key });
        }
    }

    pub(super) fn has_room(&self, pool: PoolId) -> bool {
        let max = self.shelves[pool].limits.max;
        self.workers.size(pool, max) < max
    }

    /// Makes room for a worker of this kind: an idle one of another kind is asked to end. Where as many end
    /// already as the pool may have, one of them is killed, and its exit makes room. `hurried` is the number
    /// of those whose exits are not yet counted on.
    fn make_room(
        &mut self,
        now: Instant,
        key: KeyId,
        hurried: &mut usize,
        actions: &mut Vec<PoolAction>,
    ) {
        let max = self.shelves[key.pool].limits.max;
        let is_other = |id: &WorkerId| self.workers.get(*id).is_some_and(|e| e.key != key);
        let other = self.workers.idle(key.pool).into_iter().map(|(_, id)| id).find(is_other);
        if let Some(worker) = other.filter(|_| self.workers.ending(key.pool) < max) {
            return self.retire(now, worker, Ending::Room, actions);
        }
        let helps = other.is_some() || self.workers.staying(key.pool) < max;
        match hurried.checked_sub(1) {
            Some(left) => *hurried = left,
            None if helps => actions.extend(self.workers.hurry(key.pool).map(PoolAction::Kill)),
            None => {}
        }
    }
}
