//! The workers of all pools, by number: what the rules of the pool core look up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{KeyId, LifeEvent, LifeState, Need};
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
    /// Its session was left by its caller and goes on: another worker may take its place.
    pub(super) is_left: bool,
    /// It was asked to end, and then killed for its place.
    pub(super) is_hurried: bool,
}

impl Entry {
    /// A worker that starts.
    pub(super) fn new(key: KeyId, epoch: u64, now: Instant) -> Self {
        let state = LifeState::Starting;
        let (is_left, is_hurried) = (false, false);
        Self { key, state, sessions: 0, idle_since: now, epoch, is_left, is_hurried }
    }

    fn is_ending(&self) -> bool {
        self.state == LifeState::Draining
    }

    /// Whether another worker may take its place, although it has not ended.
    fn is_replaced(&self) -> bool {
        self.is_left || self.is_ending()
    }
}

/// All workers that are not dead.
#[derive(Debug, Default)]
pub(super) struct Roster(pub(super) BTreeMap<WorkerId, Entry>);

impl Roster {
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

    pub(super) fn set_left(&mut self, worker: WorkerId, is_left: bool) {
        self.0.entry(worker).and_modify(|entry| entry.is_left = is_left);
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
    pub(super) fn is_coming(&self, need: Need, max: usize) -> bool {
        let makes_room = |entry: &Entry| entry.state == LifeState::Ready && entry.key != need.key;
        let stay = self.of(need.key.pool).filter(|entry| !entry.is_ending() && !makes_room(entry));
        let room = max.saturating_sub(counted(stay, max));
        self.coming(need.key) + room >= need.count
    }

    /// Number of workers of a pool that have not been asked to end.
    pub(super) fn staying(&self, pool: PoolId) -> usize {
        self.of(pool).filter(|entry| !entry.is_ending()).count()
    }

    /// Number of workers that count against the bound of a pool, `max`.
    pub(super) fn size(&self, pool: PoolId, max: usize) -> usize {
        counted(self.of(pool), max)
    }

    /// Number of workers of a pool that have been asked to end.
    pub(super) fn ending(&self, pool: PoolId) -> usize {
        self.of(pool).filter(|entry| entry.is_ending()).count()
    }

    /// Number of those that are killed for their places.
    pub(super) fn hurried(&self, pool: PoolId) -> usize {
        self.of(pool).filter(|entry| entry.is_hurried).count()
    }

    /// Of the other workers of a pool that have been asked to end, the one that was asked first. It counts
    /// as killed for its place from now on.
    pub(super) fn hurry(&mut self, pool: PoolId) -> Option<WorkerId> {
        let ends = |entry: &Entry| entry.key.pool == pool && entry.is_ending() && !entry.is_hurried;
        let others = self.0.iter_mut().filter(|(_, entry)| ends(entry));
        let (id, entry) = others.min_by_key(|(_, entry)| entry.idle_since)?;
        entry.is_hurried = true;
        Some(*id)
    }

    fn of(&self, pool: PoolId) -> impl Iterator<Item = &Entry> {
        self.0.values().filter(move |entry| entry.key.pool == pool)
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

/// Number of workers that count against the bound of their pool, `max`. Those that were replaced do not, up
/// to as many as the pool may have: there are never more processes than twice its bound.
fn counted<'a>(workers: impl Iterator<Item = &'a Entry>, max: usize) -> usize {
    let (replaced, others): (Vec<_>, Vec<_>) = workers.partition(|entry| entry.is_replaced());
    others.len() + replaced.len().saturating_sub(max)
}
