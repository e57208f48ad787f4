//! The workers of all pools, by number: what the rules of the pool core look up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{KeyId, LifeEvent, LifeState, Need, Pictured};
use crate::placement::PoolId;
use crate::worker::WorkerId;

/// One worker.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: KeyId,
    pub(super) state: LifeState,
    pub(super) sessions: u64,
    pub(super) idle_since: Instant,
    /// How often its pool had been recycled when it was started.
    pub(super) epoch: u64,
    /// Another worker may take its place, although it has not ended.
    pub(super) is_replaced: bool,
}

impl Entry {
    /// A worker that starts.
    pub(super) fn new(key: KeyId, epoch: u64, now: Instant) -> Self {
        let state = LifeState::Starting;
        Self { key, state, sessions: 0, idle_since: now, epoch, is_replaced: false }
    }
}

/// All workers that are not dead.
#[derive(Debug, Default)]
pub(super) struct Roster(pub(super) BTreeMap<WorkerId, Entry>);

impl Roster {
    /// A snapshot of each.
    pub(super) fn picture(&self) -> impl Iterator<Item = Pictured> + '_ {
        self.0.iter().map(|(id, entry)| Pictured {
            id: *id,
            key: entry.key,
            state: entry.state,
            sessions: entry.sessions,
        })
    }

    pub(super) fn get(&self, worker: WorkerId) -> Option<&Entry> {
        self.0.get(&worker)
    }

    /// Lets a worker's life go on, if its state knows the event.
    pub(super) fn step(&mut self, now: Instant, worker: WorkerId, event: LifeEvent) {
        let Some(entry) = self.0.get_mut(&worker) else { return };
        let Some(state) = entry.state.after(event) else { return };
        entry.state = state;
        entry.idle_since = now;
    }

    pub(super) fn set_replaced(&mut self, worker: WorkerId, is_replaced: bool) {
        self.0.entry(worker).and_modify(|entry| entry.is_replaced = is_replaced);
    }

    /// A worker gets a session.
    pub(super) fn grant(&mut self, now: Instant, worker: WorkerId) {
        self.step(now, worker, LifeEvent::Granted);
        if let Some(entry) = self.0.get_mut(&worker) {
            entry.sessions += 1;
        }
    }

    pub(super) fn has_kind(&self, key: KeyId) -> bool {
        self.0.values().any(|entry| entry.key == key)
    }

    pub(super) fn count(&self, key: KeyId, state: LifeState) -> usize {
        self.0.values().filter(|e| e.key == key && e.state == state).count()
    }

    /// Number of workers of a kind that are idle, or will be once they have started.
    pub(super) fn coming(&self, key: KeyId) -> usize {
        self.count(key, LifeState::Ready) + self.count(key, LifeState::Starting)
    }

    /// Whether workers for a need will be there without another session giving one back: they start, or
    /// others end to make room for them.
    pub(super) fn is_coming(&self, need: Need) -> bool {
        let ending =
            |entry: &&Entry| entry.key.pool == need.key.pool && entry.state == LifeState::Draining;
        let room = self.0.values().filter(ending).count();
        self.coming(need.key) + room >= need.count
    }

    /// Number of workers of a pool that have not been asked to end.
    pub(super) fn staying(&self, pool: PoolId) -> usize {
        let stays = |entry: &&Entry| entry.key.pool == pool && entry.state != LifeState::Draining;
        self.0.values().filter(stays).count()
    }

    /// Number of workers that count against the bound of a pool, `max`. Those that were replaced do not, up
    /// to as many as the pool may have: there are never more processes than twice its bound.
    pub(super) fn size(&self, pool: PoolId, max: usize) -> usize {
        let here = self.0.values().filter(|entry| entry.key.pool == pool);
        let (replaced, others): (Vec<_>, Vec<_>) = here.partition(|entry| entry.is_replaced);
        others.len() + replaced.len().saturating_sub(max)
    }

    /// The idle workers of a pool, that with the longest idle time first.
    pub(super) fn idle(&self, pool: PoolId) -> Vec<(Instant, WorkerId)> {
        let is_idle = |entry: &Entry| entry.key.pool == pool && entry.state == LifeState::Ready;
        let mut idle: Vec<_> =
            self.0.iter().filter(|(_, e)| is_idle(e)).map(|(id, e)| (e.idle_since, *id)).collect();
        idle.sort_unstable();
        idle
    }

    /// The idle workers of a kind, those used last first, because their caches are warmest.
    pub(super) fn ready(&self, key: KeyId) -> Vec<WorkerId> {
        let is_ready = |entry: &Entry| entry.key == key && entry.state == LifeState::Ready;
        let mut ready: Vec<_> = self
            .0
            .iter()
            .filter(|(_, e)| is_ready(e))
            .map(|(id, e)| (std::cmp::Reverse(e.idle_since), *id))
            .collect();
        ready.sort_unstable();
        ready.into_iter().map(|(_, id)| id).collect()
    }

    /// When the next of a pool's idle workers has been idle for `timeout`; `None` while all are kept.
    pub(super) fn next_expiry(
        &self,
        pool: PoolId,
        min: usize,
        timeout: Duration,
    ) -> Option<Instant> {
        let idle = self.idle(pool);
        if idle.len() <= min {
            return None;
        }
        idle.iter().filter_map(|(since, _)| since.checked_add(timeout)).min()
    }
}
