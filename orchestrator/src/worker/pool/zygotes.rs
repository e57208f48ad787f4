//! When zygotes start and end: processes that fork workers of one kind. Never before a first session
//! has its worker, which would start more slowly beside them. Which worker comes from one is decided
//! when it is started, by what is there then.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{KeyId, PoolAction, PoolCore, ZygoteNews};

/// Time between what asks for a zygote and its start: short programs have ended by then, and what a
/// session learns in the meantime is imported at once.
pub(super) const DELAY: Duration = Duration::from_millis(300);
/// Zygotes of a kind that may end by themselves one after the other, without having forked a worker.
pub(super) const MAX_DEATHS: u32 = 3;
/// Zygotes of one pool at the same time, those that replace others not counted.
pub(super) const MAX_ZYGOTES: usize = 4;
/// A zygote that was used in this time does not make room for one of another kind.
pub(super) const STAY: Duration = Duration::from_secs(30);

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
}

impl Zygotes {
    /// The kinds that have a zygote, or will have one.
    pub(super) fn kinds(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.0.values().filter(|zygote| !zygote.is_given_up()).map(|zygote| zygote.key)
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
}

impl PoolCore {
    /// A session gets a worker of this kind.
    pub(super) fn want_zygote(&mut self, now: Instant, key: KeyId) {
        if !self.shelves[key.pool].limits.zygotes {
            return;
        }
        let zygote = self.zygotes.0.entry(key.number).or_insert(Zygote {
            key,
            is_up: false,
            is_coming: false,
            due: Some(now + DELAY),
            deaths: 0,
            used_at: now,
        });
        zygote.used_at = now;
    }

    /// A worker of this kind has ended. A kind that is given up is forgotten with its last worker.
    pub(super) fn note_end(&mut self, now: Instant, key: KeyId) {
        let is_last = self.workers.values().all(|entry| entry.key != key);
        let Some(zygote) = self.zygotes.0.get_mut(&key.number) else { return };
        zygote.used_at = now;
        if is_last && zygote.is_given_up() {
            self.zygotes.0.remove(&key.number);
        }
    }

    pub(super) fn renew_zygote(&mut self, now: Instant, key: KeyId) {
        let zygote = self.zygotes.0.get_mut(&key.number);
        if let Some(zygote) = zygote.filter(|zygote| !zygote.is_given_up()) {
            zygote.due = Some(now + DELAY);
        }
    }

    pub(super) fn hear_zygote(&mut self, now: Instant, key: KeyId, news: ZygoteNews) {
        let Some(zygote) = self.zygotes.0.get_mut(&key.number) else { return };
        match news {
            ZygoteNews::Ready => (zygote.is_up, zygote.is_coming) = (true, false),
            ZygoteNews::Forked => (zygote.deaths, zygote.used_at) = (0, now),
            ZygoteNews::LeavesOut => (zygote.is_coming, zygote.due) = (false, Some(now)),
            ZygoteNews::Stale => (zygote.is_up, zygote.due) = (false, Some(now)),
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

    /// The next moment at which a zygote starts or ends.
    pub(super) fn next_zygote_deadline(&self) -> Option<Instant> {
        let zygotes = self.zygotes.0.values();
        zygotes.flat_map(|zygote| [zygote.next_start(), self.zygote_expiry(zygote)]).flatten().min()
    }

    /// When a zygote has been idle for as long as a worker may be.
    fn zygote_expiry(&self, zygote: &Zygote) -> Option<Instant> {
        let timeout = self.shelves[zygote.key.pool].limits.idle_timeout?;
        let is_needed = self.workers.values().any(|entry| entry.key == zygote.key)
            || self.waiting.iter().any(|want| want.asks_for(zygote.key));
        if is_needed || !zygote.is_up {
            return None;
        }
        zygote.used_at.checked_add(timeout)
    }

    /// Starts the zygotes that are due, and ends those that are not needed any more.
    pub(super) fn tend_zygotes(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        let is_past = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        let zygotes = self.zygotes.0.values();
        let idle: Vec<_> =
            zygotes.filter(|z| is_past(self.zygote_expiry(z))).map(|z| z.key).collect();
        for key in idle {
            self.end_zygote(key, actions);
        }
        let zygotes = self.zygotes.0.values();
        let due: Vec<_> = zygotes.filter(|z| is_past(z.next_start())).map(|z| z.key).collect();
        for key in due {
            self.begin_zygote(now, key, actions);
        }
    }

    fn begin_zygote(&mut self, now: Instant, key: KeyId, actions: &mut Vec<PoolAction>) {
        let replaced = self.zygotes.replaceable(key).map(|zygote| (zygote.key, zygote.used_at));
        if let Some((other, used_at)) = replaced {
            if now.duration_since(used_at) < STAY {
                if let Some(zygote) = self.zygotes.0.get_mut(&key.number) {
                    zygote.due = Some(used_at + STAY);
                }
                return;
            }
            self.end_zygote(other, actions);
        }
        if let Some(zygote) = self.zygotes.0.get_mut(&key.number) {
            (zygote.is_coming, zygote.due) = (true, None);
            actions.push(PoolAction::BeginZygote(key));
        }
    }

    fn end_zygote(&mut self, key: KeyId, actions: &mut Vec<PoolAction>) {
        if self.zygotes.0.remove(&key.number).is_some_and(|zygote| zygote.exists()) {
            actions.push(PoolAction::EndZygote(key));
        }
    }

    /// Ends all of them: the pool closes.
    pub(super) fn end_zygotes(&mut self, actions: &mut Vec<PoolAction>) {
        let keys: Vec<_> = self.zygotes.0.values().map(|zygote| zygote.key).collect();
        for key in keys {
            self.end_zygote(key, actions);
        }
    }
}
