//! How often sessions found a warm worker, and why they did not.

use std::collections::BTreeMap;

use super::{LifeState, Need, Roster};

/// Why a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// It had been idle for `idle_timeout`.
    Idle,
    /// It had served as many sessions or calls, or grown by as much, as it may.
    Served,
    /// It made room for a worker of another kind.
    Room,
    /// Its pool became smaller.
    Size,
    /// Its pool was recycled.
    Recycled,
    /// It crashed, or was ended for a deadline or a limit.
    Died,
    /// The pools closed.
    Closed,
}

/// Why a session found no warm worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Miss {
    /// The pool has had no worker before.
    First,
    /// All workers that fit are in use or start.
    InUse,
    /// The workers of the pool have another interpreter, other options or other variables that count at
    /// their start.
    OtherKind,
    /// There were workers, and the last one ended like that.
    Ended(Ending),
}

impl Miss {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::InUse => "in_use",
            Self::OtherKind => "other_kind",
            Self::Ended(Ending::Idle) => "idle_timeout",
            Self::Ended(Ending::Served) => "served_out",
            Self::Ended(Ending::Room) => "made_room",
            Self::Ended(Ending::Size) => "pool_shrank",
            Self::Ended(Ending::Recycled) => "recycled",
            Self::Ended(Ending::Died) => "died",
            Self::Ended(Ending::Closed) => "closed",
        }
    }
}

/// What sessions of one pool found when they asked for workers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Warm workers: idle ones that had served before.
    pub hits: u64,
    /// Workers that had been started ahead.
    pub spares: u64,
    /// Workers that had to be waited for, by reason.
    pub misses: BTreeMap<Miss, u64>,
    /// How the last worker ended.
    pub(super) last_end: Option<Ending>,
}

impl Tally {
    /// Counts what a session finds that asks for workers. `is_parked`: a worker of the kind is forked
    /// ahead.
    pub(super) fn count(&mut self, need: Need, workers: &Roster, is_parked: bool) {
        let staying = workers.0.values().filter(|entry| entry.state != LifeState::Draining);
        let of_kind = staying.clone().filter(|entry| entry.key == need.key);
        let idle = of_kind.clone().filter(|entry| entry.state == LifeState::Ready);
        let warm = idle.clone().filter(|entry| entry.sessions > 0).count().min(need.count);
        let fresh = idle.count() + usize::from(is_parked) - warm;
        let fresh = fresh.min(need.count - warm);
        let missing = need.count - warm - fresh;
        self.hits += wide(warm);
        self.spares += wide(fresh);
        if missing > 0 {
            let is_used = of_kind.clone().next().is_some();
            let has_others = staying.clone().any(|entry| entry.key.pool == need.key.pool);
            let why = match (is_used, has_others, self.last_end) {
                (true, ..) => Miss::InUse,
                (false, true, _) => Miss::OtherKind,
                (false, false, Some(ending)) => Miss::Ended(ending),
                (false, false, None) => Miss::First,
            };
            *self.misses.entry(why).or_default() += wide(missing);
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
