//! When zygotes start and end: processes that fork workers of one kind. Never before a first session
//! has its worker, which would start more slowly beside them. Which worker comes from one is decided
//! when it is started, by what is there then.
//!
//! For each zygote one worker is parked: forked and ready, and no part of the pool before it is needed.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{KeyId, PoolAction};
use crate::placement::PoolId;
use crate::worker::WorkerId;

/// Time between what asks for a zygote and its start: short programs have ended by then, and what a
/// session learns in the meantime is imported at once.
pub(super) const DELAY: Duration = Duration::from_millis(300);
/// Zygotes of a kind that may end by themselves one after the other, without having forked a worker.
pub(super) const MAX_DEATHS: u32 = 3;
/// Zygotes of one pool at the same time, those that replace others not counted.
pub(super) const MAX_ZYGOTES: usize = 4;
/// A zygote that was used in this time does not make room for one of another kind.
pub(super) const STAY: Duration = Duration::from_secs(30);

/// Time between the use of a parked worker and the fork of the next: its first calls come first.
pub(super) const PARK_DELAY: Duration = Duration::from_millis(50);

/// What a zygote has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZygoteNews {
    /// It has imported its modules and can fork workers.
    Ready,
    /// It has forked a worker.
    Forked,
    /// It ended before it was ready, to be started again without a module that cannot be forked.
    LeavesOut,
    /// It ended, or gave no answer, before it was ready.
    Failed,
    /// The one that was ready ended.
    Died,
    /// The one that was ready holds files that have changed since, and was given up.
    Stale,
    /// No zygote can serve this kind.
    Unfit,
}

/// The zygotes of all kinds.
#[derive(Debug, Default)]
pub(super) struct Zygotes(BTreeMap<usize, Zygote>);

/// The zygote of one kind, or the plan for it.
#[derive(Debug)]
struct Zygote {
    key: KeyId,
    /// One is ready.
    is_up: bool,
    /// One is starting.
    is_coming: bool,
    /// When the next one starts, unless one is starting then.
    due: Option<Instant>,
    deaths: u32,
    /// When a worker of its kind was last granted, forked or ended.
    used_at: Instant,
    parked: Option<Parked>,
    /// When the next worker is parked, if none is by then.
    parks_at: Instant,
}

/// A worker that is forked before it is needed.
#[derive(Debug)]
struct Parked {
    worker: WorkerId,
    is_ready: bool,
}

impl Zygote {
    fn is_given_up(&self) -> bool {
        self.deaths >= MAX_DEATHS
    }

    fn exists(&self) -> bool {
        self.is_up || self.is_coming
    }

    fn next_start(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_coming)
    }

    fn next_parking(&self) -> Option<Instant> {
        (self.is_up && self.parked.is_none()).then_some(self.parks_at)
    }

    /// When it has been idle for as long as it may.
    fn expiry(&self, timeout: Option<Duration>) -> Option<Instant> {
        self.used_at.checked_add(timeout?).filter(|_| self.is_up)
    }

    fn has_parked(&self, worker: WorkerId) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.worker == worker)
    }

    fn retire_parked(&mut self, actions: &mut Vec<PoolAction>) {
        actions.extend(self.parked.take().map(|parked| PoolAction::Retire(parked.worker)));
    }
}

impl Zygotes {
    /// The kinds that have a zygote, or will have one.
    pub(super) fn kinds(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.0.values().filter(|zygote| !zygote.is_given_up()).map(|zygote| zygote.key)
    }

    /// A session gets a worker of this kind.
    pub(super) fn note_grant(&mut self, now: Instant, key: KeyId) {
        let zygote = self.0.entry(key.number).or_insert(Zygote {
            key,
            is_up: false,
            is_coming: false,
            due: Some(now + DELAY),
            deaths: 0,
            used_at: now,
            parked: None,
            parks_at: now,
        });
        zygote.used_at = now;
    }

