//! Which requests are granted, and which workers start for them.

use std::time::Instant;

use super::{Ending, Entry, KeyId, LifeState, Need, PoolAction, PoolCore, Turn};
use crate::worker::WorkerId;

impl PoolCore {
    /// Grants requests in their order. A request that has to wait holds no worker meanwhile, and
    /// only requests for the same pools wait behind it.
    pub(super) fn serve(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        if self.closed {
            actions.extend(self.waiting.drain(..).map(|want| PoolAction::Refuse(want.ticket)));
            return;
        }
        let mut awaited = vec![false; self.shelves.len()];
        // Workers that come for earlier requests which do not wait for other sessions.
        let mut reserved: Vec<Need> = Vec::new();
        let mut at = 0;
        while let Some(want) = self.waiting.get(at) {
            let (ticket, needs, turn) = (want.ticket, want.needs.clone(), want.turn);
            let is_behind = needs.iter().any(|need| {
                let is_reserved = reserved.iter().any(|other| other.key.pool == need.key.pool);
                awaited[need.key.pool] || turn != Turn::Now && is_reserved
            });
            if is_behind && turn != Turn::Now {
                needs.iter().for_each(|need| awaited[need.key.pool] = true);
                at += 1;
                continue;
            }
            if is_behind {
                self.overload(at, actions);
                continue;
            }
            let with_reserved = |need: &Need| {
                let others = reserved.iter().filter(|other| other.key == need.key);
                Need { count: need.count + others.map(|other| other.count).sum::<usize>(), ..*need }
            };
            needs.iter().for_each(|need| self.unpark(now, *need));
            if needs.iter().all(|need| self.workers.count(need.key, LifeState::Ready) >= need.count)
            {
                self.waiting.remove(at);
                let workers =
                    needs.iter().flat_map(|need| self.grant(now, need.key, need.count)).collect();
                actions.push(PoolAction::Grant { ticket, workers });
                continue;
            }
            for Need { key, count } in needs.iter().map(with_reserved) {
                let missing = count.saturating_sub(self.workers.coming(key));
                self.start(now, key, missing, actions);
            }
            let max = |need: &Need| self.shelves[need.key.pool].limits.max;
            let is_coming = |need| self.workers.is_coming(with_reserved(need), max(need));
            if turn == Turn::Now && !needs.iter().all(is_coming) {
                self.overload(at, actions);
                continue;
            }
            match turn {
                Turn::Now => reserved.extend(needs),
                _ => needs.iter().for_each(|need| awaited[need.key.pool] = true),
            }
            at += 1;
        }
        reserved.iter().for_each(|need| awaited[need.key.pool] = true);
        for (pool, awaited) in awaited.into_iter().enumerate() {
            if !awaited {
                self.keep_spares(now, pool, actions);
            }
        }
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

    /// Starts workers, as far as there is room.
    pub(super) fn start(
        &mut self,
        now: Instant,
        key: KeyId,
        count: usize,
        actions: &mut Vec<PoolAction>,
    ) {
        let mut coming = self.workers.hurried(key.pool);
        for _ in 0..count {
            if !self.has_room(key.pool) {
                self.make_room(now, key, &mut coming, actions);
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

    /// Makes room for a worker of this kind: an idle one of another kind is asked to end. Where as many end
    /// already as the pool may have, one of them is killed, unless enough are (`coming`); its exit makes room.
    fn make_room(
        &mut self,
        now: Instant,
        key: KeyId,
        coming: &mut usize,
        actions: &mut Vec<PoolAction>,
    ) {
        let max = self.shelves[key.pool].limits.max;
        let is_other = |id: &WorkerId| self.workers.get(*id).is_some_and(|e| e.key != key);
        let other = self.workers.idle(key.pool).into_iter().map(|(_, id)| id).find(is_other);
        let ending = self.workers.ending(key.pool);
        if let Some(worker) = other.filter(|_| ending < max) {
            return self.retire(now, worker, Ending::Room, actions);
        }
        let helps = other.is_some() || self.workers.staying(key.pool) < max;
        match coming.checked_sub(1) {
            Some(left) => *coming = left,
            None if helps => actions.extend(self.workers.hurry(key.pool).map(PoolAction::Kill)),
            None => {}
        }
    }
}