    /// A worker of this kind has ended. A kind that is given up is forgotten with its last worker.
    pub(super) fn note_exit(&mut self, now: Instant, key: KeyId, is_last: bool) {
        let Some(zygote) = self.0.get_mut(&key.number) else { return };
        zygote.used_at = now;
        if is_last && zygote.is_given_up() {
            self.0.remove(&key.number);
        }
    }

    /// There is more to import.
    pub(super) fn renew(&mut self, now: Instant, key: KeyId) {
        let zygote = self.0.get_mut(&key.number);
        if let Some(zygote) = zygote.filter(|zygote| !zygote.is_given_up()) {
            zygote.due = Some(now + DELAY);
        }
    }

    pub(super) fn hear(
        &mut self,
        now: Instant,
        key: KeyId,
        news: ZygoteNews,
        actions: &mut Vec<PoolAction>,
    ) {
        let Some(zygote) = self.0.get_mut(&key.number) else { return };
        match news {
            ZygoteNews::Ready => {
                // One of the zygote before lacks what the new one has imported.
                zygote.retire_parked(actions);
                (zygote.is_up, zygote.is_coming) = (true, false);
                zygote.parks_at = now;
            }
            ZygoteNews::Forked => (zygote.deaths, zygote.used_at) = (0, now),
            ZygoteNews::LeavesOut => (zygote.is_coming, zygote.due) = (false, Some(now)),
            ZygoteNews::Stale => {
                zygote.retire_parked(actions);
                (zygote.is_up, zygote.due) = (false, Some(now));
            }
            ZygoteNews::Failed | ZygoteNews::Died => {
                let has_died = news == ZygoteNews::Died;
                let ended = if has_died { &mut zygote.is_up } else { &mut zygote.is_coming };
                *ended = false;
                zygote.deaths += 1;
                zygote.due = (!zygote.is_given_up()).then_some(now + DELAY);
            }
            ZygoteNews::Unfit => {
                (zygote.is_coming, zygote.due) = (false, None);
                zygote.deaths = MAX_DEATHS;
            }
        }
    }

    /// The next moment at which a zygote starts, ends or forks a worker. `timeout` says for how long the
    /// zygote of a kind may be idle; `None` while it may not end.
    pub(super) fn next_deadline(
        &self,
        timeout: impl Fn(KeyId) -> Option<Duration>,
    ) -> Option<Instant> {
        let next = |z: &Zygote| [z.next_start(), z.next_parking(), z.expiry(timeout(z.key))];
        self.0.values().flat_map(next).flatten().min()
    }

    /// The kinds whose zygotes have been idle for too long; `timeout` as in [`Self::next_deadline`].
    pub(super) fn expired(
        &self,
        now: Instant,
        timeout: impl Fn(KeyId) -> Option<Duration>,
    ) -> Vec<KeyId> {
        let zygotes = self.0.values();
        zygotes.filter(|z| is_past(z.expiry(timeout(z.key)), now)).map(|z| z.key).collect()
    }

    /// Starts the zygotes that are due.
    pub(super) fn begin_due(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        let zygotes = self.0.values();
        let due: Vec<_> = zygotes.filter(|z| is_past(z.next_start(), now)).map(|z| z.key).collect();
        for key in due {
            self.begin(now, key, actions);
        }
    }

    fn begin(&mut self, now: Instant, key: KeyId, actions: &mut Vec<PoolAction>) {
        let replaced = self.replaceable(key).map(|zygote| (zygote.key, zygote.used_at));
        if let Some((other, used_at)) = replaced {
            if now.duration_since(used_at) < STAY {
                if let Some(zygote) = self.0.get_mut(&key.number) {
                    zygote.due = Some(used_at + STAY);
                }
                return;
            }
            self.end(other, actions);
        }
        if let Some(zygote) = self.0.get_mut(&key.number) {
            (zygote.is_coming, zygote.due) = (true, None);
            actions.push(PoolAction::BeginZygote(key));
        }
    }

    /// Of the zygotes of a pool at its bound, the one that was used least recently.
    fn replaceable(&self, key: KeyId) -> Option<&Zygote> {
        let others = self
            .0
            .values()
            .filter(|zygote| zygote.key.pool == key.pool && zygote.key != key && zygote.exists());
        let is_full = others.clone().count() >= MAX_ZYGOTES;
        others.min_by_key(|zygote| zygote.used_at).filter(|_| is_full)
    }

    /// Ends a zygote, and forgets it.
    pub(super) fn end(&mut self, key: KeyId, actions: &mut Vec<PoolAction>) {
        let Some(mut zygote) = self.0.remove(&key.number) else { return };
        zygote.retire_parked(actions);
        if zygote.exists() {
            actions.push(PoolAction::EndZygote(key));
        }
    }

    /// Ends all of them: the pool closes.
    pub(super) fn end_all(&mut self, actions: &mut Vec<PoolAction>) {
        self.end_where(|_| true, actions);
    }

    /// Ends those of a pool.
    pub(super) fn end_of(&mut self, pool: PoolId, actions: &mut Vec<PoolAction>) {
        self.end_where(|key| key.pool == pool, actions);
    }

    fn end_where(&mut self, ends: impl Fn(KeyId) -> bool, actions: &mut Vec<PoolAction>) {
        let keys: Vec<_> = self.0.values().map(|zygote| zygote.key).filter(|k| ends(*k)).collect();
        for key in keys {
            self.end(key, actions);
        }
    }

    /// Whether a worker of this kind is parked and ready.
    pub(super) fn has_ready(&self, key: KeyId) -> bool {
        let parked = self.0.get(&key.number).and_then(|zygote| zygote.parked.as_ref());
        parked.is_some_and(|parked| parked.is_ready)
    }

    /// Forks the workers that are to be parked.
    pub(super) fn park(
        &mut self,
        now: Instant,
        next_worker: &mut WorkerId,
        actions: &mut Vec<PoolAction>,
    ) {
        for zygote in self.0.values_mut().filter(|z| is_past(z.next_parking(), now)) {
            let worker = *next_worker;
            *next_worker += 1;
            zygote.parked = Some(Parked { worker, is_ready: false });
            actions.push(PoolAction::Spawn { worker, key: zygote.key });
        }
    }

    /// Takes the parked worker of a kind, with whether it is ready.
    pub(super) fn unpark(&mut self, now: Instant, key: KeyId) -> Option<(WorkerId, bool)> {
        let zygote = self.0.get_mut(&key.number)?;
        let Parked { worker, is_ready } = zygote.parked.take()?;
        zygote.parks_at = now + PARK_DELAY;
        Some((worker, is_ready))
    }

    /// A worker has completed its handshake.
    pub(super) fn note_ready(&mut self, worker: WorkerId) {
        let mut parked = self.0.values_mut().filter_map(|zygote| zygote.parked.as_mut());
        if let Some(parked) = parked.find(|parked| parked.worker == worker) {
            parked.is_ready = true;
        }
    }

    /// A worker has ended. A parked one that was not ready counts as a death of its zygote.
    pub(super) fn note_parked_exit(
        &mut self,
        now: Instant,
        worker: WorkerId,
        actions: &mut Vec<PoolAction>,
    ) {
        let zygote = self.0.values_mut().find(|zygote| zygote.has_parked(worker));
        let Some(zygote) = zygote else { return };
        let was_ready = zygote.parked.take().is_some_and(|parked| parked.is_ready);
        zygote.parks_at = now + DELAY;
        zygote.deaths += u32::from(!was_ready);
        if zygote.is_given_up() && zygote.exists() {
            (zygote.is_up, zygote.is_coming, zygote.due) = (false, false, None);
            actions.push(PoolAction::EndZygote(zygote.key));
        }
    }

    /// Whether this worker is parked, or will be.
    pub(super) fn is_parked(&self, worker: WorkerId) -> bool {
        self.0.values().any(|zygote| zygote.has_parked(worker))
    }
}

fn is_past(moment: Option<Instant>, now: Instant) -> bool {
    moment.is_some_and(|moment| moment <= now)
}
